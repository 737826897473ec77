//! `http:` — the servers that `httpRequest` and `httpJob` speak to.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::names::Names;
use super::reader::{Mapping, Reader, Schema};
use super::yaml::{Kind, Node};
use super::{awx, endpoint};
use crate::action::http::{HttpAuth, HttpServer, HttpTimes};
use crate::secret::Secret;
use crate::verify::Authorization;

const HTTP: Schema = Schema { what: "`http`", keys: &["servers"], unsupported: &[], strict: false };
const SERVER: Schema = Schema {
    what: "an HTTP server",
    keys: &["name", "address", "token", "credentials", "headers", "tls", "proxy", "timeouts", "pollInterval"],
    unsupported: &[],
    strict: false,
};
const TIMEOUTS: Schema = Schema {
    what: "`timeouts` of an HTTP server",
    keys: &["connect", "request", "lostAnswer", "queued"],
    unsupported: &[],
    strict: false,
};

const SHORT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(10);

const LONG: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(24);

/// The headers of a request that follow from the rest of it.
const OURS: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

/// The section of all files together.
pub(super) struct HttpSection {
    pub names: Names,
    pub servers: Vec<HttpServer>,
}

impl HttpSection {
    /// No server.
    pub fn new() -> Self {
        Self { names: Names::new("HTTP server"), servers: Vec::new() }
    }

    /// Adds what one file says.
    pub fn add(&mut self, reader: &Reader<'_>, node: &Node) {
        let servers = reader.mapping(node, &HTTP).and_then(|section| section.get("servers"));
        for node in servers.map_or(&[][..], |node| reader.list(node, "servers")) {
            let Some(section) = reader.mapping(node, &SERVER) else { continue };
            let name = reader.require(&section, "name", SERVER.what).and_then(|node| self.names.claim(reader, node));
            let server = read_server(reader, &section, name.unwrap_or_default());
            self.servers.extend(server);
        }
    }

    /// The server a rule means: the one it names, or the only one.
    pub fn server_for(&self, reader: &Reader<'_>, action: &Mapping<'_>) -> Option<String> {
        if let Some(node) = action.get("server") {
            return self.names.known(reader, node);
        }
        if let Some(only) = self.names.only() {
            return Some(only.to_owned());
        }
        if self.names.is_empty() {
            let help = Some("add `http: {servers: [{name: …, address: …}]}` to the configuration".to_owned());
            reader.error_with_help(action.span, "no HTTP server is configured", "nobody to ask", help);
        } else {
            let message = "`server` may be left out only when there is exactly one HTTP server";
            reader.error(action.span, message, "`server` is missing");
        }
        None
    }
}

fn read_server(reader: &Reader<'_>, section: &Mapping<'_>, name: String) -> Option<HttpServer> {
    let before = reader.error_count();
    let address = reader.require(section, "address", SERVER.what).and_then(|node| endpoint::read_address(reader, node));
    let auth = match endpoint::read_authorization(reader, section) {
        Authorization::None => HttpAuth::None,
        Authorization::Bearer(token) => HttpAuth::Bearer(token),
        Authorization::Basic { username, password } => HttpAuth::Basic { username, password },
    };
    let headers = section.get("headers").map_or_else(BTreeMap::new, |node| read_headers(reader, node));
    let tls = endpoint::read_tls(reader, section);
    let proxy = section.get("proxy").and_then(|node| awx::read_proxy(reader, node));
    let mut times = HttpTimes::default();
    if let Some(timeouts) = section.get("timeouts").and_then(|node| reader.mapping(node, &TIMEOUTS)) {
        let fields = [
            ("connect", &mut times.connect, SHORT),
            ("request", &mut times.request, SHORT),
            ("lostAnswer", &mut times.lost_answer, SHORT),
            ("queued", &mut times.queued, LONG),
        ];
        for (key, time, range) in fields {
            if let Some(value) = timeouts.get(key).and_then(|node| reader.duration(node, range)) {
                *time = value;
            }
        }
    }
    if let Some(interval) = section.get("pollInterval").and_then(|node| reader.duration(node, SHORT)) {
        times.longest_poll = interval;
    }
    let has_credentials = !matches!(auth, HttpAuth::None) || !headers.is_empty();
    if address.as_ref().is_some_and(|url| url.scheme() == "http")
        && has_credentials
        && let Some(node) = section.get("address")
    {
        reader.warning(&node.span, "everyone on the way can read the credentials", "use https://");
    }
    if let (false, Some(span)) = (matches!(auth, HttpAuth::None), find_authorization(section)) {
        reader.error(span, "`Authorization` follows from `token` or `credentials`", "remove one of them");
    }
    (reader.error_count() == before).then_some(HttpServer { name, address: address?, auth, headers, tls, proxy, times })
}

fn find_authorization<'n>(section: &Mapping<'n>) -> Option<&'n std::ops::Range<usize>> {
    let entries = section.get("headers")?.entries();
    entries.iter().find(|entry| entry.key.eq_ignore_ascii_case("authorization")).map(|entry| &entry.key_span)
}

/// Headers for every request. Their values may be secrets, so none is shown.
fn read_headers(reader: &Reader<'_>, node: &Node) -> BTreeMap<String, Secret> {
    let Some(headers) = reader.any_mapping(node, "`headers`") else { return BTreeMap::new() };
    let mut read = BTreeMap::new();
    for (name, span, value) in headers.iter() {
        if !check_name(reader, name, span) {
            continue;
        }
        let Some(text) = reader.filled(value) else { continue };
        if http::HeaderValue::from_str(text.expose()).is_err() {
            reader.error(&value.span, "this value has characters that no header can carry", "expected plain text");
        }
        read.insert(name.to_owned(), text);
    }
    read
}

/// Whether a header may be set by people; says why not.
pub(super) fn check_name(reader: &Reader<'_>, name: &str, span: &std::ops::Range<usize>) -> bool {
    if http::HeaderName::try_from(name).is_err() {
        reader.error(span, format!("`{name}` is no header's name"), "expected for example X-Service");
        return false;
    }
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        reader.error(span, format!("header `{name}` follows from the rest of the request"), "remove it");
        return false;
    }
    true
}

/// Headers that say nothing are slips of the pen.
pub(super) fn refuse_empty(reader: &Reader<'_>, node: &Node, what: &str) {
    for entry in node.entries().iter().filter(|entry| matches!(entry.value.kind, Kind::Nothing)) {
        reader.error(&entry.key_span, format!("{what} `{}` has no value", entry.key), "give it a value or remove it");
    }
}
