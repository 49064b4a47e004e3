//! Passes over functions as text: each result must be well-formed and its references balanced.

use super::{Pipeline, box_sink, counts, dce, fold, gvn, licm, pair, phi_pair, phi_unbox};
use crate::function::Function;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Reads a function, which must be well-formed.
fn read(text: &str) -> Function {
    let func = crate::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    well_formed(&func);
    func
}

/// Runs one pass and returns the text of the result, which must be well-formed.
pub(super) fn after(pass: fn(&mut Function), text: &str) -> String {
    let mut func = read(text);
    pass(&mut func);
    well_formed(&func);
    func.to_string()
}

/// Runs all passes.
fn optimized(text: &str) -> String {
    let mut func = read(text);
    Pipeline::new().run(&mut func);
    well_formed(&func);
    func.to_string()
}

fn well_formed(func: &Function) {
    if let Err(error) = crate::verify::verify(func) {
        panic!("{error}\n{func}");
    }
    if let Err(error) = crate::check_ownership(func) {
        panic!("{error}\n{func}");
    }
}

/// How many instructions of this name a text has.
pub(super) fn count(text: &str, op: &str) -> usize {
    text.lines().filter(|line| line.split_whitespace().any(|word| word == op)).count()
}

/// `while i < n: s += i; i += 1` / `return s`, with `n` and what comes before the loop as objects.
const SUM: &str = r#"
function "sum" entry, locals 3, stack 2, traceable 0 {
  o0 = "0": Int int 0, immortal
  o1 = "1": Int int 1, immortal
  b0(v0: Object borrowed):
    enter ! s0
    v1 = const_obj o0
    inc_ref v1
    inc_ref v1
    jump -> b1(v1, v1) ! s1
  b1(v2: Object owned, v3: Object owned):
    v4 = unbox_int v3 ! s2
    v5 = unbox_int v0 ! s2
    v6 = int_cmp lt, v4, v5
    branch v6 -> b2(), b3()
  b2():
    v7 = unbox_int v2 ! s2
    v8 = unbox_int v3 ! s2
    v9 = int_add v7, v8 ! s2
    v10 = box_int v9
    dec_ref v2
    v11 = unbox_int v3 ! s3
    v12 = const_obj o1
    v13 = unbox_int v12 ! s3
    v14 = int_add v11, v13 ! s3
    v15 = box_int v14
    dec_ref v3
    poll ! s4
    jump -> b1(v10, v15) ! s4
  b3():
    dec_ref v3
    return v2
  s0 = @0 locals [v0, _, _] stack [] drops []
  s1 = @4 locals [v0, steal v1, steal v1] stack [] drops []
  s2 = @4 locals [v0, steal v2, steal v3] stack [] drops []
  s3 = @8 locals [v0, steal v10, steal v3] stack [] drops []
  s4 = @4 locals [v0, steal v10, steal v15] stack [] drops []
}
"#;

/// `for i in range(n): s += i` / `return s`, with `i` unbound before.
const RANGE: &str = r#"
function "range_sum" entry, locals 3, stack 2, traceable 0 {
  o0 = "0": Int int 0, immortal
  o1 = "range_iterator": Other, immortal
  b0(v0: Object borrowed):
    enter ! s0
    v1 = const_obj o0
    inc_ref v1
    v2 = unbox_int v0 ! s0
    v3 = const_int 0
    v4 = const_int 1
    v5: RangeIter|Null owned = call range_iter, v3, v2, v4
    v6 = is_null v5
    branch v6 -> b1(), b2()
  b1() cold:
    throw ! s1
  b2():
    v7 = const_null
    jump -> b3(v1, v7) ! s2
  b3(v10: Object owned, v11: Nullable owned):
    guard_class o1, v5 ! s3
    v12 = load_field range_iter.len, v5
    v13 = const_word 0
    v14 = int_cmp gt, v12, v13
    branch v14 -> b4(), b5()
  b4():
    v15 = load_field range_iter.start, v5
    v16 = load_field range_iter.step, v5
    v17 = word_add v15, v16
    store_field range_iter.start, v5, v17
    v18 = const_word 1
    v19 = word_sub v12, v18
    store_field range_iter.len, v5, v19
    v20 = word_to_int v15
    v21 = box_int v20
    dec_ref v11
    v22 = unbox_int v10 ! s4
    v23 = unbox_int v21 ! s4
    v24 = int_add v22, v23 ! s4
    v25 = box_int v24
    dec_ref v10
    poll ! s5
    jump -> b3(v25, v21) ! s5
  b5():
    dec_ref v5
    dec_ref v11
    return v10
  s0 = @0 locals [v0, _, _] stack [] drops []
  s1 = @2 locals [v0, steal v1, _] stack [] drops []
  s2 = @4 locals [v0, steal v1, _] stack [steal v5] drops []
  s3 = @4 locals [v0, steal v10, steal v11] stack [steal v5] drops []
  s4 = @8 locals [v0, steal v10, steal v21] stack [steal v5] drops []
  s5 = @4 locals [v0, steal v25, steal v21] stack [steal v5] drops []
}
"#;

#[test]
fn the_variable_of_a_loop_over_a_range_is_a_pair() {
    let text = optimized(RANGE);

    assert_eq!((count(&text, "box_int"), count(&text, "inc_ref"), count(&text, "pair_from_int")), (0, 0, 1), "{text}");
}

#[test]
fn a_loop_on_ints_makes_no_boxes() {
    let text = optimized(SUM);

    assert_eq!((count(&text, "box_int"), count(&text, "dec_ref"), count(&text, "inc_ref")), (0, 0, 0), "{text}");
    assert_eq!((count(&text, "return_int"), count(&text, "unbox_int")), (1, 1), "{text}");
}

/// A function of one argument and two locals whose frame is that of the start.
fn function(body: &str, states: &str) -> String {
    format!(
        r#"function "f" entry, locals 3, stack 2, traceable 0 {{
  o0 = "2": Int int 2, immortal
  o1 = "1.5": Float float 1.5
  o2 = "list": Other, immortal
  o3 = "Heap": Other
  o4 = "True": Bool bool true, immortal
  o5 = "None": None none, immortal
  f0 = "callee" (CInt)
{body}
  s0 = @0 locals [v0, _, _] stack []
{states}
}}"#
    )
}

#[test]
fn fold_cancels_boxes_and_computes_constants() {
    let text = after(
        fold::run,
        &function(
            "b0(v0: Object borrowed):
               v1 = unbox_int v0 ! s0
               v2 = box_int v1
               v3 = unbox_int v2 ! s1
               v4 = unbox_number v2 ! s1
               dec_ref v2
               v5 = const_obj o0
               v6 = unbox_int v5 ! s0
               v7 = const_int -7
               v8 = int_floor_div v7, v6 ! s0
               v9 = int_mod v7, v6 ! s0
               v10 = int_add v8, v9 ! s0
               v11 = int_add v3, v10 ! s0
               v12 = int_cmp lt, v11, v8
               v13 = bool_not v12
               guard class, v13 ! s0
               return_float v4",
            "s1 = @0 locals [v0, _, _] stack [] drops [v2]",
        ),
    );
    assert_eq!(count(&text, "unbox_int"), 1, "{text}");
    assert!(text.contains("v4 = int_to_float v1 ! s1"), "{text}");
    assert!(
        text.contains("v8 = const_int -4") && text.contains("v9 = const_int 1") && text.contains("v10 = const_int -3"),
        "{text}"
    );
    assert!(text.contains("v13 = int_cmp ge, v11, v8"), "{text}");
}

#[test]
fn fold_leaves_what_would_leave_or_raise() {
    let text = after(
        fold::run,
        &function(
            "b0(v0: Object borrowed):
               v1 = const_int 9223372036854775807
               v2 = const_int 1
               v3 = int_add v1, v2 ! s0
               v4 = const_int 0
               v5 = int_floor_div v3, v4 ! s0
               v6 = const_int -1
               v7 = int_shl v5, v6 ! s0
               v8 = int_shr v7, v6 ! s0
               v9 = const_obj o1
               v10 = unbox_int v9 ! s0
               v11 = int_add v8, v10 ! s0
               return_int v11",
            "",
        ),
    );
    for op in ["int_floor_div", "int_shl", "int_shr", "unbox_int"] {
        assert_eq!(count(&text, op), 1, "{op}: {text}");
    }
    assert_eq!(count(&text, "int_add"), 2, "{text}");
}

#[test]
fn fold_takes_a_test_for_null_seriously_though_the_type_says_not_null() {
    // As the front end leaves it: once it has emitted the test, it takes null out of the value's type.
    let text = function(
        "b0(v0: Object borrowed):
           v1: Object owned = call get_iter, v0
           v2 = is_null v1
           branch v2 -> b1(), b2()
         b1() cold:
           throw ! s0
         b2():
           return v1",
        "",
    );
    assert_eq!(count(&after(fold::run, &text), "is_null"), 1);
}

#[test]
fn fold_knows_the_way_of_a_branch_on_a_constant() {
    let text = after(
        fold::run,
        &function(
            "b0(v0: Object borrowed):
               v1 = const_obj o4
               v2 = unbox_bool v1 ! s0
               v3 = bool_not v2
               branch v3 -> b1(), b2()
             b1(): exit class ! s0
             b2():
               v4 = is_same v0, v0
               v5 = bool_to_int v4
               return_int v5",
            "",
        ),
    );
    assert!(text.contains("jump -> b2()") && text.contains("v5 = const_int 1"), "{text}");
}

#[test]
fn gvn_reads_again_only_what_may_have_changed() {
    let text = after(
        gvn::run,
        &function(
            "b0(v0: Object borrowed):
               guard_class o2, v0 ! s0
               guard_class o3, v0 ! s0
               v1 = load_at 16, v0
               v2 = load_at 24, v0
               v3 = load_field ob_size, v0
               v4 = const_null
               store_at 16, v0, v4
               v5 = load_at 16, v0
               v6 = load_at 24, v0
               v7 = load_field ob_size, v0
               v8 = word_add v3, v7
               v9 = is_same v2, v6
               v10 = is_same v1, v5
               v11 = call is_true, v0
               guard_class o2, v0 ! s0
               guard_class o3, v0 ! s0
               v12 = load_at 24, v0
               v13 = is_same v2, v12
               guard class, v9 ! s0
               guard class, v10 ! s0
               guard class, v13 ! s0
               v14 = word_to_int v8
               return_int v14",
            "",
        ),
    );
    // Offset 24 and the size survive the store to 16; the call ends everything but the static class.
    assert_eq!((count(&text, "load_at"), count(&text, "load_field"), count(&text, "guard_class")), (4, 1, 3), "{text}");
}

#[test]
fn gvn_keeps_loads_of_a_loop_that_writes() {
    let body = |write: &str| {
        function(
            &format!(
                "b0(v0: Object borrowed):
                   v1 = load_field ob_size, v0
                   jump -> b1()
                 b1():
                   v2 = load_field ob_size, v0
                   v3 = int_cmp lt, v1, v2
                   branch v3 -> b2(), b3()
                 b2():
                   {write}
                   jump -> b1()
                 b3():
                   v4 = word_to_int v2
                   return_int v4"
            ),
            "",
        )
    };
    assert_eq!(count(&after(gvn::run, &body("v9 = call is_true, v0")), "load_field"), 2);
    assert_eq!(count(&after(gvn::run, &body("store_field ob_size, v0, v1")), "load_field"), 2);
    assert_eq!(count(&after(gvn::run, &body("store_field list.allocated, v0, v1")), "load_field"), 1);
}

#[test]
fn gvn_keeps_items_of_arrays_apart_by_kind() {
    let kept = |between: &str| {
        let text = after(
            gvn::run,
            &function(
                &format!(
                    "b0(v0: Object borrowed):
                       v1 = load_field array.ob_descr, v0
                       v2 = load_field array.ob_item, v0
                       v3 = load_field ob_size, v0
                       v4 = load_element array.f64, v2, v3
                       {between}
                       v5 = load_field array.ob_descr, v0
                       v6 = load_field array.ob_item, v0
                       v7 = load_element array.f64, v6, v3
                       v8 = int_cmp eq, v1, v5
                       guard class, v8 ! s0
                       v9 = float_add v4, v7
                       return_float v9"
                ),
                "",
            ),
        );
        (count(&text, "array.ob_descr,"), count(&text, "array.ob_item,"), count(&text, "load_element"))
    };
    assert_eq!(kept(""), (1, 1, 1));
    assert_eq!(kept("store_element array.i32, v2, v3, v3"), (1, 1, 1));
    assert_eq!(kept("store_float_element array.f32, v2, v3, v4"), (1, 1, 1));
    assert_eq!(kept("v20 = const_float 0.5\n store_float_element array.f64, v2, v3, v20"), (1, 1, 2));
    // A call may do anything, but to what kind of items an array holds.
    assert_eq!(kept("v20 = call is_true, v0"), (1, 2, 2));
}

#[test]
fn gvn_knows_what_a_branch_has_tested() {
    let text = after(
        gvn::run,
        &function(
            "b0(v0: Object borrowed):
               v1 = load_at 16, v0
               v2 = is_null v1
               branch v2 -> b1(), b2()
             b1(): exit class ! s0
             b2():
               guard_bound unbound, v1 ! s0
               v3 = is_null v1
               branch v3 -> b1(), b3()
             b3():
               inc_ref v1
               return v1",
            "",
        ),
    );
    assert_eq!((count(&text, "guard_bound"), count(&text, "is_null"), count(&text, "branch")), (0, 1, 1), "{text}");
}

/// A loop whose parameter starts as the argument and is replaced by what `made` makes.
fn replaced_in_a_loop(start: &str, header: &str, made: &str) -> String {
    function(
        &format!(
            "b0(v0: Object borrowed):
               {start}
               jump -> b1(v1) ! s1
             b1(v2: Nullable owned):
               {header}
               v4 = call is_true, v0
               v5 = int_cmp lt, v4, v4
               branch v5 -> b2(), b3()
             b2():
               {made}
               dec_ref v2
               jump -> b1(v10) ! s3
             b3():
               return v2"
        ),
        "s1 = @2 locals [v0, steal v1, _] stack []
         s2 = @2 locals [v0, steal v2, _] stack []
         s3 = @2 locals [v0, steal v10, _] stack []",
    )
}

#[test]
fn phi_unbox_unboxes_on_entry_what_is_wanted_unboxed() {
    let text = replaced_in_a_loop(
        "v1 = load_at 16, v0
         inc_ref v1",
        "",
        "v6 = unbox_int v2 ! s2
         v7 = int_add v6, v6 ! s2
         v10 = box_int v7",
    );
    let text = after(phi_unbox::run, &text);
    assert!(text.contains("b1(v2: CInt)") && text.contains("= unbox_int v1 ! s1"), "{text}");
    assert_eq!(count(&text, "return_int"), 1, "{text}");
}

#[test]
fn phi_unbox_leaves_nulls_other_kinds_and_identities_alone() {
    let sum = "v6 = unbox_int v2 ! s2
         v7 = int_add v6, v6 ! s2
         v10 = box_int v7";
    let constant = |object| format!("v1 = const_obj {object}\n inc_ref v1");
    assert!(after(phi_unbox::run, &replaced_in_a_loop(&constant("o0"), "", sum)).contains("b1(v2: CInt)"));
    assert!(after(phi_unbox::run, &replaced_in_a_loop(&constant("o1"), "", sum)).contains("b1(v2: Nullable owned)"));
    assert!(after(phi_unbox::run, &replaced_in_a_loop("v1 = const_null", "", sum)).contains("b1(v2: Nullable owned)"));
    let identity = "guard_is o0, v2 ! s2";
    assert!(after(phi_unbox::run, &replaced_in_a_loop(&constant("o0"), identity, sum)).contains("b1(v2: Nullable owned)"));
    // A float loop that starts with an int.
    let floats = "v6 = unbox_number v2 ! s2
         v7 = float_add v6, v6
         v10 = box_float v7";
    assert!(after(phi_unbox::run, &replaced_in_a_loop(&constant("o0"), "", floats)).contains("b1(v2: Nullable owned)"));
    assert!(after(phi_unbox::run, &replaced_in_a_loop(&constant("o1"), "", floats)).contains("b1(v2: CFloat)"));
}

#[test]
fn phi_unbox_weighs_the_boxes_that_it_would_cost() {
    // What comes round is an object and is used as one: unboxing gains nothing.
    let text = replaced_in_a_loop(
        "v1 = const_obj o0
         inc_ref v1",
        "v3 = unbox_int v2 ! s2
         v6 = call is_true, v2
         v7 = call is_true, v2",
        "v10 = call get_iter, v2",
    );
    assert!(after(phi_unbox::run, &text).contains("b1(v2: Nullable owned)"));
}

#[test]
fn phi_pair_passes_what_starts_unbound() {
    let text = replaced_in_a_loop(
        "v1 = const_null",
        "",
        "v6 = call is_true, v0
         v10 = box_int v6",
    );
    let text = text.replace("return v2", "guard_bound unbound, v2 ! s2\n return v2");
    let text = after(dce::drop_jump_states, &text);
    let text = after(phi_pair::run, &text);
    assert!(text.contains("b1(v2: Pair owned)"), "{text}");
    assert_eq!((count(&text, "pair_from_object"), count(&text, "pair_from_int"), count(&text, "pair_drop")), (1, 1, 1), "{text}");
    // After the loop the number is taken out where the guard was.
    assert_eq!((count(&text, "pair_to_int"), count(&text, "guard_bound")), (1, 0), "{text}");
}

#[test]
fn pair_is_taken_apart_unboxed() {
    let text = after(
        pair::run,
        &function(
            "b0(v0: Object borrowed):
               v1 = const_int 3
               v2 = call_direct f0, v1
               v3 = pair_failed v2
               branch v3 -> b1(), b2()
             b1() cold:
               throw ! s0
             b2():
               v4 = pair_to_object v2
               v5 = unbox_int v0 ! s1
               v6 = unbox_int v4 ! s1
               v7 = int_add v5, v6 ! s1
               dec_ref v4
               return_int v7",
            "s1 = @4 locals [v0, _, _] stack [steal v4]",
        ),
    );
    assert_eq!((count(&text, "pair_to_int"), count(&text, "pair_to_object"), count(&text, "dec_ref")), (1, 0, 0), "{text}");
    assert!(text.contains("stack [steal v2]") && text.contains("stack [v6]"), "{text}");
}

#[test]
fn pair_stays_an_object_where_that_is_wanted() {
    let text = function(
        "b0(v0: Object borrowed):
           v1 = const_int 3
           v2 = call_direct f0, v1
           v4 = pair_to_object v2
           v5 = call is_true, v4
           v6 = unbox_int v4 ! s1
           dec_ref v4
           return_int v6",
        "s1 = @4 locals [v0, _, _] stack [steal v4]",
    );
    assert_eq!(count(&after(pair::run, &text), "pair_to_object"), 1);
}

#[test]
fn box_sink_boxes_where_it_is_rare() {
    let text = after(
        box_sink::run,
        &function(
            "b0(v0: Object borrowed):
               v1 = unbox_float v0 ! s0
               v2 = float_add v1, v1
               v3 = box_float v2
               v4 = unbox_float v0 ! s1
               v5 = float_cmp lt, v4, v2
               branch v5 -> b1(), b2()
             b1() cold:
               v6 = call is_true, v3
               dec_ref v3
               exit class ! s0
             b2():
               dec_ref v3
               return_float v4",
            "s1 = @4 locals [v0, steal v3, v3] stack []",
        ),
    );
    let (hot, cold) = text.split_once("b1() cold").expect("there is a cold block");
    assert_eq!((count(hot, "box_float"), count(cold, "box_float"), count(cold, "dec_ref")), (0, 1, 1), "{text}");
    assert!(text.contains("locals [v0, v2, v2]"), "{text}");
}

#[test]
fn counts_cancel_unless_something_may_see_or_free() {
    let body = |between: &str| {
        function(
            &format!(
                "b0(v0: Object borrowed):
                   v1 = load_at 16, v0
                   inc_ref v1
                   {between}
                   dec_ref v1
                   v9 = const_int 0
                   return_int v9"
            ),
            "s1 = @4 locals [v0, _, _] stack [steal v1]",
        )
    };
    let text = after(counts::run, &body("v2 = unbox_float v1 ! s1"));
    assert_eq!((count(&text, "inc_ref"), count(&text, "dec_ref")), (0, 0), "{text}");
    assert!(text.contains("stack [v1]"), "{text}");
    for between in [
        "v2 = call is_true, v0",
        "v2 = const_null\n store_at 16, v0, v2",
        "dec_ref v1\n inc_ref v1\n v2 = load_field refcount, v1",
    ] {
        let text = after(counts::run, &body(between));
        assert!(count(&text, "inc_ref") >= 1, "{text}");
    }
}

#[test]
fn counts_of_immortals_go() {
    let text = after(
        counts::run,
        &function(
            "b0(v0: Object borrowed):
               v1 = const_obj o5
               inc_ref v1
               v2 = call is_true, v1
               dec_ref v1
               v3 = const_obj o1
               inc_ref v3
               return v3",
            "",
        ),
    );
    assert_eq!((count(&text, "inc_ref"), count(&text, "dec_ref")), (1, 0), "{text}");
}

#[test]
fn dce_removes_the_unused_and_the_unreachable_but_no_guard() {
    let text = after(
        dce::run,
        &function(
            "b0(v0: Object borrowed):
               v1 = unbox_int v0 ! s0
               v2 = unbox_int v0 ! s0
               v3 = int_add v2, v2 ! s0
               v4 = load_field ob_size, v0
               v6 = int_floor_div v2, v2 ! s0
               jump -> b1(v3, v1)
             b1(v10: CInt, v11: CInt):
               jump -> b2(v11)
             b2(v12: CInt):
               return_int v12
             b3():
               jump -> b2(v13)
             b4(v13: CInt):
               jump -> b3()",
            "",
        )
        .replace("b3():\n               jump -> b2(v13)", "b3():\n v14 = const_int 0\n jump -> b2(v14)"),
    );
    assert_eq!(text.matches("\n  b").count(), 1, "{text}");
    // The division may raise and the unboxings may run other code in the interpreter.
    assert_eq!((count(&text, "unbox_int"), count(&text, "int_floor_div"), count(&text, "int_add")), (2, 1, 0), "{text}");
    assert!(text.contains("return_int v1") && !text.contains("load_field"), "{text}");
}

#[test]
fn licm_moves_what_can_leave_only_if_every_iteration_executes_it() {
    let body = |always: &str, sometimes: &str| {
        function(
            &format!(
                "b0(v0: Object borrowed):
                   v20 = load_at 16, v0
                   jump -> b1() ! s1
                 b1():
                   {always}
                   v1 = call is_true, v0
                   v2 = int_cmp lt, v1, v1
                   branch v2 -> b2(), b4()
                 b2():
                   v3 = int_cmp gt, v1, v1
                   branch v3 -> b3(), b1()
                 b3():
                   {sometimes}
                   jump -> b1()
                 b4():
                   v9 = const_int 0
                   return_int v9"
            ),
            "s1 = @2 locals [v0, _, _] stack []
             s2 = @5 locals [v0, _, _] stack []",
        )
    };
    let before_loop = |text: &str| text.split("b1():").next().map(str::to_owned).expect("there is text");
    let text = after(licm::run, &body("v5 = unbox_int v0 ! s2", ""));
    assert!(before_loop(&text).contains("v5 = unbox_int v0 ! s1"), "{text}");
    let text = after(licm::run, &body("", "v5 = unbox_int v0 ! s2"));
    assert!(!before_loop(&text).contains("unbox_int"), "{text}");
    // The class of an object that may be null is looked at only behind a test; a heap class may change.
    let text = after(licm::run, &body("guard_class o2, v20 ! s2\n guard_class o3, v0 ! s2", ""));
    assert!(before_loop(&text).contains("guard_bound unbound, v20 ! s1\n    guard_class o2, v20 ! s1"), "{text}");
    assert!(!before_loop(&text).contains("guard_class o3"), "{text}");
}

/// A loop over a range iterator that reads the items of a list, with more instructions in its body.
fn loop_over_a_range(body: &str) -> String {
    function(
        &format!(
            "b0(v0: Object borrowed, v1: RangeIter borrowed, v3: CFloat):
               jump -> b1() ! s1
             b1():
               jump -> b2() ! s1
             b2():
               v4 = load_field range_iter.len, v1
               v5 = const_word 0
               v6 = int_cmp gt, v4, v5
               branch v6 -> b3(), b6()
             b3():
               v7 = const_word 1
               v8 = word_sub v4, v7
               v9 = load_field range_iter.start, v1
               v10 = word_add v9, v7
               store_field range_iter.start, v1, v10
               store_field range_iter.len, v1, v8
               v11 = word_to_int v9
               guard_class o2, v0 ! s2
               v12 = load_field ob_size, v0
               v13 = int_cmp below, v11, v12
               guard index, v13 ! s2
               v14 = load_field list.ob_item, v0
               v15: Object borrowed = load_item v14, v11
               v16 = unbox_float v15 ! s2
               {body}
               v17 = wanted
               branch v17 -> b4(), b5()
             b4() cold:
               poll ! s2
               jump -> b1() ! s1
             b5():
               jump -> b2() ! s1
             b6():
               return_float v3"
        ),
        "s1 = @2 locals [v0, _, _] stack []
         s2 = @5 locals [v0, _, _] stack []",
    )
}

#[test]
fn loads_leave_a_loop_that_writes_nothing_they_read() {
    let parts = |body: &str| {
        let text = after(licm::run, &loop_over_a_range(body));
        let (before, rest) = text.split_once("b2(").expect("there is a loop");
        (before.to_owned(), rest.to_owned(), text.clone())
    };
    let (before, rest, text) = parts("");
    assert!(before.contains("guard_class o2, v0 ! s1") && count(&before, "load_field") == 4, "{text}");
    assert!(count(&rest, "load_field") == 0 && rest.starts_with('v') && count(&rest, "store_field") == 2, "{text}");
    // A number overwritten in place stays a number: the items may change, their array doesn't.
    let store = "v20 = const_word 8\n v21 = word_mul v11, v20\n v22 = word_add v14, v21\n store_float_in_place v22, v3";
    let (before, rest, text) = parts(store);
    assert!(count(&before, "load_field") == 4 && count(&rest, "load_item") == 1, "{text}");
    // What the loop calls may do anything; what it stores may be the iterator's own count.
    let (before, rest, text) = parts("poll ! s2");
    assert!(count(&before, "load_field") == 0 && count(&rest, "load_field") == 4, "{text}");
    let (before, _, text) = parts("store_field range_iter.len, v1, v7");
    assert!(before.contains("range_iter.start") && !before.contains("range_iter.len"), "{text}");
    // A field isn't read before the test of the class.
    let branch =
        "v20 = is_class o2, v0\n branch v20 -> b7(), b8()\n b7():\n v21 = load_field list.allocated, v0\n jump -> b8()\n b8():";
    let (before, _, text) = parts(branch);
    assert!(!before.contains("list.allocated"), "{text}");
}

#[test]
fn the_pipeline_times_every_pass() {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    let mut pipeline = Pipeline::timed_by(|| Duration::from_nanos(TICKS.fetch_add(1, Ordering::Relaxed)));
    pipeline.run(&mut read(SUM));
    let names: Vec<&str> = pipeline.times().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, Pipeline::names().collect::<Vec<_>>());
    assert!(pipeline.times().iter().all(|(_, time)| time.as_nanos() > 0), "a tick for each run of a pass");
}

#[test]
fn gvn_knows_that_pairs_of_numbers_hold_nothing_to_release() {
    let body = |pair: &str| {
        function(
            &format!(
                "b0(v0: Object borrowed):
                   v1 = const_int 3
                   v2 = const_null
                   v4 = {pair}
                   v3 = load_field ob_size, v0
                   jump -> b1(v4)
                 b1(v5: Pair owned):
                   pair_drop v5
                   v6 = load_field ob_size, v0
                   v7 = int_cmp lt, v3, v6
                   v8 = pair_from_int v1
                   branch v7 -> b2(), b3()
                 b2():
                   jump -> b1(v8)
                 b3():
                   return_int v1"
            ),
            "",
        )
    };
    assert_eq!(count(&after(gvn::run, &body("pair_from_object v2")), "load_field"), 1);
    assert_eq!(count(&after(gvn::run, &body("call_direct f0, v1")), "load_field"), 2);
}

#[test]
fn gvn_knows_that_a_number_stored_over_a_number_runs_no_code() {
    let body = |unboxing: &str| {
        function(
            &format!(
                "b0(v0: Object borrowed):
                   guard_class o3, v0 ! s0
                   v1 = load_at 16, v0
                   v2 = {unboxing} ! s0
                   v3 = load_at 24, v0
                   v4 = address_of 16, v0
                   store_float_in_place v4, v2
                   guard_class o3, v0 ! s0
                   v5: Object = load_at 24, v0
                   v6 = load_at 16, v0
                   v7 = is_same v3, v5
                   v8 = is_same v1, v6
                   guard class, v7 ! s0
                   guard class, v8 ! s0
                   return_float v2"
            ),
            "",
        )
    };
    let text = after(gvn::run, &body("unbox_float v1"));
    assert_eq!((count(&text, "guard_class"), count(&text, "load_at")), (1, 3), "{text}");
    let text = after(gvn::run, &body("unbox_float v0"));
    assert_eq!((count(&text, "guard_class"), count(&text, "load_at")), (2, 4), "{text}");
}

#[test]
fn dce_keeps_the_block_before_a_loop_while_its_state_is_wanted() {
    let text = function(
        "b0(v0: Object borrowed):
           v1 = call is_true, v0
           v2 = int_cmp lt, v1, v1
           branch v2 -> b1(), b2()
         b1() cold:
           throw ! s0
         b2():
           jump -> b3() ! s0
         b3():
           v3 = unbox_int v0 ! s0
           v4 = int_cmp lt, v3, v1
           branch v4 -> b4(), b5()
         b4():
           poll ! s0
           jump -> b3()
         b5():
           return_int v3",
        "",
    );
    assert!(after(dce::run, &text).contains("jump -> b3() ! s0"));
    assert!(!after(dce::run, &text.replace("jump -> b3() ! s0", "jump -> b3()")).contains("b5()"));
}
