//! Objects as the front end sees them.

use crate::ffi::{self, Object};
use pepjit_frontend::input::Handler;
use pepjit_frontend::{CodeInput, Entry, LocalKind, PyVersion};
use pepjit_ir::{Constant, ObjRef, Type};
use std::collections::{BTreeSet, HashMap};

/// The type that one bit names.
pub(crate) fn type_of_bit(bit: u32) -> Type {
    Type::NAMED.iter().map(|(ty, _)| *ty).find(|ty| ty.bits() == bit).unwrap_or(Type::OTHER)
}

/// The C side's number for ints that fit 64 bits.
const INT_CONSTANT: u32 = 2;

/// Describes a live object.
pub(crate) fn describe(object: Object) -> ObjRef {
    let mut description = ffi::Description::default();
    let mut buffer = [0i8; 80];
    // SAFETY: `object` is live (the caller holds it), the buffers are of the stated sizes.
    let length = unsafe {
        ffi::pepjit_describe(object, &raw mut description);
        ffi::pepjit_label(object, buffer.as_mut_ptr().cast(), buffer.len() as i64)
    };
    let bytes: Vec<u8> = buffer[..usize::try_from(length).unwrap_or(0)].iter().map(|byte| byte.cast_unsigned()).collect();
    let constant = match description.constant {
        0 => Constant::None,
        1 => Constant::Bool(description.int_value != 0),
        INT_CONSTANT => Constant::Int(description.int_value),
        3 => Constant::Float(description.float_value),
        _ => Constant::Opaque,
    };
    ObjRef {
        address: object as u64,
        ty: type_of_bit(description.ty),
        constant,
        immortal: description.immortal != 0,
        label: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// The text of a str, if it has one in UTF-8.
pub(crate) fn text(object: Object) -> Option<String> {
    with_text(object, |text| text.map(str::to_string))
}

/// The same without a copy. The action must not let go of the str.
pub(crate) fn with_text<T>(object: Object, action: impl FnOnce(Option<&str>) -> T) -> T {
    let mut length = 0;
    // SAFETY: `object` is a live str; the result is valid as long as it lives.
    let bytes = unsafe {
        let bytes = ffi::pepjit_utf8(object, &raw mut length);
        if bytes.is_null() {
            None
        } else {
            Some(std::slice::from_raw_parts(bytes.cast::<u8>(), usize::try_from(length).unwrap_or(0)))
        }
    };
    action(bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()))
}

/// The items of a tuple, borrowed.
pub(crate) fn tuple(object: Object) -> Vec<Object> {
    if object.is_null() {
        return Vec::new();
    }
    // SAFETY: `object` is a live tuple.
    unsafe { (0..ffi::pepjit_tuple_size(object)).map(|index| ffi::pepjit_tuple_item(object, index)).collect() }
}

/// The exact class of an object, as a type.
pub(crate) fn class_type(object: Object) -> Type {
    if object.is_null() {
        return Type::NULL;
    }
    // SAFETY: `object` is live.
    type_of_bit(unsafe { ffi::pepjit_object_type(object) })
}

/// What is noted of an object that a variable holds: its class, and of an int whether it fits 64 bits.
pub(crate) fn observed_type(object: Object) -> Type {
    let ty = class_type(object);
    if ty != Type::INT {
        return ty;
    }
    let mut description = ffi::Description::default();
    // SAFETY: `object` is a live int.
    unsafe { ffi::pepjit_describe(object, &raw mut description) };
    if description.constant == INT_CONSTANT { Type::INT } else { Type::WIDE_INT }
}

/// What the C side tells of a function.
pub(crate) fn function_info(function: Object) -> ffi::FunctionInfo {
    let mut info = std::mem::MaybeUninit::<ffi::FunctionInfo>::zeroed();
    // SAFETY: `function` is a live function object; all-zero is a valid value of the structure.
    unsafe {
        ffi::pepjit_function_info(function, info.as_mut_ptr());
        info.assume_init()
    }
}

/// The interpreter's version.
pub(crate) fn version() -> Option<PyVersion> {
    // SAFETY: no preconditions.
    match unsafe { ffi::pepjit_minor_version() } {
        13 => Some(PyVersion::V313),
        14 => Some(PyVersion::V314),
        15 => Some(PyVersion::V315),
        _ => None,
    }
}

/// A code object as plain data, and what else the runtime wants of it.
pub(crate) struct CodeFacts {
    pub(crate) input: CodeInput,
    pub(crate) has_executors: bool,
    /// Whether the function has ever run (its first instructions have been specialised).
    pub(crate) has_run: bool,
}

/// Reads a function's code object.
pub(crate) fn code_facts(function: Object, entry: Entry, observed: Vec<Type>, failed_sites: Vec<u32>) -> Option<CodeFacts> {
    let info = function_info(function);
    let mut code = std::mem::MaybeUninit::<ffi::CodeInfo>::zeroed();
    // SAFETY: the function's code object is live; on success every array has the stated length, and is copied before its release.
    unsafe {
        if ffi::pepjit_code_info(info.code, code.as_mut_ptr()) != 0 {
            return None;
        }
        let mut code = code.assume_init();
        let units = code.nunits as usize;
        let kinds = std::slice::from_raw_parts(code.local_kinds, code.nlocalsplus as usize).to_vec();
        let names = tuple(code.localsplusnames);
        let locals = kinds
            .into_iter()
            .zip(names)
            .map(|(kind, name)| {
                let kind = match kind {
                    1 => LocalKind::Cell,
                    2 => LocalKind::Free,
                    _ => LocalKind::Local,
                };
                (kind, text(name).unwrap_or_default())
            })
            .collect();
        let handlers =
            if code.nhandlers == 0 { &[][..] } else { std::slice::from_raw_parts(code.handlers, code.nhandlers as usize) };
        let handlers = handlers
            .iter()
            .map(|row| Handler { start: row.start, end: row.end, target: row.target, depth: row.depth, lasti: row.lasti != 0 })
            .collect();
        let base = std::slice::from_raw_parts(code.base, units).to_vec();
        let adaptive = std::slice::from_raw_parts(code.adaptive, units).to_vec();
        let input = CodeInput {
            version: version()?,
            name: text(code.qualname).unwrap_or_default(),
            function: describe(function),
            entry,
            code: base,
            adaptive,
            consts: tuple(code.consts).into_iter().map(describe).collect(),
            names: tuple(code.names)
                .into_iter()
                .map(|name| ObjRef { label: text(name).unwrap_or_default(), ..describe(name) })
                .collect(),
            locals,
            shared: false,
            closure: tuple(info.closure).into_iter().map(describe).collect(),
            argcount: code.argcount,
            posonlyargcount: code.posonlyargcount,
            kwonlyargcount: code.kwonlyargcount,
            flags: code.flags,
            stacksize: code.stacksize,
            first_traceable: code.first_traceable,
            handlers,
            hot_handlers: BTreeSet::new(),
            site_functions: HashMap::new(),
            observed,
            failed_sites,
            classes: Vec::new(),
            containers: Vec::new(),
            site_classes: HashMap::new(),
        };
        let has_executors = code.has_executors != 0;
        let has_run = pepjit_frontend::has_run(&input);
        ffi::pepjit_code_release(&raw mut code);
        Some(CodeFacts { input, has_executors, has_run })
    }
}

/// How many code units a code object has.
pub(crate) fn code_units(code: Object) -> u64 {
    // SAFETY: a live code object.
    unsafe { ffi::pepjit_code_units(code) }.unsigned_abs()
}

/// The name of a local; null if there is no such local.
pub(crate) fn code_name(code: Object, local: usize) -> Object {
    // SAFETY: a live code object; the name lives as long.
    unsafe { ffi::pepjit_code_local_name(code, local as i64) }
}

/// How many locals, cells and free variables a function's frame has.
pub(crate) fn local_count(function: Object) -> usize {
    // SAFETY: a live function's code object.
    unsafe { ffi::pepjit_code_local_count(function_info(function).code) as usize }
}

/// `CO_NESTED`: a function made inside another one.
const CO_NESTED: u32 = 0x10;

/// Whether a function is made inside another one, so that there may be many of its code.
pub(crate) fn is_nested(function: Object) -> bool {
    // SAFETY: a live function's code object.
    unsafe { ffi::pepjit_code_flags(function_info(function).code) & CO_NESTED != 0 }
}

/// `CO_GENERATOR`
const CO_GENERATOR: u32 = 0x20;

/// Whether a code object is that of generators (not of coroutines).
pub(crate) fn is_generator(code: Object) -> bool {
    // SAFETY: a live code object.
    unsafe { ffi::pepjit_code_flags(code) & CO_GENERATOR != 0 }
}
