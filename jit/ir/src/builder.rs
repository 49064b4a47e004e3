//! Appends instructions to a function, giving each result its type and ownership from the instruction table.

use crate::function::{Block, BlockCall, CalleeId, Function, Inst, InstData, ObjId, StateId, Value, ValueData, ValueDef};
use crate::helper::Helper;
use crate::op::{Imm, Op, ResultKind};
use crate::types::Type;

/// A cursor at the end of a block.
#[derive(Debug)]
pub struct Builder<'a> {
    /// The function being built.
    pub func: &'a mut Function,
    block: Block,
}

/// The type and ownership of what an instruction produces, or none.
pub fn result_type(func: &Function, op: Op, imm: Imm) -> Option<(Type, bool)> {
    let kind = match (op.info().result, imm) {
        (ResultKind::ByImm, Imm::Helper(helper)) => helper.info().result,
        (ResultKind::ByImm, Imm::Field(field)) => {
            let owned = false;
            return Some((field.ty(), owned));
        }
        (kind, _) => kind,
    };
    Some(match (op, kind) {
        (_, ResultKind::None) => return None,
        (Op::ConstObj, _) => match imm {
            Imm::Obj(object) => (func.objects[object.index()].ty, false),
            _ => (Type::OBJECT, false),
        },
        (Op::ConstNull, _) => (Type::NULL, false),
        (Op::CurrentFunction, _) => (Type::FUNCTION, false),
        (Op::BoxBool, _) => (Type::BOOL, false),
        (Op::BoxInt, _) => (Type::INT, true),
        (Op::BoxFloat, _) => (Type::FLOAT, true),
        (Op::Call | Op::CallN, _) if helper_result(imm).is_some() => (helper_result(imm)?, true),
        (_, ResultKind::New) => (Type::OBJECT, true),
        (_, ResultKind::NewOrNull) => (Type::NULLABLE, true),
        (_, ResultKind::Ref) => (Type::OBJECT, false),
        (_, ResultKind::RefOrNull) => (Type::NULLABLE, false),
        (_, ResultKind::Int) => (Type::C_INT, false),
        (_, ResultKind::Float) => (Type::C_FLOAT, false),
        (_, ResultKind::Bool) => (Type::C_BOOL, false),
        (_, ResultKind::Word) => (Type::C_WORD, false),
        (_, ResultKind::Pair) => (Type::PAIR, true),
        (_, ResultKind::ByImm) => return None,
    })
}

/// The class of what some helpers return (or null).
fn helper_result(imm: Imm) -> Option<Type> {
    let Imm::Helper(helper) = imm else { return None };
    let class = match helper {
        Helper::BuildList => Type::LIST,
        Helper::BuildTuple | Helper::ListToTuple => Type::TUPLE,
        Helper::BuildMap => Type::DICT,
        Helper::BuildSet => Type::SET,
        Helper::BuildString | Helper::StrConcat | Helper::StrAppend | Helper::StrIndex | Helper::ConvertValue => Type::STR,
        Helper::MakeFunction => Type::FUNCTION,
        Helper::MakeCell => Type::CELL,
        Helper::RangeIter => Type::RANGE_ITER,
        _ => return None,
    };
    Some(class.union(Type::NULL))
}

impl<'a> Builder<'a> {
    /// A builder at the end of a block.
    pub fn at(func: &'a mut Function, block: Block) -> Builder<'a> {
        Builder { func, block }
    }

    /// The current block.
    pub const fn block(&self) -> Block {
        self.block
    }

    /// Goes on at the end of another block.
    pub const fn switch_to(&mut self, block: Block) {
        self.block = block;
    }

    /// Whether the current block is complete.
    pub fn is_terminated(&self) -> bool {
        self.func.terminator(self.block).is_some_and(|inst| inst.op.info().effects.has(crate::op::Effects::TERMINATES))
    }

    /// Appends an instruction.
    pub fn push(&mut self, op: Op, args: &[Value], imm: Imm, state: Option<StateId>, targets: Vec<BlockCall>) -> Inst {
        let inst = make_inst(self.func, op, args.to_vec(), imm, state, targets);
        self.func.blocks[self.block.index()].insts.push(inst);
        inst
    }

    /// Appends an instruction with a result and no frame state.
    pub fn op(&mut self, op: Op, args: &[Value]) -> Value {
        self.op_imm(op, args, Imm::None)
    }

    /// Appends an instruction with an immediate and a result.
    pub fn op_imm(&mut self, op: Op, args: &[Value], imm: Imm) -> Value {
        let inst = self.push(op, args, imm, None, Vec::new());
        self.result(inst)
    }

    /// Appends an instruction with a result that can leave.
    pub fn op_state(&mut self, op: Op, args: &[Value], imm: Imm, state: StateId) -> Value {
        let inst = self.push(op, args, imm, Some(state), Vec::new());
        self.result(inst)
    }

    /// Appends an instruction without a result.
    pub fn effect(&mut self, op: Op, args: &[Value], imm: Imm) {
        self.push(op, args, imm, None, Vec::new());
    }

    /// Appends an instruction without a result that can leave.
    pub fn guard(&mut self, op: Op, args: &[Value], imm: Imm, state: StateId) {
        self.push(op, args, imm, Some(state), Vec::new());
    }

    /// An unboxed integer constant.
    pub fn int(&mut self, value: i64) -> Value {
        self.op_imm(Op::ConstInt, &[], Imm::Int(value))
    }

    /// A machine word.
    pub fn word(&mut self, value: i64) -> Value {
        self.op_imm(Op::ConstWord, &[], Imm::Int(value))
    }

    /// An object known when compiling.
    pub fn object(&mut self, object: ObjId) -> Value {
        self.op_imm(Op::ConstObj, &[], Imm::Obj(object))
    }

    /// The null pointer.
    pub fn null(&mut self) -> Value {
        self.op(Op::ConstNull, &[])
    }

    /// Calls a helper.
    pub fn call(&mut self, helper: Helper, args: &[Value]) -> Value {
        let op = if helper.info().array { Op::CallN } else { Op::Call };
        self.op_imm(op, args, Imm::Helper(helper))
    }

    /// Calls a compiled function.
    pub fn call_direct(&mut self, callee: CalleeId, args: &[Value]) -> Value {
        self.op_imm(Op::CallDirect, args, Imm::Callee(callee))
    }

    /// Ends the block with a jump. `state`, if given, is the interpreter's frame at the target's start.
    pub fn jump(&mut self, block: Block, args: Vec<Value>, state: Option<StateId>) {
        self.push(Op::Jump, &[], Imm::None, state, vec![BlockCall { block, args }]);
    }

    /// Ends the block with a branch.
    pub fn branch(&mut self, condition: Value, then: BlockCall, otherwise: BlockCall) {
        self.push(Op::Branch, &[condition], Imm::None, None, vec![then, otherwise]);
    }

    fn result(&self, inst: Inst) -> Value {
        self.func.inst(inst).result.expect("the instruction table says that there is a result")
    }
}

/// Makes an instruction that is in no block yet.
pub fn make_inst(
    func: &mut Function,
    op: Op,
    args: Vec<Value>,
    imm: Imm,
    state: Option<StateId>,
    targets: Vec<BlockCall>,
) -> Inst {
    let inst = Inst(func.insts.len() as u32);
    let result = result_type(func, op, imm).map(|(ty, owned)| func.add_value(ValueData { ty, owned, def: ValueDef::Inst(inst) }));
    func.insts.push(InstData { op, args, imm, state, result, targets });
    inst
}
