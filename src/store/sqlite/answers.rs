//! How a batch's callers learn that their commit is done.
//!
//! A wake-up from the writer's thread costs a system call and often the writer's place on the processor, because the
//! worker it wakes wants to run at once. So the writer wakes one task for the whole batch; this task is already inside
//! the runtime, where waking the callers costs next to nothing.

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::queue::Job;
use crate::store::StoreError;

/// A batch that has been committed or undone. Dropping it tells its callers, so no way leads past telling them.
pub(super) struct Answers {
    jobs: Vec<Box<dyn Job>>,
    transaction: Result<(), StoreError>,
}

impl Answers {
    pub(super) fn new(jobs: Vec<Box<dyn Job>>, transaction: Result<(), StoreError>) -> Self {
        Self { jobs, transaction }
    }

    /// Its callers hear of this instead, unless they would have heard of an error anyway.
    pub(super) fn fail(&mut self, error: &StoreError) {
        if self.transaction.is_ok() {
            self.transaction = Err(error.clone());
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        for job in self.jobs.drain(..) {
            job.answer(self.transaction.clone());
        }
    }
}

/// The writer's end. What waits in the channel is bounded by the queue: every caller waits for its answer.
pub(super) struct Herald(UnboundedSender<Answers>);

impl Herald {
    /// A herald whose task lives in the current runtime as long as the set; without a runtime the writer tells by itself.
    pub(super) fn start(tasks: &mut JoinSet<()>) -> Self {
        let (sender, answers) = unbounded_channel();
        if let Ok(runtime) = Handle::try_current() {
            tasks.spawn_on(tell(answers), &runtime);
        }
        Self(sender)
    }

    pub(super) fn send(&self, answers: Answers) {
        // A task that is gone gives the batch back, and dropping that tells the callers.
        drop(self.0.send(answers));
    }
}

async fn tell(mut answers: UnboundedReceiver<Answers>) {
    while let Some(batch) = answers.recv().await {
        drop(batch);
    }
}
