//! `receivers:` — who can be told, and how.

use std::time::Duration;

use lettre::message::Mailbox;
use reqwest::Url;

mod others;
mod texts;

pub(super) use self::texts::Templates;
use super::endpoint::read_tls;
use super::names::Names;
use super::reader::{Mapping, Reader, Schema};
use super::rules;
use super::time_intervals::TimeIntervals;
use super::yaml::Node;
use crate::domain::calm::{Calm, Repeats};
use crate::domain::message::{Audience, Kinds, MessageKind};
use crate::domain::template::text::Form;
use crate::notify::email::EmailSettings;
use crate::notify::mailgun::MailgunSettings;
use crate::notify::slack::SlackSettings;
use crate::notify::slack_bot::SlackBotSettings;
use crate::notify::{NotifierSettings, ReceiverSettings};
use crate::secret::Secret;

const RECEIVER: Schema = Schema {
    what: "a receiver",
    keys: &[
        "name",
        "events",
        "reminderInterval",
        "quietTimes",
        "digest",
        "slack",
        "email",
        "mailgun",
        "webhook",
        "alertmanager",
        "grafana",
    ],
    unsupported: &[],
    strict: false,
};
const DIGEST: Schema = Schema { what: "`digest`", keys: &["after", "within"], unsupported: &[], strict: true };
const SLACK: Schema = Schema {
    what: "`slack`",
    keys: &["webhookUrl", "botToken", "channel", "signingSecret", "apiUrl", "tls", "title", "text"],
    unsupported: &[],
    strict: false,
};
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

/// How long a digest may gather.
const SHORTEST_DIGEST: Duration = Duration::from_mins(1);
const LONGEST_DIGEST: Duration = Duration::from_hours(24);
/// How often people may be reminded.
const SHORTEST_REMINDER: Duration = Duration::from_mins(1);
const LONGEST_REMINDER: Duration = Duration::from_hours(30 * 24);

/// Mailgun takes no more recipients and tags.
const MAX_RECIPIENTS: usize = 1000;
const MAX_TAGS: usize = 3;

/// Reads the section; receivers of several files add up. Every name is known from then on, even that of a receiver with
/// errors.
pub(super) fn read(
    reader: &Reader<'_>,
    node: &Node,
    names: &mut Names,
    templates: &Templates,
    receivers: &mut Vec<ReceiverSettings>,
) {
    for receiver in reader.list(node, "receivers") {
        receivers.extend(read_receiver(reader, receiver, names, templates));
    }
}

fn read_receiver(
    reader: &Reader<'_>,
    node: &Node,
    names: &mut Names,
    templates: &Templates,
) -> Option<ReceiverSettings> {
    let before = reader.error_count();
    let receiver = reader.mapping(node, &RECEIVER)?;
    let name = reader.require(&receiver, "name", RECEIVER.what).and_then(|node| {
        let name = names.claim(reader, node)?;
        if name.contains('/') {
            // `<name>/<integration>` names a channel in the store.
            reader.error(&node.span, "a receiver's name has no `/`", "expected another name");
            return None;
        }
        Some(name)
    });
    let slack = receiver.get("slack").and_then(|node| read_slack(reader, node, templates));
    let email = receiver.get("email").and_then(|node| read_email(reader, node, templates)).map(NotifierSettings::Email);
    let mailgun =
        receiver.get("mailgun").and_then(|node| read_mailgun(reader, node, templates)).map(NotifierSettings::Mailgun);
    let integrations = slack.into_iter().chain(email).chain(mailgun).chain(others::read(reader, &receiver)).collect();
    let events = receiver.get("events").map(|node| read_events(reader, node));
    if receiver
        .iter()
        .all(|(key, _, _)| matches!(key, "name" | "events" | "reminderInterval" | "quietTimes" | "digest"))
        && reader.error_count() == before
    {
        reader.error(&node.span, "this receiver reaches nobody", "give it a way, such as `slack` or `email`");
    }
    let remind = receiver.get("reminderInterval").and_then(|node| read_reminder_interval(reader, node));
    let repeats = receiver.get("digest").map_or(Some(Repeats::default()), |node| read_digest(reader, node));
    let calm = Calm { repeats, ..Calm::default() };
    Some(ReceiverSettings { name: name?, events, remind, calm, integrations })
}

/// When repeats of one story become a digest.
fn read_digest(reader: &Reader<'_>, node: &Node) -> Option<Repeats> {
    let digest = reader.mapping(node, &DIGEST)?;
    let Repeats { after, within } = Repeats::default();
    let after = digest.get("after").map_or(Some(after), |node| reader.integer(node, &(1..=1000)));
    let within =
        digest.get("within").map_or(Some(within), |node| reader.duration(node, SHORTEST_DIGEST..=LONGEST_DIGEST));
    Some(Repeats { after: after?, within: within? })
}

/// Reads the receivers' quiet times, once every time interval is known.
pub(super) fn read_quiet_times(
    reader: &Reader<'_>,
    list: &Node,
    intervals: &TimeIntervals,
    receivers: &mut [ReceiverSettings],
) {
    for node in rules::nodes(list) {
        let Some(quiet) = node.value("quietTimes") else { continue };
        let mute = intervals.named(reader, quiet);
        let name = node.value("name").map(|node| node.written.as_str());
        if let Some(receiver) = receivers.iter_mut().find(|receiver| Some(receiver.name.as_str()) == name) {
            receiver.calm.quiet.mute = mute;
        }
    }
}

/// How often somebody is reminded; zero is never.
pub(super) fn read_reminder_interval(reader: &Reader<'_>, node: &Node) -> Option<Duration> {
    let every = reader.duration(node, Duration::ZERO..=LONGEST_REMINDER)?;
    if !every.is_zero() && every < SHORTEST_REMINDER {
        reader.error(&node.span, "nobody wants to be reminded so often", "expected 1m or more, or 0 for never");
        return None;
    }
    Some(every)
}

/// Which messages: kinds by name, or `all`, `ends` and `needs_human` for several.
fn read_events(reader: &Reader<'_>, node: &Node) -> Kinds {
    const GROUPS: [&str; 3] = ["all", "ends", "needs_human"];
    let words: Vec<_> = MessageKind::ALL.iter().map(|kind| kind.as_str()).chain(GROUPS).collect();
    let named = |word: &str| {
        let word = word.to_owned();
        MessageKind::ALL.into_iter().filter(move |kind| match word.as_str() {
            "all" => true,
            "ends" => Audience::Ends.wants(*kind),
            "needs_human" => kind.needs_human(),
            word => kind.as_str() == word,
        })
    };
    let events = reader.list_or_one(node, "event");
    if node.len() == 0 {
        reader.error(&node.span, "`events` is empty", "leave it out, or say what this receiver is told");
    }
    events.iter().filter_map(|node| reader.choice(node, &words)).flat_map(named).collect()
}

fn read_slack(reader: &Reader<'_>, node: &Node, templates: &Templates) -> Option<NotifierSettings> {
    let slack = reader.mapping(node, &SLACK)?;
    if let (Some(_), Some(span)) = (slack.get("webhookUrl"), slack.key_span("botToken")) {
        reader.error(span, "`webhookUrl` and `botToken` are two ways to the same", "keep one of them");
    }
    if slack.get("botToken").is_some() {
        return read_slack_bot(reader, &slack, templates).map(NotifierSettings::SlackBot);
    }
    if let Some(span) = slack.key_span("channel") {
        reader.error(span, "a webhook has its own channel", "only a `botToken` posts to a `channel` of your choice");
    }
    if let Some(span) = slack.key_span("signingSecret") {
        reader.error(span, "only a bot's messages have buttons that answer", "give it a `botToken`");
    }
    if slack.key_span("webhookUrl").is_none() {
        reader.error(slack.span, "`slack` needs `webhookUrl` or `botToken`", "both are missing");
    }
    let webhook = slack.get("webhookUrl").and_then(|node| {
        let url = read_url(reader, node, reader.secret(node)?.expose())?;
        if url.scheme() == "http" && slack.get("apiUrl").is_none() {
            reader.warning(&node.span, "everyone on the way can read this webhook's secret", "use https://");
        }
        Some(url)
    });
    let api = slack.get("apiUrl").map(|node| read_url(reader, node, &reader.text(node)?));
    let tls = read_tls(reader, &slack);
    let texts = templates.texts(reader, &slack, "title", Form::Slack);
    let webhook = webhook?;
    let webhook = match api {
        Some(api) => through(&api?, &webhook),
        None => webhook,
    };
    Some(NotifierSettings::Slack(SlackSettings { webhook_url: Secret::new(webhook), tls, texts }))
}

fn read_slack_bot(reader: &Reader<'_>, slack: &Mapping<'_>, templates: &Templates) -> Option<SlackBotSettings> {
    let token = slack.get("botToken").and_then(|node| reader.secret(node));
    let channel = reader.require(slack, "channel", "`slack` with `botToken`").and_then(|node| {
        let channel = reader.word(node, "the channel")?.trim();
        let is_name = channel.strip_prefix('#').is_some_and(|name| !name.is_empty() && !name.contains(' '));
        let is_identity = channel.len() > 8 && channel.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if !is_name && !is_identity {
            reader.error(&node.span, "this is not a channel", "expected #name or an identity such as C0123456789");
        }
        Some(channel.to_owned())
    });
    let api_url = match slack.get("apiUrl") {
        Some(node) => read_url(reader, node, &reader.text(node)?).map(methods),
        None => Url::parse("https://slack.com/api").ok(),
    };
    let tls = read_tls(reader, slack);
    let texts = templates.texts(reader, slack, "title", Form::Slack);
    let signing_secret = match slack.get("signingSecret") {
        Some(node) => Some(reader.secret(node)?),
        None => None,
    };
    Some(SlackBotSettings { token: token?, channel: channel?, signing_secret, api_url: api_url?, tls, texts })
}

/// Where the Web API's methods are at another address: below `/api` when it has no path of its own. Alertmanager's way to
/// write it, with a method at the end, is understood too.
fn methods(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/chat.postMessage").unwrap_or(path).to_owned();
    url.set_path(if path.is_empty() { "/api" } else { &path });
    url
}

/// The webhook's path at another address, which may have a path of its own.
fn through(api: &Url, webhook: &Url) -> Url {
    let mut url = api.clone();
    url.set_path(&format!("{}{}", api.path().trim_end_matches('/'), webhook.path()));
    url.set_query(webhook.query());
    url
}

fn read_url(reader: &Reader<'_>, node: &Node, text: &str) -> Option<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Some(url),
        _ => {
            reader.error(&node.span, "this is not a web address", "expected https://…");
            None
        }
    }
}

fn read_email(reader: &Reader<'_>, node: &Node, templates: &Templates) -> Option<EmailSettings> {
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

fn read_mailgun(reader: &Reader<'_>, node: &Node, templates: &Templates) -> Option<MailgunSettings> {
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

    #[test]
    fn another_address_keeps_the_webhooks_path() {
        let webhook = Url::parse("https://hooks.slack.com/services/T0/B0/x").unwrap();
        for (api, expected) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/services/T0/B0/x"),
            ("https://proxy.example.com/slack/", "https://proxy.example.com/slack/services/T0/B0/x"),
        ] {
            assert_eq!(through(&Url::parse(api).unwrap(), &webhook).as_str(), expected);
        }
    }
}
