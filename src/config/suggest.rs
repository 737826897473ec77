//! The nearest known name to a mistyped one.

/// The nearest of `known` that a slip of the pen explains.
fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.chars().count().min(written.chars().count()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The question whether the nearest of `known` was meant, where a slip of the pen explains what was written.
pub(super) fn guess<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(written, known).map(|near| format!("did you mean `{near}`?"))
}

/// What to do about an unknown name: the nearest known one, or all of them.
pub(super) fn help<'k>(written: &str, known: impl IntoIterator<Item = &'k str>, all: &str) -> String {
    let known: Vec<_> = known.into_iter().collect();
    guess(written, known.iter().copied()).unwrap_or_else(|| match &known[..] {
        [] => format!("{all}: none"),
        known => format!("{all}: {}", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_another_word_does_not() {
        let known = ["receivers", "labels", "continue", "for", "mode"];
        for (written, near) in [
            ("reciever", Some("receivers")),
            ("Labels", Some("labels")),
            ("lables", Some("labels")),
            ("fro", Some("for")),
            ("matchers", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known), near, "{written:?}");
        }
        assert_eq!(help("x", [], "known hosts"), "known hosts: none");
    }
}
