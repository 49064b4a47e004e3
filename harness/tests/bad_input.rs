//! Runs that are damaged, cut off or incomplete: each says what is wrong and what to do, and what can be used
//! is used.

#[path = "support/fixture.rs"]
mod fixture;

use std::path::Path;

use pepjit_harness::analysis::{Analysis, AnalysisError, Options, RunData, Verdict};
use pepjit_harness::model::{FailureKind, RunDir};
use pepjit_harness::pyperf::{PyperfError, Run, Suite};
use pepjit_harness::store::{Journal, StoreError};
use proptest::prelude::*;

fn run(rounds: u32) -> (tempfile::TempDir, RunDir) {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), rounds);
    (runs, dir)
}

fn analyse(dir: &RunDir) -> Result<Analysis, AnalysisError> {
    RunData::load(dir.root())?.analyse(Options::default())
}

fn parse(text: &str) -> PyperfError {
    Suite::parse(text, Path::new("raw/pepjit/nbody.json")).expect_err("must be refused")
}

const GOOD: &str = r#"{"version":"1.0","benchmarks":[{"metadata":{"name":"nbody"},"runs":[{"values":[0.5,0.25]}]}]}"#;

#[test]
fn a_good_file_is_read() {
    let suite = Suite::parse(GOOD, Path::new("x.json")).expect("good");
    assert_eq!(suite.benchmarks[0].runs[0].values, [0.5, 0.25]);
}

#[test]
fn bad_files_name_file_cause_and_cure() {
    let cases = [
        (&GOOD[..GOOD.len() - 9], "cut off"),
        ("", "is empty"),
        (" \n", "is empty"),
        ("Traceback (most recent call last):", "is not JSON"),
        ("{\"a\": 1}", "not pyperf's format"),
        (&GOOD.replace("0.25", "NaN"), "NaN or Infinity"),
        (&GOOD.replace("0.25", "-Infinity"), "NaN or Infinity"),
        (&GOOD.replace("0.25", "0.0"), "must be above 0"),
        (&GOOD.replace("0.25", "-0.25"), "must be above 0"),
        (&GOOD.replace("0.5,0.25", ""), "holds no value"),
        (&GOOD.replace("\"1.0\"", "\"2.0\""), "format version"),
        (&GOOD.replace("\"name\"", "\"nome\""), "has no name"),
        (r#"{"version":"1.0","benchmarks":[]}"#, "holds no benchmark"),
    ];
    for (text, cause) in cases {
        let message = parse(text).to_string();
        assert!(message.contains(cause), "{text:?} gave {message:?}, without {cause:?}");
        assert!(message.contains("raw/pepjit/nbody.json"), "{message:?} doesn't name the file");
    }
}

#[test]
fn workers_write_one_run() {
    let two = GOOD.replace(r#"[{"values":[0.5,0.25]}]"#, r#"[{"values":[0.5]},{"values":[0.25]}]"#);
    let path = Path::new("out.json");
    let suite = Suite::parse(&two, path).expect("good");
    assert!(suite.into_single_run(path).expect_err("two").to_string().contains("2 runs"));
    let run = Suite::parse(GOOD, path).and_then(|s| s.into_single_run(path)).expect("one");
    assert_eq!(run.metadata["name"].as_str(), Some("nbody"), "the benchmark's metadata is kept");
}

#[test]
fn a_truncated_raw_file_costs_its_row_alone() {
    let (_runs, dir) = run(3);
    let path = dir.raw_file("pepjit", "nbody");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, &text[..text.len() / 2]).expect("writable");
    let a = analyse(&dir).expect("the rest");
    let tier = a.tier("pepjit").expect("the tier");
    assert_eq!(tier.left_out, ["nbody"]);
    assert_eq!(tier.covered.len(), 5);
    assert_eq!(tier.suite.as_ref().map(|s| s.pairs), Some(3));
    let row = tier.workloads.iter().find(|w| w.name == "nbody").expect("the row stays");
    assert_eq!(row.verdict, Verdict::Failed);
    assert_eq!(row.failures[0].kind, FailureKind::BadOutput);
    assert!(row.failures[0].message.contains("cut off"), "{}", row.failures[0].message);
    assert!(a.failures().any(|(tier, workload, _)| (tier, workload) == ("pepjit", "nbody")));
}

#[test]
fn a_nan_costs_its_row_alone() {
    let (_runs, dir) = run(3);
    let path = dir.raw_file("cpython-jit", "sieve");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replacen("\"values\":[0", "\"values\":[NaN,0", 1)).expect("writable");
    let a = analyse(&dir).expect("the rest");
    let failure = a.failures().next().expect("one failure");
    assert_eq!((failure.0, failure.1), ("cpython-jit", "sieve"));
    assert!(failure.2.message.contains("NaN"), "{}", failure.2.message);
}

#[test]
fn a_run_without_manifest_is_refused() {
    let (_runs, dir) = run(1);
    std::fs::remove_file(dir.manifest_path()).expect("removable");
    let error = RunData::load(dir.root()).expect_err("refused");
    assert!(matches!(error, AnalysisError::Store(StoreError::NoManifest(_))), "{error}");
}

#[test]
fn a_damaged_manifest_is_refused() {
    let (_runs, dir) = run(1);
    std::fs::write(dir.manifest_path(), "{\"schema_version\": 1").expect("writable");
    let error = RunData::load(dir.root()).expect_err("refused").to_string();
    assert!(error.contains("manifest.json") && error.contains("damaged"), "{error}");
    std::fs::write(dir.manifest_path(), "{\"schema_version\": 99}").expect("writable");
    let error = RunData::load(dir.root()).expect_err("refused").to_string();
    assert!(error.contains("schema version 99"), "{error}");
}

#[test]
fn a_run_without_baseline_is_refused() {
    let (_runs, dir) = run(2);
    std::fs::remove_dir_all(dir.raw().join("interp")).expect("removable");
    let error = analyse(&dir).expect_err("refused");
    assert!(matches!(&error, AnalysisError::NoBaseline { baseline, .. } if baseline == "interp"), "{error}");
    let mut manifest = dir.manifest().expect("a manifest");
    manifest.baseline = "pypy".to_owned();
    dir.write_manifest(&manifest).expect("writable");
    assert!(matches!(analyse(&dir), Err(AnalysisError::NoBaseline { .. })));
}

#[test]
fn an_unknown_tier_is_named_with_the_known_ones() {
    let (_runs, dir) = run(2);
    let data = RunData::load(dir.root()).expect("a run");
    let error = data.compare("pypy", "interp", Options::default()).expect_err("unknown").to_string();
    assert!(error.contains("pypy") && error.contains("cpython-jit"), "{error}");
}

#[test]
fn unequal_counts_of_values_are_paired_all_the_same() {
    let (_runs, dir) = run(3);
    let path = dir.raw_file("pepjit", "nbody");
    let mut suite = Suite::load(&path).expect("good");
    suite.benchmarks[0].runs[1].values.truncate(1);
    suite.save(&path).expect("writable");
    let a = analyse(&dir).expect("an analysis");
    let row = a.tier("pepjit").and_then(|t| t.workloads.iter().find(|w| w.name == "nbody")).expect("the row");
    assert_eq!(row.speedup.as_ref().map(|s| s.pairs), Some(3));
    assert_eq!(row.verdict, Verdict::Faster);
}

#[test]
fn an_interrupted_round_is_no_round_of_the_suite() {
    let (_runs, dir) = run(4);
    // The last round got no further than its first workload.
    for workload in fixture::WORKLOADS.iter().skip(1) {
        for (tier, _) in fixture::TIERS {
            let path = dir.raw_file(tier, workload.0);
            let mut suite = Suite::load(&path).expect("good");
            suite.benchmarks[0].runs.retain(|r| r.round() != Some(4));
            suite.save(&path).expect("writable");
        }
    }
    let a = analyse(&dir).expect("an analysis");
    let tier = a.tier("pepjit").expect("the tier");
    assert_eq!(tier.suite.as_ref().map(|s| s.pairs), Some(3));
    assert_eq!(tier.workloads[0].speedup.as_ref().map(|s| s.pairs), Some(4), "what was measured counts for its row");
    assert_eq!((a.health.complete_rounds, a.failures().count()), (3, 0));
}

#[test]
fn a_workload_never_measured_is_listed_as_missing() {
    let (_runs, dir) = run(3);
    for (tier, _) in fixture::TIERS {
        std::fs::remove_file(dir.raw_file(tier, "closures")).expect("removable");
    }
    let a = analyse(&dir).expect("an analysis");
    let tier = a.tier("pepjit").expect("the tier");
    assert_eq!(tier.workloads[0].verdict, Verdict::Missing);
    assert_eq!(tier.left_out, ["closures"]);
}

#[test]
fn a_baseline_that_fails_is_counted_once() {
    let (_runs, dir) = run(3);
    for round in 1..=3 {
        fixture::fail(&dir, "interp", "nbody", round, FailureKind::Exit, "exit status 1");
    }
    let a = analyse(&dir).expect("an analysis");
    assert_eq!(a.failures().map(|f| (f.0, f.1)).collect::<Vec<_>>(), [("interp", "nbody"); 3]);
    for tier in &a.tiers {
        assert_eq!(tier.left_out, ["nbody"]);
        assert_eq!(tier.workloads[2].verdict, Verdict::Failed);
    }
}

fn set_active(dir: &RunDir, tier: &str, workload: &str, active: Option<u32>) {
    let path = dir.raw_file(tier, workload);
    let mut suite = Suite::load(&path).expect("good");
    for run in &mut suite.benchmarks[0].runs {
        run.metadata.remove("jit_active");
        if let Some(active) = active {
            run.metadata.insert("jit_active".to_owned(), active.into());
        }
    }
    suite.save(&path).expect("writable");
}

#[test]
fn a_process_without_proof_is_a_failure_not_a_figure() {
    let (_runs, dir) = run(3);
    set_active(&dir, "cpython-jit", "nbody", None);
    let a = analyse(&dir).expect("an analysis");
    let tier = a.tier("cpython-jit").expect("the tier");
    assert_eq!(tier.left_out, ["nbody"]);
    assert_eq!((tier.proof.shown, tier.proof.lacking), (15, 3));
    assert!(a.failures().all(|(_, _, f)| f.kind == FailureKind::JitInactive));
    assert_eq!(a.failures().count(), 3);
}

#[test]
fn a_workload_with_nothing_to_compile_keeps_its_figure() {
    let (_runs, dir) = run(3);
    set_active(&dir, "cpython-jit", "json_c", Some(0));
    let a = analyse(&dir).expect("an analysis");
    let tier = a.tier("cpython-jit").expect("the tier");
    assert!(tier.left_out.is_empty());
    assert!(tier.workloads[1].proof.is_idle() && !tier.workloads[0].proof.is_idle());
    assert_eq!((tier.proof.shown, tier.proof.lacking, a.failures().count()), (15, 3, 0));
}

#[test]
fn a_jit_that_compiled_nothing_anywhere_gives_no_figure() {
    let (_runs, dir) = run(3);
    for (workload, _, _) in fixture::WORKLOADS {
        set_active(&dir, "cpython-jit", workload, Some(0));
    }
    let a = analyse(&dir).expect("an analysis");
    let tier = a.tier("cpython-jit").expect("the tier");
    assert_eq!((tier.left_out.len(), tier.verdict, tier.suite.as_ref()), (6, Verdict::Failed, None));
    assert_eq!(a.failures().count(), 18);
}

#[test]
fn a_retry_that_succeeded_is_no_failure() {
    let (_runs, dir) = run(3);
    fixture::fail(&dir, "pepjit", "sieve", 2, FailureKind::Timeout, "no end after 60 s");
    assert_eq!(analyse(&dir).expect("an analysis").failures().count(), 1);
    let path = dir.raw_file("pepjit", "sieve");
    pepjit_harness::pyperf::append_run(&path, "sieve", 2, fixture::process(3, 5, 2)).expect("appended");
    dir.journal().and_then(|mut j| j.append(fixture::record(2, "sieve", "pepjit", 0, 0.0, None))).expect("a line");
    assert_eq!(analyse(&dir).expect("an analysis").failures().count(), 0);
}

#[test]
fn a_torn_journal_line_is_measured_again() {
    let (_runs, dir) = run(1);
    let path = dir.journal_path();
    let text = std::fs::read_to_string(&path).expect("readable");
    let lines = text.lines().count();
    std::fs::write(&path, &text[..text.len() - 10]).expect("writable");
    assert_eq!(Journal::read(&path).expect("tolerated").len(), lines - 1);
    let mut journal = dir.journal().expect("tolerated");
    assert_eq!(journal.done().len(), lines - 1);
    journal.append(fixture::record(9, "sieve", "interp", 0, 0.0, None)).expect("a line");
    let again = Journal::read(&path).expect("whole again");
    assert_eq!((again.len(), again.last().map(|r| r.round)), (lines, Some(9)));
}

#[test]
fn a_damaged_journal_line_is_named() {
    let (_runs, dir) = run(1);
    let text = std::fs::read_to_string(dir.journal_path()).expect("readable");
    std::fs::write(dir.journal_path(), text.replacen("\"round\"", "\"ruond\"", 1)).expect("writable");
    let error = RunData::load(dir.root()).expect_err("refused").to_string();
    assert!(error.contains("line 1") && error.contains("journal.jsonl"), "{error}");
}

#[test]
fn the_latest_run_is_the_last_by_name() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    assert!(matches!(RunDir::latest(runs.path()), Err(StoreError::NoRuns(_))));
    for id in ["20260102T030405Z-00002a", "20261231T000000Z-000001"] {
        let manifest = pepjit_harness::model::Manifest { run_id: id.to_owned(), ..fixture::manifest(1) };
        RunDir::create(runs.path(), &manifest).expect("a run");
    }
    std::fs::create_dir(runs.path().join("zzz-not-a-run")).expect("a folder");
    let latest = RunDir::latest(runs.path()).expect("a run");
    assert!(latest.root().ends_with("20261231T000000Z-000001"));
}

#[test]
fn times_are_utc() {
    use pepjit_harness::store::{rfc3339, run_id};
    use std::time::{Duration, UNIX_EPOCH};
    for (secs, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_767_323_045, "2026-01-02T03:04:05Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(secs)), text);
    }
    assert_eq!(run_id(UNIX_EPOCH + Duration::from_secs(1_767_323_045), 42), "20260102T030405Z-00002a");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn runs_survive_storage(values in prop::collection::vec(1e-9..1e3f64, 1..20), rounds in 1u32..5) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tier/workload.json");
        let run = Run { values, warmups: vec![(3, 0.5)], ..Run::default() };
        // In any order, and twice: the file is the same.
        for round in (1..=rounds).rev().chain(1..=rounds) {
            pepjit_harness::pyperf::append_run(&path, "workload", round, run.clone()).expect("appended");
        }
        let suite = Suite::load(&path).expect("good");
        let read = &suite.benchmarks[0].runs;
        prop_assert_eq!(read.iter().filter_map(Run::round).collect::<Vec<_>>(), (1..=rounds).collect::<Vec<_>>());
        for r in read {
            prop_assert_eq!(&r.values, &run.values);
            prop_assert_eq!(&r.warmups, &run.warmups);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,80}", cut in 0usize..100) {
        let path = Path::new("x.json");
        let _ = Suite::parse(&text, path);
        prop_assert!(Suite::parse(&GOOD[..cut.min(GOOD.len() - 1)], path).is_err());
    }
}
