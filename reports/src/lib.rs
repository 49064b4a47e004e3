//! Evidence in, documents out: tables, Markdown, HTML and plots.
//!
//! Every document is made from [`pepjit_harness::analysis::Analysis`] alone, so it can be rebuilt from the
//! raw files of its run at any time.

mod calibration;
mod compat;
mod coverage;
mod criteria;
mod document;
pub mod format;
mod governance;
mod history;
mod judgement;
pub mod pep;
pub mod plot;
mod redistributor;
pub mod runs;
mod terminal;
mod view;

pub use calibration::calibration;
pub use compat::compat;
pub use criteria::criteria;
pub use document::{Annexes, Evidence, Material, ReportError, html, markdown, write};
pub use governance::{governance, governance_markdown};
pub use history::history;
pub use judgement::{judgement, judgement_junit, judgement_markdown};
pub use redistributor::redistributor;
pub use terminal::terminal;
