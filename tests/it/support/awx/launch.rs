//! Launching: what is asked for, what is taken, what is dropped without a word but in `ignored_fields`, what is refused.

use std::time::Instant;

use hyper::HeaderMap;
use serde_json::{Map, Value, json};

use super::api::{Answer, Asker};
use super::views;
use super::world::{Job, Template, World};

/// A field of the request and the prompt that lets it in.
const GATES: [(&str, &str); 16] = [
    ("scm_branch", "scm_branch"),
    ("job_tags", "tags"),
    ("diff_mode", "diff_mode"),
    ("skip_tags", "skip_tags"),
    ("job_type", "job_type"),
    ("limit", "limit"),
    ("verbosity", "verbosity"),
    ("inventory", "inventory"),
    ("credentials", "credential"),
    ("execution_environment", "execution_environment"),
    ("labels", "labels"),
    ("forks", "forks"),
    ("job_slice_count", "job_slice_count"),
    ("timeout", "timeout"),
    ("instance_groups", "instance_groups"),
    ("extra_vars", "variables"),
];

fn refuse(field: &str, texts: &[String]) -> Answer {
    Answer::json(400, json!({ field: texts }))
}

/// `POST …/launch/`.
pub fn launch(world: &mut World, asker: &Asker, template: u64, headers: &HeaderMap, body: &[u8]) -> Answer {
    let mut template = world.template(template).cloned().expect("the caller found it");
    if let Some(prompt) = template.fickle {
        template.prompts.remove(prompt);
    }
    if !asker.may_write || !(asker.is_superuser || template.runners.contains(&asker.id)) {
        return Answer::forbidden();
    }
    let wanted = match read(headers, body) {
        Ok(wanted) => wanted,
        Err(answer) => return answer,
    };
    if template.has_no_revision {
        return refuse("playbook", &["Missing a revision to run due to failed project update.".to_owned()]);
    }
    if let Some(answer) = check_types(&wanted) {
        return answer;
    }
    if let Some(answer) = check_objects(world, asker, &wanted) {
        return answer;
    }
    let variables = match variables(wanted.get("extra_vars")) {
        Ok(variables) => variables,
        Err(answer) => return answer,
    };
    if template.is_workflow
        && let Some(answer) = refuse_unprompted(&template, &wanted, &variables)
    {
        return answer;
    }
    let (taken, ignored) = sort(&template, &wanted, variables);
    let problems = survey_problems(&template, &taken.variables);
    if !problems.is_empty() {
        return refuse("variables_needed_to_start", &problems);
    }
    if !template.is_workflow && template.inventory.is_none() && !taken.fields.contains_key("inventory") {
        let text = "Job Template inventory is missing or undefined.".to_owned();
        return refuse("resources_needed_to_start", &[text]);
    }
    let id = make(world, asker, &template, &taken);
    let mut answer = views::job(world, &world.jobs[&id].clone(), &asker.root, true);
    let kind = if template.is_workflow { "workflow_job" } else { "job" };
    answer[kind] = json!(id);
    // Nothing is counted yet, and unlike later the answer does not even say so.
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("host_status_counts");
    }
    answer["ignored_fields"] = Value::Object(ignored);
    let location = answer["url"].as_str().unwrap_or_default().to_owned();
    Answer::json(201, answer).with_location(location)
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Answer> {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    if !kind.starts_with("application/json") {
        return Err(Answer::json(
            415,
            json!({"detail": "You did not use correct Content-Type in your HTTP request. If you are using our REST API, the Content-Type must be application/json"}),
        ));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(wanted)) => Ok(wanted),
        _ => Err(Answer::json(
            400,
            json!({"detail": "JSON parse error - Expecting value: line 1 column 16 (char 15)\nPossible cause: trailing comma."}),
        )),
    }
}

fn check_types(wanted: &Map<String, Value>) -> Option<Answer> {
    let mut problems = Map::new();
    let mut problem = |field: &str, text: String| problems.insert(field.to_owned(), json!([text]));
    for field in ["limit", "job_tags", "skip_tags", "scm_branch"] {
        match wanted.get(field) {
            Some(Value::Null) => drop(problem(field, "This field may not be null.".into())),
            None | Some(Value::String(_)) => {}
            Some(_) => drop(problem(field, "Not a valid string.".into())),
        }
    }
    if let Some(kind) = wanted.get("job_type").filter(|kind| **kind != "run" && **kind != "check") {
        problem("job_type", format!("\"{}\" is not a valid choice.", kind.as_str().unwrap_or_default()));
    }
    if let Some(verbosity) = wanted.get("verbosity").filter(|value| value.as_u64().is_none_or(|value| value > 5)) {
        problem("verbosity", format!("\"{verbosity}\" is not a valid choice."));
    }
    if wanted.get("diff_mode").is_some_and(|value| !value.is_boolean()) {
        problem("diff_mode", "Must be a valid boolean.".into());
    }
    if wanted.get("forks").is_some_and(|value| value.as_u64().is_none()) {
        problem("forks", "Ensure this value is greater than or equal to 0.".into());
    }
    (!problems.is_empty()).then(|| Answer::json(400, Value::Object(problems)))
}

fn check_objects(world: &World, asker: &Asker, wanted: &Map<String, Value>) -> Option<Answer> {
    if let Some(wanted) = wanted.get("inventory") {
        let Some(found) = world.inventories.iter().find(|inventory| Some(inventory.id) == wanted.as_u64()) else {
            return Some(refuse("inventory", &[format!("Invalid pk \"{wanted}\" - object does not exist.")]));
        };
        if !asker.is_superuser && !found.users.contains(&asker.id) {
            return Some(Answer::forbidden());
        }
    }
    for (field, things) in [("credentials", &world.credentials), ("labels", &world.labels)] {
        for wanted in wanted.get(field).and_then(Value::as_array).into_iter().flatten() {
            if !things.iter().any(|thing| Some(thing.id) == wanted.as_u64()) {
                return Some(refuse(field, &[format!("Invalid pk \"{wanted}\" - object does not exist.")]));
            }
        }
    }
    None
}

/// Variables as an object, or as a text of JSON or YAML.
fn variables(wanted: Option<&Value>) -> Result<Map<String, Value>, Answer> {
    match wanted {
        None => Ok(Map::new()),
        Some(Value::Object(variables)) => Ok(variables.clone()),
        Some(Value::String(text)) if text.is_empty() => Ok(Map::new()),
        Some(Value::String(text)) => match serde_yaml::from_str(text) {
            Ok(Value::Object(variables)) => Ok(variables),
            _ => Err(refuse("extra_vars", &[format!("Cannot parse as JSON (error: Expecting value: line 1 column 1 (char 0)) or YAML (error: {text}).")])),
        },
        Some(_) => Err(refuse("extra_vars", &["Cannot parse as JSON (error: the JSON object must be str, bytes or bytearray, not list) or YAML (error: 'list' object has no attribute 'read').".to_owned()])),
    }
}

fn refuse_unprompted(
    template: &Template,
    wanted: &Map<String, Value>,
    variables: &Map<String, Value>,
) -> Option<Answer> {
    let mut problems = Map::new();
    for (field, prompt) in GATES {
        if field != "extra_vars" && wanted.contains_key(field) && !template.prompts.contains(prompt) {
            problems.insert(field.to_owned(), json!(["Field is not configured to prompt on launch."]));
        }
    }
    if !template.prompts.contains("variables") && !variables.is_empty() {
        let names: Vec<&str> = variables.keys().map(String::as_str).collect();
        problems.insert("extra_vars".to_owned(), json!([format!("Variables {} are not allowed on launch. Check the Prompt on Launch setting on the Workflow Job Template to include Extra Variables.", names.join(", "))]));
    }
    (!problems.is_empty()).then(|| Answer::json(400, Value::Object(problems)))
}

/// What a launch takes of what was asked for.
struct Taken {
    fields: Map<String, Value>,
    variables: Map<String, Value>,
}

/// Sorts what was asked for into what the template prompts for and what it drops. Fields nobody knows vanish, and so
/// does what the template says anyway.
fn sort(
    template: &Template,
    wanted: &Map<String, Value>,
    variables: Map<String, Value>,
) -> (Taken, Map<String, Value>) {
    let (mut fields, mut ignored) = (Map::new(), Map::new());
    for (field, prompt) in GATES {
        let Some(value) = wanted.get(field).filter(|_| field != "extra_vars") else { continue };
        if template.prompts.contains(prompt) {
            fields.insert(field.to_owned(), value.clone());
        } else if !(field == "limit" && value.as_str() == Some(&template.limit)) {
            ignored.insert(field.to_owned(), value.clone());
        }
    }
    let declared = |name: &str| template.survey.iter().any(|question| question["variable"] == name);
    let (taken, dropped): (Map<_, _>, Map<_, _>) =
        variables.into_iter().partition(|(name, _)| template.prompts.contains("variables") || declared(name));
    if !dropped.is_empty() {
        ignored.insert("extra_vars".to_owned(), Value::Object(dropped));
    }
    (Taken { fields, variables: taken }, ignored)
}

fn survey_problems(template: &Template, given: &Map<String, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    for question in &template.survey {
        let name = question["variable"].as_str().unwrap_or_default();
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let Some(value) = given.get(name) else {
            if question["required"] == true {
                problems.push(format!("'{name}' value missing"));
            }
            continue;
        };
        match question["type"].as_str() {
            Some("multiplechoice")
                if !question["choices"].as_array().is_some_and(|choices| choices.contains(value)) =>
            {
                let choices: Vec<_> = question["choices"].as_array().into_iter().flatten().map(shown).collect();
                problems.push(format!(
                    "Value {} for '{name}' expected to be one of ['{}'].",
                    shown(value),
                    choices.join("', '")
                ));
            }
            Some("integer") if !value.is_i64() => {
                problems.push(format!("Value {} for '{name}' expected to be an integer.", shown(value)));
            }
            Some("integer") if value.as_i64() > question["max"].as_i64() => {
                problems
                    .push(format!("'{name}' value {value} is too large (must be no more than {}).", question["max"]));
            }
            Some("text")
                if value
                    .as_str()
                    .is_some_and(|text| text.len() as u64 > question["max"].as_u64().unwrap_or(u64::MAX)) =>
            {
                problems.push(format!(
                    "'{name}' value {} is too large (must be no more than {}).",
                    shown(value),
                    question["max"]
                ));
            }
            _ => {}
        }
    }
    problems
}

fn make(world: &mut World, asker: &Asker, template: &Template, taken: &Taken) -> u64 {
    let id = world.next_job;
    world.next_job += 1;
    let text =
        |field: &str, default: &str| taken.fields.get(field).and_then(Value::as_str).unwrap_or(default).to_owned();
    let ids = |field: &str| -> Vec<u64> {
        taken.fields.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64).collect()
    };
    let mut extra_vars = template.variables.clone();
    for question in template.survey.iter().filter(|question| question["required"] == false) {
        extra_vars.insert(question["variable"].as_str().unwrap_or_default().to_owned(), question["default"].clone());
    }
    extra_vars.extend(taken.variables.clone());
    for question in template.survey.iter().filter(|question| question["type"] == "password") {
        let name = question["variable"].as_str().unwrap_or_default();
        if extra_vars.get(name).is_some_and(|value| *value != "") {
            extra_vars.insert(name.to_owned(), json!("$encrypted$"));
        }
    }
    let job = Job {
        id,
        template: template.id,
        is_workflow: template.is_workflow,
        creator: asker.id,
        limit: text("limit", &template.limit),
        extra_vars,
        job_tags: text("job_tags", ""),
        skip_tags: text("skip_tags", ""),
        job_type: text("job_type", "run"),
        verbosity: taken.fields.get("verbosity").and_then(Value::as_u64).unwrap_or(0),
        inventory: taken.fields.get("inventory").and_then(Value::as_u64).or(template.inventory),
        credentials: ids("credentials"),
        labels: ids("labels"),
        status: "pending",
        explanation: String::new(),
        created: Instant::now(),
        created_at: autoheal::clock::Clock::now(&autoheal::clock::SystemClock),
        started: None,
        ended: None,
        cancel_asked: None,
        events_stored: false,
    };
    world.jobs.insert(id, job);
    id
}
