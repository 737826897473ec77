//! When a rule may act: within its `activeTimes` and outside its `muteTimes`.

use std::sync::Arc;

use jiff::Span;
use jiff::civil::{Date, Time};

use super::{Period, TimeInterval, Times};
use crate::domain::Timestamp;

/// How far ahead the next opening is looked for. Nothing but a range of years is farther away.
const DAYS_AHEAD: i32 = 366;

/// A rule's `activeTimes` and `muteTimes`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// The rule acts only while one of these holds; with none at all times.
    pub active: Vec<Arc<TimeInterval>>,
    /// The rule does not act while one of these holds.
    pub mute: Vec<Arc<TimeInterval>>,
}

/// Why a rule may not act now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// This interval of `muteTimes` holds.
    Muted(String),
    /// None of these `activeTimes` holds.
    Inactive(Vec<String>),
}

impl Schedule {
    /// Why the rule may not act at an instant; `None` when it may.
    #[must_use]
    pub fn closed(&self, at: Timestamp) -> Option<Closed> {
        if let Some(mute) = self.mute.iter().find(|interval| interval.contains(at)) {
            return Some(Closed::Muted(mute.name.clone()));
        }
        if self.active.is_empty() || self.active.iter().any(|interval| interval.contains(at)) {
            return None;
        }
        Some(Closed::Inactive(self.active.iter().map(|interval| interval.name.clone()).collect()))
    }

    /// The first instant from `from` on at which the rule may act; `None` when there is none within a year.
    #[must_use]
    pub fn opens(&self, from: Timestamp) -> Option<Timestamp> {
        if self.closed(from).is_none() {
            return Some(from);
        }
        // Whether the rule may act changes only where a period begins or ends, so no other instants need a look.
        let opens_on = |day: i32| {
            let mut edges: Vec<Timestamp> = self.periods().flat_map(|period| edges(period, from, day)).collect();
            edges.retain(|edge| *edge > from);
            edges.sort_unstable();
            edges.into_iter().find(|edge| self.closed(*edge).is_none())
        };
        // The next days of a location far in the east begin before this one has ended far in the west.
        let first = (0..=DAYS_AHEAD).find(|day| opens_on(*day).is_some())?;
        (first..=first + 2).filter_map(opens_on).min()
    }

    fn periods(&self) -> impl Iterator<Item = &Period> {
        self.active.iter().chain(&self.mute).flat_map(|interval| &interval.periods)
    }
}

/// The instants at which a period may begin or end within the day that is `day` days after `from`'s.
fn edges(period: &Period, from: Timestamp, day: i32) -> Vec<Timestamp> {
    let Ok(date) = period.location.to_datetime(from).date().checked_add(Span::new().days(day)) else {
        return Vec::new();
    };
    let times = period.times.iter().flatten().copied().flat_map(Times::edges);
    let mut edges: Vec<Timestamp> =
        std::iter::once(Time::midnight()).chain(times).flat_map(|time| instants(period, date, time)).collect();
    // A clock that is put forward or back jumps over edges or passes them again.
    let day_start = edges.iter().min().copied();
    let day_end = instants(period, date, Time::MAX).into_iter().max();
    if let (Some(start), Some(end)) = (day_start, day_end) {
        let jumps = period.location.following(start).map(|jump| jump.timestamp());
        edges.extend(jumps.take_while(|jump| *jump <= end));
    }
    edges
}

/// The instants at which a clock shows a time: two where it is put back, and the end of the gap where it is put forward.
fn instants(period: &Period, date: Date, time: Time) -> Vec<Timestamp> {
    let ambiguous = period.location.to_ambiguous_timestamp(date.to_datetime(time));
    [ambiguous.earlier(), ambiguous.later()].into_iter().flatten().collect()
}
