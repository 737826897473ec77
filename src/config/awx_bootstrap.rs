//! A file for `autoheal awx bootstrap`: what an AWX should have so that rules can launch.

mod template;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::load::{LoadOptions, read_secrets};
use super::names::Names;
use super::reader::{Mapping, Reader, Schema};
use super::yaml::{Kind, Node};
use super::{documents, suggest};
use crate::action::awx::{AwxServer, AwxWanted, Content, Credential, Group, Host, Input, Inventory, Project, Source};

const FILE: Schema = Schema {
    what: "a file for `awx bootstrap`",
    keys: &["server", "organization", "credentials", "project", "inventory", "jobTemplates"],
    unsupported: &[],
    strict: true,
};
const CREDENTIAL: Schema =
    Schema { what: "a credential", keys: &["name", "type", "inputs"], unsupported: &[], strict: true };
const PROJECT: Schema = Schema {
    what: "`project`",
    keys: &["name", "scmUrl", "scmBranch", "credential", "updateOnLaunch", "syncTimeout"],
    unsupported: &[],
    strict: true,
};
const INVENTORY: Schema =
    Schema { what: "`inventory`", keys: &["name", "hosts", "groups"], unsupported: &[], strict: true };
const HOST: Schema = Schema { what: "a host", keys: &["name", "variables"], unsupported: &[], strict: true };
const GROUP: Schema = Schema { what: "a group", keys: &["name", "hosts", "variables"], unsupported: &[], strict: true };
/// Inputs of credentials that say where and who, and are no secrets. Every other one must come from the secrets file.
const HARMLESS: [&str; 12] = [
    "username",
    "become_method",
    "become_username",
    "host",
    "url",
    "domain",
    "project",
    "tenant",
    "subscription",
    "vault_id",
    "ssh_public_key_data",
    "verify_ssl",
];

/// More than this many hosts come from an inventory source, not from a file somebody keeps by hand.
const MAX_HOSTS: usize = 1000;
const SYNC_TIMEOUT: Duration = Duration::from_mins(5);
const SYNC_TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);

/// Reads one file; secrets come from where the options say, servers from the configuration.
///
/// # Errors
/// Every problem of the file, when at least one is an error.
pub fn read_awx_bootstrap(
    path: PathBuf,
    options: &LoadOptions,
    servers: &[AwxServer],
) -> Result<(AwxWanted, Diagnostics), Diagnostics> {
    let (problems, sources) = (RefCell::new(Diagnostics::default()), RefCell::default());
    let secrets = read_secrets(options, &problems, &sources);
    let name = path.display().to_string();
    let document = documents::read_all(vec![(options.working_dir.join(path), name)]).pop();
    let wanted = match document {
        None => None,
        Some(Err(problem)) => {
            problems.borrow_mut().push(problem);
            None
        }
        Some(Ok((file, root))) => {
            let reader = Reader::new(&file, secrets.as_ref(), &problems, &sources);
            reader.mapping(&root, &FILE).and_then(|top| read(&reader, &top, servers))
        }
    };
    let mut problems = problems.into_inner();
    problems.sort();
    match wanted {
        Some(wanted) if !problems.has_errors() => Ok((wanted, problems)),
        _ => Err(problems),
    }
}

fn read(reader: &Reader<'_>, top: &Mapping<'_>, servers: &[AwxServer]) -> Option<AwxWanted> {
    let server = read_server(reader, top, servers);
    let organization = reader.require(top, "organization", FILE.what).and_then(|node| word(reader, node));
    let mut names = Names::new("credential");
    let credentials = each(reader, top, "credentials", &CREDENTIAL, |entry| read_credential(reader, entry, &mut names));
    let project = top.get("project").map(|node| read_project(reader, &reader.mapping(node, &PROJECT)?, &names));
    let inventory = top.get("inventory").map(|node| read_inventory(reader, &reader.mapping(node, &INVENTORY)?));
    let mut template_names = Names::new("job template");
    let templates = each(reader, top, "jobTemplates", &template::TEMPLATE, |entry| {
        template::read(reader, entry, &mut template_names, &names)
    });
    if let (Some(span), None) = (top.key_span("jobTemplates"), &project) {
        reader.error(span, "job templates need `project`, where their playbooks are", "no project is named");
    }
    if let (Some(span), None) = (top.key_span("jobTemplates"), &inventory)
        && templates.iter().any(|template| !template.prompts.contains("inventory"))
    {
        reader.error(span, "job templates need `inventory`, or ask for one on launch", "no inventory is named");
    }
    Some(AwxWanted {
        server: server?,
        organization: organization?,
        project: project.flatten(),
        inventory: inventory.flatten(),
        credentials,
        templates,
    })
}

fn read_server(reader: &Reader<'_>, top: &Mapping<'_>, servers: &[AwxServer]) -> Option<String> {
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    if let Some(node) = top.get("server") {
        let name = reader.word(node, "`server`")?;
        if !names.contains(&name) {
            let help = suggest::help(name, names.iter().copied(), "known AWX servers");
            let message = format!("there is no AWX server `{name}`");
            reader.error_with_help(&node.span, message, "unknown AWX server", Some(help));
            return None;
        }
        return Some(name.to_owned());
    }
    if let [only] = names.as_slice() {
        return Some((*only).to_owned());
    }
    let problem = if names.is_empty() {
        Diagnostic::error("no AWX server is configured").help("add `awx: {address: …, token: …}` to the configuration")
    } else {
        Diagnostic::error("`server` may be left out only when there is exactly one AWX server")
            .help(format!("known AWX servers: {}", names.join(", ")))
    };
    reader.problems.borrow_mut().push(Diagnostic { place: Some(reader.place(top.span)), ..problem });
    None
}

/// The entries of a list of mappings.
fn each<T>(
    reader: &Reader<'_>,
    mapping: &Mapping<'_>,
    key: &str,
    schema: &Schema,
    mut read: impl FnMut(&Mapping<'_>) -> Option<T>,
) -> Vec<T> {
    let list = mapping.get(key).map_or(&[][..], |node| reader.list(node, key));
    list.iter().filter_map(|node| read(&reader.mapping(node, schema)?)).collect()
}

fn word(reader: &Reader<'_>, node: &Node) -> Option<String> {
    reader.word(node, "this value").map(str::to_owned)
}

fn name(reader: &Reader<'_>, entry: &Mapping<'_>, what: &str, names: &mut Names) -> Option<String> {
    reader.require(entry, "name", what).and_then(|node| names.claim(reader, node))
}

fn text(reader: &Reader<'_>, entry: &Mapping<'_>, key: &str) -> String {
    entry.get(key).and_then(|node| reader.plain(node)).unwrap_or_default().to_owned()
}

fn flag(reader: &Reader<'_>, entry: &Mapping<'_>, key: &str) -> bool {
    entry.get(key).and_then(|node| reader.boolean(node)).unwrap_or_default()
}

fn read_credential(reader: &Reader<'_>, entry: &Mapping<'_>, names: &mut Names) -> Option<Credential> {
    let name = name(reader, entry, CREDENTIAL.what, names);
    let content = match (entry.get("type"), entry.get("inputs")) {
        (None, None) => None,
        (Some(kind), Some(inputs)) => Some(Content { kind: word(reader, kind)?, inputs: read_inputs(reader, inputs) }),
        _ => {
            reader.error(
                entry.span,
                "a credential is created from `type` and `inputs` together",
                "one of them is missing; without both, the credential must be there already",
            );
            return None;
        }
    };
    Some(Credential { name: name?, content })
}

fn read_inputs(reader: &Reader<'_>, node: &Node) -> BTreeMap<String, Input> {
    let mut inputs = BTreeMap::new();
    let Some(mapping) = reader.any_mapping(node, "`inputs`") else { return inputs };
    for (name, _, value) in mapping.iter() {
        let input = if HARMLESS.contains(&name) {
            read_value(reader, value).map(Input::Plain)
        } else if value.written.contains("${") {
            reader.filled(value).map(Input::Secret)
        } else {
            let message = format!("`{name}` of a credential may come from the secrets file only");
            let help = format!("write {name}: ${{NAME}}, and NAME=… into the secrets file");
            reader.error_with_help(&value.span, message, "written here for everybody to read", Some(help));
            None
        };
        if let Some(input) = input {
            inputs.insert(name.to_owned(), input);
        }
    }
    inputs
}

fn read_project(reader: &Reader<'_>, project: &Mapping<'_>, credentials: &Names) -> Option<Project> {
    let name = reader.require(project, "name", PROJECT.what).and_then(|node| word(reader, node));
    let sync_timeout = project.get("syncTimeout").and_then(|node| reader.duration(node, SYNC_TIMEOUTS));
    let source = project.get("scmUrl").and_then(|node| {
        Some(Source {
            url: read_repository(reader, node)?,
            branch: text(reader, project, "scmBranch"),
            credential: project.get("credential").and_then(|node| credentials.known(reader, node)),
            update_on_launch: flag(reader, project, "updateOnLaunch"),
        })
    });
    if project.get("scmUrl").is_none()
        && let Some(span) = ["scmBranch", "credential", "updateOnLaunch"].iter().find_map(|key| project.key_span(key))
    {
        reader.error(span, "this means something only beside `scmUrl`", "without it the project must be there already");
    }
    Some(Project { name: name?, source, sync_timeout: sync_timeout.unwrap_or(SYNC_TIMEOUT) })
}

/// Addresses of repositories stand in AWX for everybody to read.
fn read_repository(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let url = word(reader, node)?;
    let has_password = url.split_once("://").is_some_and(|(_, rest)| {
        rest.split('/').next().is_some_and(|host| host.split_once('@').is_some_and(|(user, _)| user.contains(':')))
    });
    if has_password {
        reader.error(&node.span, "a password stands in this address", "use `credential`");
        return None;
    }
    Some(url)
}

fn read_inventory(reader: &Reader<'_>, inventory: &Mapping<'_>) -> Option<Inventory> {
    let inventory_name = reader.require(inventory, "name", INVENTORY.what).and_then(|node| word(reader, node));
    let (mut hosts, mut groups) = (Names::new("host"), Names::new("group"));
    if let Some(node) = inventory.get("hosts").filter(|node| node.len() > MAX_HOSTS) {
        let message = format!("more than {MAX_HOSTS} hosts");
        reader.error(&node.span, message, "give the inventory a source in AWX instead");
        return None;
    }
    let read_hosts = each(reader, inventory, "hosts", &HOST, |entry| {
        Some(Host {
            name: name(reader, entry, HOST.what, &mut hosts)?,
            variables: variables(reader, entry, "variables"),
        })
    });
    let read_groups = each(reader, inventory, "groups", &GROUP, |entry| {
        let members = entry.get("hosts").map_or_else(Vec::new, |node| hosts.known_list(reader, node));
        let name = name(reader, entry, GROUP.what, &mut groups)?;
        Some(Group { name, variables: variables(reader, entry, "variables"), hosts: members })
    });
    Some(Inventory { name: inventory_name?, hosts: read_hosts, groups: read_groups })
}

fn variables(reader: &Reader<'_>, entry: &Mapping<'_>, key: &str) -> Option<Map<String, Value>> {
    let node = entry.get(key)?;
    reader.any_mapping(node, &format!("`{key}`"))?;
    match read_value(reader, node)? {
        Value::Object(variables) => Some(variables),
        _ => None,
    }
}

/// A value of any depth, as it stands. AWX shows variables to whoever may see the template, so that no secret is put in.
fn read_value(reader: &Reader<'_>, node: &Node) -> Option<Value> {
    Some(match &node.kind {
        Kind::Nothing => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Integer(value) => Value::from(*value),
        Kind::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Kind::Text => Value::from(reader.plain(node)?),
        Kind::List(items) => items.iter().filter_map(|item| read_value(reader, item)).collect(),
        Kind::Map(_) => {
            let mapping = reader.any_mapping(node, "this value")?;
            let entries =
                mapping.iter().filter_map(|(name, _, value)| Some((name.to_owned(), read_value(reader, value)?)));
            Value::Object(entries.collect())
        }
    })
}
