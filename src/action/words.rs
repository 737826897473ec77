//! Texts from outside, made fit to be read in a story: one line, within a bound, without control characters.

use serde_json::Value;

/// Characters of an answer that are shown.
const SHOWN: usize = 300;
/// Characters of the end of an output that are kept.
const TAIL: usize = 500;

/// A text from outside as one bounded line.
pub(super) fn bounded(text: &str) -> String {
    cut(text, SHOWN)
}

/// A text from outside as one line of at most `max` characters.
pub(super) fn cut(text: &str, max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().filter(|c| !c.is_control()).take(max).collect();
    if shown.chars().count() < line.chars().count() { format!("{shown}…") } else { shown }
}

/// What a refusal says, without a full stop at its end, because our own words go on behind it: `detail`, `message` or `error`, or every field's texts, or the text itself. Values may be lists, texts or objects.
pub(super) fn said(body: &Value, text: &str) -> String {
    let mut said = said_whole(body, text);
    if said.ends_with('.') && !said.ends_with("..") {
        said.pop();
    }
    said
}

fn said_whole(body: &Value, text: &str) -> String {
    let texts = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" "),
        other => other.to_string(),
    };
    match body {
        Value::Object(fields) if fields.contains_key("detail") => bounded(&texts(&fields["detail"])),
        Value::Object(fields) if !fields.is_empty() => {
            let parts: Vec<_> = fields.iter().map(|(field, value)| format!("{field}: {}", texts(value))).collect();
            bounded(&parts.join("; "))
        }
        // A proxy's page says nothing the status does not.
        _ if text.trim_start().starts_with('<') => String::new(),
        _ => bounded(text),
    }
}

/// The end of a text within the bound, its lines told apart by a bar, without terminal colours.
pub(super) fn tail(content: &str) -> String {
    let mut plain = String::with_capacity(content.len());
    let mut characters = content.chars();
    while let Some(c) = characters.next() {
        if c == '\u{1b}' {
            // A colour is an escape, a bracket, and digits up to a letter.
            for code in characters.by_ref() {
                if code.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            plain.push(c);
        }
    }
    let words = |line: &str| {
        line.split_whitespace().filter(|word| !word.trim_matches('*').is_empty()).collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<String> = plain.lines().map(words).filter(|line| !line.is_empty()).collect();
    let whole = lines.join(" | ");
    let count = whole.chars().count();
    if count <= TAIL {
        return whole;
    }
    let kept: String = whole.chars().skip(count - TAIL).collect();
    format!("…{kept}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_from_its_end_and_within_a_bound() {
        assert_eq!(tail("\u{1b}[0;31mfatal: x\u{1b}[0m\n\nPLAY RECAP *****\n"), "fatal: x | PLAY RECAP");
        let long = tail(&"y".repeat(2000));
        assert_eq!((long.chars().count(), long.starts_with('…')), (501, true));
    }

    #[test]
    fn refusals_are_read_whatever_their_shape() {
        let said = |text: &str| said(&serde_json::from_str(text).unwrap_or(Value::Null), text);
        assert_eq!(said(r#"{"detail":"no"}"#), "no");
        assert_eq!(said(r#"{"detail":"You may not. Ask somebody."}"#), "You may not. Ask somebody");
        assert_eq!(said(r#"{"detail":"wait..."}"#), "wait...");
        assert_eq!(said(r#"{"limit":["a","b"],"x":{"y":1}}"#), r#"limit: a b; x: {"y":1}"#);
        assert_eq!(said("<html>proxy</html>"), "");
        assert_eq!(said("plain\nwords"), "plain words");
    }
}
