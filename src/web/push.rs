//! `POST /api/v2/alerts`: Prometheus pushes straight to us, as it would to Alertmanager (API v2).
//!
//! Such a push has no status: an alert fires until its `endsAt`, and each further push moves that. One that is not pushed
//! again in time counts as resolved, as with Alertmanager, and its annotations then say that nobody said so: whoever
//! pushed it may be the one that died. What is waited for is kept in memory; after a restart the next push is waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Buf;
use futures_util::Stream;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use warp::reply::Response;
use warp::{Filter, Rejection as Passed};

use super::webhook::{Refusal, Seen, Throttled, commit, sort};
use super::{Loaded, WebState, body, reply, with};
use crate::domain::Timestamp;
use crate::domain::alert::{Alert, AlertStatus, BY_TIMEOUT, Delivery, Fingerprint, Labels};

/// How long an alert without an end counts as firing after its last push, as Alertmanager's `resolve_timeout`.
const RESOLVE_TIMEOUT: Duration = Duration::from_mins(5);
/// Alerts whose end is waited for. Further ones are healed like all others, and only told resolved when somebody says so.
const MAX_TRACKED: usize = 100_000;
/// How often ends are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bad alerts of one push that are named.
const MAX_NAMED: usize = 10;

/// The route.
pub fn routes(state: &WebState) -> impl Filter<Extract = (Response,), Error = Passed> + Clone + use<> {
    warp::path!("api" / "v2" / "alerts").and(with(state)).and(warp::method()).and(warp::body::stream()).then(receive)
}

/// Alerts that fire because they were pushed, and when each of them ends.
#[derive(Default)]
pub struct Pushed {
    alerts: Mutex<HashMap<Fingerprint, (Alert, Timestamp)>>,
    full: Throttled,
}

/// An alert as Prometheus writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    labels: Labels,
    #[serde(default)]
    annotations: Option<Labels>,
    starts_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
}

/// An alert and until when it fires if nobody pushes it again; `None` once it has resolved.
type Ending = (Alert, Option<Timestamp>);

async fn receive<S, B>(state: WebState, method: Method, stream: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    if !state.is_ready() {
        return Refusal::NotReady.answer(&state);
    }
    let body = match body::read(&state, stream).await {
        Ok(body) => body,
        Err(error) => return Refusal::Body(error).answer(&state),
    };
    let (now, loaded) = (state.now(), state.loaded());
    let look = {
        let (state, loaded) = (state.clone(), Arc::clone(&loaded));
        move |bytes: &[u8]| look(bytes, &loaded, &state, now)
    };
    let push = match body.read_by(look).await {
        Some(Ok(push)) => push,
        Some(Err(error)) => {
            let detail = format!("not a push of alerts: {error}; expected an array of alerts");
            return reply::problem(StatusCode::BAD_REQUEST, &detail);
        }
        None => return Refusal::NotReady.answer(&state),
    };
    if let Err(refusal) = commit(&state, &loaded, push.seen, now).await {
        return refusal.answer(&state);
    }
    // Only after the commit: an end that is waited for belongs to an alert that was taken.
    state.0.pushed.track(push.endings, now);
    let Some(named) = named(push.bad) else { return reply::text(StatusCode::OK, "application/json", "") };
    reply::problem(StatusCode::BAD_REQUEST, &format!("the other alerts were taken, but not {named}"))
}

/// A push that was read.
struct Push {
    seen: Seen,
    /// Those of its alerts whose end may be waited for.
    endings: Vec<Ending>,
    /// What is wrong with each of the others.
    bad: Vec<String>,
}

fn look(bytes: &[u8], loaded: &Loaded, state: &WebState, now: Timestamp) -> serde_json::Result<Push> {
    let items: Vec<Value> = serde_json::from_slice(bytes)?;
    let (mut endings, mut bad) = (Vec::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        match read(item, now) {
            Ok(alert) => endings.push(alert),
            Err(error) => bad.push(format!("alerts[{index}]: {error}")),
        }
    }
    state.0.pushed.keep_starts(&mut endings);
    let seen = sort(delivery(endings.iter().map(|(alert, _)| alert.clone()).collect()), loaded, state);
    // What no rule wants need not be remembered.
    endings.retain(|(alert, fires_until)| fires_until.is_none() || loaded.rules.matching(alert).next().is_some());
    Ok(Push { seen, endings, bad })
}

const fn delivery(alerts: Vec<Alert>) -> Delivery {
    Delivery { external_url: String::new(), truncated_alerts: 0, alerts }
}

/// The first of what is wrong, in one sentence; `None` when nothing is.
fn named(mut bad: Vec<String>) -> Option<String> {
    let left_out = bad.len().saturating_sub(MAX_NAMED);
    bad.truncate(MAX_NAMED);
    let more = if left_out > 0 { format!(" and {left_out} more") } else { String::new() };
    (!bad.is_empty()).then(|| format!("{}{more}", bad.join("; ")))
}

fn read(item: Value, now: Timestamp) -> Result<Ending, String> {
    let posted: Posted = serde_json::from_value(item).map_err(|error| error.to_string())?;
    let mut labels = posted.labels;
    // A label without a value is no label.
    labels.retain(|_, value| !value.is_empty());
    if labels.is_empty() {
        return Err("it has no labels".to_owned());
    }
    let given = |time: Option<Timestamp>| time.filter(|time| time.as_second() > 0).map(whole_millis);
    let ends_at = given(posted.ends_at);
    let starts_at = given(posted.starts_at).unwrap_or_else(|| ends_at.map_or(now, |end| end.min(now)));
    if ends_at.is_some_and(|end| end < starts_at) {
        return Err("it ends before it starts".to_owned());
    }
    let fires_until = ends_at.unwrap_or(now + RESOLVE_TIMEOUT);
    let fires = fires_until > now;
    let alert = Alert {
        fingerprint: Fingerprint::of(&labels),
        status: if fires { AlertStatus::Firing } else { AlertStatus::Resolved },
        labels,
        annotations: posted.annotations.unwrap_or_default(),
        starts_at,
        ends_at: (!fires).then_some(fires_until),
        generator_url: posted.generator_url.unwrap_or_default(),
    };
    Ok((alert, fires.then_some(fires_until)))
}

/// What the store keeps, so that a repeat compares equal to what is remembered of it.
fn whole_millis(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

impl Pushed {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Fingerprint, (Alert, Timestamp)>> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Two pushes of one alert may differ in when it began; the earlier one counts, or it would seem to have flapped.
    fn keep_starts(&self, pushed: &mut [Ending]) {
        let known = self.lock();
        for (alert, _) in pushed {
            if let Some((known, _)) = known.get(&alert.fingerprint) {
                alert.starts_at = alert.starts_at.min(known.starts_at);
            }
        }
    }

    fn track(&self, pushed: Vec<Ending>, now: Timestamp) {
        let mut known = self.lock();
        for (alert, fires_until) in pushed {
            let Some(until) = fires_until else {
                known.remove(&alert.fingerprint);
                continue;
            };
            if known.len() >= MAX_TRACKED && !known.contains_key(&alert.fingerprint) {
                self.full.tell(now, |left_out| {
                    tracing::warn!(left_out, "too many pushed alerts; the end of further ones must be told");
                });
                continue;
            }
            known.insert(alert.fingerprint, (alert, until));
        }
    }

    /// Takes out what nobody has pushed again.
    fn lapsed(&self, now: Timestamp) -> Vec<(Alert, Timestamp)> {
        self.lock().extract_if(|_, (_, until)| *until <= now).map(|(_, lapsed)| lapsed).collect()
    }

    fn put_back(&self, lapsed: Vec<(Alert, Timestamp)>) {
        let mut known = self.lock();
        for (alert, until) in lapsed {
            // One that was pushed meanwhile is newer.
            known.entry(alert.fingerprint).or_insert((alert, until));
        }
    }
}

/// Ends alerts that are not pushed any more, until told to stop.
pub async fn watch(state: WebState, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let now = state.now();
        let lapsed = state.0.pushed.lapsed(now);
        if lapsed.is_empty() {
            continue;
        }
        match resolve(&state, lapsed.clone(), now).await {
            Ok(()) => tracing::warn!(
                alerts = lapsed.len(),
                "pushed alerts were not pushed again in time and count as resolved; does Prometheus still run?"
            ),
            Err(_refused) => state.0.pushed.put_back(lapsed),
        }
    }
}

async fn resolve(state: &WebState, lapsed: Vec<(Alert, Timestamp)>, now: Timestamp) -> Result<(), Refusal> {
    if !state.is_ready() {
        return Err(Refusal::NotReady);
    }
    let loaded = state.loaded();
    let look = {
        let (state, loaded) = (state.clone(), Arc::clone(&loaded));
        move || {
            let resolved = lapsed.into_iter().map(|(alert, until)| by_timeout(alert, until)).collect();
            sort(delivery(resolved), &loaded, &state)
        }
    };
    let seen = body::aside(look).await.ok_or(Refusal::NotReady)?;
    commit(state, &loaded, seen, now).await.map(drop)
}

fn by_timeout(mut alert: Alert, until: Timestamp) -> Alert {
    alert.status = AlertStatus::Resolved;
    alert.ends_at = Some(until);
    alert.annotations.insert(BY_TIMEOUT.to_owned(), format!("by timeout: nobody pushed it again before {until}"));
    alert
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read_at_1000(times: Value) -> Result<Ending, String> {
        let mut item = times;
        item["labels"] = json!({"alertname": "A", "empty": ""});
        read(item, at(1000))
    }

    #[test]
    fn times_mean_what_they_mean_to_alertmanager() {
        let times = |start: Option<i64>, end: Option<i64>| {
            let mut item = json!({});
            for (name, second) in [("startsAt", start), ("endsAt", end)] {
                if let Some(second) = second {
                    item[name] = json!(at(second).to_string());
                }
            }
            read_at_1000(item).map(|(alert, until)| {
                (alert.status.as_str(), alert.starts_at.as_second(), until.map(Timestamp::as_second))
            })
        };
        assert_eq!(times(None, None), Ok(("firing", 1000, Some(1300))));
        assert_eq!(times(Some(900), None), Ok(("firing", 900, Some(1300))));
        assert_eq!(times(Some(900), Some(1240)), Ok(("firing", 900, Some(1240))));
        assert_eq!(times(Some(900), Some(1000)), Ok(("resolved", 900, None)));
        assert_eq!(times(None, Some(950)), Ok(("resolved", 950, None)));
        assert!(times(Some(900), Some(800)).is_err());
        let zero = json!({"startsAt": "0001-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z"});
        assert_eq!(read_at_1000(zero).unwrap().1, Some(at(1300)), "Go's zero time is no time");
    }

    #[test]
    fn what_is_no_alert_is_refused_and_empty_labels_are_none() {
        assert_eq!(read_at_1000(json!({})).unwrap().0.labels.len(), 1);
        for bad in
            [json!({}), json!({"labels": {}}), json!({"labels": {"a": ""}}), json!({"labels": {"a": 1}}), json!(7)]
        {
            assert!(read(bad.clone(), at(1000)).is_err(), "{bad}");
        }
        assert!(read(json!({"labels": {"a": "b"}, "startsAt": "now"}), at(1000)).is_err());
    }
}
