//! Mail over Mailgun's HTTP API.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::answer::Redactor;
use super::http::{HttpAnswer, HttpClient};
use super::message::digest::Digest;
use super::message::{Pages, mail, text::percent, texts::Texts};
use super::{BuildError, Notifier, NotifyError, Pace, Receipt};
use crate::secret::Secret;
use crate::store::Outgoing;
use crate::tls::ClientTls;

/// Mailgun also says 404 for a domain it knows while it is not quite itself; so often it is asked before that is believed.
const TRIES_FOR_AN_UNKNOWN_DOMAIN: u32 = 5;

/// How Mailgun is reached and who is told.
#[derive(Debug, Clone)]
pub struct MailgunSettings {
    /// Where Mailgun's API is: `https://api.mailgun.net`, its European twin, or what takes its place.
    pub api_url: Url,
    /// The sending domain.
    pub domain: String,
    /// The API key; not the SMTP password.
    pub api_key: Secret,
    /// Sender.
    pub from: Mailbox,
    /// Recipients; at least one, at most a thousand.
    pub to: Vec<Mailbox>,
    /// Tags for Mailgun's statistics; at most three.
    pub tags: Vec<String>,
    /// Mailgun takes the mail and delivers it to nobody.
    pub test_mode: bool,
    /// TLS options.
    pub tls: ClientTls,
    /// What people have written in place of the default texts.
    pub texts: Texts,
}

/// Sends to one list of recipients through one domain.
pub struct MailgunNotifier {
    http: HttpClient,
    url: Url,
    settings: MailgunSettings,
    pages: Pages,
}

impl MailgunNotifier {
    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    /// A TLS file cannot be used, or the machine trusts no authority.
    pub fn new(settings: &MailgunSettings, pages: Pages) -> Result<Self, BuildError> {
        let redactor = Redactor::new([settings.api_key.expose()]);
        let http = HttpClient::new("Mailgun", &settings.api_url, &settings.tls, redactor)?;
        let mut url = settings.api_url.clone();
        // The domain becomes one segment of the path, whatever is in it.
        let path = format!("{}/v3/{}/messages", url.path().trim_end_matches('/'), percent(&settings.domain));
        url.set_path(&path);
        Ok(Self { http, url, settings: settings.clone(), pages })
    }

    /// Sets how long a whole delivery may take.
    #[must_use]
    pub const fn with_limit(mut self, limit: Duration) -> Self {
        self.http.set_limit(limit);
        self
    }

    fn form(&self, outgoing: &Outgoing) -> String {
        let message = &outgoing.message;
        let mail = self.settings.texts.mail(message, &self.pages);
        self.form_of(mail::Headers::of(outgoing, &self.settings.from), [mail.subject, mail.plain, mail.html])
    }

    /// One mail for many messages.
    fn bundle(&self, outgoings: &[Outgoing]) -> String {
        let messages: Vec<_> = outgoings.iter().map(|outgoing| &outgoing.message).collect();
        let digest = Digest::of(&messages, &self.pages);
        let (plain, html) = (digest.plain(), digest.html());
        self.form_of(mail::Headers::of_bundle(outgoings, &self.settings.from), [digest.subject, plain, html])
    }

    fn form_of(&self, headers: mail::Headers, [subject, plain, html]: [String; 3]) -> String {
        let MailgunSettings { from, to, tags, test_mode, .. } = &self.settings;
        let mut form = vec![("from", from.to_string())];
        form.extend(to.iter().map(|mailbox| ("to", mailbox.to_string())));
        form.extend([
            ("subject", subject),
            ("text", plain),
            ("html", html),
            // Tracking replaces links by Mailgun's own, which would break a runbook's address on a bad day.
            ("o:tracking", "no".to_owned()),
            ("o:tracking-clicks", "no".to_owned()),
            ("o:tracking-opens", "no".to_owned()),
            ("h:Message-Id", headers.message_id),
            ("h:In-Reply-To", headers.thread.clone()),
            ("h:References", headers.thread),
            ("h:List-Id", headers.list_id),
        ]);
        form.extend(tags.iter().map(|tag| ("o:tag", tag.clone())));
        let fixed = mail::FIXED_HEADERS.iter().filter(|(name, _)| !name.starts_with("X-Mailgun-"));
        let fixed: Vec<_> = fixed.map(|(name, value)| (format!("h:{name}"), (*value).to_owned())).collect();
        form.extend(fixed.iter().map(|(name, value)| (name.as_str(), value.clone())));
        if *test_mode {
            form.push(("o:testmode", "yes".to_owned()));
        }
        let encode = |(name, value): &(&str, String)| format!("{}={}", percent(name), percent(value));
        form.iter().map(encode).collect::<Vec<_>>().join("&")
    }

    fn judge(&self, answer: &HttpAnswer, tries: u32) -> Result<String, NotifyError> {
        #[derive(Deserialize)]
        struct Said {
            #[serde(default)]
            id: String,
            #[serde(default)]
            message: String,
        }
        let said: Option<Said> = serde_json::from_str(&answer.body).ok();
        let word = said.as_ref().map_or(answer.body.as_str(), |said| &said.message);
        match answer.status {
            StatusCode::OK => match &said {
                Some(Said { id, .. }) if !id.is_empty() => Ok(self.http.show(&format!("200 queued as {id}"))),
                _ => Err(NotifyError::Permanent {
                    error: format!("the answer was 200 but not Mailgun's, check apiUrl: {}", self.http.show(word)),
                }),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(NotifyError::Permanent {
                error: format!(
                    "Mailgun answered {}: {}; check apiKey (not the SMTP password), region and domain",
                    answer.status,
                    self.http.show(word)
                ),
            }),
            StatusCode::NOT_FOUND => {
                let error = format!(
                    "Mailgun knows no domain {} here: {}; check domain and region",
                    self.settings.domain,
                    self.http.show(word)
                );
                if tries < TRIES_FOR_AN_UNKNOWN_DOMAIN {
                    Err(NotifyError::Retryable { error, after: answer.retry_after })
                } else {
                    Err(NotifyError::Permanent { error })
                }
            }
            _ => Err(self.http.refused(answer, word)),
        }
    }
}

#[async_trait]
impl Notifier for MailgunNotifier {
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
        self.post(self.form(outgoing), outgoing.tries).await
    }

    async fn send_bundle(&self, outgoings: &[Outgoing]) -> Result<Receipt, NotifyError> {
        let tries = outgoings.iter().map(|outgoing| outgoing.tries).max().unwrap_or_default();
        self.post(self.bundle(outgoings), tries).await
    }

    /// A mail to nobody, which Mailgun refuses for that alone when key, region and domain are right. A key that may only send
    /// may ask for nothing else.
    async fn check(&self) -> Result<Option<String>, NotifyError> {
        let answer = self.submit(String::new()).await?;
        if answer.status == StatusCode::BAD_REQUEST {
            return Ok(Some(format!("Mailgun takes mail for {} from us", self.settings.domain)));
        }
        self.judge(&answer, 0).map(Some)
    }

    fn pace(&self) -> Pace {
        Pace::MAIL
    }
}

impl MailgunNotifier {
    async fn post(&self, form: String, tries: u32) -> Result<Receipt, NotifyError> {
        let answer = self.submit(form).await?;
        self.judge(&answer, tries).map(Receipt::from)
    }

    async fn submit(&self, form: String) -> Result<HttpAnswer, NotifyError> {
        let request = self
            .http
            .post(self.url.clone())
            .basic_auth("api", Some(self.settings.api_key.expose()))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.http.send(request.body(form)).await
    }
}
