//! A machine for tests: a small heap of bytes with counted objects, which notices leaks, double frees and reads of freed memory.

#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]

use pepjit_ir::field::Width;
use pepjit_ir::interp::{Exit, Machine, Poll, TAG_FLOAT, TAG_INT, TAG_OBJECT, WellKnown};
use pepjit_ir::op::Reason;
use pepjit_ir::{Callee, Field, Function, Helper, Ownership, Slot, Type, Value, parse};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const TAG_LEFT: u64 = 3;
const START: u64 = 0x1_0000;
const SIZE: u64 = 64;
/// The reference count of an immortal object.
const IMMORTAL: u64 = 0x8000_0000;

/// What an exit left behind: the frame, as text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Left {
    pub(crate) reason: Reason,
    pub(crate) throw: bool,
    pub(crate) offset: u32,
    pub(crate) slots: Vec<String>,
    pub(crate) entered: bool,
    pub(crate) pushed: bool,
}

#[derive(Default)]
pub(crate) struct Heap {
    pub(crate) bytes: Vec<u8>,
    pub(crate) freed: BTreeSet<u64>,
    pub(crate) live: BTreeSet<u64>,
    pub(crate) known: WellKnown,
    pub(crate) list_type: u64,
    pub(crate) left: Option<Left>,
    /// In how many guards the stress mode leaves.
    pub(crate) stress: Option<u32>,
    pub(crate) polls: Vec<Poll>,
    pub(crate) recursion: i32,
    pub(crate) frames: i32,
    pub(crate) may_enter: bool,
    pub(crate) may_push: bool,
    pub(crate) valid: bool,
    pub(crate) instruction: u32,
    pub(crate) scratch: BTreeMap<u32, u64>,
    pub(crate) raised: bool,
    /// What direct calls return, last first.
    pub(crate) pairs: Vec<(u64, u64)>,
}

impl Heap {
    pub(crate) fn new() -> Heap {
        let mut heap = Heap { may_enter: true, may_push: true, valid: true, recursion: 10, ..Heap::default() };
        let mut immortal = |class| {
            let object = heap.allocate(class);
            heap.write(object, Width::U32, IMMORTAL);
            heap.live.remove(&object);
            object
        };
        let (int_type, float_type, bool_type, list_type) = (immortal(0), immortal(0), immortal(0), immortal(0));
        let (true_object, false_object) = (immortal(bool_type), immortal(bool_type));
        heap.known = WellKnown { true_object, false_object, int_type, float_type };
        heap.list_type = list_type;
        heap
    }

    fn allocate(&mut self, class: u64) -> u64 {
        let address = START + self.bytes.len() as u64;
        self.bytes.resize(self.bytes.len() + SIZE as usize, 0xdd);
        self.live.insert(address);
        self.write(address, Width::U32, 1);
        self.set(address, Field::ObType, class);
        address
    }

    pub(crate) fn get(&mut self, object: u64, field: Field) -> u64 {
        self.read(object.wrapping_add_signed(self.offset(field).into()), field.width())
    }

    pub(crate) fn set(&mut self, object: u64, field: Field, value: u64) {
        self.write(object.wrapping_add_signed(self.offset(field).into()), field.width(), value);
    }

    /// A list of owned objects.
    pub(crate) fn list(&mut self, items: &[u64]) -> u64 {
        let list = self.allocate(self.list_type);
        let array = START + self.bytes.len() as u64;
        self.bytes.resize(self.bytes.len() + SIZE as usize * (1 + items.len() / 8), 0);
        self.set(list, Field::ListItems, array);
        self.set(list, Field::VarSize, items.len() as u64);
        for (index, item) in items.iter().enumerate() {
            self.write(array + 8 * index as u64, Width::U64, *item);
        }
        list
    }

    pub(crate) fn references(&mut self, object: u64) -> u64 {
        self.read(object, Width::U32)
    }

    /// The objects that still have references.
    pub(crate) fn leaks(&self) -> Vec<u64> {
        self.live.iter().copied().collect()
    }

    pub(crate) fn repr(&mut self, object: u64) -> String {
        if object == 0 {
            return "null".into();
        }
        let (known, class) = (self.known, self.get(object, Field::ObType));
        match class {
            _ if object == known.true_object => "True".into(),
            _ if object == known.false_object => "False".into(),
            _ if class == known.int_type => self.int_value(object).map_or("?".into(), |value| value.to_string()),
            _ if class == known.float_type => format!("{:?}", f64::from_bits(self.get(object, Field::FloatValue))),
            _ if class == self.list_type => {
                let (array, size) = (self.get(object, Field::ListItems), self.get(object, Field::VarSize));
                let items: Vec<_> = (0..size).map(|index| self.read(array + 8 * index, Width::U64)).collect();
                let items: Vec<_> = items.into_iter().map(|item| self.repr(item)).collect();
                format!("[{}]", items.join(", "))
            }
            _ => "object".into(),
        }
    }

    /// Objects of more than one digit have their value behind the header.
    fn int_value(&mut self, object: u64) -> Option<i64> {
        let tag = self.get(object, Field::LongTag);
        if tag < 16 {
            return Some(self.get(object, Field::LongDigit) as i64 * (1 - (tag & 3) as i64));
        }
        (tag != HUGE_TAG).then(|| self.read(object + 32, Width::U64) as i64)
    }

    /// An int object that fits no 64 bits.
    pub(crate) fn huge(&mut self) -> u64 {
        let object = self.allocate(self.known.int_type);
        self.set(object, Field::LongTag, HUGE_TAG);
        object
    }

    fn give_up(&mut self, object: u64) {
        if object != 0 {
            self.dec_ref(object);
        }
    }

    fn repr_of(&mut self, exit: &Exit<'_>, value: Value) -> String {
        let word = exit.word(value);
        match exit.func.ty(value) {
            Type::C_INT => (word as i64).to_string(),
            Type::C_FLOAT => format!("{:?}", f64::from_bits(word)),
            Type::C_BOOL => if word == 0 { "False" } else { "True" }.into(),
            Type::C_WORD => format!("word {word}"),
            Type::PAIR => match exit.pair(value) {
                (payload, TAG_INT) => (payload as i64).to_string(),
                (payload, TAG_FLOAT) => format!("{:?}", f64::from_bits(payload)),
                (payload, _) => self.repr(payload),
            },
            _ => self.repr(word),
        }
    }
}

const HUGE_TAG: u64 = 100 << 3;

impl Machine for Heap {
    fn read(&mut self, address: u64, width: Width) -> u64 {
        let object = START + (address - START) / SIZE * SIZE;
        assert!(!self.freed.contains(&object), "reads freed memory at {address:#x}");
        let at = (address - START) as usize;
        let size = usize::from(width.bytes());
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&self.bytes[at..at + size]);
        u64::from_le_bytes(bytes)
    }

    fn write(&mut self, address: u64, width: Width, value: u64) {
        let object = START + (address - START) / SIZE * SIZE;
        assert!(!self.freed.contains(&object), "writes freed memory at {address:#x}");
        let at = (address - START) as usize;
        let size = usize::from(width.bytes());
        self.bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    fn offset(&self, field: Field) -> i32 {
        match field {
            Field::RefCount => 0,
            Field::ObType => 8,
            Field::LongTag | Field::FloatValue | Field::VarSize => 16,
            Field::LongDigit | Field::ListItems => 24,
            other => 32 + 8 * (other as i32 % 4),
        }
    }

    fn well_known(&self) -> WellKnown {
        self.known
    }

    fn current_function(&mut self) -> u64 {
        self.known.int_type
    }

    fn box_int(&mut self, value: i64) -> u64 {
        let object = self.allocate(self.known.int_type);
        let magnitude = value.unsigned_abs();
        let sign = 1 - value.signum();
        let digits = if magnitude < 1 << 30 { u64::from(value != 0) } else { 2 };
        self.set(object, Field::LongTag, digits << 3 | sign as u64);
        self.set(object, Field::LongDigit, magnitude & ((1 << 30) - 1));
        self.write(object + 32, Width::U64, value as u64);
        if (-5..=256).contains(&value) {
            // The process keeps these.
            self.live.remove(&object);
            self.write(object, Width::U32, IMMORTAL);
        }
        object
    }

    fn box_float(&mut self, value: f64) -> u64 {
        let object = self.allocate(self.known.float_type);
        self.set(object, Field::FloatValue, value.to_bits());
        object
    }

    fn unbox_big_int(&mut self, object: u64) -> Option<i64> {
        assert!(self.get(object, Field::LongTag) >= 16, "only ints of more than one digit come here");
        self.int_value(object)
    }

    fn inc_ref(&mut self, object: u64) {
        let count = self.references(object);
        if count & IMMORTAL == 0 {
            self.write(object, Width::U32, count + 1);
        }
    }

    fn dec_ref(&mut self, object: u64) {
        let count = self.references(object);
        if count & IMMORTAL != 0 {
            return;
        }
        assert!(count > 0, "no reference left to give up");
        self.write(object, Width::U32, count - 1);
        if count == 1 {
            if self.get(object, Field::ObType) == self.list_type {
                let (array, size) = (self.get(object, Field::ListItems), self.get(object, Field::VarSize));
                for index in 0..size {
                    let item = self.read(array + 8 * index, Width::U64);
                    self.give_up(item);
                }
            }
            self.live.remove(&object);
            self.freed.insert(object);
        }
    }

    fn scratch(&mut self, index: u32) -> u64 {
        self.scratch.remove(&index).unwrap_or(0)
    }

    fn call_helper(&mut self, helper: Helper, args: &[u64]) -> u64 {
        match helper {
            Helper::BuildList => self.list(args),
            Helper::Negative => {
                let value = self.int_value(args[0]).map(i64::wrapping_neg);
                value.map_or(0, |value| self.box_int(value))
            }
            Helper::FloatMod => {
                let (a, b) = (f64::from_bits(args[0]), f64::from_bits(args[1]));
                a.rem_euclid(b).to_bits()
            }
            Helper::Len => match self.get(args[0], Field::ObType) {
                class if class == self.list_type => self.get(args[0], Field::VarSize),
                _ => {
                    self.raised = true;
                    -1_i64 as u64
                }
            },
            Helper::ErrorOccurred => u64::from(self.raised),
            Helper::GetAttr => {
                self.raised = true;
                0
            }
            Helper::GetMethod => {
                self.inc_ref(args[0]);
                self.scratch.insert(0, args[0]);
                self.inc_ref(args[1]);
                args[1]
            }
            other => panic!("the test heap has no {}", other.info().name),
        }
    }

    fn call_direct(&mut self, _callee: &Callee, _args: &[u64]) -> (u64, u64) {
        self.pairs.pop().expect("a result")
    }

    fn enter(&mut self) -> bool {
        self.recursion -= i32::from(self.may_enter);
        self.may_enter
    }

    fn leave(&mut self) {
        self.recursion += 1;
    }

    fn push_frame(&mut self) -> bool {
        self.frames += i32::from(self.may_push);
        self.may_push
    }

    fn pop_frame(&mut self) {
        self.frames -= 1;
    }

    fn set_instruction(&mut self, offset: u32) {
        self.instruction = offset;
    }

    fn poll(&mut self) -> Poll {
        self.polls.pop().unwrap_or(Poll::GoOn)
    }

    fn is_valid(&mut self) -> bool {
        self.valid
    }

    fn stress_exit(&mut self) -> bool {
        match &mut self.stress {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    fn exit(&mut self, exit: &Exit<'_>) -> (u64, u64) {
        let frame = exit.frame();
        let slots = frame.slots().map(|slot| match slot {
            Slot::Empty => "_".into(),
            Slot::Object(object) => exit.func.objects[object.index()].label.clone(),
            Slot::Value(value, _) => self.repr_of(exit, *value),
        });
        let slots = slots.collect();
        let offset = frame.offset;
        let Exit { reason, throw, entered, pushed, .. } = *exit;
        self.left = Some(Left { reason, throw, offset, slots, entered, pushed });
        // The frame lives and dies at once: what it has taken is given up.
        for slot in frame.slots() {
            match slot {
                Slot::Value(value, _) if exit.func.ty(*value) == Type::PAIR => {
                    if let (object, TAG_OBJECT) = exit.pair(*value) {
                        self.give_up(object);
                    }
                }
                Slot::Value(value, Ownership::Steal) if exit.func.ty(*value).is_object() => self.give_up(exit.word(*value)),
                _ => {}
            }
        }
        for value in frame.drops.iter().filter(|value| exit.func.ty(**value).is_object()) {
            self.give_up(exit.word(*value));
        }
        self.recursion += i32::from(entered);
        self.frames -= i32::from(pushed);
        (0, TAG_LEFT)
    }
}

/// A verified function with the heap's classes and constants as its objects.
pub(crate) fn function(heap: &Heap, kind: &str, locals: u32, body: &str) -> Function {
    let known = heap.known;
    let objects = [("int", known.int_type), ("float", known.float_type), ("list", heap.list_type), ("True", known.true_object)];
    let objects: Vec<_> = objects
        .iter()
        .enumerate()
        .map(|(index, (label, address))| format!("o{index} = {label:?} @ {address:#x}: Other, immortal"))
        .collect();
    let callee = "f0 = \"callee\" (CInt)";
    let text = format!(
        "function \"test\" {kind}, locals {locals}, stack 4, traceable 0 {{\n{}\n{callee}\n{body}\n}}",
        objects.join("\n")
    );
    let func = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    pepjit_ir::verify(&func).unwrap_or_else(|error| panic!("{error}\n{text}"));
    pepjit_ir::check_ownership(&func).unwrap_or_else(|error| panic!("{error}\n{text}"));
    func
}
