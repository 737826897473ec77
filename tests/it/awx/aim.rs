//! What is launched is what the rule means, and all of it; what comes of it is told as what it is.

use std::time::Duration;

use autoheal::action::{Action, Look, Resumption};
use autoheal::domain::decide::ActionOutcome;
use serde_json::{Value, json};

use super::{action, assign, carry_out, times};
use crate::support::awx::{AwxServer, Fault, Job, Play, Thing, World};

fn said(outcome: ActionOutcome) -> String {
    match outcome {
        ActionOutcome::Done { what } => what,
        ActionOutcome::Refused { error }
        | ActionOutcome::Failed { error }
        | ActionOutcome::Doubtful { error }
        | ActionOutcome::Unreachable { error } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn everything_a_rule_asks_for_arrives() {
    let server = AwxServer::start().await;
    let fields = json!({
        "template": "Restart service prompted", "organization": "Ops", "project": "ops-playbooks", "inventory": "Spare",
        "limit": ["web1", "web2"], "jobTags": "restart,check", "skipTags": "slow", "credentials": ["ops-ssh"],
        "labels": ["autoheal"], "jobType": "check",
        "extraVars": {"service": "nginx", "tries": 3, "deep": {"list": ["a", true, 1.5]}},
    });
    let outcome = carry_out(&action(&server), &assign(fields)).await;
    assert!(matches!(outcome, ActionOutcome::Done { .. }), "{outcome:?}");
    let world = server.world();
    let job = &world.jobs[&2];
    let got = json!([job.limit, job.job_tags, job.skip_tags, job.job_type, job.inventory, job.credentials, job.labels]);
    assert_eq!(got, json!(["web1,web2", "restart,check", "slow", "check", 4, [1], [1]]));
    let vars = &job.extra_vars;
    let got = json!([vars["service"], vars["tries"], vars["deep"]]);
    assert_eq!(got, json!(["nginx", 3, {"list": ["a", true, 1.5]}]));
}

#[tokio::test]
async fn a_name_means_one_thing_or_nothing_is_launched() {
    let server = AwxServer::start().await;
    // The same name in both organizations.
    {
        let mut world = server.world();
        for (id, organization) in [(41, 1), (42, 2)] {
            let shared = Thing { id, name: "shared".to_owned(), organization, ..world.labels[0].clone() };
            world.labels.push(shared.clone());
            world.credentials.push(shared);
        }
    }
    for (key, kind) in [("credentials", "credential"), ("labels", "label")] {
        let with = |name: &str| json!({"template": "Restart service prompted", key: [name]});
        let two = said(carry_out(&action(&server), &assign(with("shared"))).await);
        assert!(two.contains(&format!("there are 2 of the name {kind} «shared»")), "{two}");
        let none = said(carry_out(&action(&server), &assign(with("nowhere"))).await);
        assert!(none.contains(&format!("there is no {kind} «nowhere»")), "{none}");
        assert!(server.world().jobs.is_empty());
    }
    let fields = json!({"template": "Restart service prompted", "organization": "Ops", "credentials": ["shared"], "labels": ["shared"]});
    let outcome = carry_out(&action(&server), &assign(fields)).await;
    assert!(matches!(outcome, ActionOutcome::Done { .. }), "{outcome:?}");
    let world = server.world();
    let job = &world.jobs[&2];
    assert_eq!((job.credentials.as_slice(), job.labels.as_slice()), (&[41][..], &[41][..]));
}

#[tokio::test]
async fn a_template_that_was_renamed_or_removed_is_looked_up_anew() {
    let rename = |world: &mut World| {
        world.named("Restart anywhere").name = "Retired".to_owned();
        world.named("Restart service prompted").name = "Restart anywhere".to_owned();
    };
    let remove = |world: &mut World| {
        world.templates.retain(|template| template.name != "Restart anywhere");
        world.named("Restart service prompted").name = "Restart anywhere".to_owned();
    };
    for change in [rename as fn(&mut World), remove] {
        let server = AwxServer::start().await;
        let action = action(&server);
        let fields = json!({"template": "Restart anywhere", "limit": ["web1"]});
        assert!(matches!(action.look(&assign(fields.clone())).await, Look::Ready { .. }));
        change(&mut server.world());
        let outcome = carry_out(&action, &assign(fields)).await;
        assert!(matches!(outcome, ActionOutcome::Done { .. }), "{outcome:?}");
        assert_eq!(server.world().jobs[&2].template, 8);
    }
}

#[tokio::test]
async fn a_number_that_is_gone_is_looked_up_anew() {
    let server = AwxServer::start().await;
    let action = action(&server);
    let fields = json!({"template": "Restart service prompted", "inventory": "Spare"});
    assert!(matches!(action.look(&assign(fields.clone())).await, Look::Ready { .. }));
    for inventory in &mut server.world().inventories {
        inventory.id += 40;
    }
    let refused = said(carry_out(&action, &assign(fields.clone())).await);
    assert!(refused.contains("HTTP 400: inventory: Invalid pk"), "{refused}");
    let outcome = carry_out(&action, &assign(fields)).await;
    assert!(matches!(outcome, ActionOutcome::Done { .. }), "{outcome:?}");
    assert_eq!(server.world().jobs[&2].inventory, Some(44));
}

/// What AWX said it ignored was in the answer that nobody got; the run that is found tells as well.
#[tokio::test]
async fn a_job_that_awx_took_only_in_part_is_stopped_even_if_its_answer_is_lost() {
    for (prompt, fields) in [
        ("limit", json!({"limit": ["web1"]})),
        ("inventory", json!({"inventory": "Spare"})),
        ("job_type", json!({"jobType": "check"})),
        ("tags", json!({"jobTags": "restart"})),
        ("skip_tags", json!({"skipTags": "slow"})),
        ("credential", json!({"credentials": ["ops-ssh"]})),
        ("labels", json!({"labels": ["autoheal"]})),
    ] {
        for fault in [Fault::None, Fault::LoseAnswer] {
            let server = AwxServer::start().await;
            server.world().pace.queue = Duration::from_mins(1);
            server.world().named("Restart service prompted").fickle = Some(prompt);
            server.world().faults.launches = vec![fault];
            let mut fields = fields.clone();
            fields["template"] = json!("Restart service prompted");
            let outcome = carry_out(&action(&server), &assign(fields)).await;
            assert!(matches!(outcome, ActionOutcome::Doubtful { .. }), "{prompt}, {fault:?}: {outcome:?}");
            assert!(said(outcome).contains("it was told to stop at once"), "{prompt}, {fault:?}");
            let world = server.world();
            assert_eq!((world.jobs.len(), world.launches(), world.jobs[&2].status), (1, 1, "canceled"), "{prompt}");
        }
    }
}

#[tokio::test]
async fn a_lost_launch_is_found_among_more_runs_than_one_page_holds() {
    let server = AwxServer::start().await;
    let action = action(&server);
    let assignment = assign(json!({"template": "Restart anywhere"}));
    let Look::Ready { handle, .. } = action.look(&assignment).await else { panic!("refused") };
    let others = |world: &mut World, like: &Job, first: u64| {
        for id in first..first + 250 {
            let extra_vars = json!({"autoheal_key": format!("other-{id}")}).as_object().cloned().unwrap();
            let (status, ended) = ("successful", Some(like.created));
            world.jobs.insert(id, Job { id, extra_vars, status, ended, ..like.clone() });
        }
        world.next_job = first + 250;
    };
    let (started, _) = action.start(&assignment, &handle).await.unwrap();
    assert_eq!(started["job"], 2);
    let mut ours = server.world().jobs.remove(&2).unwrap();
    others(&mut server.world(), &ours, 10);
    ours.id = 300;
    others(&mut server.world(), &ours, 301);
    server.world().jobs.insert(300, ours);
    let Ok(Resumption::Follow { handle, .. }) = action.resume(&assignment, &handle).await else {
        panic!("it would be launched again")
    };
    assert_eq!(handle["job"], 300);
}

#[tokio::test]
async fn a_gateway_that_asks_for_a_pause_gets_it() {
    for on_launch in [false, true] {
        let server = AwxServer::start().await;
        let fault = vec![Fault::SlowDown(1)];
        if on_launch {
            server.world().faults.launches = fault;
        } else {
            server.world().faults.others = fault;
        }
        let action = action(&server);
        let fields = || assign(json!({"template": "Restart anywhere"}));
        let outcome = carry_out(&action, &fields()).await;
        assert!(matches!(outcome, ActionOutcome::Unreachable { .. }), "it costs no attempt: {outcome:?}");
        assert!(said(outcome).contains("HTTP 429"));
        let asked = server.world().calls.len();
        let outcome = said(carry_out(&action, &fields()).await);
        assert!(outcome.contains("it is not asked again so soon"), "{outcome}");
        assert_eq!(server.world().calls.len(), asked);
        let launched = async {
            while !matches!(carry_out(&action, &fields()).await, ActionOutcome::Done { .. }) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), launched).await.expect("the pause ends by itself");
        assert_eq!(server.world().jobs.len(), 1);
    }
}

#[tokio::test]
async fn a_launch_that_was_turned_away_at_the_door_needs_no_search() {
    for status in [302, 401, 429] {
        let server = AwxServer::start().await;
        server.world().faults.launches = vec![Fault::Refuse(status)];
        let outcome = carry_out(&action(&server), &assign(json!({"template": "Restart anywhere"}))).await;
        assert!(matches!(outcome, ActionOutcome::Unreachable { .. }), "{status} costs no attempt: {outcome:?}");
        let world = server.world();
        assert_eq!((world.jobs.len(), world.launches()), (0, 1));
        let after = world.calls.iter().skip_while(|call| call.method == "GET").count();
        assert_eq!(after, 1, "neither followed nor searched: {:?}", world.calls);
    }
}

#[tokio::test]
async fn what_became_of_a_job_is_told_whatever_its_output_is_like() {
    let tell = async |play: Play, fields: Value| {
        let server = AwxServer::start().await;
        server.world().named(fields["template"].as_str().unwrap()).play = play;
        carry_out(&action(&server), &assign(fields)).await
    };
    let anywhere = || json!({"template": "Restart anywhere", "limit": ["web1"]});
    let chatty = said(tell(Play::Chatty, anywhere()).await);
    assert!(chatty.ends_with("PLAY RECAP | web1 : ok=2 changed=1 unreachable=0 failed=0"), "{chatty}");
    assert!(chatty.len() < 2000 && chatty.contains("hosts: 1 changed"), "{chatty}");
    let began = std::time::Instant::now();
    let never = tell(Play::NeverTold, anywhere()).await;
    assert!(matches!(&never, ActionOutcome::Done { what } if what.contains("ended successful")), "{never:?}");
    assert!(began.elapsed() >= times().output, "it is waited for");
    assert!(began.elapsed() < times().output * 10, "but not for ever");
    let workflow = tell(Play::NodeFails, json!({"template": "Heal web", "workflow": true})).await;
    let workflow = said(workflow);
    assert!(
        workflow.contains("ended successful") && workflow.contains("its job «Fails on web2» ended failed"),
        "{workflow}"
    );
}
