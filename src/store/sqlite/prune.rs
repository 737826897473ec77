//! Forgetting what is old, in portions, so that no delivery waits long behind it.

use jiff::Timestamp;
use rusqlite::params;

use super::session::{Session, millis};
use crate::store::StoreError;

/// Rows looked at in one transaction.
const PORTION: u32 = 500;

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
}
