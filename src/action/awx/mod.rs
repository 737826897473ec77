//! Jobs of AWX, Ansible Tower and the Automation Platform.
//!
//! Reading order: [`settings`] says how a server is reached, `client` speaks to it (`fault` puts into words what goes wrong,
//! a circuit leaves it alone when it is gone), `model` reads its answers. `look` finds the template and asks what it takes, `preflight`
//! decides whether that is all the rule asks for, `launch` launches and finds a run whose launch was not answered,
//! `poller` and `follow` follow it to its end, `evidence` says what it did. `check` and `bootstrap` serve people before any alert.
//!
//! A launch cannot be repeated harmlessly, and the server has no key that would make it so. Therefore the handle that is
//! committed before it names a key that the run carries, and a run is looked for before anything is launched again.

mod bootstrap;
mod check;
mod client;
mod evidence;
mod fault;
mod follow;
mod handle;
mod launch;
mod look;
mod model;
mod poller;
mod preflight;
pub mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

pub use bootstrap::{
    AwxWanted, Content, Credential, Group, Host, Input, Inventory, JobTemplate, Project, Source, Tally,
};
pub use settings::{ApiRoot, AwxAuth, AwxServer, AwxServerError, AwxTimes, AwxTls};

use self::client::Client;
pub(super) use self::client::service;
use self::follow::Following;
use self::handle::Handle;
use self::launch::Launching;
use self::look::{Looking, Memory};
use self::poller::Poller;
use super::{Action, Assignment, Look, Progress, Resumption, Stop};
use crate::clock::Clock;
use crate::domain::action::{Action as Kind, AwxJob};
use crate::domain::decide::ActionOutcome;
use crate::telemetry::Metrics;

/// `awxJob` on every configured server.
pub struct AwxAction {
    servers: BTreeMap<String, Server>,
}

struct Server {
    client: Arc<Client>,
    memory: Memory,
    poller: Poller,
    /// Jobs that people had us stop and that have not ended yet, so that their end is told as what it is.
    stopped: Mutex<BTreeSet<u64>>,
}

impl Server {
    fn stopped(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AwxAction {
    /// Builds clients for every server without connecting to any.
    ///
    /// # Errors
    /// TLS options or a proxy's address that cannot be used.
    pub fn new(servers: &[AwxServer], clock: &Arc<dyn Clock>, metrics: &Arc<Metrics>) -> Result<Self, AwxServerError> {
        let build = |server: &AwxServer| {
            let client = Arc::new(Client::new(server, Arc::clone(clock), Arc::clone(metrics))?);
            let poller = Poller::new(Arc::clone(&client));
            let server_of_ours = Server { client, memory: Memory::default(), poller, stopped: Mutex::default() };
            Ok((server.name.clone(), server_of_ours))
        };
        Ok(Self { servers: servers.iter().map(build).collect::<Result<_, _>>()? })
    }

    /// Somebody says that jobs have changed: look at them now.
    pub fn hint(&self) {
        self.servers.values().for_each(|server| server.poller.hint());
    }

    fn server<'a>(&'a self, assignment: &'a Assignment) -> Result<(&'a Server, &'a AwxJob<String>), ActionOutcome> {
        let Kind::AwxJob(job) = &assignment.action else {
            return Err(ActionOutcome::Failed { error: "this action is no awxJob".to_owned() });
        };
        let server = self.servers.get(&job.server).ok_or_else(|| ActionOutcome::Refused {
            error: format!("there is no AWX server {:?} in the configuration any more", job.server),
        })?;
        Ok((server, job))
    }
}

#[async_trait]
impl Action for AwxAction {
    async fn look(&self, assignment: &Assignment) -> Look {
        let looked = async {
            let (server, job) = self.server(assignment)?;
            let until = assignment.deadline - launch::last_words(assignment);
            let (client, memory) = (server.client.as_ref(), &server.memory);
            Looking { client, memory, job, until }.look(assignment).await
        };
        looked.await.unwrap_or_else(Look::Over)
    }

    async fn start(&self, assignment: &Assignment, handle: &Value) -> Result<(Value, String), ActionOutcome> {
        let (server, job) = self.server(assignment)?;
        let launching = Launching { client: &server.client, memory: &server.memory, job, assignment };
        launching.launch(Handle::read(handle)?).await
    }

    async fn resume(&self, assignment: &Assignment, handle: &Value) -> Result<Resumption, ActionOutcome> {
        let (server, job) = self.server(assignment)?;
        let launching = Launching { client: &server.client, memory: &server.memory, job, assignment };
        launching.resume(Handle::read(handle)?).await
    }

    async fn poll(&self, assignment: &Assignment, handle: &Value) -> Progress {
        let followed = async {
            let (server, job) = self.server(assignment)?;
            let id = Handle::read(handle)?.job.ok_or_else(|| ActionOutcome::Doubtful {
                error: "the stored note of the launch names no job; look into AWX for one".to_owned(),
            })?;
            let (client, poller) = (server.client.as_ref(), &server.poller);
            let was_stopped = || server.stopped().contains(&id);
            let outcome = Following { client, poller, job, assignment, id, was_stopped: &was_stopped }.follow().await;
            server.stopped().remove(&id);
            Ok::<_, ActionOutcome>(outcome)
        };
        Progress::Over(followed.await.unwrap_or_else(|outcome| outcome))
    }

    async fn cancel(&self, assignment: &Assignment, handle: &Value) -> Stop {
        let asked = async {
            let (server, job) = self.server(assignment)?;
            let Some(id) = Handle::read(handle)?.job else { return Ok(Stop::Impossible) };
            // Before the request: the job may have ended before its answer is here.
            server.stopped().insert(id);
            Ok::<_, ActionOutcome>(match launch::cancel(&server.client, job.workflow, id, assignment.deadline).await {
                Ok(()) => {
                    server.poller.hurry(id);
                    Stop::Asked
                }
                Err(fault) => Stop::Failed { error: fault.to_string() },
            })
        };
        asked.await.unwrap_or(Stop::Impossible)
    }
}
