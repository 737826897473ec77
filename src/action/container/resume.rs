//! After a crash between writing the handle and recording the deed: was it done?

use std::future::Future;
use std::time::Duration;

use super::ContainerAction;
use super::act::gone;
use super::engine::{Memory, View, remaining};
use super::fault::Fault;
use super::follow::is_to_stop;
use super::handle::{Entry, Handle};
use super::seen::Condition;
use crate::action::{Assignment, Resumption};
use crate::domain::Timestamp;
use crate::domain::decide::ActionOutcome;

impl ContainerAction {
    /// Asks for every container whether it was started since the handle was written, and where the engine may still
    /// be at it, waits. One that was not restarted means going on: starting skips those that were.
    pub(super) async fn find_out(
        &self,
        assignment: &Assignment,
        mut handle: Handle,
    ) -> Result<Resumption, ActionOutcome> {
        let view = self.lookout.view(&handle.host)?;
        let mut told = Vec::new();
        for entry in &mut handle.containers {
            if let Some(what) = self.was_done(view, entry, assignment).await? {
                told.push(what);
            }
        }
        if told.len() < handle.containers.len() {
            return Ok(Resumption::Start);
        }
        let what = format!("on docker host {}, {}", view.place(), told.join("; "));
        Ok(Resumption::Follow { handle: handle.write(), what })
    }

    /// Notes in the entry that its container was restarted, and says so; `None` when it was not.
    async fn was_done(
        &self,
        view: &View,
        entry: &mut Entry,
        assignment: &Assignment,
    ) -> Result<Option<String>, ActionOutcome> {
        let deadline = assignment.deadline;
        let doing = format!("see whether container {} was restarted", entry.name);
        let seen = self
            .insist(deadline, || view.inspect(&entry.id, &doing, deadline))
            .await?
            .ok_or_else(|| gone(view, entry))?;
        if is_to_stop(assignment) {
            // Stopping may be asked for twice: the second request finds it stopped.
            return Ok((seen.condition == Condition::Stopped).then(|| {
                entry.after = Some(self.note("stopped", &seen));
                format!("container {seen}: it was stopped before this process took over")
            }));
        }
        let restarted = if entry.was_restarted(&seen) {
            Some(seen)
        } else if seen.condition == Condition::Stopped {
            // A start can be asked for twice: the second request finds it running.
            None
        } else {
            // The engine goes through with a restart though its caller is gone; while it stops the container,
            // nothing but the event log shows it.
            let doing = format!("read the events of container {}", entry.name);
            let ask = || view.asked_since(&entry.id, assignment.began_at, &doing, deadline);
            match self.insist(deadline, ask).await? {
                Memory::Quiet => None,
                Memory::Asked | Memory::Forgotten => {
                    let waited = self.wait_for_restart(view, entry, deadline).await?;
                    waited.filter(|seen| entry.was_restarted(seen))
                }
            }
        };
        Ok(restarted.map(|seen| {
            let deed = if entry.running { "restarted" } else { "started" };
            entry.after = Some(self.note(deed, &seen));
            format!("container {seen}: it was {deed} before this process took over")
        }))
    }

    /// Asks until there is an answer or no time. Giving up early would let a fresh attempt begin while the engine may
    /// still be at the old one.
    pub(super) async fn insist<T, F, A>(&self, deadline: Timestamp, mut ask: F) -> Result<T, Fault>
    where
        F: FnMut() -> A + Send,
        A: Future<Output = Result<T, Fault>> + Send,
    {
        const PAUSE: Duration = Duration::from_secs(1);
        loop {
            match ask().await {
                Err(fault) if fault.is_unreachable() && remaining(self.lookout.clock(), deadline) > PAUSE => {
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}
