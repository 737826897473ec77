//! One server's client: its limits, its credentials, and its circuit. Whatever the server answers is an answer; what it means is
//! for whoever asked.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use serde_json::Value;
use tokio::time::Instant;

use super::fault::{Fault, Kind};
use super::settings::{HttpAuth, HttpServer, HttpServerError, HttpTimes};
use crate::action::circuit::{Change, Circuit};
use crate::action::words;
use crate::clock::Clock;
use crate::domain::action::Tree;
use crate::domain::action::http::{Body, Call, Facts, HttpMethod};
use crate::domain::{Timestamp, elapsed};
use crate::secret::Secret;
use crate::telemetry::Metrics;

/// Bytes of an answer that are read; the rest is not asked for.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Pauses before a request that was answered 401 or 403 is sent again: gateways are known to say so under load, and nothing
/// has been done then.
const FLUTTER: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];
/// The header by which a server can tell a repeated request from a second one.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// A client for one server.
pub(super) struct Client {
    name: String,
    base: String,
    /// Whether it is one of the configuration, which is shown by name.
    is_configured: bool,
    times: HttpTimes,
    headers: HeaderMap,
    secrets: Vec<Secret>,
    http: reqwest::Client,
    circuit: Circuit,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The status, whatever it is.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as far as it was read.
    pub text: String,
    /// The body; null when it is not JSON.
    pub json: Value,
    /// Whether all of the body was read.
    pub is_whole: bool,
    /// How long it took.
    pub took: Duration,
}

impl Answer {
    /// How long the server wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
    }

    /// Whether it is a success in general.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A request with everything in its place.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    method: HttpMethod,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Body<String>>,
    /// What is tried, for people.
    pub doing: String,
}

impl Sending {
    /// A look.
    pub(super) fn get(path: String, doing: &str) -> Self {
        Self { method: HttpMethod::Get, path, headers: Vec::new(), body: None, doing: doing.to_owned() }
    }

    /// What a rule describes, with what is known of the job filled in.
    pub(super) fn of(call: &Call<String>, facts: Facts<'_>, doing: &str) -> Self {
        let fill = |text: &str| facts.fill(text, str::to_owned);
        let body = call.body.as_ref().map(|body| match body {
            Body::Text(text) => Body::Text(fill(text)),
            Body::Json(tree) => {
                let mut value = facts.fill_tree(&tree.to_json());
                for name in &call.json_texts {
                    if let Some(field) = value.get_mut(name) {
                        *field = Value::String(field.to_string());
                    }
                }
                Body::Json(Tree::Plain(value))
            }
            Body::Form(fields) => Body::Form(fields.iter().map(|(name, value)| (name.clone(), fill(value))).collect()),
        });
        let mut headers: Vec<_> = call.headers.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
        if !call.method.is_idempotent() && !facts.key.is_empty() {
            let is_named = call.headers.keys().any(|name| name.eq_ignore_ascii_case(IDEMPOTENCY_KEY.as_str()));
            headers.extend((!is_named).then(|| (IDEMPOTENCY_KEY.to_string(), facts.key.to_owned())));
        }
        Self { method: call.method, path: call.location.with(facts), headers, body, doing: doing.to_owned() }
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Client {
    /// Builds the client; connects nowhere.
    ///
    /// # Errors
    /// A TLS option, a header or the proxy's address cannot be used.
    pub(super) fn new(
        server: &HttpServer,
        is_configured: bool,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, HttpServerError> {
        let name = || server.name.clone();
        let tls = |source| HttpServerError::Tls { server: name(), source };
        let builder = server.tls.http_client(Vec::new(), server.address.scheme() == "http").map_err(tls)?;
        let mut builder = builder.connect_timeout(server.times.connect).no_proxy();
        if let Some(proxy) = &server.proxy {
            let proxy = reqwest::Proxy::all(proxy.expose());
            builder = builder.proxy(proxy.map_err(|_| HttpServerError::Proxy { server: name() })?);
        }
        let http = builder.build().map_err(|error| tls(error.into()))?;
        Ok(Self {
            name: name(),
            base: server.address.as_str().trim_end_matches('/').to_owned(),
            is_configured,
            times: server.times,
            headers: headers(server)?,
            secrets: secrets(server),
            http,
            circuit: Circuit::default(),
            clock,
            metrics,
        })
    }

    /// How long things may take.
    pub(super) const fn times(&self) -> &HttpTimes {
        &self.times
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The server's name and address.
    pub(super) fn place(&self) -> String {
        if self.is_configured { format!("{} ({})", self.name, self.base) } else { self.base.clone() }
    }

    /// Where a path is, for people.
    pub(super) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Sends a request, and again only where the server did not let us in, which is said before anything is done.
    pub(super) async fn send(&self, sending: &Sending, until: Timestamp) -> Result<Answer, Fault> {
        for pause in FLUTTER {
            match self.send_once(sending, until).await {
                Ok(answer) if matches!(answer.status, 401 | 403) && elapsed(self.now(), until) > pause => {
                    tokio::time::sleep(pause).await;
                }
                answered => return answered,
            }
        }
        self.send_once(sending, until).await
    }

    async fn send_once(&self, sending: &Sending, until: Timestamp) -> Result<Answer, Fault> {
        let fault = |kind| Fault { place: self.place(), doing: sending.doing.clone(), kind };
        let turn = self.circuit.enter(Instant::now).await.map_err(|said| fault(Kind::LeftAlone(said)))?;
        let asked = async {
            let limit = self.times.request.min(elapsed(self.now(), until));
            if limit.is_zero() {
                return Err(Kind::NoTime);
            }
            let began = self.now();
            let request = self.request(sending)?.timeout(limit);
            let mut response = request.send().await.map_err(|error| Kind::of(error, limit))?;
            let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
            let (mut bytes, mut is_whole) = (Vec::new(), true);
            while let Some(chunk) = response.chunk().await.map_err(|error| Kind::of(error, limit))? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() > MAX_BODY {
                    is_whole = false;
                    bytes.truncate(MAX_BODY);
                    break;
                }
            }
            let text = self.masked(&String::from_utf8_lossy(&bytes));
            let json = serde_json::from_str(&text).unwrap_or(Value::Null);
            Ok(Answer { status, headers, text, json, is_whole, took: elapsed(began, self.now()) })
        };
        let result = asked.await.map_err(|kind| fault(self.masked_kind(kind)));
        self.learn(&result);
        turn.spent();
        result
    }

    fn request(&self, sending: &Sending) -> Result<reqwest::RequestBuilder, Kind> {
        let unsendable = |what: &str| Kind::Unsendable(what.to_owned());
        let url = Url::parse(&self.address(&sending.path)).map_err(|_| unsendable("its address is none"))?;
        let method = Method::from_bytes(sending.method.as_str().as_bytes());
        let mut request = self.http.request(method.map_err(|_| unsendable("its method is none"))?, url);
        let mut headers = self.headers.clone();
        for (name, value) in &sending.headers {
            let name = HeaderName::try_from(name).map_err(|_| unsendable("a header's name is none"))?;
            headers.insert(name, HeaderValue::try_from(value).map_err(|_| unsendable("a header's value is none"))?);
        }
        request = match &sending.body {
            None => request,
            Some(Body::Text(text)) => request.header("content-type", "text/plain; charset=utf-8").body(text.clone()),
            Some(Body::Json(tree)) => request.json(&tree.to_json()),
            Some(Body::Form(fields)) => {
                let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                request.header("content-type", "application/x-www-form-urlencoded").body(form)
            }
        };
        // A rule's own headers take the place of those that follow from the body.
        Ok(request.headers(headers))
    }

    /// Tells the circuit, the log and the metrics how a request ended.
    fn learn(&self, result: &Result<Answer, Fault>) {
        let now = self.now();
        let (change, error) = match result {
            Err(fault) if fault.is_outage() => {
                let (error, hung) = (fault.to_string(), matches!(fault.kind, Kind::Hung(_)));
                (self.circuit.failed(&error, hung, Instant::now()), error)
            }
            // One that is never sent says nothing of the server.
            Err(_) => return,
            Ok(_) => (self.circuit.answered(), String::new()),
        };
        if !self.is_configured {
            return;
        }
        let server = &self.name;
        match change {
            Some(Change::Opened) => {
                tracing::warn!(%server, %error, "this HTTP server does not answer; its actions wait, other heals go on");
                self.metrics.set_service(&service(server), Some(&error), now);
            }
            Some(Change::Closed) => {
                tracing::info!(%server, "this HTTP server answers again");
                self.metrics.set_service(&service(server), None, now);
            }
            Some(Change::Met) => self.metrics.set_service(&service(server), None, now),
            None => {}
        }
    }

    /// Servers and proxies like to quote what they were sent.
    fn masked(&self, said: &str) -> String {
        self.secrets.iter().fold(said.to_owned(), |said, secret| said.replace(secret.expose(), "[secret]"))
    }

    fn masked_kind(&self, kind: Kind) -> Kind {
        match kind {
            Kind::NoConnection(said) => Kind::NoConnection(self.masked(&said)),
            Kind::Broken(said) => Kind::Broken(self.masked(&said)),
            Kind::Unsendable(said) => Kind::Unsendable(self.masked(&said)),
            other => other,
        }
    }
}

/// A server's name in metrics and in the status.
pub(in crate::action) fn service(name: &str) -> String {
    format!("http/{name}")
}

fn headers(server: &HttpServer) -> Result<HeaderMap, HttpServerError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
    let bad = |name: &str| HttpServerError::Header { server: server.name.clone(), name: name.to_owned() };
    let authorization = match &server.auth {
        HttpAuth::None => None,
        HttpAuth::Basic { username, password } => {
            let pair = format!("{}:{}", username.expose(), password.expose());
            Some(Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair))))
        }
        HttpAuth::Bearer(token) => Some(Secret::new(format!("Bearer {}", token.expose().trim()))),
    };
    let authorization = authorization.iter().map(|value| (AUTHORIZATION.as_str(), value));
    for (name, value) in server.headers.iter().map(|(name, value)| (name.as_str(), value)).chain(authorization) {
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| bad(name))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name).map_err(|_| bad(name))?, value);
    }
    Ok(headers)
}

/// What must not come back in a text: short values would take whole words out of every text, and are no secrets.
fn secrets(server: &HttpServer) -> Vec<Secret> {
    const SHORTEST: usize = 6;
    let auth = match &server.auth {
        HttpAuth::None => None,
        HttpAuth::Basic { password, .. } => Some(password),
        HttpAuth::Bearer(token) => Some(token),
    };
    let all = auth.into_iter().chain(server.headers.values()).chain(&server.proxy);
    all.filter(|secret| secret.expose().len() >= SHORTEST).cloned().collect()
}

/// What an answer says of itself, in a few words.
pub(super) fn said(answer: &Answer) -> String {
    let said = words::said(&answer.json, &answer.text);
    if said.is_empty() { format!("HTTP {}", answer.status) } else { format!("HTTP {}: {said}", answer.status) }
}
