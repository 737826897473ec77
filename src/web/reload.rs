//! `POST /-/reload`: asks whoever can to load configuration, rules and secrets again, and tells what came of it.

use std::sync::{Mutex, PoisonError};

use http::{Method, StatusCode};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::{WebState, reply, with};
use crate::domain::Timestamp;

/// A request for a reload, answered once it has been tried.
pub type Ask = oneshot::Sender<Result<Reloaded, String>>;

/// What a reload put in place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reloaded {
    /// How many rules there are now.
    pub rules: usize,
    /// What the files say that only a restart puts in place.
    pub restart_needed: Vec<&'static str>,
    /// What is worth knowing of the files.
    pub warnings: Vec<String>,
}

/// What became of the last reload, for `/api/v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastReload {
    /// When it was tried; the start counts as one.
    pub at: Timestamp,
    /// Whether what was read is in place.
    pub successful: bool,
    /// Why not; then what was there before still is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the files say that only a restart puts in place.
    pub restart_needed: Vec<&'static str>,
}

/// Where the last reload is kept.
#[derive(Debug)]
pub(super) struct Latest(Mutex<LastReload>);

impl Latest {
    pub fn started(at: Timestamp) -> Self {
        Self(Mutex::new(LastReload { at, successful: true, error: None, restart_needed: Vec::new() }))
    }

    pub fn set(&self, last: LastReload) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    pub fn get(&self) -> LastReload {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The route.
pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    warp::path!("-" / "reload").and(warp::method()).and(with(state)).then(reload)
}

async fn reload(method: Method, state: WebState) -> Response {
    // Prometheus takes both.
    if !matches!(method, Method::POST | Method::PUT) {
        return reply::method_not_allowed("POST, PUT");
    }
    let (ask, answer) = oneshot::channel();
    match state.parts().reloads.try_send(ask) {
        Ok(()) => {}
        Err(mpsc::error::TrySendError::Full(_)) => return reply::unavailable("too many reloads are asked for already"),
        Err(mpsc::error::TrySendError::Closed(_)) => return reply::unavailable("starting up, or stopping"),
    }
    match answer.await {
        Ok(Ok(reloaded)) => reply::json(StatusCode::OK, &reloaded),
        Ok(Err(error)) => {
            let detail = format!("what was there before stays in place: {error}");
            reply::problem(StatusCode::INTERNAL_SERVER_ERROR, &detail)
        }
        Err(_dropped) => reply::unavailable("stopping; nothing was reloaded"),
    }
}
