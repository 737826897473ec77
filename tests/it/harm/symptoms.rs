//! The cure does not cure, comes too late, or is not needed any more.

use std::time::Duration;

use serde_json::json;

use super::{BY_NAME, Scene, down, tell, tell_aged};
use crate::support::daemon::eventually;
use crate::support::engine::Recipe;
use crate::support::wait;

#[test]
fn a_crash_looping_image_is_given_up_after_its_attempts() {
    let mut scene = Scene::new(BY_NAME);
    let container = scene.container(Recipe::script("exit 1"));
    let daemon = scene.begins();
    tell(&daemon, "firing", &down(&container.name));
    daemon.wait_for_state("exhausted");
    // Alertmanager goes on telling; the alert still fires.
    tell_aged(&daemon, "firing", &down(&container.name), Duration::from_mins(1));
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.count("start"), 2, "{outcome:?}");
    assert_eq!(outcome.told(), ["human needed"], "{outcome:?}");
}

#[test]
fn a_flapping_service_climbs_its_ladder_and_is_not_restarted_for_ever() {
    let mut scene = Scene::new(BY_NAME);
    let container = scene.container(Recipe::idle());
    let daemon = scene.begins();
    for round in 0..5 {
        tell(&daemon, "firing", &down(&container.name));
        let settled = || {
            let newest = daemon.heals().remove(0);
            (newest["state"] == "verifying" || newest["endedAt"].is_string()).then_some(newest)
        };
        eventually("the deed is done", || settled().is_some());
        tell(&daemon, "resolved", &down(&container.name));
        eventually("it is over", || daemon.heals()[0]["endedAt"].is_string());
        assert!(daemon.heals().len() <= round + 1);
    }
    assert!(daemon.heals().iter().any(|heal| heal["state"] == "exhausted"), "a human is called");
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.count("restart"), 2, "the ladder has two attempts within its memory: {outcome:?}");
    // However often it comes back: whoever was called knows, and is told that it is over when it has stayed away.
    assert_eq!(outcome.told(), ["healed", "healed", "human needed"], "{outcome:?}");
}

#[test]
fn two_rules_about_one_container_restart_it_once() {
    let rules = format!(
        "{BY_NAME}- metadata: {{name: also}}\n  labels: {{alertname: .}}\n  restartContainer: {{name: '{{{{ $labels.container }}}}'}}\n"
    );
    let mut scene = Scene::new(&rules.replace("within: 2s", "within: 1m"));
    let container = scene.container(Recipe::idle());
    let daemon = scene.begins();
    tell(&daemon, "firing", &down(&container.name));
    eventually("both are done", || daemon.heals().iter().filter(|heal| heal["state"] == "verifying").count() == 2);
    tell(&daemon, "resolved", &down(&container.name));
    eventually("both are over", || daemon.heals().iter().all(|heal| heal["state"] == "healed"));
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.count("restart"), 1, "{outcome:?}");
    assert_eq!(outcome.told(), ["healed", "healed"], "one for each rule: {outcome:?}");
}

#[test]
fn what_a_deploy_has_just_replaced_is_left_alone() {
    let mut scene = Scene::new(&BY_NAME.replace("within: 2s", "within: 1m"));
    let old = scene.container(Recipe::idle());
    let name = old.name.clone();
    wait(old.remove());
    let _new = scene.container(Recipe::idle().named(&name));
    let daemon = scene.begins();
    tell_aged(&daemon, "firing", &down(&name), Duration::from_mins(1));
    let heal = daemon.wait_for_state("verifying");
    assert!(heal.to_string().contains("nothing done"), "{heal}");
    tell(&daemon, "resolved", &down(&name));
    daemon.wait_for_state("healed");
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.count("restart"), 0, "{outcome:?}");
    assert_eq!(outcome.told(), ["healed"], "{outcome:?}");
}

#[test]
fn what_gets_well_while_the_rule_waits_is_not_touched() {
    let mut scene = Scene::new(&BY_NAME.replace("  steps:", "  for: 30s\n  steps:"));
    let container = scene.container(Recipe::idle());
    let daemon = scene.begins();
    tell(&daemon, "firing", &down(&container.name));
    daemon.wait_for_state("pending");
    tell(&daemon, "resolved", &down(&container.name));
    daemon.wait_for_state("recovered");
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.deeds.len(), 0, "{outcome:?}");
    assert_eq!(outcome.told(), ["recovered on its own"], "{outcome:?}");
}

#[test]
fn a_partition_that_makes_everything_fire_spends_no_more_than_the_hour_allows() {
    let mut scene = Scene::with("limits: {perHour: 2}\n", BY_NAME);
    let containers: Vec<_> = (0..6).map(|_| scene.container(Recipe::idle())).collect();
    let daemon = scene.begins();
    for index in 0..200 {
        let mut labels = down(&containers[index % 6].name);
        labels["instance"] = json!(format!("host-{index}"));
        tell(&daemon, "firing", &labels);
    }
    eventually("what is above it is held", || {
        let held = |heal: &&serde_json::Value| heal["reason"].as_str().unwrap().contains("limits.perHour is 2");
        let heals = daemon.heals();
        let begun = heals.iter().filter(|heal| heal["attempt"] == 1).count();
        (heals.len(), begun) == (6, 2) && heals.iter().any(|heal| held(&heal))
    });
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.count("restart"), 2, "{outcome:?}");
    assert_eq!(outcome.told(), [""; 0], "what is held has its time, and nobody is woken for it: {outcome:?}");
}
