//! Runs a row: its probe in a process per mode, compared with the mode without a JIT.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;

use super::compare::{compare, shorten};
use super::model::{Mode, ModeResult, Outcome, RowResult};
use super::packages::{Provided, provide};
use super::process::{End, Task, scratch};
use super::rows::Row;
use crate::interpreters::Interpreter;
use crate::runner::write_sitecustomize;

/// What rows run with.
pub(super) struct Bench<'a> {
    pub(super) python: &'a Interpreter,
    /// The modes; the first is the one without a JIT.
    pub(super) modes: &'a [Mode],
    /// The folder of the probes' files.
    pub(super) probes: PathBuf,
    /// The folders for PYTHONPATH, without the module and with it.
    pub(super) sites: [PathBuf; 2],
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
    pub(super) told: &'a (dyn Fn(&str) + Sync),
}

/// What a probe writes. `probes/api.py` explains the fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    result: Value,
    information: BTreeMap<String, Value>,
    versions: BTreeMap<String, String>,
    proof: BTreeMap<String, i64>,
    unavailable: Option<String>,
    error: Option<String>,
}

/// How a probe ended.
#[derive(Debug)]
enum Ran {
    Gave(Report),
    Unavailable(String),
    Broke(String),
    Stopped,
}

/// Makes the folders for PYTHONPATH: the same, but for the module.
///
/// # Errors
/// What the file system said.
pub(super) fn sites(root: &Path, module: &Path) -> std::io::Result<[PathBuf; 2]> {
    let folders = [root.join("site0"), root.join("site1")];
    for (folder, with) in folders.iter().zip([false, true]) {
        let target = folder.join("module");
        fs::create_dir_all(&target)?;
        write_sitecustomize(folder)?;
        for entry in fs::read_dir(module)?.filter(|_| with) {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), target.join(entry.file_name()))?;
            }
        }
    }
    Ok(folders)
}

impl Bench<'_> {
    /// The environment of a mode's processes.
    pub(super) fn environment(&self, mode: &Mode, packages: &[PathBuf]) -> BTreeMap<String, String> {
        let site = &self.sites[usize::from(mode.tier == "pepjit")];
        let path: Vec<String> = std::iter::once(site).chain(packages).map(|p| p.display().to_string()).collect();
        let mut env: BTreeMap<String, String> = [
            ("LC_ALL", "C.UTF-8"),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONNOUSERSITE", "1"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("COMPAT_MODE", &mode.name),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        env.insert("PYTHONPATH".to_owned(), path.join(":"));
        env.extend(mode.env.clone());
        env
    }

    /// Runs a row in all modes; `None` if the user asked to stop.
    pub(super) fn row(&self, row: &Row) -> Option<RowResult> {
        let started = Instant::now();
        let mut result = RowResult {
            name: row.name.to_owned(),
            group: row.group.to_owned(),
            checks: row.checks.to_owned(),
            outcome: Outcome::Equal,
            modes: Vec::new(),
            versions: BTreeMap::new(),
            information: BTreeMap::new(),
            seconds: 0.0,
        };
        let all = |outcome, message: &str| {
            let of = |mode: &Mode| ModeResult {
                mode: mode.name.clone(),
                outcome,
                message: message.to_owned(),
                ..ModeResult::default()
            };
            self.modes[1..].iter().map(of).collect::<Vec<_>>()
        };
        match self.folders(row) {
            Err(missing) => result.modes = all(Outcome::NotAvailable, &missing),
            Ok(packages) => match self.probe(row, &self.modes[0], &packages) {
                Ran::Stopped => return None,
                Ran::Unavailable(missing) => result.modes = all(Outcome::NotAvailable, &missing),
                Ran::Broke(how) => result.modes = all(Outcome::Failed, &format!("without a JIT: {how}")),
                Ran::Gave(off) if at_work(&off.proof) => {
                    result.modes = all(Outcome::Failed, "a JIT was at work where none should be");
                }
                Ran::Gave(off) => {
                    for mode in &self.modes[1..] {
                        result.modes.push(self.against(row, mode, &off, &packages)?);
                    }
                    (result.versions, result.information) = (off.versions, off.information);
                }
            },
        }
        result.outcome = result.modes.iter().map(|m| m.outcome).max().unwrap_or(Outcome::Failed);
        result.seconds = started.elapsed().as_secs_f64();
        Some(result)
    }

    fn folders(&self, row: &Row) -> Result<Vec<PathBuf>, String> {
        if self.python.version.minor < row.since {
            return Err(format!("it came with 3.{}: use --python 3.{0} or later", row.since));
        }
        row.packages
            .iter()
            .map(|package| match provide(package, self.python, &self.told) {
                Provided::Here(folder) => Ok(folder),
                Provided::Missing(cure) => Err(cure),
            })
            .collect()
    }

    /// A mode's result against that of the mode without a JIT.
    fn against(&self, row: &Row, mode: &Mode, off: &Report, packages: &[PathBuf]) -> Option<ModeResult> {
        let mut result = ModeResult { mode: mode.name.clone(), ..ModeResult::default() };
        let on = match self.probe(row, mode, packages) {
            Ran::Stopped => return None,
            Ran::Unavailable(missing) => {
                (result.outcome, result.message) = (Outcome::NotAvailable, missing);
                return Some(result);
            }
            Ran::Broke(how) => {
                (result.outcome, result.message) = (Outcome::Differs, how);
                return Some(result);
            }
            Ran::Gave(on) => on,
        };
        result.differences = compare(&off.result, &on.result);
        if !result.differences.is_empty() {
            // A row that isn't the same twice by itself says nothing; one that differs with the JIT only now and then does.
            match self.probe(row, &self.modes[0], packages) {
                Ran::Stopped => return None,
                Ran::Gave(again) if compare(&off.result, &again.result).is_empty() => {
                    result.outcome = Outcome::Differs;
                    if let Ran::Gave(again) = self.probe(row, mode, packages)
                        && compare(&off.result, &again.result).is_empty()
                    {
                        "in one process of two".clone_into(&mut result.message);
                    }
                }
                _ => {
                    result.outcome = Outcome::Failed;
                    "without a JIT it doesn't give the same twice".clone_into(&mut result.message);
                }
            }
        } else if !at_work(&on.proof) {
            result.outcome = Outcome::NoProof;
            "the results are equal, and nothing shows that the JIT was at work".clone_into(&mut result.message);
        }
        (result.proof, result.information) = (on.proof, on.information);
        Some(result)
    }

    /// One process.
    fn probe(&self, row: &Row, mode: &Mode, packages: &[PathBuf]) -> Ran {
        let (_keep, folder) = match scratch() {
            Ok(scratch) => scratch,
            Err(error) => return Ran::Broke(format!("there is no temporary folder: {error}")),
        };
        let out = folder.join("report.json");
        let env = self.environment(mode, packages);
        let text = |path: &Path| path.display().to_string();
        let args = vec![text(&self.probes.join("api.py")), row.script.to_owned(), row.name.to_owned(), text(&out)];
        let task = Task { program: &self.python.path, args, env: &env, folder: &folder, limit: row.limit };
        match task.run(&self.stop) {
            Err(error) => Ran::Broke(format!("{} could not be started: {error}", self.python.path.display())),
            Ok(End::Stopped) => Ran::Stopped,
            Ok(end) => read(&out, &end, &task.last_words(20)),
        }
    }
}

/// What a process's end and report say.
fn read(out: &Path, end: &End, words: &str) -> Ran {
    let report: Option<Report> = fs::read(out).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match (end, report) {
        (_, Some(Report { unavailable: Some(missing), .. })) => Ran::Unavailable(missing),
        (_, Some(Report { error: Some(error), .. })) => Ran::Broke(shorten(&error, 4000)),
        (End::Well, Some(report)) => Ran::Gave(report),
        (End::Well, None) => Ran::Broke(format!("it ended without a report\n{words}")),
        (End::Badly(how), _) => Ran::Broke(format!("it {how}\n{words}")),
        (End::Stopped, _) => Ran::Stopped,
    }
}

/// Whether counters prove that a JIT compiled something and that it ran.
pub(super) fn at_work(proof: &BTreeMap<String, i64>) -> bool {
    let above = |name: &str| proof.get(name).is_some_and(|count| *count > 0);
    above("compiled") && above("entered")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, end: &End) -> Ran {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("report.json");
        fs::write(&out, text).unwrap();
        read(&out, end, "last words")
    }

    #[test]
    fn a_report_counts_only_after_a_good_end() {
        let text = r#"{"result": [1], "proof": {"compiled": 1, "entered": 2}}"#;
        assert!(matches!(read_text(text, &End::Well), Ran::Gave(report) if at_work(&report.proof)));
        let crashed = read_text(text, &End::Badly("was killed by SIGSEGV".into()));
        assert!(matches!(crashed, Ran::Broke(how) if how == "it was killed by SIGSEGV\nlast words"));
        assert!(matches!(read_text("{", &End::Well), Ran::Broke(how) if how.contains("without a report")));
        assert!(matches!(read_text(r#"{"unavailable": "no gdb"}"#, &End::Well), Ran::Unavailable(what) if what == "no gdb"));
        assert!(matches!(read_text(r#"{"error": "E"}"#, &End::Badly("ended".into())), Ran::Broke(how) if how == "E"));
    }

    #[test]
    fn proof_is_code_that_ran() {
        let proof =
            |compiled, entered| at_work(&BTreeMap::from([("compiled".to_owned(), compiled), ("entered".to_owned(), entered)]));
        assert!(proof(1, 1));
        assert!(!proof(1, 0) && !proof(0, 1) && !at_work(&BTreeMap::new()));
    }
}
