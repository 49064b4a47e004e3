//! What the C side calls: events of monitoring and of the watchers, exits that are taken too often.

use crate::engine::{self, Engine, Profile};
use crate::ffi::{self, Exit, Frame, LoopEntry, Object, ThreadState};
use crate::lifecycle::Event;
use crate::listening::{Site, Verdict};
use crate::objects::{class_type, function_info, observed_type, with_text};
use crate::policy;
use crate::registry::{Key, UnitId};
use pepjit_frontend::Entry;
use pepjit_ir::Type;
use pepjit_ir::op::Reason;
use std::ffi::c_int;
use std::time::Instant;

const NOTHING: c_int = 0;
const DISABLE: c_int = 1;
const ENTERED: c_int = 2;
/// The same as `DISABLE`, but only for a while.
const REST: c_int = 3;

const FUNCTION_CODE: c_int = 0;
const FUNCTION_DESTROYED: c_int = 3;
const DICT_CLONED: c_int = 3;
const DICT_DEALLOCATED: c_int = 5;

/// The classes of a frame's locals and stack.
pub(crate) fn observe(frame: Frame) -> Vec<Type> {
    frame_values(frame).into_iter().map(observed_type).collect()
}

/// What they are where they're subscripted.
fn observe_containers(frame: Frame) -> Vec<u64> {
    let look = |value: Object| {
        // SAFETY: a live object: the frame holds it.
        if observed_type(value) == Type::OTHER { unsafe { ffi::pepjit_container(value) } } else { 0 }
    };
    frame_values(frame).into_iter().map(look).collect()
}

/// The locals and stack entries of a frame, borrowed.
fn frame_values(frame: Frame) -> Vec<Object> {
    // SAFETY: the frame is running; the count is what `pepjit_frame_values` writes.
    unsafe {
        let count = ffi::pepjit_frame_count(frame);
        let Ok(count) = usize::try_from(count) else { return Vec::new() };
        let mut values: Vec<Object> = vec![std::ptr::null_mut(); count];
        ffi::pepjit_frame_values(frame, values.as_mut_ptr());
        values
    }
}

impl Profile {
    /// Adds an observation: a class that varies is unknown.
    fn observe(&mut self, frame: Frame) {
        let values = frame_values(frame);
        let first = self.count == 0 || self.observed.len() != values.len();
        if first {
            self.observed.clear();
        }
        for (index, value) in values.into_iter().enumerate() {
            let seen = observed_type(value);
            if seen == Type::OTHER {
                self.observe_class(index, value);
            }
            if first {
                self.observed.push(seen);
            } else if self.observed[index] != seen {
                let either = self.observed[index].union(seen);
                self.observed[index] =
                    if either.is_subtype(Type::INT.union(Type::WIDE_INT)) { Type::WIDE_INT } else { Type::OBJECT };
            }
        }
    }

    fn observe_class(&mut self, index: usize, value: Object) {
        // SAFETY: a live object: the frame holds it.
        let version = unsafe { ffi::pepjit_class_version(ffi::pepjit_type_of(value)) };
        let known = self.classes.iter().filter(|(of, _)| *of == index).count();
        if version != 0 && known < MOST_CLASSES && !self.classes.contains(&(index, version)) {
            self.classes.push((index, version));
        }
    }

    /// The versions of the classes of each argument that isn't of CPython's own classes.
    pub(crate) fn classes(&self) -> Vec<Vec<u32>> {
        let mut classes = vec![Vec::new(); self.observed.len()];
        for (index, version) in &self.classes {
            if let Some(of) = classes.get_mut(*index) {
                of.push(*version);
            }
        }
        classes
    }
}

/// A function or loop is to be looked at again later: compiling it isn't affordable, or was tried in vain for that reason.
fn ask_again(engine: &mut Engine, site: Site, tried: bool) -> c_int {
    match engine.wait_for_budget(site, tried) {
        Verdict::Rest => REST,
        Verdict::After(_) => NOTHING,
    }
}

/// What the interpreter is told. A function or loop that raises no more events no longer tells when the rests of others are over.
fn answer(engine: &mut Engine, site: Site, verdict: c_int) -> c_int {
    match verdict {
        REST => return DISABLE,
        DISABLE => {
            engine.listening.leave(site);
            engine.end_rests();
        }
        _ => {}
    }
    verdict
}

/// Rounds of a loop that won't be compiled between two looks whether the rests of others are over.
const ROUNDS_OF_OTHERS: u64 = 256;

/// Functions noted of one call at most.
const MOST_FUNCTIONS: usize = 4;

/// Notes which function an instruction of the caller calls: by the time that the caller is compiled, the interpreter may no longer know.
fn note_caller(engine: &mut Engine, frame: Frame, function: Object) {
    let version = function_info(function).version;
    let mut unit = 0;
    // SAFETY: the frame is running.
    let caller = unsafe { ffi::pepjit_frame_caller(frame, &raw mut unit) };
    if caller.is_null() || version == 0 {
        return;
    }
    let seen = engine.call_sites.entry(caller as usize).or_default().entry(unit).or_default();
    if seen.len() < MOST_FUNCTIONS && !seen.contains(&version) {
        seen.push(version);
    }
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_start(_tstate: ThreadState, frame: Frame, code: Object, function: Object) -> c_int {
    engine::with(|engine| {
        let told = start(engine, frame, code, function);
        answer(engine, Site::start(code), told)
    })
    .unwrap_or(NOTHING)
}

/// What to do at the start of a function.
fn start(engine: &mut Engine, frame: Frame, code: Object, function: Object) -> c_int {
    if !engine.enabled {
        return DISABLE;
    }
    engine.run_queue();
    engine.wake_rested();
    let threshold = engine.threshold(code);
    note_caller(engine, frame, function);
    let site = Site::start(code);
    let profile = engine.calls.entry(code as usize).or_default();
    profile.observe(frame);
    profile.count += 1;
    if profile.count <= threshold {
        let events = policy::calls_unseen(profile.count, threshold);
        let unseen = engine.wait(code, ffi::WAIT_START, events);
        engine.calls.entry(code as usize).or_default().count += unseen;
        return NOTHING;
    }
    profile.count += engine.listening.missed(site, Instant::now());
    if engine.idle {
        return DISABLE;
    }
    let count = profile.count;
    let affordable = if engine.looping.contains(&(code as usize)) {
        engine.budget.allows_calls_of_hot(code, count)
    } else {
        engine.budget.allows_calls(code, count)
    };
    if !affordable {
        return ask_again(engine, site, false);
    }
    let observed = profile.observed.clone();
    if crate::objects::is_generator(code) {
        engine.make_native_generators(function);
        return DISABLE;
    }
    let key = engine.key_of(function, code, None);
    let shared = key.owner != function as usize;
    if let Some(id) = engine.registry.find_id(key) {
        // Another function of code that's compiled already.
        engine.hook(id, function);
        if !engine.policy.force && engine.registry.units.get(&id).is_some_and(policy::called_too_seldom) {
            engine.give_up(key, "its functions are called too seldom");
            return DISABLE;
        }
    } else if engine.compile(function, Entry::Function, observed).is_err() {
        return if engine.is_early(key) { ask_again(engine, site, true) } else { DISABLE };
    }
    // More functions of this code may come.
    if shared { NOTHING } else { DISABLE }
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_jump(tstate: ThreadState, frame: Frame, code: Object, from: u32, to: u32) -> c_int {
    let entry = engine::with(|engine| {
        jump(engine, frame, code, from, to).map_err(|told| answer(engine, Site::jump(code, from, to), told))
    });
    match entry.unwrap_or(Err(NOTHING)) {
        Err(verdict) => verdict,
        Ok(Loop { unit, entry, handle, active, timed }) => {
            let start = timed.then(Instant::now);
            // SAFETY: `entry` is the loop entry of a unit for this function and header; the frame is at the jump. `jump` has counted it as
            // active: it isn't freed before that is undone here.
            unsafe {
                let entry = std::mem::transmute::<u64, LoopEntry>(entry);
                ffi::pepjit_run_loop(tstate, frame, to, entry, handle);
                *active -= 1;
            }
            if let Some(start) = start {
                let taken = start.elapsed().as_nanos() as u64;
                engine::with(|engine| judge_loop(engine, unit, taken));
            }
            ENTERED
        }
    }
}

/// Gives up a loop that isn't worth entering.
fn judge_loop(engine: &mut Engine, unit: UnitId, taken: u64) {
    if engine.policy.force {
        return;
    }
    let Some(unit) = engine.registry.units.get_mut(&unit).filter(|unit| unit.is_valid()) else { return };
    let key = unit.key;
    unit.osr.entries += 1;
    unit.osr.nanoseconds += taken;
    if unit.osr.entries < policy::OSR_SAMPLE {
        return;
    }
    let average = unit.osr.nanoseconds / unit.osr.entries;
    let exits: u64 = unit.exits.iter().map(|holder| holder.exit.count).sum();
    let left = (exits - unit.osr.exits_before) / unit.osr.interval;
    unit.osr.exits_before = exits;
    (unit.osr.entries, unit.osr.nanoseconds) = (0, 0);
    unit.osr.interval = policy::OSR_INTERVAL;
    let minimum = if left * 2 > policy::OSR_SAMPLE { unit.osr.worthwhile * policy::OSR_LEFT } else { unit.osr.worthwhile };
    if average < minimum {
        engine.give_up(key, "the loop is left too soon");
    }
}

/// Whether a loop is to be compiled again since the interpreter has specialised more of the function: what comes after the loop may not
/// have run when it was compiled.
fn second_look(engine: &mut Engine, function: Object, key: Key) -> bool {
    let history = engine.registry.history.entry(key).or_default();
    let entries = history.entries + 1;
    history.entries = entries;
    if !policy::SECOND_LOOKS.contains(&entries) || engine.policy.force {
        return false;
    }
    let Some(unit) = engine.registry.find(key) else { return false };
    if !engine.budget.allows_time(function_info(function).code, unit.osr.nanoseconds) {
        // At the next entry.
        engine.registry.history.entry(key).or_default().entries = entries - 1;
        return false;
    }
    let Some(unit) = engine.registry.find(key) else { return false };
    let Some(facts) = crate::objects::code_facts(function, Entry::Function, Vec::new(), Vec::new()) else { return false };
    if pepjit_frontend::specialisations(&facts.input) == unit.specialisations {
        return false;
    }
    if let Some(id) = engine.registry.current.get(&key).copied() {
        engine.counters.recompilations += 1;
        engine.drop_unit(id);
    }
    true
}

/// A compiled loop that is about to be entered.
struct Loop {
    unit: UnitId,
    entry: u64,
    handle: u64,
    /// The unit's count of code that waits.
    active: *mut i64,
    /// Whether to look how long it runs.
    timed: bool,
}

impl Loop {
    /// Counts an entry of a unit.
    fn enter(engine: &mut Engine, id: UnitId) -> Option<Loop> {
        let unit = engine.registry.units.get_mut(&id)?;
        engine.counters.osr_entries += 1;
        *unit.words.active += 1;
        unit.osr.seen += 1;
        let timed = unit.osr.seen.is_multiple_of(unit.osr.interval) && !engine.policy.force;
        Some(Loop {
            unit: id,
            entry: unit.compiled.entry,
            handle: unit.compiled.handle,
            active: &raw mut *unit.words.active,
            timed,
        })
    }
}

/// The usual case of [`jump`]: the loop is compiled, has been entered often enough, and fits the frame.
fn known_loop(engine: &mut Engine, frame: Frame, function: Object, key: Key) -> Option<Loop> {
    let id = engine.registry.find_id(key)?;
    let unit = engine.registry.units.get(&id)?;
    let info = function_info(function);
    if !unit.osr.settled || unit.namespaces != (info.globals as usize, info.builtins as usize) {
        return None;
    }
    let bound = &unit.osr.bound;
    // SAFETY: the frame is running, and there are as many flags as are said to be.
    let fits = unsafe { ffi::pepjit_frame_fits(frame, bound.as_ptr(), bound.len() as i64) };
    (fits != 0).then(|| Loop::enter(engine, id)).flatten()
}

/// Whether a loop is to wait for its function: one that is called often and goes round seldom is going to be compiled as a whole, and to
/// compile its loops takes as long as that, each of them.
fn comes_with_its_function(engine: &mut Engine, function: Object, code: Object, header: u32, rounds: u64) -> bool {
    let (threshold, calls) = (engine.policy.calls, engine.calls.get(&(code as usize)).map_or(0, |profile| profile.count));
    let left_soon = *engine
        .left_soon
        .entry(code as usize)
        .or_default()
        .entry(header)
        .or_insert_with(|| policy::is_left_soon(threshold, calls, rounds));
    if !left_soon || policy::is_left_late(calls, rounds) || crate::objects::is_generator(code) {
        return false;
    }
    let key = engine.key_of(function, code, None);
    match engine.registry.find(key) {
        // The call began before the function was compiled, and will soon be over.
        Some(unit) => *unit.words.entries == 0,
        None => engine.registry.history.get(&key).is_none_or(|history| history.refused.is_none()),
    }
}

/// Compiles the loop at a header for a frame that is at its jump, whose locals and stack have been of these classes. False: it can't be done.
fn compile_loop(engine: &mut Engine, frame: Frame, function: Object, header: u32, classes: Vec<Type>) -> bool {
    let depth = classes.len().saturating_sub(crate::objects::local_count(function)) as u32;
    engine.containers = observe_containers(frame);
    engine.compile(function, Entry::Loop { header, depth }, classes).is_ok()
}

/// What to do at a backward jump: enter a loop, or a verdict.
fn jump(engine: &mut Engine, frame: Frame, code: Object, from: u32, to: u32) -> Result<Loop, c_int> {
    if !engine.enabled {
        return Err(DISABLE);
    }
    engine.wake_rested();
    // SAFETY: the frame is running.
    let function = unsafe { ffi::pepjit_frame_function(frame) };
    // SAFETY: as above.
    if function.is_null() || unsafe { ffi::pepjit_frame_plain_names(frame) } == 0 {
        if engine.listening.any_rests() {
            // It won't be compiled, but it tells when a rest is over.
            engine.wait(code, to.into(), ROUNDS_OF_OTHERS);
            return Err(NOTHING);
        }
        return Err(DISABLE);
    }
    let key = Key { owner: code as usize, header: Some(to) };
    if let Some(known) = known_loop(engine, frame, function, key) {
        return Ok(known);
    }
    // The function that a loop waits for may be in it, and raise no events itself.
    engine.run_queue();
    let site = Site::jump(code, from, to);
    if engine.registry.find(key).is_none() {
        let missed = engine.listening.missed(site, Instant::now());
        let count = engine.rounds_of(code as usize, to);
        *count += 1 + missed;
        let rounds = *count;
        if rounds <= engine.policy.jumps {
            let more = engine.policy.jumps - rounds;
            *engine.rounds_of(code as usize, to) += engine.wait(code, to.into(), more);
            return Err(NOTHING);
        }
        if engine.idle {
            return Err(DISABLE);
        }
        if comes_with_its_function(engine, function, code, to, rounds)
            || !engine.budget.allows_rounds(code, u64::from(from.saturating_sub(to)), rounds)
        {
            return Err(ask_again(engine, site, false));
        }
    }
    if crate::objects::is_generator(code) {
        engine.make_native_generators(function);
    }
    // SAFETY: as above.
    unsafe {
        if ffi::pepjit_frame_count(frame) < 0 && ffi::pepjit_frame_normalise(frame) == 0 {
            return Err(DISABLE);
        }
    }
    let observed = observe(frame);
    if engine.registry.find(key).is_none() {
        if !compile_loop(engine, frame, function, to, observed.clone()) {
            return Err(if engine.is_early(key) { ask_again(engine, site, true) } else { DISABLE });
        }
        // What it would save to compile it again is counted from here on.
        engine.jumps.entry(code as usize).or_default().insert(to, engine.policy.jumps);
    }
    // The code was made for this many stack entries, and for these of locals and entries being null. What was null then and isn't now may
    // be either: it's compiled again for that, since a loop is entered with the variables of later loops bound or not.
    let made_for = engine.registry.history.get(&key).map_or_else(Vec::new, |history| history.observed.clone());
    if made_for.len() != observed.len() {
        return Err(NOTHING);
    }
    let misfits = |(then, now): (&Type, &Type)| *then == Type::NULL && *now != Type::NULL;
    if made_for.iter().zip(&observed).any(misfits) {
        let count = engine.rounds_of(code as usize, to);
        *count += 1;
        let rounds = *count;
        if !engine.budget.allows_rounds(code, u64::from(from.saturating_sub(to)), rounds) {
            let more = policy::until_asked_again(rounds);
            *engine.rounds_of(code as usize, to) += engine.wait(code, to.into(), more);
            return Err(NOTHING);
        }
        let either = made_for.iter().zip(&observed).map(|(then, now)| if *then == Type::NULL { *now } else { *then }).collect();
        if let Some(id) = engine.registry.current.get(&key).copied() {
            engine.drop_unit(id);
        }
        if !compile_loop(engine, frame, function, to, either) {
            return Err(DISABLE);
        }
    }
    if second_look(engine, function, key) {
        let made_for = engine.registry.history.get(&key).map_or_else(Vec::new, |history| history.observed.clone());
        if !compile_loop(engine, frame, function, to, made_for) {
            return Err(DISABLE);
        }
    }
    let Some(id) = engine.registry.find_id(key) else { return Err(DISABLE) };
    let settled =
        engine.registry.history.get(&key).is_some_and(|history| policy::SECOND_LOOKS.iter().all(|look| history.entries > *look));
    let bound = engine
        .registry
        .history
        .get(&key)
        .map_or_else(Vec::new, |history| history.observed.iter().map(|class| u8::from(*class != Type::NULL)).collect());
    let Some(unit) = engine.registry.units.get_mut(&id) else { return Err(DISABLE) };
    let info = function_info(function);
    if unit.namespaces != (info.globals as usize, info.builtins as usize) {
        return Err(NOTHING);
    }
    (unit.osr.settled, unit.osr.bound) = (settled, bound);
    Loop::enter(engine, id).ok_or(DISABLE)
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_exit_limit(record: *mut Exit) {
    engine::with(|engine| {
        engine.wake_rested();
        // SAFETY: the record belongs to a unit that is active.
        let record = unsafe { &mut *record };
        let Some(unit) = engine.registry.units.get_mut(&record.user) else { return };
        let mut holder = unit.exits.iter_mut().find(|holder| std::ptr::eq(&raw const *holder.exit, record));
        let reason = holder.as_ref().map(|holder| holder.reason);
        if reason == Some(Reason::Stress) {
            let next = engine.policy.stress_start();
            if let Some(unit) = engine.registry.units.get_mut(&record.user) {
                *unit.words.stress = next;
            }
            // Ask again at the next one.
            record.limit = record.count + 1;
            return;
        }
        if reason == Some(Reason::Learned) {
            if !engine.learn(record.user) {
                record.limit = record.count * 2;
            }
            return;
        }
        let learns = record.throw != 0 || reason.is_some_and(Reason::is_speculation);
        if learns && !engine.budget.allows_exits(record.code, record.count) {
            record.limit = record.count * 2;
            let mut is_costly = || holder.as_mut().is_some_and(|holder| holder.is_costly(Instant::now()));
            if record.throw == 0 && !engine.policy.force && is_costly() {
                engine.postpone(record.user, record.offset, reason.unwrap_or(Reason::Class));
            }
            return;
        }
        if record.throw != 0 {
            // SAFETY: the unit's code object is alive: somebody runs it.
            let target = unsafe { ffi::pepjit_handler_target(record.code, record.offset) };
            let known = u32::try_from(target).is_ok_and(|target| !engine.compile_handler(record.user, target));
            if known {
                // It's left for other reasons.
                record.limit = record.count * 2;
            }
            return;
        }
        let made = unit.made;
        if !engine.policy.force && learns && holder.as_mut().is_some_and(|holder| holder.is_rare(made, Instant::now())) {
            record.limit = record.count + policy::exit_limit(reason.unwrap_or(Reason::Class), false).max(1);
            return;
        }
        let rare =
            reason.is_some_and(|reason| !reason.is_speculation()) && *unit.words.entries / policy::RARE_EXITS > record.count;
        if rare {
            // A fraction of the calls: asked again when there are twice as many.
            record.limit = record.count * 2;
            return;
        }
        engine.respecialise(record.user, record.offset, reason.unwrap_or(Reason::Class));
    });
}

/// Classes noted of one site at most.
const MOST_CLASSES: usize = 6;

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_exit_class(record: *mut Exit, ty: Object) {
    engine::with(|engine| {
        // SAFETY: the record belongs to a unit that is active; the class is that of a live object.
        let (unit, offset, version) = unsafe { ((*record).user, (*record).offset, ffi::pepjit_class_version(ty)) };
        let Some(unit) = engine.registry.units.get(&unit).filter(|unit| unit.is_valid()) else { return };
        if version == 0 {
            return;
        }
        let history = engine.registry.history.entry(unit.key).or_default();
        let seen = history.classes.entry(offset).or_default();
        if seen.len() < MOST_CLASSES && !seen.contains(&version) {
            seen.push(version);
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_dict_event(event: c_int, dict: Object, key: Object, _new_value: Object) -> c_int {
    let dict = dict as usize;
    match event {
        DICT_CLONED => {}
        DICT_DEALLOCATED => engine::notify(Event::DictGone(dict)),
        _ if !key.is_null() && class_type(key) == Type::STR => {
            return with_text(key, |name| {
                if let Some(name) = name {
                    return c_int::from(engine::notify_name(dict, name));
                }
                engine::notify(Event::DictChanged(dict));
                0
            });
        }
        // An event without a str key concerns every name.
        _ => engine::notify(Event::DictChanged(dict)),
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_type_event(ty: Object) {
    engine::notify(Event::ClassChanged(ty as usize));
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_function_event(event: c_int, function: Object, _new_value: Object) -> c_int {
    let address = function as usize;
    if event == FUNCTION_DESTROYED {
        return engine::tell(Event::FunctionGone(address)).into();
    }
    engine::notify(Event::FunctionChanged(address));
    if event == FUNCTION_CODE {
        // Compiled code of it may be running, and counts on whoever runs it to hold the code object.
        // SAFETY: the function is alive, and has its old code still.
        let code = unsafe {
            let code = function_info(function).code;
            ffi::pepjit_incref(code);
            code
        };
        engine::notify(Event::CodeReplaced(code as usize));
        // Nobody starts compiled code of it any more. Finalisers may run here, where an attribute is set.
        engine::with(|_| ());
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_code_destroyed(code: Object) {
    engine::notify(Event::CodeGone(code as usize));
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_monitoring_changed() -> c_int {
    engine::with(Engine::spare_monitored).is_some().into()
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_references_counted() -> c_int {
    engine::with(Engine::spare_counted).is_some().into()
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_suspend_hooks() {
    engine::with(|engine| {
        for (function, (_, version)) in &engine.hooked {
            // SAFETY: a hooked function is alive.
            unsafe { ffi::pepjit_unhook(*function as Object, *version) };
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_resume_hooks() {
    engine::with(|engine| {
        for (function, (id, version)) in &mut engine.hooked {
            let Some(unit) = engine.registry.units.get(id) else { continue };
            // SAFETY: as above.
            *version = unsafe { ffi::pepjit_hook(*function as Object, unit.compiled.vectorcall as *mut _) };
        }
        // What was compiled meanwhile waits for its hook.
        let waiting: Vec<(u64, Object)> = engine
            .registry
            .current
            .iter()
            .filter(|(key, _)| key.header.is_none())
            .filter_map(|(key, id)| engine.registry.units.get(id).map(|unit| (key, id, unit)))
            .filter(|(key, _, unit)| {
                !engine.hooked.contains_key(&(unit.function as usize)) && unit.is_valid() && key.owner == unit.function as usize
            })
            .map(|(_, id, unit)| (*id, unit.function))
            .collect();
        for (id, function) in waiting {
            engine.hook(id, function);
        }
    });
}

/// Compiles a function at once, whatever its history of calls.
pub(crate) fn compile_now(function: Object) -> Result<(), String> {
    let code = function_info(function).code;
    engine::with(|engine| {
        let key = engine.key_of(function, code, None);
        if let Some(id) = engine.registry.find_id(key) {
            engine.hook(id, function);
            return Ok(());
        }
        let observed = engine.calls.get(&(code as usize)).map_or_else(Vec::new, |profile| profile.observed.clone());
        engine.compile(function, Entry::Function, observed).map(drop)
    })
    .unwrap_or_else(|| Err("the JIT is busy".into()))
}
