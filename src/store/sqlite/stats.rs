//! What the writer counts about itself, for telemetry to export.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds, in seconds, of the buckets of [`StoreStats::commit_buckets`] but the last, which is unbounded.
pub const COMMIT_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// The writer's numbers since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreStats {
    /// Transactions, each holding the requests that waited when it began.
    pub batches: u64,
    /// Requests in them.
    pub requests: u64,
    /// Transactions that were rolled back because the database refused them.
    pub failed_batches: u64,
    /// Commits that had something to write, by how long they took; not cumulative. Bounds are [`COMMIT_BUCKETS`].
    pub commit_buckets: [u64; COMMIT_BUCKETS.len() + 1],
    /// How long all these commits took together.
    pub commit_time: Duration,
}

/// The counters behind [`StoreStats`]; written by one thread, read by any.
#[derive(Debug, Default)]
pub(super) struct Counters {
    batches: AtomicU64,
    requests: AtomicU64,
    failed_batches: AtomicU64,
    commit_buckets: [AtomicU64; COMMIT_BUCKETS.len() + 1],
    commit_nanos: AtomicU64,
}

impl Counters {
    pub(super) fn batch(&self, requests: usize, failed: bool) {
        self.batches.fetch_add(1, Relaxed);
        self.requests.fetch_add(requests as u64, Relaxed);
        self.failed_batches.fetch_add(u64::from(failed), Relaxed);
    }

    pub(super) fn commit(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.commit_buckets[COMMIT_BUCKETS.partition_point(|bound| *bound < seconds)].fetch_add(1, Relaxed);
        self.commit_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn read(&self) -> StoreStats {
        StoreStats {
            batches: self.batches.load(Relaxed),
            requests: self.requests.load(Relaxed),
            failed_batches: self.failed_batches.load(Relaxed),
            commit_buckets: std::array::from_fn(|index| self.commit_buckets[index].load(Relaxed)),
            commit_time: Duration::from_nanos(self.commit_nanos.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let counters = Counters::default();
        for millis in [0, 1, 2, 5_000] {
            counters.commit(Duration::from_millis(millis));
        }
        let stats = counters.read();
        assert_eq!(stats.commit_buckets, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(stats.commit_time, Duration::from_millis(5_003));
    }
}
