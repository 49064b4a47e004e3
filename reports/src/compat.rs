//! The tool matrix and CPython's own tests as Markdown, which a terminal shows well too.

use std::fmt::Write as _;

use pepjit_harness::compat::{Compat, Difference, ModuleResult, Outcome, RowResult, Suite};

use crate::format;

/// What came of it, in a sentence: of the parts, as earlier files put the whole in other words.
pub(crate) fn summary(compat: &Compat) -> String {
    let tools = (!compat.tools.rows.is_empty()).then(|| compat.tools.summary.clone());
    let tests = compat.cpython_tests.as_ref().map(|tests| format!("CPython's own tests: {}", tests.summary));
    match (tools, tests) {
        (Some(tools), Some(tests)) => format!("{tools}; {tests}"),
        (tools, tests) => tools.or(tests).unwrap_or_else(|| "nothing was run".to_owned()),
    }
}

/// So many differences of a row are told; the JSON has more.
pub(crate) const SHOWN: usize = 6;

/// The whole of it, with everything that isn't equal in detail.
pub fn compat(compat: &Compat) -> String {
    let mut out = format!("# Compatibility: CPython {} on {}\n\n", compat.provenance.python, compat.provenance.platform);
    let _ = writeln!(out, "{}, {}. {}.", compat.provenance.sources(), compat.provenance.created, capital(&summary(compat)));
    if !compat.tools.rows.is_empty() {
        tools(&mut out, compat);
    }
    if let Some(tests) = &compat.cpython_tests {
        suite(&mut out, tests);
    }
    format::without_home(&out)
}

fn tools(out: &mut String, compat: &Compat) {
    let modes: Vec<&str> = compat.modes.iter().skip(1).map(|m| m.name.as_str()).collect();
    let _ = writeln!(out, "\n## Tools\n\nEach row without a JIT against the same with one, in processes of their own.\n");
    let _ = writeln!(out, "| row | compared | {} | time |", modes.join(" | "));
    let _ = writeln!(out, "| --- | --- |{} ---: |", " --- |".repeat(modes.len()));
    for row in &compat.tools.rows {
        let cells: Vec<String> = modes.iter().map(|mode| cell(row, mode)).collect();
        let _ =
            writeln!(out, "| {} | {} | {} | {} |", row.name, row.checks, cells.join(" | "), format::seconds(Some(row.seconds)));
    }
    for row in &compat.tools.rows {
        for mode in row.modes.iter().filter(|m| m.outcome != Outcome::Equal) {
            if row
                .modes
                .first()
                .is_some_and(|first| first.mode != mode.mode && first.message == mode.message && mode.differences.is_empty())
            {
                continue;
            }
            let _ = writeln!(out, "\n{} {}, {}: {}", mode.outcome.symbol(), row.name, mode.mode, mode.outcome.word());
            if !mode.message.is_empty() {
                let _ = writeln!(out, "\n{}", indented(&mode.message));
            }
            differences(out, &mode.differences);
        }
    }
}

/// What came of a row in a mode, in a word.
pub(crate) fn cell(row: &RowResult, mode: &str) -> String {
    let found = row.modes.iter().find(|m| m.mode == mode);
    found.map_or_else(|| "-".to_owned(), |m| format!("{} {}", m.outcome.symbol(), m.outcome.word()))
}

fn differences(out: &mut String, list: &[Difference]) {
    for d in list.iter().take(SHOWN) {
        let or_nothing =
            |text: &str| if text.is_empty() { "nothing".to_owned() } else { format!("`{}`", text.replace('`', "'")) };
        let _ = writeln!(out, "- {}: {} without, {} with the JIT", d.at, or_nothing(&d.off), or_nothing(&d.on));
    }
    if list.len() > SHOWN {
        let _ = writeln!(out, "- and at least {} more", list.len() - SHOWN);
    }
}

fn suite(out: &mut String, suite: &Suite) {
    let _ = writeln!(out, "\n## CPython's own tests\n\nMode `{}`: {}.\n", suite.mode, suite.summary);
    out.push_str("| module | tests | passed | | differ | as expected | unsteady | time without | with |\n");
    out.push_str("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n");
    for m in &suite.modules {
        let _ = writeln!(out, "| {} |", module_cells(m).join(" | "));
    }
    for m in suite.modules.iter().filter(|m| m.outcome != Outcome::Equal) {
        let _ = writeln!(out, "\n{} {}: {}", m.outcome.symbol(), m.module, m.outcome.word());
        if !m.message.is_empty() {
            let _ = writeln!(out, "\n{}", indented(&m.message));
        }
        for d in &m.differences {
            let test = if d.test.is_empty() { "the module" } else { &d.test };
            let _ = writeln!(out, "- {test}: {} without, {} with the JIT", d.off, d.on);
            if !d.detail.is_empty() {
                let _ = writeln!(out, "\n{}\n", indented(&d.detail));
            }
        }
    }
    for entry in &suite.stale {
        let _ = writeln!(out, "\n! No longer needed in the list of expected differences: {entry}");
    }
}

/// A module's row of figures.
pub(crate) fn module_cells(m: &ModuleResult) -> Vec<String> {
    vec![
        m.module.clone(),
        m.tests.to_string(),
        m.passed.to_string(),
        format!("{} {}", m.outcome.symbol(), m.outcome.word()),
        m.differences.len().to_string(),
        m.expected.len().to_string(),
        m.unsteady.len().to_string(),
        format::seconds(Some(m.seconds.0)),
        format::seconds(Some(m.seconds.1)),
    ]
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}
