//! `slack`: an incoming webhook, or a bot in a channel.

use reqwest::Url;

use super::{Templates, read_url};
use crate::config::endpoint::read_tls;
use crate::config::reader::{Mapping, Reader, Schema};
use crate::config::yaml::Node;
use crate::domain::template::text::Form;
use crate::notify::NotifierSettings;
use crate::notify::slack::SlackSettings;
use crate::notify::slack_bot::SlackBotSettings;
use crate::secret::Secret;

const SLACK: Schema = Schema {
    what: "`slack`",
    keys: &["webhookUrl", "botToken", "channel", "signingSecret", "apiUrl", "tls", "title", "text"],
    unsupported: &[],
    strict: false,
};

pub(super) fn read(reader: &Reader<'_>, node: &Node, templates: &Templates) -> Option<NotifierSettings> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
