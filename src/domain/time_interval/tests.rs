use std::sync::Arc;

use jiff::{SignedDuration, tz};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn zone(name: &str) -> TimeZone {
    tz::TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn all<R: std::str::FromStr<Err = RangeError>>(texts: &[&str]) -> Vec<R> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn times(pairs: &[(&str, &str)]) -> Vec<Times> {
    pairs.iter().map(|(start, end)| Times::parse(start, end).unwrap()).collect()
}

fn utc() -> Period {
    Period::always(TimeZone::UTC)
}

fn interval(name: &str, periods: Vec<Period>) -> Arc<TimeInterval> {
    Arc::new(TimeInterval { name: name.to_owned(), periods })
}

#[test]
fn a_period_holds_when_every_field_does() {
    let office = Period {
        times: Some(times(&[("09:00", "17:00")])),
        weekdays: Some(all(&["monday:friday"])),
        ..Period::always(zone("Europe/Berlin"))
    };
    let months = Period { months: Some(all(&["march:may", "12"])), ..utc() };
    let rows = [
        // Times: the first minute counts, the last does not.
        (&office, "2026-11-23T07:59:59Z", false),
        (&office, "2026-11-23T08:00:00Z", true),
        (&office, "2026-11-23T15:59:59.999Z", true),
        (&office, "2026-11-23T16:00:00Z", false),
        // Saturday and Sunday.
        (&office, "2026-11-21T10:00:00Z", false),
        (&office, "2026-11-22T10:00:00Z", false),
        // Nine o'clock is an hour earlier in summer.
        (&office, "2026-07-20T06:59:00Z", false),
        (&office, "2026-07-20T07:00:00Z", true),
        (&months, "2026-03-01T00:00:00Z", true),
        (&months, "2026-06-01T00:00:00Z", false),
        (&months, "2026-12-31T23:59:59Z", true),
        (&Period { times: Some(times(&[("00:00", "24:00")])), ..utc() }, "2026-01-01T23:59:59Z", true),
        (
            &Period { times: Some(times(&[("23:00", "24:00"), ("00:00", "01:00")])), ..utc() },
            "2026-01-01T00:30:00Z",
            true,
        ),
        (&Period { years: Some(all(&["2025:2026"])), ..utc() }, "2026-12-31T23:00:00Z", true),
        (
            &Period { years: Some(all(&["2025:2026"])), ..Period::always(zone("Europe/Berlin")) },
            "2026-12-31T23:00:00Z",
            false,
        ),
        (&utc(), "1970-01-01T00:00:00Z", true),
    ];
    for (period, instant, expected) in rows {
        assert_eq!(period.contains(at(instant)), expected, "{instant} in {period:?}");
    }
}

#[test]
fn days_count_from_either_end_of_every_month() {
    for (text, month, days) in [
        ("1", "2026-02", "1"),
        ("31", "2026-02", ""),
        ("31", "2026-03", "31"),
        ("-1", "2026-02", "28"),
        ("-1", "2028-02", "29"),
        ("-1", "2026-04", "30"),
        ("-1", "2026-12", "31"),
        ("-3:-2", "2026-04", "28 29"),
        ("27:-1", "2026-02", "27 28"),
        ("27:-1", "2026-03", "27 28 29 30 31"),
        ("28:31", "2026-02", "28"),
        ("29:31", "2026-02", ""),
        ("30:31", "2026-04", "30"),
        // In a short month these begin before its first day.
        ("-31", "2026-04", ""),
        ("-31:-30", "2026-04", "1"),
        ("-31", "2026-01", "1"),
        ("-31:-27", "2026-02", "1 2"),
    ] {
        let period = Period { days_of_month: Some(all(&[text])), ..utc() };
        let first: jiff::civil::Date = format!("{month}-01").parse().unwrap();
        let holding: Vec<String> = (1..=first.days_in_month())
            .filter(|day| period.contains(at(&format!("{month}-{day:02}T12:00:00Z"))))
            .map(|day| day.to_string())
            .collect();
        assert_eq!(holding.join(" "), days, "{text} in {month}");
    }
}

#[test]
fn what_no_clock_or_calendar_shows_is_refused() {
    for (start, end, is_one) in [
        ("00:00", "24:00", true),
        ("23:59", "24:00", true),
        ("00:00", "24:01", false),
        ("24:00", "24:00", false),
        ("12:60", "14:00", false),
        ("25:00", "26:00", false),
        ("1:00", "02:00", false),
        ("+1:00", "02:00", false),
        ("01:00", "02", false),
        ("02:00", "02:00", false),
    ] {
        assert_eq!(Times::parse(start, end).is_ok(), is_one, "{start} to {end}");
    }
    let refused = |text: &str| text.parse::<DaysOfMonth>().map_err(|error| error.to_string()).expect_err(text);
    for text in ["0", "32", "-32", "first"] {
        assert!(refused(text).contains("no day of a month"), "{text}");
    }
    assert_eq!(refused("-3:5"), "5 counts from the start of a month but -3 from its end");
    assert_eq!(refused("5:3"), "day 3 can come before day 5");
    // As in Alertmanager: in February nothing would be left of it.
    assert_eq!(refused("28:-1"), "day -1 can come before day 28");
    assert!("1:-1".parse::<DaysOfMonth>().is_ok());
    assert!("may:march".parse::<Months>().is_err() && "13".parse::<Months>().is_err());
    assert!("saturday:monday".parse::<Weekdays>().is_err() && "payday".parse::<Weekdays>().is_err());
    assert!("2026:2025".parse::<Years>().is_err() && "0".parse::<Years>().is_err() && "9999".parse::<Years>().is_ok());
}

#[test]
fn wall_clocks_count_when_they_are_changed() {
    // Berlin 2026: 02:00 becomes 03:00 on 29 March at 01:00Z, and 03:00 becomes 02:00 on 25 October at 01:00Z.
    let night = Period { times: Some(times(&[("02:15", "02:45")])), ..Period::always(zone("Europe/Berlin")) };
    let minutes = |from: &str, count: i64| {
        (0..count).filter(|minute| night.contains(at(from) + SignedDuration::from_mins(*minute))).count()
    };
    assert_eq!(minutes("2026-03-28T00:00:00Z", 24 * 60), 30);
    assert_eq!(minutes("2026-03-29T00:00:00Z", 24 * 60), 0, "no clock shows it that night");
    assert_eq!(minutes("2026-10-25T00:00:00Z", 24 * 60), 60, "clocks show it twice that night");
}

#[test]
fn a_rule_may_act_in_active_and_outside_mute_times() {
    let monday = interval("monday", vec![Period { weekdays: Some(all(&["monday"])), ..utc() }]);
    let lunch = interval("lunch", vec![Period { times: Some(times(&[("12:00", "13:00")])), ..utc() }]);
    let never = interval("past", vec![Period { years: Some(all(&["2020"])), ..utc() }]);
    let closed = |active: &[&Arc<TimeInterval>], mute: &[&Arc<TimeInterval>], instant: &str| {
        let own = |intervals: &[&Arc<TimeInterval>]| intervals.iter().map(|interval| Arc::clone(interval)).collect();
        let schedule = Schedule { active: own(active), mute: own(mute) };
        (schedule.closed(at(instant)), schedule.opens(at(instant)).map(|opens| opens.to_string()))
    };
    let open = |instant: &str| (None, Some(instant.to_owned()));
    let inactive = |names: &[&str]| Some(Closed::Inactive(names.iter().map(|name| (*name).to_owned()).collect()));
    let muted = Some(Closed::Muted("lunch".to_owned()));
    let (sunday_noon, monday_noon) = ("2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z");
    assert_eq!(closed(&[], &[], sunday_noon), open(sunday_noon));
    assert_eq!(closed(&[&monday], &[], monday_noon), open(monday_noon));
    assert_eq!(closed(&[&monday], &[], sunday_noon), (inactive(&["monday"]), Some("2026-11-23T00:00:00Z".to_owned())));
    assert_eq!(closed(&[], &[&lunch], sunday_noon), (muted.clone(), Some("2026-11-22T13:00:00Z".to_owned())));
    assert_eq!(closed(&[&monday], &[&lunch], monday_noon), (muted.clone(), Some("2026-11-23T13:00:00Z".to_owned())));
    assert_eq!(closed(&[&monday, &lunch], &[], sunday_noon), open(sunday_noon), "one of them is enough");
    assert_eq!(closed(&[&never], &[], sunday_noon), (inactive(&["past"]), None));
    assert_eq!(closed(&[&lunch], &[&lunch], sunday_noon), (muted, None));
    let far =
        interval("far", vec![Period { days_of_month: Some(all(&["31"])), months: Some(all(&["october"])), ..utc() }]);
    assert_eq!(closed(&[&far], &[], sunday_noon).1.as_deref(), Some("2027-10-31T00:00:00Z"));
}

fn any_period() -> impl Strategy<Value = Period> {
    let zones =
        vec!["UTC", "Europe/Berlin", "Pacific/Apia", "Pacific/Pago_Pago", "Australia/Lord_Howe", "Asia/Kolkata"];
    let clock = vec![
        None,
        Some(vec![("02:15", "02:45")]),
        Some(vec![("00:00", "01:30"), ("23:59", "24:00")]),
        Some(vec![("09:00", "17:00")]),
    ];
    let days = vec![None, Some("monday"), Some("saturday"), Some("sunday:tuesday")];
    let dates = vec![None, Some("-1"), Some("25"), Some("1:3")];
    (select(zones), select(clock), select(days), select(dates)).prop_map(|(name, clock, days, dates)| Period {
        times: clock.map(|pairs| times(&pairs)),
        weekdays: days.map(|text| all(&[text])),
        days_of_month: dates.map(|text| all(&[text])),
        ..Period::always(zone(name))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The edges that are looked at are all there are: nothing opens between them.
    #[test]
    fn the_next_opening_is_the_one_a_watch_would_find(
        active in proptest::collection::vec(any_period(), 0..3),
        mute in proptest::collection::vec(any_period(), 0..3),
        month in select(vec!["2026-03-27", "2026-10-02", "2026-10-23", "2026-04-04"]),
        minute in 0_i64..3 * 24 * 60,
    ) {
        let list = |periods: Vec<Period>| if periods.is_empty() { vec![] } else { vec![interval("x", periods)] };
        let schedule = Schedule { active: list(active), mute: list(mute) };
        let from = at(&format!("{month}T00:00:00Z")) + SignedDuration::from_mins(minute);
        let watched = (0..4 * 24 * 60)
            .map(|minute| from + SignedDuration::from_mins(minute))
            .find(|instant| schedule.closed(*instant).is_none());
        let found = schedule.opens(from).filter(|opens| *opens < from + SignedDuration::from_hours(4 * 24));
        prop_assert_eq!(found, watched);
    }
}
