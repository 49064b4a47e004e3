//! The ownership checker: balanced functions pass, and each way to lose or invent a unit is named.

use pepjit_ir::ownership::stale_borrows;
use pepjit_ir::{check_ownership, parse, verify};

fn check(body: &str) -> String {
    let text = format!("function \"f\" entry, locals 2, stack 2, traceable 0 {{\n{OBJECTS}\n{body}\n}}");
    let func = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    verify(&func).unwrap_or_else(|error| panic!("{error}\n{text}"));
    match check_ownership(&func) {
        Ok(()) => "ok".into(),
        Err(error) => format!("{}: {}", error.place, error.kind),
    }
}

const OBJECTS: &str = "o0 = \"1\": Int int 1, immortal\n o1 = \"list\": List\n f0 = \"callee\" (Object)";

#[test]
fn a_new_value_is_given_up_once() {
    assert_eq!(check("b0(v0: CInt): v1 = box_int v0\n return v1"), "ok");
    assert_eq!(check("b0(v0: CInt): v1 = box_int v0\n inc_ref v1\n dec_ref v1\n return v1"), "ok");
    assert_eq!(
        check("b0(v0: CInt): v1 = box_int v0\n return_int v0"),
        "b0, `return_int v0`: v1 ends here with 1 unit: give them up before, or pass them on"
    );
    assert_eq!(
        check("b0(v0: CInt): v1 = box_int v0\n inc_ref v1\n return v1"),
        "b0, `return v1`: v1 ends here with 1 unit: give them up before, or pass them on"
    );
    assert_eq!(
        check("b0(v0: CInt): v1 = box_int v0\n dec_ref v1\n return v1"),
        "b0, `return v1`: a unit of v1 is given up, but it has none left"
    );
}

#[test]
fn borrowed_values_have_none() {
    assert_eq!(check("b0(v0: Object borrowed): return v0"), "b0, `return v0`: a unit of v0 is given up, but it has none left");
    assert_eq!(check("b0(v0: Object borrowed): inc_ref v0\n return v0"), "ok");
    assert_eq!(check("b0(): v0 = const_obj o1\n return v0"), "b0, `return v0`: a unit of v0 is given up, but it has none left");
    // Nobody counts these.
    assert_eq!(check("b0(): v0 = const_obj o0\n return v0"), "ok");
    assert_eq!(check("b0(v0: CInt): v1 = int_cmp lt, v0, v0\n v2 = box_bool v1\n return v2"), "ok");
}

#[test]
fn operands_of_calls() {
    let with = |call: &str| check(&format!("b0(v0: CInt, v1: Object borrowed): v2 = box_int v0\n {call}\n return_int v0"));
    assert_eq!(with("v3 = call list_append, v1, v2"), "ok");
    assert_eq!(
        with("v3 = call_n build_list, v2, v2\n dec_ref v3"),
        "b0, `v3 = call_n build_list, v2, v2`: a unit of v2 is given up, but it has none left"
    );
    assert_eq!(with("inc_ref v2\n v3 = call_n build_list, v2, v2\n dec_ref v3"), "ok");
    assert_eq!(
        with("v3 = call get_item, v1, v2\n dec_ref v3"),
        "b0, `return_int v0`: v2 ends here with 1 unit: give them up before, or pass them on"
    );
    assert_eq!(with("store_at 16, v1, v2"), "ok");
    assert_eq!(with("v3 = swap_at 16, v1, v2\n dec_ref v3"), "ok");
    assert_eq!(
        with("v3 = swap_at 16, v1, v2"),
        "b0, `return_int v0`: v3 ends here with 1 unit: give them up before, or pass them on"
    );
}

#[test]
fn paths_agree() {
    let diamond = |left: &str, right: &str| {
        check(&format!(
            "b0(v0: CInt):
               v1 = int_cmp lt, v0, v0
               v2 = box_int v0
               branch v1 -> b1(), b2()
             b1():
               {left}
               jump -> b3()
             b2():
               {right}
               jump -> b3()
             b3():
               return_int v0"
        ))
    };
    assert_eq!(diamond("dec_ref v2", "dec_ref v2"), "ok");
    assert_eq!(diamond("dec_ref v2", ""), "b1, `jump -> b3()`: v2 comes with 1 unit on one path and with 0 units on another");
    assert_eq!(
        diamond("inc_ref v2", "dec_ref v2"),
        "b1, `jump -> b3()`: v2 comes with 0 units on one path and with 2 units on another"
    );
    assert_eq!(
        diamond("dec_ref v2\n v3 = box_int v0", "dec_ref v2"),
        "b1, `jump -> b3()`: v3 ends here with 1 unit: give them up before, or pass them on"
    );
}

#[test]
fn loops_and_parameters() {
    let with = |first: &str, body: &str, next: &str| {
        check(&format!(
            "b0(v0: CInt, v1: Object borrowed):
               {first}
               jump -> b1(v1)
             b1(v2: Object owned):
               v3 = int_cmp lt, v0, v0
               branch v3 -> b2(), b3()
             b2():
               {body}
               jump -> b1({next})
             b3():
               return v2"
        ))
    };
    assert_eq!(with("inc_ref v1", "", "v2"), "ok");
    assert_eq!(with("", "", "v2"), "b0, `jump -> b1(v1)`: a unit of v1 is given up, but it has none left");
    assert_eq!(with("inc_ref v1", "v4 = box_int v0\n dec_ref v2", "v4"), "ok");
    assert_eq!(
        with("inc_ref v1", "v4 = box_int v0", "v4"),
        "b2, `jump -> b1(v4)`: v2 ends here with 1 unit: give them up before, or pass them on"
    );
    assert_eq!(
        with("inc_ref v1", "v4 = box_int v0", "v2"),
        "b2, `jump -> b1(v2)`: v4 ends here with 1 unit: give them up before, or pass them on"
    );
    assert_eq!(with("inc_ref v1", "dec_ref v2", "v2"), "b2, `jump -> b1(v2)`: a unit of v2 is given up, but it has none left");
    // One reference too many for each round.
    assert_eq!(
        with("inc_ref v1", "inc_ref v1", "v2"),
        "b2, `jump -> b1(v2)`: v1 comes with 0 units on one path and with 1 unit on another"
    );
}

#[test]
fn exits_take_what_is_held() {
    let with = |state: &str| {
        check(&format!(
            "b0(v0: CInt, v1: Object borrowed):
               v2 = box_int v0
               v3 = int_add v0, v0 ! s0
               dec_ref v2
               return_int v3
             s0 = @0 {state}"
        ))
    };
    assert_eq!(with("locals [v1, steal v2] stack []"), "ok");
    assert_eq!(with("locals [v1, _] stack [v2, steal v2]"), "ok");
    assert_eq!(with("locals [v1, _] stack [] drops [v2]"), "ok");
    assert_eq!(with("locals [v1, _] stack [v2] drops [v2, v0]"), "ok");
    assert_eq!(
        with("locals [v1, v2] stack []"),
        "b0, `v3 = int_add v0, v0 ! s0`: the exit leaves v2 with 1 unit: steal them by a slot of s0, or add it to its drops"
    );
    assert_eq!(
        with("locals [v1, steal v2] stack [steal v2]"),
        "b0, `v3 = int_add v0, v0 ! s0`: s0 takes a unit of v2, but it has none left at this exit"
    );
    assert_eq!(
        with("locals [steal v1, steal v2] stack []"),
        "b0, `v3 = int_add v0, v0 ! s0`: s0 takes a unit of v1, but it has none left at this exit"
    );
    assert_eq!(
        with("locals [v1, steal v2] stack [] drops [v2]"),
        "b0, `v3 = int_add v0, v0 ! s0`: s0 takes a unit of v2, but it has none left at this exit"
    );
}

#[test]
fn throw_and_exit_take_everything() {
    let with = |state: &str, end: &str| {
        check(&format!("b0(v0: CInt): v1 = box_int v0\n {end} ! s0\n s0 = @0 locals [v0, {state}] stack []"))
    };
    assert_eq!(with("steal v1", "throw"), "ok");
    assert_eq!(with("steal v1", "exit class"), "ok");
    assert!(with("v1", "throw").contains("the exit leaves v1 with 1 unit"));
    assert!(with("v1", "exit class").contains("the exit leaves v1 with 1 unit"));
}

#[test]
fn null_has_no_unit() {
    let call = |test: &str, branch: &str| {
        check(&format!(
            "b0(v0: Object borrowed):
               v1 = call get_attr, v0, v0
               {test}
               branch {branch}
             b1() cold:
               throw ! s0
             b2():
               return v1
             s0 = @0 locals [v0, _] stack []"
        ))
    };
    assert_eq!(call("v2 = is_null v1", "v2 -> b1(), b2()"), "ok");
    assert_eq!(call("v2 = is_null v1\n v3 = bool_not v2", "v3 -> b2(), b1()"), "ok");
    assert_eq!(call("v3 = const_null\n v2 = is_same v1, v3", "v2 -> b1(), b2()"), "ok");
    assert!(call("v2 = is_null v0", "v2 -> b1(), b2()").contains("the exit leaves v1 with 1 unit"));
    assert!(call("v2 = is_null v1", "v2 -> b2(), b1()").contains("the exit leaves v1 with 1 unit"));

    // A guard's exit, a guard's condition, and a join where one side is null.
    let rest = "return v1\n s0 = @0 locals [v0, _] stack []\n s1 = @0 locals [v0, steal v1] stack []";
    assert_eq!(
        check(
            &format!("b0(v0: Object borrowed): v1 = call str_index, v0, v9\n guard_bound index, v1 ! s0\n {rest}")
                .replace("v1 = call", "v9 = const_int 0\n v1 = call")
        ),
        "ok"
    );
    assert_eq!(
        check(&format!(
            "b0(v0: Object borrowed): v1 = call get_attr, v0, v0\n v2 = is_null v1\n guard_not class, v2 ! s0\n {rest}"
        )),
        "ok"
    );
    assert_eq!(
        check(&format!(
            "b0(v0: Object borrowed): v1 = call get_attr, v0, v0\n v2 = is_null v1\n guard_not class, v2 ! s1\n {rest}"
        )),
        "ok"
    );
    assert!(
        check(&format!("b0(v0: Object borrowed): v1 = call get_attr, v0, v0\n v2 = is_null v1\n guard class, v2 ! s0\n {rest}"))
            .contains("leaves v1 with 1 unit")
    );
    assert_eq!(
        check(
            "b0(v0: Object borrowed):
               v1 = call iter_next, v0
               v2 = is_null v1
               branch v2 -> b2(), b1()
             b1():
               dec_ref v1
               jump -> b2()
             b2():
               v3 = const_obj o0
               return v3"
        ),
        "ok"
    );
}

#[test]
fn pairs() {
    let with = |rest: &str| {
        check(&format!(
            "b0(v0: Object borrowed):\n v1 = call_direct f0, v0\n {rest}\n s0 = @0 locals [v0, _] stack []\n s1 = @0 locals [v0, v1] stack []"
        ))
    };
    let branch = "v2 = pair_failed v1\n branch v2 -> b1(), b2()\n b1(): throw ! s0\n b2():";
    assert_eq!(with(&format!("{branch} v3 = pair_to_object v1\n return v3")), "ok");
    assert_eq!(with(&format!("{branch} pair_drop v1\n inc_ref v0\n return v0")), "ok");
    assert_eq!(with(&format!("{branch} v3 = pair_to_int v1 ! s1\n return_int v3")), "ok");
    assert!(with(&format!("{branch} v3 = pair_to_int v1 ! s0\n return_int v3")).contains("the exit leaves v1 with 1 unit"));
    assert!(with(&format!("{branch} inc_ref v0\n return v0")).contains("v1 ends here with 1 unit"));
    assert!(with(&format!("{branch} pair_drop v1\n v3 = pair_to_object v1\n return v3")).contains("a unit of v1 is given up"));
    // As a variable of either representation.
    let variable = |here: &str, there: &str, owned: &str| {
        check(&format!(
            "b0(v0: CInt, v1: Object borrowed):
               v2 = int_cmp lt, v0, v0
               v3 = pair_from_int v0
               {here}
               branch v2 -> b1(v3), b2()
             b1(v5: Pair {owned}):
               pair_drop v5
               return_int v0
             b2():
               {there}
               jump -> b1(v4)"
        ))
    };
    let object = "inc_ref v1\n v4 = pair_from_object v1";
    assert_eq!(variable("", object, "owned"), "ok");
    assert!(variable(object, "", "owned").contains("v4 comes with 1 unit on one path and with 0 units on another"));
    assert!(variable("", object, "borrowed").contains("v4 ends here with 1 unit"));
}

#[test]
fn a_status_says_whether_a_value_was_taken() {
    let with = |test: &str, failed: &str| {
        check(&format!(
            "b0(v0: CInt, v1: Object borrowed):
               v2 = box_int v0
               v3 = const_int 0
               v4 = call inline_value_add, v1, v2, v3
               {test}
             b1():
               {failed}
               return_int v0
             b2():
               return_int v0"
        ))
    };
    assert_eq!(with("v5 = int_cmp lt, v4, v3\n branch v5 -> b1(), b2()", "dec_ref v2"), "ok");
    assert_eq!(with("v5 = int_cmp eq, v4, v3\n branch v5 -> b2(), b1()", "v6 = call set_attr, v1, v1, v2\n dec_ref v2"), "ok");
    assert!(with("v5 = int_cmp lt, v4, v3\n branch v5 -> b1(), b2()", "").contains("v2 ends here with 1 unit"));
    assert_ne!(with("v5 = int_cmp eq, v4, v3\n branch v5 -> b1(), b2()", "dec_ref v2"), "ok");
    assert!(with("v5 = int_cmp eq, v4, v3\n jump -> b1()", "").contains("one less if v4 is 0"));
    assert_eq!(with("jump -> b1()", ""), "ok");
}

#[test]
fn a_loop_gives_up_the_frame() {
    let with = |state: &str| {
        let text = format!(
            "function \"f\" loop 3, locals 2, stack 1, traceable 0 {{
               b0(v0: Nullable owned, v1: Nullable owned, v2: Nullable owned):
                 exit uncompiled ! s0
               s0 = @3 {state}
             }}"
        );
        check_ownership(&parse(&text).expect("reads")).map_err(|error| error.kind.to_string())
    };
    assert_eq!(with("locals [steal v0, steal v1] stack [steal v2]"), Ok(()));
    assert!(with("locals [steal v0, steal v1] stack [v2]").is_err_and(|error| error.contains("the exit leaves v2 with 1 unit")));
}

#[test]
fn stale_borrows_are_found() {
    let stale = |body: &str| {
        let text = format!(
            "function \"f\" entry, locals 1, stack 1, traceable 0 {{\n b0(v0: Object borrowed, v9: CInt):\n {body}\n s0 = @0 locals [v1] stack []\n}}"
        );
        let func = parse(&text).expect("reads");
        stale_borrows(&func).into_iter().map(|stale| format!("{}: {}", stale.value, stale.place)).collect::<Vec<_>>()
    };
    assert!(stale("v1 = load_at 16, v0\n v2 = load_at 16, v1\n inc_ref v2\n return v2").is_empty());
    assert_eq!(
        stale("v1 = load_at 16, v0\n v2 = call get_attr, v0, v0\n dec_ref v2\n inc_ref v1\n return v1"),
        ["v1: b0, `inc_ref v1`"]
    );
    assert!(stale("v1 = load_at 16, v0\n inc_ref v1\n v2 = call get_attr, v0, v0\n dec_ref v2\n return v1").is_empty());
    assert!(stale("v1 = load_at 16, v0\n set_instruction 4\n inc_ref v1\n return v1").is_empty());
    assert_eq!(
        stale("v1 = load_at 16, v0\n poll ! s0\n v2 = int_neg v9 ! s0\n return_int v2"),
        ["v1: b0, `v2 = int_neg v9 ! s0`"]
    );
    // Around a loop.
    assert_eq!(
        stale(
            "v1 = load_at 16, v0\n jump -> b1()\n b1():\n v2 = load_at 16, v1\n v3 = call get_attr, v0, v0\n dec_ref v3\n jump -> b1()"
        ),
        ["v1: b1, `v2 = load_at 16, v1`"]
    );
}
