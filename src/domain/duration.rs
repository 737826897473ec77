//! Durations in Go's and Prometheus' notation.
//!
//! The two notations differ: Prometheus knows days, weeks and years but no fractions, Go knows fractions but nothing
//! above the hour. Rules are written by people who know either one, so both are read. The order of units is
//! Prometheus': from large to small, each at most once, which catches `30m1h` and `1h1h` as the slips they are.

use std::fmt::Write as _;
use std::time::Duration;

/// The units with their length in nanoseconds, from large to small. A year has 365 days, as in Prometheus.
const UNITS: [(&str, u128); 11] = [
    ("y", 365 * 24 * HOUR),
    ("w", 7 * 24 * HOUR),
    ("d", 24 * HOUR),
    ("h", HOUR),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    // Go accepts both ways to write the micro sign.
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ns", 1),
];
const SECOND: u128 = 1_000_000_000;
const HOUR: u128 = 3_600 * SECOND;

/// The longest duration: what Go can hold, about 292 years. Instants plus such a duration stay computable.
const MAX_NANOSECONDS: u128 = i64::MAX as u128;

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration: {problem}")]
pub struct DurationError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub problem: DurationProblem,
}

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationProblem {
    /// It does not look like one.
    #[error("write for example 90s, 1h30m or 1d")]
    Malformed,
    /// A number stands without a unit.
    #[error("a unit is missing after the number (y, w, d, h, m, s or ms)")]
    MissingUnit,
    /// A unit nobody knows.
    #[error("units are y, w, d, h, m, s, ms, us and ns")]
    UnknownUnit,
    /// Units out of order, or one of them twice.
    #[error("units go from large to small, each at most once")]
    Order,
    /// A sign in front.
    #[error("a duration has no sign")]
    Signed,
    /// Longer than 292 years.
    #[error("it is longer than 292 years")]
    TooLong,
}

/// Parses `90s`, `1h30m`, `1.5h`, `1d`, `2w`, `250ms` or `0`.
///
/// # Errors
/// Anything else, and what is longer than 292 years.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    nanoseconds(text).map(Duration::from_nanos_u128).map_err(|problem| DurationError { text: text.to_owned(), problem })
}

/// The sum of all parts, in nanoseconds.
fn nanoseconds(text: &str) -> Result<u128, DurationProblem> {
    if text == "0" {
        return Ok(0);
    }
    if text.starts_with(['+', '-']) {
        return Err(DurationProblem::Signed);
    }
    if text.is_empty() {
        return Err(DurationProblem::Malformed);
    }
    let mut total: u128 = 0;
    let mut smallest_allowed = u128::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let (whole, fraction, after_number) = number(rest)?;
        let unit_end = after_number
            .find(|c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace())
            .unwrap_or(after_number.len());
        let (unit, after_unit) = after_number.split_at(unit_end);
        if unit.is_empty() {
            return Err(DurationProblem::MissingUnit);
        }
        let length = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, length)| *length)
            .ok_or(DurationProblem::UnknownUnit)?;
        // The units' lengths are all different, so the length is also the rank.
        if length >= smallest_allowed {
            return Err(DurationProblem::Order);
        }
        smallest_allowed = length;
        let part = part(whole, fraction, length)?;
        total = total.checked_add(part).filter(|sum| *sum <= MAX_NANOSECONDS).ok_or(DurationProblem::TooLong)?;
        rest = after_unit;
    }
    Ok(total)
}

/// Splits `12.5rest` into the digits before and after the point and what follows; either side may be empty, not both.
fn number(text: &str) -> Result<(&str, &str, &str), DurationProblem> {
    let digits_end = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(digits_end(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after_point) => after_point.split_at(digits_end(after_point)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationProblem::Malformed);
    }
    Ok((whole, fraction, rest))
}

/// `whole.fraction` times a unit, cut off below the nanosecond.
fn part(whole: &str, fraction: &str, unit: u128) -> Result<u128, DurationProblem> {
    let whole: u128 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| DurationProblem::TooLong)?,
    };
    // Digits beyond the 18th weigh less than a nanosecond even in years, and would overflow below.
    let fraction = &fraction[..fraction.len().min(18)];
    let fraction_nanoseconds = match fraction {
        "" => 0,
        digits => {
            let digits_value: u128 = digits.parse().map_err(|_| DurationProblem::Malformed)?;
            digits_value * unit / digits.bytes().fold(1, |power: u128, _| power * 10)
        }
    };
    whole
        .checked_mul(unit)
        .and_then(|product| product.checked_add(fraction_nanoseconds))
        .ok_or(DurationProblem::TooLong)
}

/// Writes a duration the way [`parse`] reads it, for people: `1h30m`, `45s`, `250ms`, `2d`.
///
/// Nobody reads a message for its microseconds, so what is below a millisecond is left out.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "{count}{unit}");
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Writes what a person wants to know of a duration: whole seconds from ten seconds on, tenths below.
#[must_use]
pub fn told(duration: Duration) -> String {
    let unit_millis = if duration >= Duration::from_secs(10) { 1000 } else { 100 };
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let rounded = millis.saturating_add(unit_millis / 2) / unit_millis * unit_millis;
    // A wait below the unit is told exactly rather than as nothing.
    format(Duration::from_millis(if rounded == 0 { millis } else { rounded }))
}

/// A duration in the store: whole milliseconds, which is what it keeps of times too.
pub mod stored {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole milliseconds.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    /// Reads whole milliseconds.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_go_and_prometheus_users_write() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("1d", 86_400_000),
            ("2w", 1_209_600_000),
            ("1y", 31_536_000_000),
            ("1y2w3d4h5m6s7ms", 33_019_506_007_u64),
            ("250ms", 250),
            ("1500us", 1),
            ("1500\u{b5}s", 1),
            ("1500\u{3bc}s", 1),
            ("2000000ns", 2),
            ("007s", 7_000),
        ] {
            assert_eq!(parse(text).map(|d| d.as_millis()), Ok(u128::from(milliseconds)), "{text}");
        }
        assert_eq!(parse("0.1ns"), Ok(Duration::ZERO));
        assert_eq!(parse("1.000000001s"), Ok(Duration::new(1, 1)));
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        use DurationProblem::{Malformed, MissingUnit, Order, Signed, TooLong, UnknownUnit};
        for (text, problem) in [
            ("", Malformed),
            (" ", Malformed),
            ("abc", Malformed),
            ("h", Malformed),
            (".s", Malformed),
            ("1h 30m", Malformed),
            (" 1h", Malformed),
            ("1..5h", MissingUnit),
            ("10", MissingUnit),
            ("00", MissingUnit),
            ("1h30", MissingUnit),
            ("1 h", MissingUnit),
            ("5M", UnknownUnit),
            ("1hour", UnknownUnit),
            ("1\u{e9}", UnknownUnit),
            ("30m1h", Order),
            ("1h1h", Order),
            ("1us1\u{b5}s", Order),
            ("-1s", Signed),
            ("+1s", Signed),
            ("293y", TooLong),
            ("99999999999999999999999999999999999999999s", TooLong),
            ("340282366920938463463374607431768211455y", TooLong),
        ] {
            assert_eq!(parse(text).map_err(|error| error.problem), Err(problem), "{text}");
        }
        assert_eq!(
            parse("10").map_err(|error| error.to_string()),
            Err(r#""10" is no duration: a unit is missing after the number (y, w, d, h, m, s or ms)"#.to_owned())
        );
    }

    #[test]
    fn writes_for_people() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_nanos(999_999), "0s"),
            (Duration::from_millis(250), "250ms"),
            (Duration::from_secs(45), "45s"),
            (Duration::from_millis(1_250), "1s250ms"),
            (Duration::from_mins(90), "1h30m"),
            (Duration::from_hours(36), "1d12h"),
            (Duration::from_hours(24 * 90), "90d"),
        ] {
            assert_eq!(format(duration), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanoseconds in 0..=u64::try_from(i64::MAX).unwrap_or(0)) {
            let duration = Duration::from_nanos(nanoseconds);
            let whole_milliseconds = Duration::from_millis(nanoseconds / 1_000_000);
            prop_assert_eq!(parse(&format(duration)), Ok(whole_milliseconds));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn numbers_and_units_in_any_order_never_panic(text in "([0-9.]{0,30}(y|w|d|h|m|s|ms|us|ns)?){0,5}") {
            let _ = parse(&text);
        }
    }
}
