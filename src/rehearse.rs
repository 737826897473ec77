//! A rehearsal: what every rule would do for every alert of a delivery, without a store and without a deed. The command
//! line's `plan` and the daemon's `POST /api/v1/plan` both answer with it, and it asks the same
//! [`decide`] as the daemon does.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus, Delivery, Fingerprint, Labels};
use crate::domain::decide::{Event, Policy, Snapshot, decide};
use crate::domain::evidence::Probe;
use crate::domain::heal::{AttemptId, Heal, HealId, Outcome};
use crate::domain::matcher::{Comparison, Matcher};
use crate::domain::reason::Reason;
use crate::domain::regex::Regex;
use crate::domain::rule::{AlertSelector, HealRequest, HealRule, Mode, RuleSet};

/// What a rule would do for an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It would act.
    Act,
    /// It would ask a person first.
    Ask,
    /// It would only record what it would do.
    Shadow,
    /// It would tell people.
    Notify,
    /// It is not for this alert.
    NoMatch,
    /// It would do nothing, for a reason.
    Suppressed,
    /// Its action cannot be rendered for this alert.
    Error,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Ask => "ask",
            Self::Shadow => "shadow",
            Self::Notify => "notify",
            Self::NoMatch => "no-match",
            Self::Suppressed => "suppressed",
            Self::Error => "error",
        }
    }
}

/// The whole rehearsal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// In the order of the delivery.
    pub alerts: Vec<AlertPlan>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertPlan {
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Its own status.
    pub status: AlertStatus,
    /// Its labels.
    pub labels: Labels,
    /// Every rule, in file order.
    pub rules: Vec<RulePlan>,
}

/// One rule for one alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RulePlan {
    /// The rule's name.
    pub rule: String,
    /// What it would do.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// What it would be about; `None` when nothing would be.
    pub target: Option<Target>,
    /// The rendered ladder.
    pub steps: Vec<StepPlan>,
}

/// One step of a ladder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepPlan {
    /// The key a rule uses for the action.
    pub action: &'static str,
    /// What it would touch.
    pub target: Target,
    /// How often it would be tried.
    pub attempts: u32,
    /// The action as the rule writes it, with every template rendered.
    pub rendered: Map<String, Value>,
    /// What must hold for it to count as healed, besides the resolve.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// Rehearses a delivery as if nothing were known of its alerts.
#[must_use]
pub fn plan_delivery(rules: &RuleSet, policy: &Policy, delivery: &Delivery, now: Timestamp) -> PlanReport {
    let alerts = delivery.alerts.iter().map(|alert| {
        let mut stopped_by: Option<&str> = None;
        let rules = rules.rules().iter().map(|rule| {
            if let Some(stopper) = stopped_by {
                return no_match(rule, format!("rule {stopper} matched and has continue: false"));
            }
            if let Some(mismatch) = mismatch(&rule.selector, alert) {
                return no_match(rule, mismatch);
            }
            if !rule.continue_matching {
                stopped_by = Some(&rule.name);
            }
            rehearse(rule, policy, alert, now)
        });
        AlertPlan {
            rules: rules.collect(),
            fingerprint: alert.fingerprint,
            status: alert.status,
            labels: alert.labels.clone(),
        }
    });
    PlanReport { alerts: alerts.collect() }
}

impl PlanReport {
    /// Whether a matching rule could not be rendered: `plan` then exits 1.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.alerts.iter().flat_map(|alert| &alert.rules).any(|rule| rule.verdict == Verdict::Error)
    }
}

fn no_match(rule: &HealRule, reason: String) -> RulePlan {
    RulePlan { rule: rule.name.clone(), verdict: Verdict::NoMatch, reason, target: None, steps: Vec::new() }
}

fn rehearse(rule: &HealRule, policy: &Policy, alert: &Alert, now: Timestamp) -> RulePlan {
    let request = rule.request(alert);
    let (verdict, reason) = judge(policy, alert, &request, now);
    let target = request.ladder.is_ok().then_some(request.target);
    let steps = request.ladder.unwrap_or_default();
    let steps = steps.into_iter().map(|step| StepPlan {
        action: step.action.kind(),
        target: step.action.target(),
        attempts: step.attempts,
        rendered: step.action.fields(),
        evidence: step.verify.probes.iter().map(Probe::wanted).collect(),
    });
    RulePlan { rule: request.rule, verdict, reason: reason.to_string(), target, steps: steps.collect() }
}

fn judge(policy: &Policy, alert: &Alert, request: &HealRequest, now: Timestamp) -> (Verdict, Reason) {
    if let Err(error) = &request.ladder {
        return (Verdict::Error, Reason::NotRendered { error: error.to_string() });
    }
    if alert.status == AlertStatus::Resolved {
        return (Verdict::Suppressed, Reason::NothingOpen { alert: alert.fingerprint });
    }
    let (heal, reason) = first_decisions(policy, alert, request, now);
    let notifies = request.ladder.as_ref().is_ok_and(Vec::is_empty);
    let verdict = match heal.and_then(|heal| heal.outcome()) {
        Some(Outcome::Suppressed) => Verdict::Suppressed,
        Some(Outcome::Shadowed) => Verdict::Shadow,
        _ if policy.dry_run || request.mode == Mode::Shadow => Verdict::Shadow,
        _ if notifies => Verdict::Notify,
        _ if request.mode == Mode::Ask => Verdict::Ask,
        _ => Verdict::Act,
    };
    (verdict, reason)
}

/// What the daemon would decide when the alert arrives and, if the new heal is due at once, right after.
fn first_decisions(policy: &Policy, alert: &Alert, request: &HealRequest, now: Timestamp) -> (Option<Heal>, Reason) {
    let firing = Event::Firing {
        alert: alert.clone(),
        request: Box::new(request.clone()),
        new_heal: HealId(Uuid::nil()),
        external_url: String::new(),
    };
    let first = decide(policy, &Snapshot::default(), firing, now);
    let Some(heal) = first.heal else { return (None, first.reason) };
    if heal.due_at().is_none_or(|due| due > now) {
        return (Some(heal), first.reason);
    }
    let snapshot = Snapshot { heal: Some(heal.clone()), ..Snapshot::default() };
    let second = decide(policy, &snapshot, Event::Due { new_attempt: AttemptId(Uuid::nil()) }, now);
    match second.heal {
        Some(heal) => (Some(heal), second.reason),
        None => (Some(heal), first.reason),
    }
}

/// The first condition of a rule that an alert does not meet.
fn mismatch(selector: &AlertSelector, alert: &Alert) -> Option<String> {
    let maps = [("label", &selector.labels, &alert.labels), ("annotation", &selector.annotations, &alert.annotations)];
    let matchers = || selector.matchers.iter().find_map(|matcher| matcher_mismatch(matcher, &alert.labels));
    maps.into_iter()
        .find_map(|(kind, wanted, present)| {
            wanted.iter().find_map(|(name, pattern)| map_mismatch(kind, name, pattern, present))
        })
        .or_else(matchers)
}

fn map_mismatch(kind: &str, name: &str, pattern: &Regex, present: &Labels) -> Option<String> {
    match present.get(name) {
        None => Some(format!("{kind} {name} is missing")),
        Some(value) if pattern.is_match(value) => None,
        Some(value) => Some(format!("{kind} {name} is {value:?}, which does not match {:?}", pattern.source())),
    }
}

fn matcher_mismatch(matcher: &Matcher, labels: &Labels) -> Option<String> {
    if matcher.matches(labels) {
        return None;
    }
    let value = labels.get(&matcher.name).map_or("", String::as_str);
    let (operator, wanted) = match &matcher.comparison {
        Comparison::Equal(wanted) => ("=", wanted.as_str()),
        Comparison::NotEqual(wanted) => ("!=", wanted.as_str()),
        Comparison::Matches(pattern) => ("=~", pattern.source()),
        Comparison::DoesNotMatch(pattern) => ("!~", pattern.source()),
    };
    let name = &matcher.name;
    Some(format!("matcher {name}{operator}{wanted:?} does not hold: {name} is {value:?}"))
}

/// For people: the alerts, under each the rules that have something to say, last a line for those that have not.
impl fmt::Display for PlanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.alerts.is_empty() {
            return writeln!(f, "no alerts");
        }
        for alert in &self.alerts {
            write_alert(f, alert)?;
        }
        Ok(())
    }
}

fn write_alert(f: &mut fmt::Formatter<'_>, alert: &AlertPlan) -> fmt::Result {
    let labels: Vec<_> = alert.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    writeln!(f, "alert {} {} {{{}}}", alert.fingerprint, alert.status.as_str(), labels.join(", "))?;
    for rule in &alert.rules {
        writeln!(f, "  {:<10} {}: {}", rule.verdict.as_str(), rule.rule, rule.reason)?;
        for (index, step) in rule.steps.iter().enumerate() {
            let times = if step.attempts == 1 { "once".to_owned() } else { format!("up to {} times", step.attempts) };
            writeln!(f, "             step {}: {} {}, {times}", index + 1, step.action, step.target)?;
            let rendered = Value::Object(step.rendered.clone());
            writeln!(f, "               {rendered}")?;
            for wanted in &step.evidence {
                writeln!(f, "               then waits for {wanted}")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
