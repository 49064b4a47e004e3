//! The verifier. What it accepts is what passes and back ends may rely on:
//!
//! **Form**
//! 1. Every value, instruction, block, frame state, object and callee that is named exists.
//! 2. Blocks that can't be reached from the entry are ignored; the rest holds for those that can.
//! 3. A block's last instruction, and no other, ends a block. An instruction is in one block once.
//! 4. A value is defined by the instruction or the block parameter that its definition names.
//! 5. A definition dominates each use: by operands, targets' arguments and frame states (at the instruction that names the state).
//!
//! **Instructions**
//! 6. The number and kinds of operands are those of the table; for calls those of the helper's or the callee's row. `call` goes
//!    with helpers that take their operands one by one, `call_n` with those that take an array. Objects may be null for all that the
//!    verifier knows: which ones are is a matter of paths.
//! 7. The immediate is of the table's kind; truth values are 0 or 1; offsets of instructions and scratch indices aren't negative.
//! 8. There is a result if the table says so, of a type that is not empty and within the table's, with a unit if the table says so. The
//!    type of a result that the table says may be null may exclude null: it then says what holds behind the test, which must stay.
//!
//! **Control flow**
//! 9. A jump has one target, a branch two, other instructions none. Nothing jumps to the entry block.
//! 10. A target gets one argument for each parameter, of a subtype of the parameter's type.
//! 11. Parameters of the entry block: of an entry function, objects (borrowed, or owned if they are handed over), unboxed ints or
//!     unboxed doubles, not more than locals; of a loop, one for each local and for each stack entry: owned objects, `Null` (which needs no owner), or, on the stack, words
//!     (tagged integers).
//!
//! **Frames**
//! 12. An instruction that can leave names a frame state, a jump and `set_instruction` may, no other does.
//! 13. A frame state has as many locals as the function and not more stack entries. Its slots hold objects, unboxed values, pairs or
//!     (tagged integers) words; its drops objects or unboxed values (which need nothing).
//! 14. `enter` is only the first instruction of an entry function.
//! 15. `push_frame` is only in entry functions and at most once on each path; on all paths to an instruction the frame is pushed or
//!     on none. `set_instruction` in an entry function comes after it.
//!
//! Units of reference counts are [`ownership`](crate::ownership)'s matter.

use crate::function::{Block, Function, FunctionKind, Inst, InstData, Slot, StateId, Value, ValueData, ValueDef};
use crate::op::{ArgKind, Effects, Imm, Op};
use crate::passes::cfg::Cfg;
use crate::print::{InstText, expected};
use crate::types::Type;
use thiserror::Error;

/// An invariant that doesn't hold, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{function:?}, {place}: {kind}; this is a bug of the pass that ran last: see its output with `dump(func, \"hir\")`")]
pub struct VerifyError {
    /// The function's name.
    pub function: String,
    /// The block and the instruction as text.
    pub place: String,
    /// What doesn't hold.
    pub kind: VerifyErrorKind,
}

/// What doesn't hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyErrorKind {
    /// Something named doesn't exist (1).
    #[error("{0} doesn't exist")]
    Missing(String),
    /// A block without an end, or with one in its midst (3).
    #[error("an instruction that ends the block must be its last one and no other")]
    Terminator,
    /// An instruction is in two places (3).
    #[error("the instruction is in more than one place")]
    Repeated,
    /// A value is defined elsewhere than it says (4).
    #[error("{0} is defined here, but its definition names another place")]
    Definition(Value),
    /// A use that its definition doesn't dominate (5).
    #[error("{0} is used where it isn't defined on every path")]
    Dominance(Value),
    /// The wrong number of operands (6).
    #[error("{found} operands where {expected} are wanted")]
    Operands {
        /// How many the table wants.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// An operand of the wrong kind (6).
    #[error("{value} is {found}, where {expected} is wanted")]
    Operand {
        /// The operand.
        value: Value,
        /// Its type.
        found: Type,
        /// What is wanted.
        expected: String,
    },
    /// An immediate of the wrong kind or out of range (6, 7).
    #[error("the immediate isn't what the instruction takes: {0}")]
    Immediate(&'static str),
    /// A result that isn't the table's (8).
    #[error("the result isn't what the table says: {0}")]
    Result(String),
    /// The wrong number of targets (9).
    #[error("{found} targets where {expected} are wanted")]
    Targets {
        /// How many the operation wants.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A jump to the entry (9).
    #[error("nothing may jump to the entry block")]
    EntryTarget,
    /// The wrong number of arguments (10).
    #[error("{block} has {expected} parameters and gets {found} arguments")]
    Arguments {
        /// The target.
        block: Block,
        /// How many parameters it has.
        expected: usize,
        /// How many arguments there are.
        found: usize,
    },
    /// The entry block's parameters (11).
    #[error("the entry block's parameters don't fit the function: {0}")]
    EntryParameters(String),
    /// No state, or one too many (12).
    #[error("an instruction that can leave names a frame state, and no other does")]
    State,
    /// A state of the wrong shape (13).
    #[error("{state} doesn't fit the function: {what}")]
    Shape {
        /// The state.
        state: StateId,
        /// What is wrong.
        what: String,
    },
    /// `enter` at the wrong place (14).
    #[error("`enter` may only be the first instruction of an entry function")]
    Enter,
    /// The light frame (15).
    #[error("the light frame: {0}")]
    Frame(&'static str),
}

/// Checks every invariant.
///
/// # Errors
/// The first one that doesn't hold.
pub fn verify(func: &Function) -> Result<(), VerifyError> {
    if func.blocks.is_empty() {
        return Err(error(func, "no blocks", VerifyErrorKind::Missing(Function::ENTRY.to_string())));
    }
    let mut ids = Ids { func };
    for block in func.block_ids() {
        ids.block(block)?;
    }
    let cfg = Cfg::new(func);
    let places = places(func, &cfg)?;
    let verifier = Verifier { func, cfg: &cfg, places };
    verifier.entry()?;
    for block in &cfg.rpo {
        verifier.block(*block)?;
    }
    frames(func, &cfg)
}

type Verified = Result<(), VerifyError>;

fn error(func: &Function, place: impl Into<String>, kind: VerifyErrorKind) -> VerifyError {
    VerifyError { function: func.name.clone(), place: place.into(), kind }
}

fn error_at(func: &Function, block: Block, inst: Inst, kind: VerifyErrorKind) -> VerifyError {
    error(func, format!("{block}, `{}`", InstText::new(func, inst)), kind)
}

/// Whether everything that is named exists (1), in every block, so that the graph can be read.
struct Ids<'a> {
    func: &'a Function,
}

impl Ids<'_> {
    fn block(&mut self, block: Block) -> Verified {
        let func = self.func;
        let data = &func.blocks[block.index()];
        let missing = |what: String| error(func, block.to_string(), VerifyErrorKind::Missing(what));
        if let Some(param) = data.params.iter().find(|param| param.index() >= func.values.len()) {
            return Err(missing(param.to_string()));
        }
        if let Some(inst) = data.insts.iter().find(|inst| inst.index() >= func.insts.len()) {
            return Err(missing(inst.to_string()));
        }
        for inst in &data.insts {
            if let Some(name) = self.missing(func.inst(*inst)) {
                return Err(error_at(func, block, *inst, VerifyErrorKind::Missing(name)));
            }
        }
        Ok(())
    }

    fn missing(&self, inst: &InstData) -> Option<String> {
        let func = self.func;
        let unknown = |value: &Value| (value.index() >= func.values.len()).then(|| value.to_string());
        let state = match inst.state {
            Some(state) if state.index() >= func.states.len() => return Some(state.to_string()),
            state => state.map(|state| &func.states[state.index()]),
        };
        match inst.imm {
            Imm::Obj(object) if object.index() >= func.objects.len() => return Some(object.to_string()),
            Imm::Callee(callee) if callee.index() >= func.callees.len() => return Some(callee.to_string()),
            _ => {}
        }
        if let Some(target) = inst.targets.iter().find(|target| target.block.index() >= func.blocks.len()) {
            return Some(target.block.to_string());
        }
        let mut used = inst.args.iter().chain(inst.result.as_ref()).chain(inst.targets.iter().flat_map(|target| &target.args));
        used.find_map(unknown)
            .or_else(|| {
                state?.slots().find_map(|slot| match slot {
                    Slot::Value(value, _) => unknown(value),
                    Slot::Object(object) if object.index() >= func.objects.len() => Some(object.to_string()),
                    _ => None,
                })
            })
            .or_else(|| state?.drops.iter().find_map(unknown))
    }
}

/// Where each value is defined: the block, and the position of the instruction (parameters: before the first).
type Places = Vec<Option<(Block, usize)>>;

fn places(func: &Function, cfg: &Cfg) -> Result<Places, VerifyError> {
    let mut places: Places = vec![None; func.values.len()];
    let mut placed = vec![false; func.insts.len()];
    for block in &cfg.rpo {
        let data = &func.blocks[block.index()];
        for (position, param) in data.params.iter().enumerate() {
            if func.values[param.index()].def != ValueDef::Param(*block, position as u32) {
                return Err(error(func, block.to_string(), VerifyErrorKind::Definition(*param)));
            }
            places[param.index()] = Some((*block, 0));
        }
        for (position, inst) in data.insts.iter().enumerate() {
            if std::mem::replace(&mut placed[inst.index()], true) {
                return Err(error_at(func, *block, *inst, VerifyErrorKind::Repeated));
            }
            if let Some(result) = func.inst(*inst).result {
                if func.values[result.index()].def != ValueDef::Inst(*inst) {
                    return Err(error_at(func, *block, *inst, VerifyErrorKind::Definition(result)));
                }
                places[result.index()] = Some((*block, position + 1));
            }
        }
    }
    Ok(places)
}

struct Verifier<'a> {
    func: &'a Function,
    cfg: &'a Cfg,
    places: Places,
}

impl Verifier<'_> {
    fn entry(&self) -> Verified {
        let func = self.func;
        let params = &func.blocks[0].params;
        let fail = |what: String| Err(error(func, Function::ENTRY.to_string(), VerifyErrorKind::EntryParameters(what)));
        let data = |param: &Value| &func.values[param.index()];
        match func.kind {
            FunctionKind::Entry => {
                if params.len() > func.locals as usize {
                    return fail(format!("{} parameters of {} locals", params.len(), func.locals));
                }
                let fits = |ty: Type| !ty.is_empty() && (ty.is_object() || ty == Type::C_INT || ty == Type::C_FLOAT);
                match params.iter().find(|param| !fits(data(param).ty) || data(param).owned && !data(param).ty.is_object()) {
                    Some(param) => fail(format!("{param} must be an object, a CInt or a CFloat")),
                    None => Ok(()),
                }
            }
            FunctionKind::Loop { .. } | FunctionKind::Resume { .. } => {
                let (least, most) = (func.locals as usize, (func.locals + func.stack) as usize);
                if params.len() < least || params.len() > most {
                    return fail(format!(
                        "{} parameters for {least} locals and at most {} stack entries",
                        params.len(),
                        func.stack
                    ));
                }
                let fits = |position: usize, data: &ValueData| {
                    let object = data.ty.is_object() && !data.ty.is_empty() && (data.owned || data.ty == Type::NULL);
                    object || (data.ty == Type::C_WORD && position >= least)
                };
                match params.iter().enumerate().find(|(position, param)| !fits(*position, data(param))).map(|(_, param)| param) {
                    Some(param) => fail(format!("{param} must be an owned object")),
                    None => Ok(()),
                }
            }
        }
    }

    fn block(&self, block: Block) -> Verified {
        let func = self.func;
        let insts = &func.blocks[block.index()].insts;
        if insts.is_empty() {
            return Err(error(func, block.to_string(), VerifyErrorKind::Terminator));
        }
        for (position, inst) in insts.iter().enumerate() {
            let at = At { verifier: self, block, position, inst: func.inst(*inst) };
            at.check(position + 1 == insts.len()).map_err(|kind| error_at(func, block, *inst, kind))?;
        }
        Ok(())
    }
}

/// An instruction at its place.
struct At<'a> {
    verifier: &'a Verifier<'a>,
    block: Block,
    position: usize,
    inst: &'a InstData,
}

type Checked = Result<(), VerifyErrorKind>;

impl At<'_> {
    fn func(&self) -> &Function {
        self.verifier.func
    }

    fn check(&self, last: bool) -> Checked {
        let info = self.inst.op.info();
        if info.effects.has(Effects::TERMINATES) != last {
            return Err(VerifyErrorKind::Terminator);
        }
        if self.inst.op == Op::Enter
            && (self.block != Function::ENTRY || self.position != 0 || self.func().kind != FunctionKind::Entry)
        {
            return Err(VerifyErrorKind::Enter);
        }
        self.immediate()?;
        self.operands()?;
        self.result()?;
        self.targets()?;
        self.state()
    }

    /// A value is defined before this instruction on every path (5).
    fn dominated(&self, value: Value) -> Checked {
        let defined = self.verifier.places[value.index()].is_some_and(|(block, position)| {
            if block == self.block { position <= self.position } else { self.verifier.cfg.dominates(block, self.block) }
        });
        if defined { Ok(()) } else { Err(VerifyErrorKind::Dominance(value)) }
    }

    fn immediate(&self) -> Checked {
        let InstData { op, imm, .. } = *self.inst;
        if imm.kind() != op.info().imm {
            return Err(VerifyErrorKind::Immediate("it's of another kind"));
        }
        match (op, imm) {
            (Op::ConstBool, Imm::Int(value)) if !(0..=1).contains(&value) => {
                Err(VerifyErrorKind::Immediate("a truth value is 0 or 1"))
            }
            (Op::SetInstruction | Op::LoadScratch, Imm::Int(value)) if value < 0 => {
                Err(VerifyErrorKind::Immediate("it's negative"))
            }
            (Op::Call, Imm::Helper(helper)) if helper.info().array => {
                Err(VerifyErrorKind::Immediate("this helper goes with call_n"))
            }
            (Op::CallN, Imm::Helper(helper)) if !helper.info().array => {
                Err(VerifyErrorKind::Immediate("this helper goes with call"))
            }
            _ => Ok(()),
        }
    }

    fn operands(&self) -> Checked {
        let InstData { op, imm, ref args, .. } = *self.inst;
        for arg in args {
            self.dominated(*arg)?;
        }
        let count = |expected: usize| match args.len() {
            found if found == expected => Ok(()),
            found => Err(VerifyErrorKind::Operands { expected, found }),
        };
        let info = op.info();
        if info.rest != Some(ArgKind::ByImm) {
            if info.rest.is_none() || args.len() < info.args.len() {
                count(info.args.len())?;
            }
            let kinds = info.args.iter().copied().chain(std::iter::repeat(info.rest.unwrap_or(ArgKind::ByImm)));
            return args.iter().zip(kinds).try_for_each(|(arg, kind)| self.operand(*arg, kind));
        }
        match imm {
            Imm::Helper(helper) if op == Op::CallN => {
                let kind = helper.info().args[0];
                args.iter().try_for_each(|arg| self.operand(*arg, kind))
            }
            Imm::Helper(helper) => {
                count(helper.info().args.len())?;
                args.iter().zip(helper.info().args).try_for_each(|(arg, kind)| self.operand(*arg, *kind))
            }
            Imm::Callee(callee) => {
                let params = &self.func().callees[callee.index()].params;
                count(params.len())?;
                args.iter().zip(params).try_for_each(|(arg, param)| {
                    let found = self.func().ty(*arg);
                    let fits = if param.ty.is_object() { found.is_object() } else { found == param.ty };
                    if fits {
                        Ok(())
                    } else {
                        Err(VerifyErrorKind::Operand { value: *arg, found, expected: param.ty.to_string() })
                    }
                })
            }
            _ => Ok(()),
        }
    }

    fn operand(&self, value: Value, kind: ArgKind) -> Checked {
        let found = self.func().ty(value);
        let (fits, expected) = match kind {
            ArgKind::Obj | ArgKind::Nullable | ArgKind::Own | ArgKind::OwnNullable => (found.is_object(), "an object"),
            ArgKind::Int => (found == Type::C_INT, "CInt"),
            ArgKind::Float => (found == Type::C_FLOAT, "CFloat"),
            ArgKind::Bool => (found == Type::C_BOOL, "CBool"),
            ArgKind::Word => (found == Type::C_WORD || found == Type::C_INT, "CWord or CInt"),
            ArgKind::Pair => (found == Type::PAIR, "Pair"),
            ArgKind::ByImm => (true, "anything"),
        };
        if fits { Ok(()) } else { Err(VerifyErrorKind::Operand { value, found, expected: expected.into() }) }
    }

    fn result(&self) -> Checked {
        let fail = |what: String| Err(VerifyErrorKind::Result(what));
        match (expected(self.func(), self.inst), self.inst.result) {
            (None, None) => Ok(()),
            (None, Some(_)) => fail("there is none".into()),
            (Some((ty, _)), None) => fail(format!("it's missing, and is {ty}")),
            (Some((ty, owned)), Some(result)) => {
                let data = self.func().values[result.index()];
                if data.ty.is_empty() || !data.ty.is_subtype(ty) {
                    return fail(format!("{result} is {} and must be within {ty}", data.ty));
                }
                if data.owned == owned {
                    Ok(())
                } else {
                    fail(format!("{result} starts with {} unit", if owned { "a" } else { "no" }))
                }
            }
        }
    }

    fn targets(&self) -> Checked {
        let expected = match self.inst.op {
            Op::Jump => 1,
            Op::Branch => 2,
            _ => 0,
        };
        let found = self.inst.targets.len();
        if found != expected {
            return Err(VerifyErrorKind::Targets { expected, found });
        }
        for target in &self.inst.targets {
            let block = target.block;
            if block == Function::ENTRY {
                return Err(VerifyErrorKind::EntryTarget);
            }
            let params = &self.func().blocks[block.index()].params;
            if params.len() != target.args.len() {
                return Err(VerifyErrorKind::Arguments { block, expected: params.len(), found: target.args.len() });
            }
            for (arg, param) in target.args.iter().zip(params) {
                self.dominated(*arg)?;
                let (found, wanted) = (self.func().ty(*arg), self.func().ty(*param));
                if !found.is_subtype(wanted) {
                    return Err(VerifyErrorKind::Operand {
                        value: *arg,
                        found,
                        expected: format!("{wanted} ({param} of {block})"),
                    });
                }
            }
        }
        Ok(())
    }

    fn state(&self) -> Checked {
        let exits = self.inst.op.info().effects.has(Effects::EXITS);
        let Some(id) = self.inst.state else { return if exits { Err(VerifyErrorKind::State) } else { Ok(()) } };
        if !exits && !matches!(self.inst.op, Op::Jump | Op::SetInstruction) {
            return Err(VerifyErrorKind::State);
        }
        let func = self.func();
        let state = &func.states[id.index()];
        let shape = |what: String| Err(VerifyErrorKind::Shape { state: id, what });
        if state.locals.len() != func.locals as usize {
            return shape(format!("{} locals instead of {}", state.locals.len(), func.locals));
        }
        if state.stack.len() > func.stack as usize {
            return shape(format!("{} stack entries of at most {}", state.stack.len(), func.stack));
        }
        for slot in state.slots() {
            if let Slot::Value(value, _) = slot {
                self.dominated(*value)?;
                let ty = func.ty(*value);
                if !(ty.is_object() || ty.is_unboxed() || ty == Type::PAIR || ty == Type::C_WORD) {
                    return shape(format!("{value} is {ty}, which no frame can hold"));
                }
            }
        }
        for value in &state.drops {
            self.dominated(*value)?;
            let ty = func.ty(*value);
            if !(ty.is_object() || ty.is_unboxed()) {
                return shape(format!("{value} is {ty}, which an exit can't give up"));
            }
        }
        Ok(())
    }
}

/// Whether the light frame is pushed once, and known to be (15).
fn frames(func: &Function, cfg: &Cfg) -> Verified {
    let mut pushed_at: Vec<Option<bool>> = vec![None; func.blocks.len()];
    pushed_at[0] = Some(false);
    for block in &cfg.rpo {
        let mut pushed = pushed_at[block.index()].unwrap_or(false);
        for inst in &func.blocks[block.index()].insts {
            let fail = |what| Err(error_at(func, *block, *inst, VerifyErrorKind::Frame(what)));
            match func.inst(*inst).op {
                Op::PushFrame if func.kind != FunctionKind::Entry => return fail("a loop has the interpreter's"),
                Op::PushFrame if pushed => return fail("it's pushed twice"),
                Op::PushFrame => pushed = true,
                Op::SetInstruction if func.kind == FunctionKind::Entry && !pushed => return fail("it isn't pushed yet"),
                _ => {}
            }
        }
        for successor in func.successors(*block) {
            if *pushed_at[successor.index()].get_or_insert(pushed) != pushed {
                return Err(error(
                    func,
                    successor.to_string(),
                    VerifyErrorKind::Frame("it's pushed on some paths to the block only"),
                ));
            }
        }
    }
    Ok(())
}
