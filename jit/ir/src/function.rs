//! The data structure: functions, blocks, instructions, values, frame states.

use crate::op::{Imm, Op};
use crate::types::{Constant, Type};
use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            /// The position in the function's table.
            pub const fn index(self) -> usize { self.0 as usize }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!($prefix, "{}"), self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    )*};
}

ids! {
    /// A value: an instruction's result or a block's parameter.
    Value "v";
    /// An instruction.
    Inst "i";
    /// A basic block. Block 0 is the entry.
    Block "b";
    /// A frame state.
    StateId "s";
    /// An object known when compiling.
    ObjId "o";
    /// A compiled function that is called directly.
    CalleeId "f";
}

/// An object known when compiling. Dumps show its label, never its address.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjRef {
    /// Its address; opaque here.
    pub address: u64,
    /// Its exact class, as far as the lattice names it.
    pub ty: Type,
    /// Its value.
    pub constant: Constant,
    /// Whether its reference count never changes.
    pub immortal: bool,
    /// A stable name for dumps.
    pub label: String,
}

/// What a direct call passes for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What the operand must be: `C_INT`, `C_FLOAT`, or an object type.
    pub ty: Type,
    /// Whether the callee takes a unit of the object; else it borrows.
    pub owned: bool,
}

impl Parameter {
    /// A number, or an object that the callee borrows.
    pub const fn borrowed(ty: Type) -> Parameter {
        Parameter { ty, owned: false }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.ty, if self.owned { " owned" } else { "" })
    }
}

/// A compiled function that can be called directly.
#[derive(Clone, Debug, PartialEq)]
pub struct Callee {
    /// The address of the cell that holds the current entry point.
    pub entry_cell: u64,
    /// What a call passes.
    pub params: Vec<Parameter>,
    /// A stable name for dumps.
    pub label: String,
    /// If not 0: several functions share the code. The first operand of a call, and of `params`, is the function object that is called; it's
    /// put into the word at this address, where the callee finds it.
    pub function_cell: u64,
}

impl Callee {
    /// What the function's own parameters must be.
    pub fn parameters(&self) -> &[Parameter] {
        &self.params[usize::from(self.function_cell != 0)..]
    }
}

/// What is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// A whole function, entered with its arguments: the entry block's parameters are those of the native entry.
    Entry,
    /// A loop, entered from the interpreter's frame: the entry block's parameters are the frame's locals and value stack, as
    /// owned (nullable) objects that have been moved out of the frame.
    Loop {
        /// The loop header, in code units.
        header: u32,
    },
    /// What a generator does from where it was suspended: as a loop, but entered with the address of the frame's entries, which
    /// the native entry takes out by itself.
    Resume {
        /// Where it goes on, in code units.
        offset: u32,
    },
}

/// Who holds the reference of a frame state's slot when the exit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ownership {
    /// The exit takes the value's unit.
    Steal,
    /// The exit makes a reference of its own.
    Borrow,
}

/// A local variable or a stack entry of a frame state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Null: unbound.
    Empty,
    /// A value; unboxed ones are boxed by the exit (once, however many slots name it).
    Value(Value, Ownership),
    /// An object known when compiling (the exit makes a reference).
    Object(ObjId),
}

/// The interpreter's frame at a point: what an exit rebuilds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FrameState {
    /// The instruction at which the interpreter goes on, in code units from the code's start.
    pub offset: u32,
    /// The locals, cells and free variables, in the order of `localsplus`.
    pub locals: Vec<Slot>,
    /// The value stack, bottom first.
    pub stack: Vec<Slot>,
    /// Owned values that the frame doesn't hold and that the exit must give up.
    pub drops: Vec<Value>,
}

impl FrameState {
    /// Every slot, locals first.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.locals.iter().chain(&self.stack)
    }

    /// Every slot, locals first.
    pub fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.locals.iter_mut().chain(&mut self.stack)
    }
}

/// A successor with the arguments for its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockCall {
    /// The successor.
    pub block: Block,
    /// One argument for each of its parameters.
    pub args: Vec<Value>,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct InstData {
    /// The operation.
    pub op: Op,
    /// The operands.
    pub args: Vec<Value>,
    /// The immediate.
    pub imm: Imm,
    /// The frame state, of instructions that can leave; for a jump: the state at the target's start, where values can be
    /// converted on the edge.
    pub state: Option<StateId>,
    /// The result.
    pub result: Option<Value>,
    /// The successors of a jump or branch.
    pub targets: Vec<BlockCall>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueDef {
    /// An instruction's result.
    Inst(Inst),
    /// A block's parameter (position).
    Param(Block, u32),
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueData {
    /// What is known of it.
    pub ty: Type,
    /// For an object: whether it starts with a unit.
    pub owned: bool,
    /// Where it comes from.
    pub def: ValueDef,
}

/// A basic block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockData {
    /// The parameters.
    pub params: Vec<Value>,
    /// The instructions; the last one ends the block.
    pub insts: Vec<Inst>,
    /// Whether the block is thought to be rare.
    pub cold: bool,
}

/// A function in SSA form.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// A name for dumps.
    pub name: String,
    /// What is compiled.
    pub kind: FunctionKind,
    /// How many locals, cells and free variables the frame has.
    pub locals: u32,
    /// How many stack entries the frame has at most.
    pub stack: u32,
    /// The first instruction that tracing shows, in code units (`_co_firsttraceable`).
    pub first_traceable: u32,
    /// The blocks; block 0 is the entry.
    pub blocks: Vec<BlockData>,
    /// All instructions ever made; those in no block are dead.
    pub insts: Vec<InstData>,
    /// All values ever made.
    pub values: Vec<ValueData>,
    /// The frame states.
    pub states: Vec<FrameState>,
    /// The objects known when compiling.
    pub objects: Vec<ObjRef>,
    /// The functions called directly.
    pub callees: Vec<Callee>,
}

impl Function {
    /// A function with an empty entry block.
    pub fn new(name: impl Into<String>, kind: FunctionKind, locals: u32, stack: u32) -> Function {
        Function {
            name: name.into(),
            kind,
            locals,
            stack,
            first_traceable: 0,
            blocks: vec![BlockData::default()],
            insts: Vec::new(),
            values: Vec::new(),
            states: Vec::new(),
            objects: Vec::new(),
            callees: Vec::new(),
        }
    }

    /// The entry block.
    pub const ENTRY: Block = Block(0);

    /// The parameters of the entry block.
    pub fn parameters(&self) -> Vec<Parameter> {
        let parameter = |value: &Value| {
            let data = &self.values[value.index()];
            Parameter { ty: data.ty, owned: data.owned }
        };
        self.blocks[Function::ENTRY.index()].params.iter().map(parameter).collect()
    }

    /// Adds an empty block.
    pub fn add_block(&mut self) -> Block {
        self.blocks.push(BlockData::default());
        Block(self.blocks.len() as u32 - 1)
    }

    /// Adds a parameter to a block.
    pub fn add_param(&mut self, block: Block, ty: Type, owned: bool) -> Value {
        let position = self.blocks[block.index()].params.len() as u32;
        let value = self.add_value(ValueData { ty, owned, def: ValueDef::Param(block, position) });
        self.blocks[block.index()].params.push(value);
        value
    }

    /// Adds a value.
    pub fn add_value(&mut self, data: ValueData) -> Value {
        self.values.push(data);
        Value(self.values.len() as u32 - 1)
    }

    /// Adds a frame state.
    pub fn add_state(&mut self, state: FrameState) -> StateId {
        self.states.push(state);
        StateId(self.states.len() as u32 - 1)
    }

    /// Adds an object, or finds the one with the same address.
    pub fn add_object(&mut self, object: ObjRef) -> ObjId {
        if let Some(position) = self.objects.iter().position(|known| known.address == object.address) {
            return ObjId(position as u32);
        }
        self.objects.push(object);
        ObjId(self.objects.len() as u32 - 1)
    }

    /// Adds a callee, or finds the one with the same entry cell.
    pub fn add_callee(&mut self, callee: Callee) -> CalleeId {
        if let Some(position) = self.callees.iter().position(|known| known.entry_cell == callee.entry_cell) {
            return CalleeId(position as u32);
        }
        self.callees.push(callee);
        CalleeId(self.callees.len() as u32 - 1)
    }

    /// Every block, in order.
    pub fn block_ids(&self) -> impl Iterator<Item = Block> + use<> {
        (0..self.blocks.len() as u32).map(Block)
    }

    /// An instruction.
    pub fn inst(&self, inst: Inst) -> &InstData {
        &self.insts[inst.index()]
    }

    /// An instruction.
    pub fn inst_mut(&mut self, inst: Inst) -> &mut InstData {
        &mut self.insts[inst.index()]
    }

    /// A value's type.
    pub fn ty(&self, value: Value) -> Type {
        self.values[value.index()].ty
    }

    /// The instruction that makes a value, if it isn't a parameter.
    pub fn def(&self, value: Value) -> Option<&InstData> {
        match self.values[value.index()].def {
            ValueDef::Inst(inst) => Some(self.inst(inst)),
            ValueDef::Param(..) => None,
        }
    }

    /// The block's last instruction, if it has any.
    pub fn terminator(&self, block: Block) -> Option<&InstData> {
        self.blocks[block.index()].insts.last().map(|inst| self.inst(*inst))
    }

    /// The block's successors.
    pub fn successors(&self, block: Block) -> impl Iterator<Item = Block> + '_ {
        self.terminator(block).into_iter().flat_map(|inst| inst.targets.iter().map(|target| target.block))
    }
}
