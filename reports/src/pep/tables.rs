//! Tables of a draft, as list tables: they need no drawing, and their cells may wrap.

use std::fmt::Write as _;
use std::sync::Arc;

use minijinja::{Environment, Error};
use pepjit_harness::analysis::TierResult;
use pepjit_harness::governance;
use pepjit_harness::timeline::Standing;

use super::figures::{Shared, assessed, bound, criteria_note, judged_note, label_of, literal, lock, tier_note};
use super::{NOT_MEASURED, PepSources, refuse};
use crate::{Evidence, format};

pub(super) fn add(environment: &mut Environment<'_>, sources: &Arc<PepSources>, notes: &Shared) {
    let with = || (Arc::clone(sources), Arc::clone(notes));
    let (s, n) = with();
    environment.add_function("tiers", move || tiers(&s, &n));
    let (s, n) = with();
    environment.add_function("criteria", move |source: String, title: String| criteria(&s, &n, &source, &title));
    let (s, n) = with();
    environment.add_function("peers", move || peers(&s, &n));
    let (s, n) = with();
    environment.add_function("stages", move |file: Option<String>| stages(&s, &n, file.as_deref()));
    let (s, n) = with();
    environment.add_function("timeline", move || timeline(&s, &n));
    let (s, n) = with();
    environment.add_function("workloads", move |tier: String| workloads(&s, &n, &tier));
}

/// A list table: a title, headings, rows.
fn list_table(title: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!(".. list-table:: {title}\n   :header-rows: 1\n\n");
    let head: Vec<String> = heads.iter().map(|h| (*h).to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        for (index, cell) in row.iter().enumerate() {
            let start = if index == 0 { "   * - " } else { "     - " };
            let _ = writeln!(out, "{start}{}", if cell.is_empty() { "\\-" } else { cell });
        }
    }
    out
}

fn all_tiers(run: &Evidence) -> impl Iterator<Item = &TierResult> {
    run.analysis.tiers.iter().chain(&run.analysis.head_to_head)
}

/// Which suite a row is of, where there are several runs.
fn of_suite(sources: &PepSources, run: &Evidence) -> String {
    if sources.material.runs.len() > 1 { format!(", {}", run.analysis.manifest.suite) } else { String::new() }
}

/// Every tier of every run: speed, first iteration, memory.
fn tiers(sources: &PepSources, notes: &Shared) -> String {
    let mut notes = lock(notes);
    let mut rows = Vec::new();
    for run in &sources.material.runs {
        for t in all_tiers(run).filter(|t| t.suite.is_some()) {
            let (label, note) = tier_note(sources, run, t);
            rows.push(vec![
                format!("{} / {}{} {}", t.tier, t.against, of_suite(sources, run), notes.reference(&label, || note)),
                format::estimate(t.suite.as_ref()),
                format::percent(t.suite.as_ref().and_then(|s| s.mde)),
                format::estimate(t.first_iteration.as_ref()),
                format::estimate(t.memory.as_ref()),
            ]);
            notes.filled += 4;
        }
    }
    if rows.is_empty() {
        return notes.missing("tiers".to_owned());
    }
    list_table(
        "Geometric means; above 1 is faster, for memory it is more",
        &["Tier / baseline", "Speed-up", "MDE", "First iteration", "Peak memory"],
        &rows,
    )
}

/// The criteria whose source begins with one of these, divided by `|`, with what the runs say.
fn criteria(sources: &PepSources, notes: &Shared, source: &str, title: &str) -> Result<String, Error> {
    let mut notes = lock(notes);
    let (label, note) = criteria_note();
    let reference = notes.reference(label, || note);
    let mut rows = Vec::new();
    for c in sources.criteria.all.iter().filter(|c| source.split('|').any(|s| c.source.starts_with(s))) {
        let answer = if let Some((run, a)) = assessed(sources, &c.id) {
            let label = label_of(sources, "judged", run);
            notes.figure(&format!("{}: {}", a.status.word().to_lowercase(), literal(&a.finding)), &label, || judged_note(run))
        } else {
            notes.missing(format!("criterion {}", c.id))
        };
        rows.push(vec![
            literal(c.meaning.trim_end_matches('.')),
            bound(c).unwrap_or_else(|| "no number".to_owned()),
            c.deadline.clone().unwrap_or_default(),
            answer,
        ]);
    }
    if rows.is_empty() {
        return Err(refuse(format!("pep-draft/criteria.toml has no criterion whose source begins with {source:?}")));
    }
    let title = format!("{title} {reference}");
    Ok(list_table(&title, &["Criterion", "Number", "Deadline", "Answer"], &rows))
}

/// What each JIT of the runs is on each platform.
fn peers(sources: &PepSources, notes: &Shared) -> String {
    let mut notes = lock(notes);
    let mut rows = Vec::new();
    for run in &sources.material.runs {
        for t in run.analysis.tiers.iter().filter(|t| t.proof.needed && t.suite.is_some()) {
            let (label, note) = tier_note(sources, run, t);
            let extreme = |greatest| {
                t.extreme(greatest).and_then(|w| Some(format!("{} ({})", format::ratio(w.speedup.as_ref()?.ratio), w.name)))
            };
            rows.push(vec![
                format!("{}{} {}", t.tier, of_suite(sources, run), notes.reference(&label, || note)),
                format::estimate(t.suite.as_ref()),
                extreme(false).unwrap_or_else(|| NOT_MEASURED.to_owned()),
                extreme(true).unwrap_or_else(|| NOT_MEASURED.to_owned()),
                format::estimate(t.memory.as_ref()),
            ]);
            notes.filled += 4;
        }
    }
    if rows.is_empty() {
        return notes.missing("tiers with a JIT".to_owned());
    }
    list_table(
        "Just-in-time compilers in the same rounds",
        &["Tier", "Geometric mean", "Worst workload", "Best workload", "Peak memory"],
        &rows,
    )
}

/// One row per workload of a tier.
fn workloads(sources: &PepSources, notes: &Shared, name: &str) -> String {
    let mut notes = lock(notes);
    let Some((run, t)) = super::figures::tier(sources, name, None, None) else {
        return notes.missing(format!("workloads of {name}"));
    };
    let (label, note) = tier_note(sources, run, t);
    let reference = notes.reference(&label, || note);
    let rows: Vec<Vec<String>> = crate::terminal::ordered(t)
        .into_iter()
        .map(|w| vec![format!("``{}``", w.name), format::estimate(w.speedup.as_ref()), w.verdict.word().to_lowercase()])
        .collect();
    notes.filled += rows.len();
    format!(
        "{}\nFrom the raw files {reference}.",
        list_table(&format!("Every workload, {name}"), &["Workload", "Speed-up", "Verdict"], &rows)
    )
}

/// Who keeps each stage of CPython's JIT alive, or of that which another file is about.
fn stages(sources: &PepSources, notes: &Shared, file: Option<&str>) -> String {
    let mut notes = lock(notes);
    let annexes = &sources.material.annexes;
    let found = match file {
        None => annexes.governance.as_ref(),
        Some(file) => annexes.other_governance.iter().find(|(name, _)| name == file).map(|(_, g)| g),
    };
    let file = file.unwrap_or(governance::FILE);
    let Some(g) = found else {
        return format!("Maintenance of the stages: {}.", notes.missing(file.to_owned()));
    };
    let head: String = g.repository.head.chars().take(12).collect();
    let note =
        format!("``{file}``: {} at {head}, as of {}, by ``cargo xtask governance``.", g.repository.name, g.repository.as_of);
    let reference = notes.reference(&format!("stages-{file}"), || note);
    let row = |s: &governance::Stage| {
        vec![
            s.name.clone(),
            s.contributors.to_string(),
            s.active_recurring.to_string(),
            s.truck_factor_active.factor.to_string(),
            s.absence_factor.to_string(),
            s.deserted.len().to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = std::iter::once(&g.whole).chain(&g.stages).map(row).collect();
    notes.filled += rows.len() * 5;
    format!(
        "{}\nFrom the repository's history {reference}.",
        list_table(
            &format!("Maintenance by stage: {}", g.map.name),
            &[
                "Stage",
                "People",
                "Active and recurring",
                "Truck factor of the active",
                "Absence factor",
                "Files without an active author"
            ],
            &rows,
        )
    )
}

/// How the criteria stand against their deadlines.
fn timeline(sources: &PepSources, notes: &Shared) -> String {
    let mut notes = lock(notes);
    let Some(t) = &sources.material.timeline else { return notes.missing("timeline".to_owned()) };
    let reference = notes.reference("deadlines", || "``pep-draft/deadlines.toml``, each date with its source.".to_owned());
    let rows: Vec<Vec<String>> = t
        .steps
        .iter()
        .map(|s| {
            let expected = if s.deadline.expected { ", expected" } else { "" };
            let mut row = vec![s.deadline.name.clone(), format!("{}{expected}", s.deadline.date), s.days_left.to_string()];
            row.extend(Standing::ALL.map(|standing| s.count(standing).to_string()));
            row
        })
        .collect();
    notes.filled += rows.len() * 5;
    format!(
        "{}\nDays are counted from {} {reference}; below zero the deadline is past.",
        list_table(
            "Criteria by deadline",
            &["Deadline", "Date", "Days left", "Met", "At risk", "Missed", "Past, not shown"],
            &rows
        ),
        t.as_of
    )
}
