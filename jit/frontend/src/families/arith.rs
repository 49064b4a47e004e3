//! Operators, comparisons, truth.

use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator, unsupported};
use pepjit_ir::op::Reason;
use pepjit_ir::{Cond, Constant, Field, Helper, Imm, Op, Type, Value};

/// CPython's numbers of the binary operators (`NB_*`; the in-place ones follow at 13).
pub(super) mod nb {
    pub(crate) const ADD: u32 = 0;
    pub(crate) const AND: u32 = 1;
    pub(crate) const FLOOR_DIVIDE: u32 = 2;
    pub(crate) const LSHIFT: u32 = 3;
    pub(crate) const MATRIX_MULTIPLY: u32 = 4;
    pub(crate) const MULTIPLY: u32 = 5;
    pub(crate) const REMAINDER: u32 = 6;
    pub(crate) const OR: u32 = 7;
    pub(crate) const POWER: u32 = 8;
    pub(crate) const RSHIFT: u32 = 9;
    pub(crate) const SUBTRACT: u32 = 10;
    pub(crate) const TRUE_DIVIDE: u32 = 11;
    pub(crate) const XOR: u32 = 12;
    pub(crate) const INPLACE: u32 = 13;
    pub(crate) const SUBSCRIPT: u32 = 26;
}

/// How an operator's operands are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Float,
    /// A float and an int, either way round.
    Mixed,
    Str,
    /// Ints of any size.
    Wide,
    Generic,
}

/// The operator that is a subscript.
pub(crate) const SUBSCRIPT: u32 = nb::SUBSCRIPT;

impl Translator<'_> {
    fn is_int(&self, entry: Entry) -> bool {
        let ty = self.ty(entry);
        !ty.is_empty() && ty.is_subtype(Type::INT)
    }

    fn is_float(&self, entry: Entry) -> bool {
        let ty = self.ty(entry);
        !ty.is_empty() && ty.is_subtype(Type::FLOAT)
    }

    fn could_be(&self, entry: Entry, ty: Type) -> bool {
        !self.ty(entry).intersect(ty).is_empty()
    }

    /// An int operand, unboxed.
    pub(super) fn int(&mut self, entry: Entry) -> Value {
        let value = self.value(entry);
        self.checked(Op::UnboxInt, &[value])
    }

    /// A float operand, unboxed; an int is converted if the operand is one, or is a loop's variable that started as one.
    pub(super) fn float(&mut self, entry: Entry, lenient: bool) -> Value {
        let value = self.value(entry);
        if self.is_int(entry) {
            let int = self.checked(Op::UnboxInt, &[value]);
            return self.checked(Op::IntToFloat, &[int]);
        }
        let lenient = lenient && !self.is_float(entry) || self.int_seeded.contains(&value);
        self.checked(if lenient { Op::UnboxNumber } else { Op::UnboxFloat }, &[value])
    }

    fn kind(&self, base: u32, left: Entry, right: Entry) -> Kind {
        let spec = self.insn.spec;
        if self.failed() {
            return if self.works_on_wide(base, left, right) { Kind::Wide } else { Kind::Generic };
        }
        let (left_int, right_int) = (self.is_int(left), self.is_int(right));
        let (left_float, right_float) = (self.is_float(left), self.is_float(right));
        let numbers = Type::INT.union(Type::FLOAT);
        let numeric = self.could_be(left, numbers) && self.could_be(right, numbers);
        let float_op = matches!(
            base,
            nb::ADD | nb::SUBTRACT | nb::MULTIPLY | nb::TRUE_DIVIDE | nb::POWER | nb::FLOOR_DIVIDE | nb::REMAINDER
        );
        if spec.ends_with("_UNICODE") || left_str_right_str(self, left, right) && base == nb::ADD {
            return Kind::Str;
        }
        if !numeric {
            return Kind::Generic;
        }
        if float_op && (spec.ends_with("_FLOAT") && !left_int && !right_int || left_float || right_float) {
            return Kind::Float;
        }
        if base == nb::TRUE_DIVIDE {
            return Kind::Float;
        }
        if base == nb::POWER {
            return Kind::Generic;
        }
        if self.works_on_wide(base, left, right) {
            return Kind::Wide;
        }
        let probably = |entry, known| known || self.likely(entry) == Type::INT;
        let unspecialised = spec == "BINARY_OP" && probably(left, left_int) && probably(right, right_int);
        // The interpreter doesn't specialise for ints of several digits; but bits are taken of ints only.
        let unspecialised = unspecialised || spec == "BINARY_OP" && (left_int || right_int) && self.feeds_bits();
        let both = unspecialised || left_int && right_int || spec.ends_with("_INT");
        if both && self.could_be(left, Type::INT) && self.could_be(right, Type::INT) {
            return Kind::Int;
        }
        if spec == "BINARY_OP_EXTEND" {
            return if float_op { Kind::Mixed } else { Kind::Int };
        }
        let bitwise = matches!(base, nb::AND | nb::OR | nb::XOR | nb::LSHIFT | nb::RSHIFT | nb::FLOOR_DIVIDE | nb::REMAINDER);
        let likely = |entry| self.likely(entry) == Type::INT;
        if bitwise
            && (left_int || right_int || likely(left) || likely(right))
            && self.could_be(left, Type::INT)
            && self.could_be(right, Type::INT)
        {
            return Kind::Int;
        }
        Kind::Generic
    }

    /// Whether the result of the current operator goes, through operators alone, to one that works on an int's bits.
    fn feeds_bits(&self) -> bool {
        let following = self.bytecode.insns.iter().skip_while(|insn| insn.offset < self.insn.next);
        // How many operands are on top of the result.
        let mut above = 0;
        for insn in following.take(12) {
            match insn.name {
                "LOAD_FAST" | "LOAD_FAST_BORROW" | "LOAD_FAST_CHECK" | "LOAD_CONST" | "LOAD_SMALL_INT" | "LOAD_DEREF" => {
                    above += 1;
                }
                "LOAD_GLOBAL" if insn.arg & 1 == 0 => above += 1,
                "LOAD_FAST_LOAD_FAST" | "LOAD_FAST_BORROW_LOAD_FAST_BORROW" => above += 2,
                "BINARY_OP" if above > 1 => above -= 1,
                "BINARY_OP" if above == 1 => match insn.arg % nb::INPLACE {
                    nb::AND | nb::OR | nb::XOR | nb::LSHIFT | nb::RSHIFT => return insn.arg != nb::SUBSCRIPT,
                    nb::ADD | nb::SUBTRACT | nb::MULTIPLY if insn.arg != nb::SUBSCRIPT => above = 0,
                    _ => return false,
                },
                _ => return false,
            }
        }
        false
    }

    pub(super) fn binary_op(&mut self, arg: u32) -> Step {
        if arg == nb::SUBSCRIPT {
            return self.subscript();
        }
        let base = if arg >= nb::INPLACE { arg - nb::INPLACE } else { arg };
        let (left, right) = (self.peek(1)?, self.peek(0)?);
        let result = match self.kind(base, left, right) {
            Kind::Int => {
                let (a, b) = (self.int(left), self.int(right));
                let result = match base {
                    nb::ADD => self.checked(Op::IntAdd, &[a, b]),
                    nb::SUBTRACT => self.checked(Op::IntSub, &[a, b]),
                    nb::MULTIPLY => self.checked(Op::IntMul, &[a, b]),
                    nb::FLOOR_DIVIDE => self.checked(Op::IntFloorDiv, &[a, b]),
                    nb::REMAINDER => self.checked(Op::IntMod, &[a, b]),
                    nb::LSHIFT => self.checked(Op::IntShl, &[a, b]),
                    nb::RSHIFT => self.checked(Op::IntShr, &[a, b]),
                    nb::AND => self.op(Op::IntAnd, &[a, b]),
                    nb::OR => self.op(Op::IntOr, &[a, b]),
                    nb::XOR => self.op(Op::IntXor, &[a, b]),
                    _ => return self.generic_binary(arg),
                };
                self.specialised += 1;
                self.op(Op::BoxInt, &[result])
            }
            Kind::Float => {
                let divide = base == nb::TRUE_DIVIDE;
                // With one operand known to be a float (or for a quotient) the other may be an int.
                let known = self.is_float(left) || self.is_float(right) || divide;
                let (a, b) = (self.float(left, known), self.float(right, known));
                let Some(result) = self.float_op(base, a, b) else { return self.generic_binary(arg) };
                self.specialised += 1;
                self.op(Op::BoxFloat, &[result])
            }
            Kind::Mixed => {
                let class = self.well_known(Type::FLOAT)?;
                let (left_value, right_value) = (self.value(left), self.value(right));
                let first = self.op_imm(Op::IsClass, &[left_value], Imm::Obj(class));
                let second = self.op_imm(Op::IsClass, &[right_value], Imm::Obj(class));
                let (first, second) = (self.op(Op::BoolToInt, &[first]), self.op(Op::BoolToInt, &[second]));
                let either = self.op(Op::IntOr, &[first, second]);
                let zero = self.build().int(0);
                let float = self.op_imm(Op::IntCmp, &[either, zero], Imm::Cond(Cond::Ne));
                self.guard(Op::Guard, &[float], Imm::Reason(Reason::Class));
                let (a, b) = (self.float(left, true), self.float(right, true));
                let Some(result) = self.float_op(base, a, b) else { return self.generic_binary(arg) };
                self.specialised += 1;
                self.op(Op::BoxFloat, &[result])
            }
            Kind::Str => return self.concatenate(left, right),
            Kind::Wide => return self.wide_binary(arg, base),
            Kind::Generic => return self.generic_binary(arg),
        };
        let (right, left) = (self.pop()?, self.pop()?);
        self.release(right);
        self.release(left);
        self.push_owned(result);
        Ok(())
    }

    fn generic_binary(&mut self, arg: u32) -> Step {
        self.generic_op(Helper::BinaryOp, 2, &[i64::from(arg)])
    }

    fn float_op(&mut self, base: u32, a: Value, b: Value) -> Option<Value> {
        Some(match base {
            nb::ADD => self.op(Op::FloatAdd, &[a, b]),
            nb::SUBTRACT => self.op(Op::FloatSub, &[a, b]),
            nb::MULTIPLY => self.op(Op::FloatMul, &[a, b]),
            nb::TRUE_DIVIDE => self.checked(Op::FloatDiv, &[a, b]),
            nb::POWER => {
                let result = self.build().call(Helper::FloatPow, &[a, b]);
                let number = self.op_imm(Op::FloatCmp, &[result, result], Imm::Cond(Cond::Eq));
                self.guard(Op::Guard, &[number], Imm::Reason(Reason::Arithmetic));
                result
            }
            nb::FLOOR_DIVIDE | nb::REMAINDER => {
                let zero = self.build().op_imm(Op::ConstFloat, &[], Imm::Float(0.0));
                let nonzero = self.op_imm(Op::FloatCmp, &[b, zero], Imm::Cond(Cond::Ne));
                self.guard(Op::Guard, &[nonzero], Imm::Reason(Reason::Arithmetic));
                let helper = if base == nb::REMAINDER { Helper::FloatMod } else { Helper::FloatFloorDiv };
                self.build().call(helper, &[a, b])
            }
            _ => return None,
        })
    }

    /// `left + right` of two strings. The interpreter grows the left one in place if only the local holds it that the result is stored to.
    fn concatenate(&mut self, left: Entry, right: Entry) -> Step {
        let left_value = self.guard_type(left, Type::STR)?;
        let right_value = self.guard_type(right, Type::STR)?;
        self.specialised += 1;
        let moved = match left {
            Entry::Value(value, Owner::Local(local))
                if self.next_stores(local)
                    && self.frame.locals[local as usize] == Entry::Value(value, Owner::Slot)
                    && self.frame.stack.iter().filter(|entry| **entry == left).count() == 1 =>
            {
                Some(local)
            }
            _ => None,
        };
        if let Some(local) = moved {
            self.before_call();
            let right = self.pop()?;
            self.pop()?;
            self.frame.locals[local as usize] = Entry::Null;
            let result = self.build().call(Helper::StrAppend, &[left_value, right_value]);
            self.release(right);
            self.push_result(result);
            return Ok(());
        }
        self.generic_op(Helper::StrConcat, 2, &[])
    }

    fn next_stores(&self, local: u32) -> bool {
        self.bytecode.insns.iter().any(|next| {
            next.offset == self.insn.next && next.stores().first() == Some(&local) && next.name.starts_with("STORE_FAST")
        })
    }

    pub(super) fn negative(&mut self) -> Step {
        let entry = self.peek(0)?;
        let int = self.is_int(entry) || self.likely(entry) == Type::INT && self.could_be(entry, Type::INT);
        let int = int && !self.is_wide(entry);
        let result = if int && !self.failed() {
            let value = self.int(entry);
            let result = self.checked(Op::IntNeg, &[value]);
            self.op(Op::BoxInt, &[result])
        } else if self.is_float(entry) {
            let value = self.float(entry, false);
            let result = self.op(Op::FloatNeg, &[value]);
            self.op(Op::BoxFloat, &[result])
        } else {
            return self.generic_op(Helper::Negative, 1, &[]);
        };
        let entry = self.pop()?;
        self.release(entry);
        self.push_owned(result);
        Ok(())
    }

    pub(super) fn invert(&mut self) -> Step {
        let entry = self.peek(0)?;
        let int = self.is_int(entry) || self.likely(entry) == Type::INT && self.could_be(entry, Type::INT);
        let int = int && !self.is_wide(entry);
        if !int || self.failed() {
            return self.generic_op(Helper::Invert, 1, &[]);
        }
        let value = self.int(entry);
        let result = self.op(Op::IntInvert, &[value]);
        let result = self.op(Op::BoxInt, &[result]);
        let entry = self.pop()?;
        self.release(entry);
        self.push_owned(result);
        Ok(())
    }

    pub(super) fn not(&mut self) -> Step {
        let entry = self.peek(0)?;
        let value = self.value(entry);
        let truth = match self.func.def(value) {
            Some(def) if def.op == Op::BoxBool => def.args[0],
            _ => self.checked(Op::UnboxBool, &[value]),
        };
        self.pop()?;
        self.release(entry);
        let result = self.op(Op::BoolNot, &[truth]);
        self.push_bool(result);
        Ok(())
    }

    /// Pushes a truth value as an object (the box disappears if nobody looks at it).
    pub(super) fn push_bool(&mut self, truth: Value) {
        let boxed = self.op(Op::BoxBool, &[truth]);
        self.push_outside(boxed);
    }

    pub(super) fn truth_of_top(&mut self) -> Step {
        let entry = self.peek(0)?;
        let value = self.value(entry);
        let spec = self.insn.spec;
        let ty = self.ty(entry);
        let mixed = self.top_is_mixed();
        let zero_compare = |this: &mut Self, number: Value| {
            let zero = this.build().int(0);
            this.op_imm(Op::IntCmp, &[number, zero], Imm::Cond(Cond::Ne))
        };
        let truth = if ty.is_subtype(Type::BOOL) && !ty.is_empty() {
            return Ok(());
        } else if !self.is_wide(entry) && (self.is_int(entry) || spec == "TO_BOOL_INT") && !mixed {
            let number = self.int(entry);
            zero_compare(self, number)
        } else if spec == "TO_BOOL_BOOL" && !mixed {
            let truth = self.checked(Op::UnboxBool, &[value]);
            self.pop()?;
            self.release(entry);
            self.push_bool(truth);
            return Ok(());
        } else if (spec == "TO_BOOL_LIST" || ty.is_subtype(Type::LIST)) && !mixed {
            self.guard_type(entry, Type::LIST)?;
            let size = self.op_imm(Op::LoadField, &[value], Imm::Field(Field::VarSize));
            zero_compare(self, size)
        } else if (spec == "TO_BOOL_STR" || ty.is_subtype(Type::STR)) && !mixed {
            self.guard_type(entry, Type::STR)?;
            let size = self.op_imm(Op::LoadField, &[value], Imm::Field(Field::StrLength));
            zero_compare(self, size)
        } else {
            let truth = self.truth_of(value, 1)?;
            self.push_bool(truth);
            return Ok(());
        };
        self.pop()?;
        self.release(entry);
        self.push_bool(truth);
        Ok(())
    }

    pub(super) fn compare(&mut self, arg: u32) -> Step {
        let Some((cond, _)) = Cond::NAMED.get((arg >> 5) as usize).copied() else { return unsupported("COMPARE_OP") };
        let wants_bool = arg & 16 != 0;
        let (left, right) = (self.peek(1)?, self.peek(0)?);
        let spec = self.insn.spec;
        let ints = self.could_be(left, Type::INT) && self.could_be(right, Type::INT);
        let numbers = Type::INT.union(Type::FLOAT);
        let numeric = self.could_be(left, numbers) && self.could_be(right, numbers);
        let any_float = self.is_float(left) || self.is_float(right);
        let truth = if self.failed() {
            None
        } else if numeric && (any_float || spec == "COMPARE_OP_FLOAT") {
            let known = any_float;
            let (a, b) = (self.float(left, known), self.float(right, known));
            Some(self.op_imm(Op::FloatCmp, &[a, b], Imm::Cond(cond)))
        } else if ints && self.compares_wide(left, right) {
            None
        } else if ints && (spec == "COMPARE_OP_INT" || self.is_int(left) || self.is_int(right)) {
            let (a, b) = (self.int(left), self.int(right));
            Some(self.op_imm(Op::IntCmp, &[a, b], Imm::Cond(cond)))
        } else if spec == "COMPARE_OP_STR" || left_str_right_str(self, left, right) {
            let (a, b) = (self.guard_type(left, Type::STR)?, self.guard_type(right, Type::STR)?);
            let zero = self.build().int(0);
            Some(match cond {
                Cond::Eq | Cond::Ne => {
                    let equal = self.build().call(Helper::StrEqual, &[a, b]);
                    self.op_imm(Op::IntCmp, &[equal, zero], Imm::Cond(if cond == Cond::Eq { Cond::Ne } else { Cond::Eq }))
                }
                _ => {
                    let order = self.build().call(Helper::StrCompare, &[a, b]);
                    self.op_imm(Op::IntCmp, &[order, zero], Imm::Cond(cond))
                }
            })
        } else {
            None
        };
        if let Some(truth) = truth {
            self.specialised += 1;
            self.pop()?;
            self.pop()?;
            self.release(right);
            self.release(left);
            self.push_bool(truth);
            return Ok(());
        }
        let number = i64::from(arg >> 5);
        if wants_bool && ints && self.compares_wide(left, right) {
            return self.wide_compare(number);
        }
        if wants_bool {
            let status = self.generic_status(Helper::CompareBool, 2, &[number])?;
            let zero = self.build().int(0);
            let truth = self.op_imm(Op::IntCmp, &[status, zero], Imm::Cond(Cond::Ne));
            self.push_bool(truth);
            return Ok(());
        }
        self.generic_op(Helper::RichCompare, 2, &[number])
    }

    pub(super) fn is_op(&mut self, arg: u32) -> Step {
        let (right, left) = (self.pop()?, self.pop()?);
        let (a, b) = (self.value(left), self.value(right));
        let mut same = self.op(Op::IsSame, &[a, b]);
        if arg & 1 != 0 {
            same = self.op(Op::BoolNot, &[same]);
        }
        self.release(right);
        self.release(left);
        self.push_bool(same);
        Ok(())
    }

    /// Whether an int or a string is one of a constant tuple of such.
    fn contained_in_constant(&mut self, item: Entry, container: Entry) -> Step<Option<Value>> {
        let Some(tuple) = self.constant(container).filter(|tuple| tuple.ty == Type::TUPLE) else { return Ok(None) };
        let Some(known) = self.world.tuple_items(&tuple).filter(|known| (1..=8).contains(&known.len())) else { return Ok(None) };
        if self.failed() {
            return Ok(None);
        }
        let numbers: Vec<i64> = known
            .iter()
            .filter_map(|object| match object.constant {
                Constant::Int(number) => Some(number),
                _ => None,
            })
            .collect();
        if numbers.len() == known.len() && self.probably_int(item) {
            let number = self.int(item);
            let mut any = self.build().int(0);
            for known in numbers {
                let known = self.build().int(known);
                let same = self.op_imm(Op::IntCmp, &[number, known], Imm::Cond(Cond::Eq));
                let same = self.op(Op::BoolToInt, &[same]);
                any = self.op(Op::IntOr, &[any, same]);
            }
            self.specialised += 1;
            return Ok(Some(self.is_nonzero(any)));
        }
        if known.iter().any(|object| object.ty != Type::STR) || self.likely(item) != Type::STR {
            return Ok(None);
        }
        let text = self.guard_type(item, Type::STR)?;
        let join = self.func.add_block();
        let result = self.func.add_param(join, Type::C_BOOL, false);
        for object in known {
            let object = self.object(object);
            let object = self.build().object(object);
            let equal = self.build().call(Helper::StrEqual, &[text, object]);
            let same = self.is_nonzero(equal);
            let (found, next) = self.fork(same);
            self.block = found;
            let yes = self.op_imm(Op::ConstBool, &[], Imm::Int(1));
            self.join(join, vec![yes]);
            self.block = next;
        }
        let no = self.op_imm(Op::ConstBool, &[], Imm::Int(0));
        self.join(join, vec![no]);
        self.block = join;
        self.specialised += 1;
        Ok(Some(result))
    }

    /// Whether an entry is likely a string, or was one on some way here.
    pub(crate) fn perhaps_text(&self, entry: Entry) -> bool {
        let seen = matches!(entry, Entry::Value(value, _) if self.texts.contains(&value));
        self.could_be(entry, Type::STR) && (seen || self.likely(entry) == Type::STR)
    }

    pub(super) fn contains(&mut self, arg: u32) -> Step {
        let (item, container) = (self.peek(1)?, self.peek(0)?);
        let cond = if arg & 1 == 0 { Cond::Ne } else { Cond::Eq };
        let known = self.ty(container) == Type::STR;
        let text = known || self.insn.spec == "CONTAINS_OP" && self.perhaps_text(container);
        if text && self.could_be(item, Type::STR) && !self.failed() {
            // Anything else than a string in a string is an error.
            let value = self.guard_type(container, Type::STR)?;
            if !known && let Some(class) = self.world.well_known(Type::STR) {
                self.guarded.insert(value, class);
            }
            let part = self.guard_type(item, Type::STR)?;
            let found = self.build().call(Helper::StrContains, &[value, part]);
            let zero = self.build().int(0);
            let good = self.op_imm(Op::IntCmp, &[found, zero], Imm::Cond(Cond::Ge));
            self.guard(Op::Guard, &[good], Imm::Reason(Reason::Class));
            self.specialised += 1;
            for _ in 0..2 {
                let entry = self.pop()?;
                self.release(entry);
            }
            let truth = self.op_imm(Op::IntCmp, &[found, zero], Imm::Cond(cond));
            self.push_bool(truth);
            return Ok(());
        }
        if let Some(truth) = self.contained_in_constant(item, container)? {
            let truth = if arg & 1 == 0 { truth } else { self.op(Op::BoolNot, &[truth]) };
            for _ in 0..2 {
                let entry = self.pop()?;
                self.release(entry);
            }
            self.push_bool(truth);
            return Ok(());
        }
        if self.insn.spec == "CONTAINS_OP" {
            self.generic += 1;
        } else {
            self.specialised += 1;
        }
        let (item, container) = (self.value(item), self.value(container));
        let status = self.call_helper(Helper::Contains, &[container, item]);
        for _ in 0..2 {
            let entry = self.pop()?;
            self.release(entry);
        }
        self.check_status(status);
        let zero = self.build().int(0);
        let truth = self.op_imm(Op::IntCmp, &[status, zero], Imm::Cond(cond));
        self.push_bool(truth);
        Ok(())
    }
}

fn left_str_right_str(this: &Translator<'_>, left: Entry, right: Entry) -> bool {
    let is_str = |entry| {
        let ty = this.ty(entry);
        !ty.is_empty() && ty.is_subtype(Type::STR)
    };
    is_str(left) && is_str(right)
}
