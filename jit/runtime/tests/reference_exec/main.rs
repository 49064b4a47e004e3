//! Runs functions with the reference back end, in the make-believe process and through the tests of the Cranelift back end.

#![expect(unsafe_code, reason = "calling entries by address")]

#[path = "../cranelift_exec/arithmetic.rs"]
mod arithmetic;
#[path = "../cranelift_exec/frames.rs"]
mod frames;
mod lifetime;
#[path = "../cranelift_exec/objects.rs"]
mod objects;
mod process;
#[path = "../cranelift_exec/random.rs"]
mod random;
#[path = "../../src/reference.rs"]
mod reference;
