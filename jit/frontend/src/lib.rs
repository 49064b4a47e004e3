//! From CPython's bytecode and its inline caches to the IR.
//!
//! [`input::CodeInput`] is a code object as plain data, [`world::World`] answers what else the front end wants to know of the running
//! process (globals, classes, callees) and takes note of what the compiled code then assumes. [`build`] makes the IR.

// Every instruction's translation has the same signature, whether it can refuse or not.
#![allow(clippy::unnecessary_wraps)]

mod decode;
mod families;
pub mod input;
mod opcodes;
mod questions;
mod state;
mod translate;
pub mod world;

pub use input::{CodeInput, Entry, Handler, LocalKind, PyVersion};
pub use questions::{has_loops, has_run, is_start, only_yields_in_a_loop, parameters, returns_only_none, specialisations};
pub use translate::{BuildError, Built, build};
pub use world::{
    Attribute, Builtin, CalleeInfo, ClassCall, Convention, GlobalSlot, KnownBy, Native, Numbers, Shadow, Signature, Subscripted,
    Target, World,
};
