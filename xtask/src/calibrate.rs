//! `cargo xtask calibrate`: how often the gate is wrong, and other harnesses' rules on the same data.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pepjit_harness::calibrate::{Calibration, Settings, Source, noise, real, simulate};
use pepjit_harness::gate::Thresholds;
use pepjit_harness::runner::Interrupt;
use pepjit_harness::store::write_atomically;

use crate::gate::{in_project, run_folder};
use crate::project;

/// Measures the gate's error rates: how often it fails an unchanged build, and which slow-downs it catches
#[derive(Debug, Parser)]
#[command(after_help = "Exit codes:
  0  the gate keeps its rates
  1  it doesn't: the output says which
  2  usage: no such run or thresholds file

Examples:
  cargo xtask calibrate                        simulated runs, about a minute
  cargo xtask calibrate runs/2026*             and the A/A tiers of real runs
  cargo xtask calibrate --runs 20000 --out calibration.md
  cargo xtask calibrate --thresholds my-gate.toml --json")]
pub(crate) struct Args {
    /// Runs with an A/A tier, as folders or names under runs/
    #[arg(value_name = "RUN")]
    real: Vec<PathBuf>,
    /// Simulated runs per noise model, and swapped copies of each real run
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    runs: u32,
    /// Workloads of a simulated run
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    workloads: u16,
    /// Values of a simulated process
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    values: u16,
    /// Seed: the same gives the same figures
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// The gate to calibrate [default: ci/regression.toml]
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
    /// Write the Markdown to a file too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON instead of Markdown
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let thresholds = Thresholds::load(&args.thresholds.clone().unwrap_or_else(|| in_project("ci/regression.toml")))?;
    let folders = args.real.iter().map(|run| run_folder(Some(run.clone()))).collect::<Result<Vec<_>, _>>()?;
    let interrupt = Interrupt::install().context("Ctrl-C cannot be caught")?;
    let jobs = args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let settings = Settings {
        runs: args.runs as usize,
        workloads: usize::from(args.workloads),
        values: usize::from(args.values),
        seed: args.seed,
        jobs,
    };
    // The real runs first: what is wrong with them is told at once.
    let stop = || interrupt.is_set();
    let bar = bar(u64::from(args.runs) * noise::MODELS.len() as u64)?;
    let mut measured: Vec<Source> = Vec::new();
    for folder in &folders {
        bar.set_message(format!("real: {}", folder.display()));
        measured.push(real::calibrate(folder, &thresholds, settings, &stop)?);
    }
    bar.set_message("simulating");
    let simulated = simulate(&noise::MODELS, &thresholds, settings, &stop, &|runs| bar.inc(runs));
    bar.finish_and_clear();
    if interrupt.is_set() {
        eprintln!("interrupted: give fewer --runs for a shorter look");
        return Ok(ExitCode::from(project::EXIT_INTERRUPTED));
    }
    let calibration = Calibration {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        thresholds,
        runs: settings.runs,
        workloads: settings.workloads,
        values: settings.values,
        seed: settings.seed,
        simulated,
        real: measured,
    };
    let markdown = pepjit_reports::calibration(&calibration);
    if let Some(path) = &args.out {
        write_atomically(path, markdown.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let text = if args.json { serde_json::to_string_pretty(&calibration)? + "\n" } else { markdown };
    let _ = std::io::stdout().write_all(text.as_bytes());
    let misses: Vec<String> = calibration.simulated.iter().chain(&calibration.real).flat_map(Source::misses).collect();
    for miss in &misses {
        eprintln!("not kept: {miss}");
    }
    Ok(if misses.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn bar(length: u64) -> Result<ProgressBar> {
    let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg} left: {eta}")?);
    Ok(bar)
}
