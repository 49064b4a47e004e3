//! Checked arithmetic of which only the low bits matter becomes wrapping arithmetic.
//!
//! `x * y & mask`, with a constant mask that isn't negative, depends on the low 63 bits of the product alone, and those are the same
//! whether it overflows 64 bits or not: two's complement arithmetic is arithmetic modulo 2**64. The same holds through any chain of
//! additions, subtractions, multiplications, shifts to the left and bitwise operations that ends in such masks, as long as nothing else
//! (a comparison, a box) sees a value of the chain. Hash functions and random number generators are made of this.
//!
//! Frame states between the chain's beginning and its end name its values. Where all instructions from the beginning on only compute and
//! test, an exit starts again at the beginning instead, and the interpreter computes the exact values.

use super::cfg::{Cfg, Positions};
use super::util::{Use, Uses, effects};
use crate::builder::make_inst;
use crate::function::{Function, Inst, Value, ValueDef};
use crate::op::{Effects, Imm, Op};
use std::collections::HashMap;

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
    let positions = Positions::new(func, &cfg);
    // Where an instruction that may leave starts again: with the earliest one whose result its own frame would show.
    let mut restarts: HashMap<Inst, (u32, Inst)> = HashMap::new();
    let mut wrapping = Vec::new();
    for value in candidates {
        let ValueDef::Inst(inst) = func.values[value.index()].def else { continue };
        let Some(seen) = low_bits_only(func, &uses, value) else { continue };
        let Some(index) = restart(func, &positions, inst, &seen) else { continue };
        wrapping.push(inst);
        for user in seen {
            let first = restarts.entry(user).or_insert((index, inst));
            if index < first.0 {
                *first = (index, inst);
            }
        }
    }
    let states: Vec<_> = restarts.iter().map(|(user, (_, first))| (*user, func.inst(*first).state)).collect();
    for (user, state) in states {
        func.inst_mut(user).state = state;
    }
    for inst in wrapping {
        let Some(op) = checked(func.inst(inst).op) else { continue };
        // The word is computed by a new instruction before the old one, which turns into its conversion.
        let (args, state) = (func.inst(inst).args.clone(), func.inst(inst).state);
        let state = state.filter(|_| op.info().effects.has(Effects::EXITS));
        let word = make_inst(func, op, args, Imm::None, state, Vec::new());
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
        Op::IntShl => Some(Op::WordShl),
        _ => None,
    }
}

/// Chains longer than this stay checked.
const MAX_CHAIN: usize = 32;

/// The instructions whose frame states name a value of the chain that starts here, if every other use looks at low 63 bits alone.
fn low_bits_only(func: &Function, uses: &Uses, start: Value) -> Option<Vec<Inst>> {
    let (mut chain, mut seen) = (vec![start], Vec::new());
    let mut next = 0;
    while let Some(&value) = chain.get(next) {
        next += 1;
        if uses.of(value).is_empty() || next > MAX_CHAIN {
            return None;
        }
        for used in uses.of(value) {
            let (inst, position) = match *used {
                Use::Arg(inst, position) => (func.inst(inst), position),
                Use::State(inst, _) => {
                    seen.push(inst);
                    continue;
                }
                Use::Target(..) | Use::Drop(..) => return None,
            };
            let result = inst.result?;
            let goes_on = match inst.op {
                Op::IntAnd => !inst.args.iter().any(|arg| mask(func, *arg)),
                Op::IntAdd | Op::IntSub | Op::IntMul | Op::IntOr | Op::IntXor | Op::IntInvert => true,
                // What is shifted matters as far as the result does; the count matters whole.
                Op::IntShl if position == 0 => true,
                _ => return None,
            };
            if goes_on && !chain.contains(&result) {
                chain.push(result);
            }
        }
    }
    Some(seen)
}

/// The position of the chain's first instruction in its block, if instructions that show the chain may start again there: when nothing
/// is done from there on but computing and testing.
fn restart(func: &Function, positions: &Positions, first: Inst, seen: &[Inst]) -> Option<u32> {
    let (block, index) = positions.get(first)?;
    let mut last = index;
    for inst in seen {
        let (place, position) = positions.get(*inst)?;
        if place != block || position <= index {
            return None;
        }
        last = last.max(position);
    }
    let harmless = |inst: &Inst| {
        let data = func.inst(*inst);
        let owned = data.result.is_some_and(|result| func.values[result.index()].owned);
        !owned && !effects(data).any(HARMFUL)
    };
    let between = &func.blocks[block.index()].insts[index as usize..=last as usize];
    (last == index || func.inst(first).state.is_some() && between.iter().all(harmless)).then_some(index)
}

/// What must not be done twice, and what changes who owns what.
const HARMFUL: Effects = Effects::WRITES
    .and(Effects::CALLS)
    .and(Effects::ALLOCATES)
    .and(Effects::COUNTS)
    .and(Effects::RAISES)
    .and(Effects::TERMINATES);

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

    const ROTATE: &str = r#"
function "rotate" entry, locals 2, stack 4, traceable 0 {
  b0(v0: CInt borrowed, v1: CInt borrowed):
    enter ! s0
    v2 = int_shl v0, v1 ! s1
    v3 = const_int 32
    v4 = int_sub v3, v1 ! s2
    v5 = int_shr v0, v4 ! s3
    v6 = int_or v2, v5
    guard_valid ! s4
    v7 = const_int 4294967295
    v8 = int_and v6, v7
    return_int v8
  s0 = @0 locals [v0, v1] stack [] drops []
  s1 = @3 locals [v0, v1] stack [v0, v1] drops []
  s2 = @12 locals [v0, v1] stack [v2, v3, v1] drops []
  s3 = @18 locals [v0, v1] stack [v2, v0, v4] drops []
  s4 = @30 locals [v0, v1] stack [v6] drops []
}
"#;

    #[test]
    fn exits_that_would_show_the_chain_start_again_at_its_beginning() {
        let text = after(super::run, ROTATE);
        assert_eq!((count(&text, "word_shl"), count(&text, "int_shl")), (1, 0), "{text}");
        assert_eq!(text.matches("! s1").count(), 4, "{text}");
        // After an effect there is no going back.
        let text = after(super::run, &ROTATE.replace("guard_valid ! s4", "poll ! s4"));
        assert_eq!((count(&text, "word_shl"), count(&text, "int_shl")), (0, 1), "{text}");
    }

    #[test]
    fn what_a_mask_cuts_off_may_overflow() {
        let text = after(super::run, HASH);
        assert_eq!((count(&text, "word_mul"), count(&text, "word_add")), (1, 1), "{text}");
        // A negative mask keeps the high bits; a result that is returned is seen whole.
        assert_eq!((count(&text, "int_mul"), count(&text, "int_add")), (1, 1), "{text}");
    }
}
