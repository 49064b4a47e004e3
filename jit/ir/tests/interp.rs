//! The reference interpreter on a heap that notices each mistake with references.

mod heap;

use heap::{Heap, Left, TAG_LEFT, function};
use pepjit_ir::field::Width;
use pepjit_ir::interp::Machine;
use pepjit_ir::interp::{Poll, TAG_FLOAT, TAG_INT, TAG_OBJECT, arith, run};
use pepjit_ir::op::Reason;
use proptest::prelude::*;

fn ints(heap: &mut Heap, locals: u32, body: &str, args: &[i64]) -> (i64, u64) {
    let func = function(heap, "entry", locals, body);
    let args: Vec<_> = args.iter().map(|arg| *arg as u64).collect();
    let (payload, tag) = run(&func, heap, &args);
    (payload as i64, tag)
}

fn left(heap: &Heap) -> &Left {
    heap.left.as_ref().expect("an exit")
}

const SUM: &str = "
    b0(v0: CInt):
      enter ! s0
      v1 = const_int 0
      jump -> b1(v1, v1)
    b1(v2: CInt, v3: CInt):
      poll ! s1
      v4 = int_cmp lt, v3, v0
      branch v4 -> b2(), b3()
    b2():
      v5 = int_add v2, v3 ! s1
      v6 = const_int 1
      v7 = int_add v3, v6 ! s1
      jump -> b1(v5, v7)
    b3():
      return_int v2
    s0 = @0 locals [v0, _, _] stack []
    s1 = @6 locals [v0, v2, v3] stack []";

#[test]
fn a_loop() {
    let mut heap = Heap::new();
    assert_eq!(ints(&mut heap, 3, SUM, &[100]), (4950, TAG_INT));
    assert_eq!((heap.recursion, heap.left.is_none()), (10, true));
}

#[test]
fn arguments_of_a_jump_are_read_before_parameters_are_written() {
    let swap = "
        b0(v0: CInt, v1: CInt):
          v2 = const_bool 1
          jump -> b1(v0, v1, v2)
        b1(v3: CInt, v4: CInt, v5: CBool):
          v6 = bool_not v5
          branch v5 -> b1(v4, v3, v6), b2()
        b2():
          v7 = int_sub v3, v4 ! s0
          return_int v7
        s0 = @0 locals [v3, v4] stack []";
    assert_eq!(ints(&mut Heap::new(), 2, swap, &[3, 10]), (7, TAG_INT));
}

#[test]
fn overflow_leaves_with_the_frame() {
    let mut heap = Heap::new();
    let body = "b0(v0: CInt, v1: CInt): enter ! s0\n v2 = int_mul v0, v1 ! s0\n return_int v2\n s0 = @2 locals [v0, v1] stack [v0, o3, _]";
    assert_eq!(ints(&mut heap, 2, body, &[1 << 40, 3]), (3 << 40, TAG_INT));
    assert_eq!(ints(&mut heap, 2, body, &[1 << 40, 1 << 40]), (0, TAG_LEFT));
    let slots = ["1099511627776", "1099511627776", "1099511627776", "True", "_"].map(String::from).to_vec();
    let expected = Left { reason: Reason::Overflow, throw: false, offset: 2, slots, entered: true, pushed: false };
    assert_eq!(heap.left, Some(expected));
    assert_eq!(heap.recursion, 10);
}

#[test]
fn polls_and_limits() {
    let mut heap = Heap { polls: vec![Poll::Leave, Poll::GoOn, Poll::GoOn], ..Heap::new() };
    assert_eq!(ints(&mut heap, 3, SUM, &[100]), (0, TAG_LEFT));
    assert_eq!((left(&heap).reason, left(&heap).throw, left(&heap).slots[2].as_str()), (Reason::Pending, false, "2"));
    let mut heap = Heap { polls: vec![Poll::Raised], ..Heap::new() };
    assert_eq!(ints(&mut heap, 3, SUM, &[100]), (0, TAG_LEFT));
    assert_eq!((left(&heap).reason, left(&heap).throw), (Reason::Exception, true));
    let mut heap = Heap { may_enter: false, ..Heap::new() };
    assert_eq!(ints(&mut heap, 3, SUM, &[100]), (0, TAG_LEFT));
    assert_eq!((left(&heap).reason, left(&heap).entered, heap.recursion), (Reason::Recursion, false, 10));
}

#[test]
fn light_frames_are_popped() {
    let body = "b0(v0: CInt): enter ! s0\n push_frame ! s0\n set_instruction 5\n v1 = int_neg v0 ! s0\n return_int v1\n s0 = @0 locals [v0] stack []";
    let mut heap = Heap::new();
    assert_eq!(ints(&mut heap, 1, body, &[4]), (-4, TAG_INT));
    assert_eq!((heap.frames, heap.recursion, heap.instruction), (0, 10, 5));
    assert_eq!(ints(&mut heap, 1, body, &[i64::MIN]), (0, TAG_LEFT));
    assert_eq!((heap.frames, heap.recursion, left(&heap).pushed), (0, 10, true));
    heap.may_push = false;
    assert_eq!(ints(&mut heap, 1, body, &[4]), (0, TAG_LEFT));
    assert_eq!((heap.frames, left(&heap).pushed, left(&heap).entered, left(&heap).reason), (0, false, true, Reason::Recursion));
}

#[test]
fn stress_leaves_at_each_guard_in_turn() {
    let mut reasons = Vec::new();
    for guards in 0.. {
        let mut heap = Heap { stress: Some(guards), ..Heap::new() };
        let result = ints(&mut heap, 3, SUM, &[2]);
        if result == (1, TAG_INT) {
            assert_eq!(guards, 4, "two additions in each of two rounds");
            break;
        }
        assert_eq!(result, (0, TAG_LEFT));
        reasons.push((left(&heap).reason, left(&heap).slots.join(" ")));
    }
    let frames: Vec<_> = reasons.iter().map(|(_, frame)| frame.as_str()).collect();
    assert_eq!(frames, ["2 0 0", "2 0 0", "2 0 1", "2 0 1"]);
    assert!(reasons.iter().all(|(reason, _)| *reason == Reason::Stress));
}

#[test]
fn boxes_and_references() {
    let mut heap = Heap::new();
    let body = "
        b0(v0: Object borrowed):
          v1 = unbox_int v0 ! s0
          v2 = int_add v1, v1 ! s0
          v3 = box_int v2
          inc_ref v0
          v4 = call_n build_list, v0, v3
          v5 = is_null v4
          branch v5 -> b1(), b2()
        b1() cold:
          throw ! s0
        b2():
          return v4
        s0 = @0 locals [v0] stack []";
    let func = function(&heap, "entry", 1, body);
    for value in [0, 7, -7, 1000, -1000, 1 << 29, (1 << 30) - 1, 1 << 30, -(1 << 40), i64::MAX / 2] {
        let number = heap.box_int(value);
        let (list, tag) = run(&func, &mut heap, &[number]);
        assert_eq!((heap.repr(list), tag), (format!("[{value}, {}]", value * 2), TAG_OBJECT));
        heap.dec_ref(list);
        heap.dec_ref(number);
        assert_eq!(heap.leaks(), []);
    }
    let cases = [
        (heap.huge(), Reason::Overflow),
        (heap.box_float(1.0), Reason::Class),
        (heap.box_int(i64::MAX), Reason::Overflow),
        (0, Reason::Class),
    ];
    for (object, reason) in cases {
        assert_eq!(run(&func, &mut heap, &[object]).1, TAG_LEFT);
        assert_eq!(left(&heap).reason, reason);
        if object != 0 {
            heap.dec_ref(object);
        }
    }
    assert_eq!(heap.leaks(), []);
}

#[test]
fn numbers_are_unboxed_as_floats() {
    let mut heap = Heap::new();
    let body = "b0(v0: Object borrowed, v1: CFloat): v2 = unbox_number v0 ! s0\n v3 = float_div v1, v2 ! s0\n v4 = float_sqrt v3 ! s0\n return_float v4\n s0 = @0 locals [v0, v1] stack []";
    let func = function(&heap, "entry", 2, body);
    let divide = |heap: &mut Heap, object: u64, by: f64| {
        let (payload, tag) = run(&func, heap, &[object, by.to_bits()]);
        heap.dec_ref(object);
        (f64::from_bits(payload), tag)
    };
    let (two, half, zero) = (heap.box_int(2), heap.box_float(0.5), heap.box_float(-0.0));
    assert_eq!(divide(&mut heap, two, 8.0), (2.0, TAG_FLOAT));
    assert_eq!(divide(&mut heap, half, 2.0), (2.0, TAG_FLOAT));
    assert_eq!(divide(&mut heap, zero, 2.0).1, TAG_LEFT);
    assert_eq!(left(&heap).reason, Reason::Arithmetic);
    let minus = heap.box_int(-2);
    assert_eq!(divide(&mut heap, minus, 2.0).1, TAG_LEFT, "the root of a negative number");
    let big = heap.box_int(1 << 31);
    assert_eq!(divide(&mut heap, big, 2.0).1, TAG_LEFT);
    assert_eq!((left(&heap).reason, left(&heap).slots[0].as_str()), (Reason::Overflow, "2147483648"));
    assert_eq!(heap.leaks(), []);
}

/// Kinds of items, with words and what they are when read again.
const ELEMENTS: &[(&str, &[(i64, i64)])] = &[
    ("i8", &[(-128, -128), (127, 127), (128, -128), (0x1ff, -1)]),
    ("u8", &[(255, 255), (-1, 255), (256, 0)]),
    ("i16", &[(-32768, -32768), (32768, -32768), (0x1_0001, 1)]),
    ("u16", &[(65535, 65535), (-1, 65535)]),
    ("i32", &[(-2_147_483_648, -2_147_483_648), (1 << 31, -2_147_483_648), (-1, -1)]),
    ("u32", &[(4_294_967_295, 4_294_967_295), (-1, 4_294_967_295)]),
    ("i64", &[(i64::MIN, i64::MIN), (-1, -1), (i64::MAX, i64::MAX)]),
];

#[test]
fn items_of_arrays() {
    for (kind, cases) in ELEMENTS {
        for (stored, read) in *cases {
            let mut heap = Heap::new();
            let body = format!(
                "b0(v0: Object borrowed, v1: CInt):
                   v2 = load_field list.ob_item, v0
                   v3 = const_word 1
                   store_element array.{kind}, v2, v3, v1
                   v4 = load_element array.{kind}, v2, v3
                   v5 = word_to_int v4
                   return_int v5"
            );
            let func = function(&heap, "entry", 2, &body);
            let list = heap.list(&[]);
            let array = heap.get(list, pepjit_ir::Field::ListItems);
            assert_eq!(run(&func, &mut heap, &[list, *stored as u64]), (*read as u64, TAG_INT), "{kind} {stored}");
            // Nothing beside the item is written.
            let size = 8 / if kind.ends_with('8') { 8 } else { 64 / kind[1..].parse::<u64>().expect("bits") };
            assert_eq!((heap.read(array, Width::U8), heap.read(array + 2 * size, Width::U8)), (0, 0), "{kind} {stored}");
        }
    }
    for (kind, cases) in [("f32", [(0.1, f64::from(0.1f32)), (1e300, f64::INFINITY)]), ("f64", [(0.1, 0.1), (-0.0, -0.0)])] {
        for (stored, read) in cases {
            let mut heap = Heap::new();
            let body = format!(
                "b0(v0: Object borrowed, v1: CFloat):
                   v2 = load_field list.ob_item, v0
                   v3 = const_word 1
                   store_float_element array.{kind}, v2, v3, v1
                   v4 = load_element array.{kind}, v2, v3
                   return_float v4"
            );
            let func = function(&heap, "entry", 2, &body);
            let list = heap.list(&[]);
            assert_eq!(run(&func, &mut heap, &[list, f64::to_bits(stored)]), (read.to_bits(), TAG_FLOAT), "{kind} {stored}");
        }
    }
}

#[test]
fn stores_in_place() {
    let mut heap = Heap::new();
    let store = |op: &str, ty: &str| {
        format!(
            "b0(v0: Object borrowed, v1: {ty}): v2 = load_field list.ob_item, v0\n {op} v2, v1\n v3 = box_bool v4\n return v3"
        )
        .replace("v3 = box", "v4 = const_bool 1\n v3 = box")
    };
    let floats = function(&heap, "entry", 2, &store("store_float_in_place", "CFloat"));
    let ints = function(&heap, "entry", 2, &store("store_int_in_place", "CInt"));
    // (old, new, whether the old box is written)
    let cases = [
        (1000, 2000, true),
        (1000, -2000, true),
        (1000, 256, false),
        (1000, -5, false),
        (7, 1000, false),
        (1 << 40, 1000, false),
        (1000, 1 << 30, false),
        (1000, (1 << 30) - 1, true),
        (1000, i64::MIN, false),
    ];
    for (old, new, in_place) in cases {
        let number = heap.box_int(old);
        let list = heap.list(&[number]);
        run(&ints, &mut heap, &[list, new as u64]);
        assert_eq!(heap.repr(list), format!("[{new}]"));
        let array = heap.get(list, pepjit_ir::Field::ListItems);
        assert_eq!(heap.read(array, Width::U64) == number, in_place, "{old} {new}");
        heap.dec_ref(list);
        assert_eq!(heap.leaks(), []);
    }
    for (shared, in_place) in [(false, true), (true, false)] {
        let number = heap.box_float(1.5);
        let list = heap.list(&[number]);
        if shared {
            heap.inc_ref(number);
        }
        run(&floats, &mut heap, &[list, 2.5_f64.to_bits()]);
        assert_eq!(heap.repr(list), "[2.5]");
        if shared {
            assert_eq!(heap.repr(number), "1.5");
            heap.dec_ref(number);
        }
        let array = heap.get(list, pepjit_ir::Field::ListItems);
        assert_eq!(heap.read(array, Width::U64) == number, in_place);
        heap.dec_ref(list);
        assert_eq!(heap.leaks(), []);
    }
    // An empty slot, and one with an object of another class.
    let inner = heap.list(&[]);
    for old in [0, inner] {
        let list = heap.list(&[old]);
        run(&floats, &mut heap, &[list, 3.0_f64.to_bits()]);
        assert_eq!(heap.repr(list), "[3.0]");
        heap.dec_ref(list);
    }
    assert_eq!(heap.leaks(), []);
}

#[test]
fn items_and_swaps() {
    let mut heap = Heap::new();
    let body = "
        b0(v0: Object borrowed, v1: CInt, v2: Object borrowed):
          guard_class o2, v0 ! s0
          v3 = load_field ob_size, v0
          v4 = int_cmp below, v1, v3
          guard index, v4 ! s0
          v5 = load_field list.ob_item, v0
          inc_ref v2
          v6 = swap_item v5, v1, v2
          v7 = load_item v5, v1
          v8 = is_same v7, v2
          guard class, v8 ! s1
          return v6
        s0 = @3 locals [v0, v1, v2] stack []
        s1 = @3 locals [v0, v1, v2] stack [steal v6]";
    let func = function(&heap, "entry", 3, body);
    let (one, two) = (heap.box_int(1001), heap.box_int(1002));
    let (list, new) = (heap.list(&[one, two]), heap.box_int(1003));
    let (old, tag) = run(&func, &mut heap, &[list, 1, new]);
    assert_eq!((heap.repr(old), tag, heap.repr(list)), ("1002".into(), TAG_OBJECT, "[1001, 1003]".into()));
    heap.dec_ref(old);
    for (index, object, reason) in [(2, list, Reason::Index), (-1, list, Reason::Index), (0, new, Reason::Class)] {
        assert_eq!(run(&func, &mut heap, &[object, index as u64, new]).1, TAG_LEFT);
        assert_eq!(left(&heap).reason, reason);
    }
    heap.dec_ref(list);
    heap.dec_ref(new);
    assert_eq!(heap.leaks(), []);
}

#[test]
fn helpers_raise() {
    let mut heap = Heap::new();
    let body = "
        b0(v0: Object borrowed):
          v1 = call len, v0
          v2 = const_int 0
          v3 = int_cmp lt, v1, v2
          branch v3 -> b1(), b2()
        b1() cold: throw ! s0
        b2():
          v4 = call error_occurred
          guard_not exception, v4 ! s0
          return_int v1
        s0 = @5 locals [v0] stack []";
    let func = function(&heap, "entry", 1, body);
    let (list, number) = (heap.list(&[]), heap.box_int(5));
    assert_eq!(run(&func, &mut heap, &[list]), (0, TAG_INT));
    assert_eq!(run(&func, &mut heap, &[number]).1, TAG_LEFT);
    assert_eq!((left(&heap).reason, left(&heap).throw, left(&heap).offset), (Reason::Exception, true, 5));
    assert_eq!(run(&func, &mut heap, &[list]).1, TAG_LEFT, "an exception is set");
    assert!(!left(&heap).throw);
}

#[test]
fn scratch_and_methods() {
    let mut heap = Heap::new();
    let body = "
        b0(v0: Object borrowed, v1: Object borrowed):
          v2 = call get_method, v0, v1
          v3 = load_scratch 0
          v4 = is_null v2
          branch v4 -> b1(), b2()
        b1(): throw ! s0
        b2():
          v5 = is_same v3, v0
          guard callee, v5 ! s1
          guard_is o0, v2 ! s1
          dec_ref v2
          return v3
        s0 = @0 locals [v0, v1] stack [] drops [v3]
        s1 = @0 locals [v0, v1] stack [steal v2, steal v3]";
    let func = function(&heap, "entry", 2, body);
    let list = heap.list(&[]);
    let class = heap.known.int_type;
    assert_eq!(run(&func, &mut heap, &[list, class]), (list, TAG_OBJECT));
    heap.dec_ref(list);
    assert_eq!(run(&func, &mut heap, &[list, list]).1, TAG_LEFT);
    assert_eq!((left(&heap).reason, left(&heap).slots[2].as_str()), (Reason::Callee, "[]"));
    assert_eq!(heap.references(list), 1);
}

#[test]
fn direct_calls() {
    let call = "
        b0(v0: CInt):
          v1 = call_direct f0, v0
          v2 = pair_failed v1
          branch v2 -> b1(), b2()
        b1() cold: throw ! s0
        b2():";
    let states = "s0 = @4 locals [v0] stack []\n s1 = @6 locals [v0] stack [v1]";
    let with = |heap: &mut Heap, end: &str, pair: (u64, u64)| {
        heap.pairs = vec![pair];
        let func = function(heap, "entry", 1, &format!("{call} {end}\n {states}"));
        run(&func, heap, &[1])
    };
    let mut heap = Heap::new();
    let (int, object, float) = (
        "v3 = pair_to_int v1 ! s1\n return_int v3",
        "v3 = pair_to_object v1\n return v3",
        "v3 = pair_to_float v1 ! s1\n return_float v3",
    );
    assert_eq!(with(&mut heap, int, (42, TAG_INT)), (42, TAG_INT));
    assert_eq!(with(&mut heap, float, (1.5_f64.to_bits(), TAG_FLOAT)), (1.5_f64.to_bits(), TAG_FLOAT));
    assert_eq!(with(&mut heap, int, (1.5_f64.to_bits(), TAG_FLOAT)).1, TAG_LEFT);
    assert_eq!(left(&heap).slots[1], "1.5");
    assert_eq!(with(&mut heap, object, (0, TAG_OBJECT)).1, TAG_LEFT);
    assert!(left(&heap).throw);
    for (pair, text) in [((1000, TAG_INT), "1000"), ((2.5_f64.to_bits(), TAG_FLOAT), "2.5")] {
        let (result, tag) = with(&mut heap, object, pair);
        assert_eq!((heap.repr(result).as_str(), tag), (text, TAG_OBJECT));
        heap.dec_ref(result);
    }
    let number = heap.box_int(5000);
    assert_eq!(with(&mut heap, object, (number, TAG_OBJECT)), (number, TAG_OBJECT));
    assert_eq!(with(&mut heap, "pair_drop v1\n return_int v0", (number, TAG_OBJECT)), (1, TAG_INT));
    assert_eq!(heap.leaks(), []);
    let number = heap.box_int(6000);
    assert_eq!(with(&mut heap, float, (number, TAG_OBJECT)).1, TAG_LEFT);
    assert_eq!((left(&heap).slots[1].as_str(), left(&heap).reason), ("6000", Reason::Class));
    assert_eq!(heap.leaks(), []);
}

#[test]
fn a_loop_takes_the_frame_and_gives_it_back() {
    let mut heap = Heap::new();
    let body = "
        b0(v0: Nullable owned, v1: Nullable owned):
          guard_valid ! s0
          v2 = unbox_int v0 ! s0
          guard_bound unbound, v1 ! s0
          v3 = box_int v2
          dec_ref v0
          exit uncompiled ! s1
        s0 = @3 locals [steal v0, steal v1] stack []
        s1 = @9 locals [steal v3, steal v1] stack [v2]";
    let func = function(&heap, "loop 3", 2, body);
    let go = |heap: &mut Heap, first: u64, second: u64| {
        assert_eq!(run(&func, heap, &[first, second]).1, TAG_LEFT);
        assert_eq!(heap.leaks(), []);
        format!("{} {}", left(heap).reason.name(), left(heap).slots.join(" "))
    };
    let (number, float) = (heap.box_int(999), heap.box_float(0.5));
    assert_eq!(go(&mut heap, number, float), "uncompiled 999 0.5 999");
    let number = heap.box_int(999);
    assert_eq!(go(&mut heap, number, 0), "unbound 999 null");
    assert_eq!(go(&mut heap, 0, 0), "class null null");
    heap.valid = false;
    assert_eq!(go(&mut heap, 0, 0), "invalidated null null");
}

#[test]
fn bits_and_floats() {
    let int = |op: &str, args: &[i64]| {
        let params: Vec<_> = (0..args.len()).map(|index| format!("v{index}: CInt")).collect();
        let names: Vec<_> = (0..args.len()).map(|index| format!("v{index}")).collect();
        let body = format!("b0({}): v9 = {op} {}\n return_int v9", params.join(", "), names.join(", "));
        ints(&mut Heap::new(), 2, &body, args).0
    };
    assert_eq!(int("int_and", &[-2, 7]), 6);
    assert_eq!(int("int_or", &[-8, 3]), -5);
    assert_eq!(int("int_xor", &[-1, 3]), -4);
    assert_eq!(int("int_invert", &[5]), -6);
    let float = |body: &str, args: &[f64]| {
        let heap = &mut Heap::new();
        let params: Vec<_> = (0..args.len()).map(|index| format!("v{index}: CFloat")).collect();
        let func = function(heap, "entry", 2, &format!("b0({}): {body}", params.join(", ")));
        let args: Vec<_> = args.iter().map(|arg| arg.to_bits()).collect();
        run(&func, heap, &args)
    };
    let bits = |value: f64| (value.to_bits(), TAG_FLOAT);
    assert_eq!(float("v2 = float_sub v0, v1\n return_float v2", &[1.0, 0.25]), bits(0.75));
    assert_eq!(float("v2 = float_neg v0\n return_float v2", &[0.0]), bits(-0.0));
    assert_eq!(float("v2 = float_abs v0\n return_float v2", &[-2.5]), bits(2.5));
    assert_eq!(float("v2 = call float_mod, v0, v1\n return_float v2", &[5.5, 2.0]), bits(1.5));
    for (cond, expected) in [("lt", 0), ("le", 0), ("eq", 0), ("ne", 1), ("gt", 0), ("ge", 0)] {
        let body = format!("v2 = float_cmp {cond}, v0, v1\n v3 = bool_to_int v2\n return_int v3");
        assert_eq!(float(&body, &[f64::NAN, 1.0]), (expected, TAG_INT), "{cond}");
    }
}

#[test]
fn words_wrap() {
    let body = "
        b0(v0: CInt):
          v1 = const_word -1
          v2 = word_add v1, v0
          v3 = word_mul v2, v1
          v4 = word_sub v3, v1
          v5 = word_to_int v4
          return_int v5";
    assert_eq!(ints(&mut Heap::new(), 1, body, &[i64::MIN]), (i64::MIN.wrapping_add(2), TAG_INT));
}

fn any_int() -> impl Strategy<Value = i64> {
    let corner = prop::sample::select(vec![
        0,
        1,
        -1,
        2,
        -2,
        63,
        64,
        62,
        i64::MIN,
        i64::MAX,
        i64::MIN + 1,
        1 << 53,
        (1 << 53) + 1,
        1 << 62,
    ]);
    prop_oneof![corner, -70..70_i64, any::<i64>()]
}

/// The exact value if it fits.
fn fits(value: i128) -> Result<i64, Reason> {
    i64::try_from(value).map_err(|_| Reason::Overflow)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arithmetic_is_exact_or_leaves(a in any_int(), b in any_int()) {
        let (wide_a, wide_b) = (i128::from(a), i128::from(b));
        prop_assert_eq!(arith::int_add(a, b), fits(wide_a + wide_b));
        prop_assert_eq!(arith::int_sub(a, b), fits(wide_a - wide_b));
        prop_assert_eq!(arith::int_mul(a, b), fits(wide_a * wide_b));
        prop_assert_eq!(arith::int_neg(a), fits(-wide_a));
        let (quotient, remainder) = (arith::int_floor_div(a, b), arith::int_mod(a, b));
        if b == 0 {
            prop_assert_eq!((quotient, remainder), (Err(Reason::Arithmetic), Err(Reason::Arithmetic)));
        } else {
            // The definition: a == q * b + r, with r between 0 and b.
            let r = i128::from(remainder.expect("a remainder always fits"));
            let range = if b > 0 { 0..wide_b } else { wide_b + 1..1 };
            prop_assert!(range.contains(&r));
            prop_assert_eq!((wide_a - r) % wide_b, 0);
            prop_assert_eq!(quotient, fits((wide_a - r) / wide_b));
        }
    }

    #[test]
    fn shifts_are_exact_or_leave(a in any_int(), b in any_int()) {
        let (left, right) = (arith::int_shl(a, b), arith::int_shr(a, b));
        match b {
            ..0 => prop_assert_eq!((left, right), (Err(Reason::Arithmetic), Err(Reason::Arithmetic))),
            0..64 => {
                prop_assert_eq!(left, fits(i128::from(a) << b));
                prop_assert_eq!(right, fits(i128::from(a) >> b));
            }
            64.. => prop_assert_eq!((left, right), (Err(Reason::Overflow), Ok(if a < 0 { -1 } else { 0 }))),
        }
    }

    #[test]
    fn doubles_of_ints_are_exact_or_leave(a in any_int()) {
        match arith::int_to_float(a) {
            Ok(double) => prop_assert_eq!(double as i128, i128::from(a)),
            Err(reason) => prop_assert!(reason == Reason::Overflow && a.unsigned_abs() > 1 << 53),
        }
    }

    #[test]
    fn instructions_do_what_the_functions_say(a in any_int(), b in any_int()) {
        for (name, expected) in [
            ("int_floor_div", arith::int_floor_div(a, b)),
            ("int_mod", arith::int_mod(a, b)),
            ("int_shl", arith::int_shl(a, b)),
            ("int_shr", arith::int_shr(a, b)),
        ] {
            let mut heap = Heap::new();
            let body = format!("b0(v0: CInt, v1: CInt): v2 = {name} v0, v1 ! s0\n return_int v2\n s0 = @0 locals [v0, v1] stack []");
            let result = ints(&mut heap, 2, &body, &[a, b]);
            match expected {
                Ok(value) => prop_assert_eq!(result, (value, TAG_INT)),
                Err(reason) => {
                    prop_assert_eq!(result.1, TAG_LEFT);
                    prop_assert_eq!(left(&heap).reason, reason);
                    prop_assert_eq!(&left(&heap).slots, &[a.to_string(), b.to_string()]);
                }
            }
        }
    }
}
