//! What deciding answers.

use super::Timestamp;
use super::guard::{Full, Storm};
use super::heal::{Episode, Heal, HealId};
use super::message::{Channel, MessageKind};
use super::reason::Reason;

/// A message to put into the outbox with the heal's change.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedMessage {
    /// Which change it tells. The heal in it is the plan's.
    pub kind: MessageKind,
    /// To whom.
    pub channels: Vec<Channel>,
}

/// The answer to one event: what to commit, what to do after the commit, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The heal to write; `None` leaves the store as it is.
    pub heal: Option<Heal>,
    /// What to remember of its alerts.
    pub episodes: Vec<Episode>,
    /// Messages to commit with it.
    pub messages: Vec<PlannedMessage>,
    /// Whether the current attempt's action is to be started once this is committed.
    pub start_action: bool,
    /// Whether whoever carries the current attempt out is to be told, once this is committed, that it must stop.
    pub cancel_action: bool,
    /// For which other pending heals a limit is reached as well; asking them is in vain until an action ends.
    pub full: Option<Full>,
    /// When to look again at a heal of which nothing else changes.
    pub look_again_at: Option<Timestamp>,
    /// What to remember of a storm over the heal's rule.
    pub storm: Option<Storm>,
    /// The heal whose conversations with people this new one goes on with.
    pub goes_on_from: Option<HealId>,
    /// Why, also when nothing is done.
    pub reason: Reason,
}

impl Plan {
    /// Nothing to commit and nothing to do.
    #[must_use]
    pub const fn nothing(reason: Reason) -> Self {
        Self {
            heal: None,
            episodes: Vec::new(),
            messages: Vec::new(),
            start_action: false,
            cancel_action: false,
            full: None,
            look_again_at: None,
            storm: None,
            goes_on_from: None,
            reason,
        }
    }
}
