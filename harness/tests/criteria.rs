//! pep-draft/criteria.toml, what it says of ci/gate.toml, and what runs say about criteria.

#[path = "support/fixture.rs"]
mod fixture;

use std::path::Path;
use std::sync::OnceLock;

use pepjit_harness::analysis::RunData;
use pepjit_harness::criteria::{Assessment, Criteria, Status, Threshold, assess};
use pepjit_harness::gate::{Requirement, Thresholds};
use pepjit_harness::governance::{Governance, MapUsed, Stage};
use pepjit_harness::model::TierRecord;
use pepjit_harness::tiers::BASELINE;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project")
}

fn criteria() -> Criteria {
    Criteria::load(&root().join("pep-draft/criteria.toml")).expect("criteria")
}

#[test]
fn each_criterion_is_complete() {
    for criterion in criteria().all {
        let id = &criterion.id;
        assert!(!criterion.source.is_empty() && !criterion.tier.is_empty() && !criterion.platforms.is_empty(), "{id}");
        assert!(criterion.metric.split_once('/').is_some_and(|(family, what)| !family.is_empty() && !what.is_empty()), "{id}");
        assert!(criterion.meaning.ends_with('.') || criterion.meaning.ends_with(')'), "{id}: {}", criterion.meaning);
        assert!(criterion.deadline.is_none_or(|deadline| !deadline.is_empty()), "{id}");
        if let Some((_, unit)) = criterion.threshold.bound() {
            assert!(["ratio", "share", "count", "iterations"].contains(&unit), "{id}: {unit}");
        }
    }
}

#[test]
fn every_source_has_its_numbers() {
    let all = criteria().all;
    // Source, metric, number: the criteria that were stated or reported.
    for (source, metric, value) in [
        ("PEP 744", "speed/geometric-mean", 1.05_f64),
        ("PEP 744", "memory/geometric-mean", 1.2),
        ("139038, must", "speed/geometric-mean", 1.05),
        ("139038, must", "speed/best", 1.5),
        ("139038, must", "speed/worst", 0.9),
        ("139038, must", "coverage/time-in-native-code", 0.8),
        ("139038, nice", "speed/geometric-mean", 1.1),
        ("139038, nice", "speed/best", 2.0),
        ("139038, nice", "speed/worst", 0.99),
        ("139038, nice", "coverage/time-in-native-code", 0.9),
        ("PEP 836, year 1", "speed/geometric-mean", 1.05),
        ("PEP 836, year 1", "distribution/llvm-versions", 2.0),
        ("PEP 836, year 2", "speed/geometric-mean", 1.2),
        ("PEP 836, Platform", "platforms/supported", 4.0),
        ("PEP 836, Tooling", "tooling/regressions", 0.0),
        ("PEP 836, Maintenance", "maintenance/active-per-stage", 1.0),
        ("PEP 836, Appendix", "speed/geometric-mean", 1.126),
        ("PEP 836, Appendix", "speed/geometric-mean", 1.073),
        ("PEP 836, Appendix", "speed/geometric-mean", 1.069),
        ("PEP 836, Appendix", "speed/geometric-mean", 1.047),
        ("PEP 779", "speed/geometric-mean", 0.85),
        ("PEP 779", "memory/geometric-mean", 1.2),
        ("PEP 3146", "speed/geometric-mean", 5.0),
        ("PEP 3146", "memory/ratio", 7.92),
        ("PEP 3146", "start-up/ratio", 2.5),
        ("PEP 3146", "distribution/binary-size", 7.5),
    ] {
        let found = all.iter().any(|c| {
            c.source.contains(source)
                && c.metric == metric
                && c.threshold.bound().is_some_and(|(v, _)| v.to_bits() == value.to_bits())
        });
        assert!(found, "{source}, {metric}: {value}");
    }
    for metric in ["memory/geometric-mean", "start-up/ratio", "warm-up/break-even-iterations", "distribution/binary-size"] {
        let omitted =
            all.iter().any(|c| c.source.contains("omission") && c.metric == metric && c.threshold == Threshold::Unstated);
        assert!(omitted, "PEP 836 gives no number for {metric}");
    }
    for metric in
        ["memory/geometric-mean", "start-up/ratio", "warm-up/break-even-iterations", "speed/worst", "speed/share-slower"]
    {
        let ours = all.iter().any(|c| c.source == "this project" && c.metric == metric && c.threshold.bound().is_some());
        assert!(ours, "this project states one for {metric}");
    }
}

#[test]
fn what_the_gate_judges_is_what_the_criteria_say() {
    let gate = Thresholds::load(&root().join("ci/gate.toml")).expect("thresholds");
    let criteria = criteria().all;
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

fn made_up(rounds: u32) -> &'static RunData {
    static RUNS: [OnceLock<RunData>; 2] = [OnceLock::new(), OnceLock::new()];
    RUNS[usize::from(rounds == 5)].get_or_init(|| {
        let runs = tempfile::tempdir().expect("a temporary folder");
        RunData::load(fixture::write(runs.path(), rounds).root()).expect("a run")
    })
}

/// What a made-up run says about one criterion: pepjit at 2.361 [2.358, 2.363], its best at 8, properties at 0.90, memory
/// at 1.25, break-even after 5 iterations in four of six workloads.
fn said(rounds: u32, keys: &str) -> Assessment {
    said_by(made_up(rounds), keys)
}

fn said_by(data: &RunData, keys: &str) -> Assessment {
    let text = format!(
        "schema_version = 2\n[[criterion]]\nid = \"it\"\nsource = \"here\"\nplatforms = [\"any\"]\nmeaning = \"It.\"\n\
         baseline = \"interp\"\n{keys}\n"
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("criteria.toml");
    std::fs::write(&path, text).expect("writable");
    assess(&Criteria::load(&path).expect("valid"), data).expect("assessed").remove(0)
}

#[track_caller]
fn is(status: Status, metric: &str, threshold: &str) -> Assessment {
    let keys = format!("tier = \"pepjit\"\nmetric = \"{metric}\"\nthreshold = {{ {threshold} }}");
    let assessment = said(5, &keys);
    assert_eq!(assessment.status, status, "{}", assessment.finding);
    assessment
}

#[test]
fn a_run_meets_a_criterion_or_does_not() {
    is(Status::Met, "speed/geometric-mean", "kind = \"at-least\", value = 2.3, unit = \"ratio\"");
    is(Status::NotMet, "speed/geometric-mean", "kind = \"at-least\", value = 2.5, unit = \"ratio\"");
    is(Status::Met, "speed/best", "kind = \"at-least\", value = 2.0, unit = \"ratio\"");
    is(Status::NotMet, "speed/worst", "kind = \"at-least\", value = 0.99, unit = \"ratio\"");
    is(Status::Met, "speed/count", "kind = \"at-least\", value = 5.0, unit = \"ratio\", workloads = 2");
    is(Status::Met, "memory/geometric-mean", "kind = \"at-most\", value = 1.3, unit = \"ratio\"");
    is(Status::NotMet, "memory/geometric-mean", "kind = \"at-most\", value = 1.2, unit = \"ratio\"");
    is(Status::NotMet, "speed/share-slower", "kind = \"at-most\", value = 0.05, unit = \"share\"");
    is(Status::Met, "speed/share-slower", "kind = \"at-most\", value = 0.5, unit = \"share\"");
}

#[test]
fn some_workloads_do_not_decide_what_is_asked_of_the_suite() {
    let mut data = made_up(5).clone();
    data.manifest.suite.push_str(" (part)");
    let of_part = |metric: &str, threshold: &str| {
        said_by(&data, &format!("tier = \"pepjit\"\nmetric = \"{metric}\"\nthreshold = {{ {threshold} }}"))
    };
    let count = |workloads| {
        of_part("speed/count", &format!("kind = \"at-least\", value = 5.0, unit = \"ratio\", workloads = {workloads}"))
    };
    assert_eq!(count(2).status, Status::Met, "enough are enough");
    assert_eq!(
        is(Status::NotMet, "speed/count", "kind = \"at-least\", value = 5.0, unit = \"ratio\", workloads = 3").command,
        None
    );
    let few = count(3);
    assert_eq!(few.status, Status::NotMeasured, "there may be more in the whole suite");
    assert!(few.finding.contains("some workloads only") && few.finding.contains("3 workloads are asked for"), "{}", few.finding);
    assert_eq!(few.command.as_deref(), Some("cargo xtask measure --tiers interp,interp-aa,pepjit"));
    assert_eq!(of_part("speed/worst", "kind = \"at-least\", value = 0.99, unit = \"ratio\"").status, Status::NotMet);
    for (metric, threshold) in [
        ("speed/worst", "kind = \"at-least\", value = 0.85, unit = \"ratio\""),
        ("speed/geometric-mean", "kind = \"at-least\", value = 2.3, unit = \"ratio\""),
        ("speed/geometric-mean", "kind = \"at-least\", value = 2.5, unit = \"ratio\""),
        ("speed/geometric-mean", "kind = \"reported\", value = 1.1, unit = \"ratio\""),
        ("speed/share-slower", "kind = \"at-most\", value = 0.05, unit = \"share\""),
        ("memory/geometric-mean", "kind = \"at-most\", value = 1.3, unit = \"ratio\""),
    ] {
        assert_eq!(of_part(metric, threshold).status, Status::NotMeasured, "{metric}: {threshold}");
    }
}

#[test]
fn an_open_one_says_what_would_decide_it() {
    let open = is(Status::Inconclusive, "speed/geometric-mean", "kind = \"at-least\", value = 2.362, unit = \"ratio\"");
    assert!(open.rounds_to_decide.is_some_and(|rounds| rounds > 5));
    // Two of six never break even, so that the median's interval has no end.
    let open =
        is(Status::Inconclusive, "warm-up/break-even-iterations", "kind = \"at-most\", value = 9.0, unit = \"iterations\"");
    assert!(open.finding.contains("never"), "{}", open.finding);
}

#[test]
fn what_states_no_limit_gets_its_figure() {
    let figure = is(Status::NoLimit, "memory/geometric-mean", "kind = \"unstated\"");
    assert!(figure.finding.starts_with("1.25"), "{}", figure.finding);
    is(Status::NoLimit, "speed/geometric-mean", "kind = \"reported\", value = 1.1, unit = \"ratio\"");
}

#[test]
fn what_was_not_measured_says_which_command_would() {
    let bound = "threshold = { kind = \"at-least\", value = 1.05, unit = \"ratio\" }\nmetric = \"speed/geometric-mean\"";
    let absent = said(5, &format!("tier = \"cinderx\"\n{bound}"));
    assert_eq!(absent.status, Status::NotMeasured);
    assert_eq!(absent.command.as_deref(), Some("cargo xtask measure --tiers interp,interp-aa,cinderx"));
    let suite = said(5, &format!("tier = \"pepjit\"\nsuite = \"pyperformance\"\n{bound}"));
    assert_eq!(suite.command.as_deref(), Some("cargo xtask measure --suite pyperformance --tiers interp,interp-aa,pepjit"));
    assert!(suite.finding.contains("which gives 2.36"), "{}", suite.finding);
    let start = said(5, "tier = \"pepjit\"\nmetric = \"start-up/ratio\"\nthreshold = { kind = \"unstated\" }");
    assert!(start.command.is_some_and(|c| c.contains("--suite start-up")));
    let elsewhere =
        said(5, "tier = \"pepjit\"\nmetric = \"tooling/tests\"\nthreshold = { kind = \"yes\" }\nby = \"the tool matrix\"");
    assert_eq!((elsewhere.status, elsewhere.command), (Status::NotMeasured, None));
    assert_eq!(elsewhere.finding, "decided by the tool matrix");
}

/// The status, finding and command of a criterion for a made-up run, in whose folder a file may lie.
fn tells(id: &str, data: &RunData) -> (Status, String, Option<String>) {
    let found = assess(&criteria(), data).expect("assessed").into_iter().find(|a| a.criterion.id == id).expect("listed");
    (found.status, found.finding, found.command)
}

#[test]
fn maintenance_is_judged_by_the_history_beside_the_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut data = made_up(5).clone();
    data.root = folder.path().to_owned();
    let (status, finding, command) = tells("pep836-maintenance", &data);
    assert_eq!(status, Status::NotMeasured);
    assert!(finding.contains("no governance.json"), "{finding}");
    assert!(command.is_some_and(|command| command.contains("governance --repo")));
    let stages = |back: usize| {
        [("front end", 3), ("back end", back)].map(|(name, active)| Stage {
            name: name.to_owned(),
            files: 1,
            active_recurring: active,
            ..Stage::default()
        })
    };
    let named = |name: &str| MapUsed { name: name.to_owned(), ..MapUsed::default() };
    let write = |history: &Governance| {
        std::fs::write(folder.path().join("governance.json"), serde_json::to_string(history).expect("JSON")).expect("writable");
    };
    for (back, expected) in [(2, Status::Met), (1, Status::NotMet)] {
        write(&Governance { map: named("CPython's JIT"), stages: stages(back).to_vec(), ..Governance::default() });
        let (status, finding, _) = tells("pep836-maintenance", &data);
        assert_eq!(status, expected);
        assert!(finding.contains(&format!("3 front end, {back} back end")), "{finding}");
    }
    // Another project's people say nothing of CPython's, nor does CPython's map of a repository that lacks the files.
    write(&Governance { map: named("CinderX's JIT"), stages: stages(2).to_vec(), ..Governance::default() });
    let (status, finding, _) = tells("pep836-maintenance", &data);
    assert!(status == Status::NotMeasured && finding.contains("is about CinderX's JIT"), "{finding}");
    let mut empty = stages(2).to_vec();
    empty[1].files = 0;
    write(&Governance { map: named("CPython's JIT"), stages: empty, ..Governance::default() });
    let (status, finding, _) = tells("pep836-maintenance", &data);
    assert!(status == Status::NotMeasured && finding.contains("no file of the back end"), "{finding}");
    // What lies in a folder of annexes counts as what lies beside the run.
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    std::fs::remove_file(folder.path().join("governance.json")).expect("removed");
    let history = Governance { map: named("CPython's JIT"), stages: stages(2).to_vec(), ..Governance::default() };
    let text = serde_json::to_string(&history).expect("JSON");
    std::fs::write(elsewhere.path().join("governance.json"), text).expect("writable");
    assert_eq!(tells("pep836-maintenance", &data).0, Status::NotMeasured);
    data.beside.insert(0, elsewhere.path().to_owned());
    assert_eq!(tells("pep836-maintenance", &data).0, Status::Met);
    data.beside.remove(0);
    std::fs::write(folder.path().join("governance.json"), "{").expect("writable");
    let (status, finding, _) = tells("pep836-maintenance", &data);
    assert!(status == Status::NotMeasured && finding.contains("is damaged"), "{finding}");
}

#[test]
fn tooling_is_judged_by_the_tool_matrix_beside_the_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut data = made_up(5).clone();
    data.root = folder.path().to_owned();
    let (status, finding, command) = tells("pepjit-tooling", &data);
    assert!(status == Status::NotMeasured && finding.contains("no compat.json"), "{finding}");
    assert!(command.is_some_and(|command| command.contains("xtask compat")));
    let write = |ours: &str, own: &str, tests: serde_json::Value| {
        let mode = |name: &str, tier: &str| serde_json::json!({"name": name, "tier": tier, "env": {}});
        let row = |name: &str, ours: &str, own: &str| {
            serde_json::json!({"name": name, "group": "events", "checks": "all", "outcome": ours, "seconds": 1.0, "modes": [
                {"mode": "forced", "outcome": "equal"}, {"mode": "hot", "outcome": ours}, {"mode": "cpython-jit", "outcome": own}]})
        };
        let text = serde_json::json!({
            "schema_version": 1, "tool_version": "0", "commit": null, "dirty": false, "created": "", "platform": "", "python": "3.15.0",
            "interpreter_sha256": "", "module_sha256": "", "summary": "",
            "modes": [mode("off", "interp"), mode("forced", "pepjit"), mode("hot", "pepjit"), mode("cpython-jit", "cpython-jit")],
            "tools": {"summary": "", "rows": [row("pdb", ours, own), row("gdb", "not-available", "not-available"), row("perf", "equal", "equal")]},
            "cpython_tests": tests,
        });
        std::fs::write(folder.path().join("compat.json"), text.to_string()).expect("writable");
    };
    let tests = |differences: usize| {
        let difference = serde_json::json!({"test": "A.b", "off": "passed", "on": "failed", "detail": ""});
        serde_json::json!({"summary": "told", "mode": "hot", "tests": 9, "native_entries": 1, "modules": [
            {"module": "test_a", "outcome": "equal", "tests": 9, "passed": 9, "seconds": [1.0, 1.0], "differences": vec![difference; differences]}]})
    };
    for (ours, own, differences, expected) in [
        ("equal", "equal", 0, [Status::Met, Status::Met, Status::Met]),
        ("differs", "equal", 0, [Status::NotMet, Status::Met, Status::Met]),
        ("equal", "differs", 2, [Status::Met, Status::NotMet, Status::NotMet]),
        ("no-proof", "failed", 0, [Status::Inconclusive, Status::Inconclusive, Status::Met]),
        ("not-available", "equal", 0, [Status::Met, Status::Met, Status::Met]),
    ] {
        write(ours, own, tests(differences));
        let said = ["pepjit-tooling", "pep836-tooling", "pepjit-cpython-tests"].map(|id| tells(id, &data));
        assert_eq!(said.each_ref().map(|(status, _, _)| *status), expected, "{ours}, {own}, {differences}: {said:?}");
        assert!(said[0].1.contains("not available: ") && said[0].1.contains("gdb"), "{}", said[0].1);
    }
    write("equal", "equal", serde_json::Value::Null);
    assert_eq!(tells("pepjit-cpython-tests", &data).0, Status::NotMeasured);
}

#[test]
fn a_tier_that_is_declared_is_judged_by_the_criterion_of_its_name() {
    let mut data = made_up(5).clone();
    let (status, finding, command) = tells("pep779-speed", &data);
    assert_eq!(status, Status::NotMeasured, "{finding}");
    assert!(command.is_some_and(|command| command.contains("free-threaded")));
    let place = data.manifest.tiers.iter().position(|tier| tier.name == "pepjit").expect("a tier");
    let tier = TierRecord { name: "free-threaded".to_owned(), ..data.manifest.tiers[place].clone() };
    data.manifest.tiers.push(tier);
    // It has no values: that is said, and not that something else decides it.
    let (status, finding, _) = tells("pep779-speed", &data);
    assert!(status == Status::Inconclusive && !finding.contains("decided by"), "{finding}");
    let (_, finding, _) = tells("pep836-year2-geomean", &data);
    assert!(finding.contains("decided by"), "several platforms: {finding}");
}

#[test]
fn the_projects_criteria_are_all_answered() {
    let assessments = assess(&criteria(), made_up(5)).expect("assessed");
    assert_eq!(assessments.len(), criteria().all.len());
    for a in &assessments {
        let helped = a.status != Status::NotMeasured || a.command.is_some() || a.criterion.by.is_some();
        assert!(helped, "{} isn't measured, and nothing says how", a.criterion.id);
    }
    let control = assessments.iter().find(|a| a.criterion.id == "pepjit-control").expect("listed");
    assert_eq!(control.status, Status::Met);
}

#[test]
fn bad_criteria_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("criteria.toml");
    let good = "schema_version = 2\n[[criterion]]\nid = \"a\"\nsource = \"s\"\nmetric = \"speed/worst\"\ntier = \"t\"\n\
                platforms = [\"any\"]\nthreshold = { kind = \"at-least\", value = 0.9, unit = \"ratio\" }\nmeaning = \"M.\"\n";
    for (text, cause) in [
        (good.replace("= 2\n", "= 1\n"), "schema_version is 1"),
        (format!("{good}{}", good.split_once('\n').expect("two lines").1), "a is there twice"),
        (good.replace("speed/worst", "beauty/worst"), "has to say by what"),
        (good.replace("0.9", "-0.9"), "not a number from 0 on"),
        (good.replace("meaning", "confidence = 95.0\nmeaning"), "confidence"),
        (good.replace("tier", "tear"), "tear"),
    ] {
        std::fs::write(&path, text).expect("writable");
        let error = Criteria::load(&path).expect_err("refused").to_string();
        assert!(error.contains(cause), "{error:?} lacks {cause:?}");
    }
    assert!(criteria().select(&["nope".to_owned()]).is_err());
}
