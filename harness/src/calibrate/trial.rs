//! One run with known truth, put through every method.

use std::collections::BTreeMap;

use super::others::{Sample, hpt_differs, hpt_slower, is_significant};
use super::{COVERAGE_ROUNDS, Coverage, EFFECTS, Effect, Rate, Source};
use crate::gate::decide::{Figures, Levels, decide};
use crate::gate::{Answer, Requirement, Thresholds, overall};
use crate::stats::paired::Paired;
use crate::stats::{mean, median, suite};

/// The intervals whose coverage is counted.
const ALPHA: f64 = 0.05;

/// The reliability at which HPT's verdict counts as one.
const RELIABLE: f64 = 0.95;

/// A mean so much slower would fail a gate that knows no noise.
const NAIVE: f64 = 0.05;

/// Log times of both sides of a run: for each workload and round, the values of two processes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Experiment {
    workloads: Vec<Vec<(Vec<f64>, Vec<f64>)>>,
}

impl Experiment {
    /// One without rounds.
    pub fn new(workloads: usize) -> Self {
        Self { workloads: vec![Vec::new(); workloads] }
    }

    /// Adds the next round of a workload.
    pub fn push(&mut self, workload: usize, a: Vec<f64>, b: Vec<f64>) {
        self.workloads[workload].push((a, b));
    }

    /// How many rounds each workload has.
    pub fn rounds(&self) -> usize {
        self.workloads.iter().map(Vec::len).min().unwrap_or(0)
    }

    /// How many workloads.
    pub fn workloads(&self) -> usize {
        self.workloads.len()
    }

    /// The same rounds in another order, in some of them with both sides swapped for all workloads: as likely as what was
    /// seen, where both sides are equal.
    #[must_use]
    pub fn rearranged(&self, order: &[(usize, bool)]) -> Self {
        let round = |w: &[(Vec<f64>, Vec<f64>)], (round, swap): (usize, bool)| {
            let (a, b) = w[round].clone();
            if swap { (b, a) } else { (a, b) }
        };
        Self { workloads: self.workloads.iter().map(|w| order.iter().map(|o| round(w, *o)).collect()).collect() }
    }

    /// Log speed-ups of the pairs, by workload and round.
    fn differences(&self) -> Vec<Vec<f64>> {
        self.workloads.iter().map(|w| w.iter().map(|(a, b)| mean(a) - mean(b)).collect()).collect()
    }

    /// All values of both sides of each workload, in seconds. Other harnesses compare as many values on both sides.
    fn samples(&self) -> Vec<(Sample, Sample)> {
        let side = |w: &[(Vec<f64>, Vec<f64>)], second: bool| {
            let values = w.iter().flat_map(|(a, b)| {
                let (own, other) = if second { (b, a) } else { (a, b) };
                own.iter().take(other.len()).map(|v| v.exp())
            });
            Sample { values: values.collect() }
        };
        self.workloads.iter().map(|w| (side(w, false), side(w, true))).collect()
    }
}

/// The gate, and where it looks.
pub(super) struct Trial {
    requirements: Vec<Requirement>,
    looks: Vec<u32>,
    levels: Levels,
}

impl Trial {
    /// For runs of at most so many rounds. Without a planned look in reach there is one, at the end.
    pub(super) fn new(thresholds: &Thresholds, most: u32) -> Self {
        let mut looks: Vec<u32> = thresholds.looks.iter().copied().filter(|look| *look <= most).collect();
        if looks.is_empty() {
            looks.push(if most == u32::MAX { COVERAGE_ROUNDS[COVERAGE_ROUNDS.len() - 1] } else { most });
        }
        let levels = thresholds.levels(looks.len());
        Self { requirements: thresholds.criteria.iter().map(|c| c.require).collect(), looks, levels }
    }

    pub(super) fn last_look(&self) -> u32 {
        self.looks.last().copied().unwrap_or(0)
    }

    /// Puts a run of equal sides through everything, with `workload` slowed down by each effect in turn.
    pub(super) fn count(&self, experiment: &Experiment, workload: usize, tally: &mut Tally) {
        let differences = experiment.differences();
        tally.spreads.push(median(&differences.iter().filter_map(|d| Paired::new(d)?.sd).collect::<Vec<_>>()));
        coverage(&differences, tally);
        let mut samples = experiment.samples();
        let unchanged: Vec<(bool, bool)> =
            samples.iter().map(|(a, b)| (is_significant(&a.values, &b.values), b.mean() > a.mean())).collect();
        for ((a, b), (significant, _)) in samples.iter().zip(&unchanged) {
            tally.pyperf_null.count(*significant);
            tally.hpt_null.count(hpt_differs(&a.values, &b.values));
        }
        let equal = samples[workload].1.clone();
        for effect in EFFECTS {
            let mut slowed = differences.clone();
            slowed[workload].iter_mut().for_each(|d| *d -= effect.ln_1p());
            let (answer, rounds) = self.gate(&slowed);
            samples[workload].1 = equal.slowed(effect);
            let (a, b) = &samples[workload];
            let own = (is_significant(&a.values, &b.values), b.mean() > a.mean());
            let entry = tally.effects.entry(effect.to_bits()).or_default();
            entry.fail.count(answer == Answer::Fail);
            entry.pass.count(answer == Answer::Pass);
            entry.open.count(answer == Answer::Inconclusive);
            entry.rounds += f64::from(rounds);
            let of = |i: usize| if i == workload { own } else { unchanged[i] };
            entry.pyperf.count((0..samples.len()).map(of).any(|(significant, slower)| significant && slower));
            entry.pyperf_workload.count(own.0);
            entry.hpt.count(hpt_slower(&samples) >= RELIABLE);
            entry.naive.count(samples.iter().any(|(a, b)| b.mean() / a.mean() > 1.0 + NAIVE));
        }
    }

    /// The gate's answer and the rounds it took, look after look.
    fn gate(&self, differences: &[Vec<f64>]) -> (Answer, u32) {
        let mut answer = Answer::Inconclusive;
        for look in &self.looks {
            let figures = figures(differences, *look as usize);
            let answers: Vec<Answer> = self.requirements.iter().map(|r| decide(&figures, *r, self.levels).answer).collect();
            answer = overall(&answers);
            if answer != Answer::Inconclusive {
                return (answer, *look);
            }
        }
        (answer, self.last_look())
    }
}

/// The figures of the first rounds.
fn figures(differences: &[Vec<f64>], rounds: usize) -> Figures {
    let first: Vec<&[f64]> = differences.iter().map(|d| &d[..rounds.min(d.len())]).collect();
    let known: Vec<Vec<Option<f64>>> = first.iter().map(|d| d.iter().copied().map(Some).collect()).collect();
    Figures {
        suite: suite::over_rounds(&known),
        workloads: first.iter().filter_map(|d| Some((String::new(), Paired::new(d)?))).collect(),
        ..Figures::default()
    }
}

fn coverage(differences: &[Vec<f64>], tally: &mut Tally) {
    for rounds in COVERAGE_ROUNDS {
        if differences.iter().any(|d| d.len() < rounds as usize) {
            continue;
        }
        let figures = figures(differences, rounds as usize);
        let holds = |p: &Paired| p.interval(ALPHA).is_some_and(|(low, high)| (low..=high).contains(&0.0));
        let entry = tally.coverage.entry(rounds).or_default();
        figures.workloads.iter().for_each(|(_, p)| entry.0.count(holds(p)));
        figures.suite.iter().for_each(|p| entry.1.count(holds(p)));
    }
}

/// Counts over runs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By the bits of the effect, which for numbers above 0 are in their order.
    effects: BTreeMap<u64, Effect>,
    coverage: BTreeMap<u32, (Rate, Rate)>,
    spreads: Vec<f64>,
    pyperf_null: Rate,
    hpt_null: Rate,
    pub(super) sequential: Rate,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        for (bits, effect) in &other.effects {
            let own = self.effects.entry(*bits).or_default();
            own.rounds += effect.rounds;
            for (own, others) in [
                (&mut own.fail, effect.fail),
                (&mut own.pass, effect.pass),
                (&mut own.open, effect.open),
                (&mut own.pyperf, effect.pyperf),
                (&mut own.pyperf_workload, effect.pyperf_workload),
                (&mut own.hpt, effect.hpt),
                (&mut own.naive, effect.naive),
            ] {
                own.add(others);
            }
        }
        for (rounds, (workload, suite)) in &other.coverage {
            let own = self.coverage.entry(*rounds).or_default();
            own.0.add(*workload);
            own.1.add(*suite);
        }
        self.spreads.extend(&other.spreads);
        self.pyperf_null.add(other.pyperf_null);
        self.hpt_null.add(other.hpt_null);
        self.sequential.add(other.sequential);
    }

    /// The rates.
    pub(super) fn source(self, name: String, description: String) -> Source {
        let effect =
            |(bits, e): (u64, Effect)| Effect { slower_by: f64::from_bits(bits), rounds: e.rounds / e.fail.total as f64, ..e };
        Source {
            name,
            description,
            real: false,
            pair_sd: median(&self.spreads),
            effects: self.effects.into_iter().map(effect).collect(),
            coverage: self.coverage.into_iter().map(|(rounds, (workload, suite))| Coverage { rounds, workload, suite }).collect(),
            pyperf_null: self.pyperf_null,
            pyperf_sequential: self.sequential,
            hpt_null: self.hpt_null,
        }
    }
}
