//! Semaphore UI's API.

use serde_json::{Value, json};

use super::{Stage, World};
use crate::support::upstream::{Asked, Reply};

fn task(world: &World, id: u64) -> Option<Value> {
    let status = match world.stage(id)? {
        Stage::Queued => "waiting",
        Stage::Odd => "pondering",
        Stage::Running => "running",
        Stage::Ok => "success",
        Stage::Failed => "error",
        Stage::Canceled => "stopped",
    };
    let given = &world.jobs[&id].given;
    Some(
        json!({"id": id, "template_id": 5, "status": status, "message": given["message"], "environment": given["environment"]}),
    )
}

pub fn answer(world: &mut World, asked: &Asked, parts: &[&str]) -> Reply {
    let missing = || Reply::json(404, &json!({"error": "Object not found"}));
    let number = |text: &str| text.parse().unwrap_or(0);
    match (asked.method.as_str(), parts) {
        ("POST", ["api", "project", "3", "tasks"]) => {
            let given = asked.json();
            // The environment is a text that holds JSON.
            if !given["template_id"].is_u64() || !given["environment"].is_string() {
                return Reply::json(400, &json!({"error": "Invalid JSON"}));
            }
            let id = world.make(given);
            Reply::json(201, &task(world, id).unwrap())
        }
        ("GET", ["api", "project", "3", "templates", "5"]) => Reply::json(
            200,
            &json!({"id": 5, "name": "restart", "task_params": {"allow_override_limit": world.takes_limit}}),
        ),
        ("GET", ["api", "project", "3", "tasks", "last"]) => {
            let rows: Vec<_> = world.jobs.keys().rev().filter_map(|id| task(world, *id)).collect();
            Reply::json(200, &json!(rows))
        }
        ("GET", ["api", "project", "3", "tasks", id]) => {
            task(world, number(id)).map_or_else(missing, |found| Reply::json(200, &found))
        }
        ("GET", ["api", "project", "3", "tasks", id, "output"]) => {
            if world.stage(number(id)).is_none() {
                return missing();
            }
            let line = |text: &str| json!({"task_id": number(id), "time": "2026-01-01T00:00:00Z", "output": text});
            Reply::json(200, &json!([line("stopping ui"), line("ui is up")]))
        }
        ("POST", ["api", "project", "3", "tasks", id, "stop"]) if asked.json() == json!({"force": false}) => {
            world.stop(number(id));
            Reply::text(204, "")
        }
        _ => world.surprise(asked),
    }
}
