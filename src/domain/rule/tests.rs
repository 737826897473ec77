//! What an alert asks of the rules: which of them apply, and what each wants done.

use super::*;
use crate::domain::Timestamp;
use crate::domain::action::{Action, ContainerSelector, RestartContainer};
use crate::domain::alert::{AlertStatus, Fingerprint};
use crate::domain::route::Route;
use crate::domain::rule_policy::{ApprovalPolicy, WhenSilenced};

fn text(source: &str) -> Template {
    Template::parse(source).unwrap()
}

fn step(name: &str) -> Step {
    let action = Action::RestartContainer(RestartContainer {
        host: text("local"),
        selector: ContainerSelector::Name(text(name)),
        stop_timeout: None,
        max: 1,
        min_healthy: None,
        then: Vec::new(),
        dependents: None,
    });
    let verify =
        VerifyPolicy { within: Duration::from_secs(7), healthy_for: Duration::from_secs(3), ..Default::default() };
    Step { action, attempts: 2, backoff: Backoff::default(), timeout: Duration::from_mins(1), verify }
}

fn rule(name: &str) -> HealRule {
    HealRule {
        name: name.to_owned(),
        description: "the shop's front".to_owned(),
        runbook: None,
        selector: AlertSelector::default(),
        continue_matching: true,
        mode: Mode::Ask,
        hold_for: Duration::from_secs(5),
        schedule: Schedule::default(),
        throttle: Duration::from_mins(9),
        steps: vec![step("{{ $labels.job }}")],
        unsupported: None,
        receivers: vec!["on-call".to_owned()],
        routes: None,
        policy: RulePolicy::default(),
    }
}

fn alert(job: &str) -> Alert {
    let labels = Labels::from([("alertname".to_owned(), "Down".to_owned()), ("job".to_owned(), job.to_owned())]);
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::from([("summary".to_owned(), "ui is down".to_owned())]),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    }
}

#[test]
fn everything_is_rendered_for_the_alert_and_the_first_step_names_the_target() {
    let two = HealRule { steps: vec![step("{{ $labels.job }}"), step("db")], ..rule("restart") };
    let HealRequest { rule: name, target, mode, ladder, hold_for, throttle, receivers, description, runbook } =
        two.request(&alert("ui"));
    assert_eq!((name.as_str(), target.to_string().as_str()), ("restart", "docker:local/name/ui"));
    assert_eq!((mode, hold_for, throttle), (Mode::Ask, Duration::from_secs(5), Duration::from_mins(9)));
    assert_eq!((receivers, description, runbook), (vec!["on-call".to_owned()], two.description, String::new()));
    let ladder = ladder.unwrap();
    let targets: Vec<_> = ladder.iter().map(|step| step.action.target().to_string()).collect();
    assert_eq!(targets, ["docker:local/name/ui", "docker:local/name/db"]);
    assert_eq!((ladder[0].attempts, ladder[0].attempts_used, ladder[0].timeout), (2, 0, Duration::from_mins(1)));
    let VerifyPolicy { within, healthy_for, resolved, probes } = &ladder[0].verify;
    assert_eq!((*within, *healthy_for, *resolved), (Duration::from_secs(7), Duration::from_secs(3), true));
    assert_eq!(probes.len(), 0);
}

#[test]
fn where_there_is_nothing_to_touch_the_heal_is_about_the_alert_itself() {
    let fingerprint = alert("ui").fingerprint;
    let own = format!("alert/{fingerprint}");
    let unsupported = Some("`rundeck` is gone; use `job`".to_owned());
    for (name, rule, expected) in [
        ("only told", HealRule { steps: vec![], ..rule("tell") }, Ok(0)),
        ("a label is missing", HealRule { steps: vec![step("{{ $labels.site }}")], ..rule("restart") }, Err("site")),
        (
            "a later step lacks it",
            HealRule { steps: vec![step("ui"), step("{{ $labels.site }}")], ..rule("two") },
            Err("step 2: name: template"),
        ),
        ("it comes out empty", HealRule { steps: vec![step("{{ \"\" }}")], ..rule("restart") }, Err("is empty")),
        ("nobody can do it", HealRule { unsupported, ..rule("old") }, Err("use `job`")),
    ] {
        let request = rule.request(&alert("ui"));
        assert_eq!(request.target.to_string(), own, "{name}");
        match (request.ladder, expected) {
            (Ok(ladder), Ok(steps)) => assert_eq!(ladder.len(), steps, "{name}"),
            (Err(error), Err(word)) => {
                let error = error.to_string();
                assert!(error.contains(word), "{name}: {error}");
                assert_eq!(error.contains("step "), name == "a later step lacks it", "{name}: {error}");
            }
            (ladder, _) => panic!("{name}: {ladder:?}"),
        }
    }
}

#[test]
fn a_runbook_that_cannot_be_rendered_still_says_where_to_look() {
    for (runbook, expected) in [
        (None, ""),
        (Some("https://wiki/{{ $labels.job }}"), "https://wiki/ui"),
        (Some("https://wiki/{{ $labels.site }}"), "https://wiki/{{ $labels.site }}"),
    ] {
        let rule = HealRule { runbook: runbook.map(text), ..rule("restart") };
        assert_eq!(rule.request(&alert("ui")).runbook, expected);
    }
}

#[test]
fn routes_say_who_is_told_and_who_they_do_not_know_is_for_the_rules_own() {
    let selector = AlertSelector { matchers: vec![Matcher::parse("job=db").unwrap()], ..AlertSelector::default() };
    let route = Route { selector, receivers: vec!["dba".to_owned()], continue_matching: false };
    let routed = HealRule { routes: Some(Arc::new(Routes::new(vec![route]))), ..rule("restart") };
    assert_eq!(routed.request(&alert("db")).receivers, ["dba"]);
    assert_eq!(routed.request(&alert("ui")).receivers, ["on-call"]);
}

#[test]
fn an_alert_is_selected_only_by_everything_that_is_listed() {
    let pattern = |name: &str, pattern: &str| vec![(name.to_owned(), Regex::search(pattern).unwrap())];
    let matchers = |text: &str| vec![Matcher::parse(text).unwrap()];
    let all = AlertSelector {
        labels: pattern("job", "^u"),
        annotations: pattern("summary", "down"),
        matchers: matchers("alertname=Down"),
    };
    for (name, selector, expected) in [
        ("nothing is listed", AlertSelector::default(), true),
        ("everything holds", all.clone(), true),
        ("a label differs", AlertSelector { labels: pattern("job", "^d"), ..all.clone() }, false),
        ("a label is missing", AlertSelector { labels: pattern("site", ""), ..all.clone() }, false),
        ("an annotation differs", AlertSelector { annotations: pattern("summary", "up"), ..all.clone() }, false),
        ("an annotation is missing", AlertSelector { annotations: pattern("job", ""), ..all.clone() }, false),
        ("a matcher does not hold", AlertSelector { matchers: matchers("alertname!=Down"), ..all }, false),
    ] {
        assert_eq!(selector.matches(&alert("ui")), expected, "{name}");
    }
}

#[test]
fn rules_apply_in_file_order_up_to_the_first_that_does_not_continue() {
    let only = |job: &str| AlertSelector {
        labels: vec![("job".to_owned(), Regex::search(job).unwrap())],
        ..AlertSelector::default()
    };
    let rules = RuleSet::new(vec![
        rule("all"),
        HealRule { selector: only("^db$"), continue_matching: false, ..rule("db") },
        HealRule { selector: only("^ui$"), ..rule("ui") },
        HealRule { continue_matching: false, ..rule("last") },
        rule("never"),
    ]);
    let names = |job: &str| rules.matching(&alert(job)).map(|rule| rule.name.clone()).collect::<Vec<_>>();
    assert_eq!(names("ui"), ["all", "ui", "last"]);
    assert_eq!(names("db"), ["all", "db"]);
    let in_order: Vec<_> = rules.rules().iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(in_order, ["all", "db", "ui", "last", "never"]);
}

#[test]
fn what_holds_for_a_rules_heals_is_found_by_its_name() {
    let interval = Arc::new(crate::domain::time_interval::TimeInterval { name: "night".to_owned(), periods: vec![] });
    let schedule = Schedule { active: vec![interval], mute: vec![] };
    let policy = RulePolicy {
        approval: ApprovalPolicy { approvers: vec!["ann".to_owned()], ..ApprovalPolicy::default() },
        when_silenced: WhenSilenced::Heal,
        max_age: Some(Duration::from_hours(1)),
        ..RulePolicy::default()
    };
    let asking = HealRule { schedule: schedule.clone(), policy: policy.clone(), ..rule("asking") };
    let policies = RuleSet::new(vec![asking, HealRule { mode: Mode::Act, ..rule("acting") }]).policies();
    assert_eq!(policies.get("asking"), Some(&RulePolicy { mode: Mode::Ask, schedule, ..policy }));
    assert_eq!(policies.get("acting").map(|policy| policy.mode), Some(Mode::Act));
    assert_eq!(policies.get("unheard of"), None);
}
