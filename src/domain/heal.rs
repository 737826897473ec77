//! A heal: one rule at work on one target for one or more alerts, its states and its story.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Timestamp;
use super::action::{RenderedAction, Target};
use super::alert::{Alert, AlertStatus, Fingerprint};
use super::backoff::Backoff;
use super::call::Call;
use super::evidence::Watch;
use super::reason::Reason;
use super::rule::{Mode, VerifyPolicy};

/// Identity of a heal: a time-ordered UUID, so that identifiers sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HealId(pub Uuid);

impl fmt::Display for HealId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of one try of a step; a late answer to an earlier try is recognised by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub Uuid);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One rung of a heal's own ladder, rendered when the heal began, so that a reload does not change a running heal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealStep {
    /// What to do.
    pub action: RenderedAction,
    /// How often to try it.
    pub attempts: u32,
    /// How often it has been tried.
    pub attempts_used: u32,
    /// The pause between attempts.
    pub backoff: Backoff,
    /// How long the action itself may take.
    #[serde(with = "super::duration::stored")]
    pub timeout: Duration,
    /// What counts as healed.
    pub verify: VerifyPolicy<String>,
}

/// How far an attempt's deed has come. Each is committed before the next begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "stage")]
pub enum AttemptStage {
    /// Decided; nothing has been looked at or done.
    Intended,
    /// Looked at; `handle` names exactly what the deed will touch. The deed may or may not have been done.
    Prepared {
        /// The action's own words for what it found.
        handle: serde_json::Value,
    },
    /// The deed was done; `handle` leads to its outcome.
    Started {
        /// The action's own words for what it follows.
        handle: serde_json::Value,
    },
}

/// One try of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Identity.
    pub id: AttemptId,
    /// When it was decided.
    pub began_at: Timestamp,
    /// When the action is given up.
    pub deadline: Timestamp,
    /// Since when the symptom is there: what was restarted after this needs no second restart.
    pub symptom_since: Timestamp,
    /// Since when the action could not even be tried, carried over from earlier tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_since: Option<Timestamp>,
    /// A person wants it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelRequest>,
    /// How far it has come.
    pub stage: AttemptStage,
}

/// A person wants an attempt stopped that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelRequest {
    /// Who.
    pub by: String,
    /// Why; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// When.
    pub at: Timestamp,
    /// Whether the process that carries the attempt out has been told.
    #[serde(default)]
    pub passed_on: bool,
}

/// A person's leave to take one step of a ladder, all its attempts included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Index of the step.
    pub step: usize,
    /// Who gave it.
    pub by: String,
    /// When it is void if the step has not begun by then.
    pub expires_at: Timestamp,
}

/// The named state of a heal with what only that state needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Phase {
    /// Waits for its due time: first try, back-off, a guard's hold, or an engine that cannot be reached.
    Pending {
        /// When to look again.
        due_at: Timestamp,
        /// Since when the action could not even be tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unreachable_since: Option<Timestamp>,
    },
    /// The action is ready and a person must allow it. Exactly the rendered action of the current step is meant.
    AwaitingApproval {
        /// The attempt that would begin; an approval names it, so that an old one cannot allow a new action.
        attempt: AttemptId,
        /// When nobody's answer counts as no.
        expires_at: Timestamp,
        /// Who may answer; empty means whoever may approve at all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvers: Vec<String>,
    },
    /// An attempt is under way.
    Acting(Attempt),
    /// The action is done; evidence is being gathered.
    Verifying {
        /// When the action was done.
        since: Timestamp,
        /// Without evidence by then the attempt has failed. `None` waits for the alert without limit (notify-only rules).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
        /// Since when all evidence holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        healthy_since: Option<Timestamp>,
        /// Asking for other evidence than the alert's resolve; `None` when none is wanted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        watch: Option<Watch>,
    },
    /// Ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
}

/// How a heal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// We acted and the evidence held.
    Healed,
    /// It got well before anything was done.
    Recovered,
    /// Every step has been tried; a human is needed.
    Exhausted,
    /// Refused; a human is told.
    Suppressed,
    /// What would have been done was recorded.
    Shadowed,
    /// A person ended it.
    Cancelled,
    /// Nobody approved in time; a human is needed.
    Expired,
}

impl Outcome {
    /// Every way a heal can end.
    pub const ALL: [Self; 7] = [
        Self::Healed,
        Self::Recovered,
        Self::Exhausted,
        Self::Suppressed,
        Self::Shadowed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The state's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Recovered => "recovered",
            Self::Exhausted => "exhausted",
            Self::Suppressed => "suppressed",
            Self::Shadowed => "shadowed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether somebody must act on it.
    #[must_use]
    pub const fn needs_human(self) -> bool {
        matches!(self, Self::Exhausted | Self::Suppressed | Self::Expired)
    }
}

/// Every state's name as the API and the store know it, in the order a heal passes them.
pub const STATES: [&str; 11] = [
    "pending",
    "awaiting_approval",
    "acting",
    "verifying",
    "healed",
    "recovered",
    "exhausted",
    "suppressed",
    "shadowed",
    "cancelled",
    "expired",
];

impl Phase {
    /// The state's name in the API.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::Acting(_) => "acting",
            Self::Verifying { .. } => "verifying",
            Self::Ended { outcome, .. } => outcome.as_str(),
        }
    }
}

/// One line of a heal's story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// What happened, one short word or two: `planned`, `acting`, `restarted`.
    pub what: String,
    /// Why, with its numbers.
    pub reason: Reason,
    /// Who: `autoheal`, `alertmanager`, or a person's name.
    pub by: String,
}

/// One rule at work on one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heal {
    /// Identity.
    pub id: HealId,
    /// The rule's name.
    pub rule: String,
    /// What it is about.
    pub target: Target,
    /// What the rule may do on its own.
    pub mode: Mode,
    /// Where it stands.
    pub phase: Phase,
    /// Why it stands there.
    pub reason: Reason,
    /// The ladder as rendered when the heal began; empty when it only notifies.
    pub steps: Vec<HealStep>,
    /// Index of the current step.
    pub step: usize,
    /// The alerts it is for.
    pub alerts: Vec<Arc<Alert>>,
    /// Alertmanager's address, for links; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub external_url: String,
    /// How long the ladder is remembered after the end.
    #[serde(with = "super::duration::stored")]
    pub throttle: Duration,
    /// Who is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<String>,
    /// The rule's description.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where a human reads on; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub runbook: String,
    /// A person's leave to take the current step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Set while a human has been called and that is not over; it may outlive the heal's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// When its first attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_attempt_at: Option<Timestamp>,
    /// When the action of its latest attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_action_ended_at: Option<Timestamp>,
    /// When its alerts fired again although a heal had been verified, as far as flapping looks back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relapses: Vec<Timestamp>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its story, oldest first, bounded by [`Heal::MAX_TIMELINE`].
    pub timeline: Vec<TimelineEntry>,
    /// How many entries were left out of the middle of the story to keep it bounded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeline_dropped: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields by reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Heal {
    /// Entries a story may have; beyond it the oldest after the first are left out and counted.
    pub const MAX_TIMELINE: usize = 200;
    /// Alerts one heal takes in; further ones are told in the story but not kept.
    pub const MAX_ALERTS: usize = 100;
    /// How long after its deadline an attempt is ended by the clock alone.
    pub const WATCHDOG_GRACE: Duration = Duration::from_secs(30);

    /// The current step; `None` when the heal only notifies.
    #[must_use]
    pub fn current_step(&self) -> Option<&HealStep> {
        self.steps.get(self.step)
    }

    /// Whether a human was called because an alert came back although nothing was left to try.
    #[must_use]
    pub fn comes_and_goes(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.not_before.is_some())
    }

    /// Whether every alert it is for has resolved.
    #[must_use]
    pub fn all_resolved(&self) -> bool {
        self.alerts.iter().all(|alert| alert.status == AlertStatus::Resolved)
    }

    /// Whether any action was attempted.
    #[must_use]
    pub const fn has_acted(&self) -> bool {
        self.first_attempt_at.is_some()
    }

    /// The attempt under way.
    #[must_use]
    pub const fn attempt(&self) -> Option<&Attempt> {
        match &self.phase {
            Phase::Acting(attempt) => Some(attempt),
            _ => None,
        }
    }

    /// Whether evidence is to be asked for now that it is being verified.
    #[must_use]
    pub const fn wants_evidence(&self) -> bool {
        matches!(self.phase, Phase::Verifying { watch: Some(_), .. })
    }

    /// When it must be looked at again; `None` once ended.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Pending { due_at, .. } => Some(*due_at),
            Phase::AwaitingApproval { expires_at, .. } => Some(*expires_at),
            Phase::Acting(attempt) => Some(match &attempt.cancel {
                Some(cancel) if !cancel.passed_on => cancel.at,
                // Whoever runs the attempt ends it by its deadline; this is the watchdog for when nobody did.
                _ => attempt.deadline + Self::WATCHDOG_GRACE,
            }),
            // What holds is looked at again and again until it has held long enough.
            Phase::Verifying { healthy_since: Some(_), watch: Some(watch), .. } => Some(watch.look_at),
            Phase::Verifying { deadline, watch: Some(watch), .. } => {
                Some(deadline.map_or(watch.look_at, |deadline| deadline.min(watch.look_at)))
            }
            Phase::Verifying { since, deadline, healthy_since, watch: None } => {
                let healthy_for = self.current_step().map_or(Duration::ZERO, |step| step.verify.healthy_for);
                let healthy_at = healthy_since.map(|at| at + healthy_for);
                // A notify-only heal has neither; it is looked at once a day so that nothing is without a due time.
                Some(healthy_at.or(*deadline).unwrap_or(*since + Duration::from_hours(24)))
            }
            Phase::Ended { .. } => None,
        }
    }

    /// When it ended.
    #[must_use]
    pub const fn ended_at(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Ended { at, .. } => Some(at),
            _ => None,
        }
    }

    /// How it ended.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self.phase {
            Phase::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Whether its last change was one of an open heal; what comes after the end is about the call for a human.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.ended_at().is_none_or(|at| at == self.updated_at)
    }

    /// Adds a line to the story, keeping it bounded.
    pub fn tell(&mut self, at: Timestamp, what: impl Into<String>, reason: Reason, by: &str) {
        if self.timeline.len() >= Self::MAX_TIMELINE {
            self.timeline.remove(1);
            self.timeline_dropped += 1;
        }
        self.timeline.push(TimelineEntry { at, what: what.into(), reason, by: by.to_owned() });
    }
}

/// What is remembered of one alert under one rule and target, also after its heal ended: the ladder's memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// The rule's name.
    pub rule: String,
    /// The heal's target.
    pub target: Target,
    /// The last heal, if there was one.
    pub heal: Option<HealId>,
    /// The alert's last known status.
    pub status: AlertStatus,
    /// When the alert began to fire, as last told.
    pub starts_at: Timestamp,
    /// When it resolved, as last told.
    pub ends_at: Option<Timestamp>,
    /// When we last heard of it.
    pub seen_at: Timestamp,
    /// How the last heal ended and how far its ladder had been climbed; `None` while it is open.
    pub ended: Option<LadderMemory>,
}

/// How far a ladder had been climbed when its heal ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderMemory {
    /// When the heal ended.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Index of the step it had reached.
    pub step: usize,
    /// Attempts of that step that had been used.
    pub attempts_used: u32,
    /// See [`Heal::relapses`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relapses: Vec<Timestamp>,
    /// The human it called, where the alert comes and goes: a relapse does not call again before that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
}

#[cfg(test)]
pub(super) mod tests;
