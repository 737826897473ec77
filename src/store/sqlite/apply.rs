//! From a snapshot to a committed plan: the one way by which heals, episodes and messages change.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::session::{Session, decode_heal, encode, millis, millis_up};
use crate::domain::action::Target;
use crate::domain::call::Call;
use crate::domain::decide::{Event, Policy, Snapshot};
use crate::domain::guard::{Full, Storm, Window};
use crate::domain::heal::{Heal, HealId, Phase};
use crate::domain::message::MessageKind;
use crate::domain::plan::{Plan, PlannedMessage};
use crate::domain::reason::Reason;
use crate::store::StoreError;

/// How long an attempt belongs to the process that began it unless it says again that it lives.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// Attempts are remembered for longer than any window that limits look at, whatever a reload brings.
const ATTEMPT_MEMORY: Duration = Window::LONGEST.saturating_add(Duration::from_hours(1));

/// What the engine is to do about an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Start it.
    Start,
    /// Ask it to stop.
    Stop,
}

/// What became of one event.
pub(super) struct Applied {
    /// The heal as it stands now.
    pub(super) heal: Option<Heal>,
    /// Whether anything was written.
    pub(super) changed: bool,
    /// What is to be done about the current attempt's action after the commit.
    pub(super) errand: Option<Errand>,
    /// See [`Plan::full`].
    pub(super) full: Option<Full>,
    /// See [`Plan::look_again_at`].
    pub(super) look_again_at: Option<Timestamp>,
    /// See [`Plan::storm`].
    pub(super) storm: Option<Storm>,
    pub(super) reason: Reason,
}

/// A message as the outbox keeps it; reads back as [`Message`](crate::domain::message::Message).
#[derive(Serialize)]
struct MessageDoc<'a> {
    kind: MessageKind,
    at: Timestamp,
    heal: &'a Heal,
}

impl Session {
    /// Decides on one event and writes the plan.
    pub(super) fn transition(
        &self,
        policy: &Policy,
        snapshot: Snapshot,
        event: Event,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let plan = (self.decide)(policy, &snapshot, event, now);
        self.write_plan(policy, snapshot.heal, plan, now)
    }

    fn write_plan(
        &self,
        policy: &Policy,
        before: Option<Heal>,
        plan: Plan,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let Plan {
            heal,
            episodes,
            messages,
            start_action,
            cancel_action,
            full,
            look_again_at,
            storm,
            goes_on_from,
            reason,
        } = plan;
        let changed = heal.is_some() || !episodes.is_empty();
        if let Some(heal) = &heal {
            let is_new = before.as_ref().is_none_or(|before| before.id != heal.id);
            self.write_heal(heal, is_new, start_action, now)?;
            if is_new {
                self.note_sighting(policy, heal, now)?;
            }
            if let Some(earlier) = goes_on_from {
                self.go_on_with_conversations(heal, earlier)?;
            }
            let earlier = before.as_ref().filter(|_| !is_new).and_then(|before| before.call.as_ref());
            self.write_call(heal, earlier)?;
            for message in &messages {
                self.write_message(message, heal, now)?;
            }
            if start_action {
                self.write_attempt(heal, now)?;
            }
            if let Some(before) = before.as_ref().filter(|before| never_tried(before, heal)) {
                self.forget_attempt(before)?;
            }
        } else if start_action || !messages.is_empty() {
            return Err(StoreError::Database("a plan without a heal has messages or an action".to_owned()));
        }
        for episode in &episodes {
            self.write_episode(episode, heal.as_ref())?;
        }
        if let (Some(storm), Some(heal)) = (storm, heal.as_ref().or(before.as_ref())) {
            self.write_storm(&heal.rule, storm)?;
        }
        let errand = if start_action { Some(Errand::Start) } else { cancel_action.then_some(Errand::Stop) };
        Ok(Applied { heal: heal.or(before), changed, errand, full, look_again_at, storm, reason })
    }

    fn write_heal(&self, heal: &Heal, is_new: bool, start_action: bool, now: Timestamp) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO heal
            (id, rule, target, state, due_at, action_target, lease_owner, lease_until, created_at, updated_at, ended_at, doc)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        // Whoever acts keeps its lease through changes that others bring, such as an alert that joins.
        const UPDATE: &str = "UPDATE heal SET rule = ?2, target = ?3, state = ?4, due_at = ?5, action_target = ?6,
            lease_owner = CASE WHEN ?6 IS NOT NULL THEN COALESCE(?7, lease_owner) END,
            lease_until = CASE WHEN ?6 IS NOT NULL THEN COALESCE(?8, lease_until) END,
            created_at = ?9, updated_at = ?10, ended_at = ?11, doc = ?12 WHERE id = ?1";
        let acting_on = heal.current_step().filter(|_| is_acting(heal)).map(|step| step.action.target());
        let statement = if is_new { INSERT } else { UPDATE };
        let rows = self.written(heal, |doc| {
            let values = params![
                id_text(heal.id.0),
                heal.rule,
                heal.target.as_str(),
                heal.phase.name(),
                heal.due_at().map(millis_up),
                acting_on.as_ref().map(Target::as_str),
                start_action.then(|| id_text(self.owner)),
                start_action.then(|| later(now, LEASE)),
                millis(heal.created_at),
                millis(heal.updated_at),
                heal.ended_at().map(millis),
                doc,
            ];
            Ok(self.execute(statement, values)?)
        })?;
        if rows != 1 {
            return Err(StoreError::Database(format!("heal {} is not stored", heal.id)));
        }
        if heal.ended_at().is_some() {
            self.open.ended(heal);
        } else if is_new {
            self.open.begun(heal, self.connection.last_insert_rowid());
        }
        Ok(())
    }

    fn write_message(&self, message: &PlannedMessage, heal: &Heal, now: Timestamp) -> Result<(), StoreError> {
        let doc = encode(&MessageDoc { kind: message.kind, at: now, heal })?;
        for channel in &message.channels {
            self.execute(
                "INSERT INTO outbox (id, heal, channel, kind, doc, created_at, due_at, since)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6)",
                params![
                    id_text(self.fresh_id(now)),
                    id_text(heal.id.0),
                    channel.name,
                    message.kind.as_str(),
                    doc,
                    millis(now)
                ],
            )?;
        }
        Ok(())
    }

    /// What notifiers remember of an earlier heal, such as the message they edit, holds for this one as well.
    fn go_on_with_conversations(&self, heal: &Heal, earlier: HealId) -> Result<(), StoreError> {
        self.execute(
            "INSERT OR IGNORE INTO memory (heal, channel, doc) SELECT ?1, channel, doc FROM memory WHERE heal = ?2",
            params![id_text(heal.id.0), id_text(earlier.0)],
        )?;
        Ok(())
    }

    /// Keeps track of when a call for a human is to be looked at; most heals never have one.
    fn write_call(&self, heal: &Heal, earlier: Option<&Call>) -> Result<(), StoreError> {
        match &heal.call {
            Some(call) if earlier.is_none_or(|earlier| earlier.look_at != call.look_at) => self.execute(
                "INSERT INTO call (heal, look_at) VALUES (?1, ?2)
                 ON CONFLICT (heal) DO UPDATE SET look_at = excluded.look_at",
                params![id_text(heal.id.0), millis_up(call.look_at)],
            )?,
            None if earlier.is_some() => self.execute("DELETE FROM call WHERE heal = ?1", [id_text(heal.id.0)])?,
            _ => 0,
        };
        Ok(())
    }

    fn write_attempt(&self, heal: &Heal, now: Timestamp) -> Result<(), StoreError> {
        let Some(step) = heal.current_step() else {
            return Err(StoreError::Database(format!("heal {} starts an action but has no step", heal.id)));
        };
        self.execute("DELETE FROM attempt WHERE started_at < ?1", [earlier(now, ATTEMPT_MEMORY)])?;
        self.execute(
            "INSERT INTO attempt (heal, step, number, rule, target, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (heal, step, number) DO UPDATE SET started_at = excluded.started_at",
            params![
                id_text(heal.id.0),
                i64::try_from(heal.step).unwrap_or(i64::MAX),
                step.attempts_used,
                heal.rule,
                step.action.target().as_str(),
                millis(now)
            ],
        )?;
        Ok(())
    }

    /// Takes an attempt that could not be tried out of what counts against the limits: nothing was done, and others would be held
    /// back by it.
    fn forget_attempt(&self, heal: &Heal) -> Result<(), StoreError> {
        let Some(step) = heal.current_step() else { return Ok(()) };
        let number = i64::try_from(heal.step).unwrap_or(i64::MAX);
        self.execute(
            "DELETE FROM attempt WHERE heal = ?1 AND step = ?2 AND number = ?3",
            params![id_text(heal.id.0), number, step.attempts_used],
        )?;
        Ok(())
    }

    /// A heal by its identity.
    pub(super) fn read_heal(&self, id: HealId) -> Result<Option<Heal>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT doc FROM heal WHERE id = ?1")?;
        let doc: Option<String> = statement.query_row([id_text(id.0)], |row| row.get(0)).optional()?;
        doc.as_deref().map(decode_heal).transpose()
    }
}

/// Whether what was under way could not be tried at all, so that it is tried again without having cost an attempt.
fn never_tried(before: &Heal, after: &Heal) -> bool {
    is_acting(before) && matches!(after.phase, Phase::Pending { unreachable_since: Some(_), .. })
}

/// Whether an attempt of the heal is under way.
const fn is_acting(heal: &Heal) -> bool {
    matches!(heal.phase, Phase::Acting(_))
}

/// `span` after `at`, as the store keeps it.
pub(super) fn later(at: Timestamp, span: Duration) -> i64 {
    millis_up(at).saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// `span` before `at`, as the store keeps it.
pub(super) fn earlier(at: Timestamp, span: Duration) -> i64 {
    millis(at).saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// An identity as the store keeps it: sorts as text in the order of its time.
pub(super) fn id_text(id: uuid::Uuid) -> String {
    id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
}
