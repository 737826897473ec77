use super::super::samples::{at, outgoing};
use super::*;

fn number(next: &Next) -> u128 {
    next.outgoings[0].id.as_u128()
}

fn sent(lane: &mut Lane, next: &Next, now: i64) {
    lane.settle(&[(next.outgoings[0].clone(), DeliveryResult::Sent { memory: None })], None, at(now));
}

fn failed(lane: &mut Lane, next: &Next, now: i64) {
    let outgoing = next.outgoings[0].clone();
    let back = at(now) + backoff(outgoing.id, next.failures + 1);
    lane.settle(&[(outgoing, DeliveryResult::Retry { at: back, error: "down".into() })], None, at(now));
}

#[test]
fn the_wait_doubles_up_to_ten_minutes_and_differs_between_messages() {
    let millis = |id, failures| backoff(Uuid::from_u128(id), failures).as_millis();
    assert_eq!([1, 2, 3, 7, 8, u32::MAX].map(|n| millis(0, n)), [5000, 10_000, 20_000, 320_000, 600_000, 600_000]);
    assert_eq!(millis(0xFF, 1), 6250);
}

#[test]
fn messages_go_one_at_a_time_in_the_order_they_were_written() {
    let mut lane = Lane::default();
    for (id, heal) in [(3, 1), (1, 1), (2, 2)] {
        assert!(lane.push(outgoing(id, heal)));
    }
    for expected in 1..=3 {
        let next = lane.next(at(0)).unwrap();
        assert_eq!(number(&next), expected);
        assert!(lane.next(at(0)).is_none(), "one at a time");
        sent(&mut lane, &next, 0);
    }
    assert!(lane.next(at(0)).is_none() && lane.is_idle(at(0)));
}

#[test]
fn a_claim_that_lapses_brings_nothing_twice() {
    let mut lane = Lane::default();
    assert!(lane.push(outgoing(1, 1)));
    assert!(!lane.push(outgoing(1, 1)), "it waits");
    let next = lane.next(at(0)).unwrap();
    assert!(!lane.push(outgoing(1, 1)), "it is under way");
    failed(&mut lane, &next, 0);
    assert!(lane.push(outgoing(1, 1)), "it has come back");
}

#[test]
fn a_lane_pauses_longer_after_each_failure_until_something_arrives() {
    let mut lane = Lane::default();
    let mut now = 0;
    for pause in [5, 10, 20, 40] {
        lane.push(outgoing(256, 1));
        let next = lane.next(at(now)).unwrap();
        failed(&mut lane, &next, now);
        assert!(!lane.is_idle(at(now)));
        lane.push(outgoing(256, 1));
        assert!(lane.next(at(now + pause - 1)).is_none());
        assert_eq!(lane.resumes_at(at(now)), Some(at(now + pause)));
        now += pause;
    }
    let next = lane.next(at(now)).unwrap();
    assert_eq!(next.failures, 4);
    sent(&mut lane, &next, now);
    lane.push(outgoing(512, 2));
    assert_eq!(lane.next(at(now)).unwrap().failures, 0);
}

#[test]
fn a_pause_the_other_side_asks_for_holds_for_the_whole_lane() {
    let mut lane = Lane::default();
    lane.push(outgoing(1, 1));
    lane.push(outgoing(2, 2));
    let next = lane.next(at(0)).unwrap();
    let result = DeliveryResult::Retry { at: at(300), error: "429".into() };
    lane.settle(&[(next.outgoings[0].clone(), result)], Some(Duration::from_mins(5)), at(0));
    assert!(lane.next(at(299)).is_none());
    assert_eq!(number(&lane.next(at(300)).unwrap()), 2);
}

#[test]
fn a_clock_that_is_put_back_makes_no_pause_longer() {
    let (mut lane, hour) = (Lane::default(), 3600);
    lane.push(outgoing(256, 1));
    let next = lane.next(at(hour)).unwrap();
    failed(&mut lane, &next, hour);
    lane.push(outgoing(256, 1));
    assert!(lane.next(at(hour + 1)).is_none());
    // One second has passed, and by the clock an hour less.
    assert!(lane.next(at(2)).is_none());
    assert_eq!(lane.resumes_at(at(2)), Some(at(6)));
    assert!(lane.next(at(6)).is_some());
}

#[test]
fn a_message_that_fails_again_and_again_stands_in_nobodys_way() {
    let mut lane = Lane::default();
    lane.push(outgoing(1, 1));
    let first = lane.next(at(0)).unwrap();
    failed(&mut lane, &first, 0);
    lane.push(outgoing(1, 1));
    lane.push(outgoing(3, 2));
    let other = lane.next(at(6)).unwrap();
    assert_eq!(number(&other), 3);
    sent(&mut lane, &other, 6);
    let again = lane.next(at(6)).unwrap();
    assert_eq!((number(&again), again.failures), (1, 1));
}

#[test]
fn a_channel_gets_no_more_than_it_bears() {
    let pace = Pace { gap: Duration::from_secs(2), burst: 3, ..Pace::default() };
    let mut lane = Lane::new(pace);
    let mut sent_at = Vec::new();
    for id in 1..=6 {
        lane.push(outgoing(id, id));
    }
    for now in 0..20 {
        while let Some(next) = lane.next(at(now)) {
            sent_at.push(now);
            sent(&mut lane, &next, now);
        }
    }
    assert_eq!(sent_at, [0, 0, 0, 2, 4, 6], "a burst, then one by one");
    lane.push(outgoing(7, 7));
    assert!(lane.next(at(20)).is_some(), "a rest gives the burst back");
    assert!(!lane.is_idle(at(20)), "what was sent is remembered while it counts");
}

#[test]
fn many_beginnings_go_as_one_and_stories_that_go_on_stay_apart() {
    let mut lane = Lane::new(Pace { bundle_from: 3, ..Pace::default() });
    let mut goes_on = outgoing(2, 2);
    goes_on.memory = Some(serde_json::json!({"ts": "1"}));
    for outgoing in [outgoing(1, 1), goes_on, outgoing(3, 3), outgoing(4, 4)] {
        assert!(lane.push(outgoing));
    }
    let next = lane.next(at(0)).unwrap();
    assert_eq!(next.outgoings.iter().map(|outgoing| outgoing.id.as_u128()).collect::<Vec<_>>(), [1, 3, 4]);
    let retry = |outgoing: &Outgoing| (outgoing.clone(), DeliveryResult::Retry { at: at(5), error: "down".into() });
    lane.settle(&next.outgoings.iter().map(retry).collect::<Vec<_>>(), None, at(0));
    assert_eq!(lane.failures, 1, "one failure, however many messages");
    for id in [1, 3, 4] {
        assert!(lane.push(outgoing(id, id)), "all of it comes back");
    }
    let again = lane.next(at(60)).unwrap();
    assert_eq!((again.outgoings.len(), again.failures), (3, 1));
    let sent: Vec<_> =
        again.outgoings.into_iter().map(|outgoing| (outgoing, DeliveryResult::Sent { memory: None })).collect();
    lane.settle(&sent, None, at(60));
    assert_eq!(number(&lane.next(at(60)).unwrap()), 2);
}

#[test]
fn what_waits_is_bounded_and_a_broken_delivery_frees_the_lane() {
    let mut lane = Lane::default();
    for id in 1..=MAX_WAITING as u128 {
        assert!(lane.push(outgoing(id, id)));
    }
    assert!(!lane.push(outgoing(9999, 1)));
    assert_eq!(number(&lane.next(at(0)).unwrap()), 1);
    lane.abandon();
    assert!(lane.push(outgoing(1, 1)), "the abandoned message may come back");
}

#[test]
fn five_hundred_stories_over_a_minute_become_few_messages_and_none_is_left_out() {
    let pace = Pace { gap: Duration::from_millis(1300), burst: 4, bundle_from: 10, gather: Duration::from_secs(10) };
    let mut lane = Lane::new(pace);
    let (mut told, mut messages, mut id) = (0, 0, 0);
    for second in 0..120 {
        for _ in 0..if second < 60 { 9 } else { 0 } {
            id += 1;
            lane.push(outgoing(id, id));
        }
        let Some(next) = lane.next(at(second)) else { continue };
        let sent = |outgoing: &Outgoing| (outgoing.clone(), DeliveryResult::Sent { memory: None });
        lane.settle(&next.outgoings.iter().map(sent).collect::<Vec<_>>(), None, at(second));
        told += next.outgoings.len();
        messages += 1;
    }
    assert_eq!(told, 540, "nobody is left out");
    assert!(messages <= 12, "{messages} messages within a minute");
}

#[test]
fn a_story_goes_on_while_new_ones_gather() {
    let pace = Pace { bundle_from: 2, gather: Duration::from_secs(10), ..Pace::default() };
    let mut lane = Lane::new(pace);
    let settle = |lane: &mut Lane, next: &Next, now: i64| {
        let sent = |outgoing: &Outgoing| (outgoing.clone(), DeliveryResult::Sent { memory: None });
        lane.settle(&next.outgoings.iter().map(sent).collect::<Vec<_>>(), None, at(now));
    };
    lane.push(outgoing(1, 1));
    lane.push(outgoing(2, 2));
    let bundle = lane.next(at(0)).unwrap();
    assert_eq!(bundle.outgoings.len(), 2);
    settle(&mut lane, &bundle, 0);
    lane.push(outgoing(3, 3));
    assert!(lane.next(at(5)).is_none(), "it gathers");
    assert_eq!((lane.resumes_at(at(5)), lane.is_idle(at(5))), (Some(at(10)), false));
    let known = Outgoing { memory: Some(serde_json::json!({})), ..outgoing(4, 4) };
    lane.push(known);
    let next = lane.next(at(6)).unwrap();
    assert_eq!(number(&next), 4, "what only edits does not wait");
    settle(&mut lane, &next, 6);
    assert_eq!(number(&lane.next(at(10)).unwrap()), 3);
}

#[test]
fn what_was_kept_for_later_goes_together() {
    let mut lane = Lane::default();
    for id in 1..=3 {
        lane.push(Outgoing { held: id < 3, ..outgoing(id, id) });
    }
    let next = lane.next(at(0)).unwrap();
    assert_eq!(next.outgoings.iter().map(|outgoing| outgoing.id.as_u128()).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_is_to_be_decided_goes_by_itself_and_does_not_wait_for_others() {
    let pace = Pace { bundle_from: 2, gather: Duration::from_secs(10), ..Pace::default() };
    let mut lane = Lane::new(pace);
    let question = |id| {
        let mut question = outgoing(id, id);
        question.message.kind = MessageKind::ApprovalNeeded;
        question
    };
    for outgoing in [question(1), question(2), outgoing(3, 3), outgoing(4, 4), Outgoing { held: true, ..question(5) }] {
        lane.push(outgoing);
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        let next = lane.next(at(0)).unwrap();
        told.push(next.outgoings.iter().map(|outgoing| outgoing.id.as_u128()).collect::<Vec<_>>());
        let sent = |outgoing: &Outgoing| (outgoing.clone(), DeliveryResult::Sent { memory: None });
        lane.settle(&next.outgoings.iter().map(sent).collect::<Vec<_>>(), None, at(0));
    }
    assert_eq!(told, [vec![3, 4], vec![1]]);
    lane.push(outgoing(6, 6));
    for expected in [2, 5] {
        let next = lane.next(at(5)).unwrap();
        assert_eq!((number(&next), next.outgoings.len()), (expected, 1), "while others gather");
        assert!(lane.resumes_at(at(5)).is_none(), "busy");
        sent(&mut lane, &next, 5);
    }
    assert!(lane.next(at(5)).is_none() && lane.resumes_at(at(5)) == Some(at(10)));
    lane.push(question(7));
    assert_eq!(lane.resumes_at(at(5)), None, "it may go at once");
}
