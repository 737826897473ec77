//! What Alertmanager says of its alerts when it is asked, as far as deciding needs it. Deliveries tell what changes;
//! this tells what is: that an alert is silenced, or that it is gone although nobody said so.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alert::Fingerprint;
use super::{Timestamp, elapsed};

/// After its start Alertmanager learns its alerts only when Prometheus sends them again, which it does each minute unless
/// told otherwise. Until well after that an alert it does not have may still fire.
pub const LEARNS_WITHIN: Duration = Duration::from_mins(5);
/// An answer older than this says nothing about now.
pub const FRESH_FOR: Duration = Duration::from_secs(30);

/// All that is known of Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alertmanager {
    /// The last answer, if there was one.
    pub view: Option<AlertmanagerView>,
    /// Why the last question was not answered, if it was not.
    pub failure: Option<String>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertmanagerView {
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it had been started.
    pub up_since: Timestamp,
    /// Every alert that had not ended.
    pub alerts: BTreeMap<Fingerprint, Standing>,
}

/// How an alert stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is told.
    Active,
    /// It is not told, and neither will be its resolve; in words: silenced by whom, inhibited by what, muted when.
    Suppressed(String),
}

impl Alertmanager {
    /// The last answer, if it was asked for at or after `since` and is not too old.
    #[must_use]
    pub fn fresh(&self, since: Timestamp, now: Timestamp) -> Option<&AlertmanagerView> {
        self.view.as_ref().filter(|view| view.asked_at >= since && elapsed(view.asked_at, now) <= FRESH_FOR)
    }

    /// Why an alert is not told, if the last answer says so.
    #[must_use]
    pub fn suppressed(&self, alert: Fingerprint) -> Option<&str> {
        match self.view.as_ref()?.alerts.get(&alert)? {
            Standing::Active => None,
            Standing::Suppressed(by) => Some(by),
        }
    }
}

impl AlertmanagerView {
    /// Whether an alert that was first heard of at `heard_at` is gone. After a start it does not know every alert that
    /// fires; but one that was told since then it did know.
    #[must_use]
    pub fn lacks(&self, alert: Fingerprint, heard_at: Timestamp) -> bool {
        let knew_it = self.up_since <= heard_at && heard_at < self.asked_at;
        let knows_all = elapsed(self.up_since, self.asked_at) >= LEARNS_WITHIN;
        (knew_it || knows_all) && !self.alerts.contains_key(&alert)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_gone_only_for_one_who_must_know_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let alert = Fingerprint::of(&BTreeMap::from([("alertname".to_owned(), "X".to_owned())]));
        for (name, up_since, heard_at, asked_at, expected) in [
            ("told since its start", 100, 200, 210, true),
            ("restarted since it told", 205, 200, 210, false),
            ("restarted long ago", 205, 200, 505, true),
            ("asked before it told", 100, 200, 190, false),
            ("asked at that very moment", 100, 200, 200, false),
            ("heard of in a clock gone wrong", 100, 50, 110, false),
        ] {
            let view = AlertmanagerView { asked_at: at(asked_at), up_since: at(up_since), alerts: BTreeMap::new() };
            assert_eq!(view.lacks(alert, at(heard_at)), expected, "{name}");
            let alerts = BTreeMap::from([(alert, Standing::Active)]);
            assert!(!AlertmanagerView { alerts, ..view }.lacks(alert, at(heard_at)), "{name}");
        }
    }

    #[test]
    fn an_answer_counts_only_when_it_is_about_now() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let view = AlertmanagerView { asked_at: at(100), up_since: at(0), alerts: BTreeMap::new() };
        let said = Alertmanager { view: Some(view), failure: None };
        assert!(said.fresh(at(100), at(130)).is_some());
        assert!(said.fresh(at(101), at(130)).is_none(), "asked before we heard of it");
        assert!(said.fresh(at(100), at(131)).is_none(), "too old");
    }
}
