//! Guards: each looks at one danger of acting now and says allow or hold, with its numbers.

use super::Timestamp;
use super::heal::HealId;

/// Limits over all rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Actions that may run at once.
    pub concurrent: u32,
    /// Actions that may begin within any hour.
    pub per_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrent: 10, per_hour: 60 }
    }
}

/// What runs and ran, as far as the guards ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Load {
    /// Heals in state `acting`.
    pub acting: u32,
    /// The heal that acts on the target the current step would touch, and when its attempt ends at the latest.
    pub target_holder: Option<(HealId, Timestamp)>,
    /// Attempts begun within the last hour.
    pub started_last_hour: u32,
    /// When the oldest of those began.
    pub oldest_start: Option<Timestamp>,
}
