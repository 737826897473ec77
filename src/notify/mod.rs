//! Notifiers: how people are told. [`message`] renders purely; each notifier only carries.

pub mod email;
pub mod message;
pub mod slack;

use std::time::Duration;

use async_trait::async_trait;

use crate::store::Outgoing;

/// A message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// The other side may take it later.
    #[error("{error}")]
    Retryable {
        /// What the other side said; never a secret.
        error: String,
        /// When it asked to be tried again.
        after: Option<Duration>,
    },
    /// The other side will never take it.
    #[error("{error}")]
    Permanent {
        /// What the other side said; never a secret.
        error: String,
    },
}

/// Carries one message to one channel.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Delivers once, within `deadline`. Answers what the other side said.
    ///
    /// # Errors
    /// Retryable or permanent, as the other side's answer tells.
    async fn send(&self, outgoing: &Outgoing) -> Result<String, NotifyError>;
}

/// One integration of a receiver, as configured.
#[derive(Debug, Clone)]
pub enum NotifierSettings {
    /// Slack incoming webhook.
    Slack(slack::SlackSettings),
    /// Mail over SMTP.
    Email(email::EmailSettings),
}

/// One receiver, as configured.
#[derive(Debug, Clone)]
pub struct ReceiverSettings {
    /// The name rules use.
    pub name: String,
    /// Its integrations, each becoming the channel `<name>/<integration>`.
    pub integrations: Vec<NotifierSettings>,
}
