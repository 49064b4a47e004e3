//! Reads the textual form that [`print`](crate::print) writes.
//!
//! Numbers are kept as they are printed: where the text leaves out values, states or instructions, the tables have harmless entries
//! that nothing uses. The parser checks the form only; [`verify`](crate::verify()) checks what the text means.

mod lexer;

use crate::builder::result_type;
use crate::field::Field;
use crate::function::{
    Block, BlockCall, BlockData, Callee, CalleeId, FrameState, Function, FunctionKind, Inst, InstData, ObjId, ObjRef, Ownership,
    Parameter, Slot, StateId, Value, ValueData, ValueDef,
};
use crate::helper::Helper;
use crate::op::{Cond, Imm, ImmKind, Op, Reason};
use crate::types::{Constant, Type};
use lexer::{Lexer, Token};
use thiserror::Error;

/// Why a text isn't a function, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub kind: ParseErrorKind,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseErrorKind {
    /// Something else was expected.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What was expected.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A name that no table has.
    #[error("there is no {what} named `{name}`; use a name of its table")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Declared twice.
    #[error("{0} is declared twice; give the second one another number")]
    Twice(String),
    /// Used or left out, but not declared.
    #[error("`{0}` isn't declared; number blocks, objects and callees from 0 without gaps and declare each")]
    Missing(String),
    /// A number that doesn't fit.
    #[error("`{0}` is out of range; write a number that fits")]
    Range(String),
    /// A character that starts nothing.
    #[error("`{0}` starts nothing; remove it")]
    Character(char),
    /// A string that isn't closed, or has an unknown escape.
    #[error("a string ends with the line or has an unknown escape; close it with `\"` and write escapes as Rust does")]
    Text,
}

/// Reads one function.
///
/// # Errors
/// [`ParseError`] says what was expected and where.
pub fn parse(text: &str) -> Result<Function, ParseError> {
    let mut parser =
        Parser { lexer: Lexer::new(text)?, func: Function::new("", FunctionKind::Entry, 0, 0), seen: Seen::default() };
    parser.function()?;
    Ok(parser.func)
}

/// Which numbers have been declared.
#[derive(Default)]
struct Seen {
    blocks: Vec<bool>,
    states: Vec<bool>,
    values: Vec<bool>,
}

struct Parser {
    lexer: Lexer,
    func: Function,
    seen: Seen,
}

/// A result of this module.
type Parsed<T> = Result<T, ParseError>;

/// The largest number of a value, block or state: keeps a typing error from filling the memory.
const LARGEST: u32 = 1 << 20;

impl Parser {
    fn function(&mut self) -> Parsed<()> {
        self.keyword("function")?;
        self.func.name = self.string()?;
        let kind = self.word("`entry` or `loop`")?;
        self.func.kind = match kind.as_str() {
            "entry" => FunctionKind::Entry,
            "loop" => FunctionKind::Loop { header: self.small()? },
            "resume" => FunctionKind::Resume { offset: self.small()? },
            _ => return Err(self.lexer.unexpected_previous("`entry` or `loop`")),
        };
        self.func.locals = self.header("locals")?;
        self.func.stack = self.header("stack")?;
        self.func.first_traceable = self.header("traceable")?;
        self.func.blocks.clear();
        self.punct("{")?;
        while !self.lexer.accept("}") {
            self.item()?;
        }
        if !self.lexer.at_end() {
            return Err(self.lexer.unexpected("the end of the text"));
        }
        self.complete()
    }

    /// Every number in use is declared: blocks, objects, callees. Values and states are the verifier's business, since only it
    /// can tell what is used.
    fn complete(&mut self) -> Parsed<()> {
        if let Some(block) = self.seen.blocks.iter().position(|seen| !seen) {
            return Err(self.lexer.error(ParseErrorKind::Missing(Block(block as u32).to_string())));
        }
        if self.func.blocks.is_empty() {
            return Err(self.lexer.error(ParseErrorKind::Missing(Function::ENTRY.to_string())));
        }
        for value in 0..self.func.values.len() {
            if !self.seen.values.get(value).is_some_and(|seen| *seen) {
                // A dead instruction, so that everything a value's definition names exists.
                let inst = Inst(self.func.insts.len() as u32);
                let result = Some(Value(value as u32));
                self.func.values[value] = ValueData { ty: Type::EMPTY, owned: false, def: ValueDef::Inst(inst) };
                let (args, targets) = (Vec::new(), Vec::new());
                self.func.insts.push(InstData { op: Op::ConstNull, args, imm: Imm::None, state: None, result, targets });
            }
        }
        Ok(())
    }

    fn header(&mut self, name: &str) -> Parsed<u32> {
        self.punct(",")?;
        self.keyword(name)?;
        self.small()
    }

    /// A declaration: the first letter of its number tells which.
    fn item(&mut self) -> Parsed<()> {
        let expected = "an object (`o0`), a callee (`f0`), a block (`b0`), a frame state (`s0`) or `}`";
        match self.lexer.peek_word().and_then(|word| word.chars().next()) {
            Some('o') => self.object(),
            Some('f') => self.callee(),
            Some('b') => self.block(),
            Some('s') => self.state(),
            _ => Err(self.lexer.unexpected(expected)),
        }
    }

    fn object(&mut self) -> Parsed<()> {
        let expected = format!("o{}", self.func.objects.len());
        let number = self.number('o', "an object")?;
        self.in_order(number, self.func.objects.len(), &expected)?;
        self.punct("=")?;
        let label = self.string()?;
        let address = self.address(0x1000_0000, number)?;
        self.punct(":")?;
        let ty = self.ty()?;
        let constant = match self.lexer.peek_word() {
            Some("none") => {
                self.lexer.next();
                Constant::None
            }
            Some("bool") => {
                self.lexer.next();
                match self.word("`true` or `false`")?.as_str() {
                    "true" => Constant::Bool(true),
                    "false" => Constant::Bool(false),
                    _ => return Err(self.lexer.unexpected_previous("`true` or `false`")),
                }
            }
            Some("int") => {
                self.lexer.next();
                Constant::Int(self.integer()?)
            }
            Some("float") => {
                self.lexer.next();
                Constant::Float(self.float()?)
            }
            _ => Constant::Opaque,
        };
        let immortal = self.lexer.accept(",");
        if immortal {
            self.keyword("immortal")?;
        }
        self.func.objects.push(ObjRef { address, ty, constant, immortal, label });
        Ok(())
    }

    fn callee(&mut self) -> Parsed<()> {
        let expected = format!("f{}", self.func.callees.len());
        let number = self.number('f', "a callee")?;
        self.in_order(number, self.func.callees.len(), &expected)?;
        self.punct("=")?;
        let label = self.string()?;
        let entry_cell = self.address(0x2000_0000, number)?;
        let shared = self.lexer.peek_word() == Some("shared");
        if shared {
            self.lexer.next();
        }
        let function_cell = if shared { self.address(0x3000_0000, number)? } else { 0 };
        let params = self.items("(", ")", |parser| parser.typed().map(|(ty, owned)| Parameter { ty, owned }))?;
        self.func.callees.push(Callee { entry_cell, params, label, function_cell });
        Ok(())
    }

    /// A printed address, or one that is made up from the number.
    fn address(&mut self, base: u64, number: u32) -> Parsed<u64> {
        if self.lexer.accept("@") { self.unsigned() } else { Ok(base + u64::from(number) * 64) }
    }

    fn in_order(&self, number: u32, next: usize, expected: &str) -> Parsed<()> {
        match (number as usize).cmp(&next) {
            std::cmp::Ordering::Less => Err(self.lexer.error_previous(ParseErrorKind::Twice(self.lexer.previous_text()))),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(self.lexer.error_previous(ParseErrorKind::Missing(expected.into()))),
        }
    }

    fn state(&mut self) -> Parsed<()> {
        let id = StateId(self.number('s', "a frame state")?);
        self.declare(|seen| &mut seen.states, id.index())?;
        self.punct("=")?;
        self.punct("@")?;
        let offset = self.small()?;
        self.keyword("locals")?;
        let locals = self.items("[", "]", Parser::slot)?;
        self.keyword("stack")?;
        let stack = self.items("[", "]", Parser::slot)?;
        let drops = match self.lexer.peek_word() {
            Some("drops") => {
                self.lexer.next();
                self.items("[", "]", Parser::value)?
            }
            _ => Vec::new(),
        };
        self.mention_state(id);
        self.func.states[id.index()] = FrameState { offset, locals, stack, drops };
        Ok(())
    }

    fn slot(&mut self) -> Parsed<Slot> {
        let expected = "a slot (`_`, a value, `steal` and a value, or an object)";
        match self.lexer.peek_word() {
            Some("_") => {
                self.lexer.next();
                Ok(Slot::Empty)
            }
            Some("steal") => {
                self.lexer.next();
                Ok(Slot::Value(self.value()?, Ownership::Steal))
            }
            Some(word) if word.starts_with('v') => Ok(Slot::Value(self.value()?, Ownership::Borrow)),
            Some(word) if word.starts_with('o') => Ok(Slot::Object(self.object_id()?)),
            _ => Err(self.lexer.unexpected(expected)),
        }
    }

    fn block(&mut self) -> Parsed<()> {
        let block = Block(self.number('b', "a block")?);
        self.declare(|seen| &mut seen.blocks, block.index())?;
        if self.func.blocks.len() <= block.index() {
            self.func.blocks.resize_with(block.index() + 1, BlockData::default);
        }
        let params = self.items("(", ")", |parser| {
            let value = parser.define()?;
            parser.punct(":")?;
            let (ty, owned) = parser.typed()?;
            Ok((value, ty, owned))
        })?;
        for (position, (value, ty, owned)) in params.into_iter().enumerate() {
            self.func.values[value.index()] = ValueData { ty, owned, def: ValueDef::Param(block, position as u32) };
            self.func.blocks[block.index()].params.push(value);
        }
        if self.lexer.peek_word() == Some("cold") {
            self.lexer.next();
            self.func.blocks[block.index()].cold = true;
        }
        self.punct(":")?;
        while self.lexer.peek_word().is_some_and(is_instruction) {
            let inst = self.instruction()?;
            self.func.blocks[block.index()].insts.push(inst);
        }
        Ok(())
    }

    fn instruction(&mut self) -> Parsed<Inst> {
        let mut result = None;
        if self.lexer.peek_word().is_some_and(|word| is_numbered(word, 'v')) {
            let value = self.define()?;
            let ty = if self.lexer.accept(":") { Some(self.typed()?) } else { None };
            self.punct("=")?;
            result = Some((value, ty));
        }
        let name = self.word("an instruction")?;
        let Some(op) = Op::from_name(&name) else {
            return Err(self.lexer.error_previous(ParseErrorKind::Unknown { what: "instruction", name }));
        };
        let imm = self.immediate(op.info().imm)?;
        let mut args = Vec::new();
        let more = match imm {
            Imm::None => !self.lexer.starts_line() && self.lexer.peek_word().is_some_and(|word| is_numbered(word, 'v')),
            _ => self.lexer.accept(","),
        };
        if more {
            args.push(self.value()?);
            while self.lexer.accept(",") {
                args.push(self.value()?);
            }
        }
        let mut targets = Vec::new();
        if self.lexer.accept("->") {
            targets.push(self.target()?);
            while self.lexer.accept(",") {
                targets.push(self.target()?);
            }
        }
        let mut state = None;
        if self.lexer.accept("!") {
            let id = StateId(self.number('s', "a frame state")?);
            self.mention_state(id);
            state = Some(id);
        }
        let inst = Inst(self.func.insts.len() as u32);
        if let Some((value, ty)) = result {
            let Some((ty, owned)) = ty.or_else(|| result_type(&self.func, op, imm)) else {
                return Err(self.lexer.unexpected_previous("an instruction with a result"));
            };
            self.func.values[value.index()] = ValueData { ty, owned, def: ValueDef::Inst(inst) };
        }
        self.func.insts.push(InstData { op, args, imm, state, result: result.map(|(value, _)| value), targets });
        Ok(inst)
    }

    fn target(&mut self) -> Parsed<BlockCall> {
        let block = Block(self.number('b', "a block")?);
        if self.seen.blocks.len() <= block.index() {
            self.seen.blocks.resize(block.index() + 1, false);
        }
        Ok(BlockCall { block, args: self.items("(", ")", Parser::value)? })
    }

    fn immediate(&mut self, kind: ImmKind) -> Parsed<Imm> {
        Ok(match kind {
            ImmKind::None => Imm::None,
            ImmKind::Int => Imm::Int(self.integer()?),
            ImmKind::Float => Imm::Float(self.float()?),
            ImmKind::Obj => Imm::Obj(self.object_id()?),
            ImmKind::Callee => {
                let number = self.number('f', "a callee")?;
                if number as usize >= self.func.callees.len() {
                    return Err(self.lexer.error_previous(ParseErrorKind::Missing(CalleeId(number).to_string())));
                }
                Imm::Callee(CalleeId(number))
            }
            ImmKind::Field => Imm::Field(self.named("field", Field::from_name)?),
            ImmKind::Helper => Imm::Helper(self.named("helper", Helper::from_name)?),
            ImmKind::Reason => Imm::Reason(self.named("reason", Reason::from_name)?),
            ImmKind::Cond => Imm::Cond(
                self.named("comparison", |name| Cond::NAMED.iter().find(|(_, known)| *known == name).map(|(cond, _)| *cond))?,
            ),
        })
    }

    fn object_id(&mut self) -> Parsed<ObjId> {
        let number = self.number('o', "an object")?;
        if number as usize >= self.func.objects.len() {
            return Err(self.lexer.error_previous(ParseErrorKind::Missing(ObjId(number).to_string())));
        }
        Ok(ObjId(number))
    }

    fn named<T>(&mut self, what: &'static str, find: impl Fn(&str) -> Option<T>) -> Parsed<T> {
        let name = self.word(what)?;
        find(&name).ok_or_else(|| self.lexer.error_previous(ParseErrorKind::Unknown { what, name }))
    }

    fn typed(&mut self) -> Parsed<(Type, bool)> {
        let ty = self.ty()?;
        let owned = self.lexer.peek_word() == Some("owned");
        if owned || self.lexer.peek_word() == Some("borrowed") {
            self.lexer.next();
        }
        Ok((ty, owned))
    }

    fn ty(&mut self) -> Parsed<Type> {
        let mut text = self.word("a type")?;
        loop {
            let operator = if self.lexer.accept("|") {
                '|'
            } else if self.lexer.accept("-") {
                '-'
            } else {
                break;
            };
            text.push(operator);
            text.push_str(&self.word("a type")?);
        }
        Type::from_text(&text).ok_or_else(|| self.lexer.error_previous(ParseErrorKind::Unknown { what: "type", name: text }))
    }

    /// A value where it's defined: once only.
    fn define(&mut self) -> Parsed<Value> {
        let value = self.value()?;
        self.declare(|seen| &mut seen.values, value.index())?;
        Ok(value)
    }

    fn value(&mut self) -> Parsed<Value> {
        let value = Value(self.number('v', "a value")?);
        if self.func.values.len() <= value.index() {
            let unknown = ValueData { ty: Type::EMPTY, owned: false, def: ValueDef::Inst(Inst(0)) };
            self.func.values.resize(value.index() + 1, unknown);
        }
        Ok(value)
    }

    fn mention_state(&mut self, id: StateId) {
        if self.func.states.len() <= id.index() {
            let empty = FrameState { offset: 0, locals: Vec::new(), stack: Vec::new(), drops: Vec::new() };
            self.func.states.resize(id.index() + 1, empty);
        }
    }

    fn declare(&mut self, table: impl Fn(&mut Seen) -> &mut Vec<bool>, index: usize) -> Parsed<()> {
        let seen = table(&mut self.seen);
        if seen.len() <= index {
            seen.resize(index + 1, false);
        }
        if std::mem::replace(&mut seen[index], true) {
            return Err(self.lexer.error_previous(ParseErrorKind::Twice(self.lexer.previous_text())));
        }
        Ok(())
    }

    /// A letter and a number, as one word.
    fn number(&mut self, letter: char, what: &str) -> Parsed<u32> {
        let word = match self.lexer.peek_word() {
            Some(word) if is_numbered(word, letter) => word.to_owned(),
            _ => return Err(self.lexer.unexpected(&format!("{what} (`{letter}0`)"))),
        };
        self.lexer.next();
        match word[1..].parse() {
            Ok(number) if number <= LARGEST => Ok(number),
            _ => Err(self.lexer.error_previous(ParseErrorKind::Range(word))),
        }
    }

    fn items<T>(&mut self, open: &str, close: &str, mut item: impl FnMut(&mut Parser) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.punct(open)?;
        let mut items = Vec::new();
        while !self.lexer.accept(close) {
            if !items.is_empty() {
                self.punct(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn punct(&mut self, text: &str) -> Parsed<()> {
        if self.lexer.accept(text) { Ok(()) } else { Err(self.lexer.unexpected(&format!("`{text}`"))) }
    }

    fn keyword(&mut self, word: &str) -> Parsed<()> {
        if self.lexer.peek_word() == Some(word) {
            self.lexer.next();
            Ok(())
        } else {
            Err(self.lexer.unexpected(&format!("`{word}`")))
        }
    }

    fn word(&mut self, expected: &str) -> Parsed<String> {
        match self.lexer.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.lexer.next();
                Ok(word)
            }
            _ => Err(self.lexer.unexpected(expected)),
        }
    }

    fn string(&mut self) -> Parsed<String> {
        match self.lexer.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.lexer.next();
                Ok(text)
            }
            _ => Err(self.lexer.unexpected("a string in double quotes")),
        }
    }

    /// A number's digits, with the sign if there is one.
    fn digits(&mut self, expected: &str) -> Parsed<String> {
        let sign = if self.lexer.accept("-") { "-" } else { "" };
        match self.lexer.peek() {
            Some(Token::Number(digits)) => {
                let digits = format!("{sign}{digits}");
                self.lexer.next();
                Ok(digits)
            }
            _ => Err(self.lexer.unexpected(expected)),
        }
    }

    fn parsed<T>(&mut self, expected: &str, convert: impl Fn(&str) -> Option<T>) -> Parsed<T> {
        let digits = self.digits(expected)?;
        convert(&digits).ok_or_else(|| self.lexer.error_previous(ParseErrorKind::Range(digits)))
    }

    fn small(&mut self) -> Parsed<u32> {
        self.parsed("a number from 0", |digits| digits.parse().ok())
    }

    fn integer(&mut self) -> Parsed<i64> {
        self.parsed("an integer", |digits| digits.parse().ok())
    }

    fn unsigned(&mut self) -> Parsed<u64> {
        self.parsed("a number in hexadecimal digits (`0x1000`)", |digits| {
            u64::from_str_radix(digits.strip_prefix("0x")?, 16).ok()
        })
    }

    fn float(&mut self) -> Parsed<f64> {
        match self.lexer.peek_word() {
            Some("nan") => {
                self.lexer.next();
                Ok(f64::from_bits(self.unsigned()?))
            }
            Some("inf") => {
                self.lexer.next();
                Ok(f64::INFINITY)
            }
            _ if self.lexer.peek_is("-") && self.lexer.peek_second_word() == Some("inf") => {
                self.lexer.next();
                self.lexer.next();
                Ok(f64::NEG_INFINITY)
            }
            _ => self.parsed("a double", |digits| digits.parse().ok()),
        }
    }
}

/// Whether a word is this letter and a number.
fn is_numbered(word: &str, letter: char) -> bool {
    word.strip_prefix(letter).is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a word goes on with the block: it doesn't start another declaration.
fn is_instruction(word: &str) -> bool {
    !['o', 'f', 'b', 's'].into_iter().any(|letter| is_numbered(word, letter))
}
