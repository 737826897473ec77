//! Alertmanager's matchers: `name="value"`, `!=`, `=~`, `!~`.

use super::alert::Labels;
use super::regex::Regex;

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
    /// What Alertmanager refuses.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        Err(MatcherError { message: format!("bad matcher {text:?}"), offset: 0 })
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
