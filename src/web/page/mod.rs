//! Pages for people: server-rendered, without a script, without anything from elsewhere, fit for a phone at night. Forms
//! are plain; a page of another origin cannot send them ([`super::access`] looks at where a request comes from).

mod approval;
mod heal;
mod home;
mod html;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use uuid::Uuid;
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use self::html::notice;
use super::orders::{begin_pause, end_pauses, give, refusal, scope, small_body};
use super::{WebState, reply, with};
use crate::domain::duration;
use crate::domain::heal::{AttemptId, HealId};
use crate::domain::instruction::Order;
use crate::domain::pause::{PauseId, PauseRequest};
use crate::links;
use crate::store::{Instructed, StoreError};
use crate::token::Caller;

/// The one style.
pub const STYLE_PATH: &str = "/style.css";
const STYLE: &str = include_str!("style.css");

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    let caller = warp::ext::get::<Caller>;
    let query = warp::query::<Vec<(String, String)>>();
    let home = warp::path::end().and(warp::method()).and(with(state)).and(caller()).and(query).then(home);
    let style = warp::path!("style.css").and(warp::method()).map(style);
    let one = warp::path!("heals" / String).and(warp::method()).and(with(state)).and(caller()).then(one);
    let order = warp::path!("heals" / String / String)
        .and(warp::method())
        .and(with(state))
        .and(caller())
        .and(warp::body::stream())
        .then(order);
    let pause =
        warp::path!("pause").and(warp::method()).and(with(state)).and(caller()).and(warp::body::stream()).then(pause);
    let resume =
        warp::path!("resume").and(warp::method()).and(with(state)).and(caller()).and(warp::body::stream()).then(resume);
    let approval = warp::path(links::PATH)
        .and(warp::path::param::<String>())
        .and(warp::path::end())
        .and(warp::method())
        .and(with(state))
        .and(warp::body::stream())
        .then(approval);
    home.or(style).unify().or(one).unify().or(order).unify().or(pause).unify().or(resume).unify().or(approval).unify()
}

fn is_look(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

async fn home(method: Method, state: WebState, caller: Caller, query: Vec<(String, String)>) -> Response {
    if !is_look(&method) {
        return reply::method_not_allowed("GET, HEAD");
    }
    let before = query.iter().find(|(name, _)| name == "before").and_then(|(_, id)| id.parse().ok()).map(HealId);
    home::home(&state, &caller, before).await
}

#[expect(clippy::needless_pass_by_value, reason = "warp hands values to handlers")]
fn style(method: Method) -> Response {
    if !is_look(&method) {
        return reply::method_not_allowed("GET, HEAD");
    }
    let mut response = reply::text(StatusCode::OK, "text/css; charset=utf-8", STYLE);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    response
}

async fn one(id: String, method: Method, state: WebState, caller: Caller) -> Response {
    if !is_look(&method) {
        return reply::method_not_allowed("GET, HEAD");
    }
    let Ok(id) = id.parse() else { return no_such_heal("../") };
    match async { state.store()?.heal(HealId(id)).await }.await {
        Ok(Some(found)) => heal::page(&found, &caller, state.now()),
        Ok(None) => no_such_heal("../"),
        Err(error) => trouble("../", &error),
    }
}

async fn order<S, B>(id: String, verb: String, method: Method, state: WebState, caller: Caller, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    const ROOT: &str = "../../";
    if !matches!(verb.as_str(), "approve" | "deny" | "cancel" | "reset") {
        return reply::not_found();
    }
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let form = match form(&state, stream).await {
        Ok(form) => form,
        Err(response) => return *response,
    };
    let Ok(id) = id.parse::<Uuid>() else { return no_such_heal(ROOT) };
    // A button of a page that is out of date must not answer for another attempt.
    let attempt = match (verb.as_str(), form.get("attempt").map(str::parse)) {
        ("approve" | "deny", Some(Ok(attempt))) => Some(AttemptId(attempt)),
        ("approve" | "deny", _) => {
            return notice(
                StatusCode::BAD_REQUEST,
                ROOT,
                "Not understood",
                "the form does not say which attempt is meant",
            );
        }
        _ => None,
    };
    let order = match verb.as_str() {
        "approve" => Order::Approve { attempt },
        "deny" => Order::Deny { attempt },
        "cancel" => Order::Cancel,
        _ => Order::Reset,
    };
    let because = form.get("reason").unwrap_or_default().to_owned();
    match give(&state, HealId(id), order, &caller.name, because).await {
        Ok(Instructed { done: true, .. }) => see_other(&format!("../{id}")),
        Ok(Instructed { heal: None, .. }) => no_such_heal(ROOT),
        Ok(Instructed { reason, .. }) => notice(refusal(&reason), ROOT, "Nothing was done", &reason.to_string()),
        Err(error) => trouble(ROOT, &error),
    }
}

async fn pause<S, B>(method: Method, state: WebState, caller: Caller, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if is_look(&method) {
        return home::pause_form(&state);
    }
    if method != Method::POST {
        return reply::method_not_allowed("GET, HEAD, POST");
    }
    let form = match form(&state, stream).await {
        Ok(form) => form,
        Err(response) => return *response,
    };
    let bad = |text: &str| notice(StatusCode::BAD_REQUEST, "./", "Not paused", text);
    let lasts = match duration::parse(form.get("for").unwrap_or_default()) {
        Ok(lasts) => lasts,
        Err(error) => return bad(&error.to_string()),
    };
    let rule = form.get("rule").filter(|rule| !rule.is_empty()).map(str::to_owned);
    let scope = match scope(&state, rule, None) {
        Ok(scope) => scope,
        Err(detail) => return bad(&detail),
    };
    let reason = form.get("reason").unwrap_or_default().to_owned();
    match begin_pause(&state, PauseRequest { scope, reason, by: caller.name.to_string(), lasts }).await {
        Ok(_) => see_other("./"),
        Err(response) => *response,
    }
}

async fn resume<S, B>(method: Method, state: WebState, caller: Caller, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let form = match form(&state, stream).await {
        Ok(form) => form,
        Err(response) => return *response,
    };
    let Some(Ok(id)) = form.get("id").map(str::parse) else {
        return notice(StatusCode::BAD_REQUEST, "./", "Not resumed", "the form does not say which pause is meant");
    };
    match end_pauses(&state, Some(PauseId(id)), &caller.name).await {
        Ok(_) => see_other("./"),
        Err(error) => trouble("./", &error),
    }
}

async fn approval<S, B>(ticket: String, method: Method, state: WebState, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if is_look(&method) {
        return approval::show(&state, &ticket).await;
    }
    if method != Method::POST {
        return reply::method_not_allowed("GET, HEAD, POST");
    }
    match form(&state, stream).await {
        Ok(form) => approval::answer(&state, &ticket, form.get("answer")).await,
        Err(response) => *response,
    }
}

/// The fields of a form.
struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

async fn form<S, B>(state: &WebState, stream: S) -> Result<Form, Box<Response>>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let bytes: Bytes = small_body(state, stream).await?;
    // Any bytes are some form; a field that is missed says so.
    Ok(Form(form_urlencoded::parse(&bytes).into_owned().collect()))
}

/// 303: what a form did is seen by a look, so that going back and forth does not send it again.
fn see_other(place: &str) -> Response {
    let mut response = reply::text(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    // Built from our own words and an identity.
    if let Ok(place) = HeaderValue::from_str(place) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

fn no_such_heal(root: &str) -> Response {
    notice(StatusCode::NOT_FOUND, root, "No such heal", "it may be older than the history that is kept")
}

fn trouble(root: &str, error: &StoreError) -> Response {
    if !matches!(error, StoreError::Closed) {
        tracing::error!(%error, "a question to the store failed");
    }
    notice(StatusCode::SERVICE_UNAVAILABLE, root, "Not now", "the store cannot answer; try again in a moment")
}
