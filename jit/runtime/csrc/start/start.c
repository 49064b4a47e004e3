/* The Python module `_pepjit_start`, which the .pth file imports where PEPJIT asks for the JIT: it waits until the process has done a little,
 * and loads `pepjit` then. Most processes of a system end before that, and a library of several megabytes is not for them.
 *
 * It takes the JIT's tool id of sys.monitoring and counts its events. Whoever loads `pepjit` meanwhile, in whatever way, gets the JIT turned on,
 * as if it had been there from the start: the module takes the tool id over (pepjit_monitoring_begin).
 *
 * Nothing here runs Python code of the program's or of the import system's after the start: a callback of sys.monitoring may come while locks of
 * modules are held, signals wait for their handlers, and names like __import__ are somebody else's. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../tool.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENT_START = 1 << PY_MONITORING_EVENT_PY_START,
    EVENT_JUMP = 1 << PY_MONITORING_EVENT_JUMP,
    /* Calls and jumps of one function after which the JIT is loaded, and those of all together. Importing a dozen modules of the standard library
     * stays below both; what the JIT compiles in a process this young has to run several times as often. */
    HOT = 5000,
    MOST = 50000,
    /* Frames of the recursion limit, and bytes of the stack, that loading may take. */
    FRAMES = 100,
    STACK = 256 * 1024,
};

/* Who sets one of these wants the JIT in the whole process. */
static const char *const at_once[] = {"PEPJIT_THRESHOLD", "PEPJIT_SHARE", "PEPJIT_EXIT", "PEPJIT_BACKEND", "PEPJIT_STATS"};

static PyObject *spec;       /* of the module `pepjit`, beside this one */
static PyObject *monitoring; /* sys.monitoring */
static PyObject *create;     /* _imp.create_dynamic */
static PyObject *callback;
static long events_left; /* 0: it has been tried */

/* How often code objects have raised events, in a place that hashing gives. (What shares it with other code, or has got the address of freed code, is
 * called hot a little late or early.) */
static struct heat {
    PyObject *code;
    long events;
} heats[256];

static PyObject *call_monitoring(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PyObject *tuple = Py_VaBuildValue(format, arguments);
    va_end(arguments);
    PyObject *function = tuple != NULL ? PyObject_GetAttrString(monitoring, name) : NULL;
    PyObject *result = function != NULL ? PyObject_CallObject(function, tuple) : NULL;
    Py_XDECREF(function);
    Py_XDECREF(tuple);
    return result;
}

/* The same where there's nothing to be done about an error; whether there was none. */
static int told_monitoring(PyObject *result)
{
    if (result == NULL) {
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(result);
    return 1;
}

static void disarm(void)
{
    if (!pepjit_holds_tool(monitoring)) {
        return;
    }
    told_monitoring(call_monitoring("set_events", "(ii)", PEPJIT_TOOL, 0));
    told_monitoring(call_monitoring("register_callback", "(iiO)", PEPJIT_TOOL, EVENT_START, Py_None));
    told_monitoring(call_monitoring("register_callback", "(iiO)", PEPJIT_TOOL, EVENT_JUMP, Py_None));
    told_monitoring(call_monitoring("free_tool_id", "(i)", PEPJIT_TOOL));
}

/* Takes the tool id and asks for the events. 0: somebody else has it. */
static int arm(void)
{
    if (!told_monitoring(call_monitoring("use_tool_id", "(is)", PEPJIT_TOOL, PEPJIT_TOOL_NAME))) {
        return 0;
    }
    events_left = MOST;
    int good = told_monitoring(call_monitoring("register_callback", "(iiO)", PEPJIT_TOOL, EVENT_START, callback)) &&
               told_monitoring(call_monitoring("register_callback", "(iiO)", PEPJIT_TOOL, EVENT_JUMP, callback)) &&
               told_monitoring(call_monitoring("set_events", "(ii)", PEPJIT_TOOL, EVENT_START | EVENT_JUMP));
    if (!good) {
        disarm();
    }
    return good;
}

/* -1 with an exception, else whether the JIT is on. */
static int is_enabled(PyObject *module)
{
    PyObject *answer = PyObject_CallMethod(module, "is_enabled", NULL);
    int enabled = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return enabled;
}

/* What the import system would do, without its locks and without Python code. */
static PyObject *import_pepjit(void)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *known = PyDict_CheckExact(modules) ? PyDict_GetItemString(modules, "pepjit") : NULL;
    if (known != NULL && PyModule_Check(known)) {
        return Py_NewRef(known);
    }
    PyObject *module = PyObject_CallOneArg(create, spec);
    PyObject *loader = module != NULL ? PyObject_GetAttrString(spec, "loader") : NULL;
    PyObject *package = loader != NULL ? PyUnicode_FromString("") : NULL;
    if (package == NULL || PyObject_SetAttrString(module, "__spec__", spec) < 0 || PyObject_SetAttrString(module, "__loader__", loader) < 0 ||
        PyObject_SetAttrString(module, "__package__", package) < 0) {
        Py_CLEAR(module);
    }
    Py_XDECREF(package);
    Py_XDECREF(loader);
    return module;
}

/* Loads the JIT and turns it on. Failing is worth a line and no more: the program goes on without. -1: an exception that isn't about this. */
static int load(void)
{
    events_left = 0;
    PyObject *pending = PyErr_GetRaisedException();
    PyObject *module = import_pepjit();
    int enabled = module != NULL ? is_enabled(module) : -1;
    if (enabled == 0) {
        PyObject *result = PyObject_CallMethod(module, "enable", NULL);
        enabled = result != NULL ? is_enabled(module) : -1;
        Py_XDECREF(result);
    }
    Py_XDECREF(module);
    PyObject *error = PyErr_GetRaisedException();
    if (enabled != 1) {
        disarm();
    }
    if (error != NULL && !PyErr_GivenExceptionMatches(error, PyExc_Exception)) {
        /* An audit hook was interrupted, or wants the process to end. */
        Py_XDECREF(pending);
        PyErr_SetRaisedException(error);
        return -1;
    }
    if (error != NULL) {
        PyObject *text = PyObject_Str(error);
        const char *utf8 = text != NULL ? PyUnicode_AsUTF8(text) : NULL;
        fprintf(stderr, "pepjit: %s\n", utf8 != NULL ? utf8 : Py_TYPE(error)->tp_name);
        PyErr_Clear();
        Py_XDECREF(text);
        Py_DECREF(error);
    }
    PyErr_SetRaisedException(pending);
    return 0;
}

static int is_hot(PyObject *code)
{
    struct heat *heat = &heats[(uint64_t)(uintptr_t)code * UINT64_C(0x9e3779b97f4a7c15) >> 56];
    if (heat->code != code) {
        *heat = (struct heat){code, 0};
    }
    return ++heat->events >= HOT;
}

/* Whether there's room for loading here. Otherwise the program is about to exhaust the stack, and is to do so by itself, or it has threads with next to none. */
static int has_room(void)
{
    pthread_attr_t attributes;
    void *end = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &end, &size);
        pthread_attr_destroy(&attributes);
    }
    char *here = __builtin_frame_address(0);
    return PyThreadState_Get()->py_recursion_remaining >= FRAMES && (size == 0 || (size_t)(here - (char *)end) >= STACK);
}

static PyObject *on_event(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)self;
    if (events_left == 0 || nargs < 1) {
        Py_RETURN_NONE;
    }
    if (events_left > 1) {
        events_left--;
        if (!is_hot(args[0])) {
            Py_RETURN_NONE;
        }
    }
    if (Py_IsFinalizing()) {
        Py_RETURN_NONE;
    }
    if (!has_room()) {
        /* At the next opportunity. */
        memset(heats, 0, sizeof heats);
        events_left = events_left < HOT ? HOT : events_left;
        Py_RETURN_NONE;
    }
    if (load() < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef callback_method = {"pepjit_start", (PyCFunction)(void (*)(void))on_event, METH_FASTCALL, NULL};

/* The module's file: beside this one, with the same ending. -1 with an exception. */
static int find_pepjit(char *path, size_t size)
{
    Dl_info info;
    char full[PATH_MAX];
    const char *own = dladdr(&callback_method, &info) != 0 ? info.dli_fname : NULL;
    /* Relative if an entry of sys.path is. */
    own = own != NULL && own[0] != '/' ? realpath(own, full) : own;
    const char *slash = own != NULL ? strrchr(own, '/') : NULL;
    static const char name[] = "_pepjit_start";
    if (slash == NULL || strncmp(slash + 1, name, sizeof name - 1) != 0) {
        PyErr_SetString(PyExc_ImportError, "_pepjit_start can't find its own file; let it keep its name");
        return -1;
    }
    int written = snprintf(path, size, "%.*s/pepjit%s", (int)(slash - own), own, slash + sizeof name);
    if (written < 0 || (size_t)written >= size) {
        PyErr_SetString(PyExc_ImportError, "_pepjit_start is in a folder with too long a name");
        return -1;
    }
    return 0;
}

static int find_objects(void)
{
    char path[PATH_MAX];
    if (find_pepjit(path, sizeof path) < 0) {
        return -1;
    }
    PyObject *machinery = PyImport_ImportModule("_frozen_importlib_external");
    PyObject *imp = machinery != NULL ? PyImport_ImportModule("_imp") : NULL;
    PyObject *file = imp != NULL ? PyUnicode_DecodeFSDefault(path) : NULL;
    spec = file != NULL ? PyObject_CallMethod(machinery, "spec_from_file_location", "sO", "pepjit", file) : NULL;
    create = spec != NULL ? PyObject_GetAttrString(imp, "create_dynamic") : NULL;
    callback = create != NULL ? PyCFunction_New(&callback_method, NULL) : NULL;
    monitoring = callback != NULL ? Py_XNewRef(PySys_GetObject("monitoring")) : NULL;
    Py_XDECREF(file);
    Py_XDECREF(imp);
    Py_XDECREF(machinery);
    if (callback != NULL && monitoring == NULL) {
        PyErr_SetString(PyExc_ImportError, "pepjit needs sys.monitoring, which this interpreter doesn't have; use a stock CPython");
    }
    return monitoring != NULL ? 0 : -1;
}

static int asks_for_all(void)
{
    for (size_t i = 0; i < sizeof at_once / sizeof at_once[0]; i++) {
        const char *value = getenv(at_once[i]);
        if (value != NULL && value[0] != '\0') {
            return 1;
        }
    }
    return 0;
}

/* Once: a virtual environment's site reads its base's .pth files too. Other interpreters of the process have no JIT. */
static int start(PyObject *module)
{
    (void)module;
    if (PyInterpreterState_Get() != PyInterpreterState_Main() || monitoring != NULL) {
        return 0;
    }
    if (find_objects() < 0) {
        return -1;
    }
    return !asks_for_all() && arm() ? 0 : load();
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, start},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_pepjit_start", PyDoc_STR("Loads pepjit once the process has run for a little."), 0, NULL, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__pepjit_start(void)
{
    return PyModuleDef_Init(&definition);
}
