//! People and autoheal at work on the same thing.

use std::time::Duration;

use serde_json::json;

use super::{BY_NAME, Scene, down, tell, tell_aged};
use crate::support::daemon::eventually;
use crate::support::engine::Recipe;
use crate::support::wait;

#[test]
fn an_approval_that_comes_after_the_recovery_starts_nothing() {
    let mut scene = Scene::new(&BY_NAME.replace("  steps:", "  mode: ask\n  steps:"));
    let container = scene.container(Recipe::idle());
    let daemon = scene.begins();
    tell(&daemon, "firing", &down(&container.name));
    let heal = daemon.wait_for_state("awaiting_approval");
    tell(&daemon, "resolved", &down(&container.name));
    daemon.wait_for_state("recovered");
    let path = format!("/api/v1/heals/{}/approve", heal["id"].as_str().unwrap());
    let answer = daemon.request("POST", &path).header("content-type", "application/json").body("{}").send().unwrap();
    assert!(answer.status().is_client_error(), "{answer:?}");
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.deeds.len(), 0, "{outcome:?}");
    assert_eq!(outcome.told(), ["approval needed", "recovered on its own"], "{outcome:?}");
}

#[test]
fn a_restart_that_a_person_cancels_goes_no_further() {
    let rules = BY_NAME.replace("stopTimeout: 1s}", "stopTimeout: 2s, then: [{name: SCENE-dependent}]}");
    let mut scene = Scene::new(&rules);
    let container = scene.container(Recipe::stubborn());
    let dependent = scene.container(Recipe::idle().named(&format!("{}-dependent", scene.name)));
    let before = wait(dependent.life());
    let daemon = scene.begins();
    tell(&daemon, "firing", &down(&container.name));
    // The engine is stopping it; that cannot be taken back.
    wait(container.until_told("kill"));
    let heal = daemon.wait_for_state("acting");
    let id = heal["id"].as_str().unwrap();
    let output = scene.home.command(&["heals", "cancel", id, "--url", &daemon.url("")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let heal = daemon.wait_for_state("cancelled");
    let story = heal["timeline"].to_string();
    for words in ["is under way and is asked to stop", "cancelled, so container", "is left alone"] {
        assert!(story.contains(words), "{words:?} is not in {story}");
    }
    // The alert fires on; nobody asked for another try.
    tell_aged(&daemon, "firing", &down(&container.name), Duration::from_mins(1));
    eventually("it stays cancelled", || daemon.heals().len() == 1 && daemon.heals()[0]["state"] == "cancelled");
    assert_eq!(wait(dependent.life()), before);
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.count("restart"), 1, "only what had begun: {outcome:?}");
    assert_eq!(outcome.count("start"), 1, "the second half of that restart: {outcome:?}");
    assert_eq!(outcome.told(), ["cancelled by a person"], "{outcome:?}");
}

#[test]
fn a_command_is_run_once_and_a_label_is_never_an_option() {
    let rules = r#"
rules:
- metadata: {name: reload}
  labels: {alertname: ^ServiceDown$}
  steps:
  - execInContainer: {name: "{{ $labels.container }}", command: [sh, -c, 'echo "$1" >>/tmp/seen', sh, "{{ $labels.site }}"]}
    attempts: 2
    verify: {within: 1m}
"#;
    let mut scene = Scene::new(rules);
    let container = scene.container(Recipe::idle());
    let daemon = scene.begins();
    let site = |site: &str| json!({"alertname": "ServiceDown", "container": container.name, "site": site});
    tell(&daemon, "firing", &site("-rf"));
    let refused = daemon.wait_for_state("suppressed");
    assert!(refused["reason"].as_str().unwrap().contains("would be taken for an option"), "{refused}");
    tell(&daemon, "firing", &site("a b; reboot"));
    let heal = daemon.wait_for_state("verifying");
    assert!(heal.to_string().contains("ended with code 0 and printed nothing"), "{heal}");
    tell(&daemon, "resolved", &site("a b; reboot"));
    daemon.wait_for_state("healed");
    assert_eq!(wait(container.output(&["cat", "/tmp/seen"])), "a b; reboot\n");
    let outcome = scene.ends(daemon);
    assert_eq!(outcome.deeds.len(), 0, "{outcome:?}");
    assert_eq!(outcome.told(), ["human needed", "healed"], "one mail for each: {outcome:?}");
}
