//! What a run is to be, before it begins: its size against the time there is, and its manifest.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use git2::{Repository, StatusOptions};

use super::coscheduled;
use crate::machine;
use crate::model::{Design, DesignKind, LeftOut, Manifest, SCHEMA_VERSION, TierRecord, WorkloadRecord};
use crate::store::{rfc3339, run_id};
use crate::tiers::BASELINE;
use crate::workloads::script_digest;

/// The fewest rounds that give an interval at all worth reading: with two, t is 12.7 standard errors wide.
const MIN_ROUNDS: u32 = 3;

/// More rounds than this are for who asks for them.
const MAX_ROUNDS: u32 = 10;

/// Processor seconds of each tier's share of a co-scheduled window, where there is time for that.
const WINDOW_SHARE: f64 = 0.3;

/// The least that such a share may be: a few iterations of a usual workload. It's also what `--quick` takes.
const LEAST_WINDOW_SHARE: f64 = 0.12;

/// Warm-ups and values of an interleaved process, where there is time for that.
const ITERATIONS: (u32, u32) = (4, 5);

/// Seconds that an interleaved process warms up for, where there is time for that: a JIT that spares young processes compiles little
/// in their first second.
const WARMUP: f64 = 1.5;

/// The fewest of both, and what `--quick` takes.
const LEAST_ITERATIONS: (u32, u32) = (2, 3);

/// The seconds that one value or warm-up of the interleaved design is taken to last before anything is measured.
const USUAL_VALUE: f64 = 0.07;

/// The seconds that a process takes beside its iterations.
const USUAL_START: f64 = 0.12;

/// What the user fixed of a design; what is left open is chosen to fit the time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sizes {
    /// Process pairs per workload and tier.
    pub rounds: Option<u32>,
    /// Timed values per process.
    pub values: Option<u32>,
    /// Warm-ups per process.
    pub warmups: Option<u32>,
    /// Seconds of a co-scheduled block's window.
    pub window: Option<f64>,
    /// Short processes, for a first look.
    pub quick: bool,
}

/// A design of `kind` for this many workloads and tiers that ends within about `budget`.
///
/// Rounds come first: they are what an interval is made of. Where not even the fewest fit, processes get shorter.
pub fn fit(kind: DesignKind, sizes: Sizes, workloads: usize, tiers: usize, jobs: usize, budget: Duration) -> Design {
    let timed = kind == DesignKind::Interleaved && sizes.values.is_none() && sizes.warmups.is_none();
    let design = |long: bool, short: bool| {
        let (warmups, values) = if short { LEAST_ITERATIONS } else { ITERATIONS };
        let share = if short { LEAST_WINDOW_SHARE } else { WINDOW_SHARE };
        Design {
            kind,
            rounds: sizes.rounds.unwrap_or(MIN_ROUNDS),
            values: sizes.values.unwrap_or(values),
            warmups: sizes.warmups.unwrap_or(warmups),
            warmup_s: (long && timed).then_some(WARMUP),
            window_s: (kind == DesignKind::Coscheduled).then(|| sizes.window.unwrap_or(share * tiers as f64)),
            looks: Vec::new(),
        }
    };
    let fits = |design: &Design| round_duration(design, workloads, tiers, jobs) * design.rounds <= budget;
    let mut longest_first = [design(true, false), design(false, false)].into_iter().filter(|_| !sizes.quick);
    let mut design = longest_first.find(fits).unwrap_or_else(|| design(false, true));
    let round = round_duration(&design, workloads, tiers, jobs).as_secs_f64().max(0.001);
    let rounds = (budget.as_secs_f64() / round) as u32;
    design.rounds = sizes.rounds.unwrap_or(rounds.clamp(MIN_ROUNDS, MAX_ROUNDS));
    design
}

/// How long one round usually takes.
pub fn round_duration(design: &Design, workloads: usize, tiers: usize, jobs: usize) -> Duration {
    let block = match design.kind {
        DesignKind::Coscheduled => coscheduled::usual_block(design, tiers),
        DesignKind::Interleaved => {
            let iterations = f64::from(design.warmups + design.values + 1) * USUAL_VALUE;
            let iterations = iterations + design.warmup_s.map_or(0.0, |s| (s - f64::from(design.warmups) * USUAL_VALUE).max(0.0));
            Duration::from_secs_f64((USUAL_START + iterations) * tiers as f64)
        }
    };
    block.mul_f64(workloads as f64 / jobs.max(1) as f64)
}

/// Everything that a new run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The suite's name.
    pub suite: String,
    /// Versions of the packages that it comes from.
    pub suite_version: Option<String>,
    /// What of it can't be run.
    pub left_out: Vec<LeftOut>,
    /// Folders that its scripts need on their path.
    pub python_path: Vec<PathBuf>,
    /// Its workloads.
    pub workloads: Vec<WorkloadRecord>,
    /// The tiers, the baseline among them.
    pub tiers: Vec<TierRecord>,
    /// The design.
    pub design: Design,
    /// The seed of every shuffle.
    pub seed: u64,
    /// The command that the user typed.
    pub command_line: Vec<String>,
}

impl Plan {
    /// The manifest of a run that begins now, with the tool's sources in `root`.
    pub fn manifest(self, root: &Path) -> Manifest {
        let now = SystemTime::now();
        let (commit, dirty) = checkout(root);
        let mut workloads = self.workloads;
        if self.design.kind == DesignKind::Coscheduled {
            // Each iteration of a window is a value: there is nothing to calibrate.
            for workload in &mut workloads {
                workload.loops = 1;
            }
        }
        Manifest {
            schema_version: SCHEMA_VERSION,
            run_id: run_id(now, self.seed),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            commit,
            dirty,
            created: rfc3339(now),
            command_line: self.command_line,
            platform: machine::platform(),
            host: machine::host(),
            design: self.design,
            seed: self.seed,
            suite: self.suite,
            workloads,
            tiers: self.tiers,
            baseline: BASELINE.to_owned(),
            suite_version: self.suite_version,
            left_out: self.left_out,
            python_path: self.python_path,
            criteria_sha256: script_digest(&root.join("pep-draft/criteria.toml")),
            module_sha256: None,
        }
    }
}

/// The commit of the checkout at `root` and whether it has changes of its own; nothing if it is no checkout.
pub fn checkout(root: &Path) -> (Option<String>, bool) {
    let Ok(repository) = Repository::open(root) else { return (None, false) };
    let commit = repository.head().and_then(|head| head.peel_to_commit()).map(|commit| commit.id().to_string()).ok();
    let dirty =
        repository.statuses(Some(StatusOptions::new().include_untracked(true))).is_ok_and(|statuses| !statuses.is_empty());
    (commit, dirty)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN_MINUTES: Duration = Duration::from_mins(7);

    #[test]
    fn rounds_follow_from_the_time_unless_given() {
        let fit = |sizes, workloads| fit(DesignKind::Coscheduled, sizes, workloads, 5, 1, SEVEN_MINUTES);
        let small = fit(Sizes::default(), 2);
        assert_eq!((small.rounds, small.window_s), (MAX_ROUNDS, Some(WINDOW_SHARE * 5.0)));
        let given = Sizes { rounds: Some(40), ..Sizes::default() };
        assert_eq!(fit(given, 24).rounds, 40);
        assert_eq!(fit(Sizes::default(), 500).rounds, MIN_ROUNDS);
    }

    #[test]
    fn many_workloads_make_processes_shorter_so_that_the_time_is_kept() {
        for kind in [DesignKind::Coscheduled, DesignKind::Interleaved] {
            let all = fit(kind, Sizes::default(), 43, 5, 1, SEVEN_MINUTES);
            assert!(all.rounds >= MIN_ROUNDS);
            let total = round_duration(&all, 43, 5, 1) * all.rounds;
            assert!(total < SEVEN_MINUTES.mul_f64(1.35), "{all:?}: {total:?}");
        }
    }

    #[test]
    fn each_design_has_its_own_sizes() {
        let interleaved = fit(DesignKind::Interleaved, Sizes::default(), 24, 5, 1, SEVEN_MINUTES);
        assert_eq!(interleaved.window_s, None);
        let window = Sizes { window: Some(2.0), ..Sizes::default() };
        let coscheduled = fit(DesignKind::Coscheduled, window, 24, 5, 1, SEVEN_MINUTES);
        assert_eq!(coscheduled.window_s, Some(2.0));
        assert!(round_duration(&interleaved, 24, 5, 2) < round_duration(&interleaved, 24, 5, 1));
    }

    #[test]
    fn warm_ups_last_a_while_where_there_is_time_for_that_and_nobody_counted_them() {
        let hour = |sizes| fit(DesignKind::Interleaved, sizes, 95, 6, 2, Duration::from_mins(75));
        assert_eq!(hour(Sizes::default()).warmup_s, Some(WARMUP));
        assert_eq!(hour(Sizes { warmups: Some(3), ..Sizes::default() }).warmup_s, None);
        assert_eq!(hour(Sizes { values: Some(3), ..Sizes::default() }).warmup_s, None);
        assert_eq!(hour(Sizes { quick: true, ..Sizes::default() }).warmup_s, None);
        let short = fit(DesignKind::Interleaved, Sizes::default(), 43, 5, 1, SEVEN_MINUTES);
        assert_eq!((short.warmup_s, short.rounds), (None, MIN_ROUNDS));
        let shared = fit(DesignKind::Coscheduled, Sizes::default(), 4, 5, 1, SEVEN_MINUTES);
        assert_eq!(shared.warmup_s, None, "its warm-up follows from the window");
    }

    #[test]
    fn a_folder_without_git_has_no_commit() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(checkout(dir.path()), (None, false));
        let repository = Repository::init(dir.path()).unwrap();
        std::fs::write(dir.path().join("new"), "").unwrap();
        assert_eq!(checkout(dir.path()), (None, true));
        drop(repository);
    }
}
