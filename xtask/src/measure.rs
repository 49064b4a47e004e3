//! `cargo xtask measure`: builds the JIT, runs workloads with and without it, and prints the verdicts.

mod finish;
mod looks;
mod plan;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use pepjit_harness::build::build;
use pepjit_harness::examine;
use pepjit_harness::interpreters::{Interpreter, Places, Source};
use pepjit_harness::model::{DesignKind, RunDir};
use pepjit_harness::runner::{
    Interrupt, Options, PreflightError, RunError, Sites, Summary, blocks_left, cover, plan_coverage, planned_coverage, preflight,
    same_machine, summarise,
};
use pepjit_harness::store::Seal;
use pepjit_harness::tiers::TierKind;
use pepjit_harness::workloads::script_digest;

use crate::progress::Progress;
use crate::project;
use plan::Notes;

/// What the command takes. Everything has a default that fits the machine.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = "Examples:
  cargo xtask measure                                       everything by default, about eight minutes
  cargo xtask measure --quick                               a first look, about a minute
  cargo xtask measure --python 3.14 --workloads nbody,fft --rounds 10
  cargo xtask measure --tiers interp,interp-aa,cpython-jit,cinderx   other JITs
  cargo xtask measure --suite pyperformance:math            as it is installed, or pinned into a cache
  cargo xtask measure --until-decided                       as many rounds as the criteria of ci/gate.toml need
  cargo xtask measure --resume --rounds 20                  more rounds for the latest run
  cargo xtask measure --resume --coverage 3                 what of the latest run is native code

Exit codes: 0 measured, 2 could not begin, 4 a process failed or a JIT never was at work, 130 interrupted.")]
pub(crate) struct Args {
    /// A first look: few workloads, short processes, about a minute.
    #[arg(long)]
    quick: bool,
    /// The suite: built-in, quick, start-up, a tag of the built-in workloads, pyperformance, pyperformance:GROUP, the path of a
    /// manifest in TOML, or a folder with a MANIFEST in pyperformance's format.
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
    /// Only these workloads of the suite.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    workloads: Vec<String>,
    /// The tiers, `interp` among them; besides those of `doctor` also cinderx, pypy and those of --tiers-file. Without it, all that
    /// the interpreter can run.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    tiers: Vec<String>,
    /// Tiers of your own, in TOML: `[[tier]]` with name, interpreter, args, env, `python_path`, module (a build of our JIT), setup
    /// (Python that turns the JIT on) and prove (an expression above 0 where it was at work)
    #[arg(long, value_name = "FILE")]
    tiers_file: Option<PathBuf>,
    /// An interpreter: a path, a version such as 3.14, or a command on PATH. Repeat it for a run of each. Without it, the
    /// newest that can run the tiers.
    #[arg(long = "python", value_name = "PYTHON")]
    pythons: Vec<String>,
    /// Rounds: process pairs per workload and tier. With --resume, the new total. Without it, as many as fit into about
    /// eight minutes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,
    /// Measure until the criteria are decided: to the first of the looks that are planned in the thresholds file, judge, and
    /// go on to the next while a criterion is open. Each look gets an equal share of the error rates.
    #[arg(long, conflicts_with = "rounds")]
    until_decided: bool,
    /// The criteria of --until-decided [default: ci/gate.toml]
    #[arg(long, value_name = "FILE", requires = "until_decided")]
    thresholds: Option<PathBuf>,
    /// Timed values per process (interleaved design).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    values: Option<u32>,
    /// Warm-ups per process (interleaved design).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    warmups: Option<u32>,
    /// How processes are arranged. Without it, what the machine's state calls for.
    #[arg(long, value_enum)]
    design: Option<DesignName>,
    /// Seconds of a block's common window (co-scheduled design); it is shared by all tiers.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    window: Option<f64>,
    /// Seed of every shuffle and hash seed. Without it, a new one.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Blocks that run at once, each on a processor of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Seconds after which a process counts as hanging.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<f64>,
    /// Variables of your shell that workers are to see too; all others are hidden from them.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    inherit_environ: Vec<String>,
    /// Where runs are kept. Without it, `runs` in the project.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with a run that was interrupted: its folder or its name, or the latest one.
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "latest",
          conflicts_with_all = ["quick", "suite", "workloads", "tiers", "pythons", "values", "warmups", "design", "window", "seed"])]
    resume: Option<String>,
    /// Look so many times at what runs in native code, in processes of their own after the timed ones: shares of time by sampling,
    /// the bytecode that is compiled, exits and refusals by reason. Also for a run that is complete, with --resume.
    #[arg(long, value_name = "ROUNDS", value_parser = clap::value_parser!(u32).range(1..=100))]
    coverage: Option<u32>,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
    /// Go on when a process fails. This is always so; the option is for scripts that want to say it.
    #[arg(long)]
    keep_going: bool,
    /// A folder with a finished build of the module, instead of building it.
    #[arg(long, value_name = "DIR", hide = true)]
    module: Option<PathBuf>,
}

/// The designs by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum DesignName {
    /// One process at a time, the tiers of a block in turn: for quiet machines.
    Interleaved,
    /// All tiers of a block at once on one processor: for shared machines.
    Coscheduled,
}

impl From<DesignName> for DesignKind {
    fn from(name: DesignName) -> Self {
        match name {
            DesignName::Interleaved => Self::Interleaved,
            DesignName::Coscheduled => Self::Coscheduled,
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 && value < 1e6 => Ok(value),
        _ => Err("a number of seconds above 0 is needed".to_owned()),
    }
}

impl Args {
    /// The folder that holds the runs.
    fn runs(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| project::root().join("runs"))
    }
}

/// Measures. Exits with 0 if all went well, 2 if it could not begin, 4 if a process failed or a JIT never was at work, 130
/// after an interrupt.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let interrupt = Interrupt::install().context("Ctrl-C cannot be caught")?;
    match measure(args, &interrupt) {
        // A compiler that was interrupted together with us failed for no other reason.
        Err(error) if interrupt.is_asked() => {
            eprintln!("interrupted: {error:#}");
            Ok(ExitCode::from(project::EXIT_INTERRUPTED))
        }
        result => result,
    }
}

fn measure(args: &Args, interrupt: &Interrupt) -> Result<ExitCode> {
    let mut ends = Vec::new();
    if let Some(name) = &args.resume {
        let (dir, notes) = reopen(args, name)?;
        ends.push(looks::decided(args, &dir, &notes, interrupt)?);
    } else {
        // Every interpreter is looked at before the first one is measured.
        let pythons = plan::pythons(args)?;
        let many = pythons.len() > 1;
        for python in pythons {
            if interrupt.is_set() {
                break;
            }
            let (dir, notes) = begin(args, &python, many)?;
            ends.push(looks::decided(args, &dir, &notes, interrupt)?);
        }
    }
    finish::report(&ends, args.json)?;
    if interrupt.is_set() {
        return Ok(ExitCode::from(project::EXIT_INTERRUPTED));
    }
    let broken = ends.iter().any(finish::End::is_broken);
    Ok(if broken { ExitCode::from(project::EXIT_BROKEN) } else { ExitCode::SUCCESS })
}

/// Makes a new run's directory, with the module that it measures inside.
fn begin(args: &Args, python: &Interpreter, many: bool) -> Result<(RunDir, Notes)> {
    let (plan, mut notes) = plan::new(args, python)?;
    let module = if plan.tiers.iter().any(TierKind::needs_module) { Some(module_for(args, python, &mut notes)?) } else { None };
    let mut manifest = plan.manifest(&project::root());
    manifest.module_sha256.clone_from(&notes.module_sha256);
    if args.until_decided {
        manifest.design.looks = looks::planned(args)?.looks;
        manifest.design.rounds = manifest.design.looks[0];
    }
    if many {
        // Runs that begin within a second share a seed: the interpreter tells their names apart.
        manifest.run_id = format!("{}-{}", manifest.run_id, python.tag());
    }
    plan::show(args, &manifest, python, &notes);
    let dir = RunDir::create(&args.runs(), &manifest)?;
    notes.save(&dir)?;
    if let Some(rounds) = args.coverage {
        plan_coverage(&dir, rounds)?;
    }
    make_sites(&dir, &manifest.tiers, module.as_deref())?;
    Ok((dir, notes))
}

/// The folder of the module for `python`, built if need be.
fn module_for(args: &Args, python: &Interpreter, notes: &mut Notes) -> Result<PathBuf> {
    if let Some(folder) = &args.module {
        return Ok(folder.clone());
    }
    eprintln!("building the JIT for {}", python.name());
    let module = build(&project::root(), python, false)?;
    notes.module_sha256 = Some(module.sha256);
    Ok(module.folder)
}

fn make_sites(dir: &RunDir, tiers: &[pepjit_harness::model::TierRecord], module: Option<&std::path::Path>) -> Result<Sites> {
    let root = sites_folder(dir)?;
    Sites::make(&root, tiers, module).with_context(|| format!("{} cannot be written", root.display()))
}

/// Where a run keeps the module that it measures, until it's complete: an absolute path, since workers run elsewhere.
fn sites_folder(dir: &RunDir) -> Result<PathBuf> {
    Ok(std::path::absolute(dir.root())?.join("site"))
}

/// Opens a run to go on with it, and checks that what it measures is still the same.
fn reopen(args: &Args, name: &str) -> Result<(RunDir, Notes)> {
    let dir = if name == "latest" {
        RunDir::latest(&args.runs())?
    } else {
        let path = PathBuf::from(name);
        RunDir::open(if path.is_dir() { path } else { args.runs().join(name) }.as_path())?
    };
    let mut manifest = dir.manifest()?;
    same_machine(&manifest)?;
    let version = env!("CARGO_PKG_VERSION");
    if manifest.tool_version != version {
        eprintln!("note: {} was begun by version {} of this tool, and this is {version}", manifest.run_id, manifest.tool_version);
    }
    let changed = |what: &std::path::Path| RunError::Changed { what: what.to_owned() };
    for workload in &manifest.workloads {
        if script_digest(&workload.script).as_ref() != Some(&workload.sha256) {
            return Err(changed(&workload.script).into());
        }
    }
    let mut notes = Notes::load(&dir);
    let tier = manifest.tiers.first().context("the run has no tiers: begin a new one")?;
    let python = Interpreter::probe(&tier.interpreter, Source::Explicit)?;
    if python.sha256 != tier.sha256 {
        return Err(changed(&tier.interpreter).into());
    }
    looks::more_rounds(args, &dir, &mut manifest)?;
    if let Some(rounds) = args.coverage {
        plan_coverage(&dir, rounds)?;
    }
    if blocks_left(&dir)? == 0 && uncovered(&dir, &manifest)? == 0 {
        eprintln!("{} is complete: --rounds N adds to it", dir.root().display());
        return Ok((dir, notes));
    }
    if !Sites::exist(&sites_folder(&dir)?, &manifest.tiers) {
        let needed = manifest.tiers.iter().any(TierKind::needs_module);
        let before = notes.module_sha256.clone();
        let module = if needed { Some(module_for(args, &python, &mut notes)?) } else { None };
        if let Some(module) = module.as_ref().filter(|_| before.is_some() && before != notes.module_sha256) {
            return Err(changed(module).into());
        }
        make_sites(&dir, &manifest.tiers, module.as_deref())?;
    }
    eprintln!("resuming {}", dir.root().display());
    Ok((dir, notes))
}

/// Runs what is left of a run.
fn carry_out(args: &Args, dir: &RunDir, notes: &Notes, interrupt: &Interrupt) -> Result<finish::End> {
    let manifest = dir.manifest()?;
    if blocks_left(dir)? == 0 && uncovered(dir, &manifest)? > 0 {
        return covered(args, dir, notes, interrupt, summarise(dir)?);
    }
    if blocks_left(dir)? == 0 {
        // Killed between its last block and its seal, or told to have fewer rounds: it is complete all the same.
        if Seal::load(dir)?.is_none() {
            Seal::write(dir)?;
        }
        return Ok(finish::End::of(dir, notes, summarise(dir)?));
    }
    let sites = make_sites(dir, &manifest.tiers, None)?;
    if let Err(error) = preflight(&manifest.tiers, &sites, interrupt) {
        // A run without a single value would only be in the way of those that look for the latest.
        if dir.journal()?.records().is_empty() {
            let _ = std::fs::remove_dir_all(dir.root());
        }
        return match error {
            // The machine's fault, not a tier's.
            PreflightError::Run(error) => Err(error.into()),
            error => Ok(finish::End::refused(dir, &error)),
        };
    }
    let options = Options { jobs: usize::from(args.jobs), timeout: args.timeout.map(Duration::from_secs_f64) };
    let mut progress = Progress::new(dir)?;
    let summary = pepjit_harness::runner::run(dir, &sites, options, interrupt, &mut |event| progress.on(event));
    progress.finish();
    let summary = summary?;
    if !summary.interrupted && uncovered(dir, &dir.manifest()?)? > 0 {
        return covered(args, dir, notes, interrupt, summary);
    }
    if !summary.interrupted && summary.failures.is_empty() && !args.until_decided {
        // The run is complete: nothing will be measured with its copy of the module any more.
        let _ = std::fs::remove_dir_all(sites_folder(dir)?);
    }
    Ok(finish::End::of(dir, notes, summary))
}

/// How many processes the coverage of a run still lacks.
fn uncovered(dir: &RunDir, manifest: &pepjit_harness::model::Manifest) -> Result<usize> {
    Ok(examine::left(dir, manifest, planned_coverage(dir))?.len())
}

/// Looks at the coverage that a run whose blocks are complete still lacks.
fn covered(args: &Args, dir: &RunDir, notes: &Notes, interrupt: &Interrupt, summary: Summary) -> Result<finish::End> {
    let manifest = dir.manifest()?;
    let sites = make_sites(dir, &manifest.tiers, None)?;
    let options = Options { jobs: 1, timeout: args.timeout.map(Duration::from_secs_f64) };
    let rounds = planned_coverage(dir);
    let failed = cover(dir, &sites, options, rounds, interrupt, &mut |line| eprintln!("{line}"))?;
    if failed > 0 {
        eprintln!("note: {failed} processes gave no coverage; the report names them");
    }
    let summary = Summary { interrupted: interrupt.is_set(), ..summary };
    if !summary.interrupted && summary.failures.is_empty() && !args.until_decided {
        let _ = std::fs::remove_dir_all(sites_folder(dir)?);
    }
    Ok(finish::End::of(dir, notes, summary))
}

/// The interpreters found, for messages when there is none to choose.
fn places() -> Places {
    Places::from_environment()
}
