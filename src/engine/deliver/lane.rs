//! One channel's queue: what waits, what is under way, and when the channel may be tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::heal::HealId;
use crate::store::{DeliveryResult, Outgoing};

/// Messages that wait in memory; more stay in the outbox until their claim lapses.
const MAX_WAITING: usize = 256;
/// Shortest and longest pause after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(10));
/// How long a message that must be retried is waited for beyond its time before its heal's later messages may go.
const PATIENCE: Duration = Duration::from_mins(5);

/// The wait after `failures` failures in a row (1 or more): doubling, with up to a quarter more that depends on `id`, so
/// that what failed together does not come back together.
pub fn backoff(id: Uuid, failures: u32) -> Duration {
    let doubled = BACKOFF.0.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF.1);
    // The last byte of a version 7 UUID is random.
    let jitter = f64::from(id.as_bytes()[15]) / 255.0 / 4.0;
    doubled.mul_f64(1.0 + jitter)
}

/// A message that will come back, how often it has failed here, and until when later ones of its heal wait for it.
#[derive(Debug)]
struct Failing {
    age: Age,
    failures: u32,
    until: Timestamp,
}

/// What puts messages in the order they were written.
type Age = (Timestamp, Uuid);

const fn age(outgoing: &Outgoing) -> Age {
    (outgoing.created_at, outgoing.id)
}

/// A message to send, and how many failures in a row it would add to.
#[derive(Debug)]
pub struct Next {
    /// The message.
    pub outgoing: Outgoing,
    /// Failures of this message or of the whole lane, whichever are more.
    pub failures: u32,
}

/// One channel's queue.
#[derive(Debug, Default)]
pub struct Lane {
    /// What waits, by age.
    waiting: BTreeMap<Age, Outgoing>,
    /// What is known here, so that a claim that lapsed brings nothing twice.
    known: BTreeSet<Uuid>,
    /// What is under way.
    busy: Option<Uuid>,
    /// Heals with a message that will come back.
    failing: BTreeMap<HealId, Failing>,
    /// Failures since the last success.
    failures: u32,
    /// Nothing is sent before.
    paused_until: Option<Timestamp>,
}

impl Lane {
    /// Takes a claimed message in. Answers whether it was new here.
    pub fn push(&mut self, outgoing: Outgoing) -> bool {
        if self.waiting.len() >= MAX_WAITING || !self.known.insert(outgoing.id) {
            return false;
        }
        self.waiting.insert(age(&outgoing), outgoing);
        true
    }

    /// The next message to send, if the lane is free: the one that failed least often, and of those the oldest. So a
    /// message that fails again and again does not stand in the way of the others.
    pub fn next(&mut self, now: Timestamp) -> Option<Next> {
        if self.busy.is_some() || self.paused_until.is_some_and(|until| until > now) {
            return None;
        }
        self.failing.retain(|_, failing| failing.until > now);
        let mut seen = BTreeSet::new();
        // By age, so the first one of each heal is the only one of it whose turn it can be.
        let (failures, age) = self
            .waiting
            .iter()
            .filter(|(_, outgoing)| seen.insert(outgoing.message.heal.id))
            .filter_map(|(age, outgoing)| match self.failing.get(&outgoing.message.heal.id) {
                None => Some((0, *age)),
                Some(failing) if failing.age == *age => Some((failing.failures, *age)),
                Some(_) => None,
            })
            .min()?;
        let outgoing = self.waiting.remove(&age)?;
        self.busy = Some(outgoing.id);
        Some(Next { outgoing, failures: failures.max(self.failures) })
    }

    /// Learns what became of the message under way.
    pub fn settle(&mut self, outgoing: &Outgoing, result: &DeliveryResult, pause: Option<Duration>, now: Timestamp) {
        self.busy = None;
        self.known.remove(&outgoing.id);
        let heal = outgoing.message.heal.id;
        match result {
            DeliveryResult::Sent => {
                self.failing.remove(&heal);
                self.failures = 0;
                self.paused_until = None;
            }
            DeliveryResult::Dead { .. } => {
                self.failing.remove(&heal);
                self.paused_until = pause.map(|pause| now + pause);
            }
            DeliveryResult::Retry { at, .. } => {
                self.failures = self.failures.saturating_add(1);
                let pause = pause.unwrap_or_default().max(backoff(outgoing.id, self.failures));
                self.paused_until = Some(now + pause);
                let earlier = self.failing.get(&heal).filter(|failing| failing.age == age(outgoing));
                let failures = earlier.map_or(0, |failing| failing.failures).saturating_add(1);
                let until = (*at).max(now + pause) + PATIENCE;
                self.failing.insert(heal, Failing { age: age(outgoing), failures, until });
            }
        }
    }

    /// Gives up the message under way, of which nothing is known; its claim lapses and it comes back.
    pub fn abandon(&mut self) {
        if let Some(id) = self.busy.take() {
            self.known.remove(&id);
        }
    }

    /// When a paused lane with something to send goes on.
    pub fn resumes_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.paused_until.filter(|until| *until > now && !self.waiting.is_empty() && self.busy.is_none())
    }

    /// Whether nothing would be lost by forgetting the lane.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.busy.is_none()
            && self.waiting.is_empty()
            && self.failing.is_empty()
            && self.paused_until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests;
