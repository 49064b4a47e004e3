/* What the module and its starter (start/start.c) have in common: the tool of sys.monitoring that one takes over from the other. */
#ifndef PEPJIT_TOOL_H
#define PEPJIT_TOOL_H

#include <Python.h>

#define PEPJIT_TOOL 5 /* sys.monitoring.OPTIMIZER_ID */
#define PEPJIT_TOOL_NAME "pepjit"

/* Whether the tool id is taken under our name. No exception is set afterwards. */
static inline int pepjit_holds_tool(PyObject *monitoring)
{
    PyObject *name = PyObject_CallMethod(monitoring, "get_tool", "i", PEPJIT_TOOL);
    int ours = name != NULL && PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, PEPJIT_TOOL_NAME) == 0;
    Py_XDECREF(name);
    PyErr_Clear();
    return ours;
}

#endif
