//! Actions on containers: which ones, and what is done to them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ActionRenderError, render_required};
use crate::domain::duration;
use crate::domain::template::{AlertContext, Template};

/// Which containers an action means; exactly one way of saying it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ContainerSelector<Text> {
    /// The container of exactly this name.
    Name(Text),
    /// Containers that carry all these labels with exactly these values.
    Labels(BTreeMap<String, Text>),
    /// Containers of this Docker Compose project and service.
    Compose {
        /// `com.docker.compose.project`.
        project: Text,
        /// `com.docker.compose.service`.
        service: Text,
    },
}

/// What is done to containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Restarted; started when stopped.
    Restart,
    /// Started when stopped.
    Start,
    /// Stopped when running.
    Stop,
}

impl Deed {
    /// The key a rule uses for it.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Restart => "restartContainer",
            Self::Start => "startContainer",
            Self::Stop => "stopContainer",
        }
    }

    /// The verb: `restart`.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// The containers that are restarted, started or stopped, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartContainer<Text> {
    /// A name from `docker.hosts`.
    pub host: Text,
    /// Which containers.
    pub selector: ContainerSelector<Text>,
    /// How long the engine waits after SIGTERM before SIGKILL. `None` leaves it to the container's own setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<Duration>,
    /// More matching containers than this refuses the action.
    pub max: u32,
    /// So many of the selected containers must be healthy beside one that is taken down. `None` means one, where more than
    /// one is selected: never the last healthy one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_healthy: Option<u32>,
    /// What depends on them, on the same host: restarted in this order once they are well.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<ContainerSelector<Text>>,
    /// Which services of the same Compose project follow, as Compose noted down what depends on what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependents: Option<Dependents>,
}

/// Services that depend on the restarted one, at any remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dependents {
    /// Those whose `depends_on` says `restart: true`.
    Restart,
    /// All of them.
    All,
}

impl Dependents {
    /// The word a rule uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::All => "all",
        }
    }
}

impl RestartContainer<Template> {
    pub(super) fn render(&self, alert: AlertContext<'_>) -> Result<RestartContainer<String>, ActionRenderError> {
        Ok(RestartContainer {
            host: render_required("host", &self.host, alert)?,
            selector: self.selector.render("", alert)?,
            stop_timeout: self.stop_timeout,
            max: self.max,
            min_healthy: self.min_healthy,
            then: self.then.iter().map(|selector| selector.render("then.", alert)).collect::<Result<_, _>>()?,
            dependents: self.dependents,
        })
    }
}

impl ContainerSelector<Template> {
    fn render(&self, prefix: &str, alert: AlertContext<'_>) -> Result<ContainerSelector<String>, ActionRenderError> {
        let text = |field: &str, text: &Template| render_required(&format!("{prefix}{field}"), text, alert);
        Ok(match self {
            Self::Name(name) => ContainerSelector::Name(text("name", name)?),
            Self::Labels(labels) => ContainerSelector::Labels(
                labels
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), text(&format!("labels.{key}"), value)?)))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Compose { project, service } => ContainerSelector::Compose {
                project: text("compose.project", project)?,
                service: text("compose.service", service)?,
            },
        })
    }
}

impl ContainerSelector<String> {
    /// As a part of a target.
    fn path(&self) -> String {
        match self {
            Self::Name(name) => format!("name/{name}"),
            Self::Labels(labels) => {
                let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("labels/{}", pairs.join(","))
            }
            Self::Compose { project, service } => format!("compose/{project}/{service}"),
        }
    }

    /// As a part of a sentence.
    fn words(&self) -> String {
        match self {
            Self::Name(name) => format!("container {name}"),
            Self::Labels(labels) => {
                let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("container with labels {}", pairs.join(", "))
            }
            Self::Compose { project, service } => format!("container of {project}/{service}"),
        }
    }

    /// In the notation of the rule language.
    fn field(&self) -> (&'static str, Value) {
        match self {
            Self::Name(name) => ("name", json!(name)),
            Self::Labels(labels) => ("labels", json!(labels)),
            Self::Compose { project, service } => ("compose", json!({ "project": project, "service": service })),
        }
    }
}

impl Deed {
    /// What is going on, in one word.
    #[must_use]
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Restart => "restarting",
            Self::Start => "starting",
            Self::Stop => "stopping",
        }
    }
}

impl RestartContainer<String> {
    /// What is touched.
    pub(super) fn target(&self) -> String {
        format!("docker:{}/{}", self.host, self.selector.path())
    }

    /// In the notation of the rule language.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("host".into(), json!(self.host));
        let (key, value) = self.selector.field();
        fields.insert(key.into(), value);
        if let Some(timeout) = self.stop_timeout {
            fields.insert("stopTimeout".into(), json!(duration::format(timeout)));
        }
        fields.insert("max".into(), json!(self.max));
        if let Some(min) = self.min_healthy {
            fields.insert("minHealthy".into(), json!(min));
        }
        if !self.then.is_empty() {
            let then = self.then.iter().map(|selector| Value::Object(Map::from_iter([named(selector.field())])));
            fields.insert("then".into(), then.collect());
        }
        if let Some(dependents) = self.dependents {
            fields.insert("dependents".into(), json!(dependents.as_str()));
        }
        fields
    }

    /// What is done, in words a person reads at night.
    pub(super) fn summary(&self, deed: Deed) -> String {
        let then: Vec<_> = self.then.iter().map(ContainerSelector::words).collect();
        let then = if then.is_empty() { String::new() } else { format!(", then restart {}", then.join(", then ")) };
        let dependents = if self.dependents.is_some() { ", then what depends on it" } else { "" };
        format!("{} {}{then}{dependents}", deed.verb(), self.place())
    }

    /// Which containers, where, in words.
    pub(super) fn place(&self) -> String {
        format!("{} on {}", self.selector.words(), self.host)
    }
}

fn named((key, value): (&str, Value)) -> (String, Value) {
    (key.to_owned(), value)
}
