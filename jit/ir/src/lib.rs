//! The JIT's intermediate representation, its passes and its reference interpreter.
