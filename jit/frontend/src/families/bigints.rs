//! Ints that don't fit 64 bits: the interpreter's own functions do the arithmetic, called directly.

use crate::input::{BIG_INTEGERS, EVEN_SPECIALISED};
use crate::state::Entry;
use crate::translate::{Step, Translator};
use pepjit_ir::{Constant, Helper, Type};

use super::arith::nb;

impl Translator<'_> {
    /// Whether an entry is an int that isn't likely to fit 64 bits.
    pub(crate) fn is_wide(&self, entry: Entry) -> bool {
        match entry {
            Entry::Const(object) => {
                let object = &self.func.objects[object.index()];
                object.ty == Type::INT && object.constant == Constant::Opaque
            }
            Entry::Value(..) => self.likely(entry) == Type::WIDE_INT,
            Entry::Null => false,
        }
    }

    /// Whether an operator works on ints one of which, or whose result, isn't likely to fit 64 bits.
    pub(super) fn works_on_wide(&self, base: u32, left: Entry, right: Entry) -> bool {
        let could_be = |entry| !self.ty(entry).intersect(Type::INT).is_empty();
        if matches!(base, nb::POWER | nb::TRUE_DIVIDE | nb::MATRIX_MULTIPLY) || !could_be(left) || !could_be(right) {
            return false;
        }
        self.compares_wide(left, right)
    }

    /// The same for a comparison.
    pub(super) fn compares_wide(&self, left: Entry, right: Entry) -> bool {
        let could_be = |entry| !self.ty(entry).intersect(Type::INT).is_empty();
        if !could_be(left) || !could_be(right) {
            return false;
        }
        if self.is_wide(left) || self.is_wide(right) {
            return true;
        }
        let known = |entry| self.likely(entry) == Type::INT;
        let specialised = self.insn.spec.ends_with("_INT");
        let ints = specialised || known(left) || known(right);
        // What the interpreter has specialised is small, unless that has turned out to be wrong.
        let everywhere = self.input.failed_sites.contains(&if specialised { EVEN_SPECIALISED } else { BIG_INTEGERS });
        ints && (everywhere || self.failed())
    }

    /// An operator on ints of any size.
    pub(super) fn wide_binary(&mut self, arg: u32, base: u32) -> Step {
        let (left, right) = (self.peek(1)?, self.peek(0)?);
        let small = |this: &Self, entry| match this.constant(entry).map(|object| object.constant) {
            Some(Constant::Int(number)) => number >= 0,
            _ => false,
        };
        let fits = match base {
            nb::AND => small(self, left) || small(self, right),
            nb::REMAINDER => small(self, right) || self.likely(right) == Type::INT,
            _ => false,
        };
        let ints = [left, right].into_iter().all(|entry| !self.ty(entry).is_empty() && self.ty(entry).is_subtype(Type::INT));
        let generic = self.generic;
        let result = self.generic_call(Helper::IntOp, 2, &[i64::from(arg)])?;
        self.generic = generic;
        self.specialised += 1;
        if ints {
            self.func.values[result.index()].ty = Type::INT.union(Type::NULL);
        }
        self.push_result(result);
        self.hints.insert(result, if fits { Type::INT } else { Type::WIDE_INT });
        Ok(())
    }

    /// A comparison of ints of any size that goes to a jump.
    pub(super) fn wide_compare(&mut self, number: i64) -> Step {
        let generic = self.generic;
        let status = self.generic_status(Helper::CompareBool, 2, &[number])?;
        self.generic = generic;
        self.specialised += 1;
        let truth = self.is_nonzero(status);
        self.push_bool(truth);
        Ok(())
    }
}
