//! From the IR's blocks and instructions to CLIF's: the driver. What each operation becomes is in the sibling modules.

use crate::emit::{Emit, End, Region, machine_type};
use crate::error::internal;
use crate::exits::Exits;
use crate::views::Views;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I64};
use cranelift_codegen::ir::{self, BlockArg, InstBuilder};
use cranelift_frontend::Variable;
use pepjit_backend::{BackendError, Linkage};
use pepjit_ir::field::Width;
use pepjit_ir::op::Reason;
use pepjit_ir::{Block, BlockCall, Effects, Field, Function, FunctionKind, Helper, Imm, InstData, Op, StateId, Type, Value};

/// What became of an IR value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lowered {
    /// One register.
    One(ir::Value),
    /// A direct call's payload and tag.
    Pair(ir::Value, ir::Value),
}

/// Where the light frame's address is. A variable costs a parameter of each block that ways lead to, until it's seen that all bring the same.
enum LightFrame {
    Value(Option<ir::Value>),
    Variable(Variable),
}

/// The state of lowering one function.
pub(crate) struct Lower<'a, 'f> {
    pub(crate) e: Emit<'f>,
    pub(crate) func: &'a Function,
    pub(crate) linkage: &'a mut dyn Linkage,
    /// The thread state.
    pub(crate) tstate: ir::Value,
    /// Loops: the interpreter's frame.
    pub(crate) frame: Option<ir::Value>,
    /// Shared code: the function that runs.
    pub(crate) function: Option<ir::Value>,
    /// The light frame, where one has been pushed: at one place, or at several whose ways meet.
    light_frame: LightFrame,
    /// Whether a light frame has been pushed at the current point.
    pub(crate) pushed: bool,
    /// Whether `Enter` has been passed at the current point.
    pub(crate) entered: bool,
    /// The exits asked for so far.
    pub(crate) exits: Exits,
    /// Where `call_n` puts its operands.
    pub(crate) array: Option<ir::StackSlot>,
    /// What others see of the frame's locals.
    pub(crate) views: Views,
    values: Vec<Option<Lowered>>,
    blocks: Vec<ir::Block>,
    /// Whether a light frame has been pushed when a block starts, once that is known.
    pushed_at: Vec<Option<bool>>,
}

/// Fills the body of a function whose signature is set: the direct entry of a function, or the entry of a loop.
pub(crate) fn lower(mut e: Emit<'_>, func: &Function, linkage: &mut dyn Linkage) -> Result<(), BackendError> {
    let params = e.start();
    let order = reverse_postorder(func);
    let pushes =
        order.iter().flat_map(|block| &func.blocks[block.index()].insts).filter(|inst| func.inst(**inst).op == Op::PushFrame);
    let light_frame = if pushes.count() > 1 { LightFrame::Variable(e.fb.declare_var(I64)) } else { LightFrame::Value(None) };
    let blocks = func.blocks.iter().map(|_| e.fb.create_block()).collect();
    let mut lower = Lower {
        e,
        func,
        linkage,
        tstate: params[0],
        frame: None,
        function: None,
        light_frame,
        pushed: false,
        entered: false,
        exits: Exits::default(),
        array: None,
        views: Views::default(),
        values: vec![None; func.values.len()],
        blocks,
        pushed_at: vec![None; func.blocks.len()],
    };
    lower.declare_blocks(&order)?;
    lower.plan_views(&order);
    lower.prologue(&params)?;
    lower.pushed_at[Function::ENTRY.index()] = Some(false);
    for block in order {
        lower.block(block)?;
    }
    lower.emit_exits()?;
    lower.e.finish();
    Ok(())
}

/// The reachable blocks, each after its dominators.
fn reverse_postorder(func: &Function) -> Vec<Block> {
    let mut seen = vec![false; func.blocks.len()];
    let mut order = Vec::with_capacity(func.blocks.len());
    let mut pending = vec![(Function::ENTRY, false)];
    while let Some((block, done)) = pending.pop() {
        if done {
            order.push(block);
        } else if !std::mem::replace(&mut seen[block.index()], true) {
            pending.push((block, true));
            let mut next: Vec<Block> = func.successors(block).filter(|next| !seen[next.index()]).collect();
            next.reverse();
            pending.extend(next.into_iter().map(|next| (next, false)));
        }
    }
    order.reverse();
    order
}

impl Lower<'_, '_> {
    fn declare_blocks(&mut self, order: &[Block]) -> Result<(), BackendError> {
        for block in order {
            let (data, clif) = (&self.func.blocks[block.index()], self.blocks[block.index()]);
            if data.cold {
                self.e.fb.set_cold_block(clif);
            }
            for param in &data.params {
                let ty = self.func.ty(*param);
                let lowered = if ty == Type::PAIR {
                    Lowered::Pair(self.e.fb.append_block_param(clif, I64), self.e.fb.append_block_param(clif, I64))
                } else {
                    Lowered::One(self.e.fb.append_block_param(clif, machine_type(ty)?))
                };
                self.values[param.index()] = Some(lowered);
            }
        }
        Ok(())
    }

    /// Hands the native entry's parameters to the entry block.
    fn prologue(&mut self, params: &[ir::Value]) -> Result<(), BackendError> {
        let entry = &self.func.blocks[Function::ENTRY.index()].params;
        let args: Vec<BlockArg> = match self.func.kind {
            FunctionKind::Entry => {
                if params.len() != entry.len() + 1 {
                    return Err(internal("the native signature does not match the entry block"));
                }
                params[1..].iter().map(|param| (*param).into()).collect()
            }
            FunctionKind::Loop { .. } => {
                self.frame = Some(params[1]);
                let mut args = Vec::with_capacity(entry.len());
                for (position, param) in entry.iter().enumerate() {
                    if !self.func.ty(*param).is_object() {
                        return Err(internal(format!("the loop's parameter {param} is not an object")));
                    }
                    args.push(self.e.load(I64, Region::Heap, params[2], 8 * position as i64).into());
                }
                args
            }
            FunctionKind::Resume { .. } => {
                self.frame = Some(params[1]);
                self.take_frame(params[2])?
            }
        };
        if let Some(frame) = self.frame {
            self.start_views(frame);
        }
        self.e.fb.ins().jump(self.blocks[Function::ENTRY.index()], &args);
        Ok(())
    }

    fn block(&mut self, block: Block) -> Result<(), BackendError> {
        self.e.fb.switch_to_block(self.blocks[block.index()]);
        self.pushed = self.pushed_at[block.index()]
            .ok_or_else(|| internal(format!("{block} is reached before it is known whether it has a light frame")))?;
        self.views.enter(block);
        let func = self.func;
        for inst in &func.blocks[block.index()].insts {
            let inst = func.inst(*inst);
            self.stress(inst)?;
            self.instruction(block, inst)?;
        }
        match func.terminator(block) {
            Some(last) if last.op.info().effects.has(Effects::TERMINATES) => Ok(()),
            _ => Err(internal(format!("{block} does not end"))),
        }
    }

    /// The stress mode: counts down at each guard, and leaves at 0.
    fn stress(&mut self, inst: &InstData) -> Result<(), BackendError> {
        let address = self.e.addresses.stress;
        if address == 0 || !inst.op.is_stressed() || inst.state.is_none() {
            return Ok(());
        }
        let left = self.e.load_word(address);
        self.leave_unless(inst, left, Reason::Stress)?;
        let left = self.e.fb.ins().iadd_imm_s(left, -1);
        let base = self.e.address(address);
        self.e.store(Region::Heap, left, base, 0);
        Ok(())
    }

    fn instruction(&mut self, block: Block, inst: &InstData) -> Result<(), BackendError> {
        let value = match inst.op {
            Op::ConstInt | Op::ConstWord => self.e.int(int_imm(inst)?),
            Op::ConstFloat => match inst.imm {
                Imm::Float(value) => self.e.fb.ins().f64const(value),
                _ => return Err(wrong_imm(inst)),
            },
            Op::ConstBool => self.e.fb.ins().iconst(I8, i64::from(int_imm(inst)? != 0)),
            Op::ConstObj => {
                let address = self.object_address(inst)?;
                self.e.address(address)
            }
            Op::ConstNull => self.e.int(0),
            Op::CurrentFunction => self.current_function(),

            Op::IntAdd | Op::IntSub | Op::IntMul | Op::IntNeg => self.int_overflowing(inst)?,
            Op::IntFloorDiv => self.int_floor_div(inst)?,
            Op::IntMod => self.int_mod(inst)?,
            Op::IntShl => self.int_shl(inst)?,
            Op::IntShr => self.int_shr(inst)?,
            Op::WordShl => self.word_shl(inst)?,
            Op::IntAnd | Op::IntOr | Op::IntXor | Op::WordAdd | Op::WordSub | Op::WordMul => self.int_plain(inst)?,
            Op::IntInvert => {
                let a = self.arg(inst, 0)?;
                self.e.fb.ins().bnot(a)
            }
            Op::IntCmp => self.int_cmp(inst)?,
            Op::IntToFloat => self.int_to_float(inst)?,
            Op::WordToInt => self.arg(inst, 0)?,

            Op::FloatAdd | Op::FloatSub | Op::FloatMul | Op::FloatDiv => self.float_binary(inst)?,
            Op::FloatNeg | Op::FloatAbs | Op::FloatSqrt => self.float_unary(inst)?,
            Op::FloatCmp => self.float_cmp(inst)?,

            Op::BoolNot | Op::IsNull => {
                let a = self.arg(inst, 0)?;
                self.e.compare(IntCC::Equal, a, 0)
            }
            Op::BoolToInt => {
                let a = self.arg(inst, 0)?;
                self.e.word_of(a)
            }
            Op::BoxBool => self.box_bool(inst)?,
            Op::IsSame => {
                let (a, b) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
                self.e.fb.ins().icmp(IntCC::Equal, a, b)
            }
            Op::IsClass => {
                let (object, class) = (self.arg(inst, 0)?, self.object_address(inst)?);
                self.e.is_class(object, class)
            }

            Op::BoxInt => {
                let a = self.arg(inst, 0)?;
                self.e.box_int(a)
            }
            Op::BoxFloat => {
                let a = self.arg(inst, 0)?;
                self.e.box_float(a)
            }
            Op::UnboxInt => self.unbox_int(inst)?,
            Op::UnboxFloat => self.unbox_float(inst)?,
            Op::UnboxNumber => self.unbox_number(inst)?,
            Op::UnboxBool => self.unbox_bool(inst)?,

            Op::GuardClass | Op::GuardIs | Op::GuardBound | Op::Guard | Op::GuardNot | Op::GuardValid => return self.guard(inst),

            Op::Load | Op::LoadField => self.load_field(inst)?,
            Op::StoreField => return self.store_field(inst),
            Op::LoadElement => self.load_element(inst)?,
            Op::StoreElement | Op::StoreFloatElement => return self.store_element(inst),
            Op::LoadAt | Op::LoadU64 => {
                let base = self.arg(inst, 0)?;
                self.e.load(I64, Region::Heap, base, int_imm(inst)?)
            }
            Op::StoreAt => {
                let (base, value) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
                self.e.store(Region::Heap, value, base, int_imm(inst)?);
                return Ok(());
            }
            Op::LoadItem => {
                let address = self.item_address(inst)?;
                self.e.load(I64, Region::Heap, address, 0)
            }
            Op::StoreItem => {
                let (address, value) = (self.item_address(inst)?, self.arg(inst, 2)?);
                self.e.store(Region::Heap, value, address, 0);
                return Ok(());
            }
            Op::SwapField => {
                let offset = self.e.offset(field_imm(inst)?);
                self.swap(inst, offset)?
            }
            Op::SwapAt => self.swap(inst, int_imm(inst)?)?,
            Op::SwapItem => {
                let (address, value) = (self.item_address(inst)?, self.arg(inst, 2)?);
                let old = self.e.load(I64, Region::Heap, address, 0);
                self.e.store(Region::Heap, value, address, 0);
                old
            }
            Op::AddressOf => {
                let base = self.arg(inst, 0)?;
                self.e.fb.ins().iadd_imm_s(base, int_imm(inst)?)
            }
            Op::AddressOfField => {
                let (base, offset) = (self.arg(inst, 0)?, self.e.offset(field_imm(inst)?));
                self.e.fb.ins().iadd_imm_s(base, offset)
            }
            Op::LoadByte => {
                let base = self.arg(inst, 0)?;
                self.e.load_width(Width::U8, Region::Heap, base, 0)
            }
            Op::LoadU32 => {
                let base = self.arg(inst, 0)?;
                self.e.load_width(Width::U32, Region::Heap, base, int_imm(inst)?)
            }
            Op::StoreFloatInPlace => {
                let (slot, value) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
                self.e.store_float_in_place(slot, value, End::Any { tstate: self.tstate });
                return Ok(());
            }
            Op::StoreIntInPlace => {
                let (slot, value) = (self.arg(inst, 0)?, self.arg(inst, 1)?);
                self.e.store_int_in_place(slot, value, End::Any { tstate: self.tstate });
                return Ok(());
            }
            Op::LoadScratch => {
                let base = self.e.address(self.e.addresses.scratch);
                self.e.load(I64, Region::Heap, base, 8 * int_imm(inst)?)
            }

            Op::IncRef | Op::DecRef => return self.count(inst),

            Op::Call => return self.call_helper(inst),
            Op::CallN => return self.call_array_helper(inst),
            Op::CallDirect => return self.call_direct(inst),
            Op::PairFromInt | Op::PairFromFloat | Op::PairFromObject => return self.pair_from(inst),
            Op::PairDrop => return self.pair_drop(inst),
            Op::PairFailed => self.pair_failed(inst)?,
            Op::PairToObject => self.pair_to_object(inst)?,
            Op::PairToInt | Op::PairToFloat => self.pair_to_unboxed(inst)?,

            Op::Enter => return self.enter(block, inst),
            Op::PushFrame => return self.push_frame(inst),
            Op::SetInstruction => {
                self.set_instruction(int_imm(inst)?)?;
                return self.show_locals(inst);
            }
            Op::Watch => return self.watch(inst),
            Op::GuardUnseen => return self.guard_unseen(inst),
            Op::Wanted => self.wanted(),
            Op::Poll => return self.poll(inst),
            Op::Catch => self.catch(inst)?,

            Op::Jump | Op::Branch => return self.transfer(inst),
            Op::Return | Op::ReturnInt | Op::ReturnFloat => return self.return_value(inst),
            Op::Exit if reason_imm(inst)? == Reason::Yield => return self.yield_value(inst),
            Op::Exit => return self.exit_always(inst, reason_imm(inst)?, false),
            Op::Throw => return self.exit_always(inst, Reason::Exception, true),
        };
        self.define(inst, Lowered::One(value))
    }

    fn transfer(&mut self, inst: &InstData) -> Result<(), BackendError> {
        self.views.leave_for(inst);
        match (inst.op, inst.targets.as_slice()) {
            (Op::Jump, [target]) => {
                let (block, args) = self.target(target)?;
                self.e.fb.ins().jump(block, &args);
            }
            (Op::Branch, [then, otherwise]) => {
                let condition = self.arg(inst, 0)?;
                let (then, then_args) = self.target(then)?;
                let (otherwise, otherwise_args) = self.target(otherwise)?;
                self.e.fb.ins().brif(condition, then, &then_args, otherwise, &otherwise_args);
            }
            _ => return Err(internal(format!("{} has {} successors", inst.op.info().name, inst.targets.len()))),
        }
        Ok(())
    }

    fn target(&mut self, target: &BlockCall) -> Result<(ir::Block, Vec<BlockArg>), BackendError> {
        let known = self.pushed_at[target.block.index()].get_or_insert(self.pushed);
        if *known != self.pushed {
            return Err(internal(format!("{} is reached both with and without a light frame", target.block)));
        }
        let mut args = Vec::with_capacity(target.args.len());
        for arg in &target.args {
            match self.lowered(*arg)? {
                Lowered::One(value) => args.push(value.into()),
                Lowered::Pair(payload, tag) => args.extend([BlockArg::from(payload), BlockArg::from(tag)]),
            }
        }
        Ok((self.blocks[target.block.index()], args))
    }

    /// Notes what became of an instruction's result.
    pub(crate) fn define(&mut self, inst: &InstData, lowered: Lowered) -> Result<(), BackendError> {
        let result = inst.result.ok_or_else(|| internal(format!("{} has no result", inst.op.info().name)))?;
        self.values[result.index()] = Some(lowered);
        Ok(())
    }

    /// The light frame, which must have been pushed.
    pub(crate) fn light_frame(&mut self) -> Result<ir::Value, BackendError> {
        match self.light_frame {
            LightFrame::Value(frame) => frame.ok_or_else(|| internal("no light frame has been pushed")),
            LightFrame::Variable(variable) => Ok(self.e.fb.use_var(variable)),
        }
    }

    /// Notes the light frame that has just been pushed.
    pub(crate) fn set_light_frame(&mut self, frame: ir::Value) {
        match &mut self.light_frame {
            LightFrame::Value(known) => *known = Some(frame),
            LightFrame::Variable(variable) => self.e.fb.def_var(*variable, frame),
        }
    }

    /// What became of a value.
    pub(crate) fn lowered(&self, value: Value) -> Result<Lowered, BackendError> {
        self.values[value.index()].ok_or_else(|| internal(format!("{value} is used before it is defined")))
    }

    /// The register of a value.
    pub(crate) fn value(&self, value: Value) -> Result<ir::Value, BackendError> {
        match self.lowered(value)? {
            Lowered::One(one) => Ok(one),
            Lowered::Pair(..) => Err(internal(format!("the pair {value} is used as a single value"))),
        }
    }

    /// The register of an operand.
    pub(crate) fn arg(&self, inst: &InstData, position: usize) -> Result<ir::Value, BackendError> {
        self.value(operand(inst, position)?)
    }

    /// The registers of an operand that is a pair.
    pub(crate) fn pair(&self, inst: &InstData) -> Result<(ir::Value, ir::Value), BackendError> {
        match self.lowered(operand(inst, 0)?)? {
            Lowered::Pair(payload, tag) => Ok((payload, tag)),
            Lowered::One(_) => Err(internal(format!("{} needs a pair", inst.op.info().name))),
        }
    }

    /// What is known of an operand.
    pub(crate) fn arg_type(&self, inst: &InstData, position: usize) -> Result<Type, BackendError> {
        operand(inst, position).map(|value| self.func.ty(value))
    }

    /// The operand's value if it's a constant.
    pub(crate) fn constant(&self, inst: &InstData, position: usize) -> Option<i64> {
        let def = self.func.def(*inst.args.get(position)?)?;
        match (def.op, def.imm) {
            (Op::ConstInt | Op::ConstWord, Imm::Int(value)) => Some(value),
            _ => None,
        }
    }

    /// The address of the object in the immediate.
    pub(crate) fn object_address(&self, inst: &InstData) -> Result<u64, BackendError> {
        match inst.imm {
            Imm::Obj(object) => Ok(self.func.objects[object.index()].address),
            _ => Err(wrong_imm(inst)),
        }
    }
}

fn operand(inst: &InstData, position: usize) -> Result<Value, BackendError> {
    inst.args.get(position).copied().ok_or_else(|| internal(format!("{} lacks an operand", inst.op.info().name)))
}

pub(crate) fn wrong_imm(inst: &InstData) -> BackendError {
    internal(format!("{} has a wrong immediate", inst.op.info().name))
}

pub(crate) fn int_imm(inst: &InstData) -> Result<i64, BackendError> {
    if let Imm::Int(value) = inst.imm { Ok(value) } else { Err(wrong_imm(inst)) }
}

pub(crate) fn field_imm(inst: &InstData) -> Result<Field, BackendError> {
    if let Imm::Field(field) = inst.imm { Ok(field) } else { Err(wrong_imm(inst)) }
}

pub(crate) fn helper_imm(inst: &InstData) -> Result<Helper, BackendError> {
    if let Imm::Helper(helper) = inst.imm { Ok(helper) } else { Err(wrong_imm(inst)) }
}

pub(crate) fn reason_imm(inst: &InstData) -> Result<Reason, BackendError> {
    if let Imm::Reason(reason) = inst.imm { Ok(reason) } else { Err(wrong_imm(inst)) }
}

/// The frame state of an instruction that can leave.
pub(crate) fn state_of(inst: &InstData) -> Result<StateId, BackendError> {
    inst.state.ok_or_else(|| internal(format!("{} can leave but has no frame state", inst.op.info().name)))
}
