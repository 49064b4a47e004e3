//! From raw files to results with verdicts.
//!
//! [`RunData`] is what a run directory holds, read once; [`Analysis`] is what it says, ready for a report.
//! A workload that failed or is missing stays in every result, with its reason: nothing is dropped in
//! silence, because a suite without its failures is a suite of one's choice.

pub mod across;
mod compare;
mod coverage;
pub mod curves;
mod data;
mod health;
mod process;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::coverage::{CoverageRow, Share, TierCoverage};
pub use self::data::{Cell, RunData};
pub use self::process::Process;
use crate::model::{FailureKind, Manifest};
use crate::stats::paired::Paired;
use crate::stats::warmup::Consensus;
use crate::store::StoreError;

/// The version of `analysis.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// How to judge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// 1 - confidence of the two-sided intervals.
    pub alpha: f64,
    /// A change below this share is no change worth the name.
    pub margin: f64,
}

impl Options {
    /// The same, with alpha shared by so many looks at a growing run (Bonferroni's spending); none or one changes nothing.
    #[must_use]
    pub fn shared_by(self, looks: usize) -> Self {
        Self { alpha: self.alpha / looks.max(1) as f64, ..self }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { alpha: 0.05, margin: 0.01 }
    }
}

/// Why a run can't be analysed at all.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum AnalysisError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the baseline tier {baseline} has no results in {run}, so there is nothing to compare with. Resume the \
         run, or measure again with {baseline} among the tiers"
    )]
    NoBaseline { run: String, baseline: String },
    #[error("the run has no tier {tier}; it has {known}. Name one of these, or measure again with that tier")]
    UnknownTier { tier: String, known: String },
}

/// What a run says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// How it was judged.
    pub options: Options,
    /// The run.
    pub manifest: Manifest,
    /// How well the run went.
    pub health: Health,
    /// Each tier against the baseline, in the manifest's order.
    pub tiers: Vec<TierResult>,
    /// Each tier with a JIT against each other one.
    pub head_to_head: Vec<TierResult>,
    /// What runs in native code, of the tiers that were looked at.
    #[serde(default)]
    pub coverage: Vec<TierCoverage>,
    /// What speaks against the figures, each a sentence with its cure.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Analysis {
    /// A tier's result against the baseline.
    pub fn tier(&self, name: &str) -> Option<&TierResult> {
        self.tiers.iter().find(|t| t.tier == name)
    }

    /// The baseline against itself, where the run has such a tier.
    pub fn control(&self) -> Option<&TierResult> {
        self.tiers.iter().find(|t| t.control)
    }

    /// Every failure, with its tier and workload.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str, &Failure)> {
        let own = self
            .tiers
            .iter()
            .flat_map(|t| t.workloads.iter().flat_map(|w| w.failures.iter().map(|f| (t.tier.as_str(), w.name.as_str(), f))));
        let baseline = self.health.baseline_failures.iter();
        own.chain(baseline.map(|b| (self.manifest.baseline.as_str(), b.workload.as_str(), &b.failure)))
    }
}

/// How well a run went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Processes that were started.
    pub processes: usize,
    /// Of these, the ones that failed.
    pub failed: usize,
    /// Rounds in which every workload has results on every tier.
    pub complete_rounds: usize,
    /// Mean one-minute load average at the starts of processes.
    pub load_mean: Option<f64>,
    /// Its maximum.
    pub load_max: Option<f64>,
    /// Share of the run's processor time that the hypervisor took away, where the kernel says.
    pub steal_share: Option<f64>,
    /// How far the processors' frequencies were apart, (most - least) / median, where the kernel says.
    #[serde(default)]
    pub frequency_spread: Option<f64>,
    /// Values per process that would have given the narrowest intervals for the time spent, median over the baseline's
    /// workloads; only for interleaved processes, and only where their variance can be told apart.
    pub best_values: Option<f64>,
    /// Seconds from the first start to the last end.
    pub span_s: f64,
    /// Failures of the baseline tier, which touch every other tier.
    pub baseline_failures: Vec<WorkloadFailure>,
}

/// A failure and its workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadFailure {
    /// The workload.
    pub workload: String,
    /// What happened.
    pub failure: Failure,
}

/// A process without usable values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its round; `None` when a whole raw file is meant.
    pub round: Option<u32>,
    /// What kind.
    pub kind: FailureKind,
    /// Cause and cure.
    pub message: String,
}

/// One tier against another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierResult {
    /// The tier.
    pub tier: String,
    /// The tier it is compared with.
    pub against: String,
    /// Whether both are the same interpreter, told the same: the A/A arm.
    pub control: bool,
    /// The geometric mean over the suite's workloads, from the rounds in which each has a pair. `None` when
    /// there is no such round.
    pub suite: Option<Estimate>,
    /// What the suite shows.
    pub verdict: Verdict,
    /// Workloads that the suite's figure covers.
    pub covered: Vec<String>,
    /// Workloads without any pair, which it therefore leaves out.
    pub left_out: Vec<String>,
    /// Interval of the geometric mean over workloads like these, beyond this suite.
    pub beyond: Option<(f64, f64)>,
    /// The rounds that changes of several sizes take to be shown.
    #[serde(default)]
    pub sizing: Vec<Sizing>,
    /// Geometric mean of the first iterations' speed-ups.
    pub first_iteration: Option<Estimate>,
    /// Geometric mean of the ratios of peak resident memory, tier over baseline.
    pub memory: Option<Estimate>,
    /// Whether the tier's JIT was at work.
    pub proof: Proof,
    /// The workloads, in the suite's order.
    pub workloads: Vec<WorkloadResult>,
}

impl TierResult {
    /// How many workloads have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.workloads.iter().filter(|w| w.verdict == verdict).count()
    }

    /// The workload with the least (or greatest) speed-up.
    pub fn extreme(&self, greatest: bool) -> Option<&WorkloadResult> {
        let known = self.workloads.iter().filter_map(|w| Some((w, w.speedup.as_ref()?.log_mean)));
        if greatest {
            known.max_by(|a, b| a.1.total_cmp(&b.1)).map(|w| w.0)
        } else {
            known.min_by(|a, b| a.1.total_cmp(&b.1)).map(|w| w.0)
        }
    }
}

/// How many rounds show a change of a size, with the spread of this run and 80 % power (Kalibera and Jones).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sizing {
    /// The change: 0.02 is 2 %.
    pub change: f64,
    /// Rounds for the suite's geometric mean.
    pub suite: Option<u32>,
    /// Rounds for the workload of median spread.
    pub workload: Option<u32>,
}

/// One workload on one tier against another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadResult {
    /// The workload.
    pub name: String,
    /// What the pairs show.
    pub verdict: Verdict,
    /// Speed-up: above 1 is faster. `None` without any pair.
    pub speedup: Option<Estimate>,
    /// p value of no change, adjusted over the suite after Benjamini and Hochberg.
    pub q: Option<f64>,
    /// For an inconclusive one, the rounds that would show a change of the margin.
    pub rounds_to_decide: Option<u32>,
    /// Geometric mean of the baseline's times, in seconds.
    pub baseline_s: Option<f64>,
    /// Geometric mean of the tier's times, in seconds.
    pub tier_s: Option<f64>,
    /// Speed-up of the first iteration.
    pub first_iteration: Option<Estimate>,
    /// Peak resident memory, tier over baseline.
    pub memory: Option<Estimate>,
    /// The tier's memory, mean over processes.
    pub memory_use: MemoryUse,
    /// How the tier's processes warm up, where they ran long enough to tell.
    pub warmup: Option<Consensus>,
    /// Median over processes of the iterations until the steady state.
    pub steady_from: Option<f64>,
    /// Median over processes of the seconds of iterations until the steady state.
    #[serde(default)]
    pub time_to_steady_s: Option<f64>,
    /// Values per process, on average, that were not steady yet and don't count.
    #[serde(default)]
    pub skipped: f64,
    /// Iterations from which the tier's cumulative time stays below the baseline's, median over pairs;
    /// `None` when most pairs never get there.
    pub break_even: Option<f64>,
    /// Functions and loops that the JIT compiled while values were taken, mean over processes: above 0 is not warmed up.
    pub timed_compiles: Option<f64>,
    /// Whether the JIT was at work.
    pub proof: Proof,
    /// The JIT's own counters, mean over processes, without their prefix.
    pub counters: std::collections::BTreeMap<String, f64>,
    /// Processes without usable values.
    pub failures: Vec<Failure>,
    /// The command that measures this row again.
    pub command: String,
}

/// Memory of a tier on a workload in KiB, as a mean over processes; `None` where it wasn't read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Peak resident set.
    pub vm_hwm_kib: Option<f64>,
    /// Proportional set size.
    pub pss_kib: Option<f64>,
    /// Private memory.
    pub uss_kib: Option<f64>,
    /// Peak resident set of the baseline.
    pub baseline_vm_hwm_kib: Option<f64>,
    /// Proportional set size of the baseline.
    #[serde(default)]
    pub baseline_pss_kib: Option<f64>,
    /// Private memory of the baseline.
    #[serde(default)]
    pub baseline_uss_kib: Option<f64>,
    /// What a JIT with counters says that it took.
    #[serde(default)]
    pub jit: Option<JitMemory>,
    /// What of the peak's growth over the baseline the JIT's counters don't explain; below 0 where the JIT saved memory.
    #[serde(default)]
    pub unexplained_kib: Option<f64>,
}

/// What a JIT's own counters say of its memory, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct JitMemory {
    /// Pages that hold machine code.
    pub code_kib: f64,
    /// Of these, machine code itself.
    pub code_used_kib: f64,
    /// Machine code that was given up and whose memory the system has back.
    pub code_freed_kib: f64,
    /// What it keeps beside the code: metadata and side tables.
    pub heap_kib: f64,
    /// Of this, metadata of compiled code.
    pub metadata_kib: f64,
    /// The most that one compilation had allocated at once.
    pub compile_peak_kib: f64,
    /// Pages of its library in memory.
    pub library_kib: f64,
}

impl JitMemory {
    /// What of a process's peak it explains: what is there at the end and what a compilation had at most.
    pub fn explained_kib(&self) -> f64 {
        self.code_kib + self.heap_kib.max(self.metadata_kib) + self.compile_peak_kib + self.library_kib
    }
}

/// Whether a JIT was at work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Whether it has to be.
    pub needed: bool,
    /// Processes that showed it.
    pub shown: usize,
    /// Processes that didn't.
    pub lacking: usize,
    /// What it consists of, from one of the processes.
    pub detail: Option<String>,
}

impl Proof {
    /// Whether a JIT was on and compiled nothing at all.
    pub fn is_idle(&self) -> bool {
        self.needed && self.shown == 0 && self.lacking > 0
    }
}

/// An estimated ratio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Number of pairs (rounds).
    pub pairs: usize,
    /// The ratio.
    pub ratio: f64,
    /// Its interval; `None` below three rounds.
    pub ci: Option<(f64, f64)>,
    /// Smallest change that as many pairs would show with 80 % power, as a share: 0.02 is 2 %.
    pub mde: Option<f64>,
    /// Mean of the log ratios.
    pub log_mean: f64,
    /// Their standard deviation; `None` for a single pair.
    pub log_sd: Option<f64>,
}

impl Estimate {
    /// From the pairs' summary.
    pub fn new(paired: &Paired, alpha: f64) -> Self {
        Self {
            pairs: paired.n,
            ratio: paired.mean.exp(),
            ci: paired.interval(alpha).map(|(low, high)| (low.exp(), high.exp())),
            mde: paired.mde(alpha).map(f64::exp_m1),
            log_mean: paired.mean,
            log_sd: paired.sd,
        }
    }

    /// The pairs' summary again, for further claims.
    pub fn paired(&self) -> Paired {
        Paired { n: self.pairs, mean: self.log_mean, sd: self.log_sd }
    }
}

/// What the pairs of a row show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The interval lies above 1.
    Faster,
    /// The interval lies below 1.
    Slower,
    /// The interval lies within the margin of 1: no change, shown.
    NoChange,
    /// The pairs don't tell.
    Inconclusive,
    /// There is no pair, because processes failed.
    Failed,
    /// There is no pair, because nothing was measured yet.
    Missing,
}

impl Verdict {
    /// The verdict in a word or two.
    pub fn word(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoChange => "no change",
            Self::Inconclusive => "inconclusive",
            Self::Failed => "FAILED",
            Self::Missing => "missing",
        }
    }

    /// The verdict of pairs. `q` is their p value of no change, adjusted for the other rows; a difference
    /// is only marked when that too is at most alpha.
    pub fn of(paired: &Paired, q: Option<f64>, options: Options) -> Self {
        let Some((low, high)) = paired.interval(options.alpha) else { return Self::Inconclusive };
        let margin = options.margin.ln_1p();
        let marked = q.is_none_or(|q| q <= options.alpha);
        if low > -margin && high < margin {
            Self::NoChange
        } else if low > 0.0 && marked {
            Self::Faster
        } else if high < 0.0 && marked {
            Self::Slower
        } else {
            Self::Inconclusive
        }
    }
}
