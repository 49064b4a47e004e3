//! What it takes to build the module and to ship it.

mod model;

pub use model::*;
