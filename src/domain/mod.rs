//! The vocabulary and the decisions, pure: no clock, I/O, randomness, logging or async runtime lives here.
//!
//! Reading order: an [`alert`] is matched by a [`rule`] (through [`matcher`] and [`regex`]), whose texts are
//! [`template`]s; a match asks for a [`heal`]; [`decide`] moves heals from state to state, asks the
//! [`guard`]s, spaces attempts by [`backoff`], judges [`evidence`] and answers with a [`plan`]; every answer carries a
//! [`reason`].

pub mod action;
pub mod alert;
pub mod alertmanager;
pub mod backoff;
pub mod call;
pub mod calm;
pub mod decide;
pub mod duration;
pub mod evidence;
mod go_string;
pub mod guard;
pub mod heal;
pub mod instruction;
pub mod matcher;
pub mod message;
pub mod outlook;
pub mod pause;
pub mod plan;
pub mod reason;
pub mod regex;
pub mod report;
pub mod route;
pub mod rule;
mod rule_index;
pub mod rule_policy;
pub mod template;
pub mod time_interval;

/// An instant in UTC. Always handed in, never read inside `domain`.
pub type Timestamp = jiff::Timestamp;

/// Time from `from` to `to`; zero when the clock went backwards.
#[must_use]
pub fn elapsed(from: Timestamp, to: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
