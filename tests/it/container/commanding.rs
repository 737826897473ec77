//! A command in a container: which program with which arguments, once, and what came of it.

use std::time::Duration;

use autoheal::action::{Action as _, Assignment, Progress, Resumption};
use autoheal::domain::action::{Action, ExecInContainer};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{HOST, Task, action, done, followed, labelled, looked, named, ready, says};
use crate::support::engine::{BadEngine, Container, Engine, Recipe, unique};

/// Counts its runs in a file, one line each.
const COUNTS: [&str; 3] = ["sh", "-c", "echo run >>/tmp/runs"];
const COUNTS_SLOWLY: [&str; 3] = ["sh", "-c", "echo run >>/tmp/runs; sleep 2; exit 3"];

fn commanding(task: Task, command: &[&str]) -> Assignment {
    let assignment = task.assign();
    let containers = assignment.action.selection().unwrap().clone();
    let command = command.iter().map(|text| (*text).to_owned()).collect();
    Assignment { action: Action::ExecInContainer(Box::new(ExecInContainer { containers, command })), ..assignment }
}

async fn runs(container: &Container) -> usize {
    container.output(&["cat", "/tmp/runs"]).await.lines().count()
}

#[tokio::test]
async fn a_command_gets_its_arguments_as_they_are_and_its_code_is_the_outcome() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let before = container.life().await;
    let action = action(&[engine.host(HOST)]);
    let run = async |command: &[&str]| done(&action, &commanding(Task::new(named(&container.name)), command)).await;
    says(
        &run(&["echo", "a  b; $(touch /tmp/pwned)", "*"]).await,
        "done",
        &[&container.name, "ended with code 0 and printed: a  b; $(touch /tmp/pwned) *"],
    );
    says(&run(&["true"]).await, "done", &["code 0 and printed nothing"]);
    says(&run(&["sh", "-c", "echo some; echo worse >&2; exit 7"]).await, "failed", &["code 7", "some", "worse"]);
    says(&run(&["no-such-program"]).await, "failed", &["no-such-program"]);
    let much = run(&["sh", "-c", "yes | head -c 5000000; echo; echo the end"]).await;
    says(&much, "done", &["…", "y  the end"]);
    assert!(format!("{much:?}").len() < 2_000, "bounded");
    assert_eq!(container.life().await, before, "the container itself lives on");
}

#[tokio::test]
async fn a_command_runs_in_the_meant_containers_only_and_only_where_they_run() {
    let engine = Engine::get();
    let (app, action) = (unique("app"), action(&[engine.host(HOST)]));
    let (a, b) = (Recipe::idle().label("app", &app), Recipe::idle().label("app", &app));
    let (a, b) = (engine.run(a).await, engine.run(b).await);
    let bystander = engine.run(Recipe::idle()).await;
    let task = || Task::new(labelled("app", &app));
    says(&looked(&action, &commanding(task(), &COUNTS)).await, "refused", &["max is 1"]);
    says(&done(&action, &commanding(task().max(2), &COUNTS)).await, "done", &[&a.name, &b.name]);
    assert_eq!((runs(&a).await, runs(&b).await, runs(&bystander).await), (1, 1, 0));
    b.pause().await;
    says(&looked(&action, &commanding(task().max(2), &COUNTS)).await, "refused", &[&b.name, "docker unpause"]);
    let stopped = engine.run(Recipe::idle().not_started()).await;
    let outcome = looked(&action, &commanding(Task::new(named(&stopped.name)), &COUNTS)).await;
    says(&outcome, "failed", &["was never started", "in a container that runs"]);
    assert_eq!(runs(&a).await, 1);
}

/// Starts a command and dies as soon as it runs.
async fn dies_while_it_runs(engine: &Engine, container: &Container) -> (Assignment, Value) {
    let assignment = commanding(Task::new(named(&container.name)), &COUNTS_SLOWLY);
    let first = action(&[engine.host(HOST)]);
    let handle = ready(first.look(&assignment).await);
    let (kept, lost) = (assignment.clone(), handle.clone());
    let mut process = JoinSet::new();
    process.spawn(async move { first.start(&kept, &lost).await });
    while runs(container).await == 0 {}
    process.shutdown().await;
    (assignment, handle)
}

#[tokio::test]
async fn whoever_takes_over_runs_what_did_not_run_and_nothing_twice() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let heir = action(&[engine.host(HOST)]);
    let assignment = commanding(Task::new(named(&container.name)), &COUNTS);
    let prepared = ready(action(&[engine.host(HOST)]).look(&assignment).await);
    assert_eq!(runs(&container).await, 0, "looking runs nothing");
    assert_eq!(heir.resume(&assignment, &prepared).await, Ok(Resumption::Start));
    let (handle, _) = heir.start(&assignment, &prepared).await.unwrap();
    says(&followed(&heir, &assignment, &handle).await, "done", &["code 0"]);
    // Its process dies after the deed and before the record.
    let Ok(Resumption::Follow { handle, what }) = heir.resume(&assignment, &prepared).await else {
        panic!("it ran");
    };
    assert!(what.contains("went to a process that is gone"), "{what}");
    says(&followed(&heir, &assignment, &handle).await, "done", &["code 0"]);
    says(
        &heir
            .start(&assignment, &prepared)
            .await
            .map(drop)
            .map_or_else(|outcome| outcome, |()| autoheal::domain::decide::ActionOutcome::Done { what: String::new() }),
        "done",
        &[],
    );
    assert_eq!(runs(&container).await, 1, "once, although it was asked for twice");
}

#[tokio::test]
async fn a_command_that_runs_on_after_a_crash_is_waited_for() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let (assignment, handle) = dies_while_it_runs(&engine, &container).await;
    let heir = action(&[engine.host(HOST)]);
    assert_eq!(heir.resume(&assignment, &handle).await, Ok(Resumption::Start));
    says(&heir.start(&assignment, &handle).await.unwrap_err(), "failed", &["ended with code 3", "is gone"]);
    assert_eq!(runs(&container).await, 1);
}

#[tokio::test]
async fn what_the_engine_has_forgotten_is_not_run_again() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let (assignment, handle) = dies_while_it_runs(&engine, &container).await;
    container.remove().await;
    let heir = action(&[engine.host(HOST)]);
    let outcome = heir.resume(&assignment, &handle).await.unwrap_err();
    says(&outcome, "doubtful", &["cannot be known", "it is not run again"]);
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_left_and_not_started_beside_itself() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let action = action(&[engine.host(HOST)]);
    let slow =
        |time| commanding(Task::new(named(&container.name)).within(Duration::from_secs(time)), &["sleep", "3600"]);
    says(&done(&action, &slow(2)).await, "doubtful", &["still runs", "docker top", &container.name]);
    says(&looked(&action, &slow(60)).await, "failed", &["still runs", "not started beside itself"]);
}

#[tokio::test]
async fn an_answer_that_gets_lost_runs_nothing_twice() {
    let engine = Engine::get();
    let container = engine.run(Recipe::idle()).await;
    let assignment = commanding(Task::new(named(&container.name)), &COUNTS);
    let good = action(&[engine.host(HOST)]);
    let handle = ready(good.look(&assignment).await);
    let lossy = BadEngine::that_loses_answers(&engine);
    let bad = action(&[lossy.host(HOST)]);
    let (handle, _) = bad.start(&assignment, &handle).await.unwrap();
    assert!(matches!(bad.poll(&assignment, &handle).await, Progress::Over(_)));
    says(&followed(&bad, &assignment, &handle).await, "done", &["code 0"]);
    assert_eq!(runs(&container).await, 1);
}
