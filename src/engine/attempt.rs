//! One attempt from intent to outcome: look, commit, act, commit, follow, commit.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::action::{Action, Assignment, Look, Progress, Resumption, Stop};
use crate::domain::decide::{ActionOutcome, Event};
use crate::domain::heal::{Attempt, AttemptStage, Heal, HealId};
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, elapsed};
use crate::store::StoreError;
use crate::telemetry::LaunchedAction;

/// Pause before a result the store refused is offered again.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// Pause before a deed that could not be asked to stop is asked again.
const STOP_PAUSE: Duration = Duration::from_secs(1);

/// The attempt is no longer ours to go on with: it was ended elsewhere, or the store is closed.
pub(super) struct NotOurs;

impl Engine {
    /// Carries an attempt out in a task of its own, so that a hung engine delays no other heal.
    pub(super) fn spawn_attempt(self: &Arc<Self>, heal: Heal) {
        let engine = Arc::clone(self);
        let Some(attempt) = heal.attempt().map(|attempt| attempt.id) else { return };
        let signals = self.cancels.begin(heal.id, attempt);
        self.attempts.spawn(async move {
            let id = heal.id;
            tokio::select! {
                biased;
                // Dropped at any await, as a crash would drop it; whoever abandons it goes on with it.
                () = signals.abandoned.cancelled() => {}
                ended = engine.carry_out(heal, &signals.cancelled) => {
                    if ended.is_err() {
                        tracing::debug!(heal = %id, "the attempt was ended elsewhere");
                    }
                }
            }
            engine.cancels.end(&signals);
        });
    }

    async fn carry_out(&self, heal: Heal, cancelled: &CancellationToken) -> Result<(), NotOurs> {
        let (Some(attempt), Some(step)) = (heal.attempt(), heal.current_step()) else { return Err(NotOurs) };
        let Some(action) = self.equipment.load().actions.as_ref().map(|actions| actions.of(&step.action)) else {
            tracing::error!(heal = %heal.id, "an attempt began in a dry run; it is left alone");
            return Err(NotOurs);
        };
        let assignment = Assignment {
            attempt: attempt.id,
            action: step.action.clone(),
            alert: heal.alerts.first().cloned(),
            symptom_since: attempt.symptom_since,
            began_at: attempt.began_at,
            deadline: attempt.deadline,
        };
        if attempt.cancel.is_some() {
            cancelled.cancel();
        }
        let launched = LaunchedAction::new(&self.metrics, step.action.kind(), heal.target.as_str(), &heal.rule);
        let time_left = self.time_until(attempt.deadline);
        let deed = self.run(&heal, attempt, action.as_ref(), &assignment, &launched, cancelled);
        let outcome = match tokio::time::timeout(time_left, deed).await {
            Ok(outcome) => outcome?,
            Err(_) => ActionOutcome::TimedOut,
        };
        if matches!(outcome, ActionOutcome::Unreachable { .. }) {
            self.breath.found_away();
        }
        let succeeded = matches!(outcome, ActionOutcome::Done { .. } | ActionOutcome::NotNeeded { .. });
        launched.ended(succeeded, self.since(attempt.began_at));
        self.commit(heal.id, Event::Finished { attempt: attempt.id, outcome }).await?;
        self.wake.heals.notify_one();
        Ok(())
    }

    /// Puts on record that this process goes on with an attempt, which gives it the action's whole time anew.
    pub(super) async fn note_takeover(&self, heal: Heal) -> Result<Heal, NotOurs> {
        let attempt = heal.attempt().map(|attempt| attempt.id).ok_or(NotOurs)?;
        self.commit(heal.id, Event::TakenOver { attempt }).await
    }

    /// Gives every attempt under way the action's whole time by a clock that was put forward: goes on with each as with one
    /// that another process left behind.
    pub(super) async fn go_on_by_the_new_clock(self: &Arc<Self>, by: Duration) {
        tracing::warn!(?by, "the clock was put forward; the attempts under way go on with their whole time");
        for (heal, attempt) in self.cancels.abandon_all() {
            if let Ok(heal) = self.commit(heal, Event::ClockMoved { attempt, by }).await {
                self.spawn_attempt(heal);
            }
        }
    }

    /// The deed itself, entered at the stage the attempt had reached.
    async fn run(
        &self,
        heal: &Heal,
        attempt: &Attempt,
        action: &dyn Action,
        assignment: &Assignment,
        launched: &LaunchedAction<'_>,
        cancelled: &CancellationToken,
    ) -> Result<ActionOutcome, NotOurs> {
        let handle = match &attempt.stage {
            AttemptStage::Intended if cancelled.is_cancelled() => return Ok(not_begun()),
            AttemptStage::Intended => match action.look(assignment).await {
                Look::Over(outcome) => return Ok(outcome),
                Look::Ready { handle, found } => {
                    let event = Event::Prepared { attempt: attempt.id, handle: handle.clone(), found };
                    let stored = self.commit(heal.id, event).await?;
                    // The record says whether anybody cancelled before the deed; the signal may still be on its way.
                    if stored.attempt().is_some_and(|attempt| attempt.cancel.is_some()) {
                        return Ok(not_begun());
                    }
                    launched.runs();
                    self.start(heal, attempt, action, assignment, &handle, cancelled).await
                }
            },
            AttemptStage::Prepared { handle } => match action.resume(assignment, handle).await {
                Err(outcome) => return Ok(outcome),
                Ok(Resumption::Start) if cancelled.is_cancelled() => return Ok(not_begun()),
                Ok(Resumption::Start) => {
                    launched.runs();
                    self.start(heal, attempt, action, assignment, handle, cancelled).await
                }
                Ok(Resumption::Follow { handle, what }) => {
                    launched.runs();
                    Ok((handle, what))
                }
            },
            AttemptStage::Started { handle } => {
                launched.runs();
                return Ok(follow(action, assignment, handle, cancelled).await);
            }
        };
        let (handle, what) = match handle {
            Ok(started) => started,
            Err(outcome) => return Ok(outcome),
        };
        self.commit(heal.id, Event::Started { attempt: attempt.id, handle: handle.clone(), what }).await?;
        Ok(follow(action, assignment, &handle, cancelled).await)
    }

    async fn start(
        &self,
        heal: &Heal,
        attempt: &Attempt,
        action: &dyn Action,
        assignment: &Assignment,
        handle: &Value,
        cancelled: &CancellationToken,
    ) -> Result<(Value, String), ActionOutcome> {
        tracing::debug!(heal = %heal.id, attempt = %attempt.id, "the deed begins");
        let told_to_halt = async {
            cancelled.cancelled().await;
            action.halt(assignment);
            std::future::pending().await
        };
        tokio::select! {
            started = action.start(assignment, handle) => started,
            started = told_to_halt => started,
        }
    }

    /// Commits news of the attempt, again and again while the store refuses: nothing goes on before it is on record.
    async fn commit(&self, heal: HealId, event: Event) -> Result<Heal, NotOurs> {
        loop {
            match self.store.record(self.policy(), heal, event.clone(), self.clock.now()).await {
                Ok((Some(stored), reason)) if !is_over(&reason) => {
                    self.changed(&stored);
                    self.wake.messages.notify_one();
                    return Ok(stored);
                }
                Ok(_) | Err(StoreError::Closed) => return Err(NotOurs),
                Err(error) => {
                    tracing::error!(%heal, %error, "news of an attempt cannot be stored; trying again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    fn since(&self, began: Timestamp) -> Duration {
        elapsed(began, self.clock.now())
    }

    fn time_until(&self, deadline: Timestamp) -> Duration {
        elapsed(self.clock.now(), deadline)
    }
}

const fn is_over(reason: &Reason) -> bool {
    matches!(reason, Reason::AttemptOver | Reason::HealEnded { .. } | Reason::NoSuchHeal)
}

/// A person cancelled before the deed.
fn not_begun() -> ActionOutcome {
    ActionOutcome::Failed { error: "cancelled before anything was done".to_owned() }
}

/// Follows a deed to its end; asks it to stop meanwhile should a person cancel. Neither waits for the other: a deed that cannot
/// be asked ends all the same.
async fn follow(
    action: &dyn Action,
    assignment: &Assignment,
    handle: &Value,
    cancelled: &CancellationToken,
) -> ActionOutcome {
    let to_its_end = async {
        loop {
            match action.poll(assignment, handle).await {
                Progress::Running { again_in } => tokio::time::sleep(again_in).await,
                Progress::Over(outcome) => return outcome,
            }
        }
    };
    let asked_to_stop = async {
        cancelled.cancelled().await;
        while !ask_to_stop(action, assignment, handle).await {
            tokio::time::sleep(STOP_PAUSE).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        outcome = to_its_end => outcome,
        outcome = asked_to_stop => outcome,
    }
}

/// Asks a deed to stop because a person cancelled; answers whether it need not be asked again.
async fn ask_to_stop(action: &dyn Action, assignment: &Assignment, handle: &Value) -> bool {
    match action.cancel(assignment, handle).await {
        Stop::Asked => {
            tracing::info!(target = %assignment.action.target(), "asked to stop, because a person cancelled");
            true
        }
        Stop::Impossible => {
            tracing::info!(target = %assignment.action.target(), "cannot be stopped; it runs to its end");
            true
        }
        Stop::Failed { error } => {
            tracing::warn!(%error, "a cancelled action could not be asked to stop; asking again");
            false
        }
    }
}
