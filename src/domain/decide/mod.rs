//! `decide`: the one function by which heals change.

mod attempt;
mod call;
mod draft;
mod due;
mod evidence;
mod firing;
mod instructed;
mod paused;
mod resolved;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Timestamp;
use super::alert::{Alert, Fingerprint};
use super::alertmanager::Alertmanager;
use super::evidence::Finding;
use super::guard::{Limits, Load};
use super::heal::{Attempt, AttemptId, Episode, Heal, HealId};
use super::instruction::Instruction;
use super::message::Channel;
use super::pause::Pause;
use super::plan::Plan;
use super::reason::Reason;
use super::rule::HealRequest;
use super::rule_policy::RulePolicies;
use draft::Draft;

pub use draft::AUTOHEAL;

/// What holds for all heals: limits, who can be reached how, and whether anything may be done at all.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Limits over all rules.
    pub limits: Limits,
    /// What holds for each rule. A heal of a rule that is no longer there is bound by the limits over all only.
    pub rules: RulePolicies,
    /// The channels of each receiver, by receiver name.
    pub receivers: BTreeMap<String, Vec<Channel>>,
    /// What Alertmanager last said; `None` when it is not asked.
    pub alertmanager: Option<Arc<Alertmanager>>,
    /// After how long a pause that holds heals back is too long; `None` for never.
    pub page_paused_after: Option<Duration>,
    /// Dry run: every rule is a shadow rule and nobody is told.
    pub dry_run: bool,
}

/// What is known when an event arrives, read in the transaction that will commit the plan.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The heal the event is about, or the open heal of the rule and target.
    pub heal: Option<Heal>,
    /// What is remembered of the alert under this rule and target.
    pub episode: Option<Episode>,
    /// What is remembered of all alerts of the heal; read only for [`Event::Instructed`] and [`Event::CallDue`].
    pub memories: Vec<Episode>,
    /// What runs; read only for [`Event::Due`] and [`Event::CallDue`].
    pub load: Load,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionOutcome {
    /// It did its work.
    Done {
        /// What it did, in words.
        what: String,
    },
    /// It looked and found that nothing needs doing.
    NotNeeded {
        /// What it found, in words.
        what: String,
    },
    /// It was tried and failed; another attempt may help.
    Failed {
        /// What was tried, on what, and what happened.
        error: String,
    },
    /// It must not or cannot be done on this target; another attempt would not help.
    Refused {
        /// Why, and what a person can do.
        error: String,
    },
    /// What was done, or what is going on, is not what was meant or cannot be known. Nothing more is done; a human must look.
    Doubtful {
        /// What is known, and where to look.
        error: String,
    },
    /// It could not be tried at all; costs no attempt.
    Unreachable {
        /// Whom we could not reach and how.
        error: String,
    },
    /// It did not end before its deadline.
    TimedOut,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An alert fires and a rule matches it.
    Firing {
        /// The alert.
        alert: Arc<Alert>,
        /// What the rule asks for.
        request: Box<HealRequest>,
        /// Identity for a new heal, should one be needed.
        new_heal: HealId,
        /// Alertmanager's address; may be empty.
        external_url: String,
    },
    /// An alert resolved, told for one rule and target.
    Resolved {
        /// The alert.
        alert: Arc<Alert>,
        /// The rule's name.
        rule: String,
        /// The heal's target.
        target: super::action::Target,
    },
    /// Alertmanager was asked twice and does not have these alerts.
    Absent {
        /// The alerts.
        alerts: Vec<Fingerprint>,
        /// Since when it is up.
        up_since: Timestamp,
    },
    /// The heal's due time has come.
    Due {
        /// Identity for a new attempt, should one begin.
        new_attempt: AttemptId,
    },
    /// The time has come to look at the call for a human.
    CallDue,
    /// The action has looked and knows what it will touch.
    Prepared {
        /// The attempt it belongs to.
        attempt: AttemptId,
        /// The action's own words.
        handle: serde_json::Value,
        /// What it found, in words.
        found: String,
    },
    /// The action was done; its outcome is open.
    Started {
        /// The attempt it belongs to.
        attempt: AttemptId,
        /// The action's own words.
        handle: serde_json::Value,
        /// What was done, in words.
        what: String,
    },
    /// The action ended.
    Finished {
        /// The attempt it belongs to.
        attempt: AttemptId,
        /// How.
        outcome: ActionOutcome,
    },
    /// A person gives an order.
    Instructed(Instruction),
    /// Answers came to what the heal asks for evidence.
    Observed {
        /// When the verification began that they were asked for.
        since: Timestamp,
        /// In the order of the questions.
        findings: Vec<Finding>,
    },
    /// The clock was put forward while the attempt ran.
    ClockMoved {
        /// The attempt.
        attempt: AttemptId,
        /// By how much.
        by: Duration,
    },
    /// A pause lasts of which nobody has been told that it holds heals back for too long.
    Paused {
        /// The pause.
        pause: Pause,
        /// How many heals it holds back.
        heals: usize,
    },
    /// Another process took the attempt over.
    TakenOver {
        /// The attempt.
        attempt: AttemptId,
    },
}

/// Decides what an event changes. Pure: same inputs, same plan.
#[must_use]
pub fn decide(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    match event {
        Event::Firing { alert, request, new_heal, external_url } => {
            firing::decide(policy, snapshot, alert, *request, new_heal, external_url, now)
        }
        Event::Resolved { alert, rule, target } => resolved::decide(policy, snapshot, &alert, rule, target, now),
        Event::Absent { alerts, up_since } => match open(snapshot) {
            Ok(heal) => resolved::absent(policy, heal, &alerts, up_since, now),
            Err(reason) => match snapshot.heal.as_ref().filter(|heal| heal.call.is_some()) {
                Some(heal) => call::absent(policy, heal, &alerts, up_since, now),
                None => Plan::nothing(reason),
            },
        },
        Event::Due { new_attempt } => match open(snapshot) {
            Ok(heal) => due::decide(policy, heal, &snapshot.load, new_attempt, now),
            Err(reason) => Plan::nothing(reason),
        },
        Event::CallDue => call::due(policy, snapshot, now),
        Event::Prepared { attempt, handle, found } => {
            on_attempt(policy, snapshot, attempt, now, |draft, _| attempt::prepared(draft, handle, found))
        }
        Event::Started { attempt, handle, what } => {
            on_attempt(policy, snapshot, attempt, now, |draft, _| attempt::started(draft, handle, what))
        }
        Event::Finished { attempt, outcome } => {
            on_attempt(policy, snapshot, attempt, now, |draft, attempt| attempt::finished(draft, &attempt, outcome))
        }
        Event::Instructed(instruction) => instructed::decide(policy, snapshot, instruction, now),
        Event::Observed { since, findings } => observed(policy, snapshot, since, findings, now),
        Event::ClockMoved { attempt, by } => {
            on_attempt(policy, snapshot, attempt, now, |draft, attempt| attempt::clock_moved(draft, attempt, by))
        }
        Event::Paused { pause, heals } => match open(snapshot) {
            Ok(heal) => paused::decide(policy, heal, &pause, heals, now),
            Err(reason) => Plan::nothing(reason),
        },
        Event::TakenOver { attempt } => on_attempt(policy, snapshot, attempt, now, attempt::taken_over),
    }
}

/// The snapshot's heal, if it is still open.
fn open(snapshot: &Snapshot) -> Result<&Heal, Reason> {
    let heal = snapshot.heal.as_ref().ok_or(Reason::NoSuchHeal)?;
    heal.outcome().map_or(Ok(heal), |outcome| Err(Reason::HealEnded { outcome }))
}

/// Decides on evidence; what was asked for a verification that is over changes nothing.
fn observed(policy: &Policy, snapshot: &Snapshot, since: Timestamp, findings: Vec<Finding>, now: Timestamp) -> Plan {
    let heal = match open(snapshot) {
        Ok(heal) => heal,
        Err(reason) => return Plan::nothing(reason),
    };
    match evidence::Verifying::of(heal) {
        Some(verifying) if verifying.since == since => {
            let mut draft = Draft::of(policy, heal.clone(), now);
            if evidence::observed(&mut draft, verifying, findings) {
                draft.into_plan()
            } else {
                Plan::nothing(Reason::EvidenceAsBefore)
            }
        }
        _ => Plan::nothing(Reason::EvidenceLate),
    }
}

/// Decides on news of an attempt; news of an attempt that is over changes nothing.
fn on_attempt(
    policy: &Policy,
    snapshot: &Snapshot,
    attempt: AttemptId,
    now: Timestamp,
    change: impl FnOnce(&mut Draft<'_>, Attempt),
) -> Plan {
    let heal = match open(snapshot) {
        Ok(heal) => heal,
        Err(reason) => return Plan::nothing(reason),
    };
    match heal.attempt() {
        Some(current) if current.id == attempt => {
            let current = current.clone();
            let mut draft = Draft::of(policy, heal.clone(), now);
            change(&mut draft, current);
            draft.into_plan()
        }
        _ => Plan::nothing(Reason::AttemptOver),
    }
}
