/* What others see of the locals of frames that native code runs on. */
#include "internal.h"

#include "internal/pycore_pystate.h"

int64_t pepjit_observed;

static const struct pepjit_view *find_view(pepjit_frame *frame, const int64_t *buffer)
{
    const struct pepjit_views *table = (const struct pepjit_views *)(uintptr_t)buffer[VIEW_TABLE];
    int64_t offset = (_Py_CODEUNIT *)frame->instr_ptr - _PyCode_CODE((PyCodeObject *)frame_executable(frame));
    const struct pepjit_view *found = NULL;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct pepjit_view *view = &table->views[i];
        if (view->offset != offset) {
            continue;
        }
        if (found == NULL || view->variant == (uint64_t)buffer[VIEW_VARIANT]) {
            found = view;
        }
    }
    return found;
}

static PyObject *view_object(const struct pepjit_slot *slot, const int64_t *buffer)
{
    int64_t word = slot->kind == PEPJIT_SLOT_EMPTY || slot->kind == PEPJIT_SLOT_OBJECT ? 0 : buffer[slot->index];
    switch (slot->kind) {
    case PEPJIT_SLOT_EMPTY:
        return NULL;
    case PEPJIT_SLOT_OBJECT:
        return Py_NewRef((PyObject *)(uintptr_t)slot->address);
    case PEPJIT_SLOT_INT:
    case PEPJIT_SLOT_TAGGED:
        return pepjit_box_pair(word, PEPJIT_TAG_INT);
    case PEPJIT_SLOT_FLOAT:
        return pepjit_box_pair(word, PEPJIT_TAG_FLOAT);
    case PEPJIT_SLOT_BOOL:
        return word & 0xff ? Py_True : Py_False;
    case PEPJIT_SLOT_PAIR:
        if (buffer[slot->index + 1] != PEPJIT_TAG_OBJECT) {
            return pepjit_box_pair(word, buffer[slot->index + 1]);
        }
        return Py_XNewRef((PyObject *)(uintptr_t)word);
    default:
        return Py_XNewRef((PyObject *)(uintptr_t)word);
    }
}

/* Puts the locals into the frame, once per call that it's in: from then on the frame's are the ones that count. */
static void show_locals(PyThreadState *tstate, pepjit_frame *frame)
{
    int64_t *buffer = view_buffer(frame);
    const struct pepjit_view *view = buffer != NULL ? find_view(frame, buffer) : NULL;
    if (view == NULL || buffer[VIEW_OBSERVED] == 1 + (int64_t)view->offset) {
        return;
    }
    int64_t count = ((PyCodeObject *)frame_executable(frame))->co_nlocalsplus;
    for (int64_t i = 0; i < count; i++) {
        pepjit_entry old = frame->localsplus[i];
        frame->localsplus[i] = entry_from(view_object(&view->slots[i], buffer));
        Py_XDECREF(entry_take(old));
    }
    if (buffer[VIEW_OBSERVED] == 0) {
        pepjit_observed++;
    }
    buffer[VIEW_OBSERVED] = 1 + (int64_t)view->offset;
    pepjit_quiet_breaker = UINT64_MAX;
    (void)tstate;
}

void pepjit_forget_view(PyThreadState *tstate, pepjit_frame *frame)
{
    int64_t *buffer = view_buffer(frame);
    if (buffer == NULL) {
        return;
    }
    *view_slot(frame) = NULL;
    if (buffer[VIEW_OBSERVED] != 0) {
        buffer[VIEW_OBSERVED] = 0;
        if (--pepjit_observed == 0) {
            pepjit_refresh_quiet(tstate);
        }
    }
}

int pepjit_watch(PyThreadState *tstate)
{
    pepjit_frame *frame = tstate->current_frame;
    if (is_observed(frame) || (is_light(frame) && pepjit_code_monitored(frame_executable(frame)))) {
        return 1;
    }
    return breaker_version(tstate) != pepjit_quiet_breaker && pepjit_refresh_quiet(tstate);
}

/* ---------------------------------------------------------------- frame.f_locals */

static pepjit_getset locals_hook;

/* Whether a frame is among those that some thread runs or waits in: then what native code has of it is on that thread's stack. Other
 * light frames belong to a stack that somebody has moved away (greenlets that were switched from), and so is their buffer. */
static int is_running(pepjit_frame *frame)
{
    PyInterpreterState *interp = PyInterpreterState_Get();
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(interp); thread != NULL; thread = PyThreadState_Next(thread)) {
        for (pepjit_frame *running = thread->current_frame; running != NULL; running = running->previous) {
            if (running == frame) {
                return 1;
            }
        }
    }
    return 0;
}

static PyObject *get_locals(PyObject *self, void *closure)
{
    pepjit_frame *frame = ((PyFrameObject *)self)->f_frame;
    if (frame != NULL && is_light(frame) && is_running(frame)) {
        show_locals(PyThreadState_GetUnchecked(), frame);
    }
    return locals_hook.original->get(self, closure);
}

/* ---------------------------------------------------------------- sys.getrefcount */

static pepjit_override count_hook;

void pepjit_stack(void (*visit)(void *context, PyObject *code), void *context)
{
    for (pepjit_frame *frame = PyThreadState_GetUnchecked()->current_frame; frame != NULL; frame = frame->previous) {
        PyObject *code = frame_executable(frame);
        if (code != NULL && PyCode_Check(code)) {
            visit(context, code);
        }
    }
}

/* Code that the engine has been told of, as far as there's a place for it: who counts references does so again and again. */
enum { COUNTED_BITS = 10 };
static PyObject *counted[1 << COUNTED_BITS];

static PyObject **counted_place(PyObject *code)
{
    return &counted[(uint64_t)(uintptr_t)code * UINT64_C(0x9e3779b97f4a7c15) >> (64 - COUNTED_BITS)];
}

void pepjit_forget_counted(PyObject *code)
{
    PyObject **place = counted_place(code);
    *place = *place == code ? NULL : *place;
}

static void look_for_news(void *news, PyObject *code)
{
    *(bool *)news |= *counted_place(code) != code;
}

static void note_counted(void *context, PyObject *code)
{
    (void)context;
    *counted_place(code) = code;
}

static PyObject *get_count(PyObject *self, PyObject *object)
{
    bool news = false;
    pepjit_stack(look_for_news, &news);
    if (news && pepjit_rs_references_counted()) {
        pepjit_stack(note_counted, NULL);
    }
    return count_hook.original->ml_meth(self, object);
}

int pepjit_views_begin(void)
{
    pepjit_override_begin(&count_hook, PySys_GetObject("getrefcount"), METH_O, get_count);
    return pepjit_getset_begin(&locals_hook, &PyFrame_Type, "f_locals", get_locals, NULL);
}

void pepjit_views_end(void)
{
    pepjit_override_end(&count_hook);
    memset(counted, 0, sizeof counted);
    pepjit_getset_end(&locals_hook);
}
