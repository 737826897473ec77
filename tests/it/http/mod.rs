//! `httpRequest` and `httpJob`: what crosses the wire, and what becomes of a heal whatever comes back.

mod job;
mod outage;
mod request;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery};
use crate::support::upstream::Upstream;

const TOKEN: &str = "canary-http-t0ken";

/// A daemon's folder with one server named `api`.
fn home(upstream: &Upstream, rules: &str) -> Home {
    let config = format!(
        "http:\n  servers:\n  - {{name: api, address: '{}/base', headers: {{X-Token: '${{TOKEN}}'}}, timeouts: {{request: 1s}}}}\n",
        upstream.url()
    );
    let home = Home::new(&config, rules);
    home.secrets(&format!("TOKEN={TOKEN}\n"));
    home
}

fn rule(action: &str) -> String {
    format!("rules:\n- metadata: {{name: ask}}\n  labels: {{alertname: ^InstanceDown$}}\n  {action}\n")
}

fn body(status: &str, instance: &str) -> String {
    let labels = json!({"alertname": "InstanceDown", "instance": instance, "job": "ui"});
    delivery(&[alert(status, &labels, Duration::ZERO)])
}

/// A heal's story: what happened and why.
fn story(heal: &Value) -> Vec<(String, String)> {
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    heal["timeline"].as_array().unwrap().iter().map(|entry| (text(entry, "what"), text(entry, "reason"))).collect()
}

/// Lets one alert fire and waits for a state.
fn fire(daemon: &Daemon, instance: &str, state: &str) -> Value {
    assert_eq!(daemon.post(body("firing", instance)), Some(202));
    daemon.wait_for_state(state)
}
