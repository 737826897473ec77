//! A small HTTP server that answers as a function of what it is asked; it can lose answers, hang, go away and come back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query as they came over the wire.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The fields of a form.
    pub fn form(&self) -> Vec<(String, String)> {
        let body = std::str::from_utf8(&self.body).unwrap();
        reqwest::Url::parse(&format!("http://form/?{body}")).unwrap().query_pairs().into_owned().collect()
    }

    /// Method and path.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What becomes of a request that was carried out.
#[derive(Debug, Clone)]
pub enum Reply {
    Say(u16, Vec<(&'static str, String)>, String),
    /// The connection ends without an answer.
    Lose,
    /// No answer ever comes.
    Hang,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Say(status, vec![("content-type", "application/json".to_owned())], body.to_string())
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self::Say(status, Vec::new(), body.to_owned())
    }
}

type Answer = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A running server; it ends with this value.
pub struct Upstream {
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<Asked>>>,
    address: SocketAddr,
    task: JoinSet<()>,
}

impl Upstream {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { answer: Arc::new(answer), asked: Arc::default(), address, task: JoinSet::new() };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let (answer, asked) = (Arc::clone(&self.answer), Arc::clone(&self.asked));
        self.task.spawn(async move {
            // Connections end with the server.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
                connections.spawn(async move {
                    let service = service_fn(move |request| serve(Arc::clone(&answer), Arc::clone(&asked), request));
                    // A lost answer ends the connection; that is what it is for.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
    }

    /// Goes away: nobody listens any more, and open connections end.
    pub async fn stop(&mut self) {
        self.task.shutdown().await;
    }

    /// Comes back at the same address.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests of one method.
    pub fn of(&self, method: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.method == method).collect()
    }
}

#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer is lost")
    }
}

impl std::error::Error for Lost {}

async fn serve(
    answer: Arc<Answer>,
    all: Arc<Mutex<Vec<Asked>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let asked = Asked { method: head.method.to_string(), path, headers: head.headers, body };
    let reply = answer(&asked);
    all.lock().unwrap().push(asked);
    match reply {
        Reply::Lose => Err(Lost),
        Reply::Hang => match std::future::pending::<Infallible>().await {},
        Reply::Say(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Full::new(Bytes::from(body))).unwrap())
        }
    }
}
