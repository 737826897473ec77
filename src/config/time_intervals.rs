//! `timeIntervals:` — Alertmanager's named times, and the rules' references to them.
//!
//! Their keys may be written as in Alertmanager (`start_time`) or as elsewhere here (`startTime`), so that an interval can
//! be copied. What Alertmanager refuses is refused; so is what it takes although it can never hold, because a rule
//! would then act never, or always, without saying so.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::names::Names;
use super::reader::{Mapping, Reader, Schema};
use super::suggest;
use super::yaml::Node;
use crate::domain::time_interval::{self, Period, RangeError, Schedule, TimeInterval, Times};

const INTERVAL: Schema = Schema {
    what: "a time interval",
    keys: &["name", "timeIntervals", "time_intervals"],
    unsupported: &[],
    strict: true,
};
const PERIOD: Schema = Schema {
    what: "a period of a time interval",
    keys: &["times", "weekdays", "daysOfMonth", "days_of_month", "months", "years", "location"],
    unsupported: &[],
    strict: true,
};
const TIMES: Schema = Schema {
    what: "a range of `times`",
    keys: &["startTime", "start_time", "endTime", "end_time"],
    unsupported: &[],
    strict: true,
};

/// All time intervals by name.
pub(super) struct TimeIntervals {
    names: Names,
    intervals: BTreeMap<String, Arc<TimeInterval>>,
}

impl TimeIntervals {
    /// None yet.
    pub fn new() -> Self {
        Self { names: Names::new("time interval"), intervals: BTreeMap::new() }
    }

    /// See [`Names::mark_incomplete`].
    pub fn mark_incomplete(&mut self) {
        self.names.mark_incomplete();
    }

    /// Adds the intervals of one file.
    pub fn read(&mut self, reader: &Reader<'_>, node: &Node) {
        for node in reader.list(node, "time intervals") {
            if let Some(interval) = self.read_interval(reader, node) {
                self.intervals.insert(interval.name.clone(), Arc::new(interval));
            }
        }
    }

    fn read_interval(&mut self, reader: &Reader<'_>, node: &Node) -> Option<TimeInterval> {
        let interval = reader.mapping(node, &INTERVAL)?;
        let name = reader.require(&interval, "name", INTERVAL.what).and_then(|node| self.names.claim(reader, node));
        let periods = either(reader, &interval, "timeIntervals", "time_intervals");
        let Some(periods) = periods else {
            reader.require(&interval, "timeIntervals", INTERVAL.what);
            return None;
        };
        let read: Vec<_> = filled(reader, periods, "periods").iter().map(|node| read_period(reader, node)).collect();
        let periods: Vec<Period> = read.into_iter().collect::<Option<_>>()?;
        (!periods.is_empty()).then_some(TimeInterval { name: name?, periods })
    }

    /// When a rule may act: its `activeTimes` and `muteTimes`.
    pub fn schedule(&self, reader: &Reader<'_>, rule: &Mapping<'_>) -> Schedule {
        let named = |key: &str| rule.get(key).map_or_else(Vec::new, |node| self.named(reader, node));
        Schedule { active: named("activeTimes"), mute: named("muteTimes") }
    }

    /// The intervals of a list of names.
    pub fn named(&self, reader: &Reader<'_>, node: &Node) -> Vec<Arc<TimeInterval>> {
        let names = filled(reader, node, "time interval names");
        let known = names.iter().filter_map(|name| self.names.known(reader, name));
        // A name whose interval did not pass is not missing; that is an error already.
        known.filter_map(|name| self.intervals.get(&name).cloned()).collect()
    }
}

/// A list with something in it. An empty one would hold never here and stand for always there.
fn filled<'n>(reader: &Reader<'_>, node: &'n Node, what: &str) -> &'n [Node] {
    let before = reader.error_count();
    let list = reader.list(node, what);
    if list.is_empty() && reader.error_count() == before {
        reader.error(&node.span, format!("this list of {what} is empty"), "name at least one, or remove the key");
    }
    list
}

/// The value of a key that has two spellings.
fn either<'n>(reader: &Reader<'_>, mapping: &Mapping<'n>, ours: &str, alertmanagers: &str) -> Option<&'n Node> {
    if mapping.get(ours).is_some()
        && let Some(span) = mapping.key_span(alertmanagers)
    {
        reader.error(span, format!("`{ours}` stands here too"), "the same key in another spelling");
    }
    mapping.get(ours).or_else(|| mapping.get(alertmanagers))
}

fn read_period(reader: &Reader<'_>, node: &Node) -> Option<Period> {
    let before = reader.error_count();
    let period = reader.mapping(node, &PERIOD)?;
    let days_of_month = either(reader, &period, "daysOfMonth", "days_of_month");
    let times = period.get("times").map(|node| filled(reader, node, "times"));
    let read = Period {
        times: times.map(|times| times.iter().filter_map(|node| read_times(reader, node)).collect()),
        weekdays: ranges(reader, period.get("weekdays"), "weekdays"),
        days_of_month: ranges(reader, days_of_month, "days of the month"),
        months: ranges(reader, period.get("months"), "months"),
        years: ranges(reader, period.get("years"), "years"),
        location: period.get("location").map_or(Some(TimeZone::UTC), |node| read_location(reader, node))?,
    };
    (reader.error_count() == before).then_some(read)
}

fn ranges<T: FromStr<Err = RangeError>>(reader: &Reader<'_>, node: Option<&Node>, what: &str) -> Option<Vec<T>> {
    let texts = filled(reader, node?, what).iter();
    let read = |node: &Node| {
        let text = reader.plain(node)?;
        let refuse = |error: RangeError| {
            reader.error_with_help(&node.span, error.to_string(), "not understood", guess_name(text));
        };
        text.parse().map_err(refuse).ok()
    };
    Some(texts.filter_map(read).collect())
}

/// What a misspelled end of a range may have meant.
fn guess_name(range: &str) -> Option<String> {
    let is_name = |word: &str| time_interval::names().any(|name| name.eq_ignore_ascii_case(word));
    let misspelled = range.split(':').map(str::trim).find(|word| !is_name(word))?;
    suggest::guess(misspelled, time_interval::names())
}

fn read_times(reader: &Reader<'_>, node: &Node) -> Option<Times> {
    let times = reader.mapping(node, &TIMES)?;
    let end = |ours: &str, alertmanagers: &str| {
        let node = either(reader, &times, ours, alertmanagers);
        if node.is_none() {
            reader.require(&times, ours, TIMES.what);
        }
        node.and_then(|node| reader.plain(node))
    };
    let (start, end) = (end("startTime", "start_time"), end("endTime", "end_time"));
    Times::parse(start?, end?).map_err(|error| reader.error(&node.span, error.to_string(), "not understood")).ok()
}

/// A name from the time zone database as it is spelled there, or `Local`.
fn read_location(reader: &Reader<'_>, node: &Node) -> Option<TimeZone> {
    let name = reader.word(node, "this location")?;
    let found = match name {
        "UTC" => Some(TimeZone::UTC),
        "Local" => TimeZone::try_system().ok(),
        name => TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name)),
    };
    if found.is_none() {
        let label = "expected a name of the time zone database such as Europe/Berlin, or UTC, or Local";
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let help = suggest::guess(name, known.iter().map(String::as_str));
        reader.error_with_help(&node.span, format!("there is no location {name:?}"), label, help);
    }
    found
}
