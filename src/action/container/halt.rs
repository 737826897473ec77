//! Attempts of which a person wants no more: what one container's turn has begun is finished, the next ones are left alone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::decide::ActionOutcome;
use crate::domain::heal::AttemptId;

/// The attempts at work, and whether they are to halt.
#[derive(Default)]
pub(super) struct Halts(Mutex<HashMap<AttemptId, bool>>);

/// An attempt at work; forgotten when dropped.
pub(super) struct Working<'a>(&'a Halts, AttemptId);

impl Halts {
    /// An attempt begins its work.
    pub(super) fn begin(&self, attempt: AttemptId) -> Working<'_> {
        self.lock().insert(attempt, false);
        Working(self, attempt)
    }

    /// A person wants no more of an attempt; nothing when it is not at work.
    pub(super) fn halt(&self, attempt: AttemptId) {
        if let Some(is_to_halt) = self.lock().get_mut(&attempt) {
            *is_to_halt = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AttemptId, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Working<'_> {
    /// Whether to go on to a further container.
    pub(super) fn may_touch(&self, label: &str) -> Result<(), ActionOutcome> {
        if self.0.lock().get(&self.1).copied().unwrap_or_default() {
            return Err(ActionOutcome::Failed { error: format!("cancelled, so container {label} is left alone") });
        }
        Ok(())
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}
