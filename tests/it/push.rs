//! Prometheus pushes to the real program as it would to Alertmanager.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use autoheal::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, eventually};
use crate::support::prometheus::{Prometheus, free_port};

const RULES: &str = "rules:\n- metadata: {name: note}\n  labels: {alertname: ^InstanceDown$}\n";

fn push(daemon: &Daemon, body: &str) -> (u16, String) {
    let request = daemon.request("POST", "/api/v2/alerts").header("content-type", "application/json");
    let answer = request.body(body.to_owned()).send().unwrap();
    (answer.status().as_u16(), answer.text().unwrap())
}

fn heal(daemon: &Daemon) -> Value {
    let heals = daemon.heals();
    assert_eq!(heals.len(), 1, "{heals:?}");
    daemon.json(&format!("/api/v1/heals/{}", heals[0]["id"].as_str().unwrap()))
}

#[test]
fn a_real_prometheus_needs_no_alertmanager_to_reach_us() {
    let home = Home::new("", RULES);
    let daemon = home.start();
    let service = free_port();
    let directory = tempfile::tempdir().unwrap();
    let _prometheus = Prometheus::start(directory.path(), daemon.address.port(), &[("ui", service)]);
    let fired = daemon.wait_for_state("verifying");
    assert_eq!(fired["alerts"][0]["labels"]["job"], "ui");
    // The service comes back.
    let listener = TcpListener::bind(("127.0.0.1", service)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (mut stream, mut request) = (stream, [0; 4096]);
            let _ = stream.read(&mut request);
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\na 1\n",
            );
        }
    });
    eventually("the heal has ended", || heal(&daemon)["endedAt"].is_string());
    assert_eq!(heal(&daemon)["alerts"][0]["status"], "resolved");
}

#[test]
fn what_prometheus_recorded_once_is_old_and_therefore_resolved() {
    let home = Home::new("", RULES);
    let daemon = home.start();
    let payloads = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/payloads");
    for name in ["15a-push-api-v2-prometheus-firing.json", "15b-push-api-v2-prometheus-resolved.json"] {
        let body = fs::read_to_string(format!("{payloads}/{name}")).unwrap();
        assert_eq!(push(&daemon, &body), (200, String::new()), "{name}");
    }
    assert!(daemon.heals().is_empty());
}

#[test]
fn an_alert_fires_until_its_end_and_each_push_moves_that() {
    let home = Home::new("", RULES);
    let daemon = home.start();
    let firing = |seconds: u64| {
        let ends_at = (SystemClock.now() + Duration::from_secs(seconds)).to_string();
        json!([{"labels": {"alertname": "InstanceDown", "job": "ui"}, "endsAt": ends_at}]).to_string()
    };
    assert_eq!(push(&daemon, &firing(1)), (200, String::new()));
    assert_eq!(push(&daemon, &firing(600)), (200, String::new()));
    assert_eq!(heal(&daemon)["alerts"][0]["status"], "firing");
    let again = push(&daemon, &firing(2));
    assert_eq!(again, (200, String::new()));
    eventually("it lapses", || heal(&daemon)["alerts"][0]["status"] == "resolved");
    assert_eq!(daemon.heals().len(), 1, "one alert, pushed again and again, is one heal");
    assert!(daemon.log().contains("were not pushed again in time"), "{}", daemon.log());
    let page = daemon.text(&format!("/heals/{}", heal(&daemon)["id"].as_str().unwrap()));
    assert!(page.contains("by timeout: nobody pushed it again before"), "{page}");
}

#[test]
fn good_alerts_of_a_mixed_push_are_taken_and_the_bad_ones_named() {
    let home = Home::new("", RULES);
    let daemon = home.start();
    assert_eq!(push(&daemon, "[]"), (200, String::new()));
    for bad in ["", "{}", "[", r#"{"alerts": []}"#] {
        assert_eq!(push(&daemon, bad).0, 400, "{bad:?}");
    }
    let (status, said) =
        push(&daemon, r#"[{"labels": {}}, {"labels": {"alertname": "InstanceDown"}}, {"labels": {"a": 1}}]"#);
    assert_eq!(status, 400);
    assert!(said.contains("alerts[0]: it has no labels") && said.contains("alerts[2]: "), "{said}");
    assert_eq!(heal(&daemon)["state"], "verifying");
    assert_eq!(daemon.status("/api/v2/alerts"), Some(405));
}
