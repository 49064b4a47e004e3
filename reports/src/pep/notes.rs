//! Footnotes: each says from which files a figure comes.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::NOT_MEASURED;
use crate::Evidence;

/// Where the footnotes go; no text has it.
pub(super) const PLACE: &str = "\u{1}footnotes\u{1}";

/// The footnotes of a draft in the order of their first use, and what it counts.
#[derive(Debug, Default)]
pub(super) struct Notes {
    all: Vec<(String, String)>,
    pub(super) filled: usize,
    pub(super) lacking: Vec<String>,
}

impl Notes {
    /// A figure with a reference to its footnote.
    pub(super) fn figure(&mut self, text: &str, label: &str, note: impl FnOnce() -> String) -> String {
        self.filled += 1;
        format!("{text} {}", self.reference(label, note))
    }

    /// The reference alone.
    pub(super) fn reference(&mut self, label: &str, note: impl FnOnce() -> String) -> String {
        let label = simple(label);
        if self.all.iter().all(|(known, _)| *known != label) {
            self.all.push((label.clone(), note()));
        }
        format!("[#{label}]_")
    }

    /// A figure that isn't there.
    pub(super) fn missing(&mut self, what: String) -> String {
        if !self.lacking.contains(&what) {
            self.lacking.push(what);
        }
        NOT_MEASURED.to_owned()
    }

    pub(super) fn text(&self) -> String {
        self.all.iter().map(|(label, note)| format!(".. [#{label}] {note}")).collect::<Vec<_>>().join("\n\n")
    }
}

/// A reference name as reStructuredText takes one.
fn simple(label: &str) -> String {
    let mut out = String::new();
    for c in label.chars() {
        let c = if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        if c != '-' || (!out.is_empty() && !out.ends_with('-')) {
            out.push(c);
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// What identifies a run's files: the seal's own hash where the run is sealed, else that of its manifest.
pub(super) fn identity(run: &Evidence) -> String {
    let id = &run.analysis.manifest.run_id;
    for name in [pepjit_harness::store::SEAL, "manifest.json"] {
        if let Some(hash) = hash(&run.root.join(name)) {
            return format!("run {id}, SHA-256 of its ``{name}`` {hash}");
        }
    }
    format!("run {id}")
}

/// A file's SHA-256, its first half: enough to tell files apart, and short enough for a line.
pub(super) fn hash(path: &Path) -> Option<String> {
    let digest = Sha256::digest(std::fs::read(path).ok()?);
    Some(digest.iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}
