//! Grafana: an annotation per heal, so that dashboards show when autoheal acted and for how long.

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::Redactor;
use super::http::HttpClient;
use super::message::{Pages, Story, text::line};
use super::{BuildError, Notifier, NotifyError, Receipt};
use crate::domain::message::{Message, MessageKind};
use crate::secret::Secret;
use crate::store::Outgoing;
use crate::tls::ClientTls;

/// Longest tag.
const MAX_TAG: usize = 100;

/// How Grafana is reached.
#[derive(Debug, Clone)]
pub struct GrafanaSettings {
    /// Its address, without `/api`.
    pub address: Url,
    /// A service account's token that may write annotations.
    pub token: Secret,
    /// Tags beside `autoheal` and the rule's name.
    pub tags: Vec<String>,
    /// TLS options.
    pub tls: ClientTls,
}

/// Writes annotations to one Grafana.
pub struct GrafanaNotifier {
    http: HttpClient,
    settings: GrafanaSettings,
    pages: Pages,
}

/// The heal's annotation, to be ended when the heal ends.
#[derive(Debug, Serialize, Deserialize)]
struct Annotation {
    id: i64,
}

impl GrafanaSettings {
    /// The annotation of a message; none when nothing was done.
    #[must_use]
    pub fn annotation(&self, message: &Message, pages: &Pages) -> Option<Value> {
        let heal = &message.heal;
        let began = heal.first_attempt_at?;
        let mut tags = vec!["autoheal".to_owned(), line(&heal.rule, MAX_TAG)];
        tags.extend(self.tags.clone());
        let text = Story::full(message, pages).headline;
        let mut body = json!({ "time": began.as_millisecond(), "tags": tags, "text": text });
        if message.kind.is_final() {
            body["timeEnd"] = json!(message.at.as_millisecond());
        }
        Some(body)
    }
}

impl GrafanaNotifier {
    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    /// A TLS file cannot be used, or the machine trusts no authority.
    pub fn new(settings: &GrafanaSettings, pages: Pages) -> Result<Self, BuildError> {
        let redactor = Redactor::new([settings.token.expose()]);
        let http = HttpClient::new("Grafana", &settings.address, &settings.tls, redactor)?;
        Ok(Self { http, settings: settings.clone(), pages })
    }

    fn url(&self, id: Option<i64>) -> Url {
        let mut url = self.settings.address.clone();
        let id = id.map_or_else(String::new, |id| format!("/{id}"));
        url.set_path(&format!("{}/api/annotations{id}", url.path().trim_end_matches('/')));
        url
    }
}

#[async_trait]
impl Notifier for GrafanaNotifier {
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
        let known: Option<Annotation> = outgoing.memory.clone().and_then(|memory| serde_json::from_value(memory).ok());
        // Its annotation ends with the heal; whether a human is still needed is not its subject.
        if matches!(outgoing.message.kind, MessageKind::Over | MessageKind::Reminder) {
            return Ok(Receipt::from("the heal's annotation is complete"));
        }
        let Some(body) = self.settings.annotation(&outgoing.message, &self.pages) else {
            return Ok(Receipt::from("nothing was done, so there is nothing to show"));
        };
        let request = match &known {
            Some(annotation) => self.http.patch(self.url(Some(annotation.id))),
            None => self.http.post(self.url(None)),
        };
        let request = request.bearer_auth(self.settings.token.expose()).header(CONTENT_TYPE, "application/json");
        let answer = self.http.send(request.body(body.to_string())).await?;
        if !answer.status.is_success() {
            return Err(self.http.refused(&answer, &answer.body));
        }
        let made: Option<Annotation> = known.or_else(|| serde_json::from_str(&answer.body).ok());
        let said = made.as_ref().map_or_else(|| "annotated".to_owned(), |made| format!("annotation {}", made.id));
        Ok(Receipt { said, memory: made.and_then(|made| serde_json::to_value(made).ok()) })
    }
}
