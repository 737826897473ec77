//! A server that is gone, and what is seen of it.

use serde_json::json;

use super::{body, rule};
use crate::support::daemon::{Home, eventually};

#[test]
fn what_is_known_of_a_server_outlives_a_reload_but_not_its_place_in_the_configuration() {
    let home = Home::new(
        "http: {servers: [{name: api, address: 'http://127.0.0.1:1'}]}\n",
        &rule("httpRequest: {server: api, method: POST, path: '/{{ $labels.instance }}'}"),
    );
    let daemon = home.start();
    let up = || {
        let page = daemon.text("/metrics");
        let series = "autoheal_service_up{service=\"http/api\"} ";
        page.lines().find_map(|line| line.strip_prefix(series).map(str::to_owned))
    };
    let services = || daemon.json("/api/v1/status")["services"].clone();
    let reload = || daemon.request("POST", "/-/reload").send().unwrap().status().as_u16();
    assert_eq!((up(), services()), (None, json!({})), "nobody has asked it anything");
    for instance in ["a", "b", "c"] {
        assert_eq!(daemon.post(body("firing", instance)), Some(202));
    }
    eventually("the outage is seen", || up().as_deref() == Some("0"));
    assert_eq!(reload(), 200);
    assert_eq!((up().as_deref(), &services()["http/api"]["up"]), (Some("0"), &json!(false)));
    home.write("rules/rules.yml", "rules: [{metadata: {name: note}, labels: {alertname: ^InstanceDown$}}]\n");
    home.write("autoheal.yml", "");
    assert_eq!(reload(), 200);
    assert_eq!((up(), services()), (None, json!({})));
}
