//! What holds for all heals of a rule: who approves, when it may act, how much, and beside what. Looked up by the rule's
//! name at every decision, so that a reload changes it at once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alert::Labels;
use super::guard::Window;
use super::pause::AlertMatchers;
use super::rule::Mode;
use super::time_interval::Schedule;

/// What holds for all heals of one rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RulePolicy {
    /// What its new heals may do on their own.
    pub mode: Mode,
    /// Who approves, for [`Mode::Ask`].
    pub approval: ApprovalPolicy,
    /// When it may act.
    pub schedule: Schedule,
    /// How much it may act, beside the limits over all rules.
    pub limits: RuleLimits,
    /// What a silence in Alertmanager means to it.
    pub when_silenced: WhenSilenced,
    /// An alert that fires for longer than this is left alone.
    pub max_age: Option<Duration>,
    /// When verified heals are no longer believed.
    pub flapping: Option<Flapping>,
    /// While alerts that match one of these fire it does not act.
    pub blocked_by: Vec<AlertMatchers>,
}

/// What a rule does about an alert that Alertmanager keeps silent about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenSilenced {
    /// Nothing while that lasts: somebody knows of it, or another alert is the cause.
    #[default]
    Hold,
    /// The same as otherwise.
    Heal,
}

/// Who may allow an action, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// How long an approval is waited for.
    pub expires_after: Duration,
    /// Names of those who may; empty means whoever may approve at all.
    pub approvers: Vec<String>,
}

impl Default for ApprovalPolicy {
    fn default() -> Self {
        Self { expires_after: Duration::from_mins(30), approvers: Vec::new() }
    }
}

/// A heal that was verified and relapsed more often than this within the window did not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flapping {
    /// So many relapses are not flapping yet; at least 1.
    pub relapses: u32,
    /// The window.
    pub within: Duration,
}

impl Flapping {
    /// Most relapses that are not flapping.
    pub const MAX_RELAPSES: u32 = 50;
}

impl Default for Flapping {
    fn default() -> Self {
        Self { relapses: 5, within: Duration::from_hours(6) }
    }
}

/// Limits of one rule; what is not given is bound by the limits over all rules only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleLimits {
    /// Actions that may run at once.
    pub concurrent: Option<u32>,
    /// Actions that may begin within any hour.
    pub per_hour: Option<u32>,
    /// Actions that may begin within other times; all must hold.
    pub windows: Vec<Window>,
    /// When so many targets mean a cause that no action on them would cure.
    pub storm: Option<StormLimit>,
}

/// Too many distinct targets within a window are a storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StormLimit {
    /// So many targets are none yet; at least 1.
    pub targets: u32,
    /// The window.
    pub within: Duration,
    /// How long new heals are held after the storm has calmed.
    pub hold: Duration,
}

impl StormLimit {
    /// Most targets that are no storm.
    pub const MAX_TARGETS: u32 = 500;

    /// How long a sighting of a target matters.
    #[must_use]
    pub fn memory(&self) -> Duration {
        self.within + self.hold
    }
}

/// The policies of all rules.
#[derive(Debug, Clone, Default)]
pub struct RulePolicies {
    by_name: BTreeMap<String, RulePolicy>,
    /// Every alert that blocks some rule.
    blockers: Vec<AlertMatchers>,
    /// Names of the rules that only record.
    shadows: Vec<String>,
}

impl RulePolicies {
    /// Puts them together.
    #[must_use]
    pub fn new(policies: impl IntoIterator<Item = (String, RulePolicy)>) -> Self {
        let by_name: BTreeMap<_, _> = policies.into_iter().collect();
        let mut blockers: Vec<AlertMatchers> = Vec::new();
        for matchers in by_name.values().flat_map(|policy| &policy.blocked_by) {
            if !blockers.contains(matchers) {
                blockers.push(matchers.clone());
            }
        }
        let shadows = by_name.iter().filter(|(_, policy)| policy.mode == Mode::Shadow);
        let shadows = shadows.map(|(name, _)| name.clone()).collect();
        Self { by_name, blockers, shadows }
    }

    /// The policy of a rule; `None` when the rule is no longer there.
    #[must_use]
    pub fn get(&self, rule: &str) -> Option<&RulePolicy> {
        self.by_name.get(rule)
    }

    /// Whether any rule asks what else fires.
    #[must_use]
    pub const fn has_blockers(&self) -> bool {
        !self.blockers.is_empty()
    }

    /// Whether an alert blocks some rule while it fires.
    #[must_use]
    pub fn is_blocker(&self, labels: &Labels) -> bool {
        self.blockers.iter().any(|matchers| matchers.matches(labels))
    }

    /// Names of the rules that only record. They wait for nothing.
    #[must_use]
    pub fn shadows(&self) -> &[String] {
        &self.shadows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_blocks_when_any_rule_says_so_and_shadows_are_known_by_name() {
        let matchers = |text: &str| AlertMatchers::parse(vec![text.to_owned()]).unwrap();
        let blocked = |texts: &[&str]| RulePolicy {
            blocked_by: texts.iter().map(|text| matchers(text)).collect(),
            ..RulePolicy::default()
        };
        let shadow = RulePolicy { mode: Mode::Shadow, ..RulePolicy::default() };
        let rules = |policies: Vec<(&str, RulePolicy)>| {
            RulePolicies::new(policies.into_iter().map(|(name, policy)| (name.to_owned(), policy)))
        };
        let some = rules(vec![
            ("a", blocked(&["alertname=NodeDown", "alertname=Deploy"])),
            ("b", blocked(&["alertname=NodeDown"])),
            ("c", shadow.clone()),
        ]);
        let labels = |name: &str| Labels::from([("alertname".to_owned(), name.to_owned())]);
        let blocks = |name: &str| some.is_blocker(&labels(name));
        assert!(some.has_blockers() && blocks("NodeDown") && blocks("Deploy") && !blocks("Down"));
        assert_eq!(some.blockers.len(), 2, "what two rules say is asked once");
        assert_eq!(some.shadows(), ["c"]);
        let none = rules(vec![("c", shadow)]);
        assert!(!none.has_blockers() && !none.is_blocker(&labels("NodeDown")));
        assert_eq!(rules(vec![("a", blocked(&[]))]).shadows(), [""; 0]);
    }
}
