//! A real Alertmanager that is asked: what it keeps silent about, and what it no longer has.

use std::sync::Arc;
use std::time::Duration;

use autoheal::clock::SystemClock;
use autoheal::verify::{AlertmanagerAsker, Authorization, Endpoint};
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};
use crate::support::engine::{Container, Engine, Recipe};
use crate::support::prometheus::{Alertmanager, free_port};
use crate::support::site::{Answer, Site};
use crate::support::{install_tls, wait};

fn home(engine: &Engine, alertmanager: &Alertmanager, rule: &str) -> Home {
    let config = format!(
        "docker: {{hosts: [{{name: local, address: '{}'}}]}}\nalertmanager: {{address: '{}'}}\n",
        engine.address,
        alertmanager.url()
    );
    let rules = format!(
        "rules:\n- metadata: {{name: restart}}\n  labels: {{alertname: ^ServiceDown$}}\n  \
         restartContainer: {{name: '{{{{ $labels.container }}}}'}}\n{rule}"
    );
    Home::new(&config, &rules)
}

fn labels(container: &Container) -> Value {
    json!({"alertname": "ServiceDown", "container": container.name})
}

fn fires(daemon: &Daemon, labels: &Value) {
    assert_eq!(daemon.post(delivery(&[alert("firing", labels, Duration::ZERO)])), Some(202));
}

fn story(heal: &Value) -> String {
    let entries = heal["timeline"].as_array().unwrap().iter();
    entries.map(|entry| entry["reason"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_resolve_that_nobody_told_is_found_by_asking_twice_under_a_silence_and_after_a_restart_alike() {
    let (engine, directory) = (Engine::get(), tempfile::tempdir().unwrap());
    let alertmanager = Alertmanager::silent(directory.path());
    let (first, second) = (wait(engine.run(Recipe::idle())), wait(engine.run(Recipe::idle())));
    let home = home(&engine, &alertmanager, "  verify: {within: 2m}\n");
    let daemon = home.start();
    for container in [&first, &second] {
        alertmanager.fires(&labels(container));
        fires(&daemon, &labels(container));
    }
    eventually("both are verified", || daemon.heals().iter().all(|heal| heal["state"] == "verifying"));
    alertmanager.silence(&format!("container={}", first.name));
    alertmanager.resolves(&labels(&first));
    let heal = daemon.wait_for_state("healed");
    assert_eq!(heal["alerts"][0]["labels"], labels(&first));
    assert!(
        story(&heal).contains("is gone: Alertmanager, up since") && story(&heal).contains("was asked twice"),
        "{heal}"
    );

    daemon.kill();
    alertmanager.resolves(&labels(&second));
    let daemon = home.start();
    eventually("the other one is found after the restart", || {
        daemon.heals().iter().all(|heal| heal["state"] == "healed")
    });
    assert!(daemon.heals().iter().all(|heal| heal["attempt"] == 1));
}

#[test]
fn that_an_alert_is_silenced_is_said_when_its_resolve_does_not_come() {
    let (engine, directory) = (Engine::get(), tempfile::tempdir().unwrap());
    let alertmanager = Alertmanager::silent(directory.path());
    let container = wait(engine.run(Recipe::idle()));
    let home = home(&engine, &alertmanager, "  verify: {within: 15s}\n");
    let daemon = home.start();
    alertmanager.fires(&labels(&container));
    fires(&daemon, &labels(&container));
    daemon.wait_for_state("verifying");
    let silence = alertmanager.silence("alertname=ServiceDown");
    let heal = daemon.wait_for_state("exhausted");
    let words = format!("not verified within 15s: the alert has not resolved (silenced by {silence} in Alertmanager)");
    assert!(story(&heal).contains(&words), "{}", story(&heal));
}

#[test]
fn a_silenced_alert_is_held_and_healed_when_the_silence_ends() {
    let (engine, directory) = (Engine::get(), tempfile::tempdir().unwrap());
    let alertmanager = Alertmanager::silent(directory.path());
    let (container, other) = (wait(engine.run(Recipe::idle())), wait(engine.run(Recipe::idle())));
    let nevertheless = "- metadata: {name: nevertheless}\n  labels: {alertname: ^OtherDown$}\n  whenSilenced: heal\n  \
                        restartContainer: {name: '{{ $labels.container }}'}\n";
    let home = home(&engine, &alertmanager, &format!("  verify: {{within: 1m}}\n{nevertheless}"));
    let daemon = home.start();
    let silence = alertmanager.silence("alertname=~\"ServiceDown|OtherDown\"");
    let others = json!({"alertname": "OtherDown", "container": other.name});
    let lives = || (wait(container.life()), wait(other.life()));
    let before = lives();
    for labels in [&labels(&container), &others] {
        alertmanager.fires(labels);
        fires(&daemon, labels);
    }
    let heal = |rule: &str| daemon.heals().into_iter().find(|heal| heal["rule"] == rule).unwrap();
    eventually("the rule that says so heals it", || heal("nevertheless")["state"] == "verifying");
    eventually("the other one says why it waits", || heal("restart")["reason"].as_str().unwrap().contains(&silence));
    assert_eq!((&heal("restart")["state"], &heal("restart")["attempt"]), (&json!("pending"), &json!(0)));
    let between = lives();
    assert_eq!((before.0 == between.0, before.1 == between.1), (true, false));

    alertmanager.expire(&silence);
    eventually("it is healed now", || heal("restart")["state"] == "verifying");
    assert_ne!(between.0, lives().0);
    let told = story(&daemon.json(&format!("/api/v1/heals/{}", heal("restart")["id"].as_str().unwrap())));
    assert_eq!(told.matches("nothing is done meanwhile").count(), 1, "{told}");
}

#[test]
fn an_alert_that_is_gone_before_anything_was_done_is_left_alone() {
    let (engine, directory) = (Engine::get(), tempfile::tempdir().unwrap());
    let alertmanager = Alertmanager::silent(directory.path());
    let container = wait(engine.run(Recipe::idle()));
    let home = home(&engine, &alertmanager, "");
    let daemon = home.start();
    let before = wait(container.life());
    fires(&daemon, &labels(&container));
    let heal = daemon.wait_for_state("recovered");
    assert!(story(&heal).contains("does not have the alert"), "{}", story(&heal));
    assert_eq!(before, wait(container.life()));
}

#[test]
fn while_alertmanager_cannot_be_asked_nothing_is_done_and_it_is_said() {
    let (engine, directory) = (Engine::get(), tempfile::tempdir().unwrap());
    let alertmanager = Alertmanager::silent(directory.path());
    let (port, container) = (alertmanager.port, wait(engine.run(Recipe::idle())));
    let home = home(&engine, &alertmanager, "  verify: {within: 1m}\n");
    let daemon = home.start();
    drop(alertmanager);
    let before = wait(container.life());
    fires(&daemon, &labels(&container));
    eventually("it says why it waits", || {
        let reason = daemon.heals()[0]["reason"].as_str().unwrap().to_owned();
        reason.starts_with("nobody can say whether") && reason.contains("cannot be reached")
    });
    assert_eq!(before, wait(container.life()));
    let alertmanager = Alertmanager::start_at(port, directory.path(), "http://127.0.0.1:1/");
    alertmanager.fires(&labels(&container));
    daemon.wait_for_state("verifying");
    assert_ne!(before, wait(container.life()));
}

#[test]
fn an_alert_older_than_the_rule_takes_on_is_refused() {
    let (engine, directory) = (Engine::get(), tempfile::tempdir().unwrap());
    let alertmanager = Alertmanager::silent(directory.path());
    let container = wait(engine.run(Recipe::idle()));
    let home = home(&engine, &alertmanager, "  maxAge: 1h\n");
    let daemon = home.start();
    alertmanager.fires(&labels(&container));
    let body = delivery(&[alert("firing", &labels(&container), Duration::from_hours(2))]);
    assert_eq!(daemon.post(body), Some(202));
    let heal = daemon.wait_for_state("suppressed");
    assert_eq!(heal["reason"], "the alert fires for 2h already, maxAge is 1h");
}

#[tokio::test]
async fn what_alertmanager_answers_is_believed_only_when_it_is_an_answer() {
    install_tls();
    let site = Site::start(Answer::Say(200, "[]".into())).await;
    let endpoint = |address: &str| Endpoint {
        address: address.parse().unwrap(),
        authorization: Authorization::default(),
        tls: autoheal::tls::ClientTls::default(),
    };
    let clock = Arc::new(SystemClock);
    let at = format!("http://{}/am", site.address);
    let ask = async || AlertmanagerAsker::new(&endpoint(&at)).unwrap().ask(&*clock).await.unwrap_err();
    assert!(ask().await.ends_with("does not answer as Alertmanager's API v2 does"));
    assert!(site.requests()[0].starts_with("GET /am/api/v2/status "));
    site.answer(Answer::Say(503, "busy".into()));
    assert!(ask().await.contains("answers 503 Service Unavailable to /am/api/v2/status"));
    let gone = endpoint(&format!("http://127.0.0.1:{}", free_port()));
    let error = AlertmanagerAsker::new(&gone).unwrap().ask(&*clock).await.unwrap_err();
    assert!(error.contains("cannot be reached: ") && error.contains("onnection refused"), "{error}");
}
