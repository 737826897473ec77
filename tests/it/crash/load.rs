//! `kill -9` at random moments while deliveries pour in, and a restart each time.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use autoheal::clock::{Clock, SystemClock};
use autoheal::domain::heal::Outcome;
use autoheal::store::{HealQuery, Store};
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::support::crash::{Caller, Mortal, post_mortem};
use crate::support::daemon::{Home, PATIENCE, alert, delivery, eventually};
use crate::support::engine::{Container, Engine, Recipe, unique};

/// Containers, and as many alerts.
const PATIENTS: usize = 30;
/// Kills while alerts begin to fire, and while they resolve.
const ROUNDS: (u64, u64) = (16, 8);
/// How long a life lasts, in milliseconds.
const LIFE: (u64, u64) = (5, 300);

const RULES: &str = "
rules:
- metadata: {name: restart-service}
  labels: {alertname: InstanceDown}
  steps:
  - restartContainer: {name: '{{ $labels.container }}', stopTimeout: 5s}
    attempts: 3
    backoff: {initial: 1s}
";

/// Numbers that look random and can be had again: `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, (from, to): (u64, u64)) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        from + (mixed ^ (mixed >> 31)) % (to - from + 1)
    }
}

/// Alertmanager's side: every delivery is posted until a 202 comes, and once more by its twin.
struct Feeder {
    caller: Caller,
    bodies: Vec<String>,
    next: AtomicUsize,
    /// How many may be posted by now, so that the last lives get their share.
    released: AtomicUsize,
    address: Mutex<Option<SocketAddr>>,
}

impl Feeder {
    fn new(bodies: Vec<String>) -> Self {
        let (next, released) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { caller: Caller::new(), bodies, next, released, address: Mutex::default() }
    }

    fn work(&self, deadline: Instant) {
        loop {
            let number = self.next.fetch_add(1, SeqCst);
            let Some(body) = self.bodies.get(number) else { return };
            while self.released.load(SeqCst) <= number {
                std::thread::sleep(Duration::from_millis(2));
            }
            self.deliver(body, deadline);
            self.deliver(body, deadline);
        }
    }

    fn deliver(&self, body: &str, deadline: Instant) {
        loop {
            let address = *self.address.lock().unwrap();
            match address.and_then(|address| self.caller.post(address, body.to_owned())) {
                Some(202) => return,
                None | Some(503) => std::thread::sleep(Duration::from_millis(5)),
                Some(other) => panic!("a good delivery was answered with {other}"),
            }
            assert!(Instant::now() < deadline, "a delivery is never accepted");
        }
    }
}

/// Feeds everything while the daemon dies again and again; answers the life that was left alone in the end.
fn feed_and_kill(home: &Home, bodies: Vec<String>, rounds: u64, dice: &mut Dice) -> Mortal {
    let feeder = Feeder::new(bodies);
    let deadline = Instant::now() + PATIENCE;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| feeder.work(deadline));
        }
        for round in 0..rounds {
            let share = feeder.bodies.len() * usize::try_from(round + 1).unwrap() / usize::try_from(rounds).unwrap();
            feeder.released.store(share, SeqCst);
            let end = Instant::now() + Duration::from_millis(dice.roll(LIFE));
            let mut life = Mortal::start(home.command(&["serve"]), home);
            while Instant::now() < end {
                *feeder.address.lock().unwrap() = life.address();
                assert!(!life.is_dead(), "it died by itself:\n{}", life.log());
                std::thread::sleep(Duration::from_millis(1));
            }
            life.kill();
        }
        let mut last = Mortal::start(home.command(&["serve"]), home);
        eventually("the last life listens", || last.address().is_some());
        *feeder.address.lock().unwrap() = last.address();
        last
    })
}

/// What the engine does with the containers of this test, as it happens: it remembers only the last few events itself.
struct Chronicle {
    told: Arc<Mutex<Vec<(String, String)>>>,
    _listening: JoinSet<()>,
}

impl Chronicle {
    fn of(engine: &Engine, label: &str, runtime: &Runtime) -> Self {
        let options = EventsOptions {
            since: Some("0".into()),
            until: None,
            filters: Some(HashMap::from([("label".into(), vec![label.to_owned()])])),
        };
        let (docker, told) = (engine.docker.clone(), Arc::<Mutex<Vec<_>>>::default());
        let (mut listening, shared) = (JoinSet::new(), Arc::clone(&told));
        listening.spawn_on(
            async move {
                let mut events = docker.events(Some(options));
                while let Some(Ok(event)) = events.next().await {
                    let id = event.actor.and_then(|actor| actor.id).unwrap_or_default();
                    shared.lock().unwrap().push((id, event.action.unwrap_or_default()));
                }
            },
            runtime.handle(),
        );
        Self { told, _listening: listening }
    }

    fn times(&self, container: &Container, action: &str) -> usize {
        let told = self.told.lock().unwrap();
        told.iter().filter(|(id, what)| *id == container.id && what == action).count()
    }
}

/// A new one each time; one that failed can be given again.
#[expect(clippy::disallowed_methods, reason = "who looks into a failure says which one")]
fn seed() -> u64 {
    let given = std::env::var("AUTOHEAL_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    given.unwrap_or_else(|| u64::try_from(SystemClock.now().as_millisecond()).unwrap())
}

#[test]
fn nothing_is_lost_and_nothing_done_twice_under_load() {
    let seed = seed();
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (engine, label) = (Engine::get(), unique("load"));
    let chronicle = Chronicle::of(&engine, &label, &runtime);
    // Every third one runs, and so is stopped and started when it is healed.
    let patients: Vec<(Container, bool)> = (0..PATIENTS)
        .map(|number| {
            let recipe = Recipe::idle().label(&label, "");
            let runs = number % 3 == 0;
            let recipe = if runs { recipe } else { recipe.not_started() };
            (runtime.block_on(engine.run(recipe)), runs)
        })
        .collect();
    let config = format!(
        "docker: {{hosts: [{{name: local, address: '{}'}}]}}\nlimits: {{concurrent: 10, perHour: 1000}}\n",
        engine.address
    );
    let home = Home::new(&config, RULES);
    let bodies = |status| {
        let body = |(container, _): &(Container, bool)| {
            let labels = json!({"alertname": "InstanceDown", "container": container.name});
            delivery(&[alert(status, &labels, Duration::ZERO)])
        };
        patients.iter().map(body).collect::<Vec<_>>()
    };

    let mut life = feed_and_kill(&home, bodies("firing"), ROUNDS.0, &mut dice);
    wait_until_all(&mut life, "verifying");
    life.kill();
    let mut life = feed_and_kill(&home, bodies("resolved"), ROUNDS.1, &mut dice);
    wait_until_all(&mut life, "healed");
    life.stop();

    check_heals(&home, &patients, &runtime);
    for (container, runs) in &patients {
        let count = |action| chronicle.times(container, action);
        let expected = if *runs { (2, 1, 1) } else { (1, 0, 0) };
        assert_eq!((count("start"), count("restart"), count("die")), expected, "starts, restarts, ends; seed {seed}");
    }
}

fn wait_until_all(life: &mut Mortal, state: &str) {
    let (caller, address) = (Caller::new(), life.address().unwrap());
    eventually(&format!("all heals are {state}"), || {
        assert!(!life.is_dead(), "it died by itself:\n{}", life.log());
        caller.look(address, "/api/v1/status").is_some_and(|status| status["heals"][state] == PATIENTS)
    });
}

/// Exactly one heal for each container, healed at its first attempt.
fn check_heals(home: &Home, patients: &[(Container, bool)], runtime: &Runtime) {
    let heals = runtime.block_on(async {
        let store = post_mortem(&home.store()).await;
        let heals = store.heals(HealQuery { limit: 500, ..HealQuery::default() }).await.unwrap();
        store.close().await;
        heals
    });
    let healed: BTreeSet<_> = heals.iter().map(|heal| heal.alerts[0].labels["container"].clone()).collect();
    assert_eq!(healed, patients.iter().map(|(container, _)| container.name.clone()).collect());
    assert_eq!(heals.len(), patients.len(), "one heal for each");
    for heal in &heals {
        let story: Vec<_> = heal.timeline.iter().map(|entry| format!("{}: {}", entry.what, entry.reason)).collect();
        assert_eq!((heal.outcome(), heal.steps[0].attempts_used), (Some(Outcome::Healed), 1), "{story:#?}");
    }
}
