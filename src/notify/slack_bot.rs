//! Slack with a bot token: one message per heal, edited as its state changes, and the timeline in that message's thread.
//!
//! What must not happen twice comes last in each delivery: a new message is one call, and a change is an edit (which may
//! be repeated without harm) followed by one reply. So a delivery that fails half-way repeats nothing when it is tried
//! again; only a process that dies between Slack's answer and its own commit may post the same thing once more. Where
//! the heal's message is, is remembered in the store.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::Redactor;
use super::http::HttpClient;
use super::message::{Pages, blocks, digest::Digest};
use super::slack::is_passing;
use super::{BuildError, Notifier, NotifyError, Pace, Receipt};
use crate::domain::Timestamp;
use crate::domain::message::Message;
use crate::secret::Secret;
use crate::store::Outgoing;
use crate::tls::ClientTls;

/// Slack takes about one message a second for a channel and fifty edits a minute; a delivery may be one of each.
const PACE: Pace =
    Pace { gap: Duration::from_millis(1300), burst: 4, bundle_from: 10, gather: Duration::from_secs(10) };
/// Words that say that the heal's message cannot be edited or answered any more.
const GONE: [&str; 6] = [
    "message_not_found",
    "thread_not_found",
    "cant_update_message",
    "edit_window_closed",
    "cannot_reply_to_message",
    "cant_reply_to_message",
];
/// Words that say that Slack does not like how the message is made.
const MALFORMED: [&str; 4] = ["invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long"];

/// How Slack's Web API is reached.
#[derive(Debug, Clone)]
pub struct SlackBotSettings {
    /// The bot's token, `xoxb-…`.
    pub token: Secret,
    /// The channel's name or identity.
    pub channel: String,
    /// Where the methods are: `https://slack.com/api`, or what takes its place.
    pub api_url: Url,
    /// TLS options.
    pub tls: ClientTls,
}

/// Posts to one channel as a bot.
pub struct SlackBotNotifier {
    http: HttpClient,
    api: Url,
    token: Secret,
    channel: String,
    pages: Pages,
}

/// Where the message of a heal is and what it and its thread already tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Root {
    /// The channel's identity: edits take no name.
    channel: String,
    /// The message's identity.
    ts: String,
    /// How many entries of the timeline the thread tells.
    told: usize,
    /// Which change the message shows; an earlier one that comes late does not take it back.
    at: Timestamp,
}

/// A call that Slack refused.
enum Refused {
    /// By a word of its own.
    Word {
        word: String,
        /// The scope that is missing, when that is why.
        needed: String,
        after: Option<Duration>,
    },
    /// In any other way.
    Other(NotifyError),
}

/// What Slack answers to a call that it took.
#[derive(Deserialize)]
struct Posted {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    ts: String,
}

impl SlackBotNotifier {
    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    /// A TLS file cannot be used, or the machine trusts no authority.
    pub fn new(settings: &SlackBotSettings, pages: Pages) -> Result<Self, BuildError> {
        let redactor = Redactor::new([settings.token.expose()]);
        Ok(Self {
            http: HttpClient::new("Slack", &settings.api_url, &settings.tls, redactor)?,
            api: settings.api_url.clone(),
            token: settings.token.clone(),
            channel: settings.channel.clone(),
            pages,
        })
    }

    /// Sets how long a call may take.
    #[must_use]
    pub const fn with_limit(mut self, limit: Duration) -> Self {
        self.http.set_limit(limit);
        self
    }

    async fn call(&self, method: &str, body: &Value) -> Result<Posted, Refused> {
        #[derive(Deserialize)]
        struct Answer {
            ok: bool,
            #[serde(default)]
            error: String,
            #[serde(default)]
            needed: String,
            #[serde(flatten)]
            posted: Posted,
        }
        let mut url = self.api.clone();
        url.set_path(&format!("{}/{method}", self.api.path().trim_end_matches('/')));
        let request = self
            .http
            .post(url)
            .bearer_auth(self.token.expose())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body.to_string());
        let answer = self.http.send(request).await.map_err(Refused::Other)?;
        if answer.status != StatusCode::OK {
            return Err(Refused::Other(self.http.refused(&answer, &answer.body)));
        }
        match serde_json::from_str(&answer.body) {
            Ok(Answer { ok: true, posted, .. }) => Ok(posted),
            Ok(Answer { error, needed, .. }) => Err(Refused::Word { word: error, needed, after: answer.retry_after }),
            Err(_) => {
                let said = self.http.show(&answer.body);
                let error = format!("the answer was 200 but not Slack's, check apiUrl: {said}");
                Err(Refused::Other(NotifyError::Permanent { error }))
            }
        }
    }

    /// What a refusal means, with what to do about it.
    fn judge(&self, refused: Refused) -> NotifyError {
        let (word, needed, after) = match refused {
            Refused::Word { word, needed, after } => (word, needed, after),
            Refused::Other(error) => return error,
        };
        let channel = &self.channel;
        let advice = match word.as_str() {
            "channel_not_found" => format!("; is there a channel {channel}, and has the app been invited to it?"),
            "not_in_channel" => format!("; invite the app to {channel}"),
            "is_archived" => format!("; {channel} is archived"),
            "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
                "; check botToken".to_owned()
            }
            "missing_scope" => format!("; give the app the scope {} and install it again", self.http.show(&needed)),
            _ => String::new(),
        };
        let error = format!("Slack refused: {}{advice}", self.http.show(&word));
        if is_passing(&word) { NotifyError::Retryable { error, after } } else { NotifyError::Permanent { error } }
    }

    /// Calls a method with a message and, when Slack does not like how that is made, with its bare words.
    async fn call_with(&self, method: &str, addressed: &Value, rich: Value, bare: &Value) -> Result<Posted, Refused> {
        let body = |content: &Value| {
            let mut body = addressed.clone();
            for (name, value) in content.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            body
        };
        match self.call(method, &body(&rich)).await {
            Err(Refused::Word { word, .. }) if MALFORMED.contains(&word.as_str()) => {
                self.call(method, &body(bare)).await
            }
            other => other,
        }
    }

    /// Begins the heal's message.
    async fn post(&self, message: &Message) -> Result<Receipt, NotifyError> {
        let addressed = json!({ "channel": self.channel, "unfurl_links": false, "unfurl_media": false });
        let rich = blocks::root(message, &self.pages, true);
        let bare = blocks::plain_root(message, &self.pages);
        let posted = self.call_with("chat.postMessage", &addressed, rich, &bare).await;
        let Posted { channel, ts } = posted.map_err(|refused| self.judge(refused))?;
        let said = format!("posted to {} at {}", self.http.show(&channel), self.http.show(&ts));
        // The thread begins with the beginning, although a new message shows it too: edits will take it away.
        let root = Root { channel, ts, told: 0, at: message.at };
        Ok(Receipt { said, memory: serde_json::to_value(root).ok() })
    }

    async fn edit(&self, root: &Root, message: &Message) -> Result<(), Refused> {
        let addressed = json!({ "channel": root.channel, "ts": root.ts });
        let rich = blocks::root(message, &self.pages, false);
        self.call_with("chat.update", &addressed, rich, &blocks::plain_root(message, &self.pages)).await.map(drop)
    }

    async fn reply(&self, root: &Root, message: &Message) -> Result<(), Refused> {
        let loudly = message.kind.needs_human();
        let body = json!({
            "channel": root.channel,
            "thread_ts": root.ts,
            "text": blocks::reply(message, root.told, loudly),
            "reply_broadcast": loudly,
            "unfurl_links": false,
            "unfurl_media": false,
        });
        self.call("chat.postMessage", &body).await.map(drop)
    }
}

#[async_trait]
impl Notifier for SlackBotNotifier {
    async fn send(&self, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
        let message = &outgoing.message;
        // What another version remembered and this one cannot read is as good as nothing: the heal gets a new message.
        let Some(root) = outgoing.memory.clone().and_then(|memory| serde_json::from_value::<Root>(memory).ok()) else {
            return self.post(message).await;
        };
        let is_news = message.at >= root.at;
        let told = async {
            if is_news {
                self.edit(&root, message).await?;
            }
            self.reply(&root, message).await
        };
        match told.await {
            Ok(()) => {}
            Err(Refused::Word { word, .. }) if GONE.contains(&word.as_str()) => return self.post(message).await,
            Err(refused) => return Err(self.judge(refused)),
        }
        let said = format!("edited {} and answered in its thread", root.ts);
        let told = root.told.max(blocks::entries(&message.heal));
        let root = Root { told, at: root.at.max(message.at), ..root };
        Ok(Receipt { said, memory: serde_json::to_value(root).ok() })
    }

    async fn send_bundle(&self, outgoings: &[Outgoing]) -> Result<Receipt, NotifyError> {
        let messages: Vec<_> = outgoings.iter().map(|outgoing| &outgoing.message).collect();
        let mut body = Digest::of(&messages, &self.pages).slack();
        body["channel"] = json!(self.channel);
        let posted = self.call("chat.postMessage", &body).await.map_err(|refused| self.judge(refused))?;
        Ok(Receipt::from(format!("posted to {} at {}", self.http.show(&posted.channel), self.http.show(&posted.ts))))
    }

    fn pace(&self) -> Pace {
        PACE
    }
}
