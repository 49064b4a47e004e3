/* A Python module that stands for the Rust side and lets Python code drive the shim: see run.py. */
#include "../internal.h"

#include <signal.h>

/* ---------------------------------------------------------------- what the shim calls */

static PyObject *events; /* texts of what the watchers said */
static int limits, suspends, resumes;
static PyObject *hooked;
static uint32_t hooked_version;
static PyObject *hooked_entry(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *kwnames);

static void note(PyObject *text)
{
    if (text != NULL && PyList_Append(events, text) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(text);
}

void pepjit_rs_exit_class(struct pepjit_exit *record, PyObject *type) { (void)record, (void)type; }
void pepjit_rs_exit_limit(struct pepjit_exit *record) { limits += record != NULL; }
static int unreliable_after_event;
int pepjit_rs_dict_event(int event, PyObject *dict, PyObject *key, PyObject *value)
{
    (void)dict, (void)value;
    note(PyUnicode_FromFormat("dict %d %S", event, key != NULL ? key : Py_None));
    return unreliable_after_event;
}
void pepjit_rs_type_event(PyObject *type) { note(PyUnicode_FromFormat("type %s", ((PyTypeObject *)type)->tp_name)); }
int pepjit_rs_function_event(int event, PyObject *function, PyObject *value)
{
    (void)function, (void)value;
    if (event != PEPJIT_FUNCTION_DESTROYED) {
        note(PyUnicode_FromFormat("function %d", event));
    }
    return 0;
}
void pepjit_rs_code_destroyed(PyObject *code) { (void)code; }

int pepjit_rs_monitoring_changed(void) { return 1; }
int pepjit_rs_references_counted(void) { return 1; }
void pepjit_rs_suspend_hooks(void)
{
    suspends++;
    if (hooked != NULL) {
        pepjit_unhook(hooked, hooked_version);
    }
}

void pepjit_rs_resume_hooks(void)
{
    resumes++;
    if (hooked != NULL) {
        hooked_version = pepjit_hook(hooked, (void *)hooked_entry);
    }
}

static long starts;
int pepjit_rs_start(PyThreadState *tstate, pepjit_frame *frame, PyObject *code, PyObject *function)
{
    (void)tstate, (void)frame, (void)code, (void)function;
    starts++;
    return PEPJIT_VERDICT_NOTHING;
}

int pepjit_rs_forced(void) { return 0; }
void pepjit_rs_resume(pepjit_frame *frame, PyObject *code, PyObject *function, struct pepjit_resume *point, int in_place)
{
    (void)frame, (void)code, (void)function, (void)in_place;
    pepjit_generator_refuse(point);
}

int pepjit_rs_init(PyObject *module) { return module != NULL ? 0 : -1; }
PyObject *pepjit_rs_method(int method, PyObject *const *args, int64_t nargs, PyObject *kwnames)
{
    (void)args, (void)nargs, (void)kwnames;
    return PyLong_FromLong(method);
}

/* ---------------------------------------------------------------- a loop in "native code" */

enum { LOOP_RESUME = 0, LOOP_RETURN_OBJECT = 1, LOOP_THROW = 2, LOOP_RETURN_INT = 3 };
static PyObject *loop_code;
static int loop_mode, loop_normalises, loop_jumps;
static uint32_t loop_offset;

/* Runs `for (; i < n; i++) s += i` on the locals n, i, s (in this order) and leaves as told; other locals are kept. */
static pepjit_pair native_loop(PyThreadState *tstate, pepjit_frame *frame, PyObject **values, uint64_t handle)
{
    (void)handle;
    PyCodeObject *code = (PyCodeObject *)frame_executable(frame);
    int64_t buffer[20], n = PyLong_AsLongLong(values[0]), i = PyLong_AsLongLong(values[1]), s = PyLong_AsLongLong(values[2]);
    struct pepjit_slot slots[20];
    for (; i < n; i++) {
        s += i;
    }
    Py_DECREF(values[1]);
    Py_DECREF(values[2]);
    if (loop_mode == LOOP_RETURN_OBJECT || loop_mode == LOOP_RETURN_INT) {
        Py_DECREF(values[0]);
        for (int k = 3; k < code->co_nlocalsplus; k++) {
            Py_XDECREF(values[k]);
        }
        pepjit_pair result = {s + 2000, PEPJIT_TAG_INT};
        if (loop_mode == LOOP_RETURN_OBJECT) {
            result = (pepjit_pair){(int64_t)(uintptr_t)PyLong_FromLongLong(s + 1000), PEPJIT_TAG_OBJECT};
        }
        return result;
    }
    for (int k = 0; k < code->co_nlocalsplus; k++) {
        slots[k] = (struct pepjit_slot){k == 1 || k == 2 ? PEPJIT_SLOT_INT : PEPJIT_SLOT_STEAL, (uint32_t)k, 0};
        buffer[k] = k == 1 ? i : k == 2 ? s : (int64_t)(uintptr_t)values[k];
    }
    struct pepjit_exit record = {.code = (PyObject *)code, .slots = slots, .nlocals = (uint32_t)code->co_nlocalsplus, .nwords = 20, .offset = loop_offset};
    if (loop_mode == LOOP_THROW) {
        PyErr_SetString(PyExc_ValueError, "from the loop");
        record.throw_ = 1;
    }
    return pepjit_exit_loop(tstate, frame, &record, buffer);
}

int pepjit_rs_jump(PyThreadState *tstate, pepjit_frame *frame, PyObject *code, uint32_t from, uint32_t to)
{
    (void)from;
    if (code != loop_code || ++loop_jumps < 50) {
        return PEPJIT_VERDICT_NOTHING;
    }
    loop_jumps = 0;
    if (loop_normalises) {
        return pepjit_frame_normalise(frame) && pepjit_frame_count(frame) >= 0 ? PEPJIT_VERDICT_DISABLE : PEPJIT_VERDICT_NOTHING;
    }
    pepjit_run_loop(tstate, frame, to, native_loop, 0);
    return PEPJIT_VERDICT_ENTERED;
}

/* loop(code, mode, offset in code units, normalise) */
static PyObject *set_loop(PyObject *self, PyObject *args)
{
    (void)self;
    loop_normalises = 0;
    loop_jumps = 0;
    if (!PyArg_ParseTuple(args, "OiI|i", &loop_code, &loop_mode, &loop_offset, &loop_normalises)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---------------------------------------------------------------- exits from "native functions" */

enum { LIGHT_NONE = 0, LIGHT_PLAIN = 1, LIGHT_LOOKED_AT = 2, LIGHT_WRITTEN = 3, LIGHT_POPPED = 4 };

static pepjit_frame *push_light_frame(PyThreadState *tstate, PyObject *function, int offset)
{
    struct pepjit_frame_layout layout;
    pepjit_frame_layout(function, &layout);
    char *light = (char *)tstate->datastack_top;
    tstate->datastack_top = (PyObject **)(light + layout.frame_size);
    for (uint32_t i = 0; i < layout.ntemplate; i++) {
        *(uint64_t *)(light + layout.template_[i].offset) = layout.template_[i].value;
    }
    for (uint32_t i = 0; i < layout.nlocalsplus; i++) {
        *(uint64_t *)(light + layout.localsplus + 8 * i) = layout.null_word;
    }
    /* No view of its locals. */
    *(uint64_t *)(light + layout.localsplus + 8 * layout.nlocalsplus) = 0;
    if (layout.stackpointer >= 0) {
        *(char **)(light + layout.stackpointer) = light + layout.localsplus + 8 * layout.nlocalsplus;
    }
    *(void **)(light + layout.previous) = tstate->current_frame;
    *(uint64_t *)(light + layout.instr_ptr) = layout.code_start + (uint64_t)offset;
    tstate->current_frame = (pepjit_frame *)light;
    return tstate->current_frame;
}

/* Takes the frame object as a callee would, and perhaps writes the first local through f_locals. */
static void look_at_frame(PyObject *function, int how)
{
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *frame = PyObject_CallNoArgs(PySys_GetObject("_getframe"));
    PySys_SetObject("kept_frame", frame);
    if (how == LIGHT_WRITTEN) {
        PyObject *locals = PyObject_GetAttrString(frame, "f_locals");
        PyObject *list = PyList_New(0);
        PyObject_SetItem(locals, PyTuple_GET_ITEM(((PyCodeObject *)((PyFunctionObject *)function)->func_code)->co_localsplusnames, 0), list);
        Py_DECREF(list);
        Py_DECREF(locals);
    }
    Py_XDECREF(frame);
    PyErr_Clear();
    PyErr_SetRaisedException(exception);
}

/* exit(function, locals, stack, offset in bytes, exception or None, light): ... stands for NULL; ints and floats are passed unboxed. */
static PyObject *leave(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *function, *locals, *stack, *exception = Py_None;
    int offset, light = LIGHT_NONE;
    if (!PyArg_ParseTuple(args, "OO!O!i|Oi", &function, &PyTuple_Type, &locals, &PyTuple_Type, &stack, &offset, &exception, &light)) {
        return NULL;
    }
    PyThreadState *tstate = pepjit_current_tstate();
    struct pepjit_slot slots[64] = {{0}};
    int64_t buffer[64];
    uint32_t nlocals = (uint32_t)PyTuple_GET_SIZE(locals), nstack = (uint32_t)PyTuple_GET_SIZE(stack), words = 0;
    for (uint32_t i = 0; i < nlocals + nstack && i < 64; i++) {
        PyObject *value = i < nlocals ? PyTuple_GET_ITEM(locals, i) : PyTuple_GET_ITEM(stack, i - nlocals);
        if (value == Py_Ellipsis) {
            continue;
        }
        slots[i].index = words;
        if (PyLong_CheckExact(value)) {
            slots[i].kind = PEPJIT_SLOT_INT;
            buffer[words++] = PyLong_AsLongLong(value);
        }
        else if (PyFloat_CheckExact(value)) {
            slots[i].kind = PEPJIT_SLOT_FLOAT;
            memcpy(&buffer[words++], &((PyFloatObject *)value)->ob_fval, 8);
        }
        else {
            slots[i].kind = PEPJIT_SLOT_BORROW;
            buffer[words++] = (int64_t)(uintptr_t)value;
        }
    }
    if (exception != Py_None) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    }
    struct pepjit_exit record = {
        .limit = 1, .function = function, .code = ((PyFunctionObject *)function)->func_code, .slots = slots, .nlocals = nlocals,
        .nstack = nstack, .nwords = words, .offset = (uint32_t)offset / 2, .throw_ = exception != Py_None, .entered = 1,
    };
    tstate->py_recursion_remaining--;
    pepjit_frame *frame = light != LIGHT_NONE ? push_light_frame(tstate, function, offset) : NULL;
    if (light >= LIGHT_LOOKED_AT) {
        look_at_frame(function, light);
    }
    if (light == LIGHT_POPPED) {
        pepjit_pop_frame(tstate, frame);
        tstate->py_recursion_remaining++;
        Py_RETURN_NONE;
    }
    pepjit_pair result = pepjit_exit_function(tstate, frame, &record, buffer);
    return (PyObject *)(uintptr_t)result.payload;
}

/* A compiled function of one argument that leaves at once, entered or not, as `Enter` would. */
static PyObject *hooked_entry(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    (void)nargsf, (void)kwnames;
    PyThreadState *tstate = pepjit_current_tstate();
    int64_t buffer[1] = {(int64_t)(uintptr_t)args[0]};
    struct pepjit_slot slot = {PEPJIT_SLOT_BORROW, 0, 0};
    int exhausted = tstate->py_recursion_remaining <= 0 || (uint64_t)(uintptr_t)__builtin_frame_address(0) < pepjit_stack_limit;
    struct pepjit_exit record = {
        .function = function, .code = ((PyFunctionObject *)function)->func_code, .slots = &slot, .nlocals = 1, .nwords = 1,
        .entered = !exhausted, .recursion = (uint8_t)exhausted,
    };
    if (!exhausted) {
        tstate->py_recursion_remaining--;
    }
    pepjit_pair result = pepjit_exit_function(tstate, NULL, &record, buffer);
    return (PyObject *)(uintptr_t)result.payload;
}

/* hook(function) or hook(None) */
static PyObject *set_hook(PyObject *self, PyObject *function)
{
    (void)self;
    if (hooked != NULL) {
        pepjit_unhook(hooked, hooked_version);
        Py_CLEAR(hooked);
    }
    if (function != Py_None) {
        hooked = Py_NewRef(function);
        hooked_version = pepjit_hook(function, (void *)hooked_entry);
    }
    Py_RETURN_NONE;
}

/* ---------------------------------------------------------------- queries */

static PyObject *counters(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    return Py_BuildValue("{sisisi}", "limits", limits, "suspends", suspends, "resumes", resumes);
}

static PyObject *monitor(PyObject *self, PyObject *number)
{
    (void)self;
    int set = PyLong_AsInt(number);
    if (set < 0) {
        pepjit_monitoring_end();
        Py_RETURN_NONE;
    }
    if (pepjit_monitoring_begin() < 0 || pepjit_monitoring_events(set) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* So many starts of the code aren't reported: how many, and who waits no more for that, with the starts that haven't come. */
static PyObject *wait_for(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *code;
    unsigned long long starts;
    struct pepjit_given_up given_up;
    if (!PyArg_ParseTuple(args, "O!K", &PyCode_Type, &code, &starts)) {
        return NULL;
    }
    uint64_t taken = pepjit_wait(code, PEPJIT_WAIT_START, starts, &given_up);
    PyObject *who = given_up.events != 0 ? given_up.code : Py_None;
    return Py_BuildValue("KOLK", (unsigned long long)taken, who, (long long)given_up.header, (unsigned long long)given_up.events);
}

static PyObject *wait_no_more(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    pepjit_wait_no_more();
    Py_RETURN_NONE;
}

/* How many starts of functions have been reported. */
static PyObject *starts_told(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    return PyLong_FromLong(starts);
}

/* Watches a dict, relying on its name "a", or a class. */
static PyObject *watch(PyObject *self, PyObject *object)
{
    (void)self;
    if (pepjit_watchers_begin() < 0 || (PyDict_Check(object) && pepjit_watch_dict(object) < 0) ||
        (PyType_Check(object) && pepjit_watch_type(object) < 0)) {
        return NULL;
    }
    if (PyDict_Check(object)) {
        pepjit_rely_on_name(object, "a", 1);
    }
    return Py_NewRef(events);
}

static PyObject *unwatch(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    pepjit_watchers_end();
    Py_RETURN_NONE;
}

static PyObject *poll(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    int64_t answer = pepjit_poll(pepjit_current_tstate());
    return answer < 0 ? NULL : PyLong_FromLongLong(answer);
}

/* Raises a signal in native code and polls: the text of the exception that the handler raised. */
static PyObject *poll_after_signal(PyObject *self, PyObject *number)
{
    (void)self;
    raise(PyLong_AsInt(number));
    if (pepjit_poll(pepjit_current_tstate()) != -1) {
        return Py_NewRef(Py_None);
    }
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *text = PyObject_Str(exception);
    Py_DECREF(exception);
    return text;
}

static PyObject *attribute(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *type, *name;
    struct pepjit_attribute found;
    if (!PyArg_ParseTuple(args, "OO", &type, &name)) {
        return NULL;
    }
    pepjit_attribute(type, name, &found);
    return Py_BuildValue("{sIsisIsisisIsOsIsI}", "kind", found.kind, "offset", found.offset, "index", found.index, "valid", found.valid_offset, "dict",
                         found.dict_offset, "storable", found.storable, "object", found.object != NULL ? found.object : Py_Ellipsis, "shared",
                         found.shared_keys, "keys", found.keys_version);
}

static PyObject *class_attribute(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *type, *name;
    if (!PyArg_ParseTuple(args, "OO", &type, &name)) {
        return NULL;
    }
    PyObject *found = pepjit_class_attribute(type, name);
    return Py_NewRef(found != NULL ? found : Py_Ellipsis);
}

/* The pointer at a byte offset of an object; ... for NULL. */
static PyObject *peek(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *object;
    int offset;
    if (!PyArg_ParseTuple(args, "Oi", &object, &offset)) {
        return NULL;
    }
    PyObject *found = *(PyObject **)((char *)object + offset);
    return Py_NewRef(found != NULL ? found : Py_Ellipsis);
}

static PyObject *describe(PyObject *self, PyObject *object)
{
    (void)self;
    char label[64];
    struct pepjit_description about;
    PyObject *init = NULL;
    pepjit_label(object, label, sizeof label);
    pepjit_describe(object, &about);
    PyObject *class = PyType_Check(object) ? pepjit_class_of_version(pepjit_class_version(object)) : NULL;
    int plain_call = pepjit_class_call(object, &init);
    return Py_BuildValue("{sssIsIsLsisOsOsi}", "label", label, "type", about.type, "constant", about.constant, "int", (long long)about.int_value, "call",
                         plain_call, "init", init != NULL ? init : Py_Ellipsis, "by_version", class != NULL ? class : Py_Ellipsis, "builtin",
                         pepjit_builtin(object));
}

static PyObject *code_info(PyObject *self, PyObject *code)
{
    (void)self;
    struct pepjit_code info;
    if (pepjit_code_info(code, &info) < 0) {
        return PyErr_NoMemory();
    }
    PyObject *handlers = PyList_New(0);
    for (uint32_t i = 0; handlers != NULL && i < info.nhandlers; i++) {
        const struct pepjit_handler *row = &info.handlers[i];
        PyObject *tuple = Py_BuildValue("IIIII", row->start, row->end, row->target, row->depth, row->lasti);
        if (tuple == NULL || PyList_Append(handlers, tuple) < 0) {
            Py_CLEAR(handlers);
        }
        Py_XDECREF(tuple);
    }
    PyObject *result = Py_BuildValue("y#y#Ny#", info.base, (Py_ssize_t)info.nunits * 2, info.adaptive, (Py_ssize_t)info.nunits * 2, handlers,
                                     info.local_kinds, (Py_ssize_t)info.nlocalsplus);
    pepjit_code_release(&info);
    return result;
}

/* The names and addresses of the helpers. */
static PyObject *helpers(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    PyObject *table = PyDict_New();
    for (uint32_t i = 0; table != NULL && i < pepjit_helper_count; i++) {
        PyObject *address = PyLong_FromVoidPtr(pepjit_helpers[i].address);
        if (address == NULL || PyDict_SetItemString(table, pepjit_helpers[i].name, address) < 0) {
            Py_CLEAR(table);
        }
        Py_XDECREF(address);
    }
    return table;
}

static PyObject *fields(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    PyObject *names = PyList_New(pepjit_field_count);
    for (uint32_t i = 0; names != NULL && i < pepjit_field_count; i++) {
        PyList_SET_ITEM(names, i, PyUnicode_FromString(pepjit_field_names[i]));
    }
    return names;
}

static PyObject *scratch(PyObject *self, PyObject *index)
{
    (void)self;
    PyObject *taken = pepjit_scratch[PyLong_AsLong(index)];
    return taken != NULL ? taken : Py_NewRef(Py_Ellipsis);
}

static PyMethodDef methods[] = {
    {"exit", leave, METH_VARARGS, NULL},          {"loop", set_loop, METH_VARARGS, NULL},   {"hook", set_hook, METH_O, NULL},
    {"counters", counters, METH_NOARGS, NULL},    {"monitor", monitor, METH_O, NULL},       {"watch", watch, METH_O, NULL},
    {"unwatch", unwatch, METH_NOARGS, NULL},      {"poll", poll, METH_NOARGS, NULL}, {"poll_after_signal", poll_after_signal, METH_O, NULL},        {"attribute", attribute, METH_VARARGS, NULL},
    {"class_attribute", class_attribute, METH_VARARGS, NULL}, {"peek", peek, METH_VARARGS, NULL}, {"describe", describe, METH_O, NULL},
    {"code", code_info, METH_O, NULL},            {"helpers", helpers, METH_NOARGS, NULL},  {"fields", fields, METH_NOARGS, NULL},
    {"scratch", scratch, METH_O, NULL},           {"wait_for", wait_for, METH_VARARGS, NULL},
    {"wait_no_more", wait_no_more, METH_NOARGS, NULL}, {"starts_told", starts_told, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "shimtest", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_shimtest(void)
{
    PyObject *pepjit = pepjit_module_create();
    if (pepjit == NULL) {
        return NULL;
    }
    Py_DECREF(pepjit);
    events = PyList_New(0);
    return events != NULL ? PyModule_Create(&definition) : NULL;
}
