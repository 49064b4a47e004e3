//! Folds what is known when compiling: constants, conversions that cancel, guards that can't fail.
//!
//! Integer operations fold only where they wouldn't leave; floats fold as the machine computes them, so that results are
//! the same bit for bit.

use super::cfg::Cfg;
use super::util::{Raw, Subst, constant_object, constant_raw, remove_insts, unchecked_type};
use crate::function::{Function, Inst, Value};
use crate::interp::arith;
use crate::op::{Cond, Imm, Op};
use crate::types::{Constant, Type};

/// What becomes of an instruction.
enum Change {
    /// Its result is this value.
    Value(Value),
    /// Its result is this constant.
    Raw(Raw),
    /// It's another operation on these operands; the state stays if the flag says so.
    Op(Op, Vec<Value>, Imm, bool),
    /// It can't fail and goes.
    Remove,
    /// A branch always goes to this successor.
    Jump(usize),
    /// A branch tests this value instead, with its successors swapped.
    Swap(Value),
}

/// The largest integer up to which doubles represent all.
const EXACT: u64 = 1 << 53;

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let cfg = Cfg::new(func);
    let mut subst = Subst::default();
    let mut dead = vec![false; func.insts.len()];
    for &block in &cfg.rpo {
        for index in 0..func.blocks[block.index()].insts.len() {
            let inst = func.blocks[block.index()].insts[index];
            subst.apply_to(func.inst_mut(inst));
            // One change may make way for another (a branch on `not` of a constant).
            while let Some(change) = simplify(func, inst) {
                if apply(func, inst, change, &mut subst, &mut dead) {
                    break;
                }
            }
        }
    }
    subst.apply(func);
    remove_insts(func, &dead);
}

/// Makes the change; true if the instruction is gone or final.
fn apply(func: &mut Function, inst: Inst, change: Change, subst: &mut Subst, dead: &mut [bool]) -> bool {
    match change {
        Change::Value(value) => {
            if let Some(result) = func.inst(inst).result {
                subst.replace(result, value);
            }
            dead[inst.index()] = true;
            true
        }
        Change::Raw(raw) => {
            let (op, imm) = match raw {
                Raw::Int(number) => (Op::ConstInt, Imm::Int(number)),
                Raw::Word(number) => (Op::ConstWord, Imm::Int(number)),
                Raw::Float(number) => (Op::ConstFloat, Imm::Float(number)),
                Raw::Bool(truth) => (Op::ConstBool, Imm::Int(i64::from(truth))),
            };
            let data = func.inst_mut(inst);
            (data.op, data.imm, data.state) = (op, imm, None);
            data.args.clear();
            true
        }
        Change::Op(op, args, imm, keep_state) => {
            let data = func.inst_mut(inst);
            (data.op, data.args, data.imm) = (op, args, imm);
            if !keep_state {
                data.state = None;
            }
            false
        }
        Change::Remove => {
            dead[inst.index()] = true;
            true
        }
        Change::Jump(target) => {
            let data = func.inst_mut(inst);
            (data.op, data.imm) = (Op::Jump, Imm::None);
            data.args.clear();
            data.targets = vec![data.targets.swap_remove(target)];
            true
        }
        Change::Swap(condition) => {
            let data = func.inst_mut(inst);
            data.args[0] = condition;
            data.targets.swap(0, 1);
            false
        }
    }
}

fn simplify(func: &Function, inst: Inst) -> Option<Change> {
    let data = func.inst(inst);
    let raw = |position: usize| constant_raw(func, data.args[position]);
    let int = |position: usize| match raw(position) {
        Some(Raw::Int(number)) => Some(number),
        _ => None,
    };
    match data.op {
        Op::UnboxInt | Op::UnboxFloat | Op::UnboxBool | Op::UnboxNumber => unbox(func, data.op, data.args[0]),
        Op::IntAdd | Op::IntSub | Op::IntMul | Op::IntFloorDiv | Op::IntMod | Op::IntShl | Op::IntShr => {
            let (a, b) = (int(0), int(1));
            if let (Some(a), Some(b)) = (a, b) {
                return int_binary(data.op, a, b).map(|number| Change::Raw(Raw::Int(number)));
            }
            match (data.op, a, b) {
                (Op::IntAdd, Some(0), _) | (Op::IntMul, Some(1), _) => Some(Change::Value(data.args[1])),
                (Op::IntAdd | Op::IntSub | Op::IntShl | Op::IntShr, _, Some(0)) | (Op::IntMul | Op::IntFloorDiv, _, Some(1)) => {
                    Some(Change::Value(data.args[0]))
                }
                (Op::IntMul, Some(0), _) | (Op::IntMul, _, Some(0)) | (Op::IntMod, _, Some(1)) => Some(Change::Raw(Raw::Int(0))),
                _ => None,
            }
        }
        Op::IntAnd | Op::IntOr | Op::IntXor => int_bits(data.op, &data.args, int(0), int(1)),
        Op::IntNeg => arith::int_neg(int(0)?).ok().map(|number| Change::Raw(Raw::Int(number))),
        Op::IntInvert => int(0).map(|number| Change::Raw(Raw::Int(!number))),
        Op::IntToFloat => arith::int_to_float(int(0)?).ok().map(|number| Change::Raw(Raw::Float(number))),
        Op::IntCmp => {
            let Imm::Cond(cond) = data.imm else { return None };
            if data.args[0] == data.args[1] {
                return Some(Change::Raw(Raw::Bool(matches!(cond, Cond::Le | Cond::Ge | Cond::Eq))));
            }
            let number = |raw| match raw {
                Some(Raw::Int(number) | Raw::Word(number)) => Some(number),
                _ => None,
            };
            Some(Change::Raw(Raw::Bool(arith::int_cmp(cond, number(raw(0))?, number(raw(1))?))))
        }
        Op::WordToInt => match raw(0) {
            Some(Raw::Int(number) | Raw::Word(number)) => Some(Change::Raw(Raw::Int(number))),
            _ => (func.ty(data.args[0]) == Type::C_INT).then(|| Change::Value(data.args[0])),
        },
        Op::WordAdd | Op::WordSub | Op::WordMul => {
            let number = |raw| match raw {
                Some(Raw::Int(number) | Raw::Word(number)) => Some(number),
                _ => None,
            };
            let (a, b) = (number(raw(0)), number(raw(1)));
            match (data.op, a, b) {
                (Op::WordAdd, Some(a), Some(b)) => Some(Change::Raw(Raw::Word(a.wrapping_add(b)))),
                (Op::WordSub, Some(a), Some(b)) => Some(Change::Raw(Raw::Word(a.wrapping_sub(b)))),
                (Op::WordMul, Some(a), Some(b)) => Some(Change::Raw(Raw::Word(a.wrapping_mul(b)))),
                (Op::WordAdd | Op::WordSub, _, Some(0)) | (Op::WordMul, _, Some(1)) if func.ty(data.args[0]) == Type::C_WORD => {
                    Some(Change::Value(data.args[0]))
                }
                _ => None,
            }
        }
        Op::FloatAdd | Op::FloatSub | Op::FloatMul | Op::FloatDiv | Op::FloatNeg | Op::FloatAbs | Op::FloatCmp => {
            let operand = |position: usize| match raw(position) {
                Some(Raw::Float(number)) => Some(number),
                _ => None,
            };
            let a = operand(0)?;
            let b = if data.args.len() > 1 { operand(1)? } else { 0.0 };
            Some(Change::Raw(match (data.op, data.imm) {
                (Op::FloatAdd, _) => Raw::Float(a + b),
                (Op::FloatSub, _) => Raw::Float(a - b),
                (Op::FloatMul, _) => Raw::Float(a * b),
                (Op::FloatDiv, _) => Raw::Float(arith::float_div(a, b).ok()?),
                (Op::FloatNeg, _) => Raw::Float(-a),
                (Op::FloatAbs, _) => Raw::Float(a.abs()),
                (Op::FloatCmp, Imm::Cond(cond)) => Raw::Bool(arith::float_cmp(cond, a, b)),
                _ => return None,
            }))
        }
        Op::BoolNot => bool_not(func, data.args[0]),
        Op::BoolToInt => match raw(0)? {
            Raw::Bool(truth) => Some(Change::Raw(Raw::Int(i64::from(truth)))),
            _ => None,
        },
        Op::IsSame => is_same(func, data.args[0], data.args[1]),
        Op::IsNull => {
            let ty = unchecked_type(func, data.args[0]);
            if ty == Type::NULL {
                Some(Change::Raw(Raw::Bool(true)))
            } else if ty.may_be_null() {
                None
            } else {
                Some(Change::Raw(Raw::Bool(false)))
            }
        }
        Op::GuardBound => (!unchecked_type(func, data.args[0]).may_be_null()).then_some(Change::Remove),
        Op::GuardIs => match func.def(data.args[0]) {
            Some(def) if def.op == Op::ConstObj && def.imm == data.imm => Some(Change::Remove),
            _ => None,
        },
        Op::Guard | Op::GuardNot => {
            if let Some(Raw::Bool(truth)) = raw(0) {
                return (truth == (data.op == Op::Guard)).then_some(Change::Remove);
            }
            let def = func.def(data.args[0])?;
            (def.op == Op::BoolNot).then(|| {
                let op = if data.op == Op::Guard { Op::GuardNot } else { Op::Guard };
                Change::Op(op, def.args.clone(), data.imm, true)
            })
        }
        Op::PairToInt | Op::PairToFloat | Op::PairFailed | Op::PairDrop => {
            let def = func.def(data.args[0])?;
            match (data.op, def.op) {
                (Op::PairToInt, Op::PairFromInt) | (Op::PairToFloat, Op::PairFromFloat) => Some(Change::Value(def.args[0])),
                (Op::PairFailed, Op::PairFromInt | Op::PairFromFloat) => Some(Change::Raw(Raw::Bool(false))),
                (Op::PairDrop, Op::PairFromInt | Op::PairFromFloat) => Some(Change::Remove),
                _ => None,
            }
        }
        Op::Branch => {
            if let Some(Raw::Bool(truth)) = raw(0) {
                return Some(Change::Jump(usize::from(!truth)));
            }
            if data.targets[0] == data.targets[1] {
                return Some(Change::Jump(0));
            }
            func.def(data.args[0]).filter(|def| def.op == Op::BoolNot).map(|def| Change::Swap(def.args[0]))
        }
        _ => None,
    }
}

fn unbox(func: &Function, op: Op, arg: Value) -> Option<Change> {
    if let Some(constant) = constant_object(func, arg) {
        return Some(Change::Raw(match (op, constant) {
            (Op::UnboxInt, Constant::Int(number)) => Raw::Int(number),
            (Op::UnboxFloat | Op::UnboxNumber, Constant::Float(number)) => Raw::Float(number),
            (Op::UnboxNumber, Constant::Int(number)) if number.unsigned_abs() <= EXACT => Raw::Float(number as f64),
            (Op::UnboxBool, Constant::Bool(truth)) => Raw::Bool(truth),
            _ => return None,
        }));
    }
    let def = func.def(arg)?;
    match (op, def.op) {
        (Op::UnboxInt, Op::BoxInt) | (Op::UnboxFloat | Op::UnboxNumber, Op::BoxFloat) | (Op::UnboxBool, Op::BoxBool) => {
            Some(Change::Value(def.args[0]))
        }
        (Op::UnboxNumber, Op::BoxInt) => Some(Change::Op(Op::IntToFloat, def.args.clone(), Imm::None, true)),
        _ => None,
    }
}

/// What the instruction computes, where it wouldn't leave.
fn int_binary(op: Op, a: i64, b: i64) -> Option<i64> {
    match op {
        Op::IntAdd => arith::int_add(a, b),
        Op::IntSub => arith::int_sub(a, b),
        Op::IntMul => arith::int_mul(a, b),
        Op::IntFloorDiv => arith::int_floor_div(a, b),
        Op::IntMod => arith::int_mod(a, b),
        Op::IntShl => arith::int_shl(a, b),
        Op::IntShr => arith::int_shr(a, b),
        _ => return None,
    }
    .ok()
}

fn int_bits(op: Op, args: &[Value], a: Option<i64>, b: Option<i64>) -> Option<Change> {
    if let (Some(a), Some(b)) = (a, b) {
        return Some(Change::Raw(Raw::Int(match op {
            Op::IntAnd => a & b,
            Op::IntOr => a | b,
            _ => a ^ b,
        })));
    }
    match (op, a, b) {
        (Op::IntAnd | Op::IntOr, ..) if args[0] == args[1] => Some(Change::Value(args[0])),
        (Op::IntXor, ..) if args[0] == args[1] => Some(Change::Raw(Raw::Int(0))),
        (Op::IntOr | Op::IntXor, Some(0), _) | (Op::IntAnd, Some(-1), _) => Some(Change::Value(args[1])),
        (Op::IntOr | Op::IntXor, _, Some(0)) | (Op::IntAnd, _, Some(-1)) => Some(Change::Value(args[0])),
        (Op::IntAnd, Some(0), _) | (Op::IntAnd, _, Some(0)) => Some(Change::Raw(Raw::Int(0))),
        _ => None,
    }
}

fn bool_not(func: &Function, arg: Value) -> Option<Change> {
    if let Some(Raw::Bool(truth)) = constant_raw(func, arg) {
        return Some(Change::Raw(Raw::Bool(!truth)));
    }
    let def = func.def(arg)?;
    match (def.op, def.imm) {
        (Op::BoolNot, _) => Some(Change::Value(def.args[0])),
        (Op::IntCmp, Imm::Cond(cond)) => {
            let inverse = match cond {
                Cond::Lt => Cond::Ge,
                Cond::Le => Cond::Gt,
                Cond::Eq => Cond::Ne,
                Cond::Ne => Cond::Eq,
                Cond::Gt => Cond::Le,
                Cond::Ge => Cond::Lt,
                Cond::Below => return None,
            };
            Some(Change::Op(Op::IntCmp, def.args.clone(), Imm::Cond(inverse), false))
        }
        // With a NaN, `not a < b` isn't `a >= b`; only equality has an inverse.
        (Op::FloatCmp, Imm::Cond(cond @ (Cond::Eq | Cond::Ne))) => {
            let inverse = if cond == Cond::Eq { Cond::Ne } else { Cond::Eq };
            Some(Change::Op(Op::FloatCmp, def.args.clone(), Imm::Cond(inverse), false))
        }
        _ => None,
    }
}

fn is_same(func: &Function, a: Value, b: Value) -> Option<Change> {
    if a == b {
        return Some(Change::Raw(Raw::Bool(true)));
    }
    if unchecked_type(func, a).intersect(unchecked_type(func, b)).is_empty() {
        return Some(Change::Raw(Raw::Bool(false)));
    }
    let (def_a, def_b) = (func.def(a), func.def(b));
    if let (Some(def_a), Some(def_b)) = (def_a, def_b)
        && def_a.op == Op::ConstObj
        && def_b.op == Op::ConstObj
    {
        return Some(Change::Raw(Raw::Bool(def_a.imm == def_b.imm)));
    }
    for (def, other) in [(def_a, b), (def_b, a)] {
        if let (Some(def), Some(Constant::Bool(truth))) = (def, constant_object(func, other))
            && def.op == Op::BoxBool
        {
            return Some(if truth {
                Change::Value(def.args[0])
            } else {
                Change::Op(Op::BoolNot, def.args.clone(), Imm::None, false)
            });
        }
    }
    None
}
