//! `email` over SMTP and `mailgun` over HTTP.

use lettre::message::Mailbox;
use reqwest::Url;

use super::{Templates, read_url};
use crate::config::endpoint::read_tls;
use crate::config::reader::{Mapping, Reader, Schema};
use crate::config::yaml::Node;
use crate::domain::template::text::Form;
use crate::notify::email::EmailSettings;
use crate::notify::mailgun::MailgunSettings;

const EMAIL: Schema = Schema {
    what: "`email`",
    keys: &["to", "from", "smarthost", "username", "password", "tls", "subject", "text", "html"],
    unsupported: &[],
    strict: false,
};

const MAILGUN: Schema = Schema {
    what: "`mailgun`",
    keys: &["domain", "apiKey", "region", "from", "to", "apiUrl", "tags", "testMode", "tls", "subject", "text", "html"],
    unsupported: &[],
    strict: false,
};

/// The submission port: STARTTLS is required there.
const SUBMISSION_PORT: u16 = 587;

/// Mailgun takes no more recipients and tags.
const MAX_RECIPIENTS: usize = 1000;

const MAX_TAGS: usize = 3;

pub(super) fn read_email(reader: &Reader<'_>, node: &Node, templates: &Templates) -> Option<EmailSettings> {
    let email = reader.mapping(node, &EMAIL)?;
    let to = read_recipients(reader, &email, EMAIL.what);
    let from = reader.require(&email, "from", EMAIL.what).and_then(|node| read_mailbox(reader, node));
    let smarthost = reader.require(&email, "smarthost", EMAIL.what).and_then(|node| read_smarthost(reader, node));
    let username = email.get("username").map(|node| reader.filled(node));
    let password = email.get("password").map(|node| reader.secret(node));
    if let (None, Some(span)) | (Some(span), None) = (email.key_span("username"), email.key_span("password")) {
        reader.error(span, "`username` and `password` belong together", "the other one is missing");
    }
    let tls = read_tls(reader, &email);
    let texts = templates.texts(reader, &email, "subject", Form::Html);
    let (host, port) = smarthost?;
    Some(EmailSettings {
        to: to?,
        from: from?,
        host,
        port,
        username: username.flatten(),
        password: password.flatten(),
        tls,
        texts,
    })
}

fn read_recipients(reader: &Reader<'_>, mapping: &Mapping<'_>, what: &str) -> Option<Vec<Mailbox>> {
    let node = reader.require(mapping, "to", what)?;
    let addresses = reader.list_or_one(node, "mail address");
    if node.len() == 0 {
        reader.error(&node.span, "`to` is empty", "expected at least one mail address");
    } else if addresses.len() > MAX_RECIPIENTS {
        reader.error(&node.span, "`to` is too long", format!("expected at most {MAX_RECIPIENTS} mail addresses"));
    }
    Some(addresses.iter().filter_map(|address| read_mailbox(reader, address)).collect())
}

pub(super) fn read_mailgun(reader: &Reader<'_>, node: &Node, templates: &Templates) -> Option<MailgunSettings> {
    let mailgun = reader.mapping(node, &MAILGUN)?;
    let domain = reader.require(&mailgun, "domain", MAILGUN.what).and_then(|node| read_domain(reader, node));
    let api_key = reader.require(&mailgun, "apiKey", MAILGUN.what).and_then(|node| reader.secret(node));
    let from = reader.require(&mailgun, "from", MAILGUN.what).and_then(|node| read_mailbox(reader, node));
    let to = read_recipients(reader, &mailgun, MAILGUN.what);
    let region = mailgun.get("region").map_or(Some("us"), |node| reader.choice(node, &["us", "eu"]));
    let api_url = match mailgun.get("apiUrl") {
        Some(node) => read_url(reader, node, &reader.text(node)?),
        None if region == Some("eu") => Url::parse("https://api.eu.mailgun.net").ok(),
        None => Url::parse("https://api.mailgun.net").ok(),
    };
    let tags = mailgun.get("tags").map_or_else(|| Some(vec!["autoheal".to_owned()]), |node| read_tags(reader, node));
    let test_mode = mailgun.get("testMode").map_or(Some(false), |node| reader.boolean(node));
    let tls = read_tls(reader, &mailgun);
    let texts = templates.texts(reader, &mailgun, "subject", Form::Html);
    region?;
    Some(MailgunSettings {
        api_url: api_url?,
        domain: domain?,
        api_key: api_key?,
        from: from?,
        to: to?,
        tags: tags?,
        test_mode: test_mode?,
        tls,
        texts,
    })
}

fn read_domain(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let domain = reader.text(node)?;
    let is_domain = domain.contains('.') && domain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if !is_domain {
        reader.error(&node.span, "this is not a domain", "expected the sending domain, for example mg.example.com");
    }
    is_domain.then_some(domain)
}

fn read_tags(reader: &Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let tags = reader.list_or_one(node, "tag");
    if tags.len() > MAX_TAGS {
        reader.error(&node.span, "too many tags", format!("Mailgun takes at most {MAX_TAGS}"));
        return None;
    }
    let read = |node: &Node| {
        let tag = reader.word(node, "a tag")?;
        if tag.len() > 128 || !tag.is_ascii() {
            reader.error(&node.span, "Mailgun does not take this tag", "expected at most 128 ASCII characters");
            return None;
        }
        Some(tag.to_owned())
    };
    tags.iter().map(read).collect()
}

/// The mail library's own parser decides, so that nothing reaches a header that it would not put there itself.
fn read_mailbox(reader: &Reader<'_>, node: &Node) -> Option<Mailbox> {
    reader.parsed(node, "a mail address such as oncall@example.com or On Call <oncall@example.com>")
}

fn read_smarthost(reader: &Reader<'_>, node: &Node) -> Option<(String, u16)> {
    let text = reader.text(node)?;
    let smarthost = split_port(&text);
    if smarthost.is_none() {
        reader.error(&node.span, "this is not a mail server", "expected host:port, for example smtp.mailgun.org:587");
    }
    smarthost
}

fn split_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(SUBMISSION_PORT), |port| port.parse().ok().filter(|port| *port != 0))?;
    let is_host = !host.is_empty() && !host.contains(['/', '@', ' ', '\t', '\r', '\n']);
    is_host.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_has_a_host_and_may_have_a_port() {
        for (text, expected) in [
            ("smtp.mailgun.org:2525", Some(("smtp.mailgun.org", 2525))),
            ("mail", Some(("mail", 587))),
            ("[::1]:465", Some(("::1", 465))),
            ("[::1]", Some(("::1", 587))),
            ("mail:0", None),
            ("mail:smtp", None),
            ("mail:70000", None),
            (":587", None),
            ("", None),
            ("smtp://mail", None),
            ("a b:25", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(split_port(text), expected, "{text:?}");
        }
    }
}
