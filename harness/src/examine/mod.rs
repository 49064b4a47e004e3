//! What is looked at in processes of their own, beside the timed ones: how much of a workload runs in native code.
//!
//! `coverage/TIER/WORKLOAD.json` in a run's directory holds one [`Record`] per round. The processes run as the timed ones do, with a
//! sampler preloaded (`sampler.c`) that notes where processor time goes, and our worker tells at the end what ran and what was
//! compiled. Nothing of it is timed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::interpreters::digest;
use crate::model::{Manifest, RunDir, TierRecord};
use crate::store::{StoreError, write_atomically};
use crate::tiers::TierKind;

/// The sampler's source.
const SAMPLER: &str = include_str!("sampler.c");

/// Why nothing can be looked at.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum ExamineError {
    #[error("coverage needs a C compiler for its sampler, and `{command}` failed: {cause}. Install gcc or set CC")]
    Compiler { command: String, cause: String },
    #[error("coverage is sampled on Linux (x86-64, aarch64), and this is {0}")]
    Platform(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What one process showed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Samples of processor time in the steady half of the process, by the sampler's letters.
    #[serde(default)]
    pub samples: BTreeMap<char, u64>,
    /// Bytecode instructions that one iteration executes: counted on tiers without a JIT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytecodes: Option<u64>,
    /// The code objects that execute them, the busiest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub executed: Vec<Executed>,
    /// What a JIT made of each code object that it has looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<State>,
    /// Exits by reason that one steady iteration takes, where a JIT counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exits: Option<BTreeMap<String, f64>>,
    /// Why there is none of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A code object: where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Code {
    /// The file.
    pub file: String,
    /// Its qualified name.
    pub name: String,
    /// Its first line.
    pub line: i64,
}

/// How much of the bytecode a code object executes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// The code object.
    #[serde(flatten)]
    pub code: Code,
    /// Instructions in one iteration.
    pub count: u64,
}

/// What became of a code object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The code object.
    #[serde(flatten)]
    pub code: Code,
    /// `compiled`, or why not.
    pub state: String,
}

/// The records of a tier and workload, by round.
pub type Records = BTreeMap<u32, Record>;

/// Where the records of a tier and workload are.
pub fn file(dir: &RunDir, tier: &str, workload: &str) -> PathBuf {
    dir.root().join("coverage").join(tier).join(format!("{workload}.json"))
}

/// Reads records; none if there is no file.
///
/// # Errors
/// [`StoreError::Read`] if there is one and it can't be read or isn't in order.
pub fn load(path: &Path) -> Result<Records, StoreError> {
    let read = |source| StoreError::Read { path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| read(io::Error::new(io::ErrorKind::InvalidData, error))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Records::new()),
        Err(error) => Err(read(error)),
    }
}

/// Adds the record of a round.
///
/// # Errors
/// [`StoreError`] if the file can't be read or written.
pub fn add(path: &Path, round: u32, record: Record) -> Result<(), StoreError> {
    let mut records = load(path)?;
    records.insert(round, record);
    let write = |source| StoreError::Write { path: path.to_owned(), source };
    let text = serde_json::to_string(&records).map_err(|error| write(io::Error::other(error)))?;
    write_atomically(path, (text + "\n").as_bytes()).map_err(write)
}

/// The tiers that are worth looking at: the baseline, and those with a JIT.
pub fn tiers(manifest: &Manifest) -> Vec<usize> {
    let worth = |tier: &TierRecord| tier.name == manifest.baseline || TierKind::of(tier).needs_proof();
    (0..manifest.tiers.len()).filter(|place| worth(&manifest.tiers[*place])).collect()
}

/// What so many rounds of coverage still lack: round, workload, tier. A workload that has no loops doesn't run at all.
///
/// # Errors
/// [`StoreError`] if a file of the run isn't in order.
pub fn left(dir: &RunDir, manifest: &Manifest, rounds: u32) -> Result<Vec<(u32, usize, usize)>, StoreError> {
    let mut known = BTreeMap::new();
    for tier in tiers(manifest) {
        for (place, workload) in manifest.workloads.iter().enumerate() {
            known.insert((place, tier), load(&file(dir, &manifest.tiers[tier].name, &workload.name))?);
        }
    }
    let all = (1..=rounds).flat_map(|round| known.iter().map(move |(key, records)| (round, *key, records)));
    let lacks = |(round, (workload, tier), records): (u32, (usize, usize), &Records)| {
        let measured = dir.raw_file(&manifest.baseline, &manifest.workloads[workload].name).exists();
        (measured && !records.contains_key(&round)).then_some((round, workload, tier))
    };
    Ok(all.filter_map(lacks).collect())
}

/// The sampler, compiled into a folder of the user's cache unless it's there.
///
/// # Errors
/// [`ExamineError`] where it can't be had.
pub fn sampler() -> Result<PathBuf, ExamineError> {
    if !(cfg!(target_os = "linux") && cfg!(any(target_arch = "x86_64", target_arch = "aarch64"))) {
        return Err(ExamineError::Platform(std::env::consts::OS));
    }
    let compiler = std::env::var("CC").ok().filter(|cc| !cc.is_empty()).unwrap_or_else(|| "cc".to_owned());
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Write { path, source }
    };
    let folder = crate::pyperformance::cache("sampler");
    std::fs::create_dir_all(&folder).map_err(write(&folder))?;
    let source = folder.join("sampler.c");
    write_atomically(&source, SAMPLER.as_bytes()).map_err(write(&source))?;
    let sum = digest(&[Some(&source)]).map_err(write(&source))?;
    let library = folder.join(format!("sampler-{}.so", &sum[..12]));
    if library.exists() {
        return Ok(library);
    }
    // Another run may compile it at this moment: what is seen is whole.
    let partial = folder.join(format!("sampler.{}~", std::process::id()));
    let mut command = Command::new(&compiler);
    command.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&partial).arg(&source).arg("-ldl");
    let failed = |cause: String| ExamineError::Compiler { command: format!("{compiler} {}", source.display()), cause };
    let done = command.output().map_err(|error| failed(error.to_string()))?;
    if !done.status.success() {
        return Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()));
    }
    std::fs::rename(&partial, &library).map_err(write(&library))?;
    Ok(library)
}

/// The samples of the steady half: what came before is start-up and warm-up.
pub fn steady(samples: &str) -> BTreeMap<char, u64> {
    let samples: Vec<char> = samples.trim_end().chars().collect();
    let mut counts = BTreeMap::new();
    for letter in &samples[samples.len() / 2..] {
        *counts.entry(*letter).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_half_is_warm_up() {
        assert_eq!(steady("RRRRINNN\n"), BTreeMap::from([('I', 1), ('N', 3)]));
        assert_eq!(steady("\n"), BTreeMap::new());
    }

    #[test]
    fn records_are_kept_by_round() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coverage/interp/x.json");
        assert_eq!(load(&path).unwrap(), Records::new());
        let code = Code { file: "x.py".to_owned(), name: "f".to_owned(), line: 3 };
        let record = Record {
            samples: BTreeMap::from([('I', 5)]),
            bytecodes: Some(100),
            executed: vec![Executed { code: code.clone(), count: 100 }],
            states: vec![State { code, state: "compiled".to_owned() }],
            ..Record::default()
        };
        add(&path, 2, record.clone()).unwrap();
        add(&path, 1, Record { failure: Some("it hung".to_owned()), ..Record::default() }).unwrap();
        let records = load(&path).unwrap();
        assert_eq!((records.len(), &records[&2]), (2, &record));
        std::fs::write(&path, "{").unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("x.json"));
    }
}
