//! A small AWX. It answers as the recordings of a real AWX 24.6.1 do (`tests/data/awx`; a test replays them against it):
//! jobs queue, wait, run and end by time; a template drops what it does not prompt for and says so; lists are cut to what
//! a user may see; answers get lost, output comes late, a cancel takes a while, the server hangs, fails and goes away.

mod api;
mod build;
mod launch;
mod lists;
mod seed;
mod views;
mod world;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::world::Asks;
pub use self::world::{Fault, Job, Pace, Play, Thing, World};

/// The token of `alertbot`, who may run the templates of organization Ops.
pub const TOKEN: &str = "alertbot-t0ken";
/// Its password.
pub const PASSWORD: &str = "alertbot-passw0rd";
/// A token of the same user that may only read.
pub const READ_TOKEN: &str = "alertbot-read-t0ken";
/// The token of somebody who may see templates but not run them.
pub const VIEWER_TOKEN: &str = "viewer-t0ken";
/// The token of a user without any role.
pub const NOBODY_TOKEN: &str = "nobody-t0ken";
/// The administrator's password.
pub const ADMIN_PASSWORD: &str = "admin-passw0rd";

/// A running server; it ends with this value.
pub struct AwxServer {
    world: Arc<Mutex<World>>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    task: JoinSet<()>,
}

impl AwxServer {
    /// Starts it with the world of the recordings.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts it behind TLS.
    pub async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let world = Arc::new(Mutex::new(seed::world()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { world, address, tls, task: JoinSet::new() };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let (world, tls) = (Arc::clone(&self.world), self.tls.clone());
        self.task.spawn(async move {
            // Connections end with the server.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (world, tls) = (Arc::clone(&world), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => talk(world, stream).await,
                        // A client that trusts nobody leaves during the handshake.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(world, stream).await;
                            }
                        }
                    }
                });
            }
        });
    }

    /// Goes away: nobody listens any more, and open connections end.
    pub async fn stop(&mut self) {
        self.task.shutdown().await;
    }

    /// Comes back at the same address with the same memory.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    /// The address as it stands in `awx.address`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/api", self.address)
    }

    /// The address below the prefix that the platform's gateway uses.
    pub fn prefixed_url(&self) -> String {
        format!("http://{}/api/controller", self.address)
    }

    /// What the server knows, to look at and to change.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap();
        world.tick();
        world
    }
}

async fn talk(world: Arc<Mutex<World>>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(move |request| answer(Arc::clone(&world), request));
    let connection = hyper::server::conn::http1::Builder::new();
    // A lost answer ends the connection; that is what it is for.
    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
}

/// One request; an error drops the connection without an answer.
async fn answer(world: Arc<Mutex<World>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path().trim_end_matches('/');
    let asks = match head.method.as_str() {
        "POST" if path.ends_with("/launch") => Asks::Launch,
        "POST" if path.ends_with("/cancel") => Asks::Cancel,
        _ => Asks::Other,
    };
    let (answer, fault, pause) = {
        let mut world = world.lock().unwrap();
        world.tick();
        let fault = world.faults.next(asks);
        let answer = match fault {
            Fault::Hang | Fault::Refuse(_) | Fault::SlowDown(_) => {
                world.note(&head.method, &head.uri);
                None
            }
            Fault::None | Fault::LoseAnswer | Fault::LateHang => Some(api::answer(&mut world, &head, &body)),
        };
        (answer, fault, world.pace.answer)
    };
    tokio::time::sleep(pause).await;
    match (fault, answer) {
        (Fault::None, Some(answer)) => Ok(answer.into_response()),
        (Fault::LoseAnswer, _) => Err(Lost),
        (Fault::SlowDown(seconds), _) => Ok(api::Answer::failure(429).with_retry_after(seconds).into_response()),
        (Fault::Refuse(status), _) => Ok(api::Answer::failure(status).into_response()),
        _ => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    }
}

/// An answer that never arrives.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("this answer is lost")
    }
}

impl std::error::Error for Lost {}
