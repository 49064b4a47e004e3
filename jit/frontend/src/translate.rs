//! The driver: regions in reverse post-order, merges, loops, and what every instruction needs.

use crate::decode::{Bytecode, Insn};
use crate::input::{CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_VARARGS, CodeInput, Entry as CodeEntry, LocalKind};
use crate::state::{Entry, Frame, Owner};
use crate::world::World;
use pepjit_ir::op::{Effects, Reason};
use pepjit_ir::{Block, BlockCall, Builder, Cond, Function, FunctionKind, Helper, Imm, ObjId, ObjRef, Op, StateId, Type, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
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
    /// Classes that values had where they were looked at: likely, where the interpreter has nothing to tell.
    pub(crate) guarded: HashMap<Value, ObjRef>,
    /// Functions that a callable may be, of several classes' methods.
    pub(crate) candidates: HashMap<Value, Vec<ObjRef>>,
    /// Classes that values had when the loop was compiled: not guarded, but likely.
    pub(crate) hints: HashMap<Value, Type>,
    /// How many generic calls there are, and how many instructions that gain: the policy looks at them.
    pub(crate) generic: u32,
    pub(crate) specialised: u32,
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
        guarded: HashMap::new(),
        candidates: HashMap::new(),
        hints: HashMap::new(),
        generic: 0,
        specialised: 0,
    };
    translator.enter(entry)?;
    translator.regions()?;
    let Translator { mut func, generic, specialised, .. } = translator;
    drop_unneeded_frame(&mut func, !bytecode.loops.is_empty());
    Ok(Built { func, specialised, generic, loops: !bytecode.loops.is_empty() })
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

impl Translator<'_> {
    // ---- building blocks ----

    pub(crate) fn build(&mut self) -> Builder<'_> {
        Builder::at(&mut self.func, self.block)
    }

    /// The state before the current instruction: an exit there repeats it.
    pub(crate) fn before(&mut self) -> StateId {
        if let Some(state) = self.before {
            return state;
        }
        let state = self.frame_before.state(self.insn.offset);
        let state = self.func.add_state(state);
        self.before = Some(state);
        state
    }

    /// What one of several ways on from an instruction may change, for the others.
    pub(crate) fn save(&self) -> Saved {
        Saved {
            frame: self.frame.clone(),
            frame_before: self.frame_before.clone(),
            before: self.before,
            reached_end: self.reached_end,
        }
    }

    /// Undoes what has changed since.
    pub(crate) fn restore(&mut self, saved: Saved) {
        self.frame = saved.frame;
        self.frame_before = saved.frame_before;
        self.before = saved.before;
        self.reached_end = saved.reached_end;
    }

    /// Whether speculation failed at this instruction before.
    pub(crate) fn failed(&self) -> bool {
        self.input.failed_sites.contains(&self.insn.offset)
    }

    pub(crate) fn op(&mut self, op: Op, args: &[Value]) -> Value {
        self.build().op(op, args)
    }

    pub(crate) fn op_imm(&mut self, op: Op, args: &[Value], imm: Imm) -> Value {
        self.build().op_imm(op, args, imm)
    }

    /// An instruction that leaves before the current instruction if it fails.
    pub(crate) fn checked(&mut self, op: Op, args: &[Value]) -> Value {
        let state = self.before();
        self.build().op_state(op, args, Imm::None, state)
    }

    pub(crate) fn guard(&mut self, op: Op, args: &[Value], imm: Imm) {
        let state = self.before();
        self.build().guard(op, args, imm, state);
    }

    pub(crate) fn guard_valid(&mut self) {
        self.guard(Op::GuardValid, &[], Imm::None);
    }

    pub(crate) fn object(&mut self, object: ObjRef) -> ObjId {
        self.func.add_object(object)
    }

    /// The value of an entry (constants are materialised).
    pub(crate) fn value(&mut self, entry: Entry) -> Value {
        match entry {
            Entry::Null => self.build().null(),
            Entry::Const(object) => self.build().object(object),
            Entry::Value(value, _) => value,
        }
    }

    /// What is known of an entry's class.
    pub(crate) fn ty(&self, entry: Entry) -> Type {
        match entry {
            Entry::Null => Type::NULL,
            Entry::Const(object) => self.func.objects[object.index()].ty,
            Entry::Value(value, _) => self.func.ty(value),
        }
    }

    /// Whether an entry can be null.
    pub(crate) fn may_be_null(&self, entry: Entry) -> bool {
        match entry {
            Entry::Value(value, _) => self.func.ty(value).may_be_null() && !self.bound.contains(&value),
            _ => entry == Entry::Null,
        }
    }

    /// The class that an entry is likely to have.
    pub(crate) fn likely(&self, entry: Entry) -> Type {
        match entry {
            Entry::Value(value, _) => self.hints.get(&value).copied().unwrap_or_else(|| self.ty(entry)),
            _ => self.ty(entry),
        }
    }

    /// The object, if the entry is known when compiling.
    pub(crate) fn constant(&self, entry: Entry) -> Option<ObjRef> {
        match entry {
            Entry::Const(object) => Some(self.func.objects[object.index()].clone()),
            _ => None,
        }
    }

    /// Guards that an object is exactly of one of the classes that types name.
    pub(crate) fn guard_type(&mut self, entry: Entry, ty: Type) -> Step<Value> {
        let value = self.value(entry);
        if self.ty(entry).is_subtype(ty) {
            return Ok(value);
        }
        let class = self.well_known(ty)?;
        self.guard(Op::GuardClass, &[value], Imm::Obj(class));
        Ok(value)
    }

    /// The class that a type names.
    pub(crate) fn well_known(&mut self, ty: Type) -> Step<ObjId> {
        if let Some(known) = self.well_known.get(&ty) {
            return known.map_or_else(|| unsupported("class"), Ok);
        }
        let object = self.world.well_known(ty).map(|class| self.func.add_object(class));
        self.well_known.insert(ty, object);
        object.map_or_else(|| unsupported("class"), Ok)
    }

    // ---- the stack ----

    pub(crate) fn push(&mut self, entry: Entry) {
        self.frame.stack.push(entry);
    }

    pub(crate) fn push_owned(&mut self, value: Value) {
        self.push(Entry::Value(value, Owner::Slot));
    }

    pub(crate) fn push_outside(&mut self, value: Value) {
        self.push(Entry::Value(value, Owner::Outside));
    }

    pub(crate) fn push_const(&mut self, object: ObjRef) {
        let object = self.object(object);
        self.push(Entry::Const(object));
    }

    pub(crate) fn pop(&mut self) -> Step<Entry> {
        self.frame.stack.pop().map_or_else(|| unsupported("stack"), Ok)
    }

    /// The entry `depth` below the top (0: the top).
    pub(crate) fn peek(&self, depth: usize) -> Step<Entry> {
        let stack = &self.frame.stack;
        stack.len().checked_sub(depth + 1).map_or_else(|| unsupported("stack"), |index| Ok(stack[index]))
    }

    /// Makes every value that was read from memory and not counted yet count.
    pub(crate) fn secure(&mut self) {
        for index in 0..self.frame.stack.len() {
            if let Entry::Value(value, Owner::Memory) = self.frame.stack[index] {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                self.frame.stack[index] = Entry::Value(value, Owner::Slot);
                self.counted(index, value);
            }
        }
    }

    /// A stack entry has got a unit in the middle of an instruction: exits that repeat the instruction must take it.
    fn counted(&mut self, index: usize, value: Value) {
        if let Some(entry @ Entry::Value(..)) = self.frame_before.stack.get_mut(index)
            && *entry == Entry::Value(value, Owner::Memory)
        {
            *entry = Entry::Value(value, Owner::Slot);
            self.before = None;
        }
    }

    /// Gives up an entry that has been popped.
    pub(crate) fn release(&mut self, entry: Entry) {
        if let Entry::Value(value, Owner::Slot) = entry
            && self.func.ty(value) != Type::NULL
        {
            self.secure();
            self.build().effect(Op::DecRef, &[value], Imm::None);
        }
    }

    /// A popped entry as a value with a unit of its own, to be stored or returned.
    pub(crate) fn owned(&mut self, entry: Entry) -> Value {
        let value = self.value(entry);
        match entry {
            Entry::Value(_, Owner::Slot) | Entry::Null => {}
            _ => self.build().effect(Op::IncRef, &[value], Imm::None),
        }
        value
    }

    /// Takes a value off the stack with its unit (or one made for it).
    pub(crate) fn pop_owned(&mut self) -> Step<Value> {
        let entry = self.pop()?;
        Ok(self.owned(entry))
    }

    /// Gives stack entries that borrow from a local a unit of their own: it's about to change.
    pub(crate) fn settle_borrowers(&mut self, local: u32) {
        for position in 0..self.frame.stack.len() {
            if let Entry::Value(value, Owner::Local(owner)) = self.frame.stack[position]
                && owner == local
            {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                self.frame.stack[position] = Entry::Value(value, Owner::Slot);
            }
        }
    }

    /// Writes a local, giving up what it held. The entry has been popped.
    pub(crate) fn store_local(&mut self, local: u32, entry: Entry) {
        let index = local as usize;
        self.settle_borrowers(local);
        let entry = match entry {
            Entry::Value(value, Owner::Local(owner))
                if owner != local || self.frame.locals[index] != Entry::Value(value, Owner::Slot) =>
            {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                Entry::Value(value, Owner::Slot)
            }
            Entry::Value(value, Owner::Local(_) | Owner::Memory) => {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                Entry::Value(value, Owner::Slot)
            }
            other => other,
        };
        let old = std::mem::replace(&mut self.frame.locals[index], entry);
        self.release(old);
    }

    // ---- calls of helpers ----

    /// Notes where we are for whoever looks at the frame, and makes borrowed values safe.
    pub(crate) fn before_call(&mut self) {
        self.secure();
        let unit = self.insn.unit;
        let seen = Frame { locals: self.frame.locals.clone(), stack: Vec::new() };
        let seen = self.func.add_state(seen.state(unit));
        self.build().guard(Op::SetInstruction, &[], Imm::Int(i64::from(unit)), seen);
        self.called |= !self.func.blocks[self.block.index()].cold;
    }

    /// The next instruction, if it follows in any case.
    pub(crate) fn following(&self) -> Option<Insn> {
        let next = self.insn.next;
        if self.bytecode.regions.contains_key(&next) {
            return None;
        }
        self.bytecode.insns.iter().find(|insn| insn.offset == next).cloned()
    }

    /// Whether the next instruction, which follows in any case, takes a sequence apart.
    pub(crate) fn next_unpacks(&self, count: u32) -> bool {
        self.following().is_some_and(|insn| insn.name == "UNPACK_SEQUENCE" && insn.arg == count)
    }

    /// This instruction does the next one's work too.
    pub(crate) fn skip_next(&mut self) {
        self.skipped = Some(self.insn.next);
    }

    /// After an instruction that has run other code: leaves if that has looked at the frame, or watches from now on.
    pub(crate) fn watch(&mut self) {
        let state = self.frame.state(self.insn.next);
        let state = self.func.add_state(state);
        self.build().guard(Op::Watch, &[], Imm::None, state);
    }

    /// Calls a helper whose operands stay on the stack or are held by the caller; no check.
    pub(crate) fn call_helper(&mut self, helper: Helper, args: &[Value]) -> Value {
        if helper.info().effects.any(Effects::CALLS.and(Effects::RAISES)) {
            self.before_call();
        } else if helper.info().effects.any(Effects::WRITES) {
            self.secure();
        }
        self.build().call(helper, args)
    }

    /// Goes on if the condition is false; else throws the exception that is set. Operands must have been popped.
    pub(crate) fn throw_if(&mut self, condition: Value) {
        self.throw_with(condition, &[]);
    }

    /// The same, giving up a value (or null) that isn't on the stack.
    pub(crate) fn throw_if_holding(&mut self, condition: Value, held: Value) {
        self.throw_with(condition, &[held]);
    }

    /// The same for several.
    pub(crate) fn throw_with(&mut self, condition: Value, held: &[Value]) {
        let (cold, next) = self.fork(condition);
        self.cold(cold);
        self.block = cold;
        self.throw(held);
        self.block = next;
    }

    /// Throws if an object result is null, else pushes it.
    pub(crate) fn push_result(&mut self, result: Value) {
        let failed = self.op(Op::IsNull, &[result]);
        self.throw_if(failed);
        // Null is excluded from here on.
        let ty = self.func.values[result.index()].ty.without(Type::NULL);
        self.func.values[result.index()].ty = ty;
        self.push_owned(result);
    }

    /// Throws if a status is negative.
    pub(crate) fn check_status(&mut self, status: Value) {
        let zero = self.build().int(0);
        let failed = self.op_imm(Op::IntCmp, &[status, zero], Imm::Cond(Cond::Lt));
        self.throw_if(failed);
    }

    /// Pops `count` operands, calls a helper with them (and further words), gives them up and pushes its result.
    pub(crate) fn generic_op(&mut self, helper: Helper, count: usize, more: &[i64]) -> Step {
        let result = self.generic_call(helper, count, more)?;
        self.push_result(result);
        Ok(())
    }

    /// The same for a helper with a status, which is checked and returned.
    pub(crate) fn generic_status(&mut self, helper: Helper, count: usize, more: &[i64]) -> Step<Value> {
        let status = self.generic_call(helper, count, more)?;
        self.check_status(status);
        Ok(status)
    }

    /// Pops `count` operands, calls a helper with them in stack order, gives them up; returns the unchecked result.
    pub(crate) fn generic_call(&mut self, helper: Helper, count: usize, more: &[i64]) -> Step<Value> {
        self.generic += 1;
        self.secure();
        let depth = self.frame.stack.len().checked_sub(count).map_or_else(|| unsupported("stack"), Ok)?;
        let operands: Vec<Entry> = self.frame.stack[depth..].to_vec();
        let mut args: Vec<Value> = Vec::new();
        for operand in &operands {
            args.push(self.value(*operand));
        }
        for word in more {
            args.push(self.build().int(*word));
        }
        let result = self.call_helper(helper, &args);
        self.frame.stack.truncate(depth);
        for operand in operands.into_iter().rev() {
            self.release(operand);
        }
        Ok(result)
    }

    /// A branch inside an instruction: `then` is where the condition holds.
    pub(crate) fn fork(&mut self, condition: Value) -> (Block, Block) {
        let then = self.func.add_block();
        let otherwise = self.func.add_block();
        self.build().branch(
            condition,
            BlockCall { block: then, args: Vec::new() },
            BlockCall { block: otherwise, args: Vec::new() },
        );
        (then, otherwise)
    }

    /// Ends the current block with a jump to a join inside the instruction.
    pub(crate) fn join(&mut self, block: Block, args: Vec<Value>) {
        self.build().jump(block, args, None);
    }

    pub(crate) fn cold(&mut self, block: Block) {
        self.func.blocks[block.index()].cold = true;
    }

    /// Leaves for the interpreter at the current instruction, for good.
    pub(crate) fn leave(&mut self, reason: Reason) {
        self.frame = self.frame_before.clone();
        self.guard(Op::Exit, &[], Imm::Reason(reason));
        self.reached_end = true;
    }

    // ---- entry, regions, edges ----

    fn enter(&mut self, entry: u32) -> Step {
        match self.input.entry {
            CodeEntry::Function => {
                let count = self.input.parameter_count() as usize;
                for index in 0..count {
                    let observed = self.input.observed.get(index).copied().unwrap_or(Type::OBJECT);
                    let ty = parameter_type(self.input, &self.bytecode.insns, index as u32, observed);
                    let value = self.func.add_param(Function::ENTRY, ty, false);
                    self.frame.locals[index] = Entry::Value(value, Owner::Outside);
                    // Numbers are passed unboxed where that helps.
                    if !observed.intersect(Type::OBJECT.without(Type::INT).without(Type::FLOAT)).is_empty() {
                        self.hints.insert(value, observed);
                    }
                }
                // Unboxed parameters are boxes that sink if nobody wants them.
                self.frame_before = self.frame.clone();
                let mut state = self.frame.state(0);
                for (slot, entry) in state.locals.iter_mut().zip(&self.frame.locals) {
                    *slot = entry.slot();
                }
                let state = self.func.add_state(state);
                self.build().guard(Op::Enter, &[], Imm::None, state);
                self.build().guard(Op::PushFrame, &[], Imm::None, state);
                for index in 0..count {
                    let Entry::Value(value, _) = self.frame.locals[index] else { continue };
                    let boxed = match self.func.ty(value) {
                        Type::C_INT => self.op(Op::BoxInt, &[value]),
                        Type::C_FLOAT => self.op(Op::BoxFloat, &[value]),
                        _ => continue,
                    };
                    self.frame.locals[index] = Entry::Value(boxed, Owner::Slot);
                }
            }
            CodeEntry::Loop { depth, .. } | CodeEntry::Resume { depth, .. } => {
                let total = self.input.locals.len() + depth as usize;
                for index in 0..total {
                    let observed = self.input.observed.get(index).copied().unwrap_or(Type::NULLABLE);
                    let entry = if observed == Type::C_WORD {
                        Entry::Value(self.func.add_param(Function::ENTRY, Type::C_WORD, false), Owner::Word)
                    } else if observed == Type::NULL {
                        self.func.add_param(Function::ENTRY, Type::NULL, false);
                        Entry::Null
                    } else if self.input.locals.get(index).is_some_and(|(kind, _)| *kind != LocalKind::Local) {
                        Entry::Value(self.func.add_param(Function::ENTRY, Type::CELL, true), Owner::Slot)
                    } else {
                        // What was bound when compiling need not be at the next entry.
                        let ty = if index < self.input.locals.len() { Type::NULLABLE } else { Type::OBJECT };
                        let value = self.func.add_param(Function::ENTRY, ty, true);
                        self.hints.insert(value, observed);
                        Entry::Value(value, Owner::Slot)
                    };
                    if index < self.input.locals.len() {
                        self.frame.locals[index] = entry;
                    } else {
                        self.frame.stack.push(entry);
                    }
                }
            }
        }
        self.frame_before = self.frame.clone();
        let pending = Pending { block: self.block, frame: self.frame.clone() };
        self.pending.entry(entry).or_default().push(pending);
        Ok(())
    }

    fn regions(&mut self) -> Step {
        for start in self.bytecode.order.clone() {
            let Some(edges) = self.pending.remove(&start) else { continue };
            if self.is_untried(start) {
                // The interpreter goes on, learns what the loop does, and comes back for it.
                self.merge(start, edges)?;
                let first = self.bytecode.regions[&start].insns.start;
                self.insn = self.bytecode.insns[first].clone();
                self.before = None;
                self.frame_before = self.frame.clone();
                self.leave(Reason::Uncompiled);
                continue;
            }
            if self.bytecode.loops.contains_key(&start) {
                self.enter_loop(start, edges);
            } else {
                self.merge(start, edges)?;
            }
            self.region(start)?;
        }
        Ok(())
    }

    /// Whether a region starts a loop after the one that was entered, of which nothing has ever run.
    fn is_untried(&self, start: u32) -> bool {
        let CodeEntry::Loop { header, .. } = self.input.entry else { return false };
        let (Some(entered), Some(other)) = (self.bytecode.loops.get(&header), self.bytecode.loops.get(&start)) else {
            return false;
        };
        let has_run = |region: &u32| {
            self.bytecode.insns[self.bytecode.regions[region].insns.clone()].iter().any(|insn| insn.spec != insn.name)
        };
        !entered.body.contains(&start) && entered.body.iter().any(has_run) && !other.body.iter().any(has_run)
    }

    fn region(&mut self, start: u32) -> Step {
        let bytecode = self.bytecode;
        let region = &bytecode.regions[&start];
        self.reached_end = false;
        // What the region assumes is checked once, before values are on the stack that an exit would have to see.
        let assumes = |insn: &Insn| matches!(insn.name, "LOAD_GLOBAL" | "LOAD_ATTR" | "STORE_ATTR");
        if let Some(insn) = bytecode.insns[region.insns.clone()].first()
            && bytecode.insns[region.insns.clone()].iter().any(assumes)
            && insn.name != "MAKE_CELL"
            && insn.name != "COPY_FREE_VARS"
        {
            self.insn = insn.clone();
            self.before = None;
            self.frame_before = self.frame.clone();
            self.guard_valid();
        }
        for index in region.insns.clone() {
            if self.skipped.take() == Some(bytecode.insns[index].offset) {
                self.insn = bytecode.insns[index].clone();
                continue;
            }
            self.insn = bytecode.insns[index].clone();
            self.before = None;
            self.frame_before = self.frame.clone();
            self.called = false;
            self.instruction()?;
            if self.reached_end {
                return Ok(());
            }
            if self.called {
                self.watch();
            }
            // An exit of the next instruction must find every value counted.
            self.frame_before = self.frame.clone();
        }
        let next = self.insn.next;
        self.edge(next);
        Ok(())
    }

    /// Control goes on at an offset.
    pub(crate) fn edge(&mut self, target: u32) {
        if self.headers.contains_key(&target) {
            self.back_edge(target, false);
        } else {
            let pending = Pending { block: self.block, frame: self.frame.clone() };
            self.pending.entry(target).or_default().push(pending);
        }
        self.reached_end = true;
    }

    /// The same where the interpreter may be wanted, at the end of a loop's round. If it was, the loop is entered from outside again,
    /// so that what is found out before the loop is found out anew; the usual way round changes nothing.
    pub(crate) fn polled_edge(&mut self, target: u32) {
        let wanted = self.op(Op::Wanted, &[]);
        let (serve, quiet) = self.fork(wanted);
        let frame = self.frame.clone();
        self.cold(serve);
        self.block = serve;
        let state = self.before();
        self.build().guard(Op::Poll, &[], Imm::None, state);
        if self.headers.contains_key(&target) {
            self.back_edge(target, true);
        } else {
            self.edge(target);
        }
        self.block = quiet;
        self.frame = frame;
        self.edge(target);
    }

    /// Control goes on at one of two offsets. `frames` are those at the two.
    pub(crate) fn branch_edges(&mut self, condition: Value, then: (u32, Frame), otherwise: (u32, Frame)) {
        let (then_block, otherwise_block) = self.fork(condition);
        self.block = then_block;
        self.frame = then.1;
        self.edge(then.0);
        self.block = otherwise_block;
        self.frame = otherwise.1;
        self.edge(otherwise.0);
    }

    /// Whether an entry must be a parameter where these meet, because it isn't the same on all sides.
    fn differs(edges: &[Pending], select: impl Fn(&Frame) -> Entry) -> bool {
        let first = select(&edges[0].frame);
        edges[1..].iter().any(|edge| select(&edge.frame) != first)
    }

    fn merge(&mut self, start: u32, mut edges: Vec<Pending>) -> Step {
        if edges.len() == 1 {
            let edge = edges.remove(0);
            self.block = edge.block;
            self.frame = edge.frame;
            return Ok(());
        }
        let depth = edges[0].frame.stack.len();
        if edges.iter().any(|edge| edge.frame.stack.len() != depth) {
            return unsupported("stack");
        }
        // Entries borrowed from a local or from memory get a unit first, so that only equal owners meet.
        for edge in &mut edges {
            self.block = edge.block;
            std::mem::swap(&mut self.frame, &mut edge.frame);
            self.settle_stack();
            std::mem::swap(&mut self.frame, &mut edge.frame);
        }
        let locals: Vec<u32> = (0..self.input.locals.len())
            .filter(|index| Self::differs(&edges, |frame| frame.locals[*index]))
            .map(|index| index as u32)
            .collect();
        let stack: Vec<usize> = (0..depth).filter(|index| Self::differs(&edges, |frame| frame.stack[*index])).collect();
        let block = self.func.add_block();
        let mut frame = edges[0].frame.clone();
        for local in &locals {
            let ty = self.joined_type(edges.iter().map(|edge| edge.frame.locals[*local as usize]));
            let parameter = self.parameter(block, ty);
            frame.locals[*local as usize] = parameter;
            self.merge_hint(parameter, edges.iter().map(|edge| edge.frame.locals[*local as usize]));
        }
        for index in &stack {
            let ty = self.joined_type(edges.iter().map(|edge| edge.frame.stack[*index]));
            frame.stack[*index] = self.parameter(block, ty);
        }
        for edge in edges {
            self.block = edge.block;
            self.frame = edge.frame;
            self.jump_with(block, &locals, &stack, start);
        }
        self.block = block;
        self.frame = frame;
        Ok(())
    }

    /// What may be a big int on one side may be one where they meet.
    fn merge_hint(&mut self, parameter: Entry, mut entries: impl Iterator<Item = Entry>) {
        if let Entry::Value(value, _) = parameter
            && entries.any(|entry| self.is_wide(entry))
        {
            self.hints.insert(value, Type::WIDE_INT);
        }
    }

    fn joined_type(&self, entries: impl Iterator<Item = Entry>) -> Type {
        entries.fold(Type::EMPTY, |ty, entry| ty.union(self.ty(entry)))
    }

    fn parameter(&mut self, block: Block, ty: Type) -> Entry {
        if ty == Type::C_WORD {
            return Entry::Value(self.func.add_param(block, Type::C_WORD, false), Owner::Word);
        }
        Entry::Value(self.func.add_param(block, ty, true), Owner::Slot)
    }

    /// Gives every stack entry that borrows a unit of its own.
    fn settle_stack(&mut self) {
        for index in 0..self.frame.stack.len() {
            if let Entry::Value(value, Owner::Local(_) | Owner::Memory) = self.frame.stack[index] {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                self.frame.stack[index] = Entry::Value(value, Owner::Slot);
            }
        }
    }

    /// Ends the current block with a jump that passes these entries as owned parameters.
    fn jump_with(&mut self, block: Block, locals: &[u32], stack: &[usize], offset: u32) {
        let mut args = Vec::new();
        for local in locals {
            let entry = self.frame.locals[*local as usize];
            let value = self.argument(entry);
            if entry != Entry::Null && !matches!(entry, Entry::Value(_, Owner::Word)) {
                self.frame.locals[*local as usize] = Entry::Value(value, Owner::Slot);
            }
            args.push(value);
        }
        for index in stack {
            let entry = self.frame.stack[*index];
            let value = self.argument(entry);
            if entry != Entry::Null && !matches!(entry, Entry::Value(_, Owner::Word)) {
                self.frame.stack[*index] = Entry::Value(value, Owner::Slot);
            }
            args.push(value);
        }
        // Where speculation failed at the target, passes are not to speculate there on the way in either.
        let state = if self.input.failed_sites.contains(&offset) {
            None
        } else {
            let state = self.frame.state(offset);
            Some(self.func.add_state(state))
        };
        self.build().jump(block, args, state);
    }

    fn argument(&mut self, entry: Entry) -> Value {
        match entry {
            Entry::Value(value, Owner::Word) => value,
            other => self.owned(other),
        }
    }

    /// Starts a loop: what it stores becomes parameters of its header.
    fn enter_loop(&mut self, start: u32, edges: Vec<Pending>) {
        let body = &self.bytecode.loops[&start];
        let stored: Vec<u32> = body.stores.iter().copied().collect();
        let irregular = body.irregular;
        let (entry, block) = (self.func.add_block(), self.func.add_block());
        let mut edges = edges;
        for edge in &mut edges {
            self.block = edge.block;
            std::mem::swap(&mut self.frame, &mut edge.frame);
            self.settle_stack();
            std::mem::swap(&mut self.frame, &mut edge.frame);
        }
        let mut locals = Vec::new();
        for index in 0..self.input.locals.len() {
            if irregular || stored.contains(&(index as u32)) || Self::differs(&edges, |frame| frame.locals[index]) {
                locals.push(index as u32);
            }
        }
        let depth = edges[0].frame.stack.len();
        let words = |frame: &Frame, index: usize| matches!(frame.stack[index], Entry::Value(_, Owner::Word));
        // Where a nested loop is entered in its middle, the outer one comes round to it: what that one puts on the stack changes too.
        let rotated = irregular || body.body.first().is_some_and(|region| *region < start);
        let stack: Vec<usize> = (0..depth)
            .filter(|index| rotated || words(&edges[0].frame, *index) || Self::differs(&edges, |frame| frame.stack[*index]))
            .collect();
        let mut frame = edges[0].frame.clone();
        for local in &locals {
            let cleared = self.bytecode.loops[&start].body.iter().any(|region| {
                self.bytecode.insns[self.bytecode.regions[region].insns.clone()]
                    .iter()
                    .any(|insn| matches!(insn.name, "DELETE_FAST" | "LOAD_FAST_AND_CLEAR") && insn.arg == *local)
            });
            let bound =
                !cleared && !irregular && edges.iter().all(|edge| !self.ty(edge.frame.locals[*local as usize]).may_be_null());
            let parameter = self.parameter(block, if bound { Type::OBJECT } else { Type::NULLABLE });
            frame.locals[*local as usize] = parameter;
            let seeded = edges
                .iter()
                .any(|edge| self.constant(edge.frame.locals[*local as usize]).is_some_and(|object| object.ty == Type::INT));
            let mut likely = self.likely(edges[0].frame.locals[*local as usize]);
            if edges.iter().any(|edge| self.is_wide(edge.frame.locals[*local as usize])) {
                likely = Type::WIDE_INT;
            }
            if let Entry::Value(value, _) = parameter {
                if seeded {
                    self.int_seeded.insert(value);
                }
                self.hints.insert(value, likely);
            }
        }
        for index in &stack {
            let ty = self.joined_type(edges.iter().map(|edge| edge.frame.stack[*index]));
            let parameter = self.parameter(block, if ty == Type::C_WORD { ty } else { Type::NULLABLE });
            frame.stack[*index] = parameter;
            let likely = self.likely(edges[0].frame.stack[*index]);
            if let Entry::Value(value, _) = parameter {
                self.hints.insert(value, likely);
            }
        }
        let mut before = frame.clone();
        for local in &locals {
            before.locals[*local as usize] = self.parameter_before(entry, frame.locals[*local as usize]);
        }
        for index in &stack {
            before.stack[*index] = self.parameter_before(entry, frame.stack[*index]);
        }
        for edge in edges {
            self.block = edge.block;
            self.frame = edge.frame;
            self.jump_with(entry, &locals, &stack, start);
        }
        self.block = entry;
        self.frame = before;
        self.jump_with(block, &locals, &stack, start);
        self.block = block;
        self.frame = frame.clone();
        self.headers.insert(start, Header { block, entry, locals, stack, frame });
    }

    /// A parameter like a loop header's for the block before it.
    fn parameter_before(&mut self, block: Block, parameter: Entry) -> Entry {
        let ty = self.ty(parameter);
        self.parameter(block, ty)
    }

    /// Ends a round: goes on at the loop's header, or at the block from which the loop is entered.
    fn back_edge(&mut self, target: u32, outside: bool) {
        self.settle_stack();
        let header = &self.headers[&target];
        let block = if outside { header.entry } else { header.block };
        let (locals, stack) = (header.locals.clone(), header.stack.clone());
        debug_assert!(
            (0..header.frame.stack.len())
                .all(|index| stack.contains(&index) || header.frame.stack[index] == self.frame.stack[index]),
            "a stack entry changes in a loop"
        );
        self.jump_with(block, &locals, &stack, target);
    }
}

/// What the direct entry of a function takes for each parameter.
pub fn parameter_types(input: &CodeInput) -> Vec<Type> {
    let insns = crate::decode::decode(input);
    (0..input.parameter_count())
        .map(|index| parameter_type(input, &insns, index, input.observed.get(index as usize).copied().unwrap_or(Type::OBJECT)))
        .collect()
}

/// A number that changes when the interpreter specialises an instruction (differently).
pub fn specialisations(input: &CodeInput) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    for insn in crate::decode::decode(input) {
        insn.spec.hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether the interpreter has ever executed a function: it specialises the first instruction (`RESUME`) at once, others soon.
pub fn has_run(input: &CodeInput) -> bool {
    crate::decode::decode(input).iter().any(|insn| insn.spec != insn.name)
}

/// Whether a function jumps backwards anywhere.
pub fn has_loops(input: &CodeInput) -> bool {
    crate::decode::decode(input).iter().any(|insn| insn.name.starts_with("JUMP_BACKWARD"))
}

/// Whether a generator starts at an offset, rather than going on after a yield.
pub fn is_start(input: &CodeInput, offset: u32) -> bool {
    crate::decode::decode(input).iter().any(|insn| insn.next == offset && insn.name == "RETURN_GENERATOR")
}

/// Whether every return of a function gives `None`.
pub fn returns_only_none(input: &CodeInput) -> bool {
    let insns = crate::decode::decode(input);
    let mut previous = None;
    for insn in &insns {
        let fine = match insn.name {
            "RETURN_CONST" => input.consts.get(insn.arg as usize).is_some_and(|object| object.ty == Type::NONE),
            "RETURN_VALUE" => previous.is_some_and(|previous: &Insn| match previous.name {
                "LOAD_CONST" => input.consts.get(previous.arg as usize).is_some_and(|object| object.ty == Type::NONE),
                "LOAD_COMMON_CONSTANT" => previous.arg == crate::families::COMMON_NONE,
                _ => false,
            }),
            _ => true,
        };
        if !fine || insn.name == "RETURN_GENERATOR" {
            return false;
        }
        previous = Some(insn);
    }
    true
}

/// An argument seen as an int or a float is passed unboxed if an arithmetic instruction uses it.
fn parameter_type(input: &CodeInput, insns: &[Insn], local: u32, observed: Type) -> Type {
    let named = input.argcount + input.kwonlyargcount;
    if local >= named {
        // `*args` is always a tuple, `**kwargs` a dict.
        return if local == named && input.flags & CO_VARARGS != 0 { Type::TUPLE } else { Type::DICT };
    }
    let cell = input.locals[local as usize].0 == LocalKind::Cell;
    if !cell && (observed == Type::INT || observed == Type::FLOAT) && wants_unboxed(insns, local, observed) {
        return if observed == Type::INT { Type::C_INT } else { Type::C_FLOAT };
    }
    Type::OBJECT
}

/// Whether arithmetic and comparing instructions use a local directly, more often than others do.
fn wants_unboxed(insns: &[Insn], local: u32, observed: Type) -> bool {
    let (mut wanted, mut other) = (0, 0);
    let mut stack: Vec<Option<u32>> = Vec::new();
    for insn in insns {
        match insn.name {
            "LOAD_FAST" | "LOAD_FAST_BORROW" | "LOAD_FAST_CHECK" => stack.push(Some(insn.arg)),
            "LOAD_FAST_LOAD_FAST" | "LOAD_FAST_BORROW_LOAD_FAST_BORROW" => {
                stack.push(Some(insn.arg >> 4));
                stack.push(Some(insn.arg & 15));
            }
            "LOAD_CONST" | "LOAD_SMALL_INT" => stack.push(None),
            "BINARY_OP" | "COMPARE_OP" | "BINARY_SUBSCR" => {
                let right = stack.pop().flatten();
                let left = stack.pop().flatten();
                let subscript = insn.name == "BINARY_SUBSCR" || insn.arg == 26 && insn.name == "BINARY_OP";
                if right == Some(local) && (!subscript || observed == Type::INT) || left == Some(local) && !subscript {
                    wanted += 1;
                }
                stack.push(None);
            }
            _ => {
                other += stack.iter().filter(|used| **used == Some(local)).count();
                stack.clear();
            }
        }
    }
    wanted > other
}
