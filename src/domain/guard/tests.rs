//! One table for each guard.

use uuid::Uuid;

use super::*;
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use crate::domain::heal::{Approval, Phase};
use crate::domain::pause::{AlertMatchers, PauseId, PauseScope};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

const NOW: i64 = 10_000;

fn heal() -> Heal {
    let labels = Labels::from([("job".to_owned(), "ui".to_owned())]);
    let alert = Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: at(NOW - 60),
        ends_at: None,
        generator_url: String::new(),
    };
    Heal {
        id: HealId(Uuid::from_u128(1)),
        rule: "restart".to_owned(),
        target: Target::new("docker:local/name/ui"),
        mode: Mode::Act,
        phase: Phase::Pending { due_at: at(NOW), unreachable_since: None },
        reason: Reason::NotifyOnly,
        steps: Vec::new(),
        step: 0,
        alerts: vec![alert],
        external_url: String::new(),
        throttle: Duration::ZERO,
        receivers: Vec::new(),
        description: String::new(),
        runbook: String::new(),
        approval: None,
        first_attempt_at: None,
        last_action_ended_at: None,
        created_at: at(NOW),
        updated_at: at(NOW),
        timeline: Vec::new(),
        timeline_dropped: 0,
    }
}

/// What the guards say: `allow`, or the word for their no and until when it holds.
fn said(heal: &Heal, limits: Limits, load: &Load) -> String {
    match ask(&Situation { heal, limits, load, now: at(NOW) }) {
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Hold { until, reason } => {
            assert!(reason.is_hold(), "{reason:?} must count as a hold");
            format!("hold {}", until.as_second() - NOW)
        }
        Verdict::Ask => "ask".to_owned(),
        Verdict::Expired { at } => format!("expired {}", at.as_second() - NOW),
    }
}

#[test]
fn limits_over_all_rules_allow_below_and_hold_at() {
    let holder = HealId(Uuid::nil());
    let limits = Limits { concurrent: 2, per_hour: 3 };
    let free = Load::default();
    for (name, load, expected) in [
        ("all free", free.clone(), "allow"),
        ("just below", Load { acting: 1, started_last_hour: 2, ..free.clone() }, "allow"),
        ("concurrent reached", Load { acting: 2, ..free.clone() }, "hold 1"),
        ("hour used up", Load { started_last_hour: 3, oldest_start: Some(at(9_000)), ..free.clone() }, "hold 2600"),
        ("target busy", Load { target_holder: Some((holder, at(NOW + 30))), ..free.clone() }, "hold 2"),
        (
            "target busy before the limits",
            Load { acting: 9, target_holder: Some((holder, at(9_000))), ..free },
            "hold 1",
        ),
    ] {
        assert_eq!(said(&heal(), limits, &load), expected, "{name}");
    }
}

fn pause(scope: PauseScope, until: i64) -> Pause {
    Pause {
        id: PauseId(Uuid::nil()),
        scope,
        reason: "moving the rack".to_owned(),
        by: "ann".to_owned(),
        since: at(0),
        until: at(NOW + until),
    }
}

#[test]
fn a_pause_holds_what_it_covers_until_the_last_one_ends() {
    let rule = |name: &str| PauseScope::Rule { rule: name.to_owned() };
    let alerts =
        |matcher: &str| PauseScope::Alerts { matchers: AlertMatchers::parse(vec![matcher.to_owned()]).unwrap() };
    for (name, pauses, expected) in [
        ("none", vec![], "allow"),
        ("everything", vec![pause(PauseScope::All, 60)], "hold 60"),
        ("over", vec![pause(PauseScope::All, 0)], "allow"),
        ("this rule", vec![pause(rule("restart"), 60)], "hold 60"),
        ("another rule", vec![pause(rule("other"), 60)], "allow"),
        ("these alerts", vec![pause(alerts("job=ui"), 60)], "hold 60"),
        ("other alerts", vec![pause(alerts("job=db"), 60)], "allow"),
        (
            "several",
            vec![pause(rule("other"), 900), pause(PauseScope::All, 60), pause(rule("restart"), 300)],
            "hold 300",
        ),
    ] {
        let load = Load { pauses: pauses.into(), acting: 99, ..Load::default() };
        let limits = Limits { concurrent: 100, per_hour: 1 };
        assert_eq!(said(&heal(), limits, &load), expected, "{name}");
    }
}

#[test]
fn who_asks_first_waits_for_leave_for_this_very_step() {
    let ask = Heal { mode: Mode::Ask, ..heal() };
    let approved = |step, expires| Some(Approval { step, by: "ann".to_owned(), expires_at: at(NOW + expires) });
    for (name, heal, expected) in [
        ("acts on its own", heal(), "allow"),
        ("nobody asked yet", ask.clone(), "ask"),
        ("allowed", Heal { approval: approved(0, 60), ..ask.clone() }, "allow"),
        ("another step was allowed", Heal { step: 1, approval: approved(0, 60), ..ask.clone() }, "ask"),
    ] {
        assert_eq!(said(&heal, Limits::default(), &Load::default()), expected, "{name}");
    }
}
