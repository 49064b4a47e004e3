//! The gate: criteria with thresholds, judged with three answers.
//!
//! A criterion *passes* when the run shows that it holds, *fails* when the run shows that it doesn't, and is
//! *inconclusive* otherwise, with the rounds that would decide it. Its threshold is held against the same
//! two-sided interval that the tables print, so that nobody has to reconcile two intervals.
//!
//! Criteria stand for themselves. The check of single workloads for regressions is many tests at once, and so
//! uses Holm's correction: a gate that fails when any of forty workloads looks 5 % slower fails an unchanged
//! build two times in three.
//!
//! Criteria that an unchanged build must not fail (*guards*: the control, no change, no regression) share one rate of
//! false failures, far below the intervals' alpha: who is blamed for noise stops listening. `cargo xtask calibrate`
//! measures what comes of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub mod baseline;
pub mod decide;

use self::decide::{Figures, Levels, decide, of_part};
use crate::analysis::{AnalysisError, Estimate, Options, RunData};
use crate::criteria::{Assessment, Status};
use crate::stats::paired::MIN_PAIRS;
use crate::workloads;

/// The thresholds file: `ci/gate.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// 1 - confidence of each decision.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// The chance that an unchanged build fails, over all guards and looks together.
    #[serde(default = "default_false_failure")]
    pub false_failure: f64,
    /// Rounds at which `measure --until-decided` looks at its run; each look gets an equal part of `alpha`. A run of a
    /// fixed length is looked at once, whatever stands here.
    #[serde(default)]
    pub looks: Vec<u32>,
    /// Against a committed baseline, how much slower a workload may become.
    #[serde(default = "default_baseline_beyond")]
    pub baseline_beyond: f64,
    /// The same of a tier's geometric mean.
    #[serde(default = "default_baseline_beyond_suite")]
    pub baseline_beyond_suite: f64,
    /// The criteria.
    #[serde(default, rename = "criterion")]
    pub criteria: Vec<Criterion>,
}

fn default_alpha() -> f64 {
    0.05
}

fn default_baseline_beyond() -> f64 {
    0.05
}

fn default_baseline_beyond_suite() -> f64 {
    0.01
}

fn default_false_failure() -> f64 {
    0.01
}

/// One criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// Its name, for people.
    pub name: String,
    /// The tier it is about.
    pub tier: String,
    /// The tier to compare with; the run's baseline when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// A run without one of the tiers passes over the criterion instead of leaving it open.
    #[serde(default)]
    pub optional: bool,
    /// What has to hold.
    pub require: Requirement,
}

/// What has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Requirement {
    /// The suite's geometric mean is at least this: 1.8 asks for 1.8x, 0.97 for non-inferiority.
    GeometricMean {
        /// The bound.
        at_least: f64,
    },
    /// At least `workloads` workloads have a speed-up of at least `at_least`.
    Count {
        /// The bound.
        at_least: f64,
        /// How many.
        workloads: usize,
    },
    /// No workload's speed-up is below this.
    Worst {
        /// The bound.
        at_least: f64,
    },
    /// The suite's geometric mean is within this share of 1: 0.01 is 1 %.
    Unchanged {
        /// The margin.
        within: f64,
    },
    /// The baseline against itself: the suite's interval holds 1, or lies within this share of it.
    Control {
        /// The margin.
        within: f64,
    },
    /// No workload is slower by more than this share, tested over all of them with Holm's correction. It
    /// fails only on a regression that is shown, and so never holds a change up for want of rounds.
    NoRegression {
        /// The margin.
        beyond: f64,
    },
    /// The suite's memory ratio is at most this.
    Memory {
        /// The bound.
        at_most: f64,
    },
}

impl Requirement {
    /// Whether an unchanged build has to pass: it is then compared with no difference, not with a gain.
    pub fn is_guard(self) -> bool {
        match self {
            Self::GeometricMean { at_least } | Self::Worst { at_least } | Self::Count { at_least, .. } => at_least <= 1.0,
            Self::Unchanged { .. } | Self::Control { .. } | Self::NoRegression { .. } => true,
            Self::Memory { at_most } => at_most >= 1.0,
        }
    }
}

impl Requirement {
    /// Whether it is about each workload, and so is many tests at once.
    pub fn is_family(self) -> bool {
        matches!(self, Self::Worst { .. } | Self::Count { .. } | Self::NoRegression { .. })
    }
}

/// A criterion's or the gate's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Shown to hold.
    Pass,
    /// Shown not to hold.
    Fail,
    /// Not decided by this run.
    Inconclusive,
    /// Passed over: the run has no such tier, and the criterion is optional.
    Skipped,
    /// The run can't be judged: a worker failed, or a JIT gave no proof of activity.
    Broken,
}

impl Answer {
    /// The process exit code: 0 pass, 1 fail, 3 inconclusive, 4 broken. 2 is for usage errors.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass | Self::Skipped => 0,
            Self::Fail => 1,
            Self::Inconclusive => 3,
            Self::Broken => 4,
        }
    }

    /// The answer in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Inconclusive => "inconclusive",
            Self::Skipped => "skipped",
            Self::Broken => "BROKEN",
        }
    }
}

/// A criterion's outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The criterion.
    pub criterion: Criterion,
    /// Its answer.
    pub answer: Answer,
    /// What was found, and against which bound, in a sentence.
    pub finding: String,
    /// The suite's estimate, for criteria about the suite.
    pub estimate: Option<Estimate>,
    /// The rounds that would decide it, when it is inconclusive and some number would.
    pub rounds_to_decide: Option<u32>,
}

/// What the gate says about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The run.
    pub run_id: String,
    /// The gate's answer.
    pub answer: Answer,
    /// Each criterion, in the file's order.
    pub outcomes: Vec<Outcome>,
    /// Why the run is broken, if it is: one line per failed process.
    pub broken: Vec<String>,
    /// The rounds that would decide every criterion left open, if any is and some number would.
    pub rounds_to_decide: Option<u32>,
    /// What the run says about the criteria of the PEPs. They don't bear on the answer unless they were asked for.
    #[serde(default)]
    pub criteria: Vec<Assessment>,
    /// Those of them, by id, that count for the answer.
    #[serde(default)]
    pub required: Vec<String>,
}

impl Judgement {
    /// Adds an outcome, which counts for the answer.
    pub fn push(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
        if self.answer != Answer::Broken {
            self.answer = overall(&self.outcomes.iter().map(|o| o.answer).collect::<Vec<_>>());
        }
    }

    /// Adds what the run says about the criteria of the PEPs. Those named in `binding` count for the answer: one that isn't
    /// met fails the gate, one that is open or wasn't measured leaves it open.
    pub fn add(&mut self, criteria: Vec<Assessment>, binding: &[String]) {
        let mut answers: Vec<Answer> = self.outcomes.iter().map(|o| o.answer).collect();
        answers.extend(criteria.iter().filter(|a| binding.contains(&a.criterion.id)).map(|a| match a.status {
            Status::Met | Status::NoLimit => Answer::Pass,
            Status::NotMet => Answer::Fail,
            Status::Inconclusive | Status::NotMeasured => Answer::Inconclusive,
        }));
        if self.answer != Answer::Broken {
            self.answer = overall(&answers);
        }
        self.criteria = criteria;
        self.required = binding.to_vec();
    }
}

/// Why there is no judgement.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum GateError {
    #[error("cannot read the thresholds {path}: {source}. Give the file with --thresholds")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the thresholds {path} are not valid: {message}")]
    Parse { path: PathBuf, message: String },
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
}

impl Thresholds {
    /// Reads and checks a thresholds file.
    pub fn load(path: &Path) -> Result<Self, GateError> {
        let text = std::fs::read_to_string(path).map_err(|source| GateError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|message| GateError::Parse { path: path.to_owned(), message })
    }

    /// Parses and checks the text of a thresholds file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let thresholds: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        if !(thresholds.alpha > 0.0 && thresholds.alpha < 0.5) {
            return Err(format!("alpha is {}, and must be between 0 and 0.5", thresholds.alpha));
        }
        if !(thresholds.false_failure > 0.0 && thresholds.false_failure <= thresholds.alpha) {
            return Err(format!("false_failure is {}, and must be above 0 and at most alpha", thresholds.false_failure));
        }
        if !thresholds.looks.is_sorted_by(|a, b| a < b) || thresholds.looks.first().is_some_and(|r| *r < MIN_PAIRS as u32) {
            return Err(format!("looks are {:?}, and must ascend from {MIN_PAIRS} or more", thresholds.looks));
        }
        if thresholds.criteria.is_empty() {
            return Err("there is no [[criterion]], so every run would pass".to_owned());
        }
        for (name, share) in
            [("baseline_beyond", thresholds.baseline_beyond), ("baseline_beyond_suite", thresholds.baseline_beyond_suite)]
        {
            if !(share.is_finite() && share > 0.0) {
                return Err(format!("{name} is {share}, and must be above 0"));
            }
        }
        for c in &thresholds.criteria {
            let bound = match c.require {
                Requirement::GeometricMean { at_least }
                | Requirement::Count { at_least, .. }
                | Requirement::Worst { at_least } => at_least,
                Requirement::Memory { at_most } => at_most,
                Requirement::Unchanged { within } | Requirement::Control { within } => within,
                Requirement::NoRegression { beyond } => beyond,
            };
            if !(bound.is_finite() && bound > 0.0) {
                return Err(format!("criterion {:?} has the bound {bound}, which must be above 0", c.name));
            }
        }
        Ok(thresholds)
    }

    /// The error rates of one decision, when a run is looked at so many times.
    ///
    /// Guards over many workloads share three quarters of the false failures, those about the suite one quarter: a family
    /// of tests needs more of the rate than a single test to see equally small changes. Where there is one sort only, it
    /// has all.
    pub fn levels(&self, looks: usize) -> Levels {
        let guards = |many: bool| self.criteria.iter().filter(|c| c.require.is_guard() && c.require.is_family() == many).count();
        let (single, families) = (guards(false), guards(true));
        let share = |count: usize, part: f64, others: usize| if others == 0 { 1.0 } else { part } / count.max(1) as f64;
        Levels::new(
            self.alpha,
            self.false_failure * share(single, 0.25, families),
            self.false_failure * share(families, 0.75, single),
            looks,
        )
    }
}

/// Judges a run.
pub fn judge(data: &RunData, thresholds: &Thresholds) -> Result<Judgement, GateError> {
    let looks = &data.manifest.design.looks;
    let levels = thresholds.levels(looks.len());
    let analysis = data.analyse(Options { alpha: thresholds.alpha, ..Options::default() })?;
    let options = analysis.options;
    let broken: Vec<String> = analysis
        .failures()
        .map(|(tier, workload, f)| {
            let round = f.round.map(|r| format!(", round {r}")).unwrap_or_default();
            format!("{workload} on {tier}{round} {}: {}", f.kind.describe(), f.message)
        })
        .collect();
    let outcomes: Vec<Outcome> =
        thresholds.criteria.iter().map(|c| outcome(data, c, options, levels)).collect::<Result<_, _>>()?;

    let answers: Vec<Answer> = outcomes.iter().map(|o| o.answer).collect();
    let answer = if broken.is_empty() { overall(&answers) } else { Answer::Broken };
    let open: Vec<Option<u32>> =
        outcomes.iter().filter(|o| o.answer == Answer::Inconclusive).map(|o| o.rounds_to_decide).collect();
    let rounds = open.iter().copied().collect::<Option<Vec<u32>>>().and_then(|all| all.into_iter().max());
    Ok(Judgement {
        run_id: data.manifest.run_id.clone(),
        answer,
        outcomes,
        broken,
        rounds_to_decide: rounds.map(|r| next_look(looks, r)),
        criteria: Vec::new(),
        required: Vec::new(),
    })
}

/// The gate's answer from those of its criteria.
pub fn overall(answers: &[Answer]) -> Answer {
    let any = |answer| answers.contains(&answer);
    if any(Answer::Fail) {
        Answer::Fail
    } else if any(Answer::Inconclusive) || !any(Answer::Pass) {
        Answer::Inconclusive
    } else {
        Answer::Pass
    }
}

/// The first planned look that has as many rounds; the number itself when none is planned.
fn next_look(looks: &[u32], rounds: u32) -> u32 {
    looks.iter().copied().filter(|l| *l >= rounds).min().unwrap_or(rounds)
}

fn outcome(data: &RunData, criterion: &Criterion, options: Options, levels: Levels) -> Result<Outcome, GateError> {
    let against = criterion.against.as_ref().unwrap_or(&data.manifest.baseline);
    let absent: Vec<&str> =
        [&criterion.tier, against].into_iter().filter(|t| data.manifest.tier(t).is_none()).map(String::as_str).collect();
    if !absent.is_empty() {
        let finding = format!("the run has no tier {}; measure with it to decide this", absent.join(" and no tier "));
        let answer = if criterion.optional { Answer::Skipped } else { Answer::Inconclusive };
        return Ok(Outcome { criterion: criterion.clone(), answer, finding, estimate: None, rounds_to_decide: None });
    }
    let result = data.compare(&criterion.tier, against, options)?;
    let mut decided = decide(&Figures::of(&result), criterion.require, levels);
    if workloads::is_part(&data.manifest.suite) {
        decided = of_part(decided, criterion.require);
    }
    let answer = decided.answer;
    let estimate = match criterion.require {
        Requirement::Memory { .. } => result.memory,
        Requirement::GeometricMean { .. } | Requirement::Unchanged { .. } | Requirement::Control { .. } => result.suite,
        Requirement::Count { .. } | Requirement::Worst { .. } | Requirement::NoRegression { .. } => None,
    };
    let finding = format!("{} against {against}: {}", criterion.tier, decided.finding);
    let rounds_to_decide = decided.rounds.filter(|_| answer == Answer::Inconclusive);
    Ok(Outcome { criterion: criterion.clone(), answer, finding, estimate, rounds_to_decide })
}
