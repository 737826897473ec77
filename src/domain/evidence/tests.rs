use super::*;

#[test]
fn addresses_that_can_be_asked() {
    for (text, expected) in [
        ("http://ui:9292/", true),
        ("https://[::1]:443", true),
        ("https://ui.example.com?x=1", true),
        ("ftp://ui/", false),
        ("http://", false),
        ("http:///path", false),
        ("http://:80/", false),
        ("http://user:pw@ui/", false),
        ("http://ui/a b", false),
        ("http://ui/\n", false),
        ("ui:9292", false),
    ] {
        assert_eq!(is_web_address(text), expected, "{text:?}");
    }
    for (text, expected) in [
        ("redis:6379", true),
        ("10.0.0.1:1", true),
        ("[::1]:5432", true),
        ("::1:5432", false),
        ("redis", false),
        ("redis:0", false),
        (":6379", false),
        ("redis:port", false),
        ("a b:1", false),
        ("http://a:1", false),
        ("a/b:1", false),
        ("a@b:1", false),
        ("a\0:1", false),
    ] {
        assert_eq!(is_host_and_port(text), expected, "{text:?}");
    }
}

fn http<Text>(url: Text, status: &[u16], body: Option<&str>) -> Probe<Text> {
    Probe::Http(HttpProbe {
        url,
        status: status.to_vec(),
        body: body.map(str::to_owned),
        headers: BTreeMap::new(),
        tls: ProbeTls::default(),
        timeout: Duration::from_secs(5),
    })
}

#[test]
fn a_status_counts_that_is_named_or_any_that_says_well() {
    for (named, status, expected) in [
        (&[][..], 199, false),
        (&[], 200, true),
        (&[], 299, true),
        (&[], 300, false),
        (&[401, 503], 503, true),
        (&[401, 503], 200, false),
    ] {
        let Probe::Http(probe) = http("http://ui/".to_owned(), named, None) else { panic!("asks by HTTP") };
        assert_eq!(probe.accepts(status), expected, "{status} of {named:?}");
    }
}

#[test]
fn what_is_asked_and_what_is_waited_for_can_be_read() {
    let timeout = Duration::from_secs(1);
    let ui = || "http://ui/".to_owned();
    let tcp = |address: &str| Probe::Tcp(TcpProbe { address: address.to_owned(), timeout });
    for (probe, wanted) in [
        (http(ui(), &[], None), "http://ui/ to answer 2xx"),
        (http(ui(), &[401, 503], Some("^ok")), "http://ui/ to answer 401 or 503 with a body matching \"^ok\""),
        (tcp("redis:6379"), "redis:6379 to take connections"),
        (Probe::Promql("up == 1".to_owned()), "\"up == 1\" to be true"),
        (Probe::ContainerHealthy, "its containers to be healthy"),
    ] {
        assert_eq!(probe.wanted(), wanted);
    }
    let text = |source: &str| Template::parse(source).unwrap();
    for (probe, source) in [
        (http(text("http://{{ $labels.job }}/"), &[204], None), "http http://{{ $labels.job }}/ 204"),
        (Probe::Tcp(TcpProbe { address: text("{{ $labels.job }}:1"), timeout }), "tcp {{ $labels.job }}:1"),
        (Probe::Promql(text("up == 1")), "promql up == 1"),
        (Probe::ContainerHealthy, "container healthy"),
    ] {
        assert_eq!(probe.source(), source);
    }
}

#[test]
fn a_question_that_cannot_be_asked_of_anybody_is_no_question() {
    use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
    let labels = Labels::from([("job".to_owned(), "ui".to_owned())]);
    let alert = Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    };
    let text = |source: &str| Template::parse(source).unwrap();
    let tcp = |source: &str| Probe::Tcp(TcpProbe { address: text(source), timeout: Duration::from_secs(2) });
    let with_header = |value: &str| match http(text("http://{{ $labels.job }}/"), &[204], Some("ok")) {
        Probe::Http(probe) => {
            Probe::Http(HttpProbe { headers: BTreeMap::from([("X-Job".to_owned(), text(value))]), ..probe })
        }
        other => other,
    };
    let said = |probe: Probe<Template>| match probe.render(AlertContext { alert: &alert }) {
        Ok(probe) => serde_json::to_string(&probe).unwrap(),
        Err(error) => error.to_string(),
    };
    let whole = r#"{"http":{"url":"http://ui/","status":[204],"body":"ok","headers":{"X-Job":"ui"},"timeout":5000}}"#;
    for (probe, expected) in [
        (with_header("{{ $labels.job }}"), whole),
        (tcp("{{ $labels.job }}:80"), r#"{"tcp":{"address":"ui:80","timeout":2000}}"#),
        (Probe::Promql(text("up{job='{{ $labels.job }}'}")), r#"{"promql":"up{job='ui'}"}"#),
        (Probe::ContainerHealthy, "\"containerHealthy\""),
        (
            http(text("ui/health"), &[], None),
            "verify.http.url is \"ui/health\" after rendering, which is no address that can be asked",
        ),
        (
            tcp("{{ $labels.job }}"),
            "verify.tcp.address is \"ui\" after rendering, which is no address that can be asked",
        ),
    ] {
        assert_eq!(said(probe), expected);
    }
    assert!(said(with_header("{{ $labels.site }}")).starts_with("verify.http.headers.X-Job: "));
    assert!(said(Probe::Promql(text("{{ \"\" }}"))).starts_with("verify.promql is empty"));
}

#[test]
fn whom_to_trust_comes_back_from_the_store_as_it_went() {
    let Probe::Http(probe) = http("https://ui/".to_owned(), &[], None) else { panic!("asks by HTTP") };
    let tls = ProbeTls { ca_file: Some("ca.pem".into()), insecure: true, ..ProbeTls::default() };
    let probe = HttpProbe { tls, ..probe };
    let written = serde_json::to_string(&probe).unwrap();
    assert_eq!(serde_json::from_str::<HttpProbe<String>>(&written).unwrap(), probe, "{written}");
}

#[test]
fn only_answers_that_are_all_as_they_should_be_hold() {
    use Answer::{Fails, Holds, Unknown};
    for (answers, expected) in
        [(&[][..], false), (&[Holds], true), (&[Holds, Fails], false), (&[Unknown, Holds], false)]
    {
        let findings = answers.iter().map(|answer| Finding::new(*answer, "seen")).collect();
        assert_eq!(Watch { look_at: Timestamp::UNIX_EPOCH, findings }.all_hold(), expected, "{answers:?}");
    }
}

#[test]
fn a_finding_is_one_bounded_line() {
    let finding = Finding::new(Answer::Fails, format!("a\nb{}", "x".repeat(1000)));
    assert!(finding.what.starts_with("a bx") && finding.what.ends_with('…'));
    assert_eq!(finding.what.chars().count(), Finding::MAX_TEXT + 1);
    let just_fits = "x".repeat(Finding::MAX_TEXT);
    assert_eq!(Finding::new(Answer::Fails, &just_fits).what, just_fits);
}

#[test]
fn what_an_alert_says_stays_within_the_quotes_of_a_query() {
    let rendered = |query: &str, job: &str| {
        let alert = Alert {
            fingerprint: crate::domain::alert::Fingerprint::of(&Labels::new()),
            status: crate::domain::alert::AlertStatus::Firing,
            labels: Labels::from([("job".to_owned(), job.to_owned())]),
            annotations: Labels::from([("summary".to_owned(), "it's down".to_owned())]),
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: None,
            generator_url: String::new(),
        };
        let probe = Probe::Promql(Template::parse(query).unwrap()).render(AlertContext { alert: &alert });
        probe.map(|probe| match probe {
            Probe::Promql(query) => query,
            other => panic!("{other:?}"),
        })
    };
    let double = r#"up{job="{{ $labels.job }}"} == 1"#;
    for (job, expected) in [
        ("ui", r#"up{job="ui"} == 1"#),
        (r#"x"} or vector(1) or up{job="y"#, r#"up{job="x\"} or vector(1) or up{job=\"y"} == 1"#),
        (r"C:\disk", r#"up{job="C:\\disk"} == 1"#),
        ("a\nb", r#"up{job="a\nb"} == 1"#),
        ("it's", r#"up{job="it's"} == 1"#),
    ] {
        assert_eq!(rendered(double, job).unwrap(), expected);
    }
    let single = "up{job='{{ reReplaceAll `:.*` \"\" $labels.job }}'} == 1";
    assert_eq!(rendered(single, "ui:80").unwrap(), "up{job='ui'} == 1");
    let refused = rendered(single, "x'} or vector(1) or up{job='y").unwrap_err().to_string();
    assert!(refused.contains("double quotes"), "{refused}");
}
