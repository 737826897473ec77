//! `timeIntervals`: what Alertmanager refuses is refused, and rules find them by name.

use insta::assert_snapshot;

use super::{load, told};
use crate::support::amtool;

/// Periods that both take.
const BOTH_ACCEPT: [&str; 31] = [
    "{}",
    "{times: [{start_time: 09:00, end_time: 17:00}]}",
    "{times: [{start_time: '00:00', end_time: '24:00'}, {start_time: '09:30', end_time: '09:31'}]}",
    "{weekdays: [monday]}",
    "{weekdays: ['Monday:FRIDAY', sunday]}",
    "{weekdays: ['sunday:saturday']}",
    "{weekdays: [monday, monday]}",
    "{days_of_month: [1]}",
    "{days_of_month: [01, '+2']}",
    "{days_of_month: ['1:31']}",
    "{days_of_month: ['-1']}",
    "{days_of_month: ['-31']}",
    "{days_of_month: ['-5:-1', '7:14']}",
    "{days_of_month: ['1:-1']}",
    "{days_of_month: ['27:-1']}",
    "{months: [january, 2]}",
    "{months: ['1:3']}",
    "{months: ['May:August']}",
    "{months: ['1:march']}",
    "{years: [2026]}",
    "{years: ['2026:2028']}",
    "{years: ['02026']}",
    "{location: Europe/Berlin}",
    "{location: Local}",
    "{location: UTC}",
    "{location: GMT}",
    "{location: CET}",
    "{location: EST5EDT}",
    "{location: US/Eastern}",
    "{location: Etc/GMT+1}",
    "{times: [{start_time: '08:00', end_time: '18:00'}], weekdays: ['monday:friday'], days_of_month: ['1:7'], months: [may], years: [2026], location: Asia/Kolkata}",
];

/// Periods that both refuse.
const BOTH_REFUSE: [&str; 48] = [
    "{hours: [1]}",
    "[]",
    "monday",
    "{times: [{start_time: '9:00', end_time: '17:00'}]}",
    "{times: [{start_time: '24:00', end_time: '24:00'}]}",
    "{times: [{start_time: '17:00', end_time: '09:00'}]}",
    "{times: [{start_time: '09:00', end_time: '09:00'}]}",
    "{times: [{start_time: '17:00'}]}",
    "{times: [{end_time: '17:00'}]}",
    "{times: [{start_time: '', end_time: '17:00'}]}",
    "{times: {start_time: '17:00', end_time: '18:00'}}",
    "{times: ['09:00']}",
    "{times: [{start_time: '09:60', end_time: '10:00'}]}",
    "{times: [{start_time: '23:00', end_time: '24:01'}]}",
    "{times: [{start_time: '23:00', end_time: '25:00'}]}",
    "{times: [{start_time: '09:00:00', end_time: '10:00'}]}",
    "{times: [{start_time: ' 9:00', end_time: '10:00'}]}",
    "{times: [{start_time: '09:00', end_time: '10:00', zone: x}]}",
    "{weekdays: ['saturday:sunday']}",
    "{weekdays: ['monday:sunday']}",
    "{weekdays: [mon]}",
    "{weekdays: ['1']}",
    "{weekdays: monday}",
    "{weekdays: ['monday : friday']}",
    "{weekdays: [' monday']}",
    "{weekdays: ['monday:']}",
    "{weekdays: [':monday']}",
    "{weekdays: ['monday:tuesday:friday']}",
    "{weekdays: [true]}",
    "{days_of_month: [0]}",
    "{days_of_month: ['0:5']}",
    "{days_of_month: ['32']}",
    "{days_of_month: ['-32']}",
    "{days_of_month: ['5:1']}",
    "{days_of_month: ['-1:-5']}",
    "{days_of_month: ['-3:1']}",
    "{days_of_month: ['20:-20']}",
    "{days_of_month: ['28:-1']}",
    "{days_of_month: [0x1]}",
    "{days_of_month: [1.0]}",
    "{months: [jan]}",
    "{months: ['november:february']}",
    "{years: ['2028:2026']}",
    "{years: [next]}",
    "{location: europe/berlin}",
    "{location: utc}",
    "{location: Mars/Base}",
    "{location: '+02:00'}",
];

/// Periods that Alertmanager takes and that can never hold, or that say nothing: here they are slips of the pen.
const ONLY_WE_REFUSE: [&str; 12] = [
    "{times: []}",
    "{times: }",
    "{weekdays: []}",
    "{weekdays: }",
    "{location: ''}",
    "{months: [13]}",
    "{months: [0]}",
    "{months: ['0:5']}",
    "{months: ['-1']}",
    "{years: [0]}",
    "{years: ['-1']}",
    "{years: []}",
];

fn we_accept(period: &str) -> bool {
    let config = format!("timeIntervals: [{{name: n, timeIntervals: [{period}]}}]");
    load(&[("autoheal.yml", &config)]).is_ok()
}

fn alertmanager_accepts(periods: &[&str]) -> Vec<bool> {
    let text = |period: &&str| format!("time_intervals: [{{name: n, time_intervals: [{period}]}}]");
    amtool::accepts(&periods.iter().map(|period| amtool::configuration(&text(period))).collect::<Vec<_>>())
}

#[test]
fn alertmanager_and_we_agree_on_what_a_time_interval_is() {
    let rows = [(&BOTH_ACCEPT[..], true, true), (&BOTH_REFUSE[..], false, false), (&ONLY_WE_REFUSE[..], true, false)];
    for (periods, theirs, ours) in rows {
        for (period, judged) in periods.iter().zip(alertmanager_accepts(periods)) {
            assert_eq!((judged, we_accept(period)), (theirs, ours), "{period}");
        }
    }
}

#[test]
fn both_spellings_of_the_keys_are_read() {
    let config = "timeIntervals:\n\
                  - {name: a, time_intervals: [{times: [{start_time: '09:00', end_time: '10:00'}], days_of_month: [1]}]}\n\
                  - {name: b, timeIntervals: [{times: [{startTime: '09:00', endTime: '10:00'}], daysOfMonth: [1]}]}\n";
    assert_snapshot!(told(&[("autoheal.yml", config), ("rules/a.yml", super::RULE)]), @"");
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is what is printed")]
fn every_mistake_in_a_time_interval_is_shown_in_its_place() {
    let config = "\
timeIntervals:
- {name: office, timeIntervals: [{weekdays: ['monday:sunday'], times: [{startTime: '22:00', endTime: '06:00'}]}]}
- {name: office, timeIntervals: []}
- {name: odd, timeIntervals: [{daysOfMonth: ['28:-1'], days_of_month: [1], hours: [], location: Berlin}]}
- {name: none}
";
    let rules = "\
rules:
- metadata: {name: r}
  labels: {a: b}
  restartContainer: {name: ui}
  activeTimes: [ofice, odd]
  muteTimes: []
";
    assert_snapshot!(told(&[("autoheal.yml", config), ("rules/a.yml", rules)]), @r#"
    error: sunday is before monday: a week begins on sunday, and a range over its end is written as two
     --> autoheal.yml:2:46
      |
    2 | - {name: office, timeIntervals: [{weekdays: ['monday:sunday'], times: [{startTime: '22:00', endTime: '06:00'}]}]}
      |                                              ^^^^^^^^^^^^^^^ not understood

    error: the end time is not after the start time; over midnight takes two ranges, one to 24:00 and one from 00:00
     --> autoheal.yml:2:72
      |
    2 | - {name: office, timeIntervals: [{weekdays: ['monday:sunday'], times: [{startTime: '22:00', endTime: '06:00'}]}]}
      |                                                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not understood

    error: two time intervals are named `office`
     --> autoheal.yml:3:10
      |
    3 | - {name: office, timeIntervals: []}
      |          ^^^^^^ this name is taken
      |
      = help: the first one is at autoheal.yml:2:10

    error: this list of periods is empty
     --> autoheal.yml:3:33
      |
    3 | - {name: office, timeIntervals: []}
      |                                 ^^ name at least one, or remove the key

    error: day -1 can come before day 28
     --> autoheal.yml:4:46
      |
    4 | - {name: odd, timeIntervals: [{daysOfMonth: ['28:-1'], days_of_month: [1], hours: [], location: Berlin}]}
      |                                              ^^^^^^^ not understood

    error: `daysOfMonth` stands here too
     --> autoheal.yml:4:56
      |
    4 | - {name: odd, timeIntervals: [{daysOfMonth: ['28:-1'], days_of_month: [1], hours: [], location: Berlin}]}
      |                                                        ^^^^^^^^^^^^^ the same key in another spelling

    error: unknown key `hours` in a period of a time interval
     --> autoheal.yml:4:76
      |
    4 | - {name: odd, timeIntervals: [{daysOfMonth: ['28:-1'], days_of_month: [1], hours: [], location: Berlin}]}
      |                                                                            ^^^^^ unknown key
      |
      = help: known keys: times, weekdays, daysOfMonth, days_of_month, months, years, location

    error: there is no location "Berlin"
     --> autoheal.yml:4:97
      |
    4 | - {name: odd, timeIntervals: [{daysOfMonth: ['28:-1'], days_of_month: [1], hours: [], location: Berlin}]}
      |                                                                                                 ^^^^^^ expected a name of the time zone database such as Europe/Berlin, or UTC, or Local

    error: a time interval needs `timeIntervals`
     --> autoheal.yml:5:3
      |
    5 | - {name: none}
      |   ^^^^^^^^^^^^ `timeIntervals` is missing

    error: there is no time interval `ofice`
     --> rules/a.yml:5:17
      |
    5 |   activeTimes: [ofice, odd]
      |                 ^^^^^ unknown time interval
      |
      = help: did you mean `office`?

    error: this list of time interval names is empty
     --> rules/a.yml:6:14
      |
    6 |   muteTimes: []
      |              ^^ name at least one, or remove the key
    "#);
}

#[test]
fn a_misspelled_day_month_or_location_is_guessed() {
    let period = "{weekdays: ['mondy:friday', freitag], months: ['may:Setpember'], location: Europe/Berln}";
    let told = told(&[("autoheal.yml", &format!("timeIntervals: [{{name: a, timeIntervals: [{period}]}}]"))]);
    let guesses: Vec<_> = told.lines().filter_map(|line| line.split("did you mean ").nth(1)).collect();
    assert_eq!(guesses, ["`monday`?", "`september`?", "`Europe/Berlin`?"], "{told}");
}
