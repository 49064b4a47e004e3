//! Random functions on unboxed values: machine code and the reference interpreter agree on results, exits and live values.

use crate::process::{LEFT, Pair, Process, log};
use pepjit_backend::plan_exit;
use pepjit_ir::field::Width;
use pepjit_ir::interp::{self, Exit, Machine, Poll, WellKnown};
use pepjit_ir::op::Reason;
use pepjit_ir::{
    BlockCall, Builder, Callee, Cond, Effects, Field, FrameState, Function, FunctionKind, Helper, Imm, Op, Ownership, Slot,
    StateId, Type, Value,
};

const FUNCTIONS: u64 = 300;
const CALLS: u64 = 12;
const STACK: usize = 6;

/// A stream of choices (splitmix64).
struct Choices(u64);

impl Choices {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[(self.word() % items.len() as u64) as usize]
    }

    /// Mostly small, so that operations succeed.
    fn int(&mut self) -> i64 {
        let word = self.word() as i64;
        let shift = self.of(&[60, 60, 58, 57, 33, 0]);
        word >> shift
    }
}

const OPS: [Op; 24] = [
    Op::IntAdd,
    Op::IntSub,
    Op::IntMul,
    Op::IntFloorDiv,
    Op::IntMod,
    Op::IntNeg,
    Op::IntShl,
    Op::IntShr,
    Op::IntAnd,
    Op::IntOr,
    Op::IntXor,
    Op::IntInvert,
    Op::IntToFloat,
    Op::FloatAdd,
    Op::FloatSub,
    Op::FloatMul,
    Op::FloatDiv,
    Op::FloatNeg,
    Op::FloatAbs,
    Op::FloatSqrt,
    Op::IntCmp,
    Op::FloatCmp,
    Op::BoolNot,
    Op::BoolToInt,
];

/// What a function has at hand, by type.
#[derive(Clone, Default)]
struct Pool {
    ints: Vec<Value>,
    floats: Vec<Value>,
    bools: Vec<Value>,
}

impl Pool {
    fn of(&mut self, ty: Type) -> &mut Vec<Value> {
        match ty {
            Type::C_INT => &mut self.ints,
            Type::C_FLOAT => &mut self.floats,
            _ => &mut self.bools,
        }
    }
}

fn operand_type(op: Op, position: usize) -> Type {
    match op.info().args[position] {
        pepjit_ir::ArgKind::Float => Type::C_FLOAT,
        pepjit_ir::ArgKind::Bool => Type::C_BOOL,
        _ => Type::C_INT,
    }
}

/// A state with some of the values.
fn state(func: &mut Function, pool: &Pool, choices: &mut Choices) -> StateId {
    let all: Vec<Value> = [&pool.ints, &pool.floats, &pool.bools].into_iter().flatten().copied().collect();
    let mut slots = |count: usize| (0..count).map(|_| Slot::Value(choices.of(&all), Ownership::Borrow)).collect();
    let (locals, stack) = (slots(func.locals as usize), slots(STACK));
    func.add_state(FrameState { offset: func.states.len() as u32, locals, stack, drops: Vec::new() })
}

/// Appends random instructions.
fn body(func: &mut Function, block: pepjit_ir::Block, pool: &mut Pool, choices: &mut Choices, count: usize) {
    for _ in 0..count {
        let op = choices.of(&OPS);
        let args: Vec<Value> =
            (0..op.info().args.len()).map(|position| choices.of(pool.of(operand_type(op, position)))).collect();
        let imm = match op {
            Op::IntCmp => Imm::Cond(choices.of(Cond::NAMED).0),
            Op::FloatCmp => Imm::Cond(choices.of(&Cond::NAMED[..6]).0),
            _ => Imm::None,
        };
        let leaves = op.info().effects.has(Effects::EXITS).then(|| state(func, pool, choices));
        let inst = Builder::at(func, block).push(op, &args, imm, leaves, Vec::new());
        let result = func.inst(inst).result.expect("a result");
        let ty = func.ty(result);
        pool.of(ty).push(result);
    }
}

/// A diamond: some instructions, a branch, some on each side, a join, some more, a guard, a return.
fn random_function(seed: u64) -> Function {
    let choices = &mut Choices(seed);
    let mut func = Function::new(format!("random {seed}"), FunctionKind::Entry, 3, STACK as u32);
    let mut pool =
        Pool { ints: (0..3).map(|_| func.add_param(Function::ENTRY, Type::C_INT, false)).collect(), ..Pool::default() };
    let enter = func.add_state(FrameState { offset: 0, locals: vec![Slot::Empty; 3], stack: Vec::new(), drops: Vec::new() });
    let mut builder = Builder::at(&mut func, Function::ENTRY);
    builder.guard(Op::Enter, &[], Imm::None, enter);
    pool.ints.push(builder.int(choices.int()));
    pool.floats.push(builder.op_imm(Op::ConstFloat, &[], Imm::Float(choices.int() as f64 / 8.0)));
    pool.bools.push(builder.op_imm(Op::ConstBool, &[], Imm::Int((choices.word() & 1) as i64)));
    body(&mut func, Function::ENTRY, &mut pool, choices, 4);

    let (sides, join) = ([func.add_block(), func.add_block()], func.add_block());
    let params = [Type::C_INT, Type::C_FLOAT, Type::C_BOOL].map(|ty| func.add_param(join, ty, false));
    let condition = choices.of(&pool.bools);
    let call = |block| BlockCall { block, args: Vec::new() };
    Builder::at(&mut func, Function::ENTRY).branch(condition, call(sides[0]), call(sides[1]));
    for side in sides {
        let mut pool = pool.clone();
        body(&mut func, side, &mut pool, choices, 3);
        let args = vec![choices.of(&pool.ints), choices.of(&pool.floats), choices.of(&pool.bools)];
        Builder::at(&mut func, side).jump(join, args, None);
    }
    pool.ints.push(params[0]);
    pool.floats.push(params[1]);
    pool.bools.push(params[2]);
    body(&mut func, join, &mut pool, choices, 4);
    let last = state(&mut func, &pool, choices);
    let (guarded, int, float) = (choices.of(&pool.bools), choices.of(&pool.ints), choices.of(&pool.floats));
    let mut builder = Builder::at(&mut func, join);
    builder.guard(Op::Guard, &[guarded], Imm::Reason(Reason::Class), last);
    if choices.word() & 1 == 0 {
        builder.effect(Op::ReturnInt, &[int], Imm::None);
    } else {
        builder.effect(Op::ReturnFloat, &[float], Imm::None);
    }
    func
}

/// A machine without memory, which notes the exit.
#[derive(Default)]
struct Arithmetic {
    left: Option<(Reason, u32, Vec<u64>)>,
}

impl Machine for Arithmetic {
    fn read(&mut self, _: u64, _: Width) -> u64 {
        unreachable!("no memory")
    }
    fn write(&mut self, _: u64, _: Width, _: u64) {
        unreachable!("no memory")
    }
    fn offset(&self, _: Field) -> i32 {
        unreachable!("no memory")
    }
    fn well_known(&self) -> WellKnown {
        WellKnown::default()
    }
    fn current_function(&mut self) -> u64 {
        unreachable!("no objects")
    }
    fn box_int(&mut self, _: i64) -> u64 {
        unreachable!("no objects")
    }
    fn box_float(&mut self, _: f64) -> u64 {
        unreachable!("no objects")
    }
    fn unbox_big_int(&mut self, _: u64) -> Option<i64> {
        unreachable!("no objects")
    }
    fn inc_ref(&mut self, _: u64) {
        unreachable!("no objects")
    }
    fn dec_ref(&mut self, _: u64) {
        unreachable!("no objects")
    }
    fn scratch(&mut self, _: u32) -> u64 {
        unreachable!("no helpers")
    }
    fn call_helper(&mut self, _: Helper, _: &[u64]) -> u64 {
        unreachable!("no helpers")
    }
    fn call_direct(&mut self, _: &Callee, _: &[u64]) -> (u64, u64) {
        unreachable!("no callees")
    }
    fn enter(&mut self) -> bool {
        true
    }
    fn leave(&mut self) {}
    fn push_frame(&mut self) -> bool {
        unreachable!("no frames")
    }
    fn pop_frame(&mut self) {}
    fn set_instruction(&mut self, _: u32) {}
    fn poll(&mut self) -> Poll {
        Poll::GoOn
    }
    fn is_valid(&mut self) -> bool {
        true
    }

    fn exit(&mut self, exit: &Exit<'_>) -> (u64, u64) {
        let plan = plan_exit(exit.func, exit.frame(), exit.reason, exit.throw, exit.entered);
        let mut words = vec![0; plan.record.words as usize];
        for (word, value) in plan.stores {
            words[word as usize] = exit.word(value);
        }
        self.left = Some((exit.reason, exit.frame().offset, words));
        (LEFT.payload, LEFT.tag)
    }
}

/// Whether two words are the same, or both are NaN (whose bits are not defined).
fn same(a: u64, b: u64) -> bool {
    a == b || (f64::from_bits(a).is_nan() && f64::from_bits(b).is_nan())
}

#[test]
fn agrees_with_the_reference() {
    let mut backends = [Process::new(), Process::new().without_optimiser()];
    let (mut returned, mut left) = (0, 0);
    for seed in 0..FUNCTIONS {
        let func = random_function(seed);
        let compiled = backends.each_mut().map(|process| process.compile(&func));
        let choices = &mut Choices(!seed);
        for _ in 0..CALLS {
            let args = [choices.int(), choices.int(), choices.int()].map(|arg| arg as u64);
            let mut machine = Arithmetic::default();
            let (payload, tag) = interp::run(&func, &mut machine, &args);
            let expected = Pair { payload, tag };
            *if machine.left.is_some() { &mut left } else { &mut returned } += 1;
            for (process, compiled) in backends.iter_mut().zip(&compiled) {
                let found = process.call(compiled, &args);
                assert!(
                    found.tag == expected.tag && same(found.payload, expected.payload),
                    "{found:?} {expected:?} {args:?}\n{func}"
                );
                let taken = log(|log| log.left.pop()).map(|left| (left.record.reason, left.record.offset, left.words));
                let agree = match (&taken, &machine.left) {
                    (Some((reason, offset, words)), Some((expected, at, live))) => {
                        reason == expected
                            && offset == at
                            && words.len() == live.len()
                            && words.iter().zip(live).all(|(a, b)| same(*a, *b))
                    }
                    (None, None) => true,
                    _ => false,
                };
                assert!(agree, "{taken:?} {:?} {args:?}\n{func}", machine.left);
            }
        }
    }
    assert!(returned > 500 && left > 500, "both ways are taken often: {returned} returns, {left} exits");
}
