//! Before a launch: would the template take all the rule asks for? A job template silently drops what it does not prompt for
//! and runs anyway, on every host when it drops a limit; so nothing is launched that would lose anything. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::model::{Preflight, Question};
use crate::domain::action::{AwxJob, without_jinja};
use crate::domain::alert::Alert;

/// The variable that tells our runs apart.
pub(super) const KEY: &str = "autoheal_key";
/// The variable that brings the alert along, as the ancestor named it.
pub(super) const ALERT: &str = "alert";

/// Where a run of ours carries its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Marker {
    /// In the variables, with the alert.
    Variables,
    /// As a tag to leave out, which no task has.
    SkipTags,
    /// Nowhere: the template takes neither.
    None,
}

/// What will be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sending {
    pub marker: Marker,
    /// What somebody reading the story should know.
    pub notes: Vec<String>,
}

/// Names of things that the rule means, resolved to numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resolved {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<u64>,
}

/// Whether the questions of a template's survey are needed to decide.
pub(super) fn needs_survey(job: &AwxJob<String>, preflight: &Preflight) -> bool {
    preflight.flag("survey_enabled") && !job.extra_vars.is_empty()
}

/// Decides whether a template takes all a rule asks for.
///
/// # Errors
/// Everything that is wrong, each with what to change.
pub(super) fn check(job: &AwxJob<String>, preflight: &Preflight, survey: &[Question]) -> Result<Sending, Vec<String>> {
    let mut wrong = Vec::new();
    let prompts = [
        ("limit", "limit", !job.limit.is_empty(), "Limit"),
        ("inventory", "inventory", job.inventory.is_some(), "Inventory"),
        ("jobTags", "tags", job.job_tags.is_some(), "Job Tags"),
        ("skipTags", "skip_tags", job.skip_tags.is_some(), "Skip Tags"),
        ("credentials", "credential", !job.credentials.is_empty(), "Credentials"),
        ("labels", "labels", !job.labels.is_empty(), "Labels"),
        ("jobType", "job_type", job.job_type.is_some(), "Job Type"),
    ];
    for (field, prompt, is_wanted, title) in prompts {
        if is_wanted && !preflight.asks(prompt) {
            wrong.push(format!(
                "it does not prompt for {field}, and AWX would drop it and run anyway: turn on «Prompt on launch» for {title}, or take {field} out of the rule"
            ));
        }
    }
    let takes_variables = preflight.asks("variables");
    let declared = |name: &String| survey.iter().any(|question| question.variable == *name);
    if !takes_variables {
        let lost: Vec<&str> = job.extra_vars.keys().filter(|name| !declared(name)).map(String::as_str).collect();
        if !lost.is_empty() {
            wrong.push(format!(
                "it does not take the variables {}: turn on «Prompt on launch» for Variables, add them to its survey, or take them out of the rule",
                lost.join(", ")
            ));
        }
    }
    let missing: Vec<String> = preflight
        .list("variables_needed_to_start")
        .into_iter()
        .filter(|name| !job.extra_vars.contains_key(name))
        .collect();
    if !missing.is_empty() {
        wrong.push(format!("its survey needs {}: add them to extraVars", missing.join(", ")));
    }
    let passwords = preflight.list("passwords_needed_to_start");
    if !passwords.is_empty() {
        wrong.push(format!("it asks for the passwords {}: store them in its credentials", passwords.join(", ")));
    }
    if preflight.flag("inventory_needed_to_start") && job.inventory.is_none() {
        wrong.push("it has no inventory of its own: name one in the rule or in the template".to_owned());
    }
    for (field, what) in
        [("node_templates_missing", "templates are missing"), ("node_prompts_rejected", "prompts are rejected")]
    {
        let nodes = preflight.list(field);
        if !nodes.is_empty() {
            wrong.push(format!("its {what} in nodes {}: repair the workflow", nodes.join(", ")));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut notes = Vec::new();
    if !takes_variables {
        notes.push("the template takes no variables, so the alert is not sent along".to_owned());
    }
    let marker = if takes_variables {
        Marker::Variables
    } else if preflight.asks("skip_tags") && !job.workflow {
        Marker::SkipTags
    } else {
        Marker::None
    };
    Ok(Sending { marker, notes })
}

/// The body of a launch.
pub(super) fn body(
    job: &AwxJob<String>,
    resolved: &Resolved,
    survey: &[Question],
    marker: Marker,
    key: &str,
    alert: Option<&Alert>,
) -> Value {
    let mut body = Map::new();
    let mut set = |field: &str, value: Value| body.insert(field.to_owned(), value);
    let mut variables = job.variables();
    for question in survey {
        if let Some(value) = variables.get_mut(&question.variable) {
            fit(value, &question.kind);
        }
    }
    if marker == Marker::Variables {
        variables.insert(KEY.to_owned(), json!(key));
        if let Some(alert) = alert {
            variables.insert(ALERT.to_owned(), alert_data(alert));
        }
    }
    if !variables.is_empty() {
        set("extra_vars", Value::Object(variables));
    }
    // An empty limit is never sent: AWX takes it as «every host», whatever the template says.
    if !job.limit.is_empty() {
        set("limit", json!(job.limit.join(",")));
    }
    if let Some(tags) = &job.job_tags {
        set("job_tags", json!(tags));
    }
    let ours = (marker == Marker::SkipTags).then(|| tag(key));
    let skip_tags: Vec<&str> = job.skip_tags.iter().chain(&ours).map(String::as_str).collect();
    if !skip_tags.is_empty() {
        set("skip_tags", json!(skip_tags.join(",")));
    }
    if let Some(inventory) = resolved.inventory {
        set("inventory", json!(inventory));
    }
    if !resolved.credentials.is_empty() {
        set("credentials", json!(resolved.credentials));
    }
    if !resolved.labels.is_empty() {
        set("labels", json!(resolved.labels));
    }
    if let Some(job_type) = job.job_type {
        set("job_type", json!(job_type.as_str()));
    }
    Value::Object(body)
}

/// The tag that carries a key.
pub(super) fn tag(key: &str) -> String {
    format!("autoheal-{key}")
}

/// Templates give texts; a survey wants numbers as numbers.
fn fit(value: &mut Value, kind: &str) {
    let Some(text) = value.as_str() else { return };
    let number = match kind {
        "integer" => text.trim().parse::<i64>().ok().map(Value::from),
        "float" => text.trim().parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::from),
        _ => None,
    };
    if let Some(number) = number {
        *value = number;
    }
}

/// The alert as the ancestor sends it, as plain data: where a text would open a template of Ansible's, a blank keeps the
/// brackets apart, because some servers are set up to run what is between them.
fn alert_data(alert: &Alert) -> Value {
    let harmless = without_jinja;
    let map = |labels: &crate::domain::alert::Labels| -> Map<String, Value> {
        labels.iter().map(|(name, value)| (harmless(name), Value::String(harmless(value)))).collect()
    };
    json!({
        "status": alert.status.as_str(),
        "labels": map(&alert.labels),
        "annotations": map(&alert.annotations),
        "startsAt": alert.starts_at.to_string(),
        "endsAt": alert.ends_at.map(|at| at.to_string()),
        "generatorURL": harmless(&alert.generator_url),
    })
}

#[cfg(test)]
mod tests;
