//! The list of runs, and two runs side by side.

use std::fmt::Write as _;

use pepjit_harness::analysis::Verdict;
use pepjit_harness::analysis::across::{Change, TierChange};
use serde::Serialize;
use tabled::builder::Builder;

use crate::format;
use crate::terminal::styled;

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// Everything planned was measured.
    #[default]
    Complete,
    /// Something is left to measure.
    Incomplete {
        /// How many blocks.
        blocks_left: usize,
    },
    /// It can't be read.
    Damaged {
        /// Why.
        cause: String,
    },
}

/// A run in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// When it began.
    pub created: String,
    /// Version of the baseline's interpreter.
    pub python: String,
    /// Its suite.
    pub suite: String,
    /// How many workloads.
    pub workloads: usize,
    /// Its tiers.
    pub tiers: Vec<String>,
    /// Rounds planned.
    pub rounds: u32,
    /// How far it is.
    #[serde(flatten)]
    pub state: State,
    /// Whether it has a seal.
    pub sealed: bool,
    /// Its size on disk.
    pub bytes: u64,
}

/// The list as a table, with what can't be read below.
pub fn list(rows: &[Row]) -> String {
    let mut table = Builder::default();
    table.push_record(["run", "begun", "Python", "suite", "workloads", "rounds", "tiers", "state", "size"]);
    for row in rows {
        let state = match &row.state {
            State::Complete if row.sealed => "complete, sealed".to_owned(),
            State::Complete => "complete".to_owned(),
            State::Incomplete { blocks_left } => format!("{blocks_left} blocks left"),
            State::Damaged { .. } => "✗ damaged".to_owned(),
        };
        table.push_record([
            row.name.clone(),
            row.created.clone(),
            row.python.clone(),
            row.suite.clone(),
            row.workloads.to_string(),
            row.rounds.to_string(),
            row.tiers.join(", "),
            state,
            format::kib(Some(row.bytes as f64 / 1024.0)),
        ]);
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut out = styled(table, 4..6) + "\n";
    for row in rows {
        if let State::Damaged { cause } = &row.state {
            let _ = writeln!(out, "✗ {}: {cause}", row.name);
        }
    }
    out
}

/// Two runs: a table per tier, what changed most first.
pub fn compared(before: &str, now: &str, changes: &[TierChange]) -> String {
    let mut out = format!("{now} against {before}: above 1 is faster than before\n");
    for tier in changes {
        let mut table = Builder::default();
        table.push_record([tier.tier.as_str(), "before", "now", "change", "95 % interval", "verdict"]);
        let mut rows: Vec<&Change> = tier.workloads.iter().collect();
        rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
        for change in [&tier.suite].into_iter().chain(rows) {
            table.push_record(record(change));
        }
        let _ = writeln!(out, "\n{}", styled(table, 1..5));
        for (what, names) in [("Only before", &tier.gone), ("Only now", &tier.new)] {
            if !names.is_empty() {
                let _ = writeln!(out, "{what}: {}", names.join(", "));
            }
        }
    }
    out
}

fn size(change: &Change) -> f64 {
    change.difference.map_or(-1.0, |d| d.mean.abs())
}

fn record(change: &Change) -> [String; 6] {
    let ratio = |value: Option<f64>| value.map_or_else(|| format::NONE.to_owned(), format::ratio);
    let verdict = match (change.verdict, change.difference) {
        (Verdict::Inconclusive, None) if change.workload.is_none() => "the suites differ, or have too few rounds".to_owned(),
        (Verdict::Inconclusive, None) => "too few rounds".to_owned(),
        (verdict, _) => format!("{} {}", format::symbol(verdict), verdict.word()),
    };
    [
        change.workload.clone().unwrap_or_else(|| "geometric mean".to_owned()),
        ratio(change.before),
        ratio(change.now),
        ratio(change.difference.map(|d| d.mean.exp())),
        format::interval(change.ci),
        verdict,
    ]
}
