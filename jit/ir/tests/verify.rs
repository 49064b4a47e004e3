//! The verifier accepts a function with everything in it, and names what is wrong with each damaged copy of it.

use pepjit_ir::{Block, Inst, StateId, Value, parse, verify};

const GOOD: &str = r#"
function "sum" entry, locals 3, stack 2, traceable 0 {
  o0 = "int": Other, immortal
  o1 = "callee": Function
  f0 = "callee" (CInt, Object)
  b0(v0: Object borrowed, v1: CInt):
    enter ! s0
    push_frame ! s0
    guard_class o0, v0 ! s0
    v2 = const_int 0
    v3 = const_bool 0
    jump -> b1(v2, v3) ! s3
  b1(v4: CInt, v5: CBool):
    poll ! s1
    v6 = int_cmp lt, v4, v1
    branch v6 -> b2(), b3()
  b2():
    set_instruction 7
    v7 = call get_attr, v0, v0
    v8 = is_null v7
    branch v8 -> b4(), b5()
  b3():
    v9 = box_int v4
    return v9
  b4() cold:
    throw ! s1
  b5():
    dec_ref v7
    v10 = call_n build_list, v0, v0
    dec_ref v10
    v11 = call_direct f0, v4, v0
    v12 = pair_to_int v11 ! s2
    v13 = int_add v4, v12 ! s1
    v14 = call contains, v0, v0
    v15 = const_word 8
    v16 = word_add v15, v14
    v17 = load_item v15, v16
    v18 = load_field ob_fval, v0
    jump -> b1(v13, v5)
  b6():
  s0 = @0 locals [v0, v1, _] stack []
  s1 = @8 locals [v0, v4, o1] stack [v5]
  s3 = @8 locals [v0, v2, o1] stack [v3]
  s2 = @9 locals [v0, v4, _] stack [o1, v11] drops [v4]
}
"#;

fn message(text: &str) -> String {
    match verify(&parse(text).expect("reads")) {
        Ok(()) => "ok".into(),
        Err(error) => {
            assert_eq!(error.function, "sum");
            format!("{}: {}", error.place, error.kind)
        }
    }
}

#[test]
fn accepts_a_whole_function() {
    assert_eq!(message(GOOD), "ok");
}

#[test]
fn names_what_is_wrong() {
    let cases = [
        // Form
        ("    return v9\n", "", "b3, `v9 = box_int v4`: an instruction that ends the block"),
        ("b4() cold:\n    throw ! s1\n", "b4() cold:\n", "b4: an instruction that ends the block"),
        ("throw ! s1", "throw ! s1\n throw ! s1", "b4, `throw ! s1`: an instruction that ends the block"),
        ("v9 = box_int v4", "v9 = box_int v13", "b3, `v9 = box_int v13`: v13 is used where it isn't defined on every path"),
        ("v9 = box_int v4", "v9 = box_int v20", "v20 is used where it isn't defined on every path"),
        ("v2 = const_int 0\n", "v2 = int_invert v2\n", "v2 is used where it isn't defined on every path"),
        ("b1(v2, v3)", "b1(v4, v3)", "v4 is used where it isn't defined on every path"),
        ("locals [v0, v1, _] stack []", "locals [v0, v4, _] stack []", "b0, `enter ! s0`: v4 is used"),
        ("drops [v4]", "drops [v12]", "`v12 = pair_to_int v11 ! s2`: v12 is used"),
        // Instructions
        ("v9 = box_int v4", "v9 = box_int", "0 operands where 1 are wanted"),
        ("v9 = box_int v4", "v9 = box_int v4, v4", "2 operands where 1 are wanted"),
        ("v9 = box_int v4", "v9 = box_int v0", "v0 is Object, where CInt is wanted"),
        ("return v9", "return v4", "v4 is CInt, where an object is wanted"),
        ("branch v6", "branch v4", "v4 is CInt, where CBool is wanted"),
        ("pair_to_int v11", "pair_to_int v0", "v0 is Object, where Pair is wanted"),
        ("load_item v15, v16", "load_item v15, v5", "v5 is CBool, where CWord or CInt is wanted"),
        ("call get_attr, v0, v0", "call get_attr, v0", "1 operands where 2 are wanted"),
        ("call get_attr, v0, v0", "call get_attr, v0, v4", "v4 is CInt, where an object is wanted"),
        ("call get_attr, v0, v0", "call build_list, v0, v0", "this helper goes with call_n"),
        ("call_n build_list, v0, v0", "call_n get_attr, v0, v0", "this helper goes with call"),
        ("call_n build_list, v0, v0", "call_n build_list, v0, v4", "v4 is CInt, where an object is wanted"),
        ("call_direct f0, v4, v0", "call_direct f0, v4", "1 operands where 2 are wanted"),
        ("call_direct f0, v4, v0", "call_direct f0, v0, v0", "v0 is Object, where CInt is wanted"),
        ("call_direct f0, v4, v0", "call_direct f0, v4, v4", "v4 is CInt, where Object is wanted"),
        ("const_bool 0", "const_bool 2", "a truth value is 0 or 1"),
        ("set_instruction 7", "set_instruction -7", "it's negative"),
        ("v9 = box_int", "v9: Float owned = box_int", "v9 is Float and must be within Int"),
        ("v9 = box_int", "v9: Int borrowed = box_int", "v9 starts with a unit"),
        ("v9 = box_int", "v9: Empty owned = box_int", "v9 is Empty and must be within Int"),
        ("v17 = load_item", "v17: Nullable owned = load_item", "v17 starts with no unit"),
        ("    v16 = word_add v15, v14\n", "    word_add v15, v14\n    v16 = word_add v15, v14\n", "it's missing, and is CWord"),
        // Control flow
        ("branch v6 -> b2(), b3()", "branch v6 -> b2()", "1 targets where 2 are wanted"),
        ("return v9", "return v9 -> b1(v4, v5)", "1 targets where 0 are wanted"),
        ("b1(v13, v5)", "b1(v13)", "b1 has 2 parameters and gets 1 arguments"),
        ("b1(v13, v5)", "b1(v13, v13)", "v13 is CInt, where CBool (v5 of b1) is wanted"),
        ("jump -> b1(v13, v5)", "jump -> b0(v0, v4)", "nothing may jump to the entry block"),
        ("v1: CInt)", "v1: CWord)", "v1 must be an object, a CInt or a CFloat"),
        ("v1: CInt)", "v1: CInt owned)", "v1 must be an object, a CInt or a CFloat"),
        ("\"sum\" entry", "\"sum\" loop 4", "the function: 2 parameters for 3 locals and at most 2 stack entries"),
        ("locals 3,", "locals 1,", "the function: 2 parameters of 1 locals"),
        // Frames
        ("throw ! s1", "throw", "b4, `throw`: an instruction that can leave names a frame state"),
        (
            "return v9",
            "return v9 ! s1",
            "b3, `return v9 ! s1`: an instruction that can leave names a frame state, and no other does",
        ),
        ("locals [v0, v4, o1]", "locals [v0, v4]", "s1 doesn't fit the function: 2 locals instead of 3"),
        ("stack [o1, v11]", "stack [o1, v11, _]", "s2 doesn't fit the function: 3 stack entries of at most 2"),
        ("poll ! s1", "poll ! s9", "0 locals instead of 3"),
        ("drops [v4]", "drops [v11]", "v11 is Pair, which an exit can't give up"),
        ("    push_frame ! s0\n", "    push_frame ! s0\n    enter ! s0\n", "`enter` may only be the first instruction"),
        ("    push_frame ! s0\n", "", "the light frame: it isn't pushed yet"),
        ("    push_frame ! s0\n", "    push_frame ! s0\n    push_frame ! s0\n", "the light frame: it's pushed twice"),
        ("v9 = box_int v4", "push_frame ! s0\n v9 = box_int v4", "the light frame: it's pushed twice"),
    ];
    let mut wrong_messages = Vec::new();
    for (right, wrong, expected) in cases {
        assert!(GOOD.contains(right), "{right}");
        let message = message(&GOOD.replacen(right, wrong, 1));
        if !message.contains(expected) {
            wrong_messages.push(format!("{wrong}\n  gives {message}\n  not   {expected}"));
        }
    }
    assert!(wrong_messages.is_empty(), "{}", wrong_messages.join("\n"));
}

#[test]
fn light_frames_agree_at_joins() {
    let pushed_in_one = GOOD.replace("    push_frame ! s0\n", "").replace("poll ! s1", "poll ! s1\n push_frame ! s1");
    assert_eq!(message(&pushed_in_one), "b1: the light frame: it's pushed on some paths to the block only");
}

#[test]
fn a_loop_starts_with_the_frame() {
    let text = |params: &str| {
        let lines = ["function \"sum\" loop 3, locals 1, stack 1, traceable 0 {", &format!("b0({params}):"), "exit class ! s0"];
        format!("{}\ns0 = @3 locals [steal v0] stack [steal v1]\n}}", lines.join("\n"))
    };
    assert_eq!(message(&text("v0: Nullable owned, v1: Nullable owned")), "ok");
    assert!(message(&text("v0: Nullable owned, v1: Object borrowed")).contains("v1 must be an owned object"));
    assert_eq!(message(&text("v0: Null borrowed, v1: CWord")), "ok");
    assert!(message(&text("v0: CWord, v1: Object owned")).contains("v0 must be an owned object"));
    assert!(message(&text("v0: Nullable owned, v1: CInt")).contains("v1 must be an owned object"));
}

#[test]
fn what_no_text_can_say() {
    let good = parse(GOOD).expect("reads");
    let check = |damage: fn(&mut pepjit_ir::Function)| {
        let mut func = good.clone();
        damage(&mut func);
        verify(&func).expect_err("damaged").kind.to_string()
    };
    assert_eq!(check(|func| func.blocks.clear()), "b0 doesn't exist");
    assert_eq!(check(|func| func.blocks[3].insts[0] = Inst(999)), "i999 doesn't exist");
    assert_eq!(check(|func| func.insts[2].args[0] = Value(999)), "v999 doesn't exist");
    assert_eq!(check(|func| func.insts[2].state = Some(StateId(999))), "s999 doesn't exist");
    assert_eq!(check(|func| func.states[0].drops.push(Value(998))), "v998 doesn't exist");
    assert_eq!(check(|func| func.insts[5].targets[0].block = Block(99)), "b99 doesn't exist");
    assert_eq!(check(|func| func.objects.clear()), "o0 doesn't exist");
    assert_eq!(check(|func| func.callees.clear()), "f0 doesn't exist");
    assert_eq!(check(|func| func.blocks[1].params.swap(0, 1)), "v5 is defined here, but its definition names another place");
    assert_eq!(check(|func| func.blocks[0].insts.insert(3, Inst(3))), "the instruction is in more than one place");
    assert!(check(|func| func.insts[3].imm = pepjit_ir::Imm::None).contains("it's of another kind"));
}
