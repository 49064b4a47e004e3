//! The history of runs over commits, as Markdown, which a terminal shows well too.

use std::fmt::Write as _;

use pepjit_harness::history::{History, Line, Move, TierHistory};

use crate::format;

/// So many suspects are named with each move.
const SUSPECTS: usize = 3;

/// What moved, in which commits, line by line and tier by tier.
pub fn history(history: &History) -> String {
    let mut out = String::from("# History\n");
    for line in &history.lines {
        one(&mut out, line);
    }
    if !history.left_out.is_empty() {
        out.push_str("\n## Left out\n\n");
        for l in &history.left_out {
            let _ = writeln!(out, "- {}: {}", l.run, l.reason);
        }
    }
    let _ = writeln!(
        out,
        "\nSpeed-ups against each run's own interpreter. A move is a change point over the runs in the order of their commits; noise alone \
         shows one in at most {} of tiers; moves below {} aren't told.",
        format::percent(Some(history.alpha)),
        format::percent(Some(history.margin))
    );
    out
}

fn one(out: &mut String, line: &Line) {
    let _ = writeln!(out, "\n## {} on {}, {}, {}\n", line.suite, line.python, line.cpu_model, line.platform);
    let commits: usize = line.runs.iter().map(|run| run.commits_since).sum();
    let _ = writeln!(out, "{} runs over {} commits.\n", line.runs.len(), commits + 1);
    for run in &line.runs {
        let dirty = if run.dirty { ", with changes that no commit has" } else { "" };
        let _ = writeln!(out, "- {} {} ({}{dirty}) {}", short(&run.commit), run.summary, run.run_id, run.date);
    }
    for tier in &line.tiers {
        moves(out, line, tier);
    }
}

fn moves(out: &mut String, line: &Line, tier: &TierHistory) {
    let _ = writeln!(out, "\n### {}\n", tier.tier);
    if let (Some(first), Some(last)) = (tier.suite.points.first(), tier.suite.points.last()) {
        let _ = writeln!(out, "Geometric mean: {} at first, {} now.\n", format::ratio(first.ratio), format::ratio(last.ratio));
    }
    if tier.moves.is_empty() {
        out.push_str(if line.runs.len() < 2 { "One run: nothing can have moved.\n" } else { "Nothing moved.\n" });
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
            suspects(line, m)
        );
    }
}

fn suspects(line: &Line, m: &Move) -> String {
    if m.suspects.is_empty() {
        let dirty = [m.before, m.after].iter().any(|run| line.runs[*run].dirty);
        return if dirty { "none: changes that no commit has" } else { "none: the same commit, measured twice" }.to_owned();
    }
    let named = m.suspects.iter().take(SUSPECTS).map(|s| format!("{} {}", short(&s.commit), s.summary.replace('|', "\\|")));
    let mut text = named.collect::<Vec<_>>().join("; ");
    if m.suspects_total > SUSPECTS {
        let _ = write!(text, "; and {} more", m.suspects_total - SUSPECTS);
    }
    text
}

fn short(commit: &str) -> &str {
    commit.get(..9).unwrap_or(commit)
}
