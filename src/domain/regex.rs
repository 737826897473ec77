//! Regular expressions that behave as Go's RE2, compiled by the linear-time `regex` crate.
//!
//! Rule authors know their patterns from Prometheus and Alertmanager, which are Go programs. The two dialects are near
//! enough to look the same and far enough to match differently, so every pattern is first read as Go reads it and
//! written out again for the `regex` crate.

mod class;
mod literals;
mod translate;

use std::borrow::Cow;
use std::sync::Arc;

pub(super) use literals::Needs;
use translate::Translation;

/// How much memory one compiled pattern may take. Hand-written patterns need a few kilobytes.
const SIZE_LIMIT: usize = 4 << 20;

/// A pattern that does not compile, or that Go would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RegexError {
    /// What is wrong.
    pub message: String,
    /// Byte offset into the pattern where it is wrong, when known.
    pub offset: Option<usize>,
}

/// A compiled pattern with Go's meaning.
#[derive(Debug, Clone)]
pub struct Regex {
    source: String,
    program: Program,
    needs: Needs,
}

/// What decides a match. Most patterns in rules are plain words, which need no automaton: that saves the time to
/// compile one and several kilobytes for each rule.
#[derive(Debug, Clone)]
enum Program {
    Contains(String),
    Equals(String),
    /// Shared by all who have the same pattern, and so is the memory it works in.
    Automaton(Arc<::regex::Regex>),
}

impl Regex {
    /// Compiles a pattern that may match anywhere, as the ancestor's label maps do.
    ///
    /// # Errors
    /// What Go refuses, or a pattern above the size limit.
    pub fn search(pattern: &str) -> Result<Self, RegexError> {
        let translation = translate::translate(pattern)?;
        let (program, needs) = match translation.literal {
            Some(literal) => {
                let needs = Needs::one_of(vec![literal.clone()]);
                (Program::Contains(literal), needs)
            }
            None => automaton(&translation.text)?,
        };
        Ok(Self { source: pattern.to_owned(), program, needs })
    }

    /// Compiles a pattern that must match the whole text, as Alertmanager's matchers do (`^(?:…)$`).
    ///
    /// # Errors
    /// What Go refuses, or a pattern above the size limit.
    pub fn anchored(pattern: &str) -> Result<Self, RegexError> {
        let Translation { text, literal, open_quote } = translate::translate(pattern)?;
        if let Some(offset) = open_quote {
            // In Go the quote would swallow the closing half of the anchor.
            return Err(RegexError { message: "\\Q is never closed by \\E".to_owned(), offset: Some(offset) });
        }
        let (program, needs) = match literal {
            Some(literal) => {
                let needs = Needs::Equal(vec![literal.clone()]);
                (Program::Equals(literal), needs)
            }
            None => automaton(&format!("^(?:{text})$"))?,
        };
        Ok(Self { source: pattern.to_owned(), program, needs })
    }

    /// Whether the text matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        match &self.program {
            Program::Contains(literal) => text.contains(literal.as_str()),
            Program::Equals(literal) => text == literal,
            Program::Automaton(regex) => regex.is_match(text),
        }
    }

    /// The pattern as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What a text must be or contain to have a chance to match; lets an index pass over most patterns.
    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }
}

/// Replaces every match of `pattern` in `text`; `$1`, `${1}` and `${name}` in the replacement stand for groups.
///
/// # Errors
/// What Go refuses, or a pattern above the size limit.
pub(super) fn replace_all<'t>(pattern: &str, text: &'t str, replacement: &str) -> Result<Cow<'t, str>, RegexError> {
    let translation = translate::translate(pattern)?;
    Ok(compile(&translation.text)?.replace_all(text, replacement))
}

fn automaton(translated: &str) -> Result<(Program, Needs), RegexError> {
    Ok((Program::Automaton(Arc::new(compile(translated)?)), Needs::of(translated)))
}

/// Compiles what the translator wrote. What it let through fails only when it is too large, or for the few things that
/// Go allows and the `regex` crate has no words for.
fn compile(translated: &str) -> Result<::regex::Regex, RegexError> {
    ::regex::RegexBuilder::new(translated).size_limit(SIZE_LIMIT).build().map_err(|error| {
        let message = match error {
            ::regex::Error::CompiledTooBig(_) => {
                "the pattern is too large once its repetitions are written out".to_owned()
            }
            other => {
                // The crate draws a picture of the translated pattern; only its last line, the reason, fits the original.
                let text = other.to_string();
                let reason = text.lines().last().unwrap_or(&text);
                reason.strip_prefix("error: ").unwrap_or(reason).to_owned()
            }
        };
        RegexError { message, offset: None }
    })
}

#[cfg(test)]
mod tests;
