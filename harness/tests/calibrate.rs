//! The calibration: it is reproducible, and it would tell a gate that is wrong.

#[path = "support/fixture.rs"]
mod fixture;

use pepjit_harness::calibrate::noise::MODELS;
use pepjit_harness::calibrate::real::{self, RealError};
use pepjit_harness::calibrate::{EFFECTS, Rate, Settings, Source, simulate};
use pepjit_harness::gate::Thresholds;

fn thresholds() -> Thresholds {
    Thresholds::parse(include_str!("../../ci/regression.toml")).expect("valid")
}

fn usual(thresholds: &Thresholds, settings: Settings) -> Source {
    simulate(&MODELS[1..2], thresholds, settings, &|| false, &|_| {}).remove(0)
}

const SMALL: Settings = Settings { runs: 60, workloads: 20, values: 3, seed: 11, jobs: 1 };

#[test]
fn the_committed_gate_keeps_its_rates() {
    let source = usual(&thresholds(), SMALL);
    assert!(source.misses().is_empty(), "{:?}", source.misses());
    let fail = |effect: f64| source.effects.iter().find(|e| e.slower_by.to_bits() == effect.to_bits()).expect("there").fail;
    assert_eq!(fail(0.0).hits, 0);
    assert!(fail(0.05).share() > 0.9 && fail(0.10).share() > 0.99);
    assert_eq!(source.effects.len(), EFFECTS.len());
}

#[test]
fn a_seed_gives_the_same_on_any_number_of_threads() {
    let few = Settings { runs: 12, ..SMALL };
    let one = usual(&thresholds(), few);
    let three = usual(&thresholds(), Settings { jobs: 3, ..few });
    assert_eq!((&one.effects, &one.coverage), (&three.effects, &three.coverage));
    let other = usual(&thresholds(), Settings { seed: 12, ..few });
    assert_ne!(one.pair_sd.to_bits(), other.pair_sd.to_bits());
}

#[test]
fn a_gate_that_cries_wolf_is_told() {
    // Intervals of 55 %, and hardly a margin: noise fails it.
    let eager = Thresholds::parse(
        "alpha = 0.45\nfalse_failure = 0.45\nlooks = [5]\n\
         [[criterion]]\nname = \"it\"\ntier = \"new\"\nrequire = { kind = \"worst\", at_least = 0.9999 }\n",
    )
    .expect("valid");
    let misses = usual(&eager, SMALL).misses();
    assert!(misses.iter().any(|miss| miss.contains("an unchanged build fails")), "{misses:?}");
}

#[test]
fn a_gate_that_sleeps_is_told() {
    let deaf = Thresholds::parse(
        "looks = [5]\n[[criterion]]\nname = \"it\"\ntier = \"new\"\nrequire = { kind = \"no-regression\", beyond = 0.2 }\n",
    )
    .expect("valid");
    let misses = usual(&deaf, SMALL).misses();
    assert!(misses.iter().any(|miss| miss.contains("a slow-down of 5 % is caught in 0.00 %")), "{misses:?}");
}

#[test]
fn other_harnesses_err_on_the_same_data_as_their_rules_say() {
    let source = usual(&thresholds(), SMALL);
    assert!(source.pyperf_null.share() > 0.1, "pyperf takes values of one process for independent: {:?}", source.pyperf_null);
    assert!(source.pyperf_sequential.share() > 0.3, "{:?}", source.pyperf_sequential);
    assert_eq!(source.hpt_null.hits, source.hpt_null.total, "HPT's bounds are the wrong way round");
}

#[test]
fn a_share_has_wilsons_interval() {
    let (low, high) = Rate { hits: 0, total: 100 }.interval();
    assert!(low.abs() < 1e-12 && (high - 0.036_99).abs() < 1e-4, "{high}");
    let (low, high) = Rate { hits: 50, total: 100 }.interval();
    assert!((low - 0.4038).abs() < 1e-3 && (high - 0.5962).abs() < 1e-3);
}

#[test]
fn a_real_run_is_calibrated_by_its_control() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), 6);
    let source = real::calibrate(dir.root(), &thresholds(), Settings { runs: 40, ..SMALL }, &|| false).expect("a calibration");
    assert!(source.description.starts_with("6 workloads, 6 rounds"), "{}", source.description);
    assert_eq!(source.effects[0].fail, Rate { hits: 0, total: 40 });
    // Noise of 0.4 % between processes: 5 % is plain at the one look in reach.
    assert_eq!(source.effects[3].fail.hits, 40);
    assert_eq!(source.coverage.iter().map(|c| c.rounds).collect::<Vec<_>>(), [3, 5]);
}

#[test]
fn a_run_that_cannot_calibrate_says_why() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), 2);
    let error = real::calibrate(dir.root(), &thresholds(), SMALL, &|| false).expect_err("two rounds");
    assert!(error.to_string().contains("has 2 rounds"), "{error}");
    let mut manifest = dir.manifest().expect("a manifest");
    manifest.tiers.retain(|tier| tier.name != "interp-aa");
    manifest.tiers.iter_mut().for_each(|tier| drop(tier.env.insert("X".to_owned(), tier.name.clone())));
    dir.write_manifest(&manifest).expect("writable");
    assert!(matches!(real::load(dir.root()), Err(RealError::NoControl { .. })));
}
