/* Arguments that the callee is to have alone. The interpreter gives a call's arguments to the callee's frame; a vectorcall only lends them. Where
 * it comes straight from a caller that would give its references up afterwards, they are given up before. */
#include "internal.h"

#include "internal/pycore_ceval.h"
#include "internal/pycore_pystate.h"
#include "opcode_ids.h"

/* The arguments that native code offers to the function that it calls, with a reference for each; taken ones become NULL. */
static PyObject **offered;
static PyObject *offered_to;

/* A specialised call of a function that it wasn't specialised for does what the general one does. */
static bool is_call(int opcode)
{
    int base = pepjit_base_opcode(opcode);
    return base == CALL || base == CALL_KW;
}

/* Whether these are the operands of a call of the function: the function, a receiver or null, the arguments. */
static bool are_operands(pepjit_frame *frame, const pepjit_entry *arguments, int64_t oparg, PyObject *function, PyObject *const *args, int64_t count)
{
    PyCodeObject *code = (PyCodeObject *)frame_executable(frame);
    const pepjit_entry *bottom = frame->localsplus + code->co_nlocalsplus, *end = bottom + code->co_stacksize;
    if (arguments - 2 < bottom || arguments + oparg > end || entry_borrow(arguments[-2]) != function) {
        return false;
    }
    int64_t first = !entry_is_null(arguments[-1]);
    if (count != oparg + first) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        if (entry_borrow(arguments[i - first]) != args[i]) {
            return false;
        }
    }
    return true;
}

/* The arguments on the stack of the frame that calls, if that is what the interpreter is doing; else NULL. */
static pepjit_entry *find_operands(pepjit_frame *frame, PyObject *function, PyObject *const *args, int64_t count)
{
    if (frame == NULL || is_light(frame) || !(frame->owner == FRAME_OWNED_BY_THREAD || frame->owner == FRAME_OWNED_BY_GENERATOR) || count == 0) {
        return NULL;
    }
    const _Py_CODEUNIT *instruction = (const _Py_CODEUNIT *)frame->instr_ptr;
    int64_t oparg = instruction->op.arg;
    if (!is_call(instruction->op.code) || count - oparg < 0 || count - oparg > 1) {
        return NULL;
    }
#if PEPJIT_314
    /* Names of keywords may lie on top. */
    for (int64_t above = 0; above < 2; above++) {
        pepjit_entry *arguments = frame->stackpointer - above - oparg;
        if (are_operands(frame, arguments, oparg, function, args, count)) {
            return arguments;
        }
    }
    return NULL;
#else
    pepjit_entry *arguments = (pepjit_entry *)args + (count - oparg);
    return are_operands(frame, arguments, oparg, function, args, count) ? arguments : NULL;
#endif
}

/* Gives up a caller's reference of an argument that has another. */
static void give_up(pepjit_entry *entry)
{
#if PEPJIT_314
    if (entry_is_object(*entry) && PyStackRef_RefcountOnObject(*entry)) {
        PyObject *object = entry_take(*entry);
        *entry = PyStackRef_None;
        Py_DECREF(object);
    }
#else
    PyObject *object = *entry;
    *entry = Py_None;
    Py_DECREF(object);
#endif
}

void pepjit_settle(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *names, uint64_t owned)
{
    int64_t count = PyVectorcall_NARGS(nargsf) + (names != NULL ? PyTuple_GET_SIZE(names) : 0);
    if (args == offered && function == offered_to) {
        for (int64_t i = 0; i < count && i < 64; i++) {
            if (owned >> i & 1) {
                PyObject *object = offered[i];
                offered[i] = NULL;
                Py_DECREF(object);
            }
        }
        offered = NULL;
        return;
    }
    pepjit_entry *arguments = find_operands(PyThreadState_GetUnchecked()->current_frame, function, args, count);
    if (arguments == NULL) {
        return;
    }
    int64_t first = !entry_is_null(arguments[-1]);
    /* 3.14 keeps the receiver in a register. */
    for (int64_t i = PEPJIT_314 && !PEPJIT_315 ? first : 0; i < count && i < 64; i++) {
        if (owned >> i & 1) {
            give_up(&arguments[i - first]);
        }
    }
}

/* The interpreter's call of a Python function, which takes the arguments' references. */
static PyObject *call_interpreted(PyThreadState *tstate, PyObject *function, PyObject **args, int64_t count, size_t positional, PyObject *names)
{
#if PEPJIT_314
    _PyStackRef *references = __builtin_alloca(sizeof(_PyStackRef) * (size_t)(count + 1));
    for (int64_t i = 0; i < count; i++) {
        references[i] = PyStackRef_FromPyObjectSteal(args[i]);
    }
    pepjit_frame *frame = _PyEvalFramePushAndInit(tstate, PyStackRef_FromPyObjectNew(function), NULL, references, positional, names, NULL);
#else
    (void)count;
    pepjit_frame *frame =
        _PyEvalFramePushAndInit(tstate, (PyFunctionObject *)Py_NewRef(function), NULL, args, positional, names);
#endif
    return frame != NULL ? _PyEval_EvalFrame(tstate, frame, 0) : NULL;
}

PyObject *pepjit_call_giving(PyObject **items, int64_t count, PyObject *names)
{
    if (items[1] == NULL && Py_TYPE(items[0]) == &PyMethod_Type) {
        PyObject *method = items[0];
        items[0] = Py_NewRef(PyMethod_GET_FUNCTION(method));
        items[1] = Py_NewRef(PyMethod_GET_SELF(method));
        Py_DECREF(method);
    }
    PyObject *function = items[0];
    PyObject **first = items[1] != NULL ? items + 1 : items + 2;
    int64_t given = items + count - first;
    size_t positional = (size_t)(given - (names != NULL ? PyTuple_GET_SIZE(names) : 0));
    PyObject *result;
    if (PyFunction_Check(function) && ((PyFunctionObject *)function)->vectorcall == pepjit_fallback && given < 64) {
        result = call_interpreted(PyThreadState_GetUnchecked(), function, first, given, positional, names);
        given = 0;
    }
    else {
        offered = first;
        offered_to = function;
        result = PyObject_Vectorcall(function, first, positional | PY_VECTORCALL_ARGUMENTS_OFFSET, names);
        offered = NULL;
    }
    for (int64_t i = 0; i < given; i++) {
        /* In the interpreter's order. */
        Py_XDECREF(first[PEPJIT_314 ? given - 1 - i : i]);
    }
    result = served_after(function, result);
    Py_DECREF(function);
    return result;
}
