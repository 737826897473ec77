//! Receivers that are programs: a webhook, Alertmanager, Grafana.

use std::collections::BTreeMap;

use reqwest::Url;

use super::super::endpoint::read_tls;
use super::super::reader::{Mapping, Reader, Schema};
use super::super::yaml::Node;
use super::read_url;
use crate::notify::NotifierSettings;
use crate::notify::alertmanager::AlertmanagerSettings;
use crate::notify::grafana::GrafanaSettings;
use crate::notify::webhook::WebhookSettings;
use crate::secret::Secret;

const WEBHOOK: Schema = Schema { what: "`webhook`", keys: &["url", "secret", "tls"], unsupported: &[], strict: false };
const ALERTMANAGER: Schema = Schema {
    what: "`alertmanager`",
    keys: &["address", "username", "password", "labels", "tls"],
    unsupported: &[],
    strict: false,
};
const GRAFANA: Schema =
    Schema { what: "`grafana`", keys: &["address", "token", "tags", "tls"], unsupported: &[], strict: false };

/// Reads those of a receiver that are there.
pub(super) fn read(reader: &Reader<'_>, receiver: &Mapping<'_>) -> Vec<NotifierSettings> {
    let webhook = receiver.get("webhook").and_then(|node| read_webhook(reader, node));
    let alertmanager = receiver.get("alertmanager").and_then(|node| read_alertmanager(reader, node));
    let grafana = receiver.get("grafana").and_then(|node| read_grafana(reader, node));
    webhook
        .map(NotifierSettings::Webhook)
        .into_iter()
        .chain(alertmanager.map(NotifierSettings::Alertmanager))
        .chain(grafana.map(NotifierSettings::Grafana))
        .collect()
}

fn read_webhook(reader: &Reader<'_>, node: &Node) -> Option<WebhookSettings> {
    let webhook = reader.mapping(node, &WEBHOOK)?;
    let url = reader.require(&webhook, "url", WEBHOOK.what).and_then(|node| {
        let url = reader.filled(node)?;
        read_url(reader, node, url.expose())?;
        Some(url)
    });
    let secret = webhook.get("secret").map(|node| reader.secret(node));
    if webhook.key_span("secret").is_none() {
        reader.warning(webhook.span, "nobody can tell whether these documents are ours", "give it a `secret`");
    }
    let tls = read_tls(reader, &webhook);
    let secret = match secret {
        Some(secret) => Some(secret?),
        None => None,
    };
    Some(WebhookSettings { url: url?, secret, tls })
}

fn read_address(reader: &Reader<'_>, mapping: &Mapping<'_>, what: &str) -> Option<Url> {
    let node = reader.require(mapping, "address", what)?;
    read_url(reader, node, &reader.text(node)?)
}

fn read_alertmanager(reader: &Reader<'_>, node: &Node) -> Option<AlertmanagerSettings> {
    let alertmanager = reader.mapping(node, &ALERTMANAGER)?;
    let address = read_address(reader, &alertmanager, ALERTMANAGER.what);
    if let (None, Some(span)) | (Some(span), None) =
        (alertmanager.key_span("username"), alertmanager.key_span("password"))
    {
        reader.error(span, "`username` and `password` belong together", "the other one is missing");
    }
    let username = alertmanager.get("username").and_then(|node| reader.text(node));
    let password: Option<Secret> = alertmanager.get("password").and_then(|node| reader.secret(node));
    let labels = alertmanager.get("labels").map_or_else(BTreeMap::new, |node| read_labels(reader, node));
    let tls = read_tls(reader, &alertmanager);
    Some(AlertmanagerSettings { address: address?, credentials: username.zip(password), labels, tls })
}

fn read_labels(reader: &Reader<'_>, node: &Node) -> BTreeMap<String, String> {
    let Some(labels) = reader.any_mapping(node, "`labels`") else { return BTreeMap::new() };
    let read = |(name, span, node): (&str, &std::ops::Range<usize>, &Node)| {
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || name == "alertname" {
            reader.error(span, format!("`{name}` cannot be a label here"), "expected a label's name, not alertname");
            return None;
        }
        Some((name.to_owned(), reader.plain(node)?.to_owned()))
    };
    labels.iter().filter_map(read).collect()
}

fn read_grafana(reader: &Reader<'_>, node: &Node) -> Option<GrafanaSettings> {
    let grafana = reader.mapping(node, &GRAFANA)?;
    let address = read_address(reader, &grafana, GRAFANA.what);
    let token = reader.require(&grafana, "token", GRAFANA.what).and_then(|node| reader.secret(node));
    let tags = grafana.get("tags").map_or_else(Vec::new, |node| {
        let tags = reader.list_or_one(node, "tag").iter();
        tags.filter_map(|node| reader.word(node, "a tag").map(str::to_owned)).collect()
    });
    let tls = read_tls(reader, &grafana);
    Some(GrafanaSettings { address: address?, token: token?, tags, tls })
}
