//! What the documents are made from: the runs that were named, judged, and what lies beside them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use pepjit_harness::analysis::{Options, RunData};
use pepjit_harness::criteria::{Assessment, Criteria};
use pepjit_harness::gate::Thresholds;
use pepjit_harness::timeline::{Day, Deadlines, Timeline};
use pepjit_reports::{Annexes, Evidence, Material};

use crate::gate::{in_project, judge_data, load_criteria, run_folder, thresholds_file};

/// What the commands that make documents have in common.
#[derive(Debug, Clone, Args)]
pub(crate) struct Sources {
    /// Run directories, or names under runs/; the latest when none is given
    pub(crate) runs: Vec<PathBuf>,
    /// Folder with governance.json, compat.json or other annexes, before the runs' own. Repeat it for several
    #[arg(long = "annexes", value_name = "DIR")]
    annexes: Vec<PathBuf>,
    /// Criteria to judge the runs by [default: ci/gate.toml]
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
    /// The day from which deadlines are counted [default: the day of the latest run]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    as_of: Option<Day>,
    /// 1 - confidence of the intervals
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    alpha: f64,
    /// A change below this share is no change: 0.01 is 1 %
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    margin: f64,
}

/// The runs' folders, and what a document is made from.
pub(crate) struct Gathered {
    pub(crate) folders: Vec<PathBuf>,
    /// The folders in which annexes are looked for.
    pub(crate) beside: Vec<PathBuf>,
    pub(crate) criteria: Criteria,
    pub(crate) deadlines: Deadlines,
    pub(crate) material: Material,
    /// Files of the runs that can't be used, each with its reason.
    pub(crate) unusable: Vec<String>,
}

impl Sources {
    /// Reads and judges everything.
    pub(crate) fn gather(&self) -> Result<Gathered> {
        let folders = if self.runs.is_empty() {
            vec![run_folder(None)?]
        } else {
            self.runs.iter().map(|run| run_folder(Some(run.clone()))).collect::<Result<Vec<_>, _>>()?
        };
        let beside: Vec<PathBuf> = self.annexes.iter().chain(&folders).cloned().collect();
        let thresholds = Thresholds::load(&thresholds_file(self.thresholds.clone()))?;
        let criteria = load_criteria(None)?;
        let deadlines = Deadlines::load(&in_project("pep-draft/deadlines.toml"))?;
        let options = Options { alpha: self.alpha, margin: self.margin };
        let mut runs = Vec::new();
        let mut unusable = Vec::new();
        for run in &folders {
            let mut data = RunData::load(run).with_context(|| format!("cannot report on {}", run.display()))?;
            data.beside.splice(..0, self.annexes.iter().cloned());
            warn(run, &data);
            unusable.extend(data.unusable());
            runs.push(Evidence::new(&data, options, Some(judge_data(&data, &thresholds, &criteria)?))?);
        }
        let as_of = match self.as_of {
            Some(day) => day,
            None => Day::parse(runs.iter().map(|e| e.analysis.manifest.created.as_str()).max().unwrap_or_default())?,
        };
        let said: Vec<&[Assessment]> = runs.iter().filter_map(|e| Some(e.judgement.as_ref()?.criteria.as_slice())).collect();
        let timeline = Some(Timeline::new(&deadlines, &said, as_of));
        let annexes = Annexes::read(&beside)?;
        Ok(Gathered { folders, beside, criteria, deadlines, material: Material { runs, timeline, annexes }, unusable })
    }
}

/// Says on stderr what of a run can't be used or may not compare.
pub(crate) fn warn(run: &Path, data: &RunData) {
    for doubt in data.other_version().into_iter().chain(data.unusable()) {
        eprintln!("warning: {}: {doubt}", run.display());
    }
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).map_err(|e| e.to_string())
}

/// A share strictly between 0 and 0.5.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    if value > 0.0 && value < 0.5 { Ok(value) } else { Err("must be between 0 and 0.5, such as 0.05".to_owned()) }
}
