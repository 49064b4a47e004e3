//! The IR's interpreter on CPython's memory.

use super::call::{self, Pair, load, store};
use super::unit::Unit;
use pepjit_backend::{View, plan_view};
use pepjit_ir::field::Width;
use pepjit_ir::interp::{self, Exit, Machine, Poll, Shown, TAG_FLOAT, TAG_INT, TAG_OBJECT, WellKnown};
use pepjit_ir::{ArgKind, Callee, Field, FunctionKind, Helper, ResultKind, Type};

/// Runs a function; `frame` is the loop's, or 0.
pub(super) fn run(unit: &Unit, tstate: u64, frame: u64, args: &[u64]) -> Pair {
    let mut machine = Process { unit, tstate, frame, view: Vec::new() };
    if frame != 0 {
        machine.start_views();
    }
    let (payload, tag) = interp::run(&unit.func, &mut machine, args);
    if frame != 0 && unit.views.is_some() && matches!(tag, TAG_INT | TAG_OBJECT | TAG_FLOAT) {
        // SAFETY: `forget_view(tstate, frame)`; the frame goes on without the buffer.
        unsafe { call::words::<()>(unit.addresses.forget_view, &[tstate, frame]) };
    }
    Pair { payload, tag }
}

/// Has the interpreter run the function: boxes the arguments and calls the fallback.
pub(super) fn call_interpreter(unit: &Unit, tstate: u64, args: &[u64]) -> Pair {
    let mut machine = Process { tstate, ..Process::outside(unit) };
    // What the direct entry would have given up.
    let mut boxes = Vec::new();
    let mut objects = Vec::with_capacity(args.len());
    for (arg, parameter) in args.iter().zip(&unit.params) {
        let boxed = match parameter.ty {
            Type::C_INT => machine.box_int(*arg as i64),
            Type::C_FLOAT => machine.box_float(f64::from_bits(*arg)),
            _ if parameter.owned => *arg,
            _ => {
                objects.push(*arg);
                continue;
            }
        };
        objects.push(boxed);
        boxes.push(boxed);
    }
    let array = objects.as_ptr().expose_provenance() as u64;
    let words = [unit.addresses.function, array, objects.len() as u64, 0];
    let payload = if unit.addresses.positional {
        // SAFETY: the original vectorcall, with an array of arguments and its length.
        unsafe { call::words(unit.addresses.fallback, &words) }
    } else {
        // SAFETY: a value for each parameter.
        unsafe { call::words(unit.addresses.call_bound, &words[..2]) }
    };
    for object in boxes {
        machine.dec_ref(object);
    }
    Pair { payload, tag: TAG_OBJECT }
}

/// The arguments of a vectorcall bound to the function's parameters; they hold references until they are dropped.
pub(super) struct Bound<'a> {
    unit: &'a Unit,
    values: Vec<u64>,
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        let words = [self.values.as_ptr().expose_provenance() as u64, self.values.len() as u64];
        // SAFETY: `bind` has left a reference for each.
        unsafe { call::words::<()>(self.unit.addresses.unbind, &words) };
    }
}

impl Bound<'_> {
    /// Binds them, if the call fits the function and it's still valid.
    pub(super) fn new(unit: &Unit, callable: u64, args: *const u64, nargsf: u64, names: u64) -> Option<Bound<'_>> {
        let mut machine = Process::outside(unit);
        let mut values = vec![0; unit.params.len().max(1)];
        let words = [callable, args.expose_provenance() as u64, nargsf, names, values.as_mut_ptr().expose_provenance() as u64];
        // SAFETY: the vectorcall's own arguments, and room for each parameter.
        let fits = machine.is_valid() && unsafe { call::words::<i64>(unit.addresses.bind, &words) } != 0;
        values.truncate(unit.params.len());
        fits.then(|| Bound { unit, values })
    }

    /// As the function's entry takes them, which has references of its own afterwards where it wants them.
    pub(super) fn words(&mut self) -> Option<Vec<u64>> {
        let mut machine = Process::outside(self.unit);
        let words = machine.words(&self.values)?;
        for (value, parameter) in self.values.iter_mut().zip(&self.unit.params) {
            if parameter.owned {
                *value = 0;
            }
        }
        Some(words)
    }
}

/// The arguments of a vectorcall as the function's parameters, if the call fits them as it is and the function is still valid.
pub(super) fn arguments(unit: &Unit, args: *const u64, nargsf: u64, names: u64) -> Option<Vec<u64>> {
    // All bits but `PY_VECTORCALL_ARGUMENTS_OFFSET`.
    let count = nargsf & (u64::MAX >> 1);
    let mut machine = Process::outside(unit);
    if !unit.addresses.positional || count != unit.params.len() as u64 || names != 0 || !machine.is_valid() {
        return None;
    }
    // SAFETY: the vectorcall protocol: so many arguments.
    let args = unsafe { call::slice(args, count as usize) };
    let words = machine.words(args)?;
    for (object, parameter) in args.iter().zip(&unit.params) {
        if parameter.owned {
            machine.inc_ref(*object);
        }
    }
    Some(words)
}

/// The object that a function returned; null if it raised.
pub(super) fn box_result(unit: &Unit, result: Pair) -> u64 {
    let mut machine = Process::outside(unit);
    match result.tag {
        TAG_INT => machine.box_int(result.payload as i64),
        TAG_FLOAT => machine.box_float(f64::from_bits(result.payload)),
        _ => result.payload,
    }
}

/// What is in a field of an object, of a frame or of the thread state.
fn load_at<T: Copy>(base: u64, offset: i32) -> T {
    // SAFETY: callers pass the address of a live structure with the offset of one of its fields.
    unsafe { load(base.wrapping_add_signed(offset.into())) }
}

/// Writes such a field.
fn store_at<T: Copy>(base: u64, offset: i32, value: T) {
    // SAFETY: as for `load_at`; with the GIL held nobody else writes.
    unsafe { store(base.wrapping_add_signed(offset.into()), value) }
}

/// A word at an address from [`pepjit_backend::Addresses`], or a callee's cell.
fn word(address: u64) -> u64 {
    // SAFETY: the runtime's words live as long as the functions that name them.
    unsafe { load(address) }
}

/// One run of a function.
struct Process<'a> {
    unit: &'a Unit,
    tstate: u64,
    /// The loop's frame, or the light frame, or 0.
    frame: u64,
    /// What others see of the frame's locals: the frame has its address.
    view: Vec<u64>,
}

impl<'a> Process<'a> {
    /// For what needs no thread and no frame.
    fn outside(unit: &'a Unit) -> Process<'a> {
        Process { unit, tstate: 0, frame: 0, view: Vec::new() }
    }

    /// Gives the frame its buffer.
    fn start_views(&mut self) {
        let Some((_, table)) = self.unit.views else { return };
        self.view = vec![0; View::word(self.unit.func.locals) as usize];
        self.view[View::TABLE as usize] = table;
        let offset = self.unit.layout.frame.localsplus + 8 * self.unit.func.locals as i32;
        store_at(self.frame, offset, self.view.as_mut_ptr().expose_provenance() as u64);
    }

    fn field<T: Copy>(&self, object: u64, field: Field) -> T {
        load_at(object, self.unit.layout.offset(field))
    }

    fn has_class(&self, object: u64, class: u64) -> bool {
        self.field::<u64>(object, Field::ObType) == class
    }

    /// The native arguments for objects, if each is of its parameter's class.
    fn words(&mut self, objects: &[u64]) -> Option<Vec<u64>> {
        let params = &self.unit.params;
        objects.iter().zip(params).map(|(object, parameter)| self.argument(*object, parameter.ty)).collect()
    }

    /// The native argument for an object, if it's of the parameter's class.
    fn argument(&mut self, object: u64, ty: Type) -> Option<u64> {
        let layout = &self.unit.layout;
        let fits = match ty {
            Type::C_INT | Type::INT => self.has_class(object, layout.int_type),
            Type::C_FLOAT | Type::FLOAT => self.has_class(object, layout.float_type),
            Type::NONE => object == layout.none,
            Type::BOOL => object == layout.true_object || object == layout.false_object,
            _ => true,
        };
        if !fits {
            return None;
        }
        match ty {
            Type::C_INT => self.compact_value(object),
            Type::C_FLOAT => Some(self.field(object, Field::FloatValue)),
            _ => Some(object),
        }
    }

    /// The value of an int of at most one digit.
    fn compact_value(&self, int: u64) -> Option<u64> {
        let tag: u64 = self.field(int, Field::LongTag);
        let digit: u32 = self.field(int, Field::LongDigit);
        let value = i64::from(digit) * (1 - (tag & 3) as i64);
        (tag < 2 << 3).then_some(value as u64)
    }

    /// The reference count, if it ever changes: the lower half, which is negative for immortal objects.
    fn count(&self, object: u64) -> Option<i32> {
        let count: i32 = self.field(object, Field::RefCount);
        (count >= 0).then_some(count)
    }

    fn set_count(&mut self, object: u64, count: i32) {
        let offset = self.unit.layout.offset(Field::RefCount);
        store_at(object, offset, count);
    }

    fn recursion_remaining(&self) -> i32 {
        load_at(self.tstate, self.unit.layout.frame.py_recursion_remaining)
    }

    fn set_recursion_remaining(&mut self, remaining: i32) {
        let offset = self.unit.layout.frame.py_recursion_remaining;
        store_at(self.tstate, offset, remaining);
    }
}

impl Machine for Process<'_> {
    fn read(&mut self, address: u64, width: Width) -> u64 {
        // SAFETY: the front end has made sure, with guards where need be, that this is a field of a live object.
        unsafe {
            match width {
                Width::U8 | Width::I8 => load::<u8>(address).into(),
                Width::U16 | Width::I16 => load::<u16>(address).into(),
                Width::U32 | Width::I32 | Width::F32 => load::<u32>(address).into(),
                Width::U64 | Width::F64 => load(address),
            }
        }
    }

    fn write(&mut self, address: u64, width: Width, value: u64) {
        // SAFETY: as for `read`.
        unsafe {
            match width {
                Width::U8 | Width::I8 => store(address, value as u8),
                Width::U16 | Width::I16 => store(address, value as u16),
                Width::U32 | Width::I32 | Width::F32 => store(address, value as u32),
                Width::U64 | Width::F64 => store(address, value),
            }
        }
    }

    fn offset(&self, field: Field) -> i32 {
        self.unit.layout.offset(field)
    }

    fn well_known(&self) -> WellKnown {
        let layout = &self.unit.layout;
        WellKnown {
            true_object: layout.true_object,
            false_object: layout.false_object,
            int_type: layout.int_type,
            float_type: layout.float_type,
        }
    }

    fn current_function(&mut self) -> u64 {
        match self.unit.func.kind {
            FunctionKind::Entry => self.unit.addresses.function,
            // From 3.14 on the low bits are tags.
            FunctionKind::Loop { .. } | FunctionKind::Resume { .. } => {
                load_at::<u64>(self.frame, self.unit.layout.frame.funcobj) & !7
            }
        }
    }

    fn box_int(&mut self, value: i64) -> u64 {
        // SAFETY: `box_int(i64) -> object`.
        unsafe { call::words(self.unit.addresses.box_int, &[value as u64]) }
    }

    fn box_float(&mut self, value: f64) -> u64 {
        // SAFETY: `box_float(f64) -> object`.
        unsafe { call::floats(self.unit.addresses.box_float, &[value]) }
    }

    fn unbox_big_int(&mut self, object: u64) -> Option<i64> {
        // SAFETY: `unbox_big_int(object) -> (i64, ok)`, and the object is an exact int.
        let Pair { payload, tag } = unsafe { call::words(self.unit.addresses.unbox_big_int, &[object]) };
        (tag != 0).then_some(payload as i64)
    }

    fn inc_ref(&mut self, object: u64) {
        if let Some(count) = self.count(object) {
            self.set_count(object, count + 1);
        }
    }

    fn dec_ref(&mut self, object: u64) {
        let Some(count) = self.count(object) else { return };
        self.set_count(object, count - 1);
        if count == 1 {
            // SAFETY: `dealloc(object, tstate)`, and nobody has a reference any more.
            unsafe { call::words::<()>(self.unit.addresses.dealloc, &[object, self.tstate]) };
        }
    }

    fn scratch(&mut self, index: u32) -> u64 {
        word(self.unit.addresses.scratch + 8 * u64::from(index))
    }

    fn call_helper(&mut self, helper: Helper, args: &[u64]) -> u64 {
        let (info, address) = (helper.info(), self.unit.helper(helper));
        let array = [args.as_ptr().expose_provenance() as u64, args.len() as u64];
        let words = if info.array { &array } else { args };
        let floats: Vec<f64> = words.iter().copied().map(f64::from_bits).collect();
        let takes_floats = !info.array && info.args.contains(&ArgKind::Float);
        // SAFETY: the helper's row declares its parameters and its result.
        unsafe {
            match (info.result, takes_floats) {
                (ResultKind::Float, true) => call::floats::<f64>(address, &floats).to_bits(),
                (ResultKind::Float, false) => call::words::<f64>(address, words).to_bits(),
                // The upper bits of a C `bool` are unspecified.
                (ResultKind::Bool, true) => (call::floats::<u8>(address, &floats) != 0).into(),
                (ResultKind::Bool, false) => (call::words::<u8>(address, words) != 0).into(),
                (ResultKind::None, false) => {
                    call::words::<()>(address, words);
                    0
                }
                (_, true) => call::floats(address, &floats),
                (_, false) => call::words(address, words),
            }
        }
    }

    fn call_direct(&mut self, callee: &Callee, args: &[u64]) -> (u64, u64) {
        let entry = word(callee.entry_cell);
        // SAFETY: a process has one back end, so that every cell holds an entry of this one.
        let Pair { payload, tag } = unsafe { super::call_entry(entry, self.tstate, args) };
        (payload, tag)
    }

    fn enter(&mut self) -> bool {
        let remaining = self.recursion_remaining();
        let here = 0_u8;
        let limit = word(self.unit.addresses.stack_limit);
        let below = ((&raw const here).addr() as u64) < limit;
        if remaining <= 0 || below {
            return false;
        }
        self.set_recursion_remaining(remaining - 1);
        true
    }

    fn leave(&mut self) {
        let remaining = self.recursion_remaining();
        self.set_recursion_remaining(remaining + 1);
    }

    fn push_frame(&mut self) -> bool {
        let unit = self.unit;
        let layout = &unit.layout.frame;
        let frame: u64 = load_at(self.tstate, layout.datastack_top);
        let limit: u64 = load_at(self.tstate, layout.datastack_limit);
        let end = frame.wrapping_add_signed(layout.frame_size.into());
        if end >= limit {
            return false;
        }
        for (offset, word) in &layout.template {
            store_at(frame, *offset, *word);
        }
        let previous: u64 = load_at(self.tstate, layout.current_frame);
        store_at(frame, layout.previous, previous);
        if let Some(offset) = layout.stackpointer {
            let stack = frame.wrapping_add_signed(layout.localsplus.into()) + 8 * u64::from(unit.func.locals);
            store_at(frame, offset, stack);
        }
        self.frame = frame;
        self.set_instruction(unit.func.first_traceable);
        store_at(self.tstate, layout.current_frame, frame);
        store_at(self.tstate, layout.datastack_top, end);
        self.start_views();
        true
    }

    fn pop_frame(&mut self) {
        let unit = self.unit;
        let layout = &unit.layout.frame;
        let frame = std::mem::take(&mut self.frame);
        if load_at::<u64>(frame, layout.frame_obj) != 0 {
            // SAFETY: `pop_frame(tstate, light_frame)` for a light frame of which somebody took a frame object.
            return unsafe { call::words(unit.addresses.pop_frame, &[self.tstate, frame]) };
        }
        let previous: u64 = load_at(frame, layout.previous);
        store_at(self.tstate, layout.current_frame, previous);
        store_at(self.tstate, layout.datastack_top, frame);
    }

    fn set_instruction(&mut self, offset: u32) {
        let layout = &self.unit.layout.frame;
        let address = layout.code_start + 2 * u64::from(offset);
        store_at(self.frame, layout.instr_ptr, address);
    }

    fn show_locals(&mut self, shown: &Shown<'_>) {
        let unit = self.unit;
        let Some((plan, _)) = &unit.views else { return };
        let state = &unit.func.states[shown.state.index()];
        let (slots, stores) = plan_view(&unit.func, state);
        let base = self.view.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: words of the buffer, which others read through the address that the frame has.
        let put = |word: u32, value: u64| unsafe { store(base + 8 * u64::from(word), value) };
        if let Some(variant) = plan.variant(state.offset, &slots) {
            put(View::VARIANT, variant.into());
        }
        for (word, value) in stores {
            let (payload, tag) = shown.pair(value);
            put(word, payload);
            if unit.func.ty(value) == Type::PAIR {
                put(word + 1, tag);
            }
        }
    }

    fn wanted(&mut self) -> bool {
        let breaker: u64 = self.field(self.tstate, Field::EvalBreaker);
        breaker != word(self.unit.addresses.quiet_breaker)
    }

    fn poll(&mut self) -> Poll {
        if !self.wanted() {
            return Poll::GoOn;
        }
        // SAFETY: `poll(tstate) -> int`.
        let verdict: i32 = unsafe { call::words(self.unit.addresses.poll, &[self.tstate]) };
        match verdict {
            0 => Poll::GoOn,
            ..0 => Poll::Raised,
            _ => Poll::Leave,
        }
    }

    fn catch(&mut self) -> u64 {
        // SAFETY: `catch(tstate) -> object`, with an exception set.
        unsafe { call::words(self.unit.addresses.catch, &[self.tstate]) }
    }

    fn observed(&mut self) -> bool {
        let breaker: u64 = self.field(self.tstate, Field::EvalBreaker);
        // SAFETY: `watch(tstate) -> int`.
        breaker != word(self.unit.addresses.quiet_breaker)
            && unsafe { call::words::<i32>(self.unit.addresses.watch, &[self.tstate]) } != 0
    }

    fn seen(&mut self) -> bool {
        if self.frame == 0 {
            return false;
        }
        let object: u64 = load_at(self.frame, self.unit.layout.frame.frame_obj);
        // The frame's own reference alone: nobody else has it any more.
        object != 0 && self.count(object) != Some(1)
    }

    fn is_valid(&mut self) -> bool {
        // SAFETY: the runtime's byte lives as long as the compiled function.
        unsafe { load::<u8>(self.unit.addresses.valid) != 0 }
    }

    fn stress_exit(&mut self) -> bool {
        let address = self.unit.addresses.stress;
        if address == 0 {
            return false;
        }
        let left = word(address);
        if left != 0 {
            // SAFETY: the runtime's word, which only compiled code and exits change.
            unsafe { store(address, left - 1) };
        }
        left == 0
    }

    fn exit(&mut self, exit: &Exit<'_>) -> (u64, u64) {
        let unit = self.unit;
        let planned = unit.exits.get(&(exit.state, exit.reason, exit.throw, exit.entered));
        let planned = planned.unwrap_or_else(|| panic!("{} leaves because of {:?} unplanned", unit.func.name, exit.reason));
        let mut buffer = vec![0_u64; planned.words as usize];
        for (word, value) in &planned.stores {
            let (payload, tag) = exit.pair(*value);
            buffer[*word as usize] = payload;
            if unit.func.ty(*value) == Type::PAIR {
                buffer[*word as usize + 1] = tag;
            }
        }
        let (address, frame) = match unit.func.kind {
            FunctionKind::Entry if exit.pushed => (unit.addresses.exit_function, self.frame),
            FunctionKind::Entry => (unit.addresses.exit_function, 0),
            FunctionKind::Loop { .. } | FunctionKind::Resume { .. } => (unit.addresses.exit_loop, self.frame),
        };
        let words = [self.tstate, frame, planned.record, buffer.as_ptr().expose_provenance() as u64];
        // SAFETY: `exit(tstate, frame, record, buffer) -> (payload, tag)`; the record was made for this buffer.
        let Pair { payload, tag } = unsafe { call::words(address, &words) };
        (payload, tag)
    }
}
