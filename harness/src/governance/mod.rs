//! Who keeps a JIT alive, from the history of its repository.

mod model;

pub use model::*;
