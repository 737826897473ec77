//! Connections: how they begin, idle, misbehave and end.

use std::time::Duration;

use autoheal::web::server::{Limits, Server};

use super::{Door, matching};
use crate::support::fake_store::Behaviour;
use crate::support::http::{Connection, get, request};

#[tokio::test]
async fn a_taken_port_is_an_error_that_says_so() {
    let door = Door::open().await;
    let error = Server::bind(door.address).await.err().expect("the port is taken").to_string();
    assert!(error.starts_with(&format!("cannot listen on {}: ", door.address)), "{error}");
    assert!(error.contains("--listen-address"), "{error}");
}

#[tokio::test]
async fn one_connection_carries_many_requests_also_pipelined() {
    let door = Door::open().await;
    let mut connection = Connection::open(door.address).await;
    for _ in 0..3 {
        connection.send(request("POST", "/alerts", &[], matching())).await;
        assert_eq!(connection.answer().await.status, 202);
    }
    let both = [
        request("POST", "/alerts", &[], matching()),
        request("GET", "/-/healthy", &[], ""),
        request("GET", "/x", &[], ""),
    ];
    connection.send(both.concat()).await;
    assert_eq!(connection.answer().await.status, 202);
    assert_eq!(connection.answer().await.body, "OK\n");
    assert_eq!(connection.answer().await.status, 404);
    assert_eq!(door.store.ingested().len(), 4);
}

#[tokio::test]
async fn a_client_that_says_nothing_or_dribbles_is_closed() {
    let limits =
        Limits { first_byte: Duration::from_millis(100), head: Duration::from_millis(200), ..Limits::default() };
    let door = Door::with(limits, &[], Duration::from_secs(5)).await;
    Connection::open(door.address).await.closed().await;
    let mut dribbling = Connection::open(door.address).await;
    dribbling.send("POST /alerts HTTP/1.1\r\nHost: a\r\nX-").await;
    dribbling.closed().await;
    let mut idle = Connection::open(door.address).await;
    idle.send(request("GET", "/-/healthy", &[], "")).await;
    assert_eq!(idle.answer().await.status, 200);
    idle.closed().await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let limits = Limits { request: Duration::from_millis(200), ..Limits::default() };
    let door = Door::with(limits, &[], Duration::from_secs(5)).await;
    let mut connection = Connection::open(door.address).await;
    connection.send("POST /alerts HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{").await;
    assert_eq!(connection.answer().await.status, 503);
    connection.closed().await;
}

#[tokio::test]
async fn a_connection_over_the_cap_waits_for_its_turn() {
    let door = Door::with(Limits { connections: 1, ..Limits::default() }, &[], Duration::from_secs(5)).await;
    let mut first = Connection::open(door.address).await;
    first.send(request("GET", "/-/healthy", &[], "")).await;
    assert_eq!(first.answer().await.status, 200);
    let mut second = Connection::open(door.address).await;
    second.send(request("GET", "/-/healthy", &[], "")).await;
    drop(first);
    assert_eq!(second.answer().await.status, 200);
}

#[tokio::test]
async fn idle_connections_keep_nobody_waiting_for_long() {
    let limits = Limits { connections: 8, crowded_head: Duration::from_millis(100), ..Limits::default() };
    let door = Door::with(limits, &[], Duration::from_secs(5)).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        let mut connection = Connection::open(door.address).await;
        connection.send(request("GET", "/-/healthy", &[], "")).await;
        assert_eq!(connection.answer().await.status, 200);
        idle.push(connection);
    }
    // All places are taken; the last one is left soon, the first ones keep the patience of a daemon that has room.
    let answer = tokio::time::timeout(Duration::from_secs(10), get(door.address, "/-/healthy")).await;
    assert_eq!(answer.expect("a place becomes free").status, 200);
    let mut first = idle.swap_remove(0);
    first.send(request("GET", "/-/healthy", &[], "")).await;
    assert_eq!(first.answer().await.status, 200);
}

#[tokio::test]
async fn a_stop_finishes_what_runs_and_refuses_what_comes() {
    let door = Door::open().await;
    door.store.behave(Behaviour::Wait);
    let mut under_way = Connection::open(door.address).await;
    under_way.send(request("POST", "/alerts", &[], matching())).await;
    door.store.waiting.notified().await;
    let mut idle = Connection::open(door.address).await;
    idle.send(request("GET", "/-/healthy", &[], "")).await;
    assert_eq!(idle.answer().await.status, 200);
    let silent = Connection::open(door.address).await;
    door.stop.cancel();
    idle.closed().await;
    while tokio::net::TcpStream::connect(door.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    door.store.release();
    assert_eq!(under_way.answer().await.status, 202);
    assert!(door.running.await.unwrap(), "everything was finished");
    assert_eq!(door.store.ingested().len(), 1);
    drop(silent);
}

#[tokio::test]
async fn a_stop_ends_within_its_deadline_even_if_a_request_hangs() {
    let door = Door::with(Limits::default(), &[], Duration::from_millis(100)).await;
    door.store.behave(Behaviour::Wait);
    let mut hanging = Connection::open(door.address).await;
    hanging.send(request("POST", "/alerts", &[], matching())).await;
    door.store.waiting.notified().await;
    door.stop.cancel();
    let finished = tokio::time::timeout(Duration::from_secs(10), door.running).await.expect("the deadline holds");
    assert!(!finished.unwrap(), "it says that something was cut off");
    assert!(hanging.try_answer(true).await.is_none());
}

#[tokio::test]
async fn nonsense_is_400_and_closes_only_its_connection() {
    let door = Door::open().await;
    let mut nonsense = Connection::open(door.address).await;
    nonsense.send("\u{16}\u{3}\u{1} this is no HTTP\r\n\r\n").await;
    assert_eq!(nonsense.answer().await.status, 400);
    assert_eq!(get(door.address, "/-/healthy").await.status, 200);
}
