//! One table for each guard.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use crate::domain::heal::{Approval, Phase};
use crate::domain::pause::{AlertMatchers, PauseId, PauseScope};
use crate::domain::rule::Mode;
use crate::domain::rule_policy::{RuleLimits, StormLimit, WhenSilenced};
use crate::domain::time_interval::{Period, Schedule, TimeInterval, Times};

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
        alerts: vec![alert.into()],
        external_url: String::new(),
        throttle: Duration::ZERO,
        receivers: Vec::new(),
        description: String::new(),
        runbook: String::new(),
        approval: None,
        call: None,
        relapses: Vec::new(),
        first_attempt_at: None,
        last_action_ended_at: None,
        created_at: at(NOW),
        updated_at: at(NOW),
        timeline: Vec::new(),
        timeline_dropped: 0,
    }
}

/// What the guards say: `allow`, or the word for their no and until when it holds.
fn said(heal: &Heal, limits: &Limits, load: &Load) -> String {
    said_under(&RulePolicy::default(), heal, limits, load)
}

fn said_under(rule: &RulePolicy, heal: &Heal, limits: &Limits, load: &Load) -> String {
    word(ask(&Situation { heal, limits, rule: Some(rule), alertmanager: None, load, now: at(NOW) }))
}

fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Hold { until, reason } => {
            assert!(reason.is_hold(), "{reason:?} must count as a hold");
            // Where the reason names a time it is the one that counts.
            let said = serde_json::to_value(&reason).unwrap();
            let named = said.get("until").filter(|named| !named.is_null());
            assert!(named.is_none_or(|named| *named == serde_json::to_value(until).unwrap()), "{said}");
            format!("hold {}", until.as_second() - NOW)
        }
        Verdict::Refuse { .. } => "refuse".to_owned(),
        Verdict::Ask => "ask".to_owned(),
        Verdict::Expired { at } => format!("expired {}", at.as_second() - NOW),
    }
}

#[test]
fn limits_over_all_rules_allow_below_and_hold_at() {
    let holder = HealId(Uuid::nil());
    let limits = Limits { concurrent: 2, per_hour: 3, windows: Vec::new() };
    let free = Load::default();
    for (name, load, expected) in [
        ("all free", free.clone(), "allow"),
        ("just below", Load { acting: 1, started_last_hour: 2, ..free.clone() }, "allow"),
        ("concurrent reached", Load { acting: 2, ..free.clone() }, "hold 1"),
        ("hour used up", Load { started_last_hour: 3, oldest_start: Some(at(9_000)), ..free.clone() }, "hold 2600"),
        ("hour used up, by nobody knows whom", Load { started_last_hour: 3, ..free.clone() }, "hold 3600"),
        ("target busy", Load { target_holder: Some((holder, at(NOW + 30))), ..free.clone() }, "hold 2"),
        (
            "target busy before the limits",
            Load { acting: 9, target_holder: Some((holder, at(9_000))), ..free },
            "hold 1",
        ),
    ] {
        assert_eq!(said(&heal(), &limits, &load), expected, "{name}");
    }
}

#[test]
fn of_several_windows_the_one_that_is_full_for_longest_counts() {
    const MINUTE: u64 = 60;
    const DAY: u64 = 24 * 3600;
    let window = |actions, seconds| Window { actions, within: Duration::from_secs(seconds) };
    let begun = |seconds, started, ago: i64| Begun {
        within: Duration::from_secs(seconds),
        started,
        oldest: Some(at(NOW - ago)),
    };
    for (name, hour, windows, expected) in [
        ("nothing began", 0, vec![], "allow"),
        ("just below both", 3, vec![begun(10 * MINUTE, 2, 500), begun(DAY, 19, 80_000)], "allow"),
        ("the short one is full", 3, vec![begun(10 * MINUTE, 3, 500), begun(DAY, 19, 80_000)], "hold 100"),
        ("the long one is full", 3, vec![begun(10 * MINUTE, 0, 500), begun(DAY, 20, 80_000)], "hold 6400"),
        ("both are full", 3, vec![begun(10 * MINUTE, 3, 500), begun(DAY, 20, 80_000)], "hold 6400"),
        ("the hour is full as well", 4, vec![begun(10 * MINUTE, 3, 500)], "hold 600"),
        ("the oldest leaves this moment", 3, vec![begun(10 * MINUTE, 3, 600)], "hold 1"),
        ("a clock went back", 3, vec![begun(10 * MINUTE, 3, -60)], "hold 660"),
        ("another window was counted", 3, vec![begun(MINUTE, 99, 1)], "allow"),
    ] {
        let load = |windows: &[Begun]| Load {
            started_last_hour: hour,
            oldest_start: Some(at(NOW - 3000)),
            windows: windows.into(),
            ..Load::default()
        };
        let windows_of = || vec![window(3, 10 * MINUTE), window(20, DAY)];
        let limits = Limits { per_hour: 4, windows: windows_of(), ..Limits::default() };
        assert_eq!(said(&heal(), &limits, &load(&windows)), expected, "{name}, over all rules");
        let rule = RulePolicy {
            limits: RuleLimits { per_hour: Some(4), windows: windows_of(), ..RuleLimits::default() },
            ..RulePolicy::default()
        };
        let Load { started_last_hour, oldest_start, windows, .. } = load(&windows);
        let of_rule = RuleLoad { started_last_hour, oldest_start, windows, ..RuleLoad::default() };
        let load = Load { rule: of_rule, ..Load::default() };
        assert_eq!(said_under(&rule, &heal(), &Limits::default(), &load), expected, "{name}, of the rule");
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
        let limits = Limits { concurrent: 100, per_hour: 1, windows: Vec::new() };
        assert_eq!(said(&heal(), &limits, &load), expected, "{name}");
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
        assert_eq!(said(&heal, &Limits::default(), &Load::default()), expected, "{name}");
    }
}

#[test]
fn a_rule_has_limits_of_its_own_beside_those_over_all_rules() {
    let policy = |concurrent, per_hour| RulePolicy {
        limits: RuleLimits { concurrent, per_hour, ..RuleLimits::default() },
        ..RulePolicy::default()
    };
    let load = |acting, started| Load {
        rule: RuleLoad {
            acting,
            started_last_hour: started,
            oldest_start: Some(at(NOW - 3000)),
            ..RuleLoad::default()
        },
        ..Load::default()
    };
    for (name, rule, load, expected) in [
        ("no limits", policy(None, None), load(99, 99), "allow"),
        ("below both", policy(Some(2), Some(3)), load(1, 2), "allow"),
        ("as many run as may", policy(Some(2), Some(3)), load(2, 0), "hold 1"),
        ("as many began as may", policy(Some(2), Some(3)), load(0, 3), "hold 600"),
        ("the hour lasts longer", policy(Some(2), Some(3)), load(2, 3), "hold 600"),
    ] {
        assert_eq!(said_under(&rule, &heal(), &Limits::default(), &load), expected, "{name}");
    }
    let full = Load { acting: 10, ..load(0, 0) };
    assert_eq!(said_under(&policy(Some(2), None), &heal(), &Limits::default(), &full), "hold 1", "both must allow");
}

#[test]
fn a_storm_holds_what_has_not_acted_until_it_has_been_calm_for_a_while() {
    let minutes = Duration::from_mins;
    let limit = StormLimit { targets: 2, within: minutes(2), hold: minutes(15) };
    let rule =
        RulePolicy { limits: RuleLimits { storm: Some(limit), ..RuleLimits::default() }, ..RulePolicy::default() };
    let load = |seconds_ago: &[i64], storm: Option<(i64, i64)>| Load {
        rule: RuleLoad {
            sightings: seconds_ago.iter().map(|ago| at(NOW - ago)).collect(),
            storm: storm.map(|(since, until)| Storm { since: at(NOW + since), until: at(NOW + until) }),
            ..RuleLoad::default()
        },
        ..Load::default()
    };
    let acted = Heal { first_attempt_at: Some(at(NOW - 10)), ..heal() };
    // The window of 120 s and the hold of 900 s count from the oldest of the three that made it a storm.
    for (name, heal, load, expected) in [
        ("quiet", heal(), load(&[], None), "allow"),
        ("as many as may be", heal(), load(&[0, 10], None), "allow"),
        ("one more", heal(), load(&[0, 10, 20], None), "hold 1000"),
        ("a heal that has acted goes on", acted, load(&[0, 10, 20], None), "allow"),
        ("just too far apart", heal(), load(&[0, 60, 120], None), "allow"),
        ("just within", heal(), load(&[0, 60, 119], None), "hold 901"),
        ("calm for a while", heal(), load(&[500, 510, 520], None), "hold 500"),
        ("calm for long enough", heal(), load(&[1000, 1010, 1020], None), "allow"),
        ("a late one does not hide an earlier storm", heal(), load(&[0, 500, 510, 520], None), "hold 500"),
        ("known although its sightings were seen again", heal(), load(&[0], Some((-600, 300))), "hold 300"),
        ("known and over", heal(), load(&[0], Some((-600, 0))), "allow"),
        ("a clock that went back", heal(), load(&[], Some((3000, 9000))), "hold 1020"),
    ] {
        assert_eq!(said_under(&rule, &heal, &Limits::default(), &load), expected, "{name}");
    }
    let load = load(&[0, 60, 119, 120], None);
    let (heal, limits) = (heal(), &Limits::default());
    let verdict =
        ask(&Situation { heal: &heal, limits, rule: Some(&rule), alertmanager: None, load: &load, now: at(NOW) });
    let Verdict::Hold { reason: Reason::Storm { targets, limit, .. }, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!((targets, limit), (3, 2), "those within the window are told, however many there were before");
}

#[test]
fn a_rule_is_blocked_while_another_alert_fires() {
    let matchers = |text: &str| AlertMatchers::parse(vec![text.to_owned()]).unwrap();
    let rule = RulePolicy {
        blocked_by: vec![matchers("alertname=NodeDown, severity=critical"), matchers("alertname=Maintenance")],
        ..RulePolicy::default()
    };
    let fires = |name: &str, severity: &str| {
        let labels = [("alertname", name), ("severity", severity)];
        let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Labels>();
        Blocker { fingerprint: Fingerprint::of(&labels), labels, seen_at: at(NOW - 5) }
    };
    let own = Blocker { fingerprint: heal().alerts[0].fingerprint, ..fires("Maintenance", "") };
    for (name, blockers, expected) in [
        ("nothing else fires", vec![], "allow"),
        ("something else fires", vec![fires("Latency", "critical")], "allow"),
        ("half of what blocks", vec![fires("NodeDown", "warning")], "allow"),
        ("what blocks", vec![fires("Latency", ""), fires("NodeDown", "critical")], "hold 15"),
        ("the other one", vec![fires("Maintenance", "")], "hold 15"),
        ("its own alert", vec![own], "allow"),
    ] {
        let load = Load { blockers: blockers.into(), ..Load::default() };
        assert_eq!(said_under(&rule, &heal(), &Limits::default(), &load), expected, "{name}");
        assert_eq!(said(&heal(), &Limits::default(), &load), "allow", "{name}, for a rule that nothing blocks");
    }
}

#[test]
fn a_rule_acts_within_its_active_times_and_outside_of_its_muted_ones() {
    // Now is 02:46:40 in UTC.
    let interval = |name: &str, start: &str, end: &str| {
        let times = Times::parse(start, end).unwrap();
        let period = Period { times: Some(vec![times]), ..Period::always(jiff::tz::TimeZone::UTC) };
        Arc::new(TimeInterval { name: name.to_owned(), periods: vec![period] })
    };
    let night = interval("night", "01:00", "03:00");
    let day = interval("day", "08:00", "16:00");
    let under = |active: &[&Arc<TimeInterval>], mute: &[&Arc<TimeInterval>]| {
        let list = |list: &[&Arc<TimeInterval>]| list.iter().map(|interval| Arc::clone(interval)).collect();
        RulePolicy { schedule: Schedule { active: list(active), mute: list(mute) }, ..RulePolicy::default() }
    };
    for (name, rule, expected) in [
        ("always", under(&[], &[]), "allow"),
        ("active now", under(&[&night], &[]), "allow"),
        ("active later", under(&[&day], &[]), "hold 18800"),
        ("muted now", under(&[], &[&night]), "hold 800"),
        ("muted later", under(&[], &[&day]), "allow"),
        ("never, looked at once a day", under(&[&night], &[&night]), "hold 86400"),
    ] {
        assert_eq!(said_under(&rule, &heal(), &Limits::default(), &Load::default()), expected, "{name}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one arm for each guard")]
fn the_order_is_people_then_times_then_leave_then_limits_then_what_else_fires() {
    let minute = Duration::from_mins(1);
    let storm = Some(StormLimit { targets: 1, within: minute, hold: minute });
    let blocked_by = vec![AlertMatchers::parse(vec!["alertname=NodeDown".to_owned()]).unwrap()];
    let always =
        Arc::new(TimeInterval { name: "always".to_owned(), periods: vec![Period::always(jiff::tz::TimeZone::UTC)] });
    let mut rule = RulePolicy {
        schedule: Schedule { active: vec![], mute: vec![always] },
        limits: RuleLimits { concurrent: Some(1), per_hour: Some(1), windows: vec![], storm },
        blocked_by,
        ..RulePolicy::default()
    };
    let labels = Labels::from([("alertname".to_owned(), "NodeDown".to_owned())]);
    let blocker = Blocker { fingerprint: Fingerprint::of(&labels), labels, seen_at: at(NOW) };
    let mut load = Load {
        pauses: [pause(PauseScope::All, 60)].into(),
        acting: 1,
        target_holder: Some((HealId(Uuid::nil()), at(NOW + 30))),
        started_last_hour: 1,
        oldest_start: None,
        windows: [].into(),
        rule: RuleLoad {
            acting: 1,
            started_last_hour: 1,
            oldest_start: None,
            windows: [].into(),
            sightings: [at(NOW), at(NOW)].into(),
            storm: None,
        },
        blockers: [blocker].into(),
    };
    let limits = &Limits { concurrent: 1, per_hour: 1, windows: vec![] };
    let mut heal = Heal { mode: Mode::Ask, ..heal() };
    let never_asked = crate::domain::alertmanager::Alertmanager::default();
    let mut alertmanager = Some(&never_asked);
    rule.max_age = Some(Duration::from_secs(1));
    let mut said = Vec::new();
    // Each danger is taken away as soon as it has been named.
    loop {
        let word =
            match ask(&Situation { heal: &heal, limits, rule: Some(&rule), alertmanager, load: &load, now: at(NOW) }) {
                Verdict::Refuse { .. } => {
                    rule.max_age = None;
                    "stale"
                }
                Verdict::Ask => {
                    heal.mode = Mode::Act;
                    "ask"
                }
                Verdict::Hold { reason, .. } => match reason {
                    Reason::Paused { .. } => {
                        load.pauses = [].into();
                        "paused"
                    }
                    Reason::Muted { .. } => {
                        rule.schedule = Schedule::default();
                        "muted"
                    }
                    Reason::AskingAlertmanager { .. } => {
                        alertmanager = None;
                        "not known"
                    }
                    Reason::TargetBusy { .. } => {
                        load.target_holder = None;
                        "target busy"
                    }
                    Reason::HourlyLimit { .. } => {
                        load.started_last_hour = 0;
                        "per hour"
                    }
                    Reason::ConcurrentLimit { .. } => {
                        load.acting = 0;
                        "concurrent"
                    }
                    Reason::RuleHourlyLimit { .. } => {
                        load.rule.started_last_hour = 0;
                        "per hour of the rule"
                    }
                    Reason::RuleConcurrentLimit { .. } => {
                        load.rule.acting = 0;
                        "concurrent of the rule"
                    }
                    Reason::Storm { .. } => {
                        load.rule.sightings = [].into();
                        "storm"
                    }
                    Reason::BlockedBy { .. } => {
                        load.blockers = [].into();
                        "blocked"
                    }
                    other => panic!("{other:?}"),
                },
                Verdict::Expired { at } => panic!("expired at {at}"),
                Verdict::Allow(_) => break,
            };
        said.push(word);
    }
    assert_eq!(
        said,
        [
            "paused",
            "muted",
            "not known",
            "stale",
            "ask",
            "target busy",
            "per hour",
            "concurrent",
            "per hour of the rule",
            "concurrent of the rule",
            "storm",
            "blocked"
        ]
    );
}

#[test]
fn how_the_alert_stands_must_be_known_and_be_told() {
    use crate::domain::alertmanager::{Alertmanager, AlertmanagerView, Standing};
    let heal = heal();
    let alert = heal.alerts[0].fingerprint;
    let view = |asked: i64, alerts: &[(Fingerprint, Standing)]| {
        Some(AlertmanagerView { asked_at: at(NOW + asked), up_since: at(0), alerts: alerts.iter().cloned().collect() })
    };
    let active = [(alert, Standing::Active)];
    let silenced = [(alert, Standing::Suppressed("silenced by 17".to_owned()))];
    let failure = || Some("nobody listens".to_owned());
    let heals_silenced = RulePolicy { when_silenced: WhenSilenced::Heal, ..RulePolicy::default() };
    let plain = RulePolicy::default();
    for (name, rule, view, failure, expected) in [
        ("it has it", &plain, view(0, &active), None, "allow"),
        ("silenced", &plain, view(0, &silenced), None, "hold 5"),
        ("silenced and the rule heals nevertheless", &heals_silenced, view(0, &silenced), None, "allow"),
        ("gone", &plain, view(0, &[]), None, "hold 5"),
        ("gone and the rule heals silenced ones", &heals_silenced, view(0, &[]), None, "hold 5"),
        ("never asked", &plain, None, None, "hold 0"),
        ("asked before the alert came", &plain, view(-1, &active), None, "hold 0"),
        ("asked too long ago", &plain, view(-40, &active), None, "hold 0"),
        ("does not answer", &plain, None, failure(), "hold 5"),
        ("did not answer now, but did a moment ago", &plain, view(0, &active), failure(), "allow"),
    ] {
        let alertmanager = Alertmanager { view, failure };
        let (limits, load) = (&Limits::default(), Load::default());
        let situation = Situation {
            heal: &heal,
            limits,
            rule: Some(rule),
            alertmanager: Some(&alertmanager),
            load: &load,
            now: at(NOW),
        };
        assert_eq!(word(ask(&situation)), expected, "{name}");
    }
}

#[test]
fn an_alert_that_fires_for_too_long_is_refused_before_anything_was_done() {
    let rule = |seconds| RulePolicy { max_age: Some(Duration::from_secs(seconds)), ..RulePolicy::default() };
    let (limits, load) = (&Limits::default(), Load::default());
    let mut heal = heal();
    assert_eq!(said_under(&rule(60), &heal, limits, &load), "allow");
    assert_eq!(said_under(&rule(59), &heal, limits, &load), "refuse");
    let mut young = Alert::clone(&heal.alerts[0]);
    young.starts_at = at(NOW - 5);
    heal.alerts.push(young.into());
    assert_eq!(said_under(&rule(59), &heal, limits, &load), "allow", "one is young");
    heal.alerts.pop();
    heal.first_attempt_at = Some(at(NOW - 30));
    assert_eq!(said_under(&rule(59), &heal, limits, &load), "allow", "a ladder that has begun goes on");
}
