//! One process: which of its values count, and when it was warmed up.

use crate::model::meta;
use crate::pyperf::Run;
use crate::stats::mean;
use crate::stats::warmup::{Class, Steadiness, classify};

/// So many iterations without a compilation at the end make a JIT quiet.
const QUIET: usize = 3;

/// One process with usable values.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Mean of the logarithms of its steady values.
    pub log_time: f64,
    /// How many of its first values were not steady yet and don't count.
    pub skipped: usize,
    /// Its warm-up, where it ran long enough to tell.
    pub steadiness: Option<Steadiness>,
    /// The run as it was written.
    pub run: Run,
}

impl Process {
    /// From a run with at least one value.
    ///
    /// What a JIT does before it is steady is told by the warm-up's own figures, so it is not held against its steady
    /// time as well. A cut takes a witness: in a process with a JIT, a change point *and*, where the JIT counts what it
    /// compiles, a compilation while values were taken. Change points alone would also follow the neighbours' load, and
    /// cut one side of a pair where the other isn't. A process that was steady too late to tell, or was still compiling at
    /// the end, has no steady state, and all its values count.
    pub fn new(run: Run, has_jit: bool) -> Self {
        let iterations: Vec<f64> = run.iterations().iter().map(|i| i.1).collect();
        let mut steadiness = classify(&iterations);
        let before_values = iterations.len() - run.values.len();
        let compiled = compiled_while_timed(&run);
        let mut skipped = 0;
        if let Some(steady) = steadiness.as_mut().filter(|_| has_jit) {
            if is_loud(&run) {
                steady.class = Class::NoSteadyState;
                steady.steady_from = None;
            } else if compiled.is_none_or(|count| count > 0.0) {
                skipped = steady.steady_from.unwrap_or(0).saturating_sub(before_values);
            }
        }
        let logs: Vec<f64> = run.values[skipped..].iter().map(|v| v.ln()).collect();
        Self { log_time: mean(&logs), skipped, steadiness, run }
    }

    /// Whether the process proved that its JIT was at work.
    pub fn jit_active(&self) -> bool {
        self.run.number(meta::JIT_ACTIVE) == Some(1.0)
    }

    /// Seconds of iterations until the steady state.
    pub fn time_to_steady(&self) -> Option<f64> {
        let from = self.steadiness.as_ref()?.steady_from?;
        Some(self.run.iterations().iter().take(from).map(|(count, seconds)| *count as f64 * seconds).sum())
    }
}

/// Functions and loops compiled while values were taken, where the JIT counts them.
fn compiled_while_timed(run: &Run) -> Option<f64> {
    let known: Vec<f64> = meta::TIMED_COMPILES.iter().filter_map(|key| run.number(key)).collect();
    (!known.is_empty()).then(|| known.iter().sum())
}

/// Whether the JIT compiled something in the last iterations, and so was not done.
fn is_loud(run: &Run) -> bool {
    let last = run.number(meta::TIMED_LAST_COMPILE).unwrap_or(0.0);
    last > 0.0 && last + QUIET as f64 > run.values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyperf::MetaValue;

    fn run(slow: usize, compiled: Option<(i64, i64)>) -> Run {
        // A little spread, as every clock has.
        let value = |i: usize| if i < slow { 2.0 } else { 1.0 } + 0.001 * (i % 3) as f64;
        let mut run = Run { warmups: vec![(1, 2.0); 10], values: (0..20).map(value).collect(), ..Run::default() };
        if let Some((count, last)) = compiled {
            run.metadata.insert(meta::TIMED_COMPILES[0].to_owned(), MetaValue::Int(count));
            run.metadata.insert(meta::TIMED_LAST_COMPILE.to_owned(), MetaValue::Int(last));
        }
        run
    }

    #[test]
    fn what_a_jit_takes_to_warm_up_is_not_in_its_steady_time() {
        let process = Process::new(run(5, Some((1, 5))), true);
        assert_eq!(process.skipped, 5);
        assert!(process.log_time < 0.01);
        assert_eq!(process.steadiness.as_ref().map(|s| s.class), Some(Class::Warmup));
        assert!(process.time_to_steady().is_some_and(|s| (s - 30.0).abs() < 0.1));
    }

    #[test]
    fn nothing_is_cut_without_a_witness() {
        assert_eq!(Process::new(run(5, Some((0, 0))), true).skipped, 0, "the JIT compiled nothing: it was the machine");
        assert_eq!(Process::new(run(5, None), false).skipped, 0, "an interpreter has nothing to warm up");
        assert_eq!(Process::new(run(5, None), true).skipped, 5, "a JIT without counters");
    }

    #[test]
    fn a_late_or_unfinished_warm_up_is_no_steady_state_and_all_values_count() {
        for late in [run(14, Some((1, 14))), run(5, Some((3, 19)))] {
            let process = Process::new(late, true);
            assert_eq!(process.skipped, 0);
            assert_eq!(process.steadiness.as_ref().map(|s| s.class), Some(Class::NoSteadyState));
            assert_eq!(process.time_to_steady(), None);
        }
    }

    #[test]
    fn few_iterations_are_taken_as_they_are() {
        let short = Run { values: vec![2.0, 1.0], ..Run::default() };
        let process = Process::new(short, true);
        assert_eq!((process.skipped, process.steadiness), (0, None));
    }
}
