//! A signed JSON document for everything that is neither Slack nor mail.
//!
//! The signature is an HMAC-SHA256 with the shared secret over `<timestamp>.<body>`. Whoever checks it compares in
//! constant time and refuses old timestamps, so that nothing that was overheard can be played again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, Mac};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use sha2::Sha256;

use super::answer::{Redactor, secret_parts};
use super::http::HttpClient;
use super::message::{Pages, document};
use super::{BuildError, Notifier, NotifyError, Receipt};
use crate::clock::Clock;
use crate::secret::Secret;
use crate::store::Outgoing;
use crate::tls::ClientTls;

/// When the message was sent, in seconds since 1970.
const TIMESTAMP: &str = "x-autoheal-timestamp";
/// `sha256=` and the signature in hexadecimal digits.
const SIGNATURE: &str = "x-autoheal-signature";
/// The message's identity, the same at every try.
const DELIVERY: &str = "x-autoheal-delivery";

/// Where documents go.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// The address; it may hold a secret.
    pub url: Secret,
    /// Shared with whoever receives, for signatures.
    pub secret: Option<Secret>,
    /// TLS options.
    pub tls: ClientTls,
}

/// Posts documents to one address.
pub struct WebhookNotifier {
    http: HttpClient,
    url: Url,
    secret: Option<Secret>,
    pages: Pages,
    clock: Arc<dyn Clock>,
}

impl WebhookNotifier {
    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    /// The address is none, a TLS file cannot be used, or the machine trusts no authority.
    pub fn new(settings: &WebhookSettings, pages: Pages, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        let url = Url::parse(settings.url.expose()).map_err(|_| BuildError::WebhookUrl)?;
        let secrets = [Some(&settings.url), settings.secret.as_ref()];
        let secrets = secrets.into_iter().flatten().map(Secret::expose);
        let redactor = Redactor::new(secrets.chain(secret_parts(&url)));
        let http = HttpClient::new("the webhook", &url, &settings.tls, redactor)?;
        Ok(Self { http, url, secret: settings.secret.clone(), pages, clock })
    }

    /// Sets how long a whole delivery may take.
    #[must_use]
    pub const fn with_limit(mut self, limit: Duration) -> Self {
        self.http.set_limit(limit);
        self
    }
}

/// The signature of a body that is sent at a time.
fn sign(secret: &Secret, timestamp: i64, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(format!("{timestamp}.{body}").as_bytes());
    Some(format!("sha256={:x}", mac.finalize().into_bytes()))
}

#[async_trait]
impl Notifier for WebhookNotifier {
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
        let body = document::render(outgoing.id, &outgoing.message, &self.pages).to_string();
        let timestamp = self.clock.now().as_second();
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(TIMESTAMP, timestamp)
            .header(DELIVERY, outgoing.id.to_string());
        if let Some(secret) = &self.secret {
            let Some(signature) = sign(secret, timestamp, &body) else {
                return Err(NotifyError::Permanent { error: "the webhook's secret cannot sign".to_owned() });
            };
            request = request.header(SIGNATURE, signature);
        }
        let answer = self.http.send(request.body(body)).await?;
        if answer.status.is_success() {
            Ok(Receipt::from(self.http.show(&format!("{} {}", answer.status.as_u16(), answer.body))))
        } else {
            Err(self.http.refused(&answer, &answer.body))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // printf '1795331071.{}' | openssl dgst -sha256 -hmac secret
        let signed = sign(&Secret::new("secret"), 1_795_331_071, "{}").unwrap();
        assert_eq!(signed, "sha256=abe8aaefabddae9c4f4c18f596e87f50a84c33f73839712aa3060a5534d51d60");
    }
}
