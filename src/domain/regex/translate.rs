//! Reads a pattern as Go's `regexp/syntax` does (flags as for `regexp.Compile`) and writes it for the `regex` crate.

use super::RegexError;
use super::class;

/// The largest number of repetitions Go allows, also for the product of nested ones.
const MAX_REPEAT: u32 = 1000;

/// A pattern in the words of the `regex` crate.
#[derive(Debug)]
pub(super) struct Translation {
    /// The translated pattern.
    pub text: String,
    /// The text the pattern stands for when it has nothing but literal characters.
    pub literal: Option<String>,
    /// Where a `\Q` begins that runs to the end of the pattern.
    pub open_quote: Option<usize>,
}

/// Translates a whole pattern.
pub(super) fn translate(pattern: &str) -> Result<Translation, RegexError> {
    let mut translator = Translator {
        pattern,
        position: 0,
        out: String::with_capacity(pattern.len() + 8),
        literal: Some(String::new()),
        groups: Vec::new(),
        frame: Frame::default(),
        after_repeat: None,
        open_quote: None,
    };
    while let Some(c) = translator.rest().chars().next() {
        translator.token(c)?;
    }
    if let Some((open, _)) = translator.groups.last() {
        return Err(error("missing closing )", *open));
    }
    let Translator { out, literal, open_quote, .. } = translator;
    Ok(Translation { text: out, literal, open_quote })
}

/// What is known of the expression between the last `(` and here.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    /// How often the last atom repeats, with everything inside it; `None` when nothing stands here that could repeat.
    atom: Option<u32>,
    /// The largest such number of the atoms before it in the group.
    largest: u32,
}

impl Frame {
    /// Nothing more can repeat the last atom.
    fn settle(&mut self) {
        self.largest = self.largest.max(self.atom.take().unwrap_or(0));
    }
}

struct Translator<'p> {
    pattern: &'p str,
    position: usize,
    out: String,
    literal: Option<String>,
    /// Where each open group began, and the frame around it.
    groups: Vec<(usize, Frame)>,
    frame: Frame,
    /// Where the repetition began that ended just before the current position.
    after_repeat: Option<usize>,
    open_quote: Option<usize>,
}

pub(super) fn error(message: impl Into<String>, offset: usize) -> RegexError {
    RegexError { message: message.into(), offset: Some(offset) }
}

/// Writes one character so that it stands for itself, in or out of a class.
pub(super) fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() && c != '_' && c != '<' && c != '>' {
        // Every other ASCII punctuation may be escaped; `\<` and `\>` are word edges there.
        out.push('\\');
    }
    out.push(c);
}

impl<'p> Translator<'p> {
    fn rest(&self) -> &'p str {
        &self.pattern[self.position..]
    }

    /// Translates what begins with `c` at the current position and moves behind it.
    fn token(&mut self, c: char) -> Result<(), RegexError> {
        let after_repeat = self.after_repeat.take();
        match c {
            '(' => self.open_group(),
            ')' => self.close_group(),
            '|' => {
                self.special("|", 1);
                self.frame.settle();
                Ok(())
            }
            '^' | '$' | '.' => {
                self.special(&c.to_string(), 1);
                self.atom(1);
                Ok(())
            }
            '[' => {
                self.literal = None;
                self.position = class::bracketed(self.pattern, self.position, &mut self.out)?;
                self.atom(1);
                Ok(())
            }
            '*' | '+' | '?' => self.repeat(1, None, after_repeat),
            '{' => {
                if let Some((length, bounds)) = braces(self.rest()) {
                    return self.repeat(length, Some(bounds), after_repeat);
                }
                self.character('{', 1);
                Ok(())
            }
            '\\' => self.backslash(),
            other => {
                self.character(other, other.len_utf8());
                Ok(())
            }
        }
    }

    /// Copies something that is not a literal character.
    fn special(&mut self, text: &str, length: usize) {
        self.literal = None;
        self.out.push_str(text);
        self.position += length;
    }

    /// Writes a literal character that took `length` bytes of the pattern.
    fn character(&mut self, c: char, length: usize) {
        push_literal(&mut self.out, c);
        if let Some(literal) = &mut self.literal {
            literal.push(c);
        }
        self.position += length;
        self.atom(1);
    }

    fn atom(&mut self, repeats: u32) {
        self.frame.settle();
        self.frame.atom = Some(repeats);
    }

    fn open_group(&mut self) -> Result<(), RegexError> {
        let start = self.position;
        let rest = self.rest();
        if !rest.starts_with("(?") {
            self.special("(", 1);
        } else if rest.starts_with("(?P<") || rest.starts_with("(?<") {
            let Some(end) = rest.find('>') else {
                return Err(error("the group's name is never closed by >", start));
            };
            let name = &rest[rest.find('<').map_or(0, |open| open + 1)..end];
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err(error("a group's name is made of ASCII letters, digits and _", start));
            }
            let opening = format!("(?P<{name}>");
            self.special(&opening, end + 1);
        } else {
            let length = flags(rest).map_err(|at| error(FLAGS_MESSAGE, start + at))?;
            let text = &rest[..length];
            self.special(text, length);
            if text.ends_with(')') {
                // Flags for the rest of the group: no group begins, and nothing stands here that could repeat.
                self.frame.settle();
                return Ok(());
            }
        }
        self.groups.push((start, self.frame));
        self.frame = Frame::default();
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), RegexError> {
        let Some((_, outer)) = self.groups.pop() else {
            return Err(error("unexpected )", self.position));
        };
        self.frame.settle();
        let inside = self.frame.largest.max(1);
        self.special(")", 1);
        self.frame = outer;
        self.atom(inside);
        Ok(())
    }

    /// Translates `*`, `+`, `?` or `{m,n}` of `length` bytes, with the `?` that may follow.
    fn repeat(&mut self, length: usize, bounds: Option<Bounds>, after_repeat: Option<usize>) -> Result<(), RegexError> {
        let start = self.position;
        let lazy = usize::from(self.rest()[length..].starts_with('?'));
        let text = &self.rest()[..length + lazy];
        if let Some(first) = after_repeat {
            let both = &self.pattern[first..start + text.len()];
            return Err(error(format!("invalid nested repetition operator {both}"), first));
        }
        let Some(inside) = self.frame.atom else {
            return Err(error(format!("nothing to repeat before {text}"), start));
        };
        let mut repeats = inside;
        if let Some(Bounds { least, most }) = bounds {
            let (unbounded, most) = (most.is_none(), most.unwrap_or(least));
            if most > MAX_REPEAT || most < least {
                return Err(error(format!("repetition {text} is out of order or above {MAX_REPEAT}"), start));
            }
            // Without an upper bound Go counts the lower one, but none at all when that is zero.
            repeats = if unbounded && most == 0 { inside } else { inside.saturating_mul(most) };
            if most >= 2 && repeats > MAX_REPEAT {
                return Err(error(format!("nested repetitions multiply to more than {MAX_REPEAT}"), start));
            }
        }
        self.special(text, text.len());
        self.frame.atom = Some(repeats);
        self.after_repeat = Some(start);
        Ok(())
    }

    fn backslash(&mut self) -> Result<(), RegexError> {
        let start = self.position;
        let rest = self.rest();
        match rest[1..].chars().next() {
            Some('A') => self.special("\\A", 2),
            Some('z') => self.special("\\z", 2),
            // Go's word edges look at ASCII only.
            Some('b') => self.special("(?-u:\\b)", 2),
            Some('B') => self.special("(?-u:\\B)", 2),
            Some('Q') => {
                let body = &rest[2..];
                let closed = body.split_once("\\E");
                if closed.is_none() {
                    self.open_quote = Some(start);
                }
                let (quoted, after) = closed.unwrap_or((body, ""));
                for c in quoted.chars() {
                    self.character(c, 0);
                }
                self.position = self.pattern.len() - after.len();
                return Ok(());
            }
            _ => {
                if let Some(end) = class::escaped(self.pattern, start, &mut self.out)? {
                    self.literal = None;
                    self.position = end;
                } else {
                    let (c, end) = class::escaped_char(self.pattern, start)?;
                    self.character(c, end - start);
                }
            }
        }
        self.atom(1);
        Ok(())
    }
}

/// The numbers of `{m}`, `{m,}` or `{m,n}`.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    least: u32,
    most: Option<u32>,
}

/// Reads a repetition in braces with its length. Go takes anything else, `{,2}` and `{01}` included, as literal text.
fn braces(text: &str) -> Option<(usize, Bounds)> {
    let inner = &text[1..text.find('}')?];
    let length = inner.len() + 2;
    let number = |digits: &str| {
        let canonical = digits == "0" || !digits.starts_with('0');
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && canonical;
        // A number too large to read is certainly above the limit.
        is_number.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let bounds = match inner.split_once(',') {
        None => {
            let count = number(inner)?;
            Bounds { least: count, most: Some(count) }
        }
        Some((least, "")) => Bounds { least: number(least)?, most: None },
        Some((least, most)) => Bounds { least: number(least)?, most: Some(number(most)?) },
    };
    Some((length, bounds))
}

const FLAGS_MESSAGE: &str = "after (? only the flags i, m, s, U, a name as in (?P<name>, or : may stand";

/// The length of `(?flags)` or `(?flags:`, or where it goes wrong.
fn flags(text: &str) -> Result<usize, usize> {
    let mut negated = false;
    let mut seen_since_minus = false;
    for (offset, c) in text.char_indices().skip(2) {
        match c {
            'i' | 'm' | 's' | 'U' => seen_since_minus = true,
            '-' if !negated => (negated, seen_since_minus) = (true, false),
            ':' | ')' if !negated || seen_since_minus => return Ok(offset + 1),
            _ => return Err(offset),
        }
    }
    Err(0)
}
