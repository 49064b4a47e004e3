//! Iteration. 3.15 keeps a list or tuple itself on the stack, with an index beside it; older versions an iterator object.

use crate::decode::iterator_width;
use crate::input::{Entry as CodeEntry, PyVersion};
use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator, unsupported};
use pepjit_ir::op::Reason;
use pepjit_ir::{Cond, Field, Helper, Imm, Op, Type, Value};

/// What 3.15 iterates over by an index.
const INDEXED: [Type; 4] = [Type::LIST, Type::TUPLE, Type::STR, Type::BYTES];

/// As how many generic instructions it counts to go on with a generator that the interpreter resumes in place, in its own loop: compiled code calls
/// the interpreter anew for each of its items.
const RESUMED_IN_PLACE: u32 = 3;

impl Translator<'_> {
    /// What the loop that starts here iterates over, if its `FOR_ITER` has been specialised.
    fn next_iteration(&self) -> Option<&'static str> {
        self.bytecode
            .insns
            .iter()
            .find(|insn| insn.offset >= self.insn.next)
            .filter(|insn| insn.name == "FOR_ITER")
            .map(|insn| insn.spec)
    }

    pub(super) fn get_iter(&mut self) -> Step {
        let itself = matches!(self.peek(0)?, Entry::Value(value, _) if self.iterators.contains(&value));
        if itself && self.ty(self.peek(0)?) != Type::ENUMERATE {
            // As for the range: it says nothing for compiling the code.
            self.generic += 1;
        }
        if self.input.version < PyVersion::V315 {
            return if itself { Ok(()) } else { self.generic_op(Helper::GetIter, 1, &[]) };
        }
        if self.insn.arg != 0 {
            return unsupported("GET_ITER");
        }
        if itself {
            self.push(Entry::Null);
            return Ok(());
        }
        let entry = self.peek(0)?;
        let known = self.ty(entry);
        let ty = match self.next_iteration() {
            _ if self.top_is_mixed() => None,
            Some("FOR_ITER_LIST") => Some(Type::LIST),
            Some("FOR_ITER_TUPLE") => Some(Type::TUPLE),
            _ if INDEXED.contains(&known) => Some(known),
            Some("FOR_ITER_VIRTUAL") => Some(if self.likely(entry) == Type::BYTES { Type::BYTES } else { Type::STR }),
            _ => None,
        };
        // A loop that is entered in its middle, and those around it, have been given real iterators: they keep to that when they start again.
        let start = self.insn.next;
        let entered = matches!(self.input.entry, CodeEntry::Loop { header, .. }
        if start <= header && self.bytecode.insns.iter().any(|insn| {
            insn.offset >= header && insn.name.starts_with("JUMP_BACKWARD") && insn.target() == Some(start)
        }));
        // What the loop of a generator iterates over is seen by every code that it's resumed with: always an iterator.
        let entered = entered
            || matches!(self.input.entry, CodeEntry::Resume { .. })
                && self.bytecode.insns.iter().any(|insn| {
                    insn.name.starts_with("JUMP_BACKWARD")
                        && insn.target() == Some(start)
                        && self.yields_between(start, insn.offset)
                });
        let Some(ty) = ty.filter(|_| !entered) else {
            self.generic_op(Helper::GetIter, 1, &[])?;
            self.push(Entry::Null);
            return Ok(());
        };
        let sequence = self.guard_type(entry, ty)?;
        self.hints.insert(sequence, ty);
        let zero = self.build().word(0);
        self.push(Entry::Value(zero, Owner::Word));
        Ok(())
    }

    pub(super) fn for_iter(&mut self) -> Step {
        let width = iterator_width(self.input.version);
        let iterator = self.peek(width - 1)?;
        let spec = self.insn.spec;
        let over = self.frame.clone();
        if width == 2
            && let Entry::Value(index, Owner::Word) = self.peek(0)?
        {
            let known = self.ty(iterator);
            let ty = match spec {
                "FOR_ITER_LIST" => Type::LIST,
                "FOR_ITER_TUPLE" => Type::TUPLE,
                _ if INDEXED.contains(&known) => known,
                _ if self.likely(iterator) == Type::BYTES => Type::BYTES,
                "FOR_ITER_VIRTUAL" => Type::STR,
                _ => return unsupported("FOR_ITER of a virtual iterator"),
            };
            return self.iterate_indexed(iterator, index, ty);
        }
        // A loop entered from the interpreter on 3.15 has a real iterator instead of a sequence and an index.
        if width == 2
            && !self.failed()
            && let ty @ (Type::LIST_ITER | Type::TUPLE_ITER) = self.likely(iterator)
        {
            return self.iterate_object(iterator, ty);
        }
        let has_run = spec == "FOR_ITER_RANGE";
        let spec = if self.likely(iterator) == Type::RANGE_ITER { "FOR_ITER_RANGE" } else { spec };
        match spec {
            "FOR_ITER_RANGE" if !self.failed() => {
                let iterator = self.guard_type(iterator, Type::RANGE_ITER)?;
                let left = self.op_imm(Op::LoadField, &[iterator], Imm::Field(Field::RangeIterLen));
                let zero = self.build().word(0);
                let more = self.op_imm(Op::IntCmp, &[left, zero], Imm::Cond(Cond::Gt));
                // A loop that has not run yet says nothing for compiling it.
                if has_run {
                    self.specialised += 1;
                } else {
                    self.generic += 1;
                }
                let (body, end) = self.fork(more);
                self.block = body;
                let start = self.op_imm(Op::LoadField, &[iterator], Imm::Field(Field::RangeIterStart));
                let step = self.op_imm(Op::LoadField, &[iterator], Imm::Field(Field::RangeIterStep));
                let next = self.op(Op::WordAdd, &[start, step]);
                self.build().effect(Op::StoreField, &[iterator, next], Imm::Field(Field::RangeIterStart));
                let one = self.build().word(1);
                let fewer = self.op(Op::WordSub, &[left, one]);
                self.build().effect(Op::StoreField, &[iterator, fewer], Imm::Field(Field::RangeIterLen));
                let number = self.op(Op::WordToInt, &[start]);
                let item = self.op(Op::BoxInt, &[number]);
                self.push_owned(item);
                let next = self.insn.next;
                self.edge(next);
                self.block = end;
                self.frame = over;
                self.end_of_iteration()
            }
            "FOR_ITER" if !self.failed() && self.likely(iterator) == Type::ENUMERATE && self.unpacks_pair().is_some() => {
                self.iterate_enumerate(iterator)
            }
            "FOR_ITER_LIST" if width == 1 && !self.failed() => self.iterate_object(iterator, Type::LIST_ITER),
            "FOR_ITER_TUPLE" if width == 1 && !self.failed() => self.iterate_object(iterator, Type::TUPLE_ITER),
            _ => self.iterate_generic(iterator),
        }
    }

    fn end_of_iteration(&mut self) -> Step {
        let Some(target) = self.insn.target() else { return unsupported("FOR_ITER") };
        self.edge(target);
        Ok(())
    }

    /// A list or tuple iterator object.
    fn iterate_object(&mut self, iterator: Entry, ty: Type) -> Step {
        let list = ty == Type::LIST_ITER;
        let (index_field, sequence_field) =
            if list { (Field::ListIterIndex, Field::ListIterSeq) } else { (Field::TupleIterIndex, Field::TupleIterSeq) };
        let iterator = self.guard_type(iterator, ty)?;
        self.secure();
        self.specialised += 1;
        let sequence = self.op_imm(Op::LoadField, &[iterator], Imm::Field(sequence_field));
        let gone = self.op(Op::IsNull, &[sequence]);
        let (finished, running) = self.fork(gone);
        let over = self.frame.clone();
        self.cold(finished);
        self.block = running;
        let index = self.op_imm(Op::LoadField, &[iterator], Imm::Field(index_field));
        let size = self.op_imm(Op::LoadField, &[sequence], Imm::Field(Field::VarSize));
        let more = self.op_imm(Op::IntCmp, &[index, size], Imm::Cond(Cond::Below));
        let (body, end) = self.fork(more);
        self.block = body;
        let items = if list {
            self.op_imm(Op::LoadField, &[sequence], Imm::Field(Field::ListItems))
        } else {
            self.op_imm(Op::AddressOfField, &[sequence], Imm::Field(Field::TupleItems))
        };
        let item = self.op(Op::LoadItem, &[items, index]);
        self.func.values[item.index()].ty = Type::OBJECT;
        let one = self.build().word(1);
        let next = self.op(Op::WordAdd, &[index, one]);
        self.build().effect(Op::StoreField, &[iterator, next], Imm::Field(index_field));
        self.push(Entry::Value(item, Owner::Memory));
        let next = self.insn.next;
        self.edge(next);
        // As the interpreter does: the iterator lets go of its sequence at the end.
        self.block = end;
        self.frame = over.clone();
        if list {
            let minus = self.build().word(-1);
            self.build().effect(Op::StoreField, &[iterator, minus], Imm::Field(index_field));
        }
        let null = self.build().null();
        let old = self.op_imm(Op::SwapField, &[iterator, null], Imm::Field(sequence_field));
        self.build().effect(Op::DecRef, &[old], Imm::None);
        self.end_of_iteration()?;
        self.block = finished;
        self.frame = over;
        self.end_of_iteration()
    }

    /// 3.15: the sequence itself and an index.
    fn iterate_indexed(&mut self, sequence: Entry, index: Value, ty: Type) -> Step {
        let sequence = self.guard_type(sequence, ty)?;
        self.specialised += 1;
        let length = if ty == Type::STR { Field::StrLength } else { Field::VarSize };
        let size = self.op_imm(Op::LoadField, &[sequence], Imm::Field(length));
        let more = self.op_imm(Op::IntCmp, &[index, size], Imm::Cond(Cond::Below));
        let (body, end) = self.fork(more);
        let over = self.frame.clone();
        self.block = body;
        let (item, owner) = match ty {
            Type::STR => {
                let number = self.op(Op::WordToInt, &[index]);
                let item = self.build().call(Helper::StrIndex, &[sequence, number]);
                self.guard(Op::GuardBound, &[item], Imm::Reason(Reason::Index));
                self.func.values[item.index()].ty = Type::STR;
                (item, Owner::Slot)
            }
            Type::BYTES => {
                let byte = self.byte(sequence, index, ty);
                (self.op(Op::BoxInt, &[byte]), Owner::Slot)
            }
            _ => {
                let items = self.items(sequence, ty);
                let item = self.op(Op::LoadItem, &[items, index]);
                self.func.values[item.index()].ty = Type::OBJECT;
                (item, Owner::Memory)
            }
        };
        let one = self.build().word(1);
        let next_index = self.op(Op::WordAdd, &[index, one]);
        self.pop()?;
        self.push(Entry::Value(next_index, Owner::Word));
        self.push(Entry::Value(item, owner));
        let next = self.insn.next;
        self.edge(next);
        self.block = end;
        self.frame = over;
        self.end_of_iteration()
    }

    /// Where it goes on after the pairs of this loop have been taken apart, if the loop's first instruction does that.
    fn unpacks_pair(&self) -> Option<u32> {
        let index = self.bytecode.insns.iter().position(|insn| insn.offset == self.insn.next)?;
        let insn = &self.bytecode.insns[index];
        (insn.name == "UNPACK_SEQUENCE" && insn.arg == 2 && self.bytecode.regions.contains_key(&insn.next)).then_some(insn.next)
    }

    /// The number and the item that an `enumerate` gives, without their tuple.
    fn iterate_enumerate(&mut self, iterator: Entry) -> Step {
        let Some(body_start) = self.unpacks_pair() else { return self.iterate_generic(iterator) };
        let enumerate = self.guard_type(iterator, Type::ENUMERATE)?;
        self.specialised += 1;
        let index = self.op_imm(Op::LoadField, &[enumerate], Imm::Field(Field::EnumIndex));
        // From the largest index on it counts with objects.
        let last = self.build().word(i64::MAX);
        let small = self.op_imm(Op::IntCmp, &[index, last], Imm::Cond(Cond::Below));
        self.guard(Op::Guard, &[small], Imm::Reason(Reason::Index));
        let source = self.op_imm(Op::LoadField, &[enumerate], Imm::Field(Field::EnumIter));
        let over = self.frame.clone();
        let item = self.call_helper(Helper::IterNext, &[source]);
        let none = self.op(Op::IsNull, &[item]);
        let (end, body) = self.fork(none);
        self.block = end;
        let error = self.build().call(Helper::ErrorOccurred, &[]);
        self.throw_if(error);
        self.end_of_iteration()?;
        self.block = body;
        self.frame = over;
        self.func.values[item.index()].ty = Type::OBJECT;
        // What the iterator called may have used the enumerate too.
        let index = self.op_imm(Op::LoadField, &[enumerate], Imm::Field(Field::EnumIndex));
        let one = self.build().word(1);
        let next = self.op(Op::WordAdd, &[index, one]);
        self.build().effect(Op::StoreField, &[enumerate, next], Imm::Field(Field::EnumIndex));
        let number = self.op(Op::WordToInt, &[index]);
        let number = self.op(Op::BoxInt, &[number]);
        self.push_owned(item);
        self.push_owned(number);
        self.edge(body_start);
        Ok(())
    }

    fn iterate_generic(&mut self, iterator: Entry) -> Step {
        self.generic += if self.insn.spec == "FOR_ITER_GEN" { RESUMED_IN_PLACE } else { 1 };
        let iterator = self.value(iterator);
        let item = self.call_helper(Helper::IterNext, &[iterator]);
        let none = self.op(Op::IsNull, &[item]);
        let over = self.frame.clone();
        let (end, body) = self.fork(none);
        self.block = end;
        let error = self.build().call(Helper::ErrorOccurred, &[]);
        self.throw_if(error);
        self.end_of_iteration()?;
        self.block = body;
        self.frame = over;
        self.func.values[item.index()].ty = Type::OBJECT;
        self.push_owned(item);
        let next = self.insn.next;
        self.edge(next);
        Ok(())
    }
}
