//! The reference interpreter: what each instruction means, written to be read.
//!
//! It executes a verified [`Function`] one instruction at a time on a [`Machine`], which holds the memory and the process. It's the
//! oracle for the tests of passes and back ends, and slow. On a function that the [verifier](crate::verify()) rejects it may panic.

pub mod arith;
mod machine;

pub use machine::{Exit, Machine, Poll, Shown, WellKnown};

use crate::field::{Field, Width};
use crate::function::{Function, FunctionKind, InstData, Value};
use crate::op::{Cond, Imm, Op, Reason};

/// The tag of a result that is an unboxed int.
pub const TAG_INT: u64 = 0;
/// The tag of a result that is an object or, with an exception set, null.
pub const TAG_OBJECT: u64 = 1;
/// The tag of a result that is an unboxed double.
pub const TAG_FLOAT: u64 = 2;

/// Runs a function with one word for each parameter of its entry block; returns payload and tag: [`TAG_INT`], [`TAG_OBJECT`] or
/// [`TAG_FLOAT`], or what [`Machine::exit`] returns.
pub fn run(func: &Function, machine: &mut dyn Machine, args: &[u64]) -> (u64, u64) {
    let params = &func.blocks[Function::ENTRY.index()].params;
    assert_eq!(params.len(), args.len(), "{} wants {} arguments", func.name, params.len());
    let mut interpreter = Interpreter { func, machine, values: vec![(0, 0); func.values.len()], entered: false, pushed: false };
    for (param, arg) in params.iter().zip(args) {
        interpreter.values[param.index()].0 = *arg;
    }
    interpreter.run()
}

struct Interpreter<'a> {
    func: &'a Function,
    machine: &'a mut dyn Machine,
    /// By value: 64 bits, and of pairs the tag.
    values: Vec<(u64, u64)>,
    entered: bool,
    pushed: bool,
}

/// What comes after an instruction.
enum Flow {
    /// The next one, with this result (ignored if the instruction has none).
    Next(u64),
    /// The same, with a pair.
    Pair((u64, u64)),
    /// One of the targets.
    Goto(usize),
    /// The caller, with payload and tag.
    Return(u64, u64),
}

/// Why the function is left.
struct Leave {
    reason: Reason,
    throw: bool,
}

impl From<Reason> for Leave {
    fn from(reason: Reason) -> Leave {
        Leave { reason, throw: false }
    }
}

type Step = Result<Flow, Leave>;

const NOTHING: Flow = Flow::Next(0);

/// Ints whose tag is less have at most one digit (`lv_tag`: the digit count above bit 3).
const ONE_DIGIT_TAGS: u64 = 2 << 3;
/// Ints of smaller magnitude have at most one digit.
const DIGIT_BASE: u64 = 1 << 30;
/// The last of the cached small ints of any version (3.15; the negative ones are of smaller magnitude).
const LAST_SMALL_INT: u64 = 1024;

impl Interpreter<'_> {
    fn run(&mut self) -> (u64, u64) {
        let func = self.func;
        let mut block = Function::ENTRY;
        'blocks: loop {
            for inst in &func.blocks[block.index()].insts {
                let inst = func.inst(*inst);
                let step = if self.is_stressed(inst) { Err(Reason::Stress.into()) } else { self.step(inst) };
                match step {
                    Ok(Flow::Next(word)) => self.define(inst, (word, 0)),
                    Ok(Flow::Pair(pair)) => self.define(inst, pair),
                    Ok(Flow::Return(payload, tag)) => {
                        self.unwind();
                        return (payload, tag);
                    }
                    Ok(Flow::Goto(target)) => {
                        let target = &inst.targets[target];
                        // All arguments are read before a parameter is written.
                        let args: Vec<_> = target.args.iter().map(|arg| self.values[arg.index()]).collect();
                        block = target.block;
                        for (param, arg) in func.blocks[block.index()].params.iter().zip(args) {
                            self.values[param.index()] = arg;
                        }
                        continue 'blocks;
                    }
                    Err(leave) => return self.leave(inst, &leave),
                }
            }
            panic!("{block} of {} doesn't end", func.name);
        }
    }

    fn is_stressed(&mut self, inst: &InstData) -> bool {
        inst.op.is_stressed() && self.machine.stress_exit()
    }

    fn define(&mut self, inst: &InstData, value: (u64, u64)) {
        if let Some(result) = inst.result {
            self.values[result.index()] = value;
        }
    }

    fn leave(&mut self, inst: &InstData, leave: &Leave) -> (u64, u64) {
        let state = inst.state.unwrap_or_else(|| panic!("{} leaves without a frame state", inst.op.info().name));
        let Leave { reason, throw } = *leave;
        let (func, entered, pushed, values) = (self.func, self.entered, self.pushed, self.values.as_slice());
        self.machine.exit(&Exit { func, state, reason, throw, entered, pushed, values })
    }

    fn show_locals(&mut self, inst: &InstData) {
        if let Some(state) = inst.state {
            self.machine.show_locals(&Shown { func: self.func, state, values: &self.values });
        }
    }

    /// Before a return: the light frame goes, and the recursion limit is as it was.
    fn unwind(&mut self) {
        if self.pushed {
            self.machine.pop_frame();
        }
        if self.entered {
            self.machine.leave();
        }
    }

    fn word(&self, inst: &InstData, position: usize) -> u64 {
        self.values[inst.args[position].index()].0
    }

    fn int(&self, inst: &InstData, position: usize) -> i64 {
        self.word(inst, position) as i64
    }

    fn float(&self, inst: &InstData, position: usize) -> f64 {
        f64::from_bits(self.word(inst, position))
    }

    fn is_true(&self, inst: &InstData, position: usize) -> bool {
        self.word(inst, position) != 0
    }

    fn words(&self, args: &[Value]) -> Vec<u64> {
        args.iter().map(|arg| self.values[arg.index()].0).collect()
    }

    fn object(&self, inst: &InstData) -> u64 {
        match inst.imm {
            Imm::Obj(object) => self.func.objects[object.index()].address,
            _ => wrong_imm(inst),
        }
    }

    /// The instruction table's rows, one by one.
    fn step(&mut self, inst: &InstData) -> Step {
        match inst.op {
            Op::ConstInt | Op::ConstWord | Op::ConstBool => next(imm_int(inst) as u64),
            Op::ConstFloat => match inst.imm {
                Imm::Float(value) => next(value.to_bits()),
                _ => wrong_imm(inst),
            },
            Op::ConstObj => next(self.object(inst)),
            Op::ConstNull => next(0),
            Op::CurrentFunction => next(self.machine.current_function()),

            Op::IntAdd => next_int(arith::int_add(self.int(inst, 0), self.int(inst, 1))?),
            Op::IntSub => next_int(arith::int_sub(self.int(inst, 0), self.int(inst, 1))?),
            Op::IntMul => next_int(arith::int_mul(self.int(inst, 0), self.int(inst, 1))?),
            Op::IntFloorDiv => next_int(arith::int_floor_div(self.int(inst, 0), self.int(inst, 1))?),
            Op::IntMod => next_int(arith::int_mod(self.int(inst, 0), self.int(inst, 1))?),
            Op::IntNeg => next_int(arith::int_neg(self.int(inst, 0))?),
            Op::IntShl => next_int(arith::int_shl(self.int(inst, 0), self.int(inst, 1))?),
            Op::IntShr => next_int(arith::int_shr(self.int(inst, 0), self.int(inst, 1))?),
            Op::IntAnd => next(self.word(inst, 0) & self.word(inst, 1)),
            Op::IntOr => next(self.word(inst, 0) | self.word(inst, 1)),
            Op::IntXor => next(self.word(inst, 0) ^ self.word(inst, 1)),
            Op::IntInvert => next(!self.word(inst, 0)),
            Op::IntCmp => next_bool(arith::int_cmp(imm_cond(inst), self.int(inst, 0), self.int(inst, 1))),
            Op::IntToFloat => next_float(arith::int_to_float(self.int(inst, 0))?),
            Op::WordToInt | Op::BoolToInt => next(self.word(inst, 0)),
            Op::WordAdd => next(self.word(inst, 0).wrapping_add(self.word(inst, 1))),
            Op::WordSub => next(self.word(inst, 0).wrapping_sub(self.word(inst, 1))),
            Op::WordShl => next(arith::word_shl(self.word(inst, 0), self.word(inst, 1))?),
            Op::WordMul => next(self.word(inst, 0).wrapping_mul(self.word(inst, 1))),

            Op::FloatAdd => next_float(self.float(inst, 0) + self.float(inst, 1)),
            Op::FloatSub => next_float(self.float(inst, 0) - self.float(inst, 1)),
            Op::FloatMul => next_float(self.float(inst, 0) * self.float(inst, 1)),
            Op::FloatDiv => next_float(arith::float_div(self.float(inst, 0), self.float(inst, 1))?),
            Op::FloatNeg => next_float(-self.float(inst, 0)),
            Op::FloatAbs => next_float(self.float(inst, 0).abs()),
            Op::FloatSqrt => next_float(arith::float_sqrt(self.float(inst, 0))?),
            Op::FloatCmp => next_bool(arith::float_cmp(imm_cond(inst), self.float(inst, 0), self.float(inst, 1))),

            Op::BoolNot | Op::IsNull => next_bool(!self.is_true(inst, 0)),
            Op::BoxBool => {
                let known = self.machine.well_known();
                next(if self.is_true(inst, 0) { known.true_object } else { known.false_object })
            }
            Op::IsSame => next_bool(self.word(inst, 0) == self.word(inst, 1)),
            Op::IsClass => next_bool(self.class_of(self.word(inst, 0)) == self.object(inst)),

            Op::BoxInt => next(self.machine.box_int(self.int(inst, 0))),
            Op::BoxFloat => next(self.machine.box_float(self.float(inst, 0))),
            Op::UnboxInt => self.unbox_int(self.word(inst, 0)),
            Op::UnboxFloat => self.unbox_float(self.word(inst, 0)),
            Op::UnboxNumber => self.unbox_number(self.word(inst, 0)),
            Op::UnboxBool => self.unbox_bool(self.word(inst, 0)),

            Op::GuardClass => guard(self.class_of(self.word(inst, 0)) == self.object(inst), Reason::Class),
            Op::GuardIs => guard(self.word(inst, 0) == self.object(inst), Reason::Callee),
            Op::GuardBound | Op::Guard => guard(self.is_true(inst, 0), imm_reason(inst)),
            Op::GuardNot => guard(!self.is_true(inst, 0), imm_reason(inst)),
            Op::GuardValid => guard(self.machine.is_valid(), Reason::Invalidated),

            Op::Load | Op::LoadField => next(self.field(self.word(inst, 0), imm_field(inst))),
            Op::StoreField => {
                self.set_field(self.word(inst, 0), imm_field(inst), self.word(inst, 1));
                Ok(NOTHING)
            }
            Op::LoadAt | Op::LoadU64 => next(self.machine.read(displaced(self.word(inst, 0), imm_int(inst)), Width::U64)),
            Op::StoreAt => {
                self.machine.write(displaced(self.word(inst, 0), imm_int(inst)), Width::U64, self.word(inst, 1));
                Ok(NOTHING)
            }
            Op::LoadItem => next(self.machine.read(item(self.word(inst, 0), self.word(inst, 1)), Width::U64)),
            Op::StoreItem => {
                self.machine.write(item(self.word(inst, 0), self.word(inst, 1)), Width::U64, self.word(inst, 2));
                Ok(NOTHING)
            }
            Op::LoadElement => {
                let (address, width) =
                    (element(self.word(inst, 0), self.word(inst, 1), imm_field(inst)), imm_field(inst).width());
                next(width.extend(self.machine.read(address, width)))
            }
            Op::StoreElement | Op::StoreFloatElement => {
                let (address, width) =
                    (element(self.word(inst, 0), self.word(inst, 1), imm_field(inst)), imm_field(inst).width());
                self.machine.write(address, width, width.narrow(self.word(inst, 2)));
                Ok(NOTHING)
            }
            Op::SwapField => {
                let offset = self.machine.offset(imm_field(inst));
                self.swap(displaced(self.word(inst, 0), offset.into()), self.word(inst, 1))
            }
            Op::SwapAt => self.swap(displaced(self.word(inst, 0), imm_int(inst)), self.word(inst, 1)),
            Op::SwapItem => self.swap(item(self.word(inst, 0), self.word(inst, 1)), self.word(inst, 2)),
            Op::AddressOf => next(displaced(self.word(inst, 0), imm_int(inst))),
            Op::AddressOfField => {
                let offset = self.machine.offset(imm_field(inst));
                next(displaced(self.word(inst, 0), offset.into()))
            }
            Op::LoadByte => next(self.machine.read(self.word(inst, 0), Width::U8)),
            Op::LoadU32 => next(self.machine.read(displaced(self.word(inst, 0), imm_int(inst)), Width::U32)),
            Op::StoreFloatInPlace => {
                self.store_float_in_place(self.word(inst, 0), self.float(inst, 1));
                Ok(NOTHING)
            }
            Op::StoreIntInPlace => {
                self.store_int_in_place(self.word(inst, 0), self.int(inst, 1));
                Ok(NOTHING)
            }
            Op::LoadScratch => next(self.machine.scratch(imm_int(inst) as u32)),

            Op::IncRef => {
                let object = self.word(inst, 0);
                if object != 0 {
                    self.machine.inc_ref(object);
                }
                Ok(NOTHING)
            }
            Op::DecRef => {
                self.dec_ref(self.word(inst, 0));
                Ok(NOTHING)
            }

            Op::Call | Op::CallN => {
                let args = self.words(&inst.args);
                match inst.imm {
                    Imm::Helper(helper) => next(self.machine.call_helper(helper, &args)),
                    _ => wrong_imm(inst),
                }
            }
            Op::CallDirect => {
                let args = self.words(&inst.args);
                match inst.imm {
                    Imm::Callee(callee) => Ok(Flow::Pair(self.machine.call_direct(&self.func.callees[callee.index()], &args))),
                    _ => wrong_imm(inst),
                }
            }
            Op::PairFromInt => Ok(Flow::Pair((self.word(inst, 0), TAG_INT))),
            Op::PairFromFloat => Ok(Flow::Pair((self.word(inst, 0), TAG_FLOAT))),
            Op::PairFromObject => Ok(Flow::Pair((self.word(inst, 0), TAG_OBJECT))),
            Op::PairDrop => {
                if let (object, TAG_OBJECT) = self.pair(inst) {
                    self.dec_ref(object);
                }
                Ok(NOTHING)
            }
            Op::PairFailed => next_bool(self.pair(inst) == (0, TAG_OBJECT)),
            Op::PairToObject => match self.pair(inst) {
                (payload, TAG_INT) => next(self.machine.box_int(payload as i64)),
                (payload, TAG_FLOAT) => next(self.machine.box_float(f64::from_bits(payload))),
                (payload, _) => next(payload),
            },
            Op::PairToInt => self.unpair(inst, TAG_INT),
            Op::PairToFloat => self.unpair(inst, TAG_FLOAT),

            Op::Enter => {
                self.entered = self.machine.enter();
                guard(self.entered, Reason::Recursion)
            }
            Op::PushFrame => {
                self.pushed = self.machine.push_frame();
                guard(self.pushed, Reason::Recursion)
            }
            Op::SetInstruction => {
                self.machine.set_instruction(imm_int(inst) as u32);
                self.show_locals(inst);
                Ok(NOTHING)
            }
            Op::Watch => guard(!self.machine.observed(), Reason::Observed),
            Op::GuardUnseen => guard(!self.machine.seen(), Reason::Pending),
            Op::Wanted => next_bool(self.machine.wanted()),
            Op::Poll => {
                if (self.pushed || self.func.kind != FunctionKind::Entry) && self.machine.wanted() {
                    let offset = inst.state.map_or(0, |state| self.func.states[state.index()].offset);
                    self.machine.set_instruction(offset);
                    self.show_locals(inst);
                }
                match self.machine.poll() {
                    Poll::GoOn => Ok(NOTHING),
                    Poll::Leave => Err(Reason::Pending.into()),
                    Poll::Raised => Err(Leave { reason: Reason::Exception, throw: true }),
                }
            }
            Op::Catch => {
                let offset = inst.state.map_or(0, |state| self.func.states[state.index()].offset);
                self.machine.set_instruction(offset);
                match self.machine.catch() {
                    0 => Err(Leave { reason: Reason::Exception, throw: true }),
                    exception => next(exception),
                }
            }

            Op::Jump => Ok(Flow::Goto(0)),
            Op::Branch => Ok(Flow::Goto(usize::from(!self.is_true(inst, 0)))),
            Op::Return => Ok(Flow::Return(self.word(inst, 0), TAG_OBJECT)),
            Op::ReturnInt => Ok(Flow::Return(self.word(inst, 0), TAG_INT)),
            Op::ReturnFloat => Ok(Flow::Return(self.word(inst, 0), TAG_FLOAT)),
            Op::Exit => Err(imm_reason(inst).into()),
            Op::Throw => Err(Leave { reason: Reason::Exception, throw: true }),
        }
    }

    fn pair(&self, inst: &InstData) -> (u64, u64) {
        self.values[inst.args[0].index()]
    }

    fn unpair(&mut self, inst: &InstData, wanted: u64) -> Step {
        let (payload, tag) = self.pair(inst);
        if tag == wanted {
            return next(payload);
        }
        if tag != TAG_OBJECT {
            return Err(Reason::Class.into());
        }
        let number = if wanted == TAG_FLOAT {
            self.unbox_float(payload)?
        } else {
            if self.class_or_null(payload) != self.machine.well_known().int_type {
                return Err(Reason::Class.into());
            }
            next_int(self.compact_value(payload).ok_or(Reason::Class)?)?
        };
        self.dec_ref(payload);
        Ok(number)
    }

    /// Writes a pointer and gives the old one.
    fn swap(&mut self, address: u64, new: u64) -> Step {
        let old = self.machine.read(address, Width::U64);
        self.machine.write(address, Width::U64, new);
        next(old)
    }

    fn field(&mut self, base: u64, field: Field) -> u64 {
        let offset = self.machine.offset(field);
        field.width().extend(self.machine.read(displaced(base, offset.into()), field.width()))
    }

    fn set_field(&mut self, base: u64, field: Field, value: u64) {
        let offset = self.machine.offset(field);
        self.machine.write(displaced(base, offset.into()), field.width(), field.width().narrow(value));
    }

    fn class_of(&mut self, object: u64) -> u64 {
        self.field(object, Field::ObType)
    }

    fn dec_ref(&mut self, object: u64) {
        if object != 0 {
            self.machine.dec_ref(object);
        }
    }

    /// The class, or 0 of null.
    fn class_or_null(&mut self, object: u64) -> u64 {
        if object == 0 { 0 } else { self.class_of(object) }
    }

    fn unbox_int(&mut self, object: u64) -> Step {
        if self.class_or_null(object) != self.machine.well_known().int_type {
            return Err(Reason::Class.into());
        }
        match self.compact_value(object) {
            Some(value) => next_int(value),
            None => next_int(self.machine.unbox_big_int(object).ok_or(Reason::Overflow)?),
        }
    }

    /// The value of an int of at most one digit: the sign is 1 less the lower two bits of the tag.
    fn compact_value(&mut self, object: u64) -> Option<i64> {
        let tag = self.field(object, Field::LongTag);
        let digit = self.field(object, Field::LongDigit) as i64;
        (tag < ONE_DIGIT_TAGS).then_some(digit * (1 - (tag & 3) as i64))
    }

    fn unbox_float(&mut self, object: u64) -> Step {
        if self.class_or_null(object) != self.machine.well_known().float_type {
            return Err(Reason::Class.into());
        }
        next(self.field(object, Field::FloatValue))
    }

    fn unbox_number(&mut self, object: u64) -> Step {
        if self.class_or_null(object) != self.machine.well_known().int_type {
            return self.unbox_float(object);
        }
        next_float(self.compact_value(object).ok_or(Reason::Overflow)? as f64)
    }

    fn unbox_bool(&mut self, object: u64) -> Step {
        let known = self.machine.well_known();
        match object {
            object if object == known.true_object => next_bool(true),
            object if object == known.false_object => next_bool(false),
            _ => Err(Reason::Class.into()),
        }
    }

    /// The object in a pointer slot if it's exactly of the class and nobody else has it.
    fn overwritable(&mut self, slot: u64, class: u64) -> Option<u64> {
        let old = self.machine.read(slot, Width::U64);
        (self.class_or_null(old) == class && self.field(old, Field::RefCount) == 1).then_some(old)
    }

    fn store_float_in_place(&mut self, slot: u64, value: f64) {
        let class = self.machine.well_known().float_type;
        if let Some(old) = self.overwritable(slot, class) {
            self.set_field(old, Field::FloatValue, value.to_bits());
        } else {
            let new = self.machine.box_float(value);
            self.replace(slot, new);
        }
    }

    fn store_int_in_place(&mut self, slot: u64, value: i64) {
        let class = self.machine.well_known().int_type;
        let magnitude = value.unsigned_abs();
        let digits = if magnitude < DIGIT_BASE { 1 } else { 2 };
        let fits = magnitude > LAST_SMALL_INT && magnitude < DIGIT_BASE * DIGIT_BASE;
        let old = if fits { self.overwritable(slot, class) } else { None };
        // A cached small int is immortal and so never overwritable; zero has no digit but room for one.
        let room = |this: &mut Self, old: u64| (this.field(old, Field::LongTag) >> 3).max(1);
        let same_size = old.map(|old| room(self, old)) == Some(digits);
        if let Some(old) = old.filter(|_| same_size) {
            let sign = if value < 0 { 2 } else { 0 };
            self.set_field(old, Field::LongTag, (digits << 3) | sign);
            self.set_field(old, Field::LongDigit, magnitude % DIGIT_BASE);
            if digits == 2 {
                let next = displaced(old, i64::from(self.machine.offset(Field::LongDigit)) + 4);
                self.machine.write(next, Width::U32, magnitude / DIGIT_BASE);
            }
        } else {
            let new = self.machine.box_int(value);
            self.replace(slot, new);
        }
    }

    /// Stores an owned object, then gives up the one that was there.
    fn replace(&mut self, slot: u64, new: u64) {
        let old = self.machine.read(slot, Width::U64);
        self.machine.write(slot, Width::U64, new);
        self.dec_ref(old);
    }
}

fn guard(holds: bool, reason: Reason) -> Step {
    if holds { Ok(NOTHING) } else { Err(reason.into()) }
}

const fn displaced(base: u64, offset: i64) -> u64 {
    base.wrapping_add_signed(offset)
}

const fn element(items: u64, index: u64, field: Field) -> u64 {
    items.wrapping_add(index << field.width().log2())
}

const fn item(array: u64, index: u64) -> u64 {
    array.wrapping_add(index.wrapping_mul(8))
}

#[expect(clippy::unnecessary_wraps, reason = "the result of a step")]
const fn next(word: u64) -> Step {
    Ok(Flow::Next(word))
}

const fn next_int(value: i64) -> Step {
    next(value as u64)
}

const fn next_float(value: f64) -> Step {
    next(value.to_bits())
}

const fn next_bool(value: bool) -> Step {
    next(value as u64)
}

fn wrong_imm(inst: &InstData) -> ! {
    panic!("{} has a wrong immediate", inst.op.info().name)
}

fn imm_int(inst: &InstData) -> i64 {
    if let Imm::Int(value) = inst.imm { value } else { wrong_imm(inst) }
}

fn imm_cond(inst: &InstData) -> Cond {
    if let Imm::Cond(cond) = inst.imm { cond } else { wrong_imm(inst) }
}

fn imm_field(inst: &InstData) -> Field {
    if let Imm::Field(field) = inst.imm { field } else { wrong_imm(inst) }
}

fn imm_reason(inst: &InstData) -> Reason {
    if let Imm::Reason(reason) = inst.imm { reason } else { wrong_imm(inst) }
}
