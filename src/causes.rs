//! An error told with everything behind it, because libraries put the cause into the source.

use std::error::Error;

/// The error and what led to it, as one text.
#[must_use]
pub fn told(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        // Some libraries repeat the cause in their own words.
        if !told.contains(&words) {
            told = format!("{told}: {words}");
        }
        source = inner.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn every_cause_is_told_once() {
        let cause = Layer("connection refused", None);
        let repeated = Layer("connect: connection refused", Some(Box::new(cause)));
        let error = Layer("error sending request", Some(Box::new(repeated)));
        assert_eq!(told(&error), "error sending request: connect: connection refused");
    }
}
