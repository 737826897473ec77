//! The door: Alertmanager's webhook, the JSON interface, health and metrics.
//!
//! A request comes through [`server`] (the listener), `connection` (TLS and HTTP), `layers` (limits and [`access`], once
//! for all routes), and then `routes`, which are warp filters, one group per file.

pub mod access;
mod api;
mod basic;
mod body;
mod connection;
mod dead_letters;
mod health;
mod hooks;
mod layers;
mod linger;
mod orders;
mod page;
pub mod payload;
mod plan;
pub mod push;
pub mod reload;
mod reply;
mod report;
pub mod server;
mod views;
mod webhook;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, mpsc};
use warp::Filter;
use warp::reply::Response;

use self::access::Access;
use self::reload::{Ask, LastReload, Latest};
use self::webhook::Throttled;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::decide::Policy;
use crate::domain::rule::RuleSet;
use crate::ids::Ids;
use crate::links::Links;
use crate::slack_call::App;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// What a reload replaces as a whole: requests take one of these and keep it to their end.
#[derive(Clone)]
pub struct Loaded {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// What holds for all heals.
    pub policy: Arc<Policy>,
    /// Who may call what.
    pub access: Arc<Access>,
    /// Largest accepted body in bytes.
    pub max_body_bytes: usize,
    /// Reads links to approve; without it there are none.
    pub links: Option<Links>,
    /// Whose calls are Slack's; without one they are not taken.
    pub slack_apps: Arc<[App]>,
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
    /// Wakes whoever follows jobs elsewhere.
    pub jobs: Arc<Notify>,
    /// Takes requests for a reload.
    pub reloads: mpsc::Sender<Ask>,
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
    /// Read by every request without a lock.
    loaded: ArcSwap<Loaded>,
    last_reload: Latest,
    /// Where it listens, once it does.
    address: OnceLock<SocketAddr>,
    ready: AtomicBool,
    /// Whether anybody on the network may deliver alerts without showing who they are.
    exposed: AtomicBool,
    large_bodies: Semaphore,
    rehearsals: Arc<Semaphore>,
    pushed: push::Pushed,
    store_errors: Throttled,
    bad_payloads: Throttled,
    truncated: Throttled,
}

impl WebState {
    /// A door that is not ready yet.
    #[must_use]
    pub fn new(parts: Parts, loaded: Loaded) -> Self {
        let last_reload = Latest::started(parts.identity.started_at);
        Self(Arc::new(Inner {
            parts,
            store: OnceLock::new(),
            loaded: ArcSwap::from_pointee(loaded),
            last_reload,
            address: OnceLock::new(),
            ready: AtomicBool::new(false),
            exposed: AtomicBool::new(false),
            large_bodies: Semaphore::new(body::LARGE_BODIES),
            rehearsals: Arc::new(Semaphore::new(plan::AT_ONCE)),
            pushed: push::Pushed::default(),
            store_errors: Throttled::default(),
            bad_payloads: Throttled::default(),
            truncated: Throttled::default(),
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
        self.0.loaded.store(Arc::new(loaded));
        self.judge_exposure();
    }

    /// Notes what became of a reload.
    pub fn reloaded(&self, last: LastReload) {
        self.0.last_reload.set(last);
    }

    fn loaded(&self) -> Arc<Loaded> {
        self.0.loaded.load_full()
    }

    fn is_ready(&self) -> bool {
        self.0.store.get().is_some() && self.0.ready.load(Ordering::Acquire) && !self.is_broken()
    }

    /// Whether only a restart helps.
    fn is_broken(&self) -> bool {
        self.0.store.get().is_some_and(|store| store.is_broken())
    }

    /// Notes where the door listens.
    fn listens_on(&self, address: SocketAddr) {
        // A door listens once; were it told twice, the first address is the one that warnings name.
        let _ = self.0.address.set(address);
        self.judge_exposure();
    }

    /// Warns when the door listens beyond this machine and nobody is asked who they are.
    fn judge_exposure(&self) {
        let Some(address) = self.0.address.get() else { return };
        let exposed = !address.ip().is_loopback() && !self.loaded().access.authenticates();
        self.0.exposed.store(exposed, Ordering::Release);
        self.parts().metrics.set_exposed(exposed);
        if exposed {
            tracing::warn!(
                %address,
                "anybody who reaches this address can deliver alerts; set web.tokens, give a --web-config-file, or listen on loopback"
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

/// Every route; what none of them takes is 404. Each request has a copy of them, so that all but the busiest one are shared
/// behind a pointer.
fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<> {
    let others = health::routes(state)
        .or(reload::routes(state))
        .unify()
        .or(hooks::routes(state))
        .unify()
        .or(api::routes(state))
        .unify()
        .or(plan::routes(state))
        .unify()
        .or(report::routes(state))
        .unify()
        .or(orders::routes(state))
        .unify()
        .or(dead_letters::routes(state))
        .unify()
        .or(push::routes(state))
        .unify()
        .or(page::routes(state))
        .unify()
        .boxed();
    webhook::routes(state).or(others).unify().or(warp::any().map(reply::not_found)).unify()
}

/// Hands the state to a route.
fn with(state: &WebState) -> impl Filter<Extract = (WebState,), Error = Infallible> + Clone + use<> {
    let state = state.clone();
    warp::any().map(move || state.clone())
}
