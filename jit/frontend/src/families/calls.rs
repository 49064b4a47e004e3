//! Calls: of compiled functions, of classes, of known builtins, of anything.

use crate::input::PyVersion;
use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator, unsupported};
use crate::world::Builtin;
use pepjit_ir::{Cond, Constant, Field, Helper, Imm, ObjRef, Op, Type, Value};

impl Translator<'_> {
    pub(super) fn call(&mut self, arg: u32) -> Step {
        let count = arg as usize;
        let callable = self.peek(count + 1)?;
        if let Some(object) = self.constant(callable)
            && let Some(builtin) = self.world.builtin(&object)
        {
            if builtin == Builtin::LooksAtFrame {
                return unsupported("call of a builtin that looks at the frame");
            }
            let arguments = self.arguments(count)?;
            if !self.failed() && self.call_builtin(builtin, &object, &arguments, count)? {
                // A range says nothing of what else is known of the code: it may never have run.
                if builtin == Builtin::Range {
                    self.generic += 1;
                } else {
                    self.specialised += 1;
                }
                return Ok(());
            }
            let receiver = self.peek(count)?;
            if !self.failed() && self.call_native(&object, receiver, count)? {
                return Ok(());
            }
            return self.generic_op(Helper::CallObject, count + 2, &[]);
        }
        let site = self.site(count, None)?;
        self.call_site(&site)
    }

    pub(super) fn call_keywords(&mut self, arg: u32) -> Step {
        let names = self.peek(0)?;
        let names = self.constant(names).and_then(|names| self.world.tuple_items(&names));
        let callable = self.peek(arg as usize + 2)?;
        if let Some(object) = self.constant(callable)
            && self.world.builtin(&object) == Some(Builtin::LooksAtFrame)
        {
            return unsupported("call of a builtin that looks at the frame");
        }
        match names {
            Some(names) => {
                let site = self.site(arg as usize, Some(names))?;
                self.call_site(&site)
            }
            None => self.generic_op(Helper::CallKeywords, arg as usize + 3, &[]),
        }
    }

    /// The arguments of a call with `count` of them on the stack: the receiver first, if there is one.
    fn arguments(&self, count: usize) -> Step<Vec<Entry>> {
        let mut entries = Vec::new();
        let receiver = self.peek(count)?;
        if receiver != Entry::Null {
            entries.push(receiver);
        }
        for depth in (0..count).rev() {
            entries.push(self.peek(depth)?);
        }
        Ok(entries)
    }

    pub(super) fn drop_operands(&mut self, count: usize) -> Step {
        for _ in 0..count {
            let entry = self.pop()?;
            self.release(entry);
        }
        Ok(())
    }

    /// A builtin that the front end knows; false if this use of it isn't special.
    pub(super) fn call_builtin(&mut self, builtin: Builtin, object: &ObjRef, arguments: &[Entry], count: usize) -> Step<bool> {
        match (builtin, arguments) {
            (Builtin::Len, [entry]) => {
                let entry = *entry;
                let ty = self.ty(entry);
                let field = match ty {
                    Type::LIST | Type::TUPLE => Some(Field::VarSize),
                    Type::STR => Some(Field::StrLength),
                    Type::DICT => Some(Field::DictUsed),
                    _ => None,
                };
                let value = self.value(entry);
                self.secure();
                let length = if let Some(field) = field {
                    let word = self.op_imm(Op::LoadField, &[value], Imm::Field(field));
                    let length = self.op(Op::WordToInt, &[word]);
                    self.drop_operands(count + 2)?;
                    length
                } else {
                    self.specialised -= 1;
                    self.length(value, count + 2)?
                };
                let boxed = self.op(Op::BoxInt, &[length]);
                self.push_owned(boxed);
                Ok(true)
            }
            (Builtin::IsInstance, [entry, class]) => {
                let truth = self.instance_of(*entry, &[*class]);
                self.drop_operands(count + 2)?;
                self.push_bool(truth);
                Ok(true)
            }
            (Builtin::ListAppend, [list, _]) => {
                let list_value = self.guard_type(*list, Type::LIST)?;
                self.secure();
                let item = self.pop()?;
                let item = self.owned(item);
                self.append(list_value, item);
                let (list, callable) = (self.pop()?, self.pop()?);
                self.release(list);
                self.release(callable);
                let Some(none) = self.world.none() else { return Ok(false) };
                self.push_const(none);
                Ok(true)
            }
            (Builtin::Range, [_] | [_, _] | [_, _, _]) if self.next_is("GET_ITER") => self.range_iterator(arguments, count),
            (Builtin::Abs, [entry]) if self.ty(*entry) == Type::FLOAT => {
                let value = self.value(*entry);
                let number = self.checked(Op::UnboxFloat, &[value]);
                let result = self.op(Op::FloatAbs, &[number]);
                self.finish_float(result, count)
            }
            (Builtin::MathSqrt, [entry]) if self.could_be_number(*entry) => {
                let value = self.value(*entry);
                let number = self.checked(Op::UnboxNumber, &[value]);
                let result = self.checked(Op::FloatSqrt, &[number]);
                self.finish_float(result, count)
            }
            (builtin, arguments) => self.call_known(builtin, object, arguments, count),
        }
    }

    fn next_is(&self, name: &str) -> bool {
        self.bytecode.insns.iter().any(|next| next.offset == self.insn.next && next.name == name)
    }

    /// `iter(range(...))`: the range object itself isn't made. An iterator is its own iterator, so the interpreter may go on in between.
    fn range_iterator(&mut self, arguments: &[Entry], count: usize) -> Step<bool> {
        if arguments.iter().any(|entry| self.ty(*entry).intersect(Type::INT).is_empty()) {
            return Ok(false);
        }
        if let [_, _, step] = arguments {
            match self.constant(*step).map(|object| object.constant) {
                Some(Constant::Int(step)) if step != 0 => {}
                _ => return Ok(false),
            }
        }
        let mut numbers: Vec<Value> = arguments.iter().map(|entry| self.int(*entry)).collect();
        if numbers.len() == 1 {
            let zero = self.build().int(0);
            numbers.insert(0, zero);
        }
        if numbers.len() == 2 {
            let one = self.build().int(1);
            numbers.push(one);
        }
        self.guard_valid();
        self.secure();
        let iterator = self.call_helper(Helper::RangeIter, &numbers);
        self.drop_operands(count + 2)?;
        self.push_result(iterator);
        self.iterators.insert(iterator);
        self.hints.insert(iterator, Type::RANGE_ITER);
        Ok(true)
    }

    fn could_be_number(&self, entry: Entry) -> bool {
        !self.ty(entry).intersect(Type::INT.union(Type::FLOAT)).is_empty()
    }

    fn finish_float(&mut self, result: Value, count: usize) -> Step<bool> {
        self.secure();
        self.drop_operands(count + 2)?;
        let boxed = self.op(Op::BoxFloat, &[result]);
        self.push_owned(boxed);
        Ok(true)
    }

    /// Appends an owned item to an exact list: in line if there's room.
    pub(super) fn append(&mut self, list: Value, item: Value) {
        let size = self.op_imm(Op::LoadField, &[list], Imm::Field(Field::VarSize));
        let room = self.op_imm(Op::LoadField, &[list], Imm::Field(Field::ListAllocated));
        // Of a list that is being sorted it's -1.
        let fits = self.op_imm(Op::IntCmp, &[size, room], Imm::Cond(Cond::Lt));
        let (fast, slow) = self.fork(fits);
        self.cold(slow);
        let done = self.func.add_block();
        self.block = fast;
        let items = self.op_imm(Op::LoadField, &[list], Imm::Field(Field::ListItems));
        self.build().effect(Op::StoreItem, &[items, size, item], Imm::None);
        let one = self.build().word(1);
        let larger = self.op(Op::WordAdd, &[size, one]);
        self.build().effect(Op::StoreField, &[list, larger], Imm::Field(Field::VarSize));
        self.join(done, Vec::new());
        self.block = slow;
        let status = self.build().call(Helper::ListAppend, &[list, item]);
        self.check_status(status);
        self.join(done, Vec::new());
        self.block = done;
    }

    pub(super) fn call_ex(&mut self, arg: u32) -> Step {
        self.generic += 1;
        let keywords = self.input.version >= PyVersion::V314 || arg & 1 != 0;
        let operands = if keywords { 4 } else { 3 };
        self.secure();
        let function = self.peek(operands - 1)?;
        let positional = self.peek(operands - 3)?;
        let (function, positional) = (self.value(function), self.value(positional));
        let named = if keywords { self.peek(0)? } else { Entry::Null };
        let named = self.value(named);
        let result = self.call_helper(Helper::CallEx, &[function, positional, named]);
        self.drop_operands(operands)?;
        self.push_result(result);
        Ok(())
    }

    pub(super) fn make_function(&mut self) -> Step {
        let code = self.peek(0)?;
        let code_value = self.value(code);
        let function = self.op(Op::CurrentFunction, &[]);
        let result = self.call_helper(Helper::MakeFunction, &[function, code_value]);
        let code = self.pop()?;
        self.release(code);
        self.push_result(result);
        Ok(())
    }

    pub(super) fn set_function_attribute(&mut self, arg: u32) -> Step {
        let function = self.pop()?;
        let attribute = self.pop_owned()?;
        if !matches!(function, Entry::Value(_, Owner::Slot)) {
            return unsupported("SET_FUNCTION_ATTRIBUTE");
        }
        let value = self.value(function);
        let which = self.build().int(i64::from(arg));
        self.call_helper(Helper::SetFunctionAttribute, &[value, attribute, which]);
        self.push(function);
        Ok(())
    }
}
