//! What the reference interpreter asks of its surroundings.

use crate::field::{Field, Width};
use crate::function::{Callee, FrameState, Function, StateId, Value};
use crate::helper::Helper;
use crate::op::Reason;

/// What a [`Machine`] found when the interpreter polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Nothing is wanted, or it has been handled.
    GoOn,
    /// The interpreter is wanted: leave.
    Leave,
    /// A signal handler raised: leave and handle the exception.
    Raised,
}

/// Addresses of objects that every process has one of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WellKnown {
    /// `True`.
    pub true_object: u64,
    /// `False`.
    pub false_object: u64,
    /// The class `int`.
    pub int_type: u64,
    /// The class `float`.
    pub float_type: u64,
}

/// Memory, objects and the process, as the instructions need them.
///
/// Everything is 64 bits wide: addresses, integers as two's complement, doubles as their bits, truth values as 0 or 1. The machine
/// decides what an address means and answers for the safety of reading it: the interpreter itself only passes numbers on.
pub trait Machine {
    /// The bytes at an address, zero-extended; doubles as bits.
    fn read(&mut self, address: u64, width: Width) -> u64;
    /// Writes the lower bytes of a value.
    fn write(&mut self, address: u64, width: Width, value: u64);
    /// A field's offset in bytes.
    fn offset(&self, field: Field) -> i32;
    /// The addresses of well-known objects.
    fn well_known(&self) -> WellKnown;
    /// The function object that is running; borrowed.
    fn current_function(&mut self) -> u64;
    /// An owned `int` object, never null.
    fn box_int(&mut self, value: i64) -> u64;
    /// An owned `float` object, never null.
    fn box_float(&mut self, value: f64) -> u64;
    /// The value of an exact `int` of more than one digit, if it fits.
    fn unbox_big_int(&mut self, object: u64) -> Option<i64>;
    /// Adds a reference to an object (not null).
    fn inc_ref(&mut self, object: u64);
    /// Gives up a reference to an object (not null), which may run a finaliser.
    fn dec_ref(&mut self, object: u64);
    /// Takes what a helper left in the scratch array.
    fn scratch(&mut self, index: u32) -> u64;
    /// Calls a helper with its operands (`array` helpers: of any number). A status is sign-extended to 64 bits.
    fn call_helper(&mut self, helper: Helper, args: &[u64]) -> u64;
    /// Calls a compiled function by its entry cell: payload and tag.
    fn call_direct(&mut self, callee: &Callee, args: &[u64]) -> (u64, u64);
    /// Takes one off the recursion limit, unless it or the native stack is exhausted: then false, and nothing is taken.
    fn enter(&mut self) -> bool;
    /// Gives back what [`Machine::enter`] has taken, when the function returns (exits do it themselves).
    fn leave(&mut self);
    /// Pushes a light frame, unless there is no room for it: then false.
    fn push_frame(&mut self) -> bool;
    /// Pops the light frame, when the function returns (exits do it themselves).
    fn pop_frame(&mut self);
    /// Notes which instruction (in code units) is being executed: in the light frame or, for loops, in the interpreter's.
    fn set_instruction(&mut self, offset: u32);
    /// Lets others see the locals, as they are during the instruction that [`Machine::set_instruction`] has noted.
    fn show_locals(&mut self, _shown: &Shown<'_>) {}
    /// Whether to [`Machine::poll`].
    fn wanted(&mut self) -> bool {
        true
    }
    /// Looks whether the interpreter is wanted.
    fn poll(&mut self) -> Poll;

    /// Takes the exception that is set, with the frame in its traceback; 0 if the interpreter is to handle it.
    fn catch(&mut self) -> u64 {
        0
    }

    /// Whether a call has turned on tracing or monitoring, or looked at the frame's locals.
    fn observed(&mut self) -> bool {
        false
    }

    /// Whether somebody has a frame object of the frame.
    fn seen(&mut self) -> bool {
        false
    }
    /// Whether all of the function's assumptions hold.
    fn is_valid(&mut self) -> bool;
    /// The stress mode: asked once before each instruction that can leave, but for `enter`, `poll` and ends of blocks; true leaves.
    fn stress_exit(&mut self) -> bool {
        false
    }
    /// Rebuilds the interpreter's frame and goes on there: the payload and tag to return. Takes the units of the frame state's slots
    /// and drops, pops the light frame if there is one, and gives back what `enter` has taken.
    fn exit(&mut self, exit: &Exit<'_>) -> (u64, u64);
}

/// What others see of the locals while an instruction calls.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The function that calls.
    pub func: &'a Function,
    /// The locals.
    pub state: StateId,
    pub(super) values: &'a [(u64, u64)],
}

impl Shown<'_> {
    /// A value as 64 bits, and of a pair the tag.
    pub fn pair(&self, value: Value) -> (u64, u64) {
        self.values[value.index()]
    }
}

/// A side exit that is being taken.
#[derive(Clone, Copy, Debug)]
pub struct Exit<'a> {
    /// The function that is left.
    pub func: &'a Function,
    /// The frame to rebuild.
    pub state: StateId,
    /// Why.
    pub reason: Reason,
    /// Whether the exception that is set is to be handled at the state's instruction (else the instruction is executed).
    pub throw: bool,
    /// Whether `enter` has been passed.
    pub entered: bool,
    /// Whether there is a light frame.
    pub pushed: bool,
    pub(super) values: &'a [(u64, u64)],
}

impl Exit<'_> {
    /// The frame to rebuild.
    pub fn frame(&self) -> &FrameState {
        &self.func.states[self.state.index()]
    }

    /// A value as 64 bits; of a pair the payload.
    pub fn word(&self, value: Value) -> u64 {
        self.values[value.index()].0
    }

    /// A direct call's result: payload and tag.
    pub fn pair(&self, value: Value) -> (u64, u64) {
        self.values[value.index()]
    }
}
