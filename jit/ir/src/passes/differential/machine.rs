//! The process: a heap of counted numbers that notices each use of a freed object.

use super::language::{ARGS, CONSTANTS, Code, LOCALS, SLOTS, Trace, Val, arithmetic, run_code};
use crate::field::{Field, Width};
use crate::function::{Callee, Function, Ownership, Slot};
use crate::helper::Helper;
use crate::interp::{self, Exit, Machine, Poll, TAG_FLOAT, TAG_INT, TAG_OBJECT, WellKnown};
use crate::op::{Op, Reason};
use crate::types::Type;

pub(super) const OBJECT_SIZE: u64 = 128;

pub(super) fn address(index: usize) -> u64 {
    (index as u64 + 1) * OBJECT_SIZE
}

pub(super) fn slot_offset(slot: usize) -> i64 {
    64 + 8 * slot as i64
}

pub(super) const INT_TYPE: u64 = 1 << 40;
pub(super) const FLOAT_TYPE: u64 = 2 << 40;
pub(super) const OTHER_TYPE: u64 = 3 << 40;

#[derive(Clone, Copy, Debug)]
pub(super) struct Object {
    count: i64,
    value: Val,
}

pub(super) struct World<'a> {
    code: &'a [Code],
    objects: Vec<Object>,
    /// Constants and the holder of slots.
    permanent: usize,
    immortal: bool,
    slots: [u64; SLOTS],
    trace: Trace,
    /// How many more guards pass.
    patience: usize,
}

impl World<'_> {
    fn new_object(&mut self, value: Val) -> u64 {
        self.objects.push(Object { count: 1, value });
        address(self.objects.len() - 1)
    }

    fn object(&mut self, at: u64) -> &mut Object {
        let object = &mut self.objects[(at / OBJECT_SIZE - 1) as usize];
        assert!(object.count > 0, "a freed object is used");
        object
    }

    fn value(&mut self, at: u64) -> Val {
        if at == 0 { Val::Unbound } else { self.object(at).value }
    }
}

impl Machine for World<'_> {
    fn read(&mut self, at: u64, _width: Width) -> u64 {
        let holder = address(CONSTANTS.len());
        if at >= holder && at < holder + OBJECT_SIZE {
            let slot = (at - holder) as i64 - slot_offset(0);
            return self.slots[(slot / 8) as usize];
        }
        let object = *self.object(at / OBJECT_SIZE * OBJECT_SIZE);
        match (at % OBJECT_SIZE, object.value) {
            (0, _) => object.count as u64,
            (8, Val::Int(_)) => INT_TYPE,
            (8, Val::Float(_)) => FLOAT_TYPE,
            (8, _) => OTHER_TYPE,
            (16, Val::Int(number)) => {
                let sign = if number < 0 { 2 } else { u64::from(number == 0) };
                (if number.unsigned_abs() < 1 << 30 { 8 * u64::from(number != 0) } else { 16 }) | sign
            }
            (24, Val::Int(number)) => number.unsigned_abs() as u64 & 0x3fff_ffff,
            (32, Val::Float(number)) => number.to_bits(),
            (40, Val::Range(next, _)) => next as u64,
            (48, Val::Range(_, left)) => left as u64,
            (offset, value) => panic!("a read at {offset} of {value:?}"),
        }
    }

    fn write(&mut self, at: u64, _width: Width, value: u64) {
        let holder = address(CONSTANTS.len());
        if at >= holder && at < holder + OBJECT_SIZE {
            let slot = (at - holder) as i64 - slot_offset(0);
            self.slots[(slot / 8) as usize] = value;
            return;
        }
        match (at % OBJECT_SIZE, &mut self.object(at / OBJECT_SIZE * OBJECT_SIZE).value) {
            (32, Val::Float(number)) => *number = f64::from_bits(value),
            (40, Val::Range(next, _)) => *next = value as i64,
            (48, Val::Range(_, left)) => *left = value as i64,
            (offset, value) => panic!("a write at {offset} of {value:?}"),
        }
    }

    fn offset(&self, field: Field) -> i32 {
        match field {
            Field::RefCount => 0,
            Field::ObType => 8,
            Field::LongTag => 16,
            Field::LongDigit => 24,
            Field::FloatValue => 32,
            Field::RangeIterStart => 40,
            Field::RangeIterLen => 48,
            other => panic!("no object has {other:?}"),
        }
    }

    fn well_known(&self) -> WellKnown {
        WellKnown { true_object: 1, false_object: 2, int_type: INT_TYPE, float_type: FLOAT_TYPE }
    }

    fn current_function(&mut self) -> u64 {
        unreachable!("programs don't ask for their function")
    }

    fn box_int(&mut self, value: i64) -> u64 {
        self.new_object(Val::Int(i128::from(value)))
    }

    fn box_float(&mut self, value: f64) -> u64 {
        self.new_object(Val::Float(value))
    }

    fn unbox_big_int(&mut self, object: u64) -> Option<i64> {
        match self.value(object) {
            Val::Int(number) => i64::try_from(number).ok(),
            _ => None,
        }
    }

    fn inc_ref(&mut self, object: u64) {
        if !(self.immortal && object <= address(CONSTANTS.len())) {
            self.object(object).count += 1;
        }
    }

    fn dec_ref(&mut self, object: u64) {
        if !(self.immortal && object <= address(CONSTANTS.len())) {
            self.object(object).count -= 1;
        }
    }

    fn scratch(&mut self, _index: u32) -> u64 {
        unreachable!("no helper of these programs leaves more results")
    }

    fn call_helper(&mut self, helper: Helper, args: &[u64]) -> u64 {
        match helper {
            Helper::IsTrue => {
                let value = self.value(args[0]);
                self.trace.note("event", value);
                1
            }
            Helper::BinaryOp => {
                let op = [Op::IntAdd, Op::IntSub, Op::IntMul].into_iter().find(|op| *op as u64 == args[2]).expect("an operator");
                let value = arithmetic(op, self.object(args[0]).value, self.object(args[1]).value);
                self.new_object(value)
            }
            Helper::RangeIter => self.new_object(Val::Range(args[0] as i64, args[1] as i64)),
            other => unreachable!("programs don't call {other:?}"),
        }
    }

    fn call_direct(&mut self, _callee: &Callee, _args: &[u64]) -> (u64, u64) {
        unreachable!("programs don't call functions")
    }

    fn enter(&mut self) -> bool {
        true
    }

    fn leave(&mut self) {}

    fn push_frame(&mut self) -> bool {
        true
    }

    fn pop_frame(&mut self) {}

    fn set_instruction(&mut self, _offset: u32) {}

    fn poll(&mut self) -> Poll {
        Poll::GoOn
    }

    fn is_valid(&mut self) -> bool {
        true
    }

    fn stress_exit(&mut self) -> bool {
        self.patience = self.patience.wrapping_sub(1);
        self.patience == usize::MAX
    }

    fn exit(&mut self, exit: &Exit<'_>) -> (u64, u64) {
        assert_ne!(exit.reason, Reason::Exception, "nothing raises");
        let (mut locals, mut stack, mut taken) = (Vec::new(), Vec::new(), exit.frame().drops.clone());
        for (index, slot) in exit.frame().slots().enumerate() {
            let value = match *slot {
                Slot::Empty => Val::Unbound,
                Slot::Object(object) => self.value(exit.func.objects[object.index()].address),
                Slot::Value(value, ownership) => match exit.func.ty(value) {
                    Type::C_INT => Val::Int(i128::from(exit.word(value) as i64)),
                    Type::C_FLOAT => Val::Float(f64::from_bits(exit.word(value))),
                    Type::PAIR => match exit.pair(value) {
                        (number, TAG_INT) => Val::Int(i128::from(number as i64)),
                        (number, TAG_FLOAT) => Val::Float(f64::from_bits(number)),
                        (0, _) => Val::Unbound,
                        (object, _) => {
                            taken.push(value);
                            self.value(object)
                        }
                    },
                    _ => {
                        if ownership == Ownership::Steal {
                            taken.push(value);
                        }
                        self.value(exit.word(value))
                    }
                },
            };
            if index < LOCALS { locals.push(value) } else { stack.push(value) }
        }
        for value in taken {
            let ty = exit.func.ty(value);
            if (ty.is_object() || ty == Type::PAIR) && exit.word(value) != 0 {
                self.dec_ref(exit.word(value));
            }
        }
        let mut slots = self.slots.map(|at| self.value(at));
        run_code(self.code, exit.frame().offset as usize, &mut locals, &mut stack, &mut slots, &mut self.trace);
        for (slot, value) in slots.into_iter().enumerate() {
            let new = self.new_object(value);
            let old = std::mem::replace(&mut self.slots[slot], new);
            self.dec_ref(old);
        }
        (0, u64::MAX)
    }
}

/// Runs compiled code; the trace ends with what the slots hold.
pub(super) fn run_compiled(func: &Function, code: &[Code], args: [Val; ARGS], immortal: bool, patience: usize) -> Trace {
    let mut objects: Vec<Object> = CONSTANTS.iter().map(|value| Object { count: 1, value: *value }).collect();
    objects.push(Object { count: 1, value: Val::Unbound });
    let permanent = objects.len();
    let mut world = World { code, objects, permanent, immortal, slots: [0; SLOTS], trace: Trace::default(), patience };
    for slot in 0..SLOTS {
        world.slots[slot] = world.new_object(Val::Float(slot as f64));
    }
    let args = args.map(|value| world.new_object(value));
    let (payload, tag) = interp::run(func, &mut world, &args);
    match tag {
        TAG_INT => world.trace.note("return", Val::Int(i128::from(payload as i64))),
        TAG_FLOAT => world.trace.note("return", Val::Float(f64::from_bits(payload))),
        TAG_OBJECT => {
            let value = world.value(payload);
            world.trace.note("return", value);
            world.dec_ref(payload);
        }
        _ => {}
    }
    for slot in world.slots {
        let value = world.value(slot);
        world.trace.note("slot", value);
        world.dec_ref(slot);
    }
    for arg in args {
        world.dec_ref(arg);
    }
    for (index, object) in world.objects.iter().enumerate() {
        assert_eq!(
            object.count,
            i64::from(index < world.permanent),
            "object {index}, {:?}, has a wrong count at the end",
            object.value
        );
    }
    world.trace
}
