//! The subject: Alertmanager's form, which on-call people read at a glance, and the outcome after it.

use super::ending::Ending;
use super::headline::{attempts, rounded, waiting};
use super::text::line;
use crate::domain::alert::AlertStatus;
use crate::domain::duration;
use crate::domain::heal::{Heal, Phase};
use crate::domain::message::{Message, MessageKind};
use crate::domain::reason::Reason;

/// Longest subject in characters.
pub const MAX_SUBJECT: usize = 250;

/// `[FIRING:1] InstanceDown ui (ui:9292 otus critical) — restarting, attempt 1 of 2`.
///
/// Alertmanager puts the group's labels first and the other common ones in parentheses. A heal has no group, so the
/// labels nearly everybody groups by take that place: `alertname` and `job`.
#[must_use]
pub fn subject(message: &Message) -> String {
    let outcome = line(&outcome(message), MAX_SUBJECT / 2);
    if outcome.is_empty() {
        return line(&alerts(message), MAX_SUBJECT);
    }
    // When it is too long the labels give way: the outcome is what the reader does not know yet.
    let room = MAX_SUBJECT - outcome.chars().count() - " — ".chars().count();
    format!("{} — {outcome}", line(&alerts(message), room))
}

fn alerts(message: &Message) -> String {
    let heal = &message.heal;
    let mut text = match heal.alerts.iter().filter(|alert| alert.status == AlertStatus::Firing).count() {
        // Mail filters put away what has resolved, and nobody would see that somebody is needed.
        0 if message.kind.needs_human() => "[NOT HEALED]".to_owned(),
        0 => "[RESOLVED]".to_owned(),
        firing => format!("[FIRING:{firing}]"),
    };
    let mut common = heal.alerts.first().map(|alert| alert.labels.clone()).unwrap_or_default();
    common.retain(|name, value| heal.alerts.iter().all(|alert| alert.labels.get(name) == Some(value)));
    let mut word = |value: &str| {
        text.push(' ');
        text.push_str(value);
    };
    word(&common.remove("alertname").unwrap_or_else(|| heal.rule.clone()));
    if let Some(job) = common.remove("job") {
        word(&job);
    }
    if !common.is_empty() {
        let values: Vec<_> = common.into_values().collect();
        word(&format!("({})", values.join(" ")));
    }
    text
}

/// What became of it; empty for rules that only notify, whose subjects are Alertmanager's own.
fn outcome(message: &Message) -> String {
    let heal = &message.heal;
    match message.kind {
        MessageKind::Started => match heal.current_step() {
            Some(step) => format!("{}, {}", step.action.doing(), attempt(heal)),
            None => String::new(),
        },
        MessageKind::AttemptFailed => failed(message),
        MessageKind::Healed => match heal.reason {
            Reason::Verified { took, .. } if took.as_secs() > 0 => {
                format!("healed after {}", duration::format(std::time::Duration::from_secs(took.as_secs())))
            }
            _ => "healed".to_owned(),
        },
        MessageKind::Recovered => "recovered on its own".to_owned(),
        MessageKind::Exhausted => match Ending::of(heal) {
            Ending::Untouched => "human needed, fires again after every step".to_owned(),
            Ending::Fruitless => "human needed, nothing could be done".to_owned(),
            Ending::Doubtful | Ending::Unverifiable => "human needed, nobody could say whether it helped".to_owned(),
            Ending::Resolved => "human needed, resolved but not verified".to_owned(),
            Ending::Fires => format!("human needed, {} did not help", attempts(heal)),
        },
        MessageKind::Suppressed if Ending::of(heal) == Ending::Doubtful => {
            "human needed, autoheal began and stopped: look what it did".to_owned()
        }
        MessageKind::Suppressed => "human needed, autoheal did not act".to_owned(),
        MessageKind::ApprovalNeeded => "approval needed".to_owned(),
        MessageKind::Expired => "human needed, nobody approved in time".to_owned(),
        MessageKind::Storm => "human needed, storm: nothing new starts".to_owned(),
        MessageKind::Reminder => format!("human still needed{}", waiting(message)),
        MessageKind::Over => "over, no human is needed any more".to_owned(),
        MessageKind::HeldUp => "human needed, autoheal cannot act".to_owned(),
        MessageKind::PausedTooLong => "human needed, a pause holds repairs back".to_owned(),
        MessageKind::Cancelled => "cancelled by a person".to_owned(),
        MessageKind::Firing | MessageKind::Resolved => String::new(),
    }
}

fn failed(message: &Message) -> String {
    let heal = &message.heal;
    let Some(step) = heal.current_step() else { return String::new() };
    let how = match heal.last_failure() {
        Some(Reason::ActionRefused { .. }) => "was refused",
        Some(Reason::UnreachableTooLong { .. }) => "could not be tried",
        _ => "did not help",
    };
    // A step of which nothing has been tried is one the ladder has just climbed to.
    if step.attempts_used == 0 {
        return format!("step {} {how}, {} of {} follows", heal.step, heal.step + 1, heal.steps.len());
    }
    match heal.phase {
        Phase::Pending { due_at, .. } => {
            format!("{} {how}, next in {}", attempt(heal), rounded(message.at, due_at))
        }
        _ => format!("{} {how}", attempt(heal)),
    }
}

fn attempt(heal: &Heal) -> String {
    let Some(step) = heal.current_step() else { return String::new() };
    let attempt = format!("attempt {} of {}", step.attempts_used, step.attempts);
    match heal.steps.len() {
        1 => attempt,
        steps => format!("step {} of {steps}, {attempt}", heal.step + 1),
    }
}
