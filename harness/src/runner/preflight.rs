//! Starts each tier once before anything is measured: a JIT that doesn't load is better known now than in an hour.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::environment::{self, Sites};
use super::process::{Running, Task, wait_all};
use super::{Interrupt, RunError, choose_cpus};
use crate::model::TierRecord;
use crate::tiers::TierKind;

/// How long a start may take.
const LIMIT: Duration = Duration::from_mins(1);

const SCRIPT: &str = include_str!("preflight.py");

/// Why a tier isn't what its name says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// Its interpreter doesn't start, or says nothing that makes sense.
    #[error("tier {tier} does not start: {cause}")]
    Start {
        /// The tier.
        tier: String,
        /// What happened.
        cause: String,
    },
    /// It starts, but the JIT isn't as it should be.
    #[error("tier {tier} is not what it should be: {cause}")]
    Proof {
        /// The tier.
        tier: String,
        /// Cause and cure.
        cause: String,
    },
    /// No place for the processes' files.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What a process says of itself.
#[derive(Debug, Deserialize)]
struct State {
    loaded: bool,
    enabled: bool,
    own_jit: bool,
}

/// Starts every tier and checks that exactly the JIT is at work that should be.
///
/// # Errors
/// [`PreflightError`] for the first tier that isn't as it should be. After an interrupt the rest isn't looked at.
pub fn preflight(tiers: &[TierRecord], sites: &Sites, interrupt: &Interrupt) -> Result<(), PreflightError> {
    let scratch = super::scratch()?;
    for (index, tier) in tiers.iter().enumerate() {
        if interrupt.is_set() {
            break;
        }
        check(tier, index, sites, scratch.path(), interrupt)?;
    }
    Ok(())
}

fn check(tier: &TierRecord, index: usize, sites: &Sites, scratch: &Path, interrupt: &Interrupt) -> Result<(), PreflightError> {
    let start = |cause: String| PreflightError::Start { tier: tier.name.clone(), cause };
    let mut env = environment::common(&sites.of(index), &tier.python_path, 0);
    env.extend(tier.env.clone());
    let folder = scratch.join(format!("p{index:02}"));
    let args = tier.args.iter().cloned().chain(["-c".to_owned(), SCRIPT.to_owned()]).collect();
    let task =
        Task { program: tier.interpreter.clone(), args, env, folder: folder.clone(), cpu: choose_cpus(1)[0], limit: LIMIT };
    let mut running = [Running::start(task).map_err(|failure| start(failure.message))?];
    wait_all(&mut running, &|| interrupt.is_set(), &mut |_, _| {});
    if interrupt.is_set() {
        return Ok(());
    }
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let (printed, complained) = (read("stdout"), read("stderr"));
    let state: Option<State> = printed.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let Some(state) = state else {
        let said = complained.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
        return Err(start(said.to_owned()));
    };
    judge(TierKind::of(tier), &state, complained.trim()).map_err(|cause| PreflightError::Proof { tier: tier.name.clone(), cause })
}

/// Compares what a process says with what its tier should be.
fn judge(kind: TierKind, state: &State, complained: &str) -> Result<(), String> {
    let why = if complained.is_empty() { String::new() } else { format!(". It said: {complained}") };
    match kind {
        TierKind::Interpreter if state.loaded => {
            Err("pepjit is loaded in the plain interpreter: remove its .pth file from this interpreter's site-packages"
                .to_owned())
        }
        TierKind::Interpreter if state.own_jit => {
            Err("CPython's own JIT is on although PYTHON_JIT=0: use another build".to_owned())
        }
        TierKind::Pepjit | TierKind::PepjitIdle if !state.loaded => Err(format!("pepjit was not loaded{why}")),
        TierKind::Pepjit | TierKind::PepjitIdle if !state.enabled => Err(format!("pepjit is loaded but not enabled{why}")),
        TierKind::CpythonJit if !state.own_jit => {
            Err(format!("CPython's own JIT is off although PYTHON_JIT=1: use a build with --enable-experimental-jit{why}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tier_must_be_what_it_says() {
        let state = |loaded, enabled, own_jit| State { loaded, enabled, own_jit };
        let plain = state(false, false, false);
        assert!(judge(TierKind::Interpreter, &plain, "").is_ok());
        assert!(judge(TierKind::Interpreter, &state(true, false, false), "").is_err());
        assert!(judge(TierKind::Interpreter, &state(false, false, true), "").is_err());
        assert!(judge(TierKind::Pepjit, &state(true, true, false), "").is_ok());
        let refused = judge(TierKind::Pepjit, &plain, "pepjit: layout mismatch").unwrap_err();
        assert!(refused.contains("pepjit: layout mismatch"), "{refused}");
        assert!(judge(TierKind::PepjitIdle, &state(true, false, false), "").is_err());
        assert!(judge(TierKind::CpythonJit, &state(false, false, true), "").is_ok());
        assert!(judge(TierKind::CpythonJit, &plain, "").is_err());
    }
}
