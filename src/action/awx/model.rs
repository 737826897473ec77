//! What the server says, read leniently: unknown fields are passed over, missing ones are told apart from false ones.

use serde_json::{Map, Value};

use crate::action::words::cut;

/// What `GET …/launch/` says a template takes.
#[derive(Debug, Clone)]
pub(super) struct Preflight(Value);

impl Preflight {
    /// Reads the answer; `None` when it is none.
    pub(super) fn of(body: &Value) -> Option<Self> {
        body.get("can_start_without_user_input").map(|_| Self(body.clone()))
    }

    /// What the template is called now.
    pub(super) fn name(&self) -> Option<&str> {
        let data = self.0.get("job_template_data").or_else(|| self.0.get("workflow_job_template_data"))?;
        data.get("name")?.as_str()
    }

    /// Whether it prompts for something. What an older server does not know it does not take either.
    pub(super) fn asks(&self, prompt: &str) -> bool {
        self.0.get(format!("ask_{prompt}_on_launch")).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Whether a flag is up.
    pub(super) fn flag(&self, field: &str) -> bool {
        self.0.get(field).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A list of names.
    pub(super) fn list(&self, field: &str) -> Vec<String> {
        let items = self.0.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
    }
}

/// A question of a survey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// The variable it sets.
    pub variable: String,
    /// `text`, `integer`, `multiplechoice`, …
    pub kind: String,
}

/// The questions of a survey.
pub(super) fn questions(body: &Value) -> Vec<Question> {
    let spec = body.get("spec").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |question: &Value, field: &str| question.get(field).and_then(Value::as_str).map(str::to_owned);
    spec.iter()
        .filter_map(|question| {
            Some(Question { variable: text(question, "variable")?, kind: text(question, "type").unwrap_or_default() })
        })
        .collect()
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waits to be run.
    Queued,
    /// Runs.
    Running,
    /// Ended well, as far as AWX can tell.
    Successful,
    /// Ansible ended badly, or its time ran out, or its worker was lost.
    Failed,
    /// AWX could not run it.
    Error,
    /// Was cancelled.
    Canceled,
}

impl State {
    /// A word we do not know is nothing to act on: the job is looked at again.
    fn of(word: &str) -> Self {
        match word {
            "running" => Self::Running,
            "successful" => Self::Successful,
            "failed" => Self::Failed,
            "error" => Self::Error,
            "canceled" => Self::Canceled,
            "new" | "pending" | "waiting" => Self::Queued,
            other => {
                tracing::warn!(
                    status = cut(other, 40),
                    "AWX tells a job status nobody here knows; it counts as running"
                );
                Self::Running
            }
        }
    }

    pub(super) const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What a launch can choose for a job, as the job got it.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    /// The tags it is limited to.
    pub tags: String,
    /// `run` or `check`.
    pub kind: String,
    /// Its inventory.
    pub inventory: Option<u64>,
    /// Its credentials; `None` where a server does not say.
    pub credentials: Option<Vec<u64>>,
    /// Its labels; `None` where a server does not say all of them.
    pub labels: Option<Vec<u64>>,
}

/// A job or a workflow job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// Its number, unique over both kinds.
    pub id: u64,
    /// Whether it is a workflow's.
    pub is_workflow: bool,
    /// Where it is.
    pub state: State,
    /// The hosts it was limited to.
    pub limit: String,
    /// Its variables.
    pub extra_vars: Map<String, Value>,
    /// The tags it leaves out.
    pub skip_tags: String,
    /// What else a launch can choose.
    pub choices: Box<Choices>,
    /// What AWX says of its end.
    pub explanation: String,
    /// What went wrong in AWX itself.
    pub traceback: String,
    /// Whether its output is complete; unknown in lists.
    pub events_done: Option<bool>,
    /// How long it ran.
    pub elapsed: f64,
}

impl Job {
    /// Reads a job, alone or out of a list.
    pub(super) fn of(row: &Value) -> Option<Self> {
        let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        // The variables are a text of JSON; passwords in them are masked, nothing else is.
        let extra_vars = serde_json::from_str(&text("extra_vars")).unwrap_or_default();
        Some(Self {
            id: row.get("id")?.as_u64()?,
            is_workflow: text("type") == "workflow_job",
            state: State::of(row.get("status")?.as_str()?),
            limit: text("limit"),
            extra_vars,
            skip_tags: text("skip_tags"),
            choices: Box::new(Choices {
                tags: text("job_tags"),
                kind: text("job_type"),
                inventory: row.get("inventory").and_then(Value::as_u64),
                credentials: row.pointer("/summary_fields/credentials").and_then(numbers),
                labels: row.pointer("/summary_fields/labels").and_then(|labels| {
                    // More of them than stand here are counted only.
                    let shown = labels.get("results").and_then(numbers)?;
                    (labels.get("count")?.as_u64()? == shown.len() as u64).then_some(shown)
                }),
            }),
            explanation: text("job_explanation"),
            traceback: text("result_traceback"),
            events_done: row.get("event_processing_finished").and_then(Value::as_bool),
            elapsed: row.get("elapsed").and_then(Value::as_f64).unwrap_or_default(),
        })
    }
}

/// The numbers of the things in a list.
fn numbers(list: &Value) -> Option<Vec<u64>> {
    Some(list.as_array()?.iter().filter_map(|thing| thing.get("id")?.as_u64()).collect())
}

/// The rows of a list.
pub(super) fn rows(body: &Value) -> Vec<Value> {
    body.get("results").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What became of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostResult {
    pub name: String,
    pub ok: u64,
    pub changed: u64,
    pub failures: u64,
    pub unreachable: u64,
}

impl HostResult {
    pub(super) fn of(row: &Value) -> Option<Self> {
        let count = |field: &str| row.get(field).and_then(Value::as_u64).unwrap_or_default();
        Some(Self {
            name: cut(row.get("host_name")?.as_str()?, 60),
            ok: count("ok"),
            changed: count("changed"),
            failures: count("failures"),
            unreachable: count("dark"),
        })
    }
}

/// A task that failed on a host.
pub(super) fn failure(row: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let host = text(row.get("host_name")?)?;
    let task = row.get("task").and_then(text).unwrap_or_default();
    let result = row.pointer("/event_data/res");
    let message = result.and_then(|result| {
        ["msg", "stderr", "stdout"]
            .iter()
            .find_map(|field| result.get(field))
            .map(|value| text(value).unwrap_or_else(|| value.to_string()))
    });
    let message = message.unwrap_or_else(|| "no message".to_owned());
    Some(cut(&format!("{host}, task «{task}»: {message}"), 300))
}
