//! `cargo xtask gate`: the criteria over a run, with an exit code for each answer.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use pepjit_harness::analysis::{AnalysisError, RunData};
use pepjit_harness::criteria::{self, Criteria, CriteriaError};
use pepjit_harness::gate::{self, Answer, GateError, Judgement, Thresholds};
use pepjit_harness::model::RunDir;
use pepjit_harness::store::StoreError;

/// Exit code of a question that can't be asked: no run, no thresholds, an unknown tier.
const USAGE: u8 = 2;

/// Judges a run by the criteria of a thresholds file
#[derive(Debug, Parser)]
#[command(after_help = "Exit codes:
  0  every criterion passes
  1  a criterion fails
  2  usage: no such run or thresholds file
  3  inconclusive: more rounds would decide it, and the output says how many
  4  broken run: a worker failed, or a JIT gave no proof of activity

Examples:
  cargo xtask gate                             the latest run under runs/
  cargo xtask gate runs/20260102T030405Z-00002a --json
  cargo xtask gate --thresholds my-criteria.toml
  cargo xtask gate --require pep836-year1-geomean,pepjit-memory")]
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
    /// Print the judgement as JSON
    #[arg(long)]
    json: bool,
    #[arg(long, value_name = "FILE", help = "Write the judgement as JUnit XML too")]
    junit: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let judged = run_folder(args.run).map_err(AnalysisError::from).map_err(GateError::from);
    let criteria = load_criteria(args.criteria_file)?;
    criteria.select(&args.require)?;
    match judged.and_then(|run| judge(&run, &thresholds_file(args.thresholds), &criteria, &args.require)) {
        Ok(judgement) => {
            let text =
                if args.json { serde_json::to_string_pretty(&judgement)? + "\n" } else { pepjit_reports::judgement(&judgement) };
            // A reader that has seen enough closes the pipe; the exit code is what counts.
            let _ = std::io::stdout().write_all(text.as_bytes());
            if let Some(path) = &args.junit {
                std::fs::write(path, pepjit_reports::judgement_junit(&judgement))
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

/// The judgement of a run by the gate's thresholds, with what it says about the criteria of the PEPs.
fn judge(run: &Path, thresholds: &Path, criteria: &Criteria, binding: &[String]) -> Result<Judgement, GateError> {
    let thresholds = Thresholds::load(thresholds)?;
    judge_data(&RunData::load(run)?, &thresholds, criteria, binding)
}

/// The same of a run that was read.
pub(crate) fn judge_data(
    data: &RunData,
    thresholds: &Thresholds,
    criteria: &Criteria,
    binding: &[String],
) -> Result<Judgement, GateError> {
    let mut judgement = gate::judge(data, thresholds)?;
    judgement.add(criteria::assess(criteria, data)?, binding);
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
    for o in &judgement.outcomes {
        let level = match o.answer {
            Answer::Fail | Answer::Broken => "error",
            Answer::Inconclusive => "warning",
            Answer::Pass | Answer::Skipped => continue,
        };
        // On stderr, so that --json stays JSON.
        eprintln!("::{level} title={}::{}", o.criterion.name.replace([',', ':', '\n'], " "), o.finding.replace('\n', " "));
    }
    Ok(())
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
