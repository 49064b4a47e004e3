//! The verdict tables that `measure` prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pepjit_harness::analysis::{Analysis, Sizing, TierResult, Verdict, WorkloadResult};
use pepjit_harness::model::DesignKind;
use pepjit_harness::stats::paired::MIN_PAIRS;
use tabled::builder::Builder;
use tabled::settings::object::{Columns, Rows};
use tabled::settings::{Alignment, Modify, Style};

use crate::format;

/// Failures shown in full; the report lists the rest.
const FAILURES_SHOWN: usize = 12;

/// A run's results as plain text: a table of the tiers, a table of workloads for each tier that matters, what
/// failed, and what the figures rest on.
pub fn terminal(analysis: &Analysis) -> String {
    let mut out = String::new();
    header(&mut out, analysis);
    let shown: Vec<&TierResult> = worth_a_table(analysis);
    for tier in &shown {
        out.push_str(&workloads(tier, analysis));
        out.push('\n');
    }
    out.push_str(&tiers(analysis));
    out.push('\n');
    notes(&mut out, analysis);
    out
}

fn header(out: &mut String, analysis: &Analysis) {
    let m = &analysis.manifest;
    let baseline = m.tier(&m.baseline);
    let version = baseline.map_or("?", |t| t.version.as_str());
    let design = match m.design.kind {
        DesignKind::Interleaved => "interleaved process pairs",
        DesignKind::Coscheduled => "co-scheduled blocks",
    };
    let _ = writeln!(
        out,
        "CPython {version}, suite {}: {} workloads, {} of {} rounds of {design}\n{}, {}\n",
        m.suite,
        m.workloads.len(),
        analysis.health.complete_rounds,
        m.design.rounds,
        m.host.cpu_model,
        m.platform
    );
}

/// Tiers with a JIT get a table of their own; when there is none, every tier but the control.
fn worth_a_table(analysis: &Analysis) -> Vec<&TierResult> {
    let jits: Vec<_> = analysis.tiers.iter().filter(|t| t.proof.needed).collect();
    if jits.is_empty() { analysis.tiers.iter().filter(|t| !t.control).collect() } else { jits }
}

/// The fastest first; what has no figure last, near the prompt.
pub(crate) fn ordered(tier: &TierResult) -> Vec<&WorkloadResult> {
    let mut rows: Vec<_> = tier.workloads.iter().collect();
    let key = |w: &WorkloadResult| w.speedup.as_ref().map_or(f64::NEG_INFINITY, |s| s.log_mean);
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    rows
}

fn workloads(tier: &TierResult, analysis: &Analysis) -> String {
    let confidence = confidence(analysis);
    let mut table = Builder::default();
    table.push_record(["workload", &tier.against, &tier.tier, "speed-up", &confidence, "MDE", "verdict"]);
    for w in ordered(tier) {
        table.push_record([
            w.name.clone(),
            format::seconds(w.baseline_s),
            format::seconds(w.tier_s),
            w.speedup.as_ref().map_or_else(|| format::NONE.to_owned(), |s| format::ratio(s.ratio)),
            format::interval(w.speedup.as_ref().and_then(|s| s.ci)),
            format::percent(w.speedup.as_ref().and_then(|s| s.mde)),
            format!("{} {}", format::symbol(w.verdict), verdict_words(w)),
        ]);
    }
    let mut text = format!("{} against {}\n", tier.tier, tier.against);
    let _ = writeln!(text, "{}", styled(table, 1..6));
    text
}

/// A row's verdict in words, with what would decide it and what failed.
pub(crate) fn verdict_words(w: &WorkloadResult) -> String {
    let mut text = w.verdict.word().to_owned();
    if let Some(rounds) = w.rounds_to_decide {
        let _ = write!(text, " ({rounds} rounds would tell)");
    }
    if w.proof.is_idle() && w.verdict != Verdict::Failed {
        text.push_str(", nothing compiled");
    }
    if !w.failures.is_empty() && w.verdict != Verdict::Failed {
        let _ = write!(text, ", {} failed", w.failures.len());
    }
    text
}

fn tiers(analysis: &Analysis) -> String {
    let confidence = confidence(analysis);
    let mut table = Builder::default();
    table.push_record(["geometric mean of", "speed-up", &confidence, "MDE", "first iteration", "memory", "workloads", "verdict"]);
    let control_last = analysis.tiers.iter().filter(|t| !t.control).chain(analysis.control());
    for tier in control_last.chain(&analysis.head_to_head) {
        let suite = tier.suite.as_ref();
        let name = if tier.against == analysis.manifest.baseline {
            tier.tier.clone()
        } else {
            format!("{} / {}", tier.tier, tier.against)
        };
        let short = |e: Option<&pepjit_harness::analysis::Estimate>| {
            e.map_or_else(|| format::NONE.to_owned(), |e| format::ratio(e.ratio))
        };
        table.push_record([
            name,
            short(suite),
            format::interval(suite.and_then(|s| s.ci)),
            format::percent(suite.and_then(|s| s.mde)),
            short(tier.first_iteration.as_ref()),
            short(tier.memory.as_ref()),
            format!("{} of {}", tier.covered.len(), tier.workloads.len()),
            format!("{} {}", format::symbol(tier.verdict), tier.verdict.word()),
        ]);
    }
    let mut text = format!("Tiers against {}: above 1 is faster; memory above 1 is more\n", analysis.manifest.baseline);
    let _ = writeln!(text, "{}", styled(table, 1..7));
    text
}

fn notes(out: &mut String, analysis: &Analysis) {
    for note in interval_notes(analysis) {
        let _ = writeln!(out, "{note}");
    }
    if let Some(suite) = analysis.control().and_then(|c| c.suite.as_ref()) {
        let _ = writeln!(
            out,
            "Noise floor: the baseline against itself gives {}, each workload within {}.",
            format::estimate(Some(suite)),
            spread(analysis.control()),
        );
    }
    for tier in worth_a_table(analysis) {
        out.extend(sizing(tier).map(|line| line + "\n"));
    }
    for tier in analysis.tiers.iter().filter(|t| t.proof.needed) {
        let _ = writeln!(out, "{}", proof(tier));
    }
    for warning in &analysis.warnings {
        let _ = writeln!(out, "Warning: {warning}.");
    }
    let failures: Vec<_> = analysis.failures().collect();
    if !failures.is_empty() {
        let _ = writeln!(out, "\n{} processes or files failed:", failures.len());
        for (tier, workload, failure) in failures.iter().take(FAILURES_SHOWN) {
            let _ = writeln!(out, "  {} {workload} on {tier}, {}", format::symbol(Verdict::Failed), format::failure(failure));
        }
        if failures.len() > FAILURES_SHOWN {
            let _ = writeln!(out, "  ... and {} more; `cargo xtask report` lists them all", failures.len() - FAILURES_SHOWN);
        }
    }
}

/// Which suites have no interval, and why.
pub(crate) fn interval_notes(analysis: &Analysis) -> Vec<String> {
    let mut by_rounds: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for tier in &analysis.tiers {
        if let Some(suite) = tier.suite.as_ref().filter(|s| s.ci.is_none()) {
            by_rounds.entry(suite.pairs).or_default().push(&tier.tier);
        }
    }
    let note = |(rounds, tiers): (usize, Vec<&str>)| {
        format!("An interval needs at least {MIN_PAIRS} complete rounds; {} has {rounds}.", tiers.join(", "))
    };
    by_rounds.into_iter().map(note).collect()
}

/// The least and greatest ratio of a tier's workloads: `0.981x to 1.012x`.
pub(crate) fn spread(tier: Option<&TierResult>) -> String {
    let end = |greatest| tier.and_then(|t| t.extreme(greatest)).and_then(|w| Some(format::ratio(w.speedup.as_ref()?.ratio)));
    match (end(false), end(true)) {
        (Some(low), Some(high)) => format!("{low} to {high}"),
        _ => format::NONE.to_owned(),
    }
}

/// The rounds that changes take to be shown, in a sentence; nothing where the spread isn't known.
pub(crate) fn sizing(tier: &TierResult) -> Option<String> {
    let known: Vec<_> = tier.sizing.iter().filter(|s| s.suite.is_some() || s.workload.is_some()).collect();
    if known.is_empty() {
        return None;
    }
    let all = |f: &dyn Fn(&Sizing) -> String| known.iter().map(|s| f(s)).collect::<Vec<_>>().join(" / ");
    let rounds = |n: Option<u32>| n.map_or_else(|| format::NONE.to_owned(), |n| format::count(f64::from(n)));
    Some(format!(
        "Rounds that show a change of {} of {} with 80 % power: {} for the suite, {} for a workload of median spread.",
        all(&|s| format!("{:.0} %", s.change * 100.0)),
        tier.tier,
        all(&|s| rounds(s.suite)),
        all(&|s| rounds(s.workload)),
    ))
}

/// Whether a tier's JIT was at work, in a sentence.
pub(crate) fn proof(tier: &TierResult) -> String {
    let p = &tier.proof;
    let all = p.shown + p.lacking;
    if all == 0 {
        return format!("Proof of JIT activity: {} has no process that ran to its end.", tier.tier);
    }
    let detail = p.detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default();
    format!("Proof of JIT activity: {} of {all} processes of {}{detail}.", p.shown, tier.tier)
}

fn confidence(analysis: &Analysis) -> String {
    format!("{:.0} % interval", (1.0 - analysis.options.alpha) * 100.0)
}

/// A table as text, with some columns of numbers.
pub(crate) fn styled(table: Builder, numbers: std::ops::Range<usize>) -> String {
    let mut table = table.build();
    table.with(Style::psql().remove_vertical());
    table.with(Modify::new(Columns::new(numbers)).with(Alignment::right()));
    table.with(Modify::new(Rows::first()).with(Alignment::left()));
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
