//! Unboxed values: every operation on values at the edges, against the reference interpreter's arithmetic.

use crate::process::{LEFT, Pair, Process, has_left, only_exit, reasons};
use pepjit_ir::interp::arith;
use pepjit_ir::op::Reason;
use pepjit_ir::{Builder, Cond, FrameState, Function, FunctionKind, Imm, Op, Ownership, Slot, Type};

const INTS: [i64; 21] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    7,
    -7,
    10,
    62,
    63,
    64,
    1 << 31,
    -(1 << 31),
    (1 << 53) - 1,
    1 << 53,
    (1 << 53) + 1,
    i64::MAX / 2,
    i64::MIN + 1,
    i64::MIN,
    i64::MAX,
];

const FLOATS: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    -2.5,
    1e308,
    -1e308,
    5e-324,
    f64::MAX,
    f64::MIN_POSITIVE,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

type IntOp = fn(i64, i64) -> arith::Arith<i64>;
type UnaryIntOp = fn(i64) -> arith::Arith<i64>;
type FloatOp = fn(f64, f64) -> arith::Arith<f64>;

/// Binary operations on ints with their meaning.
const INT_OPS: [(Op, IntOp); 10] = [
    (Op::IntAdd, arith::int_add),
    (Op::IntSub, arith::int_sub),
    (Op::IntMul, arith::int_mul),
    (Op::IntFloorDiv, arith::int_floor_div),
    (Op::IntMod, arith::int_mod),
    (Op::IntShl, arith::int_shl),
    (Op::IntShr, arith::int_shr),
    (Op::IntAnd, |a, b| Ok(a & b)),
    (Op::IntOr, |a, b| Ok(a | b)),
    (Op::IntXor, |a, b| Ok(a ^ b)),
];

/// A function of two parameters with a frame state that holds both.
fn binary(ty: Type, body: impl FnOnce(&mut Builder<'_>, [pepjit_ir::Value; 2], pepjit_ir::StateId)) -> Function {
    let mut func = Function::new("binary", FunctionKind::Entry, 2, 0);
    let (a, b) = (func.add_param(Function::ENTRY, ty, false), func.add_param(Function::ENTRY, ty, false));
    let slots = vec![Slot::Value(a, Ownership::Borrow), Slot::Value(b, Ownership::Borrow)];
    let state = func.add_state(FrameState { offset: 5, locals: slots, stack: Vec::new(), drops: Vec::new() });
    let mut builder = Builder::at(&mut func, Function::ENTRY);
    builder.guard(Op::Enter, &[], Imm::None, state);
    body(&mut builder, [a, b], state);
    func
}

/// Appends an operation, with the state if it can leave.
fn push(builder: &mut Builder<'_>, op: Op, args: &[pepjit_ir::Value], imm: Imm, state: pepjit_ir::StateId) -> pepjit_ir::Value {
    if op.info().effects.has(pepjit_ir::Effects::EXITS) {
        builder.op_state(op, args, imm, state)
    } else {
        builder.op_imm(op, args, imm)
    }
}

fn expect(expected: Result<Pair, Reason>, found: Pair, operands: [u64; 2], what: &str) {
    match expected {
        Ok(pair) => {
            assert_eq!(found, pair, "{what}");
            assert!(!has_left(), "{what} doesn't leave");
        }
        Err(reason) => {
            assert_eq!(found, LEFT, "{what} leaves");
            assert_eq!(reasons(), [reason], "{what}");
            let left = only_exit();
            assert_eq!((left.words.as_slice(), left.record.offset), (operands.as_slice(), 5), "{what} leaves before any effect");
        }
    }
}

fn int_result(value: arith::Arith<i64>) -> Result<Pair, Reason> {
    value.map(|value| Pair { payload: value as u64, tag: 0 })
}

#[test]
fn ints_of_any_value() {
    for mut process in [Process::new(), Process::new().without_optimiser()] {
        for (op, meaning) in INT_OPS {
            let func = binary(Type::C_INT, |builder, args, state| {
                let value = push(builder, op, &args, Imm::None, state);
                builder.effect(Op::ReturnInt, &[value], Imm::None);
            });
            let compiled = process.compile(&func);
            for a in INTS {
                for b in INTS {
                    let found = process.call(&compiled, &[a as u64, b as u64]);
                    expect(int_result(meaning(a, b)), found, [a as u64, b as u64], &format!("{op:?} {a} {b}"));
                }
            }
        }
    }
}

#[test]
fn ints_with_a_constant() {
    let mut process = Process::new();
    for (op, meaning) in INT_OPS {
        for b in INTS {
            let func = binary(Type::C_INT, |builder, [a, _], state| {
                let constant = builder.int(b);
                let value = push(builder, op, &[a, constant], Imm::None, state);
                builder.effect(Op::ReturnInt, &[value], Imm::None);
            });
            let compiled = process.compile(&func);
            for a in INTS {
                let found = process.call(&compiled, &[a as u64, 77]);
                expect(int_result(meaning(a, b)), found, [a as u64, 77], &format!("{op:?} {a} {b}"));
            }
        }
    }
}

#[test]
fn shifts_that_lose_bits() {
    let mut process = Process::new();
    let meaning = |a: i64, b: i64| int_result(arith::word_shl(a as u64, b as u64).map(u64::cast_signed));
    let shift = |builder: &mut Builder<'_>, args: [pepjit_ir::Value; 2], state| {
        let word = push(builder, Op::WordShl, &args, Imm::None, state);
        let value = builder.op(Op::WordToInt, &[word]);
        builder.effect(Op::ReturnInt, &[value], Imm::None);
    };
    let any = process.compile(&binary(Type::C_INT, shift));
    for b in INTS {
        let constant = process.compile(&binary(Type::C_INT, |builder, [a, _], state| {
            let b = builder.int(b);
            shift(builder, [a, b], state);
        }));
        for a in INTS {
            let found = process.call(&any, &[a as u64, b as u64]);
            expect(meaning(a, b), found, [a as u64, b as u64], &format!("{a} << {b}"));
            let found = process.call(&constant, &[a as u64, 77]);
            expect(meaning(a, b), found, [a as u64, 77], &format!("{a} << constant {b}"));
        }
    }
}

#[test]
fn unary_ints() {
    let mut process = Process::new();
    let cases: [(Op, UnaryIntOp); 2] = [(Op::IntNeg, arith::int_neg), (Op::IntInvert, |a| Ok(!a))];
    for (op, meaning) in cases {
        let func = binary(Type::C_INT, |builder, [a, _], state| {
            let value = push(builder, op, &[a], Imm::None, state);
            builder.effect(Op::ReturnInt, &[value], Imm::None);
        });
        let compiled = process.compile(&func);
        for a in INTS {
            let found = process.call(&compiled, &[a as u64, 1]);
            expect(int_result(meaning(a)), found, [a as u64, 1], &format!("{op:?} {a}"));
        }
    }
    let func = binary(Type::C_INT, |builder, [a, _], state| {
        let value = builder.op_state(Op::IntToFloat, &[a], Imm::None, state);
        builder.effect(Op::ReturnFloat, &[value], Imm::None);
    });
    let compiled = process.compile(&func);
    for a in INTS {
        let found = process.call(&compiled, &[a as u64, 1]);
        let expected = arith::int_to_float(a).map(|value| Pair { payload: value.to_bits(), tag: 2 });
        expect(expected, found, [a as u64, 1], &format!("{a} as a double"));
    }
}

#[test]
fn comparisons() {
    let mut process = Process::new();
    for (cond, name) in Cond::NAMED {
        let func = binary(Type::C_INT, |builder, args, _| {
            let truth = builder.op_imm(Op::IntCmp, &args, Imm::Cond(*cond));
            let value = builder.op(Op::BoolToInt, &[truth]);
            builder.effect(Op::ReturnInt, &[value], Imm::None);
        });
        let compiled = process.compile(&func);
        for a in INTS {
            for b in INTS {
                let expected = Pair { payload: u64::from(arith::int_cmp(*cond, a, b)), tag: 0 };
                assert_eq!(process.call(&compiled, &[a as u64, b as u64]), expected, "{a} {name} {b}");
            }
        }
        if *cond == Cond::Below {
            continue;
        }
        // By way of a branch, and negated.
        let mut func = binary(Type::C_FLOAT, |_, _, _| {});
        let (then, otherwise) = (func.add_block(), func.add_block());
        let args = func.blocks[0].params.clone();
        let mut builder = Builder::at(&mut func, Function::ENTRY);
        let truth = builder.op_imm(Op::FloatCmp, &args, Imm::Cond(*cond));
        let negated = builder.op(Op::BoolNot, &[truth]);
        let call = |block| pepjit_ir::BlockCall { block, args: Vec::new() };
        builder.branch(negated, call(otherwise), call(then));
        for (block, result) in [(then, 1), (otherwise, 0)] {
            builder.switch_to(block);
            let value = builder.int(result);
            builder.effect(Op::ReturnInt, &[value], Imm::None);
        }
        let compiled = process.compile(&func);
        for a in FLOATS {
            for b in FLOATS {
                let expected = Pair { payload: u64::from(arith::float_cmp(*cond, a, b)), tag: 0 };
                assert_eq!(process.call_floats(&compiled, a, b), expected, "{a} {name} {b}");
            }
        }
    }
}

#[test]
fn floats() {
    let mut process = Process::new();
    let cases: [(Op, FloatOp); 7] = [
        (Op::FloatAdd, |a, b| Ok(a + b)),
        (Op::FloatSub, |a, b| Ok(a - b)),
        (Op::FloatMul, |a, b| Ok(a * b)),
        (Op::FloatDiv, arith::float_div),
        (Op::FloatNeg, |a, _| Ok(-a)),
        (Op::FloatAbs, |a, _| Ok(a.abs())),
        (Op::FloatSqrt, |a, _| arith::float_sqrt(a)),
    ];
    for (op, meaning) in cases {
        let func = binary(Type::C_FLOAT, |builder, args, state| {
            let value = push(builder, op, &args[..op.info().args.len()], Imm::None, state);
            builder.effect(Op::ReturnFloat, &[value], Imm::None);
        });
        let compiled = process.compile(&func);
        for a in FLOATS {
            for b in FLOATS {
                let found = process.call_floats(&compiled, a, b);
                let what = format!("{op:?} {a} {b}");
                match meaning(a, b) {
                    Ok(value) if value.is_nan() => assert!(f64::from_bits(found.payload).is_nan(), "{what}"),
                    value => {
                        let expected = value.map(|value| Pair { payload: value.to_bits(), tag: 2 });
                        expect(expected, found, [a.to_bits(), b.to_bits()], &what);
                    }
                }
            }
        }
    }
}

#[test]
fn words_wrap() {
    let mut process = Process::new();
    let compiled = process.compile_text(
        "function \"words\" entry, locals 2, stack 0, traceable 0 {
           b0(v0: CInt, v1: CInt):
             enter ! s0
             v2 = const_word 3
             v3 = const_word -1
             v4 = word_mul v3, v2
             v5 = word_sub v4, v2
             v6 = word_add v5, v3
             v7 = word_to_int v6
             return_int v7
           s0 = @0 locals [v0, v1] stack []
         }",
    );
    assert_eq!(process.call(&compiled, &[0, 0]), Pair { payload: -7_i64 as u64, tag: 0 });
}
