//! Slack through an incoming webhook.

use crate::secret::Secret;
use crate::tls::ClientTls;

/// How Slack is reached.
#[derive(Debug, Clone)]
pub struct SlackSettings {
    /// The incoming webhook's address; it is itself a secret.
    pub webhook_url: Secret,
    /// TLS options.
    pub tls: ClientTls,
}
