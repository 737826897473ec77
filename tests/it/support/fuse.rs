//! A store that kills its own process just before or just after a chosen commit.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, pending};
use std::process::Command;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use autoheal::domain::Timestamp;
use autoheal::domain::decide::{Event, Policy};
use autoheal::domain::heal::{Heal, HealId};
use autoheal::domain::instruction::Instruction;
use autoheal::domain::pause::{Pause, PauseId};
use autoheal::domain::reason::Reason;
use autoheal::domain::report::Report;
use autoheal::store::sqlite::SqliteStore;
use autoheal::store::{
    Advanced, Backlog, DeadLetter, DeadOrder, Decision, DeliveryResult, HealQuery, Instructed, OutboxCounts, Outgoing,
    ReportQuery, Sighting, Store, StoreError,
};
use uuid::Uuid;

use super::crash::{Call, Fuse, LastWords, Side};

pub struct FusedStore {
    inner: SqliteStore,
    fuse: Option<Fuse>,
    /// Calls so far that commit something.
    commits: Mutex<HashMap<Call, u32>>,
    life: Mutex<Life>,
    /// What asks whether anything is due must still be right when it acts on the answer.
    turn: tokio::sync::Mutex<()>,
}

/// Both under one lock: nobody may take messages along unseen while the last words are being written.
#[derive(Default)]
struct Life {
    is_dying: bool,
    messages_under_way: u32,
}

impl FusedStore {
    pub fn new(inner: SqliteStore, fuse: Option<Fuse>) -> Self {
        let (commits, life) = (Mutex::default(), Mutex::default());
        Self { inner, fuse, commits, life, turn: tokio::sync::Mutex::default() }
    }

    /// Lets a call through that commits something, unless this is the one to die at.
    async fn commit<T>(&self, call: Call, work: impl Future<Output = T>) -> T {
        if self.is_dying() {
            return pending().await;
        }
        let number = {
            let mut commits = self.commits.lock().unwrap();
            let number = commits.entry(call).or_default();
            *number += 1;
            *number
        };
        self.die_at(Fuse { side: Side::Before, call, number });
        let result = work.await;
        self.die_at(Fuse { side: Side::After, call, number });
        if self.is_dying() {
            return pending().await;
        }
        result
    }

    fn is_dying(&self) -> bool {
        self.life.lock().unwrap().is_dying
    }

    /// The kernel may take a moment; until then nothing more comes out of this store.
    fn die_at(&self, point: Fuse) {
        if self.fuse != Some(point) {
            return;
        }
        let under_way = {
            let mut life = self.life.lock().unwrap();
            life.is_dying = true;
            life.messages_under_way
        };
        LastWords { under_way }.write();
        let killed = Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        panic!("the process outlived its own kill: {killed:?}");
    }

    async fn has_due_heal(&self, now: Timestamp) -> bool {
        let heals = self.inner.heals(HealQuery { limit: 500, ..HealQuery::default() }).await.unwrap_or_default();
        heals.iter().any(|heal| heal.due_at().is_some_and(|due| due <= now))
    }
}

#[async_trait]
impl Store for FusedStore {
    async fn ingest(
        &self,
        policy: Arc<Policy>,
        sightings: Vec<Sighting>,
        now: Timestamp,
    ) -> Result<Vec<Decision>, StoreError> {
        let _turn = self.turn.lock().await;
        self.commit(Call::Ingest, self.inner.ingest(policy, sightings, now)).await
    }

    async fn advance_due(&self, policy: Arc<Policy>, limit: u32, now: Timestamp) -> Result<Advanced, StoreError> {
        let _turn = self.turn.lock().await;
        let work = self.inner.advance_due(policy, limit, now);
        if self.has_due_heal(now).await { self.commit(Call::AdvanceDue, work).await } else { work.await }
    }

    async fn record(
        &self,
        policy: Arc<Policy>,
        heal: HealId,
        event: Event,
        now: Timestamp,
    ) -> Result<(Option<Heal>, Reason), StoreError> {
        self.commit(Call::Record, self.inner.record(policy, heal, event, now)).await
    }

    async fn instruct(
        &self,
        policy: Arc<Policy>,
        heal: HealId,
        instruction: Instruction,
        now: Timestamp,
    ) -> Result<Instructed, StoreError> {
        self.commit(Call::Instruct, self.inner.instruct(policy, heal, instruction, now)).await
    }

    async fn pause(&self, pause: Pause, now: Timestamp) -> Result<bool, StoreError> {
        self.inner.pause(pause, now).await
    }

    async fn resume(&self, pause: Option<PauseId>, now: Timestamp) -> Result<Vec<Pause>, StoreError> {
        self.inner.resume(pause, now).await
    }

    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>, StoreError> {
        self.inner.pauses(now).await
    }

    async fn tell_of_long_pauses(&self, policy: Arc<Policy>, now: Timestamp) -> Result<Vec<Heal>, StoreError> {
        self.inner.tell_of_long_pauses(policy, now).await
    }

    async fn recheck_held(&self, now: Timestamp) -> Result<(), StoreError> {
        self.inner.recheck_held(now).await
    }

    async fn take_over(&self, now: Timestamp) -> Result<Vec<Heal>, StoreError> {
        self.inner.take_over(now).await
    }

    async fn renew_leases(&self, now: Timestamp) -> Result<(), StoreError> {
        self.inner.renew_leases(now).await
    }

    async fn claim_messages(
        &self,
        limit: u32,
        now: Timestamp,
    ) -> Result<(Vec<Outgoing>, Option<Timestamp>), StoreError> {
        let claim = self.inner.claim_messages(limit, now);
        let waits = self.inner.outbox_counts().await.is_ok_and(|outbox| outbox.waiting > 0);
        let claim = if waits { self.commit(Call::ClaimMessages, claim).await } else { claim.await };
        let count = claim.as_ref().map_or(0, |(messages, _)| u32::try_from(messages.len()).unwrap());
        let leaves_alive = {
            let mut life = self.life.lock().unwrap();
            life.messages_under_way += count;
            !life.is_dying
        };
        if leaves_alive { claim } else { pending().await }
    }

    async fn message_result(&self, id: Uuid, result: DeliveryResult, now: Timestamp) -> Result<(), StoreError> {
        let settle = async {
            let settled = self.inner.message_result(id, result, now).await;
            self.life.lock().unwrap().messages_under_way -= 1;
            settled
        };
        self.commit(Call::MessageResult, settle).await
    }

    async fn heals(&self, query: HealQuery) -> Result<Vec<Heal>, StoreError> {
        self.inner.heals(query).await
    }

    async fn heal(&self, id: HealId) -> Result<Option<Heal>, StoreError> {
        self.inner.heal(id).await
    }

    async fn report(&self, query: ReportQuery) -> Result<Report, StoreError> {
        self.inner.report(query).await
    }

    async fn counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.inner.counts().await
    }

    async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        self.inner.outbox_counts().await
    }

    async fn backlogs(&self) -> Result<BTreeMap<String, Backlog>, StoreError> {
        self.inner.backlogs().await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        self.inner.dead_letters(limit).await
    }

    async fn settle_dead_letters(&self, id: Option<Uuid>, order: DeadOrder, now: Timestamp) -> Result<u64, StoreError> {
        self.inner.settle_dead_letters(id, order, now).await
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.inner.prune(before).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
