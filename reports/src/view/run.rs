//! One run, every number already text.

use std::fmt::Write as _;
use std::path::Path;

use pepjit_harness::analysis::{Analysis, TierResult, Verdict};
use pepjit_harness::criteria::{Assessment, Status};
use pepjit_harness::gate::{Answer, Judgement};
use pepjit_harness::model::DesignKind;
use serde::Serialize;

use super::peers::Peers;
use super::tier::TierView;
use super::warmup::WarmUp;
use super::{Claim, class};
use crate::coverage::CoverageView;
use crate::plot::PlotError;
use crate::{Evidence, format, terminal};

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct RunView {
    pub(crate) id: String,
    pub(crate) heading: String,
    pub(crate) lead: String,
    pub(crate) begun: String,
    pub(crate) baseline: String,
    pub(crate) confidence: String,
    pub(crate) claims: Vec<Claim>,
    pub(crate) criteria: Vec<Criterion>,
    pub(crate) gate: Option<String>,
    pub(crate) pep_criteria: Vec<PepCriterion>,
    pub(crate) pep_counts: String,
    pub(crate) health: Vec<String>,
    pub(crate) sizing: Option<Sizes>,
    pub(crate) proofs: Vec<String>,
    pub(crate) failures: Vec<FailureRow>,
    pub(crate) tiers: Vec<TierView>,
    /// The tier that the table of benchmarks shows first.
    pub(crate) main_tier: String,
    pub(crate) warm_up: Option<WarmUp>,
    pub(crate) peers: Peers,
    pub(crate) coverage: Vec<CoverageView>,
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
    pub(crate) mde: String,
    pub(crate) command: String,
    pub(crate) measured: bool,
}

/// One failed process.
#[derive(Debug, Serialize)]
pub(crate) struct FailureRow {
    pub(crate) workload: String,
    pub(crate) tier: String,
    pub(crate) what: String,
}

impl RunView {
    pub(super) fn new(evidence: &Evidence) -> Result<Self, PlotError> {
        let a = &evidence.analysis;
        let m = &a.manifest;
        let version = m.tier(&m.baseline).map_or("?", |t| t.version.as_str());
        let all: Vec<&TierResult> = in_order(a).chain(&a.head_to_head).collect();
        let claims = all.iter().map(|t| tier_claim(t, a)).collect();
        let failures = a.failures().map(|(tier, workload, f)| FailureRow {
            workload: workload.to_owned(),
            tier: tier.to_owned(),
            what: format::failure(f),
        });
        Ok(Self {
            id: m.run_id.clone(),
            heading: format!("CPython {version}, suite {}, {}", m.suite, m.platform),
            lead: format!(
                "{} workloads on {} tiers, {} of {} rounds; {}, {}",
                m.workloads.len(),
                m.tiers.len(),
                a.health.complete_rounds,
                m.design.rounds,
                m.host.cpu_model,
                format::of(m.host.cores, "processor")
            ),
            begun: m.created.clone(),
            baseline: m.baseline.clone(),
            confidence: format!("{:.0} %", (1.0 - a.options.alpha) * 100.0),
            claims,
            criteria: evidence.judgement.as_ref().map(criteria).unwrap_or_default(),
            gate: evidence.judgement.as_ref().map(gate_line),
            pep_criteria: evidence.judgement.iter().flat_map(|j| &j.criteria).map(|c| PepCriterion::new(c, a)).collect(),
            pep_counts: evidence.judgement.as_ref().map(|j| crate::criteria::counts(&j.criteria)).unwrap_or_default(),
            health: health(a),
            sizing: Sizes::new(a),
            proofs: a.tiers.iter().filter(|t| t.proof.needed).map(terminal::proof).collect(),
            failures: failures.collect(),
            tiers: all.iter().map(|t| TierView::new(t, m)).collect::<Result<_, _>>()?,
            main_tier: all.iter().find(|t| t.proof.needed).or(all.first()).map(|t| t.tier.clone()).unwrap_or_default(),
            warm_up: WarmUp::new(evidence)?,
            peers: Peers::new(a),
            coverage: a.coverage.iter().map(CoverageView::new).collect(),
            facts: facts(a),
            interpreters: interpreters(a),
        })
    }
}

/// How many rounds a change takes to be shown, by tier.
#[derive(Debug, Serialize)]
pub(crate) struct Sizes {
    /// The changes: `1 %`.
    pub(crate) changes: Vec<String>,
    /// The tier, then the rounds for each change of the suite, then of a workload.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Sizes {
    /// `None` where no tier's spread is known.
    fn new(a: &Analysis) -> Option<Self> {
        let known: Vec<&TierResult> =
            in_order(a).filter(|t| !t.control && t.sizing.iter().any(|s| s.suite.is_some() || s.workload.is_some())).collect();
        let rounds = |n: Option<u32>| n.map_or_else(|| format::NONE.to_owned(), |n| format::count(f64::from(n)));
        let row = |t: &&TierResult| {
            let (suite, workload) = (t.sizing.iter().map(|s| rounds(s.suite)), t.sizing.iter().map(|s| rounds(s.workload)));
            [t.tier.clone()].into_iter().chain(suite).chain(workload).collect()
        };
        let changes = known.first()?.sizing.iter().map(|s| format!("{:.0} %", s.change * 100.0)).collect();
        Some(Self { changes, rows: known.iter().map(row).collect() })
    }
}

impl PepCriterion {
    pub(super) fn new(a: &Assessment, run: &Analysis) -> Self {
        Self {
            id: a.criterion.id.clone(),
            source: a.criterion.source.clone(),
            meaning: a.criterion.meaning.clone(),
            deadline: a.criterion.deadline.clone().unwrap_or_else(|| "-".to_owned()),
            symbol: crate::criteria::symbol(a.status),
            word: crate::criteria::words(a),
            class: class_of_status(a.status),
            measured: a.status != Status::NotMeasured,
            finding: a.finding.clone(),
            mde: format::percent(mde(a, run)),
            command: a.command.clone().unwrap_or_default(),
        }
    }
}

/// The smallest change of the mean that a criterion is about, where it's about one that this run has.
fn mde(a: &Assessment, run: &Analysis) -> Option<f64> {
    let c = &a.criterion;
    let against = c.baseline.as_deref().unwrap_or(&run.manifest.baseline);
    let tier = run.tiers.iter().chain(&run.head_to_head).find(|t| t.tier == c.tier && t.against == against)?;
    let mean = match c.metric.as_str() {
        "speed/geometric-mean" | "control/geometric-mean" | "start-up/ratio" => tier.suite.as_ref(),
        "memory/geometric-mean" => tier.memory.as_ref(),
        _ => None,
    };
    mean.filter(|_| a.status != Status::NotMeasured)?.mde
}

/// The tiers with a JIT first, the control last.
pub(super) fn in_order(a: &Analysis) -> impl Iterator<Item = &TierResult> {
    let of = |needed: bool| a.tiers.iter().filter(move |t| !t.control && t.proof.needed == needed);
    of(true).chain(of(false)).chain(a.control())
}

/// The page's class of a status.
fn class_of_status(status: Status) -> &'static str {
    match status {
        Status::Met => "faster",
        Status::NotMet => "slower",
        Status::Inconclusive | Status::NoLimit | Status::NotMeasured => "neutral",
    }
}

pub(super) fn tier_claim(tier: &TierResult, a: &Analysis) -> Claim {
    let suite = tier.suite.as_ref();
    let name =
        if tier.against == a.manifest.baseline { tier.tier.clone() } else { format!("{} against {}", tier.tier, tier.against) };
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
            "Load average when processes began: {mean:.1} on average, {max:.1} at most, on {}.",
            format::of(a.manifest.host.cores, "processor")
        ));
    }
    if let Some(share) = h.steal_share {
        lines.push(format!("The hypervisor took {} of the processors' time away.", format::percent(Some(share))));
    }
    if let Some(spread) = h.frequency_spread {
        lines.push(format!("The processors' frequencies were {} apart.", format::percent(Some(spread))));
    }
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
        fact("Command", command(&m.command_line)),
        fact("Tool", format!("pepjit {}, commit {commit}", m.tool_version)),
        fact(
            "Machine",
            format!(
                "{}, {}, {}, {}",
                m.host.cpu_model,
                format::of(m.host.cores, "processor"),
                format::kib(Some(m.host.memory_bytes as f64 / 1024.0)),
                m.host.kernel
            ),
        ),
        fact("Platform", m.platform.clone()),
        fact("Design", format!("{design}; {} rounds{looks}, seed {}", d.rounds, m.seed)),
        fact("Module", m.module_sha256.as_ref().map_or_else(|| "SHA-256 not noted".to_owned(), |s| format!("SHA-256 {s}"))),
        fact("Criteria", m.criteria_sha256.as_ref().map_or_else(|| "SHA-256 not noted".to_owned(), |s| format!("SHA-256 {s}"))),
    ]
}

/// What was typed: the binary is cargo's business, and where the run was to be put is that of whoever typed it.
fn command(line: &[String]) -> String {
    let mut words = Vec::new();
    let mut rest = line.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "--out" => drop(rest.next()),
            _ if word.starts_with("--out=") => {}
            _ => words.push(word),
        }
    }
    match words.split_first() {
        Some((program, rest)) if Path::new(program).file_stem().is_some_and(|name| name == "xtask") => {
            format!("cargo xtask {}", rest.join(" "))
        }
        _ => words.join(" "),
    }
}

/// Each tier's interpreter, whole, and how it was told to run.
fn interpreters(a: &Analysis) -> Vec<Vec<String>> {
    let tier = |t: &pepjit_harness::model::TierRecord| {
        let told: Vec<String> = t.env.iter().map(|(k, v)| format!("{k}={v}")).chain(t.args.iter().cloned()).collect();
        vec![
            t.name.clone(),
            t.interpreter.display().to_string(),
            t.version.clone(),
            t.build_flags.join(" "),
            t.sha256.clone(),
            told.join(" "),
        ]
    };
    a.manifest.tiers.iter().map(tier).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_command_says_what_was_measured_and_not_where_it_was_put() {
        let typed = |line: &str| super::command(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(typed("/x/target/release/xtask measure --out /tmp/a --rounds 3"), "cargo xtask measure --rounds 3");
        assert_eq!(typed("xtask measure --out=/tmp/a"), "cargo xtask measure");
        assert_eq!(typed("other --tiers a,b"), "other --tiers a,b");
    }
}
