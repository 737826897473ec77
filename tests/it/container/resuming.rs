//! What a process finds out about a deed that another process left behind.

use std::time::Duration;

use autoheal::action::{Action as _, Resumption};
use tokio::task::JoinSet;

use super::{HOST, Task, action, followed, labelled, named, ready, says};
use crate::support::engine::{Container, Engine, Recipe, now_seconds, unique};

#[tokio::test]
async fn before_the_request_it_is_done_now() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let assignment = Task::new(named(&container.name)).assign();
    let handle = ready(action(&[engine.host(HOST)]).look(&assignment).await);
    let heir = action(&[engine.host(HOST)]);
    assert_eq!(heir.resume(&assignment, &handle).await, Ok(Resumption::Start));
    let (handle, _) = heir.start(&assignment, &handle).await.unwrap();
    says(&followed(&heir, &assignment, &handle).await, "done", &[]);
    assert_eq!(container.times("restart").await, 1);
}

#[tokio::test]
async fn after_the_deed_it_is_followed() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let assignment = Task::new(named(&container.name)).assign();
    let first = action(&[engine.host(HOST)]);
    let handle = ready(first.look(&assignment).await);
    first.start(&assignment, &handle).await.unwrap();

    let heir = action(&[engine.host(HOST)]);
    let Ok(Resumption::Follow { handle, what }) = heir.resume(&assignment, &handle).await else {
        panic!("it was done");
    };
    assert!(what.contains("restarted before this process took over"), "{what}");
    says(&followed(&heir, &assignment, &handle).await, "done", &[&container.name]);
    assert_eq!(container.times("restart").await, 1);
}

/// Asks for a restart and dies as soon as the engine has begun to stop the container.
async fn dies_while_stopping(engine: &Engine, container: &Container) -> (super::Assignment, serde_json::Value) {
    // Long enough for the heir to look while the container is still being stopped, also on a busy machine.
    let assignment = Task::new(named(&container.name)).stopping_within(Duration::from_secs(6)).assign();
    let first = action(&[engine.host(HOST)]);
    let handle = ready(first.look(&assignment).await);
    let (kept, lost) = (assignment.clone(), handle.clone());
    let mut process = JoinSet::new();
    process.spawn(async move { first.start(&kept, &lost).await });
    container.until_told("kill").await;
    process.shutdown().await;
    (assignment, handle)
}

#[tokio::test]
async fn while_the_engine_stops_the_container_it_is_waited_for() {
    let engine = Engine::get();
    let container = engine.run(Recipe::stubborn()).await;
    let (before, began) = (container.life().await, now_seconds());
    let (assignment, handle) = dies_while_stopping(&engine, &container).await;
    assert_eq!(container.life().await, before, "it must still be stopping");

    let heir = action(&[engine.host(HOST)]);
    let handle = match heir.resume(&assignment, &handle).await {
        Ok(Resumption::Follow { handle, .. }) => handle,
        // It looked between the engine's stop and its start; the second of two starts finds the container running.
        Ok(Resumption::Start) => heir.start(&assignment, &handle).await.unwrap().0,
        other => panic!("{other:?}"),
    };
    says(&followed(&heir, &assignment, &handle).await, "done", &[&container.name]);
    // The engine tells of a restart only after the container runs again.
    container.until_told("restart").await;
    // Since then only: among many containers the engine has forgotten by now that this one was ever started before.
    let story = container.story_since(began).await;
    let times = |action: &str| story.iter().filter(|told| *told == action).count();
    assert_eq!((times("die"), times("start"), times("restart")), (1, 1, 1), "{story:?}");
}

#[tokio::test]
async fn one_that_was_stopped_and_never_came_back_is_started() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let assignment = Task::new(named(&container.name)).within(Duration::from_secs(30)).assign();
    let handle = ready(action(&[engine.host(HOST)]).look(&assignment).await);
    let stop = None::<bollard::query_parameters::StopContainerOptions>;
    engine.docker.stop_container(&container.id, stop).await.unwrap();

    let heir = action(&[engine.host(HOST)]);
    assert_eq!(heir.resume(&assignment, &handle).await, Ok(Resumption::Start));
    let (handle, what) = heir.start(&assignment, &handle).await.unwrap();
    assert!(what.contains("started container"), "{what}");
    says(&followed(&heir, &assignment, &handle).await, "done", &[]);
}

#[tokio::test]
async fn of_several_only_the_rest_is_restarted() {
    let engine = Engine::get();
    let app = unique("app");
    let (a, b) = (Recipe::idle().label("app", &app), Recipe::idle().label("app", &app));
    let (a, b) = (engine.run(a).await, engine.run(b).await);
    let assignment = Task::new(labelled("app", &app)).max(2).assign();
    let handle = ready(action(&[engine.host(HOST)]).look(&assignment).await);
    let options = None::<bollard::query_parameters::RestartContainerOptions>;
    engine.docker.restart_container(&a.id, options).await.unwrap();

    let heir = action(&[engine.host(HOST)]);
    assert_eq!(heir.resume(&assignment, &handle).await, Ok(Resumption::Start));
    let (handle, _) = heir.start(&assignment, &handle).await.unwrap();
    says(&followed(&heir, &assignment, &handle).await, "done", &[&a.name, &b.name]);
    assert_eq!((a.times("restart").await, b.times("restart").await), (1, 1));
}
