//! The language: expressions and statements, made at random; its code; and what the code means.

use crate::op::Op;

/// How many locals a program has.
pub(super) const LOCALS: usize = 5;
/// How many of them are arguments.
pub(super) const ARGS: usize = 2;
/// How many pointer slots in memory.
pub(super) const SLOTS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Val {
    Unbound,
    Int(i128),
    Float(f64),
    /// A range iterator: next value and how many are left.
    Range(i64, i64),
}

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Local(usize),
    Const(usize),
    Slot(usize),
    Binary(Op, Guess, Box<Expr>, Box<Expr>),
}

/// What the compiler expects of operands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guess {
    Int,
    Float,
    Number,
    Nothing,
}

#[derive(Clone, Debug)]
pub(super) enum Stmt {
    Assign(usize, Expr),
    Event(Expr),
    Put(usize, bool, Expr),
    If(Guess, Expr, Expr, Vec<Stmt>, Vec<Stmt>),
    /// `while local < bound: body; local += 1`
    While(usize, usize, Vec<Stmt>),
    For(usize, i64, Vec<Stmt>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Code {
    Load(usize),
    /// Ends the program if the local is unbound.
    LoadCheck(usize),
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

pub(super) const CONSTANTS: [Val; 7] =
    [Val::Int(0), Val::Int(1), Val::Int(3), Val::Int(1 << 40), Val::Float(0.0), Val::Float(1.5), Val::Int(-7)];

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }

    pub(super) fn expr(&mut self, depth: usize) -> Expr {
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

    pub(super) fn block(&mut self, depth: usize, fixed: &[usize]) -> Vec<Stmt> {
        (0..=self.below(4)).map(|_| self.stmt(depth, fixed)).collect()
    }

    /// A statement that doesn't assign to the fixed locals, which count loops.
    fn stmt(&mut self, depth: usize, fixed: &[usize]) -> Stmt {
        let free: Vec<usize> = (0..LOCALS).filter(|local| !fixed.contains(local)).collect();
        let local = free[self.below(free.len())];
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

pub(super) fn arithmetic(op: Op, a: Val, b: Val) -> Val {
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

pub(super) fn less(a: Val, b: Val) -> bool {
    match arithmetic(Op::IntSub, a, b) {
        Val::Int(number) => number < 0,
        Val::Float(number) => number < 0.0,
        _ => false,
    }
}

/// What can be observed of a run. Floats by their bits.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Trace(pub(super) Vec<String>);

impl Trace {
    pub(super) fn note(&mut self, what: &str, value: Val) {
        self.0.push(match value {
            Val::Float(number) if number.is_nan() => format!("{what} nan"),
            value => format!("{what} {value:?}"),
        });
    }
}

/// Interprets the code from an offset to its end.
pub(super) fn run_code(
    code: &[Code],
    mut at: usize,
    locals: &mut [Val],
    stack: &mut Vec<Val>,
    slots: &mut [Val],
    trace: &mut Trace,
) {
    loop {
        let mut pop = || stack.pop().expect("the stack isn't empty");
        match code[at] {
            Code::Load(local) => stack.push(locals[local]),
            Code::LoadCheck(local) => {
                if locals[local] == Val::Unbound {
                    trace.note("unbound", Val::Int(local as i128));
                    return;
                }
                stack.push(locals[local]);
            }
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
