//! What a finished process proves about the JIT: that it ran where it should, and nowhere else.
//!
//! Published runs have measured "JIT" where no JIT was on. Here a process whose JIT wasn't loaded gives no values,
//! and one whose JIT was loaded but compiled nothing says so.

use std::path::Path;

use super::process::Failure;
use crate::model::{FailureKind, meta};
use crate::pyperf::{MetaValue, Metadata, Run};
use crate::tiers::TierKind;

/// How our worker's metadata names the counters of our module.
const COUNTER: &str = "pepjit_";

/// Facts that the worker notes under the same prefix and that are no counters.
const NOT_COUNTERS: [&str; 3] = ["pepjit_first_iteration", "pepjit_design", "pepjit_timed_"];

/// Checks what `kind` owes, and notes proof, counters and memory under the names of [`meta`].
///
/// `stats` is the file that the module writes at exit: all there is for scripts that don't use our worker.
///
/// # Errors
/// [`FailureKind::JitInactive`] if the JIT wasn't loaded or not on, [`FailureKind::BadOutput`] if one was at work where
/// none may be.
pub(super) fn note(kind: TierKind, run: &mut Run, stats: &Path) -> Result<(), Failure> {
    note_memory(&mut run.metadata, &stats.with_file_name("memory.json"));
    note_own_jit(&mut run.metadata, &stats.with_file_name("own_jit.json"));
    let counters = counters(&run.metadata, stats);
    let count =
        |names: &[&str]| -> i64 { names.iter().filter_map(|name| Some(counters.iter().find(|(key, _)| key == name)?.1)).sum() };
    run.metadata.retain(|key, _| !is_counter(key));
    for (key, value) in &counters {
        run.metadata.insert(format!("{}{key}", meta::JIT_PREFIX), (*value).into());
    }
    if kind == TierKind::Declared {
        return note_declared(&mut run.metadata, &stats.with_file_name("proof.json"));
    }
    let own = |key: &str| run.metadata.get(key).and_then(MetaValue::as_int);
    let own_enabled = own("cpython_jit_enabled").unwrap_or(0) != 0;
    let inactive = |message: &str| Err(Failure::new(FailureKind::JitInactive, message));
    let intruder = |message: &str| Err(Failure::new(FailureKind::BadOutput, message));
    let children = Children::read(&stats.with_file_name("children.txt"));
    let loaded = !counters.is_empty();
    let compiled = count(&["functions_compiled", "loops_compiled"]);
    let entries = count(&["native_entries", "osr_entries"]);
    let had_children = run.metadata.contains_key(meta::CHILD_CPU);
    let (active, proof) = match kind {
        TierKind::Interpreter => {
            if loaded {
                return intruder(
                    "pepjit was loaded in a process of the interpreter: remove its .pth file from this interpreter's site-packages",
                );
            }
            if children.processes > 0 {
                return intruder("a process that one of the interpreter's started had pepjit compile something");
            }
            if own_enabled {
                return intruder("CPython's own JIT was on in a process of the interpreter: PYTHON_JIT=0 had no effect");
            }
            return Ok(());
        }
        TierKind::PepjitIdle | TierKind::Pepjit if !loaded => {
            return inactive(
                "pepjit was not loaded: its module refused this interpreter or could not be imported. \
                 Try `cargo xtask run --python PYTHON -- -c pass`, which shows why",
            );
        }
        TierKind::PepjitIdle if compiled > 0 || children.processes > 0 => {
            return intruder("pepjit compiled code although PEPJIT_IDLE=1 asks it not to");
        }
        TierKind::PepjitIdle | TierKind::Declared => return Ok(()),
        TierKind::Pepjit => (
            compiled > 0 && entries > 0 || children.native_entries + children.osr_entries > 0,
            format!(
                "{} functions and {} loops compiled, {} native entries, {} OSR entries, {} exits{}",
                count(&["functions_compiled"]),
                count(&["loops_compiled"]),
                count(&["native_entries"]),
                count(&["osr_entries"]),
                count(&["exits"]),
                children.told(had_children)
            ),
        ),
        TierKind::CpythonJit => {
            if own("cpython_jit_enabled") == Some(0) {
                return inactive("CPython's own JIT was off although PYTHON_JIT=1: this build leaves it out");
            }
            match (own("cpython_jit_executors"), own("cpython_jit_active")) {
                (Some(executors), _) if executors > 0 => (true, format!("{executors} executors in the workload's code")),
                // Traces of a workload may all lie in the standard library; a hot loop of the process is proof too.
                (_, Some(1)) => (true, "a hot loop of the process ran in machine code".to_owned()),
                (None, None) => {
                    return inactive(
                        "the process doesn't tell whether CPython's own JIT was at work: it was ended from outside, or left without \
                         running what it had registered with atexit",
                    );
                }
                _ if had_children => {
                    (false, "enabled, but no executor was found; its child processes were not looked at".to_owned())
                }
                _ => (false, "enabled, but no executor was found".to_owned()),
            }
        }
    };
    run.metadata.insert(meta::JIT_ACTIVE.to_owned(), i64::from(active).into());
    run.metadata.insert(meta::JIT_PROOF.to_owned(), proof.as_str().into());
    Ok(())
}

/// The proof of a tier that says itself what proves it.
fn note_declared(metadata: &mut Metadata, proof: &Path) -> Result<(), Failure> {
    let shown = counters(&Metadata::new(), proof).into_iter().find(|(key, _)| key == "tier_proof");
    let Some((_, value)) = shown else {
        let message =
            "the tier's `prove` gave nothing: it raised (see the worker's stderr), or the process was ended from outside";
        return Err(Failure::new(FailureKind::JitInactive, message));
    };
    metadata.insert(meta::JIT_ACTIVE.to_owned(), i64::from(value > 0).into());
    metadata.insert(meta::JIT_PROOF.to_owned(), format!("{value} by the tier's own proof").as_str().into());
    Ok(())
}

/// What the processes that a worker started left behind: those in which our JIT compiled something, and that came to their end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Children {
    processes: usize,
    functions_compiled: i64,
    loops_compiled: i64,
    native_entries: i64,
    osr_entries: i64,
}

impl Children {
    /// Reads a file with a line for each of them; there is none without any.
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = |line: &str| line.split(' ').map(|word| word.parse().ok()).collect::<Option<Vec<i64>>>();
        let mut all = Self::default();
        for told in text.lines().filter_map(line) {
            let [functions, loops, native, osr] = told[..] else { continue };
            all.processes += 1;
            all.functions_compiled += functions;
            all.loops_compiled += loops;
            all.native_entries += native;
            all.osr_entries += osr;
        }
        all
    }

    /// What is added to the worker's own proof.
    fn told(&self, had_children: bool) -> String {
        match self.processes {
            0 if had_children => "; none of its child processes left counters of compiled code".to_owned(),
            0 => String::new(),
            n => format!(
                "; in {n} child {}: {} functions and {} loops compiled, {} native entries, {} OSR entries",
                if n == 1 { "process" } else { "processes" },
                self.functions_compiled,
                self.loops_compiled,
                self.native_entries,
                self.osr_entries
            ),
        }
    }
}

fn is_counter(key: &str) -> bool {
    key.starts_with(COUNTER) && !NOT_COUNTERS.iter().any(|fact| key.starts_with(fact))
}

/// The module's counters by their own names, from the worker's metadata or else from the file.
fn counters(metadata: &Metadata, stats: &Path) -> Vec<(String, i64)> {
    let noted: Vec<(String, i64)> = metadata
        .iter()
        .filter(|(key, _)| is_counter(key))
        .filter_map(|(key, value)| Some((key.strip_prefix(COUNTER)?.to_owned(), value.as_int()?)))
        .collect();
    if !noted.is_empty() {
        return noted;
    }
    let text = std::fs::read_to_string(stats).unwrap_or_default();
    let Ok(serde_json::Value::Object(all)) = serde_json::from_str(&text) else { return Vec::new() };
    all.into_iter().filter_map(|(key, value)| Some((key, value.as_i64()?))).collect()
}

/// Our worker notes bytes under pyperf's name and others, at the end of its timed part; the analysis reads KiB. What it doesn't
/// note, and all that other scripts don't, is from the process's end. pyperf's own figure is the kernel's `ru_maxrss`, which is
/// inherited from the parent, and gives way.
fn note_memory(metadata: &mut Metadata, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let at_end: std::collections::BTreeMap<String, i64> = serde_json::from_str(&text).unwrap_or_default();
    let ours = metadata.contains_key("pepjit_design");
    if let Some(spent) = at_end.get(meta::CHILD_CPU).filter(|spent| **spent > 0) {
        metadata.insert(meta::CHILD_CPU.to_owned(), (*spent).into());
    }
    for (from, to) in [("mem_max_rss", meta::VM_HWM), ("mem_pss", meta::PSS), ("mem_uss", meta::USS), ("", meta::LIBRARY)] {
        let noted = metadata.get(from).and_then(MetaValue::as_int).map(|bytes| bytes / 1024);
        let last = at_end.get(to).copied();
        if let Some(kib) = if ours { noted.or(last) } else { last.or(noted) } {
            metadata.insert(to.to_owned(), kib.into());
        }
    }
}

/// What the process's end shows of CPython's own JIT, where the worker didn't look itself (only ours does).
fn note_own_jit(metadata: &mut Metadata, file: &Path) {
    if !metadata.contains_key("cpython_jit_enabled") {
        for (key, value) in counters(&Metadata::new(), file) {
            metadata.insert(key, value.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_FILE: &str = "/nowhere/stats.json";

    fn noted(kind: TierKind, facts: &[(&str, i64)]) -> Result<Metadata, Failure> {
        let mut run = Run { values: vec![1.0], ..Run::default() };
        run.metadata = facts.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        note(kind, &mut run, Path::new(NO_FILE)).map(|()| run.metadata)
    }

    #[test]
    fn compiled_and_entered_code_is_proof() {
        let facts = [
            ("pepjit_functions_compiled", 2),
            ("pepjit_loops_compiled", 1),
            ("pepjit_native_entries", 40),
            ("pepjit_exit:overflow", 3),
            ("pepjit_timed_exits", 1),
            ("mem_max_rss", 2048),
        ];
        let metadata = noted(TierKind::Pepjit, &facts).unwrap();
        assert_eq!(metadata[meta::JIT_ACTIVE].as_int(), Some(1));
        assert_eq!(metadata["jit_functions_compiled"].as_int(), Some(2));
        assert_eq!(metadata["jit_exit:overflow"].as_int(), Some(3));
        assert_eq!(metadata["pepjit_timed_exits"].as_int(), Some(1));
        assert_eq!(metadata[meta::VM_HWM].as_int(), Some(2));
        assert!(!metadata.contains_key("pepjit_native_entries"));
        assert!(metadata[meta::JIT_PROOF].as_str().unwrap().contains("40 native entries"));
    }

    #[test]
    fn code_that_was_never_entered_is_no_proof() {
        let metadata = noted(TierKind::Pepjit, &[("pepjit_functions_compiled", 2), ("pepjit_native_entries", 0)]);
        assert_eq!(metadata.unwrap()[meta::JIT_ACTIVE].as_int(), Some(0));
    }

    #[test]
    fn a_jit_that_was_not_loaded_fails_the_process() {
        assert_eq!(noted(TierKind::Pepjit, &[]).unwrap_err().kind, FailureKind::JitInactive);
        assert_eq!(noted(TierKind::PepjitIdle, &[]).unwrap_err().kind, FailureKind::JitInactive);
        let off = noted(TierKind::CpythonJit, &[("cpython_jit_enabled", 0)]);
        assert_eq!(off.unwrap_err().kind, FailureKind::JitInactive);
    }

    #[test]
    fn a_jit_where_none_may_be_fails_the_process() {
        for intruder in ["pepjit_functions_compiled", "cpython_jit_enabled"] {
            assert_eq!(noted(TierKind::Interpreter, &[(intruder, 1)]).unwrap_err().kind, FailureKind::BadOutput);
        }
        let busy = noted(TierKind::PepjitIdle, &[("pepjit_functions_compiled", 1)]);
        assert_eq!(busy.unwrap_err().kind, FailureKind::BadOutput);
        assert!(noted(TierKind::PepjitIdle, &[("pepjit_functions_compiled", 0)]).is_ok());
        assert!(noted(TierKind::Interpreter, &[("pepjit_first_iteration", 1)]).is_ok());
    }

    #[test]
    fn the_modules_own_file_serves_scripts_that_do_not_use_our_worker() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stats.json");
        std::fs::write(&file, r#"{"functions_compiled": 1, "osr_entries": 5, "exits": 0}"#).unwrap();
        let mut run = Run { values: vec![1.0], ..Run::default() };
        note(TierKind::Pepjit, &mut run, &file).unwrap();
        assert_eq!(run.metadata[meta::JIT_ACTIVE].as_int(), Some(1));
    }

    #[test]
    fn what_a_workers_children_compile_is_proof_too() {
        let dir = tempfile::tempdir().unwrap();
        let noted = |kind: TierKind, memory: &str, children: &str| {
            std::fs::write(dir.path().join("memory.json"), memory).unwrap();
            std::fs::write(dir.path().join("children.txt"), children).unwrap();
            let loaded = kind != TierKind::Interpreter && kind != TierKind::CpythonJit;
            std::fs::write(dir.path().join("stats.json"), if loaded { r#"{"functions_compiled": 0}"# } else { "" }).unwrap();
            let mut run = Run { values: vec![1.0], ..Run::default() };
            if kind == TierKind::CpythonJit {
                run.metadata.extend([
                    ("cpython_jit_enabled".to_owned(), 1_i64.into()),
                    ("cpython_jit_executors".to_owned(), 0_i64.into()),
                ]);
            }
            let proof = note(kind, &mut run, &dir.path().join("stats.json"));
            let text = |key| run.metadata.get(key).and_then(MetaValue::as_str).unwrap_or_default().to_owned();
            proof.map(|()| (run.number(meta::JIT_ACTIVE), text(meta::JIT_PROOF))).map_err(|failure| failure.kind)
        };
        let busy = r#"{"child_cpu_ms": 40}"#;
        let (active, proof) = noted(TierKind::Pepjit, busy, "5 1 70 2\n1 0 3 0\n").unwrap();
        assert_eq!(active, Some(1.0));
        assert!(
            proof.ends_with("in 2 child processes: 6 functions and 1 loops compiled, 73 native entries, 2 OSR entries"),
            "{proof}"
        );
        let (active, proof) = noted(TierKind::Pepjit, busy, "").unwrap();
        assert!(active == Some(0.0) && proof.ends_with("none of its child processes left counters of compiled code"), "{proof}");
        let (active, proof) = noted(TierKind::Pepjit, r#"{"child_cpu_ms": 0}"#, "5 0 0 0\nbroken li").unwrap();
        assert!(active == Some(0.0) && proof.contains("in 1 child process: 5 functions"), "{proof}");
        let (_, proof) = noted(TierKind::CpythonJit, busy, "").unwrap();
        assert!(proof.ends_with("its child processes were not looked at"), "{proof}");
        for kind in [TierKind::Interpreter, TierKind::PepjitIdle] {
            assert_eq!(noted(kind, busy, "1 0 3 0\n"), Err(FailureKind::BadOutput));
            assert!(noted(kind, busy, "").is_ok());
        }
    }

    #[test]
    fn memory_is_the_workers_own_figure_or_that_of_the_processs_end() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("memory.json"), r#"{"vm_hwm_kib": 9, "uss_kib": 4, "library_kib": 2}"#).unwrap();
        let noted = |facts: &[(&str, i64)]| {
            let mut run = Run { values: vec![1.0], ..Run::default() };
            run.metadata = facts.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
            note(TierKind::Interpreter, &mut run, &dir.path().join("stats.json")).unwrap();
            [meta::VM_HWM, meta::PSS, meta::USS, meta::LIBRARY].map(|key| run.metadata.get(key).and_then(MetaValue::as_int))
        };
        assert_eq!(
            noted(&[("pepjit_design", 1), ("mem_max_rss", 2048), ("mem_pss", 1024)]),
            [Some(2), Some(1), Some(4), Some(2)]
        );
        assert_eq!(noted(&[("mem_max_rss", 500 << 20)]), [Some(9), None, Some(4), Some(2)], "pyperf's figure is inherited");
    }

    #[test]
    fn executors_prove_cpythons_own_jit() {
        let proof = |facts: &[(&str, i64)]| noted(TierKind::CpythonJit, facts).unwrap()[meta::JIT_ACTIVE].as_int();
        assert_eq!(proof(&[("cpython_jit_enabled", 1), ("cpython_jit_executors", 7)]), Some(1));
        let idle = [("cpython_jit_enabled", 1), ("cpython_jit_executors", 0), ("cpython_jit_active", 0)];
        assert_eq!(proof(&idle), Some(0));
    }

    #[test]
    fn scripts_that_do_not_use_our_worker_prove_cpythons_own_jit_at_their_end() {
        let dir = tempfile::tempdir().unwrap();
        let at_end = |kind: TierKind, text: &str| {
            std::fs::write(dir.path().join("own_jit.json"), text).unwrap();
            let mut run = Run { values: vec![1.0], ..Run::default() };
            note(kind, &mut run, &dir.path().join("stats.json")).map(|()| run.number(meta::JIT_ACTIVE)).map_err(|f| f.kind)
        };
        let on = |executors: u32| format!(r#"{{"cpython_jit_enabled": 1, "cpython_jit_executors": {executors}}}"#);
        assert_eq!(at_end(TierKind::CpythonJit, &on(7)), Ok(Some(1.0)));
        assert_eq!(at_end(TierKind::CpythonJit, &on(0)), Ok(Some(0.0)), "on, and nothing was hot");
        let off = r#"{"cpython_jit_enabled": 0}"#;
        assert_eq!(at_end(TierKind::CpythonJit, off), Err(FailureKind::JitInactive), "PYTHON_JIT=1 didn't reach it");
        assert_eq!(at_end(TierKind::CpythonJit, "{}"), Err(FailureKind::JitInactive), "no proof is no activity");
        assert_eq!(at_end(TierKind::Interpreter, &on(7)), Err(FailureKind::BadOutput));
        assert_eq!(at_end(TierKind::Interpreter, off), Ok(None));
    }
}
