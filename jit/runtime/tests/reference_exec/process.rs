//! The make-believe process with the reference back end: what differs is how entries are called.

#[expect(dead_code, reason = "what is replaced below")]
#[path = "../cranelift_exec/process.rs"]
mod base;

pub(crate) use base::*;

use crate::reference::{ReferenceBackend, call_entry};
use pepjit_backend::{Backend, Compiled};
use pepjit_ir::{Function, parse, verify};
use std::ops::{Deref, DerefMut};

/// How often the runtime is called to box -6, -5, 0, 256 and 257: always.
pub(crate) const BOX_INT_CALLS: usize = 5;

/// As its namesake, but compiles with the reference back end.
pub(crate) struct Process {
    base: base::Process,
    /// The back end.
    pub(crate) backend: ReferenceBackend,
}

impl Deref for Process {
    type Target = base::Process;

    fn deref(&self) -> &base::Process {
        &self.base
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut base::Process {
        &mut self.base
    }
}

impl Process {
    pub(crate) fn new() -> Process {
        Process { base: base::Process::new(), backend: ReferenceBackend::new() }
    }

    pub(crate) fn with_stress(self, guards: u64) -> Process {
        Process { base: self.base.with_stress(guards), ..self }
    }

    pub(crate) fn with_collections(self) -> Process {
        Process { base: self.base.with_collections(), ..self }
    }

    /// There is nothing to switch off.
    pub(crate) fn without_optimiser(self) -> Process {
        self
    }

    pub(crate) fn compile(&mut self, func: &Function) -> Compiled {
        verify(func).unwrap_or_else(|error| panic!("{error:?}\n{func}"));
        self.backend.compile(func, &mut self.base, false).unwrap_or_else(|error| panic!("{error}\n{func}"))
    }

    pub(crate) fn compile_text(&mut self, text: &str) -> Compiled {
        let mut func = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        name_objects(&mut func);
        self.compile(&func)
    }

    fn enter(&mut self, entry: u64, args: &[u64]) -> Pair {
        let thread = &raw mut *self.base.thread;
        // SAFETY: tests pass an entry of this process's back end, with arguments as its parameters say.
        let result = unsafe { call_entry(entry, thread as u64, args) };
        Pair { payload: result.payload, tag: result.tag }
    }

    pub(crate) fn call(&mut self, compiled: &Compiled, args: &[u64]) -> Pair {
        self.enter(compiled.entry, args)
    }

    pub(crate) fn call_floats(&mut self, compiled: &Compiled, a: f64, b: f64) -> Pair {
        self.enter(compiled.entry, &[a.to_bits(), b.to_bits()])
    }

    pub(crate) fn call_fallback(&mut self, compiled: &Compiled, int: i64, float: f64, object: u64) -> Pair {
        self.enter(compiled.fallback, &[int as u64, float.to_bits(), object])
    }
}
