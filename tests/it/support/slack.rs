//! A server that answers as Slack's incoming webhooks do, or as told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::task::JoinSet;
use warp::Filter;
use warp::http::{Response, StatusCode};

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

#[derive(Default)]
struct State {
    answers: Mutex<VecDeque<Answer>>,
    received: Mutex<Vec<(String, Value)>>,
}

/// A running server; it ends with this value.
pub struct SlackServer {
    state: Arc<State>,
    address: SocketAddr,
    _task: JoinSet<()>,
}

/// The part of the webhook's address that makes it a secret.
pub const SECRET: &str = "T0AUTOHEAL/B0AUTOHEAL/sWebhookS3cr3tTok3n";

impl SlackServer {
    /// Starts it with the answers it gives first; after them it says `ok`.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let state = Arc::new(State { answers: Mutex::new(answers.into_iter().collect()), ..State::default() });
        let shared = Arc::clone(&state);
        let route = warp::post().and(warp::path::full()).and(warp::body::bytes()).then(
            move |path: warp::path::FullPath, body: bytes::Bytes| {
                let state = Arc::clone(&shared);
                async move {
                    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    state.received.lock().unwrap().push((path.as_str().to_owned(), body));
                    let answer = state.answers.lock().unwrap().pop_front();
                    match answer.unwrap_or_else(|| Answer::say(200, "ok")) {
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
        Self { state, address, _task: task }
    }

    /// The webhook's address.
    pub fn url(&self) -> String {
        format!("http://{}/services/{SECRET}", self.address)
    }

    /// The address to be used in place of Slack's own.
    pub fn api(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was posted so far.
    pub fn received(&self) -> Vec<Value> {
        self.state.received.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.state.received.lock().unwrap().len()
    }
}
