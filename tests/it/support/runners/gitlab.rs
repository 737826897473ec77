//! GitLab's pipelines.

use serde_json::{Value, json};

use super::{Stage, World};
use crate::support::upstream::{Asked, Reply};

const PROJECT: &str = "ops%2Fheal";

fn pipeline(world: &World, id: u64) -> Option<Value> {
    let status = match world.stage(id)? {
        Stage::Queued => "created",
        Stage::Odd => "pondering",
        Stage::Running => "running",
        Stage::Ok => "success",
        Stage::Failed => "failed",
        Stage::Canceled => "canceled",
    };
    Some(json!({
        "id": id, "iid": id, "project_id": 1, "sha": "a1b2", "ref": "main", "status": status, "source": "api",
        "web_url": format!("https://gitlab.example/ops/heal/-/pipelines/{id}"), "yaml_errors": null,
    }))
}

pub fn answer(world: &mut World, asked: &Asked, parts: &[&str], query: &str) -> Reply {
    let missing = || Reply::json(404, &json!({"message": "404 Not found"}));
    let number = |text: &str| text.parse().unwrap_or(0);
    let ["api", "v4", "projects", PROJECT, rest @ ..] = parts else { return world.surprise(asked) };
    match (asked.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, &json!({"id": 1, "path_with_namespace": "ops/heal"})),
        ("POST", ["pipeline"]) => {
            let given = asked.json();
            if given["ref"] != "main" {
                return Reply::json(400, &json!({"message": {"base": ["Reference not found"]}}));
            }
            let id = world.make(given);
            Reply::json(201, &pipeline(world, id).unwrap())
        }
        ("GET", ["pipelines"]) if query == "ref=main&source=api&order_by=id&sort=desc&per_page=20" => {
            let rows: Vec<_> = world.jobs.keys().rev().filter_map(|id| pipeline(world, *id)).collect();
            Reply::json(200, &json!(rows))
        }
        ("GET", ["pipelines", id]) => {
            pipeline(world, number(id)).map_or_else(missing, |found| Reply::json(200, &found))
        }
        ("GET", ["pipelines", id, "variables"]) => match world.jobs.get(&number(id)) {
            Some(job) => Reply::json(200, &job.given["variables"]),
            None => missing(),
        },
        ("GET", ["pipelines", id, "jobs"]) if query == "scope%5B%5D=failed" => match world.stage(number(id)) {
            Some(Stage::Failed) => Reply::json(
                200,
                &json!([{"id": 9, "stage": "deploy", "name": "restart", "failure_reason": "script_failure", "web_url": "https://gitlab.example/ops/heal/-/jobs/9"}]),
            ),
            Some(_) => Reply::json(200, &json!([])),
            None => missing(),
        },
        ("POST", ["pipelines", id, "cancel"]) => {
            world.stop(number(id));
            pipeline(world, number(id)).map_or_else(missing, |found| Reply::json(200, &found))
        }
        _ => world.surprise(asked),
    }
}
