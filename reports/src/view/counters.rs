//! The JIT's own counters by reason.

use std::collections::BTreeMap;

use pepjit_harness::analysis::{TierResult, WorkloadResult};
use serde::Serialize;

use crate::format;

/// What a counter's prefix stands for.
const FAMILIES: [(&str, &str); 3] =
    [("exit", "exit from native code"), ("unsupported", "not compiled"), ("invalidation", "code given up")];

/// A reason over a tier's workloads.
#[derive(Debug, Serialize)]
pub(crate) struct ReasonRow {
    pub(crate) kind: String,
    pub(crate) reason: String,
    pub(crate) total: String,
    pub(crate) share: String,
    /// For sorting.
    pub(crate) number: f64,
    pub(crate) workloads: usize,
    pub(crate) most: String,
}

/// Why native code was left, and why code wasn't compiled: counts summed over the workloads, the most frequent first within
/// each kind. Times by pass aren't reasons.
pub(super) fn reasons(tier: &TierResult) -> Vec<ReasonRow> {
    let mut all: BTreeMap<(&str, &str), Vec<(&str, f64)>> = BTreeMap::new();
    for w in &tier.workloads {
        for (name, value) in w.counters.iter().filter(|(_, v)| **v > 0.0) {
            if let Some((kind, reason)) = name.split_once(':').filter(|(kind, _)| !kind.ends_with("_ns")) {
                all.entry((kind, reason)).or_default().push((&w.name, *value));
            }
        }
    }
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for ((kind, _), values) in &all {
        *sums.entry(kind).or_default() += values.iter().map(|v| v.1).sum::<f64>();
    }
    let mut rows: Vec<ReasonRow> = Vec::new();
    for ((kind, reason), values) in &all {
        let total: f64 = values.iter().map(|v| v.1).sum();
        let most = values.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        rows.push(ReasonRow {
            kind: FAMILIES.iter().find(|(prefix, _)| prefix == kind).map_or(*kind, |f| f.1).to_owned(),
            reason: (*reason).to_owned(),
            total: format::count(total),
            share: format::percent(sums.get(kind).map(|sum| total / sum)),
            number: total,
            workloads: values.len(),
            most: most.map(|(name, value)| format!("{name} ({})", format::count(*value))).unwrap_or_default(),
        });
    }
    rows.sort_by(|a, b| a.kind.cmp(&b.kind).then(b.number.total_cmp(&a.number)).then(a.reason.cmp(&b.reason)));
    rows
}

/// One workload's counters by reason, the most frequent first: `exit:type 20, unsupported:generator 3`.
pub(super) fn reasons_of(w: &WorkloadResult) -> String {
    const SHOWN: usize = 6;
    let reason = |name: &str| name.split_once(':').is_some_and(|(kind, _)| !kind.ends_with("_ns"));
    let mut by_reason: Vec<(&String, &f64)> = w.counters.iter().filter(|(k, v)| reason(k) && **v > 0.0).collect();
    by_reason.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
    let mut words: Vec<String> = by_reason.iter().take(SHOWN).map(|(k, v)| format!("{k} {}", format::count(**v))).collect();
    if by_reason.len() > SHOWN {
        words.push(format!("and {} more", by_reason.len() - SHOWN));
    }
    if words.is_empty() { format::NONE.to_owned() } else { words.join(", ") }
}
