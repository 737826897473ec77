//! GitLab pipelines: `POST /api/v4/projects/P/pipeline`. A variable carries the key.

use std::collections::BTreeMap;

use super::{Part, Preset, at, job, one, parameters, post, required, text, words};
use crate::config::reader::{Mapping, Reader};
use crate::domain::action::Tree;
use crate::domain::action::http::{Body, Call, Find, HttpJob, Output, Pick, Poll, Word};
use crate::domain::template::Template;

pub(super) const PRESET: Preset = Preset { name: "gitlab", keys: &["project", "ref", "variables", "keyIn"], read };

/// The variable that carries the key when the rule names no other.
const KEY_IN: &str = "AUTOHEAL_KEY";
/// What a rule says where the project lets nobody give variables.
const NOWHERE: &str = "none";

const WORDS: [(&str, Word); 13] = [
    ("created", Word::Queued),
    ("waiting_for_resource", Word::Queued),
    ("waiting_for_callback", Word::Queued),
    ("preparing", Word::Queued),
    ("pending", Word::Queued),
    ("scheduled", Word::Queued),
    ("running", Word::Running),
    // It waits for somebody to press a button.
    ("manual", Word::Running),
    ("canceling", Word::Running),
    ("success", Word::Ok),
    ("failed", Word::Failed),
    // No job of it was run.
    ("skipped", Word::Failed),
    ("canceled", Word::Canceled),
];

fn read(reader: &Reader<'_>, given: &Mapping<'_>) -> Option<HttpJob<Template>> {
    let (project, branch) = (required(reader, given, "project"), required(reader, given, "ref"));
    let mut variables = parameters(reader, given, "variables")?;
    let key = match super::key_in(reader, given, &variables) {
        Some(key) if key == NOWHERE => None,
        key => Some(key.unwrap_or_else(|| KEY_IN.to_owned())),
    };
    let (project, branch) = (project?, branch?);
    let of = |rest: &str, query: &[(&str, Part<'_>)]| {
        at(&[Part::Ours("api/v4/projects"), Part::Given(&project), Part::Ours(rest)], query)
    };
    if let Some(key) = &key {
        variables.insert(key.clone(), text("{{ $job.key }}")?);
    }
    let pairs = variables.into_iter().map(|(name, value)| {
        let name = Tree::Plain(serde_json::Value::String(name));
        Tree::Map(BTreeMap::from([("key".to_owned(), name), ("value".to_owned(), Tree::Text(value))]))
    });
    let pairs: Vec<_> = pairs.collect();
    let mut body = BTreeMap::from([("ref".to_owned(), Tree::Text(branch.clone()))]);
    if !pairs.is_empty() {
        body.insert("variables".to_owned(), Tree::List(pairs));
    }
    let start = Call { status: one(201), ..post(of("pipeline", &[]), Some(Body::Json(Tree::Map(body))))? };
    let poll = Poll {
        location: of("pipelines/{{ $job.id }}", &[])?,
        state: vec!["/status".to_owned()],
        words: words(&WORDS),
        message: Some("/yaml_errors".to_owned()),
        page: Some("/web_url".to_owned()),
    };
    let find = key.map(|_| {
        let query = [
            ("ref", Part::Given(&branch)),
            ("source", Part::Ours("api")),
            ("order_by", Part::Ours("id")),
            ("sort", Part::Ours("desc")),
            ("per_page", Part::Ours("20")),
        ];
        Some(Find {
            location: of("pipelines", &query)?,
            items: String::new(),
            id: "/id".to_owned(),
            queue: false,
            each: Some(of("pipelines/{{ $job.id }}/variables", &[])?),
        })
    });
    // A pipeline writes nothing; its failed jobs say where to look.
    let output = Output {
        location: of("pipelines/{{ $job.id }}/jobs", &[("scope%5B%5D", Part::Ours("failed"))])?,
        lines: Some(String::new()),
        text: ["/stage", "/name", "/failure_reason", "/web_url"].map(str::to_owned).to_vec(),
    };
    Some(HttpJob {
        find: find.into_iter().collect::<Option<_>>()?,
        cancel: Some(post(of("pipelines/{{ $job.id }}/cancel", &[]), None)?),
        output: Some(output),
        check: at(&[Part::Ours("api/v4/projects"), Part::Given(&project)], &[]),
        ..job("GitLab pipeline", project.clone(), start, Pick::Body("/id".to_owned()), poll)
    })
}
