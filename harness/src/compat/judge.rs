//! What `compat.json` beside a run says of a criterion.

use std::fmt::Write as _;
use std::path::Path;

use super::model::{Compat, FILE, Outcome, SCHEMA_VERSION};
use crate::criteria::Status;

/// At most so many rows of the tool matrix differ with a tier's JIT. Rows that aren't available here decide nothing.
pub(crate) fn regressions(folder: &Path, tier: &str, most: f64) -> Result<(Status, String), String> {
    let compat = read(folder)?;
    let rows = compat.rows_of(tier).filter(|rows| !rows.is_empty()).ok_or_else(|| format!("{FILE} has no row of {tier}"))?;
    let of = |outcomes: &[Outcome]| -> Vec<&str> {
        rows.iter().filter(|(_, outcome)| outcomes.contains(outcome)).map(|(row, _)| row.name.as_str()).collect()
    };
    let (differ, open) = (of(&[Outcome::Differs]), of(&[Outcome::Failed, Outcome::NoProof]));
    let (equal, missing) = (of(&[Outcome::Equal]), of(&[Outcome::NotAvailable]));
    let mut finding = format!("{} of {} rows of the tool matrix are equal", equal.len(), rows.len());
    for (names, words) in [(&differ, "differ"), (&open, "prove nothing"), (&missing, "not available")] {
        if !names.is_empty() {
            let _ = write!(finding, "; {words}: {}", names.join(", "));
        }
    }
    Ok((settled(differ.len(), open.len() + usize::from(equal.is_empty()), most), finding))
}

/// At most so many of CPython's own tests differ with a tier's JIT, beyond those that are expected to.
pub(crate) fn cpython_tests(folder: &Path, tier: &str, most: f64) -> Result<(Status, String), String> {
    let compat = read(folder)?;
    let is_of = |mode: &str| compat.modes.iter().any(|m| m.name == mode && m.tier == tier);
    let suite = compat.cpython_tests.as_ref().filter(|suite| is_of(&suite.mode));
    let suite = suite.ok_or_else(|| format!("{FILE} has no tests of CPython with {tier}: --cpython-tests runs them"))?;
    let differ: usize = suite.modules.iter().map(|m| m.differences.len()).sum();
    let open = suite.modules.iter().filter(|m| matches!(m.outcome, Outcome::Failed | Outcome::NoProof)).count();
    Ok((settled(differ, open + usize::from(suite.tests == 0), most), suite.summary.clone()))
}

fn settled(differ: usize, open: usize, most: f64) -> Status {
    match () {
        () if differ as f64 > most => Status::NotMet,
        () if open > 0 => Status::Inconclusive,
        () => Status::Met,
    }
}

fn read(folder: &Path) -> Result<Compat, String> {
    let path = folder.join(FILE);
    let text = std::fs::read_to_string(&path).map_err(|_| format!("there is no {FILE} beside the run"))?;
    let compat: Compat = serde_json::from_str(&text).map_err(|e| format!("{} is damaged: {e}", path.display()))?;
    if compat.schema_version == SCHEMA_VERSION {
        Ok(compat)
    } else {
        Err(format!("{} has version {}, and {SCHEMA_VERSION} is known", path.display(), compat.schema_version))
    }
}
