//! A heal's due time has come.

use std::time::Duration;

use super::attempt::attempt_failed;
use super::draft::{AUTOHEAL, Draft};
use super::{ActionOutcome, Policy, attempt};
use crate::domain::guard::{self, Load, Verdict};
use crate::domain::heal::{Attempt, AttemptId, AttemptStage, Heal, Outcome, Phase};
use crate::domain::message::MessageKind;
use crate::domain::plan::Plan;
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, elapsed};

/// A deadline is looked at within milliseconds. When it is found this much later, no process was there to watch.
const NOBODY_WATCHED: Duration = Duration::from_secs(30);

pub fn decide(policy: &Policy, heal: &Heal, load: &Load, new_attempt: AttemptId, now: Timestamp) -> Plan {
    if let Some(due_at) = heal.due_at().filter(|due_at| now < *due_at) {
        return Plan::nothing(Reason::NotDue { due_at });
    }
    let mut draft = Draft::of(policy, heal.clone(), now);
    match heal.phase.clone() {
        Phase::Pending { unreachable_since, .. } => return pending(draft, load, new_attempt, unreachable_since),
        Phase::Acting(current) => attempt::finished(&mut draft, &current, ActionOutcome::TimedOut),
        Phase::Verifying { healthy_since: Some(_), .. } => draft.healed(),
        Phase::Verifying { since, deadline: Some(deadline), .. } if elapsed(deadline, now) > NOBODY_WATCHED => {
            // The resolve may have been sent while nobody was there to take it; Alertmanager sends it again.
            let within = heal.current_step().map(|step| step.verify.within).unwrap_or_default();
            let phase = Phase::Verifying { since, deadline: Some(now + within), healthy_since: None };
            draft.enter(phase, Reason::NobodyWatched { late: elapsed(deadline, now), within });
        }
        Phase::Verifying { deadline: Some(_), .. } => {
            let within = heal.current_step().map(|step| step.verify.within).unwrap_or_default();
            draft.tell("not verified", Reason::NotVerified { within }, AUTOHEAL);
            attempt_failed(&mut draft, &Reason::NotVerified { within });
        }
        // A notify-only heal waits for its alert without limit; look again tomorrow.
        Phase::Verifying { deadline: None, .. } => {
            draft.heal.phase = Phase::Verifying { since: now, deadline: None, healthy_since: None };
        }
        Phase::Ended { outcome, .. } => return Plan::nothing(Reason::HealEnded { outcome }),
    }
    draft.into_plan()
}

fn pending(mut draft: Draft<'_>, load: &Load, new_attempt: AttemptId, unreachable_since: Option<Timestamp>) -> Plan {
    let verdict = guard::ask(draft.policy().limits, load, draft.now);
    if draft.is_shadow() {
        shadow(&mut draft, &verdict);
        return draft.into_plan();
    }
    match verdict {
        Verdict::Allow(_) => {
            begin_attempt(&mut draft, new_attempt, unreachable_since);
            draft.into_plan()
        }
        Verdict::Hold { until, reason } => hold(draft, until, reason, unreachable_since),
    }
}

fn hold(mut draft: Draft<'_>, until: Timestamp, reason: Reason, unreachable_since: Option<Timestamp>) -> Plan {
    let is_news = std::mem::discriminant(&draft.heal.reason) != std::mem::discriminant(&reason);
    // A limit over all rules holds every other heal as well; the end of an action, or the hour, frees it.
    let saturated = matches!(reason, Reason::ConcurrentLimit { .. } | Reason::HourlyLimit { .. });
    if saturated && !is_news {
        // It keeps its place in the queue, and its row is not written again only to say the same.
        return Plan { saturated, ..Plan::nothing(reason) };
    }
    if !saturated {
        draft.heal.phase = Phase::Pending { due_at: until, unreachable_since };
    }
    if is_news {
        draft.tell("held", reason.clone(), AUTOHEAL);
    }
    draft.heal.reason = reason;
    Plan { saturated, ..draft.into_plan() }
}

fn shadow(draft: &mut Draft<'_>, verdict: &Verdict) {
    let action = draft.heal.current_step().map(|step| step.action.summary()).unwrap_or_default();
    let guards = match verdict {
        Verdict::Allow(numbers) => format!("allow ({numbers})"),
        Verdict::Hold { reason, .. } => format!("hold ({reason})"),
    };
    draft.end(Outcome::Shadowed, Reason::WouldAct { action, guards });
}

fn begin_attempt(draft: &mut Draft<'_>, id: AttemptId, unreachable_since: Option<Timestamp>) {
    let now = draft.now;
    let is_first = !draft.heal.has_acted();
    let first_firing = draft.heal.alerts.iter().map(|alert| alert.starts_at).min().unwrap_or(now);
    let symptom_since = draft.heal.last_action_ended_at.unwrap_or(first_firing);
    let (index, steps) = (draft.heal.step, draft.heal.steps.len());
    let Some(step) = draft.heal.steps.get_mut(index) else { return };
    step.attempts_used += 1;
    let reason = Reason::Attempt {
        step: index,
        steps,
        attempt: step.attempts_used,
        attempts: step.attempts,
        action: step.action.summary(),
    };
    let deadline = now + step.timeout;
    draft.heal.first_attempt_at.get_or_insert(now);
    let attempt =
        Attempt { id, began_at: now, deadline, symptom_since, unreachable_since, stage: AttemptStage::Intended };
    draft.enter(Phase::Acting(attempt), reason);
    draft.start_action();
    if is_first {
        draft.notify(MessageKind::Started);
    }
}
