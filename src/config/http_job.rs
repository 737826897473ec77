//! `httpJob` of a rule: its requests one by one, or a preset that knows them.

use std::collections::BTreeMap;

use super::http_presets;
use super::http_request::{Known, read_call, read_location, read_text};
use super::http_servers::HttpSection;
use super::reader::{Mapping, Reader, Schema};
use super::yaml::{Kind, Node};
use crate::domain::action::http::{
    Call, Find, HttpJob, HttpMethod, Location, Output, Pick, Poll, Queue, Word, mentions_late,
};
use crate::domain::template::Template;

const JOB: Schema = Schema {
    what: "`httpJob`",
    keys: &[
        "server",
        "preset",
        "name",
        "target",
        "start",
        "id",
        "queue",
        "find",
        "poll",
        "cancel",
        "cancelQueued",
        "output",
        "page",
        "check",
        "job",
        "options",
        "filter",
        "apiVersion",
        "project",
        "template",
        "environment",
        "limit",
        "ref",
        "variables",
        "parameters",
        "keyIn",
    ],
    unsupported: &[],
    strict: true,
};
const START: Schema = Schema {
    what: "a request of `httpJob`",
    keys: &["method", "path", "headers", "body", "json", "form", "status"],
    unsupported: &[],
    strict: true,
};
const ID: Schema = Schema { what: "`id`", keys: &["body", "header"], unsupported: &[], strict: true };
const QUEUE: Schema =
    Schema { what: "`queue`", keys: &["path", "id", "canceled", "message"], unsupported: &[], strict: true };
const FIND: Schema = Schema {
    what: "an entry of `find`",
    keys: &["path", "items", "id", "queue", "each"],
    unsupported: &[],
    strict: true,
};
const POLL: Schema =
    Schema { what: "`poll`", keys: &["path", "state", "words", "message", "page"], unsupported: &[], strict: true };
const OUTPUT: Schema = Schema { what: "`output`", keys: &["path", "lines", "text"], unsupported: &[], strict: true };

/// Keys of a job that is described request by request.
const DESCRIPTION: [&str; 9] = ["start", "id", "queue", "find", "poll", "cancel", "cancelQueued", "output", "page"];
/// Keys that both kinds have.
const COMMON: [&str; 4] = ["server", "preset", "name", "target"];

/// What is known before the start, in the queue, and of the job.
const STARTING: Known = &["key"];
const QUEUED: Known = &["key", "queue"];
const STARTED: Known = &["key", "id", "queue"];

/// Reads the action.
pub(super) fn read(reader: &Reader<'_>, node: &Node, servers: &HttpSection) -> Option<HttpJob<Template>> {
    let job = reader.mapping(node, &JOB)?;
    let before = reader.error_count();
    let server = servers.server_for(reader, &job);
    let name = job.get("name").and_then(|node| read_text(reader, node, "name", &[]));
    let target = job.get("target").and_then(|node| read_text(reader, node, "target", &[]));
    let read = match job.get("preset") {
        Some(node) => read_preset(reader, &job, node),
        None => read_description(reader, &job),
    };
    let read = HttpJob { server: server?, target, ..read? };
    let read = HttpJob { name: name.unwrap_or_else(|| read.name.clone()), ..read };
    (reader.error_count() == before).then_some(read)
}

fn read_preset(reader: &Reader<'_>, job: &Mapping<'_>, node: &Node) -> Option<HttpJob<Template>> {
    let preset = http_presets::named(reader, node)?;
    for key in job.keys().filter(|key| !COMMON.contains(key) && !preset.keys.contains(key)) {
        let Some(span) = job.key_span(key) else { continue };
        let message = format!("`{key}` is no key of preset {}", preset.name);
        let help = Some(format!("it takes {}", preset.keys.join(", ")));
        reader.error_with_help(span, message, "not here", help);
    }
    (preset.read)(reader, job)
}

fn read_description(reader: &Reader<'_>, job: &Mapping<'_>) -> Option<HttpJob<Template>> {
    for key in job.keys().filter(|key| !COMMON.contains(key) && !DESCRIPTION.contains(key) && *key != "check") {
        if let Some(span) = job.key_span(key) {
            let help = Some(format!("presets: {}", http_presets::names().join(", ")));
            reader.error_with_help(span, format!("`{key}` belongs to a preset"), "needs `preset`", help);
        }
    }
    let start = reader.require(job, "start", JOB.what).and_then(|node| read_request(reader, node, STARTING));
    let id = job.get("id").map(|node| read_id(reader, node));
    let queue = job.get("queue").map(|node| read_queue(reader, node));
    let find = job
        .get("find")
        .map_or(Some(Vec::new()), |node| one_or_many(node).iter().map(|node| read_find(reader, node)).collect());
    let poll = reader.require(job, "poll", JOB.what).and_then(|node| read_poll(reader, node));
    let request = |key: &str, known: Known| job.get(key).map(|node| read_request(reader, node, known));
    let (cancel, cancel_queued) = (request("cancel", STARTED), request("cancelQueued", QUEUED));
    let output = job.get("output").map(|node| read_output(reader, node));
    let location = |key: &str, known: Known| job.get(key).map(|node| read_location(reader, node, known));
    let (page, check) = (location("page", STARTED), location("check", &[]));
    let name = Template::parse("job").ok();
    let read = HttpJob {
        server: String::new(),
        kind: "job".to_owned(),
        name: name?,
        target: None,
        require: None,
        start: start?,
        id: id.flatten(),
        queue: queue.flatten(),
        find: find?,
        poll: poll?,
        cancel: cancel.flatten(),
        cancel_queued: cancel_queued.flatten(),
        output: output.flatten(),
        page: page.flatten(),
        crumb: None,
        check: check.flatten(),
    };
    check_sense(reader, job, &read);
    Some(read)
}

/// What is well written and yet could never work, or would do harm.
fn check_sense(reader: &Reader<'_>, job: &Mapping<'_>, read: &HttpJob<Template>) {
    let span = |key: &str| job.key_span(key).unwrap_or(job.span);
    let has = |location: &Location<Template>, name| location.texts().any(|text| mentions_late(text.source(), name));
    let carries_key = read.start.carries("key");
    if !read.find.is_empty() && !carries_key {
        let help = Some("put {{ $job.key }} into a variable, an option or a message of `start`".to_owned());
        reader.error_with_help(
            span("find"),
            "a job is found only by a key that its start carries",
            "nothing to look for",
            help,
        );
    }
    if read.id.is_none() && read.find.is_empty() {
        let help = Some("add `id: {body: /id}`, `id: {header: Location}` or `find`".to_owned());
        reader.error_with_help(job.span, "nothing says which job was started", "needs `id` or `find`", help);
    }
    if !has(&read.poll.location, "id") {
        reader.error(span("poll"), "`poll` does not say which job", "put {{ $job.id }} into its path");
    }
    for (key, request) in [("cancel", &read.cancel)] {
        if request.as_ref().is_some_and(|request| !request.carries("id")) {
            reader.error(span(key), format!("`{key}` does not say which job"), "put {{ $job.id }} into it");
        }
    }
    if read.cancel_queued.is_some() && read.queue.is_none() {
        reader.error(span("cancelQueued"), "there is no queue to take it out of", "needs `queue`");
    }
    if read.queue.is_some() && read.id.is_none() {
        reader.error(span("queue"), "nothing gives the number in the queue", "needs `id`");
    }
}

fn read_request(reader: &Reader<'_>, node: &Node, known: Known) -> Option<Call<Template>> {
    let request = reader.mapping(node, &START)?;
    let location = reader.require(&request, "path", START.what).and_then(|node| read_location(reader, node, known));
    read_call(reader, &request, location, known, Some(HttpMethod::Post))
}

fn read_id(reader: &Reader<'_>, node: &Node) -> Option<Pick> {
    let id = reader.mapping(node, &ID)?;
    match (id.get("body"), id.get("header")) {
        (Some(node), None) => read_pointer(reader, node).map(Pick::Body),
        (None, Some(node)) => {
            let name = reader.word(node, "a header's name")?;
            if http::HeaderName::try_from(name).is_err() {
                reader.error(&node.span, format!("{name:?} is no header's name"), "expected for example Location");
                return None;
            }
            Some(Pick::Header(name.to_owned()))
        }
        _ => {
            reader.error(id.span, "expected exactly one of `body` and `header`", "where the job's number stands");
            None
        }
    }
}

/// A JSON pointer.
fn read_pointer(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let pointer = reader.plain(node)?;
    if !pointer.is_empty() && !pointer.starts_with('/') {
        reader.error(&node.span, format!("{pointer:?} is no JSON pointer"), "expected for example /execution/id");
        return None;
    }
    Some(pointer.to_owned())
}

fn read_pointers(reader: &Reader<'_>, node: &Node) -> Option<Vec<String>> {
    if node.len() == 0 {
        reader.error(&node.span, "this list is empty", "expected for example /status");
        return None;
    }
    reader.list_or_one(node, "JSON pointer").iter().map(|node| read_pointer(reader, node)).collect()
}

fn read_queue(reader: &Reader<'_>, node: &Node) -> Option<Queue<Template>> {
    let queue = reader.mapping(node, &QUEUE)?;
    let location = reader.require(&queue, "path", QUEUE.what).and_then(|node| read_location(reader, node, QUEUED));
    let id = reader.require(&queue, "id", QUEUE.what).and_then(|node| read_pointer(reader, node));
    let pointer = |key: &str| queue.get(key).map(|node| read_pointer(reader, node));
    let (canceled, message) = (pointer("canceled"), pointer("message"));
    Some(Queue { location: location?, id: id?, canceled: canceled.flatten(), message: message.flatten() })
}

/// A list, or its only entry.
fn one_or_many(node: &Node) -> &[Node] {
    if let Kind::List(items) = &node.kind { items } else { std::slice::from_ref(node) }
}

fn read_find(reader: &Reader<'_>, node: &Node) -> Option<Find<Template>> {
    let find = reader.mapping(node, &FIND)?;
    let location = reader.require(&find, "path", FIND.what).and_then(|node| read_location(reader, node, STARTING));
    let id = reader.require(&find, "id", FIND.what).and_then(|node| read_pointer(reader, node));
    let items = find.get("items").map_or(Some(String::new()), |node| read_pointer(reader, node));
    let queue = find.get("queue").map_or(Some(false), |node| reader.boolean(node));
    let each = find.get("each").map(|node| read_location(reader, node, &["key", "id"]));
    Some(Find { location: location?, items: items?, id: id?, queue: queue?, each: each.flatten() })
}

fn read_poll(reader: &Reader<'_>, node: &Node) -> Option<Poll<Template>> {
    let poll = reader.mapping(node, &POLL)?;
    let location = reader.require(&poll, "path", POLL.what).and_then(|node| read_location(reader, node, STARTED));
    let state = reader.require(&poll, "state", POLL.what).and_then(|node| read_pointers(reader, node));
    let words = reader.require(&poll, "words", POLL.what).and_then(|node| read_words(reader, node));
    let pointer = |key: &str| poll.get(key).map(|node| read_pointer(reader, node));
    let (message, page) = (pointer("message"), pointer("page"));
    Some(Poll { location: location?, state: state?, words: words?, message: message.flatten(), page: page.flatten() })
}

fn read_words(reader: &Reader<'_>, node: &Node) -> Option<BTreeMap<String, Word>> {
    let words = reader.any_mapping(node, "`words`")?;
    let before = reader.error_count();
    let known = Word::ALL.map(|(word, _)| word);
    let mut read = BTreeMap::new();
    for (said, _, value) in words.iter() {
        let Some(word) = reader.choice(value, &known) else { continue };
        read.extend(Word::ALL.iter().find(|(name, _)| *name == word).map(|(_, word)| (said.to_owned(), *word)));
    }
    for (name, wanted) in [("ok", Word::Ok), ("failed", Word::Failed)] {
        if !read.values().any(|word| *word == wanted) && reader.error_count() == before {
            reader.error(&node.span, format!("no word means {name}"), "a job would never be seen to end so");
        }
    }
    (reader.error_count() == before).then_some(read)
}

fn read_output(reader: &Reader<'_>, node: &Node) -> Option<Output<Template>> {
    let output = reader.mapping(node, &OUTPUT)?;
    let location = reader.require(&output, "path", OUTPUT.what).and_then(|node| read_location(reader, node, STARTED));
    let lines = output.get("lines").map(|node| read_pointer(reader, node));
    let text = output.get("text").map_or(Some(Vec::new()), |node| read_pointers(reader, node));
    Some(Output { location: location?, lines: lines.flatten(), text: text? })
}
