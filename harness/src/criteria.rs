//! Every criterion by which a JIT of CPython is judged, and what a run says about each.
//!
//! `pep-draft/criteria.toml` lists them with their sources. A run meets a criterion, doesn't, leaves it open (with the rounds
//! that would decide it) or hasn't measured it (with the command that would): nothing is passed over in silence. The
//! decisions are the gate's own ([`crate::gate::decide`]).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::analysis::{AnalysisError, Options, RunData, Share, TierResult, Verdict};
use crate::gate::decide::{Decided, Figures, Levels, decide, stands_for_suite};
use crate::gate::{Answer, Requirement};
use crate::stats::paired::Decision;
use crate::{compat, governance, workloads};

/// The version of the criteria file that this crate reads.
pub const CRITERIA_VERSION: u32 = 2;

/// Why the criteria can't be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum CriteriaError {
    #[error("cannot read the criteria {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the criteria {path} are not valid: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("there is no criterion {id}. {hint}")]
    Unknown { id: String, hint: String },
}

/// The criteria file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criteria {
    /// [`CRITERIA_VERSION`].
    pub schema_version: u32,
    /// The criteria.
    #[serde(rename = "criterion")]
    pub all: Vec<Criterion>,
}

/// One criterion. `pep-draft/README.md` explains the keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// Its name; stays the same for good.
    pub id: String,
    /// Where it is stated.
    pub source: String,
    /// What is measured: `family/what`.
    pub metric: String,
    /// What is judged.
    pub tier: String,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Target triples, or `any` for at least one.
    pub platforms: Vec<String>,
    /// The suite that its source means, where it matters; a run of another suite doesn't decide it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// The number.
    pub threshold: Threshold,
    /// Of the two-sided interval that has to lie on the right side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// When it has to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// The criterion in `ci/gate.toml` by which `cargo xtask gate` fails a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_by: Option<String>,
    /// What decides it, where that isn't a run of this tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The command that finds out, where that isn't `measure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// In a sentence.
    pub meaning: String,
}

/// What a criterion asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the same in all: the number, its unit, how many workloads")]
pub enum Threshold {
    /// The value or more.
    AtLeast {
        value: f64,
        unit: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workloads: Option<usize>,
    },
    /// The value or less.
    AtMost { value: f64, unit: String },
    /// More than the value.
    Above { value: f64, unit: String },
    /// So near to no difference.
    Within { value: f64, unit: String },
    /// A figure that was published, and no limit.
    Reported { value: f64, unit: String },
    /// A property.
    Yes,
    /// No number was given.
    Unstated,
}

impl Threshold {
    /// The number and its unit, where there is one.
    pub fn bound(&self) -> Option<(f64, &str)> {
        match self {
            Self::AtLeast { value, unit, .. }
            | Self::AtMost { value, unit }
            | Self::Above { value, unit }
            | Self::Within { value, unit }
            | Self::Reported { value, unit } => Some((*value, unit)),
            Self::Yes | Self::Unstated => None,
        }
    }
}

/// What a run says about a criterion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Shown to hold.
    Met,
    /// Shown not to hold.
    NotMet,
    /// Measured, and not decided.
    Inconclusive,
    /// Measured; its source states no limit.
    NoLimit,
    /// Not measured by this run.
    NotMeasured,
}

impl Status {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "NOT MET",
            Self::Inconclusive => "inconclusive",
            Self::NoLimit => "no limit stated",
            Self::NotMeasured => "not measured",
        }
    }
}

/// A criterion and what a run says about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// The criterion.
    pub criterion: Criterion,
    /// What the run says.
    pub status: Status,
    /// What was found or is lacking, in a sentence without a full stop.
    pub finding: String,
    /// For an inconclusive one, the rounds that would decide it, if some number would.
    pub rounds_to_decide: Option<u32>,
    /// For one that wasn't measured, the command that would, where there is one.
    pub command: Option<String>,
}

impl Criteria {
    /// Reads and checks a criteria file.
    pub fn load(path: &Path) -> Result<Self, CriteriaError> {
        let text = std::fs::read_to_string(path).map_err(|source| CriteriaError::Read { path: path.to_owned(), source })?;
        let parse = |message| CriteriaError::Parse { path: path.to_owned(), message };
        let criteria: Self = toml::from_str(&text).map_err(|e| parse(e.to_string()))?;
        criteria.check().map_err(parse)?;
        Ok(criteria)
    }

    fn check(&self) -> Result<(), String> {
        if self.schema_version != CRITERIA_VERSION {
            return Err(format!("schema_version is {}, and {CRITERIA_VERSION} is known", self.schema_version));
        }
        for (index, criterion) in self.all.iter().enumerate() {
            let id = &criterion.id;
            if self.all[..index].iter().any(|other| other.id == *id) {
                return Err(format!("{id} is there twice"));
            }
            if criterion.confidence.is_some_and(|share| !(0.5..1.0).contains(&share)) {
                return Err(format!("the confidence of {id} is not between 0.5 and 1"));
            }
            if criterion.threshold.bound().is_some_and(|(value, _)| !value.is_finite() || value < 0.0) {
                return Err(format!("the threshold of {id} is not a number from 0 on"));
            }
            if criterion.measure().is_none() && criterion.by.is_none() {
                return Err(format!("no run measures {:?} of {id}, so it has to say by what it is decided", criterion.metric));
            }
        }
        Ok(())
    }

    /// Those of these names.
    pub fn select(&self, ids: &[String]) -> Result<Self, CriteriaError> {
        let find = |id: &String| {
            let known = || self.all.iter().map(|c| c.id.as_str()).collect::<Vec<_>>().join(", ");
            let unknown = || CriteriaError::Unknown { id: id.clone(), hint: format!("Known: {}", known()) };
            self.all.iter().find(|c| c.id == *id).cloned().ok_or_else(unknown)
        };
        Ok(Self { schema_version: self.schema_version, all: ids.iter().map(find).collect::<Result<_, _>>()? })
    }
}

/// What a run can measure.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    /// What the gate decides.
    Gate(Requirement),
    /// A figure without a limit: the suite's speed, its memory, or when it breaks even.
    Figure(Figure),
    /// The share of workloads that are slower, at most.
    ShareSlower(f64),
    /// Iterations until break-even, median over workloads, at most.
    BreakEven(f64),
    /// The share of time in native code, at least.
    NativeTime(f64),
    /// Rows of the tool matrix that differ with the JIT, at most.
    ToolRegressions(f64),
    /// Tests of CPython that differ with the JIT, at most.
    CpythonTests(f64),
    /// People who are active and come back, in the stage that has the fewest: more than this.
    ActivePerStage(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Speed,
    Memory,
    BreakEven,
}

impl Criterion {
    /// How a run measures it; `None` if no run does.
    fn measure(&self) -> Option<Measure> {
        let figure = match self.metric.as_str() {
            "speed/geometric-mean" | "start-up/ratio" => Some(Figure::Speed),
            "memory/geometric-mean" => Some(Figure::Memory),
            "warm-up/break-even-iterations" => Some(Figure::BreakEven),
            _ => None,
        };
        if matches!(self.threshold, Threshold::Reported { .. } | Threshold::Unstated) {
            return figure.map(Measure::Figure);
        }
        let (value, _) = self.threshold.bound()?;
        Some(match (self.metric.as_str(), &self.threshold) {
            ("speed/geometric-mean", Threshold::AtLeast { .. }) => Measure::Gate(Requirement::GeometricMean { at_least: value }),
            ("speed/geometric-mean", Threshold::Within { .. }) => Measure::Gate(Requirement::Unchanged { within: value }),
            ("control/geometric-mean", Threshold::Within { .. }) => Measure::Gate(Requirement::Control { within: value }),
            ("speed/best", Threshold::AtLeast { .. }) => Measure::Gate(Requirement::Count { at_least: value, workloads: 1 }),
            ("speed/count", Threshold::AtLeast { workloads, .. }) => {
                Measure::Gate(Requirement::Count { at_least: value, workloads: workloads.unwrap_or(1) })
            }
            ("speed/worst", Threshold::AtLeast { .. }) => Measure::Gate(Requirement::Worst { at_least: value }),
            ("speed/no-regression", Threshold::AtMost { .. }) => Measure::Gate(Requirement::NoRegression { beyond: value }),
            ("memory/geometric-mean", Threshold::AtMost { .. }) => Measure::Gate(Requirement::Memory { at_most: value }),
            // A start-up is a time like any other: so much more of it is so much less speed.
            ("start-up/ratio", Threshold::AtMost { .. }) => Measure::Gate(Requirement::GeometricMean { at_least: 1.0 / value }),
            ("coverage/time-in-native-code", Threshold::AtLeast { .. }) => Measure::NativeTime(value),
            ("tooling/regressions", Threshold::AtMost { .. }) => Measure::ToolRegressions(value),
            ("compatibility/cpython-tests", Threshold::AtMost { .. }) => Measure::CpythonTests(value),
            ("maintenance/active-per-stage", Threshold::Above { .. }) => Measure::ActivePerStage(value),
            ("speed/share-slower", Threshold::AtMost { .. }) => Measure::ShareSlower(value),
            ("warm-up/break-even-iterations", Threshold::AtMost { .. }) => Measure::BreakEven(value),
            _ => return None,
        })
    }

    /// The suite that a run has to have.
    fn suite(&self) -> Option<&str> {
        if self.metric.starts_with("start-up/") { Some(workloads::START_UP) } else { self.suite.as_deref() }
    }

    /// The command that finds out.
    fn command(&self) -> String {
        if let Some(command) = &self.command {
            return command.clone();
        }
        let mut tiers = vec![crate::tiers::BASELINE, "interp-aa"];
        for tier in [self.baseline.as_deref(), Some(self.tier.as_str())].into_iter().flatten() {
            if !tiers.contains(&tier) {
                tiers.push(tier);
            }
        }
        let suite = self.suite().map(|suite| format!(" --suite {suite}")).unwrap_or_default();
        let coverage = if self.metric.starts_with("coverage/") { " --coverage 3" } else { "" };
        format!("cargo xtask measure{suite} --tiers {}{coverage}", tiers.join(","))
    }
}

/// What a run says about each criterion, in the file's order.
pub fn assess(criteria: &Criteria, data: &RunData) -> Result<Vec<Assessment>, AnalysisError> {
    criteria.all.iter().map(|criterion| one(criterion, data)).collect()
}

fn one(criterion: &Criterion, data: &RunData) -> Result<Assessment, AnalysisError> {
    let assessment = |status, finding: String, rounds_to_decide, command| {
        Ok(Assessment { criterion: criterion.clone(), status, finding, rounds_to_decide, command })
    };
    let lacking = |finding: String, command| assessment(Status::NotMeasured, finding, None, command);
    let Some(measure) = criterion.measure() else {
        let by = criterion.by.as_deref().unwrap_or("nothing that a run measures");
        return lacking(format!("decided by {by}"), criterion.command.clone());
    };
    let beside = |name| data.folder_of(name);
    let beside = match measure {
        Measure::ActivePerStage(more_than) => Some(active_per_stage(&beside(governance::FILE).join(governance::FILE), more_than)),
        Measure::ToolRegressions(most) => Some(compat::judge::regressions(beside(compat::FILE), &criterion.tier, most)),
        Measure::CpythonTests(most) => Some(compat::judge::cpython_tests(beside(compat::FILE), &criterion.tier, most)),
        _ => None,
    };
    if let Some(beside) = beside {
        return match beside {
            Ok((status, finding)) => assessment(status, finding, None, None),
            Err(cause) => lacking(
                format!("decided by {}: {cause}", criterion.by.as_deref().unwrap_or("history")),
                criterion.command.clone(),
            ),
        };
    }
    let against = criterion.baseline.as_deref().unwrap_or(&data.manifest.baseline);
    let command = Some(criterion.command());
    let has = |tier: &str| data.manifest.tier(tier).is_some();
    // Something else decides it, unless this run has what the criterion is about: a declared tier of its name, say. What is asked of
    // several platforms together no single run decides.
    if let Some(by) = criterion.by.as_ref().filter(|_| criterion.platforms.len() > 1 || !has(&criterion.tier) || !has(against)) {
        return lacking(format!("decided by {by}"), criterion.command.clone());
    }
    for tier in [criterion.tier.as_str(), against] {
        if data.manifest.tier(tier).is_none() {
            return lacking(format!("the run has no tier {tier}"), command);
        }
    }
    if criterion.platforms.iter().all(|p| p != "any" && *p != data.manifest.platform) {
        return lacking(format!("the run is of {}", data.manifest.platform), command);
    }
    let part = workloads::is_part(&data.manifest.suite);
    if let Measure::NativeTime(least) = measure {
        let Some(share) = data.coverages(&[]).into_iter().find(|c| c.tier == criterion.tier).and_then(|c| c.native) else {
            return lacking("the run was not looked at for native code".to_owned(), command);
        };
        let (status, finding) = native_time(share, least);
        return if part { lacking(some_only(&finding), command) } else { assessment(status, finding, None, None) };
    }
    let options = Options { alpha: 1.0 - criterion.confidence.unwrap_or(0.95), ..Options::default() };
    let options = options.shared_by(data.manifest.design.looks.len());
    let result = data.compare(&criterion.tier, against, options)?;
    if let Some(suite) = criterion.suite().filter(|suite| *suite != data.manifest.suite) {
        let figure = match criterion.metric.as_str() {
            "speed/geometric-mean" => result.suite.as_ref(),
            "memory/geometric-mean" => result.memory.as_ref(),
            _ => None,
        };
        let instead = figure.map(|e| format!(", which gives {:.3}", e.ratio)).unwrap_or_default();
        return lacking(format!("it is about {suite}, and the run is of the suite {}{instead}", data.manifest.suite), command);
    }
    let (status, finding, rounds) = settle(measure, &result, options);
    if part && !holds_of_suite(measure, status) {
        return lacking(some_only(&finding), command);
    }
    assessment(status, finding, rounds.filter(|_| status == Status::Inconclusive), None)
}

/// Whether what a run of some workloads says of a criterion holds of their suite as well.
fn holds_of_suite(measure: Measure, status: Status) -> bool {
    let answer = match status {
        Status::Met => Answer::Pass,
        Status::NotMet => Answer::Fail,
        Status::Inconclusive | Status::NoLimit | Status::NotMeasured => Answer::Inconclusive,
    };
    matches!(measure, Measure::Gate(requirement) if stands_for_suite(answer, requirement))
}

fn some_only(finding: &str) -> String {
    format!("of its suite the run has some workloads only, of which: {finding}")
}

type Settled = (Status, String, Option<u32>);

fn settle(measure: Measure, result: &TierResult, options: Options) -> Settled {
    match measure {
        Measure::Gate(requirement) => {
            let levels = Levels { alpha: options.alpha, fail: options.alpha / 2.0, fail_any: options.alpha / 2.0 };
            let Decided { answer, finding, rounds } = decide(&Figures::of(result), requirement, levels);
            let status = match answer {
                Answer::Pass => Status::Met,
                Answer::Fail => Status::NotMet,
                Answer::Inconclusive | Answer::Skipped | Answer::Broken => Status::Inconclusive,
            };
            (status, finding, rounds)
        }
        Measure::Figure(Figure::BreakEven) => {
            let Some((low, middle, high)) = break_even(result, options.alpha) else {
                return (Status::Inconclusive, "no workload has a break-even".to_owned(), None);
            };
            (Status::NoLimit, format!("{middle} iterations, median over workloads [{low}, {high}]"), None)
        }
        Measure::Figure(figure) => {
            let estimate = if figure == Figure::Memory { result.memory.as_ref() } else { result.suite.as_ref() };
            match estimate.and_then(|e| Some((e.ratio, e.ci?))) {
                Some((ratio, (low, high))) => (Status::NoLimit, format!("{ratio:.3} [{low:.3}, {high:.3}]"), None),
                None => (Status::Inconclusive, "too few rounds for an interval".to_owned(), Some(3)),
            }
        }
        Measure::ShareSlower(most) => share_slower(result, most, options),
        Measure::NativeTime(_) | Measure::ActivePerStage(_) | Measure::ToolRegressions(_) | Measure::CpythonTests(_) => {
            (Status::NotMeasured, "it isn't among the compared figures".to_owned(), None)
        }
        Measure::BreakEven(most) => match break_even(result, options.alpha) {
            None => (Status::Inconclusive, "no workload has pairs".to_owned(), None),
            Some((low, middle, high)) => {
                let status = match () {
                    () if high.0 <= most => Status::Met,
                    () if low.0 > most => Status::NotMet,
                    () => Status::Inconclusive,
                };
                let finding = format!(
                    "median over workloads of {middle} iterations [{low}, {high}] where at most {most:.0} is asked for; more workloads, not \
                     more rounds, narrow that"
                );
                (status, finding, None)
            }
        },
    }
}

/// More people than this are active in each stage and come back: a count from the history that `governance` put beside the run.
fn active_per_stage(path: &Path, more_than: f64) -> Result<(Status, String), String> {
    let text = std::fs::read_to_string(path).map_err(|_| format!("there is no {} beside the run", governance::FILE))?;
    let history: governance::Governance =
        serde_json::from_str(&text).map_err(|e| format!("{} is damaged: {e}", path.display()))?;
    // The criterion is about CPython's own JIT: people of another repository, or of files that aren't there, answer nothing.
    if history.map.name != governance::CPYTHON {
        return Err(format!("{} is about {}", governance::FILE, history.map.name));
    }
    if let Some(empty) = history.stages.iter().find(|stage| stage.files == 0) {
        return Err(format!("{} has no file of the {}", history.repository.name, empty.name));
    }
    let fewest = history.stages.iter().map(|stage| stage.active_recurring).min().ok_or("its map has no stages")?;
    let status = if fewest as f64 > more_than { Status::Met } else { Status::NotMet };
    let stages: Vec<String> = history.stages.iter().map(|s| format!("{} {}", s.active_recurring, s.name)).collect();
    let (days, commits) = (history.map.rules.active_days, history.map.rules.recurring_commits);
    let finding = format!(
        "people with a commit within {days} days before {} and at least {commits} in all, in {}: {}; more than {more_than:.0} in each are asked for",
        history.repository.as_of,
        history.repository.name,
        stages.join(", ")
    );
    Ok((status, finding))
}

/// At least this share of the time is spent in native code, mean over workloads.
fn native_time(share: Share, least: f64) -> (Status, String) {
    let status = match () {
        () if share.low >= least => Status::Met,
        () if share.high < least => Status::NotMet,
        () => Status::Inconclusive,
    };
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    let (value, low, high) = (percent(share.value), percent(share.low), percent(share.high));
    (status, format!("{value} % [{low}, {high}] of the time in native code, by sampling, mean over workloads"))
}

/// At most this share of the workloads is slower than the margin: shown slower counts against it, shown not slower for it.
fn share_slower(result: &TierResult, most: f64, options: Options) -> Settled {
    let all = result.workloads.len();
    let margin = options.margin;
    let slower = result.workloads.iter().filter(|w| w.verdict == Verdict::Slower).count();
    let fine = |w: &&crate::analysis::WorkloadResult| {
        let paired = w.speedup.as_ref().map(crate::analysis::Estimate::paired);
        paired.is_some_and(|p| p.non_inferior(margin, options.alpha / 2.0) == Decision::Holds)
    };
    let open = all - result.workloads.iter().filter(fine).count();
    let allowed = (most * all as f64 + 1e-9).floor() as usize;
    let status = if slower > allowed {
        Status::NotMet
    } else if open <= allowed && all > 0 {
        Status::Met
    } else {
        Status::Inconclusive
    };
    let finding = format!(
        "{slower} of {all} workloads are shown to be slower, {open} are not shown to be within {:.0} % of the baseline; at most {allowed} are \
         allowed",
        margin * 100.0
    );
    let rounds = result.workloads.iter().filter_map(|w| w.rounds_to_decide).max();
    (status, finding, rounds)
}

/// Iterations, of which there may be no number that suffices.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Iterations(f64);

impl std::fmt::Display for Iterations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_finite() { write!(f, "{:.0}", self.0) } else { f.write_str("never") }
    }
}

/// The median over workloads of the iterations until break-even, between the ends of its interval by order statistics;
/// a workload that never gets there counts as the longest.
fn break_even(result: &TierResult, alpha: f64) -> Option<(Iterations, Iterations, Iterations)> {
    let mut each: Vec<f64> =
        result.workloads.iter().filter(|w| w.speedup.is_some()).map(|w| w.break_even.unwrap_or(f64::INFINITY)).collect();
    each.sort_by(f64::total_cmp);
    let n = each.len();
    let middle = *each.get(n / 2)?;
    // The number of values below the median is binomial: as many at each end may be left outside as alpha / 2 has room for.
    let (mut outside, mut term, mut inner) = (0.0, 0.5_f64.powi(n as i32), None);
    for k in 0..n / 2 {
        outside += term;
        if outside > alpha / 2.0 {
            break;
        }
        inner = Some(k);
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    // Fewer than six values say nothing of the median's ends.
    let (low, high) = inner.map_or((0.0, f64::INFINITY), |k| (each[k], each[n - 1 - k]));
    Some((Iterations(low), Iterations(middle), Iterations(high)))
}
