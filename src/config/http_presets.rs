//! Job runners whose requests are known: a few parameters become a whole `httpJob`, exactly as their documentation asks.

mod gitlab;
mod jenkins;
mod rundeck;
mod semaphore;

use std::collections::BTreeMap;

use super::http_request::{read_json, read_text};
use super::reader::{Mapping, Reader};
use super::yaml::Node;
use crate::domain::action::Tree;
use crate::domain::action::http::{
    Body, Call, HttpJob, HttpMethod, Location, Pick, Poll, StatusRange, Word, encode, write_late,
};
use crate::domain::template::Template;

/// One runner.
pub(super) struct Preset {
    /// The word in a rule.
    pub name: &'static str,
    /// Its parameters.
    pub keys: &'static [&'static str],
    /// Makes a job of them.
    pub read: fn(&Reader<'_>, &Mapping<'_>) -> Option<HttpJob<Template>>,
}

const PRESETS: [Preset; 4] = [rundeck::PRESET, semaphore::PRESET, gitlab::PRESET, jenkins::PRESET];

/// Their words.
pub(super) fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}

/// The one a rule means.
pub(super) fn named(reader: &Reader<'_>, node: &Node) -> Option<&'static Preset> {
    static ALL: [Preset; 4] = PRESETS;
    let word = reader.choice(node, &names())?;
    ALL.iter().find(|preset| preset.name == word)
}

/// A text of ours. It has no template of Go's in it, so that it always parses.
fn text(source: &str) -> Option<Template> {
    Template::parse(&write_late(source)).ok()
}

/// A part of a path.
enum Part<'p> {
    /// Ours, with slashes, and with facts of the job.
    Ours(&'p str),
    /// A parameter, which stays one part whatever stands in it.
    Given(&'p Template),
}

/// A parameter as it stands in an address.
fn in_address(given: &Template) -> Option<Template> {
    if given.is_literal() { text(&encode(given.source())) } else { Some(given.clone()) }
}

fn at(parts: &[Part<'_>], query: &[(&str, Part<'_>)]) -> Option<Location<Template>> {
    let mut path = Vec::new();
    for part in parts {
        match part {
            Part::Ours(ours) => path.extend(ours.split('/').map(text).collect::<Option<Vec<_>>>()?),
            Part::Given(given) => path.push(in_address(given)?),
        }
    }
    let value = |part: &Part<'_>| match part {
        Part::Ours(ours) => text(ours),
        Part::Given(given) => in_address(given),
    };
    let query = query.iter().map(|(name, part)| Some(((*name).to_owned(), value(part)?)));
    Some(Location { path, query: query.collect::<Option<_>>()? })
}

fn post(location: Option<Location<Template>>, body: Option<Body<Template>>) -> Option<Call<Template>> {
    Some(Call {
        method: HttpMethod::Post,
        location: location?,
        headers: BTreeMap::new(),
        body,
        status: Vec::new(),
        json_texts: Vec::new(),
    })
}

fn words(words: &[(&str, Word)]) -> BTreeMap<String, Word> {
    words.iter().map(|(said, word)| ((*said).to_owned(), *word)).collect()
}

/// A text parameter that must be there.
fn required(reader: &Reader<'_>, job: &Mapping<'_>, key: &str) -> Option<Template> {
    reader.require(job, key, "this preset").and_then(|node| read_text(reader, node, key, &[]))
}

/// Parameters by name.
fn parameters(reader: &Reader<'_>, job: &Mapping<'_>, key: &str) -> Option<BTreeMap<String, Template>> {
    let Some(node) = job.get(key) else { return Some(BTreeMap::new()) };
    let mapping = reader.any_mapping(node, &format!("`{key}`"))?;
    mapping.iter().map(|(name, _, value)| Some((name.to_owned(), read_text(reader, value, name, &[])?))).collect()
}

/// The parameter that carries the key: one of the job's own, so that nobody drops it.
fn key_in(reader: &Reader<'_>, job: &Mapping<'_>, given: &BTreeMap<String, Template>) -> Option<String> {
    let node = job.get("keyIn")?;
    let name = reader.word(node, "`keyIn`")?;
    if given.contains_key(name) {
        reader.error(&node.span, format!("`{name}` is given already"), "the key would take its place");
    }
    Some(name.to_owned())
}

fn object(entries: BTreeMap<String, Template>) -> Tree<Template> {
    Tree::Map(entries.into_iter().map(|(name, value)| (name, Tree::Text(value))).collect())
}

fn one(status: u16) -> Vec<StatusRange> {
    vec![StatusRange(status, status)]
}

/// What every preset leaves out until it says so.
fn job(kind: &str, name: Template, start: Call<Template>, id: Pick, poll: Poll<Template>) -> HttpJob<Template> {
    HttpJob {
        server: String::new(),
        kind: kind.to_owned(),
        name,
        target: None,
        require: None,
        start,
        id: Some(id),
        queue: None,
        find: Vec::new(),
        poll,
        cancel: None,
        cancel_queued: None,
        output: None,
        page: None,
        crumb: None,
        check: None,
    }
}
