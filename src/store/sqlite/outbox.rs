//! The outbox: messages wait here from their commit until they are delivered or given up.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::apply::{id_text, later};
use super::session::{Session, encode, millis, millis_up, timestamp, unreadable};
use crate::domain::heal::HealId;
use crate::domain::pause::Pause;
use crate::store::{Backlog, DeadLetter, DeadOrder, DeliveryResult, OutboxCounts, Outgoing, StoreError};

/// How long a message belongs to whoever claimed it.
const CLAIM: Duration = Duration::from_mins(1);

/// A message that waits while no earlier one of its heal waits for the same channel, but for one that was held: a page
/// passes it. `status <> 'sent'` follows from the
/// first condition, but only said so can `SQLite` use the partial index.
const NEXT_OF_ITS_STORY: &str = "status = 'waiting' AND status <> 'sent' AND NOT EXISTS (
    SELECT 1 FROM outbox AS earlier WHERE earlier.heal = outbox.heal AND earlier.channel = outbox.channel
        AND earlier.id < outbox.id AND earlier.status = 'waiting' AND earlier.held = 0)";

impl Session {
    /// Claims messages that are due, those longest due first, and answers them in the order they were committed.
    pub(super) fn claim_messages(
        &self,
        limit: u32,
        now: Timestamp,
    ) -> Result<(Vec<Outgoing>, Option<Timestamp>), StoreError> {
        let mut claimed = Vec::new();
        for (id, read) in self.due_messages(limit, now)? {
            match read {
                Ok(message) => {
                    // The try counts from here, so that a message on which the process dies is not tried for ever.
                    self.execute(
                        "UPDATE outbox SET due_at = ?2, claimed_by = ?3, tries = tries + 1 WHERE id = ?1",
                        params![id, later(now, CLAIM), id_text(self.owner)],
                    )?;
                    claimed.push(message);
                }
                Err(error) => {
                    tracing::error!(message = %id, %error, "a message cannot be read and is given up");
                    self.execute(
                        "UPDATE outbox SET status = 'dead', last_error = ?2 WHERE id = ?1",
                        params![id, error.to_string()],
                    )?;
                }
            }
        }
        if !claimed.is_empty() {
            let pauses = self.active_pauses(now)?;
            for Outgoing { message, .. } in &mut claimed {
                message.paused = Pause::covering(&pauses, &message.heal, now).cloned();
            }
        }
        claimed.sort_by_key(|message| (message.created_at, message.id));
        Ok((claimed, self.next_message_due()?))
    }

    #[expect(clippy::type_complexity, reason = "a row that cannot be read still has its identity")]
    fn due_messages(
        &self,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<(String, Result<Outgoing, StoreError>)>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT id, channel, doc, tries, created_at, since, held,
                    (SELECT doc FROM memory WHERE memory.heal = outbox.heal AND memory.channel = outbox.channel)
             FROM outbox WHERE {NEXT_OF_ITS_STORY} AND due_at <= ?1 ORDER BY due_at, id LIMIT ?2",
        ))?;
        let mut rows = statement.query(params![millis(now), limit])?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, channel, doc): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (tries, created_at, memory): (u32, i64, Option<String>) = (row.get(3)?, row.get(4)?, row.get(7)?);
            let (since, held): (i64, bool) = (row.get(5)?, row.get(6)?);
            let read = || {
                Ok(Outgoing {
                    id: Uuid::parse_str(&id).map_err(|error| unreadable("message's identity", &error))?,
                    channel,
                    message: serde_json::from_str(&doc).map_err(|error| unreadable("message", &error))?,
                    tries,
                    created_at: timestamp(created_at)?,
                    since: timestamp(since)?,
                    held,
                    memory: memory
                        .map(|doc| serde_json::from_str(&doc))
                        .transpose()
                        .map_err(|error| unreadable("memory of a channel", &error))?,
                })
            };
            let read = read();
            due.push((id, read));
        }
        Ok(due)
    }

    fn next_message_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT due_at FROM outbox WHERE {NEXT_OF_ITS_STORY} ORDER BY due_at LIMIT 1"))?;
        let due: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
        due.map(timestamp).transpose()
    }

    /// Records what became of a delivery. A result for a message that has been settled already changes nothing.
    pub(super) fn message_result(&self, id: Uuid, result: &DeliveryResult, now: Timestamp) -> Result<(), StoreError> {
        let id = id_text(id);
        match result {
            DeliveryResult::Sent { memory } => {
                let sent = self.execute(
                    "UPDATE outbox SET status = 'sent', last_error = NULL WHERE id = ?1 AND status = 'waiting'",
                    [&id],
                )?;
                match memory {
                    Some(memory) if sent > 0 => self.execute(
                        "INSERT INTO memory (heal, channel, doc) SELECT heal, channel, ?2 FROM outbox WHERE id = ?1
                         ON CONFLICT (heal, channel) DO UPDATE SET doc = excluded.doc",
                        params![id, encode(memory)?],
                    )?,
                    _ => sent,
                }
            }
            DeliveryResult::Retry { at, error } => self.execute(
                "UPDATE outbox SET due_at = ?2, claimed_by = NULL, last_error = ?3 WHERE id = ?1 AND status = 'waiting'",
                params![id, millis_up(*at), error],
            )?,
            // It was not tried.
            DeliveryResult::Held { until } => self.execute(
                "UPDATE outbox SET due_at = ?2, since = ?2, held = 1, claimed_by = NULL, tries = MAX(tries - 1, 0)
                 WHERE id = ?1 AND status = 'waiting'",
                params![id, millis_up(*until)],
            )?,
            DeliveryResult::Dead { error, forward_to } => {
                let dead = self.execute(
                    "UPDATE outbox SET status = 'dead', last_error = ?2 WHERE id = ?1 AND status = 'waiting'",
                    params![id, error],
                )?;
                // With the same stroke, so that a message that nobody takes is never without somebody who is told.
                for channel in forward_to.iter().filter(|_| dead > 0) {
                    self.execute(
                        "INSERT INTO outbox (id, heal, channel, kind, doc, created_at, due_at, since)
                         SELECT ?2, heal, ?3, kind, doc, ?4, ?4, ?4 FROM outbox WHERE id = ?1",
                        params![id, id_text(self.fresh_id(now)), channel, millis(now)],
                    )?;
                }
                dead
            }
        };
        Ok(())
    }

    /// Makes due at once what another process was delivering. The file's lock says that it is gone; whether the message
    /// arrived nobody knows, so it goes out again under the same identity.
    pub(super) fn free_claims(&self, now: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "UPDATE outbox SET due_at = ?1, claimed_by = NULL
             WHERE status = 'waiting' AND status <> 'sent' AND claimed_by <> ?2",
            params![millis(now), id_text(self.owner)],
        )?;
        Ok(())
    }

    /// What was given up, oldest first.
    pub(super) fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT outbox.id, channel, kind, outbox.heal, rule, target, outbox.created_at, tries, last_error
             FROM outbox JOIN heal ON heal.id = outbox.heal
             WHERE status = 'dead' AND status <> 'sent' ORDER BY outbox.id LIMIT ?1",
        )?;
        let mut rows = statement.query([limit])?;
        let mut letters = Vec::new();
        let id = |text: String| Uuid::parse_str(&text).map_err(|error| unreadable("message's identity", &error));
        while let Some(row) = rows.next()? {
            letters.push(DeadLetter {
                id: id(row.get(0)?)?,
                channel: row.get(1)?,
                event: row.get(2)?,
                heal: HealId(id(row.get(3)?)?),
                rule: row.get(4)?,
                target: row.get(5)?,
                created_at: timestamp(row.get(6)?)?,
                tries: row.get(7)?,
                error: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
            });
        }
        Ok(letters)
    }

    /// Does as somebody says with one dead letter, or with all of them; answers with how many.
    pub(super) fn settle_dead_letters(
        &self,
        id: Option<Uuid>,
        order: DeadOrder,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let count = self.execute(
            match order {
                DeadOrder::Retry => {
                    "UPDATE outbox SET status = 'waiting', due_at = ?2, since = ?2, tries = 0, claimed_by = NULL
                     WHERE status = 'dead' AND status <> 'sent' AND (?1 IS NULL OR id = ?1)"
                }
                DeadOrder::Discard => {
                    "UPDATE outbox SET status = 'discarded', due_at = ?2
                     WHERE status = 'dead' AND status <> 'sent' AND (?1 IS NULL OR id = ?1)"
                }
            },
            params![id.map(id_text), millis(now)],
        )?;
        Ok(count as u64)
    }

    /// What waits and what was given up, channel by channel.
    pub(super) fn backlogs(&self) -> Result<BTreeMap<String, Backlog>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT channel, COUNT(*) FILTER (WHERE status = 'waiting'), COUNT(*) FILTER (WHERE status = 'dead')
             FROM outbox WHERE status <> 'sent' GROUP BY channel",
        )?;
        let mut rows = statement.query([])?;
        let mut backlogs = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (waiting, dead): (i64, i64) = (row.get(1)?, row.get(2)?);
            let backlog = Backlog { waiting: waiting.unsigned_abs(), dead: dead.unsigned_abs() };
            backlogs.insert(row.get(0)?, backlog);
        }
        Ok(backlogs)
    }

    /// Counts what has not been delivered.
    pub(super) fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT COUNT(*) FILTER (WHERE status = 'waiting'), COUNT(*) FILTER (WHERE status = 'dead')
             FROM outbox WHERE status <> 'sent'",
        )?;
        let (waiting, dead): (i64, i64) = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(OutboxCounts { waiting: waiting.unsigned_abs(), dead: dead.unsigned_abs() })
    }
}
