//! The Cranelift back end: IR to machine code.
//!
//! Each function becomes a cranelift-jit module of its own, so that it can be freed alone. `lower` drives the translation of the
//! IR's instructions to CLIF, `entries` makes the ways in from CPython, `exits` the ways out.
//!
//! Architecture invariant: this crate contains no `unsafe`. It neither reads nor writes code memory: the memory provider does, which the
//! runtime brings along.

mod arith;
mod backend;
mod calls;
mod emit;
mod entries;
mod error;
mod exits;
mod frames;
mod freelists;
mod lower;
mod objects;
mod unwind;
mod views;
mod yields;

pub use backend::{CraneliftBackend, MemoryFactory, Options};
pub use cranelift_jit::{BranchProtection, JITMemoryKind, JITMemoryProvider, JITModule, SystemMemoryProvider};
pub use error::ArenaFull;
pub use unwind::CodeRange;
