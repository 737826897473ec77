//! What a step can do: actions as the rule wrote them (texts are templates) and as rendered for one alert.

mod awx;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::duration;
use super::template::{AlertContext, RenderError, Template};

pub use awx::{AwxJob, JobType, check_limit, has_jinja};
pub use tree::Tree;

/// What an action touches, rendered to one text such as `docker:local/compose/otus/ui`. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(String);

impl Target {
    /// Takes a target's text as it stands in the store or in a test.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

/// Restart (or start, when stopped) the selected container.
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
}

/// An action, generic over its texts: [`Template`] in a rule, [`String`] once rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action<Text> {
    /// `restartContainer`.
    RestartContainer(RestartContainer<Text>),
    /// `awxJob`.
    AwxJob(Box<AwxJob<Text>>),
}

/// An action as a rule wrote it.
pub type ActionTemplate = Action<Template>;
/// An action whose every text has been rendered for an alert.
pub type RenderedAction = Action<String>;

/// A text of an action could not be rendered; the action is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionRenderError {
    /// A template failed or named something the alert does not have.
    #[error("{field}: {source}")]
    Template {
        /// The field's key as the rule writes it.
        field: String,
        /// What the template said.
        source: RenderError,
    },
    /// A text that says where to ask for evidence is no address.
    #[error("{field} is {rendered:?} after rendering, which is no address that can be asked")]
    NoAddress {
        /// The field's key as the rule writes it.
        field: String,
        /// What came out.
        rendered: String,
    },
    /// A text came out as something that would touch more than meant, or be run.
    #[error("{field} is {rendered:?} after rendering; it {why}")]
    Unsafe {
        /// The field's key as the rule writes it.
        field: String,
        /// What came out.
        rendered: String,
        /// What is wrong with it, after «it», and what to do.
        why: String,
    },
    /// A text that names a target came out empty. Empty never widens.
    #[error("{field} is empty after rendering {template:?}; an empty value would widen the target")]
    Empty {
        /// The field's key as the rule writes it.
        field: String,
        /// The template's source.
        template: String,
    },
}

/// Renders one text.
pub(super) fn render_text(field: &str, text: &Template, alert: AlertContext<'_>) -> Result<String, ActionRenderError> {
    text.render(alert).map_err(|source| ActionRenderError::Template { field: field.to_owned(), source })
}

/// Renders one target-naming text and refuses an empty (or blank) result.
pub(super) fn render_required(
    field: &str,
    text: &Template,
    alert: AlertContext<'_>,
) -> Result<String, ActionRenderError> {
    let rendered = render_text(field, text, alert)?;
    if rendered.trim().is_empty() {
        return Err(ActionRenderError::Empty { field: field.to_owned(), template: text.source().to_owned() });
    }
    Ok(rendered)
}

impl ActionTemplate {
    /// Renders every text for one alert.
    ///
    /// # Errors
    /// A template that fails, or a target text that comes out empty, refuses the action.
    pub fn render(&self, alert: AlertContext<'_>) -> Result<RenderedAction, ActionRenderError> {
        match self {
            Self::RestartContainer(restart) => {
                let text = |field: &str, text: &Template| render_required(field, text, alert);
                let selector = match &restart.selector {
                    ContainerSelector::Name(name) => ContainerSelector::Name(text("name", name)?),
                    ContainerSelector::Labels(labels) => ContainerSelector::Labels(
                        labels
                            .iter()
                            .map(|(key, value)| Ok((key.clone(), text(&format!("labels.{key}"), value)?)))
                            .collect::<Result<_, _>>()?,
                    ),
                    ContainerSelector::Compose { project, service } => ContainerSelector::Compose {
                        project: text("compose.project", project)?,
                        service: text("compose.service", service)?,
                    },
                };
                Ok(Action::RestartContainer(RestartContainer {
                    host: text("host", &restart.host)?,
                    selector,
                    stop_timeout: restart.stop_timeout,
                    max: restart.max,
                }))
            }
            Self::AwxJob(job) => Ok(Action::AwxJob(Box::new(job.render(alert)?))),
        }
    }
}

impl<Text> Action<Text> {
    /// The key a rule uses for this action.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RestartContainer(_) => "restartContainer",
            Self::AwxJob(_) => "awxJob",
        }
    }
}

impl RenderedAction {
    /// The Docker host it is about; empty when it is about none.
    #[must_use]
    pub fn host(&self) -> &str {
        match self {
            Self::RestartContainer(restart) => &restart.host,
            Self::AwxJob(_) => "",
        }
    }

    /// What the action touches.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::RestartContainer(restart) => {
                let host = &restart.host;
                Target(match &restart.selector {
                    ContainerSelector::Name(name) => format!("docker:{host}/name/{name}"),
                    ContainerSelector::Labels(labels) => {
                        let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                        format!("docker:{host}/labels/{}", pairs.join(","))
                    }
                    ContainerSelector::Compose { project, service } => {
                        format!("docker:{host}/compose/{project}/{service}")
                    }
                })
            }
            Self::AwxJob(job) => Target(job.target()),
        }
    }

    /// The action in the notation of the rule language, every text rendered.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        match self {
            Self::RestartContainer(restart) => {
                let mut fields = Map::new();
                fields.insert("host".into(), json!(restart.host));
                match &restart.selector {
                    ContainerSelector::Name(name) => fields.insert("name".into(), json!(name)),
                    ContainerSelector::Labels(labels) => fields.insert("labels".into(), json!(labels)),
                    ContainerSelector::Compose { project, service } => {
                        fields.insert("compose".into(), json!({ "project": project, "service": service }))
                    }
                };
                if let Some(timeout) = restart.stop_timeout {
                    fields.insert("stopTimeout".into(), json!(duration::format(timeout)));
                }
                fields.insert("max".into(), json!(restart.max));
                fields
            }
            Self::AwxJob(job) => job.fields(),
        }
    }

    /// What is going on while it runs, in one word.
    #[must_use]
    pub const fn doing(&self) -> &'static str {
        match self {
            Self::RestartContainer(_) => "restarting",
            Self::AwxJob(_) => "running",
        }
    }

    /// What it does, in words a person reads at night.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::RestartContainer(restart) => {
                let host = &restart.host;
                match &restart.selector {
                    ContainerSelector::Name(name) => format!("restart container {name} on {host}"),
                    ContainerSelector::Labels(labels) => {
                        let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                        format!("restart container with labels {} on {host}", pairs.join(", "))
                    }
                    ContainerSelector::Compose { project, service } => {
                        format!("restart container of {project}/{service} on {host}")
                    }
                }
            }
            Self::AwxJob(job) => job.summary(),
        }
    }
}
