//! Globals and attributes.

use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator};
use crate::world::{Attribute, Shadow};
use pepjit_ir::op::Reason;
use pepjit_ir::{Block, Cond, Field, Helper, Imm, ObjRef, Op, Type, Value};

/// Classes that one site distinguishes at most.
pub(super) const MOST_CLASSES: usize = 4;

impl Translator<'_> {
    pub(super) fn load_global(&mut self, arg: u32) -> Step {
        let name = self.input.names[(arg >> 1) as usize].clone();
        let changing = self.failed() || self.sets_name(arg >> 1);
        let known = if changing { None } else { self.world.global(&name) };
        // Where it's the real one without being known, what it looks for is in the interpreter's frame.
        if known.is_none() && name.label == "super" {
            return crate::translate::unsupported("super");
        }
        if let Some(value) = known {
            self.guard_valid();
            self.specialised += 1;
            self.push_const(value);
        } else if !self.load_global_slot(&name)? {
            self.load_global_generic(arg >> 1)?;
        }
        if arg & 1 != 0 {
            self.push(Entry::Null);
        }
        Ok(())
    }

    /// A global that changes, from where the dict has it; false if that isn't known.
    fn load_global_slot(&mut self, name: &ObjRef) -> Step<bool> {
        let Some(slot) = self.world.global_slot(name) else { return Ok(false) };
        self.secure();
        let (miss, join) = (self.func.add_block(), self.func.add_block());
        let result = self.func.add_param(join, Type::OBJECT, true);
        self.cold(miss);
        let same = self.same_keys(slot.keys_slot, slot.version);
        self.otherwise(same, miss);
        let address = self.build().word(slot.keys_slot as i64);
        let keys = self.op_imm(Op::LoadU64, &[address], Imm::Int(0));
        let word = self.build().word(slot.word as i64);
        let value = self.op(Op::LoadItem, &[keys, word]);
        let unbound = self.op(Op::IsNull, &[value]);
        let bound = self.op(Op::BoolNot, &[unbound]);
        self.otherwise(bound, miss);
        self.func.values[value.index()].ty = Type::OBJECT;
        if slot.placeholder != 0 {
            let class = self.op_imm(Op::LoadField, &[value], Imm::Field(Field::ObType));
            let placeholder = self.build().word(slot.placeholder as i64);
            let real = self.op_imm(Op::IntCmp, &[class, placeholder], Imm::Cond(Cond::Ne));
            self.otherwise(real, miss);
        }
        self.build().effect(Op::IncRef, &[value], Imm::None);
        self.join(join, vec![value]);
        // The dict has got other keys.
        let before = self.frame.clone();
        self.block = miss;
        let function = self.op(Op::CurrentFunction, &[]);
        let name = self.object(name.clone());
        let name = self.build().object(name);
        let other = self.call_helper(Helper::LoadGlobal, &[function, name]);
        let failed = self.op(Op::IsNull, &[other]);
        self.throw_if(failed);
        let next = self.block;
        self.cold(next);
        self.func.values[other.index()].ty = Type::OBJECT;
        self.push_owned(other);
        self.watch();
        self.join(join, vec![other]);
        self.frame = before;
        self.block = join;
        self.specialised += 1;
        self.push_owned(result);
        Ok(true)
    }

    fn load_global_generic(&mut self, name: u32) -> Step {
        let name = self.input.names[name as usize].clone();
        let function = self.op(Op::CurrentFunction, &[]);
        let name = self.object(name);
        let name = self.build().object(name);
        let result = self.call_helper(Helper::LoadGlobal, &[function, name]);
        self.push_result(result);
        Ok(())
    }

    pub(super) fn store_global(&mut self, arg: u32) -> Step {
        let name = self.input.names[arg as usize].clone();
        let function = self.op(Op::CurrentFunction, &[]);
        let slot = self.world.global_slot(&name);
        let (word, version) = slot.map_or((0, 0), |slot| (slot.word as i64, i64::from(slot.version)));
        let name = self.object(name);
        let name = self.build().object(name);
        let entry = self.peek(0)?;
        let value = self.value(entry);
        let (word, version) = (self.build().int(word), self.build().int(version));
        let status = self.call_helper(Helper::StoreGlobal, &[function, name, value, word, version]);
        let entry = self.pop()?;
        self.release(entry);
        self.check_status(status);
        Ok(())
    }

    /// The version that the inline cache names, at this many units after the opcode.
    fn cached_version(&self, unit: usize) -> Option<u32> {
        let at = self.insn.unit as usize + unit;
        let low = u32::from(*self.input.adaptive.get(at)?);
        let high = u32::from(*self.input.adaptive.get(at + 1)?);
        Some(low | high << 16).filter(|version| *version != 0)
    }

    /// The class of that version.
    fn cached_class(&mut self, unit: usize) -> Option<ObjRef> {
        let version = self.cached_version(unit)?;
        self.world.class_of_version(version)
    }

    /// The class of an attribute's owner: known, or from the cache.
    fn owner_class(&mut self, owner: Entry) -> Option<(ObjRef, bool)> {
        let ty = self.ty(owner);
        if ty.is_class() {
            return Some((self.world.well_known(ty)?, true));
        }
        self.expected_class(owner).map(|class| (class, false))
    }

    /// The class that the inline cache names, or that the owner had before.
    fn expected_class(&mut self, owner: Entry) -> Option<ObjRef> {
        let before = if let Entry::Value(value, _) = owner { self.guarded.get(&value).cloned() } else { None };
        self.cached_class(2).or(before)
    }

    fn byte_at(&mut self, owner: Value, offset: i32) -> Value {
        let address = self.op_imm(Op::AddressOf, &[owner], Imm::Int(i64::from(offset)));
        self.op(Op::LoadByte, &[address])
    }

    fn guard_byte(&mut self, owner: Value, offset: i32) {
        let byte = self.byte_at(owner, offset);
        let zero = self.build().word(0);
        let set = self.op_imm(Op::IntCmp, &[byte, zero], Imm::Cond(Cond::Ne));
        self.guard(Op::Guard, &[set], Imm::Reason(Reason::Attribute));
    }

    pub(super) fn guard_class(&mut self, owner: Value, class: &ObjRef) {
        self.guarded.insert(owner, class.clone());
        let class = self.object(class.clone());
        self.guard(Op::GuardClass, &[owner], Imm::Obj(class));
    }

    /// Guards that the instance doesn't hide an attribute of its class.
    fn guard_shadow(&mut self, owner: Value, shadow: Shadow) {
        if let Shadow::SharedKeys { keys_slot, version, valid_offset } = shadow {
            self.guard_byte(owner, valid_offset);
            let same = self.same_keys(keys_slot, version);
            self.guard(Op::Guard, &[same], Imm::Reason(Reason::Attribute));
        }
    }

    /// Whether a class's shared keys have this version.
    fn same_keys(&mut self, keys_slot: u64, version: u32) -> Value {
        let slot = self.build().word(keys_slot as i64);
        let keys = self.op_imm(Op::LoadU64, &[slot], Imm::Int(0));
        let now = self.op_imm(Op::Load, &[keys], Imm::Field(Field::KeysVersion));
        let then = self.build().word(i64::from(version));
        self.op_imm(Op::IntCmp, &[now, then], Imm::Cond(Cond::Eq))
    }

    pub(super) fn load_attr(&mut self, arg: u32) -> Step {
        let name = self.input.names[(arg >> 1) as usize].clone();
        let method = arg & 1 != 0;
        let owner = self.peek(0)?;
        let varies = self.varies(owner);
        if self.failed() {
            if self.polymorphic_attribute(&name, method)? {
                return Ok(());
            }
            return self.generic_attribute(&name, method);
        }
        // An attribute of a module or class that is known itself.
        if self.attribute_of_class_object(owner, &name, method)? {
            return Ok(());
        }
        if varies && self.polymorphic_attribute(&name, method)? {
            return Ok(());
        }
        let Some((class, known)) = self.owner_class(owner) else { return self.generic_attribute(&name, method) };
        let attribute = self.world.attribute(&class, &name);
        if attribute == Attribute::Generic
            || matches!(attribute, Attribute::Property { .. }) && !self.property_is_direct(&attribute)
        {
            return self.generic_attribute(&name, method);
        }
        let value = self.value(owner);
        if !known {
            self.guard_class(value, &class);
        }
        self.guard_valid();
        self.specialised += 1;
        match attribute {
            Attribute::InlineValue { offset, valid_offset, .. } => {
                self.guard_byte(value, valid_offset);
                self.load_slot(value, offset)?;
            }
            Attribute::Slot { offset, .. } => self.load_slot(value, offset)?,
            Attribute::ClassMethod { function, shadow } if method => {
                self.guard_shadow(value, shadow);
                let owner = self.pop()?;
                self.release(owner);
                self.push_const(function);
                self.push_const(class);
                return Ok(());
            }
            Attribute::Method { function, shadow } if method => {
                self.guard_shadow(value, shadow);
                let owner = self.pop()?;
                self.push_const(function);
                self.push(owner);
                return Ok(());
            }
            Attribute::ClassValue { value: constant, shadow } => {
                self.guard_shadow(value, shadow);
                let owner = self.pop()?;
                self.release(owner);
                self.push_const(constant);
            }
            Attribute::Property { getter } => return self.call_getter(&getter, method),
            Attribute::Method { function, shadow } => {
                self.guard_shadow(value, shadow);
                let receiver = if known { self.ty(owner) } else { Type::OBJECT };
                self.generic_attribute(&name, method)?;
                self.note_method(function, receiver)?;
                return Ok(());
            }
            Attribute::ClassMethod { .. } | Attribute::Generic => {
                return self.generic_attribute(&name, method);
            }
        }
        if method {
            self.push(Entry::Null);
        }
        Ok(())
    }

    /// An attribute of a class object that the run has told of. False if it hasn't.
    fn attribute_of_class_object(&mut self, owner: Entry, name: &ObjRef, method: bool) -> Step<bool> {
        let class = match self.constant(owner) {
            Some(object) => object,
            None if matches!(self.insn.spec, "LOAD_ATTR_CLASS" | "LOAD_ATTR_CLASS_WITH_METACLASS_CHECK") => {
                let Some(class) = self.cached_class(2) else { return Ok(false) };
                class
            }
            None => return Ok(false),
        };
        let (value, receiver) = if let Some(value) = self.world.static_attribute(&class, name) {
            (value, None)
        } else if let Some(function) = if method { self.world.class_method(&class, name) } else { None } {
            (function, Some(class.clone()))
        } else {
            return Ok(false);
        };
        if self.constant(owner).is_none() {
            let object = self.value(owner);
            let class = self.object(class);
            self.guard(Op::GuardIs, &[object], Imm::Obj(class));
        }
        self.guard_valid();
        let owner = self.pop()?;
        self.release(owner);
        self.specialised += 1;
        self.push_const(value);
        match receiver {
            Some(class) => self.push_const(class),
            None if method => self.push(Entry::Null),
            None => {}
        }
        Ok(true)
    }

    /// Whether the owner comes with several classes, or shapes of one: here, or where it was used before.
    fn varies(&mut self, owner: Entry) -> bool {
        if self.failed() {
            let cached = self.cached_version(2);
            self.note_several(owner, cached);
        }
        self.mixed(owner)
    }

    /// The classes that came by; not more than a few.
    fn known_classes(&mut self, owner: Entry) -> Vec<ObjRef> {
        let mut versions = self.input.site_classes.get(&self.insn.offset).cloned().unwrap_or_default();
        if let Entry::Value(value, _) = owner
            && let Some(several) = self.several.get(&value)
        {
            versions.extend(&several.classes);
        }
        let mut classes: Vec<ObjRef> = self.cached_class(2).into_iter().collect();
        for version in versions {
            if let Some(class) = self.world.class_of_version(version)
                && classes.iter().all(|known| known.address != class.address)
            {
                classes.push(class);
            }
        }
        classes.truncate(MOST_CLASSES);
        classes
    }

    /// Where instances of the classes that came by have the attribute.
    fn known_places(&mut self, name: &ObjRef, method: bool) -> Vec<(ObjRef, Attribute)> {
        let mut places = Vec::new();
        let owner = self.peek(0).unwrap_or(Entry::Null);
        for class in self.known_classes(owner) {
            let attribute = self.world.attribute(&class, name);
            let fits = match attribute {
                Attribute::InlineValue { .. } | Attribute::Slot { .. } | Attribute::ClassValue { .. } => !method,
                Attribute::Method { .. } => method,
                Attribute::ClassMethod { .. } | Attribute::Property { .. } | Attribute::Generic => false,
            };
            if fits {
                places.push((class, attribute));
            }
        }
        places
    }

    /// An attribute of one of several classes: a test for each, then the generic way. False if no class is known.
    fn polymorphic_attribute(&mut self, name: &ObjRef, method: bool) -> Step<bool> {
        let places = self.known_places(name, method);
        if places.is_empty() {
            return Ok(false);
        }
        self.guard_valid();
        self.specialised += 1;
        self.secure();
        let owner = self.pop()?;
        let value = self.value(owner);
        let join = self.func.add_block();
        let result = self.func.add_param(join, Type::OBJECT, true);
        let receiver = method.then(|| self.func.add_param(join, Type::NULLABLE, true));
        let slow = self.func.add_block();
        let mut functions = Vec::new();
        for (class, attribute) in places {
            let class = self.object(class);
            let right = self.op_imm(Op::IsClass, &[value], Imm::Obj(class));
            let (found, next) = self.fork(right);
            self.block = found;
            match attribute {
                Attribute::InlineValue { offset, valid_offset, .. } => {
                    self.unless_byte(value, valid_offset, slow);
                    self.part(value, offset, slow, owner, join);
                }
                Attribute::Slot { offset, .. } => self.part(value, offset, slow, owner, join),
                Attribute::Method { function, shadow } => {
                    self.unless_shadowed(value, shadow, slow);
                    functions.push(function.clone());
                    let function = self.object(function);
                    let function = self.owned(Entry::Const(function));
                    let owner = self.owned(owner);
                    self.join(join, vec![function, owner]);
                }
                Attribute::ClassValue { value: constant, shadow } => {
                    self.unless_shadowed(value, shadow, slow);
                    let constant = self.object(constant);
                    let constant = self.owned(Entry::Const(constant));
                    self.release(owner);
                    self.join(join, vec![constant]);
                }
                Attribute::ClassMethod { .. } | Attribute::Property { .. } | Attribute::Generic => self.join(slow, Vec::new()),
            }
            self.block = next;
        }
        self.join(slow, Vec::new());
        self.block = slow;
        let name = self.object(name.clone());
        let name = self.build().object(name);
        let found = self.call_helper(if method { Helper::GetMethod } else { Helper::GetAttr }, &[value, name]);
        let failed = self.op(Op::IsNull, &[found]);
        let mut parts = vec![found];
        if method {
            let taken = self.take_scratch(0);
            self.release(owner);
            self.throw_if_holding(failed, taken);
            parts.push(taken);
        } else {
            self.release(owner);
            self.throw_if(failed);
        }
        self.func.values[found.index()].ty = self.func.ty(found).without(Type::NULL);
        self.join(join, parts);
        self.block = join;
        self.push_owned(result);
        if let Some(receiver) = receiver {
            self.candidates.insert(result, functions);
            self.push_owned(receiver);
        }
        Ok(true)
    }

    /// Goes on if the condition holds, else in a block without parameters.
    pub(super) fn otherwise(&mut self, condition: Value, block: Block) {
        let (then, not) = self.fork(condition);
        self.block = not;
        self.join(block, Vec::new());
        self.block = then;
    }

    fn unless_byte(&mut self, owner: Value, offset: i32, otherwise: Block) {
        let byte = self.byte_at(owner, offset);
        let zero = self.build().word(0);
        let set = self.op_imm(Op::IntCmp, &[byte, zero], Imm::Cond(Cond::Ne));
        self.otherwise(set, otherwise);
    }

    fn unless_shadowed(&mut self, owner: Value, shadow: Shadow, otherwise: Block) {
        if let Shadow::SharedKeys { keys_slot, version, valid_offset } = shadow {
            self.unless_byte(owner, valid_offset, otherwise);
            let same = self.same_keys(keys_slot, version);
            self.otherwise(same, otherwise);
        }
    }

    /// Passes what a slot holds to a block, with a unit, and gives up the owner; goes to another block if the slot is empty.
    fn part(&mut self, owner: Value, offset: i32, empty: Block, entry: Entry, join: Block) {
        let content = self.op_imm(Op::LoadAt, &[owner], Imm::Int(i64::from(offset)));
        let unset = self.op(Op::IsNull, &[content]);
        let set = self.op(Op::BoolNot, &[unset]);
        self.otherwise(set, empty);
        self.func.values[content.index()].ty = Type::OBJECT;
        self.build().effect(Op::IncRef, &[content], Imm::None);
        self.release(entry);
        self.join(join, vec![content]);
    }

    /// Replaces the owner on the stack by what its slot holds.
    fn load_slot(&mut self, owner: Value, offset: i32) -> Step {
        let content = self.op_imm(Op::LoadAt, &[owner], Imm::Int(i64::from(offset)));
        self.guard(Op::GuardBound, &[content], Imm::Reason(Reason::Attribute));
        self.func.values[content.index()].ty = Type::OBJECT;
        let entry = self.pop()?;
        if matches!(entry, Entry::Value(_, Owner::Slot)) {
            // The owner may be freed now, and the content with it.
            self.build().effect(Op::IncRef, &[content], Imm::None);
            self.release(entry);
            self.push_owned(content);
        } else {
            self.push(Entry::Value(content, Owner::Memory));
        }
        Ok(())
    }

    fn property_is_direct(&mut self, attribute: &Attribute) -> bool {
        let Attribute::Property { getter } = attribute else { return false };
        self.world.callee(getter).is_some()
    }

    fn generic_attribute(&mut self, name: &ObjRef, method: bool) -> Step {
        self.generic += 1;
        let owner = self.peek(0)?;
        let value = self.value(owner);
        let name = self.object(name.clone());
        let name = self.build().object(name);
        let helper = if method { Helper::GetMethod } else { Helper::GetAttr };
        let result = self.call_helper(helper, &[value, name]);
        let owner = self.pop()?;
        if !method {
            self.release(owner);
            self.push_result(result);
            return Ok(());
        }
        let failed = self.op(Op::IsNull, &[result]);
        let taken = self.take_scratch(0);
        // The receiver in scratch has a reference of its own (or is null).
        self.release(owner);
        self.throw_if_holding(failed, taken);
        self.func.values[result.index()].ty = self.func.ty(result).without(Type::NULL);
        self.push_owned(result);
        self.push_owned(taken);
        Ok(())
    }

    /// The helper's further result, with its unit.
    pub(super) fn take_scratch(&mut self, index: i64) -> Value {
        self.op_imm(Op::LoadScratch, &[], Imm::Int(index))
    }

    pub(super) fn store_attr(&mut self, arg: u32) -> Step {
        let name = self.input.names[arg as usize].clone();
        let owner = self.peek(0)?;
        let varies = self.varies(owner);
        let place = if varies && self.polymorphic_store(&name)? {
            return Ok(());
        } else if self.failed() {
            None
        } else {
            self.expected_class(owner).map(|class| (self.world.attribute(&class, &name), class))
        };
        let (offset, inline, class) = match place {
            Some((Attribute::InlineValue { offset, index, valid_offset, dict_offset, storable: true }, class)) => {
                (offset, Some((index, valid_offset, dict_offset)), class)
            }
            Some((Attribute::Slot { offset, storable: true }, class)) => (offset, None, class),
            _ => return self.generic_store_attribute(&name),
        };
        let owner_value = self.value(owner);
        self.guard_class(owner_value, &class);
        self.guard_valid();
        if let Some((_, valid_offset, dict_offset)) = inline {
            self.guard_byte(owner_value, valid_offset);
            let dict = self.op_imm(Op::LoadAt, &[owner_value], Imm::Int(i64::from(dict_offset)));
            let none = self.op(Op::IsNull, &[dict]);
            self.guard(Op::Guard, &[none], Imm::Reason(Reason::Attribute));
        }
        self.specialised += 1;
        self.secure();
        let (owner, value) = (self.pop()?, self.pop()?);
        let old = self.op_imm(Op::LoadAt, &[owner_value], Imm::Int(i64::from(offset)));
        if let Some((index, ..)) = inline {
            // A first store also notes the order of insertion.
            let unset = self.op(Op::IsNull, &[old]);
            let (first, again) = self.fork(unset);
            let creating = self.input.name.ends_with("__init__");
            self.cold(if creating { again } else { first });
            let done = self.func.add_block();
            self.block = first;
            let counted = self.owned(value);
            let number = self.build().int(i64::from(index));
            // The guards are what the helper asks for, and nothing has happened since: it takes the value.
            self.build().call(Helper::InlineValueAdd, &[owner_value, counted, number]);
            self.join(done, Vec::new());
            self.block = again;
            self.store_at(owner_value, offset, value);
            self.join(done, Vec::new());
            self.block = done;
        } else {
            self.store_at(owner_value, offset, value);
        }
        self.release(owner);
        Ok(())
    }

    /// Stores an attribute of one of several classes: a test for each, then the generic way. False if no class is known.
    fn polymorphic_store(&mut self, name: &ObjRef) -> Step<bool> {
        let mut places = Vec::new();
        let owner = self.peek(0)?;
        for class in self.known_classes(owner) {
            match self.world.attribute(&class, name) {
                Attribute::InlineValue { offset, index, valid_offset, dict_offset, storable: true } => {
                    places.push((class, offset, Some((index, valid_offset, dict_offset))));
                }
                Attribute::Slot { offset, storable: true } => places.push((class, offset, None)),
                _ => {}
            }
        }
        if places.is_empty() {
            return Ok(false);
        }
        self.guard_valid();
        self.specialised += 1;
        self.before_call();
        let (owner, value) = (self.pop()?, self.pop()?);
        let owner_value = self.value(owner);
        let done = self.func.add_block();
        let slow = self.func.add_block();
        for (class, offset, inline) in places {
            let class = self.object(class);
            let right = self.op_imm(Op::IsClass, &[owner_value], Imm::Obj(class));
            let (found, next) = self.fork(right);
            self.block = found;
            if let Some((index, valid_offset, dict_offset)) = inline {
                self.unless_byte(owner_value, valid_offset, slow);
                let dict = self.op_imm(Op::LoadAt, &[owner_value], Imm::Int(i64::from(dict_offset)));
                let none = self.op(Op::IsNull, &[dict]);
                self.otherwise(none, slow);
                let old = self.op_imm(Op::LoadAt, &[owner_value], Imm::Int(i64::from(offset)));
                let unset = self.op(Op::IsNull, &[old]);
                let (first, again) = self.fork(unset);
                self.block = first;
                let counted = self.owned(value);
                let number = self.build().int(i64::from(index));
                self.build().call(Helper::InlineValueAdd, &[owner_value, counted, number]);
                self.release(owner);
                self.join(done, Vec::new());
                self.block = again;
            }
            self.store_at(owner_value, offset, value);
            self.release(owner);
            self.join(done, Vec::new());
            self.block = next;
        }
        self.join(slow, Vec::new());
        self.block = slow;
        let stored = self.value(value);
        let name = self.object(name.clone());
        let name = self.build().object(name);
        let status = self.build().call(Helper::SetAttr, &[owner_value, name, stored]);
        self.release(value);
        self.release(owner);
        self.check_status(status);
        self.join(done, Vec::new());
        self.block = done;
        Ok(true)
    }

    /// Puts an entry that has been popped into a slot of an object and gives the old content up; numbers are written in place.
    fn store_at(&mut self, owner: Value, offset: i32, entry: Entry) {
        if let Some((op, unboxed)) = self.unboxed(entry) {
            let address = self.op_imm(Op::AddressOf, &[owner], Imm::Int(i64::from(offset)));
            self.build().effect(op, &[address, unboxed], Imm::None);
            if let Entry::Value(value, Owner::Slot) = entry {
                self.build().effect(Op::DecRef, &[value], Imm::None);
            }
            return;
        }
        let counted = self.owned(entry);
        let old = self.op_imm(Op::SwapAt, &[owner, counted], Imm::Int(i64::from(offset)));
        self.build().effect(Op::DecRef, &[old], Imm::None);
    }

    /// The number in a fresh box that nobody else holds, with the instruction that stores it in place.
    pub(super) fn unboxed(&self, entry: Entry) -> Option<(Op, Value)> {
        let Entry::Value(value, Owner::Slot) = entry else { return None };
        let def = self.func.def(value)?;
        match def.op {
            Op::BoxFloat => Some((Op::StoreFloatInPlace, def.args[0])),
            Op::BoxInt => Some((Op::StoreIntInPlace, def.args[0])),
            _ => None,
        }
    }

    fn generic_store_attribute(&mut self, name: &ObjRef) -> Step {
        self.generic += 1;
        let (value, owner) = (self.peek(1)?, self.peek(0)?);
        let (stored, object) = (self.value(value), self.value(owner));
        let name = self.object(name.clone());
        let name = self.build().object(name);
        let status = self.call_helper(Helper::SetAttr, &[object, name, stored]);
        let (owner, value) = (self.pop()?, self.pop()?);
        self.release(value);
        self.release(owner);
        self.check_status(status);
        Ok(())
    }

    pub(super) fn delete_attr(&mut self, arg: u32) -> Step {
        let name = self.input.names[arg as usize].clone();
        let owner = self.peek(0)?;
        let object = self.value(owner);
        let name = self.object(name);
        let name = self.build().object(name);
        let status = self.call_helper(Helper::DelAttr, &[object, name]);
        let owner = self.pop()?;
        self.release(owner);
        self.check_status(status);
        Ok(())
    }
}
