//! `cargo xtask history`: which commit moved which workload.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use pepjit_harness::history::{FILE, Options, history};
use pepjit_harness::model::RunDir;
use pepjit_harness::store::write_atomically;

use crate::gate::{run_folder, runs_folder};
use crate::project;

/// Puts runs in the order of their commits and says which commit moved which workload
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo xtask history                          all runs under runs/
  cargo xtask history --out runs/20260102T030405Z-00002a    for its report
  cargo xtask history runs/a runs/b runs/c --json")]
pub(crate) struct Args {
    /// Run directories, or names under runs/; all of them when none is given
    runs: Vec<PathBuf>,
    /// The clone that the commits are in [default: the project]
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// The newest commit
    #[arg(long, value_name = "REVISION", default_value = "HEAD")]
    rev: String,
    /// A run, or any folder, for history.json and history.md
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How likely noise alone may show a move in a tier
    #[arg(long, default_value_t = 0.05, value_parser = crate::material::share)]
    alpha: f64,
    /// A move below this share isn't told: 0.01 is 1 %
    #[arg(long, default_value_t = 0.01, value_parser = crate::material::share)]
    margin: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let runs = if args.runs.is_empty() {
        RunDir::list(&runs_folder())
    } else {
        args.runs.into_iter().map(|run| Ok(RunDir::open(&run_folder(Some(run))?)?)).collect::<Result<Vec<_>>>()?
    };
    let repository = args.repo.unwrap_or_else(project::root);
    let found = history(&runs, &repository, &args.rev, Options { alpha: args.alpha, margin: args.margin })?;
    let json = serde_json::to_string_pretty(&found)? + "\n";
    let markdown = pepjit_reports::history(&found);
    if let Some(out) = args.out {
        let out = run_folder(Some(out))?;
        for (name, text) in [(FILE, &json), ("history.md", &markdown)] {
            let path = out.join(name);
            write_atomically(&path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
            eprintln!("{}", path.display());
        }
    }
    let _ = std::io::stdout().write_all(if args.json { json } else { markdown }.as_bytes());
    Ok(ExitCode::SUCCESS)
}
