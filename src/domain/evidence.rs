//! Evidence: questions whose answers show that a symptom is gone. What may be asked, and what an answer is worth, is
//! said here; asking is done elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::action::{ActionRenderError, render_required, render_text};
use super::alert::{Alert, Labels};
use super::duration;
use super::template::{AlertContext, Template, plain_parts};

/// One question, generic over its texts: [`Template`] in a rule, [`String`] once rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe<Text> {
    /// Does an address answer as it should?
    Http(HttpProbe<Text>),
    /// Does something take connections?
    Tcp(TcpProbe<Text>),
    /// Is a `PromQL` expression true?
    Promql(Text),
    /// Do the containers of the step's action run, and are they healthy?
    ContainerHealthy,
}

/// A GET whose answer is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe<Text> {
    /// Where.
    pub url: Text,
    /// Statuses that count; empty means any 2xx.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// A pattern the body must contain, checked when the rule was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Headers to send.
    #[serde(default = "BTreeMap::new", skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Text>,
    /// Whom to trust and what to show.
    #[serde(default, skip_serializing_if = "ProbeTls::is_default")]
    pub tls: ProbeTls,
    /// How long the whole answer may take.
    #[serde(with = "duration::stored")]
    pub timeout: Duration,
}

/// A connection that is opened and closed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpProbe<Text> {
    /// `host:port`.
    pub address: Text,
    /// How long it may take.
    #[serde(with = "duration::stored")]
    pub timeout: Duration,
}

/// TLS options of a probe: names of files, which are read when the question is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProbeTls {
    /// Authorities to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Whether any certificate is taken.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

impl ProbeTls {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Probe<Template> {
    /// Renders every text for one alert.
    ///
    /// # Errors
    /// A template that fails, a text that comes out empty, or one that is no address: then nobody could ever tell
    /// whether the action helped, so nothing is done in the first place.
    pub fn render(&self, alert: AlertContext<'_>) -> Result<Probe<String>, ActionRenderError> {
        Ok(match self {
            Self::Http(http) => Probe::Http(HttpProbe {
                url: address("verify.http.url", &http.url, alert, is_web_address)?,
                status: http.status.clone(),
                body: http.body.clone(),
                headers: http
                    .headers
                    .iter()
                    .map(|(name, value)| {
                        Ok((name.clone(), render_text(&format!("verify.http.headers.{name}"), value, alert)?))
                    })
                    .collect::<Result<_, _>>()?,
                tls: http.tls.clone(),
                timeout: http.timeout,
            }),
            Self::Tcp(tcp) => Probe::Tcp(TcpProbe {
                address: address("verify.tcp.address", &tcp.address, alert, is_host_and_port)?,
                timeout: tcp.timeout,
            }),
            Self::Promql(query) => Probe::Promql(render_query(query, alert)?),
            Self::ContainerHealthy => Probe::ContainerHealthy,
        })
    }
}

impl Probe<Template> {
    /// What it asks, as the rule wrote it.
    #[must_use]
    pub fn source(&self) -> String {
        match self {
            Self::Http(http) => format!("http {} {}", http.url.source(), http.statuses()),
            Self::Tcp(tcp) => format!("tcp {}", tcp.address.source()),
            Self::Promql(query) => format!("promql {}", query.source()),
            Self::ContainerHealthy => "container healthy".to_owned(),
        }
    }
}

/// A query in which what an alert says stays within the double quotes it is put into, so that no label can make evidence of
/// its own. It cannot stay within other quotes, whose own sign is then refused.
fn render_query(query: &Template, context: AlertContext<'_>) -> Result<String, ActionRenderError> {
    const FIELD: &str = "verify.promql";
    let texts = || context.alert.labels.values().chain(context.alert.annotations.values());
    if !texts().any(|text| text.contains(['\\', '"', '\n', '\'', '`'])) {
        return render_required(FIELD, query, context);
    }
    let quoted = |texts: &Labels| texts.iter().map(|(name, text)| (name.clone(), escape(text))).collect();
    let alert = Alert {
        labels: quoted(&context.alert.labels),
        annotations: quoted(&context.alert.annotations),
        ..context.alert.clone()
    };
    let rendered = render_required(FIELD, query, AlertContext { alert: &alert })?;
    let written = plain_parts(query.source()).unwrap_or_default();
    let written = |quote: char| written.iter().map(|range| query.source()[range.clone()].matches(quote).count()).sum();
    let is_broken = |quote: char| {
        let written: usize = written(quote);
        written > 0 && rendered.matches(quote).count() != written
    };
    if is_broken('\'') || is_broken('`') {
        let why = "ends its own quotes; write the query with double quotes around what an alert says".to_owned();
        return Err(ActionRenderError::Unsafe { field: FIELD.to_owned(), rendered, why });
    }
    Ok(rendered)
}

/// A text as it stands between double quotes in `PromQL`, which escapes as Go does.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn address(
    field: &str,
    text: &Template,
    alert: AlertContext<'_>,
    is_one: fn(&str) -> bool,
) -> Result<String, ActionRenderError> {
    let rendered = render_required(field, text, alert)?;
    if is_one(&rendered) {
        Ok(rendered)
    } else {
        Err(ActionRenderError::NoAddress { field: field.to_owned(), rendered })
    }
}

/// Whether a text can be asked by HTTP: `http://` or `https://`, then a host, no user or password, nothing blank in it.
#[must_use]
pub fn is_web_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.strip_prefix('[').map_or_else(|| authority.split(':').next(), |rest| rest.split(']').next());
    let is_clean = !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    host.is_some_and(|host| !host.is_empty()) && !authority.contains('@') && is_clean
}

/// Whether a text is `host:port`, with an IPv6 host in brackets.
#[must_use]
pub fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = bracketed.map_or_else(|| !host.contains(':'), |host| host.contains(':'));
    let is_clean = !text.chars().any(|letter| letter.is_whitespace() || letter.is_control() || "/@?#".contains(letter));
    is_host && !host.is_empty() && is_clean && port.parse::<u16>().is_ok_and(|port| port != 0)
}

impl Probe<String> {
    /// What it wants to see, as the end of «waiting for».
    #[must_use]
    pub fn wanted(&self) -> String {
        match self {
            Self::Http(http) => {
                let body = http.body.as_ref().map(|pattern| format!(" with a body matching {pattern:?}"));
                format!("{} to answer {}{}", http.url, http.statuses(), body.unwrap_or_default())
            }
            Self::Tcp(tcp) => format!("{} to take connections", tcp.address),
            Self::Promql(query) => format!("{query:?} to be true"),
            Self::ContainerHealthy => "its containers to be healthy".to_owned(),
        }
    }
}

impl<Text> HttpProbe<Text> {
    /// Whether a status counts.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        if self.status.is_empty() { (200..300).contains(&status) } else { self.status.contains(&status) }
    }

    /// The statuses that count, in words.
    #[must_use]
    pub fn statuses(&self) -> String {
        if self.status.is_empty() {
            return "2xx".to_owned();
        }
        let statuses: Vec<_> = self.status.iter().map(ToString::to_string).collect();
        statuses.join(" or ")
    }
}

/// What an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// As it should be.
    Holds,
    /// Not as it should be.
    Fails,
    /// The question could not be asked, or the answer says nothing.
    Unknown,
}

/// One answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is worth.
    pub answer: Answer,
    /// What was asked and what was seen, in words; bounded by [`Finding::MAX_TEXT`].
    pub what: String,
}

impl Finding {
    /// Characters kept of what was seen.
    pub const MAX_TEXT: usize = 300;

    /// A finding with its text on one line and bounded.
    #[must_use]
    pub fn new(answer: Answer, what: impl AsRef<str>) -> Self {
        let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
        let mut letters = what.as_ref().chars().map(clean);
        let mut what: String = letters.by_ref().take(Self::MAX_TEXT).collect();
        if letters.next().is_some() {
            what.push('…');
        }
        Self { answer, what }
    }
}

/// How far asking for evidence has come while a heal is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watch {
    /// When to ask again.
    pub look_at: Timestamp,
    /// The last answers, in the order of the questions; empty before the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Watch {
    /// One that asks at once.
    #[must_use]
    pub const fn from(now: Timestamp) -> Self {
        Self { look_at: now, findings: Vec::new() }
    }

    /// Whether every question was last answered as it should be.
    #[must_use]
    pub fn all_hold(&self) -> bool {
        !self.findings.is_empty() && self.findings.iter().all(|finding| finding.answer == Answer::Holds)
    }
}

#[cfg(test)]
mod tests;
