//! A job template: what it runs, what a launch may change of it, and what it asks for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{each, flag, name, read_value, text, variables, word};
use crate::action::awx::JobTemplate;
use crate::config::names::Names;
use crate::config::reader::{Mapping, Reader, Schema};
use crate::domain::action::JobType;

pub(super) const TEMPLATE: Schema = Schema {
    what: "a job template",
    keys: &[
        "name",
        "description",
        "playbook",
        "jobType",
        "limit",
        "jobTags",
        "skipTags",
        "extraVars",
        "credentials",
        "promptOnLaunch",
        "survey",
        "allowSimultaneous",
    ],
    unsupported: &[],
    strict: true,
};

const QUESTION: Schema = Schema {
    what: "a question of a survey",
    keys: &["variable", "question", "description", "type", "required", "default", "min", "max", "choices"],
    unsupported: &[],
    strict: true,
};

/// What a rule can send, by its keys in `awxJob`, and what AWX calls the prompt that lets it in.
const PROMPTS: [(&str, &str); 8] = [
    ("limit", "limit"),
    ("extraVars", "variables"),
    ("inventory", "inventory"),
    ("credentials", "credential"),
    ("jobTags", "tags"),
    ("skipTags", "skip_tags"),
    ("labels", "labels"),
    ("jobType", "job_type"),
];

const QUESTIONS: [&str; 7] = ["text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect"];

pub(super) fn read(
    reader: &Reader<'_>,
    entry: &Mapping<'_>,
    names: &mut Names,
    credentials: &Names,
) -> Option<JobTemplate> {
    let name = name(reader, entry, TEMPLATE.what, names);
    let playbook = reader.require(entry, "playbook", TEMPLATE.what).and_then(|node| word(reader, node));
    let job_type = entry.get("jobType").and_then(|node| reader.choice(node, &["run", "check"]));
    let words = PROMPTS.map(|(word, _)| word);
    let prompts = entry.get("promptOnLaunch").map_or(&[][..], |node| reader.list(node, "prompts"));
    let prompts: BTreeSet<_> = prompts
        .iter()
        .filter_map(|node| reader.choice(node, &words))
        .filter_map(|word| PROMPTS.iter().find(|(known, _)| *known == word).map(|(_, prompt)| *prompt))
        .collect();
    let survey = entry.get("survey").map(|_| {
        let mut variables = BTreeSet::new();
        each(reader, entry, "survey", &QUESTION, |question| read_question(reader, question, &mut variables))
    });
    Some(JobTemplate {
        name: name?,
        description: text(reader, entry, "description"),
        playbook: playbook?,
        job_type: if job_type == Some("check") { JobType::Check } else { JobType::Run },
        limit: text(reader, entry, "limit"),
        job_tags: text(reader, entry, "jobTags"),
        skip_tags: text(reader, entry, "skipTags"),
        extra_vars: variables(reader, entry, "extraVars").unwrap_or_default(),
        credentials: entry.get("credentials").map_or_else(Vec::new, |node| credentials.known_list(reader, node)),
        prompts,
        survey,
        allow_simultaneous: flag(reader, entry, "allowSimultaneous"),
    })
}

fn read_question(reader: &Reader<'_>, entry: &Mapping<'_>, variables: &mut BTreeSet<String>) -> Option<Value> {
    let node = reader.require(entry, "variable", QUESTION.what)?;
    let variable = word(reader, node)?;
    if !variables.insert(variable.clone()) {
        reader.error(&node.span, format!("two questions ask for `{variable}`"), "asked twice");
    }
    let kind = entry.get("type").map_or(Some("text"), |node| reader.choice(node, &QUESTIONS))?;
    let question = if entry.get("question").is_some() { text(reader, entry, "question") } else { variable.clone() };
    let mut asked = json!({
        "variable": variable, "question_name": question, "question_description": text(reader, entry, "description"),
        "type": kind, "required": flag(reader, entry, "required"), "default": "",
    });
    if let Some(default) = entry.get("default").and_then(|node| read_value(reader, node)) {
        if kind == "password" {
            let span = entry.key_span("default").unwrap_or(entry.span);
            reader.error(span, "a default password would stand here for everybody to read", "remove it");
        }
        asked["default"] = default;
    }
    for key in ["min", "max"] {
        asked[key] = entry
            .get(key)
            .and_then(|node| reader.integer::<i64>(node, &(-1_000_000_000..=1_000_000_000)))
            .map_or(Value::Null, Value::from);
    }
    let choices = entry.get("choices").map(|node| reader.list(node, "choices"));
    if kind.starts_with("multi") != choices.is_some_and(|choices| !choices.is_empty()) {
        reader.error(
            entry.span,
            "`choices` belong to a multiplechoice or a multiselect, and only to one",
            "see `type`",
        );
    }
    if let Some(choices) = choices {
        asked["choices"] = choices.iter().filter_map(|node| reader.plain(node)).collect();
    }
    Some(asked)
}
