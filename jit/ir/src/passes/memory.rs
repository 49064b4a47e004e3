//! What instructions read and change: memory is split into alias classes (fields by name, pointers in objects by offset, items of
//! arrays, ...), so that a store to one leaves what is known of the others.

use super::cfg::{Cfg, Positions};
use super::util::{Raw, constant_raw, effects};
use crate::field::Field;
use crate::function::{Function, Inst, InstData, Value, ValueDef};
use crate::helper::Helper;
use crate::op::{Effects, Imm, Op};
use crate::types::Type;
use std::collections::HashMap;

/// An alias class, by number.
pub(crate) type Class = usize;

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
/// How many there are.
pub(crate) const CLASSES: usize = VALID + 1;

fn at_class(offset: i64) -> Class {
    AT + (offset / 8).rem_euclid(AT_BUCKETS as i64) as usize
}

/// The class as a bit set.
pub(crate) fn bit(class: Class) -> u64 {
    1 << class
}

const _: () = assert!(CLASSES <= 64, "the alias classes fit a bit set");

/// What an instruction reads: the class, or none for one that reads nothing that changes. Not asked of instructions that don't read.
pub(crate) fn reads(func: &Function, inst: &InstData) -> Option<Class> {
    match (inst.op, inst.imm) {
        // An array holds items of one kind all its life.
        (Op::LoadField, Imm::Field(Field::ArrayDescriptor)) | (Op::Call, Imm::Helper(Helper::StrEqual | Helper::StrCompare)) => {
            None
        }
        (Op::Load | Op::LoadField | Op::LoadElement, Imm::Field(field)) => Some(field as usize),
        (Op::LoadAt, Imm::Int(offset)) => Some(at_class(offset)),
        (Op::LoadItem, _) => Some(ITEM),
        (Op::IsClass | Op::GuardClass, Imm::Obj(class)) => (!func.objects[class.index()].immortal).then_some(OBJECT_CLASS),
        (Op::GuardValid, _) => Some(VALID),
        _ => Some(RAW),
    }
}

/// What an instruction may change.
pub(crate) fn kills(func: &Function, inst: Inst, quiet: &[bool]) -> u64 {
    let all = (1 << CLASSES) - 1;
    let data = func.inst(inst);
    let effects = effects(data);
    match (data.op, data.imm) {
        // These write to frames only, which no instruction reads.
        (Op::Enter | Op::PushFrame | Op::SetInstruction | Op::Watch | Op::GuardUnseen, _) => 0,
        (Op::DecRef | Op::PairDrop, _) if quiet[inst.index()] => 0,
        (Op::StoreFloatInPlace | Op::StoreIntInPlace, _) if quiet[inst.index()] => {
            let slot = slot_of(func, data).map_or(all, |slot| bit(slot.class()));
            [Field::FloatValue, Field::LongTag, Field::LongDigit].iter().fold(slot, |set, field| set | bit(*field as usize))
        }
        (Op::StoreField | Op::SwapField | Op::StoreElement | Op::StoreFloatElement, Imm::Field(field)) => bit(field as usize),
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

/// A place in memory that holds a pointer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Slot {
    /// In an object, at an offset.
    At(Value, i64),
    /// In an array, at an index.
    Item(Value, Value),
}

impl Slot {
    fn class(self) -> Class {
        match self {
            Slot::At(_, offset) => at_class(offset),
            Slot::Item(..) => ITEM,
        }
    }
}

/// Where a number is stored in place, if the address says so.
fn slot_of(func: &Function, inst: &InstData) -> Option<Slot> {
    match func.def(inst.args[0])? {
        InstData { op: Op::AddressOf, args, imm: Imm::Int(offset), .. } => Some(Slot::At(args[0], *offset)),
        InstData { op: Op::WordAdd, args, .. } => {
            let offset = func.def(args[1]).filter(|offset| offset.op == Op::WordMul)?;
            let eight = constant_raw(func, offset.args[1]) == Some(Raw::Word(8));
            eight.then(|| Slot::Item(args[0], offset.args[0]))
        }
        _ => None,
    }
}

/// What is loaded from where.
fn loaded(inst: &InstData) -> Option<(Slot, Value)> {
    let slot = match (inst.op, inst.imm) {
        (Op::LoadAt, Imm::Int(offset)) => Slot::At(inst.args[0], offset),
        (Op::LoadItem, _) => Slot::Item(inst.args[0], inst.args[1]),
        _ => return None,
    };
    Some((slot, inst.result?))
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
pub(crate) fn quiet_releases(func: &Function, cfg: &Cfg) -> Vec<bool> {
    let positions = Positions::new(func, cfg);
    let unboxings = Unboxings::new(func, cfg);
    let numbers = numbers(func, cfg);
    let mut quiet = vec![false; func.insts.len()];
    // What slots hold at the end of each block, for those that have it as their only predecessor.
    let mut ends: Vec<HashMap<Slot, Value>> = vec![HashMap::new(); func.blocks.len()];
    for block in cfg.dominator_preorder() {
        let mut held = match &cfg.preds[block.index()] {
            [edge] => ends[edge.from.index()].clone(),
            _ => HashMap::new(),
        };
        for &inst in &func.blocks[block.index()].insts {
            let data = func.inst(inst);
            match data.op {
                Op::DecRef => {
                    let value = data.args[0];
                    quiet[inst.index()] = numbers[value.index()] || unboxings.before(cfg, &positions, value, inst);
                }
                Op::PairDrop => quiet[inst.index()] = numbers[data.args[0].index()],
                Op::StoreFloatInPlace | Op::StoreIntInPlace => {
                    let old = slot_of(func, data).and_then(|slot| held.get(&slot));
                    quiet[inst.index()] = old.is_some_and(|old| unboxings.before(cfg, &positions, *old, inst));
                }
                _ => {
                    if let Some((slot, value)) = loaded(data).filter(|_| held.len() < MOST_SLOTS) {
                        held.insert(slot, value);
                    }
                }
            }
            let killed = kills(func, inst, &quiet);
            if killed != 0 {
                held.retain(|slot, _| killed & bit(slot.class()) == 0);
            }
        }
        ends[block.index()] = held;
    }
    quiet
}

/// How many slots are followed at a time, which keeps the pass linear.
const MOST_SLOTS: usize = 32;

/// The objects and pairs that hold nothing but numbers, strings or null, wherever they come from.
fn numbers(func: &Function, cfg: &Cfg) -> Vec<bool> {
    let all = || (0..func.values.len() as u32).map(Value);
    let mut numbers: Vec<bool> = all()
        .map(|value| match func.values[value.index()].def {
            _ if func.ty(value).is_subtype(QUIET) => true,
            // Until something else is passed.
            ValueDef::Param(block, _) => block != Function::ENTRY,
            ValueDef::Inst(inst) => match func.inst(inst).op {
                Op::PairFromInt | Op::PairFromFloat => true,
                Op::PairFromObject => func.ty(func.inst(inst).args[0]).is_subtype(QUIET),
                _ => false,
            },
        })
        .collect();
    let mut work: Vec<Value> = all().filter(|value| !numbers[value.index()]).collect();
    let mut passed: HashMap<Value, Vec<Value>> = HashMap::new();
    for block in &cfg.rpo {
        for call in func.terminator(*block).into_iter().flat_map(|jump| &jump.targets) {
            for (arg, param) in call.args.iter().zip(&func.blocks[call.block.index()].params) {
                passed.entry(*arg).or_default().push(*param);
            }
        }
    }
    while let Some(value) = work.pop() {
        for param in passed.get(&value).into_iter().flatten() {
            if !func.ty(*param).is_subtype(QUIET) && std::mem::replace(&mut numbers[param.index()], false) {
                work.push(*param);
            }
        }
    }
    numbers
}
