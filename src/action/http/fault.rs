//! What can go wrong between us and a server, in words that say what was tried, where, and what to do next.

use std::fmt;
use std::time::Duration;

use crate::action::words::bounded;
use crate::causes;
use crate::domain::decide::ActionOutcome;
use crate::domain::duration;

/// A request that was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The server's name and address.
    pub place: String,
    /// What was tried: `send POST /jobs`.
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
    /// The server was not asked, because it could not be reached a moment ago.
    LeftAlone(String),
    /// The attempt's time was over.
    NoTime,
    /// It could not be written as a request.
    Unsendable(String),
}

impl Kind {
    /// What a failed request says of itself.
    pub(super) fn of(error: reqwest::Error, limit: Duration) -> Self {
        let (connecting, hung, building) = (error.is_connect(), error.is_timeout(), error.is_builder());
        let said = bounded(&causes::told(&error.without_url()));
        match (building, connecting, hung) {
            (true, ..) => Self::Unsendable(said),
            (_, true, _) => Self::NoConnection(said),
            (.., true) => Self::Hung(limit),
            _ => Self::Broken(said),
        }
    }
}

impl Fault {
    /// Whether the server cannot have acted on the request.
    pub(super) const fn never_arrived(&self) -> bool {
        matches!(self.kind, Kind::NoConnection(_) | Kind::LeftAlone(_) | Kind::NoTime | Kind::Unsendable(_))
    }

    /// Whether it says that the server is not there.
    pub(super) const fn is_outage(&self) -> bool {
        matches!(self.kind, Kind::NoConnection(_) | Kind::Hung(_) | Kind::Broken(_))
    }

    /// What a look that was not answered means for its attempt: nothing was tried yet.
    pub(super) fn not_asked(self) -> ActionOutcome {
        let error = self.to_string();
        match self.kind {
            Kind::Hung(_) | Kind::Broken(_) => ActionOutcome::Unreachable { error },
            _ => self.not_tried(),
        }
    }

    /// What a request that never arrived means for its attempt.
    pub(super) fn not_tried(self) -> ActionOutcome {
        let error = self.to_string();
        match self.kind {
            Kind::NoTime => ActionOutcome::TimedOut,
            Kind::Unsendable(_) => ActionOutcome::Refused { error },
            _ => ActionOutcome::Unreachable { error },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, doing, kind } = self;
        write!(f, "could not {doing} on {place}: ")?;
        match kind {
            Kind::NoConnection(said) => write!(f, "no connection: {said}; check its address and the network"),
            Kind::Hung(limit) => write!(f, "no answer within {}; it may hang", duration::told(*limit)),
            Kind::Broken(said) => write!(f, "the connection broke: {said}"),
            Kind::LeftAlone(said) => write!(f, "it is not asked again so soon; last it was: {said}"),
            Kind::NoTime => f.write_str("the action's time was over"),
            Kind::Unsendable(said) => write!(f, "it is no request that can be sent: {said}"),
        }
    }
}
