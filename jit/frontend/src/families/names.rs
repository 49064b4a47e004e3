//! Names of modules, imports, and patterns.

use crate::input::{Entry as CodeEntry, PyVersion};
use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator, unsupported};
use pepjit_ir::op::Reason;
use pepjit_ir::{Field, Helper, Imm, Op, Type, Value};

impl Translator<'_> {
    /// A module's names are its globals: its loops are entered only where they are.
    fn in_module(&self) -> Step {
        match self.input.entry {
            CodeEntry::Loop { .. } => Ok(()),
            CodeEntry::Function | CodeEntry::Resume { .. } => unsupported(self.insn.name),
        }
    }

    /// Whether the code itself changes a global.
    pub(super) fn sets_name(&self, name: u32) -> bool {
        let sets = |insn: &crate::decode::Insn| {
            insn.arg == name && matches!(insn.name, "STORE_NAME" | "DELETE_NAME" | "STORE_GLOBAL" | "DELETE_GLOBAL")
        };
        self.bytecode.order.iter().any(|region| self.bytecode.insns[self.bytecode.regions[region].insns.clone()].iter().any(sets))
    }

    pub(super) fn load_name(&mut self, arg: u32) -> Step {
        self.in_module()?;
        self.load_global(arg << 1)
    }

    pub(super) fn store_name(&mut self, arg: u32) -> Step {
        self.in_module()?;
        self.store_global(arg)
    }

    pub(super) fn delete_name(&mut self, arg: u32) -> Step {
        self.in_module()?;
        self.delete_global(arg)
    }

    pub(super) fn delete_global(&mut self, arg: u32) -> Step {
        self.generic += 1;
        let function = self.op(Op::CurrentFunction, &[]);
        let name = self.name(arg);
        let status = self.call_helper(Helper::DeleteGlobal, &[function, name]);
        self.check_status(status);
        Ok(())
    }

    /// A name of the code as a value.
    fn name(&mut self, arg: u32) -> Value {
        let name = self.object(self.input.names[arg as usize].clone());
        self.build().object(name)
    }

    pub(super) fn delete_deref(&mut self, local: u32) -> Step {
        self.secure();
        let cell = self.cell(local)?;
        let content = self.op_imm(Op::LoadField, &[cell], Imm::Field(Field::CellContents));
        self.guard(Op::GuardBound, &[content], Imm::Reason(Reason::Unbound));
        let null = self.build().null();
        let old = self.op_imm(Op::SwapField, &[cell, null], Imm::Field(Field::CellContents));
        self.build().effect(Op::DecRef, &[old], Imm::None);
        Ok(())
    }

    pub(super) fn load_build_class(&mut self) -> Step {
        self.generic_op(Helper::LoadBuildClass, 0, &[])
    }

    pub(super) fn import_name(&mut self, arg: u32) -> Step {
        let arg = if self.input.version >= PyVersion::V315 {
            // Lazy imports are the interpreter's.
            if arg & 2 == 0 {
                return unsupported("lazy import");
            }
            arg >> 2
        } else {
            arg
        };
        self.generic += 1;
        self.secure();
        let (level, names) = (self.peek(1)?, self.peek(0)?);
        let args = [self.name(arg), self.value(names), self.value(level)];
        let module = self.call_helper(Helper::ImportName, &args);
        for _ in 0..2 {
            let entry = self.pop()?;
            self.release(entry);
        }
        self.push_result(module);
        Ok(())
    }

    pub(super) fn import_from(&mut self, arg: u32) -> Step {
        self.generic += 1;
        self.secure();
        let module = self.peek(0)?;
        let args = [self.value(module), self.name(arg)];
        let found = self.call_helper(Helper::ImportFrom, &args);
        let missing = self.op(Op::IsNull, &[found]);
        let saved = self.save();
        let (none, some) = self.fork(missing);
        self.cold(none);
        self.block = none;
        let error = self.build().call(Helper::ErrorOccurred, &[]);
        self.throw_if(error);
        self.leave(Reason::Uncompiled);
        self.restore(saved);
        self.block = some;
        self.func.values[found.index()].ty = Type::OBJECT;
        self.push_owned(found);
        Ok(())
    }

    pub(super) fn match_kind(&mut self, mapping: bool) -> Step {
        let subject = self.peek(0)?;
        let (subject, mapping) = (self.value(subject), self.build().int(i64::from(mapping)));
        let truth = self.build().call(Helper::IsPattern, &[subject, mapping]);
        self.push_bool(truth);
        Ok(())
    }

    pub(super) fn match_keys(&mut self) -> Step {
        self.generic += 1;
        self.secure();
        let (subject, keys) = (self.peek(1)?, self.peek(0)?);
        let args = [self.value(subject), self.value(keys)];
        let values = self.call_helper(Helper::MatchKeys, &args);
        self.push_result(values);
        Ok(())
    }

    pub(super) fn match_class(&mut self, count: u32) -> Step {
        self.generic_op(Helper::MatchClass, 3, &[i64::from(count)])
    }

    /// `**update` of a call: below the dicts on the stack is what is called.
    pub(super) fn dict_merge(&mut self, arg: u32) -> Step {
        self.generic += 1;
        self.secure();
        let depth = arg as usize;
        let (dict, update, function) = (self.peek(depth)?, self.peek(0)?, self.peek(depth + 3)?);
        if matches!(function, Entry::Value(_, Owner::Word) | Entry::Null) {
            return unsupported("stack");
        }
        let args = [self.value(dict), self.value(update), self.value(function)];
        let status = self.call_helper(Helper::DictMerge, &args);
        let update = self.pop()?;
        self.release(update);
        self.check_status(status);
        Ok(())
    }
}
