//! `cargo xtask compat`: tools, other compilers and CPython's own tests, with the JIT off and forced hot.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pepjit_harness::build::{build, target_folder};
use pepjit_harness::compat::{
    COEXISTENCE, COEXISTENCE_FILE, CompatError, Event, Expected, FILE, Outcome, PROBES, Request, Suite, add_earlier, conclude,
    cpython_tests, modes, modules, select, tools,
};
use pepjit_harness::runner::Interrupt;
use pepjit_harness::store::write_atomically;

use crate::gate::{in_project, run_folder};
use crate::project;

/// Compares what tools, other compilers and CPython's own tests see with the JIT off and forced hot
#[derive(Debug, Parser)]
#[command(after_help = "Exit codes:
  0    all that is there is equal
  1    something differs
  2    usage
  4    broken: a row doesn't work without a JIT either, or nothing shows that the JIT was at work
  130  interrupted; the same command goes on where it was

Examples:
  cargo xtask compat                               the tool matrix, some minutes
  cargo xtask compat --only pdb --only frames      a row, a group of rows
  cargo xtask compat --cpython-tests               CPython's own tests, some ten minutes for about 120 modules
  cargo xtask compat --cpython-tests dict,test_gen*,asyncio
  cargo xtask compat --out runs/20260102T030405Z-00002a    for its report and the PEP draft")]
pub(crate) struct Args {
    /// The interpreter [default: the newest that can run the JIT]
    #[arg(long, value_name = "PYTHON")]
    python: Option<String>,
    /// Only this row, or this group of rows. Repeat it for several
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// Name the rows and do nothing
    #[arg(long)]
    list: bool,
    /// CPython's own tests as well (alone, unless rows are named with --only): without MODULES those of the language and the runtime;
    /// `all`; or names, of which the `test_` may be left out and `*` may be the end
    #[arg(long, value_name = "MODULES", num_args = 0..=1, default_missing_value = "", value_delimiter = ',')]
    cpython_tests: Option<Vec<String>>,
    /// The mode of CPython's own tests with the JIT: forced compiles at the first call, hot after 30
    #[arg(long, value_name = "MODE", default_value = "hot", value_parser = ["forced", "hot", "cpython-jit"])]
    mode: String,
    /// Seconds that a module of CPython's own tests may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: u64,
    /// Run again what was done before for the same build and interpreter
    #[arg(long)]
    again: bool,
    /// Processes at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// A run, or any folder, for compat.json, compat.md and coexistence.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    // CPython's own tests take much longer than the rows: whoever asks for them gets them alone.
    let rows = if args.cpython_tests.is_some() && args.only.is_empty() { Vec::new() } else { select(&args.only)? };
    if args.list {
        for row in rows {
            println!("{:<18} {:<14} {}", row.name, row.group, row.checks);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let out = args.out.map(|out| run_folder(Some(out))).transpose()?;
    let root = project::root();
    let python = project::python_for_jit(args.python.as_deref())?;
    let asked: Option<Vec<String>> = args.cpython_tests.map(|names| names.into_iter().filter(|name| !name.is_empty()).collect());
    let modules = asked.map(|asked| modules(&python, &asked)).transpose()?;
    let expected = Expected::load(&in_project("jit/conformance/cpython_tests.toml"))?;
    let modes = modes(&python);
    if !modes.iter().any(|mode| mode.name == args.mode) {
        bail!("{} has no JIT of its own for --mode {}: use another mode, or ci/get-pythons' builds", python.name(), args.mode);
    }
    let module = build(&root, &python, true)?;
    let interrupt = Interrupt::install().context("Ctrl-C cannot be caught")?;
    let bar = bar()?;
    let request = Request {
        root: &root,
        python: &python,
        module: &module.folder,
        module_sha256: &module.sha256,
        modes,
        rows,
        probes: PROBES.to_vec(),
        jobs: usize::from(args.jobs),
        cache: &target_folder(&root).join("compat"),
        again: args.again,
        stop: &|| interrupt.is_set(),
        on: &|event| show(&bar, &event),
    };
    let limit = Duration::from_secs(args.timeout);
    let result = (if request.rows.is_empty() { Ok(Vec::new()) } else { tools(&request) }).and_then(|rows| {
        let tests = modules.map(|modules| cpython_tests(&request, &modules, &args.mode, limit, &expected)).transpose()?;
        Ok((rows, tests))
    });
    bar.finish_and_clear();
    let (rows, tests): (_, Option<Suite>) = match result {
        Err(error @ CompatError::Interrupted) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(project::EXIT_INTERRUPTED));
        }
        other => other?,
    };
    // Other compilers in the same process are a file of their own.
    let (beside, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.group == COEXISTENCE);
    let mut outcome = Outcome::Equal;
    let mut texts = Vec::new();
    for (file, mut rows, mut tests) in [(FILE, rows, tests), (COEXISTENCE_FILE, beside, None)] {
        if rows.is_empty() && tests.is_none() {
            continue;
        }
        if let Some(out) = &out {
            add_earlier(&request, &out.join(file), &mut rows, &mut tests);
        }
        let compat = conclude(&request, rows, tests);
        outcome = outcome.max(compat.outcome());
        let json = serde_json::to_string_pretty(&compat)? + "\n";
        let markdown = pepjit_reports::compat(&compat);
        if let Some(out) = &out {
            for (name, text) in [(file.to_owned(), &json), (file.replace(".json", ".md"), &markdown)] {
                let path = out.join(name);
                write_atomically(&path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
                eprintln!("{}", path.display());
            }
        }
        texts.push(if args.json { json } else { markdown });
    }
    // Two files' JSON is a list of them.
    let text = if args.json && texts.len() > 1 { format!("[\n{}]\n", texts.join(",\n")) } else { texts.join("\n") };
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(match outcome {
        Outcome::Equal | Outcome::NotAvailable => ExitCode::SUCCESS,
        Outcome::Differs => ExitCode::from(1),
        Outcome::Failed | Outcome::NoProof => ExitCode::from(project::EXIT_BROKEN),
    })
}

/// Shows what happens: on a terminal below the bar, elsewhere a line per row.
fn show(bar: &ProgressBar, event: &Event<'_>) {
    let say = |line: &str| if bar.is_hidden() { eprintln!("{line}") } else { bar.println(line) };
    match event {
        Event::Started(before, all) => {
            bar.set_length(*all as u64);
            bar.set_position(*before as u64);
            // What was done before took no time.
            bar.reset_eta();
            if *before > 0 {
                say(&format!("{before} of {all} were done before for this build (--again runs them again)"));
            }
        }
        Event::Told(text) => say(text),
        Event::Begins(name) => bar.set_message((*name).to_owned()),
        Event::Row(row) => {
            bar.inc(1);
            say(&format!("{} {}: {}", row.outcome.symbol(), row.name, row.outcome.word()));
        }
        Event::Module(module) => {
            bar.inc(1);
            let more = if module.outcome == Outcome::Differs {
                format!(" in {} tests", module.differences.len())
            } else {
                String::new()
            };
            say(&format!("{} {}: {}{more}", module.outcome.symbol(), module.module, module.outcome.word()));
        }
        _ => {}
    }
}

fn bar() -> Result<ProgressBar> {
    let terminal = std::io::stderr().is_terminal();
    let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg} left: {eta}")?);
    if terminal {
        bar.enable_steady_tick(Duration::from_millis(500));
    }
    Ok(bar)
}
