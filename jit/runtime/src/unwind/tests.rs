use super::*;
use pepjit_backend::{Addresses, Compiled, ExitRecord, Layout, Linkage};
use pepjit_cranelift::{CraneliftBackend, Options};
use pepjit_ir::{Helper, parse, verify};
use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tests take turns, as the GIL has the runtime do.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" {
    fn _Unwind_Backtrace(visit: extern "C" fn(*mut c_void, *mut c_void) -> c_int, data: *mut c_void) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

thread_local! {
    static TRACE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// What compiled code calls as its helper: notes the return addresses on the stack.
extern "C" fn note_trace() -> bool {
    extern "C" fn visit(context: *mut c_void, _: *mut c_void) -> c_int {
        // SAFETY: called by the unwinder with its context.
        let address = unsafe { _Unwind_GetIP(context) };
        TRACE.with_borrow_mut(|trace| trace.push(address as u64));
        0
    }
    TRACE.with_borrow_mut(Vec::clear);
    // SAFETY: the visitor doesn't unwind.
    unsafe { _Unwind_Backtrace(visit, std::ptr::null_mut()) };
    true
}

/// A linkage with one helper; the test's function asks for nothing else.
struct Nowhere {
    layout: Layout,
    addresses: Addresses,
}

impl Nowhere {
    fn new() -> Nowhere {
        let layout = Layout {
            fields: vec![0; pepjit_ir::Field::ALL.len()],
            none: 0,
            true_object: 0,
            false_object: 0,
            int_type: 0,
            float_type: 0,
            small_ints: 0,
            small_int_size: 32,
            ..Layout::default()
        };
        Nowhere { layout, addresses: Addresses::default() }
    }
}

impl Linkage for Nowhere {
    fn helper(&self, _: Helper) -> u64 {
        note_trace as *const () as u64
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn add_exit(&mut self, _: ExitRecord) -> u64 {
        0
    }

    fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// A function that calls its helper and returns 7 if that returns true.
const CALLS: &str = "function \"caller\" entry, locals 0, stack 0, traceable 0 {
    b0(): v0 = call error_occurred
      branch v0 -> b1(), b2()
    b1(): v1 = const_int 7
      return_int v1
    b2(): v2 = const_int 8
      return_int v2
  }";

fn compile() -> (CraneliftBackend, Compiled) {
    let memory = Box::new(crate::arena::provider);
    let mut backend = CraneliftBackend::new(Options { optimise: true, verify: true }, memory).unwrap();
    let func = parse(CALLS).unwrap_or_else(|error| panic!("{error}"));
    verify(&func).unwrap();
    let compiled = backend.compile(&func, &mut Nowhere::new(), false).unwrap();
    (backend, compiled)
}

/// Runs the function; returns where it was when it called its helper, and everything above it on the stack.
fn run(compiled: &Compiled) -> Vec<u64> {
    // SAFETY: the code is a direct entry of a function without parameters, and doesn't look at its thread state.
    unsafe {
        let entry: extern "C" fn(u64) -> Pair = std::mem::transmute(compiled.entry);
        assert_eq!(entry(0).payload, 7);
    }
    TRACE.with_borrow(Clone::clone)
}

#[repr(C)]
struct Pair {
    payload: i64,
    tag: i64,
}

#[test]
fn the_unwinder_gets_past_compiled_code() {
    let _turn = turn();
    let (mut backend, compiled) = compile();
    let range = backend.ranges(compiled.handle)[0].clone();
    let code = range.address..range.address + range.bytes as u64;
    let here = |trace: &[u64]| trace.iter().position(|address| code.contains(address));

    let before = run(&compiled);
    let stopped = before.len();
    let registration = Registration::of(&backend, compiled.handle).unwrap();
    assert!(registration.metadata_bytes() > 40);
    let during = run(&compiled);
    let position = here(&during).expect("the compiled frame is in the backtrace");
    assert!(during.len() > position + 5, "so are its callers, up to the thread's start: {during:x?}");
    drop(registration);
    let after = run(&compiled);
    assert!(after.len() < during.len() && after.len() == stopped, "{} {} {}", stopped, during.len(), after.len());
    backend.free(compiled.handle);
}

#[test]
fn the_announcing_back_end_registers_until_the_code_is_freed() {
    let _turn = turn();
    let memory = Box::new(crate::arena::provider);
    let backend = CraneliftBackend::new(Options { optimise: true, verify: true }, memory).unwrap();
    let mut backend = AnnouncingBackend::new(backend);
    let func = parse(CALLS).unwrap_or_else(|error| panic!("{error}"));
    let compiled = backend.compile(&func, &mut Nowhere::new(), false).unwrap();
    assert!(run(&compiled).len() > 5);
    assert_eq!(backend.registrations.len(), 1);
    backend.free(compiled.handle);
    assert!(backend.registrations.is_empty());
}

#[test]
fn many_functions_come_and_go() {
    let _turn = turn();
    let mut kept = Vec::new();
    for round in 0..40 {
        let (backend, compiled) = compile();
        let registration = Registration::of(&backend, compiled.handle).unwrap();
        kept.push((registration, backend, compiled));
        if round % 3 == 0 {
            kept.remove(kept.len() / 2);
        }
    }
    for (_, _, compiled) in &kept {
        assert!(run(compiled).len() > 5);
    }
}

#[test]
fn code_without_unwind_information_is_not_registered() {
    let _turn = turn();
    drop(Registration::new(&[], vec![vec![0; 4]], Audience::default()));
}

#[test]
fn gdb_has_a_list_of_what_is_registered() {
    let _turn = turn();
    let piece = [Piece { name: "one", address: 0x1000, bytes: 16 }];
    let audience = Audience { gdb: true, perf: false };
    let (before, bytes) = (gdb::registered(), metadata_bytes());
    let [one, two, three] = [(); 3].map(|()| Registration::new(&piece, vec![vec![0; 4]], audience));
    assert_eq!(gdb::registered(), before + 3);
    drop(two);
    drop(three);
    assert_eq!(gdb::registered(), before + 1);
    assert!(one.metadata_bytes() > 400);
    assert_eq!(metadata_bytes(), bytes + one.metadata_bytes() as u64);
    drop(one);
    assert_eq!(gdb::registered(), before);
}

/// What a tool says of the file, or nothing if the tool isn't installed.
fn ask(tool: &str, arguments: &[&str], file: &[u8]) -> Option<String> {
    let folder = std::env::temp_dir().join(format!("pepjit-elf-{}-{tool}", std::process::id()));
    std::fs::write(&folder, file).unwrap();
    let output = std::process::Command::new(tool).args(arguments).arg(&folder).output();
    std::fs::remove_file(&folder).unwrap();
    let output = output.ok()?;
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_elf_file_names_the_code() {
    let pieces = [Piece { name: "first", address: 0x1010, bytes: 32 }, Piece { name: "second\0", address: 0x1040, bytes: 8 }];
    let (backend, compiled) = compile();
    let sections: Vec<Box<[u8]>> = backend.eh_frames(compiled.handle).unwrap().into_iter().map(Vec::into_boxed_slice).collect();
    let image = elf::image(&pieces, &joined(&sections));
    let word = |offset: usize| u64::from_ne_bytes(image[offset..offset + 8].try_into().unwrap());
    assert_eq!(&image[..4], b"\x7fELF");
    let text = word(40) as usize + 64;
    // `.text`: address, size.
    assert_eq!((word(text + 16), word(text + 32)), (0x1010, 0x38));

    let Some(symbols) = ask("readelf", &["-sW"], &image) else { return };
    let lines: Vec<Vec<&str>> = symbols.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.contains(&vec!["1:", "0000000000000000", "32", "FUNC", "LOCAL", "DEFAULT", "1", "first"]), "{symbols}");
    assert!(lines.contains(&vec!["2:", "0000000000000030", "8", "FUNC", "LOCAL", "DEFAULT", "1", "second"]), "{symbols}");
    let Some(frames) = ask("readelf", &["--debug-dump=frames", "-W"], &image) else { return };
    assert!(frames.contains("CIE") && frames.matches("FDE").count() == 3, "{frames}");
}

#[test]
fn perf_gets_a_line_per_piece() {
    let path = std::env::temp_dir().join(format!("pepjit-perf-{}.map", std::process::id()));
    let pieces = [
        Piece { name: "a.b", address: 0x7f00_1000, bytes: 64 },
        Piece { name: "<two\nlines>", address: 0x7f00_1040, bytes: 255 },
    ];
    append_to_perf_map(&path, &pieces[..1]).unwrap();
    append_to_perf_map(&path, &pieces[1..]).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(text, "7f001000 40 pepjit::a.b\n7f001040 ff pepjit::<two lines>\n");
}

#[test]
fn perf_lines_do_not_follow_links() {
    let target = std::env::temp_dir().join(format!("pepjit-perf-target-{}", std::process::id()));
    let link = std::env::temp_dir().join(format!("pepjit-perf-link-{}", std::process::id()));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let result = append_to_perf_map(&link, &[Piece { name: "a", address: 1, bytes: 1 }]);
    std::fs::remove_file(&link).unwrap();
    assert!(result.is_err() && !target.exists());
}
