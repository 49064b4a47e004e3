//! The PEP draft over the made-up run: every figure from files, and the checks that keep it so.

mod support;

use std::path::{Path, PathBuf};

use pepjit_harness::analysis::{Options, RunData};
use pepjit_harness::criteria::{Criteria, assess};
use pepjit_harness::gate::{self, Thresholds};
use pepjit_harness::model::RunDir;
use pepjit_harness::timeline::Deadlines;
use pepjit_reports::pep::{self, Draft, NOT_MEASURED, PepSources};
use pepjit_reports::{Annexes, Evidence, Material};
use support::fixture;

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pep-draft").join(path)
}

fn template() -> String {
    std::fs::read_to_string(in_project("pep.rst.j2")).expect("the template")
}

fn sources(dir: &RunDir) -> PepSources {
    let data = RunData::load(dir.root()).expect("a run");
    let criteria = Criteria::load(&in_project("criteria.toml")).expect("our own criteria");
    let thresholds = Thresholds::parse(include_str!("../../ci/gate.toml")).expect("our own thresholds");
    let mut judgement = gate::judge(&data, &thresholds).expect("a judgement");
    judgement.add(assess(&criteria, &data).expect("assessed"), &[]);
    let evidence = Evidence::new(&data, Options::default(), Some(judgement)).expect("an analysis");
    let mut material = Material { runs: vec![evidence], timeline: None, annexes: Annexes::default() };
    material.timeline = Some(support::timeline(&material));
    let deadlines = Deadlines::load(&in_project("deadlines.toml")).expect("our own deadlines");
    PepSources { material, beside: vec![dir.root().to_owned()], criteria, deadlines }
}

fn draft_of(template: &str, change: impl FnOnce(&RunDir)) -> Draft {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), 5);
    change(&dir);
    pep::draft(template, sources(&dir)).expect("a draft")
}

#[test]
fn a_figure_can_be_asked_of_one_suite() {
    let two_suites = || {
        let runs = tempfile::tempdir().expect("a temporary folder");
        let mut both = sources(&fixture::write(runs.path(), 5));
        let mut other = both.material.runs[0].clone();
        "another".clone_into(&mut other.analysis.manifest.suite);
        "20260102T040506Z-00002b".clone_into(&mut other.analysis.manifest.run_id);
        both.material.runs.push(other);
        both
    };
    let text = "{{ fig(\"pepjit\", \"speed\", suite=\"another\") }} {{ fig(\"pepjit\", \"speed\", suite=\"none\") }} \
                {{ fig(\"pepjit\", \"speed\", \"cpython-jit\") }}\n\n{{ notes() }}";
    let draft = pep::draft(text, two_suites()).expect("a draft").text;
    let (figures, notes) = draft.split_once(".. [#").expect("footnotes");
    let figures = figures.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(figures.contains("[#pepjit-interp-run-2]_ not measured 2.185x"), "{figures}");
    assert!(notes.split_whitespace().collect::<Vec<_>>().join(" ").contains("suite another"), "{notes}");
    let unknown = pep::draft("{{ fig(\"pepjit\", \"speed\", sweet=\"none\") }}", two_suites());
    assert!(unknown.is_err(), "an argument that nobody knows");
}

#[test]
fn the_draft_passes_its_checks_and_every_figure_has_its_footnote() {
    assert_eq!(pep::lint_template(&template()), []);
    let draft = draft_of(&template(), |_| {});
    assert_eq!(pep::lint_draft(&draft.text), []);
    assert!(draft.filled > 80, "{}", draft.filled);
    assert!(draft.text.contains("[#pepjit-interp]_") && draft.text.contains(".. [#pepjit-interp] ``raw/pepjit/``"));
    // Neither CinderX nor PyPy is in the run, and nobody looked at a repository.
    assert!(draft.lacking.iter().any(|l| l == "speed of cinderx") && draft.lacking.iter().any(|l| l == "governance.json"));
    assert!(draft.text.matches(NOT_MEASURED).count() >= draft.lacking.len());
}

#[test]
fn every_topic_of_the_council_has_its_place() {
    let draft = draft_of(&template(), |_| {}).text;
    for topic in [
        "Maintenance model",
        "Backwards Compatibility",
        "Success metrics and timeline",
        "Relationship to other compilers",
        "The interface",
        "Security Implications",
        "Debugging and tooling",
        "Redistributors",
        "Free threading",
    ] {
        assert!(draft.contains(&format!("\n{topic}\n")), "{topic}");
    }
}

#[test]
fn changing_one_raw_value_changes_the_draft() {
    let before = draft_of(&template(), |_| {}).text;
    assert_eq!(before, draft_of(&template(), |_| {}).text, "the same files give the same draft");
    let after = draft_of(&template(), |dir| {
        let path = dir.raw_file("pepjit", "nbody");
        let mut json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).expect("a raw file")).expect("JSON");
        let value = json.pointer_mut("/benchmarks/0/runs/0/values/0").expect("a value");
        *value = serde_json::json!(value.as_f64().expect("a number") * 3.0);
        std::fs::write(&path, json.to_string()).expect("writable");
    })
    .text;
    let of = |text: &str| text.lines().find(|l| l.contains("Against the interpreter it is")).map(str::to_owned);
    assert_ne!(before, after);
    assert!(of(&before).is_some());
    let geometric_mean = |text: &str| text.split("Against the interpreter it is").nth(1).map(|rest| rest[..40].to_owned());
    assert_ne!(geometric_mean(&before), geometric_mean(&after));
}

#[test]
fn a_figure_typed_by_hand_is_found_in_the_template() {
    let typed = template().replacen("{{ fig(\"pepjit\", \"memory\") }}", "1.751x", 1);
    let found = pep::lint_template(&typed);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("1.751x") && found[0].line > 10);
}

#[test]
fn what_lies_beside_the_run_is_filled_in_and_named() {
    let text = "{{ file(\"compat.json\", \"/summary\") }}, {{ file(\"compat.json\", \"/tests\", \"count\") }}; {{ file(\"compat.json\", \"/no\") }}\n\n{{ notes() }}\n";
    let with = draft_of(text, |dir| {
        std::fs::write(dir.root().join("compat.json"), "{\"summary\": \"alike\", \"tests\": 43210}").expect("writable");
    });
    assert!(with.text.starts_with("alike [#compat-json]_, 43,210 [#compat-json]_; not measured"), "{}", with.text);
    assert!(with.text.contains(".. [#compat-json] ``compat.json`` beside the run, SHA-256"));
    assert_eq!(draft_of(text, |_| {}).lacking.len(), 3);
}

#[test]
fn people_of_another_jit_are_told_as_such_and_not_as_those_of_cpython() {
    use pepjit_harness::governance::{Governance, MapUsed, Stage};
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), 5);
    let stage = |name: &str| Stage { name: name.to_owned(), files: 3, contributors: 41, ..Stage::default() };
    let map = MapUsed { name: "Another's JIT".to_owned(), ..MapUsed::default() };
    let history = Governance { map, stages: vec![stage("code generation")], ..Governance::default() };
    let text = serde_json::to_string(&history).expect("JSON");
    std::fs::write(dir.root().join("governance-another.json"), text).expect("writable");
    let mut sources = sources(&dir);
    sources.material.annexes = Annexes::read(&sources.beside).expect("annexes");
    let template = "{{ stages() }}\n\n{{ stages(\"governance-another.json\") }}\n\n{{ notes() }}\n";
    let draft = pep::draft(template, sources.clone()).expect("a draft");
    assert!(draft.text.contains("Maintenance by stage: Another's JIT") && draft.text.contains("41"), "{}", draft.text);
    assert_eq!(draft.lacking, ["governance.json"], "CPython's stay not measured");
    let report = pepjit_reports::markdown(&sources.material).expect("a report");
    assert!(report.contains("### Another's JIT"), "{report}");
}

#[test]
fn what_does_not_exist_is_an_error_and_not_a_gap() {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let sources = sources(&fixture::write(runs.path(), 5));
    for (text, says) in [
        ("{{ status(\"no-such\") }}", "no-such"),
        ("{{ fig(\"pepjit\", \"beauty\") }}", "beauty"),
        ("{{ run(\"weather\") }}", "weather"),
        ("{{ deadline(\"someday\") }}", "someday"),
        ("{{ criteria(\"PEP 1\", \"None\") }}", "PEP 1"),
        ("{{ unknown }}", "undefined"),
    ] {
        let error = pep::draft(text, sources.clone()).expect_err(text).to_string();
        assert!(error.contains(says), "{error}");
    }
}
