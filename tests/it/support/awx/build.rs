//! Making and changing things: who may, what is checked, what is answered. Organizations, projects with their
//! synchronisation, inventories with hosts and groups, credentials with masked secrets, job templates with surveys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::api::{Answer, Asker};
use super::seed::PROMPTS;
use super::world::{Play, Template, Thing, World};
use super::{lists, views};

/// What is known besides the things that launches need.
#[derive(Default)]
pub struct Grounds {
    /// Who may do anything within which organization: (organization, user).
    pub admins: BTreeSet<(u64, u64)>,
    /// Fields of things beyond their names: by folder and number.
    pub fields: BTreeMap<(&'static str, u64), Map<String, Value>>,
    /// Credentials of templates.
    pub of_templates: BTreeMap<u64, BTreeSet<u64>>,
    /// Hosts and groups: number, inventory, name.
    pub hosts: Vec<(u64, u64, String)>,
    pub groups: Vec<(u64, u64, String)>,
    /// Hosts of groups.
    pub members: BTreeSet<(u64, u64)>,
    /// When a project's synchronisation began.
    pub syncs: BTreeMap<u64, Instant>,
    /// How long one takes; `None` for ever.
    pub sync_takes: Option<Duration>,
    /// Repositories that cannot be read.
    pub broken_urls: BTreeSet<String>,
}

/// The playbooks of every repository.
const PLAYBOOKS: [&str; 4] = ["restart.yml", "slow.yml", "fail.yml", "site.yml"];

const TYPES: [(u64, &str, &[&str]); 2] = [
    (1, "Machine", &["password", "ssh_key_data", "ssh_key_unlock", "become_password"]),
    (2, "Source Control", &["password", "ssh_key_data"]),
];

fn refuse(field: &str, text: &str) -> Answer {
    Answer::json(400, json!({ field: [text] }))
}

fn duplicate(model: &str, fields: &str) -> Answer {
    refuse("__all__", &format!("{model} with this ({fields}) combination already exists."))
}

fn missing() -> Answer {
    Answer::json(404, json!({"detail": "The requested resource could not be found."}))
}

fn may_in(world: &World, asker: &Asker, organization: u64) -> bool {
    asker.may_write && (asker.is_superuser || world.grounds.admins.contains(&(organization, asker.id)))
}

fn list_of<'w>(world: &'w mut World, folder: &str) -> (&'static str, &'w mut Vec<Thing>) {
    match folder {
        "organizations" => ("organizations", &mut world.organizations),
        "projects" => ("projects", &mut world.projects),
        "inventories" => ("inventories", &mut world.inventories),
        "labels" => ("labels", &mut world.labels),
        _ => ("credentials", &mut world.credentials),
    }
}

/// What a thing shows besides its name and organization.
pub fn extra(world: &World, folder: &str, id: u64) -> Map<String, Value> {
    let found = world.grounds.fields.iter().find(|((kind, number), _)| *kind == folder && *number == id);
    let mut fields = found.map(|(_, fields)| fields.clone()).unwrap_or_default();
    if folder == "projects" {
        fields.entry("scm_type").or_insert(json!(""));
        let (status, revision) = sync_status(world, id, &fields);
        fields.insert("status".into(), json!(status));
        fields.insert("scm_revision".into(), json!(revision));
    }
    if folder == "credentials"
        && let Some(Value::Object(inputs)) = fields.get_mut("inputs")
    {
        let secret: Vec<&str> = TYPES.iter().flat_map(|(_, _, secret)| secret.iter().copied()).collect();
        for (name, value) in inputs {
            if secret.contains(&name.as_str()) {
                *value = json!("$encrypted$");
            }
        }
    }
    fields
}

fn sync_status(world: &World, id: u64, fields: &Map<String, Value>) -> (&'static str, &'static str) {
    if fields["scm_type"] == "" {
        return ("ok", "");
    }
    let Some(began) = world.grounds.syncs.get(&id) else { return ("never updated", "") };
    let takes = world.grounds.sync_takes.unwrap_or(Duration::MAX);
    match began.elapsed() {
        passed if passed < takes / 2 => ("pending", ""),
        passed if passed < takes => ("running", ""),
        _ if world.grounds.broken_urls.contains(fields["scm_url"].as_str().unwrap_or_default()) => ("failed", ""),
        _ => ("successful", "1f3870be274f6c49b3e31a0c6728957f"),
    }
}

/// `POST` to a list of things.
pub fn make(world: &mut World, asker: &Asker, folder: &str, body: &[u8]) -> Answer {
    let Ok(Value::Object(wanted)) = serde_json::from_slice(body) else {
        return Answer::json(400, json!({"detail": "JSON parse error"}));
    };
    let Some(name) = wanted.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned)
    else {
        return refuse("name", "This field is required.");
    };
    let organization = wanted.get("organization").and_then(Value::as_u64);
    let allowed = match (folder, organization) {
        // Only a system administrator makes organizations.
        ("organizations", _) => asker.may_write && asker.is_superuser,
        // Any member makes labels.
        ("labels", Some(organization)) => {
            let home = world.organizations.iter().find(|found| found.id == organization);
            asker.may_write && home.is_some_and(|home| asker.is_superuser || home.users.contains(&asker.id))
        }
        (_, Some(organization)) => may_in(world, asker, organization),
        (_, None) => asker.is_superuser,
    };
    if !allowed {
        return Answer::forbidden();
    }
    if folder == "credentials"
        && !TYPES.iter().any(|(id, _, _)| Some(*id) == wanted.get("credential_type").and_then(Value::as_u64))
    {
        return refuse("credential_type", "This field is required.");
    }
    let (folder, things) = list_of(world, folder);
    let id = things.iter().map(|thing| thing.id).max().unwrap_or(0) + 1;
    let organization = organization.unwrap_or(id);
    if things
        .iter()
        .any(|thing| thing.name == name && (folder == "organizations" || thing.organization == organization))
    {
        return match folder {
            "organizations" => refuse("name", "Organization with this Name already exists."),
            "projects" => duplicate("Project", "name, organization"),
            "inventories" => duplicate("Inventory", "name, organization"),
            "labels" => duplicate("Label", "name, organization"),
            _ => duplicate("Credential", "organization, name, credential_type"),
        };
    }
    things.push(Thing { id, name, organization, users: BTreeSet::from([asker.id]) });
    world.grounds.fields.insert((folder, id), wanted);
    if folder == "projects" {
        world.grounds.syncs.insert(id, Instant::now());
    }
    shown(world, asker, folder, id, 201)
}

fn shown(world: &World, asker: &Asker, folder: &'static str, id: u64, status: u16) -> Answer {
    let row = views::thing(world, folder, id);
    Answer::json(status, row).with_location(format!("{}{folder}/{id}/", asker.root))
}

/// One thing, or something below it.
pub fn one(world: &mut World, asker: &Asker, method: &str, path: &[&str], query: &str, body: &[u8]) -> Answer {
    let [folder, id, rest @ ..] = path else { return missing() };
    let Ok(id) = id.parse::<u64>() else { return missing() };
    let (folder, things) = list_of(world, folder);
    let Some(thing) = things.iter().find(|thing| thing.id == id).cloned() else { return missing() };
    let sees = asker.is_superuser || thing.users.contains(&asker.id);
    let may = may_in(world, asker, thing.organization);
    match (method, rest) {
        _ if !sees && !may => Answer::forbidden(),
        ("GET", []) => shown(world, asker, folder, id, 200),
        ("PATCH" | "POST", _) if !may => Answer::forbidden(),
        ("PATCH", []) => {
            let Ok(Value::Object(changes)) = serde_json::from_slice(body) else { return missing() };
            let again = folder == "projects"
                && changes.keys().any(|key| ["scm_url", "scm_branch", "scm_type"].contains(&key.as_str()));
            world.grounds.fields.entry((folder, id)).or_default().extend(changes);
            if again {
                world.grounds.syncs.insert(id, Instant::now());
            }
            shown(world, asker, folder, id, 200)
        }
        ("POST", ["update"]) if folder == "projects" => {
            world.grounds.syncs.insert(id, Instant::now());
            Answer::json(202, json!({"project_update": 77, "id": 77, "type": "project_update", "status": "pending"}))
        }
        (_, [kind @ ("hosts" | "groups")]) if folder == "inventories" => {
            parts(world, asker, method, id, kind, query, body)
        }
        _ => missing(),
    }
}

fn part_row(world: &World, kind: &'static str, id: u64, inventory: u64, name: &str) -> Value {
    let variables = world.grounds.fields.get(&(kind, id)).and_then(|fields| fields.get("variables")).cloned();
    json!({
        "id": id, "type": kind.trim_end_matches('s'), "name": name, "inventory": inventory,
        "variables": variables.unwrap_or(json!("")),
    })
}

fn parts(
    world: &mut World,
    asker: &Asker,
    method: &str,
    inventory: u64,
    kind: &str,
    query: &str,
    body: &[u8],
) -> Answer {
    let kind: &'static str = if kind == "hosts" { "hosts" } else { "groups" };
    let all = if kind == "hosts" { &world.grounds.hosts } else { &world.grounds.groups };
    if method == "GET" {
        let here = all.iter().filter(|(_, home, _)| *home == inventory);
        let rows = here.map(|(id, home, name)| part_row(world, kind, *id, *home, name)).collect();
        return lists::answer(asker, &format!("inventories/{inventory}/{kind}/"), query, "Host", rows);
    }
    let Ok(Value::Object(wanted)) = serde_json::from_slice::<Value>(body) else { return missing() };
    let name = wanted.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if all.iter().any(|(_, home, known)| *home == inventory && *known == name) {
        let model = if kind == "hosts" { "Host" } else { "Group" };
        return duplicate(model, "name, inventory");
    }
    if wanted.get("variables").is_some_and(|variables| !variables.is_string()) {
        return refuse("variables", "Not a valid string.");
    }
    let id = all.iter().map(|(id, _, _)| *id).max().unwrap_or(0) + 1;
    let all = if kind == "hosts" { &mut world.grounds.hosts } else { &mut world.grounds.groups };
    all.push((id, inventory, name.clone()));
    world.grounds.fields.insert((kind, id), wanted);
    Answer::json(201, part_row(world, kind, id, inventory, &name))
}

/// A host or a group by its number, and the hosts of a group.
pub fn part(world: &mut World, asker: &Asker, method: &str, path: &[&str], query: &str, body: &[u8]) -> Answer {
    let [kind, id, rest @ ..] = path else { return missing() };
    let kind: &'static str = if *kind == "hosts" { "hosts" } else { "groups" };
    let all = if kind == "hosts" { &world.grounds.hosts } else { &world.grounds.groups };
    let Some((id, inventory, name)) = all.iter().find(|(number, _, _)| number.to_string() == *id).cloned() else {
        return missing();
    };
    let organization =
        world.inventories.iter().find(|found| found.id == inventory).map_or(0, |found| found.organization);
    if !may_in(world, asker, organization) {
        return Answer::forbidden();
    }
    let changes = serde_json::from_slice::<Map<String, Value>>(body).unwrap_or_default();
    match (method, rest) {
        ("PATCH", []) => {
            world.grounds.fields.entry((kind, id)).or_default().extend(changes);
            Answer::json(200, part_row(world, kind, id, inventory, &name))
        }
        ("GET", ["hosts"]) => {
            let members =
                world.grounds.hosts.iter().filter(|(host, _, _)| world.grounds.members.contains(&(id, *host)));
            let rows = members.map(|(host, home, name)| part_row(world, "hosts", *host, *home, name)).collect();
            lists::answer(asker, &format!("groups/{id}/hosts/"), query, "Host", rows)
        }
        ("POST", ["hosts"]) => {
            let Some(host) = changes.get("id").and_then(Value::as_u64) else { return missing() };
            world.grounds.members.insert((id, host));
            Answer::empty(204)
        }
        _ => missing(),
    }
}

/// `GET …/credential_types/`.
pub fn types(asker: &Asker, query: &str) -> Answer {
    let row = |(id, name, _): &(u64, &str, &[&str])| json!({"id": id, "type": "credential_type", "name": name});
    lists::answer(asker, "credential_types/", query, "CredentialType", TYPES.iter().map(row).collect())
}

/// `POST` to the list of job templates.
pub fn template(world: &mut World, asker: &Asker, body: &[u8]) -> Answer {
    let Ok(Value::Object(wanted)) = serde_json::from_slice(body) else { return missing() };
    let project = wanted.get("project").and_then(Value::as_u64);
    let Some(organization) =
        world.projects.iter().find(|found| Some(found.id) == project).map(|found| found.organization)
    else {
        return refuse("project", "This field is required.");
    };
    if !may_in(world, asker, organization) {
        return Answer::forbidden();
    }
    let name = wanted.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = |template: &Template| template.name == name && template.organization == organization;
    if world.templates.iter().any(|template| !template.is_workflow && known(template)) {
        return duplicate("JobTemplate", "name, organization");
    }
    let template = Template {
        id: world.templates.iter().map(|template| template.id).max().unwrap_or(0) + 1,
        name,
        is_workflow: false,
        organization,
        project,
        inventory: None,
        playbook: String::new(),
        prompts: BTreeSet::new(),
        survey: Vec::new(),
        limit: String::new(),
        variables: Map::new(),
        passwords: Vec::new(),
        missing_nodes: Vec::new(),
        allow_simultaneous: false,
        runners: BTreeSet::from([asker.id]),
        readers: BTreeSet::new(),
        play: Play::Good,
        runs_for: None,
        fickle: None,
        has_no_revision: false,
    };
    let id = template.id;
    match changed(world, template, &wanted) {
        Err(answer) => answer,
        Ok(template) => {
            world.templates.push(template.clone());
            world.grounds.fields.insert(("job_templates", id), wanted);
            Answer::json(201, views::template(world, &template, asker))
                .with_location(format!("{}job_templates/{id}/", asker.root))
        }
    }
}

/// A template with other fields, if they go together.
fn changed(world: &World, mut template: Template, wanted: &Map<String, Value>) -> Result<Template, Answer> {
    for (field, value) in wanted {
        let text = value.as_str().unwrap_or_default().to_owned();
        match field.as_str() {
            "playbook" => template.playbook = text,
            "limit" => template.limit = text,
            "inventory" => template.inventory = value.as_u64(),
            "project" => template.project = value.as_u64(),
            "allow_simultaneous" => template.allow_simultaneous = value == true,
            "extra_vars" => match serde_yaml::from_str(&text) {
                Ok(Value::Object(variables)) => template.variables = variables,
                Ok(Value::Null) => template.variables = Map::new(),
                _ => return Err(refuse("extra_vars", "Cannot parse as JSON or YAML.")),
            },
            _ => {
                if let Some(prompt) = PROMPTS.iter().find(|prompt| field == &format!("ask_{prompt}_on_launch")) {
                    if value == true {
                        template.prompts.insert((*prompt).to_owned());
                    } else {
                        template.prompts.remove(*prompt);
                    }
                }
            }
        }
    }
    let project = template.project.unwrap_or_default();
    let fields = extra(world, "projects", project);
    let is_synchronised = matches!(fields["status"].as_str(), Some("ok" | "successful"));
    if !is_synchronised || !PLAYBOOKS.contains(&template.playbook.as_str()) {
        return Err(refuse("playbook", "Playbook not found for project."));
    }
    if template.inventory.is_none() && !template.prompts.contains("inventory") {
        return Err(refuse("inventory", "You must either set a default value or ask to prompt on launch."));
    }
    Ok(template)
}

/// Changes a template, its credentials or its survey.
pub fn change(
    world: &mut World,
    asker: &Asker,
    method: &str,
    template: &Template,
    rest: &[&str],
    query: &str,
    body: &[u8],
) -> Answer {
    let id = template.id;
    if method == "GET" {
        let none = BTreeSet::new();
        let used = world.grounds.of_templates.get(&id).unwrap_or(&none);
        let rows = used.iter().map(|credential| views::thing(world, "credentials", *credential)).collect();
        return lists::answer(asker, &format!("job_templates/{id}/credentials/"), query, "Credential", rows);
    }
    if !may_in(world, asker, template.organization) {
        return Answer::forbidden();
    }
    let wanted = serde_json::from_slice::<Map<String, Value>>(body).unwrap_or_default();
    match (method, rest) {
        ("PATCH", []) => match changed(world, template.clone(), &wanted) {
            Err(answer) => answer,
            Ok(template) => {
                world.grounds.fields.entry(("job_templates", id)).or_default().extend(wanted);
                let answer = Answer::json(200, views::template(world, &template, asker));
                world.templates.retain(|known| known.id != id);
                world.templates.push(template);
                answer
            }
        },
        ("POST", ["credentials"]) => {
            let Some(credential) = wanted.get("id").and_then(Value::as_u64) else { return missing() };
            world.grounds.of_templates.entry(id).or_default().insert(credential);
            Answer::empty(204)
        }
        ("POST", ["survey_spec"]) => {
            let Some(spec) = wanted.get("spec").and_then(Value::as_array).cloned() else {
                return Answer::json(400, json!({"error": "'spec' missing from survey spec."}));
            };
            let needed = ["type", "question_name", "variable", "required"];
            for (index, question) in spec.iter().enumerate() {
                if let Some(field) = needed.iter().find(|field| question[**field].is_null()) {
                    return Answer::json(
                        400,
                        json!({"error": format!("'{field}' missing from survey question {index}.")}),
                    );
                }
            }
            if let Some(known) = world.templates.iter_mut().find(|known| known.id == id) {
                known.survey = spec;
            }
            Answer::empty(200)
        }
        _ => missing(),
    }
}
