//! What a server should have, as one file says it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::domain::action::JobType;
use crate::secret::Secret;

/// Everything one file wants.
#[derive(Debug)]
pub struct Wanted {
    /// The server's name in the configuration.
    pub server: String,
    /// The organization all of it belongs to.
    pub organization: String,
    /// Where playbooks come from.
    pub project: Option<Project>,
    /// The hosts.
    pub inventory: Option<Inventory>,
    /// How hosts and repositories are logged in to.
    pub credentials: Vec<Credential>,
    /// What can be launched.
    pub templates: Vec<JobTemplate>,
}

/// A project.
#[derive(Debug)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its git repository; without one the project must be there and is left as it is.
    pub source: Option<Source>,
    /// How long its synchronisation may take.
    pub sync_timeout: Duration,
}

/// A git repository.
#[derive(Debug)]
pub struct Source {
    /// Its address.
    pub url: String,
    /// Branch, tag or commit; empty for the repository's own default.
    pub branch: String,
    /// The credential it is read with, by name.
    pub credential: Option<String>,
    /// Whether every launch fetches it first.
    pub update_on_launch: bool,
}

/// An inventory.
#[derive(Debug)]
pub struct Inventory {
    /// Its name.
    pub name: String,
    /// Its hosts; others that are there stay.
    pub hosts: Vec<Host>,
    /// Its groups; others that are there stay.
    pub groups: Vec<Group>,
}

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its variables; `None` leaves them alone.
    pub variables: Option<Map<String, Value>>,
}

/// A group of hosts.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its variables; `None` leaves them alone.
    pub variables: Option<Map<String, Value>>,
    /// Its hosts; others that are in it stay.
    pub hosts: Vec<String>,
}

/// A credential.
#[derive(Debug)]
pub struct Credential {
    /// Its name.
    pub name: String,
    /// What it is made of; without that it must be there.
    pub content: Option<Content>,
}

/// What a credential is made of.
#[derive(Debug)]
pub struct Content {
    /// The name of its type: `Machine`, `Source Control`, …
    pub kind: String,
    /// Its inputs.
    pub inputs: BTreeMap<String, Input>,
}

/// An input of a credential.
#[derive(Debug)]
pub enum Input {
    /// Not a secret; compared and shown.
    Plain(Value),
    /// From the secrets file; never compared, because the server does not tell it.
    Secret(Secret),
}

/// A job template.
#[derive(Debug)]
pub struct JobTemplate {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// The playbook in the project.
    pub playbook: String,
    /// Run, or only check.
    pub job_type: JobType,
    /// The hosts it runs on when nobody says.
    pub limit: String,
    /// Tags it runs.
    pub job_tags: String,
    /// Tags it leaves out.
    pub skip_tags: String,
    /// Variables it has of its own.
    pub extra_vars: Map<String, Value>,
    /// Credentials by name; others that are there stay.
    pub credentials: Vec<String>,
    /// What it asks for on launch, in AWX's words. What it asks for besides stays, because somebody may send it.
    pub prompts: BTreeSet<&'static str>,
    /// Questions in AWX's own notation; `None` leaves the survey alone.
    pub survey: Option<Vec<Value>>,
    /// Whether several runs may go on side by side.
    pub allow_simultaneous: bool,
}
