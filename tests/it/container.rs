//! Actions on containers, on a real Docker Engine.

mod commanding;
mod finding;
mod following;
mod ordering;
mod reaching;
mod resuming;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoheal::action::container::{ContainerAction, DockerHost};
use autoheal::action::{Action as _, Assignment, Look, Progress};
use autoheal::clock::{Clock, SystemClock};
use autoheal::domain::Timestamp;
use autoheal::domain::action::{Action, ContainerSelector, RestartContainer};
use autoheal::domain::decide::ActionOutcome;
use autoheal::domain::heal::AttemptId;
use serde_json::Value;

type Selector = ContainerSelector<String>;

const HOST: &str = "local";

fn now() -> Timestamp {
    SystemClock.now()
}

fn action(hosts: &[DockerHost]) -> ContainerAction {
    ContainerAction::new(hosts, Arc::new(SystemClock)).unwrap()
}

fn named(name: &str) -> Selector {
    Selector::Name(name.to_owned())
}

fn labelled(key: &str, value: &str) -> Selector {
    Selector::Labels(BTreeMap::from([(key.to_owned(), value.to_owned())]))
}

fn service(project: &str, service: &str) -> Selector {
    Selector::Compose { project: project.to_owned(), service: service.to_owned() }
}

/// An attempt that begins now, for an alert that fires since now.
struct Task {
    restart: RestartContainer<String>,
    symptom_since: Timestamp,
    time: Duration,
}

impl Task {
    fn new(selector: Selector) -> Self {
        let restart = RestartContainer {
            host: HOST.into(),
            selector,
            stop_timeout: Some(Duration::from_secs(2)),
            max: 1,
            min_healthy: None,
            then: Vec::new(),
            dependents: None,
        };
        Self { restart, symptom_since: now(), time: Duration::from_mins(1) }
    }

    fn max(mut self, max: u32) -> Self {
        self.restart.max = max;
        self
    }

    /// How long the engine waits for the container to end by itself.
    fn stopping_within(mut self, time: Duration) -> Self {
        self.restart.stop_timeout = Some(time);
        self
    }

    fn on(mut self, host: &str) -> Self {
        self.restart.host = host.into();
        self
    }

    fn symptom_since(mut self, at: Timestamp) -> Self {
        self.symptom_since = at;
        self
    }

    fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    fn assign(self) -> Assignment {
        let now = now();
        Assignment {
            attempt: AttemptId(uuid::Uuid::nil()),
            alert: None,
            action: Action::RestartContainer(self.restart),
            symptom_since: self.symptom_since,
            began_at: now,
            deadline: now + self.time,
        }
    }
}

/// The handle, where there is something to do.
fn ready(look: Look) -> Value {
    match look {
        Look::Ready { handle, .. } => handle,
        Look::Over(outcome) => panic!("not ready: {outcome:?}"),
    }
}

/// Looks and expects an end there.
async fn looked(action: &ContainerAction, assignment: &Assignment) -> ActionOutcome {
    match action.look(assignment).await {
        Look::Over(outcome) => outcome,
        Look::Ready { found, .. } => panic!("ready although it should not be: {found}"),
    }
}

/// Polls to the end.
async fn followed(action: &ContainerAction, assignment: &Assignment, handle: &Value) -> ActionOutcome {
    loop {
        match action.poll(assignment, handle).await {
            Progress::Over(outcome) => return outcome,
            Progress::Running { again_in } => tokio::time::sleep(again_in).await,
        }
    }
}

/// The whole way, each part reading only what the part before it wrote.
async fn done(action: &ContainerAction, assignment: &Assignment) -> ActionOutcome {
    let handle = ready(action.look(assignment).await);
    match action.start(assignment, &handle).await {
        Ok((handle, _)) => followed(action, assignment, &handle).await,
        Err(outcome) => outcome,
    }
}

#[track_caller]
fn says(outcome: &ActionOutcome, kind: &str, parts: &[&str]) {
    let (is, text) = match outcome {
        ActionOutcome::Done { what } => ("done", what.as_str()),
        ActionOutcome::NotNeeded { what } => ("not needed", what.as_str()),
        ActionOutcome::Failed { error } => ("failed", error.as_str()),
        ActionOutcome::Refused { error } => ("refused", error.as_str()),
        ActionOutcome::Unreachable { error } => ("unreachable", error.as_str()),
        ActionOutcome::Doubtful { error } => ("doubtful", error.as_str()),
        ActionOutcome::TimedOut => ("timed out", ""),
    };
    assert_eq!(is, kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}
