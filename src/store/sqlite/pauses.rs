//! Pauses, and the heals that wait for something that may change at any time.

use jiff::Timestamp;
use rusqlite::params;

use super::apply::id_text;
use super::session::{Session, encode, millis, millis_up, unreadable};
use crate::domain::pause::{Pause, PauseId};
use crate::store::StoreError;

impl Session {
    /// Adds a pause, unless there are as many as there may be. Those that are over go.
    pub(super) fn add_pause(&self, pause: &Pause, now: Timestamp) -> Result<bool, StoreError> {
        self.execute("DELETE FROM pause WHERE until <= ?1", [millis(now)])?;
        if self.active_pauses(now)?.len() >= Pause::MAX_COUNT {
            return Ok(false);
        }
        self.execute(
            "INSERT INTO pause (id, until, doc) VALUES (?1, ?2, ?3)",
            params![id_text(pause.id.0), millis_up(pause.until), encode(pause)?],
        )?;
        Ok(true)
    }

    /// The pauses that last now, oldest first.
    pub(super) fn active_pauses(&self, now: Timestamp) -> Result<Vec<Pause>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT doc FROM pause WHERE until > ?1 ORDER BY id")?;
        let mut rows = statement.query([millis(now)])?;
        let mut pauses = Vec::new();
        while let Some(row) = rows.next()? {
            let doc: String = row.get(0)?;
            pauses.push(serde_json::from_str(&doc).map_err(|error| unreadable("pause", &error))?);
        }
        Ok(pauses)
    }

    /// Ends one pause, or all, and has held heals asked again.
    pub(super) fn end_pauses(&self, id: Option<PauseId>, now: Timestamp) -> Result<Vec<Pause>, StoreError> {
        let mut pauses = self.active_pauses(now)?;
        pauses.retain(|pause| id.is_none_or(|id| id == pause.id));
        for pause in &pauses {
            self.execute("DELETE FROM pause WHERE id = ?1", [id_text(pause.id.0)])?;
        }
        if !pauses.is_empty() {
            self.recheck_held(now)?;
        }
        Ok(pauses)
    }

    /// Makes due what waits. Those that wait for their back-off say so when asked and are put back.
    pub(super) fn recheck_held(&self, now: Timestamp) -> Result<(), StoreError> {
        self.execute("UPDATE heal SET due_at = ?1 WHERE state = 'pending' AND due_at > ?1", [millis(now)])?;
        Ok(())
    }
}
