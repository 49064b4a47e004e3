//! Runs that are looked at more than once: `--until-decided`, and rounds added to what was seen.

mod support;

use support::{End, GOOD, Machine, Python};

/// A worker whose tier with our JIT gains or loses by the block's hash seed: rounds differ, and nothing is decided soon.
const UNSTEADY: &str = r#"
list=0.5
if [ "$PEPJIT" = 1 ]; then
  case $PYTHONHASHSEED in *[02468]) list=0.4 ;; *) list=0.6 ;; esac
  facts=', "pepjit_functions_compiled": 3, "pepjit_native_entries": 3'
fi
printf '{"version": "1.0", "benchmarks": [{"metadata": {"name": "x"%s}, "runs": [{"values": [%s, %s]}]}]}' "$facts" $list $list > "$out"
"#;

fn measure(machine: &Machine, worker: &str, looks: &str) -> End {
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&[("a", worker), ("b", worker), ("c", worker)]);
    let thresholds = machine.path("thresholds.toml");
    let criterion = "[[criterion]]\nname = \"it\"\ntier = \"pepjit\"\nrequire = { kind = \"geometric-mean\", at_least = 0.99 }\n";
    std::fs::write(&thresholds, format!("{looks}\n{criterion}")).unwrap();
    let more = ["--until-decided", "--thresholds", thresholds.to_str().unwrap(), "--tiers", "interp,interp-aa,pepjit"];
    let mut args = machine.measure_args(&suite, &more);
    let rounds = args.iter().position(|word| word == "--rounds").unwrap();
    args.drain(rounds..rounds + 2);
    args.extend(["--seed".to_owned(), "7".to_owned()]);
    machine.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn rounds(machine: &Machine) -> u64 {
    machine.journal().iter().map(|line| line["round"].as_u64().unwrap()).max().unwrap()
}

fn manifest(machine: &Machine) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(machine.the_run().join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn what_is_decided_at_the_first_look_ends_there() {
    let machine = Machine::new();
    measure(&machine, GOOD, "looks = [3, 5, 7]").says(0, &["after 3 rounds: pass"]);
    assert_eq!(rounds(&machine), 3);
    assert_eq!(manifest(&machine)["design"]["looks"], serde_json::json!([3, 5, 7]), "each look has its share, taken or not");
    assert!(!machine.the_run().join("site").exists(), "the copy of the module goes with the last look");
}

#[test]
fn what_stays_open_is_looked_at_as_planned_and_no_further() {
    let machine = Machine::new();
    let end = measure(&machine, UNSTEADY, "looks = [3, 4, 5]");
    end.says(0, &["after 3 rounds: inconclusive, 1 of 1 criteria are open: on to 4 rounds", "after 5 rounds: inconclusive"]);
    assert_eq!(rounds(&machine), 5);
    assert!(end.out.contains("98 % interval"), "three looks share the 5 %: {}", end.out);
}

#[test]
fn rounds_added_to_what_was_seen_are_a_look() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&[("a", GOOD), ("b", GOOD)]);
    machine.measure(&suite, &["--rounds", "3"]).says(0, &[]);
    assert_eq!(manifest(&machine)["design"]["looks"], serde_json::json!([]));
    let (run, module) = (machine.the_run().display().to_string(), machine.path("module").display().to_string());
    machine.run(&["measure", "--resume", &run, "--rounds", "4", "--module", &module]).says(0, &["resuming"]);
    assert_eq!(manifest(&machine)["design"]["looks"], serde_json::json!([3, 4]));
    assert!(machine.the_run().join("SHA256SUMS").exists(), "sealed again");
    machine.run(&["measure", "--resume", &run, "--rounds", "3", "--module", &module]).says(0, &["is complete"]);
    assert!(machine.the_run().join("SHA256SUMS").exists(), "and again, with fewer rounds");
}

#[test]
fn a_file_without_looks_is_refused_before_anything_runs() {
    let machine = Machine::new();
    measure(&machine, GOOD, "").says(2, &["plans no looks", "looks = [5, 10, 20]"]);
    assert!(!machine.path("runs").exists());
}
