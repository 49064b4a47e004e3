//! Builtin functions, and functions in C that are called directly.

use crate::state::Entry;
use crate::translate::{Step, Translator};
use crate::world::{Builtin, Convention, Native};
use pepjit_ir::op::Reason;
use pepjit_ir::{Block, Cond, Helper, Imm, ObjRef, Op, Type, Value};

/// CPython's numbers of `<` and `>`, for `min` and `max`.
const LESS: i64 = 0;
const GREATER: i64 = 4;

impl Translator<'_> {
    /// The result of a helper that answers for the commonest classes only; where it has none, that of `slow`, which pops the operands,
    /// gives them up and checks its result. `count` operands are given up on the quick way.
    pub(super) fn quick_else(
        &mut self,
        (quick, args): (Helper, &[Value]),
        count: usize,
        ty: Type,
        slow: impl FnOnce(&mut Self) -> Step<Value>,
    ) -> Step<Value> {
        self.secure();
        let (generic, specialised) = (self.generic, self.specialised + 1);
        let answer = self.build().call(quick, args);
        let none = self.op(Op::IsNull, &[answer]);
        let (miss, hit) = self.fork(none);
        self.cold(miss);
        let join = self.func.add_block();
        let result = self.func.add_param(join, ty, true);
        let before = self.frame.clone();
        self.block = hit;
        self.func.values[answer.index()].ty = ty;
        self.drop_operands(count)?;
        self.join(join, vec![answer]);
        let after = std::mem::replace(&mut self.frame, before);
        self.block = miss;
        let other = slow(self)?;
        self.func.values[other.index()].ty = ty;
        // Other code may have run.
        self.push_owned(other);
        self.watch();
        self.join(join, vec![other]);
        self.frame = after;
        self.block = join;
        (self.generic, self.specialised) = (generic, specialised);
        Ok(result)
    }

    /// The number that a helper gives for the commonest classes, else that of a slower one (negative: an exception is set). Gives up
    /// `count` operands. `boxed` is what the number stands for on the stack.
    pub(super) fn quick_number(
        &mut self,
        (quick, slow): (Helper, Helper),
        value: Value,
        count: usize,
        boxed: impl FnOnce(&mut Self, Value) -> Value,
    ) -> Step<Value> {
        self.secure();
        let answer = self.build().call(quick, &[value]);
        let zero = self.build().int(0);
        let unknown = self.op_imm(Op::IntCmp, &[answer, zero], Imm::Cond(Cond::Lt));
        let (miss, hit) = self.fork(unknown);
        self.cold(miss);
        let join = self.func.add_block();
        let result = self.func.add_param(join, Type::C_INT, false);
        let before = self.frame.clone();
        self.block = hit;
        self.drop_operands(count)?;
        self.join(join, vec![answer]);
        let after = std::mem::replace(&mut self.frame, before);
        self.block = miss;
        let number = self.call_helper(slow, &[value]);
        // The operands are still on the stack: the interpreter gives them up.
        let failed = self.op_imm(Op::IntCmp, &[number, zero], Imm::Cond(Cond::Lt));
        self.throw_if_cold(failed);
        self.drop_operands(count)?;
        let shown = boxed(self, number);
        self.push_owned(shown);
        self.watch();
        let shown = self.pop()?;
        self.release(shown);
        self.join(join, vec![number]);
        self.frame = after;
        self.block = join;
        self.specialised += 1;
        Ok(result)
    }

    /// The length of anything; gives up `count` operands.
    pub(super) fn length(&mut self, value: Value, count: usize) -> Step<Value> {
        self.quick_number((Helper::QuickLen, Helper::Len), value, count, |this, number| this.op(Op::BoxInt, &[number]))
    }

    /// The truth of anything, as a number; gives up `count` operands.
    pub(super) fn truth_of(&mut self, value: Value, count: usize) -> Step<Value> {
        let number = self.quick_number((Helper::QuickTruth, Helper::IsTrue), value, count, |this, number| {
            let truth = this.is_nonzero(number);
            let object = this.op(Op::BoxBool, &[truth]);
            this.build().effect(Op::IncRef, &[object], Imm::None);
            object
        })?;
        Ok(self.is_nonzero(number))
    }

    pub(super) fn is_nonzero(&mut self, number: Value) -> Value {
        let zero = self.build().int(0);
        self.op_imm(Op::IntCmp, &[number, zero], Imm::Cond(Cond::Ne))
    }

    /// Calls a helper as [`Self::generic_call`] does and throws if it gives null.
    pub(super) fn slow_call(&mut self, helper: Helper, count: usize, more: &[i64]) -> Step<Value> {
        let result = self.generic_call(helper, count, more)?;
        let failed = self.op(Op::IsNull, &[result]);
        self.throw_if_cold(failed);
        Ok(result)
    }

    /// As [`Self::throw_if`], in a block that is rare itself.
    fn throw_if_cold(&mut self, failed: Value) {
        self.throw_if(failed);
        let next = self.block;
        self.cold(next);
    }

    /// Calls a function in C directly; false if it can't be.
    pub(super) fn call_native(&mut self, object: &ObjRef, receiver: Entry, count: usize) -> Step<bool> {
        let Some(native) = self.world.native(object) else { return Ok(false) };
        let Some(result) = self.native_result(&native, receiver, count)? else { return Ok(false) };
        self.specialised += 1;
        self.drop_operands(count + 2)?;
        self.push_result(result);
        Ok(true)
    }

    /// The unchecked result of a function in C with the operands on the stack.
    fn native_result(&mut self, native: &Native, receiver: Entry, count: usize) -> Step<Option<Value>> {
        let doubtful = receiver == Entry::Null || self.may_be_null(receiver);
        if native.method && doubtful || !native.method && receiver != Entry::Null {
            return Ok(None);
        }
        let helper = match (native.convention, count) {
            (Convention::NoArguments, 0) => Helper::NativeNone,
            (Convention::One, 1) => Helper::NativeOne,
            (Convention::Array | Convention::ArrayKeywords, 0) => Helper::NativeFast0,
            (Convention::Array | Convention::ArrayKeywords, 1) => Helper::NativeFast1,
            (Convention::Array | Convention::ArrayKeywords, 2) => Helper::NativeFast2,
            (Convention::Array | Convention::ArrayKeywords, 3) => Helper::NativeFast3,
            _ => return Ok(None),
        };
        self.secure();
        let mut values = vec![self.build().word(native.address as i64)];
        let keywords = native.convention == Convention::ArrayKeywords;
        values.push(self.build().word(i64::from(keywords) | i64::from(native.waits) << 1));
        let receiver = match &native.receiver {
            Some(owner) if !native.method => {
                let owner = self.object(owner.clone());
                Entry::Const(owner)
            }
            _ => receiver,
        };
        values.push(self.value(receiver));
        for depth in (0..count).rev() {
            let entry = self.peek(depth)?;
            values.push(self.value(entry));
        }
        Ok(Some(self.call_helper(helper, &values)))
    }

    /// A builtin of which more is known than how to call it; false if this use of it isn't special.
    pub(super) fn call_known(&mut self, builtin: Builtin, object: &ObjRef, arguments: &[Entry], count: usize) -> Step<bool> {
        match (builtin, arguments) {
            (Builtin::Min | Builtin::Max, [_, _] | [_, _, _]) => self.min_max(builtin, object, arguments, count),
            (Builtin::Abs, [entry]) if self.probably_int(*entry) => {
                let number = self.int(*entry);
                let negated = self.checked(Op::IntNeg, &[number]);
                let zero = self.build().int(0);
                let below = self.op_imm(Op::IntCmp, &[number, zero], Imm::Cond(Cond::Lt));
                let result = self.select(below, negated, number);
                self.finish_int(result, count)
            }
            (Builtin::Ord, [entry]) => {
                let value = self.value(*entry);
                self.secure();
                let code = self.build().call(Helper::QuickOrd, &[value]);
                let zero = self.build().int(0);
                let good = self.op_imm(Op::IntCmp, &[code, zero], Imm::Cond(Cond::Ge));
                self.guard(Op::Guard, &[good], Imm::Reason(Reason::Class));
                self.finish_int(code, count)
            }
            (Builtin::Chr, [entry]) if self.could_be_int(*entry) => {
                let code = self.int(*entry);
                self.secure();
                let result = self.build().call(Helper::QuickChr, &[code]);
                self.guard(Op::GuardBound, &[result], Imm::Reason(Reason::Index));
                self.func.values[result.index()].ty = Type::STR;
                self.drop_operands(count + 2)?;
                self.push_owned(result);
                Ok(true)
            }
            (Builtin::Int, [_]) => self.convert(Helper::ToInt, Type::INT, count),
            (Builtin::Float, [_]) => self.convert(Helper::ToFloat, Type::FLOAT, count),
            (Builtin::Str, [entry]) => {
                let ty = self.ty(*entry);
                let exact = !ty.is_empty() && ty.is_subtype(Type::INT.union(Type::FLOAT).union(Type::STR));
                self.convert(Helper::ToStr, if exact { Type::STR } else { Type::OBJECT }, count)
            }
            (Builtin::Enumerate, [_] | [_, _]) => {
                let enumerate = self.slow_call_object(count)?;
                self.func.values[enumerate.index()].ty = Type::ENUMERATE;
                self.iterators.insert(enumerate);
                self.push_owned(enumerate);
                Ok(true)
            }
            (Builtin::Bool, [entry]) => {
                let value = self.value(*entry);
                let truth = self.truth_of(value, count + 2)?;
                self.push_bool(truth);
                Ok(true)
            }
            (Builtin::Tuple, [_]) => self.convert(Helper::ToTuple, Type::TUPLE, count),
            (Builtin::Divmod, [left, right]) if self.next_unpacks(2) && self.probably_int(*left) && self.probably_int(*right) => {
                let (left, right) = (self.int(*left), self.int(*right));
                let quotient = self.checked(Op::IntFloorDiv, &[left, right]);
                let rest = self.checked(Op::IntMod, &[left, right]);
                self.secure();
                self.drop_operands(count + 2)?;
                for number in [rest, quotient] {
                    let boxed = self.op(Op::BoxInt, &[number]);
                    self.push_owned(boxed);
                }
                self.skip_next();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether an object is an instance of one of several classes, asked in their order.
    pub(super) fn instance_of(&mut self, entry: Entry, classes: &[Entry]) -> Value {
        self.secure();
        let value = self.value(entry);
        let join = self.func.add_block();
        let result = self.func.add_param(join, Type::C_BOOL, false);
        for class in classes {
            if let Entry::Const(class) = *class {
                let exact = self.op_imm(Op::IsClass, &[value], Imm::Obj(class));
                self.join_if(exact, join);
            }
            let class = self.value(*class);
            let answer = self.build().call(Helper::QuickInstance, &[value, class]);
            let zero = self.build().int(0);
            let unknown = self.op_imm(Op::IntCmp, &[answer, zero], Imm::Cond(Cond::Lt));
            let (ask, known) = self.fork(unknown);
            self.cold(ask);
            let both = self.func.add_block();
            let number = self.func.add_param(both, Type::C_INT, false);
            self.block = known;
            self.join(both, vec![answer]);
            self.block = ask;
            let status = self.call_helper(Helper::IsInstance, &[value, class]);
            // The operands are still on the stack: the interpreter gives them up.
            let failed = self.op_imm(Op::IntCmp, &[status, zero], Imm::Cond(Cond::Lt));
            self.throw_if_cold(failed);
            self.join(both, vec![status]);
            self.block = both;
            let truth = self.is_nonzero(number);
            self.join_if(truth, join);
        }
        // A class may have been asked, rare as that is.
        self.called = true;
        let no = self.op_imm(Op::ConstBool, &[], Imm::Int(0));
        self.join(join, vec![no]);
        self.block = join;
        result
    }

    /// Goes to a block with "true" if the condition holds, else on.
    fn join_if(&mut self, condition: Value, block: Block) {
        let (yes, no) = self.fork(condition);
        self.block = yes;
        let one = self.op_imm(Op::ConstBool, &[], Imm::Int(1));
        self.join(block, vec![one]);
        self.block = no;
    }

    /// A tuple of `count` that is made for `isinstance` alone: asks class by class instead. False if it's something else.
    pub(super) fn tests_instance(&mut self, count: u32) -> Step<bool> {
        let Some(call) = self.following().filter(|next| next.name == "CALL" && next.arg == 2) else { return Ok(false) };
        let count = count as usize;
        let (Ok(entry), Ok(receiver), Ok(callable)) = (self.peek(count), self.peek(count + 1), self.peek(count + 2)) else {
            return Ok(false);
        };
        let Some(function) = self.constant(callable) else { return Ok(false) };
        if self.failed()
            || receiver != Entry::Null
            || !(1..=4).contains(&count)
            || self.world.builtin(&function) != Some(Builtin::IsInstance)
        {
            return Ok(false);
        }
        let classes: Vec<Entry> = self.frame.stack[self.frame.stack.len() - count..].to_vec();
        self.skip_next();
        self.insn = call;
        let truth = self.instance_of(entry, &classes);
        self.drop_operands(count + 3)?;
        self.push_bool(truth);
        self.specialised += 1;
        Ok(true)
    }

    /// Calls what is on the stack through the interpreter's protocol; the checked result.
    fn slow_call_object(&mut self, count: usize) -> Step<Value> {
        let generic = self.generic;
        let result = self.generic_call(Helper::CallObject, count + 2, &[])?;
        let failed = self.op(Op::IsNull, &[result]);
        self.throw_if(failed);
        self.func.values[result.index()].ty = Type::OBJECT;
        self.generic = generic;
        Ok(result)
    }

    pub(super) fn could_be_int(&self, entry: Entry) -> bool {
        !self.ty(entry).intersect(Type::INT).is_empty()
    }

    /// Whether an operand is an int, or is likely to be one.
    pub(super) fn probably_int(&self, entry: Entry) -> bool {
        self.could_be_int(entry) && self.likely(entry) == Type::INT
    }

    /// One of two ints.
    fn select(&mut self, condition: Value, then: Value, otherwise: Value) -> Value {
        let join = self.func.add_block();
        let result = self.func.add_param(join, Type::C_INT, false);
        let (yes, no) = self.fork(condition);
        self.block = yes;
        self.join(join, vec![then]);
        self.block = no;
        self.join(join, vec![otherwise]);
        self.block = join;
        result
    }

    fn finish_int(&mut self, result: Value, count: usize) -> Step<bool> {
        self.secure();
        self.drop_operands(count + 2)?;
        let boxed = self.op(Op::BoxInt, &[result]);
        self.push_owned(boxed);
        Ok(true)
    }

    fn min_max(&mut self, builtin: Builtin, object: &ObjRef, arguments: &[Entry], count: usize) -> Step<bool> {
        let (op, cond) = if builtin == Builtin::Min { (LESS, Cond::Lt) } else { (GREATER, Cond::Gt) };
        let ints = arguments.iter().all(|entry| self.probably_int(*entry));
        if ints {
            let mut best = self.int(arguments[0]);
            for entry in &arguments[1..] {
                let other = self.int(*entry);
                let wins = self.op_imm(Op::IntCmp, &[other, best], Imm::Cond(cond));
                best = self.select(wins, other, best);
            }
            return self.finish_int(best, count);
        }
        let Some(native) = self.world.native(object) else { return Ok(false) };
        let mut values: Vec<Value> = arguments.iter().map(|entry| self.value(*entry)).collect();
        if values.len() == 2 {
            values.push(self.build().null());
        }
        values.push(self.build().int(op));
        let result = self.quick_else((Helper::QuickMinMax, &values), count + 2, Type::OBJECT, |this| {
            let receiver = this.peek(count)?;
            let Some(result) = this.native_result(&native, receiver, count)? else { return crate::translate::unsupported("min") };
            this.drop_operands(count + 2)?;
            let failed = this.op(Op::IsNull, &[result]);
            this.throw_if_cold(failed);
            Ok(result)
        })?;
        self.push_owned(result);
        Ok(true)
    }

    /// A class called with one argument that it converts.
    fn convert(&mut self, helper: Helper, ty: Type, count: usize) -> Step<bool> {
        let entry = self.peek(0)?;
        let value = self.value(entry);
        self.secure();
        let result = self.call_helper(helper, &[value]);
        self.func.values[result.index()].ty = ty.union(Type::NULL);
        self.drop_operands(count + 2)?;
        self.push_result(result);
        Ok(true)
    }
}
