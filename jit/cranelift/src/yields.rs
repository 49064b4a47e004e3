//! Suspending a generator: what the interpreter expects in a suspended generator's frame is written there directly.

use crate::emit::Region;
use crate::error::internal;
use crate::lower::{Lower, Lowered, state_of};
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{self, BlockArg, InstBuilder};
use pepjit_backend::{BackendError, TAG_YIELD};
use pepjit_ir::field::Width;
use pepjit_ir::op::Reason;
use pepjit_ir::{Field, Function, InstData, Ownership, Slot, Type, Value};
use std::collections::HashMap;

/// The bit that marks a reference which isn't counted, from 3.14 on.
const UNCOUNTED: i64 = 1;
/// So many entries of the stack at most: the tag says of each whether it's null.
const MOST_DEPTH: usize = 48;
/// All marks.
const MARKS: i64 = 3;

impl Lower<'_, '_> {
    /// Takes everything out of a suspended generator's frame: what the entry block wants. (All of it is counted there or immortal.)
    pub(crate) fn take_frame(&mut self, entries: ir::Value) -> Result<Vec<BlockArg>, BackendError> {
        let params = &self.func.blocks[Function::ENTRY.index()].params;
        let null_word = self.e.layout.frame.null_word;
        let null = self.e.address(null_word);
        let mut args = Vec::with_capacity(params.len());
        for (param, index) in params.iter().zip(0_i64..) {
            if !self.func.ty(*param).is_object() {
                return Err(internal(format!("the parameter {param} is not an object")));
            }
            let word = self.e.load(I64, Region::Thread, entries, 8 * index);
            // The first stack entry is where others look for the locals.
            let empty = if index == i64::from(self.func.locals) { self.e.int(0) } else { null };
            self.e.store(Region::Thread, empty, entries, 8 * index);
            args.push(if null_word == 0 { word.into() } else { self.e.fb.ins().band_imm_s(word, !MARKS).into() });
        }
        Ok(args)
    }

    /// Yields the top of the state's stack.
    pub(crate) fn yield_value(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let func = self.func;
        let state = &func.states[state_of(inst)?.index()];
        let direct = |slot: &Slot| !matches!(slot, Slot::Value(value, _) if matches!(func.ty(*value), Type::PAIR | Type::C_WORD));
        let known = |slot: &Slot| match *slot {
            Slot::Empty | Slot::Object(_) => true,
            Slot::Value(value, _) => func.ty(value) == Type::NULL || !func.ty(value).may_be_null(),
        };
        let slots: Vec<Slot> = state.slots().copied().collect();
        if !state.drops.is_empty()
            || !slots.iter().all(direct)
            || !state.stack.iter().all(known)
            || state.stack.len() > MOST_DEPTH
        {
            return self.exit_always(inst, Reason::Yield, false);
        }
        let null =
            |slot: &Slot| matches!(slot, Slot::Empty) || matches!(slot, Slot::Value(value, _) if func.ty(*value) == Type::NULL);
        let nulls = state.stack.iter().zip(0..).fold(0_i64, |nulls, (slot, index)| nulls | i64::from(null(slot)) << index);
        let frame = self.frame.ok_or_else(|| internal("a yield without a frame"))?;
        let layout = self.e.layout;
        // Somebody has the frame, and may have written its locals.
        let seen = self.e.load(I64, Region::Thread, frame, layout.frame.frame_obj.into());
        self.leave_if(inst, seen, Reason::Yield)?;
        let Some((yielded, kept)) = slots.split_last() else { return Err(internal("a yield of nothing")) };
        let mut boxes = HashMap::new();
        for (slot, index) in kept.iter().zip(0_i64..) {
            let word = self.frame_word(*slot, &mut boxes)?;
            self.e.store(Region::Thread, word, frame, i64::from(layout.frame.localsplus) + 8 * index);
        }
        let payload = self.owned_object(*yielded, &mut boxes)?;
        self.set_instruction(state.offset.into())?;
        let count = kept.len() as i64;
        if let Some(offset) = layout.frame.stackpointer {
            let top = self.e.fb.ins().iadd_imm_s(frame, i64::from(layout.frame.localsplus) + 8 * count);
            self.e.store(Region::Thread, top, frame, offset.into());
        } else {
            let count = self.e.int(count);
            self.e.store_width(Width::U32, Region::Thread, count, frame, layout.frame.stacktop.into());
        }
        let tag = self.e.int(TAG_YIELD | nulls << 8);
        self.e.fb.ins().return_(&[payload, tag]);
        Ok(())
    }

    /// A slot as the frame holds it.
    fn frame_word(&mut self, slot: Slot, boxes: &mut HashMap<Value, ir::Value>) -> Result<ir::Value, BackendError> {
        let null = self.e.layout.frame.null_word;
        let tagged = null != 0;
        let ty = match slot {
            Slot::Empty => return Ok(self.e.address(null)),
            Slot::Object(object) if tagged && self.func.objects[object.index()].immortal => {
                let address = self.func.objects[object.index()].address;
                return Ok(self.e.address(address | UNCOUNTED as u64));
            }
            Slot::Value(value, _) if self.func.ty(value) == Type::NULL => return Ok(self.e.address(null)),
            Slot::Object(object) => self.func.objects[object.index()].ty,
            Slot::Value(value, _) => self.func.ty(value),
        };
        let object = self.owned_object(slot, boxes)?;
        if !tagged {
            return Ok(object);
        }
        if ty == Type::C_BOOL {
            return Ok(self.e.fb.ins().bor_imm_s(object, UNCOUNTED));
        }
        // The interpreter compares None and the bools as they are in frames, and takes from the count of whatever isn't marked without asking
        // whether it's immortal.
        let mortal = [Type::FLOAT, Type::LIST, Type::DICT, Type::C_FLOAT];
        let marked = !mortal.iter().any(|class| ty.is_subtype(*class));
        if !ty.may_be_null() {
            return Ok(if marked { self.marked(object) } else { object });
        }
        let (some, done) = (self.e.block(), self.e.block());
        self.e.fb.append_block_param(done, I64);
        let null = self.e.address(null);
        self.e.fb.ins().brif(object, some, &[], done, &[BlockArg::from(null)]);
        self.e.fb.switch_to_block(some);
        let word = if marked { self.marked(object) } else { object };
        self.e.fb.ins().jump(done, &[word.into()]);
        self.e.fb.switch_to_block(done);
        Ok(self.e.fb.block_params(done)[0])
    }

    /// A reference with the mark if the object is immortal.
    fn marked(&mut self, object: ir::Value) -> ir::Value {
        let offset = self.e.offset(Field::RefCount);
        let count = self.e.load(I32, Region::Counts, object, offset);
        let immortal = self.e.fb.ins().ushr_imm_u(count, 31);
        let immortal = self.e.fb.ins().uextend(I64, immortal);
        self.e.fb.ins().bor(object, immortal)
    }

    /// A slot's object with a unit of its own (or null).
    fn owned_object(&mut self, slot: Slot, boxes: &mut HashMap<Value, ir::Value>) -> Result<ir::Value, BackendError> {
        let (value, ownership) = match slot {
            Slot::Empty => return Err(internal("a yield of null")),
            Slot::Object(object) => {
                let object = &self.func.objects[object.index()];
                let address = self.e.address(object.address);
                if !object.immortal {
                    self.e.inc_ref(address);
                }
                return Ok(address);
            }
            Slot::Value(value, ownership) => (value, ownership),
        };
        let Lowered::One(register) = self.lowered(value)? else { return Err(internal("a pair in a generator's frame")) };
        let ty = self.func.ty(value);
        match ty {
            Type::C_INT | Type::C_FLOAT => {
                if let Some(boxed) = boxes.get(&value).copied() {
                    self.e.inc_ref(boxed);
                    return Ok(boxed);
                }
                let boxed = if ty == Type::C_INT { self.e.box_int(register) } else { self.e.box_float(register) };
                boxes.insert(value, boxed);
                Ok(boxed)
            }
            Type::C_BOOL => {
                let (yes, no) = (self.e.address(self.e.layout.true_object), self.e.address(self.e.layout.false_object));
                Ok(self.e.fb.ins().select(register, yes, no))
            }
            _ if ownership == Ownership::Steal => Ok(register),
            _ if ty.may_be_null() => {
                self.e.unless_zero(register, |emit| emit.inc_ref(register));
                Ok(register)
            }
            _ => {
                self.e.inc_ref(register);
                Ok(register)
            }
        }
    }
}
