//! `autoheal check`.

use autoheal::cli::check;
use insta::assert_snapshot;

use super::config::{RULE, options, place};

#[test]
fn check_prints_every_problem_and_counts_them() {
    let directory = place(&[
        ("rules/good.yml", RULE),
        ("rules/good.test.yml", "not for us"),
        ("bad.yml", "rules: [{metadata: {}}]\n"),
        ("other/autoheal.yml", "receivers: [{name: a}]\n"),
    ]);
    let check = |paths: &[&str]| {
        let paths: Vec<_> = paths.iter().map(Into::into).collect();
        let mut out = Vec::new();
        let good = check::run(options(directory.path()), &paths, false, &mut out).unwrap();
        (good, String::from_utf8(out).unwrap())
    };
    assert_eq!(check(&[]), (true, "all good: 1 rule, 1 docker host, 0 receivers\n".to_owned()));
    assert!(check(&["rules"]).0);
    let (good, text) = check(&["bad.yml", "other"]);
    assert!(!good);
    assert_snapshot!(text, @r"
    error: this receiver reaches nobody
     --> other/autoheal.yml:1:13
      |
    1 | receivers: [{name: a}]
      |             ^^^^^^^^^ give it a way, such as `slack` or `email`

    warning: this rule tells of every alert
     --> bad.yml:1:9
      |
    1 | rules: [{metadata: {}}]
      |         ^^^^^^^^^^^^^^ selects nothing in particular

    warning: this rule neither acts nor tells anybody
     --> bad.yml:1:9
      |
    1 | rules: [{metadata: {}}]
      |         ^^^^^^^^^^^^^^ give it `steps` or `receivers`, or give the configuration `defaultReceivers`

    error: `metadata` needs `name`
     --> bad.yml:1:20
      |
    1 | rules: [{metadata: {}}]
      |                    ^^ `name` is missing

    check failed; 2 errors, 2 warnings
    ");
}
