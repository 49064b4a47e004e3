//! The reference back end: keeps functions as they are and runs them with the IR's own interpreter on CPython's memory.
//!
//! It's slow, and it's the oracle: what a function does here is what the instruction table says, so that a difference to another back end
//! is a bug of that one. It has no machine code of its own. An entry (what a callee's cell holds) is the address of a [`Handle`], which only
//! this back end's code can call; calls from CPython go through one static function, [`vectorcall`], which finds the compiled function by the
//! function object, and loops through [`enter_loop`], which gets the handle passed.
//!
//! Architecture invariant: the GIL is held wherever this runs. A function that runs is kept alive by who runs it, even if it's freed.

#![allow(unsafe_code, reason = "reads CPython's memory and calls functions by address")]

#[path = "reference/call.rs"]
mod call;
#[path = "reference/exits.rs"]
mod exits;
#[path = "reference/machine.rs"]
mod machine;
#[path = "reference/unit.rs"]
mod unit;

use call::Pair;
use pepjit_backend::{Backend, BackendError, Compiled, Linkage};
use pepjit_ir::{Function, FunctionKind};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unit::Unit;

/// The name by which the back end is selected.
const NAME: &str = "reference";

/// Marks a [`Handle`], to notice an entry that is none.
const MAGIC: u64 = u64::from_ne_bytes(*b"pepjit:r");

/// What to do with the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Run the function.
    Direct,
    /// Box them and let the interpreter run it.
    Fallback,
}

/// What an entry's address points to.
struct Handle {
    magic: u64,
    way: Way,
    unit: Arc<Unit>,
}

impl Handle {
    fn new(way: Way, unit: &Arc<Unit>) -> *mut Handle {
        Box::into_raw(Box::new(Handle { magic: MAGIC, way, unit: Arc::clone(unit) }))
    }

    /// The way and the function of an entry.
    ///
    /// # Safety
    /// The address is an entry that this back end has made and not yet freed.
    unsafe fn at(address: u64) -> (Way, Arc<Unit>) {
        // SAFETY: by the caller's promise.
        let handle = unsafe { &*std::ptr::with_exposed_provenance::<Handle>(address as usize) };
        assert_eq!(handle.magic, MAGIC, "{address:#x} is no entry of the reference back end");
        (handle.way, Arc::clone(&handle.unit))
    }
}

/// The compiled functions by function object: where [`vectorcall`] looks.
static FUNCTIONS: Mutex<BTreeMap<u64, Arc<Unit>>> = Mutex::new(BTreeMap::new());
/// The original vectorcall of Python functions; the same for all.
static FALLBACK: AtomicU64 = AtomicU64::new(0);

fn functions() -> MutexGuard<'static, BTreeMap<u64, Arc<Unit>>> {
    FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The entries of a compiled function.
struct Entries {
    direct: *mut Handle,
    fallback: Option<*mut Handle>,
}

/// The back end that interprets the IR.
#[derive(Default)]
pub(crate) struct ReferenceBackend {
    entries: HashMap<u64, Entries>,
}

impl ReferenceBackend {
    /// A back end that has compiled nothing.
    pub(crate) fn new() -> ReferenceBackend {
        ReferenceBackend::default()
    }
}

impl Backend for ReferenceBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn compile(&mut self, func: &Function, linkage: &mut dyn Linkage, _dumps: bool) -> Result<Compiled, BackendError> {
        let unit = Arc::new(Unit::new(func, linkage)?);
        let direct = Handle::new(Way::Direct, &unit);
        let handle = direct.expose_provenance() as u64;
        let mut compiled = Compiled { entry: handle, handle, code_bytes: unit.bytes(), ..Compiled::default() };
        let fallback = match func.kind {
            FunctionKind::Entry => {
                let fallback = Handle::new(Way::Fallback, &unit);
                compiled.fallback = fallback.expose_provenance() as u64;
                compiled.vectorcall = vectorcall as *const () as u64;
                FALLBACK.store(unit.addresses.fallback, Ordering::Relaxed);
                functions().insert(unit.addresses.function, unit);
                Some(fallback)
            }
            FunctionKind::Loop { .. } => {
                compiled.entry = enter_loop as *const () as u64;
                None
            }
            FunctionKind::Resume { .. } => {
                compiled.entry = resume as *const () as u64;
                None
            }
        };
        self.entries.insert(handle, Entries { direct, fallback });
        Ok(compiled)
    }

    fn free(&mut self, handle: u64) {
        let Some(Entries { direct, fallback }) = self.entries.remove(&handle) else { return };
        // SAFETY: made by `Handle::new`, and taken out of the table just now.
        let direct = unsafe { Box::from_raw(direct) };
        functions().retain(|_, unit| !Arc::ptr_eq(unit, &direct.unit));
        if let Some(fallback) = fallback {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(fallback) });
        }
    }
}

/// Calls an entry with the words of its arguments.
///
/// # Safety
/// The address is an entry of this back end that isn't freed, `tstate` the running thread's state, and the arguments are what the
/// callee's parameters say.
pub(crate) unsafe fn call_entry(address: u64, tstate: u64, args: &[u64]) -> Pair {
    // SAFETY: by the caller's promise.
    let (way, unit) = unsafe { Handle::at(address) };
    match way {
        Way::Direct => machine::run(&unit, tstate, 0, args),
        Way::Fallback => machine::call_interpreter(&unit, tstate, args),
    }
}

/// The vectorcall entry of all functions.
extern "C" fn vectorcall(callable: u64, args: *const u64, nargsf: u64, names: u64) -> u64 {
    let unit = functions().get(&callable).map(Arc::clone);
    // SAFETY: the word belongs to the interpreter, which outlives all code, and changes under the GIL only.
    let watched = |unit: &Arc<Unit>| unit.addresses.evaluator != 0 && unsafe { *(unit.addresses.evaluator as *const u64) } != 0;
    if let Some(unit) = unit.filter(|unit| !watched(unit)) {
        let run = |words: &[u64]| {
            // SAFETY: the address is that of a function without parameters.
            let tstate: u64 = unsafe { call::words(unit.addresses.current_tstate, &[]) };
            machine::box_result(&unit, machine::run(&unit, tstate, 0, words))
        };
        let settle = |owned: u64| {
            let words = [callable, args.expose_provenance() as u64, nargsf, names, owned];
            // SAFETY: the vectorcall's own arguments, of which the callee has references.
            unsafe { call::words::<()>(unit.addresses.settle, &words) };
        };
        if let Some(words) = machine::arguments(&unit, args, nargsf, names) {
            settle(pepjit_backend::owned_bits(&unit.params));
            return run(&words);
        }
        if let Some(mut bound) = machine::Bound::new(&unit, callable, args, nargsf, names)
            && let Some(words) = bound.words()
        {
            settle(u64::MAX);
            return run(&words);
        }
    }
    let fallback = FALLBACK.load(Ordering::Relaxed);
    // SAFETY: the address is that of a vectorcall function, the arguments are those that it wants.
    unsafe { call::words(fallback, &[callable, args.expose_provenance() as u64, nargsf, names]) }
}

/// The entry of all generators that go on: takes everything out of the frame.
extern "C" fn resume(tstate: u64, frame: u64, entries: *mut u64, handle: u64) -> Pair {
    // SAFETY: the runtime passes the handle of what it enters.
    let (_, unit) = unsafe { Handle::at(handle) };
    let null = unit.layout.frame.null_word;
    let take = |index: usize| {
        // SAFETY: the frame has as many entries as the entry block has parameters. The first of the stack is where others look for locals.
        let word = unsafe { std::ptr::replace(entries.add(index), if index == unit.func.locals as usize { 0 } else { null }) };
        if null == 0 { word } else { word & !3 }
    };
    let values: Vec<u64> = (0..unit.params.len()).map(take).collect();
    machine::run(&unit, tstate, frame, &values)
}

/// The entry of all loops.
extern "C" fn enter_loop(tstate: u64, frame: u64, values: *const u64, handle: u64) -> Pair {
    // SAFETY: the runtime passes the handle of the loop that it enters.
    let (_, unit) = unsafe { Handle::at(handle) };
    // SAFETY: the runtime passes as many values as the loop's entry block has parameters.
    let values = unsafe { call::slice(values, unit.params.len()) };
    machine::run(&unit, tstate, frame, values)
}
