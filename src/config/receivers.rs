//! `receivers:` — who can be told, and how.

mod mail;
mod others;
mod slack;
mod texts;

use std::time::Duration;

use reqwest::Url;

pub(super) use self::texts::Templates;
use super::names::Names;
use super::reader::{Reader, Schema};
use super::rules;
use super::time_intervals::TimeIntervals;
use super::yaml::Node;
use crate::domain::calm::{Calm, Repeats};
use crate::domain::message::{Audience, Kinds, MessageKind};
use crate::notify::{NotifierSettings, ReceiverSettings};

const RECEIVER: Schema = Schema {
    what: "a receiver",
    keys: &[
        "name",
        "events",
        "reminderInterval",
        "quietTimes",
        "digest",
        "slack",
        "email",
        "mailgun",
        "webhook",
        "alertmanager",
        "grafana",
    ],
    unsupported: &[],
    strict: false,
};
const DIGEST: Schema = Schema { what: "`digest`", keys: &["after", "within"], unsupported: &[], strict: true };

/// How long a digest may gather.
const SHORTEST_DIGEST: Duration = Duration::from_mins(1);
const LONGEST_DIGEST: Duration = Duration::from_hours(24);
/// How often people may be reminded.
const SHORTEST_REMINDER: Duration = Duration::from_mins(1);
const LONGEST_REMINDER: Duration = Duration::from_hours(30 * 24);

/// Reads the section; receivers of several files add up. Every name is known from then on, even that of a receiver with
/// errors.
pub(super) fn read(
    reader: &Reader<'_>,
    node: &Node,
    names: &mut Names,
    templates: &Templates,
    receivers: &mut Vec<ReceiverSettings>,
) {
    for receiver in reader.list(node, "receivers") {
        receivers.extend(read_receiver(reader, receiver, names, templates));
    }
}

fn read_receiver(
    reader: &Reader<'_>,
    node: &Node,
    names: &mut Names,
    templates: &Templates,
) -> Option<ReceiverSettings> {
    let before = reader.error_count();
    let receiver = reader.mapping(node, &RECEIVER)?;
    let name = reader.require(&receiver, "name", RECEIVER.what).and_then(|node| {
        let name = names.claim(reader, node)?;
        if name.contains('/') {
            // `<name>/<integration>` names a channel in the store.
            reader.error(&node.span, "a receiver's name has no `/`", "expected another name");
            return None;
        }
        Some(name)
    });
    let slack = receiver.get("slack").and_then(|node| slack::read(reader, node, templates));
    let email =
        receiver.get("email").and_then(|node| mail::read_email(reader, node, templates)).map(NotifierSettings::Email);
    let mailgun = receiver
        .get("mailgun")
        .and_then(|node| mail::read_mailgun(reader, node, templates))
        .map(NotifierSettings::Mailgun);
    let integrations = slack.into_iter().chain(email).chain(mailgun).chain(others::read(reader, &receiver)).collect();
    let events = receiver.get("events").map(|node| read_events(reader, node));
    if receiver
        .iter()
        .all(|(key, _, _)| matches!(key, "name" | "events" | "reminderInterval" | "quietTimes" | "digest"))
        && reader.error_count() == before
    {
        reader.error(&node.span, "this receiver reaches nobody", "give it a way, such as `slack` or `email`");
    }
    let remind = receiver.get("reminderInterval").and_then(|node| read_reminder_interval(reader, node));
    let repeats = receiver.get("digest").map_or(Some(Repeats::default()), |node| read_digest(reader, node));
    let calm = Calm { repeats, ..Calm::default() };
    Some(ReceiverSettings { name: name?, events, remind, calm, integrations })
}

/// When repeats of one story become a digest.
fn read_digest(reader: &Reader<'_>, node: &Node) -> Option<Repeats> {
    let digest = reader.mapping(node, &DIGEST)?;
    let Repeats { after, within } = Repeats::default();
    let after = digest.get("after").map_or(Some(after), |node| reader.integer(node, &(1..=1000)));
    let within =
        digest.get("within").map_or(Some(within), |node| reader.duration(node, SHORTEST_DIGEST..=LONGEST_DIGEST));
    Some(Repeats { after: after?, within: within? })
}

/// Reads the receivers' quiet times, once every time interval is known.
pub(super) fn read_quiet_times(
    reader: &Reader<'_>,
    list: &Node,
    intervals: &TimeIntervals,
    receivers: &mut [ReceiverSettings],
) {
    for node in rules::nodes(list) {
        let Some(quiet) = node.value("quietTimes") else { continue };
        let mute = intervals.named(reader, quiet);
        let name = node.value("name").map(|node| node.written.as_str());
        if let Some(receiver) = receivers.iter_mut().find(|receiver| Some(receiver.name.as_str()) == name) {
            receiver.calm.quiet.mute = mute;
        }
    }
}

/// How often somebody is reminded; zero is never.
pub(super) fn read_reminder_interval(reader: &Reader<'_>, node: &Node) -> Option<Duration> {
    let every = reader.duration(node, Duration::ZERO..=LONGEST_REMINDER)?;
    if !every.is_zero() && every < SHORTEST_REMINDER {
        reader.error(&node.span, "nobody wants to be reminded so often", "expected 1m or more, or 0 for never");
        return None;
    }
    Some(every)
}

/// Which messages: kinds by name, or `all`, `ends` and `needs_human` for several.
fn read_events(reader: &Reader<'_>, node: &Node) -> Kinds {
    const GROUPS: [&str; 3] = ["all", "ends", "needs_human"];
    let words: Vec<_> = MessageKind::ALL.iter().map(|kind| kind.as_str()).chain(GROUPS).collect();
    let named = |word: &str| {
        let word = word.to_owned();
        MessageKind::ALL.into_iter().filter(move |kind| match word.as_str() {
            "all" => true,
            "ends" => Audience::Ends.wants(*kind),
            "needs_human" => kind.needs_human(),
            word => kind.as_str() == word,
        })
    };
    let events = reader.list_or_one(node, "event");
    if node.len() == 0 {
        reader.error(&node.span, "`events` is empty", "leave it out, or say what this receiver is told");
    }
    events.iter().filter_map(|node| reader.choice(node, &words)).flat_map(named).collect()
}

fn read_url(reader: &Reader<'_>, node: &Node, text: &str) -> Option<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Some(url),
        _ => {
            reader.error(&node.span, "this is not a web address", "expected https://…");
            None
        }
    }
}
