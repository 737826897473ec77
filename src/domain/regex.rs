//! Regular expressions that behave as Go's RE2, compiled by the linear-time `regex` crate.

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
    compiled: ::regex::Regex,
}

impl Regex {
    /// Compiles a pattern that may match anywhere, as the ancestor's label maps do.
    ///
    /// # Errors
    /// What Go refuses, or a pattern above the size limit.
    pub fn search(pattern: &str) -> Result<Self, RegexError> {
        let compiled =
            ::regex::Regex::new(pattern).map_err(|error| RegexError { message: error.to_string(), offset: None })?;
        Ok(Self { source: pattern.to_owned(), compiled })
    }

    /// Compiles a pattern that must match the whole text, as Alertmanager's matchers do (`^(?:…)$`).
    ///
    /// # Errors
    /// What Go refuses, or a pattern above the size limit.
    pub fn anchored(pattern: &str) -> Result<Self, RegexError> {
        Self::search(pattern)?;
        let compiled = ::regex::Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| RegexError { message: error.to_string(), offset: None })?;
        Ok(Self { source: pattern.to_owned(), compiled })
    }

    /// Whether the text matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// The pattern as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}
