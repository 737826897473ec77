//! Containers through the Docker Engine API.
//!
//! Reading order: [`host`] checks addresses, `connect` builds clients, `engine` wraps them into a view that can only
//! look and a hand that acts, `seen` is what the view saw. `select` finds the containers a rule means, `lookout` judges
//! them, `act` restarts, starts or stops them in the `order` that does no harm, `follow` sees whether they come up, `resume` finds out after a crash what was done.
//!
//! What decides whether a container was restarted is its `StartedAt`: the engine sets it to the nanosecond at every
//! start, counts no restart that was asked for, and keeps only a short log of events.

mod act;
mod connect;
mod engine;
mod fault;
mod follow;
mod handle;
pub mod host;
mod lookout;
mod order;
mod outage;
mod resume;
mod seen;
mod select;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

pub use host::{DockerHost, DockerHostError, DockerTls};
pub use lookout::ContainerLookout;

use self::engine::Hand;
use self::handle::Handle;
use super::{Action, Assignment, Look, Progress, Resumption};
use crate::clock::Clock;
use crate::domain::decide::ActionOutcome;

/// `restartContainer`, `startContainer` and `stopContainer` on every configured Docker host.
pub struct ContainerAction {
    lookout: ContainerLookout,
    hands: BTreeMap<String, Hand>,
}

impl ContainerAction {
    /// Builds clients for every host without connecting to any: an engine may be down now and up later.
    ///
    /// # Errors
    /// An address that is none, two hosts of one name, TLS files that cannot be used.
    pub fn new(hosts: &[DockerHost], clock: Arc<dyn Clock>) -> Result<Self, DockerHostError> {
        let hands = hosts
            .iter()
            .map(|host| Ok((host.name.clone(), Hand::new(host, &clock)?)))
            .collect::<Result<_, DockerHostError>>()?;
        Ok(Self { lookout: ContainerLookout::new(hosts, clock)?, hands })
    }

    /// The part of it that only looks.
    #[must_use]
    pub const fn lookout(&self) -> &ContainerLookout {
        &self.lookout
    }

    fn hand(&self, host: &str) -> Result<&Hand, ActionOutcome> {
        self.hands.get(host).ok_or_else(|| ActionOutcome::Refused { error: self.lookout.unknown(host) })
    }
}

#[async_trait]
impl Action for ContainerAction {
    async fn look(&self, assignment: &Assignment) -> Look {
        self.lookout.look(assignment).await
    }

    async fn start(&self, assignment: &Assignment, handle: &Value) -> Result<(Value, String), ActionOutcome> {
        let (handle, what) = self.act(assignment, Handle::read(handle)?).await?;
        Ok((handle.write(), what))
    }

    async fn resume(&self, assignment: &Assignment, handle: &Value) -> Result<Resumption, ActionOutcome> {
        self.find_out(assignment, Handle::read(handle)?).await
    }

    async fn poll(&self, assignment: &Assignment, handle: &Value) -> Progress {
        match Handle::read(handle) {
            Ok(handle) => self.follow(assignment, &handle).await,
            Err(outcome) => Progress::Over(outcome),
        }
    }
}
