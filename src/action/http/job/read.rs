//! What stands in a runner's answers. Pure; whatever is missing or of another shape is simply not there.

use serde_json::Value;

use crate::action::http::client::Answer;
use crate::action::words::{bounded, cut};
use crate::domain::action::http::{Output, Pick, Poll, Word};

/// Characters of a number or a name that a server gives a job.
const MAX_ID: usize = 200;
/// Characters of a server's word that are shown.
const MAX_WORD: usize = 60;
/// Entries of an output that are looked at, from its end.
const LINES: usize = 50;

/// A text, a number or a truth as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn at(body: &Value, pointer: &str) -> Option<String> {
    text(body.pointer(pointer)?)
}

/// What could be a job's number and leads nowhere else when it is put into an address.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let is_one = !text.is_empty()
        && !matches!(text, "." | "..")
        && text.chars().count() <= MAX_ID
        && !text.chars().any(char::is_control);
    is_one.then(|| text.to_owned())
}

/// The number at a place in an answer.
pub(super) fn number_at(body: &Value, pointer: &str) -> Option<String> {
    number(&at(body, pointer)?)
}

/// The number that the answer to a start gives.
pub(super) fn picked(answer: &Answer, pick: &Pick) -> Option<String> {
    match pick {
        Pick::Body(pointer) => number_at(&answer.json, pointer),
        Pick::Header(name) => {
            let value = answer.headers.get(name.as_str())?.to_str().ok()?;
            let path = value.split(['?', '#']).next().unwrap_or_default();
            number(path.trim_end_matches('/').rsplit('/').next()?)
        }
    }
}

/// What a server says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// Its word.
    pub said: String,
    /// What that means; `None` for a word that nobody knows.
    pub word: Option<Word>,
}

/// The state that an answer tells; `None` when it tells none.
pub(super) fn state(body: &Value, poll: &Poll<String>) -> Option<State> {
    let words: Vec<String> = poll.state.iter().filter_map(|pointer| at(body, pointer)).collect();
    let known = words.iter().find_map(|said| Some((said, *poll.words.get(said)?)));
    match known {
        Some((said, word)) => Some(State { said: cut(said, MAX_WORD), word: Some(word) }),
        None => Some(State { said: cut(words.first()?, MAX_WORD), word: None }),
    }
}

/// What an answer says for people at a place.
pub(super) fn message(body: &Value, pointer: Option<&String>) -> Option<String> {
    pointer.and_then(|pointer| at(body, pointer)).map(|text| bounded(&text)).filter(|text| !text.is_empty())
}

/// The address of a page for people.
pub(super) fn page(body: &Value, pointer: Option<&String>) -> Option<String> {
    let page = message(body, pointer)?;
    (page.starts_with("http://") || page.starts_with("https://")).then_some(page)
}

/// Whether something at a place is true.
pub(super) fn is_true(body: &Value, pointer: Option<&String>) -> bool {
    pointer.is_some_and(|pointer| body.pointer(pointer) == Some(&Value::Bool(true)))
}

/// The entries of a list.
pub(super) fn items<'b>(body: &'b Value, pointer: &str) -> &'b [Value] {
    body.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether a key stands in any text of a value.
pub(super) fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::String(text) => text.contains(key),
        Value::Array(items) => items.iter().any(|item| has_key(item, key)),
        Value::Object(entries) => entries.values().any(|value| has_key(value, key)),
        _ => false,
    }
}

/// What a job wrote, as far as an answer tells.
pub(super) fn output(answer: &Answer, output: &Output<String>) -> String {
    let Some(lines) = &output.lines else { return answer.text.clone() };
    let line = |entry: &Value| {
        let parts: Vec<_> = match output.text.as_slice() {
            [] => text(entry).into_iter().collect(),
            pointers => pointers.iter().filter_map(|pointer| at(entry, pointer)).collect(),
        };
        parts.join(" ")
    };
    match answer.json.pointer(lines) {
        Some(Value::Array(entries)) => {
            let begin = entries.len().saturating_sub(LINES);
            entries[begin..].iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Some(other) => text(other).unwrap_or_default(),
        None => String::new(),
    }
}
