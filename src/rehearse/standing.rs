//! What is remembered of an alert, and what that makes of its heal: which rung of the ladder comes, and what the guards say.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::Stage;
use crate::domain::Timestamp;
use crate::domain::alert::Alert;
use crate::domain::decide::{Event, Snapshot, decide};
use crate::domain::guard::{self, Load, Situation, Verdict};
use crate::domain::heal::{AttemptId, Episode, Heal, HealId, Phase};
use crate::domain::reason::Reason;
use crate::domain::rule::HealRequest;
use crate::store::StoreError;

/// Where on its ladder a rule would act for an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ladder {
    /// The open heal that the alert belongs to or would join.
    pub heal: Option<HealId>,
    /// The state of that heal, or the one a new heal would have.
    pub state: &'static str,
    /// Number of the step that is under way or comes next, from 1; 0 when the rule only notifies.
    pub step: usize,
    /// Number of the attempt that is under way or comes next, from 1; 0 when the rule only notifies.
    pub attempt: u32,
    /// How the last heal of this alert ended and how far it had climbed, while that is remembered.
    pub remembered: Option<Remembered>,
    /// What the guards say now; `None` when no attempt waits for them.
    pub guards: Option<Guards>,
}

/// The memory of a ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remembered {
    /// How the last heal ended.
    pub outcome: &'static str,
    /// When it ended.
    pub at: Timestamp,
    /// The step it had reached, from 1.
    pub step: usize,
    /// Attempts of that step that had been used.
    pub attempts: u32,
    /// Until when a relapse goes on where it stopped.
    pub until: Timestamp,
}

/// What the guards say, as far as the store can tell: what Alertmanager would say of silences is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Guards {
    /// In one word.
    pub verdict: GuardWord,
    /// Why, with numbers.
    pub reason: String,
    /// Until when they hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A verdict of the guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardWord {
    /// The attempt may begin.
    Allow,
    /// Not now.
    Hold,
    /// A person must allow it.
    Ask,
    /// Not at all.
    Refuse,
}

/// What would become of a firing alert under a rule.
pub(super) struct Considered {
    /// The heal as it would stand; `None` when nothing would begin.
    pub heal: Option<Heal>,
    /// Whether it is open already.
    pub is_open: bool,
    /// Why.
    pub reason: Reason,
    /// Where it would act; `None` when nothing is remembered and nothing would begin.
    pub ladder: Option<Ladder>,
}

/// What the daemon would decide when the alert arrives and, if the heal is due at once, right after.
pub(super) fn firing(stage: Stage<'_>, alert: &Alert, request: &mut HealRequest) -> Result<Considered, StoreError> {
    let snapshot = stage.past.map_or_else(|| Ok(Snapshot::default()), |past| past.firing(alert, request))?;
    let open = snapshot.heal.clone().filter(|heal| heal.outcome().is_none());
    let is_open = open.is_some();
    let remembered = snapshot.episode.as_ref().and_then(|episode| remembered(episode, request));
    let event = Event::Firing {
        alert: Arc::new(alert.clone()),
        request: Box::new(request.clone()),
        new_heal: HealId(Uuid::nil()),
        external_url: String::new(),
    };
    let first = decide(stage.policy, &snapshot, event, stage.now);
    let Some(heal) = first.heal.or(open) else {
        return Ok(Considered { heal: None, is_open, reason: first.reason, ladder: None });
    };
    let load = stage.past.map_or_else(|| Ok(Load::default()), |past| past.load(stage.policy, &heal, stage.now))?;
    let guards = matches!(heal.phase, Phase::Pending { .. }).then(|| guards(stage, &heal, &load));
    let ladder = Ladder {
        heal: is_open.then_some(heal.id),
        state: heal.phase.name(),
        step: if heal.steps.is_empty() { 0 } else { heal.step + 1 },
        attempt: attempt(&heal),
        remembered,
        guards,
    };
    let is_due = matches!(heal.phase, Phase::Pending { due_at, .. } if due_at <= stage.now);
    if !is_due {
        return Ok(Considered { heal: Some(heal), is_open, reason: first.reason, ladder: Some(ladder) });
    }
    let snapshot = Snapshot { heal: Some(heal.clone()), load, ..Snapshot::default() };
    let second = decide(stage.policy, &snapshot, Event::Due { new_attempt: AttemptId(Uuid::nil()) }, stage.now);
    let heal = second.heal.unwrap_or(heal);
    Ok(Considered { heal: Some(heal), is_open, reason: second.reason, ladder: Some(ladder) })
}

/// Why a resolve would begin nothing.
pub(super) fn resolved(stage: Stage<'_>, alert: &Alert, request: &HealRequest) -> Result<Reason, StoreError> {
    let Some(past) = stage.past else { return Ok(Reason::NothingOpen { alert: alert.fingerprint }) };
    let (target, snapshot) = past.resolved(alert, request)?;
    let event = Event::Resolved { alert: Arc::new(alert.clone()), rule: request.rule.clone(), target };
    Ok(decide(stage.policy, &snapshot, event, stage.now).reason)
}

fn attempt(heal: &Heal) -> u32 {
    let Some(step) = heal.current_step() else { return 0 };
    // What waits counts the attempt that comes; an attempt under way or verified has been counted.
    let comes = matches!(heal.phase, Phase::Pending { .. } | Phase::AwaitingApproval { .. });
    step.attempts_used + u32::from(comes)
}

fn remembered(episode: &Episode, request: &HealRequest) -> Option<Remembered> {
    let ended = episode.ended.as_ref()?;
    Some(Remembered {
        outcome: ended.outcome.as_str(),
        at: ended.at,
        step: ended.step + 1,
        attempts: ended.attempts_used,
        until: ended.at + request.throttle,
    })
}

fn guards(stage: Stage<'_>, heal: &Heal, load: &Load) -> Guards {
    let policy = stage.policy;
    let (rule, alertmanager) = (policy.rules.get(&heal.rule), policy.alertmanager.as_deref());
    let situation = Situation { heal, limits: &policy.limits, rule, alertmanager, load, now: stage.now };
    let says = |verdict, reason: String, until| Guards { verdict, reason, until };
    match guard::ask(&situation) {
        Verdict::Allow(numbers) => says(GuardWord::Allow, numbers, None),
        Verdict::Hold { until, reason } => says(GuardWord::Hold, reason.to_string(), Some(until)),
        Verdict::Ask => says(GuardWord::Ask, "a person must approve".to_owned(), None),
        Verdict::Refuse { reason } => says(GuardWord::Refuse, reason.to_string(), None),
        Verdict::Expired { at } => {
            says(GuardWord::Refuse, Reason::ApprovalExpired { expired_at: at }.to_string(), None)
        }
    }
}
