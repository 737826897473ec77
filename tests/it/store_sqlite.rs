//! What the embedded store promises beyond the contract: groups, overload, a full disk, kill -9, one process per file.
//!
//! Deciders here are plain functions, so each test that must hold the writer back has gates of its own.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};

use autoheal::domain::Timestamp;
use autoheal::domain::decide::{Event, Policy, Snapshot, decide};
use autoheal::domain::plan::Plan;
use autoheal::store::sqlite::{OpenError, Options, SqliteStore};
use autoheal::store::{DecideFn, Decision, Store, StoreError};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::support::sighting::{alert, at, firing};

type Answer = Result<Vec<Decision>, StoreError>;

fn memory(decide: DecideFn, queue_limit: usize) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::in_memory(Options { queue_limit, decide, ..Options::default() }).unwrap())
}

async fn ingest(store: &SqliteStore, number: usize) -> Answer {
    store.ingest(Arc::default(), vec![firing(number)], at(0)).await
}

/// Delivers each alert from a task of its own and comes back when all wait for the writer: on the test's single thread
/// a task that has begun runs up to its first wait.
async fn deliver(store: &Arc<SqliteStore>, numbers: std::ops::Range<usize>) -> JoinSet<(usize, Answer)> {
    let mut deliveries = JoinSet::new();
    let begun = Arc::new(AtomicUsize::new(0));
    for number in numbers.clone() {
        let (store, begun) = (Arc::clone(store), Arc::clone(&begun));
        deliveries.spawn(async move {
            begun.fetch_add(1, SeqCst);
            (number, ingest(&store, number).await)
        });
    }
    while begun.load(SeqCst) < numbers.len() {
        tokio::task::yield_now().await;
    }
    deliveries
}

fn is_about(event: &Event, number: usize) -> bool {
    matches!(event, Event::Firing { alert: told, .. } if told.fingerprint == alert(number).fingerprint)
}

/// Holds the writer inside the decision on alert 0 until the test opens it.
struct Gate {
    entered: AtomicBool,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    const fn closed() -> Self {
        Self { entered: AtomicBool::new(false), open: Mutex::new(false), opened: Condvar::new() }
    }

    fn pass(&self, event: &Event) {
        if is_about(event, 0) {
            self.entered.store(true, SeqCst);
            drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open));
        }
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    async fn writer_waits(&self) {
        while !self.entered.load(SeqCst) {
            tokio::task::yield_now().await;
        }
    }
}

/// Delivers alert 0, and the others while the writer is held inside the decision on that one.
async fn deliver_behind(
    gate: &Gate,
    store: &Arc<SqliteStore>,
    others: std::ops::Range<usize>,
) -> (JoinSet<(usize, Answer)>, JoinSet<(usize, Answer)>) {
    let first = deliver(store, 0..1).await;
    gate.writer_waits().await;
    (first, deliver(store, others).await)
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    static GATE: Gate = Gate::closed();
    fn gated(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
        GATE.pass(&event);
        decide(policy, snapshot, event, now)
    }
    let directory = tempfile::tempdir().unwrap();
    let options = Options { decide: gated, ..Options::default() };
    let store = Arc::new(SqliteStore::open(&directory.path().join("group.db"), options).unwrap());
    let (first, others) = deliver_behind(&GATE, &store, 1..201).await;
    GATE.open();
    for (_, answer) in first.join_all().await.into_iter().chain(others.join_all().await) {
        assert!(answer.unwrap()[0].changed);
    }
    let stats = store.stats();
    assert_eq!((stats.requests, stats.batches, stats.failed_batches), (201, 2, 0));
    assert_eq!(stats.commits, 2);
    // What changes nothing costs no wait for the disk.
    assert!(!ingest(&store, 1).await.unwrap()[0].changed);
    assert_eq!(store.stats().commits, 2);
    store.close().await;
}

#[tokio::test]
async fn what_arrives_while_a_transaction_is_at_work_joins_it() {
    static GATE: Gate = Gate::closed();
    fn gated(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
        GATE.pass(&event);
        decide(policy, snapshot, event, now)
    }
    let store = memory(gated, 100);
    let (first, others) = deliver_behind(&GATE, &store, 1..10).await;
    GATE.open();
    for (_, answer) in first.join_all().await.into_iter().chain(others.join_all().await) {
        assert!(answer.unwrap()[0].changed);
    }
    let stats = store.stats();
    assert_eq!((stats.requests, stats.batches, stats.failed_batches), (10, 1, 0));
    store.close().await;
}

#[tokio::test]
async fn a_bad_request_harms_nobody_in_its_batch() {
    static GATE: Gate = Gate::closed();
    fn sabotaged(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
        GATE.pass(&event);
        assert!(!is_about(&event, 3), "alert 3 meets a bug");
        let breaks_a_constraint = is_about(&event, 5);
        let mut plan = decide(policy, snapshot, event, now);
        if breaks_a_constraint {
            plan.heal.as_mut().unwrap().steps.clear();
            plan.start_action = true;
        }
        plan
    }
    let store = memory(sabotaged, 100);
    let (first, others) = deliver_behind(&GATE, &store, 1..10).await;
    GATE.open();
    first.join_all().await;
    for (number, answer) in others.join_all().await {
        assert_eq!(answer.is_ok(), ![3, 5].contains(&number), "{number}: {answer:?}");
    }
    assert_eq!(store.stats().batches, 2);
    assert_eq!(store.counts().await.unwrap()["pending"], 8, "what the bad ones wrote is gone");
    assert!(ingest(&store, 10).await.is_ok());
}

#[tokio::test]
async fn a_full_queue_says_so_at_once_and_keeps_room_for_our_own_work() {
    static GATE: Gate = Gate::closed();
    fn gated(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
        GATE.pass(&event);
        decide(policy, snapshot, event, now)
    }
    let store = memory(gated, 4);
    let (first, others) = deliver_behind(&GATE, &store, 1..5).await;
    assert!(matches!(ingest(&store, 5).await, Err(StoreError::Busy { limit: 4 })));
    let mut own = JoinSet::new();
    own.spawn({
        let store = Arc::clone(&store);
        async move { store.renew_leases(at(0)).await }
    });
    tokio::task::yield_now().await;
    GATE.open();
    assert!(first.join_all().await.into_iter().chain(others.join_all().await).all(|(_, answer)| answer.is_ok()));
    assert!(own.join_all().await.remove(0).is_ok());
    assert!(ingest(&store, 5).await.is_ok());
}

#[tokio::test]
async fn closing_finishes_what_was_accepted_and_takes_nothing_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("close.db");
    let store = Arc::new(SqliteStore::open(&path, Options::default()).unwrap());
    let deliveries = deliver(&store, 0..100).await;
    store.close().await;
    assert!(deliveries.join_all().await.into_iter().all(|(_, answer)| answer.is_ok()));
    assert!(matches!(ingest(&store, 100).await, Err(StoreError::Closed)));
    assert!(matches!(store.counts().await, Err(StoreError::Closed)));
    assert!(!path.with_extension("db-wal").exists(), "the log is folded into the database");
    assert_eq!(count_heals(&path), 100);
}

fn count_heals(path: &Path) -> usize {
    let connection = Connection::open(path).unwrap();
    let count: i64 = connection.query_row("SELECT COUNT(*) FROM heal", [], |row| row.get(0)).unwrap();
    usize::try_from(count).unwrap()
}

#[tokio::test]
async fn a_file_belongs_to_one_process_and_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/data/autoheal.db");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let refused = SqliteStore::open(&path, Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::InUse { .. }));
    assert!(refused.to_string().contains("is in use by another autoheal process"), "{refused}");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for name in ["autoheal.db", "autoheal.db-wal", "autoheal.db-shm", "autoheal.db.lock"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
    store.close().await;
    SqliteStore::open(&path, Options::default()).unwrap().close().await;
}

#[tokio::test]
async fn what_is_not_our_database_is_refused_with_a_reason_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("autoheal.db");
    let refusal = || SqliteStore::open(&path, Options::default()).err().unwrap().to_string();

    std::fs::write(&path, "Not a database, but long enough to look at. ".repeat(100)).unwrap();
    assert!(refusal().contains("not an SQLite database, or it is damaged"), "{}", refusal());
    std::fs::remove_file(&path).unwrap();

    Connection::open(&path).unwrap().execute_batch("CREATE TABLE guests (name TEXT)").unwrap();
    assert!(refusal().contains("was not made by autoheal"), "{}", refusal());
    std::fs::remove_file(&path).unwrap();

    SqliteStore::open(&path, Options::default()).unwrap().close().await;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(refusal().contains("schema version 99, this build knows versions up to 3"), "{}", refusal());
}

#[tokio::test]
async fn a_file_of_an_older_version_keeps_what_it_remembers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("autoheal.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../migrations/sqlite/0001_initial.sql")).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 0x61686561; PRAGMA user_version = 1;
         INSERT INTO episode (fingerprint, rule, target, status, starts_at, seen_at)
         VALUES ('5e39754cdbff0869', 'r', 't', 'firing', '2026-11-22T07:01:07Z', 0)",
    )
    .unwrap();
    drop(old);
    SqliteStore::open(&path, Options::default()).unwrap().close().await;
    let now: (i64, Option<i64>) = Connection::open(&path)
        .unwrap()
        .query_row("SELECT (SELECT user_version FROM pragma_user_version), acted_at FROM episode", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(now, (3, None));
}

#[tokio::test]
async fn a_heal_that_cannot_be_read_does_not_hold_up_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.db");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let damaged = ingest(&store, 1).await.unwrap()[0].heal.unwrap();
    ingest(&store, 2).await.unwrap();
    let outside = Connection::open(&path).unwrap();
    outside.execute("UPDATE heal SET doc = '{}' WHERE id = ?1", [damaged.to_string()]).unwrap();
    drop(outside);
    let advanced = store.advance_due(Arc::default(), 10, at(0)).await.unwrap();
    assert_eq!(advanced.to_start.len(), 1);
    assert!(advanced.next_due.unwrap() > at(0), "it is not looked at in a busy loop");
    assert!(matches!(store.heal(damaged).await, Err(StoreError::Unreadable { .. })));
    store.close().await;
}

/// A file system of one megabyte, for as long as the value lives.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    /// `None` where this user may not mount anything.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(directory))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_when_there_is_room_again() {
    let Some(disk) = TinyDisk::mount() else {
        println!("not allowed to mount a small disk here; the store's own test of a full database still runs");
        return;
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let path = disk.0.path().join("full.db");
    let store = Arc::new(SqliteStore::open(&path, Options::default()).unwrap());
    let mut answered = 0;
    let error = loop {
        match ingest(&store, answered).await {
            Ok(_) => answered += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Database(text) if text.contains("full") || text.contains("I/O")), "{error}");
    let refused = deliver(&store, 5000..5020).await.join_all().await;
    assert!(refused.iter().any(|(_, answer)| answer.is_err()), "still full");
    answered += refused.iter().filter(|(_, answer)| answer.is_ok()).count();

    std::fs::remove_file(&ballast).unwrap();
    for number in 10_000..10_010 {
        ingest(&store, number).await.unwrap();
    }
    store.close().await;
    assert_eq!(count_heals(&path), answered + 10, "what was answered is there, what was refused is not");
}

/// Tells the child process of the next test which file to write.
const CHILD_STORE: &str = "AUTOHEAL_TEST_CHILD_STORE";

/// Not a test by itself: the process that is killed. It acknowledges every committed heal on a line of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_is_killed() {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    #[expect(clippy::disallowed_methods, reason = "a test binary has no other way to be told that it is the child")]
    let Some(path) = std::env::var_os(CHILD_STORE).map(PathBuf::from) else { return };
    let store = Arc::new(SqliteStore::open(&path, Options::default()).unwrap());
    let offset = count_heals(&path);
    let mut load = JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        load.spawn(async move {
            loop {
                let decisions = ingest(&store, offset + NEXT.fetch_add(1, SeqCst)).await.unwrap();
                let line = format!("\nheld {}\n", decisions[0].heal.unwrap());
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    load.join_all().await;
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("killed.db");
    let mut acknowledged = HashSet::new();
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store_sqlite::child_that_is_killed", "--exact", "--nocapture"])
            .env(CHILD_STORE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Another number of acknowledgements each round, so that the blow falls at another moment.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut acknowledge = |line: String| line.strip_prefix("held ").map(|id| acknowledged.insert(id.to_owned()));
        let wanted = 10 + round * 7;
        assert_eq!(lines.by_ref().filter_map(&mut acknowledge).take(wanted).count(), wanted, "round {round}");
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died counts too.
        lines.filter_map(&mut acknowledge).for_each(drop);

        let connection = Connection::open(&path).unwrap();
        let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok", "round {round}");
        let mut statement = connection.prepare("SELECT id FROM heal").unwrap();
        let kept: HashSet<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} are lost", lost.len(), acknowledged.len());
    }
}
