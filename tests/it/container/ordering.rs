//! Starting, stopping, and the order in which several containers are touched.

use std::time::Duration;

use autoheal::action::{Action as _, Assignment, Resumption};
use autoheal::domain::Timestamp;
use autoheal::domain::action::Action;

use super::{HOST, Task, action, done, followed, labelled, looked, named, ready, says};
use crate::support::engine::{Container, Engine, Recipe, unique};

/// A replica that needs a second to become healthy.
fn slow(app: &str) -> Recipe {
    Recipe::idle().label("app", app).health("sleep 1", Duration::from_millis(200))
}

async fn healthy(container: &Container) {
    container
        .until("healthy", |seen| {
            format!("{:?}", seen.state).contains("HEALTHY") && !format!("{:?}", seen.state).contains("UNHEALTHY")
        })
        .await;
}

async fn started_at(container: &Container) -> Timestamp {
    container.life().await.1.parse().unwrap()
}

/// The same task with another deed.
fn start(task: Task) -> Assignment {
    let assignment = task.assign();
    Assignment { action: Action::StartContainer(assignment.action.containers().unwrap().1.clone()), ..assignment }
}

fn stop(task: Task) -> Assignment {
    let assignment = task.assign();
    Assignment { action: Action::StopContainer(assignment.action.containers().unwrap().1.clone()), ..assignment }
}

#[tokio::test]
async fn replicas_are_restarted_one_after_another_and_never_the_last_healthy_one() {
    let (engine, app) = (Engine::get(), unique("rolling"));
    let replicas = [engine.run(slow(&app)).await, engine.run(slow(&app)).await];
    for replica in &replicas {
        healthy(replica).await;
    }
    let action = action(&[engine.host(HOST)]);
    let assignment = Task::new(labelled("app", &app)).max(2).assign();
    says(&done(&action, &assignment).await, "done", &["healthy"]);
    let (first, second) = (started_at(&replicas[0]).await, started_at(&replicas[1]).await);
    let apart = autoheal::domain::elapsed(first.min(second), first.max(second));
    assert!(apart >= Duration::from_secs(1), "the second waited until the first was healthy: {apart:?}");
}

#[tokio::test]
async fn the_last_healthy_one_stays_up_while_its_peers_are_ill() {
    let (engine, app) = (Engine::get(), unique("last"));
    let well = engine.run(Recipe::idle().label("app", &app)).await;
    let ill = engine.run(Recipe::idle().label("app", &app).health("false", Duration::from_millis(200))).await;
    ill.until("unhealthy", |seen| format!("{:?}", seen.state).contains("UNHEALTHY")).await;
    let life = well.life().await;
    let action = action(&[engine.host(HOST)]);
    let assignment = Task::new(labelled("app", &app)).max(2).within(Duration::from_secs(4)).assign();
    let outcome = done(&action, &assignment).await;
    says(&outcome, "failed", &[&well.name, "stays up", "minHealthy is 1"]);
    assert_eq!(life, well.life().await);

    let mut impossible = Task::new(labelled("app", &app)).max(2);
    impossible.restart.min_healthy = Some(2);
    let outcome = done(&action, &impossible.assign()).await;
    says(&outcome, "refused", &[&well.name, "minHealthy is 2"]);
    assert_eq!(life, well.life().await);
}

#[tokio::test]
async fn a_running_container_is_stopped_once_and_a_stopped_one_left_alone() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let action = action(&[engine.host(HOST)]);
    let assignment = stop(Task::new(named(&container.name)));
    let handle = ready(action.look(&assignment).await);
    let before = action.resume(&assignment, &handle).await.unwrap();
    assert_eq!(before, Resumption::Start, "nothing was done before the crash");
    action.start(&assignment, &handle).await.unwrap();
    let after = action.resume(&assignment, &handle).await.unwrap();
    assert!(matches!(after, Resumption::Follow { what, .. } if what.contains("was stopped before")));
    says(&followed(&action, &assignment, &handle).await, "done", &[&container.name, "exited with code"]);
    says(&looked(&action, &stop(Task::new(named(&container.name)))).await, "not needed", &["already"]);

    says(&done(&action, &start(Task::new(named(&container.name)))).await, "done", &["was started and runs"]);
    says(&looked(&action, &start(Task::new(named(&container.name)))).await, "not needed", &["needs no start"]);
}

#[tokio::test]
async fn stopping_leaves_the_last_healthy_replica_unless_the_rule_says_otherwise() {
    let (engine, app) = (Engine::get(), unique("stop"));
    let replicas = [0, 1].map(|_| engine.run(Recipe::idle().label("app", &app)));
    let replicas = futures_util::future::join_all(replicas).await;
    let action = action(&[engine.host(HOST)]);
    let outcome = done(&action, &stop(Task::new(labelled("app", &app)).max(2))).await;
    says(&outcome, "refused", &["stopped container", "then", "stays up"]);
    let running = async || {
        let states = replicas.iter().map(async |replica| replica.inspect().await.state.unwrap().running == Some(true));
        futures_util::future::join_all(states).await.into_iter().filter(|running| *running).count()
    };
    assert_eq!(running().await, 1);
    let mut all = Task::new(labelled("app", &app)).max(2);
    all.restart.min_healthy = Some(0);
    says(&done(&action, &stop(all)).await, "done", &[]);
    assert_eq!(running().await, 0);
}

#[tokio::test]
async fn dependents_follow_in_their_order_once_what_they_depend_on_is_well() {
    let (engine, app) = (Engine::get(), unique("then"));
    let main = engine.run(slow(&app)).await;
    let (first, second) = (engine.run(Recipe::idle()).await, engine.run(Recipe::idle()).await);
    healthy(&main).await;
    let action = action(&[engine.host(HOST)]);
    let mut task = Task::new(named(&main.name));
    task.restart.then = vec![named(&second.name), named(&first.name), named(&main.name)];
    says(&done(&action, &task.assign()).await, "done", &[&main.name, &first.name, &second.name]);
    let times = [started_at(&main).await, started_at(&second).await, started_at(&first).await];
    assert!(autoheal::domain::elapsed(times[0], times[1]) >= Duration::from_secs(1), "{times:?}");
    assert!(times[1] < times[2], "{times:?}");
}

#[tokio::test]
async fn dependents_of_what_does_not_come_up_are_left_alone() {
    let engine = Engine::get();
    let (broken, dependent) = (engine.run(Recipe::script("exit 3")).await, engine.run(Recipe::idle()).await);
    let life = dependent.life().await;
    let action = action(&[engine.host(HOST)]);
    let mut task = Task::new(named(&broken.name));
    task.restart.then = vec![named(&dependent.name)];
    let outcome = done(&action, &task.assign()).await;
    says(&outcome, "failed", &["exited with code 3", &dependent.name, "left alone"]);
    assert_eq!(life, dependent.life().await);

    let mut task = Task::new(named(&broken.name));
    task.restart.then = vec![named("no-such-container")];
    says(&looked(&action, &task.assign()).await, "refused", &["no container is named no-such-container"]);
}
