//! A label whose values come from outside, kept from growing without end.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Names a label with values from outside may have before new ones count as `other`.
pub(super) const MAX_NAMES: usize = 500;

/// Remembers names from outside, up to a number; any further one is `other`.
#[derive(Debug, Default)]
pub(super) struct NameLimit(Mutex<BTreeSet<String>>);

impl NameLimit {
    /// The name itself while there is room for it.
    pub(super) fn admit<'a>(&self, name: &'a str) -> &'a str {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(name) {
            return name;
        }
        if names.len() >= MAX_NAMES {
            return "other";
        }
        names.insert(name.to_owned());
        name
    }
}
