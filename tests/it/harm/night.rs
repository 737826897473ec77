//! What breaks around autoheal: what watches, what is watched, and autoheal itself.

use std::time::Duration;

use serde_json::{Value, json};

use super::{BY_NAME, Scene, down, tell, tell_aged};
use crate::support::daemon::{alert, delivery, eventually};
use crate::support::engine::Recipe;
use crate::support::prometheus::{Alertmanager, free_port};
use crate::support::wait;

#[test]
fn with_prometheus_dead_nobody_can_say_whether_it_helped_and_nothing_more_is_tried() {
    let config = format!("prometheus: {{address: 'http://127.0.0.1:{}'}}\n", free_port());
    let rules = BY_NAME.replace("verify: {within: 2s}", "verify: {within: 2s, resolved: false, promql: 'up == 1'}");
    let mut scene = Scene::with(&config, &rules);
    let container = scene.container(Recipe::idle());
    let daemon = scene.begins();
    tell(&daemon, "firing", &down(&container.name));
    let heal = daemon.wait_for_state("exhausted");
    assert!(heal["reason"].as_str().unwrap().contains("nobody could say within 2s whether it helped"), "{heal}");
    // No resolve ever comes; Alertmanager repeats itself.
    tell_aged(&daemon, "firing", &down(&container.name), Duration::from_mins(1));
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.count("restart"), 1, "the second attempt is not spent: {outcome:?}");
    assert_eq!(outcome.told(), ["human needed"], "{outcome:?}");
}

#[test]
fn killed_in_the_middle_of_a_restart_it_restarts_nothing_twice() {
    let mut scene =
        Scene::new(&BY_NAME.replace("stopTimeout: 1s", "stopTimeout: 2s").replace("within: 2s", "within: 1m"));
    let container = scene.container(Recipe::stubborn());
    let daemon = scene.begins();
    tell(&daemon, "firing", &down(&container.name));
    wait(container.until_told("kill"));
    daemon.kill();
    let daemon = scene.home.start();
    daemon.wait_for_state("verifying");
    tell(&daemon, "resolved", &down(&container.name));
    let heal = daemon.wait_for_state("healed");
    assert!(heal["timeline"].to_string().contains("taken over from a process that stopped"), "{heal}");
    let outcome = scene.ends(daemon);
    assert_eq!((outcome.count("restart"), outcome.count("start")), (1, 1), "{outcome:?}");
    assert_eq!(outcome.told(), ["healed"], "{outcome:?}");
}

#[test]
fn what_a_deploy_takes_away_while_the_rule_waits_is_not_brought_back() {
    let mut scene = Scene::new(&BY_NAME.replace("  steps:", "  for: 1s\n  steps:"));
    let container = scene.container(Recipe::idle());
    let name = container.name.clone();
    let daemon = scene.begins();
    tell(&daemon, "firing", &down(&name));
    daemon.wait_for_state("pending");
    wait(container.remove());
    let heal = daemon.wait_for_state("exhausted");
    assert!(heal.to_string().contains("was it removed or renamed"), "{heal}");
    scene.ends(daemon).is_harmless_and_told_once();
}

#[test]
fn a_silenced_alert_belongs_to_whoever_silenced_it() {
    let directory = tempfile::tempdir().unwrap();
    let alertmanager = Alertmanager::silent(directory.path());
    let mut scene = Scene::with(&format!("alertmanager: {{address: '{}'}}\n", alertmanager.url()), BY_NAME);
    let container = scene.container(Recipe::idle());
    let labels = down(&container.name);
    alertmanager.silence(&format!("container={}", container.name));
    alertmanager.fires(&labels);
    let daemon = scene.begins();
    tell(&daemon, "firing", &labels);
    eventually("it is held", || daemon.heals()[0]["reason"].as_str().unwrap().contains("silenced"));
    alertmanager.resolves(&labels);
    tell(&daemon, "resolved", &labels);
    daemon.wait_for_state("recovered");
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.deeds, vec![], "{outcome:?}");
    assert_eq!(outcome.told(), ["recovered on its own"], "{outcome:?}");
}

#[test]
fn an_alert_from_a_clock_that_is_an_hour_ahead_is_healed_like_any_other() {
    let mut scene = Scene::new(&BY_NAME.replace("within: 2s", "within: 1m"));
    let container = scene.container(Recipe::idle());
    let daemon = scene.begins();
    let hour = Duration::from_hours(1);
    let told = |status: &str| {
        let mut alert = alert(status, &down(&container.name), Duration::ZERO);
        for key in ["startsAt", "endsAt"] {
            let at: Option<autoheal::domain::Timestamp> = alert[key].as_str().unwrap().parse().ok();
            if let Some(at) = at.filter(|at| at.as_second() > 0) {
                alert[key] = json!((at + hour).to_string());
            }
        }
        assert_eq!(daemon.post(delivery(&[alert])), Some(202));
    };
    told("firing");
    daemon.wait_for_state("verifying");
    told("firing");
    told("resolved");
    daemon.wait_for_state("healed");
    // Late on its way, and by its own clock still in the future.
    told("resolved");
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.count("restart"), 1, "{outcome:?}");
    assert_eq!(outcome.told(), ["healed"], "{outcome:?}");
}

#[test]
fn nothing_is_restarted_on_a_node_that_is_down() {
    // No rule wants the alert that blocks; it must be heard of all the same.
    let rules = BY_NAME.replace("  steps:", "  blockedBy: ['alertname=\"NodeDown\"']\n  steps:");
    let mut scene = Scene::new(&rules);
    let containers = [0, 1, 2].map(|_| scene.container(Recipe::idle()));
    let daemon = scene.begins();
    tell(&daemon, "firing", &json!({"alertname": "NodeDown", "node": "a"}));
    for container in &containers {
        tell(&daemon, "firing", &down(&container.name));
    }
    let is_held = |heal: &Value| heal["reason"].as_str().unwrap().contains("the rule is blocked by");
    eventually("all are held", || daemon.heals().iter().filter(|heal| is_held(heal)).count() == 3);
    for container in &containers {
        tell(&daemon, "resolved", &down(&container.name));
    }
    eventually("they recovered", || daemon.heals().iter().filter(|heal| heal["state"] == "recovered").count() == 3);
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.deeds, vec![], "{outcome:?}");
    let recovered = "recovered on its own";
    assert_eq!(outcome.told(), [recovered; 3], "{outcome:?}");
}

#[test]
fn a_storm_starts_nothing_and_calls_a_human_once() {
    let rules = BY_NAME.replace("  steps:", "  limits: {storm: {targets: 3, within: 2m, hold: 15m}}\n  steps:");
    let mut scene = Scene::new(&rules);
    let containers: Vec<_> = (0..8).map(|_| scene.container(Recipe::idle())).collect();
    let daemon = scene.begins();
    let alerts: Vec<_> =
        containers.iter().map(|container| alert("firing", &down(&container.name), Duration::ZERO)).collect();
    for _ in 0..3 {
        assert_eq!(daemon.post(delivery(&alerts)), Some(202));
    }
    let is_held = |heal: &Value| heal["reason"].as_str().unwrap().contains("have a common cause");
    eventually("all are held", || daemon.heals().iter().filter(|heal| is_held(heal)).count() == 8);
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.deeds, vec![], "{outcome:?}");
    assert_eq!(outcome.told(), ["human needed"], "{outcome:?}");
}

#[test]
fn a_bad_day_spends_no_more_than_any_of_its_windows_allows() {
    let rules = BY_NAME
        .replace(
            "  steps:",
            "  limits: {perHour: 60, windows: [{actions: 1, within: 10m}, {actions: 20, within: 1d}]}\n  steps:",
        )
        .replace("within: 2s", "within: 1m");
    let mut scene = Scene::with("limits: {windows: [{actions: 3, within: 10m}]}\n", &rules);
    let containers: Vec<_> = (0..3).map(|_| scene.container(Recipe::idle())).collect();
    let daemon = scene.begins();
    for container in &containers {
        tell(&daemon, "firing", &down(&container.name));
    }
    let held = "1 actions of rule restart began within the last 10m, its limits.windows allows 1; held until ";
    eventually("the rest is held, and it is said why", || {
        let heals = daemon.heals();
        let begun = heals.iter().filter(|heal| heal["state"] == "verifying").count();
        begun == 1 && heals.iter().any(|heal| heal["reason"].as_str().unwrap().starts_with(held))
    });
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.count("restart"), 1, "{outcome:?}");
    assert_eq!(outcome.told(), [""; 0], "what is held has its time, and nobody is woken for it: {outcome:?}");
}
