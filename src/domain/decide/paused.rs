//! A pause that lasts while alerts fire: nobody repairs, so somebody must know.

use super::Policy;
use super::draft::{AUTOHEAL, Draft};
use crate::domain::heal::Heal;
use crate::domain::message::MessageKind;
use crate::domain::pause::Pause;
use crate::domain::plan::Plan;
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, elapsed};

/// Tells of a pause by the heal it holds back, once it has done so for too long. The heal stays as it is.
pub fn decide(policy: &Policy, heal: &Heal, pause: &Pause, heals: usize, now: Timestamp) -> Plan {
    let is_this = |reason: &Reason| {
        matches!(reason, Reason::Paused { until, scope, .. }
            if *until == pause.until && *scope == pause.scope.to_string())
    };
    let held_since = heal.timeline.iter().rev().find(|entry| is_this(&entry.reason)).map(|entry| entry.at);
    let Some(held_since) = held_since.filter(|_| is_this(&heal.reason)) else {
        return Plan::nothing(Reason::NotHeld);
    };
    let Some(bearable) = policy.page_paused_after else { return Plan::nothing(Reason::NotHeld) };
    let held = elapsed(held_since, now);
    if held < bearable {
        return Plan::nothing(Reason::NotDue { due_at: held_since + bearable });
    }
    let mut draft = Draft::of(policy, heal.clone(), now);
    let Pause { until, scope, reason, by, .. } = pause;
    let (until, scope, because, by) = (*until, scope.to_string(), reason.clone(), by.clone());
    draft.tell("paused too long", Reason::PausedTooLong { until, scope, because, by, held, heals }, AUTOHEAL);
    draft.notify(MessageKind::PausedTooLong);
    draft.into_plan()
}
