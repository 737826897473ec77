//! `POST /alerts`: what is committed, and what every other case answers.

use std::sync::Arc;
use std::time::Duration;

use autoheal::domain::alert::AlertStatus;
use autoheal::store::StoreError;
use autoheal::web::server::Limits;

use super::{Door, MAX_BODY, delivery, matching};
use crate::support::fake_store::Behaviour;
use crate::support::http::{Connection, call, post, request};

#[tokio::test]
async fn a_matching_alert_is_committed_then_answered_and_the_engine_woken() {
    let door = Door::open().await;
    let answer = post(door.address, "/alerts", matching()).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json(), serde_json::json!({ "accepted": 1, "matched": 1 }));
    let ingested = door.store.ingested();
    let [sighting] = &ingested[0][..] else { panic!("one sighting") };
    assert_eq!(sighting.requests.len(), 1);
    assert_eq!(sighting.requests[0].1.rule, "restart-ui");
    assert_eq!(sighting.requests[0].1.target.as_str(), "docker:local/name/ui");
    // The permit of a notification is kept until somebody waits for it.
    tokio::time::timeout(Duration::from_secs(5), door.wake.notified()).await.expect("the engine is woken");
    assert_eq!(door.metric(r#"autoheal_alerts_received_total{status="firing"}"#).await, 1);
    assert_eq!(door.metric(r#"autoheal_alerts_matched_total{rule="restart-ui"}"#).await, 1);
    let requested =
        r#"autoheal_actions_requested_total{type="restartContainer",rule="restart-ui",alert="InstanceDown"}"#;
    assert_eq!(door.metric(requested).await, 1);
    assert_eq!(door.metric(r#"autoheal_deliveries_total{code="202"}"#).await, 1);
}

#[tokio::test]
async fn firing_alerts_that_no_rule_wants_never_reach_the_store_and_resolved_ones_do() {
    let door = Door::open().await;
    let unmatched = delivery("firing", &[("alertname", "Other")]);
    let answer = post(door.address, "/alerts", unmatched).await;
    assert_eq!((answer.status, answer.json()["matched"].as_u64()), (202, Some(0)));
    assert_eq!(post(door.address, "/alerts", r#"{"alerts":[]}"#).await.status, 202);
    assert!(door.store.ingested().is_empty());
    // Nothing of these needs the store, so its trouble is none of theirs.
    door.store.behave(Behaviour::Refuse(StoreError::Closed));
    assert_eq!(post(door.address, "/alerts", delivery("firing", &[("a", "b")])).await.status, 202);
    door.store.behave(Behaviour::Commit);
    assert_eq!(post(door.address, "/alerts", delivery("resolved", &[("alertname", "Other")])).await.status, 202);
    let ingested = door.store.ingested();
    assert_eq!(ingested[0][0].alert.status, AlertStatus::Resolved);
    assert!(ingested[0][0].requests.is_empty());
}

#[tokio::test]
async fn each_alert_of_a_group_is_taken_on_its_own_in_one_ingest() {
    let door = Door::open().await;
    let body = r#"{"status":"resolved","truncatedAlerts":7,"externalURL":"http://am","alerts":[
        {"status":"firing","labels":{"alertname":"InstanceDown","severity":"critical"}},
        {"status":"firing","labels":{"alertname":"Other"}},
        {"status":"resolved","labels":{"alertname":"InstanceDown"}}]}"#;
    let answer = post(door.address, "/alerts", body).await;
    assert_eq!(answer.json(), serde_json::json!({ "accepted": 3, "matched": 2 }));
    let ingested = door.store.ingested();
    let seen: Vec<_> = ingested[0].iter().map(|s| (s.alert.status.as_str(), s.requests.len())).collect();
    assert_eq!(seen, [("firing", 2), ("resolved", 1)]);
    let ids: std::collections::BTreeSet<_> = ingested[0].iter().flat_map(|s| s.requests.iter().map(|r| r.0)).collect();
    assert_eq!(ids.len(), 3, "every request has an identity of its own");
    assert_eq!(&*ingested[0][0].external_url, "http://am");
    assert_eq!(door.metric("autoheal_alerts_truncated_total").await, 7);
}

#[tokio::test]
async fn a_null_among_alerts_refuses_all_of_them_and_harms_nothing() {
    let door = Door::open().await;
    let body = matching().replace("\"alerts\":[", "\"alerts\":[null,");
    let answer = post(door.address, "/alerts", &body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("alerts[0]: invalid type: null"), "{detail}");
    assert!(door.store.ingested().is_empty());
    assert_eq!(door.metric(r#"autoheal_deliveries_rejected_total{reason="bad_payload"}"#).await, 1);
    assert_eq!(post(door.address, "/alerts", matching()).await.status, 202);
}

#[tokio::test]
async fn a_store_in_trouble_is_503_with_retry_after() {
    let door = Door::open().await;
    let table = [
        (StoreError::Busy { limit: 1000 }, "busy"),
        (StoreError::Database("disk full at /var/lib/secret-place".to_owned()), "store"),
        (StoreError::Closed, "store"),
    ];
    for (error, reason) in table {
        let series = format!(r#"autoheal_deliveries_rejected_total{{reason="{reason}"}}"#);
        let before = door.metric(&series).await;
        door.store.behave(Behaviour::Refuse(error));
        let answer = post(door.address, "/alerts", matching()).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(!answer.body.contains("secret-place"), "{}", answer.body);
        assert_eq!(door.metric(&series).await - before, 1);
    }
}

#[tokio::test]
async fn before_it_is_ready_it_is_503() {
    let door = Door::open().await;
    door.state.set_ready(false);
    let answer = post(door.address, "/alerts", matching()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(door.store.ingested().is_empty());
    door.state.set_ready(true);
    assert_eq!(post(door.address, "/alerts", matching()).await.status, 202);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_is_413() {
    let door = Door::open().await;
    let mut body = matching();
    body.push_str(&" ".repeat(MAX_BODY - body.len()));
    assert_eq!(post(door.address, "/alerts", &body).await.status, 202);
    assert_eq!(send_chunked(&door, &body).await, 202);
    body.push(' ');
    let answer = post(door.address, "/alerts", &body).await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("web.maxBodyBytes (1048576 bytes)"), "{}", answer.body);
    assert_eq!(send_chunked(&door, &body).await, 413);
    assert_eq!(door.metric(r#"autoheal_deliveries_rejected_total{reason="too_large"}"#).await, 2);
    assert_eq!(door.metric(r#"autoheal_deliveries_total{code="413"}"#).await, 2);
}

fn chunked(body: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in body.as_bytes().chunks(60_000) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

const CHUNKED_HEAD: &str = "POST /alerts HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn send_chunked(door: &Door, body: &str) -> u16 {
    let mut connection = Connection::open(door.address).await;
    connection.send(CHUNKED_HEAD).await;
    connection.send(chunked(body)).await;
    connection.answer().await.status
}

#[tokio::test]
async fn two_hundred_megabytes_are_413_and_take_no_memory() {
    const PIECE: usize = 1024 * 1024;
    let door = Door::open().await;
    let before = resident_kib();
    let piece = vec![b' '; PIECE];
    for head in
        ["POST /alerts HTTP/1.1\r\nHost: a\r\nContent-Length: 209715200\r\n\r\n".to_owned(), CHUNKED_HEAD.to_owned()]
    {
        let mut connection = Connection::open(door.address).await;
        connection.send(&head).await;
        for _ in 0..200 {
            let framed = [format!("{PIECE:x}\r\n").as_bytes(), &piece, b"\r\n"].concat();
            let bytes = if head.contains("chunked") { &framed } else { &piece };
            // The other side may close before all is sent; what matters is the answer it left behind.
            if !connection.send(bytes).await {
                break;
            }
        }
        assert_eq!(connection.answer().await.status, 413);
    }
    let grown = resident_kib().saturating_sub(before);
    // Other tests of this process grow it too; two bodies held whole would be 400 MB.
    assert!(grown < 150 * 1024, "{grown} KiB more");
    assert_eq!(post(door.address, "/alerts", matching()).await.status, 202);
}

#[tokio::test]
async fn a_sender_that_listens_only_at_the_end_still_hears_the_413() {
    let door = Door::open().await;
    let mut connection = Connection::open(door.address).await;
    // Far more than the buffers between us hold: were the connection reset, sending would fail.
    assert!(connection.send(request("POST", "/alerts", &[], vec![b' '; 32 * MAX_BODY])).await);
    assert_eq!(connection.answer().await.status, 413);
}

/// This process' resident memory.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn other_methods_are_405_with_allow_and_other_spellings_404_never_a_redirect() {
    let door = Door::open().await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = call(door.address, method, "/alerts", &[], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    for path in ["/alerts/", "//alerts", "/Alerts", "/alerts/x", "/alert", "/healthz", "/-/", "/api/v1/heals/"] {
        let answer = post(door.address, path, matching()).await;
        assert_eq!((answer.status, answer.header("location")), (404, None), "{path}");
    }
    assert_eq!(post(door.address, "/alerts?from=am", matching()).await.status, 202);
    assert!(door.store.ingested().len() == 1);
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let door = Door::open().await;
    for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
        let answer = call(door.address, "POST", "/alerts", &[("Content-Type", content_type)], matching()).await;
        assert_eq!(answer.status, 202, "{content_type}");
    }
}

#[tokio::test]
async fn more_requests_than_may_run_are_503_while_probes_still_answer() {
    let door = Door::with(Limits { in_flight: 1, ..Limits::default() }, &[], Duration::from_secs(5)).await;
    door.store.behave(Behaviour::Wait);
    let mut first = Connection::open(door.address).await;
    first.send(request("POST", "/alerts", &[], matching())).await;
    door.store.waiting.notified().await;
    let shed = post(door.address, "/alerts", matching()).await;
    assert_eq!((shed.status, shed.header("retry-after")), (503, Some("1")));
    assert_eq!(call(door.address, "GET", "/-/healthy", &[], "").await.status, 200);
    door.store.release();
    assert_eq!(first.answer().await.status, 202);
    assert_eq!(door.metric(r#"autoheal_deliveries_rejected_total{reason="busy"}"#).await, 1);
}

#[tokio::test]
async fn a_store_that_hangs_costs_the_request_not_the_daemon() {
    let limits = Limits { request: Duration::from_millis(200), ..Limits::default() };
    let door = Door::with(limits, &[], Duration::from_secs(5)).await;
    door.store.behave(Behaviour::Wait);
    let answer = post(door.address, "/alerts", matching()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    door.store.behave(Behaviour::Commit);
    assert_eq!(post(door.address, "/alerts", matching()).await.status, 202);
    assert_eq!(door.metric(r#"autoheal_deliveries_rejected_total{reason="timed_out"}"#).await, 1);
}

#[tokio::test]
async fn a_panic_is_500_for_one_request_only() {
    let door = Door::open().await;
    door.store.behave(Behaviour::Panic);
    assert_eq!(post(door.address, "/alerts", matching()).await.status, 500);
    door.store.behave(Behaviour::Commit);
    assert_eq!(post(door.address, "/alerts", matching()).await.status, 202);
}

#[tokio::test]
async fn a_large_delivery_is_taken_whole() {
    let door = Door::open().await;
    let alerts: Vec<_> = (0..8000)
        .map(|i| serde_json::json!({ "status": "firing", "labels": { "alertname": "InstanceDown", "instance": format!("web-{i}:9100") } }))
        .collect();
    let body = serde_json::json!({ "alerts": alerts }).to_string();
    assert!((512 * 1024..MAX_BODY).contains(&body.len()), "{}", body.len());
    let answer = post(door.address, "/alerts", body).await;
    assert_eq!(answer.json(), serde_json::json!({ "accepted": 8000, "matched": 8000 }));
    assert_eq!(door.store.ingested()[0].len(), 8000);
}

#[tokio::test]
async fn large_bodies_that_stall_do_not_keep_others_waiting() {
    const LARGE_BODIES: u64 = 8;
    let door = Door::open().await;
    let mut stalled = Vec::new();
    for _ in 0..LARGE_BODIES {
        let mut connection = Connection::open(door.address).await;
        let head = "POST /alerts HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n";
        connection.send(format!("{head}{}", " ".repeat(400_000))).await;
        stalled.push(connection);
    }
    let mut large = matching();
    large.push_str(&" ".repeat(400_000));
    assert_eq!(post(door.address, "/alerts", large).await.status, 202);
    for mut connection in stalled {
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert!(answer.body.contains("nothing came of a large body for 5 s"), "{}", answer.body);
    }
    let series = r#"autoheal_deliveries_rejected_total{reason="timed_out"}"#;
    assert_eq!(door.metric(series).await, LARGE_BODIES);
}

#[tokio::test]
async fn other_rules_are_in_place_at_once() {
    let door = Door::open().await;
    door.state.replace(autoheal::web::Loaded { rules: Arc::default(), ..super::loaded() });
    let answer = post(door.address, "/alerts", matching()).await;
    assert_eq!(answer.json()["matched"], 0);
}
