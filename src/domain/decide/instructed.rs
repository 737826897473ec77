//! A person approves, denies, cancels or resets.

use super::draft::Draft;
use super::{Policy, Snapshot, open};
use crate::domain::Timestamp;
use crate::domain::heal::{Approval, AttemptId, AttemptStage, CancelRequest, Episode, Heal, Outcome, Phase};
use crate::domain::instruction::{Instruction, Order};
use crate::domain::message::MessageKind;
use crate::domain::plan::Plan;
use crate::domain::reason::Reason;

pub fn decide(policy: &Policy, snapshot: &Snapshot, instruction: Instruction, now: Timestamp) -> Plan {
    let Instruction { order, by, because } = instruction;
    if order == Order::Reset {
        return reset(policy, snapshot, &by, because, now);
    }
    let heal = match open(snapshot) {
        Ok(heal) => heal,
        Err(reason) => return Plan::nothing(reason),
    };
    let mut draft = Draft::of(policy, heal.clone(), now);
    match order {
        Order::Approve { attempt } => match awaited(heal, attempt, &by, now) {
            Ok(expires_at) => approve(&mut draft, &by, expires_at),
            Err(reason) => return Plan::nothing(reason),
        },
        Order::Deny { attempt } => match awaited(heal, attempt, &by, now) {
            Ok(_) => draft.cancelled(Reason::Denied { by: by.clone(), because }, &by),
            Err(reason) => return Plan::nothing(reason),
        },
        Order::Cancel | Order::Reset => {
            if let Err(reason) = cancel(&mut draft, &by, because) {
                return Plan::nothing(reason);
            }
        }
    }
    draft.into_plan()
}

/// When the awaited approval expires, if this person may give or refuse it now.
fn awaited(heal: &Heal, meant: Option<AttemptId>, by: &str, now: Timestamp) -> Result<Timestamp, Reason> {
    let Phase::AwaitingApproval { attempt, expires_at, approvers, .. } = &heal.phase else {
        return Err(Reason::NotAwaitingApproval { state: heal.phase.name().to_owned() });
    };
    if meant.is_some_and(|meant| meant != *attempt) {
        return Err(Reason::OtherApproval);
    }
    if !approvers.is_empty() && !approvers.iter().any(|name| name == by) {
        return Err(Reason::NotAnApprover { by: by.to_owned(), approvers: approvers.join(", ") });
    }
    if now >= *expires_at {
        return Err(Reason::ApprovalExpired { expired_at: *expires_at });
    }
    Ok(*expires_at)
}

fn approve(draft: &mut Draft<'_>, by: &str, expires_at: Timestamp) {
    draft.heal.approval = Some(Approval { step: draft.heal.step, by: by.to_owned(), expires_at });
    let phase = Phase::Pending { due_at: draft.now, unreachable_since: None };
    draft.enter_by(phase, Reason::Approved { by: by.to_owned() }, by);
}

fn cancel(draft: &mut Draft<'_>, by: &str, because: String) -> Result<(), Reason> {
    let at = draft.now;
    let Phase::Acting(attempt) = &mut draft.heal.phase else {
        draft.cancelled(Reason::Cancelled { by: by.to_owned(), because }, by);
        return Ok(());
    };
    if attempt.cancel.is_some() {
        return Err(Reason::AlreadyCancelling);
    }
    // Nothing has been looked at in this stage, but the task that will look may be on its way; it is told as well.
    let stage = if attempt.stage == AttemptStage::Intended { "about to begin" } else { "under way" };
    attempt.cancel = Some(CancelRequest { by: by.to_owned(), because: because.clone(), at, passed_on: false });
    let reason = Reason::CancelRequested { by: by.to_owned(), because, stage: stage.to_owned() };
    draft.heal.reason = reason.clone();
    draft.tell("cancelling", reason, by);
    Ok(())
}

/// Forgets how far the ladder of a heal that gave up had been climbed, and that it gave up.
fn reset(policy: &Policy, snapshot: &Snapshot, by: &str, because: String, now: Timestamp) -> Plan {
    let Some(heal) = &snapshot.heal else { return Plan::nothing(Reason::NoSuchHeal) };
    if !heal.outcome().is_some_and(Outcome::needs_human) {
        return Plan::nothing(Reason::NotExhausted { state: heal.phase.name().to_owned() });
    }
    let forget = |episode: &Episode| Episode { ended: None, heal: None, ..episode.clone() };
    let is_its = |episode: &&Episode| episode.heal == Some(heal.id) && episode.ended.is_some();
    let episodes: Vec<Episode> = snapshot.memories.iter().filter(is_its).map(forget).collect();
    if episodes.is_empty() && heal.call.is_none() {
        return Plan::nothing(Reason::NothingToReset);
    }
    let mut draft = Draft::of(policy, heal.clone(), now);
    let reason = Reason::Reset { by: by.to_owned(), because };
    draft.heal.reason = reason.clone();
    draft.tell("reset", reason, by);
    // Whoever resets it knows of it and has done what was to be done.
    draft.call_over();
    Plan { episodes, ..draft.into_plan() }
}

/// An approval that nobody gave, or that could not be used in time: a human is needed.
pub fn expire(draft: &mut Draft<'_>, expired_at: Timestamp) {
    draft.end(Outcome::Expired, Reason::ApprovalExpired { expired_at });
    draft.notify(MessageKind::Expired);
}
