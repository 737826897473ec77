//! The real program with the small AWX: from an alert to a verified heal, and what happens when AWX is not well.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::awx::{AwxServer, Pace, Play, TOKEN};
use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};
use crate::support::slack::SlackServer;
use crate::support::wait;

pub const RULE: &str = r#"
rules:
- metadata: {name: restart-service}
  labels: {alertname: ^InstanceDown$}
  awxJob:
    template: Restart anywhere
    limit: "{{ $labels.instance | stripPort }}"
    extraVars: {service: "{{ $labels.job }}"}
"#;

pub struct Scene {
    pub awx: AwxServer,
    pub slack: SlackServer,
}

impl Scene {
    pub fn set() -> Self {
        Self { awx: wait(AwxServer::start()), slack: wait(SlackServer::start([])) }
    }

    pub fn config(&self) -> String {
        format!(
            "awx:\n  address: '{url}'\n  token: '${{AWX_TOKEN}}'\n  project: ops-playbooks\n  jobStatusCheckInterval: 30ms\n  \
             timeouts: {{request: 2s, launch: 2s, lostAnswer: 1s}}\n\
             limits: {{concurrent: 1000, perHour: 100000}}\n\
             receivers: [{{name: on-call, slack: {{webhookUrl: '${{SLACK}}', apiUrl: '{slack}'}}}}]\n\
             defaultReceivers: [on-call]\n",
            url = self.awx.url(),
            slack = self.slack.api(),
        )
    }

    pub fn home(&self, rules: &str) -> Home {
        let home = Home::new(&self.config(), rules);
        home.secrets(&format!("AWX_TOKEN={TOKEN}\nSLACK={}\n", self.slack.url()));
        home
    }
}

pub fn body(status: &str, instance: &str) -> String {
    let labels = json!({"alertname": "InstanceDown", "instance": format!("{instance}:9100"), "job": "ui"});
    delivery(&[alert(status, &labels, Duration::ZERO)])
}

pub fn story(heal: &Value) -> Vec<(String, String)> {
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    heal["timeline"].as_array().unwrap().iter().map(|entry| (text(entry, "what"), text(entry, "reason"))).collect()
}

pub fn heal(daemon: &Daemon) -> Value {
    let id = daemon.heals()[0]["id"].as_str().unwrap().to_owned();
    daemon.json(&format!("/api/v1/heals/{id}"))
}

#[test]
fn an_alert_launches_a_job_which_heals() {
    let scene = Scene::set();
    let home = scene.home(RULE);
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    daemon.wait_for_state("verifying");
    assert_eq!(daemon.post(body("resolved", "web1")), Some(202));
    let healed = daemon.wait_for_state("healed");
    assert_eq!(healed["target"], "awx:default/Restart anywhere/web1/service=ui");
    let told = story(&healed);
    let whats: Vec<_> = told.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(whats, ["firing", "acting", "looked", "started", "action done", "verifying", "resolved", "healed"]);
    let page = scene.awx.url().replace("/api", "/#/jobs/playbook/2");
    assert_eq!(told[3].1, format!("launched AWX job 2 ({page})"));
    assert!(told[4].1.contains("hosts: 1 changed; output ends: "), "{}", told[4].1);
    let world = scene.awx.world();
    assert_eq!((world.jobs.len(), world.jobs[&2].limit.as_str()), (1, "web1"));
    assert_eq!(world.jobs[&2].extra_vars["alert"]["labels"]["instance"], "web1:9100");
    assert!(daemon.text("/metrics").contains("autoheal_service_up{service=\"awx/default\"} 1"));
}

#[test]
fn a_failed_job_leads_to_the_next_step_and_its_message_to_the_people() {
    let scene = Scene::set();
    scene.awx.world().named("Fails on web2").play = Play::Fails { host: "web2", message: "disk still full on web2" };
    let rules = r#"
rules:
- metadata: {name: restart-service}
  labels: {alertname: ^InstanceDown$}
  steps:
  - awxJob: {template: Fails on web2, limit: "{{ $labels.instance | stripPort }}"}
  - awxJob: {template: Restart anywhere, limit: "{{ $labels.instance | stripPort }}"}
"#;
    let home = scene.home(rules);
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web2")), Some(202));
    let verifying = daemon.wait_for_state("verifying");
    let told = story(&verifying);
    let failed = told.iter().find(|(what, _)| what == "action failed").expect("the first step failed");
    assert!(failed.1.contains("web2, task «fails on web2»: disk still full on web2"), "{}", failed.1);
    assert_eq!(scene.awx.world().jobs.len(), 2);
    eventually("people are told what failed", || {
        scene.slack.received().iter().any(|post| post.to_string().contains("disk still full on web2"))
    });
}

#[test]
fn a_limit_that_an_alert_would_widen_is_refused_and_pages() {
    let scene = Scene::set();
    let home = scene.home(&RULE.replace(" | stripPort", ""));
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    let refused = daemon.wait_for_state("suppressed");
    assert!(refused["reason"].as_str().unwrap().contains("pipe it through stripPort"), "{refused}");
    assert_eq!(scene.awx.world().calls, []);
    eventually("a human is told", || scene.slack.requests() > 0);
}

#[test]
fn a_burst_of_alerts_launches_each_job_once_and_soon() {
    const HOSTS: usize = 300;
    let scene = Scene::set();
    scene.awx.world().pace = Pace { run: Duration::from_millis(300), ..Pace::default() };
    let home = scene.home(RULE);
    let daemon = home.start();
    let alerts: Vec<_> = (0..HOSTS)
        .map(|number| {
            let labels = json!({"alertname": "InstanceDown", "instance": format!("host-{number}:9100"), "job": "ui"});
            alert("firing", &labels, Duration::ZERO)
        })
        .collect();
    assert_eq!(daemon.post(delivery(&alerts)), Some(202));
    eventually("every job is launched", || scene.awx.world().jobs.len() >= HOSTS);
    eventually("every job has ended", || daemon.json("/api/v1/status")["heals"]["verifying"] == HOSTS);
    let world = scene.awx.world();
    assert_eq!((world.jobs.len(), world.launches()), (HOSTS, HOSTS), "none twice");
    let hosts: std::collections::BTreeSet<_> = world.jobs.values().map(|job| job.limit.clone()).collect();
    assert_eq!(hosts.len(), HOSTS);
    // Before each launch the template is asked what it takes, and whether a run of ours is still at it. Nothing else grows.
    let looks = world.calls.iter().filter(|call| call.method == "GET" && call.path.ends_with("/launch/")).count();
    let searches = world.calls.iter().filter(|call| call.query.contains("status__in")).count();
    let lookups = world.calls.iter().filter(|call| call.path.ends_with("/job_templates/")).count();
    assert_eq!((looks, searches), (HOSTS, HOSTS));
    assert_eq!(lookups, 1, "the template's number is remembered");
}

#[test]
fn a_server_that_dies_and_comes_back_costs_no_attempt_and_holds_up_no_other() {
    let mut scene = Scene::set();
    let other = wait(AwxServer::start());
    let config = scene.config().replace(
        "limits:",
        &format!(
            "  servers: [{{name: other, address: '{}', token: '${{AWX_TOKEN}}', jobStatusCheckInterval: 30ms}}]\nlimits:",
            other.url()
        ),
    );
    let rules = RULE.replace("template:", "server: default\n    template:")
        + r"
- metadata: {name: elsewhere}
  labels: {alertname: ^DiskFull$}
  awxJob: {server: other, template: Restart anywhere, limit: web1}
";
    let home = scene.home(&rules);
    home.write("autoheal.yml", &config);
    let daemon = home.start();
    wait(scene.awx.stop());
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    eventually("the first server is missed", || {
        story(&heal(&daemon)).iter().any(|(_, reason)| reason.contains("could not be tried: "))
    });
    let disk = delivery(&[alert("firing", &json!({"alertname": "DiskFull"}), Duration::ZERO)]);
    assert_eq!(daemon.post(disk), Some(202));
    eventually("the other server's job has run", || {
        other.world().jobs.values().any(crate::support::awx::Job::is_final)
    });
    wait(scene.awx.come_back());
    eventually("the job is launched after all", || scene.awx.world().jobs.len() == 1);
    eventually("both are verified", || daemon.json("/api/v1/status")["heals"]["verifying"] == 2);
    let heals = daemon.heals();
    assert!(heals.iter().all(|heal| heal["attempt"] == 1), "{heals:?}");
}

#[test]
fn a_dry_run_asks_awx_nothing() {
    let scene = Scene::set();
    let home = scene.home(RULE).flag("--dry-run");
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    let shadowed = daemon.wait_for_state("shadowed");
    let reason = shadowed["reason"].as_str().unwrap();
    assert!(reason.contains("would run AWX job Restart anywhere limited to web1"), "{reason}");
    assert_eq!(daemon.request("POST", "/hooks/awx").send().unwrap().status().as_u16(), 202);
    assert!(daemon.terminate().success());
    home.write("alert.json", &body("firing", "web2"));
    for verb in [&["plan", "alert.json"][..], &["check"]] {
        let output = home.command(verb).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(scene.awx.world().calls, []);
    // What is asked for is asked, and only asked.
    let output = home.command(&["check", "--online"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let world = scene.awx.world();
    assert!(!world.calls.is_empty() && world.calls.iter().all(|call| call.method == "GET"), "{:?}", world.calls);
}

#[test]
fn a_job_that_awx_took_only_in_part_is_stopped_and_pages() {
    let scene = Scene::set();
    scene.awx.world().pace.queue = Duration::from_mins(1);
    scene.awx.world().named("Restart anywhere").fickle = Some("limit");
    let home = scene.home(RULE);
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    let ended = daemon.wait_for_state("suppressed");
    assert!(ended["reason"].as_str().unwrap().contains("AWX ignored limit; it was told to stop at once"), "{ended}");
    let world = scene.awx.world();
    assert_eq!((world.jobs.len(), world.jobs[&2].status), (1, "canceled"));
    drop(world);
    eventually("a human is told", || {
        scene.slack.received().iter().any(|post| post.to_string().contains("AWX ignored limit"))
    });
}

#[test]
fn what_an_alert_says_reaches_the_play_as_text_and_never_as_a_template() {
    let scene = Scene::set();
    let home = scene.home(RULE);
    let daemon = home.start();
    let evil = "{{ lookup('pipe', 'id') }}{% x %}";
    let labels = json!({"alertname": "InstanceDown", "instance": "web1:9100", "job": "ui", "note": evil});
    assert_eq!(daemon.post(delivery(&[alert("firing", &labels, Duration::ZERO)])), Some(202));
    daemon.wait_for_state("verifying");
    let sent = scene.awx.world().jobs[&2].extra_vars["alert"]["labels"]["note"].clone();
    assert_eq!(sent, "{ { lookup('pipe', 'id') }}{ % x %}");
    let labels = json!({"alertname": "InstanceDown", "instance": "web2:9100", "job": evil});
    assert_eq!(daemon.post(delivery(&[alert("firing", &labels, Duration::ZERO)])), Some(202));
    let refused = daemon.wait_for_state("suppressed");
    assert!(refused["reason"].as_str().unwrap().contains("texts of alerts are data"), "{refused}");
    assert_eq!(scene.awx.world().jobs.len(), 1);
}

#[test]
fn awx_may_say_that_jobs_have_changed_when_it_shows_the_token() {
    let scene = Scene::set();
    scene.awx.world().pace.run = Duration::from_hours(1);
    let home = scene.home(RULE).token("a-webhook-token");
    let tokens = "web: {tokens: [{name: awx, token: '${HOOK}', scopes: [webhook]}, {name: boss, token: '${BOSS}', scopes: [admin]}]}\n";
    // By itself it would look seldom.
    let config = scene.config().replace("jobStatusCheckInterval: 30ms", "jobStatusCheckInterval: 10m");
    home.write("autoheal.yml", &format!("{config}{tokens}"));
    home.secrets(&format!("AWX_TOKEN={TOKEN}\nSLACK={}\nHOOK=a-webhook-token\nBOSS=boss\n", scene.slack.url()));
    let daemon = home.start();
    let body = |text: &'static str| {
        move |request: reqwest::blocking::RequestBuilder| request.body(text).send().unwrap().status().as_u16()
    };
    // What it says is not believed: the job goes on.
    let hook = body(r#"{"id": 2, "status": "successful"}"#);
    assert_eq!(daemon.post(self::body("firing", "web1")), Some(202));
    eventually("the job runs", || scene.awx.world().jobs.values().any(|job| job.status == "running"));
    let looks = || scene.awx.world().calls.iter().filter(|call| call.path.ends_with("/unified_jobs/")).count();
    for _ in 0..20 {
        assert_eq!(hook(crate::support::daemon::client().post(daemon.url("/hooks/awx"))), 401);
    }
    assert_eq!(hook(daemon.request("GET", "/hooks/awx")), 405);
    assert!(looks() < 5, "{} looks for strangers", looks());
    // Looking ten times without being told would take minutes.
    eventually("it is looked at when told", || {
        assert_eq!(hook(daemon.request("POST", "/hooks/awx")), 202);
        looks() >= 10
    });
    let daemon = daemon.with_token("boss");
    assert_eq!(daemon.heals()[0]["state"], "acting");
    // What it says while an older look waits for its answer is not forgotten over that answer.
    let before = looks();
    scene.awx.world().pace.answer = Duration::from_secs(1);
    assert_eq!(hook(daemon.request("POST", "/hooks/awx")), 202);
    eventually("a look is under way", || looks() > before);
    scene.awx.world().finish(2);
    scene.awx.world().pace.answer = Duration::ZERO;
    assert_eq!(hook(daemon.request("POST", "/hooks/awx")), 202);
    daemon.wait_for_state("verifying");
}

#[test]
fn check_online_says_what_each_template_lacks_and_launches_nothing() {
    let scene = Scene::set();
    let rules = r#"
rules:
- metadata: {name: fine}
  labels: {alertname: A}
  awxJob: {template: Restart anywhere, limit: "{{ $labels.instance }}", extraVars: {service: "{{ $labels.job }}"}}
- metadata: {name: drops}
  labels: {alertname: B}
  awxJob: {template: Slow job, limit: web1}
- metadata: {name: missing}
  labels: {alertname: C}
  awxJob: {template: Nope}
- metadata: {name: later}
  labels: {alertname: D}
  awxJob: {template: "{{ $labels.job }}"}
"#;
    let home = scene.home(rules);
    let output = home.command(&["check", "--online"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for line in [
        "/api answers, we are alertbot",
        "rule fine, step 1: template «Restart anywhere» is number 30 and takes all the rule sends",
        "error: rule drops, step 1: template «Slow job»: it does not prompt for limit",
        "error: rule missing, step 1: template «Nope»: there is no template «Nope»",
        "rule later, step 1: which template «{{ $labels.job }}» is, is named by alerts",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(scene.awx.world().calls.iter().all(|call| call.method == "GET"));
}
