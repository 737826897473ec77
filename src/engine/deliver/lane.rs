//! One channel's queue: what waits, what is under way, and when the channel may be tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use crate::domain::message::MessageKind;
use crate::domain::{Timestamp, elapsed};
use crate::notify::Pace;
use crate::store::{DeliveryResult, Outgoing};

/// Messages that wait in memory; more stay in the outbox until their claim lapses.
const MAX_WAITING: usize = 1024;
/// Shortest and longest pause after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(10));
/// How long failures are remembered beyond the time at which their message should have come back.
const PATIENCE: Duration = Duration::from_mins(5);

/// The wait after `failures` failures in a row (1 or more): doubling, with up to a quarter more that depends on `id`, so
/// that what failed together does not come back together.
pub fn backoff(id: Uuid, failures: u32) -> Duration {
    let doubled = BACKOFF.0.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF.1);
    // The last byte of a version 7 UUID is random.
    let jitter = f64::from(id.as_bytes()[15]) / 255.0 / 4.0;
    doubled.mul_f64(1.0 + jitter)
}

/// How often a message that will come back has failed here, and until when that is remembered.
#[derive(Debug)]
struct Failing {
    failures: u32,
    until: Timestamp,
}

/// What puts messages in the order they were written.
type Age = (Timestamp, Uuid);

const fn age(outgoing: &Outgoing) -> Age {
    (outgoing.created_at, outgoing.id)
}

/// Whether it begins a story that may be told with others. What is to be decided never is: whoever decides must see what,
/// and a bundle has no way to answer.
const fn may_gather(outgoing: &Outgoing) -> bool {
    outgoing.memory.is_none() && !matches!(outgoing.message.kind, MessageKind::ApprovalNeeded)
}

/// What to send next, and how many failures in a row it would add to.
#[derive(Debug)]
pub struct Next {
    /// One message, or several that go as one.
    pub outgoings: Vec<Outgoing>,
    /// Failures of this message or of the whole lane, whichever are more.
    pub failures: u32,
}

/// One channel's queue. The store hands out only the oldest message of each heal, so that whatever waits here may go in
/// any order.
#[derive(Debug, Default)]
pub struct Lane {
    pace: Pace,
    /// What waits, by age.
    waiting: BTreeMap<Age, Outgoing>,
    /// What is known here, so that a claim that lapsed brings nothing twice.
    known: BTreeSet<Uuid>,
    /// What is under way.
    busy: Vec<Uuid>,
    /// Messages that will come back.
    failing: BTreeMap<Uuid, Failing>,
    /// Failures since the last success.
    failures: u32,
    /// After a bundle: until when further stories gather.
    gather_until: Option<Timestamp>,
    /// Nothing is sent before.
    paused_until: Option<Timestamp>,
    /// When everything sent so far would have been sent had it been spread evenly; how far that is ahead of the clock
    /// says how much of the burst is used.
    spread_until: Option<Timestamp>,
    /// When it was last looked at.
    looked_at: Option<Timestamp>,
}

impl Lane {
    /// An empty queue for a channel that bears this much.
    pub fn new(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// Takes a claimed message in. Answers whether it was new here.
    pub fn push(&mut self, outgoing: Outgoing) -> bool {
        if self.waiting.len() >= MAX_WAITING || !self.known.insert(outgoing.id) {
            return false;
        }
        self.waiting.insert(age(&outgoing), outgoing);
        true
    }

    /// What to send next, if the lane is free: the message that failed least often, and of those the oldest. So a
    /// message that fails again and again does not stand in the way of the others. When many begin a story of their own
    /// at once they go as one, because nobody reads fifty messages.
    pub fn next(&mut self, now: Timestamp) -> Option<Next> {
        self.follow_clock(now);
        if !self.busy.is_empty() || self.free_at().is_some_and(|at| at > now) {
            return None;
        }
        self.failing.retain(|_, failing| failing.until > now);
        let gathers = self.gather_until.is_some_and(|until| until > now);
        let has_gathered = self.gather_until.take_if(|until| *until <= now).is_some();
        let begins = |(_, outgoing): &(&Age, &Outgoing)| may_gather(outgoing) && !gathers;
        let bundle: Vec<_> = self.waiting.iter().filter(begins).map(|(age, _)| *age).collect();
        // What was kept for later goes together, however few these are.
        let held = |entry: &(&Age, &Outgoing)| entry.1.held && begins(entry);
        let held: Vec<_> = self.waiting.iter().filter(held).map(|(age, _)| *age).collect();
        let failures = |id| self.failing.get(&id).map_or(0, |failing| failing.failures);
        let is_crowd = bundle.len() >= self.pace.bundle_from || has_gathered && bundle.len() > 1;
        let together = if is_crowd { bundle } else { held };
        let (ages, failures) = if together.len() > 1 {
            let most = together.iter().map(|(_, id)| failures(*id)).max();
            (together, most.unwrap_or_default())
        } else {
            let may_go = |(_, outgoing): &(&Age, &Outgoing)| !may_gather(outgoing) || !gathers;
            let next = self.waiting.iter().filter(may_go).map(|(age, _)| (failures(age.1), *age)).min();
            let (failures, age) = next?;
            (vec![age], failures)
        };
        let outgoings: Vec<_> = ages.iter().filter_map(|age| self.waiting.remove(age)).collect();
        self.busy = outgoings.iter().map(|outgoing| outgoing.id).collect();
        if is_crowd {
            self.gather_until = Some(now + self.pace.gather);
        }
        self.spread_until = Some(self.spread_until.map_or(now, |at| at.max(now)) + self.pace.gap);
        Some(Next { outgoings, failures: failures.max(self.failures) })
    }

    /// Learns what became of what was under way. The other side may have asked for a pause.
    pub fn settle(&mut self, settled: &[(Outgoing, DeliveryResult)], pause: Option<Duration>, now: Timestamp) {
        self.busy.clear();
        let mut failed = None;
        for (outgoing, result) in settled {
            self.known.remove(&outgoing.id);
            let earlier = self.failing.remove(&outgoing.id);
            match result {
                DeliveryResult::Sent { .. } => {
                    self.failures = 0;
                    self.paused_until = None;
                }
                DeliveryResult::Dead { .. } => self.paused_until = pause.map(|pause| now + pause),
                DeliveryResult::Held { .. } => {}
                DeliveryResult::Retry { at, .. } => {
                    failed.get_or_insert(outgoing.id);
                    let failures = earlier.map_or(0, |failing| failing.failures).saturating_add(1);
                    let until = (*at).max(now + pause.unwrap_or_default()) + PATIENCE;
                    self.failing.insert(outgoing.id, Failing { failures, until });
                }
            }
        }
        if let Some(id) = failed {
            self.failures = self.failures.saturating_add(1);
            self.paused_until = Some(now + pause.unwrap_or_default().max(backoff(id, self.failures)));
        }
    }

    /// Gives up what was under way, of which nothing is known; its claim lapses and it comes back.
    pub fn abandon(&mut self) {
        for id in self.busy.drain(..) {
            self.known.remove(&id);
        }
    }

    /// Takes the lane's times along when the clock was put back: it would rest until the clock has caught up.
    fn follow_clock(&mut self, now: Timestamp) {
        let back = self.looked_at.replace(now).map_or(Duration::ZERO, |before| elapsed(now, before));
        for until in [&mut self.gather_until, &mut self.paused_until, &mut self.spread_until].into_iter().flatten() {
            *until -= back;
        }
    }

    /// When the channel bears the next message.
    fn free_at(&self) -> Option<Timestamp> {
        let burst = self.pace.gap * self.pace.burst.saturating_sub(1);
        self.paused_until.max(self.spread_until.map(|at| at - burst))
    }

    /// When a paused lane with something to send goes on.
    pub fn resumes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let gathered = self.gather_until.filter(|_| self.waiting.values().all(may_gather));
        let next = self.free_at().max(gathered);
        next.filter(|at| *at > now && !self.waiting.is_empty() && self.busy.is_empty())
    }

    /// Whether nothing would be lost by forgetting the lane.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        let is_over = |until: Option<Timestamp>| until.is_none_or(|until| until <= now);
        self.busy.is_empty()
            && self.waiting.is_empty()
            && self.failing.is_empty()
            && is_over(self.paused_until)
            && is_over(self.spread_until)
            && is_over(self.gather_until)
    }
}

#[cfg(test)]
mod tests;
