//! The interface between the JIT's front end and its back ends.
//!
//! A back end turns a verified [`Function`] into something callable by the runtime. It knows CPython only through a [`Layout`] and
//! the addresses in [`Linkage`]; it never dereferences any of them itself.
//!
//! # The native calling convention
//!
//! All entries use the platform's C convention.
//!
//! - **direct entry** (functions): `(tstate, arg_0, ..., arg_n-1) -> (payload, tag)`: unboxed ints and borrowed objects as 64-bit
//!   integers, unboxed doubles as doubles; the result in the two return registers, `tag` as for `call_direct` in the instruction table:
//!   0 int, 1 object (null: an exception is set), 2 double bits.
//! - **vectorcall entry** (functions): `(callable, args, nargsf, kwnames) -> object`: checks that the call has exactly the right number of
//!   positional arguments and no keywords (else it has [`Addresses::bind`] look for defaults, keywords and the rest), that each is of the
//!   class the direct entry wants, and that the function is still valid; otherwise it calls [`Addresses::fallback`] with the same arguments.
//! - **fallback entry** (functions): like the direct entry, but boxes the arguments and calls the callable through
//!   `Linkage::fallback`. The runtime stores it in the callee's entry cell when the compiled code becomes invalid.
//! - **loop entry** (loops): `(tstate, frame, values, handle) -> (payload, tag)`, `values` the frame's locals and stack, owned, as an array of
//!   pointers, `handle` the [`Compiled::handle`] (a back end without machine code finds its function by it). Tags 0-2 mean that the function returned; tag [`TAG_RESUME`] that the frame has been written back by `exit_loop` and the
//!   interpreter goes on there; tag [`TAG_RAISE`] the same with an exception set.
//!
//! An exit stores each live value (as 64 raw bits) into a buffer on the native stack and calls `exit_function(tstate, light_frame or
//! null, exit_record, buffer)` or `exit_loop(tstate, frame, exit_record, buffer)`, whose result it returns. The exit's record is an
//! [`ExitRecord`], flattened by the runtime (`Linkage::add_exit`) into an address before code is made.

mod views;

pub use views::{View, ViewPlan, plan_view};

use pepjit_ir::{Field, Function, Helper, Ownership, Parameter, Slot, Type, Value, op::Reason};
use std::collections::BTreeMap;
use thiserror::Error;

/// The tag of a loop that has left for the interpreter.
pub const TAG_RESUME: i64 = 3;
/// The tag of a loop that has left for the interpreter with an exception set.
pub const TAG_RAISE: i64 = 4;
/// The tag of a generator that yields, in the low byte; above it a bit for each stack entry that is null, the bottom first. The payload is the
/// owned object, and the frame is as the interpreter has it while suspended.
pub const TAG_YIELD: i64 = 5;

/// Where CPython keeps things, told by the runtime's C shim for the interpreter it was compiled for.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The byte offset of each field, in the order of [`Field::ALL`].
    pub fields: Vec<i32>,
    /// The addresses of `None`, `True` and `False`.
    pub none: u64,
    /// `True`.
    pub true_object: u64,
    /// `False`.
    pub false_object: u64,
    /// The class `int`.
    pub int_type: u64,
    /// The class `float`.
    pub float_type: u64,
    /// The first of the cached small ints (-5), and the size of one.
    pub small_ints: u64,
    /// The size in bytes of one cached small int.
    pub small_int_size: u64,
    /// The interpreter's free list of floats.
    pub float_list: FreeList,
    /// The interpreter's free list of ints of one digit (3.14 and later).
    pub int_list: FreeList,
    /// Where the function is that is told of every object's birth and death (`PyRefTracer_SetTracer`), or null.
    pub ref_tracer: u64,
    /// The thread state's field offsets and the frame's, for [`pepjit_ir::Op::Enter`], `PushFrame`, `SetInstruction` and the pops.
    pub frame: FrameLayout,
}

impl Layout {
    /// A field's byte offset.
    pub fn offset(&self, field: Field) -> i32 {
        self.fields[field as usize]
    }
}

/// A singly linked list of objects to be used again (CPython: `Include/internal/pycore_freelist_state.h`).
#[derive(Clone, Copy, Debug, Default)]
pub struct FreeList {
    /// The address of the pointer to the first one; 0 if there is no such list.
    pub head: u64,
    /// The address of their number.
    pub count: u64,
    /// The size of that number in bytes: 4 or 8.
    pub count_bytes: u32,
    /// The byte offset in an object of the pointer to the next.
    pub link: i32,
    /// How many there may be.
    pub most: i64,
}

impl FreeList {
    /// Whether there is such a list.
    pub const fn is_known(&self) -> bool {
        self.head != 0
    }
}

/// Offsets in bytes that the light frame needs (`_PyInterpreterFrame`, `PyThreadState`).
#[derive(Clone, Debug, Default)]
pub struct FrameLayout {
    /// `tstate->current_frame`.
    pub current_frame: i32,
    /// `tstate->datastack_top`.
    pub datastack_top: i32,
    /// `tstate->datastack_limit`.
    pub datastack_limit: i32,
    /// `tstate->py_recursion_remaining` (4 bytes).
    pub py_recursion_remaining: i32,
    /// `frame->previous`.
    pub previous: i32,
    /// `frame->instr_ptr`.
    pub instr_ptr: i32,
    /// `frame->frame_obj`.
    pub frame_obj: i32,
    /// `frame->localsplus`.
    pub localsplus: i32,
    /// `frame->f_funcobj` (from 3.14 on with tags in the low bits, which the reader clears).
    pub funcobj: i32,
    /// 64-bit words to write into a new light frame: (byte offset, value); covers code, function, globals, builtins, locals, owner, stack
    /// pointer where it doesn't depend on the frame's address.
    pub template: Vec<(i32, u64)>,
    /// For 3.14 and later: the offset of `stackpointer`, which is set to the address of `localsplus[nlocalsplus]`.
    pub stackpointer: Option<i32>,
    /// 3.13: `stacktop`, 32 bits.
    pub stacktop: i32,
    /// What an empty entry holds: 0, or from 3.14 on a marked null.
    pub null_word: u64,
    /// The size of the frame in bytes (`co_framesize` words).
    pub frame_size: i32,
    /// The address of the code's first unit.
    pub code_start: u64,
}

/// How an exit makes one value of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// A pointer of which the exit takes the unit (null stays null).
    Steal,
    /// A pointer of which the exit makes a new reference (null stays null).
    Borrow,
    /// An unboxed int.
    Int,
    /// An unboxed double.
    Float,
    /// An unboxed truth value.
    Bool,
    /// The payload of a pair, whose tag is the next value in the buffer.
    Pair,
    /// A machine word that the interpreter keeps as a tagged integer on its stack (the index of 3.15's iterations).
    TaggedInt,
}

/// What a slot of the rebuilt frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitSlot {
    /// Null.
    Empty,
    /// The object at this address, of which the exit makes a reference.
    Object(u64),
    /// The value at this index of `ExitRecord::values`. An unboxed value that several slots name is boxed once.
    Value(u32, ExitKind),
}

/// Everything that an exit needs to rebuild the frame from the buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct ExitRecord {
    /// The reason, which is counted.
    pub reason: Reason,
    /// Whether the exception that is set is to be handled at the instruction (else the instruction is executed).
    pub throw: bool,
    /// The instruction, in code units.
    pub offset: u32,
    /// Whether `Enter` has already taken one off the recursion limit.
    pub entered: bool,
    /// The locals, then the stack.
    pub slots: Vec<ExitSlot>,
    /// How many of the slots are locals.
    pub locals: u32,
    /// How many words of the buffer are used.
    pub words: u32,
    /// Indices of buffer words with owned pointers that the exit gives up.
    pub drops: Vec<u32>,
}

/// The parameters of which the callee has a unit, a bit each: what [`Addresses::settle`] is told. (What comes after the 64th stays with the caller.)
pub fn owned_bits(parameters: &[Parameter]) -> u64 {
    parameters.iter().zip(0..64).fold(0, |bits, (parameter, at)| bits | u64::from(parameter.owned) << at)
}

/// How an exit makes an entry of a value.
fn exit_kind(func: &Function, value: Value, ownership: Ownership) -> ExitKind {
    match func.ty(value) {
        Type::C_INT => ExitKind::Int,
        Type::C_FLOAT => ExitKind::Float,
        Type::C_BOOL => ExitKind::Bool,
        Type::PAIR => ExitKind::Pair,
        Type::C_WORD => ExitKind::TaggedInt,
        _ if ownership == Ownership::Steal => ExitKind::Steal,
        _ => ExitKind::Borrow,
    }
}

/// What a back end asks of the runtime while it compiles one function.
pub trait Linkage {
    /// The address of a helper.
    fn helper(&self, helper: Helper) -> u64;
    /// Where CPython keeps things, for this function.
    fn layout(&self) -> &Layout;
    /// Keeps an exit record as long as the code lives and returns its address, which the exit passes on.
    fn add_exit(&mut self, record: ExitRecord) -> u64;
    /// Keeps what others see of the function's frames as long as the code lives. The address goes into each buffer's first word; 0: nobody
    /// will look, so that there need be no buffer.
    fn add_views(&mut self, _views: Vec<View>) -> u64 {
        0
    }
    /// The addresses that have no row in the helper table.
    fn addresses(&self) -> &Addresses;
}

/// Addresses of the runtime, of this function and of the process.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// `exit_function(tstate, light_frame, record, buffer) -> (payload, tag)`.
    pub exit_function: u64,
    /// `exit_loop(tstate, frame, record, buffer) -> (payload, tag)`.
    pub exit_loop: u64,
    /// The original vectorcall of Python functions: `(callable, args, nargsf, kwnames) -> object`.
    pub fallback: u64,
    /// If not 0: the address of a word that isn't 0 while somebody else evaluates frames (PEP 523). The vectorcall entry then goes to the
    /// fallback, which hands the frame to them.
    pub evaluator: u64,
    /// `bind(callable, args, nargsf, kwnames, out) -> int`: 1 and an owned reference for each parameter in `out`, or 0 if the call must
    /// go to the fallback.
    pub bind: u64,
    /// `unbind(values, count)`: gives up what `bind` left.
    pub unbind: u64,
    /// `settle(callable, args, nargsf, kwnames, owned)`: gives up the caller's references of arguments (a bit each) of which the callee has its own.
    pub settle: u64,
    /// `call_bound(callable, values) -> object`: the interpreter calls the function with a borrowed value for each parameter.
    pub call_bound: u64,
    /// Whether each parameter is a positional one: no `*args`, `**kwargs`, keyword-only ones.
    pub positional: bool,
    /// `current_tstate() -> tstate`.
    pub current_tstate: u64,
    /// `dealloc(object, tstate)`, called when a reference count falls to 0.
    pub dealloc: u64,
    /// `dealloc_plain(object)`, the same for an object of a class whose end runs no other code: a number, a string.
    pub dealloc_plain: u64,
    /// `box_int(i64) -> object`; never null.
    pub box_int: u64,
    /// `box_float(f64) -> object`; never null.
    pub box_float: u64,
    /// `unbox_big_int(object) -> (i64, ok)` for an exact int of more than one digit.
    pub unbox_big_int: u64,
    /// `poll(tstate) -> int`: 0 go on, 1 leave, -1 an exception is set.
    pub poll: u64,
    /// `watch(tstate) -> int`: 0 go on, 1 leave; for an eval breaker that differs from the quiet one after a call.
    pub watch: u64,
    /// The word that `tstate->eval_breaker` must equal for code to go on without polling.
    pub quiet_breaker: u64,
    /// `push_frame(tstate, function) -> light_frame`, linked, where the data stack has no room for it as it is; null: leave.
    pub push_frame: u64,
    /// `catch(tstate) -> object`: the exception that is set, with the current frame added to its traceback; null: leave with it.
    pub catch: u64,
    /// `pop_frame(tstate, light_frame)` for a light frame of which somebody took a frame object.
    pub pop_frame: u64,
    /// `forget_view(tstate, frame)`, before a loop returns whose frame has a buffer of what others see.
    pub forget_view: u64,
    /// The scratch array in which helpers leave further results.
    pub scratch: u64,
    /// The byte that is 1 as long as all of the function's assumptions hold.
    pub valid: u64,
    /// The function object (entry functions).
    pub function: u64,
    /// The native stack's soft limit (address of a word): below it `Enter` leaves.
    pub stack_limit: u64,
    /// If not 0: the code is shared by functions (closures) of one code object, and this is the address of a word in which the caller
    /// leaves the function that is called, for the direct entry to read before anything else happens.
    pub function_cell: u64,
    /// If not 0: the address of a word that each call of the vectorcall entry counts up.
    pub entries: u64,
    /// If not 0: the address of a word that is one more while code of the function other than the direct entry waits for the interpreter.
    pub active: u64,
    /// If not 0: the address of a word which every guard counts down and leaves at 0 (the stress mode).
    pub stress: u64,
}

/// A compiled function.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// The direct entry, or the loop entry.
    pub entry: u64,
    /// The vectorcall entry (functions only).
    pub vectorcall: u64,
    /// The fallback entry (functions only).
    pub fallback: u64,
    /// What identifies the code when it's freed.
    pub handle: u64,
    /// Bytes of machine code (or of what stands for it).
    pub code_bytes: usize,
    /// Text dumps by name (`clif`, `asm`), if asked for.
    pub dumps: BTreeMap<String, String>,
}

/// Why a function could not be compiled.
#[derive(Debug, Error)]
pub enum BackendError {
    /// Something that this back end doesn't do; the function stays interpreted.
    #[error("the {backend} back end doesn't support {what}")]
    Unsupported {
        /// The back end.
        backend: &'static str,
        /// What it doesn't do.
        what: String,
    },
    /// A bug of the compiler.
    #[error("internal error of the {backend} back end: {what}; please report it with the function's `dump(func, \"hir\")`")]
    Internal {
        /// The back end.
        backend: &'static str,
        /// What went wrong.
        what: String,
    },
    /// The code arena is full.
    #[error("the code arena is full ({bytes} bytes); raise PEPJIT_ARENA")]
    ArenaFull {
        /// The arena's size.
        bytes: usize,
    },
}

/// A code-generation strategy.
pub trait Backend {
    /// The name by which it's selected.
    fn name(&self) -> &'static str;

    /// Compiles a verified function.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] leaves the function interpreted; the others are reported.
    fn compile(&mut self, func: &Function, linkage: &mut dyn Linkage, dumps: bool) -> Result<Compiled, BackendError>;

    /// Frees code that is no longer running or reachable.
    fn free(&mut self, handle: u64);
}

/// Lays out the buffer of an exit: which value goes to which word, and the record that reads it.
#[derive(Clone, Debug)]
pub struct ExitPlan {
    /// The values to store, by word. A pair takes two words, payload first.
    pub stores: Vec<(u32, Value)>,
    /// The record.
    pub record: ExitRecord,
}

impl ExitPlan {
    /// Gives the buffer's words to the values in an order of the caller's choice: that of their keys.
    pub fn in_order<K: Ord>(&mut self, key: impl Fn(Value) -> K) {
        let mut places: Vec<usize> = (0..self.stores.len()).collect();
        places.sort_by_key(|place| key(self.stores[*place].1));
        let old: Vec<u32> = self.stores.iter().map(|(word, _)| *word).collect();
        let width = |place: usize| old.get(place + 1).copied().unwrap_or(self.record.words) - old[place];
        let mut new = vec![0; old.len()];
        let mut next = 0;
        for place in &places {
            new[*place] = next;
            next += width(*place);
        }
        let moved = |word: u32| old.binary_search(&word).map_or(word, |place| new[place]);
        for slot in &mut self.record.slots {
            if let ExitSlot::Value(word, _) = slot {
                *word = moved(*word);
            }
        }
        for word in &mut self.record.drops {
            *word = moved(*word);
        }
        self.stores = places.into_iter().map(|place| (new[place], self.stores[place].1)).collect();
    }
}

/// Plans an exit from its frame state.
pub fn plan_exit(func: &Function, state: &pepjit_ir::FrameState, reason: Reason, throw: bool, entered: bool) -> ExitPlan {
    let mut words: BTreeMap<Value, u32> = BTreeMap::new();
    let mut stores = Vec::new();
    let mut next = 0;
    let mut word = |value: Value, width: u32| {
        *words.entry(value).or_insert_with(|| {
            let word = next;
            next += width;
            stores.push((word, value));
            word
        })
    };
    let mut slots = Vec::with_capacity(state.locals.len() + state.stack.len());
    for slot in state.slots() {
        slots.push(match *slot {
            Slot::Empty => ExitSlot::Empty,
            Slot::Object(object) => ExitSlot::Object(func.objects[object.index()].address),
            Slot::Value(value, ownership) => {
                let kind = exit_kind(func, value, ownership);
                ExitSlot::Value(word(value, if kind == ExitKind::Pair { 2 } else { 1 }), kind)
            }
        });
    }
    let drops = state.drops.iter().filter(|value| func.ty(**value).is_object()).map(|value| word(*value, 1)).collect();
    let record =
        ExitRecord { reason, throw, offset: state.offset, entered, slots, locals: state.locals.len() as u32, words: next, drops };
    ExitPlan { stores, record }
}
