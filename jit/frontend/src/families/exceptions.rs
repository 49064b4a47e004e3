//! Exceptions: raising, going on at the handler, and what handlers and `with` do.

use crate::input::{Handler, PyVersion};
use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator, unsupported};
use pepjit_ir::op::Reason;
use pepjit_ir::{Cond, Helper, Imm, Op, Type, Value};

/// The numbers of special methods.
pub(super) const ENTER: i64 = 0;
const EXIT: i64 = 1;

impl Translator<'_> {
    /// The handler of the current instruction, if it's compiled.
    fn compiled_handler(&self) -> Option<Handler> {
        let unit = self.insn.unit;
        let handler = self.input.handlers.iter().find(|handler| handler.start <= unit && unit < handler.end)?;
        let fits = self.bytecode.handlers.contains(&handler.target) && self.frame.stack.len() >= handler.depth as usize;
        fits.then_some(*handler)
    }

    /// Ends the current block with the exception that is set, whose instruction has popped its operands: goes on at the handler if that's
    /// compiled, else leaves. `held` are values that the instruction has on no stack. The frame stays as it is for other ways on.
    pub(crate) fn throw(&mut self, held: &[Value]) {
        let Some(handler) = self.compiled_handler() else {
            let mut state = self.frame.state(self.insn.unit);
            state.drops.extend(held);
            let state = self.func.add_state(state);
            self.build().guard(Op::Throw, &[], Imm::None, state);
            return;
        };
        let saved = self.save();
        self.secure();
        let mut state = self.frame.state(self.insn.unit);
        state.drops.extend(held);
        let state = self.func.add_state(state);
        let exception = self.build().op_state(Op::Catch, &[], Imm::None, state);
        for value in held {
            self.build().effect(Op::DecRef, &[*value], Imm::None);
        }
        let lasti = self.here();
        self.handle(handler, lasti, exception);
        self.restore(saved);
    }

    /// The current instruction's offset, as handlers may want it on the stack.
    fn here(&mut self) -> Entry {
        let unit = i64::from(self.insn.unit);
        Entry::Value(self.build().word(unit), Owner::Word)
    }

    /// Unwinds the stack and goes on at a handler with an exception.
    fn handle(&mut self, handler: Handler, lasti: Entry, exception: Value) {
        while self.frame.stack.len() > handler.depth as usize {
            if let Some(entry) = self.frame.stack.pop() {
                self.release(entry);
            }
        }
        if handler.lasti {
            self.push(lasti);
        }
        self.push_owned(exception);
        // Handlers are compiled because they run: what they are made of is not cold.
        let start = self.func.add_block();
        self.join(start, Vec::new());
        self.block = start;
        self.edge(handler.target);
    }

    pub(super) fn raise(&mut self, arg: u32) -> Step {
        if arg == 0 {
            return self.raise_again();
        }
        self.secure();
        let cause = if arg == 2 { self.pop()? } else { Entry::Null };
        let raised = self.pop()?;
        let (raised_value, cause_value) = (self.value(raised), self.value(cause));
        self.before_call();
        self.build().effect(Op::Call, &[raised_value, cause_value], Imm::Helper(Helper::Raise));
        self.release(cause);
        self.release(raised);
        self.throw(&[]);
        self.reached_end = true;
        Ok(())
    }

    /// `raise` alone: the exception that is being handled goes on as it is.
    fn raise_again(&mut self) -> Step {
        let exception = self.build().call(Helper::Handled, &[]);
        self.guard(Op::GuardBound, &[exception], Imm::Reason(Reason::Exception));
        self.build().effect(Op::IncRef, &[exception], Imm::None);
        self.reraise_value(exception, None);
        Ok(())
    }

    pub(super) fn reraise(&mut self, arg: u32) -> Step {
        let lasti = if arg == 0 { None } else { Some(self.peek(arg as usize)?) };
        if lasti.is_some_and(|entry| !matches!(entry, Entry::Value(_, Owner::Word))) {
            // 3.13 has it as an object where the interpreter has put it there.
            self.leave(Reason::Exception);
            return Ok(());
        }
        let exception = self.pop_owned()?;
        self.reraise_value(exception, lasti);
        Ok(())
    }

    /// Goes on with an exception, of which a unit is taken, that has its traceback.
    fn reraise_value(&mut self, exception: Value, lasti: Option<Entry>) {
        if let Some(handler) = self.compiled_handler() {
            let lasti = match lasti {
                Some(entry) => entry,
                None => self.here(),
            };
            self.handle(handler, lasti, exception);
        } else {
            self.secure();
            self.build().effect(Op::Call, &[exception], Imm::Helper(Helper::SetRaised));
            self.throw_on();
        }
        self.reached_end = true;
    }

    /// Leaves with the exception that is set.
    fn throw_on(&mut self) {
        let state = self.frame.state(self.insn.unit);
        let state = self.func.add_state(state);
        self.build().guard(Op::Throw, &[], Imm::None, state);
    }

    pub(super) fn push_exc_info(&mut self) -> Step {
        let exception = self.pop()?;
        let value = self.value(exception);
        let previous = self.call_helper(Helper::PushExcInfo, &[value]);
        self.push_owned(previous);
        self.push(exception);
        Ok(())
    }

    pub(super) fn pop_except(&mut self) -> Step {
        let previous = self.pop_owned()?;
        self.before_call();
        self.build().effect(Op::Call, &[previous], Imm::Helper(Helper::PopExcept));
        Ok(())
    }

    pub(super) fn check_exc_match(&mut self) -> Step {
        let (exception, class) = (self.peek(1)?, self.peek(0)?);
        let (exception, value) = (self.value(exception), self.value(class));
        let status = self.call_helper(Helper::CheckExcMatch, &[exception, value]);
        let class = self.pop()?;
        self.release(class);
        self.check_status(status);
        let zero = self.build().int(0);
        let truth = self.op_imm(Op::IntCmp, &[status, zero], Imm::Cond(Cond::Ne));
        self.push_bool(truth);
        Ok(())
    }

    /// Calls the exit function of a `with` statement, which has raised: below the exception on the stack are the one from before, the raising
    /// instruction's offset, and the function (from 3.14 on with its `self`).
    pub(super) fn with_except_start(&mut self) -> Step {
        self.secure();
        let exception = self.peek(0)?;
        let (function, itself) =
            if self.input.version >= PyVersion::V314 { (self.peek(4)?, self.peek(3)?) } else { (self.peek(3)?, Entry::Null) };
        let args = [self.value(function), self.value(itself), self.value(exception)];
        let result = self.call_helper(Helper::WithExceptStart, &args);
        self.push_result(result);
        Ok(())
    }

    pub(super) fn load_special(&mut self, which: u32) -> Step {
        self.generic += 1;
        self.secure();
        let owner = self.peek(0)?;
        let (value, which) = (self.value(owner), self.build().int(i64::from(which)));
        let method = self.call_helper(Helper::LoadSpecial, &[value, which]);
        let failed = self.op(Op::IsNull, &[method]);
        self.throw_if(failed);
        self.func.values[method.index()].ty = Type::OBJECT;
        let itself = self.take_scratch(0);
        let owner = self.pop()?;
        self.release(owner);
        self.push_owned(method);
        self.push_owned(itself);
        Ok(())
    }

    /// 3.13: the bound exit function, and what entering gives.
    pub(super) fn before_with(&mut self) -> Step {
        self.generic += 2;
        self.secure();
        let manager = self.peek(0)?;
        let value = self.value(manager);
        let which = self.build().int(ENTER);
        let enter = self.call_helper(Helper::LoadSpecial, &[value, which]);
        let failed = self.op(Op::IsNull, &[enter]);
        self.throw_if(failed);
        let which = self.build().int(EXIT);
        let exit = self.call_helper(Helper::LoadSpecial, &[value, which]);
        let failed = self.op(Op::IsNull, &[exit]);
        self.throw_if_holding(failed, enter);
        for method in [enter, exit] {
            self.func.values[method.index()].ty = Type::OBJECT;
        }
        let manager = self.pop()?;
        self.release(manager);
        let null = self.build().null();
        let result = self.call_helper(Helper::EnterContext, &[enter, null]);
        self.build().effect(Op::DecRef, &[enter], Imm::None);
        let failed = self.op(Op::IsNull, &[result]);
        self.throw_if_holding(failed, exit);
        self.func.values[result.index()].ty = Type::OBJECT;
        self.push_owned(exit);
        self.push_owned(result);
        Ok(())
    }

    pub(super) fn assertion_error(&mut self) -> Step {
        let Some(object) = self.world.common_constant(0) else { return unsupported("LOAD_ASSERTION_ERROR") };
        self.push_const(object);
        Ok(())
    }
}
