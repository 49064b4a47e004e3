//! CPython's own tests, each module in a process without a JIT and in one with it, compared test by test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::compare::shorten;
use super::expected::Expected;
use super::model::{Mode, ModuleResult, Outcome, Suite, TestDifference};
use super::probe::{Bench, at_work};
use super::process::{End, Task, scratch};
use super::{CompatError, summary};
use crate::interpreters::Interpreter;

/// Makes JSON of the test driver's XML.
const CONVERT: &str = include_str!("suite.py");

/// What runs when no modules are named: tests of the language and the runtime, which a JIT could break, and that don't need network,
/// display, sound or many minutes.
pub const DEFAULT: &[&str] = &[
    "test_abc",
    "test_array",
    "test_asyncgen",
    "test_augassign",
    "test_baseexception",
    "test_binop",
    "test_bool",
    "test_buffer",
    "test_builtin",
    "test_bytes",
    "test_call",
    "test_class",
    "test_code",
    "test_collections",
    "test_compare",
    "test_compile",
    "test_complex",
    "test_contains",
    "test_contextlib",
    "test_contextlib_async",
    "test_copy",
    "test_coroutines",
    "test_ctypes",
    "test_dataclasses",
    "test_decorators",
    "test_defaultdict",
    "test_deque",
    "test_descr",
    "test_dict",
    "test_dictcomps",
    "test_dictviews",
    "test_dis",
    "test_dynamic",
    "test_dynamicclassattribute",
    "test_enum",
    "test_enumerate",
    "test_exception_group",
    "test_exception_hierarchy",
    "test_exception_variations",
    "test_exceptions",
    "test_except_star",
    "test_extcall",
    "test_faulthandler",
    "test_finalization",
    "test_float",
    "test_fractions",
    "test_frame",
    "test_fstring",
    "test_funcattrs",
    "test_functools",
    "test_gc",
    "test_generator_stop",
    "test_generators",
    "test_genericclass",
    "test_genexps",
    "test_getpath",
    "test_global",
    "test_grammar",
    "test_heapq",
    "test_index",
    "test_inspect",
    "test_int",
    "test_isinstance",
    "test_iter",
    "test_itertools",
    "test_keywordonlyarg",
    "test_list",
    "test_listcomps",
    "test_long",
    "test_math",
    "test_memoryview",
    "test_metaclass",
    "test_monitoring",
    "test_named_expressions",
    "test_opcodes",
    "test_operator",
    "test_ordered_dict",
    "test_patma",
    "test_pdb",
    "test_peepholer",
    "test_pep646_syntax",
    "test_perf_profiler",
    "test_pickle",
    "test_positional_only_arg",
    "test_pow",
    "test_property",
    "test_raise",
    "test_range",
    "test_richcmp",
    "test_scope",
    "test_set",
    "test_setcomps",
    "test_signal",
    "test_slice",
    "test_sort",
    "test_statistics",
    "test_str",
    "test_string",
    "test_structseq",
    "test_subclassinit",
    "test_sum",
    "test_super",
    "test_sys",
    "test_sys_setprofile",
    "test_sys_settrace",
    "test_tuple",
    "test_threading",
    "test_traceback",
    "test_tracemalloc",
    "test_type_params",
    "test_types",
    "test_unary",
    "test_unpack",
    "test_unpack_ex",
    "test_userdict",
    "test_weakref",
    "test_weakset",
    "test_with",
    "test_yield_from",
    "test_zoneinfo",
];

/// How much of a failure's text is kept.
const LONGEST: usize = 3000;

/// One module in one mode.
#[derive(Debug, Clone, Default)]
struct Ran {
    /// What came of each test, with the text of its failure; `None` if the process didn't get that far.
    tests: Option<BTreeMap<String, (String, String)>>,
    /// How the process ended, where that isn't well.
    end: String,
    words: String,
    proof: BTreeMap<String, i64>,
    seconds: f64,
}

#[derive(Deserialize)]
struct Converted {
    tests: BTreeMap<String, (String, String)>,
}

/// The modules that an interpreter has of those that were asked for: [`DEFAULT`] for none, all for `all`; a `*` at the end of a
/// name stands for any.
///
/// # Errors
/// [`CompatError::NoTests`] with the cure if it has no tests, [`CompatError::UnknownModule`] for a name that it hasn't.
pub fn modules(python: &Interpreter, asked: &[String]) -> Result<Vec<String>, CompatError> {
    let minor = python.version.minor_name();
    let none = |cause: String| CompatError::NoTests { python: python.name(), minor: minor.clone(), cause };
    let mut command = Command::new(&python.path);
    command.args(["-m", "test", "--list-tests"]).env("PEPJIT", "0").env_remove("PYTHONPATH").stdin(Stdio::null());
    let done = command.output().map_err(|error| none(error.to_string()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).trim().lines().last().unwrap_or("it failed").to_owned();
        return Err(none(said));
    }
    let there: Vec<String> = String::from_utf8_lossy(&done.stdout).lines().map(|line| line.trim().to_owned()).collect();
    choose(&there, asked).map_err(|name| CompatError::UnknownModule { name, python: python.name() })
}

/// Those of `there` that were asked for; or the name that is none of them.
fn choose(there: &[String], asked: &[String]) -> Result<Vec<String>, String> {
    // The driver splits some packages into their modules: `test.test_asyncio.test_events`.
    let is_of = |module: &str, name: &str| {
        let module = module.strip_prefix("test.").unwrap_or(module);
        module == name || module.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
    };
    if asked.is_empty() {
        return Ok(there.iter().filter(|module| DEFAULT.iter().any(|name| is_of(module, name))).cloned().collect());
    }
    let mut chosen: Vec<String> = Vec::new();
    for name in asked {
        let full = if name.starts_with("test") { name.clone() } else { format!("test_{name}") };
        let matches = |module: &&String| match full.strip_suffix('*') {
            _ if name == "all" => true,
            Some(start) => module.strip_prefix("test.").unwrap_or(module).starts_with(start),
            None => is_of(module, &full),
        };
        let mut found = there.iter().filter(matches).peekable();
        if found.peek().is_none() {
            return Err(name.clone());
        }
        for module in found {
            if !chosen.contains(module) {
                chosen.push(module.clone());
            }
        }
    }
    Ok(chosen)
}

/// Runs a module without and with a JIT and compares; `None` if the user asked to stop.
pub(super) fn module(bench: &Bench<'_>, module: &str, mode: &Mode, limit: Duration, expected: &Expected) -> Option<ModuleResult> {
    let off = run(bench, module, &bench.modes[0], limit)?;
    let Some(tests) = &off.tests else {
        let message = format!("without a JIT: {}\n{}", off.end, off.words);
        return Some(ModuleResult {
            module: module.to_owned(),
            outcome: Outcome::Failed,
            message,
            seconds: (off.seconds, 0.0),
            ..ModuleResult::default()
        });
    };
    let on = run(bench, module, mode, limit)?;
    let version = bench.python.version.minor_name();
    let mut result = ModuleResult {
        module: module.to_owned(),
        tests: tests.len(),
        passed: tests.values().filter(|(word, _)| word == "passed").count(),
        proof: on.proof.clone(),
        seconds: (off.seconds, on.seconds),
        ..ModuleResult::default()
    };
    let (unexplained, explained) = differences(module, &version, &off, &on, expected);
    result.expected = explained;
    if !unexplained.is_empty() {
        // A test that isn't the same twice by itself says nothing; one that fails with the JIT only now and then does.
        let off_again = run(bench, module, &bench.modes[0], limit)?;
        let on_again = run(bench, module, mode, limit)?;
        for mut difference in unexplained {
            let word = |ran: &Ran| ran.tests.as_ref().and_then(|t| Some(t.get(&difference.test)?.0.clone()));
            if difference.test.is_empty() {
                if on_again.tests.is_some() {
                    difference.on += " (in one process of two)";
                }
            } else if word(&off) != word(&off_again) {
                result.unsteady.push(difference.test);
                continue;
            } else if word(&on_again) == word(&off) {
                difference.on += " (in one process of two)";
            }
            result.differences.push(difference);
        }
    }
    if !result.differences.is_empty() {
        result.outcome = Outcome::Differs;
    } else if !at_work(&on.proof) {
        result.outcome = Outcome::NoProof;
        "nothing shows that the JIT was at work".clone_into(&mut result.message);
    }
    Some(result)
}

/// The tests that differ: those that nothing explains, and those that the list does.
fn differences(
    module: &str,
    version: &str,
    off: &Ran,
    on: &Ran,
    expected: &Expected,
) -> (Vec<TestDifference>, Vec<TestDifference>) {
    let none = BTreeMap::new();
    let tests = off.tests.as_ref().unwrap_or(&none);
    let difference = |test: &str, off: String, on: String, detail: &str| TestDifference {
        test: test.to_owned(),
        off,
        on,
        detail: shorten(detail, LONGEST),
    };
    let mut all = Vec::new();
    match &on.tests {
        None => all.push(difference("", format!("{} tests", tests.len()), on.end.clone(), &on.words)),
        Some(with) => {
            for name in tests.keys().chain(with.keys().filter(|name| !tests.contains_key(*name))) {
                let (a, b) = (tests.get(name), with.get(name));
                if a.map(|t| &t.0) != b.map(|t| &t.0) {
                    let word = |t: Option<&(String, String)>| t.map_or_else(|| "didn't run".to_owned(), |t| t.0.clone());
                    let text = b.filter(|t| !t.1.is_empty()).or(a).map_or("", |t| t.1.as_str());
                    all.push(difference(name, word(a), word(b), text));
                }
            }
        }
    }
    let (mut explained, mut unexplained) = (Vec::new(), Vec::new());
    for mut difference in all {
        // A crash is never expected.
        let entry = expected.find(module, &difference.test, version).filter(|_| !difference.on.contains("killed"));
        match entry {
            Some(entry) => {
                entry.reason.clone_into(&mut difference.detail);
                explained.push(difference);
            }
            None => unexplained.push(difference),
        }
    }
    (unexplained, explained)
}

/// One process; `None` if the user asked to stop.
fn run(bench: &Bench<'_>, module: &str, mode: &Mode, limit: Duration) -> Option<Ran> {
    let broken = |end: String| Some(Ran { end, ..Ran::default() });
    let (_keep, folder) = match scratch() {
        Ok(scratch) => scratch,
        Err(error) => return broken(format!("there is no temporary folder: {error}")),
    };
    let xml = folder.join("results.xml");
    let mut env = bench.environment(mode, &[]);
    // What tests write lands in the folder that is removed, and they may write bytecode.
    env.insert("TMPDIR".to_owned(), folder.display().to_string());
    env.remove("PYTHONDONTWRITEBYTECODE");
    env.insert("PEPJIT_STATS".to_owned(), folder.join("stats-%p.json").display().to_string());
    let xml_text = xml.display().to_string();
    let args = ["-X", "faulthandler", "-m", "test", "--randseed", "1", "-v", "--junit-xml", &xml_text, module];
    let task = Task { program: &bench.python.path, args: args.map(str::to_owned).to_vec(), env: &env, folder: &folder, limit };
    let started = Instant::now();
    let (end, id) = match task.run_noting(&bench.stop) {
        Err(error) => return broken(format!("{} could not be started: {error}", bench.python.path.display())),
        Ok((End::Stopped, _)) => return None,
        Ok(done) => done,
    };
    let mut ran = Ran { seconds: started.elapsed().as_secs_f64(), words: task.last_words(30), ..Ran::default() };
    let stats: BTreeMap<String, serde_json::Value> = fs::read(folder.join(format!("stats-{id}.json")))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let count = |name: &str| stats.get(name).and_then(serde_json::Value::as_i64).unwrap_or(0);
    ran.proof = BTreeMap::from([
        ("compiled".to_owned(), count("functions_compiled") + count("loops_compiled")),
        ("entered".to_owned(), count("native_entries") + count("osr_entries")),
        ("exits".to_owned(), count("exits")),
    ]);
    match convert(bench, &xml, &folder) {
        Some(tests) => ran.tests = Some(tests),
        None => {
            ran.end = match end {
                End::Badly(how) => how,
                _ => "wrote no results".to_owned(),
            }
        }
    }
    Some(ran)
}

fn convert(bench: &Bench<'_>, xml: &Path, folder: &Path) -> Option<BTreeMap<String, (String, String)>> {
    if !xml.is_file() {
        return None;
    }
    let (script, out) = (folder.join("suite.py"), folder.join("results.json"));
    fs::write(&script, CONVERT).ok()?;
    let env = bench.environment(&bench.modes[0], &[]);
    let args = [&script, xml, &out].map(|path| path.display().to_string()).to_vec();
    let task = Task { program: &bench.python.path, args, env: &env, folder, limit: Duration::from_mins(1) };
    task.run(&|| false).ok()?;
    let converted: Converted = serde_json::from_slice(&fs::read(&out).ok()?).ok()?;
    Some(converted.tests)
}

/// All modules' results as one.
pub(super) fn conclude(mode: &Mode, modules: Vec<ModuleResult>, version: &str, expected: &Expected) -> Suite {
    let names: Vec<&str> = modules.iter().map(|m| m.module.as_str()).collect();
    let differed: Vec<(String, String)> =
        modules.iter().flat_map(|m| m.expected.iter().map(|d| (m.module.clone(), d.test.clone()))).collect();
    let mut suite = Suite {
        mode: mode.name.clone(),
        tests: modules.iter().map(|m| m.tests).sum(),
        native_entries: modules.iter().filter_map(|m| m.proof.get("entered")).sum(),
        stale: expected.stale(&names, version, &differed),
        modules,
        summary: String::new(),
    };
    suite.summary = summary::suite(&suite);
    suite
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(tests: &[(&str, &str)]) -> Ran {
        let tests =
            tests.iter().map(|(name, word)| ((*name).to_owned(), ((*word).to_owned(), format!("text of {word}")))).collect();
        Ran { tests: Some(tests), ..Ran::default() }
    }

    fn lines(list: &[TestDifference]) -> Vec<String> {
        list.iter().map(|d| format!("{}: {} | {} | {}", d.test, d.off, d.on, d.detail)).collect()
    }

    fn list() -> Expected {
        toml::from_str("[[expected]]\nmodule = \"test_a\"\ntest = \"A.known\"\nreason = \"sizes\"\n").unwrap()
    }

    #[test]
    fn tests_are_compared_one_by_one() {
        let off = ran(&[
            ("A.same", "passed"),
            ("A.bad", "passed"),
            ("A.gone", "passed"),
            ("test.A.known", "passed"),
            ("A.no", "failed"),
        ]);
        let on = ran(&[
            ("A.same", "passed"),
            ("A.bad", "error"),
            ("A.new", "skipped"),
            ("test.A.known", "failed"),
            ("A.no", "failed"),
        ]);
        let (found, explained) = differences("test_a", "3.15", &off, &on, &list());
        assert_eq!(
            lines(&found),
            [
                "A.bad: passed | error | text of error",
                "A.gone: passed | didn't run | text of passed",
                "A.new: didn't run | skipped | text of skipped"
            ]
        );
        assert_eq!(lines(&explained), ["test.A.known: passed | failed | sizes"]);
        assert_eq!(differences("test_a", "3.15", &off, &off, &list()), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_crash_is_a_difference_that_no_list_explains() {
        let off = ran(&[("A.one", "passed")]);
        let crashed = Ran { end: "was killed by SIGSEGV".into(), words: "Current thread".into(), ..Ran::default() };
        let all: Expected = toml::from_str("[[expected]]\nmodule = \"test_a\"\ntest = \"*\"\nreason = \"all\"\n").unwrap();
        let (found, explained) = differences("test_a", "3.15", &off, &crashed, &all);
        assert_eq!(lines(&found), [": 1 tests | was killed by SIGSEGV | Current thread"]);
        assert_eq!(explained, []);
    }

    #[test]
    fn modules_are_asked_for_by_name_beginning_or_all() {
        let there: Vec<String> =
            ["test_dict", "test_dictcomps", "test_zipfile", "test.test_asyncio.test_events"].map(str::to_owned).to_vec();
        let chosen = |asked: &[&str]| choose(&there, &asked.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(chosen(&[]).unwrap(), ["test_dict", "test_dictcomps"]);
        assert_eq!(chosen(&["dict"]).unwrap(), ["test_dict"]);
        assert_eq!(chosen(&["test_dict*", "dict"]).unwrap(), ["test_dict", "test_dictcomps"]);
        assert_eq!(chosen(&["asyncio"]).unwrap(), ["test.test_asyncio.test_events"]);
        assert_eq!(chosen(&["all"]).unwrap(), there);
        assert_eq!(chosen(&["dict", "nothing"]).unwrap_err(), "nothing");
    }
}
