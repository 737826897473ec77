//! Whether a restarted container comes up.

use std::time::Duration;

use autoheal::action::{Action as _, Progress};

use super::{HOST, Task, action, done, followed, named, ready, says};
use crate::support::engine::{BadEngine, Engine, Recipe};

#[tokio::test]
async fn a_container_that_exits_again_failed() {
    let engine = Engine::get();
    let container = engine.run(Recipe::script("test -e /tmp/once && exit 7; touch /tmp/once; exec sleep 3600")).await;
    let outcome = done(&action(&[engine.host(HOST)]), &Task::new(named(&container.name)).assign()).await;
    says(&outcome, "failed", &[&container.name, "was restarted and exited with code 7"]);
}

#[tokio::test]
async fn a_container_that_cannot_be_started_failed() {
    let engine = Engine::get();
    let container = engine.run(Recipe::script("exec sleep 3600").broken_entrypoint()).await;
    let outcome = done(&action(&[engine.host(HOST)]), &Task::new(named(&container.name)).assign()).await;
    says(&outcome, "failed", &["could not start container", &container.name, "HTTP 4", "no-such-program"]);
}

#[tokio::test]
async fn a_container_that_its_restart_policy_keeps_restarting_failed() {
    let engine = Engine::get();
    let script = "test -e /tmp/once && exit 7; touch /tmp/once; exec sleep 3600";
    let container = engine.run(Recipe::script(script).always_restarting()).await;
    let outcome = done(&action(&[engine.host(HOST)]), &Task::new(named(&container.name)).assign()).await;
    says(&outcome, "failed", &["was restarted and", "does not stay up"]);
}

#[tokio::test]
async fn a_container_that_becomes_healthy_is_done() {
    let engine = Engine::get();
    let script = "test -e /tmp/once && touch /tmp/well; touch /tmp/once; exec sleep 3600";
    let recipe = Recipe::script(script).health("test -e /tmp/well", Duration::from_secs(1));
    let container = engine.run(recipe).await;
    container.until("unhealthy", is_unhealthy).await;
    let outcome = done(&action(&[engine.host(HOST)]), &Task::new(named(&container.name)).assign()).await;
    says(&outcome, "done", &["healthy", "restarted", &container.life().await.1[..19]]);
}

#[tokio::test]
async fn a_container_that_stays_unhealthy_failed() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle().health("false", Duration::from_secs(1))).await;
    container.until("unhealthy", is_unhealthy).await;
    let outcome = done(&action(&[engine.host(HOST)]), &Task::new(named(&container.name)).assign()).await;
    says(&outcome, "failed", &["was restarted and runs since", "unhealthy (1 failed"]);
}

#[tokio::test]
async fn the_time_of_an_action_ends_it_with_what_was_seen_last() {
    let engine = Engine::get();
    let recipe = Recipe::idle().health("true", Duration::from_hours(1)).not_started();
    let container = engine.run(recipe).await;
    let assignment = Task::new(named(&container.name)).within(Duration::from_secs(2)).assign();
    let outcome = done(&action(&[engine.host(HOST)]), &assignment).await;
    says(&outcome, "failed", &["health starting", "when the action's time was over"]);
}

#[tokio::test]
async fn a_container_removed_meanwhile_failed() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let action = action(&[engine.host(HOST)]);
    let assignment = Task::new(named(&container.name)).assign();
    let handle = ready(action.look(&assignment).await);
    let (after, _) = action.start(&assignment, &handle).await.unwrap();
    container.remove().await;
    says(&followed(&action, &assignment, &after).await, "failed", &["was removed meanwhile"]);
    says(&action.start(&assignment, &handle).await.unwrap_err(), "failed", &["was removed meanwhile"]);
}

#[tokio::test]
async fn an_engine_that_is_away_for_a_moment_fails_nothing() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let here = action(&[engine.host(HOST)]);
    let assignment = Task::new(named(&container.name)).assign();
    let handle = ready(here.look(&assignment).await);
    let (handle, _) = here.start(&assignment, &handle).await.unwrap();
    let gone = BadEngine::that_is_gone();
    let away = action(&[gone.host(HOST)]);
    assert!(matches!(away.poll(&assignment, &handle).await, Progress::Running { .. }));
    says(&followed(&here, &assignment, &handle).await, "done", &[]);
}

fn is_unhealthy(seen: &bollard::models::ContainerInspectResponse) -> bool {
    let health = seen.state.as_ref().and_then(|state| state.health.as_ref());
    health.and_then(|health| health.status) == Some(bollard::models::HealthStatusEnum::UNHEALTHY)
}
