//! `cargo xtask test`: every test there is, step by step.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};
use pepjit_harness::build::target_folder;
use pepjit_harness::interpreters::{Interpreter, Places, discover};
use pepjit_harness::provision::Way;
use pepjit_reports::format;

use crate::project;

/// What the command takes.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Leave out what takes minutes: conformance only on the newest interpreter and without its slow cases.
    #[arg(long)]
    quick: bool,
    /// The leak test with --quick, too: it takes a minute on each interpreter.
    #[arg(long)]
    leaks: bool,
    /// Only the steps whose name contains this. Repeat it for several.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Don't get CPython 3.14 and 3.15 where they are missing.
    #[arg(long)]
    no_provision: bool,
    /// Only this interpreter. Repeat it for several. Without it, the newest of each supported version.
    #[arg(long = "python", value_name = "PYTHON")]
    pythons: Vec<String>,
    /// Print the steps' names and do nothing.
    #[arg(long)]
    list: bool,
}

/// One step: a name and the command that does it.
struct Step {
    name: String,
    command: Command,
}

/// Runs every step, and prints how many passed and failed. Exits with 0 if all passed.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let root = project::root();
    let pythons = pythons(args, &root)?;
    let mut failed = Vec::new();
    if args.pythons.is_empty() && args.only.is_empty() && !args.list {
        for version in missing(&pythons) {
            let name = format!("tests on CPython {version}");
            let cure = "no such interpreter with headers was found: see `cargo xtask doctor`";
            if std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false") {
                println!("FAILED ({cure}): {name}");
                failed.push(name);
            } else {
                eprintln!("warning: left out: {name}: {cure}");
            }
        }
    }
    let mut steps = rust_steps(&root, pythons.first());
    for (index, python) in pythons.iter().enumerate() {
        steps.extend(python_steps(&root, python, args, index == 0));
    }
    steps.extend(common_steps(&root, pythons.first()));
    steps.retain(|step| args.only.is_empty() || args.only.iter().any(|only| step.name.contains(only.as_str())));
    if steps.is_empty() {
        bail!("no step is called that: `cargo xtask test --list` names them all");
    }
    if args.list {
        for step in &steps {
            println!("{}", step.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let total = steps.len() + failed.len();
    for (index, mut step) in steps.into_iter().enumerate() {
        eprintln!("--- {} ({} of {total})", step.name, index + 1);
        let started = Instant::now();
        // What a step prints is for the reader of a failure: it goes to stderr, the summary alone to stdout.
        let result = step.command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
        let verdict = match &result {
            Ok(status) if status.success() => "passed".to_owned(),
            Ok(status) => format!("FAILED ({status})"),
            Err(error) => format!("FAILED (cannot be started: {error})"),
        };
        println!("{verdict}: {} ({})", step.name, format::span(started.elapsed().as_secs_f64()));
        if verdict != "passed" {
            failed.push(step.name);
        }
    }
    for name in &failed {
        println!("failed: {name}   (again: cargo xtask test --only {name:?})");
    }
    println!("{} passed, {} failed", total - failed.len(), failed.len());
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The interpreters to test on: one of each supported version, newest first, after getting those that are missing.
fn pythons(args: &Args, root: &Path) -> Result<Vec<Interpreter>> {
    let places = Places::from_environment();
    if !args.pythons.is_empty() {
        return args.pythons.iter().map(|name| project::python_for_jit(Some(name))).collect();
    }
    let of_each_version = || {
        let mut each: Vec<Interpreter> = Vec::new();
        for python in discover(&places).interpreters {
            if python.check_jit().is_ok() && each.iter().all(|other| other.tag() != python.tag()) {
                each.push(python);
            }
        }
        each
    };
    let found = of_each_version();
    let lacks = |minor: u8| found.iter().all(|python| python.version.minor != minor);
    if !args.no_provision
        && !args.list
        && (lacks(14) || lacks(15))
        && let Some(way) = Way::get_pythons(&places, root)
    {
        eprintln!("--- {}", way.description);
        if let Err(error) = way.run() {
            eprintln!("warning: {error}");
        }
        return Ok(of_each_version());
    }
    Ok(found)
}

/// The supported versions of which there is no interpreter.
fn missing(pythons: &[Interpreter]) -> Vec<String> {
    let lacks = |minor: &u8| pythons.iter().all(|python| python.version.minor != *minor);
    [13, 14, 15].iter().filter(|minor| lacks(minor)).map(|minor| format!("3.{minor}")).collect()
}

fn step(name: impl Into<String>, root: &Path, program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Step {
    let mut command = Command::new(program);
    command.current_dir(root).args(args);
    Step { name: name.into(), command }
}

/// The steps of the Rust code. The runtime compiles against an interpreter's headers: without one it's left out.
fn rust_steps(root: &Path, python: Option<&Interpreter>) -> Vec<Step> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let exclude: &[&str] = if python.is_some() { &[] } else { &["--exclude", "pepjit-runtime"] };
    let rust = |name: &str, args: &[&str], rest: &[&str]| {
        let mut step = step(name, root, &cargo, &[args, exclude, rest].concat());
        if let Some(python) = python {
            step.command.env("PEPJIT_PYTHON", &python.path);
        }
        // What cargo set for this program is not for those that it runs now.
        step.command.env_remove("CARGO_MANIFEST_DIR");
        step
    };
    let mut steps = vec![
        step("format", root, &cargo, &["fmt", "--all", "--check"]),
        rust("clippy", &["clippy", "--workspace", "--all-targets", "--quiet"], &["--", "-D", "warnings"]),
        rust("rust tests", &["test", "--workspace", "--quiet", "--no-fail-fast"], &[]),
    ];
    // cargo-deny isn't part of Rust's toolchain. Advisories need the network: CI asks for them.
    let deny = Command::new(&cargo).args(["deny", "--version"]).stdin(Stdio::null()).output();
    if deny.is_ok_and(|output| output.status.success()) {
        let args = ["deny", "--log-level", "error", "check", "licenses", "bans", "sources"];
        steps.insert(1, step("dependencies", root, &cargo, &args));
    }
    steps
}

/// The steps that need the module for `python`, the newest one's first.
fn python_steps(root: &Path, python: &Interpreter, args: &Args, newest: bool) -> Vec<Step> {
    let version = python.version.minor_name();
    let mut steps = Vec::new();
    // The build is a step like the others: it's this program, so that its failure is one line in the summary.
    if let Ok(own) = std::env::current_exe() {
        let mut build = step(format!("module for {version}"), root, own, &["build", "--quiet", "--python"]);
        build.command.arg(&python.path);
        steps.push(build);
    }
    if let (Ok(own), true) = (std::env::current_exe(), newest) {
        // Three quick rows of the tool matrix with the real JIT; all of it takes minutes: `cargo xtask compat`.
        let args = ["compat", "--again", "--only", "getframe", "--only", "tracebacks", "--only", "controls", "--python"];
        let mut tools = step(format!("tools on {version}"), root, own, &args);
        tools.command.arg(&python.path);
        steps.push(tools);
    }
    let folder = target_folder(root).join("pepjit").join(python.tag());
    let shim = root.join("jit/runtime/csrc/tests/run.py");
    steps.push(step(format!("shim on {version}"), root, &python.path, &[shim.to_string_lossy().as_ref()]));
    let tests = root.join("jit/runtime/python");
    if has_tests(&tests) {
        let name = format!("module tests on {version}");
        let mut unit = step(name, root, &python.path, &["-m", "unittest", "discover", "-s"]);
        unit.command.arg(&tests).env("PYTHONPATH", &folder).env_remove("PEPJIT");
        steps.push(unit);
    }
    let mut with_module = |name: &str, script: &str, args: &[&str]| {
        if root.join(script).is_file() {
            let mut step = step(format!("{name} on {version}"), root, &python.path, &[script]);
            step.command.args(args).arg("--module-path").arg(&folder).env_remove("PEPJIT");
            steps.push(step);
        }
    };
    if args.leaks || !args.quick {
        let modes = if newest { "on,forced,exits" } else { "on" };
        with_module("leaks", "jit/conformance/leaks.py", &["--modes", modes]);
    }
    if newest {
        with_module("random programs", "jit/conformance/fuzz.py", &["--count", "20", "--modes", "forced,random-exits-1"]);
    }
    if !args.quick {
        with_module("conformance", "jit/conformance/run.py", &["--workloads", "--modes", "on,forced,exits"]);
        with_module("both back ends", "jit/conformance/run.py", &["--workloads", "--modes", "random-exits-1,reference"]);
    } else if newest {
        with_module("conformance", "jit/conformance/run.py", &["--fast"]);
    }
    steps
}

/// The steps that need any Python.
fn common_steps(root: &Path, python: Option<&Interpreter>) -> Vec<Step> {
    let Some(python) = python else { return Vec::new() };
    let scripts = [
        ("conformance driver", "jit/conformance/test_driver.py"),
        ("workloads", "benchmarks/workloads/check.py"),
        ("worker", "benchmarks/workloads/check_worker.py"),
        ("instruction counts", "ci/check_count_instructions.py"),
    ];
    scripts
        .iter()
        .filter(|(_, script)| root.join(script).is_file())
        .map(|(name, script)| step(*name, root, &python.path, &[script]))
        .collect()
}

/// Whether a folder has files of tests.
fn has_tests(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| {
        let name = name.to_string_lossy();
        name.starts_with("test_") && Path::new(&*name).extension().is_some_and(|extension| extension == "py")
    })
}
