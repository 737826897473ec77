//! Evidence from outside: the questions of `verify`, asked. Nothing in here can change anything.
//!
//! An answer is [`Holds`](Answer::Holds), [`Fails`](Answer::Fails) or [`Unknown`](Answer::Unknown), with words for the
//! operator. A question that hangs holds up only its own heal: each has a time-out, and a few at a time wait for one server.

mod alertmanager;
mod check;
mod client;
mod http;
mod promql;
mod tcp;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Url;

pub use self::alertmanager::AlertmanagerAsker;
use self::http::HttpAsker;
use self::promql::PromqlAsker;
use self::turns::Turns;
use crate::action::container::{ContainerLookout, DockerHost, DockerHostError};
use crate::clock::Clock;
use crate::domain::action::RenderedAction;
use crate::domain::evidence::{Answer, Finding, Probe};
use crate::domain::heal::HealStep;
use crate::secret::Secret;
use crate::tls::{ClientTls, TlsError};

/// How long asking an engine for its containers may take.
const CONTAINER_LIMIT: Duration = Duration::from_secs(10);

/// A server that is asked by HTTP.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where; may have a path.
    pub address: Url,
    /// Who we are.
    pub authorization: Authorization,
    /// Whom to trust and what to show.
    pub tls: ClientTls,
}

/// Who we are to a server.
#[derive(Debug, Clone, Default)]
pub enum Authorization {
    /// Nobody in particular.
    #[default]
    None,
    /// `Authorization: Bearer`.
    Bearer(Secret),
    /// `Authorization: Basic`.
    Basic {
        /// The user.
        username: Secret,
        /// The password.
        password: Secret,
    },
}

/// Evidence cannot be asked for as configured.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A Docker host cannot be used.
    #[error("docker.hosts: {0}")]
    Docker(#[from] DockerHostError),
    /// A client for a server cannot be built.
    #[error("{section}: {error}")]
    Client {
        /// The section of the configuration.
        section: &'static str,
        /// Why.
        error: TlsError,
    },
}

/// Everyone who can be asked.
pub struct Evidence {
    http: HttpAsker,
    promql: Option<PromqlAsker>,
    containers: ContainerLookout,
    turns: Turns,
    clock: Arc<dyn Clock>,
}

impl Evidence {
    /// Builds all that asks; connects nowhere.
    ///
    /// # Errors
    /// A Docker host or a TLS file that cannot be used.
    pub fn new(
        docker_hosts: &[DockerHost],
        prometheus: Option<&Endpoint>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BuildError> {
        let promql = prometheus.map(PromqlAsker::new).transpose();
        Ok(Self {
            http: HttpAsker::default(),
            promql: promql.map_err(|error| BuildError::Client { section: "prometheus", error })?,
            containers: ContainerLookout::new(docker_hosts, Arc::clone(&clock))?,
            turns: Turns::default(),
            clock,
        })
    }

    /// Asks every question of a step, all at once; the answers come in the order of the questions.
    pub async fn ask(&self, step: &HealStep) -> Vec<Finding> {
        join_all(step.verify.probes.iter().map(|probe| self.ask_one(probe, &step.action))).await
    }

    async fn ask_one(&self, probe: &Probe<String>, action: &RenderedAction) -> Finding {
        let server = server(probe, action);
        let Some(_turn) = self.turns.wait(&server).await else {
            let what = format!("{server} could not be asked: too many questions wait for it");
            return Finding::new(Answer::Unknown, what);
        };
        match probe {
            Probe::Http(probe) => self.http.ask(probe).await,
            Probe::Tcp(probe) => tcp::ask(probe).await,
            Probe::Promql(query) => match &self.promql {
                Some(asker) => asker.ask(query).await,
                None => {
                    Finding::new(Answer::Unknown, "promql could not be asked: prometheus.address is not configured")
                }
            },
            Probe::ContainerHealthy => self.containers.health(action, self.clock.now() + CONTAINER_LIMIT).await,
        }
    }
}

/// The server a question goes to.
fn server(probe: &Probe<String>, action: &RenderedAction) -> String {
    match probe {
        Probe::Http(probe) => client::host_of(&probe.url),
        Probe::Tcp(probe) => probe.address.clone(),
        Probe::Promql(_) => "prometheus".to_owned(),
        Probe::ContainerHealthy => format!("docker host {}", action.host()),
    }
}
