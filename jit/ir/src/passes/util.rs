//! What several passes need: operand kinds, effects, replacement of values, uses.

use super::cfg::Cfg;
use crate::builder::result_type;
use crate::function::{Block, BlockCall, Function, Inst, InstData, Parameter, Slot, StateId, Value};
use crate::op::{ArgKind, Effects, Imm, Op};
use crate::types::{Constant, Type};

/// What the operand at this position must be.
pub(crate) fn arg_kind(func: &Function, inst: &InstData, position: usize) -> ArgKind {
    match inst.imm {
        Imm::Helper(helper) => {
            let info = helper.info();
            info.args[if info.array { 0 } else { position.min(info.args.len() - 1) }]
        }
        Imm::Callee(callee) => match func.callees[callee.index()].params.get(position) {
            Some(Parameter { ty: Type::C_INT, .. }) => ArgKind::Int,
            Some(Parameter { ty: Type::C_FLOAT, .. }) => ArgKind::Float,
            Some(Parameter { ty, owned: true }) => {
                if ty.may_be_null() {
                    ArgKind::OwnNullable
                } else {
                    ArgKind::Own
                }
            }
            Some(Parameter { ty, .. }) if ty.may_be_null() => ArgKind::Nullable,
            _ => ArgKind::Obj,
        },
        _ => {
            let info = inst.op.info();
            info.args.get(position).copied().or(info.rest).unwrap_or(ArgKind::Word)
        }
    }
}

/// What an instruction does.
pub(crate) fn effects(inst: &InstData) -> Effects {
    match inst.imm {
        Imm::Helper(helper) => helper.info().effects,
        _ => inst.op.info().effects,
    }
}

/// Whether an instruction may go when nothing uses its result.
///
/// Arithmetic leaves only where the interpreter would compute the same with big ints, so without a use it has no effect; a guard
/// or an unboxing states that the interpreter would run no other code here, so it stays.
pub(crate) fn is_removable(inst: &InstData) -> bool {
    let kept = Effects::EXITS
        .and(Effects::WRITES)
        .and(Effects::CALLS)
        .and(Effects::COUNTS)
        .and(Effects::TERMINATES)
        .and(Effects::RAISES);
    match inst.op {
        Op::IntAdd | Op::IntSub | Op::IntMul | Op::IntNeg | Op::IntToFloat => true,
        // These take or hand out a unit that somebody has to give up.
        Op::LoadScratch | Op::BoxInt | Op::BoxFloat | Op::PairToObject | Op::PairFromObject => false,
        Op::Call | Op::CallN => !effects(inst).any(kept.and(Effects::ALLOCATES)),
        _ => inst.result.is_some() && !effects(inst).any(kept),
    }
}

/// The constant that an object is, if it's known when compiling.
pub(crate) fn constant_object(func: &Function, value: Value) -> Option<Constant> {
    match func.def(value) {
        Some(InstData { op: Op::ConstObj, imm: Imm::Obj(object), .. }) => Some(func.objects[object.index()].constant),
        _ => None,
    }
}

/// A value's type where it's defined, whether or not it's null.
///
/// A value has one type, and the front end takes null out of it once it has emitted the test: for the test itself that says nothing.
pub(crate) fn unchecked_type(func: &Function, value: Value) -> Type {
    let ty = func.ty(value);
    match func.def(value).and_then(|def| result_type(func, def.op, def.imm)) {
        Some((table, _)) if table.may_be_null() => ty.union(Type::NULL),
        _ => ty,
    }
}

/// An unboxed value that is known when compiling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Raw {
    Int(i64),
    Word(i64),
    Float(f64),
    Bool(bool),
}

/// The unboxed value that is known when compiling.
pub(crate) fn constant_raw(func: &Function, value: Value) -> Option<Raw> {
    let inst = func.def(value)?;
    Some(match (inst.op, inst.imm) {
        (Op::ConstInt, Imm::Int(number)) => Raw::Int(number),
        (Op::ConstWord, Imm::Int(number)) => Raw::Word(number),
        (Op::ConstBool, Imm::Int(number)) => Raw::Bool(number != 0),
        (Op::ConstFloat, Imm::Float(number)) => Raw::Float(number),
        _ => return None,
    })
}

/// Values to be replaced by others.
#[derive(Default)]
pub(crate) struct Subst(Vec<Option<Value>>);

impl Subst {
    /// Replaces `old` by `new` (or by what that is replaced by).
    pub(crate) fn replace(&mut self, old: Value, new: Value) {
        if self.0.len() <= old.index() {
            self.0.resize(old.index() + 1, None);
        }
        if old != new {
            self.0[old.index()] = Some(new);
        }
    }

    /// What stands for the value now.
    pub(crate) fn get(&self, value: Value) -> Value {
        let mut value = value;
        while let Some(Some(next)) = self.0.get(value.index()) {
            value = *next;
        }
        value
    }

    /// Replaces the operands of an instruction, not those of its state.
    pub(crate) fn apply_to(&self, inst: &mut InstData) {
        for arg in inst.args.iter_mut().chain(inst.targets.iter_mut().flat_map(|target| &mut target.args)) {
            *arg = self.get(*arg);
        }
    }

    /// Replaces everywhere.
    pub(crate) fn apply(&self, func: &mut Function) {
        if self.0.is_empty() {
            return;
        }
        for inst in &mut func.insts {
            self.apply_to(inst);
        }
        for state in &mut func.states {
            for slot in state.slots_mut() {
                if let Slot::Value(value, _) = slot {
                    *value = self.get(*value);
                }
            }
            for value in &mut state.drops {
                *value = self.get(*value);
            }
        }
    }
}

/// Where a value is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The operand of an instruction, by position.
    Arg(Inst, u32),
    /// An argument for a successor: the terminator, which successor, which argument.
    Target(Inst, u32, u32),
    /// A slot of an instruction's frame state.
    State(Inst, StateId),
    /// A value that an exit drops.
    Drop(Inst, StateId),
}

impl Use {
    /// The instruction that uses it.
    pub(crate) const fn inst(self) -> Inst {
        match self {
            Use::Arg(inst, _) | Use::Target(inst, ..) | Use::State(inst, _) | Use::Drop(inst, _) => inst,
        }
    }
}

/// The uses of every value in reachable blocks.
pub(crate) struct Uses(Vec<Vec<Use>>);

impl Uses {
    /// Collects them.
    pub(crate) fn new(func: &Function, cfg: &Cfg) -> Uses {
        let mut uses = vec![Vec::new(); func.values.len()];
        for &block in &cfg.rpo {
            for &inst in &func.blocks[block.index()].insts {
                let data = func.inst(inst);
                for (position, arg) in data.args.iter().enumerate() {
                    uses[arg.index()].push(Use::Arg(inst, position as u32));
                }
                for (target, call) in data.targets.iter().enumerate() {
                    for (position, arg) in call.args.iter().enumerate() {
                        uses[arg.index()].push(Use::Target(inst, target as u32, position as u32));
                    }
                }
                if let Some(state) = data.state {
                    for slot in func.states[state.index()].slots() {
                        if let Slot::Value(value, _) = slot {
                            uses[value.index()].push(Use::State(inst, state));
                        }
                    }
                    for value in &func.states[state.index()].drops {
                        uses[value.index()].push(Use::Drop(inst, state));
                    }
                }
            }
        }
        Uses(uses)
    }

    /// The uses of a value.
    pub(crate) fn of(&self, value: Value) -> &[Use] {
        self.0.get(value.index()).map_or(&[], Vec::as_slice)
    }
}

/// Drops all instructions from the blocks for which the flag is set.
pub(crate) fn remove_insts(func: &mut Function, dead: &[bool]) {
    for block in &mut func.blocks {
        block.insts.retain(|inst| !dead.get(inst.index()).copied().unwrap_or(false));
    }
}

/// Puts an empty block on an edge and returns it; the arguments move to its jump.
pub(crate) fn split_edge(func: &mut Function, terminator: Inst, target: usize) -> Block {
    let call = func.inst(terminator).targets[target].clone();
    let cold = func.blocks[call.block.index()].cold;
    let block = func.add_block();
    func.blocks[block.index()].cold = cold;
    func.inst_mut(terminator).targets[target] = BlockCall { block, args: Vec::new() };
    crate::builder::Builder::at(func, block).jump(call.block, call.args, None);
    block
}
