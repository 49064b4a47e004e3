//! Tests of CPython that differ with a JIT for a reason that is known: `jit/conformance/cpython_tests.toml`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// Why the list can't be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum ExpectedError {
    #[error("cannot read the expected differences {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the expected differences {path} are not valid: {message}")]
    Parse { path: PathBuf, message: String },
}

/// The list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Its entries.
    #[serde(default, rename = "expected")]
    pub all: Vec<Entry>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The module: `test_sys`.
    pub module: String,
    /// A dotted part of the test's name: its end, or a class for all its tests; `*` for all of the module.
    pub test: String,
    /// The minor versions that it is about, such as `3.15`; all without any.
    #[serde(default)]
    pub versions: Vec<String>,
    /// Why it differs, and why that is right or can't be otherwise.
    pub reason: String,
}

impl Expected {
    /// Reads the list; one that isn't there is empty.
    ///
    /// # Errors
    /// [`ExpectedError`]
    pub fn load(path: &Path) -> Result<Self, ExpectedError> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.map_err(|source| ExpectedError::Read { path: path.to_owned(), source })?,
        };
        let parse = |message: String| ExpectedError::Parse { path: path.to_owned(), message };
        let list: Self = toml::from_str(&text).map_err(|e| parse(e.to_string().trim().to_owned()))?;
        match list.all.iter().find(|entry| entry.reason.trim().is_empty()) {
            Some(entry) => Err(parse(format!("{} of {} has no reason", entry.test, entry.module))),
            None => Ok(list),
        }
    }

    /// The entry that explains a test's difference.
    pub fn find(&self, module: &str, test: &str, version: &str) -> Option<&Entry> {
        self.all.iter().find(|entry| entry.explains(module, test, version))
    }

    /// Entries about a module that explained nothing: what of `(module, test)` differed.
    pub(super) fn stale(&self, modules: &[&str], version: &str, differed: &[(String, String)]) -> Vec<String> {
        let unused = |entry: &&Entry| {
            modules.contains(&entry.module.as_str())
                && entry.is_about(version)
                && !differed.iter().any(|(module, test)| entry.explains(module, test, version))
        };
        self.all.iter().filter(unused).map(|entry| format!("{} {}", entry.module, entry.test)).collect()
    }
}

impl Entry {
    fn is_about(&self, version: &str) -> bool {
        self.versions.is_empty() || self.versions.iter().any(|v| v == version)
    }

    fn explains(&self, module: &str, test: &str, version: &str) -> bool {
        let named = || format!(".{test}.").contains(&format!(".{}.", self.test));
        self.module == module && self.is_about(version) && (self.test == "*" || named())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Expected, ExpectedError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.toml");
        std::fs::write(&path, text).unwrap();
        Expected::load(&path)
    }

    const LIST: &str = "\
[[expected]]
module = \"test_sys\"
test = \"SizeofTest.test_it\"
versions = [\"3.15\"]
reason = \"sizes\"
[[expected]]
module = \"test_gdb\"
test = \"*\"
reason = \"all\"
";

    #[test]
    fn an_entry_is_about_whole_words_of_a_name() {
        let list = list(LIST).unwrap();
        let found = |module, test, version| list.find(module, test, version).map(|entry| entry.reason.as_str());
        assert_eq!(found("test_sys", "test.test_sys.SizeofTest.test_it", "3.15"), Some("sizes"));
        assert_eq!(found("test_sys", "SizeofTest.test_it", "3.15"), Some("sizes"));
        assert_eq!(found("test_sys", "test.test_sys.MySizeofTest.test_it", "3.15"), None);
        assert_eq!(found("test_sys", "test.test_sys.SizeofTest.test_it", "3.14"), None);
        assert_eq!(found("test_gdb", "anything", "3.13"), Some("all"));
        let class = Entry { module: "test_a".into(), test: "A".into(), versions: Vec::new(), reason: "class".into() };
        assert!(
            class.explains("test_a", "test.test_a.A.test_it", "3.15")
                && !class.explains("test_a", "test.test_a.AB.test_it", "3.15")
        );
    }

    #[test]
    fn the_projects_own_list_is_in_order() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jit/conformance/cpython_tests.toml");
        assert!(path.is_file(), "{} is gone", path.display());
        Expected::load(&path).unwrap();
    }

    #[test]
    fn what_explains_nothing_is_named() {
        let list = list(LIST).unwrap();
        let modules = ["test_sys", "test_gdb"];
        let differed = [("test_gdb".to_owned(), "x".to_owned())];
        assert_eq!(list.stale(&modules, "3.15", &differed), ["test_sys SizeofTest.test_it"]);
        assert_eq!(list.stale(&modules, "3.14", &differed), Vec::<String>::new(), "the entry isn't about 3.14");
        assert_eq!(list.stale(&["test_dict"], "3.15", &[]), Vec::<String>::new(), "its module didn't run");
    }

    #[test]
    fn a_list_without_reasons_or_with_other_keys_is_refused() {
        assert_eq!(Expected::load(Path::new("/no/such/list.toml")).unwrap(), Expected::default());
        for text in [
            "[[expected]]\nmodule = \"a\"\ntest = \"b\"\nreason = \" \"\n",
            "[[expected]]\nmodule = \"a\"\ntest = \"b\"\n",
            "[[expected]]\nmodule = \"a\"\ntest = \"b\"\nreason = \"c\"\nversion = \"3.15\"\n",
        ] {
            assert!(list(text).is_err(), "{text}");
        }
    }
}
