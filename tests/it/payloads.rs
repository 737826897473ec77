//! Every recorded payload, posted to the real program.

use std::fs;

use serde_json::{Value, json};

use crate::support::daemon::{Home, eventually};
use crate::support::office::Office;

/// One heal for each instance, so that every alert is seen on its own.
const RESTART: &str = r#"
rules:
- metadata: {name: restart}
  matchers: ['alertname=~".+Down"']
  steps:
  - restartContainer: {name: '{{ $labels.job }}-{{ $labels.instance | reReplaceAll ":" "-" }}'}
"#;

/// Tells of every alert and does nothing.
const NOTIFY: &str = r#"
rules:
- metadata: {name: tell}
  matchers: ['alertname=~".+Down"']
"#;

fn payload(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/data/payloads/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn each_delivery_is_counted_alert_by_alert_and_a_repeat_changes_nothing() {
    let table: [(&str, usize, &[&str]); 9] = [
        ("01-webhook-firing-single", 1, &["node-web-1-9100"]),
        ("02-webhook-resolved-single", 1, &[]),
        ("03-webhook-firing-group-of-3", 3, &["node-web-1-9100", "node-web-2-9100", "node-web-3-9100"]),
        ("04-webhook-mixed-firing-and-resolved", 3, &["node-web-1-9100", "node-web-3-9100"]),
        ("06-webhook-truncated-2-of-5", 2, &["node-web-1-9100", "node-web-2-9100"]),
        ("13a-webhook-prometheus-instancedown-firing", 2, &["node-127.0.0.1-19100", "node-127.0.0.1-19101"]),
        ("13b-webhook-prometheus-instancedown-mixed", 2, &["node-127.0.0.1-19100"]),
        ("13c-webhook-prometheus-instancedown-resolved", 1, &[]),
        ("13d-webhook-prometheus-instancedown-container-label", 1, &["blackbox-127.0.0.1-19102"]),
    ];
    let home = Home::new("", RESTART).flag("--dry-run");
    for (name, alerts, targets) in table {
        let daemon = home.start();
        for _ in 0..2 {
            let answer = daemon.request("POST", "/alerts").body(payload(&format!("{name}.json"))).send().unwrap();
            assert_eq!(answer.status(), 202, "{name}");
            assert_eq!(answer.json::<Value>().unwrap(), json!({"accepted": alerts, "matched": alerts}), "{name}");
        }
        let mut found: Vec<_> = targets.iter().map(|target| format!("docker:local/name/{target}")).collect();
        found.sort();
        eventually("every heal has ended", || daemon.heals().iter().all(|heal| heal["state"] == "shadowed"));
        let mut heals: Vec<_> = daemon.heals().iter().map(|heal| heal["target"].as_str().unwrap().to_owned()).collect();
        heals.sort();
        assert_eq!(heals, found, "{name}");
    }
}

#[test]
fn what_is_no_webhook_is_refused_with_a_reason_and_leaves_nothing() {
    let home = Home::new("", RESTART).flag("--dry-run");
    let daemon = home.start();
    for name in [
        "15a-push-api-v2-prometheus-firing.json",
        "15b-push-api-v2-prometheus-resolved.json",
        "16a-slack-firing.json",
        "16b-slack-partly-resolved.json",
        "16c-slack-resolved.json",
        "17a-email-firing.eml",
    ] {
        let answer = daemon.request("POST", "/alerts").body(payload(name)).send().unwrap();
        assert_eq!(answer.status(), 400, "{name}");
        let problem: Value = answer.json().unwrap();
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 20), "{name}: {problem}");
    }
    assert_eq!(daemon.heals(), Vec::<Value>::new());
}

#[test]
fn every_alert_lives_by_its_own_status_through_a_sequence_of_deliveries() {
    let office = Office::open();
    let home = Home::new(&office.receivers(), NOTIFY);
    home.secrets(&Office::secrets());
    let daemon = home.start();
    // Each delivery with the alerts that are then open, by fingerprint, and how many have resolved so far.
    let sequence: [(&str, &[&str], usize); 8] = [
        ("01-webhook-firing-single", &["f2b2bc83eeb9cc40"], 0),
        ("02-webhook-resolved-single", &[], 1),
        ("03-webhook-firing-group-of-3", &["4053e01cc67c161f", "7ee0d9ea00cf482e", "847ecf9e2dcb1925"], 1),
        ("04-webhook-mixed-firing-and-resolved", &["4053e01cc67c161f", "847ecf9e2dcb1925"], 2),
        // Overtaken on the way: web-2 has resolved after this one was written.
        ("03-webhook-firing-group-of-3", &["4053e01cc67c161f", "847ecf9e2dcb1925"], 2),
        (
            "13a-webhook-prometheus-instancedown-firing",
            &["4053e01cc67c161f", "847ecf9e2dcb1925", "b617b76bb5532df3", "fe99804b463b9fe0"],
            2,
        ),
        ("13b-webhook-prometheus-instancedown-mixed", &["4053e01cc67c161f", "847ecf9e2dcb1925", "fe99804b463b9fe0"], 3),
        ("13c-webhook-prometheus-instancedown-resolved", &["4053e01cc67c161f", "847ecf9e2dcb1925"], 4),
    ];
    for (name, open, recovered) in sequence {
        assert_eq!(daemon.post(payload(&format!("{name}.json"))), Some(202), "{name}");
        let heals = daemon.heals();
        let in_state = |state| heals.iter().filter(move |heal| heal["state"] == state);
        let mut firing: Vec<_> =
            in_state("verifying").map(|heal| heal["alerts"][0]["fingerprint"].as_str().unwrap()).collect();
        firing.sort_unstable();
        assert_eq!((firing.as_slice(), in_state("recovered").count()), (open, recovered), "{name}");
    }
    let metrics = daemon.text("/metrics");
    assert!(metrics.contains("autoheal_heals_total{rule=\"tell\",outcome=\"recovered\"} 4\n"), "{metrics}");
    assert!(daemon.terminate().success());
}
