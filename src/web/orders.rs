//! What people tell us to do: approve, deny, cancel and reset a heal; pause and resume.

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::{Method, StatusCode};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use uuid::Uuid;
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::api::store_failed;
use super::body;
use super::views::{self, HealDetail};
use super::{WebState, layers, reply, with};
use crate::domain::duration;
use crate::domain::heal::{AttemptId, HealId};
use crate::domain::instruction::{Instruction, Order};
use crate::domain::pause::{AlertMatchers, Pause, PauseId, PauseRequest, PauseScope};
use crate::domain::reason::Reason;
use crate::store::{Instructed, StoreError};
use crate::telemetry;
use crate::token::Caller;

/// No order needs more words.
const MAX_BODY: usize = 64 * 1024;

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    let caller = warp::ext::get::<Caller>;
    let order = warp::path!("api" / "v1" / "heals" / String / String)
        .and(warp::method())
        .and(with(state))
        .and(caller())
        .and(warp::body::stream())
        .then(order);
    let pause = warp::path!("api" / "v1" / "pause")
        .and(warp::method())
        .and(with(state))
        .and(caller())
        .and(warp::body::stream())
        .then(pause);
    let resume = warp::path!("api" / "v1" / "resume")
        .and(warp::method())
        .and(with(state))
        .and(caller())
        .and(warp::body::stream())
        .then(resume);
    order.or(pause).unify().or(resume).unify()
}

/// What may stand beside an order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    /// Why.
    #[serde(default)]
    reason: String,
    /// The attempt that an approval is meant for.
    #[serde(default, deserialize_with = "id")]
    attempt: Option<Uuid>,
}

async fn order<S, B>(id: String, verb: String, method: Method, state: WebState, caller: Caller, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if !matches!(verb.as_str(), "approve" | "deny" | "cancel" | "reset") {
        return reply::not_found();
    }
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let body: OrderBody = match read(&state, stream).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let Ok(id) = id.parse() else { return no_such_heal() };
    let attempt = body.attempt.map(AttemptId);
    let order = match verb.as_str() {
        "approve" => Order::Approve { attempt },
        "deny" => Order::Deny { attempt },
        "cancel" => Order::Cancel,
        _ => Order::Reset,
    };
    match give(&state, HealId(id), order, &caller.name, body.reason).await {
        Ok(Instructed { heal: Some(heal), done: true, .. }) => {
            reply::json(StatusCode::OK, &HealDetail::of(&heal, state.now()))
        }
        Ok(Instructed { heal: None, .. }) => no_such_heal(),
        Ok(Instructed { reason, .. }) => reply::problem(refusal(&reason), &reason.to_string()),
        Err(error) => store_failed(&error),
    }
}

fn no_such_heal() -> Response {
    reply::problem(StatusCode::NOT_FOUND, "no heal has this id")
}

/// The status for an order that was not carried out.
pub fn refusal(reason: &Reason) -> StatusCode {
    match reason {
        Reason::NotAnApprover { .. } => StatusCode::FORBIDDEN,
        _ => StatusCode::CONFLICT,
    }
}

/// Gives an order in somebody's name and wakes whoever carries it out.
pub async fn give(
    state: &WebState,
    heal: HealId,
    order: Order,
    by: &str,
    because: String,
) -> Result<Instructed, StoreError> {
    let because = because.trim().chars().take(Pause::MAX_REASON).collect();
    let changes_heal = order != Order::Reset;
    let instruction = Instruction { order, by: by.to_owned(), because };
    let policy = state.loaded().policy.clone();
    let instructed = state.store()?.instruct(policy, heal, instruction, state.now()).await?;
    tracing::info!(%heal, by, done = instructed.done, reason = %instructed.reason, "a person gave an order");
    if let Instructed { heal: Some(heal), done: true, .. } = &instructed {
        // A reset is about the memory of a heal whose end has been counted.
        if changes_heal {
            telemetry::heal_changed(&state.parts().metrics, heal);
        }
        state.parts().wake.notify_one();
    }
    Ok(instructed)
}

/// A pause as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    /// How long.
    r#for: String,
    /// Why.
    reason: String,
    /// Only this rule.
    rule: Option<String>,
    /// Only alerts that match.
    matchers: Option<Vec<String>>,
}

async fn pause<S, B>(method: Method, state: WebState, caller: Caller, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let body: PauseBody = match read(&state, stream).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let lasts = match duration::parse(&body.r#for) {
        Ok(lasts) => lasts,
        Err(error) => return bad(&format!("for: {error}")),
    };
    let scope = match scope(&state, body.rule, body.matchers) {
        Ok(scope) => scope,
        Err(detail) => return bad(&detail),
    };
    match begin_pause(&state, PauseRequest { scope, reason: body.reason, by: caller.name.to_string(), lasts }).await {
        Ok(pause) => reply::json(StatusCode::OK, &views::pause(&pause)),
        Err(response) => *response,
    }
}

/// What a pause is to cover. A name that covers nothing would be a pause that does not pause.
pub fn scope(state: &WebState, rule: Option<String>, matchers: Option<Vec<String>>) -> Result<PauseScope, String> {
    match (rule, matchers) {
        (Some(_), Some(_)) => Err("a pause is for one rule or for matchers, not both".to_owned()),
        (Some(rule), None) if state.loaded().rules.rules().iter().any(|known| known.name == rule) => {
            Ok(PauseScope::Rule { rule })
        }
        (Some(rule), None) => Err(format!("there is no rule {rule:?}")),
        (None, Some(matchers)) => AlertMatchers::parse(matchers)
            .map(|matchers| PauseScope::Alerts { matchers })
            .map_err(|error| format!("matchers: {}", error.message)),
        (None, None) => Ok(PauseScope::All),
    }
}

/// Puts a pause in place.
pub async fn begin_pause(state: &WebState, request: PauseRequest) -> Result<Pause, Box<Response>> {
    let now = state.now();
    let id = PauseId(state.parts().ids.heal().0);
    let pause = Pause::new(id, request, now).map_err(|error| bad(&error.to_string()))?;
    let added = async { state.store()?.pause(pause.clone(), now).await }.await;
    match added {
        Ok(true) => {
            let Pause { scope, reason, by, until, .. } = &pause;
            tracing::warn!(%scope, reason, by, %until, "paused");
            Ok(pause)
        }
        Ok(false) => {
            let detail = format!("there are {} pauses already; end some first", Pause::MAX_COUNT);
            Err(Box::new(reply::problem(StatusCode::CONFLICT, &detail)))
        }
        Err(error) => Err(Box::new(store_failed(&error))),
    }
}

/// Which pause to end.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeBody {
    /// One of them; all when left out.
    #[serde(default, deserialize_with = "id")]
    id: Option<Uuid>,
}

async fn resume<S, B>(method: Method, state: WebState, caller: Caller, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let body: ResumeBody = match read(&state, stream).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    match end_pauses(&state, body.id.map(PauseId), &caller.name).await {
        Ok(ended) if ended.is_empty() && body.id.is_some() => {
            reply::problem(StatusCode::NOT_FOUND, "no pause has this id; it may have ended")
        }
        Ok(ended) => {
            let ended: Vec<_> = ended.iter().map(views::pause).collect();
            reply::json(StatusCode::OK, &json!({ "resumed": ended }))
        }
        Err(error) => store_failed(&error),
    }
}

/// Ends one pause or all of them, and wakes what they held.
pub async fn end_pauses(state: &WebState, pause: Option<PauseId>, by: &str) -> Result<Vec<Pause>, StoreError> {
    let ended = state.store()?.resume(pause, state.now()).await?;
    for Pause { scope, reason, .. } in &ended {
        tracing::warn!(%scope, reason, by, "resumed");
    }
    state.parts().wake.notify_one();
    Ok(ended)
}

fn bad(detail: &str) -> Response {
    reply::problem(StatusCode::BAD_REQUEST, detail)
}

/// A small body as it stands.
pub async fn small_body<S, B>(state: &WebState, stream: S) -> Result<Bytes, Box<Response>>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    match body::read(state, stream).await {
        Ok(body) if body.bytes.len() <= MAX_BODY => Ok(body.bytes),
        Ok(_) => Err(Box::new(layers::too_large(MAX_BODY))),
        Err(error) => Err(Box::new(error.answer(state))),
    }
}

/// An id in a body, refused in words that say what one looks like.
pub fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let parse = |text: String| {
        text.parse().map_err(|_| {
            let like = "0193a1b2-c3d4-7e5f-8a6b-0123456789ab";
            D::Error::custom(format!(
                "{text:?} is no id, which looks like {like}; lists and `autoheal status` show them"
            ))
        })
    };
    text.map(parse).transpose()
}

/// A JSON object; no body stands for an empty one.
pub async fn read<S, B, T>(state: &WebState, stream: S) -> Result<T, Box<Response>>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
    T: DeserializeOwned,
{
    let bytes = small_body(state, stream).await?;
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes.as_ref() };
    serde_json::from_slice(bytes).map_err(|error| Box::new(bad(&format!("the body is not what this takes: {error}"))))
}
