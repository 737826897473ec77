//! The parser of Alertmanager 0.27 and newer, which knows names of any UTF-8 text.

use super::{MatcherError, Operator, RawMatcher, error};
use crate::domain::go_string;

/// Parses a list of matchers; braces are optional but must pair.
pub(super) fn parse(text: &str) -> Result<Vec<RawMatcher>, MatcherError> {
    let mut scanner = Scanner { text, position: 0 };
    let mut matchers = Vec::new();
    let braces = scanner.take('{');
    while !scanner.at_end() && scanner.peek() != Some('}') {
        matchers.push(scanner.matcher()?);
        if !scanner.take(',') {
            break;
        }
    }
    let end = scanner.position;
    match (braces, scanner.take('}')) {
        (true, false) if scanner.at_end() => Err(error("a closing brace is missing", end)),
        (false, true) => Err(error("a closing brace without an opening one", end)),
        _ if !scanner.at_end() => Err(error("a comma or the end is expected here", scanner.position)),
        _ => Ok(matchers),
    }
}

/// A name or a value: its text, and where that text begins behind its quote.
struct Word {
    text: String,
    offset: usize,
}

struct Scanner<'t> {
    text: &'t str,
    position: usize,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        &self.text[self.position..]
    }

    fn skip_blanks(&mut self) {
        self.position = self.text.len() - self.rest().trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_blanks();
        self.rest().chars().next()
    }

    fn at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.position += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn matcher(&mut self) -> Result<RawMatcher, MatcherError> {
        let name = self.word("a label name is expected here")?;
        self.skip_blanks();
        let Some((operator, length)) = Operator::at_start_of(self.rest()) else {
            let message = format!("after the label name {:?} one of =, !=, =~, !~ is expected", name.text);
            return Err(error(message, self.position));
        };
        self.position += length;
        let value = self.word("a value is expected here; the empty one is written \"\"")?;
        Ok(RawMatcher {
            name: name.text,
            operator,
            value: value.text,
            name_offset: name.offset,
            value_offset: value.offset,
        })
    }

    /// Takes a bare or a quoted word.
    fn word(&mut self, missing: &str) -> Result<Word, MatcherError> {
        match self.peek() {
            Some('"') => self.quoted(),
            Some(c) if !is_reserved(c) => {
                let offset = self.position;
                let length = self.rest().find(is_reserved).unwrap_or(self.rest().len());
                let text = self.rest()[..length].to_owned();
                self.position += length;
                Ok(Word { text, offset })
            }
            _ => Err(error(missing, self.position)),
        }
    }

    fn quoted(&mut self) -> Result<Word, MatcherError> {
        let offset = self.position + 1;
        let body = &self.text[offset..];
        let mut escaped = false;
        for (length, c) in body.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let text = go_string::unescape(&body[..length], '"')
                        .map_err(|bad| error(bad.message, offset + bad.offset))?;
                    self.position = offset + length + 1;
                    return Ok(Word { text, offset });
                }
                _ => {}
            }
        }
        Err(error("the quote is never closed", self.position))
    }
}

/// Characters that end a bare word.
fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}
