//! Where new identities come from: time-ordered UUIDs in the daemon, whatever a test wants in a test.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::{ContextV7, Uuid};

use crate::clock::Clock;
use crate::domain::heal::{AttemptId, HealId};

/// Hands out new identities. Cheap to clone; clones share one order.
#[derive(Clone)]
pub struct Ids(Arc<dyn Fn() -> Uuid + Send + Sync>);

impl Ids {
    /// UUIDs of version 7 by `clock`: they sort by creation, also those made within one millisecond.
    #[must_use]
    pub fn time_ordered(clock: Arc<dyn Clock>) -> Self {
        let context = Mutex::new(ContextV7::new());
        Self::from_fn(move || {
            let now = clock.now();
            // A clock before 1970 is a broken clock; identities stay unique and only lose their order.
            let seconds = u64::try_from(now.as_second()).unwrap_or_default();
            let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
            let context = context.lock().unwrap_or_else(PoisonError::into_inner);
            Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanos))
        })
    }

    /// Whatever `next` answers.
    #[must_use]
    pub fn from_fn(next: impl Fn() -> Uuid + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    /// An identity for a heal.
    #[must_use]
    pub fn heal(&self) -> HealId {
        HealId((self.0)())
    }

    /// An identity for an attempt.
    #[must_use]
    pub fn attempt(&self) -> AttemptId {
        AttemptId((self.0)())
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stopped;
    use crate::domain::Timestamp;

    #[test]
    fn identities_of_one_millisecond_keep_their_order() {
        let ids = Ids::time_ordered(Arc::new(Stopped(Timestamp::UNIX_EPOCH)));
        let made: Vec<_> = (0..1000).map(|_| ids.heal()).collect();
        assert!(made.is_sorted());
        assert_eq!(made.iter().collect::<std::collections::BTreeSet<_>>().len(), 1000);
    }
}
