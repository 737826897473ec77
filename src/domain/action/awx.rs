//! `awxJob`: run a job template or a workflow of AWX, Ansible Tower or the Automation Platform.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::tree::Tree;
use super::{ActionRenderError, in_short, render_required};
use crate::domain::template::{AlertContext, Template};

/// Whether a job changes hosts or only looks what it would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobType {
    /// Changes hosts.
    Run,
    /// Ansible's check mode.
    Check,
}

impl JobType {
    /// The word in a rule and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Check => "check",
        }
    }
}

/// Launch a template. What is left out is left to the template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AwxJob<Text> {
    /// The server, a name from `awx`.
    pub server: String,
    /// The template's name.
    pub template: Text,
    /// Whether it is a workflow template.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub workflow: bool,
    /// The organization whose template it is: names are unique only within one.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub organization: Option<Text>,
    /// The project whose template it is.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub project: Option<Text>,
    /// Run on this inventory.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Text>,
    /// Run on these hosts or groups only. Empty when the rule says nothing, which leaves it to the template.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub limit: Vec<Text>,
    /// Variables for the play.
    #[serde(default = "BTreeMap::new", skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_vars: BTreeMap<String, Tree<Text>>,
    /// Run only tasks with these tags.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub job_tags: Option<Text>,
    /// Leave out tasks with these tags.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub skip_tags: Option<Text>,
    /// Credentials by name.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<Text>,
    /// Labels by name.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Text>,
    /// Run or check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_type: Option<JobType>,
}

/// For serde, whose own default would ask the text to have one.
const fn none<Text>() -> Option<Text> {
    None
}

/// What a limit may be made of: host and group names. Everything Ansible reads more into is refused: `~` (a regular
/// expression), `@` (a file on the controller), `,` and `:` (lists), `!` and `&`, `*` and brackets (patterns), blanks and
/// line breaks, a leading dash (an option), and the words that mean every host.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn check_limit(text: &str, is_literal: bool) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty, and AWX would take that as every host of the inventory".to_owned());
    }
    if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))) {
        let help = if bad == ':' { "; to take the port off an instance, pipe it through stripPort" } else { "" };
        return Err(format!("has {bad:?} in it; a limit takes plain host names and groups{help}"));
    }
    if text.starts_with('-') {
        return Err("begins with a dash, which Ansible would take as an option".to_owned());
    }
    if !is_literal && text.eq_ignore_ascii_case("all") {
        return Err("means every host; only a rule that says `limit: all` itself may ask for that".to_owned());
    }
    if text.chars().count() > 255 {
        return Err("is longer than any host's name".to_owned());
    }
    Ok(())
}

/// What makes Ansible read a text as a template of its own: its brackets, and the header by which a text may choose other
/// brackets for itself.
const JINJA: [(&str, &str); 4] = [("{{", "{ {"), ("{%", "{ %"), ("{#", "{ #"), ("#jinja2:", "# jinja2:")];

/// Whether Ansible would find a template of its own in a text.
fn has_jinja(text: &str) -> bool {
    JINJA.iter().any(|(opening, _)| text.contains(opening))
}

/// The text with a blank in whatever would open a template of Ansible's.
#[must_use]
pub fn without_jinja(text: &str) -> String {
    let mut text = text.to_owned();
    while has_jinja(&text) {
        for (opening, apart) in JINJA {
            text = text.replace(opening, apart);
        }
    }
    text
}

impl AwxJob<Template> {
    pub(super) fn render(&self, alert: AlertContext<'_>) -> Result<AwxJob<String>, ActionRenderError> {
        let required = |field: &str, text: &Template| {
            let rendered = render_required(field, text, alert)?;
            refuse_jinja(field, text, &rendered)?;
            Ok(rendered)
        };
        let option = |field: &str, text: &Option<Template>| text.as_ref().map(|text| required(field, text)).transpose();
        let list = |field: &str, texts: &[Template]| -> Result<Vec<String>, ActionRenderError> {
            texts.iter().map(|text| required(field, text)).collect()
        };
        let extra_vars = self.extra_vars.iter().map(|(name, tree)| {
            let field = format!("extraVars.{name}");
            let tree = tree.render(&field, alert, &mut |field, text, rendered| refuse_jinja(field, text, rendered))?;
            Ok((name.clone(), tree))
        });
        Ok(AwxJob {
            server: self.server.clone(),
            template: required("template", &self.template)?,
            workflow: self.workflow,
            organization: option("organization", &self.organization)?,
            project: option("project", &self.project)?,
            inventory: option("inventory", &self.inventory)?,
            limit: self.limit.iter().map(|text| render_limit(text, alert)).collect::<Result<_, _>>()?,
            extra_vars: extra_vars.collect::<Result<_, _>>()?,
            job_tags: option("jobTags", &self.job_tags)?,
            skip_tags: option("skipTags", &self.skip_tags)?,
            credentials: list("credentials", &self.credentials)?,
            labels: list("labels", &self.labels)?,
            job_type: self.job_type,
        })
    }
}

fn render_limit(text: &Template, alert: AlertContext<'_>) -> Result<String, ActionRenderError> {
    let rendered = render_required("limit", text, alert)?;
    match check_limit(&rendered, text.is_literal()) {
        Ok(()) => Ok(rendered),
        Err(why) => Err(ActionRenderError::Unsafe { field: "limit".to_owned(), rendered, why }),
    }
}

/// What comes out of an alert is data. A server may be set up to take braces in variables as a template of Ansible's,
/// which can run commands; a text that brings some along is refused rather than changed.
fn refuse_jinja(field: &str, text: &Template, rendered: &str) -> Result<(), ActionRenderError> {
    if text.is_literal() || !has_jinja(rendered) {
        return Ok(());
    }
    let why = "has what Ansible reads as a template of its own; texts of alerts are data".to_owned();
    Err(ActionRenderError::Unsafe { field: field.to_owned(), rendered: rendered.to_owned(), why })
}

impl AwxJob<String> {
    /// The template's name as people write it: with its organization when the rule names one.
    fn name(&self) -> String {
        match &self.organization {
            Some(organization) => format!("{}++{organization}", self.template),
            None => self.template.clone(),
        }
    }

    pub(super) fn target(&self) -> String {
        let mut target = format!("awx:{}/{}", self.server, self.name());
        for part in [self.inventory.clone(), Some(self.limit.join(","))].into_iter().flatten() {
            if !part.is_empty() {
                target = format!("{target}/{part}");
            }
        }
        // The same template with other variables is another deed: two alerts must not share one.
        if !self.extra_vars.is_empty() {
            target = format!("{target}/{}", self.variables_in_short());
        }
        target
    }

    fn variables_in_short(&self) -> String {
        let pairs = self.extra_vars.iter().map(|(name, value)| match value {
            Tree::Text(text) => format!("{name}={text}"),
            other => format!("{name}={}", other.to_json()),
        });
        in_short(&pairs.collect::<Vec<_>>().join(","))
    }

    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        set("server", json!(self.server));
        set("template", json!(self.template));
        if self.workflow {
            set("workflow", json!(true));
        }
        let options = [
            ("organization", &self.organization),
            ("project", &self.project),
            ("inventory", &self.inventory),
            ("jobTags", &self.job_tags),
            ("skipTags", &self.skip_tags),
        ];
        for (key, value) in options {
            if let Some(value) = value {
                set(key, json!(value));
            }
        }
        if !self.limit.is_empty() {
            // One host as a text, which is how rules write it.
            let hosts = if let [host] = self.limit.as_slice() { json!(host) } else { json!(self.limit) };
            set("limit", hosts);
        }
        for (key, list) in [("credentials", &self.credentials), ("labels", &self.labels)] {
            if !list.is_empty() {
                set(key, json!(list));
            }
        }
        if !self.extra_vars.is_empty() {
            set("extraVars", self.variables().into());
        }
        if let Some(job_type) = self.job_type {
            set("jobType", json!(job_type.as_str()));
        }
        fields
    }

    /// The rule's variables as JSON.
    #[must_use]
    pub fn variables(&self) -> Map<String, Value> {
        self.extra_vars.iter().map(|(name, tree)| (name.clone(), tree.to_json())).collect()
    }

    pub(super) fn summary(&self) -> String {
        let kind = if self.workflow { "AWX workflow" } else { "AWX job" };
        let limit =
            if self.limit.is_empty() { String::new() } else { format!(" limited to {}", self.limit.join(", ")) };
        let server = if self.server == "default" { String::new() } else { format!(" on {}", self.server) };
        format!("run {kind} {}{limit}{server}", self.name())
    }
}

#[cfg(test)]
mod tests;
