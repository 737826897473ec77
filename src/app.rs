//! Builds everything that can fail, binds, starts the loops, and drains. The only place that knows dry runs: in one,
//! the store lives in memory and neither actions nor notifiers are built.

mod reload;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::action::Actions;
use crate::clock::Clock;
use crate::config::{Config, StoreLocation};
use crate::engine::breath::Breath;
use crate::engine::cancels::Cancels;
use crate::engine::deliver::{Courier, Delivery, OnDelivery};
use crate::engine::evidence::Asking;
use crate::engine::reconcile::Reconciliation;
use crate::engine::{Engine, Equipment, Wake};
use crate::ids::Ids;
use crate::notify::message::Pages;
use crate::notify::slack_bot::SlackBotSettings;
use crate::notify::{self, Carriers};
use crate::secret::Secret;
use crate::slack_call::{Answerer, App};
use crate::store::Store;
use crate::store::sqlite::{OnCommit, OpenError, Options, SqliteStore};
use crate::telemetry::Metrics;
use crate::tls::server::Acceptor;
use crate::verify::{AlertmanagerAsker, Evidence};
use crate::web::access::Access;
use crate::web::push;
use crate::web::server::{Protocol, Server};
use crate::web::{Identity, Loaded, Parts, WebState};

pub use self::reload::Origin;
use self::reload::{Fixed, Reloader};

/// How long requests under way may take to finish once a stop was asked for.
const DRAIN_REQUESTS: Duration = Duration::from_secs(5);
/// How long actions under way may take; the next start takes over what is left.
const DRAIN_ATTEMPTS: Duration = Duration::from_secs(10);
/// How long messages under way may take; unsent ones stay in the outbox.
const DRAIN_MESSAGES: Duration = Duration::from_secs(5);

/// Runs the daemon until `stop` is cancelled and everything has been drained.
///
/// # Errors
/// What could not be built, or a loop that ended although nobody asked it to.
pub async fn run(start: Start, clock: Arc<dyn Clock>, stop: CancellationToken) -> anyhow::Result<()> {
    run_on(start, clock, stop, open_sqlite).await
}

/// What a start begins with.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// Where it came from, for reloads.
    pub origin: Origin,
    /// Whether nothing may be done and nobody told.
    pub dry_run: bool,
}

/// Like [`run`], on whatever store `open` opens at the configured place. It may take its time: it has a thread of its own.
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    start: Start,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    open: impl FnOnce(&StoreLocation, Options) -> Result<Arc<dyn Store>, OpenError> + Send + 'static,
) -> anyhow::Result<()> {
    let Start { config, mut origin, dry_run } = start;
    let protocol = protocol(&config)?;
    let verified_clients = protocol.tls.as_ref().is_some_and(|tls| tls.verifies_clients());
    let server = Server::bind(config.web.listen_address).await?.with_protocol(protocol);
    let address = server.local_addr();
    let metrics = Arc::new(Metrics::new(clock.now()));
    let Built { loaded, equipment, notifiers } = build(&config, dry_run, verified_clients, &clock, &metrics)?;
    let rules = loaded.rules.rules().len();
    let wake = Wake::default();
    let (reloads, asks) = mpsc::channel(reload::MAX_ASKS);
    let identity = Identity { store: store_name(&config.store, dry_run), started_at: clock.now() };
    let parts = Parts {
        clock: Arc::clone(&clock),
        ids: Ids::time_ordered(Arc::clone(&clock)),
        metrics: Arc::clone(&metrics),
        wake: Arc::clone(&wake.heals),
        jobs: Arc::clone(&wake.jobs),
        reloads,
        identity,
    };
    let web = WebState::new(parts, loaded);
    tracing::info!(%address, tls = config.web_file.tls.is_some(), "listening");

    // The door answers while the store is still being opened: 503, so that Alertmanager comes again.
    let mut loops = Loops::default();
    let stop_web = CancellationToken::new();
    loops.spawn("web", serve(server, web.clone(), stop_web.clone()));
    let store = open_store(open, &config.store, dry_run, &metrics).await?;
    let engine = Arc::new(Engine {
        store: Arc::clone(&store),
        equipment: ArcSwap::from_pointee(equipment),
        clock: Arc::clone(&clock),
        wake: wake.clone(),
        metrics: Arc::clone(&metrics),
        cancels: Cancels::default(),
        attempts: TaskTracker::new(),
        breath: Breath::default(),
        asking: Asking::default(),
        reconciliation: Reconciliation::default(),
        stop: CancellationToken::new(),
    });
    let notifiers = Arc::new(ArcSwap::from_pointee(notifiers));
    let told = on_delivery(metrics, Arc::clone(&clock));
    let messages = Arc::clone(&wake.messages);
    let courier = Courier::new(Arc::clone(&store), Arc::clone(&notifiers), Arc::clone(&clock), messages, told);
    let stop_courier = CancellationToken::new();
    loops.spawn("heals", Arc::clone(&engine).schedule());
    loops.spawn("reconciliation", Arc::clone(&engine).reconcile());
    loops.spawn("upkeep", Arc::clone(&engine).upkeep());
    loops.spawn("messages", courier.run(stop_courier.clone(), DRAIN_MESSAGES));
    origin.options.held_rules.clone_from(&config.held_rules);
    let fixed = Fixed::of(config, verified_clients);
    let reloader = Reloader { origin, fixed, dry_run, clock, web: web.clone(), engine: Arc::clone(&engine), notifiers };
    loops.spawn("pushes", push::watch(web.clone(), stop_web.clone()));
    loops.spawn("reloads", reloader.run(asks, stop_web.clone()));
    web.open(store);
    tracing::info!(rules, dry_run, version = env!("CARGO_PKG_VERSION"), "ready");

    let early = tokio::select! {
        () = stop.cancelled() => None,
        name = loops.ended() => Some(name),
    };
    stop_web.cancel();
    drain(&mut loops, &engine, &stop_courier).await;
    let defect =
        |name| anyhow::anyhow!("the {name} loop ended although nobody asked it to; this is a defect, please report it");
    early.map_or(Ok(()), |name| Err(defect(name)))
}

async fn serve(server: Server, web: WebState, stop: CancellationToken) {
    // Whatever was cut off has been told; there is nobody left to hear of it.
    server.run(web, stop, DRAIN_REQUESTS).await;
}

/// Finishes what is under way, in the order of the way of an alert. The door has been told to close.
async fn drain(loops: &mut Loops, engine: &Engine, stop_courier: &CancellationToken) {
    loops.wait_for("web").await;
    engine.stop.cancel();
    engine.attempts.close();
    if tokio::time::timeout(DRAIN_ATTEMPTS, engine.attempts.wait()).await.is_err() {
        tracing::warn!(attempts = engine.attempts.len(), "actions still run; the next start takes them over");
    }
    stop_courier.cancel();
    loops.wait_for("messages").await;
    engine.store.close().await;
    tracing::info!("stopped");
}

/// What a configuration becomes; a start and a reload build the same.
struct Built {
    loaded: Loaded,
    equipment: Equipment,
    notifiers: Carriers,
}

fn build(
    config: &Config,
    dry_run: bool,
    verified_clients: bool,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Built> {
    let effects = if dry_run { Effects::default() } else { effects(config, clock, metrics)? };
    let Effects { actions, notifiers, evidence, alertmanager } = effects;
    let mut policy = config.policy(dry_run);
    policy.alertmanager = alertmanager.is_some().then(Arc::default);
    let policy = Arc::new(policy);
    let access = Access::new(&config.web.all_tokens())
        .with_users(config.web_file.users.clone())
        .with_verified_clients(verified_clients)
        .with_external_url(config.web.external_url.as_deref());
    let loaded = Loaded {
        rules: Arc::new(config.rules.clone()),
        policy: Arc::clone(&policy),
        access: Arc::new(access),
        max_body_bytes: config.web.max_body_bytes,
        links: config.web.links(),
        slack_apps: slack_apps(config, dry_run)?,
    };
    Ok(Built {
        loaded,
        equipment: Equipment { actions, policy, evidence, alertmanager, history: config.history },
        notifiers,
    })
}

/// Slack's apps that may call. In a dry run nobody is told anything by anyone.
fn slack_apps(config: &Config, dry_run: bool) -> anyhow::Result<Arc<[App]>> {
    let app = |(secret, bot): (&Secret, &SlackBotSettings)| {
        let answerer = (!dry_run).then(|| Answerer::new(&bot.api_url, &bot.tls)).transpose().context("slack")?;
        Ok::<_, anyhow::Error>(App { secret: secret.clone(), answerer })
    };
    config.receivers.iter().flat_map(notify::ReceiverSettings::answering_bots).map(app).collect()
}

/// How the door speaks.
fn protocol(config: &Config) -> anyhow::Result<Protocol> {
    let file = &config.web_file;
    let tls = file.tls.clone().map(Acceptor::load).transpose().context("tls_server_config")?.map(Arc::new);
    Ok(Protocol { tls, http2: file.http2, headers: file.headers.clone() })
}

/// A receiver that has failed a message more often than this is said to fail.
const TRIES_OF_A_WELL_ONE: u32 = 3;

fn on_delivery(metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> OnDelivery {
    Arc::new(move |outgoing, delivery, error| {
        metrics.notification(&outgoing.channel, delivery.failure());
        // One failure may pass by itself; what is given up, or fails again and again, does not.
        if delivery != Delivery::Retried || outgoing.tries >= TRIES_OF_A_WELL_ONE {
            metrics.set_receiver(&outgoing.channel, error, clock.now());
        }
    })
}

/// Everything that reaches out into the world.
#[derive(Default)]
struct Effects {
    actions: Option<Actions>,
    notifiers: Carriers,
    evidence: Option<Arc<Evidence>>,
    alertmanager: Option<AlertmanagerAsker>,
}

fn effects(config: &Config, clock: &Arc<dyn Clock>, metrics: &Arc<Metrics>) -> anyhow::Result<Effects> {
    let actions = Actions::new(&config.docker_hosts, &config.awx_servers, &config.http_servers, clock, metrics)?;
    let pages = Pages::new(config.web.external_url.as_deref()).with_approvals(config.web.links());
    let notifiers = notify::build(&config.receivers, &pages, clock).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("receivers: {}", errors.join("; "))
    })?;
    let evidence = Evidence::new(&config.docker_hosts, config.prometheus.as_ref(), Arc::clone(clock))?;
    let alertmanager = config.alertmanager.as_ref().map(AlertmanagerAsker::new).transpose().context("alertmanager")?;
    let fallback = config.fallback_receiver.as_ref().and_then(|name| notify::channels(&config.receivers).remove(name));
    let calm = notify::calm(&config.receivers);
    let notifiers = Carriers { notifiers, fallback: fallback.unwrap_or_default(), calm };
    Ok(Effects { actions: Some(actions), notifiers, evidence: Some(Arc::new(evidence)), alertmanager })
}

async fn open_store(
    open: impl FnOnce(&StoreLocation, Options) -> Result<Arc<dyn Store>, OpenError> + Send + 'static,
    location: &StoreLocation,
    dry_run: bool,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Arc<dyn Store>> {
    let location = if dry_run { StoreLocation::Memory } else { location.clone() };
    let metrics = Arc::clone(metrics);
    let on_commit: OnCommit = Arc::new(move |took| metrics.store_committed(took));
    let options = Options { on_commit: Some(on_commit), ..Options::default() };
    let opened = tokio::task::spawn_blocking(move || open(&location, options));
    Ok(opened.await.context("opening the store")??)
}

fn open_sqlite(location: &StoreLocation, options: Options) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(match location {
        StoreLocation::Sqlite(path) => SqliteStore::open(path, options)?,
        StoreLocation::Memory => SqliteStore::in_memory(options)?,
    }))
}

fn store_name(location: &StoreLocation, dry_run: bool) -> String {
    match location {
        StoreLocation::Sqlite(path) if !dry_run => format!("sqlite:{}", path.display()),
        StoreLocation::Sqlite(_) | StoreLocation::Memory => "memory".to_owned(),
    }
}

/// The long-running tasks by name.
#[derive(Default)]
struct Loops {
    tasks: JoinSet<&'static str>,
    over: Vec<&'static str>,
}

impl Loops {
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            task.await;
            name
        });
    }

    /// The first one to end, by name; a panic is told and counts as an end.
    async fn ended(&mut self) -> &'static str {
        match self.tasks.join_next().await {
            Some(Ok(name)) => {
                self.over.push(name);
                name
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a loop failed");
                "failed"
            }
            None => "last",
        }
    }

    async fn wait_for(&mut self, name: &str) {
        while !self.over.contains(&name) && !self.tasks.is_empty() {
            self.ended().await;
        }
    }
}
