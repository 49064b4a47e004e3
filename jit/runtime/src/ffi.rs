//! The C side, as declared in `csrc/shim.h`: see there for what each function does.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};

/// An object, opaque.
pub(crate) type Object = *mut c_void;
/// A thread state, opaque.
pub(crate) type ThreadState = *mut c_void;
/// An interpreter frame, opaque.
pub(crate) type Frame = *mut c_void;

/// What native code returns in two registers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) payload: i64,
    pub(crate) tag: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExitSlot {
    pub(crate) kind: u32,
    pub(crate) index: u32,
    pub(crate) address: u64,
}

#[repr(C)]
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) count: u64,
    pub(crate) limit: u64,
    pub(crate) reason: *mut u64,
    pub(crate) active: *mut i64,
    pub(crate) user: u64,
    pub(crate) function: Object,
    pub(crate) code: Object,
    pub(crate) offset: u32,
    pub(crate) throw: u8,
    pub(crate) entered: u8,
    pub(crate) recursion: u8,
    pub(crate) classes: u8,
    pub(crate) watch: u8,
    pub(crate) yields: u8,
    pub(crate) nlocals: u32,
    pub(crate) nstack: u32,
    pub(crate) nwords: u32,
    pub(crate) ndrops: u32,
    pub(crate) slots: *const ExitSlot,
    pub(crate) function_cell: *mut Object,
    pub(crate) drops: *const u32,
}

/// What has come by at a subscript: compiled code lets the C side write here.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Site {
    pub(crate) seen: Cell<u64>,
    pub(crate) count: Cell<u64>,
}

#[repr(C)]
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) offset: u32,
    pub(crate) variant: u32,
    pub(crate) slots: *const ExitSlot,
}

#[repr(C)]
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "the C side's name")]
pub(crate) struct Views {
    pub(crate) count: u32,
    pub(crate) nlocals: u32,
    pub(crate) views: *const View,
}

impl Default for Views {
    fn default() -> Views {
        Views { count: 0, nlocals: 0, views: std::ptr::null() }
    }
}

/// Who waits no more although not all of its events have come.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct GivenUp {
    /// It may be gone.
    pub(crate) code: Object,
    pub(crate) header: i64,
    /// Those that haven't come; 0: nobody.
    pub(crate) events: u64,
}

/// Where a generator goes on.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) magic: *const c_void,
    pub(crate) entry: u64,
    pub(crate) handle: u64,
    pub(crate) owner: *mut c_void,
    pub(crate) nulls: u64,
    pub(crate) offset: u32,
    pub(crate) depth: u32,
    pub(crate) refused: u32,
    pub(crate) gain: i32,
}

/// `PEPJIT_WAIT_START`
pub(crate) const WAIT_START: i64 = -1;

#[repr(C)]
pub(crate) struct HelperRow {
    pub(crate) name: *const c_char,
    pub(crate) address: *mut c_void,
}

#[repr(C)]
#[derive(Default)]
pub(crate) struct ProcessLayout {
    pub(crate) none: u64,
    pub(crate) true_object: u64,
    pub(crate) false_object: u64,
    pub(crate) int_type: u64,
    pub(crate) float_type: u64,
    pub(crate) small_ints: u64,
    pub(crate) small_int_size: u64,
    pub(crate) floats: FreeList,
    pub(crate) ints: FreeList,
    pub(crate) ref_tracer: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct FreeList {
    head: u64,
    count: u64,
    count_bytes: u32,
    link: i32,
    most: i64,
}

impl From<FreeList> for pepjit_backend::FreeList {
    fn from(list: FreeList) -> Self {
        Self { head: list.head, count: list.count, count_bytes: list.count_bytes, link: list.link, most: list.most }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Word {
    pub(crate) offset: i64,
    pub(crate) value: u64,
}

#[repr(C)]
#[derive(Default)]
pub(crate) struct FrameLayout {
    pub(crate) current_frame: i32,
    pub(crate) datastack_top: i32,
    pub(crate) datastack_limit: i32,
    pub(crate) py_recursion_remaining: i32,
    pub(crate) previous: i32,
    pub(crate) instr_ptr: i32,
    pub(crate) frame_obj: i32,
    pub(crate) localsplus: i32,
    pub(crate) stackpointer: i32,
    pub(crate) stacktop: i32,
    pub(crate) frame_size: i32,
    pub(crate) reserved: i32,
    pub(crate) code_start: u64,
    pub(crate) null_word: u64,
    pub(crate) nlocalsplus: u32,
    pub(crate) ntemplate: u32,
    pub(crate) template: [Word; 12],
}

#[repr(C)]
#[derive(Default)]
pub(crate) struct DictSlot {
    pub(crate) keys_slot: u64,
    pub(crate) word: u64,
    pub(crate) placeholder: u64,
    pub(crate) version: u32,
    pub(crate) unused: u32,
}

#[repr(C)]
#[derive(Default)]
pub(crate) struct Description {
    pub(crate) ty: u32,
    pub(crate) constant: u32,
    pub(crate) int_value: i64,
    pub(crate) float_value: f64,
    pub(crate) immortal: u32,
    pub(crate) reserved: u32,
}

#[repr(C)]
pub(crate) struct FunctionInfo {
    pub(crate) code: Object,
    pub(crate) globals: Object,
    pub(crate) builtins: Object,
    pub(crate) defaults: Object,
    pub(crate) kwdefaults: Object,
    pub(crate) closure: Object,
    pub(crate) qualname: Object,
    pub(crate) vectorcall: *mut c_void,
    pub(crate) version: u32,
    pub(crate) plain_dicts: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Handler {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) target: u32,
    pub(crate) depth: u32,
    pub(crate) lasti: u32,
}

#[repr(C)]
pub(crate) struct CodeInfo {
    pub(crate) base: *mut u16,
    pub(crate) adaptive: *mut u16,
    pub(crate) handlers: *mut Handler,
    pub(crate) local_kinds: *mut u8,
    pub(crate) consts: Object,
    pub(crate) names: Object,
    pub(crate) localsplusnames: Object,
    pub(crate) qualname: Object,
    pub(crate) filename: Object,
    pub(crate) code_start: u64,
    pub(crate) nunits: u32,
    pub(crate) nhandlers: u32,
    pub(crate) nlocals: u32,
    pub(crate) nlocalsplus: u32,
    pub(crate) argcount: u32,
    pub(crate) posonlyargcount: u32,
    pub(crate) kwonlyargcount: u32,
    pub(crate) stacksize: u32,
    pub(crate) flags: u32,
    pub(crate) first_traceable: u32,
    pub(crate) first_line: u32,
    pub(crate) framesize: u32,
    pub(crate) has_executors: u32,
}

#[repr(C)]
#[derive(Default)]
pub(crate) struct AttributeInfo {
    pub(crate) kind: u32,
    pub(crate) offset: i32,
    pub(crate) index: u32,
    pub(crate) valid_offset: i32,
    pub(crate) dict_offset: i32,
    pub(crate) storable: u32,
    pub(crate) object: u64,
    pub(crate) shared_keys: u32,
    pub(crate) keys_version: u32,
    pub(crate) keys_slot: u64,
    pub(crate) also: u64,
}

pub(crate) type LoopEntry = unsafe extern "C" fn(ThreadState, Frame, *mut Object, u64) -> Pair;

/// How a function in C is called.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct NativeInfo {
    pub(crate) address: u64,
    pub(crate) convention: u32,
    pub(crate) method: u32,
    pub(crate) waits: u32,
    pub(crate) receiver: Object,
}

unsafe extern "C" {
    pub(crate) fn pepjit_exit_function(tstate: ThreadState, light: Frame, record: *mut Exit, buffer: *const i64) -> Pair;
    pub(crate) fn pepjit_exit_loop(tstate: ThreadState, frame: Frame, record: *mut Exit, buffer: *const i64) -> Pair;
    pub(crate) fn pepjit_current_tstate() -> ThreadState;
    pub(crate) fn pepjit_dealloc(object: Object, tstate: ThreadState);
    pub(crate) fn _Py_Dealloc(object: Object);
    pub(crate) fn pepjit_box_int(value: i64) -> Object;
    pub(crate) fn pepjit_box_float(value: f64) -> Object;
    pub(crate) fn pepjit_unbox_big_int(object: Object) -> Pair;
    pub(crate) fn pepjit_poll(tstate: ThreadState) -> i64;
    pub(crate) fn pepjit_push_light_frame(tstate: ThreadState, function: Object) -> Frame;
    pub(crate) fn pepjit_catch(tstate: ThreadState) -> Object;
    pub(crate) fn pepjit_handler_target(code: Object, offset: u32) -> i64;
    pub(crate) static mut pepjit_unwinds: u64;
    pub(crate) static mut pepjit_events: u64;
    pub(crate) fn pepjit_pop_frame(tstate: ThreadState, light: Frame);
    pub(crate) fn pepjit_forget_view(tstate: ThreadState, frame: Frame);
    pub(crate) fn pepjit_bind(function: Object, args: *const Object, nargsf: usize, names: Object, out: *mut Object) -> i64;
    pub(crate) fn pepjit_settle(function: Object, args: *const Object, nargsf: usize, names: Object, owned: u64);
    pub(crate) fn pepjit_unbind(values: *mut Object, count: i64);
    pub(crate) fn pepjit_call_bound(function: Object, values: *const Object) -> Object;
    pub(crate) static mut pepjit_scratch: [Object; 1024];
    pub(crate) static mut pepjit_quiet_breaker: u64;
    pub(crate) static mut pepjit_stack_limit: u64;
    pub(crate) static pepjit_fallback: *mut c_void;
    pub(crate) static pepjit_evaluator: *const c_void;

    pub(crate) static pepjit_field_count: u32;
    pub(crate) static pepjit_field_names: [*const c_char; 0];
    pub(crate) static pepjit_field_offsets: [i32; 0];
    pub(crate) static pepjit_helper_count: u32;
    pub(crate) static pepjit_helpers: [HelperRow; 0];
    pub(crate) fn pepjit_process_layout(out: *mut ProcessLayout);
    pub(crate) fn pepjit_frame_layout(function: Object, out: *mut FrameLayout);

    pub(crate) fn pepjit_minor_version() -> c_int;
    pub(crate) fn pepjit_module_create() -> Object;

    pub(crate) fn pepjit_monitoring_begin() -> c_int;
    pub(crate) fn pepjit_monitoring_events(events: c_int) -> c_int;
    pub(crate) fn pepjit_monitoring_end();
    pub(crate) fn pepjit_frame_values(frame: Frame, out: *mut Object) -> i64;
    pub(crate) fn pepjit_frame_fits(frame: Frame, bound: *const u8, count: i64) -> c_int;
    pub(crate) fn pepjit_frame_count(frame: Frame) -> i64;
    pub(crate) fn pepjit_frame_normalise(frame: Frame) -> c_int;
    pub(crate) fn pepjit_frame_caller(frame: Frame, unit: *mut u32) -> Object;
    pub(crate) fn pepjit_frame_function(frame: Frame) -> Object;
    pub(crate) fn pepjit_run_loop(tstate: ThreadState, frame: Frame, header: u32, entry: LoopEntry, handle: u64);

    pub(crate) fn pepjit_know_function(function: Object);
    pub(crate) fn pepjit_generators_begin();
    pub(crate) fn pepjit_generators_end();
    pub(crate) fn pepjit_generator_activate(function: Object, version: *mut u32) -> c_int;
    pub(crate) fn pepjit_generator_refuse(point: *mut Resume);

    pub(crate) fn pepjit_watch(tstate: ThreadState) -> c_int;
    pub(crate) fn pepjit_views_begin() -> c_int;
    pub(crate) fn pepjit_views_end();
    pub(crate) fn pepjit_code_monitored(code: Object) -> c_int;
    pub(crate) fn pepjit_wait(code: Object, header: i64, events: u64, given_up: *mut GivenUp) -> u64;
    pub(crate) fn pepjit_wait_no_more();
    pub(crate) fn pepjit_other_jit() -> c_int;
    pub(crate) fn pepjit_listen_again(code: Object, jump: i64) -> c_int;
    pub(crate) fn pepjit_code_units(code: Object) -> i64;
    pub(crate) fn pepjit_code_flags(code: Object) -> u32;
    pub(crate) fn pepjit_code_local_count(code: Object) -> i64;
    pub(crate) fn pepjit_code_local_name(code: Object, local: i64) -> Object;
    pub(crate) fn pepjit_compiler_fits() -> c_int;
    pub(crate) fn pepjit_watchers_begin() -> c_int;
    pub(crate) fn pepjit_watchers_end();
    pub(crate) fn pepjit_rely_on_name(dict: Object, utf8: *const u8, length: i64);
    pub(crate) fn pepjit_frame_plain_names(frame: Frame) -> c_int;
    pub(crate) fn pepjit_watch_dict(dict: Object) -> c_int;
    pub(crate) fn pepjit_watch_type(ty: Object) -> c_int;

    pub(crate) fn pepjit_hook(function: Object, entry: *mut c_void) -> u32;
    pub(crate) fn pepjit_unhook(function: Object, version: u32);
    pub(crate) fn pepjit_hooks_suspended() -> c_int;
    pub(crate) fn pepjit_running(visit: extern "C" fn(*mut c_void, Object), context: *mut c_void) -> c_int;
    pub(crate) fn pepjit_stack(visit: extern "C" fn(*mut c_void, Object), context: *mut c_void);

    pub(crate) fn pepjit_object_type(object: Object) -> u32;
    pub(crate) fn pepjit_well_known(bit: u32) -> Object;
    pub(crate) fn pepjit_describe(object: Object, out: *mut Description);
    pub(crate) fn pepjit_label(object: Object, buffer: *mut c_char, size: i64) -> i64;
    pub(crate) fn pepjit_utf8(text: Object, length: *mut i64) -> *const c_char;
    pub(crate) fn pepjit_small_int(value: u32) -> Object;
    pub(crate) fn pepjit_container(object: Object) -> u64;
    pub(crate) fn pepjit_subscript_name(stores: c_int) -> Object;
    pub(crate) fn pepjit_array(kind: u32, class: *mut Object, descriptor: *mut u64) -> u8;
    pub(crate) fn pepjit_common_constant(number: u32) -> Object;
    pub(crate) fn pepjit_is_function(object: Object) -> c_int;
    pub(crate) fn pepjit_is_class(object: Object) -> c_int;
    pub(crate) fn pepjit_type_of(object: Object) -> Object;
    pub(crate) fn pepjit_is_module(object: Object) -> c_int;
    pub(crate) fn pepjit_incref(object: Object);
    pub(crate) fn pepjit_decref(object: Object);
    pub(crate) fn pepjit_keep(object: Object) -> c_int;
    pub(crate) fn pepjit_dict_get(dict: Object, key: Object) -> Object;
    pub(crate) fn pepjit_dict_slot(dict: Object, name: Object, out: *mut DictSlot) -> c_int;
    pub(crate) fn pepjit_module_dict(module: Object) -> Object;
    pub(crate) fn pepjit_function_of_version(version: u32) -> Object;
    pub(crate) fn pepjit_function_info(function: Object, out: *mut FunctionInfo);
    pub(crate) fn pepjit_tuple_size(tuple: Object) -> i64;
    pub(crate) fn pepjit_tuple_item(tuple: Object, index: i64) -> Object;
    pub(crate) fn pepjit_code_info(code: Object, out: *mut CodeInfo) -> c_int;
    pub(crate) fn pepjit_code_release(info: *mut CodeInfo);
    pub(crate) fn pepjit_class_of_version(version: u32) -> Object;
    pub(crate) fn pepjit_class_version(ty: Object) -> u32;
    pub(crate) fn pepjit_attribute(ty: Object, name: Object, out: *mut AttributeInfo);
    pub(crate) fn pepjit_class_attribute(ty: Object, name: Object) -> Object;
    pub(crate) fn pepjit_class_holder(ty: Object, name: Object) -> Object;
    pub(crate) fn pepjit_class_is_fixed(ty: Object) -> c_int;
    pub(crate) fn pepjit_class_method(ty: Object, name: Object) -> Object;
    pub(crate) fn pepjit_super_function(defining: Object, ty: Object, name: Object, holder: *mut Object) -> Object;
    pub(crate) fn pepjit_cell_contents(cell: Object) -> Object;
    pub(crate) fn pepjit_is_object_setattr(object: Object) -> c_int;
    pub(crate) fn pepjit_class_call(ty: Object, init: *mut Object) -> c_int;
    pub(crate) fn pepjit_builtin(object: Object) -> c_int;
    pub(crate) fn pepjit_native(object: Object, out: *mut NativeInfo) -> c_int;

    // CPython's stable interface, for the module's methods.
    pub(crate) fn PyErr_SetString(class: Object, text: *const c_char);
    pub(crate) static PyExc_TypeError: Object;
    pub(crate) static PyExc_ValueError: Object;
    pub(crate) static PyExc_RuntimeError: Object;
    pub(crate) fn PyDict_New() -> Object;
    pub(crate) fn PyDict_SetItemString(dict: Object, key: *const c_char, value: Object) -> c_int;
    pub(crate) fn PyLong_FromLongLong(value: i64) -> Object;
    pub(crate) fn PyLong_AsLongLong(value: Object) -> i64;
    pub(crate) fn PyUnicode_FromStringAndSize(text: *const c_char, length: isize) -> Object;
    pub(crate) fn PyList_New(length: isize) -> Object;
    pub(crate) fn PyList_Append(list: Object, item: Object) -> c_int;
    pub(crate) fn PyBool_FromLong(value: i64) -> Object;
    pub(crate) fn PyErr_Occurred() -> Object;
    pub(crate) fn PyErr_Clear();
}
