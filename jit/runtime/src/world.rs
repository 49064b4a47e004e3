//! The front end's questions, answered from the running process; what it relies on is noted.

use crate::assumptions::Assumption;
use crate::engine::Engine;
use crate::ffi::{self, Object};
use crate::objects::{CodeFacts, code_facts, code_name, describe, function_info, text, tuple, type_of_bit};
use crate::registry::{EntryCell, UnitId};
use pepjit_frontend::input::{CO_VARARGS, CO_VARKEYWORDS};
use pepjit_frontend::{
    Attribute, Builtin, CalleeInfo, ClassCall, CodeInput, Convention, Entry, GlobalSlot, KnownBy, Native, Numbers, Shadow,
    Signature, Subscripted, Target, World,
};
use pepjit_ir::{Callee, ObjRef, Type};
use std::collections::HashSet;
use std::rc::Rc;

/// Answers for one compilation.
pub(crate) struct ProcessWorld<'a> {
    engine: &'a mut Engine,
    unit: UnitId,
    code: Object,
    globals: Object,
    builtins: Object,
    assumptions: Vec<Assumption>,
    callees: Vec<Rc<EntryCell>>,
    sites: Vec<Rc<ffi::Site>>,
    /// Objects that something holds whose change would be reported first.
    held: HashSet<usize>,
}

/// What a compilation has found out about the process.
pub(crate) struct Findings {
    /// What the code assumes.
    pub(crate) assumptions: Vec<Assumption>,
    /// Through which cells it may call.
    pub(crate) callees: Vec<Rc<EntryCell>>,
    /// The subscripts at which it notes what comes by.
    pub(crate) sites: Vec<Rc<ffi::Site>>,
    /// The objects that are alive as long as the assumptions hold.
    pub(crate) held: HashSet<usize>,
}

const BUILTINS: [Builtin; 19] = [
    Builtin::Len,
    Builtin::IsInstance,
    Builtin::Range,
    Builtin::Abs,
    Builtin::Min,
    Builtin::Max,
    Builtin::Ord,
    Builtin::Chr,
    Builtin::Int,
    Builtin::Float,
    Builtin::Bool,
    Builtin::Type,
    Builtin::MathSqrt,
    Builtin::ListAppend,
    Builtin::Str,
    Builtin::Tuple,
    Builtin::Divmod,
    Builtin::Enumerate,
    Builtin::LooksAtFrame,
];

/// In a site: different things have come by, or something of which nothing better is known.
const SEVERAL: u64 = u64::MAX;

/// In the low byte of a site: the rest is a class's version.
const OF_CLASS: u64 = 0xff;

/// Whether it's known what comes by at a subscript.
pub(crate) fn is_known(site: &ffi::Site) -> bool {
    !matches!(site.seen.get(), 0 | SEVERAL)
}

impl<'a> ProcessWorld<'a> {
    pub(crate) fn new(engine: &'a mut Engine, unit: UnitId, function: Object) -> ProcessWorld<'a> {
        let info = function_info(function);
        ProcessWorld {
            engine,
            code: info.code,
            unit,
            globals: info.globals,
            builtins: info.builtins,
            assumptions: Vec::new(),
            callees: Vec::new(),
            sites: Vec::new(),
            held: HashSet::new(),
        }
    }

    /// What has been found out.
    pub(crate) fn finish(self) -> Findings {
        Findings { assumptions: self.assumptions, callees: self.callees, sites: self.sites, held: self.held }
    }

    fn assume(&mut self, assumption: Assumption) {
        if !self.assumptions.contains(&assumption) {
            self.assumptions.push(assumption);
        }
    }

    fn known(object: Object) -> Option<ObjRef> {
        if object.is_null() { None } else { Some(describe(object)) }
    }

    /// Relies on what a name of a dict means (null: nothing); false if that has been seen changing, or can't be watched.
    fn rely_on_name(&mut self, dict: Object, name: Object, value: Object) -> bool {
        let Some(name) = text(name) else { return false };
        if self.engine.registry.assumptions.is_unstable(dict as usize, &name) || !self.watch_name(dict, name) {
            return false;
        }
        self.held.insert(value as usize);
        true
    }

    /// Notes what a class attribute holds, if its being replaced is reported in time. (Classes themselves report changes too late for this
    /// on some versions.)
    fn held_by_class(&mut self, class: Object, name: Object, value: Object) {
        // SAFETY: a live class and a live str.
        let holder = unsafe { ffi::pepjit_class_holder(class, name) };
        if let Some(name) = text(name)
            && !holder.is_null()
            && self.watch_name(holder, name)
        {
            self.held.insert(value as usize);
        }
    }

    fn watch_name(&mut self, dict: Object, name: String) -> bool {
        // SAFETY: `dict` is a live exact dict.
        if unsafe { ffi::pepjit_watch_dict(dict) } != 0 {
            clear_error();
            return false;
        }
        // SAFETY: a live dict; the text is read at once.
        unsafe { ffi::pepjit_rely_on_name(dict, name.as_ptr(), name.len() as i64) };
        self.assume(Assumption::Name { dict: dict as usize, name });
        true
    }

    fn rely_on_class(&mut self, class: Object) -> bool {
        // SAFETY: `class` is a live class.
        if unsafe { ffi::pepjit_watch_type(class) } != 0 {
            clear_error();
            return false;
        }
        // A class that can't be changed is kept alive like everything else.
        // SAFETY: as above.
        if unsafe { ffi::pepjit_class_is_fixed(class) } == 0 {
            self.assume(Assumption::Class(class as usize));
            self.held.insert(class as usize);
        }
        true
    }

    /// The same for what is found on a class object itself: its metaclass may come to hide it.
    fn rely_on_class_object(&mut self, class: Object) -> bool {
        // SAFETY: `class` is a live class.
        self.rely_on_class(class) && self.rely_on_class(unsafe { ffi::pepjit_type_of(class) })
    }

    /// How a function is called directly, and the address of the word with its vectorcall; it's compiled if it isn't yet.
    fn entry(&mut self, function: Object, facts: &CodeFacts) -> Option<(Callee, u64)> {
        let key = self.engine.key(function, None);
        let info = function_info(function);
        let namespaces = (info.globals as usize, info.builtins as usize);
        let (callee, cell) = if let Some(pending) = self.engine.in_progress.iter().find(|pending| pending.key == key) {
            (pending.namespaces == namespaces)
                .then(|| (pending.cell.callee(pending.shared, &pending.params, &pending.name), Rc::clone(&pending.cell)))?
        } else {
            if self.engine.registry.find(key).is_none() {
                // Code that has never run has nothing to specialise on.
                if !facts.has_run && !self.engine.policy.force {
                    return None;
                }
                // Nor is code worth its time that a hot function hardly ever calls.
                let calls = self.engine.calls.get(&(info.code as usize)).map_or(0, |profile| profile.count);
                if !self.engine.budget.allows_callee(info.code, calls) {
                    self.engine.callees_denied += u32::from(calls >= crate::budget::RARE_CALLEE);
                    return None;
                }
                let observed =
                    self.engine.calls.get(&(info.code as usize)).map_or_else(Vec::new, |profile| profile.observed.clone());
                self.engine.know(function);
                self.engine.compile(function, Entry::Function, observed).ok()?;
            }
            let unit = self.engine.registry.find(key).filter(|unit| unit.namespaces == namespaces)?;
            (unit.callee(), Rc::clone(&unit.cell))
        };
        let vectorcall = cell.vectorcall.as_ptr() as u64;
        if !self.callees.iter().any(|known| Rc::ptr_eq(known, &cell)) {
            self.callees.push(cell);
        }
        Some((callee, vectorcall))
    }

    /// The parameters of a function; the defaults are those of this very function.
    fn signature(&mut self, function: Object, input: &CodeInput, with_defaults: bool) -> Signature {
        let info = function_info(function);
        let (positional, named) = (input.argcount as usize, input.kwonlyargcount as usize);
        let names: Vec<String> = input.locals[..positional + named].iter().map(|(_, name)| name.clone()).collect();
        let mut defaults = vec![None; positional + named];
        if with_defaults {
            let given = tuple(info.defaults);
            let first = positional.saturating_sub(given.len());
            for (place, value) in defaults[first..positional].iter_mut().zip(&given[given.len() - (positional - first)..]) {
                self.held.insert(*value as usize);
                *place = Some(describe(*value));
            }
            defaults.truncate(positional);
            for position in positional..positional + named {
                defaults.push(self.keyword_default(info.kwdefaults, code_name(info.code, position)));
            }
        }
        Signature {
            names,
            positional_only: input.posonlyargcount as usize,
            positional,
            rest: input.flags & CO_VARARGS != 0,
            others: input.flags & CO_VARKEYWORDS != 0,
            defaults,
        }
    }

    /// The default of a parameter that is given by name alone. Nobody tells when such a dict changes, but the dict itself.
    fn keyword_default(&mut self, dict: Object, name: Object) -> Option<ObjRef> {
        if dict.is_null() || name.is_null() {
            return None;
        }
        // SAFETY: a live dict (held by the function) and a live str (held by its code).
        let value = Self::known(unsafe { ffi::pepjit_dict_get(dict, name) })?;
        self.rely_on_name(dict, name, value.address as Object).then_some(value)
    }

    /// What a site has noted, or what is said of a container.
    fn container(&mut self, number: u64, stores: bool) -> Subscripted {
        if number & 0xff == OF_CLASS {
            let class = u32::try_from(number >> 8).ok().and_then(|version| self.class_of_version(version));
            let function = class.as_ref().and_then(|class| self.subscript_function(class, stores));
            return match (class, function) {
                (Some(class), Some(function)) => Subscripted::Instance { class, function },
                _ => Subscripted::Several,
            };
        }
        let kind = number.wrapping_sub(1) as u32;
        let (mut class, mut descriptor) = (std::ptr::null_mut(), 0);
        // SAFETY: places for the results.
        match unsafe { ffi::pepjit_array(kind, &raw mut class, &raw mut descriptor) } {
            0 => Subscripted::Several,
            typecode => Subscripted::Array(Numbers { class: describe(class), descriptor, typecode }),
        }
    }

    fn shadow(info: &ffi::AttributeInfo) -> Shadow {
        if info.shared_keys == 0 {
            Shadow::Impossible
        } else {
            Shadow::SharedKeys { keys_slot: info.keys_slot, version: info.keys_version, valid_offset: info.valid_offset }
        }
    }
}

/// Drops an exception that a question has raised: the answer is simply "no".
fn clear_error() {
    // SAFETY: no preconditions but the GIL.
    unsafe { ffi::PyErr_Clear() };
}

impl World for ProcessWorld<'_> {
    fn describe(&mut self, address: u64) -> ObjRef {
        describe(address as Object)
    }

    fn global(&mut self, name: &ObjRef) -> Option<ObjRef> {
        let key = name.address as Object;
        // SAFETY: live dicts (held by the function) and a live str (held by its code).
        let (global, builtin) = unsafe { (ffi::pepjit_dict_get(self.globals, key), ffi::pepjit_dict_get(self.builtins, key)) };
        if !self.rely_on_name(self.globals, key, global) {
            return None;
        }
        if !global.is_null() {
            return Some(describe(global));
        }
        if builtin.is_null() || !self.rely_on_name(self.builtins, key, builtin) {
            return None;
        }
        Some(describe(builtin))
    }

    fn global_slot(&mut self, name: &ObjRef) -> Option<GlobalSlot> {
        let mut slot = ffi::DictSlot::default();
        // SAFETY: a live dict (held by the function, as long as code of it runs) and a live str (held by its code).
        let found = unsafe { ffi::pepjit_dict_slot(self.globals, name.address as Object, &raw mut slot) } != 0;
        let ffi::DictSlot { keys_slot, word, placeholder, version, .. } = slot;
        found.then_some(GlobalSlot { keys_slot, version, word, placeholder })
    }

    fn class_of_version(&mut self, version: u32) -> Option<ObjRef> {
        if let Some(class) = self.engine.classes.get(&version) {
            let class = *class as Object;
            // SAFETY: kept alive by the table.
            if unsafe { ffi::pepjit_class_version(class) } == version {
                return Some(describe(class));
            }
        }
        // SAFETY: no preconditions; the result is borrowed and kept at once.
        unsafe {
            let class = ffi::pepjit_class_of_version(version);
            if class.is_null() {
                clear_error();
                return None;
            }
            ffi::pepjit_incref(class);
            self.engine.classes.insert(version, class as usize);
            Some(describe(class))
        }
    }

    fn attribute(&mut self, class: &ObjRef, name: &ObjRef) -> Attribute {
        let class = class.address as Object;
        let mut info = ffi::AttributeInfo::default();
        // SAFETY: a live class and a live str; a structure of the declared layout.
        unsafe { ffi::pepjit_attribute(class, name.address as Object, &raw mut info) };
        if info.kind == 0 || !self.rely_on_class(class) || info.also != 0 && !self.rely_on_class(info.also as Object) {
            return Attribute::Generic;
        }
        if info.object != 0 {
            self.held_by_class(class, name.address as Object, info.object as Object);
        }
        match info.kind {
            1 => Attribute::InlineValue {
                offset: info.offset,
                index: info.index,
                valid_offset: info.valid_offset,
                dict_offset: info.dict_offset,
                storable: info.storable != 0,
            },
            2 => Attribute::Slot { offset: info.offset, storable: info.storable != 0 },
            3 => Attribute::Method { function: describe(info.object as Object), shadow: Self::shadow(&info) },
            4 => Attribute::ClassValue { value: describe(info.object as Object), shadow: Self::shadow(&info) },
            5 => Attribute::Property { getter: describe(info.object as Object) },
            6 => Attribute::ClassMethod { function: describe(info.object as Object), shadow: Self::shadow(&info) },
            _ => Attribute::Generic,
        }
    }

    fn class_method(&mut self, owner: &ObjRef, name: &ObjRef) -> Option<ObjRef> {
        let class = owner.address as Object;
        // SAFETY: live objects, kept by who named them; the C side checks that it is a class.
        let function = Self::known(unsafe { ffi::pepjit_class_method(class, name.address as Object) })?;
        self.rely_on_class_object(class).then_some(function)
    }

    fn super_method(&mut self, defining: &ObjRef, class: &ObjRef, name: &ObjRef) -> Option<ObjRef> {
        let (defining, class, name) = (defining.address as Object, class.address as Object, name.address as Object);
        let mut holder = std::ptr::null_mut();
        // SAFETY: live objects, kept by who named them; the C side checks that two of them are classes.
        let found = unsafe { ffi::pepjit_super_function(defining, class, name, &raw mut holder) };
        if found.is_null() || !self.rely_on_class(class) || !self.rely_on_class(defining) {
            return None;
        }
        if !holder.is_null()
            && let Some(name) = text(name)
            && self.watch_name(holder, name)
        {
            self.held.insert(found as usize);
        }
        Some(describe(found))
    }

    fn cell_contents(&mut self, cell: &ObjRef) -> Option<ObjRef> {
        // SAFETY: a live object; the C side checks that it is a cell.
        Self::known(unsafe { ffi::pepjit_cell_contents(cell.address as Object) })
    }

    fn is_object_setattr(&mut self, object: &ObjRef) -> bool {
        // SAFETY: a live object.
        unsafe { ffi::pepjit_is_object_setattr(object.address as Object) != 0 }
    }

    fn static_attribute(&mut self, owner: &ObjRef, name: &ObjRef) -> Option<ObjRef> {
        let (owner, key) = (owner.address as Object, name.address as Object);
        // SAFETY: live objects, kept by who named them.
        unsafe {
            if ffi::pepjit_is_module(owner) != 0 {
                let dict = ffi::pepjit_module_dict(owner);
                let value = ffi::pepjit_dict_get(dict, key);
                if value.is_null() || !self.rely_on_name(dict, key, value) {
                    return None;
                }
                return Self::known(value);
            }
            if ffi::pepjit_is_class(owner) != 0 {
                let value = ffi::pepjit_class_attribute(owner, key);
                if value.is_null() || !self.rely_on_class_object(owner) {
                    return None;
                }
                self.held_by_class(owner, key, value);
                return Self::known(value);
            }
        }
        None
    }

    fn callee(&mut self, function: &ObjRef) -> Option<CalleeInfo> {
        let object = function.address as Object;
        // SAFETY: a live object.
        if unsafe { ffi::pepjit_is_function(object) } == 0 {
            return None;
        }
        let facts = code_facts(object, Entry::Function, Vec::new(), Vec::new())?;
        let (callee, _) = self.entry(object, &facts)?;
        let signature = self.signature(object, &facts.input, true);
        self.engine.know(object);
        self.assume(Assumption::Function(object as usize));
        Some(CalleeInfo { callee, signature })
    }

    fn function_of_version(&mut self, version: u32) -> Option<Target> {
        let function = self.engine.function_of_version(version)? as Object;
        let described = describe(function);
        if self.engine.key(function, None).owner == function as usize {
            let info = self.callee(&described)?;
            // A function that goes away is reported too.
            self.held.insert(function as usize);
            return Some(Target { known_by: KnownBy::Identity(described), info });
        }
        let facts = code_facts(function, Entry::Function, Vec::new(), Vec::new())?;
        let (callee, vectorcall) = self.entry(function, &facts)?;
        let signature = self.signature(function, &facts.input, false);
        Some(Target { known_by: KnownBy::Vectorcall(vectorcall), info: CalleeInfo { callee, signature } })
    }

    fn class_call(&mut self, class: &ObjRef) -> Option<ClassCall> {
        let class = class.address as Object;
        let mut init: Object = std::ptr::null_mut();
        // SAFETY: a live object; the C side checks that it is a class.
        unsafe {
            if ffi::pepjit_is_class(class) == 0 || ffi::pepjit_class_call(class, &raw mut init) == 0 {
                return None;
            }
        }
        if !self.rely_on_class_object(class) {
            return None;
        }
        if init.is_null() {
            return Some(ClassCall { init: None });
        }
        // `__init__` must return None: only code that can't return anything else is called directly.
        let facts = code_facts(init, Entry::Function, Vec::new(), Vec::new())?;
        if !pepjit_frontend::returns_only_none(&facts.input) {
            return None;
        }
        self.engine.know(init);
        self.assume(Assumption::Function(init as usize));
        Some(ClassCall { init: Some(describe(init)) })
    }

    fn builtin(&mut self, object: &ObjRef) -> Option<Builtin> {
        // SAFETY: a live object.
        let number = unsafe { ffi::pepjit_builtin(object.address as Object) };
        usize::try_from(number).ok().and_then(|number| BUILTINS.get(number).copied())
    }

    fn native(&mut self, object: &ObjRef) -> Option<Native> {
        let mut info = ffi::NativeInfo { address: 0, convention: 0, method: 0, waits: 0, receiver: std::ptr::null_mut() };
        // SAFETY: a live object; a structure of the declared layout.
        if unsafe { ffi::pepjit_native(object.address as Object, &raw mut info) } == 0 {
            return None;
        }
        if self.held.contains(&(object.address as usize)) {
            self.held.insert(info.receiver as usize);
        }
        let convention = match info.convention {
            0 => Convention::NoArguments,
            1 => Convention::One,
            2 => Convention::Array,
            _ => Convention::ArrayKeywords,
        };
        let (method, waits) = (info.method != 0, info.waits != 0);
        Some(Native { address: info.address, convention, method, waits, receiver: Self::known(info.receiver) })
    }

    fn well_known(&mut self, ty: Type) -> Option<ObjRef> {
        // SAFETY: no preconditions.
        Self::known(unsafe { ffi::pepjit_well_known(ty.bits()) })
    }

    fn none(&mut self) -> Option<ObjRef> {
        let mut process = ffi::ProcessLayout::default();
        // SAFETY: a structure of the declared layout.
        unsafe { ffi::pepjit_process_layout(&raw mut process) };
        Self::known(process.none as Object)
    }

    fn truth(&mut self, value: bool) -> Option<ObjRef> {
        let mut process = ffi::ProcessLayout::default();
        // SAFETY: a structure of the declared layout.
        unsafe { ffi::pepjit_process_layout(&raw mut process) };
        Self::known(if value { process.true_object } else { process.false_object } as Object)
    }

    fn subscripted(&mut self, offset: u32, stores: bool, likely: u64) -> Subscripted {
        let site = self.engine.subscripts.entry(self.code as usize).or_default().entry(offset).or_default();
        if site.seen.get() == 0 {
            site.seen.set(likely);
        }
        if site.seen.get() == SEVERAL {
            return Subscripted::Several;
        }
        let site = Rc::clone(site);
        if is_known(&site) {
            return self.container(site.seen.get(), stores);
        }
        let address = Rc::as_ptr(&site) as u64;
        self.sites.push(site);
        Subscripted::Nothing { site: address }
    }

    fn subscript_function(&mut self, class: &ObjRef, stores: bool) -> Option<ObjRef> {
        // SAFETY: no preconditions; the name is the interpreter's own.
        let name = Self::known(unsafe { ffi::pepjit_subscript_name(stores.into()) })?;
        // Instances can't hide what a class says of subscripts.
        let Attribute::Method { function, .. } = self.attribute(class, &name) else { return None };
        (function.ty == Type::FUNCTION).then_some(function)
    }

    fn small_int(&mut self, value: u32) -> Option<ObjRef> {
        // SAFETY: no preconditions.
        Self::known(unsafe { ffi::pepjit_small_int(value) })
    }

    fn common_constant(&mut self, number: u32) -> Option<ObjRef> {
        // SAFETY: no preconditions.
        Self::known(unsafe { ffi::pepjit_common_constant(number) })
    }

    fn tuple_items(&mut self, object: &ObjRef) -> Option<Vec<ObjRef>> {
        (object.ty == Type::TUPLE).then(|| {
            tuple(object.address as Object)
                .into_iter()
                .map(|item| {
                    let described = describe(item);
                    let label = if described.ty == Type::STR { text(item).unwrap_or_default() } else { described.label.clone() };
                    ObjRef { label, ..described }
                })
                .collect()
        })
    }
}

/// The unit that a world answers for, in messages.
impl std::fmt::Debug for ProcessWorld<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProcessWorld(unit {}, {:?})", self.unit, type_of_bit(0))
    }
}
