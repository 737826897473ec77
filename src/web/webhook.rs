//! `POST /alerts`: parse, match, commit, answer. Nothing is acted on here; the engine is woken when something changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Buf;
use futures_util::Stream;
use http::{Method, StatusCode};
use serde::Serialize;
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::body::{self, BodyError};
use super::payload::{self, PayloadError};
use super::{Loaded, WebState, reply, with};
use crate::domain::Timestamp;
use crate::domain::alert::{Alert, AlertStatus, Delivery};
use crate::domain::heal::HealId;
use crate::domain::rule::HealRequest;
use crate::ids::Ids;
use crate::store::{Decision, Sighting, StoreError};
use crate::telemetry::{self, Metrics, Rejection};

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    warp::path!("alerts").and(with(state)).and(warp::method()).and(warp::body::stream()).then(receive)
}

async fn receive<S, B>(state: WebState, method: Method, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    match accept(&state, stream).await {
        Ok(answer) => reply::json(StatusCode::ACCEPTED, &answer),
        Err(refusal) => refusal.answer(&state),
    }
}

/// What the sender is told. Alertmanager reads only the status; people read the rest.
#[derive(Debug, Serialize)]
pub struct Accepted {
    /// Alerts of the delivery.
    accepted: usize,
    /// Those of them that a rule matches.
    matched: usize,
}

/// Why a delivery was not accepted. Nothing of it was committed.
pub enum Refusal {
    NotReady,
    Body(BodyError),
    Payload(PayloadError),
    Store(StoreError),
}

async fn accept<S, B>(state: &WebState, stream: S) -> Result<Accepted, Refusal>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if !state.is_ready() {
        return Err(Refusal::NotReady);
    }
    let body = body::read(state, stream).await.map_err(Refusal::Body)?;
    let now = state.now();
    let loaded = state.loaded();
    let look = {
        let (state, loaded) = (state.clone(), Arc::clone(&loaded));
        move |bytes: &[u8]| Ok(sort(payload::parse(bytes, now)?, &loaded, &state))
    };
    let seen = body.read_by(look).await.ok_or(Refusal::NotReady)?.map_err(Refusal::Payload)?;
    commit(state, &loaded, seen, now).await
}

/// Commits what a delivery asks for.
///
/// # Errors
/// The store did not take it; nothing of it was committed.
pub async fn commit(state: &WebState, loaded: &Loaded, seen: Seen, now: Timestamp) -> Result<Accepted, Refusal> {
    let metrics = &state.parts().metrics;
    if !seen.sightings.is_empty() {
        let policy = Arc::clone(&loaded.policy);
        let decisions =
            state.store().map_err(Refusal::Store)?.ingest(policy, seen.sightings, now).await.map_err(Refusal::Store)?;
        if decisions.iter().any(|decision| decision.changed) {
            state.parts().wake.notify_one();
        }
        for decision in &decisions {
            tell(decision, metrics);
        }
    }
    metrics.alerts_received(AlertStatus::Firing, seen.firing);
    metrics.alerts_received(AlertStatus::Resolved, seen.resolved);
    if seen.truncated > 0 {
        metrics.alerts_truncated(seen.truncated);
        state.0.truncated.tell(now, |left_out| {
            tracing::warn!(
                truncated = seen.truncated,
                left_out,
                "Alertmanager left alerts out of a delivery, and nothing heals those: set max_alerts of its webhook_config to 0"
            );
        });
    }
    Ok(seen.answer)
}

/// A parsed delivery with what its alerts ask for.
pub struct Seen {
    /// What the store must hear of.
    sightings: Vec<Sighting>,
    firing: u64,
    resolved: u64,
    /// Alerts that the sender left out.
    truncated: u64,
    answer: Accepted,
}

/// Finds out what every alert of a delivery asks for. With many alerts and rules this takes long.
pub fn sort(delivery: Delivery, loaded: &Loaded, state: &WebState) -> Seen {
    let external_url: Arc<str> = delivery.external_url.into();
    let answer = Accepted { accepted: delivery.alerts.len(), matched: 0 };
    let truncated = delivery.truncated_alerts;
    let mut seen = Seen { sightings: Vec::new(), firing: 0, resolved: 0, truncated, answer };
    for alert in delivery.alerts {
        match alert.status {
            AlertStatus::Firing => seen.firing += 1,
            AlertStatus::Resolved => seen.resolved += 1,
        }
        let requests = requests(loaded, &alert, &state.parts().ids, &state.parts().metrics);
        seen.answer.matched += usize::from(!requests.is_empty());
        seen.sightings.extend(Sighting::of(alert, requests, &external_url, &loaded.policy.rules));
    }
    seen
}

/// What every matching rule asks for. Counted here, before the store, so repeats of a refused delivery count again.
fn requests(loaded: &Loaded, alert: &Alert, ids: &Ids, metrics: &Metrics) -> Vec<(HealId, HealRequest)> {
    let firing = alert.status == AlertStatus::Firing;
    loaded
        .rules
        .matching(alert)
        .map(|rule| {
            metrics.alert_matched(&rule.name);
            if let (true, Some(step)) = (firing, rule.steps.first()) {
                metrics.action_requested(step.action.kind(), &rule.name, alert.name());
            }
            (ids.heal(), rule.request(alert))
        })
        .collect()
}

/// One line for each decision, so that the log alone can explain a night. A heal that ends here never meets the engine.
fn tell(decision: &Decision, metrics: &Metrics) {
    tracing::debug!(
        rule = decision.rule,
        heal = decision.heal.map(tracing::field::display),
        changed = decision.changed,
        reason = %decision.reason,
        "decided on an alert"
    );
    if let Some(heal) = &decision.ended {
        telemetry::heal_changed(metrics, heal);
    }
}

impl Refusal {
    pub fn answer(self, state: &WebState) -> Response {
        let (reason, response) = match self {
            Self::NotReady => {
                (Rejection::NotReady, reply::unavailable("starting up or stopping; not ready for deliveries"))
            }
            Self::Body(error @ BodyError::TooLarge) => (Rejection::TooLarge, error.answer(state)),
            Self::Body(error @ BodyError::Broken(_)) => (Rejection::BadPayload, error.answer(state)),
            Self::Body(error @ BodyError::Stalled) => (Rejection::TimedOut, error.answer(state)),
            Self::Payload(error) => {
                state.0.bad_payloads.tell(state.now(), |left_out| {
                    tracing::warn!(%error, left_out, "a delivery was refused with 400; the sender will not repeat it");
                });
                (Rejection::BadPayload, reply::problem(StatusCode::BAD_REQUEST, &error.to_string()))
            }
            Self::Store(StoreError::Busy { limit }) => {
                let detail = format!("the store's queue is full ({limit} requests wait)");
                (Rejection::Busy, reply::unavailable(&detail))
            }
            Self::Store(error) => {
                state.0.store_errors.tell(state.now(), |left_out| {
                    tracing::error!(%error, left_out, "a delivery was refused with 503; the sender will repeat it");
                });
                // The database's words may name paths; the log has them.
                (Rejection::Store, reply::unavailable("the store refused; nothing of the delivery was accepted"))
            }
        };
        state.parts().metrics.rejected(reason);
        response
    }
}

/// Keeps a trouble that comes with every delivery from filling the log: one line in ten seconds, which counts the others.
#[derive(Debug, Default)]
pub struct Throttled(Mutex<(Option<Timestamp>, u64)>);

impl Throttled {
    const INTERVAL: Duration = Duration::from_secs(10);

    /// Calls `log` with the number of lines left out since the last one, or leaves this one out.
    pub fn tell(&self, now: Timestamp, log: impl FnOnce(u64)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.is_some_and(|last| now < last + Self::INTERVAL) {
            state.1 += 1;
            return;
        }
        log(state.1);
        *state = (Some(now), 0);
    }
}
