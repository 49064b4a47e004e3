//! An interrupt in the middle, and going on from there: nothing is lost, nothing is measured twice.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{End, GOOD, Machine, Python};

const INTERRUPTED: i32 = 130;

fn keys(journal: &[serde_json::Value]) -> BTreeMap<(u64, String, String), usize> {
    let mut keys = BTreeMap::new();
    for line in journal {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        *keys.entry((line["round"].as_u64().unwrap(), text("workload"), text("tier"))).or_default() += 1;
    }
    keys
}

/// Starts a measurement, interrupts it once it has measured something, and returns how it ended.
fn interrupted(machine: &Machine, more: &[&str]) -> End {
    let slow = format!("sleep 0.15\n{GOOD}");
    let suite = machine.suite(&[("a", &slow), ("b", &slow)]);
    let mut command = machine.command(&[]);
    command.args(machine.measure_args(&suite, more)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let started = Instant::now();
    let measured = || {
        let runs = machine.path("runs");
        runs.is_dir() && std::fs::read_dir(runs).unwrap().count() == 1 && machine.journal().len() >= 4
    };
    while !measured() {
        assert!(started.elapsed() < Duration::from_mins(1), "nothing was measured");
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let ended = Instant::now();
    let end = End::of(&child.wait_with_output().unwrap());
    assert!(ended.elapsed() < Duration::from_secs(10), "it ends at once");
    end
}

fn check(more: &[&str]) {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let end = interrupted(&machine, more);
    end.says(INTERRUPTED, &["interrupted: what was measured is kept", "cargo xtask measure --resume"]);
    let before = machine.journal();
    assert!(before.len() < 2 * 4 * 4, "it was in the middle");
    assert!(before.iter().all(|line| line["status"] == "ok"), "an interrupt is no failure: {before:?}");

    let run = machine.the_run().display().to_string();
    let end = machine.run(&["measure", "--resume", &run]);
    end.says(0, &["resuming", "measured before"]);
    let after = machine.journal();
    assert_eq!(after[..before.len()], before[..], "what was measured stays as it was");
    let keys = keys(&after);
    assert_eq!(keys.len(), 2 * 4 * 4, "all of 4 rounds, 2 workloads and 4 tiers");
    assert!(keys.values().all(|count| *count == 1), "and each once: {keys:?}");

    let end = machine.run(&["measure", "--out", &machine.path("runs").display().to_string(), "--resume"]);
    end.says(0, &[]);
    assert_eq!(machine.journal().len(), after.len(), "there is nothing left to do");
}

#[test]
fn interleaved_pairs_go_on_after_an_interrupt() {
    check(&["--rounds", "4"]);
}

#[test]
fn coscheduled_blocks_go_on_after_an_interrupt() {
    check(&["--rounds", "4", "--design", "coscheduled"]);
}

#[test]
fn more_rounds_are_added_to_a_finished_run() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&[("good", GOOD)]);
    machine.measure(&suite, &[]).says(0, &[]);
    let run = machine.the_run().display().to_string();
    let module = machine.path("module").display().to_string();
    let end = machine.run(&["measure", "--resume", &run, "--rounds", "3", "--module", &module]);
    end.says(0, &["2 of 3 blocks were measured before"]);
    assert_eq!(machine.journal().len(), 3 * 4);
}

#[test]
fn blocks_may_run_at_once_and_each_still_once() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&[("a", GOOD), ("b", GOOD), ("c", GOOD)]);
    machine.measure(&suite, &["--rounds", "3", "--jobs", "2"]).says(0, &[]);
    let journal = machine.journal();
    let keys = keys(&journal);
    assert_eq!(keys.len(), 3 * 3 * 4);
    assert!(keys.values().all(|count| *count == 1));
    let cpus: BTreeSet<u64> = journal.iter().map(|line| line["cpu"].as_u64().unwrap()).collect();
    let allowed = pepjit_harness::machine::allowed_cpus().len();
    assert_eq!(cpus.len(), allowed.min(2), "each job has a processor of its own");
}

#[test]
fn what_has_changed_since_cannot_be_resumed() {
    let machine = Machine::new();
    let python = machine.install("python3.14", &Python::default());
    interrupted(&machine, &["--rounds", "4"]);
    let run = machine.the_run().display().to_string();
    let script = machine.path("suite/a.py");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, format!("{text}# changed\n")).unwrap();
    machine.run(&["measure", "--resume", &run]).says(2, &["a.py has changed since this run began", "begin a new run"]);
    std::fs::write(&script, text).unwrap();
    machine.install("python3.14", &Python { own_jit: "off", ..Python::default() });
    let words = [&*python.display().to_string(), "has changed since this run began"];
    machine.run(&["measure", "--resume", &run]).says(2, &words);
}

#[test]
fn a_truncated_results_file_is_named_and_measured_again() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    interrupted(&machine, &["--rounds", "4"]);
    let raw = machine.the_run().join("raw");
    let tier = std::fs::read_dir(&raw).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::read_dir(tier).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    let run = machine.the_run().display().to_string();
    let end = machine.run(&["measure", "--resume", &run]);
    end.says(2, &[&file.display().to_string(), "cut off", "Delete the file and measure again"]);
    std::fs::remove_file(&file).unwrap();
    machine.run(&["measure", "--resume", &run]).says(0, &["resuming"]);
    let runs: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(runs["benchmarks"][0]["runs"].as_array().unwrap().len(), 4, "all rounds of it are there again");
}
