//! How well a run went: what the machine was doing, and whether that spoils the figures.

use std::collections::BTreeSet;

use super::{Analysis, Failure, Health, Process, RunData, WorkloadFailure};
use crate::model::{DesignKind, Outcome, meta};
use crate::stats::median;
use crate::stats::variance::Components;

/// Share of stolen time above which single rounds are off by more than the differences that one looks for.
const MUCH_STEAL: f64 = 0.02;

/// Load per processor above which somebody else is using the machine too.
const MUCH_LOAD: f64 = 1.0;

/// Spread of the processor's frequency, (most - least) / median, above which times of different rounds differ by it.
const MUCH_FREQUENCY: f64 = 0.1;

pub(super) fn of(data: &RunData) -> Health {
    let records = data.journal();
    let loads: Vec<f64> = records.iter().filter_map(|r| r.load).collect();
    let first = records.iter().map(|r| r.start).fold(f64::INFINITY, f64::min);
    let last = records.iter().map(|r| r.end).fold(f64::NEG_INFINITY, f64::max);
    let rounds: BTreeSet<u32> = data.cells().values().flat_map(|c| c.processes.keys().copied()).collect();
    let complete = |round: &&u32| data.cells().values().all(|c| c.processes.is_empty() || c.processes.contains_key(round));
    let baseline_failures = data.cells().iter().filter(|((tier, _), _)| *tier == data.manifest.baseline);
    Health {
        processes: records.len(),
        failed: records.iter().filter(|r| r.outcome != Outcome::Ok).count(),
        complete_rounds: rounds.iter().filter(complete).count(),
        load_mean: (!loads.is_empty()).then(|| loads.iter().sum::<f64>() / loads.len() as f64),
        load_max: loads.iter().copied().reduce(f64::max),
        steal_share: steal_share(data),
        frequency_spread: frequency_spread(data),
        best_values: best_values(data),
        span_s: if records.is_empty() { 0.0 } else { last - first },
        baseline_failures: baseline_failures
            .flat_map(|((_, workload), cell)| {
                let failure = |failure: &Failure| WorkloadFailure { workload: workload.clone(), failure: failure.clone() };
                cell.failures.iter().map(failure)
            })
            .collect(),
    }
}

/// Kalibera and Jones's best number of values per process, see [`Components::best_iterations`].
fn best_values(data: &RunData) -> Option<f64> {
    if data.manifest.design.kind != DesignKind::Interleaved {
        return None;
    }
    let own = data.cells().iter().filter(|((tier, _), _)| *tier == data.manifest.baseline);
    let best: Vec<f64> = own
        .filter_map(|((tier, workload), cell)| {
            let logs = |p: &Process| p.run.values.iter().map(|v| v.ln()).collect::<Vec<f64>>();
            let components = Components::new(&cell.processes.values().map(logs).collect::<Vec<_>>())?;
            let records = data.journal().iter().filter(|r| r.tier == *tier && r.workload == *workload);
            let spans: Vec<f64> = records.filter(|r| r.outcome == Outcome::Ok).map(|r| r.end - r.start).collect();
            let loops = cell.processes.values().next()?.run.number("loops").unwrap_or(1.0);
            let value_s = components.mean.exp() * loops;
            let process_s = median(&spans) - value_s * components.iterations as f64;
            let best = components.best_iterations(process_s, value_s);
            (process_s > 0.0 && best.is_finite()).then(|| best.ceil())
        })
        .collect();
    (!best.is_empty()).then(|| median(&best))
}

/// Stolen ticks over the ticks that passed while processes ran, on all processors together. The kernel's
/// tick in `/proc/stat` is 10 ms on every platform Linux runs on.
fn steal_share(data: &RunData) -> Option<f64> {
    let cores = f64::from(data.manifest.host.cores.max(1));
    let known = data.journal().iter().filter_map(|r| Some((r.steal_ticks? as f64, (r.end - r.start) * 100.0 * cores)));
    let (stolen, passed) = known.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (passed > 0.0).then(|| stolen / passed)
}

/// How far the frequencies that the processes' processors had were apart: (most - least) / median.
fn frequency_spread(data: &RunData) -> Option<f64> {
    let processes = data.cells().values().flat_map(|cell| cell.processes.values());
    let known: Vec<f64> = processes.filter_map(|p| p.run.number(meta::FREQUENCY)).filter(|mhz| *mhz > 0.0).collect();
    let most = known.iter().copied().reduce(f64::max)?;
    let least = known.iter().copied().reduce(f64::min)?;
    Some((most - least) / median(&known))
}

/// What of the machine's state, and of the baseline against itself, speaks against the figures: each a sentence with
/// its cure. Empty when nothing does.
pub(super) fn warnings(a: &Analysis) -> Vec<String> {
    let h = &a.health;
    let interleaved = a.manifest.design.kind == DesignKind::Interleaved;
    // Scripts of other packages can't be co-scheduled.
    let calmer = if interleaved && a.manifest.suite_version.is_none() {
        "measure with --design coscheduled"
    } else {
        "measure more rounds, or at a calmer hour"
    };
    let mut found = Vec::new();
    if let Some(share) = h.steal_share.filter(|share| *share > MUCH_STEAL) {
        found.push(format!("the hypervisor took {:.1} % of the processors' time away: {calmer}", share * 100.0));
    }
    // In a co-scheduled block all tiers wait for one processor, which is load of our own making.
    let own = if interleaved { 1.0 } else { a.manifest.tiers.len() as f64 };
    let others = h.load_mean.map(|load| (load - own) / f64::from(a.manifest.host.cores.max(1)));
    if let Some(load) = others.filter(|load| *load > MUCH_LOAD) {
        let cure =
            if interleaved { "stop them, or measure with --design coscheduled" } else { "stop them for narrower intervals" };
        found.push(format!("other programs kept each processor {load:.1} times busy: {cure}"));
    }
    if let Some(spread) = h.frequency_spread.filter(|spread| interleaved && *spread > MUCH_FREQUENCY) {
        found.push(format!(
            "the processor's frequency varied by {:.0} %: fix it (cpupower frequency-set, turbo off), or {calmer}",
            spread * 100.0
        ));
    }
    match a.control() {
        None => found.push("there is no A/A tier, so the noise floor isn't known: add interp-aa to --tiers".to_owned()),
        Some(control) => {
            let margin = a.options.margin;
            let off = control.suite.as_ref().and_then(|s| Some((s.ratio, s.ci?)));
            if let Some((ratio, _)) =
                off.filter(|(ratio, (low, high))| !(*low..=*high).contains(&1.0) && ratio.ln().abs() > margin.ln_1p())
            {
                found.push(format!(
                    "the baseline differs from itself ({ratio:.3}x): no difference of that size means anything in this run; measure again"
                ));
            }
            if let Some(mde) = control.suite.as_ref().and_then(|s| s.mde).filter(|mde| *mde > 0.05) {
                found.push(format!(
                    "the noise floor is {:.0} %: differences below it don't show; more rounds, or a calmer machine, lower it",
                    mde * 100.0
                ));
            }
        }
    }
    found
}
