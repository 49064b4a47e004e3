//! `history.json`: how the tiers' speed-ups moved from commit to commit.

use serde::{Deserialize, Serialize};

/// The version of `history.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// Its name in a run directory.
pub const FILE: &str = "history.json";

/// Runs ordered by the commits that they measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of the tool.
    pub tool_version: String,
    /// Probability that noise alone shows any move at all in one tier of one line.
    pub alpha: f64,
    /// Moves below this share aren't told.
    pub margin: f64,
    /// One per platform, processor, Python and suite: only these compare.
    pub lines: Vec<Line>,
    /// Runs that have no place in it, with the reason.
    pub left_out: Vec<LeftOut>,
}

/// The runs that compare with one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Target triple.
    pub platform: String,
    /// The processor.
    pub cpu_model: String,
    /// Version of the baseline's interpreter.
    pub python: String,
    /// Name of the suite.
    pub suite: String,
    /// The runs, in the order of their commits, older first; runs of one commit in the order of their times.
    pub runs: Vec<RunPoint>,
    /// The tiers, by name.
    pub tiers: Vec<TierHistory>,
}

/// A run as a point of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPoint {
    /// The run.
    pub run_id: String,
    /// When it began.
    pub created: String,
    /// The commit, hexadecimal.
    pub commit: String,
    /// The commit's day.
    pub date: String,
    /// The first line of the commit's message.
    pub summary: String,
    /// How many commits lie between the run before and this one, this one included; 0 for the first and for the same commit again.
    pub commits_since: usize,
    /// Whether the sources had changes that no commit has: what moved may be these.
    pub dirty: bool,
}

/// A tier over the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierHistory {
    /// The tier.
    pub tier: String,
    /// The suite's geometric mean, over the workloads that every run has.
    pub suite: Series,
    /// The workloads, by name.
    pub workloads: Vec<Series>,
    /// What moved, the largest first.
    pub moves: Vec<Move>,
}

/// A figure over the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The workload; `None` for the suite.
    pub workload: Option<String>,
    /// One per run of the line that has it.
    pub points: Vec<Point>,
    /// The stretches between moves, in order; one if nothing moved.
    pub segments: Vec<Segment>,
    /// Standard deviation, in logarithms, between runs beyond what the rounds inside each explain; `None` where there are too few runs to tell.
    pub between_runs_sd: Option<f64>,
}

/// A speed-up of one run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Index into [`Line::runs`].
    pub run: usize,
    /// The speed-up: above 1 is faster than the interpreter.
    pub ratio: f64,
    /// Its interval; `None` where the run has too few rounds.
    pub ci: Option<(f64, f64)>,
}

/// Runs between which nothing moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Index into [`Line::runs`] of its first run.
    pub from: usize,
    /// Index of its last run.
    pub to: usize,
    /// The speed-up over all of them.
    pub ratio: f64,
}

/// A change of a figure, and the commits that it lies in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// The workload; `None` for the suite.
    pub workload: Option<String>,
    /// Index into [`Line::runs`] of the last run before.
    pub before: usize,
    /// Index of the first run after.
    pub after: usize,
    /// Speed-up before.
    pub ratio_before: f64,
    /// Speed-up after.
    pub ratio_after: f64,
    /// After over before: above 1 is faster than before.
    pub change: f64,
    /// Its interval, at 95 %.
    pub ci: (f64, f64),
    /// The commits that it may come from, newest first, at most 20: one if each commit was measured.
    pub suspects: Vec<Suspect>,
    /// How many there are.
    pub suspects_total: usize,
}

/// A commit that may have moved a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The commit, hexadecimal.
    pub commit: String,
    /// The first line of its message.
    pub summary: String,
}

/// A run that has no place in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The run's folder.
    pub run: String,
    /// Why.
    pub reason: String,
}
