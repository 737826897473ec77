//! HTTP as the notifiers speak it: one client with its limits and its TLS, answers read only as far as they are of use,
//! and what a status means when the service has no say of its own.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, Url};

use super::answer::Redactor;
use super::{BuildError, NotifyError};
use crate::causes;
use crate::tls::{ClientTls, TlsError};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a whole request may take.
const SEND_LIMIT: Duration = Duration::from_secs(15);
/// How much of an answer is read.
const MAX_BODY: usize = 2 * 1024 * 1024;
/// Longest pause the other side may ask for.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// A client for one service.
pub struct HttpClient {
    client: Client,
    /// The service's name in errors.
    service: &'static str,
    redactor: Redactor,
    limit: Duration,
}

/// What the service answered.
pub struct HttpAnswer {
    /// The status.
    pub status: StatusCode,
    /// The body, or its beginning.
    pub body: String,
    /// For how long it wants to be left alone.
    pub retry_after: Option<Duration>,
    /// All of its head.
    pub headers: HeaderMap,
}

impl HttpClient {
    /// Builds the client. `url` only says whether TLS will be needed; `redactor` knows what must not come out.
    ///
    /// # Errors
    /// A TLS file cannot be used, or the machine trusts no authority.
    pub fn new(service: &'static str, url: &Url, tls: &ClientTls, redactor: Redactor) -> Result<Self, BuildError> {
        let builder = tls.http_client(Vec::new(), url.scheme() == "http")?;
        let client = builder.connect_timeout(CONNECT_LIMIT).build().map_err(TlsError::from)?;
        Ok(Self { client, service, redactor, limit: SEND_LIMIT })
    }

    /// Sets how long a whole request may take.
    pub const fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Begins a POST.
    pub fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url).timeout(self.limit)
    }

    /// Begins a GET.
    pub fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url).timeout(self.limit)
    }

    /// Begins a PATCH.
    pub fn patch(&self, url: Url) -> RequestBuilder {
        self.client.patch(url).timeout(self.limit)
    }

    /// Sends a request and reads the answer; what is behind the limit is of no use.
    ///
    /// # Errors
    /// The service could not be reached or broke off, which may pass.
    pub async fn send(&self, request: RequestBuilder) -> Result<HttpAnswer, NotifyError> {
        let mut response = request.send().await.map_err(|error| self.transport(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while body.len() < MAX_BODY {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(self.transport(error)),
            }
        }
        body.truncate(MAX_BODY);
        Ok(HttpAnswer {
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
            retry_after: retry_after(&headers),
            headers,
        })
    }

    /// A text of the other side as it may be shown.
    pub fn show(&self, said: &str) -> String {
        self.redactor.show(said)
    }

    /// What an answer that is no success means: pauses and the service's own trouble may pass, the rest will not.
    pub fn refused(&self, answer: &HttpAnswer, word: &str) -> NotifyError {
        let (service, status, word) = (self.service, answer.status, self.show(word));
        let after = answer.retry_after;
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                NotifyError::Retryable { error: format!("{service} asks for a pause (429): {word}"), after }
            }
            _ if status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY) => {
                NotifyError::Retryable { error: format!("{service} answered {status}: {word}"), after }
            }
            _ if status.is_redirection() => NotifyError::Permanent {
                error: format!("{service} answered {status}; redirects are not followed, check the address"),
            },
            _ => NotifyError::Permanent { error: format!("{service} answered {status}: {word}") },
        }
    }

    /// The address is taken out of the error, because it may be the credential.
    fn transport(&self, error: reqwest::Error) -> NotifyError {
        let said = self.show(&causes::told(&error.without_url()));
        NotifyError::Retryable { error: format!("{} could not be reached: {said}", self.service), after: None }
    }
}

/// `Retry-After` in seconds, bounded.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_PAUSE))
}
