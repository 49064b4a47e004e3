//! The Python module `pepjit`: everything that touches CPython.
//!
//! The C side (`csrc/`, compiled against the interpreter's own headers) knows frames, layouts and hooks; this side decides: when to compile
//! ([`policy`]), what the code assumes and when it's given up ([`registry`], [`engine`]), and answers the front end ([`world`]).
//!
//! Architecture invariant: this is the only crate with `unsafe`, and all state is guarded by the GIL.

#![allow(unsafe_code)]

pub mod arena;
mod assumptions;
mod budget;
mod counters;
mod engine;
mod ffi;
mod generators;
mod heap;
mod hooks;
mod lifecycle;
mod linkage;
mod listening;
mod log;
mod module;
mod objects;
mod policy;
mod reference;
mod registry;
pub mod unwind;
mod world;

pub use module::PyInit_pepjit;
