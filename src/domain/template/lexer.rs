//! Cuts a template into texts and actions, and actions into words, by Go's rules.
//!
//! The engine has a lexer of its own. This one exists because we must know what an action mentions (to name what is
//! missing), where each word stands (to point at it), and because it reads Go's strings exactly.

use super::ParseError;
use crate::domain::go_string;

/// A template's parts in order.
#[derive(Debug)]
pub(super) enum Piece<'s> {
    /// What goes out as it stands.
    Text {
        /// The text.
        text: &'s str,
        /// Where it begins in the source.
        offset: usize,
    },
    /// What stands between `{{` and `}}`.
    Action(Action<'s>),
}

/// One `{{ … }}`.
#[derive(Debug)]
pub(super) struct Action<'s> {
    /// All of it, delimiters included.
    pub text: &'s str,
    /// Where it begins in the source.
    pub offset: usize,
    /// Its words; none for a comment.
    pub tokens: Vec<Token<'s>>,
    /// Whether `{{- ` or ` -}}` trims a neighbour.
    pub trims: (bool, bool),
    /// Whether it is `{{/* … */}}`.
    pub comment: bool,
}

/// One word of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'s> {
    /// What it is.
    pub kind: Kind,
    /// As written.
    pub text: &'s str,
    /// Where it begins in the source.
    pub offset: usize,
}

impl Token<'_> {
    /// Where it ends in the source.
    pub(super) const fn end(&self) -> usize {
        self.offset + self.text.len()
    }
}

/// What a word is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `$`, `$labels`
    Variable,
    /// `.Labels`
    Field,
    /// A keyword, a function, `true`, `false` or `nil`.
    Word,
    /// A quoted or raw string, with its value.
    Quoted(String),
    /// A character constant, which Go takes for a number.
    Character(char),
    /// A number; the engine looks at it closer.
    Number,
    /// `.`, `|`, `(`, `)`, `,`, `=`, `:=`
    Sign,
}

pub(super) fn error(message: impl Into<String>, offset: usize, length: usize) -> ParseError {
    ParseError { message: message.into(), offset, length }
}

/// Cuts a whole template.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece<'_>>, ParseError> {
    let mut pieces = Vec::new();
    let mut position = 0;
    while let Some(found) = source[position..].find("{{") {
        if found > 0 {
            pieces.push(Piece::Text { text: &source[position..position + found], offset: position });
        }
        let action = action(source, position + found)?;
        position = action.offset + action.text.len();
        pieces.push(Piece::Action(action));
    }
    if position < source.len() {
        pieces.push(Piece::Text { text: &source[position..], offset: position });
    }
    Ok(pieces)
}

/// Blanks inside actions, which are fewer than Unicode's.
const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

fn action(source: &str, offset: usize) -> Result<Action<'_>, ParseError> {
    let mut start = offset + 2;
    let trim_left = source[start..].strip_prefix('-').is_some_and(|rest| rest.starts_with(BLANK));
    if trim_left {
        start += 2;
    }
    if let Some(comment) = source[start..].strip_prefix("/*") {
        let length = comment.find("*/").ok_or_else(|| error("unclosed comment", offset, 2))?;
        let after = &comment[length + 2..];
        let (trim_right, closing) = closing(after).ok_or_else(|| error("a comment must fill its action", offset, 2))?;
        let end = source.len() - after.len() + closing;
        let trims = (trim_left, trim_right);
        return Ok(Action { text: &source[offset..end], offset, tokens: Vec::new(), trims, comment: true });
    }
    let mut tokens = Vec::new();
    let mut position = start;
    loop {
        let rest = &source[position..];
        if let Some((trim_right, length)) = closing(rest) {
            let text = &source[offset..position + length];
            return Ok(Action { text, offset, tokens, trims: (trim_left, trim_right), comment: false });
        }
        match rest.chars().next() {
            None => return Err(error("unclosed action", offset, 2)),
            Some(c) if BLANK.contains(&c) => position += 1,
            Some(c) => {
                let token = token(source, position, c)?;
                position = token.end();
                tokens.push(token);
            }
        }
    }
}

/// The end of an action at the start of a text: whether it trims, and its length.
fn closing(text: &str) -> Option<(bool, usize)> {
    if text.starts_with("}}") {
        return Some((false, 2));
    }
    let after_blank = text.strip_prefix(BLANK)?;
    after_blank.starts_with("-}}").then_some((true, 4))
}

fn token(source: &str, offset: usize, first: char) -> Result<Token<'_>, ParseError> {
    let rest = &source[offset..];
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let name_end = |from: usize| rest[from..].find(|c| !is_name(c)).map_or(rest.len(), |length| from + length);
    let second = rest[first.len_utf8()..].chars().next();
    let (kind, length) = match first {
        '"' => quoted(rest, offset)?,
        '`' => {
            let length = rest[1..].find('`').ok_or_else(|| error("unterminated raw string", offset, 1))?;
            // Go drops carriage returns from raw strings.
            (Kind::Quoted(rest[1..=length].replace('\r', "")), length + 2)
        }
        '\'' => character(rest, offset)?,
        '$' => (Kind::Variable, name_end(1)),
        '.' if second.is_some_and(|c| c.is_ascii_digit()) => (Kind::Number, number_end(rest)),
        '.' if second.is_some_and(is_name) => (Kind::Field, name_end(1)),
        '0'..='9' | '+' | '-' => (Kind::Number, number_end(rest)),
        ':' if second == Some('=') => (Kind::Sign, 2),
        '.' | '|' | '(' | ')' | ',' | '=' => (Kind::Sign, 1),
        c if is_name(c) => (Kind::Word, name_end(0)),
        c => return Err(error(format!("unexpected {c:?} in an action"), offset, c.len_utf8())),
    };
    Ok(Token { kind, text: &rest[..length], offset })
}

/// Numbers have many forms; everything that could belong to one is taken, and the engine refuses what is none.
fn number_end(text: &str) -> usize {
    let mut previous = ' ';
    for (offset, c) in text.char_indices() {
        let sign = matches!(c, '+' | '-') && (offset == 0 || matches!(previous, 'e' | 'E' | 'p' | 'P'));
        if !(sign || c.is_ascii_alphanumeric() || matches!(c, '.' | '_')) {
            return offset;
        }
        previous = c;
    }
    text.len()
}

/// The body of a quoted constant without its quotes; `None` when it is not closed on its line.
fn quoted_body(text: &str, quote: char) -> Option<&str> {
    let mut escaped = false;
    for (offset, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(&text[1..offset]),
            _ => {}
        }
    }
    None
}

fn quoted(text: &str, offset: usize) -> Result<(Kind, usize), ParseError> {
    let body = quoted_body(text, '"').ok_or_else(|| error("unterminated quoted string", offset, 1))?;
    let value = go_string::unescape(body, '"').map_err(|bad| error(bad.message, offset + 1 + bad.offset, 1))?;
    Ok((Kind::Quoted(value), body.len() + 2))
}

fn character(text: &str, offset: usize) -> Result<(Kind, usize), ParseError> {
    let body = quoted_body(text, '\'').ok_or_else(|| error("unterminated character constant", offset, 1))?;
    let value = go_string::unescape(body, '\'').map_err(|bad| error(bad.message, offset + 1 + bad.offset, 1))?;
    let mut chars = value.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok((Kind::Character(c), body.len() + 2)),
        _ => Err(error("a character constant holds one character", offset, body.len() + 2)),
    }
}
