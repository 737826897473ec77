//! Which files are read, and what a person is told of those that cannot be.

use std::fs;
use std::os::unix::fs::symlink;

use autoheal::config::{Config, LoadOptions};

use super::{RULE, options, place, told};

#[test]
fn a_link_that_leads_nowhere_does_not_take_the_other_rules_along() {
    let directory = place(&[("rules/a.yml", RULE)]);
    let told =
        || Config::load(&options(directory.path())).map_or_else(|problems| problems.to_string(), |_| String::new());
    symlink("nowhere", directory.path().join("rules/link.yml")).unwrap();
    let missing = "cannot be read: No such file or directory (os error 2)";
    assert_eq!(told(), format!("error: rules/link.yml {missing}"));
    fs::remove_dir_all(directory.path().join("rules")).unwrap();
    symlink("nowhere", directory.path().join("rules")).unwrap();
    assert_eq!(told(), format!("error: rules {missing}"));
}

#[test]
fn what_an_unreadable_file_may_say_is_not_missed() {
    let rules = "
rules:
- metadata: {name: asks}
  labels: {alertname: ^A$}
  restartContainer: {name: ui}
  verify: {promql: up}
- metadata: {name: launches}
  labels: {alertname: ^B$}
  awxJob: {template: x, limit: web}
";
    let told =
        told(&[("autoheal.yml", "prometheus: {address: 'http://a'}\nawx: {address: ]\n"), ("rules/a.yml", rules)]);
    assert!(told.starts_with("error: this is not valid YAML") && told.matches("error:").count() == 1, "{told}");
    let directory = place(&[("rules/a.yml", rules)]);
    let config_files = vec!["none.yml".into()];
    let told = Config::load(&LoadOptions { config_files, ..options(directory.path()) }).unwrap_err().to_string();
    assert_eq!(told, "error: none.yml cannot be read: No such file or directory (os error 2)");
}
