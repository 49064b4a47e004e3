//! Raw results: pyperf's JSON format, version 1.0.
//!
//! `raw/TIER/WORKLOAD.json` holds one benchmark with one run per round, so `python -m pyperf stats`, `hist`,
//! `check` and `compare_to` read our files as they are. A value is in seconds per inner loop; a warm-up is a
//! pair of the loop count and such a value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::meta;
use crate::store::write_atomically;

/// The format version that pyperf writes, and the only one it reads.
pub const VERSION: &str = "1.0";

/// Metadata of a suite, a benchmark or a run.
pub type Metadata = BTreeMap<String, MetaValue>;

/// A metadata value. pyperf allows numbers and non-empty one-line strings, and for `tags` a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetaValue {
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string without newlines.
    Str(String),
    /// The value of `tags`.
    List(Vec<String>),
}

impl MetaValue {
    /// The value as a whole number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(i) = self { Some(*i) } else { None }
    }

    /// The value as a number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(i) => Some(*i as f64),
            Self::Float(f) => Some(*f),
            _ => None,
        }
    }

    /// The value as text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(s) = self { Some(s) } else { None }
    }
}

impl From<i64> for MetaValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for MetaValue {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for MetaValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for MetaValue {
    /// pyperf refuses newlines and empty strings, so newlines become spaces and an empty string `-`.
    fn from(value: &str) -> Self {
        let line = value.split(['\n', '\r']).collect::<Vec<_>>().join(" ");
        let line = line.trim();
        Self::Str(if line.is_empty() { "-" } else { line }.to_owned())
    }
}

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Facts about the process; see [`meta`] for ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: Metadata,
    /// Warm-ups: loop count, and seconds per inner loop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warmups: Vec<(u64, f64)>,
    /// Seconds per inner loop, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
}

impl Run {
    /// The round that the runner noted.
    pub fn round(&self) -> Option<u32> {
        let round = self.metadata.get(meta::ROUND)?.as_int()?;
        u32::try_from(round).ok()
    }

    /// A numeric metadata value.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.metadata.get(key)?.as_f64()
    }

    /// Seconds of the process's first iteration: as the worker noted it, or else of the first warm-up, or of the
    /// first value when there was none.
    pub fn first_iteration(&self) -> Option<f64> {
        let noted = self.number(meta::FIRST_ITERATION);
        noted.or_else(|| self.warmups.first().map(|w| w.1)).or_else(|| self.values.first().copied())
    }

    /// Every iteration in order, as counts with the seconds of each: the first, the warm-ups, the values. An iteration
    /// inside a value of several loops isn't known by itself, and counts as their mean.
    pub fn iterations(&self) -> Vec<(u64, f64)> {
        let loops = self.number("loops").map_or(1, |n| n.max(1.0) as u64);
        let first = self.number(meta::FIRST_ITERATION).map(|t| (1, t));
        let values = self.values.iter().map(|t| (loops, *t));
        first.into_iter().chain(self.warmups.iter().copied()).chain(values).collect()
    }
}

/// One benchmark.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    /// Facts common to its runs; `name` is required here or in the suite.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: Metadata,
    /// Its processes.
    #[serde(default)]
    pub runs: Vec<Run>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// [`VERSION`].
    pub version: String,
    /// Facts common to all benchmarks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: Metadata,
    /// The benchmarks, at least one.
    pub benchmarks: Vec<Benchmark>,
}

/// Why a raw file can't be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum PyperfError {
    #[error("cannot read {path}: {source}. Check that the path exists and is readable")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write {path}: {source}. Check permissions and free space")]
    Write { path: PathBuf, source: std::io::Error },
    #[error(
        "{path} is cut off at line {line}: the writer was interrupted. Delete the file and measure again; \
         the rest of the run is kept"
    )]
    Truncated { path: PathBuf, line: usize },
    #[error("{path} is empty. Delete the file and measure again; the rest of the run is kept")]
    EmptyFile { path: PathBuf },
    #[error(
        "{path} holds NaN or Infinity at line {line}, which is not JSON and never a time. \
         Find the workload that produced it, delete the file and measure again"
    )]
    NotFinite { path: PathBuf, line: usize },
    #[error("{path} is not JSON: {message}. Was it written by pyperf's -o option?")]
    NotJson { path: PathBuf, message: String },
    #[error("{path} is JSON but not pyperf's format: {message}. Expected a file written by pyperf's -o option")]
    NotPyperf { path: PathBuf, message: String },
    #[error("{path} has format version {found:?}, and only {VERSION:?} is known. Convert it with a newer pyperf")]
    Version { path: PathBuf, found: String },
    #[error("{path}: {what}. Delete the file and measure again; the rest of the run is kept")]
    Invalid { path: PathBuf, what: String },
}

impl Suite {
    /// A file with one benchmark and no runs.
    pub fn new(name: &str) -> Self {
        let metadata = Metadata::from([("name".to_owned(), name.into())]);
        Self {
            version: VERSION.to_owned(),
            metadata: Metadata::new(),
            benchmarks: vec![Benchmark { metadata, runs: Vec::new() }],
        }
    }

    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, PyperfError> {
        let text = std::fs::read(path).map_err(|source| PyperfError::Read { path: path.to_owned(), source })?;
        Self::parse(&String::from_utf8_lossy(&text), path)
    }

    /// Parses and checks the text of a file; `path` is for messages alone.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PyperfError> {
        let path = path.to_owned();
        if text.trim().is_empty() {
            return Err(PyperfError::EmptyFile { path });
        }
        let suite: Self = serde_json::from_str(text).map_err(|e| {
            use serde_json::error::Category;
            match e.classify() {
                Category::Eof => PyperfError::Truncated { path: path.clone(), line: e.line() },
                Category::Data => PyperfError::NotPyperf { path: path.clone(), message: e.to_string() },
                _ if stands_at_non_finite(text, e.line(), e.column()) => {
                    PyperfError::NotFinite { path: path.clone(), line: e.line() }
                }
                _ => PyperfError::NotJson { path: path.clone(), message: e.to_string() },
            }
        })?;
        if suite.version != VERSION {
            return Err(PyperfError::Version { path, found: suite.version });
        }
        suite.check().map_err(|what| PyperfError::Invalid { path, what })?;
        Ok(suite)
    }

    /// Checks what pyperf checks, and that each benchmark has a value: a sentence that says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.benchmarks.is_empty() {
            return Err("it holds no benchmark".to_owned());
        }
        for bench in &self.benchmarks {
            let name = self.name_of(bench).ok_or("a benchmark has no name")?;
            if bench.runs.iter().all(|r| r.values.is_empty()) {
                return Err(format!("benchmark {name} holds no value"));
            }
            for (i, run) in bench.runs.iter().enumerate() {
                let times = run.warmups.iter().map(|w| w.1).chain(run.values.iter().copied());
                if let Some(bad) = times.into_iter().find(|t| !t.is_finite() || *t <= 0.0) {
                    return Err(format!("run {} of benchmark {name} has the time {bad} s, which must be above 0", i + 1));
                }
                if run.warmups.is_empty() && run.values.is_empty() {
                    return Err(format!("run {} of benchmark {name} is empty", i + 1));
                }
            }
        }
        Ok(())
    }

    /// A benchmark's name: its own, the suite's, or that of its runs, as a single worker writes it.
    pub fn name_of<'a>(&'a self, bench: &'a Benchmark) -> Option<&'a str> {
        bench
            .metadata
            .get("name")
            .or_else(|| self.metadata.get("name"))
            .or_else(|| bench.runs.first()?.metadata.get("name"))?
            .as_str()
    }

    /// The only run of a worker's output, with the metadata of all levels merged into it.
    pub fn into_single_run(mut self, path: &Path) -> Result<Run, PyperfError> {
        let invalid = |what: String| PyperfError::Invalid { path: path.to_owned(), what };
        if self.benchmarks.len() != 1 {
            return Err(invalid(format!("it holds {} benchmarks where one worker writes one", self.benchmarks.len())));
        }
        let mut bench = self.benchmarks.remove(0);
        if bench.runs.len() != 1 {
            return Err(invalid(format!("it holds {} runs where one worker writes one", bench.runs.len())));
        }
        let mut run = bench.runs.remove(0);
        for (key, value) in bench.metadata.into_iter().chain(self.metadata) {
            run.metadata.entry(key).or_insert(value);
        }
        Ok(run)
    }

    /// Writes the file by atomic replacement: a reader sees the old file or the new one.
    pub fn save(&self, path: &Path) -> Result<(), PyperfError> {
        let text =
            serde_json::to_string(self).map_err(|e| PyperfError::NotPyperf { path: path.to_owned(), message: e.to_string() })?;
        write_atomically(path, text.as_bytes()).map_err(|source| PyperfError::Write { path: path.to_owned(), source })
    }
}

/// Adds a process's run to the accumulated file of its tier and workload, as round `round`.
///
/// A run of the same round is replaced, so that adding twice (after an interrupt between the raw file and the
/// journal) changes nothing. Runs are kept in the order of their rounds.
pub fn append_run(path: &Path, name: &str, round: u32, mut run: Run) -> Result<(), PyperfError> {
    let mut suite = if path.exists() { Suite::load(path)? } else { Suite::new(name) };
    run.metadata.insert(meta::ROUND.to_owned(), round.into());
    // The benchmark's name is held once, with the benchmark.
    run.metadata.remove("name");
    let runs = &mut suite.benchmarks[0].runs;
    runs.retain(|r| r.round() != Some(round));
    runs.push(run);
    runs.sort_by_key(Run::round);
    suite.check().map_err(|what| PyperfError::Invalid { path: path.to_owned(), what })?;
    suite.save(path)
}

/// Whether the JSON error position stands at one of the non-finite numbers that Python's json module writes.
fn stands_at_non_finite(text: &str, line: usize, column: usize) -> bool {
    let Some(line) = text.lines().nth(line.saturating_sub(1)) else {
        return false;
    };
    // serde_json points at the letter where it gave up, which may be the first or the second of the token.
    let from = column.saturating_sub(3);
    let rest: String = line.chars().skip(from).take(12).collect();
    ["NaN", "Infinity"].iter().any(|token| rest.contains(token))
}
