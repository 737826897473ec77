//! Which files are read, and what a person is told of those that cannot be.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use autoheal::config::{Config, LoadOptions};

use super::{RULE, load, options, place, told};

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
fn only_regular_files_are_read_and_links_lead_to_them() {
    let directory = place(&[("..data/a.yml", RULE)]);
    fs::create_dir(directory.path().join("rules")).unwrap();
    symlink("../..data/a.yml", directory.path().join("rules/a.yml")).unwrap();
    assert_eq!(Config::load(&options(directory.path())).unwrap().0.rules.rules().len(), 1);
    assert!(Command::new("mkfifo").arg(directory.path().join("rules/b.yml")).status().unwrap().success());
    symlink("/dev/zero", directory.path().join("rules/c.yml")).unwrap();
    let told = Config::load(&options(directory.path())).unwrap_err().to_string();
    assert_eq!(
        told,
        "error: rules/b.yml cannot be read: it is not a regular file\n\nerror: rules/c.yml cannot be read: it is not a regular file"
    );
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

const NAMES_A_SECRET: (&str, &str) = ("autoheal.yml", "web: {bearerTokens: ['${T}']}\n");

#[test]
fn a_secret_that_is_missing_says_where_it_was_looked_for() {
    let told = |files: &[(&str, &str)]| load(files).unwrap_err().to_string();
    let text = told(&[NAMES_A_SECRET, ("rules/a.yml", RULE), ("secrets", "OTHER=1\n")]);
    assert!(
        text.contains("the secrets file has no `T`")
            && text.contains("add a line T=… to ")
            && text.contains("/secrets;"),
        "{text}"
    );
    // Nobody named a file, and the one that is read then is not there on this machine.
    let directory = place(&[NAMES_A_SECRET, ("rules/a.yml", RULE)]);
    let options = LoadOptions { working_dir: directory.path().to_owned(), ..LoadOptions::default() };
    let text = Config::load(&options).unwrap_err().to_string();
    for words in ["there is no secrets file to take `T` from", "/run/autoheal/secrets", "--secrets-file"] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn every_bad_line_of_the_secrets_file_is_told() {
    let told = load(&[("rules/a.yml", RULE), ("secrets", "A=1\nhunter2\nA=2\nb=3\n")]).unwrap_err();
    let lines: Vec<_> =
        told.iter().map(|problem| problem.message.rsplit_once("secrets: ").unwrap().1.to_owned()).collect();
    assert_eq!(
        lines,
        [
            "line 2: expected NAME=VALUE",
            "line 3: this name stands in the file twice",
            "line 4: the name before `=` must be made of A-Z, 0-9 and _, and not begin with a digit"
        ]
    );
    assert!(!told.to_string().contains("hunter2"), "{told}");
}
