//! What a run directory holds, in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::process::Process;
use super::{Analysis, AnalysisError, Failure, Options, SCHEMA_VERSION, TierCoverage, TierResult};
use crate::examine::{self, Record, Records};
use crate::model::{FailureKind, JournalRecord, Manifest, Outcome, RunDir, TierRecord, meta};
use crate::pyperf::Suite;
use crate::store::{Journal, Seal, StoreError};

/// A run, read once.
#[derive(Debug, Clone)]
pub struct RunData {
    /// Its directory.
    pub root: PathBuf,
    /// Folders in which what other commands found is looked for, such as the tool matrix; at first the run's own.
    pub beside: Vec<PathBuf>,
    /// Its manifest.
    pub manifest: Manifest,
    journal: Vec<JournalRecord>,
    cells: BTreeMap<(String, String), Cell>,
    coverage: BTreeMap<(String, String), Records>,
}

/// What one tier did on one workload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// The processes with usable values, by round.
    pub processes: BTreeMap<u32, Process>,
    /// The others.
    pub failures: Vec<Failure>,
}

impl RunData {
    /// Reads a run directory. A raw file that can't be used becomes a failure of its tier and workload, and
    /// the rest is read; only a run without manifest or without any baseline result is refused.
    pub fn load(root: &Path) -> Result<Self, AnalysisError> {
        let dir = RunDir::open(root)?;
        let seal = Seal::load(&dir)?;
        let manifest = dir.manifest()?;
        for record in ["manifest.json", "journal.jsonl"] {
            if let Some(damage) = seal.as_ref().and_then(|seal| seal.check(&dir, Path::new(record))) {
                return Err(StoreError::Tampered { path: root.to_owned(), damage }.into());
            }
        }
        let journal = Journal::read(&dir.journal_path())?;
        let (cells, coverage) = (BTreeMap::new(), BTreeMap::new());
        let mut data = Self { root: root.to_owned(), beside: vec![root.to_owned()], manifest, journal, cells, coverage };
        if data.manifest.tier(&data.manifest.baseline).is_none() {
            return Err(data.no_baseline());
        }
        for tier in &data.manifest.tiers {
            for workload in &data.manifest.workloads {
                let cell = read_cell(&dir, tier, &workload.name, &data.journal, seal.as_ref());
                let key = (tier.name.clone(), workload.name.clone());
                let coverage = read_coverage(&dir, &tier.name, &workload.name, seal.as_ref());
                data.coverage.extend((!coverage.is_empty()).then(|| (key.clone(), coverage)));
                data.cells.insert(key, cell);
            }
        }
        data.discard_tiers_without_jit();
        let baseline = &data.manifest.baseline;
        if data.cells.iter().all(|((tier, _), cell)| tier != baseline || cell.processes.is_empty()) {
            return Err(data.no_baseline());
        }
        Ok(data)
    }

    /// The folder in which a file of this name is looked for: the first of [`Self::beside`] that has it, else the run's own.
    pub fn folder_of(&self, name: &str) -> &Path {
        self.beside.iter().find(|folder| folder.join(name).is_file()).unwrap_or(&self.root)
    }

    /// A JIT that found nothing to compile in one workload was still on, and the workload's time stands: leaving it
    /// out would flatter the suite. A JIT that compiled nothing in any workload was not at work, and its times mean
    /// nothing.
    fn discard_tiers_without_jit(&mut self) {
        for tier in self.manifest.tiers.iter().filter(|t| t.needs_proof) {
            let own = || self.cells.iter().filter(|((name, _), _)| *name == tier.name);
            if own().any(|(_, cell)| cell.processes.values().any(Process::jit_active)) {
                continue;
            }
            for ((_, _), cell) in self.cells.iter_mut().filter(|((name, _), _)| *name == tier.name) {
                for round in std::mem::take(&mut cell.processes).into_keys() {
                    cell.failures.push(inactive(round, "the JIT was on and compiled nothing in any workload of the run"));
                }
            }
        }
    }

    fn no_baseline(&self) -> AnalysisError {
        AnalysisError::NoBaseline { run: self.root.display().to_string(), baseline: self.manifest.baseline.clone() }
    }

    /// What a tier did on a workload; empty for names the run doesn't know.
    pub fn cell(&self, tier: &str, workload: &str) -> Cell {
        self.cells.get(&(tier.to_owned(), workload.to_owned())).cloned().unwrap_or_default()
    }

    /// Compares a tier with another one.
    pub fn compare(&self, tier: &str, against: &str, options: Options) -> Result<TierResult, AnalysisError> {
        Ok(super::compare::tier(self, self.known(tier)?, self.known(against)?, options))
    }

    /// The files of the run that can't be used, each with its workload, its tier and the reason.
    pub fn unusable(&self) -> Vec<String> {
        let whole = self.cells.iter().flat_map(|((tier, workload), cell)| {
            let files = cell.failures.iter().filter(|failure| failure.round.is_none());
            files.map(move |failure| format!("{workload} on {tier} is left out: {}", failure.message))
        });
        whole.collect()
    }

    /// Says so if another version of this tool measured the run.
    pub fn other_version(&self) -> Option<String> {
        let (own, of_run) = (env!("CARGO_PKG_VERSION"), &self.manifest.tool_version);
        (own != of_run)
            .then(|| format!("it was measured by version {of_run} of this tool, and this is {own}: what they measure can differ"))
    }

    fn known(&self, name: &str) -> Result<&TierRecord, AnalysisError> {
        self.manifest.tier(name).ok_or_else(|| AnalysisError::UnknownTier {
            tier: name.to_owned(),
            known: self.manifest.tiers.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Compares every tier with the baseline, and the tiers with a JIT with each other. A run that is looked at more than
    /// once shares `options.alpha` among its looks.
    pub fn analyse(&self, options: Options) -> Result<Analysis, AnalysisError> {
        let options = options.shared_by(self.manifest.design.looks.len());
        let baseline = &self.manifest.baseline;
        let others: Vec<&TierRecord> = self.manifest.tiers.iter().filter(|t| t.name != *baseline).collect();
        let tiers = others.iter().map(|t| self.compare(&t.name, baseline, options)).collect::<Result<_, _>>()?;
        let mut head_to_head = Vec::new();
        for (i, tier) in others.iter().enumerate().filter(|(_, t)| t.needs_proof) {
            for rival in others[i + 1..].iter().filter(|t| t.needs_proof) {
                head_to_head.push(self.compare(&tier.name, &rival.name, options)?);
            }
        }
        let mut analysis = Analysis {
            schema_version: SCHEMA_VERSION,
            options,
            manifest: self.manifest.clone(),
            health: super::health::of(self),
            tiers,
            head_to_head,
            coverage: Vec::new(),
            warnings: Vec::new(),
        };
        analysis.coverage = self.coverages(&analysis.tiers);
        analysis.warnings = super::health::warnings(&analysis);
        Ok(analysis)
    }

    /// The coverage of each tier that was looked at; `tiers` are the results that say what it brought.
    pub fn coverages(&self, tiers: &[TierResult]) -> Vec<TierCoverage> {
        super::coverage::of(self, tiers)
    }

    /// What was looked at of a tier's native code in a workload, if anything was.
    pub(crate) fn coverage(&self, tier: &str, workload: &str) -> Option<&Records> {
        self.coverage.get(&(tier.to_owned(), workload.to_owned()))
    }

    pub(super) fn journal(&self) -> &[JournalRecord] {
        &self.journal
    }

    pub(super) fn cells(&self) -> &BTreeMap<(String, String), Cell> {
        &self.cells
    }
}

/// The coverage of a tier and workload; a file that can't be believed costs itself alone.
fn read_coverage(dir: &RunDir, tier: &str, workload: &str, seal: Option<&Seal>) -> Records {
    let path = examine::file(dir, tier, workload);
    let own = path.strip_prefix(dir.root()).unwrap_or(&path);
    let failed = |message: String| Records::from([(0, Record { failure: Some(message), ..Record::default() })]);
    if let Some(damage) = seal.and_then(|seal| seal.check(dir, own)) {
        return failed(format!("{damage}. Restore it from a copy, or delete it and look again with --resume --coverage"));
    }
    examine::load(&path).unwrap_or_else(|error| failed(error.to_string()))
}

fn read_cell(dir: &RunDir, tier: &TierRecord, workload: &str, journal: &[JournalRecord], seal: Option<&Seal>) -> Cell {
    let mut cell = Cell::default();
    let path = dir.raw_file(&tier.name, workload);
    let own = path.strip_prefix(dir.root()).unwrap_or(&path);
    let damage = seal.and_then(|seal| seal.check(dir, own));
    let runs = if let Some(damage) = damage {
        let message = format!("{damage}. Restore it from a copy, or delete it and measure again with --resume");
        cell.failures.push(Failure { round: None, kind: FailureKind::BadOutput, message });
        Vec::new()
    } else if path.exists() {
        match Suite::load(&path) {
            Ok(mut suite) => suite.benchmarks.swap_remove(0).runs,
            Err(error) => {
                let message = error.to_string();
                cell.failures.push(Failure { round: None, kind: FailureKind::BadOutput, message });
                Vec::new()
            }
        }
    } else {
        Vec::new()
    };
    for (i, run) in runs.into_iter().enumerate() {
        if run.values.is_empty() {
            continue;
        }
        let round = run.round().unwrap_or(i as u32 + 1);
        if tier.needs_proof && run.number(meta::JIT_ACTIVE).is_none() {
            cell.failures.push(inactive(round, "nothing was noted that proves that the JIT was on"));
            continue;
        }
        cell.processes.insert(round, Process::new(run, tier.needs_proof));
    }
    add_journal(&mut cell, &tier.name, workload, journal);
    cell
}

fn inactive(round: u32, cause: &str) -> Failure {
    let message = format!("{cause}, so the time says nothing about it. `cargo xtask doctor` says whether the tier can run");
    Failure { round: Some(round), kind: FailureKind::JitInactive, message }
}

/// Adds the failures that the journal knows of, unless the same round was measured after all.
fn add_journal(cell: &mut Cell, tier: &str, workload: &str, journal: &[JournalRecord]) {
    // Of several attempts at one round, the last counts.
    let mut last: BTreeMap<u32, (FailureKind, &str)> = BTreeMap::new();
    for record in journal.iter().filter(|r| r.tier == tier && r.workload == workload) {
        match &record.outcome {
            Outcome::Ok => drop(last.remove(&record.round)),
            Outcome::Failed { kind, message } => drop(last.insert(record.round, (*kind, message))),
        }
    }
    for (round, (kind, message)) in last {
        if cell.processes.contains_key(&round) || cell.failures.iter().any(|f| f.round == Some(round)) {
            continue;
        }
        cell.failures.push(Failure { round: Some(round), kind, message: message.to_owned() });
    }
    cell.failures.sort_by_key(|f| f.round);
}
