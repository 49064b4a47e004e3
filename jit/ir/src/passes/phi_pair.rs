//! Passes loop variables as pairs where they may be unbound: the variable of a `for` loop over a range is null before the first
//! iteration and a number after, and mostly only frame states want to know.
//!
//! A pair says by its tag what it holds (see [`Op::CallDirect`]), so that an exit makes the right object of it, or none. A parameter
//! becomes a pair if its uses are frame states, releases, and arguments for other such parameters. A `guard_bound`, as after
//! the loop, takes the number out of the pair where nothing but null and numbers of one kind flows in: then it leaves exactly where
//! the guard would have left.

use super::cfg::{Cfg, Edge, Positions};
use super::unboxed::{Kind, split_if_shared};
use super::util::{Use, Uses};
use crate::builder::make_inst;
use crate::function::{Block, Function, Inst, Ownership, Slot, Value, ValueData, ValueDef};
use crate::op::{Imm, Op};
use crate::types::Type;
use std::collections::HashMap;

/// How a parameter is taken apart again, if it's wanted as an object somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opening {
    guard: Inst,
    kind: Kind,
}

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let cfg = Cfg::new(func);
    let uses = Uses::new(func, &cfg);
    let positions = Positions::new(func, &cfg);
    let mut selection = Selection { func, cfg: &cfg, uses: &uses, positions: &positions, pairs: HashMap::new() };
    selection.find();
    let pairs = selection.pairs;
    if pairs.is_empty() {
        return;
    }
    for (&param, &opening) in &pairs {
        convert_uses(func, &cfg, &uses, &positions, param, opening);
    }
    for &block in cfg.rpo.iter().filter(|block| **block != Function::ENTRY) {
        let converted: Vec<usize> = (0..func.blocks[block.index()].params.len())
            .filter(|position| pairs.contains_key(&func.blocks[block.index()].params[*position]))
            .collect();
        if !converted.is_empty() {
            for edge in &cfg.preds[block.index()] {
                convert_edge(func, *edge, &converted, &pairs);
            }
        }
    }
    for param in pairs.keys() {
        func.values[param.index()].ty = Type::PAIR;
    }
}

struct Selection<'a> {
    func: &'a Function,
    cfg: &'a Cfg,
    uses: &'a Uses,
    positions: &'a Positions,
    pairs: HashMap<Value, Option<Opening>>,
}

impl Selection<'_> {
    fn find(&mut self) {
        let params: Vec<Value> = self.cfg.rpo[1..]
            .iter()
            .flat_map(|block| &self.func.blocks[block.index()].params)
            .copied()
            .filter(|param| self.func.ty(*param).is_object() && self.func.values[param.index()].owned)
            .collect();
        for &param in &params {
            let guards = self.uses.of(param).iter().filter_map(|usage| match usage {
                Use::Arg(inst, _) if self.func.inst(*inst).op == Op::GuardBound => Some(*inst),
                _ => None,
            });
            let mut first = guards.filter(|guard| self.opens(param, *guard));
            // The kind is found once it's known which parameters are pairs.
            self.pairs.insert(param, first.next().map(|guard| Opening { guard, kind: Kind::Int }));
        }
        let mut work = params;
        while let Some(param) = work.pop() {
            let Some(&opening) = self.pairs.get(&param) else { continue };
            let opening_fits = opening.is_none_or(|_| self.kind_of_all(param).is_some());
            if !opening_fits || !self.uses_allow(param, opening) {
                self.pairs.remove(&param);
                work.extend(self.incoming(param).map(|(_, value)| value).filter(|value| self.pairs.contains_key(value)));
                work.extend(self.passed_to(param).filter(|value| self.pairs.contains_key(value)));
            }
        }
        self.remove_useless();
        let kinds: Vec<(Value, Option<Kind>)> = self.pairs.keys().map(|param| (*param, self.kind_of_all(*param))).collect();
        for (param, kind) in kinds {
            if let (Some(Some(opening)), Some(kind)) = (self.pairs.get_mut(&param), kind) {
                opening.kind = kind;
            }
        }
    }

    fn incoming(&self, param: Value) -> impl Iterator<Item = (Edge, Value)> + '_ {
        let ValueDef::Param(block, position) = self.func.values[param.index()].def else {
            unreachable!("{param} is a parameter")
        };
        self.cfg.preds[block.index()].iter().map(move |edge| {
            let jump = self.func.terminator(edge.from).expect("a predecessor has a terminator");
            (*edge, jump.targets[edge.target].args[position as usize])
        })
    }

    fn passed_to(&self, value: Value) -> impl Iterator<Item = Value> + '_ {
        self.uses.of(value).iter().filter_map(|usage| match *usage {
            Use::Target(inst, target, position) => {
                let block = self.func.inst(inst).targets[target as usize].block;
                Some(self.func.blocks[block.index()].params[position as usize])
            }
            _ => None,
        })
    }

    /// Whether the value may be taken out of the pair at this guard: whatever uses the parameter later comes after the guard
    /// on every path.
    fn opens(&self, param: Value, guard: Inst) -> bool {
        let (Some((block, _)), ValueDef::Param(home, _)) = (self.positions.get(guard), self.func.values[param.index()].def)
        else {
            return false;
        };
        let mut reached = vec![false; self.func.blocks.len()];
        let mut work: Vec<Block> = self.func.successors(block).collect();
        while let Some(next) = work.pop() {
            if next != home && !std::mem::replace(&mut reached[next.index()], true) {
                work.extend(self.func.successors(next));
            }
        }
        self.uses.of(param).iter().all(|usage| {
            let inst = usage.inst();
            inst == guard
                || self.positions.strictly_before(self.cfg, guard, inst)
                || self.positions.get(inst).is_some_and(|(place, _)| !reached[place.index()])
        })
    }

    fn uses_allow(&self, param: Value, opening: Option<Opening>) -> bool {
        self.uses.of(param).iter().all(|usage| {
            let inst = usage.inst();
            if opening
                .is_some_and(|opening| inst != opening.guard && self.positions.strictly_before(self.cfg, opening.guard, inst))
            {
                return true;
            }
            match *usage {
                Use::Arg(inst, _) => {
                    self.func.inst(inst).op == Op::DecRef || opening.is_some_and(|opening| inst == opening.guard)
                }
                Use::Target(inst, target, position) => {
                    let block = self.func.inst(inst).targets[target as usize].block;
                    self.pairs.contains_key(&self.func.blocks[block.index()].params[position as usize])
                }
                // A pair stands for one reference.
                Use::State(_, state) => {
                    let state = &self.func.states[state.index()];
                    let mut slots = state.slots().filter(|slot| matches!(slot, Slot::Value(value, _) if *value == param));
                    slots.next() == Some(&Slot::Value(param, Ownership::Steal)) && slots.next().is_none()
                }
                Use::Drop(..) => false,
            }
        })
    }

    /// The kind of all numbers that flow in, if nothing else does but null.
    fn kind_of_all(&self, param: Value) -> Option<Kind> {
        let mut seen = vec![param];
        let mut kind = None;
        let mut next = 0;
        while let Some(&current) = seen.get(next) {
            next += 1;
            for (_, value) in self.incoming(current) {
                if self.func.ty(value) == Type::NULL {
                    continue;
                }
                if self.pairs.contains_key(&value) {
                    if !seen.contains(&value) {
                        if seen.len() == 16 {
                            return None;
                        }
                        seen.push(value);
                    }
                    continue;
                }
                let of_box = self.func.def(value).and_then(|def| Kind::of_box(def.op)).filter(|kind| *kind != Kind::Bool)?;
                if *kind.get_or_insert(of_box) != of_box {
                    return None;
                }
            }
        }
        kind
    }

    /// Removes groups of parameters that flow into each other if no box is saved by them.
    fn remove_useless(&mut self) {
        let mut group: HashMap<Value, usize> = HashMap::new();
        let mut gains: Vec<i64> = Vec::new();
        let members: Vec<Value> = self.pairs.keys().copied().collect();
        for start in members {
            if group.contains_key(&start) {
                continue;
            }
            let number = gains.len();
            let (mut gain, mut work) = (0, vec![start]);
            group.insert(start, number);
            while let Some(param) = work.pop() {
                for (edge, value) in self.incoming(param) {
                    let weight = self.cfg.weight(self.func, edge.from);
                    match self.func.def(value).map(|def| def.op) {
                        Some(Op::BoxInt | Op::BoxFloat) => gain += 4 * weight,
                        _ if self.pairs.contains_key(&value) || self.func.ty(value) == Type::NULL => {}
                        _ => gain -= 2 * weight,
                    }
                }
                for other in self.incoming(param).map(|(_, value)| value).chain(self.passed_to(param)) {
                    if self.pairs.contains_key(&other) && !group.contains_key(&other) {
                        group.insert(other, number);
                        work.push(other);
                    }
                }
            }
            gains.push(gain);
        }
        self.pairs.retain(|param, _| gains[group[param]] > 0);
    }
}

/// Turns releases into those of pairs, and takes the number out at the guard.
fn convert_uses(func: &mut Function, cfg: &Cfg, uses: &Uses, positions: &Positions, param: Value, opening: Option<Opening>) {
    let opened = opening.map(|Opening { guard, kind }| {
        let (block, _) = positions.get(guard).expect("the guard is in a block");
        // The guard itself becomes the conversion, since other parameters know it as a use by their states.
        let number = func.add_value(ValueData { ty: kind.raw_type(), owned: false, def: ValueDef::Inst(guard) });
        let data = func.inst_mut(guard);
        data.op = if kind == Kind::Float { Op::PairToFloat } else { Op::PairToInt };
        (data.args, data.imm, data.result) = (vec![param], Imm::None, Some(number));
        let made = make_inst(func, kind.box_op(), vec![number], Imm::None, None, Vec::new());
        let insts = &mut func.blocks[block.index()].insts;
        let place = insts.iter().position(|inst| *inst == guard).expect("the guard is in its block");
        insts.insert(place + 1, made);
        (guard, func.inst(made).result.expect("a box is a result"))
    });
    for usage in uses.of(param) {
        let inst = usage.inst();
        let after = opened.filter(|(guard, _)| inst != *guard && positions.strictly_before(cfg, *guard, inst));
        match (*usage, after) {
            (Use::Arg(_, position), Some((_, object))) => func.inst_mut(inst).args[position as usize] = object,
            (Use::Target(_, target, position), Some((_, object))) => {
                func.inst_mut(inst).targets[target as usize].args[position as usize] = object;
            }
            (Use::State(..) | Use::Drop(..), Some((_, object))) => {
                let Some(state) = func.inst(inst).state else { continue };
                let mut copy = func.states[state.index()].clone();
                for slot in copy.slots_mut() {
                    if let Slot::Value(value, _) = slot
                        && *value == param
                    {
                        *value = object;
                    }
                }
                for value in copy.drops.iter_mut().filter(|value| **value == param) {
                    *value = object;
                }
                let copy = func.add_state(copy);
                func.inst_mut(inst).state = Some(copy);
            }
            (Use::Arg(..), None) if func.inst(inst).op == Op::DecRef => func.inst_mut(inst).op = Op::PairDrop,
            _ => {}
        }
    }
}

/// Makes pairs of what flows into the converted parameters on one edge.
fn convert_edge(func: &mut Function, edge: Edge, converted: &[usize], pairs: &HashMap<Value, Option<Opening>>) {
    let old = *func.blocks[edge.from.index()].insts.last().expect("a predecessor has a terminator");
    let is_pair = |func: &Function, position: usize| pairs.contains_key(&func.inst(old).targets[edge.target].args[position]);
    if converted.iter().all(|position| is_pair(func, *position)) {
        return;
    }
    let wanted: Vec<usize> = converted.iter().copied().filter(|position| !is_pair(func, *position)).collect();
    let block = split_if_shared(func, edge.from, edge.target);
    let target = if block == edge.from { edge.target } else { 0 };
    let jump = func.blocks[block.index()].insts.pop().expect("a predecessor has a terminator");
    let (mut made, mut released) = (Vec::new(), Vec::new());
    for position in wanted {
        let value = func.inst(jump).targets[target].args[position];
        let def = func.def(value).map(|def| (def.op, def.args.clone()));
        let (op, args) = match def {
            Some((Op::BoxInt, args)) => (Op::PairFromInt, args),
            Some((Op::BoxFloat, args)) => (Op::PairFromFloat, args),
            _ => (Op::PairFromObject, vec![value]),
        };
        if op != Op::PairFromObject {
            released.push(make_inst(func, Op::DecRef, vec![value], Imm::None, None, Vec::new()));
        }
        let pair = make_inst(func, op, args, Imm::None, None, Vec::new());
        made.push(pair);
        let pair = func.inst(pair).result.expect("a pair is a result");
        func.inst_mut(jump).targets[target].args[position] = pair;
    }
    let insts = &mut func.blocks[block.index()].insts;
    insts.extend(made);
    insts.extend(released);
    insts.push(jump);
}
