//! How a run ends: the table, what went wrong, and what to do next.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use pepjit_harness::analysis::{Analysis, AnalysisError, Options, RunData};
use pepjit_harness::criteria::{self, Assessment};
use pepjit_harness::model::{JournalRecord, Outcome, RunDir};
use pepjit_harness::runner::{PreflightError, Summary};

use super::plan::Notes;

/// Failures that are printed in full; the journal has them all.
const SHOWN: usize = 10;

/// A run that has ended, one way or another.
#[derive(Debug)]
pub(super) struct End {
    root: PathBuf,
    design_reason: String,
    summary: Summary,
    /// Why nothing was measured, if so.
    refused: Option<String>,
}

impl End {
    pub(super) fn of(dir: &RunDir, notes: &Notes, summary: Summary) -> Self {
        let design_reason = notes.design_reason.clone();
        Self { root: dir.root().to_owned(), design_reason, summary, refused: None }
    }

    /// A tier isn't what its name says, so nothing was measured.
    pub(super) fn refused(dir: &RunDir, error: &PreflightError) -> Self {
        Self {
            root: dir.root().to_owned(),
            design_reason: String::new(),
            summary: Summary::default(),
            refused: Some(error.to_string()),
        }
    }

    /// Whether there is nothing to go on with: it was refused or interrupted, or something failed.
    pub(super) fn is_over(&self) -> bool {
        self.is_broken() || self.summary.interrupted
    }

    /// Whether the run doesn't stand: a process failed, or a JIT never was at work.
    pub(super) fn is_broken(&self) -> bool {
        self.refused.is_some() || self.summary.is_broken()
    }
}

/// Prints the results of all runs on stdout, and what to know beside them on stderr.
pub(super) fn report(ends: &[End], json: bool) -> Result<()> {
    let mut objects = Vec::new();
    for end in ends {
        let analysis = analyse(&end.root);
        let assessments = analysis.is_ok().then(|| assess(&end.root)).and_then(|assessed| {
            // The figures stand without it, and so does what to do next.
            assessed.inspect_err(|error| eprintln!("error: the criteria are not judged: {error:#}")).ok()
        });
        let expected = end.refused.is_some() || end.summary.interrupted;
        if json {
            objects.push(object(end, analysis.as_ref().ok(), assessments.as_deref())?);
        } else if let Ok(analysis) = &analysis {
            println!("{}", pepjit_reports::terminal(analysis));
            if let Some(assessments) = &assessments {
                println!("{}", pepjit_reports::criteria(assessments, false));
            }
        }
        if let (Err(error), false) = (&analysis, expected) {
            eprintln!("error: {error}");
        }
        problems(end, !json && analysis.is_ok());
        next_steps(end);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "runs": objects }))?);
    }
    Ok(())
}

fn analyse(root: &Path) -> Result<Analysis, AnalysisError> {
    RunData::load(root)?.analyse(Options::default())
}

/// What the run says about the criteria of the PEPs.
fn assess(root: &Path) -> Result<Vec<Assessment>> {
    Ok(criteria::assess(&crate::gate::load_criteria(None)?, &RunData::load(root)?)?)
}

fn object(end: &End, analysis: Option<&Analysis>, assessments: Option<&[Assessment]>) -> Result<serde_json::Value> {
    Ok(serde_json::json!({
        "run": end.root,
        "broken": end.is_broken(),
        "interrupted": end.summary.interrupted,
        "refused": end.refused,
        "design_reason": end.design_reason,
        "failures": serde_json::to_value(&end.summary.failures)?,
        "inactive": end.summary.inactive,
        "not_compiled": end.summary.not_compiled,
        "with_children": end.summary.with_children,
        "analysis": serde_json::to_value(analysis)?,
        "criteria": serde_json::to_value(assessments)?,
    }))
}

/// What makes the run broken, and what is worth knowing; `table` tells whether the table of results was printed.
fn problems(end: &End, table: bool) {
    if let Some(cause) = &end.refused {
        eprintln!("error: {cause}");
    }
    for tier in &end.summary.inactive {
        eprintln!(
            "error: tier {tier} compiled nothing in any workload, so its figures are not a JIT's: see what it says with \
             `PEPJIT_STATS=stats.json cargo xtask run -- SCRIPT`"
        );
    }
    for (tier, workloads) in &end.summary.not_compiled {
        if !end.summary.inactive.contains(tier) {
            eprintln!("note: {tier} compiled nothing in {}", workloads.join(", "));
        }
    }
    if !end.summary.with_children.is_empty() {
        let names = end.summary.with_children.join(", ");
        eprintln!("note: the memory of {names} is the workers' alone, without the processes that they start");
    }
    let failures = &end.summary.failures;
    if failures.is_empty() {
        return;
    }
    eprintln!("error: {} processes gave no values: {}", failures.len(), end.root.join("journal.jsonl").display());
    let groups = groups(failures);
    // The table has told each failure's kind; their last words are new.
    let untold: Vec<_> = groups.iter().filter(|((.., cause), _)| !table || cause.contains('\n')).collect();
    for ((workload, tier, cause), rounds) in untold.iter().take(SHOWN) {
        let rounds = rounds.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        eprintln!("  {workload} on {tier}, round {rounds}: {}", cause.replace('\n', "\n      "));
    }
    if untold.len() > SHOWN {
        eprintln!("  ... and {} more", untold.len() - SHOWN);
    }
}

/// The rounds of each failure: what fails alike in every round is told once.
fn groups(failures: &[JournalRecord]) -> BTreeMap<(String, String, String), Vec<u32>> {
    let mut groups: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for record in failures {
        if let Outcome::Failed { kind, message } = &record.outcome {
            let cause = format!("{}: {message}", kind.describe());
            groups.entry((record.workload.clone(), record.tier.clone(), cause)).or_default().push(record.round);
        }
    }
    groups
}

fn next_steps(end: &End) {
    let run = end.root.display();
    if end.summary.interrupted {
        eprintln!("interrupted: what was measured is kept. Go on with\n  cargo xtask measure --resume {run}");
        return;
    }
    if end.refused.is_some() {
        return;
    }
    eprintln!("run: {run}");
    if !end.summary.failures.is_empty() {
        eprintln!("  cargo xtask measure --resume {run}   tries again what failed");
    }
    eprintln!("  cargo xtask report {run}   writes it as HTML and Markdown");
    eprintln!("  cargo xtask gate {run}   holds it against the thresholds");
}
