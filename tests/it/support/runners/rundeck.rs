//! Rundeck's API, version 18.

use serde_json::{Value, json};

use super::{Stage, World};
use crate::support::upstream::{Asked, Reply};

const JOB: &str = "7c1f6e9a-ab";

fn execution(world: &World, id: u64) -> Option<Value> {
    let status = match world.stage(id)? {
        Stage::Queued => "scheduled",
        Stage::Odd => "pondering",
        Stage::Running => "running",
        Stage::Ok => "succeeded",
        Stage::Failed => "failed",
        Stage::Canceled => "aborted",
    };
    Some(json!({
        "id": id, "href": format!("http://rundeck.example/api/18/execution/{id}"),
        "permalink": format!("http://rundeck.example/project/ops/execution/show/{id}"),
        "status": status, "project": "ops", "user": "bot",
        "job": {"id": JOB, "name": "restart", "project": "ops", "options": world.jobs[&id].given["options"]},
        "description": "restart", "argstring": "-service ui",
    }))
}

pub fn answer(world: &mut World, asked: &Asked, parts: &[&str], query: &str) -> Reply {
    let missing = || {
        Reply::json(
            404,
            &json!({"error": true, "errorCode": "api.error.item.doesnotexist", "message": "does not exist"}),
        )
    };
    let number = |text: &str| text.parse().unwrap_or(0);
    match (asked.method.as_str(), parts) {
        ("POST", ["api", "18", "job", JOB, "run"]) if asked.header("content-type") == "application/json" => {
            let id = world.make(asked.json());
            Reply::json(200, &execution(world, id).unwrap())
        }
        ("GET", ["api", "18", "job", JOB, "info"]) => Reply::json(200, &json!({"id": JOB, "name": "restart"})),
        ("GET", ["api", "18", "job", JOB, "executions"]) if query == "max=50" => {
            let rows: Vec<_> = world.jobs.keys().rev().filter_map(|id| execution(world, *id)).collect();
            Reply::json(200, &json!({"paging": {"count": rows.len()}, "executions": rows}))
        }
        ("GET", ["api", "18", "execution", id]) => {
            execution(world, number(id)).map_or_else(missing, |found| Reply::json(200, &found))
        }
        ("GET", ["api", "18", "execution", id, "output"]) if query == "lastlines=20" => {
            if world.stage(number(id)).is_none() {
                return missing();
            }
            let entries =
                [json!({"log": "stopping ui", "level": "NORMAL"}), json!({"log": "ui is up", "level": "NORMAL"})];
            Reply::json(200, &json!({"id": id, "completed": true, "entries": entries}))
        }
        ("POST", ["api", "18", "execution", id, "abort"]) => {
            let status = if world.stop(number(id)) { "pending" } else { "failed" };
            Reply::json(200, &json!({"abort": {"status": status}, "execution": {"id": id, "status": "running"}}))
        }
        _ => world.surprise(asked),
    }
}
