//! Selects the representation of block parameters: an object that is an int, a float or a bool wherever it comes from, and is
//! wanted unboxed, is passed unboxed.
//!
//! The set of parameters is found optimistically: all that anything speaks for are candidates; then those go to which something
//! flows that can't be unboxed, until nothing changes; then, by groups of parameters that flow into each other, those go that cost more boxes
//! than they save. Where an object of unknown class flows in, it's unboxed on the edge, with the jump's frame state: that is a
//! speculation, made only on the evidence that the parameter is unboxed anyway.
//!
//! A parameter that may be null isn't a candidate: an exit couldn't tell an unbound local from a number.

use super::cfg::{Cfg, Edge};
use super::unboxed::{Kind, Raws, UseCost, replace_objects, split_if_shared, use_cost};
use super::util::{Use, Uses, constant_object};
use crate::builder::make_inst;
use crate::function::{Block, FrameState, Function, Inst, Ownership, Slot, StateId, Value, ValueDef};
use crate::op::{Imm, Op};
use crate::types::Type;
use std::collections::{HashMap, HashSet};

/// What an incoming value asks of its edge.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Incoming {
    /// Another parameter that is passed unboxed as well.
    Param,
    /// A box: its operand is passed.
    Box(Value),
    /// A constant.
    Constant(Op, Imm),
    /// Any object: it's unboxed on the edge.
    Unbox,
    /// It can't be.
    Never,
}

/// An argument of a jump that is to be passed unboxed.
struct Conversion {
    position: usize,
    value: Value,
    kind: Kind,
    incoming: Incoming,
}

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let cfg = Cfg::new(func);
    let uses = Uses::new(func, &cfg);
    let mut selection = Selection::new(func, &cfg, &uses);
    if selection.kinds.is_empty() {
        return;
    }
    selection.remove_impossible();
    selection.remove_costly();
    let plan = selection.plan();
    let kinds = selection.kinds;
    if !kinds.is_empty() {
        convert(func, plan, &kinds);
    }
}

struct Selection<'a> {
    func: &'a Function,
    cfg: &'a Cfg,
    uses: &'a Uses,
    /// The candidates.
    kinds: HashMap<Value, Kind>,
    /// Parameters that may be null because a null constant flows into them.
    null: Vec<bool>,
    /// How often each instruction is executed, roughly.
    weights: Vec<i64>,
}

impl<'a> Selection<'a> {
    fn new(func: &'a Function, cfg: &'a Cfg, uses: &'a Uses) -> Selection<'a> {
        let mut weights = vec![0; func.insts.len()];
        for &block in &cfg.rpo {
            for inst in &func.blocks[block.index()].insts {
                weights[inst.index()] = cfg.weight(func, block);
            }
        }
        let null = vec![false; func.values.len()];
        let mut selection = Selection { func, cfg, uses, kinds: HashMap::new(), null, weights };
        selection.find_nulls();
        let hints = selection.hints();
        for (param, hints) in hints {
            if !selection.null[param.index()] {
                // A parameter that is both asked for as a float and fed with ints stays boxed: `unbox_number` handles it.
                let kind = match hints {
                    1 => Kind::Int,
                    2 => Kind::Float,
                    4 => Kind::Bool,
                    _ => continue,
                };
                selection.kinds.insert(param, kind);
            }
        }
        selection
    }

    /// The block and position of a parameter other than the entry's.
    fn param(&self, value: Value) -> Option<(Block, usize)> {
        match self.func.values[value.index()].def {
            ValueDef::Param(block, position) if block != Function::ENTRY && self.cfg.is_reachable(block) => {
                Some((block, position as usize))
            }
            _ => None,
        }
    }

    fn params(&self) -> impl Iterator<Item = Value> + '_ {
        self.cfg.rpo[1..].iter().flat_map(|block| &self.func.blocks[block.index()].params).copied()
    }

    /// The edges into a parameter and what each brings.
    fn incoming(&self, param: Value) -> impl Iterator<Item = (Edge, Value)> + '_ {
        let (block, position) = self.param(param).expect("a parameter");
        self.cfg.preds[block.index()].iter().map(move |edge| {
            let jump = self.func.terminator(edge.from).expect("a predecessor has a terminator");
            (*edge, jump.targets[edge.target].args[position])
        })
    }

    /// The parameters that a value is passed to.
    fn passed_to(&self, value: Value) -> impl Iterator<Item = Value> + '_ {
        self.uses.of(value).iter().filter_map(|usage| match *usage {
            Use::Target(inst, target, position) => {
                let block = self.func.inst(inst).targets[target as usize].block;
                Some(self.func.blocks[block.index()].params[position as usize])
            }
            _ => None,
        })
    }

    fn find_nulls(&mut self) {
        let mut work: Vec<Value> =
            (0..self.func.values.len() as u32).map(Value).filter(|v| self.func.ty(*v) == Type::NULL).collect();
        while let Some(value) = work.pop() {
            let reached: Vec<Value> = self.passed_to(value).filter(|param| !self.null[param.index()]).collect();
            for param in reached {
                self.null[param.index()] = true;
                work.push(param);
            }
        }
    }

    /// Which kinds something speaks for, as a set of bits (int, float, bool), spread over parameters that flow into each other.
    fn hints(&self) -> HashMap<Value, u8> {
        let bit = |kind: Kind| match kind {
            Kind::Int => 1,
            Kind::Float => 2,
            Kind::Bool => 4,
        };
        let mut hints: HashMap<Value, u8> = HashMap::new();
        let mut work = Vec::new();
        for param in self.params().filter(|param| self.func.ty(*param).is_object()) {
            let mut hint = 0;
            for usage in self.uses.of(param) {
                if let Use::Arg(inst, _) = usage {
                    hint |= Kind::of_unbox(self.func.inst(*inst).op).map_or(0, bit);
                }
            }
            for (_, value) in self.incoming(param) {
                hint |= self.func.def(value).and_then(|def| Kind::of_box(def.op)).map_or(0, bit);
            }
            if hint != 0 {
                hints.insert(param, hint);
                work.push(param);
            }
        }
        while let Some(param) = work.pop() {
            let hint = hints[&param];
            let sources = self.incoming(param).map(|(_, value)| value).filter(|value| self.param(*value).is_some());
            let neighbours: Vec<Value> = sources.chain(self.passed_to(param)).collect();
            for other in neighbours {
                if !self.func.ty(other).is_object() || self.param(other).is_none() {
                    continue;
                }
                let known = hints.entry(other).or_default();
                if *known | hint != *known {
                    *known |= hint;
                    work.push(other);
                }
            }
        }
        hints
    }

    /// What an incoming value asks of its edge, given the candidates as they are now.
    fn classify(&self, param: Value, kind: Kind, edge: Edge, value: Value) -> Incoming {
        if self.kinds.get(&value) == Some(&kind) {
            return Incoming::Param;
        }
        if let Some(def) = self.func.def(value)
            && Kind::of_box(def.op).is_some()
        {
            return if Kind::of_box(def.op) == Some(kind) { Incoming::Box(def.args[0]) } else { Incoming::Never };
        }
        if let Some(constant) = constant_object(self.func, value) {
            return kind.raw_constant(constant).map_or(Incoming::Never, |(op, imm)| Incoming::Constant(op, imm));
        }
        let ty = self.func.ty(value);
        let jump = self.func.terminator(edge.from).expect("a predecessor has a terminator");
        if self.null[value.index()] || ty.intersect(kind.class()).is_empty() || jump.state.is_none() || !ty.is_object() {
            return Incoming::Never;
        }
        if ty.is_subtype(kind.class()) || self.is_wanted(param, kind, edge) { Incoming::Unbox } else { Incoming::Never }
    }

    /// Whether the parameter will be unboxed anyway when it's entered by this edge, so that doing it on the edge risks little.
    ///
    /// Entering a loop, a use in the loop is evidence enough; on a back edge or at a merge, which may be passed often, each path
    /// that isn't cold must unbox it.
    fn is_wanted(&self, param: Value, kind: Kind, edge: Edge) -> bool {
        let Some((block, _)) = self.param(param) else { return false };
        let wanted = self.unboxings(param, kind);
        if wanted.is_empty() {
            return false;
        }
        let enters_loop = self.cfg.depth[block.index()] > self.cfg.depth[edge.from.index()];
        if enters_loop {
            return true;
        }
        let mut budget = 12;
        self.unboxes_on_all_paths(block, &wanted, self.cfg.depth[block.index()], &mut budget)
    }

    /// The instructions that unbox a parameter. The block before a loop hands its parameters on to the loop's header.
    fn unboxings(&self, param: Value, kind: Kind) -> Vec<Inst> {
        let (mut found, mut value) = (Vec::new(), param);
        for _ in 0..2 {
            found.extend(self.uses.of(value).iter().filter_map(|usage| match usage {
                Use::Arg(inst, _) if Kind::of_unbox(self.func.inst(*inst).op) == Some(kind) => Some(*inst),
                _ => None,
            }));
            let Some((block, _)) = self.param(value) else { break };
            let Some(last) = self.func.blocks[block.index()].insts.last() else { break };
            let handed_on = self.uses.of(value).iter().find_map(|usage| match *usage {
                Use::Target(inst, target, position) if inst == *last && self.func.inst(inst).op == Op::Jump => {
                    let next = self.func.inst(inst).targets[target as usize].block;
                    Some(self.func.blocks[next.index()].params[position as usize])
                }
                _ => None,
            });
            let Some(next) = handed_on else { break };
            value = next;
        }
        found
    }

    fn unboxes_on_all_paths(&self, block: Block, wanted: &[Inst], depth: u32, budget: &mut u32) -> bool {
        if *budget == 0 {
            return false;
        }
        *budget -= 1;
        let data = &self.func.blocks[block.index()];
        if data.insts.iter().any(|inst| wanted.contains(inst)) {
            return true;
        }
        let mut followed = self
            .func
            .successors(block)
            .filter(|next| !self.func.blocks[next.index()].cold && self.cfg.depth[next.index()] >= depth)
            .filter(|next| !self.cfg.is_back_edge(block, *next))
            .peekable();
        followed.peek().is_some() && followed.all(|next| self.unboxes_on_all_paths(next, wanted, depth, budget))
    }

    /// Whether a parameter can be passed unboxed as far as its uses are concerned.
    fn uses_allow(&self, param: Value, kind: Kind) -> bool {
        self.uses.of(param).iter().all(|usage| match *usage {
            Use::Arg(inst, position) => use_cost(self.func, self.func.inst(inst), position as usize, kind) != UseCost::Identity,
            Use::Target(inst, target, position) => {
                let block = self.func.inst(inst).targets[target as usize].block;
                let to = self.func.blocks[block.index()].params[position as usize];
                // A box made for a parameter that takes no unit would never be given up.
                self.kinds.get(&to) == Some(&kind) || self.func.values[to.index()].owned
            }
            Use::State(..) | Use::Drop(..) => true,
        })
    }

    /// Removes candidates until each can be what it's to be.
    fn remove_impossible(&mut self) {
        let mut work: Vec<Value> = self.params().filter(|param| self.kinds.contains_key(param)).collect();
        while let Some(param) = work.pop() {
            let Some(&kind) = self.kinds.get(&param) else { continue };
            let possible = self.uses_allow(param, kind)
                && self.incoming(param).all(|(edge, value)| self.classify(param, kind, edge, value) != Incoming::Never);
            if !possible {
                self.kinds.remove(&param);
                self.requeue_neighbours(param, &mut work);
            }
        }
    }

    fn requeue_neighbours(&self, param: Value, work: &mut Vec<Value>) {
        work.extend(self.passed_to(param));
        work.extend(self.incoming(param).map(|(_, value)| value).filter(|value| self.kinds.contains_key(value)));
    }

    /// Removes the groups of candidates that cost more than they save.
    fn remove_costly(&mut self) {
        loop {
            let mut grouped: HashSet<Value> = HashSet::new();
            let members: Vec<Value> = self.params().filter(|param| self.kinds.contains_key(param)).collect();
            let mut gains: Vec<(Vec<Value>, i64)> = Vec::new();
            for &start in &members {
                if !grouped.insert(start) {
                    continue;
                }
                let (mut all, mut gain, mut work) = (Vec::new(), 0, vec![start]);
                while let Some(param) = work.pop() {
                    all.push(param);
                    gain += self.gain(param);
                    let sources = self.incoming(param).map(|(_, value)| value);
                    for other in sources.chain(self.passed_to(param)).filter(|other| self.kinds.contains_key(other)) {
                        if grouped.insert(other) {
                            work.push(other);
                        }
                    }
                }
                gains.push((all, gain));
            }
            let costly: Vec<Value> = gains.into_iter().filter(|(_, gain)| *gain <= 0).flat_map(|(all, _)| all).collect();
            if costly.is_empty() {
                return;
            }
            // A whole group goes at once, and no other depends on it.
            for param in costly {
                self.kinds.remove(&param);
            }
        }
    }

    /// What passing the parameter unboxed saves, in units of an unboxing at the entry's frequency.
    fn gain(&self, param: Value) -> i64 {
        const BOX: i64 = 4;
        let kind = self.kinds[&param];
        let mut gain = 0;
        for usage in self.uses.of(param) {
            let weight = |inst: Inst| self.weights[inst.index()];
            match *usage {
                Use::Arg(inst, position) => match use_cost(self.func, self.func.inst(inst), position as usize, kind) {
                    UseCost::Gain => gain += weight(inst),
                    UseCost::Free => {}
                    UseCost::Box | UseCost::Identity => gain -= BOX * weight(inst),
                },
                Use::Target(inst, target, position) => {
                    let block = self.func.inst(inst).targets[target as usize].block;
                    let to = self.func.blocks[block.index()].params[position as usize];
                    if self.kinds.get(&to) != Some(&kind) {
                        gain -= BOX * weight(inst);
                    }
                }
                Use::State(..) | Use::Drop(..) => {}
            }
        }
        for (edge, value) in self.incoming(param) {
            let weight = self.cfg.weight(self.func, edge.from);
            match self.classify(param, kind, edge, value) {
                Incoming::Box(_) if kind != Kind::Bool => gain += BOX * weight,
                Incoming::Unbox => gain -= weight,
                _ => {}
            }
        }
        gain
    }

    /// What is to be converted on each edge.
    fn plan(&self) -> Vec<(Edge, Vec<Conversion>)> {
        let mut plan = Vec::new();
        for &block in &self.cfg.rpo[1..] {
            let params = &self.func.blocks[block.index()].params;
            for &edge in &self.cfg.preds[block.index()] {
                let jump = self.func.terminator(edge.from).expect("a predecessor has a terminator");
                let args = &jump.targets[edge.target].args;
                let conversions: Vec<Conversion> = (0..params.len())
                    .filter_map(|position| {
                        let (param, value) = (params[position], args[position]);
                        let kind = *self.kinds.get(&param)?;
                        let incoming = self.classify(param, kind, edge, value);
                        (incoming != Incoming::Param).then_some(Conversion { position, value, kind, incoming })
                    })
                    .collect();
                if !conversions.is_empty() {
                    plan.push((edge, conversions));
                }
            }
        }
        plan
    }
}

/// Gives the parameters their unboxed types, and converts what flows into them and their uses.
fn convert(func: &mut Function, plan: Vec<(Edge, Vec<Conversion>)>, kinds: &HashMap<Value, Kind>) {
    for (edge, conversions) in plan {
        convert_edge(func, edge, &conversions);
    }
    let mut raws = Raws::new();
    for (&param, &kind) in kinds {
        let data = &mut func.values[param.index()];
        (data.ty, data.owned) = (kind.raw_type(), false);
        raws.insert(param, (param, kind));
    }
    replace_objects(func, &raws);
}

/// Puts the conversions of one edge before its jump and gives up the units that the parameters no longer take.
fn convert_edge(func: &mut Function, edge: Edge, conversions: &[Conversion]) {
    let old = *func.blocks[edge.from.index()].insts.last().expect("a predecessor has a terminator");
    let target = func.inst(old).targets[edge.target].block;
    let owned = |func: &Function, position: usize| {
        let param = func.blocks[target.index()].params[position];
        func.values[param.index()].owned
    };
    let needs_code =
        conversions.iter().any(|wanted| owned(func, wanted.position) || !matches!(wanted.incoming, Incoming::Box(_)));
    let block = if needs_code { split_if_shared(func, edge.from, edge.target) } else { edge.from };
    let slot = if block == edge.from { edge.target } else { 0 };
    let jump = func.blocks[block.index()].insts.pop().expect("a predecessor has a terminator");
    let state = func.inst(jump).state;
    let (mut made, mut given_up) = (Vec::new(), Vec::new());
    for &Conversion { position, value, kind, incoming } in conversions {
        let raw = match incoming {
            Incoming::Box(raw) => raw,
            Incoming::Constant(op, imm) => push(func, &mut made, op, Vec::new(), imm, None),
            _ => push(func, &mut made, kind.unbox_op(), vec![value], Imm::None, state),
        };
        if owned(func, position) {
            given_up.push((value, raw));
        }
        func.inst_mut(jump).targets[slot].args[position] = raw;
    }
    for (value, _) in &given_up {
        let release = make_inst(func, Op::DecRef, vec![*value], Imm::None, None, Vec::new());
        made.push(release);
    }
    if let Some(state) = state {
        let after = after_giving_up(&func.states[state.index()], &given_up);
        let after = func.add_state(after);
        func.inst_mut(jump).state = Some(after);
    }
    let insts = &mut func.blocks[block.index()].insts;
    insts.extend(made);
    insts.push(jump);
}

fn push(func: &mut Function, made: &mut Vec<Inst>, op: Op, args: Vec<Value>, imm: Imm, state: Option<StateId>) -> Value {
    let inst = make_inst(func, op, args, imm, state, Vec::new());
    made.push(inst);
    func.inst(inst).result.expect("the operation has a result")
}

/// The frame when the units of some objects have been given up: their slots hold the unboxed values.
fn after_giving_up(state: &FrameState, given_up: &[(Value, Value)]) -> FrameState {
    let mut state = state.clone();
    for (value, raw) in given_up {
        let stolen = state.slots_mut().find(|slot| **slot == Slot::Value(*value, Ownership::Steal));
        match stolen {
            Some(slot) => *slot = Slot::Value(*raw, Ownership::Borrow),
            None => {
                if let Some(position) = state.drops.iter().position(|dropped| dropped == value) {
                    state.drops.remove(position);
                }
            }
        }
        // Without a unit the object may be gone: what borrows from it gets the number as well.
        if !state.slots().any(|slot| *slot == Slot::Value(*value, Ownership::Steal)) {
            for slot in state.slots_mut() {
                if *slot == Slot::Value(*value, Ownership::Borrow) {
                    *slot = Slot::Value(*raw, Ownership::Borrow);
                }
            }
        }
    }
    state
}
