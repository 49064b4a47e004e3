//! A code object as plain data.

use pepjit_ir::{ObjRef, Type};
use std::collections::{BTreeSet, HashMap};

/// The supported versions of CPython.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PyVersion {
    /// CPython 3.13
    V313,
    /// CPython 3.14
    V314,
    /// CPython 3.15
    V315,
}

/// What is to be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The whole function.
    Function,
    /// A loop of it, entered at its header from a running frame.
    Loop {
        /// The header, in code units.
        header: u32,
        /// How many values are on the stack there.
        depth: u32,
    },
    /// What a generator does from where it was suspended until it yields or returns.
    Resume {
        /// Where it goes on, in code units.
        offset: u32,
        /// How many values are on the stack there, the one sent to it included.
        depth: u32,
    },
}

/// The kind of a `localsplus` slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalKind {
    /// A plain local (arguments included).
    Local,
    /// A cell (a local that closures share; may be an argument as well).
    Cell,
    /// A free variable.
    Free,
}

/// An entry of the exception table (offsets in code units).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handler {
    /// The first instruction covered.
    pub start: u32,
    /// The first one no longer covered.
    pub end: u32,
    /// Where the handler starts.
    pub target: u32,
    /// How many stack entries the handler keeps.
    pub depth: u32,
    /// Whether the handler gets the raising instruction's offset below the exception.
    pub lasti: bool,
}

/// A code object, with what has been observed of its execution.
#[derive(Clone, Debug)]
pub struct CodeInput {
    /// The interpreter.
    pub version: PyVersion,
    /// The qualified name, for dumps.
    pub name: String,
    /// The function object.
    pub function: ObjRef,
    /// What is to be compiled.
    pub entry: Entry,
    /// The code units without specialisation and instrumentation (`co_code`): opcode in the low byte, argument in the high byte.
    pub code: Vec<u16>,
    /// The units as they are in memory now: specialised opcodes and inline caches.
    pub adaptive: Vec<u16>,
    /// `co_consts`.
    pub consts: Vec<ObjRef>,
    /// `co_names`; each label is the name itself.
    pub names: Vec<ObjRef>,
    /// `localsplus`: kinds and names.
    pub locals: Vec<(LocalKind, String)>,
    /// Whether the code is to serve every function of this code object: then the closure is the running function's.
    pub shared: bool,
    /// The contents of the function's closure: the cells, one per free variable, in order.
    pub closure: Vec<ObjRef>,
    /// Positional parameters.
    pub argcount: u32,
    /// Those of them that can't be given by name.
    pub posonlyargcount: u32,
    /// Keyword-only parameters.
    pub kwonlyargcount: u32,
    /// `co_flags`.
    pub flags: u32,
    /// `co_stacksize`.
    pub stacksize: u32,
    /// `_co_firsttraceable`, in code units.
    pub first_traceable: u32,
    /// The exception table.
    pub handlers: Vec<Handler>,
    /// The targets of those of its handlers that have been seen to run: they're compiled, the others are left to the interpreter.
    pub hot_handlers: BTreeSet<u32>,
    /// For a function: the observed classes of its arguments (`Type::OBJECT` where unknown or varied). For a loop: of the frame's locals,
    /// then stack (`Type::NULL` where unbound).
    pub observed: Vec<Type>,
    /// For a function: the versions of the classes of each argument that has come with several.
    pub classes: Vec<Vec<u32>>,
    /// For a loop: what the same are where they're subscripted (as [`crate::World::subscripted`] takes it; 0: nothing known).
    pub containers: Vec<u64>,
    /// Sites (offsets of the bytecode in code units) where speculation failed too often: compile them without.
    pub failed_sites: Vec<u32>,
    /// The versions of the functions that calls have been seen to call, by the calling instruction (in code units).
    pub site_functions: HashMap<u32, Vec<u32>>,
    /// The versions of the classes that were on top of the stack where a class wasn't the expected one, by site.
    pub site_classes: HashMap<u32, Vec<u32>>,
}

impl CodeInput {
    /// The parameters: positional ones, those that are given by name alone, `*args`, `**kwargs`; the first of the locals.
    pub fn parameter_count(&self) -> u32 {
        let more = |flag: u32| u32::from(self.flags & flag != 0);
        self.argcount + self.kwonlyargcount + more(CO_VARARGS) + more(CO_VARKEYWORDS)
    }

    /// Whether every parameter is a positional one.
    pub fn is_positional(&self) -> bool {
        self.parameter_count() == self.argcount
    }
}

/// In `failed_sites`: the code works on integers of more than 64 bits.
pub const BIG_INTEGERS: u32 = u32::MAX;

/// In `failed_sites`: it does so even where the interpreter has specialised for small ones.
pub const EVEN_SPECIALISED: u32 = u32::MAX - 1;

/// `co_flags`: `*args`.
pub const CO_VARARGS: u32 = 0x4;
/// `co_flags`: `**kwargs`.
pub const CO_VARKEYWORDS: u32 = 0x8;
/// `co_flags`: a generator.
pub const CO_GENERATOR: u32 = 0x20;
/// `co_flags`: a coroutine.
pub const CO_COROUTINE: u32 = 0x80;
/// `co_flags`: an async generator.
pub const CO_ASYNC_GENERATOR: u32 = 0x200;
