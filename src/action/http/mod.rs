//! Actions on servers that speak HTTP.
//!
//! Reading order: [`settings`] says how a server is reached, `client` speaks to it (`fault` puts into words what goes wrong),
//! `request` is `httpRequest`, `job` is `httpJob`.

mod client;
mod fault;
mod job;
mod request;
pub mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use serde_json::{Value, json};

pub use job::JobAction;
pub use settings::{HttpAuth, HttpServer, HttpServerError, HttpTimes};

pub(super) use self::client::service;
use self::client::{Client, Sending, said};
use self::request::Requesting;
use super::{Action, Assignment, Look, Progress, Resumption};
use crate::clock::Clock;
use crate::domain::action::Action as Kind;
use crate::domain::action::http::{Destination, HttpRequest};
use crate::domain::decide::ActionOutcome;
use crate::domain::elapsed;
use crate::domain::evidence::ProbeTls;
use crate::telemetry::Metrics;
use crate::tls::ClientTls;

/// Clients kept for addresses that rules write themselves.
const MAX_CLIENTS: usize = 64;
/// How long one question of `check --online` may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Every server actions speak to.
pub struct Servers {
    configured: BTreeMap<String, Arc<Client>>,
    /// By address and TLS options.
    written: Mutex<BTreeMap<(String, ProbeTls), Arc<Client>>>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Servers {
    /// Builds a client for each without connecting to any.
    ///
    /// # Errors
    /// TLS options, a header or a proxy's address that cannot be used.
    pub fn new(
        servers: &[HttpServer],
        clock: &Arc<dyn Clock>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, HttpServerError> {
        let (clock, metrics) = (Arc::clone(clock), Arc::clone(metrics));
        let build = |server: &HttpServer| {
            let client = Client::new(server, true, Arc::clone(&clock), Arc::clone(&metrics))?;
            Ok((server.name.clone(), Arc::new(client)))
        };
        let configured = servers.iter().map(build).collect::<Result<_, _>>()?;
        Ok(Self { configured, written: Mutex::default(), clock, metrics })
    }

    fn named(&self, name: &str) -> Result<Arc<Client>, ActionOutcome> {
        self.configured.get(name).cloned().ok_or_else(|| ActionOutcome::Refused {
            error: format!("there is no HTTP server {name:?} in the configuration any more"),
        })
    }

    /// The client for where a request goes.
    fn client(&self, to: &Destination<String>) -> Result<Arc<Client>, ActionOutcome> {
        let (origin, tls) = match to {
            Destination::Server(name) => return self.named(name),
            Destination::Origin { origin, tls, .. } => (origin, tls),
        };
        let key = (origin.clone(), tls.clone());
        if let Some(client) = self.written.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(client));
        }
        let refused = |error: String| ActionOutcome::Refused { error };
        let server = HttpServer {
            name: origin.clone(),
            address: Url::parse(origin).map_err(|error| refused(format!("{origin} is no address: {error}")))?,
            auth: HttpAuth::None,
            headers: BTreeMap::new(),
            tls: ClientTls {
                ca_file: tls.ca_file.clone(),
                cert_file: tls.cert_file.clone(),
                key_file: tls.key_file.clone(),
            },
            proxy: None,
            times: HttpTimes::default(),
        };
        // Built without the lock held: it reads files.
        let client = Client::new(&server, false, Arc::clone(&self.clock), Arc::clone(&self.metrics));
        let client = Arc::new(client.map_err(|error| refused(error.to_string()))?);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() >= MAX_CLIENTS {
            written.clear();
        }
        written.insert(key, Arc::clone(&client));
        Ok(client)
    }

    /// Asks a server for its address: whether it is there and lets us in.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub async fn check_server(&self, name: &str) -> Result<String, String> {
        let client = self.configured.get(name).ok_or_else(|| format!("there is no HTTP server {name}"))?;
        let sending = Sending::get("/".to_owned(), "see whether it is there");
        let answer = client.send(&sending, client.now() + PATIENCE).await.map_err(|fault| fault.to_string())?;
        match answer.status {
            401 | 403 => Err(format!(
                "{} does not let us in: {}; check its token, credentials or headers",
                client.place(),
                said(&answer)
            )),
            // What stands at the address itself is nobody's business; that somebody answers is.
            status => Ok(format!("{} answers (HTTP {status})", client.place())),
        }
    }
}

/// A part of the attempt's time kept to say how it went.
fn last_words(assignment: &Assignment) -> Duration {
    (elapsed(assignment.began_at, assignment.deadline) / 10).min(Duration::from_secs(5))
}

/// `httpRequest`.
pub struct RequestAction {
    servers: Arc<Servers>,
}

impl RequestAction {
    /// On these servers.
    #[must_use]
    pub const fn new(servers: Arc<Servers>) -> Self {
        Self { servers }
    }

    fn parts<'a>(&self, assignment: &'a Assignment) -> Result<(Arc<Client>, &'a HttpRequest<String>), ActionOutcome> {
        let Kind::HttpRequest(request) = &assignment.action else {
            return Err(ActionOutcome::Failed { error: "this action is no httpRequest".to_owned() });
        };
        Ok((self.servers.client(&request.to)?, request))
    }
}

#[async_trait]
impl Action for RequestAction {
    async fn look(&self, assignment: &Assignment) -> Look {
        match self.parts(assignment) {
            Err(outcome) => Look::Over(outcome),
            Ok((client, request)) => {
                let found = Requesting { client: &client, request, assignment }.found();
                Look::Ready { handle: json!({}), found }
            }
        }
    }

    async fn start(&self, assignment: &Assignment, _handle: &Value) -> Result<(Value, String), ActionOutcome> {
        let (client, request) = self.parts(assignment)?;
        Requesting { client: &client, request, assignment }.send().await
    }

    async fn resume(&self, assignment: &Assignment, _handle: &Value) -> Result<Resumption, ActionOutcome> {
        let (client, request) = self.parts(assignment)?;
        Requesting { client: &client, request, assignment }.resume()
    }

    async fn poll(&self, _assignment: &Assignment, handle: &Value) -> Progress {
        Requesting::poll(handle)
    }
}
