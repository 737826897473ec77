//! The yardstick: a bare warp handler that parses the same JSON into owned values and answers 202. No rules, no store.

use std::collections::BTreeMap;
use std::convert::Infallible;

use serde::Deserialize;
use warp::Filter as _;

/// What such a handler would read of a delivery.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    fingerprint: String,
}

async fn accept(webhook: Webhook) -> Result<impl warp::Reply, Infallible> {
    let read: usize = webhook
        .alerts
        .iter()
        .map(|alert| {
            alert.status.len()
                + alert.labels.len()
                + alert.annotations.len()
                + alert.starts_at.len()
                + alert.ends_at.len()
                + alert.fingerprint.len()
        })
        .sum();
    Ok(warp::reply::with_status(read.to_string(), http::StatusCode::ACCEPTED))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let routes = warp::path!("alerts").and(warp::post()).and(warp::body::json()).and_then(accept);
    warp::serve(routes).incoming(listener).run().await;
    Ok(())
}
