//! What was really done, and what was not: the sentences on which somebody woken at night acts.

use super::*;

/// A page about a heal that gave up, whose story is only this.
fn exhausted(status: AlertStatus, has_tried: bool, failure: Reason) -> Message {
    let mut heal = heal(status);
    heal.steps[0].attempts_used = 1;
    heal.first_attempt_at = Some(at(1));
    heal.last_action_ended_at = has_tried.then(|| at(40));
    heal.tell(at(40), "failed", failure, "autoheal");
    heal.phase = Phase::Ended { outcome: Outcome::Exhausted, at: at(43) };
    Message { kind: MessageKind::Exhausted, at: at(43), heal, paused: None }
}

fn said(message: &Message) -> [String; 2] {
    [subject(message), headline(message)]
}

#[test]
fn what_resolved_without_its_other_evidence_is_no_resolved_message() {
    let failure = Reason::NotVerified { within: seconds(50), missing: "http://ui answers 500".into() };
    assert_eq!(
        said(&exhausted(AlertStatus::Resolved, true, failure)),
        [
            "[NOT HEALED] InstanceDown ui (ui:9292 otus critical) — human needed, resolved but not verified",
            "A human is needed: InstanceDown on docker:local/compose/otus/ui has resolved, but not all is well after \
             1 attempt: not verified within 50s: http://ui answers 500.",
        ]
    );
    let mut unknown = exhausted(AlertStatus::Resolved, true, Reason::NotifyOnly);
    unknown.heal.reason = Reason::Unverifiable { within: seconds(50), what: "promql: no answer".into() };
    assert!(subject(&unknown).starts_with("[NOT HEALED] "), "a filter archives what has resolved");
}

#[test]
fn what_autoheal_began_and_left_is_never_told_as_nothing_done() {
    let mut message = exhausted(AlertStatus::Firing, true, Reason::NotifyOnly);
    message.kind = MessageKind::Suppressed;
    message.heal.reason = Reason::ActionDoubtful { error: "AWX job 7 was cancelled in AWX after 3 changes".into() };
    assert_eq!(
        said(&message),
        [
            "[FIRING:1] InstanceDown ui (ui:9292 otus critical) — human needed, autoheal began and stopped: look what it did",
            "A human is needed: autoheal began to restart container of otus/ui on local for InstanceDown and stopped; \
             look what it did: AWX job 7 was cancelled in AWX after 3 changes.",
        ]
    );
    let digest = Digest::of(&[&message], &pages());
    assert!(digest.subject.ends_with("1 in need of a human: autoheal began and stopped"), "{digest:?}");
}

#[test]
fn what_was_well_without_us_is_not_told_as_our_deed() {
    let mut message = message(MessageKind::Healed);
    let begins = "InstanceDown is healed, nothing to do. ";
    let told = |message: &Message| headline(message).strip_prefix(begins).unwrap().to_owned();
    assert!(told(&message).starts_with("Done: restart container of otus/ui on local; verified: "), "{message:?}");
    message.heal.timeline.retain(|entry| !matches!(entry.reason, Reason::ActionDone { .. }));
    assert!(told(&message).starts_with("Tried: restart container of otus/ui on local; "), "{}", told(&message));
    let idle = Reason::ActionNotNeeded { what: "already restarted 10s ago".into() };
    message.heal.tell(at(2), "nothing done", idle, "autoheal");
    let nothing = "autoheal itself did nothing: already restarted 10s ago; verified: ";
    assert!(told(&message).starts_with(nothing), "{}", told(&message));
    let failed = Reason::ActionFailed { error: "exit 1".into() };
    message.heal.tell(at(3), "action failed", failed, "autoheal");
    assert!(told(&message).starts_with("Tried: restart"), "{}", told(&message));
}

#[test]
fn what_was_refused_or_out_of_reach_is_no_attempt_that_did_not_help() {
    let refused = Reason::ActionRefused { error: "three containers match, max is 1".into() };
    assert_eq!(
        said(&exhausted(AlertStatus::Firing, false, refused.clone())),
        [
            "[FIRING:1] InstanceDown ui (ui:9292 otus critical) — human needed, nothing could be done",
            "A human is needed: autoheal could do nothing about InstanceDown on docker:local/compose/otus/ui: \
             the action was refused: three containers match, max is 1.",
        ]
    );
    let away = Reason::UnreachableTooLong { error: "no connection".into(), waited: seconds(900) };
    let [_, told] = said(&exhausted(AlertStatus::Firing, false, away));
    assert!(told.ends_with("/ui: could not be tried for 15m: no connection."), "{told}");

    let mut climbs = exhausted(AlertStatus::Firing, false, refused);
    climbs.kind = MessageKind::AttemptFailed;
    climbs.heal.steps.push(step(0));
    climbs.heal.step = 1;
    climbs.heal.phase = Phase::Pending { due_at: at(43), unreachable_since: None };
    climbs.heal.reason = Reason::NextStep { step: 1, steps: 2 };
    let [subject, headline] = said(&climbs);
    assert!(subject.ends_with("— step 1 was refused, 2 of 2 follows"), "{subject}");
    assert_eq!(
        headline,
        "The action was refused: three containers match, max is 1. autoheal goes on: step 2 of 2 follows."
    );
}
