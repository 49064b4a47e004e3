/* What is subscripted where the interpreter has nothing to tell: arrays of numbers (array.array), once it's clear that their items are where we
 * think, and instances of classes that answer for it in Python. */
#include "internal.h"

#include "internal/pycore_global_strings.h"
#include "internal/pycore_runtime.h"

/* How often the same kind has to come by until it's worth compiling for. */
enum { ENOUGH = 24 };

static const char typecodes[] = PEPJIT_TYPECODES;
static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 8, 8, 4, 8};
enum { KINDS = sizeof sizes };
_Static_assert(sizeof typecodes == KINDS + 1, "a size for every typecode");
_Static_assert(sizeof(long) == 8 && sizeof(int) == 4, "the sizes of items");

/* The class, once an array has been seen, and the descriptors of the kinds whose layout has been compared. */
PyTypeObject *pepjit_array_type;
static const struct pepjit_array_descriptor *descriptors[KINDS];

/* Whether the first item is what memory says, read as an item of the kind. */
static bool same_item(const char *at, char typecode, PyObject *item)
{
    int64_t found;
    double number;
    switch (typecode) {
    case 'f':
        number = *(const float *)at;
        return PyFloat_CheckExact(item) && (PyFloat_AS_DOUBLE(item) == number || number != number);
    case 'd':
        number = *(const double *)at;
        return PyFloat_CheckExact(item) && (PyFloat_AS_DOUBLE(item) == number || number != number);
    case 'b':
        found = *(const int8_t *)at;
        break;
    case 'B':
        found = *(const uint8_t *)at;
        break;
    case 'h':
        found = *(const int16_t *)at;
        break;
    case 'H':
        found = *(const uint16_t *)at;
        break;
    case 'i':
        found = *(const int32_t *)at;
        break;
    case 'I':
        found = *(const uint32_t *)at;
        break;
    default:
        found = *(const int64_t *)at;
    }
    return PyLong_CheckExact(item) && PyLong_AsUnsignedLongLongMask(item) == (uint64_t)found;
}

/* Compares an array that isn't empty with what the buffer protocol and the sequence protocol tell of it. No Python code runs. */
static bool as_expected(PyObject *object, uint32_t kind)
{
    struct pepjit_array *array = (struct pepjit_array *)object;
    PyObject *part = PySequence_GetSlice(object, 0, 1);
    PyObject *item = PySequence_GetItem(object, 0);
    Py_buffer view;
    if (part == NULL || item == NULL || !Py_IS_TYPE(part, Py_TYPE(object)) || PyObject_GetBuffer(object, &view, PyBUF_FORMAT | PyBUF_WRITABLE) < 0) {
        PyErr_Clear();
        Py_XDECREF(item);
        Py_XDECREF(part);
        return false;
    }
    Py_ssize_t size = Py_SIZE(object);
    struct pepjit_array *other = (struct pepjit_array *)part;
    /* What is followed last is the same in both, unlike anything else but null. */
    bool good = view.format != NULL && view.format[0] == typecodes[kind] && view.format[1] == 0 && view.itemsize == sizes[kind] &&
                view.len == size * sizes[kind] && array->ob_item == view.buf && array->allocated >= size && array->ob_exports >= 1 &&
                Py_SIZE(part) == 1 && other->ob_item != array->ob_item && other->ob_exports == 0 && array->ob_descr != NULL &&
                other->ob_descr == array->ob_descr && array->ob_descr->typecode == typecodes[kind] &&
                array->ob_descr->itemsize == sizes[kind] && same_item(view.buf, typecodes[kind], item);
    PyBuffer_Release(&view);
    Py_DECREF(item);
    Py_DECREF(part);
    return good;
}

/* The typecode as the array itself tells it. */
static int kind_of(PyObject *object)
{
    PyObject *typecode = PyObject_GetAttrString(object, "typecode");
    Py_UCS4 code = typecode != NULL && PyUnicode_CheckExact(typecode) && PyUnicode_GET_LENGTH(typecode) == 1 ? PyUnicode_READ_CHAR(typecode, 0) : 0;
    Py_XDECREF(typecode);
    PyErr_Clear();
    for (int kind = 0; kind < KINDS; kind++) {
        if (code == (unsigned char)typecodes[kind]) {
            return kind;
        }
    }
    return -1;
}

static uint64_t look_at(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (type != pepjit_array_type) {
        bool found = pepjit_array_type == NULL && strcmp(type->tp_name, "array.array") == 0 && PyType_HasFeature(type, Py_TPFLAGS_IMMUTABLETYPE) &&
                     type->tp_basicsize == sizeof(struct pepjit_array) && type->tp_itemsize == 0;
        if (!found) {
            return PEPJIT_SEVERAL;
        }
    }
    else {
        const struct pepjit_array_descriptor *descriptor = ((struct pepjit_array *)object)->ob_descr;
        for (int kind = 0; kind < KINDS; kind++) {
            if (descriptors[kind] == descriptor) {
                return 1 + kind;
            }
        }
    }
    if (Py_SIZE(object) == 0) {
        return 0;
    }
    int kind = kind_of(object);
    if (kind < 0 || !as_expected(object, kind)) {
        return PEPJIT_SEVERAL;
    }
    if (pepjit_array_type == NULL) {
        pepjit_array_type = (PyTypeObject *)Py_NewRef(type);
    }
    descriptors[kind] = ((struct pepjit_array *)object)->ob_descr;
    return 1 + kind;
}

/* Whether a class says in Python what a subscript means. */
static bool is_function(PyTypeObject *type, PyObject *name)
{
    PyObject *found = _PyType_Lookup(type, name);
    return found != NULL && PyFunction_Check(found);
}

static uint64_t look_at_class(PyTypeObject *type)
{
    if (!PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) || !(is_function(type, &_Py_ID(__getitem__)) || is_function(type, &_Py_ID(__setitem__)))) {
        return PEPJIT_SEVERAL;
    }
    return type->tp_version_tag != 0 ? PEPJIT_OF_CLASS(type->tp_version_tag) : PEPJIT_SEVERAL;
}

uint64_t pepjit_container(PyObject *object)
{
    uint64_t seen = look_at(object);
    seen = seen == PEPJIT_SEVERAL ? look_at_class(Py_TYPE(object)) : seen;
    return seen == PEPJIT_SEVERAL ? 0 : seen;
}

PyObject *pepjit_subscript_name(int stores)
{
    return stores ? &_Py_ID(__setitem__) : &_Py_ID(__getitem__);
}

/* Notes what is subscripted; whether the same has come by often enough. */
int64_t pepjit_note_container(Obj container, Obj key, int64_t address)
{
    struct pepjit_site *site = (struct pepjit_site *)(uintptr_t)address;
    if (site->seen == PEPJIT_SEVERAL) {
        return 0;
    }
    PyTypeObject *type = Py_TYPE(container);
    uint64_t seen = PEPJIT_OF_CLASS(type->tp_version_tag);
    if (type->tp_version_tag == 0 || seen != site->seen) {
        seen = PyLong_CheckExact(key) ? look_at(container) : PEPJIT_SEVERAL;
        seen = seen == PEPJIT_SEVERAL ? look_at_class(type) : seen;
    }
    if (seen != site->seen && seen != 0) {
        if (site->seen != 0) {
            seen = PEPJIT_SEVERAL;
        }
        *site = (struct pepjit_site){seen, 0};
    }
    return site->seen != PEPJIT_SEVERAL && site->seen != 0 && ++site->count >= ENOUGH;
}

uint8_t pepjit_array(uint32_t kind, PyObject **type, uint64_t *descriptor)
{
    if (pepjit_array_type == NULL || kind >= KINDS || descriptors[kind] == NULL) {
        return 0;
    }
    *type = (PyObject *)pepjit_array_type;
    *descriptor = (uint64_t)(uintptr_t)descriptors[kind];
    return typecodes[kind];
}
