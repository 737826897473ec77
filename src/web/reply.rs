//! Answers: the only place that writes response heads.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use warp::reply::Response;

/// Seconds after which a refused sender may come back. Alertmanager goes by its own back-off; proxies and people read it.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// How a browser is told that a token will do as a password.
const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"autoheal\", charset=\"UTF-8\"");

/// How a bearer token is asked for.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"autoheal\"");

/// A text.
#[must_use]
pub fn text(status: StatusCode, content_type: &'static str, text: impl Into<bytes::Bytes>) -> Response {
    let mut response = Response::new(text.into().into());
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A value as JSON. Answers are about now, so nobody may keep them.
#[must_use]
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut response = text(status, "application/json", bytes);
            set(&mut response, CACHE_CONTROL, HeaderValue::from_static("no-store"));
            set(&mut response, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the answer could not be written: {error}")),
    }
}

/// An error (RFC 9457).
#[must_use]
pub fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body =
        serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    text(status, "application/problem+json", body.to_string())
}

/// 404.
#[must_use]
pub fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// 405 with the methods that are allowed.
#[must_use]
pub fn method_not_allowed(allowed: &'static str) -> Response {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("this path takes {allowed}"));
    set(&mut response, ALLOW, HeaderValue::from_static(allowed));
    response
}

/// 503 with `Retry-After`: the one answer that makes Alertmanager come back.
#[must_use]
pub fn unavailable(detail: &str) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
    set(&mut response, RETRY_AFTER, RETRY_AFTER_SECONDS);
    response
}

/// 401 that asks for a token; a browser asks its user for a password then, and the token will do as one.
#[must_use]
pub fn unauthorized() -> Response {
    let mut response = problem(StatusCode::UNAUTHORIZED, "a token of web.tokens or web.bearerTokens is needed");
    set(&mut response, WWW_AUTHENTICATE, BEARER);
    response.headers_mut().append(WWW_AUTHENTICATE, BASIC);
    response
}

/// 401 that asks for a user and a password, in the words of the Prometheus family, and offers a token when one would do.
#[must_use]
pub fn unauthorized_user(or_token: bool) -> Response {
    let mut response = text(StatusCode::UNAUTHORIZED, "text/plain; charset=utf-8", "Unauthorized\n");
    set(&mut response, WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    if or_token {
        response.headers_mut().append(WWW_AUTHENTICATE, BEARER);
    }
    response
}

fn set(response: &mut Response, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}
