//! Evidence in, documents out: tables, Markdown, HTML and plots.
//!
//! Every document is made from [`pepjit_harness::analysis::Analysis`] alone, so it can be rebuilt from the
//! raw files of its run at any time.

pub mod format;
mod terminal;

pub use terminal::terminal;
