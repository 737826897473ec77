//! Slack through an incoming webhook.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use super::answer::{Redactor, chain};
use super::message::slack::render;
use super::{BuildError, Notifier, NotifyError};
use crate::secret::Secret;
use crate::store::Outgoing;
use crate::tls::{ClientTls, TlsError};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a whole delivery may take.
const SEND_LIMIT: Duration = Duration::from_secs(15);
/// How much of an answer is read.
const MAX_BODY: usize = 4096;
/// Longest pause the other side may ask for.
const MAX_PAUSE: Duration = Duration::from_hours(1);
/// Errors that Slack documents as passing.
const PASSING: [&str; 7] = [
    "ratelimited",
    "rate_limited",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "rollup_error",
];

/// How Slack is reached.
#[derive(Debug, Clone)]
pub struct SlackSettings {
    /// The incoming webhook's address; it is itself a secret.
    pub webhook_url: Secret,
    /// TLS options.
    pub tls: ClientTls,
}

/// Posts to one incoming webhook.
pub struct SlackNotifier {
    client: Client,
    url: Url,
    redactor: Redactor,
    limit: Duration,
}

impl SlackNotifier {
    /// Builds the client.
    ///
    /// # Errors
    /// The address is no web address, a TLS file cannot be used, or the machine trusts no authority.
    pub fn new(settings: &SlackSettings) -> Result<Self, BuildError> {
        let url = Url::parse(settings.webhook_url.expose())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or(BuildError::WebhookUrl)?;
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("autoheal/", env!("CARGO_PKG_VERSION")));
        if let Some(authorities) = settings.tls.authorities()? {
            let trusted =
                authorities.iter().map(|der| reqwest::Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
            builder = builder.tls_certs_only(trusted.map_err(|error| TlsError::explain(&error.without_url()))?);
        } else if url.scheme() == "http" {
            // Loading the system's authorities fails where there are none, and plain HTTP needs none.
            builder = builder.tls_certs_only([]);
        }
        if let Some(identity) = settings.tls.identity()? {
            let pem = [identity.pem.chain, b"\n".to_vec(), identity.pem.key].concat();
            let identity = reqwest::Identity::from_pem(&pem);
            builder = builder.identity(identity.map_err(|error| TlsError::explain(&error.without_url()))?);
        }
        let client = builder.build().map_err(|error| TlsError::explain(&error.without_url()))?;
        let redactor = Redactor::new(secret_parts(&url).chain([settings.webhook_url.expose()]));
        Ok(Self { client, redactor, limit: SEND_LIMIT, url: url.clone() })
    }

    /// Sets how long a whole delivery may take.
    #[must_use]
    pub const fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the beginning of the answer; what is behind it is of no use.
    async fn body(&self, mut response: Response) -> Result<String, NotifyError> {
        let mut body = Vec::new();
        while body.len() < MAX_BODY {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(self.transport(error)),
            }
        }
        body.truncate(MAX_BODY);
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The address is taken out of the error, because it is the credential.
    fn transport(&self, error: reqwest::Error) -> NotifyError {
        let said = self.redactor.show(&chain(&error.without_url()));
        NotifyError::Retryable { error: format!("Slack could not be reached: {said}"), after: None }
    }

    fn judge(&self, status: StatusCode, headers: &HeaderMap, body: &str) -> Result<String, NotifyError> {
        let word = self.redactor.show(body);
        let after = || retry_after(headers);
        match status {
            StatusCode::OK => self.judge_ok(body, &word),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(NotifyError::Retryable { error: format!("Slack asks for a pause (429): {word}"), after: after() })
            }
            _ if status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY) => {
                Err(NotifyError::Retryable { error: format!("Slack answered {status}: {word}"), after: after() })
            }
            _ if status.is_redirection() => Err(NotifyError::Permanent {
                error: format!("Slack answered {status}; redirects are not followed, check the webhook's address"),
            }),
            _ => Err(NotifyError::Permanent { error: format!("Slack answered {status}: {word}") }),
        }
    }

    /// A 200 alone says nothing: Slack also uses it to refuse.
    fn judge_ok(&self, body: &str, word: &str) -> Result<String, NotifyError> {
        #[derive(Deserialize)]
        struct Answer {
            ok: bool,
            #[serde(default)]
            error: String,
        }
        if body.trim() == "ok" {
            return Ok("200 ok".to_owned());
        }
        match serde_json::from_str(body) {
            Ok(Answer { ok: true, .. }) => Ok("200 ok".to_owned()),
            Ok(Answer { ok: false, error }) => {
                let said = format!("Slack answered 200 but refused: {}", self.redactor.show(&error));
                if PASSING.contains(&error.as_str()) {
                    Err(NotifyError::Retryable { error: said, after: None })
                } else {
                    Err(NotifyError::Permanent { error: said })
                }
            }
            Err(_) => Err(NotifyError::Permanent {
                error: format!("the answer was 200 but not Slack's \"ok\", check the webhook's address: {word}"),
            }),
        }
    }
}

/// The parts of the address that make it a secret: its path, each longer segment of it, its query and its password.
fn secret_parts(url: &Url) -> impl Iterator<Item = &str> {
    /// Shorter segments, such as `services`, are words of the answer rather than secrets.
    const SHORTEST: usize = 9;
    let segments = url.path().split('/').filter(|segment| segment.len() >= SHORTEST);
    let path = Some(url.path()).filter(|path| path.len() >= SHORTEST);
    segments.chain(path).chain(url.query()).chain(url.password())
}

/// `Retry-After` in seconds, bounded.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_PAUSE))
}

#[async_trait]
impl Notifier for SlackNotifier {
    async fn send(&self, outgoing: &Outgoing) -> Result<String, NotifyError> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .timeout(self.limit)
            .body(render(&outgoing.message));
        let response = request.send().await.map_err(|error| self.transport(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.body(response).await?;
        self.judge(status, &headers, &body)
    }
}
