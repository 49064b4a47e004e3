//! What was read of a repository before, by commit: one JSON line each, appended as it is read.
//!
//! A commit never changes, so a line is good for good; only another choice of files whose lines are counted, or another form of
//! the lines, needs a new file. What a killed process left of its last line is cut off.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::record::Record;
use super::{GovernanceError, hex};

/// Raise it when a line's form or meaning changes.
const FORM: u32 = 2;

/// The lines on disk.
pub(super) struct Cache {
    path: PathBuf,
    file: File,
}

impl Cache {
    /// Opens the cache for a repository and a choice of files, and calls `each` with every record in it.
    pub(super) fn open(
        folder: &Path,
        repository: &Path,
        patterns: &[String],
        mut each: impl FnMut(Record),
    ) -> Result<Self, GovernanceError> {
        let mut key = Sha256::new();
        key.update(format!("{FORM}\n{}\n{}", repository.display(), patterns.join("\n")));
        let key = hex(&key.finalize()[..8]);
        let path = folder.join(format!("{key}.jsonl"));
        let failed = |source| GovernanceError::Cache { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        // Another process at the same repository goes first; its lines are then here.
        file.lock().map_err(failed)?;
        let mut whole = 0;
        let mut reader = BufReader::with_capacity(1 << 20, &mut file);
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            let Ok(record) = serde_json::from_slice(&line) else { break };
            if line.last() != Some(&b'\n') {
                break;
            }
            each(record);
            whole += line.len() as u64;
        }
        // What follows a line that doesn't read is read anew from the repository.
        drop(reader);
        file.set_len(whole).map_err(failed)?;
        file.seek(SeekFrom::Start(whole)).map_err(failed)?;
        Ok(Self { path, file })
    }

    /// Adds records. They are in the file when this returns.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), GovernanceError> {
        let mut text = Vec::new();
        let failed = |source| GovernanceError::Cache { path: self.path.clone(), source };
        for record in records {
            serde_json::to_writer(&mut text, record).map_err(|e| failed(e.into()))?;
            text.push(b'\n');
        }
        self.file.write_all(&text).map_err(failed)
    }
}
