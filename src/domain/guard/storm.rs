//! Storms: when many targets of a rule are in trouble at once, what ails them is not on any one of them, and acting on all
//! of them would do harm.

use super::{Situation, Verdict};
use crate::domain::reason::Reason;
use crate::domain::rule_policy::StormLimit;
use crate::domain::{Timestamp, elapsed};

/// A storm that was noticed and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// When it was noticed.
    pub since: Timestamp,
    /// Until when new heals of the rule are held, as far as is known yet.
    pub until: Timestamp,
}

/// Holds heals that have not acted yet while there is a storm, and for a while after it has calmed.
pub fn calm(situation: &Situation<'_>) -> Verdict {
    let Situation { heal, load, now, .. } = *situation;
    let Some(limit) = situation.rule.and_then(|rule| rule.limits.storm).filter(|_| !heal.has_acted()) else {
        return Verdict::Allow(String::new());
    };
    let sightings = &load.rule.sightings;
    let targets = sightings.iter().filter(|at| elapsed(**at, now) < limit.within).count();
    // A clock that went back must not hold for longer than a storm of right now would.
    let longest = now + limit.memory();
    let until = over_at(limit, sightings).max(load.rule.storm.map(|storm| storm.until)).map(|at| at.min(longest));
    match until.filter(|until| *until > now) {
        None => Verdict::Allow(format!(
            "{targets} targets of the rule within its window, up to {} are no storm",
            limit.targets
        )),
        Some(until) => {
            let StormLimit { targets: limit, within, .. } = limit;
            Verdict::Hold { until, reason: Reason::Storm { rule: heal.rule.clone(), targets, limit, within, until } }
        }
    }
}

/// When the last storm in these sightings, newest first, is over and the time after it as well.
fn over_at(limit: StormLimit, newest_first: &[Timestamp]) -> Option<Timestamp> {
    let storm = limit.targets as usize + 1;
    newest_first.windows(storm).find_map(|window| {
        let (newest, oldest) = (window[0], window[storm - 1]);
        // It calms when the oldest of them leaves the window.
        (elapsed(oldest, newest) < limit.within).then(|| oldest + limit.memory())
    })
}
