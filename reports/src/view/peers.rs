//! The tiers side by side.

use pepjit_harness::analysis::{Analysis, Estimate, TierResult};
use serde::Serialize;

use super::class;
use super::run::in_order;
use crate::{format, terminal};

/// Tiers as columns.
#[derive(Debug, Serialize)]
pub(crate) struct Peers {
    pub(crate) tiers: Vec<String>,
    /// What is said of a tier as a whole: a name, and a cell for each tier.
    pub(crate) summary: Vec<(String, Vec<Cell>)>,
    /// The workloads.
    pub(crate) rows: Vec<(String, Vec<Cell>)>,
}

/// A cell.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) class: &'static str,
    /// For sorting.
    pub(crate) number: f64,
}

impl Peers {
    /// The baseline is 1 in every row, so it has no column.
    pub(super) fn new(a: &Analysis) -> Self {
        let tiers: Vec<&TierResult> = in_order(a).collect();
        let plain =
            |e: Option<&Estimate>| Cell { text: format::estimate(e), class: "neutral", number: e.map_or(0.0, |e| e.ratio) };
        let suite = |t: &&TierResult| Cell {
            text: format!("{} {}", format::symbol(t.verdict), format::estimate(t.suite.as_ref())),
            class: class(t.verdict),
            number: t.suite.as_ref().map_or(0.0, |s| s.ratio),
        };
        let first = tiers.first().map(|t| terminal::ordered(t)).unwrap_or_default();
        let workload = |name: &str| {
            let cell = |t: &&TierResult| {
                let w = t.workloads.iter().find(|w| w.name == name);
                Cell {
                    text: w.map_or_else(String::new, |w| match &w.speedup {
                        Some(s) => format!("{} {}", format::symbol(w.verdict), format::ratio(s.ratio)),
                        None => format!("{} {}", format::symbol(w.verdict), w.verdict.word()),
                    }),
                    class: w.map_or("neutral", |w| class(w.verdict)),
                    number: w.and_then(|w| w.speedup.as_ref()).map_or(0.0, |s| s.ratio),
                }
            };
            (name.to_owned(), tiers.iter().map(cell).collect())
        };
        Self {
            summary: vec![
                ("speed-up, geometric mean".to_owned(), tiers.iter().map(suite).collect()),
                ("first iteration".to_owned(), tiers.iter().map(|t| plain(t.first_iteration.as_ref())).collect()),
                ("peak memory, above 1 is more".to_owned(), tiers.iter().map(|t| plain(t.memory.as_ref())).collect()),
            ],
            rows: first.iter().map(|w| workload(&w.name)).collect(),
            tiers: tiers.iter().map(|t| t.tier.clone()).collect(),
        }
    }
}
