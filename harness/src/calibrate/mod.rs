//! Calibration: what the gate's answers are worth, measured where the truth is known.
//!
//! Two equal sides are compared again and again (A/A), and again with one workload slowed down by a known share. How often
//! the gate fails an unchanged build, how often it catches the slow-down and how often the intervals hold the truth are
//! its error rates. The same data goes through the rules of other harnesses ([`others`]), whose rates stand beside. The
//! data comes from noise models ([`noise`]) and from the A/A tiers of real runs ([`real`]).
//!
//! The gate here is [`crate::gate`]: [`decide`](crate::gate::decide::decide) on simulated figures, not a model of it.

pub mod noise;
pub mod others;
pub mod real;
mod trial;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::gate::Thresholds;
use noise::Noise;
pub use trial::Experiment;
use trial::{Tally, Trial};

/// The slow-downs that are injected; 0 is A/A.
pub const EFFECTS: [f64; 5] = [0.0, 0.01, 0.02, 0.05, 0.10];

/// Rounds at which the intervals' coverage is counted.
pub const COVERAGE_ROUNDS: [u32; 4] = [3, 5, 10, 20];

/// What the gate is to keep: at most this share of false failures.
pub const MOST_FALSE_FAILURES: f64 = 0.01;

/// Where the coverage of a 95 % interval has to lie.
pub const COVERAGE: (f64, f64) = (0.94, 0.96);

/// The slow-down that has to be caught, and how often.
pub const CAUGHT: (f64, f64) = (0.05, 0.90);

/// How much to simulate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Simulated runs per noise model.
    pub runs: usize,
    /// Workloads of a run, of which one is slowed down.
    pub workloads: usize,
    /// Values per process.
    pub values: usize,
    /// Seed of everything; the same seed gives the same figures on any number of threads.
    pub seed: u64,
    /// Threads.
    pub jobs: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { runs: 4000, workloads: 20, values: 5, seed: 1, jobs: 1 }
    }
}

/// How often something happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Times it happened.
    pub hits: u64,
    /// Times it could have.
    pub total: u64,
}

impl Rate {
    pub(crate) fn count(&mut self, hit: bool) {
        self.total += 1;
        self.hits += u64::from(hit);
    }

    fn add(&mut self, other: Self) {
        self.total += other.total;
        self.hits += other.hits;
    }

    /// The share; NaN of nothing.
    pub fn share(self) -> f64 {
        self.hits as f64 / self.total as f64
    }

    /// Wilson's 95 % interval of the share.
    pub fn interval(self) -> (f64, f64) {
        const Z: f64 = 1.96;
        let (n, p) = (self.total as f64, self.share());
        let centre = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        (((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0))
    }
}

/// What became of one effect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// How much slower one workload was made; 0 for A/A.
    pub slower_by: f64,
    /// The gate failed.
    pub fail: Rate,
    /// The gate passed.
    pub pass: Rate,
    /// The gate was still open after the last look.
    pub open: Rate,
    /// Rounds until the gate's answer, on average.
    pub rounds: f64,
    /// `pyperf compare_to` called some workload significantly slower.
    pub pyperf: Rate,
    /// `pyperf compare_to` called the workload in question significantly different.
    pub pyperf_workload: Rate,
    /// `bench_runner`'s HPT called the suite slower with a reliability of at least 95 %.
    pub hpt: Rate,
    /// Some workload's mean was more than 5 % slower.
    pub naive: Rate,
}

/// How often 95 % intervals hold the truth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// After so many rounds.
    pub rounds: u32,
    /// Intervals of single workloads.
    pub workload: Rate,
    /// Intervals of the suite's geometric mean.
    pub suite: Rate,
}

/// One source of data, calibrated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name: a noise model's, or a run's.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Whether it is a real run. A run has the noise that it has: catching and coverage are what they are there, and only
    /// false failures are held against the gate.
    pub real: bool,
    /// Standard deviation of a pair's log ratio, median over workloads.
    pub pair_sd: f64,
    /// A/A first, then the slow-downs.
    pub effects: Vec<Effect>,
    /// The intervals.
    pub coverage: Vec<Coverage>,
    /// Share of unchanged workloads that `pyperf compare_to` calls significantly different, in this data.
    pub pyperf_null: Rate,
    /// The same where one side is measured after the other, with pyperf's own 20 processes of 3 values; simulated only.
    pub pyperf_sequential: Rate,
    /// Share of unchanged workloads that pass HPT's test of a single benchmark as different.
    pub hpt_null: Rate,
}

impl Source {
    /// What isn't kept of [`MOST_FALSE_FAILURES`], [`COVERAGE`] and [`CAUGHT`], each in a sentence.
    pub fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        for effect in &self.effects {
            if effect.slower_by == 0.0 && effect.fail.share() > MOST_FALSE_FAILURES {
                misses.push(format!("{}: an unchanged build fails in {} of runs", self.name, percent(effect.fail.share())));
            }
            if !self.real && (effect.slower_by - CAUGHT.0).abs() < 1e-9 && effect.fail.share() < CAUGHT.1 {
                misses.push(format!("{}: a slow-down of 5 % is caught in {} of runs", self.name, percent(effect.fail.share())));
            }
        }
        for c in self.coverage.iter().filter(|_| !self.real) {
            for (what, rate) in [("a workload", c.workload), ("the suite", c.suite)] {
                // Outside for sure, beyond what so many simulated runs can tell.
                let (low, high) = rate.interval();
                if rate.total > 0 && (high < COVERAGE.0 || low > COVERAGE.1) {
                    let covered = percent(rate.share());
                    misses.push(format!("{}: intervals of {what} cover {covered} after {} rounds", self.name, c.rounds));
                }
            }
        }
        misses
    }
}

/// A calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Version of the tool whose gate it is.
    pub tool_version: String,
    /// The thresholds.
    pub thresholds: Thresholds,
    /// Simulated runs per noise model.
    pub runs: usize,
    /// Workloads of a simulated run.
    pub workloads: usize,
    /// Values per simulated process.
    pub values: usize,
    /// The seed.
    pub seed: u64,
    /// The noise models.
    pub simulated: Vec<Source>,
    /// The real runs.
    pub real: Vec<Source>,
}

/// Simulates every noise model of `models`. `progress` hears of runs done; `stop` ends it early with what there is.
pub fn simulate(
    models: &[Noise],
    thresholds: &Thresholds,
    settings: Settings,
    stop: &(dyn Fn() -> bool + Sync),
    progress: &(dyn Fn(u64) + Sync),
) -> Vec<Source> {
    models.iter().enumerate().map(|(index, model)| simulate_one(*model, index, thresholds, settings, stop, progress)).collect()
}

fn simulate_one(
    model: Noise,
    index: usize,
    thresholds: &Thresholds,
    settings: Settings,
    stop: &(dyn Fn() -> bool + Sync),
    progress: &(dyn Fn(u64) + Sync),
) -> Source {
    let trial = Trial::new(thresholds, u32::MAX);
    let rounds = trial.last_look().max(COVERAGE_ROUNDS[COVERAGE_ROUNDS.len() - 1]) as usize;
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= settings.runs || stopped.load(Ordering::Relaxed) {
                return tally;
            }
            if stop() {
                stopped.store(true, Ordering::Relaxed);
            }
            // A stream of its own for each run, whichever thread draws from it.
            let seed = settings.seed ^ (index as u64) << 56 ^ (run as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let experiment = model.experiment(seed, settings.workloads, rounds, settings.values);
            trial.count(&experiment, run % settings.workloads, &mut tally);
            tally.sequential.add(model.sequential(seed ^ 0x5bd1_e995, others::is_significant));
            progress(1);
        }
    };
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..settings.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut all = Tally::default();
    for tally in &tallies {
        all.add(tally);
    }
    all.source(model.name.to_owned(), model.description())
}
