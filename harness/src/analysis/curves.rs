//! Warm-up curves: how long each iteration takes, beside the baseline's steady time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Process, RunData};
use crate::stats::{mean, median};

/// Neighbouring bins of iterations differ by this factor, so that a curve of thousands of iterations has some dozens of points.
const GROWTH: f64 = 1.2;

/// A workload's curves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// The workload.
    pub workload: String,
    /// The baseline's steady time in seconds: 1 on the curves' axis.
    pub steady_s: f64,
    /// The baseline's curve, then those of the tiers with a JIT, in the manifest's order.
    pub tiers: Vec<Curve>,
}

/// One tier's curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The tier.
    pub tier: String,
    /// How many processes it is the median of.
    pub processes: usize,
    /// From the first iteration on. A curve ends where fewer than half of the processes have an iteration.
    pub points: Vec<Point>,
}

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The first iteration of its bin, from 1.
    pub iteration: u64,
    /// The time of an iteration over the baseline's steady time: the median over the bin of each process, then over the
    /// processes.
    pub ratio: f64,
}

/// The curves of every workload on which the baseline has a time. The tiers shown are the baseline and those with a JIT: the
/// others have nothing to warm up.
pub fn curves(data: &RunData) -> Vec<Curves> {
    let m = &data.manifest;
    let of = |workload: &str| {
        let base = data.cell(&m.baseline, workload);
        let logs: Vec<f64> = base.processes.values().map(|p| p.log_time).collect();
        if logs.is_empty() {
            return None;
        }
        let steady_s = mean(&logs).exp();
        let shown = m.tiers.iter().filter(|t| t.name == m.baseline).chain(m.tiers.iter().filter(|t| t.needs_proof));
        let curve = |name: &str| {
            let cell = data.cell(name, workload);
            let points = points(&cell.processes.values().collect::<Vec<_>>(), steady_s);
            Curve { tier: name.to_owned(), processes: cell.processes.len(), points }
        };
        let tiers = shown.map(|t| curve(&t.name)).filter(|c| !c.points.is_empty()).collect();
        Some(Curves { workload: workload.to_owned(), steady_s, tiers })
    };
    m.workloads.iter().filter_map(|w| of(&w.name)).collect()
}

fn points(processes: &[&Process], steady_s: f64) -> Vec<Point> {
    let mut bins: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for process in processes {
        let mut own: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        let mut done = 0;
        for (count, seconds) in process.run.iterations() {
            own.entry(bin(done + 1)).or_default().push(seconds);
            done += count;
        }
        for (start, times) in own {
            bins.entry(start).or_default().push(median(&times));
        }
    }
    bins.into_iter()
        .take_while(|(_, times)| times.len() * 2 >= processes.len())
        .map(|(iteration, times)| Point { iteration, ratio: median(&times) / steady_s })
        .collect()
}

/// The first iteration of the bin that an iteration is in.
fn bin(iteration: u64) -> u64 {
    let mut start = 1;
    loop {
        let next = ((start as f64 * GROWTH).floor() as u64).max(start + 1);
        if iteration < next {
            return start;
        }
        start = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyperf::Run;

    fn process(first: f64, iterations: usize) -> Process {
        let mut values = vec![1.0; iterations];
        values[0] = first;
        Process::new(Run { values, ..Run::default() }, true)
    }

    #[test]
    fn first_iterations_stand_alone_and_later_ones_share_bins() {
        assert_eq!((1..=8).map(bin).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bin(11), bin(10));
        assert!(bin(1000) > 800);
    }

    #[test]
    fn a_curve_is_the_median_of_its_processes_and_ends_with_their_majority() {
        let processes = [process(6.0, 20), process(2.0, 20), process(4.0, 400)];
        let all: Vec<&Process> = processes.iter().collect();
        let points = points(&all, 2.0);
        assert_eq!(points[0], Point { iteration: 1, ratio: 2.0 });
        assert!(points[1..].iter().all(|p| (p.ratio - 0.5).abs() < 1e-12));
        assert!(points.last().is_some_and(|p| p.iteration <= 20), "only one process went on");
    }
}
