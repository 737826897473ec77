//! The people a daemon tells: a mail server and a Slack, with the configuration and the secrets that lead to them.

use super::slack::{Answer, SECRET, SlackServer};
use super::smtp::{Pki, SmtpServer};
use super::wait;

/// The mail server's account.
pub const SMTP_USER: &str = "postmaster-u7s3r@mg.example.com";
/// Its password.
pub const SMTP_PASSWORD: &str = "Sm7pS3cr3tPassw0rd";

/// A mail server with STARTTLS and AUTH, and a Slack.
pub struct Office {
    pki: Pki,
    pub smtp: SmtpServer,
    pub slack: SlackServer,
}

impl Office {
    /// Both are well.
    pub fn open() -> Self {
        Self::with([], &["--user", SMTP_USER, "--password", SMTP_PASSWORD])
    }

    /// A Slack that gives these answers first, and a mail server with these options.
    pub fn with(answers: impl IntoIterator<Item = Answer>, smtp: &[&str]) -> Self {
        let pki = Pki::new("127.0.0.1");
        let smtp = SmtpServer::start(&pki, smtp);
        Self { smtp, slack: wait(SlackServer::start(answers)), pki }
    }

    /// The configuration's part about whom to tell: the receiver `on-call`, told by every rule.
    pub fn receivers(&self) -> String {
        format!(
            "receivers:\n\
             - name: on-call\n\
             \x20 slack: {{webhookUrl: \"${{SLACK_WEBHOOK_URL}}\", apiUrl: '{slack}'}}\n\
             \x20 email:\n\
             \x20   to: [oncall@example.com, second@example.com]\n\
             \x20   from: autoheal@mg.example.com\n\
             \x20   smarthost: 127.0.0.1:{port}\n\
             \x20   username: \"${{MAILGUN_SMTP_USERNAME}}\"\n\
             \x20   password: \"${{MAILGUN_SMTP_PASSWORD}}\"\n\
             \x20   tls: {{caFile: {ca}}}\n\
             defaultReceivers: [on-call]\n",
            slack = self.slack.api(),
            port = self.smtp.port,
            ca = self.pki.path("ca.pem").display(),
        )
    }

    /// The secrets file's lines for it.
    pub fn secrets() -> String {
        format!(
            "SLACK_WEBHOOK_URL=https://hooks.slack.com/services/{SECRET}\n\
             MAILGUN_SMTP_USERNAME={SMTP_USER}\nMAILGUN_SMTP_PASSWORD={SMTP_PASSWORD}\n"
        )
    }

    /// Closes the mail server and answers the mails it has received and nobody looked at, and the posts to Slack.
    pub fn close(self) -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
        let mails = self.smtp.finish().into_iter().filter(|event| event["event"] == "message").collect();
        (mails, self.slack.received())
    }
}
