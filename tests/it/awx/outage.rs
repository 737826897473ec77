//! An AWX that hangs: whom it holds up, what is seen of it, and how it ends.

use std::time::Duration;

use serde_json::json;

use super::stories::{RULE, Scene, body};
use crate::support::awx::{AwxServer, Job, TOKEN};
use crate::support::daemon::{alert, delivery, eventually};
use crate::support::wait;

#[test]
fn a_server_that_hangs_holds_up_nobody_else_and_is_asked_again_by_itself() {
    let scene = Scene::set();
    let other = wait(AwxServer::start());
    let servers = format!(
        "  servers: [{{name: other, address: '{}', token: '${{AWX_TOKEN}}', jobStatusCheckInterval: 30ms}}]\nlimits:",
        other.url()
    );
    // More launches hang than may begin in an hour or run at once.
    let config = scene.config().replace("{concurrent: 1000, perHour: 100000}", "{concurrent: 4, perHour: 6}");
    let rules = RULE.replace("template:", "server: default\n    template:")
        + r"
- metadata: {name: elsewhere}
  labels: {alertname: ^DiskFull$}
  awxJob: {server: other, template: Restart anywhere, limit: web1}
";
    let home = scene.home(&rules);
    home.write("autoheal.yml", &config.replace("limits:", &servers));
    home.secrets(&format!("AWX_TOKEN={TOKEN}\nSLACK={}\n", scene.slack.url()));
    let daemon = home.start();
    scene.awx.world().faults.hangs = true;
    for host in 0..10 {
        assert_eq!(daemon.post(body("firing", &format!("host-{host}"))), Some(202));
    }
    let up = |value: u8| {
        daemon.text("/metrics").contains(&format!("autoheal_service_up{{service=\"awx/default\"}} {value}"))
    };
    eventually("the outage is seen", || up(0));
    let status = daemon.json("/api/v1/status");
    let services = status["services"].to_string();
    assert!(services.contains("awx/default") && services.contains("no answer within 2s; it may hang"), "{status}");
    eventually("each launch has been put off", || {
        let heals = daemon.heals();
        heals.len() == 10 && heals.iter().all(|heal| heal["reason"].as_str().unwrap().contains("could not be tried"))
    });
    let asked = scene.awx.world().calls.len();
    assert!(asked < 10, "{asked} requests to a server that hangs");

    let disk = delivery(&[alert("firing", &json!({"alertname": "DiskFull"}), Duration::ZERO)]);
    assert_eq!(daemon.post(disk), Some(202));
    eventually("the other server's job has run", || other.world().jobs.values().any(Job::is_final));

    scene.awx.world().faults.hangs = false;
    eventually("it is found well again", || up(1));
    // One of the six was the other server's.
    eventually("what may be launched is launched", || scene.awx.world().jobs.len() == 5);
    let world = scene.awx.world();
    let limits: std::collections::BTreeSet<_> = world.jobs.values().map(|job| job.limit.clone()).collect();
    assert_eq!((limits.len(), world.launches()), (5, 5), "none twice");
    drop(world);
    let acted: Vec<_> = daemon.heals().into_iter().filter(|heal| heal["attempt"] != 0).collect();
    assert!(acted.iter().all(|heal| heal["attempt"] == 1), "{acted:?}");
}
