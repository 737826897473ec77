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
    assert_eq!(daemon.post(delivery(&[alert("firing", labels, Duration::from_secs(1))])), Some(202));
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
