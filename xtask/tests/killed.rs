//! `measure` killed at random moments, in every way that a process can be ended, and resumed until it's done: the raw files are
//! those of a run that nobody disturbed.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::{GOOD, Machine, Python};

/// How often, unless `PEPJIT_KILLS` says otherwise.
const KILLS: usize = 10;

const SEED: &str = "11";

/// What a run's raw files hold: by tier and workload the rounds, each with what doesn't depend on the clock.
type Contents = BTreeMap<(String, String), Vec<(u64, usize, String)>>;

fn contents(run: &Path) -> Contents {
    let mut all = Contents::new();
    for tier in std::fs::read_dir(run.join("raw")).unwrap().flatten() {
        for file in std::fs::read_dir(tier.path()).unwrap().flatten() {
            let name = file.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            let suite: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let runs = suite["benchmarks"][0]["runs"].as_array().unwrap();
            let facts = runs.iter().map(|run| {
                let facts = &run["metadata"];
                (facts["round"].as_u64().unwrap(), run["values"].as_array().unwrap().len(), facts["seed"].to_string())
            });
            all.insert((tier.file_name().into_string().unwrap(), name), facts.collect());
        }
    }
    all
}

/// Where the kills fall, as shares of a run's length: the same each time, and spread over all of it.
fn moments(count: usize) -> impl Iterator<Item = f64> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
}

fn start(machine: &Machine, args: &[String]) -> Child {
    let mut command = machine.command(&[]);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Waits as long as `wait` for a child; whether it has ended by then.
fn ended(child: &mut Child, wait: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < wait {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

fn check(design: &str) {
    let kills = std::env::var("PEPJIT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    // The hash seed of a process is drawn from the run's: the same process has the same.
    let noting =
        GOOD.replace(r#"facts='"name": "x"'"#, r#"sleep 0.03; facts="\"name\": \"x\", \"seed\": $((1$PYTHONHASHSEED))""#);
    let workloads = [("a", &*noting), ("b", &*noting), ("c", &*noting)];
    let options = ["--rounds", "3", "--seed", SEED, "--design", design];

    let undisturbed = Machine::new();
    undisturbed.install("python3.14", &Python::default());
    let suite = undisturbed.suite(&workloads);
    let began = Instant::now();
    undisturbed.measure(&suite, &options).says(0, &[]);
    let length = began.elapsed();
    let expected = contents(&undisturbed.the_run());
    assert_eq!(expected.len(), 3 * 4, "all tiers and workloads");
    assert!(expected.values().all(|rounds| rounds.len() == 3), "all rounds");

    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&workloads);
    let mut args = machine.measure_args(&suite, &options);
    let mut killed = 0;
    for (number, moment) in moments(kills).enumerate() {
        let mut child = start(&machine, &args);
        // Together the waits are shorter than the run, so that most of the kills fall into it.
        let wait = length.mul_f64(1.4 * moment / kills as f64);
        if !ended(&mut child, wait) {
            let signal = ["KILL", "INT", "TERM"][number % 3];
            let status = std::process::Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
            assert!(status.unwrap().success());
            assert!(ended(&mut child, Duration::from_secs(20)), "SIG{signal} ends it");
            killed += 1;
        }
        if machine.path("runs").is_dir() && std::fs::read_dir(machine.path("runs")).unwrap().count() > 0 {
            // A kill before the manifest leaves a folder that is no run.
            if std::fs::read_dir(machine.path("runs")).unwrap().flatten().any(|run| run.path().join("manifest.json").exists()) {
                let module = machine.path("module").display().to_string();
                let runs = machine.path("runs").display().to_string();
                args = ["measure", "--out", &runs, "--module", &module, "--resume"].map(str::to_owned).to_vec();
            }
        }
    }
    assert!(killed >= kills.div_ceil(3), "{killed} of {kills} came before the end");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    machine.run(&args).says(0, &[]);
    let run = std::fs::read_dir(machine.path("runs")).unwrap().flatten().find(|run| run.path().join("manifest.json").exists());
    let run = run.unwrap().path();
    assert_eq!(contents(&run), expected, "after {killed} kills");
    machine.run(&["runs", "verify", &run.display().to_string()]).says(0, &[]);
}

#[test]
fn interleaved_pairs_survive_every_kill() {
    check("interleaved");
}

#[test]
fn coscheduled_blocks_survive_every_kill() {
    check("coscheduled");
}
