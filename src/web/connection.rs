//! One connection: TLS where it is asked for, then HTTP. Generic over the stream, so that plain connections pay nothing
//! for TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::Service;
use warp::reply::Response;

use super::layers::App;
use super::linger::Linger;
use crate::tls::server::Acceptor;

/// What a client is told that speaks HTTP where TLS is spoken, in the words of the Prometheus family. The health check
/// knows a daemon by them.
pub const WANTS_TLS: &str = "Client sent an HTTP request to an HTTPS server.";

/// What each connection needs.
#[derive(Clone)]
pub struct Connection<Routes> {
    pub app: App<Routes>,
    pub http: Arc<auto::Builder<TokioExecutor>>,
    /// Takes the place of `http` while few connections are free.
    pub crowded_http: Arc<auto::Builder<TokioExecutor>>,
    pub tls: Option<Arc<Acceptor>>,
    /// Added to answers that do not have them.
    pub headers: Arc<HeaderMap>,
    /// How long a client may stay silent at the beginning.
    pub first_byte: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    pub stop: CancellationToken,
    pub give_up: CancellationToken,
}

impl<Routes> Connection<Routes>
where
    Routes: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    Routes::Future: Send + 'static,
{
    /// Serves one client until it or we are done.
    pub async fn serve(mut self, stream: TcpStream, peer: SocketAddr, _permit: OwnedSemaphorePermit) {
        // Answers are smaller than a segment; waiting to fill one would only delay them.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        // Tokens of one's own: waiting on a shared one takes its lock at every wake-up of every connection.
        (self.stop, self.give_up) = (self.stop.child_token(), self.give_up.child_token());
        // The HTTP library's timer starts with the first byte; a client that sends none needs its own.
        let mut first = [0];
        let speaks = tokio::select! {
            peeked = tokio::time::timeout(self.first_byte, stream.peek(&mut first)) => matches!(peeked, Ok(Ok(1..))),
            () = self.stop.cancelled() => false,
        };
        if !speaks {
            return;
        }
        match self.tls.take() {
            None => self.http(stream, peer).await,
            // No TLS record begins with a letter, and every HTTP request does.
            Some(_) if first[0].is_ascii_uppercase() => refuse_plain(stream).await,
            // Boxed, so that plain connections do not carry the room that TLS needs.
            Some(tls) => Box::pin(self.secured(tls, stream, peer)).await,
        }
    }

    async fn secured(self, tls: Arc<Acceptor>, stream: TcpStream, peer: SocketAddr) {
        let greet = async {
            let mut stream = shake_hands(tls, stream, self.handshake, peer).await?;
            // A handshake is not a request yet.
            match tokio::time::timeout(self.first_byte, stream.fill_buf()).await {
                Ok(Ok([_, ..])) => Some(stream),
                _ => None,
            }
        };
        let greeted = tokio::select! {
            greeted = greet => greeted,
            () = self.stop.cancelled() => None,
        };
        if let Some(stream) = greeted {
            self.http(stream, peer).await;
        }
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, peer: SocketAddr) {
        let unread = Arc::new(AtomicBool::new(false));
        let io = TokioIo::new(Linger::new(stream, Arc::clone(&unread)));
        let (app, headers) = (self.app, self.headers);
        let service = service_fn(move |request: Request<Incoming>| {
            let (app, unread, headers) = (app.clone(), Arc::clone(&unread), Arc::clone(&headers));
            async move {
                let mut response = app.answer(request, peer.ip()).await;
                // A refusal may have come before the whole body did.
                unread.store(!response.status().is_success(), Ordering::Relaxed);
                for (name, value) in headers.iter() {
                    response.headers_mut().entry(name).or_insert_with(|| value.clone());
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = pin!(self.http.serve_connection(io, service));
        let result = tokio::select! {
            biased;
            result = connection.as_mut() => result,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection => result,
                    () = self.give_up.cancelled() => return,
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}

/// The stream behind a TLS handshake. Failures are the client's affair, or a scanner's, so they are not worth a warning.
async fn shake_hands(
    tls: Arc<Acceptor>,
    stream: TcpStream,
    patience: Duration,
    peer: SocketAddr,
) -> Option<TlsStream<TcpStream>> {
    // Looking whether the files changed asks the file system.
    let config = tokio::task::spawn_blocking(move || tls.current()).await.ok()?;
    match tokio::time::timeout(patience, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a TLS handshake failed");
            None
        }
        Err(_elapsed) => {
            tracing::debug!(%peer, "a TLS handshake took too long");
            None
        }
    }
}

/// Says in plain words that this port speaks TLS.
async fn refuse_plain(stream: TcpStream) {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{WANTS_TLS}\n",
        WANTS_TLS.len() + 1,
    );
    // The request is not read, so closing at once could overtake the answer.
    let mut stream = Linger::new(stream, Arc::new(AtomicBool::new(true)));
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        // A client that has gone needs no goodbye.
        let _ = stream.shutdown().await;
    }
}
