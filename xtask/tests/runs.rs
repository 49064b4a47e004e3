//! `runs` from the command line, over made-up runs.

#[path = "../../harness/tests/support/fixture.rs"]
mod fixture;

use std::path::Path;
use std::process::Command;

use pepjit_harness::model::RunDir;
use pepjit_harness::store::Seal;

fn runs(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("runs").args(arguments).arg("--dir").arg(folder).output();
    let out = out.expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

/// Two runs of different names: the second one's `pepjit` is 20 % slower on `sieve`, and has another Python.
fn two() -> (tempfile::TempDir, RunDir, RunDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = fixture::write(folder.path(), 5);
    let later = folder.path().join("20260203T030405Z-00002b");
    let copied = Command::new("cp").arg("-r").arg(first.root()).arg(&later).status().expect("cp");
    assert!(copied.success());
    let second = RunDir::open(&later).expect("a run");
    let mut manifest = second.manifest().expect("a manifest");
    manifest.run_id = "20260203T030405Z-00002b".into();
    manifest.tiers[0].version = "3.15.1".into();
    second.write_manifest(&manifest).expect("writable");
    let path = second.raw_file("pepjit", "sieve");
    let mut suite = pepjit_harness::pyperf::Suite::load(&path).expect("a raw file");
    for value in suite.benchmarks[0].runs.iter_mut().flat_map(|run| &mut run.values) {
        *value *= 1.2;
    }
    suite.save(&path).expect("writable");
    Seal::write(&first).expect("sealed");
    Seal::write(&second).expect("sealed");
    (folder, first, second)
}

#[test]
fn runs_are_listed() {
    let (folder, _, second) = two();
    std::fs::write(second.manifest_path(), "{").expect("writable");
    let (code, out, _) = runs(folder.path(), &["list"]);
    assert_eq!(code, Some(0));
    for word in
        ["20260102T030405Z-00002a", "complete, sealed", "interp, interp-aa", "3.15.0", "✗ damaged", "manifest.json is damaged"]
    {
        assert!(out.contains(word), "{word} is missing in {out}");
    }
    let (_, out, _) = runs(folder.path(), &["list", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((rows[0]["state"].as_str(), rows[1]["state"].as_str()), (Some("complete"), Some("damaged")));
    let (code, out, err) = runs(&folder.path().join("none"), &["list"]);
    assert_eq!((code, out.as_str()), (Some(0), ""));
    assert!(err.contains("cargo xtask measure"));
}

#[test]
fn two_runs_are_compared() {
    let (folder, first, second) = two();
    let name = |dir: &RunDir| dir.root().file_name().expect("a name").to_string_lossy().into_owned();
    let (code, out, err) = runs(folder.path(), &["compare", &name(&first), &name(&second)]);
    assert_eq!(code, Some(0), "{err}");
    let table = out.split("\n pepjit  ").nth(1).expect("a table of pepjit");
    let line = |word: &str| table.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}: {out}")).to_owned();
    assert!(line(" sieve ").contains("0.833x") && line(" sieve ").contains("▼ slower"), "{out}");
    assert!(line(" nbody ").contains("1.000x") && line(" nbody ").contains("= no change"), "{out}");
    assert!(err.contains("warning: another Python: 3.15.0 before, 3.15.1 now"), "{err}");
    let (_, out, _) = runs(folder.path(), &["compare", &name(&first), &name(&second), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["tiers"].as_array().map(Vec::len), Some(3), "every tier but the control and the baseline");
}

#[test]
fn a_tampered_or_truncated_file_is_named() {
    let (folder, first, second) = two();
    let (code, out, _) = runs(folder.path(), &["verify"]);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(out.matches("files are as they were measured").count(), 2);
    let path = first.raw_file("interp", "sieve");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, &text[..40]).expect("writable");
    std::fs::write(second.raw_file("pepjit", "nbody"), text).expect("writable");
    let (code, out, _) = runs(folder.path(), &["verify"]);
    assert_eq!(code, Some(4));
    assert!(out.contains("raw/interp/sieve.json is cut off at line 1"), "{out}");
    assert!(out.contains("raw/pepjit/nbody.json has changed since it was measured"), "{out}");
    let (code, out, _) = runs(folder.path(), &["verify", first.root().to_str().expect("UTF-8")]);
    assert_eq!((code, out.contains("nbody")), (Some(4), false), "{out}");
    std::fs::remove_file(second.root().join("SHA256SUMS")).expect("there was a seal");
    let (code, out, _) = runs(folder.path(), &["verify", second.root().to_str().expect("UTF-8")]);
    assert_eq!(code, Some(0));
    assert!(out.contains("its SHA256SUMS was taken away"), "{out}");
}

#[test]
fn pruning_says_what_it_would_do_and_does_it_when_told() {
    let (folder, first, second) = two();
    let (code, _, err) = runs(folder.path(), &["prune"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--keep N"), "{err}");
    let (_, out, _) = runs(folder.path(), &["prune", "--keep", "1"]);
    assert!(out.contains("would remove") && out.contains("--yes removes them") && first.root().exists(), "{out}");
    let (_, out, _) = runs(folder.path(), &["prune", "--incomplete", "--yes"]);
    assert!(out.contains("nothing to remove"), "{out}");
    let (code, out, _) = runs(folder.path(), &["prune", "--keep", "1", "--yes"]);
    assert_eq!((code, first.root().exists(), second.root().exists()), (Some(0), false, true), "{out}");
}
