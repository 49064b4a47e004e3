//! What every instruction's translation needs: values, the frame's stack and locals, guards, calls of helpers, exceptions, forks.

use super::{Saved, Several, Step, Translator, unsupported};
use crate::decode::Insn;
use crate::state::{Entry, Frame, Owner};
use pepjit_ir::op::{Effects, Reason};
use pepjit_ir::{Block, BlockCall, Builder, Cond, Helper, Imm, ObjId, ObjRef, Op, StateId, Type, Value};

impl Translator<'_> {
    // ---- building blocks ----

    pub(crate) fn build(&mut self) -> Builder<'_> {
        Builder::at(&mut self.func, self.block)
    }

    /// The state before the current instruction: an exit there repeats it.
    pub(crate) fn before(&mut self) -> StateId {
        if let Some(state) = self.before {
            return state;
        }
        let state = self.frame_before.state(self.insn.offset);
        let state = self.func.add_state(state);
        self.before = Some(state);
        state
    }

    /// What one of several ways on from an instruction may change, for the others.
    pub(crate) fn save(&self) -> Saved {
        Saved {
            frame: self.frame.clone(),
            frame_before: self.frame_before.clone(),
            before: self.before,
            reached_end: self.reached_end,
        }
    }

    /// Undoes what has changed since.
    pub(crate) fn restore(&mut self, saved: Saved) {
        self.frame = saved.frame;
        self.frame_before = saved.frame_before;
        self.before = saved.before;
        self.reached_end = saved.reached_end;
    }

    /// Whether speculation failed at this instruction before.
    pub(crate) fn failed(&self) -> bool {
        self.input.failed_sites.contains(&self.insn.offset)
    }

    /// Speculation on a value's class failed at this instruction: remembers that, with the classes that came by.
    ///
    /// Were each site to find out for itself, all code that uses one value would be compiled once per site: a guard hides those after it.
    pub(crate) fn note_several(&mut self, entry: Entry, cached: Option<u32>) {
        let Entry::Value(value, _) = entry else { return };
        let region = self.region;
        let several = self.several.entry(value).or_insert(Several { classes: Vec::new(), region, everywhere: false });
        several.everywhere |= several.region != region;
        several.classes.extend(cached);
        several.classes.extend(self.input.site_classes.get(&self.insn.offset).into_iter().flatten());
    }

    /// Whether not to speculate on the class of a value: it failed here, or where the value was used before.
    pub(crate) fn mixed(&self, entry: Entry) -> bool {
        let Entry::Value(value, _) = entry else { return self.failed() };
        let noted = |several: &Several| several.everywhere || several.region == self.region;
        self.failed() || self.several.get(&value).is_some_and(noted) && !self.func.ty(value).is_class()
    }

    /// The same of the topmost stack entry, for instructions that are compiled for one of CPython's own classes.
    pub(crate) fn top_is_mixed(&mut self) -> bool {
        let Ok(top) = self.peek(0) else { return true };
        if self.failed() && self.input.site_classes.contains_key(&self.insn.offset) {
            self.note_several(top, None);
        }
        self.mixed(top)
    }

    pub(crate) fn op(&mut self, op: Op, args: &[Value]) -> Value {
        self.build().op(op, args)
    }

    pub(crate) fn op_imm(&mut self, op: Op, args: &[Value], imm: Imm) -> Value {
        self.build().op_imm(op, args, imm)
    }

    /// An instruction that leaves before the current instruction if it fails.
    pub(crate) fn checked(&mut self, op: Op, args: &[Value]) -> Value {
        let state = self.before();
        self.build().op_state(op, args, Imm::None, state)
    }

    pub(crate) fn guard(&mut self, op: Op, args: &[Value], imm: Imm) {
        let state = self.before();
        self.build().guard(op, args, imm, state);
    }

    pub(crate) fn guard_valid(&mut self) {
        self.guard(Op::GuardValid, &[], Imm::None);
    }

    pub(crate) fn object(&mut self, object: ObjRef) -> ObjId {
        self.func.add_object(object)
    }

    /// The value of an entry (constants are materialised).
    pub(crate) fn value(&mut self, entry: Entry) -> Value {
        match entry {
            Entry::Null => self.build().null(),
            Entry::Const(object) => self.build().object(object),
            Entry::Value(value, _) => value,
        }
    }

    /// What is known of an entry's class.
    pub(crate) fn ty(&self, entry: Entry) -> Type {
        match entry {
            Entry::Null => Type::NULL,
            Entry::Const(object) => self.func.objects[object.index()].ty,
            Entry::Value(value, _) => self.func.ty(value),
        }
    }

    /// Whether an entry can be null.
    pub(crate) fn may_be_null(&self, entry: Entry) -> bool {
        match entry {
            Entry::Value(value, _) => self.func.ty(value).may_be_null() && !self.bound.contains(&value),
            _ => entry == Entry::Null,
        }
    }

    /// The class that an entry is likely to have.
    pub(crate) fn likely(&self, entry: Entry) -> Type {
        match entry {
            Entry::Value(value, _) => self.hints.get(&value).copied().unwrap_or_else(|| self.ty(entry)),
            _ => self.ty(entry),
        }
    }

    /// The object, if the entry is known when compiling.
    pub(crate) fn constant(&self, entry: Entry) -> Option<ObjRef> {
        match entry {
            Entry::Const(object) => Some(self.func.objects[object.index()].clone()),
            _ => None,
        }
    }

    /// Guards that an object is exactly of one of the classes that types name.
    pub(crate) fn guard_type(&mut self, entry: Entry, ty: Type) -> Step<Value> {
        let value = self.value(entry);
        if self.ty(entry).is_subtype(ty) {
            return Ok(value);
        }
        let class = self.well_known(ty)?;
        self.guard(Op::GuardClass, &[value], Imm::Obj(class));
        Ok(value)
    }

    /// The class that a type names.
    pub(crate) fn well_known(&mut self, ty: Type) -> Step<ObjId> {
        if let Some(known) = self.well_known.get(&ty) {
            return known.map_or_else(|| unsupported("class"), Ok);
        }
        let object = self.world.well_known(ty).map(|class| self.func.add_object(class));
        self.well_known.insert(ty, object);
        object.map_or_else(|| unsupported("class"), Ok)
    }

    // ---- the stack ----

    pub(crate) fn push(&mut self, entry: Entry) {
        self.frame.stack.push(entry);
    }

    pub(crate) fn push_owned(&mut self, value: Value) {
        self.push(Entry::Value(value, Owner::Slot));
    }

    pub(crate) fn push_outside(&mut self, value: Value) {
        self.push(Entry::Value(value, Owner::Outside));
    }

    pub(crate) fn push_const(&mut self, object: ObjRef) {
        let object = self.object(object);
        self.push(Entry::Const(object));
    }

    pub(crate) fn pop(&mut self) -> Step<Entry> {
        self.frame.stack.pop().map_or_else(|| unsupported("stack"), Ok)
    }

    /// The entry `depth` below the top (0: the top).
    pub(crate) fn peek(&self, depth: usize) -> Step<Entry> {
        let stack = &self.frame.stack;
        stack.len().checked_sub(depth + 1).map_or_else(|| unsupported("stack"), |index| Ok(stack[index]))
    }

    /// Makes every value that was read from memory and not counted yet count.
    pub(crate) fn secure(&mut self) {
        for index in 0..self.frame.stack.len() {
            if let Entry::Value(value, Owner::Memory) = self.frame.stack[index] {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                self.frame.stack[index] = Entry::Value(value, Owner::Slot);
                self.counted(index, value);
            }
        }
    }

    /// A stack entry has got a unit in the middle of an instruction: exits that repeat the instruction must take it.
    fn counted(&mut self, index: usize, value: Value) {
        if let Some(entry @ Entry::Value(..)) = self.frame_before.stack.get_mut(index)
            && *entry == Entry::Value(value, Owner::Memory)
        {
            *entry = Entry::Value(value, Owner::Slot);
            self.before = None;
        }
    }

    /// Gives up an entry that has been popped.
    pub(crate) fn release(&mut self, entry: Entry) {
        if let Entry::Value(value, Owner::Slot) = entry
            && self.func.ty(value) != Type::NULL
        {
            self.secure();
            self.build().effect(Op::DecRef, &[value], Imm::None);
        }
    }

    /// A popped entry as a value with a unit of its own, to be stored or returned.
    pub(crate) fn owned(&mut self, entry: Entry) -> Value {
        let value = self.value(entry);
        match entry {
            Entry::Value(_, Owner::Slot) | Entry::Null => {}
            _ => self.build().effect(Op::IncRef, &[value], Imm::None),
        }
        value
    }

    /// Takes a value off the stack with its unit (or one made for it).
    pub(crate) fn pop_owned(&mut self) -> Step<Value> {
        let entry = self.pop()?;
        Ok(self.owned(entry))
    }

    /// Gives stack entries that borrow from a local a unit of their own: it's about to change.
    pub(crate) fn settle_borrowers(&mut self, local: u32) {
        for position in 0..self.frame.stack.len() {
            if let Entry::Value(value, Owner::Local(owner)) = self.frame.stack[position]
                && owner == local
            {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                self.frame.stack[position] = Entry::Value(value, Owner::Slot);
            }
        }
    }

    /// Writes a local, giving up what it held. The entry has been popped.
    pub(crate) fn store_local(&mut self, local: u32, entry: Entry) {
        let index = local as usize;
        self.settle_borrowers(local);
        let entry = match entry {
            Entry::Value(value, Owner::Local(owner))
                if owner != local || self.frame.locals[index] != Entry::Value(value, Owner::Slot) =>
            {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                Entry::Value(value, Owner::Slot)
            }
            Entry::Value(value, Owner::Local(_) | Owner::Memory) => {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                Entry::Value(value, Owner::Slot)
            }
            other => other,
        };
        let old = std::mem::replace(&mut self.frame.locals[index], entry);
        self.release(old);
    }

    // ---- calls of helpers ----

    /// Notes where we are for whoever looks at the frame, and makes borrowed values safe.
    pub(crate) fn before_call(&mut self) {
        self.secure();
        let unit = self.insn.unit;
        let seen = Frame { locals: self.frame.locals.clone(), stack: Vec::new() };
        let seen = self.func.add_state(seen.state(unit));
        self.build().guard(Op::SetInstruction, &[], Imm::Int(i64::from(unit)), seen);
        self.called |= !self.func.blocks[self.block.index()].cold;
    }

    /// The next instruction, if it follows in any case.
    pub(crate) fn following(&self) -> Option<Insn> {
        let next = self.insn.next;
        if self.bytecode.regions.contains_key(&next) {
            return None;
        }
        self.bytecode.insns.iter().find(|insn| insn.offset == next).cloned()
    }

    /// Whether the next instruction, which follows in any case, takes a sequence apart.
    pub(crate) fn next_unpacks(&self, count: u32) -> bool {
        self.following().is_some_and(|insn| insn.name == "UNPACK_SEQUENCE" && insn.arg == count)
    }

    /// This instruction does the next one's work too.
    pub(crate) fn skip_next(&mut self) {
        self.skipped = Some(self.insn.next);
    }

    /// After an instruction that has run other code: leaves if that has looked at the frame, or watches from now on.
    pub(crate) fn watch(&mut self) {
        let state = self.frame.state(self.insn.next);
        let state = self.func.add_state(state);
        self.build().guard(Op::Watch, &[], Imm::None, state);
    }

    /// Calls a helper whose operands stay on the stack or are held by the caller; no check.
    pub(crate) fn call_helper(&mut self, helper: Helper, args: &[Value]) -> Value {
        if helper.info().effects.any(Effects::CALLS.and(Effects::RAISES)) {
            self.before_call();
        } else if helper.info().effects.any(Effects::WRITES) {
            self.secure();
        }
        self.build().call(helper, args)
    }

    /// Goes on if the condition is false; else throws the exception that is set. Operands must have been popped.
    pub(crate) fn throw_if(&mut self, condition: Value) {
        self.throw_with(condition, &[]);
    }

    /// The same, giving up a value (or null) that isn't on the stack.
    pub(crate) fn throw_if_holding(&mut self, condition: Value, held: Value) {
        self.throw_with(condition, &[held]);
    }

    /// The same for several.
    pub(crate) fn throw_with(&mut self, condition: Value, held: &[Value]) {
        let (cold, next) = self.fork(condition);
        self.cold(cold);
        self.block = cold;
        self.throw(held);
        self.block = next;
    }

    /// Throws if an object result is null, else pushes it.
    pub(crate) fn push_result(&mut self, result: Value) {
        let failed = self.op(Op::IsNull, &[result]);
        self.throw_if(failed);
        // Null is excluded from here on.
        let ty = self.func.values[result.index()].ty.without(Type::NULL);
        self.func.values[result.index()].ty = ty;
        self.push_owned(result);
    }

    /// Throws if a status is negative.
    pub(crate) fn check_status(&mut self, status: Value) {
        let zero = self.build().int(0);
        let failed = self.op_imm(Op::IntCmp, &[status, zero], Imm::Cond(Cond::Lt));
        self.throw_if(failed);
    }

    /// Pops `count` operands, calls a helper with them (and further words), gives them up and pushes its result.
    pub(crate) fn generic_op(&mut self, helper: Helper, count: usize, more: &[i64]) -> Step {
        let result = self.generic_call(helper, count, more)?;
        self.push_result(result);
        Ok(())
    }

    /// The same for a helper with a status, which is checked and returned.
    pub(crate) fn generic_status(&mut self, helper: Helper, count: usize, more: &[i64]) -> Step<Value> {
        let status = self.generic_call(helper, count, more)?;
        self.check_status(status);
        Ok(status)
    }

    /// The helper that gives the operands of a call away, if it makes a difference to an argument that nobody else may have.
    pub(crate) fn giving(&self, helper: Helper, operands: &[Entry]) -> Option<Helper> {
        let giving = match helper {
            Helper::CallObject => Helper::GiveObject,
            Helper::CallKeywords => Helper::GiveKeywords,
            _ => return None,
        };
        let plain = [Type::INT, Type::FLOAT, Type::STR, Type::BOOL, Type::NONE].into_iter().fold(Type::EMPTY, Type::union);
        let dies = |operand: &Entry| matches!(operand, Entry::Value(_, Owner::Slot)) && !self.ty(*operand).is_subtype(plain);
        operands.iter().skip(1).any(dies).then_some(giving)
    }

    /// Pops `count` operands, calls a helper with them in stack order, gives them up; returns the unchecked result.
    pub(crate) fn generic_call(&mut self, helper: Helper, count: usize, more: &[i64]) -> Step<Value> {
        self.generic += 1;
        self.secure();
        let depth = self.frame.stack.len().checked_sub(count).map_or_else(|| unsupported("stack"), Ok)?;
        let operands: Vec<Entry> = self.frame.stack[depth..].to_vec();
        if let Some(giving) = self.giving(helper, &operands) {
            self.before_call();
            let args: Vec<Value> = operands.into_iter().map(|operand| self.owned(operand)).collect();
            self.frame.stack.truncate(depth);
            return Ok(self.build().call(giving, &args));
        }
        let mut args: Vec<Value> = Vec::new();
        for operand in &operands {
            args.push(self.value(*operand));
        }
        for word in more {
            args.push(self.build().int(*word));
        }
        let result = self.call_helper(helper, &args);
        self.frame.stack.truncate(depth);
        for operand in operands.into_iter().rev() {
            self.release(operand);
        }
        Ok(result)
    }

    /// A branch inside an instruction: `then` is where the condition holds.
    pub(crate) fn fork(&mut self, condition: Value) -> (Block, Block) {
        let then = self.func.add_block();
        let otherwise = self.func.add_block();
        self.build().branch(
            condition,
            BlockCall { block: then, args: Vec::new() },
            BlockCall { block: otherwise, args: Vec::new() },
        );
        (then, otherwise)
    }

    /// Ends the current block with a jump to a join inside the instruction.
    pub(crate) fn join(&mut self, block: Block, args: Vec<Value>) {
        self.build().jump(block, args, None);
    }

    pub(crate) fn cold(&mut self, block: Block) {
        self.func.blocks[block.index()].cold = true;
    }

    /// Leaves for the interpreter at the current instruction, for good.
    pub(crate) fn leave(&mut self, reason: Reason) {
        self.frame = self.frame_before.clone();
        self.guard(Op::Exit, &[], Imm::Reason(reason));
        self.reached_end = true;
    }
}
