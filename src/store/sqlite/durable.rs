//! From committed to durable: a thread of its own syncs the write-ahead log while the writer prepares the next batch.
//!
//! `SQLite` with `synchronous=FULL` syncs the log inside each COMMIT, and the writer waits for the disk meanwhile. Here it
//! commits without (`NORMAL`, which keeps the file consistent), and nobody is answered before the log has been synced up
//! to and beyond his commit. For whoever waits for an answer that is the same promise; two things then happen at once.
//! A commit nobody waits behind is synced by the writer itself: there is nothing to prepare meanwhile, and two changes of
//! thread are saved.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::answers::{Answers, Herald};
use super::stats::Counters;
use crate::store::StoreError;

/// Makes everything written to the log so far durable.
pub(super) type SyncLog = Box<dyn FnMut() -> io::Result<()> + Send>;

/// Syncs the log at `path`, which is there as soon as a connection has read. Its name in the directory is made durable
/// with the first sync. Both are opened here: later there may be no descriptor left, and that is no failed sync.
pub(super) fn sync_log(path: &Path) -> io::Result<SyncLog> {
    let log = File::open(path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut directory = Some(File::open(directory)?);
    Ok(Box::new(move || {
        let Some(unnamed) = directory.take() else { return log.sync_data() };
        log.sync_all()?;
        unnamed.sync_all()
    }))
}

/// A batch whose transaction is over.
struct Committed {
    answers: Answers,
    /// When its commit began, if it wrote anything. What was only read may be of a batch before it, which is synced first.
    wrote: Option<Instant>,
}

/// The writer's way to its callers: through the sync.
pub(super) struct Durable {
    end: Arc<End>,
    sender: Option<SyncSender<Committed>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What ends a batch, on whichever thread.
struct End {
    sync: Mutex<SyncLog>,
    herald: Herald,
    counters: Arc<Counters>,
    /// Batches handed to the thread and not yet told.
    handed_over: AtomicUsize,
}

impl Durable {
    /// Starts the thread that syncs and then lets the herald tell. At most one batch waits for it; then the writer waits,
    /// and its next batch grows.
    pub(super) fn start(sync: SyncLog, herald: Herald, counters: Arc<Counters>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(1);
        let end = Arc::new(End { sync: Mutex::new(sync), herald, counters, handed_over: AtomicUsize::new(0) });
        let shared = Arc::clone(&end);
        let thread = thread::Builder::new().name("store-sync".to_owned()).spawn(move || run(&receiver, &shared))?;
        Ok(Self { end, sender: Some(sender), thread: Some(thread) })
    }

    /// Hands over a batch; its callers are told once everything up to it is durable.
    pub(super) fn send(&self, answers: Answers, wrote: Option<Instant>) {
        if let Some(sender) = &self.sender {
            self.end.handed_over.fetch_add(1, Ordering::AcqRel);
            // A thread that is gone gives the batch back, and dropping that tells the callers what they would have heard;
            // it ends only with this value.
            drop(sender.send(Committed { answers, wrote }));
        }
    }

    /// The same for a batch that nobody waits behind: done before this returns, unless the thread still has an earlier one.
    pub(super) fn finish(&self, answers: Answers, wrote: Option<Instant>) {
        if self.end.handed_over.load(Ordering::Acquire) > 0 {
            return self.send(answers, wrote);
        }
        self.end.tell(vec![Committed { answers, wrote }]);
    }

    /// What every request is answered once a sync has failed: what the kernel then still holds of the log nobody knows,
    /// and asking it again would only seem to help.
    pub(super) fn broken(&self) -> Option<StoreError> {
        self.end.counters.is_broken().then(|| {
            StoreError::Database(
                "the log could not be synced to disk; check the disk, then restart autoheal".to_owned(),
            )
        })
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's syncing thread panicked");
        }
    }
}

fn run(committed: &Receiver<Committed>, end: &End) {
    while let Ok(first) = committed.recv() {
        // One sync serves every batch that is committed by now.
        let mut batches = vec![first];
        batches.extend(committed.try_iter());
        let count = batches.len();
        end.tell(batches);
        end.handed_over.fetch_sub(count, Ordering::AcqRel);
    }
}

impl End {
    /// Syncs, if any of the batches wrote, and tells their callers.
    fn tell(&self, batches: Vec<Committed>) {
        let wrote = batches.iter().any(|batch| batch.wrote.is_some());
        let outcome = if wrote { self.sync.lock().unwrap_or_else(PoisonError::into_inner)() } else { Ok(()) };
        if let Err(error) = &outcome {
            self.counters.break_off();
            tracing::error!(%error, "the store's log cannot be synced; nothing more is accepted until a restart");
        }
        for Committed { mut answers, wrote } in batches {
            match (&outcome, wrote) {
                (Ok(()), Some(began)) => self.counters.commit(began.elapsed()),
                (Err(error), _) => answers.fail(&StoreError::Database(format!("the log cannot be synced: {error}"))),
                (Ok(()), None) => {}
            }
            self.herald.send(answers);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use futures_util::stream::FuturesUnordered;
    use futures_util::{FutureExt, StreamExt};
    use uuid::Uuid;

    use super::*;
    use crate::domain::decide::decide;
    use crate::store::sqlite::open;
    use crate::store::sqlite::queue::{Queue, Share};
    use crate::store::sqlite::session::Session;

    fn queue(sync: SyncLog) -> Queue {
        let session = Session::new(open::in_memory().unwrap(), decide, Uuid::nil(), None);
        Queue::writer(session, 100, Arc::new(Counters::default()), sync, None).unwrap()
    }

    fn write(session: &mut Session) -> Result<(), StoreError> {
        session.execute("INSERT INTO episode (fingerprint, rule, target, status, starts_at, seen_at) VALUES ('', '', '', 'firing', '', 0)", [])?;
        Ok(())
    }

    #[tokio::test]
    async fn nobody_is_answered_before_the_log_is_synced_and_the_writer_goes_on_meanwhile() {
        let (has_begun, began) = channel();
        let (finish, finished) = channel::<()>();
        let sync = move || {
            has_begun.send(()).unwrap();
            finished.recv().map_err(io::Error::other)
        };
        let queue = queue(Box::new(sync));
        let (writes_first, writes_second) = (Gate::default(), Gate::default());
        let submit = |gate: &Gate| {
            let gate = gate.clone();
            queue.submit(Share::Own, move |session: &mut Session| {
                gate.pass();
                write(session)
            })
        };
        // Asked once, a caller has queued its work. Two at once, because a lone commit is synced by the writer itself.
        let mut callers = FuturesUnordered::from_iter([submit(&writes_first).boxed(), submit(&writes_first).boxed()]);
        assert!(callers.next().now_or_never().is_none());
        writes_first.open();
        blocking(move || began.recv().unwrap()).await;
        // Their commit is being synced, and the next one is being written all the same.
        callers.push(submit(&writes_second).boxed());
        assert!(callers.next().now_or_never().is_none());
        blocking({
            let second = writes_second.clone();
            move || second.wait_until_reached()
        })
        .await;
        writes_second.open();
        let early = tokio::time::timeout(Duration::from_millis(100), callers.next()).await;
        assert!(early.is_err(), "answered before the sync: {early:?}");
        finish.send(()).unwrap();
        finish.send(()).unwrap();
        for _ in 0..3 {
            assert!(callers.next().await.unwrap().is_ok());
        }
        queue.close().await;
    }

    async fn blocking(work: impl FnOnce() + Send + 'static) {
        tokio::task::spawn_blocking(work).await.unwrap();
    }

    /// Where the writer stops until it is let through.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<(bool, bool)>, Condvar)>);

    impl Gate {
        fn set(&self, change: impl FnOnce(&mut (bool, bool))) {
            change(&mut self.0.0.lock().unwrap());
            self.0.1.notify_all();
        }

        fn open(&self) {
            self.set(|(_, is_open)| *is_open = true);
        }

        fn pass(&self) {
            self.set(|(is_reached, _)| *is_reached = true);
            drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |(_, is_open)| !*is_open).unwrap());
        }

        fn wait_until_reached(&self) {
            drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |(is_reached, _)| !*is_reached).unwrap());
        }
    }

    #[test]
    fn a_log_is_open_before_it_is_first_synced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("autoheal.db-wal");
        assert!(sync_log(&path).is_err());
        std::fs::write(&path, "frames").unwrap();
        let mut sync = sync_log(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        sync().and_then(|()| sync()).unwrap();
    }

    #[tokio::test]
    async fn a_commit_that_nobody_waits_behind_is_synced_without_a_change_of_thread() {
        let (tell, told) = channel();
        let queue = queue(Box::new(move || {
            tell.send(thread::current().name().map(str::to_owned)).unwrap();
            Ok(())
        }));
        queue.submit(Share::Own, write).await.unwrap();
        assert_eq!(told.recv().unwrap().as_deref(), Some("store-writer"));
        queue.close().await;
    }

    #[tokio::test]
    async fn a_sync_that_fails_is_told_and_nothing_more_is_accepted() {
        let queue = queue(Box::new(|| Err(io::Error::other("the disk is gone"))));
        let told = queue.submit(Share::Own, write).await;
        assert!(matches!(&told, Err(StoreError::Database(text)) if text.contains("the disk is gone")), "{told:?}");
        let after = queue.submit(Share::Own, write).await;
        assert!(matches!(&after, Err(StoreError::Database(text)) if text.contains("restart")), "{after:?}");
        queue.close().await;
    }
}
