//! Actions: what a step can do to the world. An action looks first, names exactly what it will touch, and only then acts;
//! the engine commits between any two of these, so that a crash resumes rather than repeats.

pub mod awx;
mod circuit;
pub mod container;
pub mod http;
mod words;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::action::RenderedAction;
use crate::domain::alert::Alert;
use crate::domain::decide::ActionOutcome;
use crate::domain::heal::AttemptId;
use crate::telemetry::Metrics;

use self::awx::{AwxAction, AwxServer, AwxServerError};
use self::container::{ContainerAction, DockerHost, DockerHostError};
use self::http::{HttpServer, HttpServerError, JobAction, RequestAction, Servers};

/// What an action is told of the attempt it serves.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Which attempt this is.
    pub attempt: AttemptId,
    /// What to do.
    pub action: RenderedAction,
    /// The alert it is done for; the first of several.
    pub alert: Option<Arc<Alert>>,
    /// When the earliest of the heal's alerts began to fire: what was restarted since then needs no second restart.
    /// For a later attempt of the same heal this is when the previous attempt's action ended: what that action itself
    /// restarted must not count, or no second attempt would ever do anything.
    pub symptom_since: Timestamp,
    /// When the attempt was decided.
    pub began_at: Timestamp,
    /// When it is given up.
    pub deadline: Timestamp,
}

/// What an action found when it looked.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// Ready: `handle` names exactly what will be touched.
    Ready {
        /// Kept in the store; read back by the same action.
        handle: Value,
        /// What was found, in words.
        found: String,
    },
    /// Nothing to do, refused, or not possible now.
    Over(ActionOutcome),
}

/// How far a started action has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Look again after this long.
    Running {
        /// The pause.
        again_in: Duration,
    },
    /// It ended.
    Over(ActionOutcome),
}

/// What is known of a deed whose process stopped between preparing it and recording it.
#[derive(Debug, Clone, PartialEq)]
pub enum Resumption {
    /// It was not done: do it.
    Start,
    /// It was done: follow it with this handle.
    Follow {
        /// As [`Action::start`] would have answered.
        handle: Value,
        /// What was found, in words.
        what: String,
    },
}

/// What came of asking a deed under way to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It was asked; polling tells when it has ended.
    Asked,
    /// Nothing of this kind can be stopped; it runs to its end.
    Impossible,
    /// It could not be asked; it is asked again.
    Failed {
        /// What was tried, on what, and what happened.
        error: String,
    },
}

/// One kind of action. Errors are outcomes: an action never fails to say what became of it.
#[async_trait]
pub trait Action: Send + Sync {
    /// Looks at the target; does nothing to it.
    async fn look(&self, assignment: &Assignment) -> Look;

    /// Does it. Called once for a committed handle. Answers the handle to follow and what was done, in words.
    async fn start(&self, assignment: &Assignment, handle: &Value) -> Result<(Value, String), ActionOutcome>;

    /// Finds out whether [`Action::start`] was reached before a crash. May wait until it is sure.
    async fn resume(&self, assignment: &Assignment, handle: &Value) -> Result<Resumption, ActionOutcome>;

    /// Asks how far it is.
    async fn poll(&self, assignment: &Assignment, handle: &Value) -> Progress;

    /// A person cancelled while [`Action::start`] is under way: what has begun goes on, and nothing more begins.
    fn halt(&self, _assignment: &Assignment) {}

    /// Asks it to stop because a person cancelled the heal.
    async fn cancel(&self, _assignment: &Assignment, _handle: &Value) -> Stop {
        Stop::Impossible
    }
}

/// Every kind of action, built once.
pub struct Actions {
    container: Arc<dyn Action>,
    awx: Arc<AwxAction>,
    request: Arc<dyn Action>,
    job: Arc<dyn Action>,
    services: BTreeSet<String>,
}

/// An action's part of the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ActionsError {
    /// A Docker host.
    #[error("docker.hosts: {0}")]
    Docker(#[from] DockerHostError),
    /// An AWX server.
    #[error(transparent)]
    Awx(#[from] AwxServerError),
    /// A server of `http.servers`.
    #[error(transparent)]
    Http(#[from] HttpServerError),
}

impl Actions {
    /// Builds all kinds without connecting anywhere; whoever cannot be reached is told when an attempt needs it.
    ///
    /// # Errors
    /// A Docker host or a server whose address or files are unusable.
    pub fn new(
        docker_hosts: &[DockerHost],
        awx_servers: &[AwxServer],
        http_servers: &[HttpServer],
        clock: &Arc<dyn Clock>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, ActionsError> {
        let servers = Arc::new(Servers::new(http_servers, clock, metrics)?);
        let awx_names = awx_servers.iter().map(|server| awx::service(&server.name));
        let http_names = http_servers.iter().map(|server| http::service(&server.name));
        Ok(Self {
            services: awx_names.chain(http_names).collect(),
            container: Arc::new(ContainerAction::new(docker_hosts, Arc::clone(clock))?),
            awx: Arc::new(AwxAction::new(awx_servers, clock, metrics)?),
            request: Arc::new(RequestAction::new(Arc::clone(&servers))),
            job: Arc::new(JobAction::new(servers)),
        })
    }

    /// The servers, as metrics and the status name them.
    #[must_use]
    pub fn services(&self) -> BTreeSet<String> {
        self.services.clone()
    }

    /// Somebody says that jobs elsewhere have changed: look at them now.
    pub fn hint(&self) {
        self.awx.hint();
    }

    /// The kind that serves an action.
    #[must_use]
    pub fn of(&self, action: &RenderedAction) -> Arc<dyn Action> {
        match action {
            RenderedAction::RestartContainer(_)
            | RenderedAction::StartContainer(_)
            | RenderedAction::StopContainer(_)
            | RenderedAction::ExecInContainer(_) => Arc::clone(&self.container),
            RenderedAction::AwxJob(_) => Arc::clone(&self.awx) as Arc<dyn Action>,
            RenderedAction::HttpRequest(_) => Arc::clone(&self.request),
            RenderedAction::HttpJob(_) => Arc::clone(&self.job),
        }
    }
}
