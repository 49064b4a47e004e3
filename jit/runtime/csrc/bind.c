/* Arguments and parameters: what the interpreter does when it starts a function's frame, for calls that come to compiled code otherwise. A call
 * that doesn't fit isn't reported here: the interpreter is given the same call and raises. */
#include "internal.h"

static int64_t parameters(const PyCodeObject *code)
{
    int64_t extra = ((code->co_flags & CO_VARARGS) != 0) + ((code->co_flags & CO_VARKEYWORDS) != 0);
    return code->co_argcount + code->co_kwonlyargcount + extra;
}

/* The position of a keyword among the parameters that can be given by name, -1 if it's none, -2 if only the interpreter can tell. */
static int64_t find_parameter(PyCodeObject *code, PyObject *name)
{
    int64_t count = code->co_argcount + code->co_kwonlyargcount;
    PyObject *const *names = ((PyTupleObject *)code->co_localsplusnames)->ob_item;
    for (int64_t i = code->co_posonlyargcount; i < count; i++) {
        if (names[i] == name) {
            return i;
        }
    }
    if (!PyUnicode_CheckExact(name)) {
        return -2;
    }
    for (int64_t i = code->co_posonlyargcount; i < count; i++) {
        if (PyUnicode_Compare(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static int bind_keywords(PyCodeObject *code, PyObject *const *values, PyObject *names, PyObject **out, PyObject *others)
{
    int64_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    for (int64_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int64_t at = find_parameter(code, name);
        if (at >= 0 && out[at] == NULL) {
            out[at] = Py_NewRef(values[i]);
        }
        else if (at != -1 || others == NULL || PyDict_SetItem(others, name, values[i]) < 0) {
            return 0;
        }
    }
    return 1;
}

static int bind_defaults(PyFunctionObject *function, PyCodeObject *code, PyObject **out)
{
    int64_t defaults = function->func_defaults != NULL ? PyTuple_GET_SIZE(function->func_defaults) : 0;
    for (int64_t i = 0; i < code->co_argcount; i++) {
        if (out[i] != NULL) {
            continue;
        }
        int64_t at = i - (code->co_argcount - defaults);
        if (at < 0) {
            return 0;
        }
        out[i] = Py_NewRef(PyTuple_GET_ITEM(function->func_defaults, at));
    }
    for (int64_t i = code->co_argcount; i < code->co_argcount + code->co_kwonlyargcount; i++) {
        if (out[i] != NULL) {
            continue;
        }
        PyObject *name = PyTuple_GET_ITEM(code->co_localsplusnames, i);
        PyObject *value = function->func_kwdefaults != NULL ? pepjit_dict_get(function->func_kwdefaults, name) : NULL;
        if (value == NULL) {
            return 0;
        }
        out[i] = Py_NewRef(value);
    }
    return 1;
}

static int bind(PyFunctionObject *function, PyCodeObject *code, PyObject *const *args, int64_t given, PyObject *names, PyObject **out)
{
    int64_t positional = code->co_argcount;
    PyObject **next = out + positional + code->co_kwonlyargcount;
    PyObject *others = NULL;
    for (int64_t i = 0; i < given && i < positional; i++) {
        out[i] = Py_NewRef(args[i]);
    }
    if (code->co_flags & CO_VARARGS) {
        int64_t rest = given > positional ? given - positional : 0;
        PyObject *tuple = PyTuple_New(rest);
        if (tuple == NULL) {
            return 0;
        }
        for (int64_t i = 0; i < rest; i++) {
            PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[positional + i]));
        }
        *next++ = untrack_plain(tuple);
    }
    else if (given > positional) {
        return 0;
    }
    if (code->co_flags & CO_VARKEYWORDS) {
        others = PyDict_New();
        if (others == NULL) {
            return 0;
        }
        *next = others;
    }
    return bind_keywords(code, args + given, names, out, others) && bind_defaults(function, code, out);
}

void pepjit_unbind(PyObject **values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        /* In the order in which the interpreter clears a frame. */
        Py_XDECREF(values[PEPJIT_314 ? count - 1 - i : i]);
    }
}

int64_t pepjit_bind(PyObject *function_object, PyObject *const *args, size_t nargsf, PyObject *names, PyObject **out)
{
    PyFunctionObject *function = (PyFunctionObject *)function_object;
    PyCodeObject *code = (PyCodeObject *)function->func_code;
    int64_t count = parameters(code);
    memset(out, 0, (size_t)count * sizeof *out);
    if (bind(function, code, args, PyVectorcall_NARGS(nargsf), names, out)) {
        return 1;
    }
    PyErr_Clear();
    pepjit_unbind(out, count);
    return 0;
}

/* The values of a call of the interpreter: positional ones, then those of the keywords; and the names of these. */
static PyObject *call_with(PyFunctionObject *function, PyCodeObject *code, PyObject *const *values, PyObject *rest, PyObject *others, PyObject **stack)
{
    int64_t positional = code->co_argcount, named = code->co_kwonlyargcount;
    int64_t more = rest != NULL ? PyTuple_GET_SIZE(rest) : 0;
    int64_t keywords = named + (others != NULL ? PyDict_GET_SIZE(others) : 0);
    memcpy(stack, values, (size_t)positional * sizeof *stack);
    for (int64_t i = 0; i < more; i++) {
        stack[positional + i] = PyTuple_GET_ITEM(rest, i);
    }
    PyObject *names = keywords != 0 ? PyTuple_New(keywords) : NULL;
    if (keywords != 0 && names == NULL) {
        return NULL;
    }
    PyObject **next = stack + positional + more;
    for (int64_t i = 0; i < named; i++) {
        PyTuple_SET_ITEM(names, i, Py_NewRef(PyTuple_GET_ITEM(code->co_localsplusnames, positional + i)));
        *next++ = values[positional + i];
    }
    PyObject *key, *value;
    Py_ssize_t position = 0;
    for (int64_t i = named; others != NULL && PyDict_Next(others, &position, &key, &value); i++) {
        PyTuple_SET_ITEM(names, i, Py_NewRef(key));
        *next++ = value;
    }
    PyObject *result = pepjit_fallback((PyObject *)function, stack, (size_t)(positional + more), names);
    Py_XDECREF(names);
    return result;
}

PyObject *pepjit_call_bound(PyObject *function_object, PyObject *const *values)
{
    PyFunctionObject *function = (PyFunctionObject *)function_object;
    PyCodeObject *code = (PyCodeObject *)function->func_code;
    int64_t count = code->co_argcount + code->co_kwonlyargcount;
    PyObject *rest = code->co_flags & CO_VARARGS ? values[count++] : NULL;
    PyObject *others = code->co_flags & CO_VARKEYWORDS ? values[count++] : NULL;
    int64_t room = count + (rest != NULL ? PyTuple_GET_SIZE(rest) : 0) + (others != NULL ? PyDict_GET_SIZE(others) : 0);
    PyObject **stack = PyMem_Malloc((size_t)(room + 1) * sizeof *stack);
    if (stack == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *result = call_with(function, code, values, rest, others, stack);
    PyMem_Free(stack);
    check_owner(PyThreadState_GetUnchecked());
    return result;
}
