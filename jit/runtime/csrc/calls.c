/* What native code calls directly: boxes, polling, the thread and its stack. */
#include "internal.h"

#include "internal/pycore_pystate.h"

#include <pthread.h>

PyObject *pepjit_scratch[PEPJIT_SCRATCH];
uint64_t pepjit_quiet_breaker;
uint64_t pepjit_stack_limit;
uint64_t pepjit_owner;
__thread uint64_t pepjit_thread;
vectorcallfunc pepjit_fallback;
const void *pepjit_evaluator;

/* ---------------------------------------------------------------- the native stack */

/* Native code uses at most half of the thread's stack, the rest is for C code and nested interpreters. */
static __thread uint64_t thread_limit;
static __thread uint64_t thread_end;

/* What the compiler takes of the stack at most: twice what it was seen to. */
enum { COMPILER = 384 * 1024 };

static uint64_t find_thread_limit(PyThreadState *tstate)
{
#if PEPJIT_314
    _PyThreadStateImpl *impl = (_PyThreadStateImpl *)tstate;
    if (impl->c_stack_hard_limit != 0) {
        thread_end = impl->c_stack_hard_limit;
        return impl->c_stack_soft_limit + (impl->c_stack_top - impl->c_stack_soft_limit) / 2;
    }
#else
    (void)tstate;
#endif
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &low, &size);
        pthread_attr_destroy(&attributes);
    }
    uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
    if (size == 0) {
        thread_end = here - 512 * 1024;
        return here - 256 * 1024;
    }
    thread_end = (uint64_t)(uintptr_t)low;
    uint64_t top = (uint64_t)(uintptr_t)low + size;
    /* An unlimited stack is reported with an absurd size; nobody needs more than this. */
    uint64_t usable = size < ((size_t)64 << 20) ? size : ((size_t)64 << 20);
    return top - usable / 2;
}

#if !PEPJIT_314
/* 3.13 counts nested interpreters (two units each) instead of measuring the stack. */
#  define C_RESERVE (Py_C_RECURSION_LIMIT / 2)
#endif

static int c_counter_low(PyThreadState *tstate)
{
#if PEPJIT_314
    (void)tstate;
    return 0;
#else
    return tstate->c_recursion_remaining < C_RESERVE;
#endif
}

void pepjit_change_owner(PyThreadState *tstate)
{
    if (thread_limit == 0) {
        thread_limit = find_thread_limit(tstate);
    }
    pepjit_owner = pepjit_thread = tstate->id;
    pepjit_stack_limit = thread_limit;
}

PyThreadState *pepjit_current_tstate(void)
{
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    check_owner(tstate);
#if !PEPJIT_314
    if (__builtin_expect(c_counter_low(tstate), 0)) {
        pepjit_stack_limit = UINT64_MAX; /* the next `Enter` leaves, and the exit sorts it out */
    }
#endif
    return tstate;
}

void pepjit_restore_limit(void)
{
    pepjit_stack_limit = thread_limit;
}

int pepjit_stack_low(PyThreadState *tstate)
{
    return (uint64_t)(uintptr_t)__builtin_frame_address(0) < pepjit_stack_limit + 64 * 1024 || c_counter_low(tstate);
}

int pepjit_compiler_fits(void)
{
    check_owner(PyThreadState_GetUnchecked());
    return (uint64_t)(uintptr_t)__builtin_frame_address(0) > thread_end + COMPILER;
}

/* ---------------------------------------------------------------- boxes */

void pepjit_dealloc(PyObject *object, PyThreadState *tstate)
{
    pepjit_frame *frame = tstate->current_frame;
    PyTypeObject *type = Py_TYPE(object);
    pepjit_waiting++;
    if (PyType_HasFeature(type, Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HEAPTYPE) && view_buffer(frame) != NULL) {
        /* Finalisers find no locals: the buffer tells of the frame as it was at the last call, and may name what has gone since. */
        int64_t *buffer = *view_slot(frame);
        *view_slot(frame) = NULL;
        _Py_Dealloc(object);
        *view_slot(frame) = buffer;
    }
    else {
        _Py_Dealloc(object);
    }
    pepjit_waiting--;
    check_owner_here();
}

PyObject *pepjit_box_int(int64_t value)
{
    PyObject *result = PyLong_FromLongLong(value);
    if (result == NULL) {
        Py_FatalError("pepjit: out of memory for an int");
    }
    return result;
}

PyObject *pepjit_box_float(double value)
{
    PyObject *result = PyFloat_FromDouble(value);
    if (result == NULL) {
        Py_FatalError("pepjit: out of memory for a float");
    }
    return result;
}

pepjit_pair pepjit_unbox_big_int(PyObject *exact_int)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(exact_int, &overflow);
    pepjit_pair result = {overflow ? 0 : value, !overflow};
    return result;
}

PyObject *pepjit_box_pair(int64_t payload, int64_t tag)
{
    switch (tag) {
    case PEPJIT_TAG_INT:
        return pepjit_box_int(payload);
    case PEPJIT_TAG_FLOAT: {
        double value;
        memcpy(&value, &payload, sizeof value);
        return pepjit_box_float(value);
    }
    default:
        return (PyObject *)(uintptr_t)payload;
    }
}

/* ---------------------------------------------------------------- polling */

PyObject *pepjit_serve(PyThreadState *tstate, PyObject *result)
{
    int failed = _Py_HandlePending(tstate);
    check_owner(tstate);
    if (failed) {
        Py_CLEAR(result);
    }
    return result;
}

int64_t pepjit_poll(PyThreadState *tstate)
{
    if (_Py_atomic_load_uintptr_relaxed(&tstate->eval_breaker) & _PY_EVAL_EVENTS_MASK) {
        int failed = _Py_HandlePending(tstate);
        check_owner(tstate);
        if (failed) {
            return -1;
        }
    }
    return pepjit_watch(tstate);
}
