//! `--web-config-file`: TLS, headers and users of the web interface, in the format of Prometheus' exporter-toolkit.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::WebFile;
use super::reader::{Mapping, Reader, Schema};
use super::yaml::{Kind, Node};
use crate::secret::Secret;
use crate::tls::server::{Acceptor, AllowedSan, ClientAuth, ServerTls, Source, Version};

const FILE: Schema = Schema {
    what: "a web configuration file",
    keys: &["tls_server_config", "http_server_config", "basic_auth_users"],
    // It answers 429, which Alertmanager takes for a final no: alerts would be lost.
    unsupported: &["rate_limit"],
    strict: true,
};

const TLS: Schema = Schema {
    what: "`tls_server_config`",
    keys: &[
        "cert",
        "cert_file",
        "key",
        "key_file",
        "client_auth_type",
        "client_ca",
        "client_ca_file",
        "client_allowed_sans",
        "min_version",
        "max_version",
    ],
    unsupported: &["cipher_suites", "curve_preferences", "prefer_server_cipher_suites"],
    strict: true,
};

const HTTP: Schema =
    Schema { what: "`http_server_config`", keys: &["http2", "headers"], unsupported: &[], strict: true };

const HEADERS: Schema = Schema {
    what: "`headers`",
    keys: &[
        "Content-Security-Policy",
        "Strict-Transport-Security",
        "X-Content-Type-Options",
        "X-Frame-Options",
        "X-XSS-Protection",
    ],
    unsupported: &[],
    strict: true,
};

const CLIENT_AUTH: [(&str, ClientAuth); 5] = [
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
];

/// Reads the whole file.
pub(super) fn read(reader: &Reader<'_>, root: &Node) -> WebFile {
    let mut file = WebFile::default();
    if matches!(root.kind, Kind::Nothing) {
        reader.warning(&root.span, "this file says nothing", "neither TLS nor users");
        return file;
    }
    let Some(top) = reader.mapping(root, &FILE) else { return file };
    if let Some(node) = top.get("http_server_config") {
        read_http(reader, node, &mut file);
    }
    if let Some(node) = top.get("tls_server_config") {
        file.tls = read_tls(reader, node, file.http2);
    }
    if let Some(node) = top.get("basic_auth_users") {
        file.users = read_users(reader, node);
    }
    file
}

fn read_http(reader: &Reader<'_>, node: &Node, file: &mut WebFile) {
    let Some(http) = reader.mapping(node, &HTTP) else { return };
    if let Some(http2) = http.get("http2").and_then(|node| reader.boolean(node)) {
        file.http2 = http2;
    }
    if let Some(headers) = http.get("headers").and_then(|node| reader.mapping(node, &HEADERS)) {
        file.headers = read_headers(reader, &headers);
    }
}

fn read_headers(reader: &Reader<'_>, headers: &Mapping<'_>) -> HeaderMap {
    let read = |(name, _, node): (&str, _, &Node)| {
        let name: HeaderName = name.parse().ok()?;
        let text = match name.as_str() {
            "x-content-type-options" => reader.choice(node, &["nosniff"])?.to_owned(),
            "x-frame-options" => reader.choice(node, &["deny", "sameorigin"])?.to_owned(),
            _ => reader.text(node)?,
        };
        let value = HeaderValue::from_str(&text);
        if value.is_err() {
            reader.error(&node.span, "this cannot be the value of a header", "expected one line of plain characters");
        }
        Some((name, value.ok()?))
    };
    headers.iter().filter(|(name, _, _)| HEADERS.keys.contains(name)).filter_map(read).collect()
}

fn read_tls(reader: &Reader<'_>, node: &Node, http2: bool) -> Option<ServerTls> {
    let before = reader.error_count();
    let tls = reader.mapping(node, &TLS)?;
    let (cert, key) = (source(reader, &tls, "cert", "cert_file"), source(reader, &tls, "key", "key_file"));
    for (option, file) in [("cert", "cert_file"), ("key", "key_file")] {
        if tls.keys().all(|key| key != option && key != file) {
            reader.error(tls.span, format!("{} needs `{file}`", TLS.what), format!("`{file}` is missing"));
        }
    }
    let client_ca = source(reader, &tls, "client_ca", "client_ca_file");
    let client_auth = tls.get("client_auth_type").and_then(|node| {
        let word = reader.choice(node, &CLIENT_AUTH.map(|(word, _)| word))?;
        CLIENT_AUTH.iter().find(|(known, _)| *known == word).map(|(_, auth)| *auth)
    });
    let client_allowed_sans = tls.get("client_allowed_sans").map_or_else(Vec::new, |node| read_sans(reader, node));
    let version = |key: &str| {
        let word = tls.get(key).and_then(|node| reader.choice(node, &["TLS12", "TLS13"]))?;
        Some(if word == "TLS12" { Version::Tls12 } else { Version::Tls13 })
    };
    let (oldest, newest) = (version("min_version"), version("max_version"));
    let (oldest, newest) = (oldest.unwrap_or(Version::Tls12), newest.unwrap_or(Version::Tls13));
    if oldest > newest
        && let Some(node) = tls.get("max_version")
    {
        reader.error(&node.span, "`max_version` is older than `min_version`", "no version is left");
    }
    let client_auth = client_auth.unwrap_or_default();
    if reader.error_count() == before {
        check_clients(reader, &tls, client_auth);
    }
    if reader.error_count() > before {
        return None;
    }
    let settings =
        ServerTls { cert: cert?, key: key?, client_auth, client_ca, client_allowed_sans, oldest, newest, http2 };
    check_files(reader, &tls, &settings);
    Some(settings)
}

/// A PEM text in one of its two places.
fn source(reader: &Reader<'_>, tls: &Mapping<'_>, inline: &str, file: &str) -> Option<Source> {
    match (tls.get(inline), tls.get(file)) {
        (Some(node), Some(_)) => {
            let message = format!("`{inline}` and `{file}` exclude each other");
            reader.error(tls.key_span(inline).unwrap_or(&node.span), message, "remove one of the two");
            None
        }
        (Some(node), None) => reader.filled(node).map(Source::Inline),
        (None, Some(node)) => reader.existing_file(node).map(Source::File),
        (None, None) => None,
    }
}

fn read_sans(reader: &Reader<'_>, node: &Node) -> Vec<AllowedSan> {
    let names = reader.list(node, "names");
    if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
        reader.error(&node.span, "no name is allowed", "name at least one, or remove the key");
    }
    let read = |node: &Node| {
        let name = AllowedSan::parse(reader.word(node, "a name")?);
        if name.is_none() {
            let message = "e-mail addresses in `client_allowed_sans` are not supported by this version";
            reader.error(&node.span, message, "expected a host name, an IP address or a URI");
        }
        name
    };
    names.iter().filter_map(read).collect()
}

/// What is asked of clients and what it is checked against must fit together.
fn check_clients(reader: &Reader<'_>, tls: &Mapping<'_>, client_auth: ClientAuth) {
    let verifies = matches!(client_auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify);
    let authority = ["client_ca", "client_ca_file"].into_iter().find(|key| tls.get(key).is_some());
    match (authority, client_auth) {
        (Some(key), ClientAuth::None) => {
            let message = format!("`{key}` means nothing without a `client_auth_type` that asks for certificates");
            let help = "add client_auth_type: RequireAndVerifyClientCert".to_owned();
            reader.error_with_help(
                tls.key_span(key).unwrap_or(tls.span),
                message,
                "nobody would be checked",
                Some(help),
            );
        }
        // Go would trust every public authority then, that is, everybody who owns a domain.
        (None, _) if verifies => {
            let span = tls.key_span("client_auth_type").unwrap_or(tls.span);
            reader.error(
                span,
                "certificates are verified against `client_ca_file`, which is missing",
                "add `client_ca_file`",
            );
        }
        _ => {}
    }
    if let Some(span) = tls.key_span("client_allowed_sans")
        && !verifies
    {
        let message = "`client_allowed_sans` means nothing for certificates that nobody verifies";
        let help =
            "set client_auth_type to RequireAndVerifyClientCert: anybody can make a certificate with any name in it";
        reader.error_with_help(span, message, "nobody would be kept out", Some(help.to_owned()));
    }
}

/// Builds what the settings ask for once, so that a check finds what a start would.
fn check_files(reader: &Reader<'_>, tls: &Mapping<'_>, settings: &ServerTls) {
    if let Err(error) = Acceptor::load(settings.clone()) {
        let file = format!("{}_file", error.option);
        let node = tls.get(&file).or_else(|| tls.get(error.option));
        let span = node.map_or(tls.span, |node| &node.span);
        reader.error(span, format!("this cannot be used: {}", error.reason), error.reason);
    }
}

fn read_users(reader: &Reader<'_>, node: &Node) -> BTreeMap<String, Secret> {
    let Some(users) = reader.any_mapping(node, "`basic_auth_users`") else { return BTreeMap::new() };
    if users.keys().next().is_none() {
        reader.error(&node.span, "`basic_auth_users` names nobody", "name a user, or remove the key to ask nobody");
    }
    let mut read = BTreeMap::new();
    for name in users.keys() {
        let span = users.key_span(name).unwrap_or(users.span);
        if name.contains(':') {
            reader.error(span, "a user's name cannot contain a colon", "it ends at the colon when it is sent");
        }
        let Some(node) = users.get(name) else {
            reader.error(span, "this user has no password hash", "expected a bcrypt hash");
            continue;
        };
        let Some(hash) = reader.filled(node) else { continue };
        if is_hash(hash.expose()) {
            read.insert(name.to_owned(), hash);
        } else {
            let help = "make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'".to_owned();
            reader.error_with_help(&node.span, "this is not a bcrypt hash", "expected $2y$10$…", Some(help));
        }
    }
    read
}

fn is_hash(text: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version))
        && text.parse::<bcrypt::HashParts>().is_ok_and(|parts| (4..=31).contains(&parts.get_cost()))
}
