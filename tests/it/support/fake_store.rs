//! A store that remembers what it was asked and answers what it was told to: the door's other side, for tests of the door.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use autoheal::domain::Timestamp;
use autoheal::domain::decide::{Event, Policy};
use autoheal::domain::heal::{Heal, HealId};
use autoheal::domain::instruction::Instruction;
use autoheal::domain::pause::{Pause, PauseId};
use autoheal::domain::reason::Reason;
use autoheal::domain::report::Report;
use autoheal::store::{
    Advanced, Backlog, DeadLetter, DeadOrder, Decision, DeliveryResult, HealQuery, Instructed, OutboxCounts, Outgoing,
    ReportQuery, Sighting, Store, StoreError,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// How [`Store::ingest`] behaves.
#[derive(Debug, Clone, Default)]
pub enum Behaviour {
    /// Remembers and answers.
    #[default]
    Commit,
    /// Refuses.
    Refuse(StoreError),
    /// Answers only once [`FakeStore::release`] is called.
    Wait,
    /// Has a bug.
    Panic,
}

/// See the module.
#[derive(Default)]
pub struct FakeStore {
    behaviour: Mutex<Behaviour>,
    ingested: Mutex<Vec<Vec<Sighting>>>,
    heals: Mutex<Vec<Heal>>,
    is_broken: AtomicBool,
    released: Notify,
    /// Told whenever an ingest begins to wait.
    pub waiting: Notify,
}

impl FakeStore {
    /// As after a sync that failed.
    pub fn break_off(&self) {
        self.is_broken.store(true, Ordering::Release);
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// Ends the wait of one waiting ingest.
    pub fn release(&self) {
        self.released.notify_one();
    }

    /// What every committed ingest was given.
    pub fn ingested(&self) -> Vec<Vec<Sighting>> {
        self.ingested.lock().unwrap().clone()
    }

    /// Puts heals there to be listed, oldest first.
    pub fn hold(&self, heals: Vec<Heal>) {
        *self.heals.lock().unwrap() = heals;
    }
}

#[async_trait]
impl Store for FakeStore {
    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    async fn ingest(
        &self,
        _policy: Arc<Policy>,
        sightings: Vec<Sighting>,
        _now: Timestamp,
    ) -> Result<Vec<Decision>, StoreError> {
        let behaviour = self.behaviour.lock().unwrap().clone();
        match behaviour {
            Behaviour::Commit => {}
            Behaviour::Refuse(error) => return Err(error),
            Behaviour::Wait => {
                self.waiting.notify_one();
                self.released.notified().await;
            }
            Behaviour::Panic => panic!("a bug in the store"),
        }
        let decide = |sighting: &Sighting| {
            let alert = sighting.alert.fingerprint;
            let decision = |(id, request): &(HealId, autoheal::domain::rule::HealRequest)| Decision {
                heal: Some(*id),
                rule: request.rule.clone(),
                changed: true,
                ended: None,
                reason: Reason::AlertFiring { alert },
            };
            sighting.requests.iter().map(decision).collect::<Vec<_>>()
        };
        let decisions = sightings.iter().flat_map(decide).collect();
        self.ingested.lock().unwrap().push(sightings);
        Ok(decisions)
    }

    async fn advance_due(&self, _: Arc<Policy>, _: u32, _: Timestamp) -> Result<Advanced, StoreError> {
        Ok(Advanced::default())
    }

    async fn record(
        &self,
        _: Arc<Policy>,
        _: HealId,
        _: Event,
        _: Timestamp,
    ) -> Result<(Option<Heal>, Reason), StoreError> {
        Ok((None, Reason::NoSuchHeal))
    }

    async fn instruct(
        &self,
        _: Arc<Policy>,
        heal: HealId,
        _: Instruction,
        _: Timestamp,
    ) -> Result<Instructed, StoreError> {
        Ok(Instructed { heal: self.heal(heal).await?, done: false, reason: Reason::NoSuchHeal })
    }

    async fn pause(&self, _: Pause, _: Timestamp) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn resume(&self, _: Option<PauseId>, _: Timestamp) -> Result<Vec<Pause>, StoreError> {
        Ok(Vec::new())
    }

    async fn pauses(&self, _: Timestamp) -> Result<Vec<Pause>, StoreError> {
        Ok(Vec::new())
    }

    async fn tell_of_long_pauses(&self, _: Arc<Policy>, _: Timestamp) -> Result<Vec<Heal>, StoreError> {
        Ok(Vec::new())
    }

    async fn recheck_held(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn take_over(&self, _: Timestamp) -> Result<Vec<Heal>, StoreError> {
        Ok(Vec::new())
    }

    async fn renew_leases(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn claim_messages(&self, _: u32, _: Timestamp) -> Result<(Vec<Outgoing>, Option<Timestamp>), StoreError> {
        Ok((Vec::new(), None))
    }

    async fn message_result(&self, _: Uuid, _: DeliveryResult, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn heals(&self, query: HealQuery) -> Result<Vec<Heal>, StoreError> {
        let heals = self.heals.lock().unwrap();
        let wanted = heals.iter().rev().filter(|heal| {
            query.state.as_deref().is_none_or(|state| heal.phase.name() == state)
                && query.rule.as_deref().is_none_or(|rule| heal.rule == rule)
                && query.target.as_deref().is_none_or(|target| heal.target.as_str() == target)
                && query.since.is_none_or(|since| heal.created_at >= since)
                && query.until.is_none_or(|until| heal.created_at < until)
                && query.before.is_none_or(|before| heal.id < before)
        });
        Ok(wanted.take(query.limit as usize).cloned().collect())
    }

    async fn heal(&self, id: HealId) -> Result<Option<Heal>, StoreError> {
        Ok(self.heals.lock().unwrap().iter().find(|heal| heal.id == id).cloned())
    }

    async fn report(&self, _: ReportQuery) -> Result<Report, StoreError> {
        Ok(Report::default())
    }

    async fn counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for heal in &*self.heals.lock().unwrap() {
            *counts.entry(heal.phase.name().to_owned()).or_default() += 1;
        }
        Ok(counts)
    }

    async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        Ok(OutboxCounts { waiting: 3, dead: 1 })
    }

    async fn backlogs(&self) -> Result<BTreeMap<String, Backlog>, StoreError> {
        Ok(BTreeMap::from([("on-call/slack".to_owned(), OutboxCounts { waiting: 3, dead: 1 })]))
    }

    async fn dead_letters(&self, _: u32) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(Vec::new())
    }

    async fn settle_dead_letters(&self, _: Option<Uuid>, _: DeadOrder, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn prune(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn close(&self) {}
}
