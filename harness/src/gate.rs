//! The gate: criteria with thresholds, judged with three answers.
//!
//! A criterion *passes* when the run shows that it holds, *fails* when the run shows that it doesn't, and is
//! *inconclusive* otherwise, with the rounds that would decide it. Its threshold is held against the same
//! two-sided interval that the tables print, so that nobody has to reconcile two intervals.
//!
//! Criteria stand for themselves. The check of single workloads for regressions is many tests at once, and so
//! uses Holm's correction: a gate that fails when any of forty workloads looks 5 % slower fails an unchanged
//! build two times in three.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::analysis::{AnalysisError, Estimate, Options, RunData, TierResult, WorkloadResult};
use crate::stats::multiple;
use crate::stats::paired::{Decision, MIN_PAIRS, POWER, required_pairs};

/// The thresholds file: `ci/gate.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// 1 - confidence of each decision.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// Rounds at which a growing run is looked at; each look gets an equal part of `alpha`. Empty for a run
    /// of a fixed length.
    #[serde(default)]
    pub looks: Vec<u32>,
    /// The criteria.
    #[serde(default, rename = "criterion")]
    pub criteria: Vec<Criterion>,
}

fn default_alpha() -> f64 {
    0.05
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
        if thresholds.criteria.is_empty() {
            return Err("there is no [[criterion]], so every run would pass".to_owned());
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

    /// The part of `alpha` that one look gets.
    fn alpha_per_look(&self) -> f64 {
        self.alpha / self.looks.len().max(1) as f64
    }
}

/// Judges a run.
pub fn judge(data: &RunData, thresholds: &Thresholds) -> Result<Judgement, GateError> {
    let options = Options { alpha: thresholds.alpha_per_look(), ..Options::default() };
    let analysis = data.analyse(options)?;
    let broken: Vec<String> = analysis
        .failures()
        .map(|(tier, workload, f)| {
            let round = f.round.map(|r| format!(", round {r}")).unwrap_or_default();
            format!("{workload} on {tier}{round} {}: {}", f.kind.describe(), f.message)
        })
        .collect();
    let outcomes: Vec<Outcome> = thresholds.criteria.iter().map(|c| outcome(data, c, options)).collect::<Result<_, _>>()?;

    let any = |answer| outcomes.iter().any(|o| o.answer == answer);
    let answer = if !broken.is_empty() {
        Answer::Broken
    } else if any(Answer::Fail) {
        Answer::Fail
    } else if any(Answer::Inconclusive) || !any(Answer::Pass) {
        Answer::Inconclusive
    } else {
        Answer::Pass
    };
    let open: Vec<Option<u32>> =
        outcomes.iter().filter(|o| o.answer == Answer::Inconclusive).map(|o| o.rounds_to_decide).collect();
    let rounds = open.iter().copied().collect::<Option<Vec<u32>>>().and_then(|all| all.into_iter().max());
    Ok(Judgement {
        run_id: data.manifest.run_id.clone(),
        answer,
        outcomes,
        broken,
        rounds_to_decide: rounds.map(|r| next_look(&thresholds.looks, r)),
    })
}

/// The first planned look that has as many rounds; the number itself when none is planned.
fn next_look(looks: &[u32], rounds: u32) -> u32 {
    looks.iter().copied().filter(|l| *l >= rounds).min().unwrap_or(rounds)
}

fn outcome(data: &RunData, criterion: &Criterion, options: Options) -> Result<Outcome, GateError> {
    let against = criterion.against.as_ref().unwrap_or(&data.manifest.baseline);
    let absent: Vec<&str> =
        [&criterion.tier, against].into_iter().filter(|t| data.manifest.tier(t).is_none()).map(String::as_str).collect();
    if !absent.is_empty() {
        let finding = format!("the run has no tier {}; measure with it to decide this", absent.join(" and no tier "));
        let answer = if criterion.optional { Answer::Skipped } else { Answer::Inconclusive };
        return Ok(Outcome { criterion: criterion.clone(), answer, finding, estimate: None, rounds_to_decide: None });
    }
    let result = data.compare(&criterion.tier, against, options)?;
    let (answer, finding, rounds_to_decide) = decide(&result, criterion.require, options.alpha);
    let estimate = match criterion.require {
        Requirement::Memory { .. } => result.memory,
        Requirement::GeometricMean { .. } | Requirement::Unchanged { .. } | Requirement::Control { .. } => result.suite,
        Requirement::Count { .. } | Requirement::Worst { .. } | Requirement::NoRegression { .. } => None,
    };
    let finding = format!("{} against {against}: {finding}", criterion.tier);
    let rounds_to_decide = rounds_to_decide.filter(|_| answer == Answer::Inconclusive);
    Ok(Outcome { criterion: criterion.clone(), answer, finding, estimate, rounds_to_decide })
}

type Decided = (Answer, String, Option<u32>);

fn decide(result: &TierResult, require: Requirement, alpha: f64) -> Decided {
    match require {
        Requirement::GeometricMean { at_least } => with_estimate(result.suite.as_ref(), |e| suite_at_least(e, at_least, alpha)),
        Requirement::Memory { at_most } => with_estimate(result.memory.as_ref(), |e| {
            // At most, on the ratio, is at least on its inverse.
            let inverse = Estimate { log_mean: -e.log_mean, ..e.clone() };
            let (answer, _, rounds) = suite_at_least(&inverse, 1.0 / at_most, alpha);
            (answer, format!("{} where at most {at_most:.3} is asked for", shown(e)), rounds)
        }),
        Requirement::Unchanged { within } => with_estimate(result.suite.as_ref(), |e| unchanged(e, within, alpha)),
        Requirement::Control { within } => with_estimate(result.suite.as_ref(), |e| control(e, within, alpha)),
        Requirement::Count { at_least, workloads } => count(result, at_least, workloads, alpha),
        Requirement::Worst { at_least } => worst(result, at_least, alpha),
        Requirement::NoRegression { beyond } => no_regression(result, beyond, alpha),
    }
}

fn with_estimate(estimate: Option<&Estimate>, decide: impl Fn(&Estimate) -> Decided) -> Decided {
    match estimate {
        None => (Answer::Inconclusive, "no round has a result of every workload".to_owned(), None),
        Some(e) if e.ci.is_none() => {
            let finding = format!("{:.3} from {} rounds, of which at least {MIN_PAIRS} are needed", e.ratio, e.pairs);
            (Answer::Inconclusive, finding, Some(MIN_PAIRS as u32))
        }
        Some(e) => decide(e),
    }
}

fn shown(e: &Estimate) -> String {
    let (low, high) = e.ci.unwrap_or((f64::NAN, f64::NAN));
    format!("{:.3} [{low:.3}, {high:.3}]", e.ratio)
}

fn answer(decision: Decision) -> Answer {
    match decision {
        Decision::Holds => Answer::Pass,
        Decision::Fails => Answer::Fail,
        Decision::Inconclusive => Answer::Inconclusive,
    }
}

/// The rounds that would tell an estimate from a bound, if what was seen is the truth.
fn rounds_for(e: &Estimate, log_bound: f64, alpha: f64) -> Option<u32> {
    if e.pairs < MIN_PAIRS {
        return Some(MIN_PAIRS as u32);
    }
    let needed = required_pairs(e.log_sd?, (e.log_mean - log_bound).abs(), alpha, POWER)?;
    // The formula may say what is there already, for a power below 1.
    Some(needed.max(e.pairs as u32 + 1))
}

fn suite_at_least(e: &Estimate, bound: f64, alpha: f64) -> Decided {
    let decision = e.paired().at_least(bound.ln(), alpha / 2.0);
    let finding = format!("{} where at least {bound:.3} is asked for", shown(e));
    (answer(decision), finding, rounds_for(e, bound.ln(), alpha))
}

fn unchanged(e: &Estimate, within: f64, alpha: f64) -> Decided {
    let margin = within.ln_1p();
    let paired = e.paired();
    let not_slower = paired.at_least(-margin, alpha / 2.0);
    // Not faster by more than the margin: not at least the margin.
    let not_faster = match paired.at_least(margin, alpha / 2.0) {
        Decision::Holds => Decision::Fails,
        Decision::Fails => Decision::Holds,
        Decision::Inconclusive => Decision::Inconclusive,
    };
    let decision = match (not_slower, not_faster) {
        (Decision::Holds, Decision::Holds) => Decision::Holds,
        (Decision::Fails, _) | (_, Decision::Fails) => Decision::Fails,
        _ => Decision::Inconclusive,
    };
    let nearer = if e.log_mean < 0.0 { -margin } else { margin };
    let finding = format!("{} where 1 within {:.1} % is asked for", shown(e), within * 100.0);
    (answer(decision), finding, rounds_for(e, nearer, alpha))
}

fn control(e: &Estimate, within: f64, alpha: f64) -> Decided {
    let (low, high) = e.ci.unwrap_or((f64::NAN, f64::NAN));
    let holds = (low..=high).contains(&1.0) || unchanged(e, within, alpha).0 == Answer::Pass;
    let finding = format!("{} where an interval that holds 1, or 1 within {:.1} %, is asked for", shown(e), within * 100.0);
    (if holds { Answer::Pass } else { Answer::Fail }, finding, None)
}

fn estimates(result: &TierResult) -> Vec<(&WorkloadResult, &Estimate)> {
    result.workloads.iter().filter_map(|w| Some((w, w.speedup.as_ref()?))).collect()
}

fn count(result: &TierResult, bound: f64, workloads: usize, alpha: f64) -> Decided {
    let known = estimates(result);
    let with = |decision| known.iter().filter(|(_, e)| e.paired().at_least(bound.ln(), alpha / 2.0) == decision).count();
    let shown = with(Decision::Holds);
    let possible = shown + with(Decision::Inconclusive) + result.left_out.len();
    let answer = if shown >= workloads {
        Answer::Pass
    } else if possible < workloads {
        Answer::Fail
    } else {
        Answer::Inconclusive
    };
    // The easiest to decide among the open ones settle it, as many as are lacking.
    let mut rounds: Vec<u32> = known
        .iter()
        .filter(|(_, e)| e.paired().at_least(bound.ln(), alpha / 2.0) == Decision::Inconclusive)
        .filter_map(|(_, e)| rounds_for(e, bound.ln(), alpha))
        .collect();
    rounds.sort_unstable();
    let needed = rounds.get(workloads.saturating_sub(shown + 1)).copied();
    let finding = format!("{shown} workloads are shown to reach {bound:.3}, {possible} may; {workloads} are asked for");
    (answer, finding, needed)
}

fn worst(result: &TierResult, bound: f64, alpha: f64) -> Decided {
    let known = estimates(result);
    let p: Vec<f64> = known.iter().map(|(_, e)| e.paired().p_below(bound.ln()).unwrap_or(1.0)).collect();
    let below: Vec<&str> = known
        .iter()
        .zip(multiple::holm(&p))
        .filter(|(_, adjusted)| *adjusted <= alpha / 2.0)
        .map(|((w, _), _)| w.name.as_str())
        .collect();
    if !below.is_empty() {
        return (Answer::Fail, format!("below {bound:.3}: {}", below.join(", ")), None);
    }
    // Every workload has to be shown above the bound, so each test may use the whole level.
    let open: Vec<&(&WorkloadResult, &Estimate)> =
        known.iter().filter(|(_, e)| e.paired().at_least(bound.ln(), alpha / 2.0) != Decision::Holds).collect();
    if open.is_empty() && result.left_out.is_empty() && !known.is_empty() {
        let worst = result.extreme(false).map_or_else(String::new, |w| {
            let figure = w.speedup.as_ref().map_or_else(String::new, shown);
            format!("; the least is {} with {figure}", w.name)
        });
        return (Answer::Pass, format!("all {} workloads are shown to reach {bound:.3}{worst}", known.len()), None);
    }
    let rounds = open.iter().map(|(_, e)| rounds_for(e, bound.ln(), alpha)).collect::<Option<Vec<_>>>();
    let names: Vec<&str> = open.iter().map(|(w, _)| w.name.as_str()).chain(result.left_out.iter().map(String::as_str)).collect();
    let finding = format!("not yet shown to reach {bound:.3}: {}", names.join(", "));
    (Answer::Inconclusive, finding, rounds.and_then(|r| r.into_iter().max()))
}

fn no_regression(result: &TierResult, beyond: f64, alpha: f64) -> Decided {
    let known = estimates(result);
    let bound = -beyond.ln_1p();
    let p: Vec<Option<f64>> = known.iter().map(|(_, e)| e.paired().p_below(bound)).collect();
    let Some(p) = p.into_iter().collect::<Option<Vec<f64>>>().filter(|p| !p.is_empty()) else {
        let finding = format!("some workload has fewer than {MIN_PAIRS} rounds");
        return (Answer::Inconclusive, finding, Some(MIN_PAIRS as u32));
    };
    let slower: Vec<&str> = known
        .iter()
        .zip(multiple::holm(&p))
        .filter(|(_, adjusted)| *adjusted <= alpha)
        .map(|((w, _), _)| w.name.as_str())
        .collect();
    let percent = beyond * 100.0;
    if !slower.is_empty() {
        return (Answer::Fail, format!("slower by more than {percent:.1} %: {}", slower.join(", ")), None);
    }
    let safe = known.iter().filter(|(_, e)| e.paired().non_inferior(beyond, alpha) == Decision::Holds).count();
    let finding = format!(
        "no workload is shown to be slower by more than {percent:.1} %; {safe} of {} are shown not to be",
        result.workloads.len()
    );
    (Answer::Pass, finding, None)
}
