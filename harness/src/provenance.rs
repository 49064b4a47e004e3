//! Where a file of results comes from: what every file that lies beside a run says of itself.

use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::interpreters::Interpreter;
use crate::machine;
use crate::runner::checkout;
use crate::store::rfc3339;

/// Who made a file, from which sources, when, on what and for which interpreter. Files have its fields among their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the tool.
    pub tool_version: String,
    /// Commit of the sources, when they are a git checkout.
    pub commit: Option<String>,
    /// Whether that checkout had local changes.
    pub dirty: bool,
    /// When, RFC 3339 in UTC.
    pub created: String,
    /// Target triple.
    pub platform: String,
    /// The interpreter's version.
    pub python: String,
}

impl Provenance {
    /// Of something that is made now from the sources in `root`.
    pub fn now(root: &Path, python: &Interpreter) -> Self {
        let (commit, dirty) = checkout(root);
        Self {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            commit,
            dirty,
            created: rfc3339(SystemTime::now()),
            platform: machine::platform(),
            python: python.version.to_string(),
        }
    }

    /// The sources in a few words: `8c21ab528 with local changes`.
    pub fn sources(&self) -> String {
        let commit = self.commit.as_deref().and_then(|commit| commit.get(..9)).unwrap_or("no commit");
        format!("{commit}{}", if self.dirty { " with local changes" } else { "" })
    }
}
