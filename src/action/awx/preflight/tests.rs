use super::*;
use crate::domain::action::Tree;
use crate::domain::alert::{AlertStatus, Fingerprint, Labels};

fn job() -> AwxJob<String> {
    serde_json::from_value(json!({"server": "default", "template": "Restart"})).unwrap()
}

fn preflight(fields: &Value) -> Preflight {
    let mut body = json!({"can_start_without_user_input": true});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Preflight::of(&body).unwrap()
}

fn with_variables(names: &[&str]) -> AwxJob<String> {
    let extra_vars = names.iter().map(|name| ((*name).to_owned(), Tree::Text("7".to_owned()))).collect();
    AwxJob { extra_vars, ..job() }
}

fn question(variable: &str, kind: &str) -> Question {
    Question { variable: variable.into(), kind: kind.into() }
}

#[test]
fn a_field_the_template_would_drop_refuses_the_launch() {
    let text = || Some("x".to_owned());
    let rows = [
        (AwxJob { limit: vec!["web1".into()], ..job() }, "limit", "ask_limit_on_launch"),
        (AwxJob { inventory: text(), ..job() }, "inventory", "ask_inventory_on_launch"),
        (AwxJob { job_tags: text(), ..job() }, "jobTags", "ask_tags_on_launch"),
        (AwxJob { skip_tags: text(), ..job() }, "skipTags", "ask_skip_tags_on_launch"),
        (AwxJob { credentials: vec!["x".into()], ..job() }, "credentials", "ask_credential_on_launch"),
        (AwxJob { labels: vec!["x".into()], ..job() }, "labels", "ask_labels_on_launch"),
        (
            AwxJob { job_type: Some(crate::domain::action::JobType::Check), ..job() },
            "jobType",
            "ask_job_type_on_launch",
        ),
        (with_variables(&["service"]), "service", "ask_variables_on_launch"),
    ];
    for (job, field, flag) in rows {
        for off in [json!({}), json!({flag: false})] {
            let wrong = check(&job, &preflight(&off), &[]).unwrap_err();
            assert!(wrong.len() == 1 && wrong[0].contains(field), "{field}: {wrong:?}");
        }
        assert!(check(&job, &preflight(&json!({flag: true})), &[]).is_ok(), "{field}");
    }
}

#[test]
fn what_the_template_needs_and_nobody_gives_refuses_the_launch() {
    for (fields, said) in [
        (json!({"variables_needed_to_start": ["count"]}), "survey needs count"),
        (json!({"passwords_needed_to_start": ["ssh_password"]}), "ssh_password"),
        (json!({"inventory_needed_to_start": true}), "no inventory"),
        (json!({"node_templates_missing": [3]}), "repair the workflow"),
        (json!({"node_prompts_rejected": [3]}), "repair the workflow"),
    ] {
        let wrong = check(&job(), &preflight(&fields), &[]).unwrap_err();
        assert!(wrong.len() == 1 && wrong[0].contains(said), "{wrong:?}");
    }
    let surveyed = json!({"survey_enabled": true, "variables_needed_to_start": ["count"]});
    let answered = check(&with_variables(&["count"]), &preflight(&surveyed), &[question("count", "integer")]).unwrap();
    assert_eq!(answered.marker, Marker::None);
    assert!(answered.notes[0].contains("the alert is not sent along"));
    let sent = body(
        &with_variables(&["count"]),
        &Resolved::default(),
        &[question("count", "integer")],
        Marker::None,
        "k",
        None,
    );
    assert_eq!(sent, json!({"extra_vars": {"count": 7}}), "a survey's integer is a number");
}

#[test]
fn a_run_carries_its_key_where_the_template_lets_it() {
    let marker = |fields: &Value| check(&job(), &preflight(fields), &[]).unwrap().marker;
    let (variables, tags) = (json!({"ask_variables_on_launch": true}), json!({"ask_skip_tags_on_launch": true}));
    assert_eq!(
        (marker(&variables), marker(&tags), marker(&json!({}))),
        (Marker::Variables, Marker::SkipTags, Marker::None)
    );
    let send = |marker| body(&job(), &Resolved::default(), &[], marker, "k-1", None);
    assert_eq!(send(Marker::Variables), json!({"extra_vars": {"autoheal_key": "k-1"}}));
    assert_eq!(send(Marker::SkipTags), json!({"skip_tags": "autoheal-k-1"}));
    assert_eq!(send(Marker::None), json!({}), "the plainest template is launched with nothing at all");
}

#[test]
fn the_alert_goes_along_as_data() {
    let labels = Labels::from([("alertname".to_owned(), "{{{ lookup('pipe','id') }}".to_owned())]);
    let alert = Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: crate::domain::Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: "http://p/".into(),
    };
    let sent = body(&job(), &Resolved::default(), &[], Marker::Variables, "k", Some(&alert));
    assert_eq!(
        sent["extra_vars"]["alert"],
        json!({
            "status": "firing", "labels": {"alertname": "{ { { lookup('pipe','id') }}"}, "annotations": {},
            "startsAt": "1970-01-01T00:00:00Z", "endsAt": null, "generatorURL": "http://p/",
        })
    );
}
