//! The governance of a repository, as Markdown and for a terminal.

use std::fmt::Write as _;

use pepjit_harness::governance::{Governance, Rearchitecture, Stage};
use tabled::builder::Builder;

use crate::format;
use crate::terminal::styled;

/// Of the lists of people, pairs and files, so many rows are shown; `governance.json` has all that there are.
const ROWS: usize = 10;

/// A table: its columns, from which on they hold numbers, and its rows.
struct Table {
    heads: Vec<&'static str>,
    numbers: std::ops::Range<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn text(&self) -> String {
        let mut table = Builder::default();
        table.push_record(self.heads.iter().copied());
        for row in &self.rows {
            table.push_record(row.iter().map(String::as_str));
        }
        styled(table, self.numbers.clone())
    }

    fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut out = line(self.heads.iter().map(|head| (*head).to_owned()).collect());
        out += &line((0..self.heads.len()).map(|i| if self.numbers.contains(&i) { "---:" } else { "---" }.to_owned()).collect());
        for row in &self.rows {
            out += &line(row.iter().map(|cell| cell.replace('|', "\\|")).collect());
        }
        out
    }
}

/// What a terminal shows: the stages, and what stands out.
pub fn governance(g: &Governance) -> String {
    let mut out = format!("{}\n\n{}\n\n", heading(g), stages(g).text());
    let _ = writeln!(out, "{}", together(g));
    for stage in &g.stages {
        let _ = writeln!(out, "{}", leaving(stage));
    }
    if !g.rearchitecture.is_empty() {
        let _ = writeln!(out, "\n{}", turns(g).text());
    }
    let _ = writeln!(out, "\n{}", left_out(g));
    out
}

/// The same as a document, with people, years, pairs and deserted files.
pub fn governance_markdown(g: &Governance) -> String {
    let mut out = format!("# Governance\n\n{}\n\n{}\n", heading(g), stages(g).markdown());
    for stage in &g.stages {
        let _ = writeln!(out, "- {}", leaving(stage));
    }
    let _ = writeln!(out, "\n## Interpreter and JIT together\n\n{}\n", together(g));
    if !g.co_change.pairs.is_empty() {
        out += &pairs(g).markdown();
    }
    out += "\n## Re-architecture\n\n";
    if g.rearchitecture.is_empty() {
        out += "No commit removed that much of a stage.\n";
    } else {
        out += &turns(g).markdown();
    }
    for stage in &g.stages {
        let _ = writeln!(out, "\n## {}\n\n{}\n{}", stage.name, people(stage).markdown(), years(stage).markdown());
        if !stage.deserted.is_empty() {
            let shown = stage.deserted.len().min(ROWS);
            let _ = writeln!(out, "Files without an active author, {shown} of {}:\n", stage.deserted.len());
            out += &deserted(stage).markdown();
        }
    }
    let _ = writeln!(out, "\n## What this rests on\n\n{}\n\n{}", left_out(g), definitions(g));
    format::without_home(&out)
}

fn heading(g: &Governance) -> String {
    let r = &g.repository;
    format!(
        "{} of {}: {} commits from {} to {}, {}",
        g.map.name,
        r.name,
        format::count(r.commits as f64),
        day(&r.since),
        day(&r.as_of),
        r.head.get(..12).unwrap_or(&r.head)
    )
}

fn day(moment: &str) -> &str {
    moment.get(..10).unwrap_or(moment)
}

fn stages(g: &Governance) -> Table {
    let rows = g.stages.iter().chain([&g.whole]).map(|s| {
        let number = |n: usize| format::count(n as f64);
        vec![
            s.name.clone(),
            number(s.files),
            format::count(s.lines as f64),
            number(s.commits),
            number(s.contributors),
            number(s.recurring),
            number(s.active_recurring),
            number(s.truck_factor.factor),
            number(s.truck_factor_active.factor),
            number(s.absence_factor),
            s.absence_factor_active.map_or_else(|| format::NONE.to_owned(), number),
            format!("+{} -{}", format::count(s.churn.added as f64), format::count(s.churn.removed as f64)),
            number(s.deserted.len()),
        ]
    });
    Table {
        heads: vec![
            "stage",
            "files",
            "lines",
            "commits",
            "people",
            "recurring",
            "of these active",
            "truck factor",
            "of those active",
            "absence factor",
            "of late",
            "churn",
            "deserted files",
        ],
        numbers: 1..13,
        rows: rows.collect(),
    }
}

fn leaving(stage: &Stage) -> String {
    let t = &stage.truck_factor;
    if stage.files == 0 {
        return format!("{}: has no file today", stage.name);
    }
    if t.factor == 0 {
        return format!("{}: over half of its files have no author", stage.name);
    }
    let names: Vec<String> = t.leave.iter().take(ROWS).map(|author| format!("{} ({})", author.name, author.files)).collect();
    let more = if t.leave.len() > ROWS { format!(" and {} more", t.leave.len() - ROWS) } else { String::new() };
    format!("{}: over half of its {} files have no author left without {}{more}", stage.name, stage.files, names.join(", "))
}

fn together(g: &Governance) -> String {
    let c = &g.co_change;
    if c.interpreter == 0 {
        return "No commit changed the interpreter's files of the map since every stage had a file.".to_owned();
    }
    format!(
        "Since {}, {} commits changed the interpreter and {} a stage; {} changed both: {} of the interpreter's.",
        c.since,
        format::count(c.interpreter as f64),
        format::count(c.stages as f64),
        format::count(c.both as f64),
        format::percent(c.share)
    )
}

fn turns(g: &Governance) -> Table {
    let rows = g.rearchitecture.iter().map(|t| {
        vec![
            t.date.clone(),
            t.stage.clone(),
            t.commit.get(..12).unwrap_or(&t.commit).to_owned(),
            format!("{} of {}", lines_of(t), t.lines_before),
            t.summary.clone(),
        ]
    });
    Table { heads: vec!["day", "stage", "commit", "lines", "what"], numbers: 3..4, rows: rows.collect() }
}

/// What a commit did to a stage's lines, without those that only moved: `-300 +20`.
pub(crate) fn lines_of(t: &Rearchitecture) -> String {
    let moved = if t.stayed > 0 { format!(", {} moved", t.stayed) } else { String::new() };
    format!("-{} +{}{moved}", t.churn.removed - t.stayed, t.churn.added.saturating_sub(t.stayed))
}

fn pairs(g: &Governance) -> Table {
    let rows = g.co_change.pairs.iter().take(ROWS).map(|p| {
        let share = p.together as f64 / p.interpreter_commits.max(1) as f64;
        vec![p.interpreter.clone(), p.stage.clone(), p.together.to_string(), format::percent(Some(share))]
    });
    let heads = vec!["interpreter", "stage", "commits of both", "of the interpreter file's"];
    Table { heads, numbers: 2..4, rows: rows.collect() }
}

fn people(stage: &Stage) -> Table {
    let rows = stage.top.iter().take(ROWS).map(|p| {
        let yes = |holds: bool| if holds { "yes" } else { "no" }.to_owned();
        vec![
            p.name.clone(),
            p.commits.to_string(),
            format::percent(Some(p.share)),
            p.first.clone(),
            p.last.clone(),
            yes(p.recurring),
            yes(p.active),
        ]
    });
    let heads = vec!["person", "commits", "of all", "first", "last", "recurring", "active"];
    Table { heads, numbers: 1..3, rows: rows.collect() }
}

fn years(stage: &Stage) -> Table {
    let rows = stage.years.iter().map(|y| {
        vec![
            y.year.to_string(),
            y.commits.to_string(),
            y.contributors.to_string(),
            y.returning.to_string(),
            format!("+{} -{}", y.churn.added, y.churn.removed),
        ]
    });
    Table { heads: vec!["year", "commits", "people", "returning", "churn"], numbers: 1..5, rows: rows.collect() }
}

fn deserted(stage: &Stage) -> Table {
    let rows = stage.deserted.iter().take(ROWS).map(|d| {
        let authors = if d.authors.is_empty() { "nobody".to_owned() } else { d.authors.join(", ") };
        vec![d.path.clone(), format::count(d.days as f64), authors, d.last_change.clone()]
    });
    Table { heads: vec!["file", "days", "authors", "last change"], numbers: 1..2, rows: rows.collect() }
}

fn left_out(g: &Governance) -> String {
    let (e, i) = (&g.excluded, &g.identities);
    let blind = match e.blind_commits {
        0 => String::new(),
        n => format!(
            " In {} the clone lacks contents, so that files were followed only where they stayed the same.",
            format::of(n as u64, "commit")
        ),
    };
    format!(
        "Left out: {} merges; {} commits of bots ({}); generated files ({}). {} signatures are {} people: .mailmap renamed {}, the same full \
         name merged {}.{blind}",
        format::count(e.merges as f64),
        format::count(e.bot_commits as f64),
        format::some(&e.bots),
        format::some(&e.generated),
        format::count(i.signatures as f64),
        format::count(i.people as f64),
        i.by_mailmap,
        i.by_name
    )
}

fn definitions(g: &Governance) -> String {
    let r = g.map.rules;
    format!(
        "*Truck factor*: how many people have to leave until over half of the files have no author, the authors of most files first (Avelino \
         et al. 2016); an author has a degree of authorship (Fritz et al. 2014) of at least 3.293 and over three quarters of the file's \
         greatest; the making of a file counts as first authorship, each later commit as a delivery; files are followed through renames. \
         *Absence factor*: the fewest people with half of the commits (CHAOSS). *Active*: a commit within {} days before the newest one; \
         *recurring*: {} commits or more over {} days or more. *Deserted*: none of the file's authors committed anything within that time; days \
         since the last of them did. *Re-architecture*: a commit that removes {} of a stage's lines, and {} at least; lines that it adds again to any stage, moved or indented, don't count. Co-authors {}.",
        r.active_days,
        r.recurring_commits,
        r.recurring_days,
        format::percent(Some(r.rearchitecture_share)),
        r.rearchitecture_lines,
        if r.co_authors { "count as authors" } else { "don't count" }
    )
}
