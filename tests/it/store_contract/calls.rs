//! What every store promises about calls for a human.

use std::time::Duration;

use super::*;

/// The policy of [`policy`] with reminders for the chat.
fn reminding() -> Arc<Policy> {
    let mut policy = (*policy()).clone();
    let channels = policy.receivers.values_mut().flatten().filter(|channel| channel.name.ends_with("slack"));
    channels.for_each(|channel| channel.remind = Some(Duration::from_mins(30)));
    Arc::new(policy)
}

async fn gives_up(store: &Arc<dyn Store>, number: usize) {
    ingest(store, vec![firing(number)], 0).await;
    let begun = begin(store, 1).await.remove(0);
    let event =
        Event::Finished { attempt: attempt(&begun).id, outcome: ActionOutcome::Refused { error: "no".to_owned() } };
    let (heal, _) = store.record(reminding(), begun.id, event, at(2)).await.unwrap();
    assert_eq!(heal.unwrap().outcome(), Some(Outcome::Exhausted));
}

/// The kinds that wait for the chat, oldest first.
async fn told(store: &Arc<dyn Store>, now: i64) -> Vec<MessageKind> {
    let mut told = Vec::new();
    loop {
        let (claimed, _) = store.claim_messages(100, at(now)).await.unwrap();
        if claimed.is_empty() {
            return told;
        }
        for outgoing in claimed {
            if outgoing.channel.ends_with("slack") {
                told.push(outgoing.message.kind);
            }
            store.message_result(outgoing.id, DeliveryResult::Sent { memory: None }, at(now)).await.unwrap();
        }
    }
}

pub async fn a_page_passes_what_is_held_and_what_is_held_comes_back_with_its_age_anew(place: &dyn Place) {
    let store = place.open().await;
    gives_up(&store, 1).await;
    let (claimed, _) = store.claim_messages(100, at(3)).await.unwrap();
    let started: Vec<_> = claimed.iter().filter(|outgoing| outgoing.channel.ends_with("slack")).collect();
    assert_eq!((started.len(), started[0].message.kind), (1, MessageKind::Started), "the page waits for its turn");
    let until = at(600 * MINUTE);
    store.message_result(started[0].id, DeliveryResult::Held { until }, at(3)).await.unwrap();
    assert_eq!(told(&store, 3).await, [MessageKind::Exhausted]);
    let (early, next) = store.claim_messages(100, at(600 * MINUTE - 1)).await.unwrap();
    assert!(early.iter().all(|outgoing| outgoing.channel.ends_with("email")) && next.is_some());
    let (later, _) = store.claim_messages(100, until).await.unwrap();
    let held = later.iter().find(|outgoing| outgoing.id == started[0].id).unwrap();
    assert_eq!((held.held, held.since, held.tries), (true, until, 0), "it was never tried");
}

pub async fn who_was_called_is_reminded_also_after_a_restart_and_told_when_it_is_over(place: &dyn Place) {
    let store = place.open().await;
    gives_up(&store, 1).await;
    assert_eq!(told(&store, 3).await, [MessageKind::Started, MessageKind::Exhausted]);
    let called = || HealQuery { called: true, limit: 10, ..HealQuery::default() };
    assert_eq!(store.heals(called()).await.unwrap().len(), 1);
    store.close().await;

    let store = place.open().await;
    let early = store.advance_due(reminding(), 10, at(29 * MINUTE)).await.unwrap();
    assert_eq!((early.changed.len(), early.next_due), (0, Some(at(30 * MINUTE + 2))), "woken when it is due");
    let looked = store.advance_due(reminding(), 10, at(31 * MINUTE)).await.unwrap();
    assert!(looked.changed.iter().all(|heal| !heal.is_news()), "its end is not counted again");
    assert_eq!(
        (told(&store, 31 * MINUTE).await, looked.next_due),
        (vec![MessageKind::Reminder], Some(at(61 * MINUTE)))
    );

    let resolve = ingest(&store, vec![resolved(1)], 40 * MINUTE).await;
    assert!(resolve[0].changed && resolve[0].ended.is_none());
    assert_eq!(told(&store, 40 * MINUTE).await, [MessageKind::Over]);
    assert_eq!(store.heals(called()).await.unwrap(), []);
    let after = store.advance_due(reminding(), 10, at(90 * MINUTE)).await.unwrap();
    assert_eq!((after.changed.len(), after.next_due), (0, None));
    let again = ingest(&store, vec![resolved(1)], 91 * MINUTE).await;
    assert!(again.iter().all(|decision| !decision.changed), "told once");
    store.close().await;
}

pub async fn what_comes_and_goes_calls_once_and_goes_on_in_the_same_conversation(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    let heal = begin(&store, 0).await.remove(0);
    finish(&store, &heal, done(), 1).await;
    ingest(&store, vec![resolved(1)], MINUTE).await;
    assert_eq!(told(&store, MINUTE).await, [MessageKind::Started, MessageKind::Healed]);

    let is_back =
        |minute: i64| Sighting { alert: Alert { starts_at: at(minute * MINUTE), ..alert(1) }.into(), ..firing(1) };
    let is_gone = |minute: i64| Sighting {
        alert: Alert { ends_at: Some(at(minute * MINUTE)), ..resolved_alert(1) }.into(),
        ..resolved(1)
    };
    ingest(&store, vec![is_back(5)], 5 * MINUTE).await;
    let (claimed, _) = store.claim_messages(100, at(5 * MINUTE)).await.unwrap();
    for page in &claimed {
        assert_eq!(page.message.kind, MessageKind::Exhausted);
        let sent = DeliveryResult::Sent { memory: Some(json!({"ts": page.channel})) };
        store.message_result(page.id, sent, at(5 * MINUTE)).await.unwrap();
    }
    ingest(&store, vec![is_gone(6)], 6 * MINUTE).await;
    ingest(&store, vec![is_back(10)], 10 * MINUTE).await;
    ingest(&store, vec![is_gone(11)], 11 * MINUTE).await;
    assert_eq!((all(&store).await.len(), told(&store, 11 * MINUTE).await), (3, vec![]), "whoever was called knows");
    store.close().await;

    let store = place.open().await;
    store.advance_due(policy(), 10, at(71 * MINUTE)).await.unwrap();
    let (over, _) = store.claim_messages(100, at(71 * MINUTE)).await.unwrap();
    assert_eq!(over.len(), 2, "one for each channel that was told");
    for message in &over {
        assert_eq!(message.message.kind, MessageKind::Over);
        assert_eq!(message.memory, Some(json!({"ts": message.channel})), "in the thread in which it was called");
    }
    let called = HealQuery { called: true, limit: 10, ..HealQuery::default() };
    assert_eq!(store.heals(called).await.unwrap(), [], "the heal before has handed its call on");
    store.close().await;
}
