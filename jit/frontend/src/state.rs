//! The interpreter's frame as the front end follows it: a value and its owner for each local and stack entry.

use pepjit_ir::{ObjId, Ownership, Slot, Value};

/// Who keeps a value alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The slot has a unit.
    Slot,
    /// A local variable has the unit; the slot borrows it.
    Local(u32),
    /// Somebody outside (the caller, the compiled code's constants) keeps it for as long as the code runs.
    Outside,
    /// Memory that was just read. Must become `Slot` before anything may change that memory.
    Memory,
    /// Not an object: an unboxed word.
    Word,
}

/// What a local or a stack entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Null.
    Null,
    /// An object known when compiling.
    Const(ObjId),
    /// A value.
    Value(Value, Owner),
}

impl Entry {
    /// The entry as a slot of a frame state.
    pub(crate) fn slot(self) -> Slot {
        match self {
            Entry::Null => Slot::Empty,
            Entry::Const(object) => Slot::Object(object),
            Entry::Value(value, Owner::Slot) => Slot::Value(value, Ownership::Steal),
            Entry::Value(value, _) => Slot::Value(value, Ownership::Borrow),
        }
    }
}

/// The locals and the value stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// `localsplus`.
    pub(crate) locals: Vec<Entry>,
    /// The value stack, bottom first.
    pub(crate) stack: Vec<Entry>,
}

impl Frame {
    /// The frame at an instruction, for an exit.
    pub(crate) fn state(&self, offset: u32) -> pepjit_ir::FrameState {
        pepjit_ir::FrameState {
            offset,
            locals: self.locals.iter().map(|entry| entry.slot()).collect(),
            stack: self.stack.iter().map(|entry| entry.slot()).collect(),
            drops: Vec::new(),
        }
    }
}
