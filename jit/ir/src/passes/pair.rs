//! Takes the result of a direct call apart unboxed: `pair_to_object` whose object is only unboxed becomes `pair_to_int` or
//! `pair_to_float`.
//!
//! Let `r = pair_to_object p` and let `u` be an unboxing of `r`. The conversion moves to `u`. Before it, frame states hold the
//! pair in place of `r`; after it, the unboxed value. Counts of `r` come after `u` and vanish, since a pair that held a number has no
//! unit. A state that can be reached both ways may hold the pair: the exit makes the same object of it.

use super::cfg::{Cfg, Positions};
use super::util::{Subst, Use, Uses, remove_insts};
use crate::function::{Function, Inst, Ownership, Slot, Value};
use crate::op::{Imm, Op};

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let cfg = Cfg::new(func);
    let calls: Vec<Inst> = cfg
        .rpo
        .iter()
        .flat_map(|block| &func.blocks[block.index()].insts)
        .copied()
        .filter(|inst| func.inst(*inst).op == Op::PairToObject)
        .collect();
    if calls.is_empty() {
        return;
    }
    let uses = Uses::new(func, &cfg);
    let positions = Positions::new(func, &cfg);
    let mut subst = Subst::default();
    let mut dead = vec![false; func.insts.len()];
    for conversion in calls {
        let pair = func.inst(conversion).args[0];
        let object = func.inst(conversion).result.expect("a conversion has a result");
        if let Some(unboxing) = candidate(func, &cfg, &uses, &positions, object) {
            convert(func, &cfg, &uses, &positions, (pair, object, unboxing), &mut subst, &mut dead);
            dead[conversion.index()] = true;
        }
    }
    subst.apply(func);
    remove_insts(func, &dead);
}

/// The unboxing that comes before all counts and other unboxings, if nothing else wants the object.
fn candidate(func: &Function, cfg: &Cfg, uses: &Uses, positions: &Positions, object: Value) -> Option<Inst> {
    let first = uses.of(object).iter().find_map(|usage| match usage {
        Use::Arg(inst, _) if is_unboxing(func, *inst) && before_all_others(func, cfg, uses, positions, object, *inst) => {
            Some(*inst)
        }
        _ => None,
    })?;
    let op = func.inst(first).op;
    let fits = uses.of(object).iter().all(|usage| match *usage {
        Use::Arg(inst, _) => inst == first || func.inst(inst).op == op || matches!(func.inst(inst).op, Op::IncRef | Op::DecRef),
        Use::Target(..) => false,
        // A pair takes the place of one reference that the frame takes over, not of others.
        Use::State(inst, state) => {
            positions.strictly_before(cfg, first, inst)
                || func.states[state.index()].slots().all(|slot| *slot != Slot::Value(object, Ownership::Borrow))
                    && func.states[state.index()].slots().filter(|slot| **slot == Slot::Value(object, Ownership::Steal)).count()
                        == 1
        }
        Use::Drop(inst, _) => positions.strictly_before(cfg, first, inst),
    });
    fits.then_some(first)
}

fn is_unboxing(func: &Function, inst: Inst) -> bool {
    matches!(func.inst(inst).op, Op::UnboxInt | Op::UnboxFloat)
}

fn before_all_others(func: &Function, cfg: &Cfg, uses: &Uses, positions: &Positions, object: Value, first: Inst) -> bool {
    uses.of(object).iter().all(|usage| match *usage {
        Use::Arg(inst, _) => inst == first || positions.strictly_before(cfg, first, inst),
        _ => true,
    }) && func.inst(first).state.is_some()
}

fn convert(
    func: &mut Function,
    cfg: &Cfg,
    uses: &Uses,
    positions: &Positions,
    (pair, object, first): (Value, Value, Inst),
    subst: &mut Subst,
    dead: &mut [bool],
) {
    let raw = func.inst(first).result.expect("an unboxing has a result");
    for usage in uses.of(object) {
        let inst = usage.inst();
        match *usage {
            Use::Arg(..) if inst == first => {
                let data = func.inst_mut(inst);
                data.op = if data.op == Op::UnboxInt { Op::PairToInt } else { Op::PairToFloat };
                (data.args, data.imm) = (vec![pair], Imm::None);
            }
            Use::Arg(..) => {
                if let Some(result) = func.inst(inst).result {
                    subst.replace(result, raw);
                }
                dead[inst.index()] = true;
            }
            // Instructions may share a state, so each gets its own copy.
            Use::State(..) | Use::Drop(..) => {
                let Some(state) = func.inst(inst).state else { continue };
                let known = positions.strictly_before(cfg, first, inst);
                let mut copy = func.states[state.index()].clone();
                for slot in copy.slots_mut() {
                    if let Slot::Value(value, ownership) = slot
                        && *value == object
                    {
                        (*value, *ownership) = if known { (raw, Ownership::Borrow) } else { (pair, Ownership::Steal) };
                    }
                }
                copy.drops.retain(|value| *value != object);
                let copy = func.add_state(copy);
                func.inst_mut(inst).state = Some(copy);
            }
            Use::Target(..) => {}
        }
    }
}
