//! The attempts this process carries out, and how they are told that a person cancelled them or that the clock was moved.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::domain::heal::{AttemptId, HealId};

/// The signals of each attempt this process carries out. They only wake: what is wanted stands in the store.
#[derive(Debug, Default)]
pub struct Cancels(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    last: u64,
    under_way: HashMap<AttemptId, Signals>,
}

/// How one attempt under way is reached.
#[derive(Debug, Clone)]
pub(super) struct Signals {
    /// Tells this turn of the attempt from a later one.
    number: u64,
    heal: HealId,
    attempt: AttemptId,
    /// A person cancelled.
    pub(super) cancelled: CancellationToken,
    /// Somebody else goes on with it.
    pub(super) abandoned: CancellationToken,
}

impl Cancels {
    /// The signals of an attempt that begins, or is gone on with.
    pub(super) fn begin(&self, heal: HealId, attempt: AttemptId) -> Signals {
        let mut registry = self.lock();
        registry.last += 1;
        let (cancelled, abandoned) = (CancellationToken::new(), CancellationToken::new());
        let signals = Signals { number: registry.last, heal, attempt, cancelled, abandoned };
        registry.under_way.insert(attempt, signals.clone());
        signals
    }

    /// This turn of the attempt is over.
    pub(super) fn end(&self, signals: &Signals) {
        let mut registry = self.lock();
        if registry.under_way.get(&signals.attempt).is_some_and(|current| current.number == signals.number) {
            registry.under_way.remove(&signals.attempt);
        }
    }

    /// Gives an attempt its signal; nothing when another process carries it out or it is over.
    pub(super) fn cancel(&self, attempt: AttemptId) {
        if let Some(signals) = self.lock().under_way.get(&attempt) {
            signals.cancelled.cancel();
        }
    }

    /// Takes all attempts from the tasks that carry them out, as if the process had died, and answers them.
    pub(super) fn abandon_all(&self) -> Vec<(HealId, AttemptId)> {
        let abandoned = std::mem::take(&mut self.lock().under_way);
        let abandon = |signals: Signals| {
            signals.abandoned.cancel();
            (signals.heal, signals.attempt)
        };
        abandoned.into_values().map(abandon).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
