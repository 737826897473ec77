//! No secret's value comes out anywhere, whatever goes well or wrong, and how secrets come in.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};
use crate::support::engine::{Engine, Recipe};
use crate::support::office::{Office, SMTP_PASSWORD, SMTP_USER};
use crate::support::prometheus::free_port;
use crate::support::slack::{Answer, SECRET};
use crate::support::wait;

const TOKEN: &str = "t0k3n-Wh4tN0b0dyM4yS33";
/// What a stranger shows at the door; it may be another system's secret.
const WRONG_TOKEN: &str = "wr0ngT0k3n-0fAnoth3rSyst3m";

const RULES: &str = r#"
rules:
- metadata: {name: restart}
  labels: {alertname: ^ContainerDown$}
  steps:
  - restartContainer: {name: "{{ $labels.container }}"}
    verify: {within: 2m}
"#;

/// Base64 as mail and HTTP write it, without padding: what follows in a longer text would take its place.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |chunk: &[u8], index: usize| {
        let word = chunk.iter().chain(&[0, 0]).take(3).fold(0usize, |word, byte| word << 8 | usize::from(*byte));
        char::from(DIGITS[word >> (18 - 6 * index) & 63])
    };
    bytes.chunks(3).flat_map(|chunk| (0..=chunk.len()).map(move |index| digit(chunk, index))).collect()
}

/// Everything that must not be found.
fn needles() -> Vec<String> {
    let token = SECRET.rsplit('/').next().unwrap();
    let plain = [TOKEN, WRONG_TOKEN, SECRET, token, SMTP_USER, SMTP_PASSWORD];
    let login = base64(format!("\0{SMTP_USER}\0{SMTP_PASSWORD}").as_bytes());
    plain
        .iter()
        .map(|secret| (*secret).to_owned())
        .chain(plain.map(|secret| base64(secret.as_bytes())))
        .chain([login])
        .collect()
}

fn is_clean(place: &str, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    assert!(!text.is_empty(), "{place}: nothing was looked at");
    for needle in needles() {
        let found = text.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!found, "{needle:?} is in {place}:\n{}", String::from_utf8_lossy(text));
    }
}

/// Everything the daemon says when asked, also when asked wrongly.
fn answers(daemon: &Daemon) -> String {
    let heals = daemon.heals();
    let one = heals.iter().map(|heal| format!("/api/v1/heals/{}", heal["id"].as_str().unwrap()));
    let paths = ["/metrics", "/api/v1/rules", "/api/v1/status", "/api/v1/heals", "/api/v1/heals?state=x", "/nowhere"];
    let mut said: String = paths.into_iter().map(str::to_owned).chain(one).map(|path| daemon.text(&path)).collect();
    let body = delivery(&[alert("firing", &json!({"alertname": "ContainerDown", "container": "x"}), Duration::ZERO)]);
    for (path, body, token) in [
        ("/api/v1/plan", body.as_str(), TOKEN),
        ("/alerts", "{", TOKEN),
        ("/alerts", body.as_str(), WRONG_TOKEN),
        ("/api/v1/plan", body.as_str(), WRONG_TOKEN),
    ] {
        let client = crate::support::daemon::client();
        let answer = client.post(daemon.url(path)).bearer_auth(token).body(body.to_owned()).send().unwrap();
        assert_eq!(answer.status() == 401, token == WRONG_TOKEN, "{path}");
        said.extend([format!("{:?}\n", answer.headers()), answer.text().unwrap()]);
    }
    said
}

fn config(engine: &Engine, office: &Office) -> String {
    format!(
        "docker: {{hosts: [{{name: local, address: '{}'}}]}}\nweb: {{bearerTokens: [\"${{WEBHOOK_BEARER_TOKEN}}\"]}}\n{}",
        engine.address,
        office.receivers()
    )
}

fn quoting(status: u16) -> Answer {
    Answer::say(status, &format!("no luck with https://hooks.slack.com/services/{SECRET}"))
}

#[test]
fn no_secret_comes_out_of_anything_whether_it_works_or_fails() {
    let engine = Engine::get();
    let container = wait(engine.run(Recipe::idle().not_started()));
    let broken = Office::with([quoting(500), quoting(404)], &["--user", SMTP_USER, "--password", "another"]);
    let home = Home::new(&config(&engine, &broken), RULES).flag("--log-level").flag("debug").token(TOKEN);
    home.secrets(&format!("{}WEBHOOK_BEARER_TOKEN={TOKEN}\n", Office::secrets()));
    let body = |status: &str, name: &str| {
        delivery(&[alert(status, &json!({"alertname": "ContainerDown", "container": name}), Duration::from_secs(9))])
    };

    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", &container.name)), Some(202));
    // A second heal fails at once and tells both channels of it.
    assert_eq!(daemon.post(body("firing", "no-such-container")), Some(202));
    daemon.wait_for_state("exhausted");
    daemon.wait_for_state("verifying");
    eventually("Slack and the mail server refused", || {
        let log = daemon.log();
        let refused = |words: &str| log.lines().any(|line| line.contains(words) && line.contains("channel=on-call/"));
        refused("500") && refused("404") && refused("535")
    });
    is_clean("answers while messages fail", answers(&daemon));
    let (log, status) = daemon.terminate_with_log();
    assert!(status.success());
    is_clean("the log while messages fail", &log);
    is_clean("what a broken Slack got", format!("{:?}", broken.slack.received()));

    let office = Office::open();
    home.write("autoheal.yml", &config(&engine, &office));
    let daemon = home.start();
    assert_eq!(daemon.post(body("resolved", &container.name)), Some(202));
    daemon.wait_for_state("healed");
    let mut mail = office.smtp.expect("message");
    // What the server noted of the login, and not a part of the mail.
    assert_eq!(mail.as_object_mut().unwrap().remove("user"), Some(json!(SMTP_USER)));
    is_clean("a mail", mail.to_string());
    eventually("Slack heard of it", || office.slack.requests() > 0);
    is_clean("what Slack got", format!("{:?}", office.slack.received()));
    is_clean("answers", answers(&daemon));
    for name in ["data/autoheal.db", "data/autoheal.db-wal"] {
        is_clean(name, fs::read(home.path().join(name)).unwrap());
    }
    let (log, status) = daemon.terminate_with_log();
    assert!(status.success());
    is_clean("the log", &log);
    is_clean("the store at rest", fs::read(home.store()).unwrap());
}

#[test]
fn a_wrong_configuration_never_shows_the_value_of_a_secret() {
    let secrets = format!("{}WEBHOOK_BEARER_TOKEN={TOKEN}\n", Office::secrets());
    for config in [
        "store: \"${MAILGUN_SMTP_PASSWORD}\"\n",
        "web: {bearerTokens: [\"${WEBHOOK_BEARER_TOKEN}\"], maxBodyBytes: \"${WEBHOOK_BEARER_TOKEN}\"}\n",
        "docker: {hosts: [{name: local, address: \"${WEBHOOK_BEARER_TOKEN}\"}]}\n",
        "receivers: [{name: a, slack: {webhookUrl: \"${MAILGUN_SMTP_PASSWORD}\"}}]\n",
        "receivers: [{name: a, slack: {webhookUrl: \"${SLACK_WEBHOOK_URL}\", apiUrl: \"${MAILGUN_SMTP_PASSWORD}\"}}]\n",
        "receivers: [{name: a, email: {to: \"${MAILGUN_SMTP_PASSWORD}\", from: a@b.c, smarthost: \"${MAILGUN_SMTP_PASSWORD}:x\"}}]\n",
        "throttling: {interval: \"${MAILGUN_SMTP_PASSWORD}\"}\n",
        "web: {bearerTokens: [\"${WEBHOOK_BEARER_TOKEM}\"]}\n",
        "defaultReceivers: [\"${MAILGUN_SMTP_PASSWORD}\"]\n",
        "http: {servers: [{name: a, address: \"${MAILGUN_SMTP_PASSWORD}\", token: \"${WEBHOOK_BEARER_TOKEN}\"}]}\n",
        "http: {servers: [{name: a, address: 'http://a', proxy: \"${MAILGUN_SMTP_PASSWORD}\"}]}\n",
        "http: {servers: [{name: \"${MAILGUN_SMTP_PASSWORD}\", address: 'http://a', headers: {X: \"${WEBHOOK_BEARER_TOKEN}\"}}]}\n",
        "\"${MAILGUN_SMTP_PASSWORD}\": 1\n",
    ] {
        let home = Home::new(config, RULES);
        home.secrets(&secrets);
        for verb in [&["serve"][..], &["check"], &["plan", "-"]] {
            let output = home.command(verb).output().unwrap();
            assert!(!output.status.success(), "{verb:?} with {config}");
            let said = [output.stdout, output.stderr].concat();
            is_clean(&format!("{verb:?} with {config}"), &said);
            assert!(String::from_utf8_lossy(&said).contains('^'), "{}", String::from_utf8_lossy(&said));
        }
    }
}

#[test]
fn a_secrets_file_that_others_can_read_is_refused_and_a_broken_one_named() {
    let home = Home::new("", RULES);
    home.secrets(&format!("A={SMTP_PASSWORD}\n{SMTP_PASSWORD}\n"));
    let refused = || {
        let output = home.command(&["serve"]).output().unwrap();
        is_clean("a refusal", &output.stderr);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = refused();
    assert_eq!(code, Some(2));
    assert!(said.contains("line 2: expected NAME=VALUE"), "{said}");
    fs::set_permissions(home.path().join("secrets"), fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = refused();
    assert_eq!(code, Some(2));
    assert!(said.contains("mode 0644 lets group or others in") && said.contains("chmod 600"), "{said}");
}

#[test]
fn the_entrypoint_renders_the_file_scrubs_the_environment_and_becomes_the_daemon() {
    let office = Office::open();
    let config = format!("web: {{bearerTokens: [\"${{WEBHOOK_BEARER_TOKEN}}\"]}}\n{}", office.receivers());
    let home = Home::new(&config, RULES).token(TOKEN);
    // Later sources win: the mounted file, the variables, the files that variables name.
    home.write("mounted", &format!("{}WEBHOOK_BEARER_TOKEN=0ld\n", Office::secrets().replace(SMTP_PASSWORD, "0ld")));
    home.write("password", &format!("{SMTP_PASSWORD}\n"));
    let file = home.path().join("run/secrets");
    let listen = format!("127.0.0.1:{}", free_port());
    let child = Command::new(env!("CARGO_BIN_EXE_autoheal"))
        .args(["entrypoint", "--secrets-source", "mounted", "--", "serve", "--config-file", "autoheal.yml"])
        .args(["--listen-address", &listen])
        .current_dir(home.path())
        .env_clear()
        .env("AUTOHEAL_SECRETS_FILE", &file)
        .env("AUTOHEAL_SECRET_WEBHOOK_BEARER_TOKEN", TOKEN)
        .env("AUTOHEAL_SECRET_MAILGUN_SMTP_PASSWORD_FILE", "password")
        .env("LANG", "C")
        .stdin(Stdio::null())
        .stderr(fs::File::create(home.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    let daemon = home.adopt(child, listen.parse().unwrap(), "log");
    eventually("it is ready", || daemon.status("/-/ready") == Some(200));

    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o400);
    let environment = fs::read_to_string(format!("/proc/{}/environ", daemon.pid())).unwrap();
    let names: BTreeSet<_> = environment.split_terminator('\0').map(|pair| pair.split_once('=').unwrap().0).collect();
    assert_eq!(names, BTreeSet::from(["AUTOHEAL_SECRETS_FILE", "LANG"]), "the same process, without secrets");
    is_clean("the environment", &environment);
    is_clean("the arguments", fs::read(format!("/proc/{}/cmdline", daemon.pid())).unwrap());

    // A container that is not there: the refusal is told by mail, which needs the password from its file.
    let body = delivery(&[alert("firing", &json!({"alertname": "ContainerDown"}), Duration::ZERO)]);
    assert_eq!(daemon.post(body), Some(202), "the token from the variable");
    assert_eq!(office.smtp.expect("message")["user"], SMTP_USER);
    assert!(daemon.terminate().success());
}

fn repository(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_example_of_secrets_lists_exactly_what_the_example_configuration_uses_each_with_a_comment() {
    let configuration = repository("autoheal.example.yml");
    let settings = configuration.lines().filter(|line| !line.trim_start().starts_with('#'));
    let used: BTreeSet<_> =
        settings.flat_map(|line| line.split("${").skip(1)).map(|rest| rest.split_once('}').unwrap().0).collect();
    let text = repository("secrets.example");
    let (mut listed, mut comment) = (BTreeSet::new(), false);
    for line in text.lines() {
        match line.split_once('=') {
            Some((name, value)) if !line.starts_with('#') => {
                assert!(comment && !value.is_empty(), "{name} needs a comment above it and a value to replace");
                assert!(listed.insert(name), "{name} is listed twice");
                comment = false;
            }
            _ => comment = line.starts_with('#'),
        }
    }
    assert_eq!(listed, used);
}

#[test]
fn the_examples_and_the_shipped_rules_load() {
    let home = Home::new("", RULES);
    home.secrets(&repository("secrets.example"));
    let secrets = home.path().join("secrets");
    let check = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_autoheal"))
            .args(arguments)
            .arg("--secrets-file")
            .arg(&secrets)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).unwrap();
    let is_test = |name: &str| name.ends_with(".test.yml");
    let rules = files.filter(|file| !is_test(&file.as_ref().unwrap().file_name().to_string_lossy())).count();
    let good = format!("all good: {rules} rules, 1 docker host, 2 receivers\n");
    assert_eq!(check(&["check", "--config-file", "autoheal.example.yml"]), (Some(0), good.clone()));
    assert_eq!(check(&["check", "autoheal.example.yml", "rules"]), (Some(0), good));
    let report: Value = serde_json::from_str(
        &check(&[
            "plan",
            "tests/data/payloads/01-webhook-firing-single.json",
            "--output",
            "json",
            "--config-file",
            "autoheal.example.yml",
        ])
        .1,
    )
    .unwrap();
    assert_eq!(report["alerts"][0]["rules"].as_array().map(Vec::len), Some(rules));
}
