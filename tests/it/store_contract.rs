//! What every store promises, whichever database keeps it. A new kind of store is one more `Place` and one more line at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use autoheal::domain::alert::Alert;
use autoheal::domain::decide::{ActionOutcome, Event, Policy};
use autoheal::domain::guard::Limits;
use autoheal::domain::heal::{Attempt, AttemptStage, Heal, Outcome, Phase};
use autoheal::domain::message::{Audience, Channel, MessageKind};
use autoheal::domain::reason::Reason;
use autoheal::store::sqlite::{Options, SqliteStore};
use autoheal::store::{Decision, DeliveryResult, HealQuery, OutboxCounts, Outgoing, Sighting, Store};
use serde_json::json;
use uuid::Uuid;

use crate::support::sighting::{alert, at, firing, request, resolved, resolved_alert, sighting};

mod calls;
mod holds;
mod people;

use calls::*;
use holds::*;
use people::*;

const MINUTE: i64 = 60_000;

/// Where stores of one kind are opened; the same place opened again shows the same heals.
#[async_trait]
trait Place: Send + Sync {
    async fn open(&self) -> Arc<dyn Store>;
}

fn policy() -> Arc<Policy> {
    let channels =
        vec![Channel::new("on-call/slack", Audience::Everything), Channel::new("on-call/email", Audience::Everything)];
    Arc::new(Policy { receivers: BTreeMap::from([("on-call".to_owned(), channels)]), ..Policy::default() })
}

async fn ingest(store: &Arc<dyn Store>, sightings: Vec<Sighting>, now: i64) -> Vec<Decision> {
    store.ingest(policy(), sightings, at(now)).await.unwrap()
}

async fn all(store: &Arc<dyn Store>) -> Vec<Heal> {
    store.heals(HealQuery { limit: 1000, ..HealQuery::default() }).await.unwrap()
}

fn attempt(heal: &Heal) -> &Attempt {
    match &heal.phase {
        Phase::Acting(attempt) => attempt,
        other => panic!("the heal is {}", other.name()),
    }
}

async fn begin(store: &Arc<dyn Store>, now: i64) -> Vec<Heal> {
    store.advance_due(policy(), 100, at(now)).await.unwrap().to_start
}

async fn finish(store: &Arc<dyn Store>, heal: &Heal, outcome: ActionOutcome, now: i64) -> (Option<Heal>, Reason) {
    let event = Event::Finished { attempt: attempt(heal).id, outcome };
    store.record(policy(), heal.id, event, at(now)).await.unwrap()
}

fn done() -> ActionOutcome {
    ActionOutcome::Done { what: "restarted".to_owned() }
}

async fn what_was_answered_is_there_after_reopening(place: &dyn Place) {
    let store = place.open().await;
    let decisions = ingest(&store, (0..50).map(firing).collect(), 0).await;
    let begun = store.advance_due(policy(), 5, at(1)).await.unwrap().to_start;
    let before = all(&store).await;
    store.close().await;

    let store = place.open().await;
    assert_eq!(all(&store).await, before);
    assert_eq!(decisions.len(), 50);
    assert_eq!(store.outbox_counts().await.unwrap(), OutboxCounts { waiting: 10, dead: 0 });
    let repeats = ingest(&store, (0..50).map(firing).collect(), MINUTE).await;
    assert!(repeats.iter().all(|decision| !decision.changed), "a repeat after a restart is a repeat");
    let taken = store.take_over(at(MINUTE)).await.unwrap();
    assert_eq!(taken, begun, "what the former process was doing is taken over");
    assert_eq!(store.take_over(at(MINUTE)).await.unwrap(), [], "its own attempts nobody takes over");
    store.close().await;
}

async fn a_repeat_starts_no_second_heal(place: &dyn Place) {
    let store = place.open().await;
    let first = ingest(&store, vec![firing(1), firing(1)], 0).await;
    let second = ingest(&store, vec![firing(1)], 1000).await;
    assert_eq!([first[0].changed, first[1].changed, second[0].changed], [true, false, false]);
    assert_eq!((first[1].heal, second[0].heal), (first[0].heal, first[0].heal));
    assert_eq!(second[0].reason, Reason::AlreadyKnown { alert: alert(1).fingerprint });
    assert_eq!(all(&store).await.len(), 1);
}

async fn alerts_of_one_delivery_share_the_heal_of_their_target(place: &dyn Place) {
    let store = place.open().await;
    let on_ui = |number| sighting(alert(number), [request("restart", "ui"), request("other", "ui")]);
    let decisions = ingest(&store, vec![on_ui(1), on_ui(2)], 0).await;
    assert_eq!(
        decisions.iter().map(|decision| decision.rule.as_str()).collect::<Vec<_>>(),
        ["restart", "other", "restart", "other"]
    );
    assert_eq!((decisions[2].heal, decisions[3].heal), (decisions[0].heal, decisions[1].heal));
    assert!(all(&store).await.iter().all(|heal| heal.alerts.len() == 2));
}

async fn a_repeat_stays_with_its_heal_when_the_rule_names_another_target(place: &dyn Place) {
    let store = place.open().await;
    let before = ingest(&store, vec![sighting(alert(1), [request("restart", "old-name")])], 0).await;
    let after = ingest(&store, vec![sighting(alert(1), [request("restart", "new-name")])], 1000).await;
    assert_eq!((after[0].heal, after[0].changed), (before[0].heal, false));
    let end = ingest(&store, vec![sighting(resolved_alert(1), [request("restart", "new-name")])], 2000).await;
    assert_eq!((end.len(), end[0].heal, end[0].changed), (1, before[0].heal, true));
    assert_eq!(all(&store).await[0].outcome(), Some(Outcome::Recovered));
}

async fn a_resolve_reaches_heals_of_rules_that_are_gone(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    let decisions = ingest(&store, vec![sighting(resolved_alert(1), [])], 1000).await;
    assert_eq!((decisions.len(), decisions[0].rule.as_str(), decisions[0].changed), (1, "restart-service", true));
    assert_eq!(all(&store).await[0].outcome(), Some(Outcome::Recovered));
    assert_eq!(ingest(&store, vec![sighting(resolved_alert(1), [])], 2000).await.len(), 0, "nothing is left to tell");
}

async fn a_resolve_of_an_unknown_alert_is_remembered(place: &dyn Place) {
    let store = place.open().await;
    let decisions = ingest(&store, vec![resolved(1)], 0).await;
    assert_eq!((decisions[0].heal, decisions[0].changed), (None, true));
    assert_eq!(all(&store).await.len(), 0);
    assert_eq!(ingest(&store, vec![sighting(alert(2), [])], 0).await.len(), 0, "no rule, no decision");
}

async fn an_episode_outlives_its_heal(place: &dyn Place) {
    let store = place.open().await;
    let first = ingest(&store, vec![firing(1)], 0).await;
    let heal = begin(&store, 1).await.remove(0);
    finish(&store, &heal, ActionOutcome::Failed { error: "no".to_owned() }, 2).await;
    let repeat = ingest(&store, vec![firing(1)], 3).await;
    assert_eq!(repeat[0].reason, Reason::EpisodeEnded { alert: alert(1).fingerprint, outcome: Outcome::Exhausted });
    ingest(&store, vec![resolved(1)], 4).await;
    let later = Alert { starts_at: at(10_000), ..alert(1) };
    let again = ingest(&store, vec![sighting(later, [request("restart-service", "web-1")])], 10_000).await;
    assert!(again[0].changed && again[0].heal != first[0].heal, "after its resolve the alert begins anew");
}

async fn what_is_due_comes_in_order_and_within_limits(place: &dyn Place) {
    let store = place.open().await;
    for number in [3, 1, 2] {
        ingest(&store, vec![firing(number)], i64::try_from(number).unwrap() * 10).await;
    }
    let early = store.advance_due(policy(), 10, at(9)).await.unwrap();
    assert_eq!((early.changed.len(), early.next_due), (0, Some(at(10))));
    let tight = Arc::new(Policy { limits: Limits { concurrent: 2, ..Limits::default() }, ..Policy::default() });
    let first = store.advance_due(Arc::clone(&tight), 1, at(40)).await.unwrap();
    assert_eq!(
        first.to_start.iter().map(|heal| heal.alerts[0].fingerprint).collect::<Vec<_>>(),
        [alert(1).fingerprint]
    );
    assert_eq!(first.next_due, Some(at(20)), "more is due already");
    let rest = store.advance_due(tight, 10, at(40)).await.unwrap();
    assert_eq!((rest.changed.len(), rest.to_start.len()), (2, 1), "the second attempt fills the limit");
    assert_eq!(rest.changed[1].reason, Reason::ConcurrentLimit { acting: 2, limit: 2 });
    assert_eq!(rest.next_due, Some(at(1040)), "who waits for room is not asked in a busy loop");
}

async fn one_target_is_acted_on_once_at_a_time(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![sighting(alert(1), [request("one", "ui"), request("two", "ui")])], 0).await;
    let advanced = store.advance_due(policy(), 10, at(0)).await.unwrap();
    assert_eq!((advanced.changed.len(), advanced.to_start.len()), (2, 1));
    let holder = &advanced.to_start[0];
    assert_eq!(advanced.changed[1].reason, Reason::TargetBusy { heal: holder.id, until: at(2000) });
    finish(&store, holder, done(), 1000).await;
    assert_eq!(begin(&store, MINUTE).await.len(), 1, "the target is free");
}

async fn a_try_that_could_not_be_made_counts_once_for_the_hour(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    for round in 0..3 {
        let now = round * 10_000;
        let heal = begin(&store, now).await.remove(0);
        finish(&store, &heal, ActionOutcome::Unreachable { error: "no engine".to_owned() }, now).await;
    }
    ingest(&store, vec![firing(2), firing(3)], 40_000).await;
    let tight = Arc::new(Policy { limits: Limits { per_hour: 3, ..Limits::default() }, ..Policy::default() });
    let advanced = store.advance_due(tight, 10, at(40_000)).await.unwrap();
    assert_eq!(advanced.to_start.len(), 3, "the first heal's tries count as one: {:?}", advanced.changed);
}

async fn an_attempt_is_recorded_stage_by_stage(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    let heal = begin(&store, 0).await.remove(0);
    let id = attempt(&heal).id;
    let handle = serde_json::json!({"container": "0123", "pid": 4711, "big": u64::MAX, "ratio": 0.1, "none": null});
    for event in [
        Event::Prepared { attempt: id, handle: handle.clone(), found: "one container".to_owned() },
        Event::Started { attempt: id, handle: handle.clone(), what: "restarted".to_owned() },
    ] {
        let (heal, _) = store.record(policy(), heal.id, event, at(1)).await.unwrap();
        store.renew_leases(at(1)).await.unwrap();
        let stored = store.heal(heal.as_ref().unwrap().id).await.unwrap();
        assert_eq!(stored, heal, "what is answered is what is stored");
    }
    let started = store.heal(heal.id).await.unwrap().unwrap();
    assert_eq!(attempt(&started).stage, AttemptStage::Started { handle });
    finish(&store, &heal, done(), 2).await;
    let (unchanged, reason) = finish(&store, &heal, done(), 3).await;
    assert_eq!((unchanged.unwrap().phase.name(), reason), ("verifying", Reason::AttemptOver));
    let nobody = autoheal::domain::heal::HealId(Uuid::now_v7());
    let event = Event::TakenOver { attempt: id };
    assert!(store.record(policy(), nobody, event, at(3)).await.unwrap().0.is_none());
}

async fn a_watchdog_looks_at_attempts_that_nobody_ends(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    begin(&store, 0).await;
    let grace = i64::try_from(Heal::WATCHDOG_GRACE.as_millis()).unwrap();
    let early = store.advance_due(policy(), 10, at(MINUTE + grace - 1)).await.unwrap();
    assert_eq!((early.changed.len(), early.next_due), (0, Some(at(MINUTE + grace))), "the engine may be about to");
    let late = store.advance_due(policy(), 10, at(MINUTE + grace)).await.unwrap();
    assert_eq!(late.changed[0].outcome(), Some(Outcome::Exhausted));
}

async fn a_claim_lapses_and_results_stay(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    begin(&store, 0).await;
    let (first, next) = store.claim_messages(1, at(0)).await.unwrap();
    assert_eq!((first.len(), first[0].tries, next), (1, 0, Some(at(0))));
    let (second, next) = store.claim_messages(10, at(0)).await.unwrap();
    assert_eq!((second.len(), next), (1, Some(at(MINUTE))), "what is claimed is not handed out again");
    assert_eq!(second[0].message.kind, MessageKind::Started);
    assert_eq!(Some(&second[0].message.heal), all(&store).await.first());
    assert_eq!(store.claim_messages(10, at(MINUTE - 1)).await.unwrap().0.len(), 0);
    let (again, _) = store.claim_messages(10, at(MINUTE)).await.unwrap();
    assert_eq!(
        again.iter().map(|message| (message.id, message.tries)).collect::<Vec<_>>(),
        [(first[0].id, 1), (second[0].id, 1)]
    );
    let retry = DeliveryResult::Retry { at: at(5 * MINUTE), error: "429".to_owned() };
    store.message_result(again[0].id, retry, at(MINUTE)).await.unwrap();
    store.message_result(again[1].id, DeliveryResult::Sent { memory: None }, at(MINUTE)).await.unwrap();
    let (none, next) = store.claim_messages(10, at(4 * MINUTE)).await.unwrap();
    assert_eq!((none.len(), next), (0, Some(at(5 * MINUTE))));
    let dead = DeliveryResult::Dead { error: "no such channel".to_owned(), forward_to: Vec::new() };
    store.message_result(again[0].id, dead, at(5 * MINUTE)).await.unwrap();
    store.message_result(again[0].id, DeliveryResult::Sent { memory: None }, at(5 * MINUTE)).await.unwrap();
    assert_eq!(store.outbox_counts().await.unwrap(), OutboxCounts { waiting: 0, dead: 1 });
}

async fn a_story_stays_in_order_also_after_a_restart(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    let heal = begin(&store, 0).await.remove(0);
    let first = store.claim_messages(10, at(0)).await.unwrap().0;
    let sent = DeliveryResult::Sent { memory: Some(json!({"ts": "1"})) };
    store.message_result(first[0].id, sent, at(0)).await.unwrap();
    let retry = DeliveryResult::Retry { at: at(5 * MINUTE), error: "429".to_owned() };
    store.message_result(first[1].id, retry, at(0)).await.unwrap();
    finish(&store, &heal, ActionOutcome::Failed { error: "no".to_owned() }, 1).await;
    store.close().await;
    drop(store);

    let store = place.open().await;
    let (later, next) = store.claim_messages(10, at(MINUTE)).await.unwrap();
    assert_eq!(channels(&later), [&first[0].channel], "on the other channel an earlier message waits");
    assert_eq!(later[0].memory, Some(json!({"ts": "1"})), "what the notifier wanted to be shown again");
    assert_eq!(next, Some(at(2 * MINUTE)), "nobody looks for what may not go yet");
    store.message_result(later[0].id, DeliveryResult::Sent { memory: None }, at(MINUTE)).await.unwrap();
    let (again, _) = store.claim_messages(10, at(5 * MINUTE)).await.unwrap();
    assert_eq!((again[0].id, again.len(), &again[0].memory), (first[1].id, 1, &None));
    store.message_result(again[0].id, DeliveryResult::Sent { memory: None }, at(5 * MINUTE)).await.unwrap();
    let (last, _) = store.claim_messages(10, at(5 * MINUTE)).await.unwrap();
    assert_eq!((last.len(), last[0].message.kind), (1, later[0].message.kind));
}

fn channels(messages: &[Outgoing]) -> Vec<&String> {
    messages.iter().map(|message| &message.channel).collect()
}

async fn what_a_process_that_is_gone_was_delivering_is_due_again(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, vec![firing(1)], 0).await;
    begin(&store, 0).await;
    let (claimed, _) = store.claim_messages(10, at(0)).await.unwrap();
    store.take_over(at(1)).await.unwrap();
    assert_eq!(store.claim_messages(10, at(2)).await.unwrap().0.len(), 0, "this process lives and delivers");
    store.close().await;
    drop(store);
    let heir = place.open().await;
    heir.take_over(at(3)).await.unwrap();
    let (again, _) = heir.claim_messages(10, at(4)).await.unwrap();
    let identities = |messages: &[Outgoing]| messages.iter().map(|message| message.id).collect::<Vec<_>>();
    assert_eq!(identities(&again), identities(&claimed), "it may have arrived, so its identity stays");
}

async fn heals_are_listed_newest_first_and_counted(place: &dyn Place) {
    let store = place.open().await;
    let mut ids: Vec<_> = Vec::new();
    for number in 0..5 {
        ids.extend(ingest(&store, vec![firing(number)], 0).await.into_iter().filter_map(|decision| decision.heal));
    }
    ids.reverse();
    ingest(&store, vec![resolved(4)], 1).await;
    let list = async |query: HealQuery| -> Vec<_> {
        store.heals(query).await.unwrap().into_iter().map(|heal| heal.id).collect()
    };
    let query = HealQuery { limit: 2, ..HealQuery::default() };
    assert_eq!(list(query.clone()).await, ids[..2]);
    assert_eq!(list(HealQuery { before: Some(ids[1]), ..query.clone() }).await, ids[2..4]);
    assert_eq!(list(HealQuery { state: Some("recovered".to_owned()), ..query.clone() }).await, ids[..1]);
    assert_eq!(list(HealQuery { rule: Some("other".to_owned()), ..query.clone() }).await, []);
    let every = HealQuery { limit: 1000, ..query };
    let all = store.heals(every.clone()).await.unwrap();
    let middle = &all[1];
    let same_target = all.iter().filter(|heal| heal.target == middle.target).map(|heal| heal.id).collect::<Vec<_>>();
    assert_eq!(list(HealQuery { target: Some(middle.target.to_string()), ..every.clone() }).await, same_target);
    let since = all.iter().filter(|heal| heal.created_at >= middle.created_at).map(|heal| heal.id).collect::<Vec<_>>();
    assert_eq!(list(HealQuery { since: Some(middle.created_at), ..every.clone() }).await, since);
    let until = all.iter().filter(|heal| heal.created_at < middle.created_at).map(|heal| heal.id).collect::<Vec<_>>();
    assert_eq!(list(HealQuery { until: Some(middle.created_at), ..every }).await, until);
    let counts = store.counts().await.unwrap();
    assert_eq!((counts["pending"], counts["recovered"], counts["acting"]), (4, 1, 0));
}

async fn what_is_old_is_forgotten_and_nothing_else(place: &dyn Place) {
    let store = place.open().await;
    ingest(&store, (0..600).map(firing).collect(), 0).await;
    ingest(&store, (0..600).map(resolved).collect(), MINUTE).await;
    ingest(&store, vec![firing(1000), firing(1001)], MINUTE).await;
    ingest(&store, vec![resolved(1001)], 3 * MINUTE).await;
    let (waiting, _) = store.claim_messages(5000, at(3 * MINUTE)).await.unwrap();
    assert_eq!(waiting.len(), 601 * 2);
    let untold = waiting[0].message.heal.id;
    for message in waiting.iter().filter(|message| message.message.heal.id != untold) {
        store.message_result(message.id, DeliveryResult::Sent { memory: None }, at(3 * MINUTE)).await.unwrap();
    }
    assert_eq!(store.prune(at(2 * MINUTE)).await.unwrap(), 599);
    let left = all(&store).await;
    assert_eq!(left.len(), 3, "the open one, the young one, the one somebody is still to be told of");
    assert!(left.iter().any(|heal| heal.id == untold));
    assert_eq!(store.prune(at(2 * MINUTE)).await.unwrap(), 0);
    let old = ingest(&store, vec![sighting(resolved_alert(599), [request("restart-service", "web-599")])], 4 * MINUTE);
    assert_eq!(old.await[0].heal, None, "its episode went with it");
}

/// A directory that goes with the test.
struct SqliteFile(tempfile::TempDir);

impl SqliteFile {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data/autoheal.db")
    }
}

#[async_trait]
impl Place for SqliteFile {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path(), Options::default()).unwrap())
    }
}

struct SqliteMemory;

#[async_trait]
impl Place for SqliteMemory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::in_memory(Options::default()).unwrap())
    }
}

macro_rules! contract {
    ($kind:ident, $place:expr, $($promise:ident)+) => {
        mod $kind {
            use super::*;
            $(
                #[tokio::test]
                async fn $promise() {
                    super::$promise(&$place).await;
                }
            )+
        }
    };
}

macro_rules! every_promise_but_durability {
    ($kind:ident, $place:expr, $($more:ident)*) => {
        contract! {
            $kind, $place,
            a_repeat_starts_no_second_heal
            alerts_of_one_delivery_share_the_heal_of_their_target
            a_repeat_stays_with_its_heal_when_the_rule_names_another_target
            a_resolve_reaches_heals_of_rules_that_are_gone
            a_resolve_of_an_unknown_alert_is_remembered
            an_episode_outlives_its_heal
            what_is_due_comes_in_order_and_within_limits
            one_target_is_acted_on_once_at_a_time
            a_try_that_could_not_be_made_counts_once_for_the_hour
            an_attempt_is_recorded_stage_by_stage
            a_rule_at_its_limit_holds_up_no_other_rule
            a_rule_begins_no_more_within_an_hour_than_it_may
            every_window_holds_over_all_rules_and_for_one
            shadows_wait_for_no_limit
            a_shadow_learns_how_its_alert_went_on
            a_report_counts_how_heals_ended_by_rule
            nothing_begins_beside_an_alert_that_blocks
            an_approval_works_once
            a_cancelled_attempt_is_passed_on_once_and_ends_cancelled
            a_reset_forgets_the_ladder_of_this_heal
            a_pause_holds_until_it_ends_or_somebody_ends_it
            a_message_carries_the_pause_that_lasts_when_it_is_told
            a_pause_that_is_too_long_is_told_once
            there_are_never_too_many_pauses
            a_watchdog_looks_at_attempts_that_nobody_ends
            a_claim_lapses_and_results_stay
            a_page_passes_what_is_held_and_what_is_held_comes_back_with_its_age_anew
            heals_are_listed_newest_first_and_counted
            what_is_old_is_forgotten_and_nothing_else
            $($more)*
        }
    };
}

every_promise_but_durability!(sqlite_file, SqliteFile::new(), what_comes_and_goes_calls_once_and_goes_on_in_the_same_conversation who_was_called_is_reminded_also_after_a_restart_and_told_when_it_is_over a_pause_survives_a_restart a_storm_holds_new_heals_is_told_once_and_survives_a_restart a_story_stays_in_order_also_after_a_restart what_was_answered_is_there_after_reopening what_a_process_that_is_gone_was_delivering_is_due_again);
every_promise_but_durability!(sqlite_memory, SqliteMemory,);
