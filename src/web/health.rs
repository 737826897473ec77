//! `/-/healthy`, `/-/ready` and `/metrics`, as the Prometheus family has them.

use std::time::Duration;

use http::{Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::{WebState, reply, with};
use crate::telemetry;

const PLAIN: &str = "text/plain; charset=utf-8";

/// How long `/metrics` waits for the store's counts; a store in trouble must not hide all other metrics.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    let healthy = warp::path!("-" / "healthy").and(warp::method()).map(|method| look(&method, ok));
    let ready = warp::path!("-" / "ready").and(warp::method()).and(with(state)).map(|method, state: WebState| {
        look(&method, || if state.is_ready() { ok() } else { reply::unavailable("starting up, or stopping") })
    });
    let metrics = warp::path!("metrics").and(warp::method()).and(with(state)).then(metrics);
    healthy.or(ready).unify().or(metrics).unify()
}

/// Answers a method that only looks. HEAD is GET without its body, which the server leaves out.
pub fn look(method: &Method, answer: impl FnOnce() -> Response) -> Response {
    match *method {
        Method::GET | Method::HEAD => answer(),
        _ => reply::method_not_allowed("GET, HEAD"),
    }
}

fn ok() -> Response {
    reply::text(StatusCode::OK, PLAIN, "OK\n")
}

async fn metrics(method: Method, state: WebState) -> Response {
    let parts = state.parts();
    let counts = async {
        let store = state.store().ok()?;
        Some(tokio::join!(store.counts(), store.outbox_counts()))
    };
    if let Ok(Some((heals, outbox))) = tokio::time::timeout(STORE_PATIENCE, counts).await {
        // What cannot be counted keeps its last value; the store's trouble has metrics of its own.
        if let Ok(heals) = heals {
            parts.metrics.set_heals_open(&heals);
        }
        if let Ok(outbox) = outbox {
            parts.metrics.set_outbox(outbox.waiting, outbox.dead);
        }
    }
    look(&method, || reply::text(StatusCode::OK, telemetry::CONTENT_TYPE, parts.metrics.encode()))
}
