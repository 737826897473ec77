//! Tokens and origins, end to end; the tables are beside the code.

use std::time::Duration;

use autoheal::web::access::Access;
use autoheal::web::server::{Limits, Protocol};

use super::{Door, matching};
use crate::support::http::{call, get, post};

#[tokio::test]
async fn a_token_opens_alerts_and_the_api_and_probes_need_none() {
    let door = Door::with(Limits::default(), &["s3cret-one", "s3cret-two"], Duration::from_secs(5)).await;
    let refused = post(door.address, "/alerts", matching()).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"autoheal\""));
    assert_eq!(get(door.address, "/api/v1/status").await.status, 401);
    for token in ["s3cret-one", "s3cret-two"] {
        let headers = [("Authorization", format!("Bearer {token}"))];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(call(door.address, "POST", "/alerts", &headers, matching()).await.status, 202);
        let status = call(door.address, "GET", "/api/v1/status", &headers, "").await;
        assert_eq!(status.json()["authentication"], "bearer");
        assert!(!status.body.contains("s3cret"));
    }
    for path in ["/-/healthy", "/-/ready", "/metrics"] {
        let open = get(door.address, path).await;
        assert_eq!(open.status, 200, "{path}");
        assert!(!open.body.contains("s3cret"));
    }
    assert_eq!(door.metric(r#"autoheal_deliveries_rejected_total{reason="unauthorized"}"#).await, 1);
    assert_eq!(door.metric(r#"autoheal_deliveries_total{code="401"}"#).await, 1);
}

#[tokio::test]
async fn listening_to_the_network_without_a_token_is_shown() {
    let everywhere = [0, 0, 0, 0];
    let table = [([127, 0, 0, 1], &[][..], false), (everywhere, &[], true), (everywhere, &["s3cret"], false)];
    for (interface, tokens, exposed) in table {
        let door = Door::on(interface, Limits::default(), tokens, Duration::from_secs(5)).await;
        let address = ([127, 0, 0, 1], door.address.port()).into();
        let status = call(address, "GET", "/api/v1/status", &[("Authorization", "Bearer s3cret")], "").await;
        assert_eq!(status.json()["exposed"], exposed, "{interface:?} {tokens:?}");
        assert_eq!(door.metric("autoheal_web_exposed").await, u64::from(exposed));
    }
}

#[tokio::test]
async fn a_page_of_another_site_cannot_deliver_alerts() {
    let access = Access::new(&[]).with_external_url(Some("http://autoheal.test"));
    let (limits, drain) = (Limits::default(), Duration::from_secs(5));
    let door = Door::speaking(Protocol::default(), access, [127, 0, 0, 1], limits, drain).await;
    let foreign = call(door.address, "POST", "/alerts", &[("Origin", "https://evil.example")], matching()).await;
    assert_eq!(foreign.status, 403);
    assert!(door.store.ingested().is_empty());
    let own = call(door.address, "POST", "/alerts", &[("Origin", "http://autoheal.test")], matching()).await;
    assert_eq!(own.status, 202);
}

#[tokio::test]
async fn a_name_that_anybody_can_lead_here_says_what_is_missing() {
    let door = Door::open().await;
    let rebound = [("Origin", "http://autoheal.test"), ("Sec-Fetch-Site", "same-origin")];
    let refused = call(door.address, "POST", "/api/v1/pause", &rebound, "{}").await;
    assert_eq!(refused.status, 403);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("set that to the address people use, or set web.tokens"), "{detail}");
}
