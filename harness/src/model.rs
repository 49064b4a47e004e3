//! The records of a run: what was measured, where, with which interpreters, and how each process ended.
//!
//! One run is one directory (see [`crate::store::RunDir`]): `manifest.json` holds a [`Manifest`],
//! `journal.jsonl` one [`JournalRecord`] per finished process, and `raw/TIER/WORKLOAD.json` the times as
//! pyperf JSON (see [`crate::pyperf`]). Everything else in the directory is derived and can be rebuilt.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::store::RunDir;

/// The version of `manifest.json` that this crate writes. It reads this one and all before.
pub const SCHEMA_VERSION: u32 = 3;

/// Keys of the free metadata that the runner adds to each pyperf run, and that the analysis reads back.
///
/// Sizes are in KiB as the kernel gives them; a key that couldn't be read is left out, never zero.
pub mod meta {
    /// The round of this process, from 1 (int).
    pub const ROUND: &str = "round";
    /// The process's position inside its block, from 0 (int).
    pub const ORDER: &str = "order";
    /// The tier's name (str).
    pub const TIER: &str = "tier";
    /// 1 when the process proved that its JIT compiled and ran something, 0 when its JIT was on and found nothing to
    /// compile (int). Only on tiers that [need proof](super::TierRecord::needs_proof); without it there is no proof.
    pub const JIT_ACTIVE: &str = "jit_active";
    /// What the proof consists of, in words (str), such as `42 functions compiled, 1201 native entries`.
    pub const JIT_PROOF: &str = "jit_proof";
    /// Prefix of the JIT's own counters (ints): `jit_functions_compiled`, `jit_exits`, `jit_code_bytes`, ...
    /// A counter by reason keeps its colon: `jit_exit:overflow`.
    pub const JIT_PREFIX: &str = "jit_";
    /// Peak resident set, `VmHWM` of `/proc/PID/status` (int, KiB). Like all sizes it is the worker's alone, without the processes that it
    /// starts.
    pub const VM_HWM: &str = "vm_hwm_kib";
    /// Proportional set size at the end of the timed part (int, KiB).
    pub const PSS: &str = "pss_kib";
    /// `Private_Clean` + `Private_Dirty` at the end of the timed part (int, KiB).
    pub const USS: &str = "uss_kib";
    /// Pages of our JIT's library in memory at the end (int, KiB).
    pub const LIBRARY: &str = "library_kib";
    /// Processor time of the processes that the worker started and waited for (int, milliseconds); not there without any.
    pub const CHILD_CPU: &str = "child_cpu_ms";
    /// Seconds of the process's very first iteration, which is neither a warm-up nor a value (float).
    pub const FIRST_ITERATION: &str = "pepjit_first_iteration";
    /// Seconds from the start of the process to the end of its first iteration (float), where known.
    pub const FIRST_RESULT: &str = "first_result_s";
    /// The processor's frequency in MHz when the process began (float), where the kernel tells it.
    pub const FREQUENCY: &str = "cpu_frequency_mhz";
    /// The last value, counted from 1, in which the JIT compiled something; 0 for none (int).
    pub const TIMED_LAST_COMPILE: &str = "pepjit_timed_last_compile";
    /// Functions and loops that the JIT compiled while values were taken (ints): above 0 is not warmed up.
    pub const TIMED_COMPILES: [&str; 2] = ["pepjit_timed_functions_compiled", "pepjit_timed_loops_compiled"];
}

/// `manifest.json`: everything about a run that isn't a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Unique name of the run, also the name of its directory: `20261123T040000Z-1a2b3c`.
    pub run_id: String,
    /// Version of the tool that measured.
    pub tool_version: String,
    /// Commit of the tool's sources, when they are a git checkout.
    pub commit: Option<String>,
    /// Whether that checkout had local changes.
    pub dirty: bool,
    /// When the run began, RFC 3339 in UTC.
    pub created: String,
    /// The command that began the run, program first.
    pub command_line: Vec<String>,
    /// Target triple of the machine: `x86_64-unknown-linux-gnu`.
    pub platform: String,
    /// The machine.
    pub host: Host,
    /// How processes are arranged.
    pub design: Design,
    /// Seed of every shuffle of the run.
    pub seed: u64,
    /// Name of the suite.
    pub suite: String,
    /// The workloads, in the suite's order.
    pub workloads: Vec<WorkloadRecord>,
    /// The tiers, the baseline included.
    pub tiers: Vec<TierRecord>,
    /// Name of the tier that the others are compared with.
    pub baseline: String,
    /// Versions of the packages that the suite comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite_version: Option<String>,
    /// Benchmarks of the suite that this run doesn't have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Folders on the path of every worker, for the suite's packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub python_path: Vec<PathBuf>,
    /// SHA-256 of the criteria file when the run began, hexadecimal.
    pub criteria_sha256: Option<String>,
    /// SHA-256 of our JIT's library that is measured, hexadecimal.
    pub module_sha256: Option<String>,
}

impl Manifest {
    /// The tier of this name.
    pub fn tier(&self, name: &str) -> Option<&TierRecord> {
        self.tiers.iter().find(|t| t.name == name)
    }
}

/// The machine of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The processor's name as the system gives it.
    pub cpu_model: String,
    /// Logical processors this process may use.
    pub cores: u32,
    /// System and kernel version: `Linux 6.1.0`.
    pub kernel: String,
    /// Physical memory in bytes.
    pub memory_bytes: u64,
}

/// How the processes of a run are arranged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// Which design.
    pub kind: DesignKind,
    /// Rounds planned: process pairs per workload and tier.
    pub rounds: u32,
    /// Timed values per process; in the co-scheduled design the fewest that a window must hold.
    pub values: u32,
    /// Warm-up iterations per process.
    pub warmups: u32,
    /// Seconds that an interleaved process warms up for at least: how many warm-ups that takes, and whether fewer values do, is
    /// settled for each workload when its loops are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_s: Option<f64>,
    /// Seconds of the common window of a co-scheduled block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_s: Option<f64>,
    /// The rounds at which this run is looked at, when it's more than once: planned by `--until-decided`, or noted when
    /// somebody added rounds to what they had seen. Each look gets an equal share of every error rate.
    pub looks: Vec<u32>,
}

impl Design {
    /// Warm-ups and values of each interleaved process of a workload.
    pub fn counts(&self, workload: &WorkloadRecord) -> (u32, u32) {
        (workload.warmups.unwrap_or(self.warmups), workload.values.unwrap_or(self.values))
    }
}

/// The two designs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DesignKind {
    /// One process at a time; the tiers of a block follow each other in shuffled order. For quiet machines.
    Interleaved,
    /// All tiers of a block run at once on one processor, timed by thread CPU time over a common window. For
    /// shared machines.
    Coscheduled,
}

/// One workload of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkloadRecord {
    /// Its name, unique in the run; also the name of its raw files.
    pub name: String,
    /// What it stresses, one line.
    #[serde(default)]
    pub description: String,
    /// The suite's tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The script.
    pub script: PathBuf,
    /// SHA-256 of the script, hexadecimal.
    #[serde(default)]
    pub sha256: String,
    /// Inner loops of one value, calibrated once on the baseline tier; 0 while not calibrated.
    #[serde(default)]
    pub loops: u64,
    /// Seconds of one value, seen while calibrating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_s: Option<f64>,
    /// Warm-ups of each process, where the workload has a number of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmups: Option<u32>,
    /// Values of each process, where the workload has a number of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<u32>,
    /// Arguments after the script, before the protocol's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// What of the machine only one process at a time can have, such as a port that the script binds: workloads of the same name for
    /// it don't run at once, neither with one another nor with themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<String>,
    /// Which of the script's benchmarks it is, from 0.
    #[serde(default)]
    pub task: u32,
    /// What the script calls it, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// Whether the script may hold further benchmarks, which the calibration then adds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_tasks: bool,
}

/// A benchmark of the suite that the run doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The benchmark.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// One tier of a run: an interpreter, and how it is told to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierRecord {
    /// Its name, unique in the run; also the name of its raw directory.
    pub name: String,
    /// The interpreter's executable.
    pub interpreter: PathBuf,
    /// Its version as it states it: `3.15.0`.
    pub version: String,
    /// Its build flags, as far as they bear on speed: optimisation, LTO, PGO, `free-threaded`, `jit`.
    #[serde(default)]
    pub build_flags: Vec<String>,
    /// SHA-256 of the executable, hexadecimal.
    #[serde(default)]
    pub sha256: String,
    /// Arguments before the script.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables beyond the common ones.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether each process of the tier must prove that a JIT was at work.
    #[serde(default)]
    pub needs_proof: bool,
    /// Python that turns a declared tier's JIT on, run as each process starts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub setup: String,
    /// A Python expression that is above 0 where a declared tier's JIT was at work, evaluated as each process ends.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prove: String,
    /// Folders on the path of the tier's workers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub python_path: Vec<PathBuf>,
    /// A build of our module of its own, instead of the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<PathBuf>,
}

/// One line of `journal.jsonl`: one finished process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// Round, from 1.
    pub round: u32,
    /// Workload's name.
    pub workload: String,
    /// Tier's name.
    pub tier: String,
    /// Position inside the block, from 0.
    pub order: u32,
    /// Start, seconds since the Unix epoch.
    pub start: f64,
    /// End, seconds since the Unix epoch.
    pub end: f64,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// One-minute load average at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Ticks stolen by the hypervisor, over all processors, while the process ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_ticks: Option<u64>,
    /// The processor the process was pinned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// The raw file that holds its values, relative to the run directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// Its values are in the raw file.
    Ok,
    /// It gave no usable values.
    Failed {
        /// What kind of failure.
        kind: FailureKind,
        /// Cause and cure, with the end of the worker's stderr where that helps.
        message: String,
    },
}

/// Why a process gave no usable values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// It couldn't be started.
    Spawn,
    /// It exited with a status other than 0.
    Exit,
    /// A signal ended it.
    Signal,
    /// It passed its time limit.
    Timeout,
    /// It exited with 0 and wrote no file.
    NoOutput,
    /// Its file isn't pyperf JSON with one run of positive values.
    BadOutput,
    /// Its result differs from the one expected.
    WrongResult,
    /// It ran, but its JIT compiled nothing.
    JitInactive,
}

impl FailureKind {
    /// The kind in a few words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Spawn => "could not be started",
            Self::Exit => "exited with an error",
            Self::Signal => "was ended by a signal",
            Self::Timeout => "passed its time limit",
            Self::NoOutput => "wrote no results",
            Self::BadOutput => "wrote unusable results",
            Self::WrongResult => "computed a wrong result",
            Self::JitInactive => "ran without JIT activity",
        }
    }
}
