//! What a person may say about one heal.

use super::heal::AttemptId;

/// What a person wants done with a heal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// The action that waits for approval may run, after the guards have been asked again.
    Approve {
        /// The attempt it is meant for; what waits meanwhile for another one stays. `None` means whatever waits now.
        attempt: Option<AttemptId>,
    },
    /// The action that waits for approval must not run; the heal ends.
    Deny {
        /// As for an approval.
        attempt: Option<AttemptId>,
    },
    /// The heal ends; an action that runs is asked to stop.
    Cancel,
    /// What is remembered of a heal that gave up is forgotten, because a person has taken care of it: the next firing
    /// begins at the first step.
    Reset,
}

/// An order with who gives it and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What.
    pub order: Order,
    /// Who.
    pub by: String,
    /// Why, in the person's words; may be empty.
    pub because: String,
}
