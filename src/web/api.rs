//! `/api/v1`: what is known, as JSON. Nothing here changes anything.

use http::{Method, StatusCode};
use serde_json::{Map, json};
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::health::look;
use super::views::{self, HealDetail, HealView};
use super::{WebState, reply, with};
use crate::domain::Timestamp;
use crate::domain::heal::{Heal, HealId, STATES};
use crate::domain::pause::{Pause, PauseScope};
use crate::retell;
use crate::store::{HealQuery, StoreError};

/// The interface in the words of `OpenAPI`; `scripts/test-api.sh` holds the running program against it.
const OPENAPI: &str = include_str!("openapi.json");

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    let query = warp::query::<Vec<(String, String)>>;
    let list = warp::path!("api" / "v1" / "heals").and(warp::method()).and(with(state)).and(query()).then(list_heals);
    let one = warp::path!("api" / "v1" / "heals" / String).and(warp::method()).and(with(state)).then(one_heal);
    let told =
        warp::path!("api" / "v1" / "heals" / String / "test").and(warp::method()).and(with(state)).then(heal_as_test);
    let rules = warp::path!("api" / "v1" / "rules").and(warp::method()).and(with(state)).map(rules);
    let status = warp::path!("api" / "v1" / "status").and(warp::method()).and(with(state)).then(status);
    let document = warp::path!("api" / "v1" / "openapi.json").and(warp::method()).map(document);
    list.or(one).unify().or(told).unify().or(rules).unify().or(status).unify().or(document).unify()
}

async fn list_heals(method: Method, state: WebState, pairs: Vec<(String, String)>) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return reply::method_not_allowed("GET, HEAD");
    }
    let mut query = match parse_query(pairs) {
        Ok(query) => query,
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    // One more than asked for tells whether there is a next page.
    let limit = query.limit as usize;
    query.limit += 1;
    match async { state.store()?.heals(query).await }.await {
        Ok(mut heals) => {
            let next = (heals.len() > limit).then(|| heals[limit - 1].id);
            heals.truncate(limit);
            let views: Vec<_> = heals.iter().map(HealView::from).collect();
            reply::json(StatusCode::OK, &json!({ "heals": views, "next": next }))
        }
        Err(error) => store_failed(&error),
    }
}

fn parse_query(pairs: Vec<(String, String)>) -> Result<HealQuery, String> {
    let mut query = HealQuery { limit: DEFAULT_LIMIT, ..HealQuery::default() };
    let mut seen = Vec::new();
    for (name, value) in pairs {
        if seen.contains(&name) {
            return Err(format!("parameter {name:?} is given twice"));
        }
        match name.as_str() {
            "state" if STATES.contains(&value.as_str()) => query.state = Some(value),
            "state" => return Err(format!("unknown state {value:?}; the states are {}", STATES.join(", "))),
            "rule" => query.rule = Some(value),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                query.limit = limit.ok_or_else(|| format!("limit is a number from 1 to {MAX_LIMIT}, not {value:?}"))?;
            }
            "before" => {
                let id = value.parse().map_err(|_| format!("before is the id of a heal, not {value:?}"))?;
                query.before = Some(HealId(id));
            }
            "target" => query.target = Some(value),
            "since" => query.since = Some(instant("since", &value)?),
            "until" => query.until = Some(instant("until", &value)?),
            _ => {
                let known = "state, rule, target, since, until, limit, before";
                return Err(format!("unknown parameter {name:?}; there are {known}"));
            }
        }
        seen.push(name);
    }
    Ok(query)
}

/// A time in a query.
pub(super) fn instant(name: &str, value: &str) -> Result<Timestamp, String> {
    value.parse().map_err(|_| format!("{name} is a time such as 2026-11-22T07:00:00Z, not {value:?}"))
}

async fn one_heal(id: String, method: Method, state: WebState) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return reply::method_not_allowed("GET, HEAD");
    }
    let Ok(id) = id.parse() else { return reply::problem(StatusCode::NOT_FOUND, "no heal has this id") };
    match async { state.store()?.heal(HealId(id)).await }.await {
        Ok(Some(heal)) => reply::json(StatusCode::OK, &HealDetail::of(&heal, state.now())),
        Ok(None) => reply::problem(StatusCode::NOT_FOUND, "no heal has this id"),
        Err(error) => store_failed(&error),
    }
}

/// A heal told as a rule test, with the earlier ones it goes on from.
async fn heal_as_test(id: String, method: Method, state: WebState) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return reply::method_not_allowed("GET, HEAD");
    }
    let Ok(id) = id.parse() else { return reply::problem(StatusCode::NOT_FOUND, "no heal has this id") };
    match chapters(&state, HealId(id)).await {
        Ok(heals) if heals.is_empty() => reply::problem(StatusCode::NOT_FOUND, "no heal has this id"),
        Ok(heals) => reply::text(StatusCode::OK, "application/yaml", retell::as_test(&heals)),
        Err(error) => store_failed(&error),
    }
}

/// A heal with those before it that it depends on, oldest first.
async fn chapters(state: &WebState, id: HealId) -> Result<Vec<Heal>, StoreError> {
    let store = state.store()?;
    let mut chapters: Vec<Heal> = store.heal(id).await?.into_iter().collect();
    while let Some(first) = chapters.first().filter(|first| retell::goes_on(first)) {
        if chapters.len() == retell::MAX_CHAPTERS {
            break;
        }
        let query = HealQuery {
            rule: Some(first.rule.clone()),
            target: Some(first.target.as_str().to_owned()),
            before: Some(first.id),
            limit: 1,
            ..HealQuery::default()
        };
        let Some(earlier) = store.heals(query).await?.into_iter().next() else { break };
        chapters.insert(0, earlier);
    }
    Ok(chapters)
}

#[expect(clippy::needless_pass_by_value, reason = "warp hands values to handlers")]
fn rules(method: Method, state: WebState) -> Response {
    look(&method, || {
        let loaded = state.loaded();
        let rules: Vec<_> = loaded.rules.rules().iter().map(|rule| views::rule(rule)).collect();
        reply::json(StatusCode::OK, &json!({ "rules": rules }))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "warp hands values to handlers")]
fn document(method: Method) -> Response {
    look(&method, || reply::text(StatusCode::OK, "application/json", OPENAPI))
}

async fn status(method: Method, state: WebState) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return reply::method_not_allowed("GET, HEAD");
    }
    let parts = state.parts();
    let numbers = async {
        let store = state.store()?;
        tokio::try_join!(store.counts(), store.backlogs(), store.pauses(state.now()))
    };
    let (counts, backlogs, pauses) = match numbers.await {
        Ok(numbers) => numbers,
        Err(error) => return store_failed(&error),
    };
    let heals: Map<_, _> = STATES
        .iter()
        .map(|state| ((*state).to_owned(), json!(counts.get(*state).copied().unwrap_or_default())))
        .collect();
    let loaded = state.loaded();
    let uptime = state.now().duration_since(parts.identity.started_at).as_secs().max(0);
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": uptime,
        "ready": state.is_ready(),
        "store": parts.identity.store,
        "dryRun": loaded.policy.dry_run,
        "paused": paused(&pauses).map(views::pause),
        "pauses": pauses.iter().map(views::pause).collect::<Vec<_>>(),
        "authentication": loaded.access.methods(),
        "exposed": state.is_exposed(),
        "rules": loaded.rules.rules().len(),
        "lastReload": state.0.last_reload.get(),
        "heals": heals,
        "services": parts.metrics.services(),
        "outbox": {
            "waiting": backlogs.values().map(|backlog| backlog.waiting).sum::<u64>(),
            "dead": backlogs.values().map(|backlog| backlog.dead).sum::<u64>(),
        },
        "receivers": views::receivers(&parts.metrics.receivers(), &backlogs),
    });
    reply::json(StatusCode::OK, &answer)
}

/// The pause that covers everything, the longest when there are several.
pub(super) fn paused(pauses: &[Pause]) -> Option<&Pause> {
    pauses.iter().filter(|pause| pause.scope == PauseScope::All).max_by_key(|pause| pause.until)
}

pub(super) fn store_failed(error: &StoreError) -> Response {
    // Closed is how a store answers that is not open yet, or no more; whoever asks is told to come again.
    if !matches!(error, StoreError::Closed) {
        tracing::error!(%error, "a question to the store failed");
    }
    reply::unavailable("the store cannot answer now")
}
