//! The real program with a small server.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{TOKEN, body, fire, home, rule, story};
use crate::support::crash::{Call, Caller, Fuse, Mortal, Orders, Side, child as life_of, obey};
use crate::support::daemon::{Home, PATIENCE, eventually};
use crate::support::pki::Authority;
use crate::support::site::{self, Site};
use crate::support::upstream::{Reply, Upstream};
use crate::support::wait;

#[test]
fn a_request_is_sent_as_written_with_an_alert_kept_in_its_place_and_heals() {
    let upstream = wait(Upstream::start(|_| Reply::json(202, &json!({"message": "restarting ui"}))));
    let home = home(
        &upstream,
        &rule(
            "httpRequest: {method: POST, path: '/restart/{{ $labels.instance }}?why={{ $labels.alertname }}', \
             headers: {X-Service: '{{ $labels.job }}'}, json: {service: '{{ $labels.instance }}', tries: 3, \
             key: 'k-{{ $job.key }}', deep: [{a: '{{ $labels.job }}'}]}, status: [200, 202], bodyMatches: 'restarting'}",
        ),
    );
    let daemon = home.start();
    let evil = "a/../b?x=1#\",\"tries\":9,\"";
    let verifying = fire(&daemon, evil, "verifying");
    let [asked] = <[_; 1]>::try_from(upstream.asked()).unwrap();
    assert_eq!(asked.line(), "POST /base/restart/a%2F..%2Fb%3Fx%3D1%23%22%2C%22tries%22%3A9%2C%22?why=InstanceDown");
    let key = asked.header("idempotency-key");
    assert_eq!(key.len(), 36, "{key}");
    let sent = json!({"service": evil, "tries": 3, "key": format!("k-{key}"), "deep": [{"a": "ui"}]});
    assert_eq!(asked.json(), sent);
    assert_eq!((asked.header("x-service"), asked.header("x-token")), ("ui", TOKEN));
    assert_eq!(asked.header("content-type"), "application/json");
    let told = story(&verifying);
    let done = &told.iter().find(|(what, _)| what == "action done").unwrap().1;
    assert!(done.contains("answered HTTP 202: ") && done.contains("restarting ui"), "{done}");
    assert_eq!(daemon.post(body("resolved", evil)), Some(202));
    daemon.wait_for_state("healed");
    assert!(daemon.text("/metrics").contains("autoheal_service_up{service=\"http/api\"} 1"));
    assert_eq!(upstream.asked().len(), 1);
    let (log, _) = daemon.terminate_with_log();
    assert!(!log.contains(TOKEN));
    assert!(!String::from_utf8_lossy(&fs::read(home.store()).unwrap()).contains(TOKEN));
}

#[test]
fn what_comes_back_decides_what_follows_and_a_server_that_quotes_a_secret_is_not_quoted() {
    let quoted = format!("bad token {TOKEN}");
    let rows = [
        (
            "POST",
            Reply::text(500, "database\nis locked"),
            "exhausted",
            "action failed",
            "HTTP 500: database is locked after ",
            1,
        ),
        (
            "POST",
            Reply::text(200, "nothing done"),
            "exhausted",
            "action failed",
            "its body does not match \"restarting\"",
            1,
        ),
        ("POST", Reply::text(400, "no such service"), "exhausted", "action refused", "HTTP 400: no such service", 1),
        ("POST", Reply::text(401, &quoted), "exhausted", "action refused", "bad token [secret] after ", 3),
        (
            "POST",
            Reply::Say(302, vec![("location", "http://127.0.0.1:1/".into())], String::new()),
            "exhausted",
            "action refused",
            "redirects are not followed",
            1,
        ),
        (
            "POST",
            Reply::Say(503, vec![("retry-after", "7".into())], String::new()),
            "pending",
            "pending",
            "left alone for 7s",
            1,
        ),
        ("POST", Reply::text(504, ""), "suppressed", "action doubtful", "whether it was done is not known", 1),
        ("POST", Reply::Lose, "suppressed", "action doubtful", "whether it was done is not known", 1),
        ("POST", Reply::Hang, "suppressed", "action doubtful", "no answer within 1s", 1),
        ("PUT", Reply::Lose, "exhausted", "action failed", "sending it again does no harm", 1),
        ("DELETE", Reply::text(204, ""), "exhausted", "action failed", "its body does not match", 1),
    ];
    std::thread::scope(|scope| {
        for (method, reply, state, what, why, times) in rows {
            scope.spawn(move || {
                let said = format!("{method} {reply:?}");
                let upstream = wait(Upstream::start(move |_| reply.clone()));
                let home = home(
                    &upstream,
                    &rule(&format!("httpRequest: {{method: {method}, path: /, bodyMatches: restarting}}")),
                );
                let daemon = home.start();
                let heal = fire(&daemon, "web1", state);
                // What goes on as pending was so before its request, too.
                let path = format!("/api/v1/heals/{}", heal["id"].as_str().unwrap());
                let told = || story(&daemon.json(&path));
                let is_told = || told().iter().any(|(w, reason)| w == what && reason.contains(why));
                eventually(&format!("{said}: {what}: {why}"), is_told);
                assert_eq!(upstream.asked().len(), times, "{said}");
                let (log, _) = daemon.terminate_with_log();
                assert!(!log.contains(TOKEN), "{log}");
            });
        }
    });
}

#[test]
fn a_request_that_never_arrived_costs_no_attempt() {
    let mut upstream = wait(Upstream::start(|_| Reply::text(200, "")));
    let home = home(&upstream, &rule("httpRequest: {method: POST, path: /restart}"));
    wait(upstream.stop());
    let daemon = home.start();
    fire(&daemon, "web1", "pending");
    let mut heal = serde_json::Value::Null;
    eventually("it is told why", || {
        heal = daemon.wait_for_state("pending");
        heal["reason"].as_str().unwrap().contains("no connection")
    });
    assert_eq!(heal["steps"][0]["attempts"], 0, "{heal}");
    wait(upstream.come_back());
    daemon.wait_for_state("verifying");
    assert_eq!(upstream.of("POST").len(), 1);
}

#[test]
fn an_alert_cannot_choose_whom_a_request_is_sent_to() {
    let upstream = wait(Upstream::start(|_| Reply::text(200, "")));
    let rules = rule(
        "httpRequest: {method: POST, url: 'http://{{ $labels.instance }}/-/reload?a=b', hosts: ['127.0.0.1', '*.example.com'], form: {a: '{{ $labels.job }}&b'}}",
    );
    let home = home(&upstream, &rules);
    let daemon = home.start();
    let refused = fire(&daemon, &format!("localhost:{}", upstream.address().port()), "suppressed");
    assert!(refused["reason"].as_str().unwrap().contains("none of the `hosts` that the rule lists"), "{refused}");
    assert!(upstream.asked().is_empty());
    let sent = fire(&daemon, &upstream.address().to_string(), "verifying");
    assert_eq!(sent["target"], format!("http:{}/-/reload?a=b {{\"a\":\"ui&b\"}}", upstream.address()));
    let [asked] = <[_; 1]>::try_from(upstream.asked()).unwrap();
    assert_eq!(asked.form(), [("a".to_owned(), "ui&b".to_owned())]);
    assert_eq!((asked.line().as_str(), asked.header("x-token")), ("POST /-/reload?a=b", ""), "no credentials go there");
}

#[test]
fn a_plan_and_a_dry_run_show_the_request_and_send_nothing() {
    let upstream = wait(Upstream::start(|_| Reply::text(200, "")));
    let action = "httpRequest: {path: '/restart/{{ $labels.instance }}', form: {service: '{{ $labels.job }}', key: '{{ $job.key }}'}}";
    let home = home(&upstream, &rule(action)).flag("--dry-run");
    home.write("alert.json", &body("firing", "web 1"));
    let plan = std::process::Command::new(env!("CARGO_BIN_EXE_autoheal"))
        .args(["plan", "alert.json", "--output", "json", "--config-file", "autoheal.yml", "--secrets-file", "secrets"])
        .current_dir(home.path())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let step = &plan["alerts"][0]["rules"][0]["steps"][0];
    assert_eq!(step["action"], "httpRequest");
    assert_eq!(
        step["rendered"],
        json!({"server": "api", "method": "POST", "path": "/restart/web%201", "form": {"service": "ui", "key": "{{ $job.key }}"}})
    );
    assert!(!plan.to_string().contains(TOKEN));
    let daemon = home.start();
    fire(&daemon, "web 1", "shadowed");
    assert!(upstream.asked().is_empty());
}

#[test]
fn a_request_speaks_tls_with_a_certificate_to_whom_the_configuration_trusts() {
    let (ours, other) = (Authority::new(), Authority::new());
    let site = wait(Site::with_tls(site::Answer::Say(200, String::new()), &ours, true));
    for (trusted, state) in [(&ours, "verifying"), (&other, "pending")] {
        let home = Home::new(
            &format!(
                "http: {{servers: [{{name: api, address: 'https://{}', token: '${{TOKEN}}', \
                 tls: {{caFile: ca.pem, certFile: client.pem, keyFile: client.key}}}}]}}\n",
                site.address
            ),
            &rule("httpRequest: {method: PUT, path: /}"),
        );
        home.secrets(&format!("TOKEN={TOKEN}\n"));
        home.write("ca.pem", &trusted.pem());
        ours.sign(&["autoheal"]).write(home.path(), "client");
        let daemon = home.start();
        fire(&daemon, "web1", state);
    }
    let [head] = <[_; 1]>::try_from(site.requests()).unwrap();
    assert!(head.to_lowercase().contains(&format!("authorization: bearer {TOKEN}")), "{head}");
}

/// Not a test: the life of a daemon with a fuse.
#[test]
fn child() {
    obey();
}

const CHILD: &str = "http::request::child";

/// One alert, a process that dies at one commit, and another one that goes on; answers how the heal stands, how many requests
/// arrived, and whether the first one died.
fn tell(fuse: Fuse, method: &str) -> (&'static str, usize, bool) {
    let upstream = wait(Upstream::start(|_| Reply::text(200, "")));
    let (home, caller) =
        (home(&upstream, &rule(&format!("httpRequest: {{method: {method}, path: /restart}}"))), Caller::new());
    let start = |home: &Home| Mortal::start(life_of(home, CHILD, &Orders { fuse: Some(fuse), later: 0 }), home);
    let (mut life, began, mut died, mut accepted) = (start(&home), Instant::now(), false, false);
    loop {
        assert!(began.elapsed() < PATIENCE, "stuck after {fuse:?} of {method}:\n{}", life.log());
        if life.is_dead() {
            assert!(!died, "the heir died:\n{}", life.log());
            died = true;
            life = Mortal::start(home.command(&["serve"]), &home);
        }
        if let Some(address) = life.address() {
            if !accepted {
                accepted = caller.post(address, body("firing", "web1")) == Some(202);
            } else if let Some(now) = caller.look(address, "/api/v1/status") {
                let state = ["verifying", "suppressed"].into_iter().find(|state| now["heals"][state] == 1);
                if let Some(state) = state {
                    // The last commit can be seen from outside before the process has died of it.
                    died |= !life.ends_well();
                    return (state, upstream.asked().len(), died);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn whatever_dies_at_whichever_commit_a_request_that_must_not_be_repeated_is_not() {
    let deaths = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for method in ["POST", "PUT"] {
            for side in [Side::Before, Side::After] {
                let deaths = &deaths;
                scope.spawn(move || {
                    for number in 1..100 {
                        let (state, sent, died) = tell(Fuse { side, call: Call::Record, number }, method);
                        match method {
                            "POST" => assert!(
                                sent == usize::from(state == "verifying") || (state == "suppressed" && sent <= 1),
                                "{state} after {sent} at {side:?} {number}"
                            ),
                            _ => {
                                assert!(state == "verifying" && sent >= 1, "{state} after {sent} at {side:?} {number}");
                            }
                        }
                        if !died {
                            break;
                        }
                        deaths.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
    });
    assert!(deaths.load(Ordering::Relaxed) >= 12, "{deaths:?}");
}
