//! The interleaved design: one process at a time, the tiers of a block one after the other in shuffled order.
//!
//! Two processes that follow each other see nearly the same machine, so drift cancels in the pair's ratio.

use std::time::Duration;

use super::block::{Context, Finished};
use super::process::{End, Observation, Running, wait_all};
use super::schedule::Block;
use crate::model::{FailureKind, Manifest};
use crate::pyperf::Run;

use super::environment::Variables;
use super::process::Failure;

/// How long one value is to last at least, in seconds: long against the timer and the scheduler.
const MIN_VALUE_SECONDS: f64 = 0.05;

/// More loops than this for one value means that the workload does nothing.
const MAX_LOOPS: u64 = 1 << 24;

/// Values longer than this are long: fewer of them say as much.
const LONG_VALUE_SECONDS: f64 = 0.5;

/// So many warm-ups and values a workload with long values takes.
const OF_LONG: (u32, u32) = (2, 3);

/// Seconds that a process of pyperf's takes beside its iterations.
const START: f64 = 0.3;

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
        let (warmups, values) = design.counts(&context.manifest.workloads[block.workload]);
        let counts = (loops, warmups, values);
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
        if let Err(failure) = check_count(&done.outcome, values) {
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
    /// What was found.
    Found(Found),
    /// The workload doesn't run on the baseline.
    Failed(Finished),
    /// The user interrupted it.
    Interrupted,
}

/// What a calibration finds.
pub(super) struct Found {
    /// So many loops make a value long enough.
    pub(super) loops: u64,
    /// Seconds of such a value.
    pub(super) value_s: f64,
    /// What the script calls the benchmark.
    pub(super) name: Option<String>,
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
        // What lasts long enough in its first iteration need not be run again for that.
        let counts = if loops == 1 { (1, 0, 1) } else { (loops, 1, 2) };
        let task = context.task(&folder, workload, baseline, counts, env, cpu);
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
        let each = seconds_per_loop(run);
        let wanted = loops_for(each);
        let name = run.metadata.get("name").and_then(crate::pyperf::MetaValue::as_str).map(str::to_owned);
        let found = |loops| Calibration::Found(Found { loops, value_s: each * loops as f64, name: name.clone() });
        if wanted <= loops {
            return found(loops);
        }
        // A first guess from a few loops can be far off where an iteration is short: measure again.
        if loops > 1 && wanted <= loops * 4 || wanted == MAX_LOOPS {
            return found(wanted);
        }
        loops = wanted;
    }
}

/// How long blocks take one after the other, by what was seen while calibrating; `None` if that wasn't seen of all.
pub(super) fn duration(manifest: &Manifest, blocks: &[Block]) -> Option<Duration> {
    let block = |block: &Block| {
        let workload = &manifest.workloads[block.workload];
        let (warmups, values) = manifest.design.counts(workload);
        Some((START + f64::from(warmups + values) * workload.value_s?) * block.tiers.len() as f64)
    };
    blocks.iter().map(block).sum::<Option<f64>>().map(Duration::from_secs_f64)
}

/// Warm-ups and values of a workload whose values last so long, where the design asks for `warmup` seconds of warm-up.
pub(super) fn iterations(warmup: f64, value: f64, design: (u32, u32)) -> (u32, u32) {
    if value > LONG_VALUE_SECONDS {
        return (OF_LONG.0, design.1.min(OF_LONG.1));
    }
    let warmups = (warmup / value.max(MIN_VALUE_SECONDS / 4.0)).ceil() as u32;
    (warmups.max(design.0), design.1)
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
    fn warm_ups_last_as_long_as_is_asked_for_and_long_values_are_few() {
        assert_eq!(iterations(1.5, 0.06, (4, 5)), (25, 5));
        assert_eq!(iterations(1.5, 0.45, (4, 5)), (4, 5));
        assert_eq!(iterations(1.5, 2.8, (4, 5)), (2, 3));
        assert_eq!(iterations(1.5, 0.0, (4, 5)), (120, 5), "a value of no time doesn't warm up for ever");
    }

    #[test]
    fn a_worker_that_ignores_the_number_of_values_is_refused() {
        let run = Run { values: vec![1.0, 1.0], ..Run::default() };
        assert!(check_count(&Ok(run.clone()), 2).is_ok());
        assert_eq!(check_count(&Ok(run), 3).unwrap_err().kind, FailureKind::BadOutput);
    }
}
