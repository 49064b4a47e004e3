//! What others ask of a code object without translating it.

use crate::decode::Insn;
use crate::input::{CO_VARARGS, CodeInput, LocalKind, PyVersion};
use pepjit_ir::{Parameter, Type};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

/// What the direct entry of a function takes for each parameter.
pub fn parameters(input: &CodeInput) -> Vec<Parameter> {
    parameters_of(input, &crate::decode::decode(input))
}

/// The same of the instructions of its code.
///
/// The interpreter gives a call's arguments to the callee, whose frame gives them up when it ends, or when the callee gives another value to its
/// parameter. Who calls directly keeps them instead if that makes no difference to the order in which objects die: no count changes then.
pub(crate) fn parameters_of(input: &CodeInput, insns: &[Insn]) -> Vec<Parameter> {
    let count = input.parameter_count();
    let stored: BTreeSet<u32> = insns.iter().flat_map(Insn::stores).collect();
    // 3.13 clears a frame from its start, so that arguments go before all other locals; later versions do it from its end.
    let first_owned = match input.version {
        PyVersion::V313 if !stored.is_empty() => 0,
        PyVersion::V313 => traceback_of_exit(input).min(count),
        _ => stored.first().copied().unwrap_or(count),
    };
    let parameter = |index: u32| {
        let observed = input.observed.get(index as usize).copied().unwrap_or(Type::OBJECT);
        let ty = parameter_type(input, insns, index, observed);
        // `*args` and `**kwargs` are made for the call.
        let made = ty == Type::TUPLE || ty == Type::DICT;
        Parameter { ty, owned: ty.is_object() && (made || index >= first_owned) }
    };
    (0..count).map(parameter).collect()
}

/// Where a function that is called as `__exit__` has its traceback: 3.13 lets go of it before it calls (ceval's `WITH_EXCEPT_START`), so that only
/// the exception may be holding it, and that can lose it at any time.
fn traceback_of_exit(input: &CodeInput) -> u32 {
    if input.argcount > 3 { 3 } else { 2 }
}

/// A number that changes when the interpreter specialises an instruction (differently).
pub fn specialisations(input: &CodeInput) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    for insn in crate::decode::decode(input) {
        insn.spec.hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether the interpreter has ever executed a function: it specialises the first instruction (`RESUME`) at once, others soon.
pub fn has_run(input: &CodeInput) -> bool {
    crate::decode::decode(input).iter().any(|insn| insn.spec != insn.name)
}

/// Whether a function jumps backwards anywhere.
pub fn has_loops(input: &CodeInput) -> bool {
    crate::decode::decode(input).iter().any(|insn| insn.name.starts_with("JUMP_BACKWARD"))
}

/// Whether a generator starts at an offset, rather than going on after a yield.
pub fn is_start(input: &CodeInput, offset: u32) -> bool {
    crate::decode::decode(input).iter().any(|insn| insn.next == offset && insn.name == "RETURN_GENERATOR")
}

/// Whether a generator has one yield and goes round a loop right after it, as one made by a generator expression.
pub fn only_yields_in_a_loop(input: &CodeInput) -> bool {
    let insns = crate::decode::decode(input);
    let Some(place) = insns.iter().position(|insn| insn.name == "YIELD_VALUE") else { return false };
    let after = &insns[place + 1..];
    let dropped = matches!(after, [resume, pop, jump, ..]
        if resume.name.starts_with("RESUME") && pop.name == "POP_TOP" && jump.name.starts_with("JUMP_BACKWARD"));
    dropped && after.iter().all(|insn| insn.name != "YIELD_VALUE")
}

/// Whether every return of a function gives `None`.
pub fn returns_only_none(input: &CodeInput) -> bool {
    let insns = crate::decode::decode(input);
    let mut previous = None;
    for insn in &insns {
        let fine = match insn.name {
            "RETURN_CONST" => input.consts.get(insn.arg as usize).is_some_and(|object| object.ty == Type::NONE),
            "RETURN_VALUE" => previous.is_some_and(|previous: &Insn| match previous.name {
                "LOAD_CONST" => input.consts.get(previous.arg as usize).is_some_and(|object| object.ty == Type::NONE),
                "LOAD_COMMON_CONSTANT" => previous.arg == crate::families::COMMON_NONE,
                _ => false,
            }),
            _ => true,
        };
        if !fine || insn.name == "RETURN_GENERATOR" {
            return false;
        }
        previous = Some(insn);
    }
    true
}

/// An argument seen as an int or a float is passed unboxed if an arithmetic instruction uses it.
fn parameter_type(input: &CodeInput, insns: &[Insn], local: u32, observed: Type) -> Type {
    let named = input.argcount + input.kwonlyargcount;
    if local >= named {
        // `*args` is always a tuple, `**kwargs` a dict.
        return if local == named && input.flags & CO_VARARGS != 0 { Type::TUPLE } else { Type::DICT };
    }
    let cell = input.locals[local as usize].0 == LocalKind::Cell;
    if !cell && (observed == Type::INT || observed == Type::FLOAT) && wants_unboxed(insns, local, observed) {
        return if observed == Type::INT { Type::C_INT } else { Type::C_FLOAT };
    }
    Type::OBJECT
}

/// Whether arithmetic and comparing instructions use a local directly, more often than others do.
fn wants_unboxed(insns: &[Insn], local: u32, observed: Type) -> bool {
    let (mut wanted, mut other) = (0, 0);
    let mut stack: Vec<Option<u32>> = Vec::new();
    for insn in insns {
        match insn.name {
            "LOAD_FAST" | "LOAD_FAST_BORROW" | "LOAD_FAST_CHECK" => stack.push(Some(insn.arg)),
            "LOAD_FAST_LOAD_FAST" | "LOAD_FAST_BORROW_LOAD_FAST_BORROW" => {
                stack.push(Some(insn.arg >> 4));
                stack.push(Some(insn.arg & 15));
            }
            "LOAD_CONST" | "LOAD_SMALL_INT" => stack.push(None),
            "BINARY_OP" | "COMPARE_OP" | "BINARY_SUBSCR" => {
                let right = stack.pop().flatten();
                let left = stack.pop().flatten();
                let subscript = insn.name == "BINARY_SUBSCR" || insn.arg == 26 && insn.name == "BINARY_OP";
                if right == Some(local) && (!subscript || observed == Type::INT) || left == Some(local) && !subscript {
                    wanted += 1;
                }
                stack.push(None);
            }
            _ => {
                other += stack.iter().filter(|used| **used == Some(local)).count();
                stack.clear();
            }
        }
    }
    wanted > other
}
