/* Generators whose bodies are compiled.
 *
 * They are the interpreter's own generator objects. While one of ours is suspended its gi_frame_state is held at FRAME_EXECUTING ("masked"), so
 * that the interpreter's shortcuts for generators miss and everybody comes to the slots of PyGen_Type, which genslots.c has replaced. The true state
 * is in gi_closed, which generators don't use, and the point where it goes on in the frame's `previous`, which is unused while suspended. A generator
 * can be unmasked whenever it's suspended: then it's the interpreter's like any other. */
#include "generators.h"

#include "internal/pycore_pystate.h"
#include "opcode_ids.h"

int pepjit_generators_on;

const char pepjit_resume_magic;

/* ---------------------------------------------------------------- what is known of a code object */

static struct pepjit_generator *all;
static Py_ssize_t extra_index = -1;

static void free_generator(void *extra)
{
    struct pepjit_generator *known = extra;
    if (known == NULL) {
        return;
    }
    struct pepjit_generator **link = &all;
    while (*link != NULL && *link != known) {
        link = &(*link)->next;
    }
    if (*link == known) {
        *link = known->next;
    }
    for (uint32_t i = 0; i < known->count; i++) {
        if (known->points[i].entry != NULL) {
            return; /* the Rust side was busy and still knows it */
        }
    }
    PyMem_RawFree(known);
}

/* What the interpreter keeps in co_extra. It's asked for whenever a function is made, so it's read in place; `know` makes sure that it is so. */
struct extras {
    Py_ssize_t size;
    struct pepjit_generator *known[];
};

static struct pepjit_generator *find(PyCodeObject *code)
{
    struct extras *extras = code->co_extra;
    return extras != NULL && extra_index >= 0 && extra_index < extras->size ? extras->known[extra_index] : NULL;
}

static bool add_point(struct pepjit_generator *known, uint32_t offset)
{
    if (known->count == MOST_POINTS) {
        return false;
    }
    struct pepjit_resume *point = &known->points[known->count++];
    point->magic = &pepjit_resume_magic;
    point->offset = offset;
    return true;
}

/* Reads the code: what comes before RETURN_GENERATOR, and where the generator is resumed. */
static bool read_code(struct pepjit_generator *known, const uint16_t *units, uint32_t count)
{
    uint32_t at = 0;
    known->plain = 1;
    for (; at < count; at += 1 + pepjit_caches(units[at] & 0xff)) {
        int opcode = units[at] & 0xff;
        if (opcode == RETURN_GENERATOR) {
            break;
        }
        if (opcode == EXTENDED_ARG || known->nprologue == MOST_PROLOGUE) {
            known->plain = 0;
            continue;
        }
        struct prologue *step = &known->prologue[known->nprologue++];
        step->opcode = (uint8_t)opcode;
        step->arg = (uint8_t)(units[at] >> 8);
        bool iterates = PEPJIT_314 && (opcode == GET_ITER || opcode == RESUME || (opcode == LOAD_FAST && step->arg == 0));
        if (opcode != COPY_FREE_VARS && opcode != MAKE_CELL && !iterates) {
            known->plain = 0;
        }
    }
    if (at >= count || !add_point(known, at + 1)) {
        return false;
    }
    for (; at < count; at += 1 + pepjit_caches(units[at] & 0xff)) {
        /* An EXTENDED_ARG before a YIELD_VALUE doesn't happen: its argument is 0 or 1. */
        if ((units[at] & 0xff) == YIELD_VALUE && !add_point(known, at + 1 + pepjit_caches(YIELD_VALUE))) {
            return false;
        }
    }
    return true;
}

static struct pepjit_generator *know(PyCodeObject *code)
{
    struct pepjit_generator *known = find(code);
    if (known != NULL) {
        return known;
    }
    if (extra_index < 0 && (extra_index = PyUnstable_Eval_RequestCodeExtraIndex(free_generator)) < 0) {
        PyErr_Clear();
        return NULL;
    }
    struct pepjit_code info;
    if (pepjit_code_info((PyObject *)code, &info) < 0) {
        return NULL;
    }
    known = PyMem_RawCalloc(1, sizeof *known);
    bool fine = known != NULL && read_code(known, info.base, info.nunits);
    pepjit_code_release(&info);
    if (fine && PyUnstable_Code_SetExtra((PyObject *)code, extra_index, known) == 0) {
        if (find(code) != known) {
            PyUnstable_Code_SetExtra((PyObject *)code, extra_index, NULL); /* frees it; generators stay interpreted */
            return NULL;
        }
        known->code = code;
        known->locals = code->co_nlocalsplus;
        for (uint32_t i = 0; i < known->count; i++) {
            known->points[i].owner = known;
        }
        known->next = all;
        all = known;
        return known;
    }
    PyErr_Clear();
    PyMem_RawFree(known);
    return NULL;
}

/* ---------------------------------------------------------------- masking */

void pepjit_generator_unmask(PyGenObject *gen)
{
    generator_frame(gen)->previous = NULL;
    gen->gi_frame_state = (int8_t)gen->gi_closed;
    gen->gi_closed = 0;
}

/* What compiled code takes out of a frame are counted references to objects, and NULL. */
bool pepjit_count_entries(pepjit_frame *frame)
{
#if PEPJIT_314
    int64_t count = frame_entries(frame);
    for (int64_t i = 0; i < count; i++) {
        if (entry_is_object(frame->localsplus[i])) {
            frame->localsplus[i] = entry_from(entry_take(frame->localsplus[i]));
        }
        else if (!entry_is_null(frame->localsplus[i])) {
            return pepjit_frame_normalise(frame) && pepjit_count_entries(frame);
        }
    }
#else
    (void)frame;
#endif
    return true;
}

/* Which stack entries are NULL, a bit each, the bottom first. */
uint64_t pepjit_null_entries(pepjit_frame *frame, int64_t from, int64_t count)
{
    uint64_t nulls = 0;
    for (int64_t i = from; i < count; i++) {
        nulls |= (uint64_t)entry_is_null(frame->localsplus[i]) << (i - from);
    }
    return nulls;
}

/* ---------------------------------------------------------------- making */

#if PEPJIT_314
/* Whether asking for its iterator runs no Python code and can't fail. */
static bool iterates_plainly(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return type == &PyList_Type || type == &PyTuple_Type || type == &PyRange_Type || type == &PyDict_Type || type == &PySet_Type ||
           type == &PyUnicode_Type || type == &PyGen_Type || type == &PyDictKeys_Type || type == &PyDictValues_Type ||
           type == &PyDictItems_Type || type == &PyFrozenSet_Type || type == &PyListIter_Type || type == &PyTupleIter_Type ||
           type == &PyRangeIter_Type || type == &PyEnum_Type || type == &PyZip_Type || type == &PyMap_Type || type == &PyFilter_Type;
}
#endif

/* What the instructions before RETURN_GENERATOR do, on the frame of a generator that nobody knows yet. */
static bool run_prologue(struct pepjit_generator *known, PyFunctionObject *function, pepjit_frame *frame)
{
    int64_t locals = known->code->co_nlocalsplus;
    for (uint32_t i = 0; i < known->nprologue; i++) {
        int arg = known->prologue[i].arg;
        switch (known->prologue[i].opcode) {
        case COPY_FREE_VARS:
            for (int j = 0; j < arg; j++) {
                PyObject *cell = Py_NewRef(PyTuple_GET_ITEM(function->func_closure, j));
                frame->localsplus[locals - arg + j] = entry_from(cell);
            }
            break;
        case MAKE_CELL: {
            PyObject *initial = entry_borrow(frame->localsplus[arg]);
            PyObject *cell = PyCell_New(initial);
            if (cell == NULL) {
                return false;
            }
            Py_XDECREF(entry_take(frame->localsplus[arg]));
            frame->localsplus[arg] = entry_from(cell);
            break;
        }
#if PEPJIT_314
        case GET_ITER: {
            PyObject *iterator = PyObject_GetIter(entry_borrow(frame->localsplus[0]));
            if (iterator == NULL) {
                return false;
            }
            int64_t count = frame_entries(frame);
            frame->localsplus[count] = entry_from(iterator);
            set_frame_entries(frame, count + 1);
#  if PEPJIT_315
            frame->localsplus[count + 1] = entry_null();
            set_frame_entries(frame, count + 2);
#  endif
            break;
        }
#endif
        default:
            break; /* RESUME, and the LOAD_FAST for GET_ITER */
        }
    }
    return true;
}

/* A generator made without the interpreter; NULL with or without an exception: leave it to the interpreter. */
static PyObject *make(PyThreadState *tstate, struct pepjit_generator *known, PyFunctionObject *function, PyObject *const *args)
{
    PyCodeObject *code = known->code;
    PyGenObject *gen = PyObject_GC_NewVar(PyGenObject, &PyGen_Type, _PyFrame_NumSlotsForCodeObject(code));
    if (gen == NULL) {
        PyErr_Clear();
        return NULL;
    }
    pepjit_frame *frame = generator_frame(gen);
#if PEPJIT_314
    _PyFrame_Initialize(tstate, frame, PyStackRef_FromPyObjectNew((PyObject *)function), NULL, code, 0, NULL);
#else
    _PyFrame_Initialize(frame, (PyFunctionObject *)Py_NewRef((PyObject *)function), NULL, code, 0);
    frame->previous = NULL;
    (void)tstate;
#endif
    for (int i = 0; i < code->co_argcount; i++) {
        frame->localsplus[i] = entry_from(Py_NewRef(args[i]));
    }
    frame->owner = FRAME_OWNED_BY_GENERATOR;
    frame->instr_ptr = _PyCode_CODE(code) + known->points[0].offset;
    frame->return_offset = 0;
    gen->gi_weakreflist = NULL;
    gen->gi_exc_state.exc_value = NULL;
    gen->gi_exc_state.previous_item = NULL;
    gen->gi_origin_or_finalizer = NULL;
    gen->gi_hooks_inited = gen->gi_closed = gen->gi_running_async = 0;
    gen->gi_name = Py_NewRef(function->func_name);
    gen->gi_qualname = Py_NewRef(function->func_qualname);
    gen->gi_frame_state = FRAME_CREATED;
    if (!run_prologue(known, function, frame)) {
        PyErr_Clear();
        PyObject_GC_Track(gen);
        Py_DECREF(gen);
        return NULL;
    }
    if (pepjit_generator_fits(&known->points[0], frame, pepjit_null_entries(frame, known->locals, frame_entries(frame)))) {
        pepjit_generator_mask(gen, &known->points[0], FRAME_CREATED);
    }
    PyObject_GC_Track(gen);
    return (PyObject *)gen;
}

static bool makes_plainly(PyThreadState *tstate, struct pepjit_generator *known, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyCodeObject *code = known->code;
    if (!known->plain || kwnames != NULL || PyVectorcall_NARGS(nargsf) != code->co_argcount || code->co_kwonlyargcount != 0 ||
        (code->co_flags & (CO_VARARGS | CO_VARKEYWORDS)) != 0 || tstate->py_recursion_remaining <= 1) {
        return false;
    }
#if PEPJIT_314
    for (uint32_t i = 0; i < known->nprologue; i++) {
        if (known->prologue[i].opcode == GET_ITER && (known->prologue[i].arg != 0 || !iterates_plainly(args[0]))) {
            return false;
        }
    }
#else
    (void)args; /* the caller has asked for the iterator */
#endif
    return true;
}

static void deactivate(struct pepjit_generator *known)
{
    if (known->active) {
        known->active = 0;
        known->code->co_version = known->version;
    }
}

/* Counts a generator of ours, and gives them up if they live too shortly to pay. False: they are. */
static bool pays(PyThreadState *tstate, struct pepjit_generator *known)
{
    known->saved -= is_light(tstate->current_frame) ? COST_OF_MAKING_NATIVELY : COST_OF_MAKING;
    if (++known->made < JUDGED_AFTER && known->saved > -MOST_LOST) {
        return true;
    }
    bool enough = known->saved >= 0 || pepjit_rs_forced();
    known->made = 0;
    known->saved = 0;
    if (!enough) {
        known->points[0].refused = 1;
        deactivate(known);
    }
    return enough;
}

/* The vectorcall of functions that make our generators. */
static PyObject *create(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyFunctionObject *function = (PyFunctionObject *)callable;
    struct pepjit_generator *known = find((PyCodeObject *)function->func_code);
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    if (known == NULL || !known->active || !pepjit_generators_on || !pays(tstate, known)) {
        function->vectorcall = pepjit_fallback;
        return pepjit_fallback(callable, args, nargsf, kwnames);
    }
    bool quiet = breaker_version(tstate) == pepjit_quiet_breaker || !pepjit_refresh_quiet(tstate);
    if (!quiet || known->points[0].refused || pepjit_stack_low(tstate) || function->func_globals != known->globals ||
        function->func_builtins != known->builtins) {
        return pepjit_fallback(callable, args, nargsf, kwnames);
    }
    if (makes_plainly(tstate, known, args, nargsf, kwnames)) {
        PyObject *made = make(tstate, known, function, args);
        if (made != NULL) {
            return made;
        }
    }
    PyObject *result = pepjit_fallback(callable, args, nargsf, kwnames);
    if (result != NULL && Py_IS_TYPE(result, &PyGen_Type)) {
        PyGenObject *gen = (PyGenObject *)result;
        pepjit_frame *frame = generator_frame(gen);
        if (gen->gi_frame_state == FRAME_CREATED && frame_executable(frame) == (PyObject *)known->code && frame->frame_obj == NULL &&
            pepjit_count_entries(frame) && pepjit_generator_fits(&known->points[0], frame, pepjit_null_entries(frame, known->locals, frame_entries(frame)))) {
            pepjit_generator_mask(gen, &known->points[0], FRAME_CREATED);
        }
    }
    return result;
}

int pepjit_generator_function_made(PyFunctionObject *function)
{
    struct pepjit_generator *known = find((PyCodeObject *)function->func_code);
    if (known != NULL && known->active && pepjit_generators_on) {
        function->vectorcall = create;
    }
    return 0;
}

int pepjit_generator_activate(PyObject *function, uint32_t *version)
{
    PyFunctionObject *func = (PyFunctionObject *)function;
    PyCodeObject *code = (PyCodeObject *)func->func_code;
    struct pepjit_generator *known = pepjit_generators_on ? know(code) : NULL;
    *version = 0;
    if (known == NULL || known->points[0].refused) {
        return 0;
    }
    if (!known->active) {
        known->active = 1;
        known->globals = func->func_globals;
        known->builtins = func->func_builtins;
        /* Functions that are made from now on have no version, so that no call site of the interpreter goes past their vectorcall. */
        known->version = code->co_version;
        code->co_version = 0;
    }
    if (func->vectorcall == create || func->func_globals != known->globals || func->func_builtins != known->builtins) {
        return 0;
    }
    *version = pepjit_hook(function, (void *)create);
    return 1;
}

void pepjit_generator_refuse(struct pepjit_resume *point)
{
    struct pepjit_generator *known = point->owner;
    point->refused = 1;
    for (uint32_t i = 1; i < known->count; i++) {
        if (!known->points[i].refused && !known->points[0].refused) {
            return;
        }
    }
    deactivate(known);
}

static int unmask_if_ours(PyObject *object, void *unused)
{
    (void)unused;
    if (Py_IS_TYPE(object, &PyGen_Type) && is_masked((PyGenObject *)object)) {
        pepjit_generator_unmask((PyGenObject *)object);
    }
    return 1;
}

void pepjit_generators_stop(void)
{
    pepjit_generators_on = 0;
    for (struct pepjit_generator *known = all; known != NULL; known = known->next) {
        deactivate(known);
        for (uint32_t i = 0; i < known->count; i++) {
            known->points[i].refused = 0;
            known->points[i].depth = 0;
        }
    }
    PyUnstable_GC_VisitObjects(unmask_if_ours, NULL);
}
