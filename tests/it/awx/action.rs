//! The action against the small AWX, without a daemon around it.

use std::time::Duration;

use autoheal::action::{Action, Look, Progress, Resumption};
use autoheal::domain::decide::ActionOutcome;
use serde_json::{Value, json};

use super::{action, action_for, assign, assign_for, carry_out, settings, times};
use crate::support::awx::{AwxServer, NOBODY_TOKEN, PASSWORD, Pace, Play, READ_TOKEN, VIEWER_TOKEN, World};

/// Something that happens to the world before a launch.
type Change = fn(&mut World);

/// What went wrong, in words; panics when nothing did.
fn said(outcome: &ActionOutcome) -> &str {
    match outcome {
        ActionOutcome::Refused { error }
        | ActionOutcome::Failed { error }
        | ActionOutcome::Doubtful { error }
        | ActionOutcome::Unreachable { error } => error,
        other => panic!("{other:?}"),
    }
}

fn prompted(limit: &str) -> Value {
    json!({"template": "Restart service prompted", "limit": [limit], "extraVars": {"service": "nginx"}})
}

#[tokio::test]
async fn a_job_is_launched_followed_and_told_with_its_evidence() {
    let server = AwxServer::start().await;
    let assignment = assign(prompted("web1"));
    let outcome = carry_out(&action(&server), &assignment).await;
    let ActionOutcome::Done { what } = outcome else { panic!("{outcome:?}") };
    let page = server.url().replace("/api", "/#/jobs/playbook/2");
    assert!(what.starts_with(&format!("AWX job 2 ({page}) ended successful after ")), "{what}");
    assert!(
        what.contains("; hosts: 1 changed; output ends: PLAY [all] | PLAY RECAP | web1 : ok=2 changed=1"),
        "{what}"
    );
    let world = server.world();
    let job = &world.jobs[&2];
    assert_eq!((job.limit.as_str(), world.jobs.len()), ("web1", 1));
    assert_eq!(job.extra_vars["service"], "nginx");
    assert_eq!(job.extra_vars["autoheal_key"], assignment.attempt.to_string());
    assert_eq!(job.extra_vars["alert"]["labels"], json!({"alertname": "InstanceDown"}));
    assert_eq!(job.extra_vars["alert"]["generatorURL"], "http://prometheus.example/graph");
}

#[tokio::test]
async fn the_plainest_template_is_launched_and_the_alert_left_out_with_a_word() {
    let server = AwxServer::start().await;
    let action = action(&server);
    let assignment = assign(json!({"template": "Restart service", "organization": "Ops"}));
    let Look::Ready { found, .. } = action.look(&assignment).await else { panic!("refused") };
    assert!(found.ends_with("; the template takes no variables, so the alert is not sent along"), "{found}");
    let outcome = carry_out(&action, &assignment).await;
    assert!(matches!(&outcome, ActionOutcome::Done { what } if what.contains("hosts: 3 changed")), "{outcome:?}");
    assert!(server.world().jobs[&2].extra_vars.is_empty());
}

#[tokio::test]
async fn workflows_passwords_and_prefixes_work_as_well() {
    let server = AwxServer::start().await;
    let basic = autoheal::action::awx::AwxAuth::Basic {
        username: autoheal::secret::Secret::new("alertbot"),
        password: autoheal::secret::Secret::new(PASSWORD),
    };
    let action = action_for(autoheal::action::awx::AwxServer { auth: basic, ..settings(&server.prefixed_url(), "") });
    let assignment = assign(json!({"template": "Heal web", "workflow": true, "extraVars": {"service": "nginx"}}));
    let outcome = carry_out(&action, &assignment).await;
    let ActionOutcome::Done { what } = outcome else { panic!("{outcome:?}") };
    assert!(what.contains("/execution/jobs/workflow/2) ended successful"), "{what}");
    assert!(server.world().calls.iter().all(|call| call.path.starts_with("/api/controller/v2/")));
}

/// Rules that must not launch, and what they say.
#[tokio::test]
async fn nothing_is_launched_that_would_miss_its_aim() {
    let nothing = |_: &mut World| {};
    let rows: Vec<(Value, Change, &str)> = vec![
        (
            json!({"template": "Restart service", "organization": "Ops", "limit": ["web1"]}),
            nothing,
            "does not prompt for limit",
        ),
        (json!({"template": "Restart service", "extraVars": {"a": "b"}}), nothing, "does not take the variables a"),
        (json!({"template": "Slow job", "jobTags": "x"}), nothing, "does not prompt for jobTags"),
        (json!({"template": "Slow job", "inventory": "Fleet"}), nothing, "does not prompt for inventory"),
        (json!({"template": "Slow job", "credentials": ["ops-ssh"]}), nothing, "does not prompt for credentials"),
        (json!({"template": "Slow job", "jobType": "check"}), nothing, "does not prompt for jobType"),
        (json!({"template": "Nope"}), nothing, "there is no template «Nope»"),
        (json!({"template": "Restart service", "project": "lab-playbooks"}), nothing, "our user may not see it"),
        (json!({"template": "Survey restart"}), nothing, "survey needs service, count"),
        (
            json!({"template": "Survey restart", "extraVars": {"service": "nginx", "count": 2, "colour": "red"}}),
            nothing,
            "does not take the variables colour",
        ),
        (
            json!({"template": "Survey restart", "extraVars": {"service": "apache", "count": 2}}),
            nothing,
            "expected to be one of",
        ),
        (json!({"template": "No inventory"}), nothing, "no inventory of its own"),
        (json!({"template": "No inventory", "inventory": "Nowhere"}), nothing, "there is no inventory «Nowhere»"),
        (json!({"template": "Heal web", "workflow": true, "limit": ["web1"]}), nothing, "does not prompt for limit"),
        (
            json!({"template": "Restart service"}),
            |world| world.named("Restart service").passwords.push("ssh_password".into()),
            "asks for the passwords ssh_password",
        ),
        (
            json!({"template": "Heal web", "workflow": true}),
            |world| world.named("Heal web").missing_nodes.push(3),
            "repair the workflow",
        ),
    ];
    for (fields, change, expected) in rows {
        let server = AwxServer::start().await;
        change(&mut server.world());
        let outcome = carry_out(&action(&server), &assign(fields.clone())).await;
        assert!(matches!(outcome, ActionOutcome::Refused { .. }), "{fields}: {outcome:?}");
        assert!(said(&outcome).contains(expected), "{fields}: {}", said(&outcome));
        assert!(server.world().jobs.is_empty(), "{fields}");
    }
}

#[tokio::test]
async fn an_ambiguous_name_and_missing_rights_refuse() {
    let server = AwxServer::start().await;
    server.world().templates.iter_mut().find(|template| template.id == 17).unwrap().runners.insert(2);
    let outcome = carry_out(&action(&server), &assign(json!({"template": "Restart service"}))).await;
    assert!(said(&outcome).contains("there are 2 of the name"), "{outcome:?}");
    for (token, expected) in [
        (NOBODY_TOKEN, "there is no template"),
        (VIEWER_TOKEN, "give our user Execute on the template"),
        (READ_TOKEN, "HTTP 403"),
    ] {
        let outcome = carry_out(&action_for(settings(&server.url(), token)), &assign(prompted("web1"))).await;
        assert!(matches!(outcome, ActionOutcome::Refused { .. }) && said(&outcome).contains(expected), "{outcome:?}");
        assert!(
            said(&outcome).matches(" on AWX ").count() == 1 && !said(&outcome).contains(".;"),
            "one sentence: {outcome:?}"
        );
    }
    let outcome = carry_out(&action_for(settings(&server.url(), "revoked")), &assign(prompted("web1"))).await;
    assert!(
        matches!(outcome, ActionOutcome::Unreachable { .. }),
        "the gateway may be wrong, so it costs no attempt: {outcome:?}"
    );
    assert_eq!(said(&outcome).matches(" on AWX ").count(), 1, "{outcome:?}");
    assert!(said(&outcome).contains("check awx.token") && !said(&outcome).contains("revoked"), "{outcome:?}");
    assert!(server.world().jobs.is_empty());
}

#[tokio::test]
async fn what_awx_ignores_after_all_is_cancelled_at_once_and_calls_a_human() {
    let server = AwxServer::start().await;
    server.world().pace = Pace { queue: Duration::from_mins(1), ..Pace::default() };
    server.world().named("Restart service prompted").fickle = Some("limit");
    let outcome = carry_out(&action(&server), &assign(prompted("web1"))).await;
    assert!(matches!(outcome, ActionOutcome::Doubtful { .. }), "{outcome:?}");
    assert!(said(&outcome).contains("AWX ignored limit; it was told to stop at once"), "{outcome:?}");
    assert_eq!(server.world().jobs[&2].status, "canceled");
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_one_job() {
    use crate::support::awx::Fault;
    for template in ["Restart service prompted", "Fails on web2", "Restart service"] {
        for fault in [Fault::LoseAnswer, Fault::LateHang] {
            let server = AwxServer::start().await;
            server.world().faults.launches = vec![fault];
            let limit = if template == "Restart service" { json!([]) } else { json!(["web1"]) };
            let outcome = carry_out(&action(&server), &assign(json!({"template": template, "limit": limit}))).await;
            assert!(matches!(outcome, ActionOutcome::Done { .. }), "{template}, {fault:?}: {outcome:?}");
            let world = server.world();
            assert_eq!((world.jobs.len(), world.launches()), (1, 1), "{template}, {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_launch_that_never_arrived_is_waited_out_before_it_may_be_repeated() {
    use crate::support::awx::Fault;
    for fault in [Fault::Hang, Fault::Refuse(502), Fault::Refuse(500)] {
        let server = AwxServer::start().await;
        server.world().faults.launches = vec![fault];
        let action = action(&server);
        let began = std::time::Instant::now();
        let outcome = carry_out(&action, &assign(prompted("web1"))).await;
        assert!(matches!(outcome, ActionOutcome::Unreachable { .. }), "{fault:?}: {outcome:?}");
        assert!(said(&outcome).contains("no job came of it"), "{outcome:?}");
        assert!(began.elapsed() >= times().lost_answer);
        let again = carry_out(&action, &assign(prompted("web1"))).await;
        assert!(matches!(again, ActionOutcome::Done { .. }), "{again:?}");
        assert_eq!(server.world().jobs.len(), 1);
    }
}

#[tokio::test]
async fn two_jobs_that_could_be_ours_are_left_to_a_human() {
    let server = AwxServer::start().await;
    server.world().pace.is_still = true;
    let (ours, other) = (action(&server), action(&server));
    let (first, second) =
        (assign(json!({"template": "Restart service"})), assign(json!({"template": "Restart service"})));
    let Look::Ready { handle, .. } = ours.look(&first).await else { panic!("refused") };
    let Look::Ready { handle: of_other, .. } = other.look(&second).await else { panic!("refused") };
    for _ in 0..2 {
        other.start(&second, &of_other).await.unwrap();
    }
    let resumed = ours.resume(&first, &handle).await.unwrap_err();
    assert!(matches!(resumed, ActionOutcome::Doubtful { .. }), "{resumed:?}");
    assert!(said(&resumed).contains("2 jobs could be the one (2, 3)"), "{resumed:?}");
}

#[tokio::test]
async fn after_a_crash_a_launched_job_is_adopted_and_one_never_launched_is_launched() {
    let server = AwxServer::start().await;
    let action = action(&server);
    let assignment = assign(prompted("web1"));
    let Look::Ready { handle, .. } = action.look(&assignment).await else { panic!("refused") };
    assert_eq!(action.resume(&assignment, &handle).await, Ok(Resumption::Start));
    action.start(&assignment, &handle).await.unwrap();
    let Ok(Resumption::Follow { handle, what }) = action.resume(&assignment, &handle).await else {
        panic!("not found")
    };
    assert!(what.starts_with("AWX job 2 had been launched before"), "{what}");
    assert!(matches!(action.poll(&assignment, &handle).await, Progress::Over(ActionOutcome::Done { .. })));
    assert_eq!(server.world().jobs.len(), 1);
}

#[tokio::test]
async fn a_job_of_ours_that_still_runs_keeps_the_next_one_back() {
    let server = AwxServer::start().await;
    server.world().pace.is_still = true;
    let action = action(&server);
    let assignment = assign(prompted("web1"));
    let Look::Ready { handle, .. } = action.look(&assignment).await else { panic!("refused") };
    action.start(&assignment, &handle).await.unwrap();
    let Look::Over(outcome) = action.look(&assign(prompted("web1"))).await else { panic!("launched twice") };
    assert!(
        matches!(outcome, ActionOutcome::Unreachable { .. }) && said(&outcome).contains("job 2 of ours still runs"),
        "{outcome:?}"
    );
    let elsewhere = action.look(&assign(prompted("db1"))).await;
    assert!(matches!(elsewhere, Look::Ready { .. }), "another host is another matter");
}

#[tokio::test]
async fn every_end_of_a_job_is_told_as_what_it_is() {
    let rows: Vec<(&str, Change, &str)> = vec![
        (
            "web2",
            |world| {
                world.named("Restart service prompted").play =
                    Play::Fails { host: "web2", message: "disk still full on web2" }
            },
            "hosts: 1 failed; web2, task «fails on web2»: disk still full on web2; output ends:",
        ),
        ("web1", |world| world.named("Restart service prompted").play = Play::Broken, "AWX could not run it after"),
        (
            "web1",
            |world| world.named("Restart service prompted").play = Play::NoHosts,
            "ended successful, but no host matched, so nothing was done",
        ),
        ("nosuchhost", |_| {}, "Could not match supplied host pattern, ignoring: nosuchhost"),
    ];
    for (limit, change, words) in rows {
        let server = AwxServer::start().await;
        change(&mut server.world());
        let outcome = carry_out(&action(&server), &assign(prompted(limit))).await;
        assert!(matches!(outcome, ActionOutcome::Failed { .. }) && said(&outcome).contains(words), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_cancelled_and_followed_to_its_end() {
    for (pace, words) in [
        (Pace { run: Duration::from_mins(10), ..Pace::default() }, "was cancelled because it ran for"),
        (Pace { task_service_down: true, ..Pace::default() }, "was cancelled because it was still queued after"),
    ] {
        let server = AwxServer::start().await;
        server.world().pace = pace;
        let outcome = carry_out(&action(&server), &assign_for(prompted("web1"), Duration::from_millis(2500))).await;
        assert!(matches!(outcome, ActionOutcome::Failed { .. }) && said(&outcome).contains(words), "{outcome:?}");
        assert_eq!(server.world().jobs[&2].status, "canceled");
    }
}

#[tokio::test]
async fn a_job_that_people_cancel_or_that_vanishes_is_not_launched_again() {
    let server = AwxServer::start().await;
    server.world().pace.is_still = true;
    let action = action(&server);
    for (change, expected) in [
        ((|world: &mut World| world.end(2, "canceled")) as Change, "was cancelled by somebody in AWX"),
        (|world| drop(world.jobs.remove(&3)), "has removed job 3"),
    ] {
        let assignment = assign(prompted("web1"));
        let Look::Ready { handle, .. } = action.look(&assignment).await else { panic!("refused") };
        let (handle, _) = action.start(&assignment, &handle).await.unwrap();
        change(&mut server.world());
        let Progress::Over(outcome) = action.poll(&assignment, &handle).await else { panic!("not over") };
        let words = match &outcome {
            ActionOutcome::Done { what } => what,
            ActionOutcome::Doubtful { error } => error,
            other => panic!("{other:?}"),
        };
        assert!(words.contains(expected), "{outcome:?}");
    }
}

#[tokio::test]
async fn reads_that_fail_while_a_job_runs_are_repeated() {
    use crate::support::awx::Fault;
    let server = AwxServer::start().await;
    let action = action(&server);
    let assignment = assign(prompted("web1"));
    let Look::Ready { handle, .. } = action.look(&assignment).await else { panic!("refused") };
    let (handle, _) = action.start(&assignment, &handle).await.unwrap();
    let flutter = [Fault::Refuse(503), Fault::Refuse(401), Fault::Refuse(403), Fault::LoseAnswer, Fault::Refuse(500)];
    server.world().faults.others = flutter.to_vec();
    let outcome = action.poll(&assignment, &handle).await;
    assert!(matches!(outcome, Progress::Over(ActionOutcome::Done { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_alone_and_found_again() {
    let mut server = AwxServer::start().await;
    let short = autoheal::action::awx::AwxTimes { request: Duration::from_millis(200), ..times() };
    let action = action_for(autoheal::action::awx::AwxServer { times: short, ..settings(&server.url(), super::TOKEN) });
    server.world().faults.hangs = true;
    let outcome = carry_out(&action, &assign(prompted("web1"))).await;
    assert!(said(&outcome).contains("no answer within 200ms; it may hang"), "{outcome:?}");
    let asked = server.world().calls.len();
    let outcome = carry_out(&action, &assign(prompted("web1"))).await;
    assert!(matches!(outcome, ActionOutcome::Unreachable { .. }), "{outcome:?}");
    assert!(said(&outcome).contains("it is not asked again so soon"), "{outcome:?}");
    assert_eq!(server.world().calls.len(), asked);
    server.world().faults.hangs = false;
    server.stop().await;
    server.come_back().await;
    let launched = async {
        while !matches!(carry_out(&action, &assign(prompted("web1"))).await, ActionOutcome::Done { .. }) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), launched).await.expect("it is asked again by itself");
    assert_eq!(server.world().jobs.len(), 1);
}

#[tokio::test]
async fn many_jobs_are_followed_with_few_requests() {
    let server = AwxServer::start().await;
    server.world().pace = Pace { run: Duration::from_millis(600), ..Pace::default() };
    let action = action(&server);
    let hosts: Vec<String> = (0..60).map(|number| format!("host-{number}")).collect();
    let runs = hosts.iter().map(|host| {
        let assignment = assign(json!({"template": "Restart anywhere", "limit": [host]}));
        let action = &action;
        async move { carry_out(action, &assignment).await }
    });
    let outcomes = futures_util::future::join_all(runs).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, ActionOutcome::Done { .. })), "{outcomes:?}");
    let world = server.world();
    let polls = world.calls.iter().filter(|call| call.path.ends_with("/unified_jobs/")).count();
    // At least 20 looks at each of 60 jobs would be 1200 requests; together they are a few each time.
    assert!(polls < 200, "{polls} requests to follow 60 jobs");
    assert_eq!(world.jobs.len(), 60);
}

/// A clock on which no pause between two looks ever ends.
struct Stopped(autoheal::domain::Timestamp);

impl autoheal::clock::Clock for Stopped {
    fn now(&self) -> autoheal::domain::Timestamp {
        self.0
    }
}

#[tokio::test]
async fn a_hint_makes_a_job_be_looked_at_now() {
    use std::sync::Arc;
    crate::support::install_tls();
    let server = AwxServer::start().await;
    let assignment = assign(prompted("web1"));
    let clock: Arc<dyn autoheal::clock::Clock> = Arc::new(Stopped(assignment.began_at));
    let metrics = Arc::new(autoheal::telemetry::Metrics::new(assignment.began_at));
    let servers = [settings(&server.url(), super::TOKEN)];
    let action = autoheal::action::awx::AwxAction::new(&servers, &clock, &metrics).unwrap();
    let Look::Ready { handle, .. } = action.look(&assignment).await else { panic!("refused") };
    let (handle, _) = action.start(&assignment, &handle).await.unwrap();
    let followed = async {
        let hints = async {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                action.hint();
            }
        };
        tokio::select! {
            outcome = action.poll(&assignment, &handle) => outcome,
            () = hints => unreachable!("hints never end"),
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(15), followed).await.expect("hints are heard");
    assert!(matches!(outcome, Progress::Over(ActionOutcome::Done { .. })), "{outcome:?}");
}
