use super::super::samples::{at, outgoing};
use super::*;

fn number(next: &Next) -> u128 {
    next.outgoing.id.as_u128()
}

fn sent(lane: &mut Lane, next: &Next, now: i64) {
    lane.settle(&next.outgoing, &DeliveryResult::Sent, None, at(now));
}

fn failed(lane: &mut Lane, next: &Next, now: i64) {
    let back = at(now) + backoff(next.outgoing.id, next.failures + 1);
    lane.settle(&next.outgoing, &DeliveryResult::Retry { at: back, error: "down".into() }, None, at(now));
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
    lane.settle(&next.outgoing, &result, Some(Duration::from_mins(5)), at(0));
    assert!(lane.next(at(299)).is_none());
    assert_eq!(number(&lane.next(at(300)).unwrap()), 2);
}

#[test]
fn a_message_that_fails_holds_up_its_own_heal_and_nobody_else() {
    let mut lane = Lane::default();
    lane.push(outgoing(1, 1));
    let first = lane.next(at(0)).unwrap();
    failed(&mut lane, &first, 0);
    lane.push(outgoing(2, 1));
    lane.push(outgoing(3, 2));
    let other = lane.next(at(6)).unwrap();
    assert_eq!(number(&other), 3, "the later message of the same heal does not pass");
    sent(&mut lane, &other, 6);
    assert!(lane.next(at(6)).is_none());
    lane.push(outgoing(1, 1));
    let again = lane.next(at(6)).unwrap();
    assert_eq!((number(&again), again.failures), (1, 1));
    sent(&mut lane, &again, 6);
    assert_eq!(number(&lane.next(at(6)).unwrap()), 2);
}

#[test]
fn a_heal_does_not_wait_for_ever_for_a_message_that_never_comes_back() {
    let mut lane = Lane::default();
    lane.push(outgoing(1, 1));
    let first = lane.next(at(0)).unwrap();
    failed(&mut lane, &first, 0);
    lane.push(outgoing(2, 1));
    assert!(lane.next(at(60)).is_none());
    assert_eq!(number(&lane.next(at(600)).unwrap()), 2);
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
