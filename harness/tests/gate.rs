//! The gate's answers over made-up runs.

#[path = "support/fixture.rs"]
mod fixture;

use std::sync::OnceLock;

use pepjit_harness::analysis::RunData;
use pepjit_harness::gate::{Answer, Judgement, Thresholds, judge};
use pepjit_harness::model::{FailureKind, RunDir};

fn judged_with(rounds: u32, criterion: &str, change: impl FnOnce(&RunDir)) -> Judgement {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), rounds);
    change(&dir);
    let data = RunData::load(dir.root()).expect("a run");
    judge(&data, &Thresholds::parse(criterion).expect("thresholds")).expect("a judgement")
}

/// The unchanged run of five rounds, or of two.
fn unchanged(rounds: u32) -> &'static RunData {
    static RUNS: [OnceLock<RunData>; 2] = [OnceLock::new(), OnceLock::new()];
    RUNS[usize::from(rounds == 5)].get_or_init(|| {
        let runs = tempfile::tempdir().expect("a temporary folder");
        RunData::load(fixture::write(runs.path(), rounds).root()).expect("a run")
    })
}

fn judged(rounds: u32, tier: &str, require: &str) -> Judgement {
    let text = format!("[[criterion]]\nname = \"it\"\ntier = \"{tier}\"\nrequire = {{ {require} }}\n");
    judge(unchanged(rounds), &Thresholds::parse(&text).expect("thresholds")).expect("a judgement")
}

#[track_caller]
fn answers(tier: &str, require: &str, want: Answer) {
    let judgement = judged(5, tier, require);
    assert_eq!(judgement.answer, want, "{}", judgement.outcomes[0].finding);
}

#[test]
fn the_projects_own_thresholds_parse() {
    let thresholds = Thresholds::parse(include_str!("../../ci/gate.toml")).expect("valid");
    assert!(thresholds.criteria.len() >= 6);
}

// The made-up run: pepjit at 2.361 [2.358, 2.363], its best at 8, properties at 0.90, memory at 1.25.

#[test]
fn the_geometric_mean_is_held_against_its_interval() {
    answers("pepjit", "kind = \"geometric-mean\", at_least = 2.35", Answer::Pass);
    answers("pepjit", "kind = \"geometric-mean\", at_least = 2.361", Answer::Inconclusive);
    answers("pepjit", "kind = \"geometric-mean\", at_least = 2.40", Answer::Fail);
}

#[test]
fn an_open_question_says_what_would_decide_it() {
    let judgement = judged(5, "pepjit", "kind = \"geometric-mean\", at_least = 2.362");
    assert_eq!(judgement.answer, Answer::Inconclusive);
    assert!(judgement.rounds_to_decide.is_some_and(|r| r > 5), "{:?}", judgement.rounds_to_decide);
    let judgement = judged(2, "pepjit", "kind = \"geometric-mean\", at_least = 1.5");
    assert_eq!((judgement.answer, judgement.rounds_to_decide), (Answer::Inconclusive, Some(3)));
}

#[test]
fn workloads_are_counted_when_shown() {
    answers("pepjit", "kind = \"count\", at_least = 5.0, workloads = 2", Answer::Pass);
    answers("pepjit", "kind = \"count\", at_least = 5.0, workloads = 3", Answer::Fail);
    answers("pepjit", "kind = \"count\", at_least = 8.0, workloads = 1", Answer::Inconclusive);
}

#[test]
fn some_workloads_decide_no_more_of_their_suite_than_they_can() {
    let on_part = |tier: &str, require: &str| {
        let mut data = unchanged(5).clone();
        data.manifest.suite.push_str(" (part)");
        let text = format!("[[criterion]]\nname = \"it\"\ntier = \"{tier}\"\nrequire = {{ {require} }}\n");
        let judgement = judge(&data, &Thresholds::parse(&text).expect("thresholds")).expect("a judgement");
        let says = judgement.outcomes[0].finding.contains("has some workloads only");
        (judgement.answer, says, judgement.rounds_to_decide)
    };
    let open = (Answer::Inconclusive, true, None);
    // Enough are enough, too few may be more in the whole suite.
    assert_eq!(on_part("pepjit", "kind = \"count\", at_least = 5.0, workloads = 2"), (Answer::Pass, false, None));
    assert_eq!(on_part("pepjit", "kind = \"count\", at_least = 5.0, workloads = 3"), open);
    // One too slow is one too many, but the rest may be slow too.
    assert_eq!(on_part("pepjit", "kind = \"worst\", at_least = 0.95"), (Answer::Fail, false, None));
    assert_eq!(on_part("pepjit", "kind = \"worst\", at_least = 0.85"), open);
    assert_eq!(on_part("pepjit", "kind = \"no-regression\", beyond = 0.05"), (Answer::Fail, false, None));
    assert_eq!(on_part("pepjit", "kind = \"no-regression\", beyond = 0.15"), open);
    for require in [
        "kind = \"geometric-mean\", at_least = 2.35",
        "kind = \"geometric-mean\", at_least = 2.361",
        "kind = \"geometric-mean\", at_least = 2.40",
        "kind = \"unchanged\", within = 0.01",
        "kind = \"memory\", at_most = 1.3",
        "kind = \"memory\", at_most = 1.2",
    ] {
        assert_eq!(on_part("pepjit", require), open, "{require}");
    }
    assert_eq!(on_part("interp-aa", "kind = \"control\", within = 0.01"), (Answer::Pass, false, None));
    assert_eq!(Answer::Inconclusive.exit_code(), 3);
}

#[test]
fn the_worst_workload_decides() {
    answers("pepjit", "kind = \"worst\", at_least = 0.85", Answer::Pass);
    answers("pepjit", "kind = \"worst\", at_least = 0.95", Answer::Fail);
    answers("interp-aa", "kind = \"worst\", at_least = 0.999", Answer::Inconclusive);
}

#[test]
fn unchanged_is_shown_not_assumed() {
    answers("pepjit-idle", "kind = \"unchanged\", within = 0.01", Answer::Pass);
    answers("interp-aa", "kind = \"unchanged\", within = 0.001", Answer::Inconclusive);
    answers("cpython-jit", "kind = \"unchanged\", within = 0.01", Answer::Fail);
}

#[test]
fn the_control_must_hold_one() {
    answers("interp-aa", "kind = \"control\", within = 0.01", Answer::Pass);
    answers("pepjit", "kind = \"control\", within = 0.01", Answer::Fail);
}

#[test]
fn regressions_must_be_shown() {
    answers("pepjit", "kind = \"no-regression\", beyond = 0.05", Answer::Fail);
    answers("pepjit", "kind = \"no-regression\", beyond = 0.15", Answer::Pass);
    answers("interp-aa", "kind = \"no-regression\", beyond = 0.01", Answer::Pass);
}

#[test]
fn memory_is_bounded_from_above() {
    answers("pepjit", "kind = \"memory\", at_most = 1.3", Answer::Pass);
    answers("pepjit", "kind = \"memory\", at_most = 1.2", Answer::Fail);
}

#[test]
fn another_tier_can_be_the_yardstick() {
    let text = "[[criterion]]\nname = \"it\"\ntier = \"pepjit\"\nagainst = \"cpython-jit\"\n\
                require = { kind = \"geometric-mean\", at_least = 2.1 }\n";
    assert_eq!(judged_with(5, text, |_| {}).answer, Answer::Pass);
    assert_eq!(judged_with(5, &text.replace("2.1", "2.3"), |_| {}).answer, Answer::Fail);
}

#[test]
fn a_missing_tier_leaves_the_question_open_unless_optional() {
    let text = "[[criterion]]\nname = \"control\"\ntier = \"interp-aa\"\nrequire = { kind = \"control\", within = 0.01 }\n\
                [[criterion]]\nname = \"it\"\ntier = \"pypy\"\nrequire = { kind = \"geometric-mean\", at_least = 2.1 }\n";
    assert_eq!(judged_with(5, text, |_| {}).answer, Answer::Inconclusive);
    let optional = format!("{text}optional = true\n");
    assert_eq!(judged_with(5, &optional, |_| {}).answer, Answer::Pass);
}

#[test]
fn a_failed_worker_breaks_the_run() {
    let text = "[[criterion]]\nname = \"it\"\ntier = \"pepjit\"\nrequire = { kind = \"geometric-mean\", at_least = 1.1 }\n";
    let broken = judged_with(5, text, |dir| fixture::fail(dir, "pepjit", "sieve", 2, FailureKind::Signal, "SIGSEGV"));
    assert_eq!(broken.answer, Answer::Broken);
    assert_eq!(broken.broken, ["sieve on pepjit, round 2 was ended by a signal: SIGSEGV"]);
}

#[test]
fn answers_have_their_exit_codes() {
    let codes = [Answer::Pass, Answer::Skipped, Answer::Fail, Answer::Inconclusive, Answer::Broken].map(Answer::exit_code);
    assert_eq!(codes, [0, 0, 1, 3, 4]);
}

#[test]
fn looks_share_the_error() {
    let criterion =
        "[[criterion]]\nname = \"it\"\ntier = \"pepjit\"\nrequire = { kind = \"geometric-mean\", at_least = 2.362 }\n";
    let judgement = judged_with(5, criterion, |dir| {
        let mut manifest = dir.manifest().expect("a manifest");
        manifest.design.looks = vec![5, 10, 20_000];
        dir.write_manifest(&manifest).expect("writable");
    });
    assert_eq!(judgement.answer, Answer::Inconclusive);
    assert!(matches!(judgement.rounds_to_decide, Some(10 | 20_000)), "{:?}", judgement.rounds_to_decide);
    let width = |j: &Judgement| j.outcomes[0].estimate.as_ref().and_then(|e| e.ci).map(|(low, high)| high - low);
    let planned = judged_with(5, &format!("looks = [5, 10, 20]\n{criterion}"), |_| {});
    assert!(width(&judgement) > width(&planned), "a run of a fixed length is looked at once, whatever the file plans");
}

#[test]
fn an_unchanged_build_is_rarely_blamed() {
    // The guards share 1 %, most of it for the one about every workload; what asks for a gain is none.
    let thresholds = Thresholds::parse(
        "[[criterion]]\nname = \"a\"\ntier = \"x\"\nrequire = { kind = \"worst\", at_least = 0.98 }\n\
         [[criterion]]\nname = \"b\"\ntier = \"x\"\nrequire = { kind = \"control\", within = 0.01 }\n\
         [[criterion]]\nname = \"c\"\ntier = \"x\"\nrequire = { kind = \"geometric-mean\", at_least = 1.8 }\n",
    )
    .expect("thresholds");
    let levels = thresholds.levels(0);
    assert!((levels.alpha - 0.05).abs() < 1e-12 && (levels.fail - 0.0025).abs() < 1e-12, "{levels:?}");
    assert!((levels.fail + levels.fail_any - 0.01).abs() < 1e-12, "{levels:?}");
    let thirds = thresholds.levels(3);
    assert!((thirds.fail * 3.0 - levels.fail).abs() < 1e-12 && (thirds.alpha * 3.0 - 0.05).abs() < 1e-12);
    assert!(!thresholds.criteria[2].require.is_guard());
}

#[test]
fn bad_thresholds_are_refused() {
    let criterion = "[[criterion]]\nname = \"it\"\ntier = \"x\"\nrequire = { kind = \"worst\", at_least = 0.9 }\n";
    for (text, cause) in [
        (String::new(), "no [[criterion]]"),
        (format!("alpha = 0.7\n{criterion}"), "alpha"),
        (format!("false_failure = 0.2\n{criterion}"), "false_failure"),
        (format!("looks = [10, 5]\n{criterion}"), "ascend"),
        (format!("looks = [2, 5]\n{criterion}"), "ascend"),
        (criterion.replace("0.9", "-1.0"), "above 0"),
        (criterion.replace("at_least", "at_laest"), "at_laest"),
        (criterion.replace("worst", "wrost"), "wrost"),
        (criterion.replace("name", "nome"), "nome"),
    ] {
        let error = Thresholds::parse(&text).expect_err("refused");
        assert!(error.contains(cause), "{error:?} lacks {cause:?}");
    }
}
