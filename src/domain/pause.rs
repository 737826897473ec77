//! The stop switch: while a pause lasts nothing new starts of what it covers. It always has a reason and an end.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Timestamp;
use super::alert::Labels;
use super::heal::Heal;
use super::matcher::{Matcher, MatcherError};

/// Identity of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PauseId(pub Uuid);

impl fmt::Display for PauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Alertmanager's matchers, all of which must hold; never empty. Kept as they were written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct AlertMatchers {
    written: Vec<String>,
    compiled: Vec<Matcher>,
}

impl AlertMatchers {
    /// Parses matchers; each text may hold several.
    ///
    /// # Errors
    /// What Alertmanager refuses, and an empty list: it would mean everything.
    pub fn parse(written: Vec<String>) -> Result<Self, MatcherError> {
        let mut compiled = Vec::new();
        for text in &written {
            compiled.extend(Matcher::parse_list(text)?);
        }
        if compiled.is_empty() {
            return Err(MatcherError { message: "no matcher is given".to_owned(), offset: 0 });
        }
        Ok(Self { written, compiled })
    }

    /// Whether a label set satisfies all of them.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.compiled.iter().all(|matcher| matcher.matches(labels))
    }
}

impl TryFrom<Vec<String>> for AlertMatchers {
    type Error = MatcherError;

    fn try_from(written: Vec<String>) -> Result<Self, Self::Error> {
        Self::parse(written)
    }
}

impl From<AlertMatchers> for Vec<String> {
    fn from(matchers: AlertMatchers) -> Self {
        matchers.written
    }
}

impl PartialEq for AlertMatchers {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl fmt::Display for AlertMatchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written.join(", "))
    }
}

/// What a pause covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum PauseScope {
    /// Every heal.
    All,
    /// Heals of one rule.
    Rule {
        /// The rule's name.
        rule: String,
    },
    /// Heals one of whose alerts matches.
    Alerts {
        /// Which alerts.
        matchers: AlertMatchers,
    },
}

impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Rule { rule } => write!(f, "rule {rule}"),
            Self::Alerts { matchers } => write!(f, "alerts with {matchers}"),
        }
    }
}

/// A pause as a person asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct PauseRequest {
    /// What it covers.
    pub scope: PauseScope,
    /// Why; a person reads it at night.
    pub reason: String,
    /// Who asks.
    pub by: String,
    /// How long.
    pub lasts: Duration,
}

/// A pause was asked for that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PauseError {
    /// No end.
    #[error("a pause lasts from one second to {} days", Pause::LONGEST.as_secs() / 86_400)]
    Duration,
    /// No reason.
    #[error("a pause needs a reason of 1 to {} characters", Pause::MAX_REASON)]
    Reason,
    /// Nobody.
    #[error("a pause needs the name of who asks for it, 1 to {} characters", Pause::MAX_NAME)]
    By,
}

/// A pause: until it ends nothing new starts of what it covers. What runs already is finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    /// Identity.
    pub id: PauseId,
    /// What it covers.
    pub scope: PauseScope,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
}

impl Pause {
    /// Longest pause; whoever needs more takes the rule out.
    pub const LONGEST: Duration = Duration::from_hours(31 * 24);
    /// Characters of a reason.
    pub const MAX_REASON: usize = 500;
    /// Characters of a name.
    pub const MAX_NAME: usize = 100;
    /// Pauses there may be at once.
    pub const MAX_COUNT: usize = 100;

    /// The pause that was asked for.
    ///
    /// # Errors
    /// It has no end, no reason or nobody asks for it.
    pub fn new(id: PauseId, request: PauseRequest, now: Timestamp) -> Result<Self, PauseError> {
        let PauseRequest { scope, reason, by, lasts } = request;
        let fits = |text: &str, max: usize| !text.trim().is_empty() && text.chars().count() <= max;
        if !(Duration::from_secs(1)..=Self::LONGEST).contains(&lasts) {
            return Err(PauseError::Duration);
        }
        if !fits(&reason, Self::MAX_REASON) {
            return Err(PauseError::Reason);
        }
        if !fits(&by, Self::MAX_NAME) {
            return Err(PauseError::By);
        }
        Ok(Self { id, scope, reason, by, since: now, until: now + lasts })
    }

    /// Whether it lasts still.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// The pause that covers a heal now; of several the one that ends last counts.
    #[must_use]
    pub fn covering<'p>(pauses: &'p [Self], heal: &Heal, now: Timestamp) -> Option<&'p Self> {
        pauses.iter().filter(|pause| pause.is_active(now) && pause.covers(heal)).max_by_key(|pause| pause.until)
    }

    /// Whether it covers a heal. One matching alert is enough: in doubt nothing starts.
    #[must_use]
    pub fn covers(&self, heal: &Heal) -> bool {
        match &self.scope {
            PauseScope::All => true,
            PauseScope::Rule { rule } => heal.rule == *rule,
            PauseScope::Alerts { matchers } => heal.alerts.iter().any(|alert| matchers.matches(&alert.labels)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> PauseRequest {
        PauseRequest {
            scope: PauseScope::All,
            reason: "moving the rack".to_owned(),
            by: "ann".to_owned(),
            lasts: Duration::from_hours(1),
        }
    }

    #[test]
    fn a_pause_without_end_reason_or_name_is_refused() {
        let id = PauseId(Uuid::nil());
        let now = Timestamp::UNIX_EPOCH;
        assert!(Pause::new(id, request(), now).is_ok());
        for (request, error) in [
            (PauseRequest { lasts: Duration::ZERO, ..request() }, PauseError::Duration),
            (PauseRequest { lasts: Pause::LONGEST + Duration::from_secs(1), ..request() }, PauseError::Duration),
            (PauseRequest { reason: "  ".to_owned(), ..request() }, PauseError::Reason),
            (PauseRequest { reason: "x".repeat(501), ..request() }, PauseError::Reason),
            (PauseRequest { by: String::new(), ..request() }, PauseError::By),
        ] {
            assert_eq!(Pause::new(id, request, now), Err(error));
        }
    }

    #[test]
    fn the_shortest_and_the_longest_that_may_be_asked_for_are_granted() {
        let now = Timestamp::from_second(1_000).unwrap();
        let month = 31 * 24 * 3600;
        for (request, until) in [
            (PauseRequest { lasts: Duration::from_secs(1), ..request() }, 1_001),
            (PauseRequest { lasts: Duration::from_secs(month), ..request() }, 1_000 + month.cast_signed()),
            (PauseRequest { reason: "\u{fc}".repeat(500), by: "\u{fc}".repeat(100), ..request() }, 4_600),
        ] {
            let pause = Pause::new(PauseId(Uuid::nil()), request, now).unwrap();
            assert_eq!((pause.since, pause.until.as_second()), (now, until));
            assert_eq!(pause.id.to_string(), "00000000-0000-0000-0000-000000000000");
        }
        let by = "x".repeat(101);
        assert_eq!(Pause::new(PauseId(Uuid::nil()), PauseRequest { by, ..request() }, now), Err(PauseError::By));
        let says = |error: PauseError| error.to_string();
        assert_eq!(says(PauseError::Duration), "a pause lasts from one second to 31 days");
        assert_eq!(says(PauseError::Reason), "a pause needs a reason of 1 to 500 characters");
        assert_eq!(says(PauseError::By), "a pause needs the name of who asks for it, 1 to 100 characters");
    }

    #[test]
    fn what_a_pause_covers_is_said_in_the_words_it_was_asked_with() {
        let matchers = AlertMatchers::parse(vec!["job=ui".to_owned(), "severity!=info".to_owned()]).unwrap();
        for (scope, said) in [
            (PauseScope::All, "everything"),
            (PauseScope::Rule { rule: "restart".to_owned() }, "rule restart"),
            (PauseScope::Alerts { matchers }, "alerts with job=ui, severity!=info"),
        ] {
            assert_eq!(scope.to_string(), said);
        }
    }

    #[test]
    fn matchers_come_back_as_written_and_an_empty_list_means_nothing() {
        let written = vec!["job=~\"ui|post\"".to_owned(), "severity!=info".to_owned()];
        let matchers = AlertMatchers::parse(written.clone()).unwrap();
        let json = serde_json::to_string(&matchers).unwrap();
        assert_eq!(serde_json::from_str::<AlertMatchers>(&json).unwrap(), matchers);
        assert_ne!(AlertMatchers::parse(vec!["job=db".to_owned()]).unwrap(), matchers);
        let labels = |job: &str, severity: &str| {
            Labels::from([("job".to_owned(), job.to_owned()), ("severity".to_owned(), severity.to_owned())])
        };
        assert!(matchers.matches(&labels("ui", "critical")));
        assert!(!matchers.matches(&labels("ui", "info")) && !matchers.matches(&labels("db", "critical")));
        assert!(AlertMatchers::parse(Vec::new()).is_err() && AlertMatchers::parse(vec!["{}".to_owned()]).is_err());
    }
}
