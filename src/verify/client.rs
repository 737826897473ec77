//! HTTP clients that only ask.

use std::error::Error;
use std::time::Duration;

use reqwest::{ClientBuilder, RequestBuilder, Response, Url};

use super::Authorization;
use crate::tls::{ClientTls, TlsError};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Begins a client with these TLS options. `plain` says that it speaks no TLS.
pub(super) fn begin(tls: &ClientTls, plain: bool) -> Result<ClientBuilder, TlsError> {
    Ok(tls.http_client(Vec::new(), plain)?.connect_timeout(CONNECT_LIMIT))
}

/// Says who we are.
pub(super) fn authorized(request: RequestBuilder, authorization: &Authorization) -> RequestBuilder {
    match authorization {
        Authorization::None => request,
        Authorization::Bearer(token) => request.bearer_auth(token.expose()),
        Authorization::Basic { username, password } => request.basic_auth(username.expose(), Some(password.expose())),
    }
}

/// A body as far as it is read, and whether that is all of it.
pub(super) async fn body(mut response: Response, limit: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            body.truncate(limit);
            return Ok((body, false));
        }
    }
    Ok((body, true))
}

/// What a library said, with the causes behind it and without the address, which is told anyway.
pub(super) fn said(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut causes = Vec::new();
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    // The innermost cause is what an operator knows: «connection refused».
    causes.pop().unwrap_or_else(|| error.to_string())
}

/// Whether the other side was there but could not be trusted, or did not trust us: that says nothing about its health.
pub(super) fn is_about_trust(error: &(dyn Error + 'static)) -> bool {
    // An I/O error does not count what it wraps among its causes.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|inner| is_about_trust(inner))
        || error.source().is_some_and(is_about_trust)
}

/// Host and port of an address, which name a server.
pub(super) fn host_of(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    host.unwrap_or_else(|| url.to_owned())
}
