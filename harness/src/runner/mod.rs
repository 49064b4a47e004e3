//! Runs the processes of a run, in the order that its seed gives, and stores each result as soon as it is there.
//!
//! Architecture invariant: nothing here computes a statistic or judges a tier. Values go to the raw files as the
//! workers wrote them.
//!
//! Architecture invariant: a process that has ended well is in its raw file before it is in the journal, so that
//! what the journal says is done is never lost, and what it doesn't say is measured again and replaced.

mod block;
mod coscheduled;
mod environment;
mod examine;
mod interleaved;
mod plan;
mod preflight;
mod process;
mod proof;
mod schedule;
mod tasks;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{fs, io};

use self::block::{Context, Finished};
use self::interleaved::{Calibration, Found};
use self::schedule::{Block, Queue};
use crate::machine;
use crate::model::{DesignKind, JournalRecord, Manifest, Outcome, RunDir, meta};
use crate::pyperf::{PyperfError, Run, Suite, append_run};
use crate::store::{Journal, Seal, StoreError};

pub use environment::{Sites, write_sitecustomize};
pub use examine::{CoverageError, cover, plan_coverage, planned_coverage};
pub use plan::{Plan, Sizes, checkout, fit, round_duration};
pub use preflight::{PreflightError, preflight};

/// Why a run can't go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Its directory can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A raw file can't be read or written.
    #[error(transparent)]
    Raw(#[from] PyperfError),
    /// There is no place for the processes' files.
    #[error("cannot use a temporary folder: {0}. Point TMPDIR at a folder with free space")]
    Scratch(#[source] io::Error),
    /// What the run began with isn't what is there now.
    #[error(
        "{what} has changed since this run began, so its values would not belong together: \
         begin a new run with `cargo xtask measure`"
    )]
    Changed {
        /// The file that changed.
        what: PathBuf,
    },
    /// It began on another machine.
    #[error(
        "this run began on {began} and this is {here}: values of two machines don't belong together. Begin a new run here; \
         `cargo xtask report RUN RUN` shows runs of several machines side by side"
    )]
    OtherMachine {
        /// Processor and count of the run's machine.
        began: String,
        /// The same of this one.
        here: String,
    },
}

/// Whether to stop: because the user asked, or because nothing can be kept any more. Clones share the answer.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
}

impl Interrupt {
    /// One that is set by Ctrl-C and by a request to terminate.
    ///
    /// # Errors
    /// If a handler is installed already.
    pub fn install() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let shared = interrupt.clone();
        ctrlc::set_handler(move || shared.set())?;
        Ok(interrupt)
    }

    /// Asks to stop, for the user.
    pub fn set(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }

    /// Stops what is running, for an error that is told by itself.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.is_asked() || self.stopped.load(Ordering::SeqCst)
    }

    /// Whether the user asked to stop.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

/// How a run is carried out, beyond what its manifest fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Blocks that run at once, each on a processor of its own.
    pub jobs: usize,
    /// How long one process may take; `None` for a limit that follows from the design.
    pub timeout: Option<Duration>,
}

/// What happens during a run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Loops are being found for a workload, on the baseline.
    Calibrating {
        /// The workload.
        workload: &'a str,
    },
    /// Blocks are about to run.
    Started {
        /// Blocks that an earlier session of this run measured.
        already: usize,
        /// Blocks of the whole run.
        total: usize,
        /// How long the blocks that are left take if all goes as it did while calibrating; `None` where that isn't known.
        left: Option<Duration>,
    },
    /// A process has ended.
    Process {
        /// Its line in the journal.
        record: &'a JournalRecord,
    },
    /// All processes of a block have ended.
    Block {
        /// The round.
        round: u32,
        /// The workload.
        workload: &'a str,
        /// Mean seconds per iteration by tier, of those that ended well.
        means: &'a BTreeMap<String, f64>,
    },
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Whether the user interrupted it.
    pub interrupted: bool,
    /// The processes that gave no values, and weren't measured since.
    pub failures: Vec<JournalRecord>,
    /// Tiers that owe a proof and of which no process compiled anything.
    pub inactive: Vec<String>,
    /// Workloads in which a tier that owes a proof compiled nothing, by tier.
    pub not_compiled: BTreeMap<String, Vec<String>>,
    /// Workloads whose workers start processes of their own, which memory figures don't count.
    pub with_children: Vec<String>,
}

impl Summary {
    /// Whether the run is broken: something failed, or a JIT never was at work.
    pub fn is_broken(&self) -> bool {
        !self.failures.is_empty() || !self.inactive.is_empty()
    }
}

/// What the threads that run blocks tell the one that stores.
enum Message {
    Finished(Box<Finished>),
    Block(Block),
}

/// A place for what processes write, with room for what one of them does: without, a process would end without a word.
fn scratch() -> Result<tempfile::TempDir, RunError> {
    let folder = tempfile::Builder::new().prefix("pepjit-").tempdir().map_err(RunError::Scratch)?;
    let probe = folder.path().join("room");
    fs::write(&probe, [b'x'; 8 << 10]).and_then(|()| fs::remove_file(&probe)).map_err(RunError::Scratch)?;
    Ok(folder)
}

/// Carries out what is left of the run in `dir`.
///
/// # Errors
/// [`RunError`] if the run can't go on at all. A process that fails is in the [`Summary`] instead.
pub fn run(
    dir: &RunDir,
    sites: &Sites,
    options: Options,
    interrupt: &Interrupt,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<Summary, RunError> {
    Seal::remove(dir)?;
    let mut manifest = dir.manifest()?;
    let mut journal = dir.journal()?;
    let scratch = scratch()?;
    let cpus = choose_cpus(options.jobs);
    let timeout = options.timeout.unwrap_or_else(|| time_limit(&manifest));

    if manifest.design.kind == DesignKind::Interleaved {
        let broken = calibrate(dir, &mut manifest, sites, scratch.path(), timeout, cpus[0], interrupt, observer)?;
        for finished in broken {
            store(dir, &manifest, &mut journal, finished, observer)?;
        }
    }

    let all: Vec<Block> = schedule::blocks(&manifest);
    let total = all.len();
    let mut rest = left(dir, all, &manifest, &journal)?;
    if manifest.design.kind == DesignKind::Interleaved {
        // A workload without loops doesn't run on the baseline: there is nothing to compare.
        rest.retain(|block| manifest.workloads[block.workload].loops > 0);
    }
    let left = interleaved::duration(&manifest, &rest).map(|all| all / u32::try_from(cpus.len()).unwrap_or(1));
    observer(Event::Started { already: total - rest.len(), total, left });
    if !interrupt.is_set() {
        let context = Context::new(&manifest, sites, scratch.path(), timeout, interrupt);
        run_blocks(dir, &context, &mut journal, rest, &cpus, observer)?;
    }
    let summary = Summary { interrupted: interrupt.is_set(), ..summarise(dir)? };
    Seal::write(dir)?;
    Ok(summary)
}

/// Checks that a run goes on where it began.
///
/// # Errors
/// [`RunError::OtherMachine`] if its processor is another one.
pub fn same_machine(manifest: &Manifest) -> Result<(), RunError> {
    let here = machine::host();
    let name = |host: &crate::model::Host| format!("{} ({} processors)", host.cpu_model, host.cores);
    if here.cpu_model == manifest.host.cpu_model {
        return Ok(());
    }
    Err(RunError::OtherMachine { began: name(&manifest.host), here: name(&here) })
}

/// What the journal of `dir` leaves to be measured.
///
/// # Errors
/// [`RunError::Store`] if the run can't be read.
pub fn blocks_left(dir: &RunDir) -> Result<usize, RunError> {
    let manifest = dir.manifest()?;
    let journal = dir.journal()?;
    Ok(left(dir, schedule::blocks(&manifest), &manifest, &journal)?.len())
}

/// The blocks whose values aren't all there. The journal alone doesn't say: a raw file may have been deleted since.
fn left(dir: &RunDir, blocks: Vec<Block>, manifest: &Manifest, journal: &Journal) -> Result<Vec<Block>, RunError> {
    let mut done = journal.done();
    for tier in &manifest.tiers {
        for workload in &manifest.workloads {
            let path = dir.raw_file(&tier.name, &workload.name);
            let runs = if path.exists() { Suite::load(&path)?.benchmarks.swap_remove(0).runs } else { Vec::new() };
            let rounds: HashSet<u32> = runs.iter().filter_map(Run::round).collect();
            done.retain(|(round, name, of)| *of != tier.name || *name != workload.name || rounds.contains(round));
        }
    }
    let whole = manifest.design.kind == DesignKind::Coscheduled;
    Ok(schedule::remaining(blocks, manifest, &done, whole))
}

/// Runs blocks on `cpus`, one at a time on each; this thread stores what they give.
fn run_blocks(
    dir: &RunDir,
    context: &Context<'_>,
    journal: &mut Journal,
    blocks: Vec<Block>,
    cpus: &[u32],
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<(), RunError> {
    let queue = Queue::new(blocks, context.manifest);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for cpu in cpus {
            let (sender, queue) = (sender.clone(), &queue);
            scope.spawn(move || {
                while let Some(taken) = queue.next(&|| context.interrupt.is_set()) {
                    let block = &taken.block;
                    let mut tell = |finished| {
                        let _ = sender.send(Message::Finished(Box::new(finished)));
                    };
                    match context.manifest.design.kind {
                        DesignKind::Interleaved => interleaved::run_block(context, block, *cpu, &mut tell),
                        DesignKind::Coscheduled => coscheduled::run_block(context, block, *cpu, &mut tell),
                    }
                    if !context.interrupt.is_set() {
                        let _ = sender.send(Message::Block(block.clone()));
                    }
                }
            });
        }
        drop(sender);
        let mut means: BTreeMap<(u32, usize), BTreeMap<String, f64>> = BTreeMap::new();
        let mut stored = Ok(());
        for message in receiver {
            match message {
                Message::Finished(finished) => {
                    if let Ok(run) = &finished.outcome {
                        let mean = run.values.iter().sum::<f64>() / run.values.len() as f64;
                        let tier = context.manifest.tiers[finished.tier].name.clone();
                        means.entry((finished.round, finished.workload)).or_default().insert(tier, mean);
                    }
                    if stored.is_ok() {
                        stored = store(dir, context.manifest, journal, *finished, observer);
                    }
                    if stored.is_err() {
                        // Nothing can be kept any more (a full disk, say): stop the others too.
                        context.interrupt.stop();
                    }
                }
                Message::Block(block) => {
                    let means = means.remove(&(block.round, block.workload)).unwrap_or_default();
                    let workload = &context.manifest.workloads[block.workload].name;
                    observer(Event::Block { round: block.round, workload, means: &means });
                }
            }
        }
        stored
    })
}

/// Finds loops for the workloads that have none, and puts them into the manifest. Returns the failures.
#[expect(clippy::too_many_arguments, reason = "a step of `run`, which has them all at hand")]
fn calibrate(
    dir: &RunDir,
    manifest: &mut Manifest,
    sites: &Sites,
    scratch: &std::path::Path,
    timeout: Duration,
    cpu: u32,
    interrupt: &Interrupt,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<Vec<Finished>, RunError> {
    let mut failed = Vec::new();
    let mut workload = 0;
    // Further benchmarks of a script are put behind it, and looked at in their turn.
    while workload < manifest.workloads.len() && !interrupt.is_set() {
        if manifest.workloads[workload].loops > 0 {
            workload += 1;
            continue;
        }
        observer(Event::Calibrating { workload: &manifest.workloads[workload].name });
        let context = Context::new(manifest, sites, scratch, timeout, interrupt);
        match interleaved::calibrate(&context, workload, cpu) {
            Calibration::Found(Found { loops, value_s, name }) => {
                let design = &manifest.design;
                let counts = design.warmup_s.map(|s| interleaved::iterations(s, value_s, (design.warmups, design.values)));
                let record = &mut manifest.workloads[workload];
                (record.loops, record.value_s) = (loops, Some(value_s));
                (record.warmups, record.values) = counts.unzip();
                tasks::found(manifest, workload, name.as_deref());
                dir.write_manifest(manifest)?;
            }
            Calibration::Failed(finished) => {
                if tasks::was_the_last(manifest, workload, &finished) {
                    dir.write_manifest(manifest)?;
                    continue;
                }
                failed.push(finished);
            }
            Calibration::Interrupted => break,
        }
        workload += 1;
    }
    Ok(failed)
}

/// Puts a finished process into its raw file, and then into the journal.
fn store(
    dir: &RunDir,
    manifest: &Manifest,
    journal: &mut Journal,
    finished: Finished,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<(), RunError> {
    let workload = &manifest.workloads[finished.workload].name;
    let tier = &manifest.tiers[finished.tier].name;
    let (outcome, file) = match finished.outcome {
        Ok(run) => {
            let path = dir.raw_file(tier, workload);
            append_run(&path, workload, finished.round, run)?;
            (Outcome::Ok, path.strip_prefix(dir.root()).ok().map(PathBuf::from))
        }
        Err(failure) => (Outcome::Failed { kind: failure.kind, message: failure.message }, None),
    };
    let record = JournalRecord {
        round: finished.round,
        workload: workload.clone(),
        tier: tier.clone(),
        order: finished.order,
        start: finished.observation.start,
        end: finished.observation.end,
        outcome,
        load: finished.observation.load,
        steal_ticks: finished.observation.steal_ticks,
        cpu: Some(finished.observation.cpu),
        file,
    };
    observer(Event::Process { record: &record });
    journal.append(record)?;
    Ok(())
}

/// The processors to use: the last ones, since the first takes more of the system's interrupts.
fn choose_cpus(jobs: usize) -> Vec<u32> {
    let mut cpus = machine::allowed_cpus();
    cpus.reverse();
    cpus.truncate(jobs.max(1));
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// A limit that a healthy process stays far below: two minutes beyond what the design itself takes.
fn time_limit(manifest: &Manifest) -> Duration {
    let design = match manifest.design.kind {
        DesignKind::Interleaved => Duration::ZERO,
        DesignKind::Coscheduled => coscheduled::longest_block(&manifest.design),
    };
    Duration::from_mins(2) + design
}

/// Looks at what is stored: what failed for good, and which JIT never was at work.
///
/// # Errors
/// [`RunError`] if the run can't be read.
pub fn summarise(dir: &RunDir) -> Result<Summary, RunError> {
    let (manifest, journal) = (dir.manifest()?, dir.journal()?);
    let done = journal.done();
    let mut seen = HashSet::new();
    let failures = journal
        .records()
        .iter()
        .rev()
        .filter(|record| record.outcome != Outcome::Ok)
        .map(|record| ((record.round, record.workload.clone(), record.tier.clone()), record))
        .filter(|(key, _)| !done.contains(key) && seen.insert(key.clone()))
        .map(|(_, record)| record.clone())
        .collect::<Vec<_>>();
    let mut summary = Summary { failures, ..Summary::default() };
    summary.failures.reverse();
    for workload in &manifest.workloads {
        let path = dir.raw_file(&manifest.baseline, &workload.name);
        let runs = if path.exists() { Suite::load(&path)?.benchmarks.swap_remove(0).runs } else { Vec::new() };
        if runs.iter().any(|run| run.metadata.contains_key(meta::CHILD_CPU)) {
            summary.with_children.push(workload.name.clone());
        }
    }
    for tier in manifest.tiers.iter().filter(|tier| tier.needs_proof) {
        let (mut active, mut measured) = (false, false);
        for workload in &manifest.workloads {
            let path = dir.raw_file(&tier.name, &workload.name);
            if !path.exists() {
                continue;
            }
            measured = true;
            let suite = Suite::load(&path)?;
            let compiled =
                suite.benchmarks.iter().flat_map(|bench| &bench.runs).any(|run| run.number(meta::JIT_ACTIVE) == Some(1.0));
            active |= compiled;
            if !compiled {
                summary.not_compiled.entry(tier.name.clone()).or_default().push(workload.name.clone());
            }
        }
        if measured && !active {
            summary.inactive.push(tier.name.clone());
        }
    }
    Ok(summary)
}
