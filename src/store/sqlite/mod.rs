//! The embedded store: one `SQLite` file, one thread that writes it in groups, one that reads beside it.
//!
//! Reading order: `open` makes the connections (`schema` brings the file up to date), `queue` runs work on them,
//! `durable` syncs what was committed and `answers` tells who waits for it, `checkpoint` folds the log meanwhile. `ingest`
//! and `advance` read snapshots, `episodes` and `open_heals` find what is known of an alert, `apply` writes plans;
//! `outbox`, `read` and `prune` are the rest of the seam; `peek` looks at the file of another process.

mod advance;
mod answers;
mod apply;
mod checkpoint;
mod durable;
mod episodes;
mod hints;
mod ingest;
mod load;
mod open;
mod open_heals;
mod outbox;
mod pauses;
mod peek;
mod prune;
mod queue;
mod read;
mod schema;
mod session;
mod stats;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use self::checkpoint::Checkpointer;
use self::durable::sync_log;
use self::open::LockedFile;
use self::queue::{Queue, Share};
use self::session::Session;
use self::stats::Counters;
use super::{
    Advanced, Backlog, DeadLetter, DeadOrder, DecideFn, Decision, DeliveryResult, HealQuery, Instructed, OutboxCounts,
    Outgoing, ReportQuery, Sighting, Store, StoreError,
};
use crate::domain::Timestamp;
use crate::domain::decide::{Event, Policy, decide};
use crate::domain::heal::{Heal, HealId};
use crate::domain::instruction::Instruction;
use crate::domain::pause::{Pause, PauseId};
use crate::domain::reason::Reason;
use crate::domain::report::Report;

pub use self::open::OpenError;
pub use self::peek::Peek;
pub use self::stats::{OnCommit, StoreStats};

/// How a store works.
#[derive(Clone)]
pub struct Options {
    /// How many deliveries may wait for the writer; one more is answered with [`StoreError::Busy`].
    pub queue_limit: usize,
    /// How it decides.
    pub decide: DecideFn,
    /// For metrics.
    pub on_commit: Option<OnCommit>,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue_limit: 4096, decide, on_commit: None }
    }
}

/// A [`Store`] in one `SQLite` file, or in memory.
///
/// [`Store::close`] it before its file is opened again: dropped without, it ends only when its thread has come to that.
pub struct SqliteStore {
    writer: Queue,
    /// A store in memory has one connection only.
    reader: Option<Queue>,
    counters: Arc<Counters>,
}

impl SqliteStore {
    /// Opens a file, creating it and its directory when there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// Each [`OpenError`] says what is wrong with the file and what can be done.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let file = LockedFile::acquire(path)?;
        let writer = file.writer()?;
        let reader = file.reader()?;
        let owner = Uuid::now_v7();
        let counters = Arc::new(Counters::telling(options.on_commit));
        let sync = sync_log(&file.log()).map_err(|error| OpenError::File { path: file.log(), error })?;
        let folding = file.folder()?;
        let mut writer = Session::new(writer, options.decide, owner, Some(file));
        writer.load_hints().map_err(|error| OpenError::Database(error.to_string()))?;
        let reader = Session::new(reader, options.decide, owner, None);
        let failed = |error| OpenError::File { path: path.to_owned(), error };
        let checkpointer = Checkpointer::start(folding).map_err(failed)?;
        Ok(Self {
            writer: Queue::writer(writer, options.queue_limit, Arc::clone(&counters), sync, Some(checkpointer))
                .map_err(failed)?,
            reader: Some(Queue::reader(reader, options.queue_limit).map_err(failed)?),
            counters,
        })
    }

    /// A store that lives as long as this value.
    ///
    /// # Errors
    /// Only when the machine has no memory or no thread to give.
    pub fn in_memory(options: Options) -> Result<Self, OpenError> {
        let session = Session::new(open::in_memory()?, options.decide, Uuid::now_v7(), None);
        let counters = Arc::new(Counters::telling(options.on_commit));
        // Memory is as durable as it gets.
        let writer = Queue::writer(session, options.queue_limit, Arc::clone(&counters), Box::new(|| Ok(())), None)
            .map_err(|error| OpenError::Database(error.to_string()))?;
        Ok(Self { writer, reader: None, counters })
    }

    /// What the writer has done so far.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.counters.read()
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.submit(Share::Own, work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader.as_ref().unwrap_or(&self.writer).submit(Share::Delivery, work).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ingest(
        &self,
        policy: Arc<Policy>,
        sightings: Vec<Sighting>,
        now: Timestamp,
    ) -> Result<Vec<Decision>, StoreError> {
        self.writer.submit(Share::Delivery, move |session| session.ingest(&policy, &sightings, now)).await
    }

    async fn advance_due(&self, policy: Arc<Policy>, limit: u32, now: Timestamp) -> Result<Advanced, StoreError> {
        self.write(move |session| session.advance_due(&policy, limit, now)).await
    }

    async fn record(
        &self,
        policy: Arc<Policy>,
        heal: HealId,
        event: Event,
        now: Timestamp,
    ) -> Result<(Option<Heal>, Reason), StoreError> {
        self.write(move |session| session.record(&policy, heal, event.clone(), now)).await
    }

    async fn instruct(
        &self,
        policy: Arc<Policy>,
        heal: HealId,
        instruction: Instruction,
        now: Timestamp,
    ) -> Result<Instructed, StoreError> {
        self.write(move |session| session.instruct(&policy, heal, instruction.clone(), now)).await
    }

    async fn pause(&self, pause: Pause, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |session| session.add_pause(&pause, now)).await
    }

    async fn resume(&self, pause: Option<PauseId>, now: Timestamp) -> Result<Vec<Pause>, StoreError> {
        self.write(move |session| session.end_pauses(pause, now)).await
    }

    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>, StoreError> {
        self.read(move |session| session.active_pauses(now)).await
    }

    async fn tell_of_long_pauses(&self, policy: Arc<Policy>, now: Timestamp) -> Result<Vec<Heal>, StoreError> {
        self.write(move |session| session.tell_of_long_pauses(&policy, now)).await
    }

    async fn recheck_held(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| session.recheck_held(now)).await
    }

    async fn take_over(&self, now: Timestamp) -> Result<Vec<Heal>, StoreError> {
        self.write(move |session| session.take_over(now)).await
    }

    async fn renew_leases(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| session.renew_leases(now)).await
    }

    async fn claim_messages(
        &self,
        limit: u32,
        now: Timestamp,
    ) -> Result<(Vec<Outgoing>, Option<Timestamp>), StoreError> {
        self.write(move |session| session.claim_messages(limit, now)).await
    }

    async fn message_result(&self, id: Uuid, result: DeliveryResult, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |session| session.message_result(id, &result, now)).await
    }

    async fn heals(&self, query: HealQuery) -> Result<Vec<Heal>, StoreError> {
        self.read(move |session| session.list_heals(&query)).await
    }

    async fn heal(&self, id: HealId) -> Result<Option<Heal>, StoreError> {
        self.read(move |session| session.read_heal(id)).await
    }

    async fn report(&self, query: ReportQuery) -> Result<Report, StoreError> {
        self.read(move |session| session.report(&query)).await
    }

    async fn counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.read(|session| session.count_heals()).await
    }

    async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        self.read(|session| session.outbox_counts()).await
    }

    async fn backlogs(&self) -> Result<BTreeMap<String, Backlog>, StoreError> {
        self.read(|session| session.backlogs()).await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(move |session| session.dead_letters(limit)).await
    }

    async fn settle_dead_letters(&self, id: Option<Uuid>, order: DeadOrder, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |session| session.settle_dead_letters(id, order, now)).await
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            let (gone, more) = self.write(move |session| session.prune_heals(before)).await?;
            pruned += gone;
            if !more {
                break;
            }
        }
        let (mut after, mut forgotten) = (Some(0), 0);
        while let Some(id) = after {
            let (gone, next) = self.write(move |session| session.prune_episodes(id, before)).await?;
            forgotten += gone;
            after = next;
        }
        if forgotten > 0 {
            self.write(Session::reload_episodes).await?;
        }
        Ok(pruned)
    }

    fn is_broken(&self) -> bool {
        self.counters.is_broken()
    }

    async fn close(&self) {
        // The reader first: the writer folds its log into the database only when nobody reads from it.
        if let Some(reader) = &self.reader {
            reader.close().await;
        }
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for a full disk where nobody may mount a small one: `SQLite` answers the same.
    async fn limit_pages(store: &SqliteStore, pages: i64) {
        let limit = move |session: &mut Session| Ok(session.connection.pragma_update(None, "max_page_count", pages)?);
        store.write(limit).await.unwrap();
    }

    async fn fill(store: &SqliteStore, key: &'static str) -> Result<(), StoreError> {
        let statement = "INSERT INTO episode (fingerprint, rule, target, status, starts_at, seen_at)
                         VALUES (?1, hex(zeroblob(40000)), '', 'firing', '', 0)";
        store.write(move |session| Ok(session.execute(statement, [key]).map(drop)?)).await
    }

    #[tokio::test]
    async fn a_full_database_refuses_and_recovers() {
        let store = SqliteStore::in_memory(Options::default()).unwrap();
        limit_pages(&store, 1).await;
        let refused = fill(&store, "a").await;
        assert!(matches!(&refused, Err(StoreError::Database(text)) if text.contains("full")), "{refused:?}");
        limit_pages(&store, 10_000).await;
        fill(&store, "a").await.unwrap();
        store.close().await;
    }

    #[tokio::test]
    async fn a_commit_that_fails_is_everybodys_failure_and_leaves_nothing() {
        let store = SqliteStore::in_memory(Options::default()).unwrap();
        // A deferred foreign key is looked at only by the commit itself.
        let sabotage = |session: &mut Session| {
            session.connection.pragma_update(None, "defer_foreign_keys", true)?;
            session.execute("INSERT INTO memory VALUES ('nobody', 'channel', '')", [])?;
            Ok("done")
        };
        let innocent = |session: &mut Session| Ok(session.execute("DELETE FROM heal", [])?);
        let (sabotage, innocent) = tokio::join!(store.write(sabotage), store.write(innocent));
        assert!(matches!(&sabotage, Err(StoreError::Database(text)) if text.contains("FOREIGN KEY")), "{sabotage:?}");
        // Whether it shared that transaction is up to the thread's timing; what counts is that the store goes on.
        assert!(matches!(innocent, Ok(0) | Err(StoreError::Database(_))), "{innocent:?}");
        let memories = |session: &mut Session| {
            Ok(session.connection.query_row("SELECT COUNT(*) FROM memory", [], |row| row.get::<_, i64>(0))?)
        };
        assert_eq!(store.write(memories).await.unwrap(), 0);
        assert_eq!(store.stats().failed_batches, 1);
        store.close().await;
    }
}
