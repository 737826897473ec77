//! Mail over SMTP.

use crate::secret::Secret;
use crate::tls::ClientTls;

/// How mail is sent and to whom.
#[derive(Debug, Clone)]
pub struct EmailSettings {
    /// Recipients; at least one. Checked mailbox syntax.
    pub to: Vec<lettre::message::Mailbox>,
    /// Sender.
    pub from: lettre::message::Mailbox,
    /// SMTP host.
    pub host: String,
    /// SMTP port: 465 is TLS from the start, any other requires STARTTLS.
    pub port: u16,
    /// AUTH user name; itself may be secret.
    pub username: Option<Secret>,
    /// AUTH password.
    pub password: Option<Secret>,
    /// TLS options.
    pub tls: ClientTls,
}
