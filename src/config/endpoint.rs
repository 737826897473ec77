//! Servers that are asked by HTTP: an address, who we are, whom we trust.

use reqwest::Url;

use super::reader::{Mapping, Reader, Schema};
use super::yaml::Node;
use crate::tls::ClientTls;
use crate::verify::{Authorization, Endpoint};

const KEYS: &[&str] = &["address", "token", "credentials", "tls"];
const PROMETHEUS: Schema = Schema { what: "`prometheus`", keys: KEYS, unsupported: &[], strict: false };
const ALERTMANAGER: Schema = Schema { what: "`alertmanager`", keys: KEYS, unsupported: &[], strict: false };
const CREDENTIALS: Schema =
    Schema { what: "`credentials`", keys: &["username", "password"], unsupported: &[], strict: false };
const TLS: Schema = Schema { what: "`tls`", keys: &["caFile", "certFile", "keyFile"], unsupported: &[], strict: false };

/// `prometheus:`.
pub(super) fn read_prometheus(reader: &Reader<'_>, node: &Node) -> Option<Endpoint> {
    read(reader, node, &PROMETHEUS)
}

/// `alertmanager:`.
pub(super) fn read_alertmanager(reader: &Reader<'_>, node: &Node) -> Option<Endpoint> {
    read(reader, node, &ALERTMANAGER)
}

fn read(reader: &Reader<'_>, node: &Node, schema: &Schema) -> Option<Endpoint> {
    let section = reader.mapping(node, schema)?;
    let address = reader.require(&section, "address", schema.what).and_then(|node| read_address(reader, node));
    let authorization = read_authorization(reader, &section);
    let tls = read_tls(reader, &section);
    if address.as_ref().is_some_and(|url| url.scheme() == "http")
        && !matches!(authorization, Authorization::None)
        && let Some(node) = section.get("address")
    {
        reader.warning(&node.span, "everyone on the way can read the credentials", "use https://");
    }
    Some(Endpoint { address: address?, authorization, tls })
}

/// A server's address, with or without a path.
pub(super) fn read_address(reader: &Reader<'_>, node: &Node) -> Option<Url> {
    match Url::parse(&reader.text(node)?) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            reader.error(&node.span, "an address has no user and no password", "use `credentials`");
            None
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none() => {
            Some(url)
        }
        _ => {
            reader.error(&node.span, "this is not a server's address", "expected http://… or https://…");
            None
        }
    }
}

/// `token` or `credentials`.
pub(super) fn read_authorization(reader: &Reader<'_>, section: &Mapping<'_>) -> Authorization {
    let token = section.get("token").and_then(|node| reader.secret(node)).map(Authorization::Bearer);
    let basic = section.get("credentials").and_then(|node| {
        let credentials = reader.mapping(node, &CREDENTIALS)?;
        let username = reader.require(&credentials, "username", CREDENTIALS.what).and_then(|node| reader.filled(node));
        let password = reader.require(&credentials, "password", CREDENTIALS.what).and_then(|node| reader.secret(node));
        Some(Authorization::Basic { username: username?, password: password? })
    });
    if let (Some(_), Some(span)) = (section.key_span("token"), section.key_span("credentials")) {
        reader.error(span, "`token` and `credentials` exclude each other", "remove one of them");
    }
    token.or(basic).unwrap_or_default()
}

/// `tls:` as clients take it: the system's authorities and no certificate without one.
pub(super) fn read_tls(reader: &Reader<'_>, parent: &Mapping<'_>) -> ClientTls {
    let tls = parent.get("tls").and_then(|node| reader.mapping(node, &TLS));
    tls.map_or_else(ClientTls::default, |tls| read_tls_files(reader, &tls))
}

/// The files in a `tls:` that may have more to say.
pub(super) fn read_tls_files(reader: &Reader<'_>, tls: &Mapping<'_>) -> ClientTls {
    if let (None, Some(span)) | (Some(span), None) = (tls.key_span("certFile"), tls.key_span("keyFile")) {
        reader.error(span, "`certFile` and `keyFile` belong together", "the other one is missing");
    }
    let file = |key| tls.get(key).and_then(|node| reader.existing_file(node));
    ClientTls { ca_file: file("caFile"), cert_file: file("certFile"), key_file: file("keyFile") }
}
