//! Runs what the Cranelift back end makes, in a make-believe process.

#![expect(unsafe_code, reason = "calling machine code")]

mod arithmetic;
mod frames;
mod freelists;
mod objects;
mod process;
mod random;
