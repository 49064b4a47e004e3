//! What a JIT changes for those who look at Python from the side: debuggers, profilers, coverage, native tools, other compilers,
//! and CPython's own tests. Each *row* is a probe that runs in processes of its own without a JIT and with one, forced hot, and what it
//! saw is compared to the last value. A process with a JIT has to prove that it was at work.
//!
//! `rows` lists them, `probes/` holds what they run, `probe` runs one, `compare` finds what differs; `suite` does the same with CPython's
//! tests. What was done before for the same build and interpreter isn't done again (`done`).

pub mod compare;
mod done;
mod expected;
pub(crate) mod judge;
mod model;
mod packages;
mod probe;
mod process;
mod rows;
mod suite;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

pub use self::expected::{Expected, ExpectedError};
pub use self::model::*;
pub use self::packages::Package;
pub use self::rows::{COEXISTENCE, PROBES, ROWS, Row};
pub use self::suite::{DEFAULT as DEFAULT_MODULES, modules};
use crate::interpreters::{Interpreter, OwnJit};
use crate::provenance::Provenance;

/// Why there is no comparison.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum CompatError {
    #[error("there is no row or group {name}: choose from {known}")]
    UnknownRow { name: String, known: String },
    #[error(
        "{python} has no tests of CPython ({cause}). On Debian: apt install libpython{minor}-testsuite; pyenv's and uv's builds have \
         them: --python PATH"
    )]
    NoTests { python: String, minor: String, cause: String },
    #[error("{python} has no module of tests called {name}: `python -m test --list-tests` names them")]
    UnknownModule { name: String, python: String },
    #[error("{path} cannot be read or written: {source}. Check permissions and free space")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("interrupted; what is done is kept, and the same command goes on")]
    Interrupted,
}

/// What is to be compared.
pub struct Request<'a> {
    /// The sources' folder, for the record.
    pub root: &'a Path,
    /// The interpreter.
    pub python: &'a Interpreter,
    /// The folder with the JIT's module.
    pub module: &'a Path,
    /// SHA-256 of the module.
    pub module_sha256: &'a str,
    /// The modes, the first without a JIT: [`modes`].
    pub modes: Vec<Mode>,
    /// The rows.
    pub rows: Vec<Row>,
    /// The probes' files: [`PROBES`].
    pub probes: Vec<(&'a str, &'a str)>,
    /// Rows that run at once.
    pub jobs: usize,
    /// The folder in which what is done is kept.
    pub cache: &'a Path,
    /// Whether to run what was done before again.
    pub again: bool,
    /// Whether to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Told what happens.
    pub on: &'a (dyn Fn(Event<'_>) + Sync),
}

/// What happens, for who waits.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// So many were done before, of so many.
    Started(usize, usize),
    /// A package is being got.
    Told(&'a str),
    /// A row or a module of tests is under way.
    Begins(&'a str),
    /// A row is done.
    Row(&'a RowResult),
    /// A module of tests is done.
    Module(&'a ModuleResult),
}

/// The modes that an interpreter can run: without a JIT, ours from the first call on, ours soon, and CPython's own where it has one.
pub fn modes(python: &Interpreter) -> Vec<Mode> {
    let mode = |name: &str, tier: &str, more: &[(&str, &str)]| {
        let mut env: BTreeMap<String, String> =
            crate::tiers::SWITCHES.iter().map(|name| ((*name).to_owned(), "0".to_owned())).collect();
        env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Mode { name: name.to_owned(), tier: tier.to_owned(), env }
    };
    let mut modes = vec![
        mode("off", crate::tiers::BASELINE, &[]),
        mode("forced", "pepjit", &[("PEPJIT", "1"), ("PEPJIT_THRESHOLD", "0")]),
        mode("hot", "pepjit", &[("PEPJIT", "1"), ("PEPJIT_THRESHOLD", "30")]),
    ];
    if python.own_jit != OwnJit::Absent {
        modes.push(mode("cpython-jit", "cpython-jit", &[("PYTHON_JIT", "1")]));
    }
    modes
}

/// The rows of these names and groups; all without any.
///
/// # Errors
/// [`CompatError::UnknownRow`]
pub fn select(names: &[String]) -> Result<Vec<Row>, CompatError> {
    for name in names {
        if !ROWS.iter().any(|row| row.name == *name || row.group == *name) {
            let mut known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            let mut groups: Vec<&str> = ROWS.iter().map(|row| row.group).collect();
            groups.dedup();
            known.append(&mut groups);
            return Err(CompatError::UnknownRow { name: name.clone(), known: known.join(", ") });
        }
    }
    let chosen = |row: &&Row| names.is_empty() || names.iter().any(|name| row.name == *name || row.group == *name);
    Ok(ROWS.iter().filter(chosen).copied().collect())
}

/// Runs the rows, in the order of the request.
///
/// # Errors
/// [`CompatError::Interrupted`] if the user stopped it, [`CompatError::Io`] if nothing can be kept.
pub fn tools(request: &Request<'_>) -> Result<Vec<RowResult>, CompatError> {
    let work = Work::new(request)?;
    let items = request.rows.iter().map(|row| (format!("row:{}", row.name), made_by(request, row))).collect::<Vec<_>>();
    work.each(
        &items,
        |index, bench| {
            let row = &request.rows[index];
            (request.on)(Event::Begins(row.name));
            let result = bench.row(row)?;
            (request.on)(Event::Row(&result));
            Some(result)
        },
        |result| result.outcome,
    )
}

/// Runs modules of CPython's own tests ([`modules`]) in the mode without a JIT and in the one of this name.
///
/// # Errors
/// [`CompatError::Interrupted`] if the user stopped it, [`CompatError::Io`] if nothing can be kept.
///
/// # Panics
/// If the request has no such mode.
pub fn cpython_tests(
    request: &Request<'_>,
    modules: &[String],
    mode: &str,
    limit: Duration,
    expected: &Expected,
) -> Result<Suite, CompatError> {
    let mode = request.modes.iter().find(|m| m.name == mode).expect("a mode of the request");
    let work = Work::new(request)?;
    let by = |module: &String| {
        let about = expected.all.iter().filter(|entry| entry.module == *module);
        let texts = [format!("{mode:?}"), format!("{:?}", about.collect::<Vec<_>>()), limit.as_secs().to_string()];
        done::digest(&texts.each_ref().map(String::as_str))
    };
    let items = modules.iter().map(|module| (format!("test:{module}"), by(module))).collect::<Vec<_>>();
    let results = work.each(
        &items,
        |index, bench| {
            (request.on)(Event::Begins(&modules[index]));
            let result = suite::module(bench, &modules[index], mode, limit, expected)?;
            (request.on)(Event::Module(&result));
            Some(result)
        },
        |result| result.outcome,
    )?;
    Ok(suite::conclude(mode, results, &request.python.version.minor_name(), expected))
}

/// The folders that processes run with, and what was done before.
struct Work<'a> {
    request: &'a Request<'a>,
    folder: PathBuf,
    _keep: tempfile::TempDir,
    kept: PathBuf,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> CompatError {
    let path = path.to_owned();
    move |source| CompatError::Io { path, source }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Work<'a> {
    fn new(request: &'a Request<'a>) -> Result<Self, CompatError> {
        let (keep, folder) = process::scratch().map_err(io(&std::env::temp_dir()))?;
        let probes = folder.join("probes");
        std::fs::create_dir_all(&probes).map_err(io(&probes))?;
        for (name, text) in &request.probes {
            std::fs::write(probes.join(name), text).map_err(io(&probes))?;
        }
        let kept = done::folder(request.cache, &request.python.tag(), &request.python.sha256, request.module_sha256);
        Ok(Self { request, folder, _keep: keep, kept })
    }

    /// Does what wasn't done before, several at once: each item has a name and what its result depends on.
    fn each<T: serde::Serialize + serde::de::DeserializeOwned + Send>(
        &self,
        items: &[(String, String)],
        run: impl Fn(usize, &probe::Bench<'_>) -> Option<T> + Sync,
        outcome: impl Fn(&T) -> Outcome + Sync,
    ) -> Result<Vec<T>, CompatError> {
        let request = self.request;
        let bench = probe::Bench {
            python: request.python,
            modes: &request.modes,
            probes: self.folder.join("probes"),
            sites: probe::sites(&self.folder, request.module).map_err(io(&self.folder))?,
            stop: request.stop,
            told: &|text| (request.on)(Event::Told(text)),
        };
        let done = Mutex::new(done::Done::open(&self.kept).map_err(io(&self.kept))?);
        let before: Vec<Option<T>> = items.iter().map(|(id, by)| locked(&done).get(id, by).filter(|_| !request.again)).collect();
        (request.on)(Event::Started(before.iter().flatten().count(), before.len()));
        let (results, next, failed) = (Mutex::new(before), AtomicUsize::new(0), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..request.jobs.clamp(1, items.len().max(1)) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some((id, by)) = items.get(index) else { break };
                        if locked(&results)[index].is_some() || (request.stop)() {
                            continue;
                        }
                        let Some(result) = run(index, &bench) else { continue };
                        // What wasn't there or didn't work may be or do the next time.
                        if matches!(outcome(&result), Outcome::Equal | Outcome::Differs)
                            && let Err(error) = locked(&done).put(id, by, &result)
                        {
                            *locked(&failed) = Some(error);
                        }
                        locked(&results)[index] = Some(result);
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(io(&self.kept)(error));
        }
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.into_iter().collect::<Option<Vec<_>>>().ok_or(CompatError::Interrupted)
    }
}

/// What a row's result depends on beyond build and interpreter.
fn made_by(request: &Request<'_>, row: &Row) -> String {
    let file = format!("{}.py", row.script);
    let mut texts = vec![row.checks.to_owned()];
    // The probe's own file and what all share.
    for (name, text) in request.probes.iter().filter(|(name, _)| *name == file || ["api.py", "work.py"].contains(name)) {
        texts.extend([(*name).to_owned(), (*text).to_owned()]);
    }
    texts.extend(request.modes.iter().map(|mode| format!("{mode:?}")));
    texts.extend(row.packages.iter().flat_map(|package| package.pinned).map(|pin| (*pin).to_owned()));
    done::digest(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Adds what an earlier call for the same build and interpreter left in a folder's file and this one didn't run.
pub fn add_earlier(request: &Request<'_>, path: &Path, rows: &mut Vec<RowResult>, tests: &mut Option<Suite>) {
    let earlier: Option<Compat> = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let same = |c: &Compat| c.module_sha256 == request.module_sha256 && c.interpreter_sha256 == request.python.sha256;
    let Some(earlier) = earlier.filter(|c| same(c) && c.modes == request.modes) else { return };
    let missing: Vec<RowResult> =
        earlier.tools.rows.into_iter().filter(|row| rows.iter().all(|other| other.name != row.name)).collect();
    rows.extend(missing);
    let place = |row: &RowResult| ROWS.iter().position(|known| known.name == row.name);
    rows.sort_by_key(place);
    *tests = tests.take().or(earlier.cpython_tests);
}

/// The file of results, without CPython's tests if they didn't run.
pub fn conclude(request: &Request<'_>, rows: Vec<RowResult>, cpython_tests: Option<Suite>) -> Compat {
    let tools = Tools { summary: summary::tools(&rows), rows };
    Compat {
        schema_version: SCHEMA_VERSION,
        provenance: Provenance::now(request.root, request.python),
        interpreter_sha256: request.python.sha256.clone(),
        module_sha256: request.module_sha256.to_owned(),
        summary: summary::all(&tools, cpython_tests.as_ref()),
        modes: request.modes.clone(),
        tools,
        cpython_tests,
    }
}

impl Compat {
    /// The worst of the tool matrix and CPython's tests. What isn't available or expected counts as nothing.
    pub fn outcome(&self) -> Outcome {
        let tests = self.cpython_tests.iter().flat_map(|suite| suite.modules.iter().map(|m| m.outcome));
        self.tools.rows.iter().map(|row| row.outcome).chain(tests).max().unwrap_or(Outcome::Equal)
    }

    /// Rows of a tier by outcome; `None` for one that no mode is of.
    pub fn rows_of(&self, tier: &str) -> Option<Vec<(&RowResult, Outcome)>> {
        let modes: Vec<&str> = self.modes.iter().filter(|m| m.tier == tier).map(|m| m.name.as_str()).collect();
        let of = |row: &RowResult| row.modes.iter().filter(|m| modes.contains(&m.mode.as_str())).map(|m| m.outcome).max();
        (!modes.is_empty()).then(|| self.tools.rows.iter().filter_map(|row| Some((row, of(row)?))).collect())
    }
}
