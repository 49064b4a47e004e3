//! `cargo xtask doctor`: what is here, what it can do, and what is missing.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Result;
use pepjit_harness::interpreters::{Interpreter, Places, discover};
use pepjit_harness::machine;
use pepjit_harness::tiers;
use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::Style;

/// What the command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One interpreter and what it can run.
#[derive(Debug, Serialize)]
struct Row {
    interpreter: Interpreter,
    tiers: Vec<&'static str>,
    /// What keeps the other tiers from running, with the fix; the same cause once.
    missing: Vec<String>,
}

/// A thing that isn't an interpreter, and its fix if it's missing.
#[derive(Debug, Serialize)]
struct Need {
    name: &'static str,
    present: bool,
    fix: &'static str,
}

#[derive(Debug, Serialize)]
struct Report {
    interpreters: Vec<Row>,
    broken: Vec<String>,
    needs: Vec<Need>,
    virtual_machine: bool,
    /// The interpreter that `measure` and `build` take when none is named.
    default: Option<PathBuf>,
}

/// Looks around and prints what it found. Exits with 0 if the JIT can be built for an interpreter that is here.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let found = discover(&Places::from_environment());
    let default = found.best().ok().map(|best| best.path.clone());
    let report = Report {
        broken: found.broken.iter().map(ToString::to_string).collect(),
        interpreters: found.interpreters.into_iter().map(row).collect(),
        needs: needs(),
        virtual_machine: machine::is_virtual(),
        default,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    let able = report.default.is_some() && report.needs.iter().all(|need| need.present);
    Ok(if able { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row(interpreter: Interpreter) -> Row {
    let mut row = Row { tiers: Vec::new(), missing: Vec::new(), interpreter };
    for known in tiers::CATALOGUE {
        match tiers::check(known.name, &row.interpreter) {
            Ok(()) => row.tiers.push(known.name),
            Err(tiers::TierError::Unavailable { name, cause, .. }) => {
                // What keeps out our JIT keeps out all its tiers: say it once. CPython's own is a matter of its own.
                let line = if name == "cpython-jit" { format!("cpython-jit: {cause}") } else { cause };
                if !row.missing.iter().any(|said| *said == line || line.ends_with(said)) {
                    row.missing.push(line);
                }
            }
            Err(error) => row.missing.push(error.to_string()),
        }
    }
    row
}

fn needs() -> Vec<Need> {
    let starts = |program: &str| {
        Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    vec![
        Need { name: "cargo", present: starts("cargo"), fix: "install Rust from https://rustup.rs" },
        Need {
            name: "C compiler",
            present: starts(&compiler),
            fix: "install one (on Debian `apt install gcc`), or set CC to yours",
        },
    ]
}

fn print(report: &Report) {
    if report.interpreters.is_empty() {
        println!("No Python was found on PATH, in pyenv, uv or ci/get-pythons folders.");
    } else {
        let mut table = Builder::default();
        table.push_record(["", "Interpreter", "Found", "Path", "Tiers it can run"]);
        for row in &report.interpreters {
            let python = &row.interpreter;
            let chosen = if report.default.as_ref() == Some(&python.path) { "*" } else { "" };
            let tiers = if row.tiers.is_empty() { "none".to_owned() } else { row.tiers.join(" ") };
            table.push_record([
                chosen.to_owned(),
                python.name(),
                python.source.to_string(),
                python.path.display().to_string(),
                tiers,
            ]);
        }
        println!("{}", table.build().with(Style::blank()));
        if report.default.is_some() {
            println!("\n* what `cargo xtask measure` takes when no --python is given");
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for row in &report.interpreters {
        lines.extend(row.missing.iter().map(|missing| format!("{}: {missing}", row.interpreter.name())));
    }
    lines.extend(report.broken.iter().cloned());
    lines.extend(report.needs.iter().filter(|need| !need.present).map(|need| format!("no {}: {}", need.name, need.fix)));
    if !lines.is_empty() {
        println!("\nWhat is missing:");
        lines.dedup();
        for line in lines {
            println!("  - {line}");
        }
    }
    if report.default.is_none() {
        println!("\n`cargo xtask measure` will try to get an interpreter by itself (with uv, or on Debian ci/get-pythons).");
    }
    if report.virtual_machine {
        println!("\nThis is a virtual machine: `measure` will use co-scheduled blocks, which hold on noisy machines.");
    }
}
