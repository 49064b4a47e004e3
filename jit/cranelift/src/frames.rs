//! Entering and leaving: the recursion limit, light frames, polling, returns.

use crate::emit::Region;
use crate::error::internal;
use crate::lower::{Lower, state_of};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{self, InstBuilder};
use pepjit_backend::BackendError;
use pepjit_ir::op::Reason;
use pepjit_ir::{Block, Field, Function, FunctionKind, InstData, Op};

impl Lower<'_, '_> {
    /// Takes one off the recursion limit as `_Py_EnterRecursivePy` does, and compares the native stack.
    pub(crate) fn enter(&mut self, block: Block, inst: &InstData) -> Result<(), BackendError> {
        let first = self.func.blocks[Function::ENTRY.index()].insts.first().map(|first| self.func.inst(*first));
        let is_first = block == Function::ENTRY && first.is_some_and(|first| std::ptr::eq(first, inst));
        if self.func.kind != FunctionKind::Entry || !is_first {
            return Err(internal("`enter` is not the first instruction of an entry function"));
        }
        if self.e.addresses.function_cell != 0 {
            self.function = Some(self.e.load_word(self.e.addresses.function_cell));
        }
        let offset = i64::from(self.e.layout.frame.py_recursion_remaining);
        let remaining = self.e.load(I32, Region::Thread, self.tstate, offset);
        let exhausted = self.e.compare(IntCC::SignedLessThanOrEqual, remaining, 0);
        self.leave_if(inst, exhausted, Reason::Recursion)?;
        let limit = self.e.load_word(self.e.addresses.stack_limit);
        let top = self.e.fb.ins().get_stack_pointer(I64);
        let below = self.e.fb.ins().icmp(IntCC::UnsignedLessThan, top, limit);
        self.leave_if(inst, below, Reason::Recursion)?;
        let remaining = self.e.fb.ins().iadd_imm_s(remaining, -1);
        self.e.store(Region::Thread, remaining, self.tstate, offset);
        self.entered = true;
        Ok(())
    }

    /// Pushes a light frame onto the data stack, as `_PyFrame_PushUnchecked` does, without locals.
    pub(crate) fn push_frame(&mut self, inst: &InstData) -> Result<(), BackendError> {
        if self.func.kind != FunctionKind::Entry || self.pushed {
            return Err(internal("`push_frame` in a loop, or with a light frame already pushed"));
        }
        let layout = &self.e.layout.frame;
        let frame = self.e.load(I64, Region::Thread, self.tstate, layout.datastack_top.into());
        let limit = self.e.load(I64, Region::Thread, self.tstate, layout.datastack_limit.into());
        let end = self.e.fb.ins().iadd_imm_s(frame, i64::from(layout.frame_size));
        let full = self.e.fb.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, end, limit);
        let (grow, fits, done) = (self.e.cold_block(), self.e.block(), self.e.block());
        self.e.fb.append_block_param(done, I64);
        self.e.fb.ins().brif(full, grow, &[], fits, &[]);

        // The runtime pushes a frame of the same kind onto a new piece of the stack.
        self.e.fb.switch_to_block(grow);
        let function = self.current_function();
        let call = self.e.call(self.e.addresses.push_frame, &[self.tstate, function], &[I64]);
        let grown = self.e.result(call);
        let failed = self.e.compare(IntCC::Equal, grown, 0);
        self.leave_if(inst, failed, Reason::Recursion)?;
        self.e.fb.ins().jump(done, &[grown.into()]);

        self.e.fb.switch_to_block(fits);
        let layout = &self.e.layout.frame;
        for (offset, word) in &layout.template {
            let word = self.e.address(*word);
            self.e.store(Region::Thread, word, frame, i64::from(*offset));
        }
        if let Some(function) = self.function {
            // With the tag bits that the template's function has.
            let word = layout.template.iter().find(|(offset, _)| *offset == layout.funcobj).map_or(0, |(_, word)| *word);
            let tag = word.wrapping_sub(self.e.addresses.function);
            let tagged = self.e.fb.ins().iadd_imm_s(function, tag.cast_signed());
            self.e.store(Region::Thread, tagged, frame, layout.funcobj.into());
        }
        let previous = self.e.load(I64, Region::Thread, self.tstate, layout.current_frame.into());
        self.e.store(Region::Thread, previous, frame, layout.previous.into());
        if let Some(offset) = layout.stackpointer {
            let stack = i64::from(layout.localsplus) + 8 * i64::from(self.func.locals);
            let stack = self.e.fb.ins().iadd_imm_s(frame, stack);
            self.e.store(Region::Thread, stack, frame, offset.into());
        }
        let first = self.e.address(layout.code_start.wrapping_add(2 * u64::from(self.func.first_traceable)));
        self.e.store(Region::Thread, first, frame, layout.instr_ptr.into());
        self.e.store(Region::Thread, frame, self.tstate, layout.current_frame.into());
        self.e.store(Region::Thread, end, self.tstate, layout.datastack_top.into());
        self.e.fb.ins().jump(done, &[frame.into()]);

        self.e.fb.switch_to_block(done);
        let frame = self.e.fb.block_params(done)[0];
        self.set_light_frame(frame);
        self.pushed = true;
        self.start_views(frame);
        Ok(())
    }

    /// Notes in the frame which instruction is being executed.
    pub(crate) fn set_instruction(&mut self, unit: i64) -> Result<(), BackendError> {
        let frame = match self.frame {
            Some(frame) => frame,
            None if self.pushed => self.light_frame()?,
            None => return Err(internal("`set_instruction` without a light frame")),
        };
        let layout = &self.e.layout.frame;
        let address = self.e.address(layout.code_start.wrapping_add_signed(2 * unit));
        self.e.store(Region::Thread, address, frame, layout.instr_ptr.into());
        Ok(())
    }

    /// Whether the thread's eval breaker is not what it is when nothing is wanted.
    pub(crate) fn wanted(&mut self) -> ir::Value {
        let offset = self.e.offset(Field::EvalBreaker);
        let breaker = self.e.load_shared(self.tstate, offset);
        let quiet = self.e.load_word(self.e.addresses.quiet_breaker);
        self.e.fb.ins().icmp(IntCC::NotEqual, breaker, quiet)
    }

    /// Goes on in the current block only if something is wanted, else in the one that it gives.
    fn unless_quiet(&mut self) -> ir::Block {
        let wanted = self.wanted();
        let (serve, done) = (self.e.cold_block(), self.e.block());
        self.e.fb.ins().brif(wanted, serve, &[], done, &[]);
        self.e.fb.switch_to_block(serve);
        done
    }

    /// Calls the runtime if something is wanted. Without a frame of its own a function leaves matters to its callers, except that it
    /// doesn't run while others watch.
    pub(crate) fn poll(&mut self, inst: &InstData) -> Result<(), BackendError> {
        if self.frame.is_none() && !self.pushed {
            return self.leave_if_watched(inst, Reason::Pending);
        }
        let done = self.unless_quiet();
        let unit = self.func.states[state_of(inst)?.index()].offset;
        self.set_instruction(unit.into())?;
        self.show_locals_here(inst)?;
        let call = self.e.call(self.e.addresses.poll, &[self.tstate], &[I32]);
        let verdict = self.e.result(call);
        let raised = self.e.compare(IntCC::SignedLessThan, verdict, 0);
        let throw = self.exit_block(inst, Reason::Exception, true)?;
        self.e.branch_if(raised, throw);
        self.leave_or_go_on(inst, verdict, Reason::Pending, done)?;

        self.e.fb.switch_to_block(done);
        Ok(())
    }

    /// Leaves if a call has looked at the frame, or if others watch from now on.
    pub(crate) fn watch(&mut self, inst: &InstData) -> Result<(), BackendError> {
        self.leave_if_watched(inst, Reason::Observed)
    }

    fn leave_if_watched(&mut self, inst: &InstData, reason: Reason) -> Result<(), BackendError> {
        let done = self.unless_quiet();
        let call = self.e.call(self.e.addresses.watch, &[self.tstate], &[I32]);
        let verdict = self.e.result(call);
        self.leave_or_go_on(inst, verdict, reason, done)?;

        self.e.fb.switch_to_block(done);
        Ok(())
    }

    /// Takes the exception that is set, noting in its traceback where it was raised, or leaves with it.
    pub(crate) fn catch(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let unit = self.func.states[state_of(inst)?.index()].offset;
        self.set_instruction(unit.into())?;
        let call = self.e.call(self.e.addresses.catch, &[self.tstate], &[I64]);
        let exception = self.e.result(call);
        let throw = self.exit_block(inst, Reason::Exception, true)?;
        self.e.branch_unless(exception, throw);
        Ok(exception)
    }

    /// Leaves if somebody has a frame object of the frame.
    pub(crate) fn guard_unseen(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let frame = match self.frame {
            Some(frame) => frame,
            None if self.pushed => self.light_frame()?,
            None => return Err(internal("`guard_unseen` without a light frame")),
        };
        let object = self.e.load(I64, Region::Thread, frame, self.e.layout.frame.frame_obj.into());
        let (taken, done) = (self.e.cold_block(), self.e.block());
        self.e.fb.ins().brif(object, taken, &[], done, &[]);

        // With the frame's own reference alone nobody has it any more.
        self.e.fb.switch_to_block(taken);
        let offset = self.e.offset(Field::RefCount);
        let count = self.e.load(I32, Region::Heap, object, offset);
        let shared = self.e.compare(IntCC::NotEqual, count, 1);
        self.leave_or_go_on(inst, shared, Reason::Pending, done)?;

        self.e.fb.switch_to_block(done);
        Ok(())
    }

    /// Returns an object, an unboxed int or a double, with its tag.
    pub(crate) fn return_value(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let value = self.arg(inst, 0)?;
        let payload = self.e.word_of(value);
        let tag = self.e.int(match inst.op {
            Op::ReturnInt => 0,
            Op::ReturnFloat => 2,
            _ => 1,
        });
        self.leave_frame()?;
        self.e.fb.ins().return_(&[payload, tag]);
        Ok(())
    }

    /// Undoes `push_frame` and `enter`.
    fn leave_frame(&mut self) -> Result<(), BackendError> {
        self.end_views();
        let layout = &self.e.layout.frame;
        if self.pushed {
            let frame = self.light_frame()?;
            let (taken, popped) = (self.e.cold_block(), self.e.block());
            let frame_object = self.e.load(I64, Region::Thread, frame, layout.frame_obj.into());
            self.e.branch_if(frame_object, taken);
            let previous = self.e.load(I64, Region::Thread, frame, layout.previous.into());
            self.e.store(Region::Thread, previous, self.tstate, layout.current_frame.into());
            self.e.store(Region::Thread, frame, self.tstate, layout.datastack_top.into());
            self.e.fb.ins().jump(popped, &[]);

            self.e.fb.switch_to_block(taken);
            self.e.call(self.e.addresses.pop_frame, &[self.tstate, frame], &[]);
            self.e.fb.ins().jump(popped, &[]);

            self.e.fb.switch_to_block(popped);
        }
        if self.entered {
            let offset = i64::from(layout.py_recursion_remaining);
            let remaining: ir::Value = self.e.load(I32, Region::Thread, self.tstate, offset);
            let remaining = self.e.fb.ins().iadd_imm_s(remaining, 1);
            self.e.store(Region::Thread, remaining, self.tstate, offset);
        }
        Ok(())
    }
}
