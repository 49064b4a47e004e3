/* Exceptions: raising them, finding their handlers, what the interpreter notes of them in frames and tracebacks, and the helpers of handlers. */
#include "internal.h"

#include "internal/pycore_instruments.h"
#include "internal/pycore_pyerrors.h"
#include "internal/pycore_pystate.h"
#include "opcode_ids.h"

uint64_t pepjit_unwinds;

/* ---------------------------------------------------------------- the exception table */

static unsigned int read_varint(const uint8_t **table)
{
    unsigned int value = **table & 63;
    while (**table & 64) {
        (*table)++;
        value = value << 6 | (**table & 63);
    }
    (*table)++;
    return value;
}

/* The last entry that starts at or before the offset and covers it (entries are sorted and don't overlap). */
bool pepjit_find_handler(PyCodeObject *code, uint32_t offset, struct pepjit_handler *handler)
{
    const uint8_t *table = (const uint8_t *)PyBytes_AS_STRING(code->co_exceptiontable);
    const uint8_t *end = table + PyBytes_GET_SIZE(code->co_exceptiontable);
    while (table < end) {
        uint32_t start = read_varint(&table);
        uint32_t size = read_varint(&table);
        uint32_t target = read_varint(&table);
        uint32_t depth_lasti = read_varint(&table);
        if (start > offset) {
            break;
        }
        if (offset < start + size) {
            *handler = (struct pepjit_handler){start, start + size, target, depth_lasti >> 1, depth_lasti & 1};
            return true;
        }
    }
    return false;
}

int64_t pepjit_handler_target(PyObject *code, uint32_t offset)
{
    struct pepjit_handler handler;
    return pepjit_find_handler((PyCodeObject *)code, offset, &handler) ? (int64_t)handler.target : -1;
}

/* ---------------------------------------------------------------- unwinding */

static void clear_stack_above(pepjit_frame *frame, int64_t count)
{
    while (frame_entries(frame) > count) {
        int64_t top = frame_entries(frame) - 1;
        PyObject *object = entry_take(frame->localsplus[top]);
        frame->localsplus[top] = entry_null();
        set_frame_entries(frame, top);
        Py_XDECREF(object);
    }
}

void pepjit_push_entry(pepjit_frame *frame, PyObject *owned)
{
    int64_t top = frame_entries(frame);
    frame->localsplus[top] = entry_from(owned);
    set_frame_entries(frame, top + 1);
}

/* The offset of the raising instruction, as the interpreter keeps it below an exception on the stack. */
static void push_lasti(pepjit_frame *frame, uint32_t offset)
{
#if PEPJIT_314
    int64_t top = frame_entries(frame);
    frame->localsplus[top] = PyStackRef_TagInt((intptr_t)offset);
    set_frame_entries(frame, top + 1);
#else
    pepjit_push_entry(frame, pepjit_box_int(offset));
#endif
}

/* What a RERAISE with this argument, whose exception is off the stack already, says of the instruction that raised; else `offset`. */
static uint32_t raised_at(pepjit_frame *frame, PyCodeObject *code, uint32_t offset)
{
    _Py_CODEUNIT unit = _PyCode_CODE(code)[offset];
    int64_t position = frame_entries(frame) - unit.op.arg;
    if (unit.op.arg == 0 || position < code->co_nlocalsplus) {
        return offset;
    }
    pepjit_entry entry = frame->localsplus[position];
#if PEPJIT_314
    return entry_is_null(entry) || entry_is_object(entry) ? offset : (uint32_t)PyStackRef_UntagInt(entry);
#else
    return entry != NULL && PyLong_CheckExact(entry) ? (uint32_t)PyLong_AsUnsignedLong(entry) : offset;
#endif
}

/* Tells those who monitor an event. The exception that is set is the one it is about; if one of them raises, that one is. */
static int fire(PyThreadState *tstate, PyCodeObject *code, uint32_t offset, int event, int (*tell)(PyMonitoringState *, PyObject *, int32_t))
{
    uint8_t tools = tstate->interp->monitors.tools[event];
    if (code->_co_monitoring != NULL && (size_t)event < sizeof code->_co_monitoring->local_monitors.tools) {
        tools |= code->_co_monitoring->local_monitors.tools[event];
    }
    tools &= (uint8_t)~(1u << PEPJIT_TOOL);
    if (tools == 0) {
        return 0;
    }
    PyMonitoringState state = {.active = tools};
    return tell(&state, (PyObject *)code, (int32_t)(offset * sizeof(_Py_CODEUNIT)));
}

/* Notes the exception that is set in the frame's traceback; the frame is tstate->current_frame. */
static void add_traceback(void)
{
    PyFrameObject *object = (PyFrameObject *)PyEval_GetFrame(); /* keeps the exception that is set */
    if (object != NULL) {
        PyTraceBack_Here(object);
    }
}

bool pepjit_unwind(PyThreadState *tstate, pepjit_frame *frame, PyCodeObject *code, uint32_t offset)
{
    _Py_CODEUNIT unit = _PyCode_CODE(code)[offset];
    if (unit.op.code == RERAISE) {
        frame->instr_ptr = _PyCode_CODE(code) + raised_at(frame, code, offset);
    }
    else if (unit.op.code == RAISE_VARARGS && unit.op.arg == 0) {
        /* Compiled code comes here only if there was an exception to raise again. */
        frame->instr_ptr = _PyCode_CODE(code) + offset;
    }
    else {
        frame->instr_ptr = _PyCode_CODE(code) + offset;
        add_traceback();
        fire(tstate, code, offset, PY_MONITORING_EVENT_RAISE, _PyMonitoring_FireRaiseEvent);
    }
    int64_t base = code->co_nlocalsplus;
    struct pepjit_handler handler;
    while (pepjit_find_handler(code, offset, &handler)) {
        clear_stack_above(frame, base + handler.depth);
        if (fire(tstate, code, handler.target, PY_MONITORING_EVENT_EXCEPTION_HANDLED, _PyMonitoring_FireExceptionHandledEvent) < 0) {
            offset = handler.target - 1;
            continue;
        }
        if (handler.lasti) {
            push_lasti(frame, (uint32_t)((_Py_CODEUNIT *)frame->instr_ptr - _PyCode_CODE(code)));
        }
        pepjit_push_entry(frame, take_exception(tstate));
        frame->instr_ptr = _PyCode_CODE(code) + handler.target;
        check_owner(tstate);
        return true;
    }
    clear_stack_above(frame, base);
    check_owner(tstate);
    return false;
}

void pepjit_leave_raising(PyThreadState *tstate, pepjit_frame *frame)
{
    PyCodeObject *code = (PyCodeObject *)frame_executable(frame);
    uint32_t offset = (uint32_t)((_Py_CODEUNIT *)frame->instr_ptr - _PyCode_CODE(code));
    fire(tstate, code, offset, PY_MONITORING_EVENT_PY_UNWIND, _PyMonitoring_FirePyUnwindEvent);
    tstate->current_frame = frame->previous;
    _PyEval_FrameClearAndPop(tstate, frame);
    pepjit_unwinds++;
    check_owner(tstate);
}

void pepjit_reraise_in(pepjit_frame *frame)
{
    PyCodeObject *code = (PyCodeObject *)frame_executable(frame);
    /* With the offset below the exception RERAISE sets instr_ptr back, which tb_frame.f_lineno shows. */
    bool room = code->co_stacksize >= 2;
    if (room) {
        push_lasti(frame, (uint32_t)((_Py_CODEUNIT *)frame->instr_ptr - _PyCode_CODE(code)));
    }
    pepjit_push_entry(frame, PyErr_GetRaisedException());
    frame->instr_ptr = pepjit_own_instruction(code, room ? OWN_RERAISE_LASTI : OWN_RERAISE);
}

PyObject *pepjit_catch(PyThreadState *tstate)
{
    if (pepjit_watch(tstate)) {
        return NULL;
    }
    add_traceback();
    check_owner(tstate);
    return take_exception(tstate);
}

/* ---------------------------------------------------------------- helpers: raising */

/* An exception of a class, or the exception itself; NULL with an exception set. */
static PyObject *instance_of(PyObject *raised, const char *otherwise)
{
    if (PyExceptionInstance_Check(raised)) {
        return Py_NewRef(raised);
    }
    if (!PyExceptionClass_Check(raised)) {
        PyErr_SetString(PyExc_TypeError, otherwise);
        return NULL;
    }
    PyObject *exception = PyObject_CallNoArgs(raised);
    if (exception != NULL && !PyExceptionInstance_Check(exception)) {
        PyErr_Format(PyExc_TypeError, "calling %R should have returned an instance of BaseException, not %R", raised, Py_TYPE(exception));
        Py_CLEAR(exception);
    }
    return exception;
}

void pepjit_raise(PyObject *raised, PyObject *cause)
{
    PyObject *exception = instance_of(raised, "exceptions must derive from BaseException");
    if (exception != NULL && cause != NULL) {
        PyObject *from = NULL;
        if (cause != Py_None) {
            from = instance_of(cause, "exception causes must derive from BaseException");
            if (from == NULL) {
                Py_CLEAR(exception);
            }
        }
        if (exception != NULL) {
            PyException_SetCause(exception, from);
        }
    }
    if (exception != NULL) {
        PyErr_SetObject(PyExceptionClass_Check(raised) ? raised : (PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    check_owner_here();
}

PyObject *pepjit_handled(void)
{
    PyObject *exception = PyErr_GetHandledException();
    Py_XDECREF(exception); /* borrowed */
    return exception;
}

void pepjit_set_raised(PyObject *exception) { PyErr_SetRaisedException(exception); }

/* ---------------------------------------------------------------- helpers: handlers */

PyObject *pepjit_push_exc_info(PyObject *exception)
{
    _PyErr_StackItem *info = PyThreadState_GetUnchecked()->exc_info;
    PyObject *previous = info->exc_value;
    info->exc_value = Py_NewRef(exception);
    return previous != NULL ? previous : Py_None;
}

void pepjit_pop_except(PyObject *previous)
{
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    PyObject *handled = tstate->exc_info->exc_value;
    tstate->exc_info->exc_value = previous != Py_None ? previous : NULL;
    Py_XDECREF(handled);
    check_owner(tstate);
}

int64_t pepjit_check_exc_match(PyObject *exception, PyObject *class)
{
    if (_PyEval_CheckExceptTypeValid(PyThreadState_GetUnchecked(), class) < 0) {
        return -1;
    }
    return PyErr_GivenExceptionMatches(exception, class);
}

PyObject *pepjit_with_except_start(PyObject *exit, PyObject *self, PyObject *exception)
{
    PyObject *traceback = PyException_GetTraceback(exception);
    PyObject *stack[5] = {NULL, self, (PyObject *)Py_TYPE(exception), exception, traceback != NULL ? traceback : Py_None};
    size_t bound = self != NULL;
    PyObject *result = PyObject_Vectorcall(exit, stack + 2 - bound, (3 + bound) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(traceback);
    check_owner_here();
    return result;
}

/* ---------------------------------------------------------------- helpers: `with` */

#if PEPJIT_314

PyObject *pepjit_load_special(PyObject *owner, int64_t which)
{
    _PyStackRef found[2] = {PyStackRef_NULL, PyStackRef_FromPyObjectNew(owner)};
    int answer = _PyObject_LookupSpecialMethod(_Py_SpecialMethods[which].name, found);
    if (answer <= 0) {
        if (answer == 0) {
            bool suggest = _PyEval_SpecialMethodCanSuggest(owner, (int)which);
            PyErr_Format(PyExc_TypeError, suggest ? _Py_SpecialMethods[which].error_suggestion : _Py_SpecialMethods[which].error, owner);
        }
        PyStackRef_XCLOSE(found[0]);
        PyStackRef_XCLOSE(found[1]);
        check_owner_here();
        return NULL;
    }
    pepjit_scratch[0] = entry_take(found[1]);
    check_owner_here();
    return entry_take(found[0]);
}

#else

/* 3.13 has bound methods here: 0 gives `__enter__` or tells that the protocol isn't supported, 1 gives `__exit__`. */
PyObject *pepjit_load_special(PyObject *owner, int64_t which)
{
    PyObject *name = PyUnicode_InternFromString(which == 0 ? "__enter__" : "__exit__");
    PyObject *method = name != NULL ? _PyObject_LookupSpecial(owner, name) : NULL;
    Py_XDECREF(name);
    if (method == NULL && !PyErr_Occurred()) {
        PyErr_Format(PyExc_TypeError, "'%.200s' object does not support the context manager protocol%s", Py_TYPE(owner)->tp_name,
                     which == 0 ? "" : " (missed __exit__ method)");
    }
    pepjit_scratch[0] = NULL;
    check_owner_here();
    return method;
}

#endif
