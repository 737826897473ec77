//! What reasons mean to other heals, and what of them is news.

use super::*;
use crate::domain::duration;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn rule() -> String {
    "restart".to_owned()
}

fn window(minutes: u64, started: u32) -> Reason {
    Reason::WindowLimit { started, limit: 3, within: Duration::from_mins(minutes), until: at(9) }
}

fn rule_window(minutes: u64, started: u32) -> Reason {
    Reason::RuleWindowLimit { rule: rule(), started, limit: 3, within: Duration::from_mins(minutes), until: at(9) }
}

fn paused(until: i64) -> Reason {
    let (scope, because, by) = ("everything".to_owned(), "moving the rack".to_owned(), "ann".to_owned());
    Reason::Paused { until: at(until), scope, because, by }
}

fn busy(heal: u128) -> Reason {
    Reason::TargetBusy { heal: HealId(uuid::Uuid::from_u128(heal)), until: at(9) }
}

fn rule_hour(started: u32) -> Reason {
    Reason::RuleHourlyLimit { rule: rule(), started, limit: 3, until: at(9) }
}

#[test]
fn a_limit_holds_others_back_too_and_nothing_else_does() {
    for (reason, code, expected) in [
        (Reason::ConcurrentLimit { acting: 3, limit: 3 }, "concurrent_limit", Some(Full::Everything)),
        (Reason::HourlyLimit { started: 3, limit: 3, until: at(9) }, "hourly_limit", Some(Full::Everything)),
        (window(1, 3), "window_limit", Some(Full::Everything)),
        (Reason::RuleConcurrentLimit { rule: rule(), acting: 3, limit: 3 }, "rule_concurrent_limit", Some(Full::Rule)),
        (rule_hour(3), "rule_hourly_limit", Some(Full::Rule)),
        (rule_window(1, 3), "rule_window_limit", Some(Full::Rule)),
        (busy(1), "target_busy", None),
        (paused(9), "paused", None),
    ] {
        assert_eq!((reason.full(), reason.code().as_str()), (expected, code));
        assert!(reason.is_hold(), "{reason}");
    }
    assert!(!Reason::NotifyOnly.is_hold());
}

#[test]
fn numbers_that_change_with_every_look_are_no_news_and_the_word_of_a_person_or_a_calendar_is() {
    let muted = |until| Reason::Muted { interval: "night".to_owned(), until: at(until) };
    let inactive = |intervals: &str| Reason::Inactive { intervals: intervals.to_owned(), until: at(9) };
    for (known, now, is_same) in [
        (rule_hour(3), rule_hour(4), true),
        (busy(1), busy(2), true),
        (rule_hour(3), busy(1), false),
        (window(1, 3), window(1, 4), true),
        (window(1, 3), window(60, 3), false),
        (rule_window(1, 3), rule_window(1, 4), true),
        (rule_window(1, 3), rule_window(60, 3), false),
        (window(1, 3), rule_window(1, 3), false),
        (paused(9), paused(9), true),
        (paused(9), paused(99), false),
        (muted(9), muted(99), false),
        (inactive("day"), inactive("day"), true),
        (inactive("day"), inactive("week"), false),
    ] {
        assert_eq!(known.is_same_hold(&now), is_same, "{known} / {now}");
    }
}

#[test]
fn a_sentence_leaves_out_what_there_is_nothing_to_say_about() {
    let verified = |evidence: &str, healthy_for| Reason::Verified {
        evidence: evidence.to_owned(),
        healthy_for: Duration::from_secs(healthy_for),
        took: Duration::from_secs(42),
    };
    let approval = |approvers: &str| Reason::ApprovalNeeded {
        action: "restart ui".to_owned(),
        approvers: approvers.to_owned(),
        expires_at: at(60),
    };
    let denied = |because: &str| Reason::Denied { by: "ann".to_owned(), because: because.to_owned() };
    for (reason, said) in [
        (verified("", 0), "verified: the alert resolved, 42s after the first attempt"),
        (verified("", 30), "verified: the alert resolved and stayed so for 30s, 42s after the first attempt"),
        (verified("up is 1", 0), "verified: up is 1; 42s after the first attempt"),
        (verified("up is 1", 30), "verified: up is 1; all held for 30s, 42s after the first attempt"),
        (approval(""), "waits until 1970-01-01T00:01:00Z for a person to approve: restart ui"),
        (approval("ann or bob"), "waits until 1970-01-01T00:01:00Z for ann or bob to approve: restart ui"),
        (denied(""), "ann did not approve"),
        (denied("a deploy runs"), "ann did not approve: a deploy runs"),
    ] {
        assert_eq!(reason.to_string(), said);
    }
}

#[test]
fn a_duration_is_told_in_tenths_up_to_ten_seconds_and_then_in_seconds() {
    for (millis, told) in [
        (0, 0),
        (40, 40),
        (49, 49),
        (50, 100),
        (1_249, 1_200),
        (1_250, 1_300),
        (9_949, 9_900),
        (10_499, 10_000),
        (10_500, 11_000),
        (61_700, 62_000),
    ] {
        let said = duration::told(Duration::from_millis(millis));
        assert_eq!(said, duration::format(Duration::from_millis(told)), "{millis} ms");
    }
    assert_eq!((words::counted(1, "alert"), words::counted(2, "alert")), ("1 alert".to_owned(), "2 alerts".to_owned()));
}
