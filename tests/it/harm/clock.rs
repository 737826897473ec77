//! Somebody moves the clock in the middle of a restart: the real engine room with a clock that can be turned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use autoheal::action::Actions;
use autoheal::clock::{Clock, SystemClock};
use autoheal::domain::Timestamp;
use autoheal::domain::action::{Action, RestartContainer};
use autoheal::domain::alert::Alert;
use autoheal::domain::backoff::Backoff;
use autoheal::domain::decide::Policy;
use autoheal::domain::heal::Heal;
use autoheal::domain::message::{Audience, Channel, MessageKind};
use autoheal::engine::breath::Breath;
use autoheal::engine::cancels::Cancels;
use autoheal::engine::evidence::Asking;
use autoheal::engine::reconcile::Reconciliation;
use autoheal::engine::{Engine as Healer, Equipment, Wake};
use autoheal::store::sqlite::{Options, SqliteStore};
use autoheal::store::{DeliveryResult, HealQuery};
use autoheal::telemetry::Metrics;
use jiff::SignedDuration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::engine::{Container, Engine, Recipe};
use crate::support::sighting::{alert, request, resolved_alert, sighting};

/// The real clock, moved by hand.
#[derive(Default)]
struct Turned(AtomicI64);

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

struct Night {
    clock: Arc<Turned>,
    healer: Arc<Healer>,
    policy: Arc<Policy>,
    container: Container,
    _loops: JoinSet<()>,
}

impl Night {
    /// A daemon's engine room beside a container that takes two seconds to stop.
    async fn falls() -> Self {
        let engine = Engine::get();
        let container = engine.run(Recipe::stubborn()).await;
        let clock = Arc::new(Turned::default());
        let (shared, metrics): (Arc<dyn Clock>, _) = (Arc::clone(&clock) as _, Arc::new(Metrics::new(clock.now())));
        let channel = Channel { name: "on-call/email".to_owned(), audience: Audience::Everything, remind: None };
        let receivers = BTreeMap::from([("on-call".to_owned(), vec![channel])]);
        let policy = Arc::new(Policy { receivers, ..Policy::default() });
        let actions = Actions::new(&[engine.host("local")], &[], &[], &shared, &metrics).unwrap();
        let healer = Arc::new(Healer {
            store: Arc::new(SqliteStore::in_memory(Options::default()).unwrap()),
            equipment: ArcSwap::from_pointee(Equipment {
                actions: Some(actions),
                policy: Arc::clone(&policy),
                evidence: None,
                alertmanager: None,
                history: Duration::from_hours(24),
            }),
            clock: shared,
            wake: Wake::default(),
            metrics,
            cancels: Cancels::default(),
            attempts: TaskTracker::new(),
            asking: Asking::default(),
            breath: Breath::default(),
            reconciliation: Reconciliation::default(),
            stop: CancellationToken::new(),
        });
        let mut loops = JoinSet::new();
        loops.spawn(Arc::clone(&healer).schedule());
        Self { clock, healer, policy, container, _loops: loops }
    }

    async fn tell(&self, alert: Alert) {
        let mut request = request("restart", &self.container.name);
        let step = &mut request.ladder.as_mut().unwrap()[0];
        step.attempts = 2;
        step.backoff = Backoff { initial: Duration::ZERO, ..Backoff::default() };
        if let Action::RestartContainer(RestartContainer { stop_timeout, .. }) = &mut step.action {
            *stop_timeout = Some(Duration::from_secs(2));
        }
        let told = vec![sighting(alert, [request])];
        self.healer.store.ingest(Arc::clone(&self.policy), told, self.clock.now()).await.unwrap();
        self.healer.wake.heals.notify_one();
    }

    async fn until(&self, state: &str) -> Heal {
        loop {
            let heals = self.healer.store.heals(HealQuery { limit: 10, ..HealQuery::default() }).await.unwrap();
            match heals.into_iter().next().filter(|heal| heal.phase.name() == state) {
                Some(heal) => return heal,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// What people are told, message by message, when everything is due that was ever written.
    async fn told(&self) -> Vec<MessageKind> {
        let store = &self.healer.store;
        let mut told = Vec::new();
        loop {
            let later = self.clock.now() + SignedDuration::from_hours(2);
            let Some(next) = store.claim_messages(1, later).await.unwrap().0.pop() else { return told };
            told.push(next.message.kind);
            store.message_result(next.id, DeliveryResult::Sent { memory: None }, later).await.unwrap();
        }
    }

    /// Moves the clock while the engine stops the container, and sees the night through.
    async fn sees(self, seconds: i64) -> Heal {
        let began = self.clock.now();
        self.tell(Alert { starts_at: began, ..alert(1) }).await;
        self.container.until_told("kill").await;
        self.clock.0.store(seconds, Ordering::SeqCst);
        self.healer.wake.heals.notify_one();
        self.until("verifying").await;
        let ends_at = Some(self.clock.now());
        self.tell(Alert { starts_at: began, ends_at, ..resolved_alert(1) }).await;
        let heal = self.until("healed").await;
        self.healer.stop.cancel();
        assert_eq!((self.container.times("restart").await, heal.steps[0].attempts_used), (1, 1), "{heal:?}");
        assert_eq!(self.told().await, [MessageKind::Started, MessageKind::Healed], "{heal:?}");
        heal
    }
}

async fn whole<T>(night: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), night).await.expect("within a minute")
}

#[tokio::test]
async fn a_clock_put_forward_ends_no_restart_and_begins_no_second_one() {
    let heal = whole(async { Night::falls().await.sees(3600).await }).await;
    let story: Vec<_> = heal.timeline.iter().map(|entry| entry.reason.to_string()).collect();
    assert!(story.iter().any(|reason| reason.contains("the clock was put forward by 1h")), "{story:?}");
}

#[tokio::test]
async fn a_clock_put_back_an_hour_repeats_nothing() {
    whole(async { Night::falls().await.sees(-3600).await }).await;
}
