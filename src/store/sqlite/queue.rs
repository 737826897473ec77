//! One thread per connection and the bounded queue before it. The writer's thread commits in groups: whatever waits
//! when a transaction begins shares its commit, so that one wait for the disk serves many deliveries.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::answers::{Answers, Herald};
use super::checkpoint::Checkpointer;
use super::durable::{Durable, SyncLog};
use super::session::Session;
use super::stats::Counters;
use crate::store::StoreError;

/// Requests one transaction takes in at most, which bounds how long the first of them waits.
const MAX_BATCH: usize = 512;
/// While a transaction has taken in fewer requests than this, those that arrive meanwhile join it: a commit costs as much as
/// several requests. Beyond that the first ones have waited long enough.
const JOINABLE: usize = 24;
/// How long closing waits for what was accepted.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// Work for a connection. It is run, then told what became of the transaction it ran in, and answers only then.
pub(super) trait Job: Send {
    /// On an error whatever it wrote is undone. Run a second time when another one's error undid its first run.
    fn run(&mut self, session: &mut Session) -> Result<(), StoreError>;
    /// Tells the caller.
    fn answer(self: Box<Self>, transaction: Result<(), StoreError>);
}

struct Request<Work, T> {
    work: Work,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<Work, T> Job for Request<Work, T>
where
    Work: Fn(&mut Session) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, session: &mut Session) -> Result<(), StoreError> {
        let result = match catch_unwind(AssertUnwindSafe(|| (self.work)(session))) {
            Ok(result) => result,
            // One request that hits a bug must not take the store from all others.
            Err(panic) => Err(StoreError::Database(format!("the request panicked: {}", panic_text(panic.as_ref())))),
        };
        let verdict = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        verdict
    }

    fn answer(self: Box<Self>, transaction: Result<(), StoreError>) {
        let result = match transaction {
            Ok(()) => self.result.unwrap_or(Err(StoreError::Closed)),
            Err(error) => Err(error),
        };
        // Nobody listens when the caller was cancelled; what was committed stays committed.
        let _ = self.reply.send(result);
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Which share of the queue a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// Deliveries may wait up to the limit; beyond it their sender is told to come again.
    Delivery,
    /// Our own work has room beyond it, because a flood of deliveries must not keep results from being recorded.
    Own,
}

/// Places kept free for [`Share::Own`].
const OWN_PLACES: usize = 1024;

/// The way to a connection's thread.
pub(super) struct Queue {
    sender: RwLock<Option<Sender<Box<dyn Job>>>>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
    thread: Mutex<Option<(thread::JoinHandle<()>, oneshot::Receiver<()>)>>,
    /// Tells the writer's callers; empty for a reader, whose callers wait alone.
    _herald: JoinSet<()>,
}

impl Queue {
    /// Starts the thread that writes, and the one that makes durable by `sync` what it has written.
    pub(super) fn writer(
        session: Session,
        limit: usize,
        counters: Arc<Counters>,
        sync: SyncLog,
        checkpointer: Option<Checkpointer>,
    ) -> std::io::Result<Self> {
        let mut tasks = JoinSet::new();
        let durable = Durable::start(sync, Herald::start(&mut tasks), Arc::clone(&counters))?;
        Self::start("store-writer", limit, tasks, move |jobs| {
            let mut session = session;
            let mut checkpointer = checkpointer;
            jobs.run_batches(&mut session, &durable, checkpointer.as_mut(), &counters);
            drop(checkpointer);
            // Every caller is told before the store counts as finished.
            drop(durable);
            // Readers are closed by now, so the log can be folded into the database and cut.
            if let Err(error) = session.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
                tracing::warn!(%error, "the store's log was not folded into the database; the next start does it");
            }
        })
    }

    /// Starts a thread that reads beside the writer. Each job sees what was committed when its statement began.
    pub(super) fn reader(session: Session, limit: usize) -> std::io::Result<Self> {
        Self::start("store-reader", limit, JoinSet::new(), move |jobs| {
            let mut session = session;
            while let Some(mut job) = jobs.next() {
                let outcome = job.run(&mut session);
                job.answer(outcome);
            }
        })
    }

    fn start(
        name: &str,
        limit: usize,
        herald: JoinSet<()>,
        work: impl FnOnce(Jobs) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, jobs) = channel();
        let (done, finished) = oneshot::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let jobs = Jobs { jobs, waiting: Arc::clone(&waiting) };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            work(jobs);
            drop(done);
        })?;
        let thread = Mutex::new(Some((thread, finished)));
        Ok(Self { sender: RwLock::new(Some(sender)), waiting, limit, thread, _herald: herald })
    }

    /// Queues work and waits for its answer, which comes after the commit. Never blocks the task's thread.
    pub(super) async fn submit<T: Send + 'static>(
        &self,
        share: Share,
        work: impl Fn(&mut Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(share, Box::new(Request { work, result: None, reply }))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    fn enqueue(&self, share: Share, job: Box<dyn Job>) -> Result<(), StoreError> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or(StoreError::Closed)?;
        let limit = match share {
            Share::Delivery => self.limit,
            Share::Own => self.limit.saturating_add(OWN_PLACES),
        };
        if self.waiting.fetch_add(1, Relaxed) >= limit {
            self.waiting.fetch_sub(1, Relaxed);
            return Err(StoreError::Busy { limit });
        }
        sender.send(job).map_err(|_| StoreError::Closed)
    }

    /// Takes nothing more in, lets the thread finish what it has, and waits for that within [`CLOSE_LIMIT`].
    pub(super) async fn close(&self) {
        drop(self.sender.write().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((thread, finished)) = thread else { return };
        if tokio::time::timeout(CLOSE_LIMIT, finished).await.is_err() {
            tracing::warn!(limit = ?CLOSE_LIMIT, "the store did not finish in time; what was answered is safe");
        } else if thread.join().is_err() {
            tracing::error!("the store's thread panicked");
        }
    }
}

/// The thread's end of the queue.
struct Jobs {
    jobs: Receiver<Box<dyn Job>>,
    waiting: Arc<AtomicUsize>,
}

impl Jobs {
    /// The next job, waiting for it; `None` when the queue is closed and empty.
    fn next(&self) -> Option<Box<dyn Job>> {
        self.jobs.recv().ok().inspect(|_| {
            self.waiting.fetch_sub(1, Relaxed);
        })
    }

    /// The next job, if one waits.
    fn next_waiting(&self) -> Option<Box<dyn Job>> {
        self.jobs.try_recv().ok().inspect(|_| {
            self.waiting.fetch_sub(1, Relaxed);
        })
    }

    fn run_batches(
        &self,
        session: &mut Session,
        durable: &Durable,
        mut checkpointer: Option<&mut Checkpointer>,
        counters: &Counters,
    ) {
        while let Some(first) = self.next() {
            let mut batch = vec![first];
            batch.extend(std::iter::from_fn(|| self.next_waiting()).take(MAX_BATCH - 1));
            let outcome = match durable.broken() {
                Some(error) => Err(error),
                None => self.commit_together(session, &mut batch),
            };
            counters.batch(batch.len(), outcome.is_err());
            let wrote = outcome.as_ref().ok().copied().flatten();
            let nobody_waits = self.waiting.load(Relaxed) == 0;
            let is_lone = batch.len() == 1 && nobody_waits;
            let answers = Answers::new(batch, outcome.map(drop));
            if is_lone {
                durable.finish(answers, wrote);
            } else {
                durable.send(answers, wrote);
            }
            if let Some(checkpointer) = &mut checkpointer {
                checkpointer.written(session.connection.total_changes());
            }
        }
    }

    /// Runs a batch in one transaction; answers when its commit began, if it wrote anything. An error is everybody's; a job
    /// that fails for itself only is not one.
    ///
    /// A way back for each job costs a copy of every page it writes, and jobs hardly ever fail. So they first run without;
    /// when one does fail, all run again with it.
    fn commit_together(
        &self,
        session: &mut Session,
        batch: &mut Vec<Box<dyn Job>>,
    ) -> Result<Option<Instant>, StoreError> {
        let mut outcome = self.run_in_transaction(session, batch, Undo::All);
        if let Err(Stopped::ByJob) = outcome {
            roll_back(session);
            outcome = self.run_in_transaction(session, batch, Undo::Job);
        }
        match outcome {
            Ok(wrote) => Ok(wrote),
            // The second run stops for no job.
            Err(Stopped::ByJob) => Err(StoreError::Closed),
            Err(Stopped::ByDatabase(error)) => {
                tracing::error!(%error, requests = batch.len(), "the store's transaction failed; nothing of it was kept");
                roll_back(session);
                Err(error)
            }
        }
    }

    /// Runs every job of a batch; the first time, with those that join it.
    fn run_in_transaction(
        &self,
        session: &mut Session,
        batch: &mut Vec<Box<dyn Job>>,
        undo: Undo,
    ) -> Result<Option<Instant>, Stopped> {
        // The write lock comes first: a transaction that reads and then wants to write could not get it any more.
        session.execute("BEGIN IMMEDIATE", [])?;
        let changes_before = session.connection.total_changes();
        session.forget_ended_heals().map_err(Stopped::ByDatabase)?;
        let mut next = 0;
        while next < batch.len() {
            let job = &mut batch[next];
            next += 1;
            if undo == Undo::Job {
                session.execute("SAVEPOINT job", [])?;
            }
            let result = job.run(session);
            match (result, undo) {
                (Err(error), _) if session.gave_up() => return Err(Stopped::ByDatabase(error)),
                (Err(_), Undo::All) => return Err(Stopped::ByJob),
                (Err(_), Undo::Job) => drop(session.execute("ROLLBACK TO job", [])?),
                (Ok(()), _) => {}
            }
            if undo == Undo::Job {
                session.execute("RELEASE job", [])?;
            }
            if undo == Undo::All && next == batch.len() && next < JOINABLE {
                batch.extend(self.next_waiting());
            }
        }
        let began = Instant::now();
        session.execute("COMMIT", [])?;
        Ok((session.connection.total_changes() != changes_before).then_some(began))
    }
}

/// How far an error of one job reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// To the whole transaction, which keeps no way back for a single job.
    All,
    /// To the job alone.
    Job,
}

/// Why a transaction was not committed.
enum Stopped {
    /// A job failed, and there was no way back for it alone.
    ByJob,
    /// The database refused.
    ByDatabase(StoreError),
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::ByDatabase(error.into())
    }
}

fn roll_back(session: &Session) {
    // After some errors SQLite has rolled back by itself; another rollback would then be an error of its own.
    if !session.gave_up()
        && let Err(error) = session.execute("ROLLBACK", [])
    {
        tracing::error!(%error, "the store's transaction could not be rolled back");
    }
}
