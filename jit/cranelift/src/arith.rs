//! Arithmetic on unboxed values, with Python's semantics; whatever doesn't fit leaves before any effect.

use crate::error::internal;
use crate::lower::{Lower, wrong_imm};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::F64;
use cranelift_codegen::ir::{self, InstBuilder};
use pepjit_backend::BackendError;
use pepjit_ir::op::Reason;
use pepjit_ir::{Cond, Imm, InstData, Op};

/// Every integer up to this magnitude is a double.
const EXACT_DOUBLE: i64 = 1 << 53;

impl Lower<'_, '_> {
    /// `a + b`, `a - b`, `a * b`, `-a`.
    pub(crate) fn int_overflowing(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let a = self.arg(inst, 0)?;
        let (value, overflow) = if inst.op == Op::IntNeg {
            let zero = self.e.int(0);
            self.e.fb.ins().ssub_overflow(zero, a)
        } else {
            let b = self.arg(inst, 1)?;
            match inst.op {
                Op::IntAdd => self.e.fb.ins().sadd_overflow(a, b),
                Op::IntSub => self.e.fb.ins().ssub_overflow(a, b),
                _ => self.e.fb.ins().smul_overflow(a, b),
            }
        };
        self.leave_if(inst, overflow, Reason::Overflow)?;
        Ok(value)
    }

    /// Bitwise operations, and wrapping ones on words.
    pub(crate) fn int_plain(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        let ins = self.e.fb.ins();
        Ok(match inst.op {
            Op::IntAnd => ins.band(a, b),
            Op::IntOr => ins.bor(a, b),
            Op::IntXor => ins.bxor(a, b),
            Op::WordAdd => ins.iadd(a, b),
            Op::WordSub => ins.isub(a, b),
            _ => ins.imul(a, b),
        })
    }

    /// `a // b`: the quotient rounded towards zero, less one if there is a remainder with a sign other than the divisor's.
    pub(crate) fn int_floor_div(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        let divisor = self.constant(inst, 1);
        if let Some(shift) = divisor.and_then(power_of_two) {
            return Ok(self.e.fb.ins().sshr_imm_u(a, shift));
        }
        if divisor.is_none_or(|divisor| divisor == 0) {
            self.leave_unless(inst, b, Reason::Arithmetic)?;
        }
        if divisor.is_none_or(|divisor| divisor == -1) {
            let least = self.e.compare(IntCC::Equal, a, i64::MIN);
            let minus_one = self.e.compare(IntCC::Equal, b, -1);
            let overflow = self.e.fb.ins().band(least, minus_one);
            self.leave_if(inst, overflow, Reason::Overflow)?;
        }
        let quotient = self.e.fb.ins().sdiv(a, b);
        let product = self.e.fb.ins().imul(quotient, b);
        let remainder = self.e.fb.ins().isub(a, product);
        let inexact = self.differs_in_sign(remainder, b);
        let less = self.e.fb.ins().iadd_imm_s(quotient, -1);
        Ok(self.e.fb.ins().select(inexact, less, quotient))
    }

    /// `a % b`: the remainder, plus the divisor if its sign is another than the divisor's.
    pub(crate) fn int_mod(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        let divisor = self.constant(inst, 1);
        if let (Some(divisor), Some(_)) = (divisor, divisor.and_then(power_of_two)) {
            return Ok(self.e.fb.ins().band_imm_s(a, divisor - 1));
        }
        if divisor.is_none_or(|divisor| divisor == 0) {
            self.leave_unless(inst, b, Reason::Arithmetic)?;
        }
        // CLIF defines the remainder of the least integer by -1 as 0.
        let remainder = self.e.fb.ins().srem(a, b);
        let other_sign = self.differs_in_sign(remainder, b);
        let sum = self.e.fb.ins().iadd(remainder, b);
        Ok(self.e.fb.ins().select(other_sign, sum, remainder))
    }

    /// Whether a remainder is not zero and has another sign than the divisor.
    fn differs_in_sign(&mut self, remainder: ir::Value, divisor: ir::Value) -> ir::Value {
        let signs = self.e.fb.ins().bxor(remainder, divisor);
        let differ = self.e.compare(IntCC::SignedLessThan, signs, 0);
        let some = self.e.compare(IntCC::NotEqual, remainder, 0);
        self.e.fb.ins().band(differ, some)
    }

    /// `a << b`: exact if shifting back gives `a` again.
    pub(crate) fn int_shl(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        if self.constant(inst, 1).is_none_or(|shift| !(0..64).contains(&shift)) {
            let negative = self.e.compare(IntCC::SignedLessThan, b, 0);
            self.leave_if(inst, negative, Reason::Arithmetic)?;
            let long = self.e.compare(IntCC::SignedGreaterThan, b, 63);
            self.leave_if(inst, long, Reason::Overflow)?;
        }
        let shifted = self.e.fb.ins().ishl(a, b);
        let back = self.e.fb.ins().sshr(shifted, b);
        let lost = self.e.fb.ins().icmp(IntCC::NotEqual, back, a);
        self.leave_if(inst, lost, Reason::Overflow)?;
        Ok(shifted)
    }

    /// `a << b` without what is shifted out.
    pub(crate) fn word_shl(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        if self.constant(inst, 1).is_some_and(|shift| (0..64).contains(&shift)) {
            return Ok(self.e.fb.ins().ishl(a, b));
        }
        let negative = self.e.compare(IntCC::SignedLessThan, b, 0);
        self.leave_if(inst, negative, Reason::Arithmetic)?;
        let (shifted, nothing) = (self.e.fb.ins().ishl(a, b), self.e.int(0));
        let long = self.e.compare(IntCC::SignedGreaterThan, b, 63);
        Ok(self.e.fb.ins().select(long, nothing, shifted))
    }

    /// `a >> b`
    pub(crate) fn int_shr(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        if self.constant(inst, 1).is_some_and(|shift| (0..64).contains(&shift)) {
            return Ok(self.e.fb.ins().sshr(a, b));
        }
        let negative = self.e.compare(IntCC::SignedLessThan, b, 0);
        self.leave_if(inst, negative, Reason::Arithmetic)?;
        let most = self.e.int(63);
        let shift = self.e.fb.ins().umin(b, most);
        Ok(self.e.fb.ins().sshr(a, shift))
    }

    pub(crate) fn int_cmp(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        let condition = match cond_imm(inst)? {
            Cond::Lt => IntCC::SignedLessThan,
            Cond::Le => IntCC::SignedLessThanOrEqual,
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::Gt => IntCC::SignedGreaterThan,
            Cond::Ge => IntCC::SignedGreaterThanOrEqual,
            Cond::Below => IntCC::UnsignedLessThan,
        };
        Ok(self.e.fb.ins().icmp(condition, a, b))
    }

    pub(crate) fn int_to_float(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let a = self.arg(inst, 0)?;
        if self.constant(inst, 0).is_none_or(|value| value.unsigned_abs() > EXACT_DOUBLE as u64) {
            let shifted = self.e.fb.ins().iadd_imm_s(a, EXACT_DOUBLE);
            let beyond = self.e.compare(IntCC::UnsignedGreaterThan, shifted, 2 * EXACT_DOUBLE);
            self.leave_if(inst, beyond, Reason::Overflow)?;
        }
        Ok(self.e.fb.ins().fcvt_from_sint(F64, a))
    }

    /// `a + b`, `a - b`, `a * b`, `a / b`
    pub(crate) fn float_binary(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        if inst.op == Op::FloatDiv {
            let zero = self.e.fb.ins().f64const(0.0);
            let by_zero = self.e.fb.ins().fcmp(FloatCC::Equal, b, zero);
            self.leave_if(inst, by_zero, Reason::Arithmetic)?;
        }
        let ins = self.e.fb.ins();
        Ok(match inst.op {
            Op::FloatAdd => ins.fadd(a, b),
            Op::FloatSub => ins.fsub(a, b),
            Op::FloatMul => ins.fmul(a, b),
            _ => ins.fdiv(a, b),
        })
    }

    /// `-a`, `abs(a)`, the square root.
    pub(crate) fn float_unary(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let a = self.arg(inst, 0)?;
        Ok(match inst.op {
            Op::FloatNeg => self.e.fb.ins().fneg(a),
            Op::FloatAbs => self.e.fb.ins().fabs(a),
            _ => {
                let zero = self.e.fb.ins().f64const(0.0);
                let real = self.e.fb.ins().fcmp(FloatCC::GreaterThanOrEqual, a, zero);
                self.leave_unless(inst, real, Reason::Arithmetic)?;
                self.e.fb.ins().sqrt(a)
            }
        })
    }

    pub(crate) fn float_cmp(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
        let condition = match cond_imm(inst)? {
            Cond::Lt => FloatCC::LessThan,
            Cond::Le => FloatCC::LessThanOrEqual,
            Cond::Eq => FloatCC::Equal,
            Cond::Ne => FloatCC::NotEqual,
            Cond::Gt => FloatCC::GreaterThan,
            Cond::Ge => FloatCC::GreaterThanOrEqual,
            Cond::Below => return Err(internal("doubles have no unsigned order")),
        };
        Ok(self.e.fb.ins().fcmp(condition, a, b))
    }

    /// `True` or `False`.
    pub(crate) fn box_bool(&mut self, inst: &InstData) -> Result<ir::Value, BackendError> {
        let a = self.arg(inst, 0)?;
        let (yes, no) = (self.e.address(self.e.layout.true_object), self.e.address(self.e.layout.false_object));
        Ok(self.e.fb.ins().select(a, yes, no))
    }
}

fn cond_imm(inst: &InstData) -> Result<Cond, BackendError> {
    if let Imm::Cond(cond) = inst.imm { Ok(cond) } else { Err(wrong_imm(inst)) }
}

/// The exponent of a positive power of two.
fn power_of_two(value: i64) -> Option<i64> {
    (value > 0 && value & (value - 1) == 0).then(|| i64::from(value.trailing_zeros()))
}
