//! `report` and `gate` from the command line, over a made-up run.

#[path = "../../harness/tests/support/fixture.rs"]
mod fixture;

use std::path::Path;
use std::process::{Command, Output};

use pepjit_harness::model::{FailureKind, RunDir};
use pepjit_harness::store::Seal;

fn xtask(arguments: &[&str], run: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).arg(run).env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY");
    command.output().expect("the command starts")
}

fn run(change: impl FnOnce(&RunDir)) -> (tempfile::TempDir, RunDir) {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), 5);
    change(&dir);
    (runs, dir)
}

/// The gate's exit code and stdout when the suite's geometric mean, 2.361 [2.358, 2.363], has to reach a bound.
fn gate(dir: &RunDir, bound: &str) -> (Option<i32>, String) {
    let thresholds = dir.root().join("thresholds.toml");
    let text = format!(
        "[[criterion]]\nname = \"it\"\ntier = \"pepjit\"\nrequire = {{ kind = \"geometric-mean\", at_least = {bound} }}\n"
    );
    std::fs::write(&thresholds, text).expect("writable");
    let out = xtask(&["gate", "--thresholds", thresholds.to_str().expect("UTF-8")], dir.root());
    (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
fn each_answer_has_its_exit_code() {
    let (_runs, dir) = run(|_| {});
    assert_eq!(gate(&dir, "2.0").0, Some(0));
    assert_eq!(gate(&dir, "3.0").0, Some(1));
    assert_eq!(gate(&dir, "-3.0").0, Some(2), "thresholds that make no sense");
    let (code, text) = gate(&dir, "2.361");
    assert_eq!(code, Some(3));
    assert!(text.contains("rounds would decide it"), "{text}");
    let (_runs, dir) = run(|dir| fixture::fail(dir, "pepjit", "sieve", 1, FailureKind::Exit, "exit status 1"));
    assert_eq!(gate(&dir, "2.0").0, Some(4));
    assert_eq!(xtask(&["gate"], Path::new("/nowhere/at/all")).status.code(), Some(2));
}

#[test]
fn criteria_of_the_peps_count_when_they_are_required() {
    let (_runs, dir) = run(|_| {});
    let thresholds = dir.root().join("thresholds.toml");
    let text = "[[criterion]]\nname = \"it\"\ntier = \"pepjit\"\nrequire = { kind = \"geometric-mean\", at_least = 2.0 }\n";
    std::fs::write(&thresholds, text).expect("writable");
    let gate = |required: &str| {
        let out = xtask(&["gate", "--thresholds", thresholds.to_str().expect("UTF-8"), "--require", required], dir.root());
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
    };
    let (code, text) = gate("pepjit-control");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("✓ pepjit-control") && text.contains("- pep836-tooling"), "{text}");
    let (code, text) = gate("pepjit-control,pep836-year1-geomean");
    assert_eq!(code, Some(3), "a criterion that wasn't measured leaves the gate open: {text}");
    assert!(text.contains("cargo xtask measure --suite pyperformance --tiers interp,interp-aa,cpython-jit"), "{text}");
    let (code, text) = gate("pep9999");
    assert_eq!(code, Some(2));
    assert!(text.contains("there is no criterion pep9999"), "{text}");
}

#[test]
fn the_judgement_comes_as_json_and_junit() {
    let (_runs, dir) = run(|_| {});
    let junit = dir.root().join("gate.xml");
    let out = xtask(&["gate", "--json", "--junit", junit.to_str().expect("UTF-8")], dir.root());
    let judgement: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON alone on stdout");
    assert_eq!(judgement["run_id"], "20260102T030405Z-00002a");
    let xml = std::fs::read_to_string(junit).expect("written");
    for part in ["<testsuites name=\"gate 20260102T030405Z-00002a\"", "<testsuite name=\"gate\"", "<testsuite name=\"criteria\""]
    {
        assert!(xml.contains(part), "{part}: {xml}");
    }
}

#[test]
fn github_is_told_what_failed_and_gets_a_summary() {
    let (_runs, dir) = run(|dir| fixture::fail(dir, "pepjit", "sieve", 1, FailureKind::Exit, "100 % gone,\nand more"));
    let summary = dir.root().join("summary.md");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("gate").arg(dir.root()).env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let out = command.output().expect("the command starts");
    assert_eq!(out.status.code(), Some(4));
    let notes = String::from_utf8_lossy(&out.stderr).into_owned();
    let wanted = "::error title=a process failed::sieve on pepjit, round 1 exited with an error: 100 %25 gone,%0Aand more";
    assert!(notes.contains(wanted), "{notes}");
    assert!(
        notes.lines().any(|l| l.starts_with("::error title=The suite is faster") || l.starts_with("::error title=No program")),
        "{notes}"
    );
    let text = std::fs::read_to_string(summary).expect("written");
    assert!(text.starts_with("**BROKEN**") && text.contains("| criterion | deadline | answer | finding |"), "{text}");
}

#[test]
fn a_baseline_is_kept_and_compared_with() {
    let (_runs, dir) = run(|_| {});
    let file = dir.root().join("baseline.json");
    let path = file.to_str().expect("UTF-8");
    let thresholds = dir.root().join("thresholds.toml");
    let text = "[[criterion]]\nname = \"it\"\ntier = \"pepjit\"\nrequire = { kind = \"geometric-mean\", at_least = 2.0 }\n";
    std::fs::write(&thresholds, text).expect("writable");
    let gate = |more: &[&str]| {
        let out = xtask(&[&["gate", "--thresholds", thresholds.to_str().expect("UTF-8")], more].concat(), dir.root());
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
    };
    let (code, text) = gate(&["--baseline", path]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("cannot read the baseline") && text.contains("--write-baseline"), "{text}");
    let (code, text) = gate(&["--write-baseline", path]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = gate(&["--baseline", path]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("none of 21 speed-ups is shown to be lower"), "three tiers of six workloads and a suite: {text}");

    // A workload that was twice as fast before has become slower.
    let kept = std::fs::read_to_string(&file).expect("written");
    let mut baseline: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
    let mean = &mut baseline["tiers"]["pepjit"]["workloads"]["sieve"]["mean"];
    *mean = (mean.as_f64().expect("a number") + 0.7).into();
    std::fs::write(&file, baseline.to_string()).expect("writable");
    let (code, text) = gate(&["--baseline", path]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("slower than in 20260102T030405Z-00002a: sieve on pepjit"), "{text}");

    // Another machine's says nothing, and says so.
    std::fs::write(&file, kept.replace("Example CPU 3000", "Example CPU 9000")).expect("writable");
    let (code, text) = gate(&["--baseline", path]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("another processor: Example CPU 9000 before, Example CPU 3000 now"), "{text}");
    std::fs::write(&file, &kept[..kept.len() / 2]).expect("writable");
    let (code, text) = gate(&["--baseline", path]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("is damaged"), "{text}");
}

#[test]
fn a_report_is_three_files_and_their_paths() {
    let (_runs, dir) = run(|_| {});
    let out = xtask(&["report"], dir.root());
    assert!(out.status.success());
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    let names: Vec<&str> = printed.lines().map(|l| l.rsplit('/').next().unwrap_or(l)).collect();
    assert_eq!(names, ["report.md", "report.html", "analysis.json"]);
    assert!(printed.lines().all(|path| Path::new(path).is_file()), "{printed}");
}

#[test]
fn a_damaged_file_is_warned_of_and_reported() {
    let (_runs, dir) = run(|dir| std::fs::write(dir.raw_file("pepjit", "nbody"), "{\"version\":").expect("writable"));
    let elsewhere = dir.root().join("elsewhere");
    let out = xtask(&["report", "--out", elsewhere.to_str().expect("UTF-8")], dir.root());
    assert!(out.status.success());
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(told.contains("warning: 1 processes or files failed"), "{told}");
    assert!(told.contains("nbody on pepjit is left out") && told.contains("nbody.json is cut off at line 1"), "{told}");
    let text = std::fs::read_to_string(elsewhere.join("report.md")).expect("written");
    assert!(text.contains("nbody.json is cut off at line 1"), "{text}");
}

#[test]
fn what_has_changed_since_it_was_measured_is_named_by_every_command_and_published_by_none() {
    let (runs, dir) = run(|dir| {
        Seal::write(dir).expect("sealed");
        let path = dir.raw_file("pepjit", "nbody");
        let text = std::fs::read_to_string(&path).expect("readable");
        std::fs::write(&path, text.replacen("\"values\":[0.", "\"values\":[0.0", 1)).expect("writable");
    });
    let out = runs.path().join("published");
    let out = out.to_str().expect("UTF-8");
    let draft = format!("{out}.rst");
    for (arguments, code) in [
        (&["gate"][..], 4),
        (&["report", "--out", out], 0),
        (&["pep", "--no-tools", "--out", &draft], 0),
        (&["runs", "compare", dir.root().to_str().expect("UTF-8")], 0),
        (&["runs", "verify"], 4),
        (&["publish", "--no-tools", "--out", out], 2),
    ] {
        std::fs::remove_dir_all(out).ok();
        let done = xtask(arguments, dir.root());
        let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains("raw/pepjit/nbody.json has changed since it was measured"), "{arguments:?}: {text}");
        assert_eq!(Path::new(out).exists(), arguments[0] == "report", "{arguments:?}");
    }
    let baseline = runs.path().join("baseline.json");
    let done = xtask(&["gate", "--write-baseline", baseline.to_str().expect("UTF-8")], dir.root());
    assert!(String::from_utf8_lossy(&done.stderr).contains("a broken run is no baseline"), "{done:?}");
    assert!(!baseline.exists());
}

#[test]
fn a_run_of_another_version_of_the_tool_is_named() {
    let (runs, dir) = run(|dir| {
        let mut manifest = dir.manifest().expect("a manifest");
        manifest.tool_version = "9.8.7".to_owned();
        dir.write_manifest(&manifest).expect("writable");
    });
    let out = runs.path().join("report");
    let same = dir.root().to_str().expect("UTF-8");
    for arguments in [&["gate"][..], &["report", "--out", out.to_str().expect("UTF-8")], &["runs", "compare", same]] {
        let told = String::from_utf8_lossy(&xtask(arguments, dir.root()).stderr).into_owned();
        assert!(told.contains("measured by version 9.8.7 of this tool"), "{arguments:?}: {told}");
    }
}

#[test]
fn a_folder_that_is_no_run_is_a_usage_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = xtask(&["report"], folder.path());
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("has no manifest.json"));
}
