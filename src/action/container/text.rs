//! Texts from outside, made fit for a log line, a page and a message: bounded and without control characters.

/// Characters kept of a text that an engine or an alert sent us.
const KEPT: usize = 300;
/// Names listed before the rest is only counted.
const LISTED: usize = 10;

/// A text from outside on one line, cut where it gets long.
pub(super) fn bounded(text: &str) -> String {
    let blank = |letter: char| letter.is_whitespace() || letter.is_control();
    let text = text.trim_matches(blank);
    let mut kept: String =
        text.chars().take(KEPT).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if text.chars().nth(KEPT).is_some() {
        kept.push('…');
    }
    kept
}

/// The end of a text from outside on one line, where it gets long.
pub(super) fn ending(text: &str) -> String {
    let blank = |letter: char| letter.is_whitespace() || letter.is_control();
    let text = text.trim_matches(blank);
    let skipped = text.chars().count().saturating_sub(KEPT);
    let kept = text.chars().skip(skipped).map(|letter| if letter.is_control() { ' ' } else { letter });
    if skipped > 0 { std::iter::once('…').chain(kept).collect() } else { kept.collect() }
}

/// Names with commas, the first few of them.
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let mut told: Vec<_> = names.iter().take(LISTED).map(|name| bounded(name.as_ref())).collect();
    if names.len() > LISTED {
        told.push(format!("and {} more", names.len() - LISTED));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded() {
        assert_eq!(bounded(" a\nb\u{7} "), "a b");
        assert_eq!(bounded(&"é".repeat(400)).chars().count(), KEPT + 1);
        assert_eq!(ending(" a\nb\u{7} "), "a b");
        assert_eq!(ending(&format!("{}end", "é".repeat(400))).chars().count(), KEPT + 1);
        assert!(ending(&format!("{}end", "é".repeat(400))).ends_with("éend"));
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert!(listed(&["x"; 12]).ends_with("x, and 2 more"));
    }
}
