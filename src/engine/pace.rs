//! Whether somebody moves the clock while the process runs. Deadlines are kept by the wall clock, because they outlive the
//! process; a clock that is put forward would end what has only just begun.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{Timestamp, elapsed};

/// What may be the scheduler's doing rather than a person's; the watchdog of an attempt leaves more room than that.
const NOTICEABLE: Duration = Duration::from_secs(5);

/// The wall clock beside one that nobody can move.
pub(super) struct Pace {
    wall: Timestamp,
    steady: Instant,
}

impl Pace {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { wall: now, steady: Instant::now() }
    }

    /// By how much the clock was put forward since the last call.
    pub(super) fn put_forward(&mut self, now: Timestamp) -> Option<Duration> {
        let expected = self.wall + self.steady.elapsed();
        *self = Self::new(now);
        Some(elapsed(expected, now)).filter(|by| *by >= NOTICEABLE)
    }
}
