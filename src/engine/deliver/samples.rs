//! Messages for tests.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::action::Target;
use crate::domain::heal::{Heal, HealId, Phase};
use crate::domain::message::{Message, MessageKind};
use crate::domain::reason::Reason;
use crate::domain::rule::Mode;
use crate::store::Outgoing;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_331_000 + second).unwrap()
}

/// A message of the channel `on-call/slack`, written at second 0.
pub fn outgoing(id: u128, heal: u128) -> Outgoing {
    let heal = Heal {
        id: HealId(Uuid::from_u128(heal)),
        rule: "restart".into(),
        target: Target::new("docker:local/name/ui"),
        mode: Mode::Act,
        phase: Phase::Pending { due_at: at(0), unreachable_since: None },
        reason: Reason::NotifyOnly,
        steps: Vec::new(),
        step: 0,
        alerts: Vec::new(),
        external_url: String::new(),
        throttle: Duration::ZERO,
        receivers: Vec::new(),
        description: String::new(),
        runbook: String::new(),
        approval: None,
        call: None,
        relapses: Vec::new(),
        first_attempt_at: None,
        last_action_ended_at: None,
        created_at: at(0),
        updated_at: at(0),
        timeline: Vec::new(),
        timeline_dropped: 0,
    };
    Outgoing {
        id: Uuid::from_u128(id),
        channel: "on-call/slack".into(),
        message: Message { kind: MessageKind::Firing, at: at(0), heal, paused: None },
        tries: 0,
        created_at: at(0),
        since: at(0),
        held: false,
        memory: None,
    }
}
