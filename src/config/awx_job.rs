//! `awxJob` of a rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::awx::AwxSection;
use super::diagnostic::SourceFile;
use super::reader::{Mapping, Reader, Schema};
use super::rules::template;
use super::tree::TreeReader;
use super::yaml::{self, Kind, Node};
use crate::domain::action::{AwxJob, JobType, Tree, check_limit};
use crate::domain::template::Template;

const JOB: Schema = Schema {
    what: "`awxJob`",
    keys: &[
        "server",
        "template",
        "workflow",
        "organization",
        "project",
        "inventory",
        "limit",
        "extraVars",
        "jobTags",
        "skipTags",
        "credentials",
        "labels",
        "jobType",
    ],
    unsupported: &[],
    strict: true,
};

/// Variables that are ours.
const RESERVED: [&str; 2] = ["alert", "autoheal_key"];

/// Reads the action.
pub(super) fn read(reader: &Reader<'_>, node: &Node, servers: &AwxSection) -> Option<AwxJob<Template>> {
    let job = reader.mapping(node, &JOB)?;
    let before = reader.error_count();
    let server = servers.server_for(reader, &job);
    let text = |key: &str| job.get(key).and_then(|node| read_text(reader, node, key));
    let list = |key: &str| job.get(key).map_or_else(Vec::new, |node| read_list(reader, node, key));
    let template = reader.require(&job, "template", JOB.what).and_then(|node| read_text(reader, node, "template"));
    let workflow = job.get("workflow").and_then(|node| reader.boolean(node)).unwrap_or_default();
    let project = text("project").or_else(|| {
        // The name comes from the configuration, not from a template's author.
        let default = servers.project(server.as_deref()?).filter(|_| !workflow)?;
        Template::parse(default).ok()
    });
    let limit = job.get("limit").map_or_else(Vec::new, |node| read_limit(reader, node));
    let extra_vars = job.get("extraVars").map_or_else(BTreeMap::new, |node| read_variables(reader, node));
    let job_type = job.get("jobType").and_then(|node| reader.choice(node, &["run", "check"]));
    let read = AwxJob {
        server: server?,
        template: template?,
        workflow,
        organization: text("organization"),
        project,
        inventory: text("inventory"),
        limit,
        extra_vars,
        job_tags: text("jobTags"),
        skip_tags: text("skipTags"),
        credentials: list("credentials"),
        labels: list("labels"),
        job_type: job_type.map(|word| if word == "check" { JobType::Check } else { JobType::Run }),
    };
    (reader.error_count() == before).then_some(read)
}

fn read_text(reader: &Reader<'_>, node: &Node, key: &str) -> Option<Template> {
    reader.word(node, &format!("`{key}`"))?;
    template(reader, node)
}

fn read_list(reader: &Reader<'_>, node: &Node, key: &str) -> Vec<Template> {
    let items = reader.list_or_one(node, &format!("{key} name"));
    if node.len() == 0 {
        reader.error(&node.span, format!("`{key}` is empty"), "name at least one, or remove the key");
    }
    items.iter().filter_map(|item| read_text(reader, item, key)).collect()
}

/// One host or several; commas in a text of the rule's own part hosts, too. What the rule says itself is checked here, what an
/// alert brings when it is there.
fn read_limit(reader: &Reader<'_>, node: &Node) -> Vec<Template> {
    let mut limit = Vec::new();
    if node.len() == 0 || (matches!(node.kind, Kind::Text) && node.written.trim().is_empty()) {
        reader.error(&node.span, "`limit` is empty", "an empty limit would mean every host");
        return limit;
    }
    for item in reader.list_or_one(node, "host") {
        let Some(template) = read_text(reader, item, "limit") else { continue };
        if !template.is_literal() {
            limit.push(template);
            continue;
        }
        for host in item.written.split(',').map(str::trim) {
            match check_limit(host, true) {
                // A plain name has no template in it.
                Ok(()) => limit.extend(Template::parse(host).ok()),
                Err(why) => reader.error(&item.span, format!("this limit {why}"), "expected host names or groups"),
            }
        }
    }
    limit
}

/// A mapping, or the ancestor's text of JSON or YAML. The text is taken apart before any alert is seen, so that what an alert says
/// stays inside the value it is put into.
fn read_variables(reader: &Reader<'_>, node: &Node) -> BTreeMap<String, Tree<Template>> {
    if let Kind::Text = node.kind {
        // References are looked for in its values.
        let Some(text) = reader.verbatim(node) else { return BTreeMap::new() };
        let read = yaml::read(reader.file.path().to_owned(), "extraVars".to_owned(), text.to_owned());
        return match read {
            Ok((file, root)) if matches!(root.kind, Kind::Map(_)) => read_inner(reader, node, &file, &root),
            _ => {
                reader.error(
                    &node.span,
                    "this text is neither JSON nor YAML with names and values",
                    "expected a mapping",
                );
                BTreeMap::new()
            }
        };
    }
    let Some(variables) = reader.any_mapping(node, "`extraVars`") else { return BTreeMap::new() };
    read_mapping(reader, &variables)
}

/// Problems inside the text are told at the text.
fn read_inner(
    reader: &Reader<'_>,
    outer: &Node,
    file: &Arc<SourceFile>,
    root: &Node,
) -> BTreeMap<String, Tree<Template>> {
    let problems = std::cell::RefCell::default();
    let inner = Reader::new(file, reader.secrets, &problems, reader.sources);
    let variables =
        inner.any_mapping(root, "`extraVars`").map(|mapping| read_mapping(&inner, &mapping)).unwrap_or_default();
    for problem in problems.borrow().iter() {
        reader.error_with_help(&outer.span, problem.message.clone(), "inside this text", problem.help.clone());
    }
    variables
}

fn read_mapping(reader: &Reader<'_>, variables: &Mapping<'_>) -> BTreeMap<String, Tree<Template>> {
    let mut read = BTreeMap::new();
    for (name, span, value) in variables.iter() {
        if RESERVED.contains(&name) {
            let help = Some("`alert` always brings the alert, `autoheal_key` tells runs apart".to_owned());
            reader.error_with_help(
                span,
                format!("the variable `{name}` is autoheal's own"),
                "choose another name",
                help,
            );
        } else if let Some(tree) = read_tree(reader, value) {
            read.insert(name.to_owned(), tree);
        }
    }
    read
}

/// A value of any depth. What says nothing is left out, as the ancestor does.
fn read_tree(reader: &Reader<'_>, node: &Node) -> Option<Tree<Template>> {
    TreeReader { text: &template, keeps_nothing: false }.read(reader, node)
}
