//! The heal loop: takes over what another process left behind, then advances whatever is due.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use super::pace::{Pace, Step};
use crate::domain::heal::Heal;
use crate::domain::{Timestamp, duration, elapsed};
use crate::store::StoreError;

/// Heals looked at in one transaction.
const BATCH: u32 = 256;
/// Longest sleep without looking, should a wake-up ever be missed.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// Pause after the store refused.
const STORE_PAUSE: Duration = Duration::from_secs(1);

impl Engine {
    /// Runs until told to stop.
    pub async fn schedule(self: Arc<Self>) {
        self.take_over().await;
        let mut pace = Pace::new(self.clock.now());
        let mut looked = None;
        loop {
            // Registered before looking, so that a wake-up during the look is not missed.
            let woken = self.wake.heals.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if self.stop.is_cancelled() {
                return;
            }
            // Before anything is looked at that is due, because by the new clock the watchdogs of what runs are.
            match pace.step(self.clock.now()) {
                Some(Step::Forward(by)) => self.go_on_by_the_new_clock(by).await,
                Some(Step::Back(by)) => {
                    let by = duration::format(Duration::from_secs(by.as_secs()));
                    tracing::warn!(by, "the clock was put back; what is due at a time waits that much longer");
                }
                None => {}
            }
            let pause = match self.advance(&mut looked).await {
                Ok(next_due) => next_due.map_or(MAX_IDLE, |due| self.until(due)).min(MAX_IDLE),
                Err(error) => {
                    tracing::error!(%error, "heals cannot be advanced; trying again");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = woken => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Goes on with the attempts of a process that is gone.
    pub(super) async fn take_over(self: &Arc<Self>) {
        loop {
            match self.store.take_over(self.clock.now()).await {
                Ok(heals) => {
                    for heal in heals {
                        tracing::info!(heal = %heal.id, rule = heal.rule, target = %heal.target, "taking over an attempt another process left behind");
                        // On record before anything is looked at that is due: after a long outage the attempt's own
                        // watchdog is among that, and would begin another one.
                        if let Ok(heal) = self.note_takeover(heal).await {
                            self.spawn_attempt(heal);
                        }
                    }
                    return;
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "attempts left behind cannot be taken over; trying again");
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(STORE_PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Advances batches until nothing more is due now, with a rest after each; answers when the next heal is due.
    async fn advance(self: &Arc<Self>, looked: &mut Option<Instant>) -> Result<Option<Timestamp>, StoreError> {
        loop {
            self.breath.take(*looked).await;
            let now = self.clock.now();
            let advanced = self.store.advance_due(self.policy(), BATCH, now).await?;
            *looked = Some(Instant::now());
            for heal in &advanced.changed {
                if heal.is_news() {
                    self.changed(heal);
                }
                if heal.wants_evidence() {
                    self.ask_for_evidence(heal.clone());
                }
            }
            self.ask_alertmanager_for(&advanced.changed);
            // Whoever woke this loop may have committed messages as well.
            self.wake.messages.notify_one();
            let nothing_changed = advanced.changed.is_empty();
            for attempt in advanced.to_cancel.iter().filter_map(Heal::attempt) {
                self.cancels.cancel(attempt.id);
            }
            for heal in advanced.to_start {
                self.spawn_attempt(heal);
            }
            if nothing_changed || advanced.next_due.is_none_or(|due| due > now) {
                return Ok(advanced.next_due);
            }
            if self.stop.is_cancelled() {
                return Ok(None);
            }
        }
    }

    fn until(&self, due: Timestamp) -> Duration {
        // The shortest sleep is a millisecond, which is the store's resolution.
        elapsed(self.clock.now(), due).max(Duration::from_millis(1))
    }
}
