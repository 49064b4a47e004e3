//! What is kept of a run: its seal, and manifests of earlier versions.

#[path = "support/fixture.rs"]
mod fixture;

use std::path::Path;
use std::process::Command;

use pepjit_harness::analysis::{AnalysisError, Options, RunData};
use pepjit_harness::model::{RunDir, SCHEMA_VERSION};
use pepjit_harness::store::{Damage, DamageKind, SEAL, Seal, StoreError};

fn sealed() -> (tempfile::TempDir, RunDir) {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), 3);
    Seal::write(&dir).expect("sealed");
    (runs, dir)
}

fn damages(dir: &RunDir) -> Vec<Damage> {
    Seal::load(dir).expect("readable").expect("a seal").verify(dir).expect("checked")
}

fn one(path: &str, kind: DamageKind) -> Vec<Damage> {
    vec![Damage { path: path.into(), kind }]
}

#[test]
fn a_sealed_run_is_whole_for_us_and_for_sha256sum() {
    let (_runs, dir) = sealed();
    assert_eq!(damages(&dir), []);
    let seal = Seal::load(&dir).expect("readable").expect("a seal");
    assert_eq!(seal.len(), 2 + 5 * 6, "the manifest, the journal and a raw file for each tier and workload");
    let check = Command::new("sha256sum").args(["-c", "--strict", "--quiet", SEAL]).current_dir(dir.root()).output();
    let check = check.expect("sha256sum is part of every Linux");
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn each_kind_of_damage_is_named() {
    let nbody = "raw/pepjit/nbody.json";
    let (_runs, dir) = sealed();
    let path = dir.root().join(nbody);
    let text = std::fs::read_to_string(&path).expect("readable");

    std::fs::write(&path, text.replacen("0.0", "0.1", 1)).expect("writable");
    assert_eq!(damages(&dir), one(nbody, DamageKind::Changed));
    std::fs::write(&path, &text[..text.len() / 2]).expect("writable");
    assert_eq!(damages(&dir), one(nbody, DamageKind::CutOff(Some(1))));
    assert_eq!(damages(&dir)[0].to_string(), "raw/pepjit/nbody.json is cut off at line 1");
    std::fs::remove_file(&path).expect("removable");
    assert_eq!(damages(&dir), one(nbody, DamageKind::Missing));
    std::fs::write(&path, &text).expect("writable");
    assert_eq!(damages(&dir), [], "restored");

    std::fs::write(dir.root().join("raw/pepjit/extra.json"), &text).expect("writable");
    assert_eq!(damages(&dir), one("raw/pepjit/extra.json", DamageKind::Added));
}

#[test]
fn what_changed_since_it_was_measured_is_not_believed() {
    let (_runs, dir) = sealed();
    let path = dir.raw_file("pepjit", "sieve");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replace("0.001", "0.0001")).expect("writable");
    let analysis = RunData::load(dir.root()).and_then(|data| data.analyse(Options::default())).expect("the rest stands");
    let failures: Vec<_> = analysis.failures().collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    let (tier, workload, failure) = failures[0];
    assert_eq!((tier, workload), ("pepjit", "sieve"));
    assert!(failure.message.starts_with("raw/pepjit/sieve.json has changed since it was measured"), "{}", failure.message);

    let (_runs, dir) = sealed();
    let journal = std::fs::read_to_string(dir.journal_path()).expect("readable");
    std::fs::write(dir.journal_path(), journal.replace("\"round\":3", "\"round\":2")).expect("writable");
    let error = RunData::load(dir.root()).expect_err("the record is false");
    assert!(matches!(&error, AnalysisError::Store(StoreError::Tampered { .. })), "{error}");
    assert!(error.to_string().contains("journal.jsonl has changed"), "{error}");
}

#[test]
fn a_damaged_seal_is_no_seal_at_all() {
    let (_runs, dir) = sealed();
    std::fs::write(dir.root().join(SEAL), "what  ever\n").expect("writable");
    let error = Seal::load(&dir).expect_err("damaged");
    assert!(error.to_string().contains("line 1 of"), "{error}");
    assert!(RunData::load(dir.root()).is_err());
}

#[test]
fn a_new_manifest_takes_the_seal_away() {
    let (_runs, dir) = sealed();
    dir.write_manifest(&dir.manifest().expect("a manifest")).expect("writable");
    assert_eq!(Seal::load(&dir).expect("readable"), None);
    assert!(RunData::load(dir.root()).is_ok(), "a run that is being measured has none");
}

#[test]
fn a_manifest_of_version_1_is_read_as_one_of_today() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(runs.path().join("manifest.json"), include_str!("data/manifest-v1.json")).expect("writable");
    let dir = RunDir::open(runs.path()).expect("a run");
    let manifest = dir.manifest().expect("migrated");
    assert_eq!(manifest.schema_version, SCHEMA_VERSION);
    assert_eq!(manifest.design.rounds, 10);
    assert_eq!(manifest.design.looks, Vec::<u32>::new());
    assert_eq!((manifest.criteria_sha256.as_ref(), manifest.module_sha256.as_ref()), (None, None));
    assert_eq!(manifest.tiers[0].name, "interp");
    // Written again, it is one of today.
    dir.write_manifest(&manifest).expect("writable");
    let text = std::fs::read_to_string(dir.manifest_path()).expect("readable");
    assert!(text.contains(&format!("\"schema_version\": {SCHEMA_VERSION}")), "{text}");
    assert_eq!(dir.manifest().expect("readable"), manifest);
}

#[test]
fn a_manifest_of_version_2_gives_all_workloads_the_design_s_counts() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(runs.path().join("manifest.json"), include_str!("data/manifest-v2.json")).expect("writable");
    let manifest = RunDir::open(runs.path()).and_then(|dir| dir.manifest()).expect("migrated");
    assert_eq!(manifest.schema_version, SCHEMA_VERSION);
    assert_eq!((manifest.suite.as_str(), manifest.design.looks.as_slice()), ("pyperformance", &[5, 10][..]));
    assert_eq!(manifest.design.counts(&manifest.workloads[0]), (manifest.design.warmups, manifest.design.values));
    assert_eq!(manifest.design.warmup_s, None, "a run that goes on does so as it began");
}

#[test]
fn a_version_of_tomorrow_or_of_nobody_is_refused() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let path = runs.path().join("manifest.json");
    for version in ["0", "99", "\"one\""] {
        let text =
            include_str!("data/manifest-v1.json").replace("\"schema_version\": 1", &format!("\"schema_version\": {version}"));
        std::fs::write(&path, text).expect("writable");
        let error = RunDir::open(runs.path()).and_then(|dir| dir.manifest()).expect_err("refused");
        assert!(matches!(&error, StoreError::Schema { .. }), "{error}");
        assert!(error.to_string().contains("Use the version that wrote it"), "{error}");
    }
    assert!(!Path::new("manifest.json").exists());
}
