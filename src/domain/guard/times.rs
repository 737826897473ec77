//! When a rule may act: `activeTimes` and `muteTimes`.

use std::time::Duration;

use super::{Situation, Verdict};
use crate::domain::reason::Reason;
use crate::domain::time_interval::Closed;

/// When to look again at a rule that is closed for longer than its schedule can tell.
const LOOK_AGAIN: Duration = Duration::from_hours(24);

/// Holds outside of the active times and within the muted ones.
pub fn open(situation: &Situation<'_>) -> Verdict {
    let now = situation.now;
    let Some(rule) = situation.rule else { return Verdict::Allow(String::new()) };
    let Some(closed) = rule.schedule.closed(now) else { return Verdict::Allow(String::new()) };
    let until = rule.schedule.opens(now).unwrap_or(now + LOOK_AGAIN);
    let reason = match closed {
        Closed::Muted(interval) => Reason::Muted { interval, until },
        Closed::Inactive(intervals) => Reason::Inactive { intervals: intervals.join(", "), until },
    };
    Verdict::Hold { until, reason }
}
