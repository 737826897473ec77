//! How far a heal came before it called a human: what decides which sentence is true of it.

use crate::domain::heal::Heal;
use crate::domain::reason::Reason;

/// How far autoheal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing was attempted for this heal.
    Untouched,
    /// An action was begun, and what it did is not known.
    Doubtful,
    /// Whatever was attempted was refused or could not be tried, so nothing was done.
    Fruitless,
    /// An action was attempted and nobody could say whether it helped.
    Unverifiable,
    /// Alerts have resolved after what was done, and other evidence says that it is not well.
    Resolved,
    /// What was attempted did not help.
    Fires,
}

impl Ending {
    pub(super) fn of(heal: &Heal) -> Self {
        match heal.reason {
            Reason::ActionDoubtful { .. } => Self::Doubtful,
            _ if !heal.has_acted() => Self::Untouched,
            Reason::Unverifiable { .. } => Self::Unverifiable,
            _ if !heal.has_tried() => Self::Fruitless,
            _ if heal.all_resolved() => Self::Resolved,
            _ => Self::Fires,
        }
    }
}
