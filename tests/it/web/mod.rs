//! The door, through a real socket, before a store that does as it is told.

mod access;
mod api;
mod basic_auth;
mod connections;
mod delivery;
mod health;
mod payload;
mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use autoheal::clock::{Clock, SystemClock};
use autoheal::config::{Config, LoadOptions};
use autoheal::domain::action::{Action, ContainerSelector, RestartContainer};
use autoheal::domain::backoff::Backoff;
use autoheal::domain::decide::Policy;
use autoheal::domain::regex::Regex;
use autoheal::domain::rule::{AlertSelector, HealRule, Mode, RuleSet, Step, VerifyPolicy};
use autoheal::domain::rule_policy::RulePolicy;
use autoheal::domain::template::Template;
use autoheal::domain::time_interval::Schedule;
use autoheal::ids::Ids;
use autoheal::secret::Secret;
use autoheal::telemetry::Metrics;
use autoheal::tls::server::Acceptor;
use autoheal::token::Token;
use autoheal::web::access::Access;
use autoheal::web::server::{Limits, Protocol, Server};
use autoheal::web::{Identity, Loaded, Parts, WebState};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::fake_store::FakeStore;

/// Small, so that tests of the limit need not send much.
const MAX_BODY: usize = 1024 * 1024;

/// A running door.
struct Door {
    address: SocketAddr,
    state: WebState,
    store: Arc<FakeStore>,
    wake: Arc<Notify>,
    stop: CancellationToken,
    running: JoinHandle<bool>,
}

impl Door {
    async fn open() -> Self {
        Self::with(Limits::default(), &[], Duration::from_secs(10)).await
    }

    async fn with(limits: Limits, tokens: &[&str], drain: Duration) -> Self {
        Self::on([127, 0, 0, 1], limits, tokens, drain).await
    }

    async fn on(interface: [u8; 4], limits: Limits, tokens: &[&str], drain: Duration) -> Self {
        let tokens: Vec<_> = tokens.iter().map(|token| Token::for_everything(token, Secret::new(*token))).collect();
        Self::speaking(Protocol::default(), Access::new(&tokens), interface, limits, drain).await
    }

    /// A door as a `--web-config-file` in this directory wants it.
    async fn by_file(directory: &Path, text: &str, tokens: &[&str], limits: Limits) -> Self {
        std::fs::write(directory.join("web.yml"), text).unwrap();
        let options = crate::config::options(directory);
        let web_config_file = Some("web.yml".into());
        let (config, _) = Config::load(&LoadOptions { web_config_file, ..options }).expect("the file is right");
        let file = config.web_file;
        let tls = file.tls.map(|tls| Arc::new(Acceptor::load(tls).unwrap()));
        let tokens: Vec<_> = tokens.iter().map(|token| Token::for_everything(token, Secret::new(*token))).collect();
        let access = Access::new(&tokens)
            .with_users(file.users)
            .with_verified_clients(tls.as_ref().is_some_and(|tls| tls.verifies_clients()));
        let protocol = Protocol { tls, http2: file.http2, headers: file.headers };
        Self::speaking(protocol, access, [127, 0, 0, 1], limits, Duration::from_secs(10)).await
    }

    #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime; nothing waits for its tasks")]
    async fn speaking(protocol: Protocol, access: Access, interface: [u8; 4], limits: Limits, drain: Duration) -> Self {
        let store = Arc::new(FakeStore::default());
        let wake = Arc::new(Notify::new());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (reloads, _nobody) = tokio::sync::mpsc::channel(1);
        let parts = Parts {
            ids: Ids::time_ordered(Arc::clone(&clock)),
            metrics: Arc::new(Metrics::new(clock.now())),
            wake: Arc::clone(&wake),
            jobs: Arc::default(),
            reloads,
            identity: Identity { store: "sqlite:data/autoheal.db".to_owned(), started_at: clock.now() },
            clock,
        };
        let state = WebState::new(parts, Loaded { access: Arc::new(access), ..loaded() });
        state.open(Arc::clone(&store) as _);
        let server = Server::bind((interface, 0).into()).await.unwrap().with_limits(limits).with_protocol(protocol);
        let (address, stop) = (server.local_addr(), CancellationToken::new());
        let running = tokio::spawn(server.run(state.clone(), stop.clone(), drain));
        Self { address, state, store, wake, stop, running }
    }

    /// The value of one series, 0 when there is none.
    async fn metric(&self, series: &str) -> u64 {
        let page = crate::support::http::get(self.address, "/metrics").await.body;
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_default()
    }
}

/// Two rules: one restarts `ui` for `InstanceDown`, one notifies of anything critical.
fn loaded() -> Loaded {
    let restart = Action::RestartContainer(RestartContainer {
        host: Template::parse("local").unwrap(),
        selector: ContainerSelector::Name(Template::parse("ui").unwrap()),
        stop_timeout: None,
        max: 1,
        min_healthy: None,
        then: Vec::new(),
        dependents: None,
    });
    let step = Step {
        action: restart,
        attempts: 2,
        backoff: Backoff::default(),
        timeout: Duration::from_mins(1),
        verify: VerifyPolicy::default(),
    };
    let rules =
        vec![rule("restart-ui", "alertname", "InstanceDown", vec![step]), rule("tell", "severity", "critical", vec![])];
    Loaded {
        rules: Arc::new(RuleSet::new(rules)),
        policy: Arc::new(Policy::default()),
        access: Arc::new(Access::new(&[])),
        max_body_bytes: MAX_BODY,
        links: None,
        slack_apps: Arc::default(),
    }
}

fn rule(name: &str, label: &str, pattern: &str, steps: Vec<Step>) -> HealRule {
    HealRule {
        unsupported: None,
        policy: RulePolicy::default(),
        name: name.to_owned(),
        description: "A service is down.".to_owned(),
        runbook: None,
        selector: AlertSelector {
            labels: vec![(label.to_owned(), Regex::search(pattern).unwrap())],
            ..AlertSelector::default()
        },
        continue_matching: true,
        mode: Mode::Act,
        hold_for: Duration::ZERO,
        schedule: Schedule::default(),
        throttle: Duration::from_hours(1),
        steps,
        receivers: vec!["on-call".to_owned()],
        routes: None,
    }
}

/// A delivery of one alert with this status and these labels.
fn delivery(status: &str, labels: &[(&str, &str)]) -> String {
    let labels: std::collections::BTreeMap<_, _> = labels.iter().copied().collect();
    let alert = serde_json::json!({
        "status": status, "labels": labels, "startsAt": "2026-11-22T07:02:00.861Z", "endsAt": "0001-01-01T00:00:00Z",
    });
    serde_json::json!({ "version": "4", "alerts": [alert] }).to_string()
}

/// A delivery that `restart-ui` is for.
fn matching() -> String {
    delivery("firing", &[("alertname", "InstanceDown"), ("job", "ui")])
}
