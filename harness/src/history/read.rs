//! Runs as rows of figures, and their commits in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use git2::{Oid, Repository, Sort};

use super::{HistoryError, LeftOut, RunPoint, Suspect};
use crate::analysis::{AnalysisError, RunData};
use crate::model::{Manifest, RunDir};
use crate::stats::paired::Paired;
use crate::stats::suite::over_rounds;

/// How many suspects of a move are named.
const SUSPECTS: usize = 20;

/// What decides whether two runs compare.
pub(super) type Kind = (String, String, String, String);

/// One run: each tier's log differences by workload and round.
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) commit: Oid,
    pub(super) point: RunPoint,
    pub(super) tiers: BTreeMap<String, BTreeMap<String, Vec<Option<f64>>>>,
    /// Files that can't be used, each with its reason.
    pub(super) unusable: Vec<String>,
}

impl Row {
    /// Reads a run, if it was made of a commit.
    pub(super) fn read(dir: &RunDir) -> Result<Self, LeftOut> {
        let left_out = |reason: String| LeftOut { run: dir.root().display().to_string(), reason };
        let data = RunData::load(dir.root()).map_err(|e: AnalysisError| left_out(e.to_string()))?;
        let m = &data.manifest;
        let Some(commit) = m.commit.as_deref().and_then(|commit| Oid::from_str(commit).ok()) else {
            return Err(left_out("it names no commit: its sources were no git checkout".to_owned()));
        };
        let point = RunPoint {
            run_id: m.run_id.clone(),
            created: m.created.clone(),
            commit: commit.to_string(),
            date: String::new(),
            summary: String::new(),
            commits_since: 0,
            dirty: m.dirty,
        };
        Ok(Self { kind: kind(m), commit, point, tiers: differences(&data), unusable: data.unusable() })
    }

    /// A workload's summary on a tier.
    pub(super) fn workload(&self, tier: &str, workload: &str) -> Option<Paired> {
        let known: Vec<f64> = self.tiers.get(tier)?.get(workload)?.iter().copied().flatten().collect();
        Paired::new(&known)
    }

    /// The suite of these workloads on a tier.
    pub(super) fn suite(&self, tier: &str, workloads: &BTreeSet<String>) -> Option<Paired> {
        let own = self.tiers.get(tier)?;
        let rows: Vec<Vec<Option<f64>>> = workloads.iter().map(|workload| own.get(workload).cloned()).collect::<Option<_>>()?;
        over_rounds(&rows)
    }
}

fn kind(m: &Manifest) -> Kind {
    let python = m.tier(&m.baseline).map(|tier| tier.version.clone()).unwrap_or_default();
    (m.platform.clone(), m.host.cpu_model.clone(), python, m.suite.clone())
}

fn differences(data: &RunData) -> BTreeMap<String, BTreeMap<String, Vec<Option<f64>>>> {
    let m = &data.manifest;
    let Some(baseline) = m.tier(&m.baseline) else { return BTreeMap::new() };
    // The baseline against itself has nothing to move.
    let is_control = |tier: &crate::model::TierRecord| {
        !tier.needs_proof && tier.interpreter == baseline.interpreter && tier.args == baseline.args && tier.env == baseline.env
    };
    let mut tiers: BTreeMap<String, BTreeMap<String, Vec<Option<f64>>>> = BTreeMap::new();
    for tier in m.tiers.iter().filter(|tier| !is_control(tier)) {
        for workload in &m.workloads {
            let (own, base) = (data.cell(&tier.name, &workload.name), data.cell(&m.baseline, &workload.name));
            let rounds = own.processes.keys().chain(base.processes.keys()).max().copied().unwrap_or(0);
            let pair = |round| Some(base.processes.get(&round)?.log_time - own.processes.get(&round)?.log_time);
            let row: Vec<Option<f64>> = (1..=rounds).map(pair).collect();
            if row.iter().any(Option::is_some) {
                tiers.entry(tier.name.clone()).or_default().insert(workload.name.clone(), row);
            }
        }
    }
    tiers
}

/// The history that runs are placed in.
pub(super) struct Commits {
    repository: Repository,
    order: HashMap<Oid, usize>,
}

impl Commits {
    /// Of what `revision` reaches.
    pub(super) fn read(path: &Path, revision: &str) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError::Repository { path: path.to_owned(), source };
        let repository = Repository::open(path).map_err(failed)?;
        let order = || -> Result<HashMap<Oid, usize>, git2::Error> {
            let mut walk = repository.revwalk()?;
            walk.push(repository.revparse_single(revision)?.peel_to_commit()?.id())?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
            walk.enumerate().map(|(index, id)| Ok((id?, index))).collect()
        };
        let order = order().map_err(failed)?;
        Ok(Self { repository, order })
    }

    /// Where a commit is, counted from the oldest.
    pub(super) fn place(&self, commit: Oid) -> Option<usize> {
        self.order.get(&commit).copied()
    }

    /// A commit's day and the first line of its message.
    pub(super) fn describe(&self, commit: Oid) -> (String, String) {
        let Ok(commit) = self.repository.find_commit(commit) else { return Default::default() };
        let time = std::time::Duration::from_secs(commit.time().seconds().max(0) as u64);
        let summary = commit.summary_bytes().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
        (crate::store::rfc3339(std::time::UNIX_EPOCH + time)[..10].to_owned(), summary)
    }

    /// The commits that `after` has and `before` hasn't: the newest first of them, and how many there are.
    pub(super) fn between(&self, before: Oid, after: Oid) -> (Vec<Suspect>, usize) {
        let walk = || -> Result<Vec<Oid>, git2::Error> {
            let mut walk = self.repository.revwalk()?;
            walk.push(after)?;
            walk.hide(before)?;
            walk.set_sorting(Sort::TOPOLOGICAL)?;
            walk.collect()
        };
        let ids = walk().unwrap_or_default();
        let suspect = |id: &Oid| Suspect { commit: id.to_string(), summary: self.describe(*id).1 };
        (ids.iter().take(SUSPECTS).map(suspect).collect(), ids.len())
    }
}
