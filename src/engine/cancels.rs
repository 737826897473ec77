//! How an attempt under way learns that a person cancelled its heal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::domain::heal::AttemptId;

/// One signal for each attempt this process carries out. It only wakes: that the attempt is cancelled stands in the store.
#[derive(Debug, Default)]
pub struct Cancels(Mutex<HashMap<AttemptId, CancellationToken>>);

impl Cancels {
    /// The signal of an attempt that begins.
    pub(super) fn begin(&self, attempt: AttemptId) -> CancellationToken {
        let token = CancellationToken::new();
        self.lock().insert(attempt, token.clone());
        token
    }

    /// The attempt is over.
    pub(super) fn end(&self, attempt: AttemptId) {
        self.lock().remove(&attempt);
    }

    /// Gives an attempt its signal; nothing when another process carries it out or it is over.
    pub(super) fn cancel(&self, attempt: AttemptId) {
        if let Some(token) = self.lock().get(&attempt) {
            token.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AttemptId, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
