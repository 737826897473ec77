//! `httpRequest`: one call, sent once. An answer that got lost leaves nobody the wiser, so only what does no harm twice is sent twice.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::{Answer, Client, Sending, said};
use super::fault::Fault;
use crate::action::{Assignment, Progress, Resumption};
use crate::domain::action::http::{Facts, HttpRequest};
use crate::domain::decide::ActionOutcome;
use crate::domain::duration;
use crate::domain::regex::Regex;

/// What the store keeps once the answer is there.
#[derive(Serialize, Deserialize)]
struct Answered {
    what: String,
}

/// A request on its way.
pub(super) struct Requesting<'r> {
    pub client: &'r Client,
    pub request: &'r HttpRequest<String>,
    pub assignment: &'r Assignment,
}

impl Requesting<'_> {
    fn name(&self) -> String {
        let call = &self.request.call;
        let shown = crate::domain::action::http::shown(&call.location.path_and_query());
        format!("{} {}", call.method.as_str(), self.client.address(&shown))
    }

    /// What will be sent, in words.
    pub(super) fn found(&self) -> String {
        format!("{} is to answer {}", self.name(), self.request.call.statuses())
    }

    /// Sends it, and says what came back.
    pub(super) async fn send(&self) -> Result<(Value, String), ActionOutcome> {
        let key = self.assignment.attempt.to_string();
        let facts = Facts { key: &key, ..Facts::default() };
        let doing = format!("send {}", self.request.call.method.as_str());
        let sending = Sending::of(&self.request.call, facts, &doing);
        let until = self.assignment.deadline - super::last_words(self.assignment);
        let answer = match self.client.send(&sending, until).await {
            Ok(answer) => answer,
            Err(fault) if fault.never_arrived() => return Err(fault.not_tried()),
            Err(fault) => return Err(self.lost(&fault)),
        };
        let what = self.judge(&answer)?;
        let answered = serde_json::to_value(Answered { what: what.clone() }).unwrap_or_default();
        Ok((answered, what))
    }

    /// Nobody knows whether it was done.
    fn lost(&self, fault: &Fault) -> ActionOutcome {
        if self.request.is_idempotent() {
            return ActionOutcome::Failed { error: format!("{fault}; sending it again does no harm") };
        }
        ActionOutcome::Doubtful {
            error: format!(
                "{fault}; whether it was done is not known, and it is not sent again: look there (Idempotency-Key {}); if twice does no harm, say `idempotent: true`",
                self.assignment.attempt
            ),
        }
    }

    /// What an answer means.
    fn judge(&self, answer: &Answer) -> Result<String, ActionOutcome> {
        let call = &self.request.call;
        let answered = format!("{} answered {} after {}", self.name(), said(answer), duration::told(answer.took));
        if call.accepts(answer.status) {
            return match self.body_fits(answer) {
                Ok(()) => Ok(answered),
                Err(why) => Err(ActionOutcome::Failed { error: format!("{answered}; {why}") }),
            };
        }
        let error = format!("{answered}; expected {}", call.statuses());
        Err(match answer.status {
            // Nothing was done, and later it may be.
            429 | 503 => ActionOutcome::Unreachable { error: wait_hint(&error, answer) },
            // What stands before the server gave up waiting for it.
            408 | 502 | 504 if !self.request.is_idempotent() => ActionOutcome::Doubtful {
                error: format!("{error}; a gateway said so, and whether it was done is not known: look there"),
            },
            300..=399 => ActionOutcome::Refused {
                error: format!("{error}; redirects are not followed: write the address it leads to"),
            },
            401 | 403 => ActionOutcome::Refused {
                error: format!("{error}; check the server's token, credentials or headers, and what they may do"),
            },
            409 | 423 | 425 => ActionOutcome::Failed { error },
            400..=499 => ActionOutcome::Refused { error },
            _ => ActionOutcome::Failed { error },
        })
    }

    fn body_fits(&self, answer: &Answer) -> Result<(), String> {
        let Some(pattern) = &self.request.body_matches else { return Ok(()) };
        match Regex::search(pattern) {
            Ok(regex) if regex.is_match(&answer.text) => Ok(()),
            Ok(_) => Err(format!("its body does not match {pattern:?}")),
            // The rule's reader accepted it; another version may have.
            Err(error) => Err(format!("{pattern:?} cannot be searched for: {error}")),
        }
    }

    /// After a process died between preparing a request and recording its answer.
    pub(super) fn resume(&self) -> Result<Resumption, ActionOutcome> {
        if self.request.is_idempotent() {
            return Ok(Resumption::Start);
        }
        Err(ActionOutcome::Doubtful {
            error: format!(
                "a process died while it sent {}; whether it was done is not known, and it is not sent again: look there (Idempotency-Key {})",
                self.name(),
                self.assignment.attempt
            ),
        })
    }

    /// The answer is there already.
    pub(super) fn poll(handle: &Value) -> Progress {
        Progress::Over(match Answered::deserialize(handle) {
            Ok(Answered { what }) => ActionOutcome::Done { what },
            Err(error) => ActionOutcome::Doubtful {
                error: format!("the stored note of the answer cannot be read ({error}); another version wrote it?"),
            },
        })
    }
}

/// A refusal with the pause the server asks for.
fn wait_hint(error: &str, answer: &Answer) -> String {
    match answer.retry_after() {
        Some(pause) => format!("{error}; it wants to be left alone for {}", duration::told(pause)),
        None => error.to_owned(),
    }
}
