//! From statements to code and, side by side, to the IR, in the front end's manner.

use super::language::{ARGS, CONSTANTS, Code, Expr, Guess, LOCALS, Stmt, Val};
use super::machine::{address, slot_offset};
use crate::builder::Builder;
use crate::field::Field;
use crate::function::{Block, BlockCall, FrameState, Function, FunctionKind, ObjId, ObjRef, Ownership, Slot, StateId, Value};
use crate::helper::Helper;
use crate::op::{Cond, Imm, Op, Reason};
use crate::types::{Constant, Type};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Owner {
    Slot,
    Local(usize),
    Outside,
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Entry {
    Null,
    Const(ObjId),
    Value(Value, Owner),
}

#[derive(Clone)]
pub(super) struct Frame {
    locals: Vec<Entry>,
    stack: Vec<Entry>,
}

pub(super) struct Compiler {
    func: Function,
    block: Block,
    frame: Frame,
    code: Vec<Code>,
    consts: Vec<ObjId>,
    holder: ObjId,
    all_bound: bool,
}

impl Compiler {
    pub(super) fn compile(program: &[Stmt], result: &Expr, immortal: bool, bound: usize) -> (Function, Vec<Code>) {
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
        let mut compiler =
            Compiler { func, block: Function::ENTRY, frame, code: Vec::new(), consts, holder, all_bound: bound == LOCALS };
        let start = compiler.state();
        compiler.build().guard(Op::Enter, &[], Imm::None, start);
        for local in ARGS..bound {
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
                let entry = self.frame.locals[*local];
                match entry {
                    Entry::Null => return self.expr(&Expr::Const(0)),
                    Entry::Value(value, _) if self.func.ty(value).may_be_null() => {
                        let state = self.state();
                        self.build().guard(Op::GuardBound, &[value], Imm::Reason(Reason::Unbound), state);
                        self.emit(Code::LoadCheck(*local));
                    }
                    _ => self.emit(Code::Load(*local)),
                }
                let entry = match entry {
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
        for _ in &stored {
            // Where some local is unbound, a checked copy of it may come round the loop.
            let ty = if self.all_bound { Type::OBJECT } else { Type::NULLABLE };
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

pub(super) fn stores(body: &[Stmt], stored: &mut BTreeSet<usize>) {
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
