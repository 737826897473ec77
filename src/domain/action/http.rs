//! What actions say by HTTP: where a request goes, what it carries; `httpRequest`, which is one of them, and `httpJob`, which
//! is made of several.
//!
//! What comes from an alert is data wherever it is put: percent-encoded in an address, one value in JSON or a form, refused
//! in a header where it would begin another one. The server is the rule's choice: an alert can name one only among the hosts that the rule
//! lists.

mod job;
mod late;
mod place;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::tree::Tree;
use super::{ActionRenderError, in_short, render_required};
use crate::domain::evidence::ProbeTls;
use crate::domain::template::{AlertContext, Template};

pub use job::{Find, HttpJob, Output, Pick, Poll, Queue, Requirement, Word};
pub use late::{Facts, mentions_job, mentions_late, shown, write_late};
pub use place::{Location, LocationError, check_host, check_origin, encode};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// Look.
    Get,
    /// Look at the headers.
    Head,
    /// Do something.
    Post,
    /// Put something in its place.
    Put,
    /// Change something.
    Patch,
    /// Take something away.
    Delete,
}

impl HttpMethod {
    /// Every method by its word.
    pub const ALL: [Self; 6] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The word on the wire and in a rule.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the standard promises that asking twice does no more than asking once.
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

/// Which server a request goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Destination<Text> {
    /// A name from `http.servers`, which knows the address, the credentials and whom to trust.
    Server(String),
    /// Scheme, host and port written into the rule; nobody's credentials go there.
    #[serde(rename_all = "camelCase")]
    Origin {
        /// Such as `http://ui:8080`.
        origin: Text,
        /// The hosts an alert may name. Empty unless the origin has a template in it, and after rendering.
        #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
        hosts: Vec<String>,
        /// Whom to trust and what to show.
        #[serde(default, skip_serializing_if = "ProbeTls::is_default")]
        tls: ProbeTls,
    },
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body<Text> {
    /// Plain text.
    Text(Text),
    /// JSON.
    Json(Tree<Text>),
    /// The fields of a form.
    Form(BTreeMap<String, Text>),
}

/// Statuses from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRange(pub u16, pub u16);

/// One request below a server's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call<Text> {
    /// What it asks for.
    pub method: HttpMethod,
    /// Of what.
    #[serde(flatten)]
    pub location: Location<Text>,
    /// Headers besides those of the server.
    #[serde(default = "BTreeMap::new", skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Text>,
    /// What it carries.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub body: Option<Body<Text>>,
    /// Statuses that are a success; empty means any 2xx.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<StatusRange>,
    /// Fields of a JSON body that are sent as a text which holds JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_texts: Vec<String>,
}

/// For serde, whose own default would ask the text to have one.
pub(super) const fn none<T>() -> Option<T> {
    None
}

/// `httpRequest`: one call with an expected answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest<Text> {
    /// The server.
    pub to: Destination<Text>,
    /// What is asked of it.
    #[serde(flatten)]
    pub call: Call<Text>,
    /// A pattern the answer's body must contain, checked when the rule was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_matches: Option<String>,
    /// Whether asking twice does no more than asking once, where the rule knows better than the method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// What it touches, where that is not told by address and body.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub target: Option<Text>,
}

/// Renders what must say something and must not be taken for a place where the job's own facts go.
pub(super) fn render_word(field: &str, text: &Template, alert: AlertContext<'_>) -> Result<String, ActionRenderError> {
    let rendered = render_required(field, text, alert)?;
    late::refuse_marks(field, text, &rendered)?;
    Ok(rendered)
}

/// A header's value. A line break would begin another header.
fn render_header(name: &str, text: &Template, alert: AlertContext<'_>) -> Result<String, ActionRenderError> {
    let field = format!("headers.{name}");
    let rendered = render_word(&field, text, alert)?;
    let fits = |c: char| matches!(c, ' '..='~' | '\t') || late::is_mark(c);
    match rendered.chars().find(|c| !fits(*c)) {
        None => Ok(rendered),
        Some(bad) => {
            let why = format!("has {bad:?} in it, which no header can carry");
            Err(ActionRenderError::Unsafe { field, rendered, why })
        }
    }
}

impl Body<Template> {
    fn render(&self, alert: AlertContext<'_>) -> Result<Body<String>, ActionRenderError> {
        // What a rule leaves empty itself is its author's; what an alert leaves empty may widen what is touched.
        let value = |field: &str, text: &Template| {
            if text.is_literal() { Ok(text.source().to_owned()) } else { render_word(field, text, alert) }
        };
        Ok(match self {
            Self::Text(text) => Body::Text(value("body", text)?),
            Self::Json(tree) => Body::Json(tree.render("json", alert, &mut |field, text, rendered| {
                if !text.is_literal() && rendered.trim().is_empty() {
                    let (field, template) = (field.to_owned(), text.source().to_owned());
                    return Err(ActionRenderError::Empty { field, template });
                }
                late::refuse_marks(field, text, rendered)
            })?),
            Self::Form(fields) => {
                let render =
                    |(name, text): (&String, &Template)| Ok((name.clone(), value(&format!("form.{name}"), text)?));
                Body::Form(fields.iter().map(render).collect::<Result<_, ActionRenderError>>()?)
            }
        })
    }
}

impl Call<Template> {
    pub(super) fn render(&self, alert: AlertContext<'_>) -> Result<Call<String>, ActionRenderError> {
        let headers = self.headers.iter().map(|(name, text)| Ok((name.clone(), render_header(name, text, alert)?)));
        Ok(Call {
            method: self.method,
            location: self.location.render(alert)?,
            headers: headers.collect::<Result<_, ActionRenderError>>()?,
            body: self.body.as_ref().map(|body| body.render(alert)).transpose()?,
            status: self.status.clone(),
            json_texts: self.json_texts.clone(),
        })
    }

    /// Whether it asks for one of a job's facts.
    #[must_use]
    pub fn carries(&self, name: &str) -> bool {
        let asks = |text: &Template| mentions_late(text.source(), name);
        let in_body = self.body.as_ref().is_some_and(|body| match body {
            Body::Text(text) => asks(text),
            Body::Json(tree) => tree.texts().iter().any(|text| asks(text)),
            Body::Form(fields) => fields.values().any(asks),
        });
        in_body || self.location.texts().any(asks) || self.headers.values().any(asks)
    }
}

impl Body<String> {
    /// In the notation of the rule language.
    fn field(&self) -> (&'static str, Value) {
        match self {
            Self::Text(text) => ("body", json!(shown(text))),
            Self::Json(tree) => ("json", late::shown_tree(&tree.to_json())),
            Self::Form(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), Value::from(shown(value))));
                ("form", Value::Object(fields.collect()))
            }
        }
    }
}

impl Call<String> {
    /// In the notation of the rule language.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        set("method", json!(self.method.as_str()));
        set("path", json!(shown(&self.location.path_and_query())));
        if !self.headers.is_empty() {
            let headers = self.headers.iter().map(|(name, value)| (name.clone(), Value::from(shown(value))));
            set("headers", Value::Object(headers.collect()));
        }
        if let Some((key, value)) = self.body.as_ref().map(Body::field) {
            set(key, value);
        }
        if !self.status.is_empty() {
            set("status", json!(self.statuses()));
        }
        fields
    }

    /// What is asked, so far as it tells one deed from another.
    pub(super) fn in_short(&self) -> String {
        let place = shown(&self.location.path_and_query());
        match self.body.as_ref().map(Body::field) {
            None => place,
            Some((_, Value::String(text))) => format!("{place} {}", in_short(&text)),
            Some((_, value)) => format!("{place} {}", in_short(&value.to_string())),
        }
    }
}

impl<Text> Call<Text> {
    /// Whether a status is a success.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        let within = |range: &StatusRange| (range.0..=range.1).contains(&status);
        if self.status.is_empty() { (200..300).contains(&status) } else { self.status.iter().any(within) }
    }

    /// The statuses that are a success, in words.
    #[must_use]
    pub fn statuses(&self) -> String {
        if self.status.is_empty() {
            return "2xx".to_owned();
        }
        let word = |range: &StatusRange| match range {
            StatusRange(from, to) if from == to => from.to_string(),
            StatusRange(from, to) if from % 100 == 0 && *to == from + 99 => format!("{}xx", from / 100),
            StatusRange(from, to) => format!("{from}-{to}"),
        };
        self.status.iter().map(word).collect::<Vec<_>>().join(" or ")
    }
}

impl HttpRequest<Template> {
    pub(super) fn render(&self, alert: AlertContext<'_>) -> Result<HttpRequest<String>, ActionRenderError> {
        let to = match &self.to {
            Destination::Server(name) => Destination::Server(name.clone()),
            Destination::Origin { origin, hosts, tls } => {
                let rendered = render_required("url", origin, alert)?;
                if let Err(why) = check_origin(&rendered, (!origin.is_literal()).then_some(hosts.as_slice())) {
                    return Err(ActionRenderError::Unsafe { field: "url".to_owned(), rendered, why });
                }
                Destination::Origin { origin: rendered, hosts: Vec::new(), tls: tls.clone() }
            }
        };
        Ok(HttpRequest {
            to,
            call: self.call.render(alert)?,
            body_matches: self.body_matches.clone(),
            idempotent: self.idempotent,
            target: self.target.as_ref().map(|text| render_word("target", text, alert)).transpose()?,
        })
    }
}

impl<Text> HttpRequest<Text> {
    /// Whether asking twice does no more than asking once.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.idempotent.unwrap_or_else(|| self.call.method.is_idempotent())
    }
}

impl HttpRequest<String> {
    /// The server's name or address.
    #[must_use]
    pub fn server(&self) -> &str {
        match &self.to {
            Destination::Server(name) => name,
            Destination::Origin { origin, .. } => origin,
        }
    }

    pub(super) fn target(&self) -> String {
        let server = self.server().trim_start_matches("https://").trim_start_matches("http://");
        match &self.target {
            Some(target) => format!("http:{server}/{target}"),
            None => format!("http:{server}{}", self.call.in_short()),
        }
    }

    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        match &self.to {
            Destination::Server(name) => {
                fields.insert("server".to_owned(), json!(name));
                fields.extend(self.call.fields());
            }
            Destination::Origin { origin, .. } => {
                fields.extend(self.call.fields());
                fields.remove("path");
                fields.insert("url".to_owned(), json!(format!("{origin}{}", self.call.location.path_and_query())));
            }
        }
        let options = [
            ("bodyMatches", self.body_matches.as_ref().map(|text| json!(text))),
            ("idempotent", self.idempotent.map(|word| json!(word))),
            ("target", self.target.as_ref().map(|text| json!(text))),
        ];
        fields.extend(options.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        fields
    }

    pub(super) fn summary(&self) -> String {
        let place = self.call.location.path_and_query();
        let method = self.call.method.as_str();
        match &self.to {
            Destination::Server(name) => format!("send {method} {place} to {name}"),
            Destination::Origin { origin, .. } => format!("send {method} {origin}{place}"),
        }
    }
}

#[cfg(test)]
mod tests;
