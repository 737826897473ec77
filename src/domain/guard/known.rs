//! Guards that need to know how the alert stands now: not silenced, not old, and still there.

use std::sync::Arc;
use std::time::Duration;

use super::{Situation, Verdict};
use crate::domain::alert::{Alert, AlertStatus};
use crate::domain::alertmanager::{AlertmanagerView, Standing};
use crate::domain::elapsed;
use crate::domain::reason::Reason;
use crate::domain::rule_policy::WhenSilenced;

/// How soon a heal asks again while Alertmanager is being asked for it.
const ASKING: Duration = Duration::from_millis(100);
/// How soon a heal asks again when Alertmanager does not answer, or says that nothing must be done now.
const RECHECK: Duration = Duration::from_secs(5);

/// The alert is not silenced, inhibited or muted in Alertmanager, and still there. Without an answer nothing is done.
pub(super) fn told_and_firing(situation: &Situation<'_>) -> Verdict {
    let Situation { heal, alertmanager, now, rule, .. } = *situation;
    let Some(alertmanager) = alertmanager else { return Verdict::Allow(String::new()) };
    let Some(view) = alertmanager.fresh(heal.created_at, now) else {
        return match &alertmanager.failure {
            Some(error) => {
                let until = now + RECHECK;
                Verdict::Hold { until, reason: Reason::AlertmanagerSilent { error: error.clone(), until } }
            }
            None => Verdict::Hold { until: now + ASKING, reason: Reason::AskingAlertmanager { until: now + ASKING } },
        };
    };
    let alerts = heal.alerts.iter().map(Arc::as_ref);
    let firing: Vec<&Alert> = alerts.filter(|alert| alert.status == AlertStatus::Firing).collect();
    let heals_silenced = rule.is_some_and(|rule| rule.when_silenced == WhenSilenced::Heal);
    if !heals_silenced && let Some(by) = all_suppressed(&firing, view) {
        let until = now + RECHECK;
        return Verdict::Hold { until, reason: Reason::AlertSilenced { by: by.to_owned(), until } };
    }
    if !firing.is_empty() && firing.iter().all(|alert| !view.alerts.contains_key(&alert.fingerprint)) {
        let until = now + RECHECK;
        return Verdict::Hold { until, reason: Reason::AlertUnknown { up_since: view.up_since, until } };
    }
    Verdict::Allow("Alertmanager has the alert".to_owned())
}

/// Why no alert of these is told; `None` when at least one is.
fn all_suppressed<'v>(firing: &[&Alert], view: &'v AlertmanagerView) -> Option<&'v str> {
    let mut why = None;
    for alert in firing {
        match view.alerts.get(&alert.fingerprint) {
            Some(Standing::Suppressed(by)) => why = Some(by.as_str()),
            Some(Standing::Active) => return None,
            // One that is gone neither allows nor forbids.
            None => {}
        }
    }
    why
}

/// The alert does not fire for longer than the rule takes on.
pub(super) fn not_stale(situation: &Situation<'_>) -> Verdict {
    let Situation { heal, now, rule, .. } = *situation;
    let Some(max_age) = rule.and_then(|rule| rule.max_age).filter(|_| !heal.has_acted()) else {
        return Verdict::Allow(String::new());
    };
    let firing = heal.alerts.iter().filter(|alert| alert.status == AlertStatus::Firing);
    let Some(youngest) = firing.map(|alert| elapsed(alert.starts_at, now)).min() else {
        return Verdict::Allow(String::new());
    };
    if youngest <= max_age {
        return Verdict::Allow(String::new());
    }
    Verdict::Refuse { reason: Reason::AlertStale { age: youngest, max_age } }
}
