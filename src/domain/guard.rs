//! Guards: each looks at one danger of acting now and says allow or hold, with its numbers.

use std::sync::Arc;
use std::time::Duration;

use super::Timestamp;
use super::heal::{Heal, HealId};
use super::pause::Pause;
use super::reason::Reason;
use super::rule::Mode;

/// Limits over all rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Actions that may run at once.
    pub concurrent: u32,
    /// Actions that may begin within any hour.
    pub per_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrent: 10, per_hour: 60 }
    }
}

/// What runs and ran, as far as the guards ask.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Load {
    /// Pauses that may cover the heal.
    pub pauses: Arc<[Pause]>,
    /// Heals in state `acting`.
    pub acting: u32,
    /// The heal that acts on the target the current step would touch, and when its attempt ends at the latest.
    pub target_holder: Option<(HealId, Timestamp)>,
    /// Attempts begun within the last hour.
    pub started_last_hour: u32,
    /// When the oldest of those began.
    pub oldest_start: Option<Timestamp>,
}

/// What a guard looks at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The heal that wants to begin an attempt.
    pub heal: &'a Heal,
    /// Limits over all rules.
    pub limits: Limits,
    /// What runs and ran.
    pub load: &'a Load,
    /// The time.
    pub now: Timestamp,
}

/// What a guard says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Go on, because of these numbers; empty when there is nothing to tell.
    Allow(String),
    /// Not now.
    Hold {
        /// When to ask again.
        until: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// A person must allow it first.
    Ask,
    /// A person allowed it, but it could not begin while that held.
    Expired {
        /// When the approval became void.
        at: Timestamp,
    },
}

/// How soon a heal held by a busy target asks again; the holder usually ends long before its deadline.
const TARGET_RECHECK: Duration = Duration::from_secs(2);
/// How soon a heal held by [`Limits::concurrent`] asks again; the end of any action wakes it sooner.
const CONCURRENT_RECHECK: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

fn not_paused(situation: &Situation<'_>) -> Verdict {
    let Situation { heal, load, now, .. } = *situation;
    let covering = load.pauses.iter().filter(|pause| pause.is_active(now) && pause.covers(heal));
    match covering.max_by_key(|pause| pause.until) {
        None => Verdict::Allow(String::new()),
        Some(Pause { scope, reason, by, until, .. }) => {
            let (scope, because, by) = (scope.to_string(), reason.clone(), by.clone());
            Verdict::Hold { until: *until, reason: Reason::Paused { until: *until, scope, because, by } }
        }
    }
}

fn approved(situation: &Situation<'_>) -> Verdict {
    let Situation { heal, now, .. } = *situation;
    if heal.mode != Mode::Ask {
        return Verdict::Allow(String::new());
    }
    match heal.approval.as_ref().filter(|approval| approval.step == heal.step) {
        None => Verdict::Ask,
        // Once the step has begun its further attempts need no further leave.
        Some(approval)
            if now >= approval.expires_at && heal.current_step().is_some_and(|step| step.attempts_used == 0) =>
        {
            Verdict::Expired { at: approval.expires_at }
        }
        Some(approval) => Verdict::Allow(format!("approved by {}", approval.by)),
    }
}

fn target_is_free(situation: &Situation<'_>) -> Verdict {
    let Situation { load, now, .. } = *situation;
    match load.target_holder {
        None => Verdict::Allow("target free".to_owned()),
        Some((heal, deadline)) => {
            let until = deadline.min(now + TARGET_RECHECK).max(now + CONCURRENT_RECHECK);
            Verdict::Hold { until, reason: Reason::TargetBusy { heal, until } }
        }
    }
}

fn below_concurrent(situation: &Situation<'_>) -> Verdict {
    let Situation { limits, load, now, .. } = *situation;
    let (acting, limit) = (load.acting, limits.concurrent);
    if acting < limit {
        return Verdict::Allow(format!("{acting} of {limit} actions running"));
    }
    Verdict::Hold { until: now + CONCURRENT_RECHECK, reason: Reason::ConcurrentLimit { acting, limit } }
}

fn below_per_hour(situation: &Situation<'_>) -> Verdict {
    let Situation { limits, load, now, .. } = *situation;
    let (started, limit) = (load.started_last_hour, limits.per_hour);
    if started < limit {
        return Verdict::Allow(format!("{started} of {limit} actions in the last hour"));
    }
    let until = load.oldest_start.map_or(now + HOUR, |oldest| oldest + HOUR).max(now + CONCURRENT_RECHECK);
    Verdict::Hold { until, reason: Reason::HourlyLimit { started, limit, until } }
}

/// A guard.
type Guard = fn(&Situation<'_>) -> Verdict;

/// Every guard in its fixed order.
const GUARDS: [Guard; 5] = [not_paused, approved, target_is_free, below_per_hour, below_concurrent];

/// Asks every guard in its fixed order. The first that does not allow counts; when all allow, their numbers are told together.
#[must_use]
pub fn ask(situation: &Situation<'_>) -> Verdict {
    let mut numbers = Vec::new();
    for guard in GUARDS {
        match guard(situation) {
            Verdict::Allow(number) if number.is_empty() => {}
            Verdict::Allow(number) => numbers.push(number),
            other => return other,
        }
    }
    Verdict::Allow(numbers.join(", "))
}

#[cfg(test)]
mod tests;
