//! Calls of methods that have been bound before: `append = items.append`, and `append(item)` later.
//!
//! The bound method stays on the stack until the call is over, so that what it's bound to needs no reference of its own. In the interpreter the
//! callee's frame may be the last to hold that: see [`Translator::outlives`].

use super::functions::Site;
use crate::input::PyVersion;
use crate::state::{Entry, Owner};
use crate::translate::{Method, Step, Translator};
use crate::world::{Builtin, CalleeInfo};
use pepjit_ir::{Field, Imm, ObjRef, Op, Type, Value};

impl Translator<'_> {
    /// The method on top of the stack has just been bound.
    pub(super) fn note_method(&mut self, function: ObjRef, receiver: Type) -> Step {
        if let Entry::Value(bound, _) = self.peek(0)? {
            let python = function.ty == Type::FUNCTION;
            if python {
                self.func.values[bound.index()].ty = Type::METHOD;
            }
            if python || self.world.native(&function).is_some_and(|native| native.method) {
                self.methods.insert(bound, Method { function, receiver });
            }
        }
        Ok(())
    }

    /// Whether the interpreter has specialised the current call for bound methods.
    pub(super) fn calls_method(&self) -> bool {
        matches!(self.insn.spec, "CALL_BOUND_METHOD_EXACT_ARGS" | "CALL_BOUND_METHOD_GENERAL" | "CALL_KW_BOUND_METHOD")
    }

    /// What a method is bound to: held by the method.
    fn bound_to(&mut self, method: Value, field: Field, ty: Type) -> Value {
        let receiver = self.op_imm(Op::LoadField, &[method], Imm::Field(field));
        self.func.values[receiver.index()].ty = ty;
        receiver
    }

    /// Whether nobody can tell if a bound method holds its object until the callee has returned. If nobody else holds the method, its object may
    /// die with the callee's frame: as the last of its variables, unless the callee gives it up before. (3.13 clears frames from their start.)
    fn outlives(&self, method: Entry, info: &CalleeInfo) -> bool {
        let held = !matches!(method, Entry::Value(_, Owner::Slot));
        let kept = info.callee.parameters().first().is_some_and(|first| !first.owned);
        held || self.input.version >= PyVersion::V314 && kept
    }

    /// Calls the function of a bound method directly; false if it isn't known.
    pub(super) fn call_method(&mut self, callable: Value, site: &Site) -> Step<bool> {
        if let Some(Method { function, receiver }) = self.methods.get(&callable).cloned() {
            if function.ty != Type::FUNCTION {
                return self.call_bound_native(callable, &function, receiver, site);
            }
            match self.world.callee(&function) {
                Some(info) if self.outlives(site.callable, &info) => {}
                _ => return Ok(false),
            }
            let receiver = self.bound_to(callable, Field::MethodSelf, receiver);
            let function_id = self.object(function.clone());
            let site = site.of_method(Entry::Const(function_id), Entry::Value(receiver, Owner::Memory));
            self.call_function(&function, &site)?;
            return Ok(true);
        }
        if !self.calls_method() && self.likely(site.callable) != Type::METHOD {
            return Ok(false);
        }
        let targets = self.targets(callable, site);
        if targets.is_empty() || !targets.iter().all(|target| self.outlives(site.callable, &target.info)) {
            return Ok(false);
        }
        self.guard_type(site.callable, Type::METHOD)?;
        let function = self.bound_to(callable, Field::MethodFunction, Type::OBJECT);
        let receiver = self.bound_to(callable, Field::MethodSelf, Type::OBJECT);
        let site = site.of_method(Entry::Value(function, Owner::Memory), Entry::Value(receiver, Owner::Memory));
        self.call_one_of(function, &targets, &site)?;
        Ok(true)
    }

    /// Calls a method in C that is bound to an object of a known class.
    fn call_bound_native(&mut self, callable: Value, function: &ObjRef, class: Type, site: &Site) -> Step<bool> {
        if !site.keywords.is_empty() {
            return Ok(false);
        }
        let count = site.operands - 2;
        let receiver = self.bound_to(callable, Field::BuiltinSelf, class);
        let receiver = Entry::Value(receiver, Owner::Memory);
        if self.world.builtin(function) == Some(Builtin::ListAppend) && count == 1 && class == Type::LIST {
            let arguments = [receiver, self.peek(0)?];
            self.specialised += 1;
            return self.call_builtin(Builtin::ListAppend, function, &arguments, count);
        }
        self.call_native(function, receiver, count)
    }
}

impl Site {
    /// The same call, of the function of a bound method that is on the stack.
    fn of_method(&self, callable: Entry, receiver: Entry) -> Site {
        let positional = std::iter::once(receiver).chain(self.positional.iter().copied()).collect();
        Site { callable, positional, keywords: self.keywords.clone(), operands: self.operands, doubtful: false }
    }
}
