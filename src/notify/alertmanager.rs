//! Alertmanager as a receiver: an alert `AutohealNeedsHuman`, so that whatever pages people today pages them for this too.
//! It fires while a human is needed, and resolves when that is over.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Url};
use serde_json::{Value, json};

use super::answer::Redactor;
use super::http::{HttpAnswer, HttpClient};
use super::message::{Pages, Story, text::line};
use super::{BuildError, Notifier, NotifyError, Receipt};
use crate::domain::message::{Message, MessageKind};
use crate::secret::Secret;
use crate::store::Outgoing;
use crate::tls::ClientTls;

/// The alert's name.
const ALERT: &str = "AutohealNeedsHuman";
/// How long the alert fires when nothing says that it is over, nor that it is not.
const LIFE: Duration = Duration::from_hours(4);
/// How often it is said again while a human is needed.
pub const REFRESH: Duration = Duration::from_hours(1);
/// Longest value of a label or an annotation.
const MAX_VALUE: usize = 500;

/// How Alertmanager is reached.
#[derive(Debug, Clone)]
pub struct AlertmanagerSettings {
    /// Its address, without `/api/v2`.
    pub address: Url,
    /// Who we are there: user and password.
    pub credentials: Option<(String, Secret)>,
    /// Labels beside `alertname`, `rule` and `target`.
    pub labels: BTreeMap<String, String>,
    /// TLS options.
    pub tls: ClientTls,
}

/// Posts to one Alertmanager.
pub struct AlertmanagerNotifier {
    http: HttpClient,
    url: Url,
    settings: AlertmanagerSettings,
    pages: Pages,
}

impl AlertmanagerNotifier {
    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    /// A TLS file cannot be used, or the machine trusts no authority.
    pub fn new(settings: &AlertmanagerSettings, pages: Pages) -> Result<Self, BuildError> {
        let secrets = settings.credentials.iter().map(|(_, password)| password.expose());
        let http = HttpClient::new("Alertmanager", &settings.address, &settings.tls, Redactor::new(secrets))?;
        let mut url = settings.address.clone();
        url.set_path(&format!("{}/api/v2/alerts", url.path().trim_end_matches('/')));
        Ok(Self { http, url, settings: settings.clone(), pages })
    }

    async fn ask(&self, mut request: RequestBuilder) -> Result<HttpAnswer, NotifyError> {
        if let Some((user, password)) = &self.settings.credentials {
            request = request.basic_auth(user, Some(password.expose()));
        }
        let answer = self.http.send(request).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(self.http.refused(&answer, &answer.body)) }
    }
}

impl AlertmanagerSettings {
    /// The alert of a message. Its labels are its identity: the same when it fires and when it resolves.
    #[must_use]
    pub fn alert(&self, message: &Message, pages: &Pages) -> Value {
        let heal = &message.heal;
        let mut labels = BTreeMap::from([
            ("severity".to_owned(), "critical".to_owned()),
            ("rule".to_owned(), line(&heal.rule, MAX_VALUE)),
            ("target".to_owned(), line(heal.target.as_str(), MAX_VALUE)),
        ]);
        labels.extend(self.labels.clone());
        labels.insert("alertname".to_owned(), ALERT.to_owned());
        let story = Story::full(message, pages);
        let mut annotations = BTreeMap::from([
            ("summary", story.headline),
            ("description", line(&heal.description, MAX_VALUE)),
            ("runbook_url", line(&heal.runbook, MAX_VALUE)),
            ("heal", story.heal),
            (
                "paused",
                story.facts.into_iter().find(|fact| fact.name == "Paused").map_or_else(String::new, |fact| fact.value),
            ),
        ]);
        annotations.retain(|_, text| !text.is_empty());
        let ends_at = if message.kind.needs_human() { message.at + LIFE } else { message.at };
        let url = story.buttons.into_iter().find(|button| button.id == "heal").map(|button| button.url);
        json!({
            "labels": labels,
            "annotations": annotations,
            "startsAt": heal.created_at,
            "endsAt": ends_at,
            "generatorURL": url.unwrap_or_default(),
        })
    }
}

#[async_trait]
impl Notifier for AlertmanagerNotifier {
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
        let message = &outgoing.message;
        let fires = message.kind.needs_human();
        // Where nothing is remembered, who is told that it is over was called for an earlier heal of the same trouble.
        let is_over = message.kind == MessageKind::Over;
        let is_told = outgoing.memory.as_ref().map_or(is_over, |memory| memory["fires"] == true);
        if !fires && !is_told {
            return Ok(Receipt::from("nobody was called, so nobody is told that it is over"));
        }
        let body = json!([self.settings.alert(message, &self.pages)]).to_string();
        let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let answer = self.ask(request.body(body)).await?;
        let said = format!("{}: {ALERT} {}", answer.status.as_u16(), if fires { "fires" } else { "resolves" });
        Ok(Receipt { said, memory: Some(json!({ "fires": fires })) })
    }

    async fn check(&self) -> Result<Option<String>, NotifyError> {
        let mut url = self.url.clone();
        url.set_path(&self.url.path().replace("/api/v2/alerts", "/api/v2/status"));
        self.ask(self.http.get(url)).await.map(|_| Some("Alertmanager answers and lets us in".to_owned()))
    }
}
