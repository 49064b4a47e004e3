//! What a run directory holds, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Analysis, AnalysisError, Failure, Health, Options, SCHEMA_VERSION, TierResult, WorkloadFailure};
use crate::model::{DesignKind, FailureKind, JournalRecord, Manifest, Outcome, RunDir, TierRecord, meta};
use crate::pyperf::{Run, Suite};
use crate::stats::median;
use crate::stats::variance::Components;
use crate::store::Journal;

/// A run, read once.
#[derive(Debug, Clone)]
pub struct RunData {
    /// Its directory.
    pub root: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    journal: Vec<JournalRecord>,
    cells: BTreeMap<(String, String), Cell>,
}

/// What one tier did on one workload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// The processes with usable values, by round.
    pub processes: BTreeMap<u32, Process>,
    /// The others.
    pub failures: Vec<Failure>,
}

/// One process with usable values.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Mean of the logarithms of its timed values.
    ///
    /// All timed values count: a JIT that still warms up after the warm-ups has that held against it, and
    /// [`crate::stats::warmup`] says so beside it. Cutting each process where it looks steady would cut the
    /// two sides of a pair apart.
    pub log_time: f64,
    /// The run as it was written.
    pub run: Run,
}

impl Process {
    /// Whether the process proved that its JIT was at work.
    pub fn jit_active(&self) -> bool {
        self.run.number(meta::JIT_ACTIVE) == Some(1.0)
    }
}

impl RunData {
    /// Reads a run directory. A raw file that can't be used becomes a failure of its tier and workload, and
    /// the rest is read; only a run without manifest or without any baseline result is refused.
    pub fn load(root: &Path) -> Result<Self, AnalysisError> {
        let dir = RunDir::open(root)?;
        let manifest = dir.manifest()?;
        let journal = Journal::read(&dir.journal_path())?;
        let mut data = Self { root: root.to_owned(), manifest, journal, cells: BTreeMap::new() };
        if data.manifest.tier(&data.manifest.baseline).is_none() {
            return Err(data.no_baseline());
        }
        for tier in &data.manifest.tiers {
            for workload in &data.manifest.workloads {
                let cell = read_cell(&dir, tier, &workload.name, &data.journal);
                data.cells.insert((tier.name.clone(), workload.name.clone()), cell);
            }
        }
        data.discard_tiers_without_jit();
        let baseline = &data.manifest.baseline;
        if data.cells.iter().all(|((tier, _), cell)| tier != baseline || cell.processes.is_empty()) {
            return Err(data.no_baseline());
        }
        Ok(data)
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

    fn known(&self, name: &str) -> Result<&TierRecord, AnalysisError> {
        self.manifest.tier(name).ok_or_else(|| AnalysisError::UnknownTier {
            tier: name.to_owned(),
            known: self.manifest.tiers.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Compares every tier with the baseline, and the tiers with a JIT with each other.
    pub fn analyse(&self, options: Options) -> Result<Analysis, AnalysisError> {
        let baseline = &self.manifest.baseline;
        let others: Vec<&TierRecord> = self.manifest.tiers.iter().filter(|t| t.name != *baseline).collect();
        let tiers = others.iter().map(|t| self.compare(&t.name, baseline, options)).collect::<Result<_, _>>()?;
        let mut head_to_head = Vec::new();
        for (i, tier) in others.iter().enumerate().filter(|(_, t)| t.needs_proof) {
            for rival in others[i + 1..].iter().filter(|t| t.needs_proof) {
                head_to_head.push(self.compare(&tier.name, &rival.name, options)?);
            }
        }
        Ok(Analysis {
            schema_version: SCHEMA_VERSION,
            options,
            manifest: self.manifest.clone(),
            health: self.health(),
            tiers,
            head_to_head,
        })
    }

    fn health(&self) -> Health {
        let records = &self.journal;
        let loads: Vec<f64> = records.iter().filter_map(|r| r.load).collect();
        let first = records.iter().map(|r| r.start).fold(f64::INFINITY, f64::min);
        let last = records.iter().map(|r| r.end).fold(f64::NEG_INFINITY, f64::max);
        let rounds: BTreeSet<u32> = self.cells.values().flat_map(|c| c.processes.keys().copied()).collect();
        let complete = |round: &&u32| self.cells.values().all(|c| c.processes.is_empty() || c.processes.contains_key(round));
        let baseline_failures = self.cells.iter().filter(|((tier, _), _)| *tier == self.manifest.baseline);
        Health {
            processes: records.len(),
            failed: records.iter().filter(|r| r.outcome != Outcome::Ok).count(),
            complete_rounds: rounds.iter().filter(complete).count(),
            load_mean: (!loads.is_empty()).then(|| loads.iter().sum::<f64>() / loads.len() as f64),
            load_max: loads.iter().copied().reduce(f64::max),
            steal_share: self.steal_share(),
            best_values: self.best_values(),
            span_s: if records.is_empty() { 0.0 } else { last - first },
            baseline_failures: baseline_failures
                .flat_map(|((_, workload), cell)| {
                    let failure = |failure: &Failure| WorkloadFailure { workload: workload.clone(), failure: failure.clone() };
                    cell.failures.iter().map(failure)
                })
                .collect(),
        }
    }

    /// Kalibera and Jones's best number of values per process, see [`Components::best_iterations`].
    fn best_values(&self) -> Option<f64> {
        if self.manifest.design.kind != DesignKind::Interleaved {
            return None;
        }
        let own = self.cells.iter().filter(|((tier, _), _)| *tier == self.manifest.baseline);
        let best: Vec<f64> = own
            .filter_map(|((tier, workload), cell)| {
                let logs = |p: &Process| p.run.values.iter().map(|v| v.ln()).collect::<Vec<f64>>();
                let components = Components::new(&cell.processes.values().map(logs).collect::<Vec<_>>())?;
                let records = self.journal.iter().filter(|r| r.tier == *tier && r.workload == *workload);
                let spans: Vec<f64> = records.filter(|r| r.outcome == Outcome::Ok).map(|r| r.end - r.start).collect();
                let loops = cell.processes.values().next()?.run.number("loops").unwrap_or(1.0);
                let value_s = components.mean.exp() * loops;
                let process_s = median(&spans) - value_s * components.iterations as f64;
                let best = components.best_iterations(process_s, value_s);
                (process_s > 0.0 && best.is_finite()).then(|| best.ceil())
            })
            .collect();
        (!best.is_empty()).then(|| median(&best))
    }

    /// Stolen ticks over the ticks that passed while processes ran, on all processors together. The kernel's
    /// tick in `/proc/stat` is 10 ms on every platform Linux runs on.
    fn steal_share(&self) -> Option<f64> {
        let cores = f64::from(self.manifest.host.cores.max(1));
        let known = self.journal.iter().filter_map(|r| Some((r.steal_ticks? as f64, (r.end - r.start) * 100.0 * cores)));
        let (stolen, passed) = known.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (passed > 0.0).then(|| stolen / passed)
    }
}

fn read_cell(dir: &RunDir, tier: &TierRecord, workload: &str, journal: &[JournalRecord]) -> Cell {
    let mut cell = Cell::default();
    let path = dir.raw_file(&tier.name, workload);
    let runs = if path.exists() {
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
        let log_time = run.values.iter().map(|v| v.ln()).sum::<f64>() / run.values.len() as f64;
        cell.processes.insert(round, Process { log_time, run });
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
