//! The entries around a function's direct entry: from CPython's vectorcall, and back to the interpreter.

use crate::emit::{Emit, End, Region, Unboxed, machine_type, signature};
use crate::error::unsupported;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, FuncRef, Inst, InstBuilder, Signature, Value};
use cranelift_codegen::isa::CallConv;
use pepjit_backend::{BackendError, owned_bits};
use pepjit_ir::field::Width;
use pepjit_ir::{Function, FunctionKind, Parameter, Type};

/// All bits of `nargsf` but `PY_VECTORCALL_ARGUMENTS_OFFSET`.
const COUNT_MASK: i64 = i64::MAX;

/// The signature of the direct entry of a function, or of a loop's entry.
pub(crate) fn direct_signature(func: &Function, conv: CallConv) -> Result<Signature, BackendError> {
    let mut params = vec![I64];
    match func.kind {
        FunctionKind::Entry => {
            for Parameter { ty, .. } in func.parameters() {
                if matches!(ty, Type::C_BOOL | Type::C_WORD | Type::PAIR) {
                    return Err(unsupported(format!("an entry parameter of type {ty}")));
                }
                params.push(machine_type(ty)?);
            }
        }
        FunctionKind::Loop { .. } | FunctionKind::Resume { .. } => params.extend([I64; 3]),
    }
    Ok(signature(conv, &params, &[I64, I64]))
}

/// The signature of the vectorcall entry.
pub(crate) fn vectorcall_signature(conv: CallConv) -> Signature {
    signature(conv, &[I64; 4], &[I64])
}

/// Fills the vectorcall entry of a function that returns unboxed what is said here.
pub(crate) fn vectorcall(mut e: Emit<'_>, params: &[Parameter], returns: Unboxed, direct: FuncRef) -> Result<(), BackendError> {
    let entry = e.start();
    let [_, args, count, names] = entry[..] else { unreachable!("the signature has four parameters") };
    let fallback = e.cold_block();

    let count = e.fb.ins().band_imm_s(count, COUNT_MASK);
    let matches = e.compare(IntCC::Equal, count, params.len() as i64);
    let valid = e.address(e.addresses.valid);
    let valid = e.load_width(Width::U8, Region::Heap, valid, 0);
    e.branch_unless(valid, fallback);
    if e.addresses.evaluator != 0 {
        let evaluator = e.load_word(e.addresses.evaluator);
        e.branch_if(evaluator, fallback);
    }
    let other = if e.addresses.positional { e.cold_block() } else { e.fb.create_block() };
    if e.addresses.positional {
        e.branch_unless(matches, other);
        e.branch_if(names, other);
        let object = call_with(&mut e, &entry, Source::Caller(args), params, returns, direct, fallback)?;
        e.fb.ins().return_(&[object]);
    } else {
        e.fb.ins().jump(other, &[]);
    }

    // Defaults, keywords, `*args`: bound to the parameters first.
    e.fb.switch_to_block(other);
    let slot = e.stack_slot(params.len().max(1) as u32);
    let bound = e.stack_address(slot);
    let arguments = [entry[0], entry[1], entry[2], entry[3], bound];
    let call = e.call(e.addresses.bind, &arguments, &[I64]);
    let fits = e.result(call);
    e.branch_unless(fits, fallback);
    let unfit = e.cold_block();
    // Where every call comes this way the result is worth as much as elsewhere.
    let often = if e.addresses.positional { Unboxed { int: false, float: false } } else { returns };
    let object = call_with(&mut e, &entry, Source::Bound(bound), params, often, direct, unfit)?;
    unbind(&mut e, bound, params);
    e.fb.ins().return_(&[object]);
    e.fb.switch_to_block(unfit);
    unbind(&mut e, bound, params);
    e.fb.ins().jump(fallback, &[]);

    e.fb.switch_to_block(fallback);
    let result = call_interpreter(&mut e, |e| e.call(e.addresses.fallback, &entry, &[I64]));
    let result = e.result(result);
    e.fb.ins().return_(&[result]);
    e.finish();
    Ok(())
}

/// Gives up what was bound.
fn unbind(e: &mut Emit<'_>, bound: Value, params: &[Parameter]) {
    let total = e.int(params.len() as i64);
    call_interpreter(e, |e| e.call(e.addresses.unbind, &[bound, total], &[]));
}

/// An array of objects to be passed.
#[derive(Clone, Copy)]
enum Source {
    /// Who calls keeps its references.
    Caller(Value),
    /// References of our own, null where there's none any more.
    Bound(Value),
}

/// Calls the direct entry with an array of objects, which are converted to what it takes, and gives the result as an object. Goes to
/// `fallback` if one isn't of its parameter's class.
fn call_with(
    e: &mut Emit<'_>,
    call: &[Value],
    source: Source,
    params: &[Parameter],
    returns: Unboxed,
    direct: FuncRef,
    fallback: Block,
) -> Result<Value, BackendError> {
    let mut native = Vec::with_capacity(params.len() + 1);
    let (Source::Caller(args) | Source::Bound(args)) = source;
    for (position, parameter) in params.iter().enumerate() {
        let object = e.load(I64, Region::Heap, args, 8 * position as i64);
        native.push(argument(e, object, parameter.ty, fallback)?);
    }
    for (position, object) in native.clone().into_iter().enumerate().filter(|(position, _)| params[*position].owned) {
        match source {
            Source::Caller(_) => e.inc_ref(object),
            Source::Bound(bound) => {
                let nothing = e.int(0);
                e.store(Region::Native, nothing, bound, 8 * position as i64);
            }
        }
    }
    // What is bound has a reference of each; of the others the callee's own count.
    let settled = match source {
        Source::Caller(_) => owned_bits(params),
        Source::Bound(_) => u64::MAX,
    };
    if settled != 0 {
        let settled = e.int(settled.cast_signed());
        e.call(e.addresses.settle, &[call[0], call[1], call[2], call[3], settled], &[]);
    }
    if e.addresses.function_cell != 0 {
        let cell = e.address(e.addresses.function_cell);
        e.store(Region::Heap, call[0], cell, 0);
    }
    if e.addresses.entries != 0 {
        let counter = e.address(e.addresses.entries);
        let entries = e.load(I64, Region::Native, counter, 0);
        let entries = e.fb.ins().iadd_imm_s(entries, 1);
        e.store(Region::Native, entries, counter, 0);
    }
    let tstate = e.call(e.addresses.current_tstate, &[], &[I64]);
    native.insert(0, e.result(tstate));
    let call = e.fb.ins().call(direct, &native);
    let (payload, tag) = e.results(call);
    Ok(e.box_result(payload, tag, returns))
}

/// The native argument for an object, which must be of the parameter's class.
fn argument(e: &mut Emit<'_>, object: Value, ty: Type, fallback: Block) -> Result<Value, BackendError> {
    let fits = match ty {
        Type::C_INT | Type::INT => e.is_class(object, e.layout.int_type),
        Type::C_FLOAT | Type::FLOAT => e.is_class(object, e.layout.float_type),
        Type::NONE => e.is_address(object, e.layout.none),
        Type::BOOL => {
            let yes = e.is_address(object, e.layout.true_object);
            let no = e.is_address(object, e.layout.false_object);
            e.fb.ins().bor(yes, no)
        }
        // An argument is never null.
        // Made by who binds the arguments.
        Type::TUPLE | Type::DICT => return Ok(object),
        any if Type::OBJECT.is_subtype(any) => return Ok(object),
        other => return Err(unsupported(format!("an entry parameter of type {other}"))),
    };
    e.branch_unless(fits, fallback);
    match ty {
        Type::C_INT => {
            let (compact, tag) = e.is_compact(object);
            e.branch_unless(compact, fallback);
            Ok(e.compact_value(object, tag))
        }
        Type::C_FLOAT => Ok(e.float_value(object)),
        _ => Ok(object),
    }
}

/// Calls the original vectorcall. The code that waits for it has no frame that tells of it.
fn call_interpreter(e: &mut Emit<'_>, call: impl FnOnce(&mut Emit<'_>) -> Inst) -> Inst {
    let count = |e: &mut Emit<'_>, by: i64| {
        if e.addresses.active != 0 {
            let counter = e.address(e.addresses.active);
            let active = e.load(I64, Region::Heap, counter, 0);
            let active = e.fb.ins().iadd_imm_s(active, by);
            e.store(Region::Heap, active, counter, 0);
        }
    };
    count(e, 1);
    let call = call(e);
    count(e, -1);
    call
}

/// Fills the fallback entry: boxes the arguments and calls the function in the interpreter.
pub(crate) fn fallback(mut e: Emit<'_>, params: &[Parameter]) {
    let entry = e.start();
    let slot = e.stack_slot(params.len().max(1) as u32);
    let base = e.stack_address(slot);
    // What the direct entry would have given up.
    let mut boxes = Vec::new();
    for (position, (arg, parameter)) in entry[1..].iter().zip(params).enumerate() {
        let object = match parameter.ty {
            Type::C_INT => e.box_int(*arg),
            Type::C_FLOAT => e.box_float(*arg),
            _ => *arg,
        };
        match parameter.ty {
            Type::C_INT => boxes.push((object, End::Int)),
            Type::C_FLOAT => boxes.push((object, End::Float)),
            _ if parameter.owned => boxes.push((object, End::Any { tstate: entry[0] })),
            _ => {}
        }
        e.store(Region::Native, object, base, 8 * position as i64);
    }
    let function = match e.addresses.function_cell {
        0 => e.address(e.addresses.function),
        cell => e.load_word(cell),
    };
    let (count, no_names) = (e.int(params.len() as i64), e.int(0));
    let result = call_interpreter(&mut e, |e| {
        if e.addresses.positional {
            e.call(e.addresses.fallback, &[function, base, count, no_names], &[I64])
        } else {
            e.call(e.addresses.call_bound, &[function, base], &[I64])
        }
    });
    let result = e.result(result);
    for (object, end) in boxes {
        e.dec_ref(object, end);
    }
    let tag = e.int(1);
    e.fb.ins().return_(&[result, tag]);
    e.finish();
}
