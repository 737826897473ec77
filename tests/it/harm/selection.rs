//! The alert is about something else than the rule's author thought.

use serde_json::json;

use super::{BY_NAME, Scene, down, tell};
use crate::support::engine::Recipe;

const BY_LABELS: &str = r#"
rules:
- metadata: {name: restart}
  labels: {alertname: ^ServiceDown$}
  restartContainer: {labels: {scene: SCENE, team: "{{ $labels.team }}"}}
"#;

#[test]
fn an_alert_for_a_container_that_is_someone_elses_touches_nothing() {
    let mut scene = Scene::new(BY_LABELS);
    let _theirs = scene.container(Recipe::idle().label("team", "payments"));
    let daemon = scene.begins();
    tell(&daemon, "firing", &json!({"alertname": "ServiceDown", "team": "shop"}));
    let heal = daemon.wait_for_state("exhausted");
    assert!(heal.to_string().contains("no container of labels"), "{heal}");
    scene.ends(daemon).is_harmless_and_told_once();
}

#[test]
fn a_missing_label_refuses_instead_of_selecting_everything() {
    let mut scene = Scene::new(BY_LABELS);
    let _theirs = scene.container(Recipe::idle().label("team", "payments"));
    let daemon = scene.begins();
    tell(&daemon, "firing", &json!({"alertname": "ServiceDown"}));
    let heal = daemon.wait_for_state("suppressed");
    assert!(heal["reason"].as_str().unwrap().contains("team"), "{heal}");
    scene.ends(daemon).is_harmless_and_told_once();
}

#[test]
fn all_replicas_at_once_are_more_than_the_rule_meant() {
    let mut scene = Scene::new(BY_LABELS);
    let _replicas = [0, 1, 2].map(|_| scene.container(Recipe::script("exit 1").label("team", "shop")));
    let daemon = scene.begins();
    tell(&daemon, "firing", &json!({"alertname": "ServiceDown", "team": "shop"}));
    let heal = daemon.wait_for_state("exhausted");
    assert!(heal.to_string().contains("max is 1"), "{heal}");
    scene.ends(daemon).is_harmless_and_told_once();
}

#[test]
fn labels_that_are_no_names_reach_no_engine() {
    for hostile in ["../ui", "ui; reboot", "*", "ui?force=1", "-v", "ui\n", "üi", "{{ $labels.other }}"] {
        let mut scene = Scene::new(BY_NAME);
        let _bystander = scene.container(Recipe::idle());
        let daemon = scene.begins();
        tell(&daemon, "firing", &down(hostile));
        let heal = daemon.wait_for_state("exhausted");
        assert!(heal.to_string().contains("is no container name"), "{heal}");
        scene.ends(daemon).is_harmless_and_told_once();
    }
}

#[test]
fn a_typo_in_a_template_is_found_before_anything_starts() {
    let mut scene = Scene::new(&BY_NAME.replace("$labels.container", "$labels.container | toUper"));
    let _bystander = scene.container(Recipe::idle());
    scene.deeds();
    let output = scene.home.command(&["serve"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("rules/rules.yml:6:") && said.contains("did you mean `toUpper`?"),
        "{said}"
    );
    // Whoever started it reads it; nobody else is told.
    let outcome = scene.closes();
    assert_eq!((outcome.deeds.len(), outcome.told().len()), (0, 0), "{outcome:?}");
}

#[test]
fn a_paused_container_belongs_to_whoever_paused_it() {
    let mut scene = Scene::new(BY_NAME);
    let container = scene.container(Recipe::idle());
    crate::support::wait(container.pause());
    let daemon = scene.begins();
    tell(&daemon, "firing", &down(&container.name));
    let heal = daemon.wait_for_state("exhausted");
    assert!(heal.to_string().contains("unpause"), "{heal}");
    scene.ends(daemon).is_harmless_and_told_once();
}
