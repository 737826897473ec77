//! Guards: each looks at one danger of acting now and says allow or hold, with its numbers.

use std::time::Duration;

use super::Timestamp;
use super::heal::HealId;
use super::reason::Reason;

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Load {
    /// Heals in state `acting`.
    pub acting: u32,
    /// The heal that acts on the target the current step would touch, and when its attempt ends at the latest.
    pub target_holder: Option<(HealId, Timestamp)>,
    /// Attempts begun within the last hour.
    pub started_last_hour: u32,
    /// When the oldest of those began.
    pub oldest_start: Option<Timestamp>,
}

/// What a guard says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Go on, because of these numbers.
    Allow(String),
    /// Not now.
    Hold {
        /// When to ask again.
        until: Timestamp,
        /// Why.
        reason: Reason,
    },
}

/// How soon a heal held by a busy target asks again; the holder usually ends long before its deadline.
const TARGET_RECHECK: Duration = Duration::from_secs(2);
/// How soon a heal held by [`Limits::concurrent`] asks again; the end of any action wakes it sooner.
const CONCURRENT_RECHECK: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

fn target_is_free(load: &Load, now: Timestamp) -> Verdict {
    match load.target_holder {
        None => Verdict::Allow("target free".to_owned()),
        Some((heal, deadline)) => {
            let until = deadline.min(now + TARGET_RECHECK).max(now + CONCURRENT_RECHECK);
            Verdict::Hold { until, reason: Reason::TargetBusy { heal, until } }
        }
    }
}

fn below_concurrent(limits: Limits, load: &Load, now: Timestamp) -> Verdict {
    let (acting, limit) = (load.acting, limits.concurrent);
    if acting < limit {
        return Verdict::Allow(format!("{acting} of {limit} actions running"));
    }
    Verdict::Hold { until: now + CONCURRENT_RECHECK, reason: Reason::ConcurrentLimit { acting, limit } }
}

fn below_per_hour(limits: Limits, load: &Load, now: Timestamp) -> Verdict {
    let (started, limit) = (load.started_last_hour, limits.per_hour);
    if started < limit {
        return Verdict::Allow(format!("{started} of {limit} actions in the last hour"));
    }
    let until = load.oldest_start.map_or(now + HOUR, |oldest| oldest + HOUR).max(now + CONCURRENT_RECHECK);
    Verdict::Hold { until, reason: Reason::HourlyLimit { started, limit, until } }
}

/// Asks every guard in its fixed order. The first hold counts; when all allow, their numbers are told together.
#[must_use]
pub fn ask(limits: Limits, load: &Load, now: Timestamp) -> Verdict {
    let mut numbers = Vec::new();
    for verdict in [target_is_free(load, now), below_per_hour(limits, load, now), below_concurrent(limits, load, now)] {
        match verdict {
            Verdict::Allow(number) => numbers.push(number),
            hold @ Verdict::Hold { .. } => return hold,
        }
    }
    Verdict::Allow(numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn every_guard_allows_below_its_limit_and_holds_at_it() {
        let holder = HealId(uuid::Uuid::nil());
        let now = at(10_000);
        let limits = Limits { concurrent: 2, per_hour: 3 };
        let free = Load::default();
        let rows = [
            ("all free", free.clone(), None),
            ("just below", Load { acting: 1, started_last_hour: 2, ..free.clone() }, None),
            ("concurrent reached", Load { acting: 2, ..free.clone() }, Some(at(10_001))),
            (
                "hour used up",
                Load { started_last_hour: 3, oldest_start: Some(at(9_000)), ..free.clone() },
                Some(at(12_600)),
            ),
            ("target busy", Load { target_holder: Some((holder, at(10_030))), ..free.clone() }, Some(at(10_002))),
            (
                "target busy before the limits",
                Load { acting: 9, target_holder: Some((holder, at(9_000))), ..free },
                Some(at(10_001)),
            ),
        ];
        for (name, load, held_until) in rows {
            let verdict = ask(limits, &load, now);
            match (verdict, held_until) {
                (Verdict::Allow(_), None) => {}
                (Verdict::Hold { until, .. }, Some(expected)) => assert_eq!(until, expected, "{name}"),
                (verdict, expected) => panic!("{name}: {verdict:?}, expected hold until {expected:?}"),
            }
        }
    }
}
