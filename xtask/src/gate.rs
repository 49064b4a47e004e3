//! `cargo xtask gate`: the criteria over a run, with an exit code for each answer.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use pepjit_harness::analysis::across::Baseline;
use pepjit_harness::analysis::{AnalysisError, Options, RunData};
use pepjit_harness::criteria::{self, Criteria, CriteriaError, Status};
use pepjit_harness::gate::{self, Answer, GateError, Judgement, Thresholds, baseline};
use pepjit_harness::model::RunDir;
use pepjit_harness::store::{Seal, StoreError};

/// Stands for the file under ci/baselines of a run's platform and Python.
const DEFAULT_FILE: &str = "default";

/// Exit code of a question that can't be asked: no run, no thresholds, an unknown tier.
const USAGE: u8 = 2;

/// Judges a run by the criteria of a thresholds file
#[derive(Debug, Parser)]
#[command(after_help = "Exit codes:
  0  every criterion passes
  1  a criterion fails
  2  usage: no such run or thresholds file
  3  inconclusive: more rounds would decide it, and the output says how many; or the run has some workloads of its suite only
  4  broken run: a worker failed, or a JIT gave no proof of activity

Examples:
  cargo xtask gate                             the latest run under runs/
  cargo xtask gate runs/20260102T030405Z-00002a --json
  cargo xtask gate --thresholds my-criteria.toml
  cargo xtask gate --require pep836-year1-geomean,pepjit-memory
  cargo xtask gate --junit gate.xml --baseline ci/baselines/x86_64-unknown-linux-gnu-3.15.json
  cargo xtask gate --write-baseline            keeps this run as what later ones are compared with")]
pub(crate) struct Args {
    /// Run directory, or a name under runs/; the latest when none is given
    run: Option<PathBuf>,
    /// The criteria [default: ci/gate.toml]
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
    /// The criteria of the PEPs, each of which is said to be met or not [default: pep-draft/criteria.toml]
    #[arg(long, value_name = "FILE")]
    criteria_file: Option<PathBuf>,
    /// Criteria of the PEPs, by id, that count for the exit code as well
    #[arg(long, value_name = "ID,ID", value_delimiter = ',')]
    require: Vec<String>,
    /// A committed run to compare with: nothing may have become slower [default: the one of this platform and Python under
    /// ci/baselines, if there is one]
    #[arg(long, value_name = "FILE", conflicts_with = "no_baseline")]
    baseline: Option<PathBuf>,
    /// Compare with no committed run
    #[arg(long)]
    no_baseline: bool,
    /// Write the run's speed-ups as a baseline to commit [default file: that of this platform and Python under ci/baselines]
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = DEFAULT_FILE)]
    write_baseline: Option<PathBuf>,
    /// Print the judgement as JSON
    #[arg(long)]
    json: bool,
    #[arg(long, value_name = "FILE", help = "Write the judgement as JUnit XML too")]
    junit: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let judged = run_folder(args.run.clone()).map_err(AnalysisError::from).map_err(GateError::from);
    let criteria = load_criteria(args.criteria_file.clone())?;
    criteria.select(&args.require)?;
    let thresholds = thresholds_file(args.thresholds.clone());
    let judged = judged.and_then(|run| {
        let thresholds = Thresholds::load(&thresholds)?;
        let data = RunData::load(&run)?;
        let dir = RunDir::open(&run).map_err(AnalysisError::from)?;
        if Seal::load(&dir).map_err(AnalysisError::from)?.is_none() {
            eprintln!("note: {}: {}", run.display(), crate::runs::unsealed(&dir));
        }
        if let Some(doubt) = data.other_version() {
            eprintln!("warning: {}: {doubt}", run.display());
        }
        Ok((gate::judge(&data, &thresholds)?, data, thresholds))
    });
    match judged {
        Ok((mut judgement, data, thresholds)) => {
            let now = Baseline::of(&data.analyse(Options::default()).map_err(GateError::from)?);
            if let Some(before) = committed(args, &now)? {
                let outcome = baseline::against(&before, &now, &thresholds, data.manifest.design.looks.len());
                judgement.push(outcome);
            }
            judgement.add(criteria::assess(&criteria, &data).map_err(GateError::from)?, &args.require);
            if let Some(path) = &args.write_baseline {
                if judgement.answer == Answer::Broken {
                    bail!("a broken run is no baseline: {}", judgement.broken.join("; "));
                }
                let path = if path == Path::new(DEFAULT_FILE) { baseline_file(&now) } else { path.clone() };
                now.save(&path)?;
                eprintln!("{} holds {} tiers of {}: commit it", path.display(), now.tiers.len(), now.run_id);
            }
            let text =
                if args.json { serde_json::to_string_pretty(&judgement)? + "\n" } else { pepjit_reports::judgement(&judgement) };
            // A reader that has seen enough closes the pipe; the exit code is what counts.
            let _ = std::io::stdout().write_all(text.as_bytes());
            if let Some(path) = &args.junit {
                std::fs::write(path, pepjit_reports::judgement_junit(&judgement)?)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
            annotate(&judgement)?;
            Ok(ExitCode::from(judgement.answer.exit_code()))
        }
        Err(error) => {
            eprintln!("error: {error}");
            Ok(ExitCode::from(exit_code(&error)))
        }
    }
}

/// The committed run to compare with, if any.
fn committed(args: &Args, now: &Baseline) -> Result<Option<Baseline>> {
    if args.no_baseline {
        return Ok(None);
    }
    let path = args.baseline.clone().unwrap_or_else(|| baseline_file(now));
    if args.baseline.is_none() && !path.exists() {
        return Ok(None);
    }
    Ok(Some(Baseline::load(&path)?))
}

/// Where the baseline of a run's platform and Python is committed.
fn baseline_file(run: &Baseline) -> PathBuf {
    let minor: String = run.python.split('.').take(2).collect::<Vec<_>>().join(".");
    in_project("ci/baselines").join(format!("{}-{minor}.json", run.platform))
}

/// The judgement of a run by the gate's thresholds, with what it says about the criteria of the PEPs.
pub(crate) fn judge_data(data: &RunData, thresholds: &Thresholds, criteria: &Criteria) -> Result<Judgement, GateError> {
    let mut judgement = gate::judge(data, thresholds)?;
    judgement.add(criteria::assess(criteria, data)?, &[]);
    Ok(judgement)
}

/// The criteria of the PEPs: of the file given, or the project's.
pub(crate) fn load_criteria(given: Option<PathBuf>) -> Result<Criteria, CriteriaError> {
    Criteria::load(&given.unwrap_or_else(|| in_project("pep-draft/criteria.toml")))
}

/// A run without a baseline, or with damaged records, is broken; anything else is a question put wrongly.
fn exit_code(error: &GateError) -> u8 {
    match error {
        GateError::Analysis(
            AnalysisError::NoBaseline { .. }
            | AnalysisError::Store(
                StoreError::Manifest { .. } | StoreError::Journal { .. } | StoreError::Seal { .. } | StoreError::Tampered { .. },
            ),
        ) => Answer::Broken.exit_code(),
        _ => USAGE,
    }
}

/// On GitHub, notes at the check what failed, and writes the job's summary.
fn annotate(judgement: &Judgement) -> Result<()> {
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) {
        let summary = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        summary
            .and_then(|mut file| file.write_all(pepjit_reports::judgement_markdown(judgement).as_bytes()))
            .with_context(|| format!("cannot write the summary {}", path.display()))?;
    }
    if std::env::var_os("GITHUB_ACTIONS").is_none() {
        return Ok(());
    }
    // On stderr, so that --json stays JSON.
    let note = |level: &str, title: &str, text: &str| {
        eprintln!("::{level} title={}::{}", escaped(title).replace(':', "%3A").replace(',', "%2C"), escaped(text));
    };
    for o in &judgement.outcomes {
        match o.answer {
            Answer::Fail | Answer::Broken => note("error", &o.criterion.name, &o.finding),
            Answer::Inconclusive => note("warning", &o.criterion.name, &o.finding),
            Answer::Pass | Answer::Skipped => {}
        }
    }
    for line in &judgement.broken {
        note("error", "a process failed", line);
    }
    for a in judgement.criteria.iter().filter(|a| a.status == Status::NotMet) {
        note("notice", &format!("{} is not met", a.criterion.id), &a.finding);
    }
    Ok(())
}

/// Text for a workflow command of GitHub Actions.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The thresholds file: the one given, or the project's.
pub(crate) fn thresholds_file(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| in_project("ci/gate.toml"))
}

/// The run that was given, as a folder or by its name under runs/, or the latest one.
pub(crate) fn run_folder(given: Option<PathBuf>) -> Result<PathBuf, StoreError> {
    let Some(given) = given else {
        return Ok(RunDir::latest(&runs_folder())?.root().to_owned());
    };
    let named = runs_folder().join(&given);
    Ok(if !given.exists() && named.exists() { named } else { given })
}

/// The folder of all runs.
pub(crate) fn runs_folder() -> PathBuf {
    in_project("runs")
}

/// A path inside the project, relative to where the user stands if that is the project's root.
pub(crate) fn in_project(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    if std::env::current_dir().is_ok_and(|here| here == root) { PathBuf::from(path) } else { root.join(path) }
}
