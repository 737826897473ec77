//! Pages for people, on the real program: what they show, what their forms do, and who may not use them.

use std::time::Duration;

use autoheal::clock::{Clock, SystemClock};
use autoheal::domain::Timestamp;
use autoheal::domain::heal::{AttemptId, HealId};
use autoheal::links::{Links, Ticket};
use autoheal::secret::Secret;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, PATIENCE, alert, delivery, eventually};
use crate::support::install_tls;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const CONFIG: &str = r#"
docker: {hosts: [{name: gone, address: 'tcp://127.0.0.1:1'}]}
web:
  externalUrl: https://ops.example.com/autoheal
  linkKey: "${KEY}"
  tokens:
  - {name: ann, token: "${ANN}", scopes: [admin]}
  - {name: viewer, token: "${VIEWER}", scopes: [read]}
"#;
const RULES: &str = r#"
rules:
- metadata: {name: asks, description: A <b>service</b> is down., runbook: "{{ $annotations.runbook }}"}
  labels: {alertname: ^Asks$}
  mode: ask
  approval: {expiresAfter: 1h}
  restartContainer: {host: gone, name: "{{ $labels.name }}"}
"#;

fn home() -> Home {
    let home = Home::new(CONFIG, RULES).token("ann");
    home.secrets(&format!("ANN=ann\nVIEWER=viewer\nKEY={KEY}\n"));
    home
}

fn fire(daemon: &Daemon, name: &str, runbook: &str) -> Value {
    let labels = json!({"alertname": "Asks", "name": name, "nasty": "<script>alert(1)</script>\"'"});
    let mut alert = alert("firing", &labels, Duration::ZERO);
    alert["annotations"]["runbook"] = json!(runbook);
    assert_eq!(daemon.post(delivery(&[alert])), Some(202));
    daemon.wait_for_state("awaiting_approval")
}

/// A browser: follows redirects after a form, sends its token as a password and says where a form comes from.
struct Browser<'a> {
    client: Client,
    daemon: &'a Daemon,
    token: Option<&'static str>,
}

impl<'a> Browser<'a> {
    fn new(daemon: &'a Daemon, token: Option<&'static str>) -> Self {
        install_tls();
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { client, daemon, token }
    }

    fn open(&self, path: &str) -> Response {
        let request = self.client.get(self.daemon.url(path));
        let request = if let Some(token) = self.token { request.basic_auth("me", Some(token)) } else { request };
        request.send().unwrap()
    }

    fn send(&self, path: &str, origin: &str, form: &[(&str, &str)]) -> Response {
        let body = form.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let request = self.client.post(self.daemon.url(path)).header("origin", origin);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let request = if let Some(token) = self.token { request.basic_auth("me", Some(token)) } else { request };
        request.send().unwrap()
    }

    fn submit(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.send(path, &self.daemon.url(""), form)
    }
}

fn link(heal: &Value, key: &str, expires_at: Timestamp) -> String {
    let uuid = |value: &Value| value.as_str().unwrap().parse().unwrap();
    let ticket = Ticket {
        heal: HealId(uuid(&heal["id"])),
        attempt: AttemptId(uuid(&heal["awaiting"]["attempt"])),
        expires_at,
        by: "on-call".to_owned(),
    };
    let link = Links::new("https://ops.example.com/autoheal", Secret::new(key)).approval(&ticket);
    link.strip_prefix("https://ops.example.com/autoheal").unwrap().to_owned()
}

fn in_an_hour() -> Timestamp {
    SystemClock.now() + Duration::from_hours(1)
}

#[test]
fn pages_escape_everything_and_let_nothing_from_elsewhere_in() {
    let home = home();
    let daemon = home.start();
    let heal = fire(&daemon, "ui", "javascript:alert(1)");
    let id = heal["id"].as_str().unwrap();
    let browser = Browser::new(&daemon, Some("ann"));
    for path in ["/", "/pause", &format!("/heals/{id}"), &link(&heal, KEY, in_an_hour())] {
        let page = browser.open(path);
        assert_eq!(page.status(), 200, "{path}");
        let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").starts_with("default-src 'none'; style-src 'self';"), "{path}");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
        let html = page.text().unwrap();
        for nasty in ["<script", "<b>service", "href=\"javascript", "style=", "onclick", "http://", "https://"] {
            assert!(!html.contains(nasty), "{nasty:?} in {path}: {html}");
        }
        assert!(html.contains("name=\"viewport\""), "{path}");
    }
    let html = browser.open(&format!("/heals/{id}")).text().unwrap();
    assert!(
        html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && html.contains("Runbook: javascript:alert(1)"),
        "{html}"
    );
    let style = browser.open("/style.css");
    assert_eq!(
        (style.status().as_u16(), style.headers()["content-type"].to_str().unwrap()),
        (200, "text/css; charset=utf-8")
    );
    assert_eq!(browser.open("/heals/x").status(), 404);
    assert_eq!(daemon.status("/heals/00000000-0000-0000-0000-000000000001"), Some(404));
}

#[test]
fn the_first_page_shows_what_is_open_and_offers_what_the_reader_may_do() {
    let home = home();
    let daemon = home.start();
    let heal = fire(&daemon, "ui", "https://wiki.example.com/down");
    let id = heal["id"].as_str().unwrap();
    let page = format!("/heals/{id}");
    let (ann, viewer) = (Browser::new(&daemon, Some("ann")), Browser::new(&daemon, Some("viewer")));
    let html = ann.open("/").text().unwrap();
    for words in [
        "awaiting approval",
        "asks",
        "docker:gone/name/ui",
        "Rules (1)",
        &format!("href=\"heals/{id}\""),
        "href=\"pause\"",
    ] {
        assert!(html.contains(words), "{words:?} is not in {html}");
    }
    assert!(ann.open(&page).text().unwrap().contains("<button class=\"go\">Approve"));
    assert!(!viewer.open(&page).text().unwrap().contains("<form"), "a viewer has nothing to press");
    assert!(!viewer.open("/").text().unwrap().contains("href=\"pause\""));
    let nobody = Browser::new(&daemon, None).open("/");
    assert_eq!(nobody.status(), 401);
    let asked: Vec<_> =
        nobody.headers().get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(asked.iter().any(|value| value.starts_with("Basic")), "a browser must know how to ask: {asked:?}");

    let attempt = heal["awaiting"]["attempt"].as_str().unwrap();
    let approve = format!("{page}/approve");
    for origin in ["https://evil.example", "null", "https://ops.example.com.evil.example"] {
        assert_eq!(ann.send(&approve, origin, &[("attempt", attempt)]).status(), 403, "{origin}");
    }
    assert_eq!(viewer.submit(&approve, &[("attempt", attempt)]).status(), 403);
    assert_eq!(ann.submit(&approve, &[]).status(), 400, "a form must say what it means");
    assert_eq!(ann.submit(&approve, &[("attempt", id)]).status(), 409, "and mean what waits");
    assert_eq!(daemon.heals()[0]["state"], "awaiting_approval");
    let answered = ann.send(&approve, "https://ops.example.com", &[("attempt", attempt)]);
    assert_eq!((answered.status().as_u16(), answered.url().path()), (200, page.as_str()), "back on the heal's page");
    assert!(answered.text().unwrap().contains("ann approved"));
    eventually("it is no longer waiting", || daemon.heals()[0]["state"] != "awaiting_approval");
}

#[test]
fn the_stop_switch_is_on_a_page() {
    let home = home();
    let daemon = home.start();
    let ann = Browser::new(&daemon, Some("ann"));
    assert!(ann.open("/pause").text().unwrap().contains("<option>asks</option>"));
    assert_eq!(ann.submit("/pause", &[("for", "2h"), ("reason", ""), ("rule", "")]).status(), 400);
    let page = ann.submit("/pause", &[("for", "2h"), ("reason", "moving+the+rack"), ("rule", "")]);
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/"));
    assert!(page.text().unwrap().contains("<b>Paused: everything</b>"));
    let paused = daemon.json("/api/v1/status")["paused"].clone();
    assert_eq!((&paused["reason"], &paused["by"]), (&json!("moving the rack"), &json!("ann")));
    let page = ann.submit("/resume", &[("id", paused["id"].as_str().unwrap())]);
    assert!(!page.text().unwrap().contains("Paused"));
}

#[test]
fn a_link_in_a_message_approves_once_and_only_by_pressing_a_button() {
    let home = home();
    let daemon = home.start();
    let heal = fire(&daemon, "ui", "");
    // Whoever has the link has no token.
    let phone = Browser::new(&daemon, None);
    let good = link(&heal, KEY, in_an_hour());
    for _ in 0..3 {
        assert!(phone.open(&good).text().unwrap().contains("You answer as <b>on-call</b>"));
    }
    assert_eq!(daemon.heals()[0]["state"], "awaiting_approval", "looking is not answering");
    for (path, expected) in [
        (link(&heal, "another key of good length", in_an_hour()), 404),
        (link(&heal, KEY, SystemClock.now() - Duration::from_secs(5)), 410),
        (format!("{good}x"), 404),
        ("/approvals/".to_owned() + "x", 404),
    ] {
        assert_eq!(phone.open(&path).status().as_u16(), expected, "{path}");
        assert_eq!(phone.submit(&path, &[("answer", "approve")]).status().as_u16(), expected, "{path}");
    }
    assert_eq!(phone.send(&good, "https://evil.example", &[("answer", "approve")]).status(), 403);
    assert_eq!(phone.submit(&good, &[("answer", "maybe")]).status(), 400);
    assert_eq!(daemon.heals()[0]["state"], "awaiting_approval", "nothing of all that did anything");

    let answered = phone.submit(&good, &[("answer", "approve")]);
    assert_eq!(answered.status(), 200);
    assert!(answered.text().unwrap().contains("on-call approved"));
    assert_eq!(phone.submit(&good, &[("answer", "approve")]).status(), 409);
    assert_eq!(phone.open(&good).status(), 410, "a used link says so");
    let told = daemon.json(&format!("/api/v1/heals/{}", heal["id"].as_str().unwrap()));
    assert!(told["timeline"].as_array().unwrap().iter().any(|entry| entry["by"] == "on-call"), "{told}");
}
