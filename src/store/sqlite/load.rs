//! What the guards ask for: what runs and ran, over all rules and of one, what else fires, what is paused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::apply::{earlier, id_text};
use super::session::{Session, encode, millis, timestamp, unreadable};
use crate::domain::alert::{Alert, AlertStatus};
use crate::domain::decide::Policy;
use crate::domain::guard::{Begun, Blocker, Load, RuleLoad, Storm, Window};
use crate::domain::heal::{Heal, HealId};
use crate::domain::pause::Pause;
use crate::domain::rule_policy::{RulePolicy, StormLimit};
use crate::store::StoreError;

/// The window of the limits per hour.
const HOUR: Duration = Duration::from_hours(1);
/// A blocking alert that was not heard of for so long is not believed to fire any more: Alertmanager repeats itself sooner.
const BLOCKER_MEMORY: Duration = Duration::from_hours(24);
/// A blocking alert is written again only when it was written this long ago.
const BLOCKER_REFRESH: Duration = Duration::from_mins(10);
/// Blocking alerts looked at.
const MAX_BLOCKERS: u32 = 1000;

/// What holds for every heal that is looked at in one go.
pub(super) struct Surroundings {
    pauses: Arc<[Pause]>,
    blockers: Arc<[Blocker]>,
}

/// What runs and ran, over all heals.
pub(super) struct Running {
    acting: u32,
    started_last_hour: u32,
    oldest_start: Option<Timestamp>,
    windows: Arc<[Begun]>,
    /// Of the rules that were asked for so far.
    rules: BTreeMap<String, RuleLoad>,
}

impl Running {
    /// Remembers a storm, so that the next heal of its rule knows of it.
    pub(super) fn note_storm(&mut self, rule: &str, storm: Option<Storm>) {
        if let (Some(load), Some(storm)) = (self.rules.get_mut(rule), storm) {
            load.storm = Some(storm);
        }
    }
}

impl Session {
    pub(super) fn surroundings(&self, policy: &Policy, now: Timestamp) -> Result<Surroundings, StoreError> {
        let pauses = self.active_pauses(now)?.into();
        let blockers = if policy.rules.has_blockers() { self.blockers(now)? } else { Vec::new() };
        Ok(Surroundings { pauses, blockers: blockers.into() })
    }

    pub(super) fn running(&self, policy: &Policy, now: Timestamp) -> Result<Running, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT (SELECT COUNT(*) FROM heal WHERE action_target IS NOT NULL), COUNT(*), MIN(started_at)
             FROM attempt WHERE started_at > ?1",
        )?;
        let (acting, started_last_hour, oldest): (u32, u32, Option<i64>) =
            statement.query_row([earlier(now, HOUR)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let oldest_start = oldest.map(timestamp).transpose()?;
        let windows = self.begun(None, &policy.limits.windows, now)?;
        Ok(Running { acting, started_last_hour, oldest_start, windows, rules: BTreeMap::new() })
    }

    /// What began within each window, of one rule or of all. No more than the limit is counted: that many are too many.
    fn begun(&self, rule: Option<&str>, windows: &[Window], now: Timestamp) -> Result<Arc<[Begun]>, StoreError> {
        if windows.is_empty() {
            return Ok(Arc::default());
        }
        let mut statement = self.connection.prepare_cached(match rule {
            None => {
                "SELECT COUNT(*), MIN(started_at) FROM (SELECT started_at FROM attempt
                 WHERE started_at > ?1 AND ?3 IS NULL ORDER BY started_at DESC LIMIT ?2)"
            }
            Some(_) => {
                "SELECT COUNT(*), MIN(started_at) FROM (SELECT started_at FROM attempt
                 WHERE started_at > ?1 AND rule = ?3 ORDER BY started_at DESC LIMIT ?2)"
            }
        })?;
        let count = |window: &Window| {
            let (started, oldest): (u32, Option<i64>) = statement
                .query_row(params![earlier(now, window.within), window.actions, rule], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            Ok(Begun { within: window.within, started, oldest: oldest.map(timestamp).transpose()? })
        };
        windows.iter().map(count).collect()
    }

    /// What the guards ask for about one heal.
    pub(super) fn load(
        &self,
        policy: &Policy,
        heal: Option<&Heal>,
        around: &Surroundings,
        running: &mut Running,
        now: Timestamp,
    ) -> Result<Load, StoreError> {
        let target_holder = match heal.and_then(|heal| Some((heal.id, heal.current_step()?))) {
            Some((id, step)) => self.target_holder(id, step.action.target().as_str())?,
            None => None,
        };
        let rule = match heal.and_then(|heal| Some((&heal.rule, policy.rules.get(&heal.rule)?))) {
            Some((name, rule)) => self.rule_load(name, rule, running, now)?,
            None => RuleLoad::default(),
        };
        Ok(Load {
            pauses: Arc::clone(&around.pauses),
            acting: running.acting,
            target_holder,
            started_last_hour: running.started_last_hour,
            oldest_start: running.oldest_start,
            windows: Arc::clone(&running.windows),
            rule,
            blockers: Arc::clone(&around.blockers),
        })
    }

    fn rule_load(
        &self,
        name: &str,
        rule: &RulePolicy,
        running: &mut Running,
        now: Timestamp,
    ) -> Result<RuleLoad, StoreError> {
        if let Some(known) = running.rules.get(name) {
            return Ok(known.clone());
        }
        let mut load = RuleLoad::default();
        if rule.limits.concurrent.is_some() || rule.limits.per_hour.is_some() {
            let mut statement = self.connection.prepare_cached(
                "SELECT (SELECT COUNT(*) FROM heal WHERE action_target IS NOT NULL AND rule = ?2), COUNT(*), MIN(started_at)
                 FROM attempt WHERE started_at > ?1 AND rule = ?2",
            )?;
            let oldest: Option<i64>;
            (load.acting, load.started_last_hour, oldest) = statement
                .query_row(params![earlier(now, HOUR), name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            load.oldest_start = oldest.map(timestamp).transpose()?;
        }
        load.windows = self.begun(Some(name), &rule.limits.windows, now)?;
        if let Some(limit) = rule.limits.storm {
            load.sightings = self.sightings(name, limit, now)?.into();
            load.storm = self.storm(name)?;
        }
        running.rules.insert(name.to_owned(), load.clone());
        Ok(load)
    }

    /// The other heal that acts on a target, and when its attempt ends at the latest.
    fn target_holder(&self, id: HealId, target: &str) -> Result<Option<(HealId, Timestamp)>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT id, due_at FROM heal WHERE action_target = ?1 AND id <> ?2")?;
        let holder: Option<(String, i64)> =
            statement.query_row(params![target, id_text(id.0)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((holder, due_at)) = holder else { return Ok(None) };
        let holder = holder.parse().map_err(|error| unreadable("heal's identity", &error))?;
        let deadline = earlier(timestamp(due_at)?, Heal::WATCHDOG_GRACE);
        Ok(Some((HealId(holder), timestamp(deadline)?)))
    }

    /// Remembers that a target of a rule is in trouble, where the rule watches for storms.
    pub(super) fn note_sighting(&self, policy: &Policy, heal: &Heal, now: Timestamp) -> Result<(), StoreError> {
        let limit = policy.rules.get(&heal.rule).and_then(|rule| rule.limits.storm);
        let Some(limit) = limit else { return Ok(()) };
        self.execute(
            "DELETE FROM sighting WHERE rule = ?1 AND seen_at < ?2",
            params![heal.rule, earlier(now, limit.memory())],
        )?;
        self.execute(
            "INSERT INTO sighting (rule, target, seen_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (rule, target) DO UPDATE SET seen_at = excluded.seen_at",
            params![heal.rule, heal.target.as_str(), millis(now)],
        )?;
        Ok(())
    }

    /// When each target was last asked for, newest first; no more than can matter.
    fn sightings(&self, rule: &str, limit: StormLimit, now: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seen_at FROM sighting WHERE rule = ?1 AND seen_at > ?2 ORDER BY seen_at DESC LIMIT ?3",
        )?;
        let mut rows = statement.query(params![rule, earlier(now, limit.memory()), 2 * StormLimit::MAX_TARGETS])?;
        let mut seen = Vec::new();
        while let Some(row) = rows.next()? {
            seen.push(timestamp(row.get(0)?)?);
        }
        Ok(seen)
    }

    fn storm(&self, rule: &str) -> Result<Option<Storm>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT since, until FROM storm WHERE rule = ?1")?;
        let storm: Option<(i64, i64)> = statement.query_row([rule], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        storm.map(|(since, until)| Ok(Storm { since: timestamp(since)?, until: timestamp(until)? })).transpose()
    }

    /// Remembers a storm until another one takes its place.
    pub(super) fn write_storm(&self, rule: &str, storm: Storm) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO storm (rule, since, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (rule) DO UPDATE SET since = excluded.since, until = excluded.until
                 WHERE since <> excluded.since OR until <> excluded.until",
            params![rule, millis(storm.since), millis(storm.until)],
        )?;
        Ok(())
    }

    /// Remembers whether an alert fires that blocks some rule.
    pub(super) fn note_blocker(&self, policy: &Policy, alert: &Alert, now: Timestamp) -> Result<(), StoreError> {
        if !policy.rules.is_blocker(&alert.labels) {
            return Ok(());
        }
        let fingerprint = alert.fingerprint.to_string();
        match alert.status {
            AlertStatus::Firing => {
                self.execute("DELETE FROM blocker WHERE seen_at < ?1", [earlier(now, BLOCKER_MEMORY)])?;
                self.execute(
                    "INSERT INTO blocker (fingerprint, labels, seen_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (fingerprint) DO UPDATE SET seen_at = excluded.seen_at WHERE seen_at < ?4",
                    params![fingerprint, encode(&alert.labels)?, millis(now), earlier(now, BLOCKER_REFRESH)],
                )?
            }
            AlertStatus::Resolved => self.execute("DELETE FROM blocker WHERE fingerprint = ?1", [fingerprint])?,
        };
        Ok(())
    }

    fn blockers(&self, now: Timestamp) -> Result<Vec<Blocker>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT fingerprint, labels, seen_at FROM blocker WHERE seen_at > ?1 LIMIT ?2")?;
        let mut rows = statement.query(params![earlier(now, BLOCKER_MEMORY), MAX_BLOCKERS])?;
        let mut blockers = Vec::new();
        while let Some(row) = rows.next()? {
            let (fingerprint, labels): (String, String) = (row.get(0)?, row.get(1)?);
            blockers.push(Blocker {
                fingerprint: fingerprint.parse().map_err(|error| unreadable("blocking alert", &error))?,
                labels: serde_json::from_str(&labels).map_err(|error| unreadable("blocking alert", &error))?,
                seen_at: timestamp(row.get(2)?)?,
            });
        }
        Ok(blockers)
    }
}
