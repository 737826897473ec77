//! Every kind of question, asked of servers that are well, ill, hung, or not to be trusted.

use std::sync::Arc;
use std::time::Duration;

use autoheal::clock::SystemClock;
use autoheal::config::Config;
use autoheal::domain::action::{Action, ContainerSelector, RestartContainer};
use autoheal::domain::backoff::Backoff;
use autoheal::domain::evidence::{Answer, Finding, HttpProbe, Probe, ProbeTls, TcpProbe};
use autoheal::domain::heal::HealStep;
use autoheal::domain::rule::VerifyPolicy;
use autoheal::verify::Evidence;

use crate::config::{options, place};
use crate::support::engine::{BadEngine, Engine, Recipe, unique};
use crate::support::pki::Authority;
use crate::support::prometheus::free_port;
use crate::support::site::{self, Site};

fn http(url: String) -> HttpProbe<String> {
    HttpProbe {
        url,
        status: Vec::new(),
        body: None,
        headers: std::collections::BTreeMap::new(),
        tls: ProbeTls::default(),
        timeout: Duration::from_secs(5),
    }
}

fn step(selector: ContainerSelector<String>, probes: Vec<Probe<String>>) -> HealStep {
    HealStep {
        action: Action::RestartContainer(RestartContainer {
            host: "local".into(),
            selector,
            stop_timeout: None,
            max: 2,
            min_healthy: None,
            then: Vec::new(),
            dependents: None,
        }),
        attempts: 1,
        attempts_used: 0,
        backoff: Backoff::default(),
        timeout: Duration::from_secs(10),
        verify: VerifyPolicy { probes, ..VerifyPolicy::default() },
    }
}

/// Asks one question, of a daemon with this configuration.
async fn ask_with(config: &str, probe: Probe<String>) -> Finding {
    crate::support::install_tls();
    let directory =
        place(&[("autoheal.yml", config), ("secrets", "TOKEN=t0ps3cr3t\nPASSWORD=p4ssw0rd\n"), ("rules/a.yml", "")]);
    let (config, _) = Config::load(&options(directory.path())).unwrap_or_else(|problems| panic!("{problems}"));
    let evidence = Evidence::new(&config.docker_hosts, config.prometheus.as_ref(), Arc::new(SystemClock)).unwrap();
    let mut findings = evidence.ask(&step(ContainerSelector::Name("none".into()), vec![probe])).await;
    findings.pop().unwrap()
}

async fn ask(probe: Probe<String>) -> (Answer, String) {
    let Finding { answer, what } = ask_with("", probe).await;
    (answer, what)
}

#[tokio::test]
async fn an_address_must_answer_with_the_status_and_the_body_that_are_wanted() {
    let site = Site::start(site::Answer::Say(200, "status: all is well\n".into())).await;
    let url = format!("http://{}/health?full=1", site.address);
    let plain = || http(url.clone());
    let with_body = |pattern: &str| HttpProbe { body: Some(pattern.into()), ..plain() };
    let rows = [
        (plain(), Answer::Holds, "answers 200"),
        (HttpProbe { status: vec![200], ..plain() }, Answer::Holds, "answers 200"),
        (HttpProbe { status: vec![204, 301], ..plain() }, Answer::Fails, "answers 200 instead of 204 or 301"),
        (with_body("all is (well|good)$"), Answer::Fails, "does not match"),
        (with_body(r"all is \w+"), Answer::Holds, "with a body matching"),
    ];
    for (probe, answer, words) in rows {
        let (found, what) = ask(Probe::Http(probe)).await;
        assert_eq!(found, answer, "{what}");
        assert!(what.starts_with(&url) && what.contains(words), "{what}");
    }
    for (says, answer, words) in [
        (site::Answer::Say(503, String::new()), Answer::Fails, "answers 503 instead of 2xx"),
        (site::Answer::Send("http://elsewhere/".into()), Answer::Fails, "302, which is not followed"),
        (site::Answer::Break, Answer::Fails, "breaks off"),
        (site::Answer::Say(200, "x".repeat(600_000)), Answer::Fails, "first 256 KiB do not match"),
    ] {
        site.answer(says);
        let (found, what) = ask(Probe::Http(with_body("all is well"))).await;
        assert!(found == answer && what.contains(words), "{what}");
    }
    site.answer(site::Answer::Hang);
    let (found, what) = ask(Probe::Http(HttpProbe { timeout: Duration::from_millis(50), ..plain() })).await;
    assert!(found == Answer::Fails && what.ends_with("does not answer: no answer in time"), "{what}");
    let (found, what) = ask(Probe::Http(http(format!("http://127.0.0.1:{}/", free_port())))).await;
    assert!(found == Answer::Fails && what.contains("onnection refused"), "{what}");
}

#[tokio::test]
async fn headers_go_along_and_one_that_is_none_is_not_sent() {
    let site = Site::start(site::Answer::Say(200, String::new())).await;
    let with = |value: &str| HttpProbe {
        headers: [("x-probe".to_owned(), value.to_owned()), ("host".to_owned(), "ui.example.com".to_owned())].into(),
        ..http(format!("http://{}/", site.address))
    };
    assert_eq!(ask(Probe::Http(with("from autoheal"))).await.0, Answer::Holds);
    let head = site.requests().remove(0).to_lowercase();
    for line in ["get / http/1.1", "x-probe: from autoheal", "host: ui.example.com", "user-agent: autoheal/"] {
        assert!(head.contains(line), "{head}");
    }
    let (answer, what) = ask(Probe::Http(with("a\r\nb: c"))).await;
    assert!(answer == Answer::Unknown && what.contains("header x-probe"), "{what}");
    assert_eq!(site.requests().len(), 1);
}

#[tokio::test]
async fn over_tls_only_who_is_trusted_is_believed() {
    crate::support::install_tls();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let directory = place(&[("ours.pem", &ours.pem()), ("theirs.pem", &theirs.pem())]);
    ours.sign(&["client.example.com"]).write(directory.path(), "client");
    let path = |name: &str| Some(directory.path().join(name));
    let open = Site::with_tls(site::Answer::Say(200, String::new()), &ours, false).await;
    let shut = Site::with_tls(site::Answer::Say(200, String::new()), &ours, true).await;
    let tls = ProbeTls::default();
    let trusting = ProbeTls { ca_file: path("ours.pem"), ..tls.clone() };
    let rows = [
        (&open, trusting.clone(), Answer::Holds, "answers 200"),
        (&open, ProbeTls { ca_file: path("theirs.pem"), ..tls.clone() }, Answer::Unknown, "could not be asked"),
        (&open, ProbeTls { insecure: true, ..tls.clone() }, Answer::Holds, "answers 200"),
        (&open, ProbeTls { ca_file: path("gone.pem"), ..tls }, Answer::Unknown, "gone.pem"),
        (
            &shut,
            ProbeTls { cert_file: path("client.pem"), key_file: path("client.key"), ..trusting.clone() },
            Answer::Holds,
            "answers 200",
        ),
        (&shut, trusting, Answer::Unknown, "could not be asked"),
    ];
    for (site, tls, answer, words) in rows {
        let probe = HttpProbe { tls, ..http(format!("https://{}/", site.address)) };
        let (found, what) = ask(Probe::Http(probe.clone())).await;
        assert!(found == answer && what.contains(words), "{what} of {probe:?}");
    }
}

#[tokio::test]
async fn a_port_must_take_connections() {
    let site = Site::start(site::Answer::Hang).await;
    let tcp = |address: String| Probe::Tcp(TcpProbe { address, timeout: Duration::from_secs(5) });
    let (answer, what) = ask(tcp(site.address.to_string())).await;
    assert!(answer == Answer::Holds && what.ends_with("takes connections"), "{what}");
    let (answer, what) = ask(tcp(format!("127.0.0.1:{}", free_port()))).await;
    assert!(answer == Answer::Fails && what.contains("takes no connections: Connection refused"), "{what}");
}

#[tokio::test]
async fn prometheus_is_asked_as_who_we_are_and_what_it_cannot_say_is_unknown() {
    let yes = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#;
    let site = Site::start(site::Answer::Say(200, yes.into())).await;
    let query = r#"up{job="ui & co"} == 1"#;
    let config = |more: &str| format!("prometheus: {{address: 'http://{}/prom/', {more}}}\n", site.address);
    for (more, header) in [
        ("token: \"${TOKEN}\"", "bearer t0ps3cr3t"),
        ("credentials: {username: u, password: \"${PASSWORD}\"}", "basic dTpwNHNzdzByZA=="),
    ] {
        let found = ask_with(&config(more), Probe::Promql(query.into())).await;
        assert_eq!(found.answer, Answer::Holds, "{}", found.what);
        let head = site.requests().pop().unwrap();
        assert!(head.starts_with("GET /prom/api/v1/query?query=up%7Bjob%3D%22ui+%26+co%22%7D+%3D%3D+1 "), "{head}");
        assert!(head.to_lowercase().contains(&format!("authorization: {}", header.to_lowercase())), "{head}");
    }
    for (says, words) in [
        (site::Answer::Say(401, "t0ps3cr3t is wrong".into()), "answers 401"),
        (
            site::Answer::Say(400, r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error"}"#.into()),
            "parse error",
        ),
        (site::Answer::Say(200, "<html>".into()), "not as Prometheus does"),
        (site::Answer::Say(200, " ".repeat(2 << 20)), "longer than 1024 KiB"),
        (site::Answer::Break, "could not be asked"),
    ] {
        site.answer(says);
        let found = ask_with(&config("token: \"${TOKEN}\""), Probe::Promql(query.into())).await;
        assert!(found.answer == Answer::Unknown && found.what.contains(words), "{}", found.what);
        assert!(!found.what.contains("t0ps3cr3t"), "{}", found.what);
    }
    let config = format!("prometheus: {{address: 'http://127.0.0.1:{}'}}\n", free_port());
    let found = ask_with(&config, Probe::Promql(query.into())).await;
    assert!(found.answer == Answer::Unknown && found.what.contains("cannot be reached"), "{}", found.what);
}

#[tokio::test]
async fn the_containers_of_the_action_must_run_and_be_healthy() {
    let (engine, app) = (Engine::get(), unique("health"));
    let evidence = |host| Evidence::new(&[host], None, Arc::new(SystemClock)).unwrap();
    let asked =
        step(ContainerSelector::Labels([("app".to_owned(), app.clone())].into()), vec![Probe::ContainerHealthy]);
    let real = evidence(engine.host("local"));
    let health = async || real.ask(&asked).await.pop().unwrap();

    let none = health().await;
    assert!(none.answer == Answer::Fails && none.what.contains("no container of labels app="), "{}", none.what);
    let recipe = || Recipe::idle().label("app", &app);
    let plain = engine.run(recipe()).await;
    assert_eq!(health().await.answer, Answer::Holds);
    let checked = engine.run(recipe().health("test -e /tmp/well", Duration::from_millis(200))).await;
    checked.until("unhealthy", |seen| format!("{:?}", seen.state).contains("UNHEALTHY")).await;
    let ill = health().await;
    assert!(
        ill.answer == Answer::Fails && ill.what.contains(&checked.name) && !ill.what.contains(&plain.name),
        "{ill:?}"
    );
    checked.remove().await;
    plain.kill().await;
    let stopped = health().await;
    assert!(stopped.answer == Answer::Fails && stopped.what.contains("exited with code 137"), "{}", stopped.what);

    let gone = BadEngine::that_is_gone();
    let unknown = evidence(gone.host("local")).ask(&asked).await.pop().unwrap();
    assert_eq!(unknown.answer, Answer::Unknown, "{}", unknown.what);
}
