//! Files written for openshift/autoheal load as they are; what cannot be done is refused by name.

use std::path::PathBuf;
use std::time::Duration;

use autoheal::cli::check::{self, CheckArgs};
use autoheal::config::Config;

use insta::assert_snapshot;
use serde_json::json;

use super::{load, options, place, told};
use crate::support::daemon::{Home, alert, delivery, eventually};
use crate::support::slack::SlackServer;
use crate::support::wait;

const AWX: &str = r"
awx:
  address: https://awx.example.com/api
  proxy: http://proxy.example.com:3128
  credentials:
    username: healer
    password: ${AWX_PASSWORD}
  insecure: false
  project: My project
  jobStatusCheckInterval: 5m
throttling:
  interval: 1h
";

const RULES: &str = r#"
rules:
- apiVersion: autoheal.openshift.io/v1alpha2
  kind: HealingRule
  metadata:
    name: start-node
    namespace: healing
    resourceVersion: "17"
    labels: {team: ops}
  labels:
    alertname: "NodeDown"
  annotations:
    summary: ".*down"
  awxJob:
    template: "Start {{ $labels.kind }} node"
    limit: "{{ $labels.instance }}"
    extraVars:
      node: "{{ $labels.instance }}"
      tries: 3
      deep: {list: ["{{ $labels.instance }}"], nothing: }
- metadata:
    name: as-text
  labels: {alertname: "Other.*Down"}
  awxJob:
    template: Start node
    extraVars: |-
      {
        "node": "{{ $labels.instance }}"
      }
"#;

#[test]
fn its_files_load_in_its_order() {
    let directory = place(&[
        ("conf/10-awx.yml", AWX),
        ("conf/20-rules.yaml", RULES),
        ("conf/more/ignored.yml", "nonsense: ["),
        ("late.yml", "throttling: {interval: 30m}\nawx: {project: Other}\nrules: []\n"),
        ("secrets", "AWX_PASSWORD=p\n"),
    ]);
    let mut options = options(directory.path());
    options.config_files = vec!["conf".into(), "late.yml".into()];
    let (config, warnings) = Config::load(&options).unwrap_or_else(|problems| panic!("{problems}"));
    let told = warnings.to_string();
    assert!(told.contains("`namespace` is not used"), "{told}");
    assert!(told.contains("`resourceVersion` is not used") && told.contains("`labels` is not used"), "{told}");
    let [start, text] = config.rules.rules() else { panic!("{:?}", config.rules) };
    assert_eq!((start.name.as_str(), text.name.as_str()), ("start-node", "as-text"));
    assert_eq!(start.throttle, Duration::from_mins(30), "later scalars win");
    assert_eq!((start.steps.len(), text.steps.len()), (1, 1));
    assert!(start.selector.labels[0].1.is_match("ANodeDownB"), "its patterns match anywhere");
    assert_eq!(config.awx_servers[0].project.as_deref(), Some("Other"));
}

/// The keys and values of the example that is shipped with it, comments left out.
pub const EXAMPLE: &str = r#"
awx:
  address: https://my-awx.example.com/api
  proxy: http://my-proxy.example.com:3128
  credentialsRef:
    namespace: my-namespace
    name: my-awx-credentials
  tlsRef:
    namespace: my-namespace
    name: my-awx-tls
  insecure: false
  project: "My project"
throttling:
  interval: 1h
rules:
- metadata:
    name: start-node
  labels:
    alertname: "NodeDown"
  awxJob:
    template: "Start node"
    extraVars: |-
      {
        "node": "{{ $labels.instance }}"
      }
- metadata:
    name: say-hello
  labels:
    alertname: "NewFriend"
  batchJob:
    apiVersion: batch/v1
    kind: Job
    metadata:
      namespace: default
      name: hello
    spec:
      template:
        spec:
          containers:
          - name: python
            image: python
            command:
            - python
            - -c
            - print("Hello {{ $labels.name }}!")
          restartPolicy: Never
"#;

#[test]
fn its_example_loads_and_check_warns_by_name_of_what_is_never_done() {
    let directory = place(&[("autoheal.yml", EXAMPLE)]);
    let run = |strict| {
        let mut out = Vec::new();
        let args = CheckArgs { strict, ..CheckArgs::default() };
        let good = check::run(options(directory.path()), &args, false, &mut out).unwrap();
        (good, String::from_utf8(out).unwrap())
    };
    let (good, said) = run(false);
    assert!(good, "{said}");
    let (warnings, _) = said.split_once("all good").unwrap();
    assert_snapshot!(warnings, @r#"
    warning: the credentials of AWX server default are in the Kubernetes secret my-namespace/my-awx-credentials, which autoheal cannot read
     --> autoheal.yml:5:3
      |
    5 |   credentialsRef:
      |   ^^^^^^^^^^^^^^ its jobs are refused by name and a human is told
      |
      = help: put `token`, or `credentials` with `username` and `password`, beside it, as ${NAME} of the secrets file

    warning: the authorities in the Kubernetes secret my-namespace/my-awx-tls cannot be read by autoheal
     --> autoheal.yml:8:3
      |
    8 |   tlsRef:
      |   ^^^^^^ passed over; give them by `tls.caFile` or `tls.caCerts`

    warning[unanchored-name]: `NodeDown` is looked for anywhere in the alert's name
      --> autoheal.yml:19:16
       |
    19 |     alertname: "NodeDown"
       |                ^^^^^^^^^^ also matches names that only contain it, such as NotNodeDownYet
       |
       = help: anchor it: "^NodeDown$"; or use matchers: ['alertname="NodeDown"']

    warning[no-limit]: this job has no `limit`
      --> autoheal.yml:21:5
       |
    21 |     template: "Start node"
       |     ^^^^^^^^^^^^^^^^^^^^^^ runs on every host of the template's inventory
       |
       = help: add for example limit: "{{ $labels.instance | stripPort }}"

    warning[unanchored-name]: `NewFriend` is looked for anywhere in the alert's name
      --> autoheal.yml:29:16
       |
    29 |     alertname: "NewFriend"
       |                ^^^^^^^^^^^ also matches names that only contain it, such as NotNewFriendYet
       |
       = help: anchor it: "^NewFriend$"; or use matchers: ['alertname="NewFriend"']

    warning: `batchJob` is read and never done
      --> autoheal.yml:30:3
       |
    30 |   batchJob:
       |   ^^^^^^^^ its alerts are refused by name and a human is told
    "#);
    assert!(!run(true).0);
}

#[test]
fn a_server_with_other_credentials_does_not_need_the_kubernetes_secret() {
    let own = EXAMPLE.replace("  insecure: false", "  token: '${T}'");
    let (config, warnings) = load(&[("autoheal.yml", &own), ("secrets", "T=t\n")]).unwrap();
    assert_eq!(config.awx_servers.len(), 1);
    assert!(config.rules.rules()[0].unsupported.is_none() && config.rules.rules()[1].unsupported.is_some());
    let told = warnings.to_string();
    assert!(told.contains("my-namespace/my-awx-tls cannot be read") && !told.contains("my-awx-credentials"), "{told}");
}

#[test]
fn what_means_nothing_is_refused_by_name() {
    let config = r"
awx: {address: 'https://awx.example.com/api', credentialsRef: {nmespace: a, name: b}}
rules:
- apiVersion: autoheal.openshift.io/v1alpha1
  metadata: {name: old}
  labels: {alertname: X}
- metadata: {name: both}
  labels: {alertname: X}
  batchJob: {}
  restartContainer: {name: a}
- metadata: {name: every-alert}
  batchJob: {}
";
    let text = told(&[("autoheal.yml", config)]);
    for expected in [
        "`apiVersion` must be autoheal.openshift.io/v1alpha2",
        "unknown key `nmespace` in a reference to a Kubernetes secret",
        "a step has one action",
        "this rule would act on every alert",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// Its example as it is, and beside it who is told.
#[test]
fn the_daemon_runs_on_its_example_and_tells_a_human_once_of_what_it_cannot_do() {
    let slack = wait(SlackServer::start([]));
    let home = Home::new(EXAMPLE, "rules: []\n").flag("--config-file").flag("people.yml");
    home.write(
        "people.yml",
        &format!(
            "receivers: [{{name: on-call, slack: {{webhookUrl: '${{SLACK}}', apiUrl: '{}'}}}}]\ndefaultReceivers: [on-call]\n",
            slack.api()
        ),
    );
    home.secrets(&format!("SLACK={}\n", slack.url()));
    let daemon = home.start();
    let body = |name: &str| {
        delivery(&[alert("firing", &json!({"alertname": name, "instance": "node1", "name": "ann"}), Duration::ZERO)])
    };
    // Alertmanager repeats a message as long as its alert fires.
    let bodies = ["NewFriend", "NodeDown"].map(body);
    for body in bodies.iter().chain(&bodies) {
        assert_eq!(daemon.post(body.clone()), Some(202));
    }
    eventually("both are told", || slack.received().len() >= 2);
    let heals = daemon.heals();
    let mut ended: Vec<_> =
        heals.iter().map(|heal| format!("{} {}: {}", heal["rule"], heal["state"], heal["reason"])).collect();
    ended.sort();
    assert_snapshot!(ended.join("\n"), @r#"
    "say-hello" "suppressed": "the rule asks for what autoheal cannot do: `batchJob` is a Job of Kubernetes, which autoheal does not run; let the rule do it by `awxJob`, or remove it"
    "start-node" "suppressed": "the rule asks for what autoheal cannot do: the credentials of AWX server default are in the Kubernetes secret my-namespace/my-awx-credentials, which autoheal cannot read; put awx.token or awx.credentials into the configuration"
    "#);
    let told: Vec<String> = slack.received().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|text| text.contains("batchJob")), "{told:?}");
    assert!(told.iter().any(|text| text.contains("my-namespace/my-awx-credentials")), "{told:?}");
}

#[test]
fn check_lists_where_we_differ_on_purpose() {
    let directory =
        place(&[("a.yml", AWX), ("b.yml", RULES), ("ours.yml", super::RULE), ("secrets", "AWX_PASSWORD=p\n")]);
    let said = |files: &[&str]| {
        let mut options = options(directory.path());
        options.config_files = files.iter().map(PathBuf::from).collect();
        let mut out = Vec::new();
        assert!(check::run(options, &CheckArgs::default(), false, &mut out).unwrap());
        String::from_utf8(out).unwrap()
    };
    let theirs = said(&["a.yml", "b.yml"]);
    assert!(theirs.contains("openshift/autoheal") && theirs.contains("- Every alert of a delivery"), "{theirs}");
    assert!(!said(&["ours.yml"]).contains("openshift/autoheal"));
}
