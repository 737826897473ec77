//! Containers through the Docker Engine API.
//!
//! Reading order: [`host`] checks addresses, `connect` builds clients, `engine` wraps them into a view that can only
//! look and a hand that acts, `seen` is what the view saw. `select` finds the containers a rule means, `lookout` judges
//! them, `act` restarts, starts or stops them in the `order` that does no harm, `follow` sees whether they come up, `resume` finds out after a crash what was done. `exec` runs commands in containers.
//!
//! What decides whether a container was restarted is its `StartedAt`: the engine sets it to the nanosecond at every
//! start, counts no restart that was asked for, and keeps only a short log of events.

mod act;
mod connect;
mod dependents;
mod engine;
mod exec;
mod fault;
mod follow;
mod halt;
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
use self::exec::Execs;
use self::halt::Halts;
use self::handle::Handle;
use super::{Action, Assignment, Look, Progress, Resumption};
use crate::clock::Clock;
use crate::domain::action::RenderedAction;
use crate::domain::decide::ActionOutcome;

/// `restartContainer`, `startContainer`, `stopContainer` and `execInContainer` on every configured Docker host.
pub struct ContainerAction {
    lookout: ContainerLookout,
    hands: BTreeMap<String, Hand>,
    halts: Halts,
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
        Ok(Self { lookout: ContainerLookout::new(hosts, clock)?, hands, halts: Halts::default() })
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
        match &assignment.action {
            RenderedAction::ExecInContainer(exec) => self.make_ready(exec, assignment).await.unwrap_or_else(Look::Over),
            _ => self.lookout.look(assignment).await,
        }
    }

    async fn start(&self, assignment: &Assignment, handle: &Value) -> Result<(Value, String), ActionOutcome> {
        if let RenderedAction::ExecInContainer(exec) = &assignment.action {
            let (handle, what) = self.execute(exec, assignment, Execs::read(handle)?).await?;
            return Ok((handle.write(), what));
        }
        let (handle, what) = self.act(assignment, Handle::read(handle)?).await?;
        Ok((handle.write(), what))
    }

    fn halt(&self, assignment: &Assignment) {
        self.halts.halt(assignment.attempt);
    }

    async fn resume(&self, assignment: &Assignment, handle: &Value) -> Result<Resumption, ActionOutcome> {
        if let RenderedAction::ExecInContainer(exec) = &assignment.action {
            return self.find_out_execs(exec, assignment, Execs::read(handle)?).await;
        }
        self.find_out(assignment, Handle::read(handle)?).await
    }

    async fn poll(&self, assignment: &Assignment, handle: &Value) -> Progress {
        if let RenderedAction::ExecInContainer(exec) = &assignment.action {
            return Progress::Over(Execs::read(handle).map_or_else(|outcome| outcome, |execs| execs.outcome(exec)));
        }
        match Handle::read(handle) {
            Ok(handle) => self.follow(assignment, &handle).await,
            Err(outcome) => Progress::Over(outcome),
        }
    }
}
