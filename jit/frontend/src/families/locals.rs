//! Locals, cells, free variables.

use crate::input::LocalKind;
use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator, unsupported};
use pepjit_ir::op::Reason;
use pepjit_ir::{Field, Helper, Imm, Op, Type, Value};

impl Translator<'_> {
    pub(super) fn load_fast(&mut self, local: u32) -> Step {
        let entry = match self.frame.locals[local as usize] {
            // The compiler proves that the local is bound.
            Entry::Null => return unsupported("unbound local"),
            Entry::Value(value, Owner::Slot) => Entry::Value(value, Owner::Local(local)),
            other => other,
        };
        if let Entry::Value(value, _) = entry {
            self.bound.insert(value);
        }
        self.push(entry);
        Ok(())
    }

    /// Leaves if a local is unbound. False: it's certain to be, and nothing follows.
    fn guard_bound(&mut self, local: u32) -> bool {
        let entry = self.frame.locals[local as usize];
        if entry == Entry::Null {
            self.leave(Reason::Unbound);
            return false;
        }
        if self.ty(entry).may_be_null() {
            let value = self.value(entry);
            self.guard(Op::GuardBound, &[value], Imm::Reason(Reason::Unbound));
        }
        true
    }

    pub(super) fn load_fast_check(&mut self, local: u32) -> Step {
        if self.guard_bound(local) { self.load_fast(local) } else { Ok(()) }
    }

    pub(super) fn store_fast(&mut self, local: u32) -> Step {
        let entry = self.pop()?;
        self.store_local(local, entry);
        Ok(())
    }

    pub(super) fn load_fast_and_clear(&mut self, local: u32) -> Step {
        let entry = std::mem::replace(&mut self.frame.locals[local as usize], Entry::Null);
        // Who borrowed from the local now borrows from the stack entry, which may go first.
        self.settle_borrowers(local);
        self.push(entry);
        Ok(())
    }

    pub(super) fn delete_fast(&mut self, local: u32) -> Step {
        if self.guard_bound(local) {
            self.store_local(local, Entry::Null);
        }
        Ok(())
    }

    pub(super) fn make_cell(&mut self, local: u32) -> Step {
        let content = std::mem::replace(&mut self.frame.locals[local as usize], Entry::Null);
        let content = self.owned(content);
        let cell = self.build().call(Helper::MakeCell, &[content]);
        let failed = self.op(Op::IsNull, &[cell]);
        self.throw_if(failed);
        self.func.values[cell.index()].ty = Type::CELL;
        self.frame.locals[local as usize] = Entry::Value(cell, Owner::Slot);
        Ok(())
    }

    pub(super) fn copy_free_vars(&mut self, count: u32) -> Step {
        let count = count as usize;
        if self.input.closure.len() != count {
            return unsupported("closure");
        }
        let first = self.frame.locals.len() - count;
        // Not constants, even where one function alone has this code: then the code would keep what its cells hold.
        let function = self.op(Op::CurrentFunction, &[]);
        let closure = self.op_imm(Op::LoadField, &[function], Imm::Field(Field::FunctionClosure));
        self.func.values[closure.index()].ty = Type::TUPLE;
        let cells = self.op_imm(Op::AddressOfField, &[closure], Imm::Field(Field::TupleItems));
        for index in 0..count {
            let position = self.build().word(index as i64);
            let cell = self.op(Op::LoadItem, &[cells, position]);
            self.func.values[cell.index()].ty = Type::CELL;
            // The function keeps its closure, and who calls it keeps the function.
            self.frame.locals[first + index] = Entry::Value(cell, Owner::Outside);
        }
        Ok(())
    }

    pub(super) fn cell(&mut self, local: u32) -> Step<Value> {
        let entry = self.frame.locals[local as usize];
        if entry == Entry::Null || self.input.locals[local as usize].0 == LocalKind::Local {
            return unsupported("cell");
        }
        Ok(self.value(entry))
    }

    pub(super) fn load_deref(&mut self, local: u32) -> Step {
        let cell = self.cell(local)?;
        let content = self.op_imm(Op::LoadField, &[cell], Imm::Field(Field::CellContents));
        self.guard(Op::GuardBound, &[content], Imm::Reason(Reason::Unbound));
        self.func.values[content.index()].ty = Type::OBJECT;
        self.push(Entry::Value(content, Owner::Memory));
        Ok(())
    }

    pub(super) fn store_deref(&mut self, local: u32) -> Step {
        let entry = self.pop()?;
        self.secure();
        let cell = self.cell(local)?;
        let value = self.owned(entry);
        let old = self.op_imm(Op::SwapField, &[cell, value], Imm::Field(Field::CellContents));
        self.build().effect(Op::DecRef, &[old], Imm::None);
        Ok(())
    }
}
