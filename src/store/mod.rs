//! The durable memory: heals, episodes, the outbox. A store does not decide; it reads a snapshot, asks
//! [`decide`](crate::domain::decide::decide) and commits the plan, all in one transaction.

pub mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::alert::{Alert, AlertStatus};
use crate::domain::decide::{Event, Policy, Snapshot};
use crate::domain::heal::{Heal, HealId};
use crate::domain::instruction::Instruction;
use crate::domain::message::Message;
use crate::domain::pause::{Pause, PauseId};
use crate::domain::plan::Plan;
use crate::domain::reason::Reason;
use crate::domain::report::Report;
use crate::domain::rule::HealRequest;
use crate::domain::rule_policy::RulePolicies;

/// How a store decides: [`decide`](crate::domain::decide::decide), unless a test hands in its own.
pub type DecideFn = fn(&Policy, &Snapshot, Event, Timestamp) -> Plan;

/// The store could not do what was asked; nothing of it was committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// More work waits than the store takes in; try again shortly.
    #[error("the store's queue is full ({limit} requests wait)")]
    Busy {
        /// How many requests may wait.
        limit: usize,
    },
    /// The database refused: disk full, file damaged, and the like.
    #[error("the database refused: {0}")]
    Database(String),
    /// What is stored cannot be read by this version.
    #[error("the stored {what} cannot be read: {error}")]
    Unreadable {
        /// What was being read.
        what: String,
        /// The reader's words.
        error: String,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

/// One alert of a delivery with what the matching rules ask for.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The alert.
    pub alert: Arc<Alert>,
    /// What each matching rule asks for, with the identity a new heal would get; empty when no rule matches.
    pub requests: Vec<(HealId, HealRequest)>,
    /// Alertmanager's address; may be empty.
    pub external_url: Arc<str>,
}

impl Sighting {
    /// What a store must hear of an alert; `None` when that is nothing. A firing alert that no rule wants concerns nobody,
    /// unless a rule must not act beside it; a resolved one may end a heal begun under other rules.
    #[must_use]
    pub fn of(
        alert: Alert,
        requests: Vec<(HealId, HealRequest)>,
        external_url: &Arc<str>,
        rules: &RulePolicies,
    ) -> Option<Self> {
        let matters = !requests.is_empty() || alert.status == AlertStatus::Resolved || rules.is_blocker(&alert.labels);
        matters.then(|| Self { alert: Arc::new(alert), requests, external_url: Arc::clone(external_url) })
    }
}

/// What was decided for one rule and one alert of a delivery.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The heal it is about, when there is one.
    pub heal: Option<HealId>,
    /// The rule's name.
    pub rule: String,
    /// Whether anything was committed for it.
    pub changed: bool,
    /// The heal whole, when this ended it.
    pub ended: Option<Box<Heal>>,
    /// Why.
    pub reason: Reason,
}

/// What came of looking at the heals that are due.
#[derive(Debug, Default)]
pub struct Advanced {
    /// Every heal that changed, as committed.
    pub changed: Vec<Heal>,
    /// Those of them whose action is to be started now; they are leased to this process.
    pub to_start: Vec<Heal>,
    /// Those of them whose action runs and must be asked to stop.
    pub to_cancel: Vec<Heal>,
    /// When the next heal is due, if there is one.
    pub next_due: Option<Timestamp>,
}

/// What came of a person's order.
#[derive(Debug, Clone)]
pub struct Instructed {
    /// The heal as it stands afterwards; `None` when there is none of that identity.
    pub heal: Option<Heal>,
    /// Whether the order was carried out. If not, the reason says what is in its way.
    pub done: bool,
    /// Why.
    pub reason: Reason,
}

/// A message of the outbox, claimed for delivery.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Identity, stable over retries: the basis of `Message-ID`.
    pub id: Uuid,
    /// The channel's name, `<receiver>/<integration>`.
    pub channel: String,
    /// What to tell.
    pub message: Message,
    /// Deliveries tried before this one.
    pub tries: u32,
    /// When it was committed.
    pub created_at: Timestamp,
    /// From when on it counts how long it could not be delivered.
    pub since: Timestamp,
    /// Whether it was kept for later so that people have their peace; it goes together with others like it.
    pub held: bool,
    /// What the channel's notifier remembers of the heal from earlier messages.
    pub memory: Option<serde_json::Value>,
}

/// What became of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The other side took it.
    Sent {
        /// What the notifier wants to remember of the heal; `None` leaves what it remembers as it is.
        memory: Option<serde_json::Value>,
    },
    /// Not now; try again at the given time.
    Retry {
        /// When.
        at: Timestamp,
        /// What the other side said.
        error: String,
    },
    /// Not yet, so that people have their peace; it was not tried.
    Held {
        /// Until then.
        until: Timestamp,
    },
    /// Never; it is kept and shown.
    Dead {
        /// What the other side said.
        error: String,
        /// Channels that are told in its place.
        forward_to: Vec<String>,
    },
}

/// Which heals to list.
#[derive(Debug, Clone, Default)]
pub struct HealQuery {
    /// Only this state (API name).
    pub state: Option<String>,
    /// Only this rule.
    pub rule: Option<String>,
    /// Only those for which a human has been called and is still needed.
    pub called: bool,
    /// Only this target.
    pub target: Option<String>,
    /// Only heals planned at this time or later.
    pub since: Option<Timestamp>,
    /// Only heals planned before this time.
    pub until: Option<Timestamp>,
    /// At most this many; the caller bounds it.
    pub limit: u32,
    /// Only heals created before this one.
    pub before: Option<HealId>,
}

/// Which heals to report on.
#[derive(Debug, Clone, Default)]
pub struct ReportQuery {
    /// Only this rule.
    pub rule: Option<String>,
    /// Only heals that ended at this time or later.
    pub since: Option<Timestamp>,
    /// Only heals that ended before this time.
    pub until: Option<Timestamp>,
    /// At most this many shadows, the latest; the caller bounds it.
    pub shadows: u32,
}

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Identity.
    pub id: Uuid,
    /// The channel's name.
    pub channel: String,
    /// Which change it tells, by the kind's word.
    pub event: String,
    /// The heal.
    pub heal: HealId,
    /// Its rule.
    pub rule: String,
    /// Its target.
    pub target: String,
    /// When it was committed.
    pub created_at: Timestamp,
    /// Deliveries tried.
    pub tries: u32,
    /// What the other side last said.
    pub error: String,
}

/// What somebody wants done with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadOrder {
    /// Send them again.
    Retry,
    /// Never send them.
    Discard,
}

/// What has not been delivered to one channel.
pub type Backlog = OutboxCounts;

/// Messages of the outbox by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Not yet delivered.
    pub waiting: u64,
    /// Given up.
    pub dead: u64,
}

/// The seam to the database. Every method that changes something commits before it returns.
#[async_trait]
pub trait Store: Send + Sync {
    /// Whether it takes nothing in any more until it is opened anew, because nobody knows what the disk holds.
    fn is_broken(&self) -> bool {
        false
    }

    /// Decides on every alert of one delivery and commits all of it in one transaction, or nothing.
    /// Deliveries that arrive together may share one commit. The decisions stand in the order of sightings and their
    /// requests; a resolve is followed by one more for every heal or memory of the alert that no request asked for,
    /// such as those of rules that no longer exist.
    async fn ingest(
        &self,
        policy: Arc<Policy>,
        sightings: Vec<Sighting>,
        now: Timestamp,
    ) -> Result<Vec<Decision>, StoreError>;

    /// Decides on up to `limit` heals that are due and commits. Attempts that begin are leased to this process.
    /// While no further heal may begin, those that wait for that are left alone; call again when an action has ended.
    async fn advance_due(&self, policy: Arc<Policy>, limit: u32, now: Timestamp) -> Result<Advanced, StoreError>;

    /// Decides on one event of one heal and commits; answers the heal as it stands afterwards and the reason.
    async fn record(
        &self,
        policy: Arc<Policy>,
        heal: HealId,
        event: Event,
        now: Timestamp,
    ) -> Result<(Option<Heal>, Reason), StoreError>;

    /// Carries out a person's order on one heal, if the heal still stands as the order needs it (compare and set), and
    /// commits. Heals may be due afterwards.
    async fn instruct(
        &self,
        policy: Arc<Policy>,
        heal: HealId,
        instruction: Instruction,
        now: Timestamp,
    ) -> Result<Instructed, StoreError>;

    /// Adds a pause: until it ends nothing new starts of what it covers. Answers `false`, and adds nothing, when there are
    /// [`Pause::MAX_COUNT`] already.
    async fn pause(&self, pause: Pause, now: Timestamp) -> Result<bool, StoreError>;

    /// Ends one pause, or all of them, before its time, and has every held heal asked again; answers those it ended.
    async fn resume(&self, pause: Option<PauseId>, now: Timestamp) -> Result<Vec<Pause>, StoreError>;

    /// The pauses that last now, oldest first.
    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>, StoreError>;

    /// Decides, once for each pause that lasts, whether it has held heals back for too long, and commits; answers the heals
    /// by which people are told so.
    async fn tell_of_long_pauses(&self, policy: Arc<Policy>, now: Timestamp) -> Result<Vec<Heal>, StoreError>;

    /// Makes due now every heal that a guard holds: what held it may have changed, as after a reload.
    async fn recheck_held(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Leases to this process every heal in state `acting` whose owner is gone, and answers them. Messages such an owner
    /// had claimed are due again.
    async fn take_over(&self, now: Timestamp) -> Result<Vec<Heal>, StoreError>;

    /// Extends the leases of this process.
    async fn renew_leases(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Claims up to `limit` messages that are due; a claim lapses after a minute so that a crash repeats rather than loses.
    /// Of each heal and channel only the oldest message that waits is ever claimed, so that no story is told out of order.
    /// Also answers when the next one is due.
    async fn claim_messages(
        &self,
        limit: u32,
        now: Timestamp,
    ) -> Result<(Vec<Outgoing>, Option<Timestamp>), StoreError>;

    /// Records what became of a delivery.
    async fn message_result(&self, id: Uuid, result: DeliveryResult, now: Timestamp) -> Result<(), StoreError>;

    /// Lists heals, newest first.
    async fn heals(&self, query: HealQuery) -> Result<Vec<Heal>, StoreError>;

    /// One heal.
    async fn heal(&self, id: HealId) -> Result<Option<Heal>, StoreError>;

    /// What rules would have done and when the alerts resolved all the same, and how the other heals ended.
    async fn report(&self, query: ReportQuery) -> Result<Report, StoreError>;

    /// How many heals are in each state, states without any included.
    async fn counts(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// The outbox in numbers.
    async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError>;

    /// The same, channel by channel; channels without any are left out.
    async fn backlogs(&self) -> Result<BTreeMap<String, Backlog>, StoreError>;

    /// Up to `limit` messages that were given up, oldest first.
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError>;

    /// Does as somebody says with one dead letter, or with all of them; answers with how many there were.
    async fn settle_dead_letters(&self, id: Option<Uuid>, order: DeadOrder, now: Timestamp) -> Result<u64, StoreError>;

    /// Deletes what ended before `before`, in bounded portions; answers how many heals went. A heal stays while a
    /// message of it is still to be delivered.
    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Finishes what was accepted, then closes. Later calls answer [`StoreError::Closed`].
    async fn close(&self);
}
