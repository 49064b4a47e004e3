//! Generators: which functions make those that run compiled code, and the code for each point where they go on.

use crate::engine::{self, Engine};
use crate::ffi::{self, Frame, Object, Resume};
use crate::registry::Key;
use pepjit_frontend::input::CodeInput;
use pepjit_frontend::{Built, Entry};
use pepjit_ir::{Op, Type};
use std::ffi::c_int;
use std::ptr::NonNull;

/// Who asks a generator for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A loop of the interpreter's own, which goes on with interpreted generators in place.
    Loop,
    /// Anybody else, who'd have to call the interpreter.
    Other,
}

impl Engine {
    /// A generator function is hot: the generators that it makes from now on run compiled code.
    pub(crate) fn make_native_generators(&mut self, function: Object) {
        let counted = self.counted.contains(&(crate::objects::function_info(function).code as usize));
        if counted || self.backend.name() == "reference" && !self.policy.force {
            return;
        }
        let mut version = 0;
        // SAFETY: a live function.
        if unsafe { ffi::pepjit_generator_activate(function, &raw mut version) } != 0 {
            self.know(function);
            self.makers.insert(function as usize, version);
        }
    }

    /// A function is changed: it makes the interpreter's generators again.
    pub(crate) fn unhook_maker(&mut self, function: usize) {
        if let Some(version) = self.makers.remove(&function) {
            // SAFETY: the function is alive: it is being changed.
            unsafe { ffi::pepjit_unhook(function as Object, version) };
        }
    }

    /// The functions make the interpreter's generators again.
    pub(crate) fn stop_generators(&mut self) {
        for (function, version) in self.makers.drain() {
            // SAFETY: the function is alive: its destruction takes it off the list.
            unsafe { ffi::pepjit_unhook(function as Object, version) };
        }
    }

    /// What is compiled, or was tried, of a function as such: of generators what they do from each point where they go on.
    pub(crate) fn keys_of(&mut self, function: Object) -> Vec<Key> {
        let code = crate::objects::function_info(function).code;
        if !crate::objects::is_generator(code) {
            return vec![self.key(function, None)];
        }
        self.pieces(code)
    }

    /// The loops of a function that have been compiled, or tried, on their own.
    pub(crate) fn loops_of(&self, function: Object) -> Vec<Key> {
        let code = crate::objects::function_info(function).code;
        if crate::objects::is_generator(code) { Vec::new() } else { self.pieces(code) }
    }

    /// What is compiled, or was tried, of parts of a code object.
    fn pieces(&self, code: Object) -> Vec<Key> {
        let (first, last) = (Key { owner: code as usize, header: Some(0) }, Key { owner: code as usize, header: Some(u32::MAX) });
        self.registry.history.range(first..=last).map(|(key, _)| *key).collect()
    }

    /// Where generators of a code object go on natively, by offset.
    pub(crate) fn resumed(&self, code: Object) -> Vec<(Key, Entry)> {
        let mut points: Vec<(Key, Entry)> = self
            .registry
            .units
            .values()
            .filter(|unit| unit.is_valid() && unit.key.owner == code as usize)
            // SAFETY: a point lives as long as its code object, which a function has.
            .filter_map(|unit| unit.resume.map(|point| unsafe { (unit.key, point.as_ref().offset, point.as_ref().depth) }))
            .map(|(key, offset, depth)| (key, Entry::Resume { offset, depth }))
            .collect();
        points.sort_by_key(|(key, _)| *key);
        points
    }

    /// Compiles what a generator does from where it is.
    fn resume(&mut self, frame: Frame, code: Object, function: Object, point: NonNull<Resume>) -> Result<(), String> {
        // SAFETY: the point is alive as long as its code object, which is running.
        let (offset, depth) = unsafe { (point.as_ref().offset, point.as_ref().depth) };
        let key = Key { owner: code as usize, header: Some(offset) };
        let id = if let Some(id) = self.registry.find_id(key) {
            id
        } else {
            self.run_queue();
            let locals = crate::objects::local_count(function);
            let mut observed = crate::hooks::observe(frame);
            // What is unbound now may be bound another time. (What is on the stack is null in all generators that come here, or in none.)
            for ty in observed.iter_mut().take(locals).filter(|ty| **ty == Type::NULL) {
                *ty = Type::NULLABLE;
            }
            self.compile(function, Entry::Resume { offset, depth }, observed)?
        };
        let Some(unit) = self.registry.units.get_mut(&id) else { return Err("gone".into()) };
        unit.resume = Some(point);
        // SAFETY: as above; nobody else writes it.
        unsafe {
            let point = &mut *point.as_ptr();
            point.handle = unit.compiled.handle;
            point.gain = unit.gain;
            point.entry = unit.compiled.entry;
        }
        Ok(())
    }
}

/// Roughly how many nanoseconds each run of the code saves.
pub(crate) fn gain(built: &Built) -> i32 {
    let calls = built.func.insts.iter().filter(|inst| inst.op == Op::CallDirect).count() as i32;
    5 * (built.specialised as i32) / 2 + 25 * calls + if built.loops { 30 } else { 0 } - RESUMING
}

/// What it costs to resume a generator, against the interpreter.
const RESUMING: i32 = 9;

/// Whether what a generator does here is to be left to the interpreter where its own loops ask for it: it would lose each time. Of the start that
/// is known where what comes after the yield is no more than that.
pub(crate) fn loses_in_place(built: &Built, input: &CodeInput, offset: u32) -> bool {
    let telling = !pepjit_frontend::is_start(input, offset) || pepjit_frontend::only_yields_in_a_loop(input);
    telling && gain(built) <= 0
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_forced() -> c_int {
    engine::with(|engine| engine.policy.force).unwrap_or(true).into()
}

#[unsafe(no_mangle)]
extern "C" fn pepjit_rs_resume(frame: Frame, code: Object, function: Object, point: *mut Resume, in_place: c_int) {
    let Some(point) = NonNull::new(point) else { return };
    let outcome = engine::with(|engine| {
        engine.resumed_by = if in_place == 0 { Asker::Other } else { Asker::Loop };
        if engine.enabled { engine.resume(frame, code, function, point) } else { Ok(()) }
    });
    if matches!(outcome, Some(Err(_))) {
        // SAFETY: as in `resume`.
        unsafe { ffi::pepjit_generator_refuse(point.as_ptr()) };
    }
}
