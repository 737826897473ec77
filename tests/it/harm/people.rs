//! People and autoheal at work on the same thing.

use super::{BY_NAME, Scene, down, tell};
use crate::support::engine::Recipe;

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
}
