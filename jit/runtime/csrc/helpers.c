/* The functions that compiled code calls: one for each row of pepjit_ir's helper table, with the effects and errors declared there. They do
 * what the interpreter's generic instructions do, error messages included. */
#include "internal.h"

#include "internal/pycore_pyerrors.h"
#include "internal/pycore_pystate.h"
#include "internal/pycore_setobject.h"
#include "internal/pycore_unicodeobject.h"
#include "opcode.h"

#include <errno.h>
#include <math.h>

/* Any code may have run: note if the thread changed meanwhile. */
#define DONE(result)                                \
    do {                                            \
        __typeof__(result) result_ = (result);      \
        check_owner_here();                         \
        return result_;                             \
    } while (0)


/* ---------------------------------------------------------------- operators */

#if PEPJIT_314
#  define LAST_OPERATOR NB_SUBSCR
#else
#  define LAST_OPERATOR NB_INPLACE_XOR
#endif

static Obj pepjit_binary_op(Obj left, Obj right, int64_t op)
{
    if (op < 0 || op > LAST_OPERATOR) {
        PyErr_Format(PyExc_SystemError, "pepjit: no binary operator %lld", (long long)op);
        return NULL;
    }
    DONE(_PyEval_BinaryOps[op](left, right));
}

/* The ints' own functions, by the interpreter's numbers of the operators. They don't say NotImplemented to ints. */
static binaryfunc int_slot(int64_t op)
{
    const PyNumberMethods *slots = PyLong_Type.tp_as_number;
    switch (op < NB_INPLACE_ADD ? op : op - NB_INPLACE_ADD) {
        case NB_ADD: return slots->nb_add;
        case NB_SUBTRACT: return slots->nb_subtract;
        case NB_MULTIPLY: return slots->nb_multiply;
        case NB_FLOOR_DIVIDE: return slots->nb_floor_divide;
        case NB_REMAINDER: return slots->nb_remainder;
        case NB_LSHIFT: return slots->nb_lshift;
        case NB_RSHIFT: return slots->nb_rshift;
        case NB_AND: return slots->nb_and;
        case NB_OR: return slots->nb_or;
        case NB_XOR: return slots->nb_xor;
        default: return NULL;
    }
}

static Obj pepjit_int_op(Obj left, Obj right, int64_t op)
{
    binaryfunc function = PyLong_CheckExact(left) && PyLong_CheckExact(right) ? int_slot(op) : NULL;
    if (function == NULL) {
        return pepjit_binary_op(left, right, op);
    }
    DONE(function(left, right));
}

static Obj pepjit_negative(Obj value) { DONE(PyNumber_Negative(value)); }
static Obj pepjit_invert(Obj value) { DONE(PyNumber_Invert(value)); }
static Obj pepjit_positive(Obj value) { DONE(PyNumber_Positive(value)); }
static Obj pepjit_rich_compare(Obj left, Obj right, int64_t op) { DONE(PyObject_RichCompare(left, right, (int)op)); }

static int64_t truth(Obj value)
{
    return value == Py_True ? 1 : value == Py_False || value == Py_None ? 0 : PyObject_IsTrue(value);
}

static int64_t pepjit_compare_bool(Obj left, Obj right, int64_t op)
{
    if (PyUnicode_CheckExact(left) && PyUnicode_CheckExact(right)) {
        if (op == Py_EQ || op == Py_NE) {
            return pepjit_str_equal(left, right) == (op == Py_EQ);
        }
        int64_t order = pepjit_str_compare(left, right);
        return op == Py_LT ? order < 0 : op == Py_LE ? order <= 0 : op == Py_GT ? order > 0 : order >= 0;
    }
    if (PyLong_CheckExact(left) && PyLong_CheckExact(right)) {
        /* True or False, which are immortal. */
        return PyLong_Type.tp_richcompare(left, right, (int)op) == Py_True;
    }
    Obj result = PyObject_RichCompare(left, right, (int)op);
    int64_t answer = -1;
    if (result != NULL) {
        answer = truth(result);
        Py_DECREF(result);
    }
    check_owner_here();
    return answer;
}

static int64_t pepjit_is_true(Obj value) { DONE(truth(value)); }

static int64_t pepjit_contains(Obj container, Obj value)
{
    PyTypeObject *type = Py_TYPE(container);
    int64_t found = type == &PyDict_Type                            ? PyDict_Contains(container, value)
                    : type == &PySet_Type || type == &PyFrozenSet_Type ? _PySet_Contains((PySetObject *)container, value)
                                                                    : PySequence_Contains(container, value);
    check_owner_here();
    return found;
}

/* float_pow (Objects/floatobject.c) where it neither raises nor gives a complex number and no operand is special; else NaN. */
static double pepjit_float_pow(double base, double exponent)
{
    if (exponent == 0 || base == 1.0) {
        return 1.0;
    }
    if (!isfinite(base) || !isfinite(exponent)) {
        return NAN;
    }
    bool odd = fmod(fabs(exponent), 2.0) == 1.0;
    if (base == 0) {
        return exponent < 0 ? (double)NAN : odd ? base : 0.0;
    }
    bool negate = false;
    if (base < 0) {
        if (exponent != floor(exponent)) {
            return NAN;
        }
        base = -base;
        negate = odd;
        if (base == 1.0) {
            return negate ? -1.0 : 1.0;
        }
    }
    int saved = errno;
    double result = pow(base, exponent);
    errno = saved;
    return isinf(result) ? (double)NAN : negate ? -result : result;
}

static double signed_remainder(double left, double right)
{
    double rest = fmod(left, right);
    if (rest == 0) {
        return copysign(0.0, right);
    }
    return (right < 0) != (rest < 0) ? rest + right : rest;
}

/* The quotient is taken from the exact remainder, and snapped to the nearest integer, as CPython's float_divmod does. */
static double pepjit_float_floor_div(double left, double right)
{
    double rest = fmod(left, right);
    double quotient = (left - rest) / right;
    if (rest != 0 && (right < 0) != (rest < 0)) {
        quotient -= 1.0;
    }
    if (quotient == 0) {
        return copysign(0.0, left / right);
    }
    double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

static double pepjit_float_mod(double left, double right) { return signed_remainder(left, right); }

/* ---------------------------------------------------------------- attributes and names */

static Obj pepjit_get_attr(Obj object, Obj name) { DONE(PyObject_GetAttr(object, name)); }
static int64_t pepjit_set_attr(Obj object, Obj name, Obj value) { DONE((int64_t)PyObject_SetAttr(object, name, value)); }

/* What wrap_setattr does (Objects/typeobject.c): a class in C that has its own way of setting attributes refuses this one. */
static int64_t pepjit_object_set_attr(Obj object, Obj name, Obj value)
{
    static Obj setter;
    PyTypeObject *type = Py_TYPE(object);
    if (setter == NULL && (setter = PyUnicode_InternFromString("__setattr__")) == NULL) {
        return -1;
    }
    /* Classes whose way is written in Python are passed over. */
    while (type->tp_setattro != PyObject_GenericSetAttr && type->tp_base != NULL) {
        Obj found = _PyType_Lookup(type, setter);
        if (found == NULL || !PyFunction_Check(found)) {
            break;
        }
        type = type->tp_base;
    }
    if (type->tp_setattro == PyObject_GenericSetAttr && PyUnicode_CheckExact(name)) {
        DONE((int64_t)PyObject_GenericSetAttr(object, name, value));
    }
    Obj wrapper = PyObject_GetAttr((Obj)&PyBaseObject_Type, setter);
    Obj none = wrapper != NULL ? PyObject_CallFunctionObjArgs(wrapper, object, name, value, NULL) : NULL;
    Py_XDECREF(wrapper);
    Py_XDECREF(none);
    DONE((int64_t)(none != NULL ? 0 : -1));
}

static int64_t pepjit_del_attr(Obj object, Obj name) { DONE((int64_t)PyObject_SetAttr(object, name, NULL)); }

static Obj pepjit_get_method(Obj object, Obj name)
{
    Obj method = NULL;
    int unbound = _PyObject_GetMethod(object, name, &method);
    pepjit_scratch[0] = method != NULL && unbound ? Py_NewRef(object) : NULL;
    DONE(method);
}

static Obj pepjit_load_global(Obj function, Obj name)
{
    PyFunctionObject *func = (PyFunctionObject *)function;
#if PEPJIT_314
    _PyStackRef result = PyStackRef_NULL;
    _PyEval_LoadGlobalStackRef(func->func_globals, func->func_builtins, name, &result);
    DONE(entry_take(result));
#else
    PyObject *result = NULL;
    if (PyDict_CheckExact(func->func_globals) && PyDict_CheckExact(func->func_builtins)) {
        if (PyDict_GetItemRef(func->func_globals, name, &result) < 0 ||
            (result == NULL && PyDict_GetItemRef(func->func_builtins, name, &result) < 0)) {
            DONE((Obj)NULL);
        }
    }
    else if (PyMapping_GetOptionalItem(func->func_globals, name, &result) < 0 ||
             (result == NULL && PyMapping_GetOptionalItem(func->func_builtins, name, &result) < 0)) {
        DONE((Obj)NULL);
    }
    if (result == NULL) {
        _PyEval_FormatExcCheckArg(PyThreadState_GetUnchecked(), PyExc_NameError, "name '%.200s' is not defined", name);
    }
    DONE(result);
#endif
}

static int64_t pepjit_store_global(Obj function, Obj name, Obj value, int64_t word, int64_t version)
{
    Obj globals = ((PyFunctionObject *)function)->func_globals;
#if PEPJIT_314
    /* Where the name is known to be, and no compiled code relies on it. */
    PyDictKeysObject *keys = ((PyDictObject *)globals)->ma_keys;
    if (word != 0 && keys->dk_version == (uint32_t)version && !pepjit_relied_on(globals, name)) {
        Obj *slot = (Obj *)keys + word;
        if (*slot != NULL && *slot != value) {
            pepjit_tell_others(globals, name, value);
        }
        /* Watchers change nothing, but look again. */
        if (((PyDictObject *)globals)->ma_keys == keys && keys->dk_version == (uint32_t)version && *slot != NULL) {
            Obj old = *slot;
            *slot = Py_NewRef(value);
            Py_DECREF(old);
            DONE((int64_t)0);
        }
    }
#else
    (void)word, (void)version;
#endif
    DONE((int64_t)PyDict_SetItem(globals, name, value));
}

static Obj super_lookup(Obj class, Obj self, Obj name, int64_t written, int *method)
{
    if (PyType_Check(class)) {
        return _PySuper_Lookup((PyTypeObject *)class, self, name, method);
    }
    if (!written) {
        PyErr_Format(PyExc_RuntimeError, "super(): __class__ is not a type (%s)", Py_TYPE(class)->tp_name);
        return NULL;
    }
    Obj proxy = PyObject_CallFunctionObjArgs((Obj)&PySuper_Type, class, self, NULL);
    Obj result = proxy != NULL ? PyObject_GetAttr(proxy, name) : NULL;
    Py_XDECREF(proxy);
    return result;
}

static Obj pepjit_super_attr(Obj class, Obj self, Obj name, int64_t written) { DONE(super_lookup(class, self, name, written, NULL)); }

static Obj pepjit_super_method(Obj class, Obj self, Obj name, int64_t written)
{
    int method = 0;
    /* A class that is the receiver itself isn't passed. */
    int *unbound = Py_TYPE(self)->tp_getattro == PyObject_GenericGetAttr ? &method : NULL;
    Obj result = super_lookup(class, self, name, written, unbound);
    pepjit_scratch[0] = result != NULL && method ? Py_NewRef(self) : NULL;
    DONE(result);
}

/* ---------------------------------------------------------------- subscripts */


static int64_t pepjit_set_item(Obj container, Obj key, Obj value)
{
    DONE((int64_t)(PyDict_CheckExact(container) ? PyDict_SetItem(container, key, value) : PyObject_SetItem(container, key, value)));
}

static int64_t pepjit_del_item(Obj container, Obj key) { DONE((int64_t)PyObject_DelItem(container, key)); }

static Obj pepjit_dict_get_item(Obj dict, Obj key)
{
    Obj value;
    if (PyDict_GetItemRef(dict, key, &value) == 0) {
        _PyErr_SetKeyError(key);
    }
    check_owner_here();
    return value;
}

static Obj pepjit_get_item(Obj container, Obj key)
{
    if (PyDict_CheckExact(container)) {
        return pepjit_dict_get_item(container, key);
    }
    DONE(PyObject_GetItem(container, key));
}

static Obj pepjit_str_index(Obj str, int64_t index)
{
    int64_t length = PyUnicode_GET_LENGTH(str);
    index += index < 0 ? length : 0;
    return (uint64_t)index < (uint64_t)length ? pepjit_quick_chr(PyUnicode_READ_CHAR(str, index)) : NULL;
}

static Obj pepjit_get_slice(Obj container, Obj start, Obj stop)
{
    Obj slice = PySlice_New(start, stop, NULL);
    if (slice == NULL) {
        return NULL;
    }
    Obj result = PyObject_GetItem(container, slice);
    Py_DECREF(slice);
    DONE(result);
}

static int64_t pepjit_set_slice(Obj container, Obj start, Obj stop, Obj value)
{
    Obj slice = PySlice_New(start, stop, NULL);
    if (slice == NULL) {
        return -1;
    }
    int result = PyObject_SetItem(container, slice, value);
    Py_DECREF(slice);
    DONE((int64_t)result);
}

/* ---------------------------------------------------------------- iteration */

static Obj pepjit_get_iter(Obj iterable) { DONE(PyObject_GetIter(iterable)); }

static Obj pepjit_iter_next(Obj iterator)
{
    Obj value = Py_TYPE(iterator)->tp_iternext(iterator);
    check_owner_here();
    if (value == NULL && PyErr_Occurred() != NULL && PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyErr_Clear();
    }
    return value;
}

static int pepjit_error_occurred(void) { return PyErr_Occurred() != NULL; }

/* before values, then (after >= 0) a list and `after` more values, into scratch. */
static int64_t unpack(Obj value, int64_t before, int64_t after)
{
    int64_t count = before + (after >= 0 ? after + 1 : 0);
    if (before < 0 || count > PEPJIT_SCRATCH) {
        PyErr_SetString(PyExc_SystemError, "pepjit: too many values to unpack in compiled code");
        return -1;
    }
    /* The interpreter's function fills a stack from its top downwards. */
    PyThreadState *tstate = PyThreadState_GetUnchecked();
#if PEPJIT_314
    _PyStackRef stack[PEPJIT_SCRATCH];
    int good = _PyEval_UnpackIterableStackRef(tstate, value, (int)before, (int)after, stack + count);
#else
    PyObject *stack[PEPJIT_SCRATCH];
    int good = _PyEval_UnpackIterable(tstate, value, (int)before, (int)after, stack + count);
#endif
    check_owner_here();
    if (!good) {
        return -1;
    }
    for (int64_t i = 0; i < count; i++) {
        pepjit_scratch[i] = entry_take(stack[count - 1 - i]);
    }
    return 0;
}

static int64_t pepjit_unpack_sequence(Obj value, int64_t count)
{
    Obj *items;
    if (count <= PEPJIT_SCRATCH && ((PyTuple_CheckExact(value) && PyTuple_GET_SIZE(value) == count) ||
                                    (PyList_CheckExact(value) && PyList_GET_SIZE(value) == count))) {
        items = PyTuple_CheckExact(value) ? ((PyTupleObject *)value)->ob_item : ((PyListObject *)value)->ob_item;
        for (int64_t i = 0; i < count; i++) {
            pepjit_scratch[i] = Py_NewRef(items[i]);
        }
        return 0;
    }
    return unpack(value, count, -1);
}

static int64_t pepjit_unpack_ex(Obj value, int64_t counts) { return unpack(value, counts & 0xff, counts >> 8); }

/* ---------------------------------------------------------------- building */

static Obj pepjit_build_list(Obj *items, int64_t count)
{
    Obj list = PyList_New(count);
    for (int64_t i = 0; i < count; i++) {
        if (list != NULL) {
            PyList_SET_ITEM(list, i, items[i]);
        }
        else {
            Py_DECREF(items[i]);
        }
    }
    return list;
}

static Obj pepjit_build_tuple(Obj *items, int64_t count) { return untrack_plain(_PyTuple_FromArraySteal(items, count)); }
static Obj pepjit_build_map(Obj *items, int64_t count) { DONE(_PyDict_FromItems(items, 2, items + 1, 2, count / 2)); }

static Obj pepjit_build_set(Obj *items, int64_t count)
{
    Obj set = PySet_New(NULL);
    for (int64_t i = 0; set != NULL && i < count; i++) {
        if (PySet_Add(set, items[i]) < 0) {
            Py_CLEAR(set);
        }
    }
    DONE(set);
}

static Obj pepjit_build_string(Obj *items, int64_t count)
{
    Obj empty = PyUnicode_New(0, 0);
    Obj result = empty != NULL ? _PyUnicode_JoinArray(empty, items, count) : NULL;
    Py_XDECREF(empty);
    return result;
}

static Obj pepjit_build_slice(Obj *items, int64_t count) { return PySlice_New(items[0], items[1], count > 2 ? items[2] : NULL); }
static int64_t pepjit_list_append(Obj list, Obj value) { return _PyList_AppendTakeRef((PyListObject *)list, value); }

static int64_t pepjit_list_extend(Obj list, Obj iterable)
{
    Obj none = _PyList_Extend((PyListObject *)list, iterable);
    if (none == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError) && Py_TYPE(iterable)->tp_iter == NULL && !PySequence_Check(iterable)) {
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError, "Value after * must be an iterable, not %.200s", Py_TYPE(iterable)->tp_name);
        }
        DONE((int64_t)-1);
    }
    DONE((int64_t)0);
}

static Obj pepjit_list_to_tuple(Obj list) { return PyList_AsTuple(list); }
static int64_t pepjit_set_add(Obj set, Obj value) { DONE((int64_t)PySet_Add(set, value)); }
static int64_t pepjit_set_update(Obj set, Obj iterable) { DONE((int64_t)(_PySet_Update(set, iterable) < 0 ? -1 : 0)); }
static int64_t pepjit_dict_set_item(Obj dict, Obj key, Obj value) { DONE((int64_t)PyDict_SetItem(dict, key, value)); }

static int64_t pepjit_dict_update(Obj dict, Obj mapping)
{
    if (PyDict_Update(dict, mapping) < 0) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
#if PEPJIT_315
            PyObject *exception = PyErr_GetRaisedException();
            int has_keys = PyObject_HasAttrStringWithError(mapping, "keys");
            if (has_keys == 0) {
                PyErr_Format(PyExc_TypeError, "'%T' object is not a mapping", mapping);
            }
            if (has_keys == 1) {
                PyErr_SetRaisedException(exception);
            }
            else {
                Py_DECREF(exception);
            }
#else
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError, "'%.200s' object is not a mapping", Py_TYPE(mapping)->tp_name);
#endif
        }
        DONE((int64_t)-1);
    }
    DONE((int64_t)0);
}

static Obj pepjit_format_simple(Obj value)
{
    if (PyUnicode_CheckExact(value)) {
        return Py_NewRef(value);
    }
    DONE(PyObject_Format(value, NULL));
}


static Obj pepjit_convert_value(Obj value, int64_t conversion)
{
    if (conversion < 1 || conversion > 3) {
        PyErr_Format(PyExc_SystemError, "pepjit: no conversion %lld", (long long)conversion);
        return NULL;
    }
    DONE(_PyEval_ConversionFuncs[conversion](value));
}

static Obj pepjit_str_concat(Obj left, Obj right) { return PyUnicode_Concat(left, right); }

static Obj pepjit_make_function(Obj function, Obj code)
{
    Obj made = PyFunction_New(code, ((PyFunctionObject *)function)->func_globals);
    if (made != NULL) {
        _PyFunction_SetVersion((PyFunctionObject *)made, ((PyCodeObject *)code)->co_version);
    }
    return made;
}

static int64_t pepjit_set_function_attribute(Obj function, Obj value, int64_t which)
{
    PyFunctionObject *func = (PyFunctionObject *)function;
    switch (which) {
    case 1:
        func->func_defaults = value;
        return 0;
    case 2:
        func->func_kwdefaults = value;
        return 0;
    case 4:
        func->func_annotations = value;
        return 0;
    case 8:
        func->func_closure = value;
        return 0;
#if PEPJIT_314
    case 16:
        func->func_annotate = value;
        return 0;
#endif
    default:
        Py_DECREF(value);
        PyErr_Format(PyExc_SystemError, "pepjit: no function attribute %lld", (long long)which);
        return -1;
    }
}

static Obj pepjit_make_cell(Obj content)
{
    Obj cell = PyCell_New(content);
    Py_XDECREF(content);
    return cell;
}

/* What iter(range(start, stop, step)) is, without the range where its bounds allow the fast iterator. */
static Obj pepjit_range_iter(int64_t start, int64_t stop, int64_t step)
{
    uint64_t length = 0;
    if (step > 0 && start < stop) {
        length = 1 + ((uint64_t)stop - 1 - (uint64_t)start) / (uint64_t)step;
    }
    else if (step < 0 && start > stop) {
        length = 1 + ((uint64_t)start - 1 - (uint64_t)stop) / (0 - (uint64_t)step);
    }
    bool fits = step != 0 && length <= INT64_MAX &&
                (length == 0 || (step > 0 ? stop <= INT64_MAX - (step - 1) : stop >= INT64_MIN + (-1 - step)));
    if (fits) {
        _PyRangeIterObject *iterator = PyObject_New(_PyRangeIterObject, &PyRangeIter_Type);
        if (iterator != NULL) {
            iterator->start = start;
            iterator->step = step;
            iterator->len = (long)length;
        }
        return (Obj)iterator;
    }
    Obj range = PyObject_CallFunction((Obj)&PyRange_Type, "LLL", (long long)start, (long long)stop, (long long)step);
    Obj iterator = range != NULL ? PyObject_GetIter(range) : NULL;
    Py_XDECREF(range);
    return iterator;
}

static Obj pepjit_str_append(Obj left, Obj right)
{
    PyUnicode_Append(&left, right);
    return left;
}

/* ---------------------------------------------------------------- calls */

/* callable, self or NULL, arguments. The callee may use the slot before the first argument while it runs. */
static Obj call(Obj *items, int64_t count, Obj names)
{
    Obj *first = items[1] != NULL ? items + 1 : items + 2;
    size_t positional = (size_t)(items + count - first) - (names != NULL ? (size_t)PyTuple_GET_SIZE(names) : 0);
    Obj result = PyObject_Vectorcall(items[0], first, positional | PY_VECTORCALL_ARGUMENTS_OFFSET, names);
    DONE(served_after(items[0], result));
}

/* Without a look for signals: nothing comes between entering a `with` statement and its body. */
static Obj pepjit_enter_context(Obj *items, int64_t count)
{
    Obj *first = items[1] != NULL ? items + 1 : items + 2;
    DONE(PyObject_Vectorcall(items[0], first, (size_t)(items + count - first) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL));
}

static Obj pepjit_call_object(Obj *items, int64_t count) { return call(items, count, NULL); }
static Obj pepjit_call_keywords(Obj *items, int64_t count) { return call(items, count - 1, items[count - 1]); }
static Obj pepjit_give_object(Obj *items, int64_t count) { DONE(pepjit_call_giving(items, count, NULL)); }

static Obj pepjit_give_keywords(Obj *items, int64_t count)
{
    Obj result = pepjit_call_giving(items, count - 1, items[count - 1]);
    Py_DECREF(items[count - 1]);
    DONE(result);
}

static Obj pepjit_call_ex(Obj function, Obj arguments, Obj keywords)
{
    Obj result = NULL;
    Obj tuple = NULL, dict = NULL;
    if (PyTuple_CheckExact(arguments)) {
        tuple = Py_NewRef(arguments);
    }
    else if (Py_TYPE(arguments)->tp_iter == NULL && !PySequence_Check(arguments)) {
#if PEPJIT_315
        PyErr_Format(PyExc_TypeError, "Value after * must be an iterable, not %.200s", Py_TYPE(arguments)->tp_name);
#else
        Obj name = _PyObject_FunctionStr(function);
        if (name != NULL) {
            PyErr_Format(PyExc_TypeError, "%U argument after * must be an iterable, not %.200s", name, Py_TYPE(arguments)->tp_name);
            Py_DECREF(name);
        }
#endif
    }
    else {
        tuple = PySequence_Tuple(arguments);
    }
    if (tuple != NULL && keywords != NULL && !PyDict_CheckExact(keywords)) {
        dict = PyDict_New();
        if (dict != NULL && PyDict_Update(dict, keywords) < 0) {
            Py_CLEAR(dict);
        }
    }
    else {
        dict = Py_XNewRef(keywords);
    }
    if (tuple != NULL && (keywords == NULL || dict != NULL)) {
        result = served_after(function, PyObject_Call(function, tuple, dict));
    }
    Py_XDECREF(dict);
    Py_XDECREF(tuple);
    DONE(result);
}

static int64_t pepjit_len(Obj object) { DONE((int64_t)PyObject_Length(object)); }
static int64_t pepjit_is_instance(Obj object, Obj class) { DONE((int64_t)PyObject_IsInstance(object, class)); }
static Obj pepjit_new_instance(Obj class) { return ((PyTypeObject *)class)->tp_alloc((PyTypeObject *)class, 0); }

static int64_t pepjit_inline_value_add(Obj instance, Obj value, int64_t index)
{
    if (!(Py_TYPE(instance)->tp_flags & Py_TPFLAGS_INLINE_VALUES) || _PyObject_GetManagedDict(instance) != NULL) {
        return -1;
    }
    PyDictValues *values = _PyObject_InlineValues(instance);
    if (!values->valid || index < 0 || index >= values->capacity || values->values[index] != NULL) {
        return -1;
    }
    values->values[index] = value;
    _PyDictValues_AddToInsertionOrder(values, index);
    return 0;
}

/* ---------------------------------------------------------------- the table */

/* In the order of pepjit_ir::Helper::ALL. */
#define HELPERS(H)                                                                                                                       \
    H(binary_op) H(int_op) H(negative) H(invert) H(positive) H(rich_compare) H(compare_bool) H(str_equal) H(str_compare) H(is_true) H(contains)    \
    H(float_pow) H(float_floor_div) H(float_mod) H(get_attr) H(set_attr) H(object_set_attr) H(del_attr) H(get_method) H(load_global) H(store_global)        \
    H(super_attr) H(super_method) H(get_item) H(set_item) H(del_item) H(dict_get_item) H(str_index) H(get_slice) H(set_slice)            \
    H(get_iter) H(iter_next) H(error_occurred) H(unpack_sequence) H(unpack_ex) H(build_list) H(build_tuple) H(build_map) H(build_set)    \
    H(build_string) H(build_slice) H(list_append) H(list_extend) H(list_to_tuple) H(set_add) H(set_update) H(dict_set_item)              \
    H(dict_update) H(format_simple) H(format_with_spec) H(convert_value) H(str_concat) H(make_function) H(set_function_attribute)        \
    H(make_cell) H(range_iter) H(call_object) H(call_keywords) H(give_object) H(give_keywords) H(call_ex) H(len) H(is_instance) H(new_instance) H(inline_value_add)      \
    H(str_append) H(delete_global) H(load_build_class) H(import_name) H(import_from) H(is_pattern) H(match_keys) H(match_class)          \
    H(dict_merge) H(raise) H(handled) H(set_raised) H(push_exc_info) H(pop_except) H(check_exc_match) H(with_except_start) H(load_special) \
    H(native_none) H(native_one) H(native_fast0) H(native_fast1) H(native_fast2) H(native_fast3) H(quick_len)              \
    H(quick_item) H(quick_slice) H(str_contains) H(quick_ord) H(quick_chr) H(quick_min_max) H(to_int) H(to_float) H(to_str) H(to_tuple) \
    H(quick_step_slice) H(list_set_slice) H(quick_truth) H(quick_instance) H(enter_context) H(note_container)

#define HELPER_ROW(name) {#name, (void *)(uintptr_t)pepjit_##name},
const struct pepjit_helper pepjit_helpers[] = {HELPERS(HELPER_ROW)};
const uint32_t pepjit_helper_count = sizeof pepjit_helpers / sizeof pepjit_helpers[0];
