//! Runs workloads across interpreters and tiers, and judges the results.

pub mod model;
pub mod pyperf;
pub mod store;
