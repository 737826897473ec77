//! Each condition of a rule on its own: what it asks, what the alert has, and whether that will do.

use serde::Serialize;

use crate::domain::alert::{Alert, Labels};
use crate::domain::matcher::{Comparison, Matcher};
use crate::domain::regex::Regex;
use crate::domain::rule::AlertSelector;

/// Where a rule writes a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// In its map of labels.
    Labels,
    /// In its map of annotations.
    Annotations,
    /// Among its matchers.
    Matchers,
}

/// One condition of a rule, asked of one alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Where the rule writes it.
    pub part: Part,
    /// The label or annotation it asks about.
    pub name: String,
    /// How it compares: `=`, `!=`, `=~` or `!~`.
    pub operator: &'static str,
    /// With what.
    pub value: String,
    /// Whether a pattern must match the whole value; the two maps look anywhere in it.
    pub anchored: bool,
    /// What the alert has; `None` when it has nothing by that name.
    pub has: Option<String>,
    /// Whether the condition holds.
    pub holds: bool,
}

/// Every condition of a rule in the order in which they are told, also those behind the first that does not hold.
pub(super) fn conditions(selector: &AlertSelector, alert: &Alert) -> Vec<Condition> {
    all(selector, alert).collect()
}

/// The first condition that the alert does not meet, in words.
pub(super) fn mismatch(selector: &AlertSelector, alert: &Alert) -> Option<String> {
    if selector.matches(alert) {
        return None;
    }
    all(selector, alert).find(|condition| !condition.holds).map(|condition| condition.complaint())
}

fn all<'a>(selector: &'a AlertSelector, alert: &'a Alert) -> impl Iterator<Item = Condition> {
    let map = |part, wanted: &'a [(String, Regex)], present: &'a Labels| {
        wanted.iter().map(move |(name, pattern)| of_map(part, name, pattern, present))
    };
    let labels = map(Part::Labels, &selector.labels, &alert.labels);
    let annotations = map(Part::Annotations, &selector.annotations, &alert.annotations);
    labels.chain(annotations).chain(selector.matchers.iter().map(|matcher| of_matcher(matcher, &alert.labels)))
}

fn of_map(part: Part, name: &str, pattern: &Regex, present: &Labels) -> Condition {
    let has = present.get(name);
    Condition {
        part,
        name: name.to_owned(),
        operator: "=~",
        value: pattern.source().to_owned(),
        anchored: false,
        has: has.cloned(),
        holds: has.is_some_and(|value| pattern.is_match(value)),
    }
}

fn of_matcher(matcher: &Matcher, labels: &Labels) -> Condition {
    let (operator, value) = match &matcher.comparison {
        Comparison::Equal(wanted) => ("=", wanted.as_str()),
        Comparison::NotEqual(wanted) => ("!=", wanted.as_str()),
        Comparison::Matches(pattern) => ("=~", pattern.source()),
        Comparison::DoesNotMatch(pattern) => ("!~", pattern.source()),
    };
    Condition {
        part: Part::Matchers,
        name: matcher.name.clone(),
        operator,
        value: value.to_owned(),
        anchored: true,
        has: labels.get(&matcher.name).cloned(),
        holds: matcher.matches(labels),
    }
}

impl Condition {
    /// Why it does not hold.
    fn complaint(&self) -> String {
        let Self { name, operator, value, has, .. } = self;
        let kind = match self.part {
            Part::Labels => "label",
            Part::Annotations => "annotation",
            Part::Matchers => {
                let has = has.as_deref().unwrap_or_default();
                return format!("matcher {name}{operator}{value:?} does not hold: {name} is {has:?}");
            }
        };
        match has {
            None => format!("{kind} {name} is missing"),
            Some(has) => format!("{kind} {name} is {has:?}, which does not match {value:?}"),
        }
    }

    /// What it asks, as the rule writes it.
    pub(super) fn question(&self) -> String {
        let Self { name, operator, value, .. } = self;
        match self.part {
            Part::Labels => format!("labels {name}: {value:?}"),
            Part::Annotations => format!("annotations {name}: {value:?}"),
            Part::Matchers => format!("matchers {name}{operator}{value:?}"),
        }
    }
}
