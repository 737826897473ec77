//! Which files and directories a configuration was read from, and how they looked just before.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::stamp::Stamp;

/// Everything that was read or missed while loading. A reload would find the same as long as all of it looks the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<PathBuf, Stamp>);

impl Sources {
    /// Notes a path, before it is read: a change in between is then seen as one. The first look counts.
    pub(super) fn note(&mut self, path: PathBuf) {
        self.0.entry(path).or_insert_with_key(|path| Stamp::of(path));
    }

    /// Adds what was noted elsewhere; here, too, the first look counts.
    pub(super) fn extend(&mut self, others: Self) {
        for (path, stamp) in others.0 {
            self.0.entry(path).or_insert(stamp);
        }
    }

    /// The same paths as they look now. Blocks for as long as the file system does.
    #[must_use]
    pub fn look_again(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), Stamp::of(path))).collect())
    }
}
