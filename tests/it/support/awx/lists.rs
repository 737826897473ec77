//! Lists: filters by field and lookup, order, pages.

use reqwest::Url;
use serde_json::{Value, json};

use super::api::{Answer, Asker};

/// What is about the list and not about its rows. `limit` is among it, so that only `limit__exact` filters.
const RESERVED: [&str; 10] =
    ["page", "page_size", "format", "order", "order_by", "search", "type", "count_disabled", "limit", "role_level"];
const LOOKUPS: [&str; 12] =
    ["exact", "iexact", "contains", "icontains", "startswith", "endswith", "gt", "gte", "lt", "lte", "in", "isnull"];
const MAX_PAGE: usize = 200;

/// The pairs of a query.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let url = Url::parse(&format!("http://list/?{query}")).expect("a query");
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

/// Answers a list of `rows`, which the asker may see, as the query asks for it. `model` is the word in complaints.
pub fn answer(asker: &Asker, path: &str, query: &str, model: &str, mut rows: Vec<Value>) -> Answer {
    let pairs = pairs(query);
    let get = |wanted: &str| pairs.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
    for (key, value) in &pairs {
        if key == "type" {
            rows.retain(|row| value.split(',').any(|kind| row["type"] == kind));
        }
        if RESERVED.contains(&key.as_str()) {
            continue;
        }
        if let Err(answer) = filter(&mut rows, key, value, model) {
            return answer;
        }
    }
    // Templates and the like come by name unless asked otherwise, runs and events by age.
    let by_age = matches!(model, "Job" | "WorkflowJob" | "UnifiedJob" | "JobEvent" | "JobHostSummary");
    let order = get("order_by").unwrap_or(if by_age { "id" } else { "name" });
    let (descending, field) = order.strip_prefix('-').map_or((false, order), |field| (true, field));
    let organization = |row: &Value| row["summary_fields"]["organization"]["name"].to_string();
    rows.sort_by_key(organization);
    rows.sort_by(|a, b| {
        let order = compare(&a[field], &b[field]);
        if descending { order.reverse() } else { order }
    });
    page(asker, path, &pairs, &rows)
}

fn page(asker: &Asker, path: &str, pairs: &[(String, String)], rows: &[Value]) -> Answer {
    let number = |wanted: &str, default: usize| {
        pairs.iter().find(|(key, _)| key == wanted).and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
    };
    let (size, page) = (number("page_size", 25).clamp(1, MAX_PAGE), number("page", 1).max(1));
    let first = (page - 1) * size;
    if first > 0 && first >= rows.len() {
        return Answer::json(404, json!({"detail": "Invalid page."}));
    }
    let end = (first + size).min(rows.len());
    let link = |page: usize| {
        let mut url = Url::parse("http://list").expect("an address");
        let others = pairs.iter().filter(|(key, _)| key != "page");
        url.query_pairs_mut().extend_pairs(others).append_pair("page", &page.to_string());
        format!("{}{path}?{}", asker.root, url.query().unwrap_or_default())
    };
    let next = if end < rows.len() { json!(link(page + 1)) } else { Value::Null };
    let previous = if page > 1 { json!(link(page - 1)) } else { Value::Null };
    let results = &rows[first.min(end)..end];
    if pairs.iter().any(|(key, _)| key == "count_disabled") {
        return Answer::json(200, json!({"results": results}));
    }
    Answer::json(200, json!({"count": rows.len(), "next": next, "previous": previous, "results": results}))
}

fn filter(rows: &mut Vec<Value>, key: &str, wanted: &str, model: &str) -> Result<(), Answer> {
    let (negated, key) = key.strip_prefix("not__").map_or((false, key), |key| (true, key));
    let (path, lookup) = match key.rsplit_once("__") {
        Some((path, lookup)) if LOOKUPS.contains(&lookup) || lookup == "search" => (path, lookup),
        _ => (key, "exact"),
    };
    if path == "extra_vars" {
        return Err(if model == "UnifiedJob" {
            unknown(model, path)
        } else {
            Answer::json(403, json!({"detail": "Filtering on extra_vars is not allowed."}))
        });
    }
    if !is_field(model, path) {
        return Err(unknown(model, path));
    }
    let numeric = matches!(path, "id" | "unified_job_template" | "counter");
    if numeric && wanted.split(',').any(|part| part.parse::<u64>().is_err()) {
        let detail = format!("[\"\u{201c}{wanted}\u{201d} value must be an integer.\"]");
        return Err(Answer::json(400, json!({"detail": detail})));
    }
    rows.retain(|row| values(row, path).iter().any(|value| holds(value, lookup, wanted)) != negated);
    Ok(())
}

fn unknown(model: &str, path: &str) -> Answer {
    Answer::json(400, json!({"detail": format!("{model} has no field named '{path}'")}))
}

fn is_field(model: &str, path: &str) -> bool {
    let common = ["id", "name", "created", "organization", "organization__name", "created_by__username", "description"];
    let own: &[&str] = match model {
        "JobTemplate" | "WorkflowJobTemplate" | "UnifiedJobTemplate" => {
            &["project__name", "inventory__name", "playbook"]
        }
        "Job" | "WorkflowJob" | "UnifiedJob" => &[
            "status",
            "launch_type",
            "unified_job_template",
            "job_template__name",
            "labels__name",
            "skip_tags",
            "job_type",
            "limit",
            "failed",
            "finished",
        ],
        "JobEvent" => &["event", "counter", "failed", "host_name"],
        "JobHostSummary" => &["failed", "host_name"],
        _ => &["kind", "username"],
    };
    common.contains(&path) || own.contains(&path)
}

/// What a row has under a path; several for a list of labels.
fn values(row: &Value, path: &str) -> Vec<Value> {
    match path.split_once("__") {
        None => vec![row[path].clone()],
        Some(("labels", field)) => {
            let labels = row["summary_fields"]["labels"]["results"].as_array().cloned().unwrap_or_default();
            labels.iter().map(|label| label[field].clone()).collect()
        }
        Some((object, field)) => vec![row["summary_fields"][object][field].clone()],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn holds(value: &Value, lookup: &str, wanted: &str) -> bool {
    let said = text(value);
    match lookup {
        "in" => wanted.split(',').any(|part| part == said),
        "iexact" => said.eq_ignore_ascii_case(wanted),
        "contains" => said.contains(wanted),
        "icontains" => said.to_lowercase().contains(&wanted.to_lowercase()),
        "startswith" => said.starts_with(wanted),
        "endswith" => said.ends_with(wanted),
        "isnull" => value.is_null() == (wanted == "true"),
        "gt" => order(&said, wanted).is_gt(),
        "gte" => order(&said, wanted).is_ge(),
        "lt" => order(&said, wanted).is_lt(),
        "lte" => order(&said, wanted).is_le(),
        _ => said == wanted,
    }
}

/// Numbers as numbers, times as times, everything else as text.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    if let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) {
        return a.total_cmp(&b);
    }
    match (a.parse::<jiff::Timestamp>(), b.parse::<jiff::Timestamp>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    order(&text(a), &text(b))
}
