//! What every store promises about people: approvals, cancelling, resets and pauses.

use std::time::Duration;

use autoheal::domain::heal::HealId;
use autoheal::domain::instruction::{Instruction, Order};
use autoheal::domain::pause::{Pause, PauseId, PauseRequest, PauseScope};
use autoheal::domain::rule::{HealRequest, Mode};

use super::*;

fn order(order: Order, by: &str) -> Instruction {
    Instruction { order, by: by.to_owned(), because: "seen enough".to_owned() }
}

fn pause(number: u128, scope: PauseScope, lasts: i64) -> Pause {
    let lasts = Duration::from_millis(lasts.unsigned_abs());
    let request = PauseRequest { scope, reason: "moving the rack".to_owned(), by: "ann".to_owned(), lasts };
    Pause::new(PauseId(Uuid::from_u128(number)), request, at(0)).unwrap()
}

pub async fn an_approval_works_once(place: &dyn Place) {
    let store = place.open().await;
    let asks = HealRequest { mode: Mode::Ask, ..request("restart", "ui") };
    ingest(&store, vec![sighting(alert(1), [asks])], 0).await;
    assert_eq!(begin(&store, 0).await.len(), 0);
    let waiting = all(&store).await.remove(0);
    let Phase::AwaitingApproval { attempt, .. } = waiting.phase else { panic!("it is {}", waiting.phase.name()) };
    assert_eq!(store.counts().await.unwrap()["awaiting_approval"], 1);
    let approve =
        || store.instruct(policy(), waiting.id, order(Order::Approve { attempt: Some(attempt) }, "ann"), at(1));
    let (one, two) = tokio::join!(approve(), approve());
    assert_eq!([one.unwrap().done, two.unwrap().done].iter().filter(|done| **done).count(), 1, "two clicks, one leave");
    assert_eq!(begin(&store, 1).await.len(), 1);
    let late = approve().await.unwrap();
    assert_eq!((late.done, late.reason), (false, Reason::NotAwaitingApproval { state: "acting".to_owned() }));
    let nobody = HealId(Uuid::now_v7());
    let lost = store.instruct(policy(), nobody, order(Order::Cancel, "ann"), at(2)).await.unwrap();
    assert!(lost.heal.is_none() && !lost.done && lost.reason == Reason::NoSuchHeal);
}

pub async fn a_cancelled_attempt_is_passed_on_once_and_ends_cancelled(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    let heal = begin(&store, 0).await.remove(0);
    assert!(store.instruct(policy(), heal.id, order(Order::Cancel, "ann"), at(5)).await.unwrap().done);
    let advanced = store.advance_due(policy(), 10, at(5)).await.unwrap();
    assert_eq!(advanced.to_cancel.iter().map(|heal| heal.id).collect::<Vec<_>>(), [heal.id]);
    assert_eq!(store.advance_due(policy(), 10, at(6)).await.unwrap().to_cancel.len(), 0);
    let (ended, _) = finish(&store, &heal, done(), 7).await;
    assert_eq!(ended.unwrap().outcome(), Some(Outcome::Cancelled));
    assert_eq!(store.counts().await.unwrap()["cancelled"], 1);
}

pub async fn a_reset_forgets_the_ladder_of_this_heal(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    let heal = begin(&store, 1).await.remove(0);
    finish(&store, &heal, ActionOutcome::Failed { error: "no".to_owned() }, 2).await;
    assert!(!ingest(&store, vec![firing(1)], 3).await[0].changed);
    let reset = || store.instruct(policy(), heal.id, order(Order::Reset, "ann"), at(4));
    assert!(reset().await.unwrap().done);
    assert_eq!(reset().await.unwrap().reason, Reason::NothingToReset);
    let again = ingest(&store, vec![firing(1)], 5).await;
    assert!(again[0].changed && again[0].heal != Some(heal.id));
    let attempt = begin(&store, 6).await.remove(0);
    let symptom_since = attempt.attempt().map(|attempt| attempt.symptom_since);
    assert_eq!(symptom_since, Some(at(2)), "what was done before the reset did not help");
}

pub async fn a_pause_holds_until_it_ends_or_somebody_ends_it(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1), sighting(alert(2), [request("other", "db")])], 0).await;
    let everything = pause(1, PauseScope::All, 10 * MINUTE);
    let one_rule = pause(2, PauseScope::Rule { rule: "other".to_owned() }, 5 * MINUTE);
    assert!(store.pause(everything.clone(), at(0)).await.unwrap());
    assert!(store.pause(one_rule.clone(), at(0)).await.unwrap());
    assert_eq!(store.pauses(at(1)).await.unwrap(), [everything.clone(), one_rule.clone()]);
    let held = store.advance_due(policy(), 10, at(1)).await.unwrap();
    assert_eq!((held.changed.len(), held.to_start.len(), held.next_due), (2, 0, Some(everything.until)));
    assert_eq!(store.resume(Some(everything.id), at(2)).await.unwrap(), [everything]);
    assert_eq!(begin(&store, 2).await.len(), 1, "the other rule's own pause lasts");
    assert_eq!(
        store.advance_due(policy(), 10, at(3)).await.unwrap().next_due,
        Some(at(2 + MINUTE + 30_000)),
        "watchdog"
    );
    assert_eq!(store.pauses(one_rule.until).await.unwrap(), []);
    assert_eq!(begin(&store, 5 * MINUTE).await.len(), 1, "a pause ends by itself");
    assert_eq!(store.resume(None, at(6 * MINUTE)).await.unwrap(), []);
}

pub async fn a_message_carries_the_pause_that_lasts_when_it_is_told(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1), sighting(alert(2), [request("other", "db")])], 0).await;
    assert_eq!(begin(&store, 0).await.len(), 2);
    let everything = pause(1, PauseScope::All, 10 * MINUTE);
    let one_rule = pause(2, PauseScope::Rule { rule: "other".to_owned() }, 20 * MINUTE);
    store.pause(everything.clone(), at(0)).await.unwrap();
    store.pause(one_rule.clone(), at(0)).await.unwrap();
    let paused = async |now: i64| {
        let (claimed, _) = store.claim_messages(10, at(now)).await.unwrap();
        let mut paused: Vec<_> =
            claimed.into_iter().map(|outgoing| (outgoing.message.heal.rule, outgoing.message.paused)).collect();
        paused.sort_by(|one, other| one.0.cmp(&other.0));
        paused.dedup();
        paused
    };
    let both = [("other".to_owned(), Some(one_rule.clone())), ("restart-service".to_owned(), Some(everything))];
    assert_eq!(paused(MINUTE).await, both, "written before the pause, told while it lasts");
    let one = [("other".to_owned(), Some(one_rule)), ("restart-service".to_owned(), None)];
    assert_eq!(paused(10 * MINUTE).await, one, "nobody recorded that they arrived, so they are told again");
}

pub async fn a_pause_that_is_too_long_is_told_once(place: &dyn Place) {
    let store = place.open().await;
    let policy = Arc::new(Policy { page_paused_after: Some(Duration::from_mins(30)), ..(*policy()).clone() });
    let tell = async |now: i64| store.tell_of_long_pauses(Arc::clone(&policy), at(now)).await.unwrap();
    store.pause(pause(1, PauseScope::All, 120 * MINUTE), at(0)).await.unwrap();
    ingest(&store, vec![firing(1)], 0).await;
    store.advance_due(Arc::clone(&policy), 10, at(MINUTE)).await.unwrap();
    ingest(&store, vec![firing(2)], 29 * MINUTE).await;
    store.advance_due(Arc::clone(&policy), 10, at(29 * MINUTE)).await.unwrap();
    assert_eq!(tell(31 * MINUTE - 1).await, []);
    let told = tell(31 * MINUTE).await;
    let latest = told[0].timeline.last().unwrap().reason.clone();
    assert!(matches!(latest, Reason::PausedTooLong { heals: 2, .. }), "{latest}");
    assert_eq!(told[0].alerts[0].fingerprint, alert(1).fingerprint, "by the heal that waits for the longest");
    let (messages, _) = store.claim_messages(10, at(31 * MINUTE)).await.unwrap();
    let told: Vec<_> = messages.iter().map(|outgoing| outgoing.message.kind).collect();
    assert!(!told.is_empty() && told.iter().all(|kind| *kind == MessageKind::PausedTooLong), "{told:?}");
    assert_eq!(tell(100 * MINUTE).await, [], "once for each pause");
    store.resume(None, at(100 * MINUTE)).await.unwrap();
    store.pause(pause(2, PauseScope::All, 200 * MINUTE), at(0)).await.unwrap();
    store.advance_due(Arc::clone(&policy), 10, at(100 * MINUTE)).await.unwrap();
    assert_eq!(tell(130 * MINUTE - 1).await, [], "it begins to count anew");
    assert_eq!(tell(130 * MINUTE).await.len(), 1);
}

pub async fn there_are_never_too_many_pauses(place: &dyn Place) {
    let store = place.open().await;
    for number in 0..Pause::MAX_COUNT {
        assert!(store.pause(pause(number as u128, PauseScope::All, MINUTE), at(0)).await.unwrap());
    }
    assert!(!store.pause(pause(1000, PauseScope::All, MINUTE), at(0)).await.unwrap());
    assert!(store.pause(pause(1000, PauseScope::All, 2 * MINUTE), at(MINUTE)).await.unwrap(), "those before are over");
    assert_eq!(store.resume(None, at(MINUTE)).await.unwrap().len(), 1);
}

pub async fn a_pause_survives_a_restart(place: &dyn Place) {
    let store = place.open().await;
    store.pause(pause(1, PauseScope::All, MINUTE), at(0)).await.unwrap();
    ingest(&store, vec![firing(1)], 0).await;
    store.close().await;
    drop(store);
    let store = place.open().await;
    assert_eq!(begin(&store, 1).await.len(), 0);
    assert_eq!(begin(&store, MINUTE).await.len(), 1);
}
