//! One tier against another: its rows in every table.

use pepjit_harness::analysis::{JitMemory, TierResult, WorkloadResult};
use pepjit_harness::model::Manifest;
use serde::Serialize;

use super::class;
use super::counters::{ReasonRow, reasons, reasons_of};
use crate::plot::{self, Bar, PlotError};
use crate::{format, terminal};

/// One tier against another.
#[derive(Debug, Serialize)]
pub(crate) struct TierView {
    pub(crate) tier: String,
    pub(crate) against: String,
    pub(crate) anchor: String,
    pub(crate) plot: String,
    pub(crate) rows: Vec<Row>,
    /// Whether the other tier is the run's baseline: then warm-up, memory, counters and commands are shown too.
    pub(crate) first_hand: bool,
    pub(crate) has_counters: bool,
    pub(crate) left_out: String,
    pub(crate) needs_proof: bool,
    /// The bars of memory, where they were read.
    pub(crate) memory_plot: Option<String>,
    pub(crate) memory_sum: String,
    pub(crate) reasons: Vec<ReasonRow>,
}

/// One workload of a tier.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) baseline: String,
    pub(crate) time: String,
    pub(crate) speedup: String,
    pub(crate) interval: String,
    pub(crate) rounds: String,
    pub(crate) mde: String,
    pub(crate) symbol: &'static str,
    pub(crate) word: String,
    pub(crate) class: &'static str,
    pub(crate) first: String,
    pub(crate) break_even: String,
    pub(crate) steady_from: String,
    pub(crate) time_to_steady: String,
    pub(crate) skipped: String,
    pub(crate) warmup: &'static str,
    pub(crate) timed_compiles: String,
    pub(crate) memory: String,
    pub(crate) memory_base: String,
    pub(crate) memory_tier: String,
    pub(crate) private: String,
    pub(crate) proportional: String,
    pub(crate) code_freed: String,
    pub(crate) heap: String,
    pub(crate) records: String,
    pub(crate) compile_peak: String,
    pub(crate) library: String,
    pub(crate) code: String,
    pub(crate) metadata: String,
    pub(crate) remainder: String,
    pub(crate) functions: String,
    pub(crate) loops: String,
    pub(crate) entries: String,
    pub(crate) exits: String,
    pub(crate) compile: String,
    pub(crate) reasons: String,
    pub(crate) command: String,
    pub(crate) tags: String,
    /// The ratios alone, where the intervals would make a table too wide.
    pub(crate) first_ratio: String,
    pub(crate) memory_ratio: String,
    pub(crate) rounds_to_tell: String,
    /// The verdict alone, for filtering.
    pub(crate) plain: &'static str,
    /// For sorting; what isn't known is empty, and sorts last.
    pub(crate) numbers: Numbers,
    pub(crate) memory_numbers: [Sortable; 6],
    pub(crate) counts: [Sortable; 5],
}

/// A number with few digits, as a page sorts by it; empty if there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sortable(Option<f64>);

impl Serialize for Sortable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.map_or_else(String::new, |v| {
            let text = if v.abs() < 100.0 { format!("{v:.6}") } else { format!("{v:.3}") };
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }))
    }
}

/// A row's figures as numbers.
#[derive(Debug, Serialize)]
pub(crate) struct Numbers {
    pub(crate) baseline: Sortable,
    pub(crate) time: Sortable,
    pub(crate) speedup: Sortable,
    pub(crate) mde: Sortable,
    pub(crate) first: Sortable,
    pub(crate) break_even: Sortable,
    pub(crate) time_to_steady: Sortable,
    pub(crate) memory: Sortable,
}

impl TierView {
    pub(super) fn new(tier: &TierResult, manifest: &Manifest) -> Result<Self, PlotError> {
        let first_hand = tier.against == manifest.baseline;
        let tags = |w: &WorkloadResult| {
            manifest.workloads.iter().find(|m| m.name == w.name).map(|m| m.tags.join(" ")).unwrap_or_default()
        };
        Ok(Self {
            anchor: format!("{}-{}", tier.tier, tier.against),
            plot: plot::forest(tier)?,
            first_hand,
            has_counters: first_hand && tier.workloads.iter().any(|w| !w.counters.is_empty()),
            left_out: tier.left_out.join(", "),
            needs_proof: tier.proof.needed,
            memory_plot: if first_hand && tier.proof.needed { memory_plot(tier)? } else { None },
            memory_sum: format::estimate(tier.memory.as_ref()),
            reasons: if first_hand { reasons(tier) } else { Vec::new() },
            tier: tier.tier.clone(),
            against: tier.against.clone(),
            rows: terminal::ordered(tier).into_iter().map(|w| Row::new(w, tags(w))).collect(),
        })
    }
}

/// A workload's memory in KiB: the baseline's peak, the JIT's code and the rest of what it explains (heap, largest compilation,
/// library), and what these leave unexplained of the tier's peak, so that the four add up to it.
struct Parts {
    base: f64,
    code: Option<f64>,
    metadata: Option<f64>,
    rest: f64,
}

impl Parts {
    fn of(w: &WorkloadResult) -> Option<Self> {
        let use_ = &w.memory_use;
        let (peak, base) = use_.vm_hwm_kib.zip(use_.baseline_vm_hwm_kib)?;
        let code = use_.jit.map(|jit| jit.code_kib);
        let metadata = use_.jit.map(|jit| jit.explained_kib() - jit.code_kib);
        Some(Self { base, code, metadata, rest: use_.unexplained_kib.unwrap_or(peak - base) })
    }
}

fn memory_plot(tier: &TierResult) -> Result<Option<String>, PlotError> {
    let parts: Vec<(&str, Parts)> = tier.workloads.iter().filter_map(|w| Some((w.name.as_str(), Parts::of(w)?))).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let counted = parts.iter().any(|(_, p)| p.code.is_some() || p.metadata.is_some());
    let bar = |(name, p): &(&str, Parts)| Bar {
        name: (*name).to_owned(),
        base: p.base,
        parts: if counted { vec![p.code.unwrap_or(0.0), p.metadata.unwrap_or(0.0)] } else { Vec::new() },
        rest: p.rest,
    };
    let mut bars: Vec<Bar> = parts.iter().map(bar).collect();
    let peak = |b: &Bar| b.base + b.parts.iter().sum::<f64>() + b.rest;
    bars.sort_by(|a, b| peak(b).total_cmp(&peak(a)));
    let legend: &[&str] = if counted { &["JIT code", "JIT heap and library"] } else { &[] };
    plot::memory(&bars, legend, &format!("Peak memory of {} by parts, as in the table below", tier.tier)).map(Some)
}

impl Row {
    fn new(w: &WorkloadResult, tags: String) -> Self {
        let s = w.speedup.as_ref();
        let counter = |name: &str| w.counters.get(name).copied();
        let counted = |name: &str| counter(name).map_or_else(|| format::NONE.to_owned(), format::count);
        let parts = Parts::of(w);
        let part = |of: fn(&Parts) -> Option<f64>| parts.as_ref().and_then(of);
        let (code, metadata) = (part(|p| p.code), part(|p| p.metadata));
        let remainder = part(|p| (p.code.is_some() || p.metadata.is_some()).then_some(p.rest));
        let use_ = &w.memory_use;
        let jit = |part: fn(&JitMemory) -> f64| format::kib(use_.jit.as_ref().map(part));
        let iterations = |k: Option<f64>| k.map_or_else(|| format::NONE.to_owned(), |k| format!("{k:.0}"));
        Self {
            name: w.name.clone(),
            baseline: format::seconds(w.baseline_s),
            time: format::seconds(w.tier_s),
            speedup: s.map_or_else(|| format::NONE.to_owned(), |s| format::ratio(s.ratio)),
            interval: format::interval(s.and_then(|s| s.ci)),
            rounds: s.map_or(0, |s| s.pairs).to_string(),
            mde: format::percent(s.and_then(|s| s.mde)),
            symbol: format::symbol(w.verdict),
            word: terminal::verdict_words(w),
            class: class(w.verdict),
            first: format::estimate(w.first_iteration.as_ref()),
            break_even: iterations(w.break_even),
            steady_from: iterations(w.steady_from),
            time_to_steady: format::seconds(w.time_to_steady_s),
            skipped: format::count(w.skipped),
            warmup: format::warmup(w.warmup),
            timed_compiles: w.timed_compiles.map_or_else(|| format::NONE.to_owned(), format::count),
            memory: format::estimate(w.memory.as_ref()),
            memory_base: format::kib(use_.baseline_vm_hwm_kib),
            memory_tier: format::kib(use_.vm_hwm_kib),
            private: pair(use_.baseline_uss_kib, use_.uss_kib),
            proportional: pair(use_.baseline_pss_kib, use_.pss_kib),
            code_freed: jit(|j| j.code_freed_kib),
            heap: jit(|j| j.heap_kib),
            records: jit(|j| j.metadata_kib),
            compile_peak: jit(|j| j.compile_peak_kib),
            library: jit(|j| j.library_kib),
            code: format::kib(code),
            metadata: format::kib(metadata),
            remainder: format::kib(remainder),
            functions: counted("functions_compiled"),
            loops: counted("loops_compiled"),
            entries: counted("native_entries"),
            exits: counted("exits"),
            compile: format::seconds(counter("compile_ns").map(|ns| ns / 1e9).filter(|s| *s > 0.0)),
            reasons: reasons_of(w),
            command: w.command.clone(),
            tags,
            first_ratio: w.first_iteration.as_ref().map_or_else(|| format::NONE.to_owned(), |e| format::ratio(e.ratio)),
            memory_ratio: w.memory.as_ref().map_or_else(|| format::NONE.to_owned(), |e| format::ratio(e.ratio)),
            rounds_to_tell: w.rounds_to_decide.map_or_else(String::new, |rounds| rounds.to_string()),
            plain: w.verdict.word(),
            numbers: Numbers {
                baseline: Sortable(w.baseline_s),
                time: Sortable(w.tier_s),
                speedup: Sortable(s.map(|s| s.ratio)),
                mde: Sortable(s.and_then(|s| s.mde)),
                first: Sortable(w.first_iteration.as_ref().map(|e| e.ratio)),
                break_even: Sortable(w.break_even),
                time_to_steady: Sortable(w.time_to_steady_s),
                memory: Sortable(w.memory.as_ref().map(|e| e.ratio)),
            },
            memory_numbers: [use_.baseline_vm_hwm_kib, code, metadata, remainder, use_.vm_hwm_kib, use_.uss_kib].map(Sortable),
            counts: ["functions_compiled", "loops_compiled", "native_entries", "exits", "compile_ns"]
                .map(|n| Sortable(counter(n))),
        }
    }
}

/// A size of the baseline and of the tier.
fn pair(baseline: Option<f64>, tier: Option<f64>) -> String {
    format!("{} → {}", format::kib(baseline), format::kib(tier))
}
