//! `super().name`: what the receiver's class has behind another class in the order of its bases.

use super::attributes::MOST_CLASSES;
use crate::input::LocalKind;
use crate::state::Entry;
use crate::translate::{Step, Translator, unsupported};
use pepjit_ir::{Helper, Imm, ObjRef, Op, Type, Value};

impl Translator<'_> {
    pub(super) fn load_super_attr(&mut self, arg: u32) -> Step {
        let name = self.input.names[(arg >> 2) as usize].clone();
        let (method, written) = (arg & 1 != 0, arg & 2 != 0);
        // Only the plain `super` of the builtins, with its two arguments found by the compiler.
        let global = self.peek(2)?;
        let plain = self.constant(global).is_some_and(|object| object.label == "super");
        if !plain {
            return unsupported("LOAD_SUPER_ATTR");
        }
        if method && self.known_super_method(&name, written)? {
            return Ok(());
        }
        let (class, receiver) = (self.peek(1)?, self.peek(0)?);
        let (class_value, receiver_value) = (self.value(class), self.value(receiver));
        let name = self.object(name);
        let name = self.build().object(name);
        let helper = if method { Helper::SuperMethod } else { Helper::SuperAttr };
        let written = self.build().int(written.into());
        let result = self.call_helper(helper, &[class_value, receiver_value, name, written]);
        let (receiver, class, _) = (self.pop()?, self.pop()?, self.pop()?);
        if !method {
            self.release(receiver);
            self.release(class);
            self.push_result(result);
            return Ok(());
        }
        let taken = self.found_method(result, receiver, class);
        self.push_owned(result);
        self.push_owned(taken);
        Ok(())
    }

    /// After the helper: what is to be passed first (or null), once the operands are given up and an exception is on its way.
    fn found_method(&mut self, result: Value, receiver: Entry, class: Entry) -> Value {
        let failed = self.op(Op::IsNull, &[result]);
        let taken = self.take_scratch(0);
        self.release(receiver);
        self.release(class);
        self.throw_if_holding(failed, taken);
        self.func.values[result.index()].ty = self.func.ty(result).without(Type::NULL);
        taken
    }

    /// The class that the code is in the body of: what its cell `__class__` has now.
    fn defining_class(&mut self) -> Option<ObjRef> {
        let mut free = self.input.locals.iter().filter(|(kind, _)| *kind == LocalKind::Free);
        let index = free.position(|(_, name)| name == "__class__")?;
        let cell = self.input.closure.get(index)?.clone();
        self.world.cell_contents(&cell)
    }

    /// A method that is known from the receiver's class. False if none is.
    fn known_super_method(&mut self, name: &ObjRef, written: bool) -> Step<bool> {
        let (class, receiver) = (self.peek(1)?, self.peek(0)?);
        let fixed = self.constant(class);
        let Some(defining) = fixed.clone().or_else(|| self.defining_class()) else { return Ok(false) };
        if self.failed() {
            return self.polymorphic_super(name, &defining, fixed.is_some(), written);
        }
        let (class_value, receiver_value) = (self.value(class), self.value(receiver));
        let expected = self.guarded.get(&receiver_value).cloned().unwrap_or_else(|| defining.clone());
        let Some(function) = self.world.super_method(&defining, &expected, name) else { return Ok(false) };
        if fixed.is_none() {
            let defining = self.object(defining);
            self.guard(Op::GuardIs, &[class_value], Imm::Obj(defining));
        }
        self.guard_class(receiver_value, &expected);
        self.guard_valid();
        self.specialised += 1;
        let (receiver, class, _) = (self.pop()?, self.pop()?, self.pop()?);
        self.release(class);
        self.push_const(function);
        self.push(receiver);
        Ok(true)
    }

    /// The methods of the classes that came by: a test for each, then the generic way.
    fn polymorphic_super(&mut self, name: &ObjRef, defining: &ObjRef, fixed: bool, written: bool) -> Step<bool> {
        let versions = self.input.site_classes.get(&self.insn.offset).cloned().unwrap_or_default();
        let mut places: Vec<(ObjRef, ObjRef)> = Vec::new();
        let seen: Vec<ObjRef> = versions.into_iter().filter_map(|version| self.world.class_of_version(version)).collect();
        for class in std::iter::once(defining.clone()).chain(seen) {
            if places.len() < MOST_CLASSES
                && places.iter().all(|(known, _)| known.address != class.address)
                && let Some(function) = self.world.super_method(defining, &class, name)
            {
                places.push((class, function));
            }
        }
        if places.is_empty() {
            return Ok(false);
        }
        self.guard_valid();
        self.specialised += 1;
        self.secure();
        let (receiver, class, _) = (self.pop()?, self.pop()?, self.pop()?);
        let (class_value, receiver_value) = (self.value(class), self.value(receiver));
        let (join, slow) = (self.func.add_block(), self.func.add_block());
        let result = self.func.add_param(join, Type::OBJECT, true);
        let first = self.func.add_param(join, Type::NULLABLE, true);
        if !fixed {
            let defining = self.object(defining.clone());
            let defining = self.build().object(defining);
            let same = self.op(Op::IsSame, &[class_value, defining]);
            self.otherwise(same, slow);
        }
        let mut functions = Vec::new();
        for (place, function) in places {
            let place = self.object(place);
            let right = self.op_imm(Op::IsClass, &[receiver_value], Imm::Obj(place));
            let (found, next) = self.fork(right);
            self.block = found;
            functions.push(function.clone());
            let function = self.object(function);
            let function = self.owned(Entry::Const(function));
            let owned = self.owned(receiver);
            self.release(class);
            self.join(join, vec![function, owned]);
            self.block = next;
        }
        self.join(slow, Vec::new());
        self.block = slow;
        let name = self.object(name.clone());
        let name = self.build().object(name);
        let written = self.build().int(written.into());
        let found = self.call_helper(Helper::SuperMethod, &[class_value, receiver_value, name, written]);
        let taken = self.found_method(found, receiver, class);
        self.join(join, vec![found, taken]);
        self.block = join;
        self.candidates.insert(result, functions);
        self.push_owned(result);
        self.push_owned(first);
        Ok(true)
    }
}
