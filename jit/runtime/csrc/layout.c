/* Where the interpreter keeps things. */
#include "internal.h"

#include "internal/pycore_global_objects.h"
#include "internal/pycore_pystate.h"

/* The start of an enumerate, which no header tells (Objects/enumobject.c); checked below. */
struct enumeration {
    PyObject ob_base;
    Py_ssize_t index;
    PyObject *iterator;
};

/* An item of an array, by its kind. */
union element {
    int8_t i8;
    uint8_t u8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    float f32;
    double f64;
};

/* name (pepjit_ir::Field::name), structure, member, width in bytes: in the order of pepjit_ir::Field::ALL. */
#define FIELDS(F)                                                        \
    F("refcount", PyObject, ob_refcnt, 0)                                \
    F("ob_type", PyObject, ob_type, 8)                                   \
    F("ob_size", PyVarObject, ob_size, 8)                                \
    F("lv_tag", PyLongObject, long_value.lv_tag, 8)                      \
    F("ob_digit", PyLongObject, long_value.ob_digit, 4)                  \
    F("ob_fval", PyFloatObject, ob_fval, 8)                              \
    F("list.ob_item", PyListObject, ob_item, 8)                          \
    F("list.allocated", PyListObject, allocated, 8)                      \
    F("tuple.ob_item", PyTupleObject, ob_item, 8)                        \
    F("list_iter.index", _PyListIterObject, it_index, 8)                 \
    F("list_iter.seq", _PyListIterObject, it_seq, 8)                     \
    F("tuple_iter.index", _PyTupleIterObject, it_index, 8)               \
    F("tuple_iter.seq", _PyTupleIterObject, it_seq, 8)                   \
    F("range_iter.start", _PyRangeIterObject, start, 8)                  \
    F("range_iter.step", _PyRangeIterObject, step, 8)                    \
    F("range_iter.len", _PyRangeIterObject, len, 8)                      \
    F("cell.contents", PyCellObject, ob_ref, 8)                          \
    F("keys.version", PyDictKeysObject, dk_version, 4)                   \
    F("function.closure", PyFunctionObject, func_closure, 8)             \
    F("function.vectorcall", PyFunctionObject, vectorcall, 8)            \
    F("dict.used", PyDictObject, ma_used, 8)                             \
    F("str.length", PyASCIIObject, length, 8)                            \
    F("set.used", PySetObject, used, 8)                                  \
    F("enumerate.index", struct enumeration, index, 8)                   \
    F("enumerate.iterator", struct enumeration, iterator, 8)             \
    F("bytes.items", PyBytesObject, ob_sval, 1)                          \
    F("bytearray.items", PyByteArrayObject, ob_start, 8)                 \
    F("method.function", PyMethodObject, im_func, 8)                     \
    F("method.self", PyMethodObject, im_self, 8)                         \
    F("builtin.self", PyCFunctionObject, m_self, 8)                      \
    F("array.ob_item", struct pepjit_array, ob_item, 8)                  \
    F("array.ob_descr", struct pepjit_array, ob_descr, 8)                \
    F("array.i8", union element, i8, 1)                                  \
    F("array.u8", union element, u8, 1)                                  \
    F("array.i16", union element, i16, 2)                                \
    F("array.u16", union element, u16, 2)                                \
    F("array.i32", union element, i32, 4)                                \
    F("array.u32", union element, u32, 4)                                \
    F("array.i64", union element, i64, 8)                                \
    F("array.f32", union element, f32, 4)                                \
    F("array.f64", union element, f64, 8)                                \
    F("tstate.eval_breaker", PyThreadState, eval_breaker, 8)

#define FIELD_NAME(name, type, member, width) name,
#define FIELD_OFFSET(name, type, member, width) (int32_t)offsetof(type, member),
#define FIELD_CHECK(name, type, member, width) \
    _Static_assert((width) == 0 || sizeof(((type *)0)->member) == (width) || sizeof(((type *)0)->member) % (width) == 0, name);

const char *const pepjit_field_names[] = {FIELDS(FIELD_NAME)};
const int32_t pepjit_field_offsets[] = {FIELDS(FIELD_OFFSET)};
const uint32_t pepjit_field_count = sizeof pepjit_field_offsets / sizeof pepjit_field_offsets[0];

FIELDS(FIELD_CHECK)
_Static_assert(sizeof(digit) == 4 && PyLong_SHIFT == 30, "ints have 30-bit digits");
_Static_assert(sizeof(((PyThreadState *)0)->py_recursion_remaining) == 4, "py_recursion_remaining is 4 bytes");
_Static_assert(offsetof(PyObject, ob_refcnt) == 0, "the reference count's low half is at the start of an object");
_Static_assert(sizeof(pepjit_entry) == 8, "frame entries are words");
_Static_assert(offsetof(PyDictValues, valid) == 3 && offsetof(PyDictValues, values) == 8, "inline values");
_Static_assert(_PyLong_NON_SIZE_BITS == 3, "lv_tag has the digit count above bit 3");
_Static_assert((PEPJIT_NULL_WORD & ~1) == 0, "an empty local is 0 or 1");

#if PEPJIT_314
static struct pepjit_free_list free_list(struct _Py_freelist *list, int64_t most)
{
    return (struct pepjit_free_list){(uint64_t)(uintptr_t)&list->freelist, (uint64_t)(uintptr_t)&list->size, sizeof list->size, 0, most};
}
#endif

void pepjit_process_layout(struct pepjit_process *out)
{
    out->none = (uint64_t)(uintptr_t)Py_None;
    out->true_object = (uint64_t)(uintptr_t)Py_True;
    out->false_object = (uint64_t)(uintptr_t)Py_False;
    out->int_type = (uint64_t)(uintptr_t)&PyLong_Type;
    out->float_type = (uint64_t)(uintptr_t)&PyFloat_Type;
    out->small_ints = (uint64_t)(uintptr_t)&_Py_SINGLETON(small_ints)[0];
    out->small_int_size = sizeof(PyLongObject);
    __auto_type lists = &PyInterpreterState_Get()->object_state.freelists;
#if PEPJIT_314
    out->floats = free_list(&lists->floats, Py_floats_MAXFREELIST);
    out->ints = free_list(&lists->ints, Py_ints_MAXFREELIST);
#else
    out->floats = (struct pepjit_free_list){(uint64_t)(uintptr_t)&lists->floats.items, (uint64_t)(uintptr_t)&lists->floats.numfree,
                                            sizeof lists->floats.numfree, offsetof(PyObject, ob_type), PyFloat_MAXFREELIST};
    out->ints = (struct pepjit_free_list){0};
#endif
    out->ref_tracer = (uint64_t)(uintptr_t)&_PyRuntime.ref_tracer.tracer_func;
}

PyObject *pepjit_small_int(uint32_t value)
{
    return value < _PY_NSMALLPOSINTS ? (PyObject *)&_Py_SINGLETON(small_ints)[_PY_NSMALLNEGINTS + value] : NULL;
}

/* The words of a frame that don't depend on where it is. */
void pepjit_frame_layout(PyObject *function, struct pepjit_frame_layout *out)
{
    PyFunctionObject *func = (PyFunctionObject *)function;
    PyCodeObject *code = (PyCodeObject *)func->func_code;
    memset(out, 0, sizeof *out);
    out->current_frame = offsetof(PyThreadState, current_frame);
    out->datastack_top = offsetof(PyThreadState, datastack_top);
    out->datastack_limit = offsetof(PyThreadState, datastack_limit);
    out->py_recursion_remaining = offsetof(PyThreadState, py_recursion_remaining);
    out->previous = offsetof(pepjit_frame, previous);
    out->instr_ptr = offsetof(pepjit_frame, instr_ptr);
    out->frame_obj = offsetof(pepjit_frame, frame_obj);
    out->localsplus = offsetof(pepjit_frame, localsplus);
    out->frame_size = code->co_framesize * (int)sizeof(PyObject *);
    out->code_start = (uint64_t)(uintptr_t)_PyCode_CODE(code);
    out->null_word = PEPJIT_NULL_WORD;
    out->nlocalsplus = (uint32_t)code->co_nlocalsplus;

    pepjit_frame frame;
    memset(&frame, 0, sizeof frame);
#if PEPJIT_314
    out->stackpointer = offsetof(pepjit_frame, stackpointer);
    out->stacktop = -1;
    frame.f_executable = PyStackRef_FromPyObjectBorrow((PyObject *)code);
    frame.f_funcobj = PyStackRef_FromPyObjectBorrow(function);
#else
    out->stackpointer = -1;
    out->stacktop = offsetof(pepjit_frame, stacktop);
    frame.f_executable = (PyObject *)code;
    frame.f_funcobj = function;
    frame.stacktop = code->co_nlocalsplus;
#endif
    frame.f_globals = func->func_globals;
    frame.f_builtins = func->func_builtins;
    frame.owner = FRAME_OWNED_BY_THREAD;
    frame.return_offset = PEPJIT_LIGHT;

    for (size_t offset = 0; offset < offsetof(pepjit_frame, localsplus); offset += 8) {
        if (offset == offsetof(pepjit_frame, previous) || offset == offsetof(pepjit_frame, instr_ptr)) {
            continue;
        }
#if PEPJIT_314
        if (offset == offsetof(pepjit_frame, stackpointer)) {
            continue;
        }
#endif
        struct pepjit_word *word = &out->template_[out->ntemplate++];
        word->offset = (int64_t)offset;
        memcpy(&word->value, (char *)&frame + offset, 8);
    }
}

_Static_assert(offsetof(pepjit_frame, localsplus) % 8 == 0 && offsetof(pepjit_frame, localsplus) / 8 <= 14, "frame template");
_Static_assert(offsetof(pepjit_frame, previous) % 8 == 0 && offsetof(pepjit_frame, instr_ptr) % 8 == 0, "frame template");

int pepjit_minor_version(void)
{
    return PY_MINOR_VERSION;
}

static int check(bool condition, const char *what)
{
    if (!condition) {
        PyErr_Format(PyExc_ImportError,
                     "pepjit was built for CPython %d.%d, but in this interpreter (%s) %s is not where it was; rebuild pepjit against this interpreter's "
                     "headers (PEPJIT_PYTHON)",
                     PY_MAJOR_VERSION, PY_MINOR_VERSION, Py_GetVersion(), what);
    }
    return condition;
}

/* Compares the headers' idea of objects with what the API says about live ones. */
static int check_objects(void)
{
    int good = 0;
    PyObject *list = Py_BuildValue("[iii]", 1, 2, 3);
    PyObject *iterator = list != NULL ? PyObject_GetIter(list) : NULL;
    PyObject *number = PyFloat_FromDouble(1.5);
    PyObject *integer = PyLong_FromLong(123456);
    PyObject *range = PyObject_CallFunction((PyObject *)&PyRange_Type, "iii", 3, 11, 2);
    PyObject *range_iterator = range != NULL ? PyObject_GetIter(range) : NULL;
    PyObject *enumerate = iterator != NULL ? PyObject_CallFunction((PyObject *)&PyEnum_Type, "On", iterator, (Py_ssize_t)41) : NULL;
    PyObject *bytes = PyByteArray_FromStringAndSize("ab", 2);
    if (enumerate != NULL && bytes != NULL && iterator != NULL && number != NULL && integer != NULL && range_iterator != NULL) {
        _PyListIterObject *list_iterator = (_PyListIterObject *)iterator;
        _PyRangeIterObject *range_fields = (_PyRangeIterObject *)range_iterator;
        struct enumeration *enumeration = (struct enumeration *)enumerate;
        good = check(PyList_GetItem(list, 2) == ((PyListObject *)list)->ob_item[2] && Py_SIZE(list) == 3, "the contents of a list") &&
               check(list_iterator->it_index == 0 && (PyObject *)list_iterator->it_seq == list, "the state of a list iterator") &&
               check(((PyFloatObject *)number)->ob_fval == 1.5, "the value of a float") &&
               check(((PyLongObject *)integer)->long_value.ob_digit[0] == 123456 && ((PyLongObject *)integer)->long_value.lv_tag >> 3 == 1,
                     "the value of an int") &&
               check(enumeration->index == 41 && enumeration->iterator == iterator, "the state of an enumerate") &&
               check(PyByteArray_AsString(bytes) == ((PyByteArrayObject *)bytes)->ob_start, "the contents of a bytearray") &&
               check(range_fields->start == 3 && range_fields->step == 2 && range_fields->len == 4, "the state of a range iterator");
    }
    Py_XDECREF(bytes);
    Py_XDECREF(enumerate);
    Py_XDECREF(range_iterator);
    Py_XDECREF(range);
    Py_XDECREF(integer);
    Py_XDECREF(number);
    Py_XDECREF(iterator);
    Py_XDECREF(list);
    return good ? 0 : -1;
}

int pepjit_layout_check(void)
{
    if ((Py_Version >> 16) != (PY_VERSION_HEX >> 16)) {
        PyErr_Format(PyExc_ImportError,
                     "pepjit was built for CPython %d.%d, but this is %s; build it with PEPJIT_PYTHON naming this interpreter", PY_MAJOR_VERSION,
                     PY_MINOR_VERSION, Py_GetVersion());
        return -1;
    }
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    PyObject *one = PyLong_FromLong(1);
    int good = check(tstate->interp == PyInterpreterState_Get() && tstate->id == PyThreadState_GetID(tstate), "the thread state") &&
               check(one == pepjit_small_int(1), "the cache of small ints") &&
               check(tstate->py_recursion_limit == Py_GetRecursionLimit(), "the recursion limit") &&
               check((breaker_version(tstate) & _PY_EVAL_EVENTS_MASK) == 0 && tstate->interp->ceval.instrumentation_version == breaker_version(tstate),
                     "the instrumentation version");
    Py_XDECREF(one);
    return good ? check_objects() : -1;
}
