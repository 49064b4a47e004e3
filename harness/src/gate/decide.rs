//! One requirement against the figures of a tier: what `gate` decides, on plain numbers.
//!
//! `cargo xtask calibrate` puts simulated figures through these same functions, so that the rates that it publishes are
//! the gate's own.

use crate::analysis::TierResult;
use crate::stats::multiple;
use crate::stats::paired::{Decision, MIN_PAIRS, POWER, Paired, required_pairs};

use super::{Answer, Requirement};

/// What a requirement is held against: log ratios of a tier to another one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// The suite's geometric mean over rounds.
    pub suite: Option<Paired>,
    /// The same of memory, tier over baseline.
    pub memory: Option<Paired>,
    /// Each workload with pairs.
    pub workloads: Vec<(String, Paired)>,
    /// Workloads without any.
    pub left_out: Vec<String>,
}

impl Figures {
    /// The figures of a result.
    pub fn of(result: &TierResult) -> Self {
        Self {
            suite: result.suite.as_ref().map(crate::analysis::Estimate::paired),
            memory: result.memory.as_ref().map(crate::analysis::Estimate::paired),
            workloads: result.workloads.iter().filter_map(|w| Some((w.name.clone(), w.speedup.as_ref()?.paired()))).collect(),
            left_out: result.left_out.clone(),
        }
    }

    fn count(&self) -> usize {
        self.workloads.len() + self.left_out.len()
    }
}

/// The error rates of one decision at one look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// 1 - confidence of the two-sided interval on whose right side a requirement has to lie to pass.
    pub alpha: f64,
    /// One-sided error with which a guard about the suite fails, at most half of `alpha`.
    pub fail: f64,
    /// The same of a guard about every workload, over all of them.
    pub fail_any: f64,
}

impl Levels {
    /// For a run that is looked at so many times; none counts as once.
    pub fn new(alpha: f64, fail: f64, fail_any: f64, looks: usize) -> Self {
        let looks = looks.max(1) as f64;
        let guard = |error: f64| (error / looks).min(alpha / looks / 2.0);
        Self { alpha: alpha / looks, fail: guard(fail), fail_any: guard(fail_any) }
    }
}

/// What became of a requirement.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The answer.
    pub answer: Answer,
    /// What was found, and what is asked for.
    pub finding: String,
    /// The rounds that would decide it, if what was seen is the truth.
    pub rounds: Option<u32>,
}

/// Decides a requirement.
pub fn decide(figures: &Figures, require: Requirement, levels: Levels) -> Decided {
    // What compares with a gain fails at the other end of the interval that it passes by.
    let fail = match (require.is_guard(), require.is_family()) {
        (true, false) => levels.fail,
        (true, true) => levels.fail_any,
        (false, _) => levels.alpha / 2.0,
    };
    let two = Two { pass: levels.alpha / 2.0, fail };
    match require {
        Requirement::GeometricMean { at_least } => on(figures.suite, two, |p| {
            let (answer, rounds) = at_least_ratio(p, at_least, two);
            (answer, format!("at least {at_least:.3}"), rounds)
        }),
        Requirement::Memory { at_most } => on(figures.memory, two, |p| {
            // At most, on the ratio, is at least on its inverse.
            let (answer, rounds) = at_least_ratio(&Paired { mean: -p.mean, ..*p }, 1.0 / at_most, two);
            (answer, format!("at most {at_most:.3}"), rounds)
        }),
        Requirement::Unchanged { within } => on(figures.suite, two, |p| {
            let (answer, rounds) = unchanged(p, within, two);
            (answer, format!("1 within {:.1} %", within * 100.0), rounds)
        }),
        Requirement::Control { within } => on(figures.suite, two, |p| {
            let wanted = format!("an interval that holds 1, or 1 within {:.1} %,", within * 100.0);
            (control(p, within, two), wanted, None)
        }),
        Requirement::Count { at_least, workloads } => count(figures, at_least, workloads, two),
        Requirement::Worst { at_least } => worst(figures, at_least, two),
        Requirement::NoRegression { beyond } => no_regression(figures, beyond, two),
    }
}

/// Whether an answer about some of a suite's workloads holds of the suite: enough of them that are fast are enough, and one that is too
/// slow is one too many, but of a mean, of the rest, or that there are too few, it says nothing. Whether the baseline equals itself
/// is about the measurement.
pub fn stands_for_suite(answer: Answer, require: Requirement) -> bool {
    match require {
        Requirement::Control { .. } => true,
        Requirement::Count { .. } => answer != Answer::Fail,
        Requirement::Worst { .. } | Requirement::NoRegression { .. } => answer == Answer::Fail,
        Requirement::GeometricMean { .. } | Requirement::Unchanged { .. } | Requirement::Memory { .. } => false,
    }
}

/// What a decision about some of a suite's workloads says about the suite.
pub fn of_part(decided: Decided, require: Requirement) -> Decided {
    if stands_for_suite(decided.answer, require) {
        return decided;
    }
    let finding = format!("{}; of its suite the run has some workloads only, which doesn't decide it", decided.finding);
    Decided { answer: Answer::Inconclusive, finding, rounds: None }
}

/// One-sided error rates of the two ways to decide.
#[derive(Debug, Clone, Copy)]
struct Two {
    pass: f64,
    fail: f64,
}

impl Two {
    /// Is the true log ratio at least `bound`?
    fn at_least(self, p: &Paired, bound: f64) -> Decision {
        if p.at_least(bound, self.pass) == Decision::Holds {
            return Decision::Holds;
        }
        match p.at_least(bound, self.fail) {
            Decision::Fails => Decision::Fails,
            _ => Decision::Inconclusive,
        }
    }
}

fn on(paired: Option<Paired>, two: Two, decide: impl Fn(&Paired) -> (Answer, String, Option<u32>)) -> Decided {
    let open = |finding, rounds| Decided { answer: Answer::Inconclusive, finding, rounds };
    let Some(p) = paired else { return open("no round has a result of every workload".to_owned(), None) };
    let Some((low, high)) = p.interval(two.pass * 2.0) else {
        let finding = format!("{:.3} from {} rounds, of which at least {MIN_PAIRS} are needed", p.mean.exp(), p.n);
        return open(finding, Some(MIN_PAIRS as u32));
    };
    let (answer, wanted, rounds) = decide(&p);
    let finding = format!("{:.3} [{:.3}, {:.3}] where {wanted} is asked for", p.mean.exp(), low.exp(), high.exp());
    Decided { answer, finding, rounds }
}

fn answer(decision: Decision) -> Answer {
    match decision {
        Decision::Holds => Answer::Pass,
        Decision::Fails => Answer::Fail,
        Decision::Inconclusive => Answer::Inconclusive,
    }
}

/// The rounds that would tell an estimate from a bound, if what was seen is the truth.
fn rounds_for(p: &Paired, log_bound: f64, two: Two) -> Option<u32> {
    if p.n < MIN_PAIRS {
        return Some(MIN_PAIRS as u32);
    }
    // Which of the two ends decides it depends on the side that it lies on.
    let error = if p.mean < log_bound { two.fail } else { two.pass };
    let needed = required_pairs(p.sd?, (p.mean - log_bound).abs(), error * 2.0, POWER)?;
    // The formula may say what is there already, for a power below 1.
    Some(needed.max(p.n as u32 + 1))
}

fn at_least_ratio(p: &Paired, bound: f64, two: Two) -> (Answer, Option<u32>) {
    (answer(two.at_least(p, bound.ln())), rounds_for(p, bound.ln(), two))
}

fn unchanged(p: &Paired, within: f64, two: Two) -> (Answer, Option<u32>) {
    let margin = within.ln_1p();
    let mirrored = Paired { mean: -p.mean, ..*p };
    let decision = match (two.at_least(p, -margin), two.at_least(&mirrored, -margin)) {
        (Decision::Holds, Decision::Holds) => Decision::Holds,
        (Decision::Fails, _) | (_, Decision::Fails) => Decision::Fails,
        _ => Decision::Inconclusive,
    };
    // Half of the error each: to pass, both ends have to lie inside.
    let nearer = if p.mean < 0.0 { p } else { &mirrored };
    (answer(decision), rounds_for(nearer, -margin, two))
}

/// A baseline that differs from itself: shown only beyond the chance that an unchanged one is blamed with.
fn control(p: &Paired, within: f64, two: Two) -> Answer {
    let holds_one = |alpha: f64| p.interval(alpha).is_none_or(|(low, high)| (low..=high).contains(&0.0));
    if holds_one(two.pass * 2.0) || unchanged(p, within, two).0 == Answer::Pass {
        Answer::Pass
    } else if holds_one(two.fail) {
        Answer::Inconclusive
    } else {
        Answer::Fail
    }
}

fn count(figures: &Figures, bound: f64, workloads: usize, two: Two) -> Decided {
    let decided = |decision| figures.workloads.iter().filter(move |(_, p)| two.at_least(p, bound.ln()) == decision);
    let shown = decided(Decision::Holds).count();
    let possible = shown + decided(Decision::Inconclusive).count() + figures.left_out.len();
    let answer = if shown >= workloads {
        Answer::Pass
    } else if possible < workloads {
        Answer::Fail
    } else {
        Answer::Inconclusive
    };
    // The easiest to decide among the open ones settle it, as many as are lacking.
    let mut rounds: Vec<u32> = decided(Decision::Inconclusive).filter_map(|(_, p)| rounds_for(p, bound.ln(), two)).collect();
    rounds.sort_unstable();
    let rounds = rounds.get(workloads.saturating_sub(shown + 1)).copied();
    let noun = if workloads == 1 { "workload" } else { "workloads" };
    let verb = if workloads == 1 { "is" } else { "are" };
    let finding = format!(
        "{shown} {} shown to reach {bound:.3}, {possible} may; {workloads} {noun} {verb} asked for",
        if shown == 1 { "is" } else { "are" }
    );
    Decided { answer, finding, rounds }
}

fn worst(figures: &Figures, bound: f64, two: Two) -> Decided {
    let below = below(figures, bound.ln(), two.fail);
    if !below.is_empty() {
        let finding = format!("below {bound:.3}: {}", below.join(", "));
        return Decided { answer: Answer::Fail, finding, rounds: None };
    }
    // Every workload has to be shown above the bound, so each test may use the whole level.
    let open: Vec<&(String, Paired)> =
        figures.workloads.iter().filter(|(_, p)| p.at_least(bound.ln(), two.pass) != Decision::Holds).collect();
    let least = figures.workloads.iter().min_by(|a, b| a.1.mean.total_cmp(&b.1.mean));
    if let (Some((name, p)), true) = (least, open.is_empty() && figures.left_out.is_empty()) {
        let (low, high) = p.interval(two.pass * 2.0).unwrap_or((f64::NAN, f64::NAN));
        let finding = format!(
            "all {} workloads are shown to reach {bound:.3}; the least is {name} with {:.3} [{:.3}, {:.3}]",
            figures.workloads.len(),
            p.mean.exp(),
            low.exp(),
            high.exp()
        );
        return Decided { answer: Answer::Pass, finding, rounds: None };
    }
    let rounds = open.iter().map(|(_, p)| rounds_for(p, bound.ln(), two)).collect::<Option<Vec<_>>>();
    let names: Vec<&str> = open.iter().map(|(w, _)| w).chain(&figures.left_out).map(String::as_str).collect();
    let finding = format!("not yet shown to reach {bound:.3}: {}", some_of(&names));
    Decided { answer: Answer::Inconclusive, finding, rounds: rounds.and_then(|r| r.into_iter().max()) }
}

/// Names for a sentence: all of a few, else the first of them and how many more.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    match names.get(..SHOWN) {
        Some(first) if names.len() > SHOWN + 1 => format!("{} and {} more", first.join(", "), names.len() - SHOWN),
        _ => names.join(", "),
    }
}

fn no_regression(figures: &Figures, beyond: f64, two: Two) -> Decided {
    let bound = -beyond.ln_1p();
    if figures.workloads.is_empty() || figures.workloads.iter().any(|(_, p)| p.se().is_none()) {
        let finding = format!("some workload has fewer than {MIN_PAIRS} rounds");
        return Decided { answer: Answer::Inconclusive, finding, rounds: Some(MIN_PAIRS as u32) };
    }
    let percent = beyond * 100.0;
    let slower = below(figures, bound, two.fail);
    if !slower.is_empty() {
        let finding = format!("slower by more than {percent:.1} %: {}", slower.join(", "));
        return Decided { answer: Answer::Fail, finding, rounds: None };
    }
    let safe = figures.workloads.iter().filter(|(_, p)| p.at_least(bound, two.pass) == Decision::Holds).count();
    let finding = format!(
        "no workload is shown to be slower by more than {percent:.1} %; {safe} of {} are shown not to be",
        figures.count()
    );
    Decided { answer: Answer::Pass, finding, rounds: None }
}

/// The workloads shown to lie below a log bound, with Holm's correction over all of them.
fn below(figures: &Figures, bound: f64, error: f64) -> Vec<&str> {
    let p: Vec<f64> = figures.workloads.iter().map(|(_, p)| p.p_below(bound).unwrap_or(1.0)).collect();
    let shown = figures.workloads.iter().zip(multiple::holm(&p)).filter(|(_, adjusted)| *adjusted <= error);
    shown.map(|((name, _), _)| name.as_str()).collect()
}
