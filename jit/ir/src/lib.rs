//! The JIT's intermediate representation (IR), its passes and its reference interpreter.
//!
//! A [`Function`] is a control-flow graph of basic blocks in SSA form with block parameters. Instructions are rows of one
//! table ([`op`]); values carry a [`Type`] that says both the representation (object, unboxed integer, ...) and what is known of
//! the object's class. Every instruction that can leave compiled code names a [`FrameState`], from which the interpreter's frame is
//! rebuilt. Reference counts are explicit: see [`ownership`](crate::op#ownership).
//!
//! The crate knows nothing of CPython's memory layout and contains no `unsafe` code: addresses are opaque numbers.

pub mod builder;
pub mod field;
pub mod function;
pub mod helper;
pub mod interp;
pub mod op;
pub mod ownership;
pub mod parse;
pub mod passes;
pub mod print;
pub mod types;
pub mod verify;

pub use builder::Builder;
pub use field::Field;
pub use function::{
    Block, BlockCall, BlockData, Callee, CalleeId, FrameState, Function, FunctionKind, Inst, InstData, ObjId, ObjRef, Ownership,
    Parameter, Slot, StateId, Value, ValueData, ValueDef,
};
pub use helper::Helper;
pub use op::{ArgKind, Cond, Effects, Imm, ImmKind, Op, OpInfo, ResultKind};
pub use ownership::{OwnershipError, check_ownership};
pub use parse::{ParseError, parse};
pub use print::{InstText, Text};
pub use types::{Constant, Type};
pub use verify::{VerifyError, verify};
