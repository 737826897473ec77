//! What every request passes before its route: access, size, load, time, and a net for panics. One function rather than a
//! stack of layers, so that the way of a delivery costs one allocation and can be read from top to bottom.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::header::CONTENT_LENGTH;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tower::Service;
use warp::reply::Response;

use super::{WebState, reply};
use crate::telemetry::Rejection;

/// The path whose answers are counted and which Alertmanager calls.
pub const DELIVERIES: &str = "/alerts";

/// The routes with everything around them. Cheap to clone.
#[derive(Clone)]
pub struct App<Routes> {
    state: WebState,
    routes: Routes,
    in_flight: Arc<Semaphore>,
    timeout: Duration,
}

impl<Routes> App<Routes>
where
    Routes: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone,
{
    /// Puts limits around routes: at most `in_flight` requests at once, each for at most `timeout`.
    pub fn new(state: WebState, routes: Routes, in_flight: usize, timeout: Duration) -> Self {
        Self { state, routes, in_flight: Arc::new(Semaphore::new(in_flight)), timeout }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response {
        let is_delivery = request.uri().path() == DELIVERIES;
        let result = self.pass(request, peer).await;
        let (response, reason) = match result {
            Ok(response) => (response, None),
            Err((response, reason)) => (response, Some(reason)),
        };
        if is_delivery {
            let metrics = &self.state.parts().metrics;
            metrics.delivery(response.status().as_u16());
            if let Some(reason) = reason {
                metrics.rejected(reason);
            }
        }
        response
    }

    /// The way in. An error is an answer given before the route could give one.
    async fn pass(&self, mut request: Request<Incoming>, peer: IpAddr) -> Result<Response, (Response, Rejection)> {
        let loaded = self.state.loaded();
        let path = request.uri().path();
        let caller = loaded
            .access
            .check(request.method(), request.uri(), request.headers(), peer)
            .await
            .map_err(|refusal| (refusal.response, refusal.reason))?;
        // Warp takes `/alerts/` for `/alerts`; here every path has one spelling.
        if path.len() > 1 && path.ends_with('/') {
            return Ok(reply::not_found());
        }
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > loaded.max_body_bytes as u64) {
            return Err((too_large(loaded.max_body_bytes), Rejection::TooLarge));
        }
        drop(loaded);
        // A probe must not take a busy daemon for a dead one.
        let _permit = if path.starts_with("/-/") {
            None
        } else {
            let permit = self.in_flight.try_acquire();
            Some(permit.map_err(|_| (reply::unavailable("too many requests at once"), Rejection::Busy))?)
        };
        // Who delivers alerts is in no story, so the busiest path does without.
        if path != DELIVERIES {
            request.extensions_mut().insert(caller);
        }
        let mut routes = self.routes.clone();
        // Nothing outlives a request that a panic could leave half done: what is shared is atomic, locked or in the store.
        let call = AssertUnwindSafe(async move { routes.call(request).await }).catch_unwind();
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => {
                tracing::error!("a request was answered 500 because its handler panicked; this is a bug in autoheal");
                Ok(reply::problem(StatusCode::INTERNAL_SERVER_ERROR, "a bug in autoheal; its log says more"))
            }
            Err(_elapsed) => {
                let response = reply::unavailable("the request took too long and was given up");
                Err((response, Rejection::TimedOut))
            }
        }
    }
}

/// 413: the body is over the limit.
pub fn too_large(limit: usize) -> Response {
    let detail = format!("the body is over web.maxBodyBytes ({limit} bytes)");
    reply::problem(StatusCode::PAYLOAD_TOO_LARGE, &detail)
}
