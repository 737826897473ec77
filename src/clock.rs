//! The only room that reads a clock.

use crate::domain::Timestamp;

/// Tells the time. A seam, so that tests can hold and turn it.
pub trait Clock: Send + Sync {
    /// Now, in whole milliseconds, which is what the store keeps.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        // Every time the system clock can show fits in whole milliseconds.
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

/// A clock that stands still, for tests.
#[cfg(test)]
pub struct Stopped(pub Timestamp);

#[cfg(test)]
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}
