//! The first line of every message: what happened, and whether a person must do something.

use std::time::Duration;

use super::MAX_NAME;
use super::ending::Ending;
use super::text::line;
use crate::domain::heal::Heal;
use crate::domain::message::{Message, MessageKind};
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, duration, elapsed};

/// What a person at night must know, in one line.
pub(super) fn headline(message: &Message) -> String {
    let heal = &message.heal;
    let name = line(trouble(heal), MAX_NAME);
    let action = heal.current_step().map(|step| step.action.summary()).unwrap_or_default();
    match message.kind {
        MessageKind::Started => format!("autoheal is at work on {name}: {action}."),
        MessageKind::AttemptFailed => {
            let what = match heal.last_failure() {
                Some(Reason::ActionRefused { error }) => format!("The action was refused: {error}"),
                Some(away @ Reason::UnreachableTooLong { .. }) => format!("It {away}"),
                Some(failure) => format!("It did not help: {failure}"),
                None => "It did not help".to_owned(),
            };
            format!("{what}. autoheal goes on: {}.", heal.reason)
        }
        MessageKind::Healed => format!("{name} is healed, nothing to do. {}; {}.", deed(heal, &action), heal.reason),
        MessageKind::Recovered => format!("{name} is over, nothing to do: {}.", heal.reason),
        MessageKind::Exhausted => format!("A human is needed: {}.", given_up(heal, &name)),
        MessageKind::Suppressed if Ending::of(heal) == Ending::Doubtful => format!(
            "A human is needed: autoheal began to {action} for {name} and stopped; look what it did: {}.",
            heal.reason
        ),
        MessageKind::Suppressed => format!("A human is needed: autoheal did not act on {name}: {}.", heal.reason),
        MessageKind::ApprovalNeeded => format!("A human must decide about {name}: {}.", heal.reason),
        MessageKind::Storm => format!("A human is needed: {}.", heal.reason),
        // The heal is held as before; what is new stands in its story alone.
        MessageKind::PausedTooLong => {
            let latest = heal.timeline.last().map_or(&heal.reason, |entry| &entry.reason);
            format!("A human is needed for {name}: {latest}.")
        }
        MessageKind::HeldUp => {
            format!("A human is needed: autoheal cannot act on {name} on {}: {}.", heal.target, heal.reason)
        }
        MessageKind::Expired => format!("A human is needed for {name} on {}: {}.", heal.target, heal.reason),
        MessageKind::Cancelled => format!("autoheal stopped its work on {name}: {}.", heal.reason),
        MessageKind::Firing => format!("{name} fires; its rule only notifies, autoheal does nothing about it."),
        MessageKind::Reminder => {
            format!("A human is still needed{}: {name} on {}: {}.", waiting(message), heal.target, heal.reason)
        }
        MessageKind::Over => {
            let why = heal.timeline.last().map_or(&heal.reason, |entry| &entry.reason);
            format!("No human is needed any more for {name} on {}: {why}.", heal.target)
        }
        MessageKind::Resolved => format!("{name} has resolved after {}.", rounded(heal.created_at, message.at)),
    }
}

/// What autoheal itself did about what is well now.
fn deed(heal: &Heal, action: &str) -> String {
    let reasons = || heal.timeline.iter().map(|entry| &entry.reason);
    if reasons().any(|reason| matches!(reason, Reason::ActionDone { .. })) {
        return format!("Done: {action}");
    }
    // What failed, or was left out of a long story, may have done something.
    let is_unsure = heal.timeline_dropped > 0
        || reasons().any(|reason| matches!(reason, Reason::ActionFailed { .. } | Reason::ActionTimedOut { .. }));
    let found = reasons().rev().find_map(|reason| match reason {
        Reason::ActionNotNeeded { what } => Some(what),
        _ => None,
    });
    match found {
        Some(found) if !is_unsure => format!("autoheal itself did nothing: {found}"),
        _ => format!("Tried: {action}"),
    }
}

/// Why nothing is left to try.
fn given_up(heal: &Heal, name: &str) -> String {
    let Heal { target, reason, .. } = heal;
    match Ending::of(heal) {
        Ending::Resolved => {
            let failure = heal.last_failure().unwrap_or(reason);
            format!("{name} on {target} has resolved, but not all is well after {}: {failure}", attempts(heal))
        }
        Ending::Fruitless => {
            let failure = match heal.last_failure() {
                Some(Reason::ActionRefused { error }) => format!("the action was refused: {error}"),
                failure => failure.unwrap_or(reason).to_string(),
            };
            format!("autoheal could do nothing about {name} on {target}: {failure}")
        }
        Ending::Fires => format!("{name} still fires after {} on {target}", attempts(heal)),
        Ending::Untouched | Ending::Doubtful | Ending::Unverifiable => format!("{name} on {target}: {reason}"),
    }
}

/// The name a person knows the trouble by.
pub(super) fn trouble(heal: &Heal) -> &str {
    heal.alerts.first().map(|alert| alert.name()).filter(|name| !name.is_empty()).unwrap_or(&heal.rule)
}

/// For how long somebody has been called; empty when nobody is.
pub(super) fn waiting(message: &Message) -> String {
    let since = message.heal.call.as_ref().map(|call| call.since);
    since.map_or_else(String::new, |since| format!(", called {} ago", rounded(since, message.at)))
}

/// How many attempts there were, such as `2 attempts`.
pub(super) fn attempts(heal: &Heal) -> String {
    match attempts_used(heal) {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    }
}

pub(super) fn attempts_used(heal: &Heal) -> u32 {
    heal.steps.iter().map(|step| step.attempts_used).sum()
}

/// The time between two instants in whole seconds, because nobody reads milliseconds at night.
pub(super) fn rounded(from: Timestamp, to: Timestamp) -> String {
    let took = elapsed(from, to);
    duration::format(if took.as_secs() > 0 { Duration::from_secs(took.as_secs()) } else { took })
}
