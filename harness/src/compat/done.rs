//! What was done before for the same build, interpreter and probe, so that an interrupted command goes on where it was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    /// `row:NAME` or `test:MODULE`.
    id: String,
    /// A digest of all that the result depends on and the folder's name doesn't say.
    made_by: String,
    result: Value,
}

/// Results, each kept the moment it is there.
#[derive(Debug)]
pub(super) struct Done {
    lines: Vec<Line>,
    file: File,
}

impl Done {
    /// Those in `folder`. A line that was cut off is left out.
    ///
    /// # Errors
    /// What the file system said.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("done.jsonl");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        Ok(Self { lines, file })
    }

    /// The last result of this name that was made in the same way.
    pub(super) fn get<T: DeserializeOwned>(&self, id: &str, made_by: &str) -> Option<T> {
        let line = self.lines.iter().rev().find(|line| line.id == id && line.made_by == made_by)?;
        serde_json::from_value(line.result.clone()).ok()
    }

    /// Keeps a result.
    ///
    /// # Errors
    /// What the file system said.
    pub(super) fn put<T: Serialize>(&mut self, id: &str, made_by: &str, result: &T) -> io::Result<()> {
        let line = Line { id: id.to_owned(), made_by: made_by.to_owned(), result: serde_json::to_value(result)? };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())?;
        self.lines.push(line);
        Ok(())
    }
}

/// The folder for a build and an interpreter below `root`.
pub(super) fn folder(root: &Path, tag: &str, interpreter: &str, module: &str) -> PathBuf {
    root.join(format!("{tag}-{}", &digest(&[interpreter, module])[..16]))
}

/// SHA-256 over texts, each with its length before it, in hexadecimal digits.
pub(super) fn digest(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().iter().fold(String::new(), |all, byte| format!("{all}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_found_again_and_a_cut_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut done = Done::open(dir.path()).unwrap();
        done.put("row:a", "1", &"first").unwrap();
        done.put("row:a", "1", &"second").unwrap();
        done.put("row:b", "1", &"cut").unwrap();
        let path = dir.path().join("done.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 5]).unwrap();
        let mut again = Done::open(dir.path()).unwrap();
        assert_eq!(again.get::<String>("row:a", "1").as_deref(), Some("second"));
        assert_eq!(again.get::<String>("row:a", "2"), None, "another probe's result");
        assert_eq!(again.get::<String>("row:b", "1"), None);
        again.put("row:c", "1", &"whole").unwrap();
        assert_eq!(Done::open(dir.path()).unwrap().get::<String>("row:c", "1").as_deref(), Some("whole"));
    }

    #[test]
    fn digests_keep_texts_apart() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&[]).len(), 64);
    }
}
