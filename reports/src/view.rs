//! What the templates show: every number already text, in the order of the document.

use std::fmt::Write as _;

use pepjit_harness::analysis::{Analysis, TierResult, Verdict, WorkloadResult};
use pepjit_harness::criteria::{Assessment, Status};
use pepjit_harness::gate::{Answer, Judgement};
use pepjit_harness::model::DesignKind;
use pepjit_harness::stats::paired::Paired;
use pepjit_harness::stats::suite::Merged;
use serde::Serialize;

use crate::plot::{self, PlotError};
use crate::{Evidence, format, terminal};

/// A document over one or more runs.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    pub(crate) title: String,
    pub(crate) tool_version: String,
    pub(crate) merged: Vec<Claim>,
    pub(crate) runs: Vec<RunView>,
}

/// A figure with its verdict.
#[derive(Debug, Serialize)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(crate) figure: String,
    pub(crate) interval: String,
    pub(crate) mde: String,
    pub(crate) symbol: &'static str,
    pub(crate) word: String,
    pub(crate) class: &'static str,
    pub(crate) note: String,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct RunView {
    pub(crate) id: String,
    pub(crate) heading: String,
    pub(crate) confidence: String,
    pub(crate) claims: Vec<Claim>,
    pub(crate) criteria: Vec<Criterion>,
    pub(crate) gate: Option<String>,
    pub(crate) pep_criteria: Vec<PepCriterion>,
    pub(crate) pep_counts: String,
    pub(crate) health: Vec<String>,
    pub(crate) proofs: Vec<String>,
    pub(crate) failures: Vec<FailureRow>,
    pub(crate) tiers: Vec<TierView>,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) interpreters: Vec<Vec<String>>,
}

/// One criterion of the gate.
#[derive(Debug, Serialize)]
pub(crate) struct Criterion {
    pub(crate) name: String,
    pub(crate) symbol: &'static str,
    pub(crate) word: String,
    pub(crate) class: &'static str,
    pub(crate) finding: String,
    pub(crate) mde: String,
}

/// One criterion of the PEPs.
#[derive(Debug, Serialize)]
pub(crate) struct PepCriterion {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) meaning: String,
    pub(crate) deadline: String,
    pub(crate) symbol: &'static str,
    pub(crate) word: String,
    pub(crate) class: &'static str,
    pub(crate) finding: String,
    pub(crate) command: String,
}

/// One failed process.
#[derive(Debug, Serialize)]
pub(crate) struct FailureRow {
    pub(crate) workload: String,
    pub(crate) tier: String,
    pub(crate) what: String,
}

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
}

impl Document {
    pub(crate) fn new(evidence: &[Evidence]) -> Result<Self, PlotError> {
        let runs = evidence.iter().map(RunView::new).collect::<Result<Vec<_>, _>>()?;
        let title = match runs.as_slice() {
            [one] => one.heading.clone(),
            more => format!("{} runs", more.len()),
        };
        Ok(Self {
            title,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            merged: if evidence.len() > 1 { merged(evidence) } else { Vec::new() },
            runs,
        })
    }
}

/// Each tier over the runs, each run weighing the same. A tier that some run doesn't have, or has no interval of, is
/// listed without a figure: a mean over fewer machines would be another mean.
fn merged(evidence: &[Evidence]) -> Vec<Claim> {
    let mut tiers: Vec<&TierResult> = Vec::new();
    for tier in evidence.iter().flat_map(|e| &e.analysis.tiers) {
        if tiers.iter().all(|known| known.tier != tier.tier) {
            tiers.push(tier);
        }
    }
    tiers.sort_by_key(|t| t.control);
    tiers.into_iter().map(|tier| merged_tier(&tier.tier, evidence)).collect()
}

fn merged_tier(name: &str, evidence: &[Evidence]) -> Claim {
    let suites: Vec<Paired> = evidence
        .iter()
        .filter_map(|e| Some(e.analysis.tier(name)?.suite.as_ref()?.paired()))
        .filter(|p| p.se().is_some())
        .collect();
    let merged = (suites.len() == evidence.len()).then(|| Merged::new(&suites)).flatten();
    let options = evidence.first().map(|e| e.analysis.options).unwrap_or_default();
    let ci = merged.map(|m| m.interval(options.alpha));
    let margin = options.margin.ln_1p();
    let verdict = match ci {
        None => Verdict::Missing,
        Some((low, high)) if low > -margin && high < margin => Verdict::NoChange,
        Some((low, _)) if low > 0.0 => Verdict::Faster,
        Some((_, high)) if high < 0.0 => Verdict::Slower,
        Some(_) => Verdict::Inconclusive,
    };
    Claim {
        name: name.to_owned(),
        figure: merged.map_or_else(|| format::NONE.to_owned(), |m| format::ratio(m.mean.exp())),
        interval: format::interval(ci.map(|(low, high)| (low.exp(), high.exp()))),
        mde: format::NONE.to_owned(),
        symbol: format::symbol(verdict),
        word: verdict.word().to_owned(),
        class: class(verdict),
        note: if merged.is_some() {
            format!("over {} runs, each weighing the same", evidence.len())
        } else {
            format!("{} of {} runs have an interval of it", suites.len(), evidence.len())
        },
    }
}

impl RunView {
    fn new(evidence: &Evidence) -> Result<Self, PlotError> {
        let a = &evidence.analysis;
        let m = &a.manifest;
        let version = m.tier(&m.baseline).map_or("?", |t| t.version.as_str());
        let control_last = a.tiers.iter().filter(|t| !t.control).chain(a.control());
        let all: Vec<&TierResult> = control_last.chain(&a.head_to_head).collect();
        let claims = all.iter().map(|t| tier_claim(t, a)).collect();
        let failures = a.failures().map(|(tier, workload, f)| FailureRow {
            workload: workload.to_owned(),
            tier: tier.to_owned(),
            what: format::failure(f),
        });
        Ok(Self {
            id: m.run_id.clone(),
            heading: format!("CPython {version}, suite {}, {}", m.suite, m.platform),
            confidence: format!("{:.0} %", (1.0 - a.options.alpha) * 100.0),
            claims,
            criteria: evidence.judgement.as_ref().map(criteria).unwrap_or_default(),
            gate: evidence.judgement.as_ref().map(gate_line),
            pep_criteria: evidence.judgement.iter().flat_map(|j| &j.criteria).map(PepCriterion::new).collect(),
            pep_counts: evidence.judgement.as_ref().map(|j| crate::criteria::counts(&j.criteria)).unwrap_or_default(),
            health: health(a),
            proofs: a.tiers.iter().filter(|t| t.proof.needed).map(terminal::proof).collect(),
            failures: failures.collect(),
            tiers: all.iter().map(|t| TierView::new(t, &m.baseline)).collect::<Result<_, _>>()?,
            facts: facts(a),
            interpreters: interpreters(a),
        })
    }
}

impl PepCriterion {
    fn new(a: &Assessment) -> Self {
        Self {
            id: a.criterion.id.clone(),
            source: a.criterion.source.clone(),
            meaning: a.criterion.meaning.clone(),
            deadline: a.criterion.deadline.clone().unwrap_or_else(|| "-".to_owned()),
            symbol: crate::criteria::symbol(a.status),
            word: crate::criteria::words(a),
            class: match a.status {
                Status::Met => "faster",
                Status::NotMet => "slower",
                Status::Inconclusive | Status::NoLimit | Status::NotMeasured => "neutral",
            },
            finding: a.finding.clone(),
            command: a.command.clone().unwrap_or_default(),
        }
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower | Verdict::Failed => "slower",
        Verdict::NoChange | Verdict::Inconclusive | Verdict::Missing => "neutral",
    }
}

fn tier_claim(tier: &TierResult, a: &Analysis) -> Claim {
    let suite = tier.suite.as_ref();
    let name = if tier.against == a.manifest.baseline { tier.tier.clone() } else { format!("{} / {}", tier.tier, tier.against) };
    let mut note = format!("{} of {} workloads", tier.covered.len(), tier.workloads.len());
    let counted = [Verdict::Faster, Verdict::Slower, Verdict::NoChange, Verdict::Inconclusive, Verdict::Failed, Verdict::Missing]
        .into_iter()
        .map(|v| (v, tier.count(v)))
        .filter(|(_, n)| *n > 0)
        .map(|(v, n)| format!("{n} {}", v.word()));
    note.push_str(": ");
    note.push_str(&counted.collect::<Vec<_>>().join(", "));
    if let Some(beyond) = tier.beyond {
        let _ = write!(note, "; beyond this suite {}", format::interval(Some(beyond)));
    }
    Claim {
        name,
        figure: suite.map_or_else(|| format::NONE.to_owned(), |s| format::ratio(s.ratio)),
        interval: format::interval(suite.and_then(|s| s.ci)),
        mde: format::percent(suite.and_then(|s| s.mde)),
        symbol: format::symbol(tier.verdict),
        word: tier.verdict.word().to_owned(),
        class: class(tier.verdict),
        note,
    }
}

fn criteria(judgement: &Judgement) -> Vec<Criterion> {
    let outcome = |o: &pepjit_harness::gate::Outcome| Criterion {
        name: o.criterion.name.clone(),
        symbol: answer_symbol(o.answer),
        word: match o.rounds_to_decide {
            Some(rounds) => format!("{} ({rounds} rounds would tell)", o.answer.word()),
            None => o.answer.word().to_owned(),
        },
        class: match o.answer {
            Answer::Pass => "faster",
            Answer::Fail | Answer::Broken => "slower",
            Answer::Inconclusive | Answer::Skipped => "neutral",
        },
        finding: o.finding.clone(),
        mde: format::percent(o.estimate.as_ref().and_then(|e| e.mde)),
    };
    judgement.outcomes.iter().map(outcome).collect()
}

/// A sign for an answer.
pub(crate) fn answer_symbol(answer: Answer) -> &'static str {
    match answer {
        Answer::Pass => "✓",
        Answer::Fail | Answer::Broken => "✗",
        Answer::Inconclusive => "?",
        Answer::Skipped => "-",
    }
}

fn gate_line(judgement: &Judgement) -> String {
    let mut line = format!("The gate's answer: {}", judgement.answer.word());
    if !judgement.broken.is_empty() {
        let _ = write!(line, ", because {} processes or files failed", judgement.broken.len());
    } else if let Some(rounds) = judgement.rounds_to_decide {
        let _ = write!(line, "; {rounds} rounds would decide it");
    }
    line.push('.');
    line
}

fn health(a: &Analysis) -> Vec<String> {
    let h = &a.health;
    let mut lines: Vec<String> = a.warnings.iter().map(|warning| format!("Warning: {warning}.")).collect();
    match a.control().and_then(|c| c.suite.as_ref()) {
        Some(suite) => lines.push(format!(
            "The baseline against itself: {}, its workloads from {}. No difference below that means anything.",
            format::estimate(Some(suite)),
            terminal::spread(a.control())
        )),
        None => lines.push("The run has no A/A arm, so its noise floor is not known.".to_owned()),
    }
    lines.extend(terminal::interval_notes(a));
    lines.push(format!(
        "{} processes in {}, of which {} failed; {} of {} rounds are complete.",
        h.processes,
        format::span(h.span_s),
        h.failed,
        h.complete_rounds,
        a.manifest.design.rounds
    ));
    if let (Some(mean), Some(max)) = (h.load_mean, h.load_max) {
        lines.push(format!(
            "Load average when processes began: {mean:.1} on average, {max:.1} at most, on {} processors.",
            a.manifest.host.cores
        ));
    }
    if let Some(share) = h.steal_share {
        lines.push(format!("The hypervisor took {} of the processors' time away.", format::percent(Some(share))));
    }
    if let Some(spread) = h.frequency_spread {
        lines.push(format!("The processors' frequencies were {} apart.", format::percent(Some(spread))));
    }
    lines.extend(a.tiers.iter().filter(|t| !t.control).filter_map(terminal::sizing));
    if let Some(best) = h.best_values {
        lines.push(format!(
            "{best:.0} values per process would have given the narrowest intervals for the time, by the variance within and \
             between the baseline's processes; the run took {}.",
            a.manifest.design.values
        ));
    }
    if a.manifest.design.kind == DesignKind::Coscheduled {
        lines.push(
            "The tiers of a block ran at once on one processor and were timed by thread CPU time: they share \
             caches, so the figures are for comparing tiers, not for absolute times."
                .to_owned(),
        );
    }
    lines
}

fn facts(a: &Analysis) -> Vec<(String, String)> {
    let m = &a.manifest;
    let d = &m.design;
    let design = match d.kind {
        DesignKind::Interleaved => {
            format!("interleaved process pairs, {} warm-ups and {} values per process", d.warmups, d.values)
        }
        DesignKind::Coscheduled => format!("co-scheduled blocks, windows of {} s", d.window_s.unwrap_or_default()),
    };
    let looks = match d.looks.as_slice() {
        [] => String::new(),
        looks => format!(", looked at after {} rounds", looks.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
    };
    let commit = m
        .commit
        .as_ref()
        .map_or_else(|| "not a checkout".to_owned(), |c| format!("{c}{}", if m.dirty { ", with local changes" } else { "" }));
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let suite = m.suite_version.as_ref().map_or_else(|| m.suite.clone(), |version| format!("{} ({version})", m.suite));
    let without: Vec<String> = m.left_out.iter().map(|l| format!("{} ({})", l.name, l.reason)).collect();
    let suite = if without.is_empty() { suite } else { format!("{suite}; without {}", without.join(", ")) };
    vec![
        fact("Run", m.run_id.clone()),
        fact("Suite", suite),
        fact("Begun", m.created.clone()),
        fact("Command", m.command_line.join(" ")),
        fact("Tool", format!("pepjit {}, commit {commit}", m.tool_version)),
        fact(
            "Machine",
            format!(
                "{}, {} processors, {}, {}",
                m.host.cpu_model,
                m.host.cores,
                format::kib(Some(m.host.memory_bytes as f64 / 1024.0)),
                m.host.kernel
            ),
        ),
        fact("Platform", m.platform.clone()),
        fact("Design", format!("{design}; {} rounds{looks}, seed {}", d.rounds, m.seed)),
    ]
}

fn interpreters(a: &Analysis) -> Vec<Vec<String>> {
    let tier = |t: &pepjit_harness::model::TierRecord| {
        let told: Vec<String> = t.env.iter().map(|(k, v)| format!("{k}={v}")).chain(t.args.iter().cloned()).collect();
        vec![
            t.name.clone(),
            t.interpreter.display().to_string(),
            t.version.clone(),
            t.build_flags.join(" "),
            t.sha256.chars().take(12).collect(),
            told.join(" "),
        ]
    };
    a.manifest.tiers.iter().map(tier).collect()
}

impl TierView {
    fn new(tier: &TierResult, baseline: &str) -> Result<Self, PlotError> {
        let rows: Vec<Row> = terminal::ordered(tier).into_iter().map(Row::new).collect();
        Ok(Self {
            anchor: format!("{}-{}", tier.tier, tier.against),
            plot: plot::forest(tier)?,
            first_hand: tier.against == baseline,
            has_counters: tier.against == baseline && tier.workloads.iter().any(|w| !w.counters.is_empty()),
            left_out: tier.left_out.join(", "),
            tier: tier.tier.clone(),
            against: tier.against.clone(),
            rows,
        })
    }
}

impl Row {
    fn new(w: &WorkloadResult) -> Self {
        let s = w.speedup.as_ref();
        let counter = |name: &str| w.counters.get(name).copied();
        let counted = |name: &str| counter(name).map_or_else(|| format::NONE.to_owned(), format::count);
        let kib = |name: &str| counter(name).map(|b| b / 1024.0);
        let (code, metadata) = (kib("code_bytes_reserved"), kib("metadata_bytes"));
        let use_ = &w.memory_use;
        // What the JIT's own counters leave unexplained of the growth over the baseline.
        let growth = use_.vm_hwm_kib.zip(use_.baseline_vm_hwm_kib).map(|(t, b)| t - b);
        let remainder = growth.filter(|_| code.is_some() || metadata.is_some());
        let remainder = remainder.map(|g| g - code.unwrap_or(0.0) - metadata.unwrap_or(0.0));
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
            private: format::kib(use_.uss_kib),
            code: format::kib(code),
            metadata: format::kib(metadata),
            remainder: format::kib(remainder),
            functions: counted("functions_compiled"),
            loops: counted("loops_compiled"),
            entries: counted("native_entries"),
            exits: counted("exits"),
            compile: format::seconds(counter("compile_ns").map(|ns| ns / 1e9).filter(|s| *s > 0.0)),
            reasons: reasons(w),
            command: w.command.clone(),
        }
    }
}

/// The counters by reason, the most frequent first: `exit:type 20, unsupported:generator 3`.
fn reasons(w: &WorkloadResult) -> String {
    const SHOWN: usize = 6;
    let mut by_reason: Vec<(&String, &f64)> = w.counters.iter().filter(|(k, v)| k.contains(':') && **v > 0.0).collect();
    by_reason.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
    let mut words: Vec<String> = by_reason.iter().take(SHOWN).map(|(k, v)| format!("{k} {}", format::count(**v))).collect();
    if by_reason.len() > SHOWN {
        words.push(format!("and {} more", by_reason.len() - SHOWN));
    }
    if words.is_empty() { format::NONE.to_owned() } else { words.join(", ") }
}
