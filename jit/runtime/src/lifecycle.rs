//! What becomes of compiled code: who is sent to it, why it's given up, when it's freed.

use crate::engine::Engine;
use crate::ffi::{self, Object};
use crate::linkage::ExitHolder;
use crate::objects::function_info;
use crate::registry::{History, Key, Unit, UnitId};
use pepjit_frontend::Entry;
use pepjit_ir::op::Reason;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::ffi::c_void;
use std::time::{Duration, Instant};

/// What happened to something that compiled code may rely on.
#[derive(Debug)]
pub(crate) enum Event {
    /// A name of a dict is about to change.
    NameChanged(usize, String),
    /// Any name of a dict may be about to change.
    DictChanged(usize),
    /// A dict is going away.
    DictGone(usize),
    /// A class is about to change.
    ClassChanged(usize),
    /// A function is getting other code or defaults.
    FunctionChanged(usize),
    /// A function is going away.
    FunctionGone(usize),
    /// A code object is losing its function; the event has a reference.
    CodeReplaced(usize),
    /// A code object is going away.
    CodeGone(usize),
}

/// Events between two attempts to free what others may still be running: twice as many each time, up to this.
const MOST_PATIENCE: u32 = 1024;

/// Why what runs when references are counted isn't compiled.
pub(crate) const COUNTED: &str = "sys.getrefcount was called while it ran";

/// When to look again for code that nobody runs any more.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    left: u32,
    wait: u32,
    /// How much could not be freed the last time.
    kept: usize,
}

impl Patience {
    fn is_over(&mut self, waiting: usize) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0 || waiting > self.kept
    }

    fn found(&mut self, kept: usize) {
        self.wait = if kept == 0 { 0 } else { (2 * self.wait + 1).min(MOST_PATIENCE) };
        (self.left, self.kept) = (self.wait, kept);
    }
}

extern "C" fn note_running(running: *mut c_void, code: Object) {
    // SAFETY: `running` passes its set, and nobody else has it meanwhile.
    unsafe { (*running.cast::<HashSet<usize>>()).insert(code as usize) };
}

/// The code objects that native code runs of now, with a frame; none if that can't be told.
fn running() -> Option<HashSet<usize>> {
    let mut running: HashSet<usize> = HashSet::new();
    // SAFETY: the callback gets what it expects.
    let known = unsafe { ffi::pepjit_running(note_running, (&raw mut running).cast()) } != 0;
    known.then_some(running)
}

/// How long the queue rests: most functions that start find nothing new in it.
const QUEUE_PAUSE: Duration = Duration::from_micros(500);

/// A function whose code was given up, and that is to be compiled again. Nobody counts its calls meanwhile.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) function: usize,
    since: Instant,
    /// How long its code was in use, and how often it was called from outside of compiled code in that time.
    used: Duration,
    calls: u64,
    /// How long it was left alone when it was too early to compile it, and until when.
    pause: Duration,
    until: Instant,
}

impl Queued {
    fn new(unit: &Unit) -> Queued {
        let now = Instant::now();
        Queued {
            function: unit.function as usize,
            since: now,
            used: now - unit.made,
            calls: *unit.words.entries,
            pause: QUEUE_PAUSE,
            until: now,
        }
    }

    /// It was too early: what was tried in vain isn't to be tried all the time.
    fn rest(mut self) -> Queued {
        self.pause *= 2;
        self.until = Instant::now() + self.pause;
        self
    }

    /// How often it has been called since, if it's called as often as before.
    fn calls_since(&self) -> u64 {
        (self.calls as f64 * self.since.elapsed().as_secs_f64() / self.used.as_secs_f64().max(1e-6)) as u64
    }
}

/// Rounds of a loop that surely pay for compiling it.
const ENOUGH_ROUNDS: u64 = 1 << 40;

impl Engine {
    // ---- who is sent to it ----

    /// Something is known of a function: its end is to be reported.
    pub(crate) fn know(&mut self, function: Object) {
        // SAFETY: only the address counts.
        unsafe { ffi::pepjit_know_function(function) };
        self.known.insert(function as usize);
    }

    /// Sends calls of a function to a unit of it, or of its code.
    pub(crate) fn hook(&mut self, id: UnitId, function: Object) {
        // SAFETY: no preconditions.
        let suspended = unsafe { ffi::pepjit_hooks_suspended() } != 0;
        let Some(unit) = self.registry.units.get_mut(&id) else { return };
        let before = self.hooked.get(&(function as usize)).map(|(of, _)| *of);
        if suspended || before == Some(id) {
            return;
        }
        let info = function_info(function);
        if unit.namespaces != (info.globals as usize, info.builtins as usize) {
            return;
        }
        // SAFETY: the function is alive: somebody is calling it, or its unit has just been compiled.
        let version = unsafe { ffi::pepjit_hook(function, unit.compiled.vectorcall as *mut _) };
        unit.hooked.insert(function as usize);
        unit.hooks += 1;
        self.hooked.insert(function as usize, (id, version));
        // SAFETY: as above.
        unsafe { ffi::pepjit_know_function(function) };
        if version != 0 {
            self.forget_version(function as usize);
            self.versions.insert(version, function as usize);
            self.version_of.insert(function as usize, version);
        }
        if let Some(before) = before.and_then(|before| self.registry.units.get_mut(&before)) {
            before.hooked.remove(&(function as usize));
        }
    }

    /// A function is no longer known by the version that it had.
    fn forget_version(&mut self, function: usize) {
        if let Some(version) = self.version_of.remove(&function)
            && self.versions.get(&version) == Some(&function)
        {
            self.versions.remove(&version);
        }
    }

    /// A function no longer runs compiled code. `alive`: it gets its own vectorcall back.
    fn unhook(&mut self, function: usize, alive: bool) {
        let Some((id, version)) = self.hooked.remove(&function) else { return };
        self.forget_version(function);
        if let Some(unit) = self.registry.units.get_mut(&id) {
            unit.hooked.remove(&function);
        }
        if alive {
            // SAFETY: a hooked function is alive: its destruction takes it off the list.
            unsafe { ffi::pepjit_unhook(function as Object, version) };
        }
    }

    // ---- why it's given up ----

    /// Gives a unit up: calls go to the interpreter again.
    pub(crate) fn drop_unit(&mut self, id: UnitId) {
        let Some(unit) = self.registry.invalidate(id) else { return };
        if let Some(mut point) = unit.resume.take() {
            // SAFETY: a point lives as long as its code object, whose end takes its units away.
            unsafe { point.as_mut().entry = 0 };
        }
        let held = std::mem::take(&mut unit.held);
        for function in std::mem::take(&mut unit.hooked) {
            self.unhook(function, true);
        }
        self.keep(id, &held);
    }

    /// Who holds what a unit names is about to let go: if the unit may be running it's kept until that ends. (Else it isn't: the collector may
    /// be taking it apart.)
    fn keep(&mut self, id: UnitId, held: &[Object]) {
        if held.is_empty() || self.late {
            // Of events that come late nobody knows whether the objects are still alive.
            return;
        }
        let running = running();
        let Some(unit) = self.registry.units.get_mut(&id) else { return };
        if *unit.words.active == 0 && running.is_some_and(|running| !running.contains(&(unit.code as usize))) {
            return;
        }
        for object in held {
            // SAFETY: the object has been alive as long as the unit was valid.
            if unsafe { ffi::pepjit_keep(*object) } != 0 {
                unit.kept.push(*object);
            }
        }
    }

    /// Something has happened that compiled code may rely on not to happen.
    pub(crate) fn handle(&mut self, event: &Event) {
        match event {
            Event::NameChanged(dict, name) => self.name_changed(*dict, name),
            Event::DictChanged(dict) => {
                let broken = self.registry.assumptions.break_dict(*dict);
                self.invalidate_all(broken);
            }
            Event::DictGone(dict) => {
                let broken = self.registry.assumptions.forget_dict(*dict);
                self.invalidate_all(broken);
            }
            Event::ClassChanged(class) => {
                let broken = self.registry.assumptions.break_class(*class);
                self.invalidate_all(broken);
            }
            Event::FunctionChanged(function) => {
                self.unhook(*function, true);
                self.unhook_maker(*function);
                let broken = self.registry.assumptions.break_function(*function);
                self.invalidate_all(broken);
            }
            Event::FunctionGone(function) => self.forget_function(*function),
            Event::CodeReplaced(code) => self.replaced.push(*code as Object),
            Event::CodeGone(code) => self.forget_code(*code),
        }
    }

    /// A name of a dict changes: what relied on it is given up, and compiled again if it gets hot again.
    pub(crate) fn name_changed(&mut self, dict: usize, name: &str) {
        let broken = self.registry.assumptions.break_name(dict, name);
        self.invalidate_all(broken);
    }

    /// Gives up the code of functions that others monitor alone.
    pub(crate) fn spare_monitored(&mut self) {
        // SAFETY: who runs a valid unit keeps its code object alive.
        let watched = |unit: &Unit| unit.is_valid() && unsafe { ffi::pepjit_code_monitored(unit.code) } != 0;
        let units = self.registry.units.iter().filter(|(_, unit)| watched(unit)).map(|(id, _)| *id).collect();
        self.invalidate_all(units);
    }

    /// A program counts references to an object: all that is on the stack is left to the interpreter, which holds other numbers of them to what it
    /// passes on. Nearly no program does, and those that do want to see what CPython does.
    pub(crate) fn spare_counted(&mut self) {
        let mut stack: HashSet<usize> = HashSet::new();
        // SAFETY: the callback gets what it expects.
        unsafe { ffi::pepjit_stack(note_running, (&raw mut stack).cast()) };
        stack.retain(|code| self.counted.insert(*code));
        if stack.is_empty() {
            return;
        }
        let units = self.registry.units.values().filter(|unit| unit.is_valid() && stack.contains(&(unit.code as usize)));
        for key in units.map(|unit| unit.key).collect::<Vec<_>>() {
            self.give_up(key, COUNTED);
        }
        let makes = |function: &usize| stack.contains(&(function_info(*function as Object).code as usize));
        for function in self.makers.keys().copied().filter(makes).collect::<Vec<_>>() {
            self.unhook_maker(function);
        }
    }

    /// Gives units up that are to be compiled again.
    pub(crate) fn invalidate_all(&mut self, units: BTreeSet<UnitId>) {
        for id in units {
            let Some(unit) = self.registry.units.get(&id).filter(|unit| unit.is_valid()) else { continue };
            let (key, function, queued) = (unit.key, unit.function as usize, Queued::new(unit));
            self.counters.invalidations += 1;
            self.log.note("invalidated", &unit.name, key.header, Value::Null);
            self.drop_unit(id);
            if key.header.is_none() && function != 0 {
                self.queue.push(queued);
            }
        }
    }

    /// Compiles again what was invalidated, as far as that is affordable.
    pub(crate) fn run_queue(&mut self) {
        if self.queue.is_empty() || self.budget.is_limited() && self.queue_seen.elapsed() < QUEUE_PAUSE {
            return;
        }
        let mut waiting = Vec::new();
        for queued in std::mem::take(&mut self.queue) {
            let function = queued.function as Object;
            let key = self.key(function, None);
            if self.registry.find(key).is_some() {
                continue;
            }
            let resting = queued.until > Instant::now();
            if resting || !self.budget.allows_calls_of_hot(function_info(function).code, queued.calls_since()) {
                waiting.push(queued);
                continue;
            }
            let observed = self.registry.history.get(&key).map_or_else(Vec::new, |known| known.observed.clone());
            self.counters.recompilations += 1;
            if self.compile(function, Entry::Function, observed).is_err() && self.is_early(key) {
                waiting.push(queued.rest());
            }
        }
        self.queue.append(&mut waiting);
        self.queue_seen = Instant::now();
    }

    /// Speculation failed too often at an exit: compile without it, or give up.
    pub(crate) fn respecialise(&mut self, id: UnitId, offset: u32, reason: Reason) {
        let Some((key, function, hooked)) = self.note_failure(id, offset, reason) else { return };
        if !reason.is_speculation() {
            self.give_up(key, "left too often");
            return;
        }
        self.compile_again(id, key, function, hooked);
    }

    /// Enough has been seen of what comes by at a subscript: compiles for it. False if there is nothing new.
    pub(crate) fn learn(&mut self, id: UnitId) -> bool {
        let Some(unit) = self.registry.units.get(&id).filter(|unit| unit.is_valid()) else { return false };
        let (key, function, hooked) = (unit.key, unit.function, unit.hooked.clone());
        if !unit.sites.iter().any(|site| crate::world::is_known(site)) {
            return false;
        }
        self.log.note("learned", &unit.name, key.header, Value::Null);
        self.drop_unit(id);
        let history = self.registry.history.entry(key).or_default();
        history.attempts = history.attempts.saturating_sub(1);
        if let Some(header) = key.header {
            // What hardly gained yet was worth compiling: it still is.
            self.jumps.entry(key.owner).or_default().insert(header, ENOUGH_ROUNDS);
        }
        self.compile_again(id, key, function, hooked);
        true
    }

    /// Speculation failed too often at an exit, and compiling without it is too dear for now: until it isn't, the interpreter alone is faster.
    pub(crate) fn postpone(&mut self, id: UnitId, offset: u32, reason: Reason) {
        let Some((queued, name)) = self.registry.units.get(&id).map(|unit| (Queued::new(unit), unit.name.clone())) else {
            return;
        };
        let Some((key, function, _)) = self.note_failure(id, offset, reason) else { return };
        self.counters.postponed += 1;
        self.log.note("postponed", &name, key.header, Value::Null);
        // Loops, and code that several functions share, are found again by the events of monitoring.
        if key.header.is_none() && key.owner == function as usize {
            self.queue.push(queued);
        }
    }

    /// Takes a unit out of use whose speculation failed at an exit, and remembers that. What it was, and the functions that it was hooked to.
    fn note_failure(&mut self, id: UnitId, offset: u32, reason: Reason) -> Option<(Key, Object, BTreeSet<usize>)> {
        let unit = self.registry.units.get(&id).filter(|unit| unit.is_valid())?;
        let (key, function, hooked) = (unit.key, unit.function, unit.hooked.clone());
        // What is on its way to the same end is done with this time.
        let fails = |holder: &&ExitHolder| {
            let exit = &holder.exit;
            holder.reason.is_speculation()
                && holder.reason != Reason::Overflow
                && exit.throw == 0
                && exit.limit != 0
                && exit.count * 4 >= exit.limit
        };
        let others: Vec<u32> = unit.exits.iter().filter(fails).map(|holder| holder.exit.offset).collect();
        self.log.note("failed", &unit.name, key.header, json!({ "reason": reason.name(), "offset": offset, "others": others }));
        self.drop_unit(id);
        if reason.is_speculation() {
            let history: &mut History = self.registry.history.entry(key).or_default();
            for offset in others.into_iter().chain([offset]) {
                if !history.failed_sites.contains(&offset) {
                    history.failed_sites.push(offset);
                }
            }
            history.overflows += u32::from(reason == Reason::Overflow);
        }
        Some((key, function, hooked))
    }

    /// An exception handler has been left to the interpreter again and again: from now on it's compiled with the rest. False if it is already.
    pub(crate) fn compile_handler(&mut self, id: UnitId, target: u32) -> bool {
        let Some(unit) = self.registry.units.get(&id).filter(|unit| unit.is_valid()) else { return false };
        let (key, function, hooked) = (unit.key, unit.function, unit.hooked.clone());
        if !self.hot_handlers.entry(unit.code as usize).or_default().insert(target) {
            return false;
        }
        self.log.note("handler", &unit.name, key.header, json!({ "offset": target }));
        self.drop_unit(id);
        let history = self.registry.history.entry(key).or_default();
        history.attempts = history.attempts.saturating_sub(1);
        self.compile_again(id, key, function, hooked);
        true
    }

    /// Compiles again what has been given up since more is known of it: a function at once, a loop when it is entered next.
    fn compile_again(&mut self, id: UnitId, key: Key, function: Object, hooked: BTreeSet<usize>) {
        self.counters.recompilations += 1;
        if key.header.is_none() && !function.is_null() {
            let observed = self.registry.history.get(&key).map_or_else(Vec::new, |known| known.observed.clone());
            let queued = self.registry.units.get(&id).map(Queued::new);
            if let Ok(id) = self.compile(function, Entry::Function, observed) {
                for function in hooked {
                    self.hook(id, function as Object);
                }
            } else if self.is_early(key) && key.owner == function as usize {
                // Nobody counts its calls meanwhile.
                self.queue.extend(queued.map(Queued::rest));
            }
        }
    }

    /// Leaves a function or loop to the interpreter for good.
    pub(crate) fn give_up(&mut self, key: Key, reason: &str) {
        if let Some(id) = self.registry.current.get(&key).copied() {
            if let Some(unit) = self.registry.units.get(&id) {
                self.log.note("given up", &unit.name, key.header, json!({ "reason": reason }));
            }
            self.drop_unit(id);
        }
        self.counters.given_up += 1;
        self.registry.history.entry(key).or_default().refused = Some(reason.into());
    }

    // ---- when it's freed ----

    /// A function is going away: its address may be used again.
    fn forget_function(&mut self, function: usize) {
        self.unhook(function, false);
        self.forget_version(function);
        self.makers.remove(&function);
        // Most functions are unknown here: this is called for every one that goes.
        if !self.known.remove(&function) {
            return;
        }
        self.drop_owned(function);
        let broken = self.registry.assumptions.break_function(function);
        self.invalidate_all(broken);
        self.queue.retain(|queued| queued.function != function);
        // Units that it shares with others are theirs.
        for id in self.registry.run_by(function) {
            let heir = self.registry.units.get(&id).and_then(|unit| unit.hooked.first().copied());
            self.known.extend(heir);
            self.registry.set_function(id, heir.unwrap_or(0));
        }
    }

    /// A code object is going away.
    fn forget_code(&mut self, code: usize) {
        self.calls.remove(&code);
        self.jumps.remove(&code);
        self.listening.forget(code);
        self.nested.remove(&code);
        self.looping.remove(&code);
        self.hot_handlers.remove(&code);
        self.counted.remove(&code);
        self.left_soon.remove(&code);
        self.call_sites.remove(&code);
        self.subscripts.remove(&code);
        self.drop_owned(code);
    }

    fn drop_owned(&mut self, owner: usize) {
        for id in self.registry.owned_by(owner) {
            self.drop_unit(id);
        }
        self.registry.forget_owner(owner);
    }

    /// Frees given up code that isn't running anywhere. What the code kept alive is given up by [`crate::engine::with`].
    pub(crate) fn collect(&mut self) {
        let waiting = self.registry.dead.len() + self.replaced.len();
        if waiting == 0 || !self.patience.is_over(waiting) {
            return;
        }
        let Some(running) = running() else {
            self.patience.found(waiting);
            return;
        };
        for id in std::mem::take(&mut self.registry.dead) {
            let Some(unit) = self.registry.units.get(&id) else { continue };
            // Callers that weren't told go to the interpreter through its fallback entry.
            let called = unit.cell.target.get() == unit.compiled.fallback && unit.cell.callers.get() > 0;
            if called || *unit.words.active != 0 || running.contains(&(unit.code as usize)) {
                self.registry.dead.push(id);
            } else if let Some(unit) = self.registry.remove(id) {
                self.backend.free(unit.compiled.handle);
                self.counters.native_entries += *unit.words.entries;
                self.counters.units_freed += 1;
                self.released.extend(unit.kept);
            }
        }
        let (still, gone) = self.replaced.drain(..).partition(|code| running.contains(&(*code as usize)));
        self.replaced = still;
        self.released.extend::<Vec<Object>>(gone);
        self.patience.found(self.registry.dead.len() + self.replaced.len());
    }
}
