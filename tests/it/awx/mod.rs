//! AWX jobs: the small test server is honest, and what is launched on it is launched once, aimed right, and followed.

mod action;
mod aim;
mod bootstrap;
mod cancelling;
mod checking;
mod crash;
mod outage;
mod reaching;
mod recordings;
mod stories;

use std::sync::Arc;
use std::time::Duration;

use autoheal::action::awx::{ApiRoot, AwxAction, AwxAuth, AwxServer, AwxTimes, AwxTls};
use autoheal::action::{Action, Assignment, Look, Progress};
use autoheal::clock::{Clock, SystemClock};
use autoheal::domain::action::{Action as Kind, AwxJob};
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use autoheal::domain::decide::ActionOutcome;
use autoheal::domain::heal::AttemptId;
use autoheal::secret::Secret;
use autoheal::telemetry::Metrics;
use serde_json::{Value, json};

use crate::support::awx::{AwxServer as TestServer, TOKEN};

/// Times that suit a server whose jobs take a tenth of a second.
fn times() -> AwxTimes {
    AwxTimes {
        request: Duration::from_secs(5),
        launch: Duration::from_secs(1),
        lost_answer: Duration::from_millis(600),
        longest_poll: Duration::from_millis(30),
        output: Duration::from_secs(1),
        ..AwxTimes::default()
    }
}

fn settings(address: &str, token: &str) -> AwxServer {
    AwxServer {
        name: "default".into(),
        root: ApiRoot::parse(address).unwrap(),
        auth: AwxAuth::Bearer(Secret::new(token)),
        tls: AwxTls::default(),
        proxy: None,
        project: None,
        times: times(),
    }
}

fn action_for(server: AwxServer) -> AwxAction {
    crate::support::install_tls();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::new(clock.now()));
    AwxAction::new(&[server], &clock, &metrics).unwrap()
}

fn action(server: &TestServer) -> AwxAction {
    action_for(settings(&server.url(), TOKEN))
}

/// A rendered job in the notation of the store.
fn job(mut fields: Value) -> AwxJob<String> {
    fields["server"] = json!("default");
    serde_json::from_value(fields).unwrap()
}

fn alert() -> Alert {
    let labels = Labels::from([("alertname".to_owned(), "InstanceDown".to_owned())]);
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: SystemClock.now(),
        ends_at: None,
        generator_url: "http://prometheus.example/graph".into(),
    }
}

fn assign(fields: Value) -> Assignment {
    assign_for(fields, Duration::from_secs(20))
}

fn assign_for(fields: Value, time: Duration) -> Assignment {
    let now = SystemClock.now();
    Assignment {
        attempt: AttemptId(uuid::Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext))),
        action: Kind::AwxJob(Box::new(job(fields))),
        alert: Some(alert().into()),
        symptom_since: now,
        began_at: now,
        deadline: now + time,
    }
}

/// The whole attempt, as the engine carries it out.
async fn carry_out(action: &AwxAction, assignment: &Assignment) -> ActionOutcome {
    let handle = match action.look(assignment).await {
        Look::Ready { handle, .. } => handle,
        Look::Over(outcome) => return outcome,
    };
    match action.start(assignment, &handle).await {
        Err(outcome) => outcome,
        Ok((handle, _)) => match action.poll(assignment, &handle).await {
            Progress::Over(outcome) => outcome,
            Progress::Running { .. } => panic!("a job is followed to its end"),
        },
    }
}
