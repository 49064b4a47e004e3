//! Workloads and suites: what a run times.
//!
//! A manifest in TOML lists workloads and names suites of them. The built-in one is `benchmarks/MANIFEST.toml`; a
//! path names any other. Each tag is a suite too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::interpreters::digest;
use crate::model::{LeftOut, WorkloadRecord};
use crate::pyperformance::{self, Package, PyperformanceError};

/// The name of the suite of all built-in workloads.
pub const BUILT_IN: &str = "built-in";

/// The name of the suite for a first look.
pub const QUICK: &str = "quick";

/// The name of the suite that measures how long interpreters take to start.
pub const START_UP: &str = "start-up";

/// What follows the name of a suite of which only some workloads are measured.
const PART: &str = " (part)";

/// Whether a run of the suite of this name has only some of its workloads, because somebody chose them.
pub fn is_part(suite: &str) -> bool {
    suite.ends_with(PART)
}

/// Why a suite or a workload can't be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum WorkloadError {
    /// pyperformance's files aren't in order, or it has no such group.
    #[error(transparent)]
    Pyperformance(#[from] PyperformanceError),
    #[error("unknown suite `{name}`: choose {known}, a tag ({tags}), or the path of a manifest in TOML")]
    UnknownSuite { name: String, known: String, tags: String },
    #[error("unknown workload `{name}` in suite {suite}{hint}: it has {known}")]
    UnknownWorkload { name: String, suite: String, hint: String, known: String },
    #[error("{path} cannot be read: {source}. Give --suite the path of a manifest in TOML")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is no manifest of workloads: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("{path} names the script {script}, which does not exist: correct its `file`")]
    MissingScript { path: PathBuf, script: PathBuf },
    #[error("{path} names the workload `{name}` twice: give each a name of its own")]
    Twice { path: PathBuf, name: String },
    #[error("{path} lists no workloads: add a [[workload]] table with `name` and `file`")]
    Empty { path: PathBuf },
    #[error("{path}: `{name}` cannot be the name of a workload, since it names files too: use letters, digits, - and _")]
    BadName { path: PathBuf, name: String },
}

/// A manifest, as it stands in the file.
#[derive(Debug, Deserialize)]
struct Listing {
    #[serde(default)]
    suites: BTreeMap<String, Members>,
    #[serde(default)]
    workload: Vec<Entry>,
}

/// What a suite is made of.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Members {
    /// These workloads.
    Names(Vec<String>),
    /// All of them: the word says that it is the default suite.
    All(#[expect(dead_code, reason = "the value has no meaning beyond its kind")] String),
}

/// One workload of a manifest.
#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    file: PathBuf,
    #[serde(default)]
    stresses: String,
    #[serde(default)]
    tags: Vec<String>,
    exclusive: Option<String>,
}

/// A named list of workloads.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Suite {
    /// Its name: [`BUILT_IN`], a tag of that, or a manifest's path.
    pub name: String,
    /// Its workloads, in the manifest's order.
    pub workloads: Vec<WorkloadRecord>,
    /// What of it can't be run, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Folders that its scripts need on their path.
    pub python_path: Vec<PathBuf>,
    /// Versions of the packages that it comes from.
    pub version: Option<String>,
    /// Whether its scripts are pyperf's, which know nothing of co-scheduled blocks.
    pub foreign: bool,
}

impl Suite {
    /// Loads a suite by name; `root` is the folder of the project's sources.
    ///
    /// # Errors
    /// [`WorkloadError`] if there is no such suite, or its manifest isn't in order.
    pub fn load(name: &str, root: &Path) -> Result<Self, WorkloadError> {
        let plain = |name: &str, workloads| Self {
            name: name.to_owned(),
            workloads,
            left_out: Vec::new(),
            python_path: Vec::new(),
            version: None,
            foreign: false,
        };
        if name.contains('/') || Path::new(name).extension().is_some_and(|extension| extension == "toml") {
            return Ok(plain(name, read(Path::new(name))?.1));
        }
        if name == START_UP {
            let path = root.join("benchmarks/start_up/suite.toml");
            return Ok(plain(name, read(&path)?.1));
        }
        let path = root.join("benchmarks/MANIFEST.toml");
        let (suites, workloads) = read(&path)?;
        let mut suite = plain(name, workloads);
        if name == BUILT_IN {
            return Ok(suite);
        }
        match suites.get(name) {
            Some(Members::All(_)) => {}
            Some(Members::Names(names)) => suite.keep(names)?,
            None => {
                let tags = suite.tags();
                suite.workloads.retain(|workload| workload.tags.iter().any(|tag| tag == name));
                if suite.workloads.is_empty() {
                    let known = suites
                        .keys()
                        .map(String::as_str)
                        .chain([BUILT_IN, START_UP, pyperformance::PYPERFORMANCE])
                        .collect::<Vec<_>>()
                        .join(", ");
                    return Err(WorkloadError::UnknownSuite { name: name.to_owned(), known, tags });
                }
            }
        }
        Ok(suite)
    }

    /// pyperformance, or a group of it, from the package `package`; or a suite in its format from elsewhere.
    ///
    /// # Errors
    /// [`WorkloadError::Pyperformance`] if its files aren't in order, or there is no such group.
    pub fn of_package(name: &str, package: Package, group: Option<&str>) -> Result<Self, WorkloadError> {
        let (workloads, left_out) = pyperformance::workloads(&package.benchmarks, group)?;
        if workloads.is_empty() {
            return Err(WorkloadError::Empty { path: package.benchmarks.join("MANIFEST") });
        }
        Ok(Self {
            name: name.to_owned(),
            workloads,
            left_out,
            python_path: package.path,
            version: Some(package.version),
            foreign: true,
        })
    }

    /// Keeps only the workloads of these names.
    ///
    /// # Errors
    /// [`WorkloadError::UnknownWorkload`] for a name that the suite doesn't have, with the nearest that it has.
    pub fn keep(&mut self, names: &[String]) -> Result<(), WorkloadError> {
        for name in names {
            if !self.workloads.iter().any(|workload| workload.name == *name) {
                return Err(self.unknown(name));
            }
        }
        self.workloads.retain(|workload| names.contains(&workload.name));
        Ok(())
    }

    /// Keeps only the workloads of these names. What is said of a suite isn't said of some of it: its name tells, unless these are all.
    ///
    /// # Errors
    /// As [`Suite::keep`].
    pub fn take_part(&mut self, names: &[String]) -> Result<(), WorkloadError> {
        let all = self.workloads.len();
        self.keep(names)?;
        if self.workloads.len() < all {
            self.name.push_str(PART);
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> WorkloadError {
        let known: Vec<&str> = self.workloads.iter().map(|workload| workload.name.as_str()).collect();
        let near = known.iter().map(|known| (edits(name, known), known)).min();
        let hint = near
            .filter(|(edits, known)| *edits <= 2 || known.contains(name))
            .map(|(_, known)| format!(" (did you mean `{known}`?)"))
            .unwrap_or_default();
        WorkloadError::UnknownWorkload { name: name.to_owned(), suite: self.name.clone(), hint, known: known.join(", ") }
    }

    /// The workloads that claim something of the machine for themselves, so that no two processes of them can run at once.
    pub fn exclusive(&self) -> Vec<&str> {
        self.workloads.iter().filter(|workload| workload.exclusive.is_some()).map(|workload| workload.name.as_str()).collect()
    }

    fn tags(&self) -> String {
        let tags: BTreeSet<&str> = self.workloads.iter().flat_map(|workload| &workload.tags).map(String::as_str).collect();
        tags.into_iter().collect::<Vec<_>>().join(", ")
    }
}

/// Reads a manifest: its suites, and its workloads in order.
fn read(path: &Path) -> Result<(BTreeMap<String, Members>, Vec<WorkloadRecord>), WorkloadError> {
    let unreadable = |source| WorkloadError::Read { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let parsed: Listing = toml::from_str(&text)
        .map_err(|error| WorkloadError::Parse { path: path.to_owned(), message: error.to_string().trim().to_owned() })?;
    let folder = std::path::absolute(path.parent().unwrap_or(Path::new("."))).map_err(unreadable)?;
    let mut names = BTreeSet::new();
    let mut workloads = Vec::new();
    for entry in parsed.workload {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if entry.name.is_empty() || !entry.name.chars().all(plain) {
            return Err(WorkloadError::BadName { path: path.to_owned(), name: entry.name });
        }
        if !names.insert(entry.name.clone()) {
            return Err(WorkloadError::Twice { path: path.to_owned(), name: entry.name });
        }
        workloads.push(entry.record(path, &folder)?);
    }
    if workloads.is_empty() {
        return Err(WorkloadError::Empty { path: path.to_owned() });
    }
    Ok((parsed.suites, workloads))
}

impl Entry {
    /// Finds the script, which lies in the folder `workloads` beside the manifest, or beside it.
    fn record(self, manifest: &Path, folder: &Path) -> Result<WorkloadRecord, WorkloadError> {
        let inside = folder.join("workloads").join(&self.file);
        let script = if inside.is_file() { inside } else { folder.join(&self.file) };
        let sha256 = script_digest(&script)
            .ok_or_else(|| WorkloadError::MissingScript { path: manifest.to_owned(), script: script.clone() })?;
        Ok(WorkloadRecord {
            name: self.name,
            description: self.stresses,
            tags: self.tags,
            script,
            sha256,
            exclusive: self.exclusive,
            ..WorkloadRecord::default()
        })
    }
}

/// SHA-256 of a workload's script as it is now; `None` if it can't be read.
pub fn script_digest(script: &Path) -> Option<String> {
    digest(&[Some(script)]).ok()
}

/// Levenshtein's distance: insertions, deletions and replacements that make `a` of `b`.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(text: &str, scripts: &[&str]) -> Result<Suite, WorkloadError> {
        let dir = tempfile::tempdir().unwrap();
        for script in scripts {
            std::fs::write(dir.path().join(script), "pass\n").unwrap();
        }
        let path = dir.path().join("suite.toml");
        std::fs::write(&path, text).unwrap();
        Suite::load(path.to_str().unwrap(), Path::new("/nowhere"))
    }

    const TWO: &str = r#"
        [[workload]]
        name = "nbody"
        file = "nbody.py"
        tags = ["float"]
        stresses = "float arithmetic"
        [[workload]]
        name = "sieve"
        file = "sieve.py"
    "#;

    #[test]
    fn a_manifest_names_scripts_beside_it() {
        let suite = suite(TWO, &["nbody.py", "sieve.py"]).unwrap();
        assert_eq!(suite.workloads.len(), 2);
        assert_eq!(suite.workloads[0].description, "float arithmetic");
        assert!(suite.workloads[0].script.is_absolute());
        assert_eq!(suite.workloads[0].sha256.len(), 64);
        assert!(suite.exclusive().is_empty());
    }

    #[test]
    fn a_workload_may_claim_something_for_itself() {
        let claims = TWO.replace("file = \"sieve.py\"", "file = \"sieve.py\"\nexclusive = \"port 8080\"");
        let suite = suite(&claims, &["nbody.py", "sieve.py"]).unwrap();
        assert_eq!(suite.exclusive(), ["sieve"]);
        assert_eq!(suite.workloads[1].exclusive.as_deref(), Some("port 8080"));
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_said() {
        let missing = suite(TWO, &["nbody.py"]).unwrap_err().to_string();
        assert!(missing.contains("sieve.py"), "{missing}");
        let twice = suite(&TWO.replace("sieve", "nbody"), &["nbody.py"]).unwrap_err();
        assert!(matches!(twice, WorkloadError::Twice { .. }));
        assert!(matches!(suite("", &[]).unwrap_err(), WorkloadError::Empty { .. }));
        assert!(matches!(suite("[[workload", &[]).unwrap_err(), WorkloadError::Parse { .. }));
        let path = suite(&TWO.replace("\"sieve\"", "\"../sieve\""), &["nbody.py", "sieve.py"]).unwrap_err();
        assert!(matches!(path, WorkloadError::BadName { .. }));
        let nowhere = Suite::load("no/such.toml", Path::new("/nowhere")).unwrap_err();
        assert!(matches!(nowhere, WorkloadError::Read { .. }));
    }

    #[test]
    fn unknown_names_are_answered_with_known_ones() {
        let mut suite = suite(TWO, &["nbody.py", "sieve.py"]).unwrap();
        let typo = suite.keep(&["nbdy".to_owned()]).unwrap_err().to_string();
        assert!(typo.contains("did you mean `nbody`?") && typo.contains("sieve"), "{typo}");
        suite.take_part(&["sieve".to_owned(), "nbody".to_owned()]).unwrap();
        assert!(!is_part(&suite.name), "these are all");
        suite.take_part(&["sieve".to_owned()]).unwrap();
        assert_eq!(suite.workloads.len(), 1);
        assert!(is_part(&suite.name));
    }

    #[test]
    fn the_built_in_suite_is_in_order() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let suite = Suite::load(BUILT_IN, root).unwrap();
        assert!(suite.workloads.len() >= 20, "{}", suite.workloads.len());
        let quick = Suite::load(QUICK, root).unwrap();
        assert!(quick.workloads.len() < suite.workloads.len());
        let tag = suite.workloads[0].tags[0].clone();
        let part = Suite::load(&tag, root).unwrap();
        assert!(part.workloads.len() <= suite.workloads.len());
        let unknown = Suite::load("pyperformance9", root).unwrap_err().to_string();
        assert!(unknown.contains(&tag) && unknown.contains(QUICK), "{unknown}");
    }
}
