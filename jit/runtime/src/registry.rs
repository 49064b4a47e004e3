//! What has been compiled, what it assumes, and what becomes of it when an assumption breaks.

use crate::ffi::Object;
use crate::linkage::{ExitHolder, ViewTable};
use pepjit_backend::Compiled;
use pepjit_ir::{Callee, Type};
use std::collections::{BTreeSet, HashMap};

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

/// How long a loop runs in native code each time it's entered.
#[derive(Debug, Default)]
pub(crate) struct OsrProfile {
    /// Entries timed so far.
    pub(crate) entries: u64,
    /// Their time in nanoseconds.
    pub(crate) nanoseconds: u64,
    /// Side exits taken before them.
    pub(crate) exits_before: u64,
}

/// A compiled function or loop. Code that has run once stays in memory: it may be on some stack.
pub(crate) struct Unit {
    pub(crate) key: Key,
    pub(crate) name: String,
    pub(crate) compiled: Compiled,
    /// 1 as long as every assumption holds; native code reads it.
    pub(crate) valid: Box<u8>,
    /// The current direct entry; native callers read it.
    pub(crate) cell: Box<u64>,
    /// The word of the stress mode.
    pub(crate) stress: Box<u64>,
    /// Calls of the vectorcall entry.
    pub(crate) entries: Box<u64>,
    /// How many functions have been sent to it.
    pub(crate) hooks: u64,
    /// What the interpreter had specialised when this was compiled.
    pub(crate) specialisations: u64,
    /// Of loops: whether entering pays.
    pub(crate) osr: OsrProfile,
    pub(crate) params: Vec<Type>,
    pub(crate) exits: Vec<ExitHolder>,
    /// What others see of its frames.
    #[expect(dead_code, reason = "the C side reads it")]
    pub(crate) views: ViewTable,
    /// Objects kept alive for the code.
    pub(crate) kept: Vec<Object>,
    /// A function that runs the code: the one that it was compiled from, as long as it lives; null if none is known.
    pub(crate) function: Object,
    /// Its code object.
    pub(crate) code: Object,
    /// Where shared code finds the function that it runs.
    #[expect(dead_code, reason = "the code reads it")]
    pub(crate) function_cell: Box<u64>,
    /// The globals and builtins that the code was made for.
    pub(crate) namespaces: (usize, usize),
}

impl Unit {
    /// The unit as the IR calls it.
    pub(crate) fn callee(&self) -> Callee {
        Callee { entry_cell: &raw const *self.cell as u64, params: self.params.clone(), label: self.name.clone() }
    }
}

/// What a unit assumes of the process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Assumption {
    /// A name's value (or absence) in a dict of globals, builtins or a module.
    Name {
        /// The dict's address.
        dict: usize,
        /// The name.
        name: String,
    },
    /// A class, its bases included.
    Class(usize),
    /// A function's code and defaults.
    Function(usize),
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

/// All units and what they assume.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) units: HashMap<UnitId, Unit>,
    /// The current unit of each function and loop.
    pub(crate) current: HashMap<Key, UnitId>,
    pub(crate) history: HashMap<Key, History>,
    assumptions: HashMap<Assumption, BTreeSet<UnitId>>,
    /// Units that call another one through its entry cell.
    next: UnitId,
}

impl Registry {
    /// A number for the next unit.
    pub(crate) fn reserve(&mut self) -> UnitId {
        self.next += 1;
        self.next
    }

    /// Notes an assumption.
    pub(crate) fn assume(&mut self, unit: UnitId, assumption: Assumption) {
        self.assumptions.entry(assumption).or_default().insert(unit);
    }

    /// The units that rely on something that has changed.
    pub(crate) fn broken(&mut self, assumption: &Assumption) -> Vec<UnitId> {
        self.assumptions.remove(assumption).into_iter().flatten().collect()
    }

    /// The same for every name of a dict.
    pub(crate) fn broken_dict(&mut self, dict: usize) -> Vec<UnitId> {
        let names: Vec<Assumption> = self
            .assumptions
            .keys()
            .filter(|known| matches!(known, Assumption::Name { dict: of, .. } if *of == dict))
            .cloned()
            .collect();
        names.iter().flat_map(|name| self.broken(name)).collect()
    }

    /// The current unit of a key, if it's valid.
    pub(crate) fn find(&self, key: Key) -> Option<&Unit> {
        self.current.get(&key).and_then(|id| self.units.get(id)).filter(|unit| *unit.valid == 1)
    }

    /// Marks a unit invalid: callers come to its fallback entry, its guards leave.
    pub(crate) fn invalidate(&mut self, id: UnitId) -> Option<&mut Unit> {
        let unit = self.units.get_mut(&id)?;
        if *unit.valid == 0 {
            return None;
        }
        *unit.valid = 0;
        *unit.cell = unit.compiled.fallback;
        if self.current.get(&unit.key) == Some(&id) {
            self.current.remove(&unit.key);
        }
        self.units.get_mut(&id)
    }
}
