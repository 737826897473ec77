//! What comes next for a heal, in one sentence: the last question of whoever is woken by it.

use super::duration;
use super::heal::{Heal, HealStep, Outcome, Phase};

/// What happens next if nobody does anything.
#[must_use]
pub fn outlook(heal: &Heal) -> String {
    match &heal.phase {
        Phase::Pending { due_at, .. } => match heal.current_step() {
            Some(step) => format!("at {due_at} the guards are asked, then {}", attempt(heal, step)),
            None => format!("it is looked at again at {due_at}"),
        },
        Phase::AwaitingApproval { expires_at, approvers, .. } => {
            let who = if approvers.is_empty() { "a person".to_owned() } else { approvers.join(" or ") };
            format!("{who} must approve; without an answer it ends at {expires_at} and a human is called")
        }
        Phase::Acting(attempt) if attempt.cancel.is_some() => {
            format!("the action is asked to stop and ends by {} at the latest", attempt.deadline)
        }
        Phase::Acting(attempt) => {
            format!("the action ends by {} at the latest; then its effect is verified", attempt.deadline)
        }
        Phase::Verifying { deadline, healthy_since, .. } => verifying(heal, *deadline, *healthy_since),
        Phase::Ended { outcome, .. } => ended(heal, *outcome),
    }
}

fn verifying(heal: &Heal, deadline: Option<super::Timestamp>, healthy_since: Option<super::Timestamp>) -> String {
    let (Some(step), Some(deadline)) = (heal.current_step(), deadline) else {
        return "it ends when its alerts have resolved".to_owned();
    };
    let healthy_for = step.verify.healthy_for;
    match healthy_since {
        Some(since) => format!("healed at {} if it stays well until then", since + healthy_for),
        None if healthy_for.is_zero() => {
            format!("healed once it is well; if not by {deadline}, {}", otherwise(heal, step))
        }
        None => {
            let stays = duration::format(healthy_for);
            format!("healed once it has been well for {stays}; if not by {deadline}, {}", otherwise(heal, step))
        }
    }
}

/// The attempt that begins next, with its place on the ladder.
fn attempt(heal: &Heal, step: &HealStep) -> String {
    let place = format!("attempt {} of {}", step.attempts_used + 1, step.attempts);
    let ladder = if heal.steps.len() > 1 {
        format!(" of step {} of {}", heal.step + 1, heal.steps.len())
    } else {
        String::new()
    };
    format!("{place}{ladder} begins: {}", step.action.summary())
}

/// What follows an attempt that did not heal.
fn otherwise(heal: &Heal, step: &HealStep) -> String {
    if step.attempts_used < step.attempts {
        return format!("attempt {} of {} follows", step.attempts_used + 1, step.attempts);
    }
    match heal.steps.get(heal.step + 1) {
        Some(next) => format!("the next step follows: {}", next.action.summary()),
        None => "a human is called".to_owned(),
    }
}

fn ended(heal: &Heal, outcome: Outcome) -> String {
    let remembered = duration::format(heal.throttle);
    match outcome {
        Outcome::Healed | Outcome::Recovered if heal.has_acted() && !heal.throttle.is_zero() => {
            format!("nothing; should it fire again within {remembered}, the ladder goes on where it stopped")
        }
        Outcome::Exhausted => format!(
            "a human must look: nothing more is tried until the ladder is forgotten, {remembered} after the end or by `autoheal heals reset {}`",
            heal.id
        ),
        Outcome::Suppressed | Outcome::Expired => "a human must look: nothing more is done for this episode".to_owned(),
        Outcome::Healed | Outcome::Recovered | Outcome::Shadowed | Outcome::Cancelled => "nothing".to_owned(),
    }
}
