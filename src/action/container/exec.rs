//! `execInContainer`: a command in running containers, one after another.
//!
//! Looking makes an exec instance in each container, which runs nothing yet. Their IDs are on record before the first is
//! started, and the engine starts an instance at most once; so whoever comes after a crash asks what became of each ID
//! and never runs a command twice.
//!
//! The engine has no way to end a command it runs. One that takes too long is left to itself, and a human is told.

use std::time::Duration;

use bollard::errors::Error as BollardError;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ContainerAction;
use super::act::{Claim, after_others};
use super::engine::{Hand, View, remaining};
use super::fault::{Fault, Kind};
use super::seen::{self, Condition, ExecState, Seen};
use super::text;
use crate::action::{Assignment, Look, Resumption};
use crate::domain::Timestamp;
use crate::domain::action::{ExecInContainer, words};
use crate::domain::decide::ActionOutcome;

/// What is kept of a command's output: its end, where errors stand.
const KEPT: usize = 2_000;
/// This long before the attempt's time is over it is said that the command still runs; later the attempt would merely
/// time out.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How often the engine is asked to start a command when its answers get lost.
const ASKS: u32 = 8;
/// Pause between two looks at a command whose output nobody reads.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What the store keeps of the commands of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Execs {
    /// The name of the Docker host.
    host: String,
    /// In the order they run.
    execs: Vec<Exec>,
}

/// A command in one container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exec {
    /// The exec instance.
    id: String,
    /// The container, by its whole ID.
    container: String,
    /// The container's name, for people.
    name: String,
    /// How it ended; absent until it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<End>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct End {
    code: i64,
    /// The end of what it printed; `None` when nobody was there to read it.
    output: Option<String>,
}

impl Execs {
    /// Reads what an earlier call wrote.
    pub(super) fn read(value: &Value) -> Result<Self, ActionOutcome> {
        Self::deserialize(value).map_err(|error| ActionOutcome::Failed {
            error: format!("the stored note of what to run cannot be read ({error}); another version wrote it?"),
        })
    }

    /// As the store keeps it.
    pub(super) fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What came of commands that have all ended.
    pub(super) fn outcome(&self, exec: &ExecInContainer<String>) -> ActionOutcome {
        let told: Vec<_> = self.execs.iter().filter_map(|run| Some(run.told(exec, run.end.as_ref()?))).collect();
        let told = format!("on docker host {}, {}", self.host, told.join("; "));
        if self.execs.iter().all(|run| run.end.as_ref().is_some_and(|end| end.code == 0)) {
            ActionOutcome::Done { what: told }
        } else {
            ActionOutcome::Failed { error: told }
        }
    }
}

impl Exec {
    fn label(&self) -> String {
        seen::label(&self.name, &self.container)
    }

    fn told(&self, exec: &ExecInContainer<String>, end: &End) -> String {
        let command = text::bounded(&words(&exec.command));
        let printed = match &end.output {
            None => "; what it printed went to a process that is gone".to_owned(),
            Some(output) if output.is_empty() => " and printed nothing".to_owned(),
            Some(output) => format!(" and printed: {output}"),
        };
        format!("in container {}, {command} ended with code {}{printed}", self.label(), end.code)
    }
}

/// What was found, in words.
pub(super) fn found(exec: &ExecInContainer<String>, containers: &[Seen]) -> String {
    let labels: Vec<_> = containers.iter().map(|seen| format!("container {seen}")).collect();
    format!("ready to run {} in {}", text::bounded(&words(&exec.command)), text::listed(&labels))
}

/// A command needs a container that runs.
pub(super) fn all_run(view: &View, containers: &[Seen]) -> Result<(), ActionOutcome> {
    let Some(seen) = containers.iter().find(|seen| seen.condition != Condition::Running) else { return Ok(()) };
    let place = view.place();
    if seen.condition == Condition::Paused {
        let error =
            format!("on docker host {place}, container {seen}, which a person did on purpose; docker unpause ends it");
        return Err(ActionOutcome::Refused { error });
    }
    let error = format!("on docker host {place}, container {seen}; a command can only run in a container that runs");
    Err(ActionOutcome::Failed { error })
}

/// The same command must not run beside itself, which it would where an earlier attempt ran out of time.
pub(super) async fn none_runs_it(
    view: &View,
    exec: &ExecInContainer<String>,
    containers: &[Seen],
    deadline: Timestamp,
) -> Result<(), ActionOutcome> {
    for seen in containers {
        let doing = format!("see what runs in container {}", seen.name);
        let execs = view.execs(&seen.id, &doing, deadline).await?;
        if execs.iter().any(|run| run.state == ExecState::Running && run.command == exec.command) {
            let error = format!(
                "on docker host {}, the same command still runs in container {}; it is not started beside itself",
                view.place(),
                seen.label()
            );
            return Err(ActionOutcome::Failed { error });
        }
    }
    Ok(())
}

impl ContainerAction {
    /// Finds the containers and makes an exec instance in each; nothing runs yet.
    pub(super) async fn make_ready(
        &self,
        exec: &ExecInContainer<String>,
        assignment: &Assignment,
    ) -> Result<Look, ActionOutcome> {
        let (_, containers) = self.lookout.find_running(exec, assignment).await?;
        let host = &exec.containers.host;
        let hand = self.hand(host)?;
        let found = found(exec, &containers);
        let mut execs = Vec::new();
        for Seen { id: container, name, .. } in containers {
            let doing = format!("prepare a command in container {name}");
            let id = hand.make_exec(&container, &exec.command, &doing, assignment.deadline).await?;
            execs.push(Exec { id, container, name, end: None });
        }
        let handle = Execs { host: host.clone(), execs };
        Ok(Look::Ready { handle: handle.write(), found })
    }

    /// Runs the command in each container that has not run it yet, until one fails.
    pub(super) async fn execute(
        &self,
        exec: &ExecInContainer<String>,
        assignment: &Assignment,
        mut handle: Execs,
    ) -> Result<(Execs, String), ActionOutcome> {
        let (view, hand) = (self.lookout.view(&handle.host)?, self.hand(&handle.host)?);
        let _claim = Claim::take_all(handle.execs.iter().map(|run| (run.container.clone(), run.label())).collect())?;
        let working = self.halts.begin(assignment.attempt);
        let runs = Runs { action: self, view, hand, exec, assignment };
        let mut told: Vec<String> = Vec::new();
        for index in 0..handle.execs.len() {
            working.may_touch(&handle.execs[index].label()).map_err(|outcome| after_others(outcome, &told))?;
            let end = runs.one(&handle.execs[index]).await.map_err(|outcome| after_others(outcome, &told))?;
            let what = handle.execs[index].told(exec, &end);
            if end.code != 0 {
                let error = format!("on docker host {}, {what}", view.place());
                return Err(after_others(ActionOutcome::Failed { error }, &told));
            }
            told.push(what);
            handle.execs[index].end = Some(end);
        }
        Ok((handle, format!("on docker host {}, {}", view.place(), told.join("; "))))
    }

    /// After a crash: whether all commands have ended. Those that run, or never did, are taken up by
    /// [`ContainerAction::execute`], which starts none twice.
    pub(super) async fn find_out_execs(
        &self,
        exec: &ExecInContainer<String>,
        assignment: &Assignment,
        mut handle: Execs,
    ) -> Result<Resumption, ActionOutcome> {
        let (view, deadline) = (self.lookout.view(&handle.host)?, assignment.deadline);
        let mut open = false;
        for run in &mut handle.execs {
            let doing = format!("see what became of a command in container {}", run.name);
            let seen = self.insist(deadline, || view.exec(&run.id, &doing, deadline)).await?;
            match seen.map(|seen| seen.state) {
                None => return Err(lost(view, exec, run)),
                Some(ExecState::Ended(code)) => run.end = Some(End { code, output: None }),
                Some(ExecState::Ready | ExecState::Running) => open = true,
            }
        }
        if open {
            return Ok(Resumption::Start);
        }
        let told: Vec<_> = handle.execs.iter().filter_map(|run| Some(run.told(exec, run.end.as_ref()?))).collect();
        let what = format!("on docker host {}, {}", view.place(), told.join("; "));
        Ok(Resumption::Follow { handle: handle.write(), what })
    }
}

/// Whether a command ran is not known, so it is not run again.
fn lost(view: &View, exec: &ExecInContainer<String>, run: &Exec) -> ActionOutcome {
    let error = format!(
        "on docker host {}, whether {} ran in container {} cannot be known: the engine has forgotten it, because it or the \
         container was started anew meanwhile; it is not run again, look whether it did its work",
        view.place(),
        text::bounded(&words(&exec.command)),
        run.label()
    );
    ActionOutcome::Doubtful { error }
}

/// One attempt at work.
struct Runs<'a> {
    action: &'a ContainerAction,
    view: &'a View,
    hand: &'a Hand,
    exec: &'a ExecInContainer<String>,
    assignment: &'a Assignment,
}

impl Runs<'_> {
    /// Runs one command to its end.
    async fn one(&self, run: &Exec) -> Result<End, ActionOutcome> {
        if let Some(end) = &run.end {
            return Ok(end.clone());
        }
        let doing = format!("run a command in container {}", run.label());
        let state = self.state(run).await?;
        let mut output = None;
        if state == ExecState::Ready {
            match self.hand.start_exec(&run.id, &doing, self.assignment.deadline).await {
                Ok(stream) => output = self.read(stream).await,
                Err(fault) => self.see_through(run, fault).await?,
            }
        }
        let code = self.end(run).await?;
        Ok(End { code, output })
    }

    async fn state(&self, run: &Exec) -> Result<ExecState, ActionOutcome> {
        let doing = format!("see what became of a command in container {}", run.name);
        let deadline = self.assignment.deadline;
        let seen = self.action.insist(deadline, || self.view.exec(&run.id, &doing, deadline)).await?;
        Ok(seen.ok_or_else(|| lost(self.view, self.exec, run))?.state)
    }

    /// Reads to the command's end, or until time runs out; keeps the end of it.
    async fn read(
        &self,
        mut stream: BoxStream<'static, Result<bollard::container::LogOutput, BollardError>>,
    ) -> Option<String> {
        let mut kept: Vec<u8> = Vec::new();
        let reading = async {
            while let Some(Ok(part)) = stream.next().await {
                kept.extend_from_slice(&part.into_bytes());
                let surplus = kept.len().saturating_sub(KEPT);
                kept.drain(..surplus);
            }
        };
        // A connection that breaks ends the reading, not the command.
        let _ = tokio::time::timeout(self.time_left(), reading).await;
        Some(text::ending(&String::from_utf8_lossy(&kept)))
    }

    /// The engine did not say that it started the command. Asking again is safe: it starts each at most once.
    async fn see_through(&self, run: &Exec, fault: Fault) -> Result<(), ActionOutcome> {
        let is_open = |fault: &Fault| fault.may_have_arrived() || matches!(fault.kind, Kind::Api(409, _));
        let mut latest = fault;
        for _ in 0..ASKS {
            // The request may be on its way to the command still.
            tokio::time::sleep(LOOK_AGAIN.min(self.time_left())).await;
            if self.state(run).await? != ExecState::Ready {
                return Ok(());
            }
            if !is_open(&latest) {
                return Err(latest.into());
            }
            let doing = format!("run a command in container {}", run.label());
            match self.hand.start_exec(&run.id, &doing, self.assignment.deadline).await {
                Ok(_) => return Ok(()),
                Err(again) => latest = again,
            }
        }
        let error = format!("{latest}; asked {ASKS} times, and the engine says that it has not begun");
        Err(ActionOutcome::Failed { error })
    }

    /// Waits for the command's end and answers its code.
    async fn end(&self, run: &Exec) -> Result<i64, ActionOutcome> {
        loop {
            if let ExecState::Ended(code) = self.state(run).await? {
                return Ok(code);
            }
            if self.time_left().is_zero() {
                let error = format!(
                    "on docker host {}, {} still runs in container {} although its time is over; the engine cannot end a \
                     command, so it may go on: look with docker top {}",
                    self.view.place(),
                    text::bounded(&words(&self.exec.command)),
                    run.label(),
                    run.name
                );
                return Err(ActionOutcome::Doubtful { error });
            }
            tokio::time::sleep(LOOK_AGAIN.min(self.time_left())).await;
        }
    }

    fn time_left(&self) -> Duration {
        remaining(self.action.lookout().clock(), self.assignment.deadline).saturating_sub(LAST_WORD)
    }
}
