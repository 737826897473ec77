//! Objects as the API shows them. What is left out here of a real server's answer is what nobody of us reads; a test sees
//! to it that nothing is made up.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::api::Asker;
use super::seed::PROMPTS;
use super::world::{Job, Play, Template, Thing, World};

fn name_of(things: &[Thing], id: Option<u64>) -> Option<Value> {
    let thing = things.iter().find(|thing| Some(thing.id) == id)?;
    Some(json!({"id": thing.id, "name": thing.name, "description": ""}))
}

fn summary(pairs: Vec<(&str, Option<Value>)>) -> Value {
    Value::Object(pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
}

fn is_prompted(template: &Template, prompt: &str) -> bool {
    template.prompts.contains(prompt)
}

/// An organization, a project, an inventory, a credential or a label.
pub fn thing(world: &World, folder: &str, id: u64) -> Value {
    let (things, kind) = match folder {
        "organizations" => (&world.organizations, "organization"),
        "projects" => (&world.projects, "project"),
        "inventories" => (&world.inventories, "inventory"),
        "credentials" => (&world.credentials, "credential"),
        _ => (&world.labels, "label"),
    };
    let Some(thing) = things.iter().find(|thing| thing.id == id) else { return Value::Null };
    let organization = world.organizations.iter().find(|found| found.id == thing.organization);
    let mut row = json!({
        "id": thing.id, "type": kind, "name": thing.name, "organization": thing.organization,
        "summary_fields": {"organization": organization.map(|found| json!({"id": found.id, "name": found.name}))},
    });
    for (field, value) in super::build::extra(world, folder, id) {
        row[field] = value;
    }
    row
}

/// A template in a list or alone.
pub fn template(world: &World, template: &Template, asker: &Asker) -> Value {
    let folder = if template.is_workflow { "workflow_job_templates" } else { "job_templates" };
    let kind = if template.is_workflow { "workflow_job_template" } else { "job_template" };
    let start = asker.is_superuser || template.runners.contains(&asker.id);
    let mut view = json!({
        "id": template.id, "type": kind, "url": format!("{}{folder}/{}/", asker.root, template.id),
        "name": template.name, "description": "", "organization": template.organization, "limit": template.limit,
        "summary_fields": summary(vec![
            ("organization", name_of(&world.organizations, Some(template.organization))),
            ("project", name_of(&world.projects, template.project)),
            ("inventory", name_of(&world.inventories, template.inventory)),
            ("user_capabilities", Some(json!({"edit": asker.is_superuser, "delete": asker.is_superuser, "start": start}))),
        ]),
        "survey_enabled": !template.survey.is_empty(), "allow_simultaneous": template.allow_simultaneous,
    });
    if template.is_workflow {
        view["limit"] = Value::Null;
    } else {
        view["job_type"] = json!("run");
        view["project"] = json!(template.project);
        view["playbook"] = json!(template.playbook);
        view["inventory"] = json!(template.inventory);
        let variables = &template.variables;
        view["extra_vars"] = if variables.is_empty() { json!("") } else { json!(json!(variables).to_string()) };
        let own = world.grounds.fields.get(&("job_templates", template.id));
        for field in ["description", "job_type", "job_tags", "skip_tags", "survey_enabled"] {
            if let Some(value) = own.and_then(|own| own.get(field)) {
                view[field] = value.clone();
            } else if field.ends_with("_tags") {
                view[field] = json!("");
            }
        }
    }
    for prompt in prompts(template) {
        view[format!("ask_{prompt}_on_launch")] = json!(is_prompted(template, prompt));
    }
    view
}

/// What a template of its kind can prompt for.
fn prompts(template: &Template) -> Vec<&'static str> {
    let of_workflows = ["inventory", "limit", "scm_branch", "variables", "labels", "skip_tags", "tags"];
    if template.is_workflow { of_workflows.to_vec() } else { PROMPTS.to_vec() }
}

/// `GET …/launch/`.
pub fn preflight(world: &World, template: &Template) -> Value {
    let required = |question: &&Value| question["required"] == true && question["default"] == "";
    let needed: Vec<_> = template.survey.iter().filter(required).map(|question| question["variable"].clone()).collect();
    let inventory = name_of(&world.inventories, template.inventory);
    let inventory =
        inventory.map_or(json!({"name": null, "id": null}), |found| json!({"name": found["name"], "id": found["id"]}));
    let data = json!({"name": template.name, "id": template.id, "description": ""});
    let variables = if template.variables.is_empty() {
        String::new()
    } else {
        Value::Object(template.variables.clone()).to_string()
    };
    let mut view = Map::new();
    for prompt in prompts(template) {
        view.insert(format!("ask_{prompt}_on_launch"), json!(is_prompted(template, prompt)));
    }
    view.insert("survey_enabled".into(), json!(!template.survey.is_empty()));
    view.insert("variables_needed_to_start".into(), json!(needed));
    let plain = needed.is_empty() && template.passwords.is_empty();
    if template.is_workflow {
        view.insert("can_start_without_user_input".into(), json!(plain));
        view.insert("workflow_job_template_data".into(), data);
        view.insert("node_templates_missing".into(), json!(template.missing_nodes));
        view.insert("node_prompts_rejected".into(), json!([]));
        view.insert("defaults".into(), json!({"inventory": inventory, "limit": null, "scm_branch": null, "job_tags": null, "skip_tags": null, "extra_vars": variables}));
    } else {
        let starts = plain && template.prompts.is_empty() && template.inventory.is_some();
        view.insert("can_start_without_user_input".into(), json!(starts));
        view.insert("passwords_needed_to_start".into(), json!(template.passwords));
        view.insert("credential_needed_to_start".into(), json!(false));
        view.insert("inventory_needed_to_start".into(), json!(template.inventory.is_none()));
        view.insert("job_template_data".into(), data);
        view.insert("defaults".into(), json!({
            "inventory": inventory, "limit": template.limit, "scm_branch": "", "job_tags": "", "skip_tags": "",
            "extra_vars": variables, "diff_mode": false, "job_type": "run", "verbosity": 0, "execution_environment": {},
            "forks": 0, "job_slice_count": 1, "timeout": 0, "instance_groups": [],
        }));
    }
    Value::Object(view)
}

/// A job, alone (`detail`) or in a list, which knows less of it.
pub fn job(world: &World, job: &Job, root: &str, detail: bool) -> Value {
    let template = world.template(job.template).expect("jobs keep their templates");
    let creator = world.user(job.creator);
    let (kind, folder) = if job.is_workflow { ("workflow_job", "workflow_jobs") } else { ("job", "jobs") };
    let labels: Vec<Value> = job
        .labels
        .iter()
        .filter_map(|id| world.labels.iter().find(|label| label.id == *id))
        .map(|label| json!({"id": label.id, "name": label.name}))
        .collect();
    let at = |moment: Option<std::time::Instant>| {
        moment.map(|moment| (job.created_at + moment.duration_since(job.created)).to_string())
    };
    let failed = matches!(job.status, "failed" | "error" | "canceled");
    let elapsed = match (job.started, job.ended) {
        (Some(started), Some(ended)) => ended.duration_since(started).as_secs_f64(),
        _ => 0.0,
    };
    let mut view = json!({
        "id": job.id, "type": kind, "url": format!("{root}{folder}/{}/", job.id), "name": template.name,
        "created": job.created_at.to_string(), "started": at(job.started), "finished": at(job.ended),
        "canceled_on": at(job.cancel_asked), "elapsed": elapsed, "status": job.status, "failed": failed,
        "job_explanation": job.explanation, "launch_type": "manual", "unified_job_template": template.id,
        "limit": job.limit, "extra_vars": Value::Object(job.extra_vars.clone()).to_string(),
        "job_tags": job.job_tags, "skip_tags": job.skip_tags,
        "launched_by": {"id": creator.id, "name": creator.name, "type": "user", "url": format!("{root}users/{}/", creator.id)},
        "summary_fields": summary(vec![
            ("organization", name_of(&world.organizations, Some(template.organization))),
            ("project", name_of(&world.projects, template.project)),
            ("inventory", name_of(&world.inventories, job.inventory)),
            ("unified_job_template", Some(json!({"id": template.id, "name": template.name, "description": "", "unified_job_type": kind}))),
            ("created_by", Some(json!({"id": creator.id, "username": creator.name, "first_name": "", "last_name": ""}))),
            ("labels", Some(json!({"count": labels.len(), "results": labels}))),
            ("credentials", (!job.is_workflow).then(|| json!(job.credentials.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()))),
        ]),
    });
    if job.is_workflow {
        view["skip_tags"] = json!(null);
        view["job_tags"] = json!(null);
        view["limit"] = json!(null);
        if detail {
            view["result_traceback"] = json!("");
        }
    } else {
        view["job_type"] = json!(job.job_type);
        view["verbosity"] = json!(job.verbosity);
        view["inventory"] = json!(job.inventory);
        view["job_template"] = json!(template.id);
        view["playbook"] = json!(template.playbook);
        if detail {
            add_details(world, job, &mut view);
        }
    }
    view
}

/// The nodes of a workflow's run, each with the job it launched.
pub fn nodes(world: &World, job: &Job) -> Vec<Value> {
    let fails = world.template(job.template).is_some_and(|template| template.play == Play::NodeFails);
    let row = |(index, name): (u64, &str)| {
        let (failed, id) = (fails && index == 1, job.id * 100 + index);
        let status = if failed { "failed" } else { "successful" };
        json!({
            "id": id, "type": "workflow_job_node", "workflow_job": job.id, "do_not_run": false,
            "summary_fields": {"job": {"id": id, "name": name, "description": "", "status": status, "failed": failed, "type": "job"}},
        })
    };
    [(0, "Restart service"), (1, "Fails on web2")].map(row).to_vec()
}

fn add_details(world: &World, job: &Job, view: &mut Value) {
    let traceback = if job.status == "error" {
        "Traceback (most recent call last):\n  File \"run.py\"\nOSError: no such project\n"
    } else {
        ""
    };
    view["result_traceback"] = json!(traceback);
    view["event_processing_finished"] = json!(job.events_stored);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in world.summaries(job) {
        let fate = ["dark", "failures", "changed", "ok"].into_iter().find(|fate| row[fate] != 0).unwrap_or("skipped");
        *counts.entry(fate).or_default() += 1;
    }
    // Without a recap, which a run that could not begin or was stopped never writes, there are none.
    let has_recap = job.events_stored && (job.status == "successful" || !counts.is_empty());
    view["host_status_counts"] = if has_recap { json!(counts) } else { Value::Null };
}
