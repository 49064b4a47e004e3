//! Removes what has no effect: unreachable blocks, unused results and parameters, blocks that only jump.

use super::cfg::Cfg;
use super::util::{Subst, Use, Uses, is_removable, remove_insts};
use crate::function::{Block, BlockCall, Function, Inst, Slot, Value, ValueDef};
use crate::op::Op;

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    // Up to the threading of jumps, edges stay what they are.
    let cfg = Cfg::new(func);
    drop_unreachable(func, &cfg);
    for _ in 0..4 {
        if !replace_trivial_params(func, &cfg) {
            break;
        }
    }
    remove_unused(func, &cfg);
    thread_jumps(func, &cfg);
    merge_blocks(func);
    compact(func);
}

/// Takes the frame states off jumps: no pass converts values on edges any more.
pub(crate) fn drop_jump_states(func: &mut Function) {
    for inst in &mut func.insts {
        if inst.op == Op::Jump {
            inst.state = None;
        }
    }
}

/// Empties the blocks that can't be reached; [`compact`] removes them.
fn drop_unreachable(func: &mut Function, cfg: &Cfg) {
    for block in func.block_ids().filter(|block| !cfg.is_reachable(*block)) {
        func.blocks[block.index()] = crate::function::BlockData::default();
    }
}

/// Replaces parameters that get the same value on every edge. An owned parameter's unit is that of the value, which the jump no
/// longer gives up.
fn replace_trivial_params(func: &mut Function, cfg: &Cfg) -> bool {
    let mut subst = Subst::default();
    let mut removed = vec![false; func.values.len()];
    for &block in &cfg.rpo[1..] {
        for (position, &param) in func.blocks[block.index()].params.iter().enumerate() {
            let mut source = None;
            let same = cfg.preds[block.index()].iter().all(|edge| {
                let jump = func.terminator(edge.from).expect("a predecessor has a terminator");
                let arg = subst.get(jump.targets[edge.target].args[position]);
                arg == param || *source.get_or_insert(arg) == arg
            });
            if let (true, Some(source)) = (same, source)
                && func.ty(source).is_subtype(func.ty(param))
            {
                subst.replace(param, source);
                removed[param.index()] = true;
            }
        }
    }
    remove_params(func, cfg, &removed);
    subst.apply(func);
    removed.contains(&true)
}

/// Removes parameters and the arguments for them.
fn remove_params(func: &mut Function, cfg: &Cfg, removed: &[bool]) {
    if !removed.contains(&true) {
        return;
    }
    for &block in &cfg.rpo {
        let Some(&jump) = func.blocks[block.index()].insts.last() else { continue };
        let mut targets = std::mem::take(&mut func.inst_mut(jump).targets);
        for call in &mut targets {
            let params = &func.blocks[call.block.index()].params;
            let mut position = 0;
            call.args.retain(|_| {
                position += 1;
                !removed[params[position - 1].index()]
            });
        }
        func.inst_mut(jump).targets = targets;
    }
    for &block in &cfg.rpo {
        func.blocks[block.index()].params.retain(|param| !removed[param.index()]);
        renumber_params(func, block);
    }
}

fn renumber_params(func: &mut Function, block: Block) {
    for (position, param) in func.blocks[block.index()].params.clone().into_iter().enumerate() {
        func.values[param.index()].def = ValueDef::Param(block, position as u32);
    }
}

/// Keeps what instructions with effects need, transitively.
fn remove_unused(func: &mut Function, cfg: &Cfg) {
    let mut live = Live { values: vec![false; func.values.len()], work: Vec::new() };
    for &block in &cfg.rpo {
        for &inst in &func.blocks[block.index()].insts {
            if !is_removable(func.inst(inst)) {
                live.operands(func, inst);
            }
        }
        for &param in &func.blocks[block.index()].params {
            // A unit has to be given up; the entry's parameters are given.
            if block == Function::ENTRY || func.values[param.index()].owned {
                live.value(param);
            }
        }
    }
    while let Some(value) = live.work.pop() {
        match func.values[value.index()].def {
            ValueDef::Inst(inst) => live.operands(func, inst),
            ValueDef::Param(block, position) => {
                for edge in &cfg.preds[block.index()] {
                    let jump = func.terminator(edge.from).expect("a predecessor has a terminator");
                    live.value(jump.targets[edge.target].args[position as usize]);
                }
            }
        }
    }
    let dead: Vec<bool> = func
        .insts
        .iter()
        .map(|inst| is_removable(inst) && inst.result.is_some_and(|result| !live.values[result.index()]))
        .collect();
    remove_insts(func, &dead);
    let unused: Vec<bool> = (0..func.values.len())
        .map(|value| matches!(func.values[value].def, ValueDef::Param(..)) && !live.values[value])
        .collect();
    remove_params(func, cfg, &unused);
}

struct Live {
    values: Vec<bool>,
    work: Vec<Value>,
}

impl Live {
    fn value(&mut self, value: Value) {
        if !std::mem::replace(&mut self.values[value.index()], true) {
            self.work.push(value);
        }
    }

    /// Marks the operands and those of the state; arguments for parameters count once the parameter does.
    fn operands(&mut self, func: &Function, inst: Inst) {
        let data = func.inst(inst);
        for arg in &data.args {
            self.value(*arg);
        }
        if let Some(state) = data.state {
            let state = &func.states[state.index()];
            for slot in state.slots() {
                if let Slot::Value(value, _) = slot {
                    self.value(*value);
                }
            }
            for value in &state.drops {
                self.value(*value);
            }
        }
    }
}

/// Lets jumps to a block that only jumps go to its target.
fn thread_jumps(func: &mut Function, cfg: &Cfg) {
    let uses = Uses::new(func, cfg);
    // Later blocks first, so that chains collapse.
    for &block in cfg.rpo[1..].iter().rev() {
        let [jump] = func.blocks[block.index()].insts[..] else { continue };
        let data = func.inst(jump).clone();
        let params = func.blocks[block.index()].params.clone();
        let own_use = |usage: &Use| usage.inst() == jump;
        let passes_on = params.iter().all(|param| uses.of(*param).iter().all(own_use));
        if data.op != Op::Jump || data.targets[0].block == block || !passes_on {
            continue;
        }
        // The block before a loop, to which its cold back edges lead, may be wanted yet.
        let comes_back = cfg.preds[block.index()].iter().any(|edge| cfg.is_back_edge(edge.from, block));
        if comes_back && data.state.is_some() {
            continue;
        }
        let target = &data.targets[0];
        for edge in &cfg.preds[block.index()] {
            let Some(&from) = func.blocks[edge.from.index()].insts.last() else { continue };
            // A branch has no place for the state, which other passes may want yet.
            if func.inst(from).op != Op::Jump && data.state.is_some() {
                continue;
            }
            // A branch keeps two different successors.
            if func.inst(from).targets.iter().any(|call| call.block == target.block)
                || func.inst(from).targets[edge.target].block != block
            {
                continue;
            }
            let given = func.inst(from).targets[edge.target].args.clone();
            let through = |value: &Value| params.iter().position(|param| param == value).map_or(*value, |index| given[index]);
            let args = target.args.iter().map(through).collect();
            let call = BlockCall { block: target.block, args };
            let from = func.inst_mut(from);
            from.targets[edge.target] = call;
            if from.op == Op::Jump {
                from.state = if params.is_empty() { data.state } else { None };
            }
        }
    }
    drop_unreachable(func, &Cfg::new(func));
}

/// Joins a block with its only successor if it's the only predecessor of that.
fn merge_blocks(func: &mut Function) {
    let cfg = Cfg::new(func);
    let mut subst = Subst::default();
    for &block in &cfg.rpo {
        while let Some(&last) = func.blocks[block.index()].insts.last() {
            let data = func.inst(last);
            if data.op != Op::Jump {
                break;
            }
            let BlockCall { block: next, args } = data.targets[0].clone();
            let params = func.blocks[next.index()].params.clone();
            let fits = args.iter().zip(&params).all(|(arg, param)| func.ty(subst.get(*arg)).is_subtype(func.ty(*param)));
            if next == Function::ENTRY || next == block || cfg.preds[next.index()].len() != 1 || !fits {
                break;
            }
            for (param, arg) in params.iter().zip(&args) {
                subst.replace(*param, *arg);
            }
            func.blocks[block.index()].insts.pop();
            let taken = std::mem::take(&mut func.blocks[next.index()]);
            func.blocks[block.index()].insts.extend(taken.insts);
            func.blocks[block.index()].cold |= taken.cold;
        }
    }
    subst.apply(func);
}

/// Removes the empty blocks and renumbers the others in their order.
fn compact(func: &mut Function) {
    let mut new = vec![Block(0); func.blocks.len()];
    let mut kept = Vec::new();
    for (index, block) in std::mem::take(&mut func.blocks).into_iter().enumerate() {
        new[index] = Block(kept.len() as u32);
        if !block.insts.is_empty() {
            kept.push(block);
        }
    }
    func.blocks = kept;
    for block in func.block_ids() {
        if let Some(&last) = func.blocks[block.index()].insts.last() {
            for call in &mut func.inst_mut(last).targets {
                call.block = new[call.block.index()];
            }
        }
        renumber_params(func, block);
    }
}
