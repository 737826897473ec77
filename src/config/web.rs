//! `web:` — where to listen and whom to let in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::reader::{Reader, Schema};
use super::yaml::Node;
use super::{DEFAULT_PORT, WebSettings};

const WEB: Schema =
    Schema { what: "`web`", keys: &["listenAddress", "bearerTokens", "maxBodyBytes"], unsupported: &[], strict: false };

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
    if let Some(node) = section.get("maxBodyBytes")
        && let Some(bytes) = reader.integer::<usize>(node, &(1..=LARGEST_BODY_BYTES))
    {
        web.max_body_bytes = bytes;
    }
}

/// What a listen address looks like.
pub(super) const LISTEN_ADDRESS: &str = "expected an address and a port such as 127.0.0.1:9099, [::1]:9099 or :9099";

/// Parses an address to listen on: `IP:port`, `localhost:port`, or `:port` for every IPv4 interface as in the Prometheus
/// family. Without a port it is the default one.
pub(super) fn listen_address(text: &str) -> Option<SocketAddr> {
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
