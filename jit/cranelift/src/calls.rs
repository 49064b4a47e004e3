//! Calls of the runtime's helpers and of other compiled functions.

use crate::emit::{Region, machine_type};
use crate::error::internal;
use crate::lower::{Lower, Lowered, helper_imm, wrong_imm};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I8, I64, Type};
use cranelift_codegen::ir::{self};
use pepjit_backend::BackendError;
use pepjit_ir::{Helper, Imm, InstData, Parameter, ResultKind};

impl Lower<'_, '_> {
    /// Calls a helper with the operands, truth values widened to words.
    pub(crate) fn call_helper(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let helper = helper_imm(inst)?;
        let mut args = Vec::with_capacity(inst.args.len());
        for value in &inst.args {
            let value = self.value(*value)?;
            args.push(if self.is_float(value) { value } else { self.e.word_of(value) });
        }
        self.helper(inst, helper, &args)
    }

    /// Calls a helper with an array of the operands and their number.
    pub(crate) fn call_array_helper(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let helper = helper_imm(inst)?;
        let slot = self.array_slot(inst.args.len());
        let base = self.e.stack_address(slot);
        for (position, value) in inst.args.iter().enumerate() {
            let value = self.value(*value)?;
            let word = self.e.word_of(value);
            self.e.store(Region::Native, word, base, 8 * position as i64);
        }
        let count = self.e.int(inst.args.len() as i64);
        self.helper(inst, helper, &[base, count])
    }

    /// The stack slot for operand arrays, made large enough: all calls share it.
    fn array_slot(&mut self, words: usize) -> ir::StackSlot {
        let bytes = 8 * words.max(1) as u32;
        match self.array {
            Some(slot) => {
                let data = &mut self.e.fb.func.sized_stack_slots[slot];
                data.size = data.size.max(bytes);
                slot
            }
            None => *self.array.insert(self.e.stack_slot(bytes / 8)),
        }
    }

    fn helper(&mut self, inst: &InstData, helper: Helper, args: &[ir::Value]) -> Result<(), BackendError> {
        let returns: &[Type] = match helper.info().result {
            ResultKind::None => &[],
            ResultKind::Float => &[F64],
            // The upper bits of a C `bool` are unspecified.
            ResultKind::Bool => &[I8],
            ResultKind::Pair => &[I64, I64],
            ResultKind::ByImm => return Err(internal(format!("the helper {} has no result kind", helper.info().name))),
            _ => &[I64],
        };
        let address = self.linkage.helper(helper);
        let call = self.e.call(address, args, returns);
        match helper.info().result {
            ResultKind::None => Ok(()),
            ResultKind::Pair => {
                let (payload, tag) = self.e.results(call);
                self.define(inst, Lowered::Pair(payload, tag))
            }
            ResultKind::Bool => {
                let result = self.e.result(call);
                let truth = self.e.compare(IntCC::NotEqual, result, 0);
                self.define(inst, Lowered::One(truth))
            }
            _ => self.define(inst, Lowered::One(self.e.result(call))),
        }
    }

    /// Calls a compiled function through its entry cell.
    pub(crate) fn call_direct(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let Imm::Callee(callee) = inst.imm else { return Err(wrong_imm(inst)) };
        let callee = &self.func.callees[callee.index()];
        if callee.params.len() != inst.args.len() {
            return Err(internal(format!("{} operands for {}", inst.args.len(), callee.label)));
        }
        let mut args = vec![self.tstate];
        let own = if callee.function_cell == 0 {
            &inst.args[..]
        } else {
            let function = self.value(inst.args[0])?;
            let cell = self.e.address(callee.function_cell);
            self.e.store(Region::Heap, function, cell, 0);
            &inst.args[1..]
        };
        for (value, Parameter { ty, .. }) in own.iter().zip(callee.parameters()) {
            let value = self.value(*value)?;
            if self.e.fb.func.dfg.value_type(value) != machine_type(*ty)? {
                return Err(internal(format!("an operand of {} is not of type {ty}", callee.label)));
            }
            args.push(value);
        }
        let entry = self.e.load_word(callee.entry_cell);
        let call = self.e.call_value(entry, &args, &[I64, I64]);
        let (payload, tag) = self.e.results(call);
        self.define(inst, Lowered::Pair(payload, tag))
    }

    fn is_float(&self, value: ir::Value) -> bool {
        self.e.fb.func.dfg.value_type(value) == F64
    }
}
