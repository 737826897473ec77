//! `kill -9` just before and just after every commit of a heal that launches a job: one job, whatever happens.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::awx::{AwxServer, Fault, TOKEN, World};
use crate::support::crash::{Call, Caller, Fuse, Mortal, Orders, Side, child as life_of, obey};
use crate::support::daemon::{Home, PATIENCE, alert, delivery};
use crate::support::wait;

/// Not a test: the life of a daemon with a fuse.
#[test]
fn child() {
    obey();
}

const CHILD: &str = "awx::crash::child";

/// What is told while processes die.
#[derive(Clone, Copy)]
struct Tale {
    /// The rule's job.
    job: &'static str,
    prepare: fn(&mut World),
    end: End,
}

/// How it ends, whoever dies on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Healed,
    /// A human is told, and the job is stopped.
    Suppressed,
    /// A person cancels while the job runs.
    Cancelled,
}

fn home(awx: &AwxServer, job: &str) -> Home {
    let config = format!(
        "awx: {{address: '{}', token: '${{AWX_TOKEN}}', jobStatusCheckInterval: 30ms, timeouts: {{launch: 1s, lostAnswer: 1s}}}}\n",
        awx.url()
    );
    let rules = format!(
        "rules:\n- metadata: {{name: restart-service}}\n  labels: {{alertname: InstanceDown}}\n  awxJob: {{{job}}}\n"
    );
    let home = Home::new(&config, &rules);
    home.secrets(&format!("AWX_TOKEN={TOKEN}\n"));
    home
}

/// Whether the tale goes on with the next chapter.
fn goes_on(end: End, chapter: u32, address: std::net::SocketAddr, caller: &Caller, awx: &AwxServer) -> bool {
    let heals = |state: &str| caller.look(address, "/api/v1/status").is_some_and(|now| now["heals"][state] == 1);
    let post = |status| {
        let body = delivery(&[alert(status, &json!({"alertname": "InstanceDown"}), Duration::ZERO)]);
        caller.post(address, body) == Some(202)
    };
    let cancel = || {
        let heals = caller.look(address, "/api/v1/heals");
        let id = heals.and_then(|heals| heals["heals"][0]["id"].as_str().map(str::to_owned)).unwrap_or_default();
        // The one who died may have committed the order without an answer: a second one is a conflict.
        matches!(caller.order(address, &format!("/api/v1/heals/{id}/cancel")), Some(200 | 409))
    };
    match (end, chapter) {
        (_, 0) => post("firing"),
        (End::Healed, 1) => heals("verifying"),
        (End::Healed, 2) => post("resolved"),
        (End::Healed, _) => heals("healed"),
        (End::Suppressed, 1) => heals("suppressed"),
        (End::Cancelled, 1) => heals("acting") && awx.world().jobs.values().any(|job| job.status == "running"),
        (End::Cancelled, 2) => cancel(),
        (End::Cancelled, 3) => heals("cancelled"),
        _ => true,
    }
}

/// From the alert to the end, with a process that dies at one commit and another one that goes on; answers whether the first
/// one died.
fn tell(fuse: Fuse, tale: Tale) -> bool {
    let awx = wait(AwxServer::start());
    (tale.prepare)(&mut awx.world());
    let (home, caller) = (home(&awx, tale.job), Caller::new());
    let mut life = Mortal::start(life_of(&home, CHILD, &Orders { fuse: Some(fuse), later: 0 }), &home);
    let (began, mut died, mut chapter) = (Instant::now(), false, 0);
    while chapter < 4 {
        assert!(began.elapsed() < PATIENCE, "stuck in chapter {chapter} after {fuse:?}:\n{}", life.log());
        if life.is_dead() {
            assert!(!died, "the heir died:\n{}", life.log());
            died = true;
            life = Mortal::start(home.command(&["serve"]), &home);
        }
        if let Some(address) = life.address() {
            chapter += u32::from(goes_on(tale.end, chapter, address, &caller, &awx));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let world = awx.world();
    assert_eq!((world.jobs.len(), world.launches()), (1, 1), "after {fuse:?} of {}:\n{}", tale.job, life.log());
    let job = world.jobs.values().next().unwrap();
    let expected = if tale.end == End::Healed { "successful" } else { "canceled" };
    assert_eq!(job.status, expected, "after {fuse:?} of {}:\n{}", tale.job, life.log());
    drop(world);
    // The last commit can be seen from outside before the process has died of it.
    died || !life.ends_well()
}

fn die_everywhere(tale: Tale) {
    // A delivery and its resolve; one beginning; the stages of an attempt; an order.
    let (deliveries, orders) = (1 + usize::from(tale.end == End::Healed), usize::from(tale.end == End::Cancelled));
    let records = if tale.end == End::Suppressed { 2 } else { 3 };
    std::thread::scope(|scope| {
        for (call, least) in
            [(Call::Ingest, deliveries), (Call::AdvanceDue, 1), (Call::Record, records), (Call::Instruct, orders)]
        {
            scope.spawn(move || {
                for side in [Side::Before, Side::After] {
                    let deaths = (1..100).take_while(|number| tell(Fuse { side, call, number: *number }, tale)).count();
                    assert!(deaths >= least, "only {deaths} crashes {side:?} {call:?}");
                }
            });
        }
    });
}

const HEALED: Tale = Tale { job: "template: Restart anywhere", prepare: |_| (), end: End::Healed };

#[test]
fn a_job_that_carries_its_key_is_launched_once() {
    die_everywhere(HEALED);
}

#[test]
fn a_job_that_carries_no_key_is_launched_once() {
    die_everywhere(Tale { job: "template: Restart service, organization: Ops", ..HEALED });
}

#[test]
fn a_job_whose_answer_is_lost_as_well_is_launched_once() {
    die_everywhere(Tale { prepare: |world| world.faults.launches = vec![Fault::LoseAnswer], ..HEALED });
}

#[test]
fn a_workflow_whose_answer_is_lost_as_well_is_launched_once() {
    let job = "template: Heal web silent, workflow: true";
    die_everywhere(Tale { job, prepare: |world| world.faults.launches = vec![Fault::LoseAnswer], ..HEALED });
}

#[test]
fn a_job_of_which_awx_ignored_something_is_stopped_and_not_launched_again() {
    let prepare = |world: &mut World| {
        world.pace.queue = Duration::from_hours(1);
        world.named("Restart anywhere").fickle = Some("limit");
    };
    die_everywhere(Tale { job: "template: Restart anywhere, limit: web1", prepare, end: End::Suppressed });
}

#[test]
fn a_job_that_a_person_cancels_is_stopped_and_not_launched_again() {
    die_everywhere(Tale { prepare: |world| world.pace.run = Duration::from_hours(1), end: End::Cancelled, ..HEALED });
}
