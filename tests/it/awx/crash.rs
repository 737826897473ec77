//! `kill -9` just before and just after every commit of a heal that launches a job: one job, whatever happens.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::awx::{AwxServer, Fault, TOKEN};
use crate::support::crash::{Call, Caller, Fuse, Mortal, Orders, Side, child as life_of, obey};
use crate::support::daemon::{Home, PATIENCE, alert, delivery};
use crate::support::wait;

/// Not a test: the life of a daemon with a fuse.
#[test]
fn child() {
    obey();
}

const CHILD: &str = "awx::crash::child";

fn home(awx: &AwxServer, template: &str) -> Home {
    let config = format!(
        "awx: {{address: '{}', token: '${{AWX_TOKEN}}', jobStatusCheckInterval: 30ms, timeouts: {{launch: 1s, lostAnswer: 1s}}}}\n",
        awx.url()
    );
    let rules = format!(
        "rules:\n- metadata: {{name: restart-service}}\n  labels: {{alertname: InstanceDown}}\n  awxJob: {{template: {template}, organization: Ops}}\n"
    );
    let home = Home::new(&config, &rules);
    home.secrets(&format!("AWX_TOKEN={TOKEN}\n"));
    home
}

/// From the alert to the verified heal, with a process that dies at one commit and another one that goes on; answers
/// whether the first one died.
fn tell(fuse: Fuse, template: &str, fault: Fault) -> bool {
    let awx = wait(AwxServer::start());
    awx.world().faults.launches = vec![fault];
    let (home, caller) = (home(&awx, template), Caller::new());
    let mut life = Mortal::start(life_of(&home, CHILD, &Orders { fuse: Some(fuse), later: 0 }), &home);
    let (began, mut died, mut chapter) = (Instant::now(), false, 0);
    let body = |status| delivery(&[alert(status, &json!({"alertname": "InstanceDown"}), Duration::ZERO)]);
    while chapter < 4 {
        assert!(began.elapsed() < PATIENCE, "stuck in chapter {chapter} after {fuse:?}:\n{}", life.log());
        if life.is_dead() {
            assert!(!died, "the heir died:\n{}", life.log());
            died = true;
            life = Mortal::start(home.command(&["serve"]), &home);
        }
        if let Some(address) = life.address() {
            let heals =
                |state: &str| caller.look(address, "/api/v1/status").is_some_and(|now| now["heals"][state] == 1);
            let goes_on = match chapter {
                0 => caller.post(address, body("firing")) == Some(202),
                1 => heals("verifying"),
                2 => caller.post(address, body("resolved")) == Some(202),
                _ => heals("healed"),
            };
            chapter += i32::from(goes_on);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let world = awx.world();
    assert_eq!((world.jobs.len(), world.launches()), (1, 1), "after {fuse:?} of {template}:\n{}", life.log());
    drop(world);
    // The last commit can be seen from outside before the process has died of it.
    died || !life.ends_well()
}

fn die_everywhere(template: &str, fault: Fault) {
    // A delivery and its resolve; one beginning; three stages of an attempt.
    std::thread::scope(|scope| {
        for (call, least) in [(Call::Ingest, 2), (Call::AdvanceDue, 1), (Call::Record, 3)] {
            scope.spawn(move || {
                for side in [Side::Before, Side::After] {
                    let deaths = (1..100)
                        .take_while(|number| tell(Fuse { side, call, number: *number }, template, fault))
                        .count();
                    assert!(deaths >= least, "only {deaths} crashes {side:?} {call:?}");
                }
            });
        }
    });
}

#[test]
fn a_job_that_carries_its_key_is_launched_once() {
    die_everywhere("Restart anywhere", Fault::None);
}

#[test]
fn a_job_that_carries_no_key_is_launched_once() {
    die_everywhere("Restart service", Fault::None);
}

#[test]
fn a_job_whose_answer_is_lost_as_well_is_launched_once() {
    die_everywhere("Restart anywhere", Fault::LoseAnswer);
}
