//! Durations in Go's and Prometheus' notation.

use std::time::Duration;

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration: write for example 90s, 1h30m or 1d")]
pub struct DurationError {
    /// The text.
    pub text: String,
}

/// Parses `90s`, `1h30m`, `1.5h`, `1d`, `2w`, `250ms` or `0`.
///
/// # Errors
/// Anything else.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    Err(DurationError { text: text.to_owned() })
}

/// Writes a duration the way [`parse`] reads it, for people: `1h30m`, `45s`, `250ms`.
#[must_use]
pub fn format(duration: Duration) -> String {
    format!("{duration:?}")
}
