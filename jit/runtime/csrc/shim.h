/* The C side of the runtime: everything that needs the interpreter's own headers.
 *
 * The Rust side declares what it uses of this header by hand; all types here are plain C types of fixed layout (`PyObject *`,
 * `PyThreadState *` and `struct _PyInterpreterFrame *` are opaque pointers to Rust). Every function needs the GIL. "Borrowed" results are
 * valid as long as the object they come from. Unless said otherwise no function here raises, and `int` results are 0 or 1.
 *
 * Functions named `pepjit_rs_*` are defined by the Rust side and called from here; they must not raise or unwind.
 */
#ifndef PEPJIT_SHIM_H
#define PEPJIT_SHIM_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

struct _PyInterpreterFrame;
typedef struct _PyInterpreterFrame pepjit_frame;

/* ------------------------------------------------------------------------------------------------ results of native code */

/* Returned in the two return registers. */
typedef struct pepjit_pair {
    int64_t payload;
    int64_t tag;
} pepjit_pair;

enum {
    PEPJIT_TAG_INT = 0,    /* payload: an unboxed int */
    PEPJIT_TAG_OBJECT = 1, /* payload: an owned object, or NULL with an exception set */
    PEPJIT_TAG_FLOAT = 2,  /* payload: the bits of a double */
    PEPJIT_TAG_RESUME = 3, /* loops: the frame has been written back */
    PEPJIT_TAG_RAISE = 4,  /* loops: the same with an exception set (exit_loop never returns it; accepted from others) */
    PEPJIT_TAG_YIELD = 5,  /* generators, in the low byte; above it a bit per stack entry that is NULL, bottom first. payload: the owned
                              object that is yielded; the frame has been written back */
    PEPJIT_TAG_YIELD_PLAIN = 6, /* the same, but the stack has what only the interpreter can take */
};

/* ------------------------------------------------------------------------------------------------ exits */

enum {
    PEPJIT_SLOT_EMPTY = 0,  /* NULL */
    PEPJIT_SLOT_OBJECT = 1, /* the object at `address`: the exit makes a reference */
    PEPJIT_SLOT_STEAL = 2,  /* the pointer in word `index`: the exit takes its unit; NULL stays NULL */
    PEPJIT_SLOT_BORROW = 3, /* the pointer in word `index`: the exit makes a reference; NULL stays NULL */
    PEPJIT_SLOT_INT = 4,    /* the unboxed int in word `index` */
    PEPJIT_SLOT_FLOAT = 5,  /* the unboxed double in word `index` */
    PEPJIT_SLOT_BOOL = 6,   /* the truth value in word `index` (the low byte) */
    PEPJIT_SLOT_PAIR = 7,   /* payload in word `index`, tag in word `index` + 1; payload NULL with tag 1: unbound */
    PEPJIT_SLOT_TAGGED = 8, /* the machine word in word `index`, as a tagged integer (on 3.13: an int object) */
};

struct pepjit_slot {
    uint32_t kind;
    uint32_t index;
    uint64_t address;
};

/* An exit record, flattened. Kept by the Rust side as long as the code can run. `count` is advanced by each exit. When `count` reaches
 * `limit` (and `limit` is not 0), `pepjit_rs_exit_limit(record)` is called once, before the interpreter goes on. */
struct pepjit_exit {
    uint64_t count;        /* how often this exit was taken */
    uint64_t limit;        /* 0: never ask */
    uint64_t *reason;      /* advanced by one as well; may be NULL */
    int64_t *active;       /* one more while the exit is on its way, and while the interpreter goes on inside of it; may be NULL */
    uint64_t user;         /* the Rust side's: which compiled function this belongs to */
    PyObject *function;    /* exit_function: the function that runs; exit_loop: ignored */
    PyObject *code;        /* its code object */
    uint32_t offset;       /* the instruction, in code units */
    uint8_t throw_;        /* 1: the exception that is set is handled at `offset`; 0: `offset` is executed */
    uint8_t entered;       /* 1: `Enter` has taken one off py_recursion_remaining */
    uint8_t recursion;     /* 1: the reason is Recursion (the Python limit or the C stack) */
    uint8_t classes;       /* 1: `pepjit_rs_exit_class` wants to know the class on top of the stack */
    uint8_t watch;         /* 1: right after a call, whose locals the frame still has */
    uint8_t yields;        /* 1: the top of the stack is yielded, and the frame is suspended before `offset` */
    uint32_t nlocals;      /* how many of the slots are locals (co_nlocalsplus) */
    uint32_t nstack;       /* how many slots follow */
    uint32_t nwords;       /* words of the buffer */
    uint32_t ndrops;
    const struct pepjit_slot *slots; /* nlocals + nstack */
    PyObject **function_cell;        /* shared code: where the function is if there's no light frame yet; else NULL */
    const uint32_t *drops;           /* words with owned pointers (or NULL) which the exit gives up */
};

/* What others see of the locals of a frame whose native code is inside of a call. The frame's first stack entry has the address of a buffer
 * (or 0) while its return_offset is PEPJIT_LIGHT. The buffer: the address of the pepjit_views, the variant, what has been looked at (0, or 1
 * + the instruction), then two words per local. A slot's index is a word of the buffer; no slot takes a unit. */
struct pepjit_view {
    uint32_t offset;  /* the instruction, in code units */
    uint32_t variant; /* for buffers whose second word is this, if the instruction has several views */
    const struct pepjit_slot *slots;
};
struct pepjit_views {
    uint32_t count;
    uint32_t nlocals;
    const struct pepjit_view *views;
};
#define PEPJIT_LIGHT 0xffff
/* Makes f_locals of frames show these. 0, or -1 with an exception. Idempotent. */
int pepjit_views_begin(void);
void pepjit_views_end(void);

/* Leaves a compiled function: builds the interpreter's frame, runs it to its end and returns {object or NULL, PEPJIT_TAG_OBJECT}.
 * `light` is the light frame if `PushFrame` has run, else NULL; it must be tstate->current_frame and the top of the data stack. An
 * unboxed value that several slots name is boxed once. py_recursion_remaining ends as it was before `Enter`. */
pepjit_pair pepjit_exit_function(PyThreadState *tstate, pepjit_frame *light, struct pepjit_exit *record, const int64_t *buffer);

/* Leaves a compiled loop: writes locals, stack, and the place to go on into the interpreter's frame. Returns {0, PEPJIT_TAG_RESUME}, with
 * `throw_` too: then the traceback entry has been added and the frame points at the handler (or at a RERAISE). */
pepjit_pair pepjit_exit_loop(PyThreadState *tstate, pepjit_frame *frame, struct pepjit_exit *record, const int64_t *buffer);

/* Called when a record's count reaches its limit. May unhook and invalidate; must not free code that is `active`. */
void pepjit_rs_exit_limit(struct pepjit_exit *record);

/* Called at the first exits of a record that asks for classes, before the limit is looked at: the class of the object on top of the stack. */
void pepjit_rs_exit_class(struct pepjit_exit *record, PyObject *type);

/* ------------------------------------------------------------------------------------------------ called by native code */

PyThreadState *pepjit_current_tstate(void); /* also notes which thread runs now (for stack_limit): every vectorcall entry calls it */
void pepjit_dealloc(PyObject *object, PyThreadState *tstate); /* the reference count has fallen to 0 */
PyObject *pepjit_box_int(int64_t value);    /* never NULL: out of memory ends the process */
PyObject *pepjit_box_float(double value);   /* the same */
pepjit_pair pepjit_unbox_big_int(PyObject *exact_int); /* {value, 1}, or {0, 0} if it doesn't fit 64 bits */
/* For an eval_breaker that differs from pepjit_quiet_breaker: 0 go on, 1 leave, -1 an exception is set (a signal handler raised). */
int64_t pepjit_poll(PyThreadState *tstate);
/* After a call, for an eval_breaker that differs from pepjit_quiet_breaker: 1 if others watch now or the frame has been looked at, else 0. */
int pepjit_watch(PyThreadState *tstate);
/* For an exception that is set and that the code handles itself: adds this frame to its traceback and gives it (owned; then none is set). NULL if
 * the code has to leave with it: others watch, or have looked at the frame. */
PyObject *pepjit_catch(PyThreadState *tstate);
/* Where the handler of an instruction starts (all in code units), or -1. */
int64_t pepjit_handler_target(PyObject *code, uint32_t offset);
/* How often a function was left by an exception that it doesn't handle. */
extern uint64_t pepjit_unwinds;
/* A light frame for the function, linked, where the data stack's chunk has no room for it: it gets another one. The frame has a frame object, so
 * that it is popped by pepjit_pop_frame, which gives the chunk back. NULL: out of memory. */
pepjit_frame *pepjit_push_light_frame(PyThreadState *tstate, PyObject *function);
/* Pops a light frame of which somebody has taken a frame object (frame_obj != NULL); the frame object survives on its own. Keeps an
 * exception that is set. Does not touch py_recursion_remaining. */
void pepjit_pop_frame(PyThreadState *tstate, pepjit_frame *light);
/* Ends the frame's being looked at, because the interpreter takes over or native code ends, and with it the buffer of what others see. */
void pepjit_forget_view(PyThreadState *tstate, pepjit_frame *frame);

/* Binds the arguments of a vectorcall to the function's parameters (in the order of its locals, `*args` and `**kwargs` included) as the
 * interpreter would: 1 and as many owned references in `out`, or 0 (nothing is set) if the call doesn't fit or only the interpreter can tell. */
int64_t pepjit_bind(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *names, PyObject **out);
/* Gives up the references that the caller of a vectorcall has of these arguments (a bit each), where it's known to need them no more: the callee
 * has references of its own. */
void pepjit_settle(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *names, uint64_t owned);
/* Gives up so many references. */
void pepjit_unbind(PyObject **values, int64_t count);
/* Has the interpreter call the function with a (borrowed) value for each parameter. */
PyObject *pepjit_call_bound(PyObject *function, PyObject *const *values);

#define PEPJIT_SCRATCH 1024
extern PyObject *pepjit_scratch[PEPJIT_SCRATCH]; /* `UnpackSequence` and `UnpackEx` of more values than this raise SystemError: don't compile them */
extern uint64_t pepjit_quiet_breaker;            /* what eval_breaker holds when nothing is wanted */
extern uint64_t pepjit_stack_limit;              /* the running thread's: native code below it leaves */
extern vectorcallfunc pepjit_fallback;           /* the original vectorcall of Python functions (set by pepjit_init) */
extern const void *pepjit_evaluator;             /* the interpreter's word that isn't 0 while somebody else evaluates frames (PEP 523; same) */

/* ------------------------------------------------------------------------------------------------ layout */

extern const uint32_t pepjit_field_count;
extern const char *const pepjit_field_names[];  /* in the order of pepjit_ir::Field::ALL, with Field::name(): compare at start */
extern const int32_t pepjit_field_offsets[];    /* the same order */

struct pepjit_helper {
    const char *name; /* Helper::info().name */
    void *address;
};
extern const uint32_t pepjit_helper_count;
extern const struct pepjit_helper pepjit_helpers[]; /* in the order of pepjit_ir::Helper::ALL: compare the names at start */

struct pepjit_free_list {
    uint64_t head, count; /* addresses; 0 if there is none */
    uint32_t count_bytes;
    int32_t link;
    int64_t most;
};
struct pepjit_process {
    uint64_t none, true_object, false_object, int_type, float_type, small_ints, small_int_size;
    struct pepjit_free_list floats, ints;
    uint64_t ref_tracer;
};
void pepjit_process_layout(struct pepjit_process *out);

struct pepjit_word {
    int64_t offset;
    uint64_t value;
};
struct pepjit_frame_layout {
    int32_t current_frame, datastack_top, datastack_limit, py_recursion_remaining; /* in PyThreadState */
    int32_t previous, instr_ptr, frame_obj, localsplus;                            /* in the frame */
    int32_t stackpointer; /* -1 on 3.13 (where the template sets stacktop) */
    int32_t stacktop;     /* 3.13: 32 bits; -1 later */
    int32_t frame_size;   /* bytes */
    int32_t reserved;
    uint64_t code_start;
    uint64_t null_word;   /* what an empty local holds: 0 on 3.13, 1 (PyStackRef_NULL) on 3.14 and later */
    uint32_t nlocalsplus;
    uint32_t ntemplate;
    struct pepjit_word template_[12]; /* whole 64-bit words; don't cover previous, instr_ptr, stackpointer, localsplus */
};
/* The layout for a function object's frame; the template holds borrowed references to it and its code, globals, builtins. A light
 * frame's locals must be empty: the Rust side appends (localsplus + 8 * i, null_word) for each i < nlocalsplus to the template. */
void pepjit_frame_layout(PyObject *function, struct pepjit_frame_layout *out);

/* ------------------------------------------------------------------------------------------------ start and end */

/* "3.13", "3.14" or "3.15" the shim was compiled for as 13, 14, 15. */
int pepjit_minor_version(void);
/* Checks the running interpreter against the headers, looks up what the shim needs, reads the native stack's bounds. 0, or -1 with an ImportError
 * that names cause and cure (a different minor version, a free-threaded build, offsets that disagree, a failed resume self-test). */
int pepjit_init(void);

/* Creates the module object `pepjit` (Rust: `#[no_mangle] extern "C" fn PyInit_pepjit` returns this). Calls pepjit_init, then
 * pepjit_rs_init(module). New reference or NULL. */
PyObject *pepjit_module_create(void);
int pepjit_rs_init(PyObject *module); /* 0, or -1 with an exception */

/* The methods of the module. All take METH_FASTCALL | METH_KEYWORDS arguments: positional ones first, then the values of `kwnames` (a tuple or
 * NULL). */
enum {
    PEPJIT_METHOD_ENABLE = 0, PEPJIT_METHOD_DISABLE = 1, PEPJIT_METHOD_IS_ENABLED = 2, PEPJIT_METHOD_COMPILE = 3,
    PEPJIT_METHOD_IS_COMPILED = 4, PEPJIT_METHOD_EXPLAIN = 5, PEPJIT_METHOD_STATS = 6, PEPJIT_METHOD_DUMP = 7,
};
PyObject *pepjit_rs_method(int method, PyObject *const *args, int64_t nargs, PyObject *kwnames); /* new reference or NULL; may raise */

/* ------------------------------------------------------------------------------------------------ monitoring */

enum { PEPJIT_EVENT_START = 1, PEPJIT_EVENT_JUMP = 2 };
/* Takes tool id 5 (OPTIMIZER_ID) as "pepjit" and registers the callbacks; no event is on yet, but those of the starter, whose tool id is taken over.
 * 0, or -1 with an exception (id taken). */
int pepjit_monitoring_begin(void);
/* Whether the starter (csrc/start/start.c) holds the tool id, and waits for this module to be loaded. */
int pepjit_starter_waits(void);
/* Switches the global events on (a set of PEPJIT_EVENT_*) or off (0). 0, or -1 with an exception. */
int pepjit_monitoring_events(int events);
/* Re-arms what callbacks have disabled (sys.monitoring.restart_events: of all tools). 0, or -1. */
int pepjit_monitoring_restart(void);
/* Off means off: events off, callbacks removed, tool id freed. Idempotent. */
void pepjit_monitoring_end(void);
/* How many events were raised: each takes the interpreter some 25 ns. */
extern uint64_t pepjit_events;
/* Whether anybody else monitors, traces or profiles (then compiled code must not be entered). */
int pepjit_others_monitor(PyThreadState *tstate);

/* Whether anybody else monitors events of this code object alone. */
int pepjit_code_monitored(PyObject *code);
/* Who waits no more although not all of its events have come, because others needed the place; the code may be gone. */
struct pepjit_given_up {
    PyObject *code;
    int64_t header;
    uint64_t events; /* those that haven't come; 0: nobody */
};
/* The next `events` starts of the code (or backward jumps in it to `header`) won't be reported. Returns how many: none if too many others wait. */
enum { PEPJIT_WAIT_START = -1 };
uint64_t pepjit_wait(PyObject *code, int64_t header, uint64_t events, struct pepjit_given_up *given_up);
/* Nobody waits any more. */
void pepjit_wait_no_more(void);
/* Whether CPython's own JIT is on. */
int pepjit_other_jit(void);
/* Has the code's start (PEPJIT_WAIT_START), or the backward jump at a code unit, raise the events again that a callback has disabled. 0 if that
 * can't be done now. */
int pepjit_listen_again(PyObject *code, int64_t jump);
/* How many code units a code object has. */
int64_t pepjit_code_units(PyObject *code);
/* co_flags; how many locals, cells and free variables a frame has; the borrowed name of one, or null. */
uint32_t pepjit_code_flags(PyObject *code);
int64_t pepjit_code_local_count(PyObject *code);
PyObject *pepjit_code_local_name(PyObject *code, int64_t local);
/* Whether the running thread has enough of its stack left for the compiler. */
int pepjit_compiler_fits(void);
/* Others may have begun or ended to monitor single code objects: don't enter those that they do. 0 if it can't be done now. */
int pepjit_rs_monitoring_changed(void);

enum { PEPJIT_VERDICT_NOTHING = 0, PEPJIT_VERDICT_DISABLE = 1, PEPJIT_VERDICT_ENTERED = 2 };
/* A backward jump of an unoptimised frame (from >= to, code units). Return ENTERED after pepjit_run_loop has run. Not called while others monitor. */
int pepjit_rs_jump(PyThreadState *tstate, pepjit_frame *frame, PyObject *code, uint32_t from, uint32_t to);
/* A Python function starts in the interpreter (function: borrowed, its func_code is `code`). Not called for other kinds of frames. DISABLE
 * disables the event for this code object. Locals: pepjit_frame_values. */
int pepjit_rs_start(PyThreadState *tstate, pepjit_frame *frame, PyObject *code, PyObject *function);

/* Copies the frame's locals and stack as borrowed pointers (NULL: unbound; on 3.14 and later a stack entry that isn't an object, such as a
 * tagged int, gives NULL as well) to `out` and returns how many there are (nlocalsplus + depth). `out` needs nlocalsplus + stacksize entries. */
int64_t pepjit_frame_values(pepjit_frame *frame, PyObject **out);
/* nlocalsplus + depth; -1 if a stack entry is no object (then pepjit_frame_normalise is needed before entering, or observing, a loop). */
int64_t pepjit_frame_count(pepjit_frame *frame);
/* Whether the frame has this many locals and stack entries, empty ones where the flag is 0. Normalises it first where it has to. */
int pepjit_frame_fits(pepjit_frame *frame, const uint8_t *bound, int64_t count);
/* 3.15 iterates over lists, tuples, strings and bytes with the sequence and a tagged index on the stack: replaces these by a real iterator and NULL, which the
 * interpreter takes as well. 1: pepjit_frame_count is fine now; 0: it can't be done (don't compile the loop). Call it when a loop is about to
 * be compiled or entered, not before (it costs the interpreter its specialisation). */
int pepjit_frame_normalise(pepjit_frame *frame);
/* Where the frame was called from, if that's an interpreted frame that called it without C in between: its code (borrowed) and the instruction
 * in code units; else NULL. */
PyObject *pepjit_frame_caller(pepjit_frame *frame, uint32_t *unit);
/* Borrowed; NULL if the frame isn't a function's, or its function has other code by now. */
PyObject *pepjit_frame_function(pepjit_frame *frame);
/* Points the frame at the loop header (code units), moves the frame's locals and stack into an array and calls
 * entry(tstate, frame, values, handle). What the loop returns by tags 0-2 is pushed and the frame is pointed at a RETURN_VALUE. Callees see
 * monitoring events as usual. Only from inside pepjit_rs_jump; return ENTERED afterwards. */
typedef pepjit_pair (*pepjit_loop_entry)(PyThreadState *, pepjit_frame *, PyObject **, uint64_t);
void pepjit_run_loop(PyThreadState *tstate, pepjit_frame *frame, uint32_t header, pepjit_loop_entry entry, uint64_t handle);

/* ------------------------------------------------------------------------------------------------ generators */

/* Where a generator goes on: after it has been made, or after a yield. Part of what is known of its code object, and lives as long. */
struct pepjit_generator;
struct pepjit_resume {
    const void *magic;
    pepjit_loop_entry entry; /* the Rust side's; NULL: not compiled now */
    uint64_t handle;         /* the Rust side's */
    struct pepjit_generator *owner;
    uint64_t nulls;   /* a bit per stack entry, bottom first: those that are NULL in every generator of ours that is suspended here */
    uint32_t offset;  /* in code units: what instr_ptr has while suspended */
    uint32_t depth;   /* how many stack entries there are, the sent value included; 0: none has been here yet */
    uint32_t refused; /* don't ask again */
    int32_t gain;     /* the Rust side's: roughly how many nanoseconds it saves to go on here */
};
/* Replaces the slots of generators, so that ours are found. If the interpreter isn't as expected generators stay interpreted. Idempotent. */
void pepjit_generators_begin(void);
/* Puts the slots back; every generator of ours becomes the interpreter's. Idempotent. */
void pepjit_generators_end(void);
/* From now on functions of this generator function's code make generators that run compiled code where there is some. 1: the function has been
 * hooked (as by pepjit_hook, with its version), and wants pepjit_unhook some time; 0: not. */
int pepjit_generator_activate(PyObject *function, uint32_t *version);
/* Whether everything is to be compiled that can be, worthwhile or not. */
int pepjit_rs_forced(void);
/* The generator can't be compiled here. If it can't anywhere its code's functions make plain generators again. */
void pepjit_generator_refuse(struct pepjit_resume *point);
/* A generator of ours goes on here and there's no code: compile it and set entry and handle, or refuse. Locals and stack: pepjit_frame_values.
 * `in_place`: the interpreter's own loop asks, which goes on with its own generators in place. */
void pepjit_rs_resume(pepjit_frame *frame, PyObject *code, PyObject *function, struct pepjit_resume *point, int in_place);

/* ------------------------------------------------------------------------------------------------ watchers */

/* Registers the four watchers. 0, or -1 with an exception (all slots taken). */
int pepjit_watchers_begin(void);
void pepjit_watchers_end(void);
int pepjit_watch_dict(PyObject *dict);   /* 0 or -1 with an exception; exact dicts; idempotent */
void pepjit_unwatch_dict(PyObject *dict);
/* Changes of this name (UTF-8) of a dict are reported; those of most others aren't. */
void pepjit_rely_on_name(PyObject *dict, const char *utf8, int64_t length);
/* Whether the frame runs a function, or code whose names are its globals, as a module's. */
int pepjit_frame_plain_names(pepjit_frame *frame);
int pepjit_watch_type(PyObject *type);   /* 0 or -1 with an exception. Call it for each new assumption: a change is reported
                                           only once, until the class is watched again */
void pepjit_unwatch_type(PyObject *type);

enum { PEPJIT_DICT_ADDED = 0, PEPJIT_DICT_MODIFIED = 1, PEPJIT_DICT_DELETED = 2, PEPJIT_DICT_CLONED = 3, PEPJIT_DICT_CLEARED = 4, PEPJIT_DICT_DEALLOCATED = 5 };
/* Before the change. Whether nothing relies on the name any more: further changes of it need no report until something does. */
int pepjit_rs_dict_event(int event, PyObject *dict, PyObject *key, PyObject *new_value);
void pepjit_rs_type_event(PyObject *type);                                                /* before the change */
enum { PEPJIT_FUNCTION_CODE = 0, PEPJIT_FUNCTION_DEFAULTS = 1, PEPJIT_FUNCTION_KWDEFAULTS = 2, PEPJIT_FUNCTION_DESTROYED = 3 };
/* Before the change; creation isn't reported. Of an end: whether nothing is known of the function any more. */
int pepjit_rs_function_event(int event, PyObject *function, PyObject *new_value);
void pepjit_rs_code_destroyed(PyObject *code);
/* The end of a function is reported only if it has been made known. */
void pepjit_know_function(PyObject *function);

/* ------------------------------------------------------------------------------------------------ what runs */

/* Tells the code object of each frame that native code runs on, in any thread. 0: it can't be told now, because native code without a frame
 * waits for a finaliser, or because stacks may be switched behind our back (greenlets). Code that has left for the interpreter is `active`. */
int pepjit_running(void (*visit)(void *context, PyObject *code), void *context);
/* Tells the code object of each frame of this thread, however it runs. */
void pepjit_stack(void (*visit)(void *context, PyObject *code), void *context);
/* A program asks how many references there are to an object (sys.getrefcount), of which compiled code holds fewer, or more, than the interpreter.
 * 0 if nothing can be done about what is on the stack now. */
int pepjit_rs_references_counted(void);

/* ------------------------------------------------------------------------------------------------ hooks */

/* Makes calls of the function go to `entry`. Returns the func_version it had (0: none), to be handed to pepjit_unhook. */
uint32_t pepjit_hook(PyObject *function, void *entry);
/* The original vectorcall again; `version` (if not 0 and still unused) makes specialised call sites fit again. */
void pepjit_unhook(PyObject *function, uint32_t version);
void *pepjit_vectorcall(PyObject *function);

/* The C stack or (3.13) the C recursion counter is nearly exhausted: un-hook every compiled function, so that calls between interpreted
 * functions take no C stack. The calls nest: only the first suspends, only the last resumes (counted here). Functions that get compiled in
 * between must not be hooked before the resume. */
void pepjit_rs_suspend_hooks(void);
void pepjit_rs_resume_hooks(void);
int pepjit_hooks_suspended(void);

/* ------------------------------------------------------------------------------------------------ world: objects */

/* The one bit of pepjit_ir::Type for an object's exact class (1 << n), Type::OTHER for others. */
uint32_t pepjit_object_type(PyObject *object);
/* The same for a class: what its exact instances are. */
uint32_t pepjit_class_type(PyObject *type);
/* The class whose exact instances have this one bit; borrowed; NULL if there is none (NULL, OTHER, unboxed). */
PyObject *pepjit_well_known(uint32_t bit);

enum { PEPJIT_CONSTANT_NONE = 0, PEPJIT_CONSTANT_BOOL = 1, PEPJIT_CONSTANT_INT = 2, PEPJIT_CONSTANT_FLOAT = 3, PEPJIT_CONSTANT_OPAQUE = 4 };
struct pepjit_description {
    uint32_t type;     /* one bit */
    uint32_t constant; /* PEPJIT_CONSTANT_* */
    int64_t int_value; /* INT (fits 64 bits), BOOL (0 or 1) */
    double float_value;
    uint32_t immortal;
    uint32_t reserved;
};
void pepjit_describe(PyObject *object, struct pepjit_description *out);
/* A stable name for dumps, no address: the name of a class, function, module, the text of a str, the value of a number, else "<class>". UTF-8,
 * cut to `size` - 1 bytes at a character boundary, NUL-terminated; returns the length. */
int64_t pepjit_label(PyObject *object, char *buffer, int64_t size);
/* An exact str as UTF-8 (borrowed, kept by the str; NULL for lone surrogates). */
const char *pepjit_utf8(PyObject *str, int64_t *length);
/* What has come by where a subscript is taken. */
struct pepjit_site {
    uint64_t seen;  /* 0: nothing; PEPJIT_SEVERAL; 1 + position in PEPJIT_TYPECODES: arrays of this kind; PEPJIT_OF_CLASS */
    uint64_t count; /* how often, as long as it's the same */
};
#define PEPJIT_SEVERAL UINT64_MAX
#define PEPJIT_TYPECODES "bBhHiIlLqQfd"
#define PEPJIT_OF_CLASS(version) ((uint64_t)(version) << 8 | 0xff) /* instances of the class that has this version */
uint64_t pepjit_container(PyObject *object);   /* what a site would say of it; 0: nothing */
PyObject *pepjit_subscript_name(int stores); /* "__setitem__" or "__getitem__" */
/* The class array.array and what its arrays of a kind (position in PEPJIT_TYPECODES) point to: their typecode; 0 if no such array has been seen,
 * or its layout isn't known. */
uint8_t pepjit_array(uint32_t kind, PyObject **type, uint64_t *descriptor);
PyObject *pepjit_small_int(uint32_t value);          /* borrowed, immortal; NULL beyond the cache (256; 3.15: 1024) */
PyObject *pepjit_common_constant(uint32_t number);   /* LOAD_COMMON_CONSTANT: borrowed, immortal or kept by the interpreter; NULL if unknown */
int pepjit_is_function(PyObject *object);
int pepjit_is_code(PyObject *object);
int pepjit_is_class(PyObject *object);
int pepjit_is_module(PyObject *object); /* exactly a module */
void pepjit_incref(PyObject *object);
void pepjit_decref(PyObject *object);   /* may run finalisers */
int pepjit_keep(PyObject *object);      /* a reference, unless the object is just going away: then 0 */
PyObject *pepjit_type_of(PyObject *object); /* borrowed */

/* The value of an exact str key in a dict; borrowed, NULL if absent; never raises, never runs Python code for dicts with str keys only
 * (other dicts: NULL). */
PyObject *pepjit_dict_get(PyObject *dict, PyObject *key);
PyObject *pepjit_module_dict(PyObject *module); /* borrowed */

/* Where a dict of str keys has the value of a name, as long as the keys have this version. */
struct pepjit_dict_slot {
    uint64_t keys_slot;   /* the address of the pointer to the keys */
    uint64_t word;        /* the value's place in the keys, in words from their beginning */
    uint64_t placeholder; /* objects of this class stand for others, which only the interpreter finds (0: there's no such class) */
    uint32_t version;
    uint32_t unused;
};
int pepjit_dict_slot(PyObject *dict, PyObject *name, struct pepjit_dict_slot *out); /* 1, or 0: can't be told */

/* ------------------------------------------------------------------------------------------------ world: functions, code */

struct pepjit_function {
    PyObject *code, *globals, *builtins; /* borrowed; builtins or globals may be no exact dict, or NULL if the function is being collected */
    PyObject *defaults;                  /* tuple or NULL */
    PyObject *kwdefaults;                /* dict or NULL */
    PyObject *closure;                   /* tuple of cells or NULL */
    PyObject *qualname;
    void *vectorcall;
    uint32_t version;
    uint32_t plain_dicts; /* globals and builtins are exact dicts */
};
/* The function that has this version now, as far as the interpreter remembers; borrowed or NULL. */
PyObject *pepjit_function_of_version(uint32_t version);
void pepjit_function_info(PyObject *function, struct pepjit_function *out);
int64_t pepjit_tuple_size(PyObject *tuple);
PyObject *pepjit_tuple_item(PyObject *tuple, int64_t index); /* borrowed */

struct pepjit_handler {
    uint32_t start, end, target, depth, lasti; /* code units; lasti 0 or 1 */
};
enum { PEPJIT_LOCAL = 0, PEPJIT_CELL = 1, PEPJIT_FREE = 2 };
struct pepjit_code {
    uint16_t *base;     /* nunits: co_code; opcode in the low byte */
    uint16_t *adaptive; /* nunits: as in memory now; instrumented instructions show their base opcode */
    struct pepjit_handler *handlers;
    uint8_t *local_kinds; /* nlocalsplus: PEPJIT_LOCAL (arguments that aren't cells too), _CELL, _FREE */
    PyObject *consts, *names, *localsplusnames; /* tuples, borrowed */
    PyObject *qualname, *filename;              /* borrowed */
    uint64_t code_start;
    uint32_t nunits, nhandlers, nlocals, nlocalsplus, argcount, posonlyargcount, kwonlyargcount, stacksize, flags, first_traceable,
        first_line, framesize; /* framesize in words */
    uint32_t has_executors;    /* CPython's own JIT has replaced instructions: don't compile */
};
/* 0, or -1 without an exception (out of memory). Free the arrays with pepjit_code_release. */
int pepjit_code_info(PyObject *code, struct pepjit_code *out);
void pepjit_code_release(struct pepjit_code *info);

/* ------------------------------------------------------------------------------------------------ world: classes */

PyObject *pepjit_class_of_version(uint32_t version); /* borrowed or NULL. May walk all classes: remember the answer */
uint32_t pepjit_class_version(PyObject *type);       /* 0: none */

enum {
    PEPJIT_ATTRIBUTE_GENERIC = 0, PEPJIT_ATTRIBUTE_INLINE = 1, PEPJIT_ATTRIBUTE_SLOT = 2, PEPJIT_ATTRIBUTE_METHOD = 3,
    PEPJIT_ATTRIBUTE_CLASS_VALUE = 4, PEPJIT_ATTRIBUTE_PROPERTY = 5, PEPJIT_ATTRIBUTE_CLASS_METHOD = 6,
};
struct pepjit_attribute {
    uint32_t kind;
    int32_t offset;       /* INLINE, SLOT: bytes from the instance to the pointer */
    uint32_t index;       /* INLINE: among the inline values */
    int32_t valid_offset; /* INLINE, and METHOD or CLASS_VALUE if shared_keys: bytes to the byte that says that values are inline */
    int32_t dict_offset;  /* INLINE: bytes to the instance's dict pointer */
    uint32_t storable;    /* INLINE, SLOT: the class's tp_setattro is the generic one, so stores may go there too */
    PyObject *object;     /* METHOD: function or method descriptor; CLASS_VALUE: the value; PROPERTY: the getter (a function); borrowed */
    uint32_t shared_keys; /* METHOD, CLASS_VALUE: Shadow::SharedKeys, else Shadow::Impossible */
    uint32_t keys_version;
    uint64_t keys_slot;   /* the address of the class's pointer to its shared keys */
    PyObject *also;       /* a class to be watched as well, or NULL: that of what the class has under the name */
};
/* Where exact instances of the class have an attribute. Watch the class (and so its bases) to rely on it. */
void pepjit_attribute(PyObject *type, PyObject *name, struct pepjit_attribute *out);
/* An attribute of a class object itself (`Colour.RED`) that is a plain value, function or method descriptor found through its MRO, with nothing
 * on the metaclass in the way. Borrowed or NULL. Watch the class. */
PyObject *pepjit_class_attribute(PyObject *type, PyObject *name);
/* The dict of the class in whose MRO the attribute is found; borrowed; NULL: none. */
PyObject *pepjit_class_holder(PyObject *type, PyObject *name);
/* Whether a class can't be changed. */
int pepjit_class_is_fixed(PyObject *type);
/* What super(defining, object).name is for instances of a class, before the object is bound to it: a function or a method of C. Borrowed, with
 * the dict that has it, or NULL. Watch the class. */
PyObject *pepjit_super_function(PyObject *defining, PyObject *type, PyObject *name, PyObject **holder);
/* What a cell has; borrowed or NULL. */
PyObject *pepjit_cell_contents(PyObject *cell);
/* The function of a class method that is found on a class object itself; borrowed or NULL. Watch the class and its metaclass. */
PyObject *pepjit_class_method(PyObject *type, PyObject *name);
/* Whether an object is `object.__setattr__`. */
int pepjit_is_object_setattr(PyObject *object);
/* Whether calling the class is: allocate with object.__new__, then call __init__. 1 with *init the Python function (borrowed) or NULL for
 * object.__init__; else 0. Watch the class. */
int pepjit_class_call(PyObject *type, PyObject **init);

/* The position in pepjit_frontend's enum Builtin (Len 0, IsInstance 1, Range 2, Abs 3, Min 4, Max 5, Ord 6, Chr 7, Int 8, Float 9, Bool 10,
 * Type 11, MathSqrt 12, ListAppend 13, Str 14, Tuple 15, Divmod 16, Enumerate 17, LooksAtFrame 18), or -1. */
int pepjit_builtin(PyObject *object);

enum { PEPJIT_NATIVE_NONE = 0, PEPJIT_NATIVE_ONE = 1, PEPJIT_NATIVE_FAST = 2, PEPJIT_NATIVE_FAST_KEYWORDS = 3 };
struct pepjit_native {
    uint64_t address;    /* of the function in C */
    uint32_t convention; /* PEPJIT_NATIVE_* */
    uint32_t method;     /* a method descriptor: the receiver is the first argument of the call and known to be of the class */
    uint32_t waits;      /* it may let another thread run, or do what a signal does: the interpreter may be wanted right after it */
    PyObject *self;      /* what a builtin function is bound to; borrowed; NULL: nothing, or a method */
};
/* How a builtin function or a method descriptor of a builtin class is called directly. 0: it can't be. */
int pepjit_native(PyObject *object, struct pepjit_native *out);

#endif
