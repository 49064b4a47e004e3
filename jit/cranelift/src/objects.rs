//! Objects: unboxing, guards, fields, reference counts.

use crate::emit::{End, Region, Unboxed};
use crate::error::internal;
use crate::lower::{Lower, Lowered, field_imm, reason_imm};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I64};
use cranelift_codegen::ir::{self, InstBuilder};
use pepjit_backend::BackendError;
use pepjit_ir::field::Width;
use pepjit_ir::op::Reason;
use pepjit_ir::{Field, InstData, Op, Type};

/// `NULL`, `None`, `True` and `False`: nothing whose references need counting.
const UNCOUNTED: Type = Type::NULL.union(Type::NONE).union(Type::BOOL);

/// Classes whose instances' end runs no other code.
const PLAIN: Type = UNCOUNTED.union(Type::INT).union(Type::FLOAT).union(Type::STR).union(Type::BYTES).union(Type::RANGE_ITER);

impl Lower<'_, '_> {
    /// The function object that is running: known for entry functions, the frame's for loops.
    pub(crate) fn current_function(&mut self) -> ir::Value {
        match self.frame {
            None => match self.function {
                Some(function) => function,
                None => self.e.address(self.e.addresses.function),
            },
            Some(frame) => {
                let tagged = self.e.load(I64, Region::Thread, frame, i64::from(self.e.layout.frame.funcobj));
                self.e.fb.ins().band_imm_s(tagged, -8)
            }
        }
    }

    /// Leaves if the operand may be null and is, or may be of another class and is.
    fn expect_class(&mut self, inst: &InstData, ty: Type, class: u64) -> Result<ir::Value, BackendError> {
        let object = self.arg(inst, 0)?;
        let known = self.arg_type(inst, 0)?;
        if known.may_be_null() {
            self.leave_unless(inst, object, Reason::Class)?;
        }
        if !known.without(Type::NULL).is_subtype(ty) {
            let same = self.e.is_class(object, class);
            self.leave_unless(inst, same, Reason::Class)?;
        }
        Ok(object)
    }

    pub(crate) fn unbox_int(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let object = self.expect_class(inst, Type::INT, self.e.layout.int_type)?;
        let (big, done) = (self.e.cold_block(), self.e.block());
        let value = self.e.fb.append_block_param(done, I64);
        let (compact, tag) = self.e.is_compact(object);
        self.e.branch_unless(compact, big);
        let small = self.e.compact_value(object, tag);
        self.e.fb.ins().jump(done, &[small.into()]);

        self.e.fb.switch_to_block(big);
        let more = self.e.cold_block();
        let two = self.e.has_two_digits(tag);
        self.e.branch_unless(two, more);
        let double = self.e.two_digit_value(object, tag);
        self.e.fb.ins().jump(done, &[double.into()]);

        self.e.fb.switch_to_block(more);
        let call = self.e.call(self.e.addresses.unbox_big_int, &[object], &[I64, I64]);
        let (wide, fits) = self.e.results(call);
        self.leave_unless(inst, fits, Reason::Overflow)?;
        self.e.fb.ins().jump(done, &[wide.into()]);

        self.e.fb.switch_to_block(done);
        Ok(value)
    }

    pub(crate) fn unbox_float(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let object = self.expect_class(inst, Type::FLOAT, self.e.layout.float_type)?;
        Ok(self.e.float_value(object))
    }

    /// A float's value, or a compact int's as a double.
    pub(crate) fn unbox_number(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let known = self.arg_type(inst, 0)?.without(Type::NULL);
        if known.is_subtype(Type::FLOAT) {
            return self.unbox_float(inst);
        }
        if known.is_subtype(Type::INT) {
            let object = self.expect_class(inst, Type::INT, self.e.layout.int_type)?;
            return self.compact_as_float(inst, object);
        }
        // Of neither class for certain: only null is still to be excluded.
        let object = self.expect_class(inst, Type::OBJECT, 0)?;
        let (other, done) = (self.e.block(), self.e.block());
        let value = self.e.fb.append_block_param(done, F64);
        let class = self.e.class_of(object);
        let is_float = self.e.is_address(class, self.e.layout.float_type);
        self.e.branch_unless(is_float, other);
        let float = self.e.float_value(object);
        self.e.fb.ins().jump(done, &[float.into()]);

        self.e.fb.switch_to_block(other);
        let is_int = self.e.is_address(class, self.e.layout.int_type);
        self.leave_unless(inst, is_int, Reason::Class)?;
        let converted = self.compact_as_float(inst, object)?;
        self.e.fb.ins().jump(done, &[converted.into()]);

        self.e.fb.switch_to_block(done);
        Ok(value)
    }

    fn compact_as_float(&mut self, inst: &InstData, object: ir::Value) -> Result<ir::Value, BackendError> {
        let (compact, tag) = self.e.is_compact(object);
        self.leave_unless(inst, compact, Reason::Overflow)?;
        let value = self.e.compact_value(object, tag);
        Ok(self.e.fb.ins().fcvt_from_sint(F64, value))
    }

    pub(crate) fn unbox_bool(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let object = self.arg(inst, 0)?;
        let is_true = self.e.is_address(object, self.e.layout.true_object);
        if !self.arg_type(inst, 0)?.is_subtype(Type::BOOL) {
            let is_false = self.e.is_address(object, self.e.layout.false_object);
            let either = self.e.fb.ins().bor(is_true, is_false);
            self.leave_unless(inst, either, Reason::Class)?;
        }
        Ok(is_true)
    }

    pub(crate) fn guard(&mut self, inst: &InstData) -> Result<(), BackendError> {
        match inst.op {
            Op::GuardClass => {
                let (object, class) = (self.arg(inst, 0)?, self.object_address(inst)?);
                let same = self.e.is_class(object, class);
                self.leave_unless(inst, same, Reason::Class)
            }
            Op::GuardIs => {
                let (object, expected) = (self.arg(inst, 0)?, self.object_address(inst)?);
                let same = self.e.is_address(object, expected);
                self.leave_unless(inst, same, Reason::Callee)
            }
            Op::GuardValid => {
                let base = self.e.address(self.e.addresses.valid);
                let valid = self.e.load_width(Width::U8, Region::Heap, base, 0);
                self.leave_unless(inst, valid, Reason::Invalidated)
            }
            Op::GuardNot => {
                let condition = self.arg(inst, 0)?;
                self.leave_if(inst, condition, reason_imm(inst)?)
            }
            // A bound pointer and a true condition are both not 0.
            _ => {
                let condition = self.arg(inst, 0)?;
                self.leave_unless(inst, condition, reason_imm(inst)?)
            }
        }
    }

    pub(crate) fn load_field(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (base, field) = (self.arg(inst, 0)?, field_imm(inst)?);
        let (region, offset) = (region_of(field), self.e.offset(field));
        Ok(self.e.load_width(field.width(), region, base, offset))
    }

    pub(crate) fn store_field(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let (base, value, field) = (self.arg(inst, 0)?, self.arg(inst, 1)?, field_imm(inst)?);
        let (region, offset) = (region_of(field), self.e.offset(field));
        self.e.store_width(field.width(), region, value, base, offset);
        Ok(())
    }

    /// The address of an `array.array`'s item.
    fn element_address(&mut self, inst: &InstData) -> Result<(ir::Value, Width), BackendError> {
        let (items, index, width) = (self.arg(inst, 0)?, self.arg(inst, 1)?, field_imm(inst)?.width());
        let offset = if width.log2() == 0 { index } else { self.e.fb.ins().ishl_imm_u(index, i64::from(width.log2())) };
        Ok((self.e.fb.ins().iadd(items, offset), width))
    }

    pub(crate) fn load_element(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (address, width) = self.element_address(inst)?;
        Ok(self.e.load_width(width, Region::Heap, address, 0))
    }

    pub(crate) fn store_element(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let ((address, width), value) = (self.element_address(inst)?, self.arg(inst, 2)?);
        self.e.store_width(width, Region::Heap, value, address, 0);
        Ok(())
    }

    /// An array's address plus 8 x index.
    pub(crate) fn item_address(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (array, index) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        let offset = self.e.fb.ins().ishl_imm_u(index, 3);
        Ok(self.e.fb.ins().iadd(array, offset))
    }

    /// Writes a pointer at a byte offset and gives the old one.
    pub(crate) fn swap(&mut self, inst: &InstData, offset: i64) -> Result<ir::Value, BackendError> {
        let (base, value) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        let old = self.e.load(I64, Region::Heap, base, offset);
        self.e.store(Region::Heap, value, base, offset);
        Ok(old)
    }

    /// `inc_ref` and `dec_ref`.
    pub(crate) fn count(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let (object, ty) = (self.arg(inst, 0)?, self.arg_type(inst, 0)?);
        if !ty.is_object() {
            return Err(internal(format!("{} of a value of type {ty}", inst.op.info().name)));
        }
        if ty.is_subtype(UNCOUNTED) || self.is_immortal_constant(inst) {
            return Ok(());
        }
        let increment = inst.op == Op::IncRef;
        let end = self.end_of(ty);
        let count = |emit: &mut crate::emit::Emit<'_>| if increment { emit.inc_ref(object) } else { emit.dec_ref(object, end) };
        if ty.may_be_null() {
            self.e.unless_zero(object, count);
        } else {
            count(&mut self.e);
        }
        Ok(())
    }

    fn end_of(&self, ty: Type) -> End {
        match ty.without(Type::NULL) {
            Type::FLOAT => End::Float,
            Type::INT => End::Int,
            _ if ty.is_subtype(PLAIN) => End::Plain,
            _ => End::Any { tstate: self.tstate },
        }
    }

    fn is_immortal_constant(&self, inst: &InstData) -> bool {
        let Some(def) = self.func.def(inst.args[0]) else { return false };
        match (def.op, def.imm) {
            (Op::ConstObj, pepjit_ir::Imm::Obj(object)) => self.func.objects[object.index()].immortal,
            _ => false,
        }
    }

    /// A pair of a value and its tag.
    pub(crate) fn pair_from(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let value = self.arg(inst, 0)?;
        let payload = self.e.word_of(value);
        let tag = self.e.int(match inst.op {
            Op::PairFromInt => 0,
            Op::PairFromFloat => 2,
            _ => 1,
        });
        self.define(inst, Lowered::Pair(payload, tag))
    }

    /// Gives up the object that a pair holds, if it holds one.
    pub(crate) fn pair_drop(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let (payload, tag) = self.pair(inst)?;
        let is_object = self.e.compare(IntCC::Equal, tag, 1);
        let end = End::Any { tstate: self.tstate };
        self.e.unless_zero(is_object, |e| e.unless_zero(payload, |e| e.dec_ref(payload, end)));
        Ok(())
    }

    /// Whether a direct call raised: an object, null.
    pub(crate) fn pair_failed(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (payload, tag) = self.pair(inst)?;
        let is_object = self.e.compare(IntCC::Equal, tag, 1);
        let is_null = self.e.compare(IntCC::Equal, payload, 0);
        Ok(self.e.fb.ins().band(is_object, is_null))
    }

    /// A direct call's result as an object.
    pub(crate) fn pair_to_object(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (payload, tag) = self.pair(inst)?;
        Ok(self.e.box_result(payload, tag, Unboxed { int: true, float: true }))
    }

    /// A direct call's result as an unboxed value.
    pub(crate) fn pair_to_unboxed(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (payload, tag) = self.pair(inst)?;
        let float = inst.op == Op::PairToFloat;
        let (boxed, done) = (self.e.cold_block(), self.e.block());
        let value = self.e.fb.append_block_param(done, if float { F64 } else { I64 });
        let expected = self.e.compare(IntCC::Equal, tag, if float { 2 } else { 0 });
        let unboxed = if float { self.e.bits_to_float(payload) } else { payload };
        self.e.fb.ins().brif(expected, done, &[unboxed.into()], boxed, &[]);

        self.e.fb.switch_to_block(boxed);
        let is_object = self.e.compare(IntCC::Equal, tag, 1);
        self.leave_unless(inst, is_object, Reason::Class)?;
        self.leave_unless(inst, payload, Reason::Class)?;
        let class = if float { self.e.layout.float_type } else { self.e.layout.int_type };
        let right = self.e.is_class(payload, class);
        self.leave_unless(inst, right, Reason::Class)?;
        let number = if float {
            self.e.float_value(payload)
        } else {
            let (compact, tag) = self.e.is_compact(payload);
            self.leave_unless(inst, compact, Reason::Class)?;
            self.e.compact_value(payload, tag)
        };
        self.e.dec_ref(payload, if float { End::Float } else { End::Int });
        self.e.fb.ins().jump(done, &[number.into()]);
        self.e.fb.switch_to_block(done);
        Ok(value)
    }
}

/// The region in which a field is.
fn region_of(field: Field) -> Region {
    match field {
        Field::RefCount => Region::Counts,
        Field::EvalBreaker => Region::Thread,
        _ => Region::Heap,
    }
}
