//! Splits the textual form into words, numbers, strings and punctuation.

use super::{ParseError, ParseErrorKind};

/// A piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Letters, digits, `_` and `.`, starting with a letter or `_`.
    Word(String),
    /// Digits and what follows them in a number; signs are punctuation.
    Number(String),
    /// A string, without its quotes.
    Text(String),
    /// One of `PUNCTUATION`.
    Punct(&'static str),
}

/// Longer ones first.
const PUNCTUATION: &[&str] = &["->", "(", ")", "[", "]", "{", "}", ":", ",", "=", "@", "!", "|", "-"];

struct Placed {
    token: Token,
    line: u32,
    column: u32,
}

/// All tokens and a position among them.
pub(super) struct Lexer {
    tokens: Vec<Placed>,
    position: usize,
    end: (u32, u32),
}

impl Lexer {
    pub(super) fn new(text: &str) -> Result<Lexer, ParseError> {
        let mut tokens = Vec::new();
        let mut end = (1, 1);
        for (line, content) in text.lines().enumerate() {
            let line = line as u32 + 1;
            let mut rest = content;
            loop {
                rest = rest.trim_start();
                let column = (content.chars().count() - rest.chars().count()) as u32 + 1;
                end = (line, column);
                let Some(first) = rest.chars().next().filter(|first| *first != ';') else { break };
                let (token, length) = token(rest, first).map_err(|kind| ParseError { line, column, kind })?;
                tokens.push(Placed { token, line, column });
                rest = &rest[length..];
            }
        }
        Ok(Lexer { tokens, position: 0, end })
    }

    pub(super) fn at_end(&self) -> bool {
        self.position == self.tokens.len()
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position).map(|placed| &placed.token)
    }

    pub(super) fn peek_word(&self) -> Option<&str> {
        self.word_at(self.position)
    }

    pub(super) fn peek_second_word(&self) -> Option<&str> {
        self.word_at(self.position + 1)
    }

    fn word_at(&self, position: usize) -> Option<&str> {
        match self.tokens.get(position).map(|placed| &placed.token) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    pub(super) fn peek_is(&self, punct: &str) -> bool {
        matches!(self.peek(), Some(Token::Punct(known)) if *known == punct)
    }

    pub(super) fn next(&mut self) {
        self.position += 1;
    }

    pub(super) fn accept(&mut self, punct: &str) -> bool {
        let is = self.peek_is(punct);
        self.position += usize::from(is);
        is
    }

    /// Whether the next token is on another line than the one before.
    pub(super) fn starts_line(&self) -> bool {
        match (self.position.checked_sub(1).and_then(|previous| self.tokens.get(previous)), self.tokens.get(self.position)) {
            (Some(previous), Some(next)) => previous.line != next.line,
            _ => true,
        }
    }

    /// An error at the next token.
    pub(super) fn error(&self, kind: ParseErrorKind) -> ParseError {
        self.error_at(self.position, kind)
    }

    /// An error at the token just read.
    pub(super) fn error_previous(&self, kind: ParseErrorKind) -> ParseError {
        self.error_at(self.position.saturating_sub(1), kind)
    }

    pub(super) fn unexpected(&self, expected: &str) -> ParseError {
        self.error(ParseErrorKind::Expected { expected: expected.into(), found: self.text_at(self.position) })
    }

    pub(super) fn unexpected_previous(&self, expected: &str) -> ParseError {
        self.error_previous(ParseErrorKind::Expected { expected: expected.into(), found: self.previous_text() })
    }

    /// The token just read, as in the text.
    pub(super) fn previous_text(&self) -> String {
        self.text_at(self.position.saturating_sub(1))
    }

    fn error_at(&self, position: usize, kind: ParseErrorKind) -> ParseError {
        let (line, column) = self.tokens.get(position).map_or(self.end, |placed| (placed.line, placed.column));
        ParseError { line, column, kind }
    }

    fn text_at(&self, position: usize) -> String {
        match self.tokens.get(position).map(|placed| &placed.token) {
            None => "the end".into(),
            Some(Token::Word(text) | Token::Number(text)) => format!("`{text}`"),
            Some(Token::Text(text)) => format!("{text:?}"),
            Some(Token::Punct(text)) => format!("`{text}`"),
        }
    }
}

/// The token at the start of the text and its length in bytes.
fn token(text: &str, first: char) -> Result<(Token, usize), ParseErrorKind> {
    let length = |accept: fn(char) -> bool| text.find(|character| !accept(character)).unwrap_or(text.len());
    if first.is_ascii_alphabetic() || first == '_' {
        let length = length(|character| character.is_ascii_alphanumeric() || character == '_' || character == '.');
        return Ok((Token::Word(text[..length].into()), length));
    }
    if first.is_ascii_digit() {
        let mut length = length(|character| character.is_ascii_alphanumeric() || character == '.');
        // The sign of an exponent belongs to the number.
        if text[..length].ends_with('e') && !text.starts_with("0x") && text[length..].starts_with(['-', '+']) {
            let exponent = &text[length + 1..];
            length += 1 + exponent.find(|character: char| !character.is_ascii_digit()).unwrap_or(exponent.len());
        }
        return Ok((Token::Number(text[..length].into()), length));
    }
    if first == '"' {
        return string(text);
    }
    let punct = PUNCTUATION.iter().find(|punct| text.starts_with(**punct)).ok_or(ParseErrorKind::Character(first))?;
    Ok((Token::Punct(punct), punct.len()))
}

/// A string with the escapes that Rust's `{:?}` writes.
fn string(text: &str) -> Result<(Token, usize), ParseErrorKind> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        value.push(match character {
            '"' => return Ok((Token::Text(value), at + 1)),
            '\\' => match characters.next().ok_or(ParseErrorKind::Text)?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let digits: String = characters.by_ref().map(|(_, character)| character).take_while(|c| *c != '}').collect();
                    let code = digits.strip_prefix('{').and_then(|digits| u32::from_str_radix(digits, 16).ok());
                    code.and_then(char::from_u32).ok_or(ParseErrorKind::Text)?
                }
                quoted @ ('"' | '\'' | '\\') => quoted,
                _ => return Err(ParseErrorKind::Text),
            },
            other => other,
        });
    }
    Err(ParseErrorKind::Text)
}
