//! Guards: each looks at one danger of acting now and says allow or hold, with its numbers. `GUARDS` is their fixed
//! order: first what people said, then the times, then how the alert stands, then whether a person must allow it, then how much runs and fires.

mod blocked;
mod known;
mod limits;
mod people;
mod storm;
mod times;

use std::sync::Arc;
use std::time::Duration;

use super::Timestamp;
use super::alertmanager::Alertmanager;
use super::heal::{Heal, HealId};
use super::pause::Pause;
use super::reason::Reason;
use super::rule_policy::RulePolicy;

pub use blocked::Blocker;
pub use storm::Storm;

/// Limits over all rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Actions that may run at once.
    pub concurrent: u32,
    /// Actions that may begin within any hour.
    pub per_hour: u32,
    /// Actions that may begin within other times; all must hold.
    pub windows: Vec<Window>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrent: 10, per_hour: 60, windows: Vec::new() }
    }
}

/// So many actions may begin within any such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// At least 1.
    pub actions: u32,
    /// The time; no two windows side by side have the same.
    pub within: Duration,
}

impl Window {
    /// The longest; attempts are remembered for as long.
    pub const LONGEST: Duration = Duration::from_hours(7 * 24);
    /// Most actions of one window: as many are counted at each look.
    pub const MAX_ACTIONS: u32 = 10_000;
    /// Most windows side by side.
    pub const MAX_WINDOWS: usize = 8;
}

/// What began within a window, as far as its limit asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The window's time.
    pub within: Duration,
    /// Attempts begun within it; counted up to the limit.
    pub started: u32,
    /// When the oldest of those began.
    pub oldest: Option<Timestamp>,
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
    /// What began within each of the windows over all rules.
    pub windows: Arc<[Begun]>,
    /// The same for the heal's rule alone.
    pub rule: RuleLoad,
    /// Alerts that fire and block some rule.
    pub blockers: Arc<[Blocker]>,
}

/// What runs and ran of one rule; filled only as far as the rule's policy asks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleLoad {
    /// Heals in state `acting`.
    pub acting: u32,
    /// Attempts begun within the last hour.
    pub started_last_hour: u32,
    /// When the oldest of those began.
    pub oldest_start: Option<Timestamp>,
    /// What began within each of its windows.
    pub windows: Arc<[Begun]>,
    /// When each of its targets was last asked for, newest first.
    pub sightings: Arc<[Timestamp]>,
    /// The storm that was noticed.
    pub storm: Option<Storm>,
}

/// What a hold leaves no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// No heal of any rule may begin to act.
    Everything,
    /// No heal of this rule may.
    Rule,
}

/// What a guard looks at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The heal that wants to begin an attempt.
    pub heal: &'a Heal,
    /// Limits over all rules.
    pub limits: &'a Limits,
    /// What holds for its rule; `None` when the rule is no longer there.
    pub rule: Option<&'a RulePolicy>,
    /// What Alertmanager last said; `None` when it is not asked.
    pub alertmanager: Option<&'a Alertmanager>,
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
    /// Not at all.
    Refuse {
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

/// A guard.
type Guard = fn(&Situation<'_>) -> Verdict;

/// Every guard in its fixed order.
const GUARDS: [Guard; 11] = [
    people::not_paused,
    times::open,
    known::told_and_firing,
    known::not_stale,
    people::approved,
    limits::target_is_free,
    limits::below_rate,
    limits::below_concurrent,
    limits::rule_below_its_own,
    storm::calm,
    blocked::nothing_blocks,
];

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
