//! Runs over commits: which commit moved which workload.
//!
//! Runs compare if platform, processor, Python and suite are the same; speed-ups are compared and not times, as each run has its own
//! baseline. They stand in the order of their commits (`read`), and `detect` says where a figure moved. A move lies between two
//! runs: where every commit was measured, that is one commit.

mod detect;
mod model;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use model::*;

use self::detect::{Noise, Rule, Stretch, stretches};
use self::read::{Commits, Kind, Row};
use crate::model::RunDir;
use crate::stats::paired::Paired;
use crate::stats::{median, t_quantile};

/// Why there is no history.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum HistoryError {
    #[error("the commits of {path} cannot be read: {source}. Give a clone and a revision that it has")]
    Repository { path: PathBuf, source: git2::Error },
    #[error("there is no run to make a history of. Measure at several commits first: cargo xtask measure")]
    NoRuns,
}

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Probability that noise alone shows any move in a tier.
    pub alpha: f64,
    /// Moves below this share aren't told.
    pub margin: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { alpha: 0.05, margin: 0.01 }
    }
}

/// A figure that a run has, by its index in the line.
type Figures = Vec<(usize, Paired)>;

/// Puts runs in the order of the commits that `revision` of the repository reaches.
///
/// # Errors
/// If there is no run, or the repository can't be read. A run that has no place in it is told and left out.
pub fn history(runs: &[RunDir], repository: &Path, revision: &str, options: Options) -> Result<History, HistoryError> {
    if runs.is_empty() {
        return Err(HistoryError::NoRuns);
    }
    let commits = Commits::read(repository, revision)?;
    let mut left_out = Vec::new();
    let mut lines: BTreeMap<Kind, Vec<(usize, Row)>> = BTreeMap::new();
    for dir in runs {
        let without = |reason: String| LeftOut { run: dir.root().display().to_string(), reason };
        match Row::read(dir) {
            Ok(mut row) => {
                let Some(place) = commits.place(row.commit) else {
                    let commit = &row.point.commit[..12];
                    left_out.push(without(format!("its commit {commit} is not in the history of {revision}")));
                    continue;
                };
                left_out.extend(std::mem::take(&mut row.unusable).into_iter().map(without));
                lines.entry(row.kind.clone()).or_default().push((place, row));
            }
            Err(reason) => left_out.push(reason),
        }
    }
    let lines = lines.into_iter().map(|(kind, mut rows)| {
        rows.sort_by(|a, b| (a.0, &a.1.point.created, &a.1.point.run_id).cmp(&(b.0, &b.1.point.created, &b.1.point.run_id)));
        line(kind, rows.into_iter().map(|row| row.1).collect(), &commits, options)
    });
    Ok(History {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        alpha: options.alpha,
        margin: options.margin,
        lines: lines.collect(),
        left_out,
    })
}

fn line((platform, cpu_model, python, suite): Kind, mut rows: Vec<Row>, commits: &Commits, options: Options) -> Line {
    for index in 0..rows.len() {
        let commit = rows[index].commit;
        let since = if index > 0 { commits.between(rows[index - 1].commit, commit).1 } else { 0 };
        let point = &mut rows[index].point;
        (point.date, point.summary) = commits.describe(commit);
        point.commits_since = since;
    }
    let names: BTreeSet<&String> = rows.iter().flat_map(|row| row.tiers.keys()).collect();
    let tiers = names.into_iter().map(|name| tier(name, &rows, commits, options)).collect();
    Line { platform, cpu_model, python, suite, runs: rows.iter().map(|row| row.point.clone()).collect(), tiers }
}

fn tier(name: &str, rows: &[Row], commits: &Commits, options: Options) -> TierHistory {
    let with_tier = || rows.iter().filter_map(|row| row.tiers.get(name));
    let all: BTreeSet<String> = with_tier().flat_map(BTreeMap::keys).cloned().collect();
    let common: BTreeSet<String> =
        all.iter().filter(|workload| with_tier().all(|own| own.contains_key(*workload))).cloned().collect();
    let each = |f: &dyn Fn(&Row) -> Option<Paired>| -> Figures {
        rows.iter().enumerate().filter_map(|(index, row)| Some((index, f(row)?))).collect()
    };
    let mut series: Vec<(Option<String>, Figures)> =
        all.iter().map(|workload| (Some(workload.clone()), each(&|row| row.workload(name, workload)))).collect();
    let suite = if common.is_empty() { Vec::new() } else { each(&|row| row.suite(name, &common)) };
    series.push((None, suite));
    let noises: Vec<Option<Noise>> =
        series.iter().map(|(_, figures)| Noise::of(&figures.iter().map(|f| f.1).collect::<Vec<_>>())).collect();
    // A series of few runs may look quieter than it is: none is taken for quieter than the usual workload.
    let known: Vec<f64> = noises.iter().flatten().filter_map(|noise| noise.between).collect();
    let usual = if known.is_empty() { 0.0 } else { median(&known).max(0.0) };
    let rule = Rule { alpha: options.alpha, series: series.len(), margin: options.margin.ln_1p() };
    let (mut moves, mut told) = (Vec::new(), Vec::new());
    for ((workload, figures), noise) in series.into_iter().zip(noises) {
        let (own, found) = one(workload, &figures, noise.as_ref(), usual, rule);
        if let Some(noise) = &noise {
            let df = noise.df.max(1.0);
            moves.extend(
                found.windows(2).map(|pair| moved(own.workload.clone(), &figures, (pair[0], pair[1]), df, rows, commits)),
            );
        }
        told.push(own);
    }
    moves.sort_by(|a, b| b.change.ln().abs().total_cmp(&a.change.ln().abs()));
    let suite = told.pop().unwrap_or(Series { workload: None, points: Vec::new(), segments: Vec::new(), between_runs_sd: None });
    TierHistory { tier: name.to_owned(), suite, workloads: told, moves }
}

/// One series: what is told of it, and its stretches.
fn one(workload: Option<String>, figures: &Figures, noise: Option<&Noise>, usual: f64, rule: Rule) -> (Series, Vec<Stretch>) {
    let summaries: Vec<Paired> = figures.iter().map(|f| f.1).collect();
    let between = noise.and_then(|noise| noise.between).map(|own| own.max(usual));
    let found = noise.map(|noise| stretches(&summaries, noise, between.unwrap_or(usual), rule)).unwrap_or_default();
    let point = |(run, p): &(usize, Paired)| Point {
        run: *run,
        ratio: p.mean.exp(),
        ci: p.interval(0.05).map(|(low, high)| (low.exp(), high.exp())),
    };
    let segment = |s: &Stretch| Segment { from: figures[s.from].0, to: figures[s.to - 1].0, ratio: s.mean.exp() };
    let series = Series {
        workload,
        points: figures.iter().map(point).collect(),
        segments: found.iter().map(segment).collect(),
        between_runs_sd: between.map(f64::sqrt),
    };
    (series, found)
}

fn moved(
    workload: Option<String>,
    figures: &Figures,
    (a, b): (Stretch, Stretch),
    df: f64,
    rows: &[Row],
    commits: &Commits,
) -> Move {
    let (before, after) = (figures[a.to - 1].0, figures[b.from].0);
    let (suspects, suspects_total) = commits.between(rows[before].commit, rows[after].commit);
    let (change, se) = (b.mean - a.mean, a.se.hypot(b.se));
    let half = t_quantile(0.975, df) * se;
    Move {
        workload,
        before,
        after,
        ratio_before: a.mean.exp(),
        ratio_after: b.mean.exp(),
        change: change.exp(),
        ci: ((change - half).exp(), (change + half).exp()),
        suspects,
        suspects_total,
    }
}
