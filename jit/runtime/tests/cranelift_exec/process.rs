//! A make-believe process: objects, a thread and the runtime's functions, so that machine code can run without an interpreter.

use pepjit_backend::{Addresses, Backend, Compiled, ExitKind, ExitRecord, ExitSlot, FrameLayout, FreeList, Layout, Linkage};
use pepjit_cranelift::{CraneliftBackend, Options, SystemMemoryProvider};
use pepjit_ir::{Field, Function, Helper, op::Reason, parse, verify};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The reference count of an immortal object.
pub(crate) const IMMORTAL: i64 = 0xffff_ffff;
/// The address of the code's first unit.
pub(crate) const CODE_START: u64 = 0x10_0000;
/// What a light frame gets for its code.
pub(crate) const CODE: u64 = 0xc0de;
/// Where the template puts the code.
const FRAME_CODE: i32 = 0;

/// An object: an int (tag, digit), or a float (the bits of its value in `payload`).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Object {
    /// The reference count.
    pub(crate) refs: i64,
    /// The class, as an address.
    pub(crate) class: u64,
    /// `lv_tag` of an int, `ob_fval` of a float.
    pub(crate) payload: u64,
    /// The first digit of an int.
    pub(crate) digit: u32,
    /// The second one.
    pub(crate) high: u32,
}

impl Object {
    /// The object's address.
    pub(crate) fn address(&self) -> u64 {
        std::ptr::from_ref(self) as u64
    }

    /// The value of a float.
    pub(crate) fn float(&self) -> f64 {
        f64::from_bits(self.payload)
    }

    /// The value of an int of one or two digits.
    pub(crate) fn int(&self) -> i64 {
        assert!(self.payload < 24, "an int of one or two digits");
        let high = if self.payload < 16 { 0 } else { i64::from(self.high) << 30 };
        (high + i64::from(self.digit)) * (1 - (self.payload & 3) as i64)
    }
}

/// The thread state.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Thread {
    /// What polling compares.
    pub(crate) eval_breaker: u64,
    /// The current frame.
    pub(crate) current_frame: u64,
    /// The data stack.
    pub(crate) datastack_top: u64,
    /// Its end.
    pub(crate) datastack_limit: u64,
    /// The recursion limit less the depth.
    pub(crate) remaining: i32,
    data: [u64; 64],
}

/// A frame.
#[repr(C)]
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the interpreter's names")]
pub(crate) struct Frame {
    /// From the template.
    pub(crate) code: u64,
    /// The caller's frame.
    pub(crate) previous: u64,
    /// The function.
    pub(crate) funcobj: u64,
    /// The frame object.
    pub(crate) frame_obj: u64,
    /// The instruction.
    pub(crate) instr_ptr: u64,
    /// The stack pointer.
    pub(crate) stackpointer: u64,
    /// The locals.
    pub(crate) localsplus: [u64; 2],
}

/// Payload and tag.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The value's bits.
    pub(crate) payload: u64,
    /// What they are.
    pub(crate) tag: u64,
}

/// How often the runtime is called to box -6, -5, 0, 256 and 257.
pub(crate) const BOX_INT_CALLS: usize = 2;

/// What an exit returns here.
pub(crate) const LEFT: Pair = Pair { payload: 0x1ef7, tag: 9 };

/// An exit that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    /// The record.
    pub(crate) record: ExitRecord,
    /// The words of the buffer that the record says are used.
    pub(crate) words: Vec<u64>,
    /// The frame that was passed.
    pub(crate) frame: u64,
}

/// What the runtime's functions were called with.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Exits.
    pub(crate) left: Vec<Left>,
    /// Objects given to `dealloc`.
    pub(crate) freed: Vec<u64>,
    /// Calls of the fallback: callable, arguments, `nargsf`, keyword names.
    pub(crate) fallbacks: Vec<(u64, Vec<u64>, u64, u64)>,
    /// Light frames given to `pop_frame`.
    pub(crate) popped: Vec<u64>,
    /// Operands of helpers.
    pub(crate) helpers: Vec<Vec<u64>>,
    /// What `poll` answers.
    pub(crate) poll: i32,
    /// How often `box_int` was called.
    pub(crate) boxed_ints: usize,
    /// What `current_tstate` answers.
    pub(crate) thread: u64,
    /// What `bind` binds; nothing: the call doesn't fit.
    pub(crate) bound: Vec<u64>,
    /// What `unbind` was given.
    pub(crate) unbound: Vec<u64>,
    /// Calls of `call_bound`: callable and first value.
    pub(crate) bound_calls: Vec<(u64, u64)>,
}

thread_local! {
    static LOG: RefCell<Log> = RefCell::default();
}

/// Changes or reads what has been logged.
pub(crate) fn log<T>(use_it: impl FnOnce(&mut Log) -> T) -> T {
    LOG.with_borrow_mut(use_it)
}

/// The only exit since the last call.
pub(crate) fn only_exit() -> Left {
    let mut left = log(|log| std::mem::take(&mut log.left));
    assert_eq!(left.len(), 1, "one exit is taken");
    left.pop().expect("one exit")
}

/// Forgets the exits so far; whether there were any.
pub(crate) fn has_left() -> bool {
    !log(|log| std::mem::take(&mut log.left)).is_empty()
}

/// An object that stays.
pub(crate) fn object(refs: i64, class: u64, payload: u64, digit: u32) -> &'static mut Object {
    Box::leak(Box::new(Object { refs, class, payload, digit, high: 0 }))
}

/// What stands for the function object: its address, another one in each thread.
pub(crate) fn function() -> u64 {
    thread_local! {
        static FUNCTION: u8 = const { 0 };
    }
    FUNCTION.with(|function| std::ptr::from_ref(function) as u64)
}

static CLASSES: [u8; 3] = [0; 3];

struct World {
    small_ints: Vec<Object>,
    singletons: [Object; 3],
}

static WORLD: LazyLock<World> = LazyLock::new(|| World {
    small_ints: (-5..=256).map(|value| immortal(int_class(), int_tag(value), value.unsigned_abs() as u32)).collect(),
    singletons: [0; 3].map(|nothing| immortal(other_class(), nothing, 0)),
});

fn immortal(class: u64, payload: u64, digit: u32) -> Object {
    Object { refs: IMMORTAL, class, payload, digit, high: 0 }
}

fn int_tag(value: i64) -> u64 {
    match value {
        ..0 => 8 | 2,
        0 => 1,
        _ => 8,
    }
}

/// The class `int`.
pub(crate) fn int_class() -> u64 {
    &raw const CLASSES[0] as u64
}

/// The class `float`.
pub(crate) fn float_class() -> u64 {
    &raw const CLASSES[1] as u64
}

/// Another class.
pub(crate) fn other_class() -> u64 {
    &raw const CLASSES[2] as u64
}

/// `None`, `True` and `False`.
pub(crate) fn singletons() -> [u64; 3] {
    [0, 1, 2].map(|index: usize| WORLD.singletons[index].address())
}

/// A cached small int.
pub(crate) fn small_int(value: i64) -> u64 {
    WORLD.small_ints[(value + 5) as usize].address()
}

/// A new int of one digit or two, or of more with its value in the other digits' place (here: after the object).
pub(crate) fn new_int(value: i64) -> &'static mut Object {
    if value.unsigned_abs() < 1 << 30 {
        return object(1, int_class(), int_tag(value), value.unsigned_abs() as u32);
    }
    if value.unsigned_abs() < 1 << 60 {
        let tag = (2 << 3) | if value < 0 { 2 } else { 0 };
        let new = object(1, int_class(), tag, (value.unsigned_abs() & ((1 << 30) - 1)) as u32);
        new.high = (value.unsigned_abs() >> 30) as u32;
        return new;
    }
    let tag = (3 << 3) | if value < 0 { 2 } else { 0 };
    let wide: &'static mut (Object, i64) =
        Box::leak(Box::new((Object { refs: 1, class: int_class(), payload: tag, digit: 0, high: 0 }, value)));
    &mut wide.0
}

/// A new float.
pub(crate) fn new_float(value: f64) -> &'static mut Object {
    object(1, float_class(), value.to_bits(), 0)
}

extern "C" fn box_int(value: i64) -> u64 {
    log(|log| log.boxed_ints += 1);
    if (-5..=256).contains(&value) { small_int(value) } else { new_int(value).address() }
}

extern "C" fn box_float(value: f64) -> u64 {
    new_float(value).address()
}

extern "C" fn unbox_big_int(object: &(Object, i64)) -> Pair {
    if object.0.payload < 24 {
        return Pair { payload: object.0.int() as u64, tag: 1 };
    }
    // A value of 2**62 and more stands for one that doesn't fit.
    Pair { payload: object.1 as u64, tag: u64::from(object.1.unsigned_abs() < 1 << 62) }
}

extern "C" fn dealloc(object: u64) {
    log(|log| log.freed.push(object));
}

extern "C" fn exit(thread: &mut Thread, frame: *mut Frame, record: &ExitRecord, buffer: *const u64) -> Pair {
    // SAFETY: compiled code passes a buffer of at least as many words as the record says.
    let words = unsafe { std::slice::from_raw_parts(buffer, record.words as usize) }.to_vec();
    if record.entered {
        thread.remaining += 1;
    }
    let (record, words) = in_order_of_slots(record, &words);
    log(|log| log.left.push(Left { record, words, frame: frame as u64 }));
    LEFT
}

/// The same exit with the buffer as the frame has it: which word a value is in is the back end's choice.
fn in_order_of_slots(record: &ExitRecord, words: &[u64]) -> (ExitRecord, Vec<u64>) {
    let mut ordered = Vec::new();
    let mut places = HashMap::new();
    let mut place = |word: u32, pair: bool| {
        *places.entry(word).or_insert_with(|| {
            let place = ordered.len() as u32;
            ordered.extend_from_slice(&words[word as usize..][..=usize::from(pair)]);
            place
        })
    };
    let slot = |slot: &ExitSlot, place: &mut dyn FnMut(u32, bool) -> u32| match *slot {
        ExitSlot::Value(word, kind) => ExitSlot::Value(place(word, kind == ExitKind::Pair), kind),
        other => other,
    };
    let slots = record.slots.iter().map(|entry| slot(entry, &mut place)).collect();
    let drops = record.drops.iter().map(|word| place(*word, false)).collect();
    assert_eq!(ordered.len(), words.len(), "every word is of some slot");
    (ExitRecord { slots, drops, ..record.clone() }, ordered)
}

extern "C" fn fallback(callable: u64, args: *const u64, nargsf: u64, names: u64) -> u64 {
    // SAFETY: the vectorcall protocol: as many arguments as the lower bits of `nargsf` say.
    let args = unsafe { std::slice::from_raw_parts(args, (nargsf & (u64::MAX >> 1)) as usize) }.to_vec();
    log(|log| log.fallbacks.push((callable, args, nargsf, names)));
    0xfa11
}

extern "C" fn bind(_callable: u64, _args: *const u64, _nargsf: u64, _names: u64, out: *mut u64) -> i64 {
    let bound = log(|log| log.bound.clone());
    // SAFETY: there is room for each parameter, and a test binds as many.
    unsafe { std::ptr::copy_nonoverlapping(bound.as_ptr(), out, bound.len()) };
    i64::from(!bound.is_empty())
}

extern "C" fn unbind(values: *const u64, count: i64) {
    // SAFETY: as many values as parameters.
    let values = unsafe { std::slice::from_raw_parts(values, count as usize) }.to_vec();
    log(|log| log.unbound.extend(values));
}

extern "C" fn call_bound(callable: u64, values: *const u64) -> u64 {
    // SAFETY: a function with parameters.
    let first = unsafe { *values };
    log(|log| log.bound_calls.push((callable, first)));
    0xb0d
}

/// The callers of the tests keep what they pass.
extern "C" fn settle(_callable: u64, _args: *const u64, _nargsf: u64, _names: u64, _owned: u64) {}

extern "C" fn current_tstate() -> u64 {
    log(|log| log.thread)
}

extern "C" fn poll(_thread: &mut Thread) -> i32 {
    log(|log| log.poll)
}

/// There is no more memory for the data stack.
extern "C" fn push_frame(_thread: &mut Thread, _function: u64) -> u64 {
    0
}

extern "C" fn pop_frame(_thread: &mut Thread, frame: u64) {
    log(|log| log.popped.push(frame));
}

extern "C" fn three_words(a: u64, b: u64, c: u64) -> u64 {
    log(|log| log.helpers.push(vec![a, b, c]));
    0x3333
}

extern "C" fn array(items: *const u64, count: u64) -> u64 {
    // SAFETY: compiled code passes an array and its length.
    let items = unsafe { std::slice::from_raw_parts(items, count as usize) }.to_vec();
    log(|log| log.helpers.push(items));
    0x4444
}

extern "C" fn power(a: f64, b: f64) -> f64 {
    a.powf(b)
}

/// What a callee does that asks for the caller's frame.
extern "C" fn take_frame(_object: u64) -> u64 {
    let thread = log(|log| log.thread) as *const Thread;
    // SAFETY: the thread of the running process.
    let frame = unsafe { (*thread).current_frame };
    frame_at(frame).frame_obj = 0x0b;
    0
}

extern "C" fn error_occurred() -> bool {
    true
}

/// What the back end is told, with words that tests may change.
pub(crate) struct Process {
    layout: Layout,
    addresses: Addresses,
    /// 1 while the function is valid.
    pub(crate) valid: Box<u8>,
    /// The breaker's quiet value.
    pub(crate) quiet: Box<u64>,
    /// The native stack's limit.
    pub(crate) stack_limit: Box<u64>,
    /// The stress counter.
    pub(crate) stress: Box<u64>,
    /// Further results of helpers.
    pub(crate) scratch: Box<[u64; 4]>,
    /// The thread.
    pub(crate) thread: Box<Thread>,
    backend: CraneliftBackend,
}

impl Linkage for Process {
    fn helper(&self, helper: Helper) -> u64 {
        match helper {
            Helper::FloatPow => power as *const () as u64,
            Helper::ErrorOccurred => error_occurred as *const () as u64,
            Helper::Positive => take_frame as *const () as u64,
            _ if helper.info().array => array as *const () as u64,
            _ => three_words as *const () as u64,
        }
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn add_exit(&mut self, record: ExitRecord) -> u64 {
        std::ptr::from_ref(Box::leak(Box::new(record))) as u64
    }

    fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

fn field_offset(field: Field) -> i32 {
    let offset = match field {
        Field::RefCount => std::mem::offset_of!(Object, refs),
        Field::ObType => std::mem::offset_of!(Object, class),
        Field::LongDigit => std::mem::offset_of!(Object, digit),
        Field::EvalBreaker => std::mem::offset_of!(Thread, eval_breaker),
        _ => std::mem::offset_of!(Object, payload),
    };
    offset as i32
}

impl Process {
    /// A process with everything quiet and room for 100 calls.
    pub(crate) fn new() -> Process {
        let mut thread = Box::new(Thread {
            eval_breaker: 0x100,
            current_frame: 0xf0,
            datastack_top: 0,
            datastack_limit: 0,
            remaining: 100,
            data: [0; 64],
        });
        thread.datastack_top = thread.data.as_ptr() as u64;
        thread.datastack_limit = thread.datastack_top + 8 * thread.data.len() as u64;
        let (valid, quiet, stack_limit) = (Box::new(1), Box::new(0x100), Box::new(0));
        let (stress, scratch) = (Box::new(0), Box::new([0; 4]));
        log(|log| *log = Log { thread: &raw const *thread as u64, ..Log::default() });
        let addresses = Addresses {
            exit_function: exit as *const () as u64,
            exit_loop: exit as *const () as u64,
            fallback: fallback as *const () as u64,
            evaluator: 0,
            bind: bind as *const () as u64,
            unbind: unbind as *const () as u64,
            settle: settle as *const () as u64,
            call_bound: call_bound as *const () as u64,
            positional: true,
            current_tstate: current_tstate as *const () as u64,
            dealloc: dealloc as *const () as u64,
            dealloc_plain: dealloc as *const () as u64,
            box_int: box_int as *const () as u64,
            box_float: box_float as *const () as u64,
            unbox_big_int: unbox_big_int as *const () as u64,
            poll: poll as *const () as u64,
            watch: poll as *const () as u64,
            quiet_breaker: &raw const *quiet as u64,
            push_frame: push_frame as *const () as u64,
            pop_frame: pop_frame as *const () as u64,
            scratch: &raw const *scratch as u64,
            valid: &raw const *valid as u64,
            function: function(),
            stack_limit: &raw const *stack_limit as u64,
            ..Addresses::default()
        };
        let [none, true_object, false_object] = singletons();
        let layout = Layout {
            fields: Field::ALL.iter().map(|field| field_offset(*field)).collect(),
            none,
            true_object,
            false_object,
            int_type: int_class(),
            float_type: float_class(),
            small_ints: small_int(-5),
            small_int_size: size_of::<Object>() as u64,
            frame: frame_layout(),
            ..Layout::default()
        };
        let backend =
            CraneliftBackend::new(Options { optimise: true, verify: true }, Box::new(|| Box::new(SystemMemoryProvider::new())))
                .expect("a code generator for this machine");
        Process { layout, addresses, valid, quiet, stack_limit, stress, scratch, thread, backend }
    }

    /// Lets every guard count down.
    pub(crate) fn with_stress(mut self, guards: u64) -> Process {
        *self.stress = guards;
        self.addresses.stress = &raw const *self.stress as u64;
        self
    }

    /// Gives floats a free list: the list's head and number, and the word of the reference tracer. They must outlive what is compiled.
    pub(crate) fn with_float_list(mut self, words: &mut [u64; 3]) -> Process {
        let [head, count, tracer] = words.each_mut().map(|word| std::ptr::from_mut(word) as u64);
        self.layout.float_list = FreeList { head, count, count_bytes: 8, link: 0, most: 2 };
        self.layout.ref_tracer = tracer;
        self
    }

    /// As for a function with `*args`, `**kwargs` or parameters that are given by name alone.
    pub(crate) fn with_collections(mut self) -> Process {
        self.addresses.positional = false;
        self
    }

    /// Compiles with the optimiser off.
    pub(crate) fn without_optimiser(mut self) -> Process {
        self.backend =
            CraneliftBackend::new(Options { optimise: false, verify: true }, Box::new(|| Box::new(SystemMemoryProvider::new())))
                .expect("a code generator for this machine");
        self
    }

    /// Compiles a function.
    pub(crate) fn compile(&mut self, func: &Function) -> Compiled {
        verify(func).unwrap_or_else(|error| panic!("{error:?}\n{func}"));
        // The back end asks for the linkage while it is borrowed itself.
        let spare =
            CraneliftBackend::new(Options::default(), Box::new(|| Box::new(SystemMemoryProvider::new()))).expect("a back end");
        let mut backend = std::mem::replace(&mut self.backend, spare);
        let compiled = backend.compile(func, self, false);
        self.backend = backend;
        compiled.unwrap_or_else(|error| panic!("{error}\n{func}"))
    }

    /// Compiles a function given as text; objects labelled as a class or a singleton get its address.
    pub(crate) fn compile_text(&mut self, text: &str) -> Compiled {
        let mut func = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        name_objects(&mut func);
        self.compile(&func)
    }

    /// Calls the direct entry with ints or pointers.
    pub(crate) fn call(&mut self, compiled: &Compiled, args: &[u64]) -> Pair {
        let thread = &raw mut *self.thread;
        // SAFETY: the direct entry of a function with as many parameters, none of them doubles.
        unsafe {
            match *args {
                [] => entry::<extern "C" fn(*mut Thread) -> Pair>(compiled.entry)(thread),
                [a] => entry::<extern "C" fn(*mut Thread, u64) -> Pair>(compiled.entry)(thread, a),
                [a, b] => entry::<extern "C" fn(*mut Thread, u64, u64) -> Pair>(compiled.entry)(thread, a, b),
                [a, b, c] => entry::<extern "C" fn(*mut Thread, u64, u64, u64) -> Pair>(compiled.entry)(thread, a, b, c),
                _ => panic!("too many arguments for this test"),
            }
        }
    }

    /// Calls the direct entry with two doubles.
    pub(crate) fn call_floats(&mut self, compiled: &Compiled, a: f64, b: f64) -> Pair {
        // SAFETY: the direct entry of a function with two doubles for parameters.
        unsafe { entry::<extern "C" fn(*mut Thread, f64, f64) -> Pair>(compiled.entry)(&raw mut *self.thread, a, b) }
    }

    /// Enters a loop.
    pub(crate) fn call_loop(&mut self, compiled: &Compiled, frame: &mut Frame, values: &mut [u64]) -> Pair {
        // SAFETY: the entry of a loop, with the frame's values.
        unsafe {
            entry::<extern "C" fn(*mut Thread, *mut Frame, *mut u64, u64) -> Pair>(compiled.entry)(
                &raw mut *self.thread,
                frame,
                values.as_mut_ptr(),
                compiled.handle,
            )
        }
    }

    /// Calls the fallback entry of a function of an int, a double and an object.
    pub(crate) fn call_fallback(&mut self, compiled: &Compiled, int: i64, float: f64, object: u64) -> Pair {
        // SAFETY: a fallback entry with these parameters.
        unsafe {
            entry::<extern "C" fn(*mut Thread, i64, f64, u64) -> Pair>(compiled.fallback)(
                &raw mut *self.thread,
                int,
                float,
                object,
            )
        }
    }
}

/// Gives objects labelled as a class or a singleton its address.
pub(crate) fn name_objects(func: &mut Function) {
    let [none, yes, no] = singletons();
    for object in &mut func.objects {
        object.address = match object.label.as_str() {
            "int" => int_class(),
            "float" => float_class(),
            "None" => none,
            "True" => yes,
            "False" => no,
            _ => object.address,
        };
    }
}

/// Calls the vectorcall entry.
pub(crate) fn vectorcall(compiled: &Compiled, args: &[u64], flags: u64, names: u64) -> u64 {
    // SAFETY: a vectorcall entry, with an array of arguments and its length.
    unsafe {
        entry::<extern "C" fn(u64, *const u64, u64, u64) -> u64>(compiled.vectorcall)(
            function(),
            args.as_ptr(),
            args.len() as u64 | flags,
            names,
        )
    }
}

fn frame_layout() -> FrameLayout {
    let offset = |offset: usize| offset as i32;
    FrameLayout {
        current_frame: offset(std::mem::offset_of!(Thread, current_frame)),
        datastack_top: offset(std::mem::offset_of!(Thread, datastack_top)),
        datastack_limit: offset(std::mem::offset_of!(Thread, datastack_limit)),
        py_recursion_remaining: offset(std::mem::offset_of!(Thread, remaining)),
        previous: offset(std::mem::offset_of!(Frame, previous)),
        instr_ptr: offset(std::mem::offset_of!(Frame, instr_ptr)),
        frame_obj: offset(std::mem::offset_of!(Frame, frame_obj)),
        localsplus: offset(std::mem::offset_of!(Frame, localsplus)),
        funcobj: offset(std::mem::offset_of!(Frame, funcobj)),
        template: vec![(FRAME_CODE, CODE), (offset(std::mem::offset_of!(Frame, frame_obj)), 0)],
        stackpointer: Some(offset(std::mem::offset_of!(Frame, stackpointer))),
        frame_size: size_of::<Frame>() as i32,
        code_start: CODE_START,
        ..FrameLayout::default()
    }
}

/// The function pointer at an address.
unsafe fn entry<F: Copy>(address: u64) -> F {
    assert_eq!(size_of::<F>(), size_of::<u64>());
    // SAFETY: the caller names the type of the code at the address.
    unsafe { std::mem::transmute_copy(&address) }
}

/// The object at an address.
pub(crate) fn at(address: u64) -> &'static Object {
    // SAFETY: tests pass addresses of objects, which are never freed.
    unsafe { &*(address as *const Object) }
}

/// The frame at an address.
pub(crate) fn frame_at(address: u64) -> &'static mut Frame {
    // SAFETY: tests pass addresses of light frames in the thread's data stack.
    unsafe { &mut *(address as *mut Frame) }
}

/// The reasons of the exits so far.
pub(crate) fn reasons() -> Vec<Reason> {
    log(|log| log.left.iter().map(|left| left.record.reason).collect())
}
