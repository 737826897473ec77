//! Hosts that could not be reached a moment ago: one look at a time finds out whether they are back, the others are told
//! at once. Otherwise a dead host with many alerts would fill the limit on concurrent actions with waiting, and other
//! hosts' heals would wait with it. Time is what has passed here, not what the clock says: a clock put back would leave a host
//! alone until it has caught up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::decide::ActionOutcome;
use crate::domain::duration;

/// How long after a failure further looks are told of it instead of trying themselves.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// What is known of one host that could not be reached.
struct Outage {
    since: Instant,
    error: String,
    is_probed: bool,
}

/// The hosts that could not be reached.
#[derive(Default)]
pub(super) struct Outages(Mutex<BTreeMap<String, Outage>>);

/// The right to ask a host. Whoever is dropped without a word gives its turn back.
pub(super) struct Turn<'a> {
    outages: &'a Outages,
    host: &'a str,
}

impl Outages {
    /// Asks for a turn at a host.
    ///
    /// # Errors
    /// The host could not be reached a moment ago, or somebody is finding out right now.
    pub(super) fn turn<'a>(&'a self, host: &'a str, now: Instant) -> Result<Turn<'a>, ActionOutcome> {
        if let Some(outage) = self.lock().get_mut(host) {
            let ago = now.saturating_duration_since(outage.since);
            if outage.is_probed || ago < LEFT_ALONE {
                let ago = duration::format(Duration::from_secs(ago.as_secs()));
                return Err(ActionOutcome::Unreachable {
                    error: format!(
                        "the host could not be reached {ago} ago and is not asked again so soon; then it was: {}",
                        outage.error
                    ),
                });
            }
            outage.is_probed = true;
        }
        Ok(Turn { outages: self, host })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Outage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Learns from how asking the host ended.
    pub(super) fn ended<T>(self, result: &Result<T, ActionOutcome>, now: Instant) {
        let mut outages = self.outages.lock();
        if let Err(ActionOutcome::Unreachable { error }) = result {
            outages.insert(self.host.to_owned(), Outage { since: now, error: error.clone(), is_probed: false });
        } else {
            outages.remove(self.host);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(outage) = self.outages.lock().get_mut(self.host) {
            outage.is_probed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> Result<(), ActionOutcome> {
        Err(ActionOutcome::Unreachable { error: "docker host web-1 does not answer".into() })
    }

    #[test]
    fn after_a_failure_one_look_at_a_time_finds_out_whether_the_host_is_back() {
        let outages = Outages::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        outages.turn("web-1", at(0)).ok().unwrap().ended(&gone(), at(10));
        assert!(outages.turn("web-2", at(11)).is_ok(), "other hosts are not concerned");
        let Err(ActionOutcome::Unreachable { error }) = outages.turn("web-1", at(13)) else { panic!("too soon") };
        assert_eq!(
            error,
            "the host could not be reached 3s ago and is not asked again so soon; then it was: docker host web-1 does not answer"
        );
        let probe = outages.turn("web-1", at(20)).ok().unwrap();
        assert!(outages.turn("web-1", at(21)).is_err(), "somebody is finding out");
        drop(probe);
        outages.turn("web-1", at(22)).ok().unwrap().ended(&Ok(()), at(22));
        assert!(outages.turn("web-1", at(22)).is_ok());
        assert!(outages.turn("web-1", at(22)).is_ok(), "it is back for everybody");
    }
}
