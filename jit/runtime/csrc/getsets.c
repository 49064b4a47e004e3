/* Putting ourselves in front of a computed attribute of a built-in class. */
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
