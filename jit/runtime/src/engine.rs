//! The engine: state of the process, compilation, invalidation. Everything runs under the GIL.

use crate::assumptions::Assumption;
use crate::budget::{Budget, thread_time};
use crate::counters::Counters;
use crate::ffi::{self, Object, Site};
use crate::generators::Asker;
use crate::lifecycle::{COUNTED, Event, Patience, Queued};
use crate::linkage::{Process, UnitAddresses, UnitLinkage};
use crate::listening::Listening;
use crate::log::Log;
use crate::objects::{code_facts, function_info};
use crate::policy::{self, Policy};
use crate::registry::{EntryCell, Key, OsrProfile, Registry, Unit, UnitId, Words};
use crate::world::ProcessWorld;
use pepjit_backend::{Backend, BackendError, Compiled};
use pepjit_frontend::{BuildError, Entry};
use pepjit_ir::op::Reason;
use pepjit_ir::passes::Pipeline;
use pepjit_ir::{FunctionKind, Parameter, Type};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Functions compiled inside one another at most.
const MAX_NESTING: usize = 6;

/// Sites that overflow before all arithmetic of a function that isn't specialised is expected to work on big ints; twice as many before the
/// rest is.
const MAX_OVERFLOWS: u32 = 2;

/// A function that is being compiled: others may already call it through its cell.
pub(crate) struct InProgress {
    pub(crate) key: Key,
    pub(crate) cell: Rc<EntryCell>,
    pub(crate) shared: bool,
    pub(crate) namespaces: (usize, usize),
    pub(crate) params: Vec<Parameter>,
    pub(crate) name: String,
    /// Units compiled meanwhile that call it.
    pub(crate) callers: Vec<UnitId>,
}

/// Hashes an address in no time: functions come and go all the time.
#[derive(Debug, Default)]
pub(crate) struct AddressHasher(u64);

/// A map by address.
pub(crate) type ByAddress<T> = HashMap<usize, T, BuildHasherDefault<AddressHasher>>;

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

/// How a function has been seen to run.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) count: u64,
    pub(crate) observed: Vec<Type>,
    /// The arguments that aren't of CPython's own classes, each with the versions of a few of the classes that it came with.
    pub(crate) classes: Vec<(usize, u32)>,
}

/// The state of the process.
pub(crate) struct Engine {
    pub(crate) enabled: bool,
    pub(crate) idle: bool,
    pub(crate) policy: Policy,
    pub(crate) budget: Budget,
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) process: Process,
    pub(crate) registry: Registry,
    pub(crate) counters: Counters,
    /// By code object.
    pub(crate) calls: ByAddress<Profile>,
    /// By code object, then by header.
    pub(crate) jumps: ByAddress<HashMap<u32, u64>>,
    /// Code objects of which a loop has been compiled.
    pub(crate) looping: HashSet<usize, BuildHasherDefault<AddressHasher>>,
    pub(crate) in_progress: Vec<InProgress>,
    /// How many functions that are called by what is being compiled would have been compiled, too, but for the budget.
    pub(crate) callees_denied: u32,
    /// Time that compilations have taken, so that one which another waits for is not counted as part of that one too.
    pub(crate) nested_time: Duration,
    /// Code objects of functions that were running when references were counted.
    pub(crate) counted: HashSet<usize, BuildHasherDefault<AddressHasher>>,
    /// Whether code objects are those of nested functions.
    pub(crate) nested: ByAddress<bool>,
    /// The unit of each function whose vectorcall is compiled code, and the function's version from before.
    pub(crate) hooked: ByAddress<(UnitId, u32)>,
    /// The hooked function that had a version before.
    pub(crate) versions: HashMap<u32, usize>,
    /// The same by function.
    pub(crate) version_of: HashMap<usize, u32>,
    /// Functions that make generators which run compiled code, and the function's version from before.
    pub(crate) makers: ByAddress<u32>,
    /// Functions that something is known of.
    pub(crate) known: HashSet<usize, BuildHasherDefault<AddressHasher>>,
    /// Code objects that functions have lost, and that code may still be running.
    pub(crate) replaced: Vec<Object>,
    pub(crate) patience: Patience,
    /// Whether what is being handled has happened already.
    pub(crate) late: bool,
    /// References of freed units, to be given up when the engine is no longer busy.
    pub(crate) released: Vec<Object>,
    /// Classes by version tag (kept alive during a compilation).
    pub(crate) classes: HashMap<u32, usize>,
    /// The versions of functions that have been seen to be called, by code object and calling instruction.
    pub(crate) call_sites: ByAddress<HashMap<u32, Vec<u32>>>,
    /// What has come by at subscripts for which the interpreter has nothing to tell, by code object and offset.
    pub(crate) subscripts: ByAddress<HashMap<u32, Rc<Site>>>,
    /// What the values of the frame whose loop is about to be compiled are where they're subscripted.
    pub(crate) containers: Vec<u64>,
    /// Who asks for the next of the generator that is about to be compiled.
    pub(crate) resumed_by: Asker,
    /// Handlers of exceptions that have been seen to run, by code object.
    pub(crate) hot_handlers: HashMap<usize, BTreeSet<u32>>,
    /// Of loops that were hot, by code object and header: whether they went round a few times in each of many calls.
    pub(crate) left_soon: ByAddress<HashMap<u32, bool>>,
    /// Functions that are to be compiled again when there's an opportunity.
    pub(crate) queue: Vec<Queued>,
    /// When the queue was last gone through.
    pub(crate) queue_seen: Instant,
    /// Who waits until compiling is affordable.
    pub(crate) listening: Listening,
    /// Who wants to know what the compiler does.
    pub(crate) log: Log,
}

struct Global(RefCell<Option<Engine>>);
// SAFETY: only touched with the GIL held.
unsafe impl Sync for Global {}
static ENGINE: Global = Global(RefCell::new(None));

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
///
/// Afterwards code that nobody runs any more is freed, and with it what it kept alive: finalisers may run.
pub(crate) fn with<T>(action: impl FnOnce(&mut Engine) -> T) -> Option<T> {
    let (result, released) = borrow(|engine| {
        let result = action(engine);
        engine.collect();
        (result, std::mem::take(&mut engine.released))
    })?;
    for object in released {
        // SAFETY: a reference that freed code held. Finalisers may run Python code, which may come back here.
        unsafe { ffi::pepjit_decref(object) };
    }
    Some(result)
}

/// The same where no Python code may run: in the middle of a change to a dict or class.
fn borrow<T>(action: impl FnOnce(&mut Engine) -> T) -> Option<T> {
    let mut guard = ENGINE.0.try_borrow_mut().ok()?;
    let engine = guard.as_mut()?;
    engine.catch_up();
    let result = action(engine);
    engine.catch_up();
    Some(result)
}

/// Something has happened that compiled code must hear of.
pub(crate) fn notify(event: Event) {
    tell(event);
}

/// The same; whether it could be told at once.
pub(crate) fn tell(event: Event) -> bool {
    let told = borrow(|engine| engine.handle(&event)).is_some();
    if !told {
        MISSED.0.borrow_mut().push(event);
    }
    told
}

/// A name of a dict changes: the text is only copied if nobody can be told now. Whether it's done, and nothing relies on the name any more.
pub(crate) fn notify_name(dict: usize, name: &str) -> bool {
    let told = borrow(|engine| engine.name_changed(dict, name)).is_some();
    if !told {
        MISSED.0.borrow_mut().push(Event::NameChanged(dict, name.to_string()));
    }
    told
}

/// Why nothing was compiled.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Not compiled, for a reason that is counted.
    Unsupported(String),
    /// Not worth compiling before the functions that it calls are, for which the budget is too small as yet.
    Later,
    /// A bug.
    Internal(String),
}

impl Engine {
    /// Handles what happened while the engine was busy.
    fn catch_up(&mut self) {
        loop {
            let missed = std::mem::take(&mut *MISSED.0.borrow_mut());
            if missed.is_empty() {
                break;
            }
            self.late = true;
            for event in missed {
                self.handle(&event);
            }
            self.late = false;
        }
    }

    /// Whether something that couldn't be compiled is to be tried again: it was too early.
    pub(crate) fn is_early(&self, key: Key) -> bool {
        self.registry.history.get(&key).is_some_and(|history| history.refused.is_none())
    }

    /// Compiles a function, or one of its loops, and makes it current. `observed` are the classes of arguments, or of locals and stack.
    pub(crate) fn compile(&mut self, function: Object, entry: Entry, observed: Vec<Type>) -> Result<UnitId, String> {
        let header = match entry {
            Entry::Function => None,
            Entry::Loop { header, .. } => Some(header),
            Entry::Resume { offset, .. } => Some(offset),
        };
        let info = function_info(function);
        // SAFETY: a live function's code object.
        if unsafe { ffi::pepjit_code_monitored(info.code) } != 0 {
            return Err("others monitor it".into());
        }
        let key = self.key_of(function, info.code, header);
        self.know(function);
        let history = self.registry.history.entry(key).or_default();
        if let Some(reason) = &history.refused {
            return Err(reason.clone());
        }
        if self.counted.contains(&(info.code as usize)) {
            self.give_up(key, COUNTED);
            return Err(COUNTED.into());
        }
        // SAFETY: no preconditions.
        if unsafe { ffi::pepjit_compiler_fits() } == 0 {
            self.counters.too_early += 1;
            return Err("this thread has too little of its stack left for the compiler".into());
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
            // Big integers: little arithmetic of this code stays within 64 bits.
            failed_sites.push(pepjit_frontend::input::BIG_INTEGERS);
        }
        if history.overflows > 2 * MAX_OVERFLOWS {
            failed_sites.push(pepjit_frontend::input::EVEN_SPECIALISED);
        }
        let start = thread_time();
        let nesting = self.in_progress.len();
        let before = (nesting == 0).then(crate::heap::reset_peak);
        let nested_before = self.nested_time;
        let outcome = catch_unwind(AssertUnwindSafe(|| self.compile_unit(function, &info, key, entry, observed, failed_sites)));
        let spent = thread_time().saturating_sub(start);
        let own = spent.saturating_sub(self.nested_time.saturating_sub(nested_before));
        self.nested_time = nested_before + spent;
        if let Some(before) = before {
            let took = crate::heap::peak().saturating_sub(before) as u64;
            self.counters.compile_peak_bytes = self.counters.compile_peak_bytes.max(took);
        }
        if nesting == 0 {
            self.counters.compile_ns += spent.as_nanos() as u64;
            self.budget.spend(spent.as_nanos() as u64);
            self.released.extend(self.classes.drain().map(|(_, class)| class as Object));
        }
        let refusal = match outcome {
            Ok(Ok(id)) => {
                self.log_compiled(id, info.code, own);
                self.end_rests();
                return Ok(id);
            }
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
        }
        if matches!(refusal, Refusal::Later) {
            self.counters.too_early += 1;
            self.log_refused("early", function, header, "what it calls isn't affordable yet", own);
            if let Some(history) = self.registry.history.get_mut(&key) {
                history.attempts -= 1;
            }
            return Err("what it calls isn't affordable yet".into());
        }
        self.counters.compile_failures += 1;
        let reason = match refusal {
            Refusal::Later => unreachable!("handled above"),
            Refusal::Unsupported(reason) => reason,
            Refusal::Internal(reason) => {
                self.counters.internal_errors += 1;
                if self.policy.verbose {
                    eprintln!("pepjit: internal error: {reason}");
                }
                format!("internal error: {reason}")
            }
        };
        self.log_refused("refused", function, header, &reason, own);
        let counter = reason.split(':').next().unwrap_or("unknown").to_string();
        *self.counters.unsupported.entry(counter).or_default() += 1;
        if let Some(history) = self.registry.history.get_mut(&key) {
            history.refused = Some(reason.clone());
        }
        Err(reason)
    }

    fn log_compiled(&mut self, id: UnitId, code: Object, took: Duration) {
        let Some(unit) = self.registry.units.get(&id).filter(|_| self.log.is_on()) else { return };
        let facts = serde_json::json!({
            "units": crate::objects::code_units(code),
            "us": took.as_micros() as u64,
            "bytes": unit.compiled.code_bytes,
            "specialised": unit.specialised,
            "generic": unit.generic,
            "attempt": self.registry.history.get(&unit.key).map_or(0, |history| history.attempts),
        });
        self.log.note("compiled", &unit.name, unit.key.header, facts);
    }

    fn log_refused(&mut self, what: &str, function: Object, header: Option<u32>, reason: &str, took: Duration) {
        if self.log.is_on() {
            let name =
                code_facts(function, Entry::Function, Vec::new(), Vec::new()).map_or_else(String::new, |facts| facts.input.name);
            self.log.note(what, &name, header, serde_json::json!({ "reason": reason, "us": took.as_micros() as u64 }));
        }
    }

    fn compile_unit(
        &mut self,
        function: Object,
        info: &ffi::FunctionInfo,
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
        if info.plain_dicts == 0 {
            return Err(Refusal::Unsupported("globals that are no plain dict".into()));
        }
        if facts.input.code.len() > self.policy.max_units {
            return Err(Refusal::Unsupported("size".into()));
        }
        self.budget.begin(facts.input.code.len() as u64);
        if matches!(entry, Entry::Loop { .. }) {
            facts.input.containers = std::mem::take(&mut self.containers);
        }
        let id = self.registry.reserve();
        let loops = pepjit_frontend::has_loops(&facts.input);
        facts.input.site_classes = self.registry.history.get(&key).map_or_else(HashMap::new, |known| known.classes.clone());
        facts.input.hot_handlers = self.hot_handlers.get(&(info.code as usize)).cloned().unwrap_or_default();
        facts.input.site_functions = self.call_sites.get(&(info.code as usize)).cloned().unwrap_or_default();
        facts.input.shared = key.header.is_none() && key.owner != function as usize;
        let shared = facts.input.shared;
        if entry == Entry::Function
            && let Some(profile) = self.calls.get(&(info.code as usize))
        {
            facts.input.classes = profile.classes();
        }
        let params = if key.header.is_none() { pepjit_frontend::parameters(&facts.input) } else { Vec::new() };
        let name = facts.input.name.clone();
        let namespaces = (info.globals as usize, info.builtins as usize);
        let cell = self.registry.cell_for(key, &params, namespaces);
        let function_cell = if shared { cell.function.as_ptr() as u64 } else { 0 };
        self.in_progress.push(InProgress { key, cell, shared, namespaces, params, name: name.clone(), callers: Vec::new() });

        let (start, nested_before) = (thread_time(), self.nested_time);
        let denied_before = std::mem::take(&mut self.callees_denied);
        let mut world = ProcessWorld::new(self, id, function);
        let built = pepjit_frontend::build(&facts.input, &mut world);
        let mut findings = world.finish();
        let callees_denied = std::mem::replace(&mut self.callees_denied, denied_before);
        // Callees are compiled while their caller's front end asks for them.
        let own = thread_time().saturating_sub(start).saturating_sub(self.nested_time.saturating_sub(nested_before));
        self.counters.frontend_ns += own.as_nanos() as u64;
        let mut built = built.map_err(|BuildError::Unsupported(what)| Refusal::Unsupported(what))?;
        let worthwhile = match entry {
            Entry::Resume { offset, .. } => {
                let loses = self.resumed_by == Asker::Loop && crate::generators::loses_in_place(&built, &facts.input, offset);
                if loses && !self.policy.force {
                    return Err(Refusal::Unsupported("little between yields".into()));
                }
                self.policy.worth_resuming(&built, pepjit_frontend::is_start(&facts.input, offset))
            }
            _ => self.policy.worthwhile(&built, key.header.is_some()),
        };
        if !worthwhile {
            return Err(if callees_denied > 0 { Refusal::Later } else { Refusal::Unsupported("mostly generic calls".into()) });
        }
        if self.policy.verify {
            check(&built.func, "the front end")?;
        }
        let mut pipeline = Pipeline::timed_by(thread_time);
        pipeline.run(&mut built.func);
        for (pass, time) in pipeline.times() {
            *self.counters.passes.entry(pass).or_default() += time.as_nanos() as u64;
        }
        if self.policy.verify {
            check(&built.func, "the passes")?;
        }
        let start = thread_time();
        let words = Words::new(self.policy.stress_start());
        let addresses = UnitAddresses {
            unit: id,
            function,
            code: info.code,
            valid: &raw const *words.valid as u64,
            stress: if self.policy.stresses() { &raw const *words.stress as u64 } else { 0 },
            entries: &raw const *words.entries as u64,
            active: &raw const *words.active as u64,
            function_cell,
            positional: facts.input.is_positional(),
            counters: self.counters.exits.as_mut_ptr(),
        };
        let limit = if key.header.is_some() || loops { policy::exit_limit } else { policy::function_exit_limit };
        let mut linkage = UnitLinkage::new(&self.process, addresses, limit);
        let compiled = self.backend.compile(&built.func, &mut linkage, false);
        let (exits, views) = (linkage.exits, linkage.views);
        self.counters.backend_ns += thread_time().saturating_sub(start).as_nanos() as u64;
        let compiled: Compiled = compiled.map_err(|error| match error {
            BackendError::Internal { .. } => Refusal::Internal(error.to_string()),
            other => Refusal::Unsupported(other.to_string()),
        })?;

        // Everything that the code names stays alive with it, but for what is alive as long as the assumptions hold: functions and their
        // namespaces would never go. (Nor the function itself: who runs it holds it. Nor the code object: what runs of it holds it.)
        let alone = key.owner == function as usize;
        let named = built.func.objects.iter().filter(|object| !object.immortal).map(|object| object.address as Object);
        let (held, kept): (Vec<Object>, Vec<Object>) =
            named.filter(|object| *object != function).partition(|object| findings.held.contains(&(*object as usize)));
        for object in &kept {
            // SAFETY: the objects are live: the front end found them a moment ago, and the GIL has been held since.
            unsafe { ffi::pepjit_incref(*object) };
        }
        let Some(mine) = self.in_progress.pop() else { return Err(Refusal::Internal("nesting".into())) };
        self.counters.code_bytes += compiled.code_bytes as u64;
        self.counters.metadata_bytes += exits.iter().map(|exit| exit.bytes() as u64).sum::<u64>() + views.bytes() as u64;
        self.counters.bytecodes_compiled += facts.input.code.len() as u64;
        match built.func.kind {
            FunctionKind::Entry => self.counters.functions_compiled += 1,
            FunctionKind::Loop { .. } => {
                self.counters.loops_compiled += 1;
                self.looping.insert(info.code as usize);
            }
            FunctionKind::Resume { .. } => self.counters.resumes_compiled += 1,
        }
        // The function itself: new code or defaults.
        if alone {
            findings.assumptions.push(Assumption::Function(key.owner));
        }
        let called = |cell: &EntryCell| built.func.callees.iter().any(|callee| callee.entry_cell == cell.address());
        // A unit that calls one still in progress goes with it if that fails.
        for outer in &mut self.in_progress {
            if called(&outer.cell) {
                outer.callers.push(id);
            }
        }
        let unit = Unit {
            key,
            name,
            compiled,
            words,
            cell: mine.cell,
            shared,
            callees: findings.callees.into_iter().filter(|cell| called(cell)).collect(),
            assumptions: findings.assumptions,
            hooked: BTreeSet::new(),
            hooks: 0,
            specialisations: pepjit_frontend::specialisations(&facts.input),
            osr: OsrProfile::new(policy::osr_worthwhile(&built)),
            resume: None,
            gain: crate::generators::gain(&built),
            specialised: built.specialised,
            generic: built.generic,
            made: Instant::now(),
            params: mine.params,
            exits,
            views,
            sites: findings.sites,
            kept,
            held,
            function,
            code: info.code,
            namespaces,
        };
        let stranded = self.registry.add(id, unit);
        self.invalidate_all(stranded.into_iter().collect());
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
        self.key_of(function, function_info(function).code, header)
    }

    /// The same where the function's code object is known.
    pub(crate) fn key_of(&mut self, function: Object, code: Object, header: Option<u32>) -> Key {
        let shared = header.is_some() || self.shares(function, code as usize);
        Key { owner: if shared { code } else { function } as usize, header }
    }

    /// A function that has this version, or had it before it was hooked. Functions of one code object share theirs.
    pub(crate) fn function_of_version(&self, version: u32) -> Option<usize> {
        if version == 0 {
            return None;
        }
        if let Some(function) = self.versions.get(&version) {
            return Some(*function);
        }
        // SAFETY: no preconditions.
        let function = unsafe { ffi::pepjit_function_of_version(version) };
        (!function.is_null()).then_some(function as usize)
    }

    /// Whether the functions of a code object share what is compiled: nested functions, which are made again and again.
    fn shares(&mut self, function: Object, code: usize) -> bool {
        if self.backend.name() == "reference" {
            // It finds its functions by their addresses.
            return false;
        }
        *self.nested.entry(code).or_insert_with(|| crate::objects::is_nested(function))
    }

    /// The text of a function's compilation: `hir`, `clif` or `asm`. Nothing is installed.
    pub(crate) fn dump(&mut self, function: Object, kind: &str) -> Result<String, String> {
        let code = function_info(function).code;
        if !crate::objects::is_generator(code) {
            let key = self.key(function, None);
            return self.dump_entry(function, key, Entry::Function, kind);
        }
        // A generator is compiled in pieces.
        let points = self.resumed(code);
        let texts: Result<Vec<String>, String> =
            points.into_iter().map(|(key, entry)| self.dump_entry(function, key, entry, kind)).collect();
        texts.map(|texts| texts.join("\n"))
    }

    fn dump_entry(&mut self, function: Object, key: Key, entry: Entry, kind: &str) -> Result<String, String> {
        let observed = self.registry.history.get(&key).map_or_else(Vec::new, |known| known.observed.clone());
        let failed = self.registry.history.get(&key).map_or_else(Vec::new, |known| known.failed_sites.clone());
        let mut facts = code_facts(function, entry, observed, failed).ok_or("the code object can't be read")?;
        facts.input.site_classes = self.registry.history.get(&key).map_or_else(HashMap::new, |known| known.classes.clone());
        facts.input.hot_handlers = self.hot_handlers.get(&(function_info(function).code as usize)).cloned().unwrap_or_default();
        facts.input.site_functions = self.call_sites.get(&(function_info(function).code as usize)).cloned().unwrap_or_default();
        facts.input.shared = key.header.is_none() && key.owner != function as usize;
        let id = self.registry.reserve();
        let params = if key.header.is_none() { pepjit_frontend::parameters(&facts.input) } else { Vec::new() };
        let name = facts.input.name.clone();
        let info = function_info(function);
        let (shared, namespaces) = (facts.input.shared, (info.globals as usize, info.builtins as usize));
        self.in_progress.push(InProgress { key, cell: Rc::default(), shared, namespaces, params, name, callers: Vec::new() });
        let mut world = ProcessWorld::new(self, id, function);
        let built = pepjit_frontend::build(&facts.input, &mut world);
        drop(world.finish());
        if let Some(mine) = self.in_progress.pop() {
            for caller in mine.callers {
                self.drop_unit(caller);
            }
        }
        let mut built = built.map_err(|error| error.to_string())?;
        if kind == "hir0" {
            return Ok(built.func.to_string());
        }
        Pipeline::new().run(&mut built.func);
        if kind == "hir" {
            return Ok(built.func.to_string());
        }
        let mut unused = [0u64; Reason::ALL.len()];
        let (words, function_cell) = (Words::new(0), 0u64);
        let addresses = UnitAddresses {
            unit: id,
            function,
            code: info.code,
            valid: &raw const *words.valid as u64,
            stress: 0,
            entries: 0,
            active: 0,
            function_cell: if shared { &raw const function_cell as u64 } else { 0 },
            positional: facts.input.is_positional(),
            counters: unused.as_mut_ptr(),
        };
        let mut linkage = UnitLinkage::new(&self.process, addresses, policy::exit_limit);
        let compiled = self.backend.compile(&built.func, &mut linkage, true).map_err(|error| error.to_string())?;
        self.backend.free(compiled.handle);
        compiled.dumps.get(kind).cloned().ok_or_else(|| format!("the {} back end has no {kind}", self.backend.name()))
    }
}

fn check(func: &pepjit_ir::Function, author: &str) -> Result<(), Refusal> {
    pepjit_ir::verify::verify(func).map_err(|error| Refusal::Internal(format!("after {author}: {error}\n{func}")))?;
    pepjit_ir::ownership::check_ownership(func).map_err(|error| Refusal::Internal(format!("after {author}: {error}\n{func}")))
}
