//! Starting, stopping, and the order in which several containers are touched.

use std::time::Duration;

use autoheal::action::{Action as _, Assignment, Resumption};
use autoheal::domain::Timestamp;
use autoheal::domain::action::{Action, Dependents};

use super::{HOST, Task, action, done, followed, labelled, looked, named, ready, says, service};
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

/// A container of a Compose service that depends on others as Compose writes it down.
fn composed(project: &str, name: &str, depends_on: &str) -> Recipe {
    Recipe::idle().compose(project, name).label("com.docker.compose.depends_on", depends_on)
}

#[tokio::test]
async fn what_compose_says_depends_on_a_service_follows_in_order() {
    let (engine, project) = (Engine::get(), unique("otus"));
    let db = engine.run(composed(&project, "db", "").health("sleep 1", Duration::from_millis(200))).await;
    let api = engine.run(composed(&project, "api", "db:service_healthy:true")).await;
    // By name it would come before api.
    let admin = engine.run(composed(&project, "admin", "api:service_started:true")).await;
    let report = engine.run(composed(&project, "report", "db:service_started:false")).await;
    let off = engine.run(composed(&project, "off", "db:service_started:true").not_started()).await;
    let other = engine.run(composed(&unique("other"), "api", "db:service_healthy:true")).await;
    healthy(&db).await;
    let untouched = [&report, &off, &other];
    let mut before = Vec::new();
    for container in untouched {
        before.push(container.life().await);
    }
    let mut task = Task::new(service(&project, "db"));
    task.restart.dependents = Some(Dependents::Restart);
    let outcome = done(&action(&[engine.host(HOST)]), &task.assign()).await;
    says(&outcome, "done", &[&db.name, &api.name, &admin.name]);
    let (first, second, third) = (started_at(&db).await, started_at(&api).await, started_at(&admin).await);
    assert!(first < second && second < third, "{first} {second} {third}");
    let waited = autoheal::domain::elapsed(first, second);
    assert!(waited >= Duration::from_secs(1), "api waited until db was healthy: {waited:?}");
    for (container, before) in untouched.iter().zip(before) {
        assert_eq!(container.life().await, before, "{} is left alone", container.name);
    }
}

#[tokio::test]
async fn what_a_person_cancels_goes_no_further() {
    let (engine, project) = (Engine::get(), unique("otus"));
    let db = engine.run(composed(&project, "db", "")).await;
    let api = engine.run(composed(&project, "api", "db:service_started:true")).await;
    let before = api.life().await;
    let action = action(&[engine.host(HOST)]);
    let mut task = Task::new(service(&project, "db"));
    task.restart.dependents = Some(Dependents::All);
    let assignment = task.assign();
    let handle = ready(action.look(&assignment).await);
    // It waits for db to have settled before it turns to api.
    let halted = async {
        db.until_told("restart").await;
        action.halt(&assignment);
    };
    let (outcome, ()) = tokio::join!(action.start(&assignment, &handle), halted);
    says(
        &outcome.unwrap_err(),
        "failed",
        &["restarted container", &db.name, "then cancelled, so container", &api.name],
    );
    assert_eq!(api.life().await, before);
    assert_eq!(db.times("restart").await, 1);
}
