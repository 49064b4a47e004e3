/* The interpreter's internal headers, and what differs between versions in the representation of frames. Only for the shim's own files. */
#ifndef PEPJIT_INTERNAL_H
#define PEPJIT_INTERNAL_H

#include "shim.h"
#include "tool.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if PY_VERSION_HEX < 0x030D0000 || PY_VERSION_HEX >= 0x03100000
#  error "pepjit supports CPython 3.13, 3.14 and 3.15: point PEPJIT_PYTHON at one of these"
#endif
#ifdef Py_GIL_DISABLED
#  error "pepjit doesn't support free-threaded builds: point PEPJIT_PYTHON at a default build"
#endif
#ifdef Py_DEBUG
#  error "pepjit doesn't support debug builds: point PEPJIT_PYTHON at a release build"
#endif
#if SIZEOF_VOID_P != 8
#  error "pepjit needs a 64-bit interpreter"
#endif

#define PEPJIT_314 (PY_VERSION_HEX >= 0x030E0000)
#define PEPJIT_315 (PY_VERSION_HEX >= 0x030F0000)

#if PEPJIT_314
#  include "internal/pycore_interpframe.h"
#  include "internal/pycore_interpframe_structs.h"
#  include "internal/pycore_stackref.h"
#endif
#include "internal/pycore_ceval.h"
#include "internal/pycore_code.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_function.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_list.h"
#include "internal/pycore_long.h"
#include "internal/pycore_object.h"
#include "internal/pycore_range.h"
#include "internal/pycore_runtime.h"
#include "internal/pycore_tuple.h"
#include "internal/pycore_typeobject.h"

/* ---------------------------------------------------------------- a local variable or stack entry of a frame */

#if PEPJIT_314
typedef _PyStackRef pepjit_entry;

static inline pepjit_entry entry_null(void) { return PyStackRef_NULL; }
static inline bool entry_is_null(pepjit_entry entry) { return PyStackRef_IsNull(entry); }
#  if PEPJIT_315
static inline bool entry_is_object(pepjit_entry entry) { return !PyStackRef_IsNullOrInt(entry); }
#  else
static inline bool entry_is_object(pepjit_entry entry) { return !PyStackRef_IsNull(entry) && (entry.bits & Py_TAG_BITS) != Py_INT_TAG; }
#  endif
static inline PyObject *entry_borrow(pepjit_entry entry) { return entry_is_object(entry) ? PyStackRef_AsPyObjectBorrow(entry) : NULL; }
/* Takes a reference, or NULL. */
static inline pepjit_entry entry_from(PyObject *owned) { return owned == NULL ? PyStackRef_NULL : PyStackRef_FromPyObjectSteal(owned); }
/* The entry as an owned reference, or NULL. */
static inline PyObject *entry_take(pepjit_entry entry) { return entry_is_object(entry) ? PyStackRef_AsPyObjectSteal(entry) : NULL; }
static inline int64_t frame_entries(pepjit_frame *frame) { return frame->stackpointer - frame->localsplus; }
static inline void set_frame_entries(pepjit_frame *frame, int64_t count) { frame->stackpointer = frame->localsplus + count; }
static inline PyObject *frame_executable(pepjit_frame *frame) { return PyStackRef_AsPyObjectBorrow(frame->f_executable); }
static inline PyObject *frame_function(pepjit_frame *frame) { return PyStackRef_AsPyObjectBorrow(frame->f_funcobj); }
#  define PEPJIT_NULL_WORD PyStackRef_NULL_BITS
#else
typedef PyObject *pepjit_entry;

static inline pepjit_entry entry_null(void) { return NULL; }
static inline bool entry_is_null(pepjit_entry entry) { return entry == NULL; }
static inline bool entry_is_object(pepjit_entry entry) { return entry != NULL; }
static inline PyObject *entry_borrow(pepjit_entry entry) { return entry; }
static inline pepjit_entry entry_from(PyObject *owned) { return owned; }
static inline PyObject *entry_take(pepjit_entry entry) { return entry; }
static inline int64_t frame_entries(pepjit_frame *frame) { return frame->stacktop; }
static inline void set_frame_entries(pepjit_frame *frame, int64_t count) { frame->stacktop = (int)count; }
static inline PyObject *frame_executable(pepjit_frame *frame) { return frame->f_executable; }
static inline PyObject *frame_function(pepjit_frame *frame) { return frame->f_funcobj; }
#  define PEPJIT_NULL_WORD 0
#endif

/* ---------------------------------------------------------------- shared by the shim's files */

/* The id of the thread state whose stack pepjit_stack_limit belongs to (addresses are reused, ids are not). */
extern uint64_t pepjit_owner;
/* The id that this thread last had there. In the static block of thread-local storage: read at every return from a helper. */
extern __thread uint64_t pepjit_thread __attribute__((tls_model("initial-exec")));
void pepjit_change_owner(PyThreadState *tstate);

/* pepjit_stack_limit as it is when nothing else than the stack is short. */
void pepjit_restore_limit(void);
/* Whether so much of the C stack (3.13: of the C recursion counter) is used that no compiled code should run on top of it. */
int pepjit_stack_low(PyThreadState *tstate);
/* What a pair holds, as an owned object (NULL stays NULL). */
PyObject *pepjit_box_pair(int64_t payload, int64_t tag);

/* After anything that may have let another thread run. */
static inline void check_owner(PyThreadState *tstate)
{
    if (__builtin_expect(tstate->id != pepjit_owner, 0)) {
        pepjit_change_owner(tstate);
    }
}

/* The same where the thread state isn't at hand: native code runs only after `check_owner` has run on its thread. */
static inline void check_owner_here(void)
{
    if (__builtin_expect(pepjit_thread != pepjit_owner, 0)) {
        pepjit_change_owner(PyThreadState_GetUnchecked());
    }
}

/* The version of a function; 0 if it has none. 3.14 and later have a number for versions that were taken away, too: given back to a function by
 * _PyFunction_SetVersion, it stays in the interpreter's table when the function goes. */
static inline uint32_t function_version(const PyFunctionObject *function)
{
#ifdef FUNC_VERSION_FIRST_VALID
    return function->func_version >= FUNC_VERSION_FIRST_VALID ? function->func_version : 0;
#else
    return function->func_version;
#endif
}

/* The instrumentation version, without pending events. */
static inline uint64_t breaker_version(PyThreadState *tstate)
{
    return _Py_atomic_load_uintptr_relaxed(&tstate->eval_breaker) & ~(uint64_t)_PY_EVAL_EVENTS_MASK;
}

/* Handles what is pending; gives the result, or NULL with an exception instead of it. */
PyObject *pepjit_serve(PyThreadState *tstate, PyObject *result);

/* After a call of anything but a function in Python, where the interpreter too looks for signals, other threads and collections: what a call has
 * waited for may be there, and is to be noticed before the next instruction. */
static inline PyObject *served(PyObject *result)
{
    PyThreadState *tstate = PyThreadState_GetUnchecked();
    uint64_t events = _Py_atomic_load_uintptr_relaxed(&tstate->eval_breaker) & _PY_EVAL_EVENTS_MASK;
    return __builtin_expect(events != 0, 0) && result != NULL ? pepjit_serve(tstate, result) : result;
}

/* The same after a call of anything. */
static inline PyObject *served_after(PyObject *callable, PyObject *result)
{
    PyObject *called = Py_TYPE(callable) == &PyMethod_Type ? PyMethod_GET_FUNCTION(callable) : callable;
    return PyFunction_Check(called) ? result : served(result);
}

/* From 3.14 on the collector doesn't follow a tuple that the interpreter makes of objects whose classes it never follows. */
static inline PyObject *untrack_plain(PyObject *tuple)
{
#if PEPJIT_314
    for (Py_ssize_t i = 0; tuple != NULL && i < PyTuple_GET_SIZE(tuple); i++) {
        if (PyType_IS_GC(Py_TYPE(PyTuple_GET_ITEM(tuple, i)))) {
            return tuple;
        }
    }
    if (tuple != NULL && PyTuple_GET_SIZE(tuple) > 0) {
        PyObject_GC_UnTrack(tuple);
    }
#endif
    return tuple;
}

/* ---------------------------------------------------------------- frames that native code runs on */

enum { VIEW_TABLE = 0, VIEW_VARIANT = 1, VIEW_OBSERVED = 2 };

static inline int64_t **view_slot(pepjit_frame *frame)
{
    return (int64_t **)&frame->localsplus[((PyCodeObject *)frame_executable(frame))->co_nlocalsplus];
}

/* Whether native code runs on the frame. */
static inline bool is_light(pepjit_frame *frame)
{
    return frame != NULL && frame->return_offset == PEPJIT_LIGHT && (frame->owner == FRAME_OWNED_BY_THREAD || frame->owner == FRAME_OWNED_BY_GENERATOR);
}

/* The buffer with what others see of the frame, or NULL. */
static inline int64_t *view_buffer(pepjit_frame *frame)
{
    return is_light(frame) ? *view_slot(frame) : NULL;
}

/* Whether somebody has looked at the frame during the call that it's in or has just come from. */
static inline bool is_observed(pepjit_frame *frame)
{
    int64_t *buffer = view_buffer(frame);
    return buffer != NULL && buffer[VIEW_OBSERVED] != 0;
}

/* Calls what is first (then a receiver or null, arguments) and takes a reference of each item, the names excepted. */
PyObject *pepjit_call_giving(PyObject **items, int64_t count, PyObject *names);
/* How many frames have been looked at and not left since: meanwhile pepjit_quiet_breaker is no breaker's value. */
extern int64_t pepjit_observed;
/* How many deallocations native code waits for, in all threads: it may be without a frame of its own. */
extern int64_t pepjit_waiting;
/* Whether others watch; if not, notes what the eval breaker is now. */
int pepjit_refresh_quiet(PyThreadState *tstate);

/* A computed attribute of a built-in class that calls us first. */
typedef struct {
    PyObject *descriptor; /* NULL: not in place */
    PyGetSetDef *original, replaced;
} pepjit_getset;
/* NULL functions leave the original's. 0, or -1 with an ImportError. Idempotent. */
int pepjit_getset_begin(pepjit_getset *hook, PyTypeObject *type, const char *name, getter get, setter set);
void pepjit_getset_end(pepjit_getset *hook);

/* A function in C whose callers come to us first. */
typedef struct {
    PyCFunctionObject *function; /* NULL: not in place */
    PyMethodDef *original, replaced;
} pepjit_override;
/* Nothing happens if the function (borrowed; or NULL) isn't one in C that is called as the flags say. Idempotent. */
void pepjit_override_begin(pepjit_override *hook, PyObject *function, int flags, PyCFunction replacement);
void pepjit_override_end(pepjit_override *hook);
/* A code object goes away that may have been running when references were counted. */
void pepjit_forget_counted(PyObject *code);

/* ---------------------------------------------------------------- exceptions */

/* The exception that is set, with its reference; afterwards none is. */
static inline PyObject *take_exception(PyThreadState *tstate)
{
    PyObject *exception = tstate->current_exception;
    tstate->current_exception = NULL;
    return exception;
}

/* Code of our own that frames can be pointed at. */
enum { OWN_RERAISE_LASTI = 2, OWN_RERAISE = 5, OWN_RETURN = 8, OWN_UNITS = 16 };
_Py_CODEUNIT *pepjit_own_instruction(PyCodeObject *code, int which);

void pepjit_push_entry(pepjit_frame *frame, PyObject *owned);
/* The handler of an instruction, if it has one. */
bool pepjit_find_handler(PyCodeObject *code, uint32_t offset, struct pepjit_handler *handler);
/* Does what the interpreter does when the instruction at `offset` has raised the exception that is set: adds the traceback entry, tells
 * monitors, unwinds the stack. True: the frame points at the handler, and no exception is set. False: there's none, the exception is set.
 * The frame must be tstate->current_frame. */
bool pepjit_unwind(PyThreadState *tstate, pepjit_frame *frame, PyCodeObject *code, uint32_t offset);
/* Then ends the frame as the interpreter does: tells monitors, unlinks it and gives it up. */
void pepjit_leave_raising(PyThreadState *tstate, pepjit_frame *frame);
/* Or points the frame at a RERAISE of the exception that is set; it isn't any more. */
void pepjit_reraise_in(pepjit_frame *frame);

/* ---------------------------------------------------------------- helpers in files of their own */

int64_t pepjit_delete_global(PyObject *function, PyObject *name);
PyObject *pepjit_load_build_class(void);
PyObject *pepjit_import_name(PyObject *name, PyObject *fromlist, PyObject *level);
PyObject *pepjit_import_from(PyObject *module, PyObject *name);
int pepjit_is_pattern(PyObject *subject, int64_t mapping);
PyObject *pepjit_match_keys(PyObject *subject, PyObject *keys);
PyObject *pepjit_match_class(PyObject *subject, PyObject *class, PyObject *names, int64_t positional);
int64_t pepjit_dict_merge(PyObject *dict, PyObject *update, PyObject *function);
/* Whether compiled code may rely on a name of a dict. */
bool pepjit_relied_on(PyObject *dict, PyObject *name);
void pepjit_tell_others(PyObject *dict, PyObject *name, PyObject *value); /* other watchers, of a value that is about to change */
void pepjit_note_unreliable(PyObject *dict, PyObject *name);

void pepjit_raise(PyObject *raised, PyObject *cause);
PyObject *pepjit_handled(void);
void pepjit_set_raised(PyObject *exception);
PyObject *pepjit_push_exc_info(PyObject *exception);
void pepjit_pop_except(PyObject *previous);
int64_t pepjit_check_exc_match(PyObject *exception, PyObject *class);
PyObject *pepjit_with_except_start(PyObject *exit, PyObject *self, PyObject *exception);
PyObject *pepjit_load_special(PyObject *owner, int64_t which);

/* The start of an array.array, which no header tells (Modules/arraymodule.c). Nothing relies on it before arrays.c has compared it with what
 * the buffer protocol says of a live array. */
struct pepjit_array_descriptor {
    char typecode;
    int itemsize;
};
struct pepjit_array {
    PyVarObject ob_base;
    char *ob_item;
    Py_ssize_t allocated;
    const struct pepjit_array_descriptor *ob_descr;
    PyObject *weakreflist;
    Py_ssize_t ob_exports;
};

/* ---------------------------------------------------------------- helpers outside of helpers.c */

typedef PyObject *Obj;

Obj pepjit_native_none(int64_t address, int64_t flags, Obj self);
Obj pepjit_native_one(int64_t address, int64_t flags, Obj self, Obj argument);
Obj pepjit_native_fast0(int64_t address, int64_t flags, Obj self);
Obj pepjit_native_fast1(int64_t address, int64_t flags, Obj self, Obj a);
Obj pepjit_native_fast2(int64_t address, int64_t flags, Obj self, Obj a, Obj b);
Obj pepjit_native_fast3(int64_t address, int64_t flags, Obj self, Obj a, Obj b, Obj c);
extern PyTypeObject *pepjit_array_type; /* array.array, once one has been seen */
int64_t pepjit_note_container(Obj container, Obj key, int64_t site);
int64_t pepjit_quick_len(Obj object);
Obj pepjit_quick_item(Obj object, int64_t index);
Obj pepjit_quick_slice(Obj object, int64_t start, int64_t stop);
Obj pepjit_quick_step_slice(Obj object, int64_t start, int64_t stop, int64_t step);
int64_t pepjit_list_set_slice(Obj list, int64_t start, int64_t stop, Obj value);
int64_t pepjit_quick_truth(Obj object);
int64_t pepjit_quick_instance(Obj object, Obj class);
Obj pepjit_format_with_spec(Obj value, Obj spec);
int64_t pepjit_str_equal(Obj left, Obj right);
int64_t pepjit_str_compare(Obj left, Obj right);
int64_t pepjit_str_contains(Obj text, Obj part);
int64_t pepjit_quick_ord(Obj object);
Obj pepjit_quick_chr(int64_t code);
Obj pepjit_quick_min_max(Obj first, Obj second, Obj third, int64_t op);
Obj pepjit_to_int(Obj value);
Obj pepjit_to_float(Obj value);
Obj pepjit_to_str(Obj value);
Obj pepjit_to_tuple(Obj value);

/* How many inline cache entries follow a base instruction. */
int pepjit_caches(int opcode);
/* The opcode without specialisation. */
int pepjit_base_opcode(int opcode);
/* A function has been made: if its code is a generator's that is compiled, it makes generators of ours. */
int pepjit_generator_function_made(PyFunctionObject *function);
int pepjit_frames_init(void);
int pepjit_hooks_init(void);
int pepjit_layout_check(void);
int pepjit_world_init(void);
/* Switches an event of ours on and off, so that the interpreter instruments every frame that runs. */
void pepjit_reinstrument(void);

#endif
