//! `cargo xtask report`: Markdown, HTML and JSON of one run, or of several merged.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::gate::runs_folder;
use crate::material::Sources;

/// Writes a report of one run, or of several merged
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo xtask report                           the latest run under runs/
  cargo xtask report runs/20260102T030405Z-00002a
  cargo xtask report runs/x86 runs/arm --out reports/published/both
  cargo xtask report --annexes maintenance     with the governance.json of that folder")]
pub(crate) struct Args {
    #[command(flatten)]
    sources: Sources,
    /// Folder for report.md, report.html and analysis.json [default: the run's own, or runs/ for several]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let gathered = args.sources.gather()?;
    let failures: usize = gathered.material.runs.iter().map(|e| e.analysis.failures().count()).sum();
    if failures > 0 {
        eprintln!("warning: {failures} processes or files failed; the report lists them with their reasons");
    }
    let out = args.out.unwrap_or_else(|| match gathered.folders.as_slice() {
        [one] => one.clone(),
        _ => runs_folder(),
    });
    for path in pepjit_reports::write(&gathered.material, &out)? {
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
