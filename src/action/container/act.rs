//! The deed: restarting what was looked at, each container once, one after another.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::ContainerAction;
use super::engine::{GRACE, Hand, View, remaining};
use super::fault::Fault;
use super::halt::Working;
use super::handle::{After, Entry, Handle};
use super::lookout::{Verdict, judge_for, not_containers};
use super::seen::{Condition, Seen};
use crate::action::Assignment;
use crate::domain::Timestamp;
use crate::domain::action::{Deed, RestartContainer};
use crate::domain::decide::ActionOutcome;

/// IDs of containers being restarted by this process right now.
///
/// One set for the process rather than one per action: a reload builds a second action while the first still works,
/// two configured hosts may be one engine, and two rules may name one container differently. IDs are unique anywhere.
static BUSY: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Holds containers for one attempt; gives them back when dropped, also when the attempt is cancelled.
#[derive(Debug)]
pub(super) struct Claim(Vec<String>);

impl Claim {
    /// Takes all of them or none.
    fn take(entries: &[Entry]) -> Result<Self, ActionOutcome> {
        Self::take_all(entries.iter().map(|entry| (entry.id.clone(), entry.label())).collect())
    }

    /// The same, by ID and label.
    pub(super) fn take_all(containers: Vec<(String, String)>) -> Result<Self, ActionOutcome> {
        let mut busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, label)) = containers.iter().find(|(id, _)| busy.contains(id)) {
            let error = format!("container {label} is being worked on for another heal right now");
            return Err(ActionOutcome::Unreachable { error });
        }
        let ids: Vec<_> = containers.into_iter().map(|(id, _)| id).collect();
        busy.extend(ids.iter().cloned());
        Ok(Self(ids))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        for id in &self.0 {
            busy.remove(id);
        }
    }
}

impl ContainerAction {
    /// Restarts or starts every container of a handle that was not started since it was written.
    pub(super) async fn act(
        &self,
        assignment: &Assignment,
        mut handle: Handle,
    ) -> Result<(Handle, String), ActionOutcome> {
        let (view, hand) = (self.lookout.view(&handle.host)?, self.hand(&handle.host)?);
        let _claim = Claim::take(&handle.containers)?;
        let (deed, containers) = assignment.action.containers().ok_or_else(not_containers)?;
        let working = self.halts.begin(assignment.attempt);
        let deeds = Deeds { action: self, view, hand, assignment, deed, containers, working: &working };
        let mut told: Vec<String> = Vec::new();
        for index in 0..handle.containers.len() {
            let done = deeds.one(index, &handle).await;
            let (after, what) = done.map_err(|outcome| after_others(outcome, &told))?;
            handle.containers[index].after = Some(after);
            told.push(what);
        }
        Ok((handle, format!("on docker host {}, {}", view.place(), told.join("; "))))
    }

    /// Waits for a container that the engine was asked to restart, as long as that can take: the engine goes through
    /// with a restart whose caller has gone away. Answers the container once it was restarted, or stands still, and
    /// `None` when neither came.
    ///
    /// One that stands still needs no more waiting: starting it is safe even if the engine is about to, because the
    /// second of two starts finds it running.
    pub(super) async fn wait_for_restart(
        &self,
        view: &View,
        entry: &Entry,
        deadline: Timestamp,
    ) -> Result<Option<Seen>, Fault> {
        let doing = format!("see whether container {} was restarted", entry.name);
        let patience = entry.stop_grace().saturating_add(GRACE).min(remaining(self.lookout.clock(), deadline));
        let end = tokio::time::Instant::now() + patience;
        let mut pause = Duration::from_millis(50);
        loop {
            let over = tokio::time::Instant::now() >= end;
            match view.inspect(&entry.id, &doing, deadline).await {
                Ok(Some(seen)) if entry.was_restarted(&seen) || seen.condition == Condition::Stopped => {
                    return Ok(Some(seen));
                }
                Ok(None) => return Ok(None),
                Ok(Some(_)) if over => return Ok(None),
                Err(fault) if over || !fault.is_unreachable() => return Err(fault),
                Ok(Some(_)) | Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    pub(super) fn note(&self, deed: &str, seen: &Seen) -> After {
        After { deed: deed.to_owned(), at: self.lookout.clock().now(), restart_count: seen.restart_count }
    }
}

/// That earlier containers of the same attempt were already acted on must not get lost, nor pass for "not tried".
pub(super) fn after_others(outcome: ActionOutcome, told: &[String]) -> ActionOutcome {
    if told.is_empty() {
        return outcome;
    }
    let told = told.join("; ");
    match outcome {
        ActionOutcome::Failed { error } | ActionOutcome::Unreachable { error } => {
            ActionOutcome::Failed { error: format!("{told}; then {error}") }
        }
        ActionOutcome::Refused { error } => ActionOutcome::Refused { error: format!("{told}; then {error}") },
        ActionOutcome::Doubtful { error } => ActionOutcome::Doubtful { error: format!("{told}; then {error}") },
        ActionOutcome::TimedOut => ActionOutcome::Failed { error: format!("{told}; then the action's time was over") },
        other @ (ActionOutcome::Done { .. } | ActionOutcome::NotNeeded { .. }) => other,
    }
}

/// One attempt at work on one host.
pub(super) struct Deeds<'a> {
    pub action: &'a ContainerAction,
    pub view: &'a View,
    hand: &'a Hand,
    pub assignment: &'a Assignment,
    pub deed: Deed,
    pub containers: &'a RestartContainer<String>,
    pub working: &'a Working<'a>,
}

impl Deeds<'_> {
    /// Looks again and acts on one container.
    async fn one(&self, index: usize, handle: &Handle) -> Result<(After, String), ActionOutcome> {
        let entry = &handle.containers[index];
        self.working.may_touch(&entry.label())?;
        if entry.dependent {
            self.all_are_well(entry, &handle.containers[..index]).await?;
        }
        let doing = format!("look again at container {}", entry.name);
        let deadline = self.assignment.deadline;
        let seen = self.view.inspect(&entry.id, &doing, deadline).await?.ok_or_else(|| gone(self.view, entry))?;
        if entry.was_restarted(&seen) {
            let what = format!("container {seen}: it was restarted since we looked, so not again");
            return Ok((self.action.note("restarted by somebody else", &seen), what));
        }
        let verdict = judge_for(self.deed, &seen, self.assignment.symptom_since, self.view.skew());
        if entry.dependent && !matches!(verdict, Verdict::Refuse(_)) {
            return self.apply(entry, &seen).await;
        }
        match verdict {
            Verdict::Act => {
                let selected = handle.containers.iter().chain(&handle.peers).filter(|other| !other.dependent);
                let others: Vec<_> = selected.filter(|other| other.id != entry.id).collect();
                self.peers_suffice(entry, &seen, &others).await?;
                self.apply(entry, &seen).await
            }
            Verdict::Leave(reason) => Ok((self.action.note("left alone", &seen), reason)),
            Verdict::Refuse(reason) => {
                Err(ActionOutcome::Refused { error: format!("on docker host {}, {reason}", self.view.place()) })
            }
        }
    }

    async fn apply(&self, entry: &Entry, seen: &Seen) -> Result<(After, String), ActionOutcome> {
        let label = entry.label();
        let deed = match self.deed {
            Deed::Stop => "stopped",
            _ if seen.condition == Condition::Stopped => "started",
            _ => "restarted",
        };
        match self.ask(entry, seen.condition).await {
            Ok(()) => {}
            Err(fault) if fault.may_have_arrived() => self.see_through(entry, &fault).await?,
            Err(fault) => return Err(fault.into()),
        }
        // The count after the deed is what later growth is measured against; where it cannot be read, the deed
        // itself has set it back to nothing.
        let doing = format!("look at container {label} after it was {deed}");
        let after = match self.view.inspect(&entry.id, &doing, self.assignment.deadline).await {
            Ok(Some(seen)) => self.action.note(deed, &seen),
            _ => After { deed: deed.to_owned(), at: self.action.lookout.clock().now(), restart_count: 0 },
        };
        Ok((after, format!("{deed} container {label}")))
    }

    /// Asks the engine to start what stands still and to restart everything else.
    async fn ask(&self, entry: &Entry, condition: Condition) -> Result<(), Fault> {
        let (label, deadline, restart) = (entry.label(), self.assignment.deadline, self.containers);
        if self.deed == Deed::Stop {
            let doing = format!("stop container {label}");
            return self.hand.stop(&entry.id, restart.stop_timeout, entry.stop_grace(), &doing, deadline).await;
        }
        if condition == Condition::Stopped {
            return self.hand.start(&entry.id, &format!("start container {label}"), deadline).await;
        }
        let doing = format!("restart container {label}");
        self.hand.restart(&entry.id, restart.stop_timeout, entry.stop_grace(), &doing, deadline).await
    }

    /// Without an answer the engine may still be at it, and asking for a restart again could do it twice. So this
    /// waits for what comes of it, and only starts a container that was left standing. It may be about to start, and
    /// the answer to that may get lost too, so it looks again after every such request.
    async fn see_through(&self, entry: &Entry, fault: &Fault) -> Result<(), ActionOutcome> {
        const STARTS: u32 = 4;
        if self.deed == Deed::Stop {
            // The engine goes through with it; whether it did is seen when the container is followed.
            return Ok(());
        }
        for _ in 0..STARTS {
            match self.action.wait_for_restart(self.view, entry, self.assignment.deadline).await {
                Ok(Some(seen)) if entry.was_restarted(&seen) => return Ok(()),
                Ok(Some(seen)) => match self.ask(entry, seen.condition).await {
                    Ok(()) => return Ok(()),
                    Err(again) if again.may_have_arrived() => tokio::time::sleep(Duration::from_millis(500)).await,
                    Err(again) => return Err(ActionOutcome::Failed { error: format!("{fault}; then {again}") }),
                },
                Ok(None) | Err(_) => break,
            }
        }
        Err(ActionOutcome::Failed { error: format!("{fault}; it may still be at it") })
    }
}

/// A container that was there when we looked and is not any more.
pub(super) fn gone(view: &View, entry: &Entry) -> ActionOutcome {
    let (label, place) = (entry.label(), view.place());
    ActionOutcome::Failed { error: format!("container {label} on docker host {place} was removed meanwhile") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> Entry {
        Entry {
            id: id.into(),
            name: "ui".into(),
            started_at: Timestamp::UNIX_EPOCH,
            pid: 0,
            running: false,
            restart_count: 0,
            has_healthcheck: false,
            stop_grace_ms: 0,
            dependent: false,
            after: None,
        }
    }

    #[test]
    fn a_claim_takes_all_or_none_and_gives_back() {
        let first = Claim::take(&[entry("claim-a"), entry("claim-b")]).unwrap();
        let second = Claim::take(&[entry("claim-c"), entry("claim-b")]).unwrap_err();
        assert!(matches!(second, ActionOutcome::Unreachable { error } if error.contains("another heal")));
        drop(Claim::take(&[entry("claim-c")]).expect("a refused claim takes nothing"));
        drop(first);
        drop(Claim::take(&[entry("claim-b")]).expect("a dropped claim gives back"));
    }

    #[test]
    fn what_was_already_done_is_not_called_untried() {
        let unreachable = || ActionOutcome::Unreachable { error: "nobody listens".into() };
        assert_eq!(after_others(unreachable(), &[]), unreachable());
        let outcome = after_others(unreachable(), &["restarted container a".into()]);
        assert_eq!(outcome, ActionOutcome::Failed { error: "restarted container a; then nobody listens".into() });
    }
}
