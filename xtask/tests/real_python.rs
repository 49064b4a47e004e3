//! `measure` with a real CPython and the built-in worker, on a stand-in for the JIT's module that is plain Python. Without a
//! supported CPython on the machine there is nothing to test, and the tests say so.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use pepjit_harness::interpreters::{Interpreter, Places, discover};
use support::End;

/// A module with the interface of ours that compiles nothing and says that it did.
const STAND_IN: &str = r#"
import atexit, json, os

def is_enabled():
    return True

def stats():
    work = 0 if os.environ.get("PEPJIT_IDLE") == "1" else 5
    return {"functions_compiled": work, "loops_compiled": 0, "native_entries": work, "exits": 0}

def explain(function):
    return {"reason": "compiled" if function.__name__ == "run" else "unsupported: made up"}

def save():
    path = os.environ.get("PEPJIT_STATS")
    if path:
        with open(path, "w") as file:
            json.dump(stats(), file)

atexit.register(save)
"#;

const AUTOLOAD: &str = "import os; exec(\"if os.environ.get('PEPJIT', '') not in ('', '0'): import pepjit\")\n";

/// A workload of our worker that leaves the facts of its process behind, for the test to compare.
const OURS: &str = r#"
import json, os, sys
sys.path.insert(0, WORKER)
import pepjit_worker

def run():
    total = 0
    for i in range(20_000):
        total += i
    return total

if __name__ == "__main__":
    facts = {
        "variables": len(os.environ), "bytes": sum(len(k) + len(v) + 2 for k, v in os.environb.items()),
        "cwd": len(os.getcwd()), "cpus": sorted(os.sched_getaffinity(0)), "argv": sum(map(len, sys.argv)),
        "seed": os.environ["PYTHONHASHSEED"], "hash": hash("x"), "pepjit": "pepjit" in sys.modules,
        "path": len("".join(sys.path)), "secret": "SECRET" in os.environ,
    }
    with open(os.path.join(os.path.dirname(__file__), f"facts-{os.getpid()}.json"), "w") as file:
        json.dump(facts, file)
    pepjit_worker.main("ours", run, 199990000)
"#;

/// A script that speaks the protocol by itself and knows nothing of any JIT.
const FOREIGN: &str = r#"
import json, sys, time
def option(name):
    return sys.argv[sys.argv.index(name) + 1]
values = []
for _ in range(int(option("--values"))):
    start = time.perf_counter()
    for _ in range(int(option("--loops"))):
        sum(range(50_000))
    values.append((time.perf_counter() - start) / int(option("--loops")))
with open(option("-o"), "w") as file:
    json.dump({"version": "1.0", "benchmarks": [{"metadata": {"name": "foreign"}, "runs": [{"values": values}]}]}, file)
"#;

struct Bench {
    folder: tempfile::TempDir,
    python: Interpreter,
}

impl Bench {
    fn new() -> Option<Self> {
        let found = discover(&Places::from_environment());
        let Ok(python) = found.best() else {
            eprintln!("skipped: no supported CPython here");
            return None;
        };
        let bench = Self { python: python.clone(), folder: tempfile::tempdir().unwrap() };
        let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benchmarks/workloads");
        bench.write("module/pepjit.py", STAND_IN);
        bench.write("module/pepjit.pth", AUTOLOAD);
        bench.write("ours.py", &OURS.replace("WORKER", &format!("{:?}", worker.display().to_string())));
        bench.write("foreign.py", FOREIGN);
        bench.write(
            "suite.toml",
            "[[workload]]\nname = \"ours\"\nfile = \"ours.py\"\n[[workload]]\nname = \"foreign\"\nfile = \"foreign.py\"\n",
        );
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn measure(&self, more: &[&str]) -> End {
        self.measure_suite(&self.path("suite.toml").display().to_string(), more)
    }

    fn measure_suite(&self, suite: &str, more: &[&str]) -> End {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("measure").arg("--python").arg(&self.python.path);
        command.args(["--suite", suite]).arg("--out").arg(self.path("runs"));
        command.arg("--module").arg(self.path("module")).args(more).env("SECRET", "hidden from workers");
        End::of(&command.output().unwrap())
    }

    fn raw(&self, tier: &str, workload: &str) -> serde_json::Value {
        let run = std::fs::read_dir(self.path("runs")).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(run.join("raw").join(tier).join(format!("{workload}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn facts(&self) -> Vec<serde_json::Value> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("facts-"))
            .map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
            .collect()
    }
}

const TIERS: [&str; 4] = ["interp", "interp-aa", "pepjit-idle", "pepjit"];

#[test]
fn interleaved_pairs() {
    let Some(bench) = Bench::new() else { return };
    let sizes = ["--design", "interleaved", "--rounds", "2", "--values", "2", "--warmups", "1"];
    let end = bench.measure(&[&sizes[..], &["--tiers", &TIERS.join(",")]].concat());
    end.says(0, &["interleaved process pairs: 2 rounds"]);
    for workload in ["ours", "foreign"] {
        for tier in TIERS {
            let raw = bench.raw(tier, workload);
            let runs = raw["benchmarks"][0]["runs"].as_array().unwrap();
            assert_eq!(runs.len(), 2, "{tier} {workload}");
            assert!(runs.iter().all(|run| run["values"].as_array().unwrap().len() == 2));
        }
        // The foreign script's proof is the file that the module writes at exit.
        let active = bench.raw("pepjit", workload)["benchmarks"][0]["runs"][0]["metadata"]["jit_active"].clone();
        assert_eq!(active, 1, "{workload}");
    }
    let first = &bench.raw("interp", "ours")["benchmarks"][0]["runs"][0]["metadata"]["first_result_s"];
    assert!(first.as_f64().unwrap() > 0.0);
    check_facts(&bench, TIERS.len() * 2);
}

/// Coverage is a run of its own after the timed one, is resumed like it, and belongs to the sealed run.
#[test]
fn coverage_of_every_tier_with_a_jit() {
    let Some(bench) = Bench::new() else { return };
    if !cfg!(target_os = "linux") {
        return;
    }
    let sizes = ["--design", "interleaved", "--rounds", "2", "--values", "2", "--warmups", "1", "--coverage", "1"];
    bench.measure(&[&sizes[..], &["--tiers", &TIERS.join(",")]].concat()).says(0, &["[4/4] coverage, round 1"]);
    let run = std::fs::read_dir(bench.path("runs")).unwrap().next().unwrap().unwrap().path();
    let record = |tier: &str, workload: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(run.join("coverage").join(tier).join(format!("{workload}.json"))).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["1"].clone()
    };
    assert!(!run.join("coverage/interp-aa").exists(), "it has nothing that interp hasn't");
    let interp = record("interp", "ours");
    let executed = &interp["executed"][0];
    assert_eq!(executed["name"], "run");
    assert!(executed["count"].as_u64().unwrap() > 20_000 * 3, "{interp}");
    let samples: u64 = interp["samples"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert!(samples > 20 && interp["samples"]["I"].as_u64().unwrap() * 8 > samples, "the loop is much of it: {interp}");
    let pepjit = record("pepjit", "ours");
    let states = pepjit["states"].as_array().unwrap();
    assert!(states.iter().any(|state| state["name"] == "run" && state["state"] == "compiled"), "{pepjit}");
    assert!(
        record("interp", "foreign")["samples"].as_object().is_some_and(|samples| !samples.is_empty()),
        "scripts of others too"
    );

    let xtask = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = command.args(args).arg(&run).output().unwrap();
        End::of(&output)
    };
    xtask(&["runs", "verify"]).says(0, &[]);
    std::fs::remove_file(run.join("coverage/pepjit/ours.json")).unwrap();
    std::fs::remove_dir_all(run.join("site")).ok();
    let module = bench.path("module").display().to_string();
    xtask(&["measure", "--module", &module, "--resume"]).says(0, &["[1/1] coverage, round 1: ours on pepjit"]);
    let report = bench.path("report");
    xtask(&["report", "--out", &report.display().to_string()]).says(0, &[]);
    let text =
        std::fs::read_dir(&report).unwrap().flatten().map(|file| file.path()).find(|p| p.extension().is_some_and(|e| e == "md"));
    let text = std::fs::read_to_string(text.unwrap()).unwrap();
    assert!(text.contains("of the bytecode belongs to compiled code"), "{text}");
}

#[test]
fn coscheduled_blocks() {
    let Some(bench) = Bench::new() else { return };
    let options = ["--design", "coscheduled", "--rounds", "2", "--window", "0.3", "--workloads", "ours"];
    let end = bench.measure(&[&options[..], &["--tiers", &TIERS.join(",")]].concat());
    end.says(0, &["co-scheduled blocks: 2 rounds, windows of 0.3 s"]);
    for tier in TIERS {
        let run = bench.raw(tier, "ours")["benchmarks"][0]["runs"][0].clone();
        assert_eq!(run["metadata"]["pepjit_design"], "coscheduled");
        assert_eq!(run["metadata"]["coschedule_parties"], 4);
        assert!(run["values"].as_array().unwrap().len() >= 2);
    }
    check_facts(&bench, TIERS.len() * 2);
}

/// A script of three benchmarks in pyperf's protocol, which writes nothing for a fourth.
const THREE: &str = r#"
import json, sys, time
import pyperf
def option(name):
    return sys.argv[sys.argv.index(name) + 1]
task = int(next(a for a in sys.argv if a.startswith("--worker-task=")).partition("=")[2])
assert sys.argv[1] == "--fast", sys.argv
if task < 3:
    start = time.perf_counter()
    for _ in range(int(option("--loops"))):
        sum(range(20_000))
    value = (time.perf_counter() - start) / int(option("--loops"))
    values = [value] * int(option("--values"))
    with open(option("-o"), "w") as file:
        json.dump({"version": "1.0", "benchmarks": [{"metadata": {"name": "three: " + "abc"[task]}, "runs": [{"values": values}]}]}, file)
"#;

#[test]
fn a_suite_in_pyperformances_format() {
    let Some(bench) = Bench::new() else { return };
    let folder = "package/pyperformance/data-files/benchmarks";
    bench.write("package/pyperf/__init__.py", "__version__ = '0.2'");
    bench.write("package/pyperformance/__init__.py", "__version__ = '0.1'");
    let manifest = "[benchmarks]\n\nname\tmetafile\nthree\t<local>\nheavy\t<local>\nbroken\t<local>\n\n[group default]\n";
    bench.write(&format!("{folder}/MANIFEST"), manifest);
    bench.write(&format!("{folder}/bm_three/pyproject.toml"), "[tool.pyperformance]\nextra_opts = [\"--fast\"]\n");
    bench.write(&format!("{folder}/bm_three/run_benchmark.py"), THREE);
    bench.write(&format!("{folder}/bm_heavy/pyproject.toml"), "[project]\ndependencies = [\"pyperf\", \"django\"]\n");
    bench.write(&format!("{folder}/bm_broken/pyproject.toml"), "");
    bench.write(&format!("{folder}/bm_broken/run_benchmark.py"), "raise SystemExit('no such luck')");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["measure", "--suite", "pyperformance", "--tiers", "interp,interp-aa", "--rounds", "1", "--values", "2"]);
    command.arg("--python").arg(&bench.python.path).arg("--out").arg(bench.path("runs"));
    let end = End::of(&command.env("PEPJIT_PYPERFORMANCE", bench.path("package")).output().unwrap());
    // What fails is told and makes the run a broken one; what can't be run is told; the rest is measured.
    end.says(4, &["pyperformance 0.1, pyperf 0.2", "heavy (it needs django)", "broken on interp", "no such luck"]);
    for task in ["three__a", "three__b", "three__c"] {
        let raw = bench.raw("interp-aa", task);
        assert_eq!(raw["benchmarks"][0]["runs"][0]["values"].as_array().map(Vec::len), Some(2), "{task}");
    }
    let run = std::fs::read_dir(bench.path("runs")).unwrap().next().unwrap().unwrap().path();
    let manifest: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(run.join("manifest.json")).unwrap()).unwrap();
    let names: Vec<&str> = manifest["workloads"].as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["three__a", "three__b", "three__c", "broken"]);
    assert_eq!(manifest["left_out"][0]["name"], "heavy");
    let design = command.arg("--design").arg("coscheduled").env("PEPJIT_PYPERFORMANCE", bench.path("package")).output().unwrap();
    End::of(&design).says(2, &["know nothing of co-scheduled blocks"]);
}

/// A script that does its work in processes of its own.
const PARENT: &str = r#"
import json, os, subprocess, sys, time
def option(name):
    return sys.argv[sys.argv.index(name) + 1]
values = []
for _ in range(int(option("--values"))):
    start = time.perf_counter()
    for busy in "1", "":
        subprocess.run([sys.executable, "-c", "sum(range(400_000))"], env={**os.environ, "BUSY": busy}, check=True)
    values.append(time.perf_counter() - start)
with open(option("-o"), "w") as file:
    json.dump({"version": "1.0", "benchmarks": [{"metadata": {"name": "parent"}, "runs": [{"values": values}]}]}, file)
"#;

#[test]
fn what_child_processes_compile_counts() {
    let Some(bench) = Bench::new() else { return };
    bench
        .write("module/pepjit.py", &STAND_IN.replace("== \"1\" else 5", "== \"1\" else 5 * (os.environ.get(\"BUSY\") == \"1\")"));
    bench.write("parent.py", PARENT);
    bench.write("parent.toml", "[[workload]]\nname = \"parent\"\nfile = \"parent.py\"\n");
    let options = ["--tiers", &TIERS.join(","), "--design", "interleaved", "--rounds", "1", "--values", "2", "--warmups", "0"];
    let end = bench.measure_suite(&bench.path("parent.toml").display().to_string(), &options);
    end.says(0, &["the memory of parent is the workers' alone"]);
    let metadata = |tier: &str| bench.raw(tier, "parent")["benchmarks"][0]["runs"][0]["metadata"].clone();
    let proof = metadata("pepjit")["jit_proof"].as_str().unwrap().to_owned();
    // One of two children in each of two values.
    assert!(proof.starts_with("0 functions") && proof.contains("in 2 child processes: 10 functions"), "{proof}");
    assert_eq!(metadata("pepjit")["jit_active"], 1);
    assert_eq!(metadata("pepjit")["jit_functions_compiled"], 0, "the worker's own counters stay its own");
    assert!(metadata("interp")["child_cpu_ms"].as_i64().unwrap() > 0);
}

/// A script that listens on a port for as long as it runs.
const LISTENS: &str = r#"
import json, socket, sys, time
def option(name):
    return sys.argv[sys.argv.index(name) + 1]
with socket.socket() as server:
    server.bind(("127.0.0.1", PORT))
    time.sleep(0.2)
with open(option("-o"), "w") as file:
    values = [0.5] * int(option("--values"))
    json.dump({"version": "1.0", "benchmarks": [{"metadata": {"name": "listens"}, "runs": [{"values": values}]}]}, file)
"#;

#[test]
fn scripts_that_bind_a_port_do_not_meet() {
    let Some(bench) = Bench::new() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    bench.write("listens.py", &LISTENS.replace("PORT", &port.to_string()));
    let workload = |name: &str, more: &str| format!("[[workload]]\nname = \"{name}\"\nfile = \"listens.py\"\n{more}\n");
    let suite = |more: &str| workload("one", more) + &workload("other", more);
    bench.write("alone.toml", &suite("exclusive = \"a port\""));
    bench.write("together.toml", &suite(""));
    let options = ["--tiers", "interp,interp-aa", "--rounds", "2", "--values", "2", "--warmups", "0", "--jobs", "2"];
    let measure = |suite: &str, more: &[&str]| {
        let suite = bench.path(suite).display().to_string();
        bench.measure_suite(&suite, &[&options[..], more].concat())
    };
    measure("alone.toml", &[]).says(0, &["one can't run beside itself"]);
    measure("alone.toml", &["--design", "coscheduled"]).says(2, &["one can't run beside itself", "leave --design out"]);
    if pepjit_harness::machine::allowed_cpus().len() > 1 {
        measure("together.toml", &["--design", "interleaved"]).says(4, &["Address already in use"]);
    }
}

#[test]
fn declared_tiers_turn_on_and_prove_themselves() {
    let Some(bench) = Bench::new() else { return };
    bench.write("library/fast.py", "work = 0\ndef on():\n    global work\n    work = 7\n");
    let tier = |name: &str, setup: &str, prove: &str| {
        format!("[[tier]]\nname = \"{name}\"\npython_path = [\"library\"]\nsetup = \"{setup}\"\nprove = \"{prove}\"\n")
    };
    let good = tier("mine", "import fast; fast.on()", "fast.work");
    bench.write("tiers.toml", &(good.clone() + &tier("idle", "import fast", "fast.work")));
    bench.write("bad.toml", &tier("bad", "import no_such_module", "1"));
    let options = |file: &str, tiers: &str| {
        let file = bench.path(file).display().to_string();
        let all = ["--tiers-file", &file, "--tiers", tiers, "--workloads", "ours", "--design", "interleaved"].map(str::to_owned);
        [&all[..], &["--rounds", "1", "--values", "2", "--warmups", "0"].map(str::to_owned)].concat()
    };
    let run = |file: &str, tiers: &str| bench.measure(&options(file, tiers).iter().map(String::as_str).collect::<Vec<_>>());
    // A setup that fails is told before anything is measured, and leaves no run behind.
    run("bad.toml", "interp,bad").says(4, &["tier bad does not start", "No module named 'no_such_module'"]);
    run("tiers.toml", "interp,mine,idle").says(4, &["tier idle compiled nothing"]);
    let metadata = bench.raw("mine", "ours")["benchmarks"][0]["runs"][0]["metadata"].clone();
    assert_eq!((&metadata["jit_active"], &metadata["jit_proof"]), (&1.into(), &"7 by the tier's own proof".into()));
    run("tiers.toml", "interp,mine,other").says(2, &["unknown tier `other`", "cinderx, pypy"]);
}

#[test]
fn start_up_is_the_time_of_children() {
    let Some(bench) = Bench::new() else { return };
    let options = ["--workloads", "start_up_pass", "--tiers", "interp,interp-aa,pepjit", "--rounds", "1"];
    bench.measure_suite("start-up", &[&options[..], &["--design", "coscheduled", "--window", "0.4"]].concat()).says(0, &[]);
    let run = bench.raw("pepjit", "start_up_pass")["benchmarks"][0]["runs"][0].clone();
    assert_eq!(run["metadata"]["timer"], "children_cpu");
    // An interpreter that starts takes milliseconds; the thread that waits for it takes none.
    assert!(run["values"].as_array().unwrap().iter().all(|value| value.as_f64().unwrap() > 0.003), "{run}");
}

/// The processes of a block must have been alike in all that isn't the tier.
fn check_facts(bench: &Bench, expected: usize) {
    let all = bench.facts();
    assert!(all.len() >= expected, "{}", all.len());
    let mut blocks: BTreeMap<String, Vec<&serde_json::Value>> = BTreeMap::new();
    // Calibration runs under seed 0 and is no block.
    for facts in all.iter().filter(|facts| facts["seed"] != "0000000000") {
        assert_eq!(facts["secret"], false, "the user's environment must not reach a worker");
        blocks.entry(facts["seed"].as_str().unwrap().to_owned()).or_default().push(facts);
    }
    for (seed, facts) in blocks.iter().filter(|(_, facts)| facts.len() > 1) {
        for key in ["variables", "bytes", "cwd", "cpus", "argv", "hash", "path"] {
            let first = &facts[0][key];
            assert!(facts.iter().all(|one| one[key] == *first), "{key} differs in the block of seed {seed}: {facts:?}");
        }
        assert_eq!(facts[0]["cpus"].as_array().unwrap().len(), 1, "pinned to one processor");
        assert!(facts.iter().any(|one| one["pepjit"] == true) && facts.iter().any(|one| one["pepjit"] == false));
    }
    assert!(blocks.len() >= 2, "each block has a hash seed of its own");
}
