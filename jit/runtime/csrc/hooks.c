/* Hooks into the interpreter: monitoring events, watchers, the vectorcall of functions. */
#include "internal.h"

#include "internal/pycore_instruments.h"
#include "internal/pycore_pystate.h"
#include "opcode_ids.h"

/* ---------------------------------------------------------------- monitoring */

enum { EVENT_PY_START = 1 << PY_MONITORING_EVENT_PY_START, EVENT_JUMP = 1 << PY_MONITORING_EVENT_JUMP };

static PyObject *monitoring; /* sys.monitoring */
static PyObject *disable;    /* sys.monitoring.DISABLE */
static int tool_taken;
static int events_on;

int pepjit_others_monitor(PyThreadState *tstate)
{
    const _Py_GlobalMonitors *monitors = &tstate->interp->monitors;
    for (size_t event = 0; event < sizeof monitors->tools / sizeof monitors->tools[0]; event++) {
        if (monitors->tools[event] & ~(1u << PEPJIT_TOOL)) {
            return 1;
        }
    }
    return 0;
}

int pepjit_code_monitored(PyObject *code)
{
    _PyCoMonitoringData *data = PyCode_Check(code) ? ((PyCodeObject *)code)->_co_monitoring : NULL;
    if (data == NULL) {
        return 0;
    }
    for (size_t event = 0; event < sizeof data->local_monitors.tools / sizeof data->local_monitors.tools[0]; event++) {
        if (data->local_monitors.tools[event] & ~(1u << PEPJIT_TOOL)) {
            return 1;
        }
    }
    return 0;
}

int64_t pepjit_code_units(PyObject *code)
{
    return Py_SIZE(code);
}

uint32_t pepjit_code_flags(PyObject *code)
{
    return (uint32_t)((PyCodeObject *)code)->co_flags;
}

int64_t pepjit_code_local_count(PyObject *code)
{
    return ((PyCodeObject *)code)->co_nlocalsplus;
}

PyObject *pepjit_code_local_name(PyObject *code, int64_t local)
{
    PyObject *names = ((PyCodeObject *)code)->co_localsplusnames;
    return local >= 0 && local < PyTuple_GET_SIZE(names) ? PyTuple_GET_ITEM(names, local) : NULL;
}

/* The frame that raised the event, if it runs the code and nobody else is watching. */
static pepjit_frame *event_frame(PyThreadState *tstate, PyObject *code)
{
    pepjit_frame *frame = tstate->current_frame;
    bool quiet = (breaker_version(tstate) == pepjit_quiet_breaker || !pepjit_others_monitor(tstate)) && !pepjit_code_monitored(code);
    if (frame == NULL || frame_executable(frame) != code || !PyCode_Check(code) || !quiet) {
        return NULL;
    }
    return frame;
}

static PyObject *verdict_object(int verdict)
{
    return Py_NewRef(verdict == PEPJIT_VERDICT_DISABLE ? disable : Py_None);
}

/* Events that nobody wants to hear of yet, in one of a few places that hashing gives. (Of code that has got the address of freed code the first
 * ones may not be reported: it's called hot a little late.) Most of what a program runs as it starts is never heard of again, and leaves its place
 * to those who come later. */
enum { WAIT_PLACES = 4, WAIT_BITS = 9 };
static struct wait {
    PyObject *code;
    int64_t header;
    uint32_t events;
    uint32_t heard; /* since others last wanted the place */
} waits[1 << WAIT_BITS][WAIT_PLACES];

static struct wait *wait_places(PyObject *code, int64_t header)
{
    uint64_t hash = ((uint64_t)(uintptr_t)code ^ (uint64_t)(header + 1) << 4) * UINT64_C(0x9e3779b97f4a7c15);
    return waits[hash >> (64 - WAIT_BITS)];
}

uint64_t pepjit_wait(PyObject *code, int64_t header, uint64_t events, struct pepjit_given_up *given_up)
{
    struct wait *places = wait_places(code, header), *wait = NULL;
    *given_up = (struct pepjit_given_up){NULL, 0, 0};
    for (int i = 0; i < WAIT_PLACES && wait == NULL; i++) {
        wait = places[i].events == 0 ? &places[i] : NULL;
    }
    for (int i = 0; i < WAIT_PLACES && wait == NULL; i++) {
        if (!places[i].heard) {
            wait = &places[i];
            *given_up = (struct pepjit_given_up){wait->code, wait->header, wait->events};
        }
        places[i].heard = 0;
    }
    if (wait == NULL) {
        return 0;
    }
    uint32_t most = events < UINT32_MAX ? (uint32_t)events : UINT32_MAX;
    *wait = (struct wait){code, header, most, 1};
    return most;
}

void pepjit_wait_no_more(void)
{
    memset(waits, 0, sizeof waits);
}

int pepjit_other_jit(void)
{
#if PEPJIT_314
    return PyInterpreterState_Get()->jit;
#else
    return 0;
#endif
}

/* sys.monitoring can only do so for all code at once. What is done here is what it does to an instruction that raises events of one tool alone. */
int pepjit_listen_again(PyObject *object, int64_t jump)
{
    PyCodeObject *code = (PyCodeObject *)object;
    _PyCoMonitoringData *data = code->_co_monitoring;
    int64_t unit = jump == PEPJIT_WAIT_START ? code->_co_firsttraceable : jump;
    int event = jump == PEPJIT_WAIT_START ? PY_MONITORING_EVENT_PY_START : PY_MONITORING_EVENT_JUMP;
    bool current = code->_co_instrumentation_version == breaker_version(PyThreadState_GetUnchecked());
    if (data == NULL || data->tools != NULL || data->active_monitors.tools[event] != 1u << PEPJIT_TOOL || !current || unit >= Py_SIZE(code)) {
        return 0;
    }
    uint8_t *opcode = &_PyCode_CODE(code)[unit].op.code;
    switch (*opcode) {
    case RESUME:
    case RESUME_CHECK:
        *opcode = INSTRUMENTED_RESUME;
        return 1;
    case JUMP_BACKWARD:
#if PEPJIT_314
    case JUMP_BACKWARD_NO_JIT:
#endif
        *opcode = INSTRUMENTED_JUMP_BACKWARD;
        return 1;
    default:
        return *opcode == INSTRUMENTED_RESUME || *opcode == INSTRUMENTED_JUMP_BACKWARD;
    }
}

static bool waits_on(PyObject *code, int64_t header)
{
    struct wait *places = wait_places(code, header);
    for (int i = 0; i < WAIT_PLACES; i++) {
        if (places[i].code == code && places[i].header == header && places[i].events != 0) {
            places[i].events--;
            places[i].heard = 1;
            return true;
        }
    }
    return false;
}

uint64_t pepjit_events;

static PyObject *on_jump(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)self;
    if (nargs != 3) {
        Py_RETURN_NONE;
    }
    pepjit_events++;
    long from = PyLong_AsLong(args[1]) / (long)sizeof(_Py_CODEUNIT);
    long to = PyLong_AsLong(args[2]) / (long)sizeof(_Py_CODEUNIT);
    if (to > from) {
        return Py_NewRef(disable);
    }
    if (waits_on(args[0], to)) {
        Py_RETURN_NONE;
    }
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    pepjit_frame *frame = event_frame(tstate, args[0]);
    if (frame == NULL) {
        Py_RETURN_NONE;
    }
    int verdict = pepjit_rs_jump(tstate, frame, args[0], (uint32_t)from, (uint32_t)to);
    if (PyErr_Occurred()) {
        return NULL;
    }
    return verdict_object(verdict);
}

static PyObject *on_start(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)self;
    pepjit_events++;
    if (nargs != 2 || waits_on(args[0], PEPJIT_WAIT_START)) {
        Py_RETURN_NONE;
    }
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    pepjit_frame *frame = event_frame(tstate, args[0]);
    if (frame == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *function = pepjit_frame_function(frame);
    if (function == NULL) {
        return Py_NewRef(disable);
    }
    return verdict_object(pepjit_rs_start(tstate, frame, args[0], function));
}

static PyMethodDef callbacks[] = {
    {"pepjit_start", (PyCFunction)(void (*)(void))on_start, METH_FASTCALL, NULL},
    {"pepjit_jump", (PyCFunction)(void (*)(void))on_jump, METH_FASTCALL, NULL},
};

/* sys.monitoring.set_local_events tells nobody. */
static pepjit_override local_events;

static PyObject *set_local_events(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result = ((PyCFunctionFast)(void (*)(void))local_events.original->ml_meth)(self, args, nargs);
    if (result != NULL) {
        pepjit_rs_monitoring_changed();
        pepjit_quiet_breaker = UINT64_MAX; /* frames that run leave after the call */
    }
    return result;
}

static void hear_local_events(void)
{
    PyObject *function = PyObject_GetAttrString(monitoring, "set_local_events");
    if (function == NULL) {
        PyErr_Clear();
    }
    pepjit_override_begin(&local_events, function, METH_FASTCALL, (PyCFunction)(void (*)(void))set_local_events);
    Py_XDECREF(function);
}

static int call_monitoring(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PyObject *tuple = Py_VaBuildValue(format, arguments);
    va_end(arguments);
    PyObject *method = tuple != NULL ? PyObject_GetAttrString(monitoring, name) : NULL;
    PyObject *result = method != NULL ? PyObject_CallObject(method, tuple) : NULL;
    Py_XDECREF(method);
    Py_XDECREF(tuple);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

int pepjit_refresh_quiet(PyThreadState *tstate)
{
    if (pepjit_others_monitor(tstate)) {
        return 1;
    }
    pepjit_quiet_breaker = pepjit_observed != 0 ? UINT64_MAX : breaker_version(tstate);
    return 0;
}

static void note_quiet(void)
{
    pepjit_refresh_quiet(PyThreadState_GetUnchecked());
}

static int register_callback(int event, PyMethodDef *method)
{
    PyObject *function = method != NULL ? PyCFunction_New(method, NULL) : Py_NewRef(Py_None);
    if (function == NULL) {
        return -1;
    }
    return call_monitoring("register_callback", "(iiN)", PEPJIT_TOOL, event, function);
}

int pepjit_starter_waits(void)
{
    return !tool_taken && pepjit_holds_tool(monitoring);
}

int pepjit_monitoring_begin(void)
{
    if (tool_taken) {
        return 0;
    }
    /* From the starter the tool id is taken over with the events that are on: to turn them off and on would change all code that has run. */
    if (!pepjit_starter_waits() && call_monitoring("use_tool_id", "(is)", PEPJIT_TOOL, PEPJIT_TOOL_NAME) < 0) {
        return -1;
    }
    tool_taken = 1;
    events_on = 0;
    hear_local_events();
    if (register_callback(EVENT_PY_START, &callbacks[0]) < 0 || register_callback(EVENT_JUMP, &callbacks[1]) < 0) {
        PyObject *exception = PyErr_GetRaisedException();
        pepjit_monitoring_end();
        PyErr_SetRaisedException(exception);
        return -1;
    }
    return 0;
}

static int set_events(int events)
{
    int set = (events & PEPJIT_EVENT_START ? EVENT_PY_START : 0) | (events & PEPJIT_EVENT_JUMP ? EVENT_JUMP : 0);
    return call_monitoring("set_events", "(ii)", PEPJIT_TOOL, set);
}

int pepjit_monitoring_events(int events)
{
    if (!tool_taken) {
        PyErr_SetString(PyExc_RuntimeError, "pepjit has no monitoring tool id; call pepjit.enable() first");
        return -1;
    }
    if (set_events(events) < 0) {
        return -1;
    }
    events_on = events;
    note_quiet();
    return 0;
}

int pepjit_monitoring_restart(void)
{
    int failed = call_monitoring("restart_events", "()");
    note_quiet();
    return failed;
}

void pepjit_reinstrument(void)
{
    if (!tool_taken) {
        return;
    }
    PyObject *exception = PyErr_GetRaisedException();
    if (set_events(events_on ^ PEPJIT_EVENT_JUMP) < 0 || set_events(events_on) < 0) {
        PyErr_Clear();
    }
    PyErr_SetRaisedException(exception);
}

void pepjit_monitoring_end(void)
{
    if (!tool_taken) {
        return;
    }
    PyObject *exception = PyErr_GetRaisedException();
    if (set_events(0) < 0 || register_callback(EVENT_PY_START, NULL) < 0 || register_callback(EVENT_JUMP, NULL) < 0 ||
        call_monitoring("free_tool_id", "(i)", PEPJIT_TOOL) < 0) {
        PyErr_Clear();
    }
    pepjit_override_end(&local_events);
    events_on = 0;
    tool_taken = 0;
    note_quiet();
    PyErr_SetRaisedException(exception);
}

/* ---------------------------------------------------------------- watchers */

static int dict_watcher = -1, type_watcher = -1, function_watcher = -1, code_watcher = -1;

_Static_assert((int)PyDict_EVENT_ADDED == PEPJIT_DICT_ADDED, "dict events");
_Static_assert((int)PyDict_EVENT_MODIFIED == PEPJIT_DICT_MODIFIED, "dict events");
_Static_assert((int)PyDict_EVENT_DELETED == PEPJIT_DICT_DELETED, "dict events");
_Static_assert((int)PyDict_EVENT_CLONED == PEPJIT_DICT_CLONED, "dict events");
_Static_assert((int)PyDict_EVENT_CLEARED == PEPJIT_DICT_CLEARED, "dict events");
_Static_assert((int)PyDict_EVENT_DEALLOCATED == PEPJIT_DICT_DEALLOCATED, "dict events");

static int on_dict(PyDict_WatchEvent event, PyObject *dict, PyObject *key, PyObject *new_value)
{
    bool one_name = event == PyDict_EVENT_ADDED || event == PyDict_EVENT_MODIFIED || event == PyDict_EVENT_DELETED;
    if (!one_name) {
        pepjit_rs_dict_event((int)event, dict, key, new_value);
    }
    else if (pepjit_relied_on(dict, key) && pepjit_rs_dict_event((int)event, dict, key, new_value)) {
        pepjit_note_unreliable(dict, key);
    }
    return 0;
}

#if PEPJIT_314
void pepjit_tell_others(PyObject *dict, PyObject *name, PyObject *value)
{
    int watchers = (int)(((PyDictObject *)dict)->_ma_watcher_tag & DICT_WATCHER_MASK);
    watchers &= dict_watcher >= 0 ? ~(1 << dict_watcher) : ~0;
    if (watchers != 0) {
        _PyDict_SendEvent(watchers, PyDict_EVENT_MODIFIED, (PyDictObject *)dict, name, value);
    }
}
#endif

static int on_type(PyTypeObject *type)
{
    pepjit_rs_type_event((PyObject *)type);
    return 0;
}

/* The Rust side needs to hear of the end of few functions: a bit for each that it knows, by address. */
static uint64_t known_functions[1 << 10];

static inline uint64_t *known_word(const void *function, uint64_t *bit)
{
    uint64_t hash = (uint64_t)(uintptr_t)function * UINT64_C(0x9e3779b97f4a7c15) >> 48;
    *bit = (uint64_t)1 << (hash & 63);
    return &known_functions[hash >> 6];
}

/* Addresses of functions that were known and whose end has been told: others that live there, one after the other, are not known. */
enum { FORGOTTEN = 64 };
static PyObject *forgotten[FORGOTTEN];

static PyObject **forgotten_slot(PyObject *function)
{
    uintptr_t address = (uintptr_t)function;
    return &forgotten[(address >> 4 ^ address >> 10) % FORGOTTEN];
}

void pepjit_know_function(PyObject *function)
{
    uint64_t bit;
    *known_word(function, &bit) |= bit;
    PyObject **slot = forgotten_slot(function);
    if (*slot == function) {
        *slot = NULL;
    }
}

/* A function whose address has a bit set goes away: tells of it if it's the one that the bit is for. */
static __attribute__((noinline)) int known_function_goes(PyObject *function)
{
    if (*forgotten_slot(function) != function && pepjit_rs_function_event(PEPJIT_FUNCTION_DESTROYED, function, NULL)) {
        *forgotten_slot(function) = function;
    }
    return 0;
}

static __attribute__((noinline)) int function_changed(PyFunction_WatchEvent event, PyFunctionObject *function, PyObject *new_value)
{
    switch (event) {
    case PyFunction_EVENT_MODIFY_CODE:
        pepjit_rs_function_event(PEPJIT_FUNCTION_CODE, (PyObject *)function, new_value);
        break;
    case PyFunction_EVENT_MODIFY_DEFAULTS:
        pepjit_rs_function_event(PEPJIT_FUNCTION_DEFAULTS, (PyObject *)function, new_value);
        break;
    case PyFunction_EVENT_MODIFY_KWDEFAULTS:
        pepjit_rs_function_event(PEPJIT_FUNCTION_KWDEFAULTS, (PyObject *)function, new_value);
        break;
    default:
        break;
    }
    return 0;
}

/* Functions come and go all the time, and hardly any concerns us. (No `switch` decides what happens to each: that would be a jump through a table,
 * whose target alternates; and what needs registers of its own is called last.) */
static int on_function(PyFunction_WatchEvent event, PyFunctionObject *function, PyObject *new_value)
{
    if (event == PyFunction_EVENT_CREATE) {
        return ((PyCodeObject *)function->func_code)->co_extra != NULL ? pepjit_generator_function_made(function) : 0;
    }
    if (event == PyFunction_EVENT_DESTROY) {
        uint64_t bit;
        return (*known_word(function, &bit) & bit) != 0 ? known_function_goes((PyObject *)function) : 0;
    }
    return function_changed(event, function, new_value);
}

static int on_code(PyCodeEvent event, PyCodeObject *code)
{
    if (event == PY_CODE_EVENT_DESTROY) {
        pepjit_forget_counted((PyObject *)code);
        pepjit_rs_code_destroyed((PyObject *)code);
    }
    return 0;
}

static pepjit_getset class_hook;

/* No watcher tells that an object gets another class. Instances are checked where it matters; modules and classes are relied on. */
static int set_class(PyObject *self, PyObject *value, void *closure)
{
    if (PyModule_Check(self)) {
        pepjit_rs_dict_event(PEPJIT_DICT_CLEARED, PyModule_GetDict(self), NULL, NULL);
    }
    else if (PyType_Check(self)) {
        pepjit_rs_type_event(self);
    }
    return class_hook.original->set(self, value, closure);
}

int pepjit_watchers_begin(void)
{
    if (dict_watcher >= 0) {
        return 0;
    }
    if (pepjit_getset_begin(&class_hook, &PyBaseObject_Type, "__class__", NULL, set_class) < 0) {
        return -1;
    }
    if ((dict_watcher = PyDict_AddWatcher(on_dict)) < 0 || (type_watcher = PyType_AddWatcher(on_type)) < 0 ||
        (function_watcher = PyFunction_AddWatcher(on_function)) < 0 || (code_watcher = PyCode_AddWatcher(on_code)) < 0) {
        PyObject *exception = PyErr_GetRaisedException();
        pepjit_watchers_end();
        PyErr_SetRaisedException(exception);
        return -1;
    }
    return 0;
}

void pepjit_watchers_end(void)
{
    if (dict_watcher >= 0 && PyDict_ClearWatcher(dict_watcher) < 0) {
        PyErr_Clear();
    }
    if (type_watcher >= 0 && PyType_ClearWatcher(type_watcher) < 0) {
        PyErr_Clear();
    }
    if (function_watcher >= 0 && PyFunction_ClearWatcher(function_watcher) < 0) {
        PyErr_Clear();
    }
    if (code_watcher >= 0 && PyCode_ClearWatcher(code_watcher) < 0) {
        PyErr_Clear();
    }
    dict_watcher = type_watcher = function_watcher = code_watcher = -1;
    pepjit_getset_end(&class_hook);
}

int pepjit_watch_dict(PyObject *dict)
{
    return PyDict_Watch(dict_watcher, dict);
}

void pepjit_unwatch_dict(PyObject *dict)
{
    if (dict_watcher >= 0 && PyDict_Unwatch(dict_watcher, dict) < 0) {
        PyErr_Clear();
    }
}

int pepjit_watch_type(PyObject *type)
{
    if (((PyTypeObject *)type)->tp_flags & Py_TPFLAGS_IMMUTABLETYPE) {
        return 0;
    }
    if (PyType_Watch(type_watcher, type) < 0) {
        return -1;
    }
    /* Only classes with a version report changes, and a class that changed too often gets no new one. */
    if (((PyTypeObject *)type)->tp_version_tag == 0) {
        PyErr_Format(PyExc_RuntimeError, "the class %s has changed too often to be relied on", ((PyTypeObject *)type)->tp_name);
        return -1;
    }
    return 0;
}

void pepjit_unwatch_type(PyObject *type)
{
    if (type_watcher >= 0 && PyType_Unwatch(type_watcher, type) < 0) {
        PyErr_Clear();
    }
}

/* ---------------------------------------------------------------- functions */

uint32_t pepjit_hook(PyObject *function, void *entry)
{
    PyFunctionObject *func = (PyFunctionObject *)function;
    uint32_t version = function_version(func);
    PyFunction_SetVectorcall(func, (vectorcallfunc)entry);
    return version;
}

void pepjit_unhook(PyObject *function, uint32_t version)
{
    PyFunctionObject *func = (PyFunctionObject *)function;
    PyFunction_SetVectorcall(func, pepjit_fallback);
    if (version != 0) {
        _PyFunction_SetVersion(func, version);
    }
}

void *pepjit_vectorcall(PyObject *function)
{
    return (void *)((PyFunctionObject *)function)->vectorcall;
}

/* _PyFunction_Vectorcall isn't exported everywhere: read it off a new function. */
static int find_fallback(void)
{
    PyObject *globals = PyDict_New();
    PyObject *code = globals != NULL ? Py_CompileString("0", "<pepjit>", Py_eval_input) : NULL;
    PyObject *function = code != NULL ? PyFunction_New(code, globals) : NULL;
    if (function != NULL) {
        pepjit_fallback = ((PyFunctionObject *)function)->vectorcall;
    }
    Py_XDECREF(function);
    Py_XDECREF(code);
    Py_XDECREF(globals);
    return function != NULL ? 0 : -1;
}

int pepjit_hooks_init(void)
{
    if (monitoring != NULL) {
        return 0;
    }
    PyObject *module = PySys_GetObject("monitoring");
    if (module == NULL) {
        PyErr_SetString(PyExc_ImportError, "pepjit needs sys.monitoring, which this interpreter doesn't have; use a stock CPython");
        return -1;
    }
    disable = PyObject_GetAttrString(module, "DISABLE");
    if (disable == NULL || find_fallback() < 0) {
        return -1;
    }
    pepjit_evaluator = &PyInterpreterState_Get()->eval_frame;
    monitoring = Py_NewRef(module);
    note_quiet();
    return 0;
}
