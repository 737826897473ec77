//! Alertmanager's matchers: `name="value"`, `!=`, `=~`, `!~`.
//!
//! Alertmanager has two parsers, the classic one and a stricter one for UTF-8 names, and by default asks both: where they
//! disagree or only the classic one succeeds, the classic reading holds, so that old configurations keep their meaning.

mod classic;
mod utf8;

use std::fmt;

use super::alert::Labels;
use super::regex::{Regex, RegexError};

/// How a matcher compares.
#[derive(Debug, Clone)]
pub enum Comparison {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, anchored.
    Matches(Regex),
    /// `!~`, anchored.
    DoesNotMatch(Regex),
}

/// One matcher. A missing label equals the empty text.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Label name.
    pub name: String,
    /// Comparison with the label's value.
    pub comparison: Comparison,
}

/// The text is no matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MatcherError {
    /// What is wrong.
    pub message: String,
    /// Byte offset in the text where it is wrong.
    pub offset: usize,
}

impl Matcher {
    /// Parses one matcher in Alertmanager's syntax, UTF-8 with fallback to classic.
    ///
    /// # Errors
    /// What Alertmanager refuses where one matcher is expected, braces included, and an empty label name.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        if text.starts_with('{') {
            return Err(error("one matcher stands without braces", 0));
        }
        if text.ends_with('}') {
            return Err(error("one matcher stands without braces", text.len() - 1));
        }
        let strict = utf8::parse(text).and_then(|mut matchers| match matchers.len() {
            1 => Ok(matchers.remove(0)),
            0 => Err(error("a matcher is missing", 0)),
            found => Err(error(format!("one matcher is expected here, not {found}"), 0)),
        });
        choose(strict, classic::matcher(text, 0)).and_then(|raw| raw.compile(text))
    }

    /// Parses a list of matchers with or without braces, as the entries of Alertmanager's `matchers:` and its API's
    /// filters may hold them; the empty list is legal.
    ///
    /// # Errors
    /// What Alertmanager refuses, and an empty label name.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, MatcherError> {
        choose(utf8::parse(text), classic::list(text))?.into_iter().map(|raw| raw.compile(text)).collect()
    }

    /// Whether a label set satisfies the matcher.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        match &self.comparison {
            Comparison::Equal(expected) => value == expected,
            Comparison::NotEqual(unexpected) => value != unexpected,
            Comparison::Matches(regex) => regex.is_match(value),
            Comparison::DoesNotMatch(regex) => !regex.is_match(value),
        }
    }
}

/// Written so that [`Matcher::parse`], Alertmanager and Prometheus read it as the same matcher again.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, value) = match &self.comparison {
            Comparison::Equal(value) => ("=", value.as_str()),
            Comparison::NotEqual(value) => ("!=", value.as_str()),
            Comparison::Matches(regex) => ("=~", regex.source()),
            Comparison::DoesNotMatch(regex) => ("!~", regex.source()),
        };
        if classic::is_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write_quoted(f, &self.name)?;
        }
        f.write_str(sign)?;
        write_quoted(f, value)
    }
}

/// Only the escapes that both parsers know.
fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    write!(f, "\"{escaped}\"")
}

/// The four operators.
#[derive(Debug, Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    Matches,
    DoesNotMatch,
}

impl Operator {
    /// The operator at the start of a text, with its length.
    fn at_start_of(text: &str) -> Option<(Self, usize)> {
        // The longer `=~` comes before `=`.
        [("=~", Self::Matches), ("!~", Self::DoesNotMatch), ("!=", Self::NotEqual), ("=", Self::Equal)]
            .into_iter()
            .find(|(sign, _)| text.starts_with(sign))
            .map(|(sign, operator)| (operator, sign.len()))
    }
}

/// A matcher as one of the parsers read it. The offsets tell where it stands, not what it means.
#[derive(Debug, Clone)]
struct RawMatcher {
    name: String,
    operator: Operator,
    value: String,
    /// Where the name begins in the text.
    name_offset: usize,
    /// Where the value begins in the text, behind its opening quote.
    value_offset: usize,
}

impl RawMatcher {
    fn compile(self, text: &str) -> Result<Matcher, MatcherError> {
        let Self { name, operator, value, name_offset, value_offset } = self;
        if name.is_empty() {
            // Alertmanager would take it for a label that no alert has.
            return Err(error("the label name is empty", name_offset));
        }
        let regex = |value: &str| {
            Regex::anchored(value).map_err(|RegexError { message, offset }| {
                // Only a value without escapes has the pattern's offsets in the text.
                let verbatim = text[value_offset..].starts_with(value);
                let within = offset.filter(|_| verbatim).unwrap_or(0);
                error(format!("bad regular expression: {message}"), value_offset + within)
            })
        };
        let comparison = match operator {
            Operator::Equal => Comparison::Equal(value),
            Operator::NotEqual => Comparison::NotEqual(value),
            Operator::Matches => Comparison::Matches(regex(&value)?),
            Operator::DoesNotMatch => Comparison::DoesNotMatch(regex(&value)?),
        };
        Ok(Matcher { name, comparison })
    }
}

/// Alertmanager's fallback rule. When both parsers refuse, the one that came further has the better explanation.
fn choose<T>(strict: Result<T, MatcherError>, classic: Result<T, MatcherError>) -> Result<T, MatcherError> {
    match (strict, classic) {
        (_, Ok(matcher)) | (Ok(matcher), Err(_)) => Ok(matcher),
        (Err(strict), Err(classic)) => Err(if strict.offset > classic.offset { strict } else { classic }),
    }
}

fn error(message: impl Into<String>, offset: usize) -> MatcherError {
    MatcherError { message: message.into(), offset }
}

#[cfg(test)]
mod tests;
