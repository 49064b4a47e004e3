//! `cargo xtask runs`: what was measured, whether it is whole, how two runs differ, and what can go.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use pepjit_harness::analysis::across::{Baseline, compare};
use pepjit_harness::analysis::{Options, RunData};
use pepjit_harness::model::RunDir;
use pepjit_harness::runner::blocks_left;
use pepjit_harness::store::{Seal, disk_use};
use pepjit_reports::runs::{Row, State};

use crate::gate::{run_folder, runs_folder};
use crate::project::EXIT_BROKEN;

/// Lists, compares, verifies and prunes runs
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo xtask runs list
  cargo xtask runs compare 20260102T030405Z-00002a 20260103T030405Z-00002b
  cargo xtask runs verify                      every run under runs/; exit code 4 if one is damaged
  cargo xtask runs prune --keep 5              says what would go; with --yes it goes")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// Where runs are kept. Without it, `runs` in the project.
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every run: when, on what, how far, whether sealed, and how large.
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// How the tiers of two runs differ: speed-ups against each run's own baseline, with Welch's interval.
    Compare {
        /// The run before
        before: PathBuf,
        /// The run after
        after: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Whether runs are as they were measured: names each file that is cut off, changed, gone or added. Exit code 4 if one is.
    Verify {
        /// The runs; all of them when none is given
        runs: Vec<PathBuf>,
    },
    /// Removes runs. Says what would go, and removes it only with --yes.
    Prune {
        /// Keep so many of the latest runs
        #[arg(long, value_name = "N")]
        keep: Option<usize>,
        /// Only runs that were never completed
        #[arg(long)]
        incomplete: bool,
        /// Remove them
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let runs = args.dir.unwrap_or_else(runs_folder);
    match args.command {
        Command::List { json } => list(&runs, json),
        Command::Compare { before, after, json } => compared(&runs, before, after, json),
        Command::Verify { runs: given } => verify(&runs, given),
        Command::Prune { keep, incomplete, yes } => prune(&runs, keep, incomplete, yes),
    }
}

fn print(text: &str) {
    // A reader that has seen enough closes the pipe.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn list(runs: &Path, json: bool) -> Result<ExitCode> {
    let rows: Vec<Row> = RunDir::list(runs).iter().map(row).collect();
    if rows.is_empty() && !json {
        eprintln!("no run in {}: measure one with cargo xtask measure", runs.display());
    }
    print(&if json { serde_json::to_string_pretty(&rows)? + "\n" } else { pepjit_reports::runs::list(&rows) });
    Ok(ExitCode::SUCCESS)
}

/// A run as a row. One that can't be read has its reason where the others have their state.
fn row(dir: &RunDir) -> Row {
    let name = dir.root().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = disk_use(dir.root());
    match (dir.manifest(), blocks_left(dir)) {
        (Ok(manifest), Ok(left)) => Row {
            state: if left > 0 { State::Incomplete { blocks_left: left } } else { State::Complete },
            sealed: Seal::load(dir).ok().flatten().is_some(),
            bytes,
            created: manifest.created.clone(),
            python: manifest.tier(&manifest.baseline).map(|t| t.version.clone()).unwrap_or_default(),
            suite: manifest.suite.clone(),
            workloads: manifest.workloads.len(),
            tiers: manifest.tiers.iter().map(|t| t.name.clone()).collect(),
            rounds: manifest.design.rounds,
            name,
        },
        (manifest, left) => {
            let cause = manifest.map_or_else(|e| e.to_string(), |_| left.map_or_else(|e| e.to_string(), |_| String::new()));
            Row { name, state: State::Damaged { cause }, bytes, ..Row::default() }
        }
    }
}

/// The run of this name in `runs`, or the folder.
fn named(runs: &Path, given: PathBuf) -> Result<PathBuf> {
    let inside = runs.join(&given);
    Ok(if !given.exists() && inside.exists() { inside } else { run_folder(Some(given))? })
}

fn compared(runs: &Path, before: PathBuf, after: PathBuf, json: bool) -> Result<ExitCode> {
    let read = |run: PathBuf| -> Result<Baseline> {
        let run = named(runs, run)?;
        let data = RunData::load(&run).with_context(|| format!("{} cannot be compared", run.display()))?;
        crate::material::warn(&run, &data);
        Ok(Baseline::of(&data.analyse(Options::default())?))
    };
    let (before, after) = (read(before)?, read(after)?);
    let changes = compare(&before, &after, Options::default());
    if changes.is_empty() {
        bail!("{} and {} have no tier in common: measure the same tiers in both", before.run_id, after.run_id);
    }
    let doubts = before.differences(&after);
    for doubt in &doubts {
        eprintln!("warning: {doubt}, so that a change may not be the tiers' own");
    }
    print(&if json {
        serde_json::to_string_pretty(&serde_json::json!({
            "before": before.run_id, "now": after.run_id, "doubts": doubts, "tiers": serde_json::to_value(&changes)?,
        }))? + "\n"
    } else {
        pepjit_reports::runs::compared(&before.run_id, &after.run_id, &changes)
    });
    Ok(ExitCode::SUCCESS)
}

fn verify(runs: &Path, given: Vec<PathBuf>) -> Result<ExitCode> {
    let dirs = if given.is_empty() {
        RunDir::list(runs)
    } else {
        given.into_iter().map(|run| Ok(RunDir::open(&named(runs, run)?)?)).collect::<Result<Vec<_>>>()?
    };
    if dirs.is_empty() {
        bail!("no run found in {}: measure one first, or give its folder", runs.display());
    }
    let mut damaged = false;
    for dir in &dirs {
        let run = dir.root().display();
        match Seal::load(dir).and_then(|seal| Ok((seal.as_ref().map(Seal::len), seal.map(|s| s.verify(dir)).transpose()?))) {
            Ok((Some(files), Some(damages))) if damages.is_empty() => {
                println!("✓ {run}: {files} files are as they were measured");
            }
            Ok((_, Some(damages))) => {
                damaged = true;
                let files = if damages.len() == 1 { "1 file is".to_owned() } else { format!("{} files are", damages.len()) };
                println!("✗ {run}: {files} not as measured");
                for damage in damages {
                    println!("    {damage}");
                }
            }
            Ok(_) => {
                println!("? {run}: {}", unsealed(dir));
            }
            Err(error) => {
                damaged = true;
                println!("✗ {run}: {error}");
            }
        }
    }
    Ok(if damaged { ExitCode::from(EXIT_BROKEN) } else { ExitCode::SUCCESS })
}

/// Why a run has no seal, and what to do.
pub(crate) fn unsealed(dir: &RunDir) -> String {
    if blocks_left(dir).is_ok_and(|left| left == 0) {
        "complete but not sealed, because its SHA256SUMS was taken away: what has changed since can't be told. Restore it from a copy".to_owned()
    } else {
        format!("not sealed, because its measurement didn't end: cargo xtask measure --resume {}", dir.root().display())
    }
}

fn prune(runs: &Path, keep: Option<usize>, incomplete: bool, yes: bool) -> Result<ExitCode> {
    if keep.is_none() && !incomplete {
        bail!("say what may go: --keep N keeps the latest N runs, --incomplete removes what was never completed");
    }
    let all = RunDir::list(runs);
    let old = all.len().saturating_sub(keep.unwrap_or(0));
    let mut freed = 0;
    let mut count = 0;
    for dir in &all[..old] {
        let row = row(dir);
        if incomplete && matches!(row.state, State::Complete) {
            continue;
        }
        (freed, count) = (freed + row.bytes, count + 1);
        println!("{} {}", if yes { "removed" } else { "would remove" }, dir.root().display());
        if yes {
            std::fs::remove_dir_all(dir.root()).with_context(|| format!("{} cannot be removed", dir.root().display()))?;
        }
    }
    let size = pepjit_reports::format::kib(Some(freed as f64 / 1024.0));
    match (count, yes) {
        (0, _) => println!("nothing to remove"),
        (_, true) => println!("{count} runs, {size} freed"),
        (_, false) => println!("{count} runs, {size}; --yes removes them"),
    }
    Ok(ExitCode::SUCCESS)
}
