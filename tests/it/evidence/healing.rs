//! Heals that are verified by more than the alert's resolve, on the real program with real containers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::daemon::{Home, alert, delivery, eventually};
use crate::support::engine::{Container, Engine, Recipe, unique};
use crate::support::office::Office;
use crate::support::prometheus::{Alertmanager, Prometheus, answers, free_port};
use crate::support::site::{Answer, Site};
use crate::support::wait;
use crate::support::watch::Watch;

fn rules(verify: &str) -> String {
    format!(
        r#"
rules:
- metadata: {{name: restart}}
  labels: {{alertname: ^ServiceDown$}}
  steps:
  - restartContainer: {{name: "{{{{ $labels.container }}}}"}}
    attempts: 3
    backoff: {{initial: 100ms}}
    verify: {{{verify}}}
"#
    )
}

fn config(engine: &Engine, more: &str) -> String {
    format!("docker: {{hosts: [{{name: local, address: '{}'}}]}}\n{more}", engine.address)
}

fn down(container: &Container, more: &Value) -> String {
    let mut labels = json!({"alertname": "ServiceDown", "container": container.name});
    labels.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    delivery(&[alert("firing", &labels, Duration::ZERO)])
}

fn story(heal: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    heal["timeline"].as_array().unwrap().iter().map(|entry| (text(&entry["what"]), text(&entry["reason"]))).collect()
}

/// A container, and everything the engine does with it from now on.
fn watched(engine: &Engine) -> (Container, Watch) {
    let name = unique("watched");
    let container = wait(engine.run(Recipe::idle().label("watched", &name)));
    (container, wait(Watch::of(engine, "watched", &name)))
}

fn restarts(watch: &mut Watch) -> usize {
    wait(watch.news()).into_iter().filter(|(_, action)| action == "restart").count()
}

#[test]
fn a_heal_counts_when_the_service_answers_the_port_is_open_the_container_is_healthy_and_prometheus_agrees() {
    let (engine, port) = (Engine::get(), free_port());
    let rules = rules(
        r#"within: 1m, healthyFor: 1s, resolved: false, container: healthy, tcp: "127.0.0.1:{{ $labels.port }}",
             http: {url: "http://127.0.0.1:{{ $labels.port }}/metrics.txt", status: 200, body: "service_info 1"},
             promql: 'up{job="web"} == 1'"#,
    );
    let container = wait(engine.run(Recipe::web(port).health("true", Duration::from_millis(300))));
    eventually("the service answers", || answers(&format!("http://127.0.0.1:{port}/metrics.txt")));
    let directory = tempfile::tempdir().unwrap();
    let alertmanager = Alertmanager::start(directory.path(), "http://127.0.0.1:1/");
    let prometheus = Prometheus::start(directory.path(), alertmanager.port, &[("web", port)]);
    let home = Home::new(&config(&engine, &format!("prometheus: {{address: '{}'}}\n", prometheus.url())), &rules);
    let daemon = home.start();
    wait(container.kill());
    assert_eq!(daemon.post(down(&container, &json!({"port": port.to_string()}))), Some(202));
    let heal = daemon.wait_for_state("healed");
    let reason = heal["reason"].as_str().unwrap();
    for words in [
        "healthy",
        "takes connections",
        "answers 200 with a body matching",
        "is true",
        "all held for 1s",
        "after the first attempt",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    assert!(story(&heal).iter().any(|(what, reason)| what == "evidence" && reason.contains("answers 200")), "{heal}");
    assert_eq!(heal["attempt"], 1);
    assert_eq!(heal["alerts"][0]["status"], "firing", "the rule does not wait for the resolve");
}

#[test]
fn a_service_that_still_fails_is_not_healed_though_the_alert_resolved() {
    let (engine, site) = (Engine::get(), wait(Site::start(Answer::Say(500, "broken".into()))));
    let home = Home::new(
        &config(&engine, ""),
        &rules(&format!("within: 2s, http: {{url: 'http://{}/', status: [200, 204]}}", site.address)),
    );
    let daemon = home.start();
    let (container, mut watch) = watched(&engine);
    let firing = down(&container, &json!({}));
    daemon.post(firing.clone());
    daemon.wait_for_state("verifying");
    daemon.post(
        firing
            .replace("\"status\":\"firing\",\"labels\"", "\"status\":\"resolved\",\"labels\"")
            .replace("\"firing\"", "\"resolved\""),
    );
    let heal = daemon.wait_for_state("exhausted");
    let told = story(&heal);
    let words = format!("not verified within 2s: http://{}/ answers 500 instead of 200 or 204", site.address);
    assert_eq!(told.iter().filter(|(_, reason)| *reason == words).count(), 3, "{told:#?}");
    assert_eq!(restarts(&mut watch), 3);
}

#[test]
fn when_nobody_can_say_whether_it_helped_a_human_is_called_once_and_nothing_more_is_done() {
    let (engine, office, port) = (Engine::get(), Office::open(), free_port());
    let more = format!("prometheus: {{address: 'http://127.0.0.1:{port}'}}\n{}", office.receivers());
    let home = Home::new(&config(&engine, &more), &rules("within: 2s, promql: 'up == 1'"));
    home.secrets(&Office::secrets());
    let daemon = home.start();
    let (container, mut watch) = watched(&engine);
    daemon.post(down(&container, &json!({})));
    let heal = daemon.wait_for_state("exhausted");
    let reason = heal["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("nobody could say within 2s whether it helped") && reason.contains("cannot be reached"),
        "{reason}"
    );
    assert_eq!(restarts(&mut watch), 1, "three attempts were allowed");
    let mail = office.smtp.expect("message");
    assert!(mail["plain"].as_str().unwrap().contains("nobody could say"), "{mail}");
    assert!(daemon.terminate().success());
    assert_eq!(office.close().0, Vec::<Value>::new(), "one mail, not more");
}

#[test]
fn a_hung_server_keeps_only_those_waiting_who_ask_it() {
    let (engine, hung, well) =
        (Engine::get(), wait(Site::start(Answer::Hang)), wait(Site::start(Answer::Say(200, String::new()))));
    let rule = "within: 40s, resolved: false, http: {url: 'http://{{ $labels.site }}/', timeout: 20s}";
    let home = Home::new(&config(&engine, ""), &rules(rule));
    let daemon = home.start();
    let containers: Vec<_> = (0..8).map(|_| wait(engine.run(Recipe::idle()))).collect();
    for container in &containers[1..] {
        daemon.post(down(container, &json!({"site": hung.address.to_string()})));
    }
    eventually("the hung server is asked", || hung.requests().len() >= 4);
    let began = Instant::now();
    daemon.post(down(&containers[0], &json!({"site": well.address.to_string()})));
    daemon.wait_for_state("healed");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(hung.requests().len(), 4, "the others wait for their turn");
    assert_eq!(daemon.heals().iter().filter(|heal| heal["state"] == "healed").count(), 1);
    assert!(daemon.terminate().success(), "and stopping does not wait for it");
}

#[test]
fn verifying_goes_on_after_kill_9() {
    let (engine, site) = (Engine::get(), wait(Site::start(Answer::Say(503, String::new()))));
    let home = Home::new(
        &config(&engine, ""),
        &rules(&format!("within: 1m, resolved: false, http: {{url: 'http://{}/'}}", site.address)),
    );
    let daemon = home.start();
    let (container, mut watch) = watched(&engine);
    daemon.post(down(&container, &json!({})));
    eventually("it was asked", || !site.requests().is_empty());
    daemon.kill();
    site.answer(Answer::Say(200, String::new()));
    let daemon = home.start();
    daemon.wait_for_state("healed");
    assert_eq!(restarts(&mut watch), 1);
}

#[test]
fn a_dry_run_asks_nobody() {
    let (engine, site) = (Engine::get(), wait(Site::start(Answer::Say(200, String::new()))));
    let home =
        Home::new(&config(&engine, ""), &rules(&format!("resolved: false, http: {{url: 'http://{}/'}}", site.address)))
            .flag("--dry-run");
    let daemon = home.start();
    let container = wait(engine.run(Recipe::idle()));
    daemon.post(down(&container, &json!({})));
    daemon.wait_for_state("shadowed");
    assert!(daemon.terminate().success());
    assert_eq!(site.requests(), Vec::<String>::new());
}
