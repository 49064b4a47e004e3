//! Calls of Python functions and classes: arguments are bound to parameters when compiling, and the callee's code is called directly.

use super::exceptions::ENTER;
use crate::input::PyVersion;
use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator};
use crate::world::{CalleeInfo, KnownBy, Signature, Target};
use pepjit_ir::op::Reason;
use pepjit_ir::{Block, Cond, Field, Helper, Imm, ObjRef, Op, Parameter, Type, Value};

/// A call whose operands are on the stack.
pub(super) struct Site {
    /// What is called.
    pub(super) callable: Entry,
    /// The receiver, if there is one, and the positional arguments.
    pub(super) positional: Vec<Entry>,
    /// Names and values.
    pub(super) keywords: Vec<(ObjRef, Entry)>,
    /// How many stack entries the call takes.
    pub(super) operands: usize,
    /// Whether there is no telling if there's a receiver.
    pub(super) doubtful: bool,
}

/// What a parameter is given.
#[derive(Clone, Debug)]
enum Argument {
    /// This.
    Plain(Entry),
    /// `*args`: a tuple of these.
    Rest(Vec<Entry>),
    /// `**kwargs`: a dict of these.
    Others(Vec<(ObjRef, Entry)>),
}

/// The same, converted to what the callee takes.
enum Passed {
    /// A number, or an object that is borrowed.
    Value(Value),
    /// An object that the callee takes a unit of.
    Owned(Entry),
    Rest(Vec<Entry>),
    Others(Vec<(ObjRef, Entry)>),
}

impl Translator<'_> {
    /// The call with `count` arguments on the stack, the last of which have these names (whose tuple is on top).
    pub(super) fn site(&self, count: usize, names: Option<Vec<ObjRef>>) -> Step<Site> {
        let over = usize::from(names.is_some());
        let operands = count + 2 + over;
        let (callable, receiver) = (self.peek(operands - 1)?, self.peek(operands - 2)?);
        let mut positional = Vec::new();
        if receiver != Entry::Null {
            positional.push(receiver);
        }
        for depth in (over..count + over).rev() {
            positional.push(self.peek(depth)?);
        }
        let names = names.unwrap_or_default();
        let values = positional.split_off(positional.len() - names.len());
        let doubtful = receiver != Entry::Null && self.may_be_null(receiver);
        Ok(Site { callable, positional, keywords: names.into_iter().zip(values).collect(), operands, doubtful })
    }

    /// Calls what isn't a known builtin.
    pub(super) fn call_site(&mut self, site: &Site) -> Step {
        let Some(object) = self.constant(site.callable) else {
            let Entry::Value(callable, _) = site.callable else { return self.call_generic(site) };
            if !self.failed() && self.peek(site.operands - 2)? == Entry::Null && self.call_method(callable, site)? {
                return Ok(());
            }
            if !self.failed() && self.calls_method() {
                return self.call_generic(site);
            }
            let targets = self.targets(callable, site);
            return self.call_one_of(callable, &targets, site);
        };
        if self.failed() || site.doubtful {
            return self.call_generic(site);
        }
        if object.ty == Type::FUNCTION {
            return self.call_function(&object, site);
        }
        if self.world.class_call(&object).is_some() {
            return self.call_class(&object, site);
        }
        if site.keywords.is_empty() && site.positional.len() == 3 && self.world.is_object_setattr(&object) {
            return self.call_object_setattr(site);
        }
        if site.keywords.is_empty() && self.call_native(&object, self.peek(site.operands - 2)?, site.operands - 2)? {
            return Ok(());
        }
        self.call_generic(site)
    }

    /// The helper that does a call in the interpreter's way.
    fn generic_helper(&self, site: &Site) -> Helper {
        if !site.keywords.is_empty() {
            Helper::CallKeywords
        } else if self.enters_context() {
            Helper::EnterContext
        } else {
            Helper::CallObject
        }
    }

    /// Whether this call enters a `with` statement, where 3.15 looks for no signals.
    fn enters_context(&self) -> bool {
        let before = || self.bytecode.insns.iter().find(|insn| insn.next == self.insn.offset);
        self.input.version >= PyVersion::V315
            && before().is_some_and(|insn| insn.name == "LOAD_SPECIAL" && i64::from(insn.arg) == ENTER)
    }

    /// Calls whatever is on the stack, through the interpreter's own protocol.
    fn call_generic(&mut self, site: &Site) -> Step {
        // The interpreter calls a function that has just been made without leaving its loop; from here a call enters it anew.
        let made = match site.callable {
            Entry::Value(callable, _) => self.func.def(callable).is_some_and(|def| def.imm == Imm::Helper(Helper::MakeFunction)),
            _ => false,
        };
        if made {
            self.generic += INTERPRETED_CALL;
        }
        self.generic_op(self.generic_helper(site), site.operands, &[])
    }

    /// `object.__setattr__(instance, name, value)`, as frozen dataclasses do.
    fn call_object_setattr(&mut self, site: &Site) -> Step {
        let operands: Vec<Value> = site.positional.iter().map(|entry| self.value(*entry)).collect();
        self.secure();
        self.specialised += 1;
        let status = self.call_helper(Helper::ObjectSetAttr, &operands);
        self.drop_operands(site.operands)?;
        self.check_status(status);
        let Some(none) = self.world.none() else { return crate::translate::unsupported("None") };
        self.push_const(none);
        Ok(())
    }

    /// Calls a getter with its owner, which is on the stack.
    pub(super) fn call_getter(&mut self, getter: &ObjRef, method: bool) -> Step {
        let owner = self.pop()?;
        let getter = self.object(getter.clone());
        self.push(Entry::Const(getter));
        self.push(owner);
        let site = self.site(0, None)?;
        self.call_site(&site)?;
        if method {
            self.push(Entry::Null);
        }
        Ok(())
    }

    /// What each parameter is given; none if the call doesn't fit: the interpreter raises.
    fn bind(&mut self, signature: &Signature, positional: &[Entry], keywords: &[(ObjRef, Entry)]) -> Option<Vec<Argument>> {
        let mut bound: Vec<Option<Entry>> = vec![None; signature.names.len()];
        let plain = positional.len().min(signature.positional);
        if positional.len() > plain && !signature.rest {
            return None;
        }
        for (place, entry) in bound.iter_mut().zip(&positional[..plain]) {
            *place = Some(*entry);
        }
        let mut others = Vec::new();
        for (name, entry) in keywords {
            let named = |known: &String| *known == name.label;
            match signature.names[signature.positional_only..].iter().position(named) {
                Some(at) if bound[signature.positional_only + at].is_none() => {
                    bound[signature.positional_only + at] = Some(*entry);
                }
                None if signature.others => others.push((name.clone(), *entry)),
                _ => return None,
            }
        }
        let mut arguments = Vec::new();
        for (place, default) in bound.into_iter().zip(&signature.defaults) {
            let entry = match (place, default) {
                (Some(entry), _) => entry,
                (None, Some(default)) => Entry::Const(self.object(default.clone())),
                (None, None) => return None,
            };
            arguments.push(Argument::Plain(entry));
        }
        if signature.rest {
            arguments.push(Argument::Rest(positional[plain..].to_vec()));
        }
        if signature.others {
            arguments.push(Argument::Others(others));
        }
        Some(arguments)
    }

    /// Each argument as the callee wants it, or none if one can't be.
    fn pass(&mut self, info: &CalleeInfo, arguments: Vec<Argument>) -> Option<Vec<Passed>> {
        let parameters = info.callee.parameters().to_vec();
        let impossible = |(argument, parameter): (&Argument, &Parameter)| match argument {
            Argument::Plain(entry) => self.ty(*entry).intersect(parameter.ty.boxed()).is_empty(),
            _ => false,
        };
        if arguments.len() != parameters.len() || arguments.iter().zip(&parameters).any(impossible) {
            return None;
        }
        let mut passed = Vec::new();
        for (argument, parameter) in arguments.into_iter().zip(parameters) {
            passed.push(match argument {
                Argument::Rest(entries) => Passed::Rest(entries),
                Argument::Others(entries) => Passed::Others(entries),
                Argument::Plain(entry) if parameter.owned => Passed::Owned(entry),
                Argument::Plain(entry) => {
                    let value = self.value(entry);
                    Passed::Value(match parameter.ty {
                        Type::C_INT => self.checked(Op::UnboxInt, &[value]),
                        Type::C_FLOAT => self.checked(Op::UnboxFloat, &[value]),
                        _ => value,
                    })
                }
            });
        }
        Some(passed)
    }

    /// Whether the callee can take the arguments without a check of their classes.
    fn is_passable(&self, info: &CalleeInfo, arguments: &[Argument]) -> bool {
        arguments.iter().zip(info.callee.parameters()).all(|(argument, parameter)| match argument {
            Argument::Plain(entry) => parameter.ty == Type::OBJECT || self.ty(*entry) == parameter.ty.boxed(),
            _ => true,
        })
    }

    /// The operands of a direct call, a unit of each for those that the callee takes one of: made, or from the stack, where nothing is left of
    /// them. `first` takes the first one's place; it's given up as well if a tuple or dict that a parameter is given can't be made.
    fn operands(&mut self, passed: Vec<Passed>, first: Option<Value>, site: &Site) -> Vec<Value> {
        let (mut values, mut collections, mut owned) = (Vec::new(), Vec::new(), Vec::new());
        for argument in passed {
            let (helper, items, moved) = match argument {
                Passed::Value(value) => {
                    values.push(value);
                    continue;
                }
                Passed::Owned(entry) => {
                    // Taken when nothing can fail any more.
                    values.push(self.value(entry));
                    owned.push((values.len() - 1, entry));
                    continue;
                }
                Passed::Rest(entries) => {
                    let items: Vec<Value> = entries.into_iter().map(|entry| self.take(entry, site)).collect();
                    (Helper::BuildTuple, items, Vec::new())
                }
                Passed::Others(entries) => {
                    let mut items = Vec::new();
                    for (name, entry) in &entries {
                        let name = self.object(name.clone());
                        items.push(self.build().object(name));
                        items.push(self.value(*entry));
                    }
                    (Helper::BuildMap, items, entries)
                }
            };
            let collection = self.build().call(helper, &items);
            let failed = self.op(Op::IsNull, &[collection]);
            // The operands are still on the stack: the interpreter gives them up.
            let held: Vec<Value> = collections.iter().copied().chain(first).collect();
            self.throw_with(failed, &held);
            let ty = if helper == Helper::BuildTuple { Type::TUPLE } else { Type::DICT };
            self.func.values[collection.index()].ty = ty;
            for (_, entry) in moved {
                // The dict has them now.
                if let Some(value) = self.take_off(entry, site) {
                    self.op_effect(Op::DecRef, value);
                }
            }
            values.push(collection);
            collections.push(collection);
        }
        for (position, entry) in owned {
            match first.filter(|_| position == 0) {
                Some(first) => self.op_effect(Op::IncRef, first),
                None => values[position] = self.take(entry, site),
            }
        }
        if let Some(first) = first {
            values[0] = first;
        }
        values
    }

    /// An operand of a call that is on the stack, with its unit: null is left in its place. None if the stack has no unit of it.
    fn take_off(&mut self, entry: Entry, site: &Site) -> Option<Value> {
        let Entry::Value(value, Owner::Slot) = entry else { return None };
        let bottom = self.frame.stack.len() - site.operands;
        let place = self.frame.stack[bottom..].iter_mut().find(|operand| **operand == entry)?;
        *place = Entry::Null;
        Some(value)
    }

    /// An operand of a call with a unit: its own, or one that is made for it.
    fn take(&mut self, entry: Entry, site: &Site) -> Value {
        self.take_off(entry, site).unwrap_or_else(|| {
            let value = self.value(entry);
            self.op_effect(Op::IncRef, value);
            value
        })
    }

    /// Gives up a direct call's operands in the order in which the interpreter clears the callee's frame.
    fn drop_arguments(&mut self, site: &Site) -> Step {
        if self.input.version == PyVersion::V313 {
            let bottom = self.frame.stack.len() - site.operands;
            for index in bottom + 1..self.frame.stack.len() {
                let entry = std::mem::replace(&mut self.frame.stack[index], Entry::Null);
                self.release(entry);
            }
        }
        self.drop_operands(site.operands)
    }

    fn op_effect(&mut self, op: Op, value: Value) {
        self.build().effect(op, &[value], Imm::None);
    }

    /// The direct call itself, after `before_call`; gives up what was made for it and the call's operands. The result is a pair.
    fn invoke(
        &mut self,
        info: CalleeInfo,
        function: Value,
        passed: Vec<Passed>,
        first: Option<Value>,
        site: &Site,
    ) -> Step<Value> {
        let mut values = self.operands(passed, first, site);
        if info.callee.function_cell != 0 {
            values.insert(0, function);
        }
        let callee = self.func.add_callee(info.callee);
        let pair = self.build().call_direct(callee, &values);
        self.drop_arguments(site)?;
        Ok(pair)
    }

    /// Calls a Python function that is known, if it's compiled.
    pub(super) fn call_function(&mut self, function: &ObjRef, site: &Site) -> Step {
        let Some(info) = self.world.callee(function) else { return self.call_generic(site) };
        let Some(arguments) = self.bind(&info.signature, &site.positional, &site.keywords) else {
            return self.call_generic(site);
        };
        let Some(passed) = self.pass(&info, arguments) else { return self.call_generic(site) };
        self.guard_valid();
        self.specialised += 1;
        self.before_call();
        let function = self.value(site.callable);
        let pair = self.invoke(info, function, passed, None, site)?;
        self.push_pair(pair);
        Ok(())
    }

    /// Throws if a direct call failed, else pushes its result.
    fn push_pair(&mut self, pair: Value) {
        let failed = self.op(Op::PairFailed, &[pair]);
        self.throw_if(failed);
        let result = self.op(Op::PairToObject, &[pair]);
        self.push_owned(result);
    }

    /// The functions that a call may be of, as far as they can be called directly.
    pub(super) fn targets(&mut self, callable: Value, site: &Site) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        if self.failed() && self.candidates.contains_key(&callable) || site.callable == Entry::Null {
            return targets;
        }
        for function in self.candidates.get(&callable).cloned().unwrap_or_default() {
            let known_by = KnownBy::Identity(function.clone());
            if function.ty == Type::FUNCTION
                && targets.iter().all(|known| known.known_by != known_by)
                && let Some(info) = self.world.callee(&function)
            {
                targets.push(Target { known_by, info });
            }
        }
        if targets.is_empty() {
            for version in self.versions() {
                if let Some(target) = self.world.function_of_version(version)
                    && targets.iter().all(|known| known.known_by != target.known_by)
                {
                    targets.push(target);
                }
            }
        }
        targets
    }

    /// The versions of functions that have been called here: what the interpreter has specialised the call for, and what it was seen to call.
    fn versions(&self) -> Vec<u32> {
        let seen = self.input.site_functions.get(&self.insn.unit).cloned().unwrap_or_default();
        self.cached_function().into_iter().chain(seen).collect()
    }

    fn cached_function(&self) -> Option<u32> {
        let specialised =
            matches!(self.insn.spec, "CALL_PY_EXACT_ARGS" | "CALL_PY_GENERAL" | "CALL_KW_PY" | "CALL_PY_WITH_DEFAULTS")
                || self.calls_method();
        let at = self.insn.unit as usize + 2;
        let (low, high) = (self.input.adaptive.get(at)?, self.input.adaptive.get(at + 1)?);
        specialised.then(|| u32::from(*low) | u32::from(*high) << 16)
    }

    /// Whether the callable is the target.
    fn is_target(&mut self, callable: Value, known_by: &KnownBy) -> Step<Value> {
        match known_by {
            KnownBy::Identity(function) => {
                let function = self.object(function.clone());
                let function = self.build().object(function);
                Ok(self.op(Op::IsSame, &[callable, function]))
            }
            KnownBy::Vectorcall(cell) => {
                let entry = self.op_imm(Op::LoadField, &[callable], Imm::Field(Field::FunctionVectorcall));
                let cell = self.build().word(cell.cast_signed());
                let expected = self.op_imm(Op::LoadU64, &[cell], Imm::Int(0));
                Ok(self.op_imm(Op::IntCmp, &[entry, expected], Imm::Cond(Cond::Eq)))
            }
        }
    }

    /// Goes on if the callable is the target, else in another block.
    fn unless_target(&mut self, callable: Value, known_by: &KnownBy, otherwise: Block) -> Step {
        if matches!(known_by, KnownBy::Vectorcall(_)) {
            let class = self.well_known(Type::FUNCTION)?;
            let plain = self.op_imm(Op::IsClass, &[callable], Imm::Obj(class));
            self.otherwise(plain, otherwise);
        }
        let right = self.is_target(callable, known_by)?;
        self.otherwise(right, otherwise);
        Ok(())
    }

    /// Calls one of several functions directly, or whatever else it is.
    pub(super) fn call_one_of(&mut self, callable: Value, targets: &[Target], site: &Site) -> Step {
        if let [target] = targets
            && !self.failed()
            && !site.doubtful
        {
            return self.call_expected(callable, target, site);
        }
        let mut known = Vec::new();
        for target in targets {
            if let Some(arguments) = self.bind(&target.info.signature, &site.positional, &site.keywords)
                && self.is_passable(&target.info, &arguments)
            {
                known.push((target.clone(), arguments));
            }
        }
        if known.is_empty() {
            return self.call_generic(site);
        }
        self.guard_valid();
        self.specialised += 1;
        self.before_call();
        let frame = self.frame.clone();
        let join = self.func.add_block();
        let result = self.func.add_param(join, Type::OBJECT, true);
        let slow = self.func.add_block();
        if site.doubtful {
            let receiver = self.peek(site.operands - 2)?;
            let receiver = self.value(receiver);
            let unbound = self.op(Op::IsNull, &[receiver]);
            let bound = self.op(Op::BoolNot, &[unbound]);
            self.otherwise(bound, slow);
        }
        for (target, arguments) in known {
            let next = self.func.add_block();
            self.unless_target(callable, &target.known_by, next)?;
            let Some(passed) = self.pass(&target.info, arguments) else { return crate::translate::unsupported("arguments") };
            let pair = self.invoke(target.info, callable, passed, None, site)?;
            let failed = self.op(Op::PairFailed, &[pair]);
            self.throw_if(failed);
            let object = self.op(Op::PairToObject, &[pair]);
            self.join(join, vec![object]);
            self.frame = frame.clone();
            self.block = next;
        }
        self.join(slow, Vec::new());
        self.block = slow;
        let operands: Vec<Entry> = self.frame.stack[self.frame.stack.len() - site.operands..].to_vec();
        let object = if let Some(giving) = self.giving(self.generic_helper(site), &operands) {
            let values: Vec<Value> = operands.into_iter().map(|entry| self.owned(entry)).collect();
            self.frame.stack.truncate(self.frame.stack.len() - site.operands);
            self.build().call(giving, &values)
        } else {
            let values: Vec<Value> = operands.into_iter().map(|entry| self.value(entry)).collect();
            let helper = self.generic_helper(site);
            let object = self.build().call(helper, &values);
            self.drop_operands(site.operands)?;
            object
        };
        let failed = self.op(Op::IsNull, &[object]);
        self.throw_if(failed);
        self.func.values[object.index()].ty = Type::OBJECT;
        self.join(join, vec![object]);
        self.block = join;
        self.push_owned(result);
        Ok(())
    }

    /// Calls the function that was called here before, and leaves if it's another one.
    fn call_expected(&mut self, callable: Value, target: &Target, site: &Site) -> Step {
        let info = target.info.clone();
        let Some(arguments) = self.bind(&info.signature, &site.positional, &site.keywords) else {
            return self.call_generic(site);
        };
        let impossible = |(argument, parameter): (&Argument, &Parameter)| match argument {
            Argument::Plain(entry) => self.ty(*entry).intersect(parameter.ty.boxed()).is_empty(),
            _ => false,
        };
        if arguments.iter().zip(info.callee.parameters()).any(impossible) {
            return self.call_generic(site);
        }
        if matches!(target.known_by, KnownBy::Vectorcall(_)) {
            self.guard_type(site.callable, Type::FUNCTION)?;
        }
        let right = self.is_target(callable, &target.known_by)?;
        self.guard(Op::Guard, &[right], Imm::Reason(Reason::Callee));
        let Some(passed) = self.pass(&info, arguments) else { return self.call_generic(site) };
        self.guard_valid();
        self.specialised += 1;
        self.before_call();
        let pair = self.invoke(info, callable, passed, None, site)?;
        self.push_pair(pair);
        Ok(())
    }

    /// Makes an instance and calls its `__init__` directly.
    fn call_class(&mut self, class: &ObjRef, site: &Site) -> Step {
        let Some(call) = self.world.class_call(class) else { return self.call_generic(site) };
        if self.peek(site.operands - 2)? != Entry::Null {
            return self.call_generic(site);
        }
        let class_id = self.object(class.clone());
        // The arguments are converted before anything happens; the instance takes the first place.
        let init = match &call.init {
            None if site.operands == 2 => None,
            None => return self.call_generic(site),
            Some(init) => {
                let Some(info) = self.world.callee(init) else { return self.call_generic(site) };
                if info.callee.parameters().first().is_none_or(|first| first.ty != Type::OBJECT) || info.signature.positional == 0
                {
                    return self.call_generic(site);
                }
                let mut positional = site.positional.clone();
                positional.insert(0, Entry::Const(class_id));
                let Some(arguments) = self.bind(&info.signature, &positional, &site.keywords) else {
                    return self.call_generic(site);
                };
                let Some(passed) = self.pass(&info, arguments) else { return self.call_generic(site) };
                let function = self.object(init.clone());
                Some((info, function, passed))
            }
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
        if let Some((info, function, passed)) = init {
            let function = self.build().object(function);
            let pair = self.invoke(info, function, passed, Some(instance), site)?;
            let failed = self.op(Op::PairFailed, &[pair]);
            self.throw_if_holding(failed, instance);
            // `class_call` vouches for `__init__` returning None.
            self.op_effect(Op::PairDrop, pair);
        } else {
            self.drop_operands(site.operands)?;
        }
        self.push_owned(instance);
        Ok(())
    }
}

/// What a call of a function that has just been made costs through the interpreter's protocol, beside what other generic operations do.
const INTERPRETED_CALL: u32 = 8;
