//! Heal rules, checked and compiled once, and what a matching alert asks of them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{ActionRenderError, ActionTemplate, Target};
use super::alert::{Alert, Labels};
use super::backoff::Backoff;
use super::evidence::Probe;
use super::heal::HealStep;
use super::matcher::Matcher;
use super::regex::Regex;
use super::route::Routes;
use super::rule_index::RuleIndex;
use super::rule_policy::{RulePolicies, RulePolicy};
use super::template::{AlertContext, Template};
use super::time_interval::Schedule;

/// What a rule may do on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Acts.
    #[default]
    Act,
    /// Asks a person before each step.
    Ask,
    /// Only records what would be done.
    Shadow,
}

/// What counts as healed after an action, generic over its texts as the action is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyPolicy<Text> {
    /// How long the evidence may take before the attempt has failed.
    #[serde(with = "super::duration::stored")]
    pub within: Duration,
    /// How long the evidence must hold.
    #[serde(with = "super::duration::stored")]
    pub healthy_for: Duration,
    /// Whether the alert must have resolved.
    pub resolved: bool,
    /// What else must hold, all of it.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe<Text>>,
}

impl<Text> Default for VerifyPolicy<Text> {
    fn default() -> Self {
        Self { within: Duration::from_mins(10), healthy_for: Duration::ZERO, resolved: true, probes: Vec::new() }
    }
}

impl VerifyPolicy<Template> {
    fn render(&self, alert: AlertContext<'_>) -> Result<VerifyPolicy<String>, ActionRenderError> {
        Ok(VerifyPolicy {
            within: self.within,
            healthy_for: self.healthy_for,
            resolved: self.resolved,
            probes: self.probes.iter().map(|probe| probe.render(alert)).collect::<Result<_, _>>()?,
        })
    }
}

/// One rung of a rule's ladder.
#[derive(Debug, Clone)]
pub struct Step {
    /// What to do.
    pub action: ActionTemplate,
    /// How often to try it; at least 1.
    pub attempts: u32,
    /// The pause between attempts.
    pub backoff: Backoff,
    /// How long the action itself may take.
    pub timeout: Duration,
    /// What counts as healed.
    pub verify: VerifyPolicy<Template>,
}

/// Which alerts a rule is for. Everything listed must hold.
#[derive(Debug, Clone, Default)]
pub struct AlertSelector {
    /// The ancestor's map: the label must be present and the pattern match anywhere in its value.
    pub labels: Vec<(String, Regex)>,
    /// The same over annotations.
    pub annotations: Vec<(String, Regex)>,
    /// Alertmanager's matchers over labels.
    pub matchers: Vec<Matcher>,
}

impl AlertSelector {
    /// Whether an alert is selected.
    #[must_use]
    pub fn matches(&self, alert: &Alert) -> bool {
        let all_match = |wanted: &[(String, Regex)], present: &Labels| {
            wanted.iter().all(|(name, pattern)| present.get(name).is_some_and(|value| pattern.is_match(value)))
        };
        all_match(&self.labels, &alert.labels)
            && self.matchers.iter().all(|matcher| matcher.matches(&alert.labels))
            && all_match(&self.annotations, &alert.annotations)
    }
}

/// One heal rule.
#[derive(Debug, Clone)]
pub struct HealRule {
    /// `metadata.name`, unique.
    pub name: String,
    /// `metadata.description`.
    pub description: String,
    /// `metadata.runbook`.
    pub runbook: Option<Template>,
    /// Which alerts it is for.
    pub selector: AlertSelector,
    /// Whether later rules are tried for an alert this one matches.
    pub continue_matching: bool,
    /// What it may do on its own.
    pub mode: Mode,
    /// How long the alert must keep firing here before the first action (`for`).
    pub hold_for: Duration,
    /// When it may act.
    pub schedule: Schedule,
    /// How long the ladder is remembered after a heal ended; zero remembers nothing.
    pub throttle: Duration,
    /// The ladder; empty for a rule that only notifies.
    pub steps: Vec<Step>,
    /// What the rule asks for and nobody here can do, and what to do about it; its heals are refused by name.
    pub unsupported: Option<String>,
    /// Names of the receivers who are told: its own, or those that nobody else is named for.
    pub receivers: Vec<String>,
    /// Who is told instead, by the alert's labels; `None` when the rule names its receivers itself.
    pub routes: Option<Arc<Routes>>,
    /// What holds for all its heals.
    pub policy: RulePolicy,
}

/// A rule at work asked for by one alert: everything rendered, nothing left to look up.
#[derive(Debug, Clone, PartialEq)]
pub struct HealRequest {
    /// The rule's name.
    pub rule: String,
    /// What the heal is about: the first step's target, or the alert itself where there is none.
    pub target: Target,
    /// What the rule may do on its own.
    pub mode: Mode,
    /// The rendered ladder (empty: only notify), or why it could not be rendered.
    pub ladder: Result<Vec<HealStep>, ActionRenderError>,
    /// See [`HealRule::hold_for`].
    pub hold_for: Duration,
    /// See [`HealRule::throttle`].
    pub throttle: Duration,
    /// Who is told, see [`HealRule::receivers`] and [`HealRule::routes`].
    pub receivers: Vec<String>,
    /// See [`HealRule::description`].
    pub description: String,
    /// The rendered runbook address; empty when there is none.
    pub runbook: String,
}

impl HealRule {
    /// What this rule asks for when `alert` matches it.
    #[must_use]
    pub fn request(&self, alert: &Alert) -> HealRequest {
        let context = AlertContext { alert };
        let unsupported = self.unsupported.iter().map(|why| Err(ActionRenderError::Unsupported { why: why.clone() }));
        let steps = self.steps.iter().enumerate().map(|(index, step)| {
            let render = || {
                Ok(HealStep {
                    action: step.action.render(context)?,
                    attempts: step.attempts,
                    attempts_used: 0,
                    backoff: step.backoff,
                    timeout: step.timeout,
                    verify: step.verify.render(context)?,
                })
            };
            render().map_err(|error: ActionRenderError| match self.steps.len() {
                1 => error,
                _ => ActionRenderError::Step { number: index + 1, source: Box::new(error) },
            })
        });
        let ladder: Result<Vec<HealStep>, ActionRenderError> = unsupported.chain(steps).collect();
        let target = match ladder.as_deref() {
            Ok([first, ..]) => first.action.target(),
            Ok([]) | Err(_) => Target::new(format!("alert/{}", alert.fingerprint)),
        };
        // A runbook is a help, not a target: when it cannot be rendered its source still tells a person where to look.
        let runbook = self
            .runbook
            .as_ref()
            .map(|text| text.render(context).unwrap_or_else(|_| text.source().to_owned()))
            .unwrap_or_default();
        let routed = self.routes.as_ref().and_then(|routes| routes.receivers(&alert.labels));
        HealRequest {
            rule: self.name.clone(),
            target,
            mode: self.mode,
            ladder,
            hold_for: self.hold_for,
            throttle: self.throttle,
            receivers: routed.unwrap_or_else(|| self.receivers.clone()),
            description: self.description.clone(),
            runbook,
        }
    }
}

/// All rules, in file order, compiled for matching.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Arc<HealRule>>,
    index: Arc<RuleIndex>,
}

impl RuleSet {
    /// Compiles rules for matching. Names are unique; configuration has checked that.
    #[must_use]
    pub fn new(rules: Vec<HealRule>) -> Self {
        let index = Arc::new(RuleIndex::new(rules.iter().map(|rule| &rule.selector)));
        Self { rules: rules.into_iter().map(Arc::new).collect(), index }
    }

    /// The rules in file order.
    #[must_use]
    pub fn rules(&self) -> &[Arc<HealRule>] {
        &self.rules
    }

    /// What holds for all heals of each rule.
    #[must_use]
    pub fn policies(&self) -> RulePolicies {
        let policy = |rule: &Arc<HealRule>| {
            let (mode, schedule) = (rule.mode, rule.schedule.clone());
            (rule.name.clone(), RulePolicy { mode, schedule, ..rule.policy.clone() })
        };
        RulePolicies::new(self.rules.iter().map(policy))
    }

    /// The rules that apply to an alert: matching ones in file order, up to and including the first with `continue: false`.
    ///
    /// An index names the few rules that may match, so that thousands of rules cost no more than a handful.
    pub fn matching<'a>(&'a self, alert: &'a Alert) -> impl Iterator<Item = &'a HealRule> {
        let mut stopped = false;
        self.index
            .candidates(alert)
            .into_iter()
            .map(|position| self.rules[position].as_ref())
            .filter(|rule| rule.selector.matches(alert))
            .take_while(move |rule| {
                let keep = !stopped;
                stopped |= !rule.continue_matching;
                keep
            })
    }
}

#[cfg(test)]
mod tests;
