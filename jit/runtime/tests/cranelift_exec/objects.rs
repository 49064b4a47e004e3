//! Objects: boxes, reference counts, guards, exits, calls.

use crate::process::{
    BOX_INT_CALLS, LEFT, Object, Pair, Process, at, function, has_left, int_class, log, new_float, new_int, object, only_exit,
    other_class, reasons, singletons, small_int, vectorcall,
};
use pepjit_backend::{ExitKind, ExitSlot};
use pepjit_ir::op::Reason;

const RETURN_STATE: &str = "s0 = @3 locals [v0] stack []";

/// A function of one object, with a body that uses `v0` and the state `s0`.
fn unary(body: &str) -> String {
    format!(
        "function \"unary\" entry, locals 1, stack 2, traceable 0 {{ b0(v0: Object borrowed): enter ! s0\n {body}\n {RETURN_STATE} }}"
    )
}

fn int(value: i64) -> Pair {
    Pair { payload: value as u64, tag: 0 }
}

fn float(value: f64) -> Pair {
    Pair { payload: value.to_bits(), tag: 2 }
}

/// Calls with an object and expects an exit for this reason.
fn leaves(process: &mut Process, compiled: &pepjit_backend::Compiled, object: u64, reason: Reason) {
    assert_eq!(process.call(compiled, &[object]), LEFT);
    let left = only_exit();
    assert_eq!((left.record.reason, left.words, left.record.entered), (reason, vec![object], true));
}

#[test]
fn unboxes_ints() {
    let mut process = Process::new();
    let compiled = process.compile_text(&unary("v1 = unbox_int v0 ! s0\n return_int v1"));
    for value in [0, 1, -1, 256, -5, (1 << 30) - 1, -(1 << 30) + 1, 1 << 30, -(1 << 40), (1 << 60) - 1, -(1 << 60), (1 << 62) - 1]
    {
        assert_eq!(process.call(&compiled, &[new_int(value).address()]), int(value), "{value}");
    }
    leaves(&mut process, &compiled, new_int(1 << 62).address(), Reason::Overflow);
    leaves(&mut process, &compiled, new_float(1.0).address(), Reason::Class);
}

#[test]
fn unboxes_what_may_be_null() {
    let mut process = Process::new();
    let text = unary("v1: Nullable borrowed = load_at 16, v0\n v2 = unbox_int v1 ! s0\n return_int v2");
    let compiled = process.compile_text(&text);
    let mut holder = |payload| process.call(&compiled, &[object(1, other_class(), payload, 0).address()]);
    assert_eq!(holder(new_int(12).address()), int(12));
    assert_eq!(holder(0), LEFT);
    assert_eq!(only_exit().record.reason, Reason::Class);
}

#[test]
fn unboxes_floats_and_numbers() {
    let mut process = Process::new();
    let compiled = process.compile_text(&unary("v1 = unbox_float v0 ! s0\n return_float v1"));
    assert_eq!(process.call(&compiled, &[new_float(-0.25).address()]), float(-0.25));
    leaves(&mut process, &compiled, new_int(1).address(), Reason::Class);
    let compiled = process.compile_text(&unary("v1 = unbox_number v0 ! s0\n return_float v1"));
    assert_eq!(process.call(&compiled, &[new_float(1.5).address()]), float(1.5));
    assert_eq!(process.call(&compiled, &[new_int(-12).address()]), float(-12.0));
    leaves(&mut process, &compiled, new_int(1 << 40).address(), Reason::Overflow);
    leaves(&mut process, &compiled, singletons()[1], Reason::Class);
    let compiled = process.compile_text(&unary("v1 = unbox_bool v0 ! s0\n v2 = bool_to_int v1\n return_int v2"));
    assert_eq!(process.call(&compiled, &[singletons()[1]]), int(1));
    assert_eq!(process.call(&compiled, &[singletons()[2]]), int(0));
    leaves(&mut process, &compiled, singletons()[0], Reason::Class);
}

#[test]
fn boxes() {
    let mut process = Process::new();
    let compiled = process.compile_text(&unary("v1 = unbox_int v0 ! s0\n v2 = box_int v1\n return v2"));
    for value in [-6, -5, 0, 256, 257] {
        let found = process.call(&compiled, &[new_int(value).address()]);
        assert_eq!((at(found.payload).int(), found.tag), (value, 1));
        if (-5..=256).contains(&value) {
            assert_eq!(found.payload, small_int(value), "a cached small int");
        }
    }
    assert_eq!(log(|log| log.boxed_ints), BOX_INT_CALLS, "machine code finds small ints without a call");
    let compiled = process.compile_text(&unary("v1 = unbox_float v0 ! s0\n v2 = box_float v1\n return v2"));
    let found = process.call(&compiled, &[new_float(2.75).address()]);
    assert_eq!(at(found.payload).float().to_bits(), 2.75_f64.to_bits());
    let compiled = process.compile_text(&unary("v1 = const_bool 1\n v2 = box_bool v1\n return v2"));
    assert_eq!(process.call(&compiled, &[0]).payload, singletons()[1]);
}

#[test]
fn counts_references() {
    let mut process = Process::new();
    let increment = process.compile_text(&unary("inc_ref v0\n return v0"));
    let decrement =
        process.compile_text(&unary("v1 = const_null\n v2 = swap_at 16, v0, v1\n dec_ref v2\n v3 = const_int 0\n return_int v3"));
    let counted = new_float(1.0);
    counted.refs = (7 << 32) | 5;
    process.call(&increment, &[counted.address()]);
    assert_eq!(counted.refs, (7 << 32) | 6, "the upper half is left alone");
    let immortal = small_int(3);
    process.call(&increment, &[immortal]);
    assert_eq!(at(immortal).refs, crate::process::IMMORTAL);
    let holder = |inner: u64| object(1, other_class(), inner, 0).address();
    process.call(&decrement, &[holder(counted.address())]);
    assert_eq!(counted.refs, (7 << 32) | 5);
    process.call(&decrement, &[holder(immortal)]);
    assert_eq!(at(immortal).refs, crate::process::IMMORTAL);
    process.call(&decrement, &[holder(0)]);
    assert_eq!(log(|log| log.freed.len()), 0);
    let last = new_int(1000);
    process.call(&decrement, &[holder(last.address())]);
    assert_eq!(log(|log| log.freed.clone()), [last.address()]);
    assert_eq!(last.refs, 0);
}

#[test]
fn guards() {
    let mut process = Process::new();
    let text = "function \"guards\" entry, locals 1, stack 0, traceable 0 {
        o0 = \"float\": Other
        b0(v0: Object borrowed): enter ! s0
          guard_class o0, v0 ! s0
          guard_valid ! s0
          v1 = const_int 4
          return_int v1
        s0 = @3 locals [v0] stack []
      }";
    let compiled = process.compile_text(text);
    let good = new_float(1.0).address();
    assert_eq!(process.call(&compiled, &[good]), int(4));
    leaves(&mut process, &compiled, new_int(1).address(), Reason::Class);
    *process.valid = 0;
    leaves(&mut process, &compiled, good, Reason::Invalidated);
    let text = text.replace("guard_class o0, v0 ! s0", "guard_is o0, v0 ! s0").replace("\"float\"", "\"True\"");
    *process.valid = 1;
    let compiled = process.compile_text(&text);
    assert_eq!(process.call(&compiled, &[singletons()[1]]), int(4));
    leaves(&mut process, &compiled, singletons()[2], Reason::Callee);
}

#[test]
fn items_of_arrays() {
    let mut process = Process::new();
    let cases: &[(&str, &[(i64, i64)])] = &[
        ("i8", &[(-128, -128), (127, 127), (128, -128), (0x1ff, -1)]),
        ("u8", &[(255, 255), (-1, 255), (256, 0)]),
        ("i16", &[(-32768, -32768), (32768, -32768), (0x1_0001, 1)]),
        ("u16", &[(65535, 65535), (-1, 65535)]),
        ("i32", &[(-2_147_483_648, -2_147_483_648), (1 << 31, -2_147_483_648), (-1, -1)]),
        ("u32", &[(4_294_967_295, 4_294_967_295), (-1, 4_294_967_295)]),
        ("i64", &[(i64::MIN, i64::MIN), (-1, -1), (i64::MAX, i64::MAX)]),
    ];
    for (kind, cases) in cases {
        // From the payload to the eight bytes behind it.
        let size = if *kind == "i8" || *kind == "u8" { 1 } else { kind[1..].parse::<i64>().expect("bits") / 8 };
        let compiled = process.compile_text(&unary(&format!(
            "v1 = address_of 16, v0
             v2 = load_u64 0, v1
             v3 = const_word {}
             store_element array.{kind}, v1, v3, v2
             v4 = load_element array.{kind}, v1, v3
             v5 = word_to_int v4
             return_int v5",
            8 / size
        )));
        for (stored, read) in *cases {
            let holder = object(1, other_class(), *stored as u64, 0);
            assert_eq!(process.call(&compiled, &[holder.address()]), int(*read), "{kind} {stored}");
            let behind = u64::from(holder.high) << 32 | u64::from(holder.digit);
            let mask = if size == 8 { u64::MAX } else { (1 << (8 * size)) - 1 };
            assert_eq!(behind, *stored as u64 & mask, "nothing beside the item is written: {kind} {stored}");
        }
    }
    for (kind, size, cases) in
        [("f32", 4, [(0.1, f64::from(0.1f32)), (1e300, f64::INFINITY)]), ("f64", 8, [(0.1, 0.1), (-0.0, -0.0)])]
    {
        let compiled = process.compile_text(&unary(&format!(
            "v1 = address_of 16, v0
             v2 = const_word 0
             v3 = load_element array.f64, v1, v2
             v4 = const_word {}
             store_float_element array.{kind}, v1, v4, v3
             v5 = load_element array.{kind}, v1, v4
             return_float v5",
            8 / size
        )));
        for (stored, read) in cases {
            let holder = object(1, other_class(), f64::to_bits(stored), 0);
            assert_eq!(process.call(&compiled, &[holder.address()]), float(read), "{kind} {stored}");
        }
    }
}

#[test]
fn memory() {
    let mut process = Process::new();
    let compiled = process.compile_text(&unary(
        "v1 = address_of 16, v0
         v2 = const_word 0
         v3 = load_item v1, v2
         v4 = load_byte v1
         v5 = load_u32 4, v1
         v6 = word_add v4, v5
         v7 = load_field ob_type, v0
         v8 = load_u64 0, v1
         v9 = is_null v3
         v10 = bool_to_int v9
         v11 = word_to_int v6
         return_int v11",
    ));
    let words = object(1, other_class(), 0x0000_0002_ffff_ff01, 0);
    assert_eq!(process.call(&compiled, &[words.address()]), int(3));
    let compiled = process.compile_text(&unary(
        "v1 = const_null
         v2 = swap_at 16, v0, v1
         v3 = const_word 9
         store_field ob_digit, v0, v3
         v4 = load_at 16, v0
         v6 = is_same v4, v2
         dec_ref v2
         v7 = bool_to_int v6
         return_int v7",
    ));
    let inner = new_float(0.5);
    inner.refs = 2;
    let holder = object(1, other_class(), inner.address(), 1);
    assert_eq!(process.call(&compiled, &[holder.address()]), int(0));
    assert_eq!((holder.payload, holder.digit, inner.refs), (0, 9, 1));
}

#[test]
fn writes_in_place() {
    let mut process = Process::new();
    let text = unary(
        "v1 = address_of 16, v0
         v2 = load_at 16, v0
         v3 = unbox_float v2 ! s0
         v4 = float_add v3, v3
         store_float_in_place v1, v4
         return_float v4",
    );
    let compiled = process.compile_text(&text);
    let (own, shared) = (new_float(1.5), new_float(1.5));
    shared.refs = 2;
    let holder = object(1, other_class(), own.address(), 0);
    process.call(&compiled, &[holder.address()]);
    assert_eq!((holder.payload, own.float().to_bits()), (own.address(), 3.0_f64.to_bits()), "overwritten");
    holder.payload = shared.address();
    process.call(&compiled, &[holder.address()]);
    assert_ne!(holder.payload, shared.address(), "replaced");
    assert_eq!((at(holder.payload).float().to_bits(), shared.refs), (3.0_f64.to_bits(), 1));

    let text = text.replace("unbox_float", "unbox_int").replace("float_add v3, v3", "int_add v3, v3 ! s0");
    let compiled = process.compile_text(&text.replace("store_float", "store_int").replace("return_float", "return_int"));
    let mut store = |old: &mut Object| {
        let holder = object(1, other_class(), old.address(), 0);
        process.call(&compiled, &[holder.address()]);
        (holder.payload == old.address(), at(holder.payload).int())
    };
    assert_eq!(store(new_int(50_000)), (true, 100_000));
    assert_eq!(store(new_int(-50_000)), (true, -100_000));
    assert_eq!(store(new_int((1 << 29) - 1)), (true, (1 << 30) - 2));
    assert_eq!(store(new_int(-513)), (true, -1026));
    assert_eq!(store(new_int(100)), (false, 200), "a cached small int is not made by hand");
    assert_eq!(store(new_int(-512)), (false, -1024), "nor one that later versions cache");
    let big = new_int(1 << 29);
    let holder = object(1, other_class(), big.address(), 0);
    assert_eq!(process.call(&compiled, &[holder.address()]), int(1 << 30));
    assert_ne!(holder.payload, big.address(), "two digits don't fit");
    let mut store = |old: &mut Object| {
        let holder = object(1, other_class(), old.address(), 0);
        process.call(&compiled, &[holder.address()]);
        (holder.payload == old.address(), at(holder.payload).int())
    };
    assert_eq!(store(new_int((1 << 30) + 5)), (true, (1 << 31) + 10), "two digits over two");
    assert_eq!(store(new_int(-(1 << 58) + 1)), (true, -(1 << 59) + 2));
    let big = new_int(-(1 << 59));
    let holder = object(1, other_class(), big.address(), 0);
    assert_eq!(process.call(&compiled, &[holder.address()]), int(-(1 << 60)));
    assert_ne!(holder.payload, big.address(), "three digits don't fit");
    assert!(!has_left());
}

#[test]
fn exits_with_every_kind_of_value() {
    let mut process = Process::new();
    let compiled = process.compile_text(
        "function \"exit\" entry, locals 7, stack 2, traceable 0 {
           o0 = \"None\": None none, immortal
           b0(v0: CInt, v1: CInt, v2: Object borrowed): enter ! s0
             v3 = const_float 2.5
             v4 = int_cmp lt, v0, v1
             v5 = pair_from_float v3
             v6 = box_int v0
             v7 = box_int v1
             exit uncompiled ! s1
           s0 = @0 locals [v0, v1, v2, _, _, _, _] stack []
           s1 = @9 locals [v0, v1, v2, _, o0, v3, v5] stack [v4, steal v6] drops [v7]
         }",
    );
    let two = new_float(0.0).address();
    assert_eq!(process.call(&compiled, &[1000, 2000, two]), LEFT);
    let left = only_exit();
    let record = &left.record;
    assert_eq!((record.reason, record.throw, record.offset, record.locals), (Reason::Uncompiled, false, 9, 7));
    let word = |slot: usize| match record.slots[slot] {
        ExitSlot::Value(word, kind) => (kind, left.words[word as usize]),
        other => panic!("{other:?}"),
    };
    assert_eq!(word(0), (ExitKind::Int, 1000));
    assert_eq!(word(1), (ExitKind::Int, 2000));
    assert_eq!(word(2), (ExitKind::Borrow, two));
    assert_eq!(record.slots[3], ExitSlot::Empty);
    assert_eq!(record.slots[4], ExitSlot::Object(singletons()[0]));
    assert_eq!(word(5), (ExitKind::Float, 2.5_f64.to_bits()));
    assert_eq!(word(6), (ExitKind::Pair, 2.5_f64.to_bits()));
    let ExitSlot::Value(pair, _) = record.slots[6] else { panic!("a pair") };
    assert_eq!(left.words[pair as usize + 1], 2, "the tag");
    assert_eq!(word(7), (ExitKind::Bool, 1));
    let (kind, boxed) = word(8);
    assert_eq!((kind, at(boxed).int()), (ExitKind::Steal, 1000));
    let [drop] = record.drops[..] else { panic!("one value to give up") };
    assert_eq!(at(left.words[drop as usize]).int(), 2000);
}

#[test]
fn calls_helpers() {
    let mut process = Process::new();
    let compiled = process.compile_text(&unary(
        "v1 = const_int 11
         v2 = call binary_op, v0, v0, v1
         v3 = call_n build_list, v0, v0
         v4 = call_n build_map, v0, v0, v0, v0
         v5 = const_float 2.0
         v6 = call float_pow, v5, v5
         v7 = call error_occurred
         v8 = bool_to_int v7
         branch v7 -> b1(), b2()
         b1(): return_float v6
         b2(): return_int v8",
    ));
    let a = new_float(0.0).address();
    assert_eq!(process.call(&compiled, &[a]), float(4.0));
    assert_eq!(log(|log| log.helpers.clone()), [vec![a, a, 11], vec![a, a], vec![a; 4]]);
    *process.scratch = [0, 0, 0x77, 0];
    let compiled = process.compile_text(&unary("v1 = load_scratch 2\n v2: Object owned = load_scratch 2\n return v2"));
    assert_eq!(process.call(&compiled, &[a]), Pair { payload: 0x77, tag: 1 });
}

#[test]
fn calls_directly_and_unpacks_pairs() {
    let mut process = Process::new();
    let callee = process.compile_text(
        "function \"callee\" entry, locals 2, stack 0, traceable 0 {
           b0(v0: CInt, v1: Object borrowed): enter ! s0
             v2 = const_int 0
             v3 = int_cmp eq, v0, v2
             branch v3 -> b1(), b2()
           b1(): v4 = const_float 0.5
             return_float v4
           b2(): v5 = const_int 1
             v6 = int_cmp eq, v0, v5
             branch v6 -> b3(), b4()
           b3(): v7 = int_sub v0, v5 ! s0
             return_int v7
           b4(): inc_ref v1
             return v1
           s0 = @0 locals [v0, v1] stack []
         }",
    );
    let cell = Box::leak(Box::new(callee.entry));
    let compile = |process: &mut Process, body: &str| {
        let text = format!(
            "function \"caller\" entry, locals 2, stack 1, traceable 0 {{ f0 = \"callee\" (CInt, Object)
               b0(v0: CInt, v1: Object borrowed): enter ! s0
                 v2 = call_direct f0, v0, v1
                 {body}
               s0 = @0 locals [v0, v1] stack []
               s1 = @4 locals [v0, v1] stack [v2] }}"
        );
        let mut func = pepjit_ir::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        func.callees[0].entry_cell = std::ptr::from_ref(cell) as u64;
        process.compile(&func)
    };
    let object = new_float(9.0).address();
    let to_object = compile(&mut process, "v3 = pair_to_object v2\n return v3");
    let boxed = process.call(&to_object, &[0, object]);
    assert_eq!((boxed.tag, at(boxed.payload).float().to_bits()), (1, 0.5_f64.to_bits()));
    assert_eq!(process.call(&to_object, &[1, object]), Pair { payload: small_int(0), tag: 1 });
    assert_eq!(process.call(&to_object, &[2, object]), Pair { payload: object, tag: 1 });

    let to_int = compile(&mut process, "v3 = pair_to_int v2 ! s1\n return_int v3");
    assert_eq!(process.call(&to_int, &[1, object]), int(0));
    assert_eq!(process.call(&to_int, &[2, object]), LEFT);
    let left = only_exit();
    assert_eq!(left.words[2..], [object, 1], "the pair itself");
    let to_float = compile(&mut process, "v3 = pair_to_float v2 ! s1\n return_float v3");
    assert_eq!(process.call(&to_float, &[0, object]), float(0.5));
    assert_eq!(process.call(&to_float, &[1, object]), LEFT);
    assert_eq!(only_exit().words[2..], [0, 0]);

    let failed = compile(&mut process, "v3 = pair_failed v2\n pair_drop v2\n v4 = bool_to_int v3\n return_int v4");
    let before = at(object).refs;
    for which in 0..3 {
        assert_eq!(process.call(&failed, &[which, object]), int(0));
    }
    assert_eq!(at(object).refs, before, "what the pair held is given up");
    assert_eq!(process.thread.remaining, 100, "the recursion limit is as it was, once the exits are counted");
}

#[test]
fn knows_a_raised_pair() {
    let mut process = Process::new();
    let compiled = process.compile_text(&unary(
        "v5 = const_null
         v1 = swap_at 16, v0, v5
         v2 = pair_from_object v1
         v3 = pair_failed v2
         pair_drop v2
         v4 = bool_to_int v3
         return_int v4",
    ));
    let holder = object(1, other_class(), 0, 0);
    assert_eq!(process.call(&compiled, &[holder.address()]), int(1));
    holder.payload = small_int(4);
    assert_eq!(process.call(&compiled, &[holder.address()]), int(0));
}

#[test]
fn stress_leaves_at_the_chosen_guard() {
    let body = "v1 = unbox_int v0 ! s0
         v2 = int_add v1, v1 ! s0
         v3 = int_add v2, v1 ! s0
         return_int v3";
    for guards in 0..5 {
        let mut process = Process::new().with_stress(guards);
        let compiled = process.compile_text(&unary(body));
        let found = process.call(&compiled, &[new_int(5).address()]);
        if guards < 3 {
            assert_eq!(found, LEFT, "guard {guards}");
            assert_eq!(reasons(), [Reason::Stress]);
        } else {
            assert_eq!((found, *process.stress), (int(15), guards - 3));
        }
    }
}

#[test]
fn vectorcall_checks_everything() {
    let mut process = Process::new();
    let compiled = process.compile_text(
        "function \"three\" entry, locals 3, stack 0, traceable 0 {
           b0(v0: CInt, v1: CFloat, v2: Object borrowed): enter ! s0
             v3 = int_to_float v0 ! s0
             v4 = float_add v3, v1
             return_float v4
           s0 = @0 locals [v0, v1, v2] stack []
         }",
    );
    let (one, half, any) = (new_int(-1).address(), new_float(0.5).address(), singletons()[0]);
    let good = [one, half, any];
    let offset = 1 << 63;
    for flags in [0, offset] {
        let found = vectorcall(&compiled, &good, flags, 0);
        assert_eq!((at(found).float().to_bits(), at(found).class), ((-0.5_f64).to_bits(), crate::process::float_class()));
    }
    let refused: [(&[u64], u64); 6] = [
        (&good[..2], 0),
        (&[one, half, any, any], 0),
        (&good, 0x1234),
        (&[half, half, any], 0),
        (&[one, one, any], 0),
        (&[new_int(1 << 30).address(), half, any], 0),
    ];
    for (args, names) in refused {
        assert_eq!(vectorcall(&compiled, args, offset, names), 0xfa11);
        let expected = (function(), args.to_vec(), args.len() as u64 | offset, names);
        assert_eq!(log(|log| log.fallbacks.pop()), Some(expected), "with the same arguments");
    }
    *process.valid = 0;
    assert_eq!(vectorcall(&compiled, &good, 0, 0), 0xfa11);
    assert_eq!(process.thread.remaining, 100);
}

#[test]
fn vectorcall_binds_what_does_not_fit() {
    let text = "function \"f\" entry, locals 1, stack 1, traceable 0 {\n  b0(v0: CInt):\n    return_int v0\n}\n";
    let value = new_int(70_000).address();
    for collections in [false, true] {
        let process = Process::new();
        let mut process = if collections { process.with_collections() } else { process };
        let compiled = process.compile_text(text);
        log(|log| log.bound = vec![value]);
        assert_ne!(vectorcall(&compiled, &[], 0, 0), 0xfa11, "a default");
        assert_ne!(vectorcall(&compiled, &[value], 0, 0x4000), 0xfa11, "a keyword");
        assert_eq!(log(|log| std::mem::take(&mut log.unbound)), [value, value]);
        assert_ne!(vectorcall(&compiled, &[value], 0, 0), 0xfa11);
        assert_eq!(log(|log| std::mem::take(&mut log.unbound)).len(), usize::from(collections), "only what was bound");
        // What is bound must be of the parameter's class.
        let other = small_int(3);
        let [none, ..] = singletons();
        log(|log| log.bound = vec![none]);
        assert_eq!(vectorcall(&compiled, &[], 0, 0), 0xfa11);
        assert_eq!(log(|log| std::mem::take(&mut log.unbound)), [none]);
        log(|log| log.bound.clear());
        assert_eq!(vectorcall(&compiled, &[other, other], 0, 0), 0xfa11);
        assert_eq!(log(|log| log.unbound.len()), 0);
    }
}

#[test]
fn fallback_of_bound_values() {
    let mut process = Process::new().with_collections();
    let text = "function \"f\" entry, locals 3, stack 1, traceable 0 {\n  b0(v0: CInt, v1: CFloat, v2: Object borrowed):\n    return_int v0\n}\n";
    let compiled = process.compile_text(text);
    assert_eq!(process.call_fallback(&compiled, 3, 0.25, small_int(1)), Pair { payload: 0xb0d, tag: 1 });
    assert_eq!(log(|log| log.bound_calls.pop()), Some((function(), small_int(3))));
}

#[test]
fn vectorcall_boxes_ints() {
    let mut process = Process::new();
    let compiled = process.compile_text(&unary("v1 = unbox_int v0 ! s0\n return_int v1"));
    assert_eq!(vectorcall(&compiled, &[new_int(7).address()], 0, 0), small_int(7));
    let big = vectorcall(&compiled, &[new_int(70_000).address()], 0, 0);
    assert_eq!((at(big).int(), at(big).class), (70_000, int_class()));
    let compiled = process.compile_text(&unary("inc_ref v0\n return v0"));
    let same = new_float(1.0).address();
    assert_eq!(vectorcall(&compiled, &[same], 0, 0), same);
}

#[test]
fn fallback_boxes_arguments() {
    let mut process = Process::new();
    let compiled = process.compile_text(
        "function \"three\" entry, locals 3, stack 0, traceable 0 {
           b0(v0: CInt, v1: CFloat, v2: Object borrowed): enter ! s0
             return_int v0
           s0 = @0 locals [v0, v1, v2] stack []
         }",
    );
    let any = singletons()[0];
    assert_eq!(process.call_fallback(&compiled, 4000, 0.25, any), Pair { payload: 0xfa11, tag: 1 });
    let (callable, args, nargsf, names) = log(|log| log.fallbacks.pop()).expect("a call");
    assert_eq!((callable, nargsf, names, args[2]), (function(), 3, 0, any));
    assert_eq!((at(args[0]).int(), at(args[1]).float().to_bits()), (4000, 0.25_f64.to_bits()));
    assert_eq!(log(|log| log.freed.clone()), args[..2], "the boxes are given up");
}
