//! What documents are made from: the fixture's run, judged by criteria of every answer.

#![allow(dead_code, unreachable_pub, reason = "each test file that includes this uses a part of it")]

#[path = "../../../harness/tests/support/fixture.rs"]
pub mod fixture;

use std::fmt::Write as _;
use std::path::Path;

use pepjit_harness::analysis::{Options, RunData};
use pepjit_harness::criteria::{Criteria, assess};
use pepjit_harness::gate::{self, Thresholds};
use pepjit_harness::model::RunDir;
use pepjit_harness::timeline::{Day, Deadlines, Timeline};
use pepjit_reports::{Annexes, Evidence, Material};

/// One criterion of each answer.
pub fn criteria() -> Criteria {
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

/// The deadlines of the project, counted from a day between them.
pub fn timeline(material: &Material) -> Timeline {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pep-draft/deadlines.toml");
    let said: Vec<_> = material.runs.iter().filter_map(|e| Some(e.judgement.as_ref()?.criteria.as_slice())).collect();
    Timeline::new(&Deadlines::load(&path).expect("our own deadlines"), &said, Day::parse("2026-11-23").expect("a day"))
}

/// The fixture's run after a change.
pub fn material(rounds: u32, change: impl FnOnce(&RunDir)) -> Material {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), rounds);
    change(&dir);
    let data = RunData::load(dir.root()).expect("a run");
    let thresholds = Thresholds::parse(include_str!("../../../ci/gate.toml")).expect("our own thresholds");
    let mut judgement = gate::judge(&data, &thresholds).expect("a judgement");
    judgement.add(assess(&criteria(), &data).expect("assessed"), &["never-slower".to_owned()]);
    let evidence = Evidence::new(&data, Options::default(), Some(judgement)).expect("an analysis");
    let mut material = Material { runs: vec![evidence], timeline: None, annexes: Annexes::default() };
    material.timeline = Some(timeline(&material));
    material
}

/// Two runs: that of the fixture, and one of another platform that lacks a tier.
pub fn two_machines() -> Material {
    let mut both = material(5, |_| {});
    let mut other = both.runs[0].clone();
    "20260102T040506Z-00002b".clone_into(&mut other.analysis.manifest.run_id);
    "aarch64-unknown-linux-gnu".clone_into(&mut other.analysis.manifest.platform);
    other.analysis.tiers.retain(|t| t.tier != "cpython-jit");
    both.runs.push(other);
    both
}
