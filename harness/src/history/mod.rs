//! Runs over commits: which commit moved which workload.

mod model;

pub use model::*;
