//! A human has been called for a heal, and whoever was told is told again when that is over.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::message::MessageKind;

/// How long a call is at most left without a look: what a reload says of reminders holds by then.
const LOOK: Duration = Duration::from_hours(1);

/// A call for a human that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// What the latest message that called somebody was.
    pub kind: MessageKind,
    /// Since when somebody is called.
    pub since: Timestamp,
    /// The channels that were told, each with when it was last told.
    pub told: BTreeMap<String, Timestamp>,
    /// When it is looked at again.
    pub look_at: Timestamp,
    /// The trouble comes and goes, and the call is not over before then: each resolve puts it off, so that people are not
    /// called and told that it is over again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

impl Call {
    /// A call that nobody has heard yet.
    #[must_use]
    pub fn new(kind: MessageKind, now: Timestamp) -> Self {
        Self { kind, since: now, told: BTreeMap::new(), look_at: now + LOOK, not_before: None }
    }

    /// Sets when it is looked at again: when the first of these times has come, or soon enough.
    pub fn look_again(&mut self, times: impl IntoIterator<Item = Timestamp>, now: Timestamp) {
        let soonest = times.into_iter().filter(|at| *at > now).min();
        self.look_at = soonest.map_or(now + LOOK, |at| at.min(now + LOOK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_at_when_somebody_is_to_be_reminded_and_every_hour() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let mut call = Call::new(MessageKind::Exhausted, at(0));
        for (times, expected) in
            [(vec![], 70), (vec![at(20), at(15)], 15), (vec![at(500)], 70), (vec![at(10), at(5), at(30)], 30)]
        {
            call.look_again(times, at(10));
            assert_eq!(call.look_at, at(expected));
        }
    }
}
