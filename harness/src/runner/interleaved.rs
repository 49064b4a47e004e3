//! The interleaved design: one process at a time, the tiers of a block one after the other in shuffled order.
//!
//! Two processes that follow each other see nearly the same machine, so drift cancels in the pair's ratio.

use super::block::{Context, Finished};
use super::process::{End, Observation, Running, wait_all};
use super::schedule::Block;
use crate::model::FailureKind;
use crate::pyperf::Run;

use super::environment::Variables;
use super::process::Failure;

/// How long one value is to last at least, in seconds: long against the timer and the scheduler.
const MIN_VALUE_SECONDS: f64 = 0.05;

/// More loops than this for one value means that the workload does nothing.
const MAX_LOOPS: u64 = 1 << 24;

/// Runs a block on `cpu` and hands each process to `finished` as it ends.
pub(super) fn run_block(context: &Context<'_>, block: &Block, cpu: u32, finished: &mut dyn FnMut(Finished)) {
    let design = &context.manifest.design;
    let folder = context.new_folder();
    let environments = context.environments(&folder, block.hash_seed, &|_| Variables::new());
    for (order, tier) in context.worthwhile(block).into_iter().enumerate() {
        if context.interrupt.is_set() {
            break;
        }
        let loops = context.manifest.workloads[block.workload].loops.max(1);
        let counts = (loops, design.warmups, design.values);
        let task = context.task(&folder, block.workload, tier, counts, environments[tier].clone(), cpu);
        let mut running = match Running::start(task) {
            Ok(running) => [running],
            Err(failure) => {
                finished(context.finished(block, tier, order, Observation::default(), Err(failure)));
                continue;
            }
        };
        wait_all(&mut running, &|| context.interrupt.is_set(), &mut |_, _| {});
        if running[0].poll(false) == Some(End::Interrupted) {
            break;
        }
        let mut done = context.finish(&running[0], block, tier, order);
        if let Err(failure) = check_count(&done.outcome, design.values) {
            done = context.finished(block, tier, order, running[0].record.clone(), Err(failure));
        }
        finished(done);
    }
    let _ = std::fs::remove_dir_all(&folder);
}

/// A worker that gives other than the number of values asked for would give its tier another design.
fn check_count(outcome: &Result<Run, Failure>, values: u32) -> Result<(), Failure> {
    match outcome {
        Ok(run) if run.values.len() != values as usize => Err(Failure::new(
            FailureKind::BadOutput,
            format!("{} values where {values} were asked for: the worker ignores --values", run.values.len()),
        )),
        _ => Ok(()),
    }
}

/// How a calibration ended.
pub(super) enum Calibration {
    /// So many loops make a value long enough; and what the script calls the benchmark.
    Loops(u64, Option<String>),
    /// The workload doesn't run on the baseline.
    Failed(Finished),
    /// The user interrupted it.
    Interrupted,
}

/// Finds the loops of one value, on the baseline: a power of two, so that small changes of speed between
/// calibrations leave it alone.
pub(super) fn calibrate(context: &Context<'_>, workload: usize, cpu: u32) -> Calibration {
    let baseline = context.baseline();
    let block = Block { round: 1, workload, tiers: vec![baseline], hash_seed: 0 };
    let mut loops = 1;
    loop {
        let folder = context.new_folder();
        let mut environments = context.environments(&folder, block.hash_seed, &|_| Variables::new());
        let env = std::mem::take(&mut environments[baseline]);
        let task = context.task(&folder, workload, baseline, (loops, 1, 2), env, cpu);
        let mut running = match Running::start(task) {
            Ok(running) => [running],
            Err(failure) => {
                let finished = context.finished(&block, baseline, 0, Observation::default(), Err(failure));
                return Calibration::Failed(finished);
            }
        };
        wait_all(&mut running, &|| context.interrupt.is_set(), &mut |_, _| {});
        if running[0].poll(false) == Some(End::Interrupted) {
            return Calibration::Interrupted;
        }
        let finished = context.finish(&running[0], &block, baseline, 0);
        let _ = std::fs::remove_dir_all(&folder);
        let Ok(run) = &finished.outcome else { return Calibration::Failed(finished) };
        let wanted = loops_for(seconds_per_loop(run));
        let name = run.metadata.get("name").and_then(crate::pyperf::MetaValue::as_str).map(str::to_owned);
        if wanted <= loops {
            return Calibration::Loops(loops, name);
        }
        // A first guess from a few loops can be far off where an iteration is short: measure again.
        if wanted <= loops * 4 || wanted == MAX_LOOPS {
            return Calibration::Loops(wanted, name);
        }
        loops = wanted;
    }
}

/// The fastest of a run's values, in seconds per loop: pyperf's values are per *inner* loop, of which a script may do hundreds in each.
fn seconds_per_loop(run: &Run) -> f64 {
    let inner_loops = run.number("inner_loops").unwrap_or(1.0).max(1.0);
    run.values.iter().copied().fold(f64::INFINITY, f64::min) * inner_loops
}

/// The power of two of loops that makes a value of `seconds` per loop last long enough.
fn loops_for(seconds: f64) -> u64 {
    let wanted = (MIN_VALUE_SECONDS / seconds).ceil();
    if wanted.is_finite() { (wanted.max(1.0) as u64).min(MAX_LOOPS).next_power_of_two() } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_make_a_value_long_enough_and_are_powers_of_two() {
        assert_eq!(loops_for(1.0), 1);
        assert_eq!(loops_for(0.05), 1);
        assert_eq!(loops_for(0.03), 2);
        assert_eq!(loops_for(0.011), 8);
        assert_eq!(loops_for(1e-12), MAX_LOOPS);
        assert_eq!(loops_for(0.0), 1);
    }

    #[test]
    fn inner_loops_count_as_part_of_a_loop() {
        let mut run = Run { values: vec![3e-6, 2e-6], ..Run::default() };
        assert!((seconds_per_loop(&run) - 2e-6).abs() < 1e-12);
        run.metadata.insert("inner_loops".to_owned(), 400_i64.into());
        assert!((seconds_per_loop(&run) - 8e-4).abs() < 1e-12);
        assert_eq!(loops_for(seconds_per_loop(&run)), 64);
    }

    #[test]
    fn a_worker_that_ignores_the_number_of_values_is_refused() {
        let run = Run { values: vec![1.0, 1.0], ..Run::default() };
        assert!(check_count(&Ok(run.clone()), 2).is_ok());
        assert_eq!(check_count(&Ok(run), 3).unwrap_err().kind, FailureKind::BadOutput);
    }
}
