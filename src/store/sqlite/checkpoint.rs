//! Folding the log into the database beside the writer, on a thread and a connection of its own.
//!
//! `SQLite` lets the writer do this after a commit, which then lasts tens of milliseconds in which every caller waits.
//! Under load this thread keeps up instead, so that little is left when the writer's turn comes.

use std::io;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use rusqlite::Connection;

/// Rows written between two foldings.
const ROWS: u64 = 2000;

/// The thread that folds; it ends with this value.
pub(super) struct Checkpointer {
    sender: Option<SyncSender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    folded_at: u64,
}

impl Checkpointer {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        // One place: a wish that comes while another one waits is the same wish.
        let (sender, receiver) = sync_channel(1);
        let thread = thread::Builder::new().name("store-fold".to_owned()).spawn(move || {
            while receiver.recv().is_ok() {
                if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                    // The writer folds by itself when the log has grown too long, and says so if it cannot.
                    tracing::debug!(%error, "the store's log was not folded into the database");
                }
            }
        })?;
        Ok(Self { sender: Some(sender), thread: Some(thread), folded_at: 0 })
    }

    /// Says how many rows the writer has written in all.
    pub(super) fn written(&mut self, rows: u64) {
        if rows.saturating_sub(self.folded_at) < ROWS {
            return;
        }
        self.folded_at = rows;
        if let Some(Err(TrySendError::Disconnected(()))) = self.sender.as_ref().map(|sender| sender.try_send(())) {
            tracing::debug!("the thread that folds the store's log is gone; the writer folds by itself");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that folds the store's log panicked");
        }
    }
}
