//! What people said: pauses and approvals.

use super::{Situation, Verdict};
use crate::domain::pause::Pause;
use crate::domain::reason::Reason;
use crate::domain::rule::Mode;

/// Holds while a pause lasts that covers the heal.
pub fn not_paused(situation: &Situation<'_>) -> Verdict {
    let Situation { heal, load, now, .. } = *situation;
    match Pause::covering(&load.pauses, heal, now) {
        None => Verdict::Allow(String::new()),
        Some(Pause { scope, reason, by, until, .. }) => {
            let (scope, because, by) = (scope.to_string(), reason.clone(), by.clone());
            Verdict::Hold { until: *until, reason: Reason::Paused { until: *until, scope, because, by } }
        }
    }
}

/// Asks for a person's leave where the heal's rule wants it.
pub fn approved(situation: &Situation<'_>) -> Verdict {
    let Situation { heal, now, .. } = *situation;
    if heal.mode != Mode::Ask {
        return Verdict::Allow(String::new());
    }
    let Some(approval) = heal.approval.as_ref().filter(|approval| approval.step == heal.step) else {
        return Verdict::Ask;
    };
    // Once the step has begun its further attempts need no further leave.
    let has_begun = heal.current_step().is_some_and(|step| step.attempts_used > 0);
    if now >= approval.expires_at && !has_begun {
        return Verdict::Expired { at: approval.expires_at };
    }
    Verdict::Allow(format!("approved by {}", approval.by))
}
