//! The textual form: everything that is printed reads back, and errors say where they are.

use pepjit_ir::op::Reason;
use pepjit_ir::{
    BlockCall, BlockData, Builder, Callee, CalleeId, Cond, Constant, Field, FrameState, Function, FunctionKind, Helper, Imm,
    ImmKind, InstData, ObjId, ObjRef, Op, Ownership, Parameter, Slot, StateId, Text, Type, Value, ValueDef, parse,
};
use proptest::prelude::*;

/// A stream of choices from a seed.
struct Choices(u64);

impl Choices {
    fn word(&mut self) -> u64 {
        // Knuth's MMIX generator, mixed by a shift: only variety matters here.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ (self.0 >> 29)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.word() >> 16) as usize % limit
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn some<T>(&mut self, most: usize, mut item: impl FnMut(&mut Choices) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| item(self)).collect()
    }
}

fn ty(choices: &mut Choices) -> Type {
    let any =
        [Type::EMPTY, Type::OBJECT, Type::NULLABLE, Type::of_bits(choices.word() as u32), Type::of_bits(choices.word() as u32)];
    let named = choices.of(Type::NAMED).0;
    match choices.below(4) {
        0 => choices.of(&any),
        1 => Type::OBJECT.without(named),
        2 => Type::NULLABLE.without(named).union(choices.of(Type::NAMED).0),
        _ => named,
    }
}

/// Any combination of the named types and of what has no name.
trait OfBits {
    fn of_bits(bits: u32) -> Type;
}

impl OfBits for Type {
    fn of_bits(bits: u32) -> Type {
        let named = Type::NAMED.iter().filter(|(ty, _)| ty.bits() & bits != 0).fold(Type::EMPTY, |all, (ty, _)| all.union(*ty));
        if bits & (1 << 31) == 0 {
            named
        } else {
            Type::NAMED.iter().fold(Type::OBJECT, |all, (ty, _)| all.without(*ty)).union(named)
        }
    }
}

fn float(choices: &mut Choices) -> f64 {
    let bits = choices.word();
    let some = [0.0, -0.0, 1.5, -1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 1e16, 1e-7];
    if choices.below(2) == 0 {
        choices.of(&some)
    } else {
        Some(f64::from_bits(bits)).filter(|value| !value.is_nan()).unwrap_or(2.0)
    }
}

fn int(choices: &mut Choices) -> i64 {
    let wide = choices.word() as i64;
    choices.of(&[0, 1, -1, i64::MIN, i64::MAX, wide, wide >> 40])
}

fn label(choices: &mut Choices) -> String {
    choices.of(&["x", "", "a \"quoted\" \\ one", "tab\there", "line\nfeed", "π — \u{7f}\u{1}", "; no comment", "it's"]).into()
}

/// A function without sense: any operation with any operands of the table's form.
fn nonsense(seed: u64) -> Function {
    let choices = &mut Choices(seed);
    let kind =
        if choices.below(2) == 0 { FunctionKind::Entry } else { FunctionKind::Loop { header: choices.below(1000) as u32 } };
    let mut func = Function::new(label(choices), kind, choices.below(9) as u32, choices.below(9) as u32);
    func.first_traceable = choices.below(20) as u32;
    for number in 0..=choices.below(4) as u64 {
        let constant = [
            Constant::None,
            Constant::Opaque,
            Constant::Bool(number == 1),
            Constant::Int(int(choices)),
            Constant::Float(float(choices)),
        ];
        let constant = choices.of(&constant);
        let (label, ty) = (label(choices), ty(choices));
        func.objects.push(ObjRef { address: choices.word(), ty, constant, immortal: choices.below(2) == 0, label });
        let params = choices.some(3, |choices| Parameter { ty: self::ty(choices), owned: choices.below(2) == 0 });
        let function_cell = if choices.below(2) == 0 { 0 } else { choices.word() | 1 };
        func.callees.push(Callee { entry_cell: choices.word(), params, label: self::label(choices), function_cell });
    }
    let blocks = 1 + choices.below(5);
    func.blocks.resize_with(blocks, BlockData::default);
    for block in func.block_ids() {
        func.blocks[block.index()].cold = choices.below(4) == 0;
        for _ in 0..choices.below(4) {
            let (ty, owned) = (ty(choices), choices.below(2) == 0);
            func.add_param(block, ty, owned);
        }
    }
    for block in func.block_ids() {
        for _ in 0..choices.below(12) {
            instruction(&mut func, block, choices);
        }
    }
    let values = func.values.len().max(1);
    for _ in 0..func.insts.iter().filter_map(|inst| inst.state).map(|state| state.0 + 1).max().unwrap_or(0) {
        let slots = |choices: &mut Choices| {
            choices.some(5, |choices| match choices.below(4) {
                0 => Slot::Empty,
                1 => Slot::Object(ObjId(choices.below(func.objects.len()) as u32)),
                2 => Slot::Value(Value(choices.below(values) as u32), Ownership::Steal),
                _ => Slot::Value(Value(choices.below(values) as u32), Ownership::Borrow),
            })
        };
        let (locals, stack) = (slots(choices), slots(choices));
        let drops = choices.some(3, |choices| Value(choices.below(values) as u32));
        func.states.push(FrameState { offset: choices.below(5000) as u32, locals, stack, drops });
    }
    func
}

fn instruction(func: &mut Function, block: pepjit_ir::Block, choices: &mut Choices) {
    let op = choices.of(Op::ALL);
    let imm = match op.info().imm {
        ImmKind::None => Imm::None,
        ImmKind::Int => Imm::Int(int(choices)),
        ImmKind::Float => Imm::Float(float(choices)),
        ImmKind::Obj => Imm::Obj(ObjId(choices.below(func.objects.len()) as u32)),
        ImmKind::Field => Imm::Field(choices.of(Field::ALL)),
        ImmKind::Cond => Imm::Cond(choices.of(Cond::NAMED).0),
        ImmKind::Helper => Imm::Helper(choices.of(Helper::ALL)),
        ImmKind::Callee => Imm::Callee(CalleeId(choices.below(func.callees.len()) as u32)),
        ImmKind::Reason => Imm::Reason(choices.of(Reason::ALL)),
    };
    let values = func.values.len();
    let operands = |choices: &mut Choices, most| match values {
        0 => Vec::new(),
        _ => choices.some(most, |choices| Value(choices.below(values) as u32)),
    };
    let args = operands(choices, 4);
    let blocks = func.blocks.len();
    let targets = choices
        .some(2, |choices| BlockCall { block: pepjit_ir::Block(choices.below(blocks) as u32), args: operands(choices, 3) });
    let state = (choices.below(2) == 0).then(|| StateId(choices.below(6) as u32));
    let inst = Builder::at(func, block).push(op, &args, imm, state, targets);
    let InstData { result: Some(result), .. } = *func.inst(inst) else { return };
    if choices.below(8) == 0 {
        let (ty, owned) = (ty(choices), choices.below(2) == 0);
        let data = &mut func.values[result.index()];
        (data.ty, data.owned) = (ty, owned);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_function_reads_back(seed in any::<u64>()) {
        let func = nonsense(seed);
        let text = Text::new(&func).addresses().to_string();
        let back = parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&text, &Text::new(&back).addresses().to_string());
        prop_assert_eq!(func.to_string(), back.to_string());
        prop_assert_eq!(&func.objects, &back.objects);
        prop_assert_eq!(&func.callees, &back.callees);
        prop_assert_eq!(&func.blocks, &back.blocks);
        prop_assert_eq!(&func.insts, &back.insts[..func.insts.len()]);
        prop_assert_eq!(&func.values[..], &back.values[..func.values.len()]);
        for state in func.insts.iter().filter_map(|inst| inst.state) {
            prop_assert_eq!(&func.states[state.index()], &back.states[state.index()]);
        }
    }

    #[test]
    fn types_read_back(seed in any::<u64>()) {
        let ty = ty(&mut Choices(seed));
        prop_assert_eq!(Type::from_text(&ty.to_string()), Some(ty), "{}", ty);
    }

    #[test]
    fn no_text_panics(seed in any::<u64>(), cut in any::<u64>()) {
        // Remove a piece somewhere: an error or another function, but an answer.
        let text = nonsense(seed).to_string();
        let characters: Vec<char> = text.chars().collect();
        let start = cut as usize % characters.len();
        let end = (start + 1 + (cut >> 40) as usize % 8).min(characters.len());
        let damaged: String = characters[..start].iter().chain(&characters[end..]).collect();
        if let Err(error) = parse(&damaged) {
            prop_assert!(error.line >= 1 && error.line as usize <= damaged.lines().count().max(1), "{error}");
        }
    }
}

#[test]
fn every_row_of_the_tables_has_a_name_of_its_own() {
    for op in Op::ALL {
        assert_eq!(Op::from_name(op.info().name), Some(*op));
    }
    for helper in Helper::ALL {
        assert_eq!(Helper::from_name(helper.info().name), Some(*helper));
    }
    for field in Field::ALL {
        assert_eq!(Field::from_name(field.name()), Some(*field));
    }
}

const SMALL: &str = r#"
; adds one
function "add_one" entry, locals 1, stack 2, traceable 0 {
  o0 = "1" @ 0x10: Int int 1, immortal
  b0(v0: Object borrowed):
    enter ! s1   ; first
    v2 = unbox_int v0 ! s0
    v3: CInt = const_int 1
    v9 = int_add v2, v3 ! s0
    return_int v9
  s0 = @2 locals [v0] stack [v0, o0]
  s1 = @0 locals [v0] stack []
}
"#;

#[test]
fn printed_as_written() {
    let func = parse(SMALL).expect("reads");
    assert_eq!(func.values.len(), 10);
    assert!(matches!(func.values[7].def, ValueDef::Inst(inst) if func.inst(inst).result == Some(Value(7))));
    insta::assert_snapshot!(func, @r#"
    function "add_one" entry, locals 1, stack 2, traceable 0 {
      o0 = "1": Int int 1, immortal
      b0(v0: Object borrowed):
        enter ! s1
        v2 = unbox_int v0 ! s0
        v3 = const_int 1
        v9 = int_add v2, v3 ! s0
        return_int v9
      s0 = @2 locals [v0] stack [v0, o0]
      s1 = @0 locals [v0] stack []
    }
    "#);
}

#[test]
fn errors_say_what_and_where() {
    let cases = [
        (
            "v2 = unbox_int v0",
            "v2 = unbox_in v0",
            "line 7, column 10: there is no instruction named `unbox_in`; use a name of its table",
        ),
        ("unbox_int v0 ! s0", "unbox_int v0 ! v0", "line 7, column 25: expected a frame state (`s0`), found `v0`"),
        ("v3: CInt", "v2: CInt", "line 8, column 5: `v2` is declared twice; give the second one another number"),
        ("CInt", "CInteger", "line 8, column 9: there is no type named `CInteger`; use a name of its table"),
        ("const_int 1", "const_int one", "line 8, column 26: expected an integer, found `one`"),
        (
            "const_int 1",
            "const_int 9223372036854775808",
            "line 8, column 26: `9223372036854775808` is out of range; write a number that fits",
        ),
        ("locals 1,", "locals -1,", "line 3, column 35: `-1` is out of range; write a number that fits"),
        (
            "v0, o0]",
            "v0, o1]",
            "line 11, column 34: `o1` isn't declared; number blocks, objects and callees from 0 without gaps and declare each",
        ),
        (
            "\"add_one\"",
            "\"add_one",
            "line 3, column 10: a string ends with the line or has an unknown escape; close it with `\"` and write escapes as Rust does",
        ),
        (
            "return_int v9",
            "jump -> b1()",
            "line 13, column 2: `b1` isn't declared; number blocks, objects and callees from 0 without gaps and declare each",
        ),
        ("o0 = ", "o0 ~ ", "line 4, column 6: `~` starts nothing; remove it"),
        ("@2 locals [v0]", "@2 locals [v0", "line 11, column 22: expected `,`, found `stack`"),
        ("v9 = int_add", "v9999999 = int_add", "line 9, column 5: `v9999999` is out of range; write a number that fits"),
        ("return_int v9", "v10 = return_int v9", "line 10, column 22: expected an instruction with a result, found `v9`"),
    ];
    for (right, wrong, message) in cases {
        assert!(SMALL.contains(right), "{right}");
        let error = parse(&SMALL.replace(right, wrong)).expect_err(wrong);
        assert_eq!(error.to_string(), message, "{wrong}");
    }
}

#[test]
fn the_documented_example_is_one() {
    let source = include_str!("../src/print.rs");
    let example = source.split("```").nth(1).expect("an example").trim_start_matches("text");
    let text: String =
        example.lines().map(|line| line.trim_start_matches("//! ").trim_start_matches("//!").to_owned() + "\n").collect();
    let func = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    pepjit_ir::verify(&func).expect("well-formed");
    pepjit_ir::check_ownership(&func).expect("balanced");
    assert_eq!(func.to_string().trim(), text.trim());
}
