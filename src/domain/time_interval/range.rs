//! The ranges that periods are made of, read as Alertmanager reads them.
//!
//! Stricter in one way: a month or year that no calendar has is refused, where Alertmanager takes it and never holds.

use std::str::FromStr;

use jiff::civil::{Time, Weekday};

/// The text is no such range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RangeError(String);

/// Names of days in Alertmanager's order: a week begins on Sunday, and no range goes over its end.
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Every name that a range can be written with.
pub fn names() -> impl Iterator<Item = &'static str> {
    WEEKDAYS.into_iter().chain(MONTHS)
}

const MINUTES_OF_A_DAY: u16 = 24 * 60;

/// Minutes of a day from the first on and before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    start: u16,
    end: u16,
}

impl Times {
    /// Reads `start_time` and `end_time`, each `HH:MM`.
    ///
    /// # Errors
    /// A text that is no time of day, and an end that is not after the start: no range goes over midnight.
    pub fn parse(start: &str, end: &str) -> Result<Self, RangeError> {
        let (start, end) = (minute(start)?, minute(end)?);
        if start >= end {
            let hint = "over midnight takes two ranges, one to 24:00 and one from 00:00";
            return Err(RangeError(format!("the end time is not after the start time; {hint}")));
        }
        Ok(Self { start, end })
    }

    /// Whether a time of day lies within.
    #[must_use]
    pub fn contains(self, time: Time) -> bool {
        (self.start..self.end).contains(&minute_of(time))
    }

    /// The times of day at which this range begins and ends; its end at midnight belongs to the next day.
    pub(super) fn edges(self) -> impl Iterator<Item = Time> {
        let time = |minute: u16| {
            let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
            Time::new(hour, minute, 0, 0).ok()
        };
        [self.start, self.end].into_iter().filter(|minute| *minute < MINUTES_OF_A_DAY).filter_map(time)
    }
}

fn minute_of(time: Time) -> u16 {
    u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
}

/// Minutes since midnight of `HH:MM`, up to `24:00`.
fn minute(text: &str) -> Result<u16, RangeError> {
    let two_digits = |text: &str| -> Option<u16> {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    text.split_once(':')
        .and_then(|(hour, minute)| Some((two_digits(hour)?, two_digits(minute)?)))
        .filter(|(hour, minute)| *minute < 60 && (*hour < 24 || (*hour, *minute) == (24, 0)))
        .map(|(hour, minute)| hour * 60 + minute)
        .ok_or_else(|| RangeError(format!("{text:?} is no time of day; write HH:MM, from 00:00 to 24:00")))
}

/// Both ends of a range, which is one value twice when there is no colon.
fn ends<T>(text: &str, end: impl Fn(&str) -> Result<T, RangeError>) -> Result<(T, T), RangeError> {
    match text.split_once(':') {
        None => Ok((end(text)?, end(text)?)),
        Some((first, last)) => Ok((end(first)?, end(last)?)),
    }
}

fn number(text: &str, what: &str) -> Result<i16, RangeError> {
    text.parse().map_err(|_| RangeError(format!("{text:?} is no {what}")))
}

/// Days of the week, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays {
    first: usize,
    last: usize,
}

impl Weekdays {
    /// Whether a day lies within.
    #[must_use]
    pub fn contains(self, day: Weekday) -> bool {
        let day = usize::from(day.to_sunday_zero_offset().unsigned_abs());
        (self.first..=self.last).contains(&day)
    }
}

impl FromStr for Weekdays {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let day = |text: &str| {
            let position = WEEKDAYS.iter().position(|name| name.eq_ignore_ascii_case(text));
            position.ok_or_else(|| RangeError(format!("{text:?} is no weekday; write for example monday")))
        };
        let (first, last) = ends(text, day)?;
        if first > last {
            let (first, last) = (WEEKDAYS[first], WEEKDAYS[last]);
            return Err(RangeError(format!(
                "{last} is before {first}: a week begins on sunday, and a range over its end is written as two"
            )));
        }
        Ok(Self { first, last })
    }
}

/// Days of a month, both ends included; negative ones count from its end, where -1 is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaysOfMonth {
    first: i16,
    last: i16,
}

impl DaysOfMonth {
    /// Whether a day lies within, in a month of so many days.
    #[must_use]
    pub fn contains(self, day: i8, days_in_month: i8) -> bool {
        let days = i16::from(days_in_month);
        let from_start = |day: i16| if day < 0 { days + 1 + day } else { day };
        // What lies before or behind the month is cut off by itself, because no day is there.
        (from_start(self.first)..=from_start(self.last)).contains(&i16::from(day))
    }
}

impl FromStr for DaysOfMonth {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        /// Every month has that many days.
        const SHORTEST: i16 = 28;
        let day = |text: &str| match number(text, "day of a month")? {
            day @ (1..=31 | -31..=-1) => Ok(day),
            _ => Err(RangeError(format!("{text} is no day of a month; write 1 to 31, or -1 to -31 from its end"))),
        };
        let (first, last) = ends(text, day)?;
        if first < 0 && last > 0 {
            return Err(RangeError(format!("{last} counts from the start of a month but {first} from its end")));
        }
        let within_shortest = |day: i16| if day < 0 { SHORTEST + day } else { day };
        if within_shortest(first) > within_shortest(last) {
            return Err(RangeError(format!("day {last} can come before day {first}")));
        }
        Ok(Self { first, last })
    }
}

/// Months of a year, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Months {
    first: i16,
    last: i16,
}

impl Months {
    /// Whether a month lies within.
    #[must_use]
    pub fn contains(self, month: i8) -> bool {
        (self.first..=self.last).contains(&i16::from(month))
    }
}

impl FromStr for Months {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let month = |text: &str| {
            let named = (1..).zip(MONTHS).find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(month, _)| month);
            named
                .or_else(|| text.parse().ok().filter(|month| (1..=12).contains(month)))
                .ok_or_else(|| RangeError(format!("{text:?} is no month; write its name or 1 to 12")))
        };
        let (first, last) = ends(text, month)?;
        if first > last {
            return Err(RangeError(
                "the last month is before the first; over the end of a year takes two ranges".to_owned(),
            ));
        }
        Ok(Self { first, last })
    }
}

/// Years, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Years {
    first: i16,
    last: i16,
}

impl Years {
    /// Whether a year lies within.
    #[must_use]
    pub fn contains(self, year: i16) -> bool {
        (self.first..=self.last).contains(&year)
    }
}

impl FromStr for Years {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let year = |text: &str| match number(text, "year")? {
            year @ 1..=9999 => Ok(year),
            _ => Err(RangeError(format!("{text} is no year"))),
        };
        let (first, last) = ends(text, year)?;
        if first > last {
            return Err(RangeError(format!("year {last} is before year {first}")));
        }
        Ok(Self { first, last })
    }
}
