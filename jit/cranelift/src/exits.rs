//! Side exits: cold code that stores the live values to a buffer and hands it, with a record, to the runtime.
//!
//! Most of what an exit stores others store as well: the locals of a function change less often than it has exits. So the values are put
//! in one order, those first that most exits need, and the buffer is filled from the last to the first: two exits whose values begin with
//! the same ones end in the same code. What remains of an exit is a block that notes its record and stores what no other needs; one block per
//! function (with and without a light frame) calls the runtime. Register allocation, most of the time of compiling, takes
//! the longer the more places use a value apart from its others: it's the number of these stores that counts, not that of the jumps.

use crate::emit::Region;
use crate::error::internal;
use crate::lower::{Lower, Lowered, state_of};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};
use pepjit_backend::{BackendError, ExitPlan, plan_exit};
use pepjit_ir::op::Reason;
use pepjit_ir::{FunctionKind, InstData, StateId, Value};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// A frame state, and what has already happened to the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Site {
    state: StateId,
    entered: bool,
    pushed: bool,
}

/// The exits of a function, in the order in which they were first asked for.
#[derive(Debug, Default)]
pub(crate) struct Exits {
    blocks: HashMap<(Site, Reason, bool), ir::Block>,
    order: Vec<(Site, Reason, bool, ir::Block)>,
}

/// The ends of the exits' code: a tree of stores, each of which leads to the one before it.
#[derive(Debug, Default)]
struct Tails {
    all: Vec<Tail>,
    /// What stores a value (or nothing, and whether a light frame has been pushed) before going on with another.
    known: HashMap<(Option<usize>, Option<Value>, bool), usize>,
    /// Blocks that have been asked for and are still empty.
    pending: Vec<(usize, ir::Block)>,
}

#[derive(Debug)]
struct Tail {
    store: Store,
    /// How many lead here.
    ways: usize,
    block: Option<ir::Block>,
}

#[derive(Clone, Copy, Debug)]
enum Store {
    /// A value, to a word of the buffer, and what is still to be done.
    Value { value: Value, word: u32, below: usize },
    /// The buffer is full.
    Nothing { pushed: bool },
}

impl Tails {
    /// The end of an exit that stores these values.
    fn add(&mut self, pushed: bool, stores: impl Iterator<Item = (u32, Value)>) -> usize {
        let mut at = self.find((None, None, pushed), Store::Nothing { pushed });
        for (word, value) in stores {
            at = self.find((Some(at), Some(value), pushed), Store::Value { value, word, below: at });
        }
        self.all[at].ways += 1;
        at
    }

    fn find(&mut self, key: (Option<usize>, Option<Value>, bool), store: Store) -> usize {
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if let Store::Value { below, .. } = store {
            self.all[below].ways += 1;
        }
        let new = self.all.len();
        self.all.push(Tail { store, ways: 0, block: None });
        self.known.insert(key, new);
        new
    }
}

impl Lower<'_, '_> {
    /// Leaves with the instruction's frame state if the condition holds.
    pub(crate) fn leave_if(&mut self, inst: &InstData, condition: ir::Value, reason: Reason) -> Result<(), BackendError> {
        let exit = self.exit_block(inst, reason, false)?;
        self.e.branch_if(condition, exit);
        Ok(())
    }

    /// Leaves with the instruction's frame state unless the condition holds.
    pub(crate) fn leave_unless(&mut self, inst: &InstData, condition: ir::Value, reason: Reason) -> Result<(), BackendError> {
        let exit = self.exit_block(inst, reason, false)?;
        self.e.branch_unless(condition, exit);
        Ok(())
    }

    /// Leaves with the instruction's frame state if the condition holds, and else goes on in a block.
    pub(crate) fn leave_or_go_on(
        &mut self,
        inst: &InstData,
        condition: ir::Value,
        reason: Reason,
        next: ir::Block,
    ) -> Result<(), BackendError> {
        let exit = self.exit_block(inst, reason, false)?;
        self.e.fb.ins().brif(condition, exit, &[], next, &[]);
        Ok(())
    }

    /// Leaves.
    pub(crate) fn exit_always(&mut self, inst: &InstData, reason: Reason, throw: bool) -> Result<(), BackendError> {
        let exit = self.exit_block(inst, reason, throw)?;
        self.e.fb.ins().jump(exit, &[]);
        Ok(())
    }

    /// The block that leaves with the instruction's frame state.
    pub(crate) fn exit_block(&mut self, inst: &InstData, reason: Reason, throw: bool) -> Result<ir::Block, BackendError> {
        let site = Site { state: state_of(inst)?, entered: self.entered, pushed: self.pushed };
        if let Some(block) = self.exits.blocks.get(&(site, reason, throw)) {
            return Ok(*block);
        }
        let block = self.e.cold_block();
        self.exits.blocks.insert((site, reason, throw), block);
        self.exits.order.push((site, reason, throw, block));
        Ok(block)
    }

    /// Fills the blocks of all exits. The rest of the function must be complete.
    pub(crate) fn emit_exits(&mut self) -> Result<(), BackendError> {
        let exits = std::mem::take(&mut self.exits);
        if exits.order.is_empty() {
            return Ok(());
        }
        let mut plans: Vec<ExitPlan> = Vec::with_capacity(exits.order.len());
        let mut sites = HashSet::new();
        let mut uses = vec![0_u32; self.func.values.len()];
        for (site, reason, throw, _) in &exits.order {
            let plan = plan_exit(self.func, &self.func.states[site.state.index()], *reason, *throw, site.entered);
            if sites.insert(*site) {
                plan.stores.iter().for_each(|(_, value)| uses[value.index()] += 1);
            }
            plans.push(plan);
        }
        let mut tails = Tails::default();
        let mut ends = Vec::with_capacity(plans.len());
        for (plan, (site, ..)) in plans.iter_mut().zip(&exits.order) {
            plan.in_order(|value| (Reverse(uses[value.index()]), value));
            ends.push(tails.add(site.pushed, plan.stores.iter().copied()));
        }
        let words = plans.iter().map(|plan| plan.record.words).max().unwrap_or(0);
        // Behind the values: the record.
        let buffer = self.e.stack_slot(words + 1);
        let record_at = 8 * i64::from(words);
        for ((plan, end), (.., block)) in plans.into_iter().zip(ends).zip(exits.order) {
            let record = self.linkage.add_exit(plan.record);
            self.e.fb.switch_to_block(block);
            let record = self.e.address(record);
            let base = self.e.stack_address(buffer);
            self.e.store(Region::Native, record, base, record_at);
            self.fill_buffer(&mut tails, end, base)?;
        }
        while let Some((tail, block)) = tails.pending.pop() {
            self.e.fb.switch_to_block(block);
            match tails.all[tail].store {
                Store::Value { value, word, below } => {
                    let base = self.e.stack_address(buffer);
                    self.store_value(value, base, word)?;
                    self.fill_buffer(&mut tails, below, base)?;
                }
                Store::Nothing { pushed } => self.call_runtime(buffer, record_at, pushed)?,
            }
        }
        Ok(())
    }

    /// Goes on in the current block with what an exit has to store, up to where it can share the code of others.
    fn fill_buffer(&mut self, tails: &mut Tails, from: usize, base: ir::Value) -> Result<(), BackendError> {
        let mut at = from;
        while let Tail { ways: 1, store: Store::Value { value, word, below }, .. } = tails.all[at] {
            self.store_value(value, base, word)?;
            at = below;
        }
        let block = tails.all[at].block.unwrap_or_else(|| {
            let block = self.e.cold_block();
            tails.all[at].block = Some(block);
            tails.pending.push((at, block));
            block
        });
        self.e.fb.ins().jump(block, &[]);
        Ok(())
    }

    /// Puts a value into a buffer for the C side, from a word on: an unboxed one, or one that may be either, as two words.
    pub(crate) fn store_value(&mut self, value: Value, base: ir::Value, word: u32) -> Result<(), BackendError> {
        let offset = 8 * i64::from(word);
        match self.lowered(value)? {
            Lowered::One(one) => {
                let bits = self.e.word_of(one);
                self.e.store(Region::Native, bits, base, offset);
            }
            Lowered::Pair(payload, tag) => {
                self.e.store(Region::Native, payload, base, offset);
                self.e.store(Region::Native, tag, base, offset + 8);
            }
        }
        Ok(())
    }

    fn call_runtime(&mut self, buffer: ir::StackSlot, record_at: i64, pushed: bool) -> Result<(), BackendError> {
        let addresses = self.e.addresses;
        let (address, frame) = match (self.func.kind, self.frame) {
            (FunctionKind::Entry, _) if pushed => (addresses.exit_function, self.light_frame()?),
            (FunctionKind::Entry, _) => (addresses.exit_function, self.e.int(0)),
            (FunctionKind::Loop { .. } | FunctionKind::Resume { .. }, Some(frame)) => (addresses.exit_loop, frame),
            (FunctionKind::Loop { .. } | FunctionKind::Resume { .. }, None) => return Err(internal("the loop has no frame")),
        };
        if let (Some(function), false) = (self.function, pushed) {
            // Where the exit looks for it: another function of this code may have run meanwhile.
            let cell = self.e.address(self.e.addresses.function_cell);
            self.e.store(Region::Heap, function, cell, 0);
        }
        let base = self.e.stack_address(buffer);
        let record = self.e.load(I64, Region::Native, base, record_at);
        let call = self.e.call(address, &[self.tstate, frame, record, base], &[I64, I64]);
        let (payload, tag) = self.e.results(call);
        self.e.fb.ins().return_(&[payload, tag]);
        Ok(())
    }
}
