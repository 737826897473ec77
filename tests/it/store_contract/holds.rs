//! What every store promises about limits, storms and alerts that block.

use std::time::Duration;

use autoheal::domain::elapsed;
use autoheal::domain::guard::Window;
use autoheal::domain::pause::AlertMatchers;
use autoheal::domain::report::Report;
use autoheal::domain::rule::{HealRequest, Mode};
use autoheal::domain::rule_policy::{RuleLimits, RulePolicies, RulePolicy, StormLimit};
use autoheal::store::ReportQuery;

use super::*;

/// The policy of [`policy`] with one for the rule `restart`.
fn with_rule(rule: RulePolicy) -> Arc<Policy> {
    Arc::new(Policy { rules: RulePolicies::new([("restart".to_owned(), rule)]), ..(*policy()).clone() })
}

fn limits(limits: RuleLimits) -> Arc<Policy> {
    with_rule(RulePolicy { limits, ..RulePolicy::default() })
}

fn of_rule(rule: &str, number: usize) -> Sighting {
    sighting(alert(number), [request(rule, &format!("web-{number}"))])
}

pub async fn a_rule_at_its_limit_holds_up_no_other_rule(place: &dyn Place) {
    let store = place.open().await;
    let tight = limits(RuleLimits { concurrent: Some(2), ..RuleLimits::default() });
    ingest(&store, (0..50).map(|number| of_rule("restart", number)).collect(), 0).await;
    ingest(&store, (50..53).map(|number| of_rule("other", number)).collect(), 1).await;
    let advanced = store.advance_due(Arc::clone(&tight), 100, at(1)).await.unwrap();
    let rules: Vec<_> = advanced.to_start.iter().map(|heal| heal.rule.as_str()).collect();
    assert_eq!(rules, ["restart", "restart", "other", "other", "other"]);
    assert_eq!(advanced.next_due, Some(at(1001)), "who waits for room is not asked in a busy loop");
    let held: Vec<_> = all(&store).await.into_iter().filter(|heal| heal.reason.is_hold()).collect();
    assert_eq!(held.len(), 1, "the first that waits says why; the others keep their place unwritten");
    assert_eq!(held[0].reason, Reason::RuleConcurrentLimit { rule: "restart".to_owned(), acting: 2, limit: 2 });
    finish(&store, &advanced.to_start[0], done(), 2).await;
    let next = store.advance_due(tight, 100, at(2)).await.unwrap();
    assert_eq!(next.to_start.iter().map(|heal| heal.id).collect::<Vec<_>>(), [held[0].id], "in their order");
}

pub async fn a_rule_begins_no_more_within_an_hour_than_it_may(place: &dyn Place) {
    let store = place.open().await;
    let tight = limits(RuleLimits { per_hour: Some(2), ..RuleLimits::default() });
    ingest(&store, (0..3).map(|number| of_rule("restart", number)).collect(), 0).await;
    let begun = store.advance_due(Arc::clone(&tight), 100, at(0)).await.unwrap().to_start;
    assert_eq!(begun.len(), 2);
    for heal in &begun {
        finish(&store, heal, done(), 1).await;
    }
    assert_eq!(store.advance_due(Arc::clone(&tight), 100, at(59 * MINUTE)).await.unwrap().to_start.len(), 0);
    assert_eq!(store.advance_due(tight, 100, at(60 * MINUTE)).await.unwrap().to_start.len(), 1);
}

pub async fn every_window_holds_over_all_rules_and_for_one(place: &dyn Place) {
    const HOUR: i64 = 60 * MINUTE;
    let window = |actions, within| Window { actions, within };
    let of_rule_alone = RuleLimits { windows: vec![window(1, Duration::from_mins(10))], ..RuleLimits::default() };
    let over_all = vec![window(3, Duration::from_mins(2)), window(5, Duration::from_hours(24))];
    let both = Arc::new(Policy {
        limits: Limits { windows: over_all, ..Limits::default() },
        ..(*limits(of_rule_alone)).clone()
    });
    let store = place.open().await;
    ingest(&store, (0..3).map(|number| of_rule("restart", number)).collect(), 0).await;
    ingest(&store, (3..9).map(|number| of_rule("other", number)).collect(), 1).await;
    let begun = async |store: &Arc<dyn Store>, now: i64| {
        let heals = store.advance_due(Arc::clone(&both), 100, at(now)).await.unwrap().to_start;
        for heal in &heals {
            finish(store, heal, done(), now).await;
        }
        heals.iter().map(|heal| heal.rule.clone()).collect::<Vec<_>>()
    };
    assert_eq!(begun(&store, 1).await, ["restart", "other", "other"]);
    assert_eq!(begun(&store, 2 * MINUTE).await, Vec::<String>::new(), "three began within two minutes");
    assert_eq!(begun(&store, 2 * MINUTE + 1).await, ["other", "other"], "and one of restart's within ten");
    assert_eq!(begun(&store, 12 * HOUR).await, Vec::<String>::new(), "five began within the day");
    let held = all(&store).await.into_iter().filter(|heal| heal.reason.is_hold());
    let day = Duration::from_hours(24);
    let reason = Reason::WindowLimit { started: 5, limit: 5, within: day, until: at(1) + day };
    assert!(held.into_iter().any(|heal| heal.reason == reason));
    // What was pruned meanwhile, where little history is kept, counts all the same.
    ingest(&store, vec![sighting(resolved_alert(0), [request("restart", "web-0")])], 12 * HOUR).await;
    for message in store.claim_messages(100, at(12 * HOUR)).await.unwrap().0 {
        store.message_result(message.id, DeliveryResult::Sent { memory: None }, at(12 * HOUR)).await.unwrap();
    }
    for message in store.claim_messages(100, at(12 * HOUR)).await.unwrap().0 {
        store.message_result(message.id, DeliveryResult::Sent { memory: None }, at(12 * HOUR)).await.unwrap();
    }
    assert_eq!(store.prune(at(20 * HOUR)).await.unwrap(), 1);
    assert_eq!(begun(&store, 23 * HOUR).await, Vec::<String>::new());
    assert_eq!(begun(&store, 24 * HOUR + 1).await, ["restart", "other", "other"], "the day is over for three of them");
}

pub async fn shadows_wait_for_no_limit(place: &dyn Place) {
    let store = place.open().await;
    let shadow = Policy {
        limits: Limits { concurrent: 1, ..Limits::default() },
        ..(*with_rule(RulePolicy { mode: Mode::Shadow, ..RulePolicy::default() })).clone()
    };
    ingest(&store, (0..20).map(|number| of_rule("other", number)).collect(), 0).await;
    let shadowed = |number| {
        let request = HealRequest { mode: Mode::Shadow, ..request("restart", &format!("web-{number}")) };
        sighting(alert(number), [request])
    };
    ingest(&store, (20..40).map(shadowed).collect(), 1).await;
    let advanced = store.advance_due(Arc::new(shadow), 100, at(1)).await.unwrap();
    assert_eq!(advanced.to_start.len(), 1);
    assert_eq!(store.counts().await.unwrap()["shadowed"], 20, "they only record what would be done");
}

pub async fn a_shadow_learns_how_its_alert_went_on(place: &dyn Place) {
    let store = place.open().await;
    let shadow = || HealRequest { mode: Mode::Shadow, ..request("restart", "web-1") };
    ingest(&store, vec![sighting(alert(1), [shadow()])], 0).await;
    begin(&store, 1000).await;
    let told = ingest(&store, vec![sighting(resolved_alert(1), [shadow()])], 2000).await;
    assert!(told[0].changed && told[0].ended.is_none(), "it had ended before: its end is not counted again");
    let again = ingest(&store, vec![sighting(resolved_alert(1), [shadow()])], 3000).await;
    assert!(!again[0].changed, "told once");
    let ended = resolved_alert(1).ends_at.unwrap();
    let report = async |query| store.report(query).await.unwrap();
    let all = ReportQuery { shadows: 10, ..ReportQuery::default() };
    let told = report(all.clone()).await;
    assert_eq!(told.rules["restart"].shadows.resolved_after, [elapsed(at(1000), ended)]);
    assert_eq!(told, report(ReportQuery { since: Some(at(1000)), until: Some(at(1001)), ..all.clone() }).await);
    for elsewhere in [
        ReportQuery { since: Some(at(1001)), ..all.clone() },
        ReportQuery { until: Some(at(1000)), ..all.clone() },
        ReportQuery { rule: Some("other".to_owned()), ..all.clone() },
    ] {
        assert_eq!(report(elsewhere).await, Report::default());
    }
    let none = report(ReportQuery::default()).await;
    assert_eq!((none.rules.len(), none.is_cut), (0, true), "what is left out is said");
}

pub async fn a_report_counts_how_heals_ended_by_rule(place: &dyn Place) {
    let store = place.open().await;
    let waiting = |number| {
        let request = HealRequest { hold_for: Duration::from_mins(1), ..request("restart", &format!("web-{number}")) };
        sighting(alert(number), [request])
    };
    ingest(&store, (1..3).map(waiting).collect(), 0).await;
    ingest(&store, vec![of_rule("other", 3)], 0).await;
    ingest(&store, (1..3).map(|number| sighting(resolved_alert(number), [])).collect(), 1000).await;
    let report = store.report(ReportQuery::default()).await.unwrap();
    assert_eq!(report.rules.keys().collect::<Vec<_>>(), ["restart"], "what is open has not ended");
    assert_eq!(report.rules["restart"].to_string(), "2 recovered");
}

pub async fn a_storm_holds_new_heals_is_told_once_and_survives_a_restart(place: &dyn Place) {
    let limit = StormLimit { targets: 5, within: Duration::from_mins(2), hold: Duration::from_mins(15) };
    let stormy = limits(RuleLimits { storm: Some(limit), ..RuleLimits::default() });
    let store = place.open().await;
    let ingest = async |store: &Arc<dyn Store>, numbers: std::ops::Range<usize>, now: i64| {
        let sightings = numbers.map(|number| of_rule("restart", number)).collect();
        store.ingest(Arc::clone(&stormy), sightings, at(now)).await.unwrap()
    };
    ingest(&store, 0..3, 0).await;
    assert_eq!(store.advance_due(Arc::clone(&stormy), 300, at(0)).await.unwrap().to_start.len(), 3);
    ingest(&store, 3..200, 1000).await;
    let advanced = store.advance_due(Arc::clone(&stormy), 300, at(1000)).await.unwrap();
    assert_eq!((advanced.to_start.len(), advanced.changed.len()), (0, 197));
    let (messages, _) = store.claim_messages(1000, at(1000)).await.unwrap();
    let pages = messages.iter().filter(|message| message.message.kind == MessageKind::Storm).count();
    assert_eq!(pages, 2, "one storm, one page for each of the two channels");
    let over = 1000 + 17 * MINUTE;
    assert_eq!(advanced.changed[0].due_at(), Some(at(over)));
    store.close().await;
    drop(store);
    let store = place.open().await;
    store.take_over(at(2000)).await.unwrap();
    ingest(&store, 200..201, MINUTE).await;
    let advanced = store.advance_due(Arc::clone(&stormy), 300, at(MINUTE)).await.unwrap();
    assert_eq!((advanced.to_start.len(), advanced.changed.len()), (0, 1), "the storm is known still");
    let again = store.claim_messages(1000, at(2 * MINUTE)).await.unwrap().0;
    assert_eq!(again.iter().filter(|message| message.message.kind == MessageKind::Storm).count(), 2, "the same two");
}

pub async fn nothing_begins_beside_an_alert_that_blocks(place: &dyn Place) {
    let store = place.open().await;
    let blocked_by =
        vec![AlertMatchers::parse(vec!["alertname=InstanceDown, instance=~\"web-9:.*\"".to_owned()]).unwrap()];
    let blocked = with_rule(RulePolicy { blocked_by, ..RulePolicy::default() });
    let tell = async |sightings| store.ingest(Arc::clone(&blocked), sightings, at(0)).await.unwrap();
    tell(vec![sighting(alert(9), []), of_rule("restart", 1), of_rule("other", 2)]).await;
    let advanced = store.advance_due(Arc::clone(&blocked), 10, at(0)).await.unwrap();
    assert_eq!(advanced.to_start.iter().map(|heal| heal.rule.as_str()).collect::<Vec<_>>(), ["other"]);
    let held = advanced.changed.iter().find(|heal| heal.rule == "restart").unwrap();
    assert!(matches!(held.reason, Reason::BlockedBy { .. }), "{}", held.reason);
    tell(vec![sighting(resolved_alert(9), [])]).await;
    assert_eq!(store.advance_due(blocked, 10, at(15_000)).await.unwrap().to_start.len(), 1);
}
