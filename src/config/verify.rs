//! `verify:` — what counts as healed after an action.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::endpoint::read_tls_files;
use super::reader::{Mapping, Reader, Schema};
use super::rules::{Surroundings, read_pattern, template};
use super::yaml::{Kind, Node};
use crate::domain::evidence::{HttpProbe, Probe, ProbeTls, TcpProbe, is_host_and_port, is_web_address};
use crate::domain::rule::VerifyPolicy;
use crate::domain::template::Template;
use crate::tls::ClientTls;

const VERIFY: Schema = Schema {
    what: "`verify`",
    keys: &["within", "healthyFor", "resolved", "http", "tcp", "promql", "container"],
    unsupported: &[],
    strict: true,
};
const HTTP: Schema = Schema {
    what: "`http`",
    keys: &["url", "status", "body", "headers", "tls", "timeout"],
    unsupported: &[],
    strict: true,
};
const TLS: Schema = Schema {
    what: "`tls` of `http`",
    keys: &["caFile", "certFile", "keyFile", "insecure"],
    unsupported: &[],
    strict: true,
};
const TCP: Schema = Schema { what: "`tcp`", keys: &["address", "timeout"], unsupported: &[], strict: true };

/// A heal that takes longer than a week is a matter for people.
const WEEK: Duration = Duration::from_hours(7 * 24);
const WITHIN: RangeInclusive<Duration> = Duration::from_millis(1)..=WEEK;
const HEALTHY_FOR: RangeInclusive<Duration> = Duration::ZERO..=WEEK;
/// How long a question may take when the rule does not say, and how long it may say at most.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(1);

/// Reads the mapping. `acts_on_containers` says whether there are containers whose health can be asked.
pub(super) fn read(
    reader: &Reader<'_>,
    node: &Node,
    around: &Surroundings<'_>,
    acts_on_containers: bool,
) -> Option<VerifyPolicy<Template>> {
    let before = reader.error_count();
    let verify = reader.mapping(node, &VERIFY)?;
    let default = VerifyPolicy::<Template>::default();
    let within = verify.get("within").map_or(Some(default.within), |node| reader.duration(node, WITHIN));
    let healthy_for =
        verify.get("healthyFor").map_or(Some(default.healthy_for), |node| reader.duration(node, HEALTHY_FOR));
    let resolved = verify.get("resolved").map_or(Some(default.resolved), |node| reader.boolean(node));
    let http = verify.get("http").and_then(|node| read_http(reader, node)).map(Probe::Http);
    let tcp = verify.get("tcp").and_then(|node| read_tcp(reader, node)).map(Probe::Tcp);
    let promql = verify.get("promql").and_then(|node| read_promql(reader, node, around)).map(Probe::Promql);
    let container = verify.get("container").and_then(|node| read_container(reader, node, acts_on_containers));
    let (within, healthy_for) = (within?, healthy_for?);
    if healthy_for > within {
        let span = verify.key_span("healthyFor").unwrap_or(verify.span);
        reader.error(span, "a heal cannot hold that long before its time runs out", "must not be longer than `within`");
    }
    let probes: Vec<_> = container.into_iter().chain(http).chain(tcp).chain(promql).collect();
    if resolved == Some(false) && probes.is_empty() && reader.error_count() == before {
        let span = verify.key_span("resolved").unwrap_or(verify.span);
        let label = "name other evidence: `http`, `tcp`, `promql` or `container: healthy`";
        reader.warning(span, "without evidence every action that ends counts as healed", label);
    }
    if reader.error_count() > before {
        return None;
    }
    Some(VerifyPolicy { within, healthy_for, resolved: resolved?, probes })
}

fn read_timeout(reader: &Reader<'_>, parent: &Mapping<'_>) -> Option<Duration> {
    parent.get("timeout").map_or(Some(DEFAULT_TIMEOUT), |node| reader.duration(node, TIMEOUT))
}

fn read_http(reader: &Reader<'_>, node: &Node) -> Option<HttpProbe<Template>> {
    let http = reader.mapping(node, &HTTP)?;
    let url = reader.require(&http, "url", HTTP.what).and_then(|node| {
        read_address(reader, node, "url", is_web_address, "http://… or https://… without user and password")
    });
    let status = http.get("status").map_or(Some(Vec::new()), |node| {
        let statuses = reader.list_or_one(node, "status");
        if node.len() == 0 {
            reader.error(&node.span, "`status` is empty and no answer could count", "expected for example 200");
        }
        statuses.iter().map(|node| reader.integer(node, &(100..=599))).collect()
    });
    let body = http.get("body").map(|node| read_pattern(reader, node));
    let headers = http.get("headers").map_or(Some(BTreeMap::new()), |node| read_headers(reader, node));
    let tls = http.get("tls").map_or(Some(ProbeTls::default()), |node| read_tls(reader, node));
    let timeout = read_timeout(reader, &http);
    let body = match body {
        Some(pattern) => Some(pattern?.source().to_owned()),
        None => None,
    };
    Some(HttpProbe { url: url?, status: status?, body, headers: headers?, tls: tls?, timeout: timeout? })
}

fn read_headers(reader: &Reader<'_>, node: &Node) -> Option<BTreeMap<String, Template>> {
    let headers = reader.any_mapping(node, "`headers`")?;
    let before = reader.error_count();
    let mut read = BTreeMap::new();
    for entry in node.entries().iter().filter(|entry| matches!(entry.value.kind, Kind::Nothing)) {
        reader.error(&entry.key_span, format!("header `{}` has no value", entry.key), "give it a value or remove it");
    }
    for (name, span, value) in headers.iter() {
        if http::HeaderName::try_from(name).is_err() {
            reader.error(span, format!("`{name}` is no header's name"), "expected for example X-Probe");
        }
        read.extend(template(reader, value).map(|value| (name.to_owned(), value)));
    }
    (reader.error_count() == before).then_some(read)
}

fn read_tls(reader: &Reader<'_>, node: &Node) -> Option<ProbeTls> {
    let tls = reader.mapping(node, &TLS)?;
    let ClientTls { ca_file, cert_file, key_file } = read_tls_files(reader, &tls);
    let insecure = tls.get("insecure").and_then(|node| reader.boolean(node)).unwrap_or(false);
    Some(ProbeTls { ca_file, cert_file, key_file, insecure })
}

fn read_tcp(reader: &Reader<'_>, node: &Node) -> Option<TcpProbe<Template>> {
    let address = |node| read_address(reader, node, "address", is_host_and_port, "host:port");
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(TcpProbe { address: address(node)?, timeout: DEFAULT_TIMEOUT });
    }
    let tcp = reader.mapping(node, &TCP)?;
    let address = reader.require(&tcp, "address", TCP.what).and_then(address);
    let timeout = read_timeout(reader, &tcp);
    Some(TcpProbe { address: address?, timeout: timeout? })
}

/// A template of an address; one without template actions is checked here and now.
fn read_address(
    reader: &Reader<'_>,
    node: &Node,
    what: &str,
    is_one: fn(&str) -> bool,
    expected: &str,
) -> Option<Template> {
    reader.word(node, &format!("`{what}`"))?;
    let address = template(reader, node)?;
    if address.is_literal() && !is_one(address.source()) {
        reader.error(&node.span, "nothing can be asked there", format!("expected {expected}"));
        return None;
    }
    Some(address)
}

fn read_promql(reader: &Reader<'_>, node: &Node, around: &Surroundings<'_>) -> Option<Template> {
    reader.word(node, "`promql`")?;
    if !around.has_prometheus {
        let help = "add `prometheus: {address: http://prometheus:9090}` to the configuration".to_owned();
        reader.error_with_help(&node.span, "there is no Prometheus to ask", "needs `prometheus.address`", Some(help));
    }
    template(reader, node)
}

fn read_container(reader: &Reader<'_>, node: &Node, acts_on_containers: bool) -> Option<Probe<Template>> {
    reader.choice(node, &["healthy"])?;
    if !acts_on_containers {
        reader.error(&node.span, "this step acts on no container", "use `http`, `tcp` or `promql`");
        return None;
    }
    Some(Probe::ContainerHealthy)
}
