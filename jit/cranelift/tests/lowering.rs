//! What the back end makes, as text; running it needs `unsafe` and is tested beside the runtime.

use pepjit_backend::{Addresses, Backend, BackendError, Compiled, ExitRecord, ExitSlot, Layout, Linkage};
use pepjit_cranelift::{CraneliftBackend, Options, SystemMemoryProvider};
use pepjit_ir::{Field, Helper, parse, verify};

/// A linkage whose addresses tell in a dump what they are.
struct Fake {
    layout: Layout,
    addresses: Addresses,
    exits: Vec<ExitRecord>,
}

impl Linkage for Fake {
    fn helper(&self, helper: Helper) -> u64 {
        0x10_0000 + helper as u64
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn add_exit(&mut self, record: ExitRecord) -> u64 {
        self.exits.push(record);
        0x20_0000 + self.exits.len() as u64
    }

    fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

fn fake() -> Fake {
    Fake {
        layout: Layout {
            fields: (0..Field::ALL.len() as i32).map(|index| 8 * index).collect(),
            none: 0x1000,
            true_object: 0x1001,
            false_object: 0x1002,
            int_type: 0x1003,
            float_type: 0x1004,
            small_ints: 0x1005,
            small_int_size: 32,
            ..Layout::default()
        },
        addresses: Addresses {
            exit_function: 0xaaaa_0001,
            exit_loop: 0xaaaa_0002,
            dealloc: 0xaaaa_0003,
            box_int: 0xaaaa_0004,
            dealloc_plain: 0xaaaa_0005,
            ..Addresses::default()
        },
        exits: Vec::new(),
    }
}

fn backend() -> CraneliftBackend {
    let options = Options { optimise: true, verify: true };
    CraneliftBackend::new(options, Box::new(|| Box::new(SystemMemoryProvider::new()))).expect("a code generator for this machine")
}

fn compile_with(backend: &mut CraneliftBackend, linkage: &mut Fake, text: &str) -> Result<Compiled, BackendError> {
    let func = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    verify(&func).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    backend.compile(&func, linkage, true)
}

/// Compiles, and gives the CLIF of the direct or loop entry with the exits.
fn clif(text: &str) -> (String, Vec<ExitRecord>) {
    let mut linkage = fake();
    let compiled = compile_with(&mut backend(), &mut linkage, text).unwrap_or_else(|error| panic!("{error}"));
    let all = &compiled.dumps["clif"];
    (all.split("(vectorcall)").next().unwrap_or_default().to_owned(), linkage.exits)
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

const SUM: &str = "function \"sum\" entry, locals 2, stack 1, traceable 0 {
    b0(v0: CInt, v1: CInt): enter ! s0
      v2 = int_add v0, v1 ! s1
      v3 = int_mul v2, v1 ! s1
      v4 = int_floor_div v3, v2 ! s1
      v5 = int_sub v4, v0 ! s2
      return_int v5
    s0 = @0 locals [v0, v1] stack []
    s1 = @3 locals [v0, v1] stack []
    s2 = @7 locals [v0, v1] stack [v4]
  }";

#[test]
fn has_three_entries_and_their_code() {
    let (mut backend, mut linkage) = (backend(), fake());
    let compiled = compile_with(&mut backend, &mut linkage, SUM).unwrap_or_else(|error| panic!("{error}"));
    let entries = [compiled.entry, compiled.vectorcall, compiled.fallback];
    assert!(entries.iter().all(|entry| *entry != 0));
    let ranges = backend.ranges(compiled.handle);
    assert_eq!(ranges.iter().map(|range| range.address).collect::<Vec<_>>(), entries);
    assert_eq!(ranges.iter().map(|range| range.name.as_str()).collect::<Vec<_>>(), ["sum", "sum (vectorcall)", "sum (fallback)"]);
    assert_eq!(ranges.iter().map(|range| range.bytes).sum::<usize>(), compiled.code_bytes);
    assert!(compiled.code_bytes > 100);
    assert!(compiled.dumps["asm"].contains("; sum (fallback)"));
    let unwind = backend.eh_frames(compiled.handle).expect("unwind information");
    assert_eq!(unwind.len(), entries.len());
    for (entry, section) in entries.iter().zip(unwind) {
        assert!(section.windows(8).any(|bytes| bytes == entry.to_ne_bytes()), "each entry has its description");
    }
    backend.free(compiled.handle);
    assert!(backend.ranges(compiled.handle).is_empty());
    assert!(backend.take_module(compiled.handle).is_none());
}

#[test]
fn a_module_can_be_taken_once() {
    let (mut backend, mut linkage) = (backend(), fake());
    let compiled = compile_with(&mut backend, &mut linkage, SUM).unwrap_or_else(|error| panic!("{error}"));
    assert!(backend.take_module(compiled.handle).is_some());
    assert!(backend.take_module(compiled.handle).is_none());
}

#[test]
fn exits_share_the_code_of_what_they_all_store() {
    let text = "function \"sum\" entry, locals 2, stack 2, traceable 0 {
        b0(v0: CInt, v1: CInt): enter ! s0
          v2 = int_add v0, v1 ! s1
          v3 = int_mul v2, v1 ! s1
          v4 = int_floor_div v3, v2 ! s1
          v5 = int_sub v4, v0 ! s2
          v6 = int_mul v5, v4 ! s3
          return_int v6
        s0 = @0 locals [v0, v1] stack []
        s1 = @3 locals [v0, v1] stack []
        s2 = @7 locals [v1, v0] stack [v4]
        s3 = @9 locals [v0, v1] stack [v5, v4]
      }";
    let (clif, exits) = clif(text);
    // enter; overflow and arithmetic at s1; overflow at s2 and at s3.
    assert_eq!(exits.len(), 5);
    // The two words of all states are stored in one place, that of two in another, v5 in its only exit.
    assert_eq!(count(&clif, "store.i64 notrap aligned region3"), 2 + 1 + 1, "{clif}");
    assert_eq!(count(&clif, "call_indirect"), 1, "{clif}");
    assert_eq!(exits.iter().filter(|exit| exit.entered).count(), 4);
    let words = |exit: &ExitRecord| -> Vec<u32> {
        let word = |slot: &ExitSlot| if let ExitSlot::Value(word, _) = slot { *word } else { unreachable!("{slot:?}") };
        exit.slots.iter().map(word).collect()
    };
    assert_eq!(
        exits.iter().map(words).collect::<Vec<_>>(),
        [vec![0, 1], vec![0, 1], vec![0, 1], vec![1, 0, 2], vec![0, 1, 3, 2]]
    );
}

#[test]
fn a_loop_has_one_entry() {
    let (mut backend, mut linkage) = (backend(), fake());
    let text = "function \"loop\" loop 4, locals 1, stack 0, traceable 0 {
        b0(v0: Nullable owned): v1 = unbox_int v0 ! s0
          dec_ref v0
          return_int v1
        s0 = @4 locals [steal v0] stack []
      }";
    let compiled = compile_with(&mut backend, &mut linkage, text).unwrap_or_else(|error| panic!("{error}"));
    assert!(compiled.entry != 0 && compiled.vectorcall == 0 && compiled.fallback == 0);
    assert!(linkage.exits.iter().all(|exit| !exit.entered));
    assert!(compiled.dumps["clif"].contains("0xaaaa_0002"), "exits through exit_loop");
}

#[test]
fn checks_only_what_is_not_known() {
    let text = |ty: &str| {
        format!(
            "function \"known\" entry, locals 1, stack 0, traceable 0 {{
               b0(v0: Object borrowed): enter ! s0
                 v1: {ty} borrowed = load_at 16, v0
                 v2 = unbox_int v1 ! s0
                 inc_ref v1
                 return v1
               s0 = @0 locals [v0] stack [] }}"
        )
    };
    // Null, class, digits, immortality, fits after the call, two in `enter`.
    let branches = |ty| count(&clif(&text(ty)).0, "brif");
    assert_eq!(branches("Nullable"), branches("Object") + 2, "null is checked by both");
    assert_eq!(branches("Object"), branches("Int") + 1, "the class of an int is known");
}

#[test]
fn does_not_count_what_has_no_count() {
    let text = |ty: &str| {
        format!(
            "function \"counts\" entry, locals 1, stack 0, traceable 0 {{
               o0 = \"x\": {ty}
               b0(v0: Object borrowed): enter ! s0
                 v1 = const_obj o0
                 inc_ref v1
                 return v1
               s0 = @0 locals [v0] stack [] }}"
        )
    };
    let counts = |ty: &str| count(&clif(&text(ty)).0, "load.i32 notrap aligned region0");
    assert_eq!([counts("Str"), counts("Str, immortal"), counts("None none"), counts("Bool bool true")], [1, 0, 0, 0]);
}

#[test]
fn constant_divisors_need_no_checks() {
    let text = |op: &str, divisor: i64| {
        format!(
            "function \"divides\" entry, locals 1, stack 0, traceable 0 {{
               b0(v0: CInt): enter ! s0
                 v1 = const_int {divisor}
                 v2 = {op} v0, v1 ! s0
                 return_int v2
               s0 = @0 locals [v0] stack [] }}"
        )
    };
    for op in ["int_floor_div", "int_mod"] {
        let (shifted, divided) = (clif(&text(op, 8)).0, clif(&text(op, 10)).0);
        assert_eq!([count(&shifted, "sdiv") + count(&shifted, "srem"), count(&divided, "brif")], [0, 2], "only those of `enter`");
    }
}

#[test]
fn says_what_it_does_not_support() {
    let text = "function \"list\" entry, locals 1, stack 0, traceable 0 {
        b0(v0: List borrowed): enter ! s0
          inc_ref v0
          return v0
        s0 = @0 locals [v0] stack []
      }";
    let error = compile_with(&mut backend(), &mut fake(), text).expect_err("a list's class is not known here");
    assert!(matches!(error, BackendError::Unsupported { .. }), "{error}");
    assert_eq!(error.to_string(), "the cranelift back end doesn't support an entry parameter of type List");
}

#[test]
fn reports_a_function_it_cannot_make_sense_of() {
    // Not verified: a light frame is there on one way only.
    let text = "function \"mixed\" entry, locals 1, stack 0, traceable 0 {
        b0(v0: CInt): enter ! s0
          v1 = const_bool 1
          branch v1 -> b1(), b2()
        b1(): push_frame ! s0
          jump -> b2()
        b2(): return_int v0
        s0 = @0 locals [v0] stack []
      }";
    let func = parse(text).expect("a function");
    let error = backend().compile(&func, &mut fake(), false).expect_err("no way to know the frame");
    assert!(matches!(error, BackendError::Internal { .. }), "{error}");
    // The back end still works.
    assert!(compile_with(&mut backend(), &mut fake(), SUM).is_ok());
}
