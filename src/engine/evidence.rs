//! Asks for the evidence that heals under verification wait for, each in a task of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::Engine;
use crate::domain::decide::Event;
use crate::domain::heal::{Heal, HealId, Phase};
use crate::domain::reason::Reason;
use crate::store::StoreError;
use crate::verify::Evidence;

/// The heals whose evidence is being asked for right now.
#[derive(Default)]
pub struct Asking(Mutex<BTreeSet<HealId>>);

impl Asking {
    /// Whether nobody asks for this heal yet; then somebody does from now on.
    fn begin(&self, heal: HealId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(heal)
    }

    fn end(&self, heal: HealId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&heal);
    }
}

impl Engine {
    /// Asks for a heal's evidence unless that is going on. The store has the time of the next look, so nothing is lost
    /// with the task.
    pub(super) fn ask_for_evidence(self: &Arc<Self>, heal: Heal) {
        let Some(evidence) = self.equipment.load().evidence.clone() else { return };
        if !self.asking.begin(heal.id) {
            return;
        }
        let engine = Arc::clone(self);
        self.attempts.spawn(async move {
            tokio::select! {
                () = engine.stop.cancelled() => {}
                () = engine.gather(&heal, &evidence) => {}
            }
            engine.asking.end(heal.id);
        });
    }

    async fn gather(&self, heal: &Heal, evidence: &Evidence) {
        let (Phase::Verifying { since, .. }, Some(step)) = (&heal.phase, heal.current_step()) else { return };
        let event = Event::Observed { since: *since, findings: evidence.ask(step).await };
        match self.store.record(self.policy(), heal.id, event, self.clock.now()).await {
            Err(StoreError::Closed) => {}
            Ok((_, reason)) if changes_nothing(&reason) => {}
            Ok((stored, _)) => {
                if let Some(stored) = stored {
                    self.changed(&stored);
                }
                self.wake.messages.notify_one();
                self.wake.heals.notify_one();
            }
            // The next look asks again.
            Err(error) => tracing::error!(heal = %heal.id, %error, "evidence cannot be stored"),
        }
    }
}

/// The heal went its way while we asked, or the answers are the known ones.
const fn changes_nothing(reason: &Reason) -> bool {
    matches!(reason, Reason::EvidenceAsBefore | Reason::EvidenceLate | Reason::HealEnded { .. } | Reason::NoSuchHeal)
}
