//! One poller per server follows all its jobs: with one request for many of them, seldom when they take long, and at once when
//! somebody says that something has happened.
//!
//! It has no task of its own. Whoever waits for a job takes turns: one of them polls for all, and when its own job has
//! ended, or it is dropped, the next one goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::client::Client;
use super::fault::Fault;
use super::model::{self, Job};
use crate::domain::{Timestamp, elapsed};

/// Jobs asked for in one request.
const BATCH: usize = 50;
/// The first pause between two looks at a job.
const FIRST: Duration = Duration::from_secs(2);
/// How much sooner than it is due a job is looked at together with others.
const TOGETHER: Duration = Duration::from_millis(500);

/// What was seen of a job.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// It is there.
    There(Job),
    /// The server has removed it.
    Gone,
}

/// Follows a server's jobs.
pub(super) struct Poller {
    client: Arc<Client>,
    jobs: Mutex<BTreeMap<u64, Followed>>,
    turn: tokio::sync::Mutex<()>,
    /// The times at which jobs are due have changed.
    changed: Notify,
}

struct Followed {
    is_workflow: bool,
    due: Timestamp,
    pause: Duration,
    /// Somebody asked for a look that has not begun yet: one that is under way may have been answered before what he knows of.
    is_asked_for: bool,
    seen: watch::Sender<Option<Seen>>,
}

/// One job being followed; ends with this value.
pub(super) struct Watch<'p> {
    poller: &'p Poller,
    id: u64,
    seen: watch::Receiver<Option<Seen>>,
}

impl Poller {
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self { client, jobs: Mutex::default(), turn: tokio::sync::Mutex::default(), changed: Notify::new() }
    }

    /// Begins to follow a job.
    pub(super) fn watch(&self, id: u64, is_workflow: bool) -> Watch<'_> {
        let pause = FIRST.min(self.client.times().longest_poll);
        let (sender, seen) = watch::channel(None);
        let followed =
            Followed { is_workflow, due: self.client.now() + pause, pause, is_asked_for: false, seen: sender };
        self.lock().insert(id, followed);
        self.changed.notify_one();
        Watch { poller: self, id, seen }
    }

    /// Something has happened to some job: look at all of them now.
    pub(super) fn hint(&self) {
        let now = self.client.now();
        for job in self.lock().values_mut() {
            (job.due, job.is_asked_for) = (now, true);
        }
        self.changed.notify_one();
    }

    /// A job was asked to stop: look at it now, and often again until it has.
    pub(super) fn hurry(&self, id: u64) {
        if let Some(job) = self.lock().get_mut(&id) {
            (job.due, job.is_asked_for) = (self.client.now(), true);
            job.pause = FIRST.min(self.client.times().longest_poll);
        }
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Followed>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until some jobs are due, and looks at them. May be dropped at any point.
    async fn round(&self) {
        let wait = match self.lock().values().map(|job| job.due).min() {
            Some(due) => elapsed(self.client.now(), due),
            None => return,
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.changed.notified() => return,
        }
        let now = self.client.now();
        let due: Vec<(u64, bool)> = self
            .lock()
            .iter_mut()
            .filter(|(_, job)| job.due <= now + TOGETHER.min(job.pause / 4))
            .map(|(id, job)| {
                job.is_asked_for = false;
                (*id, job.is_workflow)
            })
            .collect();
        for batch in due.chunks(BATCH) {
            let rows = self.ask(batch).await;
            self.tell(batch, rows).await;
        }
    }

    /// One request for many jobs; both kinds stand in this list.
    async fn ask(&self, batch: &[(u64, bool)]) -> Result<Vec<Job>, Fault> {
        let ids: Vec<String> = batch.iter().map(|(id, _)| id.to_string()).collect();
        let until = self.client.now() + self.client.times().request;
        let query = [("id__in", ids.join(",")), ("page_size", "200".to_owned())];
        let query = query.each_ref().map(|(key, value)| (*key, value.as_str()));
        let answer = self.client.get("unified_jobs/", &query, "follow our jobs", until).await?;
        Ok(model::rows(&answer.body).iter().filter_map(Job::of).collect())
    }

    async fn tell(&self, batch: &[(u64, bool)], rows: Result<Vec<Job>, Fault>) {
        let rows = match rows {
            Ok(rows) => rows,
            Err(fault) => {
                // Jobs go on without us. The circuit has told the log once; this is for whoever looks closer.
                tracing::debug!(error = %fault, "jobs could not be followed; asking again");
                for (id, _) in batch {
                    self.space(*id);
                }
                return;
            }
        };
        for (id, is_workflow) in batch {
            let seen = match rows.iter().find(|job| job.id == *id) {
                Some(job) => Some(Seen::There(job.clone())),
                // Absent from a list is not yet gone: it may have been hidden from us for a moment.
                None => self.look_for(*id, *is_workflow).await,
            };
            if let Some((seen, job)) = seen.and_then(|seen| Some((seen, self.lock().get(id)?.seen.clone()))) {
                job.send_replace(Some(seen));
            }
            self.space(*id);
        }
    }

    async fn look_for(&self, id: u64, is_workflow: bool) -> Option<Seen> {
        let list = if is_workflow { "workflow_jobs" } else { "jobs" };
        let until = self.client.now() + self.client.times().request;
        match self.client.get(&format!("{list}/{id}/"), &[], &format!("look at job {id}"), until).await {
            Ok(answer) => Job::of(&answer.body).map(Seen::There),
            Err(fault) if fault.status() == Some(404) => Some(Seen::Gone),
            Err(fault) => {
                tracing::debug!(error = %fault, "a job could not be looked at; asking again");
                None
            }
        }
    }

    /// Puts a job's next look off, each time further, unless somebody asked for it meanwhile. Jobs launched together drift
    /// apart a little.
    fn space(&self, id: u64) {
        let now = self.client.now();
        if let Some(job) = self.lock().get_mut(&id).filter(|job| !job.is_asked_for) {
            let jitter = 90 + u32::try_from(id.wrapping_mul(7_919) % 21).unwrap_or(10);
            job.due = now + job.pause * jitter / 100;
            job.pause = (job.pause * 3 / 2).min(self.client.times().longest_poll);
        }
    }
}

impl Watch<'_> {
    /// What is seen next; `None` when that takes until `until`.
    pub(super) async fn next(&mut self, until: Timestamp) -> Option<Seen> {
        let time_is_over = tokio::time::sleep(elapsed(self.poller.client.now(), until));
        tokio::pin!(time_is_over);
        loop {
            // The poller keeps the other end for as long as this one is there.
            let polling = async {
                let _turn = self.poller.turn.lock().await;
                self.poller.round().await;
            };
            tokio::select! {
                biased;
                changed = self.seen.changed() => match changed {
                    Ok(()) => return self.seen.borrow_and_update().clone(),
                    Err(_) => return None,
                },
                () = &mut time_is_over => return None,
                () = polling => {}
            }
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.poller.lock().remove(&self.id);
    }
}
