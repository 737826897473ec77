//! The outbox's courier: claims messages that are due and carries each to its channel.
//!
//! Every channel is a lane with at most one message under way, so that a channel that hangs delays only itself. In
//! a lane messages go in the order they were written, no faster than the channel bears; when many wait that each begin
//! a story they go as one. When one cannot be delivered the lane pauses, and the message comes back when its own
//! back-off is over; until then messages of other heals may pass it, messages of the same heal may not: the store
//! hands out only the oldest one. So a channel's outage, or a restart, keeps every story in order, and one message that
//! is refused again and again holds up only its own heal.
//!
//! Delivery is at least once: a message leaves the outbox when its result is committed, and a process that dies
//! between sending and committing sends it again, under the same identity.

mod lane;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::domain::calm::Recent;
use crate::domain::{Timestamp, elapsed};
use crate::notify::{Carriers, NotifyError, Receipt};
use crate::store::{DeliveryResult, Outgoing, Store, StoreError};
use lane::{Lane, Next, backoff};

/// Messages claimed at once.
const BATCH: u32 = 64;
/// A notifier has limits of its own; this one is for a notifier that forgets. It is shorter than a claim, so that a
/// message is never claimed anew while it is under way.
const SEND_LIMIT: Duration = Duration::from_secs(50);
/// A message that could not be delivered for this long is given up.
const MAX_AGE: Duration = Duration::from_hours(24);
/// Longest time without looking into the outbox, whatever it said was next.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// Pauses between tries to commit a result.
const RECORD_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What became of one try, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The other side took it.
    Sent,
    /// It will be tried again.
    Retried,
    /// It was given up.
    Dead,
}

impl Delivery {
    /// The word for a failure in metrics; `None` when the message arrived.
    #[must_use]
    pub const fn failure(self) -> Option<&'static str> {
        match self {
            Self::Sent => None,
            Self::Retried => Some("retried"),
            Self::Dead => Some("dead"),
        }
    }
}

/// Is told of every try: the message, what became of it, and what the other side said if it failed.
pub type OnDelivery = Arc<dyn Fn(&Outgoing, Delivery, Option<&str>) + Send + Sync>;

/// The notifier of every channel, by the channel's name; a reload replaces all of them at once.
pub type Notifiers = Arc<ArcSwap<Carriers>>;

/// Carries messages from the outbox to their channels.
pub struct Courier {
    store: Arc<dyn Store>,
    notifiers: Notifiers,
    clock: Arc<dyn Clock>,
    wake: Arc<Notify>,
    on_delivery: OnDelivery,
}

/// A try has ended and its result is committed.
struct Settled {
    results: Vec<(Outgoing, DeliveryResult)>,
    /// How long the other side wants to be left alone.
    pause: Option<Duration>,
    /// When it answered.
    answered_at: Timestamp,
}

impl Courier {
    /// A courier for these channels; `wake` says that messages may be due.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        notifiers: Notifiers,
        clock: Arc<dyn Clock>,
        wake: Arc<Notify>,
        on_delivery: OnDelivery,
    ) -> Self {
        Self { store, notifiers, clock, wake, on_delivery }
    }

    /// Delivers until told to stop; then finishes what is under way, but no longer than `grace`. What is not delivered
    /// stays in the outbox.
    pub async fn run(self, stop: CancellationToken, grace: Duration) {
        let courier = Arc::new(self);
        let mut round = Round {
            courier: Arc::clone(&courier),
            lanes: HashMap::new(),
            tasks: JoinSet::new(),
            channels: HashMap::new(),
            recent: HashMap::new(),
        };
        while !stop.is_cancelled() {
            let idle = round.claim().await;
            round.start();
            tokio::select! {
                () = stop.cancelled() => {}
                () = courier.wake.notified() => {}
                () = tokio::time::sleep(idle) => {}
                Some(ended) = round.tasks.join_next_with_id() => round.settle(ended),
            }
            while let Some(ended) = round.tasks.try_join_next_with_id() {
                round.settle(ended);
            }
        }
        let finish = async { while round.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, finish).await.is_err() {
            info!(messages = round.tasks.len(), "messages under way did not finish in time; they stay in the outbox");
        }
        round.tasks.shutdown().await;
    }
}

/// The courier at work.
struct Round {
    courier: Arc<Courier>,
    lanes: HashMap<String, Lane>,
    tasks: JoinSet<Settled>,
    /// Whose message each task carries.
    channels: HashMap<Id, String>,
    /// What each channel was told lately.
    recent: HashMap<String, Recent>,
}

impl Round {
    /// Claims what is due and sorts it into lanes. Answers how long to rest.
    async fn claim(&mut self) -> Duration {
        loop {
            let now = self.courier.clock.now();
            let (claimed, next_due) = match self.courier.store.claim_messages(BATCH, now).await {
                Ok(claimed) => claimed,
                Err(StoreError::Closed) => return MAX_IDLE,
                Err(error) => {
                    warn!(%error, "the outbox cannot be read; trying again");
                    return RECORD_PAUSE.1;
                }
            };
            let is_full = claimed.len() == BATCH as usize;
            let (held, claimed) = self.hold(claimed, now).await;
            let mut is_news = held > 0;
            for outgoing in claimed {
                let pace =
                    || self.courier.notifiers.load().notifiers.get(&outgoing.channel).map(|notifier| notifier.pace());
                let lane = self.lanes.entry(outgoing.channel.clone());
                is_news |= lane.or_insert_with(|| Lane::new(pace().unwrap_or_default())).push(outgoing);
            }
            // A full batch may have more behind it, unless it only repeats what waits here already.
            if !(is_full && is_news) {
                let resumes = self.lanes.values().filter_map(|lane| lane.resumes_at(now)).min();
                let next = next_due.into_iter().chain(resumes).min();
                return next.map_or(MAX_IDLE, |at| elapsed(now, at).min(MAX_IDLE));
            }
        }
    }

    /// Keeps for later what would disturb people now; answers how many these are, and the others.
    async fn hold(&mut self, claimed: Vec<Outgoing>, now: Timestamp) -> (usize, Vec<Outgoing>) {
        let carriers = self.courier.notifiers.load_full();
        let mut later = Vec::new();
        let mut others = Vec::new();
        for outgoing in claimed {
            let until = carriers.calm.get(&outgoing.channel).and_then(|calm| {
                let recent = self.recent.entry(outgoing.channel.clone()).or_default();
                calm.hold(recent, &outgoing.message, outgoing.memory.is_some(), outgoing.held, now)
            });
            match until {
                Some(until) => {
                    let held = DeliveryResult::Held { until };
                    log(&outgoing, &held);
                    later.push((outgoing, held));
                }
                None => others.push(outgoing),
            }
        }
        join_all(later.iter().map(|(outgoing, result)| self.courier.record(outgoing, result))).await;
        (later.len(), others)
    }

    /// Puts the next message of every free lane under way.
    fn start(&mut self) {
        let now = self.courier.clock.now();
        for (channel, lane) in &mut self.lanes {
            if let Some(next) = lane.next(now) {
                let task = self.tasks.spawn(Arc::clone(&self.courier).deliver(next));
                self.channels.insert(task.id(), channel.clone());
            }
        }
        self.lanes.retain(|_, lane| !lane.is_idle(now));
    }

    fn settle(&mut self, ended: Result<(Id, Settled), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(lane) = self.channels.remove(&id).and_then(|channel| self.lanes.get_mut(&channel)) else { return };
        match ended {
            Ok((_, settled)) => lane.settle(&settled.results, settled.pause, settled.answered_at),
            Err(error) => {
                error!(%error, "a delivery broke down; the message comes back");
                lane.abandon();
            }
        }
    }
}

impl Courier {
    /// One try: sends what is next and commits what became of it.
    async fn deliver(self: Arc<Self>, next: Next) -> Settled {
        let Next { outgoings, failures } = next;
        let answer = self.send(&outgoings).await;
        let answered_at = self.clock.now();
        let mut pause = None;
        let mut results: Vec<(Outgoing, DeliveryResult)> = Vec::new();
        // What went together comes back together.
        let mut back_at = None;
        for outgoing in outgoings {
            let (mut result, asked) = judge(&outgoing, failures, answer.clone(), answered_at);
            if let DeliveryResult::Dead { forward_to, .. } = &mut result {
                *forward_to = self.stand_ins(&outgoing);
            }
            if let DeliveryResult::Retry { at, .. } = &mut result {
                *at = *back_at.get_or_insert(*at);
            }
            log(&outgoing, &result);
            pause = pause.max(asked);
            results.push((outgoing, result));
        }
        // At once, so that the store commits them together.
        join_all(results.iter().map(|(outgoing, result)| self.record(outgoing, result))).await;
        for (outgoing, result) in &results {
            let (told, error) = match result {
                DeliveryResult::Sent { .. } => (Delivery::Sent, None),
                // What is held was not tried, and is none of these.
                DeliveryResult::Retry { error, .. } => (Delivery::Retried, Some(error.as_str())),
                DeliveryResult::Dead { error, .. } => (Delivery::Dead, Some(error.as_str())),
                DeliveryResult::Held { .. } => continue,
            };
            (self.on_delivery)(outgoing, told, error);
        }
        Settled { results, pause, answered_at }
    }

    /// The fallback receiver's channels, unless the message is for one of them already.
    fn stand_ins(&self, outgoing: &Outgoing) -> Vec<String> {
        let carriers = self.notifiers.load();
        if carriers.fallback.iter().any(|channel| channel.name == outgoing.channel) {
            return Vec::new();
        }
        let wanting = carriers.fallback.iter().filter(|channel| channel.audience.wants(outgoing.message.kind));
        wanting.map(|channel| channel.name.clone()).collect()
    }

    async fn send(&self, outgoings: &[Outgoing]) -> Result<Receipt, NotifyError> {
        let carriers = self.notifiers.load();
        let Some(notifier) =
            outgoings.first().and_then(|outgoing| carriers.notifiers.get(&outgoing.channel)).map(Arc::clone)
        else {
            let error = "the configuration has no such channel any more".to_owned();
            return Err(NotifyError::Permanent { error });
        };
        let sending = async {
            match outgoings {
                [outgoing] => notifier.send(outgoing).await,
                // What is remembered is remembered of one heal; a bundle is about many.
                _ => notifier.send_bundle(outgoings).await.map(|receipt| Receipt { memory: None, ..receipt }),
            }
        };
        let sending = AssertUnwindSafe(sending).catch_unwind();
        let retry = |error: &str| NotifyError::Retryable { error: error.to_owned(), after: None };
        match tokio::time::timeout(SEND_LIMIT, sending).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(retry("the notifier broke down")),
            Err(_) => Err(retry("the notifier did not finish in time")),
        }
    }

    /// Commits the result, however long it takes: sending again because the store was busy would tell people twice.
    async fn record(&self, outgoing: &Outgoing, result: &DeliveryResult) {
        let mut pause = RECORD_PAUSE.0;
        loop {
            match self.store.message_result(outgoing.id, result.clone(), self.clock.now()).await {
                Ok(()) => return,
                Err(StoreError::Closed) => {
                    warn!(channel = %outgoing.channel, message = %outgoing.id, "the store closed before a delivery was recorded; it may be repeated");
                    return;
                }
                Err(error) => {
                    warn!(channel = %outgoing.channel, message = %outgoing.id, %error, "a delivery cannot be recorded; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RECORD_PAUSE.1);
                }
            }
        }
    }
}

/// Says what became of a try: what was given up is an error, because a person waits for it in vain.
fn log(outgoing: &Outgoing, result: &DeliveryResult) {
    let Outgoing { channel, message, tries, .. } = outgoing;
    let (heal, kind, tries) = (&message.heal.id, message.kind.as_str(), tries + 1);
    match result {
        DeliveryResult::Held { until } => debug!(%channel, %heal, kind, %until, "message kept for later"),
        DeliveryResult::Sent { .. } => debug!(%channel, %heal, kind, tries, "message delivered"),
        DeliveryResult::Retry { at, error } => {
            warn!(%channel, %heal, kind, tries, error, again_at = %at, "message not delivered; trying again");
        }
        DeliveryResult::Dead { error, forward_to } => error!(
            %channel, %heal, kind, tries, error, told_instead = forward_to.join(", "),
            "message given up; check the receiver with `autoheal notify test`, then `autoheal notify dead retry --all`"
        ),
    }
}

/// What a notifier's answer means for the message, and how long the channel is to be left alone.
fn judge(
    outgoing: &Outgoing,
    failures: u32,
    answer: Result<Receipt, NotifyError>,
    now: Timestamp,
) -> (DeliveryResult, Option<Duration>) {
    match answer {
        Ok(Receipt { memory, .. }) => (DeliveryResult::Sent { memory }, None),
        Err(NotifyError::Permanent { error }) => (dead(error), None),
        Err(NotifyError::Retryable { error, after }) if elapsed(outgoing.since, now) >= MAX_AGE => {
            (dead(format!("not delivered within 24 hours, last: {error}")), after)
        }
        Err(NotifyError::Retryable { error, after }) => {
            let wait = backoff(outgoing.id, failures.saturating_add(1)).max(after.unwrap_or_default());
            (DeliveryResult::Retry { at: now + wait, error }, after)
        }
    }
}

const fn dead(error: String) -> DeliveryResult {
    DeliveryResult::Dead { error, forward_to: Vec::new() }
}

#[cfg(test)]
mod samples;

#[cfg(test)]
mod tests {
    use super::samples::{at, outgoing};
    use super::*;

    fn down(after: Option<Duration>) -> Result<Receipt, NotifyError> {
        Err(NotifyError::Retryable { error: "down".into(), after })
    }

    #[test]
    fn what_may_pass_is_retried_after_the_longer_of_back_off_and_the_pause_asked_for() {
        let hour = Duration::from_hours(1);
        let retry = |second| DeliveryResult::Retry { at: at(second), error: "down".into() };
        let sample = outgoing(256, 1);
        assert_eq!(judge(&sample, 0, down(None), at(0)), (retry(5), None));
        assert_eq!(judge(&sample, 2, down(None), at(0)), (retry(20), None));
        assert_eq!(judge(&sample, 2, down(Some(hour)), at(0)), (retry(3600), Some(hour)));
    }

    #[test]
    fn a_message_is_given_up_after_a_day_or_at_once_when_it_will_never_be_taken() {
        let day = 24 * 3600;
        let sample = outgoing(256, 1);
        assert!(matches!(judge(&sample, 99, down(None), at(day - 1)).0, DeliveryResult::Retry { .. }));
        let error = "not delivered within 24 hours, last: down".to_owned();
        assert_eq!(judge(&sample, 99, down(None), at(day)).0, dead(error));
        let never = Err(NotifyError::Permanent { error: "no_service".into() });
        assert_eq!(judge(&sample, 0, never, at(0)).0, dead("no_service".into()));
    }
}
