//! `GET /api/v1/report`: what rules did, and what shadows would have done compared with what happened without them.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::api::{instant, store_failed};
use super::{WebState, reply, with};
use crate::domain::report::{Report, RuleReport};
use crate::store::ReportQuery;

/// Shadows looked at: more are of no more use, and each is read whole.
const MAX_SHADOWS: u32 = 10_000;

pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    let query = warp::query::<Vec<(String, String)>>();
    warp::path!("api" / "v1" / "report").and(warp::method()).and(with(state)).and(query).then(report)
}

async fn report(method: Method, state: WebState, pairs: Vec<(String, String)>) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return reply::method_not_allowed("GET, HEAD");
    }
    let query = match parse_query(pairs) {
        Ok(query) => query,
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    match async { state.store()?.report(query).await }.await {
        Ok(report) => reply::json(StatusCode::OK, &view(&report)),
        Err(error) => store_failed(&error),
    }
}

fn parse_query(pairs: Vec<(String, String)>) -> Result<ReportQuery, String> {
    let mut query = ReportQuery { shadows: MAX_SHADOWS, ..ReportQuery::default() };
    for (name, value) in pairs {
        let is_news = match name.as_str() {
            "rule" => query.rule.replace(value).is_none(),
            "since" => query.since.replace(instant("since", &value)?).is_none(),
            "until" => query.until.replace(instant("until", &value)?).is_none(),
            _ => return Err(format!("unknown parameter {name:?}; there are rule, since, until")),
        };
        if !is_news {
            return Err(format!("parameter {name:?} is given twice"));
        }
    }
    Ok(query)
}

fn view(report: &Report) -> Value {
    let rules: Vec<_> = report.rules.iter().map(|(name, rule)| rule_view(name, rule)).collect();
    json!({ "rules": rules, "onlyLatestShadows": report.is_cut.then_some(MAX_SHADOWS) })
}

fn rule_view(name: &str, report: &RuleReport) -> Value {
    let RuleReport { shadows, ended } = report;
    let ended: Map<_, _> = ended.iter().map(|(outcome, heals)| (outcome.as_str().to_owned(), json!(heals))).collect();
    let times = shadows.times();
    json!({
        "rule": name,
        "summary": report.to_string(),
        "ended": ended,
        "wouldHaveActed": shadows.would_have_acted,
        "resolvedOnTheirOwn": shadows.resolved_after.len(),
        "halfWithinSeconds": times.map(|(half, _)| half.as_secs()),
        "allWithinSeconds": times.map(|(_, all)| all.as_secs()),
    })
}
