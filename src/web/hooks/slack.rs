//! `POST /hooks/slack`: somebody pressed a button of a message in Slack. Who called is known by the signature alone, so this
//! path asks for no token; who pressed is whom Slack says.
//!
//! Slack shows the person a warning sign for anything but a 200, which says nothing, and wants its answer within three seconds.
//! So a person whose button came to nothing is told why, where only they see it, and Slack gets its 200; the sign is for when
//! that fails. What a button did needs no words: the heal goes on, and its message is edited.

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
use crate::domain::template::text::escape_slack;
use crate::slack_call::{self, App, Question};
use crate::store::{Instructed, StoreError};

/// The largest call; it holds the message it came from.
const MAX_BODY: usize = 256 * 1024;
/// Longest name of a person that is kept.
const MAX_NAME: usize = 80;
/// How long we may take: Slack gives up after three seconds.
const LIMIT: Duration = Duration::from_millis(2500);
/// How much of that an order may take, so that there is time to say that it took too long.
const ORDER_LIMIT: Duration = Duration::from_millis(1200);

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
    /// Where the person can be answered.
    response_url: Option<String>,
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
    let apps = state.loaded().slack_apps.clone();
    if apps.is_empty() {
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
    let app = match slack_call::verify(&apps, timestamp, signature, &body.bytes, state.now()) {
        Ok(app) => app,
        Err(error) => {
            tracing::warn!(%error, "a call to /hooks/slack is not taken for Slack's");
            return reply::problem(StatusCode::UNAUTHORIZED, &error.to_string());
        }
    };
    let payload = form_urlencoded::parse(&body.bytes).find(|(name, _)| name == "payload");
    let call = payload.and_then(|(_, payload)| serde_json::from_str::<Call>(&payload).ok());
    let Some(call) = call else {
        return reply::problem(StatusCode::BAD_REQUEST, "this is no call of Slack's: expected a form with payload");
    };
    let pressed =
        call.actions.iter().find(|action| matches!(action.action_id.as_str(), slack_call::APPROVE | slack_call::DENY));
    let (Some(action), Some(user), "block_actions") = (pressed, &call.user, call.r#type.as_str()) else {
        // Buttons that are links call, too.
        return taken();
    };
    let voted = tokio::time::timeout(ORDER_LIMIT, vote(state, action, user)).await;
    match voted
        .unwrap_or_else(|_| Err(Nothing::because(StatusCode::SERVICE_UNAVAILABLE, "this took too long; press again")))
    {
        Ok(()) => taken(),
        Err(nothing) => tell(app, &call, action, nothing).await,
    }
}

fn taken() -> Response {
    reply::text(StatusCode::OK, "text/plain; charset=utf-8", "")
}

/// Why nothing came of a button, for the person and for Slack.
struct Nothing {
    why: String,
    answer: Box<Response>,
}

impl Nothing {
    fn because(status: StatusCode, why: &str) -> Self {
        Self { why: why.to_owned(), answer: Box::new(reply::problem(status, why)) }
    }
}

/// Gives the order that a button stands for.
async fn vote(state: &WebState, action: &Action, user: &User) -> Result<(), Nothing> {
    let question = action.value.as_deref().and_then(Question::parse);
    let question =
        question.ok_or_else(|| Nothing::because(StatusCode::BAD_REQUEST, "this button carries no question of ours"))?;
    let attempt = Some(question.attempt);
    let order =
        if action.action_id == slack_call::APPROVE { Order::Approve { attempt } } else { Order::Deny { attempt } };
    let given = async {
        let by = name_of(state, &question, user).await?;
        let because = format!("{} pressed {} in Slack", person(user), action.action_id);
        orders::give(state, question.heal, order, &by, because).await
    };
    match given.await {
        Ok(Instructed { done: true, .. }) => Ok(()),
        Ok(Instructed { heal: None, .. }) => {
            Err(Nothing::because(StatusCode::NOT_FOUND, "this heal is no longer known"))
        }
        Ok(Instructed { reason, .. }) => Err(Nothing::because(orders::refusal(&reason), &reason.to_string())),
        Err(error) => {
            let why = "autoheal cannot look it up at the moment; press again".to_owned();
            Err(Nothing { why, answer: Box::new(api::store_failed(&error)) })
        }
    }
}

/// Tells the person why nothing came of their button.
async fn tell(app: &App, call: &Call, action: &Action, nothing: Nothing) -> Response {
    let (Some(answerer), Some(response_url)) = (&app.answerer, &call.response_url) else { return *nothing.answer };
    let text = format!("Your {} changed nothing: {}", action.action_id, with_names(&escape_slack(&nothing.why)));
    match answerer.say(response_url, &text).await {
        Ok(()) => taken(),
        Err(error) => {
            tracing::warn!(
                error,
                why = nothing.why,
                "whoever pressed a button in Slack was not told why nothing came of it"
            );
            *nothing.answer
        }
    }
}

/// People by the names that Slack shows, because nobody knows anybody by `slack:U2147483697`.
fn with_names(text: &str) -> String {
    let mut parts = text.split("slack:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit()).unwrap_or(part.len());
        let (identity, rest) = part.split_at(end);
        if identity.is_empty() {
            out += "slack:";
        } else {
            out.extend(["<@", identity, ">"]);
        }
        out += rest;
    }
    out
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
