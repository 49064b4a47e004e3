//! A run against a committed one: whether a tier has become slower since.

use super::{Answer, Criterion, Outcome, Requirement, Thresholds};
use crate::analysis::across::{Baseline, TierBaseline};
use crate::stats::compare::Unpaired;
use crate::stats::multiple;
use crate::stats::paired::Paired;

/// The part of the speed-ups' names that stands for the suite.
const SUITE: &str = "the suite";

/// Judges what became of the speed-ups that a baseline holds. Each tier's suite may lose `suite_beyond` at most and each
/// workload `beyond`, all tested together with Holm's correction at the rate of false failures; what noise could have done
/// doesn't fail.
pub fn against(before: &Baseline, now: &Baseline, thresholds: &Thresholds, looks: usize) -> Outcome {
    let doubts = before.differences(now);
    let criterion = Criterion {
        name: "Nothing is slower than in the committed baseline".to_owned(),
        tier: before.tiers.keys().cloned().collect::<Vec<_>>().join(", "),
        against: Some(before.run_id.clone()),
        optional: true,
        require: Requirement::NoRegression { beyond: thresholds.baseline_beyond },
    };
    let outcome =
        |answer, finding| Outcome { criterion: criterion.clone(), answer, finding, estimate: None, rounds_to_decide: None };
    if !doubts.is_empty() {
        return outcome(Answer::Skipped, format!("{} is no baseline for this run: {}", before.run_id, doubts.join("; ")));
    }
    let mut tests: Vec<(String, f64)> = Vec::new();
    let (mut gone, mut short) = (Vec::new(), Vec::new());
    for (tier, had) in &before.tiers {
        let Some(has) = now.tiers.get(tier) else {
            gone.push(format!("tier {tier}"));
            continue;
        };
        for (name, a, b) in pairs(had, has) {
            let what = format!("{name} on {tier}");
            let beyond = if name == SUITE { thresholds.baseline_beyond_suite } else { thresholds.baseline_beyond };
            match (a, b) {
                (Some(a), Some(b)) => match Unpaired::new(a, b) {
                    Some(difference) => tests.push((what, difference.p_below(-beyond.ln_1p()))),
                    None => short.push(what),
                },
                (Some(_), None) => gone.push(what),
                (None, _) => {}
            }
        }
    }
    let p: Vec<f64> = tests.iter().map(|t| t.1).collect();
    let level = thresholds.false_failure / looks.max(1) as f64;
    let slower: Vec<&str> = tests
        .iter()
        .zip(multiple::holm(&p))
        .filter(|(_, adjusted)| *adjusted <= level)
        .map(|((what, _), _)| what.as_str())
        .collect();
    let missing = if gone.is_empty() { String::new() } else { format!("; not measured now: {}", gone.join(", ")) };
    if !slower.is_empty() {
        return outcome(Answer::Fail, format!("slower than in {}: {}{missing}", before.run_id, slower.join(", ")));
    }
    if tests.is_empty() {
        return outcome(Answer::Skipped, format!("nothing of {} was measured with enough rounds{missing}", before.run_id));
    }
    let short = if short.is_empty() { String::new() } else { format!("; too few rounds for {}", short.join(", ")) };
    outcome(
        Answer::Pass,
        format!("none of {} speed-ups is shown to be lower than in {}{short}{missing}", tests.len(), before.run_id),
    )
}

type Pair<'a> = (&'a str, Option<&'a Paired>, Option<&'a Paired>);

/// A tier's figures in both runs. Suites of different workloads are no pair.
fn pairs<'a>(had: &'a TierBaseline, has: &'a TierBaseline) -> Vec<Pair<'a>> {
    let same = had.workloads.keys().eq(has.workloads.keys());
    let suite = (SUITE, had.suite.as_ref().filter(|_| same), has.suite.as_ref());
    let workloads = had.workloads.iter().map(|(name, a)| (name.as_str(), Some(a), has.workloads.get(name)));
    [suite].into_iter().chain(workloads).collect()
}
