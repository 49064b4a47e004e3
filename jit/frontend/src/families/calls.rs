//! Calls: of compiled functions, of classes, of known builtins, of anything.

use crate::input::PyVersion;
use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator, unsupported};
use crate::world::{Builtin, CalleeInfo};
use pepjit_ir::{Cond, Constant, Field, Helper, Imm, ObjRef, Op, Type, Value};

impl Translator<'_> {
    pub(super) fn call(&mut self, arg: u32) -> Step {
        let count = arg as usize;
        let callable = self.peek(count + 1)?;
        let Some(object) = self.constant(callable) else {
            return match callable {
                Entry::Value(value, _) if self.candidates.contains_key(&value) && !self.failed() => {
                    self.call_one_of(value, count)
                }
                _ => self.call_object(count),
            };
        };
        if let Some(builtin) = self.world.builtin(&object) {
            if builtin == Builtin::LooksAtFrame {
                return unsupported("call of a builtin that looks at the frame");
            }
            if !self.failed() && self.call_builtin(builtin, &object, count)? {
                // A range says nothing of what else is known of the code: it may never have run.
                if builtin == Builtin::Range {
                    self.generic += 1;
                } else {
                    self.specialised += 1;
                }
                return Ok(());
            }
            if !self.failed() && self.call_native(&object, count)? {
                return Ok(());
            }
            return self.call_object(count);
        }
        if object.ty == Type::FUNCTION {
            return self.call_function(count);
        }
        if self.world.class_call(&object).is_some() && !self.failed() {
            return self.call_class(&object, count);
        }
        if !self.failed() && self.call_native(&object, count)? {
            return Ok(());
        }
        self.call_object(count)
    }

    /// Calls whatever is on the stack, through the interpreter's own protocol.
    fn call_object(&mut self, count: usize) -> Step {
        self.generic_op(Helper::CallObject, count + 2, &[])
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

    /// Each argument as the callee wants it, or none if one can't be.
    fn pass(&mut self, info: &CalleeInfo, arguments: &[Entry]) -> Option<Vec<Value>> {
        let given = arguments.len();
        let wanted = info.callee.params.len();
        if given > wanted || wanted - given > info.defaults.len() {
            return None;
        }
        let defaults = info.defaults[info.defaults.len() - (wanted - given)..].to_vec();
        let mut entries = arguments.to_vec();
        for default in defaults {
            let object = self.object(default);
            entries.push(Entry::Const(object));
        }
        for (entry, ty) in entries.iter().zip(&info.callee.params) {
            let ty = ty.boxed();
            if ty != Type::OBJECT && self.ty(*entry).intersect(ty).is_empty() {
                return None;
            }
        }
        let mut values = Vec::new();
        for (entry, ty) in entries.into_iter().zip(info.callee.params.clone()) {
            let value = self.value(entry);
            values.push(match ty {
                Type::C_INT => self.checked(Op::UnboxInt, &[value]),
                Type::C_FLOAT => self.checked(Op::UnboxFloat, &[value]),
                _ => value,
            });
        }
        Some(values)
    }

    /// Calls the Python function under the arguments directly, if it's compiled.
    pub(super) fn call_function(&mut self, count: usize) -> Step {
        let callable = self.peek(count + 1)?;
        let Some(function) = self.constant(callable) else { return self.call_object(count) };
        let receiver = self.peek(count)?;
        if receiver != Entry::Null && self.may_be_null(receiver) || self.failed() {
            return self.call_object(count);
        }
        let arguments = self.arguments(count)?;
        let Some(info) = self.world.callee(&function, arguments.len()) else { return self.call_object(count) };
        let Some(values) = self.pass(&info, &arguments) else { return self.call_object(count) };
        self.guard_valid();
        self.specialised += 1;
        let callee = self.func.add_callee(info.callee);
        self.before_call();
        let pair = self.build().call_direct(callee, &values);
        self.drop_operands(count + 2)?;
        let failed = self.op(Op::PairFailed, &[pair]);
        self.throw_if(failed);
        let result = self.op(Op::PairToObject, &[pair]);
        self.push_owned(result);
        Ok(())
    }

    /// Whether the callee can take the arguments without a check of their classes.
    fn is_passable(&self, info: &CalleeInfo, arguments: &[Entry]) -> bool {
        let (given, wanted) = (arguments.len(), info.callee.params.len());
        let takes = |(entry, ty): (&Entry, &Type)| *ty == Type::OBJECT || self.ty(*entry) == ty.boxed();
        given == wanted && arguments.iter().zip(&info.callee.params).all(takes)
    }

    /// Calls the method that was found for one of several classes: directly if it's one of the functions that are known.
    fn call_one_of(&mut self, callable: Value, count: usize) -> Step {
        let functions = self.candidates[&callable].clone();
        let arguments = self.arguments(count)?;
        let mut known: Vec<(ObjRef, CalleeInfo)> = Vec::new();
        for function in functions {
            if known.iter().any(|(other, _)| other.address == function.address) || function.ty != Type::FUNCTION {
                continue;
            }
            if let Some(info) = self.world.callee(&function, arguments.len())
                && self.is_passable(&info, &arguments)
            {
                known.push((function, info));
            }
        }
        if known.is_empty() {
            return self.call_object(count);
        }
        self.guard_valid();
        self.specialised += 1;
        self.before_call();
        let frame = self.frame.clone();
        let join = self.func.add_block();
        let result = self.func.add_param(join, Type::OBJECT, true);
        let slow = self.func.add_block();
        let receiver = self.peek(count)?;
        let receiver = self.value(receiver);
        let unbound = self.op(Op::IsNull, &[receiver]);
        let (not, bound) = self.fork(unbound);
        self.block = not;
        self.join(slow, Vec::new());
        self.block = bound;
        for (function, info) in known {
            let function = self.object(function);
            let function = self.build().object(function);
            let right = self.op(Op::IsSame, &[callable, function]);
            let (found, next) = self.fork(right);
            self.block = found;
            let Some(values) = self.pass(&info, &arguments) else { return unsupported("arguments") };
            let callee = self.func.add_callee(info.callee);
            let pair = self.build().call_direct(callee, &values);
            self.drop_operands(count + 2)?;
            let failed = self.op(Op::PairFailed, &[pair]);
            self.throw_if(failed);
            let object = self.op(Op::PairToObject, &[pair]);
            self.join(join, vec![object]);
            self.frame = frame.clone();
            self.block = next;
        }
        self.join(slow, Vec::new());
        self.block = slow;
        let operands: Vec<Entry> = self.frame.stack[self.frame.stack.len() - count - 2..].to_vec();
        let values: Vec<Value> = operands.into_iter().map(|entry| self.value(entry)).collect();
        let object = self.build().call(Helper::CallObject, &values);
        self.drop_operands(count + 2)?;
        let failed = self.op(Op::IsNull, &[object]);
        self.throw_if(failed);
        self.func.values[object.index()].ty = Type::OBJECT;
        self.join(join, vec![object]);
        self.block = join;
        self.push_owned(result);
        Ok(())
    }

    pub(super) fn drop_operands(&mut self, count: usize) -> Step {
        for _ in 0..count {
            let entry = self.pop()?;
            self.release(entry);
        }
        Ok(())
    }

    /// Makes an instance and calls its `__init__` directly.
    fn call_class(&mut self, class: &ObjRef, count: usize) -> Step {
        let Some(call) = self.world.class_call(class) else { return self.call_object(count) };
        if self.peek(count)? != Entry::Null {
            return self.call_object(count);
        }
        let init = match &call.init {
            None if count == 0 => None,
            None => return self.call_object(count),
            Some(init) => match self.world.callee(init, count + 1) {
                None => return self.call_object(count),
                Some(info) if info.callee.params.first().is_some_and(|ty| *ty != Type::OBJECT) => return self.call_object(count),
                Some(info) => Some(info),
            },
        };
        // The arguments are converted before anything happens; the instance takes the first place.
        let mut arguments = self.arguments(count)?;
        let class_id = self.object(class.clone());
        arguments.insert(0, Entry::Const(class_id));
        let values = match &init {
            None => Vec::new(),
            Some(info) => match self.pass(info, &arguments) {
                None => return self.call_object(count),
                Some(values) => values,
            },
        };
        self.guard_valid();
        self.specialised += 1;
        self.before_call();
        let class_value = self.build().object(class_id);
        let instance = self.build().call(Helper::NewInstance, &[class_value]);
        let failed = self.op(Op::IsNull, &[instance]);
        // The operands are still on the stack: the interpreter gives them up.
        self.throw_if(failed);
        self.func.values[instance.index()].ty = Type::OTHER;
        if let Some(info) = init {
            let mut values = values;
            values[0] = instance;
            let callee = self.func.add_callee(info.callee);
            let pair = self.build().call_direct(callee, &values);
            self.drop_operands(count + 2)?;
            let failed = self.op(Op::PairFailed, &[pair]);
            self.throw_if_holding(failed, instance);
            // `class_call` vouches for `__init__` returning None.
            self.build().effect(Op::PairDrop, &[pair], Imm::None);
        } else {
            self.drop_operands(count + 2)?;
        }
        self.push_owned(instance);
        Ok(())
    }

    /// A builtin that the front end knows; false if this use of it isn't special.
    fn call_builtin(&mut self, builtin: Builtin, object: &ObjRef, count: usize) -> Step<bool> {
        let arguments = self.arguments(count)?;
        match (builtin, arguments.as_slice()) {
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
                    self.length(value, count + 2)?
                };
                let boxed = self.op(Op::BoxInt, &[length]);
                self.push_owned(boxed);
                Ok(true)
            }
            (Builtin::IsInstance, [entry, class]) => {
                self.secure();
                let (value, class_value) = (self.value(*entry), self.value(*class));
                let truth = if let Entry::Const(class) = *class {
                    let join = self.func.add_block();
                    let result = self.func.add_param(join, Type::C_BOOL, false);
                    let exact = self.op_imm(Op::IsClass, &[value], Imm::Obj(class));
                    let (yes, ask) = self.fork(exact);
                    self.block = yes;
                    let one = self.op_imm(Op::ConstBool, &[], Imm::Int(1));
                    self.join(join, vec![one]);
                    self.block = ask;
                    let answer = self.is_instance(value, class_value);
                    self.join(join, vec![answer]);
                    self.block = join;
                    result
                } else {
                    self.is_instance(value, class_value)
                };
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
            (Builtin::Range, [_] | [_, _] | [_, _, _]) if self.next_is("GET_ITER") => self.range_iterator(&arguments, count),
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

    fn is_instance(&mut self, value: Value, class: Value) -> Value {
        let status = self.call_helper(Helper::IsInstance, &[value, class]);
        self.check_status(status);
        let zero = self.build().int(0);
        self.op_imm(Op::IntCmp, &[status, zero], Imm::Cond(Cond::Ne))
    }

    /// Appends an owned item to an exact list: in line if there's room.
    pub(super) fn append(&mut self, list: Value, item: Value) {
        let size = self.op_imm(Op::LoadField, &[list], Imm::Field(Field::VarSize));
        let room = self.op_imm(Op::LoadField, &[list], Imm::Field(Field::ListAllocated));
        let fits = self.op_imm(Op::IntCmp, &[size, room], Imm::Cond(Cond::Below));
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

    pub(super) fn call_keywords(&mut self, arg: u32) -> Step {
        self.generic_op(Helper::CallKeywords, arg as usize + 3, &[])
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
