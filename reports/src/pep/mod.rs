//! The PEP draft: a template whose every figure is filled from a run, with a footnote to its files, and the checks of it.

mod figures;
mod lint;
mod notes;
mod tables;
mod wrap;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use pepjit_harness::criteria::Criteria;
use pepjit_harness::timeline::Deadlines;
use thiserror::Error;

pub use self::lint::{Finding, draft as lint_draft, template as lint_template};
use self::notes::Notes;
use crate::Material;

/// What stands where there is no figure.
pub const NOT_MEASURED: &str = "not measured";

/// What a draft is made from.
#[derive(Debug, Clone)]
pub struct PepSources {
    /// The runs, judged.
    pub material: Material,
    /// The folders in which other evidence is looked for, the first that has a file wins.
    pub beside: Vec<PathBuf>,
    /// The criteria.
    pub criteria: Criteria,
    /// Their dates.
    pub deadlines: Deadlines,
}

/// A draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The text.
    pub text: String,
    /// Figures that were filled.
    pub filled: usize,
    /// What was asked for and isn't there, once each.
    pub lacking: Vec<String>,
}

/// Why there is no draft.
#[derive(Debug, Error)]
#[error("the template of the PEP can't be filled: {0:#}")]
pub struct PepError(#[from] Error);

/// Fills a template.
///
/// It may use `fig(tier, what)`, `run(what)`, `threshold(id)`, `status(id)`, `finding(id)`, `deadline(name)`, `file(name, pointer, as)`, the tables
/// `tiers()`, `criteria(source)`, `peers()`, `stages()`, `timeline()`, and `notes()` where the footnotes go. What one of these doesn't
/// know in the template's own terms (a tier is fine that no run has; a criterion that doesn't exist isn't) is an error.
pub fn draft(template: &str, sources: PepSources) -> Result<Draft, PepError> {
    let notes = Arc::new(Mutex::new(Notes::default()));
    let sources = Arc::new(sources);
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_keep_trailing_newline(true);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    figures::add(&mut environment, &sources, &notes);
    tables::add(&mut environment, &sources, &notes);
    let text = crate::format::without_home(&environment.render_str(template, ())?);
    // The footnotes come last, when all are known; their place is marked.
    let mut notes = notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let text = wrap::fill(&text.replace(notes::PLACE, &notes.text()));
    Ok(Draft { text, filled: notes.filled, lacking: std::mem::take(&mut notes.lacking) })
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
