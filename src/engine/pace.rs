//! Whether somebody moves the clock while the process runs. Deadlines are kept by the wall clock, because they outlive the
//! process; a clock that is put forward would end what has only just begun, one that is put back makes everything wait that
//! is due at a time.

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

/// How the clock was moved, and by how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Forward(Duration),
    Back(Duration),
}

impl Pace {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { wall: now, steady: Instant::now() }
    }

    /// How the clock was moved since the last call.
    pub(super) fn step(&mut self, now: Timestamp) -> Option<Step> {
        let expected = self.wall + self.steady.elapsed();
        *self = Self::new(now);
        let is_noticeable = |by: &Duration| *by >= NOTICEABLE;
        let forward = Some(elapsed(expected, now)).filter(is_noticeable).map(Step::Forward);
        forward.or_else(|| Some(elapsed(now, expected)).filter(is_noticeable).map(Step::Back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_step_is_noticed_and_only_once() {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let (hour, second) = (Duration::from_hours(1), Duration::from_secs(1));
        let mut pace = Pace::new(now);
        assert_eq!((pace.step(now + second), pace.step(now)), (None, None));
        let Some(Step::Forward(by)) = pace.step(now + hour) else { panic!("not noticed") };
        assert!(by + second > hour);
        let Some(Step::Back(by)) = pace.step(now) else { panic!("not noticed") };
        assert!(by >= hour);
        assert_eq!(pace.step(now), None);
    }
}
