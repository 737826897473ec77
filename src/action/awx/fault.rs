//! What can go wrong between us and a server, in words that say what was tried, where, and what to do next.

use std::fmt;
use std::time::Duration;

use crate::action::words::bounded;
use crate::causes;
use crate::domain::decide::ActionOutcome;
use crate::domain::duration;

/// A request that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The server's name and address.
    pub place: String,
    /// What was tried: `launch template Restart`.
    pub doing: String,
    /// What happened.
    pub kind: Kind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// No connection; nothing was sent.
    NoConnection(String),
    /// No answer within this long.
    Hung(Duration),
    /// The connection broke before the answer was complete.
    Broken(String),
    /// An answer that is no success.
    Status {
        /// The status.
        status: u16,
        /// What the server said of it.
        said: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
        /// How the request is called in the server's own log.
        request: Option<String>,
    },
    /// The answer made no sense to us.
    Garbled(String),
    /// The server was not asked, because it could not be reached a moment ago.
    LeftAlone(String),
    /// The attempt's time was over.
    NoTime,
}

impl Kind {
    /// What a failed request says of itself.
    pub(super) fn of(error: reqwest::Error, limit: Duration) -> Self {
        let (connecting, hung) = (error.is_connect(), error.is_timeout());
        let said = bounded(&causes::told(&error.without_url()));
        if connecting {
            Self::NoConnection(said)
        } else if hung {
            Self::Hung(limit)
        } else {
            Self::Broken(said)
        }
    }
}

impl Fault {
    /// Whether the server cannot have acted on the request.
    pub(super) const fn never_arrived(&self) -> bool {
        match &self.kind {
            Kind::NoConnection(_) | Kind::LeftAlone(_) | Kind::NoTime => true,
            // A redirect, asking for credentials or for a pause is said before anything is done.
            Kind::Status { status, .. } => matches!(status, 300..=399 | 401 | 429),
            Kind::Hung(_) | Kind::Broken(_) | Kind::Garbled(_) => false,
        }
    }

    /// Whether the server, or what stands before it, is in trouble that may pass.
    pub(super) const fn may_pass(&self) -> bool {
        match &self.kind {
            Kind::NoConnection(_) | Kind::LeftAlone(_) | Kind::Hung(_) | Kind::Broken(_) => true,
            Kind::Status { status, .. } => matches!(status, 300..=399 | 401 | 408 | 429 | 500..=599),
            Kind::Garbled(_) | Kind::NoTime => false,
        }
    }

    /// Whether it says that the server is not there, rather than that it says no.
    pub(super) const fn is_outage(&self) -> bool {
        match &self.kind {
            Kind::NoConnection(_) | Kind::Hung(_) | Kind::Broken(_) => true,
            Kind::Status { status, .. } => *status >= 500,
            Kind::Garbled(_) | Kind::LeftAlone(_) | Kind::NoTime => false,
        }
    }

    /// The status, when there was an answer.
    pub(super) const fn status(&self) -> Option<u16> {
        match &self.kind {
            Kind::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, doing, kind } = self;
        write!(f, "could not {doing} on AWX {place}: ")?;
        match kind {
            Kind::NoConnection(said) => write!(f, "no connection: {said}; check awx.address and the network"),
            Kind::Hung(limit) => write!(f, "no answer within {}; it may hang", duration::told(*limit)),
            Kind::Broken(said) => write!(f, "the connection broke: {said}"),
            Kind::Status { status, said, request, .. } => {
                write!(f, "HTTP {status}")?;
                if !said.is_empty() {
                    write!(f, ": {said}")?;
                }
                if let Some(request) = request {
                    write!(f, " (request {request} in its log)")?;
                }
                f.write_str(advice(*status))
            }
            Kind::Garbled(said) => {
                write!(f, "the answer could not be read: {said}; is this the address of an AWX API?")
            }
            Kind::LeftAlone(said) => write!(f, "it is not asked again so soon; last it was: {said}"),
            Kind::NoTime => f.write_str("the action's time was over"),
        }
    }
}

const fn advice(status: u16) -> &'static str {
    match status {
        300..=399 => "; it is being upgraded, or the address is not the API's own (redirects are not followed)",
        401 => "; check awx.token or awx.credentials",
        403 => "; give our user Execute on the template, and Use on any inventory and credential the rule names",
        _ => "",
    }
}

impl From<Fault> for ActionOutcome {
    fn from(fault: Fault) -> Self {
        let error = fault.to_string();
        match &fault.kind {
            Kind::NoTime => Self::TimedOut,
            Kind::Status { status: 403, .. } => Self::Refused { error },
            _ if fault.may_pass() => Self::Unreachable { error },
            _ => Self::Failed { error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_end_as_the_outcome_that_fits() {
        let outcome = |kind| {
            ActionOutcome::from(Fault {
                place: "default (https://awx/api)".into(),
                doing: "launch template X".into(),
                kind,
            })
        };
        let status = |status| Kind::Status { status, said: "words".into(), retry_after: None, request: None };
        for passing in [status(503), status(401), status(302), status(429), Kind::NoConnection("refused".into())] {
            assert!(matches!(outcome(passing), ActionOutcome::Unreachable { .. }));
        }
        assert!(matches!(outcome(status(403)), ActionOutcome::Refused { error } if error.contains("Execute")));
        assert!(matches!(outcome(status(400)), ActionOutcome::Failed { error } if error.ends_with("HTTP 400: words")));
        let known = Kind::Status { status: 400, said: "x".into(), retry_after: None, request: Some("39d2".into()) };
        assert!(
            matches!(outcome(known), ActionOutcome::Failed { error } if error.ends_with(": x (request 39d2 in its log)"))
        );
        assert_eq!(outcome(Kind::NoTime), ActionOutcome::TimedOut);
    }

    #[test]
    fn nobody_reads_a_message_for_its_milliseconds() {
        let (place, doing) = ("default (https://awx/api)".to_owned(), "follow our jobs".to_owned());
        let hung = Fault { place, doing, kind: Kind::Hung(Duration::from_millis(5_999)) };
        let said = "could not follow our jobs on AWX default (https://awx/api): no answer within 6s; it may hang";
        assert_eq!(hung.to_string(), said);
    }
}
