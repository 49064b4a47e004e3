//! Checked arithmetic of which only the low bits matter becomes wrapping arithmetic.
//!
//! `x * y & mask`, with a constant mask that isn't negative, depends on the low 63 bits of the product alone, and those are the same
//! whether it overflows 64 bits or not: two's complement arithmetic is arithmetic modulo 2**64. The same holds through any chain of
//! additions, subtractions, multiplications and bitwise operations that ends in such masks, as long as nothing else (a frame state,
//! a comparison, a box) sees a value of the chain. Hash functions and random number generators are made of this.

use super::cfg::Cfg;
use super::util::{Use, Uses};
use crate::builder::make_inst;
use crate::function::{Function, Value, ValueDef};
use crate::op::{Imm, Op};

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let candidates: Vec<Value> = (0..func.values.len() as u32)
        .map(Value)
        .filter(|value| func.def(*value).is_some_and(|inst| inst.result == Some(*value) && checked(inst.op).is_some()))
        .collect();
    if candidates.is_empty() {
        return;
    }
    let cfg = Cfg::new(func);
    let uses = Uses::new(func, &cfg);
    let mut known: Vec<Option<bool>> = vec![None; func.values.len()];
    let wrapping: Vec<Value> = candidates.into_iter().filter(|value| low_bits_only(func, &uses, *value, &mut known, 0)).collect();
    for value in wrapping {
        let ValueDef::Inst(inst) = func.values[value.index()].def else { continue };
        let Some(op) = checked(func.inst(inst).op) else { continue };
        // The word is computed by a new instruction before the old one, which turns into its conversion.
        let args = func.inst(inst).args.clone();
        let word = make_inst(func, op, args, Imm::None, None, Vec::new());
        let Some(result) = func.inst(word).result else { continue };
        let data = func.inst_mut(inst);
        (data.op, data.args, data.state) = (Op::WordToInt, vec![result], None);
        for block in &mut func.blocks {
            if let Some(position) = block.insts.iter().position(|known| *known == inst) {
                block.insts.insert(position, word);
                break;
            }
        }
    }
}

/// The wrapping operation for a checked one.
const fn checked(op: Op) -> Option<Op> {
    match op {
        Op::IntAdd => Some(Op::WordAdd),
        Op::IntSub => Some(Op::WordSub),
        Op::IntMul => Some(Op::WordMul),
        _ => None,
    }
}

/// Chains longer than this stay checked.
const MAX_CHAIN: u32 = 32;

/// Whether every use of a value looks at its low 63 bits alone.
fn low_bits_only(func: &Function, uses: &Uses, value: Value, known: &mut [Option<bool>], depth: u32) -> bool {
    if let Some(known) = known[value.index()] {
        return known;
    }
    let list = uses.of(value);
    let answer = depth < MAX_CHAIN
        && !list.is_empty()
        && list.iter().all(|used| {
            let Use::Arg(inst, _) = *used else { return false };
            let inst = func.inst(inst);
            let Some(result) = inst.result else { return false };
            match inst.op {
                Op::IntAnd => inst.args.iter().any(|arg| mask(func, *arg)) || low_bits_only(func, uses, result, known, depth + 1),
                Op::IntAdd | Op::IntSub | Op::IntMul | Op::IntOr | Op::IntXor | Op::IntInvert => {
                    low_bits_only(func, uses, result, known, depth + 1)
                }
                _ => false,
            }
        });
    known[value.index()] = Some(answer);
    answer
}

/// Whether a value is a constant that isn't negative.
fn mask(func: &Function, value: Value) -> bool {
    matches!(func.def(value), Some(inst) if inst.op == Op::ConstInt && matches!(inst.imm, Imm::Int(number) if number >= 0))
}

#[cfg(test)]
mod tests {
    use crate::passes::tests::{after, count};

    const HASH: &str = r#"
function "hash" entry, locals 2, stack 3, traceable 0 {
  b0(v0: CInt borrowed, v1: CInt borrowed):
    enter ! s0
    v2 = int_mul v0, v1 ! s0
    v3 = const_int 5
    v4 = int_add v2, v3 ! s0
    v5 = const_int 4294967295
    v6 = int_and v4, v5
    v7 = int_mul v0, v1 ! s0
    v8 = const_int -1
    v9 = int_and v7, v8
    v10 = int_add v6, v9 ! s0
    return_int v10
  s0 = @0 locals [v0, v1] stack [] drops []
}
"#;

    #[test]
    fn what_a_mask_cuts_off_may_overflow() {
        let text = after(super::run, HASH);
        assert_eq!((count(&text, "word_mul"), count(&text, "word_add")), (1, 1), "{text}");
        // A negative mask keeps the high bits; a result that is returned is seen whole.
        assert_eq!((count(&text, "int_mul"), count(&text, "int_add")), (1, 1), "{text}");
    }
}
