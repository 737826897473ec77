//! The rest between two looks at what is due. A flood of deliveries wakes the heal loop all the time, and what a look takes of
//! the store's writer is missing to the deliveries. Whoever comes alone waits for nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The usual rest.
const USUAL: Duration = Duration::from_millis(2);
/// The rest after a target's server was found away. Heals for it are told so at once, and none of them counts against a limit,
/// so that without this they would be tried as fast as the store can write.
const AWAY: Duration = Duration::from_millis(100);

/// What the heal loop and the attempts share about it.
#[derive(Default)]
pub struct Breath(AtomicBool);

impl Breath {
    /// An attempt could not be tried.
    pub(super) fn found_away(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Rests, if the last look `ended` only just.
    pub(super) async fn take(&self, ended: Option<Instant>) {
        let Some(ended) = ended else { return };
        wait(ended + USUAL).await;
        if self.0.swap(false, Ordering::Relaxed) {
            wait(ended + AWAY).await;
        }
    }
}

/// A timer whose time is over would still end only with the runtime's next look at its timers.
async fn wait(until: Instant) {
    if Instant::now() < until {
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_flood_waits_a_moment_a_server_that_is_away_for_longer_and_whoever_comes_alone_for_nothing() {
        let breath = Breath::default();
        let rests =
            |since: Option<Duration>| breath.take(since.map(|since| Instant::now() - since)).now_or_never().is_none();
        assert!(!rests(None), "there was no look yet");
        assert!(rests(Some(Duration::ZERO)));
        assert!(!rests(Some(USUAL)));
        breath.found_away();
        assert!(rests(Some(USUAL)), "a server is away");
        assert!(!rests(Some(USUAL)), "that holds for one rest");
        breath.found_away();
        assert!(!rests(Some(AWAY)), "it is over");
    }
}
