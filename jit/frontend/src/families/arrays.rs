//! Items of `array.array`, and what classes of Python say of subscripts.
//!
//! The interpreter has no specialised instructions for them, so that code is compiled twice: first it notes which arrays come by, then it's
//! compiled for these. What a store doesn't accept (another class, a number out of range) is left to the interpreter, which raises.

use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator};
use crate::world::{Numbers, Subscripted};
use pepjit_ir::op::Reason;
use pepjit_ir::{Cond, Field, Helper, Imm, ObjRef, Op, Type, Value};

impl Numbers {
    /// How items are in memory.
    fn field(&self) -> Field {
        match self.typecode {
            b'b' => Field::ArrayI8,
            b'B' => Field::ArrayU8,
            b'h' => Field::ArrayI16,
            b'H' => Field::ArrayU16,
            b'i' => Field::ArrayI32,
            b'I' => Field::ArrayU32,
            b'f' => Field::ArrayF32,
            b'd' => Field::ArrayF64,
            _ => Field::ArrayI64,
        }
    }

    /// Whether items of 64 bits have no sign: those beyond the signed ones are left to the interpreter.
    fn is_wide_unsigned(&self) -> bool {
        matches!(self.typecode, b'L' | b'Q')
    }

    fn is_float(&self) -> bool {
        self.field().ty() == Type::C_FLOAT
    }

    /// What is added to an int so that those that fit are at least 0 and below a bound: that, and the bound. None where every word fits.
    fn range(&self) -> Option<(i64, i64)> {
        let bits = 8 * u32::from(self.field().width().bytes());
        match self.typecode {
            b'b' | b'h' | b'i' => Some((1 << (bits - 1), 1 << bits)),
            b'B' | b'H' | b'I' => Some((0, 1 << bits)),
            _ => None,
        }
    }
}

impl Translator<'_> {
    /// What has come by at the current instruction, if the interpreter has nothing to tell.
    pub(super) fn subscripted(&mut self, container: Entry, stores: bool) -> Subscripted {
        let spec = self.insn.spec;
        let unknown = (spec == self.insn.name || spec.ends_with("SUBSCR_GETITEM")) && !self.failed();
        if !unknown || self.ty(container).intersect(Type::OTHER).is_empty() {
            return Subscripted::Several;
        }
        if let Entry::Value(value, _) = container
            && let Some(class) = self.guarded.get(&value).cloned()
            && let Some(function) = self.world.subscript_function(&class, stores)
        {
            return Subscripted::Instance { class, function };
        }
        let likely = if let Entry::Value(value, _) = container { self.containers.get(&value).copied() } else { None };
        self.world.subscripted(self.insn.offset, stores, likely.unwrap_or(0))
    }

    /// Notes what comes by, as long as nothing is known, and leaves to be compiled for it when that is enough.
    pub(super) fn note_subscripted(&mut self, container: Entry, key: Entry, seen: &Subscripted) {
        let Subscripted::Nothing { site } = seen else { return };
        let (container, key) = (self.value(container), self.value(key));
        let site = self.build().word(site.cast_signed());
        let enough = self.call_helper(Helper::NoteContainer, &[container, key, site]);
        let enough = self.is_nonzero(enough);
        self.guard(Op::GuardNot, &[enough], Imm::Reason(Reason::Learned));
    }

    /// Whether a function takes what it's given one by one.
    pub(super) fn is_plain(&mut self, function: &ObjRef) -> bool {
        let info = self.world.callee(function);
        info.is_some_and(|info| !info.signature.rest && !info.signature.others)
    }

    /// `container[key]` of an instance of a class that has a function for it.
    pub(super) fn instance_subscript(&mut self, container: Entry, class: &ObjRef, function: &ObjRef) -> Step {
        let value = self.value(container);
        self.guard_class(value, class);
        // The stack gets an entry below the operands.
        self.secure();
        let (key, container) = (self.pop()?, self.pop()?);
        self.push_const(function.clone());
        self.push(container);
        self.push(key);
        let site = self.site(1, None)?;
        self.call_site(&site)
    }

    /// `container[key] = value` of such an instance. As in the interpreter, the operands stay on the stack meanwhile.
    pub(super) fn instance_store(&mut self, container: Entry, class: &ObjRef, function: &ObjRef) -> Step {
        let value = self.value(container);
        self.guard_class(value, class);
        self.secure();
        let lent = |entry: Entry| if let Entry::Value(value, _) = entry { Entry::Value(value, Owner::Outside) } else { entry };
        let (value, container, key) = (lent(self.peek(2)?), lent(self.peek(1)?), lent(self.peek(0)?));
        self.push_const(function.clone());
        self.push(container);
        self.push(key);
        self.push(value);
        let site = self.site(2, None)?;
        self.call_site(&site)?;
        for _ in 0..4 {
            let entry = self.pop()?;
            self.release(entry);
        }
        Ok(())
    }

    /// The address of an array's items and a checked index.
    fn element(&mut self, container: Entry, key: Entry, array: &Numbers) -> (Value, Value) {
        let value = self.value(container);
        let class = self.func.add_object(array.class.clone());
        self.guard(Op::GuardClass, &[value], Imm::Obj(class));
        let descriptor = self.op_imm(Op::LoadField, &[value], Imm::Field(Field::ArrayDescriptor));
        let expected = self.build().word(array.descriptor.cast_signed());
        let same = self.op_imm(Op::IntCmp, &[descriptor, expected], Imm::Cond(Cond::Eq));
        self.guard(Op::Guard, &[same], Imm::Reason(Reason::Class));
        let size = self.op_imm(Op::LoadField, &[value], Imm::Field(Field::VarSize));
        let index = self.index(key, size);
        let items = self.op_imm(Op::LoadField, &[value], Imm::Field(Field::ArrayItems));
        (items, index)
    }

    /// Leaves if a word isn't the same number with and without a sign.
    fn guard_signed(&mut self, word: Value) {
        let zero = self.build().word(0);
        let fits = self.op_imm(Op::IntCmp, &[word, zero], Imm::Cond(Cond::Ge));
        self.guard(Op::Guard, &[fits], Imm::Reason(Reason::Overflow));
    }

    /// `array[key]`
    pub(super) fn array_subscript(&mut self, container: Entry, key: Entry, array: &Numbers) -> Step {
        let (items, index) = self.element(container, key, array);
        let mut item = self.op_imm(Op::LoadElement, &[items, index], Imm::Field(array.field()));
        if !array.is_float() {
            if array.is_wide_unsigned() {
                self.guard_signed(item);
            }
            item = self.op(Op::WordToInt, &[item]);
        }
        self.specialised += 1;
        for _ in 0..2 {
            let entry = self.pop()?;
            self.release(entry);
        }
        let boxed = self.op(if array.is_float() { Op::BoxFloat } else { Op::BoxInt }, &[item]);
        self.push_owned(boxed);
        Ok(())
    }

    /// Whether an array of the kind may take a value.
    pub(super) fn array_takes(&self, array: &Numbers, value: Entry) -> bool {
        let fitting = if array.is_float() { Type::INT.union(Type::FLOAT) } else { Type::INT };
        !self.ty(value).intersect(fitting).is_empty()
    }

    /// `array[key] = value`
    pub(super) fn array_store(&mut self, value: Entry, container: Entry, key: Entry, array: &Numbers) -> Step {
        let (items, index) = self.element(container, key, array);
        let item = if array.is_float() { self.float(value, true) } else { self.int(value) };
        if let Some((offset, bound)) = array.range() {
            let offset = self.build().word(offset);
            let shifted = self.op(Op::WordAdd, &[item, offset]);
            let bound = self.build().word(bound);
            let fits = self.op_imm(Op::IntCmp, &[shifted, bound], Imm::Cond(Cond::Below));
            self.guard(Op::Guard, &[fits], Imm::Reason(Reason::Overflow));
        } else if array.is_wide_unsigned() {
            self.guard_signed(item);
        }
        self.specialised += 1;
        self.secure();
        let store = if array.is_float() { Op::StoreFloatElement } else { Op::StoreElement };
        self.build().effect(store, &[items, index, item], Imm::Field(array.field()));
        for _ in 0..3 {
            let entry = self.pop()?;
            self.release(entry);
        }
        Ok(())
    }
}
