//! A heal: one rule at work on one target for one or more alerts, its states and its story.

mod attempt;
mod episode;
mod phase;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Timestamp;
use super::action::{RenderedAction, Target};
use super::alert::{Alert, AlertStatus};
use super::backoff::Backoff;
use super::call::Call;
use super::reason::Reason;
use super::rule::{Mode, VerifyPolicy};

pub use self::attempt::{Approval, Attempt, AttemptId, AttemptStage, CancelRequest};
pub use self::episode::{Episode, LadderMemory};
pub use self::phase::{Outcome, Phase, STATES};

/// Identity of a heal: a time-ordered UUID, so that identifiers sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HealId(pub Uuid);

impl fmt::Display for HealId {
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
    /// When the last action that was really tried ended: its own, or that of the heal before it for the same alert.
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
    /// Alerts one heal takes in; further ones change nothing about it.
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

    /// Whether an action of its own has really been tried and ended.
    #[must_use]
    pub fn has_tried(&self) -> bool {
        self.first_attempt_at.zip(self.last_action_ended_at).is_some_and(|(first, ended)| first <= ended)
    }

    /// The latest failure in its story: why the attempt before did not heal.
    #[must_use]
    pub fn last_failure(&self) -> Option<&Reason> {
        self.timeline.iter().rev().map(|entry| &entry.reason).find(|reason| {
            matches!(
                reason,
                Reason::ActionFailed { .. }
                    | Reason::ActionRefused { .. }
                    | Reason::ActionTimedOut { .. }
                    | Reason::UnreachableTooLong { .. }
                    | Reason::NotVerified { .. }
                    | Reason::Unverifiable { .. }
            )
        })
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

#[cfg(test)]
pub(super) mod tests;
