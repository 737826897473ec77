//! `kill -9` just before and just after every single commit of a heal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use autoheal::clock::{Clock, SystemClock};
use autoheal::domain::heal::{Heal, Outcome};
use autoheal::store::{HealQuery, OutboxCounts, Store};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::CHILD;
use crate::support::crash::{Call, Caller, Fuse, LastWords, Mortal, Orders, Side, child, post_mortem};
use crate::support::daemon::{Home, PATIENCE, alert, delivery};
use crate::support::engine::{Container, Engine, Recipe};
use crate::support::slack::SlackServer;
use crate::support::smtp::{Pki, SmtpServer, header};

/// What the container is like when its alert fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patient {
    Stopped,
    Running,
}

/// Who goes on after a crash. A container's own times cannot be moved, so only one that never ran can be found later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heir {
    /// The real program, at once.
    AtOnce,
    /// The same daemon without a fuse, minutes later by its clock: every lease, claim and deadline has passed.
    Later,
}

/// Longer than a claim, a lease, and an attempt's deadline with its watchdog; shorter than the verification.
const LATER: u64 = 300;
const MINUTE: u64 = 61;

const RULES: &str = "
rules:
- metadata: {name: restart-service}
  labels: {alertname: InstanceDown}
  steps:
  - restartContainer: {name: '{{ $labels.container }}', stopTimeout: 5s}
    attempts: 3
    backoff: {initial: 1s}
    verify: {within: 10m}
";

/// The world around one daemon.
struct World {
    runtime: Runtime,
    engine: Engine,
    slack: SlackServer,
    smtp: SmtpServer,
    pki: Pki,
    caller: Caller,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let pki = Pki::new("localhost");
        let smtp = SmtpServer::start(&pki, &[]);
        let slack = runtime.block_on(SlackServer::start([]));
        Self { engine: Engine::get(), slack, smtp, pki, caller: Caller::new(), runtime }
    }

    fn home(&self) -> Home {
        let config = format!(
            "docker: {{hosts: [{{name: local, address: '{engine}'}}]}}\n\
             receivers:\n\
             - name: on-call\n  \
               slack: {{webhookUrl: '${{SLACK}}'}}\n  \
               email: {{to: oncall@example.com, from: autoheal@example.com, smarthost: 'localhost:{port}', tls: {{caFile: '{ca}'}}}}\n\
             defaultReceivers: [on-call]\n",
            engine = self.engine.address,
            port = self.smtp.port,
            ca = self.pki.path("ca.pem").display(),
        );
        let home = Home::new(&config, RULES);
        home.secrets(&format!("SLACK={}\n", self.slack.url()));
        home
    }

    fn patient(&self, patient: Patient) -> Container {
        let recipe = match patient {
            Patient::Stopped => Recipe::idle().not_started(),
            Patient::Running => Recipe::idle(),
        };
        self.runtime.block_on(self.engine.run(recipe))
    }
}

/// How far the story has been told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chapter {
    /// The alert fires; told until somebody says 202, then never again.
    Firing,
    /// The alert resolves as soon as that is waited for.
    Healing,
    /// It has resolved; told until somebody says 202.
    Resolving,
    /// Everybody has been told.
    Telling,
}

/// One heal, from its alert to its last message, over the lives of several processes.
struct Story<'w> {
    world: &'w World,
    home: Home,
    container: Container,
    chapter: Chapter,
}

impl Story<'_> {
    /// Plays Alertmanager until the story is over (`true`) or the process has died.
    fn play(&mut self, daemon: &mut Mortal, until_messages_are_sent: bool) -> bool {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "stuck at {:?}:\n{}", self.chapter, daemon.log());
            if daemon.is_dead() {
                return false;
            }
            if let Some(address) = daemon.address() {
                let post = |status| self.world.caller.post(address, self.delivery(status)) == Some(202);
                let status = || self.world.caller.look(address, "/api/v1/status");
                let goes_on = match self.chapter {
                    Chapter::Firing => post("firing").then_some(Chapter::Healing),
                    Chapter::Healing => {
                        status().is_some_and(|now| now["heals"]["verifying"] == 1).then_some(Chapter::Resolving)
                    }
                    Chapter::Resolving => post("resolved").then_some(Chapter::Telling),
                    Chapter::Telling => {
                        let is_over = |now: Value| {
                            now["heals"]["healed"] == 1 && (!until_messages_are_sent || now["outbox"]["waiting"] == 0)
                        };
                        if status().is_some_and(is_over) {
                            return true;
                        }
                        None
                    }
                };
                self.chapter = goes_on.unwrap_or(self.chapter);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn delivery(&self, status: &str) -> String {
        let labels = json!({"alertname": "InstanceDown", "container": self.container.name});
        delivery(&[alert(status, &labels, Duration::ZERO)])
    }

    /// Tells the story with a process that dies at one commit; answers its last words, or `None` when it
    /// reached the end.
    fn tell(&mut self, fuse: Fuse, heir: Heir) -> Option<LastWords> {
        let orders = Orders { fuse: Some(fuse), later: 0 };
        let mut first = Mortal::start(child(&self.home, CHILD, &orders), &self.home);
        // The last commit can be seen from outside before the process has died of it.
        if self.play(&mut first, true) && first.ends_well() {
            return None;
        }
        let last_words = LastWords::read(&self.home);
        // What the dead process had claimed belongs to it for another minute.
        let waits = heir == Heir::AtOnce && self.has_claimed_messages();
        let mut second = match heir {
            Heir::AtOnce => Mortal::start(self.home.command(&["serve"]), &self.home),
            Heir::Later => later(&self.home, LATER),
        };
        let third = waits.then(|| {
            assert!(self.play(&mut second, false), "the heir died:\n{}", second.log());
            second.stop();
            later(&self.home, MINUTE)
        });
        let mut last = third.unwrap_or(second);
        assert!(self.play(&mut last, true), "the heir died:\n{}", last.log());
        last.kill();
        Some(last_words)
    }

    fn has_claimed_messages(&self) -> bool {
        self.world.runtime.block_on(async {
            let (store, now) = (post_mortem(&self.home.store()).await, SystemClock.now());
            let (_, next_due) = store.claim_messages(0, now).await.unwrap();
            store.close().await;
            next_due.is_some_and(|due| due > now)
        })
    }

    fn check(&self, patient: Patient, before: &(i64, String), fuse: Fuse, crash: Option<&LastWords>) {
        let runtime = &self.world.runtime;
        let (starts, restarts) =
            runtime.block_on(async { (self.container.times("start").await, self.container.times("restart").await) });
        let expected = match patient {
            Patient::Stopped => (1, 0),
            // The engine tells a restart as a start as well, and the first start was ours.
            Patient::Running => (2, 1),
        };
        assert_eq!((starts, restarts), expected, "starts and restarts after {fuse:?}");
        assert_ne!(runtime.block_on(self.container.life()), *before, "the container has a new life");

        let (heals, outbox) = runtime.block_on(async {
            let store = post_mortem(&self.home.store()).await;
            let heals = store.heals(HealQuery { limit: 10, ..HealQuery::default() }).await.unwrap();
            let outbox = store.outbox_counts().await.unwrap();
            store.close().await;
            (heals, outbox)
        });
        let [heal] = heals.as_slice() else { panic!("one heal after {fuse:?}: {heals:?}") };
        check_heal(heal, fuse);
        assert_eq!(outbox, OutboxCounts::default(), "after {fuse:?}");
        self.check_messages(fuse, crash);
    }

    /// Each message came once; those that may have been sent by the dead process may have come twice, the same.
    fn check_messages(&self, fuse: Fuse, crash: Option<&LastWords>) {
        let name = &self.container.name;
        let repeats = crash.map_or(0, |crash| crash.under_way as usize);
        let posts = self.world.slack.received().into_iter().map(|body| body.to_string());
        let mut copies: BTreeMap<String, usize> = BTreeMap::new();
        for post in posts.filter(|post| post.contains(name.as_str())) {
            *copies.entry(post).or_default() += 1;
        }
        // The mail server's words come through a pipe: its first mail is waited for.
        let mut mails = vec![self.world.smtp.expect("message")];
        mails.extend(self.world.smtp.events().into_iter().filter(|event| event["event"] == "message"));
        for mail in &mails {
            assert!(mail["plain"].as_str().unwrap().contains(name.as_str()), "{mail}");
        }
        let ids: BTreeSet<_> = mails.iter().flat_map(|mail| header(mail, "Message-ID")).collect();
        // The chat hears of the start and the end, the mailbox of the end.
        assert_eq!((copies.len(), ids.len()), (2, 1), "distinct messages after {fuse:?}: {copies:#?} {mails:#?}");
        let extra = copies.values().sum::<usize>() - 2 + mails.len() - 1;
        assert!(extra <= repeats, "{extra} messages too many after {fuse:?}: {copies:#?} {mails:#?}");
    }
}

/// A daemon without a fuse whose clock is ahead.
fn later(home: &Home, seconds: u64) -> Mortal {
    Mortal::start(child(home, CHILD, &Orders { fuse: None, later: seconds }), home)
}

fn check_heal(heal: &Heal, fuse: Fuse) {
    let story: Vec<_> = heal.timeline.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(heal.outcome(), Some(Outcome::Healed), "after {fuse:?}: {story:?}");
    assert_eq!(heal.steps[0].attempts_used, 1, "after {fuse:?}: {story:?}");
    let without_takeover: Vec<_> = story.iter().copied().filter(|what| *what != "taken over").collect();
    let expected = ["firing", "acting", "looked", "started", "action done", "verifying", "resolved", "healed"];
    assert_eq!(without_takeover, expected, "after {fuse:?}");
    assert!(story.len() - without_takeover.len() <= 1, "after {fuse:?}: {story:?}");
    assert!(heal.timeline.is_sorted_by_key(|entry| entry.at), "after {fuse:?}: {:?}", heal.timeline);
}

/// Dies at the first, second, … commit of one kind until a process lives to tell the whole story; answers how often.
fn die_at_every(call: Call, side: Side, patient: Patient, heir: Heir, world: &World) -> u32 {
    for number in 1.. {
        let container = world.patient(patient);
        let before = world.runtime.block_on(container.life());
        let mut story = Story { world, home: world.home(), container, chapter: Chapter::Firing };
        let fuse = Fuse { side, call, number };
        let crash = story.tell(fuse, heir);
        story.check(patient, &before, fuse, crash.as_ref());
        if crash.is_none() {
            return number - 1;
        }
    }
    unreachable!("no story has that many commits")
}

fn die_everywhere(patient: Patient, heir: Heir) {
    // What the story of one heal commits at least: two deliveries, one beginning, three stages of an attempt, and two
    // messages to the chat with one to the mailbox, which come in two rounds.
    let least = [
        (Call::Ingest, 2),
        (Call::AdvanceDue, 1),
        (Call::Record, 3),
        (Call::ClaimMessages, 2),
        (Call::MessageResult, 3),
    ];
    // All at once: most of the time is the container's, which must run for a while to be believed.
    std::thread::scope(|scope| {
        for (call, least) in least {
            scope.spawn(move || {
                let world = World::new();
                for side in [Side::Before, Side::After] {
                    let died = die_at_every(call, side, patient, heir, &world);
                    assert!(died >= least, "only {died} crashes {side:?} {call:?}");
                }
            });
        }
    });
}

#[test]
fn a_stopped_container_is_started_once() {
    die_everywhere(Patient::Stopped, Heir::AtOnce);
}

#[test]
fn a_running_container_is_restarted_once() {
    die_everywhere(Patient::Running, Heir::AtOnce);
}

#[test]
fn a_stopped_container_is_started_once_also_after_a_long_outage() {
    die_everywhere(Patient::Stopped, Heir::Later);
}
