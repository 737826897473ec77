//! The mail: headers around the plain and the HTML part.

use std::time::SystemTime;

use lettre::Message as Mail;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use super::{Pages, html, plain, subject};
use crate::store::Outgoing;

/// Headers that every mail carries: who answers mails by itself must not answer these, and Mailgun must not replace
/// links by its own, which would break a runbook's address on a bad day.
pub const FIXED_HEADERS: [(&str, &str); 3] =
    [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All"), ("X-Mailgun-Track", "no")];

/// What makes mails one thread and one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// The same at every try of the same message, so that programs that see it twice can tell.
    pub message_id: String,
    /// For `In-Reply-To` and `References`: all mails of one heal answer a mail that never was, which makes them one
    /// thread whichever of them somebody gets first.
    pub thread: String,
    /// Lets people sort these mails, and tells robots that they come from a list.
    pub list_id: String,
}

impl Headers {
    /// The headers of a message from this sender.
    #[must_use]
    pub fn of(outgoing: &Outgoing, from: &Mailbox) -> Self {
        // An identifier must be ASCII; what stands behind the @ only has to be ours.
        let domain = Some(from.email.domain()).filter(|domain| domain.is_ascii()).unwrap_or("autoheal.invalid");
        Self {
            message_id: format!("<{}@{domain}>", outgoing.id),
            thread: format!("<heal-{}@{domain}>", outgoing.message.heal.id),
            list_id: format!("autoheal <autoheal.{domain}>"),
        }
    }
}

/// Composes the mail as it goes over the wire.
///
/// # Errors
/// What the mail library refuses, which checked addresses never are.
pub fn compose(
    outgoing: &Outgoing,
    from: &Mailbox,
    to: &[Mailbox],
    pages: &Pages,
) -> Result<Vec<u8>, lettre::error::Error> {
    let message = &outgoing.message;
    let headers = Headers::of(outgoing, from);
    let mut builder = Mail::builder()
        .from(from.clone())
        .subject(subject(message))
        .date(SystemTime::from(message.at).max(SystemTime::UNIX_EPOCH))
        .message_id(Some(headers.message_id))
        .in_reply_to(headers.thread.clone())
        .references(headers.thread);
    for (name, value) in FIXED_HEADERS.into_iter().chain([("List-Id", headers.list_id.as_str())]) {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
    }
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    let mail = builder
        .multipart(MultiPart::alternative_plain_html(plain::render(message, pages), html::render(message, pages)))?;
    Ok(mail.formatted())
}
