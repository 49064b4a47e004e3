//! Removes reference counting that cancels out: an `inc_ref` and a later `dec_ref` of the same value in a block, with nothing in
//! between that could free the object or see its count; and counts of objects that are known to be immortal.
//!
//! Frame states in between that hand the extra unit to the interpreter make their own reference instead.

use super::cfg::Cfg;
use super::util::{arg_kind, effects, remove_insts};
use crate::function::{Block, FrameState, Function, Inst, InstData, Ownership, Slot, Value};
use crate::op::{ArgKind, Effects, Imm, Op};
use crate::types::Type;
use std::collections::HashMap;

/// How far apart a pair may be: keeps the pass linear.
const REACH: usize = 256;

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let cfg = Cfg::new(func);
    let mut dead = vec![false; func.insts.len()];
    for &block in &cfg.rpo {
        cancel(func, block, &mut dead);
    }
    remove_insts(func, &dead);
}

/// Whether a value's count never changes.
pub(crate) fn is_immortal(func: &Function, value: Value) -> bool {
    let immortal = Type::NULL.union(Type::NONE).union(Type::BOOL);
    func.ty(value).is_subtype(immortal)
        || matches!(func.def(value), Some(InstData { op: Op::ConstObj, imm: Imm::Obj(object), .. })
            if func.objects[object.index()].immortal)
}

fn cancel(func: &mut Function, block: Block, dead: &mut [bool]) {
    let insts = func.blocks[block.index()].insts.clone();
    let mut open: HashMap<Value, Vec<usize>> = HashMap::new();
    for (index, &inst) in insts.iter().enumerate() {
        let data = func.inst(inst);
        match data.op {
            Op::IncRef | Op::DecRef if is_immortal(func, data.args[0]) => dead[inst.index()] = true,
            Op::IncRef => open.entry(data.args[0]).or_default().push(index),
            Op::DecRef => {
                let value = data.args[0];
                let start = open.get_mut(&value).and_then(Vec::pop);
                if start.is_some_and(|start| cancel_pair(func, &insts, value, start, index, dead)) {
                    continue;
                }
                // An object made here and released can't be one that is known by another value from before.
                if !is_fresh_box(func, value) {
                    open.clear();
                }
            }
            _ => {
                for position in 0..data.args.len() {
                    if matches!(arg_kind(func, data, position), ArgKind::Own | ArgKind::OwnNullable) {
                        open.remove(&data.args[position]);
                    }
                }
                let quiet = matches!(data.op, Op::SetInstruction | Op::Enter | Op::PushFrame | Op::Watch | Op::GuardUnseen);
                if !quiet && effects(data).any(Effects::WRITES.and(Effects::CALLS)) || sees_counts(data) {
                    open.clear();
                }
            }
        }
    }
}

/// Whether a value is a box, which nothing else names unless it has been stored (which ends all pairs).
fn is_fresh_box(func: &Function, value: Value) -> bool {
    func.def(value).is_some_and(|def| matches!(def.op, Op::BoxInt | Op::BoxFloat))
}

/// Whether an instruction reads reference counts.
fn sees_counts(inst: &InstData) -> bool {
    matches!(inst.imm, Imm::Field(crate::field::Field::RefCount))
}

/// Removes a pair unless a state in between doesn't account for the unit.
fn cancel_pair(func: &mut Function, insts: &[Inst], value: Value, start: usize, end: usize, dead: &mut [bool]) -> bool {
    if end - start > REACH {
        return false;
    }
    let between = || insts[start + 1..end].iter().filter(|inst| !dead[inst.index()]);
    let mut states: Vec<(Inst, FrameState)> = Vec::new();
    for &inst in between() {
        // What others see of a frame takes no units.
        if let Some(state) = func.inst(inst).state.filter(|_| func.inst(inst).op != Op::SetInstruction) {
            let Some(changed) = without_unit(&func.states[state.index()], value) else { return false };
            states.push((inst, changed));
        }
    }
    for (inst, state) in states {
        let state = func.add_state(state);
        func.inst_mut(inst).state = Some(state);
    }
    dead[insts[start].index()] = true;
    dead[insts[end].index()] = true;
    true
}

/// The state when one unit of the value less is there.
fn without_unit(state: &FrameState, value: Value) -> Option<FrameState> {
    let mut state = state.clone();
    if let Some(position) = state.drops.iter().position(|dropped| *dropped == value) {
        state.drops.remove(position);
        return Some(state);
    }
    // The topmost one: stack entries are what is counted for a while.
    let slot =
        state.locals.iter_mut().chain(&mut state.stack).rev().find(|slot| **slot == Slot::Value(value, Ownership::Steal))?;
    *slot = Slot::Value(value, Ownership::Borrow);
    Some(state)
}
