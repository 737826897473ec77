//! Connections: bind, accept, and an end that finishes what was begun. Warp's own server has no bound on headers,
//! connections or draining, so the loop is ours and warp only routes.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use warp::reply::Response;

use super::connection::Connection;
use super::layers::App;
use super::{WebState, routes};
use crate::tls::server::Acceptor;

pub use super::connection::WANTS_TLS;

/// The address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", hint(.source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process has this port, choose one with --listen-address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has this address",
        _ => "",
    }
}

/// What bounds connections and requests.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; further ones wait in the system's queue.
    pub connections: usize,
    /// Requests at once; further ones are answered 503.
    pub in_flight: usize,
    /// How long a new connection may stay silent.
    pub first_byte: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a head may take, which is also how long a connection may idle between requests.
    pub head: Duration,
    /// The same for a connection that finds fewer than a quarter of `connections` free: those that only idle must not keep
    /// others waiting for long.
    pub crowded_head: Duration,
    /// How long a request may take from its head to its answer.
    pub request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            in_flight: 512,
            first_byte: Duration::from_secs(3),
            handshake: Duration::from_secs(10),
            // Alertmanager and Prometheus keep idle connections for minutes; much less than this cuts them off.
            head: Duration::from_secs(75),
            crowded_head: Duration::from_secs(5),
            request: Duration::from_secs(30),
        }
    }
}

/// What is spoken on connections.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// TLS; without it, plain text.
    pub tls: Option<Arc<Acceptor>>,
    /// Whether HTTP/2 is spoken beside HTTP/1.1.
    pub http2: bool,
    /// Headers of every answer that does not have them already.
    pub headers: HeaderMap,
}

impl Default for Protocol {
    fn default() -> Self {
        Self { tls: None, http2: true, headers: HeaderMap::new() }
    }
}

/// A bound listener.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    protocol: Protocol,
}

impl Server {
    /// Listens on `address`; port 0 takes any free one.
    ///
    /// # Errors
    /// The system's refusal, with a hint.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, limits: Limits::default(), protocol: Protocol::default() })
    }

    /// Other limits than the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Another protocol than plain HTTP.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then takes no more connections and finishes requests under way within `drain`. Answers whether
    /// all of them were finished.
    pub async fn run(self, state: WebState, stop: CancellationToken, drain: Duration) -> bool {
        let limits = &self.limits;
        state.listens_on(self.address);
        let app = App::new(state.clone(), warp::service(routes(&state)), limits.in_flight, limits.request);
        let Protocol { tls, http2, headers } = self.protocol;
        let give_up = CancellationToken::new();
        let connection = Connection {
            app,
            http: speaker(http2, limits.head),
            crowded_http: speaker(http2, limits.crowded_head),
            tls,
            headers: Arc::new(headers),
            first_byte: limits.first_byte,
            handshake: limits.handshake,
            stop,
            give_up: give_up.clone(),
        };
        let tracker = TaskTracker::new();
        accept(self.listener, limits.connections, &connection, &tracker).await;
        // The listener is gone: whoever connects now is refused at once instead of waiting for nobody.
        tracker.close();
        if tokio::time::timeout(drain, tracker.wait()).await.is_ok() {
            return true;
        }
        tracing::warn!(connections = tracker.len(), "requests did not end within the drain deadline and were cut off");
        give_up.cancel();
        tracker.wait().await;
        false
    }
}

/// What speaks HTTP on a connection that may idle for `patience`.
fn speaker(http2: bool, patience: Duration) -> Arc<auto::Builder<TokioExecutor>> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    if !http2 {
        http = http.http1_only();
    }
    http.http1().timer(TokioTimer::new()).header_read_timeout(patience);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(patience);
    Arc::new(http)
}

/// Takes connections until told to stop.
async fn accept<Routes>(listener: TcpListener, limit: usize, connection: &Connection<Routes>, tracker: &TaskTracker)
where
    Routes: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    Routes::Future: Send + 'static,
{
    let free = Arc::new(Semaphore::new(limit));
    loop {
        let next = async {
            let permit = Arc::clone(&free).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = connection.stop.cancelled() => return,
            accepted = next => accepted,
        };
        match (accepted, permit) {
            (Ok((stream, peer)), Ok(permit)) => {
                let mut connection = connection.clone();
                if free.available_permits() < limit / 4 {
                    connection.http = Arc::clone(&connection.crowded_http);
                }
                tracker.spawn(connection.serve(stream, peer, permit));
            }
            (Err(error), _) if is_about_one_connection(&error) => {}
            (Err(error), _) => {
                // Out of descriptors or memory: connections that end free some; a tight loop would free none.
                tracing::error!(%error, "cannot accept connections; trying again in a second");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            // The semaphore is ours and never closed.
            (Ok(_), Err(_closed)) => return,
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
