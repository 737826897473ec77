//! What can go wrong between us and an engine, in words that say what was tried, where, and what to do next.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use bollard::errors::Error as BollardError;

use super::text;
use crate::domain::decide::ActionOutcome;
use crate::domain::duration;

/// A call to an engine that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The host's name and address.
    pub place: String,
    /// What was tried: `list the containers of otus/ui`.
    pub doing: String,
    /// What happened.
    pub kind: Kind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The socket file does not exist.
    NoSocket,
    /// Nobody listens there.
    NobodyListens,
    /// The network did not let us through.
    NoConnection(String),
    /// The socket file, the engine or a proxy before it does not let us.
    Denied(String),
    /// No answer within this long.
    Hung(Duration),
    /// TLS did not come about.
    Tls(String),
    /// The connection broke before the answer was complete.
    Broken(String),
    /// The engine does not know what we named.
    NotFound(String),
    /// The engine refused or failed.
    Api(u16, String),
    /// The answer made no sense to us.
    Garbled(String),
    /// The attempt's deadline left no time to ask.
    NoTime,
}

impl Kind {
    pub(super) fn of(error: &BollardError) -> Self {
        match error {
            BollardError::DockerResponseServerError { status_code: status @ (401 | 403), message } => {
                Self::Denied(format!("HTTP {status}: {}", text::bounded(message)))
            }
            // What Go's server says on a TLS port to a client without TLS.
            BollardError::DockerResponseServerError { status_code: 400, message }
                if message.contains("HTTPS server") =>
            {
                Self::Tls(text::bounded(message))
            }
            BollardError::DockerResponseServerError { status_code: 404, message } => {
                Self::NotFound(text::bounded(message))
            }
            BollardError::DockerResponseServerError { status_code, message } => {
                Self::Api(*status_code, text::bounded(message))
            }
            BollardError::HyperLegacyError { err } => Self::of_transport(err, err.is_connect()),
            BollardError::HyperResponseError { .. } | BollardError::IOError { .. } => Self::of_transport(error, false),
            other => Self::Garbled(text::bounded(&other.to_string())),
        }
    }

    fn of_transport(error: &(dyn StdError + 'static), connecting: bool) -> Self {
        let causes = causes(error);
        let said = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
        if causes.iter().any(|cause| cause.is::<rustls::Error>()) {
            return Self::Tls(text::bounded(&said));
        }
        if !connecting {
            return Self::Broken(text::bounded(&said));
        }
        let kind = causes.iter().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
        match kind {
            Some(io::ErrorKind::NotFound) => Self::NoSocket,
            Some(io::ErrorKind::ConnectionRefused) => Self::NobodyListens,
            Some(io::ErrorKind::PermissionDenied) => Self::Denied(text::bounded(&said)),
            _ => Self::NoConnection(text::bounded(&said)),
        }
    }
}

/// An error and everything below it, down to a depth that no sane error has.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut causes = vec![error];
    while let Some(next) = causes.last().and_then(|error| below(*error)).filter(|_| causes.len() < 16) {
        causes.push(next);
    }
    causes
}

/// The cause of an error. An [`io::Error`] that wraps another error hides it from `source`.
fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

impl Fault {
    /// Whether the engine may have got the request although we have no answer.
    pub(super) const fn may_have_arrived(&self) -> bool {
        matches!(self.kind, Kind::Hung(_) | Kind::Broken(_) | Kind::Garbled(_))
    }

    /// Whether asking again may help because the engine was not reached.
    pub(super) const fn is_unreachable(&self) -> bool {
        matches!(
            self.kind,
            Kind::NoSocket
                | Kind::NobodyListens
                | Kind::NoConnection(_)
                | Kind::Hung(_)
                | Kind::Tls(_)
                | Kind::Broken(_)
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, doing, kind } = self;
        write!(f, "could not {doing} on docker host {place}: ")?;
        match kind {
            Kind::NoSocket => {
                f.write_str("the socket file does not exist; is the engine running, and is its socket mounted here?")
            }
            Kind::NobodyListens => f.write_str("nobody listens there; is the engine running?"),
            Kind::NoConnection(said) => {
                write!(f, "no connection: {said}; check the address in docker.hosts and the network")
            }
            Kind::Denied(said) => write!(
                f,
                "permission denied ({said}); allow this user the socket (group docker) or, behind a proxy or an \
                 authorization plugin, allow the request"
            ),
            Kind::Hung(limit) => {
                write!(f, "the engine did not answer within {}; it may hang", duration::told(*limit))
            }
            Kind::Tls(said) => {
                write!(f, "TLS failed: {said}; check tls {{caFile, certFile, keyFile}} of this host, and its address")
            }
            Kind::Broken(said) => write!(f, "the connection broke: {said}"),
            Kind::NotFound(said) => write!(f, "the engine does not know it: {said}"),
            Kind::Api(status, said) => write!(f, "the engine answered HTTP {status}: {said}"),
            Kind::Garbled(said) => {
                write!(f, "the answer could not be read: {said}; is this the address of a Docker Engine?")
            }
            Kind::NoTime => f.write_str("the action's time was over"),
        }
    }
}

impl From<Fault> for ActionOutcome {
    fn from(fault: Fault) -> Self {
        let error = fault.to_string();
        match fault.kind {
            Kind::Denied(_) => Self::Refused { error },
            Kind::NotFound(_) | Kind::Api(..) | Kind::Garbled(_) => Self::Failed { error },
            Kind::NoTime => Self::TimedOut,
            _ => Self::Unreachable { error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: Kind) -> ActionOutcome {
        Fault { place: "local (unix:///s)".into(), doing: "restart container ui".into(), kind }.into()
    }

    #[test]
    fn faults_end_as_the_outcome_that_fits() {
        let denied = Kind::of(&BollardError::DockerResponseServerError { status_code: 403, message: "no".into() });
        assert!(matches!(outcome(denied), ActionOutcome::Refused { error } if error.contains("permission denied")));
        let socket = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(matches!(outcome(Kind::of_transport(&socket, true)), ActionOutcome::Refused { .. }));
        let said = "Client sent an HTTP request to an HTTPS server.".to_owned();
        let plain = Kind::of(&BollardError::DockerResponseServerError { status_code: 400, message: said });
        assert!(matches!(outcome(plain), ActionOutcome::Unreachable { error } if error.contains("TLS failed")));
        let api = Kind::of(&BollardError::DockerResponseServerError { status_code: 500, message: "oci".into() });
        assert!(matches!(outcome(api), ActionOutcome::Failed { error } if error.contains("HTTP 500: oci")));
        assert!(matches!(
            outcome(Kind::NobodyListens),
            ActionOutcome::Unreachable { error } if error.starts_with("could not restart container ui on docker host local")
        ));
        assert_eq!(outcome(Kind::NoTime), ActionOutcome::TimedOut);
    }

    #[test]
    fn tls_is_seen_below_wrapped_errors() {
        let tls = io::Error::other(io::Error::new(
            io::ErrorKind::InvalidData,
            rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer),
        ));
        assert!(matches!(Kind::of_transport(&tls, true), Kind::Tls(said) if said.contains("UnknownIssuer")));
    }
}
