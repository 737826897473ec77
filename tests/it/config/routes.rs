//! `routes:` — who is told of an alert whose rule names nobody.

use autoheal::config::{Config, LoadOptions};
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use insta::assert_snapshot;

use super::{load, options, place, told};

const RECEIVERS: &str = "receivers:
- {name: chat, slack: {webhookUrl: '${HOOK}'}}
- {name: dba, slack: {webhookUrl: '${HOOK}'}}
- {name: on-call, slack: {webhookUrl: '${HOOK}'}}
";
const SECRETS: (&str, &str) = ("secrets", "HOOK=https://hooks.slack.com/services/x\n");

const RULES: &str = "rules:
- metadata: {name: routed}
  matchers: ['alertname=~\"Down|Slow\"']
- metadata: {name: own}
  matchers: ['alertname=\"Down\"']
  receivers: [on-call]
";

fn alert(labels: &[(&str, &str)]) -> Alert {
    let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: "2026-11-22T07:00:00Z".parse().unwrap(),
        ends_at: None,
        generator_url: String::new(),
    }
}

#[test]
fn a_rules_own_receivers_win_over_routes_and_these_over_the_default_ones() {
    let routes = "routes:
- {matchers: ['team=\"db\"'], receivers: [dba], continue: true}
- {matchers: ['severity=~\"critical|page\"'], receivers: [on-call, dba]}
defaultReceivers: [chat]
";
    let config = format!("{RECEIVERS}{routes}");
    let (config, warnings) = load(&[("autoheal.yml", &config), ("rules/a.yml", RULES), SECRETS]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    for (labels, expected) in [
        (&[("alertname", "Slow"), ("team", "db")][..], &[("routed", "dba")][..]),
        (&[("alertname", "Slow"), ("team", "db"), ("severity", "page")], &[("routed", "dba on-call")]),
        (&[("alertname", "Slow"), ("severity", "critical")], &[("routed", "on-call dba")]),
        (&[("alertname", "Slow")], &[("routed", "chat")]),
        (&[("alertname", "Down"), ("team", "db")], &[("routed", "dba"), ("own", "on-call")]),
    ] {
        let alert = alert(labels);
        let requests = config.rules.matching(&alert).map(|rule| rule.request(&alert));
        let told: Vec<_> = requests.map(|request| (request.rule, request.receivers.join(" "))).collect();
        let expected: Vec<_> = expected.iter().map(|(rule, names)| ((*rule).to_owned(), (*names).to_owned())).collect();
        assert_eq!(told, expected, "{labels:?}");
    }
}

#[test]
fn every_mistake_in_a_route_is_shown_at_its_place() {
    let routes = "routes:
- {matchers: ['team=~\"(\"'], receivers: [dba]}
- {matcher: ['team=\"db\"'], receivers: [dbs]}
- {matchers: [], receivers: []}
- {matchers: ['team=\"db\"']}
";
    let config = format!("{RECEIVERS}{routes}");
    assert_snapshot!(told(&[("autoheal.yml", &config), ("rules/a.yml", RULES), SECRETS]), @r#"
    error: bad matcher: bad regular expression: missing closing )
     --> autoheal.yml:6:23
      |
    6 | - {matchers: ['team=~"("'], receivers: [dba]}
      |                       ^ expected for example job=~"ui|post"

    error: unknown key `matcher` in a route
     --> autoheal.yml:7:4
      |
    7 | - {matcher: ['team="db"'], receivers: [dbs]}
      |    ^^^^^^^ unknown key
      |
      = help: did you mean `matchers`?

    error: there is no receiver `dbs`
     --> autoheal.yml:7:40
      |
    7 | - {matcher: ['team="db"'], receivers: [dbs]}
      |                                        ^^^ unknown receiver
      |
      = help: did you mean `dba`?

    error: this list of matchers is empty
     --> autoheal.yml:8:14
      |
    8 | - {matchers: [], receivers: []}
      |              ^^ name at least one, or remove the key

    error: this route tells nobody
     --> autoheal.yml:8:29
      |
    8 | - {matchers: [], receivers: []}
      |                             ^^ name at least one receiver

    error: a route needs `receivers`
     --> autoheal.yml:9:3
      |
    9 | - {matchers: ['team="db"']}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^ `receivers` is missing

    warning: this rule neither acts nor tells anybody
     --> rules/a.yml:2:3
      |
    2 | - metadata: {name: routed}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^ give it `steps` or `receivers`, or give the configuration `defaultReceivers`
    "#);
}

#[test]
fn a_check_finds_routes_that_no_alert_takes() {
    let routes = "routes:
- {matchers: ['team=\"db\"'], receivers: [dba]}
- {matchers: ['team=\"db\", severity=\"page\"'], receivers: [on-call]}
- {matchers: ['team=\"db\", team=\"web\"'], receivers: [on-call]}
- {receivers: [chat]}
- {matchers: ['team=\"web\"'], receivers: [on-call]} # autoheal: allow unreachable-route
";
    let found = |rules: &str| {
        let config = format!("{RECEIVERS}{routes}");
        let directory = place(&[("autoheal.yml", &config), ("rules/a.yml", rules), SECRETS]);
        let (_, found) = Config::load(&LoadOptions { lint: true, ..options(directory.path()) }).unwrap();
        found.to_string()
    };
    assert_snapshot!(found(RULES), @r#"
    warning[unreachable-route]: this route is never taken: an earlier one takes all its alerts and does not say `continue`
     --> autoheal.yml:7:14
      |
    7 | - {matchers: ['team="db", severity="page"'], receivers: [on-call]}
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ unreachable
      |
      = help: that route is at autoheal.yml:6:14; move this one before it, or give that one continue: true

    warning[unreachable-route]: this route can never match: no value of `team` meets all it asks for
     --> autoheal.yml:8:14
      |
    8 | - {matchers: ['team="db", team="web"'], receivers: [on-call]}
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^ contradicts itself
    "#);
    let only_own = RULES.replace("name: routed}\n", "name: routed}\n  receivers: [chat]\n");
    let unused = found(&only_own);
    assert!(unused.starts_with("warning[unused-routes]: no rule leaves it to the routes who is told"), "{unused}");
}
