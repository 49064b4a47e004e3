//! Runs the processes of [`crate::examine`]: one at a time, pinned, in the environment of a timed one.

use std::fs;
use std::time::Duration;

use super::block::Context;
use super::environment::{Sites, Variables};
use super::process::{End, Running, wait_all};
use super::schedule::Block;
use super::{Interrupt, Options, RunError, choose_cpus, time_limit};
use crate::examine::{self, ExamineError, Record};
use crate::model::RunDir;
use crate::pyperf::Suite;
use crate::stats::mean;
use crate::store::{Seal, write_atomically};

/// Seconds that a process is to spend in its steady half.
const STEADY: f64 = 0.8;

/// Why coverage can't be looked at.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum CoverageError {
    #[error(transparent)]
    Examine(#[from] ExamineError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Looks at the coverage of every workload and tier of a run in so many rounds, as far as it hasn't been looked at; tells each before
/// it begins. Returns how many processes gave nothing.
///
/// # Errors
/// [`CoverageError`] if nothing can be looked at; a process that fails is in its record.
pub fn cover(
    dir: &RunDir,
    sites: &Sites,
    options: Options,
    rounds: u32,
    interrupt: &Interrupt,
    told: &mut dyn FnMut(&str),
) -> Result<usize, CoverageError> {
    let manifest = dir.manifest().map_err(RunError::from)?;
    let left = examine::left(dir, &manifest, rounds).map_err(ExamineError::from)?;
    if left.is_empty() {
        return Ok(0);
    }
    let sampler = examine::sampler()?;
    let scratch = super::scratch()?;
    let timeout = options.timeout.unwrap_or_else(|| time_limit(&manifest) + Duration::from_mins(2));
    let context = Context::new(&manifest, sites, scratch.path(), timeout, interrupt);
    let cpu = choose_cpus(1)[0];
    Seal::remove(dir).map_err(RunError::from)?;
    let (total, mut failed) = (left.len(), 0);
    for (number, (round, workload, tier)) in left.into_iter().enumerate() {
        if interrupt.is_set() {
            break;
        }
        let (name, tier_name) = (&manifest.workloads[workload].name, &manifest.tiers[tier].name);
        told(&format!("[{}/{total}] coverage, round {round}: {name} on {tier_name}", number + 1));
        let Some(record) = one(dir, &context, workload, tier, round, &sampler, cpu)? else { break };
        failed += usize::from(record.failure.is_some());
        examine::add(&examine::file(dir, tier_name, name), round, record).map_err(ExamineError::from)?;
    }
    Seal::write(dir).map_err(RunError::from)?;
    Ok(failed)
}

/// One process; `None` after an interrupt.
fn one(
    dir: &RunDir,
    context: &Context<'_>,
    workload: usize,
    tier: usize,
    round: u32,
    sampler: &std::path::Path,
    cpu: u32,
) -> Result<Option<Record>, RunError> {
    let folder = context.new_folder();
    let own = Context::party_folder(&folder, tier);
    let extra = |of: usize| {
        let path = |name: &str| Context::party_folder(&folder, of).join(name).display().to_string();
        let variables = [
            ("LD_PRELOAD", sampler.display().to_string()),
            ("PEPJIT_PROFILE", path("profile")),
            ("PEPJIT_COVERAGE", path("coverage.json")),
        ];
        Variables::from(variables.map(|(name, value)| (name.to_owned(), value)))
    };
    let mut environments = context.environments(&folder, round, &extra);
    let counts = counts(dir, context, workload, tier)?;
    let task = context.task(&folder, workload, tier, counts, std::mem::take(&mut environments[tier]), cpu);
    let block = Block { round, workload, tiers: vec![tier], hash_seed: round };
    let failure = |message: String| Some(Record { failure: Some(message), ..Record::default() });
    let running = match Running::start(task) {
        Ok(running) => running,
        Err(error) => return Ok(failure(error.message)),
    };
    let mut running = [running];
    wait_all(&mut running, &|| context.interrupt.is_set(), &mut |_, _| {});
    if running[0].poll(false) == Some(End::Interrupted) {
        return Ok(None);
    }
    let finished = context.finish(&running[0], &block, tier, 0);
    let record = if let Err(error) = finished.outcome {
        failure(error.message)
    } else {
        let text = fs::read_to_string(own.join("coverage.json")).unwrap_or_else(|_| "{}".to_owned());
        let samples = fs::read_to_string(own.join(format!("profile.{}", running[0].id()))).unwrap_or_default();
        match serde_json::from_str::<Record>(&text) {
            Ok(told) => Some(Record { samples: examine::steady(&samples), ..told }),
            Err(error) => failure(format!("what the worker told of its coverage isn't in order: {error}")),
        }
    };
    let _ = fs::remove_dir_all(&folder);
    Ok(record)
}

/// Loops, warm-ups and values: as many values as fill the steady half at the tier's own speed, and as much before them.
fn counts(dir: &RunDir, context: &Context<'_>, workload: usize, tier: usize) -> Result<(u64, u32, u32), RunError> {
    let record = &context.manifest.workloads[workload];
    let own = dir.raw_file(&context.manifest.tiers[tier].name, &record.name);
    let path = if own.exists() { own } else { dir.raw_file(&context.manifest.baseline, &record.name) };
    let runs = Suite::load(&path)?.benchmarks.swap_remove(0).runs;
    let seconds = mean(&runs.iter().flat_map(|run| run.values.iter().copied()).collect::<Vec<_>>());
    let loops = record.loops.max(1);
    let values = (STEADY / (seconds * loops as f64)).ceil().clamp(2.0, 10_000.0) as u32;
    Ok((loops, values, values))
}

/// Notes how many rounds of coverage a run is to have, so that a resumed one goes on with them.
///
/// # Errors
/// [`RunError`] if it can't be written.
pub fn plan_coverage(dir: &RunDir, rounds: u32) -> Result<(), RunError> {
    let path = dir.root().join("coverage").join("rounds");
    write_atomically(&path, format!("{rounds}\n").as_bytes())
        .map_err(|source| crate::store::StoreError::Write { path, source }.into())
}

/// The rounds of coverage that a run is to have.
pub fn planned_coverage(dir: &RunDir) -> u32 {
    let text = fs::read_to_string(dir.root().join("coverage").join("rounds")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}
