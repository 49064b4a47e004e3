//! pep-draft/criteria.toml, and what it says of ci/gate.toml.

use std::collections::BTreeSet;
use std::path::Path;

use pepjit_harness::gate::{Requirement, Thresholds};
use pepjit_harness::tiers::BASELINE;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema_version: u32,
    #[serde(rename = "criterion")]
    criteria: Vec<Criterion>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Criterion {
    id: String,
    source: String,
    metric: String,
    tier: String,
    baseline: Option<String>,
    platforms: Vec<String>,
    threshold: Threshold,
    confidence: Option<f64>,
    deadline: Option<String>,
    judged_by: Option<String>,
    needs: Option<String>,
    meaning: String,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Threshold {
    AtLeast { value: f64, unit: String, workloads: Option<usize> },
    AtMost { value: f64, unit: String },
    Above { value: f64, unit: String },
    Within { value: f64, unit: String },
    Reported { value: f64, unit: String },
    Yes,
    Unstated,
}

impl Threshold {
    fn bound(&self) -> Option<(f64, &str)> {
        match self {
            Self::AtLeast { value, unit, .. }
            | Self::AtMost { value, unit }
            | Self::Above { value, unit }
            | Self::Within { value, unit }
            | Self::Reported { value, unit } => Some((*value, unit)),
            Self::Yes | Self::Unstated => None,
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project")
}

fn criteria() -> Vec<Criterion> {
    let text = std::fs::read_to_string(root().join("pep-draft/criteria.toml")).expect("the file");
    let file: File = toml::from_str(&text).expect("criteria");
    assert_eq!(file.schema_version, 1);
    file.criteria
}

#[test]
fn each_criterion_is_complete_and_has_a_name_of_its_own() {
    let mut seen = BTreeSet::new();
    for criterion in criteria() {
        let id = &criterion.id;
        assert!(seen.insert(id.clone()), "{id} is there twice");
        assert!(!criterion.source.is_empty() && !criterion.tier.is_empty() && !criterion.platforms.is_empty(), "{id}");
        assert!(criterion.metric.split_once('/').is_some_and(|(family, what)| !family.is_empty() && !what.is_empty()), "{id}");
        assert!(criterion.meaning.ends_with('.') || criterion.meaning.ends_with(')'), "{id}: {}", criterion.meaning);
        assert!(criterion.deadline.is_none_or(|deadline| !deadline.is_empty()), "{id}");
        assert!(criterion.confidence.is_none_or(|share| (0.5..1.0).contains(&share)), "{id}");
        assert_eq!(criterion.judged_by.is_some(), criterion.needs.is_none(), "{id} is either judged or needs something");
        if let Some((value, unit)) = criterion.threshold.bound() {
            assert!(value.is_finite() && value >= 0.0, "{id}");
            assert!(["ratio", "share", "count", "iterations"].contains(&unit), "{id}: {unit}");
        }
    }
}

#[test]
fn what_the_gate_judges_is_what_the_criteria_say() {
    let gate = Thresholds::load(&root().join("ci/gate.toml")).expect("thresholds");
    let criteria = criteria();
    for criterion in &criteria {
        let Some(name) = &criterion.judged_by else { continue };
        let id = &criterion.id;
        let judged = gate.criteria.iter().find(|judged| judged.name == *name);
        let judged = judged.unwrap_or_else(|| panic!("{id}: ci/gate.toml has no criterion {name:?}"));
        assert_eq!(judged.tier, criterion.tier, "{id}");
        assert_eq!(judged.against.as_deref().unwrap_or(BASELINE), criterion.baseline.as_deref().unwrap_or_default(), "{id}");
        assert!(criterion.confidence.is_some_and(|share| (1.0 - share - gate.alpha).abs() < 1e-9), "{id}");
        let same = match (judged.require, &criterion.threshold) {
            (Requirement::GeometricMean { at_least }, Threshold::AtLeast { value, workloads: None, .. })
            | (Requirement::Worst { at_least }, Threshold::AtLeast { value, workloads: None, .. }) => {
                at_least.to_bits() == value.to_bits()
            }
            (Requirement::Count { at_least, workloads }, Threshold::AtLeast { value, workloads: many, .. }) => {
                at_least.to_bits() == value.to_bits() && *many == Some(workloads)
            }
            (Requirement::Unchanged { within } | Requirement::Control { within }, Threshold::Within { value, .. })
            | (Requirement::NoRegression { beyond: within }, Threshold::AtMost { value, .. })
            | (Requirement::Memory { at_most: within }, Threshold::AtMost { value, .. }) => within.to_bits() == value.to_bits(),
            _ => false,
        };
        assert!(same, "{id}: {:?} is not {:?}", judged.require, criterion.threshold);
    }
    for judged in &gate.criteria {
        let listed = criteria.iter().any(|criterion| criterion.judged_by.as_ref() == Some(&judged.name));
        assert!(listed, "pep-draft/criteria.toml does not list {:?} of ci/gate.toml", judged.name);
    }
}
