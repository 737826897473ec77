//! Dead letters: messages that were given up, kept until somebody sends them again or discards them.

use bytes::Buf;
use futures_util::Stream;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::api::store_failed;
use super::orders::{id, read};
use super::{WebState, reply, with};
use crate::store::{DeadLetter, DeadOrder};
use crate::token::Caller;

/// Letters of one answer; the oldest ones.
const MAX_LETTERS: u32 = 500;

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    let list = warp::path!("api" / "v1" / "dead-letters").and(warp::method()).and(with(state)).then(list);
    let order = warp::path!("api" / "v1" / "dead-letters" / String)
        .and(warp::method())
        .and(with(state))
        .and(warp::ext::get::<Caller>())
        .and(warp::body::stream())
        .then(order);
    list.or(order).unify()
}

async fn list(method: Method, state: WebState) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return reply::method_not_allowed("GET, HEAD");
    }
    let letters = async { state.store()?.dead_letters(MAX_LETTERS).await }.await;
    match letters {
        Ok(letters) => {
            let letters: Vec<_> = letters.iter().map(view).collect();
            reply::json(StatusCode::OK, &json!({ "deadLetters": letters }))
        }
        Err(error) => store_failed(&error),
    }
}

fn view(letter: &DeadLetter) -> Value {
    let DeadLetter { id, channel, event, heal, rule, target, created_at, tries, error } = letter;
    json!({
        "id": id, "channel": channel, "event": event, "heal": heal, "rule": rule, "target": target,
        "createdAt": created_at, "tries": tries, "error": error,
    })
}

/// Which letters: one, or all of them when somebody says so. Empty never widens.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default, deserialize_with = "id")]
    id: Option<Uuid>,
    #[serde(default)]
    all: bool,
}

async fn order<S, B>(verb: String, method: Method, state: WebState, caller: Caller, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let order = match verb.as_str() {
        "retry" => DeadOrder::Retry,
        "discard" => DeadOrder::Discard,
        _ => return reply::not_found(),
    };
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let which: Which = match read(&state, stream).await {
        Ok(which) => which,
        Err(response) => return *response,
    };
    if which.id.is_some() == which.all {
        return reply::problem(StatusCode::BAD_REQUEST, "name the message by `id`, or say `\"all\": true`");
    }
    let done = async { state.store()?.settle_dead_letters(which.id, order, state.now()).await }.await;
    match done {
        Ok(0) if which.id.is_some() => reply::problem(
            StatusCode::NOT_FOUND,
            "no message that was given up has this id; it may have been sent again or discarded",
        ),
        Ok(count) => {
            let by = &caller.name;
            tracing::warn!(%by, count, which = ?which.id, "dead letters: {verb}");
            // Whoever is woken looks for messages as well.
            state.parts().wake.notify_one();
            let key = if order == DeadOrder::Retry { "retried" } else { "discarded" };
            reply::json(StatusCode::OK, &json!({ key: count }))
        }
        Err(error) => store_failed(&error),
    }
}
