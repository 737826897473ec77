//! Semaphore UI: `POST /api/project/P/tasks`. Its message carries the key.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Part, Preset, at, job, one, post, read_json, text, words};
use crate::config::http_request::read_text;
use crate::config::reader::{Mapping, Reader};
use crate::domain::action::Tree;
use crate::domain::action::http::{Body, Call, Find, HttpJob, Output, Pick, Poll, Requirement, Word};
use crate::domain::template::Template;

pub(super) const PRESET: Preset =
    Preset { name: "semaphore", keys: &["project", "template", "environment", "limit"], read };

const WORDS: [(&str, Word); 10] = [
    ("waiting", Word::Queued),
    ("starting", Word::Running),
    // Somebody has to confirm what it is about to do.
    ("waiting_confirmation", Word::Running),
    ("confirmed", Word::Running),
    ("running", Word::Running),
    ("stopping", Word::Running),
    ("success", Word::Ok),
    ("error", Word::Failed),
    ("rejected", Word::Failed),
    ("stopped", Word::Canceled),
];

fn read(reader: &Reader<'_>, given: &Mapping<'_>) -> Option<HttpJob<Template>> {
    let number = |key: &str| {
        reader.require(given, key, "preset semaphore").and_then(|node| reader.integer::<i64>(node, &(1..=i64::MAX)))
    };
    let (project, template) = (number("project"), number("template"));
    let environment = given.get("environment").map(|node| read_json(reader, node, &[]));
    let limit = given.get("limit").map(|node| read_text(reader, node, "limit", &[]));
    let (project, template) = (project?, template?);
    let root = format!("api/project/{project}");
    let task = |rest: &str| at(&[Part::Ours(&format!("{root}/tasks/{{{{ $job.id }}}}{rest}"))], &[]);
    let mut body = BTreeMap::from([
        ("template_id".to_owned(), Tree::Plain(Value::from(template))),
        ("message".to_owned(), Tree::Text(text("autoheal {{ $job.key }}")?)),
    ]);
    let mut require = None;
    if let Some(environment) = environment {
        body.insert("environment".to_owned(), environment?);
    }
    if let Some(limit) = limit {
        body.insert("limit".to_owned(), Tree::Text(limit?));
        require = Some(Requirement {
            location: at(&[Part::Ours(&format!("{root}/templates/{template}"))], &[])?,
            pointer: "/task_params/allow_override_limit".to_owned(),
            why: "the template would drop the limit and run on every host: allow overriding the limit in its task parameters".to_owned(),
        });
    }
    let start = post(at(&[Part::Ours(&format!("{root}/tasks"))], &[]), Some(Body::Json(Tree::Map(body))))?;
    // The server takes the environment as a text of JSON.
    let start = Call { status: one(201), json_texts: vec!["environment".to_owned()], ..start };
    let poll = Poll {
        location: task("")?,
        state: vec!["/status".to_owned()],
        words: words(&WORDS),
        message: None,
        page: None,
    };
    let find = Find {
        location: at(&[Part::Ours(&format!("{root}/tasks/last"))], &[])?,
        items: String::new(),
        id: "/id".to_owned(),
        queue: false,
        each: None,
    };
    let stop = Body::Json(Tree::Map(BTreeMap::from([("force".to_owned(), Tree::Plain(Value::Bool(false)))])));
    Some(HttpJob {
        require,
        find: vec![find],
        cancel: Some(post(task("/stop"), Some(stop))?),
        output: Some(Output {
            location: task("/output")?,
            lines: Some(String::new()),
            text: vec!["/output".to_owned()],
        }),
        page: at(&[Part::Ours(&format!("project/{project}/history"))], &[("t", Part::Ours("{{ $job.id }}"))]),
        check: at(&[Part::Ours(&format!("{root}/templates/{template}"))], &[]),
        ..job("Semaphore task", text(&format!("{project}/{template}"))?, start, Pick::Body("/id".to_owned()), poll)
    })
}
