//! What the two designs share: how a block's processes are put together, and what comes out of one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Interrupt;
use super::environment::{self, Sites, Variables};
use super::process::{Failure, Observation, Running, Task, stats_file};
use super::proof;
use super::schedule::Block;
use crate::model::{FailureKind, Manifest, meta};
use crate::pyperf::{MetaValue, Run};
use crate::tiers::TierKind;

/// Everything that the processes of a run have in common.
pub(super) struct Context<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) sites: &'a Sites,
    /// An empty folder for the processes' files; each block has one of its own in it.
    pub(super) scratch: &'a Path,
    pub(super) timeout: Duration,
    pub(super) interrupt: &'a Interrupt,
    folders: AtomicUsize,
    failures: Mutex<HashMap<(usize, usize), u32>>,
}

/// A finished process.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) round: u32,
    pub(super) workload: usize,
    pub(super) tier: usize,
    pub(super) order: u32,
    pub(super) observation: Observation,
    pub(super) outcome: Result<Run, Failure>,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        sites: &'a Sites,
        scratch: &'a Path,
        timeout: Duration,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self { manifest, sites, scratch, timeout, interrupt, folders: AtomicUsize::new(0), failures: Mutex::new(HashMap::new()) }
    }

    /// A new folder name, as long as every other one.
    pub(super) fn new_folder(&self) -> PathBuf {
        self.scratch.join(format!("b{:06}", self.folders.fetch_add(1, Ordering::Relaxed)))
    }

    /// The folder of a tier's process inside a block's folder.
    pub(super) fn party_folder(folder: &Path, tier: usize) -> PathBuf {
        folder.join(format!("p{tier:02}"))
    }

    /// The environments of all tiers of the run for a block in `folder`, equally long; `extra` may add to each.
    pub(super) fn environments(&self, folder: &Path, hash_seed: u32, extra: &dyn Fn(usize) -> Variables) -> Vec<Variables> {
        let mut all: Vec<Variables> = (0..self.manifest.tiers.len())
            .map(|tier| {
                let path = [&self.manifest.python_path[..], &self.manifest.tiers[tier].python_path].concat();
                let mut variables = environment::common(&self.sites.of(tier), &path, hash_seed);
                variables.extend(self.manifest.tiers[tier].env.clone());
                let stats = stats_file(&Self::party_folder(folder, tier));
                variables.insert("PEPJIT_STATS".to_owned(), stats.display().to_string());
                variables.extend(extra(tier));
                variables
            })
            .collect();
        environment::equalise(&mut all);
        all
    }

    /// The worker of `tier` on `workload`, in its folder under `folder`.
    pub(super) fn task(
        &self,
        folder: &Path,
        workload: usize,
        tier: usize,
        counts: (u64, u32, u32),
        env: Variables,
        cpu: u32,
    ) -> Task {
        let record = &self.manifest.tiers[tier];
        let folder = Self::party_folder(folder, tier);
        let (loops, warmups, values) = counts;
        let mut args = record.args.clone();
        let benchmark = &self.manifest.workloads[workload];
        args.push(benchmark.script.display().to_string());
        args.extend(benchmark.args.iter().cloned());
        args.extend(["--worker".to_owned(), format!("--worker-task={}", benchmark.task)]);
        let numbers = [("--loops", loops), ("--warmups", warmups.into()), ("--values", values.into())];
        args.extend(numbers.iter().flat_map(|(name, value)| [(*name).to_owned(), value.to_string()]));
        args.extend(["-o".to_owned(), folder.join("out.json").display().to_string()]);
        Task { program: record.interpreter.clone(), args, env, folder, cpu, limit: self.timeout }
    }

    /// What a process that has ended gives: its values with proof and facts, or why there are none.
    pub(super) fn finish(&self, running: &Running, block: &Block, tier: usize, order: usize) -> Finished {
        let record = &self.manifest.tiers[tier];
        let outcome = running.result().and_then(|mut run| {
            proof::note(TierKind::of(record), &mut run, &running.stats_file())?;
            note_start(&mut run, &running.record);
            run.metadata.insert(meta::TIER.to_owned(), record.name.as_str().into());
            run.metadata.insert(meta::ORDER.to_owned(), (order as i64).into());
            Ok(run)
        });
        self.finished(block, tier, order, running.record.clone(), outcome)
    }

    pub(super) fn finished(
        &self,
        block: &Block,
        tier: usize,
        order: usize,
        observation: Observation,
        outcome: Result<Run, Failure>,
    ) -> Finished {
        if let Err(failure) = &outcome {
            self.count_failure(block.workload, tier, failure.kind);
        }
        let order = u32::try_from(order).unwrap_or(u32::MAX);
        Finished { round: block.round, workload: block.workload, tier, order, observation, outcome }
    }

    fn count_failure(&self, workload: usize, tier: usize, kind: FailureKind) {
        // What hangs once costs its whole limit each time; what fails otherwise gets a second chance.
        let weight = if kind == FailureKind::Timeout { 2 } else { 1 };
        if let Ok(mut failures) = self.failures.lock() {
            *failures.entry((workload, tier)).or_default() += weight;
        }
    }

    /// The tiers of a block that are worth starting: those that didn't fail before, and none without the baseline.
    pub(super) fn worthwhile(&self, block: &Block) -> Vec<usize> {
        let Ok(failures) = self.failures.lock() else { return Vec::new() };
        let given_up = |tier: usize| failures.get(&(block.workload, tier)).is_some_and(|count| *count >= 2);
        if given_up(self.baseline()) {
            return Vec::new();
        }
        block.tiers.iter().copied().filter(|tier| !given_up(*tier)).collect()
    }

    /// The place of the baseline among the tiers.
    pub(super) fn baseline(&self) -> usize {
        self.manifest.tiers.iter().position(|tier| tier.name == self.manifest.baseline).unwrap_or(0)
    }
}

/// Notes when the first result was there, counted from the start of the process, where the worker says enough.
fn note_start(run: &mut Run, observation: &Observation) {
    let number = |key: &str| run.metadata.get(key).and_then(MetaValue::as_f64);
    let coscheduled = run.metadata.get("pepjit_design").and_then(MetaValue::as_str) == Some("coscheduled");
    if let (Some(began), Some(first), false) = (number("start_time"), number("pepjit_first_iteration"), coscheduled) {
        let seconds = began - observation.start + first;
        if seconds > 0.0 {
            run.metadata.insert(meta::FIRST_RESULT.to_owned(), seconds.into());
        }
    }
    if let Some(mhz) = observation.frequency_mhz {
        run.metadata.insert(meta::FREQUENCY.to_owned(), mhz.into());
    }
}
