//! Who may call what: bearer tokens, users with passwords, clients with certificates, loopback, and no foreign pages.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use http::{Method, StatusCode, Uri};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use warp::reply::Response;

use super::basic::{Basic, Verdict};
use super::reply;
use crate::secret::Secret;
use crate::telemetry::Rejection;

/// The rules of the door.
///
/// With tokens, `/alerts`, `/api/` and every write call ask for one; `/-/healthy`, `/-/ready` and `/metrics` stay open for
/// probes and Prometheus. Without tokens `/alerts` is open to all (Alertmanager must get through) and every other write call is
/// taken from loopback only, unless every connection has shown a client certificate of ours. With users, every path asks for
/// a user or a token, health and metrics too, as in the Prometheus family. A request that a browser sent from another site's
/// page may never write.
pub struct Access {
    /// Digests, so that comparing takes the same time whatever the length or the first difference.
    tokens: Vec<[u8; 32]>,
    users: Option<Basic>,
    verified_clients: bool,
}

/// A request that may not pass, with the answer it gets.
pub struct Refusal {
    /// The answer.
    pub response: Response,
    /// What it counts as when it was a delivery.
    pub reason: Rejection,
}

impl Access {
    /// Access with these tokens, or the open rules when there are none.
    #[must_use]
    pub fn new(tokens: &[Secret]) -> Self {
        let tokens = tokens.iter().map(|token| Sha256::digest(token.expose()).into()).collect();
        Self { tokens, users: None, verified_clients: false }
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
    pub const fn with_verified_clients(mut self, verified: bool) -> Self {
        self.verified_clients = verified;
        self
    }

    /// Whether callers must show who they are before they may change anything.
    #[must_use]
    pub const fn authenticates(&self) -> bool {
        !self.tokens.is_empty() || self.users.is_some() || self.verified_clients
    }

    /// How callers show who they are, in words.
    #[must_use]
    pub fn methods(&self) -> String {
        let methods = [
            ("bearer", !self.tokens.is_empty()),
            ("basic", self.users.is_some()),
            ("client certificate", self.verified_clients),
        ];
        let methods: Vec<_> = methods.iter().filter(|(_, used)| *used).map(|(name, _)| *name).collect();
        if methods.is_empty() { "none".to_owned() } else { methods.join(", ") }
    }

    /// Checks one request by its head.
    ///
    /// # Errors
    /// The refusal, ready to be sent.
    pub async fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap, peer: IpAddr) -> Result<(), Refusal> {
        let path = uri.path();
        let writes = !method.is_safe();
        if writes && is_foreign(uri, headers) {
            let detail = "a page of another origin may not call this (the Origin header differs from Host)";
            let response = reply::problem(StatusCode::FORBIDDEN, detail);
            return Err(Refusal { response, reason: Rejection::ForeignOrigin });
        }
        if let Some(users) = &self.users {
            return if self.knows_token(headers) { Ok(()) } else { self.check_user(users, headers).await };
        }
        if !self.tokens.is_empty() {
            let guarded = writes || path == "/alerts" || path.starts_with("/api/");
            if guarded && !self.knows_token(headers) {
                return Err(Refusal { response: reply::unauthorized(), reason: Rejection::Unauthorized });
            }
        } else if writes && path != "/alerts" && !self.verified_clients && !peer.to_canonical().is_loopback() {
            let detail = "without authentication this is taken from loopback only; \
                          set web.bearerTokens, or basic_auth_users in the --web-config-file, to allow it";
            let response = reply::problem(StatusCode::FORBIDDEN, detail);
            return Err(Refusal { response, reason: Rejection::Unauthorized });
        }
        Ok(())
    }

    async fn check_user(&self, users: &Basic, headers: &HeaderMap) -> Result<(), Refusal> {
        match users.check(headers).await {
            Verdict::Known => Ok(()),
            Verdict::Unknown => {
                let response = reply::unauthorized_user(!self.tokens.is_empty());
                Err(Refusal { response, reason: Rejection::Unauthorized })
            }
            Verdict::Busy => {
                let response = reply::unavailable("too many passwords are being checked");
                Err(Refusal { response, reason: Rejection::Busy })
            }
        }
    }

    fn knows_token(&self, headers: &HeaderMap) -> bool {
        let Some((scheme, token)) =
            headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked("Bearer ".len()))
        else {
            return false;
        };
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return false;
        }
        let digest: [u8; 32] = Sha256::digest(token.trim_ascii()).into();
        // Every token is compared, so that the time does not tell which one was close.
        self.tokens.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&digest)).into()
    }
}

/// Browsers name the page's origin on every request that could write; Alertmanager and command lines never send it.
fn is_foreign(uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let origin_host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    match (origin_host, host) {
        (Some(origin), Some(host)) => !origin.eq_ignore_ascii_case(host),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn status(access: &Access, call: &(Method, &str), headers: &[(http::HeaderName, &str)], peer: &str) -> u16 {
        let uri: Uri = call.1.parse().unwrap();
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        // Without users nothing is ever waited for.
        match access.check(&call.0, &uri, &headers, peer.parse().unwrap()).now_or_never().unwrap() {
            Ok(()) => 200,
            Err(refusal) => refusal.response.status().as_u16(),
        }
    }

    #[test]
    fn with_tokens_alerts_and_api_ask_for_one_and_probes_do_not() {
        let access = Access::new(&[Secret::new("first"), Secret::new("second")]);
        let table: [(&str, &str, u16); 12] = [
            ("/alerts", "Bearer first", 200),
            ("/alerts", "bearer second", 200),
            ("/alerts", "Bearer third", 401),
            ("/alerts", "Bearer ", 401),
            ("/alerts", "Basic first", 401),
            ("/alerts", "first", 401),
            ("/api/v1/heals", "Bearer firs", 401),
            ("/api/v1/heals", "Bearer first", 200),
            ("/-/reload", "x", 401),
            ("/metrics", "x", 200),
            ("/-/ready", "x", 200),
            ("/-/healthy", "x", 200),
        ];
        for (path, authorization, expected) in table {
            let method = if matches!(path, "/alerts" | "/-/reload") { Method::POST } else { Method::GET };
            let headers = [(AUTHORIZATION, authorization)];
            assert_eq!(status(&access, &(method, path), &headers, "10.0.0.9"), expected, "{path} {authorization}");
        }
        assert_eq!(status(&access, &(Method::POST, "/alerts"), &[], "127.0.0.1"), 401);
    }

    #[test]
    fn without_tokens_only_alerts_may_be_written_from_afar() {
        let access = Access::new(&[]);
        let table = [
            (Method::POST, "/alerts", "10.0.0.9", 200),
            (Method::GET, "/api/v1/heals", "10.0.0.9", 200),
            (Method::POST, "/api/v1/plan", "10.0.0.9", 403),
            (Method::DELETE, "/api/v1/anything", "2001:db8::1", 403),
            (Method::POST, "/api/v1/plan", "127.0.0.1", 200),
            (Method::POST, "/api/v1/plan", "::1", 200),
            (Method::POST, "/api/v1/plan", "::ffff:127.0.0.1", 200),
            (Method::POST, "/api/v1/plan", "::ffff:10.0.0.9", 403),
        ];
        for (method, path, peer, expected) in table {
            assert_eq!(status(&access, &(method, path), &[], peer), expected, "{path} {peer}");
        }
    }

    #[test]
    fn whoever_had_to_show_a_certificate_may_write_from_afar() {
        let access = Access::new(&[]).with_verified_clients(true);
        assert_eq!(status(&access, &(Method::POST, "/api/v1/plan"), &[], "10.0.0.9"), 200);
        assert!(access.authenticates());
        let access = Access::new(&[Secret::new("first")]).with_verified_clients(true);
        assert_eq!(status(&access, &(Method::POST, "/alerts"), &[], "10.0.0.9"), 401, "a token is still asked for");
        assert_eq!(access.methods(), "bearer, client certificate");
    }

    #[test]
    fn a_foreign_page_may_not_write_not_even_to_alerts() {
        let access = Access::new(&[]);
        let table = [
            ("http://evil.example", 403),
            ("null", 403),
            ("http://localhost:9099", 200),
            ("http://localhost:9098", 403),
        ];
        for (origin, expected) in table {
            let headers = [(ORIGIN, origin), (HOST, "localhost:9099")];
            assert_eq!(status(&access, &(Method::POST, "/alerts"), &headers, "127.0.0.1"), expected, "{origin}");
        }
    }
}
