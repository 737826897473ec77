//! Rules that touch the same thing.

use std::collections::BTreeMap;

use super::selection::{labels, values};
use super::{Findings, Linted};
use crate::domain::Timestamp;
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use crate::domain::rule::{HealRule, Mode};
use crate::domain::template::AlertContext;

/// Alerts made up for one rule.
const MAX_SAMPLES: usize = 32;

pub fn look(rules: &[Linted<'_>], findings: &Findings<'_>) {
    let mut first: BTreeMap<Target, &Linted<'_>> = BTreeMap::new();
    for linted in rules.iter().filter(|linted| linted.rule.mode != Mode::Shadow) {
        let mut told = false;
        for target in targets(linted.rule) {
            let Some(other) = first.get(&target) else {
                first.insert(target, linted);
                continue;
            };
            if told || other.rule.name == linted.rule.name {
                continue;
            }
            told = true;
            let name = &other.rule.name;
            let message = format!("rules `{name}` and `{}` both act on {target}", linted.rule.name);
            let label = "one waits while the other acts, and neither knows the other's attempts";
            let place = super::Place::new(other.file, other.name_span());
            let help = Some(format!("`{name}` is at {place}; one rule with several steps climbs in order"));
            findings.add("same-target", (linted.file, linted.name_span()), message, label, help);
        }
    }
}

/// What a rule is known to touch: its actions rendered for made-up alerts with the labels the rule asks for.
fn targets(rule: &HealRule) -> Vec<Target> {
    let mut found: Vec<_> = samples(rule)
        .iter()
        .flat_map(|alert| rule.steps.iter().filter_map(|step| step.action.render(AlertContext { alert }).ok()))
        .map(|action| action.target())
        .collect();
    found.sort();
    found.dedup();
    found
}

fn samples(rule: &HealRule) -> Vec<Alert> {
    let mut samples = vec![Labels::new()];
    for label in labels(&rule.selector) {
        let Some(values) = values(&rule.selector, label) else { continue };
        samples = samples
            .iter()
            .flat_map(|sample| {
                values.iter().map(|value| {
                    let mut sample = sample.clone();
                    sample.insert(label.to_owned(), value.clone());
                    sample
                })
            })
            .take(MAX_SAMPLES)
            .collect();
    }
    let alert = |labels: Labels| Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    };
    samples.into_iter().map(alert).collect()
}
