//! What the other side said, made fit to be shown: bounded, on one line, without our secrets.

use reqwest::Url;

use crate::notify::message::text::line;
use crate::secret::Secret;

/// Longest answer that is shown, in characters.
const MAX_ANSWER: usize = 200;
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
        let masked = self.0.iter().fold(said.to_owned(), |said, secret| said.replace(secret.expose(), MASK));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_bounded_line_without_secrets() {
        let redactor = Redactor::new(["T0/B0/s3cr3t", "s3cr3t", ""]);
        assert_eq!(redactor.show("no T0/B0/s3cr3t\r\nhere, s3cr3t\n"), "no [secret]  here, [secret]");
        assert_eq!(redactor.show(&"x".repeat(1000)).chars().count(), 200);
    }
}
