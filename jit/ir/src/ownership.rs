//! The ownership checker: on every path, each unit of a reference is given up exactly once.
//!
//! # Definition
//!
//! *Counted* values are objects and pairs, without those whose references nobody counts: values that can only be null, `None`, `True`
//! or `False`, and immortal objects known when compiling. At each point of each path a counted value that has been defined holds a
//! number of units, *if it isn't null* (if it is, or if it's a pair that holds no object, it has none and every use is allowed):
//!
//! - An instruction's result starts with one unit if it's declared owned (`New`, `NewOrNull`, `Pair`), else with none; likewise a block
//!   parameter.
//! - `inc_ref` adds one. An `Own` or `OwnNullable` operand takes one, and so does the operand of `pair_to_*` and `pair_drop`. An
//!   argument for an owned parameter takes one. `inline_value_add` takes one if its status is 0, or if nothing looks at the status.
//! - `pair_from_int` and `pair_from_float` hold no object. A value is null behind the branch, guard or exit that says so: the condition
//!   `is_null v`, `is_same v, const_null`, `pair_failed v` or its `bool_not`, and the exit of `guard_bound v`.
//!
//! A function is correct if
//!
//! 1. nothing takes a unit from a value that has none;
//! 2. all paths to a block agree on the units of each value that is defined on all of them;
//! 3. a value has no unit left where it ends: at a return, and on an edge to a block that its definition doesn't dominate or that
//!    defines it anew;
//! 4. at each exit (before the instruction has taken anything) the slots marked `Steal`, slots that hold pairs, and the drops of the frame
//!    state take each unit that is held.
//!
//! [`stale_borrows`] is a separate, stricter look at borrowed values.

use crate::function::{Block, Function, Inst, InstData, Ownership, Parameter, Slot, StateId, Value};
use crate::helper::Helper;
use crate::interp::arith::int_cmp;
use crate::op::{ArgKind, Effects, Imm, Op};
use crate::passes::cfg::Cfg;
use crate::print::InstText;
use crate::types::Type;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A unit that is given up twice, never, or not on every path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{function:?}, {place}: {kind}; this is a bug of the pass that ran last: see its output with `dump(func, \"hir\")`")]
pub struct OwnershipError {
    /// The function's name.
    pub function: String,
    /// The block and the instruction as text.
    pub place: String,
    /// What doesn't balance.
    pub kind: OwnershipErrorKind,
}

/// What doesn't balance.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OwnershipErrorKind {
    /// Given up without having a unit (1).
    #[error("a unit of {0} is given up, but it has none left")]
    None(Value),
    /// Paths disagree (2).
    #[error("{value} comes with {left} on one path and with {right} on another")]
    Join {
        /// The value.
        value: Value,
        /// Its units on the path seen first.
        left: Units,
        /// Its units on this path.
        right: Units,
    },
    /// A unit is left over (3).
    #[error("{value} ends here with {units}: give them up before, or pass them on")]
    Leak {
        /// The value.
        value: Value,
        /// Its units.
        units: Units,
    },
    /// A unit is left over at an exit (4).
    #[error("the exit leaves {value} with {units}: steal them by a slot of {state}, or add it to its drops")]
    ExitLeak {
        /// The value.
        value: Value,
        /// Its units.
        units: Units,
        /// The frame state.
        state: StateId,
    },
    /// An exit takes what isn't there (4).
    #[error("{state} takes a unit of {value}, but it has none left at this exit")]
    ExitNone {
        /// The value.
        value: Value,
        /// The frame state.
        state: StateId,
    },
}

/// What is known of a value's units at a point; a value that is not noted has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// The value is null, or a pair without an object.
    Null,
    /// So many, if it isn't null.
    Held(u32),
    /// So many; one less if the status, a value, is 0.
    Unless(u32, Value),
}

impl std::fmt::Display for Units {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Units::Null => f.write_str("null"),
            Units::Held(1) => f.write_str("1 unit"),
            Units::Held(units) => write!(f, "{units} units"),
            Units::Unless(units, status) => write!(f, "{units} units, one less if {status} is 0 (which nothing has tested)"),
        }
    }
}

/// Units by value, at a point.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held(BTreeMap<Value, Units>);

impl Held {
    fn get(&self, value: Value) -> Units {
        self.0.get(&value).copied().unwrap_or(Units::Held(0))
    }

    fn set(&mut self, value: Value, units: Units) {
        if units == Units::Held(0) {
            self.0.remove(&value);
        } else {
            self.0.insert(value, units);
        }
    }

    /// Takes a unit; false if there is none.
    fn take(&mut self, value: Value) -> bool {
        match self.get(value) {
            Units::Null => true,
            Units::Held(units @ 1..) => {
                self.set(value, Units::Held(units - 1));
                true
            }
            Units::Unless(units @ 2.., status) => {
                self.set(value, Units::Unless(units - 1, status));
                true
            }
            Units::Held(0) | Units::Unless(..) => false,
        }
    }

    /// The first value with units.
    fn any(&self) -> Option<(Value, Units)> {
        self.0.iter().map(|(value, units)| (*value, *units)).find(|(_, units)| *units != Units::Null)
    }
}

/// Checks a function that the [verifier](crate::verify()) accepts.
///
/// # Errors
/// The first unit that doesn't balance.
pub fn check_ownership(func: &Function) -> Result<(), OwnershipError> {
    let cfg = Cfg::new(func);
    let checker = Checker { func, cfg: &cfg, defined_in: defined_in(func, &cfg), tested: tested(func, &cfg) };
    let mut entries: BTreeMap<Block, Held> = BTreeMap::from([(Function::ENTRY, Held::default())]);
    let mut work = BTreeSet::from([0]);
    let position: BTreeMap<Block, usize> = cfg.rpo.iter().enumerate().map(|(position, block)| (*block, position)).collect();
    while let Some(next) = work.pop_first() {
        let block = cfg.rpo[next];
        for (successor, held) in checker.block(block, entries[&block].clone())? {
            let changed = match entries.entry(successor) {
                Entry::Vacant(entry) => {
                    entry.insert(held);
                    true
                }
                Entry::Occupied(mut entry) => checker.join(entry.get_mut(), &held, block)?,
            };
            if changed {
                work.insert(position[&successor]);
            }
        }
    }
    Ok(())
}

/// The block that defines each value.
fn defined_in(func: &Function, cfg: &Cfg) -> Vec<Option<Block>> {
    let mut blocks = vec![None; func.values.len()];
    for block in &cfg.rpo {
        let data = &func.blocks[block.index()];
        for value in data.params.iter().copied().chain(data.insts.iter().filter_map(|inst| func.inst(*inst).result)) {
            blocks[value.index()] = Some(*block);
        }
    }
    blocks
}

/// The values that are compared with something.
fn tested(func: &Function, cfg: &Cfg) -> BTreeSet<Value> {
    let insts = cfg.rpo.iter().flat_map(|block| &func.blocks[block.index()].insts).map(|inst| func.inst(*inst));
    insts.filter(|inst| inst.op == Op::IntCmp).flat_map(|inst| inst.args.iter().copied()).collect()
}

/// Whether somebody counts a value's references.
fn is_counted(func: &Function, value: Value) -> bool {
    const UNCOUNTED: Type = Type::NULL.union(Type::NONE).union(Type::BOOL);
    let ty = func.ty(value);
    let immortal = matches!(func.def(value), Some(InstData { op: Op::ConstObj, imm: Imm::Obj(object), .. })
        if func.objects[object.index()].immortal);
    ty == Type::PAIR || (ty.is_object() && !ty.is_subtype(UNCOUNTED) && !immortal)
}

/// The kind of each operand, those told by the immediate included.
fn operand_kinds(func: &Function, inst: &InstData) -> Vec<ArgKind> {
    let info = inst.op.info();
    if let Imm::Callee(callee) = inst.imm {
        let kind = |parameter: &Parameter| if parameter.owned { ArgKind::OwnNullable } else { ArgKind::Nullable };
        return func.callees[callee.index()].params.iter().map(kind).collect();
    }
    let told: &[ArgKind] = match inst.imm {
        Imm::Helper(helper) => helper.info().args,
        _ => &[],
    };
    let rest = info.rest.filter(|kind| *kind != ArgKind::ByImm);
    (0..inst.args.len())
        .map(|position| match info.args.get(position).copied().or(rest) {
            Some(kind) => kind,
            // An array's operands are all of the first kind.
            None => told.get(position).or(told.last()).copied().unwrap_or(ArgKind::Obj),
        })
        .collect()
}

struct Checker<'a> {
    func: &'a Function,
    cfg: &'a Cfg,
    defined_in: Vec<Option<Block>>,
    /// What is compared anywhere.
    tested: BTreeSet<Value>,
}

type Checked<T> = Result<T, OwnershipError>;

impl Checker<'_> {
    fn error(&self, block: Block, inst: Option<Inst>, kind: OwnershipErrorKind) -> OwnershipError {
        let place = match inst {
            Some(inst) => format!("{block}, `{}`", InstText::new(self.func, inst)),
            None => block.to_string(),
        };
        OwnershipError { function: self.func.name.clone(), place, kind }
    }

    /// What each successor is entered with.
    fn block(&self, block: Block, mut held: Held) -> Checked<Vec<(Block, Held)>> {
        let data = &self.func.blocks[block.index()];
        for param in &data.params {
            self.define(&mut held, *param);
        }
        let mut successors = Vec::new();
        for id in &data.insts {
            let inst = self.func.inst(*id);
            self.exit(block, *id, &held)?;
            self.instruction(&mut held, inst).map_err(|kind| self.error(block, Some(*id), kind))?;
            for (position, target) in inst.targets.iter().enumerate() {
                let mut held = held.clone();
                if inst.op == Op::Branch {
                    self.assume(&mut held, inst.args[0], position == 0);
                }
                self.edge(&mut held, target.block, &target.args).map_err(|kind| self.error(block, Some(*id), kind))?;
                successors.push((target.block, held));
            }
            let ends = inst.op.info().effects.has(Effects::TERMINATES) && inst.targets.is_empty() && inst.state.is_none();
            if let Some((value, units)) = held.any().filter(|_| ends) {
                return Err(self.error(block, Some(*id), OwnershipErrorKind::Leak { value, units }));
            }
        }
        Ok(successors)
    }

    fn define(&self, held: &mut Held, value: Value) {
        let owned = self.func.values[value.index()].owned && is_counted(self.func, value);
        held.set(value, Units::Held(u32::from(owned)));
    }

    fn take(&self, held: &mut Held, value: Value) -> Result<(), OwnershipErrorKind> {
        if !is_counted(self.func, value) || held.take(value) { Ok(()) } else { Err(OwnershipErrorKind::None(value)) }
    }

    fn instruction(&self, held: &mut Held, inst: &InstData) -> Result<(), OwnershipErrorKind> {
        for (arg, kind) in inst.args.iter().zip(operand_kinds(self.func, inst)) {
            match kind {
                ArgKind::Own | ArgKind::OwnNullable => {
                    let status = inst.result.filter(|status| self.tested.contains(status));
                    match (inst.imm, held.get(*arg), status) {
                        (Imm::Helper(Helper::InlineValueAdd), Units::Held(units @ 1..), Some(status)) => {
                            held.set(*arg, Units::Unless(units, status));
                        }
                        _ => self.take(held, *arg)?,
                    }
                }
                ArgKind::Pair if inst.op != Op::PairFailed => self.take(held, *arg)?,
                _ => {}
            }
        }
        match inst.op {
            Op::IncRef if is_counted(self.func, inst.args[0]) => match held.get(inst.args[0]) {
                Units::Null => {}
                Units::Held(units) => held.set(inst.args[0], Units::Held(units + 1)),
                Units::Unless(units, status) => held.set(inst.args[0], Units::Unless(units + 1, status)),
            },
            Op::Guard => self.assume(held, inst.args[0], true),
            Op::GuardNot => self.assume(held, inst.args[0], false),
            _ => {}
        }
        if let Some(result) = inst.result {
            self.define(held, result);
            if matches!(inst.op, Op::PairFromInt | Op::PairFromFloat) {
                held.set(result, Units::Null);
            }
        }
        Ok(())
    }

    /// What a condition says of values behind a branch or guard.
    fn assume(&self, held: &mut Held, condition: Value, is: bool) {
        let Some(def) = self.func.def(condition) else { return };
        let is_null = |value: &Value| self.func.def(*value).is_some_and(|def| def.op == Op::ConstNull);
        match (def.op, def.imm) {
            (Op::BoolNot, _) => self.assume(held, def.args[0], !is),
            (Op::IsNull | Op::PairFailed, _) if is => held.set(def.args[0], Units::Null),
            (Op::IsSame, _) if is => {
                for (value, other) in [(0, 1), (1, 0)] {
                    if is_null(&def.args[other]) {
                        held.set(def.args[value], Units::Null);
                    }
                }
            }
            (Op::IntCmp, Imm::Cond(cond)) => {
                let (status, limit) = (def.args[0], self.constant(def.args[1]));
                let Some(limit) = limit else { return };
                let (on_success, on_failure) = (int_cmp(cond, 0, limit) == is, int_cmp(cond, -1, limit) == is);
                for units in held.0.values_mut() {
                    match *units {
                        Units::Unless(count, tested) if tested == status && on_success != on_failure => {
                            *units = Units::Held(if on_success { count - 1 } else { count });
                        }
                        _ => {}
                    }
                }
                held.0.retain(|_, units| *units != Units::Held(0));
            }
            _ => {}
        }
    }

    fn constant(&self, value: Value) -> Option<i64> {
        match self.func.def(value) {
            Some(InstData { op: Op::ConstInt | Op::ConstWord, imm: Imm::Int(value), .. }) => Some(*value),
            _ => None,
        }
    }

    /// Hands the arguments over and ends what doesn't live on in the target.
    fn edge(&self, held: &mut Held, target: Block, args: &[Value]) -> Result<(), OwnershipErrorKind> {
        for (arg, param) in args.iter().zip(&self.func.blocks[target.index()].params) {
            if self.func.values[param.index()].owned && is_counted(self.func, *param) {
                self.take(held, *arg)?;
            }
        }
        let lives_on = |value: &Value| {
            self.defined_in[value.index()].is_some_and(|block| block != target && self.cfg.dominates(block, target))
        };
        let ended = Held(held.0.iter().filter(|(value, _)| !lives_on(value)).map(|(value, units)| (*value, *units)).collect());
        if let Some((value, units)) = ended.any() {
            return Err(OwnershipErrorKind::Leak { value, units });
        }
        held.0.retain(|value, _| lives_on(value));
        Ok(())
    }

    /// Adds a path to what is known at a block's start; tells whether that changed anything.
    fn join(&self, known: &mut Held, new: &Held, from: Block) -> Checked<bool> {
        let mut changed = false;
        let values: BTreeSet<Value> = known.0.keys().chain(new.0.keys()).copied().collect();
        for value in values {
            match (known.get(value), new.get(value)) {
                (left, right) if left == right => {}
                (_, Units::Null) => {}
                (Units::Null, units) => {
                    known.set(value, units);
                    changed = true;
                }
                (left, right) => {
                    let kind = OwnershipErrorKind::Join { value, left, right };
                    let last = self.func.blocks[from.index()].insts.last().copied();
                    return Err(self.error(from, last, kind));
                }
            }
        }
        Ok(changed)
    }

    /// Whether an exit takes exactly what is held (4).
    fn exit(&self, block: Block, id: Inst, held: &Held) -> Checked<()> {
        let inst = self.func.inst(id);
        let Some(state) = inst.state.filter(|_| inst.op.info().effects.has(Effects::EXITS)) else { return Ok(()) };
        let mut held = held.clone();
        match inst.op {
            Op::GuardBound => held.set(inst.args[0], Units::Null),
            Op::Guard => self.assume(&mut held, inst.args[0], false),
            Op::GuardNot => self.assume(&mut held, inst.args[0], true),
            _ => {}
        }
        let frame = &self.func.states[state.index()];
        let stolen = frame.slots().filter_map(|slot| match slot {
            Slot::Value(value, ownership) if *ownership == Ownership::Steal || self.func.ty(*value) == Type::PAIR => Some(value),
            _ => None,
        });
        for value in stolen.chain(&frame.drops) {
            if self.take(&mut held, *value).is_err() {
                return Err(self.error(block, Some(id), OwnershipErrorKind::ExitNone { value: *value, state }));
            }
        }
        match held.any() {
            Some((value, units)) => Err(self.error(block, Some(id), OwnershipErrorKind::ExitLeak { value, units, state })),
            None => Ok(()),
        }
    }
}

/// A borrowed value that is used although what it was borrowed from may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleBorrow {
    /// The value.
    pub value: Value,
    /// The block and the instruction that uses it, as text.
    pub place: String,
}

/// Looks for borrowed values that are used after an instruction that may give up or overwrite references.
///
/// A borrowed value that was read from memory is safe as long as nothing may change that memory, or once it has got a unit of its
/// own. This look doesn't know what else keeps a value alive, so that it may report what is right: a hint, no error.
pub fn stale_borrows(func: &Function) -> Vec<StaleBorrow> {
    let cfg = Cfg::new(func);
    // By value: whether it's stale. Values that are safe are left out.
    let mut entries: BTreeMap<Block, BTreeMap<Value, bool>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    let mut changed = true;
    while changed {
        changed = false;
        for block in &cfg.rpo {
            let mut borrowed = entries.get(block).cloned().unwrap_or_default();
            for id in &func.blocks[block.index()].insts {
                let inst = func.inst(*id);
                let used = inst.args.iter().chain(inst.targets.iter().flat_map(|target| &target.args));
                for value in used.copied().chain(state_values(func, inst)) {
                    if borrowed.get(&value) == Some(&true) {
                        let place = format!("{block}, `{}`", InstText::new(func, *id));
                        found.insert((*id, value), StaleBorrow { value, place });
                    }
                }
                if inst.op == Op::IncRef {
                    borrowed.remove(&inst.args[0]);
                }
                if may_give_up(func, inst) {
                    borrowed = borrowed.into_keys().map(|value| (value, true)).collect();
                }
                if let Some(result) = inst.result.filter(|result| is_borrowed_from_memory(func, inst, *result)) {
                    borrowed.insert(result, false);
                }
            }
            for successor in func.successors(*block) {
                let entry = entries.entry(successor).or_default();
                for (value, stale) in &borrowed {
                    let known = entry.insert(*value, *stale || entry.get(value) == Some(&true));
                    changed |= known != entry.get(value).copied();
                }
            }
        }
    }
    found.into_values().collect()
}

fn state_values<'a>(func: &'a Function, inst: &InstData) -> impl Iterator<Item = Value> + 'a {
    let state = inst.state.map(|state| &func.states[state.index()]);
    state.into_iter().flat_map(|state| {
        state
            .slots()
            .filter_map(|slot| if let Slot::Value(value, _) = slot { Some(*value) } else { None })
            .chain(state.drops.iter().copied())
    })
}

fn is_borrowed_from_memory(func: &Function, inst: &InstData, result: Value) -> bool {
    let data = func.values[result.index()];
    inst.op.info().effects.has(Effects::READS) && !data.owned && is_counted(func, result)
}

/// Whether an instruction may run other code, or overwrite a reference.
fn may_give_up(func: &Function, inst: &InstData) -> bool {
    let effects = match inst.imm {
        Imm::Helper(helper) => inst.op.info().effects.and(helper.info().effects),
        _ => inst.op.info().effects,
    };
    let takes = operand_kinds(func, inst).iter().any(|kind| matches!(kind, ArgKind::Own | ArgKind::OwnNullable));
    effects.has(Effects::CALLS) || (effects.has(Effects::WRITES) && takes)
}
