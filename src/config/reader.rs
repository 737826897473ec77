//! Takes values out of YAML nodes. Every misfit is written down with its place and reading goes on, so that one run
//! shows all of them. Mappings and lists are here, `scalars` has the rest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics, Place, Severity, SourceFile};
use super::patterns::Patterns;
use super::sources::Sources;
use super::suggest;
use super::yaml::{Kind, Node};
use crate::secret::Secrets;

/// Which keys a mapping may have.
pub(super) struct Schema {
    /// What the mapping is, with its article: `a rule`.
    pub what: &'static str,
    /// Keys that mean something.
    pub keys: &'static [&'static str],
    /// Keys of the language that this version cannot serve: refused by name, because ignoring them would change what
    /// a rule does.
    pub unsupported: &'static [&'static str],
    /// Whether a key without a value is an error. It is wherever leaving a condition out widens what is touched.
    pub strict: bool,
}

/// The entries of a mapping that passed its [`Schema`], merged (`<<`) and without repetitions.
pub(super) struct Mapping<'n> {
    pub span: &'n Range<usize>,
    strict: bool,
    entries: Vec<(&'n str, &'n Range<usize>, &'n Node)>,
    /// Where each key stands in `entries`, once there are many.
    positions: HashMap<&'n str, usize>,
}

impl<'n> Mapping<'n> {
    /// Up to so many entries are looked through; nearly all mappings have fewer.
    const MANY: usize = 32;

    fn new(span: &'n Range<usize>, capacity: usize) -> Self {
        Self { span, strict: false, entries: Vec::with_capacity(capacity), positions: HashMap::new() }
    }

    fn add(&mut self, entry: (&'n str, &'n Range<usize>, &'n Node)) {
        self.entries.push(entry);
        if self.entries.len() > Self::MANY {
            let unknown = self.entries.iter().enumerate().skip(self.positions.len());
            self.positions.extend(unknown.map(|(position, (key, _, _))| (*key, position)));
        }
    }

    /// The value of a key that is there and has one.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.iter().find(|(name, _, _)| *name == key).map(|(_, _, value)| value)
    }

    /// Where a key stands.
    pub fn key_span(&self, key: &str) -> Option<&'n Range<usize>> {
        let position = if self.entries.len() > Self::MANY {
            self.positions.get(key).copied()
        } else {
            self.entries.iter().position(|(name, _, _)| *name == key)
        };
        position.map(|position| self.entries[position].1)
    }

    /// All keys, also those without a value.
    pub fn keys(&self) -> impl Iterator<Item = &'n str> {
        self.entries.iter().map(|(key, _, _)| *key)
    }

    /// All keys with their values, also with none.
    pub fn all(&self) -> impl Iterator<Item = (&'n str, &'n Node)> {
        self.entries.iter().map(|(key, _, value)| (*key, *value))
    }

    /// Keys with a value, their places and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'n str, &'n Range<usize>, &'n Node)> {
        self.entries.iter().copied().filter(|(_, _, value)| !matches!(value.kind, Kind::Nothing))
    }
}

/// Reads one file.
pub(super) struct Reader<'a> {
    pub file: &'a Arc<SourceFile>,
    /// `None` when the secrets themselves could not be read, which is an error of its own.
    pub secrets: Option<&'a Secrets>,
    pub problems: &'a RefCell<Diagnostics>,
    /// Where files named by values are noted.
    pub sources: &'a RefCell<Sources>,
    /// The patterns in it.
    pub patterns: Patterns,
}

impl<'a> Reader<'a> {
    /// Reads `file`, and writes down in `problems` and `sources` what is found.
    pub fn new(
        file: &'a Arc<SourceFile>,
        secrets: Option<&'a Secrets>,
        problems: &'a RefCell<Diagnostics>,
        sources: &'a RefCell<Sources>,
    ) -> Self {
        Self { file, secrets, problems, sources, patterns: Patterns::default() }
    }
}

impl Reader<'_> {
    /// Writes down an error.
    pub fn error(&self, span: &Range<usize>, message: impl Into<String>, label: impl Into<String>) {
        self.note(Severity::Error, span, message.into(), label.into(), None);
    }

    /// Writes down an error and what to do about it.
    pub fn error_with_help(
        &self,
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        self.note(Severity::Error, span, message.into(), label.into(), help);
    }

    /// Writes down a warning.
    pub fn warning(&self, span: &Range<usize>, message: impl Into<String>, label: impl Into<String>) {
        self.note(Severity::Warning, span, message.into(), label.into(), None);
    }

    /// Writes down a warning and what to do about it.
    pub fn warning_with_help(
        &self,
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: String,
    ) {
        self.note(Severity::Warning, span, message.into(), label.into(), Some(help));
    }

    /// Writes down a problem with its own place.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.problems.borrow_mut().push(diagnostic);
    }

    fn note(&self, severity: Severity, span: &Range<usize>, message: String, label: String, help: Option<String>) {
        let place = Some(self.place(span));
        self.problems.borrow_mut().push(Diagnostic { severity, code: None, place, message, label, help });
    }

    /// A place in this file.
    pub fn place(&self, span: &Range<usize>) -> Place {
        Place::new(self.file, span)
    }

    /// How many errors there are so far, to tell whether reading something added any.
    pub fn error_count(&self) -> usize {
        self.problems.borrow().count(Severity::Error)
    }

    /// Writes down that a value is of another type than it must be.
    pub fn misfit(&self, node: &Node, expected: &str) {
        self.error(
            &node.span,
            format!("expected {expected}, found {}", node.describe()),
            format!("expected {expected}"),
        );
    }

    /// A mapping with no other keys than its schema's.
    pub fn mapping<'n>(&self, node: &'n Node, schema: &Schema) -> Option<Mapping<'n>> {
        let mapping = Mapping { strict: schema.strict, ..self.any_mapping(node, schema.what)? };
        for (key, span, value) in &mapping.entries {
            if schema.unsupported.contains(key) {
                self.error(
                    span,
                    format!("`{key}` is not supported by this version"),
                    "leaving it out silently would change what happens",
                );
            } else if !schema.keys.contains(key) {
                self.error_with_help(
                    span,
                    format!("unknown key `{key}` in {}", schema.what),
                    "unknown key",
                    Some(suggest::help(key, schema.keys.iter().chain(schema.unsupported).copied(), "known keys")),
                );
            } else if schema.strict && matches!(value.kind, Kind::Nothing) {
                self.error(span, format!("`{key}` has no value"), "give it a value or remove the key");
            }
        }
        Some(mapping)
    }

    /// A mapping with any keys.
    pub fn any_mapping<'n>(&self, node: &'n Node, what: &str) -> Option<Mapping<'n>> {
        if !matches!(node.kind, Kind::Map(_)) {
            self.misfit(node, &format!("{what} (a mapping)"));
            return None;
        }
        let mut mapping = Mapping::new(&node.span, node.len());
        for entry in node.entries().iter().filter(|entry| entry.key != "<<") {
            if let Some(first) = mapping.key_span(&entry.key) {
                let message = format!("key `{}` stands here twice", entry.key);
                let help = format!("the first one is at {}", self.place(first));
                self.error_with_help(&entry.key_span, message, "repeated key", Some(help));
            } else {
                mapping.add((&entry.key, &entry.key_span, &entry.value));
            }
        }
        // What stands in the mapping itself wins over what is merged in, and earlier merges over later ones.
        for merge in node.entries().iter().filter(|entry| entry.key == "<<") {
            let sources = match &merge.value.kind {
                Kind::List(items) => items.as_slice(),
                _ => std::slice::from_ref(&merge.value),
            };
            for source in sources {
                let merged = self.any_mapping(source, "what `<<` merges in").map_or_else(Vec::new, |m| m.entries);
                for entry in merged {
                    if mapping.key_span(entry.0).is_none() {
                        mapping.add(entry);
                    }
                }
            }
        }
        Some(mapping)
    }

    /// The value of a key that must be there.
    pub fn require<'n>(&self, mapping: &Mapping<'n>, key: &str, what: &str) -> Option<&'n Node> {
        let (found, span) = (mapping.get(key), mapping.key_span(key));
        // A strict mapping has reported its keys without a value.
        if found.is_none() && !(mapping.strict && span.is_some()) {
            let span = span.unwrap_or(mapping.span);
            self.error(span, format!("{what} needs `{key}`"), format!("`{key}` is missing"));
        }
        found
    }

    /// A list.
    pub fn list<'n>(&self, node: &'n Node, what: &str) -> &'n [Node] {
        if let Kind::List(items) = &node.kind {
            return items;
        }
        self.misfit(node, &format!("a list of {what}"));
        &[]
    }

    /// A list, or one item that stands for a list of one.
    pub fn list_or_one<'n>(&self, node: &'n Node, what: &str) -> &'n [Node] {
        if let Kind::List(items) = &node.kind {
            return items;
        }
        if node.written.is_empty() {
            self.misfit(node, &format!("a {what} or a list of them"));
            return &[];
        }
        std::slice::from_ref(node)
    }
}
