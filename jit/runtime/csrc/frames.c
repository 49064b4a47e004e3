/* Frames: how compiled code is left for the interpreter, and how loops are entered from it. */
#include "internal.h"

#include "internal/pycore_pystate.h"
#include "opcode_ids.h"

#include <sys/mman.h>

int64_t pepjit_waiting;

int pepjit_running(void (*visit)(void *context, PyObject *code), void *context)
{
    if (Py_IsFinalizing() || PyThreadState_GetUnchecked() == NULL) {
        return 0; /* the counters are asked for at the very end of the process, when there is no interpreter to look at */
    }
    static PyObject *greenlet;
    if (greenlet == NULL && (greenlet = PyUnicode_InternFromString("greenlet")) == NULL) {
        PyErr_Clear();
        return 0;
    }
    PyInterpreterState *interp = PyInterpreterState_Get();
    PyObject *modules = PySys_GetObject("modules"); /* gone at the end of the process */
    if (pepjit_waiting != 0 || (modules != NULL && PyDict_CheckExact(modules) && pepjit_dict_get(modules, greenlet) != NULL)) {
        return 0;
    }
    for (PyThreadState *tstate = PyInterpreterState_ThreadHead(interp); tstate != NULL; tstate = PyThreadState_Next(tstate)) {
        for (pepjit_frame *frame = tstate->current_frame; frame != NULL; frame = frame->previous) {
            if (is_light(frame)) {
                visit(context, frame_executable(frame));
            }
        }
    }
    return 1;
}

static int64_t suspensions;

int pepjit_hooks_suspended(void)
{
    return suspensions != 0;
}

/* ---------------------------------------------------------------- pushing and popping */

#if !PEPJIT_315
#  ifndef _PY_DATA_STACK_CHUNK_SIZE
#    define _PY_DATA_STACK_CHUNK_SIZE (16 * 1024) /* DATA_STACK_CHUNK_SIZE of 3.13's Python/pystate.c */
#  endif
/* What CPython's push_chunk (Python/pystate.c) does, which isn't exported before 3.15: chunks come from the arena allocator. */
static pepjit_frame *push_chunk(PyThreadState *tstate, int size)
{
    size_t bytes = _PY_DATA_STACK_CHUNK_SIZE;
    while (bytes < sizeof(PyObject *) * ((size_t)size + 1000)) {
        bytes *= 2;
    }
    PyObjectArenaAllocator arena;
    PyObject_GetArenaAllocator(&arena);
    _PyStackChunk *chunk = arena.alloc(arena.ctx, bytes);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->previous = tstate->datastack_chunk;
    chunk->size = bytes;
    chunk->top = 0;
    if (tstate->datastack_chunk != NULL) {
        tstate->datastack_chunk->top = (size_t)(tstate->datastack_top - &tstate->datastack_chunk->data[0]);
    }
    tstate->datastack_chunk = chunk;
    tstate->datastack_limit = (PyObject **)((char *)chunk + bytes);
    /* The first frame of the first chunk isn't at its start, so that popping it keeps the chunk. */
    PyObject **base = &chunk->data[chunk->previous == NULL];
    tstate->datastack_top = base + size;
    return (pepjit_frame *)base;
}
#endif

/* A frame for a call of the function, with empty locals, linked to nothing. NULL: out of memory. */
static pepjit_frame *push_frame(PyThreadState *tstate, PyObject *function, PyCodeObject *code)
{
    pepjit_frame *frame;
    if (_PyThreadState_HasStackSpace(tstate, code->co_framesize)) {
        frame = (pepjit_frame *)tstate->datastack_top;
        tstate->datastack_top += code->co_framesize;
    }
    else {
#if PEPJIT_315
        frame = _PyThreadState_PushFrame(tstate, (size_t)code->co_framesize);
#else
        frame = push_chunk(tstate, code->co_framesize);
#endif
        if (frame == NULL) {
            return NULL;
        }
    }
#if PEPJIT_314
    _PyFrame_Initialize(tstate, frame, PyStackRef_FromPyObjectNew(function), NULL, code, 0, NULL);
#else
    _PyFrame_Initialize(frame, (PyFunctionObject *)Py_NewRef(function), NULL, code, 0);
    frame->previous = NULL;
#endif
    return frame;
}

pepjit_frame *pepjit_push_light_frame(PyThreadState *tstate, PyObject *function)
{
    PyCodeObject *code = (PyCodeObject *)((PyFunctionObject *)function)->func_code;
    pepjit_frame *frame = push_frame(tstate, function, code);
    if (frame == NULL) {
        return NULL;
    }
    /* Who runs the function holds it. */
    Py_DECREF(function);
    Py_DECREF(code);
#if PEPJIT_314
    frame->f_executable = PyStackRef_FromPyObjectBorrow((PyObject *)code);
    frame->f_funcobj = PyStackRef_FromPyObjectBorrow(function);
#endif
    frame->instr_ptr = _PyCode_CODE(code) + code->_co_firsttraceable;
    frame->return_offset = PEPJIT_LIGHT;
    *view_slot(frame) = NULL;
    frame->previous = tstate->current_frame;
    tstate->current_frame = frame;
    if (PyEval_GetFrame() == NULL) {
        Py_FatalError("pepjit: out of memory for a frame");
    }
    return frame;
}

/* Turns the borrowed references of a light frame into its own. */
static void own_light_frame(pepjit_frame *light)
{
#if PEPJIT_314
    light->f_executable = PyStackRef_FromPyObjectNew(frame_executable(light));
    light->f_funcobj = PyStackRef_FromPyObjectNew(frame_function(light));
#else
    Py_INCREF(light->f_executable);
    Py_INCREF(light->f_funcobj);
#endif
    light->return_offset = 0;
}

/* A frame whose frame object nobody else has, on a chunk of the stack that stays: ends as the interpreter would end it, with less ado. */
static bool pop_plain_frame(PyThreadState *tstate, pepjit_frame *light)
{
    PyObject *object = (PyObject *)light->frame_obj;
    if (object == NULL || Py_REFCNT(object) != 1 || (PyObject **)light == &tstate->datastack_chunk->data[0]) {
        return false;
    }
    tstate->current_frame = light->previous;
    light->frame_obj = NULL;
    Py_DECREF(object);
    int64_t count = ((PyCodeObject *)frame_executable(light))->co_nlocalsplus;
    for (int64_t i = 0; i < count; i++) {
        /* There is something only if others have looked. */
        Py_XDECREF(entry_take(light->localsplus[i]));
    }
    tstate->datastack_top = (PyObject **)light;
    return true;
}

void pepjit_pop_frame(PyThreadState *tstate, pepjit_frame *light)
{
    pepjit_forget_view(tstate, light);
    pepjit_waiting++;
    if (!pop_plain_frame(tstate, light)) {
        PyObject *exception = take_exception(tstate);
        own_light_frame(light);
        set_frame_entries(light, ((PyCodeObject *)frame_executable(light))->co_nlocalsplus);
        tstate->current_frame = light->previous;
        _PyEval_FrameClearAndPop(tstate, light);
        Py_XSETREF(tstate->current_exception, exception);
    }
    pepjit_waiting--;
    check_owner(tstate);
}

/* ---------------------------------------------------------------- code of our own that frames are pointed at */

/* Two copies, this many units apart: the interpreter looks up its position in the code's exception table as a truncated difference of
 * addresses, and at least one copy is certain to lie outside of any code. */
#define OWN_CODE_DISTANCE ((size_t)4 << 20)
static _Py_CODEUNIT *own_code;

static int make_own_code(void)
{
    size_t bytes = (OWN_CODE_DISTANCE + OWN_UNITS) * sizeof(_Py_CODEUNIT);
    _Py_CODEUNIT *units = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (units == MAP_FAILED) {
        PyErr_NoMemory();
        return -1;
    }
    for (int copy = 0; copy < 2; copy++) {
        _Py_CODEUNIT *place = units + (copy ? OWN_CODE_DISTANCE : 0);
        for (int i = 0; i < OWN_UNITS; i++) {
            place[i].op.code = NOP;
            place[i].op.arg = 0;
        }
        place[OWN_RERAISE_LASTI].op.code = RERAISE;
        place[OWN_RERAISE_LASTI].op.arg = 1;
        place[OWN_RERAISE].op.code = RERAISE;
        place[OWN_RETURN].op.code = RETURN_VALUE;
    }
    own_code = units;
    return 0;
}

_Py_CODEUNIT *pepjit_own_instruction(PyCodeObject *code, int which)
{
    int offset = (int)(own_code + which - _PyCode_CODE(code));
    int64_t size = Py_SIZE(code);
    bool inside = offset >= -1 && offset <= size + 1;
    return own_code + which + (inside ? OWN_CODE_DISTANCE : 0);
}

/* ---------------------------------------------------------------- exits */

/* Whether the frame's own locals are those that count, because somebody has looked at them (and may have changed them) during the call that
 * has just ended. */
static bool keeps_locals(pepjit_frame *frame, PyCodeObject *code, const struct pepjit_exit *record)
{
    const int64_t *view = view_buffer(frame);
    int64_t seen = view != NULL ? view[VIEW_OBSERVED] - 1 : -1;
    int64_t offset = record->watch ? (_Py_CODEUNIT *)frame->instr_ptr - _PyCode_CODE(code) : record->offset;
    return seen >= 0 && seen == offset && (record->watch || record->throw_);
}

/* Writes the record's slots from `first` on into the frame's entries, which must hold nothing. */
static void fill_frame(pepjit_frame *frame, const struct pepjit_exit *record, const int64_t *buffer, uint32_t first)
{
    uint32_t count = record->nlocals + record->nstack;
    PyObject **boxes = NULL;
    for (uint32_t i = first; i < count; i++) {
        const struct pepjit_slot *slot = &record->slots[i];
        PyObject *object = NULL;
        switch (slot->kind) {
        case PEPJIT_SLOT_EMPTY:
            break;
        case PEPJIT_SLOT_OBJECT:
            object = Py_NewRef((PyObject *)(uintptr_t)slot->address);
            break;
        case PEPJIT_SLOT_STEAL:
            object = (PyObject *)(uintptr_t)buffer[slot->index];
            break;
        case PEPJIT_SLOT_BORROW:
            object = Py_XNewRef((PyObject *)(uintptr_t)buffer[slot->index]);
            break;
        case PEPJIT_SLOT_BOOL:
            object = (buffer[slot->index] & 0xff) ? Py_True : Py_False;
            break;
        case PEPJIT_SLOT_TAGGED:
#if PEPJIT_314
            frame->localsplus[i] = PyStackRef_TagInt(buffer[slot->index]);
            continue;
#else
            object = pepjit_box_int(buffer[slot->index]);
            break;
#endif
        default:
            if (boxes == NULL) {
                boxes = __builtin_alloca(sizeof(PyObject *) * (record->nwords + 1));
                memset(boxes, 0, sizeof(PyObject *) * (record->nwords + 1));
            }
            if (boxes[slot->index] != NULL) {
                object = Py_NewRef(boxes[slot->index]);
                break;
            }
            if (slot->kind == PEPJIT_SLOT_PAIR) {
                object = pepjit_box_pair(buffer[slot->index], buffer[slot->index + 1]);
            }
            else {
                object = pepjit_box_pair(buffer[slot->index], slot->kind == PEPJIT_SLOT_INT ? PEPJIT_TAG_INT : PEPJIT_TAG_FLOAT);
            }
            boxes[slot->index] = object;
        }
        frame->localsplus[i] = entry_from(object);
    }
    set_frame_entries(frame, count);
}

/* Somebody who looked at the frame while native code ran may have written locals through f_locals: give those up. */
static void clear_entries(pepjit_frame *frame, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        PyObject *object = entry_take(frame->localsplus[i]);
        frame->localsplus[i] = entry_null();
        Py_XDECREF(object);
    }
}

static void count_exit(struct pepjit_exit *record, pepjit_frame *frame)
{
    record->count++;
    if (record->classes && record->nstack != 0 && record->count <= record->limit &&
        record->slots[record->nlocals + record->nstack - 1].kind != PEPJIT_SLOT_TAGGED) {
        PyObject *top = entry_borrow(frame->localsplus[record->nlocals + record->nstack - 1]);
        if (top != NULL) {
            pepjit_rs_exit_class(record, (PyObject *)Py_TYPE(top));
        }
    }
    if (record->reason != NULL) {
        (*record->reason)++;
    }
    if (record->count == record->limit && record->limit != 0) {
        pepjit_rs_exit_limit(record);
    }
}

/* Gives up what the record tells to, and the units of the locals before `first`. */
static void give_up_drops(const struct pepjit_exit *record, const int64_t *buffer, uint32_t first)
{
    for (uint32_t i = 0; i < first; i++) {
        const struct pepjit_slot *slot = &record->slots[i];
        if (slot->kind == PEPJIT_SLOT_STEAL || (slot->kind == PEPJIT_SLOT_PAIR && buffer[slot->index + 1] == PEPJIT_TAG_OBJECT)) {
            Py_XDECREF((PyObject *)(uintptr_t)buffer[slot->index]);
        }
    }
    for (uint32_t i = 0; i < record->ndrops; i++) {
        Py_XDECREF((PyObject *)(uintptr_t)buffer[record->drops[i]]);
    }
}

/* Whether code that goes on at an offset needs no help to have its events: the interpreter sees to that itself at `RESUME`, where most code leaves
 * while others watch, and a tracer's own code has none. All else costs a change of every code object. */
static bool instruments_itself(PyThreadState *tstate, PyCodeObject *code, uint32_t offset)
{
    return tstate->tracing != 0 || (int64_t)offset <= code->_co_firsttraceable ||
           pepjit_base_opcode(_PyCode_CODE(code)[offset].op.code) == RESUME;
}

static pepjit_pair exit_function(PyThreadState *tstate, pepjit_frame *light, struct pepjit_exit *record, const int64_t *buffer)
{
    PyObject *function = light != NULL ? frame_function(light) : record->function_cell != NULL ? *record->function_cell : record->function;
    PyCodeObject *code = (PyCodeObject *)record->code;
    uint32_t offset = record->offset;
    int throw = record->throw_;
    struct pepjit_handler handler;
    bool unwinds = throw && !pepjit_find_handler(code, offset, &handler);
    pepjit_pair result = {0, PEPJIT_TAG_OBJECT};

    check_owner(tstate);
    pepjit_restore_limit();
    /* The interpreter takes its own from the recursion limit when it starts the frame. */
    if (record->entered) {
        tstate->py_recursion_remaining++;
    }
    PyObject *exception = throw ? take_exception(tstate) : NULL;

    pepjit_frame *previous = tstate->current_frame;
    pepjit_frame *frame = light;
    uint32_t first = 0;
    if (light != NULL) {
        previous = light->previous;
        first = keeps_locals(light, code, record) ? record->nlocals : 0;
        pepjit_forget_view(tstate, light);
        own_light_frame(light);
        if (light->frame_obj != NULL && first == 0) {
            clear_entries(light, code->co_nlocalsplus);
        }
    }
    else {
        frame = push_frame(tstate, function, code);
        if (frame == NULL) {
            Py_FatalError("pepjit: out of memory for a frame");
        }
    }
    fill_frame(frame, record, buffer, first);
    frame->instr_ptr = _PyCode_CODE(code) + offset;
    /* Linked already: finalisers, the traceback and the instrumentation below see the frame. */
    frame->previous = previous;
    tstate->current_frame = frame;

    give_up_drops(record, buffer, first);
    if (!unwinds) {
        count_exit(record, frame);
    }
    if (throw) {
        Py_XSETREF(tstate->current_exception, exception);
        if (!pepjit_unwind(tstate, frame, code, offset)) {
            pepjit_leave_raising(tstate, frame);
            return result;
        }
    }
    if (breaker_version(tstate) != pepjit_quiet_breaker && pepjit_refresh_quiet(tstate) &&
        code->_co_instrumentation_version != breaker_version(tstate) && (throw || !instruments_itself(tstate, code, offset))) {
        pepjit_reinstrument();
    }

    int suspend = pepjit_stack_low(tstate);
    if (suspend && suspensions++ == 0) {
        pepjit_rs_suspend_hooks();
    }
    tstate->current_frame = previous;
    result.payload = (int64_t)(uintptr_t)_PyEval_EvalFrame(tstate, frame, 0);
    if (suspend && --suspensions == 0) {
        pepjit_rs_resume_hooks();
    }
    check_owner(tstate);
    return result;
}

/* A generator yields: all of its state goes to the frame, but for the value. */
static pepjit_pair yield_value(PyThreadState *tstate, pepjit_frame *frame, PyCodeObject *code, const struct pepjit_exit *record,
                               const int64_t *buffer)
{
    pepjit_forget_view(tstate, frame);
    frame->return_offset = 0;
    if (frame->frame_obj != NULL) {
        clear_entries(frame, frame_entries(frame));
    }
    fill_frame(frame, record, buffer, 0);
    frame->instr_ptr = _PyCode_CODE(code) + record->offset;
    int64_t top = frame_entries(frame) - 1;
    pepjit_pair result = {(int64_t)(uintptr_t)entry_take(frame->localsplus[top]), PEPJIT_TAG_YIELD};
    set_frame_entries(frame, top);
    for (int64_t i = record->nlocals; i < top; i++) {
        if (!entry_is_null(frame->localsplus[i]) && !entry_is_object(frame->localsplus[i])) {
            result.tag = PEPJIT_TAG_YIELD_PLAIN;
            break;
        }
        result.tag |= (int64_t)entry_is_null(frame->localsplus[i]) << (8 + i - record->nlocals);
    }
    give_up_drops(record, buffer, 0);
    return result;
}

static pepjit_pair exit_loop(PyThreadState *tstate, pepjit_frame *frame, struct pepjit_exit *record, const int64_t *buffer)
{
    PyCodeObject *code = (PyCodeObject *)frame_executable(frame);
    uint32_t offset = record->offset;
    int throw = record->throw_;
    PyObject *exception = throw ? PyErr_GetRaisedException() : NULL;

    check_owner(tstate);
    if (record->yields) {
        return yield_value(tstate, frame, code, record, buffer);
    }
    uint32_t first = keeps_locals(frame, code, record) ? record->nlocals : 0;
    pepjit_forget_view(tstate, frame);
    frame->return_offset = 0;
    if (first == 0) {
        clear_entries(frame, frame_entries(frame));
    }
    fill_frame(frame, record, buffer, first);
    frame->instr_ptr = _PyCode_CODE(code) + offset;
    give_up_drops(record, buffer, first);
    count_exit(record, frame);
    if (throw) {
        PyErr_SetRaisedException(exception);
        if (!pepjit_unwind(tstate, frame, code, offset)) {
            pepjit_reraise_in(frame);
        }
    }
    check_owner(tstate);
    pepjit_pair result = {0, PEPJIT_TAG_RESUME};
    return result;
}

/* Code isn't freed while it's active: finalisers that run in here may have it given up. */
static int64_t *activate(const struct pepjit_exit *record)
{
    static int64_t nobody;
    int64_t *active = record->active != NULL ? record->active : &nobody;
    ++*active;
    return active;
}

pepjit_pair pepjit_exit_function(PyThreadState *tstate, pepjit_frame *light, struct pepjit_exit *record, const int64_t *buffer)
{
    int64_t *active = activate(record);
    pepjit_pair result = exit_function(tstate, light, record, buffer);
    --*active;
    return result;
}

pepjit_pair pepjit_exit_loop(PyThreadState *tstate, pepjit_frame *frame, struct pepjit_exit *record, const int64_t *buffer)
{
    int64_t *active = activate(record);
    pepjit_pair result = exit_loop(tstate, frame, record, buffer);
    --*active;
    return result;
}

/* ---------------------------------------------------------------- loops */

int64_t pepjit_frame_values(pepjit_frame *frame, PyObject **out)
{
    int64_t count = frame_entries(frame);
    for (int64_t i = 0; i < count; i++) {
        out[i] = entry_borrow(frame->localsplus[i]);
    }
    return count;
}

int64_t pepjit_frame_count(pepjit_frame *frame)
{
    int64_t count = frame_entries(frame);
    for (int64_t i = 0; i < count; i++) {
        if (!entry_is_null(frame->localsplus[i]) && !entry_is_object(frame->localsplus[i])) {
            return -1;
        }
    }
    return count;
}

int pepjit_frame_normalise(pepjit_frame *frame)
{
#if PEPJIT_315
    int64_t count = frame_entries(frame);
    for (int64_t i = ((PyCodeObject *)frame_executable(frame))->co_nlocalsplus; i < count; i++) {
        if (!PyStackRef_IsTaggedInt(frame->localsplus[i])) {
            continue;
        }
        PyObject *sequence = i == 0 ? NULL : entry_borrow(frame->localsplus[i - 1]);
        intptr_t index = PyStackRef_UntagInt(frame->localsplus[i]);
        if (sequence == NULL || !(PyList_CheckExact(sequence) || PyTuple_CheckExact(sequence) || PyUnicode_CheckExact(sequence) ||
                                  PyBytes_CheckExact(sequence))) {
            return 0;
        }
        PyObject *iterator = PyObject_GetIter(sequence);
        if (iterator == NULL) {
            PyErr_Clear();
            return 0;
        }
        if (PyList_CheckExact(sequence)) {
            ((_PyListIterObject *)iterator)->it_index = index;
        }
        else if (PyTuple_CheckExact(sequence)) {
            ((_PyTupleIterObject *)iterator)->it_index = index;
        }
        else {
            PyObject *none = PyObject_CallMethod(iterator, "__setstate__", "n", (Py_ssize_t)index);
            if (none == NULL) {
                PyErr_Clear();
                Py_DECREF(iterator);
                return 0;
            }
            Py_DECREF(none);
        }
        _PyStackRef old = frame->localsplus[i - 1];
        frame->localsplus[i - 1] = PyStackRef_FromPyObjectSteal(iterator);
        frame->localsplus[i] = PyStackRef_NULL;
        PyStackRef_CLOSE(old);
    }
    return 1;
#else
    return pepjit_frame_count(frame) >= 0;
#endif
}

int pepjit_frame_fits(pepjit_frame *frame, const uint8_t *bound, int64_t count)
{
    if (frame_entries(frame) != count) {
        return 0;
    }
    for (int64_t i = 0; i < count; i++) {
        if (!entry_is_null(frame->localsplus[i]) && (!bound[i] || !entry_is_object(frame->localsplus[i]))) {
            /* An index beside a sequence, maybe: made an iterator, the sequence's entry is one, and this one empty. */
            if (entry_is_object(frame->localsplus[i]) || !pepjit_frame_normalise(frame) || !entry_is_null(frame->localsplus[i])) {
                return 0;
            }
        }
    }
    return 1;
}

PyObject *pepjit_frame_caller(pepjit_frame *frame, uint32_t *unit)
{
    pepjit_frame *caller = frame->previous;
    if (caller == NULL || is_light(caller) || (caller->owner != FRAME_OWNED_BY_THREAD && caller->owner != FRAME_OWNED_BY_GENERATOR)) {
        return NULL;
    }
    PyObject *code = frame_executable(caller);
    if (code == NULL || !PyCode_Check(code)) {
        return NULL;
    }
    int64_t offset = (_Py_CODEUNIT *)caller->instr_ptr - _PyCode_CODE((PyCodeObject *)code);
    if (offset < 0 || offset >= Py_SIZE(code)) {
        return NULL;
    }
    *unit = (uint32_t)offset;
    return code;
}

PyObject *pepjit_frame_function(pepjit_frame *frame)
{
    PyObject *function = frame_function(frame);
    if (function == NULL || !PyFunction_Check(function)) {
        return NULL;
    }
    /* Its code may have been assigned while the frame runs: what is compiled is the function's own. */
    return ((PyFunctionObject *)function)->func_code == frame_executable(frame) ? function : NULL;
}

/* The first instruction with this opcode, from the start of an instruction on; -1 if there is none. */
static int64_t find_opcode(const uint8_t *bytes, int64_t start, int64_t end, int opcode)
{
    for (int64_t i = start; i < end; i += 1 + pepjit_caches(bytes[2 * i])) {
        if (bytes[2 * i] == opcode) {
            return i;
        }
    }
    return -1;
}

/* A RETURN_VALUE at or behind the header if the code has one, so that f_lineno and events fit; else our own. */
static _Py_CODEUNIT *find_return(PyCodeObject *code, uint32_t header)
{
    PyObject *base = PyCode_GetCode(code);
    if (base == NULL) {
        PyErr_Clear();
        return pepjit_own_instruction(code, OWN_RETURN);
    }
    const uint8_t *bytes = (const uint8_t *)PyBytes_AS_STRING(base);
    int64_t found = find_opcode(bytes, header, Py_SIZE(code), RETURN_VALUE);
    if (found < 0) {
        found = find_opcode(bytes, 0, header, RETURN_VALUE);
    }
    Py_DECREF(base);
    return found >= 0 ? _PyCode_CODE(code) + found : pepjit_own_instruction(code, OWN_RETURN);
}

void pepjit_run_loop(PyThreadState *tstate, pepjit_frame *frame, uint32_t header, pepjit_loop_entry entry, uint64_t handle)
{
    PyCodeObject *code = (PyCodeObject *)frame_executable(frame);
    int64_t count = frame_entries(frame);
    PyObject **values = __builtin_alloca(sizeof(PyObject *) * (size_t)(count + 1));
    for (int64_t i = 0; i < count; i++) {
        values[i] = entry_take(frame->localsplus[i]);
        frame->localsplus[i] = entry_null();
    }
    set_frame_entries(frame, code->co_nlocalsplus);
    frame->instr_ptr = _PyCode_CODE(code) + header;
    check_owner(tstate);

    *view_slot(frame) = NULL;
    uint16_t return_offset = frame->return_offset;
    frame->return_offset = PEPJIT_LIGHT;

    /* The callback runs as a tracing function; native code runs as the program. */
    int what_event = tstate->what_event;
    tstate->what_event = -1;
    tstate->tracing--;
    pepjit_pair result = entry(tstate, frame, values, handle);
    tstate->tracing++;
    tstate->what_event = what_event;
    pepjit_forget_view(tstate, frame);
    frame->return_offset = return_offset;

    if (result.tag == PEPJIT_TAG_RESUME || result.tag == PEPJIT_TAG_RAISE) {
        return;
    }
    PyObject *value = pepjit_box_pair(result.payload, result.tag);
    if (value == NULL) {
        return; /* an exception is set: the callback fails with it */
    }
    clear_entries(frame, frame_entries(frame));
    set_frame_entries(frame, code->co_nlocalsplus);
    pepjit_push_entry(frame, value);
    frame->instr_ptr = find_return(code, header);
}

int pepjit_frames_init(void)
{
    if (own_code == NULL && make_own_code() < 0) {
        return -1;
    }
    pepjit_change_owner(PyThreadState_GetUnchecked());
    return 0;
}
