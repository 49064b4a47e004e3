//! `cargo xtask governance`: who keeps a JIT alive, from its repository's history.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pepjit_harness::governance::{FILE, GovernanceError, Map, Request, cpython_map, default_cache, file_of, measure};
use pepjit_harness::runner::Interrupt;
use pepjit_harness::store::write_atomically;

use crate::gate::run_folder;
use crate::project;

/// Measures maintenance from a repository's history: truck factor, contributors, churn, co-change, by stages of a map
#[derive(Debug, Parser)]
#[command(after_help = "Exit codes:
  0    done
  2    usage: no such repository, revision or map
  130  interrupted; the same command goes on where it was

Examples:
  cargo xtask governance --repo ../cpython
  cargo xtask governance --repo ../cpython --out runs/20260102T030405Z-00002a    for its report and the PEP draft
  cargo xtask governance --repo ../cinderx --map pep-draft/cinderx-stages.toml --name cinderx --out runs/annexes
  cargo xtask governance --repo . --map my-stages.toml --json")]
pub(crate) struct Args {
    /// A clone with its whole history
    #[arg(long, value_name = "PATH")]
    repo: PathBuf,
    /// Which files are which stage [default: pep-draft/cpython-stages.toml]
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// The newest commit to read
    #[arg(long, value_name = "REVISION", default_value = "HEAD")]
    rev: String,
    /// A run, or any folder, for governance.json and governance.md
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Whose history it is if not CPython's: the files are governance-NAME.json and governance-NAME.md
    #[arg(long, value_name = "NAME", requires = "out", value_parser = plain_name)]
    name: Option<String>,
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the Markdown
    #[arg(long)]
    markdown: bool,
    /// Threads [default: all processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Folder for what is kept between calls [default: pepjit's in the user's cache]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let map = Map::load(&args.map.unwrap_or_else(|| cpython_map(&project::root())))?;
    let interrupt = Interrupt::install().context("Ctrl-C cannot be caught")?;
    let bar = bar()?;
    let cache = args.cache.unwrap_or_else(default_cache);
    let result = measure(
        &map,
        &Request {
            repository: &args.repo,
            revision: &args.rev,
            cache: &cache,
            jobs: args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from),
            progress: &|progress| {
                if bar.length() != Some(progress.total as u64) {
                    bar.set_length(progress.total as u64);
                    bar.set_position(progress.known as u64);
                    // What the cache had took no time.
                    bar.reset_eta();
                }
                bar.set_position(progress.done as u64);
            },
            stop: &|| interrupt.is_set(),
        },
    );
    bar.finish_and_clear();
    let measured = match result {
        Err(error @ GovernanceError::Interrupted { .. }) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(project::EXIT_INTERRUPTED));
        }
        other => other?,
    };
    let json = serde_json::to_string_pretty(&measured)? + "\n";
    let markdown = pepjit_reports::governance_markdown(&measured);
    if let Some(out) = args.out {
        let out = run_folder(Some(out))?;
        let file = args.name.as_deref().map_or_else(|| FILE.to_owned(), file_of);
        for (name, text) in [(PathBuf::from(&file), &json), (Path::new(&file).with_extension("md"), &markdown)] {
            let path = out.join(name);
            write_atomically(&path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
            eprintln!("{}", path.display());
        }
    }
    let text = if args.json {
        json
    } else if args.markdown {
        markdown
    } else {
        pepjit_reports::governance(&measured)
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// A name that can be part of a file's.
fn plain_name(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if is_plain { Ok(text.to_owned()) } else { Err("a name has letters, digits and -, such as cinderx".to_owned()) }
}

fn bar() -> Result<ProgressBar> {
    let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} {wide_bar} {human_pos}/{human_len} commits left: {eta}")?);
    Ok(bar)
}
