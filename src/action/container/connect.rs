//! Clients for engines, built without connecting: an engine may be down when we start and must not keep us from it.
//!
//! The connections are our own rather than bollard's ready-made ones for four reasons: theirs want the socket file to
//! exist already, trust the system's authorities beside the configured one, hide the `Date` header we compare clocks
//! with, and would let a client that is only meant to look send anything.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bollard::errors::Error as BollardError;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http::{Method, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::UnixStream;

use super::host::{Address, DockerHost, DockerHostError, DockerTls};
use crate::clock::Clock;
use crate::domain::Timestamp;

/// What a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Only requests that change nothing.
    Look,
    /// Any request.
    Act,
}

/// How far the engine's clock is ahead of ours, learnt from the `Date` header of its answers.
///
/// The header counts whole seconds, so a small difference cannot be told from none and counts as none.
#[derive(Debug, Default)]
pub(super) struct Skew(AtomicI64);

impl Skew {
    /// Differences below this are within what the header can show.
    const NOTICEABLE_MS: i64 = 2_000;

    fn note(&self, date: &str, now: Timestamp) {
        if let Ok(engine) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date) {
            // The header is cut to the second: half a second later is the best guess.
            let ahead = engine.as_millisecond() + 500 - now.as_millisecond();
            self.0.store(if ahead.abs() < Self::NOTICEABLE_MS { 0 } else { ahead }, Ordering::Relaxed);
        }
    }

    /// An instant of the engine's clock on ours.
    pub(super) fn to_ours(&self, engine: Timestamp) -> Timestamp {
        shift(engine, -self.0.load(Ordering::Relaxed))
    }

    /// An instant of our clock on the engine's.
    pub(super) fn to_engines(&self, ours: Timestamp) -> Timestamp {
        shift(ours, self.0.load(Ordering::Relaxed))
    }
}

fn shift(at: Timestamp, ms: i64) -> Timestamp {
    at.checked_add(jiff::SignedDuration::from_millis(ms)).unwrap_or(at)
}

/// Builds clients for one host; the TLS files are read here, so that a bad one is known at load.
pub(super) struct Connector {
    name: String,
    address: Address,
    tls: Option<ClientConfig>,
    skew: Arc<Skew>,
    clock: Arc<dyn Clock>,
}

impl Connector {
    /// Longer than any call may last; the real limit depends on the call and its deadline and is set around it.
    const TIMEOUT_SECONDS: u64 = 24 * 60 * 60;

    pub(super) fn new(host: &DockerHost, clock: Arc<dyn Clock>) -> Result<Self, DockerHostError> {
        let address = host.checked_address()?;
        let tls = match &address {
            Address::Tls(_, files) => Some(client_config(&host.name, files)?),
            _ => None,
        };
        Ok(Self { name: host.name.clone(), address, tls, skew: Arc::default(), clock })
    }

    pub(super) fn skew(&self) -> Arc<Skew> {
        Arc::clone(&self.skew)
    }

    pub(super) fn client(&self, reach: Reach) -> Result<Docker, DockerHostError> {
        let built = match (&self.address, &self.tls) {
            (Address::Unix(path), _) => {
                let path: Arc<Path> = path.as_path().into();
                let connector = tower::service_fn(move |_: Uri| {
                    let path = Arc::clone(&path);
                    Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
                });
                self.over(connector, "http://localhost", reach)
            }
            (Address::Plain(authority), _) | (Address::Tls(authority, _), None) => {
                self.over(tcp(), &format!("http://{authority}"), reach)
            }
            (Address::Tls(authority, _), Some(config)) => {
                let connector = hyper_rustls::HttpsConnector::from((tcp(), config.clone()));
                self.over(connector, &format!("https://{authority}"), reach)
            }
        };
        built.map_err(|error| DockerHostError::Client { name: self.name.clone(), problem: error.to_string() })
    }

    fn over<C>(&self, connector: C, base: &str, reach: Reach) -> Result<Docker, BollardError>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        // No connection is kept: an idle one may be dead by the next alert, and a local connect takes microseconds.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        let (skew, clock) = (Arc::clone(&self.skew), Arc::clone(&self.clock));
        let transport = move |request: BollardRequest| {
            let allowed = reach == Reach::Act || request.method() == Method::GET;
            let answer = allowed.then(|| client.request(request));
            let (skew, clock) = (Arc::clone(&skew), Arc::clone(&clock));
            async move {
                let Some(answer) = answer else {
                    return Err(BollardError::from(io::Error::other("this client only looks")));
                };
                let response = answer.await?;
                if let Some(date) = response.headers().get(header::DATE).and_then(|date| date.to_str().ok()) {
                    skew.note(date, clock.now());
                }
                Ok(response)
            }
        };
        Docker::connect_with_custom_transport(transport, Some(base), Self::TIMEOUT_SECONDS, API_DEFAULT_VERSION)
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_secs(5)));
    tcp
}

/// TLS that trusts the configured authority and nobody else, as Docker's own client does.
fn client_config(name: &str, files: &DockerTls) -> Result<ClientConfig, DockerHostError> {
    let wrong = |file: &Path, problem: String| DockerHostError::Tls {
        name: name.to_owned(),
        file: file.display().to_string(),
        problem,
    };
    let certificates = |file: &Path| -> Result<Vec<CertificateDer<'static>>, DockerHostError> {
        let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match read {
            Ok(found) if found.is_empty() => Err(wrong(file, "holds no certificate in PEM form".into())),
            Ok(found) => Ok(found),
            Err(error) => Err(wrong(file, pem_problem(&error))),
        }
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.ca_file)? {
        roots.add(authority).map_err(|error| wrong(&files.ca_file, error.to_string()))?;
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key_file).map_err(|error| wrong(&files.key_file, pem_problem(&error)))?;
    // The provider is named rather than taken from the process, so that no caller can forget to install it.
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&files.ca_file, error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&files.cert_file)?, key)
        .map_err(|error| wrong(&files.cert_file, error.to_string()))
}

/// Says what is wrong with a PEM file without repeating any of it: it may be a key.
fn pem_problem(error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) => format!("cannot be read: {error}"),
        Error::NoItemsFound => "holds nothing of the expected kind in PEM form".to_owned(),
        _ => "is not valid PEM".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_looks_sends_nothing_else() {
        let host = DockerHost { name: "h".into(), address: "unix:///nowhere/engine.sock".into(), tls: None };
        let connector = Connector::new(&host, Arc::new(crate::clock::SystemClock)).unwrap();
        let restart = async |reach| {
            let docker = connector.client(reach).unwrap();
            docker.restart_container("ui", None).await.unwrap_err().to_string()
        };
        assert_eq!(restart(Reach::Look).await, "this client only looks");
        assert!(restart(Reach::Act).await.contains("client error (Connect)"), "the other one tries");
    }

    #[test]
    fn a_noticeable_difference_of_clocks_is_taken_out() {
        let skew = Skew::default();
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        skew.note("Sun, 22 Nov 2026 10:00:01 GMT", now);
        assert_eq!(skew.to_ours(now), now, "one second is within what the header can show");
        skew.note("Sun, 22 Nov 2026 11:00:00 GMT", now);
        assert_eq!(skew.to_ours("2026-11-22T11:00:00.5Z".parse().unwrap()), now);
        assert_eq!(skew.to_engines(now), "2026-11-22T11:00:00.5Z".parse().unwrap());
        skew.note("not a date", now);
        assert_eq!(skew.to_engines(now), "2026-11-22T11:00:00.5Z".parse().unwrap());
    }
}
