//! What has been compiled, and where to find it.

use crate::assumptions::{Assumption, Assumptions};
use crate::ffi::{self, Object, Site};
use crate::linkage::{ExitHolder, ViewTable};
use pepjit_backend::Compiled;
use pepjit_ir::{Callee, Parameter, Type};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::Instant;

/// A compiled unit's number.
pub(crate) type UnitId = u64;

/// What is compiled: a function, or a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The address of the function object, or of the code object where all its functions share what is compiled: loops (they run on the
    /// interpreter's frame) and nested functions (they are made again and again).
    pub(crate) owner: usize,
    /// The loop's header in code units.
    pub(crate) header: Option<u32>,
}

/// How a loop is entered, and how long it runs in native code each time.
#[derive(Debug)]
pub(crate) struct OsrProfile {
    /// How many nanoseconds an entry must take on average for entering to pay.
    pub(crate) worthwhile: u64,
    /// Entries so far.
    pub(crate) seen: u64,
    /// One entry of this many is timed.
    pub(crate) interval: u64,
    /// Whether it need not be looked at again because the interpreter may have learnt more.
    pub(crate) settled: bool,
    /// By local and stack entry of the frame: 0 if it must be null (1: either).
    pub(crate) bound: Vec<u8>,
    /// Entries timed so far.
    pub(crate) entries: u64,
    /// Their time in nanoseconds.
    pub(crate) nanoseconds: u64,
    /// Side exits taken before them.
    pub(crate) exits_before: u64,
}

impl OsrProfile {
    /// Nothing is known but how long it must run on average, in nanoseconds, for entering to pay.
    pub(crate) fn new(worthwhile: u64) -> Self {
        Self { worthwhile, seen: 0, interval: 1, settled: false, bound: Vec::new(), entries: 0, nanoseconds: 0, exits_before: 0 }
    }
}

/// The word through which compiled code calls a function directly: the entry of its newest code with these parameters.
#[derive(Debug, Default)]
pub(crate) struct EntryCell {
    /// A direct entry, or the fallback entry of code that has been given up. Native callers read it.
    pub(crate) target: Cell<u64>,
    /// Of shared code: where it finds the function that it runs. Who calls it writes it.
    pub(crate) function: Cell<u64>,
    /// The vectorcall of the functions that run the code, or 0. Native callers compare it.
    pub(crate) vectorcall: Cell<u64>,
    /// How many units have its address in their code.
    pub(crate) callers: Cell<usize>,
}

impl EntryCell {
    /// The address that code has.
    pub(crate) fn address(&self) -> u64 {
        self.target.as_ptr() as u64
    }

    /// What is called through it, as the IR names it.
    pub(crate) fn callee(&self, shared: bool, params: &[Parameter], name: &str) -> Callee {
        let function = shared.then_some(Parameter::borrowed(Type::OBJECT));
        Callee {
            entry_cell: self.address(),
            function_cell: if shared { self.function.as_ptr() as u64 } else { 0 },
            params: function.into_iter().chain(params.iter().copied()).collect(),
            label: name.into(),
        }
    }
}

/// Words of a unit that its code reads and writes.
#[derive(Debug)]
pub(crate) struct Words {
    /// 1 as long as every assumption holds.
    pub(crate) valid: Box<u8>,
    /// The word of the stress mode.
    pub(crate) stress: Box<u64>,
    /// Calls of the vectorcall entry.
    pub(crate) entries: Box<u64>,
    /// How much of the code is waiting where no frame tells of it.
    pub(crate) active: Box<i64>,
}

impl Words {
    /// The words of a new unit.
    pub(crate) fn new(stress: u64) -> Words {
        Words { valid: Box::new(1), stress: Box::new(stress), entries: Box::new(0), active: Box::new(0) }
    }
}

/// A compiled function or loop.
pub(crate) struct Unit {
    pub(crate) key: Key,
    pub(crate) name: String,
    pub(crate) compiled: Compiled,
    pub(crate) words: Words,
    pub(crate) cell: Rc<EntryCell>,
    /// Whether the functions of its code object share it.
    pub(crate) shared: bool,
    /// The cells that the code calls through.
    pub(crate) callees: Vec<Rc<EntryCell>>,
    pub(crate) assumptions: Vec<Assumption>,
    /// The functions that have been sent to it.
    pub(crate) hooked: BTreeSet<usize>,
    /// How many there have been.
    pub(crate) hooks: u64,
    /// What the interpreter had specialised when this was compiled.
    pub(crate) specialisations: u64,
    /// Of loops: whether entering pays.
    pub(crate) osr: OsrProfile,
    /// Of what a generator does from where it was suspended: where it's looked for.
    pub(crate) resume: Option<NonNull<ffi::Resume>>,
    /// And roughly how many nanoseconds each time saves.
    pub(crate) gain: i32,
    /// Instructions that gain, and those that call generic helpers.
    pub(crate) specialised: u32,
    pub(crate) generic: u32,
    pub(crate) params: Vec<Parameter>,
    pub(crate) exits: Vec<ExitHolder>,
    /// What others see of its frames.
    #[expect(dead_code, reason = "the C side reads it")]
    pub(crate) views: ViewTable,
    /// When it was compiled.
    pub(crate) made: Instant,
    /// The subscripts at which the code notes what comes by.
    pub(crate) sites: Vec<Rc<Site>>,
    /// Objects kept alive for the code.
    pub(crate) kept: Vec<Object>,
    /// Objects that others hold as long as the assumptions hold: the collector couldn't see that these references go in circles.
    pub(crate) held: Vec<Object>,
    /// A function that runs the code: the one that it was compiled from, as long as it lives; null if none is known.
    pub(crate) function: Object,
    /// Its code object.
    pub(crate) code: Object,
    /// The globals and builtins that the code was made for.
    pub(crate) namespaces: (usize, usize),
}

impl Unit {
    /// The unit as the IR calls it.
    pub(crate) fn callee(&self) -> Callee {
        self.cell.callee(self.shared, &self.params, &self.name)
    }

    /// Whether every assumption still holds.
    pub(crate) fn is_valid(&self) -> bool {
        *self.words.valid == 1
    }
}

/// How often a function or loop has been tried, and with what result.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Sites compiled without speculation.
    pub(crate) failed_sites: Vec<u32>,
    /// Entries of a loop so far.
    pub(crate) entries: u64,
    /// The versions of classes that were met where another one was expected, by site.
    pub(crate) classes: HashMap<u32, Vec<u32>>,
    /// Sites of these that failed by overflow.
    pub(crate) overflows: u32,
    /// Compilations so far.
    pub(crate) attempts: u32,
    /// Why it stays interpreted, if it does.
    pub(crate) refused: Option<String>,
    /// The observed classes of the arguments (or locals and stack).
    pub(crate) observed: Vec<Type>,
}

/// The entry cell of a function's newest code.
struct LastCell {
    /// What callers pass.
    params: Vec<Parameter>,
    /// The globals and builtins of the functions that callers pass to shared code.
    namespaces: (usize, usize),
    cell: Rc<EntryCell>,
}

/// All units, and what is known of what has been or could be compiled.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) units: HashMap<UnitId, Unit>,
    /// The current unit of each function and loop.
    pub(crate) current: HashMap<Key, UnitId>,
    pub(crate) history: BTreeMap<Key, History>,
    pub(crate) assumptions: Assumptions,
    /// Units that have been given up and not freed yet.
    pub(crate) dead: Vec<UnitId>,
    /// The last entry cell of each function.
    cells: HashMap<Key, LastCell>,
    by_owner: BTreeSet<(usize, UnitId)>,
    by_function: BTreeSet<(usize, UnitId)>,
    next: UnitId,
}

impl Registry {
    /// A number for the next unit.
    pub(crate) fn reserve(&mut self) -> UnitId {
        self.next += 1;
        self.next
    }

    /// The cell for the next unit of a key: its callers' one if they can call that unit too.
    pub(crate) fn cell_for(&mut self, key: Key, params: &[Parameter], namespaces: (usize, usize)) -> Rc<EntryCell> {
        match self.cells.get(&key) {
            Some(last) if last.params == params && last.namespaces == namespaces => Rc::clone(&last.cell),
            _ => Rc::default(),
        }
    }

    /// Puts a new unit in place. Gives the units that call code of the key and can't call this one.
    pub(crate) fn add(&mut self, id: UnitId, unit: Unit) -> Vec<UnitId> {
        let key = unit.key;
        unit.cell.target.set(unit.compiled.entry);
        unit.cell.vectorcall.set(unit.compiled.vectorcall);
        for callee in &unit.callees {
            callee.callers.set(callee.callers.get() + 1);
        }
        for assumption in &unit.assumptions {
            self.assumptions.note(id, assumption);
        }
        self.by_owner.insert((key.owner, id));
        self.by_function.insert((unit.function as usize, id));
        self.current.insert(key, id);
        let mut stranded = Vec::new();
        if key.header.is_none() {
            let last = LastCell { params: unit.params.clone(), namespaces: unit.namespaces, cell: Rc::clone(&unit.cell) };
            let old = self.cells.insert(key, last).map(|last| last.cell);
            if let Some(old) = old.filter(|old| !Rc::ptr_eq(old, &unit.cell) && old.callers.get() > 0) {
                let calls = |other: &Unit| other.callees.iter().any(|callee| Rc::ptr_eq(callee, &old));
                stranded.extend(self.units.iter().filter(|(_, other)| calls(other)).map(|(id, _)| *id));
            }
        }
        self.units.insert(id, unit);
        stranded
    }

    /// Takes a dead unit out.
    pub(crate) fn remove(&mut self, id: UnitId) -> Option<Unit> {
        let unit = self.units.remove(&id)?;
        self.by_owner.remove(&(unit.key.owner, id));
        self.by_function.remove(&(unit.function as usize, id));
        for assumption in &unit.assumptions {
            self.assumptions.forget(id, assumption);
        }
        for callee in &unit.callees {
            callee.callers.set(callee.callers.get() - 1);
        }
        if unit.cell.target.get() == unit.compiled.fallback {
            unit.cell.target.set(0);
        }
        Some(unit)
    }

    /// The units that a function or code object owns.
    pub(crate) fn owned_by(&self, owner: usize) -> Vec<UnitId> {
        self.by_owner.range((owner, 0)..=(owner, UnitId::MAX)).map(|(_, id)| *id).collect()
    }

    /// The units that know a function as the one that runs them.
    pub(crate) fn run_by(&self, function: usize) -> Vec<UnitId> {
        self.by_function.range((function, 0)..=(function, UnitId::MAX)).map(|(_, id)| *id).collect()
    }

    /// Notes another function (or none) that runs a unit.
    pub(crate) fn set_function(&mut self, id: UnitId, function: usize) {
        if let Some(unit) = self.units.get_mut(&id) {
            self.by_function.remove(&(unit.function as usize, id));
            unit.function = function as Object;
            self.by_function.insert((function, id));
        }
    }

    /// The owner goes away: its address may be used again. What it owns is dead by now.
    pub(crate) fn forget_owner(&mut self, owner: usize) {
        for id in self.owned_by(owner) {
            self.by_owner.remove(&(owner, id));
            if let Some(unit) = self.units.get_mut(&id) {
                unit.key.owner = 0;
            }
        }
        let keys: Vec<Key> = self
            .history
            .range(Key { owner, header: None }..=Key { owner, header: Some(u32::MAX) })
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.history.remove(&key);
        }
        self.cells.remove(&Key { owner, header: None });
    }

    /// The current unit of a key, if it's valid.
    pub(crate) fn find(&self, key: Key) -> Option<&Unit> {
        self.find_id(key).and_then(|id| self.units.get(&id))
    }

    /// Its number.
    pub(crate) fn find_id(&self, key: Key) -> Option<UnitId> {
        self.current.get(&key).copied().filter(|id| self.units.get(id).is_some_and(Unit::is_valid))
    }

    /// Marks a unit invalid: callers come to its fallback entry, its guards leave. None if it was invalid.
    pub(crate) fn invalidate(&mut self, id: UnitId) -> Option<&mut Unit> {
        let unit = self.units.get_mut(&id).filter(|unit| unit.is_valid())?;
        *unit.words.valid = 0;
        if unit.cell.target.get() == unit.compiled.entry {
            unit.cell.target.set(unit.compiled.fallback);
            unit.cell.vectorcall.set(0);
        }
        if self.current.get(&unit.key) == Some(&id) {
            self.current.remove(&unit.key);
        }
        self.dead.push(id);
        Some(unit)
    }
}
