//! Random programs of a small stack language, compiled the way the front end does it, must do the same before and after the passes: the
//! same calls with the same values, the same result, no object freed too early or never.
//!
//! An exit is followed by interpreting the rest of the program from the frame that the exit rebuilds, so that wrong frame
//! states show as well.

use super::optimize;
use crate::builder::Builder;
use crate::field::{Field, Width};
use crate::function::{
    Block, BlockCall, Callee, FrameState, Function, FunctionKind, ObjId, ObjRef, Ownership, Slot, StateId, Value,
};
use crate::helper::Helper;
use crate::interp::{self, Exit, Machine, Poll, TAG_FLOAT, TAG_INT, TAG_OBJECT, WellKnown};
use crate::op::{Cond, Imm, Op, Reason};
use crate::types::{Constant, Type};
use std::collections::BTreeSet;

const LOCALS: usize = 5;
const ARGS: usize = 2;
const SLOTS: usize = 2;

// ---- the language ----

#[derive(Clone, Copy, Debug, PartialEq)]
enum Val {
    Unbound,
    Int(i128),
    Float(f64),
    /// A range iterator: next value and how many are left.
    Range(i64, i64),
}

#[derive(Clone, Debug)]
enum Expr {
    Local(usize),
    Const(usize),
    Slot(usize),
    Binary(Op, Guess, Box<Expr>, Box<Expr>),
}

/// What the compiler expects of operands.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Int,
    Float,
    Number,
    Nothing,
}

#[derive(Clone, Debug)]
enum Stmt {
    Assign(usize, Expr),
    Event(Expr),
    Put(usize, bool, Expr),
    If(Guess, Expr, Expr, Vec<Stmt>, Vec<Stmt>),
    /// `while local < bound: body; local += 1`
    While(usize, usize, Vec<Stmt>),
    For(usize, i64, Vec<Stmt>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Code {
    Load(usize),
    Const(usize),
    LoadSlot(usize),
    StoreSlot(usize),
    Store(usize),
    Binary(Op),
    JumpUnlessLess(usize),
    Jump(usize),
    Event,
    Range(i64),
    ForIter(usize),
    Return,
}

const CONSTANTS: [Val; 7] =
    [Val::Int(0), Val::Int(1), Val::Int(3), Val::Int(1 << 40), Val::Float(0.0), Val::Float(1.5), Val::Int(-7)];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }

    fn expr(&mut self, depth: usize) -> Expr {
        match self.below(if depth == 0 { 5 } else { 9 }) {
            0..=2 => Expr::Local(self.below(LOCALS)),
            3 => Expr::Const(self.below(CONSTANTS.len())),
            4 => Expr::Slot(self.below(SLOTS)),
            _ => {
                let op = [Op::IntAdd, Op::IntSub, Op::IntMul][self.below(3)];
                let guess = self.guess();
                Expr::Binary(op, guess, Box::new(self.expr(depth - 1)), Box::new(self.expr(depth - 1)))
            }
        }
    }

    fn guess(&mut self) -> Guess {
        [Guess::Int, Guess::Int, Guess::Int, Guess::Float, Guess::Float, Guess::Number, Guess::Nothing][self.below(7)]
    }

    fn block(&mut self, depth: usize, fixed: &[usize]) -> Vec<Stmt> {
        (0..1 + self.below(4)).map(|_| self.stmt(depth, fixed)).collect()
    }

    /// A statement that doesn't assign to the fixed locals, which count loops.
    fn stmt(&mut self, depth: usize, fixed: &[usize]) -> Stmt {
        let local = (0..).map(|_| self.below(LOCALS)).find(|local| !fixed.contains(local)).expect("some local is free");
        let inner = |local: usize| fixed.iter().copied().chain([local]).collect::<Vec<_>>();
        match self.below(if depth == 0 { 7 } else { 11 }) {
            0..=4 => Stmt::Assign(local, self.expr(2)),
            5 => Stmt::Event(self.expr(1)),
            6 => Stmt::Put(self.below(SLOTS), self.below(2) == 0, self.expr(2)),
            7 => Stmt::If(self.guess(), self.expr(1), self.expr(1), self.block(depth - 1, fixed), self.block(depth - 1, fixed)),
            8 if fixed.len() + 2 < LOCALS => Stmt::While(local, 2, self.block(depth - 1, &inner(local))),
            _ => Stmt::For(local, self.below(4) as i64, self.block(depth - 1, fixed)),
        }
    }
}

fn arithmetic(op: Op, a: Val, b: Val) -> Val {
    let float = |value| match value {
        Val::Int(number) => number as f64,
        Val::Float(number) => number,
        _ => f64::NAN,
    };
    match (op, a, b) {
        (Op::IntAdd, Val::Int(a), Val::Int(b)) => Val::Int(a.wrapping_add(b)),
        (Op::IntSub, Val::Int(a), Val::Int(b)) => Val::Int(a.wrapping_sub(b)),
        (_, Val::Int(a), Val::Int(b)) => Val::Int(a.wrapping_mul(b)),
        (Op::IntAdd, ..) => Val::Float(float(a) + float(b)),
        (Op::IntSub, ..) => Val::Float(float(a) - float(b)),
        _ => Val::Float(float(a) * float(b)),
    }
}

fn less(a: Val, b: Val) -> bool {
    match arithmetic(Op::IntSub, a, b) {
        Val::Int(number) => number < 0,
        Val::Float(number) => number < 0.0,
        _ => false,
    }
}

/// What can be observed of a run. Floats by their bits.
#[derive(Clone, Debug, Default, PartialEq)]
struct Trace(Vec<String>);

impl Trace {
    fn note(&mut self, what: &str, value: Val) {
        self.0.push(match value {
            Val::Float(number) if number.is_nan() => format!("{what} nan"),
            value => format!("{what} {value:?}"),
        });
    }
}

/// Interprets the code from an offset to its end.
fn run_code(code: &[Code], mut at: usize, locals: &mut [Val], stack: &mut Vec<Val>, slots: &mut [Val], trace: &mut Trace) {
    loop {
        let mut pop = || stack.pop().expect("the stack isn't empty");
        match code[at] {
            Code::Load(local) => stack.push(locals[local]),
            Code::Const(number) => stack.push(CONSTANTS[number]),
            Code::LoadSlot(slot) => stack.push(slots[slot]),
            Code::StoreSlot(slot) => slots[slot] = pop(),
            Code::Store(local) => locals[local] = pop(),
            Code::Binary(op) => {
                let (b, a) = (pop(), pop());
                stack.push(arithmetic(op, a, b));
            }
            Code::JumpUnlessLess(target) => {
                let (b, a) = (pop(), pop());
                if !less(a, b) {
                    at = target;
                    continue;
                }
            }
            Code::Jump(target) => {
                at = target;
                continue;
            }
            Code::Event => trace.note("event", pop()),
            Code::Range(count) => stack.push(Val::Range(0, count)),
            Code::ForIter(target) => {
                let Val::Range(next, left) = pop() else { panic!("an iterator is on the stack") };
                if left > 0 {
                    stack.extend([Val::Range(next + 1, left - 1), Val::Int(i128::from(next))]);
                } else {
                    at = target;
                    continue;
                }
            }
            Code::Return => {
                trace.note("return", pop());
                return;
            }
        }
        at += 1;
    }
}

// ---- the compiler ----

#[derive(Clone, Copy, Debug, PartialEq)]
enum Owner {
    Slot,
    Local(usize),
    Outside,
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry {
    Null,
    Const(ObjId),
    Value(Value, Owner),
}

#[derive(Clone)]
struct Frame {
    locals: Vec<Entry>,
    stack: Vec<Entry>,
}

struct Compiler {
    func: Function,
    block: Block,
    frame: Frame,
    code: Vec<Code>,
    consts: Vec<ObjId>,
    holder: ObjId,
}

impl Compiler {
    fn compile(program: &[Stmt], result: &Expr, immortal: bool) -> (Function, Vec<Code>) {
        let mut func = Function::new("random", FunctionKind::Entry, LOCALS as u32, 16);
        let mut consts = Vec::new();
        for (index, constant) in CONSTANTS.iter().enumerate() {
            let (ty, constant) = match *constant {
                Val::Int(number) => (Type::INT, Constant::Int(number as i64)),
                Val::Float(number) => (Type::FLOAT, Constant::Float(number)),
                _ => unreachable!("constants are numbers"),
            };
            let address = address(index);
            consts.push(func.add_object(ObjRef { address, ty, constant, immortal, label: format!("const {index}") }));
        }
        let holder = address(CONSTANTS.len());
        let label = "holder".to_owned();
        let holder =
            func.add_object(ObjRef { address: holder, ty: Type::OTHER, constant: Constant::Opaque, immortal: true, label });
        let mut frame = Frame { locals: vec![Entry::Null; LOCALS], stack: Vec::new() };
        for local in 0..ARGS {
            let param = func.add_param(Function::ENTRY, Type::OBJECT, false);
            frame.locals[local] = Entry::Value(param, Owner::Outside);
        }
        let mut compiler = Compiler { func, block: Function::ENTRY, frame, code: Vec::new(), consts, holder };
        let start = compiler.state();
        compiler.build().guard(Op::Enter, &[], Imm::None, start);
        for local in ARGS..LOCALS {
            compiler.emit(Code::Const(local));
            compiler.frame.stack.push(Entry::Const(compiler.consts[local]));
            compiler.store(local);
        }
        for stmt in program {
            compiler.stmt(stmt);
        }
        compiler.expr(result);
        compiler.emit(Code::Return);
        let result = compiler.frame.stack.pop().expect("the result is on the stack");
        let result = compiler.owned(result);
        for entry in std::mem::take(&mut compiler.frame.locals) {
            compiler.release(entry);
        }
        compiler.build().effect(Op::Return, &[result], Imm::None);
        (compiler.func, compiler.code)
    }

    fn build(&mut self) -> Builder<'_> {
        Builder::at(&mut self.func, self.block)
    }

    fn emit(&mut self, code: Code) {
        self.code.push(code);
    }

    /// The frame before the code that is emitted next.
    fn state(&mut self) -> StateId {
        self.state_at(self.code.len())
    }

    fn state_at(&mut self, offset: usize) -> StateId {
        let slot = |entry: &Entry| match *entry {
            Entry::Null => Slot::Empty,
            Entry::Const(object) => Slot::Object(object),
            Entry::Value(value, Owner::Slot) => Slot::Value(value, Ownership::Steal),
            Entry::Value(value, _) => Slot::Value(value, Ownership::Borrow),
        };
        let state = FrameState {
            offset: offset as u32,
            locals: self.frame.locals.iter().map(slot).collect(),
            stack: self.frame.stack.iter().map(slot).collect(),
            drops: Vec::new(),
        };
        self.func.add_state(state)
    }

    fn value(&mut self, entry: Entry) -> Value {
        match entry {
            Entry::Null => self.build().null(),
            Entry::Const(object) => self.build().object(object),
            Entry::Value(value, _) => value,
        }
    }

    fn owned(&mut self, entry: Entry) -> Value {
        let value = self.value(entry);
        if !matches!(entry, Entry::Null | Entry::Value(_, Owner::Slot)) {
            self.build().effect(Op::IncRef, &[value], Imm::None);
        }
        value
    }

    fn release(&mut self, entry: Entry) {
        if let Entry::Value(value, Owner::Slot) = entry {
            self.build().effect(Op::DecRef, &[value], Imm::None);
        }
    }

    /// Gives what was read from memory a unit, before memory may change.
    fn secure(&mut self) {
        for index in 0..self.frame.stack.len() {
            if let Entry::Value(value, Owner::Memory) = self.frame.stack[index] {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                self.frame.stack[index] = Entry::Value(value, Owner::Slot);
            }
        }
    }

    fn store(&mut self, local: usize) {
        self.emit(Code::Store(local));
        let entry = self.frame.stack.pop().expect("a value to store");
        let new = match entry {
            Entry::Const(_) => entry,
            entry => Entry::Value(self.owned(entry), Owner::Slot),
        };
        let old = std::mem::replace(&mut self.frame.locals[local], new);
        self.release(old);
    }

    fn unbox(&mut self, op: Op, value: Value, state: StateId) -> Value {
        self.build().op_state(op, &[value], Imm::None, state)
    }

    /// Unboxes two operands as guessed; none if the guess is nothing.
    fn unbox_two(&mut self, guess: Guess, state: StateId) -> Option<(Value, Value, bool)> {
        let top = self.frame.stack.len();
        let (a, b) = (self.frame.stack[top - 2], self.frame.stack[top - 1]);
        let (a, b) = (self.value(a), self.value(b));
        let op = match guess {
            Guess::Int => Op::UnboxInt,
            Guess::Float => Op::UnboxFloat,
            Guess::Number => Op::UnboxNumber,
            Guess::Nothing => return None,
        };
        let numbers = (self.unbox(op, a, state), self.unbox(if op == Op::UnboxNumber { Op::UnboxFloat } else { op }, b, state));
        Some((numbers.0, numbers.1, op == Op::UnboxInt))
    }

    fn pop_two(&mut self) {
        for _ in 0..2 {
            let entry = self.frame.stack.pop().expect("two operands");
            self.release(entry);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Local(local) => {
                self.emit(Code::Load(*local));
                let entry = match self.frame.locals[*local] {
                    Entry::Value(value, Owner::Slot) => Entry::Value(value, Owner::Local(*local)),
                    other => other,
                };
                self.frame.stack.push(entry);
            }
            Expr::Const(number) => {
                self.emit(Code::Const(*number));
                self.frame.stack.push(Entry::Const(self.consts[*number]));
            }
            Expr::Slot(slot) => {
                self.emit(Code::LoadSlot(*slot));
                let holder = self.holder;
                let holder = self.build().object(holder);
                let value = self.build().op_imm(Op::LoadAt, &[holder], Imm::Int(slot_offset(*slot)));
                self.func.values[value.index()].ty = Type::OBJECT;
                self.frame.stack.push(Entry::Value(value, Owner::Memory));
            }
            Expr::Binary(op, guess, a, b) => {
                self.expr(a);
                if matches!(**b, Expr::Binary(..)) {
                    self.secure();
                }
                self.expr(b);
                let state = self.state();
                let numbers = self.unbox_two(*guess, state);
                let result = match numbers {
                    Some((a, b, true)) => {
                        let number = self.build().op_state(*op, &[a, b], Imm::None, state);
                        self.build().op(Op::BoxInt, &[number])
                    }
                    Some((a, b, false)) => {
                        let op = match op {
                            Op::IntAdd => Op::FloatAdd,
                            Op::IntSub => Op::FloatSub,
                            _ => Op::FloatMul,
                        };
                        let number = self.build().op(op, &[a, b]);
                        self.build().op(Op::BoxFloat, &[number])
                    }
                    None => {
                        self.secure();
                        let top = self.frame.stack.len();
                        let (a, b) = (self.frame.stack[top - 2], self.frame.stack[top - 1]);
                        let (a, b) = (self.value(a), self.value(b));
                        let op = self.build().int(*op as i64);
                        let result = self.build().call(Helper::BinaryOp, &[a, b, op]);
                        self.func.values[result.index()].ty = Type::OBJECT;
                        result
                    }
                };
                self.emit(Code::Binary(*op));
                self.pop_two();
                self.frame.stack.push(Entry::Value(result, Owner::Slot));
            }
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Assign(local, expr) => {
                self.expr(expr);
                self.store(*local);
            }
            Stmt::Event(expr) => {
                self.expr(expr);
                self.secure();
                self.emit(Code::Event);
                let entry = *self.frame.stack.last().expect("an operand");
                let value = self.value(entry);
                self.build().call(Helper::IsTrue, &[value]);
                self.frame.stack.pop();
                self.release(entry);
            }
            Stmt::Put(slot, in_place, expr) => {
                self.expr(expr);
                let state = self.state();
                let entry = *self.frame.stack.last().expect("an operand");
                let holder = self.holder;
                if *in_place {
                    let value = self.value(entry);
                    let number = self.unbox(Op::UnboxFloat, value, state);
                    let holder = self.build().object(holder);
                    let address = self.build().op_imm(Op::AddressOf, &[holder], Imm::Int(slot_offset(*slot)));
                    self.frame.stack.pop();
                    self.build().effect(Op::StoreFloatInPlace, &[address, number], Imm::None);
                    self.release(entry);
                } else {
                    let new = self.owned(entry);
                    self.frame.stack.pop();
                    let holder = self.build().object(holder);
                    let old = self.build().op_imm(Op::SwapAt, &[holder, new], Imm::Int(slot_offset(*slot)));
                    self.build().effect(Op::DecRef, &[old], Imm::None);
                }
                self.emit(Code::StoreSlot(*slot));
            }
            Stmt::If(guess, a, b, then, otherwise) => {
                let guess = if matches!(guess, Guess::Nothing) { Guess::Int } else { *guess };
                let (jump, other) = self.compare(guess, a, b);
                self.block(then);
                let end = self.code.len();
                self.emit(Code::Jump(0));
                let first = (self.block, self.frame.clone());
                self.code[jump] = Code::JumpUnlessLess(self.code.len());
                (self.block, self.frame) = other;
                self.block(otherwise);
                self.code[end] = Code::Jump(self.code.len());
                self.merge(first);
            }
            Stmt::While(local, bound, body) => {
                self.expr(&Expr::Const(0));
                self.store(*local);
                let header = self.enter_loop(body, *local);
                let (jump, over) = self.compare(Guess::Int, &Expr::Local(*local), &Expr::Const(*bound));
                self.block(body);
                let one = Expr::Binary(Op::IntAdd, Guess::Int, Box::new(Expr::Local(*local)), Box::new(Expr::Const(1)));
                self.stmt(&Stmt::Assign(*local, one));
                self.back_edge(&header);
                self.code[jump] = Code::JumpUnlessLess(self.code.len());
                (self.block, self.frame) = over;
            }
            Stmt::For(local, count, body) => {
                self.emit(Code::Range(*count));
                let (start, stop, step) = (self.build().int(0), self.build().int(*count), self.build().int(1));
                let iterator = self.build().call(Helper::RangeIter, &[start, stop, step]);
                self.func.values[iterator.index()].ty = Type::RANGE_ITER;
                self.frame.stack.push(Entry::Value(iterator, Owner::Slot));
                let header = self.enter_loop(body, *local);
                let jump = self.code.len();
                self.emit(Code::ForIter(0));
                let left = self.build().op_imm(Op::LoadField, &[iterator], Imm::Field(Field::RangeIterLen));
                let (zero, one) = (self.build().word(0), self.build().word(1));
                let more = self.build().op_imm(Op::IntCmp, &[left, zero], Imm::Cond(Cond::Gt));
                let over = self.fork(more);
                let start = self.build().op_imm(Op::LoadField, &[iterator], Imm::Field(Field::RangeIterStart));
                let next = self.build().op(Op::WordAdd, &[start, one]);
                self.build().effect(Op::StoreField, &[iterator, next], Imm::Field(Field::RangeIterStart));
                let fewer = self.build().op(Op::WordSub, &[left, one]);
                self.build().effect(Op::StoreField, &[iterator, fewer], Imm::Field(Field::RangeIterLen));
                let number = self.build().op(Op::WordToInt, &[start]);
                let item = self.build().op(Op::BoxInt, &[number]);
                self.frame.stack.push(Entry::Value(item, Owner::Slot));
                self.store(*local);
                self.block(body);
                self.back_edge(&header);
                self.code[jump] = Code::ForIter(self.code.len());
                (self.block, self.frame) = over;
                self.frame.stack.pop();
                self.build().effect(Op::DecRef, &[iterator], Imm::None);
            }
        }
    }

    fn block(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    /// Goes on where the condition holds; returns where it doesn't.
    fn fork(&mut self, condition: Value) -> (Block, Frame) {
        let (then, otherwise) = (self.func.add_block(), self.func.add_block());
        let call = |block| BlockCall { block, args: Vec::new() };
        self.build().branch(condition, call(then), call(otherwise));
        self.block = then;
        (otherwise, self.frame.clone())
    }

    fn compare(&mut self, guess: Guess, a: &Expr, b: &Expr) -> (usize, (Block, Frame)) {
        self.expr(a);
        if matches!(b, Expr::Binary(..)) {
            self.secure();
        }
        self.expr(b);
        let state = self.state();
        let jump = self.code.len();
        self.emit(Code::JumpUnlessLess(0));
        let (a, b, ints) = self.unbox_two(guess, state).expect("comparisons are guessed");
        let op = if ints { Op::IntCmp } else { Op::FloatCmp };
        let condition = self.build().op_imm(op, &[a, b], Imm::Cond(Cond::Lt));
        self.pop_two();
        (jump, self.fork(condition))
    }

    fn enter_loop(&mut self, body: &[Stmt], counter: usize) -> (Block, usize, Vec<usize>) {
        let mut stored = BTreeSet::from([counter]);
        stores(body, &mut stored);
        let stored: Vec<usize> = stored.into_iter().collect();
        let offset = self.code.len();
        let block = self.func.add_block();
        for local in &stored {
            let ty = self.joined(self.frame.locals[*local], self.frame.locals[*local]);
            self.func.add_param(block, ty, true);
        }
        self.jump_with(block, &stored, offset);
        let params = self.func.blocks[block.index()].params.clone();
        for (local, param) in stored.iter().zip(params) {
            self.frame.locals[*local] = Entry::Value(param, Owner::Slot);
        }
        self.block = block;
        (block, offset, stored)
    }

    /// The type of a parameter for either.
    fn joined(&self, a: Entry, b: Entry) -> Type {
        let may_be_null = |entry| match entry {
            Entry::Null => true,
            Entry::Value(value, _) => self.func.ty(value).may_be_null(),
            Entry::Const(_) => false,
        };
        if may_be_null(a) || may_be_null(b) { Type::NULLABLE } else { Type::OBJECT }
    }

    fn back_edge(&mut self, (block, offset, stored): &(Block, usize, Vec<usize>)) {
        let state = self.state_at(*offset);
        self.build().guard(Op::Poll, &[], Imm::None, state);
        self.emit(Code::Jump(*offset));
        self.jump_with(*block, stored, *offset);
    }

    fn jump_with(&mut self, block: Block, locals: &[usize], offset: usize) {
        let mut args = Vec::new();
        for local in locals {
            let entry = self.frame.locals[*local];
            let value = self.owned(entry);
            if entry != Entry::Null {
                self.frame.locals[*local] = Entry::Value(value, Owner::Slot);
            }
            args.push(value);
        }
        let state = self.state_at(offset);
        self.build().jump(block, args, Some(state));
    }

    fn merge(&mut self, (other, frame): (Block, Frame)) {
        let differing: Vec<usize> = (0..LOCALS).filter(|local| frame.locals[*local] != self.frame.locals[*local]).collect();
        let block = self.func.add_block();
        for local in &differing {
            let ty = self.joined(self.frame.locals[*local], frame.locals[*local]);
            self.func.add_param(block, ty, true);
        }
        let offset = self.code.len();
        self.jump_with(block, &differing, offset);
        (self.block, self.frame) = (other, frame);
        self.jump_with(block, &differing, offset);
        let params = self.func.blocks[block.index()].params.clone();
        for (local, param) in differing.iter().zip(params) {
            self.frame.locals[*local] = Entry::Value(param, Owner::Slot);
        }
        self.block = block;
    }
}

fn stores(body: &[Stmt], stored: &mut BTreeSet<usize>) {
    for stmt in body {
        match stmt {
            Stmt::Assign(local, _) => {
                stored.insert(*local);
            }
            Stmt::If(_, _, _, then, otherwise) => {
                stores(then, stored);
                stores(otherwise, stored);
            }
            Stmt::While(local, _, body) | Stmt::For(local, _, body) => {
                stored.insert(*local);
                stores(body, stored);
            }
            Stmt::Event(_) | Stmt::Put(..) => {}
        }
    }
}

// ---- the machine ----

const OBJECT_SIZE: u64 = 128;

fn address(index: usize) -> u64 {
    (index as u64 + 1) * OBJECT_SIZE
}

fn slot_offset(slot: usize) -> i64 {
    64 + 8 * slot as i64
}

const INT_TYPE: u64 = 1 << 40;
const FLOAT_TYPE: u64 = 2 << 40;
const OTHER_TYPE: u64 = 3 << 40;

#[derive(Clone, Copy, Debug)]
struct Object {
    count: i64,
    value: Val,
}

struct World<'a> {
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
fn run_compiled(func: &Function, code: &[Code], args: [Val; ARGS], immortal: bool, patience: usize) -> Trace {
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

fn expected(code: &[Code], args: [Val; ARGS]) -> Trace {
    let mut trace = Trace::default();
    let mut locals = [Val::Unbound; LOCALS];
    locals[..ARGS].copy_from_slice(&args);
    let mut slots: Vec<Val> = (0..SLOTS).map(|slot| Val::Float(slot as f64)).collect();
    run_code(code, 0, &mut locals, &mut Vec::new(), &mut slots, &mut trace);
    for slot in slots {
        trace.note("slot", slot);
    }
    trace
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let program = random.block(3, &[]);
    let result = random.expr(1);
    let immortal = random.below(2) == 0;
    let (before, code) = Compiler::compile(&program, &result, immortal);
    let mut after = before.clone();
    optimize(&mut after);
    for args in [[Val::Int(2), Val::Int(5)], [Val::Int(1 << 62), Val::Float(0.25)], [Val::Float(2.0), Val::Int(-1)]] {
        let wanted = expected(&code, args);
        for (name, func) in [("before", &before), ("after", &after)] {
            for patience in [usize::MAX - 1, 0, 1, 2, 3, 5, 8, 13, 21, 50] {
                let found = std::panic::catch_unwind(|| run_compiled(func, &code, args, immortal, patience));
                assert!(
                    found.as_ref().is_ok_and(|found| *found == wanted),
                    "seed {seed}, {name} the passes, {args:?}, leaving after {patience} guards:\nwanted {wanted:?}\nfound {found:?}\n{program:#?}\n{code:?}\n{before}\n{after}"
                );
            }
        }
    }
}

#[test]
fn programs_do_the_same_before_and_after() {
    for seed in 0..300 {
        check(seed);
    }
}
