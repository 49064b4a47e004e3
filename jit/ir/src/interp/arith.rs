//! Arithmetic on unboxed values, as the instruction table defines it: a result, or the reason to leave.

use crate::op::{Cond, Reason};

/// A result, or why the interpreter has to do the operation.
pub type Arith<T> = Result<T, Reason>;

/// `a + b`
pub fn int_add(a: i64, b: i64) -> Arith<i64> {
    a.checked_add(b).ok_or(Reason::Overflow)
}

/// `a - b`
pub fn int_sub(a: i64, b: i64) -> Arith<i64> {
    a.checked_sub(b).ok_or(Reason::Overflow)
}

/// `a * b`
pub fn int_mul(a: i64, b: i64) -> Arith<i64> {
    a.checked_mul(b).ok_or(Reason::Overflow)
}

/// `-a`
pub fn int_neg(a: i64) -> Arith<i64> {
    a.checked_neg().ok_or(Reason::Overflow)
}

/// `a // b`, rounding towards minus infinity.
pub fn int_floor_div(a: i64, b: i64) -> Arith<i64> {
    if b == 0 {
        return Err(Reason::Arithmetic);
    }
    let quotient = a.checked_div(b).ok_or(Reason::Overflow)?;
    Ok(if has_other_sign(a.wrapping_rem(b), b) { quotient - 1 } else { quotient })
}

/// `a % b`, with the sign of `b`.
pub fn int_mod(a: i64, b: i64) -> Arith<i64> {
    if b == 0 {
        return Err(Reason::Arithmetic);
    }
    let remainder = a.wrapping_rem(b);
    Ok(if has_other_sign(remainder, b) { remainder + b } else { remainder })
}

const fn has_other_sign(remainder: i64, divisor: i64) -> bool {
    remainder != 0 && (remainder < 0) != (divisor < 0)
}

/// `a << b`; shifts of 64 or more leave whatever `a` is.
pub fn int_shl(a: i64, b: i64) -> Arith<i64> {
    match b {
        ..0 => Err(Reason::Arithmetic),
        64.. => Err(Reason::Overflow),
        _ if (a << b) >> b == a => Ok(a << b),
        _ => Err(Reason::Overflow),
    }
}

/// The low 64 bits of `a << b`.
pub fn word_shl(a: u64, b: u64) -> Arith<u64> {
    match b.cast_signed() {
        ..0 => Err(Reason::Arithmetic),
        64.. => Ok(0),
        shift => Ok(a << shift),
    }
}

/// `a >> b`, arithmetic.
pub fn int_shr(a: i64, b: i64) -> Arith<i64> {
    if b < 0 { Err(Reason::Arithmetic) } else { Ok(a >> b.min(63)) }
}

/// The double that equals `a`, for magnitudes up to 2**53.
pub fn int_to_float(a: i64) -> Arith<f64> {
    if a.unsigned_abs() > 1 << 53 { Err(Reason::Overflow) } else { Ok(a as f64) }
}

/// `a / b`
pub fn float_div(a: f64, b: f64) -> Arith<f64> {
    if b == 0.0 { Err(Reason::Arithmetic) } else { Ok(a / b) }
}

/// The square root of what is not negative and not NaN.
pub fn float_sqrt(a: f64) -> Arith<f64> {
    if a >= 0.0 { Ok(a.sqrt()) } else { Err(Reason::Arithmetic) }
}

/// A comparison of integers: signed, but for [`Cond::Below`].
pub const fn int_cmp(cond: Cond, a: i64, b: i64) -> bool {
    match cond {
        Cond::Lt => a < b,
        Cond::Le => a <= b,
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
        Cond::Below => (a as u64) < b as u64,
    }
}

/// A comparison of doubles: with a NaN all are false but [`Cond::Ne`].
#[expect(clippy::float_cmp, reason = "that is the operation")]
pub fn float_cmp(cond: Cond, a: f64, b: f64) -> bool {
    match cond {
        Cond::Lt | Cond::Below => a < b,
        Cond::Le => a <= b,
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Gt => a > b,
        Cond::Ge => a >= b,
    }
}
