//! Calls that Slack makes to us when somebody presses a button of a message: what the button carries, and how a call is
//! known to be Slack's.
//!
//! Slack signs the time and the body with the app's signing secret. A call that is older than five minutes is refused, and
//! one that is played again within them changes nothing: a button names the attempt it is about, and the store takes one
//! answer for each.

mod answer;

use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::heal::{AttemptId, HealId};
use crate::domain::{Timestamp, elapsed};
use crate::secret::Secret;

pub use answer::Answerer;

/// The button that approves.
pub const APPROVE: &str = "approve";
/// The button that denies.
pub const DENY: &str = "deny";

/// How far Slack's clock and ours may be apart, and how old a call may be.
const MAX_AGE: Duration = Duration::from_mins(5);

/// One of Slack's apps, as far as its calls go.
#[derive(Clone)]
pub struct App {
    /// What it signs its calls with.
    pub secret: Secret,
    /// Tells who pressed a button why nothing came of it; there is none in a dry run.
    pub answerer: Option<Answerer>,
}

/// What a button carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The heal that waits.
    pub heal: HealId,
    /// The attempt that would begin.
    pub attempt: AttemptId,
    /// The receiver whose message has the button.
    pub receiver: String,
}

impl Question {
    /// As it stands in a button.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{} {} {}", self.heal, self.attempt.0, self.receiver)
    }

    /// Reads it back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let heal = HealId(Uuid::parse_str(parts.next()?).ok()?);
        let attempt = AttemptId(Uuid::parse_str(parts.next()?).ok()?);
        Some(Self { heal, attempt, receiver: parts.next()?.to_owned() })
    }
}

/// Why a call is not taken for Slack's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// A header is missing or is not what Slack sends.
    #[error("X-Slack-Request-Timestamp and X-Slack-Signature are missing or are not what Slack sends")]
    Unsigned,
    /// Too old, or from a future of ours.
    #[error("the call's timestamp is more than five minutes away from our clock")]
    Old,
    /// Another secret, or another body.
    #[error("the signature fits no slack.signingSecret")]
    Wrong,
}

/// The app that signed this body at a time close to now. Signatures are compared in constant time.
///
/// # Errors
/// Why it is not taken for Slack's.
pub fn verify<'a>(
    apps: &'a [App],
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<&'a App, Unverified> {
    let seconds: i64 = timestamp.parse().map_err(|_| Unverified::Unsigned)?;
    let at = Timestamp::from_second(seconds).map_err(|_| Unverified::Unsigned)?;
    let signature = signature.strip_prefix("v0=").and_then(digits).ok_or(Unverified::Unsigned)?;
    if elapsed(at, now).max(elapsed(now, at)) > MAX_AGE {
        return Err(Unverified::Old);
    }
    let fits = |app: &&App| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(app.secret.expose().as_bytes()) else { return false };
        mac.update(format!("v0:{timestamp}:").as_bytes());
        mac.update(body);
        mac.verify_slice(&signature).is_ok()
    };
    apps.iter().find(fits).ok_or(Unverified::Wrong)
}

/// Hexadecimal digits as bytes.
fn digits(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's documentation: its secret, time, body and signature.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const AT: &str = "1531420618";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn check(secret: &str, at: &str, signature: &str, body: &str, now: i64) -> Result<(), Unverified> {
        let now = Timestamp::from_second(now).unwrap();
        let app = |secret| App { secret: Secret::new(secret), answerer: None };
        let apps = [app("other"), app(secret)];
        verify(&apps, at, signature, body.as_bytes(), now).map(|app| assert_eq!(app.secret.expose(), secret))
    }

    #[test]
    fn slacks_own_example_is_known_and_anything_changed_is_not() {
        let now = 1_531_420_618;
        assert_eq!(check(SECRET, AT, SIGNATURE, BODY, now), Ok(()));
        for drift in [-300, 300] {
            assert_eq!(check(SECRET, AT, SIGNATURE, BODY, now + drift), Ok(()), "{drift}");
        }
        for drift in [-301, 301] {
            assert_eq!(check(SECRET, AT, SIGNATURE, BODY, now + drift), Err(Unverified::Old), "{drift}");
        }
        assert_eq!(check("another", AT, SIGNATURE, BODY, now), Err(Unverified::Wrong));
        assert_eq!(check(SECRET, "1531420619", SIGNATURE, BODY, now), Err(Unverified::Wrong));
        assert_eq!(check(SECRET, AT, SIGNATURE, &BODY[1..], now), Err(Unverified::Wrong));
        assert_eq!(check(SECRET, AT, &SIGNATURE[..SIGNATURE.len() - 2], BODY, now), Err(Unverified::Wrong));
        for (at, signature) in [("", SIGNATURE), ("x", SIGNATURE), (AT, ""), (AT, "v0=abc"), (AT, "v0=zz"), (AT, "a2")]
        {
            assert_eq!(check(SECRET, at, signature, BODY, now), Err(Unverified::Unsigned), "{at} {signature}");
        }
        let nobodys = verify(&[], AT, SIGNATURE, BODY.as_bytes(), Timestamp::from_second(now).unwrap());
        assert_eq!(nobodys.err(), Some(Unverified::Wrong));
    }

    #[test]
    fn what_a_button_carries_reads_back() {
        let [heal, attempt] = [1, 2].map(Uuid::from_u128);
        let question = Question { heal: HealId(heal), attempt: AttemptId(attempt), receiver: "on call".to_owned() };
        assert_eq!(Question::parse(&question.to_text()), Some(question));
        for text in
            ["", "x", "x y z", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001 y z"]
        {
            assert_eq!(Question::parse(text), None, "{text}");
        }
    }
}
