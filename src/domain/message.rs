//! What people are told: one message is one change of a heal's state, committed with that change.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::heal::Heal;
use super::pause::Pause;

/// Which change a message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// The first attempt of a heal begins.
    Started,
    /// An attempt did not heal; another follows.
    AttemptFailed,
    /// Verified.
    Healed,
    /// Got well before anything was done.
    Recovered,
    /// Every step has been tried; a human is needed.
    Exhausted,
    /// The rule's action was refused; a human is needed.
    Suppressed,
    /// A notify-only rule: the alert fires.
    Firing,
    /// A notify-only rule: the alert resolved.
    Resolved,
    /// The action waits for a person's approval.
    ApprovalNeeded,
    /// Nobody approved in time; a human is needed.
    Expired,
    /// A person ended the heal.
    Cancelled,
    /// Too many targets of a rule are in trouble; its new heals are held and a human is needed.
    Storm,
    /// A human was called and nothing has changed since.
    Reminder,
    /// A human was called and is not needed any more.
    Over,
    /// A pause has held heals back for too long; a human is needed.
    PausedTooLong,
    /// What a heal needs has been out of reach for too long; a human is needed.
    HeldUp,
}

impl MessageKind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Started,
        Self::AttemptFailed,
        Self::Healed,
        Self::Recovered,
        Self::Exhausted,
        Self::Suppressed,
        Self::Firing,
        Self::Resolved,
        Self::ApprovalNeeded,
        Self::Expired,
        Self::Cancelled,
        Self::Storm,
        Self::Reminder,
        Self::Over,
        Self::PausedTooLong,
        Self::HeldUp,
    ];

    /// The word for it in logs, metrics and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::AttemptFailed => "attempt_failed",
            Self::Healed => "healed",
            Self::Recovered => "recovered",
            Self::Exhausted => "exhausted",
            Self::Suppressed => "suppressed",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::ApprovalNeeded => "approval_needed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Storm => "storm",
            Self::Reminder => "reminder",
            Self::Over => "over",
            Self::PausedTooLong => "paused_too_long",
            Self::HeldUp => "held_up",
        }
    }

    /// Whether somebody must act on it.
    #[must_use]
    pub const fn needs_human(self) -> bool {
        matches!(
            self,
            Self::Exhausted
                | Self::Suppressed
                | Self::ApprovalNeeded
                | Self::Expired
                | Self::Storm
                | Self::Reminder
                | Self::PausedTooLong
                | Self::HeldUp
        )
    }

    /// Whether it is the last one of its heal.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Started
                | Self::AttemptFailed
                | Self::Firing
                | Self::ApprovalNeeded
                | Self::Storm
                | Self::Reminder
                | Self::Over
                | Self::PausedTooLong
                | Self::HeldUp
        )
    }

    /// Whether it says that a human who was called is not needed any more.
    #[must_use]
    pub const fn ends_call(self) -> bool {
        matches!(self, Self::Healed | Self::Recovered | Self::Resolved | Self::Cancelled | Self::Over)
    }
}

/// Which messages a channel of a receiver gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Everything, as a chat wants it.
    Everything,
    /// Only ends, calls for a human and plain notifications, as a mailbox wants it.
    Ends,
    /// Only these kinds.
    Only(Kinds),
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// The set with one more kind.
    #[must_use]
    pub const fn with(self, kind: MessageKind) -> Self {
        Self(self.0 | 1 << kind as u32)
    }

    /// Whether a kind is in it.
    #[must_use]
    pub const fn has(self, kind: MessageKind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }
}

impl FromIterator<MessageKind> for Kinds {
    fn from_iter<I: IntoIterator<Item = MessageKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }
}

impl Audience {
    /// Whether a channel with this audience gets a message.
    #[must_use]
    pub const fn wants(self, kind: MessageKind) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(kinds) => kinds.has(kind),
            Self::Ends => {
                kind.is_final() || kind.needs_human() || matches!(kind, MessageKind::Firing | MessageKind::Over)
            }
        }
    }
}

/// One way to reach a receiver, such as `on-call/slack`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Unique name, `<receiver>/<integration>`.
    pub name: String,
    /// Which messages it gets. Whoever was called is told in any case when that is over.
    pub audience: Audience,
    /// How often it is reminded while a human is needed; `None` for never.
    pub remind: Option<Duration>,
}

impl Channel {
    /// A channel that is never reminded.
    #[must_use]
    pub fn new(name: impl Into<String>, audience: Audience) -> Self {
        Self { name: name.into(), audience, remind: None }
    }
}

/// One message: a change and the heal as it stood then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Which change.
    pub kind: MessageKind,
    /// When it happened.
    pub at: Timestamp,
    /// The heal just after the change.
    pub heal: Heal,
    /// The pause that covers the heal while this is told; found out when it is told, not when it was written.
    #[serde(skip)]
    pub paused: Option<Pause>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_all_kinds_is_whole() {
        let error = serde_json::from_str::<MessageKind>("\"no such kind\"").unwrap_err().to_string();
        let known: Vec<_> = error.split('`').skip(3).step_by(2).collect();
        assert_eq!(MessageKind::ALL.map(MessageKind::as_str).to_vec(), known, "add the new kind to MessageKind::ALL");
    }

    #[test]
    fn every_kind_goes_to_those_who_want_it() {
        // Whether somebody must act on it, it is the last of its heal, it ends a call, and a mailbox wants it.
        for (kind, needs_human, is_final, ends_call, is_mailed) in [
            (MessageKind::Started, false, false, false, false),
            (MessageKind::AttemptFailed, false, false, false, false),
            (MessageKind::Healed, false, true, true, true),
            (MessageKind::Recovered, false, true, true, true),
            (MessageKind::Exhausted, true, true, false, true),
            (MessageKind::Suppressed, true, true, false, true),
            (MessageKind::Firing, false, false, false, true),
            (MessageKind::Resolved, false, true, true, true),
            (MessageKind::ApprovalNeeded, true, false, false, true),
            (MessageKind::Expired, true, true, false, true),
            (MessageKind::Cancelled, false, true, true, true),
            (MessageKind::Storm, true, false, false, true),
            (MessageKind::Reminder, true, false, false, true),
            (MessageKind::Over, false, false, true, true),
            (MessageKind::PausedTooLong, true, false, false, true),
            (MessageKind::HeldUp, true, false, false, true),
        ] {
            let told = (kind.needs_human(), kind.is_final(), kind.ends_call(), Audience::Ends.wants(kind));
            assert_eq!(told, (needs_human, is_final, ends_call, is_mailed), "{}", kind.as_str());
            assert!(Audience::Everything.wants(kind));
            let only = Audience::Only([MessageKind::Started, kind].into_iter().collect());
            for other in MessageKind::ALL {
                assert_eq!(only.wants(other), other == kind || other == MessageKind::Started, "{}", other.as_str());
            }
        }
    }
}
