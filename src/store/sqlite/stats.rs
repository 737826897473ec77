//! What the writer counts about itself.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;

/// Is told how long each commit took that had something to write.
pub type OnCommit = Arc<dyn Fn(Duration) + Send + Sync>;

/// The writer's numbers since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreStats {
    /// Transactions, each holding the requests that waited when it began.
    pub batches: u64,
    /// Requests in them.
    pub requests: u64,
    /// Transactions that were rolled back because the database refused them.
    pub failed_batches: u64,
    /// Commits that had something to write.
    pub commits: u64,
    /// How long all these commits took together.
    pub commit_time: Duration,
}

/// The counters behind [`StoreStats`]; written by one thread, read by any.
#[derive(Default)]
pub(super) struct Counters {
    batches: AtomicU64,
    requests: AtomicU64,
    failed_batches: AtomicU64,
    commits: AtomicU64,
    commit_nanos: AtomicU64,
    on_commit: Option<OnCommit>,
    is_broken: AtomicBool,
}

impl Counters {
    pub(super) fn telling(on_commit: Option<OnCommit>) -> Self {
        Self { on_commit, ..Self::default() }
    }

    pub(super) fn batch(&self, requests: usize, failed: bool) {
        self.batches.fetch_add(1, Relaxed);
        self.requests.fetch_add(requests as u64, Relaxed);
        self.failed_batches.fetch_add(u64::from(failed), Relaxed);
    }

    pub(super) fn commit(&self, took: Duration) {
        self.commits.fetch_add(1, Relaxed);
        self.commit_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        if let Some(tell) = &self.on_commit {
            tell(took);
        }
    }

    /// A sync has failed: nothing more is taken in.
    pub(super) fn break_off(&self) {
        self.is_broken.store(true, Release);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Acquire)
    }

    pub(super) fn read(&self) -> StoreStats {
        StoreStats {
            batches: self.batches.load(Relaxed),
            requests: self.requests.load(Relaxed),
            failed_batches: self.failed_batches.load(Relaxed),
            commits: self.commits.load(Relaxed),
            commit_time: Duration::from_nanos(self.commit_nanos.load(Relaxed)),
        }
    }
}
