//! What the log and the metrics say of a heal that changed. The engine and the door both change heals; an operator reads
//! the same lines whichever it was.

use super::Metrics;
use crate::domain::decide::AUTOHEAL;
use crate::domain::heal::{Heal, Outcome, TimelineEntry};

/// Tells how a heal now stands: a line for everything autoheal itself did in this change, and the numbers of its end.
pub fn heal_changed(metrics: &Metrics, heal: &Heal) {
    for entry in news(heal) {
        let TimelineEntry { what, reason, .. } = entry;
        if reason.is_of_a_guard() {
            metrics.guard_refused(&heal.rule, &reason.code());
        }
        let (state, target) = (heal.phase.name(), &heal.target);
        match heal.outcome() {
            Some(Outcome::Exhausted | Outcome::Suppressed | Outcome::Expired) if what == state => {
                tracing::warn!(heal = %heal.id, rule = heal.rule, %target, state, %reason, "a human is needed");
            }
            Some(Outcome::Shadowed) => {
                tracing::info!(heal = %heal.id, rule = heal.rule, %target, state, %reason, "nothing was done");
            }
            _ => tracing::info!(heal = %heal.id, rule = heal.rule, %target, state, %reason, "{what}"),
        }
    }
    let Some(outcome) = heal.outcome() else { return };
    metrics.heal_ended(&heal.rule, outcome);
    if let (Outcome::Healed, Some(acted_at), Some(ended_at)) = (outcome, heal.last_action_ended_at, heal.ended_at()) {
        metrics.verified(ended_at.duration_since(acted_at).unsigned_abs());
    }
}

/// What the last change added to the story. What others did (an alert fired, it resolved) is in their own logs.
fn news(heal: &Heal) -> impl Iterator<Item = &TimelineEntry> {
    let is_new = |entry: &&TimelineEntry| entry.at == heal.updated_at;
    let first = heal.timeline.len() - heal.timeline.iter().rev().take_while(is_new).count();
    heal.timeline[first..].iter().filter(|entry| entry.by == AUTOHEAL)
}
