//! The co-scheduled design: all tiers of a block at once on one processor, released by a barrier, timed by thread
//! CPU time over one common window.
//!
//! What a busy neighbour takes from the processor it takes from all tiers alike, so it cancels in their ratio.
//! The meeting place is a folder; `benchmarks/workloads/pepjit_worker.py` is its other side.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::block::{Context, Finished};
use super::environment::Variables;
use super::process::{End, Observation, Running, wait_all};
use super::schedule::Block;
use crate::model::{Design, Manifest};

/// How long a block's workers warm up, as a share of the window: three times as long as they are timed. A JIT with two stages
/// compiles the second time after tens of iterations, and one that spares young processes waits with what is less urgent; with
/// less, some processes are timed before that and some after.
const WARMUP_SHARE: f64 = 3.0;

/// The common window of a block of this design, in seconds.
fn window(design: &Design) -> f64 {
    design.window_s.unwrap_or(1.0)
}

/// How long a block takes at most when nothing hangs: starts, a warm-up that a busy JIT may stretch to three times
/// its length, the window, and a last iteration of each party.
pub(super) fn longest_block(design: &Design) -> Duration {
    Duration::from_secs_f64(window(design) * (1.0 + 3.0 * WARMUP_SHARE))
}

/// How long a block usually takes.
pub(super) fn usual_block(design: &Design, parties: usize) -> Duration {
    // Start, imports and the checked first iteration of each party, the iterations that it ends with or waits in, and what it says
    // of itself, all on one processor: measured.
    let start = 0.28 * parties as f64;
    Duration::from_secs_f64(window(design) * (1.0 + WARMUP_SHARE) + start)
}

/// Runs a block on `cpu` and hands its processes to `finished` once all have ended.
///
/// When a tier fails, the block is run again without it: what the others do is not lost with it.
pub(super) fn run_block(context: &Context<'_>, block: &Block, cpu: u32, finished: &mut dyn FnMut(Finished)) {
    let mut tiers = context.worthwhile(block);
    while tiers.len() > 1 && tiers.contains(&context.baseline()) {
        let Some(results) = attempt(context, block, &tiers, cpu) else { return };
        let at_fault: Vec<usize> = results.iter().filter(|done| done.outcome.is_err()).map(|done| done.tier).collect();
        if at_fault.is_empty() {
            results.into_iter().for_each(&mut *finished);
            return;
        }
        results.into_iter().filter(|done| done.outcome.is_err()).for_each(&mut *finished);
        tiers.retain(|tier| !at_fault.contains(tier));
    }
}

/// Runs the tiers together once. Of a failed attempt only the tiers at fault are returned; none after an interrupt.
fn attempt(context: &Context<'_>, block: &Block, tiers: &[usize], cpu: u32) -> Option<Vec<Finished>> {
    let folder = context.new_folder();
    let barrier = folder.join("barrier");
    let design = &context.manifest.design;
    let plan = |tier: usize| {
        let plan = serde_json::json!({
            "barrier": barrier, "id": party(context.manifest, tier), "parties": tiers.len(),
            "warmup": window(design) * WARMUP_SHARE, "window": window(design), "blocks": 1,
        });
        BTreeMap::from([("PEPJIT_COSCHEDULE".to_owned(), plan.to_string())])
    };
    let environments: Vec<Variables> = context.environments(&folder, block.hash_seed, &plan);
    if let Err(error) = fs::create_dir_all(&barrier) {
        let failure = super::process::Failure::new(
            crate::model::FailureKind::Spawn,
            format!("{} cannot be made: {error}", barrier.display()),
        );
        let fail =
            |(order, tier): (usize, &usize)| context.finished(block, *tier, order, Observation::default(), Err(failure.clone()));
        return Some(tiers.iter().enumerate().map(fail).collect());
    }
    let mut running = Vec::new();
    for (order, tier) in tiers.iter().enumerate() {
        let counts = (1, design.warmups, design.values);
        let task = context.task(&folder, block.workload, *tier, counts, environments[*tier].clone(), cpu);
        match Running::start(task) {
            Ok(process) => running.push(process),
            Err(failure) => {
                return Some(vec![context.finished(block, *tier, order, Observation::default(), Err(failure))]);
            }
        }
    }
    let mut ends = vec![End::Interrupted; tiers.len()];
    let mut stages = vec![0; tiers.len()];
    wait_all(&mut running, &|| context.interrupt.is_set(), &mut |place, process| {
        let end = process.poll(false).unwrap_or(End::Interrupted);
        ends[place] = end;
        let id = party(context.manifest, tiers[place]);
        stages[place] = stage(&barrier, &id);
        if !matches!(end, End::Exited(status) if status.success()) {
            // The others stop waiting as soon as they see this.
            let _ = fs::write(barrier.join(format!("failed.{id}")), "its process ended\n");
        }
    });
    if ends.contains(&End::Interrupted) {
        return None;
    }
    let gave_up: Vec<bool> = running.iter().map(Running::gave_up_for_others).collect();
    let at_fault = at_fault(&ends, &stages, &gave_up);
    let results = running
        .iter()
        .enumerate()
        .map(|(order, process)| (order, process, tiers[order]))
        .filter(|(order, ..)| at_fault.is_empty() || at_fault.contains(order))
        .map(|(order, process, tier)| context.finish(process, block, tier, order))
        .collect();
    let _ = fs::remove_dir_all(&folder);
    Some(results)
}

/// A tier's name as the worker writes it into file names.
fn party(manifest: &Manifest, tier: usize) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() || "-_".contains(letter) { letter } else { '_' };
    manifest.tiers[tier].name.chars().map(plain).collect()
}

/// How far a party came: the announcements it left at the meeting place.
fn stage(barrier: &Path, party: &str) -> usize {
    let announced = |kind: &str| barrier.join(format!("{kind}.0.{party}")).exists();
    usize::from(announced("ready")) + usize::from(announced("done"))
}

/// The places of the parties that made a block fail; those that only waited for them in vain are left out.
fn at_fault(ends: &[End], stages: &[usize], gave_up: &[bool]) -> Vec<usize> {
    let failed = |place: &usize| !matches!(ends[*place], End::Exited(status) if status.success());
    let all: Vec<usize> = (0..ends.len()).filter(failed).collect();
    // Who crashed or raised is at fault, whatever became of the others.
    let crashed: Vec<usize> =
        all.iter().copied().filter(|place| matches!(ends[*place], End::Exited(_)) && !gave_up[*place]).collect();
    if !crashed.is_empty() {
        return crashed;
    }
    // Else somebody hung: those that came the least far.
    let least = all.iter().map(|place| stages[*place]).min().unwrap_or(0);
    all.into_iter().filter(|place| stages[*place] == least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    const WELL: i32 = 0;

    fn exited(code: i32) -> End {
        End::Exited(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn who_crashed_is_at_fault_and_who_waited_is_not() {
        let ends = [exited(4), End::Exited(ExitStatus::from_raw(11)), exited(4)];
        assert_eq!(at_fault(&ends, &[1, 0, 1], &[true, false, true]), [1]);
        let ends = [exited(WELL), exited(WELL)];
        assert!(at_fault(&ends, &[2, 2], &[false, false]).is_empty());
    }

    #[test]
    fn who_hung_is_the_one_that_came_the_least_far() {
        let hung = [End::TimedOut, End::TimedOut, End::TimedOut];
        assert_eq!(at_fault(&hung, &[2, 1, 2], &[false; 3]), [1], "it never finished its window");
        assert_eq!(at_fault(&hung, &[1, 1, 0], &[false; 3]), [2], "it never arrived");
        let waited = [exited(4), End::TimedOut];
        assert_eq!(at_fault(&waited, &[1, 0], &[true, false]), [1]);
    }

    #[test]
    fn when_no_other_is_at_fault_who_gave_up_is() {
        assert_eq!(at_fault(&[exited(4), exited(WELL)], &[1, 2], &[true, false]), [0]);
    }
}
