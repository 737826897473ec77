//! Compares what we believe of alerts with what Alertmanager says. A resolve that happens under a silence is never
//! delivered, and one that was delivered while we were away may not be again; both are found here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Notify;

use super::Engine;
use crate::domain::Timestamp;
use crate::domain::alert::{AlertStatus, Fingerprint};
use crate::domain::alertmanager::{Alertmanager, AlertmanagerView};
use crate::domain::decide::{Event, Policy};
use crate::domain::heal::{Heal, HealId};
use crate::domain::reason::Reason;
use crate::store::{HealQuery, StoreError};

/// How often Alertmanager is asked when nobody needs to know sooner.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// The shortest pause between two questions, however many want to know.
const MIN_PAUSE: Duration = Duration::from_millis(50);
/// How long an alert must have been gone, beside being absent twice: the answers of one instant count as one.
const ABSENT_FOR: Duration = Duration::from_secs(1);
/// States of heals whose alerts are compared.
const OPEN: [&str; 4] = ["pending", "awaiting_approval", "acting", "verifying"];
/// Heals read at a time, and how many times at most.
const PAGE: u32 = 200;
const MAX_PAGES: usize = 50;

/// What Alertmanager last said, put into the policy by which heals are decided.
#[derive(Default)]
pub struct Reconciliation {
    /// The policy as configured, and the same with what Alertmanager said.
    policy: ArcSwapOption<(Arc<Policy>, Arc<Policy>)>,
    said: ArcSwap<Alertmanager>,
    /// Somebody needs to know now.
    wanted: Notify,
}

/// Since when alerts are known to be absent.
type Absences = BTreeMap<(HealId, Fingerprint), Timestamp>;

impl Reconciliation {
    /// The policy with what Alertmanager last said.
    pub(super) fn informed(&self, configured: Arc<Policy>) -> Arc<Policy> {
        match &*self.policy.load() {
            Some(pair) if Arc::ptr_eq(&pair.0, &configured) => Arc::clone(&pair.1),
            _ => configured,
        }
    }

    fn learn(&self, configured: Arc<Policy>, said: Alertmanager) {
        let said = Arc::new(said);
        self.said.store(Arc::clone(&said));
        let informed = Arc::new(Policy { alertmanager: Some(said), ..Policy::clone(&configured) });
        self.policy.store(Some(Arc::new((configured, informed))));
    }
}

impl Engine {
    /// Asks sooner than planned if some heal waits for an answer.
    pub(super) fn ask_alertmanager_for(&self, heals: &[Heal]) {
        if heals.iter().any(|heal| matches!(heal.reason, Reason::AskingAlertmanager { .. })) {
            self.reconciliation.wanted.notify_one();
        }
    }

    /// Runs until told to stop.
    pub async fn reconcile(self: Arc<Self>) {
        let mut absences = Absences::new();
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.reconciliation.wanted.notified() => {
                    tokio::time::sleep(MIN_PAUSE).await;
                }
            }
            pause = ASK_EVERY;
            let equipment = self.equipment.load_full();
            let Some(asker) = &equipment.alertmanager else { continue };
            let answer = tokio::select! {
                () = self.stop.cancelled() => return,
                answer = asker.ask(&*self.clock) => answer,
            };
            let before = self.reconciliation.said.load_full();
            let said = match answer {
                Ok(view) => Alertmanager { view: Some(view), failure: None },
                Err(error) => {
                    // Told once; while it lasts every heal that waits for it says so.
                    if before.failure.is_none() {
                        tracing::warn!(%error, "Alertmanager was asked and did not answer");
                    }
                    Alertmanager { view: before.view.clone(), failure: Some(error) }
                }
            };
            let view = said.view.clone().filter(|_| said.failure.is_none());
            self.reconciliation.learn(Arc::clone(&equipment.policy), said);
            if let Some(view) = view {
                match self.compare(&view, &mut absences).await {
                    Ok(()) => {}
                    Err(StoreError::Closed) => return,
                    Err(error) => tracing::warn!(%error, "heals cannot be compared with Alertmanager's alerts"),
                }
                // Twice is asked soon where once was seen.
                pause = if absences.is_empty() { ASK_EVERY } else { ABSENT_FOR };
            }
            self.wake.heals.notify_one();
        }
    }

    /// Finds alerts that fire for all we know and that Alertmanager does not have.
    async fn compare(&self, view: &AlertmanagerView, absences: &mut Absences) -> Result<(), StoreError> {
        let mut seen = Absences::new();
        let open = OPEN.map(|state| HealQuery { state: Some(state.to_owned()), ..HealQuery::default() });
        // Those that gave up have ended, and yet somebody waits to be told that it is over.
        let called = HealQuery { called: true, ..HealQuery::default() };
        for kind in open.into_iter().chain([called]) {
            let mut before = None;
            for _ in 0..MAX_PAGES {
                let query = HealQuery { limit: PAGE, before, ..kind.clone() };
                let heals = self.store.heals(query).await?;
                for heal in &heals {
                    self.compare_one(heal, view, absences, &mut seen).await?;
                }
                match heals.last() {
                    Some(last) if heals.len() == PAGE as usize => before = Some(last.id),
                    _ => break,
                }
            }
        }
        *absences = seen;
        Ok(())
    }

    async fn compare_one(
        &self,
        heal: &Heal,
        view: &AlertmanagerView,
        absences: &Absences,
        seen: &mut Absences,
    ) -> Result<(), StoreError> {
        let firing = heal.alerts.iter().filter(|alert| alert.status == AlertStatus::Firing);
        let absent = firing.filter(|alert| view.lacks(alert.fingerprint, heal.created_at));
        let mut gone = Vec::new();
        for alert in absent {
            let key = (heal.id, alert.fingerprint);
            match absences.get(&key) {
                Some(since) if crate::domain::elapsed(*since, view.asked_at) >= ABSENT_FOR => {
                    gone.push(alert.fingerprint);
                }
                Some(since) => drop(seen.insert(key, *since)),
                None => drop(seen.insert(key, view.asked_at)),
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        let event = Event::Absent { alerts: gone, up_since: view.up_since };
        let (stored, reason) = self.store.record(self.policy(), heal.id, event, self.clock.now()).await?;
        let changed = !matches!(reason, Reason::HealEnded { .. } | Reason::NoSuchHeal | Reason::EvidenceAsBefore);
        if let Some(stored) = stored.filter(|_| changed) {
            if stored.is_news() {
                self.changed(&stored);
            }
            self.wake.messages.notify_one();
        }
        Ok(())
    }
}
