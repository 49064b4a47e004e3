//! The history of runs over commits, as Markdown, which a terminal shows well too.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use pepjit_harness::history::{History, LeftOut, Line, Move, TierHistory};

use crate::format;

/// So many suspects are named with each move.
const SUSPECTS: usize = 3;

/// What moved, in which commits, line by line and tier by tier.
pub fn history(history: &History) -> String {
    let mut out = String::from("# Speed-ups over commits\n");
    for line in &history.lines {
        one(&mut out, line);
    }
    if !history.left_out.is_empty() {
        out.push_str("\n## Left out\n\n");
        for l in &history.left_out {
            let _ = writeln!(out, "- {}", left_out(l));
        }
    }
    let _ = writeln!(
        out,
        "\nSpeed-ups against each run's own interpreter. A move is a change point over the runs in the order of their commits; noise alone \
         shows one in at most {} of tiers; moves below {} aren't told. That none is shown doesn't mean that there is none: few runs of \
         few rounds show large ones only.",
        format::percent(Some(history.alpha)),
        format::percent(Some(history.margin))
    );
    format::without_home(&out)
}

fn one(out: &mut String, line: &Line) {
    let _ = writeln!(out, "\n## Suite {} on CPython {}, {}, {}\n", line.suite, line.python, line.cpu_model, line.platform);
    let _ = writeln!(out, "{}.\n", extent(line));
    for run in &line.runs {
        let dirty = if run.dirty { ", with changes that no commit has" } else { "" };
        let _ = writeln!(out, "- {} {} ({}{dirty}) {}", short(&run.commit), run.summary, run.run_id, run.date);
    }
    if line.runs.len() > 1 {
        for tier in &line.tiers {
            moves(out, line, tier);
        }
    }
}

/// How many runs a line has, over how many commits.
pub(crate) fn extent(line: &Line) -> String {
    let commits: usize = line.runs.iter().map(|run| run.commits_since).sum();
    let runs = format::of(line.runs.len() as u64, "run");
    if line.runs.len() < 2 {
        return format!("{runs}: there is nothing yet to compare it with");
    }
    format!("{runs} over {}", format::of(commits as u64 + 1, "commit"))
}

/// A run without a place, by its name: its folder is nobody else's.
pub(crate) fn left_out(l: &LeftOut) -> String {
    let name = Path::new(&l.run).file_name().map_or_else(|| l.run.clone(), |name| name.to_string_lossy().into_owned());
    format!("{name}: {}", l.reason)
}

/// The suite's mean at both ends of the line, and over which workloads.
pub(crate) fn ends(line: &Line, tier: &TierHistory) -> String {
    let runs = tier.workloads.iter().flat_map(|w| &w.points).map(|p| p.run).collect::<BTreeSet<_>>().len();
    if runs < 2 {
        return format!("{} of {} has this tier.", runs, format::of(line.runs.len() as u64, "run"));
    }
    let (Some(first), Some(last)) = (tier.suite.points.first(), tier.suite.points.last()) else {
        return format!("No workload is in each of its {runs} runs, so that there is no mean over them.");
    };
    let common = tier.workloads.iter().filter(|w| w.points.len() == runs).count();
    format!(
        "Geometric mean of the {} that each of its {runs} runs has: {} at first, {} now.",
        format::of(common as u64, "workload"),
        format::ratio(first.ratio),
        format::ratio(last.ratio)
    )
}

/// What to say of a tier in which no move was found.
pub(crate) fn no_move(tier: &TierHistory) -> &'static str {
    // Without two rounds in any run there is no measure of noise, and no stretch either.
    let judged = tier.workloads.iter().chain([&tier.suite]).any(|series| series.points.len() > 1 && !series.segments.is_empty());
    let compared = tier.workloads.iter().any(|series| series.points.len() > 1);
    match (compared, judged) {
        (false, _) => "No workload of it was measured twice.",
        (true, false) => "? Inconclusive: the runs have too few rounds to tell noise from a move.",
        (true, true) => "No move is shown.",
    }
}

fn moves(out: &mut String, line: &Line, tier: &TierHistory) {
    let _ = writeln!(out, "\n### {}\n", tier.tier);
    let _ = writeln!(out, "{}\n", ends(line, tier));
    if tier.moves.is_empty() {
        let _ = writeln!(out, "{}", no_move(tier));
        return;
    }
    out.push_str("| what | change | 95 % interval | before | after | commits |\n| --- | ---: | ---: | ---: | ---: | --- |\n");
    for m in &tier.moves {
        let _ = writeln!(
            out,
            "| {} | {} {} | {} | {} | {} | {} |",
            m.workload.as_deref().unwrap_or("geometric mean"),
            if m.change >= 1.0 { "▲" } else { "▼" },
            format::change(m.change),
            format::interval(Some(m.ci)),
            format::ratio(m.ratio_before),
            format::ratio(m.ratio_after),
            suspects(line, m).replace('|', "\\|")
        );
    }
}

/// The commits that a move may come from.
pub(crate) fn suspects(line: &Line, m: &Move) -> String {
    if m.suspects.is_empty() {
        let dirty = [m.before, m.after].iter().any(|run| line.runs[*run].dirty);
        return if dirty { "none: changes that no commit has" } else { "none: the same commit, measured twice" }.to_owned();
    }
    let named = m.suspects.iter().take(SUSPECTS).map(|s| format!("{} {}", short(&s.commit), s.summary));
    let mut text = named.collect::<Vec<_>>().join("; ");
    if m.suspects_total > SUSPECTS {
        let _ = write!(text, "; and {} more", m.suspects_total - SUSPECTS);
    }
    text
}

fn short(commit: &str) -> &str {
    commit.get(..9).unwrap_or(commit)
}
