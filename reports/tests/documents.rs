//! Every document over one small made-up run, as snapshots.

#[path = "../../harness/tests/support/fixture.rs"]
mod fixture;

use std::fmt::Write as _;

use pepjit_harness::analysis::{Analysis, Options, RunData};
use pepjit_harness::criteria::{Criteria, assess};
use pepjit_harness::gate::{self, Thresholds};
use pepjit_harness::model::{FailureKind, RunDir};
use pepjit_reports::Evidence;

fn analysis(rounds: u32, change: impl FnOnce(&RunDir)) -> Analysis {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), rounds);
    change(&dir);
    RunData::load(dir.root()).and_then(|d| d.analyse(Options::default())).expect("an analysis")
}

#[test]
fn terminal_table() {
    insta::assert_snapshot!(pepjit_reports::terminal(&analysis(5, |_| {})));
}

#[test]
fn terminal_table_of_one_round_states_no_interval() {
    insta::assert_snapshot!(pepjit_reports::terminal(&analysis(1, |_| {})));
}

#[test]
fn terminal_table_lists_failures() {
    let a = analysis(3, |dir| {
        for round in 1..=3 {
            let message = "exit status 1: MemoryError. Run the command of this row to see it";
            fixture::fail(dir, "pepjit", "nbody", round, FailureKind::Exit, message);
        }
        fixture::fail(dir, "cpython-jit", "sieve", 2, FailureKind::Timeout, "no end after 60 s");
    });
    insta::assert_snapshot!(pepjit_reports::terminal(&a));
}

/// One criterion of each answer.
fn criteria() -> Criteria {
    let mut text = "schema_version = 2\n".to_owned();
    for (id, tier, metric, threshold) in [
        ("fast-enough", "pepjit", "speed/geometric-mean", "kind = \"at-least\", value = 2.0, unit = \"ratio\""),
        ("never-slower", "pepjit", "speed/worst", "kind = \"at-least\", value = 0.99, unit = \"ratio\""),
        ("close-call", "pepjit", "speed/geometric-mean", "kind = \"at-least\", value = 2.362, unit = \"ratio\""),
        ("memory-told", "pepjit", "memory/geometric-mean", "kind = \"unstated\""),
        ("another-tier", "cinderx", "speed/geometric-mean", "kind = \"at-least\", value = 1.05, unit = \"ratio\""),
    ] {
        let _ = write!(
            text,
            "[[criterion]]\nid = \"{id}\"\nsource = \"PEP 1, Somewhere\"\nmetric = \"{metric}\"\ntier = \"{tier}\"\n\
             platforms = [\"any\"]\nthreshold = {{ {threshold} }}\ndeadline = \"3.16 beta 1\"\nmeaning = \"What {id} means.\"\n"
        );
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("criteria.toml");
    std::fs::write(&path, text).expect("writable");
    Criteria::load(&path).expect("valid")
}

fn evidence(rounds: u32, change: impl FnOnce(&RunDir)) -> Vec<Evidence> {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), rounds);
    change(&dir);
    let data = RunData::load(dir.root()).expect("a run");
    let thresholds = Thresholds::parse(include_str!("../../ci/gate.toml")).expect("our own thresholds");
    let mut judgement = gate::judge(&data, &thresholds).expect("a judgement");
    judgement.add(assess(&criteria(), &data).expect("assessed"), &["never-slower".to_owned()]);
    vec![Evidence { analysis: data.analyse(Options::default()).expect("an analysis"), judgement: Some(judgement) }]
}

fn some_failures(dir: &RunDir) {
    for round in 1..=5 {
        fixture::fail(dir, "pepjit", "nbody", round, FailureKind::Signal, "SIGSEGV <&> | \"quoted\"");
    }
}

#[test]
fn markdown_report() {
    insta::assert_snapshot!(pepjit_reports::markdown(&evidence(5, |_| {})).expect("a report"));
}

#[test]
fn markdown_report_of_a_broken_run() {
    insta::assert_snapshot!(pepjit_reports::markdown(&evidence(5, some_failures)).expect("a report"));
}

#[test]
fn markdown_report_of_two_machines() {
    let mut both = evidence(5, |_| {});
    let mut other = both[0].clone();
    other.analysis.manifest.run_id = "20260102T040506Z-00002b".to_owned();
    other.analysis.manifest.platform = "aarch64-unknown-linux-gnu".to_owned();
    other.analysis.tiers.retain(|t| t.tier != "cpython-jit");
    both.push(other);
    let text = pepjit_reports::markdown(&both).expect("a report");
    let merged: String = text.lines().take_while(|l| !l.starts_with("# CPython")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(merged);
}

#[test]
fn html_report() {
    insta::assert_snapshot!(pepjit_reports::html(&evidence(5, |_| {})).expect("a report"));
}

#[test]
fn html_report_stands_alone_and_escapes_what_it_quotes() {
    let html = pepjit_reports::html(&evidence(5, some_failures)).expect("a report");
    for outside in ["http://", "https://", "<script", "<link", "@import", "src="] {
        let used = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!used.contains(outside), "the report must not need {outside}");
    }
    assert!(html.contains("SIGSEGV &lt;&amp;&gt; | &quot;quoted&quot;"));
    assert!(html.contains("prefers-color-scheme: dark"));
    assert!(html.contains("name=\"viewport\""));
    assert!(!html.contains("#010"), "a stand-in ink was left in a plot");
}

#[test]
fn files_are_written_and_rewritten_alike() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let all = evidence(3, |_| {});
    let read = |paths: &[std::path::PathBuf]| -> Vec<String> {
        paths.iter().map(|p| std::fs::read_to_string(p).expect("readable")).collect()
    };
    let first = read(&pepjit_reports::write(&all, folder.path()).expect("written"));
    let again = read(&pepjit_reports::write(&all, folder.path()).expect("written"));
    assert_eq!(first, again);
    let back: Analysis = serde_json::from_str(&first[2]).expect("an analysis");
    assert_eq!(back, all[0].analysis);
}

#[test]
fn judgement_as_text() {
    let judgement = |rounds, change: fn(&RunDir)| evidence(rounds, change).remove(0).judgement.expect("a judgement");
    insta::assert_snapshot!(pepjit_reports::judgement(&judgement(5, |_| {})));
    insta::assert_snapshot!(pepjit_reports::judgement(&judgement(5, some_failures)));
    insta::assert_snapshot!(pepjit_reports::judgement(&judgement(2, |_| {})));
}

#[test]
fn judgement_for_other_tools() {
    let judgement = evidence(5, some_failures).remove(0).judgement.expect("a judgement");
    insta::assert_snapshot!(pepjit_reports::judgement_junit(&judgement).expect("XML"));
    insta::assert_snapshot!(pepjit_reports::judgement_markdown(&judgement));
}
