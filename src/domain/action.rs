//! What a step can do: actions as the rule wrote them (texts are templates) and as rendered for one alert.

mod awx;
mod container;
mod exec;
pub mod http;
mod tree;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::template::{AlertContext, RenderError, Template};

pub use awx::{AwxJob, JobType, check_limit, without_jinja};
use http::{HttpJob, HttpRequest};

pub use container::{ContainerSelector, Deed, Dependents, RestartContainer};
pub use exec::{ExecInContainer, MAX_ARGUMENTS, words};
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

/// An action, generic over its texts: [`Template`] in a rule, [`String`] once rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action<Text> {
    /// `restartContainer`.
    RestartContainer(RestartContainer<Text>),
    /// `startContainer`.
    StartContainer(RestartContainer<Text>),
    /// `stopContainer`.
    StopContainer(RestartContainer<Text>),
    /// `execInContainer`.
    ExecInContainer(Box<ExecInContainer<Text>>),
    /// `awxJob`.
    AwxJob(Box<AwxJob<Text>>),
    /// `httpRequest`.
    HttpRequest(Box<HttpRequest<Text>>),
    /// `httpJob`.
    HttpJob(Box<HttpJob<Text>>),
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
    /// The rule asks for something that is read and not done.
    #[error("{why}")]
    Unsupported {
        /// What, and what to do about it.
        why: String,
    },
    /// It is about one step of several.
    #[error("step {number}: {source}")]
    Step {
        /// Which one, from 1 on.
        number: usize,
        /// What is wrong with it.
        source: Box<Self>,
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

/// Characters of what a deed is given that its target's text shows; longer ones are told apart by a sum of theirs.
const SHOWN: usize = 80;

/// What a deed is given, short enough for a target's text.
fn in_short(whole: &str) -> String {
    let shown: String = whole.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    // 64-bit FNV-1a.
    let sum = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211);
    if shown == whole {
        shown
    } else {
        format!("{shown}…{:016x}", whole.bytes().fold(14_695_981_039_346_656_037, sum))
    }
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
            Self::RestartContainer(containers) => Ok(Action::RestartContainer(containers.render(alert)?)),
            Self::StartContainer(containers) => Ok(Action::StartContainer(containers.render(alert)?)),
            Self::StopContainer(containers) => Ok(Action::StopContainer(containers.render(alert)?)),
            Self::ExecInContainer(exec) => Ok(Action::ExecInContainer(Box::new(exec.render(alert)?))),
            Self::AwxJob(job) => Ok(Action::AwxJob(Box::new(job.render(alert)?))),
            Self::HttpRequest(request) => Ok(Action::HttpRequest(Box::new(request.render(alert)?))),
            Self::HttpJob(job) => Ok(Action::HttpJob(Box::new(job.render(alert)?))),
        }
    }
}

impl<Text> Action<Text> {
    /// The containers it is about; `None` for an action on anything else.
    #[must_use]
    pub const fn selection(&self) -> Option<&RestartContainer<Text>> {
        match self {
            Self::RestartContainer(containers) | Self::StartContainer(containers) | Self::StopContainer(containers) => {
                Some(containers)
            }
            Self::ExecInContainer(exec) => Some(&exec.containers),
            Self::AwxJob(_) | Self::HttpRequest(_) | Self::HttpJob(_) => None,
        }
    }

    /// Which containers are brought up or down, and which of these; `None` for any other action.
    #[must_use]
    pub const fn containers(&self) -> Option<(Deed, &RestartContainer<Text>)> {
        match self {
            Self::RestartContainer(containers) => Some((Deed::Restart, containers)),
            Self::StartContainer(containers) => Some((Deed::Start, containers)),
            Self::StopContainer(containers) => Some((Deed::Stop, containers)),
            Self::ExecInContainer(_) | Self::AwxJob(_) | Self::HttpRequest(_) | Self::HttpJob(_) => None,
        }
    }

    /// The key a rule uses for this action.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RestartContainer(_) => Deed::Restart.kind(),
            Self::StartContainer(_) => Deed::Start.kind(),
            Self::StopContainer(_) => Deed::Stop.kind(),
            Self::ExecInContainer(_) => "execInContainer",
            Self::AwxJob(_) => "awxJob",
            Self::HttpRequest(_) => "httpRequest",
            Self::HttpJob(_) => "httpJob",
        }
    }
}

impl RenderedAction {
    /// The Docker host it is about; empty when it is about none.
    #[must_use]
    pub fn host(&self) -> &str {
        self.selection().map_or("", |containers| &containers.host)
    }

    /// What the action touches.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::RestartContainer(containers) | Self::StartContainer(containers) | Self::StopContainer(containers) => {
                Target(containers.target())
            }
            Self::ExecInContainer(exec) => Target(exec.containers.target()),
            Self::AwxJob(job) => Target(job.target()),
            Self::HttpRequest(request) => Target(request.target()),
            Self::HttpJob(job) => Target(job.target()),
        }
    }

    /// The action in the notation of the rule language, every text rendered.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        match self {
            Self::RestartContainer(containers) | Self::StartContainer(containers) | Self::StopContainer(containers) => {
                containers.fields()
            }
            Self::ExecInContainer(exec) => exec.fields(),
            Self::AwxJob(job) => job.fields(),
            Self::HttpRequest(request) => request.fields(),
            Self::HttpJob(job) => job.fields(),
        }
    }

    /// What is going on while it runs, in one word.
    #[must_use]
    pub const fn doing(&self) -> &'static str {
        match self {
            Self::RestartContainer(_) => Deed::Restart.doing(),
            Self::StartContainer(_) => Deed::Start.doing(),
            Self::StopContainer(_) => Deed::Stop.doing(),
            Self::ExecInContainer(_) | Self::AwxJob(_) | Self::HttpJob(_) => "running",
            Self::HttpRequest(_) => "asking",
        }
    }

    /// What it does, in words a person reads at night.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::RestartContainer(containers) => containers.summary(Deed::Restart),
            Self::StartContainer(containers) => containers.summary(Deed::Start),
            Self::StopContainer(containers) => containers.summary(Deed::Stop),
            Self::ExecInContainer(exec) => exec.summary(),
            Self::AwxJob(job) => job.summary(),
            Self::HttpRequest(request) => request.summary(),
            Self::HttpJob(job) => job.summary(),
        }
    }
}

#[cfg(test)]
mod tests;
