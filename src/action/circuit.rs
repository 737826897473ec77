//! A server that is not there is left alone for a while: one request at a time finds out whether it is back, everybody else is
//! told at once. Otherwise its heals would fill the limit on concurrent actions with waiting, and others would wait with
//! them. Time is what has passed here, not what the clock says: a clock put back would leave a server alone until it has
//! caught up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Requests under way at once to one server. A server on two cores takes a second for a launch; more at once only queue there.
const AT_ONCE: usize = 16;
/// Failures in a row after which the server is left alone.
const FAILURES: u32 = 3;
/// For how long, at first and at most; it doubles each time it is found still gone.
const LEFT_ALONE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// What is known of a server's being there, and the gate before it.
pub(super) struct Circuit {
    state: Mutex<State>,
    gate: Semaphore,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { state: Mutex::default(), gate: Semaphore::new(AT_ONCE) }
    }
}

#[derive(Default)]
struct State {
    failures: u32,
    has_answered: bool,
    /// Set while it is open.
    outage: Option<Outage>,
}

struct Outage {
    error: String,
    retry_at: Instant,
    pause: Duration,
    is_probed: bool,
}

/// How the circuit changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It answered for the first time.
    Met,
    Opened,
    Closed,
}

impl Circuit {
    /// Waits for the right to send a request. The server is asked for anew behind the gate: it may have gone while many waited
    /// for their turn, and each of them would find that out anew.
    ///
    /// # Errors
    /// What was wrong with the server.
    pub(super) async fn enter(&self, now: impl Fn() -> Instant) -> Result<Turn<'_>, String> {
        self.check(now())?;
        // The gate is never closed.
        let permit = self.gate.acquire().await.ok();
        Ok(Turn { circuit: self, is_probe: self.ask(now())?, _permit: permit })
    }

    /// Whether a request need not even wait for its turn.
    fn check(&self, now: Instant) -> Result<(), String> {
        match &self.lock().outage {
            Some(outage) if outage.is_probed || now < outage.retry_at => Err(outage.error.clone()),
            _ => Ok(()),
        }
    }

    /// Asks whether the server may be asked; answers whether this is the one request that finds out.
    fn ask(&self, now: Instant) -> Result<bool, String> {
        match &mut self.lock().outage {
            None => Ok(false),
            Some(outage) if outage.is_probed || now < outage.retry_at => Err(outage.error.clone()),
            Some(outage) => {
                outage.is_probed = true;
                Ok(true)
            }
        }
    }

    /// Gives the turn to find out back without having found out.
    fn give_back(&self) {
        if let Some(outage) = &mut self.lock().outage {
            outage.is_probed = false;
        }
    }

    /// It answered.
    pub(super) fn answered(&self) -> Option<Change> {
        let mut state = self.lock();
        state.failures = 0;
        let is_first = !std::mem::replace(&mut state.has_answered, true);
        state.outage.take().map(|_| Change::Closed).or(is_first.then_some(Change::Met))
    }

    /// It did not. One request that hung says as much as several that were refused.
    pub(super) fn failed(&self, error: &str, hung: bool, now: Instant) -> Option<Change> {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(if hung { FAILURES } else { 1 });
        if let Some(outage) = &mut state.outage {
            // Requests that were under way when it opened say nothing new.
            if outage.is_probed || now > outage.retry_at {
                outage.pause = (outage.pause * 2).min(LEFT_ALONE.1);
                outage.retry_at = now + outage.pause;
                outage.is_probed = false;
            }
            error.clone_into(&mut outage.error);
            return None;
        }
        if state.failures < FAILURES {
            return None;
        }
        let (error, pause) = (error.to_owned(), LEFT_ALONE.0);
        state.outage = Some(Outage { error, retry_at: now + pause, pause, is_probed: false });
        Some(Change::Opened)
    }

    /// It wants to be left alone for this long.
    pub(super) fn wait(&self, error: &str, pause: Duration, now: Instant) -> Option<Change> {
        let mut state = self.lock();
        let was_open = state.outage.is_some();
        let retry_at = state.outage.as_ref().map_or(now, |outage| outage.retry_at).max(now + pause);
        let error = error.to_owned();
        state.outage = Some(Outage { error, retry_at, pause: LEFT_ALONE.0, is_probed: false });
        (!was_open).then_some(Change::Opened)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to send a request. Whoever gives up waiting, by time or by being dropped, gives its turn back.
pub(super) struct Turn<'c> {
    circuit: &'c Circuit,
    is_probe: bool,
    _permit: Option<SemaphorePermit<'c>>,
}

impl Turn<'_> {
    /// The request has ended, and the circuit knows how.
    pub(super) fn spent(mut self) {
        self.is_probe = false;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.circuit.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// A time of a test that began now.
    fn times() -> impl Fn(u64) -> Instant {
        let begun = Instant::now();
        move |seconds| begun + Duration::from_secs(seconds)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_by_itself() {
        let (circuit, at) = (Circuit::default(), times());
        assert_eq!(circuit.failed("gone", false, at(0)), None);
        assert_eq!(circuit.answered(), Some(Change::Met), "an answer in between counts from the start");
        assert_eq!(circuit.answered(), None, "it is met once");
        assert_eq!((circuit.failed("gone", false, at(1)), circuit.failed("gone", false, at(1))), (None, None));
        assert_eq!(circuit.ask(at(2)), Ok(false));
        assert_eq!(circuit.failed("gone", false, at(2)), Some(Change::Opened));
        assert_eq!(circuit.ask(at(6)), Err("gone".into()));
        assert_eq!(circuit.ask(at(7)), Ok(true), "one finds out");
        assert_eq!(circuit.ask(at(7)), Err("gone".into()), "the others wait for it");
        circuit.give_back();
        assert_eq!(circuit.ask(at(7)), Ok(true));
        assert_eq!(circuit.failed("still gone", false, at(8)), None);
        assert_eq!(circuit.ask(at(17)), Err("still gone".into()), "now for twice as long");
        assert_eq!(circuit.ask(at(18)), Ok(true));
        assert_eq!(circuit.answered(), Some(Change::Closed));
        assert_eq!(circuit.ask(at(18)), Ok(false));
        assert_eq!(circuit.failed("hangs", true, at(19)), Some(Change::Opened), "a hang is enough");
        assert_eq!((circuit.check(at(20)), circuit.check(at(24))), (Err("hangs".into()), Ok(())));
    }

    #[test]
    fn it_stays_open_for_as_long_as_the_server_asks_for() {
        let (circuit, at) = (Circuit::default(), times());
        assert_eq!(circuit.wait("slow down", Duration::from_secs(90), at(0)), Some(Change::Opened));
        assert_eq!(circuit.wait("slow down", Duration::from_secs(1), at(1)), None, "the longest pause holds");
        assert_eq!((circuit.check(at(89)), circuit.ask(at(89))), (Err("slow down".into()), Err("slow down".into())));
        assert_eq!(circuit.ask(at(90)), Ok(true));
        assert_eq!(circuit.answered(), Some(Change::Closed));
    }

    #[tokio::test]
    async fn whoever_waited_at_the_gate_hears_what_happened_meanwhile() {
        let (circuit, at) = (Circuit::default(), times());
        let inside = futures_util::future::join_all((0..AT_ONCE).map(|_| circuit.enter(|| at(0)))).await;
        let late = circuit.enter(|| at(0));
        tokio::pin!(late);
        assert!(late.as_mut().now_or_never().is_none(), "the gate is full");
        circuit.failed("hangs", true, at(0));
        drop(inside);
        assert_eq!(late.await.err(), Some("hangs".to_owned()));
        assert!(circuit.enter(|| at(5)).await.is_ok_and(|turn| turn.is_probe), "one finds out");
    }
}
