//! From committed to durable: a thread of its own syncs the write-ahead log while the writer prepares the next batch.
//!
//! `SQLite` with `synchronous=FULL` syncs the log inside each COMMIT, and the writer waits for the disk meanwhile. Here it
//! commits without (`NORMAL`, which keeps the file consistent), and nobody is answered before the log has been synced up
//! to and beyond his commit. For whoever waits for an answer that is the same promise; two things then happen at once.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use super::answers::{Answers, Herald};
use super::stats::Counters;
use crate::store::StoreError;

/// Makes everything written to the log so far durable.
pub(super) type SyncLog = Box<dyn FnMut() -> io::Result<()> + Send>;

/// Syncs the log at `path`. Its name in the directory is made durable with the first sync.
pub(super) fn sync_log(path: PathBuf) -> SyncLog {
    let mut log: Option<File> = None;
    Box::new(move || {
        if let Some(log) = &log {
            return log.sync_data();
        }
        let file = File::open(&path)?;
        file.sync_all()?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
        log = Some(file);
        Ok(())
    })
}

/// A batch whose transaction is over.
struct Committed {
    answers: Answers,
    /// When its commit began, if it wrote anything. What was only read may be of a batch before it, which is synced first.
    wrote: Option<Instant>,
}

/// The writer's way to its callers: through the sync.
pub(super) struct Durable {
    sender: Option<SyncSender<Committed>>,
    thread: Option<thread::JoinHandle<()>>,
    is_broken: Arc<AtomicBool>,
}

impl Durable {
    /// Starts the thread that syncs and then lets the herald tell. At most one batch waits for it; then the writer waits,
    /// and its next batch grows.
    pub(super) fn start(sync: SyncLog, herald: Herald, counters: Arc<Counters>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(1);
        let is_broken = Arc::new(AtomicBool::new(false));
        let broken = Arc::clone(&is_broken);
        let thread = thread::Builder::new()
            .name("store-sync".to_owned())
            .spawn(move || run(&receiver, sync, &herald, &counters, &broken))?;
        Ok(Self { sender: Some(sender), thread: Some(thread), is_broken })
    }

    /// Hands over a batch; its callers are told once everything up to it is durable.
    pub(super) fn send(&self, answers: Answers, wrote: Option<Instant>) {
        if let Some(sender) = &self.sender {
            // A thread that is gone gives the batch back, and dropping that tells the callers what they would have heard;
            // it ends only with this value.
            drop(sender.send(Committed { answers, wrote }));
        }
    }

    /// What every request is answered once a sync has failed: what the kernel then still holds of the log nobody knows,
    /// and asking it again would only seem to help.
    pub(super) fn broken(&self) -> Option<StoreError> {
        self.is_broken.load(Ordering::Acquire).then(|| {
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

fn run(committed: &Receiver<Committed>, mut sync: SyncLog, herald: &Herald, counters: &Counters, broken: &AtomicBool) {
    while let Ok(first) = committed.recv() {
        // One sync serves every batch that is committed by now.
        let mut batches = vec![first];
        batches.extend(committed.try_iter());
        let outcome = if batches.iter().any(|batch| batch.wrote.is_some()) { sync() } else { Ok(()) };
        if let Err(error) = &outcome {
            broken.store(true, Ordering::Release);
            tracing::error!(%error, "the store's log cannot be synced; nothing more is accepted until a restart");
        }
        for Committed { mut answers, wrote } in batches {
            match (&outcome, wrote) {
                (Ok(()), Some(began)) => counters.commit(began.elapsed()),
                (Err(error), _) => answers.fail(&StoreError::Database(format!("the log cannot be synced: {error}"))),
                (Ok(()), None) => {}
            }
            herald.send(answers);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use tokio::task::JoinSet;
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
        let queue = Arc::new(queue(Box::new(sync)));
        let mut callers = JoinSet::new();
        let submit = |callers: &mut JoinSet<_>| {
            let queue = Arc::clone(&queue);
            callers.spawn(async move { queue.submit(Share::Own, write).await })
        };
        submit(&mut callers);
        tokio::task::spawn_blocking(move || began.recv().unwrap()).await.unwrap();
        // The first commit is being synced; a second one is written and waits for its own sync.
        submit(&mut callers);
        let early = tokio::time::timeout(Duration::from_millis(100), callers.join_next()).await;
        assert!(early.is_err(), "answered before the sync: {early:?}");
        finish.send(()).unwrap();
        finish.send(()).unwrap();
        assert!(callers.join_next().await.unwrap().unwrap().is_ok());
        assert!(callers.join_next().await.unwrap().unwrap().is_ok());
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
