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

#[test]
fn a_run_of_another_machine_or_version_is_named() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    interrupted(&machine, &["--rounds", "4"]);
    let run = machine.the_run();
    let path = run.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let edited = |edit: fn(&mut serde_json::Value)| {
        let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        edit(&mut manifest);
        // As its own writer left it: without a seal, which would name the edit.
        let _ = std::fs::remove_file(run.join("SHA256SUMS"));
        std::fs::write(&path, manifest.to_string()).unwrap();
        machine.run(&["measure", "--resume", &run.display().to_string()])
    };
    let journal = machine.journal();
    edited(|manifest| manifest["host"]["cpu_model"] = "Another CPU 9000".into())
        .says(2, &["this run began on Another CPU 9000", "Begin a new run here"]);
    edited(|manifest| manifest["schema_version"] = 99.into()).says(2, &["schema version 99", "Use the version that wrote it"]);
    assert_eq!(machine.journal(), journal, "nothing was lost or measured");
    edited(|manifest| manifest["tool_version"] = "0.0.1".into()).says(0, &["was begun by version 0.0.1 of this tool"]);
}

/// A limit on the size of files stands in for a full disk: from some point on nothing can be written.
#[test]
fn a_full_disk_is_named_and_nothing_is_lost() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&[("a", GOOD), ("b", GOOD)]);
    let args = machine.measure_args(&suite, &["--rounds", "8"]);
    let full = |args: &[String], blocks: u32| {
        let mut command = machine.command(&[]);
        let program = command.get_program().to_owned();
        command = Command::new("/bin/sh");
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"]).arg(program).args(args);
        let like = machine.command(&[]);
        command.env_clear().current_dir(like.get_current_dir().unwrap());
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        End::of(&command.output().unwrap())
    };
    full(&args, 14).says(2, &["cannot use a temporary folder", "File too large", "Point TMPDIR at a folder with free space"]);
    // 512-byte blocks: the manifest fits, the journal of 64 processes doesn't.
    full(&args, 18).says(2, &["cannot write", "journal.jsonl", "File too large", "free space"]);
    let before = machine.journal_so_far();
    assert!(before.len() > 4 && before.len() < 64, "{}", before.len());
    let run = machine.the_run().display().to_string();
    machine.run(&["measure", "--resume", &run]).says(0, &["resuming", "measured before"]);
    let after = machine.journal();
    assert_eq!(after[..before.len()], before[..], "what was measured stays");
    let keys = keys(&after);
    assert_eq!((keys.len(), keys.values().max()), (64, Some(&1)), "all 8 rounds of 2 workloads and 4 tiers, each once");
    machine.run(&["runs", "verify", &run]).says(0, &[]);
}
