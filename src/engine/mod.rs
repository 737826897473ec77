//! The engine: looks at what is due, lets actions do what was decided, carries messages, tidies up.
//!
//! The store is the queue. A wake-up carries no news: it only says «look», so that a start, a retry and another
//! replica take the same road. Dropping any task here at any await is a crash, and crashes are resumed.

pub mod attempt;
pub mod breath;
pub mod cancels;
pub mod deliver;
pub mod evidence;
mod pace;
pub mod reconcile;
pub mod schedule;
pub mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::breath::Breath;
use self::evidence::Asking;
use self::reconcile::Reconciliation;
use crate::action::Actions;
use crate::clock::Clock;
use crate::domain::decide::Policy;
use crate::domain::heal::Heal;
use crate::store::Store;
use crate::telemetry::{self, Metrics};
use crate::verify::{AlertmanagerAsker, Evidence};

/// Wake-ups between the parts; they carry no data.
#[derive(Debug, Clone, Default)]
pub struct Wake {
    /// Heals may be due.
    pub heals: Arc<Notify>,
    /// Messages may be due.
    pub messages: Arc<Notify>,
    /// Jobs elsewhere may have changed.
    pub jobs: Arc<Notify>,
}

/// What the configuration makes of the engine.
pub struct Equipment {
    /// What can be done to the world; `None` in a dry run, where nothing that can act is even built.
    pub actions: Option<Actions>,
    /// What holds for all heals.
    pub policy: Arc<Policy>,
    /// Who can be asked for evidence; `None` in a dry run.
    pub evidence: Option<Arc<Evidence>>,
    /// Whom alerts are compared with; `None` when none is configured, and in a dry run.
    pub alertmanager: Option<AlertmanagerAsker>,
    /// How long ended heals are kept.
    pub history: Duration,
}

/// What the engine's loops share.
pub struct Engine {
    /// The durable memory.
    pub store: Arc<dyn Store>,
    /// What a reload replaces as a whole. An attempt under way keeps the action it began with.
    pub equipment: ArcSwap<Equipment>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Wake-ups.
    pub wake: Wake,
    /// Numbers for operators.
    pub metrics: Arc<Metrics>,
    /// How the attempts under way are reached.
    pub cancels: cancels::Cancels,
    /// The attempts under way.
    pub attempts: TaskTracker,
    /// The rest between two looks at what is due.
    pub breath: Breath,
    /// The heals whose evidence is being asked for.
    pub asking: Asking,
    /// What Alertmanager last said.
    pub reconciliation: Reconciliation,
    /// Cancelled when nothing new may start.
    pub stop: CancellationToken,
}

impl Engine {
    fn policy(&self) -> Arc<Policy> {
        self.reconciliation.informed(Arc::clone(&self.equipment.load().policy))
    }

    /// Tells the log and the metrics how a heal now stands.
    fn changed(&self, heal: &Heal) {
        telemetry::heal_changed(&self.metrics, heal);
    }
}
