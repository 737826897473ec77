//! What comes next for a heal, in one sentence: the last question of whoever is woken by it.

use super::Timestamp;
use super::duration;
use super::heal::{Heal, HealStep, Outcome, Phase};

/// What happens next, as of `now`, if nobody does anything.
#[must_use]
pub fn outlook(heal: &Heal, now: Timestamp) -> String {
    match &heal.phase {
        // Of the heals that a limit holds back only the first is asked, and only that one's reason names the limit.
        Phase::Pending { due_at, .. } if *due_at <= now => match heal.current_step() {
            Some(step) => format!(
                "due since {due_at}: as soon as the limits on actions leave room the guards are asked, then {}",
                attempt(heal, step)
            ),
            None => "it is looked at again at once".to_owned(),
        },
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

fn verifying(heal: &Heal, deadline: Option<Timestamp>, healthy_since: Option<Timestamp>) -> String {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::heal::AttemptId;
    use crate::domain::heal::tests::{acting, at, heal, verifying};

    /// A heal before this attempt of this step of so many.
    fn climbed(phase: Phase, attempts_used: u32, step: usize, steps: usize) -> Heal {
        let mut heal = heal(phase);
        heal.steps = vec![heal.steps[0].clone(); steps];
        heal.step = step;
        if let Some(step) = heal.steps.get_mut(step) {
            step.attempts_used = attempts_used;
        }
        heal
    }

    #[test]
    fn an_open_heal_says_what_comes_next_if_nobody_does_anything() {
        let waits = || Phase::Pending { due_at: at(130), unreachable_since: None };
        let asks = |approvers: &[&str]| Phase::AwaitingApproval {
            attempt: AttemptId(uuid::Uuid::nil()),
            expires_at: at(140),
            approvers: approvers.iter().map(|name| (*name).to_owned()).collect(),
        };
        let summary = heal(waits()).steps[0].action.summary();
        let at_130 = "at 1970-01-01T00:02:10Z";
        let until_160 = "by 1970-01-01T00:02:40Z at the latest";
        let if_not = "if not by 1970-01-01T00:06:40Z,";
        let mut at_once = climbed(verifying(Some(400), None, None), 1, 0, 1);
        at_once.steps[0].verify.healthy_for = Duration::ZERO;
        for (heal, expected) in [
            (
                climbed(waits(), 1, 0, 1),
                format!("{at_130} the guards are asked, then attempt 2 of 2 begins: {summary}"),
            ),
            (
                climbed(waits(), 0, 1, 2),
                format!("{at_130} the guards are asked, then attempt 1 of 2 of step 2 of 2 begins: {summary}"),
            ),
            (climbed(waits(), 0, 0, 0), "it is looked at again at 1970-01-01T00:02:10Z".to_owned()),
            (
                heal(asks(&[])),
                "a person must approve; without an answer it ends at 1970-01-01T00:02:20Z and a human is called"
                    .to_owned(),
            ),
            (
                heal(asks(&["ann", "bob"])),
                "ann or bob must approve; without an answer it ends at 1970-01-01T00:02:20Z and a human is called"
                    .to_owned(),
            ),
            (heal(acting(Some(false))), format!("the action is asked to stop and ends {until_160}")),
            (heal(acting(None)), format!("the action ends {until_160}; then its effect is verified")),
            (
                climbed(verifying(Some(400), None, None), 1, 0, 1),
                format!("healed once it has been well for 30s; {if_not} attempt 2 of 2 follows"),
            ),
            (at_once, format!("healed once it is well; {if_not} attempt 2 of 2 follows")),
            (
                climbed(verifying(Some(400), None, None), 2, 0, 2),
                format!("healed once it has been well for 30s; {if_not} the next step follows: {summary}"),
            ),
            (
                climbed(verifying(Some(400), None, None), 2, 1, 2),
                format!("healed once it has been well for 30s; {if_not} a human is called"),
            ),
            (
                heal(verifying(Some(400), Some(200), None)),
                "healed at 1970-01-01T00:03:50Z if it stays well until then".to_owned(),
            ),
            (heal(verifying(None, None, None)), "it ends when its alerts have resolved".to_owned()),
        ] {
            assert_eq!(outlook(&heal, at(129)), expected);
        }
    }

    #[test]
    fn a_heal_that_is_due_and_waits_for_room_says_so() {
        let waits = || Phase::Pending { due_at: at(130), unreachable_since: None };
        let due = climbed(waits(), 0, 0, 1);
        let expected = format!(
            "due since 1970-01-01T00:02:10Z: as soon as the limits on actions leave room the guards are asked, \
             then attempt 1 of 2 begins: {}",
            due.steps[0].action.summary()
        );
        assert_eq!(outlook(&due, at(130)), expected);
        assert_eq!(outlook(&climbed(waits(), 0, 0, 0), at(131)), "it is looked at again at once");
    }

    #[test]
    fn an_ended_heal_says_whether_anything_is_left_to_do() {
        let ended = |outcome, has_acted, throttle| {
            let mut heal = heal(Phase::Ended { outcome, at: at(100) });
            heal.first_attempt_at = Some(at(50)).filter(|_| has_acted);
            heal.throttle = Duration::from_mins(throttle);
            outlook(&heal, at(100))
        };
        let goes_on = "nothing; should it fire again within 5m, the ladder goes on where it stopped";
        let must_look = "a human must look: nothing more is done for this episode";
        assert_eq!(ended(Outcome::Healed, true, 5), goes_on);
        assert_eq!(ended(Outcome::Recovered, true, 5), goes_on);
        assert_eq!(ended(Outcome::Healed, true, 0), "nothing", "no ladder is remembered");
        assert_eq!(ended(Outcome::Recovered, false, 5), "nothing", "nothing was done");
        assert_eq!(ended(Outcome::Shadowed, false, 5), "nothing");
        assert_eq!(ended(Outcome::Cancelled, true, 5), "nothing");
        assert_eq!(ended(Outcome::Suppressed, false, 5), must_look);
        assert_eq!(ended(Outcome::Expired, false, 5), must_look);
        assert_eq!(
            ended(Outcome::Exhausted, true, 5),
            "a human must look: nothing more is tried until the ladder is forgotten, 5m after the end or by \
             `autoheal heals reset 00000000-0000-0000-0000-000000000001`"
        );
    }
}
