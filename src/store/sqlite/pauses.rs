//! Pauses, and the heals that wait for something that may change at any time.

use jiff::Timestamp;
use rusqlite::params;
use uuid::Uuid;

use super::apply::id_text;
use super::session::{Session, encode, millis, millis_up, unreadable};
use crate::domain::decide::{Event, Policy, Snapshot};
use crate::domain::heal::{Heal, HealId};
use crate::domain::pause::{Pause, PauseId};
use crate::store::StoreError;

/// Heals looked at to tell of a pause: one of the first was held first.
const ASKED: usize = 20;

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

    /// Tells of every pause that has held heals back for too long and of which nobody has been told, by the heal that
    /// waits for the longest.
    pub(super) fn tell_of_long_pauses(&self, policy: &Policy, now: Timestamp) -> Result<Vec<Heal>, StoreError> {
        let mut told = Vec::new();
        for pause in self.active_pauses(now)? {
            let held = self.held_by(&pause)?;
            for id in held.iter().take(ASKED) {
                let snapshot = Snapshot { heal: self.read_heal(*id)?, ..Snapshot::default() };
                let event = Event::Paused { pause: pause.clone(), heals: held.len() };
                let applied = self.transition(policy, snapshot, event, now)?;
                if let Some(heal) = applied.heal.filter(|_| applied.changed) {
                    self.execute("UPDATE pause SET told = TRUE WHERE id = ?1", [id_text(pause.id.0)])?;
                    told.push(heal);
                    break;
                }
            }
        }
        Ok(told)
    }

    /// The heals that fall due when a pause ends, oldest first; none once somebody has been told of it.
    fn held_by(&self, pause: &Pause) -> Result<Vec<HealId>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT heal.id FROM heal INDEXED BY heal_due, pause WHERE pause.id = ?1 AND NOT told
                 AND state = 'pending' AND due_at = ?2 ORDER BY heal.id",
        )?;
        let mut rows = statement.query(params![id_text(pause.id.0), millis_up(pause.until)])?;
        let mut held = Vec::new();
        while let Some(row) = rows.next()? {
            let id =
                Uuid::parse_str(&row.get::<_, String>(0)?).map_err(|error| unreadable("heal's identity", &error))?;
            held.push(HealId(id));
        }
        Ok(held)
    }

    /// Makes due what waits. Those that wait for their back-off say so when asked and are put back.
    pub(super) fn recheck_held(&self, now: Timestamp) -> Result<(), StoreError> {
        self.execute("UPDATE heal SET due_at = ?1 WHERE state = 'pending' AND due_at > ?1", [millis(now)])?;
        Ok(())
    }
}
