//! Gets rid of boxes that only frame states and reference counts want, and moves those that are wanted in rarer blocks there.
//!
//! Frame states name the unboxed value instead (the exit makes the box, once per value), counts vanish, and each rare use gets a
//! box of its own just before it. The identity of such an object isn't kept; a box whose identity is asked for stays.

use super::cfg::{Cfg, Positions};
use super::unboxed::{Kind, Raws, UseCost, replace_objects, use_cost};
use super::util::{Use, Uses};
use crate::function::{Block, Function, Value};
use crate::op::Op;

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let cfg = Cfg::new(func);
    let uses = Uses::new(func, &cfg);
    let positions = Positions::new(func, &cfg);
    let mut raws = Raws::new();
    for &block in &cfg.rpo {
        for &inst in &func.blocks[block.index()].insts {
            let data = func.inst(inst);
            if let (Some(kind), Some(object)) = (Kind::of_box(data.op), data.result)
                && is_sinkable(func, &cfg, &uses, &positions, object, kind, block)
            {
                raws.insert(object, (data.args[0], kind));
            }
        }
    }
    if !raws.is_empty() {
        replace_objects(func, &raws);
    }
}

fn is_sinkable(func: &Function, cfg: &Cfg, uses: &Uses, positions: &Positions, object: Value, kind: Kind, made: Block) -> bool {
    uses.of(object).iter().all(|usage| match *usage {
        Use::State(..) | Use::Drop(..) => true,
        Use::Arg(inst, position) => match use_cost(func, func.inst(inst), position as usize, kind) {
            UseCost::Gain | UseCost::Free => true,
            UseCost::Identity => false,
            UseCost::Box => positions.get(inst).is_some_and(|(block, _)| is_rarer(func, cfg, block, made)),
        },
        Use::Target(inst, target, position) => {
            let call = &func.inst(inst).targets[target as usize];
            let param = func.blocks[call.block.index()].params[position as usize];
            // On an edge, the box is made in the block of a jump, or in one of its own before the target.
            let place =
                if func.inst(inst).op == Op::Jump { positions.get(inst).map(|(block, _)| block) } else { Some(call.block) };
            func.values[param.index()].owned && place.is_some_and(|block| is_rarer(func, cfg, block, made))
        }
    })
}

fn is_rarer(func: &Function, cfg: &Cfg, block: Block, than: Block) -> bool {
    let (cold, than_cold) = (func.blocks[block.index()].cold, func.blocks[than.index()].cold);
    (cold && !than_cold) || (cold == than_cold && cfg.depth[block.index()] < cfg.depth[than.index()])
}
