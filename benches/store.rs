//! How many new alerts per second the embedded store makes durable when many deliveries wait for it at once.
//!
//! `cargo bench --bench store`; each task sends one new alert at a time and waits for its commit.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop where it stands")]

#[path = "../tests/it/support/sighting.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod sighting;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use autoheal::domain::decide::Policy;
use autoheal::store::Store;
use autoheal::store::sqlite::{Options, SqliteStore};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for tasks in [1, 8, 64] {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        // In the daemon callers are told from inside the runtime; so they are here.
        let _inside = runtime.enter();
        let store = Arc::new(SqliteStore::open(&directory.path().join("bench.db"), Options::default()).unwrap());
        let (alerts, took) = runtime.block_on(flood(&store, tasks, Duration::from_secs(4)));
        let stats = store.stats();
        println!(
            "{tasks:>3} tasks: {:>6.0} new alerts/s, {:>5.1} per commit, {:>5.2} ms of {:>5.2} ms per batch are the commit, \
             {:>5.1} us of the writer's CPU per alert",
            as_f64(alerts) / took.as_secs_f64(),
            as_f64(stats.requests) / as_f64(stats.batches),
            stats.commit_time.as_secs_f64() * 1e3 / as_f64(stats.batches),
            took.as_secs_f64() * 1e3 / as_f64(stats.batches),
            writer_cpu().as_secs_f64() * 1e6 / as_f64(alerts),
        );
        runtime.block_on(store.close());
    }
}

async fn flood(store: &Arc<SqliteStore>, tasks: usize, length: Duration) -> (u64, Duration) {
    let policy = Arc::new(Policy::default());
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let (store, policy, next) = (Arc::clone(store), Arc::clone(&policy), Arc::clone(&next));
        flood.spawn(async move {
            let mut done = 0;
            while began.elapsed() < length {
                let sighting = sighting::firing(next.fetch_add(1, Relaxed));
                store.ingest(Arc::clone(&policy), vec![sighting], sighting::at(0)).await.unwrap();
                done += 1;
            }
            done
        });
    }
    let alerts = flood.join_all().await.into_iter().sum();
    (alerts, began.elapsed())
}

/// How long the writer's thread has been on a CPU, which unlike the rate does not depend on what else the machine does.
/// Zero where the kernel does not tell.
fn writer_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let times = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        (name.trim() == "store-writer").then(|| times.split(' ').next()?.parse::<u64>().ok())?
    });
    Duration::from_nanos(nanos.sum())
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are small")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
