//! Runs workloads across interpreters and tiers, and judges the results.
//!
//! Data flows one way: [`interpreters`] -> [`tiers`] and [`workloads`] -> [`runner`] -> raw files
//! ([`model`], [`pyperf`], [`store`]) -> statistics -> verdicts.

pub mod analysis;
pub mod build;
pub mod calibrate;
mod coexist;
pub mod compat;
pub mod criteria;
pub mod declared;
pub mod examine;
pub mod gate;
pub mod governance;
pub mod history;
pub mod interpreters;
pub mod machine;
pub mod model;
pub mod provenance;
pub mod provision;
pub mod pyperf;
pub mod pyperformance;
pub mod redistributor;
pub mod runner;
pub mod stats;
pub mod store;
pub mod tiers;
pub mod timeline;
pub mod workloads;
