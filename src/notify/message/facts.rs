//! What is worth knowing of a heal, one name and value each.

use super::Detail;
use super::headline::rounded;
use super::text::line;
use crate::domain::heal::{Heal, HealStep};
use crate::domain::message::{Message, MessageKind};
use crate::domain::pause::Pause;

/// One thing worth knowing, such as `Target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// Its value; an address that passes [`text::link`](super::text::link) may be shown as a link.
    pub value: String,
}

pub(super) fn facts(message: &Message, detail: Detail) -> Vec<Fact> {
    let heal = &message.heal;
    let mut facts = Vec::new();
    let mut add = |name, value: &str| {
        if !value.is_empty() {
            facts.push(Fact { name, value: line(value, detail.value) });
        }
    };
    if let Some(pause) = &message.paused {
        add("Paused", &paused(pause));
    }
    if let Some(step) = heal.current_step() {
        add(if heal.has_acted() { "Action" } else { "Planned" }, &step.action.summary());
        add("Target", heal.target.as_str());
        if heal.has_acted() {
            add("Attempt", &attempt(heal, step));
        }
        add(
            match message.kind {
                // How it ended is history by now, and must not read as if somebody were still needed.
                MessageKind::Over => "It had ended",
                kind if kind.is_final() => "Outcome",
                _ => "State",
            },
            &format!("{}: {}", heal.phase.name(), heal.reason),
        );
    } else if message.kind.needs_human() {
        add("Target", heal.target.as_str());
        add("Outcome", &heal.reason.to_string());
    }
    if message.kind != MessageKind::Healed
        && let Some(failure) = heal.last_failure()
    {
        add("Last failure", &failure.to_string());
    }
    // A chat takes ten facts; while there is a pause this one gives way.
    if message.kind.is_final() && message.kind != MessageKind::Suppressed && message.paused.is_none() {
        add("Took", &rounded(heal.created_at, message.at));
    }
    add("Next", &next(message));
    add("About", &heal.description);
    add("Runbook", &heal.runbook);
    add("Rule", &heal.rule);
    facts
}

/// Where on the ladder the heal stands.
pub(super) fn attempt(heal: &Heal, step: &HealStep) -> String {
    let attempts = format!("{} of {}", step.attempts_used, step.attempts);
    match heal.steps.len() {
        1 => attempts,
        steps => format!("{attempts} (step {} of {steps})", heal.step + 1),
    }
}

/// What comes next, when something does: what autoheal will do, or that it is somebody's turn.
pub(super) fn next(message: &Message) -> String {
    let heal = &message.heal;
    match message.kind {
        MessageKind::Started | MessageKind::AttemptFailed => {
            let Some(step) = heal.current_step() else { return String::new() };
            let then = heal.steps.get(heal.step + 1);
            match (step.attempts_used < step.attempts, then) {
                (true, _) => format!("attempt {} of {} if it does not help", step.attempts_used + 1, step.attempts),
                (false, Some(then)) => format!("{} if it does not help", then.action.summary()),
                (false, None) => "a human is called if it does not help".to_owned(),
            }
        }
        MessageKind::ApprovalNeeded => "approve or deny it".to_owned(),
        MessageKind::HeldUp => "repair what is out of reach; autoheal goes on trying".to_owned(),
        MessageKind::PausedTooLong => "end the pause, or repair it yourself".to_owned(),
        kind if kind.needs_human() && heal.runbook.is_empty() => format!("a human looks at {}", heal.target),
        kind if kind.needs_human() => "a human follows the runbook".to_owned(),
        _ => String::new(),
    }
}

/// The stop switch in one line.
pub(super) fn paused(pause: &Pause) -> String {
    let Pause { scope, reason, by, until, .. } = pause;
    format!("{scope} until {until} by {by}, nothing new starts: {reason}")
}
