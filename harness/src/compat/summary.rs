//! Results in a sentence, for the PEP draft and the last line of the command.

use super::model::{Outcome, RowResult, Suite, Tools};

/// The tool matrix: `24 of 27 rows equal; differs: gdb (cpython-jit); not available: austin`.
pub(super) fn tools(rows: &[RowResult]) -> String {
    if rows.is_empty() {
        return "no row was run".to_owned();
    }
    let equal = rows.iter().filter(|row| row.outcome == Outcome::Equal).count();
    let mut parts = vec![format!("{equal} of {} rows equal", rows.len())];
    for (outcome, words) in [
        (Outcome::Differs, "different"),
        (Outcome::NoProof, "without proof that the JIT was at work"),
        (Outcome::Failed, "failed without a JIT too"),
        (Outcome::NotAvailable, "not available"),
    ] {
        let names: Vec<String> = rows.iter().filter(|row| row.outcome == outcome).map(|row| named(row, outcome)).collect();
        if !names.is_empty() {
            parts.push(format!("{words}: {}", names.join(", ")));
        }
    }
    parts.join("; ")
}

/// A row with the modes that it is about, where those aren't all.
fn named(row: &RowResult, outcome: Outcome) -> String {
    let modes: Vec<&str> = row.modes.iter().filter(|m| m.outcome == outcome).map(|m| m.mode.as_str()).collect();
    if modes.len() == row.modes.len() { row.name.clone() } else { format!("{} ({})", row.name, modes.join(", ")) }
}

/// CPython's tests.
pub(super) fn suite(suite: &Suite) -> String {
    let count = |outcome| suite.modules.iter().filter(|m| m.outcome == outcome).count();
    let mut parts =
        vec![format!("{} of {} modules equal test by test ({} tests)", count(Outcome::Equal), suite.modules.len(), suite.tests)];
    let expected: usize = suite.modules.iter().map(|m| m.expected.len()).sum();
    if expected > 0 {
        parts.push(format!("{expected} tests differ as is known and explained"));
    }
    let differing: usize = suite.modules.iter().map(|m| m.differences.len()).sum();
    if differing > 0 {
        parts.push(format!("{differing} tests in {} modules differ", count(Outcome::Differs)));
    }
    for (outcome, words) in [
        (Outcome::NoProof, "modules without proof that the JIT was at work"),
        (Outcome::Failed, "modules don't run without a JIT either"),
        (Outcome::NotAvailable, "modules are not there"),
    ] {
        if count(outcome) > 0 {
            parts.push(format!("{} {words}", count(outcome)));
        }
    }
    parts.join("; ")
}

/// Both.
pub(super) fn all(tools: &Tools, tests: Option<&Suite>) -> String {
    match tests {
        None => tools.summary.clone(),
        Some(suite) if tools.rows.is_empty() => format!("CPython's own tests: {}", suite.summary),
        Some(suite) => format!("{}; CPython's own tests: {}", tools.summary, suite.summary),
    }
}
