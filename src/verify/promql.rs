//! `promql:` — an expression that must be true: its result is not empty and no sample of it is 0.

use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;

use super::client;
use super::{Authorization, Endpoint};
use crate::domain::evidence::{Answer, Finding};
use crate::tls::TlsError;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How much of an answer is read. An expression that is evidence has few samples.
const MAX_BODY: usize = 1024 * 1024;

/// Asks Prometheus, or whoever speaks its API.
pub(super) struct PromqlAsker {
    client: Client,
    url: Url,
    authorization: Authorization,
}

#[derive(Deserialize)]
struct Reply {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Series {
    value: Option<(f64, String)>,
}

impl PromqlAsker {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, TlsError> {
        let client = client::begin(&endpoint.tls, endpoint.address.scheme() == "http")?.timeout(LIMIT).build()?;
        let mut url = endpoint.address.clone();
        url.set_path(&format!("{}/api/v1/query", endpoint.address.path().trim_end_matches('/')));
        Ok(Self { client, url, authorization: endpoint.authorization.clone() })
    }

    pub(super) async fn ask(&self, query: &str) -> Finding {
        match self.query(query).await {
            Ok(reply) => judge(query, reply),
            Err(why) => Finding::new(Answer::Unknown, format!("promql {query:?} could not be asked: {why}")),
        }
    }

    async fn query(&self, query: &str) -> Result<Reply, String> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("query", query);
        let request = client::authorized(self.client.get(url), &self.authorization);
        let place = client::host_of(self.url.as_str());
        let response = request
            .send()
            .await
            .map_err(|error| format!("Prometheus at {place} cannot be reached: {}", client::said(error)))?;
        let status = response.status();
        let (body, whole) = client::body(response, MAX_BODY).await.map_err(client::said)?;
        if !whole {
            return Err(format!("the answer of {place} is longer than {} KiB", MAX_BODY / 1024));
        }
        match serde_json::from_slice::<Reply>(&body) {
            // The API tells errors of the expression with a status of 4xx and the same shape.
            Ok(reply) if reply.status == "success" || !reply.error.is_empty() => Ok(reply),
            _ => Err(format!("{place} answers {status} and not as Prometheus does")),
        }
    }
}

/// True means: there are samples, all of them are numbers, and none is 0.
fn judge(query: &str, reply: Reply) -> Finding {
    let finding = |answer, what: &str| Finding::new(answer, format!("promql {query:?} {what}"));
    if reply.status != "success" {
        return finding(Answer::Unknown, &format!("is refused: {}", reply.error));
    }
    // A warning may mean that a part of the data was not there.
    if let Some(warning) = reply.warnings.first() {
        return finding(Answer::Unknown, &format!("was answered with a warning: {warning}"));
    }
    let samples = reply.data.and_then(samples);
    let Some(samples) = samples else {
        return finding(Answer::Unknown, "has no samples that are numbers; expected an instant vector or a scalar");
    };
    let (count, zeros) = (samples.len(), samples.iter().filter(|sample| **sample == 0.0).count());
    let no_numbers = samples.iter().filter(|sample| sample.is_nan()).count();
    match (count, zeros, no_numbers) {
        (0, _, _) => finding(Answer::Fails, "is not true: no sample"),
        (1, 0, 0) => finding(Answer::Holds, "is true"),
        (_, 0, 0) => finding(Answer::Holds, &format!("is true for all {count} samples")),
        (1, 1, _) => finding(Answer::Fails, "is not true: its sample is 0"),
        (_, 0, _) => finding(Answer::Fails, &format!("is not true: {no_numbers} of {count} samples are NaN")),
        _ => finding(Answer::Fails, &format!("is not true: {zeros} of {count} samples are 0")),
    }
}

fn samples(data: Data) -> Option<Vec<f64>> {
    // Prometheus writes numbers as Go does, `+Inf` among them, which Rust reads as well.
    match data.kind.as_str() {
        "vector" => {
            let series: Vec<Series> = serde_json::from_value(data.result).ok()?;
            series.into_iter().map(|series| series.value?.1.parse().ok()).collect()
        }
        "scalar" => {
            let (_, value): (f64, String) = serde_json::from_value(data.result).ok()?;
            Some(vec![value.parse().ok()?])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_true_when_it_has_samples_and_none_is_zero() {
        let vector = |values: &[&str]| {
            let series: Vec<_> =
                values.iter().map(|value| format!(r#"{{"metric":{{}},"value":[1.5,"{value}"]}}"#)).collect();
            format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, series.join(","))
        };
        let rows = [
            (vector(&["1"]), Answer::Holds, "is true"),
            (vector(&["1", "-0.5", "+Inf"]), Answer::Holds, "all 3 samples"),
            (vector(&[]), Answer::Fails, "no sample"),
            (vector(&["0"]), Answer::Fails, "its sample is 0"),
            (vector(&["1", "0"]), Answer::Fails, "1 of 2 samples are 0"),
            (vector(&["NaN"]), Answer::Fails, "NaN"),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#.into(),
                Answer::Holds,
                "is true",
            ),
            (r#"{"status":"success","data":{"resultType":"scalar","result":[1,"0"]}}"#.into(), Answer::Fails, "0"),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.into(),
                Answer::Unknown,
                "expected an",
            ),
            (
                r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#.into(),
                Answer::Unknown,
                "expected",
            ),
            (
                r#"{"status":"success","warnings":["store is down"],"data":{"resultType":"vector","result":[]}}"#
                    .into(),
                Answer::Unknown,
                "store is down",
            ),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#
                    .into(),
                Answer::Unknown,
                "numbers",
            ),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.into(),
                Answer::Unknown,
                "parse error",
            ),
        ];
        for (body, answer, words) in rows {
            let finding = judge("up == 1", serde_json::from_str(&body).unwrap());
            assert_eq!(finding.answer, answer, "{body}: {}", finding.what);
            assert!(finding.what.contains(words), "{}", finding.what);
        }
    }
}
