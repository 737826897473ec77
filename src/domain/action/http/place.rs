//! Where below a server a request goes: a path and a query, cut into parts when the rule is read, so that what an alert says
//! stays inside the part it is put into.

use serde::{Deserialize, Serialize};

use super::super::ActionRenderError;
use super::{late, render_word};
use crate::domain::template::{AlertContext, Template, plain_parts};

/// A path and a query. A part that is a template is percent-encoded as a whole once rendered; any other stands as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Location<Text> {
    /// What stands between the slashes.
    pub path: Vec<Text>,
    /// Names and values.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, Text)>,
}

/// A text is no path with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LocationError {
    /// What is wrong.
    pub message: String,
    /// Byte offset in the text where it is wrong.
    pub offset: usize,
    /// Length in bytes of what is wrong; 0 when unknown.
    pub length: usize,
}

impl Location<Template> {
    /// Reads a text such as `/api/jobs/{{ $labels.job }}/run?force=true`.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(source: &str) -> Result<Self, LocationError> {
        let fail = |message: &str, offset, length| LocationError { message: message.to_owned(), offset, length };
        let plain = plain_parts(source).map_err(|error| LocationError {
            message: error.message,
            offset: error.offset,
            length: error.length,
        })?;
        let signs = |wanted: char| {
            let within = |range: &std::ops::Range<usize>| {
                let start = range.start;
                source[range.clone()].match_indices(wanted).map(move |(at, _)| start + at).collect::<Vec<_>>()
            };
            plain.iter().flat_map(within).collect::<Vec<_>>()
        };
        if let Some(at) = signs('#').first() {
            return Err(fail("a server never sees what stands behind #", *at, 1));
        }
        let question = signs('?').first().copied();
        let end = question.unwrap_or(source.len());
        if !source.starts_with('/') {
            return Err(fail("a path begins with a slash", 0, 1));
        }
        let cuts: Vec<usize> = signs('/').into_iter().filter(|at| (1..end).contains(at)).chain([end]).collect();
        let mut begin = 1;
        let mut path = Vec::with_capacity(cuts.len());
        for cut in cuts {
            path.push(part(source, begin..cut, true)?);
            begin = cut + 1;
        }
        let mut query = Vec::new();
        if let Some(question) = question {
            let cuts = signs('&').into_iter().filter(|at| *at > question).chain([source.len()]);
            let equals = signs('=');
            let mut begin = question + 1;
            for cut in cuts {
                let equal = equals.iter().copied().find(|at| (begin..cut).contains(at));
                let equal = equal.ok_or_else(|| fail("expected name=value", begin, cut.saturating_sub(begin)))?;
                let name = part(source, begin..equal, false)?;
                if !name.is_literal() || name.source().is_empty() {
                    return Err(fail("the name of a parameter is no template", begin, equal - begin));
                }
                query.push((name.source().to_owned(), part(source, equal + 1..cut, false)?));
                begin = cut + 1;
            }
        }
        Ok(Self { path, query })
    }

    /// Renders every part.
    ///
    /// # Errors
    /// A template that fails, an empty part, and one that would lead elsewhere.
    pub fn render(&self, alert: AlertContext<'_>) -> Result<Location<String>, ActionRenderError> {
        let render = |field: &str, text: &Template, is_path: bool| {
            if text.is_literal() {
                return Ok(text.source().to_owned());
            }
            let rendered = render_word(field, text, alert)?;
            if is_path && matches!(rendered.as_str(), "." | "..") {
                let why = "would lead to another path".to_owned();
                return Err(ActionRenderError::Unsafe { field: field.to_owned(), rendered, why });
            }
            Ok(encode(&rendered))
        };
        let query = self.query.iter();
        Ok(Location {
            path: self.path.iter().map(|text| render("path", text, true)).collect::<Result<_, _>>()?,
            query: query
                .map(|(name, text)| Ok((name.clone(), render(&format!("query parameter {name}"), text, false)?)))
                .collect::<Result<_, ActionRenderError>>()?,
        })
    }

    /// Every text of it.
    pub fn texts(&self) -> impl Iterator<Item = &Template> {
        self.path.iter().chain(self.query.iter().map(|(_, text)| text))
    }
}

impl Location<Template> {
    /// What stands in the request's first line when no part is a template.
    #[must_use]
    pub fn as_written(&self) -> String {
        let written = |text: &Template| text.source().to_owned();
        let query = self.query.iter().map(|(name, text)| (name.clone(), written(text)));
        Location { path: self.path.iter().map(written).collect(), query: query.collect() }.path_and_query()
    }
}

impl Location<String> {
    /// What stands in the request's first line.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let path = format!("/{}", self.path.join("/"));
        if self.query.is_empty() {
            return path;
        }
        let pairs: Vec<_> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{path}?{}", pairs.join("&"))
    }

    /// As [`Location::path_and_query`], with what is known of the job in its place.
    #[must_use]
    pub fn with(&self, facts: late::Facts<'_>) -> String {
        facts.fill(&self.path_and_query(), encode)
    }
}

/// One part. What stands beside a template is encoded with it, so it must be plain; what has none is its author's own.
fn part(source: &str, range: std::ops::Range<usize>, is_path: bool) -> Result<Template, LocationError> {
    let text = &source[range.clone()];
    let fail = |message: String, offset: usize, length| LocationError { message, offset: range.start + offset, length };
    let template = Template::parse(text).map_err(|error| {
        let message = format!("{}; a template stays between two of the signs / ? & =", error.message);
        fail(message, error.offset, error.length)
    })?;
    if !template.is_literal() {
        return Ok(template);
    }
    if is_path && matches!(text, "." | "..") {
        return Err(fail("a path does not lead back".to_owned(), 0, text.len()));
    }
    let bytes = text.as_bytes();
    for (at, c) in text.char_indices() {
        let is_plain = c.is_ascii_alphanumeric() || "-._~!$'()*,;:@+".contains(c) || late::is_mark(c);
        let is_fine = match c {
            '%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
            '/' | '?' | '=' => !is_path,
            other => is_plain || (is_path && matches!(other, '=' | '&')),
        };
        if !is_fine {
            return Err(fail(format!("{c:?} must be percent-encoded in an address"), at, c.len_utf8()));
        }
    }
    Ok(template)
}

/// Everything but letters, digits and `-._~` percent-encoded; marks stay.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    let mut in_mark = false;
    for c in text.chars() {
        if late::is_mark(c) {
            in_mark = !in_mark;
            encoded.push(c);
        } else if in_mark || c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') {
            encoded.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
                encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    encoded
}

/// Whether a text is scheme, host and port and nothing else, and, where an alert had a say in it, one of the hosts a rule
/// lists.
///
/// # Errors
/// What is wrong, after «it».
pub fn check_origin(origin: &str, hosts: Option<&[String]>) -> Result<(), String> {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let rest = rest.ok_or_else(|| "begins neither with http:// nor with https://".to_owned())?;
    let (host, port) = split_port(rest).ok_or_else(|| "is no host with or without a port".to_owned())?;
    let Some(hosts) = hosts else { return Ok(()) };
    let is_listed = hosts.iter().any(|listed| {
        let (is_domain, pattern) = listed.strip_prefix("*.").map_or((false, listed.as_str()), |domain| (true, domain));
        let Some((pattern, wanted_port)) = split_port(pattern) else { return false };
        let same_port = wanted_port.is_none() || wanted_port == port;
        let same_host = if is_domain { is_below(host, pattern) } else { host.eq_ignore_ascii_case(pattern) };
        same_port && same_host
    });
    if is_listed { Ok(()) } else { Err("is none of the `hosts` that the rule lists".to_owned()) }
}

/// Whether a text can stand in a list of hosts: `ui`, `ui:8080`, `*.example.com`.
#[must_use]
pub fn check_host(text: &str) -> bool {
    split_port(text.strip_prefix("*.").unwrap_or(text)).is_some()
}

/// Whether a host belongs to a domain.
fn is_below(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    host.strip_suffix(&domain).is_some_and(|before| before.len() > 1 && before.ends_with('.'))
}

/// Host and port; `None` when the text is neither.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            (host, Some(port.parse().ok().filter(|port| is_number && *port != 0)?))
        }
        _ => (text, None),
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) && !host.starts_with(['.', '-']),
    };
    (is_host && !host.is_empty()).then_some((host, port))
}
