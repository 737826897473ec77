//! `POST /api/v1/plan`: what would be done for a posted delivery. A rehearsal tells of every alert and every rule, so it is
//! far larger than what was posted; it is bounded, and written on a thread of its own.

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use http::{Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::api::store_failed;
use super::{Loaded, WebState, body, payload, reply, with};
use crate::domain::Timestamp;
use crate::rehearse::{Stage, plan_delivery};

/// Decisions, each of one rule on one alert, that one rehearsal tells of: some ten megabytes.
const MAX_DECISIONS: usize = 50_000;
/// Rehearsals at once. Others wait before their body is read, so that they keep no delivery from being read.
pub const AT_ONCE: usize = 2;

/// The route.
pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    warp::path!("api" / "v1" / "plan")
        .and(warp::method())
        .and(with(state))
        .and(warp::query::<Vec<(String, String)>>())
        .and(warp::body::stream())
        .then(plan)
}

async fn plan<S, B>(method: Method, state: WebState, pairs: Vec<(String, String)>, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let explain = match explain(&pairs) {
        Ok(explain) => explain,
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    // The semaphore is never closed; were it, the rehearsal would merely not be counted.
    let turn = Arc::clone(&state.0.rehearsals).acquire_owned().await.ok();
    let body = match body::read(&state, stream).await {
        Ok(body) => body,
        Err(error) => return error.answer(&state),
    };
    let (bytes, loaded, now) = (body.bytes.clone(), state.loaded(), state.now());
    let answer = body::aside(move || {
        let answer = rehearse(&bytes, &loaded, explain, now);
        // Whoever asked may have given up long before.
        drop(turn);
        answer
    });
    answer.await.unwrap_or_else(|| reply::unavailable("stopping"))
}

fn rehearse(bytes: &[u8], loaded: &Loaded, explain: bool, now: Timestamp) -> Response {
    let delivery = match payload::parse(bytes, now) {
        Ok(delivery) => delivery,
        Err(error) => return reply::problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let (alerts, rules) = (delivery.alerts.len(), loaded.rules.rules().len());
    let most = MAX_DECISIONS.checked_div(rules).unwrap_or(MAX_DECISIONS).max(1);
    if alerts > most {
        return reply::problem(StatusCode::PAYLOAD_TOO_LARGE, &too_many(alerts, rules, most));
    }
    let stage = Stage { rules: &loaded.rules, policy: &loaded.policy, past: None, explain, now };
    match plan_delivery(stage, &delivery) {
        Ok(report) => reply::json(StatusCode::OK, &report),
        Err(error) => store_failed(&error),
    }
}

fn too_many(alerts: usize, rules: usize, most: usize) -> String {
    format!(
        "{alerts} alerts are too many to rehearse at once with {rules} rules: a plan tells of every rule for every alert, \
         {MAX_DECISIONS} times at most; send at most {most} alerts at a time, or give the payload to `autoheal plan`"
    )
}

/// Whether each matcher is to say for itself whether it holds.
fn explain(pairs: &[(String, String)]) -> Result<bool, String> {
    match pairs {
        [] => Ok(false),
        [(name, value)] if name == "explain" => {
            value.parse().map_err(|_| format!("explain is true or false, not {value:?}"))
        }
        [(name, _)] if name != "explain" => Err(format!("unknown parameter {name:?}; there is explain")),
        _ => Err("there is one parameter, explain, to be given once".to_owned()),
    }
}
