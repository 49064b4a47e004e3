/* What the compiler asks of the running process: objects, code, functions, classes. */
#include "internal.h"

#include "internal/pycore_descrobject.h"
#include "internal/pycore_global_objects.h"
#include "internal/pycore_pystate.h"
#define NEED_OPCODE_METADATA
#include "internal/pycore_opcode_metadata.h"
#if PEPJIT_315
#  include "internal/pycore_lazyimportobject.h"
#endif
#include "opcode_ids.h"

#include <stdlib.h>

int pepjit_caches(int opcode)
{
    return _PyOpcode_Caches[opcode & 0xff];
}

int pepjit_base_opcode(int opcode)
{
    return _PyOpcode_Deopt[opcode & 0xff];
}

/* ---------------------------------------------------------------- objects */

/* The bits of pepjit_ir::Type that stand for an exact class. */
static const struct {
    PyTypeObject *type;
    uint32_t bit;
} classes[] = {
    {&PyBool_Type, 2},      {&PyLong_Type, 3},   {&PyFloat_Type, 4},     {&PyUnicode_Type, 5},    {&PyList_Type, 6},
    {&PyTuple_Type, 7},     {&PyDict_Type, 8},   {&PyRange_Type, 9},     {&PyFunction_Type, 10},  {&PyCell_Type, 11},
    {&PyListIter_Type, 12}, {&PyTupleIter_Type, 13}, {&PyRangeIter_Type, 14}, {&PySet_Type, 15}, {&PyBytes_Type, 16},
    {&PyEnum_Type, 17},     {&PyByteArray_Type, 18}, {&PyMethod_Type, 20}, {&PyCFunction_Type, 21},
};
#define CLASS_COUNT (sizeof classes / sizeof classes[0])
#define TYPE_NONE (1u << 1)
#define TYPE_OTHER (1u << 23)

uint32_t pepjit_class_type(PyObject *type)
{
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        if (type == (PyObject *)classes[i].type) {
            return 1u << classes[i].bit;
        }
    }
    return type == (PyObject *)Py_TYPE(Py_None) ? TYPE_NONE : TYPE_OTHER;
}

uint32_t pepjit_object_type(PyObject *object)
{
    return pepjit_class_type((PyObject *)Py_TYPE(object));
}

PyObject *pepjit_well_known(uint32_t bit)
{
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        if (bit == 1u << classes[i].bit) {
            return (PyObject *)classes[i].type;
        }
    }
    return bit == TYPE_NONE ? (PyObject *)Py_TYPE(Py_None) : NULL;
}

void pepjit_describe(PyObject *object, struct pepjit_description *out)
{
    memset(out, 0, sizeof *out);
    out->type = pepjit_object_type(object);
    out->immortal = _Py_IsImmortal(object) ? 1 : 0;
    out->constant = PEPJIT_CONSTANT_OPAQUE;
    if (object == Py_None) {
        out->constant = PEPJIT_CONSTANT_NONE;
    }
    else if (PyBool_Check(object)) {
        out->constant = PEPJIT_CONSTANT_BOOL;
        out->int_value = object == Py_True;
    }
    else if (PyLong_CheckExact(object)) {
        int overflow;
        out->int_value = PyLong_AsLongLongAndOverflow(object, &overflow);
        out->constant = overflow ? PEPJIT_CONSTANT_OPAQUE : PEPJIT_CONSTANT_INT;
        out->int_value = overflow ? 0 : out->int_value;
    }
    else if (PyFloat_CheckExact(object)) {
        out->float_value = PyFloat_AS_DOUBLE(object);
        out->constant = PEPJIT_CONSTANT_FLOAT;
    }
}

static PyObject *label_text(PyObject *object)
{
    if (object == NULL) {
        return PyUnicode_FromString("NULL");
    }
    if (PyUnicode_CheckExact(object)) {
        return Py_NewRef(object);
    }
    /* PyObject_Repr, and the repr of a long int, would serve signals: what their handlers raise has no place here. */
    if (object == Py_None || PyBool_Check(object) || PyFloat_CheckExact(object)) {
        return Py_TYPE(object)->tp_repr(object);
    }
    if (PyLong_CheckExact(object)) {
        int overflow;
        long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
        return overflow ? PyUnicode_FromString("<int>") : PyUnicode_FromFormat("%lld", value);
    }
    if (PyFunction_Check(object)) {
        return Py_NewRef(((PyFunctionObject *)object)->func_qualname);
    }
    if (PyCode_Check(object)) {
        return PyUnicode_FromFormat("<code %U>", ((PyCodeObject *)object)->co_qualname);
    }
    if (PyType_Check(object)) {
        return PyUnicode_FromString(_PyType_Name((PyTypeObject *)object));
    }
    if (PyCFunction_Check(object)) {
        return PyUnicode_FromString(((PyCFunctionObject *)object)->m_ml->ml_name);
    }
    if (Py_IS_TYPE(object, &PyMethodDescr_Type)) {
        return PyUnicode_FromFormat("%s.%U", _PyType_Name(PyDescr_TYPE(object)), PyDescr_NAME(object));
    }
    if (PyModule_CheckExact(object)) {
        PyObject *name = PyModule_GetNameObject(object);
        return name != NULL && PyUnicode_Check(name) ? name : NULL;
    }
    return PyUnicode_FromFormat("<%s>", _PyType_Name(Py_TYPE(object)));
}

int64_t pepjit_label(PyObject *object, char *buffer, int64_t size)
{
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *text = label_text(object);
    Py_ssize_t length = 0;
    const char *bytes = text != NULL ? PyUnicode_AsUTF8AndSize(text, &length) : NULL;
    if (bytes == NULL) {
        bytes = "?";
        length = 1;
    }
    if (length > size - 1) {
        length = size - 1;
        while (length > 0 && ((unsigned char)bytes[length] & 0xc0) == 0x80) {
            length--;
        }
    }
    memcpy(buffer, bytes, (size_t)length);
    buffer[length] = 0;
    Py_XDECREF(text);
    PyErr_Clear();
    PyErr_SetRaisedException(exception);
    return length;
}

const char *pepjit_utf8(PyObject *str, int64_t *length)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(str, &size);
    if (text == NULL) {
        PyErr_Clear();
        size = 0;
    }
    *length = size;
    return text;
}

int pepjit_is_function(PyObject *object) { return PyFunction_Check(object); }
int pepjit_is_code(PyObject *object) { return PyCode_Check(object); }
int pepjit_is_class(PyObject *object) { return PyType_Check(object); }
int pepjit_is_module(PyObject *object) { return PyModule_CheckExact(object); }
void pepjit_incref(PyObject *object) { Py_INCREF(object); }
void pepjit_decref(PyObject *object) { Py_DECREF(object); }
int pepjit_keep(PyObject *object)
{
    if (Py_REFCNT(object) <= 0) {
        return 0;
    }
    Py_INCREF(object);
    return 1;
}

PyObject *pepjit_type_of(PyObject *object) { return (PyObject *)Py_TYPE(object); }
PyObject *pepjit_module_dict(PyObject *module) { return PyModule_GetDict(module); }
int64_t pepjit_tuple_size(PyObject *tuple) { return PyTuple_GET_SIZE(tuple); }
PyObject *pepjit_tuple_item(PyObject *tuple, int64_t index) { return PyTuple_GET_ITEM(tuple, index); }

PyObject *pepjit_common_constant(uint32_t number)
{
#if PEPJIT_314
    return number < NUM_COMMON_CONSTANTS ? PyInterpreterState_Get()->common_consts[number] : NULL;
#else
    return number == 0 ? PyExc_AssertionError : NULL;
#endif
}

PyObject *pepjit_dict_get(PyObject *dict, PyObject *key)
{
    if (!PyDict_CheckExact(dict) || !PyUnicode_CheckExact(key) || !DK_IS_UNICODE(((PyDictObject *)dict)->ma_keys)) {
        return NULL;
    }
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *value = PyDict_GetItemWithError(dict, key);
    PyErr_Clear();
    PyErr_SetRaisedException(exception);
#if PEPJIT_315
    /* A lazy import is replaced by what it names when it is first used. */
    if (value != NULL && PyLazyImport_CheckExact(value)) {
        return NULL;
    }
#endif
    return value;
}

int pepjit_dict_slot(PyObject *dict, PyObject *name, struct pepjit_dict_slot *out)
{
    if (!PyDict_CheckExact(dict) || ((PyDictObject *)dict)->ma_values != NULL) {
        return 0;
    }
    PyDictKeysObject *keys = ((PyDictObject *)dict)->ma_keys;
    if (!DK_IS_UNICODE(keys) || keys->dk_version == 0) {
        return 0;
    }
    PyDictUnicodeEntry *entries = DK_UNICODE_ENTRIES(keys);
    for (Py_ssize_t i = 0; i < keys->dk_nentries; i++) {
        if (entries[i].me_key == name && entries[i].me_value != NULL) {
            out->keys_slot = (uint64_t)(uintptr_t)&((PyDictObject *)dict)->ma_keys;
            out->version = keys->dk_version;
            out->word = (uint64_t)(((char *)&entries[i].me_value - (char *)keys) / (ptrdiff_t)sizeof(PyObject *));
#if PEPJIT_315
            out->placeholder = (uint64_t)(uintptr_t)&PyLazyImport_Type;
#else
            out->placeholder = 0;
#endif
            return 1;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- functions and code */

void pepjit_function_info(PyObject *function, struct pepjit_function *out)
{
    PyFunctionObject *func = (PyFunctionObject *)function;
    out->code = func->func_code;
    out->globals = func->func_globals;
    out->builtins = func->func_builtins;
    out->defaults = func->func_defaults;
    out->kwdefaults = func->func_kwdefaults;
    out->closure = func->func_closure;
    out->qualname = func->func_qualname;
    out->vectorcall = (void *)func->vectorcall;
    out->version = function_version(func);
    /* The collector may have cleared the function. */
    out->plain_dicts = func->func_globals != NULL && PyDict_CheckExact(func->func_globals) && func->func_builtins != NULL &&
        PyDict_CheckExact(func->func_builtins);
}

PyObject *pepjit_function_of_version(uint32_t version)
{
    struct _func_version_cache_item *item = PyInterpreterState_Get()->func_state.func_version_cache + version % FUNC_VERSION_CACHE_SIZE;
    return version != 0 && item->func != NULL && function_version(item->func) == version ? (PyObject *)item->func : NULL;
}

static uint32_t table_number(const uint8_t **table)
{
    uint32_t value = **table & 63;
    while (*(*table)++ & 64) {
        value = value << 6 | (**table & 63);
    }
    return value;
}

/* Parses the exception table; with handlers NULL it only counts. */
static uint32_t read_handlers(PyCodeObject *code, struct pepjit_handler *handlers)
{
    const uint8_t *table = (const uint8_t *)PyBytes_AS_STRING(code->co_exceptiontable);
    const uint8_t *end = table + PyBytes_GET_SIZE(code->co_exceptiontable);
    uint32_t count = 0;
    while (table < end) {
        uint32_t start = table_number(&table);
        uint32_t size = table_number(&table);
        uint32_t target = table_number(&table);
        uint32_t depth_lasti = table_number(&table);
        if (handlers != NULL) {
            handlers[count] = (struct pepjit_handler){start, start + size, target, depth_lasti >> 1, depth_lasti & 1};
        }
        count++;
    }
    return count;
}

int pepjit_code_info(PyObject *code_object, struct pepjit_code *out)
{
    PyCodeObject *code = (PyCodeObject *)code_object;
    memset(out, 0, sizeof *out);
    PyObject *base = PyCode_GetCode(code);
    if (base == NULL) {
        PyErr_Clear();
        return -1;
    }
    uint32_t units = (uint32_t)Py_SIZE(code);
    uint32_t slots = (uint32_t)code->co_nlocalsplus;
    out->nunits = units;
    out->nhandlers = read_handlers(code, NULL);
    out->base = malloc(units * sizeof(uint16_t) + 1);
    out->adaptive = malloc(units * sizeof(uint16_t) + 1);
    out->handlers = malloc(out->nhandlers * sizeof *out->handlers + 1);
    out->local_kinds = malloc(slots + 1);
    if (out->base == NULL || out->adaptive == NULL || out->handlers == NULL || out->local_kinds == NULL) {
        Py_DECREF(base);
        pepjit_code_release(out);
        return -1;
    }
    memcpy(out->base, PyBytes_AS_STRING(base), units * sizeof(uint16_t));
    memcpy(out->adaptive, _PyCode_CODE(code), units * sizeof(uint16_t));
    Py_DECREF(base);
    for (uint32_t i = 0; i < units;) {
        int opcode = out->adaptive[i] & 0xff;
        int base_opcode = out->base[i] & 0xff;
        if (opcode == ENTER_EXECUTOR) {
            out->has_executors = 1;
            out->adaptive[i] = out->base[i];
        }
        else if (opcode >= MIN_INSTRUMENTED_OPCODE) {
            out->adaptive[i] = out->base[i];
        }
        i += 1 + (uint32_t)_PyOpcode_Caches[base_opcode];
    }
    read_handlers(code, out->handlers);
    for (uint32_t i = 0; i < slots; i++) {
        _PyLocals_Kind kind = _PyLocals_GetKind(code->co_localspluskinds, (int)i);
        out->local_kinds[i] = kind & CO_FAST_FREE ? PEPJIT_FREE : kind & CO_FAST_CELL ? PEPJIT_CELL : PEPJIT_LOCAL;
    }
    out->consts = code->co_consts;
    out->names = code->co_names;
    out->localsplusnames = code->co_localsplusnames;
    out->qualname = code->co_qualname;
    out->filename = code->co_filename;
    out->code_start = (uint64_t)(uintptr_t)_PyCode_CODE(code);
    out->nlocals = (uint32_t)code->co_nlocals;
    out->nlocalsplus = slots;
    out->argcount = (uint32_t)code->co_argcount;
    out->posonlyargcount = (uint32_t)code->co_posonlyargcount;
    out->kwonlyargcount = (uint32_t)code->co_kwonlyargcount;
    out->stacksize = (uint32_t)code->co_stacksize;
    out->flags = (uint32_t)code->co_flags;
    out->first_traceable = (uint32_t)code->_co_firsttraceable;
    out->first_line = (uint32_t)code->co_firstlineno;
    out->framesize = (uint32_t)code->co_framesize;
    return 0;
}

void pepjit_code_release(struct pepjit_code *info)
{
    free(info->base);
    free(info->adaptive);
    free(info->handlers);
    free(info->local_kinds);
    info->base = info->adaptive = NULL;
    info->handlers = NULL;
    info->local_kinds = NULL;
}

/* ---------------------------------------------------------------- classes */

uint32_t pepjit_class_version(PyObject *type)
{
    return ((PyTypeObject *)type)->tp_version_tag;
}

/* Walks the classes below object. */
static PyObject *walk_classes(uint32_t version, PyObject *pending, PyObject *seen)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pending); i++) {
        PyObject *type = PyList_GET_ITEM(pending, i);
        if (((PyTypeObject *)type)->tp_version_tag == version) {
            return type;
        }
        PyObject *below = PyObject_CallMethod((PyObject *)&PyType_Type, "__subclasses__", "O", type);
        if (below == NULL) {
            return NULL;
        }
        for (Py_ssize_t k = 0; k < PyList_GET_SIZE(below); k++) {
            PyObject *address = PyLong_FromVoidPtr(PyList_GET_ITEM(below, k));
            int known = address != NULL ? PySet_Contains(seen, address) : -1;
            int failed = known < 0 || (known == 0 && (PySet_Add(seen, address) < 0 || PyList_Append(pending, PyList_GET_ITEM(below, k)) < 0));
            Py_XDECREF(address);
            if (failed) {
                Py_DECREF(below);
                return NULL;
            }
        }
        Py_DECREF(below);
    }
    return NULL;
}

PyObject *pepjit_class_of_version(uint32_t version)
{
    if (version == 0) {
        return NULL;
    }
#if PEPJIT_314
    /* The index lacks static classes, whose versions are small. */
    PyTypeObject *type = PyInterpreterState_Get()->types.type_version_cache[version % TYPE_VERSION_CACHE_SIZE];
    if (type != NULL && type->tp_version_tag == version) {
        return (PyObject *)type;
    }
    if (version > _Py_MAX_GLOBAL_TYPE_VERSION_TAG) {
        return NULL;
    }
#endif
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *seen = PySet_New(NULL);
    PyObject *pending = Py_BuildValue("[O]", &PyBaseObject_Type);
    PyObject *found = seen != NULL && pending != NULL ? walk_classes(version, pending, seen) : NULL;
    Py_XDECREF(seen);
    Py_XDECREF(pending);
    PyErr_Clear();
    PyErr_SetRaisedException(exception);
    return found;
}

/* The position of a name among the shared keys of a class whose instances have inline values, or -1. */
static int64_t shared_index(PyTypeObject *type, PyObject *name)
{
    PyDictKeysObject *keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
    if (keys == NULL || keys->dk_kind != DICT_KEYS_SPLIT) {
        return -1;
    }
    PyDictUnicodeEntry *entries = DK_UNICODE_ENTRIES(keys);
    for (Py_ssize_t i = 0; i < keys->dk_nentries; i++) {
        if (entries[i].me_key == name || (entries[i].me_key != NULL && PyUnicode_Compare(entries[i].me_key, name) == 0)) {
            return i;
        }
    }
    return -1;
}

/* As _PyDictKeys_GetVersionForCurrentState; 0: versions have run out. */
static uint32_t keys_version(PyDictKeysObject *keys)
{
    if (keys->dk_version != 0) {
        return keys->dk_version;
    }
    struct _Py_dict_state *state = &PyInterpreterState_Get()->dict_state;
    if (state->next_keys_version == 0) {
        return 0;
    }
    keys->dk_version = state->next_keys_version++;
    return keys->dk_version;
}

static int has_inline_values(PyTypeObject *type)
{
    return (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) && (type->tp_flags & Py_TPFLAGS_HEAPTYPE) &&
           ((PyHeapTypeObject *)type)->ht_cached_keys != NULL;
}

static void fill_inline_offsets(PyTypeObject *type, struct pepjit_attribute *out)
{
    out->valid_offset = (int32_t)(type->tp_basicsize + (Py_ssize_t)offsetof(PyDictValues, valid));
    out->dict_offset = (int32_t)MANAGED_DICT_OFFSET;
}

/* An attribute found on the class that an instance's own attribute would hide: 1 if it can be told whether one does. */
static int fill_shadow(PyTypeObject *type, PyObject *name, struct pepjit_attribute *out)
{
    if (type->tp_dictoffset == 0 && !(type->tp_flags & Py_TPFLAGS_MANAGED_DICT)) {
        return 1;
    }
    if (!has_inline_values(type) || shared_index(type, name) >= 0) {
        return 0;
    }
    PyHeapTypeObject *heap = (PyHeapTypeObject *)type;
    out->keys_version = keys_version(heap->ht_cached_keys);
    out->keys_slot = (uint64_t)(uintptr_t)&heap->ht_cached_keys;
    out->shared_keys = 1;
    fill_inline_offsets(type, out);
    return out->keys_version != 0;
}

static void resolve_slot(PyTypeObject *type, PyObject *descriptor, struct pepjit_attribute *out)
{
    PyMemberDescrObject *member = (PyMemberDescrObject *)descriptor;
    PyMemberDef *definition = member->d_member;
    if (!PyType_IsSubtype(type, PyDescr_TYPE(descriptor)) || definition->type != Py_T_OBJECT_EX ||
        (definition->flags & ~Py_READONLY) != 0 || definition->offset <= 0) {
        return;
    }
    out->kind = PEPJIT_ATTRIBUTE_SLOT;
    out->offset = (int32_t)definition->offset;
    out->storable = type->tp_setattro == PyObject_GenericSetAttr && !(definition->flags & Py_READONLY);
}

/* An attribute in the inline values; 0 if there's no place for it. */
static int fill_inline(PyTypeObject *type, PyObject *name, struct pepjit_attribute *out)
{
    int64_t index = has_inline_values(type) ? shared_index(type, name) : -1;
    if (index < 0) {
        return 0;
    }
    out->kind = PEPJIT_ATTRIBUTE_INLINE;
    out->index = (uint32_t)index;
    out->offset = (int32_t)(type->tp_basicsize + (Py_ssize_t)offsetof(PyDictValues, values) + index * (Py_ssize_t)sizeof(PyObject *));
    out->storable = type->tp_setattro == PyObject_GenericSetAttr;
    fill_inline_offsets(type, out);
    return 1;
}

/* What a static method or class method wraps; borrowed from it. */
static PyObject *wrapped_function(PyObject *method)
{
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *function = PyObject_GetAttrString(method, "__func__");
    PyErr_Clear();
    PyErr_SetRaisedException(exception);
    Py_XDECREF(function);
    return function;
}

/* Whether what was found on a class is `object.__class__`. */
static int is_class_getter(PyObject *found, PyObject *name)
{
    if (!Py_IS_TYPE(found, &PyGetSetDescr_Type) || PyDescr_TYPE(found) != &PyBaseObject_Type) {
        return 0;
    }
    return PyUnicode_CompareWithASCIIString(name, "__class__") == 0;
}

void pepjit_attribute(PyObject *type_object, PyObject *name, struct pepjit_attribute *out)
{
    memset(out, 0, sizeof *out);
    PyTypeObject *type = (PyTypeObject *)type_object;
    if (!PyType_Check(type_object) || !PyUnicode_CheckExact(name) || type->tp_getattro != PyObject_GenericGetAttr) {
        return;
    }
    PyObject *found = _PyType_Lookup(type, name);
    if (found == NULL) {
        fill_inline(type, name, out);
        return;
    }
    if (Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        resolve_slot(type, found, out);
        return;
    }
    if (Py_IS_TYPE(found, &PyProperty_Type)) {
        PyObject *getter = ((propertyobject *)found)->prop_get;
        if (getter != NULL && PyFunction_Check(getter)) {
            out->kind = PEPJIT_ATTRIBUTE_PROPERTY;
            out->object = getter;
        }
        return;
    }
    if (is_class_getter(found, name)) {
        out->kind = PEPJIT_ATTRIBUTE_CLASS_VALUE;
        out->object = type_object;
        return;
    }
    if (Py_TYPE(found)->tp_descr_set != NULL) {
        return;
    }
    if (!(Py_TYPE(found)->tp_flags & Py_TPFLAGS_IMMUTABLETYPE)) {
        out->also = (PyObject *)Py_TYPE(found);
    }
    /* An instance's own value comes before what its class has. */
    if (fill_inline(type, name, out)) {
        return;
    }
    int method = PyFunction_Check(found) || Py_IS_TYPE(found, &PyMethodDescr_Type);
    int wrapper = Py_IS_TYPE(found, &PyStaticMethod_Type) || Py_IS_TYPE(found, &PyClassMethod_Type);
    PyObject *object = wrapper ? wrapped_function(found) : found;
    if (object == NULL || (!method && !wrapper && Py_TYPE(found)->tp_descr_get != NULL) || !fill_shadow(type, name, out) ||
        (Py_IS_TYPE(found, &PyClassMethod_Type) && !PyFunction_Check(object))) {
        memset(out, 0, sizeof *out);
        return;
    }
    out->kind = method ? PEPJIT_ATTRIBUTE_METHOD : PEPJIT_ATTRIBUTE_CLASS_VALUE;
    if (Py_IS_TYPE(found, &PyClassMethod_Type)) {
        out->kind = PEPJIT_ATTRIBUTE_CLASS_METHOD;
    }
    out->object = object;
}

/* Whether a metaclass has a data descriptor that comes before what the class has. */
static int is_hidden(PyTypeObject *metaclass, PyObject *name)
{
    PyObject *found = _PyType_Lookup(metaclass, name);
    return found != NULL && (Py_TYPE(found)->tp_descr_set != NULL || !(Py_TYPE(found)->tp_flags & Py_TPFLAGS_IMMUTABLETYPE));
}

/* What a class has by a name, before any descriptor is asked: NULL if nothing, or if something else answers for the class. */
static PyObject *of_class(PyObject *type_object, PyObject *name)
{
    PyTypeObject *metaclass = Py_TYPE(type_object);
    if (!PyType_Check(type_object) || !PyUnicode_CheckExact(name) || metaclass->tp_getattro != PyType_Type.tp_getattro ||
        is_hidden(metaclass, name)) {
        return NULL;
    }
    return _PyType_Lookup((PyTypeObject *)type_object, name);
}

PyObject *pepjit_class_attribute(PyObject *type_object, PyObject *name)
{
    PyObject *found = of_class(type_object, name);
    if (found == NULL) {
        return NULL;
    }
    if (Py_IS_TYPE(found, &PyStaticMethod_Type)) {
        return wrapped_function(found);
    }
    int itself = PyFunction_Check(found) || Py_IS_TYPE(found, &PyMethodDescr_Type) || Py_IS_TYPE(found, &PyWrapperDescr_Type) ||
                 Py_TYPE(found)->tp_descr_get == NULL;
    return itself ? found : NULL;
}

PyObject *pepjit_class_holder(PyObject *type_object, PyObject *name)
{
    PyObject *mro = ((PyTypeObject *)type_object)->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *dict = PyType_GetDict((PyTypeObject *)PyTuple_GET_ITEM(mro, i));
        PyObject *found = dict != NULL && PyDict_CheckExact(dict) ? pepjit_dict_get(dict, name) : NULL;
        Py_XDECREF(dict); /* the class holds it */
        if (found != NULL) {
            return dict;
        }
    }
    return NULL;
}

int pepjit_class_is_fixed(PyObject *type)
{
    return (((PyTypeObject *)type)->tp_flags & Py_TPFLAGS_IMMUTABLETYPE) != 0;
}

PyObject *pepjit_class_method(PyObject *type_object, PyObject *name)
{
    PyObject *found = of_class(type_object, name);
    PyObject *function = found != NULL && Py_IS_TYPE(found, &PyClassMethod_Type) ? wrapped_function(found) : NULL;
    return function != NULL && PyFunction_Check(function) ? function : NULL;
}

PyObject *pepjit_super_function(PyObject *defining, PyObject *type_object, PyObject *name, PyObject **holder)
{
    *holder = NULL;
    PyTypeObject *type = (PyTypeObject *)type_object;
    /* Of a class object as the receiver super() asks whether itself is derived. */
    if (!PyType_Check(defining) || !PyType_Check(type_object) || !PyUnicode_CheckExact(name) || PyType_IsSubtype(type, &PyType_Type) ||
        PyUnicode_CompareWithASCIIString(name, "__class__") == 0 || type->tp_mro == NULL) {
        return NULL;
    }
    PyObject *mro = type->tp_mro;
    Py_ssize_t at = 0;
    while (at < PyTuple_GET_SIZE(mro) && PyTuple_GET_ITEM(mro, at) != defining) {
        at++;
    }
    for (at++; at < PyTuple_GET_SIZE(mro); at++) {
        PyObject *dict = PyType_GetDict((PyTypeObject *)PyTuple_GET_ITEM(mro, at));
        if (dict == NULL || !PyDict_CheckExact(dict)) {
            Py_XDECREF(dict);
            return NULL;
        }
        PyObject *found = pepjit_dict_get(dict, name);
        Py_DECREF(dict); /* the class holds it */
        if (found != NULL) {
            bool method = PyFunction_Check(found) || Py_IS_TYPE(found, &PyMethodDescr_Type) || Py_IS_TYPE(found, &PyWrapperDescr_Type);
            *holder = method ? dict : NULL;
            return method ? found : NULL;
        }
    }
    return NULL;
}

PyObject *pepjit_cell_contents(PyObject *cell) { return PyCell_Check(cell) ? PyCell_GET(cell) : NULL; }

int pepjit_is_object_setattr(PyObject *object)
{
    static PyObject *genuine;
    if (genuine == NULL && Py_IS_TYPE(object, &PyWrapperDescr_Type)) {
        PyObject *dict = PyType_GetDict(&PyBaseObject_Type);
        genuine = dict != NULL ? Py_XNewRef(PyDict_GetItemString(dict, "__setattr__")) : NULL;
        Py_XDECREF(dict);
    }
    return object == genuine && object != NULL;
}

int pepjit_class_call(PyObject *type_object, PyObject **init)
{
    static PyObject *init_name;
    *init = NULL;
    PyTypeObject *type = (PyTypeObject *)type_object;
    if (!PyType_Check(type_object) || Py_TYPE(type_object)->tp_call != PyType_Type.tp_call || !(type->tp_flags & Py_TPFLAGS_HEAPTYPE) ||
        (type->tp_flags & (Py_TPFLAGS_IS_ABSTRACT | Py_TPFLAGS_DISALLOW_INSTANTIATION)) || type->tp_new != PyBaseObject_Type.tp_new ||
        type->tp_alloc != PyType_GenericAlloc || type->tp_itemsize != 0) {
        return 0;
    }
    if (init_name == NULL && (init_name = PyUnicode_InternFromString("__init__")) == NULL) {
        PyErr_Clear();
        return 0;
    }
    PyObject *found = _PyType_Lookup(type, init_name);
    if (found != NULL && PyFunction_Check(found)) {
        *init = found;
        return 1;
    }
    return type->tp_init == PyBaseObject_Type.tp_init;
}

/* ---------------------------------------------------------------- builtins */

/* How many builtins the front end knows, beside those that look at the frame. */
#define KNOWN 18
static PyObject *known[KNOWN];
static PyObject *frame_users[9];

/* A function of the module builtins under its own name; NULL if somebody has put something else there. */
static PyObject *builtin_named(const char *name)
{
    PyObject *builtins = PyEval_GetBuiltins();
    PyObject *found = builtins != NULL ? PyDict_GetItemString(builtins, name) : NULL;
    if (found == NULL || !PyCFunction_CheckExact(found) || strcmp(((PyCFunctionObject *)found)->m_ml->ml_name, name) != 0) {
        return NULL;
    }
    PyObject *self = PyCFunction_GET_SELF(found);
    return self != NULL && PyModule_Check(self) ? found : NULL;
}

int pepjit_builtin(PyObject *object)
{
    if (known[12] == NULL && PyCFunction_Check(object)) {
        PyObject *modules = PyImport_GetModuleDict();
        PyObject *math = PyDict_GetItemString(modules, "math");
        PyObject *sqrt = math != NULL && PyModule_CheckExact(math) ? PyDict_GetItemString(PyModule_GetDict(math), "sqrt") : NULL;
        /* The genuine one, even if somebody has put another in its place. */
        if (sqrt != NULL && PyCFunction_CheckExact(sqrt) && PyCFunction_GET_SELF(sqrt) == math &&
            strcmp(((PyCFunctionObject *)sqrt)->m_ml->ml_name, "sqrt") == 0) {
            known[12] = Py_NewRef(sqrt);
        }
    }
    for (int i = 0; i < KNOWN; i++) {
        if (object == known[i] && object != NULL) {
            return i;
        }
    }
    for (int i = 0; i < 9; i++) {
        if (object == frame_users[i] && object != NULL) {
            return KNOWN;
        }
    }
    return -1;
}

/* Whether a function or method in C neither lets go of the GIL by itself nor does what a signal does: nothing that it leaves pending is its own. */
static int is_brief(PyObject *object)
{
    PyObject *self = PyCFunction_CheckExact(object) ? PyCFunction_GET_SELF(object) : NULL;
    if (self != NULL && PyModule_CheckExact(self)) {
        static const char *const modules[] = {"math", "cmath", "_operator", "_heapq", "_bisect", "itertools"};
        static const char *const functions[] = {"sorted", "sum", "hash", "id", "repr", "ascii", "bin", "hex", "oct", "chr", "ord", "abs", "round", "pow",
                                                "divmod", "min", "max", "any", "all", "iter", "next", "callable", "hasattr", "getattr", "setattr",
                                                "delattr", "issubclass", "isinstance", "format", "len"};
        const char *module = PyModule_GetName(self), *name = ((PyCFunctionObject *)object)->m_ml->ml_name;
        if (module == NULL) {
            PyErr_Clear();
            return 0;
        }
        bool builtin = strcmp(module, "builtins") == 0;
        const char *const *names = builtin ? functions : modules;
        size_t count = builtin ? sizeof functions / sizeof functions[0] : sizeof modules / sizeof modules[0];
        for (size_t i = 0; i < count; i++) {
            if (strcmp(names[i], builtin ? name : module) == 0) {
                return 1;
            }
        }
        return 0;
    }
    PyTypeObject *const types[] = {&PyUnicode_Type, &PyBytes_Type, &PyByteArray_Type, &PyLong_Type, &PyFloat_Type, &PyComplex_Type, &PyList_Type,
                                   &PyTuple_Type, &PyDict_Type, &PySet_Type, &PyFrozenSet_Type, &PyRange_Type, &PySlice_Type, &PyBool_Type};
    PyTypeObject *type = self != NULL ? Py_TYPE(self) : Py_IS_TYPE(object, &PyMethodDescr_Type) ? PyDescr_TYPE(object) : NULL;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (type == types[i]) {
            return 1;
        }
    }
    return type != NULL && strcmp(type->tp_name, "collections.deque") == 0;
}

int pepjit_native(PyObject *object, struct pepjit_native *out)
{
    memset(out, 0, sizeof *out);
    PyMethodDef *definition;
    if (PyCFunction_CheckExact(object)) {
        definition = ((PyCFunctionObject *)object)->m_ml;
        out->self = PyCFunction_GET_SELF(object);
    }
    else if (Py_IS_TYPE(object, &PyMethodDescr_Type)) {
        definition = ((PyMethodDescrObject *)object)->d_method;
        out->method = 1;
    }
    else {
        return 0;
    }
    switch (definition->ml_flags & (METH_VARARGS | METH_FASTCALL | METH_NOARGS | METH_O | METH_KEYWORDS | METH_METHOD)) {
    case METH_NOARGS:
        out->convention = PEPJIT_NATIVE_NONE;
        break;
    case METH_O:
        out->convention = PEPJIT_NATIVE_ONE;
        break;
    case METH_FASTCALL:
        out->convention = PEPJIT_NATIVE_FAST;
        break;
    case METH_FASTCALL | METH_KEYWORDS:
        out->convention = PEPJIT_NATIVE_FAST_KEYWORDS;
        break;
    default:
        return 0;
    }
    out->address = (uint64_t)(uintptr_t)definition->ml_meth;
    out->waits = !is_brief(object);
    return 1;
}

int pepjit_world_init(void)
{
    /* The positions are those of pepjit_frontend's Builtin. */
    static const char *const functions[KNOWN] = {[0] = "len", [1] = "isinstance", [3] = "abs", [4] = "min", [5] = "max", [6] = "ord", [7] = "chr", [16] = "divmod"};
    static const char *const users[] = {"locals", "eval", "exec", "dir", "vars", "breakpoint"};
    if (known[2] != NULL) {
        return 0;
    }
    for (int i = 0; i < KNOWN; i++) {
        known[i] = functions[i] != NULL ? Py_XNewRef(builtin_named(functions[i])) : NULL;
    }
    known[2] = Py_NewRef(&PyRange_Type);
    known[8] = Py_NewRef(&PyLong_Type);
    known[9] = Py_NewRef(&PyFloat_Type);
    known[10] = Py_NewRef(&PyBool_Type);
    known[11] = Py_NewRef(&PyType_Type);
    known[14] = Py_NewRef(&PyUnicode_Type);
    known[15] = Py_NewRef(&PyTuple_Type);
    known[17] = Py_NewRef(&PyEnum_Type);
    PyObject *methods = PyType_GetDict(&PyList_Type);
    known[13] = methods != NULL ? Py_XNewRef(PyDict_GetItemString(methods, "append")) : NULL;
    Py_XDECREF(methods);
    for (int i = 0; i < 6; i++) {
        frame_users[i] = Py_XNewRef(builtin_named(users[i]));
    }
    frame_users[6] = Py_NewRef(&PySuper_Type);
    frame_users[7] = Py_XNewRef(PySys_GetObject("_getframe"));
    frame_users[8] = Py_XNewRef(PySys_GetObject("getrefcount")); /* counts the references that the frame holds */
    return 0;
}
