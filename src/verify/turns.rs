//! Turns: how many questions may be under way at once, and how many of them for one server. A server that hangs keeps
//! only those waiting that ask it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions under way for one server.
const PER_SERVER: usize = 4;
/// Questions under way for all servers: enough that many servers must hang before a healthy one is not asked.
const AT_ONCE: usize = 128;
/// How long a question waits for its turn. It is asked again soon, so a long queue would be of no use.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who may ask now.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    servers: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    patience: Duration,
}

/// The right to ask, given back when dropped.
pub(super) struct Turn {
    _server: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), servers: Mutex::default(), patience: PATIENCE }
    }
}

impl Turns {
    /// Waits for a turn at a server; `None` when none came.
    pub(super) async fn wait(&self, server: &str) -> Option<Turn> {
        let semaphore = self.server(server);
        let turn = async {
            // The server's first: whoever waits for a hanging server holds nothing that others need.
            let server = semaphore.acquire_owned().await.ok()?;
            let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Turn { _server: server, _all: all })
        };
        tokio::time::timeout(self.patience, turn).await.ok().flatten()
    }

    fn server(&self, server: &str) -> Arc<Semaphore> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        // Servers nobody asks or waits for are forgotten, so that names out of alerts do not pile up.
        servers.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        Arc::clone(servers.entry(server.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(PER_SERVER))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hanging_server_keeps_nobody_else_waiting_and_nobody_for_ever() {
        let turns = Turns { patience: Duration::from_millis(20), ..Turns::default() };
        let mut held = Vec::new();
        for _ in 0..PER_SERVER {
            held.push(turns.wait("hung").await.unwrap());
        }
        assert!(turns.wait("well").await.is_some());
        assert!(turns.wait("hung").await.is_none(), "the wait is bounded");
        held.pop();
        assert!(turns.wait("hung").await.is_some(), "a turn given back is another's");
        drop(held);
        drop(turns.wait("well").await);
        assert_eq!(turns.servers.lock().unwrap().len(), 1, "only the one asked last is remembered");
    }
}
