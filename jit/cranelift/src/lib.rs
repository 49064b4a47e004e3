//! The Cranelift back end: IR to machine code.
