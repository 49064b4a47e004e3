/* Names, imports and patterns: what the interpreter's generic instructions for them do, as helpers of compiled code. */
#include "internal.h"

#include "internal/pycore_import.h"
#if PEPJIT_315
#  include "internal/pycore_lazyimportobject.h"
#endif
#include "internal/pycore_pystate.h"

/* ---------------------------------------------------------------- names */

int64_t pepjit_delete_global(PyObject *function, PyObject *name)
{
    int found = PyDict_Pop(((PyFunctionObject *)function)->func_globals, name, NULL);
    if (found == 0) {
        _PyEval_FormatExcCheckArg(PyThreadState_GetUnchecked(), PyExc_NameError, "name '%.200s' is not defined", name);
    }
    check_owner_here();
    return found > 0 ? 0 : -1;
}

PyObject *pepjit_load_build_class(void)
{
    PyObject *builtins = PyThreadState_GetUnchecked()->current_frame->f_builtins;
    PyObject *found = NULL;
    if (PyMapping_GetOptionalItemString(builtins, "__build_class__", &found) == 0) {
        PyErr_SetString(PyExc_NameError, "__build_class__ not found");
    }
    check_owner_here();
    return found;
}

/* ---------------------------------------------------------------- which names somebody relies on */

/* One bit for the names of dicts that compiled code relies on: the others, such as those that a module's loop sets, need no look. */
enum { NAME_BITS = 1 << 14 };
static uint64_t relied[NAME_BITS / 64];

/* Names that were relied on until they changed, and that nothing relies on now: such as a counter that a loop sets. */
enum { UNRELIABLE = 1 << 8 };
static struct {
    PyObject *dict, *name;
    Py_hash_t hash;
} unreliable[UNRELIABLE];

static Py_hash_t name_hash(PyObject *name) { return PyUnicode_CheckExact(name) ? PyObject_Hash(name) : 0; }

static size_t name_bit(PyObject *dict, Py_hash_t hash) { return ((size_t)hash ^ (size_t)(uintptr_t)dict >> 4) % NAME_BITS; }

void pepjit_rely_on_name(PyObject *dict, const char *utf8, int64_t length)
{
    PyObject *name = PyUnicode_DecodeUTF8(utf8, (Py_ssize_t)length, NULL);
    if (name == NULL) {
        PyErr_Clear();
        memset(relied, 0xff, sizeof relied);
        memset(unreliable, 0, sizeof unreliable);
        return;
    }
    size_t bit = name_bit(dict, name_hash(name));
    relied[bit / 64] |= (uint64_t)1 << bit % 64;
    unreliable[bit % UNRELIABLE].dict = NULL;
    Py_DECREF(name);
}

bool pepjit_relied_on(PyObject *dict, PyObject *name)
{
    if (name == NULL || !PyUnicode_CheckExact(name)) {
        return true;
    }
    Py_hash_t hash = name_hash(name);
    size_t bit = name_bit(dict, hash);
    if (!(relied[bit / 64] >> bit % 64 & 1)) {
        return false;
    }
    /* The hash too, all of it: another str may have come to this address. */
    bool known = unreliable[bit % UNRELIABLE].dict == dict && unreliable[bit % UNRELIABLE].name == name &&
                 unreliable[bit % UNRELIABLE].hash == hash;
    return !known;
}

void pepjit_note_unreliable(PyObject *dict, PyObject *name)
{
    Py_hash_t hash = name_hash(name);
    size_t at = name_bit(dict, hash) % UNRELIABLE;
    unreliable[at].dict = dict;
    unreliable[at].name = name;
    unreliable[at].hash = hash;
}

int pepjit_frame_plain_names(pepjit_frame *frame)
{
    PyCodeObject *code = (PyCodeObject *)frame_executable(frame);
    return code->co_flags & CO_OPTIMIZED || (frame->f_locals == frame->f_globals && PyDict_CheckExact(frame->f_globals));
}

/* ---------------------------------------------------------------- imports */

PyObject *pepjit_import_name(PyObject *name, PyObject *fromlist, PyObject *level)
{
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    pepjit_frame *frame = tstate->current_frame;
    PyObject *module = NULL;
#if PEPJIT_315
    module = _PyEval_ImportName(tstate, frame->f_builtins, frame->f_globals, frame->f_locals, name, fromlist, level);
#elif PEPJIT_314
    module = _PyEval_ImportName(tstate, frame, name, fromlist, level);
#else
    PyObject *locals = frame->f_locals != NULL ? frame->f_locals : Py_None;
    PyObject *import = NULL;
    int found = PyMapping_GetOptionalItemString(frame->f_builtins, "__import__", &import);
    if (found == 0) {
        PyErr_SetString(PyExc_ImportError, "__import__ not found");
    }
    else if (found > 0 && import == tstate->interp->imports.import_func) {
        int depth = PyLong_AsInt(level);
        if (depth != -1 || !PyErr_Occurred()) {
            module = PyImport_ImportModuleLevelObject(name, frame->f_globals, locals, fromlist, depth);
        }
    }
    else if (found > 0) {
        PyObject *arguments[5] = {name, frame->f_globals, locals, fromlist, level};
        module = PyObject_Vectorcall(import, arguments, 5, NULL);
    }
    Py_XDECREF(import);
#endif
    check_owner_here();
    return module;
}

/* NULL without an exception: the interpreter knows other ways, or what to say. */
PyObject *pepjit_import_from(PyObject *module, PyObject *name)
{
    PyObject *found = NULL;
#if PEPJIT_315
    if (!PyLazyImport_CheckExact(module)) {
        found = _PyEval_ImportFrom(PyThreadState_GetUnchecked(), module, name);
    }
#elif PEPJIT_314
    found = _PyEval_ImportFrom(PyThreadState_GetUnchecked(), module, name);
#else
    if (PyModule_CheckExact(module) && Py_TYPE(module)->tp_getattro == PyObject_GenericGetAttr) {
        found = Py_XNewRef(PyDict_GetItemWithError(PyModule_GetDict(module), name));
    }
#endif
    check_owner_here();
    return found;
}

/* ---------------------------------------------------------------- patterns */

int pepjit_is_pattern(PyObject *subject, int64_t mapping)
{
    return PyType_HasFeature(Py_TYPE(subject), mapping ? Py_TPFLAGS_MAPPING : Py_TPFLAGS_SEQUENCE);
}

PyObject *pepjit_match_keys(PyObject *subject, PyObject *keys)
{
    PyObject *values = _PyEval_MatchKeys(PyThreadState_GetUnchecked(), subject, keys);
    check_owner_here();
    return values;
}

PyObject *pepjit_match_class(PyObject *subject, PyObject *class, PyObject *names, int64_t positional)
{
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    PyObject *values = _PyEval_MatchClass(tstate, subject, class, (Py_ssize_t)positional, names);
    check_owner_here();
    return values == NULL && !PyErr_Occurred() ? Py_None : values;
}

/* ---------------------------------------------------------------- keyword arguments */

int64_t pepjit_dict_merge(PyObject *dict, PyObject *update, PyObject *function)
{
    PyThreadState *tstate = PyThreadState_GetUnchecked();
#if PEPJIT_315
    PyObject *twice = NULL;
    int failed = _PyDict_MergeUniq(dict, update, &twice);
    if (failed < 0) {
        _PyEval_FormatKwargsError(tstate, function, update, twice);
        Py_XDECREF(twice);
    }
#else
    int failed = _PyDict_MergeEx(dict, update, 2);
    if (failed < 0) {
        _PyEval_FormatKwargsError(tstate, function, update);
    }
#endif
    check_owner_here();
    return failed < 0 ? -1 : 0;
}
