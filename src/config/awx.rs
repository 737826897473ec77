//! `awx:` — the servers that run jobs. One server stands in the section itself, more of them by name under `servers`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Diagnostics, Place};
use super::names::Names;
use super::reader::{Mapping, Reader, Schema};
use super::yaml::Node;
use crate::action::awx::{ApiRoot, AwxAuth, AwxServer, AwxTimes, AwxTls};
use crate::secret::Secret;
use crate::tls::{ClientTls, inline_authorities};

/// The name of the server that stands in the section itself.
const DEFAULT: &str = "default";

const AWX: Schema = Schema {
    what: "`awx`",
    keys: &[
        "address",
        "proxy",
        "credentials",
        "credentialsRef",
        "token",
        "tls",
        "tlsRef",
        "insecure",
        "project",
        "jobStatusCheckInterval",
        "timeouts",
        "servers",
    ],
    unsupported: &[],
    strict: false,
};
const SERVER: Schema = Schema {
    what: "an AWX server",
    keys: &[
        "name",
        "address",
        "proxy",
        "credentials",
        "credentialsRef",
        "token",
        "tls",
        "tlsRef",
        "insecure",
        "project",
        "jobStatusCheckInterval",
        "timeouts",
    ],
    unsupported: &[],
    strict: false,
};
const SECRET_REF: Schema = Schema {
    what: "a reference to a Kubernetes secret",
    keys: &["namespace", "name"],
    unsupported: &[],
    strict: false,
};
const CREDENTIALS: Schema =
    Schema { what: "`credentials`", keys: &["username", "password"], unsupported: &[], strict: false };
const TLS: Schema = Schema {
    what: "`tls` of an AWX server",
    keys: &["caFile", "caCerts", "certFile", "keyFile"],
    unsupported: &[],
    strict: false,
};
const TIMEOUTS: Schema = Schema {
    what: "`timeouts` of an AWX server",
    keys: &["connect", "request", "launch", "lostAnswer", "pending"],
    unsupported: &[],
    strict: false,
};

const SHORT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_mins(10);
const LONG: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(24);

/// What the files say of one server so far; later ones win key by key.
#[derive(Default)]
struct Draft {
    place: Option<Place>,
    address: Option<ApiRoot>,
    proxy: Option<Secret>,
    username: Option<Secret>,
    password: Option<Secret>,
    token: Option<Secret>,
    /// The ancestor's Kubernetes secret with user and password, and where it stands.
    credentials_ref: Option<(String, Place)>,
    tls: AwxTls,
    project: Option<String>,
    times: AwxTimes,
    /// Something of it could not be read, which has been reported.
    is_broken: bool,
    /// It refers to secrets that nobody has read: rules may name it, and nobody can log in.
    is_out_of_sight: bool,
}

/// The section of all files together.
pub(super) struct AwxSection {
    names: Names,
    drafts: BTreeMap<String, Draft>,
    servers: Vec<AwxServer>,
    /// The project of each server's templates when a rule names none.
    projects: BTreeMap<String, String>,
    /// Servers nobody can log in to, and why.
    refused: BTreeMap<String, String>,
}

impl AwxSection {
    /// No server.
    pub fn new() -> Self {
        Self {
            names: Names::new("AWX server"),
            drafts: BTreeMap::new(),
            servers: Vec::new(),
            projects: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Adds what one file says.
    pub fn add(&mut self, reader: &Reader<'_>, node: &Node) {
        let Some(section) = reader.mapping(node, &AWX) else { return };
        if section.keys().any(|key| key != "servers") {
            if !self.drafts.contains_key(DEFAULT) {
                self.names.add(DEFAULT);
            }
            let draft = self.drafts.entry(DEFAULT.to_owned()).or_default();
            draft.read(reader, &section);
        }
        for server in section.get("servers").map_or(&[][..], |servers| reader.list(servers, "AWX servers")) {
            let Some(server) = reader.mapping(server, &SERVER) else { continue };
            let name = reader.require(&server, "name", SERVER.what).and_then(|node| self.names.claim(reader, node));
            let mut draft = Draft::default();
            draft.read(reader, &server);
            if let Some(name) = name {
                self.drafts.insert(name, draft);
            }
        }
    }

    /// Takes every name as known from now on, because a file that may give it cannot be read.
    pub fn mark_incomplete(&mut self) {
        self.names.mark_incomplete();
        if self.names.is_empty() {
            // The one that rules mean which name none.
            self.names.add(DEFAULT);
        }
    }

    /// Makes servers of what all files said.
    pub fn finish(&mut self, problems: &RefCell<Diagnostics>) {
        for (name, draft) in std::mem::take(&mut self.drafts) {
            self.projects.extend(draft.project.clone().map(|project| (name.clone(), project)));
            match draft.refusal(&name, problems) {
                Some(why) => drop(self.refused.insert(name, why)),
                None => self.servers.extend(draft.finish(name, problems)),
            }
        }
    }

    /// The servers.
    pub fn into_servers(self) -> Vec<AwxServer> {
        self.servers
    }

    /// The server a rule means: the one it names, or the only one.
    pub fn server_for(&self, reader: &Reader<'_>, rule: &Mapping<'_>) -> Option<String> {
        if let Some(node) = rule.get("server") {
            return self.names.known(reader, node);
        }
        if let Some(only) = self.names.only() {
            return Some(only.to_owned());
        }
        if self.names.is_empty() {
            let help = Some("add `awx: {address: …, token: …}` to the configuration".to_owned());
            reader.error_with_help(rule.span, "no AWX server is configured", "cannot be launched anywhere", help);
        } else {
            let message = "`server` may be left out only when there is exactly one AWX server";
            reader.error(rule.span, message, "`server` is missing");
        }
        None
    }

    /// Why nothing can be launched on a server, the one that is named or the only one.
    pub fn refusal(&self, named: Option<&str>) -> Option<&str> {
        self.refused.get(named.or(self.names.only())?).map(String::as_str)
    }

    /// The project of a server's templates when a rule names none.
    pub fn project(&self, server: &str) -> Option<&str> {
        self.projects.get(server).map(String::as_str)
    }
}

impl Draft {
    fn read(&mut self, reader: &Reader<'_>, section: &Mapping<'_>) {
        let before = reader.error_count();
        self.place = self.place.take().or_else(|| Some(reader.place(section.span)));
        if let Some(node) = section.get("address").filter(|node| !node.written.is_empty()) {
            self.address = read_address(reader, node).or(self.address.take());
        }
        if let Some(node) = section.get("proxy").filter(|node| !node.written.is_empty()) {
            self.proxy = read_proxy(reader, node).or(self.proxy.take());
        }
        if let Some(credentials) = section.get("credentials").and_then(|node| reader.mapping(node, &CREDENTIALS)) {
            self.username = credentials.get("username").and_then(|node| reader.filled(node)).or(self.username.take());
            self.password = credentials.get("password").and_then(|node| reader.secret(node)).or(self.password.take());
        }
        if let Some(node) = section.get("credentialsRef")
            && let Some(secret) = read_secret_ref(reader, node)
        {
            self.credentials_ref =
                Some((secret, reader.place(section.key_span("credentialsRef").unwrap_or(&node.span))));
        }
        if let Some(node) = section.get("tlsRef")
            && let Some(secret) = read_secret_ref(reader, node)
        {
            let message = format!("the authorities in the Kubernetes secret {secret} cannot be read by autoheal");
            let span = section.key_span("tlsRef").unwrap_or(&node.span);
            reader.warning(span, message, "passed over; give them by `tls.caFile` or `tls.caCerts`");
        }
        if let Some(node) = section.get("token") {
            self.token = read_token(reader, node).or(self.token.take());
        }
        if let Some(tls) = section.get("tls").and_then(|node| reader.mapping(node, &TLS)) {
            self.read_tls(reader, &tls);
        }
        if let Some(node) = section.get("insecure") {
            self.tls.insecure = reader.boolean(node).unwrap_or_default();
            if self.tls.insecure {
                reader.warning(&node.span, "any certificate of this server is believed", "use tls.caFile instead");
            }
        }
        if let Some(node) = section.get("project").filter(|node| !node.written.is_empty()) {
            self.project = reader.plain(node).map(str::to_owned);
        }
        self.read_times(reader, section);
        self.is_out_of_sight |=
            reader.secrets.is_none() && ["token", "credentials"].iter().any(|key| section.get(key).is_some());
        self.is_broken |= reader.error_count() > before;
    }

    fn read_tls(&mut self, reader: &Reader<'_>, tls: &Mapping<'_>) {
        if let (None, Some(span)) | (Some(span), None) = (tls.key_span("certFile"), tls.key_span("keyFile")) {
            reader.error(span, "`certFile` and `keyFile` belong together", "the other one is missing");
        }
        let file =
            |key| tls.get(key).filter(|node| !node.written.is_empty()).and_then(|node| reader.existing_file(node));
        self.tls.files = ClientTls { ca_file: file("caFile"), cert_file: file("certFile"), key_file: file("keyFile") };
        if let Some(node) = tls.get("caCerts").filter(|node| !node.written.is_empty())
            && let Some(text) = reader.text(node)
        {
            if inline_authorities(&text).is_err() {
                reader.error(&node.span, "`caCerts` holds no certificate", "expected certificates in PEM form");
            }
            self.tls.ca_certs = Some(text);
        }
    }

    fn read_times(&mut self, reader: &Reader<'_>, section: &Mapping<'_>) {
        if let Some(interval) = section.get("jobStatusCheckInterval").and_then(|node| reader.duration(node, SHORT)) {
            self.times.longest_poll = interval;
        }
        let Some(timeouts) = section.get("timeouts").and_then(|node| reader.mapping(node, &TIMEOUTS)) else { return };
        let times = &mut self.times;
        let fields = [
            ("connect", &mut times.connect, SHORT),
            ("request", &mut times.request, SHORT),
            ("launch", &mut times.launch, SHORT),
            ("lostAnswer", &mut times.lost_answer, SHORT),
            ("pending", &mut times.pending, LONG),
        ];
        for (key, time, range) in fields {
            if let Some(value) = timeouts.get(key).and_then(|node| reader.duration(node, range)) {
                *time = value;
            }
        }
    }

    /// The ancestor kept user and password in a Kubernetes secret; without any other the server cannot be used, and the rest of its
    /// files can.
    fn refusal(&self, name: &str, problems: &RefCell<Diagnostics>) -> Option<String> {
        let has_both = self.username.is_some() && self.password.is_some();
        let (secret, place) = self.credentials_ref.as_ref()?;
        if self.is_broken || self.is_out_of_sight || self.token.is_some() || has_both || self.address.is_none() {
            return None;
        }
        let message = format!(
            "the credentials of AWX server {name} are in the Kubernetes secret {secret}, which autoheal cannot read"
        );
        let help =
            "put `token`, or `credentials` with `username` and `password`, beside it, as ${NAME} of the secrets file";
        let warning = Diagnostic {
            place: Some(place.clone()),
            label: "its jobs are refused by name and a human is told".to_owned(),
            ..Diagnostic::warning(message.clone())
        };
        problems.borrow_mut().push(warning.help(help));
        Some(format!("{message}; put awx.token or awx.credentials into the configuration"))
    }

    fn finish(self, name: String, problems: &RefCell<Diagnostics>) -> Option<AwxServer> {
        let complain = |message: &str, label: &str| {
            let diagnostic =
                Diagnostic { place: self.place.clone(), label: label.to_owned(), ..Diagnostic::error(message) };
            problems.borrow_mut().push(diagnostic);
        };
        if self.is_broken || self.is_out_of_sight {
            return None;
        }
        let auth = match (self.token, self.username, self.password) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                complain("an AWX server has either `token` or `credentials`", "both are given");
                return None;
            }
            (Some(token), None, None) => AwxAuth::Bearer(token),
            (None, Some(username), Some(password)) => AwxAuth::Basic { username, password },
            (None, ..) => {
                complain(
                    "an AWX server needs `token`, or `credentials` with `username` and `password`",
                    "nobody to be there",
                );
                return None;
            }
        };
        let Some(root) = self.address else {
            complain("an AWX server needs `address`", "`address` is missing");
            return None;
        };
        Some(AwxServer { name, root, auth, tls: self.tls, proxy: self.proxy, project: self.project, times: self.times })
    }
}

/// The name of a Kubernetes secret.
fn read_secret_ref(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let secret = reader.mapping(node, &SECRET_REF)?;
    let part = |key| reader.require(&secret, key, SECRET_REF.what).and_then(|node| reader.word(node, key));
    let (namespace, name) = (part("namespace"), part("name"));
    Some(format!("{}/{}", namespace?, name?))
}

fn read_address(reader: &Reader<'_>, node: &Node) -> Option<ApiRoot> {
    match ApiRoot::parse(&reader.text(node)?) {
        Ok(root) => Some(root),
        Err(expected) => {
            reader.error(&node.span, "this is not the address of an AWX API", expected);
            None
        }
    }
}

/// A proxy's address; it may carry a password.
pub(super) fn read_proxy(reader: &Reader<'_>, node: &Node) -> Option<Secret> {
    let proxy = reader.filled(node)?;
    let is_address =
        reqwest::Url::parse(proxy.expose()).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_address {
        reader.error(&node.span, "this is not a proxy", "expected an address such as http://proxy.example.com:3128");
        return None;
    }
    Some(proxy)
}

fn read_token(reader: &Reader<'_>, node: &Node) -> Option<Secret> {
    let token = reader.secret(node)?;
    if !token.expose().trim().bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.error(&node.span, "this token has characters that no token has", "expected letters, digits and signs");
        return None;
    }
    Some(token)
}
