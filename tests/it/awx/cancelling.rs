//! A person stops a heal, and the job it launched is stopped with it, followed to its end, and what became of it is told.

use std::time::Duration;

use serde_json::{Value, json};

use super::stories::{RULE, Scene, body, heal, story};
use crate::support::awx::{ADMIN_PASSWORD, Fault, Pace};
use crate::support::daemon::{Daemon, Home, eventually};

const WORKFLOW: &str = r#"
rules:
- metadata: {name: restart-service}
  labels: {alertname: ^InstanceDown$}
  awxJob: {template: Heal web, workflow: true, extraVars: {service: "{{ $labels.job }}"}}
"#;

/// A job that runs until it is told otherwise, and the daemon that follows it.
fn running(scene: &Scene, home: &Home) -> (Daemon, String) {
    scene.awx.world().pace = Pace { run: Duration::from_hours(1), ..Pace::default() };
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    eventually("the job runs", || scene.awx.world().jobs.values().any(|job| job.status == "running"));
    eventually("it is followed", || story(&heal(&daemon)).iter().any(|(what, _)| what == "started"));
    let id = heal(&daemon)["id"].as_str().unwrap().to_owned();
    (daemon, id)
}

fn cancel(daemon: &Daemon, id: &str) -> Value {
    let request = daemon.request("POST", &format!("/api/v1/heals/{id}/cancel"));
    let answer = request.json(&json!({"reason": "wrong host"})).send().unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    answer.json().unwrap()
}

/// What the story says became of the action.
fn ended(daemon: &Daemon) -> String {
    let cancelled = daemon.wait_for_state("cancelled");
    let told = story(&cancelled);
    let entry = told.iter().find(|(what, _)| what == "action ended");
    entry.unwrap_or_else(|| panic!("nothing is said of the job: {told:?}")).1.clone()
}

fn statuses(scene: &Scene) -> Vec<&'static str> {
    scene.awx.world().jobs.values().map(|job| job.status).collect()
}

#[test]
fn heals_cancel_stops_the_job_and_tells_what_became_of_it() {
    for (rules, kind) in [(RULE, "playbook"), (WORKFLOW, "workflow")] {
        let scene = Scene::set();
        let home = scene.home(rules);
        let (daemon, id) = running(&scene, &home);
        let command = ["heals", "cancel", &id, "--reason", "wrong host", "--url", &daemon.url("")];
        let said = std::process::Command::new(env!("CARGO_BIN_EXE_autoheal")).args(command).output().unwrap();
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(
            said.status.success() && text.contains("cancelled the heal: wrong host; its action is under way"),
            "{said:?}"
        );
        let ended = ended(&daemon);
        assert!(
            ended.starts_with("AWX job 2 (") && ended.contains(&format!("/#/jobs/{kind}/2) was stopped as asked")),
            "{ended}"
        );
        assert_eq!(statuses(&scene), ["canceled"]);
        let whats: Vec<_> = story(&heal(&daemon)).into_iter().map(|(what, _)| what).collect();
        let expected = ["firing", "acting", "looked", "started", "cancelling", "action ended", "cancelled"];
        assert_eq!(whats, expected);
        eventually("people are told", || {
            scene.slack.received().iter().any(|post| post.to_string().contains("was stopped as asked"))
        });
        assert_eq!(scene.awx.world().launches(), 1);
    }
}

#[test]
fn a_job_that_still_waits_is_stopped_as_well() {
    let scene = Scene::set();
    let home = scene.home(RULE);
    scene.awx.world().pace = Pace { task_service_down: true, ..Pace::default() };
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    eventually("it is followed", || daemon.heals().iter().any(|_| story(&heal(&daemon)).len() == 4));
    cancel(&daemon, heal(&daemon)["id"].as_str().unwrap());
    assert!(ended(&daemon).contains("was stopped as asked"));
    assert_eq!(statuses(&scene), ["canceled"]);
}

#[test]
fn a_cancel_whose_answer_is_lost_or_that_meets_trouble_is_asked_again() {
    let trouble = [Fault::LoseAnswer, Fault::LateHang, Fault::Refuse(502), Fault::Refuse(401)];
    for fault in trouble {
        let scene = Scene::set();
        let home = scene.home(RULE);
        let (daemon, id) = running(&scene, &home);
        // More than one answer in a row is lost; a job that has ended meanwhile says no to the last one.
        scene.awx.world().faults.cancels = vec![fault; 4];
        cancel(&daemon, &id);
        let ended = ended(&daemon);
        assert!(ended.contains("was stopped as asked"), "{fault:?}: {ended}");
        assert_eq!(statuses(&scene), ["canceled"], "{fault:?}");
    }
}

/// The job is over, but nobody here has seen it yet: AWX answers 403 to its launcher and 405 to an administrator.
#[test]
fn a_job_that_is_over_already_is_told_as_what_it_came_to() {
    for as_administrator in [false, true] {
        let scene = Scene::set();
        let home = scene.home(RULE);
        let config = scene.config().replace("jobStatusCheckInterval: 30ms", "jobStatusCheckInterval: 10m");
        let credentials = format!("credentials: {{username: admin, password: '{ADMIN_PASSWORD}'}}");
        let config = if as_administrator { config.replace("token: '${AWX_TOKEN}'", &credentials) } else { config };
        home.write("autoheal.yml", &config);
        let (daemon, id) = running(&scene, &home);
        scene.awx.world().finish(2);
        eventually("its output is stored", || scene.awx.world().jobs[&2].events_stored);
        cancel(&daemon, &id);
        let ended = ended(&daemon);
        assert!(ended.contains("ended successful") && ended.contains("hosts: 1 changed"), "{ended}");
    }
}

#[test]
fn a_job_that_awx_does_not_let_us_stop_is_followed_to_its_end() {
    let scene = Scene::set();
    let home = scene.home(RULE);
    let (daemon, id) = running(&scene, &home);
    scene.awx.world().faults.cancels = vec![Fault::Refuse(403); 1000];
    cancel(&daemon, &id);
    eventually("it is tried", || scene.awx.world().cancels() > 1);
    assert_eq!(heal(&daemon)["state"], "acting", "the heal is not over before its job is");
    scene.awx.world().finish(2);
    assert!(ended(&daemon).contains("ended successful"));
}

#[test]
fn a_heal_cancelled_while_its_launch_is_not_answered_stops_the_job_that_is_found() {
    let scene = Scene::set();
    let home = scene.home(RULE);
    scene.awx.world().pace = Pace { run: Duration::from_hours(1), ..Pace::default() };
    scene.awx.world().faults.launches = vec![Fault::LateHang];
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    eventually("a job is made", || scene.awx.world().jobs.len() == 1);
    let told = cancel(&daemon, heal(&daemon)["id"].as_str().unwrap());
    assert_eq!(told["state"], "acting", "{told}");
    assert!(ended(&daemon).contains("was stopped as asked"));
    assert_eq!((statuses(&scene), scene.awx.world().launches()), (vec!["canceled"], 1));
}

#[test]
fn a_job_that_takes_too_long_is_stopped_even_if_awx_does_not_hear_of_it_at_first() {
    let scene = Scene::set();
    let home = scene.home(RULE);
    home.write("autoheal.yml", &scene.config().replace("timeouts: {", "timeouts: {pending: 1s, "));
    scene.awx.world().pace = Pace { task_service_down: true, ..Pace::default() };
    // Three tries are one cancel.
    scene.awx.world().faults.cancels = vec![Fault::Refuse(401); 3];
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    let exhausted = daemon.wait_for_state("exhausted");
    let told = story(&exhausted);
    let failed = told.iter().find(|(what, _)| what == "action failed").expect("the job was stopped");
    assert!(failed.1.contains("was cancelled because it was still queued after 1s"), "{}", failed.1);
    assert_eq!((statuses(&scene), scene.awx.world().cancels()), (vec!["canceled"], 4));
}
