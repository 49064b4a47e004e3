//! Global value numbering: an instruction that repeats a dominating one goes, guards included.
//!
//! # Memory
//!
//! Memory is split into alias classes (fields by name, pointers in objects by offset, items of arrays, ...). For each class every point of the program has an *epoch*: the last
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

use super::cfg::{Cfg, Positions};
use super::util::{Raw, Subst, constant_raw, effects, remove_insts};
use crate::field::Field;
use crate::function::{Block, Function, Inst, InstData, Value};
use crate::helper::Helper;
use crate::op::{Effects, Imm, Op};
use crate::types::Type;
use std::collections::HashMap;

/// An alias class, by number.
type Class = usize;

const FIELDS: usize = Field::ALL.len();
/// Pointers in objects, by offset.
const AT: usize = FIELDS;
const AT_BUCKETS: usize = 16;
/// Items of arrays.
const ITEM: usize = AT + AT_BUCKETS;
/// Bytes and words at addresses: flags, tables and versions of CPython's, which only calls and helpers change.
const RAW: usize = ITEM + 1;
/// The classes of objects.
const OBJECT_CLASS: usize = RAW + 1;
/// Whether assumptions hold.
const VALID: usize = OBJECT_CLASS + 1;
const CLASSES: usize = VALID + 1;

fn at_class(offset: i64) -> Class {
    AT + (offset / 8).rem_euclid(AT_BUCKETS as i64) as usize
}

/// The class as a bit set.
fn bit(class: Class) -> u64 {
    1 << class
}

const _: () = assert!(CLASSES <= 64, "the alias classes fit a bit set");

/// What an instruction reads: the class, or none for one that reads nothing that changes. Not asked of instructions that don't read.
fn reads(func: &Function, inst: &InstData) -> Option<Class> {
    match (inst.op, inst.imm) {
        (Op::Load | Op::LoadField, Imm::Field(field)) => Some(field as usize),
        (Op::LoadAt, Imm::Int(offset)) => Some(at_class(offset)),
        (Op::LoadItem, _) => Some(ITEM),
        (Op::IsClass | Op::GuardClass, Imm::Obj(class)) => (!func.objects[class.index()].immortal).then_some(OBJECT_CLASS),
        (Op::GuardValid, _) => Some(VALID),
        (Op::Call, Imm::Helper(Helper::StrEqual | Helper::StrCompare)) => None,
        _ => Some(RAW),
    }
}

/// What an instruction may change.
fn kills(func: &Function, inst: Inst, quiet: &[bool]) -> u64 {
    let all = (1 << CLASSES) - 1;
    let data = func.inst(inst);
    let effects = effects(data);
    match (data.op, data.imm) {
        // These write to frames only, which no instruction reads.
        (Op::Enter | Op::PushFrame | Op::SetInstruction | Op::Watch | Op::GuardUnseen, _) => 0,
        (Op::DecRef | Op::PairDrop, _) if quiet[inst.index()] => 0,
        (Op::StoreFloatInPlace | Op::StoreIntInPlace, _) if quiet[inst.index()] => {
            let slot = slot_of(func, data).map_or(all, |(_, offset)| bit(at_class(offset)));
            [Field::FloatValue, Field::LongTag, Field::LongDigit].iter().fold(slot, |set, field| set | bit(*field as usize))
        }
        (Op::StoreField | Op::SwapField, Imm::Field(field)) => bit(field as usize),
        (Op::StoreAt | Op::SwapAt, Imm::Int(offset)) => bit(at_class(offset)),
        (Op::StoreItem | Op::SwapItem, _) => bit(ITEM),
        _ if effects.any(Effects::CALLS) => all,
        _ if effects.any(Effects::WRITES) => all & !bit(OBJECT_CLASS) & !bit(VALID),
        _ => 0,
    }
}

/// Objects whose release runs no code and touches no other object that is read.
const QUIET: Type = Type::NULL
    .union(Type::NONE)
    .union(Type::BOOL)
    .union(Type::INT)
    .union(Type::FLOAT)
    .union(Type::STR)
    .union(Type::BYTES)
    .union(Type::RANGE_ITER);

/// Where a number is stored in place: the object and the offset, if the address says so.
fn slot_of(func: &Function, inst: &InstData) -> Option<(Value, i64)> {
    match func.def(inst.args[0])? {
        InstData { op: Op::AddressOf, args, imm: Imm::Int(offset), .. } => Some((args[0], *offset)),
        _ => None,
    }
}

/// The instructions that unbox each value, not more than a few.
struct Unboxings(HashMap<Value, Vec<Inst>>);

impl Unboxings {
    fn new(func: &Function, cfg: &Cfg) -> Unboxings {
        let mut all: HashMap<Value, Vec<Inst>> = HashMap::new();
        for inst in cfg.rpo.iter().flat_map(|block| &func.blocks[block.index()].insts) {
            let data = func.inst(*inst);
            if matches!(data.op, Op::UnboxInt | Op::UnboxFloat | Op::UnboxNumber | Op::UnboxBool) {
                let known = all.entry(data.args[0]).or_default();
                if known.len() < 8 {
                    known.push(*inst);
                }
            }
        }
        Unboxings(all)
    }

    /// Whether the value has been unboxed wherever the instruction is executed: then it's a number.
    fn before(&self, cfg: &Cfg, positions: &Positions, value: Value, inst: Inst) -> bool {
        self.0.get(&value).is_some_and(|known| known.iter().any(|unbox| positions.strictly_before(cfg, *unbox, inst)))
    }
}

/// Marks the instructions that give up references without running code: `dec_ref` of numbers and strings and of what a
/// dominating instruction has unboxed, and stores in place where the slot holds such a number.
fn quiet_releases(func: &Function, cfg: &Cfg) -> Vec<bool> {
    let positions = Positions::new(func, cfg);
    let unboxings = Unboxings::new(func, cfg);
    let numbers = pairs_of_numbers(func, cfg);
    let mut quiet = vec![false; func.insts.len()];
    // What slots hold at the end of each block, for those that have it as their only predecessor.
    let mut ends: Vec<HashMap<(Value, i64), Value>> = vec![HashMap::new(); func.blocks.len()];
    for block in cfg.dominator_preorder() {
        let mut held = match cfg.preds[block.index()].as_slice() {
            [edge] => ends[edge.from.index()].clone(),
            _ => HashMap::new(),
        };
        for &inst in &func.blocks[block.index()].insts {
            let data = func.inst(inst);
            match (data.op, data.imm) {
                (Op::DecRef, _) => {
                    let value = data.args[0];
                    quiet[inst.index()] = func.ty(value).is_subtype(QUIET) || unboxings.before(cfg, &positions, value, inst);
                }
                (Op::PairDrop, _) => quiet[inst.index()] = numbers[data.args[0].index()],
                (Op::StoreFloatInPlace | Op::StoreIntInPlace, _) => {
                    let old = slot_of(func, data).and_then(|slot| held.get(&slot));
                    quiet[inst.index()] = old.is_some_and(|old| unboxings.before(cfg, &positions, *old, inst));
                }
                (Op::LoadAt, Imm::Int(offset)) if held.len() < MOST_SLOTS => {
                    if let Some(result) = data.result {
                        held.insert((data.args[0], offset), result);
                    }
                }
                _ => {}
            }
            let killed = kills(func, inst, &quiet);
            if killed != 0 {
                held.retain(|(_, offset), _| killed & bit(at_class(*offset)) == 0);
            }
        }
        ends[block.index()] = held;
    }
    quiet
}

/// How many slots are followed at a time, which keeps the pass linear.
const MOST_SLOTS: usize = 32;

/// The pairs that hold nothing but unboxed numbers or null.
fn pairs_of_numbers(func: &Function, cfg: &Cfg) -> Vec<bool> {
    let holds_none = |value: Value| {
        func.def(value).is_none_or(|def| match def.op {
            Op::PairFromInt | Op::PairFromFloat => true,
            Op::PairFromObject => func.ty(def.args[0]) == Type::NULL,
            _ => false,
        })
    };
    let mut numbers: Vec<bool> =
        (0..func.values.len() as u32).map(Value).map(|value| func.ty(value) == Type::PAIR && holds_none(value)).collect();
    let mut work: Vec<Value> = (0..func.values.len() as u32)
        .map(Value)
        .filter(|value| func.ty(*value) == Type::PAIR && !numbers[value.index()])
        .collect();
    let mut passed: HashMap<Value, Vec<Value>> = HashMap::new();
    for block in &cfg.rpo {
        for call in func.terminator(*block).into_iter().flat_map(|jump| &jump.targets) {
            for (arg, param) in call.args.iter().zip(&func.blocks[call.block.index()].params) {
                if func.ty(*param) == Type::PAIR {
                    passed.entry(*arg).or_default().push(*param);
                }
            }
        }
    }
    while let Some(value) = work.pop() {
        for param in passed.get(&value).into_iter().flatten() {
            if std::mem::replace(&mut numbers[param.index()], false) {
                work.push(*param);
            }
        }
    }
    numbers
}

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
        (Op::PairToInt | Op::PairToFloat, _)
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
    let [edge] = cfg.preds[block.index()].as_slice() else { return };
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
