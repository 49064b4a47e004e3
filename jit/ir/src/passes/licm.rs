//! Moves what doesn't change in a loop before it: pure operations, unboxings, and guards that hold for good.
//!
//! What can leave is moved only if it is executed in every whole iteration (its block dominates the back edges) and the loop is entered
//! by one jump with a frame state: there it leaves with that state, and the interpreter goes on at the loop's header. Loads
//! stay, since a loop polls.

use super::cfg::{Cfg, Loop};
use super::util::{effects, unchecked_type};
use crate::builder::make_inst;
use crate::function::{Block, Function, Inst, StateId, Value, ValueDef};
use crate::op::{Effects, Imm, Op, Reason};
use std::collections::HashSet;

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let cfg = Cfg::new(func);
    let mut home = homes(func, &cfg);
    // Inner loops first: what leaves them may leave the outer ones as well.
    for this in cfg.loops.iter().rev() {
        hoist(func, &cfg, this, &mut home);
    }
}

/// The block of each value.
fn homes(func: &Function, cfg: &Cfg) -> Vec<Option<Block>> {
    let mut home = vec![None; func.values.len()];
    for &block in &cfg.rpo {
        let data = &func.blocks[block.index()];
        for param in &data.params {
            home[param.index()] = Some(block);
        }
        for result in data.insts.iter().filter_map(|inst| func.inst(*inst).result) {
            home[result.index()] = Some(block);
        }
    }
    home
}

/// The block before the loop, and the frame's state at its end.
fn preheader(func: &Function, cfg: &Cfg, this: &Loop) -> Option<(Block, Option<StateId>)> {
    let mut entering = cfg.preds[this.header.index()].iter().filter(|edge| !cfg.is_back_edge(edge.from, this.header));
    let (Some(edge), None) = (entering.next(), entering.next()) else { return None };
    let jump = func.terminator(edge.from).filter(|jump| jump.op == Op::Jump)?;
    Some((edge.from, jump.state))
}

fn hoist(func: &mut Function, cfg: &Cfg, this: &Loop, home: &mut [Option<Block>]) {
    let Some((before, state)) = preheader(func, cfg, this) else { return };
    let mut inside = vec![false; func.blocks.len()];
    for block in &this.body {
        inside[block.index()] = true;
    }
    let mut hoisted = Vec::new();
    let mut bound: HashSet<Value> = HashSet::new();
    let blocks: Vec<Block> = cfg.rpo.iter().copied().filter(|block| inside[block.index()]).collect();
    for block in blocks {
        let always = this.latches.iter().all(|latch| cfg.dominates(block, *latch));
        for inst in func.blocks[block.index()].insts.clone() {
            let can_leave = func.inst(inst).op.info().effects.has(Effects::EXITS);
            let wanted =
                is_movable(func, inst) && !is_constant(func.inst(inst).op) && (!can_leave || (always && state.is_some()));
            let Some(mut constants) = invariant_operands(func, inst, &inside, home).filter(|_| wanted) else { continue };
            for taken in constants.iter().chain([&inst]) {
                if let Some(result) = func.inst(*taken).result {
                    home[result.index()] = Some(before);
                }
            }
            hoisted.append(&mut constants);
            let op = func.inst(inst).op;
            if op == Op::GuardClass {
                let object = func.inst(inst).args[0];
                if unchecked_type(func, object).may_be_null() && bound.insert(object) {
                    let guard = make_inst(func, Op::GuardBound, vec![object], Imm::Reason(Reason::Unbound), state, Vec::new());
                    hoisted.push(guard);
                }
            }
            if matches!(op, Op::GuardBound | Op::UnboxInt | Op::UnboxFloat | Op::UnboxNumber | Op::UnboxBool) {
                bound.insert(func.inst(inst).args[0]);
            }
            hoisted.push(inst);
            if can_leave {
                func.inst_mut(inst).state = state;
            }
        }
    }
    let taken: HashSet<Inst> = hoisted.iter().copied().collect();
    for block in &this.body {
        func.blocks[block.index()].insts.retain(|inst| !taken.contains(inst));
    }
    let insts = &mut func.blocks[before.index()].insts;
    let place = insts.len() - 1;
    insts.splice(place..place, hoisted);
}

fn is_constant(op: Op) -> bool {
    matches!(
        op,
        Op::ConstInt | Op::ConstFloat | Op::ConstBool | Op::ConstWord | Op::ConstObj | Op::ConstNull | Op::CurrentFunction
    )
}

/// Whether an instruction gives the same whenever it is executed, and has no effect but to leave.
fn is_movable(func: &Function, inst: Inst) -> bool {
    let data = func.inst(inst);
    let owned = data.result.is_some_and(|result| func.values[result.index()].owned);
    match (data.op, data.imm) {
        (Op::PairToInt | Op::PairToFloat | Op::PairFailed | Op::Call | Op::CallN, _) => false,
        // A static class: see the pass gvn.
        (Op::GuardClass, Imm::Obj(class)) => func.objects[class.index()].immortal,
        (Op::Guard | Op::GuardNot | Op::GuardBound | Op::GuardIs, _) => true,
        _ => !owned && data.result.is_some() && (effects(data) == Effects::NONE || effects(data) == Effects::EXITS),
    }
}

/// Constants in the loop that the instruction needs, if all its other operands come from outside.
fn invariant_operands(func: &Function, inst: Inst, inside: &[bool], home: &[Option<Block>]) -> Option<Vec<Inst>> {
    let mut constants = Vec::new();
    for arg in &func.inst(inst).args {
        if home[arg.index()].is_some_and(|block| !inside[block.index()]) {
            continue;
        }
        match func.values[arg.index()].def {
            ValueDef::Inst(def) if is_constant(func.inst(def).op) => {
                if !constants.contains(&def) {
                    constants.push(def);
                }
            }
            _ => return None,
        }
    }
    Some(constants)
}
