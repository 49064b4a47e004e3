//! Global value numbering: an instruction that repeats a dominating one goes, guards included.
//!
//! # Memory
//!
//! Memory is split into alias classes (see [`super::memory`]). For each class every point of the program has an *epoch*: the last
//! instruction that may have changed the class, or the block at which paths with different epochs meet. Epochs are computed like SSA: a
//! forward iteration from "unknown", meeting to the block's own epoch where predecessors differ. A read is repeated if a
//! dominating read has the same operands *and* the same epoch. This is sound also around loops: if the dominating read D and the later
//! read U have the same epoch E, the instruction that starts E is on no path from D to U that doesn't pass D again, because every
//! path from there to U passes through D.
//!
//! # Unboxing and boxes that are overwritten
//!
//! `unbox_K v` counts as pure although `store_float_in_place` may overwrite a float object. It overwrites only an object to which the
//! slot holds the sole reference. A value `v` that may still be used after the store is kept alive by something else than the slot
//! (a unit, or what it was borrowed from), so its object then has at least two references and isn't overwritten; one that was borrowed
//! from the slot itself may not be used after the store at all. Hence wherever a second `unbox_K v` may stand, the object still holds
//! what the first one read. Loads are a different matter: these stores have the effect `CALLS` and end every epoch, so that the pointer is
//! loaded again and its new target unboxed anew. (One exception: where the slot is known to hold a number, the store runs no code and ends
//! only the epoch of the slot.)
//!
//! # Classes of objects
//!
//! `guard_class v, T` holds for good if `T` is immortal, that is a static class: CPython lets `__class__` be assigned only
//! between heap classes (and on modules, for which there is no such guard). For other classes it holds until the next `CALLS`.

use super::cfg::Cfg;
use super::memory::{CLASSES, bit, kills, quiet_releases, reads};
use super::util::{Raw, Subst, constant_raw, effects, remove_insts};
use crate::field::Field;
use crate::function::{Block, Function, Inst, InstData, Value};
use crate::helper::Helper;
use crate::op::{Effects, Imm, Op};
use std::collections::HashMap;

type Epochs = [u32; CLASSES];

/// The epochs at the start of each block.
fn epochs(func: &Function, cfg: &Cfg, quiet: &[bool]) -> Vec<Epochs> {
    const UNKNOWN: u32 = 0;
    let own = |block: Block| (1 + func.insts.len() + block.index()) as u32;
    let mut last_kill = vec![[UNKNOWN; CLASSES]; func.blocks.len()];
    for &block in &cfg.rpo {
        for &inst in &func.blocks[block.index()].insts {
            let killed = kills(func, inst, quiet);
            for (class, last) in last_kill[block.index()].iter_mut().enumerate() {
                if killed & bit(class) != 0 {
                    *last = 1 + inst.0;
                }
            }
        }
    }
    let mut start = vec![[UNKNOWN; CLASSES]; func.blocks.len()];
    start[Function::ENTRY.index()] = [own(Function::ENTRY); CLASSES];
    let mut changed = true;
    let mut rounds = 0;
    while changed {
        changed = false;
        rounds += 1;
        for &block in &cfg.rpo[1..] {
            for class in 0..CLASSES {
                let old = start[block.index()][class];
                if old == own(block) {
                    continue;
                }
                let mut met = UNKNOWN;
                for edge in &cfg.preds[block.index()] {
                    let kill = last_kill[edge.from.index()][class];
                    let end = if kill == UNKNOWN { start[edge.from.index()][class] } else { kill };
                    if end == UNKNOWN || end == met {
                        continue;
                    }
                    met = if met == UNKNOWN && rounds < 32 { end } else { own(block) };
                    if met == own(block) {
                        break;
                    }
                }
                if met != old {
                    start[block.index()][class] = met;
                    changed = true;
                }
            }
        }
    }
    start
}

/// What makes two instructions equal.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    op: Op,
    args: Vec<Value>,
    imm: (u8, u64),
    epoch: u32,
}

fn imm_key(imm: Imm) -> (u8, u64) {
    match imm {
        Imm::None => (0, 0),
        Imm::Int(number) => (1, number as u64),
        Imm::Float(number) => (2, number.to_bits()),
        Imm::Obj(object) => (3, u64::from(object.0)),
        Imm::Field(field) => (4, field as u64),
        Imm::Cond(cond) => (5, cond as u64),
        Imm::Helper(helper) => (6, helper as u64),
        Imm::Callee(callee) => (7, u64::from(callee.0)),
        Imm::Reason(_) => (8, 0),
    }
}

/// The key of an instruction that may be shared.
fn key(func: &Function, inst: Inst, epochs: &Epochs) -> Option<Key> {
    let data = func.inst(inst);
    let effects = effects(data);
    let unshared = Effects::WRITES
        .and(Effects::CALLS)
        .and(Effects::ALLOCATES)
        .and(Effects::TERMINATES)
        .and(Effects::COUNTS)
        .and(Effects::RAISES);
    if effects.any(unshared) || data.result.is_some_and(|result| func.values[result.index()].owned) {
        return None;
    }
    match (data.op, data.imm) {
        (Op::PairToInt | Op::PairToFloat | Op::Wanted, _)
        | (Op::Load | Op::LoadField, Imm::Field(Field::EvalBreaker | Field::RefCount))
        | (Op::Call, Imm::Helper(Helper::ErrorOccurred | Helper::QuickLen | Helper::QuickTruth)) => return None,
        _ => {}
    }
    let epoch = if effects.has(Effects::READS) { reads(func, data).map_or(0, |class| epochs[class]) } else { 0 };
    let mut args = data.args.clone();
    if matches!(data.op, Op::IntAdd | Op::IntMul | Op::IntAnd | Op::IntOr | Op::IntXor | Op::WordAdd | Op::WordMul | Op::IsSame) {
        args.sort_unstable();
    }
    Some(Key { op: data.op, args, imm: imm_key(data.imm), epoch })
}

/// What is known at the current block of the walk; an entry counts where its block dominates.
///
/// The walk visits each subtree of the dominator tree in one go, so an entry that doesn't dominate now won't later: it is overwritten.
#[derive(Default)]
struct Known {
    available: HashMap<Key, (Block, Option<Value>)>,
    bound: HashMap<Value, Block>,
    truth: HashMap<Value, (Block, bool)>,
}

impl Known {
    fn learn(&mut self, func: &Function, value: Value, block: Block, truth: bool) {
        self.truth.insert(value, (block, truth));
        match func.def(value) {
            Some(InstData { op: Op::BoolNot, args, .. }) => {
                let inner = args[0];
                self.learn(func, inner, block, !truth);
            }
            Some(InstData { op: Op::IsNull, args, .. }) if !truth => {
                self.bound.insert(args[0], block);
            }
            _ => {}
        }
    }

    fn is_bound(&self, cfg: &Cfg, value: Value, block: Block) -> bool {
        self.bound.get(&value).is_some_and(|known| cfg.dominates(*known, block))
    }

    fn truth_of(&self, func: &Function, cfg: &Cfg, value: Value, block: Block) -> Option<bool> {
        if let Some(Raw::Bool(truth)) = constant_raw(func, value) {
            return Some(truth);
        }
        self.truth.get(&value).filter(|(known, _)| cfg.dominates(*known, block)).map(|(_, truth)| *truth)
    }
}

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let cfg = Cfg::new(func);
    let quiet = quiet_releases(func, &cfg);
    let starts = epochs(func, &cfg, &quiet);
    let mut known = Known::default();
    let mut subst = Subst::default();
    let mut dead = vec![false; func.insts.len()];
    for block in cfg.dominator_preorder() {
        learn_from_branch(func, &cfg, block, &mut known);
        let mut epochs = starts[block.index()];
        for index in 0..func.blocks[block.index()].insts.len() {
            let inst = func.blocks[block.index()].insts[index];
            subst.apply_to(func.inst_mut(inst));
            dead[inst.index()] = is_redundant(func, &cfg, block, inst, &epochs, &mut known, &mut subst);
            let killed = kills(func, inst, &quiet);
            for (class, epoch) in epochs.iter_mut().enumerate() {
                if killed & bit(class) != 0 {
                    *epoch = 1 + inst.0;
                }
            }
        }
    }
    subst.apply(func);
    remove_insts(func, &dead);
}

/// A block with one predecessor knows which way the branch there went.
fn learn_from_branch(func: &Function, cfg: &Cfg, block: Block, known: &mut Known) {
    let [edge] = &cfg.preds[block.index()] else { return };
    let Some(branch) = func.terminator(edge.from) else { return };
    if branch.op == Op::Branch && branch.targets[0].block != branch.targets[1].block {
        let went = branch.targets[0].block == block;
        known.learn(func, branch.args[0], block, went);
    }
}

/// Simplifies an instruction by what is known; true if it is to go.
fn is_redundant(
    func: &mut Function,
    cfg: &Cfg,
    block: Block,
    inst: Inst,
    epochs: &Epochs,
    known: &mut Known,
    subst: &mut Subst,
) -> bool {
    let data = func.inst(inst);
    match data.op {
        Op::GuardBound => {
            let value = data.args[0];
            return known.is_bound(cfg, value, block) || {
                known.bound.insert(value, block);
                false
            };
        }
        Op::IsNull if known.is_bound(cfg, data.args[0], block) => {
            let data = func.inst_mut(inst);
            (data.op, data.imm) = (Op::ConstBool, Imm::Int(0));
            data.args.clear();
        }
        Op::Guard | Op::GuardNot => {
            let (condition, wanted) = (data.args[0], data.op == Op::Guard);
            let truth = known.truth_of(func, cfg, condition, block);
            if truth.is_none() {
                known.learn(func, condition, block, wanted);
            }
            return truth == Some(wanted);
        }
        Op::BoolNot => {
            if let Some(truth) = known.truth_of(func, cfg, data.args[0], block) {
                let data = func.inst_mut(inst);
                (data.op, data.imm) = (Op::ConstBool, Imm::Int(i64::from(!truth)));
                data.args.clear();
            }
        }
        Op::Branch => {
            if let Some(truth) = known.truth_of(func, cfg, data.args[0], block) {
                let data = func.inst_mut(inst);
                (data.op, data.imm) = (Op::Jump, Imm::None);
                data.args.clear();
                data.targets = vec![data.targets.swap_remove(usize::from(!truth))];
            }
            return false;
        }
        _ => {}
    }
    let Some(key) = key(func, inst, epochs) else { return false };
    let data = func.inst(inst);
    if let Some((other, value)) = known.available.get(&key)
        && cfg.dominates(*other, block)
    {
        if let (Some(result), Some(value)) = (data.result, *value) {
            // It's the same object: what is known of either holds for both.
            let both = func.ty(result).intersect(func.ty(value));
            if !both.is_empty() {
                func.values[value.index()].ty = both;
            }
            subst.replace(result, value);
        }
        return true;
    }
    // What an unboxing or a test of the class got through is an object.
    let dereferences = matches!(
        data.op,
        Op::UnboxInt | Op::UnboxFloat | Op::UnboxNumber | Op::UnboxBool | Op::GuardClass | Op::LoadField | Op::LoadAt
    );
    if dereferences {
        known.bound.insert(data.args[0], block);
    }
    known.available.insert(key, (block, data.result));
    false
}
