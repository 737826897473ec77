//! A launched run to its end: within its limits, cancelled beyond them, and then what came of it.

use std::time::Duration;

use super::client::Client;
use super::evidence;
use super::fault::Fault;
use super::launch::{cancel, last_words};
use super::model::{Job, State};
use super::poller::{Poller, Seen};
use crate::action::Assignment;
use crate::domain::Timestamp;
use crate::domain::action::AwxJob;
use crate::domain::decide::ActionOutcome;
use crate::domain::duration;
use crate::domain::elapsed;

/// The part of an attempt's time that is kept for stopping a run that takes too long, and at most.
const STOPPING: (u32, Duration) = (5, Duration::from_mins(1));
/// Pause before a run that could not be cancelled is cancelled again.
const AGAIN: Duration = Duration::from_secs(2);

/// A run that is followed.
pub(super) struct Following<'f> {
    pub client: &'f Client,
    pub poller: &'f Poller,
    pub job: &'f AwxJob<String>,
    pub assignment: &'f Assignment,
    pub id: u64,
    /// Whether a person had us stop it.
    pub was_stopped: &'f (dyn Fn() -> bool + Sync),
}

/// A run that took too long.
struct Stopping {
    why: String,
    /// What came of asking it to stop, when that did not succeed, and when it is asked again.
    failed: Option<(Fault, Timestamp)>,
}

impl Following<'_> {
    /// Follows the run to its end and says what came of it.
    pub(super) async fn follow(&self) -> ActionOutcome {
        let began = self.client.now();
        let deadline = self.assignment.deadline;
        let stopping = (elapsed(began, deadline) / STOPPING.0).min(STOPPING.1);
        let patience = (self.patience(began, deadline - stopping), deadline - stopping);
        let mut watch = self.poller.watch(self.id, self.job.workflow);
        let end = deadline - last_words(self.assignment);
        let mut stopping: Option<Stopping> = None;
        let mut is_running = false;
        loop {
            let until = match &stopping {
                Some(Stopping { failed: Some((_, again_at)), .. }) => (*again_at).min(end),
                Some(_) => end,
                None if is_running => patience.1,
                None => patience.0,
            };
            match watch.next(until).await {
                Some(Seen::There(run)) if run.state.is_final() => {
                    drop(watch);
                    return self.ended(run, stopping.map(|stopping| stopping.why)).await;
                }
                Some(Seen::There(run)) => is_running = run.state == State::Running,
                Some(Seen::Gone) => return self.gone(),
                None if stopping.is_some() && self.client.now() >= end => return self.never_ended(stopping),
                None => {
                    let why = stopping.map_or_else(|| self.too_long(is_running, began), |stopping| stopping.why);
                    stopping = Some(self.stop(why).await);
                }
            }
        }
    }

    fn patience(&self, began: Timestamp, end: Timestamp) -> Timestamp {
        (began + self.client.times().pending).min(end)
    }

    fn page(&self) -> String {
        self.client.server().root.page(self.job.workflow, self.id)
    }

    fn too_long(&self, was_running: bool, began: Timestamp) -> String {
        let waited = duration::format(Duration::from_secs(elapsed(began, self.client.now()).as_secs()));
        if was_running { format!("it ran for {waited}") } else { format!("it was still queued after {waited}") }
    }

    /// Cancels the run. One that cannot be asked now is asked again, because a server comes back.
    async fn stop(&self, why: String) -> Stopping {
        tracing::info!(job = self.id, why, "cancelling an AWX job");
        match cancel(self.client, self.job.workflow, self.id, self.assignment.deadline).await {
            Ok(()) => {
                self.poller.hurry(self.id);
                Stopping { why, failed: None }
            }
            Err(fault) => {
                tracing::warn!(job = self.id, error = %fault, "an AWX job could not be cancelled; asking again");
                Stopping { why, failed: Some((fault, self.client.now() + AGAIN)) }
            }
        }
    }

    /// Removed from the server: whether it worked, only the alert can tell.
    fn gone(&self) -> ActionOutcome {
        ActionOutcome::Done {
            what: format!(
                "AWX has removed job {} ({}) before its outcome was read; the alert will tell",
                self.id,
                self.page()
            ),
        }
    }

    fn never_ended(&self, stopping: Option<Stopping>) -> ActionOutcome {
        let (why, failed) = stopping.map_or_else(Default::default, |stopping| (stopping.why, stopping.failed));
        let then = match failed {
            None => "was cancelled, but has not ended since".to_owned(),
            Some((fault, _)) => format!("could not be cancelled ({fault}); stop it by hand"),
        };
        ActionOutcome::Failed { error: format!("AWX job {} ({}) {then}; {why}", self.id, self.page()) }
    }

    async fn ended(&self, run: Job, stopped: Option<String>) -> ActionOutcome {
        let found = evidence::gather(self.client, &run, self.assignment.deadline - last_words(self.assignment)).await;
        let story = format!("AWX job {} ({})", self.id, self.page());
        match (run.state, stopped) {
            (State::Canceled, Some(why)) => {
                ActionOutcome::Failed { error: format!("{story} was cancelled because {why}{found}") }
            }
            (State::Canceled, None) if (self.was_stopped)() => {
                ActionOutcome::Done { what: format!("{story} was stopped as asked{found}") }
            }
            // Whoever stopped it had a reason; launching it again would work against them.
            (State::Canceled, None) => ActionOutcome::Doubtful {
                error: format!("{story} was cancelled by somebody in AWX{found}; nothing more is done"),
            },
            (State::Successful, _) => match found.nobody_was_touched(run.is_workflow) {
                Some(why) => ActionOutcome::Failed { error: format!("{story} ended successful, but {why}{found}") },
                None => ActionOutcome::Done { what: format!("{story} ended successful{found}") },
            },
            (State::Error, _) => ActionOutcome::Failed { error: format!("{story}: AWX could not run it{found}") },
            _ => ActionOutcome::Failed { error: format!("{story} failed{found}") },
        }
    }
}
