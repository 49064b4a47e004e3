/* Putting ourselves in front of a computed attribute of a built-in class, or of a function in C. */
#include "internal.h"

#include "internal/pycore_descrobject.h"

int pepjit_getset_begin(pepjit_getset *hook, PyTypeObject *type, const char *name, getter get, setter set)
{
    if (hook->descriptor != NULL) {
        return 0;
    }
    PyObject *dict = PyType_GetDict(type);
    PyObject *found = dict != NULL ? PyDict_GetItemString(dict, name) : NULL;
    if (found == NULL || !Py_IS_TYPE(found, &PyGetSetDescr_Type)) {
        Py_XDECREF(dict);
        PyErr_Format(PyExc_ImportError, "pepjit doesn't find %s.%s where a stock CPython has it; use a stock CPython", type->tp_name, name);
        return -1;
    }
    PyGetSetDescrObject *descriptor = (PyGetSetDescrObject *)Py_NewRef(found);
    Py_DECREF(dict);
    hook->descriptor = (PyObject *)descriptor;
    hook->original = descriptor->d_getset;
    hook->replaced = *hook->original;
    if (get != NULL) {
        hook->replaced.get = get;
    }
    if (set != NULL) {
        hook->replaced.set = set;
    }
    descriptor->d_getset = &hook->replaced;
    return 0;
}

void pepjit_getset_end(pepjit_getset *hook)
{
    if (hook->descriptor != NULL) {
        ((PyGetSetDescrObject *)hook->descriptor)->d_getset = hook->original;
        Py_CLEAR(hook->descriptor);
    }
}

void pepjit_override_begin(pepjit_override *hook, PyObject *function, int flags, PyCFunction replacement)
{
    if (hook->function != NULL || function == NULL || !PyCFunction_CheckExact(function) || PyCFunction_GET_FLAGS(function) != flags) {
        return;
    }
    hook->function = (PyCFunctionObject *)Py_NewRef(function);
    hook->original = hook->function->m_ml;
    hook->replaced = *hook->original;
    hook->replaced.ml_meth = replacement;
    hook->function->m_ml = &hook->replaced;
}

void pepjit_override_end(pepjit_override *hook)
{
    if (hook->function != NULL) {
        hook->function->m_ml = hook->original;
        Py_CLEAR(hook->function);
    }
}
