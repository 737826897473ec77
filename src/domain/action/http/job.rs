//! `httpJob`: start something that takes its time, and follow it to its end, by requests that the rule or a preset describes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::ActionRenderError;
use super::{Call, Location, none, render_word, shown};
use crate::domain::template::{AlertContext, Template};

/// What a server's word for a job's state means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// It waits for its turn.
    Queued,
    /// It is at work.
    Running,
    /// It ended well.
    Ok,
    /// It ended badly.
    Failed,
    /// Somebody stopped it.
    Canceled,
}

impl Word {
    /// All of them with the words rules use.
    pub const ALL: [(&'static str, Self); 5] = [
        ("queued", Self::Queued),
        ("running", Self::Running),
        ("ok", Self::Ok),
        ("failed", Self::Failed),
        ("canceled", Self::Canceled),
    ];

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Ok | Self::Failed | Self::Canceled)
    }
}

/// Where in an answer a job's number stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pick {
    /// In the body, by a JSON pointer.
    Body(String),
    /// At the end of the path in a header such as `Location`.
    Header(String),
}

/// Where a job's number is found once it has left a queue that numbers on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue<Text> {
    /// The entry in the queue.
    #[serde(flatten)]
    pub location: Location<Text>,
    /// Where the job's number appears.
    pub id: String,
    /// Where it says true when the entry was taken out without a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canceled: Option<String>,
    /// Where it says why it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A list in which a job whose start was not answered is found by its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Find<Text> {
    /// The list.
    #[serde(flatten)]
    pub location: Location<Text>,
    /// Where in the answer the list stands; empty for the whole of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub items: String,
    /// Where in an entry the number stands.
    pub id: String,
    /// Whether that is the number of an entry in the queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queue: bool,
    /// Where the key of an entry is seen, when not in the list.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub each: Option<Location<Text>>,
}

/// How a job's state is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Poll<Text> {
    /// The job.
    #[serde(flatten)]
    pub location: Location<Text>,
    /// Where its state stands: the first of these whose value is among the words counts.
    pub state: Vec<String>,
    /// What the server's words mean.
    pub words: BTreeMap<String, Word>,
    /// Where it says more, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where its page's address stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// What a job wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output<Text> {
    /// Where it is read.
    #[serde(flatten)]
    pub location: Location<Text>,
    /// Where in a JSON answer the list of its lines or the text stands; `None` for an answer that is the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<String>,
    /// Where in an entry of that list texts stand; empty for the entry itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
}

/// What must not be said against a start, asked before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement<Text> {
    /// Where it is asked.
    #[serde(flatten)]
    pub location: Location<Text>,
    /// Where in the answer a `false` forbids the start. Servers that know nothing of it have nothing there.
    pub pointer: String,
    /// What it would mean, and what to do.
    pub why: String,
}

/// A job on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpJob<Text> {
    /// A name from `http.servers`.
    pub server: String,
    /// What kind of runner it is, for people: `Jenkins job`.
    pub kind: String,
    /// What people call the job.
    pub name: Text,
    /// What it touches, where that is not told by its start.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub target: Option<Text>,
    /// What is asked before it is started.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub require: Option<Requirement<Text>>,
    /// What starts it.
    pub start: Call<Text>,
    /// Where the answer says its number; `None` when the answer does not, so that it is looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Pick>,
    /// A queue that numbers on its own.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue<Text>>,
    /// Where a job whose start was not answered is looked for.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub find: Vec<Find<Text>>,
    /// How it is followed.
    pub poll: Poll<Text>,
    /// What stops it.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Call<Text>>,
    /// What takes it out of the queue, where that is another request.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub cancel_queued: Option<Call<Text>>,
    /// What it wrote.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub output: Option<Output<Text>>,
    /// Where people look at it, when its state does not say.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub page: Option<Location<Text>>,
    /// Where a server that demands one gives a crumb to show with every request that changes something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crumb: Option<String>,
    /// A look that succeeds when the job is there and we may use it; asked by `check --online`.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub check: Option<Location<Text>>,
}

impl HttpJob<Template> {
    pub(in super::super) fn render(&self, alert: AlertContext<'_>) -> Result<HttpJob<String>, ActionRenderError> {
        let location = |place: &Location<Template>| place.render(alert);
        let option = |place: &Option<Location<Template>>| place.as_ref().map(location).transpose();
        let call = |call: &Option<Call<Template>>| call.as_ref().map(|call| call.render(alert)).transpose();
        let find = self.find.iter().map(|find| {
            Ok(Find {
                location: location(&find.location)?,
                items: find.items.clone(),
                id: find.id.clone(),
                queue: find.queue,
                each: option(&find.each)?,
            })
        });
        let queue = self.queue.as_ref().map(|queue| {
            Ok::<_, ActionRenderError>(Queue {
                location: location(&queue.location)?,
                id: queue.id.clone(),
                canceled: queue.canceled.clone(),
                message: queue.message.clone(),
            })
        });
        let output = self.output.as_ref().map(|output| {
            let location = location(&output.location)?;
            Ok::<_, ActionRenderError>(Output { location, lines: output.lines.clone(), text: output.text.clone() })
        });
        let require = self.require.as_ref().map(|require| {
            let (pointer, why) = (require.pointer.clone(), require.why.clone());
            Ok::<_, ActionRenderError>(Requirement { location: location(&require.location)?, pointer, why })
        });
        Ok(HttpJob {
            server: self.server.clone(),
            kind: self.kind.clone(),
            name: render_word("name", &self.name, alert)?,
            target: self.target.as_ref().map(|text| render_word("target", text, alert)).transpose()?,
            require: require.transpose()?,
            start: self.start.render(alert)?,
            id: self.id.clone(),
            queue: queue.transpose()?,
            find: find.collect::<Result<_, ActionRenderError>>()?,
            poll: Poll {
                location: location(&self.poll.location)?,
                state: self.poll.state.clone(),
                words: self.poll.words.clone(),
                message: self.poll.message.clone(),
                page: self.poll.page.clone(),
            },
            cancel: call(&self.cancel)?,
            cancel_queued: call(&self.cancel_queued)?,
            output: output.transpose()?,
            page: option(&self.page)?,
            crumb: self.crumb.clone(),
            // Asked before any alert, never for one.
            check: None,
        })
    }
}

impl HttpJob<String> {
    pub(in super::super) fn target(&self) -> String {
        match &self.target {
            Some(target) => format!("http:{}/{target}", self.server),
            None => format!("http:{}{}", self.server, self.start.in_short()),
        }
    }

    pub(in super::super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        set("server", json!(self.server));
        set("kind", json!(self.kind));
        set("name", json!(self.name));
        set("start", Value::Object(self.start.fields()));
        set("poll", json!(shown(&self.poll.location.path_and_query())));
        if let Some(cancel) = &self.cancel {
            set("cancel", Value::Object(cancel.fields()));
        }
        if let Some(target) = &self.target {
            set("target", json!(target));
        }
        fields
    }

    pub(in super::super) fn summary(&self) -> String {
        format!("run {} {} on {}", self.kind, self.name, self.server)
    }
}
