//! Forgetting what is old, in portions, so that no delivery waits long behind it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::session::{Session, millis};
use crate::store::StoreError;

/// Rows looked at in one transaction.
const PORTION: u32 = 500;

/// Where a walk over the episodes has come to; they are walked in the order of their key.
#[derive(Debug, Default)]
pub(super) struct EpisodeKey {
    fingerprint: String,
    rule: String,
    target: String,
}

impl Session {
    /// Deletes one portion of heals that ended before `before`, with their attempts and messages; answers how many
    /// went and whether there may be more. A heal of which somebody is still to be told stays.
    pub(super) fn prune_heals(&self, before: Timestamp) -> Result<(u64, bool), StoreError> {
        let gone = self.execute(
            "DELETE FROM heal WHERE id IN (
                 SELECT id FROM heal WHERE ended_at IS NOT NULL AND ended_at < ?1
                     AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.heal = heal.id AND status = 'waiting')
                 ORDER BY ended_at LIMIT ?2)",
            params![millis(before), PORTION],
        )?;
        Ok((gone as u64, gone == PORTION as usize))
    }

    /// Deletes, of one portion of episodes, those whose heal is gone and whose alert has not been heard of since `before`;
    /// answers where to go on. Walking the key needs no index that every new alert would have to pay for.
    pub(super) fn prune_episodes(
        &self,
        after: &EpisodeKey,
        before: Timestamp,
    ) -> Result<Option<EpisodeKey>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT fingerprint, rule, target FROM episode WHERE (fingerprint, rule, target) > (?1, ?2, ?3)
             ORDER BY fingerprint, rule, target LIMIT 1 OFFSET ?4",
        )?;
        let last = statement
            .query_row(params![after.fingerprint, after.rule, after.target, PORTION - 1], |row| {
                Ok(EpisodeKey { fingerprint: row.get(0)?, rule: row.get(1)?, target: row.get(2)? })
            })
            .optional()?;
        // Fingerprints are hexadecimal, so this bound is beyond all of them: the last portion is whatever is left.
        let end = EpisodeKey { fingerprint: "g".to_owned(), ..EpisodeKey::default() };
        let bound = last.as_ref().unwrap_or(&end);
        self.execute(
            "DELETE FROM episode WHERE (fingerprint, rule, target) > (?1, ?2, ?3)
                 AND (fingerprint, rule, target) <= (?4, ?5, ?6) AND seen_at < ?7
                 AND NOT EXISTS (SELECT 1 FROM heal WHERE heal.id = episode.heal)",
            params![
                after.fingerprint,
                after.rule,
                after.target,
                bound.fingerprint,
                bound.rule,
                bound.target,
                millis(before)
            ],
        )?;
        Ok(last)
    }
}
