//! Side exits: cold code that stores the live values to a buffer and hands it, with a record, to the runtime.
//!
//! An exit is three blocks, so that it costs little code: one per frame state and reason that names the record, one per frame
//! state that fills the buffer, and one per function (with and without a light frame) that calls the runtime.

use crate::emit::Region;
use crate::error::internal;
use crate::lower::{Lower, Lowered, state_of};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};
use pepjit_backend::{BackendError, plan_exit};
use pepjit_ir::op::Reason;
use pepjit_ir::{FunctionKind, InstData, StateId, Value};
use std::collections::HashMap;

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
        let Some(words) = exits.order.iter().map(|(site, ..)| self.buffer_words(site.state)).max() else { return Ok(()) };
        let buffer = self.e.stack_slot(words.max(1));
        let mut fills = HashMap::new();
        let mut calls = HashMap::new();
        for (site, reason, throw, block) in exits.order {
            let plan = plan_exit(self.func, &self.func.states[site.state.index()], reason, throw, site.entered);
            let record = self.linkage.add_exit(plan.record);
            let known = fills.get(&site).copied();
            let fill = known.unwrap_or_else(|| self.record_block());
            self.e.fb.switch_to_block(block);
            let record = self.e.address(record);
            self.e.fb.ins().jump(fill, &[record.into()]);
            if known.is_some() {
                continue;
            }
            fills.insert(site, fill);
            let call = *calls.entry(site.pushed).or_insert_with(|| self.record_block());
            self.fill_buffer(fill, call, buffer, &plan.stores)?;
        }
        for (pushed, call) in calls {
            self.call_runtime(call, buffer, pushed)?;
        }
        Ok(())
    }

    /// How many words of the buffer a frame state needs.
    fn buffer_words(&self, state: StateId) -> u32 {
        plan_exit(self.func, &self.func.states[state.index()], Reason::Class, false, false).record.words
    }

    /// A cold block with a record for its parameter.
    fn record_block(&mut self) -> ir::Block {
        let block = self.e.cold_block();
        self.e.fb.append_block_param(block, I64);
        block
    }

    fn fill_buffer(
        &mut self,
        fill: ir::Block,
        call: ir::Block,
        buffer: ir::StackSlot,
        stores: &[(u32, Value)],
    ) -> Result<(), BackendError> {
        self.e.fb.switch_to_block(fill);
        let record = self.e.fb.block_params(fill)[0];
        let base = self.e.stack_address(buffer);
        for (word, value) in stores {
            let offset = 8 * i64::from(*word);
            match self.lowered(*value)? {
                Lowered::One(one) => {
                    let bits = self.e.word_of(one);
                    self.e.store(Region::Native, bits, base, offset);
                }
                Lowered::Pair(payload, tag) => {
                    self.e.store(Region::Native, payload, base, offset);
                    self.e.store(Region::Native, tag, base, offset + 8);
                }
            }
        }
        self.e.fb.ins().jump(call, &[record.into()]);
        Ok(())
    }

    fn call_runtime(&mut self, block: ir::Block, buffer: ir::StackSlot, pushed: bool) -> Result<(), BackendError> {
        self.e.fb.switch_to_block(block);
        let record = self.e.fb.block_params(block)[0];
        let addresses = self.e.addresses;
        let (address, frame) = match (self.func.kind, self.frame) {
            (FunctionKind::Entry, _) if pushed => (addresses.exit_function, self.e.fb.use_var(self.light_frame)),
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
        let call = self.e.call(address, &[self.tstate, frame, record, base], &[I64, I64]);
        let (payload, tag) = self.e.results(call);
        self.e.fb.ins().return_(&[payload, tag]);
        Ok(())
    }
}
