//! One server's client: its limits, its credentials, and its circuit. Redirects are never followed, because they would turn a
//! launch into something else and take the credentials elsewhere.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::Value;
use tokio::time::Instant;

use super::fault::{Fault, Kind};
use super::settings::{AwxAuth, AwxServer, AwxServerError, AwxTimes};
use crate::action::circuit::{Change, Circuit};
use crate::action::words;
use crate::clock::Clock;
use crate::domain::{Timestamp, elapsed};
use crate::secret::Secret;
use crate::telemetry::Metrics;
use crate::tls::inline_authorities;

/// Bytes of an answer that are read.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// Tries of a read that was answered 401 or 403: gateways are known to say so under load.
const FLUTTER: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// A client for one server.
pub(super) struct Client {
    server: AwxServer,
    place: String,
    http: reqwest::Client,
    circuit: Circuit,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

/// A successful answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The status, 2xx.
    pub status: u16,
    /// The body; null when it is not JSON.
    pub body: Value,
    /// The server's own time.
    pub date: Option<Timestamp>,
    /// How the request is called in the server's own log.
    pub request: Option<String>,
}

impl Client {
    /// Builds the client; connects nowhere.
    ///
    /// # Errors
    /// A TLS option or the proxy's address cannot be used.
    pub(super) fn new(
        server: &AwxServer,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AwxServerError> {
        let tls = |source| AwxServerError::Tls { server: server.name.clone(), source };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, authorization(&server.auth));
        let further = server.tls.ca_certs.as_deref().map(inline_authorities).transpose().map_err(tls)?;
        let builder = server.tls.files.http_client(further.unwrap_or_default(), server.root.is_plain());
        let mut builder =
            builder.map_err(tls)?.connect_timeout(server.times.connect).default_headers(headers).no_proxy();
        if server.tls.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if let Some(proxy) = &server.proxy {
            let proxy = reqwest::Proxy::all(proxy.expose());
            builder = builder.proxy(proxy.map_err(|_| AwxServerError::Proxy { server: server.name.clone() })?);
        }
        let http = builder.build().map_err(|error| tls(error.into()))?;
        let place = format!("{} ({})", server.name, server.root);
        Ok(Self { server: server.clone(), place, http, circuit: Circuit::default(), clock, metrics })
    }

    /// The server's settings.
    pub(super) const fn server(&self) -> &AwxServer {
        &self.server
    }

    /// How long things may take.
    pub(super) const fn times(&self) -> &AwxTimes {
        &self.server.times
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fault of this server.
    pub(super) fn fault(&self, doing: &str, kind: Kind) -> Fault {
        Fault { place: self.place.clone(), doing: doing.to_owned(), kind }
    }

    /// Reads, and reads again when credentials that may well be good were not believed.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        doing: &str,
        until: Timestamp,
    ) -> Result<Answer, Fault> {
        let mut url = self.server.root.join(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        for pause in FLUTTER {
            match self.send(self.http.get(url.clone()), self.times().request, doing, until).await {
                Err(fault) if matches!(fault.status(), Some(401 | 403)) => tokio::time::sleep(pause).await,
                answer => return answer,
            }
        }
        self.send(self.http.get(url), self.times().request, doing, until).await
    }

    /// The end of a long answer: its last bytes, if it is no longer than the second bound.
    pub(super) async fn last_bytes(
        &self,
        path: &str,
        query: &[(&str, &str)],
        (kept, longest): (usize, usize),
        doing: &str,
        until: Timestamp,
    ) -> Result<Vec<u8>, Fault> {
        let fault = |kind| self.fault(doing, kind);
        let _turn = self.circuit.enter(Instant::now).await.map_err(|said| fault(Kind::LeftAlone(said)))?;
        let limit = self.times().request.min(elapsed(self.now(), until));
        let mut url = self.server.root.join(path);
        url.query_pairs_mut().extend_pairs(query);
        let broken = |error| fault(self.masked(Kind::of(error, limit)));
        let mut response = self.http.get(url).timeout(limit).send().await.map_err(broken)?;
        let (mut end, mut length) = (Vec::new(), 0);
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            length += chunk.len();
            if length > longest {
                return Err(fault(Kind::Garbled(format!("it is longer than {longest} bytes"))));
            }
            end.extend_from_slice(&chunk);
            end.drain(..end.len().saturating_sub(kept));
        }
        Ok(end)
    }

    /// Launches something, once.
    pub(super) async fn launch(
        &self,
        path: &str,
        body: &Value,
        doing: &str,
        until: Timestamp,
    ) -> Result<Answer, Fault> {
        let request = self.http.post(self.server.root.join(path)).json(body);
        self.send(request, self.times().launch, doing, until).await
    }

    /// Asks for something that may be asked for again, without saying more.
    pub(super) async fn ask(&self, path: &str, doing: &str, until: Timestamp) -> Result<Answer, Fault> {
        let request = self.http.post(self.server.root.join(path)).json(&Value::Object(serde_json::Map::new()));
        self.send(request, self.times().request, doing, until).await
    }

    /// Adds something to a list, or changes fields of something. Servers take as long for it as for a launch.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        doing: &str,
        until: Timestamp,
    ) -> Result<Answer, Fault> {
        let request = self.http.request(method, self.server.root.join(path)).json(body);
        self.send(request, self.times().launch, doing, until).await
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        limit: Duration,
        doing: &str,
        until: Timestamp,
    ) -> Result<Answer, Fault> {
        let fault = |kind| self.fault(doing, kind);
        let turn = self.circuit.enter(Instant::now).await.map_err(|said| fault(Kind::LeftAlone(said)))?;
        let sending = async {
            let limit = limit.min(elapsed(self.now(), until));
            if limit.is_zero() {
                return Err(Kind::NoTime);
            }
            read(request.timeout(limit), limit, self.now()).await
        };
        let result = sending.await.map_err(|kind| Fault { doing: doing.to_owned(), ..fault(self.masked(kind)) });
        self.learn(result.as_ref().err());
        turn.spent();
        result
    }

    /// Tells the circuit, the log and the metrics how a request ended.
    fn learn(&self, fault: Option<&Fault>) {
        let now = self.now();
        let change = match fault {
            Some(fault @ Fault { kind: Kind::Status { status: 429 | 503, retry_after: Some(pause), .. }, .. }) => {
                self.circuit.wait(&fault.to_string(), *pause, Instant::now())
            }
            Some(fault) if fault.is_outage() => {
                let hung = matches!(fault.kind, Kind::Hung(_));
                self.circuit.failed(&fault.to_string(), hung, Instant::now())
            }
            Some(Fault { kind: Kind::NoTime | Kind::LeftAlone(_), .. }) => None,
            _ => self.circuit.answered(),
        };
        let name = &self.server.name;
        match (change, fault) {
            (Some(Change::Opened), Some(fault)) => {
                let error = fault.to_string();
                tracing::warn!(server = %name, %error, "AWX does not answer; its launches wait, other heals go on");
                self.metrics.set_service(&service(name), Some(&error), now);
            }
            (Some(Change::Closed), _) => {
                tracing::info!(server = %name, "AWX answers again");
                self.metrics.set_service(&service(name), None, now);
            }
            (Some(Change::Met), _) => self.metrics.set_service(&service(name), None, now),
            _ => {}
        }
    }

    /// Servers and proxies like to quote what they were sent.
    fn masked(&self, kind: Kind) -> Kind {
        let secrets: Vec<&Secret> = match &self.server.auth {
            AwxAuth::Basic { password, .. } => vec![password],
            AwxAuth::Bearer(token) => vec![token],
        };
        let mask = |said: String| {
            secrets
                .iter()
                .chain(&self.server.proxy.as_ref())
                .fold(said, |said, secret| said.replace(secret.expose(), "[secret]"))
        };
        match kind {
            Kind::NoConnection(said) => Kind::NoConnection(mask(said)),
            Kind::Broken(said) => Kind::Broken(mask(said)),
            Kind::Garbled(said) => Kind::Garbled(mask(said)),
            Kind::Status { status, said, retry_after, request } => {
                Kind::Status { status, said: mask(said), retry_after, request }
            }
            other => other,
        }
    }
}

/// A server's name in metrics and in the status.
pub(in crate::action) fn service(name: &str) -> String {
    format!("awx/{name}")
}

fn authorization(auth: &AwxAuth) -> HeaderValue {
    let text = match auth {
        AwxAuth::Basic { username, password } => {
            let pair = format!("{}:{}", username.expose(), password.expose());
            format!("Basic {}", BASE64_STANDARD.encode(pair))
        }
        AwxAuth::Bearer(token) => format!("Bearer {}", token.expose().trim()),
    };
    // Configuration has refused a token that no header can carry; an empty one is answered 401.
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Sends a request and reads its answer, which ends in a fault unless it is a success.
async fn read(request: reqwest::RequestBuilder, limit: Duration, now: Timestamp) -> Result<Answer, Kind> {
    let mut response = request.send().await.map_err(|error| Kind::of(error, limit))?;
    let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
    let (date, request) = (date(response.headers()).or(Some(now)), request_id(response.headers()));
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Kind::of(error, limit))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_BODY {
            return Err(Kind::Garbled(format!("it is longer than {MAX_BODY} bytes")));
        }
    }
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if !(200..300).contains(&status) {
        let said = words::said(&body, &String::from_utf8_lossy(&bytes));
        return Err(Kind::Status { status, said, retry_after, request });
    }
    if body.is_null() && !bytes.is_empty() {
        return Err(Kind::Garbled("it is not JSON".to_owned()));
    }
    Ok(Answer { status, body, date, request })
}

/// How the server calls a request in its own log.
fn request_id(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 64;
    let id = headers.get("x-api-request-id")?.to_str().ok()?;
    (!id.is_empty() && id.len() <= LONGEST && id.bytes().all(|byte| byte.is_ascii_graphic())).then(|| id.to_owned())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    const MAX: Duration = Duration::from_mins(10);
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX))
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}
