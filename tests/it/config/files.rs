//! Which files are read, and what a person is told of those that cannot be.

use std::fs;
use std::os::unix::fs::symlink;

use autoheal::config::Config;

use super::{RULE, options, place};

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
