//! `cargo xtask report`: Markdown, HTML and JSON of one run, or of several merged.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use pepjit_harness::analysis::{Options, RunData};
use pepjit_harness::gate::Thresholds;
use pepjit_reports::Evidence;

use crate::gate::{judge_data, load_criteria, run_folder, runs_folder, thresholds_file};

/// Writes a report of one run, or of several merged
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo xtask report                           the latest run under runs/
  cargo xtask report runs/20260102T030405Z-00002a
  cargo xtask report runs/x86 runs/arm --out reports/published/both")]
pub(crate) struct Args {
    /// Run directories, or names under runs/; the latest when none is given
    runs: Vec<PathBuf>,
    /// Folder for report.md, report.html and analysis.json [default: the run's own, or runs/ for several]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Criteria to judge the runs by [default: ci/gate.toml]
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
    /// 1 - confidence of the intervals
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    alpha: f64,
    /// A change below this share is no change: 0.01 is 1 %
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    margin: f64,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let runs = if args.runs.is_empty() {
        vec![run_folder(None)?]
    } else {
        args.runs.into_iter().map(|run| run_folder(Some(run))).collect::<Result<Vec<_>, _>>()?
    };
    let thresholds = Thresholds::load(&thresholds_file(args.thresholds))?;
    let criteria = load_criteria(None)?;
    let options = Options { alpha: args.alpha, margin: args.margin };
    let mut evidence = Vec::new();
    for run in &runs {
        let data = RunData::load(run).with_context(|| format!("cannot report on {}", run.display()))?;
        evidence.push(Evidence { analysis: data.analyse(options)?, judgement: Some(judge_data(&data, &thresholds, &criteria)?) });
    }
    let failures: usize = evidence.iter().map(|e| e.analysis.failures().count()).sum();
    if failures > 0 {
        eprintln!("warning: {failures} processes or files failed; the report lists them with their reasons");
    }
    let out = args.out.unwrap_or_else(|| match runs.as_slice() {
        [one] => one.clone(),
        _ => runs_folder(),
    });
    for path in pepjit_reports::write(&evidence, &out)? {
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A share strictly between 0 and 0.5.
fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    if value > 0.0 && value < 0.5 { Ok(value) } else { Err("must be between 0 and 0.5, such as 0.05".to_owned()) }
}
