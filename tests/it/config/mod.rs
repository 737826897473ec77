//! Configuration from files: what loads, and what a person is told when it does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use autoheal::config::{Config, Diagnostics, LoadOptions, StoreLocation};
use autoheal::domain::rule::Mode;
use autoheal::notify::NotifierSettings;
use insta::assert_snapshot;
use tempfile::TempDir;

mod ancestor;
mod awx;
mod files;
mod http;
mod precautions;
mod problems;
mod receivers;
mod references;
mod routes;
mod texts;
mod time_intervals;
mod tokens;
mod web_file;

pub fn place(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    directory
}

/// Options that look nowhere outside the directory.
pub fn options(directory: &Path) -> LoadOptions {
    let secrets_file = Some(directory.join("secrets"));
    let working_dir = directory.to_owned();
    if !directory.join("secrets").exists() {
        fs::write(directory.join("secrets"), "").unwrap();
        fs::set_permissions(directory.join("secrets"), fs::Permissions::from_mode(0o600)).unwrap();
    }
    LoadOptions { secrets_file, working_dir, ..LoadOptions::default() }
}

pub fn load(files: &[(&str, &str)]) -> Result<(Config, Diagnostics), Diagnostics> {
    let directory = place(files);
    Config::load(&options(directory.path()))
}

/// Everything a person is told about files.
pub fn told(files: &[(&str, &str)]) -> String {
    load(files).map_or_else(|problems| problems, |(_, warnings)| warnings).to_string()
}

pub const RULE: &str = r"
rules:
- metadata: {name: restart-ui}
  labels: {alertname: InstanceDown}
  restartContainer: {name: ui}
";

#[test]
fn the_defaults_apply_without_any_file() {
    let (config, warnings) = load(&[("rules/a.yml", RULE)]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(config.docker_hosts[0].address, "unix:///var/run/docker.sock");
    assert_eq!(config.web.listen_address.to_string(), "127.0.0.1:9099");
    assert_eq!(config.web.max_body_bytes, 32 * 1024 * 1024);
    assert_eq!(config.history, Duration::from_hours(90 * 24));
    assert_eq!(config.page_paused_after, Duration::from_mins(30));
    assert!(matches!(&config.store, StoreLocation::Sqlite(path) if path.ends_with("data/autoheal.db")));
    let rule = &config.rules.rules()[0];
    assert_eq!((rule.name.as_str(), rule.mode, rule.continue_matching), ("restart-ui", Mode::Act, true));
    assert_eq!(rule.throttle, Duration::from_hours(1));
    let step = &rule.steps[0];
    assert_eq!((step.attempts, step.timeout), (1, Duration::from_mins(1)));
    assert_eq!((step.verify.within, step.verify.resolved), (Duration::from_mins(10), true));
}

#[test]
fn without_any_rules_it_only_warns() {
    assert_snapshot!(told(&[]), @r"
    warning: rules cannot be read: No such file or directory (os error 2)

    warning: there are no rules: alerts are taken in and nothing is done about them
    ");
}

const FULL: &str = r#"
ruleFiles: [heal/]
store: sqlite:state/heals.db
docker:
  hosts:
  - {name: local, address: "unix:///var/run/docker.sock"}
  - {name: far, address: "tcp://far.example.com:2376", tls: {caFile: ca.pem, certFile: ca.pem, keyFile: ca.pem}}
awx: {address: "https://awx.example.com/api", token: "${BEARER}"}
throttling: {interval: 2h}
limits: {concurrent: 3, perHour: 7, windows: [{actions: 3, within: 10m}, {actions: 20, within: 1d}]}
web: {listenAddress: ":9100", bearerTokens: ["${BEARER}"], maxBodyBytes: 1024}
receivers:
- name: on-call
  slack: {webhookUrl: "https://hooks.example.com/services/${SLACK_PATH}", apiUrl: "http://127.0.0.1:1"}
  email:
    to: On Call <oncall@example.com>
    from: autoheal@example.com
    smarthost: smtp.mailgun.org
    username: "${SMTP_USER}"
    password: "${SMTP_PASSWORD}"
    tls: {caFile: ca.pem}
defaultReceivers: [on-call]
fallbackReceiver: on-call
history: 30d
pause: {pageAfter: 10m}
"#;

const LADDER: &str = r#"
rules:
- apiVersion: autoheal.openshift.io/v1alpha2
  kind: HealingRule
  metadata: {name: ladder, description: Two rungs., runbook: "https://wiki/{{ $labels.job }}"}
  labels: {job: ui, code: 1.10}
  annotations: {summary: down}
  continue: false
  mode: shadow
  for: 90s
  throttling: {interval: 0}
  steps:
  - restartContainer: {host: local, compose: {project: otus, service: "{{ $labels.job }}"}, stopTimeout: 10s, max: 2}
    attempts: 2
    backoff: {initial: 1s, factor: 1.5, max: 1m}
    timeout: 2m
    verify: {within: 5m, healthyFor: 30s, resolved: false, tcp: "ui:9292"}
  - restartContainer: {host: "{{ $labels.host }}", labels: {role: web}}
- metadata: {name: tell}
  labels: {alertname: Slow}
"#;

#[test]
fn every_key_arrives() {
    let secrets = "BEARER=b\nSLACK_PATH=T0/B0/x\nSMTP_USER=u\nSMTP_PASSWORD=p\n";
    let files = [("autoheal.yml", FULL), ("heal/deep/a.yaml", LADDER), ("secrets", secrets), ("ca.pem", "")];
    let (config, warnings) = load(&files).unwrap();
    assert_snapshot!(warnings, @"");
    let [awx] = config.awx_servers.as_slice() else { panic!("{:?}", config.awx_servers) };
    assert_eq!((awx.name.as_str(), awx.root.to_string().as_str()), ("default", "https://awx.example.com/api"));
    assert!(matches!(&config.store, StoreLocation::Sqlite(path) if path.ends_with("state/heals.db")));
    assert_eq!(config.docker_hosts[1].tls.as_ref().unwrap().ca_file.file_name().unwrap(), "ca.pem");
    assert_eq!((config.limits.concurrent, config.limits.per_hour), (3, 7));
    let windows: Vec<_> =
        config.limits.windows.iter().map(|window| (window.actions, window.within.as_secs())).collect();
    assert_eq!(windows, [(3, 600), (20, 86_400)]);
    assert_eq!(config.web.listen_address.to_string(), "0.0.0.0:9100");
    assert_eq!(config.web.bearer_tokens[0].expose(), "b");
    assert_eq!(config.history, Duration::from_hours(30 * 24));
    assert_eq!(config.page_paused_after, Duration::from_mins(10));
    assert_eq!(config.fallback_receiver.as_deref(), Some("on-call"));
    let [NotifierSettings::Slack(slack), NotifierSettings::Email(email)] = config.receivers[0].integrations.as_slice()
    else {
        panic!("{:?}", config.receivers);
    };
    assert_eq!(slack.webhook_url.expose(), "http://127.0.0.1:1/services/T0/B0/x");
    assert_eq!((email.host.as_str(), email.port, email.to.len()), ("smtp.mailgun.org", 587, 1));
    assert_eq!(email.password.as_ref().unwrap().expose(), "p");
    assert!(email.tls.ca_file.is_some());

    let [ladder, tell] = config.rules.rules() else { panic!("{:?}", config.rules) };
    assert_eq!(ladder.selector.labels[1].1.source(), "1.10", "a number keeps the digits it was written with");
    assert_eq!((ladder.mode, ladder.continue_matching), (Mode::Shadow, false));
    assert_eq!((ladder.hold_for, ladder.throttle), (Duration::from_secs(90), Duration::ZERO));
    let [first, second] = ladder.steps.as_slice() else { panic!("{:?}", ladder.steps) };
    assert_eq!((first.attempts, first.timeout), (2, Duration::from_mins(2)));
    assert_eq!((first.backoff.initial, first.backoff.max), (Duration::from_secs(1), Duration::from_mins(1)));
    assert_eq!((first.verify.healthy_for, first.verify.resolved), (Duration::from_secs(30), false));
    assert_eq!(second.attempts, 1);
    assert_eq!(
        (ladder.receivers.as_slice(), tell.receivers.as_slice()),
        (&["on-call".to_owned()][..], &["on-call".to_owned()][..])
    );
    assert_eq!(tell.throttle, Duration::from_hours(2));
}

#[test]
fn files_add_up_and_later_scalars_win() {
    let directory = place(&[
        (
            "conf/1.yml",
            "history: 10d\nlimits: {concurrent: 1}\nrules: [{metadata: {name: r1}, labels: {a: b}, restartContainer: {host: h1, name: x}}]\ndocker: {hosts: [{name: h1, address: unix:///a}]}\n",
        ),
        (
            "conf/2.yaml",
            "history: 20d\nlimits: {perHour: 2}\ndocker: {hosts: [{name: h2, address: unix:///b}]}\nruleFiles: [more.yml, ../conf/more.yml]\n",
        ),
        ("conf/more.yml", ""),
        ("conf/sub/ignored.yml", "nonsense"),
        ("late.yml", "web: {maxBodyBytes: 5}\n"),
    ]);
    fs::write(directory.path().join("conf/more.yml"), RULE.replace("name: ui", "host: h2, name: ui")).unwrap();
    fs::rename(directory.path().join("conf/more.yml"), directory.path().join("rules.txt")).unwrap();
    let second = directory.path().join("conf/2.yaml");
    let text = fs::read_to_string(&second)
        .unwrap()
        .replace("[more.yml, ../conf/more.yml]", "[../rules.txt, ../conf/../rules.txt]");
    fs::write(second, text).unwrap();
    let mut options = options(directory.path());
    options.config_files = vec!["conf".into(), "late.yml".into()];
    options.store = Some("sqlite:/tmp/x.db".to_owned());
    options.listen_address = Some("127.0.0.1:0".to_owned());
    let (config, warnings) = Config::load(&options).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(config.history, Duration::from_hours(20 * 24));
    assert_eq!((config.limits.concurrent, config.limits.per_hour, config.web.max_body_bytes), (1, 2, 5));
    assert_eq!(config.docker_hosts.len(), 2);
    let names: Vec<_> = config.rules.rules().iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["r1", "restart-ui"]);
    assert_eq!(config.store, StoreLocation::Sqlite("/tmp/x.db".into()));
    assert_eq!(config.web.listen_address.port(), 0);
}

#[test]
fn a_secrets_file_others_can_read_stops_the_start() {
    let directory = place(&[("secrets", "A=1\n"), ("rules/a.yml", RULE)]);
    let secrets = directory.path().join("secrets");
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o644)).unwrap();
    let mut options = options(directory.path());
    let problems = Config::load(&options).unwrap_err();
    assert!(problems.to_string().contains("chmod 600"), "{problems}");
    options.insecure_secrets = true;
    assert!(Config::load(&options).is_ok());
    options.insecure_secrets = false;
    options.secrets_file = None;
    options.environment.insert("AUTOHEAL_SECRETS_FILE".to_owned(), secrets.display().to_string());
    assert!(Config::load(&options).is_err());
}

#[test]
fn anchors_and_merges_work_and_explicit_keys_win() {
    let rules = r"
rules:
- &base
  metadata: {name: first}
  labels: &labels {alertname: X}
  mode: shadow
  restartContainer: {name: ui}
- <<: *base
  metadata: {name: second}
  labels: {<<: *labels, job: ui}
";
    let (config, _) = load(&[("rules/a.yml", rules)]).unwrap();
    let second = &config.rules.rules()[1];
    assert_eq!((second.name.as_str(), second.mode), ("second", Mode::Shadow));
    assert_eq!(second.selector.labels.len(), 2);
}
