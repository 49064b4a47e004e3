//! Several runs taken together, per platform and overall.

use std::collections::BTreeSet;

use pepjit_harness::analysis::{Options, TierResult, Verdict};
use pepjit_harness::criteria::Assessment;
use pepjit_harness::model::WorkloadRecord;
use pepjit_harness::stats::paired::Paired;
use pepjit_harness::stats::suite::Merged;
use serde::Serialize;

use super::run::{PepCriterion, tier_claim};
use super::{Claim, class};
use crate::plot::{self, ForestRow, PlotError};
use crate::{Evidence, format, terminal};

/// The part of a report that is about all of its runs.
#[derive(Debug, Serialize)]
pub(crate) struct MergedView {
    pub(crate) confidence: String,
    pub(crate) runs: Vec<RunRow>,
    /// The criteria that some run measures.
    pub(crate) criteria: Vec<MergedCriterion>,
    pub(crate) platforms: Vec<String>,
    /// Each tier over all platforms, and on each of them.
    pub(crate) tiers: Vec<MergedTier>,
    /// Whether some tier has a figure over all runs.
    pub(crate) any: bool,
    /// The tiers with a JIT, workload by workload.
    pub(crate) tables: Vec<MergedTable>,
    /// What makes the runs hard to compare, each a sentence.
    pub(crate) differences: Vec<String>,
}

/// Which runs these are.
#[derive(Debug, Serialize)]
pub(crate) struct RunRow {
    pub(crate) id: String,
    pub(crate) platform: String,
    pub(crate) machine: String,
    pub(crate) python: String,
    pub(crate) suite: String,
    pub(crate) rounds: String,
    /// Of its intervals: a run that was looked at in between has others than one that wasn't.
    pub(crate) confidence: String,
}

/// A criterion, and what each run says of it.
#[derive(Debug, Serialize)]
pub(crate) struct MergedCriterion {
    /// One for each run, all of the same criterion.
    pub(crate) runs: Vec<PepCriterion>,
}

/// A tier, overall and per platform.
#[derive(Debug, Serialize)]
pub(crate) struct MergedTier {
    pub(crate) overall: Claim,
    pub(crate) platforms: Vec<Claim>,
    /// In each run.
    pub(crate) runs: Vec<Claim>,
}

/// A tier's workloads over the runs.
#[derive(Debug, Serialize)]
pub(crate) struct MergedTable {
    pub(crate) tier: String,
    pub(crate) anchor: String,
    pub(crate) plot: String,
    pub(crate) runs: Vec<String>,
    pub(crate) rows: Vec<MergedRow>,
}

/// A workload over the runs.
#[derive(Debug, Serialize)]
pub(crate) struct MergedRow {
    pub(crate) overall: Claim,
    pub(crate) runs: Vec<String>,
}

/// The platforms of some runs, in their order.
pub(super) fn platforms(runs: &[Evidence]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    runs.iter().map(|e| e.analysis.manifest.platform.clone()).filter(|p| seen.insert(p.clone())).collect()
}

impl MergedView {
    pub(super) fn new(runs: &[Evidence]) -> Result<Self, PlotError> {
        let options = runs.first().map(|e| e.analysis.options).unwrap_or_default();
        let mut tiers: Vec<&TierResult> = Vec::new();
        for tier in runs.iter().flat_map(|e| &e.analysis.tiers) {
            if tiers.iter().all(|known| known.tier != tier.tier) {
                tiers.push(tier);
            }
        }
        // What every run has comes first; the control ends each group.
        let everywhere = |t: &TierResult| runs.iter().all(|e| e.analysis.tier(&t.tier).is_some_and(|t| t.suite.is_some()));
        tiers.sort_by_key(|t| (!everywhere(t), t.control));
        let merge = share_workloads(runs);
        let jits = tiers.iter().filter(|t| merge && t.proof.needed);
        let tables = jits.map(|t| MergedTable::new(&t.tier, runs, options)).collect::<Result<Vec<_>, _>>()?;
        let tiers: Vec<MergedTier> = tiers.iter().map(|t| MergedTier::new(&t.tier, runs, options, merge)).collect();
        Ok(Self {
            confidence: confidence(options),
            criteria: criteria(runs),
            runs: runs.iter().map(RunRow::new).collect(),
            platforms: platforms(runs),
            tables: tables.into_iter().flatten().collect(),
            any: tiers.iter().any(|t| t.overall.figure != format::NONE),
            tiers,
            differences: differences(runs),
        })
    }
}

/// What a run says of the criteria.
fn said(e: &Evidence) -> &[Assessment] {
    e.judgement.as_ref().map(|j| j.criteria.as_slice()).unwrap_or_default()
}

/// What the runs say of each criterion that one of them measures. Only what all of them were judged by.
fn criteria(runs: &[Evidence]) -> Vec<MergedCriterion> {
    let merged = |a: &Assessment| {
        let of = |e: &Evidence| {
            let b = said(e).iter().find(|b| b.criterion.id == a.criterion.id)?;
            Some(PepCriterion::new(b, &e.analysis))
        };
        let runs: Vec<PepCriterion> = runs.iter().map(of).collect::<Option<_>>()?;
        runs.iter().any(|c| c.measured).then_some(MergedCriterion { runs })
    };
    runs.first().map(said).unwrap_or_default().iter().filter_map(merged).collect()
}

impl RunRow {
    fn new(e: &Evidence) -> Self {
        let m = &e.analysis.manifest;
        Self {
            id: m.run_id.clone(),
            platform: m.platform.clone(),
            machine: m.host.cpu_model.clone(),
            python: m.tier(&m.baseline).map(|t| t.version.clone()).unwrap_or_default(),
            suite: m.suite.clone(),
            rounds: format!("{} of {}", e.analysis.health.complete_rounds, m.design.rounds),
            confidence: confidence(e.analysis.options),
        }
    }
}

fn confidence(options: Options) -> String {
    format!("{:.0} %", (1.0 - options.alpha) * 100.0)
}

/// Whether some workload is in every run. Else a mean over the runs would be of different things.
///
/// Suites have programs of the same name that differ; where a run didn't note its programs' SHA-256, the name has to do.
fn share_workloads(runs: &[Evidence]) -> bool {
    let same = |a: &WorkloadRecord, b: &WorkloadRecord| {
        a.name == b.name && (a.sha256 == b.sha256 || a.sha256.is_empty() || b.sha256.is_empty())
    };
    let has = |e: &Evidence, w: &WorkloadRecord| e.analysis.manifest.workloads.iter().any(|other| same(w, other));
    runs.first().is_some_and(|first| first.analysis.manifest.workloads.iter().any(|w| runs.iter().all(|e| has(e, w))))
}

fn differences(runs: &[Evidence]) -> Vec<String> {
    let rows: Vec<RunRow> = runs.iter().map(RunRow::new).collect();
    let mut out = Vec::new();
    for (what, of) in
        [("suites", &(|r: &RunRow| r.suite.clone()) as &dyn Fn(&RunRow) -> String), ("Pythons", &|r| r.python.clone())]
    {
        let all: BTreeSet<String> = rows.iter().map(of).collect();
        if all.len() > 1 {
            let list = all.into_iter().collect::<Vec<_>>().join(", ");
            out.push(if share_workloads(runs) {
                format!("The runs are of different {what} ({list}), so that a mean over them mixes these.")
            } else {
                format!("The runs are of different {what} ({list}).")
            });
        }
    }
    if !share_workloads(runs) {
        out.push(
            "No workload is in every run, so that no mean is taken over them: each run's figure stands by itself.".to_owned(),
        );
    }
    out
}

impl MergedTier {
    fn new(name: &str, runs: &[Evidence], options: Options, merge: bool) -> Self {
        let suite =
            |e: &Evidence| e.analysis.tier(name).and_then(|t| t.suite.as_ref()).map(pepjit_harness::analysis::Estimate::paired);
        let each = platforms(runs).into_iter().map(|platform| {
            let own: Vec<&Evidence> = runs.iter().filter(|e| e.analysis.manifest.platform == platform).collect();
            let known: Vec<Paired> = own.iter().filter_map(|e| suite(e)).filter(|p| p.se().is_some()).collect();
            let merged = (known.len() == own.len()).then(|| Merged::new(&known)).flatten();
            (claim(&platform, merged, options, &format!("{} of {} runs", known.len(), own.len())), merged)
        });
        let (claims, each): (Vec<Claim>, Vec<Option<Merged>>) = each.unzip();
        let count = each.len();
        let known: Vec<Merged> = each.into_iter().flatten().collect();
        // A mean over fewer platforms would be another mean.
        let overall = (merge && known.len() == count).then(|| over(&known)).flatten();
        let note = if overall.is_some() && count == 1 {
            "over the runs of 1 platform".to_owned()
        } else if overall.is_some() {
            format!("over {count} platforms, each weighing the same")
        } else if count == 1 {
            "not every run has an interval of it".to_owned()
        } else {
            format!("{} of {count} platforms have an interval of it", known.len())
        };
        let of_run = |e: &Evidence| match e.analysis.tier(name) {
            Some(tier) => tier_claim(tier, &e.analysis),
            None => claim(name, None, options, "not in this run"),
        };
        Self { overall: claim(name, overall, options, &note), platforms: claims, runs: runs.iter().map(of_run).collect() }
    }
}

/// The mean over platforms, each weighing the same: SE = sqrt(sum of SE^2)/P, as for the runs of one.
fn over(platforms: &[Merged]) -> Option<Merged> {
    let first = platforms.first()?;
    if platforms.len() == 1 {
        return Some(*first);
    }
    let count = platforms.len() as f64;
    let variances: Vec<f64> = platforms.iter().map(|p| p.se * p.se).collect();
    let sum: f64 = variances.iter().sum();
    let weights: f64 = variances.iter().zip(platforms).map(|(v, p)| v * v / p.df).sum();
    Some(Merged {
        platforms: platforms.len(),
        mean: platforms.iter().map(|p| p.mean).sum::<f64>() / count,
        se: sum.sqrt() / count,
        df: if weights > 0.0 { sum * sum / weights } else { 1.0 },
    })
}

fn verdict(ci: Option<(f64, f64)>, options: Options) -> Verdict {
    let margin = options.margin.ln_1p();
    match ci {
        None => Verdict::Missing,
        Some((low, high)) if low > -margin && high < margin => Verdict::NoChange,
        Some((low, _)) if low > 0.0 => Verdict::Faster,
        Some((_, high)) if high < 0.0 => Verdict::Slower,
        Some(_) => Verdict::Inconclusive,
    }
}

fn claim(name: &str, merged: Option<Merged>, options: Options, note: &str) -> Claim {
    let ci = merged.map(|m| m.interval(options.alpha));
    let verdict = verdict(ci, options);
    Claim {
        name: name.to_owned(),
        figure: merged.map_or_else(|| format::NONE.to_owned(), |m| format::ratio(m.mean.exp())),
        interval: ci.map(|(low, high)| format::interval(Some((low.exp(), high.exp())))).unwrap_or_default(),
        mde: format::NONE.to_owned(),
        symbol: format::symbol(verdict),
        word: verdict.word().to_owned(),
        class: class(verdict),
        note: note.to_owned(),
    }
}

impl MergedTable {
    /// Nothing where no workload is in every run.
    fn new(tier: &str, runs: &[Evidence], options: Options) -> Result<Option<Self>, PlotError> {
        let mut names: Vec<&str> = Vec::new();
        for w in runs.iter().filter_map(|e| e.analysis.tier(tier)).flat_map(|t| &t.workloads) {
            if !names.contains(&w.name.as_str()) {
                names.push(&w.name);
            }
        }
        let mut rows: Vec<(MergedRow, ForestRow)> = names.iter().map(|name| row(tier, name, runs, options)).collect();
        rows.sort_by(|a, b| b.1.ratio.unwrap_or(0.0).total_cmp(&a.1.ratio.unwrap_or(0.0)));
        let (rows, forest): (Vec<MergedRow>, Vec<ForestRow>) = rows.into_iter().unzip();
        let label = format!("Speed-ups of {tier} over all runs, as in the table below");
        if forest.iter().all(|row| row.ratio.is_none()) {
            return Ok(None);
        }
        Ok(Some(Self {
            tier: tier.to_owned(),
            anchor: format!("merged-{tier}"),
            plot: plot::forest_rows(&forest, None, &label)?,
            runs: runs.iter().map(|e| e.analysis.manifest.run_id.clone()).collect(),
            rows,
        }))
    }
}

fn row(tier: &str, name: &str, runs: &[Evidence], options: Options) -> (MergedRow, ForestRow) {
    let of = |e: &Evidence| e.analysis.tier(tier).and_then(|t| t.workloads.iter().find(|w| w.name == name).cloned());
    let each: Vec<_> = runs.iter().map(of).collect();
    let known: Vec<Paired> =
        each.iter().filter_map(|w| Some(w.as_ref()?.speedup.as_ref()?.paired())).filter(|p| p.se().is_some()).collect();
    let merged = (known.len() == runs.len()).then(|| Merged::new(&known)).flatten();
    let note = format!("{} of {} runs", known.len(), runs.len());
    let claim = claim(name, merged, options, &note);
    let ci = merged.map(|m| m.interval(options.alpha)).map(|(low, high)| (low.exp(), high.exp()));
    let forest = ForestRow {
        name: name.to_owned(),
        ratio: merged.map(|m| m.mean.exp()),
        ci,
        verdict: verdict(merged.map(|m| m.interval(options.alpha)), options),
    };
    let cell = |w: &Option<pepjit_harness::analysis::WorkloadResult>| match w {
        None => "not in this run".to_owned(),
        Some(w) => match &w.speedup {
            Some(s) => format!("{} {}", format::symbol(w.verdict), format::ratio(s.ratio)),
            None => format!("{} {}", format::symbol(w.verdict), terminal::verdict_words(w)),
        },
    };
    (MergedRow { overall: claim, runs: each.iter().map(cell).collect() }, forest)
}
