//! The coverage of a tier in text.

use std::fmt::Write as _;

use pepjit_harness::analysis::{CoverageRow, Share, TierCoverage};
use serde::Serialize;

use crate::format;

/// How many reasons a row names.
const SHOWN: usize = 4;

/// The coverage of a tier.
#[derive(Debug, Serialize)]
pub(crate) struct CoverageView {
    tier: String,
    summary: String,
    rows: Vec<Row>,
    failures: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    samples: u64,
    native: String,
    interpreter: String,
    runtime: String,
    jit: String,
    elsewhere: String,
    bytecodes: String,
    compiled: String,
    hot: String,
    exits: String,
    refused: String,
    available: String,
    achieved: String,
}

impl CoverageView {
    pub(crate) fn new(coverage: &TierCoverage) -> Self {
        let failures = coverage.failures.iter().map(|f| (f.workload.clone(), f.failure.message.replace('\n', " "))).collect();
        Self {
            tier: coverage.tier.clone(),
            summary: summary(coverage),
            rows: coverage.rows.iter().map(Row::new).collect(),
            failures,
        }
    }
}

/// A tier's coverage in a sentence, without a full stop.
pub(crate) fn summary(coverage: &TierCoverage) -> String {
    let share = |share: Option<Share>| match share {
        Some(s) => format!("{} [{}, {}]", format::share(s.value), format::share(s.low), format::share(s.high)),
        None => format::NONE.to_owned(),
    };
    let mut text = format!(
        "{}: {} of the time in native code, {} in the interpreter's loop",
        coverage.tier,
        share(coverage.native),
        share(coverage.interpreter)
    );
    if let Some(compiled) = coverage.compiled {
        let _ = write!(
            text,
            "; {} of the bytecode belongs to compiled code, which is an upper bound of what runs natively",
            format::share(compiled)
        );
    }
    if let Some(natively) = coverage.natively {
        let _ = write!(text, "; by the time that the interpreter's loop still takes, about {} does", format::share(natively));
    }
    if !coverage.failures.is_empty() {
        let _ = write!(text, "; {} processes gave nothing", coverage.failures.len());
    }
    text
}

impl Row {
    fn new(row: &CoverageRow) -> Self {
        let none = || format::NONE.to_owned();
        let reasons = |all: &[(String, f64)], show: &dyn Fn(f64) -> String| {
            all.iter().take(SHOWN).map(|(name, value)| format!("{name} {}", show(*value))).collect::<Vec<_>>().join(", ")
        };
        let exits = |total: f64| match reasons(&row.exits_by_reason, &|v| format!("{v:.3}")) {
            by if by.is_empty() => format!("{total:.0}"),
            by => format!("{total:.3}: {by}"),
        };
        let refused = reasons(&row.refused, &format::share);
        Self {
            name: row.workload.clone(),
            samples: row.samples,
            native: format::share(row.native),
            interpreter: format::share(row.interpreter),
            runtime: format::share(row.runtime),
            jit: format::share(row.jit),
            elsewhere: format::share(row.elsewhere),
            bytecodes: row.bytecodes.map_or_else(none, format::count),
            compiled: match (row.compiled.map(format::share), row.natively.map(format::share)) {
                (Some(most), Some(about)) => format!("{most} at most, about {about}"),
                (None, Some(about)) => format!("about {about}"),
                (most, None) => most.unwrap_or_else(none),
            },
            hot: row.hot.map_or_else(none, |hot| format!("{} of {hot}", row.hot_compiled.unwrap_or(0))),
            exits: row.exits.map_or_else(none, exits),
            refused: if refused.is_empty() { none() } else { refused },
            available: row.available.map_or_else(none, format::ratio),
            achieved: row.achieved.map_or_else(none, format::share),
        }
    }
}
