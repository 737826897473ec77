//! `http:` — an address that must answer as it should.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode};

use super::client;
use crate::domain::evidence::{Answer, Finding, HttpProbe, ProbeTls};
use crate::domain::regex::Regex;
use crate::tls::{ClientTls, TlsError};

/// How much of a body is searched.
const MAX_BODY: usize = 256 * 1024;
/// Clients kept. Each set of TLS options needs one of its own.
const MAX_CLIENTS: usize = 64;

/// Asks by HTTP.
#[derive(Default)]
pub(super) struct HttpAsker {
    /// By TLS options, and whether TLS is spoken at all.
    clients: Mutex<BTreeMap<(bool, ProbeTls), Client>>,
}

impl HttpAsker {
    pub(super) async fn ask(&self, probe: &HttpProbe<String>) -> Finding {
        let url = &probe.url;
        let unknown = |why: String| Finding::new(Answer::Unknown, format!("{url} could not be asked: {why}"));
        let client = match self.client(probe) {
            Ok(client) => client,
            Err(error) => return unknown(error.to_string()),
        };
        let headers = match headers(&probe.headers) {
            Ok(headers) => headers,
            Err(name) => return unknown(format!("the value of header {name} is none after rendering")),
        };
        let request = client.get(url).headers(headers).timeout(probe.timeout);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() || client::is_about_trust(&error) => return unknown(client::said(error)),
            Err(error) => {
                return Finding::new(Answer::Fails, format!("{url} does not answer: {}", client::said(error)));
            }
        };
        let status = response.status();
        let answered = format!("{url} answers {}", status.as_u16());
        if !probe.accepts(status.as_u16()) {
            let hint = if status.is_redirection() { ", which is not followed" } else { "" };
            return Finding::new(Answer::Fails, format!("{answered}{hint} instead of {}", probe.statuses()));
        }
        let Some(pattern) = &probe.body else { return Finding::new(Answer::Holds, answered) };
        match search(response, pattern).await {
            Ok(answer) => Finding::new(answer.0, format!("{answered} {}", answer.1)),
            Err(why) => Finding::new(Answer::Fails, format!("{answered}, but its body breaks off: {why}")),
        }
    }

    fn client(&self, probe: &HttpProbe<String>) -> Result<Client, TlsError> {
        let key = (probe.url.starts_with("https:"), probe.tls.clone());
        if let Some(client) = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(client.clone());
        }
        // Built without the lock held: it reads files.
        let ProbeTls { ca_file, cert_file, key_file, insecure } = key.1.clone();
        let builder = client::begin(&ClientTls { ca_file, cert_file, key_file }, !key.0)?;
        let client = builder.tls_danger_accept_invalid_certs(insecure).build()?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn headers(wanted: &BTreeMap<String, String>) -> Result<HeaderMap, &str> {
    let mut headers = HeaderMap::new();
    for (name, value) in wanted {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(header), Ok(value)) => headers.insert(header, value),
            _ => return Err(name),
        };
    }
    Ok(headers)
}

/// Looks for a pattern in a body.
async fn search(response: reqwest::Response, pattern: &str) -> Result<(Answer, String), String> {
    let status: StatusCode = response.status();
    let (body, whole) = client::body(response, MAX_BODY).await.map_err(client::said)?;
    let found = match Regex::search(pattern) {
        Ok(regex) => regex.is_match(&String::from_utf8_lossy(&body)),
        // The rule's reader accepted it; another version may have.
        Err(error) => return Ok((Answer::Unknown, format!("but {pattern:?} cannot be searched for: {error}"))),
    };
    Ok(if found {
        (Answer::Holds, format!("with a body matching {pattern:?}"))
    } else if whole {
        (Answer::Fails, format!("with a body that does not match {pattern:?}"))
    } else {
        (Answer::Fails, format!("with a body whose first {} KiB do not match {pattern:?} ({status})", MAX_BODY / 1024))
    })
}
