//! What shadows would have done, compared with what happened without them; and how heals ended that were allowed to act.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::alert::AlertStatus;
use super::heal::{Heal, Outcome};
use super::{Timestamp, duration, elapsed};

/// What every rule did, or would have done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// By the rule's name.
    pub rules: BTreeMap<String, RuleReport>,
    /// There were more shadows than were looked at; the latest were.
    pub is_cut: bool,
}

/// One rule's part of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleReport {
    /// What it would have done.
    pub shadows: ShadowTally,
    /// How the heals ended that were no shadows.
    pub ended: BTreeMap<Outcome, u64>,
}

/// One rule's shadows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShadowTally {
    /// How often it would have acted.
    pub would_have_acted: usize,
    /// How long after that everything had resolved on its own, where it has.
    pub resolved_after: Vec<Duration>,
}

impl Report {
    /// Counts a shadow.
    pub fn add_shadow(&mut self, shadow: &Heal) {
        let tally = &mut self.rules.entry(shadow.rule.clone()).or_default().shadows;
        tally.would_have_acted += 1;
        tally.resolved_after.extend(resolved_after(shadow));
    }

    /// Counts heals that ended and were no shadows.
    pub fn add_ended(&mut self, rule: &str, outcome: Outcome, heals: u64) {
        *self.rules.entry(rule.to_owned()).or_default().ended.entry(outcome).or_default() += heals;
    }
}

impl ShadowTally {
    /// How long half of those that resolved took, and all of them.
    #[must_use]
    pub fn times(&self) -> Option<(Duration, Duration)> {
        let mut times = self.resolved_after.clone();
        times.sort_unstable();
        let half = times.get(times.len().saturating_sub(1) / 2)?;
        Some((*half, *times.last()?))
    }

    /// How many did not resolve as far as is known.
    #[must_use]
    pub fn unresolved(&self) -> usize {
        self.would_have_acted.saturating_sub(self.resolved_after.len())
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
        let times = if self.would_have_acted == 1 { "time" } else { "times" };
        write!(f, "would have acted {} {times}; ", self.would_have_acted)?;
        match (self.times(), self.resolved_after.len()) {
            (None, _) => f.write_str("none resolved on its own")?,
            (Some((_, all)), 1) => write!(f, "1 resolved on its own after {}", whole(all))?,
            (Some((half, all)), resolved) => {
                write!(
                    f,
                    "{resolved} resolved on their own within {}, half of them within {}",
                    whole(all),
                    whole(half)
                )?;
            }
        }
        match self.unresolved() {
            0 => Ok(()),
            1 => f.write_str("; 1 fires still or was never heard of again"),
            unresolved => write!(f, "; {unresolved} fire still or were never heard of again"),
        }
    }
}

impl fmt::Display for RuleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended: Vec<_> = self.ended.iter().map(|(outcome, heals)| format!("{heals} {}", outcome.as_str())).collect();
        match (self.shadows.would_have_acted, ended.is_empty()) {
            (0, true) => f.write_str("nothing has ended"),
            (0, false) => f.write_str(&ended.join(", ")),
            (_, true) => self.shadows.fmt(f),
            (_, false) => write!(f, "{}; {}", ended.join(", "), self.shadows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_a_sentence_however_much_there_is_of_each() {
        let minutes = |minutes: &[u64]| minutes.iter().copied().map(Duration::from_mins).collect::<Vec<_>>();
        let shadows = |would_have_acted, resolved: &[u64]| RuleReport {
            shadows: ShadowTally { would_have_acted, resolved_after: minutes(resolved) },
            ended: BTreeMap::new(),
        };
        for (report, said) in [
            (
                shadows(1, &[]),
                "would have acted 1 time; none resolved on its own; 1 fires still or was never heard of again",
            ),
            (shadows(1, &[3]), "would have acted 1 time; 1 resolved on its own after 3m"),
            (
                shadows(5, &[9, 1, 2]),
                "would have acted 5 times; 3 resolved on their own within 9m, half of them within 2m; \
                 2 fire still or were never heard of again",
            ),
            (
                shadows(4, &[4, 3, 2, 1]),
                "would have acted 4 times; 4 resolved on their own within 4m, half of them within 2m",
            ),
        ] {
            assert_eq!(report.to_string(), said);
        }
        let mut both = Report::default();
        both.add_ended("restart", Outcome::Exhausted, 2);
        both.add_ended("restart", Outcome::Healed, 14);
        assert_eq!(both.rules["restart"].to_string(), "14 healed, 2 exhausted");
        both.rules.entry("restart".to_owned()).or_default().shadows = shadows(1, &[3]).shadows;
        assert_eq!(
            both.rules["restart"].to_string(),
            "14 healed, 2 exhausted; would have acted 1 time; 1 resolved on its own after 3m"
        );
        assert_eq!(RuleReport::default().to_string(), "nothing has ended");
        both.add_ended("restart", Outcome::Healed, 3);
        assert_eq!(both.rules["restart"].ended[&Outcome::Healed], 17);
    }

    #[test]
    fn a_shadow_counts_as_resolved_when_its_last_alert_is() {
        use crate::domain::alert::{Alert, Fingerprint, Labels};
        use crate::domain::heal::Phase;
        use crate::domain::heal::tests::{acting, at, heal};
        let alert = |ends_at: Option<i64>| Alert {
            fingerprint: Fingerprint::of(&Labels::new()),
            status: if ends_at.is_some() { AlertStatus::Resolved } else { AlertStatus::Firing },
            labels: Labels::new(),
            annotations: Labels::new(),
            starts_at: at(0),
            ends_at: ends_at.map(at),
            generator_url: String::new(),
        };
        let shadow = |ends: &[Option<i64>]| {
            let mut shadow = heal(Phase::Ended { outcome: Outcome::Shadowed, at: at(100) });
            shadow.alerts = ends.iter().map(|ends_at| alert(*ends_at).into()).collect();
            shadow
        };
        let mut report = Report::default();
        for shadow in [
            shadow(&[Some(160), Some(400)]),
            shadow(&[Some(160), None]),
            shadow(&[Some(40)]),
            Heal { phase: acting(None), ..shadow(&[Some(160)]) },
        ] {
            report.add_shadow(&shadow);
        }
        let told = &report.rules["restart"].shadows;
        assert_eq!(told.would_have_acted, 4);
        let seconds: Vec<_> = told.resolved_after.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [300, 0], "the last alert counts, and none fires any more; a clock may have gone back");
        // It fires again: when it last ended says nothing now.
        let mut again = shadow(&[Some(160)]);
        std::sync::Arc::make_mut(&mut again.alerts[0]).status = AlertStatus::Firing;
        assert_eq!(resolved_after(&again), None);
    }
}
