//! Who may call what: tokens with scopes, users with passwords, clients with certificates, loopback, and no foreign pages.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use http::uri::Authority;
use http::{Method, StatusCode, Uri};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use warp::reply::Response;

use super::basic::{Basic, Verdict};
use super::layers::DELIVERIES;
use super::page::STYLE_PATH;
use super::reply;
use crate::links;
use crate::secret::Secret;
use crate::telemetry::Rejection;
use crate::token::{Caller, Scope, Token};

/// The rules of the door.
///
/// With tokens, everything asks for one with the right scope, except `/-/healthy`, `/-/ready` and `/metrics`, which stay open
/// for probes and Prometheus. Without tokens `/alerts` and whatever only looks are open to all (Alertmanager must get
/// through) and every other call is taken from loopback only, unless every connection has shown a client certificate of
/// ours. With users, every path asks for a user or a token, health and metrics too, as in the Prometheus family. A request
/// that a browser sent from another site's page may never write; where nobody is asked who they are, neither may one to a name
/// that is not ours, because any site can have its own name lead to this machine.
pub struct Access {
    tokens: Vec<Known>,
    users: Option<Basic>,
    /// Who a caller is that needs no token.
    local: Caller,
    stranger: Caller,
    certified: Option<Caller>,
    /// Host and port under which people reach us, when a proxy stands between.
    external_host: Option<String>,
}

/// A token's digest, so that comparing takes the same time whatever the length or the first difference; and who shows it.
struct Known {
    digest: [u8; 32],
    caller: Caller,
}

/// A request that may not pass, with the answer it gets.
pub struct Refusal {
    /// The answer.
    pub response: Response,
    /// What it counts as when it was a delivery.
    pub reason: Rejection,
}

/// What a call asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Nothing at all: a signed link or call says enough, and a link's page has a style.
    Nobody,
    /// Nothing, unless there are users.
    Nothing,
    /// A token with this scope.
    Scope(Scope),
}

impl Needs {
    fn of(method: &Method, path: &str) -> Self {
        let looks = method.is_safe();
        match path {
            STYLE_PATH if looks => Self::Nobody,
            _ if is_link(path) => Self::Nobody,
            // Its calls are signed.
            "/hooks/slack" => Self::Nobody,
            "/-/healthy" | "/-/ready" | "/metrics" if looks => Self::Nothing,
            DELIVERIES | "/api/v2/alerts" | "/hooks/awx" => Self::Scope(Scope::Webhook),
            // It is a question with a body.
            "/api/v1/plan" => Self::Scope(Scope::Read),
            _ if looks => Self::Scope(Scope::Read),
            _ if is_vote(path) => Self::Scope(Scope::Approve),
            _ => Self::Scope(Scope::Admin),
        }
    }
}

fn is_link(path: &str) -> bool {
    path.strip_prefix('/').and_then(|path| path.strip_prefix(links::PATH)).is_some_and(|rest| rest.starts_with('/'))
}

fn is_vote(path: &str) -> bool {
    let heal = path.strip_prefix("/api/v1/heals/").or_else(|| path.strip_prefix("/heals/"));
    heal.and_then(|rest| rest.split_once('/')).is_some_and(|(_, verb)| matches!(verb, "approve" | "deny"))
}

impl Access {
    /// Access with these tokens, or the open rules when there are none.
    #[must_use]
    pub fn new(tokens: &[Token]) -> Self {
        let known = |token: &Token| Known {
            digest: Sha256::digest(token.value.expose()).into(),
            caller: Caller::new(&token.name, &token.scopes),
        };
        Self {
            tokens: tokens.iter().map(known).collect(),
            users: None,
            local: Caller::new("local", &[Scope::Admin]),
            stranger: Caller::new("anybody", &[Scope::Webhook, Scope::Read]),
            certified: None,
            external_host: None,
        }
    }

    /// Asks for one of these users (name and bcrypt hash) on every path; a token will do as well. Nobody is asked when
    /// there are none.
    #[must_use]
    pub fn with_users(mut self, users: BTreeMap<String, Secret>) -> Self {
        self.users = Basic::new(users);
        self
    }

    /// Says that nobody gets as far as a request without a client certificate of ours.
    #[must_use]
    pub fn with_verified_clients(mut self, verified: bool) -> Self {
        self.certified = verified.then(|| Caller::new("client certificate", &[Scope::Admin]));
        self
    }

    /// The address under which people reach us: our pages may come from there, too.
    #[must_use]
    pub fn with_external_url(mut self, url: Option<&str>) -> Self {
        let uri: Option<Uri> = url.and_then(|url| url.parse().ok());
        self.external_host = uri.and_then(|uri| uri.authority().map(ToString::to_string));
        self
    }

    /// Whether callers must show who they are before they may change anything.
    #[must_use]
    pub const fn authenticates(&self) -> bool {
        !self.tokens.is_empty() || self.users.is_some() || self.certified.is_some()
    }

    /// How callers show who they are, in words.
    #[must_use]
    pub fn methods(&self) -> String {
        let methods = [
            ("bearer", !self.tokens.is_empty()),
            ("basic", self.users.is_some()),
            ("client certificate", self.certified.is_some()),
        ];
        let methods: Vec<_> = methods.iter().filter(|(_, used)| *used).map(|(name, _)| *name).collect();
        if methods.is_empty() { "none".to_owned() } else { methods.join(", ") }
    }

    /// Checks one request by its head; answers who sent it.
    ///
    /// # Errors
    /// The refusal, ready to be sent.
    pub async fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Caller, Refusal> {
        if !method.is_safe() && self.is_foreign(uri, headers) {
            let detail = "a page of another origin may not call this (the Origin header differs from Host)";
            let response = reply::problem(StatusCode::FORBIDDEN, detail);
            return Err(Refusal { response, reason: Rejection::ForeignOrigin });
        }
        if !method.is_safe() && !self.authenticates() && is_of_browser(headers) && !self.is_ours(uri, headers) {
            let detail = "without authentication a browser may call this only by localhost, by an IP address, or by the \
                          host of web.externalUrl; set that to the address people use, or set web.tokens";
            let response = reply::problem(StatusCode::FORBIDDEN, detail);
            return Err(Refusal { response, reason: Rejection::ForeignOrigin });
        }
        let needs = Needs::of(method, uri.path());
        if needs == Needs::Nobody {
            return Ok(self.stranger.clone());
        }
        let caller = match (self.token(headers), &self.users) {
            (Some(caller), _) => caller.clone(),
            (None, Some(users)) => self.user(users, headers).await?,
            (None, None) if !self.tokens.is_empty() => match needs {
                Needs::Nobody | Needs::Nothing => self.stranger.clone(),
                Needs::Scope(_) => return Err(unauthorized(reply::unauthorized())),
            },
            (None, None) => match &self.certified {
                Some(certified) => certified.clone(),
                None if peer.to_canonical().is_loopback() => self.local.clone(),
                // A stranger may deliver and look, and do nothing else, harmless or not.
                None if !method.is_safe() && uri.path() != DELIVERIES => {
                    return Err(unauthorized(self.forbidden(&self.stranger, Scope::Admin)));
                }
                None => self.stranger.clone(),
            },
        };
        match needs {
            Needs::Scope(scope) if !caller.may(scope) => Err(unauthorized(self.forbidden(&caller, scope))),
            _ => Ok(caller),
        }
    }

    /// Browsers name the page's origin on every request that could write; Alertmanager and command lines never send it.
    fn is_foreign(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        if headers.get(SEC_FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none") {
            return true;
        }
        let Some(origin) = headers.get(ORIGIN) else { return false };
        let host = asked_host(uri, headers);
        let origin_host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        match (origin_host, host) {
            (Some(origin), host) => {
                let hosts = [host, self.external_host.as_deref()];
                !hosts.into_iter().flatten().any(|host| origin.eq_ignore_ascii_case(host))
            }
            _ => true,
        }
    }

    /// Whether a request names this machine by a name that nobody else can have lead here.
    fn is_ours(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let name = |host: &str| host.parse().ok().map(|host: Authority| host.host().to_ascii_lowercase());
        let Some(asked) = asked_host(uri, headers).and_then(name) else { return false };
        asked == "localhost"
            || asked.ends_with(".localhost")
            // The browser asked for this very address, whatever names lead to it.
            || asked.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
            || self.external_host.as_deref().and_then(name).is_some_and(|external| external == asked)
    }

    fn forbidden(&self, caller: &Caller, scope: Scope) -> Response {
        let detail = if self.authenticates() {
            format!("the token {:?} has not the scope `{scope}` that this needs; see web.tokens", caller.name)
        } else {
            "without authentication this is taken from loopback only; \
             set web.tokens, or basic_auth_users in the --web-config-file, to allow it"
                .to_owned()
        };
        reply::problem(StatusCode::FORBIDDEN, &detail)
    }

    async fn user(&self, users: &Basic, headers: &HeaderMap) -> Result<Caller, Refusal> {
        match users.check(headers).await {
            Verdict::Known(name) => Ok(Caller::new(&name, &[Scope::Admin])),
            Verdict::Unknown => Err(unauthorized(reply::unauthorized_user(!self.tokens.is_empty()))),
            Verdict::Busy => {
                let response = reply::unavailable("too many passwords are being checked");
                Err(Refusal { response, reason: Rejection::Busy })
            }
        }
    }

    /// Whose token a request shows: as `Bearer`, or as the password of `Basic`, which is how a browser can send one.
    fn token(&self, headers: &HeaderMap) -> Option<&Caller> {
        if self.tokens.is_empty() {
            return None;
        }
        let value = headers.get(AUTHORIZATION)?.as_bytes();
        let token = if let Some(token) = after_scheme(value, b"Bearer ") {
            Sha256::digest(token)
        } else {
            let credentials = STANDARD.decode(after_scheme(value, b"Basic ")?).ok()?;
            let colon = credentials.iter().position(|byte| *byte == b':')?;
            Sha256::digest(&credentials[colon + 1..])
        };
        let digest: [u8; 32] = token.into();
        // Every token is compared, so that the time does not tell which one was close.
        self.tokens
            .iter()
            .fold(None, |found, known| if known.digest.ct_eq(&digest).into() { Some(&known.caller) } else { found })
    }
}

/// The host a request is for, as its sender wrote it.
fn asked_host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| uri.authority().map(Authority::as_str))
}

fn is_of_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE)
}

fn after_scheme<'v>(value: &'v [u8], scheme: &[u8]) -> Option<&'v [u8]> {
    let (found, rest) = value.split_at_checked(scheme.len())?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}

const fn unauthorized(response: Response) -> Refusal {
    Refusal { response, reason: Rejection::Unauthorized }
}

/// How browsers say where a request comes from; a page cannot set it.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

#[cfg(test)]
mod tests;
