//! A message as a JSON document, for programs. Its shape is a promise; times are RFC 3339 in UTC.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Pages, Story, subject};
use crate::domain::alert::Alert;
use crate::domain::heal::{Heal, HealStep, TimelineEntry};
use crate::domain::message::Message;
use crate::domain::pause::Pause;

/// Version of the document's shape.
const VERSION: &str = "1";

/// Renders a message as a document.
#[must_use]
pub fn render(id: Uuid, message: &Message, pages: &Pages) -> Value {
    let heal = &message.heal;
    json!({
        "version": VERSION,
        "id": id,
        "event": message.kind.as_str(),
        "at": message.at,
        "needsHuman": message.kind.needs_human(),
        "final": message.kind.is_final(),
        "subject": subject(message),
        "headline": Story::full(message, pages).headline,
        "url": pages.heal(heal),
        "paused": message.paused.as_ref().map(pause),
        "heal": describe(heal),
    })
}

fn describe(heal: &Heal) -> Value {
    json!({
        "id": heal.id,
        "rule": heal.rule,
        "description": heal.description,
        "runbook": heal.runbook,
        "target": heal.target,
        "state": heal.phase.name(),
        "reason": heal.reason.to_string(),
        "step": if heal.steps.is_empty() { 0 } else { heal.step + 1 },
        "attempt": heal.current_step().map_or(0, |step| step.attempts_used),
        "createdAt": heal.created_at,
        "updatedAt": heal.updated_at,
        "endedAt": heal.ended_at(),
        "steps": heal.steps.iter().map(step).collect::<Vec<_>>(),
        "alerts": heal.alerts.iter().map(|told| alert(told)).collect::<Vec<_>>(),
        "timeline": heal.timeline.iter().map(entry).collect::<Vec<_>>(),
        "timelineDropped": heal.timeline_dropped,
        "externalUrl": heal.external_url,
    })
}

fn pause(pause: &Pause) -> Value {
    let Pause { scope, reason, by, since, until, .. } = pause;
    json!({ "covers": scope.to_string(), "reason": reason, "by": by, "since": since, "until": until })
}

fn step(step: &HealStep) -> Value {
    json!({
        "action": step.action.summary(),
        "target": step.action.target(),
        "attempts": step.attempts_used,
        "maxAttempts": step.attempts,
    })
}

fn alert(alert: &Alert) -> Value {
    json!({
        "fingerprint": alert.fingerprint,
        "status": alert.status,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.starts_at,
        "endsAt": alert.ends_at,
        "generatorURL": alert.generator_url,
    })
}

fn entry(entry: &TimelineEntry) -> Value {
    json!({ "at": entry.at, "what": entry.what, "reason": entry.reason.to_string(), "by": entry.by })
}
