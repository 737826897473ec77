//! The memory of alerts: one row an alert, rule and target, found through [`Hints`]. An open heal says by itself what is
//! remembered of the alert it was begun for; that alert gets its row with the first news of it, at the latest when the heal ends.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::apply::id_text;
use super::hints::Hints;
use super::open_heals::OpenHeals;
use super::session::{Session, decode_heal, encode, millis, timestamp, unreadable};
use crate::domain::action::Target;
use crate::domain::alert::{AlertStatus, Fingerprint};
use crate::domain::decide::Snapshot;
use crate::domain::heal::{Episode, Heal, HealId};
use crate::store::StoreError;

/// Rows looked at in one transaction when old ones are deleted.
const PORTION: u32 = 500;

/// What is remembered of an alert under one rule and target, with the heal while that is open; when asked for, also a
/// shadow or a heal that gave up.
pub(super) struct Memory {
    pub(super) episode: Episode,
    heal: Option<Heal>,
}

impl Memory {
    pub(super) fn is_open(&self) -> bool {
        self.heal.as_ref().is_some_and(|heal| heal.outcome().is_none())
    }

    pub(super) fn into_snapshot(self) -> Snapshot {
        Snapshot { heal: self.heal, episode: Some(self.episode), ..Snapshot::default() }
    }
}

/// Where the rows of each alert are.
fn read_hints(connection: &Connection) -> Result<Hints<Fingerprint>, StoreError> {
    let mut statement = connection.prepare("SELECT id, fingerprint FROM episode")?;
    let mut rows = statement.query([])?;
    let hints = Hints::default();
    while let Some(row) = rows.next()? {
        let (id, fingerprint): (i64, String) = (row.get(0)?, row.get(1)?);
        match fingerprint.parse() {
            Ok(fingerprint) => hints.add(fingerprint, id),
            Err(error) => tracing::error!(episode = id, %error, "an alert's memory cannot be read and is not used"),
        }
    }
    Ok(hints)
}

impl Session {
    /// What is remembered of an alert, under one rule or all, by rule and target. A resolve matters to some heals that
    /// `ended`: shadows, which learn from it, and those that called a human.
    pub(super) fn memories(
        &self,
        alert: Fingerprint,
        rule: Option<&str>,
        ended: bool,
    ) -> Result<Vec<Memory>, StoreError> {
        let mut memories = Vec::new();
        for id in self.episodes.of(alert) {
            let mut statement = self.connection.prepare_cached(
                "SELECT e.rule, e.target, e.heal, e.status, e.starts_at, e.ends_at, e.seen_at, e.ended, h.doc, e.acted_at
                 FROM episode e LEFT JOIN heal h ON h.id = e.heal AND (h.ended_at IS NULL
                     OR (?4 AND h.state IN ('shadowed', 'exhausted', 'suppressed', 'expired')))
                 WHERE e.id = ?1 AND e.fingerprint = ?2 AND (?3 IS NULL OR e.rule = ?3)",
            )?;
            let mut rows = statement.query(params![id, alert.to_string(), rule, ended])?;
            if let Some(row) = rows.next()? {
                memories.push(read_memory(alert, row)?);
            }
        }
        let is_known = |rule: &str, target: &str| {
            memories.iter().any(|known| known.episode.rule == rule && known.episode.target.as_str() == target)
        };
        for heal in self.open_heals_for(alert, rule, is_known)? {
            let episode = Episode::of_first_alert(&heal);
            memories.extend(episode.map(|episode| Memory { episode, heal: Some(heal) }));
        }
        memories.sort_by(|a, b| (&a.episode.rule, &a.episode.target).cmp(&(&b.episode.rule, &b.episode.target)));
        Ok(memories)
    }

    /// Writes what is to be remembered, over what was, unless `heal`, written before, says it already.
    pub(super) fn write_episode(&self, episode: &Episode, heal: Option<&Heal>) -> Result<(), StoreError> {
        let id = self.episode_row(episode)?;
        if id.is_none() && heal.and_then(Episode::of_first_alert).as_ref() == Some(episode) {
            return Ok(());
        }
        // A new row gets its number from SQLite.
        self.execute(
            "INSERT OR REPLACE INTO episode (id, fingerprint, rule, target, heal, status, starts_at, ends_at, seen_at, ended, acted_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                id,
                episode.fingerprint.to_string(),
                episode.rule,
                episode.target.as_str(),
                episode.heal.map(|heal| id_text(heal.0)),
                episode.status.as_str(),
                episode.starts_at.to_string(),
                episode.ends_at.map(|at| at.to_string()),
                millis(episode.seen_at),
                episode.ended.as_ref().map(encode).transpose()?,
                episode.acted_at.map(millis),
            ],
        )?;
        if id.is_none() {
            self.episodes.add(episode.fingerprint, self.connection.last_insert_rowid());
        }
        Ok(())
    }

    /// The row that already remembers this alert under this rule and target.
    fn episode_row(&self, episode: &Episode) -> Result<Option<i64>, StoreError> {
        for id in self.episodes.of(episode.fingerprint) {
            let mut statement = self.connection.prepare_cached(
                "SELECT id FROM episode WHERE id = ?1 AND fingerprint = ?2 AND rule = ?3 AND target = ?4",
            )?;
            let values = params![id, episode.fingerprint.to_string(), episode.rule, episode.target.as_str()];
            if let Some(id) = statement.query_row(values, |row| row.get(0)).optional()? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Deletes, of one portion of episodes beyond `after`, those whose heal is gone and whose alert has not been heard of
    /// since `before`; answers how many went and where to go on.
    pub(super) fn prune_episodes(&self, after: i64, before: Timestamp) -> Result<(usize, Option<i64>), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT MAX(id), COUNT(*) FROM (SELECT id FROM episode WHERE id > ?1 ORDER BY id LIMIT ?2)",
        )?;
        let (last, count): (Option<i64>, u32) =
            statement.query_row(params![after, PORTION], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let Some(last) = last else { return Ok((0, None)) };
        let gone = self.execute(
            "DELETE FROM episode WHERE id > ?1 AND id <= ?2 AND seen_at < ?3
                 AND NOT EXISTS (SELECT 1 FROM heal WHERE heal.id = episode.heal)",
            params![after, last, millis(before)],
        )?;
        Ok((gone, (count == PORTION).then_some(last)))
    }

    /// Finds out where everything is that the file holds.
    pub(super) fn load_hints(&mut self) -> Result<(), StoreError> {
        self.open = OpenHeals::load(&self.connection)?;
        self.reload_episodes()
    }

    /// Forgets where rows were that are gone. The old hints stay right meanwhile; they only grow. Those of open heals do not
    /// grow, and built anew in a transaction that is then undone they would miss what it had ended.
    pub(super) fn reload_episodes(&mut self) -> Result<(), StoreError> {
        self.episodes = read_hints(&self.connection)?;
        Ok(())
    }
}

fn read_memory(fingerprint: Fingerprint, row: &Row<'_>) -> Result<Memory, StoreError> {
    let text = |index: usize| row.get::<_, String>(index);
    let told_time = |text: &str| text.parse().map_err(|error| unreadable("episode's time", &error));
    let heal: Option<String> = row.get(2)?;
    let ends_at: Option<String> = row.get(5)?;
    let ended: Option<String> = row.get(7)?;
    let open: Option<String> = row.get(8)?;
    let episode = Episode {
        fingerprint,
        rule: text(0)?,
        target: Target::new(text(1)?),
        heal: heal
            .map(|id| id.parse().map(HealId))
            .transpose()
            .map_err(|error| unreadable("episode's heal", &error))?,
        status: match text(3)?.as_str() {
            "firing" => AlertStatus::Firing,
            "resolved" => AlertStatus::Resolved,
            other => return Err(unreadable("episode's status", &format_args!("unknown status {other:?}"))),
        },
        starts_at: told_time(&text(4)?)?,
        ends_at: ends_at.as_deref().map(told_time).transpose()?,
        seen_at: timestamp(row.get(6)?)?,
        acted_at: row.get::<_, Option<i64>>(9)?.map(timestamp).transpose()?,
        ended: ended
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| unreadable("episode's ladder", &error))?,
    };
    Ok(Memory { episode, heal: open.as_deref().map(decode_heal).transpose()? })
}
