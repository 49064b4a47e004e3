//! `cargo xtask redistributor`: what it takes to build the module and to ship it.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget};
use pepjit_harness::redistributor::{FILE, SBOM_FILE, Step, sheet};
use pepjit_harness::store::write_atomically;

use crate::gate::run_folder;
use crate::project;

/// Builds the module twice from nothing and says what that took, whether the two are identical, and what is in it
#[derive(Debug, Parser)]
#[command(after_help = "Exit codes:
  0  done; two builds were identical
  1  two builds differ: the output says where
  2  usage, or it doesn't build

Examples:
  cargo xtask redistributor                    two clean builds, some minutes
  cargo xtask redistributor --out runs/20260102T030405Z-00002a    for its report and the PEP draft
  cargo xtask redistributor --builds 1 --json")]
pub(crate) struct Args {
    /// The interpreter that the module is for [default: the newest that can run the JIT]
    #[arg(long, value_name = "PYTHON")]
    python: Option<String>,
    /// How many clean builds: two to compare, or one
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=2))]
    builds: u16,
    /// Jobs that a build runs at once [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// A run, or any folder, for redistributor.json, redistributor.md and sbom.cdx.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let python = project::python_for_jit(args.python.as_deref())?;
    let jobs = args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let terminal = std::io::stderr().is_terminal();
    let bar =
        ProgressBar::with_draw_target(None, if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() });
    bar.enable_steady_tick(Duration::from_millis(200));
    let result = sheet(&project::root(), &python, usize::from(args.builds), jobs, |step| {
        let message = match step {
            Step::Fetching => "fetching packages".to_owned(),
            Step::Building(number, count) => format!("clean build {number} of {count}"),
            _ => "examining the module".to_owned(),
        };
        if !terminal {
            eprintln!("{message}");
        }
        bar.set_message(message);
    });
    bar.finish_and_clear();
    let (sheet, sbom) = result?;
    let json = serde_json::to_string_pretty(&sheet)? + "\n";
    let markdown = pepjit_reports::redistributor(&sheet);
    if let Some(out) = args.out {
        let out = run_folder(Some(out))?;
        let sbom = serde_json::to_string_pretty(&sbom)? + "\n";
        for (name, text) in [(FILE, &json), ("redistributor.md", &markdown), (SBOM_FILE, &sbom)] {
            let path = out.join(name);
            write_atomically(&path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
            eprintln!("{}", path.display());
        }
    }
    let _ = std::io::stdout().write_all(if args.json { json } else { markdown }.as_bytes());
    Ok(if sheet.identical == Some(false) { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
