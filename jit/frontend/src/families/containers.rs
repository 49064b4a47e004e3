//! Subscripts, building, unpacking, formatting.

use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator, unsupported};
use crate::world::Subscripted;
use pepjit_ir::op::Reason;
use pepjit_ir::{Cond, Constant, Field, Helper, Imm, Op, Type, Value};

/// Unpacking more than so many parts takes the interpreter no longer: it's all references that are counted.
const FEW_PARTS: u32 = 3;

impl Translator<'_> {
    /// An index, made non-negative if it's a negative constant, and checked against a size.
    pub(super) fn index(&mut self, key: Entry, size: Value) -> Value {
        let mut index = self.int(key);
        if let Some(object) = self.constant(key)
            && let Constant::Int(number) = object.constant
            && number < 0
        {
            let number = self.build().word(number);
            index = self.op(Op::WordAdd, &[size, number]);
        }
        let inside = self.op_imm(Op::IntCmp, &[index, size], Imm::Cond(Cond::Below));
        self.guard(Op::Guard, &[inside], Imm::Reason(Reason::Index));
        index
    }

    /// The address of a list's or tuple's items.
    pub(super) fn items(&mut self, container: Value, ty: Type) -> Value {
        if ty == Type::LIST {
            self.op_imm(Op::LoadField, &[container], Imm::Field(Field::ListItems))
        } else {
            self.op_imm(Op::AddressOfField, &[container], Imm::Field(Field::TupleItems))
        }
    }

    /// The byte of a bytes object or bytearray at an index that is in range.
    pub(super) fn byte(&mut self, container: Value, index: Value, ty: Type) -> Value {
        let items = if ty == Type::BYTES {
            self.op_imm(Op::AddressOfField, &[container], Imm::Field(Field::BytesItems))
        } else {
            self.op_imm(Op::LoadField, &[container], Imm::Field(Field::ByteArrayItems))
        };
        let address = self.op(Op::WordAdd, &[items, index]);
        let byte = self.op(Op::LoadByte, &[address]);
        self.op(Op::WordToInt, &[byte])
    }

    /// `container[key]` of bytes or a bytearray.
    fn byte_subscript(&mut self, container: Entry, key: Entry, ty: Type) -> Step {
        let value = self.guard_type(container, ty)?;
        let size = self.op_imm(Op::LoadField, &[value], Imm::Field(Field::VarSize));
        let index = self.index(key, size);
        let byte = self.byte(value, index, ty);
        self.specialised += 1;
        for _ in 0..2 {
            let entry = self.pop()?;
            self.release(entry);
        }
        let item = self.op(Op::BoxInt, &[byte]);
        self.push_owned(item);
        Ok(())
    }

    pub(super) fn subscript(&mut self) -> Step {
        let (container, key) = (self.peek(1)?, self.peek(0)?);
        let spec = self.insn.spec;
        let known = self.ty(container);
        if self.failed() {
            return self.generic_op(Helper::GetItem, 2, &[]);
        }
        let sequence = if spec.ends_with("SUBSCR_LIST_INT") || known == Type::LIST {
            Some(Type::LIST)
        } else if spec.ends_with("SUBSCR_TUPLE_INT") || known == Type::TUPLE {
            Some(Type::TUPLE)
        } else {
            None
        };
        if let Some(ty) = sequence
            && !self.ty(key).intersect(Type::INT).is_empty()
            && !spec.ends_with("SLICE")
        {
            let value = self.guard_type(container, ty)?;
            let size = self.op_imm(Op::LoadField, &[value], Imm::Field(Field::VarSize));
            let index = self.index(key, size);
            let items = self.items(value, ty);
            let item = self.op(Op::LoadItem, &[items, index]);
            self.func.values[item.index()].ty = Type::OBJECT;
            self.specialised += 1;
            return self.replace_by_part(2, item);
        }
        if spec.ends_with("SUBSCR_STR_INT") || spec.ends_with("SUBSCR_USTR_INT") {
            let value = self.guard_type(container, Type::STR)?;
            let index = self.int(key);
            let item = self.build().call(Helper::StrIndex, &[value, index]);
            self.guard(Op::GuardBound, &[item], Imm::Reason(Reason::Index));
            self.func.values[item.index()].ty = Type::STR;
            self.specialised += 1;
            let (key, container) = (self.pop()?, self.pop()?);
            self.release(key);
            self.release(container);
            self.push_owned(item);
            return Ok(());
        }
        let likely = self.likely(container);
        if (likely == Type::BYTES || likely == Type::BYTEARRAY) && self.could_be_int(key) {
            return self.byte_subscript(container, key, likely);
        }
        let seen = self.subscripted(container, false);
        match &seen {
            Subscripted::Array(array) if self.could_be_int(key) => return self.array_subscript(container, key, array),
            Subscripted::Instance { class, function } if self.is_plain(function) => {
                return self.instance_subscript(container, class, function);
            }
            _ => {}
        }
        if spec == self.insn.name && known != Type::DICT && self.probably_int(key) {
            // Bytes, perhaps, for which the interpreter has no specialised instruction.
            let value = self.value(container);
            let index = self.int(key);
            let args = [value, index];
            let ty = if known == Type::STR { Type::STR } else { Type::OBJECT };
            let result = self.quick_else((Helper::QuickItem, &args), 2, ty, |this| {
                this.note_subscripted(container, key, &seen);
                this.slow_call(Helper::GetItem, 2, &[])
            })?;
            self.push_owned(result);
            return Ok(());
        }
        self.note_subscripted(container, key, &seen);
        // The interpreter specialises for some subclasses of dict as well: the helper looks at the class.
        self.generic_op(if known == Type::DICT { Helper::DictGetItem } else { Helper::GetItem }, 2, &[])?;
        if spec.ends_with("SUBSCR_DICT") || known == Type::DICT {
            self.specialised += 1;
        }
        Ok(())
    }

    /// Replaces the topmost operands by something that the lowest of them holds.
    fn replace_by_part(&mut self, count: usize, part: Value) -> Step {
        let mut owned = false;
        for depth in 0..count {
            owned |= matches!(self.peek(depth)?, Entry::Value(_, Owner::Slot));
        }
        if owned {
            self.build().effect(Op::IncRef, &[part], Imm::None);
        }
        for _ in 0..count {
            let entry = self.pop()?;
            self.release(entry);
        }
        self.push(Entry::Value(part, if owned { Owner::Slot } else { Owner::Memory }));
        Ok(())
    }

    pub(super) fn store_subscript(&mut self) -> Step {
        let (value, container, key) = (self.peek(2)?, self.peek(1)?, self.peek(0)?);
        let spec = self.insn.spec;
        let known = self.ty(container);
        if !self.failed()
            && (spec == "STORE_SUBSCR_LIST_INT" || known == Type::LIST && !self.ty(key).intersect(Type::INT).is_empty())
        {
            let list = self.guard_type(container, Type::LIST)?;
            let size = self.op_imm(Op::LoadField, &[list], Imm::Field(Field::VarSize));
            let index = self.index(key, size);
            let items = self.op_imm(Op::LoadField, &[list], Imm::Field(Field::ListItems));
            self.specialised += 1;
            self.secure();
            let (key, container, value) = (self.pop()?, self.pop()?, self.pop()?);
            if let Some((op, unboxed)) = self.unboxed(value) {
                let eight = self.build().word(8);
                let offset = self.op(Op::WordMul, &[index, eight]);
                let address = self.op(Op::WordAdd, &[items, offset]);
                self.build().effect(op, &[address, unboxed], Imm::None);
                self.release(value);
            } else {
                let counted = self.owned(value);
                let old = self.op(Op::SwapItem, &[items, index, counted]);
                self.build().effect(Op::DecRef, &[old], Imm::None);
            }
            self.release(key);
            self.release(container);
            return Ok(());
        }
        let seen = self.subscripted(container, true);
        match &seen {
            Subscripted::Array(array) if self.could_be_int(key) => {
                if self.array_takes(array, value) {
                    return self.array_store(value, container, key, array);
                }
            }
            Subscripted::Instance { class, function } if self.is_plain(function) => {
                return self.instance_store(container, class, function);
            }
            _ => self.note_subscripted(container, key, &seen),
        }
        let (value, container, key) = (self.peek(2)?, self.peek(1)?, self.peek(0)?);
        let dict = known == Type::DICT;
        if dict || spec == "STORE_SUBSCR_DICT" {
            self.specialised += 1;
        } else {
            self.generic += 1;
        }
        let (value_value, container_value, key_value) = (self.value(value), self.value(container), self.value(key));
        let helper = if dict { Helper::DictSetItem } else { Helper::SetItem };
        let status = self.call_helper(helper, &[container_value, key_value, value_value]);
        for _ in 0..3 {
            let entry = self.pop()?;
            self.release(entry);
        }
        self.check_status(status);
        Ok(())
    }

    /// A bound of a slice, if it's none or likely to be an int.
    fn bound(&mut self, entry: Entry, absent: i64) -> Option<Value> {
        let ty = self.ty(entry);
        if ty == Type::NONE {
            return Some(self.build().int(absent));
        }
        (!ty.intersect(Type::INT).is_empty()).then(|| self.int(entry))
    }

    /// `container[start:stop]`, without a slice object if the bounds are ints.
    pub(super) fn slice(&mut self) -> Step {
        let (container, start, stop) = (self.peek(2)?, self.peek(1)?, self.peek(0)?);
        let could_be = |ty: Type| !ty.intersect(Type::INT).is_empty() || ty == Type::NONE;
        if self.failed() || !could_be(self.ty(start)) || !could_be(self.ty(stop)) {
            return self.generic_op(Helper::GetSlice, 3, &[]);
        }
        let known = self.ty(container);
        let sequences = [Type::STR, Type::LIST, Type::TUPLE, Type::BYTES];
        let ty = if sequences.contains(&known) { known } else { Type::OBJECT };
        let value = self.value(container);
        let (Some(start), Some(stop)) = (self.bound(start, 0), self.bound(stop, i64::MAX)) else { return unsupported("slice") };
        let args = [value, start, stop];
        let likely = self.likely(container);
        let result = self.quick_else((Helper::QuickSlice, &args), 3, ty, |this| this.slow_call(Helper::GetSlice, 3, &[]))?;
        if sequences.contains(&likely) {
            self.hints.insert(result, likely);
        }
        self.push_owned(result);
        Ok(())
    }

    /// A slice, or at once what it's used for by the next instruction.
    pub(super) fn build_slice(&mut self, count: u32) -> Step {
        let next = self.following();
        let subscripts = next.as_ref().is_some_and(|next| {
            next.name == "BINARY_SUBSCR" || next.name == "BINARY_OP" && next.arg == crate::families::arith::SUBSCRIPT
        });
        let could_be = |ty: Type| !ty.intersect(Type::INT).is_empty() || ty == Type::NONE;
        let Some(subscript) = next.filter(|_| subscripts && count == 3 && !self.failed()) else {
            return self.generic_op(Helper::BuildSlice, count as usize, &[]);
        };
        let (start, stop, step) = (self.peek(2)?, self.peek(1)?, self.peek(0)?);
        let Some(Constant::Int(by)) = self.constant(step).map(|object| object.constant) else {
            return self.generic_op(Helper::BuildSlice, 3, &[]);
        };
        if !could_be(self.ty(start)) || !could_be(self.ty(stop)) {
            return self.generic_op(Helper::BuildSlice, 3, &[]);
        }
        let container = self.peek(3)?;
        let value = self.value(container);
        let (first, last) = if by < 0 { (i64::MAX, i64::MIN) } else { (0, i64::MAX) };
        let (Some(first), Some(last)) = (self.bound(start, first), self.bound(stop, last)) else { return unsupported("slice") };
        let by = self.build().int(by);
        let args = [value, first, last, by];
        let here = self.insn.clone();
        let result = self.quick_else((Helper::QuickStepSlice, &args), 4, Type::OBJECT, |this| {
            let slice = this.slow_call(Helper::BuildSlice, 3, &[])?;
            this.func.values[slice.index()].ty = Type::OBJECT;
            this.push_owned(slice);
            this.insn = subscript;
            this.slow_call(Helper::GetItem, 2, &[])
        })?;
        self.insn = here;
        self.push_owned(result);
        self.skip_next();
        Ok(())
    }

    pub(super) fn store_slice(&mut self) -> Step {
        let (list, start, stop) = (self.peek(2)?, self.peek(1)?, self.peek(0)?);
        let could_be = |ty: Type| !ty.intersect(Type::INT).is_empty() || ty == Type::NONE;
        if !self.failed() && could_be(self.ty(start)) && could_be(self.ty(stop)) {
            let list = self.value(list);
            let (Some(start), Some(stop)) = (self.bound(start, 0), self.bound(stop, i64::MAX)) else {
                return unsupported("slice");
            };
            let value = self.peek(3)?;
            let value = self.value(value);
            let generic = self.generic;
            self.specialised += 1;
            let status = self.call_helper(Helper::ListSetSlice, &[list, start, stop, value]);
            let one = self.build().int(1);
            let undone = self.op_imm(Op::IntCmp, &[status, one], Imm::Cond(Cond::Eq));
            let (other, done) = self.fork(undone);
            self.cold(other);
            let join = self.func.add_block();
            let before = self.frame.clone();
            self.block = done;
            self.drop_operands(4)?;
            self.check_status(status);
            self.join(join, Vec::new());
            let after = std::mem::replace(&mut self.frame, before);
            self.block = other;
            self.set_slice()?;
            self.join(join, Vec::new());
            self.block = join;
            self.frame = after;
            self.generic = generic;
            return Ok(());
        }
        self.set_slice()
    }

    fn set_slice(&mut self) -> Step {
        self.generic += 1;
        let mut values = Vec::new();
        for depth in [2, 1, 0, 3] {
            let entry = self.peek(depth)?;
            values.push(self.value(entry));
        }
        let status = self.call_helper(Helper::SetSlice, &values);
        self.drop_operands(4)?;
        self.check_status(status);
        Ok(())
    }

    /// A list or tuple that takes over the topmost entries.
    pub(super) fn build_owned(&mut self, helper: Helper, count: u32) -> Step {
        if helper == Helper::BuildTuple && self.tests_instance(count)? {
            return Ok(());
        }
        self.secure();
        let depth = self.frame.stack.len().checked_sub(count as usize).map_or_else(|| unsupported("stack"), Ok)?;
        let entries = self.frame.stack.split_off(depth);
        let mut values = Vec::new();
        for entry in entries {
            values.push(self.owned(entry));
        }
        let result = self.call_helper(helper, &values);
        self.specialised += 1;
        self.push_result(result);
        Ok(())
    }

    pub(super) fn build_const_key_map(&mut self, count: u32) -> Step {
        let keys = self.peek(0)?;
        let Some(keys) = self.constant(keys) else { return unsupported("BUILD_CONST_KEY_MAP") };
        let Some(keys) = self.world.tuple_items(&keys) else { return unsupported("BUILD_CONST_KEY_MAP") };
        self.generic += 1;
        self.secure();
        self.pop()?;
        let depth = self.frame.stack.len() - count as usize;
        let mut values = Vec::new();
        for (position, key) in keys.into_iter().enumerate() {
            let key = self.object(key);
            values.push(self.build().object(key));
            let entry = self.frame.stack[depth + position];
            values.push(self.value(entry));
        }
        let result = self.call_helper(Helper::BuildMap, &values);
        for _ in 0..count {
            let entry = self.pop()?;
            self.release(entry);
        }
        self.push_result(result);
        Ok(())
    }

    pub(super) fn list_append(&mut self, arg: u32) -> Step {
        self.secure();
        let item = self.pop_owned()?;
        let list = self.peek(arg as usize - 1)?;
        let list = self.value(list);
        self.specialised += 1;
        self.append(list, item);
        Ok(())
    }

    /// Adds the topmost one or two entries to the container under them.
    pub(super) fn add_to(&mut self, helper: Helper, arg: u32, operands: usize) -> Step {
        let container = self.peek(arg as usize - 1 + operands)?;
        let mut values = vec![self.value(container)];
        for depth in (0..operands).rev() {
            let entry = self.peek(depth)?;
            values.push(self.value(entry));
        }
        let status = self.call_helper(helper, &values);
        for _ in 0..operands {
            let entry = self.pop()?;
            self.release(entry);
        }
        self.check_status(status);
        Ok(())
    }

    pub(super) fn unpack_sequence(&mut self, count: u32) -> Step {
        let sequence = self.peek(0)?;
        let spec = self.insn.spec;
        let ty = match spec {
            "UNPACK_SEQUENCE_TWO_TUPLE" | "UNPACK_SEQUENCE_TUPLE" => Some(Type::TUPLE),
            "UNPACK_SEQUENCE_LIST" => Some(Type::LIST),
            _ => Some(self.ty(sequence)).filter(|ty| *ty == Type::TUPLE || *ty == Type::LIST),
        };
        if let Some(ty) = ty
            && !self.top_is_mixed()
        {
            let value = self.guard_type(sequence, ty)?;
            let size = self.op_imm(Op::LoadField, &[value], Imm::Field(Field::VarSize));
            let wanted = self.build().word(i64::from(count));
            let right = self.op_imm(Op::IntCmp, &[size, wanted], Imm::Cond(Cond::Eq));
            self.guard(Op::Guard, &[right], Imm::Reason(Reason::Index));
            let items = self.items(value, ty);
            if count <= FEW_PARTS {
                self.specialised += 1;
            } else {
                self.moved += count;
            }
            let owned = matches!(sequence, Entry::Value(_, Owner::Slot));
            let mut parts = Vec::new();
            for position in 0..count {
                let index = self.build().word(i64::from(position));
                let part = self.op(Op::LoadItem, &[items, index]);
                self.func.values[part.index()].ty = Type::OBJECT;
                if owned {
                    self.build().effect(Op::IncRef, &[part], Imm::None);
                }
                parts.push(part);
            }
            let sequence = self.pop()?;
            self.release(sequence);
            for part in parts.into_iter().rev() {
                self.push(Entry::Value(part, if owned { Owner::Slot } else { Owner::Memory }));
            }
            return Ok(());
        }
        self.unpack(Helper::UnpackSequence, i64::from(count), count as usize)
    }

    pub(super) fn unpack_ex(&mut self, arg: u32) -> Step {
        let count = (arg & 0xff) + (arg >> 8) + 1;
        self.unpack(Helper::UnpackEx, i64::from(arg), count as usize)
    }

    /// Unpacks through a helper that leaves the parts in scratch.
    fn unpack(&mut self, helper: Helper, arg: i64, count: usize) -> Step {
        self.generic += 1;
        self.secure();
        let sequence = self.peek(0)?;
        let value = self.value(sequence);
        let arg = self.build().int(arg);
        let status = self.call_helper(helper, &[value, arg]);
        self.check_status(status);
        let mut parts = Vec::new();
        for index in 0..count {
            let part = self.take_scratch(index as i64);
            self.func.values[part.index()].ty = Type::OBJECT;
            parts.push(part);
        }
        let sequence = self.pop()?;
        self.release(sequence);
        for part in parts.into_iter().rev() {
            self.push_owned(part);
        }
        Ok(())
    }

    pub(super) fn format_simple(&mut self) -> Step {
        let entry = self.peek(0)?;
        if self.ty(entry) == Type::STR {
            return Ok(());
        }
        self.generic_op(Helper::FormatSimple, 1, &[])
    }

    pub(super) fn get_len(&mut self) -> Step {
        let entry = self.peek(0)?;
        let value = self.value(entry);
        let length = self.call_helper(Helper::Len, &[value]);
        self.check_status(length);
        let boxed = self.op(Op::BoxInt, &[length]);
        self.push_owned(boxed);
        Ok(())
    }
}
