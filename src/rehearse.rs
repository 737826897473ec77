//! A rehearsal: what every rule would do for every alert of a delivery, without a deed. The command line's `plan` and the
//! daemon's `POST /api/v1/plan` both answer with it, and it asks the same [`decide`](crate::domain::decide::decide) as the
//! daemon does.
//!
//! `explain` is each matcher's own word, `standing` what a store's memory makes of it, `text` the plan for people.

mod explain;
mod standing;
mod text;

use serde::Serialize;
use serde_json::{Map, Value};

use self::standing::Considered;
use crate::domain::Timestamp;
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus, Delivery, Fingerprint, Labels};
use crate::domain::decide::Policy;
use crate::domain::evidence::Probe;
use crate::domain::heal::{HealStep, Outcome};
use crate::domain::reason::Reason;
use crate::domain::rule::{HealRequest, HealRule, Mode, RuleSet};
use crate::store::StoreError;
use crate::store::sqlite::Peek;

pub use self::explain::{Condition, Part};
pub use self::standing::{GuardWord, Guards, Ladder, Remembered};

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

/// What a rehearsal goes by.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// What holds for all heals.
    pub policy: &'a Policy,
    /// What is remembered; `None` is as if nothing were known of any alert.
    pub past: Option<&'a Peek>,
    /// Whether each matcher says for itself whether it holds.
    pub explain: bool,
    /// The time.
    pub now: Timestamp,
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
    /// Every condition of the rule with its own verdict, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<Condition>>,
    /// Where on the ladder it would begin, where a store was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
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

/// Rehearses a delivery. Each alert is taken on its own, as if it came first.
///
/// # Errors
/// The store that was asked cannot be read.
pub fn plan_delivery(stage: Stage<'_>, delivery: &Delivery) -> Result<PlanReport, StoreError> {
    let alerts = delivery.alerts.iter().map(|alert| stage.alert(alert)).collect::<Result<_, _>>()?;
    Ok(PlanReport { alerts })
}

impl PlanReport {
    /// Whether a matching rule could not be rendered: `plan` then exits 1.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.alerts.iter().flat_map(|alert| &alert.rules).any(|rule| rule.verdict == Verdict::Error)
    }
}

impl Stage<'_> {
    fn alert(self, alert: &Alert) -> Result<AlertPlan, StoreError> {
        let mut stopped_by: Option<&str> = None;
        let mut rules = Vec::new();
        for rule in self.rules.rules() {
            let plan = match (stopped_by, explain::mismatch(&rule.selector, alert)) {
                (Some(stopper), _) => no_match(rule, format!("rule {stopper} matched and has continue: false")),
                (None, Some(mismatch)) => no_match(rule, mismatch),
                (None, None) => {
                    stopped_by = (!rule.continue_matching).then_some(&rule.name);
                    self.rehearse(rule, alert)?
                }
            };
            let conditions = self.explain.then(|| explain::conditions(&rule.selector, alert));
            rules.push(RulePlan { conditions, ..plan });
        }
        let Alert { fingerprint, status, labels, .. } = alert;
        Ok(AlertPlan { fingerprint: *fingerprint, status: *status, labels: labels.clone(), rules })
    }

    fn rehearse(self, rule: &HealRule, alert: &Alert) -> Result<RulePlan, StoreError> {
        let mut request = rule.request(alert);
        let Judged { verdict, reason, ladder, own_steps } = self.judge(alert, &mut request)?;
        let target = request.ladder.is_ok().then_some(request.target);
        // A heal that is open keeps the ladder it began with.
        let steps = own_steps.or_else(|| request.ladder.ok()).unwrap_or_default();
        let steps = steps.into_iter().map(|step| StepPlan {
            action: step.action.kind(),
            target: step.action.target(),
            attempts: step.attempts,
            rendered: step.action.fields(),
            evidence: step.verify.probes.iter().map(Probe::wanted).collect(),
        });
        Ok(RulePlan {
            rule: request.rule,
            verdict,
            reason: reason.to_string(),
            target,
            steps: steps.collect(),
            conditions: None,
            ladder,
        })
    }

    fn judge(self, alert: &Alert, request: &mut HealRequest) -> Result<Judged, StoreError> {
        if let Err(error) = &request.ladder {
            return Ok(Judged::without_heal(Verdict::Error, Reason::refusing(error)));
        }
        if alert.status == AlertStatus::Resolved {
            return Ok(Judged::without_heal(Verdict::Suppressed, standing::resolved(self, alert, request)?));
        }
        let Considered { heal, is_open, reason, ladder } = standing::firing(self, alert, request)?;
        let ladder = self.past.and(ladder);
        let Some(heal) = heal else {
            return Ok(Judged { ladder, ..Judged::without_heal(Verdict::Suppressed, reason) });
        };
        let verdict = match heal.outcome() {
            Some(Outcome::Shadowed) => Verdict::Shadow,
            Some(_) => Verdict::Suppressed,
            None if self.policy.dry_run || heal.mode == Mode::Shadow => Verdict::Shadow,
            None if heal.steps.is_empty() => Verdict::Notify,
            None if heal.mode == Mode::Ask => Verdict::Ask,
            None => Verdict::Act,
        };
        Ok(Judged { verdict, reason, ladder, own_steps: is_open.then_some(heal.steps) })
    }
}

/// What came of a rule that matches.
struct Judged {
    verdict: Verdict,
    reason: Reason,
    ladder: Option<Ladder>,
    own_steps: Option<Vec<HealStep>>,
}

impl Judged {
    const fn without_heal(verdict: Verdict, reason: Reason) -> Self {
        Self { verdict, reason, ladder: None, own_steps: None }
    }
}

fn no_match(rule: &HealRule, reason: String) -> RulePlan {
    RulePlan {
        rule: rule.name.clone(),
        verdict: Verdict::NoMatch,
        reason,
        target: None,
        steps: Vec::new(),
        conditions: None,
        ladder: None,
    }
}

#[cfg(test)]
mod tests;
