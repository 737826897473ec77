//! `/-/healthy`, `/-/ready` and `/metrics`, as the Prometheus family has them.

use std::time::Duration;

use http::{Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::{WebState, reply, with};
use crate::telemetry::Exposition;

/// What a supervisor that looks for life reads before it restarts us.
const BROKEN: &str =
    "the store could not be synced and takes nothing in any more; check the disk, then restart autoheal";
const PLAIN: &str = "text/plain; charset=utf-8";

/// How long `/metrics` waits for the store's counts; a store in trouble must not hide all other metrics.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    let healthy = warp::path!("-" / "healthy").and(warp::method()).and(with(state)).map(|method, state: WebState| {
        look(&method, || if state.is_broken() { reply::unavailable(BROKEN) } else { ok() })
    });
    let ready = warp::path!("-" / "ready").and(warp::method()).and(with(state)).map(|method, state: WebState| {
        look(&method, || match (state.is_ready(), state.is_broken()) {
            (true, _) => ok(),
            (false, true) => reply::unavailable(BROKEN),
            (false, false) => reply::unavailable("starting up, or stopping"),
        })
    });
    let accept = warp::header::optional("accept");
    let metrics = warp::path!("metrics").and(warp::method()).and(accept).and(with(state)).then(metrics);
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

async fn metrics(method: Method, accept: Option<String>, state: WebState) -> Response {
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
    let form = Exposition::asked_for(accept.as_deref());
    look(&method, || reply::text(StatusCode::OK, form.content_type(), parts.metrics.encode(form)))
}
