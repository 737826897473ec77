//! The small change of sentences: durations, counts, a person's own words.

use std::fmt;
use std::time::Duration;

/// A person's words behind a colon, if there are any.
pub(super) struct Because<'a>(pub &'a str);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// What a person wants to know of a duration: whole seconds from ten seconds on, tenths below.
pub(super) fn rounded(duration: Duration) -> Duration {
    let unit_millis = if duration >= Duration::from_secs(10) { 1000 } else { 100 };
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let rounded = millis.saturating_add(unit_millis / 2) / unit_millis * unit_millis;
    // A wait below the unit is told exactly rather than as nothing.
    Duration::from_millis(if rounded == 0 { millis } else { rounded })
}

pub(super) fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
