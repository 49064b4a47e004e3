//! The methods of the Python module `pepjit`.

use crate::budget::Budget;
use crate::counters::Counters;
use crate::engine::{self, Engine};
use crate::ffi::{self, Object};
use crate::hooks::compile_now;
use crate::lifecycle::Patience;
use crate::linkage::Process;
use crate::listening::Listening;
use crate::log::Log;
use crate::objects::{text, tuple};
use crate::policy::Policy;
use crate::registry::Registry;
use pepjit_backend::Backend;
use pepjit_cranelift::{CraneliftBackend, Options};
use std::collections::{HashMap, HashSet};
use std::ffi::{CString, c_int};
use std::time::Instant;

const EVENT_START: c_int = 1;
const EVENT_JUMP: c_int = 2;

/// An exception to raise: its class and text.
struct Raise(Object, String);

impl Raise {
    fn type_error(text: impl Into<String>) -> Raise {
        // SAFETY: a static of the interpreter.
        Raise(unsafe { ffi::PyExc_TypeError }, text.into())
    }

    fn value_error(text: impl Into<String>) -> Raise {
        // SAFETY: a static of the interpreter.
        Raise(unsafe { ffi::PyExc_ValueError }, text.into())
    }

    fn runtime_error(text: impl Into<String>) -> Raise {
        // SAFETY: a static of the interpreter.
        Raise(unsafe { ffi::PyExc_RuntimeError }, text.into())
    }

    fn set(self) -> Object {
        // SAFETY: a live exception class and a NUL-terminated text; an exception that is already set is kept.
        unsafe {
            if ffi::PyErr_Occurred().is_null() {
                let text = CString::new(self.1.replace('\0', " ")).unwrap_or_default();
                ffi::PyErr_SetString(self.0, text.as_ptr());
            }
        }
        std::ptr::null_mut()
    }
}

fn string(text: &str) -> Object {
    // SAFETY: the bytes are valid UTF-8 of the stated length.
    unsafe { ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as isize) }
}

fn number(value: u64) -> Object {
    // SAFETY: no preconditions.
    unsafe { ffi::PyLong_FromLongLong(value as i64) }
}

fn truth(value: bool) -> Object {
    // SAFETY: no preconditions.
    unsafe { ffi::PyBool_FromLong(i64::from(value)) }
}

fn none() -> Object {
    let mut process = ffi::ProcessLayout::default();
    // SAFETY: a structure of the declared layout.
    unsafe {
        ffi::pepjit_process_layout(&raw mut process);
        let none = process.none as Object;
        ffi::pepjit_incref(none);
        none
    }
}

/// A dict of these keys and (stolen) values.
fn dict(items: Vec<(String, Object)>) -> Object {
    // SAFETY: live objects; each value's reference is given up after the dict has made its own.
    unsafe {
        let dict = ffi::PyDict_New();
        for (key, value) in items {
            if let (Ok(key), false, false) = (CString::new(key), dict.is_null(), value.is_null()) {
                ffi::PyDict_SetItemString(dict, key.as_ptr(), value);
                ffi::pepjit_decref(value);
            }
        }
        dict
    }
}

/// Makes the back end that `PEPJIT_BACKEND` names.
fn backend() -> Result<Box<dyn Backend>, String> {
    match std::env::var("PEPJIT_BACKEND").as_deref() {
        Err(_) | Ok("" | "cranelift") => {
            let backend = CraneliftBackend::new(Options::from_env(), Box::new(crate::arena::provider));
            crate::arena::Arena::size_from_env().map_err(|error| error.to_string())?;
            Ok(Box::new(crate::unwind::AnnouncingBackend::new(backend.map_err(|error| error.to_string())?)))
        }
        Ok("reference") => Ok(Box::new(crate::reference::ReferenceBackend::new())),
        Ok(other) => Err(format!("PEPJIT_BACKEND={other}: use cranelift or reference")),
    }
}

fn listening() -> Listening {
    // SAFETY: no preconditions.
    Listening::new(unsafe { ffi::pepjit_other_jit() } != 0)
}

/// Sets the engine up; the module is being imported.
#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_init(_module: Object) -> c_int {
    let engine = || -> Result<Engine, String> {
        let policy = Policy::from_env()?;
        Ok(Engine {
            enabled: false,
            idle: std::env::var("PEPJIT_IDLE").is_ok_and(|text| !text.is_empty() && text != "0"),
            budget: Budget::new(policy.share),
            policy,
            backend: backend()?,
            process: Process::new()?,
            registry: Registry::default(),
            counters: Counters::default(),
            calls: HashMap::default(),
            jumps: HashMap::default(),
            looping: HashSet::default(),
            in_progress: Vec::new(),
            nested_time: std::time::Duration::ZERO,
            nested: HashMap::default(),
            hooked: HashMap::default(),
            versions: HashMap::new(),
            version_of: HashMap::new(),
            makers: HashMap::default(),
            known: HashSet::default(),
            replaced: Vec::new(),
            patience: Patience::default(),
            late: false,
            classes: HashMap::new(),
            call_sites: HashMap::default(),
            subscripts: HashMap::default(),
            containers: Vec::new(),
            resumed_by: crate::generators::Asker::Other,
            hot_handlers: HashMap::new(),
            counted: HashSet::default(),
            left_soon: HashMap::default(),
            queue: Vec::new(),
            queue_seen: Instant::now(),
            listening: listening(),
            log: Log::from_env()?,
            callees_denied: 0,
            released: Vec::new(),
        })
    };
    match engine() {
        Ok(engine) => {
            engine::install(engine);
            if std::env::var_os("PEPJIT_STATS").is_some_and(|path| !path.is_empty()) {
                // SAFETY: the function has the C signature and lives as long as the process (extension modules are never unloaded).
                unsafe { libc::atexit(write_stats) };
            }
            0
        }
        Err(text) => {
            Raise::value_error(text).set();
            -1
        }
    }
}

/// Python's entry into the module.
#[unsafe(no_mangle)]
pub extern "C" fn PyInit_pepjit() -> Object {
    // SAFETY: called by the import machinery with the GIL.
    unsafe { ffi::pepjit_module_create() }
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_method(method: c_int, args: *const Object, nargs: i64, kwnames: Object) -> Object {
    let names = tuple(kwnames);
    let count = usize::try_from(nargs).unwrap_or(0) + names.len();
    // SAFETY: the calling convention: positional arguments, then one for each keyword name.
    let values: &[Object] = if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(args, count) } };
    let (positional, named) = values.split_at(count - names.len());
    let named: Vec<(String, Object)> =
        names.iter().map(|name| text(*name).unwrap_or_default()).zip(named.iter().copied()).collect();
    let result = match method {
        0 => enable(positional, &named),
        1 => no_arguments("disable", positional, &named).map(|()| disable()),
        2 => no_arguments("is_enabled", positional, &named).map(|()| truth(engine::with(|engine| engine.enabled) == Some(true))),
        3 => function_argument("compile", positional, &named).and_then(|function| match compile_now(function) {
            Ok(()) => Ok(truth(true)),
            Err(reason) if reason.starts_with("internal error") => Err(Raise::runtime_error(reason)),
            Err(_) => Ok(truth(false)),
        }),
        4 => function_argument("is_compiled", positional, &named).map(|function| {
            let compiled = engine::with(|engine| {
                let keys = engine.keys_of(function);
                keys.into_iter().any(|key| engine.registry.find(key).is_some())
            });
            truth(compiled == Some(true))
        }),
        5 => function_argument("explain", positional, &named).map(explain),
        6 => no_arguments("stats", positional, &named).map(|()| stats()),
        7 => dump(positional, &named),
        _ => Err(Raise::runtime_error("unknown method")),
    };
    result.unwrap_or_else(Raise::set)
}

fn no_arguments(method: &str, positional: &[Object], named: &[(String, Object)]) -> Result<(), Raise> {
    if positional.is_empty() && named.is_empty() {
        Ok(())
    } else {
        Err(Raise::type_error(format!("{method}() takes no arguments")))
    }
}

fn function_argument(method: &str, positional: &[Object], named: &[(String, Object)]) -> Result<Object, Raise> {
    let [function] = positional else { return Err(Raise::type_error(format!("{method}() takes one argument, a function"))) };
    // SAFETY: a live argument.
    if !named.is_empty() || unsafe { ffi::pepjit_is_function(*function) } == 0 {
        return Err(Raise::type_error(format!("{method}() takes a Python function (of a method: pass method.__func__)")));
    }
    Ok(*function)
}

fn enable(positional: &[Object], named: &[(String, Object)]) -> Result<Object, Raise> {
    if !positional.is_empty() {
        return Err(Raise::type_error("enable() takes keyword arguments only: threshold, max_attempts, max_units"));
    }
    // PEPJIT=0 wins over everything.
    if std::env::var("PEPJIT").as_deref() == Ok("0") {
        return Ok(none());
    }
    let mut policy = Vec::new();
    for (name, value) in named {
        // SAFETY: a live argument; on failure an exception is set, and reported.
        let value = unsafe { ffi::PyLong_AsLongLong(*value) };
        // SAFETY: no preconditions.
        if value < 0 || !unsafe { ffi::PyErr_Occurred() }.is_null() {
            return Err(Raise::value_error(format!("enable(): {name} must be a number that is not negative")));
        }
        if !matches!(name.as_str(), "threshold" | "max_attempts" | "max_units") {
            return Err(Raise::type_error(format!(
                "enable(): unknown policy {name:?}; known are threshold, max_attempts, max_units"
            )));
        }
        policy.push((name.clone(), value as u64));
    }
    let already = engine::with(|engine| {
        for (name, value) in policy {
            match name.as_str() {
                "threshold" => {
                    engine.policy.calls = value;
                    engine.policy.jumps = value.saturating_mul(4);
                    engine.policy.force = value == 0;
                    engine.budget.lift();
                }
                "max_attempts" => engine.policy.max_attempts = value as u32,
                _ => engine.policy.max_units = value as usize,
            }
        }
        std::mem::replace(&mut engine.enabled, true)
    });
    if already == Some(true) {
        return Ok(none());
    }
    // SAFETY: called with the GIL, outside of any callback of ours.
    unsafe {
        if ffi::pepjit_views_begin() != 0 || ffi::pepjit_watchers_begin() != 0 {
            ffi::pepjit_views_end();
            engine::with(|engine| engine.enabled = false);
            return Err(Raise::runtime_error("the watchers can't be registered"));
        }
        if ffi::pepjit_monitoring_begin() != 0 || ffi::pepjit_monitoring_events(EVENT_START | EVENT_JUMP) != 0 {
            ffi::pepjit_watchers_end();
            ffi::pepjit_views_end();
            engine::with(|engine| engine.enabled = false);
            return Err(Raise::runtime_error("sys.monitoring can't be used: is tool id 5 taken?"));
        }
        if !engine::with(|engine| engine.idle).unwrap_or(true) {
            ffi::pepjit_generators_begin();
        }
    }
    Ok(none())
}

fn disable() -> Object {
    let was = engine::with(|engine| {
        let units: Vec<u64> = engine.registry.units.keys().copied().collect();
        for id in units {
            engine.drop_unit(id);
        }
        engine.stop_generators();
        engine.registry.history.clear();
        engine.calls.clear();
        engine.jumps.clear();
        engine.left_soon.clear();
        engine.nested.clear();
        engine.counted.clear();
        engine.queue.clear();
        engine.listening = listening();
        std::mem::replace(&mut engine.enabled, false)
    });
    if was == Some(true) {
        // SAFETY: called with the GIL, outside of any callback of ours.
        unsafe {
            ffi::pepjit_generators_end();
            ffi::pepjit_monitoring_end();
            ffi::pepjit_wait_no_more();
            ffi::pepjit_watchers_end();
            ffi::pepjit_views_end();
        }
    }
    none()
}

fn explain(function: Object) -> Object {
    let told = engine::with(|engine| {
        // A generator is compiled in pieces.
        let keys = engine.keys_of(function);
        let histories: Vec<_> = keys.iter().filter_map(|key| engine.registry.history.get(key)).collect();
        let units: Vec<_> = keys.iter().filter_map(|key| engine.registry.find(*key)).collect();
        let refused: Vec<&str> = histories.iter().filter_map(|history| history.refused.as_deref()).collect();
        let reason = match (units.is_empty(), refused.first()) {
            (false, _) => "compiled".to_string(),
            (true, Some(reason)) => (*reason).to_string(),
            (true, None) => "not hot yet".to_string(),
        };
        // Its loops that are entered on their own leave as well.
        let loops: Vec<_> = engine.loops_of(function).into_iter().filter_map(|key| engine.registry.find(key)).collect();
        let exits: Vec<(u32, &'static str, u64)> = units
            .iter()
            .chain(&loops)
            .flat_map(|unit| &unit.exits)
            .filter(|holder| holder.exit.count > 0)
            .map(|holder| (holder.exit.offset * 2, holder.reason.name(), holder.exit.count))
            .collect();
        let failed: Vec<u32> = histories.iter().flat_map(|history| history.failed_sites.clone()).collect();
        (!units.is_empty(), reason, exits, failed, histories.iter().map(|history| history.attempts).max().unwrap_or(0))
    });
    let Some((compiled, reason, exits, failed, attempts)) = told else { return none() };
    // SAFETY: new objects, each given to its container.
    unsafe {
        let list = ffi::PyList_New(0);
        for (offset, reason, count) in exits {
            let item = dict(vec![
                ("offset".into(), number(u64::from(offset))),
                ("reason".into(), string(reason)),
                ("count".into(), number(count)),
            ]);
            ffi::PyList_Append(list, item);
            ffi::pepjit_decref(item);
        }
        let sites = ffi::PyList_New(0);
        for site in failed {
            let item = number(u64::from(site) * 2);
            ffi::PyList_Append(sites, item);
            ffi::pepjit_decref(item);
        }
        dict(vec![
            ("compiled".into(), truth(compiled)),
            ("reason".into(), string(&reason)),
            ("exits".into(), list),
            ("failed_sites".into(), sites),
            ("attempts".into(), number(u64::from(attempts))),
        ])
    }
}

fn stats() -> Object {
    dict(all_counters().into_iter().map(|(name, value)| (name, number(value))).collect())
}

/// Every counter with its value now.
fn all_counters() -> Vec<(String, u64)> {
    let all = engine::with(|engine| {
        let mut all = engine.counters.all();
        let arena = crate::arena::Arena::global();
        let (used, reserved) = (arena.code_bytes() as u64, arena.code_bytes_reserved() as u64);
        let running: u64 = engine.registry.units.values().map(|unit| *unit.words.entries).sum();
        let entries = engine.counters.native_entries + running;
        all.retain(|(name, _)| name != "code_bytes" && name != "native_entries");
        all.push(("native_entries".into(), entries));
        // SAFETY: counters of the C side, read with the GIL held.
        unsafe {
            all.push(("unwinds".into(), ffi::pepjit_unwinds));
            all.push(("events".into(), ffi::pepjit_events));
        }
        for (name, value) in &mut all {
            if name == "metadata_bytes" {
                *value += crate::unwind::metadata_bytes();
            }
        }
        all.push(("code_bytes".into(), if used > 0 { used } else { engine.counters.code_bytes }));
        all.push(("code_bytes_reserved".into(), reserved));
        all.push(("code_bytes_freed".into(), arena.code_bytes_freed() as u64));
        all.push(("heap_bytes".into(), crate::heap::live() as u64));
        all
    });
    all.unwrap_or_default()
}

/// At the end of the process: the counters go to the file that `PEPJIT_STATS` names (`%p`: the process's number), whole or not at all.
extern "C" fn write_stats() {
    let Ok(path) = std::env::var("PEPJIT_STATS") else { return };
    let path = path.replace("%p", &std::process::id().to_string());
    let counters: serde_json::Map<String, serde_json::Value> =
        all_counters().into_iter().map(|(name, value)| (name, value.into())).collect();
    let partial = format!("{path}.{}.part", std::process::id());
    let written = std::fs::write(&partial, format!("{}\n", serde_json::Value::Object(counters)))
        .and_then(|()| std::fs::rename(&partial, &path));
    if let Err(error) = written {
        eprintln!("pepjit: the counters could not be written to {path}: {error}");
    }
}

fn dump(positional: &[Object], named: &[(String, Object)]) -> Result<Object, Raise> {
    let [function, kind] = positional else {
        return Err(Raise::type_error("dump() takes a function and \"hir\", \"clif\" or \"asm\""));
    };
    let function = function_argument("dump", &[*function], named)?;
    let kind = if crate::objects::class_type(*kind) == pepjit_ir::Type::STR { text(*kind) } else { None };
    let kind = kind.filter(|kind| matches!(kind.as_str(), "hir" | "hir0" | "clif" | "asm"));
    let Some(kind) = kind else {
        return Err(Raise::value_error("dump() takes \"hir\", \"clif\" or \"asm\" as its second argument"));
    };
    match engine::with(|engine| engine.dump(function, &kind)) {
        Some(Ok(text)) => Ok(string(&text)),
        Some(Err(reason)) => Err(Raise::value_error(reason)),
        None => Err(Raise::runtime_error("the JIT is busy")),
    }
}
