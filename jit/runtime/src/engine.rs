//! The engine: state of the process, compilation, invalidation. Everything runs under the GIL.

use crate::counters::Counters;
use crate::ffi::{self, Object};
use crate::linkage::{Process, UnitLinkage};
use crate::objects::{code_facts, function_info};
use crate::policy::{self, Policy};
use crate::registry::{Assumption, History, Key, OsrProfile, Registry, Unit, UnitId};
use crate::world::ProcessWorld;
use pepjit_backend::{Backend, BackendError, Compiled};
use pepjit_frontend::{BuildError, Entry};
use pepjit_ir::op::Reason;
use pepjit_ir::passes::Pipeline;
use pepjit_ir::{FunctionKind, Type};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Functions compiled inside one another at most.
const MAX_NESTING: usize = 6;

/// Sites that overflow before all arithmetic of a function is left to the generic helpers.
const MAX_OVERFLOWS: u32 = 2;

/// A function that is being compiled: others may already call it through its cell.
pub(crate) struct InProgress {
    pub(crate) key: Key,
    pub(crate) cell: Box<u64>,
    pub(crate) params: Vec<Type>,
    pub(crate) name: String,
    /// Units compiled meanwhile that call it.
    pub(crate) callers: Vec<UnitId>,
}

/// How a function or loop has been seen to run.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) count: u64,
    pub(crate) observed: Vec<Type>,
}

/// The state of the process.
pub(crate) struct Engine {
    pub(crate) enabled: bool,
    pub(crate) idle: bool,
    pub(crate) policy: Policy,
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) process: Process,
    pub(crate) registry: Registry,
    pub(crate) counters: Counters,
    /// By code object.
    pub(crate) calls: HashMap<usize, Profile>,
    /// By code object and header.
    pub(crate) jumps: HashMap<(usize, u32), u64>,
    /// Code objects of which a loop has been compiled.
    pub(crate) looping: HashSet<usize>,
    pub(crate) in_progress: Vec<InProgress>,
    /// Whether code objects are those of nested functions.
    pub(crate) nested: HashMap<usize, bool>,
    /// The unit of each function whose vectorcall is compiled code, and the function's version from before.
    pub(crate) hooked: HashMap<usize, (UnitId, u32)>,
    /// Functions that something is known of.
    pub(crate) known: HashSet<usize>,
    /// Names of dicts that have been seen changing.
    pub(crate) unstable: BTreeSet<(usize, String)>,
    /// References of freed units, to be given up when the engine is no longer busy.
    pub(crate) released: Vec<Object>,
    /// Classes by version tag (kept alive during a compilation).
    pub(crate) classes: HashMap<u32, usize>,
    /// Handlers of exceptions that have been seen to run, by code object.
    pub(crate) hot_handlers: HashMap<usize, BTreeSet<u32>>,
    /// Functions that are to be compiled again when there's an opportunity.
    pub(crate) queue: Vec<usize>,
}

struct Global(RefCell<Option<Engine>>);
// SAFETY: only touched with the GIL held.
unsafe impl Sync for Global {}
static ENGINE: Global = Global(RefCell::new(None));

/// What happened to something that compiled code may rely on.
#[derive(Debug)]
pub(crate) enum Event {
    /// It's about to change.
    Changed(Assumption),
    /// A function has got other code or defaults.
    FunctionChanged(usize),
    /// A function is going away.
    FunctionGone(usize),
}

/// Events that came while the engine was busy: they must not get lost.
struct Missed(RefCell<Vec<Event>>);
// SAFETY: only touched with the GIL held.
unsafe impl Sync for Missed {}
static MISSED: Missed = Missed(RefCell::new(Vec::new()));

/// Puts the engine in place.
pub(crate) fn install(engine: Engine) {
    *ENGINE.0.borrow_mut() = Some(engine);
}

/// Runs with the engine; none if it's busy further up the stack (a finaliser ran Python code) or not there.
pub(crate) fn with<T>(action: impl FnOnce(&mut Engine) -> T) -> Option<T> {
    let mut guard = ENGINE.0.try_borrow_mut().ok()?;
    let engine = guard.as_mut()?;
    let result = action(engine);
    loop {
        let missed = std::mem::take(&mut *MISSED.0.borrow_mut());
        if missed.is_empty() {
            break;
        }
        for event in missed {
            engine.handle(&event);
        }
    }
    let released = std::mem::take(&mut engine.released);
    drop(guard);
    for object in released {
        // SAFETY: a reference that a freed unit held. Finalisers may run Python code, which may come back here.
        unsafe { ffi::pepjit_decref(object) };
    }
    Some(result)
}

/// Something has happened that compiled code must hear of.
pub(crate) fn notify(event: Event) {
    if with(|engine| engine.handle(&event)).is_none() {
        MISSED.0.borrow_mut().push(event);
    }
}

/// Why nothing was compiled.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Not compiled, for a reason that is counted.
    Unsupported(String),
    /// A bug.
    Internal(String),
}

impl Engine {
    /// Compiles a function, or one of its loops, and makes it current. `observed` are the classes of arguments, or of locals and stack.
    pub(crate) fn compile(&mut self, function: Object, entry: Entry, observed: Vec<Type>) -> Result<UnitId, String> {
        let header = match entry {
            Entry::Function => None,
            Entry::Loop { header, .. } => Some(header),
        };
        // SAFETY: a live function's code object.
        if unsafe { ffi::pepjit_code_monitored(function_info(function).code) } != 0 {
            return Err("others monitor it".into());
        }
        let key = self.key(function, header);
        self.known.insert(function as usize);
        let history = self.registry.history.entry(key).or_default();
        if let Some(reason) = &history.refused {
            return Err(reason.clone());
        }
        if history.attempts >= self.policy.max_attempts {
            history.refused = Some("speculation kept failing".into());
            self.counters.given_up += 1;
            return Err("speculation kept failing".into());
        }
        history.attempts += 1;
        history.observed.clone_from(&observed);
        let mut failed_sites = history.failed_sites.clone();
        if history.overflows > MAX_OVERFLOWS {
            // Big integers: no arithmetic of this code stays within 64 bits.
            failed_sites.push(pepjit_frontend::input::BIG_INTEGERS);
        }
        let start = Instant::now();
        let nesting = self.in_progress.len();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.compile_unit(function, key, entry, observed, failed_sites)));
        self.counters.compile_ns += start.elapsed().as_nanos() as u64;
        if nesting == 0 {
            self.released.extend(self.classes.drain().map(|(_, class)| class as Object));
        }
        let refusal = match outcome {
            Ok(Ok(id)) => return Ok(id),
            Ok(Err(refusal)) => refusal,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
                Refusal::Internal(text.unwrap_or("panic").to_string())
            }
        };
        // Whoever was compiled meanwhile and calls this function has nothing to call.
        for abandoned in self.in_progress.split_off(nesting) {
            for caller in abandoned.callers {
                self.drop_unit(caller);
            }
            // Its cell stays: code that is never entered again refers to it.
            Box::leak(abandoned.cell);
        }
        self.counters.compile_failures += 1;
        let reason = match refusal {
            Refusal::Unsupported(reason) => reason,
            Refusal::Internal(reason) => {
                self.counters.internal_errors += 1;
                if self.policy.verbose {
                    eprintln!("pepjit: internal error: {reason}");
                }
                format!("internal error: {reason}")
            }
        };
        let counter = reason.split(':').next().unwrap_or("unknown").to_string();
        *self.counters.unsupported.entry(counter).or_default() += 1;
        if let Some(history) = self.registry.history.get_mut(&key) {
            history.refused = Some(reason.clone());
        }
        Err(reason)
    }

    fn compile_unit(
        &mut self,
        function: Object,
        key: Key,
        entry: Entry,
        observed: Vec<Type>,
        failed_sites: Vec<u32>,
    ) -> Result<UnitId, Refusal> {
        if self.in_progress.len() >= MAX_NESTING {
            return Err(Refusal::Unsupported("nesting".into()));
        }
        let mut facts =
            code_facts(function, entry, observed, failed_sites).ok_or_else(|| Refusal::Unsupported("code object".into()))?;
        if facts.has_executors {
            return Err(Refusal::Unsupported("already compiled by CPython's own JIT".into()));
        }
        let info = function_info(function);
        if info.plain_dicts == 0 {
            return Err(Refusal::Unsupported("globals that are no plain dict".into()));
        }
        if facts.input.code.len() > self.policy.max_units {
            return Err(Refusal::Unsupported("size".into()));
        }
        let id = self.registry.reserve();
        let loops = pepjit_frontend::has_loops(&facts.input);
        facts.input.site_classes = self.registry.history.get(&key).map_or_else(HashMap::new, |known| known.classes.clone());
        facts.input.hot_handlers = self.hot_handlers.get(&(info.code as usize)).cloned().unwrap_or_default();
        facts.input.shared = key.header.is_none() && key.owner != function as usize;
        let shared = facts.input.shared;
        let params = if key.header.is_none() { pepjit_frontend::parameter_types(&facts.input) } else { Vec::new() };
        let name = facts.input.name.clone();
        self.in_progress.push(InProgress { key, cell: Box::new(0), params, name: name.clone(), callers: Vec::new() });

        let start = Instant::now();
        let mut world = ProcessWorld::new(self, id, function);
        let built = pepjit_frontend::build(&facts.input, &mut world);
        let assumptions = world.finish();
        self.counters.frontend_ns += start.elapsed().as_nanos() as u64;
        let mut built = built.map_err(|BuildError::Unsupported(what)| Refusal::Unsupported(what))?;
        if !self.policy.worthwhile(&built, key.header.is_some()) {
            return Err(Refusal::Unsupported("mostly generic calls".into()));
        }
        if self.policy.verify {
            check(&built.func, "the front end")?;
        }
        let mut pipeline = Pipeline::new();
        pipeline.run(&mut built.func);
        for (pass, time) in pipeline.times() {
            *self.counters.passes.entry(pass).or_default() += time.as_nanos() as u64;
        }
        if self.policy.verify {
            check(&built.func, "the passes")?;
        }
        let start = Instant::now();
        let valid = Box::new(1u8);
        let entries = Box::new(0u64);
        let function_cell = Box::new(function as u64);
        let stress = Box::new(self.policy.stress_start());
        let stress_address = if self.policy.stresses() { &raw const *stress as u64 } else { 0 };
        let counters = self.counters.exits.as_mut_ptr();
        let mut linkage = UnitLinkage::new(
            &self.process,
            id,
            function,
            info.code,
            &raw const *valid as u64,
            stress_address,
            &raw const *entries as u64,
            if shared { &raw const *function_cell as u64 } else { 0 },
            counters,
            if key.header.is_some() || loops { policy::exit_limit } else { policy::function_exit_limit },
        );
        let compiled = self.backend.compile(&built.func, &mut linkage, false);
        let (exits, views) = (linkage.exits, linkage.views);
        self.counters.backend_ns += start.elapsed().as_nanos() as u64;
        let compiled: Compiled = compiled.map_err(|error| match error {
            BackendError::Internal { .. } => Refusal::Internal(error.to_string()),
            other => Refusal::Unsupported(other.to_string()),
        })?;

        // Everything that the code names stays alive with it.
        // (Not the function itself: who runs it holds it, and it could never go away.)
        let alone = key.owner == function as usize;
        // Nor classes that are watched: when one goes the code is invalid, and classes hold the functions whose code would hold them. Nor the code
        // object: what runs of it holds it.
        let watched: HashSet<usize> = assumptions
            .iter()
            .filter_map(|assumption| if let Assumption::Class(class) = assumption { Some(*class) } else { None })
            .collect();
        let kept: Vec<Object> = built
            .func
            .objects
            .iter()
            .map(|object| object.address as Object)
            .filter(|object| *object != function && !watched.contains(&(*object as usize)))
            .collect();
        for object in &kept {
            // SAFETY: the objects are live: the front end found them a moment ago, and the GIL has been held since.
            unsafe { ffi::pepjit_incref(*object) };
        }
        let Some(mut mine) = self.in_progress.pop() else { return Err(Refusal::Internal("nesting".into())) };
        *mine.cell = compiled.entry;
        self.counters.code_bytes += compiled.code_bytes as u64;
        self.counters.metadata_bytes += exits.iter().map(|exit| exit.bytes() as u64).sum::<u64>() + views.bytes() as u64;
        self.counters.bytecodes_compiled += facts.input.code.len() as u64;
        if matches!(built.func.kind, FunctionKind::Entry) {
            self.counters.functions_compiled += 1;
        } else {
            self.counters.loops_compiled += 1;
            self.looping.insert(info.code as usize);
        }
        let unit = Unit {
            key,
            name,
            compiled,
            valid,
            cell: mine.cell,
            stress,
            entries,
            hooks: 0,
            specialisations: pepjit_frontend::specialisations(&facts.input),
            osr: OsrProfile::default(),
            params: mine.params,
            exits,
            views,
            kept,
            function,
            code: info.code,
            function_cell,
            namespaces: (info.globals as usize, info.builtins as usize),
        };
        self.registry.units.insert(id, unit);
        for assumption in assumptions {
            self.registry.assume(id, assumption);
        }
        // The function itself: new code or defaults.
        if alone {
            self.registry.assume(id, Assumption::Function(key.owner));
        }
        // A unit that calls one still in progress goes with it if that fails.
        let called: Vec<u64> = built.func.callees.iter().map(|callee| callee.entry_cell).collect();
        for outer in &mut self.in_progress {
            if called.contains(&(&raw const *outer.cell as u64)) {
                outer.callers.push(id);
            }
        }
        self.registry.current.insert(key, id);
        if key.header.is_none() {
            self.hook(id, function);
        }
        Ok(id)
    }

    /// How many calls of a function are waited for: fewer if it has a loop that is hot already, for that loop then no longer starts in the
    /// interpreter, and knows what its variables are.
    pub(crate) fn threshold(&self, code: Object) -> u64 {
        let calls = self.policy.calls;
        if self.looping.contains(&(code as usize)) { calls / policy::LOOPING_CALLS } else { calls }
    }

    /// What a function, or a loop of it, is known by.
    pub(crate) fn key(&mut self, function: Object, header: Option<u32>) -> Key {
        let code = function_info(function).code as usize;
        let shared = header.is_some() || self.shares(function, code);
        Key { owner: if shared { code } else { function as usize }, header }
    }

    /// Whether the functions of a code object share what is compiled: nested functions, which are made again and again.
    fn shares(&mut self, function: Object, code: usize) -> bool {
        if self.backend.name() == "reference" {
            // It finds its functions by their addresses.
            return false;
        }
        *self.nested.entry(code).or_insert_with(|| crate::objects::is_nested(function))
    }

    /// Sends calls of a function to a unit of it, or of its code.
    pub(crate) fn hook(&mut self, id: UnitId, function: Object) {
        // SAFETY: no preconditions.
        let suspended = unsafe { ffi::pepjit_hooks_suspended() } != 0;
        let Some(unit) = self.registry.units.get(&id) else { return };
        if suspended || self.hooked.get(&(function as usize)).is_some_and(|(of, _)| *of == id) {
            return;
        }
        let info = function_info(function);
        if unit.namespaces != (info.globals as usize, info.builtins as usize) {
            return;
        }
        // SAFETY: the function is alive: somebody is calling it, or its unit has just been compiled.
        let version = unsafe { ffi::pepjit_hook(function, unit.compiled.vectorcall as *mut _) };
        self.hooked.insert(function as usize, (id, version));
        if let Some(unit) = self.registry.units.get_mut(&id) {
            unit.hooks += 1;
        }
    }

    /// Gives a unit up: calls go to the interpreter again.
    pub(crate) fn drop_unit(&mut self, id: UnitId) {
        if self.registry.invalidate(id).is_none() {
            return;
        }
        self.hooked.retain(|function, (of, version)| {
            if *of == id {
                // SAFETY: a hooked function is alive: its destruction takes it off the list.
                unsafe { ffi::pepjit_unhook(*function as Object, *version) };
            }
            *of != id
        });
    }

    fn handle(&mut self, event: &Event) {
        match event {
            Event::Changed(assumption) => self.break_assumption(assumption),
            Event::FunctionChanged(function) => self.function_changed(*function),
            Event::FunctionGone(function) => self.forget_function(*function),
        }
    }

    /// Something changed: what relied on it is given up, and compiled again if it gets hot again.
    pub(crate) fn break_assumption(&mut self, assumption: &Assumption) {
        if let Assumption::Name { dict, name } = assumption
            && name.is_empty()
        {
            for id in self.registry.broken_dict(*dict) {
                self.invalidate(id);
            }
            return;
        }
        let broken = self.registry.broken(assumption);
        if let (Assumption::Name { dict, name }, false) = (assumption, broken.is_empty()) {
            self.unstable.insert((*dict, name.clone()));
        }
        for id in broken {
            self.invalidate(id);
        }
    }

    /// Gives up the code of functions that others monitor alone.
    pub(crate) fn spare_monitored(&mut self) {
        // SAFETY: a unit keeps its code object alive.
        let watched = |unit: &Unit| *unit.valid == 1 && unsafe { ffi::pepjit_code_monitored(unit.code) } != 0;
        let units: Vec<UnitId> = self.registry.units.iter().filter(|(_, unit)| watched(unit)).map(|(id, _)| *id).collect();
        for id in units {
            self.invalidate(id);
        }
    }

    fn invalidate(&mut self, id: UnitId) {
        let Some(unit) = self.registry.units.get(&id) else { return };
        if *unit.valid == 0 {
            return;
        }
        self.counters.invalidations += 1;
        let (key, function) = (unit.key, unit.function as usize);
        self.drop_unit(id);
        if key.header.is_none() && function != 0 {
            self.queue.push(function);
        }
    }

    /// A function is going away: its address may be used again.
    fn forget_function(&mut self, function: usize) {
        self.hooked.remove(&function);
        // Most functions are unknown here: this is called for every one that goes.
        if self.known.remove(&function) {
            self.break_assumption(&Assumption::Function(function));
            self.queue.retain(|queued| *queued != function);
            self.registry.history.remove(&Key { owner: function, header: None });
            self.free_units(function);
            self.replace_function(function);
        }
    }

    /// Frees the units of a function or a code object that has gone: nothing runs of it any more, for what runs it would hold it.
    pub(crate) fn free_units(&mut self, owner: usize) {
        let gone: Vec<UnitId> =
            self.registry.units.iter().filter(|(_, unit)| unit.key.owner == owner).map(|(id, _)| *id).collect();
        for id in gone {
            self.drop_unit(id);
            let Some(unit) = self.registry.units.remove(&id) else { continue };
            self.released.extend(&unit.kept);
            self.backend.free(unit.compiled.handle);
            self.counters.native_entries += *unit.entries;
            self.counters.units_freed += 1;
            // Invalid callers still know the address.
            Box::leak(unit.cell);
        }
    }

    /// Units that other functions share with one that goes away are theirs.
    fn replace_function(&mut self, gone: usize) {
        for (id, unit) in self.registry.units.iter_mut().filter(|(_, unit)| unit.function as usize == gone) {
            let heir = self.hooked.iter().find(|(_, (of, _))| of == id).map(|(function, _)| *function);
            self.known.extend(heir);
            unit.function = heir.unwrap_or(0) as Object;
        }
    }

    /// A function has got other code or defaults.
    fn function_changed(&mut self, function: usize) {
        if let Some((_, version)) = self.hooked.remove(&function) {
            // SAFETY: the function is alive: it is being changed.
            unsafe { ffi::pepjit_unhook(function as Object, version) };
        }
        self.break_assumption(&Assumption::Function(function));
    }

    /// Compiles again what was invalidated.
    pub(crate) fn run_queue(&mut self) {
        for function in std::mem::take(&mut self.queue) {
            let key = self.key(function as Object, None);
            let observed = self.registry.history.get(&key).map_or_else(Vec::new, |known| known.observed.clone());
            self.counters.recompilations += 1;
            let _ = self.compile(function as Object, Entry::Function, observed);
        }
    }

    /// Speculation failed too often at an exit: compile without it, or give up.
    pub(crate) fn respecialise(&mut self, id: UnitId, offset: u32, reason: Reason) {
        let Some(unit) = self.registry.units.get(&id) else { return };
        if *unit.valid == 0 {
            return;
        }
        let (key, function) = (unit.key, unit.function);
        let hooked: Vec<usize> = self.hooked.iter().filter(|(_, (of, _))| *of == id).map(|(function, _)| *function).collect();
        self.drop_unit(id);
        if !reason.is_speculation() {
            self.give_up(key, "left too often");
            return;
        }
        let history: &mut History = self.registry.history.entry(key).or_default();
        if !history.failed_sites.contains(&offset) {
            history.failed_sites.push(offset);
        }
        history.overflows += u32::from(reason == Reason::Overflow);
        self.counters.recompilations += 1;
        if key.header.is_none() && !function.is_null() {
            let observed = history.observed.clone();
            if let Ok(id) = self.compile(function, Entry::Function, observed) {
                for function in hooked {
                    self.hook(id, function as Object);
                }
            }
        }
    }

    /// An exception handler has been left to the interpreter again and again: from now on it's compiled with the rest. False if it is already.
    pub(crate) fn compile_handler(&mut self, id: UnitId, target: u32) -> bool {
        let Some(unit) = self.registry.units.get(&id) else { return false };
        let (key, function, code) = (unit.key, unit.function, unit.code as usize);
        if *unit.valid == 0 || !self.hot_handlers.entry(code).or_default().insert(target) {
            return false;
        }
        self.compile_again(id, key, function);
        true
    }

    /// Compiles a unit again since more is known of it: a function at once, a loop when it is entered next.
    fn compile_again(&mut self, id: UnitId, key: Key, function: Object) {
        let hooked: Vec<usize> = self.hooked.iter().filter(|(_, (of, _))| *of == id).map(|(function, _)| *function).collect();
        self.drop_unit(id);
        self.counters.recompilations += 1;
        let history = self.registry.history.entry(key).or_default();
        history.attempts = history.attempts.saturating_sub(1);
        if key.header.is_none() && !function.is_null() {
            let observed = history.observed.clone();
            if let Ok(id) = self.compile(function, Entry::Function, observed) {
                for function in hooked {
                    self.hook(id, function as Object);
                }
            }
        }
    }

    /// Leaves a function or loop to the interpreter for good.
    pub(crate) fn give_up(&mut self, key: Key, reason: &str) {
        if let Some(id) = self.registry.current.get(&key).copied() {
            self.drop_unit(id);
        }
        self.counters.given_up += 1;
        self.registry.history.entry(key).or_default().refused = Some(reason.into());
    }

    /// The text of a function's compilation: `hir`, `clif` or `asm`. Nothing is installed.
    pub(crate) fn dump(&mut self, function: Object, kind: &str) -> Result<String, String> {
        let key = self.key(function, None);
        let observed = self.registry.history.get(&key).map_or_else(Vec::new, |known| known.observed.clone());
        let failed = self.registry.history.get(&key).map_or_else(Vec::new, |known| known.failed_sites.clone());
        let mut facts = code_facts(function, Entry::Function, observed, failed).ok_or("the code object can't be read")?;
        facts.input.site_classes = self.registry.history.get(&key).map_or_else(HashMap::new, |known| known.classes.clone());
        facts.input.hot_handlers = self.hot_handlers.get(&(function_info(function).code as usize)).cloned().unwrap_or_default();
        facts.input.shared = key.owner != function as usize;
        let id = self.registry.reserve();
        let params = pepjit_frontend::parameter_types(&facts.input);
        let name = facts.input.name.clone();
        self.in_progress.push(InProgress { key, cell: Box::new(0), params, name, callers: Vec::new() });
        let mut world = ProcessWorld::new(self, id, function);
        let built = pepjit_frontend::build(&facts.input, &mut world);
        drop(world.finish());
        if let Some(mine) = self.in_progress.pop() {
            for caller in mine.callers {
                self.drop_unit(caller);
            }
            Box::leak(mine.cell);
        }
        let mut built = built.map_err(|error| error.to_string())?;
        if kind == "hir0" {
            return Ok(built.func.to_string());
        }
        Pipeline::new().run(&mut built.func);
        if kind == "hir" {
            return Ok(built.func.to_string());
        }
        let info = function_info(function);
        let mut unused = [0u64; Reason::ALL.len()];
        let valid = 0u8;
        let mut linkage = UnitLinkage::new(
            &self.process,
            id,
            function,
            info.code,
            &raw const valid as u64,
            0,
            0,
            if facts.input.shared { &raw const valid as u64 } else { 0 },
            unused.as_mut_ptr(),
            policy::exit_limit,
        );
        let compiled = self.backend.compile(&built.func, &mut linkage, true).map_err(|error| error.to_string())?;
        self.backend.free(compiled.handle);
        compiled.dumps.get(kind).cloned().ok_or_else(|| format!("the {} back end has no {kind}", self.backend.name()))
    }
}

fn check(func: &pepjit_ir::Function, author: &str) -> Result<(), Refusal> {
    pepjit_ir::verify::verify(func).map_err(|error| Refusal::Internal(format!("after {author}: {error}\n{func}")))?;
    pepjit_ir::ownership::check_ownership(func).map_err(|error| Refusal::Internal(format!("after {author}: {error}\n{func}")))
}
