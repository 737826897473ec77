//! `web:` — where to listen and whom to let in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::names::Names;
use super::reader::{Reader, Schema};
use super::yaml::Node;
use super::{DEFAULT_PORT, WebSettings};
use crate::secret::Secret;
use crate::token::{Scope, Token};

const WEB: Schema = Schema {
    what: "`web`",
    keys: &["listenAddress", "bearerTokens", "tokens", "maxBodyBytes", "externalUrl", "linkKey"],
    unsupported: &[],
    strict: false,
};

const TOKEN: Schema = Schema { what: "a token", keys: &["name", "token", "scopes"], unsupported: &[], strict: true };

/// Characters of a key that nobody can try through.
const SHORTEST_KEY: usize = 16;

/// Names that stories use for others than people and their tools.
const RESERVED: [&str; 3] = ["autoheal", "alertmanager", "local"];

/// A body of this size must fit into memory several times over.
const LARGEST_BODY_BYTES: i64 = 1024 * 1024 * 1024;

/// Reads the section into `web`, whose earlier values stay where this file is silent.
pub(super) fn read(reader: &Reader<'_>, node: &Node, web: &mut WebSettings) {
    let Some(section) = reader.mapping(node, &WEB) else { return };
    if let Some(node) = section.get("listenAddress")
        && let Some(text) = reader.plain(node)
    {
        match listen_address(text) {
            Some(address) => web.listen_address = address,
            None => reader.error(&node.span, "nobody can listen there", LISTEN_ADDRESS),
        }
    }
    if let Some(node) = section.get("bearerTokens") {
        web.bearer_tokens = reader.list(node, "tokens").iter().filter_map(|token| reader.secret(token)).collect();
    }
    if let Some(node) = section.get("tokens") {
        let mut names = Names::new("token");
        let tokens = reader.list(node, "tokens").iter();
        web.tokens = Vec::new();
        for node in tokens {
            let Some(token) = read_token(reader, node, &mut names) else { continue };
            if let Some(twin) = web.all_tokens().iter().find(|known| known.value == token.value) {
                let message = format!("token `{}` has the same value as `{}`", token.name, twin.name);
                reader.error(&node.span, message, "callers could not be told apart");
            }
            web.tokens.push(token);
        }
    }
    if let Some(node) = section.get("externalUrl") {
        web.external_url = read_external_url(reader, node).or(web.external_url.take());
    }
    if let Some(node) = section.get("linkKey") {
        web.link_key = read_link_key(reader, node).or(web.link_key.take());
    }
    if let Some(node) = section.get("maxBodyBytes")
        && let Some(bytes) = reader.integer::<usize>(node, &(1..=LARGEST_BODY_BYTES))
    {
        web.max_body_bytes = bytes;
    }
}

/// An address such as `https://ops.example.com/autoheal`.
fn read_external_url(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.plain(node)?;
    let parsed: Option<http::Uri> = text.parse().ok();
    let is_web = |uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none();
    if parsed.as_ref().is_some_and(is_web) && !text.contains(['@', '#']) {
        return Some(text.to_owned());
    }
    reader.error(&node.span, "nobody can open this", "expected an address such as https://autoheal.example.com");
    None
}

fn read_token(reader: &Reader<'_>, node: &Node, names: &mut Names) -> Option<Token> {
    let fields = reader.mapping(node, &TOKEN)?;
    let [name, value, scopes] = ["name", "token", "scopes"].map(|key| reader.require(&fields, key, TOKEN.what));
    let name = name.and_then(|node| {
        let name = names.claim(reader, node)?;
        if RESERVED.contains(&name.as_str()) {
            reader.error(
                &node.span,
                format!("{name:?} is who acts without a token"),
                "stories could not tell the two apart",
            );
        }
        Some(name)
    });
    let value = value.and_then(|node| reader.secret(node));
    let words = Scope::ALL.map(|(word, _)| word);
    let scopes = scopes.map(|node| {
        let listed = reader.list(node, "scopes");
        if listed.is_empty() {
            reader.error(&node.span, "this token is good for nothing", format!("expected {}", words.join(", ")));
        }
        let scope = |node| {
            let word = reader.choice(node, &words)?;
            Scope::ALL.into_iter().find(|(known, _)| *known == word).map(|(_, scope)| scope)
        };
        listed.iter().filter_map(scope).collect()
    });
    Some(Token { name: name?.into(), value: value?, scopes: scopes? })
}

fn read_link_key(reader: &Reader<'_>, node: &Node) -> Option<Secret> {
    let key = reader.secret(node)?;
    if key.expose().len() < SHORTEST_KEY {
        let label = format!("expected at least {SHORTEST_KEY} characters");
        reader.error_with_help(
            &node.span,
            "this key can be guessed",
            label,
            Some("make one with: openssl rand -hex 32".to_owned()),
        );
        return None;
    }
    Some(key)
}

/// What a listen address looks like.
pub const LISTEN_ADDRESS: &str = "expected an address and a port such as 127.0.0.1:9099, [::1]:9099 or :9099";

/// Parses an address to listen on: `IP:port`, `localhost:port`, or `:port` for every IPv4 interface as in the Prometheus
/// family. Without a port it is the default one.
#[must_use]
pub fn listen_address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, DEFAULT_PORT));
    }
    match text.split_once(':') {
        Some(("", port)) => Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port.parse().ok()?)),
        Some(("localhost", port)) => Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.parse().ok()?)),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_is_read_as_prometheus_reads_it() {
        for (text, expected) in [
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            (":9100", Some("0.0.0.0:9100")),
            ("localhost:0", Some("127.0.0.1:0")),
            ("[::]:9099", Some("[::]:9099")),
            ("10.0.0.1", Some("10.0.0.1:9099")),
            ("9099", None),
            ("host.example.com:80", None),
            (":http", None),
            ("", None),
        ] {
            assert_eq!(listen_address(text).map(|address| address.to_string()).as_deref(), expected, "{text:?}");
        }
    }
}
