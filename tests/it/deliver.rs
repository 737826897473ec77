//! The courier between the outbox and the channels: what arrives, what waits, what is given up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use autoheal::clock::{Clock, SystemClock};
use autoheal::domain::Timestamp;
use autoheal::domain::action::ActionRenderError;
use autoheal::domain::calm::{Calm, Repeats};
use autoheal::domain::decide::Policy;
use autoheal::domain::message::{Audience, Channel, MessageKind};
use autoheal::domain::rule::HealRequest;
use autoheal::domain::time_interval::{Period, Schedule, TimeInterval, Times};
use autoheal::engine::deliver::{Courier, Delivery};
use autoheal::notify::message::Pages;
use autoheal::notify::message::texts::Texts;
use autoheal::notify::slack::{SlackNotifier, SlackSettings};
use autoheal::notify::slack_bot::{SlackBotNotifier, SlackBotSettings};
use autoheal::notify::{Carriers, Notifier, NotifyError, Receipt};
use autoheal::secret::Secret;
use autoheal::store::sqlite::{Options, SqliteStore};
use autoheal::store::{DeadOrder, OutboxCounts, Outgoing, Store};
use autoheal::tls::ClientTls;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::install_tls;
use crate::support::sighting::{alert, at, request, resolved_alert, sighting};
use crate::support::slack::{Answer, SlackServer};
use crate::support::slack_api::{Posted, SlackApi, TOKEN};

/// How long a test waits for something to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that is turned by hand.
#[derive(Default)]
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::SeqCst))
    }
}

type Answers = Vec<Result<Receipt, NotifyError>>;

/// Answers as told, and tells what it was given.
struct Told {
    answers: Mutex<Answers>,
    seen: mpsc::UnboundedSender<Outgoing>,
}

#[async_trait]
impl Notifier for Told {
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
        self.seen.send(outgoing.clone()).unwrap();
        let answer = self.answers.lock().unwrap().pop();
        answer.unwrap_or_else(|| Ok("ok".into()))
    }
}

/// Never answers.
struct Hangs;

#[async_trait]
impl Notifier for Hangs {
    async fn send(&self, _: &Outgoing) -> Result<Receipt, NotifyError> {
        std::future::pending().await
    }
}

/// A courier at work on a real outbox.
struct Bench {
    store: Arc<SqliteStore>,
    clock: Arc<dyn Clock>,
    hand: Arc<HandClock>,
    wake: Arc<Notify>,
    stop: CancellationToken,
    results: mpsc::UnboundedReceiver<(String, Delivery)>,
    task: JoinSet<()>,
}

impl Bench {
    fn start(notifiers: impl IntoIterator<Item = (&'static str, Arc<dyn Notifier>)>) -> Self {
        let hand = Arc::<HandClock>::default();
        Self::start_by(Arc::clone(&hand) as Arc<dyn Clock>, hand, notifiers, BTreeMap::new())
    }

    /// The channel `on-call/slack` is left alone at times.
    fn start_calmly(calm: Calm, notifier: Arc<dyn Notifier>) -> Self {
        let hand = Arc::<HandClock>::default();
        let calm = BTreeMap::from([("on-call/slack".to_owned(), calm)]);
        Self::start_by(Arc::clone(&hand) as Arc<dyn Clock>, hand, [("on-call/slack", notifier)], calm)
    }

    fn start_by(
        clock: Arc<dyn Clock>,
        hand: Arc<HandClock>,
        notifiers: impl IntoIterator<Item = (&'static str, Arc<dyn Notifier>)>,
        calm: BTreeMap<String, Calm>,
    ) -> Self {
        let store = Arc::new(SqliteStore::in_memory(Options::default()).unwrap());
        let wake = Arc::new(Notify::new());
        let notifiers: BTreeMap<_, _> =
            notifiers.into_iter().map(|(name, notifier)| (name.to_owned(), notifier)).collect();
        // In these tests the receiver of this name stands in for the others.
        let names = notifiers.keys().filter(|name| name.starts_with("fallback/"));
        let fallback = names.map(|name| Channel::new(name.clone(), Audience::Everything)).collect();
        let (sender, results) = mpsc::unbounded_channel();
        let courier = Courier::new(
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::new(ArcSwap::from_pointee(Carriers { notifiers, fallback, calm })),
            Arc::clone(&clock),
            Arc::clone(&wake),
            Arc::new(move |outgoing, told, _| drop(sender.send((outgoing.channel.clone(), told)))),
        );
        let (stop, mut task) = (CancellationToken::new(), JoinSet::new());
        task.spawn(courier.run(stop.clone(), Duration::from_millis(200)));
        Self { store, clock, hand, wake, stop, results, task }
    }

    /// Commits a message for each channel: alert `number` of a rule that only notifies fires, or resolves.
    async fn tell(&self, number: usize, channels: &[&str], kind: MessageKind) {
        let channels = channels.iter().map(|name| Channel::new(*name, Audience::Everything));
        let receivers = BTreeMap::from([("on-call".to_owned(), channels.collect())]);
        let policy = Arc::new(Policy { receivers, ..Policy::default() });
        let alert = if kind == MessageKind::Firing { alert(number) } else { resolved_alert(number) };
        let mut request = request("notify", &format!("web-{number}"));
        request.ladder = Ok(Vec::new());
        self.store.ingest(policy, vec![sighting(alert, [request])], self.clock.now()).await.unwrap();
        self.wake.notify_one();
    }

    fn turn_clock(&self, by: Duration) {
        self.hand.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
        self.wake.notify_one();
    }

    async fn result(&mut self) -> (String, Delivery) {
        tokio::time::timeout(PATIENCE, self.results.recv()).await.unwrap().unwrap()
    }

    /// Stops the courier and counts what is left.
    async fn end(mut self) -> OutboxCounts {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task.join_next()).await.unwrap().unwrap().unwrap();
        self.store.outbox_counts().await.unwrap()
    }
}

fn told(answers: Answers) -> (Arc<dyn Notifier>, mpsc::UnboundedReceiver<Outgoing>) {
    let (seen, received) = mpsc::unbounded_channel();
    (Arc::new(Told { answers: Mutex::new(answers), seen }), received)
}

fn down() -> Result<Receipt, NotifyError> {
    Err(NotifyError::Retryable { error: "down".to_owned(), after: None })
}

async fn next(seen: &mut mpsc::UnboundedReceiver<Outgoing>) -> Outgoing {
    tokio::time::timeout(PATIENCE, seen.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_channel_that_hangs_delays_no_other_and_its_message_stays() {
    let (good, mut seen) = told(Vec::new());
    let mut bench = Bench::start([("on-call/hangs", Arc::new(Hangs) as Arc<dyn Notifier>), ("on-call/good", good)]);
    for number in 0..5 {
        bench.tell(number, &["on-call/hangs", "on-call/good"], MessageKind::Firing).await;
    }
    for _ in 0..5 {
        assert_eq!(bench.result().await, ("on-call/good".to_owned(), Delivery::Sent));
        next(&mut seen).await;
    }
    assert_eq!(bench.end().await, OutboxCounts { waiting: 5, dead: 0 });
}

#[tokio::test]
async fn a_story_stays_in_order_over_an_outage() {
    let (slack, mut seen) = told(vec![down()]);
    let mut bench = Bench::start([("on-call/slack", slack)]);
    bench.tell(1, &["on-call/slack"], MessageKind::Firing).await;
    assert_eq!(bench.result().await.1, Delivery::Retried);
    let first = next(&mut seen).await;
    bench.turn_clock(Duration::from_millis(1));
    bench.tell(1, &["on-call/slack"], MessageKind::Resolved).await;
    bench.turn_clock(Duration::from_secs(7));
    assert_eq!(bench.result().await.1, Delivery::Sent);
    assert_eq!(bench.result().await.1, Delivery::Sent);
    let again = next(&mut seen).await;
    assert_eq!(
        (again.id, again.message.kind),
        (first.id, MessageKind::Firing),
        "the same message under the same identity"
    );
    assert_eq!(next(&mut seen).await.message.kind, MessageKind::Resolved);
    assert_eq!(bench.end().await, OutboxCounts::default());
}

#[tokio::test]
async fn what_will_never_arrive_is_given_up_at_once_and_kept() {
    let never = Err(NotifyError::Permanent { error: "no_service".to_owned() });
    let (slack, _seen) = told(vec![never]);
    let mut bench = Bench::start([("on-call/slack", slack)]);
    bench.tell(1, &["on-call/slack", "on-call/removed"], MessageKind::Firing).await;
    let mut results = [bench.result().await, bench.result().await];
    results.sort_by(|a, b| a.0.cmp(&b.0));
    let dead = |channel: &str| (channel.to_owned(), Delivery::Dead);
    assert_eq!(results, [dead("on-call/removed"), dead("on-call/slack")]);
    assert_eq!(bench.end().await, OutboxCounts { waiting: 0, dead: 2 });
}

#[tokio::test]
async fn what_a_receiver_will_never_take_goes_to_the_fallback_receiver_and_no_further() {
    let never = || Err(NotifyError::Permanent { error: "no_service".to_owned() });
    let (slack, _seen) = told(vec![never(), never()]);
    let (stand_in, mut seen) = told(vec![Ok("ok".into()), never()]);
    let mut bench = Bench::start([("on-call/slack", slack), ("fallback/email", stand_in)]);
    // Answers are given from the end: the first one the stand-in gets is refused.
    bench.tell(1, &["on-call/slack"], MessageKind::Firing).await;
    let result = |channel: &str, delivery| (channel.to_owned(), delivery);
    assert_eq!(bench.result().await, result("on-call/slack", Delivery::Dead));
    bench.wake.notify_one();
    assert_eq!(bench.result().await, result("fallback/email", Delivery::Dead));
    let refused = next(&mut seen).await;
    bench.tell(2, &["on-call/slack"], MessageKind::Firing).await;
    assert_eq!(bench.result().await, result("on-call/slack", Delivery::Dead));
    bench.wake.notify_one();
    assert_eq!(bench.result().await, result("fallback/email", Delivery::Sent));
    let taken = next(&mut seen).await;
    assert_ne!(refused.message.heal.id, taken.message.heal.id);
    assert_eq!(taken.message.kind, MessageKind::Firing);
    assert_eq!(bench.end().await, OutboxCounts { waiting: 0, dead: 3 });
}

#[tokio::test]
async fn after_a_day_of_trying_a_message_is_given_up() {
    let (slack, _seen) = told(vec![down(), down()]);
    let mut bench = Bench::start([("on-call/slack", slack)]);
    bench.tell(1, &["on-call/slack"], MessageKind::Firing).await;
    assert_eq!(bench.result().await.1, Delivery::Retried);
    bench.turn_clock(Duration::from_hours(24));
    assert_eq!(bench.result().await.1, Delivery::Dead);
    assert_eq!(bench.end().await, OutboxCounts { waiting: 0, dead: 1 });
}

#[tokio::test]
async fn a_notifier_that_panics_takes_nobody_with_it() {
    struct Panics(Mutex<Option<Uuid>>);
    #[async_trait]
    impl Notifier for Panics {
        async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
            let first = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(outgoing.id);
            assert!(first.is_some(), "the first delivery breaks down");
            Ok("ok".into())
        }
    }
    let mut bench = Bench::start([("on-call/slack", Arc::new(Panics(Mutex::default())) as Arc<dyn Notifier>)]);
    bench.tell(1, &["on-call/slack"], MessageKind::Firing).await;
    assert_eq!(bench.result().await.1, Delivery::Retried);
    bench.turn_clock(Duration::from_secs(7));
    assert_eq!(bench.result().await.1, Delivery::Sent);
    assert_eq!(bench.end().await, OutboxCounts::default());
}

#[tokio::test]
async fn slack_is_left_alone_for_as_long_as_it_asks_and_then_gets_everything() {
    install_tls();
    let pause = Answer::Say(429, vec![("retry-after", "120".to_owned())], "rate_limited".to_owned());
    let server = SlackServer::start([pause]).await;
    let settings =
        SlackSettings { webhook_url: Secret::new(server.url()), tls: ClientTls::default(), texts: Texts::default() };
    let slack: Arc<dyn Notifier> = Arc::new(SlackNotifier::new(&settings, Pages::default()).unwrap());
    let (witness, mut seen) = told(Vec::new());
    let mut bench = Bench::start([("on-call/slack", slack), ("on-call/witness", witness)]);
    bench.tell(1, &["on-call/slack"], MessageKind::Firing).await;
    assert_eq!(bench.result().await.1, Delivery::Retried);

    // The witness shows that the courier has been at work since the clock was turned.
    bench.turn_clock(Duration::from_secs(119));
    bench.tell(2, &["on-call/slack", "on-call/witness"], MessageKind::Firing).await;
    next(&mut seen).await;
    assert_eq!(bench.result().await.0, "on-call/witness");
    assert_eq!(server.requests(), 1, "the pause holds for the channel's other messages too");

    bench.turn_clock(Duration::from_secs(2));
    for _ in 0..2 {
        assert_eq!(bench.result().await, ("on-call/slack".to_owned(), Delivery::Sent));
    }
    assert_eq!(server.requests(), 3);
    assert_eq!(bench.end().await, OutboxCounts::default());
}

#[tokio::test]
async fn five_hundred_heals_at_once_stay_within_slacks_limits_and_leave_the_channel_readable() {
    install_tls();
    let server = SlackApi::start().await;
    let settings = SlackBotSettings {
        token: Secret::new(TOKEN),
        channel: "#on-call".to_owned(),
        signing_secret: None,
        api_url: server.url().parse().unwrap(),
        tls: ClientTls::default(),
        texts: Texts::default(),
    };
    let slack: Arc<dyn Notifier> = Arc::new(SlackBotNotifier::new(&settings, Pages::default()).unwrap());
    let mut bench = Bench::start_by(Arc::new(SystemClock), Arc::default(), [("on-call/slack", slack)], BTreeMap::new());
    let channel = Channel::new("on-call/slack", Audience::Everything);
    let policy = Policy { receivers: BTreeMap::from([("on-call".to_owned(), vec![channel])]), ..Policy::default() };
    let sightings = (0..500).map(|number| {
        let request = HealRequest { ladder: Ok(Vec::new()), ..request("notify", &format!("web-{number}")) };
        sighting(alert(number), [request])
    });
    bench.store.ingest(Arc::new(policy), sightings.collect(), bench.clock.now()).await.unwrap();
    bench.wake.notify_one();
    for _ in 0..500 {
        assert_eq!(bench.result().await.1, Delivery::Sent);
    }
    let posted = server.posted();
    assert_eq!(server.limited(), 0, "Slack never had to complain");
    assert!(posted.len() <= 10, "{} messages", posted.len());
    let counted = |posted: &Posted| {
        let text = posted.body["text"].as_str().unwrap();
        text.split_once(" heals at once").map_or(1, |(count, _)| count.parse::<usize>().unwrap())
    };
    assert_eq!(posted.iter().map(counted).sum::<usize>(), 500, "nobody is left out");
    assert_eq!(bench.end().await, OutboxCounts::default());
}

impl Bench {
    /// Waits until everything that is left waits until then.
    async fn all_wait_until(&self, until: Timestamp) {
        let waits = async {
            while self.store.claim_messages(0, self.clock.now()).await.unwrap().1 != Some(until) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.unwrap();
    }
}

/// Takes bundles and tells what was in each delivery.
struct Bundles(mpsc::UnboundedSender<Vec<Outgoing>>);

#[async_trait]
impl Notifier for Bundles {
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
        self.send_bundle(std::slice::from_ref(outgoing)).await
    }

    async fn send_bundle(&self, outgoings: &[Outgoing]) -> Result<Receipt, NotifyError> {
        self.0.send(outgoings.to_vec()).unwrap();
        Ok("ok".into())
    }
}

fn bundles() -> (Arc<dyn Notifier>, mpsc::UnboundedReceiver<Vec<Outgoing>>) {
    let (sender, seen) = mpsc::unbounded_channel();
    (Arc::new(Bundles(sender)), seen)
}

async fn kinds(seen: &mut mpsc::UnboundedReceiver<Vec<Outgoing>>) -> Vec<MessageKind> {
    let delivery = tokio::time::timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
    delivery.iter().map(|outgoing| outgoing.message.kind).collect()
}

#[tokio::test]
async fn in_quiet_times_pages_pass_at_once_and_the_rest_comes_together_afterwards() {
    // The tests' clock begins at 08:00.
    let times = Some(vec![Times::parse("06:00", "10:00").unwrap()]);
    let period = Period { times, ..Period::always(jiff::tz::TimeZone::UTC) };
    let mute = vec![Arc::new(TimeInterval { name: "morning".to_owned(), periods: vec![period] })];
    let (slack, mut seen) = bundles();
    let mut bench = Bench::start_calmly(Calm { quiet: Schedule { active: Vec::new(), mute }, repeats: None }, slack);
    for number in 0..3 {
        bench.tell(number, &["on-call/slack"], MessageKind::Firing).await;
    }
    bench.tell(0, &["on-call/slack"], MessageKind::Resolved).await;
    let channel = Channel::new("on-call/slack", Audience::Everything);
    let policy = Policy { receivers: BTreeMap::from([("on-call".to_owned(), vec![channel])]), ..Policy::default() };
    let error = ActionRenderError::Empty { field: "name".to_owned(), template: "{{ $labels.x }}".to_owned() };
    let refused = HealRequest { ladder: Err(error), ..request("broken", "web-9") };
    bench.store.ingest(Arc::new(policy), vec![sighting(alert(9), [refused])], bench.clock.now()).await.unwrap();
    bench.wake.notify_one();
    assert_eq!(kinds(&mut seen).await, [MessageKind::Suppressed], "a page passes what waits");
    bench.result().await;
    bench.all_wait_until(at(2 * 3600 * 1000)).await;
    bench.turn_clock(Duration::from_hours(2));
    let together = kinds(&mut seen).await;
    assert_eq!((together.len(), together[3]), (4, MessageKind::Resolved), "{together:?}");
    for _ in 0..4 {
        assert_eq!(bench.result().await.1, Delivery::Sent);
    }
    assert_eq!(bench.end().await, OutboxCounts::default());
}

#[tokio::test]
async fn repeats_of_one_story_become_one_message_at_the_end_of_the_window() {
    let repeats = Some(Repeats { after: 2, within: Duration::from_hours(1) });
    let (slack, mut seen) = bundles();
    let mut bench = Bench::start_calmly(Calm { repeats, ..Calm::default() }, slack);
    for round in 0..5 {
        bench.tell(1, &["on-call/slack"], MessageKind::Firing).await;
        bench.turn_clock(Duration::from_mins(1));
        bench.tell(1, &["on-call/slack"], MessageKind::Resolved).await;
        if round < 2 {
            assert_eq!(kinds(&mut seen).await, [MessageKind::Firing]);
            assert_eq!(kinds(&mut seen).await, [MessageKind::Resolved]);
            bench.result().await;
            bench.result().await;
        } else {
            bench.all_wait_until(at(3600 * 1000)).await;
        }
        bench.turn_clock(Duration::from_mins(7));
    }
    // Only what was kept for later is still there.
    bench.turn_clock(Duration::from_mins(20));
    let together = kinds(&mut seen).await;
    assert_eq!(together.len(), 6, "three times, told together: {together:?}");
    for _ in 0..6 {
        assert_eq!(bench.result().await.1, Delivery::Sent);
    }
    assert_eq!(bench.end().await, OutboxCounts::default());
}

#[tokio::test]
async fn a_dead_letter_waits_for_somebody_who_sends_it_again_or_discards_it() {
    let never = || Err(NotifyError::Permanent { error: "no_service".to_owned() });
    let (slack, mut seen) = told(vec![never(), never()]);
    let mut bench = Bench::start([("on-call/slack", slack)]);
    for number in 0..2 {
        bench.tell(number, &["on-call/slack"], MessageKind::Firing).await;
        assert_eq!(bench.result().await.1, Delivery::Dead);
    }
    let letters = bench.store.dead_letters(10).await.unwrap();
    let first = next(&mut seen).await;
    assert_eq!((letters.len(), letters[0].id, letters[0].heal), (2, first.id, first.message.heal.id));
    assert_eq!((letters[0].event.as_str(), letters[0].tries, letters[0].error.as_str()), ("firing", 1, "no_service"));
    let backlog = bench.store.backlogs().await.unwrap();
    assert_eq!(backlog["on-call/slack"], OutboxCounts { waiting: 0, dead: 2 });

    // A day later: an old letter that is sent again is not given up at once.
    bench.turn_clock(Duration::from_hours(48));
    let settle = |id, order| bench.store.settle_dead_letters(id, order, bench.clock.now());
    assert_eq!(settle(Some(Uuid::nil()), DeadOrder::Retry).await.unwrap(), 0);
    assert_eq!(settle(Some(letters[0].id), DeadOrder::Retry).await.unwrap(), 1);
    assert_eq!(settle(None, DeadOrder::Discard).await.unwrap(), 1);
    bench.wake.notify_one();
    assert_eq!(bench.result().await.1, Delivery::Sent);
    assert_eq!(bench.store.dead_letters(10).await.unwrap(), []);
    assert_eq!(bench.end().await, OutboxCounts::default());
}
