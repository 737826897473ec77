//! What the templates of texts see: Alertmanager's data for the heal's alerts, and the heal itself as `.Heal`.
//!
//! Everything that comes from outside is made clean here: a label is one bounded line, an annotation may have several.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::headline::attempts_used;
use super::text::{line, lines, link};
use super::{Pages, Story, html, plain};
use crate::domain::Timestamp;
use crate::domain::alert::{Alert, AlertStatus, Labels};
use crate::domain::heal::{Heal, TimelineEntry};
use crate::domain::message::Message;
use crate::domain::template::text::TIME;

/// Longest value of a label.
const MAX_LABEL: usize = 500;
/// Longest value of an annotation and other longer texts.
const MAX_TEXT: usize = 2000;

/// The data for a message.
#[must_use]
pub fn of(message: &Message, pages: &Pages) -> Value {
    let heal = &message.heal;
    let firing = heal.alerts.iter().any(|alert| alert.status == AlertStatus::Firing);
    let common = labels(&in_common(heal, |alert| &alert.labels));
    // A heal has no group. The labels nearly everybody groups by take its place, as in the subject.
    let group = common.iter().filter(|(name, _)| matches!(name.as_str(), "alertname" | "job"));
    let group: BTreeMap<_, _> = group.map(|(name, value)| (name.clone(), value.clone())).collect();
    json!({
        "Receiver": pages.receiver,
        "Status": if firing { "firing" } else { "resolved" },
        "Alerts": heal.alerts.iter().map(|told| alert(told)).collect::<Vec<_>>(),
        "GroupLabels": group,
        "CommonLabels": common,
        "CommonAnnotations": annotations(&in_common(heal, |alert| &alert.annotations)),
        "ExternalURL": link(heal.external_url.trim_end_matches('/')).unwrap_or_default(),
        "Heal": describe(message, pages),
    })
}

fn describe(message: &Message, pages: &Pages) -> Value {
    let heal = &message.heal;
    let step = heal.current_step();
    let story = Story::full(message, pages);
    json!({
        "ID": heal.id.to_string(),
        "Event": message.kind.as_str(),
        "Rule": line(&heal.rule, MAX_LABEL),
        "State": heal.phase.name(),
        "Reason": line(&heal.reason.to_string(), MAX_TEXT),
        "Target": line(heal.target.as_str(), MAX_LABEL),
        "Action": step.map(|step| line(&step.action.summary(), MAX_TEXT)).unwrap_or_default(),
        "Step": if heal.steps.is_empty() { 0 } else { heal.step + 1 },
        "Steps": heal.steps.len(),
        "Attempt": step.map_or(0, |step| step.attempts_used),
        "Attempts": attempts_used(heal),
        "NeedsHuman": message.kind.needs_human(),
        "Final": message.kind.is_final(),
        "Subject": story.subject,
        "Headline": story.headline,
        "Text": plain::render(message, pages),
        "HTML": html::render(message, pages),
        "Description": line(&heal.description, MAX_TEXT),
        "Runbook": line(&heal.runbook, MAX_TEXT),
        "URL": pages.heal(heal),
        "ApprovalURL": pages.approval(message),
        "At": time(message.at),
        "CreatedAt": time(heal.created_at),
        "UpdatedAt": time(heal.updated_at),
        "EndedAt": heal.ended_at().map(time),
        "Facts": story.facts.iter().map(|fact| json!({ "Name": fact.name, "Value": fact.value })).collect::<Vec<_>>(),
        "Timeline": heal.timeline.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn entry(entry: &TimelineEntry) -> Value {
    json!({
        "At": time(entry.at),
        "What": line(&entry.what, MAX_LABEL),
        "Reason": line(&entry.reason.to_string(), MAX_TEXT),
        "By": line(&entry.by, MAX_LABEL),
    })
}

fn alert(alert: &Alert) -> Value {
    json!({
        "Status": alert.status.as_str(),
        "Labels": labels(&alert.labels),
        "Annotations": annotations(&alert.annotations),
        "StartsAt": time(alert.starts_at),
        "EndsAt": alert.ends_at.map(time),
        "GeneratorURL": line(&alert.generator_url, MAX_TEXT),
        "Fingerprint": alert.fingerprint.to_string(),
    })
}

/// What every alert has with the same value.
fn in_common(heal: &Heal, of: impl Fn(&Alert) -> &Labels) -> Labels {
    let mut common = heal.alerts.first().map(|alert| of(alert).clone()).unwrap_or_default();
    common.retain(|name, value| heal.alerts.iter().all(|alert| of(alert).get(name) == Some(value)));
    common
}

fn labels(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (line(name, MAX_LABEL), line(value, MAX_LABEL))).collect()
}

fn annotations(annotations: &Labels) -> BTreeMap<String, String> {
    annotations.iter().map(|(name, value)| (line(name, MAX_LABEL), lines(value, MAX_TEXT))).collect()
}

fn time(at: Timestamp) -> String {
    at.strftime(TIME).to_string()
}
