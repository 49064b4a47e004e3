//! Replaces uses of objects by their unboxed values: shared by the passes that get rid of boxes.

use super::cfg::Cfg;
use super::util::{Subst, arg_kind, constant_object, effects, remove_insts, split_edge};
use crate::builder::make_inst;
use crate::function::{Block, Function, Inst, InstData, Ownership, Slot, StateId, Value};
use crate::helper::Helper;
use crate::op::{ArgKind, Effects, Imm, Op};
use crate::types::{Constant, Type};
use std::collections::{HashMap, HashSet};

/// A class whose objects have an unboxed representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Float,
    Bool,
}

impl Kind {
    /// What a boxing instruction boxes.
    pub(crate) const fn of_box(op: Op) -> Option<Kind> {
        match op {
            Op::BoxInt => Some(Kind::Int),
            Op::BoxFloat => Some(Kind::Float),
            Op::BoxBool => Some(Kind::Bool),
            _ => None,
        }
    }

    /// What an unboxing instruction unboxes.
    pub(crate) const fn of_unbox(op: Op) -> Option<Kind> {
        match op {
            Op::UnboxInt => Some(Kind::Int),
            Op::UnboxFloat => Some(Kind::Float),
            Op::UnboxBool => Some(Kind::Bool),
            _ => None,
        }
    }

    /// The instruction that makes the object.
    pub(crate) const fn box_op(self) -> Op {
        match self {
            Kind::Int => Op::BoxInt,
            Kind::Float => Op::BoxFloat,
            Kind::Bool => Op::BoxBool,
        }
    }

    /// The instruction that reads the object.
    pub(crate) const fn unbox_op(self) -> Op {
        match self {
            Kind::Int => Op::UnboxInt,
            Kind::Float => Op::UnboxFloat,
            Kind::Bool => Op::UnboxBool,
        }
    }

    /// The unboxed type.
    pub(crate) const fn raw_type(self) -> Type {
        match self {
            Kind::Int => Type::C_INT,
            Kind::Float => Type::C_FLOAT,
            Kind::Bool => Type::C_BOOL,
        }
    }

    /// The objects' class.
    pub(crate) const fn class(self) -> Type {
        match self {
            Kind::Int => Type::INT,
            Kind::Float => Type::FLOAT,
            Kind::Bool => Type::BOOL,
        }
    }

    /// The instruction that makes the unboxed constant, if the object is one of this class.
    pub(crate) fn raw_constant(self, constant: Constant) -> Option<(Op, Imm)> {
        match (self, constant) {
            (Kind::Int, Constant::Int(number)) => Some((Op::ConstInt, Imm::Int(number))),
            (Kind::Float, Constant::Float(number)) => Some((Op::ConstFloat, Imm::Float(number))),
            (Kind::Bool, Constant::Bool(truth)) => Some((Op::ConstBool, Imm::Int(i64::from(truth)))),
            _ => None,
        }
    }
}

/// How a use of an object fares when only the unboxed value is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UseCost {
    /// It wanted the unboxed value.
    Gain,
    /// It vanishes, or the return takes the unboxed value.
    Free,
    /// A box must be made for it.
    Box,
    /// It's about this very object, which must not be made anew.
    Identity,
}

/// What the operand `position` of `inst`, now an object, will cost if only an unboxed value of `kind` is there.
pub(crate) fn use_cost(func: &Function, inst: &InstData, position: usize, kind: Kind) -> UseCost {
    match inst.op {
        Op::IncRef | Op::DecRef | Op::IsNull | Op::GuardBound => UseCost::Free,
        Op::UnboxNumber if kind != Kind::Bool => UseCost::Gain,
        Op::Return if kind != Kind::Bool => UseCost::Free,
        Op::IsSame => {
            let other = inst.args[1 - position];
            if func.ty(other).intersect(kind.class()).is_empty() || is_truth(func, other, kind).is_some() {
                UseCost::Free
            } else {
                UseCost::Identity
            }
        }
        Op::GuardIs => UseCost::Identity,
        // Takes the unit only if it succeeds: what follows knows the object by its name.
        Op::Call if inst.imm == Imm::Helper(Helper::InlineValueAdd) => UseCost::Identity,
        op if Kind::of_unbox(op) == Some(kind) => UseCost::Gain,
        _ => UseCost::Box,
    }
}

/// `True` or `False` as a constant, beside an unboxed truth value.
fn is_truth(func: &Function, value: Value, kind: Kind) -> Option<bool> {
    match constant_object(func, value) {
        Some(Constant::Bool(truth)) if kind == Kind::Bool => Some(truth),
        _ => None,
    }
}

/// Objects and what they are replaced by. An object whose value is itself has been given the unboxed type already.
pub(crate) type Raws = HashMap<Value, (Value, Kind)>;

/// Replaces all uses of the objects by their unboxed values and makes boxes where there is no other way. Boxing instructions
/// without a use go. Units of the objects vanish with the instructions that add, take or hand them over.
pub(crate) fn replace_objects(func: &mut Function, raws: &Raws) {
    let cfg = Cfg::new(func);
    let mut rewriter = Rewriter { raws, subst: Subst::default(), dead: vec![false; func.insts.len()], out: Vec::new() };
    for state in &mut func.states {
        for slot in state.slots_mut() {
            if let Slot::Value(value, ownership) = slot
                && let Some((raw, _)) = raws.get(value)
            {
                (*value, *ownership) = (*raw, Ownership::Borrow);
            }
        }
        state.drops.retain(|value| !raws.contains_key(value));
    }
    for &block in &cfg.rpo {
        for inst in std::mem::take(&mut func.blocks[block.index()].insts) {
            rewriter.inst(func, inst);
        }
        func.blocks[block.index()].insts = std::mem::take(&mut rewriter.out);
    }
    for (object, (raw, _)) in raws {
        if object != raw
            && let crate::function::ValueDef::Inst(inst) = func.values[object.index()].def
        {
            rewriter.dead[inst.index()] = true;
        }
    }
    rewriter.subst.apply(func);
    remove_insts(func, &rewriter.dead);
}

struct Rewriter<'a> {
    raws: &'a Raws,
    subst: Subst,
    dead: Vec<bool>,
    out: Vec<Inst>,
}

impl Rewriter<'_> {
    fn inst(&mut self, func: &mut Function, inst: Inst) {
        let data = func.inst(inst);
        let object = data.args.iter().find_map(|arg| self.raws.get(arg).map(|raw| (*arg, *raw)));
        if let Some((value, (raw, kind))) = object {
            let simple = self.simple_use(func, inst, value, raw, kind);
            if simple {
                return;
            }
        }
        let boxed = self.box_args(func, inst);
        self.box_targets(func, inst);
        self.out.push(inst);
        for value in boxed {
            let release = make_inst(func, Op::DecRef, vec![value], Imm::None, None, Vec::new());
            self.out.push(release);
        }
    }

    /// Handles the uses that need no box; true if the instruction has been dealt with.
    fn simple_use(&mut self, func: &mut Function, inst: Inst, value: Value, raw: Value, kind: Kind) -> bool {
        let data = func.inst(inst);
        let (op, result) = (data.op, data.result);
        let mut become_op = |func: &mut Function, op: Op, args: Vec<Value>, imm: Imm| {
            let data = func.inst_mut(inst);
            (data.op, data.args, data.imm) = (op, args, imm);
            self.out.push(inst);
            true
        };
        match op {
            Op::IncRef | Op::DecRef | Op::GuardBound => true,
            Op::IsNull => become_op(func, Op::ConstBool, Vec::new(), Imm::Int(0)),
            Op::UnboxNumber if kind == Kind::Int => become_op(func, Op::IntToFloat, vec![raw], Imm::None),
            Op::Return if kind == Kind::Int => become_op(func, Op::ReturnInt, vec![raw], Imm::None),
            Op::Return if kind == Kind::Float => become_op(func, Op::ReturnFloat, vec![raw], Imm::None),
            Op::IsSame => {
                let args = &data.args;
                if args[0] == args[1] {
                    return become_op(func, Op::ConstBool, Vec::new(), Imm::Int(1));
                }
                let other = if args[0] == value { args[1] } else { args[0] };
                match is_truth(func, other, kind) {
                    Some(true) => {
                        self.subst.replace(result.expect("is_same has a result"), raw);
                        true
                    }
                    Some(false) => become_op(func, Op::BoolNot, vec![raw], Imm::None),
                    None if func.ty(other).intersect(kind.class()).is_empty() => {
                        become_op(func, Op::ConstBool, Vec::new(), Imm::Int(0))
                    }
                    None => false,
                }
            }
            _ if Kind::of_unbox(op) == Some(kind) || (op == Op::UnboxNumber && kind == Kind::Float) => {
                self.subst.replace(result.expect("unboxing has a result"), raw);
                true
            }
            _ => false,
        }
    }

    /// Makes boxes for operands; returns those whose unit is to be given up after the instruction.
    fn box_args(&mut self, func: &mut Function, inst: Inst) -> Vec<Value> {
        let mut boxes: Vec<(Value, Value, usize)> = Vec::new();
        for position in 0..func.inst(inst).args.len() {
            let data = func.inst(inst);
            let arg = data.args[position];
            let kind = arg_kind(func, data, position);
            // A parameter that has been given the unboxed type is its own value: uses of that one are as they should be.
            if !matches!(kind, ArgKind::Obj | ArgKind::Nullable | ArgKind::Own | ArgKind::OwnNullable) {
                continue;
            }
            let Some(&(raw, class)) = self.raws.get(&arg) else { continue };
            let taken = usize::from(matches!(kind, ArgKind::Own | ArgKind::OwnNullable));
            let known = boxes.iter().position(|(object, ..)| *object == arg);
            let entry = known.unwrap_or_else(|| {
                let boxed = self.make_box(func, raw, class);
                boxes.push((arg, boxed, 0));
                boxes.len() - 1
            });
            boxes[entry].2 += taken;
            func.inst_mut(inst).args[position] = boxes[entry].1;
        }
        let mut released = Vec::new();
        for (_, boxed, taken) in boxes {
            let units = usize::from(func.values[boxed.index()].owned);
            for _ in units..taken {
                self.inc_ref(func, boxed);
            }
            if units > taken {
                released.push(boxed);
            }
        }
        if !released.is_empty() && effects(func.inst(inst)).has(Effects::EXITS) {
            let state = func.inst(inst).state.map(|state| drop_also(func, state, &released));
            func.inst_mut(inst).state = state;
        }
        released
    }

    /// Makes boxes for the arguments of parameters that are objects.
    fn box_targets(&mut self, func: &mut Function, inst: Inst) {
        for target in 0..func.inst(inst).targets.len() {
            let call = &func.inst(inst).targets[target];
            let params = &func.blocks[call.block.index()].params;
            let wanted: Vec<usize> = (0..call.args.len())
                .filter(|position| self.raws.contains_key(&call.args[*position]) && func.ty(params[*position]).is_object())
                .collect();
            let unboxed: Vec<usize> = (0..call.args.len())
                .filter(|position| self.raws.contains_key(&call.args[*position]) && !func.ty(params[*position]).is_object())
                .collect();
            for position in unboxed {
                let call = &mut func.inst_mut(inst).targets[target];
                call.args[position] = self.raws[&call.args[position]].0;
            }
            if wanted.is_empty() {
                continue;
            }
            // On one of several edges, the box is made in a block of its own.
            let (jump, target, outer) = if func.inst(inst).targets.len() > 1 {
                let block = split_edge(func, inst, target);
                let jump = func.blocks[block.index()].insts.pop().expect("a split edge has its jump");
                (jump, 0, Some((block, std::mem::take(&mut self.out))))
            } else {
                (inst, target, None)
            };
            let (mut seen, mut held) = (HashSet::new(), Vec::new());
            let mut boxes: HashMap<Value, Value> = HashMap::new();
            for position in wanted {
                let call = &func.inst(jump).targets[target];
                let (object, param) = (call.args[position], func.blocks[call.block.index()].params[position]);
                let (raw, kind) = self.raws[&object];
                let boxed = *boxes.entry(object).or_insert_with(|| self.make_box(func, raw, kind));
                // The first parameter takes the unit that a new box has.
                let first = seen.insert(boxed) && func.values[boxed.index()].owned;
                if func.values[param.index()].owned && !first {
                    self.inc_ref(func, boxed);
                }
                held.push(boxed);
                func.inst_mut(jump).targets[target].args[position] = boxed;
            }
            // The frame names the unboxed values: whoever leaves before the jump gives the boxes up.
            if let Some(state) = func.inst(jump).state {
                let state = drop_also(func, state, &held);
                func.inst_mut(jump).state = Some(state);
            }
            if let Some((block, outer)) = outer {
                self.out.push(jump);
                func.blocks[block.index()].insts = std::mem::replace(&mut self.out, outer);
            }
        }
    }

    fn make_box(&mut self, func: &mut Function, raw: Value, kind: Kind) -> Value {
        let inst = make_inst(func, kind.box_op(), vec![raw], Imm::None, None, Vec::new());
        self.out.push(inst);
        func.inst(inst).result.expect("a box is a result")
    }

    fn inc_ref(&mut self, func: &mut Function, value: Value) {
        let inst = make_inst(func, Op::IncRef, vec![value], Imm::None, None, Vec::new());
        self.out.push(inst);
    }
}

/// A copy of the state that also drops these values.
fn drop_also(func: &mut Function, state: StateId, values: &[Value]) -> StateId {
    let mut copy = func.states[state.index()].clone();
    copy.drops.extend_from_slice(values);
    func.add_state(copy)
}

/// What has to be done on an edge so that an owned object's unit is given up there: whether the terminator must get a block of
/// its own for it.
pub(crate) fn split_if_shared(func: &mut Function, from: Block, target: usize) -> Block {
    let terminator = *func.blocks[from.index()].insts.last().expect("a predecessor has a terminator");
    if func.inst(terminator).targets.len() > 1 { split_edge(func, terminator, target) } else { from }
}
