//! Rundeck and `PagerDuty` Runbook Automation: `POST /api/V/job/ID/run`, then the execution.

use std::collections::BTreeMap;

use super::{Part, Preset, at, job, key_in, object, parameters, post, required, text, words};
use crate::config::http_request::read_text;
use crate::config::reader::{Mapping, Reader};
use crate::domain::action::Tree;
use crate::domain::action::http::{Body, Find, HttpJob, Output, Pick, Poll, Word};
use crate::domain::template::Template;

pub(super) const PRESET: Preset =
    Preset { name: "rundeck", keys: &["job", "options", "filter", "apiVersion", "keyIn"], read };

/// The first version that takes options as JSON.
const OLDEST: i64 = 18;

const WORDS: [(&str, Word); 11] = [
    ("scheduled", Word::Queued),
    ("queued", Word::Queued),
    ("running", Word::Running),
    ("succeeded", Word::Ok),
    ("failed", Word::Failed),
    ("failed-with-retry", Word::Failed),
    ("timedout", Word::Failed),
    ("missed", Word::Failed),
    ("incomplete", Word::Failed),
    // A status of the job's own, which its message names.
    ("other", Word::Failed),
    ("aborted", Word::Canceled),
];

fn read(reader: &Reader<'_>, given: &Mapping<'_>) -> Option<HttpJob<Template>> {
    let id = required(reader, given, "job");
    let mut options = parameters(reader, given, "options")?;
    let key = key_in(reader, given, &options);
    let filter = given.get("filter").map(|node| read_text(reader, node, "filter", &[]));
    let version = given.get("apiVersion").map_or(Some(OLDEST), |node| reader.integer(node, &(OLDEST..=999)))?;
    let id = id?;
    let root = format!("api/{version}");
    let below = |rest: &str| format!("{root}/execution/{{{{ $job.id }}}}{rest}");
    let of_job = |rest: &'static str, query: &[(&str, Part<'_>)]| {
        at(&[Part::Ours(&format!("{root}/job")), Part::Given(&id), Part::Ours(rest)], query)
    };
    if let Some(key) = &key {
        options.insert(key.clone(), text("{{ $job.key }}")?);
    }
    let mut body = BTreeMap::new();
    if !options.is_empty() {
        body.insert("options".to_owned(), object(options));
    }
    if let Some(filter) = filter {
        body.insert("filter".to_owned(), Tree::Text(filter?));
    }
    let start = post(of_job("run", &[]), Some(Body::Json(Tree::Map(body))))?;
    let poll = Poll {
        location: at(&[Part::Ours(&below(""))], &[])?,
        state: vec!["/status".to_owned()],
        words: words(&WORDS),
        message: Some("/customStatus".to_owned()),
        page: Some("/permalink".to_owned()),
    };
    let find = key.map(|_| {
        Some(Find {
            location: of_job("executions", &[("max", Part::Ours("50"))])?,
            items: "/executions".to_owned(),
            id: "/id".to_owned(),
            queue: false,
            each: None,
        })
    });
    let output = Output {
        location: at(&[Part::Ours(&below("/output"))], &[("lastlines", Part::Ours("20"))])?,
        lines: Some("/entries".to_owned()),
        text: vec!["/log".to_owned()],
    };
    Some(HttpJob {
        find: find.into_iter().collect::<Option<_>>()?,
        cancel: Some(post(at(&[Part::Ours(&below("/abort"))], &[]), None)?),
        output: Some(output),
        check: of_job("info", &[]),
        ..job("Rundeck job", id.clone(), start, Pick::Body("/id".to_owned()), poll)
    })
}
