//! A server that answers as Slack's incoming webhooks do, or as told.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::Value;

pub use super::service::Answer;
use super::service::{Sent, Service};

/// A running server; it ends with this value.
pub struct SlackServer(Service);

/// The part of the webhook's address that makes it a secret.
pub const SECRET: &str = "T0AUTOHEAL/B0AUTOHEAL/sWebhookS3cr3tTok3n";

impl SlackServer {
    /// Starts it with the answers it gives first; after them it says `ok`.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        let next = move |_: &Sent| answers.lock().unwrap().pop_front().unwrap_or_else(|| Answer::say(200, "ok"));
        Self(Service::start(next).await)
    }

    /// The webhook's address.
    pub fn url(&self) -> String {
        format!("{}/services/{SECRET}", self.0.url())
    }

    /// The address to be used in place of Slack's own.
    pub fn api(&self) -> String {
        self.0.url()
    }

    /// What was posted so far.
    pub fn received(&self) -> Vec<Value> {
        self.0.received().iter().map(Sent::json).collect()
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.0.received().len()
    }
}
