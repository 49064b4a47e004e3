//! `calibrate` from the command line.

#[path = "../../harness/tests/support/fixture.rs"]
mod fixture;

use std::path::Path;
use std::process::{Command, Output};

fn calibrate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("calibrate").args(arguments).output().expect("the command starts")
}

#[test]
fn simulated_and_real_runs_in_one_document() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), 5);
    let out = runs.path().join("calibration.md");
    let run = dir.root().to_str().expect("UTF-8");
    let done = calibrate(&[run, "--runs", "10", "--workloads", "4", "--out", out.to_str().expect("UTF-8")]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(matches!(done.status.code(), Some(0 | 1)), "{done:?}");
    for heading in ["## Kept or not", "## Simulated: usual", "## Real runs: the baseline against itself", "nothing (A/A)"] {
        assert!(text.contains(heading), "{heading} is missing in {text}");
    }
    assert_eq!(std::fs::read_to_string(out).expect("written"), text);
}

#[test]
fn a_gate_that_does_not_keep_its_rates_is_exit_code_1() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let thresholds = folder.path().join("deaf.toml");
    let text = "[[criterion]]\nname = \"it\"\ntier = \"new\"\nrequire = { kind = \"no-regression\", beyond = 0.5 }\n";
    std::fs::write(&thresholds, text).expect("writable");
    let done = calibrate(&["--runs", "10", "--workloads", "3", "--json", "--thresholds", thresholds.to_str().expect("UTF-8")]);
    assert_eq!(done.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON alone on stdout");
    assert_eq!(json["simulated"].as_array().map(Vec::len), Some(4));
    assert!(String::from_utf8_lossy(&done.stderr).contains("not kept: quiet: a slow-down of 5 % is caught in 0.00 %"));
}

#[test]
fn what_is_no_run_is_a_usage_error() {
    let done = calibrate(&[Path::new("/nowhere/at/all").to_str().expect("UTF-8"), "--runs", "10"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("manifest.json"), "{done:?}");
}
