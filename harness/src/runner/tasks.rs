//! Scripts that hold several benchmarks: `--worker-task=K` runs the K-th, and past the last one nothing.

use super::block::Finished;
use crate::model::{FailureKind, Manifest};

/// A benchmark of a script runs, under a name that the script gives it. If the script may hold more, the next one is put
/// behind it, to be tried. Where there is more than one, each is filed under the script's own name for it.
pub(super) fn found(manifest: &mut Manifest, workload: usize, called: Option<&str>) {
    let record = &mut manifest.workloads[workload];
    record.called = called.map(plain);
    if std::mem::take(&mut record.more_tasks) {
        let mut next = record.clone();
        next.task += 1;
        (next.loops, next.called, next.more_tasks) = (0, None, true);
        (next.value_s, next.warmups, next.values) = (None, None, None);
        let script = record.name.strip_suffix(&format!("_{}", record.task)).filter(|_| record.task > 0).unwrap_or(&record.name);
        next.name = format!("{}_{}", plain(script), next.task);
        let task = record.task;
        manifest.workloads.insert(workload + 1, next);
        if task > 0 {
            let first = if task == 1 { workload - 1 } else { workload };
            (first..=workload).for_each(|place| rename(manifest, place));
        }
    }
}

/// Whether a failure only says that the script has no further benchmark; its record is then gone.
pub(super) fn was_the_last(manifest: &mut Manifest, workload: usize, finished: &Finished) -> bool {
    let none = finished.outcome.as_ref().err().is_some_and(|failure| failure.kind == FailureKind::NoOutput);
    let last = manifest.workloads[workload].task > 0 && none;
    if last {
        manifest.workloads.remove(workload);
    }
    last
}

fn rename(manifest: &mut Manifest, workload: usize) {
    let Some(called) = manifest.workloads[workload].called.clone() else { return };
    if !called.is_empty() && manifest.workloads.iter().all(|other| other.name != called) {
        manifest.workloads[workload].name = called;
    }
}

/// A name that a file can have.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect()
}
