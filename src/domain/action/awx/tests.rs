use super::*;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};

fn alert(labels: &[(&str, &str)]) -> Alert {
    let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: crate::domain::Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    }
}

fn job(limit: &[&str], service: &str) -> AwxJob<Template> {
    let text = |source: &str| Template::parse(source).unwrap();
    AwxJob {
        server: "default".into(),
        template: text("Restart"),
        workflow: false,
        organization: None,
        project: None,
        inventory: None,
        limit: limit.iter().map(|source| text(source)).collect(),
        extra_vars: BTreeMap::from([("service".into(), Tree::Text(text(service)))]),
        job_tags: None,
        skip_tags: None,
        credentials: Vec::new(),
        labels: Vec::new(),
        job_type: None,
    }
}

fn limit(instance: &str) -> Result<Vec<String>, String> {
    let alert = alert(&[("instance", instance)]);
    let rendered = job(&["{{ $labels.instance }}"], "ui").render(AlertContext { alert: &alert });
    rendered.map(|job| job.limit).map_err(|error| error.to_string())
}

#[test]
fn a_limit_takes_plain_host_names_and_nothing_that_widens() {
    for plain in ["web1", "web-1.example.com", "db_2", "10.0.0.7"] {
        assert_eq!(limit(plain), Ok(vec![plain.to_owned()]));
    }
    for (bad, why) in [
        ("", "empty"),
        ("  ", "empty"),
        ("web1,all", "','"),
        ("~web.*", "'~'"),
        ("@/etc/passwd", "'@'"),
        ("web1\nweb2", "'\\n'"),
        ("web1:9100", "stripPort"),
        ("-i", "dash"),
        ("--list-hosts", "dash"),
        ("web*", "'*'"),
        ("!web1", "'!'"),
        ("web[1:3]", "'['"),
        ("all", "every host"),
        ("ALL", "every host"),
        ("wéb", "'é'"),
    ] {
        let said = limit(bad).unwrap_err();
        assert!(said.contains(why), "{bad:?}: {said}");
    }
    let empty = alert(&[]);
    let all = job(&["all"], "ui").render(AlertContext { alert: &empty }).unwrap();
    assert_eq!(all.limit, ["all"], "a rule may say it itself");
}

#[test]
fn what_an_alert_says_never_becomes_a_template_of_ansibles() {
    let texts = ["{{ lookup('pipe', 'id') }}", "{% for x in y %}", "a {# b", "#jinja2: variable_start_string: '[['"];
    for text in texts {
        let evil = alert(&[("service", text)]);
        let said = job(&[], "{{ $labels.service }}").render(AlertContext { alert: &evil }).unwrap_err().to_string();
        assert!(said.starts_with("extraVars.service is"), "{said}");
        assert!(!has_jinja(&without_jinja(text)), "{text}");
    }
    let evil = alert(&[]);
    let own = job(&[], "{% raw %}").render(AlertContext { alert: &evil }).unwrap();
    assert_eq!(own.variables()["service"], "{% raw %}", "a rule's own text is its author's");
}

#[test]
fn other_hosts_and_other_variables_are_other_targets() {
    let alert = alert(&[]);
    let target =
        |limit: &[&str], service: &str| job(limit, service).render(AlertContext { alert: &alert }).unwrap().target();
    assert_eq!(target(&["web1", "web2"], "ui"), "awx:default/Restart/web1,web2/service=ui");
    assert_ne!(target(&["web1"], "ui"), target(&["web1"], "db"));
    let (long, longer) = ("x".repeat(200), "x".repeat(201));
    assert_ne!(target(&[], &long), target(&[], &longer));
    assert!(target(&[], &longer).chars().count() < 130);
}

#[test]
fn a_job_is_written_and_said_as_the_rule_has_it() {
    let alert = alert(&[]);
    let one = job(&["web1"], "ui").render(AlertContext { alert: &alert }).unwrap();
    assert_eq!(one.fields()["limit"], json!("web1"), "as most rules write it");
    let plain = AwxJob { extra_vars: BTreeMap::new(), ..job(&[], "ui") };
    let plain = plain.render(AlertContext { alert: &alert }).unwrap();
    assert_eq!(Value::Object(plain.fields()), json!({"server": "default", "template": "Restart"}));
    assert_eq!((plain.summary().as_str(), plain.target().as_str()), ("run AWX job Restart", "awx:default/Restart"));
    let text = |source: &str| Some(Template::parse(source).unwrap());
    let whole = AwxJob {
        server: "prod".to_owned(),
        workflow: true,
        organization: text("Shop"),
        project: text("ops"),
        inventory: text("web"),
        job_tags: text("restart"),
        skip_tags: text("slow"),
        credentials: vec![text("ssh").unwrap()],
        labels: vec![text("night").unwrap()],
        job_type: Some(JobType::Check),
        ..job(&["web1", "web2"], "ui")
    };
    let whole = whole.render(AlertContext { alert: &alert }).unwrap();
    let fields = json!({
        "server": "prod", "template": "Restart", "workflow": true, "organization": "Shop", "project": "ops",
        "inventory": "web", "jobTags": "restart", "skipTags": "slow", "limit": ["web1", "web2"],
        "credentials": ["ssh"], "labels": ["night"], "extraVars": {"service": "ui"}, "jobType": "check",
    });
    assert_eq!(Value::Object(whole.fields()), fields);
    assert_eq!(whole.summary(), "run AWX workflow Restart++Shop limited to web1, web2 on prod");
    assert_eq!(whole.target(), "awx:prod/Restart++Shop/web/web1,web2/service=ui");
    assert_eq!(JobType::Run.as_str(), "run");
}

#[test]
fn only_what_ansible_would_read_is_taken_apart() {
    assert_eq!(without_jinja("ui {{ x }} {% y %} {# z #} {ok}"), "ui { { x }} { % y %} { # z #} {ok}");
    assert_eq!(without_jinja("{{{ x"), "{ { { x", "what is left must open nothing either");
    assert!(limit(&"x".repeat(255)).is_ok() && limit(&"x".repeat(256)).unwrap_err().contains("longer"));
}
