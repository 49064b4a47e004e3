/* How generators of ours go on: the slots, methods and getters of generators, replaced while there may be some. Everything here asks whether the
 * generator is a suspended one of ours and else goes to the original at once. */
#include "generators.h"

#include "internal/pycore_pystate.h"
#include "opcode_ids.h"

#include "internal/pycore_descrobject.h"

/* A generator has been suspended: makes it ours if there is, or may be, code to go on with. */
static inline void suspend(PyGenObject *gen, struct pepjit_resume *point, uint64_t nulls)
{
    struct pepjit_generator *known = point->owner;
    pepjit_frame *frame = generator_frame(gen);
    uint32_t offset = (uint32_t)(frame->instr_ptr - _PyCode_CODE(known->code));
    if (point->offset != offset) { /* most go round a loop */
        point = find_point(known, offset);
    }
    if (known->active && point != NULL && !point->refused && frame->frame_obj == NULL && pepjit_generator_fits(point, frame, nulls)) {
        pepjit_generator_mask(gen, point, FRAME_SUSPENDED);
    }
    else {
        gen->gi_frame_state = FRAME_SUSPENDED;
    }
}

/* The same after a step of the interpreter. */
static void suspend_interpreted(PyGenObject *gen, struct pepjit_resume *point)
{
    pepjit_frame *frame = generator_frame(gen);
    if (gen->gi_frame_state == FRAME_SUSPENDED && frame->frame_obj == NULL && pepjit_count_entries(frame)) {
        suspend(gen, point, pepjit_null_entries(frame, point->owner->locals, frame_entries(frame)));
    }
}

/* ---------------------------------------------------------------- going on */

/* Whether a `yield from` or `await` of the interpreter asks: it hands throw() and close() on without the slots, so it gets plain generators. */
static inline bool asked_by_send(PyThreadState *tstate)
{
    pepjit_frame *frame = tstate->current_frame;
    if (frame == NULL) {
        return false;
    }
    int opcode = frame->instr_ptr->op.code;
#if PEPJIT_315
    return opcode == SEND || opcode == SEND_GEN || opcode == SEND_ASYNC_GEN || opcode == SEND_VIRTUAL;
#else
    return opcode == SEND || opcode == SEND_GEN;
#endif
}

/* Whether the interpreter's own loop asks: it goes on with its own generators in place. */
static inline bool asked_in_place(pepjit_frame *frame)
{
    if (frame == NULL || frame->return_offset == PEPJIT_LIGHT) {
        return false;
    }
    int opcode = frame->instr_ptr->op.code;
    return opcode == FOR_ITER || opcode == FOR_ITER_GEN;
}

/* Has the point's code compiled, for the values that the frame has now. The sent value is on the stack. */
static bool compile(PyThreadState *tstate, pepjit_frame *frame, struct pepjit_resume *point)
{
    PyObject *function = pepjit_frame_function(frame);
    if (point->refused || function == NULL) {
        return false;
    }
    Py_INCREF(function);
    pepjit_rs_resume(frame, (PyObject *)point->owner->code, function, point, asked_in_place(tstate->current_frame));
    Py_DECREF(function);
    return point->entry != NULL;
}

/* Whether the generator can go on natively now. If so the sent value is on its frame's stack. */
static inline bool may_enter(PyThreadState *tstate, pepjit_frame *frame, struct pepjit_resume *point, PyObject *sent)
{
    check_owner(tstate);
    if (breaker_version(tstate) != pepjit_quiet_breaker && pepjit_refresh_quiet(tstate)) {
        return false;
    }
    if (tstate->py_recursion_remaining <= 1 || (uint64_t)(uintptr_t)__builtin_frame_address(0) < pepjit_stack_limit ||
        asked_by_send(tstate)) {
        return false;
    }
    int64_t count = frame_entries(frame);
    frame->localsplus[count] = entry_from(Py_NewRef(sent));
    set_frame_entries(frame, count + 1);
    if (__builtin_expect(point->entry != NULL, 1) || compile(tstate, frame, point)) {
        return true;
    }
    set_frame_entries(frame, count);
    Py_DECREF(entry_take(frame->localsplus[count]));
    frame->localsplus[count] = entry_null();
    return false;
}

static inline void unlink_generator(PyThreadState *tstate, PyGenObject *gen, pepjit_frame *frame)
{
    tstate->exc_info = gen->gi_exc_state.previous_item;
    gen->gi_exc_state.previous_item = NULL;
    tstate->current_frame = frame->previous;
    frame->previous = NULL;
    tstate->py_recursion_remaining++;
}

/* The interpreter goes on with what compiled code has left. */
static PySendResult finish_interpreted(PyThreadState *tstate, PyGenObject *gen, struct pepjit_resume *point, PyObject **result)
{
    pepjit_frame *frame = generator_frame(gen);
    tstate->py_recursion_remaining++;
    tstate->current_frame = frame->previous;
    *result = _PyEval_EvalFrame(tstate, frame, 0);
    check_owner(tstate);
    if (*result == NULL) {
        return PYGEN_ERROR;
    }
    if (!FRAME_STATE_SUSPENDED(gen->gi_frame_state)) {
        return PYGEN_RETURN;
    }
    suspend_interpreted(gen, point);
    return PYGEN_NEXT;
}

/* Compiled code has returned. */
static PySendResult finish_returned(PyThreadState *tstate, PyGenObject *gen, pepjit_pair pair, PyObject **result)
{
    pepjit_frame *frame = generator_frame(gen);
    *result = pepjit_box_pair(pair.payload, pair.tag);
    tstate->py_recursion_remaining++;
    tstate->current_frame = frame->previous;
    _PyEval_FrameClearAndPop(tstate, frame); /* gives exc_info back and clears the generator */
    return *result != NULL ? PYGEN_RETURN : PYGEN_ERROR;
}

/* Lets a masked generator go on. False: it has been unmasked instead, and the original slot is to be called. */
static inline __attribute__((always_inline)) bool resume_here(PyGenObject *gen, PyObject *sent, PyObject **result, PySendResult *how)
{
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    pepjit_frame *frame = generator_frame(gen);
    struct pepjit_resume *point = (struct pepjit_resume *)frame->previous;
    struct pepjit_generator *known = point->owner;
    frame->previous = NULL; /* it runs, for whoever asks meanwhile */
    if (!may_enter(tstate, frame, point, sent)) {
        pepjit_generator_unmask(gen);
        return false;
    }
    frame->previous = tstate->current_frame;
    tstate->current_frame = frame;
    gen->gi_exc_state.previous_item = tstate->exc_info;
    tstate->exc_info = &gen->gi_exc_state;
    tstate->py_recursion_remaining--;

    set_frame_entries(frame, known->locals);
    known->saved += point->gain + (asked_in_place(frame->previous) ? 0 : SAVED_CALL);
    frame->return_offset = PEPJIT_LIGHT;
    pepjit_pair pair = point->entry(tstate, frame, (PyObject **)frame->localsplus, point->handle);

    if (__builtin_expect((pair.tag & 0xff) == PEPJIT_TAG_YIELD, 1)) {
        frame->return_offset = 0;
        *result = (PyObject *)(uintptr_t)pair.payload;
        *how = PYGEN_NEXT;
        unlink_generator(tstate, gen, frame);
        suspend(gen, point, (uint64_t)pair.tag >> 8);
        return true;
    }
    pepjit_forget_view(tstate, frame);
    frame->return_offset = 0;
    if (pair.tag == PEPJIT_TAG_YIELD_PLAIN) {
        *result = (PyObject *)(uintptr_t)pair.payload;
        *how = PYGEN_NEXT;
        unlink_generator(tstate, gen, frame);
        gen->gi_frame_state = FRAME_SUSPENDED;
        return true;
    }
    if (pair.tag == PEPJIT_TAG_RESUME || pair.tag == PEPJIT_TAG_RAISE) {
        *how = finish_interpreted(tstate, gen, point, result);
    }
    else {
        *how = finish_returned(tstate, gen, pair, result);
    }
    return true;
}

/* The same where it isn't worth its length. */
static bool resume(PyGenObject *gen, PyObject *sent, PyObject **result, PySendResult *how) { return resume_here(gen, sent, result, how); }

/* ---------------------------------------------------------------- slots */

static iternextfunc original_next;
static sendfunc original_am_send;
static destructor original_finalize;
static traverseproc original_traverse;
static PyWrapperDescrObject *next_wrapper;
static bool swapped;

static __attribute__((noinline)) PyObject *masked_next(PyGenObject *gen)
{
    PyObject *result;
    PySendResult how;
    if (!resume_here(gen, Py_None, &result, &how)) {
        return original_next((PyObject *)gen);
    }
    if (how == PYGEN_RETURN) {
        if (result != Py_None) {
            _PyGen_SetStopIterationValue(result);
        }
        Py_DECREF(result);
        return NULL;
    }
    return result;
}

/* The interpreter's own generators come here as well: nothing but a jump is between. */
static PyObject *generator_next(PyObject *self)
{
    return is_masked((PyGenObject *)self) ? masked_next((PyGenObject *)self) : original_next(self);
}

static PySendResult generator_am_send(PyObject *self, PyObject *arg, PyObject **result)
{
    PyGenObject *gen = (PyGenObject *)self;
    PySendResult how;
    if (!is_masked(gen)) {
        return original_am_send(self, arg, result);
    }
    if (gen->gi_closed == FRAME_CREATED && arg != NULL && arg != Py_None) {
        pepjit_generator_unmask(gen); /* which is an error, and the generator stays as it is */
        return original_am_send(self, arg, result);
    }
    if (!resume(gen, arg != NULL ? arg : Py_None, result, &how)) {
        return original_am_send(self, arg, result);
    }
    return how;
}

static void generator_finalize(PyObject *self)
{
    if (is_masked((PyGenObject *)self)) {
        pepjit_generator_unmask((PyGenObject *)self);
    }
    original_finalize(self);
}

static int generator_traverse(PyObject *self, visitproc visit, void *arg)
{
    PyGenObject *gen = (PyGenObject *)self;
    if (!is_masked(gen)) {
        return original_traverse(self, visit, arg);
    }
    gen->gi_frame_state = (int8_t)gen->gi_closed;
    int stop = original_traverse(self, visit, arg);
    gen->gi_frame_state = FRAME_EXECUTING;
    return stop;
}

/* ---------------------------------------------------------------- methods */

static PyCFunction original_send, original_throw, original_close;

static PyObject *generator_send(PyObject *self, PyObject *arg)
{
    PyGenObject *gen = (PyGenObject *)self;
    PyObject *result;
    PySendResult how;
    if (!is_masked(gen)) {
        return original_send(self, arg);
    }
    if (gen->gi_closed == FRAME_CREATED && arg != Py_None) {
        pepjit_generator_unmask(gen);
        return original_send(self, arg);
    }
    if (!resume(gen, arg, &result, &how)) {
        return original_send(self, arg);
    }
    if (how == PYGEN_RETURN) {
        if (result == Py_None) {
            PyErr_SetNone(PyExc_StopIteration);
        }
        else {
            _PyGen_SetStopIterationValue(result);
        }
        Py_DECREF(result);
        return NULL;
    }
    return result;
}

static PyObject *generator_throw(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (is_masked((PyGenObject *)self)) {
        pepjit_generator_unmask((PyGenObject *)self);
    }
    return ((PyCFunctionFast)(void (*)(void))original_throw)(self, args, nargs);
}

static PyObject *generator_close(PyObject *self, PyObject *arg)
{
    if (is_masked((PyGenObject *)self)) {
        pepjit_generator_unmask((PyGenObject *)self);
    }
    return original_close(self, arg);
}

static struct {
    const char *name;
    int flags;
    PyCFunction replacement;
    PyCFunction *original;
    PyMethodDef *method;
} methods[] = {
    {"send", METH_O, generator_send, &original_send, NULL},
    {"throw", METH_FASTCALL, (PyCFunction)(void (*)(void))generator_throw, &original_throw, NULL},
    {"close", METH_NOARGS, generator_close, &original_close, NULL},
};

/* ---------------------------------------------------------------- getters */

enum { GET_FRAME, GET_RUNNING, GET_SUSPENDED, GET_YIELDFROM, GET_STATE, GETTERS };

static struct {
    const char *name;
    PyGetSetDef *getset;
    getter original;
} getters[GETTERS] = {{"gi_frame", NULL, NULL}, {"gi_running", NULL, NULL}, {"gi_suspended", NULL, NULL}, {"gi_yieldfrom", NULL, NULL}, {"gi_state", NULL, NULL}};

static PyObject *generator_look(int which, PyObject *self, void *closure)
{
    PyGenObject *gen = (PyGenObject *)self;
    if (!is_masked(gen)) {
        return getters[which].original(self, closure);
    }
    if (which == GET_FRAME) {
        /* Who has the frame can do anything with it. */
        pepjit_generator_unmask(gen);
        return getters[which].original(self, closure);
    }
    gen->gi_frame_state = (int8_t)gen->gi_closed;
    PyObject *result = getters[which].original(self, closure);
    gen->gi_frame_state = FRAME_EXECUTING;
    return result;
}

static PyObject *get_frame(PyObject *self, void *closure) { return generator_look(GET_FRAME, self, closure); }
static PyObject *get_running(PyObject *self, void *closure) { return generator_look(GET_RUNNING, self, closure); }
static PyObject *get_suspended(PyObject *self, void *closure) { return generator_look(GET_SUSPENDED, self, closure); }
static PyObject *get_yieldfrom(PyObject *self, void *closure) { return generator_look(GET_YIELDFROM, self, closure); }
static PyObject *get_state(PyObject *self, void *closure) { return generator_look(GET_STATE, self, closure); }
static const getter replacements[GETTERS] = {get_frame, get_running, get_suspended, get_yieldfrom, get_state};

/* ---------------------------------------------------------------- on and off */

/* Finds everything before anything is changed. */
static bool find_all(PyObject *dict)
{
    PyObject *found = PyDict_GetItemString(dict, "__next__");
    if (found == NULL || !Py_IS_TYPE(found, &PyWrapperDescr_Type)) {
        return false;
    }
    next_wrapper = (PyWrapperDescrObject *)found;
    if (next_wrapper->d_wrapped != (void *)PyGen_Type.tp_iternext || PyGen_Type.tp_as_async == NULL ||
        PyGen_Type.tp_as_async->am_send == NULL || PyGen_Type.tp_finalize == NULL || PyGen_Type.tp_traverse == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        found = PyDict_GetItemString(dict, methods[i].name);
        if (found == NULL || !Py_IS_TYPE(found, &PyMethodDescr_Type)) {
            return false;
        }
        methods[i].method = ((PyMethodDescrObject *)found)->d_method;
        if ((methods[i].method->ml_flags & (METH_O | METH_FASTCALL | METH_NOARGS | METH_VARARGS | METH_KEYWORDS)) != methods[i].flags) {
            return false;
        }
    }
    for (int i = 0; i < GETTERS; i++) {
        found = PyDict_GetItemString(dict, getters[i].name);
        if (found == NULL && i == GET_STATE) {
            continue; /* since 3.15 */
        }
        if (found == NULL || !Py_IS_TYPE(found, &PyGetSetDescr_Type)) {
            return false;
        }
        getters[i].getset = ((PyGetSetDescrObject *)found)->d_getset;
    }
    return true;
}

void pepjit_generators_begin(void)
{
    if (swapped) {
        pepjit_generators_on = 1;
        return;
    }
    PyObject *dict = PyType_GetDict(&PyGen_Type);
    if (dict == NULL || !find_all(dict)) {
        PyErr_Clear();
        Py_XDECREF(dict);
        return; /* generators stay interpreted */
    }
    Py_DECREF(dict); /* the class, which is static, keeps it */
    original_next = PyGen_Type.tp_iternext;
    original_am_send = PyGen_Type.tp_as_async->am_send;
    original_finalize = PyGen_Type.tp_finalize;
    original_traverse = PyGen_Type.tp_traverse;
    PyGen_Type.tp_iternext = generator_next;
    next_wrapper->d_wrapped = (void *)generator_next;
    PyGen_Type.tp_as_async->am_send = generator_am_send;
    PyGen_Type.tp_finalize = generator_finalize;
    PyGen_Type.tp_traverse = generator_traverse;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        *methods[i].original = methods[i].method->ml_meth;
        methods[i].method->ml_meth = methods[i].replacement;
    }
    for (int i = 0; i < GETTERS; i++) {
        if (getters[i].getset != NULL) {
            getters[i].original = getters[i].getset->get;
            getters[i].getset->get = replacements[i];
        }
    }
    swapped = true;
    pepjit_generators_on = 1;
}

void pepjit_generators_end(void)
{
    if (!swapped) {
        return;
    }
    pepjit_generators_stop();
    PyGen_Type.tp_iternext = original_next;
    next_wrapper->d_wrapped = (void *)original_next;
    PyGen_Type.tp_as_async->am_send = original_am_send;
    PyGen_Type.tp_finalize = original_finalize;
    PyGen_Type.tp_traverse = original_traverse;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        methods[i].method->ml_meth = *methods[i].original;
    }
    for (int i = 0; i < GETTERS; i++) {
        if (getters[i].getset != NULL) {
            getters[i].getset->get = getters[i].original;
        }
    }
    swapped = false;
}
