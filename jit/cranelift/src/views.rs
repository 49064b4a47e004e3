//! What others see of a compiled frame's locals while it calls: they're stored in a buffer on the native stack, whose address the
//! frame has, before each call that may run other code. A store is left out where the buffer holds the value on every way there.

use crate::emit::Region;
use crate::lower::Lower;
use cranelift_codegen::ir;
use pepjit_backend::{BackendError, View, ViewPlan, plan_view};
use pepjit_ir::{Block, InstData, Value};
use std::collections::HashMap;

/// Bytes from the buffer's start.
const TABLE: i64 = 8 * View::TABLE as i64;
const VARIANT: i64 = 8 * View::VARIANT as i64;
const OBSERVED: i64 = 8 * View::OBSERVED as i64;

/// The buffer, and what it holds.
#[derive(Debug, Default)]
pub(crate) struct Views {
    /// The buffer and the address of the table, if anything is to be seen.
    buffer: Option<(ir::StackSlot, u64)>,
    /// What is to be seen where.
    plan: ViewPlan,
    /// The value in each word at the current point.
    held: HashMap<u32, Value>,
    /// By block: what is held on every way to it that is known, and how many of its edges are.
    arriving: HashMap<Block, (HashMap<u32, Value>, usize)>,
    /// How many edges lead to each block.
    edges: HashMap<Block, usize>,
}

impl Views {
    /// Starts a block: with what all ways to it hold, if they are all known.
    pub(crate) fn enter(&mut self, block: Block) {
        let all = self.edges.get(&block).copied();
        self.held = match self.arriving.remove(&block) {
            Some((held, edges)) if Some(edges) == all => held,
            _ => HashMap::new(),
        };
    }

    /// Ends a block with these successors.
    pub(crate) fn leave_for(&mut self, inst: &InstData) {
        if self.buffer.is_none() {
            return;
        }
        for target in &inst.targets {
            let (held, edges) = self.arriving.entry(target.block).or_insert_with(|| (self.held.clone(), 0));
            held.retain(|word, value| self.held.get(word) == Some(value));
            *edges += 1;
        }
    }
}

impl Lower<'_, '_> {
    /// Finds out what is to be seen where, before code is made.
    pub(crate) fn plan_views(&mut self, order: &[Block]) {
        let func = self.func;
        let insts = order.iter().flat_map(|block| &func.blocks[block.index()].insts).map(|inst| func.inst(*inst));
        for target in insts.flat_map(|inst| &inst.targets) {
            *self.views.edges.entry(target.block).or_default() += 1;
        }
        let Some(plan) = ViewPlan::new(func, order) else { return };
        let table = self.linkage.add_views(plan.views());
        if table != 0 {
            let buffer = self.e.stack_slot(View::word(func.locals));
            self.views.buffer = Some((buffer, table));
        }
        self.views.plan = plan;
    }

    /// Gives the frame its buffer.
    pub(crate) fn start_views(&mut self, frame: ir::Value) {
        let Some((buffer, table)) = self.views.buffer else { return };
        let base = self.e.stack_address(buffer);
        let table = self.e.address(table);
        self.e.store(Region::Native, table, base, TABLE);
        let nobody = self.e.int(0);
        self.e.store(Region::Native, nobody, base, OBSERVED);
        let entry = i64::from(self.e.layout.frame.localsplus) + 8 * i64::from(self.func.locals);
        self.e.store(Region::Thread, base, frame, entry);
    }

    /// Takes the buffer away from a frame that goes on without this code.
    pub(crate) fn end_views(&mut self) {
        if let (Some(frame), Some(_)) = (self.frame, self.views.buffer) {
            self.e.call(self.e.addresses.forget_view, &[self.tstate, frame], &[]);
        }
    }

    /// Stores the locals that the instruction's frame state tells of, where they aren't stored yet.
    pub(crate) fn show_locals(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let mut held = std::mem::take(&mut self.views.held);
        let shown = self.show(inst, &mut held);
        self.views.held = held;
        shown
    }

    /// The same on a way that rejoins the one without these stores.
    pub(crate) fn show_locals_here(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let mut here = self.views.held.clone();
        self.show(inst, &mut here)?;
        self.views.held.retain(|word, value| here.get(word) == Some(value));
        Ok(())
    }

    fn show(&mut self, inst: &InstData, held: &mut HashMap<u32, Value>) -> Result<(), BackendError> {
        let (Some((buffer, _)), Some(state)) = (self.views.buffer, inst.state) else { return Ok(()) };
        let state = &self.func.states[state.index()];
        let (slots, stores) = plan_view(self.func, state);
        let base = self.e.stack_address(buffer);
        if let Some(variant) = self.views.plan.variant(state.offset, &slots) {
            let variant = self.e.int(variant.into());
            self.e.store(Region::Native, variant, base, VARIANT);
        }
        for (word, value) in stores {
            if held.get(&word) == Some(&value) {
                continue;
            }
            self.store_value(value, base, word)?;
            held.insert(word, value);
        }
        Ok(())
    }
}
