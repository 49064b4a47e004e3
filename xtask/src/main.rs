//! The project's commands: `cargo xtask COMMAND`. Each has a module of its own that parses, calls a crate and prints.

mod build;
mod calibrate;
mod compat;
mod doctor;
mod gate;
mod governance;
mod history;
mod material;
mod measure;
mod pep;
mod progress;
mod project;
mod publish;
mod redistributor;
mod report;
mod run;
mod runs;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A JIT for stock CPython, and the harness that measures any JIT of CPython.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the interpreters found, the tiers each can run, and the fix for what is missing.
    Doctor(doctor::Args),
    /// Build the JIT, run workloads with and without it, and print the verdicts.
    Measure(Box<measure::Args>),
    /// Write the report of one run or several, as HTML and Markdown.
    Report(report::Args),
    /// Write the PEP draft from runs, and check it.
    Pep(pep::Args),
    /// Write every document of some runs into reports/published.
    Publish(publish::Args),
    /// Hold a run against criteria with thresholds.
    Gate(gate::Args),
    /// Measure how often the gate is wrong, on simulated and real data.
    Calibrate(calibrate::Args),
    /// Compare what tools and CPython's own tests see with the JIT off and forced hot.
    Compat(compat::Args),
    /// Measure maintenance from a repository's history.
    Governance(governance::Args),
    /// Say which commit moved which workload, from the runs of many commits.
    History(history::Args),
    /// Say what it takes to build the module and to ship it, from clean builds.
    Redistributor(redistributor::Args),
    /// List, compare, verify and prune runs.
    Runs(runs::Args),
    /// Run a Python program with the JIT on.
    Run(run::Args),
    /// Build the JIT's module and print the folder that holds it.
    Build(build::Args),
    /// Run every test there is.
    Test(test::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Doctor(args) => doctor::run(&args),
        Command::Measure(args) => measure::run(&args),
        Command::Report(args) => report::run(args),
        Command::Pep(args) => pep::run(args),
        Command::Publish(args) => publish::run(&args),
        Command::Gate(args) => gate::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Compat(args) => compat::run(args),
        Command::Governance(args) => governance::run(args),
        Command::History(args) => history::run(args),
        Command::Redistributor(args) => redistributor::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Run(args) => run::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Test(args) => test::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {}", project::explain(&error));
        ExitCode::from(project::EXIT_USAGE)
    })
}
