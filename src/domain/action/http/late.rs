//! What is known only once a job has been started: its number and its key. A rule writes `{{ $job.id }}`; until it is known a mark
//! stands in its place, made of two characters that no alert may bring along.

use serde_json::Value;

use super::super::ActionRenderError;
use crate::domain::template::Template;

const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// The facts by the names rules use.
const NAMES: [&str; 3] = ["id", "key", "queue"];

/// What is known of a job. A text may ask only for what is known where it is used; the reader of rules sees to that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts<'f> {
    /// `$job.key`: what tells this start from every other one.
    pub key: &'f str,
    /// `$job.id`: the job's number or name.
    pub id: &'f str,
    /// `$job.queue`: its number in the queue, where that is another one.
    pub queue: &'f str,
}

/// Whether a character is half of a mark.
pub(super) const fn is_mark(c: char) -> bool {
    matches!(c, OPEN | CLOSE)
}

/// Writes marks in place of `{{ $job.id }}` and its like.
#[must_use]
pub fn write_late(source: &str) -> String {
    let mut written = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{{") {
        let (before, action) = rest.split_at(at);
        written.push_str(before);
        let end = action.find("}}").map_or(action.len(), |end| end + 2);
        let inner = action[..end].trim_start_matches("{{").trim_end_matches("}}").trim();
        let Some(name) = inner.strip_prefix("$job.").filter(|name| NAMES.contains(name)) else {
            written.push_str("{{");
            rest = &action[2..];
            continue;
        };
        written.extend([&OPEN.to_string(), name, &CLOSE.to_string()]);
        rest = &action[end..];
    }
    written.push_str(rest);
    written
}

/// Whether a text with marks asks for anything of a job.
#[must_use]
pub fn mentions_job(text: &str) -> bool {
    text.contains(OPEN)
}

/// Whether a text with marks asks for one fact.
#[must_use]
pub fn mentions_late(text: &str, name: &str) -> bool {
    text.contains(&format!("{OPEN}{name}{CLOSE}"))
}

/// A text with marks as its author wrote it.
#[must_use]
pub fn shown(text: &str) -> String {
    text.replace(OPEN, "{{ $job.").replace(CLOSE, " }}")
}

/// As [`shown`], in every text of a value.
pub(super) fn shown_tree(value: &Value) -> Value {
    each_text(value, &shown)
}

fn each_text(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| each_text(item, change)).collect(),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), each_text(value, change)));
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

/// Refuses an alert that brings marks along.
pub(super) fn refuse_marks(field: &str, text: &Template, rendered: &str) -> Result<(), ActionRenderError> {
    let count = |text: &str| text.chars().filter(|c| is_mark(*c)).count();
    if count(text.source()) == count(rendered) {
        return Ok(());
    }
    let why = "has characters in it that stand for the job's own facts here; texts of alerts are data".to_owned();
    Err(ActionRenderError::Unsafe { field: field.to_owned(), rendered: rendered.to_owned(), why })
}

impl Facts<'_> {
    fn get(&self, name: &str) -> &str {
        match name {
            "id" => self.id,
            "key" => self.key,
            _ => self.queue,
        }
    }

    /// A text with every mark replaced; `change` says how a fact is written there.
    #[must_use]
    pub fn fill(&self, text: &str, change: impl Fn(&str) -> String) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, mark)) = rest.split_once(OPEN) {
            let (name, after) = mark.split_once(CLOSE).unwrap_or((mark, ""));
            filled.push_str(before);
            filled.push_str(&change(self.get(name)));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// As [`Facts::fill`], in every text of a value.
    #[must_use]
    pub fn fill_tree(&self, value: &Value) -> Value {
        each_text(value, &|text: &str| self.fill(text, str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_the_job_take_the_place_their_author_gave_them() {
        let facts = Facts { key: "K", id: "7/8", queue: "" };
        let written = write_late("a-{{ $job.key }}-{{$job.id}}-{{ $labels.x }}-{{ $job.other }}");
        assert_eq!(shown(&written), "a-{{ $job.key }}-{{ $job.id }}-{{ $labels.x }}-{{ $job.other }}");
        assert!(mentions_late(&written, "id") && !mentions_late(&written, "queue"));
        assert!(mentions_job(&written) && !mentions_job(&write_late("a-{{ $labels.x }}")));
        assert_eq!(facts.fill(&written, |fact| fact.replace('/', "%2F")), "a-K-7%2F8-{{ $labels.x }}-{{ $job.other }}");
        assert_eq!(facts.fill_tree(&serde_json::json!({"a": [written, 1]}))["a"][1], 1);
    }
}
