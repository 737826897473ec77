//! Health and metrics.

use super::Door;
use crate::support::http::{call, get};
use crate::support::promtool;

#[tokio::test]
async fn healthy_and_ready_are_as_in_the_prometheus_family() {
    let door = Door::open().await;
    let answer = get(door.address, "/-/healthy").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK\n"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    door.state.set_ready(false);
    assert_eq!(get(door.address, "/-/ready").await.status, 503);
    assert_eq!(get(door.address, "/-/healthy").await.status, 200);
    door.state.set_ready(true);
    assert_eq!(get(door.address, "/-/ready").await.body, "OK\n");
    for path in ["/-/healthy", "/-/ready", "/metrics"] {
        let head = call(door.address, "HEAD", path, &[], "").await;
        assert_eq!(head.status, 200, "{path}");
        assert_ne!(head.header("content-length"), Some("0"), "{path}");
        let posted = call(door.address, "POST", path, &[], "").await;
        assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
}

#[tokio::test]
async fn metrics_count_what_the_store_holds_in_the_form_that_is_asked_for() {
    let door = Door::open().await;
    let page = get(door.address, "/metrics").await;
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(page.body.contains("# TYPE autoheal_alerts_received_total counter\n"), "{}", page.body);
    promtool::accepts_metrics(&page.body);
    let page = call(door.address, "GET", "/metrics", &[("accept", "application/openmetrics-text")], "").await;
    assert_eq!(page.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(page.body.ends_with("# EOF\n"));
    assert!(page.body.contains("autoheal_outbox_waiting 3\n"), "{}", page.body);
    assert!(page.body.contains("autoheal_heals_open{state=\"acting\"} 0\n"));
}

#[tokio::test]
async fn a_store_that_only_a_restart_helps_is_neither_healthy_nor_ready() {
    let door = Door::open().await;
    door.store.break_off();
    for path in ["/-/ready", "/-/healthy"] {
        let answer = get(door.address, path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.body.contains("restart autoheal"), "{}", answer.body);
    }
}
