//! Moves what doesn't change in a loop before it: pure operations, unboxings, guards, and loads from memory that the loop doesn't write.
//!
//! What can leave is moved only if it is executed in every whole iteration (its block dominates the back edges) and the loop is entered
//! by one jump with a frame state: there it leaves with that state, and the interpreter goes on at the loop's header.
//!
//! A load is moved under the same conditions, and only together with the guards that make it safe: those of its object's class, and,
//! beyond the fields of lists and the like, every guard before it that has to do with what it reads. A loop's usual way round writes
//! nothing by itself: where the interpreter is served, the loop is entered from outside again, and what was moved is done again.

mod promote;

use super::cfg::{Cfg, Loop};
use super::memory::{bit, kills, quiet_releases, reads};
use super::util::{Subst, effects, unchecked_type};
use crate::builder::make_inst;
use crate::field::Field;
use crate::function::{Block, Function, Inst, InstData, StateId, Value, ValueDef};
use crate::op::{Effects, Imm, Op, Reason};
use crate::types::Type;
use std::collections::{HashMap, HashSet};

/// Runs the pass.
pub(crate) fn run(func: &mut Function) {
    let cfg = Cfg::new(func);
    if cfg.loops.is_empty() {
        return;
    }
    let quiet = quiet_releases(func, &cfg);
    let mut mover = Mover { cfg: &cfg, quiet, home: homes(func, &cfg), tests: tests(func, &cfg) };
    let mut subst = Subst::default();
    // Inner loops first: what leaves them may leave the outer ones as well.
    for this in cfg.loops.iter().rev() {
        mover.hoist(func, this);
        mover.promote(func, this, &mut subst);
    }
    subst.apply(func);
}

/// The block of each value.
fn homes(func: &Function, cfg: &Cfg) -> Vec<Option<Block>> {
    let mut home = vec![None; func.values.len()];
    for &block in &cfg.rpo {
        let data = &func.blocks[block.index()];
        for param in &data.params {
            home[param.index()] = Some(block);
        }
        for result in data.insts.iter().filter_map(|inst| func.inst(*inst).result) {
            home[result.index()] = Some(block);
        }
    }
    home
}

/// Where each object is tested, and whether for its class (else for not being null).
type Tests = HashMap<Value, Vec<(Block, bool)>>;

fn tests(func: &Function, cfg: &Cfg) -> Tests {
    let mut tests = Tests::new();
    for &block in &cfg.rpo {
        if let [edge] = &cfg.preds[block.index()]
            && let Some(value) = func.terminator(edge.from).and_then(|branch| bound_by(func, branch, edge.target))
        {
            tests.entry(value).or_default().push((block, false));
        }
        for &inst in &func.blocks[block.index()].insts {
            if let Some((value, class)) = tested(func.inst(inst)) {
                tests.entry(value).or_default().push((block, class));
            }
        }
    }
    tests
}

/// The object that an instruction tests: for its class, or for not being null.
fn tested(inst: &InstData) -> Option<(Value, bool)> {
    let class = match inst.op {
        Op::GuardClass | Op::UnboxInt | Op::UnboxFloat => true,
        Op::GuardBound | Op::UnboxNumber | Op::UnboxBool => false,
        _ => return None,
    };
    Some((inst.args[0], class))
}

/// The object that isn't null where a branch goes this way.
fn bound_by(func: &Function, branch: &InstData, target: usize) -> Option<Value> {
    let test = func.def(*branch.args.first()?)?;
    (branch.op == Op::Branch && test.op == Op::IsNull && target == 1).then(|| test.args[0])
}

struct Mover<'a> {
    cfg: &'a Cfg,
    quiet: Vec<bool>,
    home: Vec<Option<Block>>,
    tests: Tests,
}

/// The loop that is being worked on.
struct Place {
    before: Block,
    /// The frame's state at the end of `before`.
    state: Option<StateId>,
    inside: Vec<bool>,
    /// The alias classes that the loop writes.
    killed: u64,
    /// What the guards and branches that stay in the loop look at.
    staying: Vec<Staying>,
}

/// A test that stays in the loop.
struct Staying {
    /// The object whose class or boundness it tests.
    object: Option<Value>,
    /// Every value that it depends on.
    roots: Vec<Value>,
}

/// The block before the loop, and the frame's state at its end.
fn preheader(func: &Function, cfg: &Cfg, this: &Loop) -> Option<(Block, Option<StateId>)> {
    let mut entering = cfg.preds[this.header.index()].iter().filter(|edge| !cfg.is_back_edge(edge.from, this.header));
    let (Some(edge), None) = (entering.next(), entering.next()) else { return None };
    let jump = func.terminator(edge.from).filter(|jump| jump.op == Op::Jump)?;
    Some((edge.from, jump.state))
}

impl Mover<'_> {
    fn place(&self, func: &Function, this: &Loop) -> Option<Place> {
        let (before, state) = preheader(func, self.cfg, this)?;
        let mut inside = vec![false; func.blocks.len()];
        let mut killed = 0;
        for block in &this.body {
            inside[block.index()] = true;
            for inst in &func.blocks[block.index()].insts {
                killed |= self.kills(func, *inst);
            }
        }
        Some(Place { before, state, inside, killed, staying: Vec::new() })
    }

    fn kills(&self, func: &Function, inst: Inst) -> u64 {
        // What this pass has made itself writes nothing.
        if inst.index() < self.quiet.len() { kills(func, inst, &self.quiet) } else { 0 }
    }

    fn hoist(&mut self, func: &mut Function, this: &Loop) {
        let Some(mut place) = self.place(func, this) else { return };
        let mut hoisted = Vec::new();
        let mut bound: HashSet<Value> = HashSet::new();
        let blocks: Vec<Block> = self.cfg.rpo.iter().copied().filter(|block| place.inside[block.index()]).collect();
        for block in blocks {
            let always = this.latches.iter().all(|latch| self.cfg.dominates(block, *latch));
            for inst in func.blocks[block.index()].insts.clone() {
                if let Some(mut constants) = self.movable(func, &place, &bound, inst, always) {
                    for taken in constants.iter().chain([&inst]) {
                        if let Some(result) = func.inst(*taken).result {
                            self.home[result.index()] = Some(place.before);
                        }
                    }
                    hoisted.append(&mut constants);
                    let object = func.inst(inst).args.first().copied();
                    if let Some(object) = object.filter(|_| func.inst(inst).op == Op::GuardClass)
                        && unchecked_type(func, object).may_be_null()
                        && bound.insert(object)
                    {
                        let (reason, state) = (Imm::Reason(Reason::Unbound), place.state);
                        hoisted.push(make_inst(func, Op::GuardBound, vec![object], reason, state, Vec::new()));
                    }
                    if let Some((object, class)) = tested(func.inst(inst)) {
                        bound.insert(object);
                        self.tests.entry(object).or_default().push((place.before, class));
                    }
                    hoisted.push(inst);
                    if func.inst(inst).op.info().effects.has(Effects::EXITS) {
                        func.inst_mut(inst).state = place.state;
                    }
                } else if let Some(staying) = staying(func, inst) {
                    place.staying.push(staying);
                }
            }
        }
        let taken: HashSet<Inst> = hoisted.iter().copied().collect();
        for block in &this.body {
            func.blocks[block.index()].insts.retain(|inst| !taken.contains(inst));
        }
        let insts = &mut func.blocks[place.before.index()].insts;
        let end = insts.len() - 1;
        insts.splice(end..end, hoisted);
    }

    /// The constants in the loop that an instruction needs, if it may be moved before the loop with them.
    fn movable(&self, func: &Function, place: &Place, bound: &HashSet<Value>, inst: Inst, always: bool) -> Option<Vec<Inst>> {
        let data = func.inst(inst);
        if is_constant(data.op) {
            return None;
        }
        let can_leave = data.op.info().effects.has(Effects::EXITS);
        let allowed = match sort(func, data) {
            Sort::Fixed => false,
            Sort::Pure => !can_leave || always && place.state.is_some(),
            Sort::Read => {
                let unchanged = reads(func, data).is_none_or(|class| place.killed & bit(class) == 0);
                unchanged && always && place.state.is_some() && self.is_safe(func, place, bound, data)
            }
        };
        if allowed { self.invariant_operands(func, data, place) } else { None }
    }

    /// Whether a read may be done before the loop: what makes it safe has been tested there.
    fn is_safe(&self, func: &Function, place: &Place, bound: &HashSet<Value>, inst: &InstData) -> bool {
        let Some(&base) = inst.args.first() else { return true };
        let known = |class: bool| {
            self.tests.get(&base).is_some_and(|tests| {
                tests.iter().any(|(block, of_class)| (*of_class || !class) && self.cfg.dominates(*block, place.before))
            })
        };
        let is_bound = || !unchecked_type(func, base).may_be_null() || bound.contains(&base) || known(false);
        let untested = || place.staying.iter().all(|staying| staying.object != Some(base));
        let independent = || {
            let roots = roots(func, &inst.args);
            place.staying.iter().all(|staying| staying.roots.iter().all(|root| !roots.contains(root)))
        };
        match inst.op {
            Op::GuardClass | Op::GuardValid => true,
            Op::IsClass => is_bound() && untested(),
            Op::LoadField => {
                let of_class = is_class(unchecked_type(func, base).without(Type::NULL)) || known(true);
                is_bound() && of_class && untested()
            }
            Op::LoadAt => is_bound() && known(true) && untested() && independent(),
            Op::LoadItem | Op::LoadElement | Op::LoadByte | Op::LoadU32 | Op::LoadU64 => independent(),
            _ => false,
        }
    }

    /// Constants in the loop that the instruction needs, if all its other operands come from outside.
    fn invariant_operands(&self, func: &Function, inst: &InstData, place: &Place) -> Option<Vec<Inst>> {
        let mut constants = Vec::new();
        for arg in &inst.args {
            if self.home[arg.index()].is_some_and(|block| !place.inside[block.index()]) {
                continue;
            }
            match func.values[arg.index()].def {
                ValueDef::Inst(def) if is_constant(func.inst(def).op) => {
                    if !constants.contains(&def) {
                        constants.push(def);
                    }
                }
                _ => return None,
            }
        }
        Some(constants)
    }
}

fn is_constant(op: Op) -> bool {
    matches!(
        op,
        Op::ConstInt | Op::ConstFloat | Op::ConstBool | Op::ConstWord | Op::ConstObj | Op::ConstNull | Op::CurrentFunction
    )
}

/// What speaks against moving an instruction.
enum Sort {
    /// It can't be moved.
    Fixed,
    /// It gives the same whenever it is executed, and has no effect but to leave.
    Pure,
    /// The same as long as nothing writes what it reads.
    Read,
}

fn sort(func: &Function, inst: &InstData) -> Sort {
    let owned = inst.result.is_some_and(|result| func.values[result.index()].owned);
    match (inst.op, inst.imm) {
        (Op::PairToInt | Op::PairToFloat | Op::PairFailed | Op::Call | Op::CallN | Op::Wanted | Op::LoadScratch, _)
        | (_, Imm::Field(Field::EvalBreaker | Field::RefCount)) => Sort::Fixed,
        // A static class: see the pass gvn.
        (Op::GuardClass, Imm::Obj(class)) if func.objects[class.index()].immortal => Sort::Pure,
        (Op::Guard | Op::GuardNot | Op::GuardBound | Op::GuardIs, _) => Sort::Pure,
        (Op::GuardClass | Op::GuardValid, _) => Sort::Read,
        _ if owned || inst.result.is_none() => Sort::Fixed,
        _ if effects(inst) == Effects::READS => Sort::Read,
        _ if effects(inst) == Effects::NONE || effects(inst) == Effects::EXITS => Sort::Pure,
        _ => Sort::Fixed,
    }
}

/// What a test that stays in the loop looks at.
fn staying(func: &Function, inst: Inst) -> Option<Staying> {
    let data = func.inst(inst);
    let condition = |object: Option<Value>| Some(Staying { object, roots: roots(func, &data.args) });
    if let Some((object, _)) = tested(data) {
        return condition(Some(object));
    }
    match data.op {
        Op::GuardIs => condition(Some(data.args[0])),
        Op::Guard | Op::GuardNot | Op::Branch => {
            let mut test = func.def(data.args[0]);
            while let Some(InstData { op: Op::BoolNot, args, .. }) = test {
                test = func.def(args[0]);
            }
            let of_object = test.filter(|test| matches!(test.op, Op::IsClass | Op::IsNull | Op::IsSame));
            condition(of_object.map(|test| test.args[0]))
        }
        _ => None,
    }
}

/// Whether a type is a class that has fields of its own.
fn is_class(ty: Type) -> bool {
    !ty.is_empty() && ty != Type::OTHER && ty.bits().is_power_of_two()
}

/// How far what a test depends on is followed.
const MOST_ROOTS: usize = 24;

/// The values and everything that they are computed or loaded from.
fn roots(func: &Function, values: &[Value]) -> Vec<Value> {
    let mut all: Vec<Value> = values.to_vec();
    let mut next = 0;
    while let Some(&value) = all.get(next)
        && all.len() < MOST_ROOTS
    {
        next += 1;
        if let Some(def) = func.def(value) {
            let new: Vec<Value> = def.args.iter().copied().filter(|arg| !all.contains(arg)).collect();
            all.extend(new);
        }
    }
    let is_constant = |value: &Value| func.def(*value).is_some_and(|def| is_constant(def.op));
    all.retain(|value| !is_constant(value));
    all
}
