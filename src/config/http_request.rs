//! `httpRequest` of a rule, and the requests that other actions are made of.

use std::collections::BTreeMap;

use super::http_servers::{HttpSection, check_name, refuse_empty};
use super::reader::{Mapping, Reader, Schema};
use super::rules::read_pattern;
use super::tree::TreeReader;
use super::yaml::{self, Node};
use super::{endpoint, suggest};
use crate::domain::action::Tree;
use crate::domain::action::http::{
    Body, Call, Destination, HttpMethod, HttpRequest, Location, StatusRange, check_host, check_origin, mentions_late,
    write_late,
};
use crate::domain::evidence::ProbeTls;
use crate::domain::template::{ParseError, Template};
use crate::tls::ClientTls;

const REQUEST: Schema = Schema {
    what: "`httpRequest`",
    keys: &[
        "server",
        "path",
        "url",
        "hosts",
        "tls",
        "method",
        "headers",
        "body",
        "json",
        "form",
        "status",
        "bodyMatches",
        "idempotent",
        "target",
    ],
    unsupported: &[],
    strict: true,
};

/// What is known of a job where a text is used; more than that it may not ask for.
pub(super) type Known = &'static [&'static str];

/// Of a request there is only its key.
const KEY: Known = &["key"];

/// Reads the action.
pub(super) fn read(reader: &Reader<'_>, node: &Node, servers: &HttpSection) -> Option<HttpRequest<Template>> {
    let request = reader.mapping(node, &REQUEST)?;
    let before = reader.error_count();
    let tls = endpoint::read_tls(reader, &request);
    let place = match (request.get("url"), request.key_span("path")) {
        (Some(node), None) => read_url(reader, &request, node, tls),
        (Some(_), Some(span)) => {
            reader.error(span, "`path` and `url` exclude each other", "a `url` has its path in it");
            None
        }
        (None, _) => {
            for key in ["hosts", "tls"] {
                if let Some(span) = request.key_span(key) {
                    let help = Some("a server's address and TLS stand in `http.servers`".to_owned());
                    reader.error_with_help(span, format!("`{key}` belongs to a `url`"), "remove it", help);
                }
            }
            let server = servers.server_for(reader, &request).map(Destination::Server);
            let location =
                reader.require(&request, "path", REQUEST.what).and_then(|node| read_location(reader, node, KEY));
            server.zip(location)
        }
    };
    let call = read_call(reader, &request, place.as_ref().map(|(_, location)| location.clone()), KEY, None);
    let body_matches = request.get("bodyMatches").and_then(|node| read_pattern(reader, node));
    let idempotent = request.get("idempotent").and_then(|node| reader.boolean(node));
    let target = request.get("target").and_then(|node| read_text(reader, node, "target", &[]));
    let read = HttpRequest {
        to: place?.0,
        call: call?,
        body_matches: body_matches.map(|pattern| pattern.source().to_owned()),
        idempotent,
        target,
    };
    (reader.error_count() == before).then_some(read)
}

/// Method, headers, body and statuses, where the path is known.
pub(super) fn read_call(
    reader: &Reader<'_>,
    call: &Mapping<'_>,
    location: Option<Location<Template>>,
    known: Known,
    default: Option<HttpMethod>,
) -> Option<Call<Template>> {
    let body = read_body(reader, call, known);
    let method = match call.get("method") {
        Some(node) => read_method(reader, node),
        // Whoever sends something means to change something; whoever sends nothing should say what is meant.
        None if body.is_some() => Some(HttpMethod::Post),
        None if default.is_some() => default,
        None => {
            reader.error(call.span, "say what is asked for", "`method` is missing");
            None
        }
    };
    if let (Some(HttpMethod::Get | HttpMethod::Head), Some(_)) = (method, &body)
        && let Some(span) = call.key_span("method")
    {
        reader.error(span, "a look carries no body", "expected POST, PUT, PATCH or DELETE");
    }
    let headers = call.get("headers").map_or_else(BTreeMap::new, |node| read_headers(reader, node, known));
    let status = call.get("status").map_or_else(Vec::new, |node| read_statuses(reader, node));
    Some(Call { method: method?, location: location?, headers, body, status, json_texts: Vec::new() })
}

fn read_method(reader: &Reader<'_>, node: &Node) -> Option<HttpMethod> {
    let words = HttpMethod::ALL.map(HttpMethod::as_str);
    let word = reader.choice(node, &words)?;
    HttpMethod::ALL.into_iter().find(|method| method.as_str() == word)
}

/// A text that may ask for what is known of the job.
pub(super) fn read_text(reader: &Reader<'_>, node: &Node, key: &str, known: Known) -> Option<Template> {
    let source = reader.word(node, &format!("`{key}`"))?;
    parse(reader, node, source, known)
}

fn parse(reader: &Reader<'_>, node: &Node, source: &str, known: Known) -> Option<Template> {
    let written = write_late(source);
    refuse_unknown(reader, node, &written, known)?;
    match Template::parse(&written) {
        Ok(template) => Some(template),
        Err(error) => {
            bad_template(reader, node, source, &written, &error);
            None
        }
    }
}

fn bad_template(reader: &Reader<'_>, node: &Node, source: &str, written: &str, error: &ParseError) {
    // Marks are shorter than what they stand for, so that places behind one have moved.
    let place =
        if source == written { reader.within(node, error.offset, error.length.max(1)) } else { node.span.clone() };
    let label = "expected a Go template";
    reader.error_with_help(&place, format!("bad template: {}", error.message), label, job_help(source));
}

/// What to say to somebody who wants more of a job's facts than there is.
fn job_help(source: &str) -> Option<String> {
    source.contains("$job").then(|| "expected {{ $job.id }} or {{ $job.key }}, without a pipe".to_owned())
}

/// Refuses a text that asks for what nobody knows yet.
fn refuse_unknown(reader: &Reader<'_>, node: &Node, written: &str, known: Known) -> Option<()> {
    let unknown = ["id", "key", "queue"].into_iter().find(|name| !known.contains(name) && mentions_late(written, name));
    let Some(name) = unknown else { return Some(()) };
    let label = if known.is_empty() {
        "nothing is known of a job here".to_owned()
    } else {
        format!("known here: {}", known.join(", "))
    };
    reader.error(&node.span, format!("`$job.{name}` is not known here"), label);
    None
}

/// A path with a query.
pub(super) fn read_location(reader: &Reader<'_>, node: &Node, known: Known) -> Option<Location<Template>> {
    let source = reader.word(node, "a path")?;
    parse_location(reader, node, source, 0, known)
}

fn parse_location(
    reader: &Reader<'_>,
    node: &Node,
    source: &str,
    begin: usize,
    known: Known,
) -> Option<Location<Template>> {
    let written = write_late(source);
    refuse_unknown(reader, node, &written, known)?;
    match Location::parse(&written) {
        Ok(location) => Some(location),
        Err(error) => {
            let place = if source == written {
                reader.within(node, begin + error.offset, error.length.max(1))
            } else {
                node.span.clone()
            };
            let label = "expected for example /jobs/{{ $labels.job }}";
            reader.error_with_help(&place, format!("bad path: {}", error.message), label, job_help(source));
            None
        }
    }
}

/// A whole address. What stands before its path is the rule's, or one of the hosts that it lists.
fn read_url(
    reader: &Reader<'_>,
    request: &Mapping<'_>,
    node: &Node,
    tls: ClientTls,
) -> Option<(Destination<Template>, Location<Template>)> {
    if let Some(span) = request.key_span("server") {
        reader.error(span, "`server` and `url` exclude each other", "a `server` takes a `path`");
    }
    let source = reader.word(node, "`url`")?;
    let scheme = ["http://", "https://"].into_iter().find(|scheme| source.starts_with(scheme));
    let Some(scheme) = scheme else {
        reader.error(&node.span, "this is no address", "expected http://… or https://…, the scheme without a template");
        return None;
    };
    let rest = &source[scheme.len()..];
    let cut = outside_actions(rest).find(|(_, sign)| "/?#".contains(*sign)).map_or(rest.len(), |(at, _)| at);
    let (origin_text, path) = source.split_at(scheme.len() + cut);
    let origin = parse(reader, node, origin_text, &[])?;
    let hosts = request.get("hosts").map(|node| read_hosts(reader, node));
    if origin.is_literal() {
        if let Some(span) = request.key_span("hosts") {
            reader.error(span, "`hosts` lists what an alert may name, and this address names its host", "remove it");
        }
        if let Err(why) = check_origin(origin_text, None) {
            reader.error(
                &reader.within(node, 0, origin_text.len()),
                format!("this address {why}"),
                "nobody can be asked there",
            );
            return None;
        }
    } else if hosts.is_none() {
        let help = Some("add `hosts: [ui, '*.example.com']`, or name a `server` of the configuration".to_owned());
        reader.error_with_help(
            &reader.within(node, scheme.len(), cut),
            "an alert would choose whom this is sent to",
            "needs `hosts`",
            help,
        );
        return None;
    }
    let path_text = if path.is_empty() {
        "/".to_owned()
    } else if path.starts_with('?') {
        format!("/{path}")
    } else {
        path.to_owned()
    };
    let shift = path_text.len() - path.len();
    let location = parse_location(reader, node, &path_text, origin_text.len().saturating_sub(shift), KEY)?;
    let ClientTls { ca_file, cert_file, key_file } = tls;
    // An action is never sent to somebody who is not known.
    let tls = ProbeTls { ca_file, cert_file, key_file, insecure: false };
    Some((Destination::Origin { origin, hosts: hosts.unwrap_or_default(), tls }, location))
}

/// The characters of a text that stand in no template action.
fn outside_actions(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut depth_ends = 0;
    text.char_indices().filter(move |(at, _)| {
        if *at >= depth_ends && text[*at..].starts_with("{{") {
            depth_ends = text[*at..].find("}}").map_or(text.len(), |end| at + end + 2);
        }
        *at >= depth_ends
    })
}

fn read_hosts(reader: &Reader<'_>, node: &Node) -> Vec<String> {
    let items = reader.list_or_one(node, "host");
    if node.len() == 0 {
        reader.error(&node.span, "`hosts` is empty and no host could be named", "expected at least one");
    }
    let host = |item| {
        let host = reader.word(item, "a host")?;
        if !check_host(host) {
            reader.error(&item.span, format!("{host:?} is no host"), "expected ui, ui:8080 or *.example.com");
            return None;
        }
        Some(host.to_owned())
    };
    items.iter().filter_map(host).collect()
}

fn read_headers(reader: &Reader<'_>, node: &Node, known: Known) -> BTreeMap<String, Template> {
    let Some(headers) = reader.any_mapping(node, "`headers`") else { return BTreeMap::new() };
    refuse_empty(reader, node, "header");
    let mut read = BTreeMap::new();
    for (name, span, value) in headers.iter() {
        if ["authorization", "proxy-authorization", "cookie"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            let help = Some("rules are logged and shown; credentials stand in `http.servers`".to_owned());
            reader.error_with_help(span, format!("`{name}` does not belong into a rule"), "a credential", help);
        } else if check_name(reader, name, span) {
            read.extend(read_text(reader, value, name, known).map(|value| (name.to_owned(), value)));
        }
    }
    read
}

fn read_body(reader: &Reader<'_>, call: &Mapping<'_>, known: Known) -> Option<Body<Template>> {
    let given: Vec<_> = ["body", "json", "form"].into_iter().filter(|key| call.get(key).is_some()).collect();
    if let [_, second, ..] = given.as_slice()
        && let Some(span) = call.key_span(second)
    {
        reader.error(span, "a request has one of `body`, `json` and `form`", "one too many");
    }
    let key = given.first()?;
    let node = call.get(key)?;
    match *key {
        "json" => read_json(reader, node, known).map(Body::Json),
        "form" => {
            let fields = reader.any_mapping(node, "`form`")?;
            refuse_empty(reader, node, "field");
            let field = |(name, _, value): (&str, _, &Node)| {
                let source = reader.plain(value)?;
                Some((name.to_owned(), parse(reader, value, source, known)?))
            };
            Some(Body::Form(fields.iter().filter_map(field).collect()))
        }
        _ => read_body_text(reader, node, known),
    }
}

/// A value of any depth.
pub(super) fn read_json(reader: &Reader<'_>, node: &Node, known: Known) -> Option<Tree<Template>> {
    let text = |reader: &Reader<'_>, node: &Node| {
        let source = reader.plain(node)?;
        parse(reader, node, source, known)
    };
    TreeReader { text: &text, keeps_nothing: true }.read(reader, node)
}

/// A text. One that is JSON is taken apart before an alert is seen, so that what an alert says stays inside the value it is put
/// into.
fn read_body_text(reader: &Reader<'_>, node: &Node, known: Known) -> Option<Body<Template>> {
    let source = reader.verbatim(node)?;
    let begins = source.trim_start().starts_with(['{', '[']) && !source.trim_start().starts_with("{{");
    if !begins {
        return parse(reader, node, reader.plain(node)?, known).map(Body::Text);
    }
    if serde_json::from_str::<serde_json::Value>(source).is_err() {
        reader.error(
            &node.span,
            "this text begins like JSON and is none",
            "use `json:`, which takes templates in every text",
        );
        return None;
    }
    // JSON is YAML, and this reader keeps numbers as they are written. References are looked for in its values.
    let (file, root) = yaml::read(reader.file.path().to_owned(), "body".to_owned(), source.to_owned()).ok()?;
    let problems = std::cell::RefCell::default();
    let inner = Reader::new(&file, reader.secrets, &problems, reader.sources);
    let tree = read_json(&inner, &root, known);
    for problem in problems.borrow().iter() {
        reader.error_with_help(&node.span, problem.message.clone(), "inside this text", problem.help.clone());
    }
    tree.map(Body::Json)
}

/// `200`, `2xx`, `200-299`, or a list of such.
fn read_statuses(reader: &Reader<'_>, node: &Node) -> Vec<StatusRange> {
    if node.len() == 0 {
        reader.error(&node.span, "`status` is empty and no answer could count", "expected for example 200");
    }
    let read = |item: &Node| {
        let text = reader.plain(item)?.trim();
        let number = |text: &str| text.parse::<u16>().ok().filter(|status| (100..=599).contains(status));
        let range = match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(class), _) => number(&format!("{class}00")).map(|from| StatusRange(from, from + 99)),
            (None, Some((from, to))) => number(from).zip(number(to)).map(|(from, to)| StatusRange(from, to)),
            (None, None) => number(text).map(|status| StatusRange(status, status)),
        };
        let range = range.filter(|StatusRange(from, to)| from <= to);
        if range.is_none() {
            let help = suggest::guess(text, ["2xx", "3xx", "4xx"]);
            reader.error_with_help(&item.span, "this is no status", "expected 200, 2xx or 200-299", help);
        }
        range
    };
    reader.list_or_one(node, "status").iter().filter_map(read).collect()
}
