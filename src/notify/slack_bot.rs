//! Slack with a bot token: one message per heal, edited as its state changes, and the timeline in that message's thread.
//!
//! What must not happen twice comes last in each delivery: a new message is one call, and a change is an edit (which may
//! be repeated without harm) followed by one reply. So a delivery that fails half-way repeats nothing when it is tried
//! again; only a process that dies between Slack's answer and its own commit may post the same thing once more. Where
//! the heal's message is, is remembered in the store.

mod check;

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::Redactor;
use super::http::{HttpAnswer, HttpClient};
use super::message::{Pages, blocks, digest::Digest, text::percent, texts::Texts};
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
/// How many pages of a thousand channels are looked through for a name.
const MAX_PAGES: usize = 20;
/// Words that say that Slack does not like how the message is made.
const MALFORMED: [&str; 4] = ["invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long"];

/// How Slack's Web API is reached.
#[derive(Debug, Clone)]
pub struct SlackBotSettings {
    /// The bot's token, `xoxb-…`.
    pub token: Secret,
    /// The channel's name or identity.
    pub channel: String,
    /// What Slack signs its calls with; with it, the buttons of a message answer by themselves.
    pub signing_secret: Option<Secret>,
    /// Where the methods are: `https://slack.com/api`, or what takes its place.
    pub api_url: Url,
    /// TLS options.
    pub tls: ClientTls,
    /// What people have written in place of the default texts.
    pub texts: Texts,
}

impl SlackBotSettings {
    /// Pages as this bot's messages show them.
    #[must_use]
    pub fn pages(&self, pages: Pages) -> Pages {
        if self.signing_secret.is_some() { pages.with_answering_buttons() } else { pages }
    }
}

/// Posts to one channel as a bot.
pub struct SlackBotNotifier {
    http: HttpClient,
    api: Url,
    token: Secret,
    channel: String,
    /// The channel's identity, once it had to be looked up.
    identity: OnceLock<String>,
    pages: Pages,
    texts: Texts,
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
            identity: OnceLock::new(),
            pages: settings.pages(pages),
            texts: settings.texts.clone(),
        })
    }

    /// Sets how long a call may take.
    #[must_use]
    pub const fn with_limit(mut self, limit: Duration) -> Self {
        self.http.set_limit(limit);
        self
    }

    async fn call(&self, method: &str, body: &Value) -> Result<Posted, Refused> {
        self.ask(method, "application/json; charset=utf-8", body.to_string()).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: &str, kind: &str, body: String) -> Result<T, Refused> {
        let answer = self.exchange(method, kind, body).await?;
        serde_json::from_str(&answer.body).map_err(|_| self.not_slacks(&answer))
    }

    /// An answer of Slack's that is no refusal.
    async fn exchange(&self, method: &str, kind: &str, body: String) -> Result<HttpAnswer, Refused> {
        #[derive(Deserialize)]
        struct Answer {
            ok: bool,
            #[serde(default)]
            error: String,
            #[serde(default)]
            needed: String,
        }
        let mut url = self.api.clone();
        url.set_path(&format!("{}/{method}", self.api.path().trim_end_matches('/')));
        let request = self.http.post(url).bearer_auth(self.token.expose()).header(CONTENT_TYPE, kind).body(body);
        let answer = self.http.send(request).await.map_err(Refused::Other)?;
        if answer.status != StatusCode::OK {
            return Err(Refused::Other(self.http.refused(&answer, &answer.body)));
        }
        match serde_json::from_str(&answer.body) {
            Ok(Answer { ok: true, .. }) => Ok(answer),
            Ok(Answer { error, needed, .. }) => Err(Refused::Word { word: error, needed, after: answer.retry_after }),
            Err(_) => Err(self.not_slacks(&answer)),
        }
    }

    fn not_slacks(&self, answer: &HttpAnswer) -> Refused {
        let error = format!("the answer was 200 but not Slack's, check apiUrl: {}", self.http.show(&answer.body));
        Refused::Other(NotifyError::Permanent { error })
    }

    /// Posts to the channel. Slack takes some names as they are; one that it does not is looked up.
    async fn post_to_channel(&self, rich: &Value, bare: Option<&Value>) -> Result<Posted, Refused> {
        let known = self.identity.get().cloned();
        let post = async |channel: &str| {
            let addressed = json!({ "channel": channel, "unfurl_links": false, "unfurl_media": false });
            self.call_with("chat.postMessage", &addressed, rich, bare).await
        };
        match post(known.as_deref().unwrap_or(&self.channel)).await {
            Err(Refused::Word { word, .. })
                if word == "channel_not_found" && known.is_none() && self.channel.starts_with('#') =>
            {
                let identity = self.look_up().await?;
                // Two deliveries that look it up at once find the same.
                post(self.identity.get_or_init(|| identity)).await
            }
            other => other,
        }
    }

    /// The identity of the channel of our name, out of Slack's list, page by page.
    async fn look_up(&self) -> Result<String, Refused> {
        #[derive(Deserialize)]
        struct Listed {
            #[serde(default)]
            channels: Vec<Known>,
            #[serde(default)]
            response_metadata: More,
        }
        #[derive(Deserialize)]
        struct Known {
            id: String,
            name: String,
        }
        #[derive(Default, Deserialize)]
        struct More {
            #[serde(default)]
            next_cursor: String,
        }
        let name = self.channel.trim_start_matches('#');
        let mut cursor = String::new();
        for _ in 0..MAX_PAGES {
            let body = format!(
                "types=public_channel%2Cprivate_channel&exclude_archived=true&limit=1000&cursor={}",
                percent(&cursor)
            );
            let listed = self.ask::<Listed>("conversations.list", "application/x-www-form-urlencoded", body).await;
            let listed = listed.map_err(|refused| match refused {
                Refused::Word { word, needed, .. } if word == "missing_scope" => {
                    Refused::Other(NotifyError::Permanent {
                        error: format!(
                            "Slack knows no {} by its name, and its identity cannot be looked up without the scope {}: \
                             give it to the app, or write the identity (C…) as `channel`",
                            self.channel,
                            self.http.show(&needed)
                        ),
                    })
                }
                other => other,
            })?;
            if let Some(found) = listed.channels.into_iter().find(|known| known.name == name) {
                return Ok(found.id);
            }
            cursor = listed.response_metadata.next_cursor;
            if cursor.is_empty() {
                break;
            }
        }
        Err(Refused::Word { word: "channel_not_found".to_owned(), needed: String::new(), after: None })
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
    async fn call_with(
        &self,
        method: &str,
        addressed: &Value,
        rich: &Value,
        bare: Option<&Value>,
    ) -> Result<Posted, Refused> {
        let body = |content: &Value| {
            let mut body = addressed.clone();
            for (name, value) in content.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            body
        };
        match (self.call(method, &body(rich)).await, bare) {
            (Err(Refused::Word { word, .. }), Some(bare)) if MALFORMED.contains(&word.as_str()) => {
                self.call(method, &body(bare)).await
            }
            (other, _) => other,
        }
    }

    /// Begins the heal's message.
    async fn post(&self, message: &Message) -> Result<Receipt, NotifyError> {
        let rich = blocks::root(message, &self.pages, &self.texts, true);
        let bare = blocks::plain_root(message, &self.pages);
        let posted = self.post_to_channel(&rich, Some(&bare)).await;
        let Posted { channel, ts } = posted.map_err(|refused| self.judge(refused))?;
        let said = format!("posted to {} at {}", self.http.show(&channel), self.http.show(&ts));
        // The thread begins with the beginning, although a new message shows it too: edits will take it away.
        let root = Root { channel, ts, told: 0, at: message.at };
        Ok(Receipt { said, memory: serde_json::to_value(root).ok() })
    }

    async fn edit(&self, root: &Root, message: &Message) -> Result<(), Refused> {
        let addressed = json!({ "channel": root.channel, "ts": root.ts });
        let rich = blocks::root(message, &self.pages, &self.texts, false);
        let bare = blocks::plain_root(message, &self.pages);
        self.call_with("chat.update", &addressed, &rich, Some(&bare)).await.map(drop)
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
        let digest = Digest::of(&messages, &self.pages).slack();
        let posted = self.post_to_channel(&digest, None).await.map_err(|refused| self.judge(refused))?;
        Ok(Receipt::from(format!("posted to {} at {}", self.http.show(&posted.channel), self.http.show(&posted.ts))))
    }

    async fn check(&self) -> Result<Option<String>, NotifyError> {
        self.introduce().await.map(Some).map_err(|refused| self.judge(refused))
    }

    fn pace(&self) -> Pace {
        PACE
    }
}
