/* What compiled code calls for the interpreter's own classes and functions: the same results and errors as the generic way, without the
 * dispatch. Functions with `quick` in their comment run no Python code and answer "not me" (null or -1, no exception) instead of raising. */
#include "internal.h"

#include "internal/pycore_pyerrors.h"
#include "internal/pycore_pystate.h"
#include "internal/pycore_setobject.h"
#include "internal/pycore_unicodeobject.h"

/* ---------------------------------------------------------------- functions and methods in C */

/* How the calls by address are made, and what comes after. */
enum { KEYWORDS = 1, WAITS = 2 };

/* As the interpreter, functions of one argument or none check that there is room on the C stack; what is short of it goes the long way round,
 * where the error is made. */
static inline bool has_room(void)
{
    return __builtin_expect((uint64_t)(uintptr_t)__builtin_frame_address(0) > pepjit_stack_limit, 1);
}

Obj pepjit_native_one(int64_t address, int64_t flags, Obj self, Obj argument)
{
    Obj result;
    if (has_room()) {
        result = ((PyCFunction)(uintptr_t)address)(self, argument);
    }
    else {
        PyThreadState *tstate = PyThreadState_GetUnchecked();
        result = NULL;
        if (!_Py_EnterRecursiveCallTstate(tstate, " while calling a Python object")) {
            result = ((PyCFunction)(uintptr_t)address)(self, argument);
            _Py_LeaveRecursiveCallTstate(tstate);
        }
    }
    check_owner_here();
    return flags & WAITS ? served(result) : result;
}

Obj pepjit_native_none(int64_t address, int64_t flags, Obj self) { return pepjit_native_one(address, flags, self, NULL); }

static inline Obj fast_call(int64_t address, Obj self, Obj const *arguments, Py_ssize_t count, int64_t flags)
{
    Obj result;
    if (flags & KEYWORDS) {
        result = ((PyCFunctionFastWithKeywords)(void (*)(void))(uintptr_t)address)(self, arguments, count, NULL);
    }
    else {
        result = ((PyCFunctionFast)(void (*)(void))(uintptr_t)address)(self, arguments, count);
    }
    check_owner_here();
    return flags & WAITS ? served(result) : result;
}

/* Functions that take an array of arguments (METH_FASTCALL). */
Obj pepjit_native_fast0(int64_t address, int64_t flags, Obj self) { return fast_call(address, self, NULL, 0, flags); }

Obj pepjit_native_fast1(int64_t address, int64_t flags, Obj self, Obj a) { return fast_call(address, self, &a, 1, flags); }

Obj pepjit_native_fast2(int64_t address, int64_t flags, Obj self, Obj a, Obj b)
{
    Obj arguments[] = {a, b};
    return fast_call(address, self, arguments, 2, flags);
}

Obj pepjit_native_fast3(int64_t address, int64_t flags, Obj self, Obj a, Obj b, Obj c)
{
    Obj arguments[] = {a, b, c};
    return fast_call(address, self, arguments, 3, flags);
}

/* ---------------------------------------------------------------- lengths, items, slices */

/* Quick: the length of an object of one of the commonest classes. */
int64_t pepjit_quick_len(Obj object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (type == &PyList_Type || type == &PyTuple_Type || type == &PyBytes_Type || type == &PyByteArray_Type) {
        return Py_SIZE(object);
    }
    if (type == &PyUnicode_Type) {
        return PyUnicode_GET_LENGTH(object);
    }
    if (type == &PyDict_Type) {
        return ((PyDictObject *)object)->ma_used;
    }
    if (type == &PySet_Type || type == &PyFrozenSet_Type) {
        return PySet_GET_SIZE(object);
    }
    if (type == pepjit_array_type) {
        return Py_SIZE(object);
    }
    return -1;
}

/* Quick: an item of a sequence, with a new reference. */
Obj pepjit_quick_item(Obj object, int64_t index)
{
    PyTypeObject *type = Py_TYPE(object);
    if (type == &PyUnicode_Type) {
        int64_t length = PyUnicode_GET_LENGTH(object);
        index += index < 0 ? length : 0;
        return (uint64_t)index < (uint64_t)length ? pepjit_quick_chr(PyUnicode_READ_CHAR(object, index)) : NULL;
    }
    if (type != &PyList_Type && type != &PyTuple_Type && type != &PyBytes_Type && type != &PyByteArray_Type) {
        return NULL;
    }
    int64_t size = Py_SIZE(object);
    index += index < 0 ? size : 0;
    if ((uint64_t)index >= (uint64_t)size) {
        return NULL;
    }
    if (type == &PyList_Type) {
        return Py_NewRef(PyList_GET_ITEM(object, index));
    }
    if (type == &PyTuple_Type) {
        return Py_NewRef(PyTuple_GET_ITEM(object, index));
    }
    const char *bytes = type == &PyBytes_Type ? PyBytes_AS_STRING(object) : PyByteArray_AS_STRING(object);
    return pepjit_small_int((unsigned char)bytes[index]);
}

static inline int64_t clip(int64_t index, int64_t size)
{
    if (index < 0) {
        index += size;
        return index < 0 ? 0 : index;
    }
    return index > size ? size : index;
}

/* Quick: object[start:stop] of a sequence. An absent bound is 0 or INT64_MAX. */
Obj pepjit_quick_slice(Obj object, int64_t start, int64_t stop)
{
    PyTypeObject *type = Py_TYPE(object);
    int64_t size;
    if (type == &PyUnicode_Type) {
        size = PyUnicode_GET_LENGTH(object);
    }
    else if (type == &PyList_Type || type == &PyTuple_Type || type == &PyBytes_Type) {
        size = Py_SIZE(object);
    }
    else {
        return NULL;
    }
    start = clip(start, size);
    stop = clip(stop, size);
    stop = stop < start ? start : stop;
    Obj result;
    if (type == &PyUnicode_Type) {
        result = stop - start == 1 ? PyUnicode_FromOrdinal((int)PyUnicode_READ_CHAR(object, start)) : PyUnicode_Substring(object, start, stop);
    }
    else if (type == &PyList_Type) {
        result = PyList_GetSlice(object, start, stop);
    }
    else if (type == &PyTuple_Type) {
        result = PyTuple_GetSlice(object, start, stop);
    }
    else if (stop - start == size) {
        result = Py_NewRef(object);
    }
    else {
        result = PyBytes_FromStringAndSize(PyBytes_AS_STRING(object) + start, stop - start);
    }
    if (result == NULL) {
        PyErr_Clear();
    }
    return result;
}

/* Quick: object[start:stop:step] of a list, a tuple or an ASCII string. Absent bounds are the outermost ints. */
Obj pepjit_quick_step_slice(Obj object, int64_t start, int64_t stop, int64_t step)
{
    PyTypeObject *type = Py_TYPE(object);
    bool text = type == &PyUnicode_Type && PyUnicode_IS_ASCII(object);
    if ((!text && type != &PyList_Type && type != &PyTuple_Type) || step == 0 || step == INT64_MIN) {
        return NULL;
    }
    Py_ssize_t first = start, last = stop;
    Py_ssize_t count = PySlice_AdjustIndices(text ? PyUnicode_GET_LENGTH(object) : Py_SIZE(object), &first, &last, step);
    Obj result = text ? PyUnicode_New(count, 127) : type == &PyList_Type ? PyList_New(count) : PyTuple_New(count);
    if (result == NULL) {
        PyErr_Clear();
        return NULL;
    }
    if (text) {
        const Py_UCS1 *from = PyUnicode_1BYTE_DATA(object);
        Py_UCS1 *to = PyUnicode_1BYTE_DATA(result);
        for (Py_ssize_t i = 0; i < count; i++) {
            to[i] = from[first + i * step];
        }
        return result;
    }
    Obj *from = type == &PyList_Type ? ((PyListObject *)object)->ob_item : ((PyTupleObject *)object)->ob_item;
    Obj *to = type == &PyList_Type ? ((PyListObject *)result)->ob_item : ((PyTupleObject *)result)->ob_item;
    for (Py_ssize_t i = 0; i < count; i++) {
        to[i] = Py_NewRef(from[first + i * step]);
    }
    return result;
}

/* list[start:stop] = value: 0, -1 with an exception, or 1, and nothing done, if they aren't exact lists (or the value a tuple). */
int64_t pepjit_list_set_slice(Obj list, int64_t start, int64_t stop, Obj value)
{
    if (!PyList_CheckExact(list) || !(PyList_CheckExact(value) || PyTuple_CheckExact(value))) {
        return 1;
    }
    int64_t size = Py_SIZE(list);
    start = clip(start, size);
    stop = clip(stop, size);
    int status = PyList_SetSlice(list, start, stop < start ? start : stop, value);
    check_owner_here();
    return status;
}

/* Quick: the truth of an object of one of the commonest classes, or of one that says nothing of its truth. */
int64_t pepjit_quick_truth(Obj object)
{
    if (object == Py_True) {
        return 1;
    }
    if (object == Py_False || object == Py_None) {
        return 0;
    }
    PyTypeObject *type = Py_TYPE(object);
    if (type == &PyLong_Type) {
        return !_PyLong_IsZero((PyLongObject *)object);
    }
    if (type == &PyFloat_Type) {
        return PyFloat_AS_DOUBLE(object) != 0.0;
    }
    int64_t length = pepjit_quick_len(object);
    if (length >= 0) {
        return length != 0;
    }
    bool silent = (type->tp_as_number == NULL || type->tp_as_number->nb_bool == NULL) &&
                  (type->tp_as_mapping == NULL || type->tp_as_mapping->mp_length == NULL) &&
                  (type->tp_as_sequence == NULL || type->tp_as_sequence->sq_length == NULL);
    return silent ? 1 : -1;
}

/* Quick: isinstance, if the class is a plain one and the object tells its own class. */
int64_t pepjit_quick_instance(Obj object, Obj class)
{
    static Obj name, plain;
    PyTypeObject *type = Py_TYPE(object);
    if (!PyType_CheckExact(class)) {
        return -1;
    }
    if (type == (PyTypeObject *)class || PyType_IsSubtype(type, (PyTypeObject *)class)) {
        return 1;
    }
    if (name == NULL) {
        name = PyUnicode_InternFromString("__class__");
        if (name == NULL) {
            PyErr_Clear();
            return -1;
        }
        plain = _PyType_Lookup(&PyBaseObject_Type, name);
    }
    return type->tp_getattro == PyObject_GenericGetAttr && plain != NULL && _PyType_Lookup(type, name) == plain ? 0 : -1;
}

/* ---------------------------------------------------------------- strings */

/* The function behind a class's own __format__. */
static PyCFunction formatter(PyTypeObject *type)
{
    Obj methods = PyType_GetDict(type);
    Obj found = methods != NULL ? PyDict_GetItemString(methods, "__format__") : NULL;
    PyMethodDef *definition = found != NULL && Py_IS_TYPE(found, &PyMethodDescr_Type) ? ((PyMethodDescrObject *)found)->d_method : NULL;
    Py_XDECREF(methods);
    return definition != NULL && (definition->ml_flags & METH_O) ? definition->ml_meth : NULL;
}

Obj pepjit_format_with_spec(Obj value, Obj spec)
{
    static PyCFunction of_int, of_float, of_str;
    static bool known;
    if (!known) {
        of_int = formatter(&PyLong_Type);
        of_float = formatter(&PyFloat_Type);
        of_str = formatter(&PyUnicode_Type);
        known = true;
    }
    PyTypeObject *type = Py_TYPE(value);
    PyCFunction format = type == &PyLong_Type ? of_int : type == &PyUnicode_Type ? of_str : type == &PyFloat_Type ? of_float : NULL;
    if (format != NULL && PyUnicode_CheckExact(spec) && PyUnicode_GET_LENGTH(spec) != 0) {
        return format(value, spec);
    }
    Obj result = PyObject_Format(value, spec);
    check_owner_here();
    return result;
}

static inline bool same_text(Obj left, Obj right)
{
    int64_t length = PyUnicode_GET_LENGTH(left);
    int kind = PyUnicode_KIND(left);
    if (length != PyUnicode_GET_LENGTH(right) || kind != (int)PyUnicode_KIND(right)) {
        return false;
    }
    const char *one = PyUnicode_DATA(left);
    const char *other = PyUnicode_DATA(right);
    return length == 0 || (*one == *other && memcmp(one, other, (size_t)(length * kind)) == 0);
}

int64_t pepjit_str_equal(Obj left, Obj right) { return left == right || same_text(left, right); }

int64_t pepjit_str_compare(Obj left, Obj right)
{
    if (PyUnicode_KIND(left) == PyUnicode_1BYTE_KIND && PyUnicode_KIND(right) == PyUnicode_1BYTE_KIND) {
        int64_t one = PyUnicode_GET_LENGTH(left);
        int64_t other = PyUnicode_GET_LENGTH(right);
        if (one > 0 && other > 0) {
            int order = PyUnicode_1BYTE_DATA(left)[0] - PyUnicode_1BYTE_DATA(right)[0];
            if (order == 0) {
                order = memcmp(PyUnicode_1BYTE_DATA(left), PyUnicode_1BYTE_DATA(right), (size_t)(one < other ? one : other));
            }
            if (order != 0) {
                return order;
            }
        }
        return (one > other) - (one < other);
    }
    return PyUnicode_Compare(left, right);
}

/* Quick, of exact strings: whether the second is in the first. */
int64_t pepjit_str_contains(Obj text, Obj part)
{
    if (PyUnicode_GET_LENGTH(part) == 1 && PyUnicode_KIND(part) == PyUnicode_1BYTE_KIND && PyUnicode_KIND(text) == PyUnicode_1BYTE_KIND) {
        return memchr(PyUnicode_1BYTE_DATA(text), PyUnicode_1BYTE_DATA(part)[0], (size_t)PyUnicode_GET_LENGTH(text)) != NULL;
    }
    int found = PyUnicode_Contains(text, part);
    if (found < 0) {
        PyErr_Clear();
    }
    return found;
}

/* Quick: ord of a string of one character or a byte. */
int64_t pepjit_quick_ord(Obj object)
{
    if (PyUnicode_CheckExact(object) && PyUnicode_GET_LENGTH(object) == 1) {
        return PyUnicode_READ_CHAR(object, 0);
    }
    if (PyBytes_CheckExact(object) && Py_SIZE(object) == 1) {
        return (unsigned char)PyBytes_AS_STRING(object)[0];
    }
    return -1;
}

/* Quick: chr. */
Obj pepjit_quick_chr(int64_t code)
{
    Obj result = code >= 0 && code <= 0x10ffff ? PyUnicode_FromOrdinal((int)code) : NULL;
    if (result == NULL) {
        PyErr_Clear();
    }
    return result;
}

/* ---------------------------------------------------------------- numbers */

static inline bool is_compact(Obj object)
{
    return PyLong_CheckExact(object) && _PyLong_IsCompact((PyLongObject *)object);
}

static inline bool all(bool first, bool second, bool third, Obj last) { return first && second && (last == NULL || third); }

/* Quick: min (op Py_LT) or max (op Py_GT) of two or three: the first of which no other is really less or greater. */
Obj pepjit_quick_min_max(Obj first, Obj second, Obj third, int64_t op)
{
    Obj items[] = {first, second, third};
    int count = third != NULL ? 3 : 2;
    Obj best = first;
    if (all(is_compact(first), is_compact(second), third != NULL && is_compact(third), third)) {
        for (int i = 1; i < count; i++) {
            Py_ssize_t one = _PyLong_CompactValue((PyLongObject *)best);
            Py_ssize_t other = _PyLong_CompactValue((PyLongObject *)items[i]);
            best = (op == Py_LT ? other < one : other > one) ? items[i] : best;
        }
    }
    else if (all(PyFloat_CheckExact(first), PyFloat_CheckExact(second), third != NULL && PyFloat_CheckExact(third), third)) {
        for (int i = 1; i < count; i++) {
            double one = PyFloat_AS_DOUBLE(best);
            double other = PyFloat_AS_DOUBLE(items[i]);
            best = (op == Py_LT ? other < one : other > one) ? items[i] : best;
        }
    }
    else {
        return NULL;
    }
    return Py_NewRef(best);
}

/* int(x), float(x), str(x), tuple(x) by the classes themselves. */
Obj pepjit_to_int(Obj value)
{
    if (PyLong_CheckExact(value)) {
        return Py_NewRef(value);
    }
    Obj result = PyUnicode_CheckExact(value) ? PyLong_FromUnicodeObject(value, 10) : PyNumber_Long(value);
    check_owner_here();
    return result;
}

Obj pepjit_to_float(Obj value)
{
    Obj result = PyUnicode_CheckExact(value) ? PyFloat_FromString(value) : PyNumber_Float(value);
    check_owner_here();
    return result;
}

Obj pepjit_to_str(Obj value)
{
    Obj result = PyObject_Str(value);
    check_owner_here();
    return result;
}

Obj pepjit_to_tuple(Obj value)
{
    Obj result = PySequence_Tuple(value);
    check_owner_here();
    return result;
}
