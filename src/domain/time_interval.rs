//! Named times, as Alertmanager's `time_intervals` have them, and when a rule may act by them.
//!
//! Wall clocks count: a time of day is what a clock in the interval's location shows, also on days that have 23 or 25
//! hours. Time zones are handed in; finding them by name is not done here.

mod range;
mod schedule;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Timestamp;
pub use range::{DaysOfMonth, Months, RangeError, Times, Weekdays, Years, names};
pub use schedule::{Closed, Schedule};

/// A name for times: it holds when one of its periods does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeInterval {
    /// What rules call it.
    pub name: String,
    /// Its periods.
    pub periods: Vec<Period>,
}

impl TimeInterval {
    /// Whether an instant lies within.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.periods.iter().any(|period| period.contains(at))
    }
}

/// Every field that is given must hold, and a field holds when one of its ranges does. Nothing given: always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Times of the day.
    pub times: Option<Vec<Times>>,
    /// Days of the week.
    pub weekdays: Option<Vec<Weekdays>>,
    /// Days of the month.
    pub days_of_month: Option<Vec<DaysOfMonth>>,
    /// Months of the year.
    pub months: Option<Vec<Months>>,
    /// Years.
    pub years: Option<Vec<Years>>,
    /// Whose clocks count.
    pub location: TimeZone,
}

impl Period {
    /// Always, by clocks in `location`.
    #[must_use]
    pub const fn always(location: TimeZone) -> Self {
        Self { times: None, weekdays: None, days_of_month: None, months: None, years: None, location }
    }

    /// Whether an instant lies within.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.shows(self.location.to_datetime(at))
    }

    /// Whether it holds while a clock in its location shows `clock`.
    fn shows(&self, clock: DateTime) -> bool {
        fn any<R>(ranges: Option<&Vec<R>>, holds: impl Fn(&R) -> bool) -> bool {
            ranges.is_none_or(|ranges| ranges.iter().any(holds))
        }
        any(self.times.as_ref(), |range| range.contains(clock.time()))
            && any(self.weekdays.as_ref(), |range| range.contains(clock.weekday()))
            && any(self.days_of_month.as_ref(), |range| range.contains(clock.day(), clock.days_in_month()))
            && any(self.months.as_ref(), |range| range.contains(clock.month()))
            && any(self.years.as_ref(), |range| range.contains(clock.year()))
    }
}

#[cfg(test)]
mod tests;
