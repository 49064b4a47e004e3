//! The A/A tiers of real runs: equal sides with whatever noise the machine had.

use std::path::Path;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng, SeedableRng};

use super::trial::{Experiment, Tally, Trial};
use super::{Settings, Source};
use crate::analysis::{AnalysisError, Options, RunData};
use crate::gate::Thresholds;
use crate::stats::paired::MIN_PAIRS;

/// Why a run can't calibrate anything.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum RealError {
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    #[error("{run} has no tier that is the baseline again: measure one with interp-aa among the tiers")]
    NoControl { run: String },
    #[error(
        "{run} has {rounds} rounds in which every workload has both sides, and at least {MIN_PAIRS} are needed: add some with \
         cargo xtask measure --resume {run} --rounds 10"
    )]
    FewRounds { run: String, rounds: usize },
}

/// The A/A tier of a run as an experiment, from the rounds in which every workload has both sides. Workloads without any
/// result on one side are left out, and their number is returned.
pub fn load(run: &Path) -> Result<(Experiment, usize), RealError> {
    let data = RunData::load(run)?;
    let analysis = data.analyse(Options::default())?;
    let name = run.display().to_string();
    let control = analysis.control().ok_or_else(|| RealError::NoControl { run: name.clone() })?;
    let cells: Vec<_> = data
        .manifest
        .workloads
        .iter()
        .map(|w| (data.cell(&data.manifest.baseline, &w.name), data.cell(&control.tier, &w.name)))
        .collect();
    let usable: Vec<_> = cells.iter().filter(|(a, b)| !a.processes.is_empty() && !b.processes.is_empty()).collect();
    let rounds: Vec<u32> = (1..=data.manifest.design.rounds)
        .filter(|round| usable.iter().all(|(a, b)| a.processes.contains_key(round) && b.processes.contains_key(round)))
        .collect();
    if usable.is_empty() || rounds.len() < MIN_PAIRS {
        return Err(RealError::FewRounds { run: name, rounds: rounds.len() });
    }
    let mut experiment = Experiment::new(usable.len());
    for (workload, (a, b)) in usable.iter().enumerate() {
        for round in &rounds {
            let logs =
                |cell: &crate::analysis::Cell| -> Vec<f64> { cell.processes[round].run.values.iter().map(|v| v.ln()).collect() };
            experiment.push(workload, logs(a), logs(b));
        }
    }
    Ok((experiment, cells.len() - usable.len()))
}

/// Calibrates on a run: its rounds as they were, and in other orders with the sides of whole rounds swapped at random, which
/// is as likely when both are equal and keeps what the workloads of a round have in common.
pub fn calibrate(run: &Path, thresholds: &Thresholds, settings: Settings, stop: &dyn Fn() -> bool) -> Result<Source, RealError> {
    let (experiment, left_out) = load(run)?;
    let rounds = experiment.rounds();
    let trial = Trial::new(thresholds, rounds as u32);
    let mut rng = StdRng::seed_from_u64(settings.seed);
    let mut tally = Tally::default();
    let workloads = experiment.workloads();
    for resample in 0..settings.runs {
        if stop() {
            break;
        }
        let mut order: Vec<(usize, bool)> = (0..rounds).map(|round| (round, resample > 0 && rng.random::<bool>())).collect();
        if resample > 0 {
            order.shuffle(&mut rng);
        }
        trial.count(&experiment.rearranged(&order), resample % workloads, &mut tally);
    }
    let name = run.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into_owned());
    let missing = if left_out == 0 { String::new() } else { format!("; {left_out} workloads failed and are left out") };
    let description = format!("{workloads} workloads, {rounds} rounds, shuffled, and sides swapped at random by rounds{missing}");
    Ok(Source { real: true, ..tally.source(name, description) })
}
