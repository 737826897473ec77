//! What the other side said, made fit to be shown: bounded, on one line, without our secrets.

use reqwest::Url;

use crate::notify::message::text::line;
use crate::secret::Secret;

/// Longest answer that is shown, in characters.
const MAX_ANSWER: usize = 200;
/// Shortest secret that is looked for inside words. A shorter one would be found in words that have nothing to do with it.
const MIN_INSIDE: usize = 4;
/// What stands where a secret stood.
const MASK: &str = "[secret]";

/// The secrets one notifier must never let out, longest first, so that a part never leaves the rest of a whole behind.
#[derive(Debug, Clone, Default)]
pub struct Redactor(Vec<Secret>);

impl Redactor {
    /// Remembers what must not be shown. Empty texts are ignored.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets.into_iter().map(Secret::new).collect())
    }

    /// The text as it may be shown. Servers and proxies like to quote the address or the user name they were given.
    #[must_use]
    pub fn show(&self, said: &str) -> String {
        let masked = self.0.iter().fold(said.to_owned(), |said, secret| mask(&said, secret.expose()));
        line(masked.trim(), MAX_ANSWER)
    }
}

/// The parts of an address that may make it a secret: its path, each longer segment of it, its query and its password.
/// Whoever answers for an unknown address likes to quote its path.
pub(super) fn secret_parts(url: &Url) -> impl Iterator<Item = &str> {
    /// Shorter segments, such as `services`, are words of the answer rather than secrets.
    const SHORTEST: usize = 9;
    let segments = url.path().split('/').filter(|segment| segment.len() >= SHORTEST);
    let path = Some(url.path()).filter(|path| path.len() >= SHORTEST);
    segments.chain(path).chain(url.query()).chain(url.password())
}

/// The text without the secret: a short one only where it stands alone.
fn mask(said: &str, secret: &str) -> String {
    if secret.chars().count() >= MIN_INSIDE {
        return said.replace(secret, MASK);
    }
    let mut masked = String::with_capacity(said.len());
    let mut told = 0;
    for (at, _) in said.match_indices(secret) {
        let end = at + secret.len();
        let before = said[..at].chars().next_back();
        let after = said[end..].chars().next();
        if !before.into_iter().chain(after).any(char::is_alphanumeric) {
            masked.extend([&said[told..at], MASK]);
            told = end;
        }
    }
    masked.push_str(&said[told..]);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_bounded_line_without_secrets() {
        let redactor = Redactor::new(["T0/B0/s3cr3t", "s3cr3t", ""]);
        assert_eq!(redactor.show("no T0/B0/s3cr3t\r\nhere, s3cr3t\n"), "no [secret]  here, [secret]");
        assert_eq!(redactor.show(&"x".repeat(1000)).chars().count(), 200);
    }

    #[test]
    fn a_short_secret_is_masked_where_it_stands_alone_and_not_inside_words() {
        let redactor = Redactor::new(["u", "us"]);
        assert_eq!(
            redactor.show("535 Authentication of u@mail, us and \"u\" failed"),
            "535 Authentication of [secret]@mail, [secret] and \"[secret]\" failed"
        );
        assert_eq!(redactor.show("uu u"), "uu [secret]");
        assert_eq!(
            Redactor::new(["long"]).show("a prolonged wait"),
            "a pro[secret]ed wait",
            "a secret may be part of a token"
        );
    }
}
