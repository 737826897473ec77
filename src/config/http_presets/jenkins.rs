//! Jenkins: `POST …/buildWithParameters` gives an entry of the queue, which gives a build.

use super::{Part, Preset, at, job, key_in, one, parameters, post, required, text, words};
use crate::config::reader::{Mapping, Reader};
use crate::domain::action::http::{Body, Call, Find, HttpJob, Output, Pick, Poll, Queue, Word, encode};
use crate::domain::template::Template;

pub(super) const PRESET: Preset = Preset { name: "jenkins", keys: &["job", "parameters", "keyIn"], read };

/// First whether it is at work, because a result may be told before the end.
const STATE: [&str; 2] = ["/building", "/result"];
const WORDS: [(&str, Word); 6] = [
    ("true", Word::Running),
    ("SUCCESS", Word::Ok),
    ("UNSTABLE", Word::Failed),
    ("FAILURE", Word::Failed),
    ("NOT_BUILT", Word::Failed),
    ("ABORTED", Word::Canceled),
];

fn read(reader: &Reader<'_>, given: &Mapping<'_>) -> Option<HttpJob<Template>> {
    let name = required(reader, given, "job");
    let mut fields = parameters(reader, given, "parameters")?;
    let key = key_in(reader, given, &fields);
    let name = name?;
    // Folders are the rule's own; what an alert brings stays one name.
    let folders: Vec<Template> =
        if name.is_literal() { name.source().split('/').map(text).collect::<Option<_>>()? } else { vec![name.clone()] };
    let of = |rest: &str, query: &[(&str, Part<'_>)]| {
        let mut parts: Vec<_> = folders.iter().flat_map(|folder| [Part::Ours("job"), Part::Given(folder)]).collect();
        parts.push(Part::Ours(rest));
        at(&parts, query)
    };
    if let Some(key) = &key {
        fields.insert(key.clone(), text("{{ $job.key }}")?);
    }
    let start = if fields.is_empty() {
        post(of("build", &[]), None)?
    } else {
        post(of("buildWithParameters", &[]), Some(Body::Form(fields)))?
    };
    let tree = |wanted: &str| encode(wanted);
    let poll = Poll {
        location: of("{{ $job.id }}/api/json", &[("tree", Part::Ours(&tree("number,building,result,url")))])?,
        state: STATE.map(str::to_owned).to_vec(),
        words: words(&WORDS),
        message: None,
        page: Some("/url".to_owned()),
    };
    let parameters = "actions[parameters[name,value]]";
    let waiting = tree(&format!("items[id,{parameters}]"));
    let builds = tree(&format!("builds[number,{parameters}]{{0,50}}"));
    let lists = [
        (at(&[Part::Ours("queue/api/json")], &[("tree", Part::Ours(&waiting))])?, "/items", "/id", true),
        (of("api/json", &[("tree", Part::Ours(&builds))])?, "/builds", "/number", false),
    ];
    let find = lists.into_iter().filter(|_| key.is_some()).map(|(location, items, id, queue)| Find {
        location,
        items: items.to_owned(),
        id: id.to_owned(),
        queue,
        each: None,
    });
    Some(HttpJob {
        queue: Some(Queue {
            location: at(&[Part::Ours("queue/item/{{ $job.queue }}/api/json")], &[])?,
            id: "/executable/number".to_owned(),
            canceled: Some("/cancelled".to_owned()),
            message: Some("/why".to_owned()),
        }),
        find: find.collect(),
        cancel: Some(post(of("{{ $job.id }}/stop", &[]), None)?),
        cancel_queued: Some(post(
            at(&[Part::Ours("queue/cancelItem")], &[("id", Part::Ours("{{ $job.queue }}"))]),
            None,
        )?),
        output: Some(Output { location: of("{{ $job.id }}/consoleText", &[])?, lines: None, text: Vec::new() }),
        crumb: Some("/crumbIssuer/api/json".to_owned()),
        check: of("api/json", &[("tree", Part::Ours("buildable"))]),
        ..job(
            "Jenkins job",
            name.clone(),
            Call { status: one(201), ..start },
            Pick::Header("location".to_owned()),
            poll,
        )
    })
}
