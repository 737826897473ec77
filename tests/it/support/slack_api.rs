//! Slack's Web API, as far as messages go: channels with identities, messages with threads, edits, and limits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::service::{Sent, Service};
use super::slack::Answer;

/// The bot's token.
pub const TOKEN: &str = "xoxb-1-B0tT0kenS3cr3t";
/// The channel's identity.
pub const CHANNEL: &str = "C0123456789";

/// The identity of `#hidden`, a channel that Slack does not know by its name.
pub const HIDDEN: &str = "C0HIDDEN01";

/// A message, or a reply when it has a thread.
#[derive(Debug, Clone)]
pub struct Posted {
    pub ts: String,
    pub thread: Option<String>,
    pub broadcast: bool,
    /// As posted or last edited.
    pub body: Value,
    pub edits: usize,
}

#[derive(Default)]
struct Office {
    posted: Vec<Posted>,
    /// Answers to give before its own, by method.
    orders: VecDeque<(String, Answer)>,
    calls: Vec<(String, Instant)>,
    limited: usize,
    /// What only the person at an address of a call sees.
    whispered: Vec<(String, Value)>,
    /// Such addresses are no good any more.
    is_deaf: bool,
}

/// A running Slack; it ends with this value.
pub struct SlackApi {
    office: Arc<Mutex<Office>>,
    service: Service,
}

impl SlackApi {
    /// Starts it with the channel `#on-call`.
    pub async fn start() -> Self {
        let office = Arc::<Mutex<Office>>::default();
        let shared = Arc::clone(&office);
        let service = Service::start(move |sent| shared.lock().unwrap().answer(sent)).await;
        Self { office, service }
    }

    /// What `apiUrl` is to be.
    pub fn url(&self) -> String {
        format!("{}/api", self.service.url())
    }

    /// Answers the next call of a method so.
    pub fn order(&self, method: &str, answer: Answer) {
        self.office.lock().unwrap().orders.push_back((method.to_owned(), answer));
    }

    /// Everything in the channel and its threads, as it reads now.
    pub fn posted(&self) -> Vec<Posted> {
        self.office.lock().unwrap().posted.clone()
    }

    /// What was said to single people, with the path of the address that their call named.
    pub fn whispered(&self) -> Vec<(String, Value)> {
        self.office.lock().unwrap().whispered.clone()
    }

    /// Addresses that calls name are used up from now on.
    pub fn end_calls(&self) {
        self.office.lock().unwrap().is_deaf = true;
    }

    /// How many calls went over Slack's limits.
    pub fn limited(&self) -> usize {
        self.office.lock().unwrap().limited
    }

    /// How often a method was called and answered by itself.
    pub fn calls(&self, method: &str) -> usize {
        self.office.lock().unwrap().calls.iter().filter(|(called, _)| called == method).count()
    }

    /// Deletes a message, as somebody tidy may.
    pub fn delete(&self, ts: &str) {
        self.office.lock().unwrap().posted.retain(|posted| posted.ts != ts);
    }
}

/// Channels in two pages. Those of the second are known by their identity alone.
fn list(form: &str) -> Answer {
    let (channels, next) = if form.contains("&cursor=dGVhbTpD%3D") {
        (json!([{"id": "C0RANDOM01", "name": "random"}, {"id": HIDDEN, "name": "hidden"}]), "")
    } else {
        (json!([{"id": CHANNEL, "name": "on-call"}]), "dGVhbTpD=")
    };
    let answer = json!({"ok": true, "channels": channels, "response_metadata": {"next_cursor": next}});
    Answer::say(200, &answer.to_string())
}

fn refuse(word: &str) -> Answer {
    Answer::say(200, &json!({"ok": false, "error": word}).to_string())
}

impl Office {
    fn answer(&mut self, sent: &Sent) -> Answer {
        let method = sent.path.strip_prefix("/api/").unwrap_or_default().to_owned();
        if self.orders.front().is_some_and(|(ordered, _)| *ordered == method) {
            return self.orders.pop_front().unwrap().1;
        }
        if sent.path.starts_with("/actions/") {
            if self.is_deaf {
                return Answer::say(404, "used_url");
            }
            self.whispered.push((sent.path.clone(), sent.json()));
            return Answer::say(200, "ok");
        }
        if sent.header("authorization") != format!("Bearer {TOKEN}") {
            return refuse("invalid_auth");
        }
        if self.is_too_much(&method) {
            self.limited += 1;
            return Answer::Say(429, vec![("retry-after", "1".to_owned())], "ratelimited".to_owned());
        }
        if method == "auth.test" {
            let body = json!({"ok": true, "user": "autoheal", "team": "Example"}).to_string();
            return Answer::Say(200, vec![("x-oauth-scopes", "chat:write,channels:read,groups:read".into())], body);
        }
        if method == "conversations.list" {
            return list(&String::from_utf8_lossy(&sent.body));
        }
        let body = sent.json();
        match method.as_str() {
            "chat.postMessage" => self.post(body),
            "chat.update" => self.update(body),
            _ => refuse("unknown_method"),
        }
    }

    /// Messages: one a second with short bursts. Edits: fifty a minute.
    fn is_too_much(&mut self, method: &str) -> bool {
        let now = Instant::now();
        let within = |span: u64| {
            let recent = |at: &Instant| now.duration_since(*at) < Duration::from_secs(span);
            self.calls.iter().filter(|(called, at)| called == method && recent(at)).count()
        };
        let limited = if method == "chat.update" { within(60) >= 50 } else { within(1) >= 10 || within(60) >= 70 };
        self.calls.push((method.to_owned(), now));
        limited
    }

    fn post(&mut self, body: Value) -> Answer {
        let channel = if body["channel"] == HIDDEN { HIDDEN } else { CHANNEL };
        if body["channel"] != "#on-call" && body["channel"] != channel {
            return refuse("channel_not_found");
        }
        let thread = body["thread_ts"].as_str().map(str::to_owned);
        if thread.as_ref().is_some_and(|thread| !self.posted.iter().any(|posted| posted.ts == *thread)) {
            return refuse("thread_not_found");
        }
        let ts = format!("1795331071.{:06}", self.calls.len());
        let broadcast = body["reply_broadcast"] == true;
        self.posted.push(Posted { ts: ts.clone(), thread, broadcast, body, edits: 0 });
        Answer::say(200, &json!({"ok": true, "channel": channel, "ts": ts, "message": {}}).to_string())
    }

    fn update(&mut self, body: Value) -> Answer {
        // Edits take no name.
        if body["channel"] != CHANNEL && body["channel"] != HIDDEN {
            return refuse("channel_not_found");
        }
        let Some(posted) = self.posted.iter_mut().find(|posted| body["ts"] == posted.ts) else {
            return refuse("message_not_found");
        };
        posted.edits += 1;
        posted.body = body;
        Answer::say(200, &json!({"ok": true, "channel": CHANNEL, "ts": posted.ts, "text": ""}).to_string())
    }
}
