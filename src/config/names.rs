//! Names that must be unique across files.

use std::collections::BTreeMap;

use super::diagnostic::{Diagnostic, Place};
use super::reader::Reader;
use super::suggest;
use super::yaml::Node;

/// The names of one kind of thing and where each was given.
#[derive(Debug)]
pub(super) struct Names {
    /// `receiver`, `docker host`, `rule`.
    kind: &'static str,
    /// `None` for a name that no file gave.
    given: BTreeMap<String, Option<Place>>,
    /// Some names are out of sight, so that none can be called unknown.
    incomplete: bool,
}

impl Names {
    /// No names yet.
    pub fn new(kind: &'static str) -> Self {
        Self { kind, given: BTreeMap::new(), incomplete: false }
    }

    /// Adds a name that no file gives.
    pub fn add(&mut self, name: &str) {
        self.given.insert(name.to_owned(), None);
    }

    /// Takes every name as known from now on, because a file that may give it cannot be read.
    pub fn mark_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Whether some names are out of sight.
    pub const fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Whether a name may be meant: it is known, or some are out of sight.
    pub fn may_be(&self, name: &str) -> bool {
        self.incomplete || self.given.contains_key(name)
    }

    /// What to do about a name that is not known.
    pub fn help(&self, name: &str) -> String {
        suggest::help(name, self.given.keys().map(String::as_str), &format!("known {}s", self.kind))
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// The name, when there is exactly one.
    pub fn only(&self) -> Option<&str> {
        if self.given.len() == 1 { self.given.keys().next().map(String::as_str) } else { None }
    }

    /// Takes a name from a file; refuses an empty one and one that is taken.
    pub fn claim(&mut self, reader: &Reader<'_>, node: &Node) -> Option<String> {
        let name = reader.word(node, &format!("the name of a {}", self.kind))?;
        self.take(name, reader.place(&node.span)).map_err(|problem| reader.push(problem)).ok()?;
        Some(name.to_owned())
    }

    /// Takes a name that stands at `place`.
    ///
    /// # Errors
    /// It is taken already.
    pub fn take(&mut self, name: &str, place: Place) -> Result<(), Diagnostic> {
        if let Some(first) = self.given.get(name) {
            let help = first.as_ref().map(|place| format!("the first one is at {place}"));
            let error = Diagnostic::error(format!("two {}s are named `{name}`", self.kind));
            return Err(Diagnostic { place: Some(place), label: "this name is taken".to_owned(), help, ..error });
        }
        self.given.insert(name.to_owned(), Some(place));
        Ok(())
    }

    /// A list of names that all must have been given.
    pub fn known_list(&self, reader: &Reader<'_>, node: &Node) -> Vec<String> {
        let names = reader.list(node, &format!("{} names", self.kind));
        names.iter().filter_map(|name| self.known(reader, name)).collect()
    }

    /// A name that must have been given.
    pub fn known(&self, reader: &Reader<'_>, node: &Node) -> Option<String> {
        let name = reader.word(node, &format!("the name of a {}", self.kind))?;
        if self.may_be(name) {
            return Some(name.to_owned());
        }
        let message = format!("there is no {} `{name}`", self.kind);
        reader.error_with_help(&node.span, message, format!("unknown {}", self.kind), Some(self.help(name)));
        None
    }
}
