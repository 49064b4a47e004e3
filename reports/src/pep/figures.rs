//! The functions that a template takes its figures from.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::Kwargs;
use minijinja::{Environment, Error};
use pepjit_harness::analysis::{Estimate, TierResult, Verdict};
use pepjit_harness::criteria::{Assessment, Criterion, Status, Threshold};
use pepjit_harness::model::DesignKind;
use serde_json::Value;

use super::notes::{Notes, hash, identity};
use super::{PepSources, refuse};
use crate::{Evidence, format, terminal};

pub(super) type Shared = Arc<Mutex<Notes>>;

pub(super) fn lock(notes: &Shared) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn add(environment: &mut Environment<'_>, sources: &Arc<PepSources>, notes: &Shared) {
    // Each function has the sources and the notes; which arguments the template gives is its own.
    let with = || (Arc::clone(sources), Arc::clone(notes));
    let (s, n) = with();
    environment.add_function("fig", move |tier: String, what: String, against: Option<String>, options: Kwargs| {
        let suite: Option<String> = options.get("suite")?;
        options.assert_all_used()?;
        fig(&s, &n, &tier, &what, against.as_deref(), suite.as_deref())
    });
    let (s, n) = with();
    environment.add_function("run", move |what: String| run(&s, &n, &what));
    let (s, n) = with();
    environment.add_function("threshold", move |id: String| threshold(&s, &n, &id));
    let (s, n) = with();
    environment.add_function("status", move |id: String| status(&s, &n, &id));
    let (s, n) = with();
    environment.add_function("finding", move |id: String| finding(&s, &n, &id));
    let (s, n) = with();
    environment.add_function("deadline", move |name: String| deadline(&s, &n, &name));
    let (s, n) = with();
    environment.add_function("file", move |name: String, pointer: String, kind: Option<String>| {
        file(&s, &n, &name, &pointer, kind.as_deref().unwrap_or("text"))
    });
    environment.add_function("notes", || super::notes::PLACE);
}

/// The first run, of a suite if that is named, that has the tier against the other one (without a name, against the baseline).
pub(super) fn tier<'a>(
    sources: &'a PepSources,
    name: &str,
    against: Option<&str>,
    suite: Option<&str>,
) -> Option<(&'a Evidence, &'a TierResult)> {
    let runs = sources.material.runs.iter().filter(|run| suite.is_none_or(|suite| run.analysis.manifest.suite == suite));
    runs.into_iter().find_map(|run| {
        let a = &run.analysis;
        let other = against.unwrap_or(&a.manifest.baseline);
        let found = a.tiers.iter().chain(&a.head_to_head).find(|t| t.tier == name && t.against == other && t.suite.is_some())?;
        Some((run, found))
    })
}

/// A footnote's label; those of further runs have their number.
pub(super) fn label_of(sources: &PepSources, what: &str, run: &Evidence) -> String {
    let id = &run.analysis.manifest.run_id;
    let at = sources.material.runs.iter().position(|r| r.analysis.manifest.run_id == *id).unwrap_or(0);
    if at == 0 { what.to_owned() } else { format!("{what}-run-{}", at + 1) }
}

/// Code in Markdown's way, in reStructuredText's.
pub(super) fn literal(text: &str) -> String {
    if text.contains("``") { text.to_owned() } else { text.replace('`', "``") }
}

/// The footnote of a tier's figures.
pub(super) fn tier_note(sources: &PepSources, run: &Evidence, tier: &TierResult) -> (String, String) {
    let m = &run.analysis.manifest;
    let label = label_of(sources, &format!("{}-{}", tier.tier, tier.against), run);
    let note = format!(
        "``raw/{}/`` against ``raw/{}/``, {} of {} workloads of the suite {}, {}.",
        tier.tier,
        tier.against,
        tier.covered.len(),
        tier.workloads.len(),
        m.suite,
        identity(run)
    );
    (label, note)
}

fn fig(
    sources: &PepSources,
    notes: &Shared,
    name: &str,
    what: &str,
    against: Option<&str>,
    suite: Option<&str>,
) -> Result<String, Error> {
    const KNOWN: [&str; 14] = [
        "speed",
        "change",
        "first",
        "memory",
        "worst",
        "best",
        "faster",
        "slower",
        "unchanged",
        "open",
        "workloads",
        "mde",
        "break-even",
        "beyond",
    ];
    if !KNOWN.contains(&what) {
        return Err(refuse(format!("fig() doesn't know {what:?}; it knows {}", KNOWN.join(", "))));
    }
    let mut notes = lock(notes);
    let found = tier(sources, name, against, suite);
    let text = found.and_then(|(_, t)| tier_text(t, what));
    let (Some((run, t)), Some(text)) = (found, text) else {
        let of = suite.map_or_else(String::new, |suite| format!(" in {suite}"));
        return Ok(notes.missing(format!("{what} of {name}{of}")));
    };
    let (label, note) = tier_note(sources, run, t);
    Ok(notes.figure(&text, &label, || note))
}

fn tier_text(t: &TierResult, what: &str) -> Option<String> {
    let estimate = |e: Option<&Estimate>| e.map(|e| format::estimate(Some(e)));
    let extreme = |greatest| {
        let w = t.extreme(greatest)?;
        Some(format!("{} (``{}``)", format::estimate(Some(w.speedup.as_ref()?)), w.name))
    };
    let count = |v| Some(format!("{} of {}", t.count(v), t.workloads.len()));
    match what {
        "speed" => estimate(t.suite.as_ref()),
        "change" => t.suite.as_ref().map(|s| format::change(s.ratio)),
        "first" => estimate(t.first_iteration.as_ref()),
        "memory" => estimate(t.memory.as_ref()),
        "worst" => extreme(false),
        "best" => extreme(true),
        "faster" => count(Verdict::Faster),
        "slower" => count(Verdict::Slower),
        "unchanged" => count(Verdict::NoChange),
        "open" => count(Verdict::Inconclusive),
        "workloads" => Some(t.workloads.len().to_string()),
        "mde" => t.suite.as_ref().and_then(|s| s.mde).map(|m| format::percent(Some(m))),
        "beyond" => t.beyond.map(|b| format::interval(Some(b))),
        "break-even" => {
            let mut known: Vec<f64> =
                t.workloads.iter().filter(|w| w.speedup.is_some()).map(|w| w.break_even.unwrap_or(f64::INFINITY)).collect();
            known.sort_by(f64::total_cmp);
            let middle = *known.get(known.len() / 2)?;
            Some(if middle.is_finite() { format!("{middle:.0}") } else { "never".to_owned() })
        }
        _ => None,
    }
}

/// What a run is, for the first one.
fn run(sources: &PepSources, notes: &Shared, what: &str) -> Result<String, Error> {
    let mut notes = lock(notes);
    let Some(run) = sources.material.runs.first() else { return Ok(notes.missing("a run".to_owned())) };
    let a = &run.analysis;
    let m = &a.manifest;
    let text = match what {
        "id" => m.run_id.clone(),
        "platform" => m.platform.clone(),
        "cpu" => m.host.cpu_model.clone(),
        "python" => m.tier(&m.baseline).map(|t| t.version.clone()).unwrap_or_default(),
        "suite" => m.suite.clone(),
        "workloads" => m.workloads.len().to_string(),
        "rounds" => a.health.complete_rounds.to_string(),
        "processes" => format::count(a.health.processes as f64),
        "failed" => a.health.failed.to_string(),
        "day" => m.created.chars().take(10).collect(),
        "span" => format::span(a.health.span_s),
        "design" => match m.design.kind {
            DesignKind::Interleaved => "interleaved process pairs".to_owned(),
            DesignKind::Coscheduled => "co-scheduled blocks".to_owned(),
        },
        "spread" => terminal::spread(a.control()),
        other => return Err(refuse(format!("run() doesn't know {other:?}"))),
    };
    Ok(notes
        .figure(&text, &label_of(sources, "run", run), || format!("``manifest.json`` and ``journal.jsonl``, {}.", identity(run))))
}

pub(super) fn criterion<'a>(sources: &'a PepSources, id: &str) -> Result<&'a Criterion, Error> {
    let found = sources.criteria.all.iter().find(|c| c.id == id);
    found.ok_or_else(|| refuse(format!("pep-draft/criteria.toml has no criterion {id}")))
}

/// A criterion's number as its source states it.
pub(super) fn bound(c: &Criterion) -> Option<String> {
    let (value, unit) = c.threshold.bound()?;
    let number = match unit {
        "ratio" => format!("{value}x"),
        "share" => format::percent(Some(value)),
        "iterations" => format!("{value} iterations"),
        _ => format!("{value}"),
    };
    Some(match c.threshold {
        Threshold::AtLeast { .. } => format!("at least {number}"),
        Threshold::AtMost { .. } => format!("at most {number}"),
        Threshold::Above { .. } => format!("more than {number}"),
        Threshold::Within { .. } => format!("within {number}"),
        _ => number,
    })
}

pub(super) fn criteria_note() -> (&'static str, String) {
    (
        "criteria",
        "``pep-draft/criteria.toml``, each with its source; thresholds are ratios against the baseline that is named there."
            .to_owned(),
    )
}

fn threshold(sources: &PepSources, notes: &Shared, id: &str) -> Result<String, Error> {
    let text = bound(criterion(sources, id)?).ok_or_else(|| refuse(format!("{id} has no number")))?;
    let (label, note) = criteria_note();
    Ok(lock(notes).figure(&text, label, || note))
}

/// What the runs say of a criterion: the strongest answer, with its run.
pub(super) fn assessed<'a>(sources: &'a PepSources, id: &str) -> Option<(&'a Evidence, &'a Assessment)> {
    let said = sources.material.runs.iter().filter_map(|run| {
        let found = run.judgement.as_ref()?.criteria.iter().find(|a| a.criterion.id == id)?;
        (found.status != Status::NotMeasured).then_some((run, found))
    });
    said.min_by_key(|(_, a)| match a.status {
        Status::Met => 0,
        Status::NotMet => 1,
        Status::NoLimit => 2,
        Status::Inconclusive => 3,
        Status::NotMeasured => 4,
    })
}

fn judged(sources: &PepSources, notes: &Shared, id: &str, text: fn(&Assessment) -> String) -> Result<String, Error> {
    criterion(sources, id)?;
    let mut notes = lock(notes);
    Ok(match assessed(sources, id) {
        None => notes.missing(format!("criterion {id}")),
        Some((run, a)) => notes.figure(&text(a), &label_of(sources, "judged", run), || judged_note(run)),
    })
}

pub(super) fn judged_note(run: &Evidence) -> String {
    format!("Judged by ``cargo xtask gate`` on the raw files of {}.", identity(run))
}

fn status(sources: &PepSources, notes: &Shared, id: &str) -> Result<String, Error> {
    judged(sources, notes, id, |a| a.status.word().to_lowercase())
}

fn finding(sources: &PepSources, notes: &Shared, id: &str) -> Result<String, Error> {
    judged(sources, notes, id, |a| format!("{} ({})", literal(&a.finding), a.status.word().to_lowercase()))
}

fn deadline(sources: &PepSources, notes: &Shared, name: &str) -> Result<String, Error> {
    let found = sources.deadlines.all.iter().find(|d| d.name == name);
    let d = found.ok_or_else(|| refuse(format!("pep-draft/deadlines.toml has no deadline {name:?}")))?;
    let text = if d.expected { format!("{} (expected)", d.date) } else { d.date.to_string() };
    Ok(lock(notes).figure(&text, "deadlines", || "``pep-draft/deadlines.toml``, each date with its source.".to_owned()))
}

/// A figure of a JSON file that another command left beside the run.
fn file(sources: &PepSources, notes: &Shared, name: &str, pointer: &str, kind: &str) -> Result<String, Error> {
    let mut notes = lock(notes);
    let Some(path) = sources.beside.iter().map(|folder| folder.join(name)).find(|p| p.is_file()) else {
        return Ok(notes.missing(format!("{name}{pointer}")));
    };
    let text = std::fs::read_to_string(&path).map_err(|e| refuse(format!("cannot read {}: {e}", path.display())))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| refuse(format!("{} is damaged: {e}", path.display())))?;
    let value = json.pointer(pointer).filter(|v| !v.is_null());
    let Some(text) = value.and_then(|v| shown(v, kind)) else {
        return Ok(notes.missing(format!("{name}{pointer}")));
    };
    let hash = hash(&path).unwrap_or_default();
    Ok(notes.figure(&text, name, || format!("``{name}`` beside the run, SHA-256 {hash}.")))
}

fn shown(value: &Value, kind: &str) -> Option<String> {
    Some(match kind {
        "count" => format::count(value.as_f64()?),
        "share" => format::percent(Some(value.as_f64()?)),
        "seconds" => format::span(value.as_f64()?),
        "bytes" => format::kib(Some(value.as_f64()? / 1024.0)),
        "kib" => format::kib(Some(value.as_f64()?)),
        "length" => value.as_array()?.len().to_string(),
        "yes" => if value.as_bool()? { "yes" } else { "no" }.to_owned(),
        _ => match value {
            Value::String(s) if !s.is_empty() => s.clone(),
            Value::Number(n) => n.to_string(),
            Value::Bool(b) => b.to_string(),
            Value::Array(items) => {
                let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                if words.is_empty() { "none".to_owned() } else { words.join(", ") }
            }
            _ => return None,
        },
    })
}
