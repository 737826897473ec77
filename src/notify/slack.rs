//! Slack through an incoming webhook.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::answer::{Redactor, secret_parts};
use super::http::{HttpAnswer, HttpClient};
use super::message::{Pages, digest::Digest, slack::render, texts::Texts};
use super::{BuildError, Notifier, NotifyError, Pace, Receipt};
use crate::secret::Secret;
use crate::store::Outgoing;
use crate::tls::ClientTls;

/// Slack takes about one message a second for a channel.
const PACE: Pace = Pace { gap: Duration::from_secs(1), burst: 4, bundle_from: 10, gather: Duration::from_secs(10) };
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
    /// What people have written in place of the default texts.
    pub texts: Texts,
}

/// Posts to one incoming webhook.
pub struct SlackNotifier {
    http: HttpClient,
    url: Url,
    pages: Pages,
    texts: Texts,
}

impl SlackNotifier {
    /// Builds the client.
    ///
    /// # Errors
    /// The address is no web address, a TLS file cannot be used, or the machine trusts no authority.
    pub fn new(settings: &SlackSettings, pages: Pages) -> Result<Self, BuildError> {
        let url = Url::parse(settings.webhook_url.expose())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or(BuildError::WebhookUrl)?;
        let redactor = Redactor::new(secret_parts(&url).chain([settings.webhook_url.expose()]));
        let http = HttpClient::new("Slack", &url, &settings.tls, redactor)?;
        Ok(Self { http, url, pages, texts: settings.texts.clone() })
    }

    /// Sets how long a whole delivery may take.
    #[must_use]
    pub const fn with_limit(mut self, limit: Duration) -> Self {
        self.http.set_limit(limit);
        self
    }

    async fn post(&self, body: String) -> Result<Receipt, NotifyError> {
        let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json; charset=utf-8");
        self.judge(&self.http.send(request.body(body)).await?).map(Receipt::from)
    }

    fn judge(&self, answer: &HttpAnswer) -> Result<String, NotifyError> {
        match answer.status {
            StatusCode::OK => self.judge_ok(&answer.body),
            _ => Err(self.http.refused(answer, &answer.body)),
        }
    }

    /// A 200 alone says nothing: Slack also uses it to refuse.
    fn judge_ok(&self, body: &str) -> Result<String, NotifyError> {
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
                let said = format!("Slack answered 200 but refused: {}", self.http.show(&error));
                if is_passing(&error) {
                    Err(NotifyError::Retryable { error: said, after: None })
                } else {
                    Err(NotifyError::Permanent { error: said })
                }
            }
            Err(_) => Err(NotifyError::Permanent {
                error: format!(
                    "the answer was 200 but not Slack's \"ok\", check the webhook's address: {}",
                    self.http.show(body)
                ),
            }),
        }
    }
}

/// Whether a word of Slack's is about a trouble that passes.
pub(super) fn is_passing(word: &str) -> bool {
    PASSING.contains(&word)
}

#[async_trait]
impl Notifier for SlackNotifier {
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
        self.post(render(&outgoing.message, &self.pages, &self.texts)).await
    }

    async fn send_bundle(&self, outgoings: &[Outgoing]) -> Result<Receipt, NotifyError> {
        let messages: Vec<_> = outgoings.iter().map(|outgoing| &outgoing.message).collect();
        self.post(Digest::of(&messages, &self.pages).slack().to_string()).await
    }

    fn pace(&self) -> Pace {
        PACE
    }
}
