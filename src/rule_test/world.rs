//! A world in which time stands still until it is told to pass: the daemon's own store, rules and decisions, with the test
//! in the place of Alertmanager, of the engine and of the clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::config::{ActionEnd, Happening, HealChoice, TestAlert, Testimony};
use crate::domain::Timestamp;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint};
use crate::domain::decide::{ActionOutcome, Event, Policy};
use crate::domain::evidence::{Answer, Finding, Probe};
use crate::domain::heal::{Attempt, Heal, HealId, Phase};
use crate::domain::instruction::{Instruction, Order};
use crate::domain::message::MessageKind;
use crate::domain::pause::{Pause, PauseId, PauseRequest};
use crate::domain::rule::RuleSet;
use crate::ids::Ids;
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{DeliveryResult, HealQuery, Sighting, Store, StoreError};

/// Heals looked at in one go, as in the daemon.
const BATCH: u32 = 256;
/// Heals a test may begin.
const MAX_HEALS: u32 = 10_000;
/// Looks at due heals within one wait. Whatever needs more never comes to rest.
const MAX_LOOKS: u32 = 100_000;

/// Why a test cannot go on. Not a failed expectation.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    /// The store refused, which is a defect.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// Heals keep falling due without time passing.
    #[error("heals fall due again and again and nothing comes to rest")]
    Restless,
    /// The test tells the end of an action that is not under way.
    #[error("no action is under way; {0}")]
    NothingActs(String),
    /// A person answers, and nothing asks.
    #[error("nothing waits for an approval; {0}")]
    NothingAsks(String),
    /// A person ends a heal, and none is open.
    #[error("no heal is open; {0}")]
    NothingOpen(String),
    /// Evidence is told that nobody asks for.
    #[error(
        "no open heal asks for such evidence, a rule names it under `verify`; the resolve is told by `resolved`; {0}"
    )]
    NothingAsked(String),
    /// A person's order was refused, or should have been.
    #[error("{0}")]
    Order(String),
    /// It is not clear which action ends.
    #[error("{0}")]
    Choice(String),
    /// Time has run out of numbers.
    #[error("this is too far in the future")]
    TooLate,
}

/// A message that somebody would have got.
#[derive(Debug)]
pub struct Told {
    /// Which change it tells.
    pub kind: MessageKind,
    /// Of which heal.
    pub heal: HealId,
    /// The receiver's name.
    pub receiver: String,
}

/// The world of one test.
pub struct World {
    store: SqliteStore,
    rules: RuleSet,
    policy: Arc<Policy>,
    ids: Ids,
    began: Timestamp,
    now: Timestamp,
    firing_since: BTreeMap<Fingerprint, Timestamp>,
    told: Vec<Told>,
    /// What evidence says, the latest last; what nothing is said of holds.
    testimonies: Vec<Testimony>,
}

impl World {
    /// A world that remembers nothing. Every receiver of `policy` is one channel that wants everything.
    ///
    /// # Errors
    /// The machine has no memory or no thread to give.
    pub fn new(rules: RuleSet, policy: Arc<Policy>, began: Timestamp) -> anyhow::Result<Self> {
        let count = AtomicU64::new(1);
        Ok(Self {
            store: SqliteStore::in_memory(Options::default())?,
            rules,
            policy,
            // Identities by number sort by creation, and a test looks the same each time it runs.
            ids: Ids::from_fn(move || Uuid::from_u128(u128::from(count.fetch_add(1, Relaxed)))),
            began,
            now: began,
            firing_since: BTreeMap::new(),
            told: Vec::new(),
            testimonies: Vec::new(),
        })
    }

    /// How long the test has been going on.
    pub fn elapsed(&self) -> Duration {
        crate::domain::elapsed(self.began, self.now)
    }

    /// When the test began.
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// Every message so far, oldest first.
    pub fn told(&self) -> &[Told] {
        &self.told
    }

    /// Every heal so far, oldest first.
    pub async fn heals(&self) -> Result<Vec<Heal>, StoreError> {
        let mut heals = self.store.heals(HealQuery { limit: MAX_HEALS, ..HealQuery::default() }).await?;
        heals.reverse();
        Ok(heals)
    }

    /// Lets something happen and then everything that follows from it at once.
    pub async fn happen(&mut self, happening: &Happening, choose: impl Choose) -> Result<(), Stuck> {
        match happening {
            Happening::Delivery(status, alerts) => self.deliver(*status, alerts).await?,
            Happening::Action { end, says, of } => {
                let heals = self.heals().await?;
                let acting: Vec<_> = heals.iter().filter(|heal| heal.attempt().is_some()).collect();
                if acting.is_empty() {
                    return Err(Stuck::NothingActs(describe(&heals)));
                }
                let heal = choose(of, &acting).map_err(Stuck::Choice)?;
                self.end_action(heal, *end, says.as_deref()).await?;
            }
            Happening::Verification(testimony) => self.testify(testimony).await?,
            Happening::Order { order, by, because, refused, of } => {
                let instruction = Instruction { order: order.clone(), by: by.clone(), because: because.clone() };
                self.instruct(instruction, refused.as_deref(), of, choose).await?;
            }
            Happening::Pause { scope, reason, by, lasts } => {
                let id = PauseId(self.ids.heal().0);
                let request =
                    PauseRequest { scope: scope.clone(), reason: reason.clone(), by: by.clone(), lasts: *lasts };
                let pause = Pause::new(id, request, self.now).map_err(|error| Stuck::Order(error.to_string()))?;
                self.store.pause(pause, self.now).await?;
            }
            Happening::Resume => drop(self.store.resume(None, self.now).await?),
            Happening::Wait(time) => return self.wait(*time).await,
        }
        self.settle().await.map(drop)
    }

    async fn deliver(&mut self, status: AlertStatus, alerts: &[Arc<TestAlert>]) -> Result<(), Stuck> {
        let (mut sightings, external_url) = (Vec::new(), Arc::from(""));
        for told in alerts {
            let alert = self.alert(status, told);
            let requests = self.rules.matching(&alert).map(|rule| (self.ids.heal(), rule.request(&alert))).collect();
            sightings.extend(Sighting::of(alert, requests, &external_url, &self.policy.rules));
        }
        self.store.ingest(Arc::clone(&self.policy), sightings, self.now).await?;
        Ok(())
    }

    fn alert(&mut self, status: AlertStatus, told: &TestAlert) -> Alert {
        let fingerprint = Fingerprint::of(&told.labels);
        let (starts_at, ends_at) = match status {
            AlertStatus::Firing => (*self.firing_since.entry(fingerprint).or_insert(self.now), None),
            AlertStatus::Resolved => (self.firing_since.remove(&fingerprint).unwrap_or(self.now), Some(self.now)),
        };
        Alert {
            fingerprint,
            status,
            labels: told.labels.clone(),
            annotations: told.annotations.clone(),
            starts_at,
            ends_at,
            generator_url: told.generator_url.clone(),
        }
    }

    /// What the engine would put on record when an action ends.
    async fn end_action(&self, heal: &Heal, end: ActionEnd, says: Option<&str>) -> Result<(), StoreError> {
        let Some(Attempt { id: attempt, .. }) = heal.attempt() else { return Ok(()) };
        let attempt = *attempt;
        let says = says.unwrap_or(match end {
            ActionEnd::Succeeded => "succeeded in this test",
            ActionEnd::NotNeeded => "not needed in this test",
            ActionEnd::Failed => "failed in this test",
            ActionEnd::Refused => "refused in this test",
            ActionEnd::Doubtful => "doubtful in this test",
            ActionEnd::Unreachable => "unreachable in this test",
            ActionEnd::TimedOut => "",
        });
        let says = says.to_owned();
        if matches!(end, ActionEnd::Succeeded | ActionEnd::Failed | ActionEnd::Doubtful | ActionEnd::TimedOut) {
            let (found, what) = ("looked in this test".to_owned(), "begun in this test".to_owned());
            self.record(heal.id, Event::Prepared { attempt, handle: Value::Null, found }).await?;
            self.record(heal.id, Event::Started { attempt, handle: Value::Null, what }).await?;
        }
        let outcome = match end {
            ActionEnd::Succeeded => ActionOutcome::Done { what: says },
            ActionEnd::NotNeeded => ActionOutcome::NotNeeded { what: says },
            ActionEnd::Failed => ActionOutcome::Failed { error: says },
            ActionEnd::Refused => ActionOutcome::Refused { error: says },
            ActionEnd::Doubtful => ActionOutcome::Doubtful { error: says },
            ActionEnd::Unreachable => ActionOutcome::Unreachable { error: says },
            ActionEnd::TimedOut => ActionOutcome::TimedOut,
        };
        self.record(heal.id, Event::Finished { attempt, outcome }).await
    }

    async fn record(&self, heal: HealId, event: Event) -> Result<(), StoreError> {
        self.store.record(Arc::clone(&self.policy), heal, event, self.now).await.map(drop)
    }

    /// Lets time pass, stopping wherever something is due.
    async fn wait(&mut self, time: Duration) -> Result<(), Stuck> {
        let end = self.now.checked_add(time).map_err(|_| Stuck::TooLate)?;
        for _ in 0..MAX_LOOKS {
            let due = self.settle().await?;
            let deadlines = self.acting().await?.into_iter().filter_map(|heal| heal.attempt().map(|a| a.deadline));
            let Some(next) = due.into_iter().chain(deadlines).min().filter(|next| *next <= end) else {
                self.now = end;
                self.settle().await?;
                return Ok(());
            };
            self.now = whole_millis(next).max(self.now);
            self.time_out().await?;
        }
        Err(Stuck::Restless)
    }

    async fn acting(&self) -> Result<Vec<Heal>, StoreError> {
        let query = HealQuery { state: Some("acting".to_owned()), limit: MAX_HEALS, ..HealQuery::default() };
        self.store.heals(query).await
    }

    /// Ends what the engine would end at its deadline.
    async fn time_out(&self) -> Result<(), StoreError> {
        for heal in self.acting().await? {
            if heal.attempt().is_some_and(|attempt| attempt.deadline <= self.now) {
                self.end_action(&heal, ActionEnd::TimedOut, None).await?;
            }
        }
        Ok(())
    }

    /// Advances whatever is due now, as the engine does; answers when the next heal is due.
    async fn settle(&mut self) -> Result<Option<Timestamp>, Stuck> {
        for _ in 0..MAX_LOOKS {
            let advanced = self.store.advance_due(Arc::clone(&self.policy), BATCH, self.now).await?;
            let asking: Vec<_> = advanced.changed.iter().filter(|heal| heal.wants_evidence()).collect();
            for heal in &asking {
                self.answer(heal).await?;
            }
            if !asking.is_empty() {
                continue;
            }
            if advanced.changed.is_empty() || advanced.next_due.is_none_or(|due| due > self.now) {
                self.collect_messages().await?;
                return Ok(advanced.next_due);
            }
        }
        Err(Stuck::Restless)
    }

    /// Carries out a person's order on the one heal it can be meant for.
    async fn instruct(
        &self,
        instruction: Instruction,
        refused: Option<&str>,
        of: &HealChoice,
        choose: impl Choose,
    ) -> Result<(), Stuck> {
        let heals = self.heals().await?;
        let is_answer = instruction.order != Order::Cancel;
        let could_be = |heal: &&Heal| match heal.phase {
            Phase::AwaitingApproval { .. } => true,
            _ => !is_answer && heal.outcome().is_none(),
        };
        let meant: Vec<_> = heals.iter().filter(could_be).collect();
        if meant.is_empty() {
            let heals = describe(&heals);
            return Err(if is_answer { Stuck::NothingAsks(heals) } else { Stuck::NothingOpen(heals) });
        }
        let heal = choose(of, &meant).map_err(Stuck::Choice)?;
        let said = self.store.instruct(Arc::clone(&self.policy), heal.id, instruction, self.now).await?;
        let reason = said.reason.to_string();
        match refused {
            None if said.done => Ok(()),
            None => Err(Stuck::Order(format!("the order was refused: {reason}"))),
            Some(_) if said.done => Err(Stuck::Order(format!("the order was not refused: {reason}"))),
            Some(words) if reason.contains(words) => Ok(()),
            Some(words) => Err(Stuck::Order(format!("the order was refused, but not because of {words:?}: {reason}"))),
        }
    }

    /// Notes what evidence says from now on, and says it at once to whoever asks.
    async fn testify(&mut self, testimony: &Testimony) -> Result<(), Stuck> {
        let heals = self.heals().await?;
        let asking: Vec<_> =
            heals.iter().filter(|heal| heal.outcome().is_none() && concerns(testimony, heal)).collect();
        if asking.is_empty() {
            return Err(Stuck::NothingAsked(describe(&heals)));
        }
        self.testimonies.push(testimony.clone());
        for heal in asking {
            self.answer(heal).await?;
        }
        Ok(())
    }

    /// Answers what a heal asks for besides the resolve. It holds unless the test says otherwise.
    async fn answer(&self, heal: &Heal) -> Result<(), StoreError> {
        let (Phase::Verifying { since, .. }, Some(step)) = (&heal.phase, heal.current_step()) else { return Ok(()) };
        let said = |probe: &Probe<String>| {
            let about = |said: &&Testimony| is_meant(&said.of, heal) && is_of_kind(said, probe);
            let wanted = probe.wanted();
            match self.testimonies.iter().rev().find(about) {
                None => Finding::new(Answer::Holds, format!("{wanted} (taken to hold)")),
                Some(Testimony { answer, says: Some(says), .. }) => Finding::new(*answer, says.clone()),
                Some(Testimony { answer: Answer::Holds, .. }) => Finding::new(Answer::Holds, wanted),
                Some(Testimony { answer: Answer::Fails, .. }) => {
                    Finding::new(Answer::Fails, format!("{wanted} does not hold in this test"))
                }
                Some(Testimony { answer: Answer::Unknown, .. }) => {
                    Finding::new(Answer::Unknown, format!("{wanted} cannot be told in this test"))
                }
            }
        };
        let findings = step.verify.probes.iter().map(said).collect();
        self.record(heal.id, Event::Observed { since: *since, findings }).await
    }

    async fn collect_messages(&mut self) -> Result<(), StoreError> {
        loop {
            let (messages, _) = self.store.claim_messages(BATCH, self.now).await?;
            if messages.is_empty() {
                return Ok(());
            }
            for outgoing in messages {
                self.store.message_result(outgoing.id, DeliveryResult::Sent { memory: None }, self.now).await?;
                let (kind, heal) = (outgoing.message.kind, outgoing.message.heal.id);
                self.told.push(Told { kind, heal, receiver: outgoing.channel });
            }
        }
    }

    /// Ends the world.
    pub async fn close(self) {
        self.store.close().await;
    }
}

/// Whether a testimony is about something that a heal's current step asks for.
fn concerns(testimony: &Testimony, heal: &Heal) -> bool {
    let probes = heal.current_step().map_or(&[][..], |step| &step.verify.probes);
    is_meant(&testimony.of, heal) && probes.iter().any(|probe| is_of_kind(testimony, probe))
}

fn is_meant(of: &HealChoice, heal: &Heal) -> bool {
    of.rule.as_ref().is_none_or(|rule| heal.rule == *rule)
        && of.target.as_ref().is_none_or(|(target, _)| heal.target.as_str() == target)
}

fn is_of_kind(testimony: &Testimony, probe: &Probe<String>) -> bool {
    let kind = match probe {
        Probe::Http(_) => "http",
        Probe::Tcp(_) => "tcp",
        Probe::Promql(_) => "promql",
        Probe::ContainerHealthy => "container",
    };
    testimony.probe.as_deref().is_none_or(|wanted| wanted == kind)
}

/// The heals in one sentence.
fn describe(heals: &[Heal]) -> String {
    let states: Vec<_> =
        heals.iter().map(|heal| format!("{} on {} is {}", heal.rule, heal.target, heal.phase.name())).collect();
    if states.is_empty() { "there is no heal".to_owned() } else { states.join(", ") }
}

/// Finds the heal that is meant among some, or says why it cannot.
pub trait Choose: for<'h> Fn(&HealChoice, &[&'h Heal]) -> Result<&'h Heal, String> {}
impl<F> Choose for F where F: for<'h> Fn(&HealChoice, &[&'h Heal]) -> Result<&'h Heal, String> {}

/// The store keeps whole milliseconds; what is due within one is due at its end.
fn whole_millis(at: Timestamp) -> Timestamp {
    let millis = at.as_millisecond();
    let rounded = Timestamp::from_millisecond(millis).unwrap_or(at);
    if rounded < at { Timestamp::from_millisecond(millis + 1).unwrap_or(at) } else { rounded }
}
