//! One run against another: two measurements of the same tiers, made at different times.
//!
//! What is compared are speed-ups, not times: each run has its own baseline, measured beside its tiers, so that a slower
//! hour or another machine of the same kind cancels. The rounds of two runs are no pairs; the interval is Welch's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Analysis, Options, Verdict};
use crate::stats::compare::Unpaired;
use crate::stats::multiple;
use crate::stats::paired::Paired;
use crate::store::write_atomically;

/// The version of a baseline file.
pub const BASELINE_VERSION: u32 = 1;

/// Why a baseline can't be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum BaselineError {
    #[error("cannot read the baseline {path}: {source}. Make one of a good run: cargo xtask gate RUN --write-baseline {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error(
        "the baseline {path} is damaged: {message}. Restore it, or make it again: cargo xtask gate RUN --write-baseline {path}"
    )]
    Damaged { path: PathBuf, message: String },
    #[error(
        "the baseline {path} has version {found}, and this tool reads {BASELINE_VERSION}. Make it again with --write-baseline"
    )]
    Version { path: PathBuf, found: u64 },
    #[error("cannot write {path}: {source}. Check permissions and free space")]
    Write { path: PathBuf, source: std::io::Error },
}

/// What a run says, small enough to be committed: the speed-ups of its tiers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// [`BASELINE_VERSION`].
    pub schema_version: u32,
    /// The run.
    pub run_id: String,
    /// When it began.
    pub created: String,
    /// The commit that was measured.
    pub commit: Option<String>,
    /// Target triple.
    pub platform: String,
    /// The processor.
    pub cpu_model: String,
    /// Version of the baseline's interpreter.
    pub python: String,
    /// The tiers by name.
    pub tiers: BTreeMap<String, TierBaseline>,
}

/// A tier's log speed-ups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierBaseline {
    /// Over the suite.
    pub suite: Option<Paired>,
    /// By workload.
    pub workloads: BTreeMap<String, Paired>,
}

impl Baseline {
    /// Of a run.
    pub fn of(analysis: &Analysis) -> Self {
        let m = &analysis.manifest;
        let tier = |t: &super::TierResult| TierBaseline {
            suite: t.suite.as_ref().map(super::Estimate::paired),
            workloads: t.workloads.iter().filter_map(|w| Some((w.name.clone(), w.speedup.as_ref()?.paired()))).collect(),
        };
        Self {
            schema_version: BASELINE_VERSION,
            run_id: m.run_id.clone(),
            created: m.created.clone(),
            commit: m.commit.clone(),
            platform: m.platform.clone(),
            cpu_model: m.host.cpu_model.clone(),
            python: m.tier(&m.baseline).map(|t| t.version.clone()).unwrap_or_default(),
            tiers: analysis.tiers.iter().filter(|t| !t.control).map(|t| (t.tier.clone(), tier(t))).collect(),
        }
    }

    /// Reads a committed one.
    pub fn load(path: &Path) -> Result<Self, BaselineError> {
        let text = std::fs::read_to_string(path).map_err(|source| BaselineError::Read { path: path.to_owned(), source })?;
        let damaged = |e: serde_json::Error| BaselineError::Damaged { path: path.to_owned(), message: e.to_string() };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
        let found = value.get("schema_version").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if found != u64::from(BASELINE_VERSION) {
            return Err(BaselineError::Version { path: path.to_owned(), found });
        }
        serde_json::from_value(value).map_err(damaged)
    }

    /// Writes it.
    pub fn save(&self, path: &Path) -> Result<(), BaselineError> {
        let damaged = |e: serde_json::Error| BaselineError::Damaged { path: path.to_owned(), message: e.to_string() };
        let text = serde_json::to_string_pretty(self).map_err(damaged)? + "\n";
        write_atomically(path, text.as_bytes()).map_err(|source| BaselineError::Write { path: path.to_owned(), source })
    }

    /// What makes a comparison with another run doubtful: each a sentence.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let pairs = [
            ("platform", &self.platform, &other.platform),
            ("processor", &self.cpu_model, &other.cpu_model),
            ("Python", &self.python, &other.python),
        ];
        pairs.into_iter().filter(|(_, a, b)| a != b).map(|(what, a, b)| format!("another {what}: {a} before, {b} now")).collect()
    }
}

/// A figure of two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The workload; `None` for the suite.
    pub workload: Option<String>,
    /// Speed-up before.
    pub before: Option<f64>,
    /// Speed-up now.
    pub now: Option<f64>,
    /// Now over before, in logarithms; `None` where one side has no interval.
    pub difference: Option<Unpaired>,
    /// Its interval as ratios.
    pub ci: Option<(f64, f64)>,
    /// p value of no change, adjusted over the tier's workloads after Benjamini and Hochberg; unadjusted for the suite.
    pub q: Option<f64>,
    /// What the two runs show.
    pub verdict: Verdict,
}

/// A tier of two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierChange {
    /// The tier.
    pub tier: String,
    /// Its suite's geometric mean. Of two suites that differ it says nothing, and has no difference.
    pub suite: Change,
    /// The workloads that both runs have.
    pub workloads: Vec<Change>,
    /// Workloads that only the first run has.
    pub gone: Vec<String>,
    /// Workloads that only the second run has.
    pub new: Vec<String>,
}

/// Compares the tiers that both runs have.
pub fn compare(before: &Baseline, now: &Baseline, options: Options) -> Vec<TierChange> {
    let both = before.tiers.iter().filter_map(|(name, tier)| Some((name, tier, now.tiers.get(name)?)));
    both.map(|(name, a, b)| tier(name, a, b, options)).collect()
}

fn tier(name: &str, before: &TierBaseline, now: &TierBaseline, options: Options) -> TierChange {
    let names = |t: &TierBaseline| t.workloads.keys().cloned().collect::<BTreeSet<_>>();
    let (had, has) = (names(before), names(now));
    let mut workloads: Vec<Change> =
        had.intersection(&has).map(|w| change(Some(w), before.workloads.get(w), now.workloads.get(w))).collect();
    let tested: Vec<usize> = (0..workloads.len()).filter(|i| workloads[*i].difference.is_some()).collect();
    let p: Vec<f64> = tested.iter().filter_map(|i| Some(workloads[*i].difference?.p_two_sided())).collect();
    for (i, q) in tested.iter().zip(multiple::benjamini_hochberg(&p)) {
        workloads[*i].q = Some(q);
    }
    let same = had == has;
    let mut suite = change(None, before.suite.as_ref(), now.suite.as_ref());
    suite.difference = suite.difference.filter(|_| same);
    suite.q = suite.difference.map(|d| d.p_two_sided());
    for change in workloads.iter_mut().chain([&mut suite]) {
        settle(change, options);
    }
    TierChange {
        tier: name.to_owned(),
        suite,
        workloads,
        gone: had.difference(&has).cloned().collect(),
        new: has.difference(&had).cloned().collect(),
    }
}

fn change(workload: Option<&String>, before: Option<&Paired>, now: Option<&Paired>) -> Change {
    Change {
        workload: workload.cloned(),
        before: before.map(|p| p.mean.exp()),
        now: now.map(|p| p.mean.exp()),
        difference: before.zip(now).and_then(|(a, b)| Unpaired::new(a, b)),
        ci: None,
        q: None,
        verdict: Verdict::Inconclusive,
    }
}

fn settle(change: &mut Change, options: Options) {
    let Some(difference) = change.difference else { return };
    let (low, high) = difference.interval(options.alpha);
    let margin = options.margin.ln_1p();
    let marked = change.q.is_some_and(|q| q <= options.alpha);
    change.ci = Some((low.exp(), high.exp()));
    change.verdict = if low > -margin && high < margin {
        Verdict::NoChange
    } else if low > 0.0 && marked {
        Verdict::Faster
    } else if high < 0.0 && marked {
        Verdict::Slower
    } else {
        Verdict::Inconclusive
    };
}
