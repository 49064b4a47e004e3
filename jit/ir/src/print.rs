//! The textual form of a function, which [`parse`](crate::parse()) reads back.
//!
//! ```text
//! function "add_one" entry, locals 1, stack 2, traceable 0 {
//!   o0 = "1": Int int 1, immortal
//!   f0 = "callee" (CInt, Object)
//!   b0(v0: Object borrowed):
//!     v1 = unbox_int v0 ! s0
//!     v2 = const_int 1
//!     v3 = int_add v1, v2 ! s0
//!     v4 = int_cmp lt, v3, v2
//!     branch v4 -> b1(v3), b2()
//!   b1(v5: CInt) cold:
//!     v6 = box_int v5
//!     exit uncompiled ! s1
//!   b2():
//!     return_int v3
//!   s0 = @2 locals [v0] stack [v0, o0]
//!   s1 = @6 locals [_] stack [v3] drops [v6]
//! }
//! ```
//!
//! A frame state is `s0 = @offset locals [slots] stack [slots] drops [values]`; a slot is `_` (null), a value of which the exit makes a
//! reference (`v0`) or takes the unit (`steal v0`), or an object (`o0`). A result's type is printed (`v3: Int owned = ...`) only where it isn't what the instruction table says. What no block uses (dead
//! instructions, values, states) isn't printed. Addresses are left out, so that dumps are the same in every process, unless asked for
//! with [`Text::addresses`]; `;` starts a comment that ends with the line.

use crate::builder::result_type;
use crate::function::{Block, BlockCall, Function, FunctionKind, Inst, InstData, ObjRef, Ownership, Slot, StateId, Value};
use crate::op::Imm;
use crate::types::{Constant, Type};
use std::collections::BTreeSet;
use std::fmt;

/// A function to be printed, with options.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    func: &'a Function,
    addresses: bool,
}

impl<'a> Text<'a> {
    /// Prints with labels only.
    pub const fn new(func: &'a Function) -> Text<'a> {
        Text { func, addresses: false }
    }

    /// Prints the addresses of objects and of callees' entry cells, too.
    #[must_use]
    pub const fn addresses(self) -> Text<'a> {
        Text { addresses: true, ..self }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Text::new(self), f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let func = self.func;
        write!(f, "function {:?} ", func.name)?;
        match func.kind {
            FunctionKind::Entry => f.write_str("entry")?,
            FunctionKind::Loop { header } => write!(f, "loop {header}")?,
            FunctionKind::Resume { offset } => write!(f, "resume {offset}")?,
        }
        writeln!(f, ", locals {}, stack {}, traceable {} {{", func.locals, func.stack, func.first_traceable)?;
        for (index, object) in func.objects.iter().enumerate() {
            write!(f, "  o{index} = {:?}", object.label)?;
            self.address(f, object.address)?;
            writeln!(f, ": {}{}", object.ty, ObjectText(object))?;
        }
        for (index, callee) in func.callees.iter().enumerate() {
            write!(f, "  f{index} = {:?}", callee.label)?;
            self.address(f, callee.entry_cell)?;
            if callee.function_cell != 0 {
                f.write_str(" shared")?;
                self.address(f, callee.function_cell)?;
            }
            writeln!(f, " ({})", list(&callee.params))?;
        }
        let mut states = BTreeSet::new();
        for block in func.block_ids() {
            self.block(f, block, &mut states)?;
        }
        for id in states {
            self.state(f, id)?;
        }
        writeln!(f, "}}")
    }
}

impl Text<'_> {
    fn address(&self, f: &mut fmt::Formatter<'_>, address: u64) -> fmt::Result {
        if self.addresses { write!(f, " @ {address:#x}") } else { Ok(()) }
    }

    fn block(&self, f: &mut fmt::Formatter<'_>, block: Block, states: &mut BTreeSet<StateId>) -> fmt::Result {
        let data = &self.func.blocks[block.index()];
        write!(f, "  {block}(")?;
        for (index, param) in data.params.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{param}: {}", typed(self.func, *param))?;
        }
        writeln!(f, "){}:", if data.cold { " cold" } else { "" })?;
        for inst in &data.insts {
            states.extend(self.func.inst(*inst).state);
            writeln!(f, "    {}", InstText::new(self.func, *inst))?;
        }
        Ok(())
    }

    fn state(&self, f: &mut fmt::Formatter<'_>, id: StateId) -> fmt::Result {
        let Some(state) = self.func.states.get(id.index()) else {
            return writeln!(f, "  ; {id} isn't in the function's table");
        };
        write!(f, "  {id} = @{} locals [{}]", state.offset, list(&state.locals))?;
        write!(f, " stack [{}]", list(&state.stack))?;
        if !state.drops.is_empty() {
            write!(f, " drops [{}]", list(&state.drops))?;
        }
        writeln!(f)
    }
}

/// What follows an object's class: its value, and whether it's immortal.
struct ObjectText<'a>(&'a ObjRef);

impl fmt::Display for ObjectText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.constant {
            Constant::None => f.write_str(" none")?,
            Constant::Bool(value) => write!(f, " bool {value}")?,
            Constant::Int(value) => write!(f, " int {value}")?,
            Constant::Float(value) => write!(f, " float {}", FloatText(value))?,
            Constant::Opaque => {}
        }
        f.write_str(if self.0.immortal { ", immortal" } else { "" })
    }
}

/// A double that reads back to the same bits.
pub(crate) struct FloatText(pub(crate) f64);

impl fmt::Display for FloatText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() { write!(f, "nan {:#x}", self.0.to_bits()) } else { write!(f, "{:?}", self.0) }
    }
}

/// An instruction as one line.
#[derive(Clone, Copy, Debug)]
pub struct InstText<'a> {
    func: &'a Function,
    inst: &'a InstData,
}

impl<'a> InstText<'a> {
    /// Prints this instruction.
    pub fn new(func: &'a Function, inst: Inst) -> InstText<'a> {
        InstText { func, inst: func.inst(inst) }
    }
}

impl fmt::Display for InstText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InstText { func, inst } = *self;
        if let Some(result) = inst.result {
            let known = func.values.get(result.index()).map(|data| (data.ty, data.owned));
            if known == expected(func, inst) {
                write!(f, "{result} = ")?;
            } else {
                write!(f, "{result}: {} = ", typed(func, result))?;
            }
        }
        f.write_str(inst.op.info().name)?;
        let mut separator = " ";
        match inst.imm {
            Imm::None => {}
            imm => {
                write!(f, " {}", ImmText(imm))?;
                separator = ", ";
            }
        }
        for arg in &inst.args {
            write!(f, "{separator}{arg}")?;
            separator = ", ";
        }
        if !inst.targets.is_empty() {
            write!(f, " -> {}", list(&inst.targets))?;
        }
        match inst.state {
            Some(state) => write!(f, " ! {state}"),
            None => Ok(()),
        }
    }
}

/// The type that the table gives to an instruction's result, or none if it names what isn't in the function.
pub(crate) fn expected(func: &Function, inst: &InstData) -> Option<(Type, bool)> {
    match inst.imm {
        Imm::Obj(object) if object.index() >= func.objects.len() => None,
        imm => result_type(func, inst.op, imm),
    }
}

struct ImmText(Imm);

impl fmt::Display for ImmText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Imm::None => Ok(()),
            Imm::Int(value) => write!(f, "{value}"),
            Imm::Float(value) => write!(f, "{}", FloatText(value)),
            Imm::Obj(object) => write!(f, "{object}"),
            Imm::Field(field) => f.write_str(field.name()),
            Imm::Cond(cond) => write!(f, "{cond}"),
            Imm::Helper(helper) => f.write_str(helper.info().name),
            Imm::Callee(callee) => write!(f, "{callee}"),
            Imm::Reason(reason) => f.write_str(reason.name()),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Empty => f.write_str("_"),
            Slot::Value(value, Ownership::Steal) => write!(f, "steal {value}"),
            Slot::Value(value, Ownership::Borrow) => write!(f, "{value}"),
            Slot::Object(object) => write!(f, "{object}"),
        }
    }
}

impl fmt::Display for BlockCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.block, list(&self.args))
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// A value's type and, for what has units, whether it starts with one.
fn typed(func: &Function, value: Value) -> String {
    match func.values.get(value.index()) {
        None => "Empty".into(),
        Some(data) if data.owned => format!("{} owned", data.ty),
        Some(data) if data.ty.is_object() || data.ty == Type::PAIR => format!("{} borrowed", data.ty),
        Some(data) => data.ty.to_string(),
    }
}
