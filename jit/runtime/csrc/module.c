/* The Python module `pepjit`: a thin table over the Rust side. */
#include "internal.h"

#define METHOD(name, number)                                                                                    \
    static PyObject *method_##name(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) \
    {                                                                                                           \
        (void)module;                                                                                           \
        return pepjit_rs_method(number, args, nargs, kwnames);                                                  \
    }
METHOD(enable, PEPJIT_METHOD_ENABLE)
METHOD(disable, PEPJIT_METHOD_DISABLE)
METHOD(is_enabled, PEPJIT_METHOD_IS_ENABLED)
METHOD(compile, PEPJIT_METHOD_COMPILE)
METHOD(is_compiled, PEPJIT_METHOD_IS_COMPILED)
METHOD(explain, PEPJIT_METHOD_EXPLAIN)
METHOD(stats, PEPJIT_METHOD_STATS)
METHOD(dump, PEPJIT_METHOD_DUMP)

#define ROW(name, doc) {#name, (PyCFunction)(void (*)(void))method_##name, METH_FASTCALL | METH_KEYWORDS, PyDoc_STR(doc)}

static PyMethodDef methods[] = {
    ROW(enable, "enable($module, /, **policy)\n--\n\nStart to compile what runs often."),
    ROW(disable, "disable($module, /)\n--\n\nStop compiling, and run everything in the interpreter again."),
    ROW(is_enabled, "is_enabled($module, /)\n--\n\nWhether the JIT is on."),
    ROW(compile, "compile($module, function, /)\n--\n\nCompile a function now; whether it worked."),
    ROW(is_compiled, "is_compiled($module, function, /)\n--\n\nWhether calls of the function run compiled code."),
    ROW(explain, "explain($module, function, /)\n--\n\nWhy a function isn't compiled, or where its code is left for the interpreter."),
    ROW(stats, "stats($module, /)\n--\n\nThe counters, as a dict."),
    ROW(dump, "dump($module, function, what, /)\n--\n\nThe text of a compiled function: \"hir\", \"clif\" or \"asm\"."),
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "pepjit", PyDoc_STR("A method JIT compiler for CPython."), -1, methods, NULL, NULL, NULL, NULL,
};

/* The function that a source text defines. No Python code runs: the module may be imported in the middle of a program, whose signals wait for their
 * handlers. */
static PyObject *define(const char *source)
{
    PyObject *globals = PyDict_New();
    PyObject *outer = globals != NULL ? Py_CompileString(source, "<pepjit>", Py_file_input) : NULL;
    PyObject *function = NULL;
    if (outer != NULL) {
        PyObject *constants = ((PyCodeObject *)outer)->co_consts;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(constants) && function == NULL; i++) {
            PyObject *constant = PyTuple_GET_ITEM(constants, i);
            function = PyCode_Check(constant) ? PyFunction_New(constant, globals) : NULL;
        }
    }
    Py_XDECREF(outer);
    Py_XDECREF(globals);
    return function;
}

/* Resumes the interpreter in the middle of an expression, with values on its stack. */
static int check_resume(void)
{
    int good = -1;
    PyObject *function = define("def f(a, b):\n    return a[b] + a[b]\n");
    if (function != NULL) {
        PyCodeObject *code = (PyCodeObject *)((PyFunctionObject *)function)->func_code;
        int64_t buffer[2] = {20, 22};
        /* Go on at the last binary operation with 20 and 22 on the stack. */
        struct pepjit_slot slots[] = {{PEPJIT_SLOT_EMPTY, 0, 0}, {PEPJIT_SLOT_EMPTY, 0, 0}, {PEPJIT_SLOT_INT, 0, 0}, {PEPJIT_SLOT_INT, 1, 0}};
        struct pepjit_code info;
        struct pepjit_exit record = {
            .function = function, .code = (PyObject *)code, .nlocals = 2, .nstack = 2, .nwords = 2, .slots = slots,
        };
        if (pepjit_code_info((PyObject *)code, &info) == 0) {
            /* The last instruction returns, the one before it adds. */
            uint32_t last = 0;
            for (uint32_t i = 0; i < info.nunits; i += 1 + (uint32_t)pepjit_caches(info.base[i] & 0xff)) {
                record.offset = last;
                last = i;
            }
            pepjit_code_release(&info);
            pepjit_pair pair = pepjit_exit_function(PyThreadState_GetUnchecked(), NULL, &record, buffer);
            PyObject *sum = (PyObject *)(uintptr_t)pair.payload;
            good = pair.tag == PEPJIT_TAG_OBJECT && sum != NULL && PyLong_AsLong(sum) == 42 ? 0 : -1;
            Py_XDECREF(sum);
        }
    }
    Py_XDECREF(function);
    if (good < 0) {
        PyErr_Clear();
        PyErr_SetString(PyExc_ImportError,
                        "pepjit can't resume the interpreter in the middle of a function here; it needs a stock build of the CPython that it was built "
                        "for (see PEPJIT_PYTHON)");
    }
    return good;
}

int pepjit_init(void)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "pepjit runs in the main interpreter only; import it there");
        return -1;
    }
    if (pepjit_layout_check() < 0 || pepjit_frames_init() < 0 || pepjit_hooks_init() < 0 || pepjit_world_init() < 0) {
        return -1;
    }
    return check_resume();
}

PyObject *pepjit_module_create(void)
{
    /* The state is the process's: whoever loads the same file again, by another path or while the starter does, gets the module that is there. */
    static PyObject *only;
    if (only != NULL && PyInterpreterState_Get() == PyInterpreterState_Main()) {
        return Py_NewRef(only);
    }
    if (pepjit_init() < 0) {
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && pepjit_rs_init(module) < 0) {
        Py_CLEAR(module);
    }
    if (module != NULL && pepjit_starter_waits()) {
        /* The environment asks for the JIT, and _pepjit_start has put off loading it. If it can't be turned on, that tells so when its time has come. */
        PyObject *result = pepjit_rs_method(PEPJIT_METHOD_ENABLE, NULL, 0, NULL);
        if (result == NULL) {
            PyErr_Clear();
        }
        Py_XDECREF(result);
    }
    only = Py_XNewRef(module);
    return module;
}
