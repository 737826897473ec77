//! The mail: headers around the plain and the HTML part.

use std::time::SystemTime;

use lettre::Message as Mail;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use uuid::Uuid;

use super::Pages;
use super::digest::Digest;
use super::texts::{Mail as Text, Texts};
use crate::domain::Timestamp;
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

    /// The headers of one mail for many messages: it belongs to no heal's thread.
    #[must_use]
    pub fn of_bundle(outgoings: &[Outgoing], from: &Mailbox) -> Self {
        let id = bundle_id(outgoings);
        let domain = Some(from.email.domain()).filter(|domain| domain.is_ascii()).unwrap_or("autoheal.invalid");
        Self {
            message_id: format!("<{id}@{domain}>"),
            thread: format!("<digest-{id}@{domain}>"),
            list_id: format!("autoheal <autoheal.{domain}>"),
        }
    }
}

/// The identity of one mail for many messages: the same at every try with the same messages.
#[must_use]
pub fn bundle_id(outgoings: &[Outgoing]) -> Uuid {
    Uuid::from_u128(outgoings.iter().fold(0, |id: u128, outgoing| id.rotate_left(1) ^ outgoing.id.as_u128()))
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
    texts: &Texts,
) -> Result<Vec<u8>, lettre::error::Error> {
    let message = &outgoing.message;
    put_together(Headers::of(outgoing, from), texts.mail(message, pages), message.at, from, to)
}

/// Composes one mail for many messages.
///
/// # Errors
/// As [`compose`].
pub fn compose_bundle(
    outgoings: &[Outgoing],
    from: &Mailbox,
    to: &[Mailbox],
    pages: &Pages,
) -> Result<Vec<u8>, lettre::error::Error> {
    let messages: Vec<_> = outgoings.iter().map(|outgoing| &outgoing.message).collect();
    let at = messages.iter().map(|message| message.at).max().unwrap_or_default();
    let digest = Digest::of(&messages, pages);
    let text = Text { plain: digest.plain(), html: digest.html(), subject: digest.subject };
    put_together(Headers::of_bundle(outgoings, from), text, at, from, to)
}

fn put_together(
    headers: Headers,
    text: Text,
    at: Timestamp,
    from: &Mailbox,
    to: &[Mailbox],
) -> Result<Vec<u8>, lettre::error::Error> {
    let mut builder = Mail::builder()
        .from(from.clone())
        .subject(text.subject)
        .date(SystemTime::from(at).max(SystemTime::UNIX_EPOCH))
        .message_id(Some(headers.message_id))
        .in_reply_to(headers.thread.clone())
        .references(headers.thread);
    for (name, value) in FIXED_HEADERS.into_iter().chain([("List-Id", headers.list_id.as_str())]) {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
    }
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    let mail = builder.multipart(MultiPart::alternative_plain_html(text.plain, text.html))?;
    Ok(mail.formatted())
}
