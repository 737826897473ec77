//! A connection with what the work on it needs besides, and the small change of talking to `SQLite`.

use std::cell::RefCell;
use std::fmt::Display;

use jiff::Timestamp;
use rusqlite::{Connection, Params};
use serde::Serialize;
use uuid::{ContextV7, Uuid};

use super::hints::Hints;
use super::open::LockedFile;
use super::open_heals::OpenHeals;
use crate::domain::alert::Fingerprint;
use crate::domain::heal::Heal;
use crate::store::{DecideFn, StoreError};

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.to_string())
    }
}

/// Room for documents that is kept; few are larger.
const LARGEST_PAPER: usize = 64 * 1024;

/// What a job works with. It lives on one thread.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) decide: DecideFn,
    /// Names this process in leases.
    pub(super) owner: Uuid,
    /// Where the episodes of each alert are. Only the writer's hints are filled; nobody else asks for what they find.
    pub(super) episodes: Hints<Fingerprint>,
    pub(super) open: OpenHeals,
    ids: ContextV7,
    /// Where documents are written down, always the same place: they are too large for an allocator's short way.
    paper: RefCell<Vec<u8>>,
    /// Declared after the connection, because fields are dropped in order and the lock must go last.
    _lock: Option<LockedFile>,
}

impl Session {
    pub(super) fn new(connection: Connection, decide: DecideFn, owner: Uuid, lock: Option<LockedFile>) -> Self {
        let (episodes, open) = (Hints::default(), OpenHeals::default());
        let (ids, paper) = (ContextV7::new(), RefCell::default());
        Self { connection, decide, owner, episodes, open, ids, paper, _lock: lock }
    }

    /// A new identity, later than every one this session gave out before for the same time.
    pub(super) fn fresh_id(&self, now: Timestamp) -> Uuid {
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
        Uuid::new_v7(uuid::Timestamp::from_unix(&self.ids, seconds, nanos))
    }

    /// Runs one statement, parsed once per connection; answers how many rows it changed.
    pub(super) fn execute(&self, sql: &str, values: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(values)
    }

    /// Hands a value over as JSON text.
    pub(super) fn written<T>(
        &self,
        value: &impl Serialize,
        hand_over: impl FnOnce(&str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut paper = self.paper.borrow_mut();
        paper.clear();
        paper.shrink_to(LARGEST_PAPER);
        serde_json::to_writer(&mut *paper, value).map_err(|error| not_storable(&error))?;
        hand_over(str::from_utf8(&paper).map_err(|error| not_storable(&error))?)
    }

    /// Runs `work` so that nothing of it stays when it fails, and whatever was written before it does.
    pub(super) fn apart<T>(&self, work: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.execute("SAVEPOINT apart", [])?;
        let outcome = work(self);
        // Some errors, such as a full disk, make SQLite give up the whole transaction and all savepoints with it.
        if outcome.is_err() && !self.gave_up() {
            self.execute("ROLLBACK TO apart", [])?;
        }
        if !self.gave_up() {
            self.execute("RELEASE apart", [])?;
        }
        outcome
    }

    /// Whether there is no transaction (any more).
    pub(super) fn gave_up(&self) -> bool {
        self.connection.is_autocommit()
    }
}

/// A time as the store keeps it, rounded down.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(i64::MAX)
}

/// A time as the store keeps it, rounded up: nothing is handed out before it is due.
pub(super) fn millis_up(at: Timestamp) -> i64 {
    let millis = millis(at);
    if at.as_nanosecond().rem_euclid(1_000_000) == 0 { millis } else { millis.saturating_add(1) }
}

/// A time out of the store.
pub(super) fn timestamp(millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millis).map_err(|error| unreadable("time", &error))
}

/// A value as JSON text.
pub(super) fn encode(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| not_storable(&error))
}

fn not_storable(error: &dyn Display) -> StoreError {
    StoreError::Database(format!("a value cannot be stored: {error}"))
}

/// A heal out of its JSON text.
pub(super) fn decode_heal(doc: &str) -> Result<Heal, StoreError> {
    serde_json::from_str(doc).map_err(|error| unreadable("heal", &error))
}

/// What is stored is not what this version stores.
pub(super) fn unreadable(what: &str, error: &dyn Display) -> StoreError {
    StoreError::Unreadable { what: what.to_owned(), error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_the_side_that_is_safe() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (text, down, up) in [
            ("1970-01-01T00:00:01.234Z", 1234, 1234),
            ("1970-01-01T00:00:01.2340001Z", 1234, 1235),
            ("1969-12-31T23:59:59.9995Z", -1, 0),
        ] {
            assert_eq!((millis(at(text)), millis_up(at(text))), (down, up), "{text}");
        }
    }
}
