//! Open heals, found by rule and target or by the alert they were begun for.
//!
//! Both ways lead through [`Hints`], because targets come in no order either. That an alert belongs to an open heal is said
//! by the heal itself as long as nothing new was told of the alert, so a new heal is one row and not two.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;

use super::hints::Hints;
use super::session::{Session, decode_heal};
use crate::domain::action::Target;
use crate::domain::alert::Fingerprint;
use crate::domain::heal::Heal;
use crate::store::StoreError;

/// Where the open heals are.
#[derive(Default)]
pub(super) struct OpenHeals {
    /// By a hash of rule and target.
    by_target: Hints<u64>,
    by_first_alert: Hints<Fingerprint>,
    /// Heals that ended in the transaction at work. Whether that is committed is known only afterwards.
    ended: RefCell<Vec<Keys>>,
    hasher: RandomState,
}

/// What a heal is found by.
#[derive(Clone, Copy)]
struct Keys {
    target: u64,
    first_alert: Option<Fingerprint>,
}

/// What is read of a document to find out where its heal belongs.
#[derive(Deserialize)]
struct FirstAlert {
    alerts: Vec<AlertKey>,
}

#[derive(Deserialize)]
struct AlertKey {
    fingerprint: Fingerprint,
}

impl OpenHeals {
    /// Reads every open heal.
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let mut statement = connection
            .prepare("SELECT rowid, rule, target, id, doc FROM heal INDEXED BY heal_due WHERE due_at IS NOT NULL")?;
        let mut rows = statement.query([])?;
        let open = Self::default();
        while let Some(row) = rows.next()? {
            let (rule, target, doc) = (row.get_ref(1)?, row.get_ref(2)?, row.get_ref(4)?);
            let first_alert = match serde_json::from_slice::<FirstAlert>(doc.as_bytes().unwrap_or_default()) {
                Ok(FirstAlert { alerts }) => alerts.first().map(|alert| alert.fingerprint),
                Err(error) => {
                    let heal: String = row.get(3)?;
                    tracing::error!(heal, %error, "an open heal cannot be read, so that its alert is not recognised");
                    None
                }
            };
            let target = open.hash(rule.as_str().unwrap_or_default(), target.as_str().unwrap_or_default());
            open.add(Keys { target, first_alert }, row.get(0)?);
        }
        Ok(open)
    }

    /// A heal was written for the first time, and it is open.
    pub(super) fn begun(&self, heal: &Heal, row: i64) {
        self.add(self.keys(heal), row);
    }

    /// A heal was written that has ended.
    pub(super) fn ended(&self, heal: &Heal) {
        self.ended.borrow_mut().push(self.keys(heal));
    }

    fn add(&self, keys: Keys, row: i64) {
        self.by_target.add(keys.target, row);
        if let Some(alert) = keys.first_alert {
            self.by_first_alert.add(alert, row);
        }
    }

    fn keys(&self, heal: &Heal) -> Keys {
        let first_alert = heal.alerts.first().map(|alert| alert.fingerprint);
        Keys { target: self.hash(&heal.rule, heal.target.as_str()), first_alert }
    }

    fn hash(&self, rule: &str, target: &str) -> u64 {
        self.hasher.hash_one((rule, target))
    }
}

impl Session {
    /// The open heal of a rule and target, of which there is never more than one.
    pub(super) fn open_heal(&self, rule: &str, target: &Target) -> Result<Option<Heal>, StoreError> {
        for row in self.open.by_target.of(self.open.hash(rule, target.as_str())) {
            let mut statement = self.connection.prepare_cached(
                "SELECT doc FROM heal WHERE rowid = ?1 AND rule = ?2 AND target = ?3 AND ended_at IS NULL",
            )?;
            let doc: Option<String> =
                statement.query_row(params![row, rule, target.as_str()], |row| row.get(0)).optional()?;
            if let Some(doc) = doc {
                return decode_heal(&doc).map(Some);
            }
        }
        Ok(None)
    }

    /// The open heals that were begun for an alert, of one rule or all, except those on a target that `is_known`.
    pub(super) fn open_heals_for(
        &self,
        alert: Fingerprint,
        rule: Option<&str>,
        is_known: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<Heal>, StoreError> {
        let mut heals = Vec::new();
        for row in self.open.by_first_alert.of(alert) {
            let mut statement = self.connection.prepare_cached(
                "SELECT rule, target, doc FROM heal
                 WHERE rowid = ?1 AND ended_at IS NULL AND (?2 IS NULL OR rule = ?2)",
            )?;
            let mut rows = statement.query(params![row, rule])?;
            let Some(row) = rows.next()? else { continue };
            let (rule, target): (String, String) = (row.get(0)?, row.get(1)?);
            if is_known(&rule, &target) {
                continue;
            }
            let heal = decode_heal(&row.get::<_, String>(2)?)?;
            if heal.alerts.first().is_some_and(|first| first.fingerprint == alert) {
                heals.push(heal);
            }
        }
        Ok(heals)
    }

    /// Forgets where heals are that have ended. To be called at the beginning of a transaction: what it finds ended then is
    /// so for good.
    pub(super) fn forget_ended_heals(&self) -> Result<(), StoreError> {
        for Keys { target, first_alert } in self.open.ended.take() {
            let mut statement =
                self.connection.prepare_cached("SELECT 1 FROM heal WHERE rowid = ?1 AND ended_at IS NULL")?;
            let mut outcome = Ok(());
            let mut is_open = |row: i64| match statement.exists([row]) {
                Ok(is_open) => is_open,
                Err(error) => {
                    outcome = Err(error);
                    true
                }
            };
            self.open.by_target.retain(target, &mut is_open);
            if let Some(alert) = first_alert {
                self.open.by_first_alert.retain(alert, &mut is_open);
            }
            outcome?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::domain::alert::{Alert, AlertStatus, Labels};
    use crate::domain::decide::{Policy, decide};
    use crate::domain::heal::HealId;
    use crate::domain::rule::{HealRequest, Mode};
    use crate::store::Sighting;
    use crate::store::sqlite::open;

    /// The alert, and a rule that only tells of it.
    fn sighting(status: AlertStatus) -> Sighting {
        let labels = Labels::from([("alertname".to_owned(), "InstanceDown".to_owned())]);
        let alert = Alert {
            fingerprint: Fingerprint::of(&labels),
            status,
            labels,
            annotations: [].into(),
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: None,
            generator_url: String::new(),
        };
        let request = HealRequest {
            rule: "tell".to_owned(),
            target: Target::new("alert/InstanceDown"),
            mode: Mode::Act,
            ladder: Ok(Vec::new()),
            hold_for: Duration::ZERO,
            throttle: Duration::ZERO,
            receivers: Vec::new(),
            description: String::new(),
            runbook: String::new(),
        };
        let requests = vec![(HealId(Uuid::now_v7()), request)];
        Sighting { alert: Arc::new(alert), requests, external_url: "".into() }
    }

    /// Takes the alert in, in one transaction that ends as said; answers whether it is remembered in a row of its own.
    fn ingest(session: &Session, status: AlertStatus, end: &str) -> bool {
        session.execute("BEGIN IMMEDIATE", []).unwrap();
        session.forget_ended_heals().unwrap();
        session.ingest(&Policy::default(), &[sighting(status)], Timestamp::UNIX_EPOCH).unwrap();
        session.execute(end, []).unwrap();
        session.connection.prepare("SELECT 1 FROM episode").unwrap().exists([]).unwrap()
    }

    fn hints(session: &Session) -> (usize, usize) {
        let asked = sighting(AlertStatus::Firing);
        let (_, request) = &asked.requests[0];
        let target = session.open.hash(&request.rule, request.target.as_str());
        (session.open.by_target.of(target).len(), session.open.by_first_alert.of(asked.alert.fingerprint).len())
    }

    #[test]
    fn an_open_heal_says_by_itself_whose_it_is_and_leaves_a_memory_when_it_ends() {
        use AlertStatus::{Firing, Resolved};
        let mut session = Session::new(open::in_memory().unwrap(), decide, Uuid::nil(), None);
        assert!(!ingest(&session, Firing, "COMMIT"), "one row and not two");
        assert_eq!(hints(&session), (1, 1));
        // The end is taken back; if its hints were gone now the next firing would begin a second heal.
        assert!(!ingest(&session, Resolved, "ROLLBACK"));
        assert!(!ingest(&session, Firing, "COMMIT"));
        assert_eq!(hints(&session), (1, 1));
        // Also when old memories are cleared away in that transaction.
        session.execute("BEGIN IMMEDIATE", []).unwrap();
        session.ingest(&Policy::default(), &[sighting(Resolved)], Timestamp::UNIX_EPOCH).unwrap();
        session.reload_episodes().unwrap();
        session.execute("ROLLBACK", []).unwrap();
        assert_eq!(hints(&session), (1, 1));
        assert_eq!(session.count_heals().unwrap()["verifying"], 1);
        assert!(ingest(&session, Resolved, "COMMIT"));
        session.forget_ended_heals().unwrap();
        assert_eq!(hints(&session), (0, 0), "what ended is not looked at for ever");
    }
}
