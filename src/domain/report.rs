//! What shadows would have done, compared with what happened without them.

use std::fmt;
use std::time::Duration;

use super::alert::AlertStatus;
use super::heal::Heal;
use super::{Timestamp, duration, elapsed};

/// One rule's shadows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowTally {
    /// The rule's name.
    pub rule: String,
    /// How often it would have acted.
    pub would_have_acted: usize,
    /// How long after that everything had resolved on its own, where it has; shortest first.
    pub resolved_after: Vec<Duration>,
}

impl ShadowTally {
    /// Counts shadows by rule, in the order of the rules' names.
    #[must_use]
    pub fn of<'h>(shadows: impl IntoIterator<Item = &'h Heal>) -> Vec<Self> {
        let mut tallies = std::collections::BTreeMap::<&str, Self>::new();
        for heal in shadows {
            let tally = tallies.entry(&heal.rule).or_insert_with(|| Self {
                rule: heal.rule.clone(),
                would_have_acted: 0,
                resolved_after: Vec::new(),
            });
            tally.would_have_acted += 1;
            tally.resolved_after.extend(resolved_after(heal));
        }
        let mut tallies: Vec<Self> = tallies.into_values().collect();
        for tally in &mut tallies {
            tally.resolved_after.sort_unstable();
        }
        tallies
    }

    /// How long half of those that resolved took, and all of them.
    #[must_use]
    pub fn times(&self) -> Option<(Duration, Duration)> {
        let half = self.resolved_after.get(self.resolved_after.len().saturating_sub(1) / 2)?;
        Some((*half, *self.resolved_after.last()?))
    }
}

/// How long after a shadow would have acted its last alert resolved; `None` while one fires.
fn resolved_after(shadow: &Heal) -> Option<Duration> {
    let acted_at = shadow.ended_at()?;
    let mut last: Option<Timestamp> = None;
    for alert in &shadow.alerts {
        let ends_at = alert.ends_at.filter(|_| alert.status == AlertStatus::Resolved)?;
        last = last.max(Some(ends_at));
    }
    last.map(|last| elapsed(acted_at, last))
}

impl fmt::Display for ShadowTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |time: Duration| duration::format(Duration::from_secs(time.as_secs()));
        write!(f, "rule {} would have acted {} times, ", self.rule, self.would_have_acted)?;
        let resolved = self.resolved_after.len();
        match self.times() {
            None => f.write_str("none resolved on its own")?,
            Some((half, all)) => {
                write!(
                    f,
                    "{resolved} resolved on their own within {}, half of them within {}",
                    whole(all),
                    whole(half)
                )?;
            }
        }
        let fire = self.would_have_acted - resolved;
        if fire > 0 { write!(f, "; {fire} fire still or were never heard of again") } else { Ok(()) }
    }
}
