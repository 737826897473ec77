//! The JSON of heals and rules. Written apart from the domain's own serialisation, which is the store's business and may
//! change with it; this shape is a promise.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::Timestamp;
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use crate::domain::duration;
use crate::domain::evidence::Probe;
use crate::domain::heal::{AttemptId, Heal, HealId, HealStep, Phase};
use crate::domain::matcher::Comparison;
use crate::domain::outlook::outlook;
use crate::domain::pause::{Pause, PauseScope};
use crate::domain::rule::{HealRule, Mode};
use crate::store::Backlog;
use crate::telemetry::Service;

/// A heal in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealView<'a> {
    id: HealId,
    rule: &'a str,
    state: &'static str,
    reason: String,
    target: &'a Target,
    mode: Mode,
    /// Number of the current step from 1; 0 when the heal only notifies.
    step: usize,
    /// Attempts of the current step so far.
    attempt: u32,
    alerts: Vec<AlertView<'a>>,
    created_at: Timestamp,
    updated_at: Timestamp,
    due_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

/// A heal on its own: with its ladder and its story.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealDetail<'a> {
    #[serde(flatten)]
    heal: HealView<'a>,
    /// What comes next, in one sentence.
    next: String,
    description: &'a str,
    runbook: &'a str,
    steps: Vec<StepView>,
    timeline: Vec<EntryView<'a>>,
    timeline_dropped: u32,
    /// What is waited for while nobody has approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    awaiting: Option<AwaitingView<'a>>,
}

/// An approval that is waited for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AwaitingView<'a> {
    attempt: AttemptId,
    expires_at: Timestamp,
    approvers: &'a [String],
}

#[derive(Debug, Serialize)]
struct AlertView<'a> {
    fingerprint: Fingerprint,
    status: AlertStatus,
    labels: &'a Labels,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepView {
    action: &'static str,
    target: Target,
    state: &'static str,
    /// Tries so far.
    attempts: u32,
    /// Tries it may have.
    max_attempts: u32,
    rendered: Map<String, Value>,
    /// What must hold for it to count as healed, besides the resolve.
    evidence: Vec<String>,
}

#[derive(Debug, Serialize)]
struct EntryView<'a> {
    at: Timestamp,
    what: &'a str,
    reason: String,
    by: &'a str,
}

impl<'a> From<&'a Heal> for HealView<'a> {
    fn from(heal: &'a Heal) -> Self {
        Self {
            id: heal.id,
            rule: &heal.rule,
            state: heal.phase.name(),
            reason: heal.reason.to_string(),
            target: &heal.target,
            mode: heal.mode,
            step: if heal.steps.is_empty() { 0 } else { heal.step + 1 },
            attempt: heal.current_step().map_or(0, |step| step.attempts_used),
            alerts: heal.alerts.iter().map(|alert| AlertView::from(&**alert)).collect(),
            created_at: heal.created_at,
            updated_at: heal.updated_at,
            due_at: heal.due_at(),
            ended_at: heal.ended_at(),
        }
    }
}

impl<'a> From<&'a Alert> for AlertView<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self { fingerprint: alert.fingerprint, status: alert.status, labels: &alert.labels }
    }
}

impl<'a> HealDetail<'a> {
    /// The heal as of `now`.
    pub fn of(heal: &'a Heal, now: Timestamp) -> Self {
        let timeline = heal.timeline.iter().map(|entry| EntryView {
            at: entry.at,
            what: &entry.what,
            reason: entry.reason.to_string(),
            by: &entry.by,
        });
        Self {
            heal: HealView::from(heal),
            next: outlook(heal, now),
            description: &heal.description,
            runbook: &heal.runbook,
            steps: heal.steps.iter().enumerate().map(|(index, step)| step_view(heal, index, step)).collect(),
            timeline: timeline.collect(),
            timeline_dropped: heal.timeline_dropped,
            awaiting: match &heal.phase {
                Phase::AwaitingApproval { attempt, expires_at, approvers } => {
                    Some(AwaitingView { attempt: *attempt, expires_at: *expires_at, approvers })
                }
                _ => None,
            },
        }
    }
}

fn step_view(heal: &Heal, index: usize, step: &HealStep) -> StepView {
    let state = match index.cmp(&heal.step) {
        // The ladder only climbs when a step did not heal.
        std::cmp::Ordering::Less => "failed",
        std::cmp::Ordering::Equal => heal.phase.name(),
        std::cmp::Ordering::Greater if heal.outcome().is_some() => "skipped",
        std::cmp::Ordering::Greater => "waiting",
    };
    StepView {
        action: step.action.kind(),
        target: step.action.target(),
        state,
        attempts: step.attempts_used,
        max_attempts: step.attempts,
        rendered: step.action.fields(),
        evidence: step.verify.probes.iter().map(Probe::wanted).collect(),
    }
}

/// Whether each channel takes messages, and what it was not told yet or never will be. Nothing is known yet of one that
/// was told nothing since the start and has nothing to be told.
pub fn receivers(told: &BTreeMap<String, Service>, backlogs: &BTreeMap<String, Backlog>) -> Value {
    let names: BTreeSet<&String> = told.keys().chain(backlogs.keys()).collect();
    let view = |name: &String| {
        let backlog = backlogs.get(name).copied().unwrap_or_default();
        let mut view = json!({ "waiting": backlog.waiting, "dead": backlog.dead });
        if let Some(known) = told.get(name) {
            view["up"] = json!(known.up);
            view["since"] = json!(known.since);
        }
        if let Some(known) = told.get(name).filter(|known| !known.up) {
            view["error"] = json!(known.error);
        }
        view
    };
    names.into_iter().map(|name| (name.clone(), view(name))).collect::<Map<_, _>>().into()
}

/// A pause.
pub fn pause(pause: &Pause) -> Value {
    let Pause { id, scope, reason, by, since, until } = pause;
    let mut view =
        json!({ "id": id, "covers": scope.to_string(), "reason": reason, "by": by, "since": since, "until": until });
    match scope {
        PauseScope::All => {}
        PauseScope::Rule { rule } => view["rule"] = json!(rule),
        PauseScope::Alerts { matchers } => view["matchers"] = json!(matchers),
    }
    view
}

/// A rule as loaded, in the words of the rule language.
pub fn rule(rule: &HealRule) -> Value {
    let map = |wanted: &[(String, crate::domain::regex::Regex)]| -> Map<String, Value> {
        wanted.iter().map(|(name, pattern)| (name.clone(), json!(pattern.source()))).collect()
    };
    let matchers = rule.selector.matchers.iter().map(|matcher| {
        let (operator, value) = match &matcher.comparison {
            Comparison::Equal(value) => ("=", value.as_str()),
            Comparison::NotEqual(value) => ("!=", value.as_str()),
            Comparison::Matches(pattern) => ("=~", pattern.source()),
            Comparison::DoesNotMatch(pattern) => ("!~", pattern.source()),
        };
        format!("{}{operator}{value:?}", matcher.name)
    });
    let steps = rule.steps.iter().map(|step| {
        json!({
            "action": step.action.kind(),
            "attempts": step.attempts,
            "timeout": duration::format(step.timeout),
            "verify": {
                "within": duration::format(step.verify.within),
                "healthyFor": duration::format(step.verify.healthy_for),
                "resolved": step.verify.resolved,
                "evidence": step.verify.probes.iter().map(Probe::source).collect::<Vec<_>>(),
            },
        })
    });
    json!({
        "name": rule.name,
        "description": rule.description,
        "runbook": rule.runbook.as_ref().map(crate::domain::template::Template::source),
        "labels": map(&rule.selector.labels),
        "annotations": map(&rule.selector.annotations),
        "matchers": matchers.collect::<Vec<_>>(),
        "continue": rule.continue_matching,
        "mode": rule.mode,
        "for": duration::format(rule.hold_for),
        "throttling": { "interval": duration::format(rule.throttle) },
        "steps": steps.collect::<Vec<_>>(),
        "receivers": rule.receivers,
    })
}
