//! What keeps a rule from doing harm, as it is written and as it is refused.

use std::time::Duration;

use autoheal::domain::rule::{ApprovalPolicy, Mode};
use insta::assert_snapshot;

use super::{load, told};

#[test]
fn a_rule_may_ask_named_people() {
    let rules = r"
rules:
- metadata: {name: plain}
  labels: {alertname: X}
  mode: ask
  restartContainer: {name: ui}
- metadata: {name: named}
  labels: {alertname: X}
  mode: ask
  approval: {expiresAfter: 5m, approvers: [ann, bob]}
  restartContainer: {name: ui}
";
    let (config, _) = load(&[("rules/a.yml", rules)]).unwrap();
    let policies = config.rules.policies();
    assert_eq!(config.rules.rules()[0].mode, Mode::Ask);
    assert_eq!(
        policies["plain"].approval,
        ApprovalPolicy { expires_after: Duration::from_mins(30), approvers: vec![] }
    );
    assert_eq!(
        policies["named"].approval,
        ApprovalPolicy { expires_after: Duration::from_mins(5), approvers: vec!["ann".into(), "bob".into()] }
    );
}

#[test]
fn an_approval_that_nobody_could_give_is_refused() {
    let rules = r"
rules:
- metadata: {name: a}
  labels: {alertname: X}
  mode: ask
  approval: {expiresAfter: 0s, aprovers: [ann]}
  restartContainer: {name: ui}
- metadata: {name: b}
  labels: {alertname: X}
  mode: ask
  approval: {approvers: []}
  restartContainer: {name: ui}
- metadata: {name: c}
  labels: {alertname: X}
  approval: {approvers: [ann]}
  restartContainer: {name: ui}
";
    assert_snapshot!(told(&[("rules/a.yml", rules)]), @r"
    error: this duration is out of range
     --> rules/a.yml:6:28
      |
    6 |   approval: {expiresAfter: 0s, aprovers: [ann]}
      |                            ^^ expected 1s to 7d

    error: unknown key `aprovers` in `approval`
     --> rules/a.yml:6:32
      |
    6 |   approval: {expiresAfter: 0s, aprovers: [ann]}
      |                                ^^^^^^^^ unknown key
      |
      = help: did you mean `approvers`?

    error: `approvers` names nobody
      --> rules/a.yml:11:25
       |
    11 |   approval: {approvers: []}
       |                         ^^ remove the key to let everybody approve who may at all

    error: `approval` stands in a rule that asks nobody
      --> rules/a.yml:15:13
       |
    15 |   approval: {approvers: [ann]}
       |             ^^^^^^^^^^^^^^^^^^ needs `mode: ask`
    ");
}
