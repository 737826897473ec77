//! Files written for openshift/autoheal load as they are; what cannot be done is refused by name.

use std::path::PathBuf;
use std::time::Duration;

use autoheal::cli::check::{self, CheckArgs};
use autoheal::config::Config;

use super::{load, options, place, told};

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

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let config = r#"
awx:
  address: https://awx.example.com/api
  credentialsRef: {namespace: my-namespace, name: my-awx-credentials}
  tlsRef: {namespace: my-namespace, name: my-awx-tls}
rules:
- metadata: {name: say-hello}
  labels: {alertname: "NewFriend"}
  batchJob:
    apiVersion: batch/v1
    kind: Job
    metadata: {namespace: default, name: hello}
    spec: {template: {spec: {containers: [{name: python, image: python, command: [python, -c, 'print("{{ $labels.name }}")']}]}}}
- apiVersion: autoheal.openshift.io/v1alpha1
  metadata: {name: old}
  labels: {alertname: X}
"#;
    let text = told(&[("autoheal.yml", config)]);
    for key in ["credentialsRef", "tlsRef", "batchJob"] {
        assert!(text.contains(&format!("`{key}` is not supported by this version")), "{key}: {text}");
    }
    assert!(text.contains("`apiVersion` must be autoheal.openshift.io/v1alpha2"), "{text}");
    assert!(!text.contains("unknown key"), "{text}");
    assert!(load(&[("autoheal.yml", config)]).is_err());
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
