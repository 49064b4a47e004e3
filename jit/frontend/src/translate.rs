//! The driver: what a translation consists of, and how it starts and ends.

mod emit;
mod regions;

use crate::decode::{Bytecode, Insn};
use crate::input::{CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CodeInput, Entry as CodeEntry};
use crate::state::{Entry, Frame};
use crate::world::World;
use pepjit_ir::op::Effects;
use pepjit_ir::{Block, Function, FunctionKind, Imm, ObjId, ObjRef, Op, StateId, Type, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use thiserror::Error;

/// Why a function or loop stays interpreted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BuildError {
    /// Something that isn't compiled; the text is a counter's name (`unsupported:TEXT`).
    #[error("not compiled: {0}")]
    Unsupported(String),
}

/// The result of every step.
pub(crate) type Step<T = ()> = Result<T, BuildError>;

/// Refuses the function, naming what isn't compiled.
pub(crate) fn unsupported<T>(what: impl Into<String>) -> Step<T> {
    Err(BuildError::Unsupported(what.into()))
}

/// A forward edge whose target isn't translated yet.
struct Pending {
    block: Block,
    frame: Frame,
}

/// A loop header's parameters: which entries they are.
struct Header {
    block: Block,
    /// The block before it, with the same parameters.
    entry: Block,
    /// The locals that are parameters.
    locals: Vec<u32>,
    /// The stack entries that are parameters.
    stack: Vec<usize>,
    /// The frame at the header.
    frame: Frame,
}

/// What [`Translator::save`] keeps.
pub(crate) struct Saved {
    frame: Frame,
    frame_before: Frame,
    before: Option<StateId>,
    reached_end: bool,
}

/// The translation of one function or loop.
pub(crate) struct Translator<'a> {
    pub(crate) input: &'a CodeInput,
    pub(crate) world: &'a mut dyn World,
    pub(crate) bytecode: &'a Bytecode,
    pub(crate) func: Function,
    pub(crate) block: Block,
    pub(crate) frame: Frame,
    pub(crate) insn: Insn,
    /// The state before the current instruction, made when first needed.
    before: Option<StateId>,
    frame_before: Frame,
    /// Whether control has left the region.
    pub(crate) reached_end: bool,
    /// Whether the current instruction calls other code where it isn't rare.
    pub(crate) called: bool,
    /// The offset of an instruction that the one before it has done as well.
    skipped: Option<u32>,
    pending: HashMap<u32, Vec<Pending>>,
    headers: BTreeMap<u32, Header>,
    well_known: HashMap<Type, Option<ObjId>>,
    /// Loop variables of which an int constant is the first value: they may be floats later.
    pub(crate) int_seeded: HashSet<Value>,
    /// Values that are iterators, so that asking for theirs gives themselves.
    pub(crate) iterators: HashSet<Value>,
    /// Values whose type allows for null that are known not to be: the interpreter's compiler says so, or their class has been looked at.
    pub(crate) bound: HashSet<Value>,
    /// Where several values of a variable meet of which one is likely a string.
    pub(crate) texts: HashSet<Value>,
    /// Classes that values had where they were looked at: likely, where the interpreter has nothing to tell.
    pub(crate) guarded: HashMap<Value, ObjRef>,
    /// Values that came with several classes where speculation on their class failed.
    pub(crate) several: HashMap<Value, Several>,
    /// Where the current region starts.
    pub(crate) region: u32,
    /// Functions that a callable may be, of several classes' methods.
    pub(crate) candidates: HashMap<Value, Vec<ObjRef>>,
    /// Methods that have just been bound: the function, and the class of what it's bound to.
    pub(crate) methods: HashMap<Value, Method>,
    /// Classes that values had when the loop was compiled: not guarded, but likely.
    pub(crate) hints: HashMap<Value, Type>,
    /// What values were then to a subscript, by the number that the process gives it.
    pub(crate) containers: HashMap<Value, u64>,
    /// How many generic calls there are, and how many instructions that gain: the policy looks at them.
    pub(crate) generic: u32,
    pub(crate) specialised: u32,
    /// How many parts of sequences are put into variables: the interpreter is as fast.
    pub(crate) moved: u32,
}

/// What is known of a value of several classes: what holds of it where one guard failed holds where the same value is used again.
#[derive(Clone, Debug)]
pub(crate) struct Several {
    /// The versions of the classes that were seen.
    pub(crate) classes: Vec<u32>,
    /// The region where a guard failed: whatever follows in it sees the same classes.
    pub(crate) region: u32,
    /// Branches in between don't tell the classes apart: guards failed in more than one region, or it's an argument that comes with them.
    pub(crate) everywhere: bool,
}

/// What is known of a method that has just been bound.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// The Python function, or the builtin method descriptor.
    pub(crate) function: ObjRef,
    /// The class of what it's bound to, if a type names it.
    pub(crate) receiver: Type,
}

/// A function in the IR, with what the policy wants to know of it.
#[derive(Debug)]
pub struct Built {
    /// The function.
    pub func: Function,
    /// Instructions compiled to fast paths.
    pub specialised: u32,
    /// Instructions compiled to calls of generic helpers.
    pub generic: u32,
    /// Parts of sequences that are moved into variables, as fast as by the interpreter, where there are many of them.
    pub moved: u32,
    /// Whether there are loops in it.
    pub loops: bool,
}

/// Translates a function or a loop.
///
/// # Errors
/// [`BuildError::Unsupported`] if something in it isn't compiled.
pub fn build(input: &CodeInput, world: &mut dyn World) -> Result<Built, BuildError> {
    let (entry, kind) = match input.entry {
        CodeEntry::Function => {
            if input.flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR) != 0 {
                return unsupported("generator");
            }
            (0, FunctionKind::Entry)
        }
        CodeEntry::Loop { header, .. } => (header, FunctionKind::Loop { header }),
        CodeEntry::Resume { offset, .. } => (offset, FunctionKind::Resume { offset }),
    };
    let bytecode = Bytecode::new(input, entry);
    if matches!(input.entry, CodeEntry::Loop { header, .. } if !bytecode.loops.contains_key(&header)) {
        return unsupported("loop that yields");
    }
    if bytecode.irreducible {
        return unsupported("loop with two ways in");
    }
    let mut func = Function::new(input.name.clone(), kind, input.locals.len() as u32, input.stacksize);
    func.first_traceable = input.first_traceable;
    let nothing = Frame { locals: vec![Entry::Null; input.locals.len()], stack: Vec::new() };
    let insn = Insn { offset: entry, unit: entry, next: entry, name: "NOP", arg: 0, spec: "NOP" };
    let mut translator = Translator {
        input,
        world,
        bytecode: &bytecode,
        func,
        block: Function::ENTRY,
        frame: nothing.clone(),
        insn,
        before: None,
        frame_before: nothing,
        reached_end: false,
        called: false,
        skipped: None,
        pending: HashMap::new(),
        headers: BTreeMap::new(),
        well_known: HashMap::new(),
        int_seeded: HashSet::new(),
        iterators: HashSet::new(),
        bound: HashSet::new(),
        texts: HashSet::new(),
        guarded: HashMap::new(),
        several: HashMap::new(),
        region: entry,
        candidates: HashMap::new(),
        methods: HashMap::new(),
        hints: HashMap::new(),
        containers: HashMap::new(),
        generic: 0,
        specialised: 0,
        moved: 0,
    };
    translator.enter(entry)?;
    translator.regions()?;
    let Translator { mut func, generic, specialised, moved, .. } = translator;
    drop_unneeded_frame(&mut func, !bytecode.loops.is_empty());
    Ok(Built { func, specialised, generic, moved, loops: !bytecode.loops.is_empty() })
}

/// A function that never runs Python code needs no frame of its own.
fn drop_unneeded_frame(func: &mut Function, keep: bool) {
    let calls = |op: Op, imm: Imm| match op {
        Op::DecRef | Op::Poll | Op::StoreFloatInPlace | Op::StoreIntInPlace => false,
        _ => effects(op, imm).has(Effects::CALLS),
    };
    let needed = keep || func.insts.iter().any(|inst| calls(inst.op, inst.imm));
    if needed || func.kind != FunctionKind::Entry {
        return;
    }
    for block in &mut func.blocks {
        block.insts.retain(|inst| !matches!(func.insts[inst.index()].op, Op::PushFrame | Op::SetInstruction | Op::GuardUnseen));
    }
}

/// An instruction's effects, those of its helper included.
pub(crate) fn effects(op: Op, imm: Imm) -> Effects {
    match imm {
        Imm::Helper(helper) => helper.info().effects,
        _ => op.info().effects,
    }
}
