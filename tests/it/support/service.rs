//! A web service that keeps what it is sent and answers by a function of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::Value;
use tokio::task::JoinSet;
use warp::Filter;
use warp::http::{HeaderMap, Method, Response, StatusCode};

/// What it answers to one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status, headers and a body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Nothing, ever.
    Hang,
}

impl Answer {
    /// A status and a body.
    pub fn say(status: u16, body: &str) -> Self {
        Self::Say(status, Vec::new(), body.to_owned())
    }
}

/// What was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Sent {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header's text; empty without.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The fields of a form, in order.
    pub fn form(&self) -> Vec<(String, String)> {
        let body = std::str::from_utf8(&self.body).unwrap();
        let url = reqwest::Url::parse(&format!("http://form/?{body}")).unwrap();
        url.query_pairs().into_owned().collect()
    }
}

/// A running service; it ends with this value.
pub struct Service {
    received: Arc<Mutex<Vec<Sent>>>,
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Service {
    /// Starts it.
    pub async fn start(answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> Self {
        let received = Arc::<Mutex<Vec<Sent>>>::default();
        let (shared, answer) = (Arc::clone(&received), Arc::new(answer));
        let route =
            warp::method().and(warp::path::full()).and(warp::header::headers_cloned()).and(warp::body::bytes()).then(
                move |method: Method, path: warp::path::FullPath, headers: HeaderMap, body: Bytes| {
                    let (received, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                    async move {
                        let sent = Sent { method, path: path.as_str().to_owned(), headers, body };
                        let answer = answer(&sent);
                        received.lock().unwrap().push(sent);
                        match answer {
                            Answer::Hang => std::future::pending().await,
                            Answer::Say(status, headers, body) => {
                                let mut response = Response::new(body);
                                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                                for (name, value) in headers {
                                    response.headers_mut().insert(name, value.parse().unwrap());
                                }
                                response
                            }
                        }
                    }
                },
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(warp::serve(route).incoming(listener).run());
        Self { received, address, _task: task }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was sent so far.
    pub fn received(&self) -> Vec<Sent> {
        self.received.lock().unwrap().clone()
    }
}
