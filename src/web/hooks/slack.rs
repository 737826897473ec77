//! `POST /hooks/slack`: somebody pressed a button of a message in Slack. Who called is known by the signature alone, so this
//! path asks for no token; who pressed is whom Slack says.
//!
//! Slack shows the person a warning for anything but a 200, and wants its answer within three seconds. The message itself
//! changes the way every message does: the heal goes on, and its message is edited.

use std::time::Duration;

use bytes::Buf;
use futures_util::Stream;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::super::{WebState, api, body, layers, orders, reply, with};
use crate::domain::heal::Phase;
use crate::domain::instruction::Order;
use crate::slack_call::{self, Question};
use crate::store::{Instructed, StoreError};

/// The largest call; it holds the message it came from.
const MAX_BODY: usize = 256 * 1024;
/// Longest name of a person that is kept.
const MAX_NAME: usize = 80;
/// How long we may take: Slack gives up after three seconds.
const LIMIT: Duration = Duration::from_millis(2500);

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    warp::path!("hooks" / "slack")
        .and(warp::method())
        .and(with(state))
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(call)
}

/// A call, as far as it is of use.
#[derive(Debug, Deserialize)]
struct Call {
    r#type: String,
    user: Option<User>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    username: String,
}

#[derive(Debug, Deserialize)]
struct Action {
    #[serde(default)]
    action_id: String,
    /// Buttons that are links have none.
    value: Option<String>,
}

async fn call<S, B>(method: Method, state: WebState, headers: HeaderMap, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let answered = tokio::time::timeout(LIMIT, answer(&state, &headers, stream)).await;
    answered.unwrap_or_else(|_| reply::problem(StatusCode::SERVICE_UNAVAILABLE, "this took too long; press again"))
}

async fn answer<S, B>(state: &WebState, headers: &HeaderMap, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let secrets = state.loaded().slack_secrets.clone();
    if secrets.is_empty() {
        return reply::problem(
            StatusCode::NOT_FOUND,
            "no receiver has slack.signingSecret, so Slack's calls are not taken",
        );
    }
    let body = match body::read(state, stream).await {
        Ok(body) if body.bytes.len() <= MAX_BODY => body,
        Ok(_) => return layers::too_large(MAX_BODY),
        Err(error) => return error.answer(state),
    };
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let [timestamp, signature] = ["x-slack-request-timestamp", "x-slack-signature"].map(header);
    if let Err(error) = slack_call::verify(&secrets, timestamp, signature, &body.bytes, state.now()) {
        tracing::warn!(%error, "a call to /hooks/slack is not taken for Slack's");
        return reply::problem(StatusCode::UNAUTHORIZED, &error.to_string());
    }
    let payload = form_urlencoded::parse(&body.bytes).find(|(name, _)| name == "payload");
    let call = payload.and_then(|(_, payload)| serde_json::from_str::<Call>(&payload).ok());
    let Some(call) = call else {
        return reply::problem(StatusCode::BAD_REQUEST, "this is no call of Slack's: expected a form with payload");
    };
    let pressed =
        call.actions.iter().find(|action| matches!(action.action_id.as_str(), slack_call::APPROVE | slack_call::DENY));
    match (call.r#type.as_str(), pressed, call.user) {
        ("block_actions", Some(action), Some(user)) => vote(state, action, &user).await,
        // Buttons that are links call, too.
        _ => taken(),
    }
}

fn taken() -> Response {
    reply::text(StatusCode::OK, "text/plain; charset=utf-8", "")
}

/// Gives the order that a button stands for.
async fn vote(state: &WebState, action: &Action, user: &User) -> Response {
    let Some(question) = action.value.as_deref().and_then(Question::parse) else {
        return reply::problem(StatusCode::BAD_REQUEST, "this button carries no question of ours");
    };
    let attempt = Some(question.attempt);
    let order =
        if action.action_id == slack_call::APPROVE { Order::Approve { attempt } } else { Order::Deny { attempt } };
    let given = async {
        let by = name_of(state, &question, user).await?;
        let because = format!("{} pressed {} in Slack", person(user), action.action_id);
        orders::give(state, question.heal, order, &by, because).await
    };
    match given.await {
        Ok(Instructed { done: true, .. }) => taken(),
        Ok(Instructed { heal: None, .. }) => reply::problem(StatusCode::NOT_FOUND, "this heal is no longer known"),
        Ok(Instructed { reason, .. }) => reply::problem(orders::refusal(&reason), &reason.to_string()),
        Err(error) => api::store_failed(&error),
    }
}

/// Who answers: the person by the identity that Slack gives, which nobody can choose. Where the approvers name the receiver
/// instead, whoever sees its messages may answer, as with links.
async fn name_of(state: &WebState, question: &Question, user: &User) -> Result<String, StoreError> {
    let person = format!("slack:{}", short(&user.id));
    let heal = state.store()?.heal(question.heal).await?;
    let approvers = match heal.map(|heal| heal.phase) {
        Some(Phase::AwaitingApproval { approvers, .. }) => approvers,
        _ => Vec::new(),
    };
    let by_receiver = !approvers.contains(&person) && approvers.contains(&question.receiver);
    Ok(if by_receiver { question.receiver.clone() } else { person })
}

/// How people know them.
fn person(user: &User) -> String {
    match user.username.as_str() {
        "" => format!("slack:{}", short(&user.id)),
        name => format!("{} (slack:{})", short(name), short(&user.id)),
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}
