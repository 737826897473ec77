//! `blockedBy`: do not act while these alerts fire.

use std::time::Duration;

use super::{Situation, Verdict};
use crate::domain::Timestamp;
use crate::domain::alert::{Fingerprint, Labels};
use crate::domain::reason::Reason;

/// An alert that fires, as far as is known, and blocks some rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Identity.
    pub fingerprint: Fingerprint,
    /// Labels.
    pub labels: Labels,
    /// When it was last told to fire.
    pub seen_at: Timestamp,
}

/// How soon a blocked heal asks again.
const RECHECK: Duration = Duration::from_secs(15);

/// Holds while an alert fires that blocks the rule. The heal's own alerts do not block it.
pub fn nothing_blocks(situation: &Situation<'_>) -> Verdict {
    let Situation { heal, load, now, .. } = *situation;
    let Some(rule) = situation.rule.filter(|rule| !rule.blocked_by.is_empty()) else {
        return Verdict::Allow(String::new());
    };
    let is_own = |blocker: &Blocker| heal.alerts.iter().any(|alert| alert.fingerprint == blocker.fingerprint);
    let blocking = load.blockers.iter().find_map(|blocker| {
        let matchers = rule.blocked_by.iter().find(|matchers| matchers.matches(&blocker.labels))?;
        (!is_own(blocker)).then_some((blocker, matchers))
    });
    match blocking {
        None => Verdict::Allow("nothing blocks the rule".to_owned()),
        Some((blocker, matchers)) => {
            let alert = blocker.labels.get("alertname").cloned().unwrap_or_else(|| blocker.fingerprint.to_string());
            let (matchers, seen_at) = (matchers.to_string(), blocker.seen_at);
            Verdict::Hold { until: now + RECHECK, reason: Reason::BlockedBy { alert, matchers, seen_at } }
        }
    }
}
