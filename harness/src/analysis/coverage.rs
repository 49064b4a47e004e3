//! How much of each workload runs in native code, and how much of what a JIT could win it wins.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::data::RunData;
use super::{Failure, TierResult, WorkloadFailure};
use crate::examine::{Code, Record, Records};
use crate::model::FailureKind;
use crate::stats::mean;
use crate::tiers::TierKind;

/// The code objects that execute this share of the bytecode are the hot ones.
const HOT: f64 = 0.9;

/// The quantile for the sampling error of a share, two-sided 95 %.
const Z: f64 = 1.96;

/// The coverage of a tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierCoverage {
    /// The tier.
    pub tier: String,
    /// Share of time in native code, mean over workloads.
    pub native: Option<Share>,
    /// Share of time in the interpreter's loop, mean over workloads.
    pub interpreter: Option<Share>,
    /// Share of the executed bytecode that belongs to compiled code, mean over workloads: an upper bound of what runs natively.
    pub compiled: Option<f64>,
    /// Share of the bytecode that runs natively, estimated from the time that the interpreter's loop still takes, mean over workloads.
    #[serde(default)]
    pub natively: Option<f64>,
    /// The workloads, in the suite's order.
    pub rows: Vec<CoverageRow>,
    /// Processes that gave nothing.
    pub failures: Vec<WorkloadFailure>,
}

/// A share of time, with its sampling error's interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The coverage of a workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CoverageRow {
    /// The workload.
    pub workload: String,
    /// Samples of processor time, over all rounds.
    pub samples: u64,
    /// Shares of time: in native code made at run time,
    pub native: f64,
    /// in the interpreter's loop,
    pub interpreter: f64,
    /// in the rest of the interpreter,
    pub runtime: f64,
    /// in the library of a JIT,
    pub jit: f64,
    /// and elsewhere: other libraries, the kernel's pages.
    pub elsewhere: f64,
    /// Bytecode instructions of one iteration.
    pub bytecodes: Option<f64>,
    /// Share of these that belong to compiled code: an upper bound, since compiled code may be left half-way, and a code object counts
    /// as compiled even if only a loop of it is.
    pub compiled: Option<f64>,
    /// Share of these that run natively, as an estimate: 1 less the time that the tier spends in the interpreter's loop, by the time that
    /// the baseline spends there. It takes bytecode that is left to the interpreter for as slow as the average. Time in a foreign JIT's
    /// own library, which may hold an interpreter, counts as interpreted.
    #[serde(default)]
    pub natively: Option<f64>,
    /// Hot code objects: the fewest that execute nine tenths of the bytecode.
    pub hot: Option<usize>,
    /// Of these, compiled ones.
    pub hot_compiled: Option<usize>,
    /// Exits per 1000 bytecode instructions,
    pub exits: Option<f64>,
    /// by reason, the most frequent first.
    pub exits_by_reason: Vec<(String, f64)>,
    /// Shares of the bytecode whose code isn't compiled, by reason, the largest first.
    pub refused: Vec<(String, f64)>,
    /// The speed-up if the baseline's time in the interpreter's loop took none.
    pub available: Option<f64>,
    /// Of the time that the interpreter's loop takes, the share by which the tier is faster; above 1 where it saves elsewhere too.
    pub achieved: Option<f64>,
}

/// The coverage of each tier that was looked at, in the manifest's order.
pub(super) fn of(data: &RunData, tiers: &[TierResult]) -> Vec<TierCoverage> {
    let baseline = &data.manifest.baseline;
    let mut all = Vec::new();
    for tier in &data.manifest.tiers {
        let (mut rows, mut failures) = (Vec::new(), Vec::new());
        for workload in &data.manifest.workloads {
            let Some(records) = data.coverage(&tier.name, &workload.name) else { continue };
            for (round, message) in records.iter().filter_map(|(round, r)| Some((round, r.failure.clone()?))) {
                let failure = Failure { round: (*round > 0).then_some(*round), kind: FailureKind::BadOutput, message };
                failures.push(WorkloadFailure { workload: workload.name.clone(), failure });
            }
            let base = data.coverage(baseline, &workload.name);
            let result = tiers.iter().find(|t| t.tier == tier.name);
            let speedup = result.and_then(|t| t.workloads.iter().find(|w| w.name == workload.name)?.speedup.as_ref());
            rows.extend(row(&workload.name, records, base, speedup.map(|s| s.ratio), TierKind::of(tier)));
        }
        if rows.is_empty() && failures.is_empty() {
            continue;
        }
        let over = |of: &dyn Fn(&CoverageRow) -> Option<f64>| {
            let known: Vec<f64> = rows.iter().filter_map(of).collect();
            (!known.is_empty()).then(|| mean(&known))
        };
        all.push(TierCoverage {
            tier: tier.name.clone(),
            native: share(rows.iter().map(|r| (r.native, r.samples))),
            interpreter: share(rows.iter().map(|r| (r.interpreter, r.samples))),
            compiled: over(&|r| r.compiled),
            natively: over(&|r| r.natively),
            rows,
            failures,
        });
    }
    all
}

/// The mean of shares, each workload weighing the same, with the error that sampling them has.
fn share(shares: impl Iterator<Item = (f64, u64)>) -> Option<Share> {
    let shares: Vec<(f64, f64)> = shares.filter(|s| s.1 > 0).map(|(share, samples)| (share, samples as f64)).collect();
    if shares.is_empty() {
        return None;
    }
    let count = shares.len() as f64;
    let value = shares.iter().map(|s| s.0).sum::<f64>() / count;
    // Agresti and Coull's two additions keep the error of a share of 0 or 1 from vanishing.
    let variance = |(share, samples): &(f64, f64)| {
        let share = (share * samples + 2.0) / (samples + 4.0);
        share * (1.0 - share) / (samples + 4.0)
    };
    let error = Z * shares.iter().map(variance).sum::<f64>().sqrt() / count;
    Some(Share { value, low: (value - error).max(0.0), high: (value + error).min(1.0) })
}

fn row(workload: &str, records: &Records, base: Option<&Records>, speedup: Option<f64>, kind: TierKind) -> Option<CoverageRow> {
    let good: Vec<&Record> = records.values().filter(|r| r.failure.is_none()).collect();
    if good.is_empty() {
        return None;
    }
    let (samples, of) = sampled(&good);
    let based: Vec<&Record> = base.into_iter().flat_map(|b| b.values()).filter(|r| r.failure.is_none()).collect();
    let counted: Vec<f64> = based.iter().filter_map(|r| r.bytecodes).map(|n| n as f64).collect();
    let bytecodes = (!counted.is_empty()).then(|| mean(&counted)).filter(|n| *n > 0.0);
    let mut row = CoverageRow {
        workload: workload.to_owned(),
        samples,
        native: of("N"),
        interpreter: of("I"),
        runtime: of("R"),
        jit: of("J"),
        elsewhere: of("LK"),
        bytecodes,
        ..CoverageRow::default()
    };
    let (based_samples, based_of) = sampled(&based);
    let loop_share = Some(based_of("I")).filter(|share| based_samples > 0 && *share > 0.0 && *share < 1.0);
    row.available = loop_share.map(|share| 1.0 / (1.0 - share));
    row.achieved = loop_share.and_then(|share| Some((1.0 - 1.0 / speedup?) / share));
    let interpreted = if kind == TierKind::Declared { of("IJ") } else { of("I") };
    row.natively = loop_share
        .filter(|_| samples > 0 && kind.needs_proof())
        .and_then(|share| Some((1.0 - interpreted / (share * speedup?)).clamp(0.0, 1.0)));
    if good.iter().any(|r| !r.states.is_empty()) {
        if let Some(executed) = based.iter().find(|r| !r.executed.is_empty()) {
            compiled(&mut row, executed, &good);
        }
        if let Some(bytecodes) = bytecodes.filter(|_| good.iter().any(|r| r.exits.is_some())) {
            exits(&mut row, &good, bytecodes);
        }
    }
    Some(row)
}

/// The number of samples, and the share of those with one of some letters.
fn sampled(records: &[&Record]) -> (u64, impl Fn(&str) -> f64) {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for (letter, count) in records.iter().flat_map(|r| &r.samples) {
        *counts.entry(*letter).or_default() += count;
    }
    let total: u64 = counts.values().sum();
    let share = move |letters: &str| {
        let count: u64 = letters.chars().filter_map(|letter| counts.get(&letter)).sum();
        if total > 0 { count as f64 / total as f64 } else { 0.0 }
    };
    (total, share)
}

/// Which of the executed code is compiled, and why the rest isn't.
fn compiled(row: &mut CoverageRow, executed: &Record, records: &[&Record]) {
    let total: u64 = executed.executed.iter().map(|e| e.count).sum();
    let states: BTreeMap<&Code, &str> =
        records.iter().flat_map(|r| &r.states).map(|state| (&state.code, state.state.as_str())).collect();
    let (mut hot, mut hot_compiled, mut before, mut native) = (0, 0, 0, 0);
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    for part in &executed.executed {
        let state = states.get(&part.code).copied();
        let is_compiled = state == Some("compiled");
        if (before as f64) < HOT * total as f64 {
            hot += 1;
            hot_compiled += usize::from(is_compiled);
        }
        before += part.count;
        if is_compiled {
            native += part.count;
        } else {
            // A reason's details are behind its colon. Module-level code and such have no function to ask.
            let reason = state.unwrap_or("not hot, or no function").split(':').next().unwrap_or_default();
            *refused.entry(reason.to_owned()).or_default() += part.count;
        }
    }
    let share = |count: u64| count as f64 / total.max(1) as f64;
    row.compiled = Some(share(native));
    (row.hot, row.hot_compiled) = (Some(hot), Some(hot_compiled));
    row.refused = descending(refused.into_iter().map(|(reason, count)| (reason, share(count))));
}

/// The exits of an iteration, against its bytecode.
fn exits(row: &mut CoverageRow, records: &[&Record], bytecodes: f64) {
    let reasons: BTreeSet<&String> = records.iter().filter_map(|r| r.exits.as_ref()).flat_map(BTreeMap::keys).collect();
    let per_1k = |reason: &String| {
        let sum: f64 = records.iter().filter_map(|r| r.exits.as_ref()?.get(reason)).sum();
        sum / records.len() as f64 / bytecodes * 1000.0
    };
    row.exits_by_reason = descending(reasons.into_iter().map(|reason| (reason.clone(), per_1k(reason))));
    row.exits = Some(row.exits_by_reason.iter().fold(0.0, |sum, e| sum + e.1));
}

fn descending(all: impl Iterator<Item = (String, f64)>) -> Vec<(String, f64)> {
    let mut all: Vec<(String, f64)> = all.filter(|e| e.1 > 0.0).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examine::{Executed, State};

    fn code(name: &str) -> Code {
        Code { file: "x.py".to_owned(), name: name.to_owned(), line: 1 }
    }

    fn interpreted() -> Records {
        let executed = [("hot", 800), ("warm", 150), ("cold", 50)].map(|(name, count)| Executed { code: code(name), count });
        let samples = BTreeMap::from([('I', 60), ('R', 30), ('L', 10)]);
        Records::from([(1, Record { samples, bytecodes: Some(1000), executed: executed.to_vec(), ..Record::default() })])
    }

    fn native() -> Records {
        let state = |name: &str, state: &str| State { code: code(name), state: state.to_owned() };
        let states = vec![state("hot", "compiled"), state("warm", "generator: details"), state("other", "compiled")];
        let samples = BTreeMap::from([('N', 50), ('I', 20), ('R', 20), ('J', 10)]);
        let exits = Some(BTreeMap::from([("overflow".to_owned(), 2.0), ("type".to_owned(), 3.0)]));
        Records::from([(1, Record { samples, states, exits, ..Record::default() })])
    }

    #[test]
    fn a_jits_row_is_held_against_what_the_baseline_executes() {
        let row = row("x", &native(), Some(&interpreted()), Some(2.0), TierKind::Pepjit).unwrap();
        assert_eq!((row.native, row.interpreter, row.jit), (0.5, 0.2, 0.1));
        assert_eq!((row.compiled, row.hot, row.hot_compiled), (Some(0.8), Some(2), Some(1)));
        assert_eq!(row.refused, [("generator".to_owned(), 0.15), ("not hot, or no function".to_owned(), 0.05)]);
        assert_eq!(row.exits, Some(5.0));
        assert_eq!(row.exits_by_reason[0], ("type".to_owned(), 3.0));
        assert!((row.available.unwrap() - 2.5).abs() < 1e-12, "the loop's 60 % would be gone");
        assert!((row.natively.unwrap() - 5.0 / 6.0).abs() < 1e-12, "20 % of half the time, where the loop took 60 % of all");
        assert!((row.achieved.unwrap() - 0.5 / 0.6).abs() < 1e-12, "half of the time is, of these 60 %");
    }

    #[test]
    fn a_foreign_library_may_interpret() {
        let natively = |kind| row("x", &native(), Some(&interpreted()), Some(2.0), kind).unwrap().natively.unwrap();
        assert!((natively(TierKind::Declared) - 0.75).abs() < 1e-12, "30 % of half the time");
        let slow = row("x", &native(), Some(&interpreted()), Some(0.1), TierKind::Pepjit).unwrap();
        assert_eq!(slow.natively, Some(0.0), "more time than the baseline's is no negative share");
    }

    #[test]
    fn the_baselines_row_has_no_compiled_code() {
        let own = interpreted();
        let row = row("x", &own, Some(&own), None, TierKind::Interpreter).unwrap();
        assert_eq!((row.compiled, row.natively, row.exits, row.achieved), (None, None, None, None));
        assert_eq!(row.bytecodes, Some(1000.0));
    }

    #[test]
    fn failures_alone_make_no_row() {
        let failed = Records::from([(1, Record { failure: Some("it hung".to_owned()), ..Record::default() })]);
        assert_eq!(row("x", &failed, None, None, TierKind::Pepjit), None);
    }

    #[test]
    fn the_mean_share_has_its_sampling_error() {
        let share = share([(0.8, 400), (0.9, 400), (0.0, 0)].into_iter()).unwrap();
        assert!((share.value - 0.85).abs() < 1e-12, "a workload without samples says nothing");
        assert!(share.low > 0.82 && share.low < share.value && share.high < 0.88, "{share:?}");
        let all = super::share([(1.0, 100)].into_iter()).unwrap();
        assert!(all.low < 1.0 && all.high.to_bits() == 1.0_f64.to_bits(), "{all:?}");
    }
}
