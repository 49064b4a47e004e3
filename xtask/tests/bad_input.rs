//! What a user gets who asks for what can't be: the cause, the cure and the right exit code, and everything that was
//! measured kept.

mod support;

use support::{GOOD, Machine, Python, script};

/// Usage, or a machine that lacks something.
const USAGE: i32 = 2;
/// A process failed, or a JIT never was at work.
const BROKEN: i32 = 4;

#[test]
fn no_interpreter_and_no_way_to_get_one() {
    let machine = Machine::new();
    let suite = machine.suite(&[("good", GOOD)]);
    machine.measure(&suite, &[]).says(USAGE, &["no supported CPython", "install uv", "--python"]);
    machine.run(&["build"]).says(USAGE, &["no supported CPython", "uv python install 3.14", "ci/get-pythons"]);
    let doctor = machine.run(&["doctor"]);
    assert_eq!(doctor.code, Some(1));
    assert!(doctor.out.contains("No Python was found"), "{doctor:?}");
}

#[test]
fn uv_gets_an_interpreter_where_there_is_none() {
    let machine = Machine::new();
    machine.install_at(&machine.path("stock/python3.14"), &Python::default());
    let target = machine.path("home/.local/share/uv/python/cpython-3.14/bin");
    let uv = format!(
        "#!/bin/sh\necho \"$@\" > {home}/uv-was-told\nmkdir -p {target}\ncp {stock} {target}/python3.14\n",
        home = machine.path("home").display(),
        target = target.display(),
        stock = machine.path("stock/python3.14").display()
    );
    script(&machine.path("bin/uv"), &uv);
    let suite = machine.suite(&[("good", GOOD)]);
    let end = machine.measure(&suite, &[]);
    end.says(0, &["no supported CPython found: getting CPython 3.14 with `uv python install 3.14`", "got CPython 3.14.1"]);
    let told = std::fs::read_to_string(machine.path("home/uv-was-told")).unwrap();
    assert_eq!(told.trim(), "python install 3.14");
}

#[test]
fn a_way_that_brings_nothing_is_told() {
    let machine = Machine::new();
    script(&machine.path("bin/uv"), "#!/bin/sh\nexit 0\n");
    let suite = machine.suite(&[("good", GOOD)]);
    machine.measure(&suite, &[]).says(USAGE, &["did its work, but still no interpreter is usable"]);
    script(&machine.path("bin/uv"), "#!/bin/sh\necho 'no network' >&2\nexit 2\n");
    machine.measure(&suite, &[]).says(USAGE, &["no network", "ended with exit status: 2"]);
}

#[test]
fn an_interpreter_that_will_not_do() {
    let machine = Machine::new();
    let suite = machine.suite(&[("good", GOOD)]);
    let with = |name: &str, python: &Python, words: &[&str]| {
        let path = machine.install(name, python).display().to_string();
        machine.measure(&suite, &["--python", &path]).says(USAGE, words);
        machine.run(&["build", "--python", &path]).says(USAGE, words);
        machine.run(&["run", "--python", &path, "--", "-c", "pass"]).says(USAGE, words);
    };
    with("bare3", &Python { headers: false, ..Python::default() }, &["no ", "Python.h", "python3.14-dev"]);
    with("old3", &Python { version: [3, 9, 2], ..Python::default() }, &["CPython 3.9.2 is not supported", "use 3.13"]);
    with("new3", &Python { version: [3, 16, 0], ..Python::default() }, &["CPython 3.16.0 is not supported"]);
    let free = Python { free_threaded: true, ..Python::default() };
    with("free3", &free, &["free-threaded build", "use the GIL build"]);
    script(&machine.path("bin/garbage3"), "#!/bin/sh\necho hello\n");
    machine.measure(&suite, &["--python", "garbage3"]).says(USAGE, &["does not answer like a Python interpreter", "hello"]);
    machine.measure(&suite, &["--python", "/nowhere/python3"]).says(USAGE, &["/nowhere/python3 does not exist"]);
    machine.measure(&suite, &["--python", "3.13"]).says(USAGE, &["no Python 3.13 found", "uv python install 3.13"]);
}

#[test]
fn an_interpreter_without_headers_still_measures_what_needs_none() {
    let machine = Machine::new();
    let suite = machine.suite(&[("good", &GOOD.replace("facts='", "facts='\"cpython_jit_executors\": 1, "))]);
    machine.install("python3.14", &Python { headers: false, own_jit: "off", ..Python::default() });
    let end = machine.measure(&suite, &["--tiers", "interp,interp-aa,cpython-jit"]);
    end.says(0, &["no tier runs our JIT"]);
    assert!(end.out.contains("cpython-jit"), "{end:?}");
}

#[test]
fn doctor_names_each_fix() {
    let machine = Machine::new();
    machine.install("python3.14", &Python { headers: false, ..Python::default() });
    machine.install("python3.9", &Python { version: [3, 9, 2], ..Python::default() });
    script(&machine.path("bin/python3.13"), "#!/bin/sh\necho 'broken install' >&2\nexit 1\n");
    let doctor = machine.run(&["doctor"]);
    for word in ["interp interp-aa", "python3.14-dev", "CPython 3.9.2 is not supported", "broken install", "no cargo"] {
        assert!(doctor.out.contains(word), "{word:?} is missing in {doctor:#?}");
    }
    let json = machine.run(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(report["interpreters"].as_array().unwrap().len(), 2);
    assert_eq!(report["interpreters"][0]["tiers"][0], "interp");
    assert!(report["default"].is_null());
}

#[test]
fn unknown_names() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&[("good", GOOD)]);
    machine.measure(&suite, &["--tiers", "interp,turbo"]).says(USAGE, &["unknown tier `turbo`", "pepjit-idle"]);
    machine.measure(&suite, &["--tiers", "pepjit"]).says(USAGE, &["leaves out `interp`"]);
    machine
        .measure(&suite, &["--tiers", "interp,cpython-jit"])
        .says(USAGE, &["cannot run on CPython 3.14.1", "built without it"]);
    machine.measure(&suite, &["--workloads", "goood"]).says(USAGE, &["unknown workload `goood`", "did you mean `good`?"]);
    machine
        .run(&["measure", "--suite", "pyperformance9"])
        .says(USAGE, &["unknown suite `pyperformance9`", "built-in", "start-up, pyperformance, a tag"]);
    machine.run(&["measure", "--suite", "no/such.toml"]).says(USAGE, &["no/such.toml cannot be read"]);
    machine.measure(&suite, &["--resume", "nothing"]).says(USAGE, &["--resume", "cannot be used with"]);
    let runs = machine.path("runs").display().to_string();
    machine.run(&["measure", "--out", &runs, "--resume"]).says(USAGE, &["no run found", "cargo xtask measure"]);
    machine.measure(&suite, &["--rounds", "0"]).says(USAGE, &["--rounds"]);
    machine.measure(&suite, &["--window", "0"]).says(USAGE, &["--window"]);
}

/// A worker that fails on the tier that is loaded idle, and does well elsewhere.
fn failing(how: &str) -> String {
    format!("if [ \"$PEPJIT_IDLE\" = 1 ]; then {how}; fi\n{GOOD}")
}

#[test]
fn workers_that_fail_cost_themselves_alone() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let dies = failing("kill -SEGV $$");
    let hangs = failing("sleep 600");
    let raises = failing("echo 'ValueError: no luck' >&2; exit 1");
    let wrong = failing("echo 'workload wrong: wrong result' >&2; exit 3");
    let garbage = failing("echo garbage > \"$out\"; exit 0");
    let silent = failing("exit 0");
    let suite = machine.suite(&[
        ("dies", &dies),
        ("hangs", &hangs),
        ("raises", &raises),
        ("wrong", &wrong),
        ("garbage", &garbage),
        ("silent", &silent),
        ("good", GOOD),
    ]);
    let end = machine.measure(&suite, &["--timeout", "2"]);
    end.says(BROKEN, &["killed by SIGSEGV", "raise --timeout", "ValueError: no luck", "wrong result", "wrote no results"]);
    assert!(end.out.contains("good"), "what went well is in the table: {end:?}");
    let journal = machine.journal();
    let kind = |workload: &str| -> Vec<String> {
        let kinds = journal
            .iter()
            .filter(|line| line["workload"] == workload && line["status"] == "failed")
            .map(|line| line["kind"].as_str().unwrap().to_owned());
        kinds.collect()
    };
    assert_eq!(kind("dies"), ["signal", "signal"]);
    assert_eq!(kind("hangs"), ["timeout"], "what hangs isn't tried again and again");
    assert_eq!(kind("raises"), ["exit", "exit"]);
    assert_eq!(kind("wrong"), ["wrong-result", "wrong-result"]);
    assert_eq!(kind("garbage"), ["bad-output", "bad-output"]);
    assert_eq!(kind("silent"), ["no-output", "no-output"]);
    let well = journal.iter().filter(|line| line["status"] == "ok").count();
    assert_eq!(well, 7 * 3 * 2 + 2, "every other process was measured");
}

#[test]
fn the_same_in_coscheduled_blocks() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let dies = failing("kill -SEGV $$");
    let hangs = failing("sleep 600");
    let suite = machine.suite(&[("dies", &dies), ("hangs", &hangs), ("good", GOOD)]);
    let end = machine.measure(&suite, &["--design", "coscheduled", "--window", "0.2", "--timeout", "2"]);
    end.says(BROKEN, &["killed by SIGSEGV", "raise --timeout"]);
    let well = machine.journal().iter().filter(|line| line["status"] == "ok").count();
    assert_eq!(well, 2 * (3 + 3 + 4), "the others of a failing block were measured without it");
}

#[test]
fn a_workload_that_does_not_run_at_all() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&[("never", "echo 'SyntaxError: no' >&2; exit 1\n"), ("good", GOOD)]);
    let end = machine.measure(&suite, &[]);
    end.says(BROKEN, &["never on interp", "SyntaxError: no"]);
    assert!(end.out.contains("good"), "{end:?}");
}

#[test]
fn a_jit_that_compiles_nothing_is_a_broken_run() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let nothing = format!("COMPILED=0\n{GOOD}");
    let suite = machine.suite(&[("good", &nothing)]);
    machine.measure(&suite, &[]).says(BROKEN, &["tier pepjit compiled nothing in any workload"]);
}

#[test]
fn a_jit_that_is_idle_in_one_workload_is_noted() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let nothing = format!("COMPILED=0\n{GOOD}");
    let suite = machine.suite(&[("in_c", &nothing), ("good", GOOD)]);
    machine.measure(&suite, &[]).says(0, &["note: pepjit compiled nothing in in_c"]);
}

#[test]
fn a_jit_that_does_not_load_is_told_before_anything_is_measured() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&[("good", GOOD)]);
    let mut command = machine.command(&[]);
    command.args(machine.measure_args(&suite, &["--inherit-environ", "REFUSE"])).env("REFUSE", "1");
    let end = support::End::of(&command.output().unwrap());
    end.says(BROKEN, &["pepjit was not loaded", "pepjit: layout mismatch"]);
    assert_eq!(std::fs::read_dir(machine.path("runs")).unwrap().count(), 0, "there is no run without a value");
    // A worker that says nothing of a JIT proves none.
    let mute = GOOD.replace("\"$PEPJIT\" = 1", "\"$PEPJIT\" = 7");
    let suite = machine.suite(&[("mute", &mute)]);
    machine.measure(&suite, &[]).says(BROKEN, &["pepjit was not loaded"]);
}

#[test]
fn results_as_json() {
    let machine = Machine::new();
    machine.install("python3.14", &Python { own_jit: "off", ..Python::default() });
    let suite = machine.suite(&[("good", &GOOD.replace("facts='", "facts='\"cpython_jit_executors\": 1, "))]);
    let end = machine.measure(&suite, &["--json", "--rounds", "3"]);
    assert_eq!(end.code, Some(0), "{end:#?}");
    let object: serde_json::Value = serde_json::from_str(&end.out).unwrap();
    let run = &object["runs"][0];
    assert_eq!(run["broken"], false);
    let tiers: Vec<&str> =
        run["analysis"]["tiers"].as_array().unwrap().iter().map(|tier| tier["tier"].as_str().unwrap()).collect();
    assert_eq!(tiers, ["interp-aa", "pepjit-idle", "pepjit", "cpython-jit"]);
}

#[test]
fn coverage_without_a_compiler_keeps_the_run() {
    let machine = Machine::new();
    machine.install("python3.14", &Python::default());
    let suite = machine.suite(&[("good", GOOD)]);
    machine.measure(&suite, &["--coverage", "1"]).says(2, &["coverage needs a C compiler", "Install gcc or set CC"]);
    assert_eq!(machine.journal().len(), 2 * 4, "what was timed is there");
    let run = machine.the_run().display().to_string();
    machine.run(&["runs", "verify", &run]).says(0, &[]);
}
