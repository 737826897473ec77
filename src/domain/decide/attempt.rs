//! News of the attempt under way.

use std::time::Duration;

use serde_json::Value;

use super::draft::{AUTOHEAL, Draft};
use super::{ActionOutcome, call};
use crate::domain::elapsed;
use crate::domain::heal::{Attempt, AttemptStage, CancelRequest, Outcome, Phase};
use crate::domain::message::MessageKind;
use crate::domain::reason::Reason;

/// How long an action may be impossible to try before that counts as a failed attempt.
const UNREACHABLE_LIMIT: Duration = Duration::from_mins(15);
/// Characters of a failure that the reason of a heal's end repeats; the story has all of it.
const SHOWN: usize = 300;
/// Shortest and longest pause before an action that could not be tried is tried again.
const UNREACHABLE_PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// The action has looked; what it will touch is now on record, before it is touched.
pub fn prepared(draft: &mut Draft<'_>, handle: Value, found: String) {
    if let Phase::Acting(attempt) = &mut draft.heal.phase {
        attempt.stage = AttemptStage::Prepared { handle };
    }
    draft.tell("looked", Reason::Looked { found }, AUTOHEAL);
}

/// The deed is done; what leads to its outcome is now on record.
pub fn started(draft: &mut Draft<'_>, handle: Value, what: String) {
    if let Phase::Acting(attempt) = &mut draft.heal.phase {
        attempt.stage = AttemptStage::Started { handle };
    }
    draft.tell("started", Reason::ActionStarted { what }, AUTOHEAL);
}

/// Another process goes on with the attempt. It gets the action's whole time, because the old one may have passed
/// while nobody was there.
pub fn taken_over(draft: &mut Draft<'_>, attempt: Attempt) {
    let stage = match attempt.stage {
        AttemptStage::Intended => "decided but not begun",
        AttemptStage::Prepared { .. } => "about to act",
        AttemptStage::Started { .. } => "under way",
    };
    give_time(draft, attempt);
    draft.tell("taken over", Reason::TakenOver { stage: stage.to_owned() }, AUTOHEAL);
}

/// The clock was put forward. Little of the action's time may have passed, whatever the clock says.
pub fn clock_moved(draft: &mut Draft<'_>, attempt: Attempt, by: Duration) {
    give_time(draft, attempt);
    draft.tell("clock moved", Reason::ClockMoved { by }, AUTOHEAL);
}

/// Gives an attempt the action's whole time from now on.
fn give_time(draft: &mut Draft<'_>, attempt: Attempt) {
    let timeout = draft.heal.current_step().map(|step| step.timeout).unwrap_or_default();
    draft.heal.phase = Phase::Acting(Attempt { deadline: draft.now + timeout, ..attempt });
}

/// The action ended.
pub fn finished(draft: &mut Draft<'_>, attempt: &Attempt, outcome: ActionOutcome) {
    let took = elapsed(attempt.began_at, draft.now);
    // What could not be tried, or was refused, has touched nothing.
    if !matches!(outcome, ActionOutcome::Unreachable { .. } | ActionOutcome::Refused { .. }) {
        draft.heal.last_action_ended_at = Some(draft.now);
    }
    if let Some(CancelRequest { by, because, .. }) = &attempt.cancel {
        let what = match outcome {
            ActionOutcome::Done { what } | ActionOutcome::NotNeeded { what } => what,
            ActionOutcome::Failed { error }
            | ActionOutcome::Refused { error }
            | ActionOutcome::Doubtful { error }
            | ActionOutcome::Unreachable { error } => error,
            ActionOutcome::TimedOut => "the action did not end in time".to_owned(),
        };
        draft.tell("action ended", Reason::ActionStarted { what }, AUTOHEAL);
        draft.cancelled(Reason::Cancelled { by: by.clone(), because: because.clone() }, by);
        return;
    }
    match outcome {
        ActionOutcome::Done { what } => {
            draft.tell("action done", Reason::ActionDone { what, took }, AUTOHEAL);
            draft.verify();
        }
        ActionOutcome::NotNeeded { what } => {
            draft.tell("nothing done", Reason::ActionNotNeeded { what }, AUTOHEAL);
            draft.verify();
        }
        ActionOutcome::Failed { error } => {
            let reason = Reason::ActionFailed { error };
            draft.tell("action failed", reason.clone(), AUTOHEAL);
            attempt_failed(draft, &reason);
        }
        ActionOutcome::TimedOut => {
            let timeout = draft.heal.current_step().map(|step| step.timeout).unwrap_or_default();
            let reason = Reason::ActionTimedOut { timeout };
            draft.tell("action failed", reason.clone(), AUTOHEAL);
            attempt_failed(draft, &reason);
        }
        ActionOutcome::Refused { error } => {
            let reason = Reason::ActionRefused { error };
            draft.tell("action refused", reason.clone(), AUTOHEAL);
            if !resolved_meanwhile(draft, &reason) {
                next_step(draft);
            }
        }
        ActionOutcome::Doubtful { error } => {
            let reason = Reason::ActionDoubtful { error };
            draft.tell("action doubtful", reason.clone(), AUTOHEAL);
            // Neither another attempt nor the next step may add to what nobody understands.
            draft.end(Outcome::Suppressed, reason);
            draft.notify(MessageKind::Suppressed);
        }
        ActionOutcome::Unreachable { error } => unreachable(draft, attempt, error),
    }
}

/// An action that could not be tried costs no attempt, but not for ever.
fn unreachable(draft: &mut Draft<'_>, attempt: &Attempt, error: String) {
    let now = draft.now;
    let since = attempt.unreachable_since.unwrap_or(attempt.began_at);
    let waited = elapsed(since, now);
    if waited >= UNREACHABLE_LIMIT {
        let reason = Reason::UnreachableTooLong { error, waited };
        draft.tell("action failed", reason.clone(), AUTOHEAL);
        attempt_failed(draft, &reason);
        return;
    }
    // The pause grows with the time already waited, which doubles it each time.
    let again_at = now + waited.clamp(UNREACHABLE_PAUSE.0, UNREACHABLE_PAUSE.1);
    let reason = Reason::ActionUnreachable { error, again_at };
    if resolved_meanwhile(draft, &reason) {
        return;
    }
    let heal = &mut draft.heal;
    if let Some(step) = heal.steps.get_mut(heal.step) {
        step.attempts_used = step.attempts_used.saturating_sub(1);
    }
    // Nothing has been done so far if this would have been the first attempt.
    heal.first_attempt_at = heal.first_attempt_at.filter(|first| *first < attempt.began_at);
    draft.enter(Phase::Pending { due_at: again_at, unreachable_since: Some(since) }, reason);
    call::when_held_up(draft);
}

/// An attempt did not heal: pause and try again, climb, or give up.
pub fn attempt_failed(draft: &mut Draft<'_>, failure: &Reason) {
    if !resolved_meanwhile(draft, failure) {
        climb(draft);
    }
}

/// Tries again after a pause, climbs, or gives up.
pub fn climb(draft: &mut Draft<'_>) {
    let index = draft.heal.step;
    let Some(step) = draft.heal.current_step() else { return };
    if step.attempts_used >= step.attempts {
        next_step(draft);
        return;
    }
    let pause = step.backoff.delay(step.attempts_used);
    let reason = Reason::NextAttempt { step: index, attempt: step.attempts_used + 1, attempts: step.attempts, pause };
    draft.enter(Phase::Pending { due_at: draft.now + pause, unreachable_since: None }, reason);
    draft.notify(MessageKind::AttemptFailed);
}

/// Whether every alert resolved although the attempt did not succeed; then there is nothing left to heal.
fn resolved_meanwhile(draft: &mut Draft<'_>, failure: &Reason) -> bool {
    let resolved = draft.heal.all_resolved();
    if resolved {
        draft.end(Outcome::Recovered, Reason::ResolvedWithoutSuccess { failure: failure.to_string() });
        draft.notify(MessageKind::Recovered);
    }
    resolved
}

/// Climbs to the next step, or gives up and calls a human.
fn next_step(draft: &mut Draft<'_>) {
    let steps = draft.heal.steps.len();
    if draft.heal.step + 1 < steps {
        draft.heal.step += 1;
        let reason = Reason::NextStep { step: draft.heal.step, steps };
        draft.enter(Phase::Pending { due_at: draft.now, unreachable_since: None }, reason);
        draft.notify(MessageKind::AttemptFailed);
        return;
    }
    let attempts = draft.heal.steps.iter().map(|step| step.attempts_used).sum();
    let last = draft.heal.last_failure().map(|failure| in_short(&failure.to_string())).unwrap_or_default();
    draft.end(Outcome::Exhausted, Reason::LadderExhausted { steps, attempts, last });
    draft.notify(MessageKind::Exhausted);
}

/// A failure within the bound.
fn in_short(failure: &str) -> String {
    match failure.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &failure[..end]),
        None => failure.to_owned(),
    }
}
