//! Which containers are meant, and which of them are left alone.

use std::sync::Arc;
use std::time::Duration;

use autoheal::action::container::ContainerLookout;
use autoheal::action::{Action as _, Look};
use autoheal::clock::SystemClock;

use super::{HOST, Task, action, done, labelled, looked, named, now, ready, says, service};
use crate::support::engine::{Engine, Recipe, unique};

#[tokio::test]
async fn exactly_one_of_three_services_is_restarted() {
    let engine = Engine::get();
    let project = unique("otus");
    let ui = engine.run(Recipe::idle().compose(&project, "ui")).await;
    let others = [
        engine.run(Recipe::idle().compose(&project, "ui-admin")).await,
        engine.run(Recipe::idle().compose(&project, "ui").label("com.docker.compose.oneoff", "True")).await,
    ];
    let (ui_life, other_lives) = (ui.life().await, [others[0].life().await, others[1].life().await]);

    let action = action(&[engine.host(HOST)]);
    let outcome = done(&action, &Task::new(service(&project, "ui")).assign()).await;

    says(&outcome, "done", &[&ui.name, &ui.id[..12], "restarted", &ui.life().await.1[..19]]);
    assert_ne!(ui.life().await.0, ui_life.0);
    assert_eq!([others[0].life().await, others[1].life().await], other_lives);
    assert_eq!(ui.times("restart").await, 1);
}

#[tokio::test]
async fn name_and_labels_find_their_container() {
    let engine = Engine::get();
    let app = unique("app");
    let container = engine.run(Recipe::idle().label("app", &app)).await;
    let action = action(&[engine.host(HOST)]);
    says(&done(&action, &Task::new(named(&container.name)).assign()).await, "done", &[&container.name]);
    says(&done(&action, &Task::new(labelled("app", &app)).assign()).await, "done", &[&container.name]);
    assert_eq!(container.times("restart").await, 2);
}

#[tokio::test]
async fn a_stopped_container_is_started() {
    let engine = Engine::get();
    let container = engine.run(Recipe::script("test -e /tmp/once && exec sleep 3600; touch /tmp/once; exit 3")).await;
    container.until("exit", |seen| seen.state.as_ref().unwrap().running == Some(false)).await;
    let action = action(&[engine.host(HOST)]);
    let outcome = done(&action, &Task::new(named(&container.name)).assign()).await;
    says(&outcome, "done", &["started", &container.name]);
    assert_eq!((container.times("start").await, container.times("restart").await), (2, 0));
}

#[tokio::test]
async fn several_are_restarted_one_after_another_when_max_allows() {
    let engine = Engine::get();
    let app = unique("app");
    let (a, b) = (Recipe::idle().label("app", &app), Recipe::idle().label("app", &app));
    let (a, b) = (engine.run(a).await, engine.run(b).await);
    let action = action(&[engine.host(HOST)]);

    let too_many = looked(&action, &Task::new(labelled("app", &app)).assign()).await;
    says(&too_many, "refused", &["2 containers", "max is 1", &a.name, &b.name]);

    let outcome = done(&action, &Task::new(labelled("app", &app)).max(2).assign()).await;
    says(&outcome, "done", &[&a.name, &b.name]);
    assert_eq!((a.times("restart").await, b.times("restart").await), (1, 1));
}

#[tokio::test]
async fn what_does_not_exist_is_refused() {
    let engine = Engine::get();
    let action = action(&[engine.host(HOST)]);
    let name = unique("nobody");
    let by_name = looked(&action, &Task::new(named(&name)).assign()).await;
    says(&by_name, "refused", &["no container is named", &name, HOST, &engine.address]);
    let by_label = looked(&action, &Task::new(labelled("app", &name)).assign()).await;
    says(&by_label, "refused", &["no container of labels app=", &name]);
    let by_service = looked(&action, &Task::new(service("otus", &name)).assign()).await;
    says(&by_service, "refused", &["no container of Compose service otus/", &name]);
    let nothing = looked(&action, &Task::new(super::Selector::Labels([].into())).assign()).await;
    says(&nothing, "refused", &["every container"]);
    let elsewhere = looked(&action, &Task::new(named("ui")).on("mars").assign()).await;
    says(&elsewhere, "refused", &["\"mars\"", "local"]);
}

#[tokio::test]
async fn the_beginning_of_an_id_is_no_name() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let action = action(&[engine.host(HOST)]);
    for key in [&container.id[..12], &container.id] {
        let outcome = looked(&action, &Task::new(named(key)).assign()).await;
        says(&outcome, "refused", &["an ID is no name", &container.name]);
    }
}

#[tokio::test]
async fn a_paused_container_stays_paused() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    engine.docker.pause_container(&container.id).await.unwrap();
    let outcome = looked(&action(&[engine.host(HOST)]), &Task::new(named(&container.name)).assign()).await;
    says(&outcome, "refused", &["paused", "docker unpause"]);
}

#[tokio::test]
async fn a_container_its_engine_is_restarting_is_left_to_it() {
    let engine = Engine::get();
    let container = engine.run(Recipe::script("exit 4").always_restarting()).await;
    // The engine pauses longer after every try, so that the fifth leaves time to look.
    container
        .until("a pause of the restart policy", |seen| {
            seen.restart_count >= Some(5) && seen.state.as_ref().unwrap().restarting == Some(true)
        })
        .await;
    let outcome = looked(&action(&[engine.host(HOST)]), &Task::new(named(&container.name)).assign()).await;
    says(&outcome, "not needed", &["being restarted by its restart policy", "code 4"]);
}

#[tokio::test]
async fn a_container_whose_health_checks_have_just_begun_is_left_alone() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle().health("true", Duration::from_hours(1))).await;
    let outcome = looked(&action(&[engine.host(HOST)]), &Task::new(named(&container.name)).assign()).await;
    says(&outcome, "not needed", &["health starting"]);
}

#[tokio::test]
async fn a_container_restarted_since_the_alert_is_left_alone_unless_it_is_down_again() {
    let engine = Engine::get();
    let alert = now();
    let container = engine.run(Recipe::idle()).await;
    let action = action(&[engine.host(HOST)]);
    let task = || Task::new(named(&container.name)).symptom_since(alert).assign();
    says(&looked(&action, &task()).await, "not needed", &["already restarted after"]);

    let stop = None::<bollard::query_parameters::StopContainerOptions>;
    engine.docker.stop_container(&container.id, stop).await.unwrap();
    says(&done(&action, &task()).await, "done", &["started"]);
}

#[tokio::test]
async fn a_dry_run_finds_the_same_and_touches_nothing() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let before = container.life().await;
    let lookout = ContainerLookout::new(&[engine.host(HOST)], Arc::new(SystemClock)).unwrap();
    let Look::Ready { found, .. } = lookout.look(&Task::new(named(&container.name)).assign()).await else {
        panic!("a dry run must find it too");
    };
    assert!(found.contains(&container.name) && found.contains("runs since"), "{found}");
    assert_eq!(container.life().await, before);
    // The engine forgets all but its latest events, so what is asked is that none of the harmful ones is among them.
    let story = container.story().await;
    assert!(
        !["restart", "stop", "kill", "die", "pause"].iter().any(|harm| story.iter().any(|told| told == harm)),
        "{story:?}"
    );
}

#[tokio::test]
async fn two_ways_to_name_one_container_restart_it_once() {
    let engine = Engine::get();
    let project = unique("otus");
    let container = engine.run(Recipe::stubborn().compose(&project, "ui")).await;
    // Two objects, as after a reload, and two names for one engine.
    let first = action(&[engine.host(HOST)]);
    let second = action(&[engine.host("also")]);
    let by_name = Task::new(named(&container.name)).assign();
    let by_service = Task::new(service(&project, "ui")).on("also").assign();
    let handles = (ready(first.look(&by_name).await), ready(second.look(&by_service).await));

    let (one, two) = tokio::join!(first.start(&by_name, &handles.0), second.start(&by_service, &handles.1));
    assert!(one.is_ok(), "{one:?}");
    says(&two.unwrap_err(), "unreachable", &["for another heal right now", &container.name]);

    let (_, what) = second.start(&by_service, &handles.1).await.unwrap();
    assert!(what.contains("so not again"), "{what}");
    assert_eq!(container.times("restart").await, 1);
}
