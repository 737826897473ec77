//! The door: Alertmanager's webhook, the JSON interface, health and metrics.
//!
//! A request comes through [`server`] (the listener), `connection` (TLS and HTTP), `layers` (limits and [`access`], once
//! for all routes), and then `routes`, which are warp filters, one group per file.

pub mod access;
mod api;
mod basic;
mod body;
mod connection;
mod health;
mod layers;
mod linger;
pub mod payload;
mod reply;
pub mod server;
mod views;
mod webhook;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::{Notify, Semaphore};
use warp::Filter;
use warp::reply::Response;

use self::access::Access;
use self::webhook::Throttled;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::decide::Policy;
use crate::domain::rule::RuleSet;
use crate::ids::Ids;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// What a reload replaces as a whole: requests take one of these and keep it to their end.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// What holds for all heals.
    pub policy: Arc<Policy>,
}

/// What the daemon says of itself in `/api/v1/status`.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The store in words, without credentials.
    pub store: String,
    /// When the process started.
    pub started_at: Timestamp,
}

/// The parts the door works with.
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Identities of new heals.
    pub ids: Ids,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Wakes the engine.
    pub wake: Arc<Notify>,
    /// Who may call what.
    pub access: Access,
    /// Largest accepted body in bytes.
    pub max_body_bytes: usize,
    /// Words for `/api/v1/status`.
    pub identity: Identity,
}

/// State of the door, shared by all requests. Cheap to clone.
#[derive(Clone)]
pub struct WebState(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// Empty until start-up has opened it.
    store: OnceLock<Arc<dyn Store>>,
    loaded: RwLock<Arc<Loaded>>,
    ready: AtomicBool,
    /// Whether anybody on the network may deliver alerts without showing who they are.
    exposed: AtomicBool,
    large_bodies: Semaphore,
    store_errors: Throttled,
    bad_payloads: Throttled,
}

impl WebState {
    /// A door that is not ready yet.
    #[must_use]
    pub fn new(parts: Parts, loaded: Loaded) -> Self {
        Self(Arc::new(Inner {
            parts,
            store: OnceLock::new(),
            loaded: RwLock::new(Arc::new(loaded)),
            ready: AtomicBool::new(false),
            exposed: AtomicBool::new(false),
            large_bodies: Semaphore::new(body::LARGE_BODIES),
            store_errors: Throttled::default(),
            bad_payloads: Throttled::default(),
        }))
    }

    /// Hands over the memory once start-up has opened it; from now on deliveries are taken.
    pub fn open(&self, store: Arc<dyn Store>) {
        // A second store would split the memory; the first one stays.
        let _ = self.0.store.set(store);
        self.set_ready(true);
    }

    /// From now on deliveries are taken; until then, and after `false`, they are answered 503.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Release);
    }

    /// Puts other rules in place at once. Requests under way finish with those they began with.
    pub fn replace(&self, loaded: Loaded) {
        *self.0.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
    }

    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.0.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_ready(&self) -> bool {
        self.0.store.get().is_some() && self.0.ready.load(Ordering::Acquire)
    }

    /// Notes where the door listens, and warns when that is beyond this machine and nobody is asked who they are.
    fn listens_on(&self, address: SocketAddr) {
        let exposed = !address.ip().is_loopback() && !self.parts().access.authenticates();
        self.0.exposed.store(exposed, Ordering::Release);
        self.parts().metrics.set_exposed(exposed);
        if exposed {
            tracing::warn!(
                %address,
                "anybody who reaches this address can deliver alerts; set web.bearerTokens, give a --web-config-file, or listen on loopback"
            );
        }
    }

    fn is_exposed(&self) -> bool {
        self.0.exposed.load(Ordering::Acquire)
    }

    fn store(&self) -> Result<&Arc<dyn Store>, StoreError> {
        self.0.store.get().ok_or(StoreError::Closed)
    }

    fn parts(&self) -> &Parts {
        &self.0.parts
    }

    fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }
}

/// Every route, the busiest first; what none of them takes is 404.
fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<> {
    webhook::routes(state)
        .or(health::routes(state))
        .unify()
        .or(api::routes(state))
        .unify()
        .or(warp::any().map(reply::not_found))
        .unify()
}

/// Hands the state to a route.
fn with(state: &WebState) -> impl Filter<Extract = (WebState,), Error = Infallible> + Clone + use<> {
    let state = state.clone();
    warp::any().map(move || state.clone())
}
