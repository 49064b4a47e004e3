//! `compat.json` and `coexistence.json`: what a JIT changed for tools, for CPython's own tests and for other compilers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::provenance::Provenance;

/// The version of both files.
pub const SCHEMA_VERSION: u32 = 1;

/// The name of the tool matrix and CPython's tests in a run directory.
pub const FILE: &str = "compat.json";

/// The name of what other compilers and hooks in one process gave.
pub const COEXISTENCE_FILE: &str = "coexistence.json";

/// What is written beside a run. Which rows it holds is the only difference between the two files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compat {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Where it comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// SHA-256 of the interpreter.
    pub interpreter_sha256: String,
    /// SHA-256 of the JIT's module.
    pub module_sha256: String,
    /// All of it in a sentence without a full stop.
    pub summary: String,
    /// The ways in which the rows ran, the first without a JIT.
    pub modes: Vec<Mode>,
    /// The tools.
    pub tools: Tools,
    /// CPython's own tests, where they ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpython_tests: Option<Suite>,
}

/// A way to run Python.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// Its name: `off`, `forced`, ...
    pub name: String,
    /// The tier of the harness that it is a variety of: `interp`, `pepjit`, `cpython-jit`.
    pub tier: String,
    /// What its processes have in their environment.
    pub env: BTreeMap<String, String>,
}

/// The tool matrix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tools {
    /// In a sentence without a full stop.
    pub summary: String,
    /// One entry per row.
    pub rows: Vec<RowResult>,
}

/// What came of one row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowResult {
    /// The row's name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// What is compared.
    pub checks: String,
    /// The worst of its modes.
    pub outcome: Outcome,
    /// Each mode with a JIT, against the one without.
    pub modes: Vec<ModeResult>,
    /// What the tools were: names with versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// Figures that aren't compared, of the mode without a JIT.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub information: BTreeMap<String, Value>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A row in one mode.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModeResult {
    /// The mode.
    pub mode: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, where it isn't equal; for `not available` what is missing and how to get it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What differs, at most [`super::compare::MOST`] places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// The JIT's counters, which prove that it was at work.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proof: BTreeMap<String, i64>,
    /// Figures that aren't compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub information: BTreeMap<String, Value>,
}

/// What can come of a row, the best first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// With and without the JIT it gave the same.
    #[default]
    Equal,
    /// Something that it needs isn't there.
    NotAvailable,
    /// Without a JIT it doesn't work here either, so that it says nothing.
    Failed,
    /// The same, and no proof that the JIT was at work.
    NoProof,
    /// With the JIT it gave something else.
    Differs,
}

impl Outcome {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::NotAvailable => "not available",
            Self::Failed => "failed",
            Self::NoProof => "no proof",
            Self::Differs => "DIFFERS",
        }
    }

    /// A sign, so that no document needs colour.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "✓",
            Self::NotAvailable => "-",
            Self::Failed | Self::NoProof => "?",
            Self::Differs => "✗",
        }
    }
}

/// A place where two results differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where in the result: `/events/3/line`.
    pub at: String,
    /// What stands there without the JIT; empty if nothing does.
    pub off: String,
    /// What stands there with it.
    pub on: String,
}

/// CPython's own tests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// In a sentence without a full stop.
    pub summary: String,
    /// The mode with the JIT.
    pub mode: String,
    /// How many tests ran in both modes.
    pub tests: usize,
    /// How many times the JIT entered native code, over all modules.
    pub native_entries: i64,
    /// One entry per module, in order.
    pub modules: Vec<ModuleResult>,
    /// Entries of the list of expected differences that no test needed, though their modules ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<String>,
}

/// What came of one module of CPython's tests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModuleResult {
    /// `test_dict`.
    pub module: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, where it isn't equal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Tests that ran without the JIT.
    pub tests: usize,
    /// Those of them that passed.
    pub passed: usize,
    /// Tests that differ, and aren't expected to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<TestDifference>,
    /// Tests that differ as the list of expected differences says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<TestDifference>,
    /// Tests that don't give the same twice without the JIT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsteady: Vec<String>,
    /// The JIT's counters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proof: BTreeMap<String, i64>,
    /// How long it took, without the JIT and with it, in seconds.
    pub seconds: (f64, f64),
}

/// A test that gave something else with the JIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestDifference {
    /// Its dotted name; empty for the module as a whole, which crashed, hung or didn't load.
    pub test: String,
    /// What it gave without the JIT.
    pub off: String,
    /// What it gave with it.
    pub on: String,
    /// The failure's text; or the reason why it is expected.
    pub detail: String,
}
