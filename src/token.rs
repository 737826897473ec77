//! Who a caller is and what it may do: tokens, their scopes, and the caller a request turned out to come from.

use std::fmt;
use std::sync::Arc;

use crate::secret::Secret;

/// One thing a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Deliver alerts.
    Webhook,
    /// See heals, rules and status, and ask for plans.
    Read,
    /// Approve and deny heals; whoever may, may also see them.
    Approve,
    /// Everything.
    Admin,
}

impl Scope {
    /// All of them, as the configuration writes them.
    pub const ALL: [(&'static str, Self); 4] =
        [("webhook", Self::Webhook), ("read", Self::Read), ("approve", Self::Approve), ("admin", Self::Admin)];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Everything that whoever holds it may do.
    const fn good_for(self) -> u8 {
        match self {
            Self::Webhook | Self::Read => self.bit(),
            Self::Approve => self.bit() | Self::Read.bit(),
            Self::Admin => u8::MAX,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Read => "read",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A token that callers show.
#[derive(Debug, Clone)]
pub struct Token {
    /// Who shows it, in words: the «who» of a heal's story.
    pub name: Arc<str>,
    /// Its value.
    pub value: Secret,
    /// What it is good for.
    pub scopes: Vec<Scope>,
}

impl Token {
    /// A token that is good for everything.
    #[must_use]
    pub fn for_everything(name: &str, value: Secret) -> Self {
        Self { name: name.into(), value, scopes: vec![Scope::Admin] }
    }
}

/// Who a request comes from. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name of the token or user, or how else it got in.
    pub name: Arc<str>,
    /// One bit for each scope; every request carries a caller, so it stays small.
    scopes: u8,
}

impl Caller {
    /// A caller who may do what these scopes say.
    #[must_use]
    pub fn new(name: &str, scopes: &[Scope]) -> Self {
        Self { name: name.into(), scopes: scopes.iter().fold(0, |bits, scope| bits | scope.good_for()) }
    }

    /// Whether it may do this.
    #[must_use]
    pub const fn may(&self, scope: Scope) -> bool {
        self.scopes & scope.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_good_for_itself_and_for_what_it_cannot_do_without() {
        let may = |held: Scope| Scope::ALL.map(|(_, scope)| Caller::new("a", &[held]).may(scope));
        assert_eq!(may(Scope::Webhook), [true, false, false, false]);
        assert_eq!(may(Scope::Read), [false, true, false, false]);
        assert_eq!(may(Scope::Approve), [false, true, true, false]);
        assert_eq!(may(Scope::Admin), [true; 4]);
        assert_eq!(Scope::ALL.map(|(word, scope)| word == scope.as_str()), [true; 4]);
        assert!(!Caller::new("nobody", &[]).may(Scope::Read));
    }
}
