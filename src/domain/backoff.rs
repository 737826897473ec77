//! How long to wait before the next attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Exponential back-off between the attempts of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// Wait after the first failed attempt.
    #[serde(with = "super::duration::stored")]
    pub initial: Duration,
    /// Growth per further attempt; at least 1.
    pub factor: f64,
    /// Longest wait.
    #[serde(with = "super::duration::stored")]
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(30), factor: 2.0, max: Duration::from_mins(10) }
    }
}

impl Backoff {
    /// The wait after `failures` failed attempts (1 or more).
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        // A power that overflows becomes infinite, which `min` cuts to the longest wait.
        Duration::from_secs_f64(seconds.min(self.max.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_maximum() {
        let waits: Vec<_> = (1..=7).map(|failures| Backoff::default().delay(failures).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(Backoff::default().delay(u32::MAX).as_secs(), 600);
    }
}
