//! Takes texts, numbers, durations and secrets out of YAML nodes, for the [`Reader`].

use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::reader::Reader;
use super::reference::{self, ReferenceError};
use super::yaml::{Kind, Node};
use super::{spot, suggest};
use crate::domain::duration;
use crate::secret::Secret;

impl Reader<'_> {
    /// A text as it is written; numbers and booleans count by their text. References to secrets are refused; `$${` stands
    /// for `${`.
    pub fn plain<'n>(&self, node: &'n Node) -> Option<&'n str> {
        let text = self.verbatim(node)?;
        if let Some(reference) = reference::find(text) {
            let help = format!(
                "rules, names and numbers are logged and shown; secrets belong into receivers and connections; write ${0} for the text {0}",
                &text[reference.clone()]
            );
            self.error_with_help(
                &self.spot(node, text, &reference),
                "a reference to a secret is not allowed here",
                "taken as it stands, never replaced",
                Some(help),
            );
            return None;
        }
        Some(node.literal())
    }

    /// A text as it is written, where nothing is ever replaced and what looks like a reference may stand: labels of alerts.
    pub fn verbatim<'n>(&self, node: &'n Node) -> Option<&'n str> {
        if matches!(node.kind, Kind::Nothing | Kind::List(_) | Kind::Map(_)) {
            self.misfit(node, "a text");
            return None;
        }
        Some(&node.written)
    }

    /// A text that must say something.
    pub fn word<'n>(&self, node: &'n Node, what: &str) -> Option<&'n str> {
        let text = self.plain(node)?;
        if text.trim().is_empty() {
            self.error(&node.span, format!("{what} is empty"), "must say something");
            return None;
        }
        Some(text)
    }

    /// A text whose `${NAME}` references are replaced by secrets. Do not show it: it may hold one.
    pub fn text(&self, node: &Node) -> Option<String> {
        if matches!(node.kind, Kind::Nothing | Kind::List(_) | Kind::Map(_)) {
            self.misfit(node, "a text");
            return None;
        }
        let Some(secrets) = self.secrets else {
            // That the secrets could not be read is reported once, not again by everything that refers to them.
            return if node.written.contains("${") { None } else { Some(node.written.clone()) };
        };
        match reference::resolve(&node.written, secrets) {
            Ok(text) => Some(text),
            Err(errors) => {
                for ReferenceError { span, message, help } in errors {
                    let place = self.spot(node, &node.written, &span);
                    self.error_with_help(&place, message, "not resolved", help);
                }
                None
            }
        }
    }

    /// A value that must not be empty and should not be shown.
    pub fn filled(&self, node: &Node) -> Option<Secret> {
        let text = self.text(node)?;
        if text.is_empty() {
            self.error(&node.span, "this value is empty", "must not be empty");
            return None;
        }
        Some(Secret::new(text))
    }

    /// A secret: not empty, and meant to be a reference.
    pub fn secret(&self, node: &Node) -> Option<Secret> {
        let secret = self.filled(node)?;
        if !node.written.contains("${") {
            self.warning(&node.span, "a secret is written into the configuration", "use ${NAME} and the secrets file");
        }
        Some(secret)
    }

    /// `true` or `false`.
    pub fn boolean(&self, node: &Node) -> Option<bool> {
        if let Kind::Bool(value) = node.kind {
            return Some(value);
        }
        self.misfit(node, "true or false");
        None
    }

    /// A whole number within a range.
    pub fn integer<T: TryFrom<i64>>(&self, node: &Node, range: &RangeInclusive<i64>) -> Option<T> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let Kind::Integer(value) = node.kind else {
            self.misfit(node, &expected);
            return None;
        };
        let fitting = if range.contains(&value) { T::try_from(value).ok() } else { None };
        if fitting.is_none() {
            self.error(&node.span, "this number is out of range", format!("expected {expected}"));
        }
        fitting
    }

    /// A number that may have a fraction.
    #[expect(clippy::cast_precision_loss, reason = "numbers here are small factors")]
    pub fn number(&self, node: &Node) -> Option<f64> {
        match node.kind {
            Kind::Integer(value) => Some(value as f64),
            Kind::Float(value) if value.is_finite() => Some(value),
            _ => {
                self.misfit(node, "a number");
                None
            }
        }
    }

    /// A duration within a range.
    pub fn duration(&self, node: &Node, range: RangeInclusive<Duration>) -> Option<Duration> {
        if matches!(node.kind, Kind::Nothing | Kind::Bool(_) | Kind::List(_) | Kind::Map(_)) {
            self.misfit(node, "a duration such as 90s, 1h30m or 1d");
            return None;
        }
        match duration::parse(self.plain(node)?) {
            Ok(value) if range.contains(&value) => Some(value),
            Ok(_) => {
                let (shortest, longest) = (duration::format(*range.start()), duration::format(*range.end()));
                let label = format!("expected {shortest} to {longest}");
                self.error(&node.span, "this duration is out of range", label);
                None
            }
            Err(error) => {
                self.error(&node.span, error.to_string(), "expected a duration such as 90s, 1h30m or 1d");
                None
            }
        }
    }

    /// Anything that is parsed from a text without looking at secrets.
    pub fn parsed<T: FromStr>(&self, node: &Node, expected: &str) -> Option<T> {
        let parsed = self.text(node)?.parse().ok();
        if parsed.is_none() {
            // The text may hold a secret; the drawn line shows only the reference.
            self.error(&node.span, format!("this is not {expected}"), format!("expected {expected}"));
        }
        parsed
    }

    /// A file that exists, relative to this file's directory.
    pub fn existing_file(&self, node: &Node) -> Option<PathBuf> {
        let path = self.file.path().parent().unwrap_or(Path::new("")).join(self.text(node)?);
        self.sources.borrow_mut().note(path.clone());
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Some(path),
            Ok(_) => {
                self.error(&node.span, "this path is not a file", "expected a file");
                None
            }
            Err(error) => {
                self.error(&node.span, format!("this file cannot be read: {error}"), "expected a readable file");
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<'n>(&self, node: &'n Node, words: &[&str]) -> Option<&'n str> {
        let text = self.plain(node)?;
        if words.contains(&text) {
            return Some(text);
        }
        let expected = words.join(" or ");
        let help = suggest::guess(text, words.iter().copied());
        self.error_with_help(&node.span, format!("expected {expected}, found {text:?}"), "unknown word", help);
        None
    }

    /// The exact place of a part of a scalar that is taken as it stands; else the whole scalar.
    pub fn within(&self, node: &Node, offset: usize, length: usize) -> Range<usize> {
        self.spot(node, node.literal(), &(offset..offset + length))
    }

    /// The place of a part of what the scalar says.
    fn spot(&self, node: &Node, said: &str, part: &Range<usize>) -> Range<usize> {
        let Range { start, end } = node.span;
        let source = self.file.text().get(start..end).unwrap_or_default();
        let found = spot::find(source, said, part);
        found.map_or_else(|| node.span.clone(), |found| start + found.start..start + found.end)
    }
}
