//! One engine: a view that can only look, and the hand that acts. A dry run is built from views alone.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as BollardError;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::{
    EventsOptions, InspectContainerOptions, ListContainersOptions, RestartContainerOptions, StartContainerOptions,
    StopContainerOptions,
};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;

use super::connect::{Connector, Reach, Skew};
use super::fault::{Fault, Kind};
use super::host::{DockerHost, DockerHostError};
use super::seen::{ExecSeen, Seen};
use crate::clock::Clock;
use crate::domain::{Timestamp, elapsed};

/// Exec instances of one container that are looked at.
const MAX_EXECS: usize = 64;
/// The longest any look may take: a hung engine keeps its own heals waiting, but not for long.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// What an engine may need beyond a container's stop grace to stop and start it.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// A container in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub id: String,
    pub name: String,
    pub labels: HashMap<String, String>,
}

/// What an engine remembers of one container since an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// Somebody had it stopped, killed or restarted.
    Asked,
    /// Nobody had.
    Quiet,
    /// The engine forgot part of that time.
    Forgotten,
}

/// Looks at one engine. Has no method that changes anything, and its client refuses to send anything but `GET`.
pub(super) struct View {
    place: String,
    docker: Docker,
    skew: Arc<Skew>,
    clock: Arc<dyn Clock>,
}

/// Acts on one engine.
pub(super) struct Hand {
    place: String,
    docker: Docker,
    clock: Arc<dyn Clock>,
}

/// Runs a call within a limit and the attempt's deadline, and puts what went wrong into words.
async fn call<T>(
    place: &str,
    clock: &dyn Clock,
    doing: &str,
    limit: Duration,
    deadline: Timestamp,
    call: impl Future<Output = Result<T, BollardError>> + Send,
) -> Result<T, Fault> {
    let fault = |kind| Fault { place: place.to_owned(), doing: doing.to_owned(), kind };
    let limit = limit.min(remaining(clock, deadline));
    if limit.is_zero() {
        return Err(fault(Kind::NoTime));
    }
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| fault(Kind::of(&error))),
        Err(_) => Err(fault(Kind::Hung(limit))),
    }
}

/// How long it is until a deadline; nothing when it is past.
pub(super) fn remaining(clock: &dyn Clock, deadline: Timestamp) -> Duration {
    elapsed(clock.now(), deadline)
}

fn place(host: &DockerHost) -> String {
    format!("{} ({})", host.name, host.address)
}

impl View {
    /// Builds the client; connects nowhere.
    pub(super) fn new(host: &DockerHost, clock: &Arc<dyn Clock>) -> Result<Self, DockerHostError> {
        let connector = Connector::new(host, Arc::clone(clock))?;
        let docker = connector.client(Reach::Look)?;
        Ok(Self { place: place(host), docker, skew: connector.skew(), clock: Arc::clone(clock) })
    }

    async fn call<T>(
        &self,
        doing: &str,
        deadline: Timestamp,
        future: impl Future<Output = Result<T, BollardError>> + Send,
    ) -> Result<T, Fault> {
        call(&self.place, &*self.clock, doing, LOOK_LIMIT, deadline, future).await
    }

    fn garbled(&self, doing: &str, what: &str) -> Fault {
        Fault { place: self.place.clone(), doing: doing.to_owned(), kind: Kind::Garbled(what.to_owned()) }
    }

    /// The host's name and address.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The difference between the engine's clock and ours, as of its last answer.
    pub(super) fn skew(&self) -> &Skew {
        &self.skew
    }

    /// Describes the container the engine finds under a checked name or an ID; `None` when it finds none. The engine
    /// also takes the beginning of an ID for an answer, so the caller compares.
    pub(super) async fn inspect(&self, key: &str, doing: &str, deadline: Timestamp) -> Result<Option<Seen>, Fault> {
        let request = self.docker.inspect_container(key, None::<InspectContainerOptions>);
        match self.call(doing, deadline, request).await {
            Ok(answer) => Seen::read(answer).map(Some).map_err(|missing| self.garbled(doing, missing)),
            Err(Fault { kind: Kind::NotFound(_), .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Lists all containers, running or not, that the engine thinks carry these labels.
    pub(super) async fn list(
        &self,
        labels: &BTreeMap<String, String>,
        doing: &str,
        deadline: Timestamp,
    ) -> Result<Vec<Listed>, Fault> {
        let wanted = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters = HashMap::from([("label".to_owned(), wanted)]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
        let answer = self.call(doing, deadline, self.docker.list_containers(Some(options))).await?;
        answer
            .into_iter()
            .map(|container| {
                let name = container.names.and_then(|names| names.into_iter().next());
                Ok(Listed {
                    id: container.id.filter(|id| !id.is_empty()).ok_or_else(|| self.garbled(doing, "no Id"))?,
                    name: name.unwrap_or_default().trim_start_matches('/').to_owned(),
                    labels: container.labels.unwrap_or_default(),
                })
            })
            .collect()
    }

    /// Asks the engine's event log whether somebody had a container stopped or restarted since an instant of our
    /// clock. Docker keeps the last 256 events only, and health checks alone make three each, so the log may well not
    /// reach back; therefore everything is asked for and counted rather than this container's events alone.
    pub(super) async fn asked_since(
        &self,
        id: &str,
        since: Timestamp,
        doing: &str,
        deadline: Timestamp,
    ) -> Result<Memory, Fault> {
        const REMEMBERED: usize = 256;
        let seconds = |at: Timestamp| {
            let ms = self.skew.to_engines(at).as_millisecond();
            format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
        };
        let options = EventsOptions {
            since: Some(seconds(since - Skew::UNCERTAINTY)),
            // Asked for a moment yet to come, the engine keeps telling until then.
            until: Some(seconds(self.clock.now() + Skew::UNCERTAINTY)),
            ..EventsOptions::default()
        };
        let counted = self.docker.events(Some(options)).try_fold((0_usize, false), |(count, asked), event| {
            let about_it = event.actor.is_some_and(|actor| actor.id.as_deref() == Some(id));
            let by_request = matches!(event.action.as_deref(), Some("kill" | "stop" | "restart"));
            std::future::ready(Ok((count + 1, asked || (about_it && by_request))))
        });
        match self.call(doing, deadline, counted).await {
            Ok((_, true)) => Ok(Memory::Asked),
            Ok((count, false)) if count < REMEMBERED => Ok(Memory::Quiet),
            // A newer engine may tell of things this client cannot read; then the log is no proof either.
            Ok(_) | Err(Fault { kind: Kind::Garbled(_), .. }) => Ok(Memory::Forgotten),
            Err(fault) => Err(fault),
        }
    }

    /// What became of an exec instance; `None` when the engine does not know it (any more).
    pub(super) async fn exec(&self, id: &str, doing: &str, deadline: Timestamp) -> Result<Option<ExecSeen>, Fault> {
        match self.call(doing, deadline, self.docker.inspect_exec(id)).await {
            Ok(answer) => Ok(Some(ExecSeen::read(answer))),
            Err(Fault { kind: Kind::NotFound(_), .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The exec instances an engine remembers of a container; of those that ended it may remember none.
    pub(super) async fn execs(&self, id: &str, doing: &str, deadline: Timestamp) -> Result<Vec<ExecSeen>, Fault> {
        let request = self.docker.inspect_container(id, None::<InspectContainerOptions>);
        let ids = self.call(doing, deadline, request).await?.exec_ids.unwrap_or_default();
        let mut execs = Vec::new();
        for id in ids.iter().take(MAX_EXECS) {
            execs.extend(self.exec(id, doing, deadline).await?);
        }
        Ok(execs)
    }

    /// Whether the engine answers.
    pub(super) async fn ping(&self, deadline: Timestamp) -> Result<(), Fault> {
        self.call("reach the engine", deadline, self.docker.ping()).await.map(drop)
    }
}

impl Hand {
    /// Builds the client; connects nowhere.
    pub(super) fn new(host: &DockerHost, clock: &Arc<dyn Clock>) -> Result<Self, DockerHostError> {
        let docker = Connector::new(host, Arc::clone(clock))?.client(Reach::Act)?;
        Ok(Self { place: place(host), docker, clock: Arc::clone(clock) })
    }

    /// Stops and starts a container. `stop` is sent along when the rule sets it; `grace` is what the engine will
    /// wait for, and so must we.
    pub(super) async fn restart(
        &self,
        id: &str,
        stop: Option<Duration>,
        grace: Duration,
        doing: &str,
        deadline: Timestamp,
    ) -> Result<(), Fault> {
        let t = stop.map(|stop| i32::try_from(whole_seconds(stop)).unwrap_or(i32::MAX));
        let options = RestartContainerOptions { t, ..RestartContainerOptions::default() };
        let request = self.docker.restart_container(id, Some(options));
        call(&self.place, &*self.clock, doing, grace.saturating_add(GRACE), deadline, request).await
    }

    /// Stops a container.
    pub(super) async fn stop(
        &self,
        id: &str,
        stop: Option<Duration>,
        grace: Duration,
        doing: &str,
        deadline: Timestamp,
    ) -> Result<(), Fault> {
        let t = stop.map(|stop| i32::try_from(whole_seconds(stop)).unwrap_or(i32::MAX));
        let options = StopContainerOptions { t, ..StopContainerOptions::default() };
        let request = self.docker.stop_container(id, Some(options));
        call(&self.place, &*self.clock, doing, grace.saturating_add(GRACE), deadline, request).await
    }

    /// Makes an exec instance, which runs nothing yet, and answers its ID.
    pub(super) async fn make_exec(
        &self,
        container: &str,
        command: &[String],
        doing: &str,
        deadline: Timestamp,
    ) -> Result<String, Fault> {
        let options = CreateExecOptions::<String> {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..CreateExecOptions::default()
        };
        let request = self.docker.create_exec(container, options);
        Ok(call(&self.place, &*self.clock, doing, GRACE, deadline, request).await?.id)
    }

    /// Starts an exec instance, which the engine does at most once for each, and answers what it prints.
    pub(super) async fn start_exec(
        &self,
        id: &str,
        doing: &str,
        deadline: Timestamp,
    ) -> Result<BoxStream<'static, Result<LogOutput, BollardError>>, Fault> {
        let request = self.docker.start_exec(id, None);
        match call(&self.place, &*self.clock, doing, GRACE, deadline, request).await? {
            StartExecResults::Attached { output, .. } => Ok(output),
            StartExecResults::Detached => Ok(Box::pin(futures_util::stream::empty())),
        }
    }

    /// Starts a stopped container.
    pub(super) async fn start(&self, id: &str, doing: &str, deadline: Timestamp) -> Result<(), Fault> {
        let request = self.docker.start_container(id, None::<StartContainerOptions>);
        call(&self.place, &*self.clock, doing, GRACE, deadline, request).await
    }
}

/// The engine counts whole seconds; a part of one rounds up, because 0 would kill at once.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
