//! The mail: headers around the plain and the HTML part.

use std::time::SystemTime;

use lettre::Message as Mail;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use super::{html, plain, subject};
use crate::store::Outgoing;

/// Composes the mail as it goes over the wire. The same message gives the same `Message-ID` at every try, so that
/// programs that see it twice can tell.
///
/// # Errors
/// What the mail library refuses, which checked addresses never are.
pub fn compose(outgoing: &Outgoing, from: &Mailbox, to: &[Mailbox]) -> Result<Vec<u8>, lettre::error::Error> {
    let message = &outgoing.message;
    // An identifier must be ASCII; what stands behind the @ only has to be ours.
    let domain = Some(from.email.domain()).filter(|domain| domain.is_ascii()).unwrap_or("autoheal.invalid");
    // All mails of one heal answer a mail that never was, which makes them one thread.
    let thread = format!("<heal-{}@{domain}>", message.heal.id);
    let mut builder = Mail::builder()
        .from(from.clone())
        .subject(subject(message))
        .date(SystemTime::from(message.at).max(SystemTime::UNIX_EPOCH))
        .message_id(Some(format!("<{}@{domain}>", outgoing.id)))
        .in_reply_to(thread.clone())
        .references(thread)
        .header(AutoSubmitted)
        .header(MailgunTrack);
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    let mail = builder.multipart(MultiPart::alternative_plain_html(plain::render(message), html::render(message)))?;
    Ok(mail.formatted())
}

/// Asks out-of-office programs not to answer.
#[derive(Clone)]
struct AutoSubmitted;

/// Asks Mailgun not to replace links by its own, which would break a runbook's address on a bad day.
#[derive(Clone)]
struct MailgunTrack;

/// A header that always has the same value.
macro_rules! fixed_header {
    ($type:ident, $name:literal, $value:literal) => {
        impl Header for $type {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }

            fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self)
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), $value.to_owned())
            }
        }
    };
}

fixed_header!(AutoSubmitted, "Auto-Submitted", "auto-generated");
fixed_header!(MailgunTrack, "X-Mailgun-Track", "no");
