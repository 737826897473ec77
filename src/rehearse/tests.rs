use std::time::Duration;

use serde_json::json;

use super::*;
use crate::domain::action::RestartContainer;
use crate::domain::action::{Action, ContainerSelector};
use crate::domain::backoff::Backoff;
use crate::domain::matcher::Matcher;
use crate::domain::regex::Regex;
use crate::domain::rule::AlertSelector;
use crate::domain::rule::{Step, VerifyPolicy};
use crate::domain::rule_policy::RulePolicy;
use crate::domain::template::Template;
use crate::domain::time_interval::Schedule;

fn text(source: &str) -> Template {
    Template::parse(source).unwrap()
}

fn rule(name: &str, alertname: &str) -> HealRule {
    let action = Action::RestartContainer(RestartContainer {
        host: text("local"),
        selector: ContainerSelector::Name(text("ui")),
        stop_timeout: None,
        max: 1,
        min_healthy: None,
        then: Vec::new(),
        dependents: None,
    });
    let step = Step {
        action,
        attempts: 2,
        backoff: Backoff::default(),
        timeout: Duration::from_mins(1),
        verify: VerifyPolicy::default(),
    };
    HealRule {
        unsupported: None,
        policy: RulePolicy::default(),
        name: name.to_owned(),
        description: String::new(),
        runbook: None,
        selector: AlertSelector {
            labels: vec![("alertname".to_owned(), Regex::search(alertname).unwrap())],
            ..AlertSelector::default()
        },
        continue_matching: true,
        mode: Mode::Act,
        hold_for: Duration::ZERO,
        schedule: Schedule::default(),
        throttle: Duration::ZERO,
        steps: vec![step],
        receivers: Vec::new(),
        routes: None,
    }
}

fn delivery(status: AlertStatus) -> Delivery {
    let labels = Labels::from([("alertname".to_owned(), "InstanceDown".to_owned())]);
    let alert = Alert {
        fingerprint: Fingerprint::of(&labels),
        status,
        labels,
        annotations: Labels::new(),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    };
    Delivery { external_url: String::new(), truncated_alerts: 0, alerts: vec![alert] }
}

fn rehearsed(rules: &RuleSet, policy: &Policy, delivery: &Delivery, explain: bool) -> PlanReport {
    let stage = Stage { rules, policy, past: None, explain, now: Timestamp::UNIX_EPOCH };
    plan_delivery(stage, delivery).unwrap()
}

fn verdicts(rules: Vec<HealRule>, policy: &Policy, delivery: &Delivery) -> Vec<(String, Verdict, String)> {
    let report = rehearsed(&RuleSet::new(rules), policy, delivery, false);
    let [alert] = &report.alerts[..] else { panic!("one alert") };
    alert.rules.iter().map(|rule| (rule.rule.clone(), rule.verdict, rule.reason.clone())).collect()
}

#[test]
fn every_rule_appears_with_what_it_would_do() {
    let stopping = HealRule { continue_matching: false, ..rule("stopping", "InstanceDown") };
    let shadow = HealRule { mode: Mode::Shadow, ..rule("shadow", "InstanceDown") };
    let notify = HealRule { steps: Vec::new(), ..rule("notify", "InstanceDown") };
    let rules =
        vec![rule("other", "HighLatency"), shadow, notify, rule("act", "Instance"), stopping, rule("late", "Instance")];
    let verdicts = verdicts(rules, &Policy::default(), &delivery(AlertStatus::Firing));
    let words: Vec<_> = verdicts.iter().map(|(rule, verdict, _)| (rule.as_str(), verdict.as_str())).collect();
    let expected = [
        ("other", "no-match"),
        ("shadow", "shadow"),
        ("notify", "notify"),
        ("act", "act"),
        ("stopping", "act"),
        ("late", "no-match"),
    ];
    assert_eq!(words, expected);
    assert_eq!(verdicts[0].2, "label alertname is \"InstanceDown\", which does not match \"HighLatency\"");
    assert_eq!(verdicts[5].2, "rule stopping matched and has continue: false");
}

#[test]
fn a_dry_run_makes_every_rule_a_shadow_and_a_resolved_alert_asks_for_nothing() {
    let policy = Policy { dry_run: true, ..Policy::default() };
    let firing = verdicts(vec![rule("act", "Instance")], &policy, &delivery(AlertStatus::Firing));
    assert_eq!(firing[0].1, Verdict::Shadow);
    let resolved = verdicts(vec![rule("act", "Instance")], &policy, &delivery(AlertStatus::Resolved));
    assert_eq!(resolved[0].1, Verdict::Suppressed);
}

#[test]
fn the_json_has_the_promised_keys_and_the_rules_own_notation() {
    let rules = RuleSet::new(vec![rule("act", "Instance")]);
    let report = rehearsed(&rules, &Policy::default(), &delivery(AlertStatus::Firing), false);
    let json = serde_json::to_value(&report).unwrap();
    let planned = &json["alerts"][0]["rules"][0];
    assert_eq!(planned["target"], "docker:local/name/ui");
    let step = json!({
        "action": "restartContainer",
        "target": "docker:local/name/ui",
        "attempts": 2,
        "rendered": { "host": "local", "name": "ui", "max": 1 },
    });
    assert_eq!(planned["steps"], json!([step]));
    assert!(!report.has_errors());
    let text = report.to_string();
    assert!(text.contains("step 1: restartContainer docker:local/name/ui, up to 2 times"), "{text}");
}

#[test]
fn every_condition_has_its_own_verdict_when_asked_also_behind_the_first_that_fails() {
    let selector = AlertSelector {
        labels: vec![("alertname".to_owned(), Regex::search("Down$").unwrap())],
        annotations: vec![("summary".to_owned(), Regex::search("disk").unwrap())],
        matchers: vec![Matcher::parse("alertname=~\"Down\"").unwrap(), Matcher::parse("job!=\"ui\"").unwrap()],
    };
    let stopping = HealRule { continue_matching: false, ..rule("stopping", "InstanceDown") };
    let asking = HealRule { selector, ..rule("asking", "") };
    let rules = RuleSet::new(vec![stopping, asking]);
    let report = rehearsed(&rules, &Policy::default(), &delivery(AlertStatus::Firing), true);
    let text = report.to_string();
    let told: Vec<_> = text.lines().filter(|line| line.trim_start().starts_with(['y', 'n'])).map(str::trim).collect();
    assert_eq!(
        told,
        [
            "yes labels alertname: \"InstanceDown\", it is \"InstanceDown\"",
            "no-match   asking: rule stopping matched and has continue: false",
            "yes labels alertname: \"Down$\", it is \"InstanceDown\"",
            "no  annotations summary: \"disk\", it is missing",
            "no  matchers alertname=~\"Down\", it is \"InstanceDown\"",
            "yes matchers job!=\"ui\", it is missing",
        ],
        "{text}"
    );
    let json = serde_json::to_value(&report).unwrap();
    let wanted = json!({
        "part": "matchers", "name": "alertname", "operator": "=~", "value": "Down", "anchored": true,
        "has": "InstanceDown", "holds": false,
    });
    assert_eq!(json["alerts"][0]["rules"][1]["conditions"][2], wanted);
    let silent = rehearsed(&rules, &Policy::default(), &delivery(AlertStatus::Firing), false);
    let silent = serde_json::to_value(&silent).unwrap();
    assert_eq!(silent["alerts"][0]["rules"][1].get("conditions"), None, "the promised shape stays as it is");
}
