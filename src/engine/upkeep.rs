//! Upkeep: leases stay alive, old history goes, and hints about jobs are passed on.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::store::StoreError;

/// How often leases are renewed; a lease lasts three times as long.
const LEASE_RENEWAL: Duration = Duration::from_secs(10);
/// How often pauses are looked at, while there are any.
const PAUSES_EVERY: Duration = Duration::from_secs(5);
/// How often old history is looked for.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

impl Engine {
    /// Runs until told to stop.
    pub async fn upkeep(self: Arc<Self>) {
        let mut lease = tokio::time::interval(LEASE_RENEWAL);
        let mut pauses = tokio::time::interval(PAUSES_EVERY);
        let mut prune = tokio::time::interval(PRUNE_EVERY);
        lease.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        pauses.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        prune.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = lease.tick() => self.renew().await,
                _ = pauses.tick() => self.look_at_pauses().await,
                _ = prune.tick() => self.prune().await,
                () = self.wake.jobs.notified() => {
                    if let Some(actions) = &self.equipment.load().actions {
                        actions.hint();
                    }
                }
            }
        }
    }

    async fn renew(&self) {
        if let Err(error) = self.store.renew_leases(self.clock.now()).await {
            tracing::warn!(%error, "leases cannot be renewed; trying again");
        }
    }

    /// Tells of pauses that hold heals back for too long.
    async fn look_at_pauses(&self) {
        let now = self.clock.now();
        let told = async {
            // Asked for first, because it does not wait for the writer, and mostly there are none.
            if self.store.pauses(now).await?.is_empty() {
                return Ok(Vec::new());
            }
            self.store.tell_of_long_pauses(self.policy(), now).await
        };
        match told.await {
            Ok(told) if told.is_empty() => {}
            Ok(told) => {
                for heal in &told {
                    tracing::warn!(heal = %heal.id, reason = %heal.reason, "a pause holds heals back for too long");
                }
                self.wake.messages.notify_one();
            }
            Err(StoreError::Closed) => {}
            Err(error) => tracing::warn!(%error, "pauses cannot be looked at; trying again"),
        }
    }

    async fn prune(&self) {
        let before = self.clock.now() - self.equipment.load().history;
        loop {
            match self.store.prune(before).await {
                Ok(0) => return,
                Ok(heals) => tracing::info!(heals, %before, "old history removed"),
                Err(error) => {
                    tracing::warn!(%error, "old history cannot be removed; trying again later");
                    return;
                }
            }
        }
    }
}
