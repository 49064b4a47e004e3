//! Our raw files, read by the real pyperf, and its files, read by us.
//!
//! pyperf is taken from the interpreter named by `PEPJIT_PYPERF_PYTHON`, from `python3`, or from an environment
//! that the test makes for itself, with the first interpreter that can make one (Debian's needs python3-venv). Where none can be had (no network), the test says so and passes, unless
//! `PEPJIT_REQUIRE_PYPERF` is set.

#[path = "support/fixture.rs"]
mod fixture;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pepjit_harness::interpreters::{Places, discover};
use pepjit_harness::pyperf::Suite;

const PYPERF: &str = "pyperf==2.10.0";

/// An interpreter with pyperf.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("PEPJIT_PYPERF_PYTHON").map(PathBuf::from);
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pyperf");
    let own = environment.join("bin/python");
    let candidates = [named, Some(PathBuf::from("python3")), Some(own.clone())];
    let found = candidates.into_iter().flatten().find(|p| succeeds(Command::new(p).args(["-m", "pyperf", "--version"])));
    if found.is_some() {
        return found;
    }
    let others = discover(&Places::from_environment()).interpreters;
    let others = others.into_iter().filter(|python| python.version.minor >= 11).map(|python| python.path);
    for base in std::iter::once(PathBuf::from("python3")).chain(others) {
        let made = succeeds(Command::new(base).args(["-m", "venv", "--clear"]).arg(&environment))
            && succeeds(Command::new(&own).args(["-m", "pip", "install", "--quiet", PYPERF]));
        if made {
            return Some(own);
        }
    }
    assert!(std::env::var_os("PEPJIT_REQUIRE_PYPERF").is_none(), "pyperf is required, and {PYPERF} can't be installed");
    eprintln!("skipped: pyperf isn't installed and can't be; install {PYPERF} or set PEPJIT_PYPERF_PYTHON");
    None
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|out| out.status.success())
}

#[track_caller]
fn pyperf(python: &Path, arguments: &[&str], files: &[PathBuf]) -> String {
    let Output { status, stdout, stderr } =
        Command::new(python).args(["-m", "pyperf"]).args(arguments).args(files).output().expect("pyperf starts");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "pyperf {arguments:?} ended with {status}:\n{out}{err}");
    out.into_owned()
}

#[test]
fn pyperf_reads_our_files_and_we_read_its() {
    let Some(python) = python() else { return };
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), 3);
    let (base, tier) = (dir.raw_file("interp", "nbody"), dir.raw_file("pepjit", "nbody"));

    let compared = pyperf(&python, &["compare_to"], &[base.clone(), tier.clone()]);
    assert!(compared.contains("nbody") || compared.contains("Mean +- std dev"), "{compared}");
    assert!(compared.contains("5.9") && compared.contains("faster"), "{compared}");
    let stats = pyperf(&python, &["stats"], std::slice::from_ref(&tier));
    assert!(stats.contains("Number of run with values: 3") && stats.contains("Loop iterations per value: 4"), "{stats}");
    pyperf(&python, &["hist"], std::slice::from_ref(&tier));
    pyperf(&python, &["check"], std::slice::from_ref(&tier));
    pyperf(&python, &["metadata"], std::slice::from_ref(&tier));

    let own = runs.path().join("its.json");
    let timeit = ["timeit", "-p1", "-n2", "-w1", "--loops=10", "-q", "pass", "-o"];
    pyperf(&python, &timeit, std::slice::from_ref(&own));
    let suite = Suite::load(&own).expect("pyperf's own file");
    let run = suite.into_single_run(&own).expect("one run");
    assert_eq!((run.values.len(), run.warmups.len()), (2, 1));
}
