//! Boxes from the interpreter's free lists.

use crate::process::{Pair, Process, at, float_class, log, new_float, object};

/// A function that boxes the float that it gets anew, as `v2`.
fn unary(rest: &str) -> String {
    format!(
        "function \"unary\" entry, locals 1, stack 2, traceable 0 {{ b0(v0: Object borrowed): enter ! s0
         v1 = unbox_float v0 ! s0\n v2 = box_float v1\n {rest}\n s0 = @3 locals [v0] stack [] }}"
    )
}

#[test]
fn floats_come_from_the_free_list_and_go_back() {
    let mut words = Box::new([0u64; 3]);
    let mut process = Process::new().with_float_list(&mut words);
    let compiled = process.compile_text(&unary("return v2"));
    let number = new_float(2.5);
    // Nothing on the list: the runtime makes one.
    let made = process.call(&compiled, &[number.address()]);
    assert_eq!((words[0], words[1]), (0, 0));
    // One that was freed, with the next of the list in its first word.
    let freed = object(0x77, float_class(), 0, 0);
    *words = [freed.address(), 2, 0];
    let got = process.call(&compiled, &[number.address()]);
    assert_eq!((got.payload, words[0], words[1]), (freed.address(), 0x77, 1));
    assert_eq!(at(got.payload).payload, 2.5f64.to_bits());
    assert_ne!(got.payload, made.payload);
    // Whoever traces references hears of every one from the runtime.
    *words = [freed.address(), 2, 1];
    assert_ne!(process.call(&compiled, &[number.address()]).payload, freed.address());
    assert_eq!(words[1], 2);

    let drops = process.compile_text(&unary("v3 = const_int 1\n dec_ref v2\n return_int v3"));
    for (before, tracer, on_list) in [(1, 0, true), (2, 0, false), (u64::MAX, 0, false), (1, 1, false)] {
        log(|log| log.freed.clear());
        *words = [0, before, tracer];
        assert_eq!(process.call(&drops, &[number.address()]), Pair { payload: 1, tag: 0 });
        assert_eq!(words[0] != 0, on_list, "{before} on the list, tracer {tracer}");
        assert_eq!(words[1], if on_list { before + 1 } else { before });
        assert_eq!(log(|log| log.freed.len()), usize::from(!on_list));
    }
}
